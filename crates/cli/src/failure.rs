//! Why a verb has no result, and how that is shown. Every failure says that it is no answer about a child; none shows a
//! run of digits that could be an NHS number.

use kith_api::client::{ConnectError, FieldTrouble, Trouble};
use serde_json::{Value as Json, json};
use tonic::{Code, Status};

use crate::exit::Exit;

/// Runs of this many digits are masked: shorter ones are years, ports and line numbers.
const MASKED_DIGITS: usize = 9;

/// How the reasons begin by which a person is not proven. They may do what they ask for: somebody else may not do it in their
/// name, and a new token is all that it takes.
const UNPROVEN: &str = "PERSON_TOKEN_";

/// The reason by which a certificate fell, perhaps while a call went on: what was sent then may stand, a check-in or an opening like any
/// change. Whoever asks may do so, and a new certificate is all that it takes.
const CERTIFICATE_FELL: &str = "CERTIFICATE_NOT_TRUSTED";

/// Why a verb has no result.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Failure {
    /// The exit code, which is also the kind.
    pub exit: Exit,
    /// What happened.
    pub message: String,
    /// The standard code, when the service or the transport gave one.
    pub code: Option<Code>,
    /// Stable reason, UPPER_SNAKE.
    pub reason: Option<String>,
    /// Fields at fault.
    pub fields: Vec<FieldTrouble>,
    /// Milliseconds after which the same may succeed.
    pub retry_after_ms: Option<u64>,
    /// How to do the same again, in this program's own words: shown as it is.
    pub again: Option<String>,
}

/// What a status means depends on what was sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Sent {
    /// A question, or a request for state.
    Question,
    /// A change.
    Change,
}

impl Failure {
    fn plain(exit: Exit, message: impl Into<String>) -> Self {
        let message = message.into();
        Self { exit, message, code: None, reason: None, fields: Vec::new(), retry_after_ms: None, again: None }
    }

    /// A mistake on the command line or in the profile.
    pub fn usage(message: impl Into<String>) -> Self {
        Self::plain(Exit::Usage, message)
    }

    /// A value or a file that cannot be used.
    pub fn bad_input(message: impl Into<String>) -> Self {
        Self::plain(Exit::BadInput, message)
    }

    /// A named field that cannot be used.
    pub fn bad_field(field: &str, words: impl Into<String>) -> Self {
        let fields = vec![FieldTrouble { field: field.to_owned(), words: words.into() }];
        Self { fields, ..Self::plain(Exit::BadInput, "a value cannot be used") }
    }

    /// No answer came, or one that cannot be understood.
    pub fn could_not_ask(message: impl Into<String>) -> Self {
        Self::plain(Exit::CouldNotAsk, message)
    }

    /// A status of the service or the transport.
    pub fn status(status: &Status, sent: Sent) -> Self {
        let Trouble { code, reason, may_stand, fields, retry_after, message } = Trouble::from(status);
        let retry_after_ms = retry_after.map(|after| u64::try_from(after.as_millis()).unwrap_or(u64::MAX));
        // Whoever is refused in the midst of what was sent is not told that none of it was taken.
        let exit = if may_stand { Exit::CouldNotAsk } else { exit_for(code, reason.as_deref(), sent) };
        let code = Some(code);
        Self { exit, message, code, reason, fields, retry_after_ms, again: None }
    }

    /// What happened, with the code and the reason, in one line without identities.
    pub fn line(&self) -> String {
        let words = match (self.message.as_str(), self.code) {
            (_, Some(Code::Cancelled)) if self.reason.is_none() => {
                "the connection ended before a reply: the certificate may have been refused, or the time was up"
            }
            ("", _) => "the service gave no words",
            (message, _) => message,
        };
        let marks: Vec<String> = [self.code.map(code_name), self.reason.clone()].into_iter().flatten().collect();
        let marks = if marks.is_empty() { String::new() } else { format!(" ({})", marks.join(", ")) };
        masked(&format!("{words}{marks}"))
    }

    /// For a program.
    pub fn json(&self) -> Json {
        let fields: Vec<Json> =
            self.fields.iter().map(|f| json!({"field": f.field, "words": masked(&f.words)})).collect();
        json!({
            "error": {
                "kind": self.kind(),
                "code": self.code.map(code_name),
                "reason": self.reason,
                "message": masked(&self.message),
                "fields": fields,
                "retry_after_ms": self.retry_after_ms,
                "again": self.again,
            },
            "exit_code": self.exit.code(),
        })
    }

