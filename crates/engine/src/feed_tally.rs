//! Counts of what feeds are refused, on their way into the log: gathered in memory, and written as one record for each
//! feed and second behind the acknowledgements, so that a sender whose rows all fail cannot fill the log. A crash loses a
//! second of counts and no more.

use crate::open::WallClock;
use crate::writer::Command;
use kith_domain::change::{Change, Feed, FeedCounted};
use kith_domain::refused::Refused;
use kith_index::Index;
use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tokio::sync::{mpsc, oneshot};

/// How often counts are written and volumes looked at.
const INTERVAL: Duration = Duration::from_secs(1);

/// What is counted and not yet in the log: at most one entry for each known feed.
#[derive(Debug, Default)]
pub(crate) struct Tally(Mutex<BTreeMap<Feed, FeedCounted>>);

impl Tally {
    fn pending(&self) -> MutexGuard<'_, BTreeMap<Feed, FeedCounted>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Refused rows or events; a feed that is not `known` is not counted.
    pub(crate) fn refused(&self, index: &Index, feed: Feed, refused: u64, matched: u64) {
        if refused > 0 && index.feeds().open_rejections(feed).is_some() {
            add(
                &mut self.pending(),
                FeedCounted { feed, seen: refused, matched, rejected: refused, taken_whole: false },
            );
        }
    }

    /// A batch was taken whole: what was refused before is not open any more. Nothing is written where nothing is open.
    pub(crate) fn taken_whole(&self, index: &Index, feed: Feed) {
        let open = index.feeds().open_rejections(feed).unwrap_or(0);
        let mut pending = self.pending();
        if open > 0 || pending.get(&feed).is_some_and(|counted| counted.rejected > 0) {
            add(&mut pending, FeedCounted { feed, seen: 0, matched: 0, rejected: 0, taken_whole: true });
        }
    }

    fn take(&self) -> Vec<FeedCounted> {
        std::mem::take(&mut *self.pending()).into_values().collect()
    }

    /// Puts back what could not be written, before what was counted since.
    fn put_back(&self, counts: Vec<FeedCounted>) {
        let mut pending = self.pending();
        let since = std::mem::take(&mut *pending);
        for counted in counts.into_iter().chain(since.into_values()) {
            add(&mut pending, counted);
        }
    }
}

/// Adds later counts to earlier ones of the same feed.
fn add(pending: &mut BTreeMap<Feed, FeedCounted>, later: FeedCounted) {
    let none = FeedCounted { feed: later.feed, seen: 0, matched: 0, rejected: 0, taken_whole: false };
    let counted = pending.entry(later.feed).or_insert(none);
    if later.taken_whole {
        (counted.rejected, counted.taken_whole) = (0, true);
    }
    counted.seen = counted.seen.saturating_add(later.seen);
    counted.matched = counted.matched.saturating_add(later.matched);
    counted.rejected = counted.rejected.saturating_add(later.rejected);
}

/// The thread that writes counts down and looks at volumes.
pub(crate) struct FeedWatch {
    tally: Arc<Tally>,
    index: Arc<Index>,
    commands: mpsc::Sender<Command>,
    stop: Arc<AtomicBool>,
    wall_clock: WallClock,
}

/// What the thread shares with the engine.
type Shared = (Arc<Tally>, Arc<Index>, mpsc::Sender<Command>, Arc<AtomicBool>);

impl FeedWatch {
    pub(crate) fn new((tally, index, commands, stop): Shared, wall_clock: WallClock) -> Self {
        Self { tally, index, commands, stop, wall_clock }
    }

    /// Runs until told to stop, by a flag and an unparking; what is counted by then is written.
    pub(crate) fn run(self) {
        let mut waiting = false;
        while !self.stop.load(Ordering::Acquire) {
            std::thread::park_timeout(INTERVAL);
            let written = self.write();
            if !written && !waiting {
                tracing::warn!("the log takes no writes now: counts of feeds wait");
            }
            waiting = !written;
            self.index.feeds().assess((self.wall_clock)());
        }
        if !self.write() {
            tracing::warn!("counts of feeds could not be written");
        }
    }

    /// Writes what is counted; false when it waits.
    fn write(&self) -> bool {
        let counts = self.tally.take();
        if counts.is_empty() {
            return true;
        }
        let (reply, verdicts) = oneshot::channel();
        let changes = counts.iter().copied().map(Change::FeedCounted).collect();
        let sent = self.commands.blocking_send(Command { at: (self.wall_clock)(), changes, reply, carried: None });
        let verdicts = match sent {
            Ok(()) => verdicts.blocking_recv().unwrap_or_else(|_| vec![Err(Refused::STORAGE)]),
            Err(_) => vec![Err(Refused::STORAGE)],
        };
        // One command is taken or refused as a whole.
        let written = verdicts.iter().all(Result::is_ok);
        if !written {
            self.tally.put_back(counts);
        }
        written
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use kith_domain::codes::LaCode;
    use kith_domain::feed::FeedBoard;
    use kith_domain::feed_health::FeedRecord;
    use kith_domain::time::Moment;

    fn feed(code: &str) -> Feed {
        Feed::Plans(LaCode::parse(code).unwrap())
    }

    fn index() -> Index {
        let known = std::iter::once((LaCode::parse("E06000001").unwrap(), 3600));
        Index::new(FeedBoard::new(known, std::iter::empty()))
    }

    #[test]
    fn counts_add_up_and_a_whole_batch_closes_the_earlier() {
        let (tally, index, feed) = (Tally::default(), index(), feed("E06000001"));
        tally.refused(&index, feed, 3, 1);
        tally.refused(&index, feed, 2, 2);
        let one = |seen, matched, rejected, taken_whole| FeedCounted { feed, seen, matched, rejected, taken_whole };
        assert_eq!(tally.take(), [one(5, 3, 5, false)]);
        tally.refused(&index, feed, 3, 1);
        tally.taken_whole(&index, feed);
        tally.refused(&index, feed, 1, 0);
        let counts = tally.take();
        assert_eq!(counts, [one(4, 1, 1, true)]);
        tally.refused(&index, feed, 1, 1);
        tally.put_back(counts);
        assert_eq!(tally.take(), [one(5, 2, 2, true)]);
    }

    #[test]
    fn nothing_is_written_where_nothing_is_open_or_known() {
        let (tally, index) = (Tally::default(), index());
        tally.taken_whole(&index, feed("E06000001"));
        tally.refused(&index, feed("E06000002"), 9, 9);
        tally.refused(&index, feed("E06000001"), 0, 0);
        assert_eq!(tally.take(), []);
        let mut record = FeedRecord::default();
        let feed_counted =
            FeedCounted { feed: feed("E06000001"), seen: 1, matched: 0, rejected: 1, taken_whole: false };
        record.counted(&feed_counted, Moment(0));
        index.feed(feed("E06000001"), record, Moment(0));
        tally.taken_whole(&index, feed("E06000001"));
        assert_eq!(tally.take().len(), 1);
    }
}
