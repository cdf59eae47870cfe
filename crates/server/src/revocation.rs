//! Revocation lists: read from a file or a directory, and held against the authorities before they come into force.
//! Never takes a list that would shut out everybody, or lists that would take back what those in force revoke. What is revoked
//! never hangs on the order of files.

use std::collections::HashSet;
use std::path::{Path, PathBuf};

use rustls_pki_types::pem::PemObject;
use rustls_pki_types::{CertificateDer, CertificateRevocationListDer};
use x509_parser::oid_registry::{OID_X509_EXT_AUTHORITY_KEY_IDENTIFIER, OID_X509_EXT_ISSUER_DISTRIBUTION_POINT};
use x509_parser::prelude::{
    CertificateRevocationList, FromDer, KeyIdentifier, ParsedExtension, SubjectPublicKeyInfo, X509Certificate,
    X509Extension,
};

use crate::issuers::Issuers;
use crate::tls::TlsError;

/// Files of lists in a directory: an authority has one, or a few.
const FILES_MAX: usize = 256;

/// Largest file of lists: a revoked certificate takes some 40 bytes, so this is a million and a half of them.
const FILE_MAX_BYTES: u64 = 64 << 20;

/// Verifiers at most: an authority that changes its key has two lists for a while, and so may one below it.
const VARIANTS_MAX: usize = 8;

/// What the names of files end in that are read from a directory.
const EXTENSIONS: [&str; 2] = ["pem", "crl"];

/// What is wrong with a list that no authority of its name has signed.
pub(crate) const DISOWNED: &str = "a list bears the name of an authority that did not sign it";

/// One list.
#[derive(Debug)]
struct List {
    der: CertificateRevocationListDer<'static>,
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
}

/// By whom a list may be signed: the authorities of the configuration, and those between them and clients.
pub(crate) type Signers<'a> = (&'a [CertificateDer<'static>], &'a Issuers);

/// Lists as they were read, or [`Self::newest`] of them.
#[derive(Debug)]
pub(crate) struct Lists(Vec<List>);

impl Lists {
    /// Reads a PEM file, or every `.pem` and `.crl` file of a directory.
    ///
    /// # Errors
    /// When one file is not usable, or there is no list at all.
    pub(crate) fn read(path: &Path) -> Result<Self, TlsError> {
        let mut lists = Self(Vec::new());
        for file in files(path)? {
            for der in in_file(&file)? {
                lists.0.push(List::new(der).ok_or_else(|| wrong(&file, "expected DER of a revocation list"))?);
            }
        }
        if lists.0.is_empty() {
            return Err(wrong(path, "expected a revocation list, found none"));
        }
        Ok(lists)
    }

    /// The newest list of each issuer, key and scope, but for those that a later list about everything has overtaken.
    pub(crate) fn newest(self) -> Self {
        let mut newest = Self(Vec::new());
        for list in self.0 {
            newest.keep_newest(list);
        }
        newest.leave_out_what_is_overtaken();
        // Of the lists that may tell of a certificate the verifier asks the first for its date: the one that expires first.
        newest.0.sort_by_key(|list| list.expires_s);
        newest
    }

    /// An older list beside a newer one must not hide what was revoked between them. Two of one second both count.
    fn keep_newest(&mut self, list: List) {
        let is_known = |known: &List| known.issued_s > list.issued_s || *known.der == *list.der;
        if self.0.iter().any(|known| known.is_of(&list) && is_known(known)) {
            return;
        }
        self.0.retain(|known| !known.is_of(&list) || known.issued_s == list.issued_s);
        self.0.push(list);
    }

