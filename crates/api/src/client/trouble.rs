//! What an error status says, with its `google.rpc` details taken apart. It never decides what the error means for an
//! answer: that is the caller's, by [`Trouble::code`].

use std::time::Duration;

use tonic::{Code, Status};
use tonic_types::StatusExt;

/// The domain of reasons that this service gives; another domain's reason is not ours to interpret.
const REASON_DOMAIN: &str = "kith";

/// Stands in the metadata of an `ErrorInfo` where what was sent may stand though nothing of it was acknowledged: rows of an import that
/// ended before its verdict, or whatever a call had begun when its certificate fell. That it is not there says nothing of a call of which
/// the code leaves open what became of it, such as one whose deadline passed.
pub const MAY_STAND: &str = "may_stand";

/// An error status of the service or of the transport.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Trouble {
    /// The standard code.
    pub code: Code,
    /// Stable reason, UPPER_SNAKE, when the service gave one.
    pub reason: Option<String>,
    /// Whether the service says that what was sent may stand. Where it does not say so, code and reason tell.
    pub may_stand: bool,
    /// The fields at fault.
    pub fields: Vec<FieldTrouble>,
    /// How long to wait before the same request may succeed.
    pub retry_after: Option<Duration>,
    /// The status message, with its causes when the transport gave it. Never an identity.
    pub message: String,
}

/// One field at fault, and why.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FieldTrouble {
    /// Path of the field in the request, for example `caller.user_id`.
    pub field: String,
    /// Words for the person.
    pub words: String,
}

impl From<&Status> for Trouble {
    fn from(status: &Status) -> Self {
        let details = status.get_error_details();
        let info = details.error_info().filter(|info| info.domain == REASON_DOMAIN);
        let fields = details.bad_request().map(|bad| bad.field_violations.as_slice()).unwrap_or_default();
        Self {
            code: status.code(),
            reason: info.map(|info| info.reason.clone()),
            may_stand: info.is_some_and(|info| info.metadata.contains_key(MAY_STAND)),
            fields: fields
                .iter()
                .map(|violation| FieldTrouble { field: violation.field.clone(), words: violation.description.clone() })
                .collect(),
            retry_after: details.retry_info().and_then(|info| info.retry_delay),
            message: match std::error::Error::source(status) {
                Some(cause) => format!("{}: {}", status.message(), super::causes(cause)),
                None => status.message().to_owned(),
            },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tonic_types::ErrorDetails;

    #[test]
    fn details_are_taken_apart() {
        let mut details = ErrorDetails::new();
        details.set_error_info("LOADING", "kith", std::collections::HashMap::<String, String>::new());
        details.set_retry_info(Some(Duration::from_secs(3)));
        details.add_bad_request_violation("subject.nhs_number", "expected 10 digits");
        let status = Status::with_error_details(Code::Unavailable, "loading", details);
        let trouble = Trouble::from(&status);
        assert_eq!(trouble.code, Code::Unavailable);
        assert_eq!(trouble.reason.as_deref(), Some("LOADING"));
        assert_eq!(trouble.retry_after, Some(Duration::from_secs(3)));
        assert_eq!((trouble.message.as_str(), trouble.may_stand), ("loading", false));
        let expected = FieldTrouble { field: "subject.nhs_number".into(), words: "expected 10 digits".into() };
        assert_eq!(trouble.fields, [expected]);
    }

    #[test]
    fn what_may_stand_is_read_from_this_service_alone() {
        let told = |domain: &str| {
            let more = std::collections::HashMap::from([(MAY_STAND.to_owned(), "true".to_owned())]);
            let details = ErrorDetails::with_error_info("ROLE_NOT_ALLOWED", domain, more);
            Trouble::from(&Status::with_error_details(Code::PermissionDenied, "not allowed", details)).may_stand
        };
        assert!(told("kith") && !told("proxy"));
    }

    #[test]
    fn a_reason_of_another_domain_and_a_bare_status_give_none() {
        let details =
            ErrorDetails::with_error_info("LOADING", "proxy", std::collections::HashMap::<String, String>::new());
        let status = Status::with_error_details(Code::Unavailable, "elsewhere", details);
        assert_eq!(Trouble::from(&status).reason, None);
        let bare = Trouble::from(&Status::unavailable("connection refused"));
        assert_eq!((bare.reason, bare.fields.len(), bare.retry_after), (None, 0, None));
    }
}
