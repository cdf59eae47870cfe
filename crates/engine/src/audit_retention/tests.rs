//! The audit's retention with the clock as an argument: what goes, what stays, what stops it, and what is told afterwards.

mod doubts;

use super::*;
use crate::audit_entry::{Call, Code, Disclosed};
use crate::audit_search::{AuditBounds, AuditEnded, AuditPage};
use crate::files::tests::place::{NOW, days_on, event, keys, nhs, options, permit};
use crate::{EngineOptions, KeepTree, ProveError, PurgeOptions, TreeCheck, VerifyReport};
use kith_domain::audit_query::{AuditQuery, AuditScope};
use kith_domain::caller::{Caller, Peer, Purpose, Role};
use kith_domain::change::Change;
use kith_domain::child::Subject;
use kith_domain::codes::OdsCode;
use kith_domain::identity::IdentityCheck;
use kith_domain::method::Method;
use kith_domain::proof::PersonProof;
use kith_domain::text::{PersonText, RoleCode, UserId};
use kith_merkle::{Checkpoint, LogSigner, verify_inclusion};
use kith_store::{AuditRef, TreeOptions};
use std::path::PathBuf;
use uuid::Uuid;

/// Eight years.
const DAYS: u32 = 2_922;
const ALL: AuditBounds = AuditBounds { given: 1_000_000, looked_at: 1_000_000 };

/// An audit that has lived, in a scratch directory.
struct Lived {
    dir: tempfile::TempDir,
    engine: Option<Engine>,
    /// The last number of each run.
    lasts: Vec<u64>,
    guard: Guard,
    days: Option<u32>,
}

fn signer() -> Arc<LogSigner> {
    Arc::new(LogSigner::from_seed("kith.test/audit", &[5; 32]).unwrap())
}

/// Somebody is answered about a child, which makes access history.
fn lookup(child: u32, id: u128, at: Moment) -> AuditEntry {
    let organisation = OdsCode::parse("R1H").unwrap();
    let caller = Caller {
        user_id: UserId::parse("u1").unwrap(),
        user_name: PersonText::parse("A Nurse").unwrap(),
        user_role: PersonText::parse("Nurse").unwrap(),
        purpose: Purpose::DirectCare,
        organisation,
        role_code: RoleCode::parse("R8000").unwrap(),
    };
    let disclosed = Disclosed {
        identity: IdentityCheck::NotGiven,
        plans: Code::NoneHeld,
        presentations: Code::NoneHeld,
        shielded: false,
        siblings: 0,
        mother: None,
    };
    let (peer, person) = (Peer { organisation, role: Role::Ed }, PersonProof::NotAsked);
    let call = Call { peer, method: Method::Lookup, trace: None, person };
    let decision = Decision::Answered { disclosed, counted: true };
    AuditEntry {
        subject: Some(Subject::Nhs(nhs(child))),
        ..AuditEntry::of_call(at, call, Some(caller), Some(Uuid::from_u128(id)), decision)
    }
}

impl Lived {
    /// One run on each of these days, with three lookups of the first child; then it is open, and a sender tells of today.
    async fn on(days: &[i64]) -> Self {
        let guard = Guard { stop_percent: 100, ..Guard::default() };
        let mut lived =
            Self { dir: tempfile::tempdir().unwrap(), engine: None, lasts: Vec::new(), guard, days: Some(DAYS) };
        for (run, day) in days.iter().enumerate() {
            lived.open(days_on(*day));
            let ids = (3 * run as u128 + 1)..=(3 * run as u128 + 3);
            lived.write(ids.map(|id| lookup(1, id, days_on(*day))));
            lived.close(days_on(*day));
        }
        lived.open(NOW);
        lived.told(NOW).await;
        lived
    }

    fn open(&mut self, now: Moment) {
        let dir = self.dir.path();
        let purge = PurgeOptions {
            enabled: false,
            audit_days: self.days,
            guard: self.guard,
            pause: Duration::ZERO,
            ..PurgeOptions::default()
        };
        let tree = KeepTree::Kept(TreeOptions::new(dir.join("tree"), Some(signer())));
        let options = EngineOptions { tree, purge, ..options(dir) };
        self.engine = Some(Engine::open(options, now, Arc::new(|what| panic!("the log failed: {what}"))).unwrap());
    }

