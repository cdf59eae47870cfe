//! What witnesses say of the tree's heads, kept to be given out with proofs. Where witnesses' keys are configured, what they have
//! signed is kept and nothing else. Where none is, nothing can be judged here, and whoever relies on a cosignature knows the
//! witness's key; but then a name and key belong to the organisation that brought them first, so that no statement makes way for
//! another organisation's. Whose they are is kept beside the statements: a restart gives nobody's name away.
//!
//! A witness sees a head once it is in the history on disk, and only then can anything stand in the file `cosigned`: no power cut
//! leaves one there that the history has not. So it is one more head that was published, and the tree is held against it.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::PoisonError;
use std::time::SystemTime;

use kith_merkle::{Checkpoint, CheckpointError, MAX_SIGNATURES, Note, NoteSignature, VerifierKey, root_of};

use super::Tree;
use super::files::{TreeReader, read_small};
use super::signers::Signers;
use super::types::{TreeError, TreeFault, TreeOptions};
use crate::disk::replace_durably_on;

/// Witnesses of one organisation, where no key is configured: none fills the places of all others. One with a new key takes the
/// place of its own oldest that is on no head any more.
const MAX_OF_ONE: usize = 3;
/// Longest statement that is kept unverified, in bytes: the longest kind of cosignature has 2,428. As many as are kept on one head
/// fit the longest note that is read again; one beyond that would be taken for none, with all that others have said on it.
const MAX_STATEMENT_BYTES: usize = 2_560;
/// The first line of the file that says whose they are.
const BROUGHT: &str = "kith-cosigners/1";

/// The newest head that was cosigned.
pub(crate) fn cosigned_path(dir: &Path) -> PathBuf {
    dir.join("cosigned")
}

/// Whose names and keys are: a note whose text has the organisations, a line each behind [`BROUGHT`], and whose lines of signatures
/// have the names and keys in the same order, with a byte that says nothing in the place of a signature.
fn brought_path(dir: &Path) -> PathBuf {
    dir.join("cosigners")
}

/// Whether both say that they are of the same key.
fn same(one: &NoteSignature, other: &NoteSignature) -> bool {
    one.name == other.name && one.key_id == other.key_id
}

/// Which organisation was the first to bring a statement of a name and key, oldest first. Those that have a certificate of a
/// witness are few, and each has few of these.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Brought(Vec<(NoteSignature, String)>);

impl Brought {
    /// What is kept in a directory. What cannot be read is not taken for nobody's: a person has to look.
    pub(crate) fn kept_in(dir: &Path) -> Result<Self, TreeError> {
        let Some(bytes) = read_small(&brought_path(dir))? else { return Ok(Self::default()) };
        let damaged =
            || io::Error::new(io::ErrorKind::InvalidData, "whose witnesses are is damaged: the file cosigners");
        Ok(Self::of(&bytes).ok_or_else(damaged)?)
    }

    pub(crate) fn of(bytes: &[u8]) -> Option<Self> {
        let Note { text, signatures } = Note::parse(bytes).ok()?;
        let owners = text.strip_prefix(BROUGHT)?.strip_prefix('\n')?;
        let owners: Vec<String> = owners.lines().map(str::to_owned).collect();
        (owners.len() == signatures.len()).then(|| Self(signatures.into_iter().zip(owners).collect()))
    }

    pub(crate) fn to_bytes(&self) -> Vec<u8> {
        let owners: String = self.0.iter().map(|(_, owner)| format!("{owner}\n")).collect();
        let signatures = self.0.iter().map(|(first, _)| first.clone()).collect();
        Note { text: format!("{BROUGHT}\n{owners}"), signatures }.to_string().into_bytes()
    }

    /// How many names and keys are somebody's.
    pub(crate) fn count(&self) -> usize {
        self.0.len()
    }

    fn owner(&self, statement: &NoteSignature) -> Option<&str> {
        self.0.iter().find(|(first, _)| same(first, statement)).map(|(_, owner)| owner.as_str())
    }

    /// Whether a statement may be brought by this organisation, whose its name and key are from now on. `kept` is on the head.
    fn may(&mut self, statement: &NoteSignature, organisation: &str, kept: &[NoteSignature]) -> bool {
        if let Some(owner) = self.owner(statement) {
            return owner == organisation;
        }
        // More than it may have are there when the machine went down between the two files.
        while self.0.iter().filter(|(_, owner)| owner == organisation).count() >= MAX_OF_ONE {
            if !self.forget_oldest(organisation, kept) {
                return false;
            }
        }
        // As many as a note has room for: names are short, and all of them are one small file.
        if self.0.len() >= MAX_SIGNATURES {
            return false;
        }
        self.0.push((NoteSignature { bytes: vec![0], ..statement.clone() }, organisation.to_owned()));
        true
    }

