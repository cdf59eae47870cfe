//! Tests of derivations, and of the keyring as it is opened, changed by hand and taken into use.

use std::os::unix::fs::PermissionsExt;

use super::*;
use crate::keyring::KeyringEdit;

#[test]
fn derivations_never_change() {
    let keys = Keys::from_master([7; 32]);
    assert_eq!(hex::encode(keys.pseudonym("child", &[b"one", b"two"])), "9c7c6c088fc3716df6aaab186b9a7d2c");
    assert_eq!(hex::encode(keys.body_hash(b"body")), "db739f328c291adcb6ce7d4f56cc6cee");
    let (version, seal) = (keys.newest(), hex::encode(keys.ring().sealing().1));
    assert_eq!(seal, "06418422cc365b05a63730132ed60843b628f44fa5b13bf8440ff8dedf380caf");
    assert_eq!((version, keys.held(), keys.stamp()), (1, vec![1], None));
}

#[test]
fn parts_and_domains_never_run_into_each_other() {
    let keys = Keys::from_master([7; 32]);
    let all = [
        keys.pseudonym("child", &[b"ab", b"c"]),
        keys.pseudonym("child", &[b"a", b"bc"]),
        keys.pseudonym("child", &[b"abc"]),
        keys.pseudonym("child", &[b"abc", b""]),
        keys.pseudonym("childa", &[b"bc"]),
        keys.pseudonym("", &[b"child", b"abc"]),
        keys.body_hash(b"abc"),
        Keys::from_master([8; 32]).pseudonym("child", &[b"abc"]),
    ];
    for (at, one) in all.iter().enumerate() {
        assert!(all.iter().skip(at + 1).all(|other| other != one), "{at}");
    }
}

#[test]
fn debug_shows_no_key() {
    let keys = Keys::from_master([0xab; 32]);
    assert_eq!(format!("{keys:?}"), "Keys(version 1, redacted)");
}

/// A key file in a directory, and another one.
fn key_files(dir: &Path) -> [KeySource; 2] {
    ["one.key", "other.key"].map(|name| {
        KeyEncryptionKey::create(&dir.join(name)).unwrap();
        KeySource::File(dir.join(name))
    })
}

/// Keys of a data directory of which the keyring is written.
fn begun(dir: &Path, source: &KeySource) -> Keys {
    let keys = Keys::open(dir, source).unwrap();
    keys.keep(Unwritten::Fresh).unwrap();
    keys
}

#[test]
fn an_empty_data_directory_gets_random_keys_which_are_kept() {
    let dir = tempfile::tempdir().unwrap();
    let [key, _] = key_files(dir.path());
    let first = Keys::open(dir.path(), &key).unwrap();
    assert!(first.is_unwritten() && !keyring::path(dir.path()).exists(), "nothing is written by reading");
    assert!(first.are_new() && !Keys::from_master([7; 32]).are_new());
    first.keep(Unwritten::Adopted).unwrap();
    assert!(first.is_unwritten(), "it is not that kind");
    first.keep(Unwritten::Fresh).unwrap();
    let mode = std::fs::metadata(keyring::path(dir.path())).unwrap().permissions().mode();
    assert_eq!((first.is_unwritten(), mode & 0o777), (false, 0o600));
    let again = Keys::open(dir.path(), &key).unwrap();
    assert!(!first.are_new() && !again.are_new());
    assert_eq!(first.pseudonym("child", &[b"a"]), again.pseudonym("child", &[b"a"]));
    assert_eq!((first.stamp(), first.body_hash(b"b")), (again.stamp(), again.body_hash(b"b")));
    assert_eq!(first.ring().sealing(), again.ring().sealing());
    let elsewhere = tempfile::tempdir().unwrap();
    let other = Keys::open(elsewhere.path(), &key).unwrap();
    assert_ne!(first.pseudonym("child", &[b"a"]), other.pseudonym("child", &[b"a"]), "they do not come from the key");
}

