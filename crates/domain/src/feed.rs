//! Feed health: when each authority and each organisation was last heard of, and what that says about an answer.
//! Readers never wait for writers here: an answer reads atomics alone.

use crate::change::Feed;
use crate::codes::{LaCode, OdsCode};
use crate::feed_health::{CLOCK_AHEAD_SECONDS, FeedRecord, FileSeen, Rows, later};
use crate::feed_kept::{Counted, Kept};
use crate::feed_volume::{ThinRule, VolumeLine, Window, configured_hundredths};
use crate::retention::clock_ahead;
use crate::time::Moment;
use std::sync::atomic::{AtomicBool, AtomicI64, AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

/// State of one feed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum FeedState {
    /// Heard of within its interval.
    Fresh,
    /// Not heard of within its interval.
    Stale,
    /// Never heard of.
    Absent,
    /// Heard of within its interval, and far below its usual volume.
    Thin,
}

/// Counts over feeds of one kind.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct FeedCounts {
    /// Heard of within their interval, and not far below their usual volume.
    pub fresh: u32,
    /// Not heard of within it.
    pub stale: u32,
    /// Never heard of.
    pub absent: u32,
    /// Heard of within it, and far below their usual volume.
    pub thin: u32,
    /// Age in seconds of the oldest fresh feed.
    pub oldest_fresh_seconds: Option<u64>,
}

impl FeedCounts {
    /// All feeds.
    #[must_use]
    pub fn feeds(&self) -> u32 {
        self.fresh + self.doubtful()
    }

    /// Feeds that an answer cannot rely on: stale, absent or thin.
    #[must_use]
    pub fn doubtful(&self) -> u32 {
        self.stale + self.absent + self.thin
    }

    /// True when stale, absent and thin feeds are more than `percent` of all, or when no feed is known at all: an empty
    /// list of feeds knows nothing.
    #[must_use]
    pub fn beyond(&self, percent: u32) -> bool {
        let feeds = u64::from(self.feeds());
        feeds == 0 || u64::from(self.doubtful()) * 100 > feeds * u64::from(percent)
    }
}

/// Marks a feed that was never heard of.
const NEVER: i64 = i64::MIN;

/// One feed on the board.
#[derive(Debug)]
struct Entry<C> {
    code: C,
    interval_seconds: u64,
    /// Presentations a week, where configured.
    expected_per_week: Option<u32>,
    /// What answers read.
    last_ms: AtomicI64,
    /// What answers read: thin until it is assessed again.
    thin: AtomicBool,
    /// What listings and assessments read; answers never do.
    /// Apart, so that what every answer looks at of every feed lies close together.
    record: Box<Mutex<FeedRecord>>,
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
    /// Last event taken.
    pub last_event: Option<Moment>,
    /// Last file taken.
    pub last_file: Option<FileSeen>,
    /// Rows of the last 28 days.
    pub rows: Rows,
    /// Refused since the last batch that was taken whole.
    pub open_rejections: u64,
    /// An organisation's volume of the trailing hours; none for an authority.
    pub volume: Option<VolumeLine>,
}

/// Every known feed with its health.
#[derive(Debug)]
pub struct FeedBoard {
    plans: Box<[Entry<LaCode>]>,
    presentations: Box<[Entry<OdsCode>]>,
    rule: ThinRule,
    /// The newest moment that a sender told of.
    told_ms: AtomicI64,
    /// Counted after each change of a feed: what was counted before does not stand any more.
    changes: AtomicU64,
    kept_of_plans: Kept,
    kept_of_presentations: Kept,
}

