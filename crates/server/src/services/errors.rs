//! The one table from errors to statuses. Exhaustive: "unavailable" and "none held" cannot meet in a catch-all. No status
//! carries what the caller sent.

use std::collections::HashMap;
use std::time::Duration;

use kith_api::convert::fault::{Fault, Faults};
use kith_domain::opening::LIMIT_REACHED;
use kith_domain::permit::Refusal;
use kith_domain::refused::{Refused, RefusedKind};
use kith_domain::words;
use kith_engine::{AuditError, Engine, OpeningError, ReadError, Unaudited};
use tonic::{Code, Status};
use tonic_types::{ErrorDetails, StatusExt};

use crate::refusal::{self, DOMAIN, status};

/// What a client is told to wait before it tries again.
const RETRY: Duration = Duration::from_secs(1);
/// Most faults listed in one status.
const MAX_LISTED: usize = 20;

/// A malformed request: every field at fault, and the first one's reason.
pub(super) fn invalid(faults: &Faults) -> Status {
    let reason = faults.0.first().map_or("MALFORMED", |fault| fault.reason);
    let mut details = ErrorDetails::with_error_info(reason, DOMAIN, HashMap::new());
    let mut message = String::from("nothing was asked or changed:");
    for Fault { field, reason: _, words } in faults.0.iter().take(MAX_LISTED) {
        details.add_bad_request_violation(field, words);
        message.push_str(&format!(" {field}: {words};"));
    }
    Status::with_error_details(Code::InvalidArgument, message.trim_end_matches(';'), details)
}

/// A request that is not allowed, or by somebody who is not proven.
pub(super) fn refusal(refused: Refusal) -> Status {
    let (code, message) = match refused {
        Refusal::PersonNotProven(why) => {
            let message = format!("nothing was asked or changed: {why}; sign in anew, or use the telephone procedure");
            (Code::Unauthenticated, message)
        }
        Refusal::OrganisationMismatch
        | Refusal::RoleNotAllowed
        | Refusal::OrganisationUnknown
        | Refusal::ScheduledNotAllowed
        | Refusal::UnscheduledNotAllowed
        | Refusal::PurposeNotAllowed => (Code::PermissionDenied, format!("not allowed: {refused}")),
    };
    status(code, refused.reason(), &message, None)
}

/// A stream whose sender is not proven any more, or may not send any more: what came before that is not taken back.
pub(super) fn not_any_more(refused: Refusal, before: Before) -> Status {
    let stands = before.stands();
    let (code, message) = match refused {
        Refusal::PersonNotProven(_) => {
            (Code::Unauthenticated, format!("{refused}: {stands}; sign in anew and {}", before.again()))
        }
        Refusal::OrganisationMismatch
        | Refusal::RoleNotAllowed
        | Refusal::OrganisationUnknown
        | Refusal::ScheduledNotAllowed
        | Refusal::UnscheduledNotAllowed
        | Refusal::PurposeNotAllowed => (Code::PermissionDenied, format!("not allowed: {refused}; {stands}")),
    };
    status(code, refused.reason(), &message, None)
}

/// A refused change: its reason, its field where it has one, and when to try again where that helps.
pub(super) fn refused(refused: Refused) -> Status {
    let (code, retry) = match refused.kind {
        RefusedKind::Invalid => return invalid(&Faults::from(Fault::from(refused))),
        RefusedKind::EventIdReused => (Code::AlreadyExists, None),
        RefusedKind::Conflict => (Code::FailedPrecondition, None),
        RefusedKind::TooMany => (Code::ResourceExhausted, None),
        RefusedKind::Unavailable => (Code::Unavailable, Some(RETRY)),
    };
    if refused.field.is_empty() {
        return status(code, refused.reason, refused.words, retry);
    }
    let mut details = ErrorDetails::with_error_info(refused.reason, DOMAIN, HashMap::new());
    details.add_bad_request_violation(refused.field, refused.words);
    Status::with_error_details(code, refused.words, details)
}

/// The audit takes no entry, so there is no answer; the log is told.
pub(super) fn audit(engine: &Engine) -> impl Fn(AuditError) -> Status {
    move |error| {
        engine.log_unaudited(Unaudited::NoAnswer, error);
        let message = format!("no answer was given: it could not be audited. {}", words::TELEPHONE);
        status(Code::Unavailable, "AUDIT_UNAVAILABLE", &message, Some(RETRY))
    }
}

/// Something was changed, and the audit does not take the entry that tells it: it will be told, and is no refusal. The log is told.
pub(super) fn untold(engine: &Engine) -> impl Fn(AuditError) -> Status {
    move |error| {
        engine.log_unaudited(Unaudited::Stands, error);
        not_audited_yet()
    }
}

fn not_audited_yet() -> Status {
    let message = format!(
        "no answer was given, and what was sent may stand: it could not be put into the audit yet; send the same again. {}",
        words::TELEPHONE
    );
    status(Code::Unavailable, "CHANGE_NOT_AUDITED", &message, Some(RETRY))
}

