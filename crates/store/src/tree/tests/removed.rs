//! Segments removed under retention: their leaves stay and prove as before, a signed entry excuses exactly what it tells of, and
//! nothing else excuses anything.

use kith_merkle::verify_inclusion;

use super::*;
use crate::journal::{JournalFault, JournalReport, encode_entry};
use crate::tree::record::{RECORD_BYTES, Record};

/// Three runs of ten entries, each in a segment of its own and signed.
pub(super) fn lived() -> Bench {
    let bench = Bench::new();
    for _ in 0..3 {
        let mut open = bench.open();
        open.append(10);
        open.grow(&bench);
        open.journal.close().unwrap();
    }
    bench
}

/// Opens it anew and writes the entry that tells of a removal, on disk and not yet signed.
pub(super) fn tell(bench: &Bench, through: u64) -> Open {
    let open = bench.open();
    let entry = open.journal.append(format!("removed {through}").as_bytes()).unwrap().sequence;
    eventually("sync", || open.journal.synced_through() >= entry);
    open
}

/// Has it signed that entries were removed, as whoever removes them does.
pub(super) fn sign(open: &Open, entry: u64, through: u64) {
    open.journal.mark_removed(entry, &open.tree.sign_removal(through).unwrap().unwrap()).unwrap();
}

/// What is found when nothing has it open: the tree's report, and the journal's by what the tree excuses.
pub(super) fn found(bench: &Bench) -> (TreeReport, JournalReport) {
    let tree = bench.verify();
    let survey = Journal::survey(&bench.path("primary"), &bench.path("spill"), &keys(), &told).unwrap();
    let audit = survey.judged(tree.accounted.as_ref());
    (tree, audit)
}

#[test]
fn what_a_signed_entry_tells_of_is_rightly_missing_and_proves_as_before() {
    let bench = lived();
    let mut open = tell(&bench, 20);
    let before = open.checkpoint();
    open.grow(&bench);
    sign(&open, 31, 20);
    let closed = open.journal.closed_segments();
    assert_eq!(
        closed.iter().map(|segment| (segment.first, segment.last)).collect::<Vec<_>>(),
        [(1, 10), (11, 20), (21, 30)]
    );
    assert!(closed.iter().all(|segment| segment.bytes > 96));
    assert_eq!(open.journal.remove_through(20).unwrap(), 2);
    assert_eq!(open.journal.remove_through(20).unwrap(), 0, "once");
    let head = open.checkpoint();
    for sequence in 1..=31 {
        let proven = open.tree.inclusion(sequence, head.size).unwrap().unwrap();
        verify_inclusion(proven.index, head.size, &proven.leaf, &proven.proof, &head.root).unwrap();
    }
    open.follows(&before);
    open.journal.close().unwrap();
    drop(open);
    let (tree, audit) = found(&bench);
    assert!(tree.is_sound() && audit.is_sound(), "{tree}{audit}");
    assert_eq!((tree.removed, tree.removed_through, audit.removed_through), (20, 20, 20));
    assert!(audit.to_string().contains("entries up to 20 were removed under retention"), "{audit}");
    // It opens and grows as before.
    let mut open = bench.open();
    assert_eq!(open.tree.status().suspected, Vec::<String>::new());
    open.append(5);
    open.grow(&bench);
    open.follows(&head);
}

#[test]
fn whatever_no_signed_entry_tells_of_is_named() {
    let missing = |first, last| vec![TreeFault::EntryMissing { first, last }];
    // Nothing tells of it.
    let bench = lived();
    fs::remove_file(&bench.segments()[0]).unwrap();
    let (tree, audit) = found(&bench);
    assert_eq!((tree.faults, tree.removed_through), (missing(1, 10), 0));
    assert_eq!(audit.faults, [JournalFault::Missing { first: 1, last: 10 }]);
    // The entry tells of less than is missing.
    let bench = lived();
    let mut open = tell(&bench, 10);
    open.grow(&bench);
    sign(&open, 31, 10);
    open.journal.close().unwrap();
    drop(open);
    fs::remove_file(&bench.segments()[0]).unwrap();
    fs::remove_file(&bench.segments()[0]).unwrap();
    let (tree, audit) = found(&bench);
    assert_eq!((tree.faults, tree.removed), (missing(11, 20), 10));
    assert_eq!(audit.faults, [JournalFault::Missing { first: 11, last: 20 }]);
    // In the middle, beyond what it tells of.
    let bench = lived();
    let mut open = tell(&bench, 10);
    open.grow(&bench);
    sign(&open, 31, 10);
    open.journal.close().unwrap();
    drop(open);
    fs::remove_file(&bench.segments()[2]).unwrap();
    let (tree, audit) = found(&bench);
    assert_eq!(tree.faults, missing(21, 30));
    assert_eq!(audit.faults, [JournalFault::Missing { first: 21, last: 30 }]);
}

