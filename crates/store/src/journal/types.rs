//! What the audit journal takes and gives: options, references, gaps, the window, errors.
//! Nothing here touches a file.

use std::fmt;
use std::io;
use std::path::PathBuf;
use std::str::FromStr;
use std::time::Duration;

use crate::histogram::Counted;

/// The one journal of a process so far; references carry it so that there may be more.
pub(crate) const JOURNAL_ID: u16 = 1;

/// Longest plaintext of one entry, in bytes: many times any audit entry.
pub const MAX_ENTRY_BYTES: usize = 64 << 10;

/// When an answer may leave.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AuditMode {
    /// When its entry is in the kernel and the oldest unsynced entry is young.
    Bounded,
    /// When its entry is on disk.
    Strict,
}

/// Where and how the journal is kept.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct JournalOptions {
    /// Directory of the first sink.
    pub primary: PathBuf,
    /// Directory of the second sink, meant to be on another disk.
    pub spill: PathBuf,
    /// When an answer may leave.
    pub mode: AuditMode,
    /// How often written entries are synced in bounded mode.
    pub sync_interval: Duration,
    /// Age of the oldest unsynced entry from which answers wait.
    pub wait_after: Duration,
    /// Age of the oldest unsynced entry from which answers fail and its segment is given up.
    pub fail_after: Duration,
    /// Size at which a segment is closed and the next one begun, in bytes.
    pub segment_bytes: u64,
}

impl JournalOptions {
    /// The defaults: bounded, 5 ms, 50 ms, 300 ms, segments of 64 MiB.
    #[must_use]
    pub fn new(primary: impl Into<PathBuf>, spill: impl Into<PathBuf>) -> Self {
        Self {
            primary: primary.into(),
            spill: spill.into(),
            mode: AuditMode::Bounded,
            sync_interval: Duration::from_millis(5),
            wait_after: Duration::from_millis(50),
            fail_after: Duration::from_millis(300),
            segment_bytes: 64 << 20,
        }
    }
}

/// The name of one audit entry, written like `1-000000001234`. Never used twice.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct AuditRef {
    /// Which journal.
    pub journal: u16,
    /// The entry's number in it; the first is 1.
    pub sequence: u64,
}

/// Text that is no audit reference.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("read audit reference: expected a number, a hyphen and at least 12 digits")]
pub struct AuditRefError;

impl AuditRef {
    /// As it is written, the sequence with at least twelve digits.
    #[must_use]
    pub fn text(&self) -> String {
        const ZEROS: &str = "000000000000";
        let sequence = self.sequence.to_string();
        [&self.journal.to_string(), "-", ZEROS.get(sequence.len()..).unwrap_or_default(), &sequence].concat()
    }
}

impl fmt::Display for AuditRef {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text())
    }
}

impl FromStr for AuditRef {
    type Err = AuditRefError;

    fn from_str(text: &str) -> Result<Self, AuditRefError> {
        let (journal, sequence) = text.split_once('-').ok_or(AuditRefError)?;
        let digits = |part: &str| part.bytes().all(|byte| byte.is_ascii_digit());
        if sequence.len() < 12 || !digits(journal) || !digits(sequence) {
            return Err(AuditRefError);
        }
        let read = Self {
            journal: journal.parse().map_err(|_| AuditRefError)?,
            sequence: sequence.parse().map_err(|_| AuditRefError)?,
        };
        // One name has one spelling: no leading zeros beyond the padding.
        if read.to_string() == text { Ok(read) } else { Err(AuditRefError) }
    }
}

/// One of the two places entries are written to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Sink {
    /// The first, used whenever it works.
    Primary,
    /// The second.
    Spill,
}

impl Sink {
    /// Both, the preferred one first.
    pub const ALL: [Self; 2] = [Self::Primary, Self::Spill];

    /// The sink's name.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Primary => "primary",
            Self::Spill => "spill",
        }
    }
}

/// Why entries may be missing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum GapCause {
    /// The process ended without closing the journal, on a machine that kept running: what was written is
    /// there unless its disk failed.
    ProcessEnded,
    /// The machine went down: what was not yet synced may be missing.
    MachineRestarted,
    /// Entries that are known to have existed were not found.
    EntriesMissing,
    /// A sync failed.
    SyncFailed,
    /// A sync did not come back within the limit.
    SyncHung,
}

impl GapCause {
    /// The cause as a stable word.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::ProcessEnded => "process-ended",
            Self::MachineRestarted => "machine-restarted",
            Self::EntriesMissing => "entries-missing",
            Self::SyncFailed => "sync-failed",
            Self::SyncHung => "sync-hung",
        }
    }
}

/// Entries strictly between two numbers may be missing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Gap {
    /// The last number known to be before the gap.
    pub after_sequence: u64,
    /// The first number that is after it.
    pub before_sequence: u64,
    /// Why.
    pub cause: GapCause,
}

