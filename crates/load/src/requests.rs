//! Requests as bytes: each is encoded once for each organisation, and then only the number and the ids are written into it.
//! Every request gets an id of its own, so that none counts as a retry of another.

use kith_api::v1;
use kith_domain::time::{Day, Moment};
use prost::Message;

use crate::england::Part;
use crate::verify::Held;

const NUMBER: &str = "9999999999";
const ID: &str = "11111111-1111-4111-8111-111111111111";
const EVENT: &str = "22222222-2222-4222-8222-222222222222";
/// An encounter's id or a plan's reference.
const NAME: &str = "LOADLOADLOADLOAD";
/// A birth date that no person has.
const BORN: (i32, i32, i32) = (1999, 11, 29);
/// A version of 51 bits: microseconds since 1970 have as many for a century.
const VERSION: u64 = 1 << 50;

/// Ids that no run has given before.
pub struct Ids {
    run: u64,
    next: u64,
}

impl Ids {
    /// Ids of one thread of one run.
    #[must_use]
    pub fn new(thread: u64) -> Self {
        let random = uuid::Uuid::new_v4().as_u128();
        Self { run: (random >> 64) as u64, next: (random as u64 & (u64::MAX >> 24)) | (thread << 48) }
    }

    /// Writes the next id, a UUID.
    fn write(&mut self, into: &mut [u8]) {
        const HEX: &[u8; 16] = b"0123456789abcdef";
        /// Where the two digits of each byte begin, between the dashes.
        const PLACES: [usize; 16] = [0, 2, 4, 6, 9, 11, 14, 16, 19, 21, 24, 26, 28, 30, 32, 34];
        self.next = self.next.wrapping_add(1);
        let high = (self.run & !0xf000) | 0x4000;
        let low = (self.next & (u64::MAX >> 2)) | (1 << 63);
        let bytes = (u128::from(high) << 64 | u128::from(low)).to_be_bytes();
        for (byte, place) in bytes.into_iter().zip(PLACES) {
            if let Some(pair) = into.get_mut(place..place + 2) {
                pair[0] = HEX[usize::from(byte >> 4)];
                pair[1] = HEX[usize::from(byte & 15)];
            }
        }
    }

    /// A short name that no run has given before.
    fn name(&mut self, into: &mut [u8]) {
        let mut id = [0; 36];
        self.write(&mut id);
        into.copy_from_slice(&[&id[0..4], &id[24..36]].concat());
    }
}

/// An encoded message, and where what changes stands in it.
struct Form {
    bytes: Vec<u8>,
    numbers: Vec<usize>,
    ids: Vec<usize>,
    events: Vec<usize>,
    names: Vec<usize>,
    born: Vec<usize>,
    versions: Vec<usize>,
}

impl Form {
    fn new(message: &impl Message) -> Self {
        let bytes = message.encode_to_vec();
        let find = |needle: &[u8]| -> Vec<usize> {
            bytes.windows(needle.len()).enumerate().filter(|(_, part)| *part == needle).map(|(at, _)| at).collect()
        };
        let (numbers, ids, events) = (find(NUMBER.as_bytes()), find(ID.as_bytes()), find(EVENT.as_bytes()));
        let (year, month, day) = BORN;
        let born = find(&v1::Date { year, month, day }.encode_to_vec());
        let mut version = Vec::new();
        prost::encoding::encode_varint(VERSION, &mut version);
        let (names, versions) = (find(NAME.as_bytes()), find(&version));
        Self { numbers, ids, events, names, born, versions, bytes }
    }

    fn number(&mut self, position: usize, number: u64) {
        let Some(at) = self.numbers.get(position) else { return };
        let mut rest = number;
        for place in self.bytes[*at..at + NUMBER.len()].iter_mut().rev() {
            *place = b'0' + (rest % 10) as u8;
            rest /= 10;
        }
    }

