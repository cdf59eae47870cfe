//! What the audit holds of a file: each row, and each plan that a snapshot ends, with whom it was about.

use super::place::{END, NOW, Place, authority, day, days_on, event, file, nhs, permit, row};
use crate::audit_entry::{AuditEntry, Call, Decision};
use crate::changed_one::{Became, ChangedOne};
use crate::files::FileSender;
use crate::rows::decode;
use kith_domain::caller::{Caller, Purpose};
use kith_domain::change::Change;
use kith_domain::child::Subject;
use kith_domain::method::Method;
use kith_domain::plan_file::{FileCode, FileMode, PlanFile, PlanRow, RowCode, RowFault};
use kith_domain::proof::PersonProof;
use kith_domain::refused::Refused;
use kith_domain::text::{PersonText, RoleCode, UserId};
use kith_domain::time::Moment;

fn caller() -> Caller {
    Caller {
        user_id: UserId::parse("u1").unwrap(),
        user_name: PersonText::parse("A Clerk").unwrap(),
        user_role: PersonText::parse("Clerk").unwrap(),
        purpose: Purpose::RecordKeeping,
        organisation: permit(1).peer().organisation,
        role_code: RoleCode::parse("R8000").unwrap(),
    }
}

async fn send(place: &Place, file: &PlanFile, at: Moment) -> FileCode {
    let (permit, caller) = (permit(1), caller());
    let call = Call { peer: permit.peer(), method: Method::SubmitPlanFile, trace: None, person: PersonProof::NotAsked };
    let by = FileSender { permit: &permit, audited_as: Some((call, &caller)) };
    let hash = place.engine.file_hash(format!("{file:?}").as_bytes());
    place.engine.take_file(by, authority(1), at, hash, file).await.code
}

/// What entries hold of each since the start, and how many entries there are.
fn told(place: &Place) -> (usize, Vec<ChangedOne>) {
    while place.engine.journal().window().unsynced > 0 {
        std::thread::yield_now();
    }
    let entries = place.engine.journal().read_from(1, 1_000).unwrap();
    let entries = entries.iter().map(|(_, bytes)| decode::<AuditEntry>(bytes).unwrap());
    let each: Vec<Vec<ChangedOne>> = entries
        .filter_map(|entry| {
            let Decision::ChangedEach(each) = entry.decision else { return None };
            assert_eq!((entry.method, entry.caller), (Some(Method::SubmitPlanFile), Some(caller())));
            Some(each)
        })
        .collect();
    (each.len(), each.concat())
}

fn about(each: &[ChangedOne]) -> Vec<Option<Subject>> {
    each.iter().map(|one| one.subject.clone()).collect()
}

#[tokio::test]
async fn every_row_and_every_plan_that_a_snapshot_ends_has_whom_it_was_about() {
    let place = Place::new();
    send(&place, &file(1, END, (0..100).map(row).collect()), NOW).await;
    let (entries, each) = told(&place);
    assert_eq!((entries, each.len()), (2, 100), "a group of rows is an entry");
    assert_eq!(about(&each), (0..100).map(|n| Some(Subject::Nhs(nhs(n)))).collect::<Vec<_>>());
    assert!(each.iter().all(|one| one.event_id.is_some() && one.became == Became::Applied && !one.shielded));
    // One row less: its plan is ended by the file, and that is told of its child. The others tell nothing new.
    send(&place, &file(2, END, (1..100).map(row).collect()), days_on(3)).await;
    let (_, after) = told(&place);
    assert_eq!(about(&after[100..]), [Some(Subject::Nhs(nhs(0)))], "nothing became of what tells nothing new");
    assert_eq!(after[100].became, Became::Applied);
    assert!(place.end(0).is_some(), "that one was ended");
}

