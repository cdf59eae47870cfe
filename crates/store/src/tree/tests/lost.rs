//! What a power cut or a failing disk took below entries that are there: announced and listed, and never taken for a change; and
//! nothing else passes for it.

use super::removed::found;
use super::*;
use crate::journal::recover::UNCLEAN_STRIDE;
use crate::journal::{JournalFault, Sink, encode_entry};
use crate::tree::record::{RECORD_BYTES, Record};

/// Bytes of a segment before its first entry, and of each of the entries of these tests.
const HEADER: u64 = 96;
const ENTRY: u64 = 16 + 42 + "entry 1".len() as u64;

/// As a cut leaves a segment of which so many entries had been synced.
fn cut(path: &Path, entries: u64) {
    fs::File::options().write(true).open(path).unwrap().set_len(HEADER + entries * ENTRY).unwrap();
}

/// Writes the entry that tells that some may be missing after a number.
fn tell(open: &Open, after: u64) {
    let entry = open.journal.append(format!("gap {after}").as_bytes()).unwrap().sequence;
    eventually("sync", || open.journal.synced_through() >= entry);
}

/// An audit whose second sink, with entries from 1 on, lost all after the third, of which the tree is signed, while the first sink
/// kept what it took after them. Gives its segment, and the last entry that is lost.
fn handed_over() -> (Bench, PathBuf, u64) {
    let bench = Bench::new();
    let mut open = bench.open();
    bench.disk.fail(&bench.path("primary"), Call::Write, 1, true, 28);
    open.append(3);
    open.grow(&bench);
    bench.disk.heal();
    open.append(2);
    bench.clock.advance_ms(1_000);
    let mut last = 0;
    eventually("the first sink takes entries again", || {
        last = open.append(1);
        open.journal.window().sink == Some(Sink::Primary)
    });
    drop(open);
    let slow = bench.segments().remove(0);
    cut(&slow, 3);
    (bench, slow, last - 1)
}

#[test]
fn what_one_sink_lost_below_what_the_other_kept_is_announced_and_no_fault() {
    let (bench, slow, lost) = handed_over();
    let (tree, audit) = found(&bench);
    assert!(tree.is_sound() && audit.is_sound(), "{tree}{audit}");
    assert_eq!((&audit.announced[..], &audit.unsigned[..]), (&[][..], &[(4, lost)][..]), "{audit}");
    let mut open = bench.open();
    assert_eq!(open.tree.status().suspected, Vec::<String>::new());
    tell(&open, 3);
    open.grow(&bench);
    open.journal.close().unwrap();
    drop(open);
    let (tree, audit) = found(&bench);
    assert!(tree.is_sound() && audit.is_sound(), "{tree}{audit}");
    assert_eq!((&audit.announced[..], &audit.unsigned[..]), (&[(4, lost)][..], &[][..]), "{audit}");
    assert!(audit.to_string().contains("are missing, as an entry told"), "{audit}");
    assert!(!tree.to_string().contains("NO KEY"), "{tree}");
    // A tree that was begun anew over what is left is signed without more.
    let aside = bench.path("aside");
    fs::rename(bench.tree(), &aside).unwrap();
    cut(&slow, 2);
    let mut open = bench.open();
    open.append(1);
    open.grow(&bench);
    open.journal.close().unwrap();
    drop(open);
    assert_eq!(found(&bench).1.faults, [JournalFault::Missing { first: 3, last: 3 }]);
    fs::remove_dir_all(bench.tree()).unwrap();
    fs::rename(&aside, bench.tree()).unwrap();
    // One more that is gone was signed.
    cut(&slow, 2);
    let (tree, audit) = found(&bench);
    assert_eq!(tree.faults, [TreeFault::EntryMissing { first: 3, last: 3 }]);
    assert_eq!(audit.faults, [JournalFault::Missing { first: 3, last: 3 }]);
}

#[test]
fn without_the_key_that_signed_nothing_passes_for_a_loss() {
    let (mut bench, _, lost) = handed_over();
    bench.signer = None;
    let (tree, audit) = found(&bench);
    assert_eq!(audit.faults, [JournalFault::Missing { first: 4, last: lost }]);
    assert!(tree.is_sound() && tree.to_string().contains("NO KEY: no signature was looked at"), "{tree}");
}

/// What was there when the journal was closed in order no power cut takes.
#[test]
fn what_was_closed_over_and_is_gone_is_named_though_it_was_never_signed() {
    let bench = Bench::new();
    let mut open = bench.open();
    open.append(3);
    open.grow(&bench);
    let last = open.append(2);
    open.journal.close().unwrap();
    drop(open);
    cut(&bench.segments().remove(0), 3);
    let (_, audit) = found(&bench);
    assert_eq!(audit.faults, [JournalFault::Missing { first: 4, last }]);
}

