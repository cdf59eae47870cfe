//! How a comparison is measured: in rounds, each the first, the second, and the first again. One measurement may give the
//! figures of several rows. A comparison that cannot be measured is a row that says so; the others are measured all the same.

use std::cell::Cell;
use std::time::Duration;

use anyhow::Result;
use kith_load::Outcome;
use kith_load::machine::Machine;
use kith_load::outcome::Figures;

use crate::Arguments;
use crate::drain;
use crate::england::Place;
use crate::figures::Row;
use crate::load::{Processors, Run};
use crate::punctual;
use crate::report;
use crate::servers::Server;

/// The traffic of most comparisons.
pub const CONNECTIONS: u32 = 8;
pub const IN_FLIGHT: u32 = 16;
/// The rate of those about latency.
pub const RATE: f64 = 2_000.0;
/// How many times as long latency at that rate is measured: one answer in a thousand is few in a second.
pub const TAIL: f64 = 4.0;
/// Answers that the generator holds against what is true, in percent. It runs on the same processors, and what a lookup is
/// compared with holds none against anything.
const VERIFIED_PERCENT: u32 = 1;
/// How often a measurement whose generator missed its schedule is repeated.
const REPEATS: usize = 4;
/// More failed calls than one in so many, and nothing is measured.
const FAILED_OF: u64 = 1_000;

/// Connections, and requests in flight on each.
pub type Shape = (u32, u32);
/// The usual one.
pub const USUAL: Shape = (CONNECTIONS, IN_FLIGHT);

/// Everything that is measured, and what it is measured with.
pub struct Bench<'a> {
    pub arguments: &'a Arguments,
    pub place: &'a Place,
    pub rows: Vec<Row>,
    /// Metrics pages of the servers whose history is waited for after each turn, whenever they run.
    pub metrics: Vec<String>,
    /// What is in force of the configuration of those that Kith is compared with.
    pub peers: Vec<String>,
    /// What the generator draws people and moments by: the same for the turns of a round, another for every round.
    pub seed: Cell<u64>,
    /// As it was before the first measurement.
    machine: Machine,
}

/// What one measurement gave: a value for each of the rows measured together.
pub struct Measured {
    pub values: Vec<f64>,
    pub void: bool,
    /// Calls that failed: none of them counts as an answer.
    pub failed: u64,
    /// Seconds for which Kith was asked, warm-up included; nought of anything else.
    pub kith_seconds: f64,
}

impl Measured {
    /// Of something that has no schedule to miss.
    pub fn sure(values: Vec<f64>) -> Self {
        Self { values, void: false, failed: 0, kith_seconds: 0.0 }
    }

    /// Other values of a run of the generator.
    pub fn with(outcome: &Outcome, values: Vec<f64>) -> Self {
        let asked = outcome.plan.mix.keys().any(|kind| kind.starts_with("lookup") || kind == "check-in");
        let kith_seconds = if asked { outcome.plan.warm_up_seconds + outcome.measured_seconds } else { 0.0 };
        // Without the priority that was asked for, one side would be measured otherwise than the other.
        let generator = &outcome.generator;
        let late = outcome.plan.real_time && generator.real_time_threads != generator.threads;
        Self { values, void: outcome.void || late, failed: outcome.total.failed, kith_seconds }
    }

    /// Of a run of the generator.
    pub fn of(outcome: &Outcome, values: &[&dyn Fn(&Figures) -> f64]) -> Self {
        Self::with(outcome, values.iter().map(|value| value(&outcome.total)).collect())
    }
}

impl<'a> Bench<'a> {
    pub fn new(arguments: &'a Arguments, place: &'a Place) -> Self {
        let metrics = vec![place.metrics().to_owned()];
        Self {
            arguments,
            place,
            rows: Vec::new(),
            metrics,
            peers: Vec::new(),
            seed: Cell::new(0),
            machine: Machine::here(),
        }
    }

    /// Tells what one that Kith is compared with is set to.
    pub fn peer(&mut self, settings: String) {
        println!("{settings}");
        self.peers.push(settings);
    }

    /// Whether any of these rows is asked for.
    pub fn wants(&self, rows: &[Row]) -> bool {
        let only = &self.arguments.only;
        let named = |row: &Row| only.iter().any(|wanted| row.name.contains(wanted.as_str()));
        only.is_empty() || rows.iter().any(named)
    }

    /// A run of the generator against a server.
    pub fn run<'r>(&self, server: &'r Server, mix: &'r str, rate: Option<f64>, shape: Shape) -> Run<'r> {
        let (connections, in_flight) = shape;
        let seconds = self.arguments.seconds;
        let verified = if mix.starts_with("empty") { 0 } else { VERIFIED_PERCENT };
        let more = vec![format!("--verify-percent={verified}"), format!("--seed={}", self.seed.get())];
        let processors = if rate.is_some() { Processors::Generator } else { Processors::All };
        Run { server: &server.address, mix, rate, connections, in_flight, seconds, processors, more }
    }

    /// The same, to its end.
    pub fn outcome(&self, server: &Server, mix: &str, rate: Option<f64>, shape: Shape) -> Result<Outcome> {
        answered(self.run(server, mix, rate, shape).outcome(self.place)?)
    }

