//! Every way in which somebody could change what was written, each found and named; and a power cut, which never is one.

mod beside;

use std::cell::Cell;

use kith_merkle::HASH_BYTES;

use super::*;
use crate::journal::{JournalReport, encode_entry};
use crate::tree::files::{Framed, record_offset};
use crate::tree::record::{RECORD_BYTES, Record};

const ENTRIES: u64 = 30;
/// Bytes of a segment before its first entry, and of each of the entries of these tests.
const HEADER: usize = 96;
const ENTRY: usize = 16 + 42 + "entry 10".len();

/// An audit of thirty entries in one segment, under three checkpoints, and its files' bytes.
struct Site {
    bench: Bench,
    segment: PathBuf,
    files: Vec<(PathBuf, Vec<u8>)>,
    published: Vec<u8>,
    /// How many changes of files were tried.
    tried: Cell<usize>,
}

impl Drop for Site {
    /// `cargo xtask assure` adds these up.
    fn drop(&mut self) {
        println!("COUNTED tamper {}", self.tried.get());
    }
}

impl Site {
    fn new() -> Self {
        let bench = Bench::new();
        let mut open = bench.open();
        for batch in 0..3 {
            for number in 0..10 {
                open.journal.append(format!("entry {batch}{number}").as_bytes()).unwrap();
            }
            eventually("sync", || open.journal.synced_through() >= (batch + 1) * 10);
            open.grow(&bench);
        }
        let published = open.tree.checkpoint().unwrap().to_vec();
        drop(open);
        let segment = bench.segments().remove(0);
        let tree = bench.tree();
        let files = [leaves_path(&tree), checkpoints_path(&tree), checkpoint_path(&tree), segment.clone()];
        let files: Vec<_> = files.map(|path| (path.clone(), fs::read(path).unwrap())).into();
        assert_eq!(files[3].1.len(), HEADER + 30 * ENTRY);
        Self { bench, segment, files, published, tried: Cell::new(0) }
    }

    fn bytes(&self, path: &Path) -> Vec<u8> {
        self.files.iter().find(|file| file.0 == path).unwrap().1.clone()
    }

    /// What is found when one file has other bytes; the file is put back.
    fn with(&self, path: &Path, bytes: &[u8]) -> (TreeReport, JournalReport) {
        fs::write(path, bytes).unwrap();
        self.tried.set(self.tried.get() + usize::from(bytes != self.bytes(path)));
        let sinks = [self.bench.path("primary"), self.bench.path("spill")];
        let found = (self.bench.verify(), Journal::verify(&sinks[0], &sinks[1], &keys()).unwrap());
        fs::write(path, self.bytes(path)).unwrap();
        found
    }

    /// One of the names must be told.
    fn found(&self, path: &Path, bytes: &[u8], names: &[&str], what: &str) {
        let (tree, audit) = self.with(path, bytes);
        let told = names_of(&tree, &audit);
        assert!(names.iter().any(|name| told.contains(&(*name).to_owned())), "{what}: {told:?}, expected {names:?}");
    }
}

/// The names of what was found.
fn names_of(tree: &TreeReport, audit: &JournalReport) -> Vec<String> {
    let tree = tree.faults.iter().map(|fault| format!("{fault:?}"));
    let audit = audit.faults.iter().map(|fault| format!("{fault:?}"));
    let name = |told: String| told.split([' ', '{']).next().unwrap_or_default().to_owned();
    tree.chain(audit).map(name).collect()
}

/// The places of whole parts in a file.
fn parts(start: usize, length: usize, end: usize) -> Vec<std::ops::Range<usize>> {
    (start..end).step_by(length).map(|at| at..at + length).collect()
}

/// Bytes with a part left out.
fn dropped(bytes: &[u8], part: &std::ops::Range<usize>) -> Vec<u8> {
    [&bytes[..part.start], &bytes[part.end..]].concat()
}

/// Bytes with two parts that follow each other the other way round.
fn swapped(bytes: &[u8], one: &std::ops::Range<usize>, two: &std::ops::Range<usize>) -> Vec<u8> {
    [&bytes[..one.start], &bytes[two.clone()], &bytes[one.clone()], &bytes[two.end..]].concat()
}

fn frames(bytes: &[u8]) -> Vec<std::ops::Range<usize>> {
    let mut found = Vec::new();
    let mut at = 0;
    while let Some((_, length)) = Framed::decode(&bytes[at..]) {
        found.push(at..at + length);
        at += length;
    }
    found
}

