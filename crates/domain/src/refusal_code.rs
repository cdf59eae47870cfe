//! Every reason for which something is refused, in one list. The audit keeps the position in it, so a reason is added at the end
//! and never taken away; what is refused with a reason that is not listed is kept as such.

mod cause;

use serde::{Deserialize, Serialize};

/// Reasons in the order of their numbers. The first stands for one that is not listed.
const WORDS: &[&str] = &[
    "UNLISTED",
    "ADULT",
    "ADULT_AT_START",
    "ARRIVAL_BEFORE_BIRTH",
    "ARRIVAL_BEYOND_RETENTION",
    "ARRIVAL_IN_FUTURE",
    "AUDIT_UNAVAILABLE",
    "BABY_BORN_LATER",
    "BABY_TWICE",
    "BABY_UNBORN",
    "BAD_AUDIT_REFERENCE",
    "BAD_CODE",
    "BAD_DATE",
    "BAD_GRPC_TIMEOUT",
    "BAD_LOCAL_KEY",
    "BAD_PAGE_TOKEN",
    "BAD_TEXT",
    "BAD_TIMESTAMP",
    "BAD_UUID",
    "BIRTH_DATE_CONTRADICTS",
    "BIRTH_DATE_IN_FUTURE",
    "BIRTH_IN_FUTURE",
    "CELL_BEYOND_COLUMNS",
    "CELL_TOO_LONG",
    "CERTIFICATE_NOT_TRUSTED",
    "CLOCK_AHEAD",
    "COMPRESSION_NOT_SUPPORTED",
    "DATA_LOSS_SUSPECTED",
    "DEADLINE_EXCEEDED",
    "DEATH_IN_FUTURE",
    "DRAINING",
    "END_BEFORE_START",
    "END_MISSING",
    "EVENT_ID_REUSED",
    "FAULT_UNKNOWN",
    "FILE_COLUMNS",
    "FILE_HEADER",
    "FILE_IN_PROGRESS",
    "FILE_MODE",
    "FILE_NOT_STARTED",
    "FILE_NUMBER",
    "FILE_NUMBER_GAP",
    "FILE_NUMBER_OLD",
    "FILE_NUMBER_REUSED",
    "FILE_QUOTE_OPEN",
    "FILE_TOO_LARGE",
    "FILE_TOO_LONG",
    "FILE_UNFINISHED",
    "FILE_UNREADABLE",
    "FILE_VERSION",
    "FOREIGN_KEY",
    "GOES_ON_UNDER_OTHER_NUMBER",
    "HEADERS_TOO_LARGE",
    "ID_COUNT",
    "KEY_UNUSABLE",
    "LINE_BREAK",
    "LINK_CYCLE",
    "LOADING",
    "MALFORMED",
    "MALFORMED_MESSAGE",
    "MESSAGE_TOO_LARGE",
    "MISSING",
    "MOTHER_IS_SUBJECT",
    "NEEDS_NHS_NUMBER",
    "NHS_NUMBER_CHECK_DIGIT",
    "NHS_NUMBER_EQUAL_DIGITS",
    "NHS_NUMBER_LENGTH",
    "NHS_NUMBER_NOT_DIGITS",
    "NOT_A_BIRTH",
    "NOT_A_TRANSFER",
    "NOT_KEPT",
    "NOT_UNBORN",
    "NOT_UTF8",
    "NOT_YET_SIGNED",
    "NO_BABY",
    "NO_CHECKPOINT",
    "NO_DATE",
    "NO_IDENTITY",
    "NO_SUCCESSOR",
    "NO_SUCH_ENTRY",
    "NO_SUCH_NUMBER",
    "NO_SUCH_TREE",
    "NUMBER_INVALIDATED",
    "NUMBER_SUPERSEDED",
    "OLD_STYLE_NUMBER",
    "ORGANISATION_MISMATCH",
    "ORGANISATION_UNKNOWN",
    "OUTCOME_BEFORE_ARRIVAL",
    "OUTCOME_BEYOND_RETENTION",
    "OUTCOME_IN_FUTURE",
    "OVERLOADED",
    "OVERTAKEN",
    "PAGE_TOO_LARGE",
    "PERSON_NOT_NAMED",
    "PLAN_NOT_NAMED",
    "PLAN_REMOVED",
    "PLAN_TWICE",
    "PLAN_UNKNOWN",
    "PROPOSAL_CLOSED",
    "PROPOSAL_UNKNOWN",
    "PURPOSE_NOT_ALLOWED",
    "RECORD_FULL",
    "REMARK_CONTRADICTS",
    "REMARK_UNKNOWN",
    "ROLE_NOT_ALLOWED",
    "ROW_LENGTH",
    "ROW_UNREADABLE",
    "SAME_AUTHORITY",
    "SCHEDULED_NOT_ALLOWED",
    "SHIELD_BOTH",
    "SHIELD_NOT_TOLD",
    "SITE_OF_ANOTHER_ORGANISATION",
    "START_MISSING",
    "STORAGE_UNAVAILABLE",
    "STORE_NOT_OPENED",
    "STORE_UNAVAILABLE",
    "STREAM_ENDED",
    "STREAM_IDLE",
    "STREAM_TOO_LONG",
    "SUBJECT_MISMATCH",
    "TOO_MANY_BABIES",
    "TOO_MANY_LINKED",
    "TOO_MANY_MISSING",
    "TOO_MANY_PROPOSALS",
    "TOO_MUCH_AT_ONCE",
    "TREE_UNAVAILABLE",
    "UNKNOWN_ACTION",
    "UNKNOWN_AUTHORITY",
    "UNKNOWN_CARE_CONTEXT",
    "UNKNOWN_CARE_SETTING",
    "UNKNOWN_COMPLAINT",
    "UNKNOWN_METHOD",
    "UNKNOWN_ORGANISATION",
    "UNKNOWN_OUTCOME",
    "UNKNOWN_PLAN_KIND",
    "UNKNOWN_PURPOSE",
    "UNKNOWN_SITE",
    "UNSCHEDULED_NOT_ALLOWED",
    "VERSION_REUSED",
    "VERSION_ZERO",
    "WORKLIST_SIZE",
    "WRITE_QUEUE_FULL",
    "BAD_ROLE_CODE",
    "POLICY_UNUSABLE",
    "TOO_MANY_HEADERS",
    // A connection that was closed for what its peer did on it.
    "TOO_MANY_CONNECTIONS",
    "REPLY_NOT_TAKEN",
    "TOO_MANY_PINGS",
    "TOO_MANY_SETTINGS",
    "TOO_MANY_CONTROL_FRAMES",
    "NO_PLAN_HELD",
    "RANGE_EMPTY",
    "OPENING_LIMIT",
    "OPENING_UNKNOWN",
    "OPENING_REVIEWED",
    "OWN_OPENING",
    "UNKNOWN_OPENING_REASON",
    "UNKNOWN_REVIEW_OUTCOME",
    "REVIEW_NOT_ACCEPTED",
    "PERSON_TOKEN_MISSING",
    "PERSON_TOKEN_UNREADABLE",
    "PERSON_TOKEN_NOT_TRUSTED",
    "PERSON_TOKEN_EXPIRED",
    "PERSON_TOKEN_NOT_YET_VALID",
    "PERSON_TOKEN_LIFETIME",
    "PERSON_TOKEN_OTHER_PERSON",
    "PERSON_TOKEN_OTHER_ORGANISATION",
    "PERSON_TOKENS_UNUSABLE",
    "FLAG_UNKNOWN",
    "FLAG_REVIEWED",
    "OWN_FLAG",
    "LOOK_AGAIN_OUT_OF_RANGE",
    "WITHHOLDING_UNKNOWN",
    "UNKNOWN_WITHHOLDING_REASON",
    "TOO_MANY_WITHHOLDINGS",
    "AUDIT_REMOVED",
    "REFERENCE_UNKNOWN",
    "REFERENCE_SHIELDED",
    "AUDIT_DIFFERS",
    "AUDIT_BLOCKED",
    // No refusal, and never kept as one: what was changed stands, and its entry follows.
    "CHANGE_NOT_AUDITED",
    // A proof that there will never be.
    "NEVER_SIGNED",
    // What the transport refuses by itself, because it breaks the rules of HTTP/2.
    "PROTOCOL_VIOLATED",
    // No refusal, and never kept as one: it is shown in the place of any reason.
    REASON_NOT_TOLD,
];

