//! A file that may change while the service runs: read at the start, and looked at again now and then. What cannot be used
//! never replaces what is in force.

use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, PoisonError};

use crate::untold::Untold;

/// SHA-256 of what was looked at, or that nothing could be read.
pub(crate) type Content = Option<[u8; 32]>;

/// What one look at a file finds: its content, and what is made of it or everything that is wrong with it.
#[derive(Debug)]
pub(crate) struct Found<T> {
    pub(crate) content: Content,
    pub(crate) made: Result<T, Vec<String>>,
    /// Set where parts of it cannot be used, and what was in force in their place is.
    pub(crate) kept: Option<Kept>,
}

/// Parts of a file that stay as they were.
#[derive(Debug)]
pub(crate) struct Kept {
    /// SHA-256 of what all of it is from: of what was found, and of what stays.
    pub(crate) sha256: Content,
    /// Everything that is wrong with those parts.
    pub(crate) reasons: Vec<String>,
}

/// How a file is looked at, beside what is in force.
pub(crate) type Find<T> = fn(&Path, Option<&T>) -> Found<T>;

/// What was made of a file, with the SHA-256 of what it is from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Read<T> {
    pub(crate) made: T,
    pub(crate) sha256: [u8; 32],
}

/// Why a file cannot be used: everything that is wrong with it.
#[derive(Debug, thiserror::Error)]
#[error("use the {what} {path}: {}", reasons.join("; "))]
pub(crate) struct FileError {
    what: &'static str,
    path: PathBuf,
    reasons: Vec<String>,
    is_of_parts: bool,
}

impl FileError {
    /// Whether it is of parts alone: the rest of the file is in force as it is now.
    pub(crate) fn is_of_parts(&self) -> bool {
        self.is_of_parts
    }
}

/// What a look at the file found.
#[derive(Debug)]
pub(crate) enum Look<T> {
    /// Nothing that is not known.
    Same,
    /// Something else, to be put in force.
    Changed(Read<T>),
    /// A file, or parts of one, that cannot be used, found for the first time.
    Refused(FileError),
}

/// The file and what is known of it.
#[derive(Debug)]
pub(crate) struct ReloadedFile<T> {
    what: &'static str,
    path: Option<PathBuf>,
    find: Find<T>,
    known: Mutex<Known<T>>,
    failed: AtomicBool,
    untold: Untold,
}

/// What earlier looks found: content as it was one look ago, and that which was judged last.
#[derive(Debug)]
struct Known<T> {
    seen: Option<Content>,
    judged: Option<Content>,
    in_force: Content,
    /// What was made of that.
    made: Option<T>,
    /// What is wrong with parts, to be told once what else has changed was given.
    to_tell: Option<FileError>,
}

/// What is made of a file, and what is wrong with parts of it.
fn read<T>(what: &'static str, path: &Path, found: Found<T>) -> Result<(Read<T>, Option<FileError>), FileError> {
    let wrong = |reasons, is_of_parts| FileError { what, path: path.to_owned(), reasons, is_of_parts };
    let Found { content, made, kept } = found;
    let made = made.map_err(|reasons| wrong(reasons, false))?;
    let (sha256, parts) = match kept {
        Some(Kept { sha256, reasons }) => (sha256, Some(wrong(reasons, true))),
        None => (content, None),
    };
    let sha256 = sha256.ok_or_else(|| wrong(vec![String::from("nothing could be read")], false))?;
    Ok((Read { made, sha256 }, parts))
}

impl<T: Clone> ReloadedFile<T> {
    /// What the file holds to begin with, and the file to look at from then on. An empty path is no file, and none is looked
    /// at.
    pub(crate) fn begin(what: &'static str, file: &Path, find: Find<T>) -> Result<(Self, Option<Read<T>>), FileError> {
        let path = (!file.as_os_str().is_empty()).then(|| file.to_owned());
        let first = path.as_deref().map(|path| read(what, path, find(path, None))).transpose()?;
        let first = first.map(|(first, _)| first);
        let in_force = first.as_ref().map(|first| first.sha256);
        let judged = path.is_some().then_some(in_force);
        let made = first.as_ref().map(|first| first.made.clone());
        let known = Mutex::new(Known { seen: judged, judged, in_force, made, to_tell: None });
        Ok((Self { what, path, find, known, failed: AtomicBool::new(false), untold: Untold::default() }, first))
    }

    /// Whether the file, as it is, cannot be used.
    pub(crate) fn has_failed(&self) -> bool {
        self.failed.load(Ordering::Relaxed)
    }

    /// How often it was refused without that being in the audit.
    pub(crate) fn untold(&self) -> &Untold {
        &self.untold
    }

    /// Looks at the file. A change counts once two looks in a row saw the same, or at once when somebody asks for it. Where parts
    /// cannot be used, what else has changed is given first, and they are told with the next look.
    pub(crate) fn look(&self, asked: bool) -> Look<T> {
        let Some(path) = &self.path else { return Look::Same };
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        match self.look_at(path, asked, &mut known) {
            Look::Same => known.to_tell.take().map_or(Look::Same, Look::Refused),
            look @ (Look::Changed(_) | Look::Refused(_)) => look,
        }
    }

    fn look_at(&self, path: &Path, asked: bool, known: &mut Known<T>) -> Look<T> {
        let found = (self.find)(path, known.made.as_ref());
        let now = found.content;
        let settled = asked || known.seen == Some(now);
        known.seen = Some(now);
        if !settled || (known.judged == Some(now) && !asked) {
            return Look::Same;
        }
        let told = known.judged == Some(now);
        known.judged = Some(now);
        match read(self.what, path, found) {
            Ok((read, parts)) => {
                self.failed.store(parts.is_some(), Ordering::Relaxed);
                if parts.is_none() {
                    known.to_tell = None;
                } else if !told {
                    known.to_tell = parts;
                }
                if Some(read.sha256) == known.in_force { Look::Same } else { Look::Changed(read) }
            }
            Err(error) => {
                self.failed.store(true, Ordering::Relaxed);
                if told { Look::Same } else { Look::Refused(error) }
            }
        }
    }

    /// Notes that what was found is in force now; what is not is found again.
    pub(crate) fn is_in_force(&self, read: &Read<T>) {
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        (known.in_force, known.made) = (Some(read.sha256), Some(read.made.clone()));
    }

    /// Notes that what was found could not be put in force: the next look finds it again.
    pub(crate) fn try_again(&self) {
        self.known.lock().unwrap_or_else(PoisonError::into_inner).judged = None;
    }
}
