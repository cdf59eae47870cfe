//! What a lookup costs, without a clock: the instructions that callgrind counts and the allocations that a counting allocator
//! counts, each within a bound. Whoever makes lookups dearer has to raise a bound here, and say why.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, ensure};

use crate::process;
use crate::steps::Ended;
use crate::workspace::Workspace;

/// Lookups of a shorter and of a longer run: what lies between them is the lookups' own.
const RUNS: [u64; 2] = [200, 600];

/// What is asked about, and at most how many instructions and allocations a lookup of it takes, on the dev profile: a sixth
/// over what was measured (74,849 to 82,675 and 73; 57,889 and 55), for counts of one program differ by a tenth.
const BOUNDS: [(&str, u64, u64); 2] = [("held", 98_000, 86), ("none", 76_000, 62)];

/// Counts, and holds the counts against the bounds.
pub fn check(workspace: &Workspace) -> Result<Ended> {
    let Some(valgrind) = process::find("valgrind") else {
        return Ok(Ended::Skipped("valgrind is not here and could not be installed".into()));
    };
    let program = workspace.binary("kith-cost");
    let mut over = Vec::new();
    for (which, most_instructions, most_allocations) in BOUNDS {
        let mut counted = [0; 2];
        for (total, lookups) in counted.iter_mut().zip(RUNS) {
            *total = instructions(&valgrind, &program, &workspace.target(), which, lookups)?;
        }
        let [short, long] = counted;
        let [fewer, more] = RUNS;
        let instructions = long.saturating_sub(short) / (more - fewer);
        ensure!(instructions > 1_000, "only {instructions} instructions were counted: the count is not of lookups");
        let allocations = allocations(&program, which)?;
        println!("a lookup ({which}): {instructions} instructions, {allocations} allocations");
        if instructions > most_instructions {
            over.push(format!("{which}: {instructions} instructions, expected at most {most_instructions}"));
        }
        if allocations > most_allocations {
            over.push(format!("{which}: {allocations} allocations, expected at most {most_allocations}"));
        }
    }
    ensure!(over.is_empty(), "a lookup costs more than it may: {}", over.join("; "));
    Ok(Ended::Passed)
}

/// Instructions within lookups, of the thread that answers.
fn instructions(valgrind: &Path, program: &Path, folder: &Path, which: &str, lookups: u64) -> Result<u64> {
    let out = folder.join("lookup-cost.callgrind");
    let first = PathBuf::from(format!("{}-01", out.display()));
    let mut command = Command::new(valgrind);
    command.args(["--tool=callgrind", "--toggle-collect=kith_cost::one*", "--separate-threads=yes"]);
    command.arg(format!("--callgrind-out-file={}", out.display())).arg(program);
    process::capture(command.args(["--which", which, "--children", "2000", "--lookups", &lookups.to_string()]))?;
    let text = std::fs::read_to_string(&first).context("callgrind wrote nothing for the first thread")?;
    let totals = text.lines().find_map(|line| line.strip_prefix("totals: ")).context("callgrind wrote no totals")?;
    totals.trim().parse().context("callgrind's totals are not a number")
}

/// Allocations of one lookup, rounded up.
fn allocations(program: &Path, which: &str) -> Result<u64> {
    let mut command = Command::new(program);
    let text = process::capture(command.args(["--which", which, "--children", "2000", "--allocations"]))?;
    let line = text.lines().find_map(|line| line.strip_prefix("allocations of 1000 lookups: "));
    let count = line.and_then(|line| line.split(',').next()).context("kith-cost printed no allocations")?;
    let count: u64 = count.parse().context("kith-cost's allocations are not a number")?;
    Ok(count.div_ceil(1_000))
}
