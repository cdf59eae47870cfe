//! The run's own clock, and its parts: warm-up, measured, after.

use std::time::{Duration, Instant};

/// Nanoseconds since a run began.
#[derive(Clone, Copy, Debug)]
pub struct Clock(Instant);

impl Clock {
    /// A clock that reads 0 at `origin`.
    #[must_use]
    pub fn new(origin: Instant) -> Self {
        Self(origin)
    }

    /// Now; 0 until it begins.
    #[must_use]
    pub fn now(&self) -> u64 {
        Instant::now().saturating_duration_since(self.0).as_nanos() as u64
    }

    /// Sleeps until it reads `at`.
    pub fn sleep_until(&self, at: u64) {
        std::thread::sleep((self.0 + Duration::from_nanos(at)).saturating_duration_since(Instant::now()));
    }
}

/// The measured part of a run, in nanoseconds of its clock.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Window {
    /// Its beginning: the end of the warm-up.
    pub begin: u64,
    /// Its end: nothing is sent after it.
    pub end: u64,
}

impl Window {
    /// A warm-up and a measured part.
    #[must_use]
    pub fn new(warm_up_seconds: f64, seconds: f64) -> Self {
        let begin = (warm_up_seconds * 1e9) as u64;
        Self { begin, end: begin + (seconds * 1e9) as u64 }
    }

    /// Its length.
    #[must_use]
    pub fn length(&self) -> u64 {
        self.end - self.begin
    }

    /// Whether `at` is in it.
    #[must_use]
    pub fn holds(&self, at: u64) -> bool {
        (self.begin..self.end).contains(&at)
    }

    /// `at` as a moment of the measured part; what is later counts to its last moment.
    #[must_use]
    pub fn place(&self, at: u64) -> u64 {
        at.saturating_sub(self.begin).min(self.length().saturating_sub(1))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_window_begins_after_the_warm_up() {
        let window = Window::new(1.0, 2.0);
        assert_eq!((window.begin, window.end, window.length()), (1_000_000_000, 3_000_000_000, 2_000_000_000));
        assert!(!window.holds(999_999_999) && window.holds(1_000_000_000) && !window.holds(3_000_000_000));
        assert_eq!((window.place(0), window.place(1_000_000_005), window.place(u64::MAX)), (0, 5, 1_999_999_999));
    }
}
