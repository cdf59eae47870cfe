//! Openings of shielded records as rows of the state: the privacy officer's queue, which names no child, and what the next
//! openings of an organisation are counted by. What nobody has reviewed is held in memory too, for readers.

use crate::changes::Checked;
use crate::keys::{self, OpeningKey};
use crate::open::EngineError;
use crate::rows::decode;
use crate::working::{StateError, Working};
use kith_domain::caller::Role;
use kith_domain::change::{Change, LogRecord};
use kith_domain::codes::OdsCode;
use kith_domain::fold::Effect;
use kith_domain::opening::{
    self, CountedOpening, LIMIT_REACHED, MAX_WINDOW_SECONDS, Opener, Opening, OpeningLimits, OpeningReason,
    OpeningReview, ReviewOutcome,
};
use kith_domain::refused::Refused;
use kith_domain::time::{Day, Moment};
use kith_store::{Store, Table};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::ops::{Bound, ControlFlow};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use uuid::Uuid;

/// Openings of an organisation are kept for counting for so many days: a day more than the longest window.
const COUNTED_DAYS: i32 = (MAX_WINDOW_SECONDS / 86_400) as i32 + 1;

/// What is kept of an opening, under its reference: nothing of the child, and nothing of what the opener said.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct OpeningRow {
    pub(crate) at: Moment,
    pub(crate) organisation: OdsCode,
    pub(crate) role: Role,
    pub(crate) reason: OpeningReason,
    /// A keyed name, so that nobody reviews what they opened themselves.
    pub(crate) opener: Opener,
    pub(crate) review: Option<ReviewRow>,
}

/// What a review has found.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct ReviewRow {
    pub(crate) at: Moment,
    pub(crate) outcome: ReviewOutcome,
}

/// Openings of an organisation that may count for its next one.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, Default)]
pub(crate) struct CountedRow {
    pub(crate) openings: Vec<CountedOpening>,
}

/// An opening that nobody has reviewed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct WaitingOpening {
    pub(crate) reference: Uuid,
    pub(crate) at: Moment,
    pub(crate) organisation: OdsCode,
    pub(crate) role: Role,
    pub(crate) reason: OpeningReason,
}

/// An opening that nobody has reviewed, as it is listed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ListedOpening {
    /// Random; the audit entry of the viewing carries it too.
    pub reference: Uuid,
    /// When; for an auditor the London day alone, as its midnight in UTC.
    pub at: Moment,
    /// The organisation; none for an auditor.
    pub organisation: Option<OdsCode>,
    /// Its role.
    pub role: Role,
    /// Why.
    pub reason: OpeningReason,
}

impl WaitingOpening {
    /// As its own organisation sees it.
    fn whole(self) -> ListedOpening {
        let Self { reference, at, organisation, role, reason } = self;
        ListedOpening { reference, at, organisation: Some(organisation), role, reason }
    }

    /// As an auditor sees it: beside the audit, in which a shielded child has no place, a moment would tell which entry it
    /// belongs to, and an organisation then where the child was asked about.
    fn without_a_place(self) -> ListedOpening {
        let at = self.at.london_day().utc_start();
        ListedOpening { at, organisation: None, ..self.whole() }
    }
}

/// What operations see of openings: how many, and no more.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct OpeningCounts {
    /// That nobody has reviewed.
    pub unreviewed: u64,
    /// The oldest of these.
    pub oldest: Option<Moment>,
    /// Refused since the start because as many had been opened as may be.
    pub over_limit: u64,
}

/// What a change did to the openings that readers see.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Noted {
    /// One waits for a review.
    Waits(WaitingOpening),
    /// It waits no more.
    Reviewed(Moment, Uuid),
    /// What counts for an organisation.
    Counted(OdsCode, Vec<CountedOpening>),
}

/// Whether an opening may be made: none for every other change.
pub(crate) fn check(working: &Working<'_>, record: &LogRecord) -> Result<Option<Checked>, StateError> {
    let Change::Opened(opening) = &record.change else { return Ok(None) };
    if working.row::<OpeningRow>(Table::Opening, &keys::opening(opening.reference))?.is_some() {
        return Ok(Some(Checked::Refused(Refused::EVENT_ID_REUSED)));
    }
    let counted = counted(working, opening.organisation)?;
    let reached = opening.limits.are_reached(&counted, &opening.opener, record.at);
    Ok(Some(if reached { Checked::Refused(LIMIT_REACHED) } else { Checked::New(None) }))
}

