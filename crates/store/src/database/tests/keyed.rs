//! A data directory with a keyring: adopted, sealed anew while commits go on, killed at every step, and its old key forgotten.

use super::*;
use crate::disk::Space;
use crate::testing::eventually;
use crate::{KeyEncryptionKey, KeyError, KeySource, KeyringEdit};

/// Rows of one table: more than one stretch takes.
const ROWS: u64 = 700;

/// A data directory and its key file, which stands elsewhere.
struct Keyed {
    root: tempfile::TempDir,
    source: KeySource,
}

impl Keyed {
    fn new() -> Self {
        let root = tempfile::tempdir().unwrap();
        let path = root.path().join("kith.key");
        KeyEncryptionKey::create(&path).unwrap();
        Self { root, source: KeySource::File(path) }
    }

    /// A store with a past: many rows, a trimmed log, and records after it.
    fn lived() -> (Self, Store) {
        let keyed = Self::new();
        let store = keyed.open();
        let many = (1..=ROWS).map(|number| put(Table::Child, &number.to_be_bytes(), &number.to_le_bytes()));
        store.commit(Batch { log: vec![b"many".to_vec()], rows: many.collect() }).unwrap();
        store.trim(&|_| true).unwrap();
        for number in 1..=5 {
            store.commit(batch(number)).unwrap();
        }
        store.note_keyring(store.keys.stamp().unwrap()).unwrap();
        (keyed, store)
    }

    fn dir(&self) -> std::path::PathBuf {
        self.root.path().join("data")
    }

    fn keys(&self) -> Arc<Keys> {
        Arc::new(Keys::open(&self.dir(), &self.source).unwrap())
    }

    fn open(&self) -> Store {
        open_with(&self.dir(), self.keys()).unwrap()
    }

    fn edit(&self) -> KeyringEdit {
        KeyringEdit::open(&self.dir(), &self.source).unwrap()
    }

    /// Another version from now on, in the file and in the store.
    fn rotate(&self, store: &Store) {
        self.edit().rotate(1).unwrap();
        store.keys.adopt(store.keys.look().unwrap().unwrap());
    }
}

/// Everything that is held.
fn state(store: &Store) -> Vec<(Table, Vec<u8>, Vec<u8>)> {
    let mut found = Vec::new();
    for table in Table::ALL {
        store
            .scan(table, &[], &[], &mut |key, value| {
                found.push((table, key.to_vec(), value.to_vec()));
                ControlFlow::Continue(())
            })
            .unwrap();
    }
    found
}

/// Seals everything anew, as the engine does; `step` is called after each write.
fn reseal(store: &Store, step: &mut dyn FnMut()) {
    let version = store.reseal_begin().unwrap();
    let mut at = ResealPosition::default();
    while store.reseal_stretch(&mut at).unwrap() {
        step();
    }
    step();
    store.trim(&|_| true).unwrap();
    step();
    store.reseal_end(version).unwrap();
    step();
}

fn versions(counts: &std::collections::BTreeMap<u8, u64>) -> Vec<u8> {
    counts.keys().copied().collect()
}

#[test]
fn what_was_sealed_before_there_were_keyrings_is_adopted_once_the_key_is_known_to_open_it() {
    let keyed = Keyed::new();
    let hex = fs::read_to_string(keyed.root.path().join("kith.key")).unwrap();
    let master = <[u8; 32]>::try_from(hex::decode(hex.trim()).unwrap()).unwrap();
    let old = open_with(&keyed.dir(), Arc::new(Keys::from_master(master))).unwrap();
    old.commit(batch(1)).unwrap();
    drop(old);
    let keyring = keyed.dir().join("keyring");
    let other = keyed.root.path().join("other.key");
    KeyEncryptionKey::create(&other).unwrap();
    let wrong = Keys::open(&keyed.dir(), &KeySource::File(other)).unwrap();
    assert!(matches!(open_with(&keyed.dir(), Arc::new(wrong)), Err(OpenError::KeyringMissing)));
    let read_only = Store::open_read_only(&keyed.dir(), keyed.keys(), options()).unwrap();
    assert!(read_only.verify().unwrap().is_sound() && !keyring.exists(), "verifying writes nothing");
    drop(read_only);
    let store = keyed.open();
    assert_eq!((log(&store, 1).len(), store.keys.stamp().unwrap().generation), (1, 1));
    assert_eq!(store.keys.pseudonym("child", &[b"a"]), Keys::from_master(master).pseudonym("child", &[b"a"]));
    drop(store);
    assert!(keyring.exists());
    assert_eq!(log(&keyed.open(), 1).len(), 1);
}

