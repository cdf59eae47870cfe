//! What stops the audit's retention when the audit itself is in doubt, and what it remembers of what it has told.

use super::*;

/// Whoever has the data key can put a whole file in the place of another; whoever has not can cut one short. Once it is removed it
/// would read as removed, and nobody would ever know.
#[tokio::test]
async fn what_is_not_as_it_was_signed_is_not_removed_and_someone_must_look() {
    let mut lived = Lived::on(&[-4_000, -3_900, -1]).await;
    let mut other = Lived::on(&[-4_000, -3_900, -1]).await;
    other.close(NOW);
    lived.close(NOW);
    let (path, placed) = (lived.segments().remove(0), std::fs::read(other.segments().remove(0)).unwrap());
    let whole = std::fs::read(&path).unwrap();
    assert_ne!(whole, placed);
    for bytes in [&placed[..], &whole[..whole.len() - 10]] {
        std::fs::write(&path, bytes).unwrap();
        lived.open(NOW);
        let outcome = lived.engine().retain_audit(NOW);
        assert!(matches!(outcome, Err(PurgeError::Held(Held::Differs { .. }))), "{outcome:?}");
        let kept = lived.engine().audit_kept();
        assert!(matches!(kept.held, Some(Held::Differs { .. })) && kept.removed.is_none() && path.exists());
        lived.close(NOW);
    }
    std::fs::write(&path, &whole).unwrap();
    lived.open(NOW);
    assert!(lived.engine().retain_audit(NOW).unwrap().is_some() && !path.exists());
    assert_eq!(lived.engine().audit_kept().held, None);
}

/// An entry that is not signed in time tells of files that are still there. One more each hour would excuse more and more.
#[tokio::test]
async fn what_was_told_of_and_not_done_is_done_and_not_told_anew() {
    let lived = Lived::on(&[-4_000, -3_950, -3_900, -1]).await;
    let keeper = &lived.engine().purger.audit;
    let first = AuditRemoval { through: lived.lasts[0], at: NOW, before: days_on(-i64::from(DAYS)) };
    let (told_by, told) = keeper.tell(first).unwrap();
    assert_eq!(told, first);
    let more = AuditRemoval { through: lived.lasts[1], ..first };
    assert_eq!(keeper.tell(more).unwrap(), (told_by, first));
    assert_eq!(lived.engine().retain_audit(NOW).unwrap(), Some(first));
    assert_eq!(keeper.memory().told_by, Some(told_by));
    assert_eq!(keeper.memory().pending, None);
    // What it did not tell of is told of by the next run.
    assert_eq!(lived.engine().retain_audit(NOW).unwrap(), Some(more));
    assert!(keeper.memory().told_by > Some(told_by));
    // An entry that the tree was signed without tells of nothing.
    keeper.memory().pending = Some((0, more));
    assert!(keeper.tell(more).unwrap().0 > told_by);
}

/// It stays, with all after it, and is told: an entry dated a hundred years ahead would end retention in silence.
#[tokio::test]
async fn an_entry_that_is_dated_ahead_or_cannot_be_read_stops_it_and_is_told() {
    // As the first after the oldest segment; in the midst of it.
    for (days, within) in [(&[-4_000, 400, -3_900, -1][..], false), (&[-4_000, -3_900, -1][..], true)] {
        let mut lived = Lived::on(days).await;
        lived.close(NOW);
        let path = lived.segments().remove(0);
        let mut bytes = std::fs::read(&path).unwrap();
        let middle = bytes.len() / 2;
        if within {
            bytes[middle] ^= 1;
            std::fs::write(&path, &bytes).unwrap();
        }
        lived.open(NOW);
        let outcome = lived.engine().retain_audit(NOW);
        let Err(PurgeError::Held(Held::Blocked { entry, what })) = outcome else { panic!("{outcome:?}") };
        let expected = if within { "cannot be read" } else { "is dated ahead of the clock" };
        assert_eq!((what, entry > lived.lasts[0]), (expected, !within));
        assert_eq!(lived.engine().audit_kept().held.map(|held| held.reason()), Some("AUDIT_BLOCKED"));
        assert!(path.exists());
        assert_eq!(lived.engine().audit_kept().removed, None);
        if !within {
            // The clock has come so far.
            let later = days_on(400);
            lived.told(later).await;
            assert!(!matches!(lived.engine().retain_audit(later), Err(PurgeError::Held(_))));
            assert_eq!(lived.engine().audit_kept().held, None);
        }
    }
}

