//! The files beside leaves and heads. A change of the newest cosigned head is found and named, and its absence told where a witness is
//! known; of the others either a change is named, or it is said here what finds it instead.

use kith_merkle::{Note, NoteSignature, WitnessSigner};

use super::*;
use crate::tree::cosign::{Brought, cosigned_path};
use crate::tree::tests::removed::{found, lived, sign, tell};

/// The organisation that brings what witnesses say.
const ONE: &str = "RW1";

fn witness(number: u8) -> WitnessSigner {
    WitnessSigner::from_seed(&format!("witness.test/{number}"), &[number; 32]).unwrap()
}

/// A head with what a witness says of it.
fn stated(head: &[u8], number: u8) -> Vec<u8> {
    let mut note = Note::parse(head).unwrap();
    note.signatures.push(witness(number).cosign(&note.text, 1_700_000_000).unwrap());
    note.to_string().into_bytes()
}

/// A site whose newest head was cosigned by a witness, which is configured or not; and the file.
fn cosigned(configured: bool) -> (Site, PathBuf) {
    let mut site = Site::new();
    if configured {
        site.bench.witnesses = vec![witness(1).key().clone()];
    }
    let tree = site.bench.open_tree();
    assert!(tree.add_cosignature(&stated(&site.published, 1), ONE).unwrap());
    drop(tree);
    let path = cosigned_path(&site.bench.tree());
    site.files.push((path.clone(), fs::read(&path).unwrap()));
    (site, path)
}

/// What a start suspects and whether the tree grows then; forgotten again.
fn started(bench: &Bench) -> (Vec<String>, bool) {
    let tree = bench.open_tree();
    let (suspected, grows) = (tree.status().suspected, tree.begin(100).is_some());
    drop(tree);
    let _there_or_not = fs::remove_file(suspected_path(&bench.tree()));
    (suspected, grows)
}

fn flipped(bytes: &[u8], at: usize) -> Vec<u8> {
    let mut flipped = bytes.to_vec();
    flipped[at] ^= 1 << (at % 8);
    flipped
}

/// In one letter of a statement its identifier ends and what was said begins. Where both are changed nobody can tell it from what another
/// key said under this name: no fault, and that no configured witness cosigned is told.
#[test]
fn every_byte_of_a_cosigned_head_flipped_and_every_cut_is_found_and_named_but_for_one_letter_which_is_told() {
    let (site, path) = cosigned(true);
    let bytes = site.bytes(&path);
    let (report, _) = site.with(&path, &bytes);
    assert!(report.is_sound() && report.cosigned == Some(30) && !report.not_cosigned, "{report}");
    assert!(
        report.cosignatures == Some(1) && report.to_string().contains("the newest cosigned head has 30"),
        "{report}"
    );
    // The last line ends in the statement: the identifier's four bytes are five letters and a part of the next one.
    let letter = bytes.iter().rposition(|byte| *byte == b' ').unwrap() + 1 + 5;
    for at in 0..bytes.len() {
        if at != letter {
            site.found(&path, &flipped(&bytes, at), &["Cosigned"], &format!("cosigned, byte {at}"));
        }
        site.found(&path, &bytes[..at], &["Cosigned"], &format!("cosigned, cut at {at}"));
    }
    let mut told = 0;
    let letters = (b'A'..=b'Z').chain(b'a'..=b'z').chain(b'0'..=b'9').chain([b'+', b'/']);
    for other in letters.filter(|other| *other != bytes[letter]) {
        let mut changed = bytes.clone();
        changed[letter] = other;
        let (report, _) = site.with(&path, &changed);
        if report.is_sound() {
            assert!(
                report.not_cosigned && report.to_string().contains("no signature of a configured witness"),
                "{report}"
            );
            told += 1;
        } else {
            assert!(matches!(report.faults[..], [TreeFault::Cosigned { .. }]), "{report}");
        }
    }
    // Each other value of two bits of the one, with each of four bits of the other.
    assert_eq!(told, 3 * 15);
}

