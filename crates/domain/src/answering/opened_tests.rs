//! A shielded record that is opened for one viewing shows what an ordinary one would, and nothing else opens it.

use super::{Found, Means, answer};
use crate::answer::{Answer, Body, Question};
use crate::caller::{Caller, CareContext, Peer, Purpose, Role};
use crate::change::{PlanAction, PlanEvent, PresentationAction, PresentationEvent};
use crate::child::{Access, ChildRecord, Subject};
use crate::codes::{LaCode, OdsCode, SiteCode};
use crate::directory::{AuthorityEntry, Directory, OrganisationEntry};
use crate::feed::FeedBoard;
use crate::identity::IdentityCheck;
use crate::method::Method;
use crate::permit::{authorise_opening, authorise_read};
use crate::plan::PlanKind;
use crate::policy::Policy;
use crate::presentation::{CareSetting, Complaint, Details};
use crate::settings::AnswerSettings;
use crate::text::{EncounterId, PersonText, PlanReference, RoleCode, UserId};
use crate::time::{Day, Moment};
use crate::{NhsNumber, change::Feed, fold, words};
use uuid::Uuid;

/// 2026-01-10, at noon.
const NOW: Moment = Moment(1_768_046_400_000);
const PLACES: [&str; 5] = ["Borough", "Hospital", "E06000001", "T02", "01632 960001"];

fn la() -> LaCode {
    LaCode::parse("E06000001").unwrap()
}

fn trust(code: &str) -> OdsCode {
    OdsCode::parse(code).unwrap()
}

fn day(text: &str) -> Day {
    Day::parse(text).unwrap()
}

fn subject() -> Subject {
    Subject::Nhs(NhsNumber::from_first_nine(999_000_001).unwrap())
}

/// A child on a plan, seen at a hospital and looked up from there.
fn record(shielded: bool) -> ChildRecord {
    let mut record = ChildRecord::new(subject());
    let plan = PlanEvent {
        authority: la(),
        event_id: Uuid::nil(),
        subject: subject(),
        action: PlanAction::Start,
        kind: PlanKind::ChildProtection,
        reference: Some(PlanReference::parse("P").unwrap()),
        version: 1,
        start: Some(day("2025-05-01")),
        end: None,
        birth_date: Some(day("2020-02-02")),
        shielded,
        unshield: false,
        family: None,
        babies: Vec::new(),
    };
    fold::apply_plan(&mut record, &plan, plan.name().unwrap());
    let details = Details {
        site: SiteCode::parse("T0201").unwrap(),
        arrived_at: NOW.plus_seconds(-86_400),
        setting: CareSetting::EmergencyDepartment,
        complaint: Complaint::HeadInjury,
        birth_date: None,
    };
    let seen = PresentationEvent {
        organisation: trust("T02"),
        event_id: Uuid::nil(),
        subject: subject(),
        encounter: EncounterId::parse("E").unwrap(),
        version: 1,
        action: PresentationAction::Import(details, None),
    };
    fold::apply_presentation(&mut record, &seen);
    record.accesses.push(Access {
        organisation: trust("T02"),
        user_name: PersonText::parse("B Nurse").unwrap(),
        user_role: PersonText::parse("Nurse").unwrap(),
        first_at: NOW,
        last_at: NOW,
        count: 1,
    });
    record
}

fn directory() -> Directory {
    let office = AuthorityEntry {
        name: "Borough".into(),
        office_phone: "01632 960001".into(),
        out_of_hours_phone: "01632 960001".into(),
        opens_minute: 540,
        closes_minute: 1020,
    };
    let hospital =
        |name: &str| OrganisationEntry { name: name.into(), contact_phone: "01632 960003".into(), successor: None };
    Directory {
        authorities: [(la(), office)].into(),
        organisations: [(trust("T01"), hospital("Own")), (trust("T02"), hospital("Hospital"))].into(),
        national_name: "National desk".into(),
        national_phone: "020 7946 0000".into(),
        ..Directory::default()
    }
}

