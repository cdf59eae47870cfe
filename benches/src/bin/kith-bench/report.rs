//! The table, on standard output, and with the raw numbers in Markdown and JSON.

use std::fmt::Write as _;
use std::fs;
use std::process::Command;

use anyhow::{Context, Result};
use serde_json::json;

use crate::Arguments;
use crate::figures::{Against, Reach, Row, Spread};
use crate::peers::{POSTGRES_SETTINGS, REDIS_SETTINGS};

fn reach(row: &Row) -> String {
    match row.reach {
        Reach::AtLeast(bound) => format!(">= {bound}"),
        Reach::AtMost(bound) => format!("<= {bound}"),
        Reach::Report => String::from("report"),
    }
}

/// The table as Markdown.
pub fn table(rows: &[Row]) -> String {
    let mut text = String::from(
        "| comparison | measured | against | ratio or difference, median [least, most] | A/A | reach | verdict |\n|---|---|---|---|---|---|---|\n",
    );
    for row in rows {
        let Row { name, unit, names, measured, compared, void, .. } = row;
        let digits = if row.against == Against::Difference { 2 } else { 3 };
        let verdict = if *void { String::from("VOID") } else { format!("{:?}", row.verdict()).to_lowercase() };
        let values = |name: &str, values: &[f64]| format!("{name} {} {unit}", Spread::of(values).text(1));
        let _always = writeln!(
            text,
            "| {name} | {} | {} | {} | {} | {} | {verdict} |",
            values(&names[0], measured),
            values(&names[1], compared),
            row.comparison().text(digits),
            row.noise().text(digits),
            reach(row),
        );
    }
    text
}

fn said(program: &str, arguments: &[&str]) -> String {
    let output = Command::new(program).args(arguments).output();
    output.map(|output| String::from_utf8_lossy(&output.stdout).trim().to_owned()).unwrap_or_default()
}

/// Prints and writes everything.
pub fn write(arguments: &Arguments, rows: &[Row]) -> Result<()> {
    let Arguments { results, rounds, seconds, scale, name, .. } = arguments;
    let machine = kith_load::machine::Machine::here();
    let table = table(rows);
    println!("\n{table}");
    let mut text = format!(
        "# Comparisons\n\n{rounds} rounds of {seconds} s each, A B A; England of scale {scale}, access history included. \
         Everything on one machine, the generator too. A gap inside the A/A spread is undecided.\n\n{table}\n"
    );
    for row in rows {
        for note in &row.notes {
            let _always = writeln!(text, "- {}: {note}.", row.name);
        }
    }
    let versions = [said("postgres", &["--version"]), said("redis-server", &["--version"])];
    let _always = writeln!(
        text,
        "\nMachine: {}\n\nPostgreSQL: {POSTGRES_SETTINGS}. Redis: {REDIS_SETTINGS}. {}",
        serde_json::to_string(&machine)?,
        versions.join("; ")
    );
    fs::create_dir_all(results).context("failed to make the folder of results")?;
    fs::write(results.join(format!("{name}.md")), text)?;
    let raw = json!({ "format": "kith-bench 1", "rounds": rounds, "seconds": seconds, "scale": scale, "machine": machine, "rows": rows });
    fs::write(results.join(format!("{name}.json")), serde_json::to_string_pretty(&raw)?)?;
    println!("written to {}/{name}.md and .json", results.display());
    Ok(())
}