    /// A list without a scope is about every certificate of its issuer: one about some of them that is no newer has nothing to add.
    fn leave_out_what_is_overtaken(&mut self) {
        let (whole, of_some): (Vec<List>, Vec<List>) =
            std::mem::take(&mut self.0).into_iter().partition(|list| list.scope.is_empty());
        let adds = |list: &List| !whole.iter().any(|all| all.is_of_key_of(list) && all.issued_s >= list.issued_s);
        let left: Vec<List> = of_some.into_iter().filter(adds).collect();
        self.0 = whole.into_iter().chain(left).collect();
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

    fn of<'a>(&'a self, issuer: &'a [u8]) -> impl Iterator<Item = &'a List> {
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

    /// The others: what they revoke need not wait for whoever wrote those, and none of those may pass for a newer list of the
    /// authority whose name and key it bears. What is in force already stays in the name of an authority between, unless one by that key
    /// is there: it may be of a new key, and whoever has shown that of the old one must not be in its way.
    pub(crate) fn without_disowned(self, signers: Signers<'_>, in_force: Option<&Lists>) -> Self {
        let (disowned, mut left): (Vec<List>, Vec<List>) =
            self.0.into_iter().partition(|list| list.is_disowned(signers));
        let may_stay = |list: &List| {
            in_force.is_some_and(|lists| lists.0.iter().any(|known| *known.der == *list.der))
                && !list.is_named_as_any_of(signers.0)
                && !left.iter().any(|own| own.is_of_key_of(list))
        };
        let staying: Vec<List> = disowned.into_iter().filter(may_stay).collect();
        left.extend(staying);
        Self(left)
    }

    /// What in place of `before` these lists would take back, if anything; one that turned out to be nobody's, whatever its date,
    /// stands in no other's way. `same_authorities`: those of clients have not changed with them, so none of the issuers can have gone.
    pub(crate) fn take_back(
        &self,
        before: &Lists,
        same_authorities: bool,
        signers: Signers<'_>,
    ) -> Option<&'static str> {
        for known in before.0.iter().filter(|known| !known.is_disowned(signers)) {
            let own: Vec<&List> = self.0.iter().filter(|list| list.is_by_signer_of(known, signers)).collect();
            let newest_s = own.iter().filter(|list| list.scope == known.scope).map(|list| list.issued_s).max();
            if own.is_empty() {
                if same_authorities {
                    return Some(
                        "an issuer that has a list in force has none here: all its certificates would be refused",
                    );
                }
            } else if newest_s.is_some_and(|at| at < known.issued_s) {
                return Some("a list is older than the one in force, which may have revoked more");
            } else if !self.stand_for(known, &own) {
                return Some("a list in force is gone, and its issuer's others do not name all that it revokes");
            }
        }
        None
    }

    /// Whether nothing is lost with a list that was in force: a newer one is in its place, or one about everything, or whatever it
    /// revokes others revoke. Else an old list of another scope would do to let in who is revoked. `own` are those by its signer.
    fn stand_for(&self, known: &List, own: &[&List]) -> bool {
        let is_about_it = |list: &List| list.scope.is_empty() || list.scope == known.scope;
        own.iter().any(|list| is_about_it(list) && list.issued_s >= known.issued_s)
            || known.revoked.iter().all(|number| self.of(&known.issuer).any(|list| list.revoked.contains(number)))
    }

    /// When the first of them expires, in seconds since 1970.
    pub(crate) fn expires_s(&self) -> Option<i64> {
        self.0.iter().filter_map(|list| list.expires_s).min()
    }

    /// The lists as verifiers can take them, which ask the first that bears a name and no other: of each name those of one key, in
    /// every combination. Nothing when there are too many.
    pub(crate) fn variants(&self) -> Option<Vec<Vec<CertificateRevocationListDer<'static>>>> {
        let mut variants: Vec<Vec<&List>> = vec![Vec::new()];
        for keys in self.keys_by_name() {
            let mut more: Vec<Vec<&List>> = Vec::new();
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
        let ders = |lists: Vec<&List>| lists.into_iter().map(|list| list.der.clone()).collect::<Vec<_>>();
        Some(variants.into_iter().map(ders).collect())
    }

    /// Of each name, one list of each key.
    fn keys_by_name(&self) -> Vec<Vec<&List>> {
        let mut names: Vec<Vec<&List>> = Vec::new();
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
    fn new(der: CertificateRevocationListDer<'static>) -> Option<Self> {
        let (issuer, key, scope, issued_s, expires_s, revoked) = {
            let (rest, parsed) = CertificateRevocationList::from_der(&der).ok()?;
            if !rest.is_empty() {
                return None;
            }
            let scope = parsed.extensions().iter().find(|found| found.oid == OID_X509_EXT_ISSUER_DISTRIBUTION_POINT);
            let scope = scope.map_or_else(Vec::new, |found| found.value.to_vec());
            let key = parsed.extensions().iter().find(|found| found.oid == OID_X509_EXT_AUTHORITY_KEY_IDENTIFIER);
            let key = key.map_or_else(Vec::new, named_key);
            let expires_s = parsed.next_update().map(|at| at.timestamp());
            let revoked = parsed.iter_revoked_certificates().map(|found| found.serial().to_bytes_be()).collect();
            (parsed.issuer().as_raw().to_vec(), key, scope, parsed.last_update().timestamp(), expires_s, revoked)
        };
        Some(Self { der, issuer, key, scope, issued_s, expires_s, revoked })
    }

    fn is_of(&self, other: &List) -> bool {
        self.is_of_key_of(other) && self.scope == other.scope
    }

    fn is_of_key_of(&self, other: &List) -> bool {
        self.issuer == other.issuer && self.key == other.key
    }

    /// Whether both are by one key, though one of them does not say so, or says it in other words.
    fn is_by_signer_of(&self, other: &List, (authorities, issuers): Signers<'_>) -> bool {
        if self.is_of_key_of(other) || self.issuer != other.issuer {
            return self.issuer == other.issuer;
        }
        let signed_both = |key: &SubjectPublicKeyInfo<'_>| self.is_signed_with(key) && other.is_signed_with(key);
        let has_signed = |der: &CertificateDer<'_>| {
            X509Certificate::from_der(der).is_ok_and(|(_, authority)| {
                authority.subject().as_raw() == self.issuer && signed_both(authority.public_key())
            })
        };
        authorities.iter().any(has_signed) || issuers.vouch(&self.issuer, authorities, signed_both)
    }

    fn is_signed_with(&self, key: &SubjectPublicKeyInfo<'_>) -> bool {
        CertificateRevocationList::from_der(&self.der).is_ok_and(|(_, parsed)| parsed.verify_signature(key).is_ok())
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

/// What a list is, in a few words.
pub(crate) fn examine(der: CertificateRevocationListDer<'static>) -> String {
    let Some(list) = List::new(der) else { return String::from("no list") };
    assert!(list.is_of(&list), "a list is of another authority than itself");
    format!("a list, scope {}, expires {}", !list.scope.is_empty(), list.expires_s.is_some())
}

/// The files that `path` stands for, in the order of their names.
///
/// # Errors
/// When a directory cannot be listed or holds too many.
pub(crate) fn files(path: &Path) -> Result<Vec<PathBuf>, TlsError> {
    if !path.is_dir() {
        return Ok(vec![path.to_owned()]);
    }
    let listed = |error: std::io::Error| wrong(path, &format!("cannot be listed: {error}"));
    let mut found = Vec::new();
    for entry in std::fs::read_dir(path).map_err(listed)? {
        let file = entry.map_err(listed)?.path();
        if EXTENSIONS.iter().any(|end| file.extension().is_some_and(|found| found == *end)) {
            found.push(file);
        }
    }
    if found.len() > FILES_MAX {
        return Err(wrong(path, &format!("expected at most {FILES_MAX} files, found {}", found.len())));
    }
    found.sort();
    Ok(found)
}

/// Every list in a file; a file without one is no file of lists.
fn in_file(file: &Path) -> Result<Vec<CertificateRevocationListDer<'static>>, TlsError> {
    let read = |source| TlsError::Read { path: file.to_owned(), source };
    let length = std::fs::metadata(file).map_err(|error| read(rustls_pki_types::pem::Error::Io(error)))?.len();
    if length > FILE_MAX_BYTES {
        return Err(wrong(file, &format!("expected at most {FILE_MAX_BYTES} bytes, found {length}")));
    }
    let found: Result<Vec<_>, _> = CertificateRevocationListDer::pem_file_iter(file).map_err(read)?.collect();
    let found = found.map_err(read)?;
    if found.is_empty() { Err(wrong(file, "expected a revocation list, found none")) } else { Ok(found) }
}

pub(crate) fn wrong(path: &Path, reason: &str) -> TlsError {
    TlsError::Lists { path: path.to_owned(), reason: reason.to_owned() }
}
