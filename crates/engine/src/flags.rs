//! Flags as they are read: a safeguarding team those of its own organisation's people, an auditor all but those that would tell
//! a shielded child's place, in order of id, in pages; and how many there were for how many questions. Nothing here is of a child.

#[cfg(test)]
mod tests;

use crate::audit_entry::AuditEntry;
use crate::engine::Engine;
use crate::flag_rows::{FlagDayRow, FlagReview, FlagRow, KindDay};
use crate::keys;
use crate::rows::decode;
use crate::writer::Verdict;
use kith_domain::change::Change;
use kith_domain::codes::OdsCode;
use kith_domain::flag::{Flag, FlagKind, FlagReviewed};
use kith_domain::flag_scope::{FlagScope, flag_scope};
use kith_domain::permit::{ActionPermit, Refusal};
use kith_domain::refused::Refused;
use kith_domain::time::{Day, Moment};
use kith_store::{StoreError, Table};
use std::collections::BTreeMap;
use std::ops::ControlFlow;
use std::sync::atomic::Ordering;

/// Rows looked at for one page, so that many of others cannot make one call long.
const MAX_SCANNED: usize = 5_000;

/// A flag with its id and what became of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoredFlag {
    /// Its id: the number of the entry of the audit that tells of it.
    pub id: u64,
    /// The flag.
    pub flag: Flag,
    /// What became of it; none while nobody has looked into it.
    pub review: Option<FlagReview>,
}

/// A page of flags.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct FlagPage {
    /// In order of id.
    pub flags: Vec<StoredFlag>,
    /// The id after which the next page begins; none at the end.
    pub next_after: Option<u64>,
}

/// How many flags there were for how many questions.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct FlagRates {
    /// Questions answered, whatever the answer.
    pub lookups: u64,
    /// Flags by kind.
    pub kinds: BTreeMap<FlagKind, FlagCounts>,
}

/// Flags of one kind, and what became of them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct FlagCounts {
    /// Raised.
    pub raised: u64,
    /// Of those: the person's work accounts for it.
    pub explained: u64,
    /// Of those: looked into further.
    pub taken_further: u64,
}

/// Flags for the metrics page.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FlagTotals {
    /// Flags that nobody has looked into yet.
    pub unreviewed: u64,
    /// Flags raised since the start, in the order of [`FlagKind::WORDS`].
    pub raised: [u64; FlagKind::WORDS.len()],
    /// Entries that the watch of use still has to read again after the start; until then it raises nothing.
    pub behind: u64,
}

