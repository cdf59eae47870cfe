//! What became of certificate files, until it is in the audit. A revoked certificate must be out although the audit takes no
//! entry just then, so what is usable comes into force first, and its entry follows; it is never forgotten meanwhile.

use std::collections::VecDeque;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError};

use crate::revocation::KeptList;
use crate::tls::Part;
use crate::{config, revocation};

/// Kept at most while the audit takes no entry; nobody is answered then, and the oldest give way.
const KEPT: usize = 256;

/// What one reading finds at most beside lists that stay: of each part what came into force, and that something could not be used.
const OF_PARTS: usize = 2 * Part::ALL.len();

/// What a file looked like when it was last seen. Its change time moves with every replacement, kept modes and times included.
pub(crate) type Seen = (PathBuf, Option<(u64, i64, i64, u64)>);

/// What the certificate files look like now, to notice a replacement.
pub(crate) fn fingerprint(files: &config::Tls) -> Vec<Seen> {
    let mut paths = vec![files.certificate.clone(), files.key.clone(), files.client_ca.clone()];
    if !files.client_crls.as_os_str().is_empty() {
        paths.push(files.client_crls.clone());
        paths.extend(revocation::files(&files.client_crls).unwrap_or_default());
    }
    let look = |path: &Path| {
        let found = std::fs::metadata(path).ok()?;
        Some((found.len(), found.ctime(), found.ctime_nsec(), found.ino()))
    };
    paths.into_iter().map(|path| (path.clone(), look(&path))).collect()
}

/// One change of what is in force.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FileChange {
    /// Of what.
    pub part: Part,
    /// The SHA-256 of what is in force since then: of the DER encodings, one after the other. None: what the files hold could
    /// not be used, and what was in force stays.
    pub in_force: Option<[u8; 32]>,
    /// Which list it is that stays, and no other.
    pub kept: Option<KeptList>,
}

/// Changes that are not in the audit yet, in their order.
#[derive(Debug, Default)]
pub(crate) struct FileChanges(Mutex<VecDeque<FileChange>>);

impl FileChanges {
    fn lock(&self) -> MutexGuard<'_, VecDeque<FileChange>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Notes a change. Gives the one that gave way to it: the audit never hears of that.
    pub(crate) fn note(&self, change: FileChange) -> Option<FileChange> {
        let mut changes = self.lock();
        let gives_way = if changes.len() >= KEPT { changes.pop_front() } else { None };
        changes.push_back(change);
        gives_way
    }

    /// How many lists that stay can be noted so that nothing gives way to them, nor to what else the same reading finds of each part.
    pub(crate) fn room(&self) -> usize {
        KEPT.saturating_sub(self.lock().len() + OF_PARTS)
    }

    /// Hands the changes on, one after the other, until one is not taken: that one comes first the next time.
    pub(crate) fn hand(&self, mut taken: impl FnMut(FileChange) -> bool) {
        loop {
            let Some(change) = self.lock().pop_front() else { return };
            if !taken(change.clone()) {
                self.lock().push_front(change);
                return;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn change(number: u8) -> FileChange {
        FileChange { part: Part::Certificate, in_force: Some([number; 32]), kept: None }
    }

    fn handed(changes: &FileChanges, most: usize) -> Vec<u8> {
        let mut found = Vec::new();
        changes.hand(|change| {
            let room = found.len() < most;
            found.extend(change.in_force.filter(|_| room).map(|sha256| sha256[0]));
            room
        });
        found
    }

    #[test]
    fn what_is_not_taken_comes_first_the_next_time() {
        let changes = FileChanges::default();
        assert!((1..=4).all(|number| changes.note(change(number)).is_none()));
        assert_eq!(handed(&changes, 2), [1, 2]);
        assert_eq!(changes.note(change(5)), None);
        assert_eq!(handed(&changes, 9), [3, 4, 5]);
        assert_eq!(handed(&changes, 9), Vec::<u8>::new());
    }

    #[test]
    fn the_newest_are_kept_and_what_gives_way_to_them_is_given_back() {
        let changes = FileChanges::default();
        assert!((0..=u8::MAX).all(|number| changes.note(change(number)).is_none()));
        assert_eq!(changes.note(change(7)), Some(change(0)));
        let found = handed(&changes, 1_000);
        assert_eq!((found.len(), found[0], found[KEPT - 1]), (KEPT, 1, 7));
    }

    #[test]
    fn there_is_room_for_lists_as_long_as_nothing_gives_way_to_what_one_reading_finds() {
        let changes = FileChanges::default();
        let room = changes.room();
        assert!((1..=room).all(|_| changes.note(change(1)).is_none()));
        assert_eq!(changes.room(), 0);
        assert!((1..=OF_PARTS).all(|_| changes.note(change(2)).is_none()), "what it finds of the parts");
        assert_eq!((changes.room(), changes.note(change(3))), (0, Some(change(1))));
        assert_eq!(handed(&changes, 1).len(), 1);
        assert_eq!(changes.room(), 0, "not before that much is free again");
        assert_eq!(handed(&changes, 1_000).len(), KEPT - 1);
        assert_eq!(changes.room(), room);
    }
}
