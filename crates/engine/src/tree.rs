//! The tree over the audit, as the engine opens it beside the journal and tells how it fares. Whatever becomes of it, no
//! answer waits for it and none fails by it.

use std::path::Path;
use std::sync::mpsc::{self, RecvTimeoutError};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;
use std::time::{Duration, UNIX_EPOCH};

use kith_domain::caller::{Peer, Role};
use kith_domain::change::AuditHead;
use kith_domain::codes::OdsCode;
use kith_domain::time::Moment;
use kith_merkle::{Checkpoint, Hash, Note, VerifierKey};
use kith_store::{
    AuditRef, COSIGNED_GONE, Compared, Journal, JournalError, Monotonic, NOT_COSIGNED, Proven, Removal, Tree,
    TreeError, TreeOptions, TreeReport,
};

use crate::audit_entry::AuditEntry;
use crate::audit_retention::AuditRemoval;
use crate::engine::Engine;
use crate::rows::decode;

/// How long a start waits for the tree: a large one is read in seconds.
const OPEN_LIMIT: Duration = Duration::from_secs(20);

/// What tree over the audit is to be kept.
#[derive(Debug)]
pub enum KeepTree {
    /// None: without a key its leaves would show nothing that whoever changes them could not change too.
    No,
    /// One, and its key cannot be used: answers go on, and the tree counts as failing.
    Unusable,
    /// One that grows and is signed as these say.
    Kept(TreeOptions),
}

/// How the tree over the audit fares, for metrics.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TreeHealth {
    /// It could not be opened, or does not grow.
    pub failing: bool,
    /// It, or the audit beside it, is not as it was signed: it is not signed again before a person has looked.
    pub suspected: bool,
    /// How long ago the newest checkpoint was signed, when entries wait for the next one; nought when none wait. `None` when
    /// there is no key.
    pub unsigned_for: Option<Duration>,
    /// Whether witnesses vouch for its heads.
    pub witnessed: Witnessed,
}

/// Whether witnesses vouch for the tree's heads, and since when none has.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Witnessed {
    /// None is configured, and none ever brought a cosignature.
    NotAwaited,
    /// One is configured and none ever brought a cosignature, or one has and what it brought is not there any more.
    Never,
    /// A cosignature was last kept then.
    LastAt(Moment),
}

/// When a cosignature was last kept. Blocks.
fn cosigned_at(tree: &Tree) -> Option<Moment> {
    let read = tree.cosigned_at();
    let read =
        read.inspect_err(|error| tracing::warn!(%error, "when the audit's tree was last cosigned cannot be read"));
    let since = read.ok()??.duration_since(UNIX_EPOCH).ok()?;
    i64::try_from(since.as_millis()).ok().map(Moment)
}

/// A tree that was opened.
struct Opened {
    tree: Arc<Tree>,
    /// When a cosignature of it was last kept.
    cosigned_at: Option<Moment>,
    /// Whether a witness has brought one, configured or not.
    knows_witnesses: bool,
}

/// Looks what an opened tree has of witnesses. A head that was cosigned and is gone is told, and no more: a machine that goes down
/// over a witness's first leaves the same. Blocks.
fn looked_at(tree: Arc<Tree>) -> Opened {
    let (cosigned_at, knows_witnesses) = (cosigned_at(&tree), tree.knows_witnesses());
    // What cannot be read is not gone, and was told as that.
    if knows_witnesses && matches!(tree.cosigned_at(), Ok(None)) {
        tracing::warn!("audit tree: {NOT_COSIGNED}: {COSIGNED_GONE}");
    }
    Opened { tree, cosigned_at, knows_witnesses }
}

