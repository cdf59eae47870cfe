//! Tests of the watermark's bytes and of what a torn write leaves.

use super::*;
use crate::disk::RealDisk;

fn head(sequence: u64) -> Head {
    Head { sequence, chain: [u8::try_from(sequence % 251).unwrap(); 32] }
}

#[test]
fn the_slot_layout_never_changes() {
    let slot = encode(Head { sequence: 0x0102_0304_0506_0708, chain: [0xcc; 32] });
    let expected = format!("4b495448574d524b000100000102030405060708{}0000000000000000b13c9c59", "cc".repeat(32));
    assert_eq!(hex::encode(slot), expected);
}

#[test]
fn the_newest_whole_slot_counts_wherever_the_other_is_torn() {
    let dir = tempfile::tempdir().unwrap();
    let path = Watermark::path(dir.path());
    let mut watermark = Watermark::create(&RealDisk, &path, Head::EMPTY).unwrap();
    for sequence in 1..=5 {
        watermark.advance(head(sequence)).unwrap();
        let reading = Watermark::read(&path).unwrap().unwrap();
        assert_eq!((reading.head, reading.both_whole), (head(sequence), true));
    }
    let whole = std::fs::read(&path).unwrap();
    assert_eq!(whole.len(), FILE_BYTES);
    let newest = Watermark::read(&path).unwrap().unwrap().slot as usize * 4096;
    for at in newest..newest + SLOT_BYTES {
        let mut torn = whole.clone();
        torn[at] ^= 0x55;
        std::fs::write(&path, &torn).unwrap();
        let reading = Watermark::read(&path).unwrap().unwrap();
        assert_eq!((reading.head, reading.both_whole), (head(4), false), "byte {at}");
    }
}

#[test]
fn after_reopening_the_older_slot_is_written_next() {
    let dir = tempfile::tempdir().unwrap();
    let path = Watermark::path(dir.path());
    Watermark::create(&RealDisk, &path, head(7)).unwrap().advance(head(8)).unwrap();
    for sequence in 9..15 {
        let reading = Watermark::read(&path).unwrap().unwrap();
        Watermark::open(&RealDisk, &path, reading).unwrap().advance(head(sequence)).unwrap();
        let bytes = std::fs::read(&path).unwrap();
        let slots = [0, 4096].map(|at| decode(bytes[at..].first_chunk().unwrap()).unwrap().unwrap().sequence);
        assert_eq!(slots.iter().max(), Some(&sequence));
        assert_eq!(slots.iter().min(), Some(&(sequence - 1)));
    }
}

#[test]
fn damage_absence_and_a_newer_version_are_told_apart() {
    let dir = tempfile::tempdir().unwrap();
    let path = Watermark::path(dir.path());
    assert_eq!(Watermark::read(&path).unwrap(), None);
    for length in [0, 10, 64, 4096 + 63] {
        std::fs::write(&path, vec![0; length]).unwrap();
        assert!(matches!(Watermark::read(&path), Err(WatermarkError::Damaged)));
    }
    let mut slot = encode(head(3));
    slot[9] = 2;
    let sum = crc32c::crc32c(&slot[..60]).to_be_bytes();
    slot[60..].copy_from_slice(&sum);
    std::fs::write(&path, slot).unwrap();
    assert!(matches!(Watermark::read(&path), Err(WatermarkError::NewerFormat { found: 2 })));
}
