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
/// over what was measured (92,964 and 87; 105,270 and 97), for counts of one program differ by a tenth. Of the second, 45,000
/// and 54 are the work that is done so that its time tells nothing.
const BOUNDS: [(&str, u64, u64); 2] = [("held", 109_000, 102), ("none", 123_000, 113)];

/// How many percent of the instructions, and of the allocations, of a lookup about which something is held one about which
/// nothing is may differ by: whoever measures times must not tell which children are known. Without the work that evens
/// them out it is two fifths. Each count of one program differs by a tenth, so that ten percent were once too few.
const APART_PERCENT: u64 = 25;

/// Counts, and holds the counts against the bounds and against each other.
pub fn check(workspace: &Workspace) -> Result<Ended> {
    let Some(valgrind) = process::find("valgrind") else {
        return Ok(Ended::Skipped("valgrind is not here and could not be installed".into()));
    };
    let program = workspace.binary("kith-cost");
    let mut over = Vec::new();
    let mut costs = Vec::new();
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
        costs.push([("instructions", instructions), ("allocations", allocations)]);
    }
    if let [held, none] = costs.as_slice() {
        over.extend(held.iter().zip(none).filter_map(|((what, held), (_, none))| apart(what, *held, *none)));
    }
    ensure!(over.is_empty(), "a lookup costs more than it may: {}", over.join("; "));
    Ok(Ended::Passed)
}

/// What is wrong where one count tells whether anything is held.
fn apart(what: &str, held: u64, none: u64) -> Option<String> {
    let told = held.abs_diff(none) * 100 > held * APART_PERCENT;
    told.then(|| {
        format!("{what} tell what is held: {held} held, {none} none, expected {APART_PERCENT} percent apart at most")
    })
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counts_that_tell_what_is_held_are_found_either_way() {
        let (bound, over) = (APART_PERCENT, APART_PERCENT + 1);
        assert_eq!(apart("allocations", 100, 100 - bound), None);
        assert_eq!(apart("allocations", 100, 100 + bound), None);
        assert!(apart("allocations", 100, 100 - over).is_some());
        assert!(apart("allocations", 100, 100 + over).is_some());
    }
}
