//! Cosignatures: kept on this log's own heads, and given out again after a restart.

use std::ops::RangeInclusive;

use kith_merkle::{Note, NoteSignature, WitnessSigner};

use super::*;

/// Organisations that have witnesses.
const ONE: &str = "RW1";
const OTHER: &str = "RW2";

fn witness(number: u8) -> WitnessSigner {
    WitnessSigner::from_seed(&format!("witness.test/{number}"), &[number; 32]).unwrap()
}

/// A head with the statements of some witnesses.
fn cosigned(note: &[u8], witnesses: &[u8]) -> Vec<u8> {
    let mut note = Note::parse(note).unwrap();
    for number in witnesses {
        let line = witness(*number).cosign(&note.text, 1_700_000_000).unwrap();
        note.signatures.push(line);
    }
    note.to_string().into_bytes()
}

#[test]
fn cosignatures_of_one_head_come_together_and_are_there_after_a_restart() {
    let bench = Bench::new();
    let mut open = bench.open();
    open.append(3);
    open.grow(&bench);
    let head = open.tree.checkpoint().unwrap();
    assert_eq!(open.tree.cosigned().unwrap(), None);
    assert!(!open.tree.add_cosignature(&head, ONE).unwrap(), "nobody else has signed it");
    assert_eq!(open.tree.cosigned_at().unwrap(), None, "what is not kept is none");
    assert!(open.tree.add_cosignature(&cosigned(&head, &[1]), ONE).unwrap());
    assert!(open.tree.cosigned_at().unwrap().is_some());
    assert!(open.tree.add_cosignature(&cosigned(&head, &[2]), ONE).unwrap());
    assert!(open.tree.add_cosignature(&cosigned(&head, &[2]), ONE).unwrap(), "again");
    let at = open.tree.cosigned_at().unwrap();
    drop(open);
    let open = bench.open();
    assert_eq!(open.tree.cosigned_at().unwrap(), at, "a restart is no cosignature");
    let (checkpoint, note) = open.tree.cosigned().unwrap().unwrap();
    assert_eq!((checkpoint.size, note.signatures.len()), (3, 3));
    for number in [1, 2] {
        assert_eq!(witness(number).key().verify_cosignature(&note), Ok(1_700_000_000));
    }
}

#[test]
fn a_newer_head_takes_the_place_of_an_older_one_and_never_the_reverse() {
    let bench = Bench::new();
    let mut open = bench.open();
    open.append(3);
    open.grow(&bench);
    let older = open.tree.checkpoint().unwrap();
    open.append(1);
    open.grow(&bench);
    let newer = open.tree.checkpoint().unwrap();
    assert!(open.tree.add_cosignature(&cosigned(&older, &[1]), ONE).unwrap());
    assert!(open.tree.add_cosignature(&cosigned(&newer, &[2]), ONE).unwrap());
    assert!(!open.tree.add_cosignature(&cosigned(&older, &[3]), ONE).unwrap());
    let (checkpoint, note) = open.tree.cosigned().unwrap().unwrap();
    assert_eq!((checkpoint.size, note.signatures.len()), (4, 2));
}

#[test]
fn what_this_log_did_not_sign_and_too_many_signatures_are_not_kept() {
    let bench = Bench::new();
    let mut open = bench.open();
    open.append(3);
    open.grow(&bench);
    let head = open.tree.checkpoint().unwrap();
    let forged = Checkpoint { size: 9, ..open.checkpoint() };
    let stranger = LogSigner::from_seed(ORIGIN, &[8; 32]).unwrap();
    let forged = forged.sign(&stranger).unwrap().to_string().into_bytes();
    for bad in [cosigned(&forged, &[1]), b"no note".to_vec(), cosigned(&head, &(1..20).collect::<Vec<_>>())] {
        assert!(!open.tree.add_cosignature(&bad, ONE).unwrap());
    }
    assert_eq!(open.tree.cosigned().unwrap(), None);
}

/// A head with a statement that says it is this witness's, and is not.
fn rubbish(note: &[u8], number: u8) -> Vec<u8> {
    let mut note = Note::parse(&cosigned(note, &[number])).unwrap();
    note.signatures.last_mut().unwrap().bytes = vec![0; 72];
    note.to_string().into_bytes()
}

