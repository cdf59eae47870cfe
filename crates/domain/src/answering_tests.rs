//! What answers say: transfers, contradicting dates, caps, words. Each story is told by events, in every order where order
//! must not matter, and asked on a day.

use crate::answer::{Answer, Body, OpenBody, Outcome, Question};
use crate::answering::{Found, Means, answer};
use crate::caller::{Caller, CareContext, Peer, Purpose, Role};
use crate::change::{PlanAction, PlanEvent, PresentationAction, PresentationEvent};
use crate::child::{ChildRecord, Subject};
use crate::codes::{LaCode, OdsCode, SiteCode};
use crate::directory::{Directory, OrganisationEntry};
use crate::feed::FeedBoard;
use crate::fold;
use crate::method::Method;
use crate::permit::authorise_read;
use crate::plan::{PlanKind, PlanState};
use crate::policy::Policy;
use crate::presentation::{CareSetting, Closing, Complaint, Details, Outcome as How};
use crate::settings::AnswerSettings;
use crate::text::{EncounterId, PersonText, PlanReference, RoleCode, UserId};
use crate::time::{Day, Moment};
use crate::{NhsNumber, change::Feed, words};
use uuid::Uuid;

const A: &str = "E06000001";
const B: &str = "E06000002";

fn la(code: &str) -> LaCode {
    LaCode::parse(code).unwrap()
}

fn noon(day: &str) -> Moment {
    Moment(format!("{day}T12:00:00Z").parse::<jiff::Timestamp>().unwrap().as_millisecond())
}

fn subject() -> Subject {
    Subject::Nhs(NhsNumber::from_first_nine(999_000_001).unwrap())
}

fn event(by: &str, reference: &str, version: u64, action: PlanAction, dates: (&str, &str)) -> PlanEvent {
    let day = |text: &str| (!text.is_empty()).then(|| Day::parse(text).unwrap());
    PlanEvent {
        authority: la(by),
        event_id: Uuid::from_u128(u128::from(version)),
        subject: subject(),
        action,
        kind: PlanKind::ChildProtection,
        reference: Some(PlanReference::parse(reference).unwrap()),
        version,
        start: day(dates.0),
        end: day(dates.1),
        birth_date: None,
        shielded: false,
        unshield: false,
        family: None,
        babies: Vec::new(),
    }
}

/// The record after these events, which must be the same after them in reverse.
fn after(events: &[PlanEvent]) -> ChildRecord {
    let fold_all = |events: &mut dyn Iterator<Item = &PlanEvent>| {
        let mut record = ChildRecord::new(subject());
        for event in events {
            fold::apply_plan(&mut record, event, event.name().unwrap());
        }
        record
    };
    let record = fold_all(&mut events.iter());
    assert_eq!(record, fold_all(&mut events.iter().rev()));
    record
}

/// Every feed fresh but those named.
fn board(now: Moment, stale: &[&str]) -> FeedBoard {
    let plans = (1..=20).map(|n| (la(&format!("E060000{n:02}")), 3600));
    let trusts = (1..=20).map(|n| (OdsCode::parse(&format!("T{n:02}")).unwrap(), 3600));
    let board = FeedBoard::new(plans, trusts);
    for line in board.lines(now) {
        let code = match line.feed {
            Feed::Plans(code) => code.to_string(),
            Feed::Presentations(code) => code.to_string(),
        };
        if !stale.contains(&code.as_str()) {
            board.heard(line.feed, now);
        }
    }
    board
}

fn directory() -> Directory {
    let organisation = |n: u32| {
        let entry =
            OrganisationEntry { name: format!("Trust {n}"), contact_phone: "020 7946 0001".into(), successor: None };
        (OdsCode::parse(&format!("T{n:02}")).unwrap(), entry)
    };
    Directory { organisations: (1..=20).map(organisation).collect(), ..Directory::default() }
}