#[test]
fn a_missing_or_older_keyring_and_a_missing_version_open_nothing_and_make_nothing() {
    let (keyed, store) = Keyed::lived();
    let keyring = keyed.dir().join("keyring");
    let first = fs::read(&keyring).unwrap();
    keyed.rotate(&store);
    store.commit(batch(9)).unwrap();
    drop(store);
    let second = fs::read(&keyring).unwrap();
    let opened = || open_with(&keyed.dir(), keyed.keys());

    fs::write(&keyring, &first).unwrap();
    assert!(matches!(opened(), Err(OpenError::KeyMissing { version: 2 })), "the head stands under it");
    fs::remove_file(&keyring).unwrap();
    assert!(matches!(opened(), Err(OpenError::KeyringMissing)));
    assert!(!keyring.exists(), "no empty one in its place");
    fs::write(&keyring, &second).unwrap();
    let store = opened().unwrap();
    reseal(&store, &mut || {});
    store.note_keyring(store.keys.stamp().unwrap()).unwrap();
    keyed.edit().rotate(2).unwrap();
    let third = fs::read(&keyring).unwrap();
    store.keys.adopt(store.keys.look().unwrap().unwrap());
    store.note_keyring(store.keys.stamp().unwrap()).unwrap();
    drop(store);
    fs::write(&keyring, &second).unwrap();
    assert!(matches!(opened(), Err(OpenError::KeyMissing { version: 3 })), "the note of the keyring stands under it");
    fs::write(&keyring, &third).unwrap();
    assert!(opened().unwrap().verify().unwrap().is_sound());
}

#[test]
fn a_keyring_that_was_put_back_is_refused_though_it_opens_everything() {
    let (keyed, store) = Keyed::lived();
    let keyring = keyed.dir().join("keyring");
    let older = fs::read(&keyring).unwrap();
    // Wrapped anew: the same keys, and whoever has the old wrapping key is to be shut out.
    let other = keyed.root.path().join("other.key");
    KeyEncryptionKey::create(&other).unwrap();
    keyed.edit().rewrap(&KeySource::File(other.clone())).unwrap();
    fs::rename(&other, keyed.root.path().join("kith.key.new")).unwrap();
    let old_key = keyed.root.path().join("kith.key.old");
    fs::rename(keyed.root.path().join("kith.key"), &old_key).unwrap();
    fs::rename(keyed.root.path().join("kith.key.new"), keyed.root.path().join("kith.key")).unwrap();
    let new = store.keys.look().unwrap().unwrap();
    let stamp = new.stamp();
    store.keys.adopt(new);
    store.note_keyring(stamp).unwrap();
    assert_eq!(store.noted_keyring(), Some(stamp));
    drop(store);
    assert_eq!(keyed.open().noted_keyring(), Some(stamp));
    fs::write(&keyring, older).unwrap();
    let put_back = Keys::open(&keyed.dir(), &KeySource::File(old_key)).unwrap();
    let opened = open_with(&keyed.dir(), Arc::new(put_back));
    assert!(matches!(opened, Err(OpenError::KeyringOlder { found: 1, known: 2 })));
}

#[test]
fn everything_of_the_state_stands_under_the_new_key_afterwards_and_the_old_one_can_go() {
    let (keyed, store) = Keyed::lived();
    let (before, head) = (state(&store), store.head());
    assert_eq!(store.key_uses().unwrap().of(1).len(), 3, "state, log and snapshot");
    keyed.rotate(&store);
    assert!(store.reseal_is_due() && store.resealed_to() == 1);
    assert!(store.reseal_left(&ResealPosition::default()) >= ROWS);
    reseal(&store, &mut || {});
    assert!(!store.reseal_is_due());
    let uses = store.key_uses().unwrap();
    assert_eq!((versions(&uses.state), versions(&uses.snapshot), versions(&uses.log)), (vec![2], vec![2], vec![]));
    assert_eq!((uses.of(1), state(&store) == before, store.head()), (vec![], true, head));
    drop(store);
    keyed.edit().forget(1).unwrap();
    let store = keyed.open();
    assert_eq!((store.keys.held(), store.resealed_to()), (vec![2], 2));
    let report = store.verify().unwrap();
    assert!(report.is_sound() && state(&store) == before, "{report}");
}

/// The log keeps its bytes, and so its chain; its records need the old key until they are trimmed.
#[test]
fn the_log_is_never_sealed_anew() {
    let (keyed, store) = Keyed::lived();
    let sealed = || {
        let guard = store.database();
        let db = guard.as_ref().unwrap();
        (2..=6_u64)
            .map(|n| db.get_cf(db.cf_handle("log").unwrap(), n.to_be_bytes()).unwrap().unwrap())
            .collect::<Vec<_>>()
    };
    let (before, head) = (sealed(), store.head());
    keyed.rotate(&store);
    store.reseal_begin().unwrap();
    let mut at = ResealPosition::default();
    while store.reseal_stretch(&mut at).unwrap() {}
    assert!(sealed() == before && store.head() == head);
    let uses = store.key_uses().unwrap();
    assert_eq!((uses.log.get(&1), uses.snapshot.get(&1)), (Some(&5), Some(&ROWS)));
    assert_eq!(uses.of(1).first().map(|(what, _)| *what), Some("rows of the state"), "the store's own");
    let report = store.verify().unwrap();
    assert!(report.is_sound(), "{report}");
}

