//! The policy from its file: read at the start, and again when the file changes while the service runs. A file that cannot be
//! used never replaces one that is in force, and never becomes "everybody" or "nobody".

use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use kith_domain::policy::{Policy, PolicyRow};
use ring::digest::{SHA256, digest};
use serde::Deserialize;

use crate::config::Config;
use crate::mistakes::Mistakes;

/// Largest file read, in bytes; the built-in policy written out has about 4,000.
const FILE_MAX_BYTES: u64 = 256 << 10;
/// The one version of the file's form.
const VERSION: u32 = 1;

/// The file's form.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Written {
    version: u32,
    #[serde(default)]
    grant: Vec<Grant>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Grant {
    roles: Vec<String>,
    methods: Vec<String>,
    purposes: Vec<String>,
    contexts: Option<Vec<String>>,
    fields: Option<Vec<String>>,
}

/// Why a file cannot be used: everything that is wrong with it.
#[derive(Debug, thiserror::Error)]
#[error("use the policy {path}: {}", reasons.join("; "))]
pub(crate) struct PolicyError {
    path: PathBuf,
    reasons: Vec<String>,
}

/// A policy with the SHA-256 of the file that it is from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Read {
    pub(crate) policy: Arc<Policy>,
    pub(crate) sha256: [u8; 32],
}

/// Reads a policy from the text of a file.
pub(crate) fn parse(text: &str) -> Result<Policy, Vec<String>> {
    let written: Written = toml::from_str(text).map_err(|error| vec![error.to_string().trim_end().to_owned()])?;
    if written.version != VERSION {
        return Err(vec![format!("expected version = {VERSION}, found {}", written.version)]);
    }
    let row =
        |Grant { roles, methods, purposes, contexts, fields }| PolicyRow { roles, methods, purposes, contexts, fields };
    let rows: Vec<PolicyRow> = written.grant.into_iter().map(row).collect();
    Policy::parse(&rows).map_err(|faults| faults.iter().map(ToString::to_string).collect())
}

/// Reads a policy from a file.
pub(crate) fn read(path: &Path) -> Result<Read, PolicyError> {
    let wrong = |reasons| PolicyError { path: path.to_owned(), reasons };
    let failed = |error: std::io::Error| wrong(vec![error.to_string()]);
    let length = std::fs::metadata(path).map_err(failed)?.len();
    if length > FILE_MAX_BYTES {
        return Err(wrong(vec![format!("expected at most {FILE_MAX_BYTES} bytes, found {length}")]));
    }
    let bytes = std::fs::read(path).map_err(failed)?;
    let text = std::str::from_utf8(&bytes).map_err(|error| wrong(vec![error.to_string()]))?;
    let policy = Arc::new(parse(text).map_err(wrong)?);
    let mut sha256 = [0; 32];
    sha256.copy_from_slice(digest(&SHA256, &bytes).as_ref());
    Ok(Read { policy, sha256 })
}

/// Notes what is wrong with the file that the configuration names.
pub(crate) fn note_mistakes(config: &Config, mistakes: &mut Mistakes) {
    let file = &config.policy.file;
    if file.as_os_str().is_empty() {
        return;
    }
    if let Err(PolicyError { path, reasons }) = read(file) {
        for reason in reasons {
            mistakes.note(format!("policy.file: {}", path.display()), reason);
        }
    }
}

/// What a look at the file found.
#[derive(Debug)]
pub(crate) enum Look {
    /// Nothing that is not known.
    Same,
    /// Another policy, to be put in force.
    Changed(Read),
    /// A file that cannot be used, found for the first time.
    Refused(PolicyError),
}

/// The file and what is known of it.
#[derive(Debug)]
pub(crate) struct PolicyFile {
    path: Option<PathBuf>,
    known: Mutex<Known>,
    failed: AtomicBool,
}

/// What earlier looks found: bytes as they were one look ago, and those that were judged last.
#[derive(Debug, Default)]
struct Known {
    seen: Option<Seen>,
    judged: Option<Seen>,
    in_force: [u8; 32],
}

/// The content of the file, or that there is none to be read.
type Seen = Option<[u8; 32]>;

impl PolicyFile {
    /// The policy to begin with, and the file to look at from then on.
    pub(crate) fn begin(file: &Path) -> Result<(Self, Read), PolicyError> {
        let none = file.as_os_str().is_empty();
        let first = match none {
            true => Read { policy: Arc::new(Policy::builtin()), sha256: [0; 32] },
            false => read(file)?,
        };
        let judged = Some(Some(first.sha256));
        let known = Known { seen: judged, judged, in_force: first.sha256 };
        let path = (!none).then(|| file.to_owned());
        Ok((Self { path, known: Mutex::new(known), failed: AtomicBool::new(false) }, first))
    }

    /// Whether the file, as it is, cannot be used.
    pub(crate) fn has_failed(&self) -> bool {
        self.failed.load(Ordering::Relaxed)
    }

