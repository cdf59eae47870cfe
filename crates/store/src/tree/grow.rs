//! How the tree grows: synced entries become leaves, leaves are synced, and only then is their root signed, synced and
//! published. So no power cut ever takes back a checkpoint that somebody may have seen. What fails is done again from the
//! last published state; no answer waits for any of it.

use std::collections::BTreeMap;
use std::io;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use kith_merkle::{Checkpoint, Frontier, HASH_BYTES, LogSigner};

use super::files::{
    Framed, HASH_LENGTH, KEPT_EVERY, KEPT_LEVELS, checkpoint_path, checkpoints_path, kept_hashes, leaves_path,
    level_path, record_offset,
};
use super::record::{RECORD_BYTES, Record, entry_leaf};
use super::types::{TreeError, TreeOptions};
use super::{Published, Shared};
use crate::disk::{DataFile, Disk, replace_durably};
use crate::journal::recover::UNCLEAN_STRIDE;
use crate::journal::{Follower, Journal, JournalError};

/// Most entries taken in at once.
const BATCH: usize = 8_192;
/// Most heads signed over them: each is on disk before the next is written, so that a power cut tears the last of them at most.
const MAX_HEADS: u64 = 16;
/// After a failure it is tried again after this long.
const RETRY_AFTER: Duration = Duration::from_secs(1);

/// The files, open for writing.
struct Files {
    leaves: Arc<dyn DataFile>,
    levels: BTreeMap<u32, Arc<dyn DataFile>>,
    checkpoints: Arc<dyn DataFile>,
}

/// Hashes to be kept: the level file, the index of the first, and their bytes.
#[derive(Default)]
pub(crate) struct Kept(BTreeMap<u32, (u64, Vec<u8>)>);

impl Kept {
    /// Adds a leaf to `edge` and remembers each hash that it completes and that is to be kept.
    pub(crate) fn push(&mut self, edge: &mut Frontier, record: &Record) {
        edge.push(record.leaf(), |level, index, hash| {
            let kept = level / KEPT_EVERY;
            if level > 0 && level.is_multiple_of(KEPT_EVERY) && kept <= KEPT_LEVELS {
                let (_, bytes) = self.0.entry(kept).or_insert_with(|| (index, Vec::with_capacity(HASH_BYTES)));
                bytes.extend_from_slice(&hash);
            }
        });
    }

    /// Writes and syncs them.
    pub(crate) fn write(&self, mut file: impl FnMut(u32) -> io::Result<Arc<dyn DataFile>>) -> io::Result<()> {
        for (kept, (first, bytes)) in &self.0 {
            let file = file(*kept)?;
            file.write_at(bytes, first * HASH_LENGTH)?;
            file.sync_data()?;
        }
        Ok(())
    }
}

/// Where growth stands: all of it on disk, signed where that is to be, and published.
#[derive(Debug, Clone)]
pub(crate) struct Grown {
    pub(crate) edge: Frontier,
    /// Every number up to here is an entry in the tree, or was passed over.
    pub(crate) covered: u64,
    /// Where the next checkpoint is written.
    pub(crate) checkpoints_end: u64,
    /// Leaves of the newest checkpoint.
    pub(crate) signed: u64,
}

/// What one step did.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Step {
    /// There was nothing to do, or not yet.
    Idle,
    /// A batch was taken in.
    Grew,
}

/// Whoever lets the tree grow.
pub(crate) struct Grower {
    options: TreeOptions,
    disk: Arc<dyn Disk>,
    shared: Arc<Shared>,
    grown: Grown,
    /// `None` until they are opened, and again after each failure: nothing goes on with a file that failed before it is cut
    /// back to what had been published and written anew.
    files: Option<Files>,
    /// Ranges passed over since the opening: what of them comes late is taken in, once.
    passed: Vec<(u64, u64)>,
    /// Ranges that came late and are not yet taken in.
    late: Vec<(u64, u64)>,
    last_growth: Duration,
    retry_at: Duration,
}

