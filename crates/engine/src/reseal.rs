//! What happens when the data key is rotated while the engine runs: the new key is taken into use, and the state is sealed anew
//! behind everything else, a stretch at a time with rests between. Log, audit and tree keep the keys that they were sealed with.

use crate::engine::Engine;
use crate::purge::Purger;
use kith_store::{
    CommitError, Journal, KeyError, KeyUses, KeyringStamp, Keys, Monotonic, NewKeys, ResealError, ResealPosition,
    Store, StoreOptions, TrimError,
};
use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use crate::verify::VerifyError;

/// How often it is looked whether there is anything to seal anew.
const LOOK_EVERY: Duration = Duration::from_millis(500);
/// After each stretch it rests so many times as long as that took, so that a slow disk is left to those who wait for it.
const REST_TIMES: u32 = 4;
/// What could not be done, for want of room most likely, is tried again after this.
const AGAIN_AFTER: Duration = Duration::from_secs(60);
/// How far it has come is told in steps of so many rows: one more or less must tell nobody what a question found.
const ROUGHLY_ROWS: u64 = 1_000;

/// Why the state is not yet sealed anew.
#[derive(Debug, thiserror::Error)]
enum Fault {
    #[error(transparent)]
    Reseal(#[from] ResealError),
    #[error(transparent)]
    Trim(#[from] TrimError),
    #[error("the service is stopping")]
    Stopping,
}

/// The background work.
pub(crate) struct Resealer {
    purger: Arc<Purger>,
    clock: Arc<dyn Monotonic>,
    left: AtomicU64,
    /// The keyring that is in force and in the audit, while that could not be noted.
    unnoted: Mutex<Option<KeyringStamp>>,
}

impl Resealer {
    pub(crate) fn new(purger: Arc<Purger>, clock: Arc<dyn Monotonic>) -> Self {
        Self { purger, clock, left: AtomicU64::new(0), unnoted: Mutex::new(None) }
    }

    /// Runs until told to stop.
    pub(crate) fn run(&self) {
        let mut wait = LOOK_EVERY;
        while self.purger.wait(wait) {
            wait = LOOK_EVERY;
            self.note_again();
            if !self.purger.store.reseal_is_due() {
                continue;
            }
            match self.everything() {
                Ok(version) => tracing::info!(version, "all of the state is sealed with this version of the data key"),
                Err(_) if self.purger.stop.load(Ordering::Acquire) => {}
                Err(Fault::Reseal(ResealError::Commit(CommitError::Fatal { what }))) => {
                    tracing::error!(%what, "the change log failed while the state was sealed anew");
                    (self.purger.on_fatal)(&what);
                    return;
                }
                Err(error) => {
                    tracing::warn!(%error, "the state is not yet sealed anew; the old data key stays needed");
                    wait = AGAIN_AFTER;
                }
            }
        }
    }

    fn unnoted(&self) -> MutexGuard<'_, Option<KeyringStamp>> {
        self.unnoted.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Notes durably that this keyring is in force and in the audit; what could not be noted is noted again until it is.
    fn note_keyring(&self, stamp: KeyringStamp) {
        self.note(&mut self.unnoted(), stamp);
    }

    fn note_again(&self) {
        // Held meanwhile, so that none that came after it is written over.
        let mut unnoted = self.unnoted();
        if let Some(stamp) = *unnoted {
            self.note(&mut unnoted, stamp);
        }
    }

    fn note(&self, unnoted: &mut Option<KeyringStamp>, stamp: KeyringStamp) {
        let Err(error) = self.purger.store.note_keyring(stamp) else {
            *unnoted = None;
            return;
        };
        // Once for each.
        if unnoted.replace(stamp) != Some(stamp) {
            tracing::warn!(%error, "which keyring is in force is not noted yet: a start before it is puts it into the audit again");
        }
    }

    /// Seals everything anew; gives the version. Begun again it passes over what is done.
    fn everything(&self) -> Result<u8, Fault> {
        let store = &self.purger.store;
        let version = store.reseal_begin()?;
        tracing::info!(version, "sealing the state anew");
        let mut at = ResealPosition::default();
        loop {
            let began = self.clock.now();
            let more = store.reseal_stretch(&mut at)?;
            self.left.store(store.reseal_left(&at), Ordering::Release);
            let took = self.clock.now().saturating_sub(began);
            if !self.purger.wait(self.purger.options.pause.max(took * REST_TIMES)) {
                return Err(Fault::Stopping);
            }
            if !more {
                break;
            }
        }
        // The snapshot holds rows as they were sealed then, and so does what RocksDB has not rewritten yet.
        self.purger.trim()?;
        store.reseal_end(version)?;
        Ok(version)
    }

    /// About how many rows are left, in steps; never nought before it has ended.
    fn left(&self) -> u64 {
        if !self.purger.store.reseal_is_due() {
            return 0;
        }
        self.left.load(Ordering::Acquire).max(1).next_multiple_of(ROUGHLY_ROWS)
    }
}

impl Engine {
    /// About how many rows of the state are not yet sealed with the newest data key; 0 once all of it is, the snapshot too.
    #[must_use]
    pub fn reseal_left(&self) -> u64 {
        self.resealer.left()
    }

    /// The version of the data key that seals what is written now.
    #[must_use]
    pub fn data_key_version(&self) -> u8 {
        self.keys.newest()
    }

    /// Looks at the keyring on the disk; gives it when it is another than the one in force and holds every key that may be
    /// in use. Nothing changes before [`Engine::adopt_keys`]. Blocks.
    ///
    /// # Errors
    /// Every [`KeyError`]: what is in force stays.
    pub fn look_at_keys(&self) -> Result<Option<NewKeys>, KeyError> {
        let Some(new) = self.keys.look()? else { return Ok(None) };
        let (held, sealed_to) = (new.held(), self.store.resealed_to());
        let mut in_use = self.keys.held().into_iter().filter(|version| *version >= sealed_to);
        if in_use.any(|version| !held.contains(&version)) {
            return Err(KeyError::KeyringForeign);
        }
        Ok(Some(new))
    }

    /// Puts another keyring in force, for whatever is sealed or opened from now on; its change is in the audit already.
    pub fn adopt_keys(&self, new: NewKeys) {
        let stamp = new.stamp();
        self.keys.adopt(new);
        self.note_keyring(stamp);
    }

    /// The keyring in force, when it was changed since one was last noted: its change belongs in the audit, and is noted
    /// after that. The first one is noted here.
    #[must_use]
    pub fn changed_keyring(&self) -> Option<KeyringStamp> {
        let stamp = self.keys.stamp()?;
        match self.store.noted_keyring() {
            Some(noted) if noted == stamp => None,
            None if stamp.generation == 1 => {
                self.note_keyring(stamp);
                None
            }
            Some(_) | None => Some(stamp),
        }
    }

    /// Notes durably that this keyring is in force and in the audit: behind everything else, when that cannot be done at once.
    pub fn note_keyring(&self, stamp: KeyringStamp) {
        self.resealer.note_keyring(stamp);
    }
}

/// Which versions of the data key are in use, in a data directory and in the audit's sinks. Never writes; beside a kithd that
/// runs it may fail for a file that was removed meanwhile, and then may be tried again.
///
/// # Errors
/// When anything cannot be read: then nobody can say what is not in use.
pub fn key_uses(data_dir: &Path, [primary, spill]: [&Path; 2], keys: &Arc<Keys>) -> Result<KeyUses, VerifyError> {
    let store = Store::open_read_only(data_dir, Arc::clone(keys), StoreOptions::default())?;
    let mut uses = store.key_uses()?;
    uses.audit = Journal::key_uses(primary, spill)?;
    Ok(uses)
}

/// The version of the data key under which, or under a newer one, all of the state stands. Never writes.
///
/// # Errors
/// When the data directory cannot be read.
pub fn resealed_to(data_dir: &Path, keys: &Arc<Keys>) -> Result<u8, VerifyError> {
    Ok(Store::open_read_only(data_dir, Arc::clone(keys), StoreOptions::default())?.resealed_to())
}

#[cfg(test)]
#[path = "reseal_tests.rs"]
mod tests;