    /// The kind in one kebab word.
    pub fn kind(&self) -> &'static str {
        match self.exit {
            Exit::Usage => "usage",
            Exit::BadInput => "bad-input",
            Exit::Refused => "refused",
            Exit::ChangeRefused => "change-refused",
            Exit::Done
            | Exit::Held
            | Exit::NoneHeld
            | Exit::CannotSay
            | Exit::NotConfirmed
            | Exit::NotRecorded
            | Exit::NotProven
            | Exit::NotWhole
            | Exit::ReferenceNotProven
            | Exit::HeldNotRecorded
            | Exit::NoneHeldNotRecorded
            | Exit::CannotSayNotRecorded
            | Exit::NotConfirmedNotRecorded
            | Exit::CouldNotAsk => "could-not-ask",
        }
    }
}

impl From<ConnectError> for Failure {
    fn from(error: ConnectError) -> Self {
        let message = format!("failed to {error}");
        match error {
            ConnectError::File { .. } | ConnectError::Address | ConnectError::Tls { .. } => Self::bad_input(message),
            ConnectError::Unreachable { .. } | ConnectError::TimedOut { .. } => Self::could_not_ask(message),
        }
    }
}

fn exit_for(code: Code, reason: Option<&str>, sent: Sent) -> Exit {
    match reason {
        Some(reason) if reason.starts_with(UNPROVEN) => Exit::CouldNotAsk,
        Some(CERTIFICATE_FELL) => Exit::CouldNotAsk,
        Some(_) | None => exit_of(code, sent),
    }
}

fn exit_of(code: Code, sent: Sent) -> Exit {
    match code {
        Code::InvalidArgument | Code::OutOfRange => Exit::BadInput,
        Code::PermissionDenied | Code::Unauthenticated => Exit::Refused,
        Code::NotFound | Code::AlreadyExists | Code::FailedPrecondition | Code::Aborted => match sent {
            Sent::Change => Exit::ChangeRefused,
            Sent::Question => Exit::CouldNotAsk,
        },
        Code::Ok
        | Code::Cancelled
        | Code::Unknown
        | Code::DeadlineExceeded
        | Code::ResourceExhausted
        | Code::Unimplemented
        | Code::Internal
        | Code::Unavailable
        | Code::DataLoss => Exit::CouldNotAsk,
    }
}

/// `DeadlineExceeded` to `DEADLINE_EXCEEDED`.
fn code_name(code: Code) -> String {
    let mut name = String::new();
    for letter in format!("{code:?}").chars() {
        if letter.is_ascii_uppercase() && !name.is_empty() {
            name.push('_');
        }
        name.push(letter.to_ascii_uppercase());
    }
    name
}

/// Masks every run of nine or more digits, with spaces or dashes of any kind between them or not, or letters that show as nothing. A UUID
/// is left alone: its longest run is masked only when it has nine digits in a row, which costs a retry nothing.
pub fn masked(text: &str) -> String {
    let letters: Vec<char> = text.chars().collect();
    let mut shown = String::with_capacity(text.len());
    let mut at = 0;
    while at < letters.len() {
        let end = run_end(&letters, at);
        let run = &letters[at..end];
        if run.iter().filter(|c| c.is_numeric()).count() >= MASKED_DIGITS {
            shown.push_str("[withheld]");
        } else {
            shown.extend(run);
        }
        at = end;
    }
    shown
}

/// End of the run of digits and separators that starts at `at`, or of the one other letter there.
fn run_end(letters: &[char], at: usize) -> usize {
    if !letters[at].is_numeric() {
        return at + 1;
    }
    let mut end = at + 1;
    let mut next = end;
    while let Some(letter) = letters.get(next) {
        next += 1;
        if letter.is_numeric() {
            end = next;
        } else if !stands_between(*letter) {
            break;
        }
    }
    end
}

