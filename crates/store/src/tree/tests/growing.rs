//! Growth: when, over what, and what can be proven of it.

use kith_merkle::{leaf_hash, verify_inclusion};

use super::*;
use crate::journal::entries_in;
use crate::tree::record::Record;

#[test]
fn a_checkpoint_is_signed_after_a_second_and_only_when_there_is_something_new() {
    let bench = Bench::new();
    let mut open = bench.open();
    assert_eq!(open.tree.checkpoint(), None);
    open.append(3);
    bench.clock.advance_ms(999);
    assert_eq!(open.step(&bench, false).unwrap(), Step::Idle, "not before its time");
    bench.clock.advance_ms(1);
    assert_eq!(open.step(&bench, false).unwrap(), Step::Grew);
    let first = open.checkpoint();
    assert_eq!((first.origin.as_str(), first.size), (ORIGIN, 3));
    assert_eq!(fs::read(checkpoint_path(&bench.tree())).unwrap(), &*open.tree.checkpoint().unwrap());
    bench.clock.advance_ms(5_000);
    assert_eq!(open.step(&bench, false).unwrap(), Step::Idle, "nothing new");
    open.append(1);
    assert_eq!(open.step(&bench, false).unwrap(), Step::Grew, "the second has long passed");
    assert_eq!(open.checkpoint().size, 4);
    open.follows(&first);
    let status = open.tree.status();
    assert_eq!((status.leaves, status.covered_through, status.signed_leaves), (4, 4, Some(4)));
    assert_eq!((status.signs, status.failing, status.suspected), (true, false, vec![]));
}

#[test]
fn a_thousand_entries_do_not_wait_for_the_second() {
    let bench = Bench::new();
    let mut open = bench.open();
    open.append(999);
    assert_eq!(open.step(&bench, false).unwrap(), Step::Idle);
    open.append(1);
    assert_eq!(open.step(&bench, false).unwrap(), Step::Grew);
    assert_eq!(open.checkpoint().size, 1_000);
}

#[test]
fn the_root_is_over_what_stands_in_the_segments() {
    let bench = Bench::new();
    let mut open = bench.open();
    open.append(5);
    open.grow(&bench);
    let mut leaves = Vec::new();
    for path in bench.segments() {
        leaves.extend(
            entries_in(&path, |sequence, sealed| leaf_hash(&[&[0, 1], &sequence.to_be_bytes(), sealed])).unwrap(),
        );
    }
    assert_eq!(leaves.len(), 5);
    let mut edge = kith_merkle::Frontier::default();
    leaves.iter().for_each(|(_, leaf)| edge.push(*leaf, |_, _, _| {}));
    assert_eq!(open.checkpoint().root, edge.root());
}

#[test]
fn every_entry_is_proven_in_every_later_tree_and_in_no_earlier_one() {
    let bench = Bench::new();
    let mut open = bench.open();
    let mut checkpoints = Vec::new();
    for count in [1, 2, 250, 3, 300, 1] {
        open.append(count);
        open.grow(&bench);
        checkpoints.push(open.checkpoint());
    }
    for checkpoint in &checkpoints {
        for sequence in 1..=557 {
            let proven = open.tree.inclusion(sequence, checkpoint.size).unwrap();
            assert_eq!(proven.is_some(), sequence <= checkpoint.size, "{sequence} of {}", checkpoint.size);
            let Some(proven) = proven else { continue };
            let found = verify_inclusion(proven.index, proven.size, &proven.leaf, &proven.proof, &checkpoint.root);
            assert_eq!(found, Ok(()), "{sequence} of {}", checkpoint.size);
        }
        open.follows(checkpoint);
    }
    assert_eq!(open.tree.inclusion(558, 557).unwrap(), None);
    assert_eq!(open.tree.inclusion(1, 558).unwrap(), None, "there are not so many leaves");
    assert_eq!(open.tree.consistency(1, 558).unwrap(), None);
    assert_eq!(open.tree.consistency(5, 4).unwrap(), None);
    let report = bench.verify();
    assert!(report.is_sound(), "{report}");
    assert_eq!((report.leaves, report.checkpoints, report.signed_leaves), (557, 6, 557));
}

#[test]
fn two_kept_levels_are_written_and_used() {
    let bench = Bench::new();
    let mut open = bench.open();
    open.append(66_000);
    open.grow(&bench);
    let length = |kept| fs::metadata(level_path(&bench.tree(), kept)).unwrap().len();
    assert_eq!((length(1), length(2)), (257 * 32, 32));
    let checkpoint = open.checkpoint();
    assert_eq!(checkpoint.size, 66_000);
    for sequence in [1, 256, 257, 65_536, 65_537, 66_000] {
        let proven = open.tree.inclusion(sequence, 66_000).unwrap().unwrap();
        assert_eq!(verify_inclusion(proven.index, 66_000, &proven.leaf, &proven.proof, &checkpoint.root), Ok(()));
    }
    assert!(bench.verify().is_sound());
    // The same edge is found again from the files.
    drop(open);
    let mut open = bench.open();
    open.append(1);
    open.grow(&bench);
    open.follows(&checkpoint);
    assert!(bench.verify().is_sound());
    drop(open);
    // That the level below is missing hides no change of it.
    fs::remove_file(level_path(&bench.tree(), 1)).unwrap();
    assert!(bench.verify().is_sound(), "it is made anew");
    let mut changed = fs::read(level_path(&bench.tree(), 2)).unwrap();
    changed[0] ^= 1;
    fs::write(level_path(&bench.tree(), 2), changed).unwrap();
    assert_eq!(bench.verify().faults, [TreeFault::LevelDiffers { kept: 2, index: 0 }]);
}

