//! A lookup beside an empty call of as many bytes; and a question of which something is held beside one of which nothing is.

use std::collections::BTreeMap;

use anyhow::{Context, Result};
use kith_load::Outcome;
use kith_load::outcome::{Figures, Latency};

use crate::bench::{Bench, Measured, USUAL, answered, p50, p99, per_second, us};
use crate::figures::{Reach, Row};

use super::Servers;

/// One connection with one request in flight.
const ONE: (u32, u32) = (1, 1);
/// A share of answers, in percent, that a length must have in either series to get a row.
const SHOWN_PERCENT: f64 = 0.1;

pub fn measure(bench: &mut Bench<'_>, servers: &Servers) {
    let Servers { kithd, empty, .. } = servers;
    let names = ["lookup", "empty"];
    bench.rounds(
        vec![Row::new("lookup vs empty call: throughput", "1/s", Reach::AtLeast(0.85), names)],
        |bench| Ok(Measured::of(&bench.outcome(kithd, "lookup=1", None, USUAL)?, &[&per_second])),
        |bench| Ok(Measured::of(&bench.outcome(empty, "empty=1", None, USUAL)?, &[&per_second])),
    );
    bench.rounds(
        vec![
            Row::new("lookup vs empty call, one in flight: p50", "us", Reach::AtMost(1.10), names),
            Row::new("lookup vs empty call, one in flight: p99", "us", Reach::AtMost(1.25), names).times(2),
        ],
        |bench| Ok(Measured::of(&bench.outcome(kithd, "lookup=1", None, ONE)?, &[&p50, &p99])),
        |bench| Ok(Measured::of(&bench.outcome(empty, "empty=1", None, ONE)?, &[&p50, &p99])),
    );
}

/// Both kinds in one run, in turn at random, so that whatever else happens meets both alike.
pub fn found_and_not_found(bench: &mut Bench<'_>, servers: &Servers) {
    let row = |of: &str| {
        let name = format!("found vs not found, one in flight: {of}");
        Row::new(&name, "us", Reach::Within(0.05), ["found", "not found"])
            .note("both kinds in the same run, two runs in each round; the A/A is every other answer of what is found against those between, in the same run: half as many answers on either side, so that it is wider than the comparison's own noise")
    };
    let mut rows = vec![row("p50"), row("p99")];
    let lengths = Row::figure("found vs not found: answers that a length tells apart", "percent", Reach::AtMost(5.0));
    let all = [rows[0].clone(), rows[1].clone(), lengths.clone()];
    bench.or_not_measured(all.to_vec(), |bench| {
        let mut shares = Vec::new();
        for _ in 0..2 * bench.arguments.rounds_for(&all) {
            let run = mixed(bench, servers)?;
            let (measured, drain) = bench.drained(Measured::with(&run, Vec::new()))?;
            let (found, not_found) = kinds(&run)?;
            for (row, at) in rows.iter_mut().zip([50, 99]) {
                let of = |latency: &Latency| us(if at == 50 { latency.p50 } else { latency.p99 });
                row.measured.push(of(&found.latency_ns));
                row.compared.push(of(&not_found.latency_ns));
                row.alike.push([of(&found.halves_ns[0]), of(&found.halves_ns[1])]);
                row.drains.push([drain, measured.kith_seconds]);
                row.void |= measured.void;
                row.failed_calls += measured.failed;
            }
            shares.push(Shares::of(&run)?);
        }
        let samples: u64 = shares.iter().map(|one| one.samples).sum();
        let words = format!("{samples} answers in all, of each kind as many");
        rows.iter_mut().for_each(|row| row.notes.push(words.clone()));
        bench.keep(rows);
        bench.keep(lengths_rows(lengths, &shares));
        Ok(())
    });
}

fn mixed(bench: &Bench<'_>, servers: &Servers) -> Result<Outcome> {
    let mut run = bench.run(&servers.kithd, "lookup-hit=1,lookup-miss=1", None, ONE);
    run.more.push(String::from("--truth-percent=0"));
    answered(run.outcome(bench.place)?)
}

fn kinds(outcome: &Outcome) -> Result<(&Figures, &Figures)> {
    let kind = |name: &str| outcome.kinds.get(name).with_context(|| format!("no answers of {name}"));
    Ok((kind("lookup-hit")?, kind("lookup-miss")?))
}

/// Percent of the answers of either kind that have a length.
struct Shares {
    of: BTreeMap<u64, [f64; 2]>,
    samples: u64,
}

impl Shares {
    #[expect(clippy::cast_precision_loss, reason = "for people")]
    fn of(outcome: &Outcome) -> Result<Self> {
        let (found, not_found) = kinds(outcome)?;
        let mut of: BTreeMap<u64, [f64; 2]> = BTreeMap::new();
        for (at, figures) in [found, not_found].into_iter().enumerate() {
            for (length, count) in &figures.reply_lengths {
                of.entry(*length).or_default()[at] += 100.0 * *count as f64 / figures.ok.max(1) as f64;
            }
        }
        Ok(Self { of, samples: found.ok + not_found.ok })
    }

    /// Half the sum of the differences: so many in a hundred can be told apart by length.
    fn apart(&self) -> f64 {
        self.of.values().map(|[found, not_found]| (found - not_found).abs()).sum::<f64>() / 2.0
    }
}

fn lengths_rows(mut apart: Row, shares: &[Shares]) -> Vec<Row> {
    let mut lengths: Vec<u64> = shares.iter().flat_map(|one| one.of.keys().copied()).collect();
    lengths.sort_unstable();
    lengths.dedup();
    let row = |length: &u64| {
        let name = format!("found vs not found: answers of {length} bytes");
        Row::new(&name, "percent", Reach::Report, ["found", "not found"]).difference()
    };
    let mut rows: Vec<Row> = lengths.iter().map(row).collect();
    for (round, one) in shares.iter().enumerate() {
        let again = round % 2 == 1;
        if again {
            apart.again.push(one.apart())
        } else {
            apart.measured.push(one.apart())
        }
        for (row, length) in rows.iter_mut().zip(&lengths) {
            let [found, not_found] = one.of.get(length).copied().unwrap_or_default();
            if again {
                row.again.push(found);
            } else {
                row.measured.push(found);
                row.compared.push(not_found);
            }
        }
    }
    let is_shown = |row: &Row| row.measured.iter().chain(&row.compared).any(|share| *share >= SHOWN_PERCENT);
    rows.retain(is_shown);
    rows.push(apart);
    rows
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lengths_that_differ_tell_apart() {
        let of = BTreeMap::from([(1024, [60.0, 100.0]), (2048, [40.0, 0.0])]);
        let one = || Shares { of: of.clone(), samples: 10 };
        assert_eq!(one().apart(), 40.0);
        let rows =
            lengths_rows(Row::figure("x", "percent", Reach::AtMost(5.0)), &std::array::from_fn::<_, 10, _>(|_| one()));
        assert_eq!(rows.len(), 3);
        assert_eq!((rows[0].measured[0], rows[0].compared[0], rows[0].again[0]), (60.0, 100.0, 60.0));
        assert_eq!((rows[2].measured[0], rows[2].says().as_str()), (40.0, "missed"));
    }
}
