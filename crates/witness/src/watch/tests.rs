//! A log that behaves, and one that rolls back, forks and rewrites; and memories that fail.

use std::sync::Mutex;
use std::time::Duration;

use kith_merkle::{Frontier, Hashes, LogSigner, consistency_proof, leaf_hash, root_of};

use super::*;
use crate::unproven::{Silence, Unproven};

/// A log in memory whose leaves can be anything.
struct Shown {
    leaves: Mutex<Vec<Hash>>,
    signer: LogSigner,
    taken: Mutex<Vec<String>>,
    proofs: Proofs,
    has_head: bool,
    takes: bool,
}

/// What comes in place of a proof.
#[derive(Debug, Clone, Copy)]
enum Proofs {
    Whole,
    Refused,
    OneHashLess,
    OneHashMore,
}

struct Leaves<'a>(&'a [Hash]);

impl Hashes for Leaves<'_> {
    type Error = ();

    fn at(&self, level: u32, index: u64) -> Result<Hash, ()> {
        let mut edge = Frontier::default();
        let first = usize::try_from(index << level).unwrap();
        self.0.get(first..first + (1 << level)).ok_or(())?.iter().for_each(|leaf| edge.push(*leaf, |_, _, _| {}));
        Ok(edge.root())
    }
}

fn leaves(history: &str, count: usize) -> Vec<Hash> {
    (0..count).map(|number| leaf_hash(&[history.as_bytes(), number.to_string().as_bytes()])).collect()
}

impl Shown {
    fn new(leaves: Vec<Hash>) -> Self {
        let signer = LogSigner::from_seed("kith.test/audit", &[5; 32]).unwrap();
        let (taken, proofs) = (Mutex::default(), Proofs::Whole);
        Self { leaves: Mutex::new(leaves), signer, taken, proofs, has_head: true, takes: true }
    }

    fn show(&self, leaves: Vec<Hash>) {
        *self.leaves.lock().unwrap() = leaves;
    }

    fn taken(&self) -> usize {
        self.taken.lock().unwrap().len()
    }
}

impl Log for Shown {
    type Error = String;

    async fn checkpoint(&self) -> Result<Option<String>, String> {
        if !self.has_head {
            return Ok(None);
        }
        let leaves = self.leaves.lock().unwrap();
        let size = leaves.len() as u64;
        let root = root_of(&Leaves(&leaves), size).unwrap();
        let head = Checkpoint { origin: "kith.test/audit".to_owned(), size, root };
        head.sign(&self.signer).map(|note| Some(note.to_string())).map_err(|error| error.to_string())
    }

    async fn consistency(&self, from: u64, to: u64) -> Result<Vec<Hash>, String> {
        let mut proof = consistency_proof(&Leaves(&self.leaves.lock().unwrap()), from, to).unwrap();
        match self.proofs {
            Proofs::Whole => {}
            Proofs::Refused => return Err("unavailable".to_owned()),
            Proofs::OneHashLess => proof.truncate(proof.len() - 1),
            Proofs::OneHashMore => proof.push(leaf_hash(&[b"more"])),
        }
        Ok(proof)
    }

    async fn cosigned(&self, note: String) -> Result<(), String> {
        if !self.takes {
            return Err("not kept".to_owned());
        }
        self.taken.lock().unwrap().push(note);
        Ok(())
    }
}

/// A witness with a directory of its own.
struct Witness {
    dir: tempfile::TempDir,
    key: VerifierKey,
    signer: WitnessSigner,
}

impl Witness {
    fn new() -> Self {
        Self {
            dir: tempfile::tempdir().unwrap(),
            key: LogSigner::from_seed("kith.test/audit", &[5; 32]).unwrap().key().clone(),
            signer: WitnessSigner::from_seed("witness.test/one", &[6; 32]).unwrap(),
        }
    }

    fn memory(&self) -> Memory {
        Memory::new(self.dir.path())
    }

    fn round(&self, log: &Shown) -> Result<Outcome, WatchError> {
        let memory = self.memory();
        let round = Round { key: &self.key, signer: &self.signer, memory: &memory, time_s: 1_700_000_000 };
        tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(round.run(log))
    }
}

#[test]
fn a_log_that_only_grows_is_cosigned_and_remembered() {
    let (witness, log) = (Witness::new(), Shown::new(leaves("a", 3)));
    assert_eq!(witness.round(&log).unwrap(), Outcome::First(3));
    for (had, has) in [(3, 3), (3, 4), (4, 9), (9, 300)] {
        log.show(leaves("a", has));
        assert_eq!(witness.round(&log).unwrap(), Outcome::Followed(had as u64, has as u64));
        let taken = log.taken.lock().unwrap().last().unwrap().clone();
        let (head, note) = Checkpoint::open(taken.as_bytes(), &witness.key).unwrap();
        assert_eq!((head.size, note.signatures.len()), (has as u64, 2));
        assert_eq!(witness.signer.key().verify_cosignature(&note), Ok(1_700_000_000));
        assert_eq!(witness.memory().read(&witness.key).unwrap().unwrap().0, head);
    }
}

