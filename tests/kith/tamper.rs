//! What somebody could do to the audit of a stopped server, with the disks and even with the storage key in hand, to what is under a
//! signed head: each way is found and named by `kithd verify`, and told at the next start, which answers all the same. A kill is never
//! taken for one. What they can still choose, after the newest head, is in the threat model.

use std::cell::Cell;
use std::path::{Path, PathBuf};
use std::process::Command;

use kith_engine::VerifyReport;
use kith_merkle::Checkpoint;
use kith_store::TreeFault;

use crate::harness::build::{self, nhs};
use crate::harness::process::{Server, program};
use crate::harness::scratch::Scratch;
use crate::harness::site::{AUTHORITIES, Site, TRUSTS};
use crate::harness::wait::until_async;
use crate::harness::{calls, offline};

const ED: &str = TRUSTS[0];
/// The audit's two sinks, its tree, and everything else.
const AUDIT: [&str; 2] = ["disk/audit", "disk/spill"];
const TREE: &str = "disk/audit-tree";
const DATA: &str = "disk/data";

fn copy(from: &Path, to: &Path) {
    std::fs::create_dir_all(to).unwrap();
    for entry in std::fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        let to = to.join(entry.file_name());
        if entry.path().is_dir() {
            copy(&entry.path(), &to);
        } else {
            std::fs::copy(entry.path(), to).unwrap();
        }
    }
}

/// A copy of some parts of a site.
fn copied(site: &Path, parts: &[&str]) -> Scratch {
    let scratch = Scratch::new();
    for part in parts {
        copy(&site.join(part), &scratch.join(part));
    }
    scratch
}

/// A copy of a site, with some parts as they were before.
fn rolled_back(site: &Path, before: &Path, parts: &[&str]) -> Scratch {
    let scratch = copied(site, &["disk"]);
    for name in ["storage.key", "audit.key"] {
        std::fs::copy(site.join(name), scratch.join(name)).unwrap();
    }
    for part in parts {
        std::fs::remove_dir_all(scratch.join(part)).unwrap();
        copy(&before.join(part), &scratch.join(part));
    }
    scratch
}

fn faults(report: &VerifyReport) -> Vec<TreeFault> {
    report.tree.as_ref().unwrap().faults.clone()
}

/// Looks into what was changed, and counts how often; `cargo xtask assure` adds it up.
#[derive(Default)]
struct Tried(Cell<usize>);

impl Tried {
    fn report(&self, site: &Path, kept: &[Vec<u8>]) -> VerifyReport {
        self.0.set(self.0.get() + 1);
        offline::report(site, kept)
    }

    /// What `kithd verify` says of it, and its exit code.
    fn verified(&self, site: &Site, more: &[&str]) -> (Option<i32>, String) {
        self.0.set(self.0.get() + 1);
        verified(site, more)
    }
}

impl Drop for Tried {
    fn drop(&mut self) {
        println!("COUNTED tamper {}", self.0.get());
    }
}

fn newest(site: &Path) -> Vec<u8> {
    std::fs::read(site.join(TREE).join("checkpoint")).unwrap()
}

async fn ask(server: &Server, children: std::ops::Range<u32>) {
    let ed = server.client(ED).await;
    for child in children {
        calls::ask(&ed, build::lookup(ED, nhs(child))).await;
    }
}

