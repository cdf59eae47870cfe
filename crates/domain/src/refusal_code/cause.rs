//! Whose doing a refusal is: Kith's own trouble, which no caller can bring about, or anything else. Every listed reason stands in
//! one of two lists, and the build stops until a new one does.

use super::{RefusalCode, WORDS};

/// Kith could not, whatever was sent and however much of it: its disks, its audit, its keys and settings, its start and its end.
const KITHS: &[&str] = &[
    "AUDIT_BLOCKED",
    "AUDIT_DIFFERS",
    "AUDIT_UNAVAILABLE",
    "CHANGE_NOT_AUDITED",
    "DATA_LOSS_SUSPECTED",
    "DRAINING",
    "KEY_UNUSABLE",
    "LOADING",
    "PERSON_TOKENS_UNUSABLE",
    "POLICY_UNUSABLE",
    "STORAGE_UNAVAILABLE",
    "STORE_NOT_OPENED",
    "STORE_UNAVAILABLE",
    "TREE_UNAVAILABLE",
];

/// Everything else: what was sent, who sent it, for what or how late, and also how much at once, for whoever wants to be refused
/// can send more (`OVERLOADED`, `WRITE_QUEUE_FULL`) or wait less (`DEADLINE_EXCEEDED`). In doubt a reason stands here.
const OTHERS: &[&str] = &[
    "UNLISTED",
    "ADULT",
    "ADULT_AT_START",
    "ARRIVAL_BEFORE_BIRTH",
    "ARRIVAL_BEYOND_RETENTION",
    "ARRIVAL_IN_FUTURE",
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
    "DEADLINE_EXCEEDED",
    "DEATH_IN_FUTURE",
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
    "LINE_BREAK",
    "LINK_CYCLE",
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
    "STREAM_ENDED",
    "STREAM_IDLE",
    "STREAM_TOO_LONG",
    "SUBJECT_MISMATCH",
    "TOO_MANY_BABIES",
    "TOO_MANY_LINKED",
    "TOO_MANY_MISSING",
    "TOO_MANY_PROPOSALS",
    "TOO_MUCH_AT_ONCE",
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
    "TOO_MANY_HEADERS",
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
    "FLAG_UNKNOWN",
    "FLAG_REVIEWED",
    "OWN_FLAG",
    "LOOK_AGAIN_OUT_OF_RANGE",
    "WITHHOLDING_UNKNOWN",
    "UNKNOWN_WITHHOLDING_REASON",
    "TOO_MANY_WITHHOLDINGS",
    "AUDIT_REMOVED",
    "NEVER_SIGNED",
    "REFERENCE_UNKNOWN",
    "REFERENCE_SHIELDED",
    "PROTOCOL_VIOLATED",
    "REASON_NOT_TOLD",
];

const _: () =
    assert!(KITHS.len() + OTHERS.len() == WORDS.len(), "say of each new reason whether it is Kith's own trouble");

impl RefusalCode {
    /// Whether Kith refused for a reason of its own that no caller can bring about. What is not listed was not.
    #[must_use]
    pub fn is_kiths_own(self) -> bool {
        KITHS.contains(&self.word())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_reason_stands_in_one_list() {
        for word in WORDS {
            let (kiths, others) = (KITHS.contains(word), OTHERS.contains(word));
            assert!(kiths != others, "{word}: Kith's {kiths}, other {others}");
            assert_eq!(RefusalCode::of(word).is_kiths_own(), kiths, "{word}");
        }
        assert!(!RefusalCode::of("CURIOSITY").is_kiths_own());
    }

    #[test]
    fn whatever_a_caller_can_bring_about_is_not_kiths_own() {
        let kiths = ["STORAGE_UNAVAILABLE", "AUDIT_UNAVAILABLE", "LOADING"];
        assert!(kiths.into_iter().all(|word| RefusalCode::of(word).is_kiths_own()));
        let provoked = [
            "MALFORMED",
            "ROLE_NOT_ALLOWED",
            "UNKNOWN_SITE",
            "OVERLOADED",
            "WRITE_QUEUE_FULL",
            "DEADLINE_EXCEEDED",
            "RECORD_FULL",
        ];
        assert!(provoked.into_iter().all(|word| RefusalCode::is_listed(word) && !RefusalCode::of(word).is_kiths_own()));
    }
}
