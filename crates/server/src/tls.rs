//! The TLS configuration in force: TLS 1.3 only, a client certificate with one identity required, replaced on reload.
//! Never resumes a session: every connection shows its certificate again, so a removed authority is at once out.

use std::fs::Metadata;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, PoisonError, RwLock};

use rustls::crypto::CryptoProvider;
use rustls::server::danger::{ClientCertVerified, ClientCertVerifier};
use rustls::server::{NoServerSessionStorage, WebPkiClientVerifier};
use rustls::{
    CertificateError, DigitallySignedStruct, DistinguishedName, OtherError, RootCertStore, ServerConfig,
    SignatureScheme,
};
use rustls_pki_types::pem::PemObject;
use rustls_pki_types::{CertificateDer, PrivateKeyDer, UnixTime};
use x509_parser::prelude::{FromDer, X509Certificate};

use crate::config;
use crate::identity::PeerIdentity;

/// The only application protocol spoken.
const ALPN_H2: &[u8] = b"h2";

/// Why certificate files are not usable.
#[derive(Debug, thiserror::Error)]
pub enum TlsError {
    /// A file cannot be read or is not PEM.
    #[error("read {path}: {source}")]
    Read {
        /// The file.
        path: PathBuf,
        /// What went wrong.
        source: rustls_pki_types::pem::Error,
    },
    /// A file holds no certificate.
    #[error("find a certificate in {path}")]
    Empty {
        /// The file.
        path: PathBuf,
    },
    /// The server certificate is not in force now.
    #[error("use the certificate in {path}: it has expired, is not yet in force, or is not readable")]
    NotInForce {
        /// The file.
        path: PathBuf,
    },
    /// The certificate authorities are not usable.
    #[error("use the certificate authorities in {path}: {reason}")]
    Authorities {
        /// The file.
        path: PathBuf,
        /// What went wrong.
        reason: String,
    },
    /// Certificate and key do not go together, or the key is of an unknown kind.
    #[error("use the server certificate with its key: {0}")]
    Pair(#[from] rustls::Error),
}

/// What a file looked like when it was last seen; any replacement changes at least one part.
type Fingerprint = [Option<(u64, i64, i64, u64)>; 3];

/// The TLS configuration in force, shared by everything that accepts connections.
#[derive(Debug)]
pub struct TlsState {
    files: config::Tls,
    trust_domain: Arc<str>,
    current: RwLock<Arc<ServerConfig>>,
}

impl TlsState {
    /// Reads the certificate files for the first time.
    ///
    /// # Errors
    /// When any file is missing or not usable.
    pub fn load(files: config::Tls, trust_domain: &str) -> Result<Self, TlsError> {
        let trust_domain: Arc<str> = Arc::from(trust_domain);
        let current = RwLock::new(build(&files, &trust_domain)?);
        Ok(Self { files, trust_domain, current })
    }

    /// The configuration for a connection that begins now.
    pub fn current(&self) -> Arc<ServerConfig> {
        Arc::clone(&self.current.read().unwrap_or_else(PoisonError::into_inner))
    }

    /// The trust domain of accepted identities.
    pub fn trust_domain(&self) -> &str {
        &self.trust_domain
    }

    /// Reads the files again for connections that begin from now on; open ones go on.
    ///
    /// # Errors
    /// When any file is not usable; what was in force stays in force.
    pub fn reload(&self) -> Result<(), TlsError> {
        let next = build(&self.files, &self.trust_domain)?;
        *self.current.write().unwrap_or_else(PoisonError::into_inner) = next;
        Ok(())
    }