#[test]
fn what_nobody_changed_is_sound() {
    let site = Site::new();
    let (tree, audit) = site.with(&site.segment, &site.bytes(&site.segment));
    assert!(tree.is_sound() && audit.is_sound(), "{tree}{audit}");
    assert_eq!((tree.leaves, tree.checkpoints, tree.signed_leaves, tree.covered_through), (30, 3, 30, 30));
    assert_eq!((tree.after, tree.passed_over, tree.outside), (0, 0, 0));
    let told = site.bench.verify_with(std::slice::from_ref(&site.published));
    assert_eq!((told.is_sound(), told.outside), (true, 1));
}

#[test]
fn every_byte_of_every_file_flipped_is_found_and_named() {
    let site = Site::new();
    for (path, bytes) in &site.files {
        let name = path.file_name().unwrap().to_str().unwrap();
        for at in 0..bytes.len() {
            let mut flipped = bytes.clone();
            flipped[at] ^= 1 << (at % 8);
            let expected: &[&str] = match name {
                "leaves" if at < RECORD_BYTES => &["Head"],
                "leaves" => &["RecordDamaged"],
                // The last checkpoint flipped looks like one that was torn; but it had been published.
                "checkpoints" => &["CheckpointDamaged", "RolledBack"],
                "checkpoint" => &["CheckpointForged"],
                _ if at < HEADER => &["Header"],
                _ => &["EntryMissing"],
            };
            site.found(path, &flipped, expected, &format!("{name}, byte {at}"));
        }
    }
}

#[test]
fn every_file_cut_at_any_byte_is_found_and_named() {
    let site = Site::new();
    for (path, bytes) in &site.files {
        let name = path.file_name().unwrap().to_str().unwrap();
        for length in 0..bytes.len() {
            let expected: &[&str] = match name {
                "leaves" => &["TreeTruncated"],
                "checkpoints" => &["RolledBack"],
                "checkpoint" => &["CheckpointForged"],
                _ => &["EntryMissing"],
            };
            site.found(path, &bytes[..length], expected, &format!("{name}, cut at {length}"));
        }
    }
}

#[test]
fn every_leaf_checkpoint_and_entry_dropped_doubled_or_swapped_is_found_and_named() {
    let site = Site::new();
    let tree = site.bench.tree();
    let leaves = parts(RECORD_BYTES, RECORD_BYTES, usize::try_from(record_offset(ENTRIES)).unwrap());
    let entries = parts(HEADER, ENTRY, HEADER + 30 * ENTRY);
    let (history, segment) = (checkpoints_path(&tree), site.segment.clone());
    let signed = frames(&site.bytes(&history));
    assert_eq!((leaves.len(), signed.len(), entries.len()), (30, 3, 30));
    // What is called what: dropped, doubled, swapped.
    for (path, parts, names) in [
        (leaves_path(&tree), &leaves, [&["OrderDiffers", "TreeTruncated"][..], &["OrderDiffers"], &["OrderDiffers"]]),
        (history, &signed, [&["CheckpointOrder", "RolledBack"][..], &["CheckpointOrder"], &["CheckpointOrder"]]),
        (segment, &entries, [&["EntryMissing"][..], &["Duplicate"], &["OutOfOrder"]]),
    ] {
        let bytes = site.bytes(&path);
        for (at, part) in parts.iter().enumerate() {
            let what = format!("{}, part {at}", path.display());
            if (at, &path) != (parts.len() - 1, &checkpoints_path(&tree)) {
                site.found(&path, &dropped(&bytes, part), names[0], &what);
            }
            let doubled = [&bytes[..part.end], &bytes[part.start..]].concat();
            site.found(&path, &doubled, names[1], &what);
            if let Some(next) = parts.get(at + 1) {
                site.found(&path, &swapped(&bytes, part, next), names[2], &what);
            }
        }
    }
}

#[test]
fn the_newest_checkpoint_dropped_is_found_where_it_was_published() {
    let site = Site::new();
    let history = checkpoints_path(&site.bench.tree());
    let bytes = site.bytes(&history);
    let last = frames(&bytes).pop().unwrap();
    site.found(&history, &dropped(&bytes, &last), &["RolledBack"], "the last checkpoint");
}

#[test]
fn an_entry_written_anew_with_the_right_key_is_found_and_named() {
    let site = Site::new();
    let bytes = site.bytes(&site.segment);
    for (sequence, part) in (1..).zip(parts(HEADER, ENTRY, bytes.len())) {
        let mut entry = Vec::new();
        encode_entry(&mut entry, &keys(), sequence, b"entry ??").unwrap();
        let forged = [&bytes[..part.start], &entry, &bytes[part.end..]].concat();
        let (tree, audit) = site.with(&site.segment, &forged);
        assert!(audit.is_sound(), "the audit alone cannot tell: {audit}");
        assert_eq!(tree.faults, [TreeFault::LeafDiffers { sequence }]);
    }
}

