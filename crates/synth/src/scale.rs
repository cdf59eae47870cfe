//! How large an England to write: a decimal held as whole millionths, so that every machine rounds alike.
//! Never a floating-point number.

use std::fmt;
use std::str::FromStr;

/// A share of England: 1 is the whole country. Between 0.0001 and 10, at most six decimals.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Scale(u64);

/// One whole England in millionths.
const WHOLE: u64 = 1_000_000;
/// Below this the rarest scenarios vanish altogether.
const SMALLEST: u64 = 100;
/// Above this the never-issued number range could run out.
const LARGEST: u64 = 10 * WHOLE;

/// Why a scale was refused.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
#[error("failed to read the scale: expected a decimal from 0.0001 to 10 with at most six decimals")]
pub struct ScaleError;

impl Scale {
    /// The count at this scale of something that England has `whole` of, rounded half up.
    pub(crate) fn of(self, whole: u64) -> u64 {
        (whole * self.0 + WHOLE / 2) / WHOLE
    }
}

impl FromStr for Scale {
    type Err = ScaleError;

    fn from_str(text: &str) -> Result<Self, ScaleError> {
        let (units, decimals) = text.split_once('.').unwrap_or((text, ""));
        let digits = |part: &str| part.bytes().all(|byte| byte.is_ascii_digit());
        if units.is_empty() || units.len() > 2 || decimals.len() > 6 || !digits(units) || !digits(decimals) {
            return Err(ScaleError);
        }
        let millionths = format!("{units}{decimals:0<6}").parse::<u64>().map_err(|_| ScaleError)?;
        if !(SMALLEST..=LARGEST).contains(&millionths) {
            return Err(ScaleError);
        }
        Ok(Self(millionths))
    }
}

impl fmt::Display for Scale {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let text = format!("{}.{:06}", self.0 / WHOLE, self.0 % WHOLE);
        out.write_str(text.trim_end_matches('0').trim_end_matches('.'))
    }
}

#[cfg(test)]
mod tests {
    use super::{Scale, ScaleError};

    #[test]
    fn decimals_are_exact() {
        let scale: Scale = "0.01".parse().unwrap();
        assert_eq!(scale.of(49_420), 494);
        assert_eq!(scale.to_string(), "0.01");
        assert_eq!("1".parse::<Scale>().unwrap().of(6_300_000), 6_300_000);
        assert_eq!("10".parse::<Scale>().unwrap().to_string(), "10");
    }

    #[test]
    fn anything_else_is_refused() {
        for text in ["", "0", "0.00001", "11", "-1", "1e3", ".5", "0.1234567", "one"] {
            assert_eq!(text.parse::<Scale>(), Err(ScaleError), "{text}");
        }
    }
}