    fn close(&mut self, at: Moment) {
        let engine = self.engine.take().unwrap();
        self.lasts.push(engine.positions().synced_through + 1);
        engine.close(at);
    }

    fn reopened(&mut self) {
        self.close(NOW);
        self.open(NOW);
    }

    fn engine(&self) -> &Engine {
        self.engine.as_ref().unwrap()
    }

    /// Writes entries, and waits until their consequences are in the log.
    fn write(&self, entries: impl Iterator<Item = AuditEntry>) {
        let engine = self.engine();
        let append = |entry| engine.journal().append(&encode(&entry).unwrap()).unwrap().sequence;
        let last = entries.map(append).last().unwrap();
        while engine.positions().derived_through < last {
            std::thread::sleep(Duration::from_millis(1));
        }
    }

    /// A sender tells of a moment.
    async fn told(&self, now: Moment) {
        let change = Change::Plan(kith_domain::change::PlanEvent {
            start: Some(now.london_day()),
            ..event(1, 9, u64::try_from(now.0).unwrap())
        });
        let verdicts = self.engine().change(&permit(1), now, vec![change]).await;
        assert!(verdicts[0].is_ok(), "{verdicts:?}");
    }

    /// Segments of the first sink: one for each run that has ended, oldest first, then the newest.
    fn segments(&self) -> Vec<PathBuf> {
        let files = std::fs::read_dir(self.dir.path().join("audit")).unwrap().map(|file| file.unwrap().path());
        let mut found: Vec<PathBuf> = files.filter(|path| path.extension().is_some_and(|end| end == "seg")).collect();
        found.sort();
        found
    }

    fn search(&self, query: &AuditQuery) -> AuditPage {
        self.engine().search_audit(AuditScope::All, query, None, ALL, NOW).unwrap()
    }

    /// Closes it and verifies all of it.
    fn verified(mut self) -> VerifyReport {
        if self.engine.is_some() {
            self.close(NOW);
        }
        let dir = self.dir.path();
        let key = Some(signer().key().clone());
        let tree = TreeCheck { dir: &dir.join("tree"), key, witnesses: Vec::new(), kept: Vec::new() };
        crate::verify(&dir.join("store"), [&dir.join("audit"), &dir.join("spill")], Some(&tree), &keys()).unwrap()
    }
}

fn of_child() -> AuditQuery {
    AuditQuery { child: Some(nhs(1)), lookups: true, ..AuditQuery::default() }
}

#[tokio::test]
async fn what_has_passed_goes_in_whole_segments_and_is_told_as_removed() {
    // The third run is as old, and the first entry after it is not: nothing says that it ended then.
    let lived = Lived::on(&[-4_000, -3_500, -3_000, -1]).await;
    assert_eq!(lived.engine().audit_kept().oldest_at, Some(days_on(-4_000)));
    let files = lived.segments();
    let removed = lived.engine().retain_audit(NOW).unwrap().unwrap();
    let before = days_on(-i64::from(DAYS));
    assert_eq!(removed, AuditRemoval { through: lived.lasts[1], at: NOW, before });
    let there: Vec<bool> = files[..4].iter().map(|path| path.exists()).collect();
    assert_eq!(there, [false, false, true, true]);
    assert_eq!(lived.engine().retain_audit(NOW).unwrap(), None, "once");
    let kept = lived.engine().audit_kept();
    assert_eq!((kept.removed, kept.held, kept.oldest_at), (Some(removed), None, Some(days_on(-3_000))));
    let report = lived.verified();
    assert!(report.is_sound(), "{report}");
    assert_eq!(report.audit.removed_through, removed.through);
    assert_eq!(report.tree.unwrap().removed, removed.through);
}