#[test]
fn a_leaf_written_anew_to_match_its_forged_entry_is_found_and_named() {
    let site = Site::new();
    let path = leaves_path(&site.bench.tree());
    let bytes = site.bytes(&path);
    for (sequence, part) in (1..=ENTRIES).zip(parts(RECORD_BYTES, RECORD_BYTES, bytes.len())) {
        let record = Record::Entry { sequence, leaf: [9; 32], late: false }.encode();
        let forged = [&bytes[..part.start], &record, &bytes[part.end..]].concat();
        let (tree, _) = site.with(&path, &forged);
        let signed = (sequence - 1) / 10 * 10 + 10;
        assert!(tree.faults.contains(&TreeFault::RootDiffers { size: signed }), "{tree}");
        assert!(tree.faults.contains(&TreeFault::LeafDiffers { sequence }), "{tree}");
    }
}

#[test]
fn a_leaf_slipped_in_among_those_passed_over_is_found_and_named() {
    let bench = Bench::new();
    let mut open = bench.open();
    open.append(2);
    open.grow(&bench);
    drop(open);
    let mut open = bench.open();
    let last = open.append(1);
    open.grow(&bench);
    drop(open);
    // Late entries that the audit never had.
    let path = leaves_path(&bench.tree());
    let mut bytes = fs::read(&path).unwrap();
    let late = Record::Entry { sequence: 7, leaf: [9; 32], late: true }.encode();
    bytes.extend_from_slice(&late);
    bytes.extend_from_slice(&late);
    bytes.extend_from_slice(&Record::Entry { sequence: 2, leaf: [9; 32], late: true }.encode());
    fs::write(&path, bytes).unwrap();
    let report = bench.verify();
    for fault in [
        // What an opening left out was never given, and cannot be late.
        TreeFault::OrderDiffers { index: 4, covered: last },
        TreeFault::OrderDiffers { index: 5, covered: last },
        TreeFault::OrderDiffers { index: 6, covered: last },
    ] {
        assert!(report.faults.contains(&fault), "{report}");
    }
    let told = TreeFault::OrderDiffers { index: 4, covered: last }.to_string();
    assert_eq!(bench.open_tree().status().suspected, [told], "and no start signs it");
}

#[test]
fn an_entry_that_was_never_taken_in_although_later_ones_were_is_named() {
    let site = Site::new();
    let path = leaves_path(&site.bench.tree());
    let bytes = site.bytes(&path);
    // Entry 5 left out, as if its number had been passed over, and everything signed anew is another matter (a fork).
    let part = parts(RECORD_BYTES, RECORD_BYTES, bytes.len())[4].clone();
    let hidden =
        [&bytes[..part.start], &Record::PassedOver { first: 5, last: 5 }.encode(), &bytes[part.end..]].concat();
    let (tree, _) = site.with(&path, &hidden);
    assert_eq!(tree.passed_over, 1);
    assert!(tree.faults.contains(&TreeFault::RootDiffers { size: 10 }), "{tree}");
    // Doubled instead, one number is in the audit and not in the tree.
    let other = parts(RECORD_BYTES, RECORD_BYTES, bytes.len())[3].clone();
    let doubled = [&bytes[..part.start], &bytes[other], &bytes[part.end..]].concat();
    let (tree, _) = site.with(&path, &doubled);
    assert!(tree.faults.contains(&TreeFault::NotInTree { first: 5, last: 5 }), "{tree}");
}

#[test]
fn a_kept_hash_changed_is_found_and_named() {
    let bench = Bench::new();
    let mut open = bench.open();
    open.append(600);
    open.grow(&bench);
    drop(open);
    let path = level_path(&bench.tree(), 1);
    let bytes = fs::read(&path).unwrap();
    for at in 0..bytes.len() {
        let mut flipped = bytes.clone();
        flipped[at] ^= 1;
        fs::write(&path, &flipped).unwrap();
        let report = bench.verify();
        let index = at as u64 / 32;
        assert!(report.faults.contains(&TreeFault::LevelDiffers { kept: 1, index }), "byte {at}: {report}");
    }
    println!("COUNTED tamper {}", bytes.len());
}

