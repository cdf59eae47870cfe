//! The parts that a packed record is made of: numbers of as few bytes as they need, moments, days, texts, registers and
//! values held in tables. Writing never fails; reading gives `None` for bytes that writing never makes.

use super::tables::{Code, Tables};
use crate::interned::Interned;
use kith_domain::plan::Register;
use kith_domain::time::{Day, Moment};

/// Moments are counted from 2027-01-01T00:00:00Z, so that those of the years around it are short.
const MOMENT_ZERO: i64 = 1_798_761_600_000;
/// Days are counted from 2018-01-01.
const DAY_ZERO: i64 = 17_532;
const MS_PER_DAY: i64 = 24 * 60 * 60 * 1000;
/// Units of a span, in milliseconds; the code of one is its place, and a code beyond them means eight plain bytes.
const UNITS: [i64; 3] = [1, 1_000, 60_000];
const PLAIN: u64 = 3;
/// Longest run of digits written as a number.
const MAX_DIGITS: usize = 18;
/// Bits of a text's head that say how many digits it ends with.
const DIGIT_BITS: u32 = 5;
/// Longest text with digits at its end: any text of the domain is shorter.
const MAX_TEXT_BYTES: usize = 512;
/// How a register's version is written: it is the expected one, it is zero, or it follows.
const EXPECTED: u8 = 0;
const ZERO: u8 = 1;
const FOLLOWS: u8 = 2;

fn zigzag(value: i64) -> u64 {
    ((value << 1) ^ (value >> 63)).cast_unsigned()
}

fn unzigzag(value: u64) -> i64 {
    (value >> 1).cast_signed() ^ -(value & 1).cast_signed()
}

/// Days since 1970-01-01.
fn days(day: Day) -> i64 {
    day.utc_start().0 / MS_PER_DAY
}

/// Writes a record.
pub(super) struct Writer<'a> {
    pub(super) bytes: Vec<u8>,
    pub(super) tables: &'a Tables,
    /// The last birth date written: a child has one, told by many.
    born: Option<Day>,
}

impl<'a> Writer<'a> {
    pub(super) fn new(tables: &'a Tables) -> Self {
        Self { bytes: Vec::with_capacity(64), tables, born: None }
    }

    pub(super) fn byte(&mut self, byte: u8) {
        self.bytes.push(byte);
    }

    /// Seven bits in each byte, the least first.
    pub(super) fn int(&mut self, mut value: u64) {
        while value > 0x7f {
            self.bytes.push((value & 0x7f) as u8 | 0x80);
            value >>= 7;
        }
        self.bytes.push(value as u8);
    }

    pub(super) fn length(&mut self, length: usize) {
        self.int(length as u64);
    }

    pub(super) fn moment(&mut self, moment: Moment) {
        self.span(moment, Moment(MOMENT_ZERO));
    }

    /// A moment as its distance from another one.
    pub(super) fn span(&mut self, moment: Moment, from: Moment) {
        let span = moment.0.wrapping_sub(from.0);
        let unit = UNITS.iter().rposition(|unit| span % unit == 0).unwrap_or(0);
        let value = zigzag(span / UNITS[unit]);
        if value >> 62 == 0 {
            self.int(value << 2 | unit as u64);
        } else {
            self.int(PLAIN);
            self.bytes.extend(span.to_le_bytes());
        }
    }

    pub(super) fn day(&mut self, day: Day) {
        self.int(zigzag(days(day) - DAY_ZERO));
    }

    /// A birth date: none, the last one again, or another.
    pub(super) fn born(&mut self, born: Option<Day>) {
        match born {
            None => self.int(0),
            Some(_) if born == self.born => self.int(1),
            Some(day) => {
                self.born = born;
                self.int(2 + zigzag(days(day) - DAY_ZERO));
            }
        }
    }

    /// A text; digits at its end as a number.
    pub(super) fn text(&mut self, text: &str) {
        let digits = text.bytes().rev().take(MAX_DIGITS).take_while(u8::is_ascii_digit).count();
        let (prefix, number) = text.split_at(text.len() - digits);
        self.length(prefix.len() << DIGIT_BITS | digits);
        self.bytes.extend(prefix.as_bytes());
        if digits > 0 {
            self.int(number.bytes().fold(0, |value, digit| value * 10 + u64::from(digit - b'0')));
        }
    }

    /// A value by its number in a table, or `whole` where the table has no room for it.
    pub(super) fn interned<T>(&mut self, table: &Interned<T>, value: &T, whole: impl FnOnce(&mut Self, &T))
    where
        T: std::hash::Hash + Eq + Clone,
    {
        match table.number(value) {
            Some(number) => self.int(u64::from(number) + 1),
            None => {
                self.int(0);
                whole(self, value);
            }
        }
    }

    pub(super) fn code<C: Code>(&mut self, code: C) {
        self.interned(C::table(self.tables), &code, |out, code| out.text(code.text()));
    }

