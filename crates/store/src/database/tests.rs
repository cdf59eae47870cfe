//! Tests of the store through its public calls, with real files.

mod failing;
mod keyed;
mod recovery;
mod trim;

use std::fs;
use std::ops::ControlFlow;
use std::path::Path;
use std::sync::Arc;

use super::*;
use crate::testing::{FaultyDisk, keys};

fn options() -> StoreOptions {
    StoreOptions { reserve_bytes: 0, ..StoreOptions::default() }
}

/// Where another test starts a program, its process holds every open file, locks with them, until the program has begun.
fn open_with(dir: &Path, keys: Arc<Keys>) -> Result<Store, OpenError> {
    let mut opened = Store::open(dir, Arc::clone(&keys), options());
    for _ in 0..200 {
        if !matches!(opened, Err(OpenError::Locked)) {
            break;
        }
        std::thread::sleep(std::time::Duration::from_millis(10));
        opened = Store::open(dir, Arc::clone(&keys), options());
    }
    opened
}

fn open(dir: &Path) -> Store {
    open_with(dir, keys()).unwrap()
}

fn open_on(dir: &Path, disk: &FaultyDisk) -> Result<Store, OpenError> {
    super::open::open(dir, keys(), options(), Arc::new(disk.clone()))
}

fn put(table: Table, key: &[u8], value: &[u8]) -> Row {
    Row { table, key: key.to_vec(), value: Some(value.to_vec()) }
}

/// One record and one row, both named after `number`.
fn batch(number: u64) -> Batch {
    let text = format!("record {number}").into_bytes();
    Batch { rows: vec![put(Table::Plan, &number.to_be_bytes(), &text)], log: vec![text] }
}

fn log(store: &Store, from: u64) -> Vec<(u64, Vec<u8>)> {
    let mut found = Vec::new();
    store
        .log_from(from, &mut |number, record| {
            found.push((number, record.to_vec()));
            ControlFlow::Continue(())
        })
        .unwrap();
    found
}

fn rows(store: &Store, table: Table, from: &[u8], prefix: &[u8]) -> Vec<Vec<u8>> {
    let mut found = Vec::new();
    store
        .scan(table, from, prefix, &mut |key, _| {
            found.push(key.to_vec());
            ControlFlow::Continue(())
        })
        .unwrap();
    found
}

fn copy_dir(from: &Path, to: &Path) {
    fs::create_dir_all(to).unwrap();
    for item in fs::read_dir(from).unwrap() {
        let item = item.unwrap();
        let target = to.join(item.file_name());
        if item.file_type().unwrap().is_dir() {
            copy_dir(&item.path(), &target);
        } else {
            fs::copy(item.path(), target).unwrap();
        }
    }
}

#[test]
fn what_was_committed_is_there_after_reopening() {
    let dir = tempfile::tempdir().unwrap();
    let store = open(dir.path());
    assert_eq!(store.head(), Head::EMPTY);
    for number in 1..=3 {
        assert_eq!(store.commit(batch(number)).unwrap().sequence, number);
    }
    let head = store.head();
    drop(store);
    let store = open(dir.path());
    assert_eq!(store.head(), head);
    assert_eq!(store.get(Table::Plan, &2_u64.to_be_bytes()).unwrap().unwrap(), b"record 2");
    assert_eq!(store.get(Table::Child, &2_u64.to_be_bytes()).unwrap(), None);
    assert_eq!(log(&store, 0).len(), 3);
    assert_eq!(log(&store, 3), [(3, b"record 3".to_vec())]);
    assert_eq!(log(&store, 4), []);
    let report = store.verify().unwrap();
    assert!(report.is_sound(), "{report}");
    assert_eq!((report.log_records, report.watermark), (3, Some(head)));
}

#[test]
fn rows_are_replaced_deleted_and_scanned_in_order() {
    let dir = tempfile::tempdir().unwrap();
    let store = open(dir.path());
    let all = [&b"a1"[..], b"a2", b"b1", b"b2", b"b3", b"c"];
    let rows_in = all.iter().rev().map(|key| put(Table::Meta, key, key)).collect();
    store.commit(Batch { log: Vec::new(), rows: rows_in }).unwrap();
    assert_eq!(store.head(), Head::EMPTY, "rows alone do not move the head");
    store
        .commit(Batch {
            log: vec![b"x".to_vec()],
            rows: vec![
                Row { table: Table::Meta, key: b"b2".to_vec(), value: None },
                put(Table::Meta, b"a1", b"first"),
                put(Table::Meta, b"a1", b"second"),
            ],
        })
        .unwrap();
    assert_eq!(store.get(Table::Meta, b"a1").unwrap().unwrap(), b"second");
    assert_eq!(rows(&store, Table::Meta, b"", b""), [&b"a1"[..], b"a2", b"b1", b"b3", b"c"]);
    assert_eq!(rows(&store, Table::Meta, b"", b"b"), [b"b1", b"b3"]);
    assert_eq!(rows(&store, Table::Meta, b"b2", b"b"), [b"b3"]);
    assert_eq!(rows(&store, Table::Meta, b"b2", b""), [&b"b3"[..], b"c"]);
    let mut seen = 0;
    let stop = &mut |_: &[u8], _: &[u8]| {
        seen += 1;
        ControlFlow::Break(())
    };
    store.scan(Table::Meta, b"", b"", stop).unwrap();
    assert_eq!(seen, 1);
}