/// Opens a tree, and holds it against the head that the log knows of, in a thread of its own: its disk may hang, and no start
/// waits for that.
fn opened(options: TreeOptions, clock: Arc<dyn Monotonic>, anchored: Option<AuditHead>) -> Result<Opened, String> {
    let (done, opened) = mpsc::channel();
    let work = move || {
        let tree = Tree::open(options, clock);
        if let (Ok(tree), Some(AuditHead { leaves, root })) = (&tree, anchored)
            && tree.hold_against(leaves, &root)
        {
            // A second later its own head is in the log, and nothing else tells of the one before.
            tracing::error!(had = leaves, "the audit's tree has begun anew: the log knows of a head that it has not");
        }
        // Nobody may be waiting any more.
        let _gone = done.send(tree.map(looked_at));
    };
    thread::Builder::new().name("kith-tree-open".to_owned()).spawn(work).map_err(|error| error.to_string())?;
    match opened.recv_timeout(OPEN_LIMIT) {
        Ok(opened) => opened.map_err(|error| error.to_string()),
        Err(RecvTimeoutError::Timeout) => Err("its disk did not answer in time".to_owned()),
        Err(RecvTimeoutError::Disconnected) => Err("opening it ended in a panic".to_owned()),
    }
}

/// The tree that is kept, if one is to be.
#[derive(Debug, Clone)]
pub(crate) struct AuditTree {
    wanted: bool,
    tree: Option<Arc<Tree>>,
    /// Whether witnesses are configured, or one has brought a cosignature.
    awaits_witnesses: bool,
    /// When a cosignature was last kept: its disk may hang, so nobody asks it for the metrics page.
    cosigned_at: Arc<Mutex<Option<Moment>>>,
    /// The log's key, whether or not the tree could be opened.
    key: Option<VerifierKey>,
}

impl AuditTree {
    /// Opens the tree; `anchored` is the head that the log knows of. One that cannot be opened is told, and done without: answers
    /// matter more.
    pub(crate) fn open(keep: KeepTree, clock: &Arc<dyn Monotonic>, anchored: Option<AuditHead>) -> Self {
        let none =
            |wanted| Self { wanted, tree: None, awaits_witnesses: false, cosigned_at: Arc::default(), key: None };
        match keep {
            KeepTree::No => none(false),
            KeepTree::Unusable => none(true),
            KeepTree::Kept(options) => {
                let key = options.signer.as_ref().map(|signer| signer.key().clone());
                let configured = !options.witnesses.is_empty();
                match opened(options, Arc::clone(clock), anchored) {
                    Ok(Opened { tree, cosigned_at, knows_witnesses }) => Self {
                        wanted: true,
                        tree: Some(tree),
                        awaits_witnesses: configured || knows_witnesses,
                        cosigned_at: Arc::new(Mutex::new(cosigned_at)),
                        key,
                    },
                    Err(error) => {
                        tracing::error!(%error, "the audit has no tree: nothing of it is signed");
                        Self { awaits_witnesses: configured, key, ..none(true) }
                    }
                }
            }
        }
    }

    /// Notes that a cosignature has just been kept. Where it cannot be read when, the one before is the last that is known of. Blocks.
    fn cosigned_anew(&self, tree: &Tree) {
        if let Some(at) = cosigned_at(tree) {
            *self.cosigned_at.lock().unwrap_or_else(PoisonError::into_inner) = Some(at);
        }
    }

    fn witnessed(&self) -> Witnessed {
        match *self.cosigned_at.lock().unwrap_or_else(PoisonError::into_inner) {
            Some(at) => Witnessed::LastAt(at),
            None if self.awaits_witnesses => Witnessed::Never,
            None => Witnessed::NotAwaited,
        }
    }

    /// A number that the audit is known to have given.
    pub(crate) fn floor(&self) -> u64 {
        self.tree.as_ref().map_or(0, |tree| tree.covered_through())
    }

    /// Lets it grow behind a journal that was opened with `last` as its last entry.
    pub(crate) fn follow(&self, journal: &Arc<Journal>, last: u64) {
        if let Some(tree) = &self.tree
            && let Err(error) = tree.follow(journal, last)
        {
            tracing::error!(%error, "the audit's tree does not grow: nothing of it is signed");
        }
    }

