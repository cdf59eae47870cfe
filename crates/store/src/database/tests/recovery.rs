//! What opening refuses, and what verifying names.

use super::*;
use crate::keys::Keys;
use crate::watermark::Watermark;

fn suspected(result: Result<Store, OpenError>) -> (u64, u64) {
    match result {
        Err(OpenError::DataLossSuspected { recovered, watermark }) => (recovered, watermark),
        other => panic!("expected DataLossSuspected, got {other:?}"),
    }
}

fn reopen(dir: &Path) -> Result<Store, OpenError> {
    Store::open(dir, keys(), options())
}

#[test]
fn an_older_copy_of_the_database_is_suspected() {
    let dir = tempfile::tempdir().unwrap();
    open(dir.path()).commit(batch(1)).unwrap();
    let kept = tempfile::tempdir().unwrap();
    copy_dir(&dir.path().join("db"), &kept.path().join("db"));
    open(dir.path()).commit(batch(2)).unwrap();
    fs::remove_dir_all(dir.path().join("db")).unwrap();
    copy_dir(&kept.path().join("db"), &dir.path().join("db"));
    assert_eq!(suspected(reopen(dir.path())), (1, 2));
}

#[test]
fn a_removed_database_is_suspected_and_not_made_anew() {
    let dir = tempfile::tempdir().unwrap();
    open(dir.path()).commit(batch(1)).unwrap();
    fs::remove_dir_all(dir.path().join("db")).unwrap();
    assert_eq!(suspected(reopen(dir.path())), (0, 1));
    assert!(!dir.path().join("db").exists());
}

#[test]
fn another_log_of_the_same_length_or_longer_is_suspected() {
    let dir = tempfile::tempdir().unwrap();
    let other = tempfile::tempdir().unwrap();
    open(dir.path()).commit(batch(1)).unwrap();
    for (recovered, number) in [(1, 1), (2, 2)] {
        open(other.path()).commit(batch(number)).unwrap();
        fs::copy(Watermark::path(dir.path()), dir.path().join("kept")).unwrap();
        copy_dir(&other.path().join("db"), &dir.path().join("swapped"));
        fs::rename(dir.path().join("db"), dir.path().join("old")).unwrap();
        fs::rename(dir.path().join("swapped"), dir.path().join("db")).unwrap();
        assert_eq!(suspected(reopen(dir.path())), (recovered, 1));
        fs::remove_dir_all(dir.path().join("db")).unwrap();
        fs::rename(dir.path().join("old"), dir.path().join("db")).unwrap();
        assert_eq!(fs::read(Watermark::path(dir.path())).unwrap(), fs::read(dir.path().join("kept")).unwrap());
    }
    drop(reopen(dir.path()).unwrap());
}

/// The write-ahead log as it stood while the store was open, as after a power cut.
fn newest_wal(dir: &Path) -> std::path::PathBuf {
    let files = fs::read_dir(dir.join("db")).unwrap().map(|item| item.unwrap().path());
    files.filter(|path| path.extension().is_some_and(|kind| kind == "log")).max().unwrap()
}

#[test]
fn a_damaged_tail_of_the_write_ahead_log_is_suspected_and_a_torn_unacknowledged_one_is_not() {
    let dir = tempfile::tempdir().unwrap();
    let store = open(dir.path());
    store.commit(batch(1)).unwrap();
    let acknowledged_bytes = fs::metadata(newest_wal(dir.path())).unwrap().len();
    let first_watermark = fs::read(Watermark::path(dir.path())).unwrap();
    store.commit(batch(2)).unwrap();
    let copy = tempfile::tempdir().unwrap();
    copy_dir(dir.path(), copy.path());
    drop(store);
    let whole = fs::read(newest_wal(copy.path())).unwrap();
    let last_record = usize::try_from(acknowledged_bytes).unwrap()..whole.len();
    for cut in last_record.clone().step_by(7).chain([whole.len() - 1]) {
        let torn = tempfile::tempdir().unwrap();
        copy_dir(copy.path(), torn.path());
        fs::write(newest_wal(torn.path()), &whole[..cut]).unwrap();
        assert_eq!(suspected(reopen(torn.path())), (1, 2), "cut at {cut} of {last_record:?}");
        // Had the second commit never been acknowledged, the same bytes are an ordinary torn tail.
        let torn = tempfile::tempdir().unwrap();
        copy_dir(copy.path(), torn.path());
        fs::write(newest_wal(torn.path()), &whole[..cut]).unwrap();
        fs::write(Watermark::path(torn.path()), &first_watermark).unwrap();
        assert_eq!(reopen(torn.path()).unwrap().head().sequence, 1, "cut at {cut}");
    }
}

#[test]
fn a_head_above_the_watermark_is_normal_and_heals() {
    let dir = tempfile::tempdir().unwrap();
    open(dir.path()).commit(batch(1)).unwrap();
    let older = fs::read(Watermark::path(dir.path())).unwrap();
    open(dir.path()).commit(batch(2)).unwrap();
    fs::write(Watermark::path(dir.path()), older).unwrap();
    let store = open(dir.path());
    assert_eq!(store.head().sequence, 2);
    assert!(store.verify().unwrap().is_sound());
}

