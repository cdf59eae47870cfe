//! Holding a tree that no process has open against its checkpoints, against the audit's segments, and against checkpoints
//! that others kept. What is wrong is named; nothing is changed.

mod heads;

use std::collections::{BTreeMap, BTreeSet};
use std::fs::File;
use std::io::{self, BufReader, Read};
use std::path::{Path, PathBuf};

use kith_merkle::{Checkpoint, Frontier, HASH_BYTES, Hash, VerifierKey};

use super::files::{
    FrameStep, Frames, KEPT_EVERY, KEPT_LEVELS, Records, checkpoint_path, checkpoints_tail, leaves_path, level_path,
    read_small, suspected_path,
};
use super::record::{Head, Order, RECORD_BYTES, Record, entry_leaf, may_come, read_head};
use super::recover::suspicion;
use super::report::TreeReport;
use super::signers::{Signers, read_checkpoint};
use super::types::{TreeError, TreeFault};
use super::{Tree, cosign};
use crate::journal::remove::signed_removals;
use crate::journal::{Accounted, Removal, segments_of};
use heads::{Roots, hold_against_cosigned, hold_against_head, hold_against_published, sizes};

impl Tree {
    /// Reads the whole tree in `dir` and both sinks of the audit: every record, every kept hash, every checkpoint with its
    /// signature (when `key` is given), every entry against its leaf; the newest cosigned head, with what those of its `witnesses`
    /// say whose keys are given; `outside`, notes that others kept; and `anchored`, leaves and root of a head that the log knows
    /// of. What `removals` tell of is rightly missing where the entry that tells it is itself under a head signed with `key`, and a
    /// sink keeps that the same key signed the removal.
    ///
    /// # Errors
    /// [`TreeError::Io`] when a directory cannot be read; everything else is in the report.
    pub fn verify(
        dir: &Path,
        [primary, spill]: [&Path; 2],
        (key, witnesses): (Option<&VerifierKey>, &[VerifierKey]),
        (outside, anchored): (&[Vec<u8>], Option<(u64, Hash)>),
        removals: &[Removal],
    ) -> Result<TreeReport, TreeError> {
        let suspected = suspicion(&suspected_path(dir))?;
        let mut report = TreeReport { without_key: key.is_none(), suspected, ..TreeReport::default() };
        let segments = segments_of([primary, spill])?;
        let is_known = !outside.is_empty() || anchored.is_some() || cosign::cosigned_path(dir).exists();
        let is_signed = read_small(&checkpoint_path(dir))?.is_some() || checkpoints_tail(dir)?.note.is_some();
        if !leaves_path(dir).exists() && !is_signed && !is_known {
            let newest = segments.last().map(|(_, path)| entries_of(path)).transpose()?.unwrap_or_default();
            // Without a key nothing says that one was kept.
            if let Some((last, _)) = newest.last().filter(|_| key.is_some()) {
                report.add(TreeFault::Absent { last: *last });
            }
            return Ok(report);
        }
        let mut published: Vec<Vec<u8>> = read_small(&checkpoint_path(dir))?.into_iter().collect();
        published.extend(outside.iter().cloned());
        let wanted = Wanted {
            told: removals.iter().map(|removal| removal.entry).collect(),
            sizes: sizes(dir, &published, anchored),
        };
        let (mut growth, mut signers) = Growth::read(dir, key, &wanted, &mut report)?;
        let roots = std::mem::take(&mut growth.roots);
        // Of a tree that is not as it was signed nothing is believed.
        if key.is_some() && report.is_sound() && signers.conclude().is_none() {
            let told = key.map_or(0, |key| Self::removal_through(&signed_removals([primary, spill]), key));
            let signed = (report.signed_leaves, told);
            (report.removed_through, growth.told_at) = growth.removed_through(removals, &segments, signed)?;
            // One of which nothing is signed says nothing.
            report.accounted = (report.signed_leaves > 0).then(|| growth.accounted(report.removed_through));
        }
        growth.hold_against_entries(dir, &segments, &mut report)?;
        report.outside = outside.len() as u64;
        for note in published {
            hold_against_published(&roots, &note, &mut signers, &mut report);
        }
        hold_against_cosigned(dir, (witnesses, &roots), &mut signers, &mut report);
        if let Some((size, root)) = anchored {
            hold_against_head(&roots, size, &root, &mut report);
        }
        if let Some(fault) = signers.conclude() {
            report.add(fault);
        }
        Ok(report)
    }
}

/// What is looked for among the leaves.
struct Wanted {
    /// The entries that tell of removals.
    told: BTreeSet<u64>,
    /// How many leaves the heads have that were published.
    sizes: BTreeSet<u64>,
}

