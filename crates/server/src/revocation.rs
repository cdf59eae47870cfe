//! Revocation lists: read from a file or a directory, and held against the authorities before they come into force.
//! Never takes a list that would shut out everybody, or lists that would take back what those in force revoke. What is revoked
//! never hangs on the order of files.

mod reading;
mod renewal;

use std::collections::HashSet;
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};

use rustls_pki_types::{CertificateDer, CertificateRevocationListDer};
use x509_parser::oid_registry::{OID_X509_EXT_AUTHORITY_KEY_IDENTIFIER, OID_X509_EXT_ISSUER_DISTRIBUTION_POINT};
use x509_parser::prelude::{
    CertificateRevocationList, FromDer, KeyIdentifier, ParsedExtension, SubjectPublicKeyInfo, X509Certificate,
    X509Extension,
};

use crate::issuers::Issuers;
pub(crate) use reading::{Reading, files, wrong};
pub use renewal::KeptList;
pub(crate) use renewal::{Beside, Renewed};

/// Verifiers at most: an authority that changes its key has two lists for a while, and so may one below it.
const VARIANTS_MAX: usize = 8;

/// Letters of a name that are shown at most.
const SHOWN_MAX: usize = 200;

/// One list.
#[derive(Debug)]
struct List {
    der: CertificateRevocationListDer<'static>,
    /// Where it was read from.
    file: Arc<Path>,
    /// Who signed it, for people to read.
    name: String,
    /// Who signed it, as DER.
    issuer: Vec<u8>,
    /// Which of the keys under that name it says it is signed with; nothing when it does not say.
    key: Vec<u8>,
    /// Which of the issuer's certificates it is about, as DER; nothing when it is about all.
    scope: Vec<u8>,
    issued_s: i64,
    expires_s: Option<i64>,
    /// The numbers of the certificates that it revokes, without zeros in front.
    revoked: HashSet<Vec<u8>>,
    /// Keys that it was held against, each with whether it is signed with that: it is held against each beside many others, and to
    /// verify takes long.
    signed: Mutex<Vec<(Vec<u8>, bool)>>,
}

/// By whom a list may be signed: the authorities of the configuration, and those between them and clients.
pub(crate) type Signers<'a> = (&'a [CertificateDer<'static>], &'a Issuers);

/// Lists as they were read, or [`Self::newest`] of them.
#[derive(Debug, Clone, Default)]
pub(crate) struct Lists(Vec<Arc<List>>);

impl Lists {
    /// The newest list of each issuer, key and scope, but for those that a later list about everything has overtaken.
    pub(crate) fn newest(self) -> Self {
        let mut newest = Self::default();
        for list in self.0 {
            newest.keep_newest(list);
        }
        newest.without_overtaken()
    }

    /// Of the lists that may tell of a certificate the verifier asks the first for its date: the one that expires first. The same lists
    /// are in the same order, wherever they come from: their hash tells whether others are in force.
    fn in_order(mut self) -> Self {
        self.0.sort_by(|one, other| (one.expires_s, &*one.der).cmp(&(other.expires_s, &*other.der)));
        self
    }

    /// An older list beside a newer one must not hide what was revoked between them. Two of one second both count.
    fn keep_newest(&mut self, list: Arc<List>) {
        let is_known = |known: &Arc<List>| known.issued_s > list.issued_s || *known.der == *list.der;
        if self.0.iter().any(|known| known.is_of(&list) && is_known(known)) {
            return;
        }
        self.0.retain(|known| !known.is_of(&list) || known.issued_s == list.issued_s);
        self.0.push(list);
    }

    /// A list without a scope is about every certificate of its issuer: an older one about some of them has nothing to add. Two of one
    /// second both count.
    fn without_overtaken(self) -> Self {
        let (whole, of_some): (Vec<Arc<List>>, Vec<Arc<List>>) =
            self.0.into_iter().partition(|list| list.scope.is_empty());
        let adds = |list: &Arc<List>| !whole.iter().any(|all| all.is_of_key_of(list) && all.issued_s > list.issued_s);
        let left: Vec<Arc<List>> = of_some.into_iter().filter(adds).collect();
        Self(whole.into_iter().chain(left).collect()).in_order()
    }

