//! Running other programs and saying plainly what failed. Never through a shell
//! with text that came from outside.

use std::env;
use std::path::PathBuf;
use std::process::{Command, Output, Stdio};

use anyhow::{Context, Result, bail};

/// As a person would type it, without its environment.
pub fn line(command: &Command) -> String {
    let mut words = vec![command.get_program().to_string_lossy().into_owned()];
    for argument in command.get_args() {
        let argument = argument.to_string_lossy();
        if argument.is_empty() || argument.contains([' ', '"', '$', '&', ';']) {
            words.push(format!("'{argument}'"));
        } else {
            words.push(argument.into_owned());
        }
    }
    words.join(" ")
}

/// Runs with this process's output; an exit other than 0 is an error.
pub fn run(command: &mut Command) -> Result<()> {
    let shown = line(command);
    println!("    $ {shown}");
    let status = command.stdin(Stdio::null()).status().with_context(|| format!("failed to start: {shown}"))?;
    if !status.success() {
        bail!("{shown}: {status}");
    }
    Ok(())
}

/// Runs quietly and gives back what it printed, whatever its exit code.
pub fn output(command: &mut Command) -> Result<Output> {
    let shown = line(command);
    command.stdin(Stdio::null()).output().with_context(|| format!("failed to start: {shown}"))
}

/// Runs quietly; an exit other than 0 is an error that carries what it printed.
pub fn capture(command: &mut Command) -> Result<String> {
    let shown = line(command);
    let output = output(command)?;
    if !output.status.success() {
        bail!(
            "{shown}: {}\n{}{}",
            output.status,
            String::from_utf8_lossy(&output.stdout),
            String::from_utf8_lossy(&output.stderr)
        );
    }
    String::from_utf8(output.stdout).with_context(|| format!("{shown}: output is not UTF-8"))
}

/// Whether it can be started and ends with 0.
pub fn succeeds(program: &str, arguments: &[&str]) -> bool {
    Command::new(program)
        .args(arguments)
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .status()
        .is_ok_and(|status| status.success())
}

/// A program on PATH, or in the folders of the superuser that PATH often leaves out.
pub fn find(program: &str) -> Option<PathBuf> {
    let path = env::var_os("PATH").unwrap_or_default();
    env::split_paths(&path)
        .chain(["/usr/sbin", "/sbin"].map(PathBuf::from))
        .map(|folder| folder.join(program))
        .find(|file| file.is_file())
}
