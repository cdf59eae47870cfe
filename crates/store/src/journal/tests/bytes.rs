//! The bytes of a segment, pinned, and what every kind of damage to them is called.

use super::*;
use crate::journal::format::{ENTRY_HEAD_BYTES, EntryHead, HEADER_BYTES, HeaderFault, encode_entry};

fn encoded(keys: &crate::keys::Keys, sequence: u64, plaintext: &[u8]) -> Vec<u8> {
    let mut entry = vec![9; 7];
    encode_entry(&mut entry, keys, sequence, plaintext).unwrap();
    entry
}

fn header() -> Header {
    Header { first_sequence: 0x0102, resumes_after: 0x0a0b, boot_id: format::boot_id(BOOT) }
}

#[test]
fn the_header_layout_never_changes() {
    let bytes = header().encode();
    let expected = format!(
        "4b495448415544540001000100000000000001020000000000000a0b{}{}39893dd7",
        hex::encode(BOOT),
        "00".repeat(28)
    );
    assert_eq!(hex::encode(&bytes), expected);
    let whole: &[u8; HEADER_BYTES] = bytes.as_slice().try_into().unwrap();
    assert_eq!(Header::decode(whole), Ok(header()));
    for at in 0..HEADER_BYTES {
        let mut damaged = *whole;
        damaged[at] ^= 4;
        assert_eq!(Header::decode(&damaged), Err(HeaderFault::NotAHeader), "byte {at}");
    }
}

#[test]
fn the_entry_layout_never_changes() {
    let entry = encoded(&keys(), 0x0102_0304, b"abc");
    let sealed = &entry[ENTRY_HEAD_BYTES..];
    assert_eq!(entry[..4], 45_u32.to_be_bytes(), "length of what is sealed: 42 more than the plaintext");
    assert_eq!(entry[8..16], 0x0102_0304_u64.to_be_bytes());
    let mut summed = entry[..4].to_vec();
    summed.extend_from_slice(&entry[8..]);
    assert_eq!(entry[4..8], crc32c::crc32c(&summed).to_be_bytes());
    let key = [0, 1, 0, 0, 0, 0, 1, 2, 3, 4];
    assert_eq!(crate::seal::open(&keys(), "audit", &key, sealed).unwrap(), b"abc");
    let front = entry.first_chunk().unwrap();
    assert!(EntryHead::decode(front).unwrap().matches(sealed));
    assert_eq!(EntryHead::decode(&[0; 16]), None);
    assert_eq!(EntryHead::decode(&[0xff; 16]), None);
}

/// A closed journal of five entries in one segment: the bench, the segment, where each entry begins.
fn five() -> (Bench, PathBuf, Vec<usize>) {
    let bench = Bench::new(AuditMode::Bounded);
    let (journal, _) = bench.open();
    append_all(&journal, 1..=5);
    synced(&journal, 5);
    kill(journal);
    let path = bench.segments(&bench.primary()).into_iter().next().unwrap();
    let length = 16 + 42 + "entry 1".len();
    (bench, path, (0..=5).map(|number| HEADER_BYTES + number * length).collect())
}

#[test]
fn a_tail_torn_at_any_byte_ends_the_segment_and_is_reported() {
    let (bench, path, starts) = five();
    let whole = fs::read(&path).unwrap();
    assert_eq!(whole.len(), starts[5]);
    for cut in starts[4] + 1..starts[5] {
        fs::write(&path, &whole[..cut]).unwrap();
        let report = bench.verify();
        assert!(report.is_sound(), "{report}");
        assert_eq!((report.entries, report.torn_tails.len()), (4, 1), "cut at {cut}");
        let (journal, recovered) = bench.open();
        assert_eq!(recovered.last_sequence, 4, "cut at {cut}");
        let gap = recovered.gap.unwrap();
        assert_eq!((gap.after_sequence, gap.cause), (4, GapCause::ProcessEnded));
        assert_eq!(read_all(&journal).len(), 4);
        kill(journal);
        for made in bench.segments(&bench.primary()).into_iter().skip(1).chain(bench.segments(&bench.spill())) {
            fs::remove_file(made).unwrap();
        }
    }
}

