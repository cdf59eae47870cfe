//! The bytes of the tree's files, pinned.

use crate::tree::files::{Framed, kept_hashes, record_offset};
use crate::tree::record::{Head, Order, RECORD_BYTES, Record, entry_leaf, head, read_head};

const LEAF: [u8; 32] = [7; 32];

#[test]
fn the_head_of_the_leaves_never_changes() {
    let bytes = head();
    let body = format!("4b4954485452454500010001{}", "00".repeat(32));
    assert_eq!(hex::encode(&bytes[..44]), body);
    assert_eq!(bytes[44..], crc32c::crc32c(&bytes[..44]).to_be_bytes());
    assert_eq!(read_head(&bytes), Head::Known);
    for at in 0..RECORD_BYTES {
        let mut damaged = bytes.clone();
        damaged[at] ^= 2;
        assert_eq!(read_head(&damaged), Head::None, "byte {at}");
    }
    let mut newer = bytes[..44].to_vec();
    newer[9] = 2;
    newer.extend_from_slice(&crc32c::crc32c(&newer).to_be_bytes());
    assert_eq!(read_head(&newer), Head::Newer(2));
    assert_eq!(read_head(&bytes[..47]), Head::None);
}

#[test]
fn the_records_of_the_leaves_never_change() {
    let number = "0000000001020304";
    for (record, kind, rest) in [
        (Record::Entry { sequence: 0x0102_0304, leaf: LEAF, late: false }, "00000001", "07".repeat(32)),
        (Record::Entry { sequence: 0x0102_0304, leaf: LEAF, late: true }, "00000002", "07".repeat(32)),
        (
            Record::PassedOver { first: 0x0102_0304, last: 0x0102_0305 },
            "00000003",
            format!("0000000001020305{}", "00".repeat(24)),
        ),
    ] {
        let bytes = record.encode();
        let summed = hex::decode(format!("{kind}{number}{rest}")).unwrap();
        assert_eq!(hex::encode(&bytes[..4]), kind);
        assert_eq!(bytes[4..8], crc32c::crc32c(&summed).to_be_bytes());
        assert_eq!(hex::encode(&bytes[8..]), format!("{number}{rest}"));
        assert_eq!(Record::decode(&bytes), Some(record));
        for at in 0..RECORD_BYTES {
            for bit in 0..8 {
                let mut damaged = bytes;
                damaged[at] ^= 1 << bit;
                assert_eq!(Record::decode(&damaged), None, "byte {at}, bit {bit}");
            }
        }
    }
    assert_eq!(Record::decode(&[0; RECORD_BYTES]), None);
    assert_eq!(Record::decode(&Record::PassedOver { first: 3, last: 2 }.encode()), None);
    assert_eq!(Record::decode(&Record::Entry { sequence: 0, leaf: LEAF, late: false }.encode()), None);
}

#[test]
fn what_is_hashed_for_a_leaf_never_changes() {
    let hashed = |bytes: &str| {
        let mut hash = [0; 32];
        hash.copy_from_slice(ring::digest::digest(&ring::digest::SHA256, &hex::decode(bytes).unwrap()).as_ref());
        hash
    };
    assert_eq!(entry_leaf(0x0102_0304, b"abc"), hashed("0000010000000001020304616263"));
    let passed = Record::PassedOver { first: 5, last: 9 };
    assert_eq!(passed.leaf(), hashed("000001000000000000000000000000000000050000000000000009"));
    assert_eq!(Record::Entry { sequence: 1, leaf: LEAF, late: true }.leaf(), LEAF);
}

#[test]
fn the_frame_of_a_checkpoint_never_changes() {
    let framed = Framed { before: 0x0a0b, note: b"note".to_vec() };
    let bytes = framed.encode();
    assert_eq!(hex::encode(&bytes[..8]), "4b43505400000004");
    assert_eq!(hex::encode(&bytes[12..]), "0000000000000a0b6e6f7465");
    let summed = [&bytes[4..8], &bytes[12..]].concat();
    assert_eq!(bytes[8..12], crc32c::crc32c(&summed).to_be_bytes());
    assert_eq!(Framed::decode(&[bytes.as_slice(), b"more"].concat()), Some((framed, 24)));
    for at in 0..bytes.len() {
        let mut damaged = bytes.clone();
        damaged[at] ^= 1;
        assert_eq!(Framed::decode(&damaged), None, "byte {at}");
        assert_eq!(Framed::decode(&bytes[..at]), None, "{at} bytes");
    }
}

#[test]
fn places_in_the_files_follow_from_the_index() {
    assert_eq!((record_offset(0), record_offset(10)), (48, 528));
    assert_eq!((kept_hashes(255, 1), kept_hashes(256, 1), kept_hashes(65_536, 2)), (0, 1, 1));
}

#[test]
fn records_account_for_every_number_once() {
    let entry = |sequence| Record::Entry { sequence, leaf: LEAF, late: false };
    let late = |sequence| Record::Entry { sequence, leaf: LEAF, late: true };
    let mut order = Order::default();
    for record in [entry(1), entry(2), Record::PassedOver { first: 3, last: 5 }, entry(6), late(4), entry(7)] {
        assert!(order.takes(&record), "{record:?}");
    }
    assert_eq!(order.covered, 7);
    for wrong in [entry(7), entry(9), entry(1), late(8), Record::PassedOver { first: 9, last: 9 }] {
        assert!(!{ order }.takes(&wrong), "{wrong:?}");
    }
}
