//! What is flagged of entries of the audit, told once over restarts, and which check-ins and presentations tell that a child was
//! there.

use super::*;
use crate::audit_entry::{Call, Code, Disclosed, MotherRead};
use crate::changed_one::{Became, ChangedOne};
use kith_domain::NhsNumber;
use kith_domain::caller::{Caller, Peer, Purpose, Role};
use kith_domain::child::Subject;
use kith_domain::flag::FlagKind;
use kith_domain::identity::IdentityCheck;
use kith_domain::method::Method;
use kith_domain::opening::OpeningReason;
use kith_domain::proof::PersonProof;
use kith_domain::refusal_code::RefusalCode;
use kith_domain::text::{LocalKey, OpeningWords, PersonText, RoleCode, UserId};
use std::collections::BTreeSet;

fn rules() -> FlagRules {
    FlagRules { read_again_entries: 1_000, ..FlagRules::default() }
}

fn watcher(mark: Option<u64>, audited_through: u64) -> Watcher {
    let mark = mark.map(|watched_through| FlagMarkRow { watched_through, unreviewed: 0 });
    let standing = Standing { mark, derived_through: mark.map_or(0, |mark| mark.watched_through), audited_through };
    Watcher::begin(rules(), Arc::new(Keys::from_master([7; 32])), standing)
}

fn organisation() -> OdsCode {
    OdsCode::parse("R1H").unwrap()
}

fn caller(user: &str) -> Caller {
    Caller {
        user_id: UserId::parse(user).unwrap(),
        user_name: PersonText::parse("A Nurse").unwrap(),
        user_role: PersonText::parse("Nurse").unwrap(),
        purpose: Purpose::DirectCare,
        organisation: organisation(),
        role_code: RoleCode::parse("R8000").unwrap(),
    }
}

fn call(method: Method) -> Call {
    let peer = Peer { organisation: organisation(), role: Role::Ed };
    Call { peer, method, trace: None, person: PersonProof::NotAsked }
}

fn disclosed(presentations: Code) -> Disclosed {
    Disclosed {
        identity: IdentityCheck::NotGiven,
        plans: Code::NoneHeld,
        presentations,
        shielded: false,
        siblings: 0,
        mother: None,
    }
}

/// Somebody asks about numbers one after another.
fn asked(count: u32) -> Vec<(u64, AuditEntry)> {
    let (call, caller, disclosed) = (call(Method::Lookup), caller("u1"), disclosed(Code::NoneHeld));
    let numbers = (999_000_000..).filter_map(NhsNumber::from_first_nine).take(count as usize);
    (1_u64..)
        .zip(numbers)
        .map(|(sequence, number)| {
            let decision = Decision::Answered { disclosed, counted: true };
            let at = Moment(i64::try_from(sequence).unwrap() * 1_000);
            let entry = AuditEntry::of_call(at, call, Some(caller.clone()), None, decision);
            (sequence, AuditEntry { subject: Some(Subject::Nhs(number)), ..entry })
        })
        .collect()
}

/// Tells everything that is to be told; what was.
fn told(watcher: &mut Watcher) -> Vec<Flag> {
    let mut told = Vec::new();
    watcher.tell(0, |flag| {
        told.push(flag.clone());
        Some(1_000)
    });
    told
}

#[test]
fn a_walk_is_flagged_about_who_asked_and_holds_no_child() {
    let mut watcher = watcher(None, 0);
    watcher.follow(0, 20, &asked(20));
    let flags = told(&mut watcher);
    let [flag] = &flags[..] else { panic!("one flag is told") };
    let who = flag.user_id.as_ref().map(UserId::as_str);
    assert_eq!((flag.organisation.as_str(), who, flag.first_entry), ("R1H", Some("u1"), 1));
    let bytes = crate::rows::encode(&Decision::Flagged(flag.clone())).unwrap();
    assert!(bytes.len() < 40 && !format!("{flag:?}").contains("99900"), "nothing but counts and who asked");
}

