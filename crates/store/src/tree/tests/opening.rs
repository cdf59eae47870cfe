//! Opening what a power cut left, which is never a fault, and what somebody changed, which always is.

use super::*;
use crate::tree::files::{Framed, record_offset};

/// A tree of ten leaves under two checkpoints, and two more leaves on disk that nothing is signed over. Its parts' bytes.
struct Left {
    bench: Bench,
    leaves: Vec<u8>,
    checkpoints: Vec<u8>,
    published: Checkpoint,
}

fn left() -> Left {
    let bench = Bench::new();
    let mut open = bench.open();
    open.append(4);
    open.grow(&bench);
    open.append(6);
    open.grow(&bench);
    let published = open.checkpoint();
    open.append(2);
    // The leaves reach the disk, and the next checkpoint does not.
    bench.disk.fail(&bench.tree(), Call::Write, 2, false, 5);
    open.step(&bench, true).unwrap_err();
    drop(open);
    let leaves = fs::read(leaves_path(&bench.tree())).unwrap();
    let checkpoints = fs::read(checkpoints_path(&bench.tree())).unwrap();
    assert_eq!(leaves.len() as u64, record_offset(12));
    Left { bench, leaves, checkpoints, published }
}

impl Left {
    fn put_back(&self) {
        fs::write(leaves_path(&self.bench.tree()), &self.leaves).unwrap();
        fs::write(checkpoints_path(&self.bench.tree()), &self.checkpoints).unwrap();
        let _gone = fs::remove_file(suspected_path(&self.bench.tree()));
    }

    /// Opens, and lets it grow over what the audit has.
    fn goes_on(&self, what: &str) {
        let report = self.bench.verify();
        assert!(report.is_sound(), "{what}: {report}");
        let mut open = self.bench.open();
        assert_eq!(open.tree.status().suspected, Vec::<String>::new(), "{what}");
        assert_eq!(open.checkpoint(), self.published, "{what}");
        open.grow(&self.bench);
        open.follows(&self.published);
        assert_eq!(open.checkpoint().size, 12, "{what}");
        let report = self.bench.verify();
        assert!(report.is_sound(), "{what}: {report}");
    }
}

/// A power cut leaves such leaves, and so may whoever has the disks: they vouch for nothing before a start has signed them.
#[test]
fn leaves_after_the_newest_head_are_no_signature() {
    let left = left();
    let report = left.bench.verify();
    assert!(report.is_sound() && report.after == 0, "each entry has its leaf: {report}");
    assert!(!report.is_signed_to_its_end(), "{report}");
    left.goes_on("leaves without a head");
    let report = left.bench.verify();
    assert!(report.is_signed_to_its_end(), "{report}");
}

#[test]
fn leaves_torn_anywhere_after_the_last_checkpoint_are_no_fault() {
    let left = left();
    for cut in (record_offset(10)..=record_offset(12)).step_by(6) {
        left.put_back();
        fs::write(leaves_path(&left.bench.tree()), &left.leaves[..usize::try_from(cut).unwrap()]).unwrap();
        let _old = fs::remove_file(checkpoint_path(&left.bench.tree()));
        left.goes_on(&format!("cut at {cut}"));
    }
}

#[test]
fn blocks_that_never_reached_the_disk_are_no_fault() {
    let left = left();
    for from in [record_offset(10), record_offset(10) + 7, record_offset(11)] {
        left.put_back();
        let mut bytes = left.leaves.clone();
        bytes[usize::try_from(from).unwrap()..].fill(0);
        bytes.extend_from_slice(&[0; 500]);
        fs::write(leaves_path(&left.bench.tree()), bytes).unwrap();
        let _old = fs::remove_file(checkpoint_path(&left.bench.tree()));
        left.goes_on(&format!("noughts from {from}"));
    }
}

