//! The naive model: the list of acknowledged changes and of lookups, from which every outcome is computed anew. Written
//! from the rules, apart from the code that folds, answers and notifies; it is slow and keeps nothing folded.

use std::collections::BTreeMap;

use kith_domain::change::{Change, Feed, PlanEvent, PresentationAction, PresentationEvent};
use kith_domain::child::{Access, Subject};
use kith_domain::codes::{LaCode, OdsCode};
use kith_domain::fold::Effect;
use kith_domain::notify::{Cause, Notification};
use kith_domain::plan::{PlanKind, PlanName};
use kith_domain::presentation::{Details, Outcome};
use kith_domain::refused::Refused;
use kith_domain::time::{Day, Moment};
use kith_engine::{Acknowledgement, Asked, StoredNotification, Verdict};
use uuid::Uuid;

use super::told::{
    closing_told, details_told, end_told, latest, line_of, move_told, origin_told, start_told, withdrawal_told,
};

/// Changes that the model's senders never make.
macro_rules! never_made {
    () => {
        Change::Identity(_)
            | Change::Proposed(_)
            | Change::ProposalClosed(_)
            | Change::Opened(_)
            | Change::OpeningReviewed(_)
            | Change::Flagged(_)
            | Change::Watched(_)
            | Change::FlagReviewed(_)
            | Change::Withheld(_)
            | Change::WithholdingLifted(_)
            | Change::FileStarted(_)
            | Change::FileEnding(_)
            | Change::FileEnded(_)
            | Change::FilePositionReset(_)
    };
}

/// Lookups of one organisation within this time are one encounter.
pub const ENCOUNTER_MS: i64 = 4 * 3_600 * 1_000;

/// What a change must lead to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Expected {
    New(Effect),
    Repeated(Acknowledgement),
    Refused(Refused),
}

/// Everything that was acknowledged.
#[derive(Default)]
pub struct Model {
    pub log: Vec<(Moment, Change)>,
    by_id: BTreeMap<(String, Uuid), (Change, Acknowledgement)>,
    last_sequence: u64,
    lookups: Vec<Asked>,
    told: Vec<(LaCode, StoredNotification)>,
}

/// A plan as its events tell, each fact from the latest event that tells it.
#[derive(Debug, Clone)]
pub struct PlanFacts {
    pub authority: LaCode,
    pub kind: Option<PlanKind>,
    pub start: Option<Day>,
    pub end: Option<Day>,
    pub birth_date: Option<Day>,
    pub withdrawn: bool,
    pub moving_to: Option<LaCode>,
    pub moved_from: Option<LaCode>,
    /// The day on which it was first told that it moves there.
    pub move_told_on: Option<Day>,
    /// When the last of its events was taken.
    pub last_event_at: Moment,
}

/// A presentation as its events tell.
#[derive(Debug, Clone)]
pub struct SeenFacts {
    pub organisation: OdsCode,
    pub encounter: kith_domain::text::EncounterId,
    pub details: Option<Details>,
    pub outcome: Outcome,
    pub moment: Moment,
}

/// Which of a plan's facts an event tells.
fn plan_tells(event: &PlanEvent) -> [bool; 8] {
    [
        true,
        event.birth_date.is_some(),
        start_told(event).is_some(),
        end_told(event).is_some(),
        withdrawal_told(event).is_some(),
        move_told(event).is_some(),
        origin_told(event).is_some(),
        event.shielded,
    ]
}

/// Whether everything that a plan event tells is what stands. A shield, once told, always does.
fn plan_stands(event: &PlanEvent, facts: &PlanFacts) -> bool {
    facts.kind == Some(event.kind)
        && event.birth_date.is_none_or(|day| facts.birth_date == Some(day))
        && start_told(event).is_none_or(|day| facts.start == day)
        && end_told(event).is_none_or(|day| facts.end == day)
        && withdrawal_told(event).is_none_or(|told| facts.withdrawn == told)
        && move_told(event).is_none_or(|to| facts.moving_to == to)
        && origin_told(event).is_none_or(|from| facts.moved_from == Some(from))
}

/// Applied when everything told stands, and at least one fact of it was not yet told by a later version.
fn effect<const N: usize>(stands: bool, version: u64, tells: [bool; N], earlier: &[(u64, [bool; N])]) -> Effect {
    let is_new = |fact: usize| tells[fact] && !earlier.iter().any(|(other, told)| told[fact] && *other > version);
    if stands && (0..N).any(is_new) { Effect::Applied } else { Effect::Overtaken }
}

