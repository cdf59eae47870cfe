//! Counts of feeds, kept from one answer to the next for as long as they stand: every answer tells them, and they change
//! only when a feed is heard of or time passes one of its bounds. Takes no lock; whoever finds none that stand counts anew.

use crate::feed::FeedCounts;
use crate::time::Moment;
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};

/// What counting found, and from when until before when it stands if no feed changes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Counted {
    pub(crate) from: i64,
    pub(crate) until: i64,
    /// Without the oldest fresh one.
    pub(crate) counts: FeedCounts,
    /// When the fresh feed that was not heard of for longest was heard of.
    pub(crate) oldest_fresh: Option<Moment>,
}

impl Counted {
    /// Nothing counted yet, which stands for ever.
    pub(crate) fn nothing() -> Self {
        Self { from: i64::MIN, until: i64::MAX, counts: FeedCounts::default(), oldest_fresh: None }
    }

    /// Notes a moment from which something is otherwise.
    pub(crate) fn bound(&mut self, bound: i64, now: Moment) {
        if bound <= now.0 {
            self.from = self.from.max(bound);
        } else {
            self.until = self.until.min(bound);
        }
    }

    /// The counts at a moment for which they stand.
    pub(crate) fn at(&self, now: Moment) -> FeedCounts {
        let oldest_fresh_seconds = self.oldest_fresh.map(|last| now.seconds_since(last));
        FeedCounts { oldest_fresh_seconds, ..self.counts }
    }
}

/// Marks that no feed is fresh.
const NONE: i64 = i64::MIN;

/// What was counted last. Its parts belong together if the sequence was even and the same before and after reading them.
#[derive(Debug, Default)]
pub(crate) struct Kept {
    sequence: AtomicU64,
    /// How many changes there had been when the counting began, and one.
    changes: AtomicU64,
    from: AtomicI64,
    until: AtomicI64,
    fresh_and_stale: AtomicU64,
    absent_and_thin: AtomicU64,
    oldest_fresh: AtomicI64,
}

const ORDER: Ordering = Ordering::SeqCst;

fn two(high: u32, low: u32) -> u64 {
    u64::from(high) << u32::BITS | u64::from(low)
}

impl Kept {
    /// What stands at a moment after so many changes, or what `count` finds.
    pub(crate) fn counts(&self, changes: &AtomicU64, now: Moment, count: impl FnOnce() -> Counted) -> FeedCounts {
        let before = changes.load(ORDER);
        if let Some(counted) = self.read(before).filter(|kept| kept.from <= now.0 && now.0 < kept.until) {
            return counted.at(now);
        }
        let counted = count();
        self.write(before, &counted);
        counted.at(now)
    }

    fn read(&self, changes: u64) -> Option<Counted> {
        let sequence = self.sequence.load(ORDER);
        let of_changes = self.changes.load(ORDER);
        let (from, until) = (self.from.load(ORDER), self.until.load(ORDER));
        let (one, other) = (self.fresh_and_stale.load(ORDER), self.absent_and_thin.load(ORDER));
        let oldest = self.oldest_fresh.load(ORDER);
        let whole = sequence.is_multiple_of(2) && self.sequence.load(ORDER) == sequence;
        if !whole || of_changes != changes.wrapping_add(1) {
            return None;
        }
        let (high, low) = (|both: u64| (both >> u32::BITS) as u32, |both: u64| both as u32);
        let counts = FeedCounts {
            fresh: high(one),
            stale: low(one),
            absent: high(other),
            thin: low(other),
            oldest_fresh_seconds: None,
        };
        Some(Counted { from, until, counts, oldest_fresh: (oldest != NONE).then_some(Moment(oldest)) })
    }

