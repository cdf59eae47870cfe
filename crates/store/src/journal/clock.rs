//! The journal's clock: the one module of this crate that may ask the system for the time, and only for how
//! much of it has passed. It never tells a date.

use std::time::{Duration, Instant};

/// A clock that never goes back. Passed in, so that tests decide how much time has passed.
pub trait Monotonic: Send + Sync {
    /// Time since some fixed moment.
    fn now(&self) -> Duration;
}

/// The system's monotonic clock.
#[derive(Debug, Clone, Copy)]
pub struct SystemMonotonic(Instant);

impl Default for SystemMonotonic {
    fn default() -> Self {
        Self(Instant::now())
    }
}

impl Monotonic for SystemMonotonic {
    fn now(&self) -> Duration {
        self.0.elapsed()
    }
}

/// A limit on a wait of this process, on the system's clock.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Deadline(Instant);

impl Deadline {
    /// The moment `after` from now.
    pub(crate) fn after(after: Duration) -> Self {
        Self(Instant::now() + after)
    }

    /// What is left; `None` when it has passed.
    pub(crate) fn left(self) -> Option<Duration> {
        self.0.checked_duration_since(Instant::now())
    }
}
