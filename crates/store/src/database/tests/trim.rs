//! Trimming: what remains is whole at every step, and what was removed is in no file.

use super::*;
use crate::disk::Space;
use crate::testing::eventually;
use std::cell::RefCell;

/// A store with so many records, of which the rows up to `gone` have been removed again.
fn filled(dir: &Path, records: u64, gone: u64) -> Store {
    let store = open(dir);
    for number in 1..=records {
        store.commit(batch(number)).unwrap();
    }
    let rows = (1..=gone).map(|number| Row { table: Table::Plan, key: number.to_be_bytes().to_vec(), value: None });
    store.commit(Batch { log: vec![b"gone".to_vec()], rows: rows.collect() }).unwrap();
    store
}

fn state(store: &Store) -> Vec<(Table, Vec<u8>, Vec<u8>)> {
    let mut found = Vec::new();
    store
        .snapshot_rows(&mut |table, key, value| {
            found.push((table, key.to_vec(), value.to_vec()));
            ControlFlow::Continue(())
        })
        .unwrap();
    found
}

#[test]
fn the_log_goes_on_after_a_trim_and_verifies_from_the_snapshot() {
    let dir = tempfile::tempdir().unwrap();
    let store = filled(dir.path(), 5, 2);
    let point = store.trim(&|_| true).unwrap();
    assert_eq!((point.head, store.trimmed()), (store.head(), point));
    assert_eq!(log(&store, 1), []);
    let kept: Vec<_> = (3..=5_u64).map(|n| (Table::Plan, n.to_be_bytes().to_vec(), batch(n).log.remove(0))).collect();
    assert_eq!(state(&store), kept);
    store.commit(batch(7)).unwrap();
    store.commit(batch(8)).unwrap();
    assert_eq!(log(&store, 1).iter().map(|(n, _)| *n).collect::<Vec<_>>(), [7, 8]);
    drop(store);
    let store = Store::open_read_only(dir.path(), keys(), options()).unwrap();
    let report = store.verify().unwrap();
    assert!(report.is_sound(), "{report}");
    assert_eq!((report.log_records, report.trimmed.sequence, report.head.sequence), (2, 6, 8));
    assert!(report.to_string().contains("snapshot: the state at record 6"), "{report}");
    assert_eq!(state(&store), kept, "the state at the trim, not the running one");
}

/// The files at every step, as a kill would leave them, open and verify; and the next trim finishes.
#[test]
fn killed_at_any_step_it_opens_and_verifies() {
    let (dir, copies) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let store = filled(dir.path(), 40, 20);
    store.trim(&|_| true).unwrap();
    for number in 42..60 {
        store.commit(batch(number)).unwrap();
    }
    let (taken, written) = (RefCell::new(Vec::new()), RefCell::new(0));
    let point = store
        .trim(&|step| {
            let rows = &mut *written.borrow_mut();
            *rows += u32::from(step == TrimStep::Writing);
            if step != TrimStep::Writing || *rows == 7 {
                let to = copies.path().join(taken.borrow().len().to_string());
                eventually("a copy of files at rest", || copied(dir.path(), &to));
                taken.borrow_mut().push((step, to));
            }
            true
        })
        .unwrap();
    let taken = taken.into_inner();
    assert_eq!(taken.len(), 7, "{taken:?}");
    for (step, copy) in taken {
        let report = Store::open_read_only(&copy, keys(), options()).unwrap().verify().unwrap();
        assert!(report.is_sound(), "{step:?}: {report}");
        let store = open(&copy);
        assert_eq!(store.head(), point.head, "{step:?}");
        assert!(store.verify().unwrap().is_sound(), "{step:?}");
        let trimmed = if step < TrimStep::Marked { 41 } else { 59 };
        assert_eq!(store.trimmed().head.sequence, trimmed, "{step:?}");
        assert_eq!(snapshots(&copy), 1, "{step:?}: a start leaves the snapshot in use");
        store.commit(batch(60)).unwrap();
        store.trim(&|_| true).unwrap();
        assert_eq!(store.trimmed().head.sequence, 60, "{step:?}");
        assert!(store.verify().unwrap().is_sound(), "{step:?}");
    }
}

