//! Making an answer from a record: what is shown, what is counted, and what cannot be said. Pure; the only place where
//! "none held" comes to be, and it comes only from an empty record beside feeds within their bounds.

mod left_out;
mod mother;
#[cfg(test)]
mod opened_tests;
mod siblings;

use self::mother::OfMother;
use crate::answer::{
    Answer, Beyond, Body, Completeness, Doubt, MotherView, NamedFeed, Numbers, OpenBody, Outcome, PlanView,
    PresentationView, Question, Seen, ShieldedBody, ShieldedPlanView, ShieldedSeen, Siblings,
};
use crate::change::Feed;
use crate::child::{ChildRecord, Subject};
use crate::clock_doubt;
use crate::codes::{LaCode, OdsCode};
use crate::directory::{Contact, Directory};
use crate::family::Relatives;
use crate::feed::{FeedBoard, FeedCounts, FeedState};
use crate::fields::{Field, FieldSet};
use crate::identity::{self, Departments, IdentityCheck};
use crate::links::{Person, Standing};
use crate::notify::last_day_of;
use crate::permit::ReadPermit;
use crate::plan::{PlanKind, PlanState};
use crate::presentation::{Outcome as PresentationOutcome, Presentation};
use crate::settings::AnswerSettings;
use crate::time::{Day, Moment};

/// What an answer is made with, beside the record.
#[derive(Debug, Clone, Copy)]
pub struct Means<'a> {
    /// Settings.
    pub settings: &'a AnswerSettings,
    /// Names and numbers.
    pub directory: &'a Directory,
    /// Feed health.
    pub feeds: &'a FeedBoard,
}

/// What the index has found for a question.
#[derive(Debug, Clone, Default)]
pub struct Found {
    /// Records of the person asked about.
    pub person: Person,
    /// People of the families that the person's plans name.
    pub relatives: Relatives,
    /// Records of the mother, where the question gives her number.
    pub mother: Option<Person>,
}

impl Found {
    /// One record alone, or none.
    #[must_use]
    pub fn of(record: Option<&ChildRecord>) -> Self {
        Self { person: Person::of(record), ..Self::default() }
    }
}

/// Answers a question from the records found for it, without what has passed its retention: that is not held any more,
/// whether or not the purge has been there. The permit is proof that the asker may ask.
#[must_use]
pub fn answer(permit: &ReadPermit, question: &Question, found: &Found, means: Means<'_>) -> Answer {
    let today = question.now.london_day();
    let person = &found.person;
    let held = person.held(means.settings.retention(), today);
    let record = held.as_deref();
    let asker = permit.peer().organisation;
    let is_shielded = record.is_some_and(ChildRecord::is_shielded);
    let departments = match is_shielded && !permit.opens() {
        true => Departments::NotCompared,
        false => Departments::OthersThan(asker),
    };
    let identity = identity::check(person.standing, record, question.birth_date, departments);
    let plans = record.map(|record| shown_plans((person, record), today, means.settings)).unwrap_or_default();
    let told = !identity.withholds();
    let mother = mother::of(found.mother.as_ref().filter(|_| told), question, means);
    let placeless = is_shielded && !(permit.opens() && told);
    let withheld = told && (is_withheld(record) || mother.as_ref().is_some_and(OfMother::is_withheld));
    let by = withholding(record, mother.as_ref());
    let (rung, because) = whom(placeless, by, (&plans, mother.as_ref()), identity);
    let ring = rung.contact(because, (question.now, asker), means.directory);
    let shows_mother = mother.as_ref().is_some_and(|mother| mother.shielded) && permit.fields().has(Field::Mother);
    // Decided before anything is left out: whom to ring never is, and may be the only thing that tells of a shield.
    let brokered = rung == Whom::Broker || is_shielded || shows_mother;
    let family = Family { siblings: siblings::siblings(record, found, question, means), mother };
    let mut body = match (identity, record) {
        (IdentityCheck::NotConfirmed | IdentityCheck::NumberInvalid, _) => Body::IdentityNotConfirmed,
        (_, Some(record)) if placeless => Body::Shielded(shielded(record, plans, family, (question, asker), means)),
        (_, Some(record)) if is_shielded => Body::Opened(open(Some(record), plans, family, (question, asker), means)),
        (_, record) => Body::Open(open(record, plans, family, (question, asker), means)),
    };
    clock_doubt::tell(&mut body, found, question, asker, means);
    let numbers = if told { numbers(person) } else { Numbers::default() };
    let died_on = record.filter(|_| told).and_then(|record| record.identity.as_ref()?.died.get().copied());
    let number_traced = question.number_traced;
    let not_shown = FieldSet::NONE;
    let as_of = question.now;
    let whole = Answer { as_of, identity, number_traced, numbers, died_on, ring, body, not_shown, withheld, brokered };
    left_out::leave_out(whole, permit.fields())
}