/// What is kept of which witnesses, and holds.
fn holding(tree: &Tree) -> Vec<u8> {
    let (_, note) = tree.cosigned().unwrap().unwrap();
    (1..=20).filter(|number| witness(*number).key().verify_cosignature(&note).is_ok()).collect()
}

#[test]
fn with_keys_known_only_what_they_have_signed_is_kept_each_for_its_own() {
    let mut bench = Bench::new();
    bench.witnesses = vec![witness(1).key().clone(), witness(2).key().clone()];
    let mut open = bench.open();
    open.append(3);
    open.grow(&bench);
    let head = open.tree.checkpoint().unwrap();
    let add = |note: &[u8], organisation| open.tree.add_cosignature(note, organisation).unwrap();
    assert!(!add(&rubbish(&head, 1), OTHER) && !add(&cosigned(&head, &[3]), OTHER), "nobody known has signed it");
    assert_eq!(open.tree.cosigned().unwrap(), None);
    assert!(add(&cosigned(&head, &[1]), ONE));
    assert!(!add(&rubbish(&head, 1), OTHER) && !add(&rubbish(&head, 1), ONE));
    // Invented ones take no place, whatever they come with.
    assert!((3..=20).all(|number| !add(&cosigned(&head, &[number]), OTHER)));
    assert!(add(&cosigned(&head, &[2, 4, 5]), OTHER));
    assert_eq!(holding(&open.tree), [1, 2]);
    // A later statement takes the place of an earlier one, and never the reverse.
    for (time_s, stands) in [(1_700_000_009, 1_700_000_009), (1_700_000_004, 1_700_000_009)] {
        let mut note = Note::parse(&head).unwrap();
        note.signatures.push(witness(1).cosign(&note.text, time_s).unwrap());
        assert!(add(note.to_string().as_bytes(), ONE));
        let (_, kept) = open.tree.cosigned().unwrap().unwrap();
        assert_eq!(witness(1).key().verify_cosignature(&kept), Ok(stands));
    }
}

#[test]
fn with_no_key_known_nobody_takes_the_place_of_what_another_organisation_brought() {
    let bench = Bench::new();
    let mut open = bench.open();
    open.append(3);
    open.grow(&bench);
    let head = open.tree.checkpoint().unwrap();
    let add = |note: &[u8], organisation| open.tree.add_cosignature(note, organisation).unwrap();
    assert!(add(&cosigned(&head, &[1]), ONE));
    assert!(!add(&rubbish(&head, 1), OTHER), "another organisation was the first to bring it");
    assert_eq!(holding(&open.tree), [1]);
    // Nor does anybody fill all places: three are one organisation's.
    assert!((2..=4).all(|number| add(&cosigned(&head, &[number]), OTHER)));
    assert!((5..=20).all(|number| !add(&cosigned(&head, &[number]), OTHER)));
    assert!(add(&cosigned(&head, &[19, 20]), ONE), "there is room for the other's");
    assert_eq!(holding(&open.tree), [1, 2, 3, 4, 19, 20]);
    drop(open);
    let open = bench.open();
    let add = |note: &[u8], organisation| open.tree.add_cosignature(note, organisation).unwrap();
    assert!(!add(&rubbish(&head, 1), OTHER), "whose it is is known after a restart too");
    assert!(add(&cosigned(&head, &[1]), ONE), "the same again");
    assert_eq!(holding(&open.tree), [1, 2, 3, 4, 19, 20]);
}

/// A restart, and heads on which nobody has said anything yet, give nobody's name away.
#[test]
fn a_name_stays_its_organisations_over_a_restart_and_on_newer_heads() {
    let bench = Bench::new();
    let mut open = bench.open();
    open.append(3);
    open.grow(&bench);
    let head = open.tree.checkpoint().unwrap();
    assert!(open.tree.add_cosignature(&cosigned(&head, &[1]), ONE).unwrap());
    drop(open);
    let mut open = bench.open();
    open.append(1);
    open.grow(&bench);
    let newer = open.tree.checkpoint().unwrap();
    let add = |note: &[u8], organisation| open.tree.add_cosignature(note, organisation).unwrap();
    assert!(!add(&rubbish(&newer, 1), OTHER), "it was another organisation's before the start");
    assert!(add(&cosigned(&newer, &[2]), OTHER) && add(&cosigned(&newer, &[1]), ONE));
    assert_eq!(holding(&open.tree), [1, 2]);
    let line = |number: u8| {
        let name = format!("witness.test/{number}");
        NoteSignature { name, key_id: witness(number).key().id(), bytes: vec![0] }
    };
    let kept = std::fs::read_to_string(bench.tree().join("cosigners")).unwrap();
    assert_eq!(kept, format!("kith-cosigners/1\nRW1\nRW2\n\n{}{}", line(1), line(2)));
}

