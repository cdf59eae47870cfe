//! The statuses that the process itself answers with, each with a stable reason.
//! Never carries anything of the request, and never reads like an answer about a child.

use std::collections::HashMap;
use std::time::Duration;

use http::HeaderMap;
use kith_api::client::MAY_STAND;
use tonic::{Code, Status};
use tonic_types::{ErrorDetails, ErrorInfo, StatusExt};

/// The domain of every `ErrorInfo`.
pub const DOMAIN: &str = "kith";

/// What a client is told to wait before it tries again under overload.
const OVERLOAD_RETRY: Duration = Duration::from_millis(500);

/// What a client is told to wait before it tries again while loading.
const LOADING_RETRY: Duration = Duration::from_secs(2);

/// How the transport begins to say that a request is compressed in a way that is not supported.
const COMPRESSED: &str = "Content is compressed with";

/// The header that names the encodings that would be taken.
const ACCEPTED_ENCODINGS: &str = "grpc-accept-encoding";

/// How the transport begins to say that a request is no message: it calls that INTERNAL, and it is the sender's fault.
const UNREADABLE: [&str; 3] = ["failed to decode Protobuf message", "protocol error", "Unexpected EOF decoding stream"];

/// How it begins to say that a call has ended without a message. It says so of whoever sends none and of whoever gives a call up before
/// all of its message was sent, as honest clients do when a deadline passes: so it is no fault of anybody, and is in the audit.
const WITHOUT_MESSAGE: &str = "Missing request message";

/// Reasons of refusals that no handler could put into the audit: there is none yet or none at all, or it takes no entry.
const UNAUDITED: [&str; 8] = [
    "LOADING",
    "AUDIT_UNAVAILABLE",
    "DATA_LOSS_SUSPECTED",
    "KEY_UNUSABLE",
    "PERSON_TOKENS_UNUSABLE",
    "POLICY_UNUSABLE",
    "STORE_NOT_OPENED",
    "STORE_UNAVAILABLE",
];

/// A status with an `ErrorInfo` of this reason, and a `RetryInfo` where trying again helps.
pub fn status(code: Code, reason: &str, message: &str, retry: Option<Duration>) -> Status {
    let mut details = ErrorDetails::with_error_info(reason, DOMAIN, HashMap::new());
    if retry.is_some() {
        details.set_retry_info(retry);
    }
    Status::with_error_details(code, message, details)
}

pub(crate) fn loading() -> Status {
    let message = "no answer was given: the service is loading; use the telephone procedure or ask again shortly";
    status(Code::Unavailable, "LOADING", message, Some(LOADING_RETRY))
}

pub(crate) fn not_opened(reason: &str) -> Status {
    let message = "no answer was given: the service could not open its data; use the telephone procedure";
    status(Code::Unavailable, reason, message, None)
}

pub(crate) fn overloaded() -> Status {
    let message =
        "no answer was given and nothing was changed: too many calls or changes are in progress; ask again shortly";
    status(Code::ResourceExhausted, "OVERLOADED", message, Some(OVERLOAD_RETRY))
}

pub(crate) fn deadline_exceeded() -> Status {
    let message = "no answer was given: the deadline of the call passed; use the telephone procedure or ask again";
    status(Code::DeadlineExceeded, "DEADLINE_EXCEEDED", message, None)
}

pub(crate) fn bad_timeout() -> Status {
    let message = "no answer was given: grpc-timeout must be one to eight digits and one of H, M, S, m, u, n";
    let mut details = ErrorDetails::with_error_info("BAD_GRPC_TIMEOUT", DOMAIN, HashMap::new());
    details.add_bad_request_violation("grpc-timeout", "expected one to eight digits and one of H, M, S, m, u, n");
    Status::with_error_details(Code::InvalidArgument, message, details)
}

/// Whether a handler refused with this although the refusal is in no audit.
pub(crate) fn is_unaudited(found: &Status) -> bool {
    let told = || found.get_details_error_info().is_some_and(|info| UNAUDITED.contains(&info.reason.as_str()));
    found.code() == Code::Unavailable && told()
}