fn nurse(organisation: OdsCode) -> Caller {
    Caller {
        user_id: UserId::parse("n1").unwrap(),
        user_name: PersonText::parse("A Nurse").unwrap(),
        user_role: PersonText::parse("Nurse").unwrap(),
        role_code: RoleCode::parse("R8000").unwrap(),
        purpose: Purpose::DirectCare,
        organisation,
    }
}

fn ask(record: Option<&ChildRecord>, day: &str, stale: &[&str]) -> Answer {
    ask_born(record, day, stale, None)
}

fn ask_born(record: Option<&ChildRecord>, day: &str, stale: &[&str], born: Option<&str>) -> Answer {
    let organisation = OdsCode::parse("T01").unwrap();
    let caller = nurse(organisation);
    let (peer, directory) = (Peer { organisation, role: Role::Ed }, directory());
    let permit =
        authorise_read(&Policy::builtin(), peer, &caller, (Method::Lookup, CareContext::Unscheduled), &directory)
            .unwrap();
    let now = noon(day);
    let birth_date = born.map(|born| Day::parse(born).unwrap());
    let question =
        Question { subject: subject(), number_traced: true, birth_date, checking_in: None, now, mother: None };
    let settings = AnswerSettings { max_presentations: 2, ..AnswerSettings::default() };
    let feeds = board(now, stale);
    answer(&permit, &question, &Found::of(record), Means { settings: &settings, directory: &directory, feeds: &feeds })
}

fn body(answer: &Answer) -> &OpenBody {
    match &answer.body {
        Body::Open(body) => body,
        other @ (Body::Shielded(_) | Body::Opened(_) | Body::IdentityNotConfirmed) => {
            panic!("not an open record: {other:?}")
        }
    }
}

/// Authority and state of each plan shown.
fn plans(record: &ChildRecord, day: &str) -> Vec<(String, PlanState)> {
    match &body(&ask(Some(record), day, &[])).plans {
        Outcome::Held(plans) => plans.iter().map(|plan| (plan.authority.to_string(), plan.state)).collect(),
        Outcome::NoneHeld | Outcome::CannotSay(_) => Vec::new(),
    }
}

#[test]
fn an_older_plan_of_the_receiving_authority_does_not_end_the_one_in_force() {
    let events = [
        event(B, "old", 1, PlanAction::Start, ("2022-01-10", "2022-09-01")),
        event(A, "P", 1, PlanAction::Start, ("2024-05-01", "")),
        event(A, "P", 2, PlanAction::TransferOut(la(B)), ("", "")),
    ];
    assert_eq!(plans(&after(&events), "2026-01-10"), [(A.to_owned(), PlanState::Active)]);
}

#[test]
fn a_transfer_ends_when_the_receiving_plan_begins() {
    let mut events = vec![
        event(A, "P", 1, PlanAction::Start, ("2024-05-01", "")),
        event(A, "P", 2, PlanAction::TransferOut(la(B)), ("", "")),
    ];
    assert_eq!(plans(&after(&events), "2025-07-01"), [(A.to_owned(), PlanState::Active)], "moving");
    events.push(event(B, "Q", 1, PlanAction::TransferIn(la(A)), ("2025-06-01", "")));
    let shown = plans(&after(&events), "2025-07-01");
    assert_eq!(shown, [(B.to_owned(), PlanState::Active), (A.to_owned(), PlanState::Ended)]);
}

#[test]
fn a_child_who_comes_back_is_shown_with_the_first_authority_again() {
    let events = [
        event(A, "P", 1, PlanAction::Start, ("2024-05-01", "")),
        event(A, "P", 2, PlanAction::TransferOut(la(B)), ("", "")),
        event(B, "Q", 1, PlanAction::TransferIn(la(A)), ("2025-01-01", "")),
        event(B, "Q", 2, PlanAction::TransferOut(la(A)), ("", "")),
    ];
    let moving = plans(&after(&events), "2025-06-01");
    assert_eq!(moving, [(B.to_owned(), PlanState::Active), (A.to_owned(), PlanState::Ended)], "moving back");
    let mut back = events.to_vec();
    back.push(event(A, "P", 3, PlanAction::TransferIn(la(B)), ("2025-05-01", "")));
    let shown = plans(&after(&back), "2025-06-01");
    assert_eq!(shown, [(A.to_owned(), PlanState::Active), (B.to_owned(), PlanState::Ended)]);
}

