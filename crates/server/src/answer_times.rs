//! How long answers take within the service, by call and by nothing else: the same whatever was found.

use std::time::Instant;

use kith_engine::Histogram;

/// From the decoded question to the answer in its final length, ready to be put on the wire. Refused questions are not in it.
#[derive(Debug, Default)]
pub(crate) struct AnswerTimes {
    pub(crate) lookup: Histogram,
    /// With the recording, or the limit of waiting for it.
    pub(crate) check_in: Histogram,
    /// Each entry of a worklist by itself.
    pub(crate) worklist_entry: Histogram,
}

/// When a question was decoded.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Decoded(Instant);

impl Decoded {
    pub(crate) fn now() -> Self {
        Self(Instant::now())
    }

    /// Counts an answer that is ready.
    pub(crate) fn answered(self, times: &Histogram) {
        times.observe(self.0.elapsed());
    }
}