    /// Forgets the oldest name and key of an organisation that is not on the head; false where all of its are.
    fn forget_oldest(&mut self, organisation: &str, kept: &[NoteSignature]) -> bool {
        let is_on_head = |first: &NoteSignature| kept.iter().any(|kept| same(kept, first));
        let oldest = self.0.iter().position(|(first, owner)| owner == organisation && !is_on_head(first));
        oldest.map(|at| self.0.remove(at)).is_some()
    }

    /// These and, before them, those of `before` that were forgotten: what they say stands on the head until another is written. As
    /// many as are read again: the oldest of them go first.
    fn after(&self, before: &Self) -> Self {
        let forgotten = before.0.iter().filter(|(first, _)| self.owner(first).is_none());
        let mut both: Vec<_> = forgotten.chain(&self.0).cloned().collect();
        both.drain(..both.len().saturating_sub(MAX_SIGNATURES));
        Self(both)
    }

    /// What is kept where no key tells whose a statement is. `None` when nothing of a witness is offered, or anything that is not
    /// this organisation's to say, or longer or more than there is room for.
    fn keep(
        &mut self,
        held: &[NoteSignature],
        offered: &[NoteSignature],
        organisation: &str,
    ) -> Option<Vec<NoteSignature>> {
        if offered.iter().any(|statement| statement.bytes.len() > MAX_STATEMENT_BYTES) {
            return None;
        }
        let mut kept = held.to_vec();
        for statement in offered {
            let before = kept.iter().position(|kept| same(kept, statement));
            if let (None, Some(at)) = (self.owner(statement), before) {
                // It was brought before it was kept by whom: it stands, and whoever says it again does not make it theirs.
                if kept[at] != *statement {
                    return None;
                }
                continue;
            }
            if !self.may(statement, organisation, &kept) {
                return None;
            }
            match before {
                // A later statement of the same witness takes the place of the one before.
                Some(at) => kept[at].clone_from(statement),
                None => kept.push(statement.clone()),
            }
        }
        (!offered.is_empty() && kept.len() <= TreeOptions::MAX_WITNESSES).then_some(kept)
    }
}

/// What this key has signed on a note, and when.
fn stated(key: &VerifierKey, note: &Note) -> Option<(u64, NoteSignature)> {
    let time_s = key.verify_cosignature(note).ok()?;
    let of_key = |signature: &&NoteSignature| signature.name == key.name() && signature.key_id == key.id();
    note.signatures.iter().find(of_key).map(|signature| (time_s, signature.clone()))
}

/// What is kept of known witnesses: of each its latest statement. `None` when none of them has signed what is offered.
fn keep_known(witnesses: &[VerifierKey], held: Option<&Note>, offered: &Note) -> Option<Vec<NoteSignature>> {
    if !witnesses.iter().any(|key| stated(key, offered).is_some()) {
        return None;
    }
    let latest = |key: &VerifierKey| {
        let held = held.and_then(|note| stated(key, note));
        let both = held.into_iter().chain(stated(key, offered));
        both.max_by_key(|(time_s, _)| *time_s).map(|(_, statement)| statement)
    };
    Some(witnesses.iter().filter_map(latest).collect())
}

/// Whether these bytes are what the witness said of the text, under whatever name they stand.
fn holds(key: &VerifierKey, text: &str, statement: &NoteSignature) -> bool {
    let own = NoteSignature { name: key.name().to_owned(), key_id: key.id(), bytes: statement.bytes.clone() };
    key.verify_cosignature(&Note { text: text.to_owned(), signatures: vec![own] }).is_ok()
}

/// What is wrong with a statement on a cosigned head, as far as it can be told here. Of one under a key that is not configured nothing
/// can: whoever relies on it knows the key (`kith audit prove --witness-key`).
fn misstated(text: &str, statement: &NoteSignature, witnesses: &[VerifierKey]) -> Option<String> {
    let is_of = |key: &&VerifierKey| key.name() == statement.name && key.id() == statement.key_id;
    match witnesses.iter().find(is_of) {
        Some(key) if !holds(key, text, statement) => {
            Some(format!("what stands there of {} is not what it said", key.name()))
        }
        Some(_) => None,
        None => {
            let own = witnesses.iter().find(|key| holds(key, text, statement))?;
            // A name is not signed: under its former one a witness that was renamed has said it, and nobody changed that.
            let is_renamed = own.named(&statement.name).is_ok_and(|former| former.id() == statement.key_id);
            (!is_renamed).then(|| format!("what {} said stands there under another name or identifier", own.name()))
        }
    }
}