    fn ids(&mut self, ids: &mut Ids) {
        for at in self.ids.iter().chain(&self.events) {
            ids.write(&mut self.bytes[*at..at + ID.len()]);
        }
    }

    fn born(&mut self, born: Day) {
        let (year, month, day) = born.ymd();
        for at in &self.born {
            // 2 bytes of year, which every year from 128 to 16383 has, and one each of month and day.
            let year = [(year & 127) as u8 | 128, (year >> 7) as u8];
            self.bytes[at + 1..at + 3].copy_from_slice(&year);
            self.bytes[at + 4] = month as u8;
            self.bytes[at + 6] = day as u8;
        }
    }

    fn names(&mut self, ids: &mut Ids) {
        for at in &self.names {
            ids.name(&mut self.bytes[*at..at + NAME.len()]);
        }
    }

    fn version(&mut self, version: u64) {
        for at in &self.versions {
            let mut rest = version & (VERSION - 1) | VERSION;
            for place in &mut self.bytes[*at..at + 8] {
                *place = (rest & 127) as u8 | 128;
                rest >>= 7;
            }
            self.bytes[at + 7] &= 127;
        }
    }
}

/// Requests of one organisation that asks and records.
pub struct AskerForms {
    /// The organisation's code.
    pub organisation: String,
    with_born: Form,
    without_born: Form,
    scheduled: Form,
    check_in: Form,
    worklist: Form,
}

impl AskerForms {
    /// Encodes every form. `site` is one of the organisation's.
    #[must_use]
    pub fn new(organisation: &str, site: &str, worklist: u32, now: Moment) -> Self {
        let lookup = lookup(organisation);
        let (year, month, day) = BORN;
        let with_born = v1::LookupRequest { date_of_birth: Some(v1::Date { year, month, day }), ..lookup.clone() };
        let check_in = v1::CheckInRequest {
            lookup: Some(lookup.clone()),
            presentation: Some(v1::PresentationDetails {
                encounter_id: NAME.into(),
                version: 1,
                site: site.into(),
                arrived_at: Some(kith_api::convert::time::timestamp(now.plus_seconds(-600))),
                care_setting: v1::CareSetting::EmergencyDepartment.into(),
                complaint: v1::ComplaintGroup::Injury.into(),
            }),
            event_id: EVENT.into(),
        };
        let entry = v1::WorklistEntry {
            subject: lookup.subject.clone(),
            number_traced: true,
            date_of_birth: None,
            mother_nhs_number: None,
        };
        let worklist = v1::LookupManyRequest {
            caller: lookup.caller.clone(),
            care_context: lookup.care_context,
            entries: vec![entry; worklist as usize],
            request_id: ID.into(),
        };
        let scheduled = v1::LookupRequest { care_context: v1::CareContext::Scheduled.into(), ..lookup.clone() };
        Self {
            organisation: organisation.to_owned(),
            with_born: Form::new(&with_born),
            without_born: Form::new(&lookup),
            scheduled: Form::new(&scheduled),
            check_in: Form::new(&check_in),
            worklist: Form::new(&worklist),
        }
    }

    /// A question.
    pub fn lookup(&mut self, ids: &mut Ids, number: u64, born: Option<Day>) -> &[u8] {
        let form = if born.is_some() { &mut self.with_born } else { &mut self.without_born };
        if let Some(born) = born {
            form.born(born);
        }
        form.number(0, number);
        form.ids(ids);
        &form.bytes
    }

    /// A question in planned care.
    pub fn scheduled(&mut self, ids: &mut Ids, number: u64) -> &[u8] {
        self.scheduled.number(0, number);
        self.scheduled.ids(ids);
        &self.scheduled.bytes
    }

    /// A check-in of a new encounter.
    pub fn check_in(&mut self, ids: &mut Ids, number: u64) -> &[u8] {
        self.check_in.number(0, number);
        self.check_in.ids(ids);
        self.check_in.names(ids);
        &self.check_in.bytes
    }

