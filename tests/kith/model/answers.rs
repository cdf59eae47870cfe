//! Expected answers, computed from the naive model: states, windows, caps, doubts and identity. It shares only the types
//! with the code that answers.

use std::cmp::Reverse;
use std::collections::BTreeSet;

use kith_domain::answer::{
    Answer, Beyond, Body, Completeness, Doubt, NamedFeed, OpenBody, Outcome, PlanView, PresentationView, Question,
    Seen, ShieldedBody, ShieldedPlanView, ShieldedSeen, Siblings,
};
use kith_domain::change::Feed;
use kith_domain::child::{Access, Subject};
use kith_domain::codes::{LaCode, OdsCode};
use kith_domain::feed::{FeedCounts, FeedState};
use kith_domain::identity::IdentityCheck;
use kith_domain::plan::{PlanKind, PlanState};
use kith_domain::presentation::Outcome as Ended;
use kith_domain::time::{Day, Moment};
use kith_engine::Asked;

use super::expected::{Model, PlanFacts, SeenFacts};
use super::place::{INTERVAL_SECONDS, NATIONAL, SETTINGS, authority, trust};

/// Rows of access history shown.
const HISTORY: usize = 25;

/// The last day that counts: the plan's own end, the 18th birthday, or the start of the plan it has moved to; what lies
/// before the start contradicts it.
fn last_day(plan: &PlanFacts, all: &[PlanFacts]) -> Option<Day> {
    let mut days = BTreeSet::new();
    days.extend(plan.end);
    if plan.kind != Some(PlanKind::Unborn) {
        days.extend(plan.birth_date.map(|day| day.plus_months(216)));
    }
    for other in all {
        let there = plan.moving_to == Some(other.authority) && !other.withdrawn && other.kind == plan.kind;
        let follows = other.moved_from == Some(plan.authority) || other.end.is_none();
        let over_before = other.end.is_some() && other.end < plan.move_told_on;
        if let (Some(own), Some(start)) = (plan.start, other.start)
            && there
            && !over_before
            && follows
            && start > own
        {
            days.insert(start);
        }
    }
    days.into_iter().find(|day| plan.start.is_none_or(|start| *day >= start))
}

/// The state shown; none when it is over for longer than it is kept.
fn state(plan: &PlanFacts, all: &[PlanFacts], today: Day) -> Option<PlanState> {
    match last_day(plan, all) {
        Some(last) if last < today => {
            (last.plus_months(SETTINGS.plan_retention_months) >= today).then_some(PlanState::Ended)
        }
        _ if plan.start.is_some_and(|start| start > today) => Some(PlanState::Future),
        _ => Some(PlanState::Active),
    }
}

/// What has passed its retention is not held: neither shown nor compared with, and it points to no feed.
fn is_held(plan: &PlanFacts, all: &[PlanFacts], today: Day) -> bool {
    if plan.withdrawn {
        return plan.last_event_at.london_day().plus_months(SETTINGS.plan_retention_months) >= today;
    }
    state(plan, all, today).is_some()
}

/// Authorities with a plan in force or to come.
pub fn responsible(all: &[PlanFacts], today: Day) -> Vec<LaCode> {
    let current = |plan: &&PlanFacts| {
        !plan.withdrawn && matches!(state(plan, all, today), Some(PlanState::Active | PlanState::Future))
    };
    let codes: BTreeSet<LaCode> = all.iter().filter(current).map(|plan| plan.authority).collect();
    codes.into_iter().collect()
}

fn plans_shown(all: &[PlanFacts], today: Day) -> Vec<PlanView> {
    let mut shown = Vec::new();
    for wanted in [PlanState::Active, PlanState::Future, PlanState::Ended] {
        let mut of_state: Vec<PlanView> = all
            .iter()
            .filter(|plan| !plan.withdrawn && state(plan, all, today) == Some(wanted))
            .map(|plan| PlanView {
                kind: plan.kind,
                state: wanted,
                start: plan.start,
                end: if wanted == PlanState::Ended { last_day(plan, all) } else { plan.end },
                authority: plan.authority,
                moving_to: plan.moving_to,
            })
            .collect();
        of_state.sort_by_key(|plan| {
            let day = if wanted == PlanState::Ended { plan.end } else { plan.start };
            (Reverse(day), plan.kind, plan.start, plan.end, plan.moving_to.is_some())
        });
        shown.extend(of_state);
    }
    shown
}

