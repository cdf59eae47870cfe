//! The commands that the papers in `deploy/` name exist, with their verbs and flags: our own programs are asked. Whether they
//! help is for people to try; those of the system (systemctl and the like) are not looked at.

use std::collections::BTreeSet;

use anyhow::{Context, Result, ensure};

use crate::process;
use crate::steps::Ended;
use crate::workspace::Workspace;

const PAPERS: [&str; 2] = ["deploy/README.md", "deploy/runbook.md"];
const PROGRAMS: [&str; 3] = ["kithd", "kith", "kith-witness"];

/// One command: the program, its verbs, its flags.
type Named = (String, Vec<String>, Vec<String>);

/// Asks each program about each command that is named.
pub fn check(workspace: &Workspace) -> Result<Ended> {
    let mut named = BTreeSet::new();
    for paper in PAPERS {
        let text = std::fs::read_to_string(workspace.path(paper)).with_context(|| format!("failed to read {paper}"))?;
        named.extend(commands(&text));
    }
    ensure!(!named.is_empty(), "no paper names a command");
    for (program, verbs, flags) in &named {
        let mut command = workspace.command(workspace.binary(program));
        let help = process::capture(command.args(verbs).arg("--help"))
            .with_context(|| format!("there is no `{program} {}`", verbs.join(" ")))?;
        let known: BTreeSet<&str> = help.split(|c: char| c.is_whitespace() || ",[]<=".contains(c)).collect();
        for flag in flags {
            ensure!(known.contains(flag.as_str()), "`{program} {}` has no {flag}", verbs.join(" "));
        }
    }
    println!("    {} commands of ours are named, and all exist", named.len());
    Ok(Ended::Passed)
}

/// Commands of ours in blocks of shell and between backticks.
fn commands(text: &str) -> Vec<Named> {
    let mut found = Vec::new();
    let mut in_block = false;
    for line in text.lines() {
        if line.trim_start().starts_with("```") {
            in_block = !in_block;
        } else if in_block {
            found.extend(line.split("&&").filter_map(command));
        } else {
            found.extend(line.split('`').skip(1).step_by(2).filter_map(command));
        }
    }
    found
}

/// Takes a command apart; none when it is not one of ours, or names the program alone.
fn command(text: &str) -> Option<Named> {
    // `runuser -u kith -- kithd ...` runs it as somebody.
    let own = text.split_once(" -- ").map_or(text, |(_, after)| after);
    let mut words = own.split_whitespace();
    let program = words.next().filter(|word| PROGRAMS.contains(word))?.to_owned();
    let rest: Vec<&str> = words.collect();
    let is_verb = |word: &&&str| word.chars().all(|c| c.is_ascii_lowercase() || c == '-') && !word.starts_with('-');
    let verbs: Vec<String> = rest.iter().take_while(is_verb).map(|word| (*word).to_owned()).collect();
    let flags: Vec<String> = rest.iter().filter(|word| word.starts_with("--")).map(|word| (*word).to_owned()).collect();
    (!verbs.is_empty() || !flags.is_empty()).then_some((program, verbs, flags))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn named(text: &str) -> Vec<String> {
        let shown = |(program, verbs, flags): Named| format!("{program}|{}|{}", verbs.join(" "), flags.join(" "));
        commands(text).into_iter().map(shown).collect()
    }

    #[test]
    fn commands_of_ours_are_taken_apart() {
        let text = "Run `kith status --feeds`, not `systemctl stop kithd`; `kithd` alone is no command.\n```sh\n\
            runuser -u kith -- kithd check-config --config /etc/kith/kithd.toml\nkith audit prove REF --log-key KEY\n\
            install target/release/kithd /usr/bin/kithd\nkithd new-key --out k && chown kith: k\nuseradd kith\n```\n";
        let expected =
            ["kith|status|--feeds", "kithd|check-config|--config", "kith|audit prove|--log-key", "kithd|new-key|--out"];
        assert_eq!(named(text), expected);
    }
}
