//! Whether the peer takes the replies that are ready for it. A reply whose bytes wait in the transport keeps its call in
//! progress, so that whoever reads slowly uses up its own organisation's places and nobody's memory.
//! Never looks at what a reply says.

use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::time::Duration;

use tokio::time::Instant;
use tonic::codegen::Bytes;

/// Stands for "the peer is not waited for".
const NOT_WAITING: u64 = u64::MAX;

/// Replies looked through before those that have ended are forgotten, at least.
const SWEPT_AT_LEAST: usize = 32;

/// One reply on its way.
#[derive(Debug)]
pub(crate) struct Taking {
    began: Instant,
    /// Since when the peer is waited for, in milliseconds after `began`.
    since_ms: AtomicU64,
    /// Pieces handed to the transport that the peer has not taken.
    pieces: AtomicUsize,
    /// Behind those pieces there is nothing yet.
    nothing_more: AtomicBool,
}

impl Taking {
    fn new(now: Instant) -> Self {
        Self {
            began: now,
            since_ms: AtomicU64::new(0),
            pieces: AtomicUsize::new(0),
            nothing_more: AtomicBool::new(false),
        }
    }

    fn wait_from(&self, now: Instant) {
        let since = u64::try_from(now.saturating_duration_since(self.began).as_millis()).unwrap_or(NOT_WAITING);
        self.since_ms.store(since, Ordering::Relaxed);
    }

    /// There is nothing more for the peer to take now: the handler is waited for.
    pub(crate) fn nothing_to_take(&self) {
        self.nothing_more.store(true, Ordering::Release);
        if self.pieces.load(Ordering::Acquire) == 0 {
            self.since_ms.store(NOT_WAITING, Ordering::Relaxed);
        }
    }

    /// These bytes are handed to the transport, which drops what this gives once the peer's connection has taken them.
    /// `held` is kept until then.
    pub(crate) fn hand<H: Send + 'static>(self: &Arc<Self>, bytes: Bytes, held: H) -> Bytes {
        if bytes.is_empty() {
            return bytes;
        }
        self.pieces.fetch_add(1, Ordering::AcqRel);
        self.nothing_more.store(false, Ordering::Release);
        if self.since_ms.load(Ordering::Relaxed) == NOT_WAITING {
            self.wait_from(Instant::now());
        }
        Bytes::from_owner(Handed { bytes, taking: Arc::clone(self), _held: held })
    }

    /// A piece was taken, or will never be.
    fn taken(&self, now: Instant) {
        let was_last = self.pieces.fetch_sub(1, Ordering::AcqRel) == 1;
        if was_last && self.nothing_more.load(Ordering::Acquire) {
            self.since_ms.store(NOT_WAITING, Ordering::Relaxed);
        } else {
            self.wait_from(now);
        }
    }

    /// Since when the peer is waited for.
    fn since(&self) -> Option<Instant> {
        let since = self.since_ms.load(Ordering::Relaxed);
        (since != NOT_WAITING).then(|| self.began + Duration::from_millis(since))
    }
}

/// A piece of a reply in the transport.
struct Handed<H> {
    bytes: Bytes,
    taking: Arc<Taking>,
    _held: H,
}

impl<H> AsRef<[u8]> for Handed<H> {
    fn as_ref(&self) -> &[u8] {
        &self.bytes
    }
}

impl<H> Drop for Handed<H> {
    fn drop(&mut self) {
        // The last holder needs no clock: the reply is at its end.
        if Arc::strong_count(&self.taking) > 1 {
            self.taking.taken(Instant::now());
        }
    }
}

/// The replies on one connection.
#[derive(Debug, Default)]
pub(crate) struct Takings(Mutex<Vec<Weak<Taking>>>);

impl Takings {
    /// A reply begins: the peer may take it from now on.
    pub(crate) fn begin(&self, now: Instant) -> Arc<Taking> {
        let taking = Arc::new(Taking::new(now));
        let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if all.len() >= SWEPT_AT_LEAST && all.len() == all.capacity() {
            all.retain(|one| one.strong_count() > 0);
        }
        all.push(Arc::downgrade(&taking));
        taking
    }

    /// Since when the peer has taken nothing of some reply; nothing when there is none for it.
    pub(crate) fn waiting_since(&self) -> Option<Instant> {
        let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        all.retain(|one| one.strong_count() > 0);
        all.iter().filter_map(|one| one.upgrade()?.since()).min()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn bytes() -> Bytes {
        Bytes::from_static(b"an answer")
    }

    #[tokio::test(start_paused = true)]
    async fn a_reply_that_nobody_takes_waits_from_when_it_was_ready() {
        let (takings, began) = (Takings::default(), Instant::now());
        assert_eq!(takings.waiting_since(), None);
        let first = takings.begin(Instant::now());
        tokio::time::advance(Duration::from_secs(3)).await;
        let second = takings.begin(Instant::now());
        let piece = first.hand(bytes(), ());
        assert_eq!(piece, bytes());
        assert_eq!(takings.waiting_since(), Some(began), "the oldest counts");
        drop((first, piece));
        assert_eq!(takings.waiting_since(), Some(began + Duration::from_secs(3)));
        drop(second);
        assert_eq!(takings.waiting_since(), None);
    }

    #[tokio::test(start_paused = true)]
    async fn each_piece_that_is_taken_counts_and_a_handler_that_says_nothing_is_no_stall() {
        let (takings, began) = (Takings::default(), Instant::now());
        let reply = takings.begin(Instant::now());
        reply.nothing_to_take();
        tokio::time::advance(Duration::from_secs(100)).await;
        assert_eq!(takings.waiting_since(), None, "the handler is waited for");
        let (first, second) = (reply.hand(bytes(), ()), reply.hand(bytes(), ()));
        assert_eq!(takings.waiting_since(), Some(began + Duration::from_secs(100)));
        reply.nothing_to_take();
        assert_eq!(takings.waiting_since(), Some(began + Duration::from_secs(100)), "two pieces are there to take");
        tokio::time::advance(Duration::from_secs(5)).await;
        drop(first);
        assert_eq!(takings.waiting_since(), Some(began + Duration::from_secs(105)));
        drop(second);
        assert_eq!(takings.waiting_since(), None, "a stream that has said everything waits for nobody");
        let third = reply.hand(bytes(), ());
        tokio::time::advance(Duration::from_secs(5)).await;
        drop(third);
        assert_eq!(takings.waiting_since(), Some(began + Duration::from_secs(110)), "there may be more to take");
    }

    #[tokio::test(start_paused = true)]
    async fn what_is_held_is_held_until_the_last_byte_is_taken() {
        let takings = Takings::default();
        let held = Arc::new(());
        let piece = takings.begin(Instant::now()).hand(bytes(), Arc::clone(&held));
        let part = piece.slice(2..4);
        drop(piece);
        assert_eq!(Arc::strong_count(&held), 2);
        assert!(takings.waiting_since().is_some(), "the call is over for its handler and not for its peer");
        drop(part);
        assert_eq!(Arc::strong_count(&held), 1);
        assert_eq!(takings.waiting_since(), None);
    }

    #[test]
    fn ended_replies_are_forgotten() {
        let takings = Takings::default();
        for _ in 0..100_000 {
            drop(takings.begin(Instant::now()));
        }
        assert!(takings.0.lock().unwrap().len() <= 2 * SWEPT_AT_LEAST, "they pile up");
    }
}