/// Within the window and the cap, newest first, and what is cut off.
fn listed(mut seen: Vec<&SeenFacts>, today: Day) -> (Vec<&SeenFacts>, Beyond) {
    seen.sort_by_key(|one| {
        let complaint = one.details.as_ref().map(|details| details.complaint as u8);
        (Reverse(one.moment), complaint, one.outcome as u8)
    });
    let first = today.plus_days(-SETTINGS.presentation_window_days);
    let (mut shown, older): (Vec<_>, Vec<_>) = seen.into_iter().partition(|one| one.moment.london_day() >= first);
    let cap = shown.len().saturating_sub(SETTINGS.max_presentations);
    shown.truncate(SETTINGS.max_presentations);
    (shown, Beyond { window: older.len() as u32, cap: cap as u32 })
}

fn one(seen: &SeenFacts) -> PresentationView {
    PresentationView {
        organisation: Some(seen.organisation),
        details: seen.details.as_ref().map(|d| (Some(d.site), d.arrived_at, d.setting, d.complaint)),
        outcome: seen.outcome,
    }
}

/// One digit off, or day and month swapped.
fn near(a: Day, b: Day) -> bool {
    let ((ya, ma, da), (yb, mb, db)) = (a.ymd(), b.ymd());
    let digits = |(y, m, d): (i32, i32, i32)| format!("{y:04}{m:02}{d:02}");
    let (x, y) = (digits((ya, ma, da)), digits((yb, mb, db)));
    let off = (0..8).filter(|at| x[*at..=*at] != y[*at..=*at]).count();
    off == 1 || (ya, ma, da) == (yb, db, mb)
}

/// Held, else none held without a doubt, else cannot say.
fn outcome<H>(held: Option<H>, doubts: &[Doubt]) -> Outcome<H> {
    match held {
        Some(held) => Outcome::Held(held),
        None if doubts.is_empty() => Outcome::NoneHeld,
        None => Outcome::CannotSay(doubts.to_vec()),
    }
}

fn with_clock(mut doubts: Vec<Doubt>, hidden: bool) -> Vec<Doubt> {
    doubts.extend(hidden.then_some(Doubt::ClockDoubtful));
    doubts
}

/// What is known of the feeds of one kind.
struct Feeds<C> {
    counts: FeedCounts,
    named: Vec<NamedFeed<C>>,
    doubts: Vec<Doubt>,
}

impl Model {
    /// Whether a plan, and where presentations, have passed their retention by a clock more than a day ahead of everything
    /// that senders told of.
    fn hidden_by_a_wrong_clock(&self, plans: &[PlanFacts], seen: &[SeenFacts], now: Moment) -> (bool, Vec<OdsCode>) {
        if now.seconds_since(self.told_at()) <= 86_400 {
            return (false, Vec::new());
        }
        let today = now.london_day();
        let first = today.plus_days(-SETTINGS.presentation_retention_days);
        let gone = seen.iter().filter(|one| one.moment.london_day() < first && one.outcome != Ended::EnteredInError);
        let any = plans.iter().any(|plan| !plan.withdrawn && !is_held(plan, plans, today));
        (any, gone.map(|one| one.organisation).collect())
    }

    fn fresh(&self, feed: Feed, now: Moment) -> Option<bool> {
        self.heard(feed).map(|at| now.seconds_since(at) <= INTERVAL_SECONDS)
    }

    fn feeds<C: Copy + Ord>(
        &self,
        known: &[C],
        own: impl Iterator<Item = C>,
        feed: impl Fn(C) -> Feed,
        (now, local): (Moment, bool),
    ) -> Feeds<C> {
        let mut counts = FeedCounts::default();
        for code in known {
            match self.fresh(feed(*code), now) {
                None => counts.absent += 1,
                Some(false) => counts.stale += 1,
                Some(true) => {
                    counts.fresh += 1;
                    let age = self.heard(feed(*code)).map(|at| now.seconds_since(at));
                    counts.oldest_fresh_seconds = counts.oldest_fresh_seconds.max(age);
                }
            }
        }
        let named: BTreeSet<C> = own.filter(|code| self.fresh(feed(*code), now) != Some(true)).collect();
        let doubtful = counts.stale + counts.absent;
        let mut doubts = Vec::new();
        doubts.extend(local.then_some(Doubt::NoNhsNumber));
        doubts.extend((!named.is_empty()).then_some(Doubt::OwnFeedStale));
        let too_many = doubtful * 100 > SETTINGS.cannot_say_percent * known.len() as u32;
        doubts.extend(too_many.then_some(Doubt::TooManyFeedsStale));
        let state = |code: C| self.fresh(feed(code), now).map_or(FeedState::Absent, |_| FeedState::Stale);
        let named = named.into_iter().map(|code| NamedFeed { code, state: state(code) });
        Feeds { counts, named: named.collect(), doubts }
    }

