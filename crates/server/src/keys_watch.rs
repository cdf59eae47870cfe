//! The keyring while the server runs: looked at now and then, and put in force when it was changed by hand. One that cannot be
//! used, or is not a continuation of the one in force, changes nothing and is told.

use std::sync::{Mutex, MutexGuard, PoisonError};

use kith_engine::{AuditError, Configured, Decision, Engine};

/// What is known of the keyring on the disk.
#[derive(Debug, Default)]
pub(crate) struct KeysWatch {
    /// Why it cannot be used as it is now: told once.
    fault: Mutex<Option<String>>,
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
    pub(crate) fn look(&self, engine: &Engine, audit: &dyn Fn(Decision) -> Result<(), AuditError>) {
        let fault = match engine.look_at_keys() {
            Ok(None) => None,
            Ok(Some(new)) => {
                let (stamp, version) = (new.stamp(), new.newest());
                match audit(Decision::ConfigChanged(Configured::Keys, stamp.sha256)) {
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
        let is_news = *self.fault() != fault;
        if let Some(words) = fault.as_ref().filter(|_| is_news) {
            tracing::error!("failed to {words}; the keys in force stay as they were");
            if let Err(error) = audit(Decision::ConfigRefused(Configured::Keys)) {
                tracing::error!(%error, "that a keyring was refused could not be audited");
            }
        }
        *self.fault() = fault;
    }
}
