//! What of a tree is on disk when it opens. What was written after the last checkpoint may be torn, and is cut off; what is
//! not as it was when that was signed is a fault, and is left as it is.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{self, Read};
use std::path::Path;
use std::sync::Arc;

use kith_merkle::{Checkpoint, Frontier, Hash, VerifierKey, root_of};

use super::cosign::{self, Brought, KeptHead};
use super::files::{
    HASH_LENGTH, KEPT_LEVELS, ReadFault, Records, TreeReader, checkpoint_path, checkpoints_tail, kept_hashes,
    leaves_path, length_of, level_path, read_small, record_offset,
};
use super::grow::{Grown, Kept, level_file, open_or_create};
use super::prove::reaching;
use super::record::{Head, Order, RECORD_BYTES, RECORD_LENGTH, Record, head, may_come, read_head};
use super::signers::{Signers, read_checkpoint};
use super::types::{TreeError, TreeFault};
use crate::disk::Disk;

/// Everything found.
pub(crate) struct Found {
    pub(crate) grown: Grown,
    /// The newest checkpoint's note.
    pub(crate) note: Option<Vec<u8>>,
    /// Not empty: the tree must be neither grown nor signed.
    pub(crate) faults: Vec<TreeFault>,
}

/// A checkpoint that is believed.
struct Signed {
    checkpoint: Checkpoint,
    note: Vec<u8>,
}

/// Reads a tree's directory, makes its first files when there is none, and cuts off what is torn.
pub(crate) fn recover(
    dir: &Path,
    disk: &Arc<dyn Disk>,
    key: Option<&VerifierKey>,
    witnesses: &[VerifierKey],
) -> Result<Found, TreeError> {
    let mut faults = Vec::new();
    let tail = checkpoints_tail(dir)?;
    let (signed, cosigned) = newest(dir, (tail.note, tail.damaged), (key, witnesses), &mut faults)?;
    let size = signed.as_ref().map_or(0, |signed| signed.checkpoint.size);
    let none = Grown { edge: Frontier::default(), covered: 0, checkpoints_end: tail.end, signed: size };
    let note = signed.as_ref().map(|signed| signed.note.clone());
    // What is suspected is left as it is.
    let edge = if faults.is_empty() { prepare(dir, disk, size, &mut faults)? } else { None };
    let Some(edge) = edge else { return Ok(Found { grown: none, note, faults }) };
    if signed.is_some_and(|signed| signed.checkpoint.root != edge.root()) {
        faults.push(TreeFault::RootDiffers { size });
        return Ok(Found { grown: none, note, faults });
    }
    let reader = TreeReader::open(dir)?;
    // One of the newest size was compared already.
    if let Some(Checkpoint { origin: _, size, root }) = cosigned
        && let Some(fault) = held_against(&reader, size, &root)?
    {
        faults.push(fault);
        return Ok(Found { grown: none, note, faults });
    }
    let covered = match covered_at(&reader, size) {
        Ok(covered) => covered,
        Err(ReadFault::Io(error)) => return Err(error.into()),
        Err(ReadFault::Record { index }) => {
            faults.push(TreeFault::RecordDamaged { index });
            return Ok(Found { grown: none, note, faults });
        }
    };
    let order = Order { covered };
    let (edge, covered) = take_up(dir, disk, edge, order, &mut faults)?;
    Ok(Found { grown: Grown { edge, covered, ..none }, note, faults })
}

/// What is wrong with the tree that is there beside a head that was signed once, over no more leaves than there are.
pub(crate) fn held_against(reader: &TreeReader, size: u64, root: &Hash) -> io::Result<Option<TreeFault>> {
    match root_of(reader, size) {
        Ok(there) if there == *root => Ok(None),
        Ok(_) => Ok(Some(TreeFault::Forked { size })),
        // It is under a signed head, and no power cut takes it; and whoever damaged it hides nothing by that.
        Err(ReadFault::Record { index }) => Ok(Some(TreeFault::RecordDamaged { index })),
        Err(ReadFault::Io(error)) => Err(error),
    }
}

