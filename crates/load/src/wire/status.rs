//! The gRPC status out of a block of response headers (HPACK). Everything else is stepped over. Only what is needed for that
//! is kept of the dynamic table: in what order entries came, and which of them were a status.

use std::collections::VecDeque;

use super::Broken;

const NAME: &[u8] = b"grpc-status";
/// "grpc-status" in HPACK's Huffman code.
const NAME_HUFFMAN: [u8; 8] = [0x9a, 0xca, 0xc8, 0xb2, 0x12, 0x34, 0xda, 0x8f];
/// Entries of the static table.
const STATIC: usize = 61;
/// More entries than a table of 4,096 bytes can hold.
const KEPT: usize = 160;

/// What is known of one entry of the dynamic table.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Entry {
    /// Another header.
    Other,
    /// A status with this value.
    Status(u8),
}

/// Reads blocks of response headers, in order.
#[derive(Default)]
pub(super) struct Decoder {
    /// The newest first.
    table: VecDeque<Entry>,
}

struct Text<'a> {
    bytes: &'a [u8],
    huffman: bool,
}

impl Decoder {
    /// The gRPC status in the block, if there is one.
    pub(super) fn status(&mut self, mut block: &[u8]) -> Result<Option<u8>, Broken> {
        let mut found = None;
        while let Some(first) = block.first().copied() {
            let entry = if first & 0x80 != 0 {
                let index = integer(&mut block, 7)?;
                self.entry(index)?
            } else if first & 0xe0 == 0x20 {
                integer(&mut block, 5)?;
                Entry::Other
            } else {
                let insert = first & 0xc0 == 0x40;
                let entry = self.literal(&mut block, if insert { 6 } else { 4 })?;
                if insert {
                    self.table.push_front(entry);
                    self.table.truncate(KEPT);
                }
                entry
            };
            if let Entry::Status(status) = entry {
                found = Some(status);
            }
        }
        Ok(found)
    }

    fn entry(&self, index: usize) -> Result<Entry, Broken> {
        match index.checked_sub(STATIC + 1) {
            None => Ok(Entry::Other),
            Some(place) => self.table.get(place).copied().ok_or(Broken("a header that was never given")),
        }
    }

    fn literal(&self, block: &mut &[u8], bits: u32) -> Result<Entry, Broken> {
        let is_status = match integer(block, bits)? {
            0 => {
                let name = text(block)?;
                name.bytes == if name.huffman { NAME_HUFFMAN.as_slice() } else { NAME }
            }
            index => matches!(self.entry(index)?, Entry::Status(_)),
        };
        let value = text(block)?;
        if is_status {
            Ok(Entry::Status(digits(&value).ok_or(Broken("a status that is no number"))?))
        } else {
            Ok(Entry::Other)
        }
    }
}

fn integer(block: &mut &[u8], bits: u32) -> Result<usize, Broken> {
    const SHORT: Broken = Broken("a block of headers that ends too early");
    let (first, mut rest) = block.split_first().ok_or(SHORT)?;
    let limit = (1_usize << bits) - 1;
    let mut value = usize::from(*first) & limit;
    if value == limit {
        let mut shift = 0;
        loop {
            let (next, after) = rest.split_first().ok_or(SHORT)?;
            rest = after;
            value += usize::from(next & 127) << shift;
            shift += 7;
            if next & 128 == 0 {
                break;
            }
            if shift > 28 {
                return Err(Broken("a number of headers that is too large"));
            }
        }
    }
    *block = rest;
    Ok(value)
}

fn text<'a>(block: &mut &'a [u8]) -> Result<Text<'a>, Broken> {
    let huffman = block.first().is_some_and(|first| first & 0x80 != 0);
    let length = integer(block, 7)?;
    let bytes = block.get(..length).ok_or(Broken("a header that ends too early"))?;
    *block = &block[length..];
    Ok(Text { bytes, huffman })
}

/// A number of one or two digits.
fn digits(value: &Text<'_>) -> Option<u8> {
    let plain = if value.huffman { huffman_digits(value.bytes)? } else { value.bytes.to_vec() };
    std::str::from_utf8(&plain).ok()?.parse().ok()
}

/// Digits alone: 0, 1 and 2 have five bits (00000 to 00010), 3 to 9 have six (011001 to 011111); the rest is ones.
fn huffman_digits(bytes: &[u8]) -> Option<Vec<u8>> {
    let all = bytes.iter().fold(0_u64, |all, byte| (all << 8) | u64::from(*byte));
    let mut left = bytes.len() as u32 * 8;
    if left > 32 {
        return None;
    }
    let mut plain = Vec::with_capacity(2);
    // What is left in the end is fewer than eight ones.
    while left >= 8 || all & ((1 << left) - 1) != (1 << left) - 1 {
        let five = left.checked_sub(5).map(|under| (all >> under) & 31)?;
        if five <= 2 {
            plain.push(b'0' + five as u8);
            left -= 5;
            continue;
        }
        let six = left.checked_sub(6).map(|under| (all >> under) & 63)?;
        if !(25..=31).contains(&six) {
            return None;
        }
        plain.push(b'3' + (six - 25) as u8);
        left -= 6;
    }
    Some(plain)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn status(blocks: &[&[u8]]) -> Result<Vec<Option<u8>>, Broken> {
        let mut decoder = Decoder::default();
        blocks.iter().map(|block| decoder.status(block)).collect()
    }

    #[test]
    fn every_code_in_huffman() {
        // 7 and 16 by hand: 011101 11 and 00001 011100 11111.
        assert_eq!(huffman_digits(&[0b0111_0111]), Some(b"7".to_vec()));
        assert_eq!(huffman_digits(&[0b0000_1011, 0b1001_1111]), Some(b"16".to_vec()));
        assert_eq!(huffman_digits(&[0b0000_0111]), Some(b"0".to_vec()));
        assert_eq!(huffman_digits(&[0b1111_1000]), None);
        assert_eq!(huffman_digits(&[0; 9]), None);
    }

    #[test]
    fn a_status_is_found_in_the_open_and_by_index() {
        let mut literal = vec![0x88, 0x40, 11];
        literal.extend_from_slice(NAME);
        literal.extend_from_slice(&[1, b'0']);
        // Afterwards it is the newest entry; then another header comes before it; then its name with another value.
        let found = status(&[&literal, &[0xbe], &[0x40, 1, b'x', 1, b'y'], &[0xbf], &[0x0f, 0x30, 2, b'1', b'4']]);
        assert_eq!(found, Ok(vec![Some(0), Some(0), None, Some(0), Some(14)]));
    }

    #[test]
    fn damaged_blocks_are_refused_and_do_not_panic() {
        for block in
            [&[0x40_u8][..], &[0x40, 11, b'g'], &[0xff, 0xff, 0xff, 0xff, 0xff, 0xff], &[0xbe], &[0x00, 0x85, 1]]
        {
            assert!(status(&[block]).is_err(), "{block:?}");
        }
        let mut dice = crate::dice::Dice::new(3, 3);
        for _ in 0..100_000 {
            let block: Vec<u8> = (0..dice.below(24)).map(|_| dice.bits() as u8).collect();
            let _either = status(&[&block]);
        }
    }
}