/// The files after every write, as a kill would leave them, open, hold the same, verify, and are finished by the next start.
#[test]
fn killed_after_any_write_it_opens_and_goes_on() {
    let (keyed, store) = Keyed::lived();
    let before = state(&store);
    keyed.rotate(&store);
    let copies = tempfile::tempdir().unwrap();
    let mut taken = Vec::new();
    reseal(&store, &mut || {
        let to = copies.path().join(taken.len().to_string());
        eventually("a copy of files at rest", || {
            let _ = fs::remove_dir_all(&to);
            std::panic::catch_unwind(|| copy_dir(&keyed.dir(), &to)).is_ok()
        });
        taken.push(to);
    });
    assert!(taken.len() >= 6, "{} writes", taken.len());
    let last = taken.len() - 1;
    for (step, copy) in taken.iter().enumerate() {
        let keys = || Arc::new(Keys::open(copy, &keyed.source).unwrap());
        let report = Store::open_read_only(copy, keys(), options()).unwrap().verify().unwrap();
        assert!(report.is_sound(), "{step}: {report}");
        let store = open_with(copy, keys()).unwrap();
        assert_eq!((state(&store) == before, store.reseal_is_due()), (true, step < last), "{step}");
        reseal(&store, &mut || {});
        let uses = store.key_uses().unwrap();
        assert_eq!((uses.of(1), store.resealed_to()), (vec![], 2), "{step}");
        let report = store.verify().unwrap();
        assert!(report.is_sound() && state(&store) == before, "{step}: {report}");
    }
}

/// Commits go on before, while and after the key changes; none of their rows is left behind under the old one.
#[test]
fn commits_beside_it_leave_nothing_under_the_old_key() {
    let (keyed, store) = Keyed::lived();
    let done = AtomicBool::new(false);
    std::thread::scope(|scope| {
        let committing = scope.spawn(|| {
            // An end of its own, should the assertions below fail.
            for number in 10..50_000 {
                if done.load(Ordering::Acquire) {
                    break;
                }
                store.commit(batch(number)).unwrap();
                let again = (number % ROWS).to_be_bytes();
                let rows = vec![put(Table::Child, &again, b"changed"), put(Table::Plan, &[0], &again)];
                store.commit(Batch { log: Vec::new(), rows }).unwrap();
            }
        });
        for newest in 2..=4 {
            keyed.rotate(&store);
            reseal(&store, &mut || {});
            let uses = store.key_uses().unwrap();
            assert_eq!((versions(&uses.state), versions(&uses.snapshot)), (vec![newest], vec![newest]));
        }
        done.store(true, Ordering::Release);
        committing.join().unwrap();
    });
    let report = store.verify().unwrap();
    assert!(report.is_sound(), "{report}");
}

/// What does not open is told and stays; the store goes on, and the old key is still needed.
#[test]
fn a_damaged_row_ends_the_walk_and_nothing_else() {
    let (keyed, store) = Keyed::lived();
    {
        let guard = store.database();
        let db = guard.as_ref().unwrap();
        let children = db.cf_handle("child").unwrap();
        let moved = db.get_cf(children, 1_u64.to_be_bytes()).unwrap().unwrap();
        db.put_cf(children, 600_u64.to_be_bytes(), moved).unwrap();
    }
    keyed.rotate(&store);
    store.reseal_begin().unwrap();
    let mut at = ResealPosition::default();
    let fault = loop {
        match store.reseal_stretch(&mut at) {
            Ok(more) => assert!(more, "the damaged row was passed over"),
            Err(error) => break error,
        }
    };
    assert!(matches!(fault, ResealError::Store(StoreError::Sealed { table: "child", .. })), "{fault}");
    store.commit(batch(20)).unwrap();
    assert!(store.reseal_is_due() && !store.key_uses().unwrap().of(1).is_empty());
}

#[test]
fn without_room_nothing_is_written_and_later_it_goes_on() {
    let (keyed, store) = Keyed::lived();
    drop(store);
    let disk = FaultyDisk::default();
    let options = StoreOptions { reserve_bytes: 1, ..options() };
    let store = super::open::open(&keyed.dir(), keyed.keys(), options, Arc::new(disk.clone())).unwrap();
    keyed.rotate(&store);
    disk.set_space(&keyed.dir(), Space { available_bytes: 0, read_only: false });
    let refused = |outcome: Result<(), ResealError>| {
        assert!(matches!(outcome, Err(ResealError::Commit(CommitError::Refused { .. }))), "{outcome:?}");
    };
    refused(store.reseal_stretch(&mut ResealPosition::default()).map(|_| ()));
    refused(store.reseal_end(2));
    refused(store.note_keyring(store.keys.stamp().unwrap()));
    assert_eq!((store.resealed_to(), versions(&store.key_uses().unwrap().state)), (1, vec![1]));
    disk.heal();
    reseal(&store, &mut || {});
    assert_eq!(store.resealed_to(), 2);
    assert!(matches!(keyed.edit().forget(2), Err(KeyError::Sealing { version: 2 })));
}