/// Whoever opens one shielded record after another has a queue of their own, and is watched like everybody.
#[test]
fn records_that_are_opened_are_questions_too() {
    let opened = |(sequence, entry): (u64, AuditEntry)| {
        let disclosed = entry.decision.disclosed().unwrap();
        let (reason, words) = (OpeningReason::MissingChild, OpeningWords::parse("seen at the station").unwrap());
        let decision = Decision::Opened { disclosed, reason, words, queue: uuid::Uuid::nil() };
        (sequence, AuditEntry { decision, ..entry })
    };
    let mut watcher = watcher(None, 0);
    watcher.follow(0, 20, &asked(20).into_iter().map(opened).collect::<Vec<_>>());
    assert_eq!(told(&mut watcher).len(), 1);
    watcher.tell(1_000, |_| None);
    let Some((_, Change::Watched(watched))) = watcher.due(LOG_EVERY, true) else { panic!("it is due") };
    assert_eq!(watched.asked[0].lookups, 20);
}

/// A worklist discloses as much as questions one by one, and a walk through it is one.
#[test]
fn entries_of_a_worklist_are_questions_too() {
    let listed = |(sequence, entry): (u64, AuditEntry)| {
        let disclosed = entry.decision.disclosed().unwrap();
        let decision = Decision::Answered { disclosed, counted: false };
        (sequence, AuditEntry { decision, method: Some(Method::LookupMany), ..entry })
    };
    let mut watcher = watcher(None, 0);
    watcher.follow(0, 20, &asked(20).into_iter().map(listed).collect::<Vec<_>>());
    let kinds: Vec<FlagKind> = told(&mut watcher).iter().map(|flag| flag.kind).collect();
    assert_eq!(kinds, [FlagKind::NumberWalk]);
}

/// Nor does it help to name mothers one after another, with a child who may be anybody's.
#[test]
fn mothers_who_are_named_with_a_child_are_asked_about_too() {
    let named = |(sequence, entry): (u64, AuditEntry)| {
        let mother = entry.subject.clone().map(|subject| MotherRead { subject, responsible: Vec::new() });
        let subject = Some(Subject::Local(organisation(), LocalKey::parse("dummy").unwrap()));
        (sequence, AuditEntry { subject, mother, method: Some(Method::LookupMany), ..entry })
    };
    let mut watcher = watcher(None, 0);
    watcher.follow(0, 20, &asked(20).into_iter().map(named).collect::<Vec<_>>());
    let kinds: Vec<FlagKind> = told(&mut watcher).iter().map(|flag| flag.kind).collect();
    assert_eq!(kinds, [FlagKind::NumberWalk]);
}

/// Check-ins as the audit tells of them: each question, and a second later what became of its recording.
#[derive(Default)]
struct CheckIns {
    entries: Vec<AuditEntry>,
    children: u32,
}

impl CheckIns {
    fn tell(&mut self, user: &str, at: Moment, (method, subject): (Method, Option<Subject>), decision: Decision) {
        let entry = AuditEntry::of_call(at, call(method), Some(caller(user)), None, decision);
        self.entries.push(AuditEntry { subject, ..entry });
    }

    /// Somebody asks about a child of whom nobody has asked; when, and whom.
    fn ask(&mut self, user: &str, method: Method, (day, second): (i64, i64), held: bool) -> (Moment, Option<Subject>) {
        self.children += 1;
        let key = LocalKey::parse(&format!("k{}", self.children)).unwrap();
        let subject = Some(Subject::Local(organisation(), key));
        // A Monday at midnight.
        let at = Moment(1_772_409_600_000).plus_seconds(day * 86_400 + second);
        let disclosed = disclosed(if held { Code::Held(1) } else { Code::NoneHeld });
        self.tell(user, at, (method, subject.clone()), Decision::Answered { disclosed, counted: true });
        (at, subject)
    }

    fn add(&mut self, user: &str, moment: (i64, i64), held: bool, became: Decision) {
        let (at, subject) = self.ask(user, Method::CheckIn, moment, held);
        self.tell(user, at.plus_seconds(1), (Method::CheckIn, subject), became);
    }

    /// The kinds of flags that they raise, and whom those are about.
    fn flagged(mut self) -> BTreeSet<(FlagKind, Option<String>)> {
        self.entries.sort_by_key(|entry| entry.at);
        let entries: Vec<(u64, AuditEntry)> = (1_u64..).zip(self.entries).collect();
        let mut watcher = watcher(None, 0);
        watcher.follow(0, entries.len() as u64, &entries);
        let about = |flag: &Flag| flag.user_id.as_ref().map(|user| user.as_str().to_owned());
        told(&mut watcher).iter().map(|flag| (flag.kind, about(flag))).collect()
    }
}