    /// What the files look like now, to notice a replacement.
    pub fn fingerprint(&self) -> Fingerprint {
        let look =
            |path: &Path| std::fs::metadata(path).ok().map(|m: Metadata| (m.len(), m.mtime(), m.mtime_nsec(), m.ino()));
        [look(&self.files.certificate), look(&self.files.key), look(&self.files.client_ca)]
    }
}

/// Everything that is wrong with the certificate files; nothing when they are usable together.
pub fn faults(files: &config::Tls, trust_domain: &str) -> Vec<TlsError> {
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let alone = [server_chain(files).err(), server_key(files).err(), chain_verifier(&files.client_ca, &provider).err()];
    let mut faults: Vec<TlsError> = alone.into_iter().flatten().collect();
    if faults.is_empty() {
        faults.extend(build(files, &Arc::from(trust_domain)).err());
    }
    faults
}

fn server_chain(files: &config::Tls) -> Result<Vec<CertificateDer<'static>>, TlsError> {
    let chain = certificates(&files.certificate)?;
    if !chain.first().is_some_and(is_in_force) {
        return Err(TlsError::NotInForce { path: files.certificate.clone() });
    }
    Ok(chain)
}

fn server_key(files: &config::Tls) -> Result<PrivateKeyDer<'static>, TlsError> {
    PrivateKeyDer::from_pem_file(&files.key).map_err(|source| TlsError::Read { path: files.key.clone(), source })
}

fn build(files: &config::Tls, trust_domain: &Arc<str>) -> Result<Arc<ServerConfig>, TlsError> {
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let chain = server_chain(files)?;
    let key = server_key(files)?;
    let verifier = IdentityVerifier {
        chain: chain_verifier(&files.client_ca, &provider)?,
        trust_domain: Arc::clone(trust_domain),
    };
    let mut config = ServerConfig::builder_with_provider(provider)
        .with_protocol_versions(&[&rustls::version::TLS13])?
        .with_client_cert_verifier(Arc::new(verifier))
        .with_single_cert(chain, key)?;
    config.alpn_protocols = vec![ALPN_H2.to_vec()];
    config.session_storage = Arc::new(NoServerSessionStorage {});
    config.send_tls13_tickets = 0;
    Ok(Arc::new(config))
}

fn certificates(path: &Path) -> Result<Vec<CertificateDer<'static>>, TlsError> {
    let read = |source| TlsError::Read { path: path.to_owned(), source };
    let found: Result<Vec<_>, _> = CertificateDer::pem_file_iter(path).map_err(read)?.collect();
    let found = found.map_err(read)?;
    if found.is_empty() { Err(TlsError::Empty { path: path.to_owned() }) } else { Ok(found) }
}

fn is_in_force(certificate: &CertificateDer<'_>) -> bool {
    X509Certificate::from_der(certificate).is_ok_and(|(_, certificate)| certificate.validity().is_valid())
}

fn chain_verifier(path: &Path, provider: &Arc<CryptoProvider>) -> Result<Arc<dyn ClientCertVerifier>, TlsError> {
    let wrong = |reason: String| TlsError::Authorities { path: path.to_owned(), reason };
    let mut roots = RootCertStore::empty();
    for certificate in certificates(path)? {
        roots.add(certificate).map_err(|error| wrong(error.to_string()))?;
    }
    WebPkiClientVerifier::builder_with_provider(Arc::new(roots), Arc::clone(provider))
        .build()
        .map_err(|error| wrong(error.to_string()))
}

/// Verifies the chain, and then that the certificate carries exactly one identity of this trust domain.
#[derive(Debug)]
struct IdentityVerifier {
    chain: Arc<dyn ClientCertVerifier>,
    trust_domain: Arc<str>,
}

impl ClientCertVerifier for IdentityVerifier {
    fn root_hint_subjects(&self) -> &[DistinguishedName] {
        self.chain.root_hint_subjects()
    }

    fn verify_client_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        now: UnixTime,
    ) -> Result<ClientCertVerified, rustls::Error> {
        let verified = self.chain.verify_client_cert(end_entity, intermediates, now)?;
        PeerIdentity::from_certificate(end_entity, &self.trust_domain)
            .map_err(|error| CertificateError::Other(OtherError(Arc::new(error))))?;
        Ok(verified)
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<rustls::client::danger::HandshakeSignatureValid, rustls::Error> {
        self.chain.verify_tls12_signature(message, certificate, signature)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<rustls::client::danger::HandshakeSignatureValid, rustls::Error> {
        self.chain.verify_tls13_signature(message, certificate, signature)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.chain.supported_verify_schemes()
    }
}
