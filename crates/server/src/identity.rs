//! Who is at the other end of a connection: taken from the one SPIFFE URI in its certificate.
//! Never reads the common name, never guesses, and never accepts two identities in one certificate.

use kith_domain::caller::Role;
use x509_parser::extensions::{GeneralName, ParsedExtension};
use x509_parser::prelude::{FromDer, X509Certificate};

/// Scheme of an identity, as the SPIFFE standard writes it.
const SCHEME: &str = "spiffe://";

/// Longest URI looked at (the SPIFFE standard's bound).
const URI_MAX_BYTES: usize = 2_048;

/// Shortest and longest organisation code: ODS codes have 3 to 6 characters, GSS codes 9.
const CODE_BYTES: std::ops::RangeInclusive<usize> = 3..=9;

/// The organisation and role that a verified certificate speaks for.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct PeerIdentity {
    /// ODS or GSS code in capitals, e.g. `R1H` or `E06000001`.
    pub organisation: String,
    /// What it may act as.
    pub role: Role,
}

/// Why a certificate gives no identity. Carries nothing of the certificate's content.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum IdentityError {
    /// The certificate is not readable.
    #[error("read the certificate")]
    Unreadable,
    /// There is no URI among the subject alternative names.
    #[error("find an identity: expected one URI in the certificate, found none")]
    Missing,
    /// There is more than one.
    #[error("choose an identity: expected one URI in the certificate, found several")]
    Several,
    /// The URI is not of the expected form.
    #[error("read the identity: expected spiffe://<trust domain>/org/<code>/role/<role>")]
    Malformed,
    /// The URI belongs to another trust domain.
    #[error("accept the identity: it is of another trust domain")]
    OtherTrustDomain,
    /// The chain is longer than any honest one.
    #[error("read the certificate's chain: expected at most 6 certificates and 16384 bytes")]
    ChainTooLong,
    /// The role is not one of the known ones.
    #[error("accept the identity: its role is not known")]
    UnknownRole,
}

impl PeerIdentity {
    /// The identity in a DER certificate that has already been verified.
    ///
    /// # Errors
    /// When there is not exactly one URI of the expected form, trust domain and role.
    pub fn from_certificate(der: &[u8], trust_domain: &str) -> Result<Self, IdentityError> {
        let (rest, certificate) = X509Certificate::from_der(der).map_err(|_| IdentityError::Unreadable)?;
        if !rest.is_empty() {
            return Err(IdentityError::Unreadable);
        }
        let mut uris = Vec::new();
        for extension in certificate.extensions() {
            if let ParsedExtension::SubjectAlternativeName(names) = extension.parsed_extension() {
                uris.extend(names.general_names.iter().filter_map(uri));
            }
        }
        match uris.as_slice() {
            [] => Err(IdentityError::Missing),
            [uri] => Self::from_uri(uri, trust_domain),
            [_, _, ..] => Err(IdentityError::Several),
        }
    }

    /// The identity that `spiffe://<trust_domain>/org/<CODE>/role/<role>` names.
    ///
    /// # Errors
    /// When the URI has another form, trust domain or an unknown role.
    pub fn from_uri(uri: &str, trust_domain: &str) -> Result<Self, IdentityError> {
        if uri.len() > URI_MAX_BYTES {
            return Err(IdentityError::Malformed);
        }
        let rest = uri.strip_prefix(SCHEME).ok_or(IdentityError::Malformed)?;
        let parts: Vec<&str> = rest.split('/').collect();
        let [domain, "org", code, "role", role] = parts.as_slice() else { return Err(IdentityError::Malformed) };
        if *domain != trust_domain {
            return Err(IdentityError::OtherTrustDomain);
        }
        if !is_organisation_code(code) {
            return Err(IdentityError::Malformed);
        }
        let role = Role::parse(role).ok_or(IdentityError::UnknownRole)?;
        Ok(Self { organisation: (*code).to_owned(), role })
    }

    /// The URI that names this identity in a certificate.
    pub fn to_uri(&self, trust_domain: &str) -> String {
        format!("{SCHEME}{trust_domain}/org/{}/role/{}", self.organisation, self.role)
    }
}

fn uri<'a>(name: &'a GeneralName<'a>) -> Option<&'a str> {
    if let GeneralName::URI(uri) = name { Some(*uri) } else { None }
}