#[test]
fn a_new_key_takes_the_place_of_its_own_organisations_oldest_that_is_on_no_head() {
    let bench = Bench::new();
    let mut open = bench.open();
    open.append(3);
    open.grow(&bench);
    let head = open.tree.checkpoint().unwrap();
    assert!((1..=3).all(|number| open.tree.add_cosignature(&cosigned(&head, &[number]), ONE).unwrap()));
    assert!(!open.tree.add_cosignature(&cosigned(&head, &[4]), ONE).unwrap(), "all three are on the head");
    open.append(1);
    open.grow(&bench);
    let newer = open.tree.checkpoint().unwrap();
    assert!(open.tree.add_cosignature(&cosigned(&newer, &[4]), ONE).unwrap());
    assert!(!open.tree.add_cosignature(&rubbish(&newer, 2), OTHER).unwrap(), "the others are its own still");
    assert!(open.tree.add_cosignature(&cosigned(&newer, &[2, 3]), ONE).unwrap());
    assert_eq!(holding(&open.tree), [2, 3, 4]);
    assert!(!open.tree.add_cosignature(&cosigned(&newer, &[1]), ONE).unwrap(), "three are on the head");
}

/// Whose names and keys are kept, oldest first.
fn names(bench: &Bench) -> Vec<String> {
    let kept = std::fs::read(bench.tree().join("cosigners")).unwrap();
    Note::parse(&kept).unwrap().signatures.into_iter().map(|line| line.name).collect()
}

fn called(numbers: RangeInclusive<u8>) -> Vec<String> {
    numbers.map(|number| format!("witness.test/{number}")).collect()
}

/// What the oldest said stands on the head that is there until the newer one is; so a disk that takes no newer one leaves all names.
#[test]
fn a_name_is_forgotten_only_when_nothing_stands_under_it_any_more() {
    let bench = Bench::new();
    let mut open = bench.open();
    open.append(3);
    open.grow(&bench);
    let head = open.tree.checkpoint().unwrap();
    assert!((1..=3).all(|number| open.tree.add_cosignature(&cosigned(&head, &[number]), ONE).unwrap()));
    open.append(1);
    open.grow(&bench);
    let newer = open.tree.checkpoint().unwrap();
    // A directory in its way: the newer head cannot be written.
    let in_the_way = bench.tree().join("cosigned.new");
    std::fs::create_dir(&in_the_way).unwrap();
    assert!(open.tree.add_cosignature(&cosigned(&newer, &[4]), ONE).is_err());
    assert_eq!(names(&bench), called(1..=4));
    assert_eq!(holding(&open.tree), [1, 2, 3]);
    std::fs::remove_dir(&in_the_way).unwrap();
    drop(open);
    let open = bench.open();
    assert!(!open.tree.add_cosignature(&rubbish(&newer, 1), OTHER).unwrap(), "it is another organisation's still");
    assert!(open.tree.add_cosignature(&cosigned(&newer, &[5]), ONE).unwrap());
    assert_eq!((names(&bench), holding(&open.tree)), (called(3..=5), vec![5]));
}

/// Else the witness would hear that nothing was kept, and the audit with it.
#[test]
fn what_is_kept_is_kept_though_the_disk_does_not_take_that_a_name_is_forgotten() {
    let bench = Bench::new();
    let mut open = bench.open();
    open.append(3);
    open.grow(&bench);
    let head = open.tree.checkpoint().unwrap();
    assert!((1..=3).all(|number| open.tree.add_cosignature(&cosigned(&head, &[number]), ONE).unwrap()));
    open.append(1);
    open.grow(&bench);
    let newer = open.tree.checkpoint().unwrap();
    // After the names with the new one among them, and the head: the names without the oldest.
    bench.disk.fail(&bench.tree(), Call::Write, 3, false, 28);
    assert!(open.tree.add_cosignature(&cosigned(&newer, &[4]), ONE).unwrap());
    assert_eq!((names(&bench), holding(&open.tree)), (called(1..=4), vec![4]));
    assert!(!open.tree.add_cosignature(&rubbish(&newer, 1), OTHER).unwrap(), "it is another organisation's still");
    assert!(open.tree.add_cosignature(&cosigned(&newer, &[5]), ONE).unwrap());
    assert_eq!((names(&bench), holding(&open.tree)), (called(3..=5), vec![4, 5]));
}

