//! Feed health: when each authority and each organisation was last heard of, and what that says about an answer.
//! Readers never wait for writers here.

use crate::change::Feed;
use crate::codes::{LaCode, OdsCode};
use crate::time::Moment;
use std::sync::atomic::{AtomicI64, Ordering};

/// State of one feed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FeedState {
    /// Heard of within its interval.
    Fresh,
    /// Not heard of within its interval.
    Stale,
    /// Never heard of.
    Absent,
}

/// Counts over feeds of one kind.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct FeedCounts {
    /// Heard of within their interval.
    pub fresh: u32,
    /// Not heard of within it.
    pub stale: u32,
    /// Never heard of.
    pub absent: u32,
    /// Age in seconds of the oldest fresh feed.
    pub oldest_fresh_seconds: Option<u64>,
}

impl FeedCounts {
    /// All feeds.
    #[must_use]
    pub fn feeds(&self) -> u32 {
        self.fresh + self.stale + self.absent
    }

    /// True when stale and absent feeds are more than `percent` of all, or when no feed is known at all: an empty list
    /// of feeds knows nothing.
    #[must_use]
    pub fn beyond(&self, percent: u32) -> bool {
        let feeds = u64::from(self.feeds());
        let doubtful = u64::from(self.stale) + u64::from(self.absent);
        feeds == 0 || doubtful * 100 > feeds * u64::from(percent)
    }
}

/// How far a moment may lie in the future before it tells of a wrong clock.
const CLOCK_AHEAD_SECONDS: i64 = 300;
/// Marks a feed that was never heard of.
const NEVER: i64 = i64::MIN;

/// One feed on the board.
#[derive(Debug)]
struct Entry<C> {
    code: C,
    interval_seconds: u64,
    last_ms: AtomicI64,
}

/// One feed as listed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FeedLine {
    /// The feed.
    pub feed: Feed,
    /// Last heard of.
    pub last: Option<Moment>,
    /// Expected interval.
    pub interval_seconds: u64,
    /// Its state.
    pub state: FeedState,
}

/// Every known feed with its last moment.
#[derive(Debug)]
pub struct FeedBoard {
    plans: Box<[Entry<LaCode>]>,
    presentations: Box<[Entry<OdsCode>]>,
}

fn entries<C: Ord>(feeds: impl Iterator<Item = (C, u64)>) -> Box<[Entry<C>]> {
    let mut list: Vec<Entry<C>> = feeds
        .map(|(code, interval_seconds)| Entry { code, interval_seconds, last_ms: AtomicI64::new(NEVER) })
        .collect();
    list.sort_by(|a, b| a.code.cmp(&b.code));
    list.into()
}

impl<C: Ord + Copy> Entry<C> {
    fn last(&self) -> Option<Moment> {
        let last = self.last_ms.load(Ordering::Acquire);
        (last != NEVER).then_some(Moment(last))
    }

    fn state(&self, now: Moment) -> FeedState {
        match self.last() {
            None => FeedState::Absent,
            // Heard of in the future: a clock was wrong, so when it was heard of is not known.
            Some(last) if last > now.plus_seconds(CLOCK_AHEAD_SECONDS) => FeedState::Stale,
            Some(last) if now.seconds_since(last) > self.interval_seconds => FeedState::Stale,
            Some(_) => FeedState::Fresh,
        }
    }
}

fn find<C: Ord>(list: &[Entry<C>], code: &C) -> Option<usize> {
    list.binary_search_by(|entry| entry.code.cmp(code)).ok()
}

fn counts<C: Ord + Copy>(list: &[Entry<C>], now: Moment) -> FeedCounts {
    let mut counts = FeedCounts::default();
    for entry in list {
        match entry.state(now) {
            FeedState::Fresh => {
                counts.fresh += 1;
                let age = entry.last().map(|last| now.seconds_since(last));
                counts.oldest_fresh_seconds = counts.oldest_fresh_seconds.max(age);
            }
            FeedState::Stale => counts.stale += 1,
            FeedState::Absent => counts.absent += 1,
        }
    }
    counts
}

