//! Whether the audit takes entries, judged from outside. Without an audit there is no answer, so the server must not look
//! as if it could be asked. Never decides about a single answer: that is the journal's.

use std::time::{Duration, Instant};

/// How long entries may wait without one of them reaching a disk: beyond the time at which answers fail.
const STUCK_AFTER: Duration = Duration::from_secs(1);

/// What was seen of the journal last.
#[derive(Debug, Default)]
pub(crate) struct Pulse {
    synced_through: u64,
    /// Since when entries wait and none reached a disk; none while none waits.
    waiting_since: Option<Instant>,
}

/// The journal as it is now.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Beat {
    /// Some sink takes entries.
    pub(crate) sink: bool,
    /// Entries not yet on a disk.
    pub(crate) unsynced: u64,
    /// Entries on a disk.
    pub(crate) synced_through: u64,
}

impl Pulse {
    /// Whether entries are taken and reach a disk.
    pub(crate) fn beats(&mut self, beat: Beat, now: Instant) -> bool {
        let Beat { sink, unsynced, synced_through } = beat;
        let since = match self.waiting_since {
            _ if unsynced == 0 => None,
            Some(since) if synced_through == self.synced_through => Some(since),
            Some(_) | None => Some(now),
        };
        *self = Self { synced_through, waiting_since: since };
        sink && since.is_none_or(|since| now.saturating_duration_since(since) < STUCK_AFTER)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn beat(sink: bool, unsynced: u64, synced_through: u64) -> Beat {
        Beat { sink, unsynced, synced_through }
    }

    #[test]
    fn without_a_sink_it_does_not_beat_and_with_one_again_it_does() {
        let (mut pulse, now) = (Pulse::default(), Instant::now());
        assert!(pulse.beats(beat(true, 0, 0), now));
        assert!(!pulse.beats(beat(false, 0, 0), now));
        assert!(pulse.beats(beat(true, 0, 0), now));
    }

    #[test]
    fn entries_that_never_reach_a_disk_stop_it_until_one_does() {
        let (mut pulse, began) = (Pulse::default(), Instant::now());
        assert!(pulse.beats(beat(true, 3, 7), began));
        assert!(pulse.beats(beat(true, 5, 7), began + STUCK_AFTER / 2));
        assert!(!pulse.beats(beat(true, 5, 7), began + STUCK_AFTER));
        assert!(pulse.beats(beat(true, 1, 12), began + STUCK_AFTER));
    }

    #[test]
    fn an_idle_journal_beats_for_ever() {
        let (mut pulse, began) = (Pulse::default(), Instant::now());
        assert!(pulse.beats(beat(true, 0, 7), began));
        assert!(pulse.beats(beat(true, 0, 7), began + 100 * STUCK_AFTER));
        assert!(pulse.beats(beat(true, 1, 7), began + 200 * STUCK_AFTER), "the wait began before the entry");
    }
}