fn entries<C: Ord>(feeds: impl Iterator<Item = (C, u64)>) -> Box<[Entry<C>]> {
    let mut list: Vec<Entry<C>> = feeds
        .map(|(code, interval_seconds)| Entry {
            code,
            interval_seconds,
            expected_per_week: None,
            last_ms: AtomicI64::new(NEVER),
            thin: AtomicBool::new(false),
            record: Box::default(),
        })
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
        self.state_of(self.last(), now)
    }

    fn state_of(&self, last: Option<Moment>, now: Moment) -> FeedState {
        match last {
            None => FeedState::Absent,
            // Heard of in the future: a clock was wrong, so when it was heard of is not known.
            Some(last) if last > now.plus_seconds(CLOCK_AHEAD_SECONDS) => FeedState::Stale,
            Some(last) if now.seconds_since(last) > self.interval_seconds => FeedState::Stale,
            Some(_) if self.thin.load(Ordering::Acquire) => FeedState::Thin,
            Some(_) => FeedState::Fresh,
        }
    }

    fn record(&self) -> MutexGuard<'_, FeedRecord> {
        self.record.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn heard(&self, at: Moment) {
        // One thread publishes; readers see the moment before or after.
        self.last_ms.store(later(self.last(), at).0, Ordering::Release);
    }

    fn publish(&self, record: FeedRecord) {
        if let Some(at) = record.last_heard {
            self.heard(at);
        }
        *self.record() = record;
    }

    fn volume(&self, record: &FeedRecord, window: &Window, rule: &ThinRule) -> VolumeLine {
        let configured = self.expected_per_week.map(|per_week| configured_hundredths(per_week, rule.window_hours));
        VolumeLine {
            expected_hundredths: configured.or_else(|| record.volume.expected_hundredths(window)),
            actual: record.volume.actual(window),
        }
    }

    fn assess(&self, window: &Window, rule: &ThinRule) {
        let thin = self.volume(&self.record(), window, rule).is_thin(rule);
        self.thin.store(thin, Ordering::Release);
    }

    fn line(&self, feed: Feed, now: Moment, volume: Option<(&Window, &ThinRule)>) -> FeedLine {
        let record = self.record();
        FeedLine {
            feed,
            last: self.last(),
            interval_seconds: self.interval_seconds,
            state: self.state(now),
            last_event: record.last_event,
            last_file: record.last_file,
            rows: record.rows(now),
            open_rejections: record.open_rejections,
            volume: volume.map(|(window, rule)| self.volume(&record, window, rule)),
        }
    }
}

fn find<'a, C: Ord>(list: &'a [Entry<C>], code: &C) -> Option<&'a Entry<C>> {
    list.binary_search_by(|entry| entry.code.cmp(code)).ok().and_then(|position| list.get(position))
}

/// Counts every feed, and finds for how long that stands.
fn counted<C: Ord + Copy>(list: &[Entry<C>], now: Moment) -> Counted {
    let mut counted = Counted::nothing();
    for entry in list {
        // Read once: it may be heard of meanwhile.
        let last = entry.last();
        let counts = &mut counted.counts;
        match entry.state_of(last, now) {
            FeedState::Fresh => {
                counts.fresh += 1;
                counted.oldest_fresh = last.min(counted.oldest_fresh.or(last));
            }
            FeedState::Stale => counts.stale += 1,
            FeedState::Absent => counts.absent += 1,
            FeedState::Thin => counts.thin += 1,
        }
        let Some(last) = last else { continue };
        counted.bound(last.plus_seconds(-CLOCK_AHEAD_SECONDS).0, now);
        let interval = i64::try_from(entry.interval_seconds).unwrap_or(i64::MAX);
        counted.bound(last.plus_seconds(interval.saturating_add(1)).0, now);
    }
    counted
}

impl FeedBoard {
    /// Publishes the newest moment that a sender told of.
    pub fn told(&self, at: Moment) {
        self.told_ms.store(at.0, Ordering::Release);
    }

    /// Whether the clock runs too far ahead of what senders tell of to be believed.
    #[must_use]
    pub fn is_clock_ahead(&self, now: Moment) -> bool {
        let told = self.told_ms.load(Ordering::Acquire);
        told != NEVER && clock_ahead(now, Moment(told)).is_some()
    }

    /// A board of known feeds with their expected intervals in seconds; none has been heard of, and none is ever thin.
    #[must_use]
    pub fn new(
        plans: impl Iterator<Item = (LaCode, u64)>,
        presentations: impl Iterator<Item = (OdsCode, u64)>,
    ) -> Self {
        let rule = ThinRule { percent: 0, ..ThinRule::default() };
        Self {
            plans: entries(plans),
            presentations: entries(presentations),
            rule,
            told_ms: AtomicI64::new(NEVER),
            changes: AtomicU64::new(0),
            kept_of_plans: Kept::default(),
            kept_of_presentations: Kept::default(),
        }
    }

