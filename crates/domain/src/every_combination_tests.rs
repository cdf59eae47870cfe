//! Every combination of feeds, record, identity and number that an answer can be made from: none gives a bare "none held",
//! and "cannot say" never hides what is held. What is expected is computed here from the combination alone.

use crate::answer::{Answer, Body, Outcome, Question};
use crate::answering::{Found, Means, answer};
use crate::caller::{Caller, CareContext, Peer, Purpose, Role};
use crate::change::{Feed, PlanAction, PlanEvent, PresentationAction, PresentationEvent};
use crate::child::{ChildRecord, Subject};
use crate::codes::{LaCode, OdsCode, SiteCode};
use crate::directory::{AuthorityEntry, Directory, OrganisationEntry};
use crate::feed::{FeedBoard, FeedState};
use crate::feed_volume::ThinRule;
use crate::identity::IdentityCheck;
use crate::method::Method;
use crate::permit::{ReadPermit, authorise_read};
use crate::plan::PlanKind;
use crate::policy::Policy;
use crate::presentation::{CareSetting, Closing, Complaint, Details, Outcome as How};
use crate::settings::AnswerSettings;
use crate::text::{EncounterId, LocalKey, PersonText, PlanReference, RoleCode, UserId};
use crate::time::{Day, Moment};
use crate::{NhsNumber, fold, words};
use std::collections::BTreeSet;
use uuid::Uuid;

#[path = "every_combination_family_tests.rs"]
mod family;

#[path = "every_number_tests.rs"]
mod every_number;

/// Feeds of each kind; the bound of 10 % is passed by three.
const FEEDS: u32 = 20;
/// The record's own authority and trust, by number; the asker is trust 1.
const OWN: u32 = 2;
/// Feeds that are doubtful beside the record's own begin here.
const OTHERS: u32 = 10;
/// Words of places: names in the directory and codes.
const PLACES: [&str; 4] = ["Borough", "Hospital", "E060000", "T0"];
const STATES: [FeedState; 4] = [FeedState::Fresh, FeedState::Stale, FeedState::Absent, FeedState::Thin];

/// The feeds of one combination.
#[derive(Debug, Clone, Copy)]
struct Feeds {
    own_authority: FeedState,
    own_trust: FeedState,
    /// State of some others of each kind, and how many.
    others: (FeedState, u32),
}

/// What is on the record.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Held {
    /// No record.
    Nothing,
    /// A record that points to the own authority and trust, with nothing that is shown.
    Vanished,
    Plan,
    Presentation,
    Both,
}

/// Whose birth date is held.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Dated {
    Nobody,
    Authority,
    Department,
}

/// One combination.
#[derive(Debug, Clone, Copy)]
struct Case {
    feeds: Feeds,
    held: Held,
    shielded: bool,
    dated: Dated,
    /// Place in [`given`].
    given: usize,
    local: bool,
    traced: bool,
}

fn la(n: u32) -> LaCode {
    LaCode::parse(&format!("E060000{n:02}")).unwrap()
}

fn trust(n: u32) -> OdsCode {
    OdsCode::parse(&format!("T{n:02}")).unwrap()
}

fn now() -> Moment {
    Moment("2026-01-10T12:00:00Z".parse::<jiff::Timestamp>().unwrap().as_millisecond())
}

fn day(text: &str) -> Day {
    Day::parse(text).unwrap()
}

/// Birth dates given: none, the one held, a digit off, another.
fn given(n: usize) -> Option<Day> {
    [None, Some(day("2019-03-04")), Some(day("2018-03-04")), Some(day("2016-08-21"))][n]
}

fn subject(local: bool) -> Subject {
    match local {
        true => Subject::Local(trust(1), LocalKey::parse("newborn-1").unwrap()),
        false => Subject::Nhs(NhsNumber::from_first_nine(999_000_001).unwrap()),
    }
}

fn directory() -> Directory {
    let authority = |n| {
        let entry = AuthorityEntry {
            name: format!("Borough {n}"),
            office_phone: "01632 960001".into(),
            out_of_hours_phone: "01632 960002".into(),
            opens_minute: 540,
            closes_minute: 1020,
        };
        (la(n), entry)
    };
    let organisation = |n| {
        let entry =
            OrganisationEntry { name: format!("Hospital {n}"), contact_phone: "01632 960003".into(), successor: None };
        (trust(n), entry)
    };
    Directory {
        authorities: (1..=FEEDS).map(authority).collect(),
        organisations: (1..=FEEDS).map(organisation).collect(),
        national_name: "National desk".into(),
        national_phone: "020 7946 0000".into(),
        ..Directory::default()
    }
}

