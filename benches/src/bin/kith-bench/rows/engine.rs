//! The engine in process, on the England: a program of its own, so that nothing of this one is measured.

use std::path::Path;
use std::process::{Command, Stdio};

use anyhow::{Context, Result, ensure};

use crate::bench::Bench;
use crate::figures::{Reach, Row};
use crate::programs::child;

/// What `kith-inside` prints: for each round the figures of each turn, in nanoseconds.
type Rounds = Vec<[Vec<f64>; 3]>;

/// Lookups without and with their audit entry; half of them find something.
pub fn measure(bench: &mut Bench<'_>) {
    let asked_before = format!(
        "of the England as its folder holds it, with an audit of {:.1} GB: whoever was asked about in earlier runs has a longer history, \
         and takes longer; the audit's tree, a thread of its own, is not kept here",
        gigabytes(&bench.place.file("data/audit/primary"))
    );
    let row = |name: &str, reach| Row::figure(&format!("engine in process: {name}"), "us", reach).note(&asked_before);
    let rows = vec![
        row("lookup without audit, median", Reach::AtMost(2.0)),
        row("lookup without audit, p99", Reach::AtMost(10.0)),
        row("lookup with audit append, median", Reach::Report),
        row("lookup with audit append, p99", Reach::Report),
    ];
    let place = bench.place;
    let mut command = child(place.program("kith-inside"));
    command.arg("engine");
    for (option, file) in
        [("--england", "england"), ("--data-dir", "data/store"), ("--audit", "data/audit"), ("--key-file", "kith.key")]
    {
        command.arg(option).arg(place.file(file));
    }
    inside(bench, rows, command);
}

/// What the files of a folder take.
fn gigabytes(folder: &Path) -> f64 {
    let files = std::fs::read_dir(folder).into_iter().flatten().flatten();
    let bytes: u64 = files.filter_map(|file| file.metadata().ok()).map(|file| file.len()).sum();
    #[expect(clippy::cast_precision_loss, reason = "for people")]
    let bytes = bytes as f64;
    bytes / 1e9
}

/// Rows whose figures a program prints, in the order of the rows.
pub fn inside(bench: &mut Bench<'_>, rows: Vec<Row>, mut command: Command) {
    command.args(["--rounds", &bench.arguments.rounds_for(&rows).to_string()]);
    bench.or_not_measured(rows.clone(), |bench| {
        let mut rows = rows;
        for turns in measured(&mut command)? {
            for (turn, figures) in turns.iter().enumerate() {
                for (row, nanoseconds) in rows.iter_mut().zip(figures) {
                    [&mut row.measured, &mut row.compared, &mut row.again][turn].push(nanoseconds / 1_000.0);
                }
            }
        }
        bench.keep(rows);
        Ok(())
    });
}

fn measured(command: &mut Command) -> Result<Rounds> {
    let output = command.stdin(Stdio::null()).output().context("failed to start kith-inside")?;
    let said = String::from_utf8_lossy(&output.stderr);
    ensure!(output.status.success(), "kith-inside: {}: {}", output.status, said.lines().last().unwrap_or_default());
    serde_json::from_slice(&output.stdout).context("failed to understand kith-inside")
}
