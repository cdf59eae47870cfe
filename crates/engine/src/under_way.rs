//! Changes under way: from before one may be made until the audit has been told, or its entry is kept to be told later. Whoever
//! closes the engine waits for them, and where one was given up between the two that end is no end in order.

use crate::engine::Engine;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

/// How long closing waits for them: longer than the log and the audit have by default for the groups that a stream has in flight.
pub(crate) const LIMIT: Duration = Duration::from_secs(2);

#[derive(Debug, Default)]
struct Counts {
    begun: u64,
    /// Whether the audit may lack the entry of any.
    lost: bool,
}

#[derive(Debug, Default)]
struct Shared {
    counts: Mutex<Counts>,
    ended: Condvar,
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, Counts> {
        self.counts.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Those of one engine.
#[derive(Debug, Default)]
pub(crate) struct UnderWay(Arc<Shared>);

impl UnderWay {
    fn begin(&self) -> Changing {
        self.0.lock().begun += 1;
        Changing { shared: Arc::clone(&self.0), told: false }
    }

    /// The audit will never have the entry of one.
    pub(crate) fn lose(&self) {
        self.0.lock().lost = true;
    }

    /// Waits for all of them; false where one does not end in time, or has been lost. Blocks.
    pub(crate) fn all_told(&self, limit: Duration) -> bool {
        let waited = self.0.ended.wait_timeout_while(self.0.lock(), limit, |counts| counts.begun > 0);
        let (counts, _) = waited.unwrap_or_else(PoisonError::into_inner);
        counts.begun == 0 && !counts.lost
    }
}

/// Changes that one call makes. Dropped before [`Changing::told`] they count as lost: they may stand, and no entry tells of them.
#[derive(Debug)]
#[must_use]
pub struct Changing {
    shared: Arc<Shared>,
    told: bool,
}

impl Changing {
    /// The audit has been told of them, or is told later, or none was made.
    pub fn told(mut self) {
        self.told = true;
    }
}

impl Drop for Changing {
    fn drop(&mut self) {
        let mut counts = self.shared.lock();
        counts.begun -= 1;
        counts.lost |= !self.told;
        drop(counts);
        self.shared.ended.notify_all();
    }
}

impl Engine {
    /// Begins to change something: to be held until the audit has been told.
    pub fn changing(&self) -> Changing {
        self.under_way.begin()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::audit_entry::{AuditEntry, Decision};
    use crate::files::tests::place::Place;
    use crate::rows::decode;

    /// Ends and gaps that the audit holds.
    fn ends(place: &Place) -> (usize, usize) {
        while place.engine.journal().window().unsynced > 0 {
            std::thread::yield_now();
        }
        let entries = place.engine.journal().read_from(1, 1_000).unwrap();
        let decisions: Vec<Decision> =
            entries.iter().map(|(_, bytes)| decode::<AuditEntry>(bytes).unwrap().decision).collect();
        let stopped = decisions.iter().filter(|decision| **decision == Decision::Stopped).count();
        (stopped, decisions.iter().filter(|decision| matches!(decision, Decision::Gap(_))).count())
    }

    #[test]
    fn they_are_waited_for_and_one_that_is_given_up_is_not_forgotten() {
        let under_way = UnderWay::default();
        let changing = under_way.begin();
        assert!(!under_way.all_told(Duration::ZERO), "it is under way");
        std::thread::scope(|scope| {
            let waiting = scope.spawn(|| under_way.all_told(Duration::from_secs(60)));
            changing.told();
            assert!(waiting.join().unwrap());
        });
        drop(under_way.begin());
        under_way.begin().told();
        assert!(!under_way.all_told(Duration::ZERO), "it may stand, and nobody tells of it");
    }

    #[tokio::test]
    async fn an_end_with_a_change_that_nobody_told_of_is_announced_as_a_gap() {
        let place = Place::new();
        place.engine.changing().told();
        let place = place.reopened();
        assert_eq!(ends(&place), (1, 0));
        drop(place.engine.changing());
        let place = place.reopened();
        assert_eq!(ends(&place), (1, 1), "it has not stopped in order, and every authority is told");
        assert_eq!(ends(&place.reopened()), (2, 1));
    }

    #[tokio::test]
    async fn an_end_at_which_the_audit_takes_no_entry_of_a_change_is_no_end_in_order() {
        let place = Place::new();
        place.engine.under_way.lose();
        assert_eq!(ends(&place.reopened()), (0, 1));
    }
}
