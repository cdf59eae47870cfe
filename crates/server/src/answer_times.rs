//! How long answers take within the service, by call and by nothing else: the same whatever was found.

use std::cell::Cell;
use std::sync::Arc;
use std::time::Instant;

use kith_engine::Histogram;

/// From the decoded question to the encoded answer. Refused questions are not in it.
#[derive(Debug, Default)]
pub(crate) struct AnswerTimes {
    pub(crate) lookup: Histogram,
    /// With the recording, or the limit of waiting for it.
    pub(crate) check_in: Histogram,
    /// Each entry of a worklist by itself, until it is handed to the stream: a slow reader's waiting is not the service's.
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

    /// Counts an answer once it is encoded. The last thing that a handler does before it gives its response.
    pub(crate) fn until_encoded(self, times: &Arc<AnswerTimes>, of: fn(&AnswerTimes) -> &Histogram) {
        GIVEN.set(Some(UntilEncoded { decoded: self, times: Arc::clone(times), of }));
    }
}

thread_local! {
    /// Of the response that a handler of this thread has just given: whoever wraps the handler takes it in the same poll. Among
    /// the response's extensions it would need memory three times.
    static GIVEN: Cell<Option<UntilEncoded>> = const { Cell::new(None) };
}

/// Goes with a response to whoever takes its bytes out of it, which is when they are encoded.
pub(crate) struct UntilEncoded {
    decoded: Decoded,
    times: Arc<AnswerTimes>,
    of: fn(&AnswerTimes) -> &Histogram,
}

impl UntilEncoded {
    /// Of the response that was given in this poll; none of a call that is not timed.
    pub(crate) fn of_this_response() -> Option<Self> {
        GIVEN.take()
    }

    pub(crate) fn encoded(self) {
        self.decoded.answered((self.of)(&self.times));
    }
}
