//! What fuzzing calls: one function for each reader of this crate that meets bytes of the disk, with what became of them in a
//! few words. Never used in production. Sums are mended where a mutation would else end at the first of them.

use std::ops::ControlFlow;
use std::path::Path;

use kith_merkle::LogSigner;
use ring::digest;

use crate::database::{self, snapshot};
use crate::journal::JOURNAL_ID;
use crate::journal::format::{ENTRY_HEAD_BYTES, HEADER_BYTES, encode_entry};
use crate::journal::reader::{SegmentReader, Step, read_header};
use crate::journal::recover::{Marker, decode_marker, encode_marker};
use crate::journal::remove::{decode_mark, encode_mark};
use crate::key_encryption::{KeyEncryptionKey, KeySource};
use crate::keyring::{COPY_STRIDE, Keyring, mended};
use crate::keys::Keys;
use crate::seal;
use crate::tree::cosign::Brought;
use crate::tree::files::{FrameStep, Framed, Frames, checkpoints_path, checkpoints_tail};
use crate::tree::record::{RECORD_BYTES, Record, read_head};
use crate::tree::signers::Signers;
use crate::watermark::{Head, SLOT_BYTES, Watermark, encode};

/// Steps through one file at most.
const MOST_STEPS: usize = 10_000;

/// Where the second slot of the watermark begins.
const SLOT_STRIDE: usize = 4_096;

/// Keys that everybody knows.
fn keys() -> Keys {
    Keys::from_master([7; 32])
}

/// A segment of the audit; `mend` makes its sums right first.
///
/// # Errors
/// The scratch file cannot be written.
pub fn audit_segment(bytes: &[u8], scratch: &Path, mend: bool) -> std::io::Result<String> {
    let path = scratch.join("audit-00000001.seg");
    std::fs::write(&path, if mend { mended_segment(bytes) } else { bytes.to_vec() })?;
    let header = match read_header(&path)? {
        Ok(_) => "header",
        Err(crate::journal::format::HeaderFault::NotAHeader) => "no header",
        Err(crate::journal::format::HeaderFault::Newer(_)) => "newer",
    };
    let mut reader = SegmentReader::open(&path, 0)?;
    let (mut entries, mut bad, mut opened) = (0, 0, 0);
    for _ in 0..MOST_STEPS {
        match reader.step()? {
            Step::Entry { sealed, sequence, .. } => {
                entries += 1;
                let key = [&JOURNAL_ID.to_be_bytes()[..], &sequence.to_be_bytes()].concat();
                opened += usize::from(seal::open(&keys(), "audit", &key, &sealed).is_ok());
            }
            Step::End => break,
            Step::Bad { offset } => {
                bad += 1;
                if reader.skip_damage(offset)?.is_none() {
                    break;
                }
            }
        }
    }
    Ok(format!("{header}, {entries} entries, {bad} bad, {opened} opened"))
}

fn mended_segment(bytes: &[u8]) -> Vec<u8> {
    let mut mended = bytes.to_vec();
    mend(mended.get_mut(..HEADER_BYTES));
    let mut at = HEADER_BYTES;
    while let Some(head) = mended.get(at..at + ENTRY_HEAD_BYTES).and_then(|head| head.first_chunk::<ENTRY_HEAD_BYTES>())
    {
        let [a, b, c, d, _, _, _, _, number @ ..] = *head;
        let end = (at + ENTRY_HEAD_BYTES).saturating_add(u32::from_be_bytes([a, b, c, d]) as usize);
        let Some(sealed) = mended.get(at + ENTRY_HEAD_BYTES..end) else { break };
        let mut sum = crc32c::crc32c(&[a, b, c, d]);
        sum = crc32c::crc32c_append(crc32c::crc32c_append(sum, &number), sealed);
        mended.iter_mut().skip(at + 4).zip(sum.to_be_bytes()).for_each(|(to, from)| *to = from);
        at = end;
    }
    mended
}

/// Writes the sum of what stands before it into the last four bytes.
fn mend(bytes: Option<&mut [u8]>) {
    if let Some((body, sum)) = bytes.and_then(<[u8]>::split_last_chunk_mut::<4>) {
        *sum = crc32c::crc32c(body).to_be_bytes();
    }
}

/// The marks of what was removed from the audit and of its clean end; their sum is made right first.
///
/// # Panics
/// When a mark has a second spelling: a finding.
#[must_use]
pub fn marks(bytes: &[u8]) -> String {
    let mut mended = bytes.to_vec();
    mend(Some(mended.as_mut_slice()));
    let (removed, ended) = (decode_mark(&mended), decode_marker(&mended));
    let written = removed.map(encode_mark).or(ended.map(encode_marker));
    assert!(written.is_none_or(|written| written == mended), "a mark has a second spelling");
    format!("removed {}, ended {}", removed.is_some(), ended.is_some())
}

