//! `cargo xtask tidy`: the project's rules about its own source, as code.
//!
//! Every rule takes text and gives findings, and has a test in which it goes red.
//! It never changes a file.

mod arrows;
mod calls;
mod files;
mod hazards;
mod identities;
mod included;
mod length;
mod papers;
mod revealing;
mod source;
mod stored;
mod types;
mod words;

use std::fmt;
use std::path::Path;

use anyhow::{Context, Result, bail};

use crate::process;
use crate::workspace::Workspace;

/// One breach of one rule.
#[derive(Debug, PartialEq, Eq)]
pub struct Finding {
    pub file: String,
    /// From 1; 0 when it is about the whole file.
    pub line: usize,
    pub what: String,
}

impl Finding {
    fn new(file: &str, line: usize, what: impl Into<String>) -> Self {
        Self { file: file.to_owned(), line, what: what.into() }
    }
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.line == 0 {
            write!(f, "{}: {}", self.file, self.what)
        } else {
            write!(f, "{}:{}: {}", self.file, self.line, self.what)
        }
    }
}

pub fn run(workspace: &Workspace) -> Result<()> {
    let metadata = metadata(workspace)?;
    let mut findings = arrows::check(&metadata)?;
    let paths = tracked(workspace)?;
    let mut read = 0;
    let mut papers = papers::Papers::default();
    for path in &paths {
        let Some(text) = text_of(&workspace.path(path))? else {
            continue;
        };
        read += 1;
        check_text(path, &text, &mut papers, &mut findings);
    }
    papers.check(&included::roots(&metadata)?, &mut findings);
    for finding in &findings {
        println!("    {finding}");
    }
    if !findings.is_empty() {
        bail!("{} findings in {read} files", findings.len());
    }
    println!("    {read} files keep to the rules");
    Ok(())
}

/// Every rule that looks at one file; `papers` takes what the rules about several need of it.
fn check_text(path: &str, text: &str, papers: &mut papers::Papers, findings: &mut Vec<Finding>) {
    identities::check(path, text, findings);
    papers.take(path, text);
    if path.ends_with("Cargo.toml") {
        files::manifest(path, text, findings);
    }
    if path.ends_with(".proto") {
        words::protocol(path, text, findings);
    }
    if path.ends_with(".rs") {
        let masked = source::mask(text);
        files::rust(path, text, &masked, findings);
        length::check(path, &masked, findings);
        calls::check(path, &masked, findings);
        revealing::check(path, &masked, findings);
        words::rust(path, &masked, findings);
        papers.take_code(path, &masked);
    }
}

/// Files that git tracks or would track.
fn tracked(workspace: &Workspace) -> Result<Vec<String>> {
    let listed = process::capture(workspace.command("git").args([
        "ls-files",
        "--cached",
        "--others",
        "--exclude-standard",
        "-z",
    ]))
    .context("failed to list the files of the repository")?;
    let mut paths: Vec<String> = listed.split('\0').filter(|path| !path.is_empty()).map(str::to_owned).collect();
    paths.sort();
    paths.dedup();
    Ok(paths)
}

/// None for what is not text, and for what is listed but gone.
fn text_of(path: &Path) -> Result<Option<String>> {
    match std::fs::read(path) {
        Ok(bytes) => Ok(String::from_utf8(bytes).ok()),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error).with_context(|| format!("failed to read {}", path.display())),
    }
}

fn metadata(workspace: &Workspace) -> Result<serde_json::Value> {
    let text = process::capture(workspace.cargo().args(["metadata", "--no-deps", "--format-version", "1"]))?;
    serde_json::from_str(&text).context("failed to read cargo metadata")
}