#[test]
fn whatever_does_not_follow_is_cried_out_and_nothing_is_cosigned_until_a_person_has_looked() {
    for (shown, words) in [
        (leaves("a", 4), "ROLLED BACK: the log had 5 leaves and shows 4"),
        (leaves("b", 5), "FORKED: the log shows another tree of 5 leaves"),
        (leaves("b", 8), "REWRITTEN: the tree of 8 leaves does not begin with the one of 5"),
        ([leaves("a", 4), leaves("b", 4)].concat(), "REWRITTEN"),
    ] {
        let (witness, log) = (Witness::new(), Shown::new(leaves("a", 5)));
        witness.round(&log).unwrap();
        let remembered = std::fs::read(witness.dir.path().join("seen")).unwrap();
        log.show(shown);
        let told = witness.round(&log).unwrap_err();
        assert!(matches!(&told, WatchError::Changed(what) if what.starts_with(words)), "{told}");
        let alarm = witness.memory().alarm().unwrap().unwrap();
        assert!(alarm.starts_with(words) && alarm.contains("remembered:") && alarm.contains("shown:"), "{alarm}");
        // Not even when the log is as it was: somebody was there.
        log.show(leaves("a", 5));
        assert!(matches!(witness.round(&log), Err(WatchError::Changed(_))));
        assert_eq!(log.taken(), 1);
        assert_eq!(std::fs::read(witness.dir.path().join("seen")).unwrap(), remembered);
        std::fs::remove_file(witness.memory().alarm_path()).unwrap();
        assert_eq!(witness.round(&log).unwrap(), Outcome::Followed(5, 5));
    }
}

#[test]
fn a_log_that_cannot_be_asked_or_shows_another_key_is_no_change_of_history() {
    let (witness, mut log) = (Witness::new(), Shown::new(leaves("a", 5)));
    witness.round(&log).unwrap();
    log.show(leaves("a", 6));
    log.proofs = Proofs::Refused;
    assert!(matches!(witness.round(&log), Err(WatchError::Unproven { from: 5, to: 6, why }) if why == "unavailable"));
    log.proofs = Proofs::Whole;
    log.signer = LogSigner::from_seed("kith.test/audit", &[9; 32]).unwrap();
    assert!(matches!(witness.round(&log), Err(WatchError::NotShown { from: 5, why: _ })));
    assert_eq!((witness.memory().alarm().unwrap(), log.taken()), (None, 1));
}

/// After a change of the key that was decided on, what is remembered under the old one has to be put aside by a person.
#[test]
fn what_is_remembered_under_another_key_is_no_empty_memory_and_nothing_is_cosigned_until_it_is_put_aside() {
    let (mut witness, mut log) = (Witness::new(), Shown::new(leaves("a", 5)));
    witness.round(&log).unwrap();
    log.signer = LogSigner::from_seed("kith.test/audit", &[9; 32]).unwrap();
    witness.key = log.signer.key().clone();
    log.show(leaves("b", 2));
    for _ in 0..3 {
        assert!(matches!(witness.round(&log), Err(WatchError::Memory(MemoryError::Changed { .. }))));
    }
    assert_eq!(log.taken(), 1);
    std::fs::rename(witness.dir.path().join("seen"), witness.dir.path().join("seen-before")).unwrap();
    assert_eq!(witness.round(&log).unwrap(), Outcome::First(2));
    assert_eq!(log.taken(), 2);
}

/// Whoever replaces the key can sign any history, and whoever takes the heads away need not sign any.
#[test]
fn a_log_whose_key_was_replaced_or_that_shows_no_head_any_more_is_cried_once_one_is_remembered() {
    let other_key = |log: &mut Shown| log.signer = LogSigner::from_seed("kith.test/audit", &[9; 32]).unwrap();
    let no_head = |log: &mut Shown| log.has_head = false;
    for change in [&other_key as &dyn Fn(&mut Shown), &no_head] {
        let (witness, mut log) = (Witness::new(), Shown::new(leaves("a", 5)));
        let mut unproven = Unproven::new(3);
        change(&mut log);
        let mut cried = |log: &Shown| unproven.take(&witness.round(log));
        assert!((0..9).all(|_| !cried(&log)), "it has never been watched: there is nothing to hold it against");
        let (good, changed) = (Shown::new(leaves("a", 5)), log);
        assert!(!cried(&good));
        good.show(leaves("a", 6));
        let found = [&changed, &changed, &good, &changed, &changed, &changed].map(cried);
        assert_eq!(found, [false, false, false, false, false, true]);
        assert_eq!((witness.memory().alarm().unwrap(), changed.taken()), (None, 0), "no change, and not cosigned");
    }
}