#[test]
fn an_entry_that_is_not_signed_excuses_nothing() {
    let bench = lived();
    let open = tell(&bench, 20);
    sign(&open, 31, 20);
    open.journal.remove_through(20).unwrap();
    open.journal.close().unwrap();
    drop(open);
    let (tree, audit) = found(&bench);
    assert_eq!(tree.faults, [TreeFault::EntryMissing { first: 1, last: 20 }]);
    let forged = JournalFault::RemovalNotSigned { entry: 31, through: 20 };
    assert_eq!(audit.faults, [forged, JournalFault::Missing { first: 1, last: 20 }]);
}

/// With the disks and the key that seals in hand, and the service stopped: the entry is there when the next start signs what it
/// finds. Without and with a removal before it that was signed, whose note is all that there is to put in the place of one.
#[test]
fn an_entry_that_was_forged_and_signed_by_the_next_start_excuses_nothing() {
    for earlier in [0, 10] {
        let bench = lived();
        if earlier > 0 {
            let mut open = tell(&bench, earlier);
            open.grow(&bench);
            sign(&open, 31, earlier);
            open.journal.remove_through(earlier).unwrap();
            open.journal.close().unwrap();
        }
        let open = tell(&bench, 20);
        let forged = open.journal.synced_through();
        open.journal.remove_through(20).unwrap();
        open.journal.close().unwrap();
        drop(open);
        let mut open = bench.open();
        open.append(5);
        open.grow(&bench);
        assert!(open.checkpoint().size > 31, "it is under a signed head");
        open.journal.close().unwrap();
        drop(open);
        let (tree, audit) = found(&bench);
        let missing = (earlier + 1, 20);
        assert_eq!(tree.faults, [TreeFault::EntryMissing { first: missing.0, last: missing.1 }]);
        let told = JournalFault::RemovalNotSigned { entry: forged, through: 20 };
        assert_eq!(audit.faults, [told, JournalFault::Missing { first: missing.0, last: missing.1 }]);
        assert_eq!(audit.removed_through, earlier);
    }
}

#[test]
fn without_the_key_that_signed_nothing_is_excused() {
    let mut bench = lived();
    let mut open = tell(&bench, 20);
    open.grow(&bench);
    sign(&open, 31, 20);
    open.journal.remove_through(20).unwrap();
    open.journal.close().unwrap();
    drop(open);
    for other in [None, Some(Arc::new(LogSigner::from_seed(ORIGIN, &[6; 32]).unwrap()))] {
        bench.signer = other;
        let (tree, audit) = found(&bench);
        assert_eq!(tree.removed_through, 0);
        assert!(
            tree.faults.contains(&TreeFault::EntryMissing { first: 1, last: 20 }) && !audit.is_sound(),
            "{tree}{audit}"
        );
    }
}

#[test]
fn an_entry_excuses_nothing_that_comes_after_it() {
    let bench = lived();
    let mut open = tell(&bench, 1_000);
    open.grow(&bench);
    sign(&open, 31, 1_000);
    open.journal.close().unwrap();
    drop(open);
    fs::remove_file(&bench.segments()[0]).unwrap();
    assert_eq!(bench.verify().faults, [TreeFault::EntryMissing { first: 1, last: 10 }]);
}

#[test]
fn killed_between_two_files_it_is_sound_and_the_rest_goes_later() {
    let bench = lived();
    let mut open = tell(&bench, 20);
    open.grow(&bench);
    sign(&open, 31, 20);
    open.journal.close().unwrap();
    drop(open);
    // Either of the two may be gone after a power cut.
    let second = bench.segments().remove(1);
    let bytes = fs::read(&second).unwrap();
    fs::remove_file(&second).unwrap();
    let (tree, audit) = found(&bench);
    assert!(tree.is_sound() && audit.is_sound(), "{tree}{audit}");
    fs::write(&second, bytes).unwrap();
    fs::remove_file(bench.segments().remove(0)).unwrap();
    let (tree, audit) = found(&bench);
    assert!(tree.is_sound() && audit.is_sound(), "{tree}{audit}");
    let open = bench.open();
    assert_eq!(open.journal.removal_mark(), Some(31));
    assert_eq!(open.journal.remove_through(20).unwrap(), 1);
    open.journal.close().unwrap();
    drop(open);
    let (tree, audit) = found(&bench);
    assert!(tree.is_sound() && audit.is_sound(), "{tree}{audit}");
}

/// Removes, under retention, all that earlier openings wrote.
fn remove_earlier(bench: &Bench) -> Open {
    let mut open = bench.open();
    let through = open.journal.first_of_opening() - 1;
    let entry = open.journal.append(format!("removed {through}").as_bytes()).unwrap().sequence;
    eventually("sync", || open.journal.synced_through() >= entry);
    open.grow(bench);
    sign(&open, entry, through);
    assert!(open.journal.remove_through(through).unwrap() > 0);
    open
}

