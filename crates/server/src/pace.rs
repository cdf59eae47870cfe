//! The pace of an organisation: so many calls of it are taken a second, over all of its connections, and some at once. A call that comes
//! faster stays where it is, and whatever its connection sends behind it in the network, until its time has come. That may be the
//! message of a call that has begun: it holds its place meanwhile, and its deadline runs.
//! Never refuses or answers anything: who has waited too long hears no answer, which is "could not ask".

use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::task::{Context, Poll};
use std::time::Duration;

use tokio::io::ReadBuf;
use tokio::time::{Instant, Sleep};
use tonic::codegen::Bytes;

use crate::config::Limits;
use crate::rounds::{A_ROUND, Place};

/// What stands first on its connection waits no longer than this for its time, however many connections wait with it.
const LONGEST: Duration = Duration::from_secs(5);

/// An organisation that is faster than its pace is named in the log so often at most.
const NAMED_EVERY: Duration = Duration::from_secs(60);

/// The pace of one organisation. Times are nanoseconds since it began.
#[derive(Debug)]
pub(crate) struct Pace {
    began: Instant,
    /// The time of one call.
    each: u64,
    /// The time of as many as may come at once.
    at_once: u64,
    /// Until when the time is taken, by the calls that have come.
    taken_until: AtomicU64,
    /// It is not named in the log before.
    unnamed_until: AtomicU64,
}

impl Pace {
    /// Of an organisation that has asked nothing yet.
    pub(crate) fn new(limits: &Limits) -> Self {
        let each = nanoseconds(Duration::from_secs(1)) / u64::from(limits.calls_per_second_per_organisation.max(1));
        let at_once = each.saturating_mul(limits.calls_at_once());
        let [taken_until, unnamed_until] = [(); 2].map(|()| AtomicU64::new(0));
        Self { began: Instant::now(), each, at_once, taken_until, unnamed_until }
    }

    /// Takes the time of so many calls, and tells how long it is until it comes.
    pub(crate) fn take(&self, calls: usize, now: Instant) -> Duration {
        let now = self.since_began(now);
        let free = now.saturating_add(self.at_once);
        let latest = free.saturating_add(nanoseconds(LONGEST));
        let time = self.each.saturating_mul(u64::try_from(calls).unwrap_or(u64::MAX));
        let taken = |until: u64| until.max(now).saturating_add(time).min(latest);
        let before = self.taken_until.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |until| Some(taken(until)));
        let (Ok(before) | Err(before)) = before;
        Duration::from_nanos(taken(before).saturating_sub(free))
    }

    /// Whether the log is to name the organisation now.
    fn is_to_be_named(&self, now: Instant) -> bool {
        let now = self.since_began(now);
        let until = now.saturating_add(nanoseconds(NAMED_EVERY));
        let named = |unnamed_until: u64| (unnamed_until <= now).then_some(until);
        self.unnamed_until.fetch_update(Ordering::Relaxed, Ordering::Relaxed, named).is_ok()
    }

    fn since_began(&self, now: Instant) -> u64 {
        nanoseconds(now.saturating_duration_since(self.began))
    }
}

/// That of an organisation with the default limits.
impl Default for Pace {
    fn default() -> Self {
        Self::new(&Limits::default())
    }
}

fn nanoseconds(time: Duration) -> u64 {
    u64::try_from(time.as_nanos()).unwrap_or(u64::MAX)
}

/// What one connection brings, at the pace of its organisation.
#[derive(Debug)]
pub(crate) struct Paced {
    pace: Arc<Pace>,
    /// Read, and not handed on: a call whose time has not come, and what was read behind it.
    kept: Kept,
    /// Runs until that time.
    pause: Option<Pin<Box<Sleep>>>,
    /// So many calls of those that are kept have their time.
    timed: usize,
}

/// Bytes of a client, which may tell of a child.
#[derive(Default)]
struct Kept(Bytes);

impl std::fmt::Debug for Kept {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} bytes", self.0.len())
    }
}

impl Paced {
    pub(crate) fn new(pace: Arc<Pace>) -> Self {
        Self { pace, kept: Kept::default(), pause: None, timed: 0 }
    }

    /// Ready when something may be handed on.
    pub(crate) fn poll(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        let Some(pause) = self.pause.as_mut() else { return Poll::Ready(()) };
        if pause.as_mut().poll(cx).is_pending() {
            return Poll::Pending;
        }
        self.pause = None;
        Poll::Ready(())
    }

