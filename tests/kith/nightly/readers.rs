//! Readers beside the load: each asks about children all the time and holds every answer against the states that are
//! admissible at that moment. It stops the run at the first answer that is none of them.

use std::sync::atomic::{AtomicBool, AtomicU8, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use kith_api::client::Client;
use kith_api::convert::time::date;
use kith_api::v1;
use kith_domain::change::PlanEvent;
use kith_domain::plan::{PlanKind, PlanState};
use kith_domain::time::{Day, Moment};
use rand::{RngExt as _, SeedableRng};
use rand_chacha::ChaCha8Rng;

use super::england::{Child, England, Part};
use crate::decade::files::{VERSIONS, events};
use crate::decade::ledger::Told;
use crate::decade::plans::{self, Line};
use crate::harness::{build, calls};

/// Where an authority's file of this night stands.
const NOT_SENT: u8 = 0;
const SENT: u8 = 1;
const ANSWERED: u8 = 2;

/// One night: what is loaded, and how far it has come.
pub struct Night<'a> {
    pub england: &'a England,
    /// 0 or 1.
    pub night: usize,
    pub today: Day,
    state: Vec<AtomicU8>,
    /// For each child, which of its parts some reader has seen as new: they stay so.
    seen_new: Vec<AtomicU8>,
    pub stop: AtomicBool,
    /// Answers about a child of a file that was being loaded; and those that showed it as before and as after.
    pub met: [AtomicUsize; 3],
}

/// A plan as a person reads it: kind, state, dates, authority, where it moves to.
type Read = (i32, i32, Option<v1::Date>, Option<v1::Date>, String, String, bool);

fn read(line: &Line) -> Read {
    let kind = match line.kind {
        Some(PlanKind::ChildProtection) => v1::PlanKind::ChildProtection,
        Some(PlanKind::LookedAfter) => v1::PlanKind::LookedAfter,
        Some(PlanKind::Unborn) => v1::PlanKind::Unborn,
        None => v1::PlanKind::Unspecified,
    };
    let state = match line.state {
        PlanState::Active => v1::PlanState::Active,
        PlanState::Future => v1::PlanState::Future,
        PlanState::Ended => v1::PlanState::Ended,
    };
    let code = |code: Option<kith_domain::codes::LaCode>| code.map(|code| code.to_string()).unwrap_or_default();
    let (authority, moving_to) = (code(line.authority), code(line.moving_to));
    (kind.into(), state.into(), line.start.map(date), line.end.map(date), authority, moving_to, line.moving)
}

fn found(plan: &v1::Plan) -> Read {
    let code = |authority: &Option<v1::Authority>| authority.as_ref().map(|a| a.code.clone()).unwrap_or_default();
    let (authority, moving_to) = (code(&plan.authority), code(&plan.moving_to));
    (plan.kind, plan.state, plan.start, plan.end, authority, moving_to, plan.moving)
}

fn sorted(mut plans: Vec<Read>) -> Vec<String> {
    plans.sort_by_key(|plan| format!("{plan:?}"));
    plans.iter().map(|plan| format!("{plan:?}")).collect()
}

impl<'a> Night<'a> {
    pub fn new(england: &'a England, night: usize, today: Day) -> Self {
        Self {
            england,
            night,
            today,
            state: england.authorities.iter().map(|_| AtomicU8::new(NOT_SENT)).collect(),
            seen_new: england.children.iter().map(|_| AtomicU8::new(0)).collect(),
            stop: AtomicBool::new(false),
            met: Default::default(),
        }
    }

    pub fn sending(&self, authority: usize) {
        self.state[authority].store(SENT, Ordering::SeqCst);
    }

    pub fn answered(&self, authority: usize) {
        self.state[authority].store(ANSWERED, Ordering::SeqCst);
    }

    /// The parts of a child whose file stands like this, as bits.
    fn parts(&self, child: &Child, is: impl Fn(u8) -> bool) -> u8 {
        let at = |part: &Part| is(self.state[part.authority].load(Ordering::SeqCst));
        child.parts.iter().enumerate().map(|(n, part)| u8::from(at(part)) << n).sum()
    }

    /// What was told of a part by this night's file and by those before it, or by those before it alone.
    fn told(&self, part: &Part, new: bool) -> Vec<Told> {
        let mut told = Vec::new();
        let code = self.england.authorities[part.authority];
        let nights = self.night + usize::from(new);
        for (night, row) in (1..).zip(&part.nights).take(nights) {
            let events: Vec<PlanEvent> = match (row, &part.nights[0]) {
                (Some(row), _) => events(code, night, 1, row),
                // Left out of the second night's file: it ends on that day.
                (None, Some(before)) if night == 2 => {
                    let mut ending = events(code, night, 1, before);
                    for event in &mut ending {
                        event.action = kith_domain::change::PlanAction::End;
                        (event.end, event.version) = (Some(self.today), night * VERSIONS + VERSIONS - 1);
                    }
                    ending
                }
                (None, _) => Vec::new(),
            };
            told.extend(events.into_iter().map(|event| Told::Plan(Moment(0), event)));
        }
        told
    }