#[test]
fn a_tree_that_is_gone_beside_its_audit_is_named() {
    let site = Site::new();
    fs::remove_dir_all(site.bench.tree()).unwrap();
    assert_eq!(site.bench.verify().faults, [TreeFault::Absent { last: 30 }]);
    // Beside what a witness kept, it was rolled back.
    let report = site.bench.verify_with(std::slice::from_ref(&site.published));
    assert!(report.faults.contains(&TreeFault::RolledBack { known: 30, found: 0 }), "{report}");
}

#[test]
fn heads_whose_leaves_and_audit_are_gone_are_named_wherever_they_stand() {
    let site = Site::new();
    let tree = site.bench.tree();
    for gone in [leaves_path(&tree), site.segment.clone()] {
        fs::remove_file(gone).unwrap();
    }
    let truncated = [TreeFault::TreeTruncated { signed: 30, found: 0 }];
    assert_eq!(site.bench.verify().faults, truncated);
    fs::remove_file(checkpoint_path(&tree)).unwrap();
    assert_eq!(site.bench.verify().faults, truncated, "the history alone");
}

#[test]
fn all_of_it_rolled_back_together_is_found_by_what_a_witness_kept() {
    let site = Site::new();
    let tree = site.bench.tree();
    let signed = frames(&site.bytes(&checkpoints_path(&tree)));
    let history = site.bytes(&checkpoints_path(&tree));
    let leaves = usize::try_from(record_offset(20)).unwrap();
    fs::write(leaves_path(&tree), &site.bytes(&leaves_path(&tree))[..leaves]).unwrap();
    fs::write(checkpoints_path(&tree), &history[..signed[1].end]).unwrap();
    let (second, _) = Framed::decode(&history[signed[1].clone()]).unwrap();
    fs::write(checkpoint_path(&tree), second.note).unwrap();
    fs::write(&site.segment, &site.bytes(&site.segment)[..HEADER + 20 * ENTRY]).unwrap();
    assert!(site.bench.verify().is_sound(), "by itself it is a whole audit of twenty entries");
    let report = site.bench.verify_with(std::slice::from_ref(&site.published));
    assert_eq!(report.faults, [TreeFault::RolledBack { known: 30, found: 20 }]);
}

#[test]
fn a_tree_that_was_put_back_is_found_by_the_head_that_the_log_knows_of() {
    let site = Site::new();
    let tree = site.bench.tree();
    let newest = Checkpoint::open(&site.published, &key()).unwrap().0;
    let beside = |size, root| site.bench.verify_beside(&[], Some((size, root))).faults;
    assert_eq!(beside(newest.size, newest.root), []);
    assert_eq!(beside(30, [7; 32]), [TreeFault::Forked { size: 30 }]);
    let history = site.bytes(&checkpoints_path(&tree));
    let signed = frames(&history);
    fs::write(checkpoints_path(&tree), &history[..signed[1].end]).unwrap();
    let (second, _) = Framed::decode(&history[signed[1].clone()]).unwrap();
    fs::write(checkpoint_path(&tree), second.note).unwrap();
    let leaves = usize::try_from(record_offset(20)).unwrap();
    fs::write(leaves_path(&tree), &site.bytes(&leaves_path(&tree))[..leaves]).unwrap();
    assert!(site.bench.verify().is_sound(), "by itself it is a tree that has not grown yet");
    assert_eq!(beside(newest.size, newest.root), [TreeFault::RolledBack { known: 30, found: 20 }]);
    fs::remove_dir_all(&tree).unwrap();
    assert!(beside(newest.size, newest.root).contains(&TreeFault::RolledBack { known: 30, found: 0 }));
}

#[test]
fn another_history_signed_with_the_right_key_is_found_by_what_a_witness_kept() {
    let (site, other) = (Site::new(), Site::new());
    assert!(other.bench.verify().is_sound());
    // Sealing is random: the same words make another history.
    let report = other.bench.verify_with(std::slice::from_ref(&site.published));
    assert_eq!(report.faults, [TreeFault::Forked { size: 30 }]);
    let stranger = LogSigner::from_seed(ORIGIN, &[8; 32]).unwrap();
    let (mine, _) = Checkpoint::open(&site.published, &key()).unwrap();
    let forged = mine.sign(&stranger).unwrap().to_string().into_bytes();
    let report = site.bench.verify_with(&[forged]);
    assert!(matches!(report.faults[..], [TreeFault::CheckpointForged { after: 30, .. }]), "{report}");
}

