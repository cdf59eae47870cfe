//! Tests of the sealed layout and of what refuses to open.

use super::*;
use crate::testing::keys;

#[test]
fn the_layout_never_changes() {
    let sealed = seal_with_nonce(&keys(), "child", b"key", b"plaintext", [0x42; 24]).unwrap();
    assert_eq!(sealed.len(), b"plaintext".len() + SEAL_OVERHEAD_BYTES);
    assert_eq!(sealed[..2], [1, 1]);
    assert_eq!(sealed[2..26], [0x42; 24]);
    assert_eq!(hex::encode(&sealed[26..]), "774526494b081c0f1ed8d3521e513ee3e5911cc52098e67446");
    assert_eq!(associated_data(1, 1, "child", b"key"), b"\x01\x01\x05childkey");
}

#[test]
fn what_was_sealed_opens_and_nonces_differ() {
    let keys = keys();
    for plaintext in [&b""[..], b"x", &[9; 5_000]] {
        let one = seal(&keys, "plan", b"k", plaintext).unwrap();
        assert_eq!(open(&keys, "plan", b"k", &one).unwrap(), plaintext);
        assert_ne!(one, seal(&keys, "plan", b"k", plaintext).unwrap());
    }
}

#[test]
fn a_moved_or_altered_value_does_not_open() {
    let keys = keys();
    let sealed = seal(&keys, "plan", b"k", b"plaintext").unwrap();
    assert_eq!(open(&keys, "plan", b"j", &sealed), Err(SealError::Forged));
    assert_eq!(open(&keys, "child", b"k", &sealed), Err(SealError::Forged));
    assert_eq!(open(&keys, "pla", b"nk", &sealed), Err(SealError::Forged));
    assert_eq!(open(&Keys::from_master([8; 32]), "plan", b"k", &sealed), Err(SealError::Forged));
    for at in 0..sealed.len() {
        for bit in 0..8 {
            let mut altered = sealed.clone();
            altered[at] ^= 1 << bit;
            assert!(open(&keys, "plan", b"k", &altered).is_err(), "byte {at} bit {bit}");
        }
    }
    for length in 0..sealed.len() {
        assert!(open(&keys, "plan", b"k", &sealed[..length]).is_err(), "cut to {length}");
    }
}

#[test]
fn newer_layouts_and_missing_keys_are_told_apart() {
    let mut sealed = seal(&keys(), "plan", b"k", b"p").unwrap();
    sealed[1] = 9;
    assert_eq!(open(&keys(), "plan", b"k", &sealed), Err(SealError::UnknownKeyVersion { found: 9 }));
    sealed[0] = 2;
    assert_eq!(open(&keys(), "plan", b"k", &sealed), Err(SealError::NewerSchema { found: 2 }));
    assert_eq!(open(&keys(), "plan", b"k", &[1]), Err(SealError::TooShort { found: 1 }));
}
