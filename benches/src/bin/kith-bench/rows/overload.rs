//! Overload: kithd held to a quarter of a core, offered what it carries and five times as much.

use std::thread;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use kith_load::Outcome;
use kith_load::outcome::Slot;

use crate::bench::{Bench, Measured, Shape, per_second};
use crate::cgroup::Held;
use crate::cores::Kept;
use crate::drain;
use crate::figures::{Reach, Row};
use crate::load::{self, Run};
use crate::servers::Server;

use super::Servers;

/// As many connections as there are emergency departments, more or less.
const MANY: Shape = (100, 100);
/// Whoever asks waits so long, in milliseconds.
const TIMEOUT_MS: &str = "2000";
/// What the server may use, in cores.
const CORES: f64 = 0.25;
/// Searches for the knee.
const SEARCHES: usize = 3;
/// How far beyond the knee.
const TIMES: f64 = 5.0;
/// The knee is where the tail reaches a quarter of the patience, in microseconds: held to turns of a cgroup, a server has a tail of tens of
/// milliseconds long before it is at its end, and what is answered within the patience counts on either side.
const KNEE_US: &str = "500000";
/// What a server answers beyond its knee, offered several times as much, it carries as well: the search ended too low.
const TOO_LOW: f64 = 1.1;
/// A server that answers so many times its knee was not at it.
const NO_KNEE: f64 = 1.5;
/// Those who ask beside the overload, to see when it is over, ask at this share of the knee.
const WATCHING: f64 = 0.1;
/// Before the overload, and after it: longer than the recovery that is to be reached.
const QUIET_SECONDS: f64 = 6.0;
const AFTER_SECONDS: f64 = 9.0;
/// The overload's connections are opened so long before it begins: that is not before any more.
const OPENING_SECONDS: f64 = 1.0;
/// A tail below this is as usual, in nanoseconds. The turns of the cgroup are 10 ms, so that a few of
/// them in a row are no overload.
const USUAL_NS: u64 = 100_000_000;

pub fn measure(bench: &mut Bench<'_>, servers: &Servers) {
    let names = ["5 x the knee", "the knee"];
    let rows = || {
        vec![
            Row::new("overload, a quarter of a core: goodput at 5 x the knee vs at the knee", "1/s", Reach::AtLeast(0.9), names),
            Row::figure("overload, a quarter of a core: recovery", "s", Reach::AtMost(5.0)).note(
                "from the end of the overload until the p99 of a low rate is at most twice what it was before, or 100 ms, one part of 0.4 s in five excepted, and nothing fails; where that never came, the 9 s that are watched stand here",
            ),
            Row::figure("overload, a quarter of a core: recovery, until every part after it is as before", "s", Reach::Report)
                .note(&format!("the same without the exception; {AFTER_SECONDS} s are watched, and where that never came so many stand here")),
        ]
    };
    bench.or_not_measured(rows(), |bench| {
        let kithd = &servers.kithd;
        let _kept = Kept::of(kithd)?;
        let _held = Held::to(kithd.id(), CORES).context("failed to hold kithd to a share of a core")?;
        let knee = knee(bench, kithd)?;
        let words = format!(
            "the knee: {knee:.0}/s, the highest with a p99 of at most 500 ms and 99 of 100 answered, or what was answered beyond it; 100 connections, {TIMEOUT_MS} ms patience counted from when \
             a request was due; a cgroup with turns of 10 ms"
        );
        let rows = rows().into_iter().map(|row| row.note(&words)).collect();
        bench.rounds(
            rows,
            |bench| overload(bench, kithd, knee),
            |bench| {
                let outcome = run(bench, kithd, knee).outcome(bench.place)?;
                // Of the other rows nothing is compared.
                let values = vec![per_second(&outcome.total), 0.0, 0.0];
                Ok(Measured { failed: 0, ..Measured::with(&outcome, values) })
            },
        );
        Ok(())
    });
}

/// The highest of some searches: one that meets a few bad turns in a row ends far too low, and none ends too high. Where it answers
/// more than that when it is offered several times as much, that is the knee.
fn knee(bench: &Bench<'_>, kithd: &Server) -> Result<f64> {
    let mut knee = 0.0_f64;
    for _ in 0..SEARCHES {
        knee = knee.max(search(bench, kithd)?);
        // The next one would begin in what this one left to do.
        ensure!(drain::wait(&bench.metrics)?.is_some(), "the history of a search did not drain");
    }
    ensure!(knee > 0.0, "no rate was carried");
    for _ in 0..SEARCHES {
        let good = per_second(&run(bench, kithd, knee * TIMES).outcome(bench.place)?.total);
        ensure!(drain::wait(&bench.metrics)?.is_some(), "the history of an overload did not drain");
        if good <= knee * TOO_LOW {
            break;
        }
        println!("a knee of {knee:.0}/s is raised to the {good:.0}/s that were answered beyond it");
        knee = good;
    }
    Ok(knee)
}

fn search(bench: &Bench<'_>, kithd: &Server) -> Result<f64> {
    let search = [
        ["--connections", "100"],
        ["--in-flight", "100"],
        ["--timeout-ms", TIMEOUT_MS],
        ["--p99-bound-us", KNEE_US],
        ["--goodput-percent", "99"],
        ["--start-rate", "500"],
        ["--factor", "1.6"],
        ["--halvings", "3"],
        ["--duration-s", "5"],
        ["--warm-up-s", "2"],
        // Whatever is late counts against the server here: the knee is only lower for it. The rounds may be void.
        ["--late-percent", "50"],
    ];
    let outcome = load::knee(bench.place, &kithd.address, search.as_flattened())?;
    let knee = outcome.knee.context("an outcome without a knee")?.carried_per_second;
    Ok(knee)
}

