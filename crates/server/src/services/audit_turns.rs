//! Whose turn it is to search the audit. Searches go one after another, and each organisation waits with one of its own at most:
//! whoever asks a hundred times at once waits for itself, and nobody else for all of those.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use kith_domain::codes::OdsCode;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// Searches of the audit at once: each goes through files and opens what is in them, which takes a processor. The others wait for
/// their turn, no longer than their deadline.
const SEARCHES: usize = 1;
/// Searches of one organisation that run or stand in the row of all.
const OWN: usize = 1;

/// The turns. Never holds more than one entry for each organisation that was let search.
#[derive(Debug, Clone)]
pub(super) struct AuditTurns {
    all: Arc<Semaphore>,
    of: Arc<Mutex<HashMap<OdsCode, Arc<Semaphore>>>>,
}

/// A turn; the next one comes when it is dropped.
#[derive(Debug)]
pub(super) struct AuditTurn {
    _own: OwnedSemaphorePermit,
    _all: OwnedSemaphorePermit,
}

impl Default for AuditTurns {
    fn default() -> Self {
        Self { all: Arc::new(Semaphore::new(SEARCHES)), of: Arc::default() }
    }
}

impl AuditTurns {
    /// Waits for a turn of this organisation; none when there are none any more.
    pub(super) async fn take(&self, organisation: OdsCode) -> Option<AuditTurn> {
        let own = self.own(organisation).acquire_owned().await.ok()?;
        let all = Arc::clone(&self.all).acquire_owned().await.ok()?;
        Some(AuditTurn { _own: own, _all: all })
    }

    fn own(&self, organisation: OdsCode) -> Arc<Semaphore> {
        let mut of = self.of.lock().unwrap_or_else(PoisonError::into_inner);
        Arc::clone(of.entry(organisation).or_insert_with(|| Arc::new(Semaphore::new(OWN))))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn whoever_asks_once_does_not_wait_for_all_that_another_asks() {
        let turns = AuditTurns::default();
        let [flood, other] = ["E06000001", "RA1"].map(|code| OdsCode::parse(code).unwrap());
        let held = turns.take(flood).await.unwrap();
        let (tell, mut told) = tokio::sync::mpsc::unbounded_channel();
        for organisation in [flood; 20].into_iter().chain([other]) {
            let (turns, tell) = (turns.clone(), tell.clone());
            tokio::spawn(async move {
                let turn = turns.take(organisation).await;
                tell.send((organisation, turn.is_some())).unwrap();
            });
        }
        // All of them wait now.
        tokio::task::yield_now().await;
        assert!(told.try_recv().is_err());
        drop(held);
        assert_eq!(told.recv().await, Some((other, true)));
        for _ in 0..20 {
            assert_eq!(told.recv().await, Some((flood, true)), "and each has its turn");
        }
    }
}
