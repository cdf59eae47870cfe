//! The server's certificate chain and private key. Never keeps a copy of the key beside the one that the transport works with: what
//! was read of it is wiped.

use std::sync::Arc;

use rustls::InconsistentKeys;
use rustls::crypto::ring::sign::any_supported_type;
use rustls::sign::CertifiedKey;
use rustls_pki_types::pem::{self, PemObject};
use rustls_pki_types::{CertificateDer, PrivateKeyDer};
use x509_parser::prelude::{FromDer, X509Certificate};
use zeroize::Zeroizing;

use crate::config;
use crate::tls::{TlsError, certificates, expires_s};

/// The server's certificate with its key.
#[derive(Debug)]
pub(crate) struct ServerPair {
    pub(crate) key: Arc<CertifiedKey>,
    pub(crate) expires_s: Option<i64>,
}

impl ServerPair {
    pub(crate) fn read(files: &config::Tls) -> Result<Self, TlsError> {
        let chain = chain(files)?;
        let expires_s = chain.iter().filter_map(expires_s).min();
        let read = key(files)?;
        let pair = CertifiedKey::new(chain, any_supported_type(&read)?);
        match pair.keys_match() {
            // A kind of key of which it cannot be told is no mistake.
            Ok(()) | Err(rustls::Error::InconsistentKeys(InconsistentKeys::Unknown)) => {}
            Err(error) => return Err(error.into()),
        }
        Ok(Self { key: Arc::new(pair), expires_s })
    }
}

pub(crate) fn chain(files: &config::Tls) -> Result<Vec<CertificateDer<'static>>, TlsError> {
    let chain = certificates(&files.certificate)?;
    if !chain.first().is_some_and(is_in_force) {
        return Err(TlsError::NotInForce { path: files.certificate.clone() });
    }
    Ok(chain)
}

/// The file and the key in it are wiped. The transport keeps the key that it works with, and what was decoded in between is the
/// decoder's.
pub(crate) fn key(files: &config::Tls) -> Result<Zeroizing<PrivateKeyDer<'static>>, TlsError> {
    let wrong = |source| TlsError::Read { path: files.key.clone(), source };
    let text = std::fs::read(&files.key).map(Zeroizing::new).map_err(|error| wrong(pem::Error::Io(error)))?;
    PrivateKeyDer::from_pem_slice(&text).map(Zeroizing::new).map_err(wrong)
}

fn is_in_force(certificate: &CertificateDer<'_>) -> bool {
    X509Certificate::from_der(certificate).is_ok_and(|(_, certificate)| certificate.validity().is_valid())
}

#[cfg(test)]
mod tests {
    use super::*;
    use rcgen::KeyPair;

    #[test]
    fn a_key_is_wiped_when_it_is_let_go_of_and_has_to_be_that_of_the_certificate() {
        let dir = tempfile::tempdir().unwrap();
        // Makes the files.
        crate::accept::tests::tls(dir.path());
        let mut files = config::Tls {
            certificate: dir.path().join("server.pem"),
            key: dir.path().join("server.key"),
            ..config::Tls::default()
        };
        let own: Zeroizing<PrivateKeyDer<'static>> = key(&files).unwrap();
        assert_eq!(*own, PrivateKeyDer::from_pem_file(&files.key).unwrap());
        assert!(ServerPair::read(&files).is_ok());
        files.key = dir.path().join("other.key");
        std::fs::write(&files.key, KeyPair::generate().unwrap().serialize_pem()).unwrap();
        assert!(matches!(ServerPair::read(&files), Err(TlsError::Pair(_))));
        std::fs::write(&files.key, "no key").unwrap();
        assert!(matches!(ServerPair::read(&files), Err(TlsError::Read { .. })));
    }
}