    /// With this rule for thin feeds, and the presentations a week that are configured for some.
    #[must_use]
    pub fn with_volumes(mut self, rule: ThinRule, expected_per_week: impl Fn(OdsCode) -> Option<u32>) -> Self {
        self.rule = rule;
        for entry in &mut self.presentations {
            entry.expected_per_week = expected_per_week(entry.code);
        }
        self
    }

    /// Notes that a feed was heard of. An unknown feed is not on the board and changes nothing.
    pub fn heard(&self, feed: Feed, at: Moment) {
        match feed {
            Feed::Plans(code) => find(&self.plans, &code).map(|entry| entry.heard(at)),
            Feed::Presentations(code) => find(&self.presentations, &code).map(|entry| entry.heard(at)),
        };
        self.changed();
    }

    /// Called after each change of a feed.
    fn changed(&self) {
        self.changes.fetch_add(1, Ordering::SeqCst);
    }

    /// Publishes what is kept of a feed, as of `now`. A feed that was thin is looked at again; one that was not can only
    /// become so by the passing of time, which is [`FeedBoard::assess`]'s.
    pub fn publish(&self, feed: Feed, record: FeedRecord, now: Moment) {
        match feed {
            Feed::Plans(code) => {
                if let Some(entry) = find(&self.plans, &code) {
                    entry.publish(record);
                }
            }
            Feed::Presentations(code) => {
                let Some(entry) = find(&self.presentations, &code) else { return };
                entry.publish(record);
                if entry.thin.load(Ordering::Acquire) {
                    entry.assess(&Window::trailing(now, self.rule.window_hours), &self.rule);
                }
            }
        }
        self.changed();
    }

    /// Looks at every organisation's volume as of `now`. Answers use what this found until it is called again.
    pub fn assess(&self, now: Moment) {
        if self.rule.percent == 0 {
            return;
        }
        let window = Window::trailing(now, self.rule.window_hours);
        self.presentations.iter().for_each(|entry| entry.assess(&window, &self.rule));
        self.changed();
    }

    /// The rule for thin feeds.
    #[must_use]
    pub fn rule(&self) -> ThinRule {
        self.rule
    }

    /// Rows and events of a feed that stand refused; `None` for an unknown feed.
    #[must_use]
    pub fn open_rejections(&self, feed: Feed) -> Option<u64> {
        match feed {
            Feed::Plans(code) => find(&self.plans, &code).map(|entry| entry.record().open_rejections),
            Feed::Presentations(code) => find(&self.presentations, &code).map(|entry| entry.record().open_rejections),
        }
    }

    /// Counts of authorities' feeds.
    #[must_use]
    pub fn plan_counts(&self, now: Moment) -> FeedCounts {
        self.kept_of_plans.counts(&self.changes, now, || counted(&self.plans, now))
    }

    /// Counts of organisations' feeds.
    #[must_use]
    pub fn presentation_counts(&self, now: Moment) -> FeedCounts {
        self.kept_of_presentations.counts(&self.changes, now, || counted(&self.presentations, now))
    }

    /// State of one feed; an unknown feed is absent.
    #[must_use]
    pub fn state(&self, feed: Feed, now: Moment) -> FeedState {
        let state = match feed {
            Feed::Plans(code) => find(&self.plans, &code).map(|entry| entry.state(now)),
            Feed::Presentations(code) => find(&self.presentations, &code).map(|entry| entry.state(now)),
        };
        state.unwrap_or(FeedState::Absent)
    }

