//! `cargo xtask assure`: what a privacy officer, a lawyer and a tester ask for, in one command: who may connect, who may see
//! what, whether a shielded child's place can be told, whether the audit can be changed or lost, whether identities leak, and
//! whether one organisation can take the service from another. One line for each, with how much was tried.
//!
//! Each step is tests that say `COUNTED name n`, a program that prints a table of verdicts, or a count of instructions. A step about
//! which no test says anything is missing, and that fails; so does one that tries less than it once did, one of whose runs finds fewer
//! tests than there were, one of which a figure is undecided or not measured, or that could not run here.

mod step;

use std::fs;
use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};

use crate::test::cost;
use crate::workspace::Workspace;
use crate::{prerequisites, process, release, steps, tools};
use step::{Heard, Step, Way};

// With the whole workspace named, what the test command has built is used: a package alone has other features of what it depends on.
const SERVER: &[&str] = &["--workspace", "--test", "server"];
const LIBRARIES: &[&str] = &["--workspace", "--lib"];
const PAIRS: &[&str] = &["--workspace", "--test", "shielded_pairs"];
const KITH: &[&str] = &["--workspace", "--test", "kith"];
/// What is measured is what is deployed: times of a dev build say nothing of it.
const MEASURED: &[&str] = &["kith-server", "kith-load", "kith-benches"];

/// Every step: what it is called, what is counted, how many there are at least, and which tests say so, and how many of these there
/// are at least.
const STEPS: [Step; 8] = [
    Step {
        name: "certificates",
        what: "kinds of certificates and lists",
        floor: 121,
        runs: &[Way::Tests(SERVER, "matrix::", 9)],
    },
    Step {
        name: "policy",
        what: "combinations of role, method, purpose, context and field",
        floor: 15_624,
        runs: &[Way::Tests(LIBRARIES, "policy", 15), Way::Tests(KITH, "policy::", 7)],
    },
    Step {
        name: "shielding",
        what: "pairs of shielded children",
        floor: 3_000,
        // The pairs, whatever of the service's own tests is about a shield, opens one or resolves a reference, what is told
        // elsewhere: in the audit, in the queue and on the metrics page, and whether what a lookup costs tells a place.
        runs: &[
            Way::Tests(PAIRS, "", 4),
            Way::Tests(LIBRARIES, "openings::", 12),
            Way::Tests(LIBRARIES, "audit_search::", 48),
            Way::Tests(LIBRARIES, "references::", 7),
            Way::Tests(KITH, "shield", 12),
            Way::Tests(KITH, "break_glass::", 5),
            Way::Tests(KITH, "broker::", 5),
            Way::Tests(KITH, "audit_reading::", 8),
            Way::Tests(KITH, "own_people::", 3),
            Way::Tests(KITH, "metrics::alike::", 3),
            Way::Cost,
        ],
    },
    Step {
        name: "tamper",
        what: "changes to audit and tree",
        floor: 10_000,
        runs: &[Way::Tests(LIBRARIES, "tree::tests::changed::", 27), Way::Tests(KITH, "tamper::", 5)],
    },
    Step {
        name: "storage",
        what: "rows of failing storage",
        floor: 219,
        runs: &[Way::Tests(KITH, "storage::every_row", 10)],
    },
    Step {
        name: "canary",
        what: "forms of planted identities sought and calls made with them",
        floor: 1_050,
        runs: &[Way::Tests(KITH, "canary::", 4)],
    },
    Step { name: "hostile", what: "figures of a steady client beside attacks", floor: 16, runs: &[Way::Hostile] },
    Step { name: "testssl", what: "checks of testssl.sh", floor: 80, runs: &[Way::Tests(KITH, "testssl::", 2)] },
];