#[test]
fn a_start_signs_nothing_beside_a_cosigned_head_that_was_changed_and_nothing_takes_its_place() {
    let (site, path) = cosigned(true);
    let bytes = site.bytes(&path);
    assert_eq!(started(&site.bench), (Vec::new(), true));
    for at in (0..bytes.len()).step_by(17) {
        fs::write(&path, flipped(&bytes, at)).unwrap();
        let (told, grows) = started(&site.bench);
        assert!(told.len() == 1 && told[0].starts_with("cosigned head damaged or forged: "), "byte {at}: {told:?}");
        assert!(!grows, "byte {at}");
    }
    // What is not the log's is not taken for none.
    fs::write(&path, flipped(&bytes, 0)).unwrap();
    let tree = site.bench.open_tree();
    assert!(tree.cosigned().is_err(), "no proof is given under a lesser head instead");
    assert!(tree.add_cosignature(&stated(&site.published, 1), ONE).is_err());
    assert_eq!(fs::read(&path).unwrap(), flipped(&bytes, 0));
}

#[test]
fn a_cosigned_head_that_cannot_be_read_is_named_by_verifying_and_suspected_by_no_start() {
    let (site, path) = cosigned(true);
    fs::remove_file(&path).unwrap();
    fs::create_dir(&path).unwrap();
    let report = site.bench.verify();
    assert!(
        matches!(&report.faults[..], [TreeFault::Cosigned { what }] if what.starts_with("it cannot be read")),
        "{report}"
    );
    // A disk that fails opens no tree, and accuses nobody: when it has passed, signing goes on.
    let options = TreeOptions::new(site.bench.tree(), site.bench.signer.clone());
    let opened = Tree::open_on(Arc::new(site.bench.disk.clone()), options, site.bench.clock.clone());
    assert!(matches!(opened, Err(TreeError::Io(_))), "{opened:?}");
    fs::remove_dir(&path).unwrap();
    fs::write(&path, site.bytes(&path)).unwrap();
    assert!(!suspected_path(&site.bench.tree()).exists());
    assert_eq!(started(&site.bench), (Vec::new(), true));
}

/// A machine that goes down over the first cosignature leaves whose it was to be without what it said; so it is told, and no fault.
#[test]
fn a_cosigned_head_that_is_gone_is_told_where_a_witness_is_known() {
    let (site, path) = cosigned(true);
    fs::remove_file(&path).unwrap();
    let report = site.bench.verify();
    let gone = format!("audit tree: {}: {}\n", crate::NOT_COSIGNED, crate::COSIGNED_GONE);
    assert!(report.is_sound() && report.not_cosigned && report.to_string().contains(&gone), "{report}");
    assert_eq!(started(&site.bench), (Vec::new(), true));
    // Nobody is configured, and one has brought it.
    let (site, path) = cosigned(false);
    fs::remove_file(&path).unwrap();
    let report = site.bench.verify();
    assert!(report.is_sound() && report.not_cosigned, "{report}");
    assert!(site.bench.open_tree().knows_witnesses());
    // Whose it was is gone too. Then the audit tells, which has an entry of each minute's cosignatures, and the witness, which has
    // a newer head than it is shown or the same for ever.
    fs::remove_file(site.bench.tree().join("cosigners")).unwrap();
    let report = site.bench.verify();
    assert!(report.is_sound() && !report.not_cosigned && report.cosigned.is_none(), "{report}");
    assert!(!site.bench.open_tree().knows_witnesses());
}

/// Leaves, heads and entries as they were twenty entries ago.
fn put_back(site: &Site) {
    let tree = site.bench.tree();
    let history = site.bytes(&checkpoints_path(&tree));
    let second = frames(&history)[1].clone();
    let leaves = usize::try_from(record_offset(20)).unwrap();
    fs::write(leaves_path(&tree), &site.bytes(&leaves_path(&tree))[..leaves]).unwrap();
    fs::write(checkpoint_path(&tree), Framed::decode(&history[second.clone()]).unwrap().0.note).unwrap();
    fs::write(checkpoints_path(&tree), &history[..second.end]).unwrap();
    fs::write(&site.segment, &site.bytes(&site.segment)[..HEADER + 20 * ENTRY]).unwrap();
}

