//! Tests of the sealed layout and of what refuses to open.

use super::*;
use crate::testing::keys;

#[test]
fn the_layout_never_changes() {
    let mut sealed = Vec::new();
    let keys = keys();
    seal_with_nonce(&mut sealed, keys.ring().sealing(), ("child", b"key"), b"plaintext", [0x42; 24]).unwrap();
    assert_eq!(sealed.len(), b"plaintext".len() + SEAL_OVERHEAD_BYTES);
    assert_eq!(sealed[..2], [1, 1]);
    assert_eq!(sealed[2..26], [0x42; 24]);
    assert_eq!(hex::encode(&sealed[26..]), "774526494b081c0f1ed8d3521e513ee3e5911cc52098e67446");
    let bound = |row_key: &[u8]| with_associated_data((1, 1), "child", row_key, <[u8]>::to_vec);
    assert_eq!(bound(b"key"), b"\x01\x01\x05childkey");
    for length in 0..200 {
        let row_key = vec![7; length];
        assert_eq!(bound(&row_key), [&b"\x01\x01\x05child"[..], &row_key].concat(), "short and long alike");
    }
}

/// The example in the construction's description (draft-irtf-cfrg-xchacha-03, appendix A.3.1).
#[test]
fn the_cipher_is_xchacha20_poly1305() {
    let key: [u8; 32] = std::array::from_fn(|at| 0x80 + at as u8);
    let nonce: [u8; 24] = std::array::from_fn(|at| 0x40 + at as u8);
    let data = hex::decode("50515253c0c1c2c3c4c5c6c7").unwrap();
    let mut text = b"Ladies and Gentlemen of the class of '99: If I could offer you only one tip for the future, \
        sunscreen would be it."
        .to_vec();
    let (cipher, own) = super::cipher(&key, &nonce).unwrap();
    let tag = cipher.seal_in_place_separate_tag(own, Aad::from(data), &mut text).unwrap();
    let expected = "bd6d179d3e83d43b9576579493c0e939572a1700252bfaccbed2902c21396cbb731c7f1b0b4aa6440bf3a82f4eda7e39ae64c6\
                    708c54c216cb96b72e1213b4522f8c9ba40db5d945b11b69b982c1bb9e3f3fac2bc369488f76b2383565d3fff921f9664c976\
                    37da9768812f615c68b13b52e";
    assert_eq!(hex::encode(text), expected);
    assert_eq!(hex::encode(tag), "c0875924c1c7987947deafd8780acf49");
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
