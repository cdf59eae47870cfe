//! An authority's file counter: which file may come next, which one is under way, and what the last one was answered. It
//! never lets one number stand for two files.

use super::FileOutcome;
use super::snapshot::{Vanished, forget};
use crate::refused::{Refused, RefusedKind};
use crate::time::Moment;
use serde::{Deserialize, Serialize};

/// Greatest file number: one a day for longer than anyone keeps count.
pub const MAX_NUMBER: u64 = 999_999_999;
/// Bits of a version below the file's ordinal.
const ROW_BITS: u32 = 20;
/// Events of one row at most.
const EVENTS_OF_ROW: u64 = 4;

/// The version of an event of a row: later files outrank earlier ones, later rows earlier ones.
#[must_use]
pub fn row_version(ordinal: u64, row: u32, place: usize) -> u64 {
    (ordinal << ROW_BITS) | (u64::from(row) * EVENTS_OF_ROW + place as u64)
}

/// The version of the end that a snapshot gives to a missing plan: above every row's of its file.
#[must_use]
pub fn end_version(ordinal: u64) -> u64 {
    (ordinal << ROW_BITS) | ((1 << ROW_BITS) - 1)
}

/// Whether a version was given by this file.
#[must_use]
pub fn is_version_of(ordinal: u64, version: u64) -> bool {
    version >> ROW_BITS == ordinal
}

/// The file's ordinal, the row and the place in it that would have given a version. A sender of events may have given it all
/// the same: a date as a number is one of them.
#[must_use]
pub fn row_of(version: u64) -> (u64, u32, usize) {
    let below = version & ((1 << ROW_BITS) - 1);
    let row = u32::try_from(below / EVENTS_OF_ROW).unwrap_or(u32::MAX);
    (version >> ROW_BITS, row, usize::try_from(below % EVENTS_OF_ROW).unwrap_or(usize::MAX))
}

/// A file that has been started and not ended.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct OpenFile {
    /// Its number.
    pub number: u64,
    /// Its place among all files of the authority: the number, unless the counter was reset to a lower one.
    pub ordinal: u64,
    /// Keyed hash of its bytes.
    pub body_hash: [u8; 16],
    /// When it was started: its day, however long it takes.
    pub at: Moment,
    /// How many missing plans may be ended; decided once.
    pub ending: Option<u32>,
}

/// The last file that was ended, with its answer.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct LastFile {
    /// Its number.
    pub number: u64,
    /// Keyed hash of its bytes.
    pub body_hash: [u8; 16],
    /// When it was ended.
    pub at: Moment,
    /// How it ended.
    pub outcome: FileOutcome,
}

/// Where an authority's files stand.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct FileState {
    /// The number that the next new file must have.
    pub next: u64,
    /// The ordinal of the last file started; it never goes back.
    pub ordinal: u64,
    /// The file under way.
    pub open: Option<OpenFile>,
    /// The last file ended.
    pub last: Option<LastFile>,
    /// Plans that snapshots have lately ended.
    pub vanished: Vec<Vanished>,
}

impl Default for FileState {
    fn default() -> Self {
        Self { next: 1, ordinal: 0, open: None, last: None, vanished: Vec::new() }
    }
}

/// What a file that may be taken is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Standing {
    /// It has not been seen.
    New,
    /// It was started and goes on.
    Continues,
    /// It was answered before.
    Answered,
}

/// Why a file is not taken.
pub mod refusals {
    use super::{Refused, RefusedKind};

    const fn conflict(reason: &'static str, words: &'static str) -> Refused {
        Refused { kind: RefusedKind::Conflict, field: "number", reason, words }
    }

    /// The number was used for other bytes.
    pub const REUSED: Refused = Refused {
        kind: RefusedKind::EventIdReused,
        field: "number",
        reason: "FILE_NUMBER_REUSED",
        words: "this file number was used before for another content: nothing was changed",
    };
    /// A file between this one and the last is missing.
    pub const GAP: Refused =
        conflict("FILE_NUMBER_GAP", "a file before this one has not arrived: nothing was changed; send that one first");
    /// The number is behind the last one.
    pub const OLD: Refused =
        conflict("FILE_NUMBER_OLD", "files after this number were taken already: nothing was changed");
    /// Another file was started and must be finished first.
    pub const UNFINISHED: Refused = conflict(
        "FILE_UNFINISHED",
        "the expected file was taken in part: nothing more was changed; send that file again as it was",
    );
    /// No such file is under way.
    pub const NOT_OPEN: Refused = conflict("FILE_NOT_STARTED", "this file is not under way: nothing was changed");
    /// Too many plans would be ended within seven days.
    pub const BEYOND_BOUND: Refused = conflict("TOO_MANY_MISSING", "too many plans would be ended within seven days");
}

impl FileState {
    /// The number expected next: that of the file under way, if there is one.
    #[must_use]
    pub fn expected(&self) -> u64 {
        self.open.as_ref().map_or(self.next, |open| open.number)
    }

    /// Whether a file may be taken.
    ///
    /// # Errors
    /// One of [`refusals`].
    pub fn standing(&self, number: u64, body_hash: [u8; 16]) -> Result<Standing, Refused> {
        if let Some(open) = &self.open {
            return match (open.number == number, open.body_hash == body_hash) {
                (true, true) => Ok(Standing::Continues),
                (true, false) => Err(refusals::REUSED),
                (false, _) => Err(refusals::UNFINISHED),
            };
        }
        if let Some(last) = self.last.as_ref().filter(|last| last.number == number) {
            return if last.body_hash == body_hash { Ok(Standing::Answered) } else { Err(refusals::REUSED) };
        }
        match number.cmp(&self.next) {
            std::cmp::Ordering::Equal => Ok(Standing::New),
            std::cmp::Ordering::Less => Err(refusals::OLD),
            std::cmp::Ordering::Greater => Err(refusals::GAP),
        }
    }

    /// Starts a file that may be taken.
    pub fn start(&mut self, number: u64, body_hash: [u8; 16], at: Moment) {
        self.ordinal = number.max(self.ordinal + 1);
        self.open = Some(OpenFile { number, ordinal: self.ordinal, body_hash, at, ending: None });
    }

    /// Notes that the file under way ends so many plans.
    pub fn note_ending(&mut self, count: u32, at: Moment) {
        forget(&mut self.vanished, at);
        self.vanished.push(Vanished { at, count });
        if let Some(open) = &mut self.open {
            open.ending = Some(count);
        }
    }

    /// Ends the file under way.
    pub fn end(&mut self, outcome: FileOutcome, at: Moment) {
        if let Some(OpenFile { number, body_hash, .. }) = self.open.take() {
            self.next = number + 1;
            self.last = Some(LastFile { number, body_hash, at, outcome });
        }
    }

    /// Sets the counter. A file under way is given up; what it loaded stands. Ordinals go on, so that a later file
    /// outranks an earlier one whatever its number.
    pub fn reset(&mut self, next: u64) {
        self.next = next;
        self.open = None;
        self.last = None;
    }
}
