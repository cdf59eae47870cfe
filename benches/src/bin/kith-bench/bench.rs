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
use crate::figures::{Against, Row};
use crate::load::{Processors, Run, WrongAnswers};
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
pub const VERIFIED_PERCENT: u32 = 1;
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
    /// An answer was wrong: nothing more is measured.
    wrong: Option<WrongAnswers>,
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
            wrong: None,
        }
    }

    /// Tells what one that Kith is compared with is set to.
    pub fn peer(&mut self, settings: String) {
        println!("{settings}");
        self.peers.push(settings);
    }

    /// Whether any of these rows is to be measured: it is asked for, and every answer was true until now.
    pub fn wants(&self, rows: &[Row]) -> bool {
        if self.wrong.is_some() {
            return false;
        }
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
            self.not_measured(&mut rows, &error);
        }
        self.keep(rows);
    }

    /// Of these rows nothing can be said. After a wrong answer nothing more is measured of any.
    fn not_measured(&mut self, rows: &mut [Row], error: &anyhow::Error) {
        rows.iter_mut().for_each(|row| row.failed = Some(format!("{error:#}")));
        self.wrong = self.wrong.take().or_else(|| error.downcast_ref::<WrongAnswers>().cloned());
    }

    /// Ends a run in which an answer was wrong.
    ///
    /// # Errors
    /// What was wrong.
    pub fn answers_were_true(&mut self) -> Result<()> {
        self.wrong.take().map_or(Ok(()), |wrong| Err(wrong.into()))
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
                let tries = tries(|| {
                    let waited = punctual::wait(Duration::from_secs(self.arguments.wait_s)).as_secs_f64();
                    let (measured, drain) = self.drained(if turn == 1 { second(self) } else { first(self) }?)?;
                    Ok(Try { measured, drain, waited })
                })?;
                take(rows, turn, &tries);
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
            self.not_measured(&mut rows, &error);
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

/// A turn as it was measured once.
struct Try {
    measured: Measured,
    /// Seconds.
    drain: f64,
    /// Seconds for which it waited until the machine kept time.
    waited: f64,
}

/// Measures a turn, and again while it is void: each of them in order.
fn tries(mut once: impl FnMut() -> Result<Try>) -> Result<Vec<Try>> {
    let mut tries = vec![once()?];
    while tries.len() <= REPEATS && tries.last().is_some_and(|last| last.measured.void) {
        tries.push(once()?);
    }
    Ok(tries)
}

/// Takes a turn into its rows: the figures of the last of its tries. What went wrong is counted of every one: a void try says
/// nothing of how long something takes, and what must never happen has happened in it all the same.
fn take(rows: &mut [Row], turn: usize, tries: &[Try]) {
    let Some((last, repeated)) = tries.split_last() else { return };
    for (at, row) in rows.iter_mut().enumerate() {
        row.waited_s += tries.iter().map(|one| one.waited).sum::<f64>();
        row.repeated += repeated.len();
        row.void |= last.measured.void;
        row.failed_calls += tries.iter().map(|one| one.measured.failed).sum::<u64>();
        if last.measured.kith_seconds > 0.0 {
            row.drains.push([last.drain, last.measured.kith_seconds]);
        }
        let value = |one: &Try| one.measured.values.get(at).copied();
        let value: Option<f64> = match row.against {
            Against::Total => Some(tries.iter().filter_map(value).sum()),
            Against::Ratio | Against::Difference | Against::Figure => value(last),
        };
        [&mut row.measured, &mut row.compared, &mut row.again][turn].extend(value);
    }
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

#[cfg(test)]
mod tests {
    use anyhow::bail;
    use clap::Parser as _;

    use super::*;
    use crate::figures::Reach;

    fn one(values: [f64; 2], void: bool, failed: u64) -> Try {
        let measured = Measured { values: values.to_vec(), void, failed, kith_seconds: 4.0 };
        Try { measured, drain: 1.0, waited: 2.0 }
    }

    #[test]
    fn a_turn_is_repeated_while_it_is_void_and_no_oftener_than_may_be() {
        let count = |void: &[bool]| {
            let mut void = void.iter().copied();
            tries(|| Ok(one([0.0; 2], void.next().unwrap(), 0))).unwrap().len()
        };
        assert_eq!((count(&[false]), count(&[true, true, false])), (1, 3));
        assert_eq!(count(&[true; 1 + REPEATS]), 1 + REPEATS);
        assert!(tries(|| bail!("it could not run")).is_err());
    }

    #[test]
    fn the_errors_of_a_repeated_turn_count_and_its_figures_do_not() {
        let mut rows =
            [Row::new("p50", "us", Reach::AtMost(1.0), ["a", "b"]), Row::total("errors", Reach::AtMost(0.0))];
        take(&mut rows, 0, &[one([70.0, 3.0], true, 5), one([80.0, 1.0], true, 0), one([10.0, 0.0], false, 2)]);
        take(&mut rows, 2, &[one([11.0, 0.0], false, 0)]);
        let [p50, errors] = &rows;
        assert_eq!((&p50.measured, &p50.again), (&vec![10.0], &vec![11.0]));
        assert_eq!((&errors.measured, &errors.again), (&vec![4.0], &vec![0.0]));
        assert_eq!((errors.repeated, errors.void, errors.waited_s), (2, false, 8.0));
        assert_eq!((errors.failed_calls, errors.drains.len()), (7, 2));
        assert_eq!((errors.comparison().median, errors.says().as_str()), (4.0, "missed"));
    }

    #[test]
    fn after_a_wrong_answer_nothing_more_is_measured() {
        let scratch = tempfile::tempdir().unwrap();
        let folder = scratch.path().to_str().unwrap();
        let words = ["kith-bench", "--folder", folder, "--programs", folder, "--results", folder, "--wait-s", "0"];
        let arguments = Arguments::parse_from(words);
        let place = Place::new(folder.into(), folder.into()).unwrap();
        let mut bench = Bench::new(&arguments, &place);
        let row = |name: &str| Row::new(name, "us", Reach::Report, ["a", "b"]);
        bench.rounds(vec![row("first")], |_| bail!("no server"), |_| bail!("no server"));
        assert!(bench.wants(&[row("second")]) && bench.answers_were_true().is_ok(), "only that row is lost");
        bench.rounds(vec![row("second")], |_| Err(WrongAnswers("one is wrong".into()).into()), |_| bail!("no server"));
        assert!(!bench.wants(&[row("third")]));
        bench.or_not_measured(vec![row("third")], |_| panic!("it is measured"));
        let failed: Vec<_> = bench.rows.iter().map(|row| row.failed.clone().unwrap()).collect();
        assert_eq!(failed, ["no server", "one is wrong"]);
        assert!(bench.answers_were_true().unwrap_err().is::<WrongAnswers>());
    }
}