fn recorded() -> Decision {
    Decision::Changed { acknowledged: 1, refused: 0 }
}

fn refused(reason: &str) -> Decision {
    Decision::Refused(RefusalCode::of(reason))
}

/// Ten days of ordinary check-ins, and then an evening on which somebody checks in eighty children of whom nothing is held;
/// what becomes of the recording of those.
fn an_evening(became: &Decision) -> BTreeSet<(FlagKind, Option<String>)> {
    let mut check_ins = CheckIns::default();
    for day in 0..10 {
        for n in 0..60 {
            check_ins.add(&format!("u{}", n % 5), (day, 8 * 3_600 + n * 240), true, recorded());
        }
        // Somebody who asks little, and whose recordings are refused.
        let few = if day < 4 { 0 } else { 2 };
        for n in 0..few {
            check_ins.add("u7", (day, 9 * 3_600 + n * 3_600), true, refused("BAD_TEXT"));
        }
    }
    for n in 0..80 {
        check_ins.add("u7", (10, 14 * 3_600 + n * 180), false, became.clone());
    }
    // By which it is known that nobody came.
    check_ins.add("u0", (10, 23 * 3_600), true, recorded());
    check_ins.flagged()
}

fn of_u7(kind: FlagKind) -> (FlagKind, Option<String>) {
    (kind, Some("u7".to_owned()))
}

#[test]
fn check_ins_that_are_not_recorded_are_questions_to_which_nobody_came() {
    let all = [FlagKind::Volume, FlagKind::FewHeld, FlagKind::NoPresentation].map(of_u7);
    // Of an older entry why is not known.
    let before = Decision::Changed { acknowledged: 0, refused: 1 };
    for became in [before, refused("BAD_TEXT"), refused("UNKNOWN_SITE"), refused("WRITE_QUEUE_FULL")] {
        assert_eq!(an_evening(&became), BTreeSet::from(all.clone()), "{became:?}");
    }
    let there = BTreeSet::from([of_u7(FlagKind::FewHeld)]);
    assert_eq!(an_evening(&recorded()), there, "there, and of few is anything held");
}

/// Whoever checked children in on an evening of a full disk had them there.
#[test]
fn check_ins_that_kith_could_not_record_are_no_questions_to_which_nobody_came() {
    let there = BTreeSet::from([of_u7(FlagKind::FewHeld)]);
    for reason in ["STORAGE_UNAVAILABLE", "AUDIT_UNAVAILABLE"] {
        assert_eq!(an_evening(&refused(reason)), there, "{reason}");
    }
}

/// Ten days on which presentations come row by row in a stream, and an evening on which somebody asks about children who do not.
fn an_evening_beside_a_stream(became: Became) -> BTreeSet<(FlagKind, Option<String>)> {
    let mut asked = CheckIns::default();
    for day in 0..10 {
        for n in 0..60 {
            let moment = (day, 8 * 3_600 + n * 240);
            let (at, subject) = asked.ask(&format!("u{}", n % 5), Method::Lookup, moment, true);
            let row = ChangedOne { subject, event_id: None, became, shielded: false, not_there: None };
            asked.tell("feed", at.plus_seconds(600), (Method::Import, None), Decision::ChangedEach(vec![row]));
        }
    }
    for n in 0..80 {
        asked.ask("u7", Method::Lookup, (10, 14 * 3_600 + n * 180), true);
    }
    asked.ask("u0", Method::Lookup, (10, 23 * 3_600), true);
    asked.flagged()
}

#[test]
fn presentations_that_come_in_a_stream_belong_to_questions_and_rows_sent_again_do_not() {
    let found = BTreeSet::from([of_u7(FlagKind::NoPresentation)]);
    for became in [Became::Applied, Became::Kept, Became::refused("STORAGE_UNAVAILABLE")] {
        assert_eq!(an_evening_beside_a_stream(became), found, "{became:?}");
    }
    // Where nobody is known to come, that nobody came says nothing.
    for became in [Became::Repeated, Became::refused("BAD_TEXT")] {
        assert_eq!(an_evening_beside_a_stream(became), BTreeSet::new(), "{became:?}");
    }
}

