//! What the journal's threads do: make the next segment, sync the written ones, and watch the time.
//! One thread per sink, so that a hanging disk holds up its own sink only. No lock is held during a sync.

use std::io;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use super::Shared;
use super::format::Header;
use super::locked::Said;
use super::recover::segment_path;
use super::state::{Ending, OpenSegment, RETRY_AFTER, Range, Retiring, State};
use super::types::{AuditMode, Sink};

/// A sink with less room than this is full: a segment begun there would end at once.
const MIN_FREE_BYTES: u64 = 1 << 20;

/// For so long after the last thing to watch the ticker goes on: waking a thread takes longer than all the rest of an entry.
const STAYS_AWAKE: Duration = Duration::from_secs(1);

/// How long there has been nothing to watch.
#[derive(Default)]
struct Quiet(Duration);

impl Quiet {
    /// Counts a beat; whether the ticker rests after it.
    fn beat(&mut self, is_quiet: bool, interval: Duration) -> bool {
        self.0 = if is_quiet { self.0 + interval } else { Duration::ZERO };
        self.0 > STAYS_AWAKE
    }
}

/// One thing for a sink's thread to do, outside the lock.
pub(crate) enum Job {
    /// Sync the segment that takes entries.
    Sync(Arc<OpenSegment>),
    /// End a segment.
    End(Retiring),
    /// Make the sink's next segment.
    Prepare { id: u64, path: PathBuf },
}

impl State {
    /// Takes the sink's next job, if there is one, and marks what it covers.
    pub(crate) fn take_job(&mut self, sink: Sink, dir: &std::path::Path, now: Duration) -> Option<Job> {
        if self.sink(sink).busy {
            return None;
        }
        let job = self.retiring_job(sink).or_else(|| self.sync_job(sink)).or_else(|| {
            self.wants_segment(sink, now).then(|| {
                let (id, index) = (self.next_segment, self.next_index);
                self.next_segment += 1;
                self.next_index += 1;
                Job::Prepare { id, path: segment_path(dir, index) }
            })
        })?;
        self.sink_mut(sink).busy = true;
        Some(job)
    }

    fn retiring_job(&mut self, sink: Sink) -> Option<Job> {
        let retiring = self.sink_mut(sink).retiring.pop_front()?;
        self.mark_in_flight(retiring.segment.id);
        Some(Job::End(retiring))
    }

    fn sync_job(&mut self, sink: Sink) -> Option<Job> {
        let segment = self.active_segment().filter(|segment| segment.sink == sink)?.clone();
        let due = self.sink(sink).sync_due || self.closing || self.options.mode == AuditMode::Strict;
        if !due || !self.unsynced.iter().any(|range| range.segment == segment.id) {
            return None;
        }
        self.sink_mut(sink).sync_due = false;
        self.mark_in_flight(segment.id);
        Some(Job::Sync(segment))
    }

    fn mark_in_flight(&mut self, segment: u64) {
        let given_up = self.given_up.iter_mut().filter(|given| !given.unwritten).map(|given| &mut given.range);
        for range in self.unsynced.iter_mut().chain(given_up).filter(|range| range.segment == segment) {
            range.in_flight = true;
        }
    }

    /// Takes in how a sync ended.
    pub(crate) fn synced(&mut self, segment: &OpenSegment, result: &io::Result<()>, now: Duration) {
        self.sink_mut(segment.sink).busy = false;
        if let Err(error) = result {
            self.said.push(Said::SyncFailed { sink: segment.sink, error: error.to_string() });
            self.close_failed(segment, now);
            return;
        }
        let covered = |range: &Range| range.segment == segment.id && range.in_flight;
        let oldest = self.unsynced.iter().find(|range| covered(range)).map(|range| range.since);
        if let Some(since) = oldest {
            self.last_window = now.saturating_sub(since);
            self.max_window = self.max_window.max(self.last_window);
            self.windows.observe(self.last_window);
        }
        self.unsynced.retain(|range| !covered(range));
        let after_all = self.given_up.extract_if(.., |given| covered(&given.range));
        // Whoever follows the journal has passed them over.
        self.late.came(after_all.map(|given| (given.range.first, given.range.last)));
    }

    /// Takes in how the making of a segment ended.
    pub(crate) fn prepared(&mut self, sink: Sink, result: io::Result<OpenSegment>, now: Duration) {
        let state = self.sink_mut(sink);
        state.busy = false;
        match result {
            Ok(segment) => state.standby = Some(Arc::new(segment)),
            Err(error) => {
                state.retry_at = now + RETRY_AFTER;
                self.said.push(Said::NoSegment { sink, error: error.to_string() });
            }
        }
    }

    /// Whether a write or a sync is under way or still to come, for entries waited for or given up.
    pub(crate) fn is_syncing(&self) -> bool {
        let busy = |sink| self.sink(sink).busy || !self.sink(sink).retiring.is_empty();
        let writing = self.turn.is_some() || !self.lost.is_empty();
        writing || !self.unsynced.is_empty() || Sink::ALL.into_iter().any(busy)
    }

    fn wants_segment(&self, sink: Sink, now: Duration) -> bool {
        let state = self.sink(sink);
        let write_hangs = self.lost.iter().any(|lost| lost.turn.segment.sink == sink);
        state.standby.is_none() && now >= state.retry_at && !write_hangs && !self.closing
    }