    /// An authority's date that matches is enough; of other departments' dates none may differ.
    fn identity(plans: &[PlanFacts], seen: &[SeenFacts], given: Option<Day>, asker: OdsCode) -> IdentityCheck {
        let Some(given) = given else { return IdentityCheck::NotGiven };
        let by_authority: Vec<Day> = plans.iter().filter(|p| !p.withdrawn).filter_map(|p| p.birth_date).collect();
        let seen = seen.iter().filter(|one| one.outcome != Ended::EnteredInError && one.organisation != asker);
        let by_department: Vec<Day> = seen.filter_map(|one| one.details.as_ref()?.birth_date).collect();
        let same = |day: &Day| *day == given;
        let like = |day: &Day| same(day) || near(*day, given);
        match (&*by_authority, &*by_department) {
            ([], []) => IdentityCheck::NothingToCompare,
            ([], days) if days.iter().all(same) => IdentityCheck::Matched,
            ([], days) if days.iter().all(like) => IdentityCheck::NearMiss,
            ([], _) => IdentityCheck::DiffersFromPresentation,
            (days, _) if days.iter().any(same) => IdentityCheck::Matched,
            (days, _) if days.iter().any(like) => IdentityCheck::NearMiss,
            (_, _) => IdentityCheck::NotConfirmed,
        }
    }

    /// Identity, name of the number to ring and body of the answer to a question by `asker`.
    pub fn answer(&self, question: &Question, asker: OdsCode) -> (IdentityCheck, String, Body) {
        let today = question.now.london_day();
        let (mut plans, mut seen) = (self.plans(&question.subject), self.seen(&question.subject));
        let all = plans.clone();
        plans.retain(|plan| is_held(plan, &all, today));
        seen.retain(|one| one.moment.london_day() >= today.plus_days(-SETTINGS.presentation_retention_days));
        let hidden = self.hidden_by_a_wrong_clock(&all, &self.seen(&question.subject), question.now);
        let shown = plans_shown(&plans, today);
        let shielded = !self.shielded_by(&question.subject).is_empty();
        // Of a shielded child no department's date is compared.
        let compared: &[SeenFacts] = if shielded { &[] } else { &seen };
        let identity = Self::identity(&plans, compared, question.birth_date, asker);
        let ring = match shown.first() {
            _ if shielded => NATIONAL.to_owned(),
            Some(plan) => plan.authority.to_string(),
            None => format!("{asker}, safeguarding contact"),
        };
        let body = if identity == IdentityCheck::NotConfirmed {
            Body::IdentityNotConfirmed
        } else {
            self.body(question, asker, (&plans, shown), &seen, (shielded, hidden))
        };
        (identity, ring, body)
    }

    fn body(
        &self,
        question: &Question,
        asker: OdsCode,
        (plans, mut shown): (&[PlanFacts], Vec<PlanView>),
        seen: &[SeenFacts],
        (shielded, (plan_hidden, seen_hidden)): (bool, (bool, Vec<OdsCode>)),
    ) -> Body {
        let now = (question.now, matches!(question.subject, Subject::Local(..)));
        let today = question.now.london_day();
        let of_plans = plans.iter().map(|plan| plan.authority);
        let mut plan_feeds = self.feeds(&[0, 1, 2].map(authority), of_plans, Feed::Plans, now);
        let others = seen.iter().map(|one| one.organisation).filter(|code| *code != asker);
        let mut seen_feeds = self.feeds(&[0, 1, 2].map(trust), others, Feed::Presentations, now);
        let elsewhere_hidden = seen_hidden.iter().any(|organisation| *organisation != asker);
        let elsewhere_doubts = with_clock(seen_feeds.doubts.clone(), elsewhere_hidden);
        plan_feeds.doubts = with_clock(plan_feeds.doubts, plan_hidden);
        seen_feeds.doubts = with_clock(seen_feeds.doubts, !seen_hidden.is_empty());
        let more_plans = shown.len().saturating_sub(SETTINGS.max_plans) as u32;
        shown.truncate(SETTINGS.max_plans);
        let counted = seen.iter().filter(|one| {
            let current = one.organisation == asker && Some(&one.encounter) == question.checking_in.as_ref();
            !current && one.outcome != Ended::EnteredInError
        });
        if shielded {
            let (listed, beyond) = listed(counted.collect(), today);
            let days = looked_up_days(&self.accesses(&question.subject));
            return shielded_body((shown, more_plans), plan_feeds, (listed, beyond), seen_feeds, days);
        }
        let (here, elsewhere) = counted.partition::<Vec<&SeenFacts>, _>(|one| one.organisation == asker);
        let (any_here, any_elsewhere) = (!here.is_empty(), !elsewhere.is_empty());
        let ((here, beyond_here), (elsewhere, beyond_elsewhere)) = (listed(here, today), listed(elsewhere, today));
        let held = Seen {
            here: here.into_iter().map(one).collect(),
            elsewhere: elsewhere.into_iter().map(one).collect(),
            beyond_here,
            beyond_elsewhere,
        };
        let mut accesses = self.accesses(&question.subject);
        accesses.reverse();
        let more_accesses = accesses.len().saturating_sub(HISTORY) as u32;
        accesses.truncate(HISTORY);
        Body::Open(OpenBody {
            plans: outcome((!shown.is_empty()).then_some(shown), &plan_feeds.doubts),
            more_plans,
            plan_completeness: Completeness { counts: plan_feeds.counts, named: plan_feeds.named },
            presentations: outcome((any_here || any_elsewhere).then_some(held), &seen_feeds.doubts),
            elsewhere: outcome(any_elsewhere.then_some(()), &elsewhere_doubts),
            presentation_completeness: Completeness { counts: seen_feeds.counts, named: seen_feeds.named },
            accesses,
            more_accesses,
            siblings: Siblings::NoReference,
            mother: None,
        })
    }

