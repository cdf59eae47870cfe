//! Whether the person behind a call is proven, beyond what the call says of them. Who proves and how is none of this crate's
//! business: it knows what came of it, and that nothing is done for somebody who should be proven and is not.

use crate::time::Moment;
use std::fmt;

/// What a call proves of the person behind it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PersonProof {
    /// Their organisation is not asked for a proof: the person is whom the request names.
    NotAsked,
    /// Somebody is proven; the request must name the same person.
    Proven(ProvenPerson),
    /// A proof was needed, or one was given that does not stand.
    Unproven(Unproven),
}

impl PersonProof {
    /// Whether it proves anybody; whether that is whom the request names, and for how long, is asked apart.
    #[must_use]
    pub fn is_proven(self) -> bool {
        matches!(self, Self::Proven(_))
    }
}

/// Who is proven, and for how long: what goes on for longer than its call's beginning must look again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ProvenPerson {
    /// Who.
    pub person: PersonDigest,
    /// From this moment on they are not proven any more.
    pub until: Moment,
    /// By what: what goes on has to ask whether that still proves anybody.
    pub by: ProofSource,
}

/// By which key, trusted for what, somebody is proven. It stands for both where it is asked whether they still count, and is no
/// secret.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct ProofSource(pub [u8; 32]);

/// SHA-256 of the identifier, name and role code of a person. It stands for them where two tellings of one person are compared.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct PersonDigest(pub [u8; 32]);

impl fmt::Debug for PersonDigest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("PersonDigest(redacted)")
    }
}

/// Why a person is not proven. It says nothing of any child.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Unproven {
    /// The organisation's people need a token, and there is none.
    #[error("this organisation's people are proven by a token, and none was sent")]
    Missing,
    /// What was sent is no token that this service reads.
    #[error("the person's token cannot be read")]
    Unreadable,
    /// Not signed by a key of the organisation's issuer, or not issued by it for this service.
    #[error("the person's token is not one of this organisation's issuer for this service")]
    NotTrusted,
    /// Its time has passed.
    #[error("the person's token has expired")]
    Expired,
    /// Its time has not come.
    #[error("the person's token does not count yet")]
    NotYetValid,
    /// Its time is longer than is allowed, or none at all.
    #[error("the person's token is made for a longer time than is allowed, or for none")]
    Lifetime,
    /// It proves another person than the request names.
    #[error("the person's token is another person's than the request names")]
    OtherPerson,
    /// It proves a person of another organisation than the certificate.
    #[error("the person's token is of another organisation than the certificate")]
    OtherOrganisation,
}

impl Unproven {
    /// Every reason.
    pub const ALL: [Self; 8] = [
        Self::Missing,
        Self::Unreadable,
        Self::NotTrusted,
        Self::Expired,
        Self::NotYetValid,
        Self::Lifetime,
        Self::OtherPerson,
        Self::OtherOrganisation,
    ];

    /// Stable, UPPER_SNAKE.
    #[must_use]
    pub fn reason(self) -> &'static str {
        match self {
            Self::Missing => "PERSON_TOKEN_MISSING",
            Self::Unreadable => "PERSON_TOKEN_UNREADABLE",
            Self::NotTrusted => "PERSON_TOKEN_NOT_TRUSTED",
            Self::Expired => "PERSON_TOKEN_EXPIRED",
            Self::NotYetValid => "PERSON_TOKEN_NOT_YET_VALID",
            Self::Lifetime => "PERSON_TOKEN_LIFETIME",
            Self::OtherPerson => "PERSON_TOKEN_OTHER_PERSON",
            Self::OtherOrganisation => "PERSON_TOKEN_OTHER_ORGANISATION",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::refusal_code::RefusalCode;

    #[test]
    fn every_reason_has_a_code_in_the_audit_and_one_beginning() {
        for why in Unproven::ALL {
            assert!(RefusalCode::is_listed(why.reason()), "{}", why.reason());
            assert!(why.reason().starts_with("PERSON_TOKEN_"), "{}", why.reason());
        }
    }

    #[test]
    fn a_digest_tells_nobody_whose_it_is() {
        let by = ProofSource([1; 32]);
        let proven = PersonProof::Proven(ProvenPerson { person: PersonDigest([7; 32]), until: Moment(1), by });
        let shown = format!("{proven:?}");
        assert!(shown.contains("PersonDigest(redacted)") && !shown.contains('7'), "{shown}");
    }

    #[test]
    fn nobody_is_proven_where_no_proof_was_asked_for_or_none_stands() {
        let proven = ProvenPerson { person: PersonDigest([7; 32]), until: Moment(1), by: ProofSource([1; 32]) };
        assert!(PersonProof::Proven(proven).is_proven() && !PersonProof::NotAsked.is_proven());
        assert!(Unproven::ALL.into_iter().all(|why| !PersonProof::Unproven(why).is_proven()));
    }
}
