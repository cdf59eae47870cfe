//! The reference that an answer about a shielded child carries. It leads to the answer's entry of the audit under a key alone:
//! without it two of them tell neither which came first nor anything else, and one that was misread leads nowhere.
//!
//! It is deterministic authenticated encryption of the entry's number (a synthetic tag, and the number masked by the tag), so
//! nothing is stored for it. The function behind both is HChaCha20, under a key derived from the keys of names: those are never
//! rotated, so a reference leads to its entry for as long as that is kept.

use std::fmt;
use std::str::FromStr;

use chacha20::{R20, hchacha};
use ring::hmac;
use zeroize::{Zeroize, ZeroizeOnDrop};

use crate::journal::AuditRef;

/// Letters and digits of which none is taken for another when they are read out (Crockford's base 32).
const SYMBOLS: &[u8; 32] = b"0123456789ABCDEFGHJKMNPQRSTVWXYZ";
const SYMBOL_BITS: u32 = 5;
/// As many as an audit reference has, so that the length of an answer does not tell which of the two it carries.
const LENGTH: u32 = 14;
/// Numbers of entries: a thousand a second for 34 years.
const NUMBER_BITS: u32 = 40;
const NUMBER_MASK: u64 = (1 << NUMBER_BITS) - 1;
/// What is left of 14 symbols: of the references that were not given, one in a thousand million would be taken.
const TAG_BITS: u32 = LENGTH * SYMBOL_BITS - NUMBER_BITS;

/// What a block is for: the two uses of the key never meet.
const FOR_TAG: u8 = 1;
const FOR_MASK: u8 = 2;

/// The name of an answer about a shielded child, written like `7KQM2XBD9F4TH3`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct AnswerRef(u128);

/// Text that is no reference of an answer about a shielded child.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("read reference of an answer: expected 14 letters and digits")]
pub struct AnswerRefError;

impl AnswerRef {
    /// As it is written.
    #[must_use]
    pub fn text(&self) -> String {
        (0..LENGTH).rev().map(|place| symbol(self.0 >> (place * SYMBOL_BITS))).collect()
    }
}

fn symbol(value: u128) -> char {
    let place = usize::try_from(value % 32).unwrap_or_default();
    SYMBOLS.get(place).copied().map_or('0', char::from)
}

/// What a symbol stands for. It may have been heard or typed: small letters count, and those that are left out stand for the digit
/// that they look like.
fn value(letter: u8) -> Option<u128> {
    let meant = match letter.to_ascii_uppercase() {
        b'O' => b'0',
        b'I' | b'L' => b'1',
        other => other,
    };
    let place = SYMBOLS.iter().position(|known| *known == meant)?;
    u128::try_from(place).ok()
}

impl fmt::Display for AnswerRef {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text())
    }
}

impl FromStr for AnswerRef {
    type Err = AnswerRefError;

    /// Spaces and dashes between the symbols mean nothing.
    fn from_str(text: &str) -> Result<Self, AnswerRefError> {
        let (mut whole, mut length) = (0_u128, 0_u32);
        for letter in text.bytes().filter(|letter| !matches!(letter, b' ' | b'-')) {
            whole = (whole << SYMBOL_BITS) | value(letter).ok_or(AnswerRefError)?;
            length += 1;
            if length > LENGTH {
                return Err(AnswerRefError);
            }
        }
        if length == LENGTH { Ok(Self(whole)) } else { Err(AnswerRefError) }
    }
}

/// The key of the references.
#[derive(Zeroize, ZeroizeOnDrop)]
pub(crate) struct AnswerRefKey([u8; 32]);

impl AnswerRefKey {
    /// The key that a tag of HMAC-SHA256 is.
    pub(crate) fn of(tag: &hmac::Tag) -> Self {
        let mut key = Self([0; 32]);
        key.0.iter_mut().zip(tag.as_ref()).for_each(|(to, from)| *to = *from);
        key
    }

    /// The first eight bytes of the keyed function of a block: what it is for, and up to ten bytes.
    fn of_block(&self, what_for: u8, parts: [&[u8]; 2]) -> u64 {
        let mut block = [0_u8; 16];
        let bytes = std::iter::once(&what_for).chain(parts.into_iter().flatten());
        block.iter_mut().zip(bytes).for_each(|(to, from)| *to = *from);
        let made: [u8; 32] = hchacha::<R20>((&self.0).into(), (&block).into()).into();
        made.first_chunk().map_or(0, |first| u64::from_be_bytes(*first))
    }

    fn tag(&self, AuditRef { journal, sequence }: AuditRef) -> u64 {
        self.of_block(FOR_TAG, [&journal.to_be_bytes(), &sequence.to_be_bytes()]) >> (u64::BITS - TAG_BITS)
    }

    fn mask(&self, tag: u64) -> u64 {
        self.of_block(FOR_MASK, [&tag.to_be_bytes(), &[]]) & NUMBER_MASK
    }

    /// The reference of the answer with this entry.
    pub(crate) fn conceal(&self, entry: AuditRef) -> AnswerRef {
        let tag = self.tag(entry);
        let number = (entry.sequence & NUMBER_MASK) ^ self.mask(tag);
        AnswerRef((u128::from(tag) << NUMBER_BITS) | u128::from(number))
    }

    /// The entry in `journal` that a reference leads to; `None` for one that was never given.
    pub(crate) fn reveal(&self, AnswerRef(whole): AnswerRef, journal: u16) -> Option<AuditRef> {
        let tag = u64::try_from(whole >> NUMBER_BITS).ok()?;
        let number = u64::try_from(whole & u128::from(NUMBER_MASK)).ok()?;
        let entry = AuditRef { journal, sequence: number ^ self.mask(tag) };
        (self.tag(entry) == tag).then_some(entry)
    }
}

#[cfg(test)]
#[path = "answer_ref_tests.rs"]
mod tests;
