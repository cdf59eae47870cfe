//! One look at a file that may change while the service runs: what is new in it goes into the audit and then into force, and that
//! it was refused is told until the audit has taken it. Never puts in force what the audit does not know of.

use kith_engine::{AuditError, Configured, Decision};

use crate::reloaded::{Look, ReloadedFile};

/// How a decision of the service itself gets into the audit.
pub(crate) type Audit<'a> = &'a dyn Fn(Decision) -> Result<(), AuditError>;

/// Looks at a file, and puts what is new in it in force once that is in the audit.
pub(crate) fn look_at<T: Clone>(
    file: &ReloadedFile<T>,
    (configured, name): (Configured, &str),
    asked: bool,
    audit: Audit<'_>,
    put_in_force: impl FnOnce(T),
) {
    let look = file.look(asked);
    if let Look::Refused(error) = &look {
        if error.is_of_parts() {
            tracing::error!("failed to {error}; the rest of the {name} is in force as it is now");
        } else {
            tracing::error!("failed to {error}; the {name} stays in force as it was");
        }
        file.untold().note();
    }
    // That the audit takes no entry is told by the audit itself.
    let told = file
        .untold()
        .tell(|| audit(Decision::ConfigRefused(configured)))
        .inspect_err(|error| tracing::debug!(%error, "that the {name} was refused is not audited yet"));
    let Look::Changed(read) = look else { return };
    // What was refused before it comes before it in the audit.
    match told.and_then(|()| audit(Decision::ConfigChanged(configured, read.sha256))) {
        Ok(()) => {
            put_in_force(read.made.clone());
            file.is_in_force(&read);
            tracing::info!(sha256 = hex::encode(read.sha256), "another {name} is in force");
        }
        Err(error) => {
            file.try_again();
            tracing::error!(%error, "the {name} stays as it was: its change could not be audited");
        }
    }
}

#[cfg(test)]
mod tests {
    use std::cell::{Cell, RefCell};
    use std::path::Path;

    use super::*;
    use crate::reloaded::Found;

    /// A file that is good when it says so.
    fn find(path: &Path, _in_force: Option<&Vec<u8>>) -> Found<Vec<u8>> {
        let bytes = std::fs::read(path).unwrap();
        let mut content = [0; 32];
        content[..bytes.len()].copy_from_slice(&bytes);
        let made = if bytes.starts_with(b"good") { Ok(bytes) } else { Err(vec![String::from("expected good")]) };
        Found { content: Some(content), made, kept: None }
    }

    /// Whatever happens to it while the audit takes no entry, that it was refused is in the audit once that takes entries again, and
    /// before the change that came after it.
    #[test]
    fn that_a_file_was_refused_is_told_until_the_audit_has_taken_it() {
        let place = tempfile::tempdir().unwrap();
        let path = place.path().join("file");
        std::fs::write(&path, "good").unwrap();
        let (file, _) = ReloadedFile::begin("file", &path, find).unwrap();
        let (takes, entries, in_force) = (Cell::new(false), RefCell::new(Vec::new()), RefCell::new(b"good".to_vec()));
        let audit = |decision: Decision| {
            if !takes.get() {
                return Err(AuditError::NoSink);
            }
            entries.borrow_mut().push(decision);
            Ok(())
        };
        let look = || {
            look_at(&file, (Configured::Policy, "file"), true, &audit, |made| *in_force.borrow_mut() = made);
        };
        std::fs::write(&path, "bad").unwrap();
        look();
        std::fs::write(&path, "bad again").unwrap();
        look();
        std::fs::write(&path, "good again").unwrap();
        look();
        assert!(entries.borrow().is_empty() && *in_force.borrow() == b"good", "nothing counts that is not audited");
        takes.set(true);
        look();
        look();
        let mut changed = [0; 32];
        changed[..10].copy_from_slice(b"good again");
        let refused = Decision::ConfigRefused(Configured::Policy);
        let expected = [refused.clone(), refused, Decision::ConfigChanged(Configured::Policy, changed)];
        assert_eq!(*entries.borrow(), expected);
        assert_eq!(*in_force.borrow(), b"good again");
    }

    #[test]
    fn that_a_file_was_refused_is_told_once_while_it_stays_as_it_is() {
        let place = tempfile::tempdir().unwrap();
        let path = place.path().join("file");
        std::fs::write(&path, "good").unwrap();
        let (file, _) = ReloadedFile::begin("file", &path, find).unwrap();
        let (takes, told) = (Cell::new(false), Cell::new(0));
        let audit = |_: Decision| {
            told.set(told.get() + u32::from(takes.get()));
            if takes.get() { Ok(()) } else { Err(AuditError::NoSink) }
        };
        let look = || look_at(&file, (Configured::Services, "file"), false, &audit, |_| panic!("it was refused"));
        std::fs::write(&path, "bad").unwrap();
        (0..3).for_each(|_| look());
        assert_eq!(told.get(), 0);
        takes.set(true);
        (0..3).for_each(|_| look());
        assert_eq!(told.get(), 1);
    }
}
