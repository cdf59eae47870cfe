//! Tests of key files and derivations.

use std::fs::Permissions;
use std::os::unix::fs::PermissionsExt;

use super::*;

#[test]
fn a_created_key_file_loads_again_and_is_never_replaced() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("kith.key");
    let created = Keys::create(&path).unwrap();
    let loaded = Keys::load(&path).unwrap();
    assert_eq!(created.pseudonym("child", &[b"a"]), loaded.pseudonym("child", &[b"a"]));
    assert_eq!(std::fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
    assert_eq!(std::fs::read(&path).unwrap().len(), 65);
    assert!(matches!(Keys::create(&path), Err(KeyError::Io(error)) if error.kind() == io::ErrorKind::AlreadyExists));
}

#[test]
fn a_key_file_that_others_may_read_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("kith.key");
    Keys::create(&path).unwrap();
    for mode in [0o640, 0o604, 0o660, 0o610] {
        std::fs::set_permissions(&path, Permissions::from_mode(mode)).unwrap();
        assert!(matches!(Keys::load(&path), Err(KeyError::TooOpen { mode: found }) if found == mode));
    }
    std::fs::set_permissions(&path, Permissions::from_mode(0o400)).unwrap();
    Keys::load(&path).unwrap();
}

#[test]
fn anything_but_64_digits_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("kith.key");
    let contents = ["", "\n", &"a".repeat(63), &"a".repeat(65), &format!("{}\n\n", "a".repeat(64)), &"g".repeat(64)];
    for content in contents {
        std::fs::write(&path, content).unwrap();
        std::fs::set_permissions(&path, Permissions::from_mode(0o600)).unwrap();
        assert!(matches!(Keys::load(&path), Err(KeyError::Malformed)), "{} bytes", content.len());
    }
    assert!(matches!(Keys::load(dir.path()), Err(KeyError::NotAFile)));
}

#[test]
fn derivations_never_change() {
    let keys = Keys::from_master([7; 32]);
    assert_eq!(hex::encode(keys.pseudonym("child", &[b"one", b"two"])), "9c7c6c088fc3716df6aaab186b9a7d2c");
    assert_eq!(hex::encode(keys.body_hash(b"body")), "db739f328c291adcb6ce7d4f56cc6cee");
    assert_eq!(hex::encode(keys.seal_key()), "06418422cc365b05a63730132ed60843b628f44fa5b13bf8440ff8dedf380caf");
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