impl Feeds {
    fn state(self, n: u32, own: FeedState) -> FeedState {
        match n {
            OWN => own,
            n if (OTHERS..OTHERS + self.others.1).contains(&n) => self.others.0,
            _ => FeedState::Fresh,
        }
    }

    /// An authority has no volume: thin is fresh.
    fn authority(self, n: u32) -> FeedState {
        match self.state(n, self.own_authority) {
            FeedState::Thin => FeedState::Fresh,
            state @ (FeedState::Fresh | FeedState::Stale | FeedState::Absent) => state,
        }
    }

    fn trust(self, n: u32) -> FeedState {
        self.state(n, self.own_trust)
    }

    fn board(self) -> FeedBoard {
        let plans = (1..=FEEDS).map(|n| (la(n), 3600));
        let trusts = (1..=FEEDS).map(|n| (trust(n), 3600));
        let usual = (1..=FEEDS).filter(|n| self.trust(*n) == FeedState::Thin).map(trust);
        let usual: BTreeSet<OdsCode> = usual.collect();
        let board = FeedBoard::new(plans, trusts);
        let board = board.with_volumes(ThinRule::default(), |code| usual.contains(&code).then_some(700));
        let heard = |feed, state| match state {
            FeedState::Absent => {}
            FeedState::Stale => board.heard(feed, now().plus_seconds(-7_200)),
            FeedState::Fresh | FeedState::Thin => board.heard(feed, now().plus_seconds(-600)),
        };
        for n in 1..=FEEDS {
            heard(Feed::Plans(la(n)), self.authority(n));
            heard(Feed::Presentations(trust(n)), self.trust(n));
        }
        board.assess(now());
        board
    }
}

fn plan_event(version: u64, action: PlanAction, case: &Case) -> PlanEvent {
    PlanEvent {
        authority: la(OWN),
        event_id: Uuid::from_u128(1),
        subject: subject(case.local),
        action,
        kind: PlanKind::ChildProtection,
        reference: Some(PlanReference::parse("P").unwrap()),
        version,
        start: Some(day("2025-05-01")),
        end: None,
        birth_date: (case.dated == Dated::Authority).then(|| day("2019-03-04")),
        shielded: false,
        unshield: false,
        family: None,
        babies: Vec::new(),
    }
}

fn presentation_event(version: u64, action: PresentationAction, case: &Case) -> PresentationEvent {
    PresentationEvent {
        organisation: trust(OWN),
        event_id: Uuid::from_u128(2),
        subject: subject(case.local),
        encounter: EncounterId::parse("E").unwrap(),
        version,
        action,
    }
}

fn record(case: &Case) -> Option<ChildRecord> {
    let mut record = ChildRecord::new(subject(case.local));
    let mut tell = |event: PlanEvent| {
        let name = event.name().unwrap();
        fold::apply_plan(&mut record, &event, name.clone());
        fold::note_plan_event(&mut record, event.authority, &name, now());
    };
    match case.held {
        Held::Nothing => return None,
        Held::Vanished => tell(plan_event(2, PlanAction::Withdraw, case)),
        Held::Plan | Held::Both => tell(plan_event(1, PlanAction::Start, case)),
        Held::Presentation => {}
    }
    let details = Details {
        site: SiteCode::parse("T0201").unwrap(),
        arrived_at: now().plus_seconds(-86_400),
        setting: CareSetting::EmergencyDepartment,
        complaint: Complaint::Injury,
        birth_date: (case.dated == Dated::Department).then(|| day("2019-03-04")),
    };
    if case.held != Held::Plan {
        let action = PresentationAction::Import(details, None);
        fold::apply_presentation(&mut record, &presentation_event(1, action, case));
    }
    if case.held == Held::Vanished {
        let error = Closing { outcome: How::EnteredInError, at: now().plus_seconds(-60) };
        fold::apply_presentation(&mut record, &presentation_event(2, PresentationAction::Close(error), case));
    }
    if case.shielded {
        record.shielded_by = vec![la(OWN)];
    }
    Some(record)
}