/// Two starts at once make one keyring: the second is refused, not laid over the first.
#[test]
fn a_keyring_that_came_to_be_meanwhile_is_never_replaced() {
    let dir = tempfile::tempdir().unwrap();
    let [key, _] = key_files(dir.path());
    let (first, second) = (Keys::open(dir.path(), &key).unwrap(), Keys::open(dir.path(), &key).unwrap());
    first.keep(Unwritten::Fresh).unwrap();
    assert_eq!(second.keep(Unwritten::Fresh).unwrap_err().kind(), std::io::ErrorKind::AlreadyExists);
    assert_eq!(Keys::open(dir.path(), &key).unwrap().stamp(), first.stamp());
}

#[test]
fn another_or_a_missing_key_opens_no_keyring() {
    let dir = tempfile::tempdir().unwrap();
    let [key, other] = key_files(dir.path());
    begun(dir.path(), &key);
    let kept = std::fs::read(keyring::path(dir.path())).unwrap();
    assert!(matches!(Keys::open(dir.path(), &other), Err(KeyError::OtherKey { .. })));
    let gone = KeySource::File(dir.path().join("gone.key"));
    assert!(matches!(Keys::open(dir.path(), &gone), Err(KeyError::Io(_))));
    assert_eq!(std::fs::read(keyring::path(dir.path())).unwrap(), kept);
}

#[test]
fn a_new_version_seals_once_it_is_adopted_and_the_old_one_opens() {
    let dir = tempfile::tempdir().unwrap();
    let [key, _] = key_files(dir.path());
    let keys = begun(dir.path(), &key);
    let old = crate::seal::seal(&keys, "plan", b"k", b"plaintext").unwrap();
    let entry = AuditRef { journal: 1, sequence: 300 };
    let reference = keys.answer_ref(entry);
    assert!(keys.look().unwrap().is_none());
    KeyringEdit::open(dir.path(), &key).unwrap().rotate(1_000).unwrap();
    assert_eq!(keys.newest(), 1, "not before it is adopted");
    let new = keys.look().unwrap().unwrap();
    assert_eq!((new.newest(), new.held(), new.stamp().generation), (2, vec![1, 2], 2));
    keys.adopt(new);
    assert!(keys.look().unwrap().is_none());
    let sealed = crate::seal::seal(&keys, "plan", b"k", b"plaintext").unwrap();
    assert_eq!((old[1], sealed[1]), (1, 2));
    for value in [&old, &sealed] {
        assert_eq!(crate::seal::open(&keys, "plan", b"k", value).unwrap(), b"plaintext");
    }
    // The version is bound in: a value does not open as another version's.
    let mut renamed = sealed;
    renamed[1] = 1;
    assert_eq!(crate::seal::open(&keys, "plan", b"k", &renamed), Err(crate::SealError::Forged));
    let again = Keys::open(dir.path(), &key).unwrap();
    assert_eq!(crate::seal::open(&again, "plan", b"k", &old).unwrap(), b"plaintext");
    assert_eq!(keys.pseudonym("child", &[b"a"]), again.pseudonym("child", &[b"a"]), "names never change");
    for keys in [&keys, &again] {
        assert_eq!((keys.answered_by(reference), keys.answer_ref(entry)), (Some(entry), reference));
    }
}

#[test]
fn a_forgotten_version_opens_nothing_and_the_sealing_one_is_not_forgotten() {
    let dir = tempfile::tempdir().unwrap();
    let [key, _] = key_files(dir.path());
    let keys = begun(dir.path(), &key);
    let old = crate::seal::seal(&keys, "plan", b"k", b"plaintext").unwrap();
    let edit = || KeyringEdit::open(dir.path(), &key).unwrap();
    assert!(matches!(edit().forget(1), Err(KeyError::Sealing { version: 1 })));
    assert!(matches!(edit().forget(7), Err(KeyError::NotHeld { version: 7 })));
    assert!(keys.look().unwrap().is_none(), "what was refused changes nothing");
    edit().rotate(1_000).unwrap();
    edit().forget(1).unwrap();
    assert_eq!(edit().status().versions, [(2, 1_000)]);
    assert!(matches!(keys.look(), Err(KeyError::KeyringForeign)), "it seals with version 1 now");
    let keys = Keys::open(dir.path(), &key).unwrap();
    let found = crate::seal::open(&keys, "plan", b"k", &old);
    assert_eq!(found, Err(crate::SealError::UnknownKeyVersion { found: 1 }));
    edit().rotate(2_000).unwrap();
    assert_eq!(edit().status().newest, 3, "a number is not used twice");
}