/// What the leaves file says, read once from its beginning.
#[derive(Default)]
struct Growth {
    /// Late entries: their leaves, and the indexes of those.
    late: BTreeMap<u64, (Hash, u64)>,
    passed: Vec<(u64, u64)>,
    /// Where the last of them ended that an opening left out: only what was given since then comes late.
    left_out: u64,
    /// Index and leaf of the entries that tell of removals.
    told: BTreeMap<u64, (u64, Hash)>,
    /// Index of the one of them that is believed; 0 when none is.
    told_at: u64,
    roots: Roots,
    covered: u64,
    /// The same of the leaves under the newest signed head, and how many of `passed` are among them.
    signed: (u64, usize),
    /// The file cannot be read as one.
    unreadable: bool,
}

impl Growth {
    fn read<'a>(
        dir: &Path,
        key: Option<&'a VerifierKey>,
        wanted: &Wanted,
        report: &mut TreeReport,
    ) -> Result<(Self, Signers<'a>), TreeError> {
        let mut growth = Self::default();
        let mut signed = Signed::open(dir, key)?;
        if !growth.head(dir, report)? {
            growth.unreadable = true;
            return Ok((growth, signed.finish(report)?));
        }
        let mut levels = Levels::open(dir)?;
        let (mut edge, mut order) = (Frontier::default(), Order::default());
        growth.roots.insert(0, edge.root());
        let mut records = Records::open(dir, 0)?;
        // Beyond the last signed leaf a record may be torn, and ends the tree.
        while let Some(record) = records.step()? {
            let index = edge.size();
            let Some(record) = record else {
                if index >= signed.newest {
                    break;
                }
                report.add(TreeFault::RecordDamaged { index });
                growth.unreadable = true;
                break;
            };
            let covered = order.covered;
            // Of what is not signed, no start signs any more what came late.
            let counts = signed.newest == 0 || index < signed.newest;
            // Each start makes the kept hashes above the newest signed leaf anew, and a power cut may have taken their bytes.
            let is_signed = index < signed.newest;
            if !order.takes(&record) || !growth.note(&record, (index, counts)) {
                report.add(TreeFault::OrderDiffers { index, covered });
            }
            if let Record::Entry { sequence, leaf, late: _ } = record
                && wanted.told.contains(&sequence)
            {
                growth.told.insert(sequence, (index, leaf));
            }
            edge.push(record.leaf(), |level, index, hash| {
                if is_signed {
                    levels.compare(level, index, &hash, report);
                }
            });
            signed.compare(&edge, report)?;
            if wanted.sizes.contains(&edge.size()) {
                growth.roots.insert(edge.size(), edge.root());
            }
            if report.signed_leaves == edge.size() {
                growth.signed = (order.covered, growth.passed.len());
            }
        }
        (report.leaves, growth.covered) = (edge.size(), order.covered);
        report.covered_through = order.covered;
        Ok((growth, signed.finish(report)?))
    }

    fn head(&self, dir: &Path, report: &mut TreeReport) -> Result<bool, TreeError> {
        let mut bytes = Vec::new();
        match File::open(leaves_path(dir)) {
            Ok(file) => file.take(RECORD_BYTES as u64).read_to_end(&mut bytes)?,
            Err(error) if error.kind() == io::ErrorKind::NotFound => 0,
            Err(error) => return Err(error.into()),
        };
        match read_head(&bytes) {
            Head::Known => return Ok(true),
            Head::Newer(found) => report.add(TreeFault::NewerFormat { found }),
            // It was being made when the machine went down, its bytes not on disk or in part; whether there was more, the
            // checkpoints tell.
            Head::None if bytes.len() < RECORD_BYTES || bytes.iter().all(|byte| *byte == 0) => {}
            Head::None => report.add(TreeFault::Head),
        }
        Ok(false)
    }

    /// Notes a record; gives whether a late entry was given up and passed over before, and not yet taken in, and no opening has left
    /// numbers out since. One that does not count is not noted.
    fn note(&mut self, record: &Record, (index, late_counts): (u64, bool)) -> bool {
        match *record {
            Record::PassedOver { first, last } => {
                self.passed.push((first, last));
                if !may_come((first, last)) {
                    self.left_out = last;
                }
                true
            }
            Record::Entry { late: false, .. } => true,
            Record::Entry { sequence, leaf, late: true } => {
                let may_stand = sequence > self.left_out && self.passed_with(sequence).is_some_and(may_come);
                may_stand && (!late_counts || self.late.insert(sequence, (leaf, index)).is_none())
            }
        }
    }

    /// Up to which number entries are rightly missing: as the highest removal says whose entry is on disk as it was signed, and that
    /// the log's key signed as well, up to `told`: the head over an entry says when it was there, and not who wrote it. With the
    /// index of that entry's leaf.
    fn removed_through(
        &self,
        removals: &[Removal],
        segments: &[(u64, PathBuf)],
        (signed_leaves, told): (u64, u64),
    ) -> Result<(u64, u64), TreeError> {
        let mut highest_first = removals.to_vec();
        highest_first.sort_unstable_by(|a, b| b.cmp(a));
        for Removal { through, entry } in highest_first {
            // Nothing tells of what comes after it.
            let may_tell = through < entry && through <= told;
            let Some((index, signed)) = self.told.get(&entry).filter(|_| may_tell) else { continue };
            let at = segments.partition_point(|(first, _)| *first <= entry).checked_sub(1);
            let Some((_, path)) = at.and_then(|at| segments.get(at)) else { continue };
            let is_it = |(sequence, leaf): &(u64, Hash)| *sequence == entry && leaf == signed;
            if *index < signed_leaves && entries_of(path)?.iter().any(is_it) {
                return Ok((through, *index));
            }
        }
        Ok((0, 0))
    }

    /// What its signed leaves say of the audit's numbers.
    fn accounted(&self, removed_through: u64) -> Accounted {
        let (through, passed) = self.signed;
        Accounted { removed_through, passed_over: self.passed.iter().take(passed).copied().collect(), through }
    }

    /// The numbers that were passed over together with this one.
    fn passed_with(&self, sequence: u64) -> Option<(u64, u64)> {
        let after = self.passed.partition_point(|(first, _)| *first <= sequence);
        let passed = after.checked_sub(1).and_then(|at| self.passed.get(at)).copied();
        passed.filter(|(_, last)| sequence <= *last)
    }

    /// Goes over leaves and entries side by side.
    fn hold_against_entries(
        mut self,
        dir: &Path,
        segments: &[(u64, PathBuf)],
        report: &mut TreeReport,
    ) -> Result<(), TreeError> {
        if self.unreadable {
            return Ok(());
        }
        let mut leaves = InOrder::open(dir, report.leaves)?;
        for (_, path) in segments {
            for (sequence, leaf) in entries_of(path)? {
                self.hold(&mut leaves, sequence, &leaf, report)?;
            }
        }
        while let Some((sequence, _)) = leaves.take()? {
            report.not_there(sequence);
        }
        for (sequence, (_, index)) in self.late {
            // A head covers leaves, and not which of them came late, and under which numbers. What came late and was removed came
            // before the entry that tells of its removal: a later leaf is that of another entry, which somebody has taken away.
            if index < self.told_at {
                report.removed_late += u64::from(sequence <= report.removed_through);
                report.not_there(sequence);
            } else {
                report.add(TreeFault::EntryMissing { first: sequence, last: sequence });
            }
        }
        Ok(())
    }

    fn hold(
        &mut self,
        leaves: &mut InOrder,
        sequence: u64,
        leaf: &Hash,
        report: &mut TreeReport,
    ) -> Result<(), TreeError> {
        while let Some((expected, _)) = leaves.peek()?
            && expected < sequence
        {
            leaves.take()?;
            report.not_there(expected);
        }
        let taken_in = match leaves.peek()? {
            Some((expected, in_order)) if expected == sequence => {
                leaves.take()?;
                Some(in_order)
            }
            Some(_) | None => self.late.remove(&sequence).map(|(leaf, _)| leaf),
        };
        match taken_in {
            Some(taken_in) if taken_in == *leaf => {}
            Some(_) => report.add(TreeFault::LeafDiffers { sequence }),
            None if sequence > self.covered => report.after += 1,
            None => match self.passed_with(sequence) {
                // It was given up: its disk may have had it after all, and the process have been killed before the tree had.
                Some(passed) if may_come(passed) => report.passed(sequence),
                // What an opening left out was never given.
                Some(_) | None => report.add(TreeFault::NotInTree { first: sequence, last: sequence }),
            },
        }
        Ok(())
    }
}

