//! Notes: published ones, and everything that is not quite one.

use super::keys::{PUBLISHED_KEY, published_signer};
use crate::{KeyError, LogSigner, MAX_NOTE_BYTES, MAX_SIGNATURES, Note, NoteError, VerifierKey};

/// From Go's note package.
const PUBLISHED_TEXT: &str =
    "If you think cryptography is the answer to your problem,\nthen you don't know what your problem is.\n";
const PUBLISHED_SIGNATURE: &str = "\u{2014} PeterNeumann x08go/ZJkuBS9UG/SffcvIAQxVBtiFupLLr8pAcElZInNIuGUgYN1FFYC2pZSNXgKvqfqdngotpRZb6KE6RyyBwJnAM=\n";

/// The example of C2SP signed-note; its text has empty lines.
const POEM: &str = "Ognuno sta solo sul cuor della terra\ntrafitto da un raggio di sole:\n\ned \u{e8} subito sera.\n\n\u{2014} quasimodo.example/salvatore NnugSzTjtVAewIS+Z/iJhUPeFDkO/5QQ2i5ddnGITLlC+EhfLW9oJKONrMouFSQU0xMcXxj99ihAQwaqP3ZekRwNtIc=\n";

fn published() -> String {
    format!("{PUBLISHED_TEXT}\n{PUBLISHED_SIGNATURE}")
}

#[test]
fn a_published_note_is_signed_byte_for_byte_and_holds() {
    let signer = published_signer();
    let note = signer.sign(PUBLISHED_TEXT).unwrap();
    assert_eq!(note.to_string(), published());
    let read = Note::parse(published().as_bytes()).unwrap();
    assert_eq!(read, note);
    assert_eq!(PUBLISHED_KEY.parse::<VerifierKey>().unwrap().verify(&read), Ok(()));
}

#[test]
fn the_example_of_the_specification_is_read_and_written() {
    let note = Note::parse(POEM.as_bytes()).unwrap();
    assert!(note.text.ends_with("\n\ned \u{e8} subito sera.\n"));
    assert_eq!(note.signatures[0].name, "quasimodo.example/salvatore");
    assert_eq!((note.signatures[0].key_id, note.signatures[0].bytes.len()), ([0x36, 0x7b, 0xa0, 0x4b], 64));
    assert_eq!(note.to_string(), POEM);
}

#[test]
fn a_note_with_any_byte_turned_is_refused() {
    let key: VerifierKey = PUBLISHED_KEY.parse().unwrap();
    let whole = published().into_bytes();
    for at in 0..whole.len() {
        for bit in 0..8 {
            let mut bytes = whole.clone();
            bytes[at] ^= 1 << bit;
            let holds = Note::parse(&bytes).is_ok_and(|note| key.verify(&note).is_ok());
            assert!(!holds, "byte {at}, bit {bit}");
        }
    }
}

#[test]
fn a_signature_of_another_key_is_left_alone_and_one_that_does_not_hold_is_named() {
    let key: VerifierKey = PUBLISHED_KEY.parse().unwrap();
    let other = LogSigner::from_seed("other", &[3; 32]).unwrap();
    let mut note = other.sign(PUBLISHED_TEXT).unwrap();
    assert_eq!(key.verify(&note), Err(KeyError::NotSigned));
    note.signatures.extend(published_signer().sign(PUBLISHED_TEXT).unwrap().signatures);
    assert_eq!((key.verify(&note), other.key().verify(&note)), (Ok(()), Ok(())));
    note.signatures[1].bytes[9] ^= 1;
    assert_eq!((key.verify(&note), other.key().verify(&note)), (Err(KeyError::Forged), Ok(())));
    note.signatures[1].bytes.truncate(63);
    assert_eq!(key.verify(&note), Err(KeyError::Forged));
    // The same name with another key, and the same identifier under another name, are other keys.
    let namesake = LogSigner::from_seed("PeterNeumann", &[3; 32]).unwrap().sign(PUBLISHED_TEXT).unwrap();
    assert_eq!(key.verify(&namesake), Err(KeyError::NotSigned));
}