/// Why flags are not listed.
#[derive(Debug, thiserror::Error)]
pub enum FlagsError {
    /// The permit is for something else.
    #[error("list flags: {0}")]
    Refused(#[from] Refusal),
    /// The state cannot be read.
    #[error(transparent)]
    Store(#[from] StoreError),
}

fn may_see(scope: FlagScope, organisation: OdsCode) -> bool {
    match scope {
        FlagScope::All => true,
        FlagScope::Own(own) => own == organisation,
    }
}

impl Engine {
    /// Lists flags after an id. Reads the disk: not for the threads that answer questions.
    ///
    /// # Errors
    /// [`FlagsError`].
    pub fn flags(
        &self,
        permit: &ActionPermit,
        after: u64,
        limit: usize,
        include_reviewed: bool,
    ) -> Result<FlagPage, FlagsError> {
        let scope = flag_scope(permit)?;
        let mut page = FlagPage::default();
        let (mut scanned, mut last) = (0, after);
        self.store.scan(Table::Flag, &keys::flag(after.saturating_add(1)), &[], &mut |key, bytes| {
            let Some(id) = keys::parse_flag(key) else { return ControlFlow::Break(()) };
            if page.flags.len() == limit || scanned == MAX_SCANNED {
                page.next_after = Some(last);
                return ControlFlow::Break(());
            }
            scanned += 1;
            last = id;
            match decode::<FlagRow>(bytes) {
                Ok(FlagRow { flag, review }) => {
                    let asked_for = may_see(scope, flag.organisation) && (include_reviewed || review.is_none());
                    if asked_for && self.may_be_told(scope, &flag) {
                        page.flags.push(StoredFlag { id, flag, review });
                    }
                }
                Err(error) => tracing::error!(%error, "a row of the state cannot be decoded"),
            }
            ControlFlow::Continue(())
        })?;
        Ok(page)
    }

    /// Whether whoever holds the permit is shown a flag, and so may say what became of it. A number that no flag has is left to
    /// the review, which says so. Reads the disk: not for the threads that answer questions.
    ///
    /// # Errors
    /// [`FlagsError`].
    pub fn shows_flag(&self, permit: &ActionPermit, id: u64) -> Result<bool, FlagsError> {
        let scope = flag_scope(permit)?;
        let Some(bytes) = self.store.get(Table::Flag, &keys::flag(id))? else { return Ok(true) };
        match decode::<FlagRow>(&bytes) {
            Ok(FlagRow { flag, review: _ }) => Ok(self.may_be_told(scope, &flag)),
            Err(error) => {
                tracing::error!(%error, "a row of the state cannot be decoded");
                Ok(false)
            }
        }
    }

    /// Whether a flag may be shown to whoever sees those of others. They read the audit too: where an entry that the flag
    /// names is about a child who is shielded, or was then, the audit shows it without a place, and the flag would give it
    /// one. What cannot be read is not told.
    fn may_be_told(&self, scope: FlagScope, flag: &Flag) -> bool {
        let tells = |sequence: u64| {
            let read = self.journal.read_from(sequence, 1).unwrap_or_default();
            let found = read.first().filter(|(reference, _)| reference.sequence == sequence);
            let entry = found.and_then(|(_, bytes)| decode::<AuditEntry>(bytes).ok());
            entry.is_none_or(|entry| self.tells_of_shielded(&entry.told().0))
        };
        match scope {
            FlagScope::Own(_) => true,
            FlagScope::All => !tells(flag.first_entry) && !tells(flag.last_entry),
        }
    }

    /// How many flags there were on the London days from `first` to `last`, for how many questions. Reads the disk.
    ///
    /// # Errors
    /// [`FlagsError`].
    pub fn flag_rates(&self, permit: &ActionPermit, first: Day, last: Day) -> Result<FlagRates, FlagsError> {
        let scope = flag_scope(permit)?;
        let kinds = FlagKind::WORDS.into_iter().map(|(kind, _)| (kind, FlagCounts::default()));
        let mut rates = FlagRates { lookups: 0, kinds: kinds.collect() };
        let beyond = keys::flag_day(last.plus_days(1));
        self.store.scan(Table::Flag, &keys::flag_day(first), &[keys::FLAG_DAY], &mut |key, bytes| {
            if *key >= *beyond {
                return ControlFlow::Break(());
            }
            match decode::<FlagDayRow>(bytes) {
                Ok(day) => rates.add(day, scope),
                Err(error) => tracing::error!(%error, "a row of the state cannot be decoded"),
            }
            ControlFlow::Continue(())
        })?;
        Ok(rates)
    }

    /// Notes what became of a flag.
    pub async fn review_flag(&self, permit: &ActionPermit, at: Moment, reviewed: FlagReviewed) -> Verdict {
        let only_of = match flag_scope(permit) {
            Ok(FlagScope::All) => None,
            Ok(FlagScope::Own(organisation)) => Some(organisation),
            Err(_) => return Err(NOT_ALLOWED),
        };
        let change = Change::FlagReviewed(FlagReviewed { only_of, ..reviewed });
        self.change_one(permit, at, change).await
    }

    /// Flags since the start, and those that nobody has looked into yet.
    #[must_use]
    pub fn flag_totals(&self) -> FlagTotals {
        FlagTotals {
            unreviewed: self.progress.unreviewed_flags.load(Ordering::Acquire),
            raised: std::array::from_fn(|kind| self.progress.raised_flags[kind].load(Ordering::Relaxed)),
            behind: self.progress.watch_behind.load(Ordering::Acquire),
        }
    }
}

/// A permit for another call: no handler brings one.
const NOT_ALLOWED: Refused = Refused::invalid("", "ROLE_NOT_ALLOWED", "the permit is for another call");

impl FlagRates {
    fn add(&mut self, day: FlagDayRow, scope: FlagScope) {
        for (organisation, of_day) in day.organisations {
            if !may_see(scope, organisation) {
                continue;
            }
            self.lookups += of_day.lookups;
            for (kind, KindDay { raised, explained, taken_further }) in of_day.kinds {
                let counts = self.kinds.entry(kind).or_default();
                counts.raised += raised;
                counts.explained += explained;
                counts.taken_further += taken_further;
            }
        }
    }
}