    /// Whether any list of its issuer names a certificate of this chain. The verifier asks one list alone, the first that may tell
    /// of a certificate; which one that is must not decide who is let in.
    pub(crate) fn revoke_any_of<'a>(&self, chain: impl IntoIterator<Item = &'a CertificateDer<'a>>) -> bool {
        chain.into_iter().any(|der| {
            // What cannot be read cannot be found in a list either.
            let Ok((_, certificate)) = X509Certificate::from_der(der) else { return true };
            let number = certificate.serial.to_bytes_be();
            self.of(certificate.issuer().as_raw()).any(|list| list.revoked.contains(&number))
        })
    }

    fn of<'a>(&'a self, issuer: &'a [u8]) -> impl Iterator<Item = &'a Arc<List>> {
        self.0.iter().filter(move |list| list.issuer == issuer)
    }

    /// Whether each authority has a list that it signed, and no list is in the name of one without being of any by that name.
    /// A chain of which no list tells is refused, and so is one whose list is signed by somebody else: without this, one bad file
    /// would shut out every hospital.
    pub(crate) fn fit(&self, authorities: &[CertificateDer<'static>]) -> Result<(), String> {
        let mut known = Vec::new();
        for (number, der) in (1_usize..).zip(authorities) {
            let (_, authority) =
                X509Certificate::from_der(der).map_err(|_| format!("authority {number} is not readable"))?;
            if self.of(authority.subject().as_raw()).next().is_none() {
                return Err(format!("expected a list of each client authority, found none of authority {number}"));
            }
            // Another by this name, with a key of its own, may have signed the others.
            if !self.of(authority.subject().as_raw()).any(|list| list.is_signed_with(authority.public_key())) {
                return Err(format!("no list in the name of authority {number} is signed by it"));
            }
            known.push(authority);
        }
        for list in &self.0 {
            let mut named = known.iter().filter(|one| one.subject().as_raw() == list.issuer).peekable();
            if named.peek().is_some() && !named.any(|one| list.is_signed_with(one.public_key())) {
                return Err(String::from("a list in the name of a client authority is signed by none of that name"));
            }
        }
        Ok(())
    }

    /// Whether any list is of no authority that has its name.
    pub(crate) fn are_disowned(&self, signers: Signers<'_>) -> bool {
        self.0.iter().any(|list| list.is_disowned(signers))
    }

    /// When the first of them expires, in seconds since 1970.
    pub(crate) fn expires_s(&self) -> Option<i64> {
        self.0.iter().filter_map(|list| list.expires_s).min()
    }

    /// The lists as verifiers can take them, which ask the first that bears a name and no other: of each name those of one key, in
    /// every combination. Nothing when there are too many.
    pub(crate) fn variants(&self) -> Option<Vec<Vec<CertificateRevocationListDer<'static>>>> {
        let mut variants: Vec<Vec<&Arc<List>>> = vec![Vec::new()];
        for keys in self.keys_by_name() {
            let mut more: Vec<Vec<&Arc<List>>> = Vec::new();
            for before in &variants {
                for key in &keys {
                    let own = self.0.iter().filter(|list| list.is_of_key_of(key));
                    more.push(before.iter().copied().chain(own).collect());
                }
            }
            variants = more;
            if variants.len() > VARIANTS_MAX {
                return None;
            }
        }
        let ders = |lists: Vec<&Arc<List>>| lists.into_iter().map(|list| list.der.clone()).collect::<Vec<_>>();
        Some(variants.into_iter().map(ders).collect())
    }

    /// Of each name, one list of each key.
    fn keys_by_name(&self) -> Vec<Vec<&Arc<List>>> {
        let mut names: Vec<Vec<&Arc<List>>> = Vec::new();
        for list in &self.0 {
            match names.iter_mut().find(|keys| keys.iter().any(|one| one.issuer == list.issuer)) {
                Some(keys) if keys.iter().any(|one| one.is_of_key_of(list)) => {}
                Some(keys) => keys.push(list),
                None => names.push(vec![list]),
            }
        }
        names
    }

    pub(crate) fn ders(&self) -> impl Iterator<Item = CertificateRevocationListDer<'static>> {
        self.0.iter().map(|list| list.der.clone())
    }
}

impl List {
    fn new(der: CertificateRevocationListDer<'static>, file: &Arc<Path>) -> Option<Self> {
        let (issuer, name, key, scope, issued_s, expires_s, revoked) = {
            let (rest, parsed) = CertificateRevocationList::from_der(&der).ok()?;
            if !rest.is_empty() {
                return None;
            }
            let name = shown(&parsed.issuer().to_string());
            let scope = parsed.extensions().iter().find(|found| found.oid == OID_X509_EXT_ISSUER_DISTRIBUTION_POINT);
            let scope = scope.map_or_else(Vec::new, |found| found.value.to_vec());
            let key = parsed.extensions().iter().find(|found| found.oid == OID_X509_EXT_AUTHORITY_KEY_IDENTIFIER);
            let key = key.map_or_else(Vec::new, named_key);
            let expires_s = parsed.next_update().map(|at| at.timestamp());
            let revoked = parsed.iter_revoked_certificates().map(|found| found.serial().to_bytes_be()).collect();
            (parsed.issuer().as_raw().to_vec(), name, key, scope, parsed.last_update().timestamp(), expires_s, revoked)
        };
        let (file, signed) = (Arc::clone(file), Mutex::default());
        Some(Self { der, file, name, issuer, key, scope, issued_s, expires_s, revoked, signed })
    }