/// Copies a directory in which RocksDB may be removing files it is done with; says whether it got every one.
fn copied(from: &Path, to: &Path) -> bool {
    let _ = fs::remove_dir_all(to);
    std::panic::catch_unwind(|| copy_dir(from, to)).is_ok()
}

/// What is read back decides: a snapshot that the disk has spoilt removes nothing.
#[test]
fn a_snapshot_that_does_not_read_back_trims_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let store = filled(dir.path(), 5, 2);
    let spoil = |step| {
        if step == TrimStep::Written {
            let path = super::snapshot::path(dir.path(), 6);
            let mut bytes = fs::read(&path).unwrap();
            let middle = bytes.len() / 2;
            bytes[middle] ^= 1;
            fs::write(&path, bytes).unwrap();
        }
        true
    };
    assert!(matches!(store.trim(&spoil), Err(TrimError::Store(StoreError::Snapshot { sequence: 6, .. }))));
    assert_eq!((store.trimmed(), log(&store, 1).len()), (TrimPoint::NONE, 6));
    drop(store);
    assert_eq!(snapshots(dir.path()), 1);
    drop(open(dir.path()));
    assert_eq!(snapshots(dir.path()), 0, "a start removes it");
}

fn snapshots(dir: &Path) -> usize {
    let names = fs::read_dir(dir).unwrap().map(|item| item.unwrap().file_name().into_string().unwrap());
    names.filter(|name| name.starts_with("snapshot-")).count()
}

/// Files below `dir` that hold `bytes`.
fn holding(dir: &Path, bytes: &[u8]) -> Vec<String> {
    let mut found = Vec::new();
    for item in fs::read_dir(dir).unwrap() {
        let path = item.unwrap().path();
        if path.is_dir() {
            found.extend(holding(&path, bytes));
        } else if fs::read(&path).unwrap().windows(bytes.len()).any(|window| window == bytes) {
            found.push(path.file_name().unwrap().to_string_lossy().into_owned());
        }
    }
    found
}

/// The canary's key is the first and the last of its table in turn, so that RocksDB's list of files names it too.
#[test]
fn what_was_removed_is_in_no_file_after_a_trim() {
    for key in [*b"\0\0\0\0\0\0\0\x01canary-1", *b"\xff\xfelast canary ..", *b"\0\0\0\0\0\0\0\x2bcanary-m"] {
        let dir = tempfile::tempdir().unwrap();
        let store = filled(dir.path(), 30, 0);
        let canary = Batch { log: vec![b"canary".to_vec()], rows: vec![put(Table::Child, &key, b"canary")] };
        store.commit(canary).unwrap();
        for number in 33..60_u64 {
            let key = [&number.to_be_bytes()[..], b"neighbour"].concat();
            store.commit(Batch { log: vec![vec![1]], rows: vec![put(Table::Child, &key, b"other")] }).unwrap();
        }
        let sealed = |table: &str, key: &[u8]| {
            let guard = store.database();
            let db = guard.as_ref().unwrap();
            db.get_cf(db.cf_handle(table).unwrap(), key).unwrap().unwrap()
        };
        let looked_for = [key.to_vec(), sealed("child", &key), sealed("log", &32_u64.to_be_bytes())];
        store.trim(&|_| true).unwrap();
        assert!(!holding(dir.path(), &looked_for[0]).is_empty() && !holding(dir.path(), &looked_for[1]).is_empty());
        store
            .commit(Batch {
                log: vec![vec![2]],
                rows: vec![Row { table: Table::Child, key: key.to_vec(), value: None }],
            })
            .unwrap();
        for bytes in &looked_for[..2] {
            assert!(!holding(dir.path(), bytes).is_empty(), "it must be there before, or the search finds nothing");
        }
        store.trim(&|_| true).unwrap();
        for (n, bytes) in looked_for.iter().enumerate() {
            eventually(&format!("{n} of {:?} is gone", &key[..2]), || holding(dir.path(), bytes).is_empty());
        }
        assert!(store.verify().unwrap().is_sound());
    }
}