/// What is applied, and contradicted by what is held or waiting for more, is told to be kept.
fn kept_if(holds: bool, effect: Effect) -> Effect {
    if holds && effect == Effect::Applied { Effect::Kept } else { effect }
}

fn plan_facts(events: &[&PlanEvent]) -> PlanFacts {
    let version = |event: &PlanEvent| event.version;
    PlanFacts {
        authority: events[0].authority,
        kind: latest(events, version, |event| Some(event.kind)).map(|(_, kind)| kind),
        start: latest(events, version, start_told).and_then(|(_, day)| day),
        end: latest(events, version, end_told).and_then(|(_, day)| day),
        birth_date: latest(events, version, |event| event.birth_date).map(|(_, day)| day),
        withdrawn: latest(events, version, withdrawal_told).is_some_and(|(_, told)| told),
        moving_to: latest(events, version, move_told).and_then(|(_, to)| to),
        moved_from: latest(events, version, origin_told).map(|(_, from)| from),
        move_told_on: None,
        last_event_at: Moment::default(),
    }
}

/// The first day on which the transfer that stands was told: of the newest events that tell of moving to one authority.
fn move_told_on(events: &[(Moment, &PlanEvent)]) -> Option<Day> {
    let mut told: Vec<_> =
        events.iter().filter_map(|(at, event)| Some((event.version, move_told(event)?, at))).collect();
    told.sort_by_key(|(version, ..)| std::cmp::Reverse(*version));
    let (_, to, _) = told.first()?;
    let run = told.iter().take_while(|(_, other, _)| other == to && to.is_some());
    run.map(|(.., at)| at.london_day()).min()
}

fn seen_facts(events: &[&PresentationEvent]) -> SeenFacts {
    let version = |event: &PresentationEvent| event.version;
    let details = latest(events, version, details_told);
    let closing = latest(events, version, closing_told);
    let recorded_again = details.as_ref().map_or(0, |(v, _)| *v) > closing.map_or(0, |(v, _)| v);
    let told = closing.map_or(Outcome::Waiting, |(_, closing)| closing.outcome);
    let outcome = if told == Outcome::EnteredInError && recorded_again { Outcome::Waiting } else { told };
    let details = details.map(|(_, details)| details);
    let moment = details.as_ref().map(|d| d.arrived_at).or(closing.map(|(_, c)| c.at)).unwrap();
    SeenFacts { organisation: events[0].organisation, encounter: events[0].encounter.clone(), details, outcome, moment }
}

/// Sender and event id.
fn id_of(change: &Change) -> (String, Uuid) {
    match change {
        Change::Plan(event) => (event.authority.to_string(), event.event_id),
        Change::Presentation(event) => (event.organisation.to_string(), event.event_id),
        Change::Heartbeat(beat) => match beat.feed {
            Feed::Plans(code) => (code.to_string(), beat.event_id),
            Feed::Presentations(code) => (code.to_string(), beat.event_id),
        },
        Change::Acknowledged(ack) => (ack.authority.to_string(), ack.event_id),
        Change::Accessed(_)
        | Change::AuditGap(_)
        | Change::AuditHead(_)
        | Change::Purge(_)
        | Change::FeedCounted(_)
        | never_made!() => panic!("not sent by anyone"),
    }
}

impl Model {
    fn plan_events(&self) -> impl Iterator<Item = &PlanEvent> {
        self.log.iter().filter_map(|(_, change)| if let Change::Plan(event) = change { Some(event) } else { None })
    }

    fn presentation_events(&self) -> impl Iterator<Item = &PresentationEvent> {
        self.log
            .iter()
            .filter_map(|(_, change)| if let Change::Presentation(event) = change { Some(event) } else { None })
    }

    /// Every plan on a person's record, in order of authority and name.
    pub fn plans(&self, subject: &Subject) -> Vec<PlanFacts> {
        let mut groups: BTreeMap<(LaCode, PlanName), Vec<(Moment, &PlanEvent)>> = BTreeMap::new();
        for (at, change) in &self.log {
            if let Change::Plan(event) = change
                && event.subject == *subject
            {
                groups.entry((event.authority, event.name().unwrap())).or_default().push((*at, event));
            }
        }
        groups
            .values()
            .map(|taken| {
                let events: Vec<&PlanEvent> = taken.iter().map(|(_, event)| *event).collect();
                let last_event_at = taken.iter().map(|(at, _)| *at).max().unwrap();
                PlanFacts { last_event_at, move_told_on: move_told_on(taken), ..plan_facts(&events) }
            })
            .collect()
    }