#[test]
fn all_of_it_rolled_back_beside_a_newer_cosigned_head_is_found_and_named() {
    let (site, path) = cosigned(true);
    put_back(&site);
    let back = TreeFault::RolledBack { known: 30, found: 20 };
    assert_eq!(site.bench.verify().faults, std::slice::from_ref(&back));
    assert_eq!(started(&site.bench), (vec![back.to_string()], false));
    // The witness is shown the head that is there, and cries.
    let shown = site.bench.open_tree().checkpoint().unwrap();
    assert_eq!(Checkpoint::open(&shown, &key()).unwrap().0.size, 20);
    fs::remove_file(suspected_path(&site.bench.tree())).unwrap();
    // Leaves and heads are gone, all of them.
    for gone in [leaves_path, checkpoints_path, checkpoint_path] {
        fs::remove_file(gone(&site.bench.tree())).unwrap();
    }
    let report = site.bench.verify();
    assert!(report.faults.contains(&TreeFault::RolledBack { known: 30, found: 0 }), "{report}");
    // Without it nothing on this machine tells: who keeps a head elsewhere does.
    put_back(&site);
    fs::remove_file(path).unwrap();
    assert!(site.bench.verify().is_sound());
}

#[test]
fn a_cosigned_head_of_another_history_is_found_and_named_whatever_its_size() {
    let (site, path) = cosigned(true);
    for size in [15, 20, 30] {
        let fork = Checkpoint { origin: ORIGIN.to_owned(), size, root: [1; 32] }.sign(&signer()).unwrap().to_string();
        fs::write(&path, stated(fork.as_bytes(), 1)).unwrap();
        let forked = TreeFault::Forked { size };
        assert_eq!(site.bench.verify().faults, std::slice::from_ref(&forked));
        assert_eq!(started(&site.bench), (vec![forked.to_string()], false));
    }
}

/// A start reads the edge of the tree, and no leaf beside it but for a head that it knows of.
#[test]
fn a_damaged_leaf_hides_another_history_from_no_start() {
    let bench = Bench::new();
    let mut open = bench.open();
    open.append(300);
    open.grow(&bench);
    let (head, known) = (open.tree.checkpoint().unwrap(), open.checkpoint());
    open.append(300);
    open.grow(&bench);
    drop(open);
    let mut leaves = fs::read(leaves_path(&bench.tree())).unwrap();
    leaves[usize::try_from(record_offset(270)).unwrap() + 20] ^= 1;
    fs::write(leaves_path(&bench.tree()), leaves).unwrap();
    let damaged = TreeFault::RecordDamaged { index: 270 }.to_string();
    let tree = bench.open_tree();
    assert_eq!(tree.status().suspected, Vec::<String>::new(), "it is not on the edge");
    assert!(!tree.hold_against(known.size, &known.root));
    assert_eq!(tree.status().suspected, std::slice::from_ref(&damaged), "the log knows of a head over it");
    drop(tree);
    fs::remove_file(suspected_path(&bench.tree())).unwrap();
    fs::write(cosigned_path(&bench.tree()), stated(&head, 1)).unwrap();
    assert_eq!(started(&bench), (vec![damaged], false), "it was cosigned");
}

/// Else whoever has a witness's certificate, and a head from before the tree began anew, would have the next start suspect it.
#[test]
fn a_head_that_this_tree_has_not_is_not_kept() {
    let (site, path) = cosigned(true);
    let tree = site.bench.open_tree();
    for (size, root) in [(31, [1; 32]), (30, [1; 32]), (40, [0; 32])] {
        let other = Checkpoint { origin: ORIGIN.to_owned(), size, root }.sign(&signer()).unwrap().to_string();
        assert!(!tree.add_cosignature(&stated(other.as_bytes(), 1), ONE).unwrap(), "{size}");
    }
    assert_eq!(fs::read(&path).unwrap(), site.bytes(&path));
}

