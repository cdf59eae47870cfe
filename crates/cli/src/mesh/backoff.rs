//! Waiting longer after each failure in a row: of MESH as a whole, and of each authority for itself. It never gives up.

use std::time::{Duration, Instant};

/// Longest wait, unless the usual one is longer.
const LONGEST: Duration = Duration::from_secs(3600);
/// Doublings at most.
const DOUBLINGS: u32 = 6;

/// How long to leave something alone.
#[derive(Clone, Debug, Default)]
pub struct Backoff {
    failures: u32,
    until: Option<Instant>,
}

impl Backoff {
    /// Notes a failure and gives the time to wait: the usual one, then twice as long, and so on.
    pub fn failed(&mut self, now: Instant, usual: Duration) -> Duration {
        let wait = usual.saturating_mul(1 << self.failures.min(DOUBLINGS)).min(LONGEST.max(usual));
        self.failures = self.failures.saturating_add(1);
        self.until = Some(now + wait);
        wait
    }

    /// Notes that all is well again.
    pub fn healed(&mut self) {
        *self = Self::default();
    }

    /// Whether it is still to be left alone.
    #[must_use]
    pub fn waits(&self, now: Instant) -> bool {
        self.until.is_some_and(|until| now < until)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_failure_doubles_the_wait_up_to_an_hour_and_healing_ends_it() {
        let (now, usual) = (Instant::now(), Duration::from_secs(300));
        let mut backoff = Backoff::default();
        assert!(!backoff.waits(now));
        let waits: Vec<u64> = (0..6).map(|_| backoff.failed(now, usual).as_secs()).collect();
        assert_eq!(waits, [300, 600, 1200, 2400, 3600, 3600]);
        assert!(backoff.waits(now + Duration::from_secs(3599)) && !backoff.waits(now + Duration::from_secs(3600)));
        backoff.healed();
        assert!(!backoff.waits(now));
        assert_eq!(backoff.failed(now, Duration::from_secs(86_400)).as_secs(), 86_400);
    }
}
