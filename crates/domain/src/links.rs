//! Who a number is: what the demographics service has told of it, and the records of one person under several numbers.
//! A link is resolved when it is read, and facts keep the number they came with, so that a merge can be undone.

use crate::change::{IdentityAction, IdentityEvent};
use crate::child::{ChildRecord, MAX_ACCESSES, Subject};
use crate::codes::LaCode;
use crate::fold::Effect;
use crate::nhs_number::NhsNumber;
use crate::plan::{Plan, Register};
use crate::redacted::debug_without;
use crate::retention::Retention;
use crate::time::Day;
use crate::withholding;
use serde::{Deserialize, Serialize};
use std::borrow::Cow;
use std::sync::Arc;

/// Most records that are read as one person's: far over any person's numbers, and a bound on what one answer reads.
pub const MAX_LINKED: usize = 16;

/// What the demographics service has told of a number or a local key.
#[derive(Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct IdentityFacts {
    /// The number that stands in its place.
    pub successor: Register<NhsNumber>,
    /// Those in whose place it stands, in order.
    pub predecessors: Vec<Subject>,
    /// The number is not valid any more, and nothing stands in its place. Adoption is told and kept as this and nothing
    /// else.
    pub invalidated: Register<bool>,
    /// The birth date; it outranks an authority's.
    pub birth_date: Register<Day>,
    /// The day of death.
    pub died: Register<Day>,
    /// The record is sensitive nationally.
    pub shielded: Register<bool>,
    /// Versions used, in order.
    pub versions: Vec<u64>,
}

debug_without!(IdentityFacts, shown: [successor, predecessors, invalidated, died, shielded, versions], hidden: [birth_date]);

fn is_set(register: &Register<bool>) -> bool {
    register.get().copied().unwrap_or(false)
}

impl IdentityFacts {
    /// Whether the number is not valid any more.
    #[must_use]
    pub fn is_invalidated(&self) -> bool {
        is_set(&self.invalidated)
    }

    /// Whether the record is sensitive nationally.
    #[must_use]
    pub fn is_shielded(&self) -> bool {
        is_set(&self.shielded)
    }

    /// Applies what the demographics service tells of this subject. What stands in its place is told to the other record
    /// by [`link`] and [`unlink`].
    pub fn apply(&mut self, event: &IdentityEvent) -> Effect {
        let version = event.version;
        if let Err(at) = self.versions.binary_search(&version) {
            self.versions.insert(at, version);
        }
        let any = match event.action {
            IdentityAction::ReplacedBy(number) => self.successor.set(version, Some(number)),
            IdentityAction::LinkUndone => self.successor.set(version, None),
            IdentityAction::Invalidated => {
                // No link of any kind: nothing that was linked before is, either.
                self.successor.set(version, None);
                self.invalidated.set(version, Some(true))
            }
            IdentityAction::Reinstated => self.invalidated.set(version, Some(false)),
            IdentityAction::BirthDate(day) => self.birth_date.set(version, Some(day)),
            IdentityAction::Died(day) => self.died.set(version, day),
            IdentityAction::Shielded => self.shielded.set(version, Some(true)),
            IdentityAction::Unshielded => self.shielded.set(version, Some(false)),
        };
        if any { Effect::Applied } else { Effect::Overtaken }
    }
}

/// Notes on a record that it stands in the place of another.
pub fn link(record: &mut ChildRecord, predecessor: &Subject) {
    let facts = record.identity.get_or_insert_default();
    if let Err(at) = facts.predecessors.binary_search(predecessor) {
        facts.predecessors.insert(at, predecessor.clone());
    }
}

/// Takes [`link`] back.
pub fn unlink(record: &mut ChildRecord, predecessor: &Subject) {
    let Some(facts) = record.identity.as_mut() else { return };
    facts.predecessors.retain(|one| one != predecessor);
    if **facts == IdentityFacts::default() {
        record.identity = None;
    }
}

/// How the number asked about stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Standing {
    /// Nothing else has been told.
    #[default]
    Current,
    /// Another number stands in its place.
    ReplacedBy(NhsNumber),
    /// It is not valid any more, or what stands in its place is not.
    Invalid,
}

