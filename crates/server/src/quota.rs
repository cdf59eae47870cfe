//! How many log lines of one kind may be written in a second.
//! Never loses count of what was not written.

use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

/// The window that the quota is for.
const WINDOW: Duration = Duration::from_secs(1);

/// A quota for each second.
#[derive(Debug)]
pub(crate) struct Quota {
    per_window: u32,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    began: Option<Instant>,
    used: u32,
    unlogged: u64,
}

impl Quota {
    pub(crate) fn new(per_window: u32) -> Self {
        Self { per_window, state: Mutex::default() }
    }

    /// How many went unlogged since the last line, when a line may be written now.
    pub(crate) fn take(&self, now: Instant) -> Option<u64> {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        if state.began.is_none_or(|began| now.saturating_duration_since(began) >= WINDOW) {
            state.began = Some(now);
            state.used = 0;
        }
        if state.used >= self.per_window {
            state.unlogged += 1;
            return None;
        }
        state.used += 1;
        Some(std::mem::take(&mut state.unlogged))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_second_has_its_quota_and_the_rest_is_counted() {
        let quota = Quota::new(2);
        let began = Instant::now();
        let told: Vec<_> = (0..5).map(|_| quota.take(began)).collect();
        assert_eq!(told, [Some(0), Some(0), None, None, None]);
        assert_eq!(quota.take(began + WINDOW), Some(3));
        assert_eq!(quota.take(began + WINDOW), Some(0));
    }
}
