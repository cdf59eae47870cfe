//! Searching the audit, from its newest entry on. One call gives so many entries and looks at so many: where it stops, it says so
//! and where to go on, for what was not looked at may hold what is looked for. Every number that was passed has an entry, or is
//! named as missing. It reads files, holds no lock that a writer needs, and audits nothing by itself.

use crate::audit_entry::{AuditEntry, Decision, MotherRead};
use crate::audit_retention::AuditRemoval;
use crate::audit_seen::{Child, SeenEntry, StandsAs, is_answer_to, is_of_several};
use crate::engine::Engine;
use crate::rows::decode;
use crate::told_again::stands_under;
use kith_domain::audit_query::{AuditQuery, AuditScope};
use kith_domain::codes::{LaCode, OdsCode};
use kith_domain::links::{Person, Standing};
use kith_domain::time::Moment;
use kith_store::AuditRef;

/// Stretches of segments read in one call: each restart leaves a segment, and one with few entries costs a file all the same.
const MAX_STRETCHES: u32 = 256;
/// Missing ranges named in one call, after which it stops.
const MAX_MISSING: usize = 100;
/// How far apart the times of neighbours may be out of order, in seconds. Entries stand in the order of their numbers, and their
/// times are those of a clock that may have been set.
const CLOCK_SLACK_SECONDS: i64 = 60 * 60;

/// How much one call gives and looks at.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct AuditBounds {
    /// Entries given, at least one.
    pub given: usize,
    /// Entries after which no further stretch is begun; a stretch has about a thousand. A range of time ends where so many in a
    /// row are older: one that a clock set wrong has made ends nothing.
    pub looked_at: u64,
}

/// Why a search ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AuditEnded {
    /// Everything that was asked for has been looked at.
    Whole,
    /// As many entries are given as were asked for; what is before them was not looked at.
    PageFull,
    /// As much was looked at as one call looks at; what is before it was not.
    Stopped,
    /// What is still there has been looked at; what is before it was removed when its time had passed.
    Removed,
    /// So many entries in a row are older than the range that it is taken to end there. What is before them was not looked at, and
    /// a clock that was set wrong for as long may have made entries of the range there.
    Older,
}

/// Numbers that have no entry that could be read: never given, given up, lost, or damaged.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct MissingEntries {
    /// The last number before them.
    pub after: u64,
    /// The first number after them; `None` where entries may be missing though every number has one.
    pub before: Option<u64>,
    /// When it was noticed and written into the audit, where that was looked at.
    pub announced_at: Option<Moment>,
}

/// What a search has found so far.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AuditPage {
    /// The entries, newest first.
    pub found: Vec<SeenEntry>,
    /// Why there are no more.
    pub ended: AuditEnded,
    /// The entry before which to go on; `None` at the end.
    pub next_before: Option<u64>,
    /// The lowest and the highest number that was looked at; `None` when there was nothing to look at.
    pub range: Option<(u64, u64)>,
    /// Entries looked at.
    pub looked_at: u64,
    /// What was asked for and was removed when its time had passed. It is neither among what was looked at nor missing.
    pub removed: Option<AuditRemoval>,
    /// Numbers in the range without an entry, newest first; then gaps that entries in it tell of beside those.
    pub missing: Vec<MissingEntries>,
    /// It goes by place, so that nothing about a shielded child is among what it finds, whether or not there is any.
    pub shielded_left_out: bool,
    /// It goes by child, so that what was told of a child who is or was shielded together with others, or asked in a worklist, is not
    /// among what it finds, whether or not there is any. It is the same for every child: said of one key or one range alone, it would
    /// tell a place.
    pub together_left_out: bool,
    /// What people of the reader's own organisation were told is among what it finds, and nobody else's.
    pub own_people_only: bool,
}

/// Why nothing is searched.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum AuditSearchError {
    /// The authority holds no plan of the child, or the child is shielded by others: one refusal for both.
    #[error("search the audit: the authority holds no plan of this child, or may not see who looked")]
    NoPlanHeld,
}

