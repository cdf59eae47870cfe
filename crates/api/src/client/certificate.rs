//! Reads who a client certificate says the caller is, so that a person need not type it. It proves nothing: the service
//! checks the certificate itself and refuses a request whose organisation differs.

use x509_parser::extensions::GeneralName;
use x509_parser::pem::parse_x509_pem;

/// What the certificate's SPIFFE URI says: `spiffe://<trust domain>/org/<CODE>/role/<role>`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CertificateIdentity {
    /// ODS code of a trust or service, or GSS code of a local authority.
    pub organisation: String,
    /// The role, for example `ed` or `local-authority`.
    pub role: String,
}

/// Why a certificate does not say who calls. Messages follow "failed to ".
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub enum CertificateError {
    /// Not a PEM certificate.
    #[error("read the certificate: expected a PEM certificate")]
    NotACertificate,
    /// Not exactly one URI name.
    #[error("read the certificate's organisation: expected one URI name, found {found}")]
    UriNames {
        /// How many there are.
        found: usize,
    },
    /// The URI does not have the expected form.
    #[error("read the certificate's organisation: expected spiffe://<trust domain>/org/<CODE>/role/<role>")]
    Form,
}

/// Reads the first certificate of a PEM file's text.
///
/// # Errors
/// [`CertificateError`] when it is no certificate or its one URI name has another form.
pub fn certificate_identity(pem: &[u8]) -> Result<CertificateIdentity, CertificateError> {
    let (_, block) = parse_x509_pem(pem).map_err(|_| CertificateError::NotACertificate)?;
    let certificate = block.parse_x509().map_err(|_| CertificateError::NotACertificate)?;
    let names = certificate.subject_alternative_name().map_err(|_| CertificateError::NotACertificate)?;
    let mut uris = Vec::new();
    for name in names.iter().flat_map(|extension| &extension.value.general_names) {
        if let GeneralName::URI(uri) = name {
            uris.push(*uri);
        }
    }
    match uris.as_slice() {
        [uri] => identity_of(uri).ok_or(CertificateError::Form),
        other => Err(CertificateError::UriNames { found: other.len() }),
    }
}

fn identity_of(uri: &str) -> Option<CertificateIdentity> {
    let mut parts = uri.strip_prefix("spiffe://")?.split('/');
    let (domain, org, code) = (parts.next()?, parts.next()?, parts.next()?);
    let (role_word, role, end) = (parts.next()?, parts.next()?, parts.next());
    let formed = !domain.is_empty() && org == "org" && role_word == "role" && end.is_none();
    let filled = !code.is_empty() && !role.is_empty();
    (formed && filled).then(|| CertificateIdentity { organisation: code.to_owned(), role: role.to_owned() })
}

#[cfg(test)]
mod tests {
    use super::*;
    use rcgen::{CertificateParams, KeyPair, SanType};

    fn pem(uris: &[&str]) -> Vec<u8> {
        let mut params = CertificateParams::new(vec!["localhost".to_owned()]).unwrap();
        for uri in uris {
            params.subject_alt_names.push(SanType::URI((*uri).try_into().unwrap()));
        }
        params.self_signed(&KeyPair::generate().unwrap()).unwrap().pem().into_bytes()
    }

    #[test]
    fn reads_the_one_uri() {
        let identity = certificate_identity(&pem(&["spiffe://kith.test/org/E08000035/role/local-authority"])).unwrap();
        assert_eq!((identity.organisation.as_str(), identity.role.as_str()), ("E08000035", "local-authority"));
    }

    #[test]
    fn refuses_none_two_and_other_forms() {
        assert_eq!(certificate_identity(&pem(&[])), Err(CertificateError::UriNames { found: 0 }));
        let two = ["spiffe://kith.test/org/R1H/role/ed", "spiffe://kith.test/org/RR8/role/ed"];
        assert_eq!(certificate_identity(&pem(&two)), Err(CertificateError::UriNames { found: 2 }));
        for other in ["https://kith.test/org/R1H/role/ed", "spiffe://kith.test/org//role/ed", "spiffe://a/org/R1H"] {
            assert_eq!(certificate_identity(&pem(&[other])), Err(CertificateError::Form), "{other}");
        }
        assert_eq!(certificate_identity(b"no"), Err(CertificateError::NotACertificate));
    }
}
