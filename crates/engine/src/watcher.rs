//! Watching use, behind the answers: from the entries of the audit that history is derived from, flags are worked out and told by
//! entries of the audit; from there the log takes them. It never stands in front of a lookup and refuses nothing.
//!
//! What is counted stands in memory alone and is worked out anew at a start from the last entries of the audit. Kept on disk
//! beside the audit it could contradict it, and what staff asked would stand there twice. The log knows how far was watched:
//! of entries up to there nothing is flagged again; what lies beyond is, unless the audit holds the flag already. Entries whose sync
//! came back late, after a disk was in trouble, are counted at the next start and flag nothing.

#[cfg(test)]
mod tests;

use crate::audit_entry::{AuditEntry, Decision};
use crate::flag_rows::FlagMarkRow;
use crate::sightings::sightings;
use crate::telling::Telling;
use kith_domain::change::Change;
use kith_domain::codes::OdsCode;
use kith_domain::flag::{AskedOnDay, Flag, FlagRules, Watched};
use kith_domain::time::{Day, Moment};
use kith_domain::trawling::Watch;
use kith_store::{Gap, Keys};
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

/// How often the log is told how far was watched, while anybody asks.
const LOG_EVERY: Duration = Duration::from_secs(1);
/// While nobody asks, after so many numbers: what asks nothing need not be told of one by one.
const LOG_AFTER: u64 = 1_000;

/// What is counted, and what is still to be told of it.
#[derive(Debug)]
pub(crate) struct Watcher {
    keys: Arc<Keys>,
    enabled: bool,
    watch: Watch,
    /// The last entry taken.
    through: u64,
    /// What was raised by entries up to this one was told before this start.
    raised_through: u64,
    /// Up to this one the audit may hold flags that the log does not know of: until then nothing is told.
    met_through: u64,
    telling: Telling<Flag>,
    /// Questions that the log does not know of yet.
    asked: BTreeMap<(Day, OdsCode), u64>,
    /// As far as the log knows.
    logged: u64,
    logged_at: Duration,
    /// The time of the last entry taken.
    at: Moment,
}

/// Where everything stands at a start.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Standing {
    /// What the log knows; none where nothing was ever watched.
    pub(crate) mark: Option<FlagMarkRow>,
    /// Entries whose history is in the log.
    pub(crate) derived_through: u64,
    /// The last entry of the audit.
    pub(crate) audited_through: u64,
}

impl Standing {
    /// Flags that nobody has looked into yet.
    pub(crate) fn unreviewed(&self) -> u64 {
        self.mark.unwrap_or_default().unreviewed
    }
}

impl Watcher {
    /// Begins so many entries before those that are to be watched now. Where nothing was ever watched, nothing of before is
    /// flagged.
    pub(crate) fn begin(rules: FlagRules, keys: Arc<Keys>, standing: Standing) -> Self {
        let Standing { mark, derived_through, audited_through } = standing;
        let raised_through = mark.map_or(derived_through, |mark| mark.watched_through);
        Self {
            keys,
            enabled: rules.enabled,
            watch: Watch::new(rules),
            through: raised_through.saturating_sub(rules.read_again_entries),
            raised_through,
            met_through: audited_through,
            telling: Telling::default(),
            asked: BTreeMap::new(),
            logged: mark.map_or(0, |mark| mark.watched_through),
            logged_at: Duration::ZERO,
            at: Moment::default(),
        }
    }

    /// The first and the last number among which the watch is to begin; none where there is nothing to look for.
    pub(crate) fn span(&self) -> Option<(u64, u64)> {
        (self.enabled && self.through < self.raised_through).then_some((self.through + 1, self.raised_through))
    }

    /// Begins with an entry of those.
    pub(crate) fn begin_with(&mut self, sequence: u64) {
        self.through = self.through.max(sequence.saturating_sub(1)).min(self.raised_through);
    }

    /// The entry with which to go on, where entries before `position` are to be read for the watch alone.
    pub(crate) fn next_before(&self, position: u64) -> Option<u64> {
        (self.enabled && self.through < position).then_some(self.through + 1)
    }

    /// How many entries before `position` are still to be read for the watch alone.
    pub(crate) fn behind(&self, position: u64) -> u64 {
        if self.enabled { position.saturating_sub(self.through) } else { 0 }
    }

    /// Takes the entries after `position` up to `last`, unless some before them are still to be taken.
    pub(crate) fn follow(&mut self, position: u64, last: u64, entries: &[(u64, AuditEntry)]) {
        if self.enabled && self.through >= position {
            self.take(last, entries);
        }
    }

    /// Takes entries, and is then at `last`; what was taken before is passed over.
    pub(crate) fn take(&mut self, last: u64, entries: &[(u64, AuditEntry)]) {
        for (sequence, entry) in entries.iter().filter(|(sequence, _)| *sequence <= last) {
            if *sequence > self.through {
                self.through = *sequence;
                self.one(*sequence, entry);
            }
        }
        self.through = self.through.max(last);
    }

    fn one(&mut self, sequence: u64, entry: &AuditEntry) {
        self.at = entry.at;
        if let Decision::Flagged(flag) = &entry.decision {
            self.watch.raised(flag);
            let same = |other: &Flag| (other.kind, other.organisation) == (flag.kind, flag.organisation);
            self.telling.forget(|untold| same(untold) && untold.user_id == flag.user_id);
            return;
        }
        let fresh = sequence > self.raised_through;
        if let (true, Some(organisation), Some(_)) = (fresh, entry.organisation, entry.decision.disclosed()) {
            *self.asked.entry((entry.at.london_day(), organisation)).or_default() += 1;
        }
        for sighting in sightings(&self.keys, sequence, entry) {
            for flag in self.watch.observe(sighting) {
                if fresh {
                    self.telling.add(flag);
                }
            }
        }
    }

    /// Entries within a gap told nothing.
    pub(crate) fn lost(&mut self, gap: &Gap) {
        self.telling.lost(gap);
    }

    /// Tells flags; `append` gives the number of the entry of the audit that tells of one. Of what is on disk up to `synced`
    /// nothing will be given up any more. True when telling begins to fail.
    pub(crate) fn tell(&mut self, synced: u64, append: impl FnMut(&Flag) -> Option<u64>) -> bool {
        self.through >= self.met_through && self.telling.tell(synced, append)
    }

    /// What the log is to be told of the watch, and as of when: once every flag is told and on disk, and every second at most
    /// unless it is the end. What asks nothing changes no state.
    pub(crate) fn due(&mut self, now: Duration, at_end: bool) -> Option<(Moment, Change)> {
        let whole = self.enabled && self.through >= self.met_through && self.telling.is_done();
        let early = !at_end && now.saturating_sub(self.logged_at) < LOG_EVERY;
        let worth = !self.asked.is_empty() || self.through.saturating_sub(self.logged) >= LOG_AFTER;
        if !whole || early || !worth {
            return None;
        }
        self.logged_at = now;
        let asked = |((day, organisation), lookups): (&(Day, OdsCode), &u64)| AskedOnDay {
            day: *day,
            organisation: *organisation,
            lookups: *lookups,
        };
        let asked = self.asked.iter().map(asked).collect();
        Some((self.at, Change::Watched(Watched { through: self.through, asked })))
    }

    /// What was due is in the log.
    pub(crate) fn is_logged(&mut self) {
        self.logged = self.through;
        self.asked.clear();
    }
}