/// What was looked at and holds nothing, what is missing, and what was removed are three things.
#[tokio::test]
async fn what_was_removed_is_never_told_as_nothing_found_or_as_missing() {
    let lived = Lived::on(&[-4_000, -3_500, -3_000, -1]).await;
    let whole = lived.search(&of_child());
    assert_eq!((whole.found.len(), whole.ended, whole.removed), (12, AuditEnded::Whole, None));
    let removed = lived.engine().retain_audit(NOW).unwrap().unwrap();
    let page = lived.search(&of_child());
    assert_eq!((page.found.len(), page.ended, page.removed), (6, AuditEnded::Removed, Some(removed)));
    assert_eq!((page.missing.len(), page.next_before), (0, None));
    assert_eq!(page.range.map(|(oldest, _)| oldest), Some(removed.through + 1));
    // A range that begins after all of them were made asks for none of them; one that begins a second earlier may.
    let since = |from| lived.search(&AuditQuery { from: Some(from), ..of_child() });
    let young = since(removed.before);
    assert_eq!((young.found.len(), young.ended, young.removed), (3, AuditEnded::Whole, None));
    assert_eq!((young.missing.len(), young.range.map(|(oldest, _)| oldest)), (0, Some(removed.through + 1)));
    assert_eq!(since(removed.before.plus_seconds(-1)).ended, AuditEnded::Removed);
    for entry in [1, removed.through] {
        let page = lived.search(&AuditQuery { entry: Some(entry), ..AuditQuery::default() });
        assert_eq!((page.found.len(), page.ended, page.removed), (0, AuditEnded::Removed, Some(removed)));
        assert_eq!((page.range, page.missing.len()), (None, 0));
    }
    let there = lived.search(&AuditQuery { entry: Some(removed.through + 1), ..AuditQuery::default() });
    assert_eq!((there.found.len(), there.ended, there.removed), (1, AuditEnded::Whole, None));
    let auditor = Peer { organisation: OdsCode::parse("X26").unwrap(), role: Role::Auditor };
    let proven = |sequence| lived.engine().prove(auditor, AuditRef { journal: 1, sequence });
    let path = proven(2).unwrap();
    assert_eq!((path.sealed, path.proven.index), (None, 1));
    let head = Checkpoint::open(path.note.as_bytes(), signer().key()).unwrap().0;
    verify_inclusion(path.proven.index, head.size, &path.proven.leaf, &path.proven.proof, &head.root).unwrap();
    // What the tree has no leaf of is neither there nor told as never given.
    assert!(matches!(proven(0), Err(ProveError::Removed(told)) if told == removed));
    assert!(matches!(proven(1_000_000), Err(ProveError::NotThere)));
    assert!(proven(removed.through + 1).unwrap().sealed.is_some());
}

#[tokio::test]
async fn it_is_told_as_removed_after_a_restart_and_only_by_an_entry_that_tells_it() {
    let mut lived = Lived::on(&[-4_000, -3_900, -1]).await;
    let removed = lived.engine().retain_audit(NOW).unwrap().unwrap();
    lived.reopened();
    assert_eq!(lived.engine().audit_kept().removed, Some(removed));
    assert_eq!(lived.search(&of_child()).removed, Some(removed));
    // A mark that names another entry: what is missing is then missing.
    let signed = lived.engine().journal().signed_removals().remove(0);
    lived.engine().journal().mark_removed(removed.through + 1, &signed).unwrap();
    lived.reopened();
    assert_eq!(lived.engine().audit_kept().removed, None);
    let page = lived.search(&of_child());
    assert_eq!((page.removed, page.missing.len()), (None, 1));
    assert!(lived.verified().is_sound(), "verifying needs no mark");
}

#[tokio::test]
async fn a_clock_that_is_ahead_removes_nothing() {
    let lived = Lived::on(&[-100, -50, -1]).await;
    let files = lived.segments();
    let held = lived.engine().retain_audit(days_on(10_000));
    assert!(matches!(held, Err(PurgeError::Held(Held::ClockAhead { .. }))), "{held:?}");
    assert!(matches!(lived.engine().audit_kept().held, Some(Held::ClockAhead { .. })));
    assert!(files[..3].iter().all(|path| path.exists()));
    assert_eq!(lived.engine().retain_audit(NOW).unwrap(), None);
    assert_eq!(lived.engine().audit_kept().held, None);
}

