//! The search for the rate that the service still carries: up in steps until one is not carried, then halfway between the
//! last that was and the first that was not. A step that is not carried is tried once more, so that one moment of trouble,
//! of the service or of the generator, does not end the search. An answer that is not true does, at once: how fast a service
//! is wrong is of no interest.

use anyhow::Result;

use crate::outcome::{Drain, Knee, KneeStep, Outcome, Verification};
use crate::plan::{Arrivals, Plan, Shape};
use crate::progress;
use crate::run::{self, Target};

/// How to search.
#[derive(Clone, Debug)]
pub struct Search {
    /// The first rate, per second.
    pub start: f64,
    /// Each step's rate is the last one's times this.
    pub factor: f64,
    /// No step goes beyond this rate.
    pub most: f64,
    /// Steps between the last rate carried and the first one not.
    pub halvings: u32,
    /// A step is carried while its 99th percentile is at most this, in microseconds.
    pub p99_bound_us: u64,
    /// And while at least this share of what was due is answered well, 0 to 1.
    pub goodput_bound: f64,
}

/// Where a search stands.
#[derive(Debug, Default)]
struct State {
    carried: Option<f64>,
    not_carried: Option<f64>,
    halved: u32,
    /// Not carried once, and to be tried again.
    doubted: Option<f64>,
}

impl Search {
    /// The next rate to try; none when the search is over.
    fn next(&self, state: &State) -> Option<f64> {
        if let Some(rate) = state.doubted {
            return Some(rate);
        }
        match (state.carried, state.not_carried) {
            (None, None) => Some(self.start.min(self.most)),
            (Some(carried), None) => (carried < self.most).then(|| (carried * self.factor).min(self.most)),
            (None, Some(_)) => None,
            (Some(carried), Some(not)) => (state.halved < self.halvings).then(|| f64::midpoint(carried, not).round()),
        }
    }

    /// What a step said.
    fn note(&self, state: &mut State, rate: f64, carried: bool) {
        let again = state.doubted.take() == Some(rate);
        if !carried && !again {
            state.doubted = Some(rate);
            return;
        }
        state.halved += u32::from(state.not_carried.is_some());
        let side = if carried { &mut state.carried } else { &mut state.not_carried };
        *side = Some(rate);
    }

    /// Judges one step.
    fn judge(&self, outcome: &Outcome, rate: f64) -> KneeStep {
        let total = &outcome.total;
        let goodput = if total.offered > 0 { total.ok as f64 / total.offered as f64 } else { 0.0 };
        let p99_us = total.latency_ns.p99 / 1_000;
        let wrong = outcome.verification.wrong;
        let why_not = if wrong > 0 {
            format!("{wrong} answers differ from what is true")
        } else if outcome.void {
            "the generator itself was late: nothing can be said of this rate".to_owned()
        } else if goodput < self.goodput_bound {
            format!("{:.2} % of what was due was answered well", goodput * 100.0)
        } else if p99_us > self.p99_bound_us {
            format!("p99 {p99_us} us is beyond {} us", self.p99_bound_us)
        } else {
            left_behind(outcome.drain.as_ref(), outcome.measured_seconds).unwrap_or_default()
        };
        let cores = outcome.generator.server_cpu_seconds.map(|cpu| cpu / outcome.measured_seconds);
        KneeStep {
            rate_per_second: rate,
            ok_per_second: total.ok_per_second,
            latency_ns: crate::outcome::Latency { curve: Vec::new(), ..total.latency_ns.clone() },
            within_1ms_share: total.within_1ms_share,
            failed: total.failed,
            server_cores: cores,
            void: outcome.void,
            carried: why_not.is_empty(),
            why_not,
        }
    }
}