/// Whether a question without anything held must be "cannot say". `points` says that the record points to the own feed.
fn doubtful(case: &Case, points: bool, own: FeedState, all: impl Fn(u32) -> FeedState) -> bool {
    let late = (1..=FEEDS).filter(|n| all(*n) != FeedState::Fresh).count();
    case.local || (points && own != FeedState::Fresh) || late > 2 || (case.shielded && late > 0)
}

/// One question's outcome and words, held against what the combination alone says.
fn hold<H>(case: &Case, outcome: &Outcome<H>, line: &str, held: bool, doubtful: bool) {
    let says = |words: &str| line.contains(words);
    match outcome {
        Outcome::Held(_) => assert!(held && !says("CANNOT SAY") && !says("none held"), "{case:?}: {line}"),
        Outcome::NoneHeld => {
            assert!(!held && !doubtful, "{case:?}: {line}");
            assert!(says(" as of 2026-01-10 12:00") && says(words::NOT_REASSURANCE), "{case:?}: {line}");
            assert_eq!(says("The NHS number was traced."), case.traced, "{case:?}: {line}");
            assert_eq!(says("The NHS number was NOT traced."), !case.traced, "{case:?}: {line}");
            assert!(says("min ago"), "the age of the oldest: {case:?}: {line}");
        }
        Outcome::CannotSay(why) => {
            assert!(!held && doubtful && !why.is_empty(), "{case:?}: {line}");
            assert!(says("CANNOT SAY: ") && !says("none held"), "{case:?}: {line}");
        }
    }
}

/// Counts and names of feeds in one question's words.
fn hold_feeds(case: &Case, line: &str, named: Option<(String, FeedState)>, all: impl Fn(u32) -> FeedState) {
    let count = |state| (1..=FEEDS).filter(|n| all(*n) == state).count();
    let [stale, absent, thin] = [FeedState::Stale, FeedState::Absent, FeedState::Thin].map(count);
    if stale + absent + thin > 0 {
        let counts = format!("Of 20 senders {stale} not heard of in time, {absent} never heard of");
        assert!(line.contains(&counts), "{case:?}: {line}");
        let far = format!(", {thin} far below {} usual volume", if thin == 1 { "its" } else { "their" });
        assert_eq!(line.contains(&far), thin > 0, "{case:?}: {line}");
    }
    let state = |state| match state {
        FeedState::Fresh => None,
        FeedState::Stale => Some("not heard of in time"),
        FeedState::Absent => Some("never heard of"),
        FeedState::Thin => Some("far below its usual volume"),
    };
    let told = named.and_then(|(name, own)| state(own).map(|words| format!("On this record: {name} {words}.")));
    match told.filter(|_| !case.shielded) {
        Some(told) => assert!(line.contains(&told), "{case:?}: {line}"),
        None => assert!(!line.contains("On this record"), "{case:?}: {line}"),
    }
}

fn hold_answer(case: &Case, answer: &Answer, directory: &Directory) {
    let (plans, seen) = (words::plans(answer, directory), words::presentations(answer, directory, 90));
    let has_plan = matches!(case.held, Held::Plan | Held::Both);
    let has_seen = matches!(case.held, Held::Presentation | Held::Both);
    let withheld = has_plan && case.dated == Dated::Authority && case.given == 3;
    let points_to_authority = has_plan || case.held == Held::Vanished;
    let points_to_trust = has_seen || case.held == Held::Vanished;
    let feeds = case.feeds;
    let plan_doubt = doubtful(case, points_to_authority, feeds.authority(OWN), |n| feeds.authority(n));
    let seen_doubt = doubtful(case, points_to_trust, feeds.own_trust, |n| feeds.trust(n));
    match &answer.body {
        Body::IdentityNotConfirmed => {
            assert!(withheld, "{case:?}");
            let all = words::lines(answer, directory, 90).join(" ");
            assert!(!all.contains("none held") && !all.contains("CANNOT SAY") && all.contains("Ring "), "{all}");
            return;
        }
        Body::Open(body) => {
            assert!(!withheld && !case.shielded, "{case:?}");
            hold(case, &body.plans, &plans, has_plan, plan_doubt);
            hold(case, &body.presentations, &seen, has_seen, seen_doubt);
            hold(case, &body.elsewhere, &seen, has_seen, seen_doubt);
        }
        Body::Opened(_) => panic!("nobody opened it"),
        Body::Shielded(body) => {
            assert!(!withheld && case.shielded, "{case:?}");
            hold(case, &body.plans, &plans, has_plan, plan_doubt);
            hold(case, &body.presentations, &seen, has_seen, seen_doubt);
            let all = words::lines(answer, directory, 90).join(" ");
            assert!(!PLACES.iter().any(|place| all.contains(place)), "{case:?}: {all}");
        }
    }
    let authority = points_to_authority.then(|| (format!("Borough {OWN}"), feeds.authority(OWN)));
    hold_feeds(case, &plans, authority, |n| feeds.authority(n));
    let organisation = points_to_trust.then(|| (format!("Hospital {OWN}"), feeds.own_trust));
    hold_feeds(case, &seen, organisation, |n| feeds.trust(n));
}