    /// Holds an answer against the expected one, field by field.
    pub fn assert_answer(&self, asked: &Asked, found: &Answer) {
        let (identity, ring, body) = self.answer(&asked.question, asked.peer.organisation);
        assert_eq!(found.as_of, asked.question.now);
        assert_eq!(found.number_traced, asked.question.number_traced);
        assert_eq!(found.identity, identity, "{asked:?}");
        assert_eq!(found.body, body, "{asked:?}");
        assert_eq!(found.ring.name, ring, "{asked:?}");
    }
}

/// Days on which a shielded child was looked up, from rows with the oldest first. Of those beyond the rows shown the last day alone
/// is kept.
fn looked_up_days(rows: &[Access]) -> u32 {
    let begun = rows.iter().rev().take(HISTORY).map(|row| row.first_at.london_day());
    rows.iter().map(|row| row.last_at.london_day()).chain(begun).collect::<BTreeSet<Day>>().len() as u32
}

/// A shielded record's doubts do not tell that its own feed is the late one.
fn placeless(doubts: Vec<Doubt>) -> Vec<Doubt> {
    let local = doubts.contains(&Doubt::NoNhsNumber);
    let late = doubts.contains(&Doubt::OwnFeedStale) || doubts.contains(&Doubt::TooManyFeedsStale);
    let clock = doubts.contains(&Doubt::ClockDoubtful);
    let all = [(local, Doubt::NoNhsNumber), (late, Doubt::TooManyFeedsStale), (clock, Doubt::ClockDoubtful)];
    all.into_iter().filter(|d| d.0).map(|d| d.1).collect()
}

fn shielded_body(
    (plans, more_plans): (Vec<PlanView>, u32),
    plan_feeds: Feeds<LaCode>,
    (listed, beyond): (Vec<&SeenFacts>, Beyond),
    seen_feeds: Feeds<OdsCode>,
    looked_up_days: u32,
) -> Body {
    let plan = |p: PlanView| ShieldedPlanView {
        kind: p.kind,
        state: p.state,
        start: p.start,
        end: p.end,
        moving: p.moving_to.is_some(),
    };
    let plans: Vec<ShieldedPlanView> = plans.into_iter().map(plan).collect();
    let any = !listed.is_empty() || beyond.window > 0;
    let one = |seen: &SeenFacts| {
        let details = seen.details.as_ref();
        (details.map(|d| d.arrived_at.london_day()), details.map(|d| d.complaint), seen.outcome)
    };
    let held = ShieldedSeen { presentations: listed.into_iter().map(one).collect(), beyond };
    Body::Shielded(ShieldedBody {
        plans: outcome((!plans.is_empty()).then_some(plans), &placeless(plan_feeds.doubts)),
        more_plans,
        plan_completeness: Completeness { counts: plan_feeds.counts, named: () },
        presentations: outcome(any.then_some(held), &placeless(seen_feeds.doubts)),
        presentation_completeness: Completeness { counts: seen_feeds.counts, named: () },
        looked_up_days,
        siblings: Siblings::NoReference,
        mother: None,
    })
}
