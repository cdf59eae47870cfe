//! Reading the state into the index. Records lie under pseudonyms, which are spread evenly: each thread reads its own part of
//! them, for unsealing and decoding takes longer than the disk.

use crate::keys;
use crate::open::EngineError;
use crate::rows::{MetaRow, decode};
use kith_domain::child::ChildRecord;
use kith_domain::feed_health::FeedRecord;
use kith_domain::time::Moment;
use kith_index::Index;
use kith_store::{Store, Table};
use std::ops::ControlFlow;
use std::panic::resume_unwind;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread::{self, available_parallelism};

/// Lines of progress from the beginning to the end.
const LINES: u64 = 10;
/// Records of a part between two looks at whether to give up: a few milliseconds.
const GIVE_UP_EVERY: u64 = 4_096;
/// More threads than this would wait for the disk.
const MOST_THREADS: usize = 8;
/// Values of a key's first byte.
const FIRST_BYTES: usize = 256;

/// What the threads share.
struct Loading<'a> {
    store: &'a Store,
    index: &'a Index,
    give_up: &'a (dyn Fn() -> bool + Sync),
    read: AtomicU64,
    /// Records between two lines of progress.
    step: u64,
    given_up: AtomicBool,
}

/// Reads the state into the index.
pub(crate) fn load(
    store: &Store,
    index: &Index,
    now: Moment,
    give_up: &(dyn Fn() -> bool + Sync),
) -> Result<MetaRow, EngineError> {
    let meta = store.get(Table::Meta, keys::META)?;
    let meta: MetaRow = meta.map(|bytes| decode(&bytes)).transpose()?.unwrap_or_default();
    index.reserve(meta.children);
    let step = meta.children.div_ceil(LINES).max(1);
    let given_up = AtomicBool::new(give_up());
    let loading = Loading { store, index, give_up, read: AtomicU64::new(0), step, given_up };
    loading.all(available_parallelism().map_or(1, usize::from).min(MOST_THREADS))?;
    let Loading { read, given_up, .. } = loading;
    if given_up.into_inner() {
        return Err(EngineError::GivenUp);
    }
    each(store, Table::Feed, &[], |key, record: FeedRecord| {
        if let Some(feed) = keys::parse_feed(key) {
            index.feed(feed, record, now);
        }
        ControlFlow::Continue(())
    })?;
    index.feeds().assess(now);
    index.feeds().told(meta.told_at);
    let read = read.into_inner();
    if meta.children != read {
        return Err(EngineError::Counts { loaded: read, expected: meta.children });
    }
    tracing::info!(records = read, "loaded");
    Ok(meta)
}

impl Loading<'_> {
    /// Every record, in `parts` at once.
    fn all(&self, parts: usize) -> Result<(), EngineError> {
        let first_of = |part: usize| part * FIRST_BYTES / parts;
        thread::scope(|scope| {
            let threads: Vec<_> =
                (0..parts).map(|part| scope.spawn(move || self.part(first_of(part), first_of(part + 1)))).collect();
            let ended = threads.into_iter().map(|thread| thread.join().unwrap_or_else(|panic| resume_unwind(panic)));
            // All are waited for before the first that failed is told.
            ended.collect::<Vec<_>>().into_iter().collect()
        })
    }

    /// The records whose keys begin with a byte from `first` to before `end`.
    fn part(&self, first: usize, end: usize) -> Result<(), EngineError> {
        let from = [u8::try_from(first).unwrap_or(u8::MAX)];
        let mut own = 0_u64;
        let read = each(self.store, Table::Child, &from, |key, record: ChildRecord| {
            if key.first().is_some_and(|byte| usize::from(*byte) >= end) || self.given_up.load(Ordering::Relaxed) {
                return ControlFlow::Break(());
            }
            self.index.publish(record);
            own += 1;
            let read = self.read.fetch_add(1, Ordering::Relaxed) + 1;
            if read.is_multiple_of(self.step) {
                tracing::info!(records = read, "loading");
            }
            if own.is_multiple_of(GIVE_UP_EVERY) && (self.give_up)() {
                self.given_up.store(true, Ordering::Relaxed);
            }
            ControlFlow::Continue(())
        });
        // The others need not go on.
        read.inspect_err(|_| self.given_up.store(true, Ordering::Relaxed))
    }
}

/// Visits the rows of a table in order, from a key on.
fn each<T: serde::de::DeserializeOwned>(
    store: &Store,
    table: Table,
    from: &[u8],
    mut visit: impl FnMut(&[u8], T) -> ControlFlow<()>,
) -> Result<(), EngineError> {
    let mut fault = None;
    store.scan(table, from, &[], &mut |key, bytes| match decode::<T>(bytes) {
        Ok(row) => visit(key, row),
        Err(error) => {
            fault = Some(error);
            ControlFlow::Break(())
        }
    })?;
    fault.map_or(Ok(()), |error| Err(error.into()))
}