    /// Every presentation on a person's record, in order of organisation and encounter.
    pub fn seen(&self, subject: &Subject) -> Vec<SeenFacts> {
        let mut groups: BTreeMap<_, Vec<&PresentationEvent>> = BTreeMap::new();
        for event in self.presentation_events().filter(|event| event.subject == *subject) {
            groups.entry((event.organisation, event.encounter.clone())).or_default().push(event);
        }
        groups.values().map(|events| seen_facts(events)).collect()
    }

    /// Authorities that shield a person: once is enough.
    pub fn shielded_by(&self, subject: &Subject) -> Vec<LaCode> {
        let by = self.plan_events().filter(|event| event.subject == *subject && event.shielded);
        let mut by: Vec<LaCode> = by.map(|event| event.authority).collect();
        by.sort();
        by.dedup();
        by
    }

    /// When a feed was last heard of.
    pub fn heard(&self, feed: Feed) -> Option<Moment> {
        let of = |change: &Change| match change {
            Change::Plan(event) => Some(Feed::Plans(event.authority)),
            Change::Presentation(event) => Some(Feed::Presentations(event.organisation)),
            Change::Heartbeat(beat) => Some(beat.feed),
            Change::Accessed(_)
            | Change::Acknowledged(_)
            | Change::AuditGap(_)
            | Change::AuditHead(_)
            | Change::Purge(_)
            | Change::FeedCounted(_)
            | never_made!() => None,
        };
        self.log.iter().filter(|(_, change)| of(change) == Some(feed)).map(|(at, _)| *at).max()
    }

    /// The newest moment that an event tells of: an arrival, an outcome, a plan's start; not later than it was taken.
    pub fn told_at(&self) -> Moment {
        let told = |(at, change): &(Moment, Change)| match change {
            Change::Plan(event) => start_told(event)?.map(Day::utc_start).filter(|start| start <= at),
            Change::Presentation(event) => {
                let arrived = details_told(event).map(|details| details.arrived_at);
                arrived.or(closing_told(event).map(|closing| closing.at)).map(|moment| moment.min(*at))
            }
            Change::Heartbeat(_)
            | Change::Accessed(_)
            | Change::Acknowledged(_)
            | Change::AuditGap(_)
            | Change::AuditHead(_)
            | Change::Purge(_)
            | Change::FeedCounted(_)
            | never_made!() => None,
        };
        self.log.iter().filter_map(told).max().unwrap_or_default()
    }

    /// Rows of access history, oldest first, without a bound.
    pub fn accesses(&self, subject: &Subject) -> Vec<Access> {
        let mut rows: Vec<Access> = Vec::new();
        for asked in self.lookups.iter().filter(|asked| asked.question.subject == *subject) {
            let (organisation, at) = (asked.peer.organisation, asked.question.now);
            let row = rows.iter_mut().rev().find(|row| row.organisation == organisation);
            match row.filter(|row| at.0 - row.first_at.0 < ENCOUNTER_MS) {
                Some(row) => {
                    row.count += 1;
                    row.last_at = at;
                    row.user_name = asked.caller.user_name.clone();
                    row.user_role = asked.caller.user_role.clone();
                }
                None => rows.push(Access {
                    organisation,
                    user_name: asked.caller.user_name.clone(),
                    user_role: asked.caller.user_role.clone(),
                    first_at: at,
                    last_at: at,
                    count: 1,
                }),
            }
        }
        rows
    }

    /// Takes a change as the engine should.
    pub fn change(&mut self, at: Moment, change: &Change) -> Expected {
        if let Some((first, acknowledgement)) = self.by_id.get(&id_of(change)) {
            return if first == change {
                Expected::Repeated(Acknowledgement { repeated: true, ..*acknowledgement })
            } else {
                Expected::Refused(Refused::EVENT_ID_REUSED)
            };
        }
        let effect = match change {
            Change::Plan(event) => self.plan(event),
            Change::Presentation(event) => self.presentation(event),
            Change::Acknowledged(ack) => Ok(self.acknowledge(ack.authority, &ack.ids)),
            Change::Heartbeat(_)
            | Change::Accessed(_)
            | Change::AuditGap(_)
            | Change::AuditHead(_)
            | Change::Purge(_)
            | Change::FeedCounted(_)
            | never_made!() => Ok(Effect::Applied),
        };
        let effect = match effect {
            Ok(effect) => effect,
            Err(refused) => return Expected::Refused(refused),
        };
        self.log.push((at, change.clone()));
        let (event_id, sequence) = (id_of(change).1, 0);
        let acknowledgement = Acknowledgement { event_id, sequence, at, effect, repeated: false };
        self.by_id.insert(id_of(change), (change.clone(), acknowledgement));
        if let Change::Presentation(event) = change
            && matches!(event.action, PresentationAction::Record(_))
        {
            self.tell(&event.subject, Cause::Presentation(event.organisation), at);
        }
        Expected::New(effect)
    }

