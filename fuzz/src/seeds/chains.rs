//! Good certificates for the readers of chains and of PEM: leaves, authorities between and roots, in DER as a client shows them and in the
//! armour of files. Their keys are throwaway ones, made here; some stand in the corpus, and nothing trusts them.

use rcgen::{BasicConstraints, CertificateParams, DnType, IsCa, Issuer, KeyPair, SanType};

/// A certificate, and what signs with its key.
type Made = (Vec<u8>, Issuer<'static, KeyPair>);

fn made(name: &str, above: Option<&Made>, is_ca: bool) -> Option<Made> {
    let key = KeyPair::generate().ok()?;
    let mut params = CertificateParams::default();
    params.distinguished_name.push(DnType::CommonName, name);
    params.is_ca = if is_ca { IsCa::Ca(BasicConstraints::Unconstrained) } else { IsCa::NoCa };
    let certificate = match above {
        Some((_, issuer)) => params.signed_by(&key, issuer).ok()?,
        None => params.self_signed(&key).ok()?,
    };
    Some((certificate.der().to_vec(), Issuer::new(params, key)))
}

/// So many between the first and the roots, and each certificate behind its length.
fn chain(between: u8, all: &[&Made]) -> Vec<u8> {
    let mut bytes = vec![between];
    for (der, _) in all.iter().copied() {
        bytes.extend_from_slice(&u16::try_from(der.len()).unwrap_or(u16::MAX).to_be_bytes());
        bytes.extend_from_slice(der);
    }
    bytes
}

/// A whole one, one with another beside it by a name that stands in it, one with a gap, and one below a root alone.
pub(super) fn chains() -> Vec<Vec<u8>> {
    let all = || {
        let root = made("root", None, true)?;
        let upper = made("upper", Some(&root), true)?;
        let lower = made("lower", Some(&upper), true)?;
        let (leaf, beside) = (made("leaf", Some(&lower), false)?, made("lower", None, true)?);
        Some(vec![
            chain(2, &[&leaf, &lower, &upper, &root]),
            chain(3, &[&leaf, &beside, &upper, &lower, &root]),
            chain(1, &[&leaf, &lower, &root]),
            chain(0, &[&upper, &beside, &root]),
        ])
    };
    all().unwrap_or_default()
}

/// A certificate with its key, two certificates, and the key alone.
pub(super) fn pem_files() -> Vec<Vec<u8>> {
    let all = || {
        let key = KeyPair::generate().ok()?;
        let certificate = CertificateParams::new([String::from("host.example")]).ok()?.self_signed(&key).ok()?.pem();
        let secret = key.serialize_pem();
        Some(vec![[certificate.as_str(), &secret].concat(), certificate.repeat(2), secret])
    };
    all().unwrap_or_default().into_iter().map(String::into_bytes).collect()
}

/// Whom a program takes itself for, as its file says it.
pub(super) fn client_pem() -> Vec<Vec<u8>> {
    let pem = || {
        let mut params = CertificateParams::default();
        params.subject_alt_names.push(SanType::URI("spiffe://kith.test/org/R1H/role/ed".try_into().ok()?));
        Some(params.self_signed(&KeyPair::generate().ok()?).ok()?.pem().into_bytes())
    };
    pem().into_iter().collect()
}