/// Marks to begin with.
#[must_use]
pub fn marks_seeds() -> Vec<Vec<u8>> {
    vec![encode_mark(7), encode_marker(Marker { last: 7, next: 8 })]
}

/// A whole segment to begin with.
#[must_use]
pub fn audit_segment_seed() -> Vec<u8> {
    let header = crate::journal::format::Header {
        first_sequence: 1,
        resumes_after: 0,
        boot_id: crate::journal::format::boot_id("00000000-0000-4000-8000-000000000000"),
    };
    let entry = |number: u64| {
        let mut bytes = Vec::new();
        // What cannot be sealed is left out.
        let _sealed = encode_entry(&mut bytes, &keys(), number, b"an entry");
        bytes
    };
    [header.encode(), entry(1), entry(2)].concat()
}

/// The watermark's file; the sums of its two slots are made right first.
///
/// # Errors
/// The scratch file cannot be written.
pub fn watermark(bytes: &[u8], scratch: &Path) -> std::io::Result<String> {
    let path = Watermark::path(scratch);
    let mut mended = bytes.to_vec();
    for slot in [0, SLOT_STRIDE] {
        mend(mended.get_mut(slot..slot + SLOT_BYTES));
    }
    std::fs::write(&path, mended)?;
    Ok(match Watermark::read(&path) {
        Ok(Some(reading)) => format!("slot {}, both {}", reading.slot, reading.both_whole),
        Ok(None) => String::from("none"),
        Err(error) => error.to_string(),
    })
}

/// A watermark to begin with.
#[must_use]
pub fn watermark_seed() -> Vec<u8> {
    let slot = |sequence| encode(Head { sequence, chain: [1; 32] }).to_vec();
    let mut first = slot(7);
    first.resize(SLOT_STRIDE, 0);
    [first, slot(8)].concat()
}

/// A snapshot of record 1; its head and its hash are made right first, and its rows may be of any key.
///
/// # Errors
/// The scratch file cannot be written.
pub fn snapshot(bytes: &[u8], scratch: &Path) -> std::io::Result<String> {
    let head = Head { sequence: 1, chain: [0; 32] };
    let begun = [&snapshot::header(head)[..], bytes].concat();
    let hash = digest::digest(&digest::SHA256, &begun);
    std::fs::write(snapshot::path(scratch, 1), [&begun, hash.as_ref()].concat())?;
    let mut rows = 0;
    let read = snapshot::read(scratch, &keys(), head, &mut |_, _, _| {
        rows += 1;
        ControlFlow::Continue(())
    });
    Ok(match read {
        Ok(_) => format!("{rows} rows"),
        // Lengths in the words are the file's own: any number of them.
        Err(words) => words.replace(|c: char| c.is_ascii_digit(), ""),
    })
}

/// A row as a snapshot holds it, and the end after it.
#[must_use]
pub fn snapshot_seed() -> Vec<u8> {
    let sealed = seal::seal(&keys(), "child", b"key", b"a row").unwrap_or_default();
    let lengths = [&3_u16.to_be_bytes()[..], &(sealed.len() as u32).to_be_bytes()].concat();
    [b"\x05child", &lengths[..], b"key", &sealed, &[0], &1_u64.to_be_bytes()].concat()
}

/// A sealed value of any version.
#[must_use]
pub fn sealed(bytes: &[u8]) -> String {
    match seal::open(&keys(), "child", b"key", bytes) {
        Ok(plain) => format!("{} bytes", plain.len()),
        Err(error) => error.to_string(),
    }
}

/// A sealed value to begin with.
#[must_use]
pub fn sealed_seed() -> Vec<u8> {
    seal::seal(&keys(), "child", b"key", b"a row").unwrap_or_default()
}

/// The leaves of the tree, with their head.
#[must_use]
pub fn leaves(bytes: &[u8]) -> String {
    let mut mended = bytes.to_vec();
    mend(mended.get_mut(..RECORD_BYTES));
    mended.chunks_exact_mut(RECORD_BYTES).skip(1).for_each(mend_record);
    let head = read_head(&mended);
    let (mut whole, mut other) = (0_u32, 0_u32);
    for record in mended.as_chunks::<RECORD_BYTES>().0.iter().skip(1) {
        match Record::decode(record) {
            Some(read) => {
                assert_eq!(read.encode(), *record, "a record reads back otherwise");
                let _leaf = read.leaf();
                whole += 1;
            }
            None => other += 1,
        }
    }
    format!("{head:?}, {whole} whole, {other} other")
}