/// The newest checkpoint: the last in the history, or the one that was put where others fetch it; and the newest that was
/// cosigned. Both of these were in the history, on disk, before anybody could put them where they are.
fn newest(
    dir: &Path,
    (last, damaged): (Option<Vec<u8>>, bool),
    (key, witnesses): (Option<&VerifierKey>, &[VerifierKey]),
    faults: &mut Vec<TreeFault>,
) -> Result<(Option<Signed>, Option<Checkpoint>), TreeError> {
    if damaged {
        faults.push(TreeFault::CheckpointDamaged { offset: 0 });
    }
    let mut signers = Signers::new(key);
    let mut read = |note: Option<Vec<u8>>| {
        let note = note?;
        let read = signers.read(&note, 0).inspect_err(|what| {
            faults.push(TreeFault::CheckpointForged { after: 0, what: *what });
        });
        Some(Signed { checkpoint: read.ok()?, note })
    };
    let (last, fetched) = (read(last), read(read_small(&checkpoint_path(dir))?));
    // Where it cannot be read who brought what, any of it may have been brought unverified: by that no start suspects the tree.
    let brought = Brought::kept_in(dir).ok();
    let KeptHead { head: cosigned, fault, verified: _, excused: _ } =
        cosign::published(dir, &mut signers, 0, (witnesses, brought.as_ref()))?;
    faults.extend(fault);
    if let Some(fault) = signers.conclude() {
        faults.push(fault);
        // What another key signed is shown to nobody.
        let own = [last, fetched].into_iter().flatten().find(|signed| read_checkpoint(&signed.note, key).is_ok());
        return Ok((own, cosigned));
    }
    let found = last.as_ref().map_or(0, |last| last.checkpoint.size);
    let published = [fetched.as_ref().map(|fetched| &fetched.checkpoint), cosigned.as_ref()];
    let known = published.into_iter().flatten().map(|head| head.size).max().unwrap_or(0);
    let is_other = |head: &Checkpoint| {
        last.as_ref().is_some_and(|last| last.checkpoint.size == head.size && last.checkpoint.root != head.root)
    };
    if known > found {
        faults.push(TreeFault::RolledBack { known, found });
    } else if published.into_iter().flatten().any(is_other) {
        faults.push(TreeFault::Forked { size: found });
    }
    // A cosigned head is shown with proofs alone.
    let newer = fetched.filter(|fetched| fetched.checkpoint.size > found);
    Ok((newer.or(last), cosigned))
}

/// Whether a file's first record was never written, though the file is as long.
fn begins_with_zeros(path: &Path) -> io::Result<bool> {
    let mut bytes = [0xff; RECORD_BYTES];
    File::open(path)?.read_exact(&mut bytes)?;
    Ok(bytes == [0; RECORD_BYTES])
}

/// Sees to it that the leaves and the kept hashes of the signed tree are there, and reads its edge. `None` when they are not.
fn prepare(
    dir: &Path,
    disk: &Arc<dyn Disk>,
    size: u64,
    faults: &mut Vec<TreeFault>,
) -> Result<Option<Frontier>, TreeError> {
    let path = leaves_path(dir);
    let length = length_of(&path)?;
    let found = (length / RECORD_LENGTH).saturating_sub(1);
    if found < size {
        faults.push(TreeFault::TreeTruncated { signed: size, found });
        return Ok(None);
    }
    if length < RECORD_LENGTH || (size == 0 && begins_with_zeros(&path)?) {
        // It was being made when the machine went down, or never was: its length may be on disk and its bytes not.
        let file = open_or_create(&**disk, dir, &path)?;
        file.truncate(0)?;
        file.write_at(&head(), 0)?;
        file.sync_data()?;
    }
    let mut bytes = [0; RECORD_BYTES];
    File::open(&path)?.read_exact(&mut bytes)?;
    match read_head(&bytes) {
        Head::Known => {}
        Head::Newer(found) => faults.push(TreeFault::NewerFormat { found }),
        Head::None => faults.push(TreeFault::Head),
    }
    if !faults.is_empty() {
        return Ok(None);
    }
    let reader = TreeReader::open(dir)?;
    let edge = mend_levels(dir, disk, &reader, size).and_then(|()| Frontier::of(&reader, size));
    match edge {
        Ok(edge) => Ok(Some(edge)),
        Err(ReadFault::Record { index }) => {
            faults.push(TreeFault::RecordDamaged { index });
            Ok(None)
        }
        Err(ReadFault::Io(error)) => Err(error.into()),
    }
}

