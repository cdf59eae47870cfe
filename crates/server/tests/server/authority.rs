//! Certificates and revocation lists as a test wants them, also such as no honest authority would issue.

use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};

use rcgen::{
    BasicConstraints, CertificateParams, CertificateRevocationListParams, CrlDistributionPoint,
    CrlIssuingDistributionPoint, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyIdMethod, KeyPair, KeyUsagePurpose,
    RevokedCertParams, SanType, SerialNumber, date_time_ymd,
};
use tonic::transport::{Certificate, ClientTlsConfig, Identity};

/// Every certificate of a test run has a number of its own.
static NEXT_SERIAL: AtomicU64 = AtomicU64::new(1);

/// A certificate authority of the test's own: a root, or one below another.
pub struct Authority {
    /// Its own certificate.
    pub pem: String,
    pub serial: u64,
    /// What its clients send beside their own certificate.
    chain: String,
    issuer: Issuer<'static, KeyPair>,
}

/// A certificate with what is between it and the root, and its key, PEM.
#[derive(Clone)]
pub struct Pair {
    pub certificate: String,
    pub key: String,
    pub serial: u64,
}

/// From and until which year, on the first of January, a list is good.
pub type Years = (i32, i32);

/// Far beyond the run of any test.
pub const LASTING: Years = (2020, 2999);

fn serial(params: &mut CertificateParams) -> u64 {
    let serial = NEXT_SERIAL.fetch_add(1, Ordering::Relaxed);
    params.serial_number = Some(SerialNumber::from(serial));
    serial
}

fn authority_params(name: &str) -> CertificateParams {
    let mut params = CertificateParams::default();
    params.distinguished_name.push(DnType::CommonName, name);
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
    params
}

impl Authority {
    pub fn new() -> Self {
        Self::named("test authority")
    }

    pub fn named(name: &str) -> Self {
        let key = KeyPair::generate().unwrap();
        let mut params = authority_params(name);
        let serial = serial(&mut params);
        let pem = params.self_signed(&key).unwrap().pem();
        Self { pem, serial, chain: String::new(), issuer: Issuer::new(params, key) }
    }

    /// An authority that this one signed.
    pub fn below(&self, name: &str, change: impl FnOnce(&mut CertificateParams)) -> Self {
        let key = KeyPair::generate().unwrap();
        let mut params = authority_params(name);
        let serial = serial(&mut params);
        change(&mut params);
        let pem = params.signed_by(&key, &self.issuer).unwrap().pem();
        let chain = format!("{pem}{}", self.chain);
        Self { pem, serial, chain, issuer: Issuer::new(params, key) }
    }

    /// A client's certificate, but for what `change` changes.
    pub fn issue(&self, uris: &[&str], change: impl FnOnce(&mut CertificateParams)) -> Pair {
        self.issue_for(&KeyPair::generate().unwrap(), uris, change)
    }

    /// The same for a key of the test's choice.
    pub fn issue_for(&self, key: &KeyPair, uris: &[&str], change: impl FnOnce(&mut CertificateParams)) -> Pair {
        let mut params = CertificateParams::default();
        // The common name must never count: it says that this is the operator.
        params.distinguished_name.push(DnType::CommonName, "spiffe://kith.test/org/KITH/role/ops");
        params.subject_alt_names = uri_names(uris);
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ClientAuth];
        params.not_after = date_time_ymd(2999, 1, 1);
        let serial = serial(&mut params);
        change(&mut params);
        let own = params.signed_by(key, &self.issuer).unwrap().pem();
        Pair { certificate: format!("{own}{}", self.chain), key: key.serialize_pem(), serial }
    }

    pub fn server(&self) -> Pair {
        self.server_but(|_| {})
    }

    /// The server's certificate, but for what `change` changes.
    pub fn server_but(&self, change: impl FnOnce(&mut CertificateParams)) -> Pair {
        self.issue(&[], |params| {
            params.subject_alt_names = vec![SanType::DnsName("localhost".try_into().unwrap())];
            params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
            change(params);
        })
    }

    pub fn client(&self, uris: &[&str]) -> Pair {
        self.issue(uris, |_| {})
    }

    /// A list that revokes these numbers, PEM.
    pub fn list(&self, revoked: &[u64], years: Years) -> String {
        self.list_at(None, revoked, years)
    }

    /// The same, about the certificates alone that are told to look for it at `place`.
    pub fn list_at(&self, place: Option<&str>, revoked: &[u64], years: Years) -> String {
        self.list_by(KeyIdMethod::Sha256, place, revoked, years)
    }

    /// The same, with the words for its key of the test's choice.
    pub fn list_by(
        &self,
        key_identifier_method: KeyIdMethod,
        place: Option<&str>,
        revoked: &[u64],
        (from, until): Years,
    ) -> String {
        let entry = |serial: &u64| RevokedCertParams {
            serial_number: SerialNumber::from(*serial),
            revocation_time: date_time_ymd(from, 1, 1),
            reason_code: None,
            invalidity_date: None,
        };
        let params = CertificateRevocationListParams {
            this_update: date_time_ymd(from, 1, 1),
            next_update: date_time_ymd(until, 1, 1),
            crl_number: SerialNumber::from(u64::try_from(from).unwrap()),
            issuing_distribution_point: place
                .map(|place| CrlIssuingDistributionPoint { distribution_point: look_at(place), scope: None }),
            revoked_certs: revoked.iter().map(entry).collect(),
            key_identifier_method,
        };
        params.signed_by(&self.issuer).unwrap().pem().unwrap()
    }
}

/// Where a list of revocations lies.
pub fn look_at(place: &str) -> CrlDistributionPoint {
    CrlDistributionPoint { uris: vec![place.to_owned()] }
}

fn uri_names(uris: &[&str]) -> Vec<SanType> {
    let mut names = vec![SanType::DnsName("client.example".try_into().unwrap())];
    names.extend(uris.iter().map(|uri| SanType::URI((*uri).try_into().unwrap())));
    names
}

impl Pair {
    pub fn write(&self, certificate: &Path, key: &Path) {
        std::fs::write(key, &self.key).unwrap();
        std::fs::write(certificate, &self.certificate).unwrap();
    }

    pub fn tonic(&self, authority_pem: &str) -> ClientTlsConfig {
        ClientTlsConfig::new()
            .domain_name("localhost")
            .ca_certificate(Certificate::from_pem(authority_pem))
            .identity(Identity::from_pem(&self.certificate, &self.key))
    }
}