/// The sum of a record stands behind its kind, over everything else.
fn mend_record(record: &mut [u8]) {
    if let Some(([a, b, c, d, sum @ ..], rest)) = record.split_first_chunk_mut::<8>() {
        *sum = crc32c::crc32c_append(crc32c::crc32c(&[*a, *b, *c, *d]), rest).to_be_bytes();
    }
}

/// Leaves to begin with.
#[must_use]
pub fn leaves_seed() -> Vec<u8> {
    let entry = |late| Record::Entry { sequence: 3, leaf: [1; 32], late };
    let passed_over = Record::PassedOver { first: 1, last: 2 };
    let records = [passed_over, entry(false), entry(true)].map(|record| record.encode());
    [crate::tree::record::head(), records.concat()].concat()
}

/// The file of checkpoints.
///
/// # Errors
/// The scratch file cannot be written.
pub fn checkpoints(bytes: &[u8], scratch: &Path) -> std::io::Result<String> {
    std::fs::write(checkpoints_path(scratch), bytes)?;
    let tail = checkpoints_tail(scratch)?;
    let signer = LogSigner::from_seed("kith.test/audit", &[7; 32]).ok();
    let mut signers = Signers::new(signer.as_ref().map(LogSigner::key));
    let (mut whole, mut bad, mut heads) = (0, 0, 0);
    if let Some(mut frames) = Frames::open(scratch)? {
        for _ in 0..MOST_STEPS {
            match frames.step()? {
                FrameStep::Whole(Framed { before, note }) => {
                    whole += 1;
                    heads += usize::from(signers.read(&note, before).is_ok());
                }
                FrameStep::Bad { .. } => bad += 1,
                FrameStep::End => break,
            }
        }
    }
    // What it concludes is the tree's to tell: here it must come to an end.
    let _of_another_key = signers.conclude();
    assert!(tail.note.is_none() || whole > 0, "a checkpoint at the end that nobody finds from the beginning");
    Ok(format!("{whole} whole, {bad} bad, damaged {}, {heads} heads", tail.damaged))
}

/// Checkpoints to begin with.
#[must_use]
pub fn checkpoints_seed() -> Vec<u8> {
    let framed = |before, note: &[u8]| Framed { before, note: note.to_vec() }.encode();
    [framed(0, b"a note\n"), framed(1, b"another\n")].concat()
}

/// Whose the names and keys of witnesses are, as the file beside the tree says it.
///
/// # Panics
/// When what it says has a second spelling: a finding.
#[must_use]
pub fn cosigners(bytes: &[u8]) -> String {
    let Some(brought) = Brought::of(bytes) else { return String::from("none") };
    assert_eq!(brought.to_bytes(), bytes, "whose witnesses are has a second spelling");
    format!("{} names and keys", brought.count())
}

/// The rows of the store itself, once they are open.
#[must_use]
pub fn own_rows(bytes: &[u8]) -> String {
    let (head, trimmed, keyring) = database::own_rows(bytes);
    format!("head {}, trim point {}, keyring {}", head.is_some(), trimmed.is_some(), keyring.is_some())
}

/// A key file.
///
/// # Errors
/// The scratch file cannot be written.
pub fn key_file(bytes: &[u8], scratch: &Path) -> std::io::Result<String> {
    use std::os::unix::fs::PermissionsExt;
    let path = scratch.join("key");
    std::fs::write(&path, bytes)?;
    std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o600))?;
    let read = KeyEncryptionKey::read(&KeySource::File(path));
    Ok(read.map_or_else(|error| error.to_string(), |_| String::from("a key")))
}

/// A keyring's file; its id and its sums are made right first, as far as there is room for them.
///
/// # Errors
/// The key that everybody knows could not be used.
pub fn keyring(bytes: &[u8]) -> std::io::Result<String> {
    let wrapping = KeyEncryptionKey::from_bytes([7; 32]).wrapping().map_err(std::io::Error::other)?;
    let file = mended(bytes, &wrapping);
    Ok(match Keyring::decode(&file, &wrapping) {
        Ok(keyring) => format!("{} versions, the newest {}", keyring.versions().count(), keyring.newest),
        Err(error) => error.to_string(),
    })
}

/// A keyring to begin with.
///
/// # Errors
/// The key that everybody knows could not be used.
pub fn keyring_seed() -> std::io::Result<Vec<u8>> {
    let key = KeyEncryptionKey::from_bytes([7; 32]);
    let made = Keyring::adopted(&key).and_then(|keyring| keyring.encode(&key.wrapping()?));
    made.map(|mut file| file.split_off(COPY_STRIDE)).map_err(std::io::Error::other)
}