/// A kill between the making of a file and its first write, or a power cut before that was synced, is no change of anything.
#[test]
fn a_segment_that_was_just_being_made_is_a_torn_tail_and_goes_with_what_was_written_beside_it() {
    for left in [vec![], vec![b'K'], header().encode()[..95].to_vec(), vec![0; 96], vec![0; 300_000]] {
        let (bench, path, _) = five();
        let unmade = bench.spill().join("audit-00000009.seg");
        fs::write(&unmade, &left).unwrap();
        let what = format!("{} bytes", left.len());
        let report = bench.verify();
        assert!(report.is_sound(), "{what}: {report}");
        assert_eq!(
            (report.entries, &report.torn_tails[..]),
            (5, &["spill/audit-00000009.seg".to_owned()][..]),
            "{what}"
        );
        let (journal, recovered) = bench.open();
        assert_eq!(recovered.last_sequence, 5, "{what}");
        append_all(&journal, 6..=6);
        eventually("sync", || journal.window().unsynced == 0);
        assert_eq!((journal.remove_through(4).unwrap(), unmade.exists()), (0, true), "{what}");
        assert_eq!((journal.remove_through(u64::MAX).unwrap(), unmade.exists()), (1, false), "{what}");
        assert!(!path.exists(), "{what}");
        kill(journal);
    }
}

/// Nothing but its length and noughts make it one: what was a segment once is not passed over as if it had never been.
#[test]
fn a_header_that_was_written_over_is_named_whether_or_not_entries_stand_behind_it() {
    for keeps_entries in [true, false] {
        let (bench, path, starts) = five();
        let mut bytes = fs::read(&path).unwrap();
        if keeps_entries {
            bytes[..HEADER_BYTES].fill(0);
        } else {
            bytes.truncate(starts[0]);
            bytes[95] ^= 1;
        }
        fs::write(&path, &bytes).unwrap();
        assert!(matches!(&bench.verify().faults[..], [JournalFault::Header { .. }, ..]), "{keeps_entries}");
        let (journal, _) = bench.open();
        append_all(&journal, 6..=6);
        eventually("sync", || journal.window().unsynced == 0);
        journal.remove_through(u64::MAX).unwrap();
        assert!(path.exists(), "{keeps_entries}: it stays for whoever looks into it");
        kill(journal);
    }
}

#[test]
fn damage_in_the_middle_is_named_and_reading_can_go_on_after_it() {
    let (bench, path, starts) = five();
    let whole = fs::read(&path).unwrap();
    for at in starts[1]..starts[2] {
        let mut damaged = whole.clone();
        damaged[at] ^= 1;
        fs::write(&path, damaged).unwrap();
        let report = bench.verify();
        let named = JournalFault::Damaged {
            segment: "primary/audit-00000001.seg".to_owned(),
            offset: starts[1] as u64,
            next_sequence: 3,
        };
        assert_eq!(report.faults, [named, JournalFault::Missing { first: 2, last: 2 }], "byte {at}");
    }
    let (journal, recovered) = bench.open();
    assert_eq!(recovered.last_sequence, 5);
    assert_eq!(journal.read_from(1, 10).unwrap().len(), 1);
    let next = match journal.read_from(2, 10) {
        Err(JournalError::Damaged { next_sequence, .. }) => next_sequence,
        other => panic!("{other:?}"),
    };
    assert_eq!(next, 3);
    assert_eq!(journal.read_from(next, 10).unwrap().len(), 3);
    kill(journal);
}