/// What is wrong with what witnesses said on a cosigned head, and of how many statements it is excused: an organisation brought them
/// before keys were configured, they were kept unverified, and nobody who brought rubbish then has a start suspect it now. With no
/// `brought` all of it is excused.
fn judged(
    text: &str,
    said: &[&NoteSignature],
    witnesses: &[VerifierKey],
    brought: Option<&Brought>,
) -> (Option<String>, usize) {
    if said.is_empty() {
        return (Some("no witness's statement stands on it".to_owned()), 0);
    }
    let is_excused = |statement: &NoteSignature| brought.is_none_or(|brought| brought.owner(statement).is_some());
    let (mut fault, mut excused) = (None, 0);
    for statement in said {
        match misstated(text, statement, witnesses) {
            Some(_) if is_excused(statement) => excused += 1,
            Some(what) => fault = fault.or(Some(what)),
            None => {}
        }
    }
    (fault, excused)
}

/// The newest cosigned head as it was found.
#[derive(Debug, Default)]
pub(crate) struct KeptHead {
    /// The head itself; `None` when there is none that can be read.
    pub(crate) head: Option<Checkpoint>,
    /// What is wrong with it.
    pub(crate) fault: Option<TreeFault>,
    /// How many of the configured witnesses have signed it; `None` where none is configured, and no cosignature can be verified.
    pub(crate) verified: Option<usize>,
    /// With how many statements on it something is wrong that is excused.
    pub(crate) excused: usize,
}

/// The newest cosigned head, as one more that was published, and what is wrong with it; `after` leaves are in the history. What was
/// `brought` before its key was configured is excused; with none, whatever a witness may have said. That there is no such head is no
/// fault: whether it is to be told is for who asks.
///
/// # Errors
/// When the file cannot be read: a disk that fails is nobody's change, and what to make of it is for who asks.
pub(crate) fn published(
    dir: &Path,
    signers: &mut Signers<'_>,
    after: u64,
    (witnesses, brought): (&[VerifierKey], Option<&Brought>),
) -> io::Result<KeptHead> {
    let damaged = |what: String| Some(TreeFault::Cosigned { what });
    let Some(note) = read_small(&cosigned_path(dir))? else { return Ok(KeptHead::default()) };
    let read = signers.read(&note, after).and_then(|checkpoint| Ok((checkpoint, Note::parse(&note)?)));
    let (checkpoint, note) = match read {
        Ok(read) => read,
        Err(what) => return Ok(KeptHead { fault: damaged(what.to_string()), ..KeptHead::default() }),
    };
    let key = signers.key();
    // Without a key nothing tells the log's line from a witness's of the same name but that it stands first.
    let is_logs = |at: usize, line: &NoteSignature| match key {
        Some(key) => line.name == checkpoint.origin && line.key_id == key.id(),
        None => at == 0,
    };
    let lines = note.signatures.iter().enumerate();
    let said: Vec<&NoteSignature> = lines.filter(|(at, line)| !is_logs(*at, line)).map(|(_, line)| line).collect();
    let (fault, excused) = judged(&note.text, &said, witnesses, brought);
    let signed = witnesses.iter().filter(|key| said.iter().any(|statement| holds(key, &note.text, statement))).count();
    let verified = (!witnesses.is_empty()).then_some(signed);
    Ok(KeptHead { head: Some(checkpoint), fault: fault.and_then(damaged), verified, excused })
}

/// Whether a witness that nobody configured has brought anything that was kept, or was about to be when the machine went down.
///
/// # Errors
/// When that cannot be read.
fn brought_any(dir: &Path) -> Result<bool, TreeError> {
    Ok(Brought::kept_in(dir)?.count() > 0)
}

impl Tree {
    /// The newest head that was cosigned, with the log's signature and the witnesses'.
    ///
    /// # Errors
    /// When it cannot be read, or is none that this log signed: that is not taken for none, nor is anything put in its place.
    pub fn cosigned(&self) -> Result<Option<(Checkpoint, Note)>, TreeError> {
        let Some(signer) = &self.options.signer else { return Ok(None) };
        let Some(note) = read_small(&cosigned_path(&self.options.dir))? else { return Ok(None) };
        let damaged = |what: CheckpointError| {
            io::Error::new(io::ErrorKind::InvalidData, format!("the newest cosigned head, the file cosigned: {what}"))
        };
        Ok(Some(Checkpoint::open(&note, signer.key()).map_err(damaged)?))
    }

