//! One row of the matrix, and what it promises.

use std::fmt;

use super::asking::Asking;
use super::disks::{Disks, Trouble};
use crate::harness::site::{Setting, Site};

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Place {
    Primary,
    Spill,
    Both,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fault {
    /// Not a byte is left.
    Full,
    /// The file system has found itself damaged and takes no write any more.
    ReadOnly,
    /// Writes and syncs hang.
    Frozen,
    /// A sync takes longer than answers leave without.
    Slow,
    /// A write comes back with an error.
    WriteFails,
    /// A sync comes back with an error.
    SyncFails,
}

/// Passes by itself once it was met, or lasts until somebody mends it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Shot {
    Once,
    Lasting,
    /// Of calls that fail: not the first, but this one.
    Nth(u32),
    /// This one and all after it.
    FromNth(u32),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mode {
    Bounded,
    Strict,
}

impl Place {
    pub const ALL: [Self; 3] = [Self::Primary, Self::Spill, Self::Both];

    /// Whether the sink that takes entries is struck.
    fn strikes(self) -> bool {
        self != Self::Spill
    }
}

impl Fault {
    pub const ALL: [Self; 6] =
        [Self::Full, Self::ReadOnly, Self::Frozen, Self::Slow, Self::WriteFails, Self::SyncFails];
}

impl Shot {
    /// Those of every fault.
    pub const ALL: [Self; 2] = [Self::Once, Self::Lasting];
    /// Those of calls that fail, after one or two that did not.
    pub const LATER: [Self; 4] = [Self::Nth(2), Self::Nth(3), Self::FromNth(2), Self::FromNth(3)];

    pub fn lasts(self) -> bool {
        match self {
            Self::Once | Self::Nth(_) => false,
            Self::Lasting | Self::FromNth(_) => true,
        }
    }
}

impl Mode {
    pub const ALL: [Self; 2] = [Self::Bounded, Self::Strict];
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Row {
    pub place: Place,
    pub fault: Fault,
    pub shot: Shot,
    pub mode: Mode,
}

impl fmt::Display for Row {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}, {:?}, {:?}, {:?}", self.place, self.fault, self.shot, self.mode)
    }
}

/// Questions while trouble lasts.
pub const MORE: usize = 8;

impl Row {
    /// Strikes, asks, mends and reads what is on disk; false where this machine does not let it.
    pub async fn drive(self, expected: &[&str]) -> bool {
        let mut site = Site::with(&self.settings());
        let Some(mut disks) = Disks::mounted(&self.to_string(), &site) else {
            site.finish(&[]);
            return false;
        };
        let server = site.ready().await;
        let mut asking = Asking::new(self.to_string(), &server);
        asking.until_answered("before").await;
        self.before(&mut asking, &mut disks).await;
        let Some(trouble) = disks.strike(self, &server) else {
            tokio::task::block_in_place(|| server.kill());
            site.finish(expected);
            return false;
        };
        self.during(&mut asking, &mut disks, &trouble).await;
        self.until_met(&mut asking, &disks, &trouble).await;
        disks.mend(trouble);
        asking.until_answered("after it was mended").await;
        asking.until_sink("primary").await;
        if self.makes_a_gap() {
            asking.until_a_gap_is_announced().await;
        }
        asking.holds_failed_segments(self.closes_segments()).await;
        let asked = asking.asked();
        tokio::task::block_in_place(|| server.stop());
        asked.every_answer_has_its_entry(site.dir());
        if !self.makes_a_gap() {
            asked.every_refusal_is_told(site.dir());
        }
        drop(disks);
        site.finish(expected);
        true
    }

    /// Whether the first disk is full before the second is struck: calls of the second are made only then. Where the whole of the
    /// second is in trouble and the first works nothing is met, and what the row says is that nobody notices.
    pub fn first_is_full(self) -> bool {
        self.place == Place::Spill && matches!(self.fault, Fault::Slow | Fault::WriteFails | Fault::SyncFails)
    }

    /// Whether the first disk is full in the end. One that is slow is never left, and the second would be slow for nobody.
    pub fn first_fills(self) -> bool {
        self.first_is_full() || (self.fault == Fault::Slow && self.place == Place::Both)
    }