/// Shown to whoever reads the audit in the place of why something about a shielded child was refused. Nothing is refused for it.
pub const REASON_NOT_TOLD: &str = "REASON_NOT_TOLD";

/// Why something was refused, as the audit keeps it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct RefusalCode(u16);

impl RefusalCode {
    /// The code of a stable reason.
    #[must_use]
    pub fn of(reason: &str) -> Self {
        let at = WORDS.iter().position(|word| *word == reason).unwrap_or_default();
        Self(u16::try_from(at).unwrap_or_default())
    }

    /// Its reason.
    #[must_use]
    pub fn word(self) -> &'static str {
        WORDS.get(usize::from(self.0)).copied().unwrap_or("UNLISTED")
    }

    /// Whether a reason is listed.
    #[must_use]
    pub fn is_listed(reason: &str) -> bool {
        Self::of(reason) != Self(0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    #[test]
    fn every_word_has_a_code_of_its_own() {
        for (at, word) in WORDS.iter().enumerate() {
            assert_eq!((usize::from(RefusalCode::of(word).0), RefusalCode::of(word).word()), (at, *word));
        }
        assert_eq!(WORDS.iter().collect::<BTreeSet<_>>().len(), WORDS.len());
        assert!(!RefusalCode::is_listed("CURIOSITY") && !RefusalCode::is_listed("UNLISTED"));
        assert_eq!(RefusalCode::of("CURIOSITY").word(), "UNLISTED");
    }
}