/// Of a witness whose key nobody configured only the log's part of the head can be judged: what it said is for whoever knows its key
/// (`kith audit prove --witness-key`). Nor is what was kept unverified before the key was configured a change.
#[test]
fn what_nobody_here_can_verify_is_no_fault_and_the_logs_part_of_it_is_looked_at() {
    let (mut site, path) = cosigned(false);
    let bytes = site.bytes(&path);
    let logs = site.published.len();
    assert_eq!(&bytes[..logs], &site.published[..]);
    for at in 0..logs {
        site.found(&path, &flipped(&bytes, at), &["Cosigned"], &format!("cosigned, byte {at}"));
    }
    site.found(&path, &bytes[..logs], &["Cosigned"], "no witness on it");
    let mut rubbish = Note::parse(&bytes).unwrap();
    rubbish.signatures.last_mut().unwrap().bytes = vec![0; 72];
    let rubbish = rubbish.to_string().into_bytes();
    assert!(site.with(&path, &rubbish).0.is_sound());
    site.bench.witnesses = vec![witness(1).key().clone()];
    let report = site.with(&path, &rubbish).0;
    assert!(report.is_sound() && report.excused == 1, "it was kept before its key was known: {report}");
    // Nobody brought it so: it was changed.
    fs::remove_file(site.bench.tree().join("cosigners")).unwrap();
    site.found(&path, &rubbish, &["Cosigned"], "kept under its key, and changed");
    // Another witness is configured now: what the one before said stands, and nobody here can tell that it did.
    site.bench.witnesses = vec![witness(2).key().clone()];
    let (report, _) = site.with(&path, &bytes);
    assert!(report.is_sound() && report.not_cosigned && report.cosigned == Some(30), "{report}");
    let told = report.to_string();
    assert!(told.contains(crate::NOT_COSIGNED) && !told.contains("newest cosigned head"), "{told}");
    assert!(told.contains("has 30 leaves, and no signature of a configured witness"), "{told}");
    assert!(!told.contains(crate::COSIGNED_GONE), "one is kept: {told}");
    // Nor can anybody without a key.
    site.bench.witnesses = Vec::new();
    let told = site.with(&path, &bytes).0.to_string();
    assert!(
        told.contains("its cosignatures were not verified: no key") && !told.contains("newest cosigned head"),
        "{told}"
    );
}

/// Else whoever has a witness's certificate would have a start suspect the tree by what was kept before keys were configured, and
/// nothing would be signed any more.
#[test]
fn what_was_brought_before_keys_were_configured_makes_no_start_suspect_the_tree() {
    let (mut site, path) = cosigned(false);
    let tree = site.bench.open_tree();
    for name in ["witness.test/9", ORIGIN] {
        let mut copied = Note::parse(&site.published).unwrap();
        let statement = witness(1).cosign(&copied.text, 1_700_000_000).unwrap();
        copied.signatures.push(NoteSignature { name: name.to_owned(), ..statement });
        assert!(tree.add_cosignature(copied.to_string().as_bytes(), "RW3").unwrap(), "{name}");
    }
    drop(tree);
    site.bench.witnesses = vec![witness(1).key().clone()];
    let report = site.bench.verify();
    assert!(report.is_sound(), "{report}");
    assert_eq!(started(&site.bench), (Vec::new(), true));
    // Nobody brought them so: they were put there.
    fs::remove_file(site.bench.tree().join("cosigners")).unwrap();
    assert!(matches!(site.bench.verify().faults[..], [TreeFault::Cosigned { .. }]));
    // A witness of the log's own name is one, also for whoever has no key.
    let mut named = Note::parse(&site.published).unwrap();
    let statement = witness(1).cosign(&named.text, 1_700_000_000).unwrap();
    named.signatures.push(NoteSignature { name: ORIGIN.to_owned(), ..statement });
    fs::write(&path, named.to_string()).unwrap();
    (site.bench.signer, site.bench.witnesses) = (None, Vec::new());
    let report = site.bench.verify();
    assert!(report.is_sound() && report.cosigned == Some(30), "{report}");
}

/// A cosignature does not sign the name: what a witness said before it was renamed is what it said, and signing goes on.
#[test]
fn what_a_witness_said_under_its_former_name_makes_no_start_suspect_the_tree() {
    let (mut site, path) = cosigned(true);
    let bytes = site.bytes(&path);
    let renamed = WitnessSigner::from_seed("witness.test/renamed", &[1; 32]).unwrap();
    site.bench.witnesses = vec![renamed.key().clone()];
    let report = site.bench.verify();
    assert!(report.is_sound(), "{report}");
    assert_eq!(started(&site.bench), (Vec::new(), true));
    // A name with the identifier of the other one nobody wrote but who changed it.
    let former = Note::parse(&bytes).unwrap().signatures.pop().unwrap();
    let id = renamed.key().id();
    for (name, key_id) in [(former.name.clone(), id), (renamed.key().name().to_owned(), former.key_id)] {
        let mut mixed = Note::parse(&bytes).unwrap();
        *mixed.signatures.last_mut().unwrap() = NoteSignature { name, key_id, bytes: former.bytes.clone() };
        site.found(&path, mixed.to_string().as_bytes(), &["Cosigned"], "name and identifier are of two keys");
    }
}