    /// Whether the sink's thread would find something to do.
    fn has_work(&self, sink: Sink, now: Duration) -> bool {
        let active = self.active_segment().is_some_and(|segment| segment.sink == sink) && !self.unsynced.is_empty();
        active || !self.sink(sink).retiring.is_empty() || self.wants_segment(sink, now)
    }

    /// Whether the ticker has nothing to watch: nothing is being written, all is synced and both sinks are ready.
    pub(crate) fn is_quiet(&self) -> bool {
        self.turn.is_none()
            && self.unsynced.is_empty()
            && Sink::ALL
                .into_iter()
                .all(|sink| self.sink(sink).standby.is_some() && self.sink(sink).retiring.is_empty())
    }
}

impl Shared {
    /// The life of a sink's thread.
    pub(crate) fn run_sink(&self, sink: Sink) {
        let mut state = self.lock();
        loop {
            let now = self.clock.now();
            if let Some(job) = state.take_job(sink, self.dir(sink), now) {
                drop(state);
                self.perform(sink, job);
                state = self.lock();
            } else if state.stopped {
                return;
            } else {
                state = state.wait(self.wake(sink), None);
            }
        }
    }

    fn perform(&self, sink: Sink, job: Job) {
        match job {
            Job::Sync(segment) => {
                let result = segment.file.sync_data();
                self.ended(&segment, &result);
            }
            Job::End(Retiring { segment, ending }) => {
                let result = end_segment(&segment, ending);
                self.ended(&segment, &result);
            }
            Job::Prepare { id, path } => {
                let result = self.make_segment(id, sink, path);
                self.lock().prepared(sink, result, self.clock.now());
            }
        }
        self.wake_waiting();
        self.drained.notify_all();
    }

    fn ended(&self, segment: &OpenSegment, result: &io::Result<()>) {
        let now = self.clock.now();
        let mut state = self.lock();
        state.synced(segment, result, now);
        self.hint(&state);
    }

    /// Makes a segment that is on disk, name and header, before it takes an entry.
    pub(crate) fn make_segment(&self, id: u64, sink: Sink, path: PathBuf) -> io::Result<OpenSegment> {
        let dir = self.dir(sink);
        let space = self.disk.space(dir)?;
        if space.read_only || space.available_bytes < MIN_FREE_BYTES {
            return Err(io::Error::new(io::ErrorKind::StorageFull, "disk full or read-only"));
        }
        let header: &Header = &self.header;
        let file = self.disk.create(&path)?;
        let made =
            file.write_at(&header.encode(), 0).and_then(|()| file.sync_data()).and_then(|()| self.disk.sync_dir(dir));
        if let Err(error) = made {
            // It holds nothing; left behind it would only be told as a torn tail.
            let _gone_or_not = std::fs::remove_file(&path);
            return Err(error);
        }
        Ok(OpenSegment { id, sink, path: path.into(), file })
    }

    /// The life of the ticker: every interval it asks for syncs, gives up what hangs and wakes who waits. Where all has been quiet for
    /// a while it rests until an entry wakes it: whoever writes that one pays for it, and so nearly nobody does while questions come.
    pub(crate) fn run_ticker(&self) {
        let mut quiet = Quiet::default();
        loop {
            self.beat();
            self.wake_waiting();
            let mut state = self.lock();
            if state.stopped {
                return;
            }
            let interval = state.options.sync_interval;
            if quiet.beat(state.is_quiet(), interval) {
                state.ticker_idle = true;
                state = state.wait(&self.tick, None);
                state.ticker_idle = false;
                quiet = Quiet::default();
            } else {
                state = state.wait(&self.tick, Some(interval));
            }
            drop(state);
        }
    }

    fn beat(&self) {
        let now = self.clock.now();
        let mut state = self.lock();
        state.give_up_hung(now);
        self.hint(&state);
        for sink in Sink::ALL {
            state.sink_mut(sink).sync_due = true;
            if state.has_work(sink, now) {
                self.wake(sink).notify_one();
            }
        }
    }
}

/// Ends a segment as its writer asked.
fn end_segment(segment: &OpenSegment, ending: Ending) -> io::Result<()> {
    match ending {
        Ending::Sync => segment.file.sync_data(),
        Ending::Truncate(length) => {
            if let Err(error) = segment.file.truncate(length) {
                tracing::warn!(sink = segment.sink.name(), %error, "audit segment keeps its torn tail");
            }
            segment.file.sync_data()
        }
        Ending::Remove => {
            if let Err(error) = std::fs::remove_file(&segment.path) {
                tracing::warn!(sink = segment.sink.name(), %error, "audit segment without entries stays behind");
            }
            Ok(())
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_ticker_rests_after_more_than_a_second_of_quiet_and_not_between_entries() {
        let interval = Duration::from_millis(5);
        let mut quiet = Quiet::default();
        let beats = |quiet: &mut Quiet| (1..=1_000).find(|_| quiet.beat(true, interval));
        assert_eq!(beats(&mut quiet), Some(201));
        assert!(!quiet.beat(false, interval), "an entry, however long it was quiet before");
        assert_eq!(beats(&mut quiet), Some(201), "and then it is counted anew");
    }
}
