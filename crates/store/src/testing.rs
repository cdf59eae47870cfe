//! What the tests of this crate share: a disk that fails on purpose and a clock that moves when told to.
//! None of it is in the shipped crate.

use std::collections::HashMap;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Condvar, Mutex};
use std::time::Duration;

use crate::disk::{DataFile, Disk, RealDisk, Space};
use crate::journal::Monotonic;
use crate::keys::Keys;

/// The same keys every time.
pub(crate) fn keys() -> Arc<Keys> {
    Arc::new(Keys::from_master([7; 32]))
}

/// Calls that can be made to fail.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum Call {
    Create,
    Write,
    Sync,
    Truncate,
}

/// When a call fails.
#[derive(Debug, Clone)]
struct Rule {
    dir: PathBuf,
    call: Call,
    /// Calls that still succeed.
    skip: u32,
    sticky: bool,
    error: i32,
    /// Bytes that a failing write leaves behind.
    partial: usize,
}

#[derive(Default)]
struct Faults {
    rules: Vec<Rule>,
    space: HashMap<PathBuf, Space>,
    hanging: Vec<PathBuf>,
    hanging_writes: Vec<PathBuf>,
    /// Syncs asked for, by directory.
    syncs: HashMap<PathBuf, u64>,
    /// Writes begun, by directory.
    writes: HashMap<PathBuf, u64>,
}

/// The real disk, except where it is told to fail.
#[derive(Clone, Default)]
pub(crate) struct FaultyDisk(Arc<(Mutex<Faults>, Condvar)>);

struct FaultyFile {
    dir: PathBuf,
    inner: Arc<dyn DataFile>,
    disk: FaultyDisk,
}

impl FaultyDisk {
    /// The call number `nth` (from 1) on files of `dir` fails with `error`; all later ones too when `sticky`.
    pub(crate) fn fail(&self, dir: &Path, call: Call, nth: u32, sticky: bool, error: i32) {
        self.fail_partly(dir, call, nth, sticky, error, 0);
    }

    /// As `fail`; a failing write leaves the first `partial` bytes behind.
    pub(crate) fn fail_partly(&self, dir: &Path, call: Call, nth: u32, sticky: bool, error: i32, partial: usize) {
        let rule = Rule { dir: dir.to_owned(), call, skip: nth - 1, sticky, error, partial };
        self.0.0.lock().unwrap().rules.push(rule);
    }

    /// Every call works again.
    pub(crate) fn heal(&self) {
        let mut faults = self.0.0.lock().unwrap();
        faults.rules.clear();
        faults.space.clear();
    }

    /// The file system of `dir` has this room.
    pub(crate) fn set_space(&self, dir: &Path, space: Space) {
        self.0.0.lock().unwrap().space.insert(dir.to_owned(), space);
    }

    /// Syncs in `dir` do not come back until `release`.
    pub(crate) fn hang(&self, dir: &Path) {
        self.0.0.lock().unwrap().hanging.push(dir.to_owned());
    }

    /// Writes in `dir` do not come back until `release_writes`, and have written nothing before.
    pub(crate) fn hang_writes(&self, dir: &Path) {
        self.0.0.lock().unwrap().hanging_writes.push(dir.to_owned());
    }

    /// Hanging syncs come back.
    pub(crate) fn release(&self) {
        self.0.0.lock().unwrap().hanging.clear();
        self.0.1.notify_all();
    }

    /// Hanging writes go on.
    pub(crate) fn release_writes(&self) {
        self.0.0.lock().unwrap().hanging_writes.clear();
        self.0.1.notify_all();
    }

    /// How many writes were begun in `dir`.
    pub(crate) fn writes(&self, dir: &Path) -> u64 {
        self.0.0.lock().unwrap().writes.get(dir).copied().unwrap_or(0)
    }

    /// How many syncs were asked for in `dir`.
    pub(crate) fn syncs(&self, dir: &Path) -> u64 {
        self.0.0.lock().unwrap().syncs.get(dir).copied().unwrap_or(0)
    }

