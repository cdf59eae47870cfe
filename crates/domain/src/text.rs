//! Short texts that callers supply: bounded, without control characters, and redacted in logs because they may embed an
//! identity.

use crate::as_text;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use std::fmt;
use std::sync::Arc;

/// Why a text is refused. No variant carries the text.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum TextError {
    /// Empty, or longer than allowed.
    #[error("a text of 1 to {max} characters is needed")]
    Length {
        /// Most characters allowed.
        max: usize,
    },
    /// A control, direction-changing or invisible character.
    #[error("control and direction-changing characters are not allowed")]
    Control,
}

/// Whether a text is short and of visible ASCII characters, as nearly all are: it passes every other check.
fn is_plain(text: &str, max: usize) -> bool {
    (1..=max).contains(&text.len())
        && text.bytes().all(|byte| matches!(byte, b' '..=b'~'))
        && text.bytes().any(|byte| byte != b' ')
}

fn check(text: &str, max: usize) -> Result<(), TextError> {
    if is_plain(text, max) {
        return Ok(());
    }
    let length = text.chars().take(max + 1).count();
    if length == 0 || length > max || text.trim().is_empty() {
        return Err(TextError::Length { max });
    }
    let hidden = |c: char| {
        c.is_control()
            || matches!(c, '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{2069}' | '\u{feff}')
    };
    if text.chars().any(hidden) { Err(TextError::Control) } else { Ok(()) }
}

macro_rules! text {
    ($(#[$doc:meta])* $name:ident, $max:literal, $held:ty) => {
        $(#[$doc])*
        #[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
        pub struct $name($held);

        impl $name {
            /// Most characters.
            pub const MAX: usize = $max;

            /// Takes a text of 1 to [`Self::MAX`] characters without control characters.
            ///
            /// # Errors
            /// [`TextError`], which never carries the text.
            pub fn parse(text: &str) -> Result<Self, TextError> {
                check(text, Self::MAX)?;
                Ok(Self(text.into()))
            }

            /// The text.
            #[must_use]
            pub fn as_str(&self) -> &str {
                &self.0
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

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(concat!(stringify!($name), "(redacted)"))
            }
        }
    };
}

text!(
    /// An organisation's own key for a person who has no NHS number yet.
    LocalKey, 64, Box<str>
);
text!(
    /// An organisation's own encounter id.
    EncounterId, 64, Box<str>
);
text!(
    /// An authority's own reference of a plan.
    PlanReference, 64, Box<str>
);
text!(
    /// An authority's own reference of a family.
    FamilyReference, 64, Box<str>
);
text!(
    /// A person's identifier in their organisation.
    UserId, 64, Box<str>
);
text!(
    /// A person's name or role, as shown to the next reader: held by many records and copied into every answer, so all
    /// of them share it.
    PersonText, 100, Arc<str>
);

text!(
    /// Why a shielded record is opened, in the opener's own words. They may name anybody, so they stand in the sealed audit
    /// alone.
    OpeningWords, 500, Box<str>
);
text!(
    /// Why an authority withholds what it holds of a child, in the words of the person who decides it. They may name anybody:
    /// the authority itself reads them when it looks again, and nobody else.
    WithholdingWords, 500, Box<str>
);

/// The code of a person's job role, as their organisation's staff directory has it: `R8000`, or `S8000:G8000:R8000`.
#[derive(Clone, PartialEq, Eq)]
pub struct RoleCode(Box<str>);

/// A role code that is none.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a role code of 1 to 20 letters, digits, colons, full stops and dashes is needed")]
pub struct RoleCodeError;

impl RoleCode {
    /// Most characters.
    pub const MAX: usize = 20;

    /// Takes a code of 1 to [`Self::MAX`] letters, digits, colons, full stops and dashes.
    ///
    /// # Errors
    /// [`RoleCodeError`], which does not carry the text.
    pub fn parse(text: &str) -> Result<Self, RoleCodeError> {
        let allowed = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b':' | b'.' | b'-');
        let whole = (1..=Self::MAX).contains(&text.len()) && text.bytes().all(allowed);
        if whole { Ok(Self(text.into())) } else { Err(RoleCodeError) }
    }

    /// The code.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for RoleCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("RoleCode(redacted)")
    }
}

impl Serialize for RoleCode {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.as_str())
    }
}

impl<'de> Deserialize<'de> for RoleCode {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        as_text::read(deserializer, Self::parse)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bounds_and_hidden_characters() {
        assert!(LocalKey::parse("A-1").is_ok());
        assert!(PersonText::parse("Zo\u{eb} O'Brien").is_ok());
        assert!(LocalKey::parse(&"x".repeat(64)).is_ok());
        for text in ["", "  ", "a\r\nb", "\u{1b}[31m", "a\u{202e}b", "a\u{200b}", "a\0b", "a\x7f", &"x".repeat(65)] {
            assert!(LocalKey::parse(text).is_err(), "{text:?}");
        }
        for code in ["R8000", "S8000:G8000:R8000", "a.b-c", "1"] {
            assert_eq!(RoleCode::parse(code).unwrap().as_str(), code);
        }
        for code in ["", "R 8000", "R8000\n", "R8000:R8000:R8000:R80", "R\u{e9}", "R_8", "R/8"] {
            assert!(RoleCode::parse(code).is_err(), "{code:?}");
        }
        assert_eq!(format!("{:?}", LocalKey::parse("9434765919").unwrap()), "LocalKey(redacted)");
    }
}
