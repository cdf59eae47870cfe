//! Whose turn it is to have much read for one call: a search of the audit, a list. It is read off the threads that answer calls
//! and behind them, so many at once, and of each organisation one: whoever asks a hundred times at once waits for itself, and
//! nobody else for all of those.

use std::collections::HashMap;
use std::fmt::Display;
use std::sync::{Arc, Mutex, PoisonError};

use kith_domain::codes::OdsCode;
use kith_engine::give_way;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, oneshot};
use tonic::Status;

use super::errors;

/// What one organisation has read, or has in the row of all. The others wait, no longer than their deadline.
const OWN: usize = 1;

/// The turns. Never holds more than one entry for each organisation that was let read.
#[derive(Debug, Clone)]
pub(super) struct Turns {
    all: Arc<Semaphore>,
    of: Arc<Mutex<HashMap<OdsCode, Arc<Semaphore>>>>,
}

/// Nothing was read. It becomes a status where it is put into the audit (`context::whole`), or where the call is there already, and
/// nowhere else: `?` hands it on to nobody, so whoever asked and was told nothing stands there.
#[derive(Debug)]
pub(super) struct Unread(Status);

impl Unread {
    /// For the reason that a status tells.
    pub(super) fn because(status: Status) -> Self {
        Self(status)
    }

    /// What rows that cannot be read come to; which ones is logged.
    pub(super) fn rows(of: &'static str, error: impl Display) -> Self {
        tracing::error!(%error, of, "rows could not be read");
        Self(errors::storage())
    }

    /// What is to be said of it.
    pub(super) fn status(self) -> Status {
        self.0
    }
}

/// A turn; the next one comes when it is dropped.
#[derive(Debug)]
struct Turn {
    _own: OwnedSemaphorePermit,
    _all: OwnedSemaphorePermit,
}

impl Turns {
    /// So many at once.
    pub(super) fn new(at_once: usize) -> Self {
        Self { all: Arc::new(Semaphore::new(at_once)), of: Arc::default() }
    }

    /// Does work in a turn of this organisation, on a thread of its own that gives way. It keeps the turn until it ends though its
    /// caller has gone.
    ///
    /// # Errors
    /// When there is no thread, or it ended in a panic.
    pub(super) async fn run<T: Send + 'static>(
        &self,
        organisation: OdsCode,
        work: impl FnOnce() -> T + Send + 'static,
    ) -> Result<T, Unread> {
        let unread = || Unread(errors::storage());
        let turn = self.take(organisation).await.ok_or_else(unread)?;
        let (reply, done) = oneshot::channel();
        let reading = move || {
            give_way();
            // The caller may have gone.
            let _gone = reply.send(work());
            drop(turn);
        };
        if let Err(error) = std::thread::Builder::new().name("kith-read".to_owned()).spawn(reading) {
            tracing::error!(%error, "there is no thread to read on");
            return Err(unread());
        }
        done.await.map_err(|_| unread())
    }

    /// Waits for a turn of this organisation; none when there are none any more.
    async fn take(&self, organisation: OdsCode) -> Option<Turn> {
        let own = self.own(organisation).acquire_owned().await.ok()?;
        let all = Arc::clone(&self.all).acquire_owned().await.ok()?;
        Some(Turn { _own: own, _all: all })
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
        let turns = Turns::new(1);
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

    #[tokio::test]
    async fn an_organisation_has_one_read_at_a_time_and_a_panic_gives_the_turn_back() {
        let (turns, own) = (Turns::new(2), OdsCode::parse("R1H").unwrap());
        let reading = Arc::new(std::sync::atomic::AtomicUsize::new(0));
        let mut calls = tokio::task::JoinSet::new();
        for number in 0..8_u32 {
            let (turns, reading) = (turns.clone(), Arc::clone(&reading));
            let work = move || {
                let before = reading.fetch_add(1, std::sync::atomic::Ordering::SeqCst);
                std::thread::yield_now();
                reading.fetch_sub(1, std::sync::atomic::Ordering::SeqCst);
                (number, before)
            };
            calls.spawn(async move { turns.run(own, work).await.unwrap() });
        }
        let mut read = 0;
        while let Some(found) = calls.join_next().await {
            let (number, others) = found.unwrap();
            assert_eq!(others, 0, "others are read beside {number}");
            read += 1;
        }
        assert_eq!(read, 8);
        let failed = turns.run(own, || -> u32 { panic!("on purpose") }).await;
        assert_eq!(failed.unwrap_err().status().code(), tonic::Code::Unavailable);
        assert_eq!(turns.run(own, || 7).await.unwrap(), 7);
    }
}