    /// Whether a witness is known that nobody configured: one that has brought a cosignature, which was kept. What cannot be read is
    /// not taken for nobody. Blocks.
    #[must_use]
    pub fn knows_witnesses(&self) -> bool {
        brought_any(&self.options.dir).unwrap_or_else(|error| {
            if self.options.witnesses.is_empty() {
                tracing::error!(%error, "whose witnesses are cannot be read: no cosignature is kept before a person has looked");
            } else {
                tracing::warn!(%error, "whose witnesses are cannot be read: those that are configured are kept all the same");
            }
            true
        })
    }

    /// Whether a head is one of this tree's. One that the log's key signed and that is not here is of another history, or of what
    /// the tree was before it began anew; kept, it would pass for a roll-back at the next start.
    fn has_head(&self, head: &Checkpoint) -> Result<bool, TreeError> {
        let signed = self.shared.lock().signed_leaves.unwrap_or(0);
        if head.size > signed {
            return Ok(false);
        }
        Ok(root_of(&TreeReader::open(&self.options.dir)?, head.size)? == head.root)
    }

    /// When a cosignature was last kept, by the clock of the disk, over restarts too; `None` when none ever was.
    ///
    /// # Errors
    /// When it cannot be read.
    pub fn cosigned_at(&self) -> Result<Option<SystemTime>, TreeError> {
        match std::fs::metadata(cosigned_path(&self.options.dir)) {
            Ok(found) => Ok(Some(found.modified()?)),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(error.into()),
        }
    }

    /// Keeps the cosignatures that an organisation brings on one of this tree's own heads; gives whether it did. Those on an older
    /// head than the one kept are not; nor is anything that a configured key has not signed, where there is one, or that another
    /// organisation was the first to bring, where there is none.
    ///
    /// # Errors
    /// When they cannot be written, or what is kept cannot be read.
    pub fn add_cosignature(&self, note: &[u8], organisation: &str) -> Result<bool, TreeError> {
        let Some(signer) = &self.options.signer else { return Ok(false) };
        let Ok((checkpoint, offered)) = Checkpoint::open(note, signer.key()) else { return Ok(false) };
        // One at a time: what is read here is what is replaced.
        let mut brought = self.cosigning.lock().unwrap_or_else(PoisonError::into_inner);
        let dir = &self.options.dir;
        let held = match self.cosigned()? {
            Some((held, _)) if held.size > checkpoint.size => return Ok(false),
            Some((held, kept)) if held == checkpoint => Some(kept),
            Some(_) | None => None,
        };
        if !self.has_head(&checkpoint)? {
            return Ok(false);
        }
        let (name, id) = (signer.key().name(), signer.key().id());
        let split = |note: &Note| -> (Vec<NoteSignature>, Vec<NoteSignature>) {
            note.signatures.iter().cloned().partition(|signature| signature.name == name && signature.key_id == id)
        };
        let (mut signatures, statements) = split(&offered);
        let mut forgets = None;
        let kept = if self.options.witnesses.is_empty() {
            let held = held.as_ref().map(|note| split(note).1).unwrap_or_default();
            let before = match &*brought {
                Some(before) => before.clone(),
                None => Brought::kept_in(dir)?,
            };
            // What is refused makes nothing anybody's.
            let mut now = before.clone();
            let Some(kept) = now.keep(&held, &statements, organisation) else { return Ok(false) };
            let both = now.after(&before);
            if both != before {
                replace_durably_on(&*self.disk, &brought_path(dir), &both.to_bytes())?;
            }
            forgets = (both != now).then_some(now);
            *brought = Some(both);
            kept
        } else {
            let Some(kept) = keep_known(&self.options.witnesses, held.as_ref(), &offered) else { return Ok(false) };
            kept
        };
        signatures.extend(kept);
        let kept = Note { text: offered.text, signatures };
        replace_durably_on(&*self.disk, &cosigned_path(dir), kept.to_string().as_bytes())?;
        if let Some(now) = forgets
            && self.has_forgotten(&now)
        {
            *brought = Some(now);
        }
        Ok(true)
    }

    /// Forgets whose a name was once nothing stands under it any more: a cut before leaves too many, and none too few. So does a disk
    /// that fails: what was kept by then is kept all the same, and the next that is kept forgets them.
    fn has_forgotten(&self, now: &Brought) -> bool {
        let written = replace_durably_on(&*self.disk, &brought_path(&self.options.dir), &now.to_bytes());
        if let Err(error) = &written {
            tracing::warn!(%error, "whose the names of witnesses were, under which nothing stands any more, is not forgotten yet");
        }
        written.is_ok()
    }
}