#[test]
fn a_checkpoint_torn_anywhere_before_it_was_published_is_no_fault() {
    let left = left();
    let first = Framed::decode(&left.checkpoints).unwrap().1;
    // Not yet in its file, as when the machine went down before that was replaced.
    for cut in (first..left.checkpoints.len()).step_by(19) {
        left.put_back();
        let _old = fs::remove_file(checkpoint_path(&left.bench.tree()));
        fs::write(checkpoints_path(&left.bench.tree()), &left.checkpoints[..cut]).unwrap();
        let report = left.bench.verify();
        assert!(report.is_sound(), "cut at {cut}: {report}");
        let mut open = left.bench.open();
        assert_eq!((open.tree.status().suspected.len(), open.checkpoint().size), (0, 4), "cut at {cut}");
        open.grow(&left.bench);
        let report = left.bench.verify();
        assert!(report.is_sound(), "cut at {cut}: {report}");
    }
}

#[test]
fn a_tree_that_was_just_being_made_is_made_again() {
    for length in [0, 1, 47] {
        let bench = Bench::new();
        fs::create_dir(bench.tree()).unwrap();
        fs::write(leaves_path(&bench.tree()), &record::head()[..length]).unwrap();
        let mut open = bench.open();
        open.append(2);
        open.grow(&bench);
        assert_eq!(open.checkpoint().size, 2);
        assert!(bench.verify().is_sound());
    }
}

#[test]
fn kept_hashes_that_are_missing_are_made_anew() {
    let bench = Bench::new();
    let mut open = bench.open();
    open.append(600);
    open.grow(&bench);
    let published = open.checkpoint();
    drop(open);
    let path = level_path(&bench.tree(), 1);
    for length in [0, 32, 40] {
        fs::File::options().write(true).open(&path).unwrap().set_len(length).unwrap();
        let mut open = bench.open();
        assert_eq!(open.tree.status().suspected, Vec::<String>::new());
        assert_eq!(fs::metadata(&path).unwrap().len(), 64);
        open.append(1);
        open.grow(&bench);
        open.follows(&published);
    }
    assert!(bench.verify().is_sound());
}

#[test]
fn a_changed_tree_is_suspected_and_not_signed_until_a_person_has_looked() {
    let left = left();
    let leaves = leaves_path(&left.bench.tree());
    fs::write(&leaves, &left.leaves[..usize::try_from(record_offset(9)).unwrap()]).unwrap();
    let told = TreeFault::TreeTruncated { signed: 10, found: 9 }.to_string();
    for _ in 0..2 {
        let open = left.bench.open();
        assert_eq!(open.tree.status().suspected, std::slice::from_ref(&told));
        assert!(open.grower.is_none(), "nothing grows");
        assert_eq!(fs::read(&leaves).unwrap().len() as u64, record_offset(9), "what is suspected is left as it is");
    }
    // Not even when it has been put back: somebody was there.
    fs::write(&leaves, &left.leaves).unwrap();
    let open = left.bench.open();
    assert_eq!((open.tree.status().suspected, open.grower.is_none()), (vec![told.clone()], true));
    drop(open);
    let report = left.bench.verify();
    assert_eq!((report.is_sound(), report.suspected), (true, vec![told]));
    fs::remove_file(suspected_path(&left.bench.tree())).unwrap();
    left.goes_on("looked at");
}

#[test]
fn a_tree_behind_the_head_that_the_log_knows_of_or_beside_it_is_suspected() {
    let left = left();
    let (size, root) = (left.published.size, left.published.root);
    let held = |known, root: &Hash| {
        left.put_back();
        let tree = left.bench.open_tree();
        assert!(!tree.hold_against(known, root), "it does not begin anew");
        let grows = tree.begin(100).is_some();
        (tree.status().suspected, grows)
    };
    assert_eq!((size, held(size, &root)), (10, (Vec::new(), true)));
    let back = TreeFault::RolledBack { known: 11, found: 10 }.to_string();
    assert_eq!(held(11, &root), (vec![back], false));
    let forked = TreeFault::Forked { size: 10 }.to_string();
    assert_eq!(held(10, &[7; 32]), (vec![forked], false));
    // One that was put aside to begin anew has signed nothing.
    let bench = Bench::new();
    let tree = bench.open_tree();
    assert!(tree.hold_against(11, &root), "whatever it has signed a second later");
    assert!(tree.status().suspected.is_empty() && tree.begin(100).is_some());
}

