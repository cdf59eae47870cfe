//! The thin seam between this crate's own files and the disk, so that tests can make any call fail.
//! It never retries, buffers or hides an error.

use std::fs::{File, OpenOptions};
use std::io;
use std::os::unix::fs::{FileExt, MetadataExt, OpenOptionsExt, chown};
use std::path::Path;
use std::sync::Arc;

use rustix::fs::{StatVfsMountFlags, statvfs};

/// Files hold personal data, sealed or not: their owner alone may read them.
const FILE_MODE: u32 = 0o600;

/// A file that is written at chosen offsets and synced.
pub(crate) trait DataFile: Send + Sync {
    /// Writes all of `bytes` at `offset`. After an error any part of them may have been written.
    fn write_at(&self, bytes: &[u8], offset: u64) -> io::Result<()>;
    /// Makes what was written durable. After an error nothing more may be written to the file.
    fn sync_data(&self) -> io::Result<()>;
    /// Cuts the file to `length` bytes.
    fn truncate(&self, length: u64) -> io::Result<()>;
}

/// The room on a file system.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Space {
    /// Bytes an ordinary process may still write.
    pub(crate) available_bytes: u64,
    /// The file system is mounted read-only.
    pub(crate) read_only: bool,
}

/// Where files are made and found.
pub(crate) trait Disk: Send + Sync {
    /// Makes a new file; fails when it exists.
    fn create(&self, path: &Path) -> io::Result<Arc<dyn DataFile>>;
    /// Opens an existing file for writing.
    fn open(&self, path: &Path) -> io::Result<Arc<dyn DataFile>>;
    /// The room on the file system that holds `path`.
    fn space(&self, path: &Path) -> io::Result<Space>;
    /// Makes the names in the directory `path` durable.
    fn sync_dir(&self, path: &Path) -> io::Result<()>;
}

/// The operating system's disk.
#[derive(Debug, Clone, Copy)]
pub(crate) struct RealDisk;

impl DataFile for File {
    fn write_at(&self, bytes: &[u8], offset: u64) -> io::Result<()> {
        self.write_all_at(bytes, offset)
    }

    fn sync_data(&self) -> io::Result<()> {
        File::sync_data(self)
    }

    fn truncate(&self, length: u64) -> io::Result<()> {
        self.set_len(length)
    }
}

impl Disk for RealDisk {
    fn create(&self, path: &Path) -> io::Result<Arc<dyn DataFile>> {
        let file = OpenOptions::new().write(true).create_new(true).mode(FILE_MODE).open(path)?;
        Ok(Arc::new(file))
    }

    fn open(&self, path: &Path) -> io::Result<Arc<dyn DataFile>> {
        Ok(Arc::new(OpenOptions::new().write(true).open(path)?))
    }

    fn space(&self, path: &Path) -> io::Result<Space> {
        let found = statvfs(path)?;
        Ok(Space {
            available_bytes: found.f_bavail.saturating_mul(found.f_frsize),
            read_only: found.f_flag.contains(StatVfsMountFlags::RDONLY),
        })
    }

    fn sync_dir(&self, path: &Path) -> io::Result<()> {
        File::open(path)?.sync_all()
    }
}

/// Makes the name of `path` durable in its directory.
pub(crate) fn sync_parent(path: &Path) -> io::Result<()> {
    match path.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => RealDisk.sync_dir(parent),
        Some(_) | None => RealDisk.sync_dir(Path::new(".")),
    }
}

/// Makes a file that somebody else put in its place durable, bytes and name.
pub(crate) fn settle(path: &Path) -> io::Result<()> {
    File::open(path)?.sync_all()?;
    sync_parent(path)
}

/// Makes a directory and its missing parents, readable by the owner alone, and makes each new name durable.
pub(crate) fn create_dir_durably(path: &Path) -> io::Result<()> {
    if path.is_dir() {
        return Ok(());
    }
    if let Some(parent) = path.parent()
        && !parent.as_os_str().is_empty()
    {
        create_dir_durably(parent)?;
    }
    let mut builder = std::fs::DirBuilder::new();
    std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
    match builder.create(path) {
        Ok(()) => {}
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists && path.is_dir() => {}
        Err(error) => return Err(error),
    }
    sync_parent(path)
}

/// Writes a small whole file so that after a crash either the old or the new one is there. It belongs to whom the old one
/// belonged to: what root writes by hand must not lock the service out.
pub(crate) fn replace_durably(path: &Path, bytes: &[u8]) -> io::Result<()> {
    replace_durably_on(&RealDisk, path, bytes)
}

/// The same, the bytes written by this disk.
pub(crate) fn replace_durably_on(disk: &dyn Disk, path: &Path, bytes: &[u8]) -> io::Result<()> {
    let staged = path.with_extension("new");
    match std::fs::remove_file(&staged) {
        Ok(()) => {}
        Err(error) if error.kind() == io::ErrorKind::NotFound => {}
        Err(error) => return Err(error),
    }
    let file = disk.create(&staged)?;
    if let Ok(old) = std::fs::metadata(path) {
        let new = std::fs::metadata(&staged)?;
        if (old.uid(), old.gid()) != (new.uid(), new.gid()) {
            chown(&staged, Some(old.uid()), Some(old.gid()))?;
        }
    }
    file.write_at(bytes, 0)?;
    file.sync_data()?;
    std::fs::rename(&staged, path)?;
    sync_parent(path)
}