#[test]
fn a_damaged_or_missing_snapshot_is_named() {
    let dir = tempfile::tempdir().unwrap();
    let store = filled(dir.path(), 5, 2);
    let point = store.trim(&|_| true).unwrap();
    let path = super::snapshot::path(dir.path(), point.head.sequence);
    let whole = fs::read(&path).unwrap();
    for at in (0..whole.len()).step_by(5) {
        let mut bytes = whole.clone();
        bytes[at] ^= 1;
        fs::write(&path, bytes).unwrap();
        let report = store.verify().unwrap();
        assert!(matches!(report.faults[..], [StoreFault::Snapshot(_)]), "byte {at}: {report}");
    }
    for bytes in [&whole[..whole.len() - 1], &[&whole[..], b"x"].concat()] {
        fs::write(&path, bytes).unwrap();
        assert!(!store.verify().unwrap().is_sound());
    }
    fs::remove_file(&path).unwrap();
    assert!(matches!(store.verify().unwrap().faults[..], [StoreFault::Snapshot(_)]));
    fs::write(&path, whole).unwrap();
    assert!(store.verify().unwrap().is_sound());
}

#[test]
fn a_record_before_the_trim_that_comes_back_and_a_cut_off_one_after_it_are_named() {
    let dir = tempfile::tempdir().unwrap();
    let store = filled(dir.path(), 5, 2);
    store.trim(&|_| true).unwrap();
    store.commit(batch(7)).unwrap();
    store.commit(batch(8)).unwrap();
    let change = |change: &dyn Fn(&DB)| change(store.database().as_ref().unwrap());
    change(&|db| db.delete_cf(db.cf_handle("log").unwrap(), 7_u64.to_be_bytes()).unwrap());
    let report = store.verify().unwrap();
    assert!(report.faults.contains(&StoreFault::Log { sequence: 7, what: "missing" }), "{report}");
}

#[test]
fn without_room_or_told_to_stop_nothing_is_trimmed_and_nothing_is_left() {
    let (dir, disk) = (tempfile::tempdir().unwrap(), FaultyDisk::default());
    let options = StoreOptions { reserve_bytes: 1, ..options() };
    let store = super::open::open(dir.path(), keys(), options, Arc::new(disk.clone())).unwrap();
    let long = vec![7; MAX_VALUE_BYTES];
    for number in 1..=3_u64 {
        store.commit(Batch { log: vec![vec![1]], rows: vec![put(Table::Plan, &number.to_be_bytes(), &long)] }).unwrap();
    }
    disk.set_space(dir.path(), Space { available_bytes: 0, read_only: false });
    assert!(matches!(store.trim(&|_| true), Err(TrimError::NoRoom)));
    disk.heal();
    for step in [TrimStep::Writing, TrimStep::Written, TrimStep::Verified] {
        assert!(matches!(store.trim(&|done| done != step), Err(TrimError::GivenUp)));
        assert_eq!((store.trimmed(), log(&store, 1).len()), (TrimPoint::NONE, 3), "{step:?}");
    }
    disk.fail(dir.path(), crate::testing::Call::Sync, 1, false, 5);
    assert!(matches!(store.trim(&|_| true), Err(TrimError::Io(_))));
    assert_eq!(store.trimmed(), TrimPoint::NONE);
    store.commit(batch(4)).unwrap();
    assert_eq!(store.trim(&|_| true).unwrap().head.sequence, 4);
    assert_eq!(snapshots(dir.path()), 1);
}

/// Commits and scans go on beside a trim; none is lost.
#[test]
fn commits_beside_a_trim_are_kept() {
    let dir = tempfile::tempdir().unwrap();
    let store = filled(dir.path(), 500, 100);
    std::thread::scope(|scope| {
        let committing = scope.spawn(|| {
            for number in 502..700 {
                store.commit(batch(number)).unwrap();
            }
        });
        for _ in 0..3 {
            store.trim(&|_| true).unwrap();
        }
        committing.join().unwrap();
    });
    assert_eq!(store.head().sequence, 699);
    let report = store.verify().unwrap();
    assert!(report.is_sound(), "{report}");
    store.close();
    assert!(matches!(store.trim(&|_| true), Err(TrimError::Store(StoreError::Closed) | TrimError::Commit(_))));
}