/// The leaves that are entries in the order of their numbers.
struct InOrder {
    records: Records,
    left: u64,
    next: Option<(u64, Hash)>,
}

impl InOrder {
    fn open(dir: &Path, size: u64) -> io::Result<Self> {
        Ok(Self { records: Records::open(dir, 0)?, left: size, next: None })
    }

    fn peek(&mut self) -> io::Result<Option<(u64, Hash)>> {
        while self.next.is_none() && self.left > 0 {
            self.left -= 1;
            if let Some(Some(Record::Entry { sequence, leaf, late: false })) = self.records.step()? {
                self.next = Some((sequence, leaf));
            }
        }
        Ok(self.next)
    }

    fn take(&mut self) -> io::Result<Option<(u64, Hash)>> {
        self.peek()?;
        Ok(self.next.take())
    }
}

/// The entries of a segment with the leaves that they make, in the order of their numbers. What is damaged is not there; the
/// audit's own report names it.
fn entries_of(path: &Path) -> Result<Vec<(u64, Hash)>, TreeError> {
    let mut entries = crate::journal::entries_in(path, entry_leaf)?;
    entries.sort_by_key(|(sequence, _)| *sequence);
    Ok(entries)
}

/// The signed checkpoints, read beside the leaves.
struct Signed<'a> {
    frames: Option<Frames>,
    signers: Signers<'a>,
    next: Option<Checkpoint>,
    /// Leaves of the checkpoint before `next`.
    before: u64,
    /// Leaves of the last whole checkpoint.
    newest: u64,
}