/// Entries that a clock which was behind has dated are as young as their neighbours.
#[tokio::test]
async fn a_clock_that_was_behind_for_a_while_makes_nothing_old() {
    for days in [&[-9_000, -1][..], &[-1, -9_000, -9_000, -1]] {
        let lived = Lived::on(days).await;
        let files = lived.segments();
        assert_eq!(lived.engine().retain_audit(NOW).unwrap(), None, "{days:?}");
        assert!(files[..days.len()].iter().all(|path| path.exists()), "{days:?}");
    }
}

#[tokio::test]
async fn more_than_a_share_stops_it_and_a_person_lifts_it() {
    let mut lived = Lived::on(&[-4_000, -3_950, -3_900, -1]).await;
    lived.guard = Guard::default();
    lived.reopened();
    let held = lived.engine().retain_audit(NOW);
    assert!(matches!(held, Err(PurgeError::Held(Held::TooMuch { what: "bytes of the audit", .. }))), "{held:?}");
    assert_eq!(lived.engine().audit_kept().removed, None);
    lived.guard = Guard { accept_on: Some(NOW.london_day()), ..Guard::default() };
    lived.reopened();
    assert_eq!(lived.engine().retain_audit(NOW).unwrap().map(|removed| removed.through), Some(lived.lasts[1]));
    // One segment is the least that can go, however large a share it is.
    let mut lived = Lived::on(&[-4_000, -3_900, -1]).await;
    lived.guard = Guard::default();
    lived.reopened();
    assert!(lived.engine().retain_audit(NOW).unwrap().is_some());
}

/// A clock that is far ahead, or a day that was long in coming, must not have all of the audit read each hour.
#[tokio::test]
async fn what_may_not_go_is_not_read_to_its_end() {
    let mut lived = Lived::on(&[-4_000, -3_990, -3_980, -3_970, -3_960, -1]).await;
    lived.guard = Guard::default();
    lived.reopened();
    let files = lived.segments();
    let outcome = lived.engine().retain_audit(NOW);
    let Err(PurgeError::Held(Held::TooMuch { what: _, going, held: _ })) = outcome else { panic!("{outcome:?}") };
    let two: u64 = files[..2].iter().map(|path| std::fs::metadata(path).unwrap().len()).sum();
    assert_eq!(going, two, "it ends with the second of four");
}

/// With more days than before, what was removed earlier was younger than those.
#[tokio::test]
async fn a_later_removal_tells_of_earlier_ones_as_well() {
    let mut lived = Lived::on(&[-9_500, -9_000, -8_500, -1]).await;
    let first = lived.engine().retain_audit(NOW).unwrap().unwrap();
    assert_eq!((first.through, first.before), (lived.lasts[1], days_on(-i64::from(DAYS))));
    lived.days = Some(9_497);
    lived.reopened();
    let later = days_on(1_100);
    lived.told(later).await;
    // Nothing that is left is so old, by then.
    assert_eq!(lived.engine().retain_audit(later).unwrap(), None);
    let keeper = &lived.engine().purger.audit;
    assert_eq!(keeper.made_before(later, days_on(-8_397)), first.before);
    keeper.memory().kept.removed = None;
    assert_eq!(keeper.made_before(later, days_on(-8_397)), later, "what was removed is not known");
}

#[tokio::test]
async fn without_days_everything_is_kept() {
    let mut lived = Lived::on(&[-9_000, -8_000, -1]).await;
    lived.days = None;
    lived.reopened();
    let files = lived.segments();
    assert_eq!(lived.engine().retain_audit(NOW).unwrap(), None);
    assert!(files[..3].iter().all(|path| path.exists()));
    assert!(lived.verified().is_sound());
}

#[tokio::test]
async fn beside_a_tree_that_is_not_believed_everything_stays() {
    let mut lived = Lived::on(&[-4_000, -3_900, -1]).await;
    lived.close(NOW);
    std::fs::write(lived.dir.path().join("tree/suspected"), "somebody must look\n").unwrap();
    lived.open(NOW);
    let files = lived.segments();
    let outcome = lived.engine().retain_audit(NOW);
    assert!(matches!(outcome, Err(PurgeError::State(_))), "{outcome:?}");
    assert!(files[..3].iter().all(|path| path.exists()));
}