#[test]
fn the_log_is_told_once_the_flag_is_on_disk() {
    let mut watcher = watcher(None, 0);
    watcher.follow(0, 20, &asked(20));
    let second = Duration::from_secs(1);
    assert_eq!(watcher.due(second, true), None, "a flag is not told");
    told(&mut watcher);
    assert_eq!(watcher.due(second, true), None, "its entry is not on disk");
    watcher.lost(&Gap { after_sequence: 900, before_sequence: 1_100, cause: kith_store::GapCause::SyncFailed });
    assert_eq!(told(&mut watcher).len(), 1, "given up, it is told again");
    watcher.tell(1_000, |_| None);
    let (_, change) = watcher.due(second, false).unwrap();
    let Change::Watched(watched) = change else { panic!("{change:?}") };
    assert_eq!((watched.through, watched.asked[0].lookups), (20, 20));
    watcher.is_logged();
    assert_eq!(watcher.due(second * 9, true), None, "nothing has come since");
}

/// Killed at any entry and started again: told once, whether or not its entry got into the audit before.
#[test]
fn a_restart_at_any_entry_neither_repeats_nor_forgets() {
    let entries = asked(20);
    let mut whole = watcher(None, 0);
    whole.follow(0, 20, &entries);
    let flags = told(&mut whole);
    let [flag] = &flags[..] else { panic!("one flag is told") };
    for logged in 0..=20_u64 {
        // As if killed with the flag in the audit and not in the log.
        let tells = (21, AuditEntry::of_service(Moment(50_000), Decision::Flagged(flag.clone())));
        let mut again = watcher(Some(logged), 21);
        again.take(20, &entries);
        assert_eq!(told(&mut again), [], "the audit may hold it");
        again.take(21, &[tells]);
        assert_eq!(told(&mut again), [], "it does, {logged}");
        // As if killed before it got there, which it does before the log knows of the entries that raised it.
        let mut again = watcher(Some(logged), 20);
        again.take(20, &entries);
        let expected: &[Flag] = if logged < 8 { std::slice::from_ref(flag) } else { &[] };
        assert_eq!(told(&mut again), expected, "{logged}");
    }
}

#[test]
fn questions_are_counted_once_over_restarts() {
    let entries = asked(20);
    let mut again = watcher(Some(12), 20);
    again.take(20, &entries);
    told(&mut again);
    again.tell(1_000, |_| None);
    let Some((_, Change::Watched(watched))) = again.due(LOG_EVERY, false) else { panic!("it is due") };
    assert_eq!((watched.through, watched.asked[0].lookups), (20, 8));
}

#[test]
fn what_asks_nothing_changes_no_state() {
    let mut quiet = watcher(None, 0);
    let start = AuditEntry::of_service(Moment(1), Decision::Started);
    quiet.follow(0, 1, &[(1, start)]);
    assert_eq!(quiet.due(LOG_EVERY, true), None);
    quiet.follow(1, 1_000, &[]);
    assert!(quiet.due(LOG_EVERY, true).is_some());
}

#[test]
fn entries_before_a_place_that_was_passed_are_waited_for() {
    let mut watcher = watcher(Some(500), 900);
    assert_eq!(watcher.next_before(600), Some(1));
    watcher.follow(600, 620, &[]);
    assert_eq!(watcher.next_before(620), Some(1), "those in between are not taken yet");
    watcher.begin_with(400);
    assert_eq!((watcher.span(), watcher.next_before(620)), (Some((400, 500)), Some(400)));
    assert_eq!(watcher.behind(620), 221);
    watcher.take(620, &[]);
    assert_eq!((watcher.span(), watcher.next_before(620), watcher.behind(620)), (None, None, 0));
    let off = FlagRules { enabled: false, ..rules() };
    let standing = Standing { mark: None, derived_through: 9, audited_through: 9 };
    let mut off = Watcher::begin(off, Arc::new(Keys::from_master([7; 32])), standing);
    off.follow(0, 20, &asked(20));
    assert_eq!((off.next_before(99), told(&mut off), off.due(LOG_EVERY, true)), (None, vec![], None));
    assert_eq!(off.behind(99), 0, "a watch that is off waits for nothing");
}
