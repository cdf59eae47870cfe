//! Tests of the tree, with real files, a disk that fails on purpose and a clock that moves when told to.

mod bytes;
mod changed;
mod cosigning;
mod failing;
mod growing;
mod lost;
mod opening;
mod removed;

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use kith_merkle::{Checkpoint, Hash, LogSigner, VerifierKey, verify_consistency};

use super::files::{checkpoint_path, checkpoints_path, leaves_path, level_path};
use super::*;
use crate::journal::{AuditMode, JournalOptions, Removal, Told, segments_of};
use crate::testing::{Call, FaultyDisk, ManualClock, eventually, keys};

const BOOT: &str = "6f7f4b7e-1111-4222-8333-944444444444";
const ORIGIN: &str = "kith.test/audit";

fn signer() -> Arc<LogSigner> {
    Arc::new(LogSigner::from_seed(ORIGIN, &[5; 32]).unwrap())
}

fn key() -> VerifierKey {
    signer().key().clone()
}

/// An audit with its tree under test, and all that they were made of.
struct Bench {
    dir: tempfile::TempDir,
    disk: FaultyDisk,
    clock: Arc<ManualClock>,
    signer: Option<Arc<LogSigner>>,
    witnesses: Vec<VerifierKey>,
}

/// Both open, with whoever lets the tree grow in the test's hands.
struct Open {
    journal: Arc<Journal>,
    tree: Arc<Tree>,
    grower: Option<Grower>,
}

impl Bench {
    fn new() -> Self {
        Self {
            dir: tempfile::tempdir().unwrap(),
            disk: FaultyDisk::default(),
            clock: Arc::default(),
            signer: Some(signer()),
            witnesses: Vec::new(),
        }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    fn tree(&self) -> PathBuf {
        self.path("tree")
    }

    fn open_tree(&self) -> Arc<Tree> {
        let mut options = TreeOptions::new(self.tree(), self.signer.clone());
        options.witnesses.clone_from(&self.witnesses);
        Tree::open_on(Arc::new(self.disk.clone()), options, self.clock.clone()).unwrap()
    }

    /// Opens tree and journal as the engine does.
    fn open(&self) -> Open {
        let tree = self.open_tree();
        let mut options = JournalOptions::new(self.path("primary"), self.path("spill"));
        options.mode = AuditMode::Bounded;
        let disk = Arc::new(self.disk.clone());
        let (journal, recovered) =
            Journal::open_on(disk, options, keys(), tree.covered_through(), BOOT, self.clock.clone()).unwrap();
        let grower = tree.begin(recovered.last_sequence);
        Open { journal, tree, grower }
    }

    fn verify(&self) -> TreeReport {
        self.verify_with(&[])
    }

    fn verify_with(&self, outside: &[Vec<u8>]) -> TreeReport {
        self.verify_beside(outside, None)
    }

    /// Beside a head that the log knows of: its leaves and root.
    fn verify_beside(&self, outside: &[Vec<u8>], anchored: Option<(u64, Hash)>) -> TreeReport {
        let sinks = [self.path("primary"), self.path("spill")];
        let key = self.signer.as_ref().map(|signer| signer.key());
        let removals = self.told_removals();
        let keys = (key, self.witnesses.as_slice());
        Tree::verify(&self.tree(), [&sinks[0], &sinks[1]], keys, (outside, anchored), &removals).unwrap()
    }

    /// What entries like `removed 7` tell of removals, as the engine finds it in its own.
    fn told_removals(&self) -> Vec<Removal> {
        Journal::survey(&self.path("primary"), &self.path("spill"), &keys(), &told).unwrap().removals()
    }

    /// Segments of the primary sink, oldest first.
    fn segments(&self) -> Vec<PathBuf> {
        segments_of([&self.path("primary"), &self.path("spill")]).unwrap().into_iter().map(|(_, path)| path).collect()
    }
}

/// What an entry of these tests tells of numbers that have none.
fn told(plain: &[u8]) -> Option<Told> {
    let (what, number) = std::str::from_utf8(plain).ok()?.split_once(' ')?;
    let number = number.parse().ok()?;
    match what {
        "removed" => Some(Told::Removed { through: number }),
        "gap" => Some(Told::Gap { after: number }),
        _ => None,
    }
}

impl Open {
    /// Writes entries and waits until they are on disk; gives the last number.
    fn append(&self, count: u64) -> u64 {
        let mut last = 0;
        for number in 1..=count {
            last = self.journal.append(format!("entry {number}").as_bytes()).unwrap().sequence;
        }
        eventually("sync", || self.journal.synced_through() >= last);
        last
    }

    fn step(&mut self, bench: &Bench, all: bool) -> Result<Step, TreeError> {
        self.grower.as_mut().unwrap().step(&self.journal, bench.clock.now(), all)
    }

    /// Takes in all there is.
    fn grow(&mut self, bench: &Bench) {
        while self.step(bench, true).unwrap() == Step::Grew {}
    }

    fn checkpoint(&self) -> Checkpoint {
        Checkpoint::open(&self.tree.checkpoint().unwrap(), &key()).unwrap().0
    }

    /// An older checkpoint is a beginning of the newest.
    fn follows(&self, old: &Checkpoint) {
        let new = self.checkpoint();
        let proof = self.tree.consistency(old.size, new.size).unwrap().unwrap();
        verify_consistency(old.size, new.size, &old.root, &new.root, &proof).unwrap();
    }
}
