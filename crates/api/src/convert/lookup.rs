//! Questions.

use super::fault::{After, Faults};
use super::{caller, subject, time};
use crate::v1;
use kith_domain::NhsNumber;
use kith_domain::answer::Question;
use kith_domain::caller::{Caller, CareContext};
use kith_domain::child::Subject;
use kith_domain::codes::OdsCode;
use kith_domain::time::{Day, Moment};
use std::fmt::Display;
use uuid::Uuid;

/// A question with everything around it.
#[derive(Debug, Clone)]
pub struct ParsedLookup {
    /// Who asks.
    pub caller: Caller,
    /// Planned or unplanned care.
    pub context: CareContext,
    /// The question.
    pub question: Question,
    /// The request's id.
    pub request_id: Uuid,
}

fn birth_date(faults: &mut Faults, field: impl Display + Copy, date: Option<v1::Date>, now: Moment) -> Option<Day> {
    let day = time::day(faults, field, date)?;
    if day > now.london_day() {
        faults.add(field, "BIRTH_DATE_IN_FUTURE", "the date of birth is in the future");
        return None;
    }
    Some(day)
}

/// The mother's number, which is not the child's own.
fn mother(
    faults: &mut Faults,
    field: impl Display + Copy,
    text: Option<String>,
    child: Option<&Subject>,
) -> Option<NhsNumber> {
    let number = subject::number(faults, field, &text?)?;
    if child == Some(&Subject::Nhs(number)) {
        faults.add(
            field,
            "MOTHER_IS_SUBJECT",
            "the mother's number is the one asked about: her own answer shows her plans",
        );
        return None;
    }
    Some(number)
}

/// Takes a lookup apart. A local key is `organisation`'s own.
///
/// # Errors
/// Every fault found.
pub fn parse(request: v1::LookupRequest, organisation: OdsCode, now: Moment) -> Result<ParsedLookup, Faults> {
    let mut faults = Faults::default();
    let parsed = parse_into(&mut faults, "", request, organisation, now);
    faults.finish(parsed)
}

pub(super) fn parse_into(
    faults: &mut Faults,
    prefix: &str,
    request: v1::LookupRequest,
    organisation: OdsCode,
    now: Moment,
) -> Option<ParsedLookup> {
    let v1::LookupRequest {
        caller,
        care_context,
        subject,
        number_traced,
        date_of_birth,
        request_id,
        mother_nhs_number,
    } = request;
    let path = |name| After(prefix, name);
    let caller = caller::parse(faults, path("caller"), caller);
    let context = caller::care_context(faults, path("care_context"), care_context);
    let subject = subject::parse(faults, path("subject"), subject, organisation);
    let birth_date = birth_date(faults, path("date_of_birth"), date_of_birth, now);
    let request_id = time::uuid(faults, path("request_id"), &request_id);
    let before = faults.0.len();
    let mother = mother(faults, path("mother_nhs_number"), mother_nhs_number, subject.as_ref());
    faults.keep(caller.as_ref());
    faults.keep_about(subject.as_ref(), request_id);
    faults.keep_mother(mother);
    if faults.0.len() > before {
        return None;
    }
    Some(ParsedLookup {
        caller: caller?,
        context: context?,
        question: Question { subject: subject?, number_traced, birth_date, checking_in: None, now, mother },
        request_id: request_id?,
    })
}

/// A worklist with one question per entry; an entry that is no question carries its faults.
#[derive(Debug, Clone)]
pub struct ParsedWorklist {
    /// Who asks.
    pub caller: Caller,
    /// Planned or unplanned care.
    pub context: CareContext,
    /// The questions, in order.
    pub questions: Vec<Result<Question, Faults>>,
    /// The request's id.
    pub request_id: Uuid,
}

/// Takes a worklist apart.
///
/// # Errors
/// Every fault of the request itself; a fault of one entry stays with the entry.
pub fn parse_worklist(
    request: v1::LookupManyRequest,
    organisation: OdsCode,
    now: Moment,
    max_entries: usize,
) -> Result<ParsedWorklist, Faults> {
    let v1::LookupManyRequest { caller, care_context, entries, request_id } = request;
    let mut faults = Faults::default();
    if entries.is_empty() || entries.len() > max_entries {
        faults.add("entries", "WORKLIST_SIZE", format!("a worklist has 1 to {max_entries} entries"));
    }
    let caller = caller::parse(&mut faults, "caller", caller);
    let context = caller::care_context(&mut faults, "care_context", care_context);
    let request_id = time::uuid(&mut faults, "request_id", &request_id);
    faults.keep(caller.as_ref());
    faults.keep_about(None, request_id);
    let (Some(caller), Some(context), Some(request_id), true) = (caller, context, request_id, faults.0.is_empty())
    else {
        return Err(faults);
    };
    let questions = entries.into_iter().map(|entry| parse_entry(entry, organisation, now)).collect();
    Ok(ParsedWorklist { caller, context, questions, request_id })
}

fn parse_entry(entry: v1::WorklistEntry, organisation: OdsCode, now: Moment) -> Result<Question, Faults> {
    let v1::WorklistEntry { subject, number_traced, date_of_birth, mother_nhs_number } = entry;
    let mut faults = Faults::default();
    let subject = subject::parse(&mut faults, "subject", subject, organisation);
    let birth_date = birth_date(&mut faults, "date_of_birth", date_of_birth, now);
    let mother = mother(&mut faults, "mother_nhs_number", mother_nhs_number, subject.as_ref());
    faults.keep_about(subject.as_ref(), None);
    faults.keep_mother(mother);
    let question =
        subject.map(|subject| Question { subject, number_traced, birth_date, checking_in: None, now, mother });
    faults.finish(question)
}
