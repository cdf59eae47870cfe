//! Who is at the other end of a connection: taken from the one SPIFFE URI in its certificate.
//! Never reads the common name, never guesses, and never accepts two identities in one certificate.

use kith_domain::caller::Role;
use x509_parser::oid_registry::OID_X509_EXT_SUBJECT_ALT_NAME;
use x509_parser::prelude::{FromDer, X509Certificate, X509Extension};

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
        let of_names = |found: &&X509Extension<'_>| found.oid == OID_X509_EXT_SUBJECT_ALT_NAME;
        let mut names = certificate.extensions().iter().filter(of_names);
        let first = names.next().ok_or(IdentityError::Missing)?;
        if names.next().is_some() {
            return Err(IdentityError::Several);
        }
        let uris = uris(first.value).ok_or(IdentityError::Unreadable)?;
        match uris.as_slice() {
            [] => Err(IdentityError::Missing),
            [uri] => Self::from_uri(text(uri).ok_or(IdentityError::Malformed)?, trust_domain),
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

/// Tag of the sequence of names.
const SEQUENCE: u8 = 0x30;

/// Tag of a URI among them, and the number that any form of it has in its lower bits.
const URI: u8 = 0x86;
const URI_NUMBER: u8 = 0x06;

/// Bits of a tag: its class, and its number.
const CLASS_BITS: u8 = 0xc0;
const CONTEXT_CLASS: u8 = 0x80;
const NUMBER_BITS: u8 = 0x1f;

/// Every URI among the names of a certificate. Read here and strictly: a reader that lets odd encodings pass might not see
/// the second URI that another one takes for the identity. Nothing when there is anything but DER.
fn uris(names: &[u8]) -> Option<Vec<&[u8]>> {
    let (SEQUENCE, mut rest, []) = value(names)? else { return None };
    let mut found = Vec::new();
    while !rest.is_empty() {
        let (tag, content, further) = value(rest)?;
        if tag == URI {
            found.push(content);
        } else if tag & CLASS_BITS != CONTEXT_CLASS || tag & NUMBER_BITS == URI_NUMBER {
            return None;
        }
        rest = further;
    }
    Some(found)
}

/// The first value: its tag, its content, and what follows. A length that is not written the shortest way is none.
fn value(bytes: &[u8]) -> Option<(u8, &[u8], &[u8])> {
    let (&tag, rest) = bytes.split_first()?;
    let (&first, rest) = rest.split_first()?;
    let (length, rest) = match first {
        0..=0x7f => (usize::from(first), rest),
        0x81 => {
            let (&length, rest) = rest.split_first()?;
            (length > 0x7f).then_some((usize::from(length), rest))?
        }
        0x82 => {
            let (length, rest) = rest.split_first_chunk()?;
            let length = u16::from_be_bytes(*length);
            (length > 0xff).then_some((usize::from(length), rest))?
        }
        _ => return None,
    };
    Some((tag, rest.get(..length)?, rest.get(length..)?))
}

/// Visible ASCII, which every identity is.
fn text(uri: &[u8]) -> Option<&str> {
    uri.iter().all(u8::is_ascii_graphic).then(|| std::str::from_utf8(uri).ok()).flatten()
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
    fn names_in_anything_but_der_are_none() {
        let one: &[u8] = &[0x86, 1, b'x'];
        let names = |content: &[u8]| [&[0x30, u8::try_from(content.len()).unwrap()][..], content].concat();
        assert_eq!(uris(&names(one)), Some(vec![&b"x"[..]]));
        assert_eq!(uris(&names(&[one, &[0x82, 1, b'h'], one].concat())), Some(vec![&b"x"[..], b"x"]));
        assert_eq!(uris(&names(&[])), Some(vec![]));
        let long = [&[0x86, 0x81, 0x80][..], &[b'x'; 128]].concat();
        assert_eq!(uris(&[&[0x30, 0x81, 131][..], &long].concat()).map(|found| found[0].len()), Some(128));
        for (what, bytes) in [
            ("nothing", vec![]),
            ("no sequence", one.to_vec()),
            ("something after it", [names(one), vec![0]].concat()),
            ("cut short", vec![0x30, 4, 0x86, 1, b'x']),
            ("a name cut short", names(&[0x86, 2, b'x'])),
            ("a length in a longer form", names(&[0x86, 0x81, 1, b'x'])),
            ("a length in a form of two bytes", names(&[0x86, 0x82, 0, 1, b'x'])),
            ("no length", names(&[0x86, 0x80, b'x', 0, 0])),
            ("a URI in pieces", names(&[0xa6, 3, 0x16, 1, b'x'])),
            ("a string of another class", names(&[0x16, 1, b'x'])),
        ] {
            assert_eq!(uris(&bytes), None, "{what}");
        }
    }

    #[test]
    fn bytes_that_are_no_certificate_are_refused() {
        assert_eq!(PeerIdentity::from_certificate(b"", "kith.test"), Err(IdentityError::Unreadable));
        let mut trailing = certificate(&["spiffe://kith.test/org/R1H/role/ed"], "x");
        trailing.push(0);
        assert_eq!(PeerIdentity::from_certificate(&trailing, "kith.test"), Err(IdentityError::Unreadable));
    }
}
