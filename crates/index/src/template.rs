//! The work of an answer about a child of whom something is held, done where nothing is: how long an answer takes must not
//! tell one from the other. What is made here is thrown away. Nothing is given back, the record stands under no number and in
//! no table of records, and it names nobody: its codes are no organisation's.

use crate::Responsible;
use crate::packed::{Tables, pack, unpack};
use kith_domain::answer::{Answer, Body, Outcome, Question};
use kith_domain::answering::{self, Found, Means};
use kith_domain::child::{Access, ChildRecord, Subject};
use kith_domain::codes::{CodeError, OdsCode, SiteCode};
use kith_domain::links::Person;
use kith_domain::permit::ReadPermit;
use kith_domain::plan::Register;
use kith_domain::presentation::{CareSetting, Closing, Complaint, Details, Outcome as Ending, Presentation};
use kith_domain::text::{EncounterId, LocalKey, PersonText};
use kith_domain::time::Moment;
use std::hint::black_box;
use std::sync::Arc;

/// Presentations, and as many rows of access history: about as many as a child of whom anything is held has.
const VISITS: u8 = 2;
/// Between a visit and the next, or the question.
const STEP_SECONDS: i64 = 86_400;

/// The record, packed like every other.
#[derive(Debug)]
pub(crate) struct Template {
    subject: Subject,
    bytes: Vec<u8>,
}

/// Whether an answer about an ordinary record, or about none, tells neither a plan nor a presentation.
pub(crate) fn is_nothing_held(answer: &Answer) -> bool {
    match &answer.body {
        Body::Open(body) => !matches!(body.plans, Outcome::Held(_)) && !matches!(body.presentations, Outcome::Held(_)),
        Body::Shielded(_) | Body::Opened(_) | Body::IdentityNotConfirmed => false,
    }
}

impl Template {
    pub(crate) fn new(tables: &Tables) -> Self {
        let record = record().expect("the codes of the template can be parsed");
        Self { bytes: pack(&record, tables), subject: record.subject }
    }

    /// Unpacks the record and answers the question from it; nothing of it leaves.
    pub(crate) fn work(&self, permit: &ReadPermit, question: &Question, tables: &Tables, means: Means<'_>) {
        let Some(found) = self.found(question.now, tables) else { return };
        black_box(answering::answer(permit, question, &found, means));
        black_box(Responsible::at(&found, question.now.london_day()));
    }

    /// The record, its visits within any window before `now`.
    fn found(&self, now: Moment, tables: &Tables) -> Option<Found> {
        let mut record = unpack(&self.subject, black_box(&self.bytes), tables)?;
        for (held, before) in record.presentations.iter_mut().zip(1_i64..) {
            let arrived_at = now.plus_seconds(-before * STEP_SECONDS);
            let details = held.details.get().cloned().map(|details| Details { arrived_at, ..details });
            held.details = Register::held(held.details.version(), details);
        }
        let person = Person::find(Some(Arc::new(record)), |_| None);
        Some(Found { person, ..Found::default() })
    }
}

fn record() -> Result<ChildRecord, CodeError> {
    let organisation = OdsCode::parse("ZZZZZ")?;
    let site = SiteCode::parse("ZZZZZ00")?;
    let text = "the texts of no record can be parsed";
    let mut record = ChildRecord::new(Subject::Local(organisation, LocalKey::parse("0").expect(text)));
    for visit in 0..VISITS {
        let arrived_at = Moment(0).plus_seconds(i64::from(visit) * STEP_SECONDS);
        let (setting, complaint) = (CareSetting::EmergencyDepartment, Complaint::NotRecorded);
        let details = Details { site, arrived_at, setting, complaint, birth_date: None };
        let mut seen = Presentation::new(organisation, EncounterId::parse(&visit.to_string()).expect(text));
        seen.details.set(1, Some(details));
        seen.closing.set(1, Some(Closing { outcome: Ending::Discharged, at: arrived_at }));
        record.presentations.push(seen);
        record.accesses.push(Access {
            organisation,
            user_name: PersonText::parse("nobody at all").expect(text),
            user_role: PersonText::parse("no role").expect(text),
            first_at: arrived_at,
            last_at: arrived_at,
            count: 1,
        });
    }
    Ok(record)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_record_is_recent_whenever_it_is_asked_about_and_stands_under_no_number() {
        let tables = Tables::default();
        let template = Template::new(&tables);
        for now in [Moment(0), Moment(1_795_359_600_000), Moment(3_000_000_000_000)] {
            let found = template.found(now, &tables).unwrap();
            let record = found.person.own.unwrap();
            assert!(matches!(record.subject, Subject::Local(..)));
            assert_eq!([record.presentations.len(), record.accesses.len()], [usize::from(VISITS); 2]);
            let oldest = now.plus_seconds(-i64::from(VISITS) * STEP_SECONDS);
            assert!(record.presentations.iter().all(|seen| seen.moment() < now && seen.moment() >= oldest));
        }
    }
}