/// The same, of what the last frame of a reply says; none of any other. An answer's end is not read any further.
pub(crate) fn unaudited_end(trailers: &HeaderMap) -> Option<Status> {
    trailers.get(Status::GRPC_STATUS).filter(|code| Code::from_bytes(code.as_bytes()) == Code::Unavailable)?;
    Status::from_header_map(trailers).filter(is_unaudited)
}

/// The same status, with what says to programs that what was sent may stand; as it is where it gives no reason.
pub(crate) fn may_stand(found: Status) -> Status {
    let mut details = found.get_error_details();
    let Some(ErrorInfo { reason, domain, mut metadata }) = details.error_info().cloned() else { return found };
    metadata.insert(MAY_STAND.to_owned(), "true".to_owned());
    details.set_error_info(reason, domain, metadata);
    Status::with_error_details_and_metadata(found.code(), found.message(), details, found.metadata().clone())
}

/// The same status with a stable reason, when the transport made it without one; nothing when it has one already or is
/// none of the transport's.
pub(crate) fn explained(found: &Status) -> Option<Status> {
    explained_behind(found, "nothing was asked or changed")
}

/// The same of what came behind something else, of which `before` says what became.
pub(crate) fn explained_behind(found: &Status, before: &str) -> Option<Status> {
    if !found.details().is_empty() {
        return None;
    }
    let (code, reason, message) = match found.code() {
        Code::OutOfRange => (Code::OutOfRange, "MESSAGE_TOO_LARGE", "the message is larger than allowed"),
        Code::Unimplemented if found.message().starts_with(COMPRESSED) => {
            (Code::Unimplemented, "COMPRESSION_NOT_SUPPORTED", "send the message without compression")
        }
        Code::Unimplemented => (Code::Unimplemented, "UNKNOWN_METHOD", "this service has no such method"),
        Code::Internal if UNREADABLE.iter().any(|start| found.message().starts_with(start)) => {
            (Code::InvalidArgument, "MALFORMED_MESSAGE", "the message is not one of this protocol")
        }
        Code::Internal if found.message().starts_with(WITHOUT_MESSAGE) => {
            (Code::InvalidArgument, "STREAM_ENDED", "the call ended without a message")
        }
        Code::Ok
        | Code::Cancelled
        | Code::Unknown
        | Code::InvalidArgument
        | Code::DeadlineExceeded
        | Code::NotFound
        | Code::AlreadyExists
        | Code::PermissionDenied
        | Code::ResourceExhausted
        | Code::FailedPrecondition
        | Code::Aborted
        | Code::Internal
        | Code::Unavailable
        | Code::DataLoss
        | Code::Unauthenticated => return None,
    };
    let mut explained = status(code, reason, &format!("{before}: {message}"), None);
    if let Some(taken) = found.metadata().get(ACCEPTED_ENCODINGS) {
        explained.metadata_mut().insert(ACCEPTED_ENCODINGS, taken.clone());
    }
    Some(explained)
}

/// Request headers beyond the bound.
pub(crate) fn headers_too_large() -> Status {
    let message = "nothing was asked or changed: the headers are larger than allowed";
    status(Code::ResourceExhausted, "HEADERS_TOO_LARGE", message, None)
}

/// More request headers than are allowed.
pub(crate) fn too_many_headers() -> Status {
    let message = "nothing was asked or changed: there are more headers than allowed";
    status(Code::ResourceExhausted, "TOO_MANY_HEADERS", message, None)
}

/// The certificate on an open connection has expired or been revoked, or its authority is no longer trusted: no call begins.
pub(crate) fn certificate_not_trusted() -> Status {
    let message = "nothing was asked or changed: the client certificate is no longer accepted; use the telephone procedure, and have \
                   the certificate renewed";
    status(Code::Unauthenticated, "CERTIFICATE_NOT_TRUSTED", message, None)
}

/// The same while a call goes on: a change that it began comes to its end, and nobody waits here for what became of it.
pub(crate) fn certificate_fell() -> Status {
    let message = "no answer was given: the client certificate is no longer accepted; what was acknowledged stands, and what was sent \
                   may stand: look before sending it again; use the telephone procedure, and have the certificate renewed";
    may_stand(status(Code::Unauthenticated, "CERTIFICATE_NOT_TRUSTED", message, None))
}

pub(crate) fn no_identity() -> Status {
    status(Code::Unauthenticated, "NO_IDENTITY", "the connection carries no identity", None)
}
