//! The TLS configuration in force: TLS 1.3 only, a client certificate with one identity required, replaced on reload.
//! Never resumes a session: every connection shows its certificate again. Never lets a bad new file replace a good old one.

mod error;
mod renewal;

use std::collections::{BTreeSet, HashSet};
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError, RwLock};

use ring::digest::{Context, SHA256};
use rustls::ServerConfig;
use rustls::server::NoServerSessionStorage;
use rustls::sign::SingleCertAndKey;
use rustls_pki_types::pem::PemObject;
use rustls_pki_types::{CertificateDer, UnixTime};
use x509_parser::prelude::{FromDer, X509Certificate};

use crate::client_trust::{Authorities, ClientTrust, provider, read_lists};
use crate::config;
pub use crate::file_changes::FileChange;
use crate::file_changes::{FileChanges, Seen, fingerprint};
use crate::issuers::Issuers;
use crate::open_connections::{Chain, Judged, OpenConnections, Registered};
pub use crate::revocation::KeptList;
use crate::revocation::{Lists, Reading};
use crate::server_pair::{self, ServerPair};
pub use error::TlsError;
use renewal::Outcome;

/// Lists that stay of which one reading tells the audit: a file may hold any number. The next ones tell of the others, as they do
/// while the audit takes nothing and there is no room for them.
const KEPT_TOLD_MAX: usize = 64;

/// The only application protocol spoken.
const ALPN_H2: &[u8] = b"h2";

/// What is replaced by itself: a bad new file of one keeps that one alone as it was.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Part {
    /// The server's certificate and key.
    Certificate,
    /// The authorities of client certificates.
    ClientAuthorities,
    /// The revocation lists.
    RevocationLists,
}

impl Part {
    /// Every part.
    pub const ALL: [Part; 3] = [Part::Certificate, Part::ClientAuthorities, Part::RevocationLists];

    /// Its name on the metrics page.
    pub fn word(self) -> &'static str {
        match self {
            Part::Certificate => "certificate",
            Part::ClientAuthorities => "client_authorities",
            Part::RevocationLists => "revocation_lists",
        }
    }
}

/// Everything in force at one moment.
#[derive(Debug)]
pub(crate) struct InForce {
    pair: Arc<ServerPair>,
    trust: Arc<ClientTrust>,
    config: Arc<ServerConfig>,
    failed: Vec<Part>,
    kept: BTreeSet<KeptList>,
    /// Those of them of which the audit hears, or has heard: the next reading tells of others.
    told: BTreeSet<KeptList>,
    /// Of each part, in the order of [`Part::ALL`].
    sha256: [[u8; 32]; Part::ALL.len()],
    /// Counts reloads: a verdict of an earlier one is made anew.
    generation: u64,
}

impl InForce {
    fn new(
        pair: Arc<ServerPair>,
        trust: Arc<ClientTrust>,
        (failed, kept): (Vec<Part>, BTreeSet<KeptList>),
        generation: u64,
    ) -> Result<Self, TlsError> {
        let mut config = ServerConfig::builder_with_provider(provider())
            .with_protocol_versions(&[&rustls::version::TLS13])?
            .with_client_cert_verifier(trust.verifier())
            .with_cert_resolver(Arc::new(SingleCertAndKey::from(Arc::clone(&pair.key))));
        config.alpn_protocols = vec![ALPN_H2.to_vec()];
        config.session_storage = Arc::new(NoServerSessionStorage {});
        config.send_tls13_tickets = 0;
        let lists = trust.lists.as_ref().map(|lists| sha256(lists.ders()));
        let sha256 = [sha256(&pair.key.cert), sha256(&trust.authorities.ders), lists.unwrap_or_default()];
        let (config, told) = (Arc::new(config), BTreeSet::new());
        Ok(Self { pair, trust, config, failed, kept, told, sha256, generation })
    }

    /// What of this is another than `before`, or could not be used; of lists also which stay because of that and were not `told`, as
    /// far as there is `room` for them.
    fn changes(&self, before: &[[u8; 32]], told: &BTreeSet<KeptList>, room: usize) -> Vec<FileChange> {
        let of = |((part, sha256), before): ((Part, [u8; 32]), &[u8; 32])| {
            let change = FileChange { part, in_force: None, kept: None };
            let changed = (sha256 != *before).then_some(FileChange { in_force: Some(sha256), ..change.clone() });
            let refused = self.failed.contains(&part).then_some(change);
            [changed, refused].into_iter().flatten()
        };
        let news = self.kept.difference(told).take(room.min(KEPT_TOLD_MAX)).cloned();
        let stay = news.map(|list| FileChange { part: Part::RevocationLists, in_force: None, kept: Some(list) });
        Part::ALL.into_iter().zip(self.sha256).zip(before).flat_map(of).chain(stay).collect()
    }