/// Every step at which it may be killed: what is there afterwards is sound, and the next run ends it.
#[tokio::test]
async fn killed_at_any_step_it_is_sound_and_ends_with_the_next_run() {
    // Which of the two old segments are back, and whether the mark is gone: told and nothing done; marked and nothing removed;
    // one of the two removed, either of them.
    for (back, unmarked) in [(&[0, 1][..], true), (&[0, 1][..], false), (&[1][..], false), (&[0][..], false)] {
        let mut lived = Lived::on(&[-4_000, -3_950, -3_900, -1]).await;
        let old: Vec<(PathBuf, Vec<u8>)> =
            lived.segments().into_iter().take(2).map(|path| (path.clone(), std::fs::read(path).unwrap())).collect();
        let removed = lived.engine().retain_audit(NOW).unwrap().unwrap();
        lived.close(NOW);
        for at in back {
            let (path, bytes): &(PathBuf, Vec<u8>) = &old[*at];
            std::fs::write(path, bytes).unwrap();
        }
        if unmarked {
            for sink in ["audit", "spill"] {
                std::fs::remove_file(lived.dir.path().join(sink).join("removed")).unwrap();
            }
        }
        lived.open(NOW);
        let again = lived.engine().retain_audit(NOW).unwrap();
        assert_eq!(again.map(|again| again.through), unmarked.then_some(removed.through), "{back:?}");
        assert!(old.iter().all(|(path, _)| !path.exists()), "{back:?}");
        assert_eq!(lived.engine().audit_kept().removed.unwrap().through, removed.through);
        let report = lived.verified();
        assert!(report.is_sound(), "{back:?}: {report}");
    }
}

#[tokio::test]
async fn what_is_removed_without_an_entry_or_beyond_it_is_named() {
    let mut lived = Lived::on(&[-4_000, -3_900, -1]).await;
    lived.close(NOW);
    std::fs::remove_file(&lived.segments()[0]).unwrap();
    let report = lived.verified();
    assert!(!report.audit.is_sound() && !report.tree.as_ref().unwrap().is_sound(), "{report}");
    let mut lived = Lived::on(&[-4_000, -3_900, -1]).await;
    lived.engine().retain_audit(NOW).unwrap().unwrap();
    lived.close(NOW);
    std::fs::remove_file(&lived.segments()[0]).unwrap();
    let report = lived.verified();
    assert!(!report.audit.is_sound() && !report.tree.as_ref().unwrap().is_sound(), "{report}");
}

#[tokio::test]
async fn nothing_goes_whose_consequences_are_not_in_the_log() {
    let lived = Lived::on(&[-4_000, -3_900, -1]).await;
    let keeper = &lived.engine().purger.audit;
    let before = days_on(-i64::from(DAYS));
    assert_eq!(keeper.passed(NOW, before).unwrap().segments, 1);
    let derived = &keeper.progress.derived_through;
    let reached = derived.swap(1, Ordering::AcqRel);
    assert_eq!(keeper.passed(NOW, before).unwrap(), Passed::default());
    derived.store(reached, Ordering::Release);
}

/// Whatever is made anew from the audit at a start would miss what was removed.
#[tokio::test]
async fn a_start_needs_nothing_of_what_was_removed() {
    let mut lived = Lived::on(&[-4_000, -3_900, -1]).await;
    let (derived, held) = (lived.engine().positions().derived_through, lived.engine().sizes());
    lived.engine().retain_audit(NOW).unwrap().unwrap();
    lived.reopened();
    assert!(lived.engine().positions().derived_through >= derived);
    let again = lived.engine().sizes();
    assert_eq!((again.children, again.plans, again.accesses), (held.children, held.plans, held.accesses));
    // History goes on, and so does the tree.
    lived.write(std::iter::once(lookup(2, 99, NOW)));
    let report = lived.verified();
    assert!(report.is_sound(), "{report}");
}