/// Whether an authority withholds something of a record.
fn is_withheld(record: Option<&ChildRecord>) -> bool {
    record.is_some_and(|record| !record.withheld_by.is_empty())
}

/// The first authority that withholds something of the child, before one that does of the mother, where a place may be told.
fn withholding(record: Option<&ChildRecord>, mother: Option<&OfMother>) -> Option<LaCode> {
    let own = record.and_then(|record| record.withheld_by.first());
    own.or_else(|| mother.and_then(|mother| mother.open_withheld_by().first())).copied()
}

/// What is found beside the person's own record.
struct Family {
    siblings: Siblings<Contact>,
    mother: Option<OfMother>,
}

/// Other numbers of the person.
fn numbers(person: &Person) -> Numbers {
    let current = match person.standing {
        Standing::ReplacedBy(number) => Some(number),
        Standing::Current | Standing::Invalid => None,
    };
    let local = person.linked.iter().filter(|record| matches!(record.subject, Subject::Local(..)));
    Numbers { current, others: person.other_numbers(), local_keys: count(local.count()) }
}

/// Plans shown today, active first, then future, then ended; newest start first. Not those of an authority that withholds.
fn shown_plans((person, record): (&Person, &ChildRecord), today: Day, settings: &AnswerSettings) -> Vec<PlanView> {
    let mut shown: Vec<PlanView> = record
        .plans
        .iter()
        .filter(|plan| !plan.is_withdrawn() && !record.withheld_by.contains(&plan.authority))
        .filter_map(|plan| {
            let last = last_day_of(person, record, plan);
            let state = plan.state(today, last, settings.plan_retention_months)?;
            Some(PlanView {
                kind: plan.kind.get().copied(),
                state,
                start: plan.start.get().copied(),
                end: last.filter(|_| state == PlanState::Ended).or(plan.end.get().copied()),
                authority: plan.authority,
                moving_to: plan.moving_to.get().copied(),
            })
        })
        .collect();
    shown.sort_by_key(|plan| (plan.state, std::cmp::Reverse(newest(plan)), alike(plan)));
    shown
}

/// What decides between plans of one state and day. Records keep plans in order of authority: without this, which of two comes
/// first would tell something of where a shielded child is.
fn alike(plan: &PlanView) -> (Option<PlanKind>, Option<Day>, Option<Day>, bool) {
    let PlanView { kind, state: _, start, end, authority: _, moving_to } = plan;
    (*kind, *start, *end, moving_to.is_some())
}

/// What makes a plan come first among those of its state: the latest end of ended ones, the latest start of others.
fn newest(plan: &PlanView) -> Option<Day> {
    match plan.state {
        PlanState::Ended => plan.end,
        PlanState::Active | PlanState::Future => plan.start,
    }
}

/// Whom to ring.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Whom {
    /// The national contact, where no place may be told. It finds nobody without a reference that a broker resolves.
    Broker,
    /// The asker's own.
    Own,
    /// An authority.
    Authority(LaCode),
}

impl Whom {
    fn contact(self, because: &str, (now, asker): (Moment, OdsCode), directory: &Directory) -> Contact {
        match self {
            Self::Broker => directory.national_contact(because),
            Self::Own => directory.own_contact(asker, because),
            Self::Authority(code) => directory.authority_contact(code, now, because),
        }
    }
}

