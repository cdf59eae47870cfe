//! A token taken apart: the compact form of RFC 7515 with three parts, and what its header may say. Every byte has one
//! spelling: padding, other alphabets and stray bits are refused.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;

use super::json::Members;

/// What the header may call a token's kind: JWT, or an access token (RFC 9068).
const KINDS: [&str; 4] = ["JWT", "application/JWT", "at+jwt", "application/at+jwt"];
/// Members of a header that change how the rest is read. None of them is known here, and what is critical and not known must
/// be refused (RFC 7515, 4.1.11).
const REFUSED: [&str; 3] = ["crit", "b64", "cty"];

/// A token of which nothing is verified yet. It has no `Debug`: it would be enough to be somebody.
pub(super) struct Jws<'a> {
    /// Which key is said to have signed it.
    pub(super) kid: String,
    /// By which algorithm, as it says; the key decides.
    pub(super) algorithm: String,
    /// What is signed.
    pub(super) signed: &'a str,
    /// The claims, not to be read before the signature is verified.
    pub(super) payload: Vec<u8>,
    /// The signature.
    pub(super) signature: Vec<u8>,
}

/// Takes a token apart.
pub(super) fn parse(token: &str) -> Option<Jws<'_>> {
    let decode = |part: &str| URL_SAFE_NO_PAD.decode(part).ok();
    let (signed, signature) = token.rsplit_once('.')?;
    let (header, payload) = signed.split_once('.')?;
    let (kid, algorithm) = header_of(&decode(header)?)?;
    Some(Jws { kid, algorithm, signed, payload: decode(payload)?, signature: decode(signature)? })
}

/// The key's id and the algorithm that a header names, when there is nothing in it that is not understood.
pub(super) fn header_of(bytes: &[u8]) -> Option<(String, String)> {
    let header = Members::read(bytes)?;
    if REFUSED.iter().any(|name| header.has(name)) {
        return None;
    }
    if header.has("typ") {
        let kind = header.text("typ")?;
        KINDS.iter().find(|known| known.eq_ignore_ascii_case(kind))?;
    }
    Some((header.text("kid")?.to_owned(), header.text("alg")?.to_owned()))
}
