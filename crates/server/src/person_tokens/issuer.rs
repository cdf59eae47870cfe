//! One issuer of tokens as an organisation's entry names it: its keys, its terms, and the tokens that it proved lately.

use std::collections::BTreeSet;
use std::fmt;
use std::sync::{Mutex, MutexGuard, PoisonError};

use kith_domain::codes::OdsCode;
use kith_domain::proof::{ProofSource, ProvenPerson, Unproven};
use kith_domain::time::Moment;

use super::claims::{Claims, Terms, sha256};
use super::jws;
use super::keys::{Key, Keys};
use super::known::{Known, TokenId};

/// Longest token read, in bytes. One with a dozen claims, signed with RSA, has about 1,200; beside it the headers of a call must
/// find room within `limits.max_header_bytes`.
pub(super) const TOKEN_MAX_BYTES: usize = 8_192;

/// An issuer.
pub(crate) struct Issuer {
    required: bool,
    terms: Terms,
    keys: Keys,
    /// What each of the keys proves by.
    sources: BTreeSet<ProofSource>,
    known: Mutex<Known>,
}

impl Issuer {
    pub(super) fn new(required: bool, terms: Terms, keys: Keys, generation: usize) -> Self {
        let sources = keys.values().map(|key| source(key, &terms)).collect();
        Self { required, terms, keys, sources, known: Mutex::new(Known::new(generation)) }
    }

    /// Whether nothing is done for this organisation's people without a token.
    pub(super) fn is_required(&self) -> bool {
        self.required
    }

    /// Whether what somebody was proven by, by this issuer or by the one before it, would prove them now.
    pub(super) fn proves_by(&self, by: ProofSource) -> bool {
        self.sources.contains(&by)
    }

    fn known(&self) -> MutexGuard<'_, Known> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// How many tokens are kept.
    #[cfg(test)]
    pub(super) fn kept(&self) -> usize {
        self.known().len()
    }

    /// Whom a token proves, for a call of this organisation.
    pub(super) fn prove(&self, token: &str, organisation: OdsCode, now: Moment) -> Result<ProvenPerson, Unproven> {
        if token.len() > TOKEN_MAX_BYTES {
            return Err(Unproven::Unreadable);
        }
        let id = TokenId::of(token);
        let known = self.known().get(id);
        if let Some(claims) = known {
            return claims.prove(organisation, &self.terms, now);
        }
        let claims = self.verify(token)?;
        let proven = claims.prove(organisation, &self.terms, now)?;
        self.known().insert(id, claims);
        Ok(proven)
    }

    /// The claims of a token that a key of this issuer signed, for this service.
    fn verify(&self, token: &str) -> Result<Claims, Unproven> {
        let jws = jws::parse(token).ok_or(Unproven::Unreadable)?;
        let key = self.keys.get(&jws.kid).ok_or(Unproven::NotTrusted)?;
        if jws.algorithm != key.algorithm() || !key.has_signed(jws.signed.as_bytes(), &jws.signature) {
            return Err(Unproven::NotTrusted);
        }
        Claims::read(&jws.payload, &self.terms, source(key, &self.terms))
    }
}

/// What a key proves by where it is trusted under these terms. How long tokens may be, and how far clocks may differ, is not of
/// it: a token that stood under those counts until its time is over.
fn source(key: &Key, terms: &Terms) -> ProofSource {
    let Terms { issuer, audience, role_code_claim, organisation_claim, clock_skew_s: _, max_lifetime_s: _ } = terms;
    let [issuer, audience] = [issuer, audience].map(String::as_bytes);
    let [role_code, organisation] = [role_code_claim, organisation_claim].map(String::as_bytes);
    ProofSource(sha256([issuer, audience, role_code, organisation, key.algorithm().as_bytes(), key.bytes()]))
}

impl fmt::Debug for Issuer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { required, terms, keys, sources: _, known: _ } = self;
        let kept = self.known().len();
        f.debug_struct("Issuer")
            .field("required", required)
            .field("terms", terms)
            .field("keys", &keys.len())
            .field("kept", &kept)
            .finish()
    }
}
