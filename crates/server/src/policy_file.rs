//! The policy from its file: read at the start, and again when the file changes while the service runs. A file that cannot be
//! used never replaces one that is in force, and never becomes "everybody" or "nobody".

use std::path::Path;
use std::sync::Arc;

use kith_domain::policy::{Policy, PolicyRow};
use ring::digest::{SHA256, digest};
use serde::Deserialize;

use crate::config::Config;
use crate::mistakes::Mistakes;
use crate::reloaded::{FileError, Found, Read, ReloadedFile};

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

/// The policy's file while the service runs.
pub(crate) type PolicyFile = ReloadedFile<Arc<Policy>>;

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

/// Looks at a policy's file.
fn find(path: &Path, _in_force: Option<&Arc<Policy>>) -> Found<Arc<Policy>> {
    let nothing = |error: std::io::Error| Found { content: None, made: Err(vec![error.to_string()]), kept: None };
    let length = match std::fs::metadata(path) {
        Ok(metadata) => metadata.len(),
        Err(error) => return nothing(error),
    };
    if length > FILE_MAX_BYTES {
        let reason = format!("expected at most {FILE_MAX_BYTES} bytes, found {length}");
        return Found { content: hash(&length.to_le_bytes()), made: Err(vec![reason]), kept: None };
    }
    let bytes = match std::fs::read(path) {
        Ok(bytes) => bytes,
        Err(error) => return nothing(error),
    };
    let text = std::str::from_utf8(&bytes).map_err(|error| vec![error.to_string()]);
    Found { content: hash(&bytes), made: text.and_then(parse).map(Arc::new), kept: None }
}

fn hash(bytes: &[u8]) -> Option<[u8; 32]> {
    digest(&SHA256, bytes).as_ref().try_into().ok()
}

/// Notes what is wrong with the file that the configuration names.
pub(crate) fn note_mistakes(config: &Config, mistakes: &mut Mistakes) {
    let file = &config.policy.file;
    if file.as_os_str().is_empty() {
        return;
    }
    for reason in find(file, None).made.err().unwrap_or_default() {
        mistakes.note(format!("policy.file: {}", file.display()), reason);
    }
}

/// The policy to begin with, and the file to look at from then on. Without a file the built-in policy is in force.
pub(crate) fn begin(file: &Path) -> Result<(PolicyFile, Read<Arc<Policy>>), FileError> {
    let (file, first) = PolicyFile::begin("policy", file, find)?;
    Ok((file, first.unwrap_or_else(|| Read { made: Arc::new(Policy::builtin()), sha256: [0; 32] })))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::reloaded::Look;

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
        let (file, first) = begin(&path).unwrap();
        assert_eq!(*first.made, Policy::builtin());
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
        let (file, first) = begin(Path::new("")).unwrap();
        assert_eq!((first.sha256, &*first.made), ([0; 32], &Policy::builtin()));
        assert!(matches!(file.look(true), Look::Same) && !file.has_failed());
        assert!(begin(Path::new("/nonexistent/policy.toml")).is_err());
    }
}