/// Makes kept hashes anew that are missing: they follow from the leaves, and the signed root tells whether they are right.
fn mend_levels(dir: &Path, disk: &Arc<dyn Disk>, reader: &TreeReader, size: u64) -> Result<(), ReadFault> {
    for kept in 1..=KEPT_LEVELS {
        let path = level_path(dir, kept);
        let (have, wanted) = (length_of(&path)? / HASH_LENGTH, kept_hashes(size, kept));
        if have >= wanted {
            continue;
        }
        tracing::warn!(level = kept, have, wanted, "kept hashes of the audit's tree are missing, and are made anew");
        let file = open_or_create(&**disk, dir, &path)?;
        for index in have..wanted {
            file.write_at(&reader.fold(kept - 1, index << 8, 1 << 8)?, index * HASH_LENGTH)?;
        }
        file.sync_data()?;
    }
    Ok(())
}

/// Up to which number the first `size` records account for all. A late entry does not tell; the one before it does.
fn covered_at(reader: &TreeReader, size: u64) -> Result<u64, ReadFault> {
    for index in (0..size).rev() {
        match reader.record(index)? {
            Record::Entry { late: true, .. } => {}
            Record::Entry { sequence, late: false, .. } => return Ok(sequence),
            Record::PassedOver { last, .. } => return Ok(last),
        }
    }
    Ok(0)
}

/// Takes up the leaves after the last checkpoint: they were synced before it would have been signed, or were not, and then
/// the first that is torn ends them. So does a late one: the journal tells of those after it anew, and of it nothing does but who has
/// the key that seals, who could have written both while nobody looked. Kept hashes above them are written anew.
fn take_up(
    dir: &Path,
    disk: &Arc<dyn Disk>,
    mut edge: Frontier,
    mut order: Order,
    faults: &mut Vec<TreeFault>,
) -> Result<(Frontier, u64), TreeError> {
    let signed = edge.size();
    let mut records = Records::open(dir, signed)?;
    let reader = TreeReader::open(dir)?;
    let mut kept = Kept::default();
    while let Some(Some(record)) = records.step()? {
        let covered = order.covered;
        if !order.takes(&record) || !may_stand(&reader, &record, edge.size())? {
            faults.push(TreeFault::OrderDiffers { index: edge.size(), covered });
            return Ok((edge, covered));
        }
        if let Record::Entry { sequence, late: true, .. } = record
            && signed > 0
        {
            tracing::warn!(
                sequence,
                "an audit entry that came late was not signed in time, and is not signed any more"
            );
            break;
        }
        kept.push(&mut edge, &record);
    }
    let leaves = disk.open(&leaves_path(dir))?;
    leaves.truncate(record_offset(edge.size()))?;
    leaves.sync_data()?;
    for level in (1..=KEPT_LEVELS).filter(|level| level_path(dir, *level).exists()) {
        disk.open(&level_path(dir, level))?.truncate(kept_hashes(signed, level) * HASH_LENGTH)?;
    }
    let mut open = BTreeMap::new();
    kept.write(|level| level_file(&mut open, disk, dir, level))?;
    Ok((edge, order.covered))
}

/// Whether a record may stand at an index as far as late entries are concerned: only what was given, and passed over before it, comes
/// late. Nothing was signed over it yet, and from here on it would be.
fn may_stand(reader: &TreeReader, record: &Record, index: u64) -> Result<bool, TreeError> {
    let Record::Entry { sequence, late: true, .. } = *record else { return Ok(true) };
    let at = reaching(reader, sequence, index)?;
    if at >= index {
        return Ok(false);
    }
    Ok(match reader.record(at)? {
        Record::PassedOver { first, last } => (first..=last).contains(&sequence) && may_come((first, last)),
        Record::Entry { .. } => false,
    })
}

/// Why a tree must not be signed, as told before; empty when it was not suspected.
pub(crate) fn suspicion(path: &Path) -> io::Result<Vec<String>> {
    let told = read_small(path)?.unwrap_or_default();
    Ok(String::from_utf8_lossy(&told).lines().map(str::to_owned).collect())
}
