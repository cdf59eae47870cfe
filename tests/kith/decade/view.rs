//! What a person would read in an answer, in one form for what was found and what the naive model expects. A field that
//! the model knows nothing of is not compared; a field that it does know is compared exactly.

use std::fmt::Debug;

use kith_domain::answer::{Answer, Beyond, Body, Doubt, OpenBody, Outcome, PlanView, ShieldedBody};
use kith_domain::feed::{FeedCounts, FeedState};
use kith_domain::identity::IdentityCheck;
use kith_domain::presentation::Outcome as Ended;
use kith_domain::time::Day;

use super::plans::Line;
use super::seen::{Details, Row};

/// The outcome of one of the questions.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Said<T> {
    Held(T),
    NoneHeld,
    CannotSay(Vec<Doubt>),
}

/// Presentations listed at one side of "elsewhere", and what is cut off.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Listed {
    pub shown: Vec<(String, Option<Details>, Ended)>,
    pub window: u32,
    pub cap: u32,
}

/// Feeds: fresh, stale, absent, thin, age of the oldest fresh one; and those named.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Known {
    pub counts: [u32; 4],
    pub oldest: Option<u64>,
    pub named: Vec<(String, FeedState)>,
}

/// What is said of plans and presentations.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Both {
    pub shielded: bool,
    /// In order of state; plans that may stand in any order among themselves are sorted.
    pub plans: Said<Vec<Line>>,
    pub more_plans: u32,
    pub plans_known: Known,
    /// Here and elsewhere; in one list where no place may be told.
    pub seen: Said<[Listed; 2]>,
    pub elsewhere: Option<Said<()>>,
    pub seen_known: Known,
    pub history: Vec<Row>,
    pub more_history: u32,
}

/// One answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct View {
    pub identity: IdentityCheck,
    pub ring: (String, String),
    /// Whether another number stands in its place, and how many others the person has.
    pub numbers: (bool, usize),
    /// None: identity not confirmed, all is withheld.
    pub body: Option<Both>,
}

fn known(counts: FeedCounts, named: Vec<(String, FeedState)>) -> Known {
    let FeedCounts { fresh, stale, absent, thin, oldest_fresh_seconds } = counts;
    Known { counts: [fresh, stale, absent, thin], oldest: oldest_fresh_seconds, named }
}

fn said<A, B>(outcome: &Outcome<A>, held: impl FnOnce(&A) -> B) -> Said<B> {
    match outcome {
        Outcome::Held(found) => Said::Held(held(found)),
        Outcome::NoneHeld => Said::NoneHeld,
        Outcome::CannotSay(doubts) => Said::CannotSay(doubts.clone()),
    }
}

fn line(plan: &PlanView) -> Line {
    Line {
        state: plan.state,
        kind: plan.kind,
        start: plan.start,
        end: plan.end,
        authority: Some(plan.authority),
        moving_to: plan.moving_to,
        moving: plan.moving_to.is_some(),
    }
}

/// What puts a plan before others of its state: the latest end, or the latest start.
fn newest(line: &Line) -> Option<Day> {
    if line.state == kith_domain::plan::PlanState::Ended { line.end } else { line.start }
}

/// Sorts what may stand in any order. Panics when what must stand in order does not.
pub fn ordered(mut lines: Vec<Line>, check: bool) -> Vec<Line> {
    let rank = |line: &Line| (line.state, std::cmp::Reverse(newest(line)));
    assert!(!check || lines.is_sorted_by_key(rank), "plans are not in the order of their states and dates");
    lines.sort_by_key(|line| (rank(line), *line));
    lines
}

fn listed(views: &[kith_domain::answer::PresentationView], beyond: Beyond) -> Listed {
    let details = |view: &kith_domain::answer::PresentationView| {
        view.details.map(|(site, at, setting, complaint)| (site.expect("a site"), at, setting, complaint))
    };
    let place = |view: &kith_domain::answer::PresentationView| view.organisation.expect("a place").to_string();
    let shown = views.iter().map(|view| (place(view), details(view), view.outcome)).collect();
    Listed { shown, window: beyond.window, cap: beyond.cap }
}