impl<'a> Signed<'a> {
    fn open(dir: &Path, key: Option<&'a VerifierKey>) -> Result<Self, TreeError> {
        let last = checkpoints_tail(dir)?.note.and_then(|note| read_checkpoint(&note, None).ok());
        let newest = last.map_or(0, |last| last.size);
        Ok(Self { frames: Frames::open(dir)?, signers: Signers::new(key), next: None, before: 0, newest })
    }

    /// The next checkpoint that can be believed.
    fn peek(&mut self, report: &mut TreeReport) -> io::Result<Option<&Checkpoint>> {
        while self.next.is_none()
            && let Some(frames) = &mut self.frames
        {
            match frames.step()? {
                FrameStep::End => self.frames = None,
                FrameStep::Bad { offset } => report.add(TreeFault::CheckpointDamaged { offset }),
                FrameStep::Whole(framed) => {
                    report.checkpoints += 1;
                    match self.signers.read(&framed.note, self.before) {
                        Err(what) => report.add(TreeFault::CheckpointForged { after: self.before, what }),
                        Ok(found) => {
                            let (size, after) = (found.size, self.before);
                            if framed.before != after || size <= after {
                                report.add(TreeFault::CheckpointOrder { size, after });
                            }
                            self.next = (size > after).then_some(found);
                        }
                    }
                }
            }
        }
        Ok(self.next.as_ref())
    }

    fn compare(&mut self, edge: &Frontier, report: &mut TreeReport) -> io::Result<()> {
        while let Some(next) = self.peek(report)?
            && next.size <= edge.size()
        {
            if next.size == edge.size() && next.root != edge.root() {
                report.add(TreeFault::RootDiffers { size: next.size });
            }
            self.pass(report);
        }
        Ok(())
    }

    fn pass(&mut self, report: &mut TreeReport) {
        if let Some(passed) = self.next.take() {
            self.before = passed.size;
            report.signed_leaves = passed.size;
        }
    }

    /// Checkpoints over more leaves than there are. Gives who signed.
    fn finish(mut self, report: &mut TreeReport) -> io::Result<Signers<'a>> {
        let mut signed = None;
        while let Some(next) = self.peek(report)? {
            signed = Some(next.size);
            self.pass(report);
        }
        if let Some(signed) = signed {
            let found = report.leaves;
            report.add(TreeFault::TreeTruncated { signed, found });
        }
        Ok(self.signers)
    }
}

/// The kept hashes, read beside the leaves; none of a level that has no file.
struct Levels(Vec<Option<(BufReader<File>, bool)>>);

impl Levels {
    fn open(dir: &Path) -> io::Result<Self> {
        let mut files = Vec::new();
        for kept in 1..=KEPT_LEVELS {
            files.push(match File::open(level_path(dir, kept)) {
                Ok(file) => Some((BufReader::new(file), false)),
                Err(error) if error.kind() == io::ErrorKind::NotFound => None,
                Err(error) => return Err(error),
            });
        }
        Ok(Self(files))
    }

    /// Compares a hash of the tree with the kept one. One that is missing is made anew at the next start; one that differs
    /// is told once for each file.
    fn compare(&mut self, level: u32, index: u64, hash: &Hash, report: &mut TreeReport) {
        let kept = level / KEPT_EVERY;
        if level == 0 || !level.is_multiple_of(KEPT_EVERY) {
            return;
        }
        let Some(Some((file, told))) = (kept as usize).checked_sub(1).and_then(|at| self.0.get_mut(at)) else { return };
        let mut found = [0; HASH_BYTES];
        if file.read_exact(&mut found).is_ok() && found != *hash && !std::mem::replace(told, true) {
            report.add(TreeFault::LevelDiffers { kept, index });
        }
    }
}
