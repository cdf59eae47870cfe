//! How many questions were answered since the start: counts for operations, and nothing of what was found, for whoever looks
//! at them before and after one question would know its answer.

use std::sync::atomic::{AtomicU64, Ordering};

/// Questions since the start.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct AnswerCounts {
    /// Answered, whatever the answer.
    pub answered: u64,
    /// Not allowed.
    pub refused: u64,
    /// Not answered, because the audit took no entry.
    pub not_audited: u64,
}

/// The counters.
#[derive(Debug, Default)]
pub(crate) struct Counters {
    answered: AtomicU64,
    refused: AtomicU64,
    not_audited: AtomicU64,
}

impl Counters {
    /// An answer left.
    pub(crate) fn answered(&self) {
        self.answered.fetch_add(1, Ordering::Relaxed);
    }

    /// A question was refused.
    pub(crate) fn refused(&self) {
        self.refused.fetch_add(1, Ordering::Relaxed);
    }

    /// The audit took no entry.
    pub(crate) fn not_audited(&self) {
        self.not_audited.fetch_add(1, Ordering::Relaxed);
    }

    pub(crate) fn read(&self) -> AnswerCounts {
        let Self { answered, refused, not_audited } = self;
        let [answered, refused, not_audited] =
            [answered, refused, not_audited].map(|counter| counter.load(Ordering::Relaxed));
        AnswerCounts { answered, refused, not_audited }
    }
}