fn permit(directory: &Directory) -> ReadPermit {
    let caller = Caller {
        user_id: UserId::parse("n1").unwrap(),
        user_name: PersonText::parse("A Nurse").unwrap(),
        user_role: PersonText::parse("Nurse").unwrap(),
        role_code: RoleCode::parse("R8000").unwrap(),
        purpose: Purpose::DirectCare,
        organisation: trust(1),
    };
    let peer = Peer { organisation: trust(1), role: Role::Ed };
    authorise_read(&Policy::builtin(), peer, &caller, (Method::Lookup, CareContext::Unscheduled), directory).unwrap()
}

/// Every state of the own authority and trust beside every state and number of others.
fn all_feeds() -> Vec<Feeds> {
    let mut all = Vec::new();
    for own_authority in STATES {
        for own_trust in STATES {
            all.push(Feeds { own_authority, own_trust, others: (FeedState::Fresh, 0) });
            for state in [FeedState::Stale, FeedState::Absent, FeedState::Thin] {
                // Within the bound with the own one, beyond it without the own one, all but the own one and the asker.
                all.extend([1, 3, 10].map(|many| Feeds { own_authority, own_trust, others: (state, many) }));
            }
        }
    }
    all
}

/// Every record and question.
fn cases(feeds: Feeds) -> Vec<Case> {
    let mut cases = Vec::new();
    for held in [Held::Nothing, Held::Vanished, Held::Plan, Held::Presentation, Held::Both] {
        for dated in [Dated::Nobody, Dated::Authority, Dated::Department] {
            for n in 0..4 * 8 {
                let (given, local, traced, shielded) = (n / 8, n & 1 > 0, n & 2 > 0, n & 4 > 0);
                if held != Held::Nothing || !shielded {
                    cases.push(Case { feeds, held, shielded, dated, given, local, traced });
                }
            }
        }
    }
    cases
}

#[test]
fn no_combination_gives_a_bare_none_held_or_hides_what_is_held() {
    let (directory, settings) = (directory(), AnswerSettings::default());
    let permit = permit(&directory);
    let (mut driven, mut with_family, mut outcomes) = (0, 0, BTreeSet::new());
    for feeds in all_feeds() {
        let board = feeds.board();
        for case in cases(feeds) {
            let question = Question {
                subject: subject(case.local),
                number_traced: case.traced,
                birth_date: given(case.given),
                checking_in: None,
                mother: None,
                now: now(),
            };
            let means = Means { settings: &settings, directory: &directory, feeds: &board };
            let answer = answer(&permit, &question, &Found::of(record(&case).as_ref()), means);
            hold_answer(&case, &answer, &directory);
            if case.traced && matches!(case.given, 0 | 3) {
                family::hold_family(&case, &permit, &question, &answer, means);
                with_family += 1;
            }
            outcomes.insert(format!("{:?}", answer.identity));
            driven += 1;
        }
    }
    let identities = [
        IdentityCheck::Matched,
        IdentityCheck::NotGiven,
        IdentityCheck::NothingToCompare,
        IdentityCheck::NearMiss,
        IdentityCheck::DiffersFromPresentation,
        IdentityCheck::NotConfirmed,
    ];
    assert_eq!(outcomes, identities.map(|identity| format!("{identity:?}")).into(), "every identity outcome is met");
    println!("combinations driven: {driven}, {with_family} of them with siblings and mothers");
    assert_eq!(driven, 16 * 10 * 3 * (4 * 32 + 16));
}