    /// Whether the same is in force, and the same could not be used or is known to be of somebody else.
    fn is_like(&self, other: &Self) -> bool {
        let are_foreign = [self, other].map(|one| one.trust.are_lists_foreign());
        let is_wrong_alike = self.failed == other.failed && self.kept == other.kept;
        self.sha256 == other.sha256 && is_wrong_alike && are_foreign[0] == are_foreign[1]
    }

    /// Whether lists stay of which the audit does not hear, because one reading tells only of so many, or there was no room for them.
    fn has_more_to_tell(&self) -> bool {
        !self.kept.is_subset(&self.told)
    }

    /// What a handshake is done with.
    pub(crate) fn config(&self) -> Arc<ServerConfig> {
        Arc::clone(&self.config)
    }
}

/// The TLS configuration in force, shared by everything that accepts connections.
#[derive(Debug)]
pub struct TlsState {
    files: config::Tls,
    trust_domain: Arc<str>,
    in_force: RwLock<Arc<InForce>>,
    /// Held while files are read, so that two reloads never mix: what the last one failed with.
    reloading: Mutex<Vec<String>>,
    open: Arc<OpenConnections>,
    /// For whose sake lists were refused: in the way until files change, though not connected any more.
    in_the_way: Mutex<HashSet<Chain>>,
    /// Lists that were in force and have gone.
    gone: Mutex<Lists>,
    issuers: Arc<Issuers>,
    changes: FileChanges,
    first_seen: Vec<Seen>,
    /// A reading that was due did not come to its end, and none has since.
    unread: AtomicBool,
}

impl TlsState {
    /// Reads the certificate files for the first time.
    ///
    /// # Errors
    /// When any file is missing or not usable.
    pub fn load(files: config::Tls, trust_domain: &str) -> Result<Self, TlsError> {
        let trust_domain: Arc<str> = Arc::from(trust_domain);
        let first_seen = fingerprint(&files);
        let pair = Arc::new(ServerPair::read(&files)?);
        let authorities = Arc::new(Authorities::read(&files.client_ca)?);
        let issuers = Arc::<Issuers>::default();
        let lists = read_lists(&files, UnixTime::now()).map(Reading::whole).transpose()?;
        let lists = lists.map(|lists| Arc::new(lists.newest()));
        let trust = ClientTrust::new(authorities, lists, &files, &trust_domain, &issuers)?;
        let trust = Arc::new(trust);
        tell_of_expired(&trust, UnixTime::now());
        let first = InForce::new(pair, trust, (Vec::new(), BTreeSet::new()), 0)?;
        let changes = FileChanges::default();
        // Under which certificates and lists it begins; nothing of what is not configured.
        for change in first.changes(&[[0; 32]; Part::ALL.len()], &BTreeSet::new(), 0) {
            changes.note(change);
        }
        let in_force = RwLock::new(Arc::new(first));
        let (reloading, open, in_the_way) = (Mutex::default(), Arc::default(), Mutex::default());
        let (gone, unread) = (Mutex::default(), AtomicBool::new(false));
        Ok(Self {
            files,
            trust_domain,
            in_force,
            reloading,
            open,
            in_the_way,
            gone,
            issuers,
            changes,
            first_seen,
            unread,
        })
    }

    /// How many different certificates with their chains are connected.
    pub fn connected(&self) -> usize {
        self.open.chains().len()
    }

    /// What became of the files and is not in the audit yet.
    pub(crate) fn changes(&self) -> &FileChanges {
        &self.changes
    }

    /// What a connection that begins now is judged by.
    pub(crate) fn in_force(&self) -> Arc<InForce> {
        Arc::clone(&self.in_force.read().unwrap_or_else(PoisonError::into_inner))
    }

