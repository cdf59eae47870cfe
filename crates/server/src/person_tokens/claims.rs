//! What a token says once its signature is verified: whose it is, of which organisation, and when it counts. Held against the
//! organisation's terms; time is an argument.

use kith_domain::codes::OdsCode;
use kith_domain::proof::{PersonDigest, ProofSource, ProvenPerson, Unproven};
use kith_domain::time::Moment;
use ring::digest::{Context, SHA256};

use super::json::Members;

/// What an organisation's tokens must say.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Terms {
    /// Who issues them.
    pub(super) issuer: String,
    /// This service, as the issuer names it.
    pub(super) audience: String,
    /// The claim that holds the code of the person's job role.
    pub(super) role_code_claim: String,
    /// The claim that holds the code of their organisation.
    pub(super) organisation_claim: String,
    /// How far the issuer's clock and this one may differ, in seconds.
    pub(super) clock_skew_s: u32,
    /// The longest time for which a token may be made, in seconds.
    pub(super) max_lifetime_s: u32,
}

/// What is kept of a token: nobody can be named or proven by it.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) struct Claims {
    person: PersonDigest,
    organisation: OdsCode,
    not_before: i64,
    issued: i64,
    expires: i64,
    by: ProofSource,
}

impl Claims {
    /// Reads the claims of a token whose signature is verified, `by` which key.
    pub(super) fn read(payload: &[u8], terms: &Terms, by: ProofSource) -> Result<Self, Unproven> {
        let claims = Members::read(payload).ok_or(Unproven::Unreadable)?;
        if claims.text("iss") != Some(terms.issuer.as_str()) || !claims.names("aud", &terms.audience) {
            return Err(Unproven::NotTrusted);
        }
        let text = |name: &str| claims.text(name).ok_or(Unproven::Unreadable);
        let seconds = |name: &str| claims.seconds(name).ok_or(Unproven::Unreadable);
        let person = digest(text("sub")?, text("name")?, text(&terms.role_code_claim)?);
        let organisation = OdsCode::parse(text(&terms.organisation_claim)?).map_err(|_| Unproven::Unreadable)?;
        let (not_before, issued, expires) = (seconds("nbf")?, seconds("iat")?, seconds("exp")?);
        if !(1..=i64::from(terms.max_lifetime_s)).contains(&(expires - issued)) {
            return Err(Unproven::Lifetime);
        }
        Ok(Self { person, organisation, not_before, issued, expires, by })
    }

    /// Whom they prove now, for a call of this organisation.
    pub(super) fn prove(&self, organisation: OdsCode, terms: &Terms, now: Moment) -> Result<ProvenPerson, Unproven> {
        let skew = i64::from(terms.clock_skew_s);
        // A token counts from `nbf` on and before `exp` (RFC 7519, 4.1.4 and 4.1.5).
        let ms = |seconds: i64| Moment(seconds.saturating_mul(1_000));
        let until = ms(self.expires + skew);
        if now >= until {
            return Err(Unproven::Expired);
        }
        if now < ms(self.not_before - skew) || now < ms(self.issued - skew) {
            return Err(Unproven::NotYetValid);
        }
        let proven = ProvenPerson { person: self.person, until, by: self.by };
        if organisation == self.organisation { Ok(proven) } else { Err(Unproven::OtherOrganisation) }
    }
}

/// The digest of a person.
pub(super) fn digest(id: &str, name: &str, role_code: &str) -> PersonDigest {
    PersonDigest(sha256([id, name, role_code].map(str::as_bytes)))
}

/// SHA-256 of parts. Each stands behind its length, so that no two rows of parts can have one.
pub(super) fn sha256<const N: usize>(parts: [&[u8]; N]) -> [u8; 32] {
    let mut context = Context::new(&SHA256);
    for part in parts {
        context.update(&(part.len() as u64).to_be_bytes());
        context.update(part);
    }
    let mut sha256 = [0; 32];
    sha256.copy_from_slice(context.finish().as_ref());
    sha256
}