/// Whoever sent it hears of each that it is not what is shown, and the audit does not hold otherwise.
#[tokio::test]
async fn a_row_that_is_overtaken_or_at_fault_has_what_became_of_it() {
    let place = Place::new();
    place.event(1, event(1, 1, 1 << 40)).await;
    let other = PlanRow { end: Some(day("2026-12-01")), ..row(1) };
    let mut sent = file(1, FileMode::Changes, vec![other, row(2), PlanRow { shielded: true, ..row(2) }, row(3)]);
    let reason = Refused::NOT_AUDITED.reason;
    sent.rows[3].plan = Err(RowFault::new(RowCode::NotLoaded, "", reason, "one that cannot be read"));
    send(&place, &sent, NOW).await;
    let (_, each) = told(&place);
    let became: Vec<_> = each.iter().map(|one| (one.subject.clone(), one.became, one.shielded)).collect();
    let of = |child, became, shielded| (Some(Subject::Nhs(nhs(child))), became, shielded);
    let expected = [
        of(1, Became::Overtaken, false),
        of(2, Became::Applied, false),
        of(2, Became::refused("PLAN_TWICE"), true),
        of(3, Became::refused(reason), true),
    ];
    assert_eq!(became, expected, "what says so, or cannot be read, may be about a shielded child");
}

/// Whoever sends what is refused fills no disk by it, and the one row that is loaded is not among those counted.
#[tokio::test]
async fn of_a_file_full_of_faults_the_first_rows_stand_by_name_and_the_others_are_counted_before_the_verdict() {
    let place = Place::new();
    let mut sent = file(1, FileMode::Changes, (0..300).map(row).collect());
    for filed in &mut sent.rows[..299] {
        filed.plan = Err(RowFault::new(RowCode::NotLoaded, "", "END_MISSING", "one that cannot be read"));
    }
    assert_eq!(send(&place, &sent, NOW).await, FileCode::SomeLoaded);
    let (_, each) = told(&place);
    assert_eq!(each.iter().filter(|one| one.refused().is_some()).count(), 128);
    let made: Vec<_> = each.iter().filter(|one| one.refused().is_none()).map(|one| one.subject.clone()).collect();
    assert_eq!(made, [Some(Subject::Nhs(nhs(299)))]);
    let entries = place.engine.journal().read_from(1, 1_000).unwrap();
    let entries = entries.iter().map(|(_, bytes)| decode::<AuditEntry>(bytes).unwrap());
    let counted = entries.filter(|entry| matches!(entry.decision, Decision::RefusedRows { .. }));
    assert_eq!(counted.filter_map(|entry| entry.decision.changed()).map(|(_, refused)| refused).sum::<u64>(), 171);
}

#[tokio::test]
async fn of_a_file_nothing_is_taken_while_the_audit_takes_no_entry() {
    let place = Place::new();
    place.engine.journal().close().unwrap();
    assert_eq!(send(&place, &file(1, END, vec![row(1)]), NOW).await, FileCode::ResendLater);
    assert!(place.record(1).is_none());
    let verdict = place.send(&file(1, END, vec![row(1)]), NOW).await;
    assert_eq!(verdict.fault.map(|(reason, _)| reason), Some(Refused::NOT_AUDITED.reason));
}

/// The audit takes entries when the file is sent, and none any more when the log has its rows.
#[tokio::test]
async fn rows_that_stand_and_whose_entry_fails_are_told_before_anything_else_is_changed() {
    let place = Place::new();
    let sent = file(1, FileMode::Changes, vec![row(1)]);
    place.engine.untold.trouble.set(true);
    assert_eq!(send(&place, &sent, NOW).await, FileCode::ResendLater);
    assert!(place.record(1).is_some(), "the log had it before the audit failed");
    assert!(place.engine.has_untold() && !place.engine.tell_untold().await);
    let other = || vec![Change::Plan(event(1, 2, 1))];
    assert_eq!(place.engine.change(&permit(1), NOW, other()).await, vec![Err(Refused::NOT_AUDITED)]);
    assert!(told(&place).1.is_empty());
    place.engine.untold.trouble.set(false);
    assert!(place.engine.tell_untold().await && !place.engine.has_untold());
    assert_eq!(about(&told(&place).1), [Some(Subject::Nhs(nhs(1)))], "once, with whom it was about");
    assert!(place.engine.change(&permit(1), NOW, other()).await[0].is_ok());
    assert_eq!(send(&place, &sent, NOW).await, FileCode::AllLoaded, "the file goes on where it stopped");
}
