//! Heads that were published, cosigned, or are known to the log, against the tree that is there. Nothing here reads a leaf.

use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::path::Path;

use kith_merkle::{Checkpoint, Hash, VerifierKey};

use crate::tree::cosign::{self, Brought, KeptHead};
use crate::tree::files::read_small;
use crate::tree::report::TreeReport;
use crate::tree::signers::{Signers, read_checkpoint};
use crate::tree::types::TreeFault;

/// The roots over so many leaves, read off the leaves themselves: kept hashes may be missing, and are believed nowhere here.
pub(super) type Roots = BTreeMap<u64, Hash>;

/// How many leaves the heads have that the tree is held against. One that cannot be read is named where it is.
pub(super) fn sizes(dir: &Path, published: &[Vec<u8>], anchored: Option<(u64, Hash)>) -> BTreeSet<u64> {
    let cosigned = read_small(&cosign::cosigned_path(dir)).ok().flatten();
    let heads = published.iter().chain(&cosigned).filter_map(|note| read_checkpoint(note, None).ok());
    heads.map(|head| head.size).chain(anchored.map(|(size, _)| size)).collect()
}

/// A checkpoint that was published, against the tree that is there.
pub(super) fn hold_against_published(roots: &Roots, note: &[u8], signers: &mut Signers<'_>, report: &mut TreeReport) {
    let known = match signers.read(note, report.signed_leaves) {
        Ok(known) => known,
        Err(what) => return report.add(TreeFault::CheckpointForged { after: report.signed_leaves, what }),
    };
    hold_against_head(roots, known.size, &known.root, report);
}

/// The newest head that was cosigned, against the tree that is there; and whether one is missed.
pub(super) fn hold_against_cosigned(
    dir: &Path,
    (witnesses, roots): (&[VerifierKey], &Roots),
    signers: &mut Signers<'_>,
    report: &mut TreeReport,
) {
    let unread = |error: io::Error| {
        let fault = Some(TreeFault::Cosigned { what: format!("it cannot be read: {error}") });
        KeptHead { fault, ..KeptHead::default() }
    };
    let (brought, nobody) = (Brought::kept_in(dir), Brought::default());
    // What cannot be read excuses nothing: nobody has to believe it, and whoever has the disks can damage it, or put it there.
    let excuses = brought.as_ref().unwrap_or(&nobody);
    let found = cosign::published(dir, signers, report.signed_leaves, (witnesses, Some(excuses)));
    let KeptHead { head: known, fault, verified, excused } = found.unwrap_or_else(unread);
    let is_awaited = !witnesses.is_empty() || brought.as_ref().is_ok_and(|brought| brought.count() > 0);
    // A head is held against the tree whoever cosigned it. That it is cosigned is said where a key says so.
    let is_cosigned = known.is_some() && verified != Some(0);
    report.not_cosigned = is_awaited && !is_cosigned && fault.is_none();
    (report.cosignatures, report.excused) = (verified, excused);
    // With keys nothing is kept by whose a name is.
    match (brought.is_err(), witnesses.is_empty()) {
        (true, true) => report.add(TreeFault::Cosigners),
        (true, false) => report.cosigners_damaged = true,
        (false, _) => {}
    }
    if let Some(fault) = fault {
        report.add(fault);
    }
    if let Some(Checkpoint { origin: _, size, root }) = known {
        report.cosigned = Some(size);
        hold_against_head(roots, size, &root, report);
    }
}

/// A head that was signed once, against the tree that is there.
pub(super) fn hold_against_head(roots: &Roots, size: u64, root: &Hash, report: &mut TreeReport) {
    // It was in the history, on disk, before anybody could see it.
    let found = report.signed_leaves;
    if size > found {
        return report.add(TreeFault::RolledBack { known: size, found });
    }
    // Leaves that cannot be read have been named.
    if roots.get(&size).is_some_and(|there| there != root) {
        report.add(TreeFault::Forked { size });
    }
}
