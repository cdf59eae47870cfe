//! The program as people start it: what it says, and how it refuses. It leaves what is written to the other tests.

#![expect(clippy::unwrap_used, reason = "a helper of a test fails the test")]

use std::process::{Command, Output};

fn run(arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_kith-synth")).args(arguments).output().unwrap()
}

#[test]
fn it_writes_an_england_and_says_how_large() {
    let folder = tempfile::tempdir().unwrap();
    let out = folder.path().join("new/england");
    let done = run(&["--seed", "5", "--scale", "0.0001", "--as-of", "2024-02-29", "--out", out.to_str().unwrap()]);
    assert!(done.status.success(), "{}", String::from_utf8_lossy(&done.stderr));
    let said = String::from_utf8(done.stdout).unwrap();
    assert!(said.starts_with("350 children attending "), "{said}");
    assert!(out.join("manifest.json").exists() && out.join("truth.jsonl").exists());
}

#[test]
fn it_refuses_what_it_cannot_write() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("taken");
    std::fs::write(&file, "not a folder").unwrap();
    let (free, taken) = (folder.path().join("free"), file.to_str().unwrap());
    let free = free.to_str().unwrap();
    let cases = [
        (["1", "0", "2026-01-01", free], 2, "failed to read the scale"),
        (["1", "0.01", "2026-02-29", free], 2, "expected a date"),
        (["1", "0.01", "1600-01-01", free], 2, "expected a date"),
        (["-1", "0.01", "2026-01-01", free], 2, "--seed"),
        (["1", "0.0001", "2026-01-01", taken], 1, "kith-synth failed to write"),
    ];
    for ([seed, scale, as_of, out], code, words) in cases {
        let seed = format!("--seed={seed}");
        let done = run(&[&seed, "--scale", scale, "--as-of", as_of, "--out", out]);
        let said = String::from_utf8(done.stderr).unwrap();
        assert_eq!(done.status.code(), Some(code), "{said}");
        assert!(said.contains(words), "{said}");
    }
    assert!(!std::path::Path::new(free).exists());
}