/// Heads over what is taken in, signed before it is on disk and written after it.
struct Heads {
    /// As they stand in the checkpoints file, one after the other.
    frames: Vec<Vec<u8>>,
    /// Leaves of the newest.
    signed: u64,
    /// The newest's note.
    note: Option<Vec<u8>>,
}

impl Heads {
    /// Signs one more; none without a key.
    fn sign(&mut self, signer: Option<&LogSigner>, edge: &Frontier) -> Result<(), TreeError> {
        let Some(signer) = signer else { return Ok(()) };
        let checkpoint = Checkpoint { origin: signer.key().name().to_owned(), size: edge.size(), root: edge.root() };
        let note = checkpoint.sign(signer)?.to_string().into_bytes();
        self.frames.push(Framed { before: self.signed, note: note.clone() }.encode());
        (self.signed, self.note) = (checkpoint.size, Some(note));
        Ok(())
    }
}

/// What is to be taken in next.
struct Batch {
    records: Vec<Record>,
    covered: u64,
    /// The first number that the journal's opening could give.
    opening: u64,
    passed: Vec<(u64, u64)>,
}

impl Grower {
    pub(crate) fn new(
        options: TreeOptions,
        disk: Arc<dyn Disk>,
        shared: Arc<Shared>,
        grown: Grown,
        now: Duration,
    ) -> Self {
        Self {
            options,
            disk,
            shared,
            grown,
            files: None,
            passed: Vec::new(),
            late: Vec::new(),
            last_growth: now,
            retry_at: Duration::ZERO,
        }
    }

    /// Takes in what is due at `now`; with `all`, whatever there is.
    pub(crate) fn step(&mut self, journal: &Journal, now: Duration, all: bool) -> Result<Step, TreeError> {
        if now < self.retry_at && !all {
            return Ok(Step::Idle);
        }
        // Before the reading: what becomes late after it is met the next time.
        self.late.extend(journal.take_late(Follower::Tree));
        let ahead = journal.synced_through().saturating_sub(self.grown.covered);
        let waited = now.saturating_sub(self.last_growth) >= self.options.every;
        let unsigned = self.options.signer.is_some() && self.grown.signed < self.grown.edge.size();
        let due = all || waited || ahead >= self.options.every_entries;
        if !due || (ahead == 0 && self.late.is_empty() && !unsigned) {
            return Ok(Step::Idle);
        }
        let outcome = self.grow(journal, now);
        match &outcome {
            Ok(_) => self.last_growth = now,
            Err(_) => {
                self.files = None;
                self.retry_at = now + RETRY_AFTER;
            }
        }
        outcome
    }

    fn grow(&mut self, journal: &Journal, now: Duration) -> Result<Step, TreeError> {
        let batch = self.next_batch(journal)?;
        let unsigned = self.options.signer.is_some() && self.grown.signed < self.grown.edge.size();
        if batch.records.is_empty() && !unsigned {
            self.late.clear();
            return Ok(Step::Idle);
        }
        let files = match self.files.take() {
            Some(files) => files,
            None => self.opened()?,
        };
        let files = self.files.insert(files);
        let mut edge = self.grown.edge.clone();
        let mut kept = Kept::default();
        let mut bytes = Vec::with_capacity(batch.records.len() * RECORD_BYTES);
        let signer = self.options.signer.as_deref();
        let mut heads = Heads { frames: Vec::new(), signed: self.grown.signed, note: None };
        // Far behind as well, no head covers more entries than it may.
        let every = self.options.every_entries.max(BATCH as u64 / MAX_HEADS);
        for record in &batch.records {
            bytes.extend_from_slice(&record.encode());
            kept.push(&mut edge, record);
            if edge.size() - heads.signed >= every {
                heads.sign(signer, &edge)?;
            }
        }
        if heads.signed < edge.size() {
            heads.sign(signer, &edge)?;
        }
        files.leaves.write_at(&bytes, record_offset(self.grown.edge.size()))?;
        files.leaves.sync_data()?;
        let (disk, dir) = (&self.disk, &self.options.dir);
        kept.write(|level| level_file(&mut files.levels, disk, dir, level))?;
        let mut next = Grown { edge, covered: batch.covered, ..self.grown.clone() };
        // One by one: blocks reach a disk in any order, and a head that is torn before one that is whole looks like a change.
        for frame in &heads.frames {
            files.checkpoints.write_at(frame, next.checkpoints_end)?;
            files.checkpoints.sync_data()?;
            next.checkpoints_end += frame.len() as u64;
        }
        next.signed = heads.signed;
        self.grown = next;
        self.passed = batch.passed;
        self.late.clear();
        self.publish(heads.note, now);
        Ok(Step::Grew)
    }

