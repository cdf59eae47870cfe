//! Cosignatures: kept on this log's own heads, and given out again after a restart.

use kith_merkle::{Note, WitnessSigner};

use super::*;

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
    assert!(!open.tree.add_cosignature(&head).unwrap(), "nobody else has signed it");
    assert!(open.tree.add_cosignature(&cosigned(&head, &[1])).unwrap());
    assert!(open.tree.add_cosignature(&cosigned(&head, &[2])).unwrap());
    assert!(open.tree.add_cosignature(&cosigned(&head, &[2])).unwrap(), "again");
    drop(open);
    let open = bench.open();
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
    assert!(open.tree.add_cosignature(&cosigned(&older, &[1])).unwrap());
    assert!(open.tree.add_cosignature(&cosigned(&newer, &[2])).unwrap());
    assert!(!open.tree.add_cosignature(&cosigned(&older, &[3])).unwrap());
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
        assert!(!open.tree.add_cosignature(&bad).unwrap());
    }
    assert_eq!(open.tree.cosigned().unwrap(), None);
}