fn counted(working: &Working<'_>, organisation: OdsCode) -> Result<Vec<CountedOpening>, StateError> {
    let row: Option<CountedRow> = working.row(Table::Opening, &keys::counted_openings(organisation))?;
    Ok(row.unwrap_or_default().openings)
}

/// Puts an opening into the queue, and counts it.
pub(crate) fn open(working: &mut Working<'_>, opening: &Opening, at: Moment) -> Result<Effect, StateError> {
    let Opening { reference, organisation, role, reason, opener, limits } = *opening;
    let mut openings = counted(working, organisation)?;
    openings.retain(|one| limits.counts(one, at));
    openings.push(CountedOpening { at, opener });
    working.note_opening(Noted::Counted(organisation, openings.clone()));
    working.put(Table::Opening, keys::counted_openings(organisation), &CountedRow { openings })?;
    let row = OpeningRow { at, organisation, role, reason, opener, review: None };
    working.put(Table::Opening, keys::opening(reference), &row)?;
    working.note_opening(Noted::Waits(WaitingOpening { reference, at, organisation, role, reason }));
    Ok(Effect::Applied)
}

/// Whether a review may be taken.
pub(crate) fn check_review(working: &Working<'_>, review: &OpeningReview) -> Result<Option<Refused>, StateError> {
    let row = working.row::<OpeningRow>(Table::Opening, &keys::opening(review.reference))?;
    Ok(match row.filter(|row| opening::may_review(review.role, review.organisation, row.organisation)) {
        None => Some(opening::UNKNOWN),
        Some(row) if row.review.is_some() => Some(opening::REVIEWED),
        Some(row) if row.opener == review.reviewer => Some(opening::OWN),
        Some(_) => None,
    })
}

/// Notes what a review has found.
pub(crate) fn review(working: &mut Working<'_>, review: &OpeningReview, at: Moment) -> Result<Effect, StateError> {
    let key = keys::opening(review.reference);
    let Some(row) = working.row::<OpeningRow>(Table::Opening, &key)? else { return Ok(Effect::Overtaken) };
    let reviewed = ReviewRow { at, outcome: review.outcome };
    working.put(Table::Opening, key, &OpeningRow { review: Some(reviewed), ..row })?;
    working.note_opening(Noted::Reviewed(row.at, review.reference));
    Ok(Effect::Applied)
}

/// Whether a row has passed its time: one that nobody has reviewed never does.
pub(crate) fn has_passed((key, bytes): (&[u8], &[u8]), reviewed_days: i32, today: Day) -> Result<bool, StateError> {
    let older = |at: Moment, days: i32| at.london_day() < today.plus_days(-days);
    Ok(match keys::parse_opening(key) {
        Some(OpeningKey::Of(_)) => {
            decode::<OpeningRow>(bytes)?.review.is_some_and(|review| older(review.at, reviewed_days))
        }
        Some(OpeningKey::CountedOf(_)) => {
            decode::<CountedRow>(bytes)?.openings.iter().all(|one| older(one.at, COUNTED_DAYS))
        }
        None => false,
    })
}

/// Tells readers of a row that is removed.
pub(crate) fn forget(working: &mut Working<'_>, key: &[u8]) {
    if let Some(OpeningKey::CountedOf(organisation)) = keys::parse_opening(key) {
        working.note_opening(Noted::Counted(organisation, Vec::new()));
    }
}

/// Openings as readers see them. It grows with what nobody reviews, which the limits bound, by a hundred bytes each.
#[derive(Debug, Default)]
pub(crate) struct Book {
    pages: Mutex<Pages>,
    over_limit: AtomicU64,
}

#[derive(Debug, Default)]
struct Pages {
    waiting: BTreeMap<(Moment, Uuid), WaitingOpening>,
    counted: BTreeMap<OdsCode, Vec<CountedOpening>>,
}

impl Pages {
    fn take(&mut self, noted: Noted) {
        match noted {
            Noted::Waits(one) => {
                self.waiting.insert((one.at, one.reference), one);
            }
            Noted::Reviewed(at, reference) => {
                self.waiting.remove(&(at, reference));
            }
            Noted::Counted(organisation, openings) if openings.is_empty() => {
                self.counted.remove(&organisation);
            }
            Noted::Counted(organisation, openings) => {
                self.counted.insert(organisation, openings);
            }
        }
    }
}

