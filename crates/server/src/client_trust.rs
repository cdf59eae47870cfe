//! Which client certificates stand: the authorities and revocation lists in force, a bound on the chain, and the one identity
//! that a certificate must carry. Never looks at what was decided before: each verdict is made anew.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use rustls::crypto::CryptoProvider;
use rustls::server::danger::{ClientCertVerified, ClientCertVerifier};
use rustls::server::{VerifierBuilderError, WebPkiClientVerifier};
use rustls::{CertificateError, DigitallySignedStruct, DistinguishedName, OtherError, RootCertStore, SignatureScheme};
use rustls_pki_types::{CertificateDer, CertificateRevocationListDer, UnixTime};

use crate::config::{self, ExpiredLists};
use crate::identity::{IdentityError, PeerIdentity};
use crate::issuers::Issuers;
use crate::revocation::{self, Lists, Reading};
use crate::tls::{TlsError, certificates, expires_s};

/// Certificates in a client's chain: its own and five between it and an authority, of which one is usual.
const CHAIN_MAX_CERTIFICATES: usize = 6;

/// Bytes of a client's chain; a certificate has some 600 to 2,000.
const CHAIN_MAX_BYTES: usize = 16 << 10;

/// The authorities of client certificates.
#[derive(Debug)]
pub(crate) struct Authorities {
    pub(crate) ders: Vec<CertificateDer<'static>>,
    store: Arc<RootCertStore>,
}

impl Authorities {
    pub(crate) fn read(path: &Path) -> Result<Self, TlsError> {
        let wrong = |reason: String| TlsError::Authorities { path: path.to_owned(), reason };
        let ders = certificates(path)?;
        let mut store = RootCertStore::empty();
        for certificate in &ders {
            store.add(certificate.clone()).map_err(|error| wrong(error.to_string()))?;
        }
        Ok(Self { ders, store: Arc::new(store) })
    }

    pub(crate) fn are_those(&self, others: &Self) -> bool {
        self.ders == others.ders
    }
}

/// All lists that the configuration names, older ones too, and what is wrong with others; nothing when it names none.
pub(crate) fn read_lists(files: &config::Tls, now: UnixTime) -> Option<Reading> {
    let now_s = i64::try_from(now.as_secs()).unwrap_or(i64::MAX);
    (!files.client_crls.as_os_str().is_empty()).then(|| Reading::of(&files.client_crls, now_s))
}

/// Authorities and lists that go together, and the verifier over them.
#[derive(Debug)]
pub(crate) struct ClientTrust {
    pub(crate) authorities: Arc<Authorities>,
    pub(crate) lists: Option<Arc<Lists>>,
    expired: ExpiredLists,
    verifier: Arc<IdentityVerifier>,
}

impl ClientTrust {
    /// # Errors
    /// When a list is missing for an authority, or is not its own.
    pub(crate) fn new(
        authorities: Arc<Authorities>,
        lists: Option<Arc<Lists>>,
        files: &config::Tls,
        trust_domain: &Arc<str>,
        issuers: &Arc<Issuers>,
    ) -> Result<Self, TlsError> {
        let wrong = |reason: &str| revocation::wrong(&files.client_crls, reason);
        let variants = match &lists {
            Some(lists) => {
                lists.fit(&authorities.ders).map_err(|reason| wrong(&reason))?;
                lists.variants().ok_or_else(|| wrong("expected fewer keys under the same names"))?
            }
            None => Vec::new(),
        };
        let signers = (authorities.ders.as_slice(), &**issuers);
        let is_foreign = lists.as_ref().is_some_and(|lists| lists.are_disowned(signers));
        let mut variants = variants.into_iter();
        let build = |lists| with_lists(&authorities, lists, files);
        let chain = build(variants.next().unwrap_or_default())?;
        let further = variants.map(build).collect::<Result<Vec<_>, _>>()?;
        let verifier = Arc::new(IdentityVerifier {
            chain,
            further,
            authorities: Arc::clone(&authorities),
            lists: lists.clone(),
            issuers: Arc::clone(issuers),
            are_lists_foreign: AtomicBool::new(is_foreign),
            trust_domain: Arc::clone(trust_domain),
        });
        Ok(Self { authorities, lists, expired: files.crl_expired, verifier })
    }