fn open(body: &OpenBody) -> Both {
    let row = |access: &kith_domain::child::Access| Row {
        organisation: access.organisation.to_string(),
        user: (access.user_name.as_str().to_owned(), access.user_role.as_str().to_owned()),
        first: access.first_at,
        last: access.last_at,
        count: access.count,
    };
    let (plans, seen) = (&body.plan_completeness, &body.presentation_completeness);
    let plans_named = plans.named.iter().map(|feed| (feed.code.to_string(), feed.state)).collect();
    let seen_named = seen.named.iter().map(|feed| (feed.code.to_string(), feed.state)).collect();
    Both {
        shielded: false,
        plans: said(&body.plans, |plans| ordered(plans.iter().map(line).collect(), true)),
        more_plans: body.more_plans,
        plans_known: known(plans.counts, plans_named),
        seen: said(&body.presentations, |seen| {
            [listed(&seen.here, seen.beyond_here), listed(&seen.elsewhere, seen.beyond_elsewhere)]
        }),
        elsewhere: Some(said(&body.elsewhere, |()| ())),
        seen_known: known(seen.counts, seen_named),
        history: body.accesses.iter().map(row).collect(),
        more_history: body.more_accesses,
    }
}

fn shielded(body: &ShieldedBody) -> Both {
    let line = |plan: &kith_domain::answer::ShieldedPlanView| Line {
        state: plan.state,
        kind: plan.kind,
        start: plan.start,
        end: plan.end,
        authority: None,
        moving_to: None,
        moving: plan.moving,
    };
    // The day of arrival and the complaint alone: compared as such, with nothing in the place of a place.
    let seen = |seen: &kith_domain::answer::ShieldedSeen| {
        let shown = seen.presentations.iter().map(|(day, complaint, outcome)| {
            (format!("{} {complaint:?}", day.map(Day::text).unwrap_or_default()), None, *outcome)
        });
        let Beyond { window, cap } = seen.beyond;
        [Listed::default(), Listed { shown: shown.collect(), window, cap }]
    };
    Both {
        shielded: true,
        plans: said(&body.plans, |plans| ordered(plans.iter().map(line).collect(), true)),
        more_plans: body.more_plans,
        plans_known: known(body.plan_completeness.counts, Vec::new()),
        seen: said(&body.presentations, seen),
        elsewhere: None,
        seen_known: known(body.presentation_completeness.counts, Vec::new()),
        history: Vec::new(),
        more_history: body.looked_up_days,
    }
}

impl View {
    /// What an answer says.
    pub fn of(answer: &Answer) -> Self {
        let body = match &answer.body {
            Body::Open(body) => Some(open(body)),
            Body::Shielded(body) => Some(shielded(body)),
            Body::Opened(_) => panic!("nobody opened it"),
            Body::IdentityNotConfirmed => None,
        };
        let ring = (answer.ring.code.clone(), answer.ring.phone.clone());
        let numbers = (answer.numbers.current.is_some(), answer.numbers.others.len());
        Self { identity: answer.identity, ring, numbers, body }
    }
}

/// Where two answers differ, as a person can read it.
pub fn differences(expected: &View, found: &View) -> Vec<String> {
    let mut all = Vec::new();
    one(&mut all, "identity", &expected.identity, &found.identity);
    one(&mut all, "number to ring", &expected.ring, &found.ring);
    one(&mut all, "other numbers", &expected.numbers, &found.numbers);
    let (Some(expected), Some(found)) = (&expected.body, &found.body) else {
        one(&mut all, "withheld", &expected.body.is_none(), &found.body.is_none());
        return all;
    };
    one(&mut all, "shielded", &expected.shielded, &found.shielded);
    one(&mut all, "plans", &expected.plans, &found.plans);
    one(&mut all, "plans beyond the cap", &expected.more_plans, &found.more_plans);
    one(&mut all, "authorities' feeds", &expected.plans_known, &found.plans_known);
    one(&mut all, "presentations", &expected.seen, &found.seen);
    one(&mut all, "seen elsewhere", &expected.elsewhere, &found.elsewhere);
    one(&mut all, "organisations' feeds", &expected.seen_known, &found.seen_known);
    one(&mut all, "access history", &expected.history, &found.history);
    one(&mut all, "rows of history not shown", &expected.more_history, &found.more_history);
    all
}

fn one<T: Debug + PartialEq>(all: &mut Vec<String>, what: &str, expected: &T, found: &T) {
    if expected != found {
        all.push(format!("{what}\n    expected {expected:?}\n    found    {found:?}"));
    }
}