#[test]
fn each_configured_witness_that_signed_is_counted_under_a_former_name_too() {
    let (mut site, _) = cosigned(true);
    let keys = [1, 2, 3].map(|number| witness(number).key().clone());
    site.bench.witnesses = keys.to_vec();
    let tree = site.bench.open_tree();
    assert!(tree.add_cosignature(&stated(&site.published, 2), ONE).unwrap());
    drop(tree);
    let signed = |bench: &Bench| {
        let report = bench.verify();
        assert!(report.is_sound() && report.excused == 0, "{report}");
        (report.cosignatures, report.not_cosigned)
    };
    assert_eq!(signed(&site.bench), (Some(2), false));
    site.bench.witnesses[0] = WitnessSigner::from_seed("witness.test/renamed", &[1; 32]).unwrap().key().clone();
    assert_eq!(signed(&site.bench), (Some(2), false), "renamed since");
    site.bench.witnesses.truncate(1);
    assert_eq!(signed(&site.bench), (Some(1), false), "it alone is configured now");
    site.bench.witnesses = keys[2..].to_vec();
    assert_eq!(signed(&site.bench), (Some(0), true), "nor is one that has not signed counted");
}

/// The file that excuses what was brought may be damaged before the witness, configured since, cosigns again.
#[test]
fn where_it_cannot_be_read_who_brought_what_no_statement_makes_a_start_suspect_the_tree() {
    let (mut site, path) = cosigned(false);
    let mut rubbish = Note::parse(&site.bytes(&path)).unwrap();
    rubbish.signatures.last_mut().unwrap().bytes = vec![0; 72];
    fs::write(&path, rubbish.to_string()).unwrap();
    fs::write(site.bench.tree().join("cosigners"), "damaged").unwrap();
    site.bench.witnesses = vec![witness(1).key().clone()];
    assert_eq!(started(&site.bench), (Vec::new(), true));
    // What the log has to have signed is looked at all the same.
    fs::write(&path, &site.published).unwrap();
    let (told, grows) = started(&site.bench);
    assert!(told.len() == 1 && told[0].contains("no witness's statement stands on it") && !grows, "{told:?}");
}

/// Nothing signs that file, and with keys configured none is needed: whoever has the disks can damage it, or put one there.
#[test]
fn whose_witnesses_are_hides_no_change_of_what_a_configured_witness_said() {
    let (site, path) = cosigned(true);
    let place = site.bench.tree().join("cosigners");
    assert!(!place.exists());
    let mut rubbish = Note::parse(&site.bytes(&path)).unwrap();
    let statement = rubbish.signatures.last_mut().unwrap();
    statement.bytes = vec![0; 72];
    let first = NoteSignature { bytes: vec![0], ..statement.clone() };
    let rubbish = rubbish.to_string().into_bytes();
    site.found(&path, &rubbish, &["Cosigned"], "nobody brought it");
    fs::write(&place, "damaged").unwrap();
    site.found(&path, &rubbish, &["Cosigned"], "damaged");
    fs::remove_file(&place).unwrap();
    fs::create_dir(&place).unwrap();
    site.found(&path, &rubbish, &["Cosigned"], "it cannot be read");
    fs::remove_dir(&place).unwrap();
    // One that says so is believed, and that it is, is told.
    fs::write(&place, format!("kith-cosigners/1\n{ONE}\n\n{first}")).unwrap();
    let report = site.with(&path, &rubbish).0;
    assert!(report.is_sound() && report.excused == 1, "{report}");
    assert!(report.to_string().contains("1 statements on the cosigned head are not what a configured witness said"));
    assert_eq!(site.bench.verify().excused, 0, "what holds needs no excuse");
}