    /// A worklist; `draw` gives each person and what must be held of them.
    pub fn worklist(&mut self, ids: &mut Ids, mut draw: impl FnMut() -> (u64, Held)) -> (&[u8], Box<[Held]>) {
        let form = &mut self.worklist;
        let expected = (0..form.numbers.len()).map(|position| {
            let (number, held) = draw();
            form.number(position, number);
            held
        });
        let expected = expected.collect();
        form.ids(ids);
        (&form.bytes, expected)
    }
}

/// Plan events of one authority.
pub struct PlanForm(Form);

impl PlanForm {
    /// Encodes the form: a plan in force since a month.
    #[must_use]
    pub fn new(today: Day) -> Self {
        let start = kith_api::convert::time::date(today.plus_days(-30));
        let event = v1::PlanEvent {
            event_id: EVENT.into(),
            action: v1::PlanAction::Start.into(),
            subject: subject(),
            kind: v1::PlanKind::ChildProtection.into(),
            start: Some(start),
            // One plan for each number, so that a long run does not grow the record.
            reference: format!("LOAD-{NUMBER}"),
            version: VERSION,
            ..Default::default()
        };
        Self(Form::new(&v1::SubmitEventsRequest { item: Some(v1::submit_events_request::Item::Event(event)) }))
    }

    /// The next event of the one plan of a number; versions only grow.
    pub fn event(&mut self, ids: &mut Ids, number: u64, version: u64) -> &[u8] {
        let form = &mut self.0;
        for position in 0..form.numbers.len() {
            form.number(position, number);
        }
        form.ids(ids);
        form.version(version);
        &form.bytes
    }
}

fn subject() -> Option<v1::Subject> {
    Some(v1::Subject { subject: Some(v1::subject::Subject::NhsNumber(NUMBER.into())) })
}

fn caller(organisation: &str, purpose: v1::Purpose) -> v1::Caller {
    v1::Caller {
        user_id: "load-nurse".into(),
        user_name: "Sam Load".into(),
        user_role: "Triage nurse".into(),
        role_code: "R8000".into(),
        purpose: purpose.into(),
        organisation: organisation.into(),
    }
}

/// Who is behind calls whose messages name nobody.
#[must_use]
pub fn person(organisation: &str) -> v1::Caller {
    caller(organisation, v1::Purpose::RecordKeeping)
}

fn lookup(organisation: &str) -> v1::LookupRequest {
    v1::LookupRequest {
        caller: Some(caller(organisation, v1::Purpose::DirectCare)),
        care_context: v1::CareContext::Unscheduled.into(),
        subject: subject(),
        number_traced: true,
        date_of_birth: None,
        request_id: ID.into(),
        mother_nhs_number: None,
    }
}