/// Which entries about the child may be seen.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Seeing {
    Every,
    /// Those made while this authority was responsible, as access notifications are.
    WhileResponsible(LaCode),
    /// Answers that people of this organisation were given. Its own place is all that they tell, so that a shield hides none of
    /// them, and whether there is one is asked nowhere on the way.
    OfOwnPeople(OdsCode),
}

/// A search on its way down.
struct Search<'a> {
    engine: &'a Engine,
    query: &'a AuditQuery,
    child: Option<Child>,
    seeing: Seeing,
    bounds: AuditBounds,
    /// The lowest number that is asked for.
    floor: u64,
    /// Every number from here on has been looked at.
    lowest: u64,
    /// Entries in a row that are older than the range.
    older: u64,
    /// Up to this number what was passed was removed; 0 while none was.
    removed_through: u64,
    /// Gaps that entries tell of: after which number, and when.
    announced: Vec<(u64, Moment)>,
    page: AuditPage,
}

impl Engine {
    /// Searches the audit, from its newest entry on or from before the entry `before`. Blocks.
    ///
    /// # Errors
    /// [`AuditSearchError`] when `scope` has no part in what is asked for.
    pub fn search_audit(
        &self,
        scope: AuditScope,
        query: &AuditQuery,
        before: Option<u64>,
        bounds: AuditBounds,
        now: Moment,
    ) -> Result<AuditPage, AuditSearchError> {
        let person = query.subject().map(|subject| {
            let person = self.index().person(&subject);
            (subject, person)
        });
        let seeing = match scope {
            AuditScope::All => Seeing::Every,
            AuditScope::Own(authority) => {
                let person = person.as_ref().map(|(_, person)| person).ok_or(AuditSearchError::NoPlanHeld)?;
                self.seeing(authority, person, now)?
            }
            AuditScope::OwnPeople(organisation) => Seeing::OfOwnPeople(organisation),
        };
        let own_people_only = matches!(seeing, Seeing::OfOwnPeople(_));
        let end = self.journal().synced_through().saturating_add(1);
        let begin = before.or(query.entry.map(|entry| entry.saturating_add(1))).unwrap_or(end);
        let child = person.map(|(subject, person)| Child::new(subject, &person));
        let together_left_out = child.is_some() && !own_people_only;
        let search = Search {
            engine: self,
            query,
            child,
            seeing,
            bounds,
            floor: query.entry.unwrap_or(1).max(1),
            lowest: begin.min(end),
            older: 0,
            removed_through: 0,
            announced: Vec::new(),
            page: AuditPage {
                found: Vec::new(),
                ended: AuditEnded::Whole,
                next_before: None,
                range: None,
                looked_at: 0,
                removed: None,
                missing: Vec::new(),
                shielded_left_out: query.goes_by_place() && !own_people_only,
                together_left_out,
                own_people_only,
            },
        };
        Ok(search.run())
    }

    /// What an authority may see of those who looked up a person: of a child it holds a plan of what was asked while it was
    /// responsible; of a shielded one, who shields alone, and everything; of one whose number is not valid any more, nobody.
    fn seeing(&self, authority: LaCode, person: &Person, now: Moment) -> Result<Seeing, AuditSearchError> {
        if person.standing == Standing::Invalid {
            return Err(AuditSearchError::NoPlanHeld);
        }
        let setters = person.setters();
        if setters.contains(&authority) {
            return Ok(Seeing::Every);
        }
        let held = person.held(self.settings().retention(), now.london_day());
        let mut plans = held.iter().flat_map(|record| &record.plans);
        let holds = plans.any(|plan| plan.authority == authority && !plan.is_withdrawn());
        // Where only the demographics service shields, nobody else would hear.
        if holds && setters.is_empty() {
            Ok(Seeing::WhileResponsible(authority))
        } else {
            Err(AuditSearchError::NoPlanHeld)
        }
    }
}