/// A byte that makes another name or organisation of one is not told from what was brought: then its owner hears NOT_KEPT, and
/// nobody has cosigned for a quarter of an hour.
#[test]
fn whose_witnesses_are_is_named_where_it_cannot_be_read() {
    let (mut site, _) = cosigned(false);
    let path = site.bench.tree().join("cosigners");
    let bytes = fs::read(&path).unwrap();
    site.files.push((path.clone(), bytes.clone()));
    for at in 0..bytes.len() {
        site.found(&path, &bytes[..at], &["Cosigners"], &format!("cosigners, cut at {at}"));
        let changed = flipped(&bytes, at);
        if Brought::of(&changed).is_none() {
            site.found(&path, &changed, &["Cosigners"], &format!("cosigners, byte {at}"));
        }
    }
    // With keys it is not asked, and what they sign is kept: told, and no fault.
    site.bench.witnesses = vec![witness(1).key().clone()];
    let report = site.with(&path, &bytes[..1]).0;
    assert!(report.is_sound() && report.cosigners_damaged, "{report}");
    assert!(report.to_string().contains("cosigners: damaged") && !report.to_string().contains("FAULT"), "{report}");
    fs::write(&path, &bytes[..1]).unwrap();
    assert!(site.bench.open_tree().add_cosignature(&stated(&site.published, 1), ONE).unwrap());
}

/// A head is in the history, on disk, before anybody sees it; so one that was cosigned is in it whatever a cut left behind, and though
/// the file for whoever fetches the newest head could not be written.
#[test]
fn a_cut_between_a_head_its_file_and_its_cosignature_is_no_fault() {
    let mut bench = Bench::new();
    bench.witnesses = vec![witness(1).key().clone()];
    for round in 0..40_u32 {
        let mut open = bench.open();
        assert_eq!(open.tree.status().suspected, Vec::<String>::new(), "round {round}");
        open.append(u64::from(round % 5 + 1));
        let fetched = fs::read(checkpoint_path(&bench.tree())).ok();
        let call = if round % 2 == 0 { Call::Write } else { Call::Sync };
        let partial = usize::try_from(round * 13 % 150).unwrap();
        bench.disk.fail_partly(&bench.tree(), call, round % 4 + 1, true, 5, partial);
        let _failed_or_not = open.step(&bench, true);
        bench.disk.heal();
        if let Some(head) = open.tree.checkpoint()
            && round % 3 > 0
        {
            assert!(open.tree.add_cosignature(&stated(&head, 1), ONE).unwrap(), "round {round}");
        }
        if let Some(before) = fetched.filter(|_| round % 4 > 1) {
            fs::write(checkpoint_path(&bench.tree()), before).unwrap();
        }
        drop(open);
        let report = bench.verify();
        assert!(report.is_sound(), "round {round}: {report}");
    }
    assert!(bench.verify().cosigned.is_some());
}

/// In both sinks at once: what is gone from one alone the other has.
#[test]
fn what_the_sinks_keep_beside_their_segments_excuses_nothing_when_it_is_changed() {
    let bench = lived();
    let mut open = tell(&bench, 20);
    open.grow(&bench);
    sign(&open, 31, 20);
    open.journal.remove_through(20).unwrap();
    open.journal.close().unwrap();
    drop(open);
    let sinks = [bench.path("primary"), bench.path("spill")];
    let write = |name: &str, bytes: &[u8]| sinks.iter().for_each(|sink| fs::write(sink.join(name), bytes).unwrap());
    let mut tried = 0;
    for name in ["removed-signed", "removed", "closed"] {
        let bytes = fs::read(sinks[0].join(name)).unwrap();
        let flips = (0..bytes.len()).map(|at| flipped(&bytes, at));
        for changed in flips.chain((0..bytes.len()).map(|length| bytes[..length].to_vec())) {
            write(name, &changed);
            let (tree, audit) = found(&bench);
            if name == "removed-signed" {
                assert_eq!(tree.faults, [TreeFault::EntryMissing { first: 1, last: 20 }], "{changed:?}");
                assert!(!audit.is_sound(), "{audit}");
            } else {
                // `removed` says where to look for the entry that tells, and verifying reads them all. `closed` says that the end was in
                // order: without it the next start announces a gap, and what was closed over is under a signed head, below.
                assert!(tree.is_sound() && audit.is_sound(), "{name}: {tree}{audit}");
                assert_eq!((tree.removed_through, audit.removed_through), (20, 20), "{name}");
            }
            tried += 1;
        }
        write(name, &bytes);
    }
    println!("COUNTED tamper {tried}");
    sinks.iter().for_each(|sink| fs::remove_file(sink.join("closed")).unwrap());
    fs::File::options().write(true).open(bench.segments().pop().unwrap()).unwrap().set_len(HEADER as u64).unwrap();
    let (tree, _) = found(&bench);
    assert!(tree.faults.contains(&TreeFault::EntryMissing { first: 31, last: 31 }), "{tree}");
}
