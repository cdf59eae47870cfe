//! Checkpoints and what witnesses say of them.

use crate::{
    Checkpoint, CheckpointError, KeyError, KeyKind, LogSigner, MAX_SIZE, MAX_TIME_S, Note, VerifierKey, WitnessSigner,
};

/// The example of C2SP tlog-cosignature: a checkpoint with a log's signature and a witness's.
const EXAMPLE: &str = "example.com/behind-the-sofa
20852163
CsUYapGGPo4dkMgIAUqom/Xajj7h2fB2MPA3j2jxq2I=

\u{2014} example.com/behind-the-sofa Az3grlgtzPICa5OS8npVmf1Myq/5IZniMp+ZJurmRDeOoRDe4URYN7u5/Zhcyv2q1gGzGku9nTo+zyWE+xeMcTOAYQ8=
\u{2014} witness.example.com/w1 jWbPPwAAAABkGFDLEZMHwSRaJNiIDoe9DYn/zXcrtPHeolMI5OWXEhZCB9dlrDJsX3b2oyin1nPZqhf5nNo0xUe+mbIUBkBIfZ+qnA==
";

fn signer() -> LogSigner {
    LogSigner::from_seed("kith.test/audit", &[5; 32]).unwrap()
}

fn witness() -> WitnessSigner {
    WitnessSigner::from_seed("witness.test/one", &[6; 32]).unwrap()
}

fn checkpoint() -> Checkpoint {
    Checkpoint { origin: "kith.test/audit".to_owned(), size: 12, root: [9; 32] }
}

#[test]
fn the_example_of_the_specification_is_read_and_written() {
    let note = Note::parse(EXAMPLE.as_bytes()).unwrap();
    assert_eq!(note.to_string(), EXAMPLE);
    let read = Checkpoint::parse(&note.text).unwrap();
    assert_eq!((read.origin.as_str(), read.size), ("example.com/behind-the-sofa", 20_852_163));
    assert_eq!((read.root[0], read.root[31]), (0x0a, 0x62));
    assert_eq!(read.text(), note.text);
    // A cosignature is eight bytes of time and a signature of 64; the time is the one that the specification prints.
    let cosigned = &note.signatures[1];
    assert_eq!((cosigned.name.as_str(), cosigned.bytes.len()), ("witness.example.com/w1", 72));
    assert_eq!(cosigned.bytes[..8], 1_679_315_147_u64.to_be_bytes());
}

#[test]
fn a_checkpoint_is_signed_and_opened_and_only_with_its_own_key() {
    let note = checkpoint().sign(&signer()).unwrap();
    let bytes = note.to_string();
    assert_eq!(Checkpoint::open(bytes.as_bytes(), signer().key()), Ok((checkpoint(), note)));
    let other = LogSigner::from_seed("kith.test/audit", &[6; 32]).unwrap();
    assert_eq!(Checkpoint::open(bytes.as_bytes(), other.key()), Err(KeyError::NotSigned.into()));
    assert_eq!(checkpoint().sign(&LogSigner::from_seed("b", &[5; 32]).unwrap()), Err(CheckpointError::Origin));
    for at in 0..bytes.len() {
        let mut turned = bytes.clone().into_bytes();
        turned[at] ^= 1;
        assert!(Checkpoint::open(&turned, signer().key()).is_err(), "byte {at}");
    }
}

#[test]
fn a_checkpoint_that_names_another_log_is_refused_although_it_is_signed() {
    let foreign = Checkpoint { origin: "other.test/audit".to_owned(), ..checkpoint() };
    let note = signer().sign(&foreign.text()).unwrap();
    assert_eq!(Checkpoint::open(note.to_string().as_bytes(), signer().key()), Err(CheckpointError::Origin));
}

#[test]
fn what_is_not_quite_a_checkpoint_is_none_even_when_signed() {
    const ROOT: &str = "CQkJCQkJCQkJCQkJCQkJCQkJCQkJCQkJCQkJCQkJCQk=";
    assert_eq!(Checkpoint::parse(&format!("kith.test/audit\n12\n{ROOT}\n")), Ok(checkpoint()));
    let huge = (MAX_SIZE + 1).to_string();
    for (text, expected) in [
        ("\n".to_owned(), CheckpointError::Lines),
        (format!("kith.test/audit\n12\n{ROOT}"), CheckpointError::Lines),
        ("kith.test/audit\n12\n".to_owned(), CheckpointError::Lines),
        (format!("kith.test/audit\n12\n{ROOT}\n\n"), CheckpointError::Lines),
        (format!("kith.test/audit\n12\n{ROOT}\nmore\n"), CheckpointError::Lines),
        (format!("\n12\n{ROOT}\n"), CheckpointError::Origin),
        (format!("a b\n12\n{ROOT}\n"), CheckpointError::Origin),
        (format!("a+b\n12\n{ROOT}\n"), CheckpointError::Origin),
        (format!("kith.test/audit\n0\n{ROOT}\n"), CheckpointError::Size),
        (format!("kith.test/audit\n\n{ROOT}\n"), CheckpointError::Size),
        (format!("kith.test/audit\n012\n{ROOT}\n"), CheckpointError::Size),
        (format!("kith.test/audit\n+12\n{ROOT}\n"), CheckpointError::Size),
        (format!("kith.test/audit\n-12\n{ROOT}\n"), CheckpointError::Size),
        (format!("kith.test/audit\n12 \n{ROOT}\n"), CheckpointError::Size),
        (format!("kith.test/audit\n0x12\n{ROOT}\n"), CheckpointError::Size),
        (format!("kith.test/audit\n{huge}\n{ROOT}\n"), CheckpointError::Size),
        (format!("kith.test/audit\n{}\n{ROOT}\n", u64::MAX), CheckpointError::Size),
        (format!("kith.test/audit\n{}0\n{ROOT}\n", u64::MAX), CheckpointError::Size),
        ("kith.test/audit\n12\n\n".to_owned(), CheckpointError::Root),
        (format!("kith.test/audit\n12\n{}\n", ROOT.trim_end_matches('=')), CheckpointError::Root),
        (format!("kith.test/audit\n12\n{}\n", ROOT.replace("Qk=", "Ql=")), CheckpointError::Root),
        (format!("kith.test/audit\n12\n {ROOT}\n"), CheckpointError::Root),
        ("kith.test/audit\n12\nCQkJ\n".to_owned(), CheckpointError::Root),
        (format!("kith.test/audit\n12\nCQkJ{ROOT}\n"), CheckpointError::Root),
    ] {
        assert_eq!(Checkpoint::parse(&text), Err(expected), "{text}");
        if let Ok(note) = signer().sign(&text) {
            assert!(Checkpoint::open(note.to_string().as_bytes(), signer().key()).is_err(), "{text}");
        }
    }
    let most = Checkpoint { size: MAX_SIZE, ..checkpoint() };
    assert_eq!(Checkpoint::parse(&most.text()), Ok(most));
    for size in [0, MAX_SIZE + 1] {
        assert_eq!(Checkpoint { size, ..checkpoint() }.sign(&signer()), Err(CheckpointError::Size));
    }
}