    /// The newest signed head; none of a tree that is suspected, nor of one that cannot be read.
    pub(crate) fn head(&self) -> Option<AuditHead> {
        let tree = self.tree.as_ref().filter(|tree| tree.status().suspected.is_empty())?;
        let note = Note::parse(&tree.checkpoint()?).ok()?;
        let Checkpoint { origin: _, size, root } = Checkpoint::parse(&note.text).ok()?;
        Some(AuditHead { leaves: size, root })
    }

    /// Up to which number the entries are under a signed head; 0 while the tree is suspected, does not grow or is not signed.
    pub(crate) fn signed_through(&self) -> u64 {
        let Some(status) = self.tree.as_ref().map(|tree| tree.status()) else { return 0 };
        let is_signed = status.signs && status.signed_leaves == Some(status.leaves);
        let believed = is_signed && !status.failing && status.suspected.is_empty();
        if believed { status.covered_through } else { 0 }
    }

    /// Up to which number the newest signed head has whatever it will ever have, also of a tree that is suspected and signs no more; 0
    /// while there are leaves beyond it.
    fn passed_through(&self) -> u64 {
        let status = self.tree.as_ref().map(|tree| tree.status());
        let whole = status.filter(|status| status.signed_leaves == Some(status.leaves));
        whole.map_or(0, |status| status.covered_through)
    }

    /// How many leaves there are.
    pub(crate) fn leaves(&self) -> u64 {
        self.tree.as_ref().map_or(0, |tree| tree.status().leaves)
    }

    /// Whether an entry is under a signed head.
    pub(crate) fn has_signed(&self, entry: u64) -> bool {
        let Some(tree) = self.tree.as_ref().filter(|tree| tree.status().suspected.is_empty()) else { return false };
        let Some((size, _)) = tree.signed() else { return false };
        tree.inclusion(entry, size).is_ok_and(|proven| proven.is_some())
    }

    /// Signs that entries up to a number are removed.
    pub(crate) fn sign_removal(&self, through: u64) -> Result<Vec<u8>, String> {
        let unsigned = || "there is no key to sign with what is to be removed from the audit".to_owned();
        let tree = self.tree.as_ref().ok_or_else(unsigned)?;
        tree.sign_removal(through).map_err(|error| error.to_string())?.ok_or_else(unsigned)
    }

    /// Up to which number the log's key has signed that entries were removed; 0 without a key.
    pub(crate) fn removal_through(&self, journal: &Journal) -> u64 {
        self.key.as_ref().map_or(0, |key| Tree::removal_through(&journal.signed_removals(), key))
    }

    /// Holds entries, from a first to a last number, against their leaves, until `go_on` says no; without a tree there is nothing
    /// to hold them against, and it gives up.
    pub(crate) fn compare(
        &self,
        journal: &Journal,
        range: (u64, u64),
        go_on: &dyn Fn() -> bool,
    ) -> Result<Compared, TreeError> {
        self.tree.as_ref().map_or(Ok(Compared::Stopped), |tree| tree.compare(journal, range, go_on))
    }

    /// Takes in what the closed journal still has, and ends.
    pub(crate) fn close(&self) {
        if let Some(tree) = &self.tree {
            tree.close();
        }
    }

    fn health(&self, synced_through: u64) -> Option<TreeHealth> {
        let witnessed = self.witnessed();
        let Some(tree) = &self.tree else {
            let failing = TreeHealth { failing: true, suspected: false, unsigned_for: None, witnessed };
            return self.wanted.then_some(failing);
        };
        let status = tree.status();
        let waits = status.covered_through < synced_through;
        let unsigned_for = if waits { status.signed_for } else { Duration::ZERO };
        Some(TreeHealth {
            failing: status.failing,
            suspected: !status.suspected.is_empty(),
            unsigned_for: status.signs.then_some(unsigned_for),
            witnessed,
        })
    }
}

impl Engine {
    /// How the tree over the audit fares; `None` when none is kept.
    #[must_use]
    pub fn tree_health(&self) -> Option<TreeHealth> {
        self.tree.health(self.journal().synced_through())
    }
}