/// Whom to ring, and why: an authority that withholds, for it alone can tell more; the authority of the first plan shown, the
/// child's own before one on the mother's record; else the asker's own; where no place may be told the national.
fn whom(
    placeless: bool,
    withheld: Option<LaCode>,
    (plans, mother): (&[PlanView], Option<&OfMother>),
    identity: IdentityCheck,
) -> (Whom, &'static str) {
    let unconfirmed = identity.withholds();
    if placeless {
        let because = if unconfirmed {
            "identity not confirmed: the national contact resolves the audit reference"
        } else {
            "the record is shielded: the national contact resolves the audit reference"
        };
        return (Whom::Broker, because);
    }
    if identity == IdentityCheck::NumberInvalid {
        // Whom it was held by is not told either: it may be an adopted child's former authority.
        return (Whom::Own, "the number is not valid any more: your own safeguarding contact");
    }
    if let Some(authority) = withheld {
        let because = match unconfirmed {
            true => "identity not confirmed: this authority can confirm it",
            false => "withheld by a person's decision: this authority decides whether to tell you",
        };
        return (Whom::Authority(authority), because);
    }
    let all = || plans.iter().chain(mother.map(OfMother::open_plans).unwrap_or_default());
    if let Some(plan) = all().find(|plan| plan.state != PlanState::Ended).or_else(|| all().next()) {
        let because = match (unconfirmed, plan.state) {
            (true, _) => "identity not confirmed: this authority can confirm it",
            (false, PlanState::Active) => "responsible authority of the plan in force",
            (false, PlanState::Future) => "responsible authority of the plan that starts later",
            (false, PlanState::Ended) => "responsible authority of the latest ended plan",
        };
        return (Whom::Authority(plan.authority), because);
    }
    if mother.is_some_and(OfMother::is_held) {
        return (Whom::Broker, "the mother's record is shielded: the national contact resolves the reference");
    }
    let because = if unconfirmed {
        "identity not confirmed: your own safeguarding contact"
    } else {
        "your own safeguarding contact"
    };
    (Whom::Own, because)
}

/// Presentations shown, in order of arrival with the newest first, and what is cut off.
#[derive(Default)]
struct Windowed<'a> {
    shown: Vec<&'a Presentation>,
    beyond: Beyond,
}

impl Windowed<'_> {
    fn is_empty(&self) -> bool {
        self.shown.is_empty() && self.beyond.window == 0
    }
}

/// Presentations that count: neither the one being checked in nor one entered in error, and within retention.
fn counted<'a>(
    record: Option<&'a ChildRecord>,
    question: &'a Question,
    asker: OdsCode,
    settings: &AnswerSettings,
) -> impl Iterator<Item = &'a Presentation> {
    let first_held = question.now.london_day().plus_days(-settings.presentation_retention_days);
    record.into_iter().flat_map(|record| &record.presentations).filter(move |presentation| {
        let current =
            presentation.organisation == asker && question.checking_in.as_ref() == Some(&presentation.encounter);
        let error = presentation.outcome() == PresentationOutcome::EnteredInError;
        !current && !error && presentation.moment().london_day() >= first_held
    })
}

/// What of `presentations` is within the window, newest first, at most so many, and what is cut off.
fn windowed<'a>(
    presentations: impl Iterator<Item = &'a Presentation>,
    today: Day,
    settings: &AnswerSettings,
) -> Windowed<'a> {
    let first_shown = today.plus_days(-settings.presentation_window_days);
    let mut result = Windowed::default();
    for presentation in presentations {
        if presentation.moment().london_day() >= first_shown {
            result.shown.push(presentation);
        } else {
            result.beyond.window += 1;
        }
    }
    // Of one moment in an order that tells nothing of the place: records keep them in order of organisation.
    result.shown.sort_by_key(|presentation| {
        let complaint = presentation.details.get().map(|details| details.complaint as u8);
        (std::cmp::Reverse(presentation.moment()), complaint, presentation.outcome() as u8)
    });
    result.beyond.cap = count(result.shown.len().saturating_sub(settings.max_presentations));
    result.shown.truncate(settings.max_presentations);
    result
}

/// Feeds of the record that are stale, absent or thin.
fn doubtful<C: Copy + Ord>(codes: impl Iterator<Item = C>, state: impl Fn(C) -> FeedState) -> Vec<NamedFeed<C>> {
    let named = codes.map(|code| NamedFeed { code, state: state(code) });
    let mut named: Vec<NamedFeed<C>> = named.filter(|feed| feed.state != FeedState::Fresh).collect();
    named.sort_unstable();
    named.dedup_by_key(|feed| feed.code);
    named
}