#[test]
fn a_witness_states_what_it_saw_and_when() {
    let mut note = checkpoint().sign(&signer()).unwrap();
    assert_eq!(witness().key().verify_cosignature(&note), Err(KeyError::NotSigned));
    note.signatures.push(witness().cosign(&note.text, 1_679_315_147).unwrap());
    let read = Note::parse(note.to_string().as_bytes()).unwrap();
    assert_eq!(witness().key().verify_cosignature(&read), Ok(1_679_315_147));
    assert_eq!(signer().key().verify(&read), Ok(()), "the log's own signature is as it was");
    // Any bit of time or signature turned, or a byte less, and it does not hold.
    for at in 0..72 {
        let mut turned = note.clone();
        turned.signatures[1].bytes[at] ^= 1;
        assert_eq!(witness().key().verify_cosignature(&turned), Err(KeyError::Forged), "byte {at}");
    }
    note.signatures[1].bytes.pop();
    assert_eq!(witness().key().verify_cosignature(&note), Err(KeyError::Forged));
    note.signatures[1].bytes.truncate(5);
    assert_eq!(witness().key().verify_cosignature(&note), Err(KeyError::Forged));
}

#[test]
fn the_statement_that_is_signed_is_the_one_of_the_specification() {
    let text = "example.com/behind-the-sofa\n20852163\nCsUYapGGPo4dkMgIAUqom/Xajj7h2fB2MPA3j2jxq2I=\n";
    let signature = witness().cosign(text, 1_679_315_147).unwrap();
    let stated = format!("cosignature/v1\ntime 1679315147\n{text}");
    let as_log = LogSigner::from_seed("witness.test/one", &[6; 32]).unwrap().sign(&stated).unwrap();
    assert_eq!(signature.bytes[8..], as_log.signatures[0].bytes);
}

#[test]
fn a_log_s_signature_is_no_witness_s_and_the_reverse() {
    let (log, same) = (signer(), WitnessSigner::from_seed("kith.test/audit", &[5; 32]).unwrap());
    let mut note = checkpoint().sign(&log).unwrap();
    assert_eq!(same.key().verify_cosignature(&note), Err(KeyError::NotSigned), "the identifiers differ");
    assert_eq!(same.key().verify(&note), Err(KeyError::Kind));
    assert_eq!(log.key().verify_cosignature(&note), Err(KeyError::Kind));
    note.signatures[0].key_id = same.key().id();
    assert_eq!(same.key().verify_cosignature(&note), Err(KeyError::Forged));
}

#[test]
fn no_time_beyond_the_last_is_stated_or_believed() {
    let mut note = checkpoint().sign(&signer()).unwrap();
    assert_eq!(witness().cosign(&note.text, MAX_TIME_S + 1), Err(KeyError::Text));
    assert_eq!(witness().cosign("no text", 1), Err(KeyError::Text));
    // Signed all the same, by another program.
    let time = (MAX_TIME_S + 1).to_be_bytes();
    let stated = format!("cosignature/v1\ntime {}\n{}", MAX_TIME_S + 1, note.text);
    note.signatures.push(witness().signature(&time, stated.as_bytes()));
    assert_eq!(witness().key().verify_cosignature(&note), Err(KeyError::Forged));
}

#[test]
fn a_published_signature_of_the_curve_holds() {
    // RFC 8032, section 7.1, test 2: one byte of message.
    let public = "3d4017c3e843895a92b70aa74d1b7ebc9c982ccf2ec4968cc0cd55f12af4660c";
    let signature = "92a009a9f0d4cab8720e820b5f642540a2b27b5416503f8fb3762223ebdb69da085ac1e43e15996e458f3613d0f11d8c387b2eaeb4302aeeb00d291612bb0c00";
    let public: [u8; 32] = hex::decode(public).unwrap().try_into().unwrap();
    let key = VerifierKey::new("rfc8032", KeyKind::Log, public).unwrap();
    let mut signature = hex::decode(signature).unwrap();
    assert_eq!(key.check(&[0x72], &signature), Ok(()));
    assert_eq!(key.check(&[0x73], &signature), Err(KeyError::Forged));
    signature[63] ^= 0x10;
    assert_eq!(key.check(&[0x72], &signature), Err(KeyError::Forged));
}