    /// Puts what is kept there, as much as has room; whether there was anything. It is kept on until it is handed on.
    pub(crate) fn put(&self, buffer: &mut ReadBuf<'_>) -> bool {
        let kept = &self.kept.0;
        buffer.put_slice(kept.get(..kept.len().min(buffer.remaining())).unwrap_or_default());
        !kept.is_empty()
    }

    /// Whether nothing may be handed on for a while.
    pub(crate) fn is_paused(&self) -> bool {
        self.pause.is_some()
    }

    /// Whether the next call may be handed on; if not, nothing may until its time has come.
    pub(crate) fn may_call(&mut self, now: Instant) -> bool {
        if let Some(left) = self.timed.checked_sub(1) {
            self.timed = left;
            return true;
        }
        let wait = self.pace.take(1, now);
        if wait.is_zero() {
            return true;
        }
        self.pause = Some(Box::pin(tokio::time::sleep_until(now + wait)));
        self.timed = 1;
        false
    }

    /// So many calls are kept, the first of which may not be handed on: a round of them waits at once for its time, for whoever sends
    /// several together sends their messages behind all of them. How many wait.
    pub(crate) fn wait_together(&mut self, calls: usize, now: Instant) -> usize {
        let more = calls.min(A_ROUND).saturating_sub(self.timed);
        if let Some(pause) = self.pause.as_mut().filter(|_| more > 0) {
            pause.as_mut().reset(now + self.pace.take(more, now));
            self.timed += more;
        }
        self.timed
    }

    /// Of these bytes, which were kept before or not, so many are handed on now; the others are kept.
    pub(crate) fn handed_on(&mut self, bytes: &[u8], count: usize, were_kept: bool) {
        if were_kept {
            drop(self.kept.0.split_to(count));
        } else if let Some(rest) = bytes.get(count..).filter(|rest| !rest.is_empty()) {
            self.kept = Kept(Bytes::copy_from_slice(rest));
        }
    }

    /// Whether the log is to name the organisation, a call of which has come too fast.
    pub(crate) fn is_to_be_named(&self, now: Instant) -> bool {
        self.pace.is_to_be_named(now)
    }
}

/// When the entries of a list that came in one call are taken up, as calls of their own would be.
#[derive(Debug)]
pub(crate) struct Entries {
    pace: Arc<Pace>,
    /// None of what did not come through the limits.
    place: Place,
    /// Entries that have no time yet, and those that have theirs.
    left: usize,
    timed: usize,
}

impl Entries {
    /// So many of them.
    pub(crate) fn new(pace: Arc<Pace>, place: Place, count: usize) -> Self {
        Self { pace, place, left: count, timed: 0 }
    }

    /// Waits until the next one may be taken up. A round of them waits at once for its time: each by itself would wait as often for
    /// whatever else their organisation sends.
    pub(crate) async fn next(&mut self) {
        if self.timed == 0 {
            self.timed = self.left.min(A_ROUND);
            self.left -= self.timed;
            let wait = self.pace.take(self.timed, Instant::now());
            if !wait.is_zero() {
                tokio::time::sleep(wait).await;
            }
        }
        self.timed = self.timed.saturating_sub(1);
        self.place.taken_up().await;
    }
}

#[cfg(test)]
mod tests {
    use std::future::poll_fn;

    use super::*;

    /// A hundred calls a second, ten at once.
    fn pace() -> Arc<Pace> {
        let (calls_per_second_per_organisation, max_in_flight, max_worklist) = (100, 10, 1);
        let limits = Limits { calls_per_second_per_organisation, max_in_flight, max_worklist, ..Limits::default() };
        Arc::new(Pace::new(&limits))
    }

    const fn ms(count: u64) -> Duration {
        Duration::from_millis(count)
    }

    #[tokio::test(start_paused = true)]
    async fn some_calls_come_at_once_and_more_at_the_pace() {
        let (pace, began) = (pace(), Instant::now());
        assert_eq!(pace.take(10, began), Duration::ZERO, "at once");
        assert_eq!(pace.take(1, began), ms(10));
        assert_eq!(pace.take(4, began), ms(50), "behind what waits already");
        assert_eq!(pace.take(1, began + ms(50)), ms(10), "that has had its time");
        assert_eq!(
            pace.take(10, began + ms(1_000)),
            Duration::ZERO,
            "time that nobody took is kept for ten and no more"
        );
        assert_eq!(pace.take(1, began + ms(1_000)), ms(10));
    }