/// A site with a past: some questions, a kill, more questions, an end in order; and a copy from after the kill.
async fn lived() -> (Site, Scratch) {
    let mut site = Site::new();
    let server = site.ready().await;
    calls::accept(&server.client(AUTHORITIES[0]).await, vec![build::plan(nhs(1), "P")]).await;
    ask(&server, 1..20).await;
    until_async("a signed head", async || site.path(TREE).join("checkpoint").exists().then_some(())).await;
    server.kill();
    let server = site.ready().await;
    ask(&server, 20..30).await;
    tokio::task::block_in_place(|| server.stop());
    offline::verify(site.dir());
    let before = copied(site.dir(), &["disk"]);
    let server = site.ready().await;
    ask(&server, 1..30).await;
    // Else the log may not know yet of what is taken from the audit.
    let derived = async || {
        let at = server.status().await.positions.unwrap();
        (at.audit_derived_through >= at.audit_last).then_some(())
    };
    until_async("history is derived", derived).await;
    // A head that the copy does not have: at the end it is in the log.
    let old = newest(before.path());
    until_async("a newer head", async || (newest(site.dir()) != old).then_some(())).await;
    tokio::task::block_in_place(|| server.stop());
    offline::verify(site.dir());
    (site, before)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn whatever_is_rolled_back_is_named() {
    let (site, before) = lived().await;
    let tried = Tried::default();
    let kept = newest(site.dir());
    let key = offline::audit_key(site.dir());
    let signed = |note: &[u8]| Checkpoint::open(note, &key).unwrap().0.size;
    let (known, found) = (signed(&kept), signed(&newest(before.path())));
    assert!(known > found, "{known} after {found}");
    assert_eq!(faults(&offline::report(site.dir(), std::slice::from_ref(&kept))), []);
    // The audit alone: its tree knows more, and so does the log.
    let back = rolled_back(site.dir(), before.path(), &AUDIT);
    let report = tried.report(back.path(), &[]);
    assert!(matches!(faults(&report)[..], [TreeFault::EntryMissing { .. }]), "{report}");
    assert!(report.rolled_back.is_some() && !report.is_sound(), "{report}");
    // The tree alone, while a signed head that was published is kept by somebody.
    let back = rolled_back(site.dir(), before.path(), &[TREE]);
    let report = tried.report(back.path(), std::slice::from_ref(&kept));
    assert_eq!(faults(&report)[0], TreeFault::RolledBack { known, found }, "{report}");
    // And without: the log knows of a later head.
    let report = tried.report(back.path(), &[]);
    let in_log = |fault: &TreeFault| matches!(fault, TreeFault::RolledBack { known: in_log, .. } if *in_log <= known);
    assert!(faults(&report).len() == 1 && faults(&report).iter().all(in_log), "{report}");
    // Audit and tree together: the log knows more of either.
    let back = rolled_back(site.dir(), before.path(), &[AUDIT[0], AUDIT[1], TREE]);
    let report = tried.report(back.path(), &[]);
    assert!(faults(&report).len() == 1 && faults(&report).iter().all(in_log), "{report}");
    assert!(report.rolled_back.is_some() && !report.is_sound(), "{report}");
    // All of it: only what somebody else kept can tell.
    let back = rolled_back(site.dir(), before.path(), &[AUDIT[0], AUDIT[1], TREE, DATA]);
    assert!(offline::report(back.path(), &[]).is_sound());
    let report = tried.report(back.path(), &[kept]);
    assert_eq!(faults(&report), [TreeFault::RolledBack { known, found }], "{report}");
    site.finish(&["the last run did not end in order"]);
}

/// A start must not sign over what was put back, nor write its head over the one that the log knows of: it is named before
/// and after.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_was_rolled_back_is_named_at_the_start_and_still_after_it() {
    let (mut site, before) = lived().await;
    for part in [AUDIT[0], AUDIT[1], TREE] {
        std::fs::remove_dir_all(site.path(part)).unwrap();
        copy(&before.join(part), &site.path(part));
    }
    let old = newest(site.dir());
    let server = site.ready().await;
    assert!(server.has_logged("is not as it was signed"));
    ask(&server, 1..5).await;
    tokio::task::block_in_place(|| server.stop());
    assert_eq!(newest(site.dir()), old, "nothing is signed over it");
    let report = Tried::default().report(site.dir(), &[]);
    assert!(matches!(faults(&report)[..], [TreeFault::RolledBack { .. }]), "{report}");
    assert!(report.tree.as_ref().unwrap().suspected[0].starts_with("rolled back"), "{report}");
    site.finish(&["is not as it was signed", "did not end in order"]);
}

