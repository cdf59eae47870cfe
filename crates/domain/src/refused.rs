//! Why a change is refused: one closed kind, a field, a stable reason and fixed words. The words are constants, so that no
//! identity can reach an error text.

use serde::{Deserialize, Serialize};

/// What the sender can do about it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum RefusedKind {
    /// The event itself is wrong: correct it.
    Invalid,
    /// The event id was used for another body.
    EventIdReused,
    /// It contradicts what is held: look at what was sent before.
    Conflict,
    /// It would go beyond a bound.
    TooMany,
    /// It could not be stored now: send the same event again later.
    Unavailable,
}

/// A refused change.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("{words}")]
pub struct Refused {
    /// What the sender can do.
    pub kind: RefusedKind,
    /// The field at fault, by its name in the protocol; empty when it is not one field's.
    pub field: &'static str,
    /// Stable, UPPER_SNAKE.
    pub reason: &'static str,
    /// For a person.
    pub words: &'static str,
}

impl Refused {
    /// A fault of one field.
    #[must_use]
    pub const fn invalid(field: &'static str, reason: &'static str, words: &'static str) -> Self {
        Self { kind: RefusedKind::Invalid, field, reason, words }
    }

    /// The event id was used for another body.
    pub const EVENT_ID_REUSED: Self = Self {
        kind: RefusedKind::EventIdReused,
        field: "event_id",
        reason: "EVENT_ID_REUSED",
        words: "this event id was used before for another event: nothing was changed; use a new id",
    };
    /// The authority is not in the directory.
    pub const UNKNOWN_AUTHORITY: Self =
        Self::invalid("authority", "UNKNOWN_AUTHORITY", "this authority is not known to this service");
    /// The version was used by another event of the same plan or encounter.
    pub const VERSION_REUSED: Self = Self {
        kind: RefusedKind::Conflict,
        field: "version",
        reason: "VERSION_REUSED",
        words: "another event has this version already: nothing was changed; use a greater version",
    };
    /// The plan reference or encounter id belongs to another person.
    pub const SUBJECT_MISMATCH: Self = Self {
        kind: RefusedKind::Conflict,
        field: "subject",
        reason: "SUBJECT_MISMATCH",
        words: "this reference was first sent for another person: withdraw that one first, or use another reference",
    };
    /// What is to be taken back under this number was taken back there before, and goes on under another number of the person.
    pub const GOES_ON: Self = Self {
        kind: RefusedKind::Conflict,
        field: "subject",
        reason: "GOES_ON_UNDER_OTHER_NUMBER",
        words: "this was taken back under this number before, and stands under another number of this person: nothing was \
                changed; to take it back, send it under that number",
    };
    /// The plan was removed after its retention, and later versions of it had been taken before that.
    pub const PLAN_REMOVED: Self = Self {
        kind: RefusedKind::Conflict,
        field: "version",
        reason: "PLAN_REMOVED",
        words: "this plan was removed at the end of its retention and the event is older than that: nothing was changed; \
                if the plan is in force, send it with a greater version",
    };
    /// The record or the plan has as many entries as are kept.
    pub const TOO_MANY: Self = Self {
        kind: RefusedKind::TooMany,
        field: "",
        reason: "RECORD_FULL",
        words: "this record holds as many entries as one record may: nothing was changed",
    };
    /// The log does not take writes now.
    pub const STORAGE: Self = Self {
        kind: RefusedKind::Unavailable,
        field: "",
        reason: "STORAGE_UNAVAILABLE",
        words: "not stored: the disk takes no writes now; send it again",
    };
    /// The audit takes no entry: what could not be told there is not done.
    pub const NOT_AUDITED: Self = Self {
        kind: RefusedKind::Unavailable,
        field: "",
        reason: "AUDIT_UNAVAILABLE",
        words: "not stored by this sending: it could not be put into the audit; what was sent before may stand; send it again",
    };
    /// The service is stopping or its queue is full.
    pub const BUSY: Self = Self {
        kind: RefusedKind::Unavailable,
        field: "",
        reason: "WRITE_QUEUE_FULL",
        words: "not stored: too much is waiting; send it again",
    };
}