    /// Keeps a connection in view whose handshake was done with `under`, which may have been replaced meanwhile: it is judged anew
    /// then, for open connections were judged before it was one of them.
    pub(crate) fn register(&self, under: &InForce, chain: &[CertificateDer<'static>]) -> Registered {
        let judged = Judged { generation: under.generation, until_s: under.trust.until_s(chain) };
        let registered = self.open.register(chain, judged);
        // After it is in view: files that come into force from here on are held against it like any other.
        let now = self.in_force();
        now.trust.learn(chain);
        if now.generation != under.generation && now.trust.judge(chain, UnixTime::now()).is_none() {
            registered.standing().fall();
        }
        registered
    }

    /// Judges open connections anew, as far as files or time have changed their case: one whose chain no longer stands has
    /// its streams ended and its next call refused, and is closed. Gives how many. Verifies signatures: not for threads that
    /// answer calls.
    pub fn examine_open(&self, now: UnixTime) -> usize {
        let in_force = self.in_force();
        let now_s = i64::try_from(now.as_secs()).unwrap_or(i64::MAX);
        let fallen = self.open.examine(in_force.generation, now_s, |chain| in_force.trust.judge(chain, now));
        if fallen > 0 {
            tracing::warn!(connections = fallen, "client certificates no longer stand: their connections are closed");
        }
        fallen
    }

    /// The trust domain of accepted identities.
    pub fn trust_domain(&self) -> &str {
        &self.trust_domain
    }

    /// Reads the files again, and judges open connections by them. What is usable comes into force; what is not stays as it
    /// was, each part by itself.
    ///
    /// # Errors
    /// Why parts stay as they were.
    pub fn reload(&self) -> Result<(), Vec<TlsError>> {
        self.reload_at(UnixTime::now())
    }

    /// The same, by a clock of the caller's.
    ///
    /// # Errors
    /// Why parts stay as they were.
    pub fn reload_at(&self, now: UnixTime) -> Result<(), Vec<TlsError>> {
        let (errors, _) = self.read_again(true, now);
        if errors.is_empty() { Ok(()) } else { Err(errors) }
    }

    /// Does the same for what could not be used: why it still cannot, as far as that was not said before. Where it cannot, nothing
    /// changes and nothing is told.
    pub fn try_again(&self) -> Vec<TlsError> {
        let (errors, said) = self.read_again(false, UnixTime::now());
        errors.into_iter().filter(|error| !said.contains(&error.to_string())).collect()
    }

    /// Reads the files once more. Gives what that failed with, and what the reading before did.
    fn read_again(&self, is_changed: bool, now: UnixTime) -> (Vec<TlsError>, Vec<String>) {
        let mut last = self.reloading.lock().unwrap_or_else(PoisonError::into_inner);
        if is_changed {
            self.in_the_way.lock().unwrap_or_else(PoisonError::into_inner).clear();
        }
        let before = self.in_force();
        let mut outcome = Outcome::default();
        let pair = match outcome.take(ServerPair::read(&self.files)) {
            Some(pair) => Arc::new(pair),
            None => {
                outcome.fail(Part::Certificate);
                Arc::clone(&before.pair)
            }
        };
        let trust = self.renewed(&before.trust, now, &mut outcome);
        let Outcome { mut errors, failed, kept } = outcome;
        let made = InForce::new(pair, trust, (failed, kept), before.generation + 1);
        // What could not even be put together shows as what could not be read.
        self.unread.store(made.is_err(), Ordering::Relaxed);
        match made {
            Ok(next) if is_changed || !next.is_like(&before) || self.can_tell_more(&before) => {
                self.take((next, &*before), is_changed, now)
            }
            Ok(_) => {}
            Err(error) => errors.push(error),
        }
        let said = std::mem::replace(&mut *last, errors.iter().map(ToString::to_string).collect());
        (errors, said)
    }

    /// Whether the audit does not hear of all lists that stay, and there is room for more of them.
    fn can_tell_more(&self, before: &InForce) -> bool {
        before.has_more_to_tell() && self.changes.room() > 0
    }

    /// What was read comes into force, and open connections are judged by it.
    fn take(&self, (mut next, before): (InForce, &InForce), is_changed: bool, now: UnixTime) {
        tell_of_expired(&next.trust, now);
        self.remember(&before.trust, &next.trust);
        let is_news = |change: &FileChange| change.in_force.is_some() || change.kept.is_some();
        let is_told = |change: &FileChange| is_changed || is_news(change) || !before.failed.contains(&change.part);
        let changes = next.changes(&before.sha256, &before.told, self.changes.room());
        let told = changes.iter().filter_map(|change| change.kept.clone());
        next.told = before.told.intersection(&next.kept).cloned().chain(told).collect();
        for change in changes.into_iter().filter(is_told) {
            // The audit does not hear of a list that gives way before it took it: once there is room, it is told again.
            if let Some(list) = self.changes.note(change).and_then(|gave_way| gave_way.kept) {
                next.told.remove(&list);
            }
        }
        *self.in_force.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(next);
        self.examine_open(now);
    }

    /// Notes that a reading that was due did not come to its end: what the files hold by now is not known. Whether that is news.
    pub(crate) fn note_unread(&self) -> bool {
        !self.unread.swap(true, Ordering::Relaxed)
    }

    /// Whether that is so still.
    pub(crate) fn is_unread(&self) -> bool {
        self.unread.load(Ordering::Relaxed)
    }

    /// The parts whose new files cannot be used, so that the old ones are in force, and lists in force that turned out not to be
    /// signed by whose name they bear. Every one while it is not known what the files hold.
    pub fn failed(&self) -> Vec<Part> {
        if self.is_unread() {
            return Part::ALL.to_vec();
        }
        let now = self.in_force();
        let mut failed = now.failed.clone();
        if now.trust.are_lists_foreign() && !failed.contains(&Part::RevocationLists) {
            failed.push(Part::RevocationLists);
        }
        failed
    }

    /// Lists that stay in force because what the files hold cannot take their place.
    pub fn kept_lists(&self) -> BTreeSet<KeptList> {
        self.in_force().kept.clone()
    }

    /// When the first certificate of a part, or list, expires, in seconds since 1970. Authorities never do by themselves.
    pub fn expires_s(&self, part: Part) -> Option<i64> {
        let now = self.in_force();
        match part {
            Part::Certificate => now.pair.expires_s,
            Part::ClientAuthorities => None,
            Part::RevocationLists => now.trust.lists.as_ref().and_then(|lists| lists.expires_s()),
        }
    }

    /// What the files look like now, to notice a replacement.
    pub(crate) fn fingerprint(&self) -> Vec<Seen> {
        fingerprint(&self.files)
    }

    /// What they looked like before they were read for the first time: what was replaced since is in force only once it is read.
    pub(crate) fn first_seen(&self) -> &[Seen] {
        &self.first_seen
    }
}

/// Of DER encodings, one after the other.
fn sha256(ders: impl IntoIterator<Item = impl AsRef<[u8]>>) -> [u8; 32] {
    let mut context = Context::new(&SHA256);
    ders.into_iter().for_each(|der| context.update(der.as_ref()));
    let (mut sha256, digest) = ([0; 32], context.finish());
    sha256.copy_from_slice(digest.as_ref());
    sha256
}

/// An expired list says nothing of what was revoked since: somebody must bring a new one.
fn tell_of_expired(trust: &ClientTrust, now: UnixTime) {
    let now_s = i64::try_from(now.as_secs()).unwrap_or(i64::MAX);
    if trust.lists.as_ref().and_then(|lists| lists.expires_s()).is_some_and(|at| at <= now_s) {
        tracing::warn!("a revocation list has expired: who was revoked since then is not known");
    }
}

/// Everything that is wrong with the certificate files; nothing when they are usable together.
pub fn faults(files: &config::Tls, trust_domain: &str) -> Vec<TlsError> {
    let alone =
        [server_pair::chain(files).err(), server_pair::key(files).err(), Authorities::read(&files.client_ca).err()];
    let of_lists = read_lists(files, UnixTime::now()).unwrap_or_default().faults;
    let mut faults: Vec<TlsError> = alone.into_iter().flatten().chain(of_lists).collect();
    if faults.is_empty() {
        faults.extend(TlsState::load(files.clone(), trust_domain).err());
    }
    faults
}

/// The certificates in a PEM file, one at least.
pub(crate) fn certificates(path: &Path) -> Result<Vec<CertificateDer<'static>>, TlsError> {
    let read = |source| TlsError::Read { path: path.to_owned(), source };
    let found: Result<Vec<_>, _> = CertificateDer::pem_file_iter(path).map_err(read)?.collect();
    let found = found.map_err(read)?;
    if found.is_empty() { Err(TlsError::Empty { path: path.to_owned() }) } else { Ok(found) }
}

/// When a certificate expires, in seconds since 1970; nothing when it is not readable.
pub(crate) fn expires_s(certificate: &CertificateDer<'_>) -> Option<i64> {
    X509Certificate::from_der(certificate).ok().map(|(_, certificate)| certificate.validity().not_after.timestamp())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::accept::tests::tls;

    #[test]
    fn a_handshake_that_ends_after_the_files_were_replaced_is_judged_by_the_new_ones_at_once() {
        let [own, other] = [(); 2].map(|()| tempfile::tempdir().unwrap());
        let (tls, _) = (tls(own.path()), tls(other.path()));
        let [before, after] = [&own, &other].map(|dir| certificates(&dir.path().join("R1H.pem")).unwrap());
        let under = tls.in_force();
        let early = tls.register(&under, &before);
        std::fs::copy(other.path().join("ca.pem"), own.path().join("ca.pem")).unwrap();
        tls.reload().unwrap();
        let (late, new) = (tls.register(&under, &before), tls.register(&under, &after));
        assert!(!early.standing().stands(), "it was open");
        assert!(!late.standing().stands(), "it would go on until the next look at open connections");
        assert!(new.standing().stands());
    }
}