impl Search<'_> {
    fn run(mut self) -> AuditPage {
        let begun = self.lowest;
        self.page.ended = match self.go_down() {
            AuditEnded::Whole if self.page.removed.is_some() => AuditEnded::Removed,
            ended @ (AuditEnded::Whole
            | AuditEnded::PageFull
            | AuditEnded::Stopped
            | AuditEnded::Removed
            | AuditEnded::Older) => ended,
        };
        if self.lowest < begun {
            self.page.range = Some((self.lowest, begun - 1));
        }
        self.page.next_before = match self.page.ended {
            AuditEnded::Whole | AuditEnded::Removed | AuditEnded::Older => None,
            AuditEnded::PageFull | AuditEnded::Stopped => Some(self.lowest),
        };
        self.tell_announced();
        self.page
    }

    fn go_down(&mut self) -> AuditEnded {
        for _ in 0..MAX_STRETCHES {
            if self.lowest <= self.floor {
                return AuditEnded::Whole;
            }
            let Some(stretch) = self.engine.journal().read_before(self.lowest) else {
                self.nothing_down_to(self.floor);
                return AuditEnded::Whole;
            };
            for (reference, plain) in stretch.entries.into_iter().rev() {
                if reference.sequence < self.floor {
                    self.nothing_down_to(self.floor);
                    return AuditEnded::Whole;
                }
                if let Some(ended) = self.look_at(reference, &plain) {
                    return ended;
                }
            }
            self.nothing_down_to(stretch.from.max(self.floor));
            if self.lowest <= self.removed_through.saturating_add(1) {
                return AuditEnded::Whole;
            }
            if self.page.looked_at >= self.bounds.looked_at || self.page.missing.len() >= MAX_MISSING {
                return AuditEnded::Stopped;
            }
        }
        AuditEnded::Stopped
    }

    /// Looks at the next entry; gives why the search ends with it.
    fn look_at(&mut self, reference: AuditRef, plain: &[u8]) -> Option<AuditEnded> {
        let sequence = reference.sequence;
        if sequence >= self.lowest {
            // Out of order, which verifying names: it has been passed.
            return None;
        }
        let (entry, earlier) = match decode::<AuditEntry>(plain) {
            Ok(entry) => entry.told(),
            Err(error) => {
                // Its number is then among the missing.
                tracing::error!(sequence, %error, "an audit entry cannot be decoded");
                return None;
            }
        };
        if sequence + 1 < self.lowest && !self.is_after_range(entry.at) {
            self.missing(sequence);
        }
        self.lowest = sequence;
        self.page.looked_at += 1;
        self.older = if self.is_before_range(entry.at) { self.older + 1 } else { 0 };
        if self.older >= self.bounds.looked_at {
            return Some(AuditEnded::Older);
        }
        if let Decision::Gap(after) = entry.decision
            && self.query.covers(entry.at)
        {
            self.announced.push((after, entry.at));
        }
        if self.is_wanted(sequence, &entry) && !self.stands_as_well(&entry, &earlier) {
            self.page.found.push(self.seen(reference, entry));
            if self.page.found.len() >= self.bounds.given && sequence > self.floor {
                return Some(AuditEnded::PageFull);
            }
        }
        None
    }

    fn is_before_range(&self, at: Moment) -> bool {
        self.query.from.is_some_and(|from| at < from.plus_seconds(-CLOCK_SLACK_SECONDS))
    }

    fn is_after_range(&self, at: Moment) -> bool {
        self.query.until.is_some_and(|until| at >= until.plus_seconds(CLOCK_SLACK_SECONDS))
    }

    fn is_wanted(&self, sequence: u64, entry: &AuditEntry) -> bool {
        let query = self.query;
        let wanted = query.covers(entry.at)
            && query.entry.is_none_or(|wanted| wanted == sequence)
            && query.is_by(entry.organisation, entry.caller.as_ref())
            && (!query.lookups || entry.decision.is_look());
        if !wanted || !self.is_of_child(entry) {
            return false;
        }
        // That it is found by where it was made would tell the place, but of what is shown without whom it is about, or to whom
        // the place is their own.
        let is_veiled = self.child.is_none() && is_of_several(entry.method);
        let tells = query.goes_by_place() && !self.page.own_people_only;
        is_veiled || !(tells && self.engine.tells_of_shielded(entry))
    }

    /// An entry as it is shown to whoever searches.
    fn seen(&self, reference: AuditRef, entry: AuditEntry) -> SeenEntry {
        match self.seeing {
            Seeing::Every | Seeing::WhileResponsible(_) => self.engine.seen(reference, entry, self.child.as_ref()),
            Seeing::OfOwnPeople(_) => self.engine.seen_by_own(reference, entry, self.child.as_ref()),
        }
    }

    /// Whether an entry that was told again stands under an earlier number too, and is found there. Whoever asks for it by its
    /// own number gets it.
    fn stands_as_well(&self, entry: &AuditEntry, earlier: &[u64]) -> bool {
        self.query.entry.is_none() && stands_under(self.engine.journal(), entry, earlier)
    }

    /// Whether an entry is about the child that is asked for, and may be seen.
    fn is_of_child(&self, entry: &AuditEntry) -> bool {
        let Some(child) = &self.child else { return self.seeing == Seeing::Every };
        let Some(stands_as) = child.stands_in(entry) else { return false };
        match self.seeing {
            Seeing::OfOwnPeople(organisation) => is_answer_to(organisation, entry),
            Seeing::Every => !self.is_beside_others(entry),
            Seeing::WhileResponsible(authority) => {
                let responsible = match (stands_as, &entry.mother) {
                    (StandsAs::Mother, Some(MotherRead { subject: _, responsible })) => responsible,
                    (StandsAs::Mother, None) | (StandsAs::Subject, _) => &entry.responsible,
                };
                responsible.contains(&authority) && !self.is_beside_others(entry)
            }
        }
    }

    /// Whether an entry about somebody who is or was shielded has neighbours of the same call that have a place.
    fn is_beside_others(&self, entry: &AuditEntry) -> bool {
        is_of_several(entry.method) && self.engine.tells_of_shielded(entry)
    }

    /// There is no entry between `after` and the lowest number looked at. What of them was removed is told as that.
    fn missing(&mut self, after: u64) {
        // Asked for now, and not before the reading: what has been removed meanwhile was not lost.
        let removed = self.engine.audit_kept().removed.filter(|removed| removed.through > after);
        let after = removed.map_or(after, |removed| removed.through);
        self.removed_through = self.removed_through.max(removed.map_or(0, |removed| removed.through));
        // Of a range that begins after all of them were made, none was asked for.
        let asked_for = removed.filter(|removed| self.query.from.is_none_or(|from| from < removed.before));
        self.page.removed = self.page.removed.or(asked_for);
        if after.saturating_add(1) < self.lowest {
            self.page.missing.push(MissingEntries { after, before: Some(self.lowest), announced_at: None });
        }
    }

    /// There is no entry from `from` on up to the lowest number looked at.
    fn nothing_down_to(&mut self, from: u64) {
        if from < self.lowest {
            self.missing(from - 1);
            // What was removed was not looked at.
            self.lowest = self.lowest.min(from.max(self.removed_through.saturating_add(1)));
        }
    }

    /// Adds what entries tell of gaps: of those whose numbers are missing when they were noticed, and those beside them.
    fn tell_announced(&mut self) {
        for (after, at) in std::mem::take(&mut self.announced) {
            match self.page.missing.iter_mut().find(|missing| missing.after == after) {
                Some(missing) => missing.announced_at = Some(at),
                None => self.page.missing.push(MissingEntries { after, before: None, announced_at: Some(at) }),
            }
        }
    }
}

#[cfg(test)]
mod own_people_tests;
#[cfg(test)]
mod refusal_tests;
#[cfg(test)]
mod together_tests;

#[cfg(test)]
mod tests;

#[cfg(test)]
mod worklist_tests;
