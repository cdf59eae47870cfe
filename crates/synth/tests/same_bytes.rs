//! The same arguments give the same bytes; other arguments give others; a run over an earlier one leaves no trace of it.

#![expect(clippy::unwrap_used, reason = "a helper of a test fails the test")]

use jiff::civil::date;
use kith_synth::{MANIFEST, Manifest, Request, generate};
use std::collections::BTreeMap;
use std::path::Path;

/// SHA-256 of the list "sha256 path" of all files for seed 1, scale 0.001, as of 2026-06-30. Change it only together
/// with a deliberate change of what is written.
const PINNED: &str = "52f25634cfd9f3512805dce2a00d08637cf6b69e08fb4e868f8240e58e06c68c";

fn write(seed: u64, out: &Path) -> Manifest {
    let scale = "0.001".parse().unwrap();
    generate(&Request { seed, scale, as_of: date(2026, 6, 30), out: out.to_owned() }).unwrap()
}

fn contents(root: &Path) -> BTreeMap<String, Vec<u8>> {
    let mut found = BTreeMap::new();
    let mut folders = vec![root.to_owned()];
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
            } else {
                let name = path.strip_prefix(root).unwrap().to_str().unwrap().replace('\\', "/");
                found.insert(name, std::fs::read(&path).unwrap());
            }
        }
    }
    found
}

fn sha256(bytes: &[u8]) -> String {
    hex::encode(ring::digest::digest(&ring::digest::SHA256, bytes).as_ref())
}

#[test]
fn the_same_arguments_give_the_same_bytes() {
    let (first, second) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    write(1, first.path());
    write(9, second.path());
    let other = contents(second.path());
    write(1, second.path());
    let (left, right) = (contents(first.path()), contents(second.path()));
    assert_eq!(left, right);
    assert_eq!(left.keys().collect::<Vec<_>>(), other.keys().collect::<Vec<_>>());
    assert_ne!(left["truth.jsonl"], other["truth.jsonl"]);
}

#[test]
fn the_bytes_are_the_ones_that_were_agreed() {
    let folder = tempfile::tempdir().unwrap();
    write(1, folder.path());
    let mut list = String::new();
    for (path, bytes) in contents(folder.path()).iter().filter(|(path, _)| *path != MANIFEST) {
        list.push_str(&format!("{} {path}\n", sha256(bytes)));
    }
    assert_eq!(sha256(list.as_bytes()), PINNED);
}

#[test]
fn the_manifest_describes_the_files() {
    let folder = tempfile::tempdir().unwrap();
    let manifest = write(2, folder.path());
    let files = contents(folder.path());
    assert_eq!(manifest.files.len() + 1, files.len());
    for entry in &manifest.files {
        let bytes = &files[&entry.path];
        // A plan file says in a line of its own what it is.
        let header = u64::from(entry.path.ends_with(".csv")) + u64::from(entry.path.starts_with("plans/"));
        let lines = bytes.iter().filter(|byte| **byte == b'\n').count() as u64;
        assert_eq!((entry.bytes, entry.rows), (bytes.len() as u64, lines - header), "{}", entry.path);
        assert_eq!(entry.sha256, sha256(bytes), "{}", entry.path);
    }
    let stored: serde_json::Value = serde_json::from_slice(&files[MANIFEST]).unwrap();
    assert_eq!(stored["counts"]["presentations"], manifest.counts.presentations);
}

#[test]
fn every_scenario_has_a_sample_whatever_the_seed() {
    for seed in 0..8 {
        let folder = tempfile::tempdir().unwrap();
        let manifest = write(seed, folder.path());
        assert_eq!(manifest.truth.len(), 15, "seed {seed}: {:?}", manifest.truth);
    }
}
