//! How many log lines of one kind may be written in a second.
//! Never loses count of what was not written.

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

/// The window that the quota is for.
const WINDOW: Duration = Duration::from_secs(1);

/// A quota for each second, by a clock that never goes back: every moment is time since the same one.
#[derive(Debug)]
pub struct Quota {
    per_window: u32,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    began: Option<Duration>,
    used: u32,
    unlogged: u64,
}

impl State {
    /// Whether a line may be written now; then it counts as written.
    fn may_log(&mut self, per_window: u32, now: Duration) -> bool {
        if self.began.is_none_or(|began| now.saturating_sub(began) >= WINDOW) {
            self.began = Some(now);
            self.used = 0;
        }
        let may = self.used < per_window;
        self.used += u32::from(may);
        may
    }
}

impl Quota {
    /// So many lines in a second.
    #[must_use]
    pub fn new(per_window: u32) -> Self {
        Self { per_window, state: Mutex::default() }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// How many went unlogged since the last line, when a line may be written now.
    pub fn take(&self, now: Duration) -> Option<u64> {
        let mut state = self.lock();
        if state.may_log(self.per_window, now) {
            return Some(std::mem::take(&mut state.unlogged));
        }
        state.unlogged += 1;
        None
    }

    /// How many went unlogged since the last line, when any did and a line that tells of them alone may be written now.
    pub fn rest(&self, now: Duration) -> Option<u64> {
        let mut state = self.lock();
        let due = state.unlogged > 0 && state.may_log(self.per_window, now);
        due.then(|| std::mem::take(&mut state.unlogged))
    }

    /// The same at an end, whatever was written in this second.
    pub fn left(&self) -> Option<u64> {
        Some(std::mem::take(&mut self.lock().unlogged)).filter(|unlogged| *unlogged > 0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MOMENT: Duration = Duration::from_millis(1);

    #[test]
    fn a_second_has_its_quota_and_the_rest_is_counted() {
        let quota = Quota::new(2);
        let began = WINDOW * 7;
        let told: Vec<_> = (0..5).map(|_| quota.take(began)).collect();
        assert_eq!(told, [Some(0), Some(0), None, None, None]);
        assert_eq!(quota.take(began + WINDOW), Some(3));
        assert_eq!(quota.take(began + WINDOW), Some(0));
    }

    #[test]
    fn the_rest_is_told_once_its_second_is_over_and_by_a_line_of_the_next() {
        let (quota, began) = (Quota::new(1), WINDOW * 7);
        assert_eq!((quota.take(began), quota.rest(began + WINDOW)), (Some(0), None), "all are told");
        assert_eq!(quota.take(began + WINDOW), Some(0), "nothing to tell is no line");
        assert_eq!([quota.take(began + WINDOW), quota.take(began + WINDOW + MOMENT)], [None, None]);
        assert_eq!(quota.rest(began + WINDOW * 2 - MOMENT), None);
        assert_eq!(quota.rest(began + WINDOW * 2), Some(2));
        assert_eq!((quota.rest(began + WINDOW * 2), quota.take(began + WINDOW * 2)), (None, None));
        assert_eq!(quota.take(began + WINDOW * 3), Some(1));
    }

    #[test]
    fn at_an_end_what_is_left_is_told_at_once_and_once() {
        let quota = Quota::new(1);
        assert_eq!([quota.take(WINDOW), quota.take(WINDOW), quota.take(WINDOW)], [Some(0), None, None]);
        assert_eq!((quota.left(), quota.left()), (Some(2), None));
    }
}