#[test]
fn what_was_signed_and_changed_since_is_named_at_the_start() {
    let left = left();
    let write = |bytes: &[u8]| fs::write(leaves_path(&left.bench.tree()), bytes).unwrap();
    let suspected = || left.bench.open_tree().status().suspected;
    let at = |index| usize::try_from(record_offset(index)).unwrap();
    // The last signed leaf flipped, and another one in its place.
    let mut bytes = left.leaves.clone();
    bytes[at(9) + 20] ^= 1;
    write(&bytes);
    assert_eq!(suspected(), [TreeFault::RecordDamaged { index: 9 }.to_string()]);
    left.put_back();
    let mut bytes = left.leaves.clone();
    bytes.copy_within(at(10)..at(11), at(9));
    write(&bytes);
    assert_eq!(suspected(), [TreeFault::RootDiffers { size: 10 }.to_string()]);
    left.put_back();
    // The head.
    let mut bytes = left.leaves.clone();
    bytes[0] ^= 1;
    write(&bytes);
    assert_eq!(suspected(), [TreeFault::Head.to_string()]);
    left.put_back();
    // A whole leaf after the signed ones that never stood there.
    let mut bytes = left.leaves.clone();
    bytes.copy_within(at(0)..at(1), at(10));
    write(&bytes);
    assert_eq!(suspected(), [TreeFault::OrderDiffers { index: 10, covered: 10 }.to_string()]);
}

#[test]
fn a_last_leaf_that_no_kept_hash_needs_is_looked_at_all_the_same() {
    let bench = Bench::new();
    let mut open = bench.open();
    open.append(256);
    open.grow(&bench);
    drop(open);
    let mut bytes = fs::read(leaves_path(&bench.tree())).unwrap();
    let last = bytes.len() - 1;
    bytes[last] ^= 1;
    fs::write(leaves_path(&bench.tree()), bytes).unwrap();
    assert_eq!(bench.open_tree().status().suspected, [TreeFault::RecordDamaged { index: 255 }.to_string()]);
}

#[test]
fn checkpoints_that_were_taken_back_or_forged_are_named_at_the_start() {
    let left = left();
    let suspected = || left.bench.open_tree().status().suspected;
    let first = Framed::decode(&left.checkpoints).unwrap().1;
    let write = |bytes: &[u8]| fs::write(checkpoints_path(&left.bench.tree()), bytes).unwrap();
    write(&left.checkpoints[..first]);
    assert_eq!(suspected(), [TreeFault::RolledBack { known: 10, found: 4 }.to_string()]);
    left.put_back();
    write(&[]);
    assert_eq!(suspected(), [TreeFault::RolledBack { known: 10, found: 0 }.to_string()]);
    left.put_back();
    let other = LogSigner::from_seed(ORIGIN, &[6; 32]).unwrap();
    let note = left.published.sign(&other).unwrap().to_string().into_bytes();
    write(&Framed { before: 4, note }.encode());
    let forged = suspected();
    assert!(forged[0].starts_with("checkpoint forged"), "{forged:?}");
    left.put_back();
    let fork = Checkpoint { root: [1; 32], ..left.published.clone() }.sign(&signer()).unwrap();
    fs::write(checkpoint_path(&left.bench.tree()), fork.to_string()).unwrap();
    assert_eq!(suspected(), [TreeFault::Forked { size: 10 }.to_string()]);
}

#[test]
fn another_key_in_the_configuration_is_called_that_and_putting_the_old_one_back_is_enough() {
    let mut left = left();
    let other = Arc::new(LogSigner::from_seed(ORIGIN, &[6; 32]).unwrap());
    let hex = |key: &VerifierKey| key.id().iter().map(|byte| format!("{byte:02x}")).collect::<String>();
    let changed = TreeFault::KeyChanged { signed: hex(&key()), configured: hex(other.key()) };
    assert!(changed.to_string().starts_with("the signing key was changed"));
    left.bench.signer = Some(other);
    for _ in 0..2 {
        let open = left.bench.open();
        assert_eq!(open.tree.status().suspected, [changed.to_string()]);
        assert!(open.grower.is_none(), "nothing is signed over another's heads");
        assert!(open.tree.checkpoint().is_none(), "nor shown as this key's");
    }
    assert_eq!(left.bench.verify().faults, [changed], "once, and nothing else is wrong");
    assert!(!suspected_path(&left.bench.tree()).exists(), "nothing was changed that a person must look at");
    left.bench.signer = Some(signer());
    left.goes_on("the key that signed");
}