/// Those that are missing are made anew by the next start, and are no fault; nor do they say what the root over the leaves is.
#[test]
fn another_history_is_found_though_kept_hashes_are_missing() {
    let history = || {
        let bench = Bench::new();
        let mut open = bench.open();
        open.append(300);
        open.grow(&bench);
        let head = open.tree.checkpoint().unwrap().to_vec();
        drop(open);
        (bench, head)
    };
    let ((bench, own), (_, another)) = (history(), history());
    let path = level_path(&bench.tree(), 1);
    let whole = fs::read(&path).unwrap();
    assert_eq!(whole.len(), HASH_BYTES);
    let forked = [TreeFault::Forked { size: 300 }];
    let found = |what: &str| {
        let report = bench.verify_with(std::slice::from_ref(&own));
        assert!(report.is_sound(), "{what}: {report}");
        assert_eq!(bench.verify_with(std::slice::from_ref(&another)).faults, forked, "{what}");
        assert_eq!(bench.verify_beside(&[], Some((300, [7; HASH_BYTES]))).faults, forked, "{what}");
        let note = fs::read(checkpoint_path(&bench.tree())).unwrap();
        fs::write(checkpoint_path(&bench.tree()), &another).unwrap();
        assert_eq!(bench.verify().faults, forked, "{what}");
        fs::write(checkpoint_path(&bench.tree()), note).unwrap();
    };
    for length in [whole.len(), whole.len() - 1, 0] {
        fs::write(&path, &whole[..length]).unwrap();
        found(&format!("{length} bytes of it"));
    }
    fs::remove_file(&path).unwrap();
    found("the file is gone");
}

/// Blocks reach a disk in any order: above leaves that were not signed yet there may be the length of kept hashes alone.
#[test]
fn kept_hashes_that_a_power_cut_took_above_what_was_not_signed_are_no_fault() {
    let bench = Bench::new();
    let mut open = bench.open();
    open.append(200);
    open.grow(&bench);
    open.append(100);
    // After the leaves and the kept hash: the head.
    bench.disk.fail(&bench.tree(), Call::Write, 3, false, 5);
    assert!(open.step(&bench, true).is_err());
    drop(open);
    let path = level_path(&bench.tree(), 1);
    let (whole, never_written) = (fs::read(&path).unwrap(), [0; HASH_BYTES]);
    fs::write(&path, never_written).unwrap();
    let report = bench.verify();
    assert!(report.is_sound() && (report.leaves, report.signed_leaves) == (300, 200), "{report}");
    assert_eq!(bench.open_tree().status().suspected, Vec::<String>::new());
    assert_eq!(fs::read(&path).unwrap(), whole, "it is made anew");
}

/// Of a tree that is begun over a long audit the first leaves are many, and come before the first head.
#[test]
fn kept_hashes_that_a_power_cut_took_before_anything_was_signed_are_no_fault() {
    let bench = Bench::new();
    let mut open = bench.open();
    open.append(300);
    bench.disk.fail(&bench.tree(), Call::Write, 3, false, 5);
    assert!(open.step(&bench, true).is_err());
    drop(open);
    let path = level_path(&bench.tree(), 1);
    let whole = fs::read(&path).unwrap();
    fs::write(&path, [0; HASH_BYTES]).unwrap();
    let report = bench.verify();
    assert!(report.faults.is_empty() && (report.leaves, report.signed_leaves) == (300, 0), "{report}");
    assert_eq!(bench.open_tree().status().suspected, Vec::<String>::new());
    assert_eq!(fs::read(&path).unwrap(), whole, "it is made anew");
}

/// A hundred ends without a warning, each at another place of the growth: no fault, and every checkpoint that was published
/// is a beginning of every later one.
#[test]
fn a_hundred_power_cuts_are_never_taken_for_a_change() {
    let bench = Bench::new();
    let mut published: Vec<Checkpoint> = Vec::new();
    for round in 0..100_u32 {
        let mut open = bench.open();
        assert_eq!(open.tree.status().suspected, Vec::<String>::new(), "round {round}");
        open.append(u64::from(round % 7 + 1));
        if round % 3 > 0 {
            open.grow(&bench);
            open.append(2);
        }
        // The disk stops somewhere in the growth, and the machine with it.
        let call = if round % 2 == 0 { Call::Write } else { Call::Sync };
        let partial = usize::try_from(round * 13 % 150).unwrap();
        bench.disk.fail_partly(&bench.tree(), call, round % 3 + 1, true, 5, partial);
        let _failed_or_not = open.step(&bench, true);
        bench.disk.heal();
        if let Some(note) = open.tree.checkpoint() {
            let new = Checkpoint::open(&note, &key()).unwrap().0;
            published.iter().for_each(|old| open.follows(old));
            published.push(new);
        }
        drop(open);
        let report = bench.verify();
        assert!(report.is_sound(), "round {round}: {report}");
    }
    assert!(published.len() > 90, "{}", published.len());
}