/// The records of one person, as found for the number asked about.
#[derive(Debug, Clone, Default)]
pub struct Person {
    /// The record of the number asked about.
    pub own: Option<Arc<ChildRecord>>,
    /// Records of the same person under other numbers: the nearest first.
    pub linked: Vec<Arc<ChildRecord>>,
    /// How the number stands.
    pub standing: Standing,
}

impl Person {
    /// Finds the records of a person beside the one of the number asked about. A link that leads to or from a number that
    /// is not valid any more is none.
    pub fn find(own: Option<Arc<ChildRecord>>, find: impl Fn(&Subject) -> Option<Arc<ChildRecord>>) -> Self {
        let Some((subject, facts)) = own.as_ref().and_then(|own| Some((&own.subject, own.identity.as_deref()?))) else {
            return Self { own, ..Self::default() };
        };
        let invalid = |own| Self { own, linked: Vec::new(), standing: Standing::Invalid };
        if facts.is_invalidated() {
            return invalid(own);
        }
        let mut known = vec![subject.clone()];
        let (mut linked, mut standing) = (Vec::new(), Standing::Current);
        let mut next = facts.successor.get().copied();
        while let Some(number) = next.filter(|number| !known.contains(&Subject::Nhs(*number))) {
            let place = Subject::Nhs(number);
            let record = find(&place);
            let facts = record.as_ref().and_then(|record| record.identity.as_deref());
            if facts.is_some_and(IdentityFacts::is_invalidated) || known.len() >= MAX_LINKED {
                return invalid(own);
            }
            next = facts.and_then(|facts| facts.successor.get().copied());
            standing = Standing::ReplacedBy(number);
            known.push(place);
            linked.extend(record);
        }
        let mut at = 0;
        while let Some(record) = own.iter().chain(&linked).nth(at).cloned() {
            at += 1;
            for place in record.identity.iter().flat_map(|facts| &facts.predecessors) {
                if known.contains(place) || known.len() >= MAX_LINKED {
                    continue;
                }
                let Some(before) = find(place).filter(|before| before.is_replaced_by(&record.subject)) else {
                    continue;
                };
                known.push(place.clone());
                linked.push(before);
            }
        }
        Self { own, linked, standing }
    }

    /// A person of whom one record alone is held, or none.
    #[must_use]
    pub fn of(record: Option<&ChildRecord>) -> Self {
        Self::find(record.cloned().map(Arc::new), |_| None)
    }

    /// Every record, the one asked about first.
    pub fn records(&self) -> impl Iterator<Item = &ChildRecord> {
        self.own.iter().chain(&self.linked).map(|record| &**record)
    }