#[test]
fn one_head_signed_with_another_key_is_forged_wherever_it_stands() {
    let left = left();
    let other = LogSigner::from_seed(ORIGIN, &[6; 32]).unwrap();
    let (first, end) = Framed::decode(&left.checkpoints).unwrap();
    let (second, _) = Framed::decode(&left.checkpoints[end..]).unwrap();
    let resigned = |framed: &Framed| {
        let checkpoint = Checkpoint::open(&framed.note, &key()).unwrap().0;
        let note = checkpoint.sign(&other).unwrap().to_string().into_bytes();
        Framed { before: framed.before, note }.encode()
    };
    let history = checkpoints_path(&left.bench.tree());
    for (bytes, stands_after) in [
        ([resigned(&first), second.encode()].concat(), 0),
        ([first.encode(), resigned(&second)].concat(), 4),
        // All of the history; the head that others fetch is the key's own.
        ([resigned(&first), resigned(&second)].concat(), 0),
    ] {
        fs::write(&history, bytes).unwrap();
        let faults = left.bench.verify().faults;
        let forged =
            |fault: &TreeFault| matches!(fault, TreeFault::CheckpointForged { after, .. } if *after == stands_after);
        assert!(faults.iter().any(forged), "{faults:?}");
        assert!(!faults.iter().any(|fault| matches!(fault, TreeFault::KeyChanged { .. })), "{faults:?}");
    }
}

#[test]
fn an_audit_that_was_rolled_back_beside_its_tree_is_named_at_the_start() {
    let left = left();
    let path = left.bench.segments().remove(0);
    let length = fs::metadata(&path).unwrap().len();
    let entry = (length - 96) / 12;
    fs::File::options().write(true).open(&path).unwrap().set_len(96 + 7 * entry).unwrap();
    let open = left.bench.open();
    let told = TreeFault::EntryMissing { first: 8, last: 12 }.to_string();
    assert_eq!(open.tree.status().suspected, [told]);
    assert!(open.grower.is_none());
    // The audit itself goes on, beyond every number that was ever given.
    assert!(open.append(1) > 12);
}

#[test]
fn a_second_opening_is_refused() {
    let bench = Bench::new();
    let _open = bench.open();
    let again = Tree::open(TreeOptions::new(bench.tree(), None), bench.clock.clone());
    assert!(matches!(again, Err(TreeError::Locked)));
}

#[test]
fn a_file_whose_first_bytes_never_reached_the_disk_is_made_anew() {
    for zeros in [record_offset(0), record_offset(0) + 4_096] {
        let bench = Bench::new();
        drop(bench.open());
        fs::write(leaves_path(&bench.tree()), vec![0; usize::try_from(zeros).unwrap()]).unwrap();
        let report = bench.verify();
        assert!(report.is_sound(), "{zeros}: {report}");
        let mut open = bench.open();
        assert_eq!(open.tree.status().suspected, Vec::<String>::new(), "{zeros}");
        open.append(3);
        open.grow(&bench);
        // And what says that the audit was not closed.
        assert_eq!(open.checkpoint().size, 4);
        drop(open);
        assert!(bench.verify().is_sound());
    }
}

#[test]
fn zeros_in_the_place_of_what_was_signed_are_a_fault() {
    let left = left();
    let mut bytes = left.leaves.clone();
    bytes[..usize::try_from(record_offset(0)).unwrap()].fill(0);
    fs::write(leaves_path(&left.bench.tree()), bytes).unwrap();
    assert!(!left.bench.verify().is_sound());
    assert!(!left.bench.open().tree.status().suspected.is_empty());
}
