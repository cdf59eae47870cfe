//! Blocks of headers as the transport encodes them (HPACK, RFC 7541): read for their status alone, and for where the table that
//! both sides keep has it. Never looks into any other field.

/// The name of a status in the static table.
const STATUS: usize = 8;

/// Where the newest entry of the other table stands: behind the static one.
const NEWEST: usize = 62;

/// `431` in the code of the table of Huffman, as every text is written.
const TOO_LARGE: &[u8] = &[0x69, 0x90, 0xff];

/// Finds the blocks whose status is 431, among all blocks of one connection in their order.
#[derive(Debug, Default)]
pub(super) struct Statuses {
    /// Where the table has that status, once it was sent. What the table has lost is never referred to again.
    at: Option<usize>,
}

/// A field of a block.
enum Field<'a> {
    /// Name and value stand in a table.
    Known(usize),
    /// A value whose name stands there, or is new: 0. It is put into the table.
    Added(usize, &'a [u8]),
    /// The same, and is not.
    Passed(usize, &'a [u8]),
    /// None: the table is to be larger or smaller.
    Resized,
}

impl Statuses {
    /// Whether the headers in this block say 431. A status stands before every other field.
    pub(super) fn is_cut(&mut self, mut block: &[u8]) -> bool {
        let (mut is_first, mut is_cut) = (true, false);
        while let Some(field) = take_field(&mut block) {
            let is_status = |name: usize, value: &[u8]| is_first && name == STATUS && value == TOO_LARGE;
            match field {
                Field::Resized => continue,
                Field::Known(at) => is_cut |= is_first && self.at == Some(at),
                Field::Passed(name, value) => is_cut |= is_status(name, value),
                Field::Added(name, value) if is_status(name, value) => {
                    self.at = Some(NEWEST);
                    is_cut = true;
                }
                // It moves on all that came before it.
                Field::Added(_, _) => self.at = self.at.map(|at| at.saturating_add(1)),
            }
            is_first = false;
        }
        is_cut
    }
}

/// The next field; nothing at the end, or where the block is none.
fn take_field<'a>(block: &mut &'a [u8]) -> Option<Field<'a>> {
    let first = *block.first()?;
    if first & 0x80 != 0 {
        return take_integer(block, 7).map(Field::Known);
    }
    if first & 0xe0 == 0x20 {
        return take_integer(block, 5).map(|_| Field::Resized);
    }
    let is_added = first & 0x40 != 0;
    let name = take_integer(block, if is_added { 6 } else { 4 })?;
    if name == 0 {
        take_text(block)?;
    }
    let value = take_text(block)?;
    Some(if is_added { Field::Added(name, value) } else { Field::Passed(name, value) })
}

/// An integer in so many bits of its first byte, and in more bytes where they are not enough (RFC 7541, section 5.1).
fn take_integer(block: &mut &[u8], bits: u32) -> Option<usize> {
    let (first, mut rest) = block.split_first()?;
    let most = (1_usize << bits) - 1;
    let mut value = usize::from(*first) & most;
    let mut shift = 0_u32;
    let mut goes_on = value == most;
    while goes_on {
        let (byte, behind) = rest.split_first()?;
        let part = usize::from(byte & 0x7f).checked_mul(1_usize.checked_shl(shift)?)?;
        value = value.checked_add(part)?;
        goes_on = byte & 0x80 != 0;
        shift += 7;
        rest = behind;
    }
    *block = rest;
    Some(value)
}

/// A text, as it is written.
fn take_text<'a>(block: &mut &'a [u8]) -> Option<&'a [u8]> {
    let length = take_integer(block, 7)?;
    let (text, rest) = block.split_at_checked(length)?;
    *block = rest;
    Some(text)
}
