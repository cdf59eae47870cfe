//! The public keys of an issuer: a set of JSON Web Keys (RFC 7517). Which algorithm a token must be signed with is a key's to
//! say and never a token's, and a secret that two sides share is no key here.

use std::collections::BTreeMap;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use ring::signature::{
    ECDSA_P256_SHA256_FIXED, ED25519, RSA_PKCS1_2048_8192_SHA256, RsaPublicKeyComponents, UnparsedPublicKey,
};
use serde::Deserialize;

use super::json::Members;

/// Most keys in a set: an issuer rotates a few.
const MOST_KEYS: usize = 64;
/// Longest key id, in bytes.
const KID_MAX_BYTES: usize = 256;
/// Bytes of a coordinate on P-256, and of an Ed25519 key.
const POINT_BYTES: usize = 32;
/// Bytes of an RSA modulus: 2,048 to 8,192 bits.
const MODULUS_BYTES: std::ops::RangeInclusive<usize> = 256..=1_024;
/// The one exponent of RSA keys that is taken: 65537.
const EXPONENT: [u8; 3] = [1, 0, 1];
/// Members that only a private key has.
const PRIVATE: [&str; 7] = ["d", "p", "q", "dp", "dq", "qi", "oth"];

/// The keys of an issuer by their ids.
pub(super) type Keys = BTreeMap<String, Key>;

/// A public key.
#[derive(Debug)]
pub(super) enum Key {
    /// P-256, as a point that is not compressed.
    Es256(Vec<u8>),
    /// Ed25519.
    EdDsa(Vec<u8>),
    /// RSA with PKCS #1 v1.5: modulus, with the one exponent.
    Rs256(Vec<u8>),
}

impl Key {
    /// What a token that this key signed must name as its algorithm.
    pub(super) fn algorithm(&self) -> &'static str {
        match self {
            Self::Es256(_) => "ES256",
            Self::EdDsa(_) => "EdDSA",
            Self::Rs256(_) => "RS256",
        }
    }

    /// The key itself: a point, or a modulus.
    pub(super) fn bytes(&self) -> &[u8] {
        match self {
            Self::Es256(bytes) | Self::EdDsa(bytes) | Self::Rs256(bytes) => bytes,
        }
    }

    /// Whether this key signed it.
    pub(super) fn has_signed(&self, signed: &[u8], signature: &[u8]) -> bool {
        let verified = match self {
            Self::Es256(point) => UnparsedPublicKey::new(&ECDSA_P256_SHA256_FIXED, point).verify(signed, signature),
            Self::EdDsa(point) => UnparsedPublicKey::new(&ED25519, point).verify(signed, signature),
            Self::Rs256(modulus) => {
                let key = RsaPublicKeyComponents { n: modulus.as_slice(), e: &EXPONENT[..] };
                key.verify(&RSA_PKCS1_2048_8192_SHA256, signed, signature)
            }
        };
        verified.is_ok()
    }
}

/// A set of keys as it is written. What else stands beside `keys` means nothing.
#[derive(Deserialize)]
struct Written {
    keys: Vec<Members>,
}

/// Reads a set of keys. Keys for another use, or of a kind that is not taken, are passed over; a set of which no key is left,
/// or that holds a secret, is refused.
///
/// # Errors
/// Everything that is wrong with it. No key is repeated.
pub(super) fn read(bytes: &[u8]) -> Result<Keys, Vec<String>> {
    let written: Written = serde_json::from_slice(bytes)
        .map_err(|error| vec![format!("expected a set of JSON Web Keys: line {}", error.line())])?;
    if written.keys.len() > MOST_KEYS {
        return Err(vec![format!("expected at most {MOST_KEYS} keys, found {}", written.keys.len())]);
    }
    let (mut keys, mut wrong) = (Keys::new(), Vec::new());
    for (number, members) in (1..).zip(&written.keys) {
        match key(members) {
            Ok(None) => {}
            Ok(Some((kid, _))) if keys.contains_key(&kid) => {
                wrong.push(format!("key {number}: expected a kid of its own"));
            }
            Ok(Some((kid, key))) => {
                keys.insert(kid, key);
            }
            Err(what) => wrong.push(format!("key {number}: {what}")),
        }
    }
    if keys.is_empty() && wrong.is_empty() {
        wrong.push(String::from("expected a key for ES256, EdDSA or RS256, found none"));
    }
    if wrong.is_empty() { Ok(keys) } else { Err(wrong) }
}

/// A key with its id; none when it is for another use or of another kind.
fn key(members: &Members) -> Result<Option<(String, Key)>, &'static str> {
    let kind = members.text("kty").ok_or("expected kty")?;
    if kind == "oct" {
        return Err("expected a public key, found a secret that both sides would hold");
    }
    if PRIVATE.iter().any(|name| members.has(name)) {
        return Err("expected a public key, found a private one: it is known to whoever reads this file");
    }
    if members.has("use") && members.text("use") != Some("sig") {
        return Ok(None);
    }
    if members.has("key_ops") && !members.names("key_ops", "verify") {
        return Ok(None);
    }
    let key = match (kind, members.text("crv")) {
        ("EC", Some("P-256")) => {
            let (x, y) = (point(members, "x")?, point(members, "y")?);
            Key::Es256([&[4][..], &x, &y].concat())
        }
        ("OKP", Some("Ed25519")) => Key::EdDsa(point(members, "x")?),
        ("RSA", _) => Key::Rs256(modulus(members)?),
        _ => return Ok(None),
    };
    if members.has("alg") && members.text("alg") != Some(key.algorithm()) {
        return Ok(None);
    }
    let kid = members.text("kid").filter(|kid| (1..=KID_MAX_BYTES).contains(&kid.len()));
    Ok(Some((kid.ok_or("expected a kid of 1 to 256 bytes")?.to_owned(), key)))
}

