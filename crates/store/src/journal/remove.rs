//! Removing whole segments whose time has passed, the oldest first, and the mark that names the entry which tells of it. What
//! may go is decided elsewhere; nothing goes here but segments that take no more entries and of which nothing is waited for.

use std::io;
use std::path::Path;
use std::sync::Arc;

use super::Journal;
use super::recover::{Torn, file_name};
use super::state::{Catalogued, State};
use super::types::{ClosedSegment, JournalError, Sink};
use crate::disk::{replace_durably, sync_parent};
use crate::tree::files::read_small;
use crate::watermark::Fields;

/// The number of the entry that tells of the last removal: `[magic 8][number u64][crc32c u32]`.
const MARK_NAME: &str = "removed";
const MARK_MAGIC: [u8; 8] = *b"KITHRMVD";
const MARK_BYTES: usize = 20;
/// Up to which number entries were removed, signed with the key of the audit's tree: a note.
const SIGNED_NAME: &str = "removed-signed";

impl State {
    /// How many segments, from the oldest on, take no more entries and have none that is waited for or was given up. The newest
    /// is never among them, so that neither the last number nor the next file's is ever forgotten.
    fn closed(&self) -> usize {
        let given_up = self.given_up.iter().map(|given| given.range.first);
        let waited_for = self.unsynced.iter().map(|range| range.first);
        let writing = self.turn.iter().map(|turn| turn.sequence);
        let unsettled = given_up.chain(waited_for).chain(writing).min().unwrap_or(self.next_sequence);
        let followed = self.catalogue.iter().zip(self.catalogue.iter().skip(1));
        followed.take_while(|(_, next)| next.first <= unsettled).count()
    }

    /// Takes the oldest segment from those that are read, if it holds nothing beyond `through`.
    fn take_oldest(&mut self, through: u64) -> Option<Catalogued> {
        let next = self.catalogue.get(1)?.first;
        let may_go = self.closed() > 0 && next <= through.saturating_add(1);
        may_go.then(|| self.catalogue.remove(0))
    }

    /// Takes the files without a whole entry in which no number beyond `through` can stand, nor one that is still kept. What of
    /// them is not removed then, the next opening finds again.
    fn take_torn(&mut self, through: u64) -> Vec<Torn> {
        let oldest = self.catalogue.first().map_or(0, |segment| segment.first);
        let end = oldest.min(through.saturating_add(1));
        self.torn.extract_if(.., |torn| torn.before <= end).collect()
    }
}

impl Journal {
    /// Segments that take no more entries, oldest first; the newest segment is never among them. A segment that holds an entry
    /// that was given up ends the list until the next opening.
    #[must_use]
    pub fn closed_segments(&self) -> Vec<ClosedSegment> {
        let closed: Vec<_> = {
            let state = self.shared.lock();
            let followed = state.catalogue.iter().zip(state.catalogue.iter().skip(1)).take(state.closed());
            followed.map(|(segment, next)| (Arc::clone(&segment.path), segment.first, next.first)).collect()
        };
        let length = |path: &Path| std::fs::metadata(path).map_or(0, |found| found.len());
        let told = |(path, first, next): (Arc<Path>, u64, u64)| ClosedSegment {
            first,
            last: next.saturating_sub(1),
            bytes: length(&path),
        };
        closed.into_iter().map(told).collect()
    }

    /// Removes the files of closed segments that hold no number beyond `through`, the oldest first, and gives how many; then those
    /// that were written beside them and hold parts of entries at most. What a crash leaves is removed by asking again.
    ///
    /// # Errors
    /// [`JournalError::Io`] when one cannot be removed: it and all after it stay.
    pub fn remove_through(&self, through: u64) -> Result<u64, JournalError> {
        let mut removed = 0;
        loop {
            // Whoever reads on from here finds it gone, and not a file that cannot be opened.
            let taken = self.shared.lock().take_oldest(through);
            let Some(segment) = taken else { break };
            match remove_durably(&segment.path) {
                Ok(()) => removed += 1,
                Err(error) => {
                    tracing::error!(segment = %file_name(&segment.path), %error, "an audit segment cannot be removed");
                    // Gone, and its directory not synced: a power cut may bring it back, and then it is removed anew.
                    if segment.path.exists() {
                        self.shared.lock().catalogue.insert(0, segment);
                    }
                    return Err(error.into());
                }
            }
        }
        let torn = self.shared.lock().take_torn(through);
        for Torn { path, before: _ } in torn {
            remove_durably(&path)?;
        }
        Ok(removed)
    }

    /// Notes on disk what was signed of a removal, and which entry tells of it. Where the mark cannot be read, both still stand: it
    /// only says where to look, and proves nothing.
    ///
    /// # Errors
    /// [`JournalError::Io`] when neither sink takes them.
    pub fn mark_removed(&self, entry: u64, signed: &[u8]) -> Result<(), JournalError> {
        let bytes = encode_mark(entry);
        let marks = Sink::ALL.map(|sink| {
            let dir = self.shared.dir(sink);
            replace_durably(&dir.join(SIGNED_NAME), signed)?;
            replace_durably(&dir.join(MARK_NAME), &bytes)
        });
        let [primary, spill] = marks;
        Ok(primary.or(spill)?)
    }

