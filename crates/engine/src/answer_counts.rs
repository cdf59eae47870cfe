//! How many questions had which outcome since the start: counts for operations, nothing of whom they were about.

use crate::audit_entry::{Code, Disclosed};
use std::sync::atomic::{AtomicU64, Ordering};

/// Counters of one question's outcomes.
#[derive(Debug, Default)]
struct Question {
    held: AtomicU64,
    none_held: AtomicU64,
    cannot_say: AtomicU64,
    withheld: AtomicU64,
}

/// What the counters of one question say.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct OutcomeCounts {
    /// Something was held.
    pub held: u64,
    /// Nothing was held.
    pub none_held: u64,
    /// Kith could not say.
    pub cannot_say: u64,
    /// Withheld: the identity was not confirmed.
    pub withheld: u64,
}

/// Questions since the start, by outcome.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct AnswerCounts {
    /// "On a plan?"
    pub plans: OutcomeCounts,
    /// "Seen?"
    pub presentations: OutcomeCounts,
    /// Not allowed.
    pub refused: u64,
    /// Not answered, because the audit took no entry.
    pub not_audited: u64,
}

/// The counters.
#[derive(Debug, Default)]
pub(crate) struct Counters {
    plans: Question,
    presentations: Question,
    refused: AtomicU64,
    not_audited: AtomicU64,
}

impl Question {
    fn count(&self, code: Code) {
        let counter = match code {
            Code::Held(_) => &self.held,
            Code::NoneHeld => &self.none_held,
            Code::CannotSay => &self.cannot_say,
            Code::Withheld => &self.withheld,
        };
        counter.fetch_add(1, Ordering::Relaxed);
    }

    fn read(&self) -> OutcomeCounts {
        let Self { held, none_held, cannot_say, withheld } = self;
        let [held, none_held, cannot_say, withheld] =
            [held, none_held, cannot_say, withheld].map(|counter| counter.load(Ordering::Relaxed));
        OutcomeCounts { held, none_held, cannot_say, withheld }
    }
}

impl Counters {
    /// An answer left.
    pub(crate) fn answered(&self, disclosed: Disclosed) {
        self.plans.count(disclosed.plans);
        self.presentations.count(disclosed.presentations);
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
        AnswerCounts {
            plans: self.plans.read(),
            presentations: self.presentations.read(),
            refused: self.refused.load(Ordering::Relaxed),
            not_audited: self.not_audited.load(Ordering::Relaxed),
        }
    }
}
