//! Who asks, about whom, and the ids of what is asked or changed. It never invents a person and never repeats an identity
//! in an error.

use kith_api::v1;
use uuid::Uuid;

use crate::args::SubjectArgs;
use crate::dates;
use crate::failure::Failure;
use crate::redacted::redacted;
use crate::words::PURPOSES;

redacted!(Person);

/// Name space of event ids that are made of their content, so that sending the same again repeats the same event.
const EVENT_NAMESPACE: Uuid = Uuid::from_u128(0x6b69_7468_0000_4000_8000_6576_656e_7473);
/// Longest line read from standard input for an NHS number, in bytes.
const MAX_NUMBER_LINE: u64 = 256;
/// Longest line read from standard input for a text, in bytes: several times what any may have.
const MAX_TEXT_LINE: u64 = 4_096;

/// Who asks, as far as given.
#[derive(Clone, Default)]
pub struct Person {
    /// Identifier in the organisation.
    pub user_id: Option<String>,
    /// Name.
    pub user_name: Option<String>,
    /// Role.
    pub user_role: Option<String>,
    /// Code of the role.
    pub role_code: Option<String>,
    /// Why they ask.
    pub purpose: Option<String>,
}

impl Person {
    /// The caller of a request.
    ///
    /// # Errors
    /// Names everything that is missing, or a purpose outside the list.
    pub fn caller(&self, organisation: &str, otherwise: v1::Purpose) -> Result<v1::Caller, Failure> {
        let Self { user_id, user_name, user_role, role_code, purpose } = self;
        let (Some(user_id), Some(user_name), Some(user_role), Some(role_code)) =
            (user_id, user_name, user_role, role_code)
        else {
            let given = [
                ("--user-id", user_id),
                ("--user-name", user_name),
                ("--user-role", user_role),
                ("--role-code", role_code),
            ];
            let missing: Vec<&str> = given.iter().filter(|(_, value)| value.is_none()).map(|(flag, _)| *flag).collect();
            return Err(Failure::usage(format!(
                "missing {}: a named person is behind every question and record; give the flags, the variables \
                 KITH_USER_ID, KITH_USER_NAME, KITH_USER_ROLE and KITH_ROLE_CODE, or a profile",
                missing.join(", ")
            )));
        };
        let purpose = match purpose {
            Some(word) => PURPOSES.read(word).map_err(|words| Failure::bad_field("purpose", words))?,
            None => otherwise,
        };
        Ok(v1::Caller {
            user_id: user_id.clone(),
            user_name: user_name.clone(),
            user_role: user_role.clone(),
            role_code: role_code.clone(),
            purpose: purpose.into(),
            organisation: organisation.to_owned(),
        })
    }
}

/// Whom a question or change is about, and the birth date given.
///
/// # Errors
/// A date that is none, or a number that cannot be read from standard input.
pub fn subject(args: &SubjectArgs) -> Result<(v1::Subject, Option<v1::Date>), Failure> {
    let SubjectArgs { nhs_number, local_key, date_of_birth } = args;
    let chosen = match (nhs_number, local_key) {
        (Some(text), _) => v1::subject::Subject::NhsNumber(number(text)?),
        (None, Some(key)) => v1::subject::Subject::LocalKey(key.clone()),
        (None, None) => return Err(Failure::usage("missing --nhs-number or --local-key")),
    };
    let date = date_of_birth.as_deref().map(dates::date).transpose();
    let date = date.map_err(|words| Failure::bad_field("date_of_birth", words))?;
    Ok((v1::Subject { subject: Some(chosen) }, date))
}

/// An NHS number as given; `-` reads it from standard input, so that it stands in no list of processes.
///
/// # Errors
/// Standard input that cannot be read.
pub fn number(text: &str) -> Result<String, Failure> {
    if text == "-" { number_from_stdin() } else { Ok(text.to_owned()) }
}

/// A text as given; `-` reads a line of standard input, so that it stands in no list of processes.
///
/// # Errors
/// Standard input that cannot be read.
pub fn line_or(text: &str, field: &str) -> Result<String, Failure> {
    if text == "-" { line_from_stdin(field, MAX_TEXT_LINE) } else { Ok(text.to_owned()) }
}

fn number_from_stdin() -> Result<String, Failure> {
    line_from_stdin("nhs_number", MAX_NUMBER_LINE)
}

fn line_from_stdin(field: &str, most: u64) -> Result<String, Failure> {
    use std::io::{BufRead, Read};
    let mut line = String::new();
    let read = std::io::stdin().lock().take(most).read_line(&mut line);
    match read {
        Ok(_) => Ok(line.trim().to_owned()),
        Err(error) => Err(Failure::bad_field(field, format!("failed to read standard input: {error}"))),
    }
}

/// The UUID given, or another.
///
/// # Errors
/// Text that is no UUID.
pub fn uuid_or(given: Option<&str>, field: &str, otherwise: impl FnOnce() -> Uuid) -> Result<Uuid, Failure> {
    match given {
        Some(text) => Uuid::parse_str(text).map_err(|_| Failure::bad_field(field, "expected a UUID")),
        None => Ok(otherwise()),
    }
}

/// The event id that belongs to this content: the same content gives the same id on any machine.
pub fn content_id<'a>(kind: &str, organisation: &str, parts: impl IntoIterator<Item = &'a str>) -> Uuid {
    let mut content = format!("{kind}\u{1f}{organisation}");
    for part in parts {
        content.push('\u{1f}');
        content.push_str(part);
    }
    Uuid::new_v5(&EVENT_NAMESPACE, content.as_bytes())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn args(number: &str, date: Option<&str>) -> SubjectArgs {
        SubjectArgs { nhs_number: Some(number.into()), local_key: None, date_of_birth: date.map(str::to_owned) }
    }

    #[test]
    fn a_caller_is_named_in_full_or_not_at_all() {
        let mut person = Person { user_id: Some("n1".into()), ..Person::default() };
        let error = person.caller("R1H", v1::Purpose::DirectCare).unwrap_err();
        assert!(error.message.contains("--user-name, --user-role, --role-code"), "{}", error.message);
        person.user_name = Some("A Nurse".into());
        person.user_role = Some("Triage nurse".into());
        person.role_code = Some("R8000".into());
        assert_eq!(person.caller("R1H", v1::Purpose::DirectCare).unwrap().purpose(), v1::Purpose::DirectCare);
        person.purpose = Some("curiosity".into());
        assert_eq!(person.caller("R1H", v1::Purpose::DirectCare).unwrap_err().exit.code(), 22);
    }

    #[test]
    fn a_bad_date_names_the_field_and_repeats_nothing() {
        let error = subject(&args("9990000018", Some("2026-02-30"))).unwrap_err();
        assert_eq!(error.fields[0].field, "date_of_birth");
        assert!(!format!("{error:?}").contains("999000"), "{error:?}");
    }

    #[test]
    fn content_ids_are_the_same_for_the_same_and_differ_otherwise() {
        let id = |parts: [&str; 2]| content_id("plan", "E08000035", parts);
        assert_eq!(id(["start", "1"]), id(["start", "1"]));
        assert_ne!(id(["start", "1"]), id(["start1", ""]));
        assert_eq!(id(["start", "1"]).get_version_num(), 5);
    }
}
