//! Certificates as a test wants them, also such as no honest authority would issue.

use std::path::Path;

use rcgen::{
    BasicConstraints, CertificateParams, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair, KeyUsagePurpose,
    SanType, date_time_ymd,
};
use tonic::transport::{Certificate, ClientTlsConfig, Identity};

/// A certificate authority of the test's own.
pub struct Authority {
    pub pem: String,
    issuer: Issuer<'static, KeyPair>,
}

/// A certificate and its key, PEM.
#[derive(Clone)]
pub struct Pair {
    pub certificate: String,
    pub key: String,
}

impl Authority {
    pub fn new() -> Self {
        let key = KeyPair::generate().unwrap();
        let mut params = CertificateParams::default();
        params.distinguished_name.push(DnType::CommonName, "test authority");
        params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign];
        let pem = params.self_signed(&key).unwrap().pem();
        Self { pem, issuer: Issuer::new(params, key) }
    }

    fn issue(&self, names: Vec<SanType>, usage: ExtendedKeyUsagePurpose, last_year: i32) -> Pair {
        let key = KeyPair::generate().unwrap();
        let mut params = CertificateParams::default();
        // The common name must never count: it says that this is the operator.
        params.distinguished_name.push(DnType::CommonName, "spiffe://kith.test/org/KITH/role/ops");
        params.subject_alt_names = names;
        params.extended_key_usages = vec![usage];
        params.not_after = date_time_ymd(last_year, 1, 1);
        let certificate = params.signed_by(&key, &self.issuer).unwrap().pem();
        Pair { certificate, key: key.serialize_pem() }
    }

    pub fn server(&self) -> Pair {
        let names = vec![SanType::DnsName("localhost".try_into().unwrap())];
        self.issue(names, ExtendedKeyUsagePurpose::ServerAuth, 2999)
    }

    pub fn client(&self, uris: &[&str]) -> Pair {
        self.issue(uri_names(uris), ExtendedKeyUsagePurpose::ClientAuth, 2999)
    }

    pub fn expired_client(&self, uri: &str) -> Pair {
        self.issue(uri_names(&[uri]), ExtendedKeyUsagePurpose::ClientAuth, 2001)
    }

    pub fn client_for_servers_only(&self, uri: &str) -> Pair {
        self.issue(uri_names(&[uri]), ExtendedKeyUsagePurpose::ServerAuth, 2999)
    }
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
