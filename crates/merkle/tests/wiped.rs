//! What stays in this process's memory of the text of a secret key, once its signer is made or the key was refused: nothing. The
//! memory is read as the kernel shows it. Nothing is asked of the signer itself: what the library of signatures works with is its own.

#![expect(clippy::unwrap_used, reason = "a helper of a test fails the test")]

use std::fs::File;
use std::ops::Range;
use std::os::unix::fs::FileExt;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use kith_merkle::{KeyError, LogSigner, WitnessSigner, new_secret_pem};
use zeroize::Zeroizing;

/// What is searched for stands here with this in each byte, so that the search finds no copy of its own.
const MASK: u8 = 0x80;
/// Letters of the key's first line in which nothing stands but the secret: whole groups of four.
const SECRET: Range<usize> = 24..56;
/// The first key of RFC 8032, section 7.1, and a letter that base 64 does not have. It stands where nothing can be written.
const REFUSED: &str = "-----BEGIN PRIVATE KEY-----
MC4CAQAwBQYDK2VwBCIEIJ1hsZ3v/VpguoRK9JLsLMREScVpezJpGXA7rAMcrn9g!AAA
-----END PRIVATE KEY-----
";
/// How much is read at once, in bytes.
const READ_BYTES: usize = 1 << 16;

fn secret(pem: &str) -> &str {
    &pem.lines().nth(1).unwrap()[SECRET]
}

fn masked(bytes: &[u8]) -> Vec<u8> {
    bytes.iter().map(|byte| byte ^ MASK).collect()
}

/// Whether it stands anywhere in memory that this process can write to.
fn stands(masked: &[u8]) -> bool {
    let maps = std::fs::read_to_string("/proc/self/maps").unwrap();
    let memory = File::open("/proc/self/mem").unwrap();
    // It holds what was found, and is not to be found the next time.
    let mut read = Zeroizing::new(vec![0_u8; READ_BYTES]);
    let mut searched = 0;
    for Range { start, end } in maps.lines().filter_map(writable) {
        let mut at = start;
        while at < end {
            let most = usize::try_from(end - at).unwrap_or(READ_BYTES).min(READ_BYTES);
            // Some mappings are listed and cannot be read.
            let Ok(length @ 1..) = memory.read_at(&mut read[..most], at) else { break };
            if read[..length].windows(masked.len()).any(|window| is(window, masked)) {
                return true;
            }
            searched += length;
            // What stands across two readings is seen by the second.
            let back = if at + length as u64 >= end { 0 } else { masked.len().min(length - 1) };
            at += (length - back) as u64;
        }
    }
    assert!(searched > READ_BYTES, "only {searched} bytes were searched");
    false
}

fn is(window: &[u8], masked: &[u8]) -> bool {
    window.iter().zip(masked).all(|(found, sought)| found ^ MASK == *sought)
}

/// `start-end rw...`, in hexadecimal digits.
fn writable(line: &str) -> Option<Range<u64>> {
    let (range, rest) = line.split_once(' ')?;
    let (start, end) = range.split_once('-')?;
    let number = |digits| u64::from_str_radix(digits, 16).ok();
    if rest.starts_with("rw") { Some(number(start)?..number(end)?) } else { None }
}

/// One test, for two at once would each find what the other is reading.
#[test]
fn nothing_stays_of_the_text_of_a_secret_key() {
    let take: [fn(&str) -> bool; 2] = [
        |pem| LogSigner::from_pem("kith.example/audit", pem).is_ok(),
        |pem| WitnessSigner::from_pem("witness.example", pem).is_ok(),
    ];
    for take in take {
        let pem = new_secret_pem().unwrap();
        let text = masked(secret(&pem).as_bytes());
        assert!(stands(&text), "the search finds what is there");
        assert!(take(&pem));
        drop(pem);
        assert!(!stands(&text), "its text stayed in memory");
    }
    let text = masked(secret(REFUSED).as_bytes());
    let bytes = masked(&Zeroizing::new(STANDARD.decode(secret(REFUSED)).unwrap()));
    assert_eq!(LogSigner::from_pem("kith.example/audit", REFUSED).err(), Some(KeyError::Secret));
    assert!(!stands(&text), "its text stayed in memory");
    assert!(!stands(&bytes), "what was decoded of it stayed in memory");
}