    /// A register whose version is likely `expected`.
    pub(super) fn register<T>(&mut self, register: &Register<T>, expected: u64, value: impl FnOnce(&mut Self, &T)) {
        let version = register.version();
        let how = match version {
            _ if version == expected => EXPECTED,
            0 => ZERO,
            _ => FOLLOWS,
        };
        self.byte(how << 1 | u8::from(register.get().is_some()));
        if how == FOLLOWS {
            self.int(version);
        }
        if let Some(held) = register.get() {
            value(self, held);
        }
    }
}

/// Reads what [`Writer`] has written.
pub(super) struct Reader<'a> {
    rest: &'a [u8],
    pub(super) tables: &'a Tables,
    born: Option<Day>,
}

impl<'a> Reader<'a> {
    pub(super) fn new(bytes: &'a [u8], tables: &'a Tables) -> Self {
        Self { rest: bytes, tables, born: None }
    }

    pub(super) fn is_at_end(&self) -> bool {
        self.rest.is_empty()
    }

    pub(super) fn byte(&mut self) -> Option<u8> {
        let (byte, rest) = self.rest.split_first()?;
        self.rest = rest;
        Some(*byte)
    }

    pub(super) fn int(&mut self) -> Option<u64> {
        let mut value = 0;
        for shift in (0..u64::BITS).step_by(7) {
            let byte = self.byte()?;
            value |= u64::from(byte & 0x7f) << shift;
            if byte < 0x80 {
                return Some(value);
            }
        }
        None
    }

    fn bytes(&mut self, length: usize) -> Option<&'a [u8]> {
        let (bytes, rest) = self.rest.split_at_checked(length)?;
        self.rest = rest;
        Some(bytes)
    }

    /// A length of a list: never more than there are bytes left.
    pub(super) fn length(&mut self) -> Option<usize> {
        let length = usize::try_from(self.int()?).ok()?;
        (length <= self.rest.len()).then_some(length)
    }

    /// A list, in memory of just its size.
    pub(super) fn list<T>(&mut self, length: usize, mut one: impl FnMut(&mut Self) -> Option<T>) -> Option<Vec<T>> {
        let mut list = Vec::with_capacity(length.min(self.rest.len()));
        for _ in 0..length {
            list.push(one(self)?);
        }
        Some(list)
    }

    pub(super) fn moment(&mut self) -> Option<Moment> {
        self.span(Moment(MOMENT_ZERO))
    }

    pub(super) fn span(&mut self, from: Moment) -> Option<Moment> {
        let value = self.int()?;
        let span = match UNITS.get((value & 3) as usize) {
            Some(unit) => unzigzag(value >> 2) * unit,
            None => i64::from_le_bytes(self.bytes(8)?.try_into().ok()?),
        };
        Some(Moment(from.0.wrapping_add(span)))
    }

    pub(super) fn day(&mut self) -> Option<Day> {
        let value = self.int()?;
        Some(day_of(value))
    }

    pub(super) fn born(&mut self) -> Option<Option<Day>> {
        match self.int()? {
            0 => return Some(None),
            1 => {}
            day => self.born = Some(day_of(day - 2)),
        }
        Some(self.born)
    }

    pub(super) fn text<T>(&mut self, parse: impl FnOnce(&str) -> Option<T>) -> Option<T> {
        let head = usize::try_from(self.int()?).ok()?;
        let (length, digits) = (head >> DIGIT_BITS, head & ((1 << DIGIT_BITS) - 1));
        let prefix = self.bytes(length)?;
        if digits == 0 {
            return parse(std::str::from_utf8(prefix).ok()?);
        }
        let mut number = self.int()?;
        let mut text = [0; MAX_TEXT_BYTES];
        let text = text.get_mut(..length + digits)?;
        text[..length].copy_from_slice(prefix);
        for place in text[length..].iter_mut().rev() {
            *place = b'0' + (number % 10) as u8;
            number /= 10;
        }
        parse(std::str::from_utf8(text).ok()?)
    }

    pub(super) fn interned<T>(&mut self, table: &Interned<T>, whole: impl FnOnce(&mut Self) -> Option<T>) -> Option<T>
    where
        T: std::hash::Hash + Eq + Clone,
    {
        match self.int()? {
            0 => whole(self),
            number => table.get(u32::try_from(number - 1).ok()?).cloned(),
        }
    }

    pub(super) fn code<C: Code>(&mut self) -> Option<C> {
        self.interned(C::table(self.tables), |bytes| bytes.text(C::of_text))
    }

    pub(super) fn register<T>(
        &mut self,
        expected: u64,
        value: impl FnOnce(&mut Self) -> Option<T>,
    ) -> Option<Register<T>> {
        let head = self.byte()?;
        let version = match head >> 1 {
            EXPECTED => expected,
            ZERO => 0,
            FOLLOWS => self.int()?,
            _ => return None,
        };
        let held = if head & 1 == 1 { Some(value(self)?) } else { None };
        Some(Register::held(version, held))
    }
}

/// Days that writing never makes end at the calendar's.
fn day_of(value: u64) -> Day {
    Moment(unzigzag(value).saturating_add(DAY_ZERO).saturating_mul(MS_PER_DAY)).utc_day()
}
