//! Everything that was told, as it was told: the naive model's only memory. One list for each person, in order of arrival;
//! an answer is worked out from the whole list each time it is asked for. It shares no code with the service.
//!
//! To add a kind of fact: a variant of [`Told`], a line in [`Ledger::tell`], and its rule where an answer is worked out
//! (`plans`, `seen` or `expected`). What is about several numbers belongs into [`Ledger::facts`], which gives the list that
//! an answer about one number is made of.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use kith_domain::caller::CareContext;
use kith_domain::change::{Change, Feed, IdentityAction, PlanEvent, PresentationEvent};
use kith_domain::child::Subject;
use kith_domain::codes::LaCode;
use kith_domain::method::Method;
use kith_domain::time::{Day, Moment};
use kith_engine::Asked;
use uuid::Uuid;

use super::plans::{self, Name};
use super::{calendar, seen};

/// For how long lookups are remembered: longer than anything of them is shown.
const LOOKUP_DAYS: i32 = 400;

/// An unscheduled lookup.
#[derive(Debug, Clone)]
pub struct Lookup {
    pub at: Moment,
    pub organisation: String,
    pub user: (String, String),
    pub request: Uuid,
}

/// One thing told about a person, and when it was taken.
#[derive(Debug, Clone)]
pub enum Told {
    Plan(Moment, PlanEvent),
    Presentation(PresentationEvent),
    Lookup(Lookup),
}

/// What was told.
#[derive(Default)]
pub struct Ledger {
    people: HashMap<Subject, Vec<Told>>,
    /// When each feed was last heard of.
    pub heard: BTreeMap<Feed, Moment>,
    /// Who is shielded: nothing that passes lifts it.
    shielded: BTreeSet<Subject>,
    /// Numbers in whose place others stand.
    links: BTreeMap<Subject, Subject>,
    /// Numbers that are not valid any more, and nobody's.
    invalid: BTreeSet<Subject>,
    /// Greatest version of plans that were removed: older events of them are refused.
    removed: BTreeMap<(LaCode, Name, Subject), u64>,
}

impl Ledger {
    /// Notes a change that was taken for the first time.
    pub fn tell(&mut self, at: Moment, change: &Change) {
        if let Change::Plan(event) = change {
            self.of(&event.subject).push(Told::Plan(at, event.clone()));
            if event.shielded {
                self.shielded.insert(event.subject.clone());
            }
            self.alive(Feed::Plans(event.authority), at);
            for start in plans::starts(event) {
                self.tell(at, &Change::Plan(start));
            }
        } else if let Change::Identity(event) = change {
            self.identify(&event.subject, event.action);
        } else if let Change::Presentation(event) = change {
            self.of(&event.subject).push(Told::Presentation(event.clone()));
            self.alive(Feed::Presentations(event.organisation), at);
        } else if let Change::Heartbeat(beat) = change {
            self.alive(beat.feed, at);
        } else {
            panic!("the ledger does not know this kind of change");
        }
    }

    fn identify(&mut self, subject: &Subject, action: IdentityAction) {
        if let IdentityAction::ReplacedBy(number) = action {
            self.links.insert(subject.clone(), Subject::Nhs(number));
        } else if action == IdentityAction::LinkUndone {
            self.links.remove(subject);
        } else if action == IdentityAction::Invalidated {
            self.links.remove(subject);
            self.invalid.insert(subject.clone());
        } else if action == IdentityAction::Reinstated {
            self.invalid.remove(subject);
        } else {
            panic!("the ledger does not know this change of identity");
        }
    }

    /// The number that stands in the place of this one; itself when none does.
    pub fn current<'a>(&'a self, subject: &'a Subject) -> &'a Subject {
        let mut at = subject;
        while let Some(next) = self.links.get(at) {
            at = next;
        }
        at
    }

    /// Whether a question about this number is answered by nothing but that it is not valid.
    pub fn is_invalid(&self, subject: &Subject) -> bool {
        self.invalid.contains(self.current(subject))
    }

