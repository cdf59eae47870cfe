//! Twelve million children beside one million, in process and on the wire. Twelve million take a quarter of an hour to fill, the
//! first time.

use std::fs::{self, File};
use std::io::{BufWriter, Write};
use std::os::unix::fs::symlink;
use std::path::Path;

use anyhow::{Context, Result};
use kith_domain::NhsNumber;

use crate::bench::{Bench, Measured, Shape, USUAL, answered, p50};
use crate::england::{Place, today};
use crate::figures::{Reach, Row};
use crate::programs::child;
use crate::servers::Server;

use super::engine::inside;

const NAMES: [&str; 2] = ["12 million", "1 million"];
const CHILDREN: [u32; 2] = [12_000_000, 1_000_000];
/// What is asked on the wire, and how: one at a time, and in the shape of the other comparisons.
const SHAPES: [(&str, Shape); 2] = [("one in flight", (1, 1)), ("8 connections x 16 in flight", USUAL)];
/// Who sent the children of the states on the wire; of England's trusts.
const SENDER: &str = "RRK";
/// Stems of the invented numbers: from the range that was never issued, in no order.
const FIRST: u32 = 900_000_000;
const STEMS: u64 = 99_000_000;
/// Coprime to the number of stems, so that each comes once.
const STEP: u64 = 61_803_403;
/// Days over which the attendances are spread.
const DAYS: u32 = 300;

pub fn in_process(bench: &mut Bench<'_>) {
    let row =
        |of: &str, reach| Row::new(&format!("12 million children vs 1 million, in process: {of}"), "us", reach, NAMES);
    let rows = vec![row("median", Reach::AtMost(2.0)), row("p99", Reach::Report)];
    let mut command = child(bench.place.program("kith-inside"));
    command.arg("children").args(CHILDREN.map(|count| count.to_string()));
    inside(bench, rows, command);
}

pub fn on_the_wire(bench: &mut Bench<'_>) {
    let (many, few) = match bench.arguments.wire_children[..] {
        [many, few] => (many, few),
        _ => (CHILDREN[0], CHILDREN[1]),
    };
    let rows = SHAPES.map(|(how, shape)| {
        let name = format!("{many} children vs {few}, on the wire, {how}: p50");
        let row = Row::new(&name, "us", Reach::AtMost(1.05), ["many", "few"]);
        (row.note("each child with one presentation; half the lookups find one"), shape)
    });
    let all: Vec<Row> = rows.iter().map(|(row, _)| row.clone()).collect();
    if bench.arguments.no_wire_children {
        if bench.wants(&all) {
            let left_out = |row: Row| Row { left_out: true, ..row.note("left out, as was asked for") };
            bench.keep(all.into_iter().map(left_out).collect());
        }
        return;
    }
    bench.or_not_measured(all, |bench| {
        let [many, few] = [state(bench.place, many)?, state(bench.place, few)?];
        let (with_many, with_few) = (many.serve("")?, few.serve("")?);
        let before = bench.metrics.len();
        bench.metrics.extend([&many, &few].map(|place| place.metrics().to_owned()));
        for (row, shape) in rows {
            bench.rounds(
                vec![row],
                |bench| ask(bench, &many, &with_many, shape),
                |bench| ask(bench, &few, &with_few, shape),
            );
        }
        bench.metrics.truncate(before);
        with_many.stop()?;
        with_few.stop()
    });
}

fn ask(bench: &Bench<'_>, place: &Place, server: &Server, shape: Shape) -> Result<Measured> {
    let mut run = bench.run(server, "lookup=1", None, shape);
    run.more.push(String::from("--truth-percent=0"));
    Ok(Measured::of(&answered(run.outcome(place)?)?, &[&p50]))
}

/// A folder whose state holds so many children, filled when it is not there.
fn state(place: &Place, children: u32) -> Result<Place> {
    let state = place.beside(&format!("children-{children}"))?;
    if state.file("ready").exists() && state.file("audit.key").exists() {
        return Ok(state);
    }
    println!("filling {children} children, each with one presentation");
    let england = state.file("england");
    if england.exists() {
        fs::remove_dir_all(state.file("")).context("failed to empty a folder")?;
    }
    fs::create_dir_all(england.join("plans"))?;
    fs::create_dir_all(england.join("presentations"))?;
    for name in ["directory", "truth.jsonl"] {
        symlink(place.file("england").join(name), england.join(name)).context("failed to link to the England")?;
    }
    write(&england.join(format!("presentations/{SENDER}.csv")), children, place)?;
    state.keys(&england)?;
    state.fill(&["--no-accesses"])?;
    fs::write(state.file("ready"), "")?;
    Ok(state)
}

/// A trust's file with so many children.
fn write(path: &Path, children: u32, place: &Place) -> Result<()> {
    let site = site(place)?;
    let today = today()?;
    let mut file = BufWriter::new(File::create(path)?);
    writeln!(
        file,
        "site,encounter_id,version,nhs_number,date_of_birth,arrived_at,care_setting,complaint,outcome,outcome_at"
    )?;
    for (n, number) in numbers().take(usize::try_from(children)?).enumerate() {
        let n = u32::try_from(n)?;
        let day = today - jiff::Span::new().days(i64::from(1 + n % DAYS));
        let born = 2009 + n % 16;
        writeln!(
            file,
            "{site},E{n},1,{},{born}-03-04,{day}T{:02}:00:00Z,emergency-department,illness,,",
            number.digits(),
            n % 24
        )?;
    }
    file.flush().context("failed to write the children")
}

fn numbers() -> impl Iterator<Item = NhsNumber> {
    let stem = |n: u64| u32::try_from(n * STEP % STEMS).ok().map(|stem| FIRST + stem);
    (0..STEMS).filter_map(move |n| NhsNumber::from_first_nine(stem(n)?))
}

/// A site of the sender.
fn site(place: &Place) -> Result<String> {
    let text = fs::read_to_string(place.file("england/directory/sites.csv"))?;
    let of_sender = text.lines().find(|line| line.ends_with(&format!(",{SENDER}")));
    let site = of_sender.and_then(|line| line.split(',').next()).context("the sender has no site")?;
    Ok(site.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_wire_is_asked_in_the_usual_shape_too() {
        assert_eq!(SHAPES.map(|(_, shape)| shape), [(1, 1), USUAL]);
        // The row's name says it in figures.
        assert_eq!(SHAPES[1].0, format!("{} connections x {} in flight", USUAL.0, USUAL.1));
    }
}