    /// Has the second disk take the entries where it is struck by itself.
    pub async fn before(self, asking: &mut Asking<'_>, disks: &mut Disks) {
        if self.first_is_full() {
            disks.fill_the_first();
            asking.until_met("entries go to the second disk", || disks.spill_is_under_way()).await;
            // The thread that syncs it has made the next segment before.
            asking.until_on_disk().await;
        }
    }

    /// What was struck was called: a row in which it was not says nothing.
    pub async fn until_met(self, asking: &mut Asking<'_>, disks: &Disks, trouble: &Trouble) {
        if !disks.are_met(self, trouble) {
            asking.until_met("each struck disk was called", || disks.are_met(self, trouble)).await;
        }
    }

    /// What whoever asks meets while there is trouble.
    async fn during(self, asking: &mut Asking<'_>, disks: &mut Disks, trouble: &Trouble) {
        match (self.fault, self.place) {
            (Fault::Slow, Place::Primary | Place::Spill)
            | (Fault::Full | Fault::ReadOnly | Fault::Frozen, Place::Spill) => asking.all_answered(MORE).await,
            (Fault::Slow, Place::Both) => {
                asking.all_answered(MORE).await;
                disks.fill_the_first();
                asking.until_met("the second disk takes entries", || disks.spill_has_entries()).await;
                asking.all_answered(MORE).await;
            }
            (Fault::SyncFails, Place::Spill) if !self.shot.lasts() => {
                asking.until_met("the second disk failed once", || trouble.met() >= 1).await;
            }
            (Fault::SyncFails, Place::Both) if !self.shot.lasts() => {
                // Bounded, what was answered before its sync failed is told as a gap. The second disk may be left again before
                // it has synced often enough for a later call of it to fail.
                let least = if self.shot == Shot::Once { 2 } else { 1 };
                asking.until_met("the disks failed once", || trouble.met() >= least).await;
            }
            (_, Place::Primary) => {
                asking.until_met("the second disk takes entries", || disks.spill_has_entries()).await;
                match self.shot {
                    Shot::Once | Shot::Nth(_) => {}
                    Shot::Lasting => asking.all_answered(MORE).await,
                    // The first disk comes back and fails again: whoever asks in between may be refused.
                    Shot::FromNth(_) => asking.answered_or_refused(MORE).await,
                }
            }
            (_, Place::Spill | Place::Both) => {
                asking.until_refused().await;
                match self.shot {
                    Shot::Once | Shot::Nth(_) => {}
                    Shot::Lasting => asking.none_answered(MORE).await,
                    // A thread that has not called so often is not struck yet: its answers have their entries, as all have.
                    Shot::FromNth(_) => asking.answered_or_refused(MORE).await,
                }
            }
        }
        if self.fault == Fault::Slow {
            asking.until_a_sync_was_slow().await;
        }
        if self.first_fills() && !self.shot.lasts() {
            asking.until_answered("while the first disk is still full").await;
        }
    }

    /// Entries whose sync failed or hung are given up, and every authority is told. A failed write has its entry on the
    /// other disk, or none.
    fn makes_a_gap(self) -> bool {
        match self.fault {
            Fault::SyncFails => true,
            Fault::Frozen => self.place.strikes(),
            Fault::Full | Fault::ReadOnly | Fault::Slow | Fault::WriteFails => false,
        }
    }

    /// Whether a disk that takes entries comes to fail.
    fn closes_segments(self) -> bool {
        self.first_fills() || (self.place.strikes() && self.fault != Fault::Slow)
    }

    /// With which the server is started.
    pub fn settings(self) -> [Setting<'static>; 4] {
        let mode = match self.mode {
            Mode::Bounded => "\"bounded\"",
            Mode::Strict => "\"strict\"",
        };
        // Where nothing hangs, no answer may fail because this machine is busy.
        let fail_after_ms = if self.fault == Fault::Frozen { "1500" } else { "20000" };
        [
            ("audit", "mode", mode),
            ("audit", "segment_bytes", "131072"),
            ("audit", "fail_after_ms", fail_after_ms),
            // A write that hangs takes its thread along; others go on.
            ("server", "data_threads", "3"),
        ]
    }
}
