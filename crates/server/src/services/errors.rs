//! The one table from errors to statuses. Exhaustive: "unavailable" and "none held" cannot meet in a catch-all. No status
//! carries what the caller sent.

use std::collections::HashMap;
use std::time::Duration;

use kith_api::convert::fault::{Fault, Faults};
use kith_domain::permit::Refusal;
use kith_domain::refused::{Refused, RefusedKind};
use kith_domain::words;
use kith_engine::{AuditError, ReadError};
use tonic::{Code, Status};
use tonic_types::{ErrorDetails, StatusExt};

use crate::refusal::{DOMAIN, status};

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

/// A request that is not allowed.
pub(super) fn refusal(refused: Refusal) -> Status {
    let reason = match refused {
        Refusal::OrganisationMismatch => "ORGANISATION_MISMATCH",
        Refusal::RoleNotAllowed => "ROLE_NOT_ALLOWED",
        Refusal::ScheduledNotAllowed => "SCHEDULED_NOT_ALLOWED",
    };
    status(Code::PermissionDenied, reason, &format!("not allowed: {refused}"), None)
}

/// A refused change.
pub(super) fn refused(refused: Refused) -> Status {
    match refused.kind {
        RefusedKind::Invalid => invalid(&Faults(vec![refused.into()])),
        RefusedKind::EventIdReused => status(Code::AlreadyExists, refused.reason, refused.words, None),
        RefusedKind::Conflict => status(Code::FailedPrecondition, refused.reason, refused.words, None),
        RefusedKind::TooMany => status(Code::ResourceExhausted, refused.reason, refused.words, None),
        RefusedKind::Unavailable => status(Code::Unavailable, refused.reason, refused.words, Some(RETRY)),
    }
}

/// The audit takes no entry, so there is no answer.
pub(super) fn audit(error: AuditError) -> Status {
    tracing::error!(%error, "no answer: the audit takes no entry");
    let message = format!("no answer was given: it could not be audited. {}", words::TELEPHONE);
    status(Code::Unavailable, "AUDIT_UNAVAILABLE", &message, Some(RETRY))
}

/// A question that got no answer.
pub(super) fn read(error: ReadError) -> Status {
    match error {
        ReadError::Refused(refused) => refusal(refused),
        ReadError::Audit(error) => audit(error),
    }
}

/// The state could not be read from disk.
pub(super) fn storage() -> Status {
    status(Code::Unavailable, "STORAGE_UNAVAILABLE", "the records could not be read now: ask again", Some(RETRY))
}

/// The server is stopping.
pub(super) fn draining() -> Status {
    let message = "the service is stopping: what was acknowledged stands; send the rest again";
    status(Code::Unavailable, "DRAINING", message, Some(RETRY))
}

/// A stream carries more than one stream may.
pub(super) fn stream_too_long() -> Status {
    let message = "this stream has carried as many events as one stream may: open another for the rest";
    status(Code::ResourceExhausted, "STREAM_TOO_LONG", message, None)
}