/// A question that got no answer.
pub(super) fn read(engine: &Engine) -> impl Fn(ReadError) -> Status {
    move |error| match error {
        ReadError::Refused(refused) => refusal(refused),
        ReadError::Audit(error) => audit(engine)(error),
    }
}

/// A shielded record that was not opened: nothing was asked, whatever was wrong.
pub(super) fn open(engine: &Engine) -> impl Fn(OpeningError) -> Status {
    move |error| match error {
        OpeningError::Read(error) => read(engine)(error),
        OpeningError::NotOpened(LIMIT_REACHED) => {
            let message = format!("{}. {}", LIMIT_REACHED.words, words::TELEPHONE);
            status(Code::ResourceExhausted, LIMIT_REACHED.reason, &message, None)
        }
        OpeningError::NotOpened(refused) => {
            tracing::error!(reason = refused.reason, "no answer: the queue of openings takes no entry");
            let message =
                format!("no answer was given: the opening could not be put down for review. {}", words::TELEPHONE);
            status(Code::Unavailable, refused.reason, &message, Some(RETRY))
        }
    }
}

/// The state could not be read from disk.
pub(super) fn storage() -> Status {
    status(Code::Unavailable, "STORAGE_UNAVAILABLE", "the records could not be read now: ask again", Some(RETRY))
}

/// The server is stopping.
pub(super) fn draining(before: Before) -> Status {
    let message = format!("the service is stopping: {}; {}", before.stands(), before.again());
    status(Code::Unavailable, "DRAINING", &message, Some(RETRY))
}

/// What a call has changed before it ends otherwise than its sender meant.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Before {
    /// Nothing: none of it has been taken.
    Nothing,
    /// What it was told to have.
    Acknowledged,
    /// Something perhaps, of which it is told nothing before its end: so whoever sends it knows of no rest.
    Unanswered,
}

impl Before {
    /// What stands of it.
    fn stands(self) -> &'static str {
        match self {
            Self::Nothing => "nothing was asked or changed",
            Self::Acknowledged => "what was acknowledged stands",
            Self::Unanswered => "no answer was given, and what was sent may stand",
        }
    }

    /// What is to be sent once it can be taken.
    fn again(self) -> &'static str {
        match self {
            Self::Nothing => "send it again",
            Self::Acknowledged => "send the rest again",
            Self::Unanswered => "send the same again",
        }
    }
}

/// How a stream ends, for programs too, which read no words: whether what was sent may stand though its sender was told of nothing.
pub(super) fn behind(before: Before, end: Status) -> Status {
    match before {
        Before::Nothing | Before::Acknowledged => end,
        Before::Unanswered => refusal::may_stand(end),
    }
}

/// A stream that broke: a message that is too large or no message, or a client that has gone. The same again would break as well.
pub(super) fn broken_stream(found: &Status, before: Before) -> Status {
    let before = match before {
        Before::Nothing => "nothing was asked or changed",
        Before::Acknowledged => {
            "what was acknowledged stands, and what was sent behind that may stand; send that again without the message that could not \
             be taken"
        }
        Before::Unanswered => {
            "no answer was given, and what was sent may stand; send it again without the message that could not be taken"
        }
    };
    refusal::explained_behind(found, before).unwrap_or_else(|| found.clone())
}

/// The work behind a call ended without a result.
pub(super) fn ended(before: Before) -> Status {
    let message = format!("the call ended without a verdict: {}; {}", before.stands(), before.again());
    // Here, as it is also the end of what no longer knows how it ended.
    behind(before, status(Code::Unavailable, "STREAM_ENDED", &message, Some(RETRY)))
}

/// Nothing arrived on a stream for too long.
pub(super) fn idle_stream(before: Before) -> Status {
    let message = format!(
        "nothing arrived on this stream for too long: {}; open another and {}",
        before.stands(),
        before.again()
    );
    status(Code::Unavailable, "STREAM_IDLE", &message, Some(RETRY))
}

/// Another file of the same authority is under way.
pub(super) fn file_in_progress() -> Status {
    let message = "another file of this authority is being taken: send this one when that one is answered";
    status(Code::Unavailable, "FILE_IN_PROGRESS", message, Some(RETRY))
}