    /// Until when the chain stands as it stands now, in seconds since 1970; nothing when it does not.
    pub(crate) fn judge(&self, chain: &[CertificateDer<'static>], now: UnixTime) -> Option<i64> {
        let (end_entity, intermediates) = chain.split_first()?;
        self.verifier.verify_client_cert(end_entity, intermediates, now).ok()?;
        Some(self.until_s(chain))
    }

    /// Whether a chain is refused for what the lists are, and not for whom they name: nobody meant to shut it out. Whom a list names
    /// keeps none from coming into force, though none tells of just that certificate; a list of somebody else names nobody.
    pub(crate) fn shuts_out_by_its_lists(&self, chain: &[CertificateDer<'static>], now: UnixTime) -> bool {
        let Some((end_entity, intermediates)) = chain.split_first() else { return false };
        let is_named = || self.lists.as_ref().is_some_and(|lists| lists.revoke_any_of(chain));
        self.verifier
            .verify(end_entity, intermediates, now)
            .is_err_and(|error| is_foreign(&error) || (is_of_lists(&error) && !is_named()))
    }

    /// Notes who stands between this chain and its authority, when there are lists that may bear their names.
    pub(crate) fn learn(&self, chain: &[CertificateDer<'static>]) {
        if let Some((end_entity, intermediates)) = chain.split_first() {
            self.verifier.learn(end_entity, intermediates);
        }
    }

    /// Whether a list has turned out not to be signed by whose name it bears: whoever is below that is refused.
    pub(crate) fn are_lists_foreign(&self) -> bool {
        self.verifier.are_lists_foreign.load(Ordering::Relaxed)
    }

    /// When a chain that stands must be judged again at the latest: as its first certificate expires, or the first list where
    /// an expired one refuses.
    pub(crate) fn until_s(&self, chain: &[CertificateDer<'static>]) -> i64 {
        let lists = self.lists.as_ref().filter(|_| self.expired == ExpiredLists::Refuse);
        let lists = lists.and_then(|lists| lists.expires_s());
        chain.iter().filter_map(expires_s).chain(lists).min().unwrap_or(0)
    }

    pub(crate) fn verifier(&self) -> Arc<dyn ClientCertVerifier> {
        Arc::clone(&self.verifier) as Arc<dyn ClientCertVerifier>
    }
}

/// The one source of cryptography.
pub(crate) fn provider() -> Arc<CryptoProvider> {
    Arc::new(rustls::crypto::ring::default_provider())
}

/// What verifies chains by these lists; by none where there are none.
fn with_lists(
    authorities: &Authorities,
    lists: Vec<CertificateRevocationListDer<'static>>,
    files: &config::Tls,
) -> Result<Arc<dyn ClientCertVerifier>, TlsError> {
    let mut builder = WebPkiClientVerifier::builder_with_provider(Arc::clone(&authorities.store), provider());
    if !lists.is_empty() {
        builder = builder.with_crls(lists);
        builder = match files.crl_expired {
            ExpiredLists::Accept => builder,
            ExpiredLists::Refuse => builder.enforce_revocation_expiration(),
        };
    }
    builder.build().map_err(|error| built(&error, files))
}

/// Whether a verifier takes a list.
///
/// # Errors
/// Why it does not.
pub(crate) fn takes(
    authorities: &Authorities,
    list: &CertificateRevocationListDer<'static>,
    files: &config::Tls,
) -> Result<(), String> {
    // Any other error is not for what the list is.
    if let Err(TlsError::Lists { path: _, reason }) = with_lists(authorities, vec![list.clone()], files) {
        return Err(reason);
    }
    Ok(())
}

fn built(error: &VerifierBuilderError, files: &config::Tls) -> TlsError {
    if let VerifierBuilderError::InvalidCrl(_) = error {
        return revocation::wrong(&files.client_crls, &error.to_string());
    }
    TlsError::Authorities { path: files.client_ca.clone(), reason: error.to_string() }
}

/// Verifies the chain, then that no list at all names any of it, and that the certificate carries exactly one identity of this
/// trust domain.
#[derive(Debug)]
struct IdentityVerifier {
    chain: Arc<dyn ClientCertVerifier>,
    /// The same with the lists of other keys under the same names.
    further: Vec<Arc<dyn ClientCertVerifier>>,
    authorities: Arc<Authorities>,
    lists: Option<Arc<Lists>>,
    issuers: Arc<Issuers>,
    are_lists_foreign: AtomicBool,
    trust_domain: Arc<str>,
}

/// Whether a list was asked that is not of whoever issued the certificate, or that cannot be held against it.
fn is_foreign(error: &rustls::Error) -> bool {
    matches!(error, rustls::Error::InvalidCertRevocationList(_))
}

/// Whether it is of the lists that a certificate is refused, and not of what they say of it.
fn is_of_lists(error: &rustls::Error) -> bool {
    is_foreign(error) || matches!(error, rustls::Error::InvalidCertificate(CertificateError::UnknownRevocationStatus))
}

fn is_of_signature(error: &rustls::Error) -> bool {
    matches!(error, rustls::Error::InvalidCertificate(CertificateError::BadSignature))
}

fn is_revoked(error: &rustls::Error) -> bool {
    matches!(error, rustls::Error::InvalidCertificate(CertificateError::Revoked))
}

/// How much an error tells of a chain: nothing where a list or an authority was asked that may be another of the same name; little where
/// no list was found.
fn tells(error: &rustls::Error) -> u8 {
    if is_foreign(error) || is_of_signature(error) {
        return 0;
    }
    if is_of_lists(error) { 1 } else { 2 }
}

impl IdentityVerifier {
    fn learn(&self, end_entity: &CertificateDer<'_>, intermediates: &[CertificateDer<'_>]) {
        let Some(lists) = &self.lists else { return };
        let authorities = &self.authorities.ders;
        let is_any_new = self.issuers.learn(end_entity, intermediates, authorities);
        if is_any_new && lists.are_disowned((authorities.as_slice(), &*self.issuers)) {
            self.tell_of_foreign();
        }
    }

    /// Somebody may be shut out whom nobody meant to: that is seen to by a person.
    fn tell_of_foreign(&self) {
        if !self.are_lists_foreign.swap(true, Ordering::Relaxed) {
            tracing::error!(
                "a revocation list is not signed by the authority whose name it bears: whoever is below is refused"
            );
        }
    }

    fn verify(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        now: UnixTime,
    ) -> Result<ClientCertVerified, rustls::Error> {
        let identity = |error: IdentityError| CertificateError::Other(OtherError(Arc::new(error)));
        let bytes = end_entity.len() + intermediates.iter().map(|certificate| certificate.len()).sum::<usize>();
        if intermediates.len() >= CHAIN_MAX_CERTIFICATES || bytes > CHAIN_MAX_BYTES {
            return Err(identity(IdentityError::ChainTooLong).into());
        }
        let mut stands = self.chain.verify_client_cert(end_entity, intermediates, now);
        for further in &self.further {
            let Err(error) = &stands else { break };
            // The list of another key under the same name says nothing of this chain; what its own says does.
            let next = further.verify_client_cert(end_entity, intermediates, now);
            let tells_more = match &next {
                Ok(_) => true,
                Err(next) => tells(next) > tells(error),
            };
            if tells_more {
                stands = next;
            }
        }
        let verified = stands?;
        let shown = std::iter::once(end_entity).chain(intermediates);
        if self.lists.as_ref().is_some_and(|lists| lists.revoke_any_of(shown)) {
            return Err(CertificateError::Revoked.into());
        }
        PeerIdentity::from_certificate(end_entity, &self.trust_domain).map_err(identity)?;
        Ok(verified)
    }
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
        self.verify(end_entity, intermediates, now).inspect_err(|error| {
            // Whoever is refused by a list that is not its authority's must be able to show which authority that is. Where two bear one
            // name, that the other did not sign the chain may be all that is told of it.
            if is_of_lists(error) || is_of_signature(error) || is_revoked(error) {
                self.learn(end_entity, intermediates);
            }
            if is_foreign(error) {
                self.tell_of_foreign();
            }
        })
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