#[test]
fn a_day_before_the_start_never_hides_a_plan() {
    let mut events = vec![event(A, "P", 1, PlanAction::Start, ("2025-05-01", ""))];
    events.push(event(A, "P", 2, PlanAction::End, ("", "2002-05-01")));
    assert_eq!(plans(&after(&events), "2026-01-10"), [(A.to_owned(), PlanState::Active)]);
    let mut born_wrong = event(A, "P", 3, PlanAction::Change, ("2025-05-01", ""));
    born_wrong.birth_date = Some(Day::parse("1991-02-03").unwrap());
    assert_eq!(plans(&after(&[born_wrong]), "2026-01-10"), [(A.to_owned(), PlanState::Active)]);
}

#[test]
fn a_plan_leaves_the_answers_a_year_after_the_eighteenth_birthday() {
    let mut plan = event(A, "P", 1, PlanAction::Start, ("2020-05-01", ""));
    plan.birth_date = Some(Day::parse("2007-03-10").unwrap());
    let record = after(&[plan]);
    assert_eq!(plans(&record, "2025-03-10"), [(A.to_owned(), PlanState::Active)]);
    assert_eq!(plans(&record, "2025-03-11"), [(A.to_owned(), PlanState::Ended)]);
    assert!(plans(&record, "2026-03-11").is_empty());
}

fn seen(record: &mut ChildRecord, organisation: &str, n: u64, day: &str) {
    let details = Details {
        site: SiteCode::parse("T0101").unwrap(),
        arrived_at: noon(day),
        setting: CareSetting::EmergencyDepartment,
        complaint: Complaint::Injury,
        birth_date: None,
    };
    fold::apply_presentation(record, &of_encounter(organisation, n, 1, PresentationAction::Import(details, None)));
}

fn of_encounter(organisation: &str, n: u64, version: u64, action: PresentationAction) -> PresentationEvent {
    PresentationEvent {
        organisation: OdsCode::parse(organisation).unwrap(),
        event_id: Uuid::from_u128(u128::from(n)),
        subject: subject(),
        encounter: EncounterId::parse(&format!("E{n}")).unwrap(),
        version,
        action,
    }
}

#[test]
fn own_presentations_never_push_out_the_one_from_elsewhere() {
    let mut record = ChildRecord::new(subject());
    for n in 0..6 {
        seen(&mut record, "T01", n, "2026-01-09");
    }
    seen(&mut record, "T02", 9, "2025-11-01");
    let answer = ask(Some(&record), "2026-01-10", &[]);
    let Outcome::Held(seen) = &body(&answer).presentations else { panic!("held") };
    assert_eq!((seen.here.len(), seen.elsewhere.len(), seen.beyond_here.cap), (2, 1, 4));
}

#[test]
fn no_zero_stands_beside_held() {
    let mut record = ChildRecord::new(subject());
    seen(&mut record, "T02", 9, "2025-03-01");
    let answer = ask(Some(&record), "2026-01-10", &[]);
    assert_eq!(body(&answer).elsewhere, Outcome::Held(()));
    let line = words::presentations(&answer, &directory(), 90);
    assert!(line.contains("HELD: 1, all older than 90 days") && !line.contains(" 0 in"), "{line}");
}

#[test]
fn entered_in_error_vanishes_and_comes_back_when_recorded_again() {
    let mut record = ChildRecord::new(subject());
    seen(&mut record, "T02", 9, "2026-01-01");
    let error = Closing { outcome: How::EnteredInError, at: noon("2026-01-02") };
    fold::apply_presentation(&mut record, &of_encounter("T02", 9, 2, PresentationAction::Close(error)));
    assert_eq!(body(&ask(Some(&record), "2026-01-10", &[])).presentations, Outcome::NoneHeld);
    let details = record.presentations[0].details.get().unwrap().clone();
    fold::apply_presentation(&mut record, &of_encounter("T02", 9, 3, PresentationAction::Amend(details)));
    assert!(matches!(body(&ask(Some(&record), "2026-01-10", &[])).presentations, Outcome::Held(_)));
}