/// A stream carries more than one stream may.
pub(super) fn stream_too_long(before: Before) -> Status {
    let message = format!(
        "this stream has carried as many events as one stream may: {}; {}, on more than one",
        before.stands(),
        before.again()
    );
    status(Code::ResourceExhausted, "STREAM_TOO_LONG", &message, None)
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOT_ALLOWED: (Code, &str) = (Code::PermissionDenied, "ROLE_NOT_ALLOWED");

    #[test]
    fn a_conflict_and_a_reused_id_name_their_field() {
        for (refused, code) in [
            (Refused::VERSION_REUSED, Code::FailedPrecondition),
            (Refused::SUBJECT_MISMATCH, Code::FailedPrecondition),
            (Refused::EVENT_ID_REUSED, Code::AlreadyExists),
            (Refused::UNKNOWN_AUTHORITY, Code::InvalidArgument),
        ] {
            let status = super::refused(refused);
            assert_eq!(status.code(), code);
            assert_eq!(status.get_details_error_info().unwrap().reason, refused.reason);
            let violations = status.get_details_bad_request().unwrap().field_violations;
            assert_eq!(violations[0].field, refused.field, "{}", refused.reason);
        }
    }

    #[test]
    fn who_is_not_proven_is_not_authenticated_and_reads_as_nothing_asked() {
        for why in kith_domain::proof::Unproven::ALL {
            let status = super::refusal(Refusal::PersonNotProven(why));
            assert_eq!(status.code(), Code::Unauthenticated);
            assert_eq!(status.get_details_error_info().unwrap().reason, why.reason());
            assert!(status.message().starts_with("nothing was asked or changed"), "{}", status.message());
            let ended = super::not_any_more(Refusal::PersonNotProven(why), Before::Acknowledged);
            assert_eq!(ended.code(), status.code());
            assert_eq!(ended.get_details_error_info().unwrap().reason, why.reason());
            assert!(ended.message().contains("what was acknowledged stands"), "{}", ended.message());
            assert!(!ended.message().contains("nothing was"), "{}", ended.message());
        }
    }

    #[test]
    fn a_change_that_stands_without_its_entry_is_no_refusal() {
        let status = super::not_audited_yet();
        assert_eq!(status.get_details_error_info().unwrap().reason, "CHANGE_NOT_AUDITED");
        assert!(status.get_details_retry_info().is_some() && status.message().contains("may stand"));
        assert!(!refusal::is_unaudited(&status), "it is not counted among what was refused without an audit");
        assert!(refusal::is_unaudited(&super::refused(Refused::NOT_AUDITED)), "what was not changed is");
    }

    #[test]
    fn a_stream_that_broke_behind_something_is_never_told_that_nothing_was_changed() {
        let told = |before| broken_stream(&Status::out_of_range("more than 4 bytes"), before).message().to_owned();
        assert!(told(Before::Nothing).starts_with("nothing was asked or changed"), "{}", told(Before::Nothing));
        for (before, words) in
            [(Before::Acknowledged, "what was acknowledged stands"), (Before::Unanswered, "may stand")]
        {
            let told = told(before);
            assert!(told.contains(words) && !told.contains("nothing was"), "{told}");
            assert!(told.contains("without the message"), "the same again is too large again: {told}");
        }
        let gone = broken_stream(&Status::cancelled("reset"), Before::Unanswered);
        assert!(gone.code() == Code::Cancelled && gone.details().is_empty(), "nobody hears it");
    }

    /// An import acknowledges nothing before its end.
    #[test]
    fn who_was_acknowledged_nothing_is_never_told_to_send_the_rest() {
        let expired = Refusal::PersonNotProven(kith_domain::proof::Unproven::Expired);
        let all = |before| {
            [
                draining(before),
                ended(before),
                idle_stream(before),
                stream_too_long(before),
                not_any_more(expired, before),
            ]
        };
        let has = |before, stands: &str, again: &str| {
            for told in all(before) {
                let told = told.message();
                assert!(told.contains(stands) && told.contains(again), "{told}");
                assert!(
                    before == Before::Acknowledged || !(told.contains("acknowledged") || told.contains("the rest"))
                );
                assert!(before == Before::Nothing || !told.contains("nothing was"), "{told}");
            }
        };
        has(Before::Nothing, "nothing was asked or changed", "send it again");
        has(Before::Acknowledged, "what was acknowledged stands", "send the rest again");
        has(Before::Unanswered, "what was sent may stand", "send the same again");
    }

    #[test]
    fn who_may_not_send_any_more_hears_what_stands() {
        for (before, stands) in [
            (Before::Nothing, "nothing was asked or changed"),
            (Before::Acknowledged, "what was acknowledged stands"),
            (Before::Unanswered, "what was sent may stand"),
        ] {
            let told = not_any_more(Refusal::RoleNotAllowed, before);
            assert_eq!((told.code(), told.get_details_error_info().unwrap().reason.as_str()), NOT_ALLOWED);
            assert!(told.message().starts_with("not allowed: ") && told.message().contains(stands), "{told:?}");
            let may_stand = kith_api::client::Trouble::from(&behind(before, told)).may_stand;
            assert_eq!(may_stand, before == Before::Unanswered, "{before:?}");
        }
    }

    #[test]
    fn only_what_may_pass_says_when_to_try_again() {
        assert!(super::refused(Refused::STORAGE).get_details_retry_info().is_some());
        assert!(super::refused(Refused::TOO_MANY).get_details_retry_info().is_none());
    }
}