/// As many hashes as no proof has say nothing, of a log that follows no more than of one that does not.
#[test]
fn a_proof_of_a_wrong_number_of_hashes_is_no_change_of_history_and_nothing_is_cosigned() {
    for (shown, proofs) in [
        (leaves("a", 8), Proofs::OneHashLess),
        (leaves("a", 8), Proofs::OneHashMore),
        (leaves("b", 8), Proofs::OneHashLess),
        (leaves("b", 8), Proofs::OneHashMore),
    ] {
        let (witness, mut log) = (Witness::new(), Shown::new(leaves("a", 5)));
        witness.round(&log).unwrap();
        log.show(shown);
        log.proofs = proofs;
        let told = witness.round(&log).unwrap_err();
        assert!(matches!(&told, WatchError::Unproven { from: 5, to: 8, why } if why.contains("hashes")), "{told}");
        assert_eq!((witness.memory().alarm().unwrap(), log.taken()), (None, 1), "{proofs:?}");
        assert_eq!(witness.memory().read(&witness.key).unwrap().unwrap().0.size, 5, "{proofs:?}");
    }
}

/// A witness whose key is not configured yet still watches.
#[test]
fn what_follows_is_something_new_though_its_cosignature_is_not_taken() {
    let (witness, mut log) = (Witness::new(), Shown::new(leaves("a", 5)));
    log.takes = false;
    let minutes = |count: u64| Duration::from_secs(60 * count);
    let mut silence = Silence::new(minutes(30));
    for (at, count) in [(20, 5), (40, 6), (60, 7)] {
        log.show(leaves("a", count));
        let round = witness.round(&log);
        assert!(matches!(&round, Err(WatchError::NotTaken { outcome: _, why }) if why == "not kept"), "{round:?}");
        assert!(!silence.take(&round, minutes(at)), "{count} leaves");
        assert_eq!(witness.memory().read(&witness.key).unwrap().unwrap().0.size, count as u64);
    }
    assert!(silence.take(&witness.round(&log), minutes(90)), "it does not grow any more");
}

#[test]
fn a_disk_that_cannot_take_the_alarm_silences_nothing() {
    for in_its_place in ["ALARM.new", "ALARM"] {
        let (witness, log) = (Witness::new(), Shown::new(leaves("a", 5)));
        witness.round(&log).unwrap();
        std::fs::create_dir(witness.dir.path().join(in_its_place)).unwrap();
        log.show(leaves("b", 8));
        for _ in 0..2 {
            let told = witness.round(&log).unwrap_err();
            let WatchError::Changed(what) = &told else { panic!("{in_its_place}: {told}") };
            let has = |words: &str| what.contains(words);
            assert!(what.starts_with("REWRITTEN") && has("NOT WRITTEN DOWN") && has("ALARM"), "{what}");
            assert!(has("remembered:") && has("shown:"), "both heads stand nowhere else: {what}");
        }
        assert_eq!(log.taken(), 1);
    }
}

#[test]
fn an_alarm_that_cannot_be_read_is_no_sign_that_there_is_none() {
    let (witness, log) = (Witness::new(), Shown::new(leaves("a", 5)));
    witness.round(&log).unwrap();
    std::fs::create_dir(witness.memory().alarm_path()).unwrap();
    log.show(leaves("a", 6));
    assert!(matches!(witness.round(&log), Err(WatchError::Memory(MemoryError::Io { .. }))));
    assert_eq!((log.taken(), witness.memory().read(&witness.key).unwrap().unwrap().0.size), (1, 5));
}

#[test]
fn nothing_is_cosigned_that_is_not_remembered() {
    let (witness, log) = (Witness::new(), Shown::new(leaves("a", 5)));
    std::fs::create_dir(witness.dir.path().join("seen.new")).unwrap();
    assert!(matches!(witness.round(&log), Err(WatchError::Memory(MemoryError::Io { .. }))));
    assert_eq!(log.taken(), 0);
    std::fs::remove_dir(witness.dir.path().join("seen.new")).unwrap();
    witness.round(&log).unwrap();
    // A memory that was changed is not an empty one.
    std::fs::write(witness.dir.path().join("seen"), "nothing\n").unwrap();
    assert!(matches!(witness.round(&log), Err(WatchError::Memory(MemoryError::Changed { .. }))));
    assert_eq!(log.taken(), 1);
}