/// What the safeguarding team of T01 reads, by the call that opens or by an ordinary one.
fn ask(record: &ChildRecord, opening: bool, birth_date: &str) -> Answer {
    let (organisation, directory) = (trust("T01"), directory());
    let caller = Caller {
        user_id: UserId::parse("s1").unwrap(),
        user_name: PersonText::parse("A Lead").unwrap(),
        user_role: PersonText::parse("Safeguarding lead").unwrap(),
        role_code: RoleCode::parse("R8000").unwrap(),
        purpose: Purpose::ChildProtectionEnquiry,
        organisation,
    };
    let (policy, peer) = (Policy::builtin(), Peer { organisation, role: Role::Safeguarding });
    let now = CareContext::Unscheduled;
    let feeds = FeedBoard::new([(la(), 3600)].into_iter(), [(trust("T02"), 3600)].into_iter());
    feeds.heard(Feed::Plans(la()), NOW);
    feeds.heard(Feed::Presentations(trust("T02")), NOW);
    let (settings, birth_date) = (AnswerSettings::default(), Some(day(birth_date)));
    let means = Means { settings: &settings, directory: &directory, feeds: &feeds };
    let question =
        Question { subject: subject(), number_traced: true, birth_date, checking_in: None, now: NOW, mother: None };
    let found = Found::of(Some(record));
    if opening {
        let permit = authorise_opening(&policy, peer, &caller, now, &directory).unwrap();
        answer(permit.read(), &question, &found, means)
    } else {
        // Even by the name of the call that opens: the permit is what opens, not the name.
        let permit = authorise_read(&policy, peer, &caller, (Method::OpenShielded, now), &directory).unwrap();
        answer(&permit, &question, &found, means)
    }
}

fn told(answer: &Answer) -> String {
    format!("{answer:?} {}", words::lines(answer, &directory(), 90).join(" "))
}

#[test]
fn opened_it_shows_what_an_ordinary_record_shows_and_says_what_it_is() {
    let opened = ask(&record(true), true, "2020-02-02");
    let ordinary = ask(&record(false), false, "2020-02-02");
    let (Body::Opened(body), Body::Open(expected)) = (&opened.body, &ordinary.body) else { panic!("{opened:?}") };
    assert_eq!(body, expected);
    assert_eq!(opened.ring, ordinary.ring);
    let lines = words::lines(&opened, &directory(), 90);
    assert_eq!(lines[0], words::OPENED);
    assert_eq!(lines[1..], words::lines(&ordinary, &directory(), 90));
}

#[test]
fn no_other_call_opens_it() {
    let shielded = ask(&record(true), false, "2020-02-02");
    assert!(matches!(shielded.body, Body::Shielded(_)));
    let told = told(&shielded);
    assert!(!PLACES.iter().any(|place| told.contains(place)), "{told}");
}

#[test]
fn a_record_that_is_not_shielded_is_answered_as_by_any_other_call() {
    let (opening, ordinary) = (ask(&record(false), true, "2020-02-02"), ask(&record(false), false, "2020-02-02"));
    assert_eq!(opening, ordinary);
}

/// By it the reference of an answer is chosen: a reference that no broker resolves is none for whoever rings the national contact.
#[test]
fn a_broker_resolves_every_answer_about_a_shielded_record_whether_or_not_the_identity_is_confirmed() {
    for (shielded, opening) in [(true, true), (true, false), (false, true), (false, false)] {
        for birth_date in ["2020-02-02", "2011-11-11"] {
            let answer = ask(&record(shielded), opening, birth_date);
            assert_eq!(answer.brokered, shielded, "{answer:?}");
            assert!(shielded || answer.ring.name != "National desk", "{answer:?}");
        }
    }
}

/// Whoever has a wrong birth date has perhaps the wrong child: nothing is opened, and no place is told by whom to ring.
#[test]
fn nothing_is_opened_where_the_identity_is_not_confirmed() {
    let withheld = ask(&record(true), true, "2011-11-11");
    assert_eq!((&withheld.body, withheld.identity), (&Body::IdentityNotConfirmed, IdentityCheck::NotConfirmed));
    assert_eq!(withheld, ask(&record(true), false, "2011-11-11"));
    let told = told(&withheld);
    assert!(!PLACES.iter().any(|place| told.contains(place)), "{told}");
}