#[test]
fn what_was_given_up_and_announced_and_then_lost_is_no_fault() {
    let bench = Bench::new();
    let mut open = bench.open();
    open.append(2);
    open.grow(&bench);
    bench.disk.fail(&bench.path("primary"), Call::Sync, 1, true, 5);
    assert_eq!(open.journal.append(b"entry 3").unwrap().sequence, 3);
    eventually("given up", || open.journal.window().given_up == 1);
    tell(&open, 2);
    open.append(1);
    open.grow(&bench);
    drop(open);
    cut(&bench.segments().remove(0), 2);
    let (tree, audit) = found(&bench);
    assert!(tree.is_sound() && audit.is_sound(), "{tree}{audit}");
    assert_eq!(audit.announced, [(3, 3)], "{audit}");
}

/// Blocks reach a disk in any order: of what was not synced a part in the midst may be noughts, and what was written after it whole.
#[test]
fn what_never_reached_the_disk_in_the_midst_of_a_segment_is_torn_and_no_fault() {
    let bench = Bench::new();
    let mut open = bench.open();
    open.append(2);
    open.grow(&bench);
    open.append(3);
    drop(open);
    let path = bench.segments().remove(0);
    let never_written = |entries: std::ops::Range<u64>| {
        let mut bytes = fs::read(&path).unwrap();
        let at = |entries: u64| usize::try_from(HEADER + entries * ENTRY).unwrap();
        bytes[at(entries.start)..at(entries.end)].fill(0);
        fs::write(&path, bytes).unwrap();
    };
    never_written(2..4);
    let (tree, audit) = found(&bench);
    assert!(tree.is_sound() && audit.is_sound(), "{tree}{audit}");
    assert_eq!((&audit.unsigned[..], audit.torn_tails.len()), (&[(3, 4)][..], 1), "{audit}");
    let mut open = bench.open();
    tell(&open, 2);
    open.grow(&bench);
    open.journal.close().unwrap();
    drop(open);
    let (tree, audit) = found(&bench);
    assert!(tree.is_sound() && audit.is_sound(), "{tree}{audit}");
    assert_eq!((&audit.announced[..], audit.torn_tails.len()), (&[(3, 4)][..], 1), "{audit}");
    // One that was signed as well.
    never_written(1..4);
    let (tree, audit) = found(&bench);
    assert_eq!(tree.faults, [TreeFault::EntryMissing { first: 2, last: 2 }]);
    let segment = "primary/audit-00000001.seg".to_owned();
    let damaged = JournalFault::Damaged { segment, offset: HEADER + ENTRY, next_sequence: 5 };
    assert_eq!(audit.faults, [damaged, JournalFault::Missing { first: 2, last: 2 }]);
}

/// Whoever has the disks and the key that seals can write an entry, and a header after it that says it was found.
#[test]
fn an_entry_slipped_into_what_an_opening_left_out_is_named() {
    let bench = Bench::new();
    let mut open = bench.open();
    open.append(2);
    open.grow(&bench);
    drop(open);
    let mut open = bench.open();
    let last = open.append(1);
    open.grow(&bench);
    open.journal.close().unwrap();
    drop(open);
    let segments = bench.segments();
    let [first, second] = &segments[..] else { panic!("two segments") };
    let (whole, mut following) = (fs::read(first).unwrap(), fs::read(second).unwrap());
    for slipped in [3, 3 + UNCLEAN_STRIDE / 2, last - 1] {
        let mut entry = Vec::new();
        encode_entry(&mut entry, &keys(), slipped, b"entry ?").unwrap();
        fs::write(first, [&whole[..], &entry[..]].concat()).unwrap();
        following[20..28].copy_from_slice(&slipped.to_be_bytes());
        let sum = crc32c::crc32c(&following[..92]);
        following[92..96].copy_from_slice(&sum.to_be_bytes());
        fs::write(second, &following).unwrap();
        let (tree, audit) = found(&bench);
        assert_eq!(tree.faults, [TreeFault::NotInTree { first: slipped, last: slipped }]);
        assert_eq!(audit.is_sound(), slipped == 3, "right after the last the audit alone cannot tell: {audit}");
        assert_eq!(tree.passed_over, 0, "{tree}");
        let open = bench.open();
        let compared = open.tree.compare(&open.journal, (1, last), &|| true).unwrap();
        assert_eq!(compared, Compared::Differs { entry: slipped }, "nor would retention remove it");
    }
}

