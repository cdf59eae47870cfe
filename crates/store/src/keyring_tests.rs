//! Tests of the keyring's file: its bytes, and what of it is refused.

use super::*;

const KEK: [u8; 32] = [7; 32];

fn wrapping(key: [u8; 32]) -> Wrapping {
    KeyEncryptionKey::from_bytes(key).wrapping().unwrap()
}

/// A keyring of three versions.
fn keyring() -> Keyring {
    let names = NameKeys { pseudonym: [1; 32], body: [2; 32] };
    let key = |made_at, byte| DataKey { made_at, key: Zeroizing::new([byte; 32]) };
    let keys = BTreeMap::from([(2, key(0, 3)), (5, key(1_795_359_600_000, 4)), (6, key(1_795_359_600_001, 5))]);
    Keyring::new(9, names, keys).unwrap()
}

fn damaged(file: &[u8]) -> &'static str {
    match Keyring::decode(file, &wrapping(KEK)) {
        Err(KeyError::KeyringDamaged { what }) => what,
        Err(other) => panic!("{other}"),
        Ok(_) => panic!("it opened"),
    }
}

#[test]
fn the_layout_never_changes() {
    let file = keyring().encode(&wrapping(KEK)).unwrap();
    let length = 32 + 104 + 3 * 81 + 36;
    assert_eq!(file.len(), 32_768 + length);
    assert_eq!(file[..length], file[32_768..], "two copies");
    assert_eq!(file[..12], *b"KITHKEYS\0\x01\0\0");
    assert_eq!(file[12..20], wrapping(KEK).id.0);
    assert_eq!(file[20..32], [0, 0, 0, 0, 0, 0, 0, 9, 6, 3, 0, 0]);
    let open = |bound: &[u8], at: usize, plain: usize| {
        wrapping(KEK).open(bound, &file[at..at + plain + WRAP_OVERHEAD_BYTES]).unwrap().to_vec()
    };
    assert_eq!(open(b"kith keyring names\0\0\0\0\0\0\0\0\0", 32, 64), [[1; 32], [2; 32]].concat());
    assert_eq!(file[136], 2);
    assert_eq!(open(b"kith keyring data\x02\0\0\0\0\0\0\0\0", 145, 32), [3; 32]);
    assert_eq!(file[217..226], [&[5][..], &1_795_359_600_000_i64.to_be_bytes()].concat());
    let sum = wrapping(KEK).sum(&file[..length - 36]);
    assert_eq!(file[length - 36..length - 4], *sum.as_ref());
    assert_eq!(file[length - 4..length], crc32c::crc32c(&file[..length - 4]).to_be_bytes());
}

#[test]
fn what_was_written_reads_back() {
    let file = keyring().encode(&wrapping(KEK)).unwrap();
    let read = Keyring::decode(&file, &wrapping(KEK)).unwrap();
    assert_eq!((read.generation, read.newest, read.versions().collect::<Vec<_>>()), (9, 6, vec![2, 5, 6]));
    assert!(read.names == keyring().names && read.continues(&keyring()));
    assert_eq!((read.key(2), read.key(6), read.key(1)), (Some(&[3; 32]), Some(&[5; 32]), None));
    assert_eq!(*read.sealing, [5; 32]);
    assert!(keyring().encode(&wrapping(KEK)).unwrap() != file, "nonces differ");
}

/// A torn write, or a bad block: one copy is enough, whichever it is, and none is told from another key.
#[test]
fn one_whole_copy_is_enough_and_none_is_damage() {
    let whole = keyring().encode(&wrapping(KEK)).unwrap();
    let block = whole.len() - COPY_STRIDE;
    // Cut within the two bytes of the format, what stands there reads as a newer one.
    for length in (0..block).filter(|length| !(8..10).contains(length)) {
        let mut first_torn = whole.clone();
        first_torn[length..COPY_STRIDE].iter_mut().for_each(|byte| *byte = !*byte);
        assert_eq!(Keyring::decode(&first_torn, &wrapping(KEK)).unwrap().generation, 9, "first cut at {length}");
        assert_eq!(damaged(&first_torn[..COPY_STRIDE + length]), "neither copy in the file is whole");
        let second_torn = &whole[..COPY_STRIDE + length];
        assert_eq!(Keyring::decode(second_torn, &wrapping(KEK)).unwrap().generation, 9, "second cut at {length}");
        assert_eq!(damaged(&whole[..length]), "neither copy in the file is whole");
    }
    assert_eq!(damaged(&[]), "neither copy in the file is whole");
}

#[test]
fn another_key_is_told_from_damage() {
    let file = keyring().encode(&wrapping(KEK)).unwrap();
    match Keyring::decode(&file, &wrapping([8; 32])) {
        Err(KeyError::OtherKey { wanted, found }) => {
            assert_eq!((wanted, found), (wrapping(KEK).id, wrapping([8; 32]).id));
        }
        Err(other) => panic!("{other}"),
        Ok(_) => panic!("it opened"),
    }
}

