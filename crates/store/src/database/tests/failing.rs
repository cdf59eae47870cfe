//! What happens when the disk is full, read-only or failing: by the seam, and on real small file systems
//! where the test may mount one.

use std::io::Write;
use std::process::Command;

use super::*;
use crate::disk::Space;
use crate::testing::Call;

/// Input/output error.
const EIO: i32 = 5;

#[test]
fn a_full_or_read_only_disk_refuses_and_heals() {
    let dir = tempfile::tempdir().unwrap();
    let disk = FaultyDisk::default();
    let options = StoreOptions { reserve_bytes: 1_000, ..options() };
    let store = super::super::open::open(dir.path(), keys(), options, Arc::new(disk.clone())).unwrap();
    store.commit(batch(1)).unwrap();
    disk.set_space(dir.path(), Space { available_bytes: 999, read_only: false });
    let refused = store.commit(batch(2));
    let full = RefusedCause::DiskFull { available_bytes: 999 };
    assert!(matches!(refused, Err(CommitError::Refused { cause }) if cause == full));
    disk.set_space(dir.path(), Space { available_bytes: u64::MAX, read_only: true });
    let refused = store.commit(batch(2));
    assert!(matches!(refused, Err(CommitError::Refused { cause: RefusedCause::ReadOnly })));
    disk.heal();
    assert_eq!(store.commit(batch(2)).unwrap().sequence, 2);
    assert_eq!(log(&store, 1).len(), 2);
}

#[test]
fn a_watermark_that_cannot_be_written_or_synced_is_fatal_for_good() {
    for call in [Call::Write, Call::Sync] {
        let dir = tempfile::tempdir().unwrap();
        let disk = FaultyDisk::default();
        let store = open_on(dir.path(), &disk).unwrap();
        store.commit(batch(1)).unwrap();
        disk.fail(dir.path(), call, 1, false, EIO);
        assert!(matches!(store.commit(batch(2)), Err(CommitError::Fatal { .. })));
        assert_eq!(store.head().sequence, 1, "what is not acknowledged is not shown");
        // The next sync would succeed; nothing may be acknowledged all the same.
        assert!(matches!(store.commit(batch(3)), Err(CommitError::Fatal { .. })));
        drop(store);
        let store = open(dir.path());
        assert_eq!(log(&store, 1).len(), 2, "recovered: the acknowledged one and a prefix of the attempted");
        assert!(store.verify().unwrap().is_sound());
    }
}

/// A small file system of its own, gone with the value.
struct Mount(tempfile::TempDir);

impl Mount {
    /// `None`, said loudly, where mounting is not allowed.
    fn tmpfs(megabytes: u32) -> Option<Self> {
        let dir = tempfile::tempdir().unwrap();
        let size = format!("size={megabytes}m");
        let mounted = Command::new("mount").args(["-t", "tmpfs", "-o", &size, "tmpfs"]).arg(dir.path()).output();
        if mounted.is_ok_and(|output| output.status.success()) {
            return Some(Self(dir));
        }
        writeln!(std::io::stderr(), "SKIPPED: this test may not mount a file system").unwrap();
        None
    }

    fn remount(&self, mode: &str) {
        let remounted =
            Command::new("mount").args(["-o", &format!("remount,{mode}")]).arg(self.0.path()).status().unwrap();
        assert!(remounted.success(), "remount {mode}");
    }

    /// Files and directories that are there.
    fn files(&self) -> u64 {
        let found = rustix::fs::statvfs(self.0.path()).unwrap();
        found.f_files - found.f_ffree
    }

    fn fill(&self) -> std::path::PathBuf {
        let path = self.0.path().join("ballast");
        let mut file = fs::File::create(&path).unwrap();
        while file.write_all(&[0; 4096]).is_ok() {}
        path
    }
}

impl Drop for Mount {
    fn drop(&mut self) {
        let _ended = Command::new("umount").arg(self.0.path()).status();
    }
}

fn large(number: u64) -> Batch {
    // Random bytes, so that nothing shrinks them; large enough to need new blocks.
    let mut value = vec![0; 100_000];
    rand::fill(&mut value[..]);
    Batch { log: vec![value.clone()], rows: vec![put(Table::Plan, &number.to_be_bytes(), &value)] }
}