/// With the file full, the names on the head that is there and those on the newer one are one more than are read again.
#[test]
fn no_more_names_are_written_than_are_read_again_though_the_newer_head_cannot_be() {
    let bench = Bench::new();
    let mut open = bench.open();
    let organisation = |number: u8| format!("RW{}", number.div_ceil(3));
    for number in 1..=64 {
        // Three of each organisation, on a head of their own.
        if number % 3 == 1 {
            open.append(1);
            open.grow(&bench);
        }
        let head = open.tree.checkpoint().unwrap();
        assert!(open.tree.add_cosignature(&cosigned(&head, &[number]), &organisation(number)).unwrap(), "{number}");
    }
    assert_eq!(names(&bench), called(1..=64));
    open.append(1);
    open.grow(&bench);
    let newer = open.tree.checkpoint().unwrap();
    assert!(!open.tree.add_cosignature(&cosigned(&newer, &[65]), "RW99").unwrap(), "there is no room for its name");
    // After the names: the head.
    bench.disk.fail(&bench.tree(), Call::Write, 2, false, 28);
    assert!(open.tree.add_cosignature(&cosigned(&newer, &[65]), &organisation(1)).is_err());
    assert_eq!(names(&bench), called(2..=65));
    drop(open);
    let open = bench.open();
    assert!(open.tree.add_cosignature(&cosigned(&newer, &[65]), &organisation(1)).unwrap());
    let (_, note) = open.tree.cosigned().unwrap().unwrap();
    assert!(witness(65).key().verify_cosignature(&note).is_ok());
}

#[test]
fn whose_names_are_is_not_taken_for_nobodys_where_it_is_damaged() {
    let bench = Bench::new();
    let mut open = bench.open();
    open.append(3);
    open.grow(&bench);
    let head = open.tree.checkpoint().unwrap();
    let place = bench.tree().join("cosigners");
    for damaged in ["", "kith-cosigners/1\nRW1\n", "kith-cosigners/2\nRW1\n\n\u{2014} a AAAAAAA=\n"] {
        std::fs::write(&place, damaged).unwrap();
        assert!(open.tree.add_cosignature(&cosigned(&head, &[1]), ONE).is_err(), "{damaged:?}");
    }
    std::fs::remove_file(&place).unwrap();
    assert!(open.tree.add_cosignature(&cosigned(&head, &[1]), ONE).unwrap());
}

/// A head with statements so long, of names as long as there are.
fn long(note: &[u8], numbers: std::ops::Range<u8>, bytes: usize) -> Vec<u8> {
    let mut note = Note::parse(note).unwrap();
    note.signatures.extend(numbers.map(|number| NoteSignature {
        name: format!("{number:0>255}"),
        key_id: [number; 4],
        bytes: vec![number; bytes],
    }));
    note.to_string().into_bytes()
}

/// What is written is read again, however much is said: else nothing would be held of the head, and whoever came next began anew.
#[test]
fn as_much_as_may_be_said_of_a_head_is_read_again_and_what_is_longer_is_not_kept() {
    let bench = Bench::new();
    let mut open = bench.open();
    open.append(3);
    open.grow(&bench);
    let head = open.tree.checkpoint().unwrap();
    assert!(!open.tree.add_cosignature(&long(&head, 0..1, 2_561), OTHER).unwrap());
    assert!(open.tree.cosigned().unwrap().is_none());
    for (number, organisation) in (0..).step_by(3).zip(["RW1", "RW2", "RW3", "RW4", "RW5"]) {
        assert!(open.tree.add_cosignature(&long(&head, number..number + 3, 2_560), organisation).unwrap());
    }
    let (_, note) = open.tree.cosigned().unwrap().unwrap();
    assert_eq!(note.signatures.len(), 1 + 15);
    assert!(!open.tree.add_cosignature(&long(&head, 15..16, 72), "RW6").unwrap(), "there is no room on this head");
}