/// Whether `code` has the form of an ODS or GSS code: 3 to 9 capitals and digits.
pub fn is_organisation_code(code: &str) -> bool {
    CODE_BYTES.contains(&code.len()) && code.bytes().all(|b| b.is_ascii_uppercase() || b.is_ascii_digit())
}

/// Whether `domain` has the form of a SPIFFE trust domain.
pub fn is_trust_domain(domain: &str) -> bool {
    let allowed = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || matches!(b, b'.' | b'-' | b'_');
    (1..=255).contains(&domain.len()) && domain.bytes().all(allowed)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn certificate(uris: &[&str], common_name: &str) -> Vec<u8> {
        let mut params = rcgen::CertificateParams::new([String::from("host.example")]).unwrap();
        params.distinguished_name.push(rcgen::DnType::CommonName, common_name);
        for uri in uris {
            params.subject_alt_names.push(rcgen::SanType::URI((*uri).try_into().unwrap()));
        }
        let key = rcgen::KeyPair::generate().unwrap();
        params.self_signed(&key).unwrap().der().to_vec()
    }

    fn read(uris: &[&str]) -> Result<PeerIdentity, IdentityError> {
        let common_name = "spiffe://kith.test/org/R1H/role/ed";
        PeerIdentity::from_certificate(&certificate(uris, common_name), "kith.test")
    }

    #[test]
    fn each_role_is_read_back() {
        for (role, _) in Role::WORDS {
            let identity = PeerIdentity { organisation: String::from("E06000001"), role };
            assert_eq!(read(&[&identity.to_uri("kith.test")]), Ok(identity));
        }
    }

    #[test]
    fn the_common_name_is_never_an_identity() {
        assert_eq!(read(&[]), Err(IdentityError::Missing));
    }

    #[test]
    fn two_uris_are_refused_even_when_equal() {
        let uri = "spiffe://kith.test/org/R1H/role/ed";
        assert_eq!(read(&[uri, uri]), Err(IdentityError::Several));
        assert_eq!(read(&[uri, "https://example.org/"]), Err(IdentityError::Several));
    }

    #[test]
    fn every_other_form_is_refused() {
        use IdentityError::{Malformed, OtherTrustDomain, UnknownRole};
        let code_of_a_kilobyte = format!("spiffe://kith.test/org/{}/role/ed", "A".repeat(1_024));
        for (uri, expected) in [
            ("spiffe://kith.test/org/R1H/role/admin", UnknownRole),
            ("spiffe://kith.test/org/R1H/role/ED", UnknownRole),
            ("spiffe://kith.test/org/R1H/role/", UnknownRole),
            ("spiffe://kith.test.evil/org/R1H/role/ed", OtherTrustDomain),
            ("spiffe://KITH.TEST/org/R1H/role/ed", OtherTrustDomain),
            ("spiffe://kith.test:443/org/R1H/role/ed", OtherTrustDomain),
            ("spiffe:///org/R1H/role/ed", OtherTrustDomain),
            ("spiffe://kith.test/org/r1h/role/ed", Malformed),
            ("spiffe://kith.test/org/R1H./role/ed", Malformed),
            ("spiffe://kith.test/org/R1%48/role/ed", Malformed),
            ("spiffe://kith.test/org//role/ed", Malformed),
            ("spiffe://kith.test/org/R1H/role/ed/", Malformed),
            ("spiffe://kith.test/org/R1H/role/ed/org/RJ1", Malformed),
            ("spiffe://kith.test/role/ed/org/R1H", Malformed),
            ("spiffe://kith.test/org/R1H", Malformed),
            ("SPIFFE://kith.test/org/R1H/role/ed", Malformed),
            ("https://kith.test/org/R1H/role/ed", Malformed),
            (&code_of_a_kilobyte, Malformed),
        ] {
            assert_eq!(read(&[uri]), Err(expected), "{uri}");
        }
        assert_eq!(read(&["spiffe://kith.test/org/R1H/role/ed?x"]), Err(UnknownRole));
    }

    #[test]
    fn bytes_that_are_no_certificate_are_refused() {
        assert_eq!(PeerIdentity::from_certificate(b"", "kith.test"), Err(IdentityError::Unreadable));
        let mut trailing = certificate(&["spiffe://kith.test/org/R1H/role/ed"], "x");
        trailing.push(0);
        assert_eq!(PeerIdentity::from_certificate(&trailing, "kith.test"), Err(IdentityError::Unreadable));
    }
}
