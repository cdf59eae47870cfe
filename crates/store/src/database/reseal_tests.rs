//! What a commit does between the look at a row and the write that seals it anew.

use super::*;
use crate::{Batch, KeyEncryptionKey, KeySource, KeyringEdit, Row, StoreOptions};
use std::sync::Arc;

/// A store of rows under the first data key, in which the second is in force.
fn rotated(root: &std::path::Path, rows: &[&[u8]]) -> Store {
    let (dir, file) = (root.join("data"), root.join("kith.key"));
    KeyEncryptionKey::create(&file).unwrap();
    let source = KeySource::File(file);
    let keys = Arc::new(Keys::open(&dir, &source).unwrap());
    let options = StoreOptions { reserve_bytes: 0, ..StoreOptions::default() };
    let store = Store::open(&dir, Arc::clone(&keys), options).unwrap();
    let rows = rows.iter().map(|key| row(key, Some(b"before"))).collect();
    store.commit(Batch { log: Vec::new(), rows }).unwrap();
    KeyringEdit::open(&dir, &source).unwrap().rotate(1).unwrap();
    keys.adopt(keys.look().unwrap().unwrap());
    store
}

fn row(key: &[u8], value: Option<&[u8]>) -> Row {
    Row { table: Table::Child, key: key.to_vec(), value: value.map(<[u8]>::to_vec) }
}

/// What the commit wrote stands, and what it removed is gone.
#[test]
fn a_row_that_was_changed_or_removed_since_it_was_looked_at_stays_so() {
    let root = tempfile::tempdir().unwrap();
    let store = rotated(root.path(), &[b"changed", b"removed", b"same"]);
    let stretch = store.stale_rows(Table::Child, &[]).unwrap();
    assert_eq!(stretch.keys, [&b"changed"[..], b"removed", b"same"]);
    let rows = vec![row(b"changed", Some(b"after")), row(b"removed", None)];
    store.commit(Batch { log: Vec::new(), rows }).unwrap();
    store.write_resealed(|db| store.resealed_rows(db, Table::Child, &stretch.keys), || {}).unwrap();
    let mut found = Vec::new();
    let mut note = |key: &[u8], value: &[u8]| {
        found.push((key.to_vec(), value.to_vec()));
        ControlFlow::Continue(())
    };
    store.scan(Table::Child, &[], &[], &mut note).unwrap();
    assert_eq!(found, [(b"changed".to_vec(), b"after".to_vec()), (b"same".to_vec(), b"before".to_vec())]);
    assert!(store.stale_rows(Table::Child, &[]).unwrap().keys.is_empty());
}

/// What the walk was for has ended then, and no more.
#[test]
fn a_second_rotation_in_the_middle_of_a_walk_makes_another_one_due() {
    let root = tempfile::tempdir().unwrap();
    let store = rotated(root.path(), &[b"a"]);
    let version = store.reseal_begin().unwrap();
    let source = KeySource::File(root.path().join("kith.key"));
    KeyringEdit::open(&root.path().join("data"), &source).unwrap().rotate(2).unwrap();
    store.keys.adopt(store.keys.look().unwrap().unwrap());
    let mut at = ResealPosition::default();
    while store.reseal_stretch(&mut at).unwrap() {}
    store.reseal_end(version).unwrap();
    assert_eq!((version, store.resealed_to(), store.keys.newest()), (2, 2, 3));
    assert!(store.reseal_is_due(), "what was written between the two stands under the second key");
}
