//! Codes of organisations, sites and local authorities: short texts of a fixed alphabet, kept inline.
//! Whether a code is known is the directory's business, not this module's.

use crate::as_text;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use std::fmt;

/// Longest code kept, in bytes: a GSS code has nine.
const CODE_BYTES: usize = 9;

/// Why a text is not a code.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a code has {min} to {max} capital letters and digits")]
pub struct CodeError {
    min: usize,
    max: usize,
}

fn parse(text: &str, min: usize, max: usize) -> Result<[u8; CODE_BYTES], CodeError> {
    let bytes = text.as_bytes();
    let known = bytes.iter().all(|b| b.is_ascii_uppercase() || b.is_ascii_digit());
    if bytes.len() < min || bytes.len() > max.min(CODE_BYTES) || !known {
        return Err(CodeError { min, max });
    }
    let mut code = [0; CODE_BYTES];
    code[..bytes.len()].copy_from_slice(bytes);
    Ok(code)
}

macro_rules! code {
    ($(#[$doc:meta])* $name:ident, $min:literal, $max:literal) => {
        $(#[$doc])*
        #[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
        pub struct $name([u8; CODE_BYTES]);

        impl $name {
            /// Parses a code: capital letters and digits only.
            ///
            /// # Errors
            /// [`CodeError`] when the length or a character is not a code's.
            pub fn parse(text: &str) -> Result<Self, CodeError> {
                parse(text, $min, $max).map(Self)
            }

            /// The code as text.
            #[must_use]
            pub fn as_str(&self) -> &str {
                let end = self.0.iter().position(|b| *b == 0).unwrap_or(CODE_BYTES);
                std::str::from_utf8(&self.0[..end]).unwrap_or_default()
            }
        }

        impl From<$name> for String {
            fn from(code: $name) -> Self {
                code.as_str().to_owned()
            }
        }

        impl Serialize for $name {
            fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.serialize_str(self.as_str())
            }
        }

        impl<'de> Deserialize<'de> for $name {
            fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                as_text::read(deserializer, Self::parse)
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(self.as_str())
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(self.as_str())
            }
        }
    };
}

code!(
    /// ODS code of a trust or another provider (three to six characters), or the code of another calling organisation.
    OdsCode, 3, 9
);
code!(
    /// ODS code of a hospital site, five to nine characters.
    SiteCode, 5, 9
);
code!(
    /// GSS code of a local authority with children's services, nine characters: E06000001.
    LaCode, 9, 9
);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parse_refuses_what_is_not_a_code() {
        assert_eq!(OdsCode::parse("R1H").unwrap().as_str(), "R1H");
        assert_eq!(LaCode::parse("E06000001").unwrap().to_string(), "E06000001");
        for text in ["", "R1", "r1h", "R1H.", "R%31H", "R1H\n", "R\u{ff11}H", &"R".repeat(1024)] {
            assert!(OdsCode::parse(text).is_err(), "{text:?}");
        }
        assert!(LaCode::parse("E0600000").is_err());
        assert!(SiteCode::parse("R1H0").is_err());
    }
}
