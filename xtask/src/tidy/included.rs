//! Which Rust files the test command compiles: the root of each target that cargo tests, and what a `mod` of such a file includes.
//! Tests in any other file, and in what stands under a condition other than `cfg(test)`, may never run. It knows the form that the
//! formatter gives to source, and what it does not understand is not included.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::RangeInclusive;

use anyhow::{Context, Result};
use serde_json::Value;

use super::source::{Masked, closing_brace, find_all};

/// A `mod` that takes another file.
struct Declared {
    name: String,
    /// What a `path` attribute says.
    path: Option<String>,
}

impl Declared {
    /// Where its file may be, and whether what that one includes lies beside it.
    fn places(&self, by: &str, beside: bool) -> Vec<(String, bool)> {
        let Some((folder, file)) = by.rsplit_once('/') else { return Vec::new() };
        if let Some(path) = &self.path {
            return vec![(format!("{folder}/{path}"), true)];
        }
        let name = &self.name;
        let within = if beside { folder.to_owned() } else { format!("{folder}/{}", file.trim_end_matches(".rs")) };
        vec![(format!("{within}/{name}.rs"), false), (format!("{within}/{name}/mod.rs"), true)]
    }
}

/// Which file includes which.
#[derive(Default)]
pub struct Included(BTreeMap<String, Vec<Declared>>);

impl Included {
    /// Takes what a Rust file includes.
    pub fn take(&mut self, path: &str, masked: &Masked) {
        let conditional = conditional(masked);
        let (mut declared, mut path_of) = (Vec::new(), None);
        for (number, line) in masked.lines() {
            let line = line.trim_end();
            if line.starts_with("#[path") {
                path_of = masked.strings.iter().find(|(at, _)| *at == number).map(|(_, text)| text.clone());
            } else if let Some(name) = module(line) {
                let path = path_of.take();
                if !conditional.iter().any(|lines| lines.contains(&number)) {
                    declared.push(Declared { name: name.to_owned(), path });
                }
            } else if !line.is_empty() && !line.starts_with("#[") {
                path_of = None;
            }
        }
        self.0.insert(path.to_owned(), declared);
    }

    /// Every file that is compiled with these roots.
    pub fn reached(&self, roots: &BTreeSet<String>) -> BTreeSet<String> {
        let mut found = BTreeSet::new();
        let mut next: Vec<(String, bool)> = roots.iter().map(|root| (root.clone(), true)).collect();
        while let Some((file, beside)) = next.pop() {
            let Some(declared) = self.0.get(&file) else { continue };
            if found.insert(file.clone()) {
                next.extend(declared.iter().flat_map(|module| module.places(&file, beside)));
            }
        }
        found
    }
}

/// The name in a `mod name;` that stands at the outermost level, whoever may see it.
fn module(line: &str) -> Option<&str> {
    let (before, name) = line.strip_suffix(';')?.rsplit_once(' ')?;
    let seen_by = before.strip_suffix("mod")?;
    (seen_by.is_empty() || (seen_by.starts_with("pub") && seen_by.ends_with(' '))).then_some(name)
}

/// The lines of everything that is compiled under a condition other than `cfg(test)`.
pub fn conditional(masked: &Masked) -> Vec<RangeInclusive<usize>> {
    let code = &masked.code;
    let items = others(code, "#[cfg").into_iter();
    let items = items.map(|start| masked.line_at(start)..=masked.line_at(item_end(code, start)));
    let files = others(code, "#![cfg").into_iter().map(|_| 1..=usize::MAX);
    items.chain(files).collect()
}

/// Where such conditions begin.
fn others(code: &[char], begin: &str) -> Vec<usize> {
    find_all(code, begin).into_iter().filter(|start| !is_for_tests(code, *start)).collect()
}

fn is_for_tests(code: &[char], start: usize) -> bool {
    let attribute = code[start..].iter().take_while(|c| **c != ']').filter(|c| !c.is_whitespace());
    let attribute: String = attribute.collect();
    matches!(attribute.as_str(), "#[cfg(test)" | "#![cfg(test)")
}

/// Where the item ends of which an attribute begins at `start`.
fn item_end(code: &[char], start: usize) -> usize {
    let mut depth = 0_usize;
    for (at, c) in code.iter().enumerate().skip(start) {
        match c {
            '(' | '[' => depth += 1,
            ')' | ']' => depth = depth.saturating_sub(1),
            ';' if depth == 0 => return at,
            '{' if depth == 0 => return closing_brace(code, at).unwrap_or(code.len()),
            _ => {}
        }
    }
    code.len()
}