fn doubts<C>(
    named: &[NamedFeed<C>],
    counts: &FeedCounts,
    (record, question): (Option<&ChildRecord>, &Question),
    settings: &AnswerSettings,
) -> Vec<Doubt> {
    // A local key that a number has been told for is one person with it: the authorities' plans are found.
    let told = record.and_then(|record| record.identity.as_ref()?.successor.get());
    let local = matches!(question.subject, Subject::Local(..)) && told.is_none();
    let silent = |feed: &NamedFeed<C>| matches!(feed.state, FeedState::Stale | FeedState::Absent);
    let found = [
        (local, Doubt::NoNhsNumber),
        (named.iter().any(silent), Doubt::OwnFeedStale),
        (named.iter().any(|feed| feed.state == FeedState::Thin), Doubt::OwnFeedThin),
        (counts.beyond(settings.cannot_say_percent), Doubt::TooManyFeedsStale),
    ];
    found.into_iter().filter(|(holds, _)| *holds).map(|(_, doubt)| doubt).collect()
}

/// Held when anything is; none held only without any doubt.
fn outcome<H>(held: Option<H>, doubts: Vec<Doubt>) -> Outcome<H> {
    match held {
        Some(held) => Outcome::Held(held),
        None if doubts.is_empty() => Outcome::NoneHeld,
        None => Outcome::CannotSay(doubts),
    }
}

/// Both questions' completeness and doubts.
struct Knowledge {
    plans: Completeness<Vec<NamedFeed<LaCode>>>,
    plan_doubts: Vec<Doubt>,
    presentations: Completeness<Vec<NamedFeed<OdsCode>>>,
    presentation_doubts: Vec<Doubt>,
}

fn knowledge(
    record: Option<&ChildRecord>,
    mother: Option<&OfMother>,
    (question, asker): (&Question, OdsCode),
    means: Means<'_>,
) -> Knowledge {
    let now = question.now;
    let authorities = record.iter().flat_map(|record| &record.plans).map(|plan| plan.authority);
    let of_mother = mother.map(OfMother::open_authorities).unwrap_or_default();
    let plan_named =
        doubtful(authorities.chain(of_mother.iter().copied()), |code| means.feeds.state(Feed::Plans(code), now));
    let plan_counts = means.feeds.plan_counts(now);
    let others = record.iter().flat_map(|record| &record.presentations).map(|p| p.organisation);
    let seen_named =
        doubtful(others.filter(|code| *code != asker), |code| means.feeds.state(Feed::Presentations(code), now));
    let seen_counts = means.feeds.presentation_counts(now);
    let mut plan_doubts = doubts(&plan_named, &plan_counts, (record, question), means.settings);
    if mother.is_some_and(|mother| mother.shielded) {
        plan_doubts = one_too_many(plan_doubts, &plan_counts);
    }
    plan_doubts.extend(mother.filter(|mother| mother.invalid).map(|_| Doubt::MotherNumberInvalid));
    Knowledge {
        plan_doubts,
        plans: Completeness { counts: plan_counts, named: plan_named },
        presentation_doubts: doubts(&seen_named, &seen_counts, (record, question), means.settings),
        presentations: Completeness { counts: seen_counts, named: seen_named },
    }
}

fn count(n: usize) -> u32 {
    u32::try_from(n).unwrap_or(u32::MAX)
}

fn open(
    record: Option<&ChildRecord>,
    mut plans: Vec<PlanView>,
    Family { siblings, mother }: Family,
    (question, asker): (&Question, OdsCode),
    means: Means<'_>,
) -> OpenBody {
    let known = knowledge(record, mother.as_ref(), (question, asker), means);
    let today = question.now.london_day();
    let counted = || counted(record, question, asker, means.settings);
    let here = windowed(counted().filter(|p| p.organisation == asker), today, means.settings);
    let elsewhere = windowed(counted().filter(|p| p.organisation != asker), today, means.settings);
    let any_elsewhere = !elsewhere.is_empty();
    let held = (any_elsewhere || !here.is_empty()).then(|| Seen {
        here: here.shown.iter().map(|p| view(p)).collect(),
        elsewhere: elsewhere.shown.iter().map(|p| view(p)).collect(),
        beyond_here: here.beyond,
        beyond_elsewhere: elsewhere.beyond,
    });
    let more_plans = count(plans.len().saturating_sub(means.settings.max_plans));
    let most = means.settings.max_plans;
    plans.truncate(most);
    // What is withheld is held: whatever is listed or not, the outcome never says that nothing is.
    let any = is_withheld(record) || !plans.is_empty() || mother.as_ref().is_some_and(OfMother::is_held);
    let mother = mother.map(|mother| match mother.shielded {
        true => MotherView::Shielded(mother::shielded(mother, &known.plan_doubts, most)),
        false => MotherView::Open(mother::open(mother, &known.plan_doubts, most)),
    });
    OpenBody {
        plans: outcome(any.then_some(plans), known.plan_doubts),
        more_plans,
        plan_completeness: known.plans,
        presentations: outcome(held, known.presentation_doubts.clone()),
        elsewhere: outcome(any_elsewhere.then_some(()), known.presentation_doubts),
        presentation_completeness: known.presentations,
        accesses: record.map(|record| record.accesses.iter().rev().cloned().collect()).unwrap_or_default(),
        more_accesses: record.map_or(0, |record| count(record.accesses_beyond.len())),
        siblings,
        mother,
    }
}