/// Over every combination of record and feeds: no bare "none held", and "cannot say" names why.
#[test]
fn none_held_always_says_as_of_when_and_that_it_is_no_reassurance() {
    let mut here = ChildRecord::new(subject());
    seen(&mut here, "T01", 1, "2026-01-01");
    let withdrawn = after(&[
        event(A, "P", 1, PlanAction::Start, ("2025-05-01", "")),
        event(A, "P", 2, PlanAction::Withdraw, ("", "")),
    ]);
    let records = [None, Some(here), Some(withdrawn), Some(ChildRecord::new(subject()))];
    let stale: [&[&str]; 4] = [&[], &[A], &["T02"], &[A, "E06000003", "E06000004", "T01", "T02", "T03"]];
    for record in &records {
        for stale in stale {
            let answer = ask(record.as_ref(), "2026-01-10", stale);
            for line in words::lines(&answer, &directory(), 90) {
                let sentences = line.matches("none held").count();
                assert!(sentences == 0 || line.contains(" as of 2026-01-10 12:00"), "{line}");
                assert!(sentences == 0 || line.contains(words::NOT_REASSURANCE), "{line}");
                assert!(!line.contains("CANNOT SAY") || line.contains("not been heard of in time"), "{line}");
            }
        }
    }
}

/// Whoever shows the words alone misses no kind, no move and no ending.
#[test]
fn the_words_alone_tell_every_plan_and_presentation() {
    let moving = event(A, "P", 2, PlanAction::TransferOut(la(B)), ("", ""));
    let mut record = after(&[event(A, "P", 1, PlanAction::Start, ("2025-05-01", "")), moving]);
    seen(&mut record, "T02", 1, "2026-01-01");
    let at = noon("2026-01-01");
    let left = Closing { outcome: How::LeftBeforeBeingSeen, at };
    fold::apply_presentation(&mut record, &of_encounter("T02", 1, 2, PresentationAction::Close(left)));
    let words = words::lines(&ask(Some(&record), "2026-01-10", &[]), &directory(), 90).join("\n");
    let plan = "\n- child protection plan, IN FORCE from 2025-05-01; E06000001; MOVING to E06000002\n";
    assert!(words.contains(plan), "{words}");
    assert!(words.contains("\n- 2026-01-01 12:00; Trust 2, emergency department;"), "{words}");
    assert!(words.contains("; LEFT BEFORE BEING SEEN\n"), "{words}");

    record.shielded_by = vec![la(A)];
    let words = words::lines(&ask(Some(&record), "2026-01-10", &[]), &directory(), 90).join("\n");
    assert!(
        words.contains("\n- child protection plan, IN FORCE from 2025-05-01; MOVING to another authority\n"),
        "{words}"
    );
    assert!(words.contains("\n- 2026-01-01; ") && words.contains("LEFT BEFORE BEING SEEN"), "{words}");
    assert!(!["Trust", "E06", "emergency"].iter().any(|place| words.contains(place)), "{words}");
}

/// Whether the stale feed is the shielded child's own or another's cannot be told.
#[test]
fn doubts_of_a_shielded_record_tell_no_place() {
    let mut start = event(A, "P", 1, PlanAction::Start, ("2025-05-01", ""));
    start.shielded = true;
    let record = after(&[start, event(A, "P", 2, PlanAction::Withdraw, ("", ""))]);
    let own = ask(Some(&record), "2026-01-10", &[A]);
    let other = ask(Some(&record), "2026-01-10", &[B]);
    assert_eq!(own.body, other.body);
    let Body::Shielded(body) = &own.body else { panic!("shielded") };
    assert!(matches!(body.plans, Outcome::CannotSay(_)));
    let Body::Shielded(fresh) = ask(Some(&record), "2026-01-10", &[]).body else { panic!("shielded") };
    assert_eq!(fresh.plans, Outcome::NoneHeld);
}