    /// What the sinks keep of what was signed of removals: notes, of which none is believed without its signature.
    #[must_use]
    pub fn signed_removals(&self) -> Vec<Vec<u8>> {
        signed_removals(Sink::ALL.map(|sink| self.shared.dir(sink)))
    }

    /// The entry that tells of the last removal; `None` when nothing was removed, or no mark can be read.
    #[must_use]
    pub fn removal_mark(&self) -> Option<u64> {
        Sink::ALL.into_iter().filter_map(|sink| read_mark(self.shared.dir(sink))).max()
    }
}

/// What the sinks keep of what was signed of removals. Whether it is to be believed, its signature says.
pub(crate) fn signed_removals(dirs: [&Path; 2]) -> Vec<Vec<u8>> {
    let read = |dir: &Path| {
        let path = dir.join(SIGNED_NAME);
        read_small(&path).unwrap_or_else(|error| {
            tracing::error!(path = %path.display(), %error, "what was signed of what was removed from the audit cannot be read");
            None
        })
    };
    dirs.into_iter().filter_map(read).collect()
}

/// Removes a file for good; one that is gone already is.
fn remove_durably(path: &Path) -> io::Result<()> {
    match std::fs::remove_file(path) {
        Ok(()) => sync_parent(path),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        Err(error) => Err(error),
    }
}

fn read_mark(dir: &Path) -> Option<u64> {
    let path = dir.join(MARK_NAME);
    match std::fs::read(&path) {
        Ok(bytes) => {
            let entry = decode_mark(&bytes);
            if entry.is_none() {
                tracing::error!(path = %path.display(), "the mark of what was removed from the audit is damaged");
            }
            entry
        }
        Err(error) if error.kind() == io::ErrorKind::NotFound => None,
        Err(error) => {
            tracing::error!(path = %path.display(), %error, "the mark of what was removed from the audit cannot be read");
            None
        }
    }
}

pub(crate) fn encode_mark(entry: u64) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(MARK_BYTES);
    bytes.extend_from_slice(&MARK_MAGIC);
    bytes.extend_from_slice(&entry.to_be_bytes());
    bytes.extend_from_slice(&crc32c::crc32c(&bytes).to_be_bytes());
    bytes
}

pub(crate) fn decode_mark(bytes: &[u8]) -> Option<u64> {
    let whole: &[u8; MARK_BYTES] = bytes.try_into().ok()?;
    let (body, stored) = whole.split_last_chunk::<4>()?;
    let mut fields = Fields(body);
    let right = crc32c::crc32c(body) == u32::from_be_bytes(*stored) && fields.take() == Some(MARK_MAGIC);
    let entry = fields.take()?;
    right.then(|| u64::from_be_bytes(entry))
}

#[cfg(test)]
mod tests {
    use super::super::format::Header;
    use super::super::recover::Segment;
    use super::super::state::{GivenUp, Range};
    use super::super::types::{GapCause, JournalOptions};
    use super::*;
    use std::path::PathBuf;

    #[test]
    fn a_segment_of_which_anything_is_waited_for_or_was_given_up_is_not_closed() {
        let segment = |first: u64| Segment {
            path: PathBuf::from(format!("audit-{first}")),
            header: Header { first_sequence: 1, resumes_after: 0, boot_id: [0; 36] },
            first,
            last: first + 9,
        };
        let range =
            |first| Range { segment: 1, first, last: first, since: std::time::Duration::ZERO, in_flight: false };
        let state = || State::new(JournalOptions::new("a", "b"), 31, 4, [1, 11, 21].map(segment).into());
        assert_eq!(state().closed(), 2);
        for (number, closed) in [(5, 0), (15, 1), (25, 2)] {
            let mut given_up = state();
            given_up.given_up.push(GivenUp::new(range(number), GapCause::SyncHung));
            assert_eq!(given_up.closed(), closed, "given up: {number}");
            let mut unsynced = state();
            unsynced.unsynced.push_back(range(number));
            assert_eq!(unsynced.closed(), closed, "not on disk: {number}");
        }
    }

    #[test]
    fn the_mark_has_these_bytes_and_no_other_bytes_are_one() {
        let bytes = encode_mark(300);
        assert_eq!(bytes[..16], *b"KITHRMVD\0\0\0\0\0\0\x01\x2c");
        assert_eq!(decode_mark(&bytes), Some(300));
        for at in 0..bytes.len() {
            let mut other = bytes.clone();
            other[at] ^= 1;
            assert_eq!(decode_mark(&other), None, "byte {at}");
            assert_eq!(decode_mark(&bytes[..at]), None, "{at} bytes");
        }
    }
}
