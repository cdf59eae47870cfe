//! Client certificates beside those of `kithd dev-certs`: another role, another authority's signature, two names.

use rcgen::{
    BasicConstraints, CertificateParams, DistinguishedName, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair,
    KeyUsagePurpose, SanType,
};
use std::path::Path;

fn named(name: &str) -> CertificateParams {
    let mut params = CertificateParams::default();
    params.distinguished_name = DistinguishedName::new();
    params.distinguished_name.push(DnType::CommonName, name);
    params
}

/// Writes `<name>.pem` and `<name>.key` for an organisation and role, signed by the authority in `certs`.
pub fn issue(certs: &Path, name: &str, organisation: &str, role: &str) {
    let key = KeyPair::from_pem(&std::fs::read_to_string(certs.join("ca.key")).unwrap()).unwrap();
    let mut authority = named("Kith development authority");
    authority.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
    authority.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
    let issuer = Issuer::new(authority, key);
    let own = KeyPair::generate().unwrap();
    let mut leaf = named(organisation);
    leaf.is_ca = IsCa::ExplicitNoCa;
    leaf.key_usages = vec![KeyUsagePurpose::DigitalSignature];
    leaf.extended_key_usages = vec![ExtendedKeyUsagePurpose::ClientAuth];
    leaf.use_authority_key_identifier_extension = true;
    let uri = format!("spiffe://kith.test/org/{organisation}/role/{role}");
    leaf.subject_alt_names = vec![SanType::URI(uri.as_str().try_into().unwrap())];
    let certificate = leaf.signed_by(&own, &issuer).unwrap();
    std::fs::write(certs.join(format!("{name}.pem")), certificate.pem()).unwrap();
    std::fs::write(certs.join(format!("{name}.key")), own.serialize_pem()).unwrap();
}
