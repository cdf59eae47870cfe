//! Tokens for tests: signers, claims with one thing changed, and the table that trusts them.

use std::sync::Arc;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use kith_domain::codes::OdsCode;
use kith_domain::time::Moment;
use ring::signature::{Ed25519KeyPair, KeyPair};
use serde_json::{Value, json};
use tonic::metadata::{MetadataMap, MetadataValue};

use super::{PersonTokens, TOKEN_METADATA, Table, file};

pub(super) const ISSUER: &str = "https://id.example/r1h";
pub(super) const AUDIENCE: &str = "https://kith.example";
/// When tokens are issued, in seconds.
pub(super) const ISSUED: i64 = 1_790_000_000;
/// How long they count, in seconds.
pub(super) const LIFE: i64 = 600;

/// A moment so many milliseconds after tokens are issued.
pub(super) fn after_ms(ms: i64) -> Moment {
    Moment(ISSUED * 1_000 + ms)
}

pub(super) fn trust() -> OdsCode {
    OdsCode::parse("R1H").expect("a code")
}

pub(super) fn encoded(bytes: impl AsRef<[u8]>) -> String {
    URL_SAFE_NO_PAD.encode(bytes)
}

/// Who signs.
pub(super) struct Signer {
    pub(super) kid: String,
    pair: Ed25519KeyPair,
}

impl Signer {
    pub(super) fn new(seed: u8) -> Self {
        let pair = Ed25519KeyPair::from_seed_unchecked(&[seed; 32]).expect("a key");
        Self { kid: format!("key-{seed}"), pair }
    }

    pub(super) fn public(&self) -> &[u8] {
        self.pair.public_key().as_ref()
    }

    pub(super) fn header(&self) -> Value {
        json!({"alg": "EdDSA", "kid": self.kid, "typ": "JWT"})
    }

    pub(super) fn sign(&self, header: &str, claims: &str) -> String {
        let signed = format!("{}.{}", encoded(header), encoded(claims));
        let signature = encoded(self.pair.sign(signed.as_bytes()));
        format!("{signed}.{signature}")
    }

    /// A token as it should be, but for its claims.
    pub(super) fn token(&self, claims: &Value) -> String {
        self.sign(&self.header().to_string(), &claims.to_string())
    }

    fn key(&self) -> Value {
        json!({"kty": "OKP", "crv": "Ed25519", "kid": self.kid, "use": "sig", "x": encoded(self.public())})
    }
}

/// The claims of a good token.
pub(super) fn claims() -> Value {
    json!({
        "iss": ISSUER, "aud": AUDIENCE, "sub": "n1", "name": "Zebedee Nurse", "role_code": "R8000", "organisation": "R1H",
        "iat": ISSUED, "nbf": ISSUED, "exp": ISSUED + LIFE, "jti": "anything",
    })
}

/// The claims of a good token, with one of them changed.
pub(super) fn with(name: &str, value: impl Into<Value>) -> Value {
    let mut claims = claims();
    claims[name] = value.into();
    claims
}

/// The claims of a good token, without one of them.
pub(super) fn without(name: &str) -> Value {
    let mut claims = claims();
    claims.as_object_mut().expect("an object").remove(name).expect("a claim");
    claims
}

/// The set of keys of some signers.
pub(super) fn key_set(signers: &[&Signer]) -> String {
    json!({"keys": signers.iter().map(|signer| signer.key()).collect::<Vec<_>>()}).to_string()
}

/// How a list of one organisation begins.
pub(super) const BEGINNING: &str = "version = 1\nlisted = 1\n";

/// A list of one organisation.
pub(super) fn list(code: &str, required: bool) -> String {
    format!(
        "{BEGINNING}[[organisation]]\ncodes = [\"{code}\"]\nrequired = {required}\nissuer = \"{ISSUER}\"\n\
         audience = \"{AUDIENCE}\"\nkeys = \"keys.json\"\n"
    )
}

/// The table of such a list.
pub(super) fn table(required: bool, keys: &str) -> Arc<Table> {
    Arc::new(file::table(&list("R1H", required), |_| Ok(keys.to_owned())).expect("a table"))
}

/// The table in force by which the people of one trust, R1H, need a token.
pub(crate) fn needed_by_one_trust() -> Arc<PersonTokens> {
    let tokens = PersonTokens::default();
    tokens.put_in_force(table(true, &key_set(&[&Signer::new(1)])));
    Arc::new(tokens)
}

/// The metadata of a call with these values.
pub(super) fn metadata(values: &[&str]) -> MetadataMap {
    let mut metadata = MetadataMap::new();
    for value in values {
        let value = MetadataValue::try_from(value.as_bytes()).expect("a header's value");
        metadata.append(TOKEN_METADATA, value);
    }
    metadata
}