#[test]
fn without_a_key_the_tree_grows_and_is_signed_from_when_there_is_one() {
    let mut bench = Bench::new();
    bench.signer = None;
    let mut open = bench.open();
    open.append(3);
    open.grow(&bench);
    assert_eq!((open.tree.checkpoint(), open.tree.status().leaves), (None, 3));
    assert!(!checkpoint_path(&bench.tree()).exists());
    assert!(bench.verify().is_sound());
    drop(open);
    bench.signer = Some(signer());
    let mut open = bench.open();
    assert_eq!(open.tree.status().leaves, 3);
    open.grow(&bench);
    assert!(open.checkpoint().size >= 3);
    assert!(bench.verify().is_sound());
}

#[test]
fn entries_that_come_late_are_taken_in_once_after_those_that_passed_them() {
    let bench = Bench::new();
    let mut open = bench.open();
    open.append(1);
    open.grow(&bench);
    bench.disk.hang(&bench.path("primary"));
    open.journal.append(b"hangs").unwrap();
    bench.clock.advance_ms(400);
    let mut last = 0;
    eventually("the other sink", || {
        last = open.journal.append(b"goes on").unwrap_or_else(|_| panic!("no sink")).sequence;
        open.journal.synced_through() >= 3
    });
    eventually("sync", || open.journal.synced_through() >= last);
    open.grow(&bench);
    let passed = open.checkpoint();
    assert_eq!(open.tree.inclusion(2, passed.size).unwrap(), None, "it is not there");
    assert!(bench.verify().is_sound(), "{}", bench.verify());
    bench.disk.release();
    eventually("synced after all", || open.journal.window().given_up == 0);
    open.grow(&bench);
    let after = open.checkpoint();
    assert_eq!(after.size, passed.size + 1);
    open.follows(&passed);
    let proven = open.tree.inclusion(2, after.size).unwrap().unwrap();
    assert_eq!(verify_inclusion(proven.index, after.size, &proven.leaf, &proven.proof, &after.root), Ok(()));
    open.grow(&bench);
    assert_eq!(open.checkpoint().size, after.size, "once");
    open.append(1);
    open.grow(&bench);
    open.follows(&after);
    let report = bench.verify();
    assert!(report.is_sound(), "{report}");
    // And it is all found again.
    drop(open);
    let open = bench.open();
    assert_eq!(open.tree.status().suspected, Vec::<String>::new());
    assert_eq!(open.tree.covered_through(), last + 1);
}

#[test]
fn numbers_left_out_after_an_unclean_end_are_passed_over_in_one_leaf() {
    let bench = Bench::new();
    let mut open = bench.open();
    open.append(2);
    open.grow(&bench);
    let before = open.checkpoint();
    drop(open);
    let mut open = bench.open();
    let next = open.append(1);
    assert!(next > 1_000_000);
    open.grow(&bench);
    assert_eq!(open.checkpoint().size, 4);
    open.follows(&before);
    let reader = files::TreeReader::open(&bench.tree()).unwrap();
    assert_eq!(reader.record(2).unwrap(), Record::PassedOver { first: 3, last: next - 1 });
    assert_eq!(open.tree.inclusion(1_000, 4).unwrap(), None);
    assert!(open.tree.inclusion(next, 4).unwrap().is_some());
    assert!(bench.verify().is_sound());
}

#[test]
fn the_thread_takes_in_what_is_left_when_it_is_closed() {
    let bench = Bench::new();
    let tree = bench.open_tree();
    let options = JournalOptions::new(bench.path("primary"), bench.path("spill"));
    let (journal, recovered) =
        Journal::open(options, keys(), tree.covered_through(), BOOT, bench.clock.clone()).unwrap();
    tree.follow(&journal, recovered.last_sequence).unwrap();
    for _ in 0..10 {
        journal.append(b"entry").unwrap();
    }
    journal.close().unwrap();
    tree.close();
    let checkpoint = Checkpoint::open(&tree.checkpoint().unwrap(), &key()).unwrap().0;
    assert_eq!(checkpoint.size, 10, "the clock stood still, and all is signed");
    tree.close();
    assert!(bench.verify().is_sound());
}

/// Far behind, as after a tree was begun anew, all is taken in at once and no head covers more than it may; a cut among the heads
/// leaves those before it, and no fault.
#[test]
fn no_head_covers_more_than_a_thousand_entries_however_far_behind_it_is() {
    let bench = Bench::new();
    let mut open = bench.open();
    open.append(2_500);
    assert_eq!(open.step(&bench, false).unwrap(), Step::Grew);
    assert_eq!((open.checkpoint().size, open.tree.covered_through()), (2_500, 2_500), "in one step");
    drop(open);
    let report = bench.verify();
    assert!(report.is_sound(), "{report}");
    assert_eq!((report.checkpoints, report.signed_leaves), (3, 2_500));
    fs::remove_file(checkpoint_path(&bench.tree())).unwrap();
    let history = checkpoints_path(&bench.tree());
    let whole = fs::read(&history).unwrap();
    for cut in [whole.len() - 1, whole.len() / 2, 10] {
        fs::write(&history, &whole[..cut]).unwrap();
        let report = bench.verify();
        assert!(report.is_sound(), "{cut}: {report}");
        assert_eq!(report.signed_leaves, 1_000 * report.checkpoints, "{cut}");
        let open = bench.open();
        assert_eq!(open.tree.status().suspected, Vec::<String>::new(), "{cut}");
    }
}