    /// What must be shown when these parts are new and the others are not; and whether the record is shielded.
    fn expected(&self, child: &Child, new: u8) -> (Vec<String>, bool) {
        let parts = child.parts.iter().enumerate();
        let facts: Vec<Told> = parts.flat_map(|(n, part)| self.told(part, new & (1 << n) != 0)).collect();
        let shielded = facts.iter().any(|told| matches!(told, Told::Plan(_, event) if event.shielded));
        let mut lines = plans::lines(&plans::held(&[facts.as_slice()], self.today), self.today);
        if shielded {
            lines.iter_mut().for_each(|line| (line.authority, line.moving_to) = (None, None));
        }
        (sorted(lines.iter().map(read).collect()), shielded)
    }

    /// Asks about one child, and gives how long it took. An answer that is not admissible ends the run.
    pub async fn ask(&self, client: &Client, trust: &str, place: usize) -> Duration {
        let child = &self.england.children[place];
        // Answered before the question, or seen as new before it: no longer old. Not sent after the answer: not new yet.
        let must_be_new = self.parts(child, |state| state == ANSWERED) | self.seen_new[place].load(Ordering::SeqCst);
        let asked = Instant::now();
        let answer = calls::ask(client, build::lookup(trust, child.number)).await;
        let took = asked.elapsed();
        let may_be_new = self.parts(child, |state| state != NOT_SENT);
        let plans = answer.plans.clone().expect("a plan answer");
        let shown = sorted(plans.plans.iter().map(found).collect());
        let every =
            (0..1_u8 << child.parts.len()).filter(|new| new & must_be_new == must_be_new && new & !may_be_new == 0);
        let every: Vec<u8> = every.collect();
        let fits = |new: &&u8| self.expected(child, **new) == (shown.clone(), answer.shielded);
        let fitting: Vec<u8> = every.iter().filter(fits).copied().collect();
        assert!(
            !fitting.is_empty(),
            "night {}, child {place} ({}): found {shown:?}, admissible {:?}",
            self.night + 1,
            child.fate,
            every.iter().map(|new| self.expected(child, *new)).collect::<Vec<_>>()
        );
        self.check_outcome(place, &plans);
        if may_be_new & !must_be_new != 0 && every.len() > fitting.len() {
            self.met[0].fetch_add(1, Ordering::Relaxed);
            self.met[if fitting.contains(&must_be_new) { 1 } else { 2 }].fetch_add(1, Ordering::Relaxed);
        }
        let seen = fitting.iter().fold(u8::MAX, |all, new| all & new);
        self.seen_new[place].fetch_or(seen, Ordering::SeqCst);
        took
    }

    /// What is held is said to be held; what is not is said as the answer's own counts of feeds allow. And whoever has a
    /// plan in force before and after is never without one.
    fn check_outcome(&self, place: usize, plans: &v1::PlanAnswer) {
        let child = &self.england.children[place];
        let feeds = plans.completeness.clone().unwrap_or_default();
        let doubtful = feeds.stale + feeds.absent + feeds.thin;
        let expected = if !plans.plans.is_empty() {
            v1::Outcome::Held
        } else if doubtful * 10 > feeds.feeds || !feeds.named.is_empty() {
            v1::Outcome::CannotSay
        } else {
            v1::Outcome::NoneHeld
        };
        assert_eq!(plans.outcome(), expected, "child {place} ({}): {doubtful} of {} feeds", child.fate, feeds.feeds);
        let kept = self.night == 1 && !["new", "ended", "withdrawn"].contains(&child.fate);
        let active = plans.plans.iter().any(|plan| plan.state() == v1::PlanState::Active);
        assert!(active || !kept, "child {place} ({}) is shown without a plan in force: {:?}", child.fate, plans.plans);
    }

    /// Whom to ask about next: mostly children of files that are being loaded, above all those whom they change.
    fn whom(&self, dice: &mut ChaCha8Rng) -> usize {
        let of = dice.random_range(0..self.england.authorities.len());
        let near = (0..self.england.authorities.len()).map(|n| (of + n) % self.england.authorities.len());
        let loading = near.clone().find(|of| self.state[*of].load(Ordering::SeqCst) == SENT);
        let which = usize::from(self.night == 1 && dice.random_bool(0.8));
        let list = loading.filter(|_| dice.random_bool(0.7)).map(|of| &self.england.of_authority[of][which]);
        match list {
            Some(list) if !list.is_empty() => list[dice.random_range(0..list.len())],
            _ => dice.random_range(0..self.england.children.len()),
        }
    }

    /// Asks until told to stop, and for at least so long; gives every time.
    pub async fn reader(&self, client: Client, trust: &str, seed: u64, least: Duration) -> Vec<Duration> {
        let (mut dice, mut times, begun) = (ChaCha8Rng::seed_from_u64(seed), Vec::new(), Instant::now());
        while !self.stop.load(Ordering::SeqCst) || begun.elapsed() < least {
            let place = self.whom(&mut dice);
            times.push(self.ask(&client, trust, place).await);
        }
        times
    }
}