/// Whoever has the disks and the key that seals can write the entry of a number that was given up, and a leaf for it which looks as
/// if it had come late: no start signs that.
#[test]
fn a_late_leaf_that_was_not_signed_is_signed_by_no_start() {
    let bench = Bench::new();
    let mut open = bench.open();
    open.append(2);
    open.grow(&bench);
    bench.disk.fail(&bench.path("primary"), Call::Sync, 1, true, 5);
    assert_eq!(open.journal.append(b"entry 3").unwrap().sequence, 3);
    eventually("given up", || open.journal.window().given_up == 1);
    open.append(2);
    open.grow(&bench);
    drop(open);
    bench.disk.heal();
    let path = leaves_path(&bench.tree());
    let whole = fs::read(&path).unwrap();
    let leaf = |sequence| Record::Entry { sequence, leaf: [9; 32], late: true }.encode();
    for (late, stands) in [(3, true), (2, false), (4, false), (6, false)] {
        fs::write(&path, [&whole[..], &leaf(late)[..]].concat()).unwrap();
        let suspected = bench.open_tree().status().suspected;
        assert_eq!(suspected.is_empty(), stands, "{late}: {suspected:?}");
        let left = fs::read(&path).unwrap().len();
        assert_eq!(left == whole.len(), stands, "{late}: cut off, and what is suspected is left as it is");
        let _gone = fs::remove_file(suspected_path(&bench.tree()));
    }
    // Nor does it hide from verifying that the entry is proven by nothing.
    fs::write(&path, [&whole[..], &leaf(3)[..]].concat()).unwrap();
    let report = bench.verify();
    assert!(report.is_sound(), "{report}");
    assert_eq!(report.passed_over_ranges, [(3, 3)], "{report}");
}

/// Given up, passed over, on disk after all, and the process killed before the tree took it in: no fault, and its number is named.
/// So is the first of an opening, which stands beside what that left out.
#[test]
fn what_was_given_up_and_is_on_disk_after_all_is_named_and_no_fault() {
    let bench = Bench::new();
    for round in 0..2 {
        let mut open = bench.open();
        if round == 0 {
            open.append(2);
            open.grow(&bench);
        }
        bench.disk.fail(&bench.path("primary"), Call::Sync, 1, true, 5);
        let given_up = open.journal.append(b"entry ?").unwrap().sequence;
        eventually("given up", || open.journal.window().given_up == 1);
        open.append(2);
        open.grow(&bench);
        drop(open);
        bench.disk.heal();
        let (tree, audit) = found(&bench);
        assert!(tree.is_sound() && audit.is_sound(), "{tree}{audit}");
        assert_eq!(tree.passed_over_ranges.last(), Some(&(given_up, given_up)), "{tree}");
        assert_eq!(tree.passed_over, round + 1, "{tree}");
        assert!(tree.to_string().contains(&format!("entries {given_up} to {given_up} were passed over")), "{tree}");
    }
}

/// Whoever has the disks and the key that seals can take a signed entry away, and have its leaf look as if it were a late one of a number
/// that an earlier opening gave up: none of these comes any more once an opening has left numbers out.
#[test]
fn no_leaf_passes_for_a_late_one_of_what_an_earlier_opening_gave_up() {
    let bench = Bench::new();
    let mut open = bench.open();
    open.append(2);
    open.grow(&bench);
    bench.disk.fail(&bench.path("primary"), Call::Sync, 1, true, 5);
    assert_eq!(open.journal.append(b"entry 3").unwrap().sequence, 3);
    eventually("given up", || open.journal.window().given_up == 1);
    open.append(2);
    open.grow(&bench);
    drop(open);
    bench.disk.heal();
    let mut open = bench.open();
    let last = open.append(1);
    open.grow(&bench);
    drop(open);
    assert!(bench.verify().is_sound());
    let path = leaves_path(&bench.tree());
    let mut records = fs::read(&path).unwrap();
    let at = records.len() - RECORD_BYTES;
    let Some(Record::Entry { sequence, leaf, late: false }) = Record::decode(records[at..].first_chunk().unwrap())
    else {
        panic!("the last record is an entry's");
    };
    assert_eq!(sequence, last);
    records.truncate(at);
    records.extend_from_slice(&Record::Entry { sequence: 3, leaf, late: true }.encode());
    fs::write(&path, records).unwrap();
    let report = bench.verify();
    let index = u64::try_from(at / RECORD_BYTES).unwrap() - 1;
    assert_eq!(report.faults, [TreeFault::OrderDiffers { index, covered: last - 1 }], "{report}");
}