    /// The reference is another's unless its last sender's plan is withdrawn; a version is used once.
    fn plan(&self, event: &PlanEvent) -> Result<Effect, Refused> {
        let name = event.name().unwrap();
        let by_reference = matches!(name, PlanName::Reference(_));
        let same: Vec<&PlanEvent> = self
            .plan_events()
            .filter(|other| other.authority == event.authority && other.name().as_ref() == Some(&name))
            .filter(|other| by_reference || other.subject == event.subject)
            .collect();
        let of = |subject: &Subject| -> Vec<&PlanEvent> {
            same.iter().copied().filter(|other| other.subject == *subject).collect()
        };
        let goes_on = |before: &[&PlanEvent], subject: &Subject| {
            let own: Vec<_> = before.iter().copied().filter(|other| other.subject == *subject).collect();
            !own.is_empty() && !plan_facts(&own).withdrawn
        };
        let line = line_of(&same, event, |event| (event.authority.as_str(), &event.subject), goes_on);
        if let Some(last) = line.last()
            && last.subject != event.subject
            && !plan_facts(&of(&last.subject)).withdrawn
        {
            return Err(Refused::SUBJECT_MISMATCH);
        }
        if line.iter().any(|other| other.version == event.version) {
            return Err(Refused::VERSION_REUSED);
        }
        let mut own = of(&event.subject);
        let earlier: Vec<_> = own.iter().map(|other| (other.version, plan_tells(other))).collect();
        own.push(event);
        let facts = plan_facts(&own);
        let contradicts = matches!((facts.start, facts.end), (Some(start), Some(end)) if end < start);
        let stands = plan_stands(event, &facts);
        Ok(kept_if(contradicts, effect(stands, event.version, plan_tells(event), &earlier)))
    }

    fn presentation(&self, event: &PresentationEvent) -> Result<Effect, Refused> {
        let same: Vec<&PresentationEvent> = self
            .presentation_events()
            .filter(|other| other.organisation == event.organisation && other.encounter == event.encounter)
            .collect();
        let of = |subject: &Subject| -> Vec<&PresentationEvent> {
            same.iter().copied().filter(|other| other.subject == *subject).collect()
        };
        let goes_on = |before: &[&PresentationEvent], subject: &Subject| {
            let own: Vec<_> = before.iter().copied().filter(|other| other.subject == *subject).collect();
            !own.is_empty() && seen_facts(&own).outcome != Outcome::EnteredInError
        };
        let line = line_of(&same, event, |event| (event.organisation.as_str(), &event.subject), goes_on);
        if let Some(last) = line.last()
            && last.subject != event.subject
            && seen_facts(&of(&last.subject)).outcome != Outcome::EnteredInError
        {
            return Err(Refused::SUBJECT_MISMATCH);
        }
        if line.iter().any(|other| other.version == event.version) {
            return Err(Refused::VERSION_REUSED);
        }
        let owner = line.last().map_or(&event.subject, |last| &last.subject);
        let known = if line.is_empty() && !goes_on(&same, owner) { Vec::new() } else { of(owner) };
        if let PresentationAction::Close(closing) = &event.action
            && !matches!(closing.outcome, Outcome::Waiting | Outcome::EnteredInError)
            && !known.is_empty()
            && seen_facts(&known).details.is_some_and(|details| closing.at < details.arrived_at)
        {
            return Err(kith_domain::validate::OUTCOME_EARLY);
        }
        let tells = |event: &PresentationEvent| [details_told(event).is_some(), closing_told(event).is_some()];
        let mut own = of(&event.subject);
        let earlier: Vec<_> = own.iter().map(|other| (other.version, tells(other))).collect();
        own.push(event);
        let waits = own.iter().all(|event| details_told(event).is_none());
        let version = |event: &PresentationEvent| event.version;
        let (details, closing) = (latest(&own, version, details_told), latest(&own, version, closing_told));
        let stands = details_told(event).is_none_or(|told| details.is_some_and(|(_, held)| held == told))
            && closing_told(event).is_none_or(|told| closing.is_some_and(|(_, held)| held == told));
        // What is an error by a later version shows nothing that was recorded before it.
        let in_error = closing_told(event).is_none() && seen_facts(&own).outcome == Outcome::EnteredInError;
        Ok(kept_if(waits, effect(stands && !in_error, event.version, tells(event), &earlier)))
    }