/// What `kithd verify` says of a site, and its exit code.
fn verified(site: &Site, more: &[&str]) -> (Option<i32>, String) {
    let verify = ["verify", "--config", "kithd.toml"];
    let output = Command::new(program("kithd")).current_dir(site.dir()).args(verify).args(more).output().unwrap();
    (output.status.code(), String::from_utf8_lossy(&output.stdout).into_owned())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn another_key_is_told_apart_from_damage_and_hides_none() {
    let (site, _) = lived().await;
    let last = |said: &str| said.lines().last().unwrap_or_default().to_owned();
    let (code, said) = verified(&site, &[]);
    assert_eq!((code, last(&said).as_str()), (Some(0), "sound"), "{said}");
    let tried = Tried::default();
    site.run(&["new-audit-key", "--out", "other.key"]);
    site.configure(&[("audit", "signing_key_file", "\"other.key\"")]);
    let (code, said) = tried.verified(&site, &[]);
    assert_eq!(code, Some(4), "{said}");
    assert!(said.contains("FAULT the signing key was changed") && last(&said).starts_with("KEY CHANGED"), "{said}");
    assert!(!said.contains("DAMAGED"), "{said}");
    // Damage beside another key is damage.
    let segment = newest_segment(site.dir());
    let length = std::fs::metadata(&segment).unwrap().len();
    std::fs::File::options().write(true).open(&segment).unwrap().set_len(length / 2).unwrap();
    let (code, said) = tried.verified(&site, &[]);
    assert_eq!((code, last(&said).as_str()), (Some(3), "DAMAGED"), "{said}");
    assert!(said.contains("FAULT the signing key was changed"), "{said}");
    site.finish(&["the last run did not end in order"]);
}

/// Whoever has the disks and the storage key can write another audit, with a tree that fits it: only a signature tells, and only who has
/// the key from elsewhere knows whose it is.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn without_a_key_the_audit_is_called_not_signed_and_the_public_line_is_enough_to_verify_it() {
    let (mut site, _) = lived().await;
    let ends = |code: i32, word: &str, more: &[&str]| {
        let (found, said) = verified(&site, more);
        let last = said.lines().last().unwrap_or_default();
        assert!(
            found == Some(code) && last.starts_with(word),
            "{more:?} ended with {found:?}, {code} was expected: {said}"
        );
        assert_eq!(said.lines().any(|line| line == "sound"), code == 0, "{said}");
        said
    };
    let (own, other) = (offline::audit_key(site.dir()).to_string(), site.run(&["new-audit-key", "--out", "other.key"]));
    let (own, other) = (["--log-key", own.as_str()], ["--log-key", other.trim()]);
    ends(0, "sound", &[]);
    ends(0, "sound", &own);
    // The configuration's key, and every head that it signed, may have been put there by whoever rewrote the audit.
    let said = ends(4, "KEY CHANGED", &other);
    assert!(
        said.contains("FAULT the configuration signs with key") && said.contains("FAULT the signing key was changed")
    );
    site.configure(&[("audit", "signing_key_file", "\"other.key\"")]);
    let said = ends(4, "KEY CHANGED", &own);
    assert!(
        said.contains("FAULT the configuration signs with key") && !said.contains("FAULT the signing key was changed")
    );
    // Nobody needs the private key to verify.
    site.configure(&[("audit", "signing_key_file", "\"gone.key\"")]);
    assert!(ends(0, "sound", &own).contains("was not compared with the one that was given"));
    site.configure(&[("audit", "signing_key_file", "\"\"")]);
    assert!(ends(5, "NOT SIGNED", &[]).contains("NO KEY: no signature was looked at"));
    assert!(ends(0, "sound", &own).contains("names no signing key"), "all of it was signed before");
    // What is written from here on comes under no head.
    let server = site.ready().await;
    ask(&server, 1..5).await;
    tokio::task::block_in_place(|| server.stop());
    let ends = |word: &str, more: &[&str]| {
        let (found, said) = verified(&site, more);
        assert!(found == Some(5) && said.lines().last().unwrap_or_default().starts_with(word), "{found:?}: {said}");
    };
    ends("NOT SIGNED", &[]);
    ends("NOT SIGNED", &own);
    // Nor under one where a key is named and is not there.
    site.configure(&[("audit", "signing_key_file", "\"gone.key\"")]);
    ends("NOT SIGNED", &own);
    site.finish(&["the last run did not end in order", "audit.signing_key_file: none"]);
}

/// The newest segment of the first sink that holds entries.
fn newest_segment(site: &Path) -> PathBuf {
    let mut found: Vec<PathBuf> = std::fs::read_dir(site.join(AUDIT[0]))
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.extension().is_some_and(|suffix| suffix == "seg"))
        .filter(|path| std::fs::metadata(path).unwrap().len() > 96)
        .collect();
    found.sort();
    found.pop().unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_truncated_audit_is_named_by_the_program_and_at_the_start_which_answers_all_the_same() {
    let (mut site, _) = lived().await;
    let kept = newest(site.dir());
    std::fs::write(site.path("kept"), &kept).unwrap();
    let (code, said) = verified(&site, &["--checkpoint", "kept"]);
    assert!(code == Some(0) && said.contains("audit tree: 1 checkpoints kept by others"), "{said}");
    let segment = newest_segment(site.dir());
    let length = std::fs::metadata(&segment).unwrap().len();
    std::fs::File::options().write(true).open(&segment).unwrap().set_len(length / 2).unwrap();
    let (code, said) = Tried::default().verified(&site, &["--checkpoint", "kept"]);
    assert_eq!(code, Some(3), "{said}");
    assert!(
        said.contains("are in the tree and not in the audit") && said.contains("FAULT audit rolled back"),
        "{said}"
    );
    // The start tells it, signs nothing more, and answers.
    let server = site.ready().await;
    assert!(server.has_logged("is not as it was signed"));
    ask(&server, 1..5).await;
    tokio::task::block_in_place(|| server.stop());
    assert_eq!(newest(site.dir()), kept, "nothing is signed over a changed audit");
    assert!(site.path(TREE).join("suspected").exists());
    site.finish(&["is not as it was signed", "did not end in order", "audit segment is damaged or torn"]);
}