/// An entry of the audit, and the proof that it is under a signed head.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ProvenEntry {
    /// The entry as it stands on disk, sealed; `None` when it was removed under retention. Then the proof is for whoever kept it.
    pub sealed: Option<Vec<u8>>,
    /// Its place in the tree, with the proof.
    pub proven: Proven,
    /// The signed head.
    pub note: String,
}

/// Why an entry is not proven.
#[derive(Debug, thiserror::Error)]
pub enum ProveError {
    /// There is no such entry, or it is of another organisation.
    #[error("prove audit entry: there is no such entry of this organisation")]
    NotThere,
    /// Whatever stood there was removed when its time had passed, whosever it was, and no leaf of it is under a signed head.
    #[error("prove audit entry: entries up to {} were removed under retention", .0.through)]
    Removed(AuditRemoval),
    /// It is not under a signed head yet.
    #[error("prove audit entry: it is not signed yet")]
    NotYetSigned,
    /// It is under no signed head and never will be: later ones are, and what was passed over before the last start is not taken in any
    /// more. It was given up and came late, and the service ended; or somebody else wrote it.
    #[error("prove audit entry: the tree was signed without it")]
    NeverSigned,
    /// No tree is kept, or it cannot be read.
    #[error("prove audit entry: the tree cannot be read: {0}")]
    Tree(String),
}

impl From<TreeError> for ProveError {
    fn from(error: TreeError) -> Self {
        Self::Tree(error.to_string())
    }
}

impl From<JournalError> for ProveError {
    fn from(error: JournalError) -> Self {
        Self::Tree(error.to_string())
    }
}

impl Engine {
    fn kept_tree(&self) -> Result<&Tree, ProveError> {
        self.tree.tree.as_deref().ok_or_else(|| ProveError::Tree("none is kept".to_owned()))
    }

    /// The newest signed head of the audit's tree.
    #[must_use]
    pub fn audit_checkpoint(&self) -> Option<String> {
        let note = self.kept_tree().ok()?.checkpoint()?;
        Some(String::from_utf8_lossy(&note).into_owned())
    }

    /// Proves that one tree begins with another; `None` when there are not so many leaves. Blocks.
    ///
    /// # Errors
    /// [`ProveError::Tree`].
    pub fn audit_consistency(&self, from: u64, to: u64) -> Result<Option<Vec<Hash>>, ProveError> {
        Ok(self.kept_tree()?.consistency(from, to)?)
    }

    /// Keeps cosignatures of a head that an organisation brings; gives whether it did. Blocks.
    ///
    /// # Errors
    /// [`ProveError::Tree`].
    pub fn add_cosignature(&self, note: &[u8], organisation: OdsCode) -> Result<bool, ProveError> {
        let tree = self.kept_tree()?;
        let kept = tree.add_cosignature(note, organisation.as_str())?;
        if kept {
            self.tree.cosigned_anew(tree);
        }
        Ok(kept)
    }

