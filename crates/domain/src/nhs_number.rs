//! The NHS number: parsed once into a type that cannot be wrong. It never shows itself in a log.

use serde::{Deserialize, Serialize};
use std::fmt;

/// A valid ten-digit NHS number. Its `Debug` is redacted; [`NhsNumber::digits`] is the only way to the number.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "u64", into = "u64")]
pub struct NhsNumber(u64);

/// Why a text is not an NHS number. No variant carries the text.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum NhsNumberError {
    /// A character other than 0-9, space or dash, other scripts' digits included.
    #[error("an NHS number has only the digits 0 to 9, spaces and dashes")]
    NotDigits,
    /// Not ten digits.
    #[error("an NHS number has ten digits, found {found}")]
    Length {
        /// Digits found.
        found: usize,
    },
    /// All ten digits are equal.
    #[error("ten equal digits are not an NHS number")]
    EqualDigits,
    /// The last digit is not the modulus-11 check digit of the first nine.
    #[error("the check digit does not match: one of the digits is mistyped")]
    CheckDigit,
}

impl NhsNumber {
    /// Longest text looked at, in bytes: ten digits with a separator after each, and some room.
    pub const MAX_TEXT_BYTES: usize = 32;

    /// Parses a text; spaces and dashes are removed.
    ///
    /// # Errors
    /// [`NhsNumberError`], which never carries the text.
    pub fn parse(text: &str) -> Result<Self, NhsNumberError> {
        let mut value = 0_u64;
        let mut found = 0_usize;
        if text.len() > Self::MAX_TEXT_BYTES {
            return Err(NhsNumberError::Length { found: text.len() });
        }
        for byte in text.bytes() {
            match byte {
                b'0'..=b'9' => {
                    found += 1;
                    value = value.wrapping_mul(10).wrapping_add(u64::from(byte - b'0'));
                }
                b' ' | b'-' => {}
                _ => return Err(NhsNumberError::NotDigits),
            }
        }
        if found != 10 {
            return Err(NhsNumberError::Length { found });
        }
        Self::try_from(value)
    }

    /// The number whose first nine digits are `first_nine`, or `None` when its check digit would be 10, when it would be
    /// ten equal digits, or when `first_nine` has more than nine digits.
    #[must_use]
    pub fn from_first_nine(first_nine: u32) -> Option<Self> {
        let nine = u64::from(first_nine);
        if nine > 999_999_999 {
            return None;
        }
        let check = check_digit(nine)?;
        Self::try_from(nine * 10 + check).ok()
    }

    /// The ten digits, leading zeros included.
    #[must_use]
    pub fn digits(self) -> String {
        format!("{:010}", self.0)
    }

    /// The number as an integer, for keys.
    #[must_use]
    pub fn value(self) -> u64 {
        self.0
    }
}

/// Modulus-11 check digit of nine digits, weights 10 to 2; `None` when it is 10.
fn check_digit(nine: u64) -> Option<u64> {
    let mut rest = nine;
    let mut sum = 0;
    for weight in 2..=10_u64 {
        sum += (rest % 10) * weight;
        rest /= 10;
    }
    match 11 - sum % 11 {
        11 => Some(0),
        10 => None,
        digit => Some(digit),
    }
}

impl TryFrom<u64> for NhsNumber {
    type Error = NhsNumberError;

    fn try_from(value: u64) -> Result<Self, Self::Error> {
        if value > 9_999_999_999 {
            return Err(NhsNumberError::Length { found: 11 });
        }
        if value.is_multiple_of(1_111_111_111) {
            return Err(NhsNumberError::EqualDigits);
        }
        if check_digit(value / 10) != Some(value % 10) {
            return Err(NhsNumberError::CheckDigit);
        }
        Ok(Self(value))
    }
}

impl From<NhsNumber> for u64 {
    fn from(number: NhsNumber) -> Self {
        number.0
    }
}

impl fmt::Debug for NhsNumber {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("NhsNumber(redacted)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn published_example_and_separators() {
        for text in ["9434765919", "943 476 5919", "943-476-5919"] {
            assert_eq!(NhsNumber::parse(text).unwrap().digits(), "9434765919");
        }
    }

    #[test]
    fn refusals_say_why() {
        use NhsNumberError::{CheckDigit, EqualDigits, Length, NotDigits};
        let cases = [
            ("9434765918", CheckDigit),
            ("943476591", Length { found: 9 }),
            ("94347659190", Length { found: 11 }),
            ("", Length { found: 0 }),
            ("1111111111", EqualDigits),
            ("0000000000", EqualDigits),
            ("\u{ff19}434765919", NotDigits),
            ("\u{0669}434765919", NotDigits),
            ("943476591\0", NotDigits),
            ("94347\u{200b}65919", NotDigits),
        ];
        for (text, expected) in cases {
            assert_eq!(NhsNumber::parse(text), Err(expected), "{text:?}");
        }
        assert!(NhsNumber::parse(&"9".repeat(1000)).is_err());
    }

    #[test]
    fn one_wrong_digit_and_swapped_neighbours_are_caught() {
        let good = NhsNumber::from_first_nine(999_000_001).unwrap().digits();
        for position in 0..10 {
            for digit in b'0'..=b'9' {
                let mut text = good.clone().into_bytes();
                if text[position] == digit {
                    continue;
                }
                text[position] = digit;
                assert!(NhsNumber::parse(std::str::from_utf8(&text).unwrap()).is_err());
            }
        }
    }

    #[test]
    fn check_value_ten_has_no_number() {
        let missing = (999_000_000..999_000_100).filter(|n| NhsNumber::from_first_nine(*n).is_none()).count();
        assert!((5..15).contains(&missing), "about one in eleven, found {missing}");
    }

    #[test]
    fn debug_shows_no_digit() {
        let shown = format!("{:?}", NhsNumber::parse("9434765919").unwrap());
        assert!(!shown.chars().any(|c| c.is_ascii_digit()));
    }
}