/// A segment that takes no more entries.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ClosedSegment {
    /// Number of its first entry.
    pub first: u64,
    /// The number before the first of the segment after it: no entry of this one has a higher.
    pub last: u64,
    /// Its length, in bytes.
    pub bytes: u64,
}

/// What an entry tells of segments that were removed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Removal {
    /// The last number that was removed.
    pub through: u64,
    /// The number of the entry that tells it.
    pub entry: u64,
}

/// What an entry tells of numbers that have none.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Told {
    /// Segments were removed.
    Removed {
        /// Up to this number.
        through: u64,
    },
    /// Entries may be missing.
    Gap {
        /// After this number, and before the entry that tells it.
        after: u64,
    },
}

/// What a signed tree says of the audit's numbers, for judging which entries are rightly missing.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Accounted {
    /// Up to this number entries were removed under retention. 0 when none were.
    pub removed_through: u64,
    /// Ranges, first and last number, of which no entry was on disk when the tree was signed over them, in their order.
    pub passed_over: Vec<(u64, u64)>,
    /// Every number up to here is under the signed head.
    pub through: u64,
}

/// What opening found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Recovered {
    /// The highest number found; 0 when there is none.
    pub last_sequence: u64,
    /// Set unless the journal was closed before and everything is there. The caller writes it as an entry.
    pub gap: Option<Gap>,
}

/// The state of the journal, for status and metrics.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Window {
    /// Age of the oldest entry of the last sync when that ended, in whole milliseconds rounded up.
    pub last_ms: u64,
    /// The highest such age since the journal was opened, in milliseconds.
    pub max_ms: u64,
    /// Entries written and not yet synced.
    pub unsynced: u64,
    /// Where entries go now; `None` when neither sink takes any.
    pub sink: Option<Sink>,
    /// Segments closed for good since the opening, because a write or a sync failed or hung.
    pub closed_segments: u64,
    /// Entries given up and not known to be on disk since the opening.
    pub given_up: u64,
}

/// How long entries took, for metrics.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Times {
    /// From when an entry had its turn, or had to wait for it, until its answer might leave: in the kernel or on disk, as the
    /// mode asks. Entries of the service itself are not counted, nor those that failed.
    pub accepted: Counted,
    /// At the end of each sync, the age of the oldest entry that it put on disk.
    pub unsynced: Counted,
}

/// Why an entry is not there, or an answer may not leave.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum AuditError {
    /// The entry is too long.
    #[error("append audit entry: {found} bytes, expected at most {MAX_ENTRY_BYTES}")]
    TooLarge {
        /// Its length, in bytes.
        found: usize,
    },
    /// Neither sink takes entries.
    #[error("append audit entry: neither sink takes entries")]
    NoSink,
    /// The journal has been closed.
    #[error("append audit entry: journal is closed")]
    Closed,
    /// The entry was not synced within the limit.
    #[error("settle audit entry: not on disk within the limit")]
    TooLate,
    /// The sync that should have covered the entry failed.
    #[error("settle audit entry: its sync failed")]
    SyncFailed,
    /// The reference names no entry of this journal.
    #[error("settle audit entry: no such entry")]
    Unknown,
}

/// Why the journal could not be opened, closed or read.
#[derive(Debug, thiserror::Error)]
pub enum JournalError {
    /// A directory or file could not be used.
    #[error("use audit journal: {0}")]
    Io(#[from] io::Error),
    /// Another process has the directory open.
    #[error("lock audit journal: another process has the {} sink open", .0.name())]
    Locked(Sink),
    /// Written by a newer version.
    #[error("read audit segment {segment}: version {found} is newer than this one")]
    NewerFormat {
        /// The segment's file name.
        segment: String,
        /// The version found.
        found: u16,
    },
    /// The keys belong to another journal.
    #[error("open audit journal: the keys are not those it was sealed with")]
    KeyMismatch,
    /// A directory is not one that a journal was ever opened on: its disk may not be mounted.
    #[error("read audit journal: the {} sink was never opened there; is its disk mounted?", .0.name())]
    NotASink(Sink),
    /// Primary and spill are the same directory, or a limit is out of order.
    #[error("open audit journal: {0}")]
    Options(&'static str),
    /// Neither sink takes entries.
    #[error("open audit journal: neither sink takes entries")]
    NoSink,
    /// Entries in the middle of a segment are damaged.
    #[error("read audit segment {segment} at byte {offset}: damaged, the next whole entry is {next_sequence}")]
    Damaged {
        /// The segment's file name.
        segment: String,
        /// Where the damage begins.
        offset: u64,
        /// Reading can go on from here.
        next_sequence: u64,
    },
    /// A whole entry does not open under its number.
    #[error("read audit entry {sequence}: does not open under its number")]
    Sealed {
        /// The entry's number.
        sequence: u64,
    },
    /// Closed, but not everything could be synced in time.
    #[error("close audit journal: {unsynced} entries are not known to be on disk")]
    Unsynced {
        /// How many.
        unsynced: u64,
    },
}