#[test]
fn removed_repeated_reordered_and_forged_entries_are_named() {
    let (bench, path, starts) = five();
    let whole = fs::read(&path).unwrap();
    let part = |number: usize| whole[starts[number - 1]..starts[number]].to_vec();
    let with = |order: &[usize]| {
        let mut bytes = whole[..HEADER_BYTES].to_vec();
        order.iter().for_each(|number| bytes.extend(part(*number)));
        fs::write(&path, bytes).unwrap();
        bench.verify().faults
    };
    let segment = "primary/audit-00000001.seg".to_owned();
    assert_eq!(with(&[1, 2, 3, 4, 5]), []);
    assert_eq!(with(&[1, 3, 4, 5]), [JournalFault::Missing { first: 2, last: 2 }]);
    let repeated = JournalFault::Duplicate { segment: segment.clone(), sequence: 2 };
    assert_eq!(with(&[1, 2, 2, 3, 4, 5]), [repeated]);
    let moved = JournalFault::OutOfOrder { segment: segment.clone(), sequence: 2, previous: 3 };
    assert!(with(&[1, 3, 2, 4, 5]).contains(&moved));
    // The first entries gone: no opening declared that.
    assert_eq!(with(&[3, 4, 5]), [JournalFault::Missing { first: 1, last: 2 }]);
    // An entry sealed by someone without the key, with a right sum.
    let other = crate::keys::Keys::from_master([9; 32]);
    let mut forged = whole[..starts[4]].to_vec();
    forged.extend(encoded(&other, 5, b"entry 5"));
    fs::write(&path, forged).unwrap();
    assert_eq!(bench.verify().faults, [JournalFault::Sealed { segment: segment.clone(), sequence: 5 }]);
    // A reader gets what stands before it, and only then hears of it.
    let (journal, _) = bench.open();
    let read = journal.read_from(1, 10).unwrap();
    assert_eq!(read.iter().map(|(reference, _)| reference.sequence).collect::<Vec<_>>(), [1, 2, 3, 4]);
    assert!(matches!(journal.read_from(5, 10), Err(JournalError::Sealed { sequence: 5 })));
    kill(journal);
    bench
        .segments(&bench.primary())
        .into_iter()
        .filter(|other| *other != path)
        .for_each(|one| fs::remove_file(one).unwrap());
    bench.segments(&bench.spill()).into_iter().for_each(|one| fs::remove_file(one).unwrap());
    fs::write(&path, &whole).unwrap();
    fs::copy(&path, bench.spill().join("audit-00000009.seg")).unwrap();
    let faults = bench.verify().faults;
    let copied = JournalFault::Duplicate { segment: "spill/audit-00000009.seg".to_owned(), sequence: 1 };
    assert_eq!(faults, [copied]);
}

/// Whoever alters the entry with which a segment begins, and mends its sum, does not end the service, and is not taken for a wrong key.
#[test]
fn a_forged_first_entry_of_a_segment_is_named_and_the_start_goes_on() {
    let other = crate::keys::Keys::from_master([9; 32]);
    for alone in [true, false] {
        let (bench, path, starts) = five();
        let mut last = 5;
        if !alone {
            let (journal, _) = bench.open();
            last = append_all(&journal, 1..=2)[1];
            synced(&journal, last);
            kill(journal);
        }
        let whole = fs::read(&path).unwrap();
        // The first alone; where another segment opens, all of them.
        let forged = if alone { 1..=1 } else { 1..=5 };
        let mut bytes = whole[..HEADER_BYTES].to_vec();
        forged.clone().for_each(|number| bytes.extend(encoded(&other, number, b"entry ?")));
        bytes.extend_from_slice(&whole[starts[usize::try_from(*forged.end()).unwrap()]..]);
        fs::write(&path, bytes).unwrap();
        let named = |sequence| JournalFault::Sealed { segment: "primary/audit-00000001.seg".to_owned(), sequence };
        assert_eq!(bench.verify().faults, forged.map(named).collect::<Vec<_>>());
        let (journal, recovered) = bench.open();
        assert_eq!(recovered.last_sequence, last);
        assert!(matches!(journal.read_from(1, 10), Err(JournalError::Sealed { sequence: 1 })));
        assert!(journal.append(b"x").unwrap().sequence > last);
        kill(journal);
    }
}