#[test]
fn the_chain_is_the_one_documented() {
    let dir = tempfile::tempdir().unwrap();
    let store = open(dir.path());
    let head = store.commit(Batch { log: vec![b"a".to_vec(), b"b".to_vec()], rows: Vec::new() }).unwrap();
    let guard = store.database();
    let db = guard.as_ref().unwrap();
    let mut chain = vec![0; 32];
    for number in 1..=2_u64 {
        let sealed = db.get_cf(db.cf_handle("log").unwrap(), number.to_be_bytes()).unwrap().unwrap();
        chain.extend_from_slice(&number.to_be_bytes());
        chain.extend_from_slice(&sealed);
        chain = ring::digest::digest(&ring::digest::SHA256, &chain).as_ref().to_vec();
    }
    assert_eq!((head.sequence, head.chain.to_vec()), (2, chain));
}

#[test]
fn a_batch_out_of_bounds_is_refused_whole() {
    let dir = tempfile::tempdir().unwrap();
    let store = open(dir.path());
    let bad = [
        Batch { log: vec![vec![0; MAX_VALUE_BYTES + 1]], rows: Vec::new() },
        Batch { log: vec![vec![1]], rows: vec![put(Table::Meta, b"", b"x")] },
        Batch { log: vec![vec![1]], rows: vec![put(Table::Meta, &[0; MAX_KEY_BYTES + 1], b"x")] },
        Batch { log: vec![vec![0; MAX_VALUE_BYTES]; 65], rows: Vec::new() },
        Batch { log: vec![Vec::new(); MAX_BATCH_ITEMS + 1], rows: Vec::new() },
    ];
    for batch in bad {
        assert!(matches!(store.commit(batch), Err(CommitError::Invalid(_))));
    }
    assert_eq!(store.head(), Head::EMPTY);
    store.commit(batch(1)).unwrap();
}

#[test]
fn a_store_opened_read_only_shows_all_and_writes_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let store = open(dir.path());
    store.commit(batch(1)).unwrap();
    drop(store);
    let store = Store::open_read_only(dir.path(), keys(), options()).unwrap();
    assert_eq!(log(&store, 1).len(), 1);
    let refused = store.commit(batch(2));
    assert!(matches!(refused, Err(CommitError::Refused { cause: RefusedCause::OpenedReadOnly })));
    assert!(store.verify().unwrap().is_sound());
}

#[test]
fn a_directory_of_an_older_version_is_not_read_as_damaged_and_is_whole_once_it_was_opened() {
    let dir = tempfile::tempdir().unwrap();
    open(dir.path()).commit(batch(1)).unwrap();
    let newest = *Table::ALL.last().unwrap();
    let mut db = rocks::open(dir.path(), &options()).unwrap();
    db.drop_cf(newest.name()).unwrap();
    drop(db);
    let Err(error) = Store::open_read_only(dir.path(), keys(), options()) else { panic!("read without a table") };
    assert!(matches!(error, OpenError::OlderTables { table } if table == newest.name()), "{error:?}");
    assert!(!error.is_damage() && !error.is_of_keys(), "{error}");
    assert!(error.to_string().contains("an older kithd wrote it"), "{error}");
    drop(open(dir.path()));
    let store = Store::open_read_only(dir.path(), keys(), options()).unwrap();
    assert!(store.verify().unwrap().is_sound());
}

#[test]
fn no_plaintext_reaches_the_disk() {
    let dir = tempfile::tempdir().unwrap();
    let canary = b"CANARY-4f1d9c";
    let store = open(dir.path());
    store.commit(Batch { log: vec![canary.to_vec()], rows: vec![put(Table::Child, b"k", canary)] }).unwrap();
    drop(store);
    drop(open(dir.path()));
    let mut pending = vec![dir.path().to_owned()];
    let mut files = 0;
    while let Some(path) = pending.pop() {
        if path.is_dir() {
            pending.extend(fs::read_dir(path).unwrap().map(|item| item.unwrap().path()));
        } else {
            files += 1;
            let bytes = fs::read(&path).unwrap();
            assert!(!bytes.windows(canary.len()).any(|window| window == canary), "{}", path.display());
        }
    }
    assert!(files > 5);
}