    /// A counted lookup, once per request.
    pub fn lookup(&mut self, asked: &Asked) {
        let same = |other: &Asked| {
            other.request_id == asked.request_id
                && other.peer.organisation == asked.peer.organisation
                && other.question.subject == asked.question.subject
        };
        if self.lookups.iter().any(same) {
            return;
        }
        self.lookups.push(asked.clone());
        let caller = &asked.caller;
        let cause = Cause::Lookup(asked.peer.organisation, caller.user_name.clone(), caller.user_role.clone());
        self.tell(&asked.question.subject, cause, asked.question.now);
    }

    /// One notification for each authority with a plan in force or to come, once per organisation and encounter.
    fn tell(&mut self, subject: &Subject, cause: Cause, at: Moment) {
        let mut to = super::answers::responsible(&self.plans(subject), at.london_day());
        let shielded_by = self.shielded_by(subject);
        let shielded = !shielded_by.is_empty();
        if shielded && !to.is_empty() {
            to = shielded_by;
        }
        for authority in to {
            let told = self.told.iter().any(|(other, stored)| {
                let n = &stored.notification;
                *other == authority
                    && n.subject == *subject
                    && n.cause.organisation() == cause.organisation()
                    && at.0 - n.at.0 < ENCOUNTER_MS
            });
            if !told {
                let id = self.told.len() as u64 + 1;
                let (subject, cause) = (subject.clone(), cause.clone());
                let notification = Notification { subject, at, cause, shielded, acknowledged: false };
                self.told.push((authority, StoredNotification { id, notification }));
            }
        }
    }

    fn acknowledge(&mut self, authority: LaCode, ids: &[u64]) -> Effect {
        let mut effect = Effect::Overtaken;
        for (of, stored) in &mut self.told {
            if *of == authority && ids.contains(&stored.id) && !stored.notification.acknowledged {
                stored.notification.acknowledged = true;
                effect = Effect::Applied;
            }
        }
        effect
    }

    /// What an authority is told today: of a child who is shielded now, only by those who shield.
    pub fn notifications(&self, authority: LaCode, acknowledged: bool) -> Vec<StoredNotification> {
        let own = self.told.iter().filter(|(of, _)| *of == authority).map(|(_, stored)| stored.clone());
        own.filter(|stored| acknowledged || !stored.notification.acknowledged)
            .filter_map(|mut stored| {
                let by = self.shielded_by(&stored.notification.subject);
                stored.notification.shielded |= !by.is_empty();
                (by.is_empty() || by.contains(&authority)).then_some(stored)
            })
            .collect()
    }

    /// Holds the engine's verdict against the expected one, and keeps the sequence that it gave.
    pub fn compare(&mut self, change: &Change, verdict: &Verdict, expected: &Expected) {
        match (expected, verdict) {
            (Expected::New(effect), Ok(found)) => {
                let (_, kept) = self.by_id.get_mut(&id_of(change)).unwrap();
                assert!(
                    found.sequence > self.last_sequence,
                    "sequence {} after {}",
                    found.sequence,
                    self.last_sequence
                );
                self.last_sequence = found.sequence;
                kept.sequence = found.sequence;
                assert_eq!((found, found.effect), (&*kept, *effect), "{change:?}");
            }
            (Expected::Repeated(first), Ok(found)) => {
                // Sent twice in one group: the first was not numbered yet when it was expected.
                let sequence = self.by_id[&id_of(change)].1.sequence;
                assert_eq!(found, &Acknowledgement { sequence, ..*first }, "{change:?}");
            }
            (Expected::Refused(expected), Err(found)) => assert_eq!(expected, found, "{change:?}"),
            (expected, found) => panic!("expected {expected:?}, found {found:?} for {change:?}"),
        }
    }
}