fn bytes(members: &Members, name: &str) -> Option<Vec<u8>> {
    URL_SAFE_NO_PAD.decode(members.text(name)?).ok()
}

fn point(members: &Members, name: &str) -> Result<Vec<u8>, &'static str> {
    let bytes = bytes(members, name).filter(|bytes| bytes.len() == POINT_BYTES);
    bytes.ok_or("expected coordinates of 32 bytes in base64url")
}

fn modulus(members: &Members) -> Result<Vec<u8>, &'static str> {
    if bytes(members, "e").as_deref() != Some(&EXPONENT[..]) {
        return Err("expected the exponent 65537 (AQAB)");
    }
    let modulus = bytes(members, "n").filter(|n| MODULUS_BYTES.contains(&n.len()) && n.first() != Some(&0));
    modulus.ok_or("expected a modulus of 2,048 to 8,192 bits in base64url")
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::{Value, json};

    const POINT: &str = "3xVTJ6ndoFv-lfFWcVoauIurXf7mY7xPUfdCsWnCuMc";

    fn ed(kid: &str) -> Value {
        json!({"kty": "OKP", "crv": "Ed25519", "kid": kid, "x": POINT})
    }

    fn with(name: &str, value: impl Into<Value>) -> Value {
        let mut key = ed("a");
        key[name] = value.into();
        key
    }

    fn of(keys: &[Value]) -> Result<Vec<(String, &'static str)>, String> {
        let read = read(json!({"keys": keys, "more": 1}).to_string().as_bytes());
        let read = read.map(|keys| keys.iter().map(|(kid, key)| (kid.clone(), key.algorithm())).collect());
        read.map_err(|reasons| reasons.join("; "))
    }

    #[test]
    fn keys_of_three_algorithms_are_taken_and_others_passed_over() {
        let keys = read(include_bytes!("vectors/keys.json")).unwrap();
        let found: Vec<_> = keys.iter().map(|(kid, key)| (kid.as_str(), key.algorithm())).collect();
        assert_eq!(found, [("ec", "ES256"), ("ed", "EdDSA"), ("rsa", "RS256")]);
        assert_eq!(of(&[ed("a"), with("use", "enc"), with("alg", "ES512"), with("crv", "X25519")]).unwrap().len(), 1);
        let for_what = |operation: &str| with("key_ops", json!([operation]));
        assert_eq!(of(&[for_what("encrypt"), for_what("verify"), for_what("sign")]).unwrap().len(), 1);
    }

    #[test]
    fn a_secret_or_what_is_no_key_is_refused() {
        let modulus = URL_SAFE_NO_PAD.encode([0xff; 256]);
        let rsa = |n: &str, e: &str| json!({"kty": "RSA", "kid": "r", "n": n, "e": e});
        assert_eq!(of(&[rsa(&modulus, "AQAB")]), Ok(vec![("r".to_owned(), "RS256")]));
        for (keys, reason) in [
            (vec![], "expected a key for ES256, EdDSA or RS256"),
            (vec![with("use", "enc")], "expected a key for ES256, EdDSA or RS256"),
            (vec![json!({"kty": "oct", "kid": "a", "k": "AAAA"})], "found a secret"),
            (vec![json!({"kty": "oct", "kid": "a", "use": "enc", "k": "AAAA"})], "found a secret"),
            (vec![with("d", POINT)], "found a private one"),
            (vec![ed("a"), ed("a")], "key 2: expected a kid of its own"),
            (vec![with("kid", json!(null))], "expected a kid"),
            (vec![with("kid", "k".repeat(257))], "expected a kid"),
            (vec![ed("")], "expected a kid"),
            (vec![with("x", format!("{POINT}="))], "expected coordinates"),
            (vec![with("x", "AAAA")], "expected coordinates"),
            (vec![json!({"kty": "EC", "crv": "P-256", "kid": "a", "x": POINT})], "expected coordinates"),
            (vec![with("kty", json!(7))], "expected kty"),
            (vec![rsa("AAAA", "AQAB")], "expected a modulus"),
            (vec![rsa(&URL_SAFE_NO_PAD.encode([0; 256]), "AQAB")], "expected a modulus"),
            (vec![rsa(&modulus, "Aw")], "expected the exponent"),
            ((0..65).map(|kid| ed(&kid.to_string())).collect(), "expected at most 64 keys"),
        ] {
            let found = of(&keys).unwrap_err();
            assert!(found.contains(reason) && !found.contains(POINT), "{reason}: {found}");
        }
        for bad in ["", "{}", "[]", r#"{"keys":{}}"#, r#"{"keys":[7]}"#, r#"{"keys":[{"kty":"OKP","kty":"EC"}]}"#] {
            assert!(read(bad.as_bytes()).is_err(), "{bad}");
        }
    }
}