    /// From here on others may see it. The file is for whoever fetches it there: where it cannot be written, the checkpoint
    /// is none the less published, and the next one replaces it.
    fn publish(&self, note: Option<Vec<u8>>, now: Duration) {
        if let Some(note) = &note
            && let Err(error) = replace_durably(&checkpoint_path(&self.options.dir), note)
        {
            tracing::warn!(%error, "the newest checkpoint of the audit is not in its file");
        }
        let note = note.map(Arc::from);
        self.shared.publish(Published { leaves: self.grown.edge.size(), covered: self.grown.covered, note }, now);
    }

    /// What there is to be taken in: late entries first, then the next ones in order, with the numbers between them.
    fn next_batch(&self, journal: &Journal) -> Result<Batch, TreeError> {
        let (covered, opening, passed) = (self.grown.covered, journal.first_of_opening(), self.passed.clone());
        let mut batch = Batch { records: Vec::new(), covered, opening, passed };
        for (first, last) in &self.late {
            batch.take_late(journal, *first, *last)?;
        }
        let read = match journal.read_sealed(batch.covered + 1, BATCH, entry_leaf) {
            Ok(read) => read,
            Err(JournalError::Damaged { next_sequence, .. }) => {
                tracing::error!(next = next_sequence, "the audit is damaged: its tree goes on after it");
                batch.pass_over(next_sequence - 1);
                Vec::new()
            }
            Err(error) => return Err(error.into()),
        };
        for (sequence, leaf) in read {
            if sequence <= batch.covered {
                continue;
            }
            batch.pass_over(sequence - 1);
            batch.records.push(Record::Entry { sequence, leaf, late: false });
            batch.covered = sequence;
        }
        Ok(batch)
    }

    /// Opens the files and cuts off what was never published, the heads first: one without its leaves looks like a change.
    fn opened(&self) -> io::Result<Files> {
        let (disk, dir) = (&self.disk, &self.options.dir);
        let (size, end) = (self.grown.edge.size(), self.grown.checkpoints_end);
        let checkpoints = open_or_create(&**disk, dir, &checkpoints_path(dir))?;
        checkpoints.truncate(end)?;
        let leaves = disk.open(&leaves_path(dir))?;
        leaves.truncate(record_offset(size))?;
        let mut levels = BTreeMap::new();
        for kept in 1..=KEPT_LEVELS {
            let path = level_path(dir, kept);
            if path.exists() {
                let file = disk.open(&path)?;
                file.truncate(kept_hashes(size, kept) * HASH_LENGTH)?;
                levels.insert(kept, file);
            }
        }
        Ok(Files { leaves, levels, checkpoints })
    }
}

impl Batch {
    /// Numbers up to `last` have no entry now. Those before the opening never will: they stand in records of their own, as long as
    /// what it left out. Of those after it, which were given up, an entry may still come, and no record of them is as long as that.
    fn pass_over(&mut self, last: u64) {
        while self.covered < last {
            let first = self.covered + 1;
            let end = if first < self.opening { self.opening - 1 } else { first + (UNCLEAN_STRIDE - 2) };
            let last = last.min(end);
            self.records.push(Record::PassedOver { first, last });
            self.passed.push((first, last));
            self.covered = last;
        }
    }