fn run<'r>(bench: &Bench<'_>, kithd: &'r Server, rate: f64) -> Run<'r> {
    let mut run = bench.run(kithd, "lookup=1", Some(rate), MANY);
    run.more.extend(["--timeout-ms", TIMEOUT_MS].map(String::from));
    run
}

/// Goodput under overload, and the recovery from it as others see it, who ask little all the time.
fn overload(bench: &Bench<'_>, kithd: &Server, knee: f64) -> Result<Measured> {
    let mut watch = run(bench, kithd, knee * WATCHING);
    (watch.connections, watch.in_flight) = (8, 100);
    watch.seconds = QUIET_SECONDS + bench.arguments.seconds + AFTER_SECONDS;
    let watch = watch.beside(bench.place, "watch")?;
    thread::sleep(Duration::from_secs_f64(QUIET_SECONDS));
    let outcome = run(bench, kithd, knee * TIMES).outcome(bench.place)?;
    let watched = watch.finish()?;
    let good = per_second(&outcome.total);
    ensure!(good <= knee * NO_KNEE, "{good:.0}/s were answered beyond a knee of {knee:.0}/s: it is none");
    let recovered = recovery(&watched, &outcome, 1)?;
    let strictly = recovery(&watched, &outcome, 0)?;
    let measured = Measured::with(&outcome, vec![good, recovered, strictly]);
    Ok(Measured { failed: 0, void: measured.void || watched.void, ..measured })
}

/// Seconds from the end of the overload to the beginning of the first part from which on everything is as before, but for so
/// many parts of any [`PARTS`] in a row; all that are watched where there is none.
#[expect(clippy::cast_precision_loss, reason = "for people")]
fn recovery(watched: &Outcome, overload: &Outcome, unusual: usize) -> Result<f64> {
    let begun = (overload.measured_from_unix_ms as f64 - watched.measured_from_unix_ms as f64) / 1_000.0;
    let before = begun - overload.plan.warm_up_seconds - OPENING_SECONDS;
    let slots = &watched.over_time;
    ensure!(slots.first().is_some_and(|slot| slot.at_seconds + slot.seconds <= before), "nothing is known of before");
    let end = begun + overload.measured_seconds;
    Ok(until_usual(slots, (before, end), unusual).unwrap_or(AFTER_SECONDS))
}

/// A part of less than half a second holds so few answers that its p99 is its slowest one: of so many parts in a row, one may be
/// unusual.
const PARTS: usize = 5;

fn until_usual(slots: &[Slot], (begun, end): (f64, f64), unusual: usize) -> Option<f64> {
    let is_over = |slot: &&Slot| slot.at_seconds + slot.seconds <= begun;
    let before = slots.iter().filter(is_over).map(|slot| slot.p99_ns).max()?;
    let is_usual = |slot: &Slot| slot.p99_ns <= (2 * before).max(USUAL_NS);
    let after: Vec<&Slot> = slots.iter().filter(|slot| slot.at_seconds + slot.seconds > end).collect();
    let mostly = |part: &[&Slot]| part.iter().filter(|slot| !is_usual(slot)).count() <= unusual;
    let from_on = |at: &usize| {
        let rest = after.get(*at..).unwrap_or_default();
        rest.first().is_some_and(|slot| is_usual(slot))
            && rest.iter().all(|slot| slot.failed == 0)
            && rest.windows(PARTS.min(rest.len())).all(mostly)
    };
    let first_usual = (0..after.len()).find(from_on)?;
    after.get(first_usual).map(|slot| (slot.at_seconds - end).max(0.0))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn slots(p99_ms: &[u64]) -> Vec<Slot> {
        let one = |(at, ms): (usize, &u64)| Slot {
            at_seconds: at as f64,
            seconds: 1.0,
            p99_ns: ms * 1_000_000,
            ..Slot::default()
        };
        p99_ms.iter().enumerate().map(one).collect()
    }

    #[test]
    fn recovery_ends_where_everything_after_it_is_usual() {
        let watched = slots(&[10, 12, 900, 900, 900, 300, 15, 300, 14, 12]);
        assert_eq!(until_usual(&watched, (2.0, 5.0), 1), Some(1.0), "one part in five is no overload");
        assert_eq!(until_usual(&watched, (2.0, 5.0), 0), Some(3.0), "it is with every part");
        let again = slots(&[10, 12, 900, 900, 900, 300, 15, 300, 300, 12]);
        assert_eq!(until_usual(&again, (2.0, 5.0), 1), Some(4.0));
        let mut failing = watched.clone();
        failing[8].failed = 1;
        assert_eq!(until_usual(&failing, (2.0, 5.0), 1), Some(4.0));
        failing[9].failed = 1;
        assert_eq!(until_usual(&failing, (2.0, 5.0), 1), None, "it was never as before");
        assert_eq!(until_usual(&slots(&[10, 10, 900, 10, 10]), (2.0, 3.0), 1), Some(0.0));
        assert_eq!(until_usual(&watched, (0.5, 5.0), 1), None, "nothing is known of before");
    }
}