    #[tokio::test(start_paused = true)]
    async fn nobody_waits_for_longer_than_five_seconds() {
        let (pace, began) = (pace(), Instant::now());
        assert_eq!(pace.take(usize::MAX, began), LONGEST);
        assert_eq!(pace.take(usize::MAX, began), LONGEST);
        assert_eq!(pace.take(1, began + LONGEST), ms(10), "and then it goes on at the pace");
    }

    #[tokio::test(start_paused = true)]
    async fn entries_are_taken_up_at_the_pace_of_calls() {
        let (mut entries, began) = (Entries::new(pace(), Place::new(None), 110), Instant::now());
        for _ in 0..110 {
            entries.next().await;
        }
        let waited = began.elapsed();
        assert!(waited >= ms(1_000) && waited < ms(1_200), "{waited:?}");
    }

    async fn may_go_on(paced: &mut Paced) -> bool {
        poll_fn(|cx| Poll::Ready(paced.poll(cx).is_ready())).await
    }

    #[tokio::test(start_paused = true)]
    async fn connections_of_one_organisation_share_its_pace_and_each_call_waits_once() {
        let pace = pace();
        let (mut one, mut other) = (Paced::new(Arc::clone(&pace)), Paced::new(pace));
        let now = Instant::now();
        assert!((0..10).all(|_| one.may_call(now)));
        assert!(!other.may_call(now), "of a connection that has brought nothing yet");
        assert!(!one.may_call(now));
        tokio::time::advance(ms(11)).await;
        assert!(may_go_on(&mut other).await && !may_go_on(&mut one).await);
        assert!(other.may_call(Instant::now()), "it has waited");
        assert!(!other.may_call(Instant::now()), "and the next one has not");
        tokio::time::advance(ms(1_000)).await;
        assert!(may_go_on(&mut one).await && one.may_call(Instant::now()));
        assert!(one.may_call(Instant::now()), "it keeps its pace again");
    }

    #[tokio::test(start_paused = true)]
    async fn calls_that_were_sent_together_wait_together_as_long_as_each_for_itself() {
        let mut paced = Paced::new(pace());
        let now = Instant::now();
        assert!((0..10).all(|_| paced.may_call(now)));
        assert!(!paced.may_call(now) && paced.wait_together(3, now) == 3);
        tokio::time::advance(ms(29)).await;
        assert!(!may_go_on(&mut paced).await && paced.is_paused());
        tokio::time::advance(ms(2)).await;
        assert!(may_go_on(&mut paced).await && !paced.is_paused());
        let now = Instant::now();
        assert!((0..3).all(|_| paced.may_call(now)) && !paced.may_call(now));
        assert_eq!(paced.wait_together(10 * A_ROUND, now), A_ROUND, "and the others later");
    }

    #[tokio::test(start_paused = true)]
    async fn the_log_names_an_organisation_once_a_minute() {
        let (pace, began) = (pace(), Instant::now());
        let named: Vec<u64> = (0..130).filter(|second| pace.is_to_be_named(began + ms(1_000 * second))).collect();
        assert_eq!(named, [0, 60, 120]);
    }

    #[test]
    fn what_is_kept_is_handed_on_once_and_in_order() {
        let (mut paced, mut room) = (Paced::new(Arc::default()), [0; 4]);
        paced.handed_on(b"abcdefgh", 2, false);
        let mut came = Vec::new();
        for count in [0, 1, 4, 1] {
            let mut buffer = ReadBuf::new(&mut room);
            assert!(paced.put(&mut buffer));
            came.extend_from_slice(&buffer.filled()[..count]);
            paced.handed_on(buffer.filled(), count, true);
        }
        assert_eq!(came, b"cdefgh");
        assert!(!paced.put(&mut ReadBuf::new(&mut room)));
        paced.handed_on(b"ij", 2, false);
        assert!(!paced.put(&mut ReadBuf::new(&mut room)), "all of it was handed on");
        assert!(!format!("{paced:?}").contains("abc"));
    }
}