    /// Every number of the person, the one asked about first.
    pub fn numbers(&self, subject: &Subject) -> Vec<Subject> {
        if self.is_invalid(subject) {
            return vec![subject.clone()];
        }
        let head = self.current(subject);
        let others = self.links.keys().filter(|other| self.current(other) == head);
        let mut all: BTreeSet<Subject> = others.cloned().chain([head.clone()]).collect();
        all.remove(subject);
        std::iter::once(subject.clone()).chain(all).collect()
    }

    pub fn alive(&mut self, feed: Feed, at: Moment) {
        self.heard.insert(feed, at);
    }

    fn of(&mut self, subject: &Subject) -> &mut Vec<Told> {
        self.people.entry(subject.clone()).or_default()
    }

    /// Notes a question, which leaves a row of history when it is unscheduled and not of a worklist; a retry counts once.
    pub fn look(&mut self, asked: &Asked) {
        if asked.method == Method::LookupMany || asked.context != CareContext::Unscheduled {
            return;
        }
        let list = self.of(&asked.question.subject);
        let again = |told: &Told| matches!(told, Told::Lookup(lookup) if lookup.request == asked.request_id);
        if list.iter().any(again) {
            return;
        }
        list.push(Told::Lookup(Lookup {
            at: asked.question.now,
            organisation: asked.peer.organisation.to_string(),
            user: (asked.caller.user_name.as_str().to_owned(), asked.caller.user_role.as_str().to_owned()),
            request: asked.request_id,
        }));
    }

    /// The list that an answer about this person is made of.
    pub fn facts(&self, subject: &Subject) -> &[Told] {
        self.people.get(subject).map_or(&[], Vec::as_slice)
    }

    pub fn is_shielded(&self, subject: &Subject) -> bool {
        self.numbers(subject).iter().any(|number| self.shielded.contains(number))
    }

    /// Everyone with a plan of this authority.
    pub fn planned_by(&self, authority: LaCode) -> impl Iterator<Item = &Subject> {
        let of = move |told: &Told| matches!(told, Told::Plan(_, event) if event.authority == authority);
        self.people.iter().filter(move |(_, list)| list.iter().any(of)).map(|(subject, _)| subject)
    }

    /// The greatest version of a plan that was removed.
    pub fn removed(&self, event: &PlanEvent) -> Option<u64> {
        self.removed.get(&(event.authority, plans::name(event), event.subject.clone())).copied()
    }

    /// What retention has passed is gone for good, as after a purge of that day.
    pub fn forget(&mut self, today: Day) {
        let passed = |subject: &Subject, list: &[Told]| {
            let over = plans::passed(&[list], today);
            if over.is_empty() {
                return over;
            }
            let numbers = self.numbers(subject);
            plans::passed(&numbers.iter().map(|number| self.facts(number)).collect::<Vec<_>>(), today)
        };
        let passed: BTreeMap<Subject, Vec<(LaCode, Name)>> =
            self.people.iter().map(|(subject, list)| (subject.clone(), passed(subject, list))).collect();
        for (subject, list) in &mut self.people {
            let over = &passed[subject];
            let gone = seen::passed(list, today);
            for told in list.iter() {
                if let Told::Plan(_, event) = told
                    && over.contains(&(event.authority, plans::name(event)))
                {
                    let key = (event.authority, plans::name(event), subject.clone());
                    let greatest = self.removed.entry(key).or_default();
                    *greatest = event.version.max(*greatest);
                }
            }
            list.retain(|told| match told {
                Told::Plan(_, event) => !over.contains(&(event.authority, plans::name(event))),
                Told::Presentation(event) => !gone.contains(&(event.organisation, event.encounter.clone())),
                Told::Lookup(lookup) => calendar::london_day(lookup.at) >= today.plus_days(-LOOKUP_DAYS),
            });
        }
        self.people.retain(|_, list| !list.is_empty());
    }
}