    /// Proves that an entry is under a signed head: a cosigned one where there is one. An auditor may have every entry
    /// proven, everyone else those of its own organisation. Of one that was removed nothing tells whose it was: its leaf and the
    /// hashes beside it tell nobody anything but who kept the entry, and are given to all who may ask. Blocks.
    ///
    /// # Errors
    /// Every [`ProveError`].
    pub fn prove(&self, peer: Peer, reference: AuditRef) -> Result<ProvenEntry, ProveError> {
        let tree = self.kept_tree()?;
        let sequence = reference.sequence;
        let read = self.journal().read_from(sequence, 1)?;
        let own_journal = read.first().is_some_and(|(found, _)| found.journal == reference.journal);
        let plain = read.into_iter().find_map(|(found, plain)| (found == reference).then_some(plain));
        let removed = self.audit_kept().removed.filter(|removed| sequence <= removed.through);
        if let Some(removed) = removed.filter(|_| plain.is_none() && own_journal) {
            let (proven, note) = included(tree, sequence)?.ok_or(ProveError::Removed(removed))?;
            return Ok(ProvenEntry { sealed: None, proven, note });
        }
        let entry = plain.and_then(|plain| decode::<AuditEntry>(&plain).ok()).ok_or(ProveError::NotThere)?;
        if peer.role != Role::Auditor && entry.organisation != Some(peer.organisation) {
            return Err(ProveError::NotThere);
        }
        let sealed = self.journal().sealed(sequence)?.ok_or(ProveError::NotThere)?;
        // Looked at before the head is asked for: what is taken in and not signed yet is under the next one.
        let passed_over = sequence <= self.tree.passed_through() && sequence < self.journal().first_of_opening();
        let why = || if passed_over { ProveError::NeverSigned } else { ProveError::NotYetSigned };
        let (proven, note) = included(tree, sequence)?.ok_or_else(why)?;
        Ok(ProvenEntry { sealed: Some(sealed), proven, note })
    }
}

/// The place of a number under a signed head, a cosigned one where there is one, with that head; `None` when it has none.
fn included(tree: &Tree, sequence: u64) -> Result<Option<(Proven, String)>, ProveError> {
    if let Some((checkpoint, note)) = tree.cosigned()?
        && let Some(proven) = tree.inclusion(sequence, checkpoint.size)?
    {
        return Ok(Some((proven, note.to_string())));
    }
    let Some((size, note)) = tree.signed() else { return Ok(None) };
    let proven = tree.inclusion(sequence, size)?;
    Ok(proven.map(|proven| (proven, String::from_utf8_lossy(&note).into_owned())))
}

/// What verifying holds the tree against.
#[derive(Debug, Clone)]
pub struct TreeCheck<'a> {
    /// The tree's directory.
    pub dir: &'a Path,
    /// The log's key; without it no signature is looked at.
    pub key: Option<VerifierKey>,
    /// The witnesses that are configured: what they say on the newest cosigned head is looked at.
    pub witnesses: Vec<VerifierKey>,
    /// Checkpoints that others kept: signed notes.
    pub kept: Vec<Vec<u8>>,
}

impl TreeCheck<'_> {
    /// `anchored` is the head that the log knows of, and `removals` what entries tell of segments that were removed.
    pub(crate) fn verify(
        &self,
        sinks: [&Path; 2],
        anchored: Option<AuditHead>,
        removals: &[Removal],
    ) -> Result<TreeReport, TreeError> {
        let anchored = anchored.map(|AuditHead { leaves, root }| (leaves, root));
        let keys = (self.key.as_ref(), self.witnesses.as_slice());
        Tree::verify(self.dir, sinks, keys, (self.kept.as_slice(), anchored), removals)
    }
}

#[cfg(test)]
mod tests {
    use kith_merkle::LogSigner;
    use kith_store::SystemMonotonic;

    use super::*;

    #[test]
    fn a_cosigned_head_that_is_gone_is_awaited_where_a_witness_has_brought_one() {
        let dir = tempfile::tempdir().unwrap();
        let witnessed = || {
            let signer = Arc::new(LogSigner::from_seed("kith.test/audit", &[5; 32]).unwrap());
            let clock: Arc<dyn Monotonic> = Arc::new(SystemMonotonic::default());
            let keep = KeepTree::Kept(TreeOptions::new(dir.path(), Some(signer)));
            AuditTree::open(keep, &clock, None).witnessed()
        };
        let whose = |text: &str| std::fs::write(dir.path().join("cosigners"), text).unwrap();
        assert_eq!(witnessed(), Witnessed::NotAwaited);
        whose("kith-cosigners/1\nRW1\n\n\u{2014} witness.test/one AQIDBAA=\n");
        assert_eq!(witnessed(), Witnessed::Never);
        whose("no names");
        assert_eq!(witnessed(), Witnessed::Never, "what cannot be read is not taken for nobody's");
    }
}