    /// Takes in what of a range was passed over before, and is there now.
    fn take_late(&mut self, journal: &Journal, first: u64, last: u64) -> Result<(), TreeError> {
        let passed = |number: u64| self.passed.iter().any(|(first, last)| (*first..=*last).contains(&number));
        let mut came = Vec::new();
        let mut from = first;
        while from <= last.min(self.covered) {
            let wanted = usize::try_from(last - from + 1).unwrap_or(BATCH).min(BATCH);
            let read = match journal.read_sealed(from, wanted, entry_leaf) {
                Ok(read) => read,
                Err(JournalError::Damaged { next_sequence, .. }) => {
                    from = next_sequence;
                    continue;
                }
                Err(error) => return Err(error.into()),
            };
            let Some(end) = read.last().map(|(sequence, _)| *sequence) else { break };
            let wanted = |sequence: u64| (first..=last).contains(&sequence) && passed(sequence);
            came.extend(read.into_iter().filter(|(sequence, _)| wanted(*sequence)));
            from = end + 1;
        }
        for (sequence, leaf) in came {
            self.records.push(Record::Entry { sequence, leaf, late: true });
            self.passed = without(&self.passed, sequence);
        }
        Ok(())
    }
}

/// Ranges without one number.
fn without(ranges: &[(u64, u64)], number: u64) -> Vec<(u64, u64)> {
    let parts = ranges.iter().flat_map(|(first, last)| {
        if (*first..=*last).contains(&number) {
            [(*first, number - 1), (number + 1, *last)]
        } else {
            [(*first, *last), (1, 0)]
        }
    });
    parts.filter(|(first, last)| first <= last).collect()
}

/// A level file, made when there is none.
pub(crate) fn level_file(
    open: &mut BTreeMap<u32, Arc<dyn DataFile>>,
    disk: &Arc<dyn Disk>,
    dir: &Path,
    kept: u32,
) -> io::Result<Arc<dyn DataFile>> {
    if let Some(file) = open.get(&kept) {
        return Ok(Arc::clone(file));
    }
    let file = open_or_create(&**disk, dir, &level_path(dir, kept))?;
    open.insert(kept, Arc::clone(&file));
    Ok(file)
}

/// A file for writing; a new one is in its directory for good before anything relies on it.
pub(crate) fn open_or_create(disk: &dyn Disk, dir: &Path, path: &Path) -> io::Result<Arc<dyn DataFile>> {
    match disk.open(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            let file = disk.create(path)?;
            disk.sync_dir(dir)?;
            Ok(file)
        }
        other => other,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_may_still_come_stands_in_no_record_as_long_as_what_an_opening_leaves_out() {
        let mut batch = Batch { records: Vec::new(), covered: 2, opening: 10, passed: Vec::new() };
        let last = 9 + 2 * UNCLEAN_STRIDE;
        batch.pass_over(last);
        assert_eq!(batch.passed[..2], [(3, 9), (10, 8 + UNCLEAN_STRIDE)]);
        assert!(batch.passed.iter().all(|(first, last)| last - first + 1 < UNCLEAN_STRIDE));
        assert!(batch.passed.windows(2).all(|two| two[0].1 + 1 == two[1].0));
        assert_eq!((batch.covered, batch.passed.last().map(|passed| passed.1)), (last, Some(last)));
        // What an opening left out is one.
        let mut batch = Batch { opening: 3 + UNCLEAN_STRIDE, covered: 2, records: Vec::new(), passed: Vec::new() };
        batch.pass_over(3 + UNCLEAN_STRIDE);
        assert_eq!(batch.passed, [(3, 2 + UNCLEAN_STRIDE), (3 + UNCLEAN_STRIDE, 3 + UNCLEAN_STRIDE)]);
    }
}