#[test]
fn a_missing_or_damaged_small_file_is_named() {
    let dir = tempfile::tempdir().unwrap();
    open(dir.path()).commit(batch(1)).unwrap();
    for name in ["watermark", "format"] {
        let path = dir.path().join(name);
        let kept = fs::read(&path).unwrap();
        fs::remove_file(&path).unwrap();
        match reopen(dir.path()) {
            Err(OpenError::Damaged { what }) => assert!(what.contains(name), "{what}"),
            other => panic!("{other:?}"),
        }
        fs::write(&path, "rubbish").unwrap();
        assert!(matches!(reopen(dir.path()), Err(OpenError::Damaged { .. } | OpenError::Watermark(_))));
        fs::write(&path, kept).unwrap();
    }
    fs::write(dir.path().join("format"), "kith-store 2\n").unwrap();
    assert!(matches!(reopen(dir.path()), Err(OpenError::NewerFormat { found: 2, supported: 1 })));
}

#[test]
fn other_keys_and_a_second_opening_are_told_apart_from_damage() {
    let dir = tempfile::tempdir().unwrap();
    let store = open(dir.path());
    assert!(matches!(reopen(dir.path()), Err(OpenError::Locked)));
    drop(store);
    let other = Arc::new(Keys::from_master([8; 32]));
    assert!(matches!(Store::open(dir.path(), other, options()), Err(OpenError::KeyMismatch)));
    open(dir.path()).commit(batch(1)).unwrap();
}

/// Writes behind the store's back.
fn tamper(store: &Store, change: impl FnOnce(&DB)) {
    change(store.database().as_ref().unwrap());
}

#[test]
fn verify_names_what_was_tampered_with() {
    let dir = tempfile::tempdir().unwrap();
    let store = open(dir.path());
    for number in 1..=4 {
        store.commit(batch(number)).unwrap();
    }
    tamper(&store, |db| {
        let plans = db.cf_handle("plan").unwrap();
        let moved = db.get_cf(plans, 1_u64.to_be_bytes()).unwrap().unwrap();
        db.put_cf(plans, 9_u64.to_be_bytes(), moved).unwrap();
    });
    let report = store.verify().unwrap();
    assert!(matches!(&report.faults[..], [StoreFault::Sealed { table: "plan", key, .. }] if key[7] == 9), "{report}");
    tamper(&store, |db| {
        let log = db.cf_handle("log").unwrap();
        let altered = crate::seal::seal(&keys(), LOG_TAG, &2_u64.to_be_bytes(), b"other").unwrap();
        db.put_cf(log, 2_u64.to_be_bytes(), altered).unwrap();
    });
    let report = store.verify().unwrap();
    assert!(report.faults.contains(&StoreFault::Chain { sequence: 4 }), "{report}");
    let read = store.log_from(1, &mut |_, _| ControlFlow::Continue(()));
    assert!(matches!(read, Err(StoreError::Chain { sequence: 4 })));
    tamper(&store, |db| db.delete_cf(db.cf_handle("log").unwrap(), 3_u64.to_be_bytes()).unwrap());
    let report = store.verify().unwrap();
    assert!(report.faults.contains(&StoreFault::Log { sequence: 3, what: "missing" }), "{report}");
    let read = store.log_from(1, &mut |_, _| ControlFlow::Continue(()));
    assert!(matches!(read, Err(StoreError::Log { sequence: 3, .. })));
}

#[test]
fn verify_names_a_flipped_bit_in_a_table_file_and_takes_a_lagging_watermark_for_a_kill() {
    let dir = tempfile::tempdir().unwrap();
    open(dir.path()).commit(batch(1)).unwrap();
    let older = fs::read(Watermark::path(dir.path())).unwrap();
    open(dir.path()).commit(batch(2)).unwrap();
    drop(open(dir.path())); // A start writes what it recovered into table files.
    fs::write(Watermark::path(dir.path()), older).unwrap();
    let store = Store::open_read_only(dir.path(), keys(), options()).unwrap();
    let report = store.verify().unwrap();
    assert!(report.is_sound(), "{report}");
    assert!(report.to_string().contains("watermark: 1, 1 records after it were not acknowledged"), "{report}");
    drop(store);
    let mut flipped = 0;
    for item in fs::read_dir(dir.path().join("db")).unwrap() {
        let path = item.unwrap().path();
        if path.extension().is_some_and(|kind| kind == "sst") {
            let mut bytes = fs::read(&path).unwrap();
            bytes[20] ^= 1;
            fs::write(&path, bytes).unwrap();
            flipped += 1;
        }
    }
    assert!(flipped > 0);
    // Either opening or verifying finds it; nothing reads on as if nothing had happened.
    match Store::open_read_only(dir.path(), keys(), options()) {
        Ok(store) => {
            let report = store.verify().unwrap();
            assert!(report.faults.iter().any(|fault| matches!(fault, StoreFault::Unreadable { .. })), "{report}");
        }
        Err(OpenError::Database(_) | OpenError::Damaged { .. }) => {}
        Err(other) => panic!("{other:?}"),
    }
}