/// Whoever can write to the disk and does not have the key changes nothing unseen, though every checksum is made right.
#[test]
fn whatever_is_altered_is_found_without_the_checksum() {
    let file = keyring().encode(&wrapping(KEK)).unwrap();
    let block = file.len() - COPY_STRIDE;
    for at in 0..block - 4 {
        let mut altered = file[..block].to_vec();
        altered[at] ^= 1;
        let check = crc32c::crc32c(&altered[..block - 4]).to_be_bytes();
        altered[block - 4..].copy_from_slice(&check);
        let read = Keyring::decode(&altered, &wrapping(KEK));
        assert!(read.is_err(), "byte {at}");
        let of_key = (12..20).contains(&at);
        assert_eq!(matches!(read, Err(KeyError::OtherKey { .. })), of_key, "byte {at}");
    }
}

/// With the sum made right too, which takes the key, no wrapped key opens in another's place.
#[test]
fn a_wrapped_key_is_bound_to_its_version() {
    let file = keyring().encode(&wrapping(KEK)).unwrap();
    for at in [32, 60, 136, 137, 144, 145, 200, 217, 298] {
        let mut altered = file.clone();
        altered[at] ^= 1;
        let what = damaged(&mended(&altered[..COPY_STRIDE], &wrapping(KEK)));
        assert!(what.ends_with("not open"), "byte {at}: {what}");
    }
    let mut swapped = file.clone();
    let (two, five) = (file[145..217].to_vec(), file[226..298].to_vec());
    swapped[145..217].copy_from_slice(&five);
    swapped[226..298].copy_from_slice(&two);
    assert_eq!(damaged(&mended(&swapped[..COPY_STRIDE], &wrapping(KEK))), "a data key does not open");
    let mut older = file.clone();
    older[28] = 5;
    assert_eq!(damaged(&mended(&older[..COPY_STRIDE], &wrapping(KEK))), "the newest version is missing");
}

#[test]
fn a_newer_format_and_a_file_too_long_are_refused() {
    let mut file = keyring().encode(&wrapping(KEK)).unwrap();
    file[9] = 2;
    file[COPY_STRIDE + 9] = 2;
    assert!(matches!(Keyring::decode(&file, &wrapping(KEK)), Err(KeyError::KeyringNewer { found: 2 })));
    let dir = tempfile::tempdir().unwrap();
    std::fs::write(path(dir.path()), vec![0; 70_000]).unwrap();
    assert!(matches!(read(&path(dir.path())), Err(KeyError::KeyringDamaged { .. })));
}

/// Killed while it is replaced, the old one stands beside part of a new one, which nobody reads.
#[test]
fn a_replacement_that_was_broken_off_leaves_the_old_one() {
    let dir = tempfile::tempdir().unwrap();
    let key = dir.path().join("kith.key");
    KeyEncryptionKey::create(&key).unwrap();
    let source = KeySource::File(key);
    let wrapping = KeyEncryptionKey::read(&source).unwrap().wrapping().unwrap();
    std::fs::write(path(dir.path()), keyring().encode(&wrapping).unwrap()).unwrap();
    std::fs::write(dir.path().join("keyring.new"), &keyring().encode(&wrapping).unwrap()[..100]).unwrap();
    let mut edit = KeyringEdit::open(dir.path(), &source).unwrap();
    assert_eq!(edit.status().generation, 9);
    edit.rotate(1).unwrap();
    assert!(!dir.path().join("keyring.new").exists());
    drop(edit);
    assert_eq!(KeyringEdit::open(dir.path(), &source).unwrap().status().newest, 7);
}

#[test]
fn two_do_not_change_it_at_once_and_255_versions_are_all() {
    let dir = tempfile::tempdir().unwrap();
    let key = dir.path().join("kith.key");
    KeyEncryptionKey::create(&key).unwrap();
    let source = KeySource::File(key);
    let wrapping = KeyEncryptionKey::read(&source).unwrap().wrapping().unwrap();
    assert!(matches!(KeyringEdit::open(dir.path(), &source), Err(KeyError::NoKeyring)));
    std::fs::write(path(dir.path()), Keyring::fresh().unwrap().encode(&wrapping).unwrap()).unwrap();
    let mut edit = KeyringEdit::open(dir.path(), &source).unwrap();
    assert!(matches!(KeyringEdit::open(dir.path(), &source), Err(KeyError::Keyring(_))));
    for version in 2..=255 {
        edit.rotate(version).unwrap();
    }
    assert!(matches!(edit.rotate(256), Err(KeyError::NoVersionLeft)));
    assert_eq!((edit.status().newest, edit.status().versions.len()), (255, 255));
    drop(edit);
    assert_eq!(KeyringEdit::open(dir.path(), &source).unwrap().status().newest, 255);
}