    fn is_of(&self, other: &List) -> bool {
        self.is_of_key_of(other) && self.scope == other.scope
    }

    fn is_of_key_of(&self, other: &List) -> bool {
        self.issuer == other.issuer && self.key == other.key
    }

    /// Whether both are by one key, though one of them does not say so, or says it in other words. The words count alone where
    /// nobody knows whose key either is signed with.
    fn is_by_signer_of(&self, other: &List, signers: Signers<'_>) -> bool {
        if self.issuer != other.issuer {
            return false;
        }
        let are_both = |key: &SubjectPublicKeyInfo<'_>| self.is_signed_with(key) && other.is_signed_with(key);
        let is_either = |key: &SubjectPublicKeyInfo<'_>| self.is_signed_with(key) || other.is_signed_with(key);
        *self.der == *other.der
            || self.has_signer(signers, are_both)
            || (self.key == other.key && !self.has_signer(signers, is_either))
    }

    /// Whether the key of any authority of its name is one of these.
    fn has_signer(
        &self,
        (authorities, issuers): Signers<'_>,
        is_one: impl Fn(&SubjectPublicKeyInfo<'_>) -> bool,
    ) -> bool {
        let is_of_one = |der: &CertificateDer<'_>| {
            X509Certificate::from_der(der).is_ok_and(|(_, authority)| {
                authority.subject().as_raw() == self.issuer && is_one(authority.public_key())
            })
        };
        authorities.iter().any(is_of_one) || issuers.vouch(&self.issuer, authorities, &is_one)
    }

    fn is_signed_with(&self, key: &SubjectPublicKeyInfo<'_>) -> bool {
        let known = || self.signed.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(is_signed) = known().iter().find(|(of, _)| *of == key.raw).map(|(_, is_signed)| *is_signed) {
            return is_signed;
        }
        // Without the lock: nobody who connects waits for the signatures of others.
        let is_signed = CertificateRevocationList::from_der(&self.der)
            .is_ok_and(|(_, parsed)| parsed.verify_signature(key).is_ok());
        known().push((key.raw.to_vec(), is_signed));
        is_signed
    }

    fn is_named_as_any_of(&self, authorities: &[CertificateDer<'static>]) -> bool {
        authorities.iter().any(|der| {
            X509Certificate::from_der(der).is_ok_and(|(_, authority)| authority.subject().as_raw() == self.issuer)
        })
    }

    /// Those in the name of an authority of the configuration are held against that one.
    fn is_disowned(&self, (authorities, issuers): Signers<'_>) -> bool {
        let mut is_named = false;
        for der in authorities {
            let Ok((_, authority)) = X509Certificate::from_der(der) else { continue };
            if authority.subject().as_raw() == self.issuer {
                if self.is_signed_with(authority.public_key()) {
                    return false;
                }
                is_named = true;
            }
        }
        is_named || issuers.disown(&self.issuer, authorities, |key| self.is_signed_with(key))
    }
}

/// The key that an extension names: its identifier alone where there is one, for an authority may add or leave out the rest.
fn named_key(said: &X509Extension<'_>) -> Vec<u8> {
    if let ParsedExtension::AuthorityKeyIdentifier(parsed) = said.parsed_extension()
        && let Some(KeyIdentifier(identifier)) = &parsed.key_identifier
    {
        return identifier.to_vec();
    }
    said.value.to_vec()
}

/// A name as it may stand in the log, on the metrics page and in the audit: whoever made the file or the list chose it.
fn shown(name: &str) -> String {
    let is_plain = |letter: &char| letter.is_alphanumeric() || " -_.,:;=+@/()'*#&".contains(*letter);
    name.chars().map(|letter| if is_plain(&letter) { letter } else { '?' }).take(SHOWN_MAX).collect()
}

/// What a list is, in a few words.
pub(crate) fn examine(der: CertificateRevocationListDer<'static>) -> String {
    let Some(list) = List::new(der, &Arc::from(Path::new("a list"))) else { return String::from("no list") };
    assert!(list.is_of(&list), "a list is of another authority than itself");
    format!("a list, scope {}, expires {}", !list.scope.is_empty(), list.expires_s.is_some())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Whoever makes a list chooses the name in it, and it stands in quotes on the metrics page and on a line of the log.
    #[test]
    fn a_name_is_shown_so_that_it_can_pass_for_nothing_else() {
        assert_eq!(shown("C=GB, O=NHS \u{c4}rzte, CN=a.b-c (1)"), "C=GB, O=NHS \u{c4}rzte, CN=a.b-c (1)");
        assert_eq!(shown("CN=a\"} 1\nkith_ready 1\r\u{202e}\\"), "CN=a?? 1?kith_ready 1???");
        assert_eq!(shown(&"x".repeat(9_999)).len(), SHOWN_MAX);
    }
}