/// Roots of the targets that `cargo test` runs, whatever features are asked for, by the output of `cargo metadata --no-deps`.
pub fn roots(metadata: &Value) -> Result<BTreeSet<String>> {
    let base = metadata["workspace_root"].as_str().context("cargo metadata names no workspace_root")?;
    let packages = metadata["packages"].as_array().context("cargo metadata lists no packages")?;
    let targets = packages.iter().filter_map(|package| package["targets"].as_array()).flatten();
    let runs = |target: &&Value| target["test"] == true && target["required-features"].is_null();
    let tested = targets.filter(runs).filter_map(|target| target["src_path"].as_str());
    Ok(tested.filter_map(|path| path.strip_prefix(base)?.strip_prefix('/')).map(str::to_owned).collect())
}

#[cfg(test)]
mod tests {
    use super::super::source::mask;
    use super::*;
    use serde_json::json;

    fn reached(files: &[(&str, &str)]) -> Vec<String> {
        let mut included = Included::default();
        files.iter().for_each(|(path, text)| included.take(path, &mask(text)));
        included.reached(&BTreeSet::from(["a/src/lib.rs".to_owned()])).into_iter().collect()
    }

    #[test]
    fn what_a_mod_includes_is_reached_wherever_its_file_lies() {
        let files = [
            ("a/src/lib.rs", "mod b;\npub(crate) mod c; // why\n#[path = \"c_tests.rs\"]\n#[cfg(test)]\nmod tests;\n"),
            ("a/src/b.rs", "#[cfg(test)]\npub mod d;\n"),
            ("a/src/b/d.rs", ""),
            ("a/src/c/mod.rs", "mod e;\n"),
            ("a/src/c/e.rs", ""),
            ("a/src/c_tests.rs", "mod beside;\n"),
            ("a/src/beside.rs", ""),
        ];
        let expected: BTreeSet<&str> = files.iter().map(|(path, _)| *path).collect();
        assert_eq!(reached(&files), Vec::from_iter(expected));
    }

    #[test]
    fn what_nothing_includes_or_a_condition_does_is_not() {
        let declared = "// mod a;\nmod inside {\n    mod b;\n}\n#[cfg(feature = \"x\")]\nmod c;\n\
            #[cfg(\n    any()\n)]\nmod d;\n#[cfg_attr(unix, path = \"e.rs\")]\nmod e;\nmod f;\n";
        let mut files = vec![("a/src/lib.rs", declared), ("a/src/inside/b.rs", ""), ("a/src/g.rs", "")];
        let others = ["a/src/a.rs", "a/src/b.rs", "a/src/c.rs", "a/src/d.rs", "a/src/e.rs", "a/src/f.rs"];
        files.extend(others.map(|path| (path, "")));
        assert_eq!(reached(&files), ["a/src/f.rs", "a/src/lib.rs"]);
        files.extend([("a/src/f.rs", "#![cfg(windows)]\nmod h;\n"), ("a/src/f/h.rs", "")]);
        assert_eq!(reached(&files), ["a/src/f.rs", "a/src/lib.rs"]);
    }

    #[test]
    fn an_item_under_a_condition_ends_where_it_ends() {
        let text = "fn a() {}\n#[cfg(unix)]\nfn b(c: [u8; 3]) {\n    d();\n}\nfn e() {}\n#[cfg(test)]\nfn f() {}\n";
        let lines = conditional(&mask(text)).into_iter().map(RangeInclusive::into_inner);
        assert_eq!(Vec::from_iter(lines), [(2, 5)]);
    }

    #[test]
    fn roots_are_those_of_targets_that_are_tested() {
        let targets = json!([
            { "test": true, "src_path": "/w/a/src/lib.rs" },
            { "test": false, "src_path": "/w/a/build.rs" },
            { "test": true, "src_path": "/w/a/tests/b.rs" },
            { "test": true, "src_path": "/w/a/tests/c.rs", "required-features": ["x"] },
        ]);
        let metadata = json!({ "workspace_root": "/w", "packages": [{ "targets": targets }] });
        assert_eq!(Vec::from_iter(roots(&metadata).unwrap()), ["a/src/lib.rs", "a/tests/b.rs"]);
        assert!(roots(&json!({})).is_err());
    }
}