/// A question about a number of which nothing is held, to be sent once by the typed client.
#[must_use]
pub fn one_more(organisation: &str) -> v1::LookupRequest {
    let number = Part::Misses.number(0).to_string();
    v1::LookupRequest {
        subject: Some(v1::Subject { subject: Some(v1::subject::Subject::NhsNumber(number)) }),
        request_id: uuid::Uuid::new_v4().to_string(),
        ..lookup(organisation)
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    fn forms() -> AskerForms {
        AskerForms::new("R1H", "R1H01", 3, Moment(1_775_000_000_000))
    }

    fn number_of(subject: &Option<v1::Subject>) -> String {
        let Some(v1::Subject { subject: Some(v1::subject::Subject::NhsNumber(number)) }) = subject else { panic!() };
        number.clone()
    }

    #[test]
    fn ids_are_valid_and_never_the_same() {
        let mut seen = BTreeSet::new();
        for thread in [0, 1, 255] {
            let mut ids = Ids::new(thread);
            for _ in 0..1_000 {
                let mut bytes = [b'-'; 36];
                ids.write(&mut bytes);
                let id = uuid::Uuid::parse_str(std::str::from_utf8(&bytes).unwrap()).unwrap();
                assert_eq!((id.get_version_num(), id.get_variant()), (4, uuid::Variant::RFC4122));
                assert!(seen.insert(id));
            }
        }
        let mut ids = Ids::new(0);
        let names: BTreeSet<[u8; 16]> = std::iter::repeat_with(|| {
            let mut name = [0; 16];
            ids.name(&mut name);
            name
        })
        .take(100_000)
        .collect();
        assert_eq!(names.len(), 100_000);
    }

    #[test]
    fn a_lookup_says_whom_and_when_born() {
        let (mut forms, mut ids) = (forms(), Ids::new(0));
        let mut seen = BTreeSet::new();
        for (number, born) in
            [(9_990_000_018, Some((2009, 1, 31))), (9_000_000_009, Some((1999, 12, 1))), (9_990_000_018, None)]
        {
            let day = born.map(|(y, m, d)| Day::new(y, m, d).unwrap());
            let request = v1::LookupRequest::decode(forms.lookup(&mut ids, number, day)).unwrap();
            assert_eq!(number_of(&request.subject), number.to_string());
            assert_eq!(request.date_of_birth, born.map(|(year, month, day)| v1::Date { year, month, day }));
            assert!(seen.insert(request.request_id.clone()));
            assert_eq!(request.care_context(), v1::CareContext::Unscheduled);
        }
        let request = v1::LookupRequest::decode(forms.scheduled(&mut ids, 9_990_000_018)).unwrap();
        assert_eq!(request.care_context(), v1::CareContext::Scheduled);
    }

    #[test]
    fn a_check_in_is_always_a_new_encounter() {
        let (mut forms, mut ids) = (forms(), Ids::new(0));
        let mut read = || v1::CheckInRequest::decode(forms.check_in(&mut ids, 9_990_000_018)).unwrap();
        let (one, two) = (read(), read());
        assert_ne!(one.event_id, two.event_id);
        assert_ne!(one.event_id, one.lookup.as_ref().unwrap().request_id);
        let encounter = |request: &v1::CheckInRequest| request.presentation.as_ref().unwrap().encounter_id.clone();
        assert_ne!(encounter(&one), encounter(&two));
        assert_eq!(one.presentation.unwrap().site, "R1H01");
    }

    #[test]
    fn a_worklist_names_everybody_once() {
        let (mut forms, mut ids) = (forms(), Ids::new(0));
        let mut numbers = [9_990_000_018, 9_990_000_026, 9_990_000_034].into_iter();
        let (bytes, expected) = forms.worklist(&mut ids, || (numbers.next().unwrap(), Held::default()));
        let request = v1::LookupManyRequest::decode(bytes).unwrap();
        let named: Vec<String> = request.entries.iter().map(|entry| number_of(&entry.subject)).collect();
        assert_eq!(named, ["9990000018", "9990000026", "9990000034"]);
        assert_eq!(expected.len(), 3);
    }

    #[test]
    fn a_plan_event_goes_on_with_the_plan_of_its_number() {
        let (mut form, mut ids) = (PlanForm::new(Day::new(2026, 4, 1).unwrap()), Ids::new(0));
        let mut read = |number, micros| {
            let item = v1::SubmitEventsRequest::decode(form.event(&mut ids, number, micros)).unwrap().item.unwrap();
            let v1::submit_events_request::Item::Event(event) = item else { panic!("it is an event") };
            event
        };
        let (one, two) = (read(9_990_000_018, 1_775_000_000_000_000), read(9_990_000_018, 1_775_000_000_000_001));
        assert_eq!((one.reference.as_str(), &one.reference), ("LOAD-9990000018", &two.reference));
        assert_eq!(two.version, one.version + 1);
        assert_ne!(one.event_id, two.event_id);
    }
}
