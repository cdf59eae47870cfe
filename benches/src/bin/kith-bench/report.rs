//! The table, on standard output, and with the raw numbers in Markdown and JSON.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::fs;
use std::process::Command;

use anyhow::{Context, Result};
use kith_load::machine::Machine;
use serde_json::json;

use crate::Arguments;
use crate::bench::VERIFIED_PERCENT;
use crate::figures::{Against, Reach, Row, Verdict};
use crate::programs::can_be_punctual;
use crate::spread::{Spread, rank};

/// Of a generator that has a schedule.
const PUNCTUAL: &str = "Threads of the generator that send on a schedule (a rate) have the least real-time priority, of both sides \
                        alike: on so few cores they would else miss it while the server uses them. Nothing else has it: neither what \
                        opens connections, nor what sends files or makes a storm.";

fn reach(row: &Row) -> String {
    match row.reach {
        Reach::AtLeast(bound) => format!(">= {bound}"),
        Reach::AtMost(bound) => format!("<= {bound}"),
        Reach::Within(share) => format!("1 +- {share}"),
        Reach::Report => String::from("report"),
    }
}

/// The table as Markdown.
pub fn table(rows: &[Row]) -> String {
    let mut text = String::from(
        "| comparison | rounds | measured | against | ratio, difference or figure, median (interval) [least, most] | A/A | reach | verdict |\n|---|---|---|---|---|---|---|---|\n",
    );
    for row in rows {
        let Row { name, unit, names, measured, compared, .. } = row;
        let digits = if row.against == Against::Ratio { 3 } else { 2 };
        let values = |name: &str, values: &[f64]| match values {
            [] => String::new(),
            _ => format!("{name} {} {unit}", Spread::of(values).text(1)),
        };
        let found = if measured.is_empty() { String::new() } else { row.comparison().text(digits) };
        let no_noise = row.against == Against::Total || (row.again.is_empty() && row.alike.is_empty());
        let noise = if no_noise { String::new() } else { row.noise().text(3) };
        let alone = matches!(row.against, Against::Figure | Against::Total);
        let first = if alone { String::new() } else { values(&names[0], measured) };
        let second = if alone { String::new() } else { values(&names[1], compared) };
        let _always = writeln!(
            text,
            "| {name} | {} | {first} | {second} | {found}{} | {noise} | {} | {} |",
            measured.len(),
            if alone { format!(" {unit}") } else { String::new() },
            reach(row),
            row.says(),
        );
    }
    text
}

fn said(program: &str, arguments: &[&str]) -> String {
    let output = Command::new(program).args(arguments).output();
    output.map(|output| String::from_utf8_lossy(&output.stdout).trim().to_owned()).unwrap_or_default()
}

/// Which values in order bound the interval, for each number of rounds that there was.
fn ranks(rows: &[Row]) -> String {
    let counts: BTreeSet<usize> = rows.iter().map(|row| row.measured.len()).filter(|count| *count > 0).collect();
    let one = |count: &usize| format!("of {count} rounds number {} and {}", rank(*count), count + 1 - rank(*count));
    counts.iter().map(one).collect::<Vec<_>>().join(", ")
}

