//! Tests of key files, credentials and wrapping.

use std::fs::Permissions;

use super::*;

fn file(path: &Path) -> KeySource {
    KeySource::File(path.to_owned())
}

fn credential(directory: &Path) -> KeySource {
    KeySource::Credential { directory: Some(directory.to_owned()), name: "kith.key".to_owned() }
}

fn id(key: &KeyEncryptionKey) -> KeyId {
    key.wrapping().unwrap().id
}

#[test]
fn a_created_key_file_loads_again_and_is_never_replaced() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("kith.key");
    let created = KeyEncryptionKey::create(&path).unwrap();
    let read = KeyEncryptionKey::read(&file(&path)).unwrap();
    assert_eq!(id(&created), id(&read));
    assert_eq!(std::fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
    assert_eq!(std::fs::read(&path).unwrap().len(), 65);
    let again = KeyEncryptionKey::create(&path);
    assert!(matches!(again, Err(KeyError::Io(error)) if error.kind() == io::ErrorKind::AlreadyExists));
}

#[test]
fn a_key_file_that_others_may_read_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("kith.key");
    KeyEncryptionKey::create(&path).unwrap();
    for mode in [0o640, 0o604, 0o660, 0o610] {
        std::fs::set_permissions(&path, Permissions::from_mode(mode)).unwrap();
        let read = KeyEncryptionKey::read(&file(&path));
        assert!(matches!(read, Err(KeyError::TooOpen { mode: found }) if found == mode));
    }
    std::fs::set_permissions(&path, Permissions::from_mode(0o400)).unwrap();
    KeyEncryptionKey::read(&file(&path)).unwrap();
}

#[test]
fn anything_but_64_digits_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("kith.key");
    let contents = ["", "\n", &"a".repeat(63), &"a".repeat(65), &format!("{}\n\n", "a".repeat(64)), &"g".repeat(64)];
    for content in contents {
        std::fs::write(&path, content).unwrap();
        std::fs::set_permissions(&path, Permissions::from_mode(0o600)).unwrap();
        let read = KeyEncryptionKey::read(&file(&path));
        assert!(matches!(read, Err(KeyError::Malformed)), "{} bytes", content.len());
    }
    assert!(matches!(KeyEncryptionKey::read(&file(dir.path())), Err(KeyError::NotAFile)));
}

/// The service manager gives a credential to a service by an access list, whose mask shows as the group's mode bits.
#[test]
fn a_credential_may_show_the_mask_of_its_access_list_and_nothing_more() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("kith.key");
    KeyEncryptionKey::create(&path).unwrap();
    for mode in [0o400, 0o440, 0o600] {
        std::fs::set_permissions(&path, Permissions::from_mode(mode)).unwrap();
        KeyEncryptionKey::read(&credential(dir.path())).unwrap();
    }
    for mode in [0o444, 0o404, 0o460, 0o450] {
        std::fs::set_permissions(&path, Permissions::from_mode(mode)).unwrap();
        let read = KeyEncryptionKey::read(&credential(dir.path()));
        assert!(matches!(read, Err(KeyError::TooOpen { mode: found }) if found == mode), "{mode:o}");
    }
    let none = KeySource::Credential { directory: None, name: "kith.key".to_owned() };
    assert!(matches!(KeyEncryptionKey::read(&none), Err(KeyError::NoCredentials)));
}

#[test]
fn what_is_derived_never_changes() {
    let key = KeyEncryptionKey::from_bytes([7; 32]);
    let seal = "06418422cc365b05a63730132ed60843b628f44fa5b13bf8440ff8dedf380caf";
    assert_eq!(hex::encode(key.derive(b"seal").unwrap().as_slice()), seal);
    let all = [&b"seal"[..], b"pseudonym", b"body hash", b"wrap", b"keyring sum", b"key id"]
        .map(|label| hex::encode(key.derive(label).unwrap().as_slice()));
    for (at, one) in all.iter().enumerate() {
        assert!(all.iter().skip(at + 1).all(|other| other != one), "{at}");
    }
}

#[test]
fn what_was_wrapped_opens_for_the_same_use_with_the_same_key_alone() {
    let wrapping = KeyEncryptionKey::from_bytes([7; 32]).wrapping().unwrap();
    let other = KeyEncryptionKey::from_bytes([8; 32]).wrapping().unwrap();
    let wrapped = wrapping.wrap(b"data 1", &[9; 32]).unwrap();
    assert_eq!(wrapped.len(), 32 + WRAP_OVERHEAD_BYTES);
    assert_eq!(wrapping.open(b"data 1", &wrapped).unwrap().as_slice(), [9; 32]);
    assert!(wrapping.open(b"data 2", &wrapped).is_none() && other.open(b"data 1", &wrapped).is_none());
    assert_ne!(wrapped, wrapping.wrap(b"data 1", &[9; 32]).unwrap(), "nonces differ");
    for at in 0..wrapped.len() {
        let mut altered = wrapped.clone();
        altered[at] ^= 1;
        assert!(wrapping.open(b"data 1", &altered).is_none(), "byte {at}");
        assert!(wrapping.open(b"data 1", &wrapped[..at]).is_none(), "cut to {at}");
    }
}

#[test]
fn debug_shows_no_key() {
    assert_eq!(format!("{:?}", KeyEncryptionKey::from_bytes([0xab; 32])), "KeyEncryptionKey(redacted)");
}
