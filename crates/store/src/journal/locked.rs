//! The state under its lock, and what is to be logged once the lock is given back. A log may wait for a disk, which may be the
//! one that is in trouble: nothing is logged while everybody's entries wait for the lock.

use std::ops::{Deref, DerefMut};
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use super::state::State;
use super::types::Sink;

/// What happened under the lock, for the log.
#[derive(Debug)]
pub(crate) enum Said {
    /// A sink hangs: what has waited for it since this entry is given up.
    Hangs { first: u64 },
    /// A write failed.
    WriteFailed { sink: Sink, error: String },
    /// A write that had been given up failed after all.
    LateWriteFailed { sink: Sink, error: String },
    /// A sync failed.
    SyncFailed { sink: Sink, error: String },
    /// No segment can be begun.
    NoSegment { sink: Sink, error: String },
}

impl Said {
    fn log(&self) {
        match self {
            Self::Hangs { first } => tracing::error!(first, "an audit sink hangs, its segment is given up"),
            Self::WriteFailed { sink, error } => {
                tracing::error!(sink = sink.name(), %error, "audit sink failed to write, moving to the other");
            }
            Self::LateWriteFailed { sink, error } => {
                tracing::error!(sink = sink.name(), %error, "audit write failed after it was given up");
            }
            Self::SyncFailed { sink, error } => {
                tracing::error!(sink = sink.name(), %error, "audit sync failed, its segment is closed for good");
            }
            Self::NoSegment { sink, error } => {
                tracing::error!(sink = sink.name(), %error, "audit sink cannot begin a segment");
            }
        }
    }
}

/// The state, while the lock is held.
pub(crate) struct Locked<'a> {
    state: &'a Mutex<State>,
    guard: Option<MutexGuard<'a, State>>,
}

impl<'a> Locked<'a> {
    /// Waits for the lock. The state is whole after every step, so a panic elsewhere does not spoil it.
    pub(crate) fn new(state: &'a Mutex<State>) -> Self {
        Self { state, guard: Some(state.lock().unwrap_or_else(PoisonError::into_inner)) }
    }

    /// Gives the lock back until it is woken, at the latest after `most`. What is to be logged is logged first: then it
    /// comes back at once.
    pub(crate) fn wait(mut self, on: &Condvar, most: Option<Duration>) -> Self {
        let state = self.state;
        let Some(guard) = self.guard.take_if(|guard| guard.said.is_empty()) else {
            drop(self);
            return Self::new(state);
        };
        let guard = match most {
            None => on.wait(guard).unwrap_or_else(PoisonError::into_inner),
            Some(most) => on.wait_timeout(guard, most).unwrap_or_else(PoisonError::into_inner).0,
        };
        Self { state, guard: Some(guard) }
    }
}

const HELD: &str = "the lock is held until this is dropped";

impl Deref for Locked<'_> {
    type Target = State;

    fn deref(&self) -> &State {
        self.guard.as_deref().expect(HELD)
    }
}

impl DerefMut for Locked<'_> {
    fn deref_mut(&mut self) -> &mut State {
        self.guard.as_deref_mut().expect(HELD)
    }
}

impl Drop for Locked<'_> {
    fn drop(&mut self) {
        let Some(mut guard) = self.guard.take() else { return };
        let said = std::mem::take(&mut guard.said);
        drop(guard);
        said.iter().for_each(Said::log);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::journal::JournalOptions;
    use std::sync::Arc;
    use std::sync::atomic::{AtomicUsize, Ordering};
    use tracing::span::{Attributes, Id, Record};
    use tracing::{Event, Metadata, Subscriber};

    /// A log that looks whether the lock is free while it is written.
    struct Log {
        state: Arc<Mutex<State>>,
        free: Arc<AtomicUsize>,
    }

    impl Subscriber for Log {
        fn enabled(&self, _: &Metadata<'_>) -> bool {
            true
        }

        fn new_span(&self, _: &Attributes<'_>) -> Id {
            Id::from_u64(1)
        }

        fn record(&self, _: &Id, _: &Record<'_>) {}

        fn record_follows_from(&self, _: &Id, _: &Id) {}

        fn event(&self, _: &Event<'_>) {
            assert!(self.state.try_lock().is_ok(), "the lock is held while the log is written");
            self.free.fetch_add(1, Ordering::Relaxed);
        }

        fn enter(&self, _: &Id) {}

        fn exit(&self, _: &Id) {}
    }

    #[test]
    fn the_log_is_written_without_the_lock_and_before_a_wait() {
        let options = JournalOptions::new("/nowhere", "/nowhere");
        let state = Arc::new(Mutex::new(State::new(options, 1, 1, Vec::new())));
        let free = Arc::<AtomicUsize>::default();
        let log = Log { state: Arc::clone(&state), free: Arc::clone(&free) };
        let said = || Said::NoSegment { sink: Sink::Spill, error: String::from("no room") };
        tracing::subscriber::with_default(log, || {
            Locked::new(&state).said.push(said());
            assert_eq!(free.load(Ordering::Relaxed), 1);
            let mut locked = Locked::new(&state);
            locked.said.push(said());
            // Nobody would wake it.
            let locked = locked.wait(&Condvar::new(), None);
            assert_eq!((free.load(Ordering::Relaxed), locked.said.len()), (2, 0));
        });
    }
}
