//! Client certificates beside those of `kithd dev-certs`: another role, another authority's signature, two names. Whoever needs it for
//! a role is listed.

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

/// Who stands among no hospitals and authorities, and has to be listed.
const LISTED: [&str; 5] = ["demographics", "broker", "auditor", "ops", "witness"];

/// Lists an organisation with a role, as a server that starts from now on reads it.
fn list(certs: &Path, organisation: &str, role: &str) {
    let path = certs.join("services.csv");
    let text = std::fs::read_to_string(&path).unwrap();
    let mut rows: Vec<String> = text.lines().map(str::to_owned).collect();
    match rows.iter().position(|row| row.split(',').next() == Some(organisation)) {
        Some(at) if rows[at].split([',', ' ']).any(|word| word == role) => {}
        Some(at) => rows[at] = format!("{} {role}", rows[at]),
        None => rows.push(format!("{organisation},Of a test,{role}")),
    }
    std::fs::write(&path, rows.join("\n")).unwrap();
}

/// Writes `<name>.pem` and `<name>.key` for an organisation and role, signed by the authority in `certs`, and lists it where the role
/// needs that.
pub fn issue(certs: &Path, name: &str, organisation: &str, role: &str) {
    if LISTED.contains(&role) {
        list(certs, organisation, role);
    }
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