const STEPS: [TrimStep; 7] = [
    TrimStep::Writing,
    TrimStep::Written,
    TrimStep::Verified,
    TrimStep::Marked,
    TrimStep::Replaced,
    TrimStep::Compacted,
    TrimStep::Rolled,
];
/// Directory and step of the process that is to be killed.
const CHILD: &str = "KITH_TEST_TRIM_CHILD";

/// Not a test of its own: the process that the next one kills. It trims up to a step, says so, and waits there.
#[test]
#[ignore = "started by a_process_killed_at_any_step_leaves_a_whole_store"]
fn trims_until_killed() {
    let Ok(told) = std::env::var(CHILD) else { return };
    let (step, dir) = told.split_once(' ').unwrap();
    let wanted = STEPS[step.parse::<usize>().unwrap()];
    let store = filled(Path::new(dir), 30, 10);
    store.trim(&|_| true).unwrap();
    store.commit(batch(40)).unwrap();
    store
        .trim(&|step| {
            if step == wanted {
                println!("reached");
                loop {
                    std::thread::park();
                }
            }
            true
        })
        .unwrap();
}

#[test]
fn a_process_killed_at_any_step_leaves_a_whole_store() {
    use std::io::{BufRead, BufReader};
    for (number, step) in STEPS.iter().enumerate() {
        let dir = tempfile::tempdir().unwrap();
        let mut child = std::process::Command::new(std::env::current_exe().unwrap())
            .args(["--ignored", "--exact", "--nocapture", "database::tests::trim::trims_until_killed"])
            .env(CHILD, format!("{number} {}", dir.path().display()))
            .stdout(std::process::Stdio::piped())
            .spawn()
            .unwrap();
        let lines = BufReader::new(child.stdout.take().unwrap()).lines();
        let reached = lines.map(Result::unwrap).any(|line| line.ends_with("reached"));
        child.kill().unwrap();
        child.wait().unwrap();
        assert!(reached, "{step:?}");
        let store = open(dir.path());
        assert_eq!(store.head().sequence, 32, "{step:?}");
        assert_eq!(store.trimmed().head.sequence, if *step < TrimStep::Marked { 31 } else { 32 }, "{step:?}");
        let report = store.verify().unwrap();
        assert!(report.is_sound(), "{step:?}: {report}");
        assert_eq!(snapshots(dir.path()), 1, "{step:?}");
        store.trim(&|_| true).unwrap();
        assert!(store.verify().unwrap().is_sound(), "{step:?}");
    }
}

#[test]
fn a_snapshot_has_these_bytes() {
    let dir = tempfile::tempdir().unwrap();
    let store = open(dir.path());
    store.commit(batch(5)).unwrap();
    let point = store.trim(&|_| true).unwrap();
    let bytes = fs::read(dir.path().join("snapshot-00000000000000000001")).unwrap();
    let (header, rest) = bytes.split_at(56);
    assert_eq!(header[..24], *b"KITHSNAP\0\x01\0\0\0\0\0\0\0\0\0\0\0\0\0\x01");
    assert_eq!(header[24..], point.head.chain);
    let sealed = "record 5".len() + crate::seal::SEAL_OVERHEAD_BYTES;
    assert_eq!(rest[..19], *b"\x04plan\0\x08\0\0\0\x32\0\0\0\0\0\0\0\x05", "name, lengths of 8 and {sealed}, key");
    let end = &rest[19 + sealed..];
    assert_eq!(end[..9], *b"\0\0\0\0\0\0\0\0\x01");
    assert_eq!(end[9..], *ring::digest::digest(&ring::digest::SHA256, &bytes[..bytes.len() - 32]).as_ref());
}