fn view(presentation: &Presentation) -> PresentationView {
    let details = presentation.details.get();
    PresentationView {
        organisation: Some(presentation.organisation),
        details: details.map(|d| (Some(d.site), d.arrived_at, d.setting, d.complaint)),
        outcome: presentation.outcome(),
    }
}

/// Doubts of a shielded record. That its own feed is the stale one would tell which place to look for, so any stale, absent
/// or thin feed is one too many here, whosever it is.
fn without_place(mut doubts: Vec<Doubt>, counts: &FeedCounts) -> Vec<Doubt> {
    doubts.retain(|doubt| matches!(doubt, Doubt::NoNhsNumber | Doubt::MotherNumberInvalid));
    one_too_many(doubts, counts)
}

/// Any stale, absent or thin feed is one too many.
fn one_too_many(mut doubts: Vec<Doubt>, counts: &FeedCounts) -> Vec<Doubt> {
    if (counts.doubtful() > 0 || counts.feeds() == 0) && !doubts.contains(&Doubt::TooManyFeedsStale) {
        doubts.push(Doubt::TooManyFeedsStale);
    }
    doubts
}

fn shielded_plan(plan: PlanView) -> ShieldedPlanView {
    let PlanView { kind, state, start, end, authority: _, moving_to } = plan;
    ShieldedPlanView { kind, state, start, end, moving: moving_to.is_some() }
}

fn shielded(
    record: &ChildRecord,
    mut plans: Vec<PlanView>,
    Family { siblings, mother }: Family,
    (question, asker): (&Question, OdsCode),
    means: Means<'_>,
) -> ShieldedBody {
    let known = knowledge(Some(record), mother.as_ref(), (question, asker), means);
    let first_held = means.settings.retention().first_day(question.now.london_day());
    let counted = counted(Some(record), question, asker, means.settings);
    let seen = windowed(counted, question.now.london_day(), means.settings);
    let more_plans = count(plans.len().saturating_sub(means.settings.max_plans));
    let most = means.settings.max_plans;
    plans.truncate(most);
    let plans: Vec<ShieldedPlanView> = plans.into_iter().map(shielded_plan).collect();
    let any = is_withheld(Some(record)) || !plans.is_empty() || mother.as_ref().is_some_and(OfMother::is_held);
    let plan_doubts = without_place(known.plan_doubts, &known.plans.counts);
    let one = |p: &&Presentation| {
        let details = p.details.get();
        (details.map(|d| d.arrived_at.london_day()), details.map(|d| d.complaint), p.outcome())
    };
    let held = (!seen.is_empty())
        .then(|| ShieldedSeen { presentations: seen.shown.iter().map(one).collect(), beyond: seen.beyond });
    ShieldedBody {
        mother: mother.map(|mother| mother::shielded(mother, &plan_doubts, most)),
        siblings: siblings::without_place(siblings),
        plans: outcome(any.then_some(plans), plan_doubts),
        more_plans,
        plan_completeness: Completeness { counts: known.plans.counts, named: () },
        presentations: outcome(held, without_place(known.presentation_doubts, &known.presentations.counts)),
        presentation_completeness: Completeness { counts: known.presentations.counts, named: () },
        looked_up_days: count(record.looked_up_days(first_held)),
    }
}