#[test]
fn what_is_not_quite_a_note_is_none() {
    let (text, signature) = (PUBLISHED_TEXT, PUBLISHED_SIGNATURE);
    let parse = |note: String| Note::parse(note.as_bytes());
    for (note, expected) in [
        (String::new(), NoteError::Shape),
        (text.to_owned(), NoteError::Shape),
        (format!("{text}\n"), NoteError::Shape),
        (format!("{text}{signature}"), NoteError::Shape),
        (format!("\n{signature}"), NoteError::Shape),
        (format!("\n\n{signature}"), NoteError::Shape),
        (format!("{text}\n{}", signature.trim_end()), NoteError::Shape),
        (format!("{text}\n{signature}\n"), NoteError::Shape),
        (format!("{text}\n{signature}x\n"), NoteError::Signature { line: 2 }),
        (format!("{text}\n{}", signature.replace('\u{2014}', "-")), NoteError::Signature { line: 1 }),
        (format!("{text}\n{}", signature.replace("PeterNeumann", "")), NoteError::Signature { line: 1 }),
        (format!("{text}\n{}", signature.replace("PeterNeumann", "Peter+Neumann")), NoteError::Signature { line: 1 }),
        (format!("{text}\n{}", signature.replace("PeterNeumann", "Peter\u{a0}N")), NoteError::Signature { line: 1 }),
        (format!("{text}\n{}", signature.replace(" x08", "  x08")), NoteError::Signature { line: 1 }),
        (format!("{text}\n{}", signature.replace("AM=\n", "AM= \n")), NoteError::Signature { line: 1 }),
        // Base 64 without its padding, with bits that mean nothing, of another alphabet, and too short for a signature.
        (format!("{text}\n{}", signature.replace("AM=\n", "AM\n")), NoteError::Signature { line: 1 }),
        (format!("{text}\n{}", signature.replace("AM=\n", "AN=\n")), NoteError::Signature { line: 1 }),
        (format!("{text}\n{}", signature.replace('/', "_")), NoteError::Signature { line: 1 }),
        (format!("{text}\n\u{2014} a AAAAAA==\n"), NoteError::Signature { line: 1 }),
        (format!("{text}\n\u{2014} a AAAA\n"), NoteError::Signature { line: 1 }),
        (format!("{text}\n\u{2014} a \n"), NoteError::Signature { line: 1 }),
        (format!("{text}\n{signature}{signature}"), NoteError::Twice { line: 2 }),
        (format!("{text}\t\n\n{signature}"), NoteError::Characters),
        (format!("{text}\n{signature}").replace('\n', "\r\n"), NoteError::Characters),
        (format!("{text}\0\n{signature}"), NoteError::Characters),
    ] {
        assert_eq!(parse(note.clone()), Err(expected), "{note}");
    }
    let mut bytes = published().into_bytes();
    bytes[3] = 0xff;
    assert_eq!(Note::parse(&bytes), Err(NoteError::Characters));
}

#[test]
fn too_many_signatures_and_too_many_bytes_are_refused() {
    let line = |number: usize| format!("\u{2014} key{number} AAAAAAAA\n");
    let with = |count: usize| format!("text\n\n{}", (0..count).map(line).collect::<String>());
    assert_eq!(Note::parse(with(MAX_SIGNATURES).as_bytes()).unwrap().signatures.len(), MAX_SIGNATURES);
    assert_eq!(Note::parse(with(MAX_SIGNATURES + 1).as_bytes()), Err(NoteError::TooMany));
    let long = format!("{}\n\n{}", "x".repeat(MAX_NOTE_BYTES), line(1));
    assert_eq!(Note::parse(long.as_bytes()), Err(NoteError::TooLong { found: long.len() }));
}

#[test]
fn what_is_no_text_is_not_signed() {
    for text in ["", "\n", "text", "a\tb\n", "a\r\n"] {
        assert_eq!(published_signer().sign(text).err(), Some(KeyError::Text), "{text:?}");
    }
    for text in ["a\n", "a\n\n", "\na\n", "\n\na\n\n\n"] {
        let note = published_signer().sign(text).unwrap();
        assert_eq!(Note::parse(note.to_string().as_bytes()), Ok(note), "{text:?}");
    }
}
