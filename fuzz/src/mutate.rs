//! Changes bytes as faults and attackers do: bits, bytes, numbers at their edges, pieces dropped, doubled, moved, and taken
//! from another input.

use crate::dice::Dice;

/// Changes stacked on one input at most.
const STACKED: usize = 6;
/// Longest piece that is dropped, doubled or moved.
const PIECE: usize = 64;

/// Numbers at which readers go wrong.
const EDGES: [u64; 12] =
    [0, 1, 0x7f, 0x80, 0xff, 0x100, 0x7fff, 0xffff, 0x7fff_ffff, 0xffff_ffff, i64::MAX as u64, u64::MAX];

/// Words that mean something to some reader of text or of DER, protobuf and postcard.
const WORDS: [&[u8]; 24] = [
    b"\n",
    b"\r\n",
    b",",
    b"\"",
    b"\"\"",
    b"\0",
    b"\xef\xbb\xbf",
    b"\xff\xfe",
    b"=",
    b"[",
    b"]",
    b"'''",
    b"#",
    b"-",
    b"+",
    b"1e9",
    b"1970-01-01",
    b"9999-12-31",
    b"nan",
    b"\x30\x80",
    b"\x86\x00",
    b"\x0a\x00",
    b"\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01",
    b"\xe2\x80\x94",
];

/// Another input, made of `from` and at times of `other`; never longer than `most`.
pub fn mutate(from: &[u8], other: &[u8], words: &[Vec<u8>], most: usize, dice: &mut Dice) -> Vec<u8> {
    let mut bytes = from.to_vec();
    for _ in 0..=dice.below(STACKED) {
        once(&mut bytes, other, words, dice);
    }
    bytes.truncate(most);
    bytes
}

fn once(bytes: &mut Vec<u8>, other: &[u8], words: &[Vec<u8>], dice: &mut Dice) {
    let at = dice.below(bytes.len().max(1)).min(bytes.len());
    let end = (at + 1 + dice.below(PIECE)).min(bytes.len());
    match dice.below(12) {
        0 => change(bytes, at, |byte, dice| byte ^ (1 << dice.below(8)), dice),
        1 => change(bytes, at, |_, dice| dice.byte(), dice),
        2 => change(bytes, at, |byte, dice| byte.wrapping_add(dice.byte() % 35).wrapping_sub(17), dice),
        3 => drop(bytes.drain(at..end)),
        4 => {
            let piece = bytes.get(at..end).unwrap_or_default().to_vec();
            insert(bytes, at, &piece);
        }
        5 => {
            let piece: Vec<u8> = bytes.drain(at..end).collect();
            let to = dice.below(bytes.len() + 1);
            insert(bytes, to, &piece);
        }
        6 => number(bytes, at, dice),
        7 => insert(bytes, at, WORDS.get(dice.below(WORDS.len())).copied().unwrap_or_default()),
        8 => insert(bytes, at, words.get(dice.below(words.len())).map_or(&[], Vec::as_slice)),
        9 => {
            let from = dice.below(other.len());
            let piece = other.get(from..(from + 1 + dice.below(PIECE)).min(other.len())).unwrap_or_default();
            insert(bytes, at, piece);
        }
        10 => {
            bytes.truncate(at);
            let from = dice.below(other.len());
            bytes.extend_from_slice(other.get(from..).unwrap_or_default());
        }
        _ => {
            let repeated = vec![dice.byte(); 1 + dice.below(PIECE)];
            insert(bytes, at, &repeated);
        }
    }
}

fn change(bytes: &mut [u8], at: usize, to: impl Fn(u8, &mut Dice) -> u8, dice: &mut Dice) {
    if let Some(byte) = bytes.get_mut(at) {
        *byte = to(*byte, dice);
    }
}

fn insert(bytes: &mut Vec<u8>, at: usize, piece: &[u8]) {
    let rest = bytes.split_off(at.min(bytes.len()));
    bytes.extend_from_slice(piece);
    bytes.extend(rest);
}

/// Writes a number at its edge over what stands there, in one of the usual widths and orders.
fn number(bytes: &mut [u8], at: usize, dice: &mut Dice) {
    let edge = EDGES.get(dice.below(EDGES.len())).copied().unwrap_or(0).wrapping_add(dice.bits() % 3).wrapping_sub(1);
    let width = [1, 2, 4, 8].get(dice.below(4)).copied().unwrap_or(1);
    let mut written = edge.to_le_bytes().get(..width).unwrap_or_default().to_vec();
    if dice.below(2) == 0 {
        written.reverse();
    }
    bytes.iter_mut().skip(at).zip(written).for_each(|(to, from)| *to = from);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_changes_shortens_and_lengthens_and_keeps_to_the_bound() {
        let (mut dice, from) = (Dice::new(1), b"some bytes of an input that is no longer than this".as_slice());
        let all: Vec<Vec<u8>> =
            (0..2_000).map(|_| mutate(from, b"other", &[b"word".to_vec()], 90, &mut dice)).collect();
        assert!(all.iter().any(|bytes| bytes.len() < from.len()) && all.iter().any(|bytes| bytes.len() > from.len()));
        assert!(all.iter().all(|bytes| bytes.len() <= 90));
        assert!(all.iter().filter(|bytes| bytes.as_slice() == from).count() < 200, "it leaves most as they were");
        assert!(all.iter().any(|bytes| bytes.windows(4).any(|found| found == b"word")));
    }

    #[test]
    fn nothing_grows_from_nothing() {
        let mut dice = Dice::new(2);
        assert!((0..200).any(|_| !mutate(&[], &[], &[], 10, &mut dice).is_empty()));
    }
}