/// Everything as Markdown.
fn markdown(arguments: &Arguments, machine: &Machine, peers: &[String], rows: &[Row]) -> String {
    let Arguments { rounds, seconds, scale, .. } = arguments;
    let mut text = format!(
        "# Comparisons\n\n{rounds} rounds of {seconds} s each, A B A; England of scale {scale}, its access history loaded. History that a turn causes is waited for after it, and told beside the row. \
         Of Kith's answers {VERIFIED_PERCENT} percent are held against what is true, and all of them in the search for the knee; one \
         that is wrong ends the run. \
         Noisy rows have more rounds. Everything on one machine, the generator too. The interval holds the true median in 95 of \
         100 runs (order statistics, binomial; of five rounds in 94): in the order of size {}. A row is undecided when the gap \
         between its median and what is to be reached lies inside the A/A's whole spread, from least to most (a difference with \
         either sign, a ratio either way round), or when its own interval holds what is to be reached. One wild round of the A/A \
         is enough for the first: where the A/A's interval in the place of its spread gives another verdict, that one stands \
         beside, and the JSON has it of every row.\n\n{}\n",
        ranks(rows),
        table(rows)
    );
    for row in rows {
        let repeated = (row.repeated > 0).then(|| {
            format!(
                "{} measurements repeated because the generator had missed its schedule, history had not drained, or what ran beside used more or less than was counted",
                row.repeated
            )
        });
        let waited = (row.waited_s > 0.0).then(|| {
            format!("{:.0} s in all in which turns waited, because the machine did not keep time", row.waited_s)
        });
        let calls = (row.failed_calls > 0)
            .then(|| format!("{} calls failed, those of repeated measurements included", row.failed_calls));
        let failed = row.failed.as_ref().map(|why| format!("not measured: {}", why.replace('\n', " ")));
        let drained = row.drain_note();
        for note in row.notes.iter().chain(&drained).chain(&waited).chain(&repeated).chain(&calls).chain(&failed) {
            let _always = writeln!(text, "- {}: {note}.", row.name);
        }
    }
    let versions = [said("postgres", &["--version"]), said("redis-server", &["--version"])];
    let _always = writeln!(
        text,
        "\nMachine: {}. {}\n\n{}\n\n{}",
        machine.words(),
        if can_be_punctual() { PUNCTUAL } else { "" },
        peers.join("\n\n"),
        versions.join("; ")
    );
    text
}

/// Writes what has been measured so far: a run that is cut off leaves its figures.
pub fn save(arguments: &Arguments, machine: &Machine, peers: &[String], rows: &[Row]) -> Result<()> {
    let Arguments { results, rounds, seconds, scale, name, .. } = arguments;
    fs::create_dir_all(results).context("failed to make the folder of results")?;
    fs::write(results.join(format!("{name}.md")), markdown(arguments, machine, peers, rows))?;
    let verdicts: BTreeMap<&str, String> = rows.iter().map(|row| (row.name.as_str(), row.says())).collect();
    let judged = |by: fn(&Row) -> Verdict| -> BTreeMap<&str, &str> {
        rows.iter().filter(|row| row.has_verdict()).map(|row| (row.name.as_str(), by(row).word())).collect()
    };
    let raw = json!({
        "format": "kith-bench 1", "rounds": rounds, "seconds": seconds, "scale": scale, "machine": machine,
        "verdicts": verdicts, "strict_verdicts": judged(Row::verdict), "interval_verdicts": judged(Row::interval_verdict),
        "peers": peers, "rows": rows,
    });
    fs::write(results.join(format!("{name}.json")), serde_json::to_string_pretty(&raw)?)?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use clap::Parser as _;

    use super::*;

    #[test]
    fn both_verdicts_of_a_row_are_written_and_the_strict_one_stands_first() {
        let scratch = tempfile::tempdir().unwrap();
        let folder = scratch.path().to_str().unwrap();
        let words = ["kith-bench", "--folder", folder, "--programs", folder, "--results", folder];
        let row = |name: &str| Row::new(name, "us", Reach::AtMost(1.25), ["a", "b"]);
        let mut judged = Row { measured: vec![1.0; 9], compared: vec![1.0; 9], again: vec![1.0; 9], ..row("judged") };
        judged.again[4] = 2.0;
        let lost = Row { failed: Some("no server".into()), ..row("lost") };
        save(&Arguments::parse_from(words), &Machine::default(), &[], &[judged, lost]).unwrap();
        let read = |name: &str| fs::read_to_string(scratch.path().join(name)).unwrap();
        let raw: serde_json::Value = serde_json::from_str(&read("latest.json")).unwrap();
        assert_eq!(raw["strict_verdicts"], json!({ "judged": "undecided" }));
        assert_eq!(raw["interval_verdicts"], json!({ "judged": "reached" }));
        let page = read("latest.md");
        assert!(page.contains("| undecided; by the A/A's interval reached |"), "{page}");
        assert!(page.contains("Of Kith's answers 1 percent are held against what is true"), "{page}");
    }
}