#[test]
fn none_held_becomes_cannot_say_and_held_never_does() {
    let three = [A, "E06000003", "E06000004"];
    assert_eq!(body(&ask(None, "2026-01-10", &[])).plans, Outcome::NoneHeld);
    assert_eq!(body(&ask(None, "2026-01-10", &[A])).plans, Outcome::NoneHeld, "one of twenty is within the bound");
    assert!(matches!(body(&ask(None, "2026-01-10", &three)).plans, Outcome::CannotSay(_)));
    let held = after(&[event(A, "P", 1, PlanAction::Start, ("2025-05-01", ""))]);
    assert!(matches!(body(&ask(Some(&held), "2026-01-10", &three)).plans, Outcome::Held(_)));
}

fn born(by: &str, id: &str, born: &str) -> PresentationEvent {
    PresentationEvent {
        organisation: OdsCode::parse(by).unwrap(),
        event_id: Uuid::from_u128(7),
        subject: subject(),
        encounter: EncounterId::parse(id).unwrap(),
        version: 1,
        action: PresentationAction::Record(Details {
            site: SiteCode::parse(&format!("{by}01")).unwrap(),
            arrived_at: noon("2026-01-09"),
            setting: CareSetting::EmergencyDepartment,
            complaint: Complaint::Injury,
            birth_date: Some(Day::parse(born).unwrap()),
        }),
    }
}

/// Asked by T01: its own check-in with a wrong date does not make that date the right one, and departments that agree with
/// it do not silence the one that does not.
#[test]
fn a_departments_own_check_in_confirms_nothing() {
    use crate::identity::{Departments, IdentityCheck, check};
    use crate::links::Standing;
    let compared = |record: &ChildRecord, departments: Departments| {
        let given = Day::parse("2019-03-04").unwrap();
        check(Standing::Current, Some(record), Some(given), departments)
    };
    let others = Departments::OthersThan(OdsCode::parse("T01").unwrap());
    let stories: [(&[(&str, &str)], IdentityCheck); 7] = [
        (&[("T01", "2019-03-04")], IdentityCheck::NothingToCompare),
        (&[("T01", "2015-06-17")], IdentityCheck::NothingToCompare),
        (&[("T02", "2019-03-04"), ("T01", "2015-06-17")], IdentityCheck::Matched),
        (&[("T02", "2015-06-17")], IdentityCheck::DiffersFromPresentation),
        (&[("T02", "2015-06-17"), ("T01", "2019-03-04")], IdentityCheck::DiffersFromPresentation),
        (&[("T02", "2015-06-17"), ("T03", "2019-03-04")], IdentityCheck::DiffersFromPresentation),
        (&[("T02", "2019-03-04"), ("T03", "2019-04-03")], IdentityCheck::NearMiss),
    ];
    for (dates, expected) in stories {
        let mut record = ChildRecord::new(subject());
        for (by, date) in dates {
            fold::apply_presentation(&mut record, &born(by, "E", date));
        }
        assert_eq!(compared(&record, others), expected, "{dates:?}");
        let shielded = compared(&record, Departments::NotCompared);
        assert_eq!(shielded, IdentityCheck::NothingToCompare, "whoever recorded which: {dates:?}");
    }
}

