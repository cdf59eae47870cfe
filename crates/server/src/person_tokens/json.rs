//! JSON objects as tokens and key sets hold them. A name that stands twice is refused: of two values, two readers could take
//! one each.

use std::collections::BTreeMap;
use std::fmt;

use serde::de::{Deserialize, Deserializer, Error, MapAccess, Visitor};
use serde_json::Value;

/// The latest moment that a token may name, in seconds: the end of the year 9999. Beyond it nothing is computed.
const LAST_SECOND: i64 = 253_402_300_799;

/// The members of an object. It has no `Debug`: they are claims.
pub(super) struct Members(BTreeMap<String, Value>);

impl Members {
    /// Reads one object and nothing behind it.
    pub(super) fn read(bytes: &[u8]) -> Option<Self> {
        serde_json::from_slice(bytes).ok()
    }

    pub(super) fn has(&self, name: &str) -> bool {
        self.0.contains_key(name)
    }

    /// A member that is a text.
    pub(super) fn text(&self, name: &str) -> Option<&str> {
        self.0.get(name)?.as_str()
    }

    /// A member that is a whole number of seconds since 1970.
    pub(super) fn seconds(&self, name: &str) -> Option<i64> {
        self.0.get(name)?.as_i64().filter(|seconds| (0..=LAST_SECOND).contains(seconds))
    }

    /// Whether a member is this text, or a list of which this text is one.
    pub(super) fn names(&self, name: &str, text: &str) -> bool {
        let value = self.0.get(name);
        let among =
            value.and_then(Value::as_array).is_some_and(|list| list.iter().any(|one| one.as_str() == Some(text)));
        among || value.and_then(Value::as_str) == Some(text)
    }
}

impl<'de> Deserialize<'de> for Members {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_map(EachOnce)
    }
}

/// Takes each name once.
struct EachOnce;

impl<'de> Visitor<'de> for EachOnce {
    type Value = Members;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Members, A::Error> {
        let mut members = BTreeMap::new();
        while let Some((name, value)) = map.next_entry::<String, Value>()? {
            if members.insert(name, value).is_some() {
                return Err(A::Error::custom("a name stands twice"));
            }
        }
        Ok(Members(members))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_object_with_each_name_once_is_read_and_nothing_else() {
        for bad in ["", "{", "[]", "7", "{} ", "{}{}", r#"{"a":1,"a":1}"#, "{\"a\":\"\\ud800\"}", "\u{feff}{}"] {
            let read = Members::read(bad.as_bytes());
            // Space behind an object is JSON's own.
            assert_eq!(read.is_some(), bad == "{} ", "{bad}");
        }
        assert!(Members::read(&[b'{', b'"', 0xff, b'"', b':', b'1', b'}']).is_none());
        let deep = format!("{{\"a\":{}{}}}", "[".repeat(10_000), "]".repeat(10_000));
        assert!(Members::read(deep.as_bytes()).is_none());
    }

    #[test]
    fn members_are_what_they_are() {
        let read = Members::read(br#"{"t":"x","n":5,"big":9e99,"part":5.5,"less":-1,"far":253402300800,"l":["a",7]}"#);
        let members = read.unwrap();
        assert_eq!((members.text("t"), members.text("n"), members.text("none")), (Some("x"), None, None));
        assert_eq!(members.seconds("n"), Some(5));
        for none in ["t", "big", "part", "less", "far", "none"] {
            assert_eq!(members.seconds(none), None, "{none}");
        }
        assert!(members.names("l", "a") && members.names("t", "x") && members.has("l"));
        assert!(!members.names("l", "7") && !members.names("n", "5") && !members.names("none", "x"));
    }
}