impl Book {
    /// Reads what stands in the state.
    pub(crate) fn read(store: &Store) -> Result<Self, EngineError> {
        let (mut pages, mut fault) = (Pages::default(), None);
        store.scan(Table::Opening, &[], &[], &mut |key, bytes| match noted(key, bytes) {
            Ok(noted) => {
                noted.into_iter().for_each(|noted| pages.take(noted));
                ControlFlow::Continue(())
            }
            Err(error) => {
                fault = Some(error);
                ControlFlow::Break(())
            }
        })?;
        match fault {
            Some(StateError::Codec(error)) => Err(error.into()),
            Some(StateError::Store(error)) => Err(error.into()),
            None => Ok(Self { pages: Mutex::new(pages), over_limit: AtomicU64::new(0) }),
        }
    }

    fn pages(&self) -> MutexGuard<'_, Pages> {
        self.pages.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes what a committed group has changed.
    pub(crate) fn publish(&self, noted: Vec<Noted>) {
        if !noted.is_empty() {
            let mut pages = self.pages();
            noted.into_iter().for_each(|noted| pages.take(noted));
        }
    }

    /// Whether one more opening would be one too many. The writer decides it for good.
    pub(crate) fn are_reached(&self, limits: &OpeningLimits, (of, by): (OdsCode, &Opener), at: Moment) -> bool {
        let pages = self.pages();
        limits.are_reached(pages.counted.get(&of).map(Vec::as_slice).unwrap_or_default(), by, at)
    }

    /// An opening was refused because as many had been made as may be.
    pub(crate) fn refused(&self) {
        self.over_limit.fetch_add(1, Ordering::Relaxed);
    }

    pub(crate) fn counts(&self) -> OpeningCounts {
        let pages = self.pages();
        let oldest = pages.waiting.keys().next().map(|(at, _)| *at);
        let over_limit = self.over_limit.load(Ordering::Relaxed);
        OpeningCounts { unreviewed: pages.waiting.len() as u64, oldest, over_limit }
    }

    /// At most so many of those that wait, oldest first, after one of them, that `sees` lets through; and whether more follow.
    pub(crate) fn waiting(
        &self,
        after: Option<(Moment, Uuid)>,
        limit: usize,
        sees: impl Fn(&WaitingOpening) -> bool,
    ) -> (Vec<ListedOpening>, bool) {
        let pages = self.pages();
        let from = after.map_or(Bound::Unbounded, Bound::Excluded);
        let mut found = pages.waiting.range((from, Bound::Unbounded)).map(|(_, one)| *one).filter(|one| sees(one));
        let page: Vec<ListedOpening> = found.by_ref().take(limit).map(WaitingOpening::whole).collect();
        (page, found.next().is_some())
    }

    /// At most so many of those that wait anywhere, without a place, after one of them; and whether more follow. Those of a day
    /// stand in the order of their random references, which is not that of the audit.
    pub(crate) fn without_places(&self, after: Option<(Moment, Uuid)>, limit: usize) -> (Vec<ListedOpening>, bool) {
        let mut all: Vec<ListedOpening> = {
            let pages = self.pages();
            pages.waiting.values().map(|one| one.without_a_place()).collect()
        };
        all.retain(|one| after.is_none_or(|after| (one.at, one.reference) > after));
        all.sort_unstable_by_key(|one| (one.at, one.reference));
        let more = all.len() > limit;
        all.truncate(limit);
        (all, more)
    }
}

/// What a row tells readers.
fn noted(key: &[u8], bytes: &[u8]) -> Result<Option<Noted>, StateError> {
    Ok(match keys::parse_opening(key) {
        Some(OpeningKey::Of(reference)) => {
            let OpeningRow { at, organisation, role, reason, opener: _, review } = decode(bytes)?;
            review.is_none().then_some(Noted::Waits(WaitingOpening { reference, at, organisation, role, reason }))
        }
        Some(OpeningKey::CountedOf(organisation)) => {
            Some(Noted::Counted(organisation, decode::<CountedRow>(bytes)?.openings))
        }
        None => None,
    })
}

#[cfg(test)]
mod tests;