    fn check(&self, dir: &Path, call: Call) -> Result<(), (io::Error, usize)> {
        let mut faults = self.0.0.lock().unwrap();
        let Some(at) = faults.rules.iter().position(|rule| rule.dir == dir && rule.call == call) else { return Ok(()) };
        let rule = &mut faults.rules[at];
        if rule.skip > 0 {
            rule.skip -= 1;
            return Ok(());
        }
        let failure = (io::Error::from_raw_os_error(rule.error), rule.partial);
        if !rule.sticky {
            faults.rules.remove(at);
        }
        Err(failure)
    }

    fn wrap(&self, path: &Path, inner: Arc<dyn DataFile>) -> Arc<dyn DataFile> {
        let dir = path.parent().unwrap().to_owned();
        Arc::new(FaultyFile { dir, inner, disk: self.clone() })
    }
}

impl DataFile for FaultyFile {
    fn write_at(&self, bytes: &[u8], offset: u64) -> io::Result<()> {
        {
            let mut faults = self.disk.0.0.lock().unwrap();
            *faults.writes.entry(self.dir.clone()).or_default() += 1;
            while faults.hanging_writes.contains(&self.dir) {
                faults = self.disk.0.1.wait(faults).unwrap();
            }
        }
        match self.disk.check(&self.dir, Call::Write) {
            Ok(()) => self.inner.write_at(bytes, offset),
            Err((error, partial)) => {
                self.inner.write_at(&bytes[..partial.min(bytes.len())], offset)?;
                Err(error)
            }
        }
    }

    fn sync_data(&self) -> io::Result<()> {
        {
            let mut faults = self.disk.0.0.lock().unwrap();
            *faults.syncs.entry(self.dir.clone()).or_default() += 1;
            while faults.hanging.contains(&self.dir) {
                faults = self.disk.0.1.wait(faults).unwrap();
            }
        }
        self.disk.check(&self.dir, Call::Sync).map_err(|failure| failure.0)?;
        self.inner.sync_data()
    }

    fn truncate(&self, length: u64) -> io::Result<()> {
        self.disk.check(&self.dir, Call::Truncate).map_err(|failure| failure.0)?;
        self.inner.truncate(length)
    }
}

impl Disk for FaultyDisk {
    fn create(&self, path: &Path) -> io::Result<Arc<dyn DataFile>> {
        self.check(path.parent().unwrap(), Call::Create).map_err(|failure| failure.0)?;
        Ok(self.wrap(path, RealDisk.create(path)?))
    }

    fn open(&self, path: &Path) -> io::Result<Arc<dyn DataFile>> {
        Ok(self.wrap(path, RealDisk.open(path)?))
    }

    fn space(&self, path: &Path) -> io::Result<Space> {
        let told = self.0.0.lock().unwrap().space.get(path).copied();
        told.map_or_else(|| RealDisk.space(path), Ok)
    }

    fn sync_dir(&self, path: &Path) -> io::Result<()> {
        RealDisk.sync_dir(path)
    }
}

/// A clock that stands until it is moved.
#[derive(Default)]
pub(crate) struct ManualClock(Mutex<Duration>);

impl ManualClock {
    pub(crate) fn advance_ms(&self, milliseconds: u64) {
        *self.0.lock().unwrap() += Duration::from_millis(milliseconds);
    }
}

impl Monotonic for ManualClock {
    fn now(&self) -> Duration {
        *self.0.lock().unwrap()
    }
}

/// Looks again and again until `done`, for at most 20 seconds: for what other threads do in their own time.
pub(crate) fn eventually(what: &str, mut done: impl FnMut() -> bool) {
    for _ in 0..20_000 {
        if done() {
            return;
        }
        std::thread::park_timeout(Duration::from_millis(1));
    }
    panic!("did not come about: {what}");
}