impl FeedBoard {
    /// A board of known feeds with their expected intervals in seconds; none has been heard of.
    #[must_use]
    pub fn new(
        plans: impl Iterator<Item = (LaCode, u64)>,
        presentations: impl Iterator<Item = (OdsCode, u64)>,
    ) -> Self {
        Self { plans: entries(plans), presentations: entries(presentations) }
    }

    /// Notes that a feed was heard of. An unknown feed is not on the board and changes nothing.
    pub fn heard(&self, feed: Feed, at: Moment) {
        let cell = match feed {
            Feed::Plans(code) => find(&self.plans, &code).map(|i| &self.plans[i].last_ms),
            Feed::Presentations(code) => find(&self.presentations, &code).map(|i| &self.presentations[i].last_ms),
        };
        if let Some(cell) = cell {
            cell.fetch_max(at.0, Ordering::AcqRel);
        }
    }

    /// Counts of authorities' feeds.
    #[must_use]
    pub fn plan_counts(&self, now: Moment) -> FeedCounts {
        counts(&self.plans, now)
    }

    /// Counts of organisations' feeds.
    #[must_use]
    pub fn presentation_counts(&self, now: Moment) -> FeedCounts {
        counts(&self.presentations, now)
    }

    /// State of one feed; an unknown feed is absent.
    #[must_use]
    pub fn state(&self, feed: Feed, now: Moment) -> FeedState {
        let state = match feed {
            Feed::Plans(code) => find(&self.plans, &code).map(|i| self.plans[i].state(now)),
            Feed::Presentations(code) => find(&self.presentations, &code).map(|i| self.presentations[i].state(now)),
        };
        state.unwrap_or(FeedState::Absent)
    }

    /// Every feed.
    #[must_use]
    pub fn lines(&self, now: Moment) -> Vec<FeedLine> {
        fn line<C: Ord + Copy>(entry: &Entry<C>, feed: Feed, now: Moment) -> FeedLine {
            let interval_seconds = entry.interval_seconds;
            FeedLine { feed, last: entry.last(), interval_seconds, state: entry.state(now) }
        }
        let plans = self.plans.iter().map(|entry| line(entry, Feed::Plans(entry.code), now));
        let presentations = self.presentations.iter().map(|entry| line(entry, Feed::Presentations(entry.code), now));
        plans.chain(presentations).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fresh_stale_absent() {
        let a = LaCode::parse("E06000001").unwrap();
        let b = LaCode::parse("E06000002").unwrap();
        let board = FeedBoard::new([(b, 60), (a, 60)].into_iter(), std::iter::empty());
        board.heard(Feed::Plans(a), Moment(1_000));
        assert_eq!(board.state(Feed::Plans(a), Moment(61_000)), FeedState::Fresh);
        assert_eq!(board.state(Feed::Plans(a), Moment(62_000)), FeedState::Stale);
        assert_eq!(board.state(Feed::Plans(b), Moment(0)), FeedState::Absent);
        board.heard(Feed::Plans(a), Moment(500));
        assert_eq!(board.lines(Moment(0))[0].last, Some(Moment(1_000)), "an older moment changes nothing");
        let counts = board.plan_counts(Moment(31_000));
        assert_eq!((counts.fresh, counts.stale, counts.absent, counts.oldest_fresh_seconds), (1, 0, 1, Some(30)));
    }

    #[test]
    fn a_feed_heard_of_in_the_future_is_stale() {
        let a = LaCode::parse("E06000001").unwrap();
        let board = FeedBoard::new(std::iter::once((a, 3600)), std::iter::empty());
        board.heard(Feed::Plans(a), Moment(0).plus_seconds(400 * 86_400));
        assert_eq!(board.state(Feed::Plans(a), Moment(0)), FeedState::Stale);
    }

    #[test]
    fn the_bound_is_more_than_the_share() {
        let counts = |fresh, stale| FeedCounts { fresh, stale, absent: 0, oldest_fresh_seconds: None };
        assert!(!counts(9, 1).beyond(10));
        assert!(counts(8, 2).beyond(10));
        assert!(counts(0, 0).beyond(10), "no known feed knows nothing");
    }
}