/// Each start would otherwise begin the day anew.
#[tokio::test]
async fn a_start_gives_no_further_share_of_the_same_day() {
    let mut lived = Lived::on(&[-4_000, -3_900, -3_500, -1]).await;
    (lived.guard, lived.days) = (Guard::default(), Some(3_600));
    lived.reopened();
    let first = lived.engine().retain_audit(NOW).unwrap().unwrap();
    assert_eq!(first.through, lived.lasts[0]);
    lived.days = Some(DAYS);
    lived.reopened();
    assert_eq!(lived.engine().retain_audit(NOW).unwrap(), None);
    assert_eq!(lived.engine().audit_kept().removed, Some(first));
    // A person has looked; or it is another day.
    let mut accepted = lived;
    accepted.guard = Guard { accept_on: Some(NOW.london_day()), ..Guard::default() };
    accepted.reopened();
    assert_eq!(accepted.engine().retain_audit(NOW).unwrap().map(|removed| removed.through), Some(accepted.lasts[1]));
    let mut lived = Lived::on(&[-4_000, -3_900, -3_500, -1]).await;
    (lived.guard, lived.days) = (Guard::default(), Some(3_600));
    lived.reopened();
    lived.engine().retain_audit(NOW).unwrap().unwrap();
    lived.days = Some(DAYS);
    lived.reopened();
    let later = days_on(1);
    lived.told(later).await;
    assert!(lived.engine().retain_audit(later).unwrap().is_some());
}

/// The entry that tells of a removal would excuse it.
#[tokio::test]
async fn what_somebody_else_took_away_is_not_told_as_removed() {
    for taken in [0, 1] {
        let mut lived = Lived::on(&[-4_000, -3_950, -3_900, -1]).await;
        lived.close(NOW);
        let path = lived.segments().remove(taken);
        let bytes = std::fs::read(&path).unwrap();
        std::fs::remove_file(&path).unwrap();
        lived.open(NOW);
        let first = if taken == 0 { 1 } else { lived.lasts[0] + 1 };
        let outcome = lived.engine().retain_audit(NOW);
        let Err(PurgeError::Held(Held::Differs { entry })) = outcome else { panic!("{taken}: {outcome:?}") };
        assert_eq!((entry, lived.engine().audit_kept().removed), (first, None));
        lived.close(NOW);
        std::fs::write(&path, bytes).unwrap();
        lived.open(NOW);
        assert_eq!(lived.engine().retain_audit(NOW).unwrap().map(|removed| removed.through), Some(lived.lasts[1]));
    }
}

/// Whoever has the disks and the key that seals can write it while the service is stopped, and the start signs what it finds. It
/// must not only be named afterwards: what it tells of must not be removed by it.
#[tokio::test]
async fn an_entry_that_somebody_else_wrote_removes_nothing_and_nothing_reads_as_removed() {
    let mut lived = Lived::on(&[-100, -50, -1]).await;
    let (through, before) = (lived.lasts[1], days_on(-10));
    let decision = Decision::AuditRemoved { through, leaves: lived.engine().purger.audit.tree.leaves(), before };
    let forged = encode(&AuditEntry::of_service(NOW, decision)).unwrap();
    let entry = lived.engine().journal().append(&forged).unwrap().sequence;
    lived.engine().journal().mark_removed(entry, b"no note").unwrap();
    lived.reopened();
    while !lived.engine().purger.audit.tree.has_signed(entry) {
        std::thread::sleep(Duration::from_millis(5));
    }
    let files = lived.segments();
    assert_eq!(lived.engine().audit_kept().removed, None);
    assert_eq!(lived.engine().retain_audit(NOW).unwrap(), None);
    assert!(files[..3].iter().all(|path| path.exists()));
    assert_eq!(lived.search(&of_child()).removed, None);
    assert!(lived.verified().is_sound(), "all of it is there");
}

/// Its segment was not there when the tree was begun, and is there now: as with what was given up and came late before a kill, to ask
/// again would never help.
#[tokio::test]
async fn an_entry_that_the_tree_was_signed_without_is_told_as_never_signed() {
    let mut lived = Lived::on(&[-2, -1]).await;
    lived.close(NOW);
    let (path, aside) = (lived.segments().remove(0), lived.dir.path().join("aside"));
    std::fs::rename(&path, &aside).unwrap();
    std::fs::remove_dir_all(lived.dir.path().join("tree")).unwrap();
    lived.open(NOW);
    lived.close(NOW);
    std::fs::rename(&aside, &path).unwrap();
    lived.open(NOW);
    let auditor = Peer { organisation: OdsCode::parse("X26").unwrap(), role: Role::Auditor };
    let proven = |sequence| lived.engine().prove(auditor, AuditRef { journal: 1, sequence });
    // Until this run has signed, the next head might still hold it.
    for _ in 0..2_000 {
        if !matches!(proven(1), Err(ProveError::NotYetSigned)) {
            break;
        }
        std::thread::sleep(Duration::from_millis(5));
    }
    assert!(matches!(proven(1), Err(ProveError::NeverSigned)), "{:?}", proven(1));
    assert!(proven(lived.lasts[0] + 1).is_ok());
    let young = encode(&lookup(1, 99, NOW)).unwrap();
    let young = lived.engine().journal().append(&young).unwrap().sequence;
    let told = proven(young);
    assert!(!matches!(told, Err(ProveError::NeverSigned)), "{told:?}");
}