    /// Looks at the file. A change counts once two looks in a row saw the same, or at once when somebody asks for it.
    pub(crate) fn look(&self, asked: bool) -> Look {
        let Some(path) = &self.path else { return Look::Same };
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        let read = read(path);
        let now = match &read {
            Ok(read) => Some(read.sha256),
            Err(_) => content(path),
        };
        let settled = asked || known.seen == Some(now);
        known.seen = Some(now);
        if !settled || (known.judged == Some(now) && !asked) {
            return Look::Same;
        }
        let told = known.judged == Some(now);
        known.judged = Some(now);
        match read {
            Ok(read) => {
                self.failed.store(false, Ordering::Relaxed);
                if read.sha256 == known.in_force { Look::Same } else { Look::Changed(read) }
            }
            Err(error) => {
                self.failed.store(true, Ordering::Relaxed);
                if told { Look::Same } else { Look::Refused(error) }
            }
        }
    }

    /// Notes that a policy that was found is in force now; one that is not is found again.
    pub(crate) fn is_in_force(&self, read: &Read) {
        self.known.lock().unwrap_or_else(PoisonError::into_inner).in_force = read.sha256;
    }

    /// Notes that a policy that was found could not be put in force: the next look finds it again.
    pub(crate) fn try_again(&self) {
        self.known.lock().unwrap_or_else(PoisonError::into_inner).judged = None;
    }
}

fn content(path: &Path) -> Seen {
    let length = std::fs::metadata(path).ok()?.len();
    let bytes = if length > FILE_MAX_BYTES { length.to_le_bytes().to_vec() } else { std::fs::read(path).ok()? };
    <[u8; 32]>::try_from(digest(&SHA256, &bytes).as_ref()).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The built-in policy written out, to begin one's own with.
    const WRITTEN_OUT: &str = include_str!("../../../config/policy.toml");

    #[test]
    fn the_built_in_policy_is_the_one_written_out() {
        assert_eq!(parse(WRITTEN_OUT).unwrap(), Policy::builtin());
    }

    #[test]
    fn what_is_not_understood_in_full_is_refused() {
        for (text, reason) in [
            ("", "missing field `version`"),
            ("version = 2", "expected version = 1"),
            ("version = 1", "nobody could ask at triage"),
            ("version = 1\ndefault = \"allow\"", "unknown field `default`"),
            ("version = 1\n[[grant]]\nroles = [\"ed\"]", "missing field `methods`"),
            (&WRITTEN_OUT.replace("roles = [\"ops\"]", "roles = [\"op\"]"), "found \"op\""),
            (&WRITTEN_OUT.replace("purposes", "purpose"), "unknown field `purpose`"),
            (&format!("{WRITTEN_OUT}{}", WRITTEN_OUT.replace("version = 1", "")), "granted already"),
        ] {
            let reasons = parse(text).unwrap_err().join("; ");
            assert!(reasons.contains(reason), "{reason}: {reasons}");
        }
    }

    #[test]
    fn a_file_counts_once_it_rests_and_a_bad_one_leaves_what_is_in_force() {
        let place = tempfile::tempdir().unwrap();
        let path = place.path().join("policy.toml");
        std::fs::write(&path, WRITTEN_OUT).unwrap();
        let (file, first) = PolicyFile::begin(&path).unwrap();
        assert_eq!(*first.policy, Policy::builtin());
        assert!(matches!(file.look(false), Look::Same));

        std::fs::write(&path, "version = 1\n").unwrap();
        assert!(matches!(file.look(false), Look::Same), "it may be half written");
        assert!(!file.has_failed());
        assert!(matches!(file.look(false), Look::Refused(_)) && file.has_failed());
        assert!(matches!(file.look(false), Look::Same) && file.has_failed(), "told once, and shown until it is mended");

        let narrow = WRITTEN_OUT.replace("\"safeguarding-review\"", "\"child-protection-enquiry\"");
        assert!(parse(&narrow).is_err(), "a word stands twice");
        let other = format!("{WRITTEN_OUT}\n# another file of the same policy\n");
        std::fs::write(&path, &other).unwrap();
        assert!(matches!(file.look(false), Look::Same));
        let Look::Changed(read) = file.look(false) else { panic!("it has rested") };
        assert!(!file.has_failed() && read.sha256 != first.sha256);
        file.try_again();
        let Look::Changed(read) = file.look(false) else { panic!("it is not in force yet") };
        file.is_in_force(&read);
        assert!(matches!(file.look(false), Look::Same) && matches!(file.look(true), Look::Same));

        std::fs::write(&path, WRITTEN_OUT).unwrap();
        assert!(matches!(file.look(true), Look::Changed(_)), "at once when somebody asks");
        std::fs::remove_file(&path).unwrap();
        assert!(matches!(file.look(true), Look::Refused(_)) && file.has_failed());
    }

    #[test]
    fn without_a_file_the_built_in_policy_is_in_force() {
        let (file, first) = PolicyFile::begin(Path::new("")).unwrap();
        assert_eq!((first.sha256, &*first.policy), ([0; 32], &Policy::builtin()));
        assert!(matches!(file.look(true), Look::Same) && !file.has_failed());
        assert!(PolicyFile::begin(Path::new("/nonexistent/policy.toml")).is_err());
    }
}
