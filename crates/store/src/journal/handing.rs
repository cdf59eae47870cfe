//! While a disk is in trouble no thread that answers writes to it: it hands its entry to the sink's own writing thread and
//! the answer waits as a task. Otherwise one thread after another would hang in the kernel with everything it serves.

use std::time::Duration;

use tokio::sync::oneshot;

use super::Shared;
use super::state::State;
use super::turn::{Returned, Turn};
use super::types::Sink;

/// How long a sink's trouble is remembered after something in it hung.
pub(crate) const CAREFUL_FOR: Duration = Duration::from_secs(10);

/// An entry with its turn, for the writing thread of the turn's sink.
pub(crate) struct Handed {
    pub(crate) turn: Turn,
    entry: Vec<u8>,
    reply: oneshot::Sender<Returned>,
}

/// What comes back to the answer.
pub(crate) struct HandedOver {
    pub(crate) turn: Turn,
    pub(crate) reply: oneshot::Receiver<Returned>,
}

impl State {
    /// Whether threads that answer must not write: answers wait for a sync anyway, or something hung a short while ago.
    pub(crate) fn is_careful(&self, now: Duration) -> bool {
        let slow = |since| now.saturating_sub(since) >= self.options.wait_after;
        now < self.careful_until || self.oldest().is_some_and(|oldest| slow(oldest.2))
    }

    /// Takes the turn back from an entry that was handed over and that its thread has not begun to write.
    pub(crate) fn take_back(&mut self, segment: u64) {
        for sink in Sink::ALL {
            let handed = self.sink_mut(sink).handed.take_if(|handed| handed.turn.segment.id == segment);
            if let Some(handed) = handed {
                self.withdraw(&handed.turn);
            }
        }
    }
}

impl Shared {
    /// Gives an entry to the writing thread of its turn's sink.
    pub(crate) fn hand_over(&self, turn: Turn, entry: &[u8]) -> HandedOver {
        let (sender, reply) = oneshot::channel();
        let sink = turn.segment.sink;
        let handed = Handed { turn: turn.clone(), entry: entry.to_vec(), reply: sender };
        let mut state = self.lock();
        if state.holds(&turn) {
            state.sink_mut(sink).handed = Some(handed);
        } else {
            // It was given up meanwhile. The sender is dropped, and the answer tries again.
            state.withdraw(&turn);
        }
        drop(state);
        self.wake_writer(sink).notify_one();
        HandedOver { turn, reply }
    }

    /// The life of a sink's writing thread.
    pub(crate) fn run_writer(&self, sink: Sink) {
        let mut state = self.lock();
        loop {
            if let Some(Handed { turn, entry, reply }) = state.sink_mut(sink).handed.take() {
                drop(state);
                let result = turn.segment.file.write_at(&entry, turn.offset);
                // Nobody may wait for it any more: an entry without an answer is kept as well.
                let _waited_for = reply.send(self.return_turn(&turn, entry.len() as u64, &result));
                self.wake_waiting();
                state = self.lock();
            } else if state.stopped {
                return;
            } else {
                state = state.wait(self.wake_writer(sink), None);
            }
        }
    }
}
