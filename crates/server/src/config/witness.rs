//! The public key of a witness in the configuration. Never a log's key, which signs other things.

use kith_merkle::{KeyError, KeyKind, VerifierKey};
use serde::{Deserialize, Serialize};

/// A witness's public key, written as `kith-witness` prints it (C2SP signed-note: name, identifier and key, joined by plus signs).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct WitnessKey(pub VerifierKey);

impl TryFrom<String> for WitnessKey {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        let expected = "expected a witness's key as kith-witness prints it";
        let key: VerifierKey = text.parse().map_err(|error: KeyError| format!("{expected}: failed to {error}"))?;
        match key.kind() {
            KeyKind::Witness => Ok(Self(key)),
            KeyKind::Log => Err(format!("{expected}, found the key of a log")),
        }
    }
}

impl From<WitnessKey> for String {
    fn from(key: WitnessKey) -> Self {
        key.0.to_string()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_witness_key_is_read_and_written_as_it_stands_and_no_other_is() {
        let of = |kind| VerifierKey::new("witness.test/one", kind, [7; 32]).unwrap().to_string();
        let witness = of(KeyKind::Witness);
        let key = WitnessKey::try_from(witness.clone()).unwrap();
        assert_eq!(String::from(key), witness);
        let log = WitnessKey::try_from(of(KeyKind::Log)).unwrap_err();
        assert!(log.ends_with("found the key of a log"), "{log}");
        for odd in ["", "witness.test/one", &witness.replace("one", "two"), &format!("{witness} ")] {
            let told = WitnessKey::try_from(odd.to_owned()).unwrap_err();
            assert!(told.starts_with("expected a witness's key as kith-witness prints it: failed to read"), "{told}");
        }
    }
}