/// What leaves digits on both sides of it one number for whoever reads them. Beyond ASCII there are many spaces, many dashes and much that
/// shows as nothing: only a letter parts a number there.
fn stands_between(letter: char) -> bool {
    matches!(letter, ' ' | '-') || letter.is_control() || !(letter.is_ascii() || letter.is_alphanumeric())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::samples;
    use kith_api::client::MAY_STAND;

    #[test]
    fn what_a_status_means() {
        let cases = [
            (Code::InvalidArgument, Exit::BadInput, Exit::BadInput),
            (Code::PermissionDenied, Exit::Refused, Exit::Refused),
            (Code::Unauthenticated, Exit::Refused, Exit::Refused),
            (Code::Unavailable, Exit::CouldNotAsk, Exit::CouldNotAsk),
            (Code::DeadlineExceeded, Exit::CouldNotAsk, Exit::CouldNotAsk),
            (Code::Cancelled, Exit::CouldNotAsk, Exit::CouldNotAsk),
            (Code::NotFound, Exit::CouldNotAsk, Exit::ChangeRefused),
            (Code::FailedPrecondition, Exit::CouldNotAsk, Exit::ChangeRefused),
            (Code::Ok, Exit::CouldNotAsk, Exit::CouldNotAsk),
        ];
        for (code, question, change) in cases {
            let status = Status::new(code, "words");
            assert_eq!(Failure::status(&status, Sent::Question).exit, question, "{code:?}");
            assert_eq!(Failure::status(&status, Sent::Change).exit, change, "{code:?}");
        }
    }

    #[test]
    fn who_is_not_proven_could_not_ask() {
        for sent in [Sent::Question, Sent::Change] {
            for reason in ["PERSON_TOKEN_MISSING", "PERSON_TOKEN_EXPIRED", "PERSON_TOKEN_OTHER_PERSON"] {
                assert_eq!(exit_for(Code::Unauthenticated, Some(reason), sent), Exit::CouldNotAsk, "{reason}");
            }
            assert_eq!(exit_for(Code::Unauthenticated, None, sent), Exit::Refused);
        }
    }

    #[test]
    fn a_call_during_which_a_certificate_fell_is_not_told_as_refused() {
        let exit = |sent| exit_for(Code::Unauthenticated, Some("CERTIFICATE_NOT_TRUSTED"), sent);
        assert_eq!(
            [Sent::Change, Sent::Question].map(exit),
            [Exit::CouldNotAsk; 2],
            "an opening is sent as a question"
        );
    }

    #[test]
    fn what_is_refused_behind_rows_that_may_stand_is_not_told_as_refused() {
        for code in [Code::PermissionDenied, Code::OutOfRange] {
            let exit = |more| Failure::status(&samples::status(code, "ANY", more), Sent::Change).exit;
            assert_eq!(exit(Some((MAY_STAND, "true"))), Exit::CouldNotAsk);
            assert_ne!(exit(None), Exit::CouldNotAsk, "{code:?}");
        }
    }

    #[test]
    fn nothing_like_an_nhs_number_is_shown() {
        for text in [
            "found '9990000018'",
            "found '999 000 0018'",
            "found '999-000-0018', expected",
            "x9990000018y",
            "found '999\u{200b}000\u{200b}0018'",
            "found '999\t000 \u{ad}0018'",
            "found '999\u{a0}000\u{2009}0018'",
            "found '999\u{2011}000\u{2212}0018'",
            "found '999\u{fe0f}000\u{e0020}0018'",
        ] {
            let shown = masked(text);
            assert!(shown.contains("[withheld]") && !shown.contains("0018"), "{shown}");
        }
        for text in ["line 12345, 2026-11-22 and port 8443", "1234\u{e9}56789"] {
            assert_eq!(masked(text), text);
        }
        let failure = Failure::bad_input("value 9990000018 is odd").json().to_string();
        assert!(!failure.contains("9990000018"), "{failure}");
    }

    #[test]
    fn json_says_the_kind_and_the_code() {
        let json = Failure::status(&Status::deadline_exceeded("late"), Sent::Question).json();
        assert_eq!(json["error"]["kind"], "could-not-ask");
        let cut = Failure::status(&Status::cancelled("operation was canceled"), Sent::Question);
        assert!(cut.line().ends_with("(CANCELLED)") && cut.line().contains("certificate"), "{}", cut.line());
        let bare = Failure::status(&Status::unimplemented(""), Sent::Question);
        assert_eq!(bare.line(), "the service gave no words (UNIMPLEMENTED)");
        assert_eq!(json["error"]["code"], "DEADLINE_EXCEEDED");
        assert_eq!(json["exit_code"], 20);
    }
}
