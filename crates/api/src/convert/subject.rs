//! Whom a request is about.

use super::fault::{At, Faults};
use crate::v1;
use kith_domain::NhsNumber;
use kith_domain::child::Subject;
use kith_domain::codes::OdsCode;
use kith_domain::nhs_number::NhsNumberError;
use kith_domain::text::LocalKey;
use std::fmt::Display;

/// Stable reason of a fault of an NHS number.
fn reason(error: NhsNumberError) -> &'static str {
    match error {
        NhsNumberError::NotDigits => "NHS_NUMBER_NOT_DIGITS",
        NhsNumberError::Length { .. } => "NHS_NUMBER_LENGTH",
        NhsNumberError::EqualDigits => "NHS_NUMBER_EQUAL_DIGITS",
        NhsNumberError::CheckDigit => "NHS_NUMBER_CHECK_DIGIT",
    }
}

/// An NHS number.
pub(super) fn number(faults: &mut Faults, field: impl Display, text: &str) -> Option<NhsNumber> {
    match NhsNumber::parse(text) {
        Ok(number) => Some(number),
        Err(error) => {
            faults.add(field, reason(error), error);
            None
        }
    }
}

/// A subject; a local key is the calling organisation's own.
pub(super) fn parse(
    faults: &mut Faults,
    field: impl Display + Copy,
    subject: Option<v1::Subject>,
    organisation: OdsCode,
) -> Option<Subject> {
    let v1::Subject { subject } = faults.need(field, subject)?;
    match faults.need(field, subject)? {
        v1::subject::Subject::NhsNumber(text) => number(faults, At(field, "nhs_number"), &text).map(Subject::Nhs),
        v1::subject::Subject::LocalKey(text) => {
            let key = faults.take(At(field, "local_key"), "BAD_LOCAL_KEY", LocalKey::parse(&text))?;
            Some(Subject::Local(organisation, key))
        }
    }
}

/// A subject on the wire.
#[must_use]
pub fn wire(subject: &Subject) -> v1::Subject {
    let subject = match subject {
        Subject::Nhs(number) => v1::subject::Subject::NhsNumber(number.digits()),
        Subject::Local(_, key) => v1::subject::Subject::LocalKey(key.as_str().to_owned()),
    };
    v1::Subject { subject: Some(subject) }
}