/// Nor does it lead anybody on to a number that was never given, as the first, in the midst or as the last.
#[test]
fn a_number_that_nobody_gave_leads_nobody_on_and_hides_nothing() {
    let other = crate::keys::Keys::from_master([9; 32]);
    let strange = encoded(&other, u64::MAX, b"entry ?");
    for at in [0, 2, 4] {
        let (bench, path, starts) = five();
        let whole = fs::read(&path).unwrap();
        let bytes = [&whole[..starts[at]], &strange[..], &whole[starts[at + 1]..]].concat();
        fs::write(&path, bytes).unwrap();
        assert!(!bench.verify().is_sound(), "{at}");
        let (journal, recovered) = bench.open();
        assert_eq!(recovered.last_sequence, if at == 4 { 4 } else { 5 }, "{at}");
        let next = journal.append(b"x").unwrap().sequence;
        assert_eq!(next, recovered.last_sequence + 1 + recover::UNCLEAN_STRIDE, "{at}");
        synced(&journal, next);
        let read: Vec<u64> = read_all(&journal).into_iter().map(|entry| entry.0).collect();
        let left: Vec<u64> = (1..=5).filter(|number| *number != at as u64 + 1).chain([next]).collect();
        assert_eq!(read, left, "{at}");
        kill(journal);
        assert!(!bench.verify().is_sound(), "{at}");
    }
    // After damage, in a segment that another follows.
    let (bench, path, starts) = five();
    let (journal, _) = bench.open();
    let following = append_all(&journal, 1..=1)[0];
    synced(&journal, following);
    kill(journal);
    let mut bytes = fs::read(&path).unwrap();
    bytes[starts[1] + ENTRY_HEAD_BYTES] ^= 1;
    bytes[starts[2]..starts[3]].copy_from_slice(&strange);
    fs::write(&path, bytes).unwrap();
    let (journal, _) = bench.open();
    let Err(JournalError::Damaged { next_sequence, .. }) = journal.read_from(2, 10) else { panic!("damaged") };
    assert_eq!(next_sequence, following, "and not beyond all that will ever be given");
    kill(journal);
}

#[test]
fn a_lost_last_segment_is_named_after_a_clean_end() {
    let bench = Bench::new(AuditMode::Bounded);
    let (journal, _) = bench.open();
    append_all(&journal, 1..=5);
    journal.close().unwrap();
    drop(journal);
    let path = bench.segments(&bench.primary()).into_iter().next().unwrap();
    fs::remove_file(path).unwrap();
    assert_eq!(bench.verify().faults, [JournalFault::Missing { first: 1, last: 5 }]);
    let (journal, recovered) = bench.open();
    let gap = recovered.gap.unwrap();
    assert_eq!((gap.after_sequence, gap.cause), (0, GapCause::EntriesMissing));
    assert!(journal.append(b"x").unwrap().sequence > 5);
}

#[test]
fn a_newer_segment_is_refused_and_a_damaged_header_is_named() {
    let (bench, path, _) = five();
    let mut bytes = fs::read(&path).unwrap();
    bytes[9] = 2;
    let sum = crc32c::crc32c(&bytes[..92]).to_be_bytes();
    bytes[92..96].copy_from_slice(&sum);
    fs::write(&path, &bytes).unwrap();
    assert!(matches!(bench.try_open(0, BOOT), Err(JournalError::NewerFormat { found: 2, .. })));
    assert!(matches!(&bench.verify().faults[..], [JournalFault::NewerFormat { found: 2, .. }]));
    bytes[0] ^= 1;
    fs::write(&path, &bytes).unwrap();
    assert!(matches!(&bench.verify().faults[..], [JournalFault::Header { .. }]));
}