/// Runs the search. The outcome is that of the highest rate carried, or of the first step when none was; how answers were held
/// against what is true, and what went wrong, is of all steps.
///
/// # Errors
/// The service cannot be reached.
pub fn find(target: &Target, plan: &Plan, search: &Search, arrivals: Arrivals) -> Result<Outcome> {
    let mut state = State::default();
    let mut steps = Vec::new();
    let mut best: Option<Outcome> = None;
    let (mut trouble, mut told) = (Vec::new(), Verification::default());
    let mut setup = run::prepare(target, plan.clone())?;
    while let Some(rate) = search.next(&state) {
        let shape = Shape::Open { rate_per_second: rate, arrivals };
        setup = run::again(setup, Plan { shape, ..plan.clone() })?;
        let running = run::begin(target, &setup)?;
        let bar = progress::watch(&running, setup.window);
        let (outcome, _) = running.finish(target, "knee")?;
        bar.finish();
        let step = search.judge(&outcome, rate);
        eprintln!("{}", words(&step));
        search.note(&mut state, rate, step.carried);
        trouble.extend(outcome.failures.clone());
        told.join(&outcome.verification);
        let better = step.carried && state.carried == Some(rate);
        if best.is_none() || better {
            best = Some(outcome);
        }
        steps.push(step);
        if told.wrong > 0 {
            break;
        }
    }
    let mut outcome = best.ok_or_else(|| anyhow::anyhow!("no step was taken"))?;
    outcome.failures = trouble;
    // Of all steps: what was wrong in one that was too much is as wrong.
    outcome.verification = told;
    outcome.knee = Some(Knee {
        p99_bound_us: search.p99_bound_us,
        goodput_bound: search.goodput_bound,
        carried_per_second: state.carried.unwrap_or(0.0),
        not_carried_per_second: state.not_carried,
        steps,
    });
    Ok(outcome)
}

/// A service that answers faster than it writes down who asked does not carry the rate: it only owes the rest.
fn left_behind(drain: Option<&Drain>, measured_seconds: f64) -> Option<String> {
    let drain = drain.filter(|drain| drain.seconds > measured_seconds)?;
    Some(format!("its access history took {:.1} s more, longer than it was asked for", drain.seconds))
}

fn words(step: &KneeStep) -> String {
    let p99 = crate::report::time(step.latency_ns.p99);
    let verdict = if step.carried { "carried" } else { &step.why_not };
    format!("  {:>9.0} / s: {:>9.1} answered, p99 {p99}: {verdict}", step.rate_per_second, step.ok_per_second)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn search() -> Search {
        Search { start: 100.0, factor: 2.0, most: 10_000.0, halvings: 3, p99_bound_us: 5_000, goodput_bound: 0.99 }
    }

    /// The rates tried against a service that carries so much, and what was found.
    fn rates(search: &Search, carries: f64) -> (Vec<f64>, Option<f64>, Option<f64>) {
        let mut state = State::default();
        let mut tried = Vec::new();
        while let Some(rate) = search.next(&state) {
            tried.push(rate);
            search.note(&mut state, rate, rate <= carries);
            assert!(tried.len() < 100, "it ends");
        }
        (tried, state.carried, state.not_carried)
    }

    #[test]
    fn it_goes_up_until_it_is_too_much_and_then_halfway() {
        let (tried, carried, not) = rates(&search(), 1_000.0);
        let expected = [100.0, 200.0, 400.0, 800.0, 1_600.0, 1_600.0, 1_200.0, 1_200.0, 1_000.0, 1_100.0, 1_100.0];
        assert_eq!(tried, expected, "what is not carried is tried twice");
        assert_eq!((carried, not), (Some(1_000.0), Some(1_100.0)));
    }

    #[test]
    fn one_moment_of_trouble_does_not_end_it() {
        let (search, mut state) = (search(), State::default());
        for (rate, carried) in [(100.0, false), (100.0, true), (200.0, true), (400.0, false), (400.0, true)] {
            assert_eq!(search.next(&state), Some(rate));
            search.note(&mut state, rate, carried);
        }
        assert_eq!((search.next(&state), state.carried, state.not_carried), (Some(800.0), Some(400.0), None));
    }

    #[test]
    fn a_rate_whose_history_takes_longer_than_the_step_is_not_carried() {
        let drain = |seconds| Drain { seconds, ..Drain::default() };
        assert_eq!(left_behind(Some(&drain(5.0)), 5.0), None);
        assert!(left_behind(Some(&drain(5.1)), 5.0).is_some_and(|why| why.contains("5.1 s more")));
        assert_eq!(left_behind(None, 5.0), None, "nobody looked");
    }

    #[test]
    fn it_ends_at_its_bounds() {
        assert_eq!(rates(&search(), 50.0), (vec![100.0, 100.0], None, Some(100.0)));
        let (tried, carried, not) = rates(&search(), 1e9);
        assert_eq!((tried.last(), carried, not), (Some(&10_000.0), Some(10_000.0), None));
    }
}