    /// Keeps what was counted, unless another is just keeping theirs.
    fn write(&self, changes: u64, counted: &Counted) {
        let sequence = self.sequence.load(ORDER);
        let free = sequence.is_multiple_of(2)
            && self.sequence.compare_exchange(sequence, sequence.wrapping_add(1), ORDER, ORDER).is_ok();
        if !free {
            return;
        }
        let Counted { from, until, counts, oldest_fresh } = *counted;
        let FeedCounts { fresh, stale, absent, thin, oldest_fresh_seconds: _ } = counts;
        self.changes.store(changes.wrapping_add(1), ORDER);
        self.from.store(from, ORDER);
        self.until.store(until, ORDER);
        self.fresh_and_stale.store(two(fresh, stale), ORDER);
        self.absent_and_thin.store(two(absent, thin), ORDER);
        self.oldest_fresh.store(oldest_fresh.map_or(NONE, |last| last.0), ORDER);
        self.sequence.store(sequence.wrapping_add(2), ORDER);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::cell::Cell;

    fn counted(n: u32) -> Counted {
        let counts = FeedCounts { fresh: n, stale: n + 1, absent: n + 2, thin: n + 3, oldest_fresh_seconds: None };
        Counted { from: 1_000, until: 5_000, counts, oldest_fresh: Some(Moment(0)) }
    }

    #[test]
    fn what_was_counted_stands_until_a_bound_or_a_change() {
        let (kept, changes, times) = (Kept::default(), AtomicU64::new(0), Cell::new(0));
        let ask = |now| {
            let count = || {
                times.set(times.get() + 1);
                counted(times.get())
            };
            let counts = kept.counts(&changes, Moment(now), count);
            (counts.fresh, counts.stale, counts.absent, counts.thin, counts.oldest_fresh_seconds)
        };
        assert_eq!(ask(1_000), (1, 2, 3, 4, Some(1)));
        assert_eq!(ask(4_999), (1, 2, 3, 4, Some(4)), "kept, and older by now");
        assert_eq!(ask(5_000).0, 2, "its end is not of it");
        assert_eq!(ask(999).0, 3, "nor what is before it");
        assert_eq!(ask(1_500).0, 3);
        changes.fetch_add(1, ORDER);
        assert_eq!(ask(1_500).0, 4);
        assert_eq!(ask(1_500).0, 4);
    }

    #[test]
    fn what_changes_while_it_is_counted_is_counted_again() {
        let (kept, changes) = (Kept::default(), AtomicU64::new(0));
        let during = || {
            changes.fetch_add(1, ORDER);
            counted(1)
        };
        assert_eq!(kept.counts(&changes, Moment(2_000), during).fresh, 1);
        assert_eq!(kept.counts(&changes, Moment(2_000), || counted(2)).fresh, 2);
    }

    #[test]
    fn what_is_just_being_kept_is_not_read_and_not_kept_over() {
        let (kept, changes) = (Kept::default(), AtomicU64::new(0));
        assert_eq!(kept.counts(&changes, Moment(2_000), || counted(1)).fresh, 1);
        kept.sequence.fetch_add(1, ORDER);
        assert_eq!(kept.counts(&changes, Moment(2_000), || counted(2)).fresh, 2, "counted, not read");
        kept.sequence.fetch_add(1, ORDER);
        assert_eq!(kept.counts(&changes, Moment(2_000), || counted(3)).fresh, 1, "left as it was");
    }

    /// Parts of two countings never come together, whoever reads while others write.
    #[test]
    fn what_is_read_was_counted_as_a_whole() {
        let (kept, changes) = (Kept::default(), AtomicU64::new(0));
        std::thread::scope(|scope| {
            for turn in 0..4_u32 {
                let (kept, changes) = (&kept, &changes);
                scope.spawn(move || {
                    for n in 0..50_000 {
                        let counts = kept.counts(changes, Moment(2_000), || counted(n * 4 + turn));
                        let FeedCounts { fresh, stale, absent, thin, oldest_fresh_seconds: _ } = counts;
                        assert_eq!((stale, absent, thin), (fresh + 1, fresh + 2, fresh + 3));
                        if n % 3 == 0 {
                            changes.fetch_add(1, ORDER);
                        }
                    }
                });
            }
        });
    }
}
