//! The authorities between those of the configuration and clients, as chains have shown them: whose name a list may bear, and under
//! which keys. Never learns one that no authority of the configuration vouches for.

use std::sync::{Mutex, MutexGuard, PoisonError};

use rustls_pki_types::CertificateDer;
use x509_parser::prelude::{FromDer, SubjectPublicKeyInfo, X509Certificate};

/// Kept at most; those who issue to hospitals are a few.
const ISSUERS_MAX: usize = 256;

/// An authority between.
#[derive(Debug)]
struct Known {
    der: CertificateDer<'static>,
    /// The authority of the configuration at the end of its chain: it counts as long as that one does.
    root: CertificateDer<'static>,
}

/// Every authority between that was shown since the start.
#[derive(Debug, Default)]
pub(crate) struct Issuers(Mutex<Vec<Known>>);

impl Issuers {
    fn lock(&self) -> MutexGuard<'_, Vec<Known>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes in who stands between `leaf` and one of `roots`, when each has signed the next; whatever else was shown beside them is
    /// left out. Whether any of them is new. Verifies signatures, once for each authority.
    pub(crate) fn learn(
        &self,
        leaf: &CertificateDer<'_>,
        between: &[CertificateDer<'_>],
        roots: &[CertificateDer<'static>],
    ) -> bool {
        if between.iter().all(|der| self.is_known(der, roots)) {
            return false;
        }
        let Some((path, root)) = path(leaf, between, roots) else { return false };
        let mut is_any_new = false;
        for (der, root) in path.iter().filter_map(|at| between.get(*at).zip(roots.get(root))) {
            if self.is_known(der, roots) {
                continue;
            }
            let mut known = self.lock();
            known.retain(|one| roots.contains(&one.root));
            if known.len() < ISSUERS_MAX {
                known.push(Known { der: CertificateDer::from(der.to_vec()), root: root.clone() });
                is_any_new = true;
            }
        }
        is_any_new
    }

    fn is_known(&self, der: &CertificateDer<'_>, roots: &[CertificateDer<'static>]) -> bool {
        self.lock().iter().any(|known| *known.der == **der && roots.contains(&known.root))
    }

    /// Without the lock: nobody who connects waits for signatures of lists.
    fn below(&self, roots: &[CertificateDer<'static>]) -> Vec<CertificateDer<'static>> {
        let known = self.lock();
        known.iter().filter(|known| roots.contains(&known.root)).map(|known| known.der.clone()).collect()
    }

    /// Whether any of them by this name below `roots` signed what `signed` holds a key against.
    pub(crate) fn vouch(
        &self,
        name: &[u8],
        roots: &[CertificateDer<'static>],
        signed: impl Fn(&SubjectPublicKeyInfo<'_>) -> bool,
    ) -> bool {
        self.below(roots).iter().any(|der| {
            X509Certificate::from_der(der)
                .is_ok_and(|(_, issuer)| issuer.subject().as_raw() == name && signed(issuer.public_key()))
        })
    }

    /// Whether all of them by this name below `roots` that `signed` holds for, of whom there is one at least, are so.
    pub(crate) fn are_all(
        &self,
        name: &[u8],
        roots: &[CertificateDer<'static>],
        signed: impl Fn(&SubjectPublicKeyInfo<'_>) -> bool,
        are_so: impl Fn(&CertificateDer<'static>) -> bool,
    ) -> bool {
        let mut is_any = false;
        for der in &self.below(roots) {
            let Ok((_, issuer)) = X509Certificate::from_der(der) else { continue };
            if issuer.subject().as_raw() == name && signed(issuer.public_key()) {
                if !are_so(der) {
                    return false;
                }
                is_any = true;
            }
        }
        is_any
    }

    /// Whether a list in this name is none of theirs: there are such by this name below `roots`, and none of them signed it.
    /// `signed` holds a key against the list.
    pub(crate) fn disown(
        &self,
        name: &[u8],
        roots: &[CertificateDer<'static>],
        signed: impl Fn(&SubjectPublicKeyInfo<'_>) -> bool,
    ) -> bool {
        let mut is_of_one = false;
        for der in &self.below(roots) {
            let Ok((_, issuer)) = X509Certificate::from_der(der) else { continue };
            if issuer.subject().as_raw() != name {
                continue;
            }
            if signed(issuer.public_key()) {
                return false;
            }
            is_of_one = true;
        }
        is_of_one
    }
}

/// Which of `between` lead from the leaf upwards, and to which of `roots`.
fn path(
    leaf: &CertificateDer<'_>,
    between: &[CertificateDer<'_>],
    roots: &[CertificateDer<'_>],
) -> Option<(Vec<usize>, usize)> {
    let (above, roots) = (readable(between), readable(roots));
    let (_, leaf) = X509Certificate::from_der(leaf).ok()?;
    let (mut path, mut below) = (Vec::new(), &leaf);
    loop {
        if let Some((root, _)) = roots.iter().find(|(_, root)| has_signed(root, below)) {
            return Some((path, *root));
        }
        let (at, signer) =
            above.iter().find(|(at, signer)| !path.contains(at) && signer.is_ca() && has_signed(signer, below))?;
        path.push(*at);
        below = signer;
    }
}

fn readable<'a>(ders: &'a [CertificateDer<'_>]) -> Vec<(usize, X509Certificate<'a>)> {
    ders.iter().enumerate().filter_map(|(at, der)| Some((at, X509Certificate::from_der(der).ok()?.1))).collect()
}

fn has_signed(above: &X509Certificate<'_>, below: &X509Certificate<'_>) -> bool {
    below.issuer().as_raw() == above.subject().as_raw() && below.verify_signature(Some(above.public_key())).is_ok()
}

/// How many of those between are learnt of a chain that is the first.
pub(crate) fn examine(
    leaf: &CertificateDer<'static>,
    between: &[CertificateDer<'static>],
    roots: &[CertificateDer<'static>],
) -> String {
    let issuers = Issuers::default();
    let is_any_new = issuers.learn(leaf, between, roots);
    assert!(!issuers.learn(leaf, between, roots), "an authority is learnt twice");
    let known = issuers.below(roots);
    assert_eq!(is_any_new, !known.is_empty(), "what is new is not what was learnt");
    assert!(known.iter().all(|der| between.contains(der)), "somebody is learnt who was not shown");
    assert!(!Issuers::default().learn(leaf, between, &[]), "somebody is learnt whom no authority vouches for");
    format!("{} learnt of {}", known.len().min(9), between.len().min(9))
}

#[cfg(test)]
mod tests {
    use super::*;
    use rcgen::{BasicConstraints, CertificateParams, DnType, IsCa, Issuer, KeyPair};

    type Ca = (CertificateDer<'static>, Issuer<'static, KeyPair>);

    fn authority(name: &str, above: Option<&Ca>, ca: bool) -> Ca {
        let key = KeyPair::generate().unwrap();
        let mut params = CertificateParams::default();
        params.distinguished_name.push(DnType::CommonName, name);
        params.is_ca = if ca { IsCa::Ca(BasicConstraints::Unconstrained) } else { IsCa::NoCa };
        let made = match above {
            Some((_, issuer)) => params.signed_by(&key, issuer).unwrap(),
            None => params.self_signed(&key).unwrap(),
        };
        (made.der().clone(), Issuer::new(params, key))
    }

    fn name(of: &Ca) -> Vec<u8> {
        X509Certificate::from_der(&of.0).unwrap().1.subject().as_raw().to_vec()
    }

    #[test]
    fn only_who_leads_from_the_client_to_an_authority_of_the_configuration_is_learnt_and_once() {
        let root = authority("root", None, true);
        let upper = authority("upper", Some(&root), true);
        let lower = authority("lower", Some(&upper), true);
        let leaf = authority("leaf", Some(&lower), false);
        // Whoever has a certificate can show whatever else beside it, also what it signed with that.
        let no_authority = authority("no authority", Some(&root), false);
        let beside = [authority("lower", None, true), authority("upper", Some(&no_authority), true)];
        let shown = [&lower, &beside[0], &beside[1], &no_authority, &upper].map(|(der, _)| der.clone());
        let (issuers, roots) = (Issuers::default(), [root.0.clone()]);
        assert!(issuers.learn(&leaf.0, &shown, &roots));
        assert!(!issuers.learn(&leaf.0, &shown, &roots), "it is known");
        let learnt: Vec<Vec<u8>> = issuers.lock().iter().map(|known| known.der.to_vec()).collect();
        assert_eq!(learnt, [lower.0.to_vec(), upper.0.to_vec()]);

        let of_none = Issuers::default();
        assert!(!of_none.learn(&leaf.0, &shown[..4], &roots), "a link is missing");
        assert!(!of_none.learn(&leaf.0, &shown, &[authority("root", None, true).0]), "another root by this name");
        let below_no_authority = authority("leaf", Some(&beside[1]), false);
        assert!(!of_none.learn(&below_no_authority.0, &shown, &roots), "over who is none");
        assert!(of_none.lock().is_empty());
        assert_eq!(examine(&leaf.0, &shown, &roots), "2 learnt of 5");
    }

    #[test]
    fn a_list_is_disowned_when_nobody_of_that_name_signed_it_and_as_long_as_their_root_counts() {
        let root = authority("root", None, true);
        let [first, second] = ["between", "between"].map(|name| authority(name, Some(&root), true));
        let (issuers, roots) = (Issuers::default(), [root.0.clone()]);
        assert!(!issuers.disown(&name(&first), &roots, |_| false), "nobody of that name is known");
        for one in [&first, &second] {
            let leaf = authority("leaf", Some(one), false);
            assert!(issuers.learn(&leaf.0, std::slice::from_ref(&one.0), &roots));
        }
        assert!(issuers.disown(&name(&first), &roots, |_| false));
        assert!(issuers.vouch(&name(&first), &roots, |_| true) && !issuers.vouch(b"another", &roots, |_| true));
        assert!(!issuers.vouch(&name(&first), &[], |_| true), "their root is gone");
        let second_key = X509Certificate::from_der(&second.0).unwrap().1.public_key().raw.to_vec();
        assert!(!issuers.disown(&name(&first), &roots, |key| *key.raw == *second_key), "one of them signed it");
        assert!(!issuers.disown(b"another", &roots, |_| false));
        let are_all = |roots: &[CertificateDer<'static>], are: &[&Ca]| {
            issuers.are_all(&name(&first), roots, |_| true, |der| are.iter().any(|(one, _)| one == der))
        };
        assert!(are_all(&roots, &[&first, &second]) && !are_all(&roots, &[&first]));
        assert!(!are_all(&[], &[&first, &second]) && !issuers.are_all(b"another", &roots, |_| true, |_| true));
        assert!(!issuers.disown(&name(&first), &[], |_| false), "their root is gone");
    }
}