    /// Every feed, authorities first, each kind in order of code.
    #[must_use]
    pub fn lines(&self, now: Moment) -> Vec<FeedLine> {
        let window = Window::trailing(now, self.rule.window_hours);
        let plans = self.plans.iter().map(|entry| entry.line(Feed::Plans(entry.code), now, None));
        let presentations = self.presentations.iter();
        let presentations =
            presentations.map(|entry| entry.line(Feed::Presentations(entry.code), now, Some((&window, &self.rule))));
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

    /// What is kept from one question to the next is what looking at each feed finds, at every edge, forth and back.
    #[test]
    fn counts_are_those_of_each_feed_looked_at_alone() {
        let codes: Vec<LaCode> = (0..9).map(|n| LaCode::parse(&format!("E0600000{n}")).unwrap()).collect();
        let at = Moment(1_795_000_000_000);
        for interval in [0, 1, 60, 86_400, u64::MAX] {
            let board = FeedBoard::new(codes.iter().map(|code| (*code, interval)), std::iter::empty());
            let fresh = i64::try_from(interval).unwrap_or(0) * 1000;
            let edges = [-300_001, -300_000, -1, 0, 1, fresh - 1, fresh, fresh + 999, fresh + 1000];
            for turn in 0..300 {
                let now = Moment(at.0 + edges[turn * 7 % 9] - edges[turn * 5 % 9]);
                let feed = |code: &&LaCode| board.state(Feed::Plans(**code), now);
                let of = |state| codes.iter().filter(|code| feed(code) == state).count();
                let expected = [FeedState::Fresh, FeedState::Stale, FeedState::Absent, FeedState::Thin].map(of);
                let fresh = codes.iter().filter(|code| feed(code) == FeedState::Fresh);
                let oldest = fresh.filter_map(|code| find(&board.plans, code)?.last()).min();
                let counts = board.plan_counts(now);
                let found = [counts.fresh, counts.stale, counts.absent, counts.thin].map(|count| count as usize);
                assert_eq!(found, expected, "interval {interval}, turn {turn}");
                assert_eq!(counts.oldest_fresh_seconds, oldest.map(|last| now.seconds_since(last)));
                if turn % 5 == 0 {
                    board.plans[turn % 9].thin.store(turn % 3 == 0, Ordering::Release);
                    board.heard(Feed::Plans(codes[turn % 9]), Moment(at.0 - edges[turn / 5 % 9]));
                }
            }
        }
    }

    #[test]
    fn a_feed_heard_of_in_the_future_is_stale() {
        let a = LaCode::parse("E06000001").unwrap();
        let board = FeedBoard::new(std::iter::once((a, 3600)), std::iter::empty());
        board.heard(Feed::Plans(a), Moment(0).plus_seconds(400 * 86_400));
        assert_eq!(board.state(Feed::Plans(a), Moment(0)), FeedState::Stale);
        board.heard(Feed::Plans(a), Moment(0));
        assert_eq!(board.state(Feed::Plans(a), Moment(0)), FeedState::Fresh, "heard of again, by a right clock");
    }

    #[test]
    fn the_bound_is_more_than_the_share() {
        let counts = |fresh, stale| FeedCounts { fresh, stale, absent: 0, thin: 0, oldest_fresh_seconds: None };
        assert!(!counts(9, 1).beyond(10));
        assert!(counts(8, 2).beyond(10));
        assert!(counts(0, 0).beyond(10), "no known feed knows nothing");
    }

    #[test]
    fn a_thin_feed_counts_as_a_stale_one_and_recovers_when_it_sends() {
        let trust = OdsCode::parse("R1H").unwrap();
        let feed = Feed::Presentations(trust);
        let rule = ThinRule { min_expected: 1, ..ThinRule::default() };
        let board = FeedBoard::new(std::iter::empty(), std::iter::once((trust, 7 * 86_400)));
        let board = board.with_volumes(rule, |_| Some(70));
        let now = Moment(0).plus_seconds(20_000 * 86_400 + 60);
        let mut record = FeedRecord::default();
        record.event(now, true);
        record.volume.count(now);
        board.publish(feed, record.clone(), now);
        assert_eq!(board.state(feed, now), FeedState::Fresh, "not looked at yet");
        board.assess(now);
        assert_eq!(board.state(feed, now), FeedState::Thin, "1 of 10");
        let counts = board.presentation_counts(now);
        assert_eq!((counts.thin, counts.fresh, counts.feeds(), counts.oldest_fresh_seconds), (1, 0, 1, None));
        assert!(counts.beyond(10));
        assert_eq!(
            board.state(feed, now.plus_seconds(8 * 86_400)),
            FeedState::Stale,
            "silence is said before thinness"
        );
        record.volume.count(now);
        board.publish(feed, record, now);
        assert_eq!(board.state(feed, now), FeedState::Fresh, "2 of 10");
        let line = board.lines(now)[0];
        assert_eq!(line.volume, Some(VolumeLine { expected_hundredths: Some(1_000), actual: 2 }));
    }
}