    /// Latency at the usual rate and shape.
    pub fn at_rate(&self, server: &Server, mix: &str) -> Result<Outcome> {
        let mut run = self.run(server, mix, Some(RATE), USUAL);
        run.seconds *= TAIL;
        answered(run.outcome(self.place)?)
    }

    /// Measures the rounds of rows that are measured together: the first, the second, and the first again.
    pub fn rounds(
        &mut self,
        mut rows: Vec<Row>,
        mut first: impl FnMut(&Self) -> Result<Measured>,
        mut second: impl FnMut(&Self) -> Result<Measured>,
    ) {
        if !self.wants(&rows) {
            return;
        }
        if let Err(error) = self.measure(&mut rows, &mut first, &mut second) {
            fail(&mut rows, &error);
        }
        self.keep(rows);
    }

    fn measure(
        &self,
        rows: &mut [Row],
        first: &mut dyn FnMut(&Self) -> Result<Measured>,
        second: &mut dyn FnMut(&Self) -> Result<Measured>,
    ) -> Result<()> {
        for _ in 0..self.arguments.rounds_for(rows) {
            self.seed.set(self.seed.get() + 1);
            for turn in 0..3 {
                let mut once = |rows: &mut [Row]| {
                    let waited = punctual::wait(Duration::from_secs(self.arguments.wait_s)).as_secs_f64();
                    rows.iter_mut().for_each(|row| row.waited_s += waited);
                    self.drained(if turn == 1 { second(self) } else { first(self) }?)
                };
                let (mut measured, mut drain) = once(rows)?;
                for _ in 0..REPEATS {
                    if measured.void {
                        rows.iter_mut().for_each(|row| row.repeated += 1);
                        (measured, drain) = once(rows)?;
                    }
                }
                if measured.kith_seconds > 0.0 {
                    rows.iter_mut().for_each(|row| row.drains.push([drain, measured.kith_seconds]));
                }
                for (row, value) in rows.iter_mut().zip(&measured.values) {
                    row.void |= measured.void;
                    row.failed_calls += measured.failed;
                    [&mut row.measured, &mut row.compared, &mut row.again][turn].push(*value);
                }
            }
        }
        Ok(())
    }

    /// A turn and its drain, in seconds: whatever is measured next finds nothing left to do. Without its end the turn is void.
    pub fn drained(&self, mut measured: Measured) -> Result<(Measured, f64)> {
        let drain = drain::wait(&self.metrics)?;
        measured.void |= drain.is_none();
        Ok((measured, drain.unwrap_or_default()))
    }

    /// Takes rows in, tells them, and writes everything so far.
    pub fn keep(&mut self, rows: Vec<Row>) {
        for row in rows {
            match &row.failed {
                None if row.left_out => println!("{}: left out", row.name),
                Some(why) => println!("{}: NOT MEASURED: {why}", row.name),
                None => {
                    println!("{}: {} (A/A {}) {}", row.name, row.comparison().text(3), row.noise().text(3), row.says());
                    row.drain_note().iter().for_each(|note| println!("  {note}"));
                }
            }
            self.rows.push(row);
        }
        if let Err(error) = report::save(self.arguments, &self.machine, &self.peers, &self.rows) {
            println!("NOTE: the results could not be written: {error:#}");
        }
    }

    /// Adds a note to the last rows that were measured together.
    pub fn note(&mut self, rows: usize, words: &str) {
        println!("  {words}");
        let from = self.rows.len().saturating_sub(rows);
        self.rows.iter_mut().skip(from).for_each(|row| row.notes.push(words.to_owned()));
    }

    /// Does what rows need; where that cannot be done, they say so.
    pub fn or_not_measured(&mut self, mut rows: Vec<Row>, work: impl FnOnce(&mut Self) -> Result<()>) {
        if !self.wants(&rows) {
            return;
        }
        let before = self.rows.len();
        if let Err(error) = work(self) {
            let kept: Vec<String> = self.rows.iter().skip(before).map(|row| row.name.clone()).collect();
            rows.retain(|row| !kept.contains(&row.name));
            fail(&mut rows, &error);
            self.keep(rows);
        }
    }
}

/// An outcome of which nearly everything was answered: a figure of the rest would be one of another service.
pub fn answered(outcome: Outcome) -> Result<Outcome> {
    let Figures { offered, failed, errors, .. } = &outcome.total;
    anyhow::ensure!(failed * FAILED_OF <= *offered, "{failed} of {offered} calls failed: {errors:?}");
    Ok(outcome)
}

fn fail(rows: &mut [Row], error: &anyhow::Error) {
    rows.iter_mut().for_each(|row| row.failed = Some(format!("{error:#}")));
}

pub fn per_second(figures: &Figures) -> f64 {
    figures.ok_per_second
}

#[expect(clippy::cast_precision_loss, reason = "for people")]
pub fn us(nanoseconds: u64) -> f64 {
    nanoseconds as f64 / 1_000.0
}

pub fn p50(figures: &Figures) -> f64 {
    us(figures.latency_ns.p50)
}

pub fn p99(figures: &Figures) -> f64 {
    us(figures.latency_ns.p99)
}

pub fn p99_9(figures: &Figures) -> f64 {
    us(figures.latency_ns.p99_9)
}

/// Percent answered well within a millisecond of when they were due.
pub fn within_1ms(figures: &Figures) -> f64 {
    100.0 * figures.within_1ms_share
}