#[test]
fn rocksdb_that_ran_into_a_full_disk_is_opened_anew_and_nothing_is_lost() {
    let Some(mount) = Mount::tmpfs(96) else { return };
    let dir = mount.0.path().join("data");
    // RocksDB sets room aside for its log by the size of its buffers.
    let options = StoreOptions { write_buffer_bytes: 4 << 20, ..options() };
    let store = Store::open(&dir, keys(), options).unwrap();
    store.commit(large(1)).unwrap();
    let ballast = mount.fill();
    // No reserve is kept here, so the write itself fails inside RocksDB.
    // Until the room that RocksDB had set aside for its log is used up, commits may still succeed.
    let mut last = 1;
    let mut refusals = 0;
    for _ in 0..1_000 {
        match store.commit(large(last + 1)) {
            Ok(head) => last = head.sequence,
            Err(CommitError::Refused { .. }) => refusals += 1,
            Err(other) => panic!("{other}"),
        }
        if refusals == 3 {
            break;
        }
    }
    assert_eq!((refusals, store.head().sequence), (3, last));
    fs::remove_file(ballast).unwrap();
    for number in last + 1..=last + 4 {
        assert_eq!(store.commit(large(number)).unwrap().sequence, number);
    }
    drop(store);
    let store = open(&dir);
    assert_eq!(store.head().sequence, last + 4);
    let report = store.verify().unwrap();
    assert!(report.is_sound(), "{report}");
    drop(store);
}

#[test]
fn a_database_that_a_refused_write_left_closed_is_opened_once_the_disk_takes_files_again() {
    let Some(mount) = Mount::tmpfs(96) else { return };
    let dir = mount.0.path().join("data");
    let options = StoreOptions { write_buffer_bytes: 4 << 20, ..options() };
    let store = Store::open(&dir, keys(), options).unwrap();
    store.commit(large(1)).unwrap();
    let ballast = mount.fill();
    let mut last = 1;
    let refused = loop {
        match store.commit(large(last + 1)) {
            Ok(head) => last = head.sequence,
            Err(error) => break error,
        }
    };
    assert!(matches!(refused, CommitError::Refused { .. }), "{refused}");
    // From now on no file can be made, and RocksDB makes some whenever it is opened.
    mount.remount(&format!("nr_inodes={}", mount.files()));
    assert!(matches!(store.commit(batch(last + 1)), Err(CommitError::Refused { .. })));
    let first = 1_u64.to_be_bytes();
    assert!(matches!(store.get(Table::Plan, &first), Err(StoreError::Closed)));
    assert!(matches!(store.revive(), Err(CommitError::Refused { .. })));
    fs::remove_file(ballast).unwrap();
    mount.remount("nr_inodes=100000");
    store.revive().unwrap();
    assert!(store.get(Table::Plan, &first).unwrap().is_some(), "it can be read before anything is written");
    assert_eq!(store.commit(batch(last + 1)).unwrap().sequence, last + 1);
    let ballast = mount.fill();
    while store.commit(large(store.head().sequence + 1)).is_ok() {}
    store.close();
    fs::remove_file(ballast).unwrap();
    store.revive().unwrap();
    assert!(matches!(store.get(Table::Plan, &first), Err(StoreError::Closed)), "what is closed for good stays so");
    let refused = store.commit(batch(store.head().sequence + 1));
    let closed = RefusedCause::Unusable("it is closed".to_owned());
    assert!(
        matches!(&refused, Err(CommitError::Refused { cause }) if *cause == closed),
        "a change does not open it either, and is refused: {refused:?}"
    );
    drop(store);
}

#[test]
fn a_read_only_file_system_refuses_and_heals() {
    let Some(mount) = Mount::tmpfs(48) else { return };
    let dir = mount.0.path().join("data");
    let store = open(&dir);
    store.commit(batch(1)).unwrap();
    drop(store);
    // A file that is open for writing keeps a file system from being made read-only, so the seam says it is.
    let disk = FaultyDisk::default();
    let store = open_on(&dir, &disk).unwrap();
    disk.set_space(&dir, Space { available_bytes: u64::MAX, read_only: true });
    assert!(matches!(store.commit(batch(2)), Err(CommitError::Refused { cause: RefusedCause::ReadOnly })));
    disk.heal();
    store.commit(batch(2)).unwrap();
    drop(store);
    mount.remount("ro");
    assert!(Store::open(&dir, keys(), options()).is_err());
    let store = Store::open_read_only(&dir, keys(), options()).unwrap();
    assert_eq!(log(&store, 1).len(), 2);
    drop(store);
    mount.remount("rw");
    open(&dir).commit(batch(3)).unwrap();
}