/// Runs every step, whatever became of those before it.
pub fn run(workspace: &Workspace) -> Result<()> {
    prerequisites::ensure(prerequisites::BUILD, &[prerequisites::TEST_EXTRAS, prerequisites::ASSURE_EXTRAS].concat())?;
    process::run(workspace.cargo().args(["build", "--workspace", "--bins", "--locked"]))?;
    if let Err(error) = tools::mesh_packages(workspace) {
        println!("    NOTE: what a mailbox brings cannot be searched for: {error:#}");
    }
    let folder = workspace.target().join("assure");
    fs::create_dir_all(&folder).with_context(|| format!("failed to make {}", folder.display()))?;
    let mut lines = Vec::new();
    let mut failed = 0;
    for step in &STEPS {
        let started = Instant::now();
        let heard = hear(workspace, step, &folder)?;
        let verdict = step.judge(&heard);
        failed += usize::from(verdict.is_err());
        lines.push(line(step, &heard, &verdict, started.elapsed()));
    }
    println!();
    lines.iter().for_each(|line| println!("{line}"));
    println!("What each run printed is in {}", folder.display());
    if failed > 0 {
        bail!("{failed} of {} steps are not assured", STEPS.len());
    }
    Ok(())
}

/// Runs what a step consists of, and listens.
fn hear(workspace: &Workspace, step: &Step, folder: &Path) -> Result<Heard> {
    let mut heard = Heard::default();
    for (number, way) in step.runs.iter().enumerate() {
        let log = folder.join(format!("{}-{}.log", step.name, number + 1));
        println!("==> {}, {}", step.name, log.display());
        if matches!(way, Way::Cost) {
            let counted = cost::check(workspace);
            let words = heard.take_cost(counted) + "\n";
            fs::write(&log, words).with_context(|| format!("failed to write {}", log.display()))?;
            continue;
        }
        let mut command = match command(workspace, way) {
            Ok(Some(command)) => command,
            Ok(None) => continue,
            Err(error) => {
                let words = heard.fail(&error) + "\n";
                fs::write(&log, words).with_context(|| format!("failed to write {}", log.display()))?;
                continue;
            }
        };
        let output = process::output(&mut command)?;
        let text = [&output.stdout[..], &output.stderr[..]].concat();
        fs::write(&log, &text).with_context(|| format!("failed to write {}", log.display()))?;
        let (text, ended_well) = (String::from_utf8_lossy(&text), output.status.success());
        let told = match way {
            Way::Tests(_, filter, least) => heard.take(step.name, &text, ended_well, (*filter, *least)),
            Way::Cost => Vec::new(),
            Way::Hostile => heard.take_table(&text, ended_well),
        };
        told.iter().for_each(|told| println!("    {told}"));
    }
    Ok(heard)
}

/// Tests, the ignored ones too, or the program that measures, in a release build; none for what is counted here.
fn command(workspace: &Workspace, way: &Way) -> Result<Option<Command>> {
    match way {
        Way::Cost => Ok(None),
        Way::Tests(target, filter, _) => {
            let mut command = workspace.cargo();
            command.args(["test", "--locked"]).args(*target).args(["--", "--nocapture", "--include-ignored", filter]);
            Ok(Some(command))
        }
        Way::Hostile => {
            let programs = release::of(workspace, MEASURED)?;
            let mut command = workspace.command(programs.join("kith-hostile"));
            command.arg("--programs").arg(programs).args(["--rounds", "3", "--seconds", "3"]);
            Ok(Some(command))
        }
    }
}

fn line(step: &Step, heard: &Heard, verdict: &Result<(), String>, took: Duration) -> String {
    let counted = heard.told(step.what);
    let verdict = match verdict {
        Ok(()) => "assured".to_owned(),
        Err(why) => format!("NOT ASSURED: {why}"),
    };
    format!("{:<13} {counted:<66} {:>11}  {verdict}", step.name, steps::seconds(took))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Sources of tests, as one text.
    fn sources(folder: &Path, text: &mut String) {
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                sources(&path, text);
            } else if path.extension().is_some_and(|end| end == "rs") {
                text.push_str(&fs::read_to_string(&path).unwrap());
            }
        }
    }

    #[test]
    fn every_run_of_tests_has_a_least_number_of_them() {
        for step in &STEPS {
            for way in step.runs {
                assert!(!matches!(way, Way::Tests(.., 0)), "{}: a run that may find nothing", step.name);
            }
        }
    }

    #[test]
    fn every_step_has_a_test_that_says_how_much_it_tried() {
        let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap();
        let mut text = String::new();
        ["crates", "tests"].iter().for_each(|folder| sources(&root.join(folder), &mut text));
        for step in STEPS.iter().filter(|step| step.runs.iter().any(|way| matches!(way, Way::Tests(..)))) {
            assert!(text.contains(&format!("COUNTED {} ", step.name)), "{}: its tests count nothing", step.name);
        }
    }
}
