//! The keyring while the server runs: looked at now and then, and put in force when it was changed by hand. One that cannot be
//! used, or is not a continuation of the one in force, changes nothing and is told.

use std::sync::{Mutex, MutexGuard, PoisonError};

use kith_engine::{AuditError, Configured, Decision, Engine};

use crate::file_looks::Audit;
use crate::untold::Untold;

/// What is known of the keyring on the disk.
#[derive(Debug, Default)]
pub(crate) struct KeysWatch {
    /// Why it cannot be used as it is now: told once.
    fault: Mutex<Option<String>>,
    untold: Untold,
}

impl KeysWatch {
    fn fault(&self) -> MutexGuard<'_, Option<String>> {
        self.fault.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether the keyring, as it is on the disk, cannot be used.
    pub(crate) fn has_failed(&self) -> bool {
        self.fault().is_some()
    }

    /// Looks, and puts a changed keyring in force once that is in the audit. The file is only ever replaced as a whole, so
    /// there is nothing to wait for.
    pub(crate) fn look(&self, engine: &Engine, audit: Audit<'_>) {
        // What was refused before comes before whatever is found now.
        let told = self.tell_refusals(audit);
        let fault = match engine.look_at_keys() {
            Ok(None) => None,
            Ok(Some(new)) => {
                let (stamp, version) = (new.stamp(), new.newest());
                match told.and_then(|()| audit(Decision::ConfigChanged(Configured::Keys, stamp.sha256))) {
                    Ok(()) => {
                        engine.adopt_keys(new);
                        tracing::info!(generation = stamp.generation, version, "another keyring is in force");
                    }
                    Err(error) => {
                        tracing::error!(%error, "the keys stay as they were: their change could not be audited");
                    }
                }
                None
            }
            Err(error) => Some(error.to_string()),
        };
        self.note(fault, audit);
    }

    /// Notes why the keyring cannot be used, or that it can, and tells what is new.
    fn note(&self, fault: Option<String>, audit: Audit<'_>) {
        let is_news = *self.fault() != fault;
        if let Some(words) = fault.as_ref().filter(|_| is_news) {
            tracing::error!("failed to {words}; the keys in force stay as they were");
            self.untold.note();
            // One that is not taken is told at the next look.
            let _ = self.tell_refusals(audit);
        }
        *self.fault() = fault;
    }

    fn tell_refusals(&self, audit: Audit<'_>) -> Result<(), AuditError> {
        let told = self.untold.tell(|| audit(Decision::ConfigRefused(Configured::Keys)));
        // That the audit takes no entry is told by the audit itself.
        told.inspect_err(|error| tracing::debug!(%error, "that a keyring was refused is not audited yet"))
    }
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;

    use super::*;

    #[test]
    fn that_a_keyring_was_refused_is_told_until_the_audit_has_taken_it_though_it_is_mended_meanwhile() {
        let (keys, takes, told) = (KeysWatch::default(), Cell::new(false), Cell::new(0));
        let audit = |decision: Decision| {
            assert_eq!(decision, Decision::ConfigRefused(Configured::Keys));
            told.set(told.get() + u32::from(takes.get()));
            if takes.get() { Ok(()) } else { Err(AuditError::NoSink) }
        };
        let fault = || Some(String::from("read the keyring"));
        keys.note(fault(), &audit);
        keys.note(fault(), &audit);
        assert!(keys.has_failed() && keys.tell_refusals(&audit).is_err());
        keys.note(None, &audit);
        takes.set(true);
        assert!(keys.tell_refusals(&audit).is_ok() && keys.tell_refusals(&audit).is_ok());
        assert_eq!(told.get(), 1, "once, for it was found once");
        keys.note(fault(), &audit);
        assert_eq!(told.get(), 2, "at once, when the audit takes entries");
    }
}