#[test]
fn wrapping_anew_keeps_every_key_and_shuts_the_old_one_out() {
    let dir = tempfile::tempdir().unwrap();
    let [key, other] = key_files(dir.path());
    let keys = begun(dir.path(), &key);
    KeyringEdit::open(dir.path(), &key).unwrap().rewrap(&other).unwrap();
    assert!(matches!(Keys::open(dir.path(), &key), Err(KeyError::OtherKey { .. })));
    assert!(matches!(keys.look(), Err(KeyError::OtherKey { .. })), "its key file is still the old one");
    let opened = Keys::open(dir.path(), &other).unwrap();
    assert_eq!(opened.ring().sealing(), keys.ring().sealing());
    assert_eq!(opened.pseudonym("child", &[b"a"]), keys.pseudonym("child", &[b"a"]));
    std::fs::rename(dir.path().join("other.key"), dir.path().join("one.key")).unwrap();
    let new = keys.look().unwrap().unwrap();
    keys.adopt(new);
    assert_eq!(keys.stamp(), opened.stamp());
}

#[test]
fn an_older_keyring_or_that_of_another_directory_is_not_taken() {
    let (dir, elsewhere) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let [key, _] = key_files(dir.path());
    begun(dir.path(), &key);
    let path = keyring::path(dir.path());
    let older = std::fs::read(&path).unwrap();
    KeyringEdit::open(dir.path(), &key).unwrap().rotate(1_000).unwrap();
    let keys = Keys::open(dir.path(), &key).unwrap();
    std::fs::write(&path, older).unwrap();
    assert!(matches!(keys.look(), Err(KeyError::KeyringOlder { found: 1, known: 2 })));
    begun(elsewhere.path(), &key);
    for _ in 0..2 {
        KeyringEdit::open(elsewhere.path(), &key).unwrap().rotate(1_000).unwrap();
    }
    std::fs::copy(keyring::path(elsewhere.path()), &path).unwrap();
    assert!(matches!(keys.look(), Err(KeyError::KeyringForeign)));
    std::fs::remove_file(&path).unwrap();
    assert!(matches!(keys.look(), Err(KeyError::NoKeyring)));
    assert_eq!((keys.newest(), keys.held()), (2, vec![1, 2]), "what is in force stays");
}

/// A verb that was killed between putting a keyring in its place and making its name durable leaves one that a power cut takes
/// away again: nothing is sealed with its newest key before the name is durable.
#[test]
fn a_keyring_is_made_durable_before_anything_is_sealed_with_it() {
    fn lost(_: &Path) -> std::io::Result<()> {
        Err(std::io::Error::other("the disk is gone"))
    }
    let dir = tempfile::tempdir().unwrap();
    let [key, _] = key_files(dir.path());
    let mut keys = begun(dir.path(), &key);
    KeyringEdit::open(dir.path(), &key).unwrap().rotate(1_000).unwrap();
    keys.place.as_mut().unwrap().settle = lost;
    assert!(matches!(keys.look(), Err(KeyError::Keyring(_))));
    keys.place.as_mut().unwrap().settle = disk::settle;
    assert_eq!(keys.look().unwrap().unwrap().newest(), 2);

    let mut starting = Keys::open(dir.path(), &key).unwrap();
    starting.place.as_mut().unwrap().settle = lost;
    let opened = crate::Store::open(dir.path(), Arc::new(starting), crate::StoreOptions::default());
    assert!(matches!(opened, Err(crate::OpenError::Io(_))));
    assert!(!dir.path().join("db").exists(), "nothing is written with it");
    disk::settle(&keyring::path(dir.path())).unwrap();
    assert!(disk::settle(&dir.path().join("gone")).is_err());
}