    /// Everything held about the person on `today` as one record: what has passed its retention on its own record is
    /// not. `None` when no record is held.
    #[must_use]
    pub fn held(&self, retention: Retention, today: Day) -> Option<Cow<'_, ChildRecord>> {
        self.joined(|record| match retention.split(record, self, today) {
            Some(passed) => Cow::Owned(passed.kept),
            None => Cow::Borrowed(record),
        })
    }

    /// Everything held about the person as one record, whatever has passed.
    #[must_use]
    pub fn whole(&self) -> Option<Cow<'_, ChildRecord>> {
        self.joined(Cow::Borrowed)
    }

    /// The latest birth date that the demographics service has told of the person, under any of the numbers.
    #[must_use]
    pub fn latest_told_birth_date(&self) -> Option<Day> {
        self.records().filter_map(ChildRecord::told_birth_date).max()
    }

    /// The birth date that the demographics service has told of the number that a plan stands under. Where the same plan
    /// stands under several, none as soon as one of them has none.
    pub(crate) fn told_beside(&self, plan: &Plan) -> Option<Day> {
        let mut told = self.records().filter(|record| record.plans.contains(plan)).map(ChildRecord::told_birth_date);
        let first = told.next()??;
        told.try_fold(first, |latest, one| Some(latest.max(one?)))
    }

    /// The other records, and whether each stands in the place of the number asked about: what is told of such a one
    /// outranks what is told of that number.
    fn others(&self) -> impl Iterator<Item = (&ChildRecord, bool)> {
        let successor =
            |record: &ChildRecord| record.identity.as_ref().and_then(|facts| facts.successor.get().copied());
        let mut next = self.own.as_deref().and_then(successor);
        self.linked.iter().map(move |record| {
            let is_nearer = next.is_some_and(|number| record.subject == Subject::Nhs(number));
            if is_nearer {
                next = successor(record);
            }
            (&**record, is_nearer)
        })
    }

    /// One record of all of them, each as `kept` gives it.
    fn joined<'a>(&'a self, kept: impl Fn(&'a ChildRecord) -> Cow<'a, ChildRecord>) -> Option<Cow<'a, ChildRecord>> {
        if self.linked.is_empty() {
            return self.own.as_deref().map(kept);
        }
        let mut whole = kept(self.own.as_deref()?).into_owned();
        for (record, is_nearer) in self.others() {
            add(&mut whole, &kept(record), is_nearer);
        }
        whole.plans.sort_by(|a, b| (a.authority, &a.name).cmp(&(b.authority, &b.name)));
        let beyond = whole.accesses.len().saturating_sub(MAX_ACCESSES);
        whole.accesses.sort_by_key(|row| row.last_at);
        let pushed_out = whole.accesses.drain(..beyond).map(|row| row.last_at.london_day());
        whole.accesses_beyond = whole.accesses_beyond.iter().copied().chain(pushed_out).collect();
        Some(Cow::Owned(whole))
    }

    /// Whether the person's whereabouts must not be revealed, under any of the numbers.
    #[must_use]
    pub fn is_shielded(&self) -> bool {
        self.records().any(ChildRecord::is_shielded)
    }

    /// As [`ChildRecord::was_shielded`], under any of the numbers.
    #[must_use]
    pub fn was_shielded(&self) -> bool {
        self.records().any(ChildRecord::was_shielded)
    }

    /// Authorities that shield the person, under any of the numbers.
    #[must_use]
    pub fn setters(&self) -> Vec<LaCode> {
        let mut setters: Vec<LaCode> = self.records().flat_map(ChildRecord::setters).collect();
        setters.sort_unstable();
        setters.dedup();
        setters
    }

    /// Other NHS numbers of the person that are linked with the one asked about, in order.
    #[must_use]
    pub fn other_numbers(&self) -> Vec<NhsNumber> {
        let number = |record: &Arc<ChildRecord>| match record.subject {
            Subject::Nhs(number) => Some(number),
            Subject::Local(..) => None,
        };
        let head = match self.standing {
            Standing::ReplacedBy(number) => Some(number),
            Standing::Current | Standing::Invalid => None,
        };
        let mut numbers: Vec<NhsNumber> = self.linked.iter().filter_map(number).chain(head).collect();
        numbers.sort_unstable();
        numbers.dedup();
        numbers
    }
}

/// Adds another record of the same person.
fn add(whole: &mut ChildRecord, other: &ChildRecord, is_nearer: bool) {
    let ChildRecord {
        subject: _,
        plans,
        presentations,
        accesses,
        accesses_beyond,
        notified,
        shielded_by,
        identity,
        withheld_by,
    } = other;
    whole.plans.extend(plans.iter().cloned());
    whole.presentations.extend(presentations.iter().cloned());
    whole.accesses.extend(accesses.iter().cloned());
    whole.accesses_beyond = whole.accesses_beyond.iter().chain(accesses_beyond).copied().collect();
    whole.notified.extend(notified.iter().copied());
    whole.shielded_by.extend(shielded_by.iter().copied());
    // What is withheld under one number of a person is withheld under all of them.
    withheld_by.iter().for_each(|authority| withholding::withhold(whole, *authority));
    let Some(theirs) = identity.as_deref() else { return };
    let ours = whole.identity.get_or_insert_default();
    if is_nearer || ours.birth_date.get().is_none() {
        prefer(&mut ours.birth_date, &theirs.birth_date);
    }
    if theirs.died.version() > 0 && (is_nearer || ours.died.version() == 0) {
        ours.died = theirs.died;
    }
    if theirs.is_shielded() {
        ours.shielded = theirs.shielded;
    }
}

fn prefer<T: Clone>(ours: &mut Register<T>, theirs: &Register<T>) {
    if theirs.get().is_some() {
        *ours = theirs.clone();
    }
}

#[cfg(test)]
#[path = "links_tests.rs"]
mod tests;