/// Wherever it was seen and whichever date was recorded there: the answer about a shielded child is the same, asks who it is, and
/// says that nothing was compared. What an authority has told is compared as ever, and withholds.
#[test]
fn a_shielded_childs_answer_does_not_tell_by_a_birth_date_where_it_was_seen() {
    use crate::identity::IdentityCheck;
    let told = |born_at: &str, date: &str, by_authority: Option<&str>, given: &str| {
        let mut start = event(A, "P", 1, PlanAction::Start, ("2025-05-01", ""));
        start.shielded = true;
        start.birth_date = by_authority.map(|date| Day::parse(date).unwrap());
        let mut record = after(&[start]);
        fold::apply_presentation(&mut record, &born(born_at, "E", date));
        let answer = ask_born(Some(&record), "2026-01-10", &[], Some(given));
        (answer.identity, words::lines(&answer, &directory(), 90))
    };
    let (identity, words) = told("T02", "2019-03-04", None, "2019-03-04");
    assert_eq!(identity, IdentityCheck::NothingToCompare);
    assert!(words.iter().any(|line| line.starts_with("Date of birth NOT compared: ")), "{words:?}");
    assert!(!words.iter().any(|line| line.contains("No date of birth is held")), "one is: {words:?}");
    for (born_at, date) in [("T02", "2015-06-17"), ("T01", "2019-03-04"), ("T01", "2015-06-17")] {
        assert_eq!(told(born_at, date, None, "2019-03-04"), (identity, words.clone()), "{born_at} {date}");
    }
    for (by_authority, expected) in
        [("2019-03-04", IdentityCheck::Matched), ("2015-06-17", IdentityCheck::NotConfirmed)]
    {
        for born_at in ["T01", "T02"] {
            let (identity, _) = told(born_at, "2019-03-04", Some(by_authority), "2019-03-04");
            assert_eq!(identity, expected, "{by_authority} {born_at}");
        }
    }
}

/// By a clock that is far ahead of what senders tell of, what is held has passed: it does not read as none held, and what
/// was never held does.
#[test]
fn what_a_wrong_clock_hides_is_not_none_held() {
    let ended = after(&[event(A, "P", 1, PlanAction::Start, ("2025-05-01", "2025-06-01"))]);
    let mut both = ended.clone();
    fold::apply_presentation(&mut both, &born("T02", "E", "2019-03-04"));
    let asked = |record: Option<&ChildRecord>, told: Option<&str>| {
        let (organisation, directory, settings) =
            (OdsCode::parse("T01").unwrap(), directory(), AnswerSettings::default());
        let now = noon("2027-06-01");
        let feeds = board(now, &[]);
        told.into_iter().for_each(|day| feeds.told(noon(day)));
        let question = Question {
            subject: subject(),
            number_traced: true,
            birth_date: None,
            checking_in: None,
            mother: None,
            now,
        };
        let caller = nurse(organisation);
        let peer = Peer { organisation, role: Role::Ed };
        let permit =
            authorise_read(&Policy::builtin(), peer, &caller, (Method::Lookup, CareContext::Unscheduled), &directory)
                .unwrap();
        let means = Means { settings: &settings, directory: &directory, feeds: &feeds };
        let answer = answer(&permit, &question, &Found::of(record), means);
        let body = body(&answer);
        let doubts = |none: bool, doubts: Option<&Vec<crate::answer::Doubt>>| match doubts {
            None => {
                if none {
                    "none held"
                } else {
                    "held"
                }
            }
            Some(doubts) => {
                assert_eq!(doubts, &[crate::answer::Doubt::ClockDoubtful]);
                "in doubt"
            }
        };
        fn of<H>(outcome: &Outcome<H>) -> (bool, Option<&Vec<crate::answer::Doubt>>) {
            match outcome {
                Outcome::Held(_) => (false, None),
                Outcome::NoneHeld => (true, None),
                Outcome::CannotSay(d) => (false, Some(d)),
            }
        }
        let (plans, seen, elsewhere) = (of(&body.plans), of(&body.presentations), of(&body.elsewhere));
        [doubts(plans.0, plans.1), doubts(seen.0, seen.1), doubts(elsewhere.0, elsewhere.1)]
    };
    assert_eq!(asked(Some(&ended), Some("2027-06-01")), ["none held"; 3], "the clock is believed");
    assert_eq!(asked(Some(&ended), Some("2026-01-10")), ["in doubt", "none held", "none held"]);
    assert_eq!(asked(Some(&both), Some("2026-01-10")), ["in doubt"; 3]);
    assert_eq!(asked(None, Some("2026-01-10")), ["none held"; 3], "nothing is hidden");
}