/// An audit whose second entry was given up, passed over by the tree, and is on disk after all.
fn given_up_for_a_while() -> (Bench, Open) {
    let bench = Bench::new();
    let mut open = bench.open();
    open.append(1);
    open.grow(&bench);
    bench.disk.hang(&bench.path("primary"));
    open.journal.append(b"hangs").unwrap();
    bench.clock.advance_ms(400);
    eventually("the other sink", || {
        open.journal.append(b"goes on").unwrap();
        open.journal.synced_through() >= 3
    });
    open.grow(&bench);
    bench.disk.release();
    eventually("synced after all", || open.journal.window().given_up == 0);
    (bench, open)
}

#[test]
fn an_entry_that_came_late_and_was_removed_is_rightly_missing() {
    let (bench, mut open) = given_up_for_a_while();
    open.grow(&bench);
    assert!(open.tree.inclusion(2, open.checkpoint().size).unwrap().is_some(), "it came late");
    drop(open);
    drop(remove_earlier(&bench));
    let (tree, audit) = found(&bench);
    assert!(tree.is_sound() && audit.is_sound(), "{tree}{audit}");
    assert!(tree.removed > 2 && tree.removed_late > 0, "{tree}");
    assert!(tree.to_string().contains(" of them came late, and no head says which they were"), "{tree}");
}

/// No head says which leaves came late, and whose numbers they are. With the disks, and the key that seals, somebody takes the last entry
/// away, or writes another in its place, and has its leaf be one that came late of what was given up once, and is removed by now.
#[test]
fn no_leaf_passes_for_a_late_one_of_what_was_removed_before_it() {
    let (bench, open) = given_up_for_a_while();
    // The tree has not taken it in. What is closed in order leaves no numbers out, so that nothing says that an opening came between.
    open.journal.close().unwrap();
    drop(open);
    let mut open = remove_earlier(&bench);
    let last = open.append(1);
    open.grow(&bench);
    let head = open.tree.checkpoint().unwrap().to_vec();
    drop(open);
    let (tree, audit) = found(&bench);
    assert!(tree.is_sound() && audit.is_sound(), "{tree}{audit}");
    let (leaves, segment) = (leaves_path(&bench.tree()), bench.segments().pop().unwrap());
    let mut records = fs::read(&leaves).unwrap();
    let at = records.len() - RECORD_BYTES;
    let Some(Record::Entry { sequence, leaf, late: false }) = Record::decode(records[at..].first_chunk().unwrap())
    else {
        panic!("the last record is an entry's");
    };
    assert_eq!(sequence, last);
    records.truncate(at);
    records.extend_from_slice(&Record::Entry { sequence: 2, leaf, late: true }.encode());
    fs::write(&leaves, records).unwrap();
    let whole = fs::read(&segment).unwrap();
    let without = &whole[..whole.len() - (16 + 42 + "entry 1".len())];
    let mut another = Vec::new();
    encode_entry(&mut another, &keys(), last, b"entry ?").unwrap();
    for changed in [without.to_vec(), [without, &another].concat()] {
        fs::write(&segment, changed).unwrap();
        let (_, audit) = found(&bench);
        assert!(audit.is_sound(), "the audit alone cannot tell: {audit}");
        let tree = bench.verify_with(std::slice::from_ref(&head));
        assert_eq!(tree.faults, [TreeFault::EntryMissing { first: 2, last: 2 }]);
    }
}

/// Before a file may go its entries are held against their leaves.
#[test]
fn entries_that_are_another_or_are_missing_differ_from_their_leaves() {
    let bench = lived();
    let open = bench.open();
    let compared = |range| open.tree.compare(&open.journal, range, &|| true).unwrap();
    assert_eq!([(1, 10), (11, 20), (21, 30), (1, 30)].map(compared), [Compared::Same; 4]);
    assert_eq!(open.tree.compare(&open.journal, (1, 30), &|| false).unwrap(), Compared::Stopped);
    let path = &bench.segments()[1];
    let whole = fs::read(path).unwrap();
    let entry = (whole.len() - 96) / 10;
    let mut another = Vec::new();
    encode_entry(&mut another, &keys(), 14, b"entry ?").unwrap();
    let (before, after) = (96 + 3 * entry, 96 + 4 * entry);
    for middle in [another, Vec::new()] {
        fs::write(path, [&whole[..before], &middle[..], &whole[after..]].concat()).unwrap();
        assert_eq!(compared((11, 20)), Compared::Differs { entry: 14 });
        assert_eq!(compared((1, 10)), Compared::Same);
    }
    fs::write(path, [&whole[..before], &vec![0; entry][..], &whole[after..]].concat()).unwrap();
    let damaged = open.tree.compare(&open.journal, (11, 20), &|| true);
    assert!(matches!(damaged, Err(TreeError::Journal(_))), "{damaged:?}");
    fs::write(path, &whole[..whole.len() - entry]).unwrap();
    assert_eq!(compared((11, 20)), Compared::Differs { entry: 20 });
    fs::write(path, [&whole[..], &whole[before..after]].concat()).unwrap();
    assert_eq!(compared((11, 20)), Compared::Differs { entry: 14 }, "twice");
}
