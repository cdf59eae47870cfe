//! The snapshot that the log is trimmed behind: every row of the state at one record of the log, sealed as it stands in
//! the tables, in one file with a hash of its own. It never holds a log record, and never replaces another in place.

use std::fs::File;
use std::io::{self, BufReader, Read};
use std::ops::ControlFlow;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use ring::digest::{Context, SHA256};

use super::table::{MAX_KEY_BYTES, MAX_VALUE_BYTES, Table};
use crate::disk::{DataFile, Disk, RealDisk, sync_parent};
use crate::keys::Keys;
use crate::seal::{self, SEAL_OVERHEAD_BYTES};
use crate::watermark::Head;

/// What a reading of a snapshot calls for each row: table, key, opened value.
pub type VisitSnapshot<'a> = dyn FnMut(Table, &[u8], &[u8]) -> ControlFlow<()> + 'a;

const MAGIC: [u8; 8] = *b"KITHSNAP";
const VERSION: u16 = 1;
/// What a snapshot's file name begins with.
const PREFIX: &str = "snapshot-";
/// Bytes gathered before they are written and synced.
const CHUNK_BYTES: usize = 1 << 20;
/// Bytes of them that are written at once: a kernel that is not interrupted in its own work copies them in one go.
const WRITE_BYTES: usize = 64 << 10;
/// Where a row would name its table stands this after the last one.
const END: u8 = 0;

/// One hash over rows in order of table and key: the same state gives the same hash, however it was sealed.
pub struct StateHash(Context);

impl std::fmt::Debug for StateHash {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("StateHash")
    }
}

impl Default for StateHash {
    fn default() -> Self {
        Self(Context::new(&SHA256))
    }
}

impl StateHash {
    /// Adds the next row, by its plaintext value.
    pub fn row(&mut self, table: Table, key: &[u8], value: &[u8]) {
        for part in [table.name().as_bytes(), key, value] {
            self.0.update(&(part.len() as u64).to_be_bytes());
            self.0.update(part);
        }
    }

    /// The hash over the rows added.
    #[must_use]
    pub fn finish(self) -> [u8; 32] {
        finish(self.0)
    }
}

fn finish(context: Context) -> [u8; 32] {
    let mut hash = [0; 32];
    for (to, from) in hash.iter_mut().zip(context.finish().as_ref()) {
        *to = *from;
    }
    hash
}

/// Where the snapshot at record `sequence` stands.
pub(crate) fn path(dir: &Path, sequence: u64) -> PathBuf {
    dir.join(format!("{PREFIX}{sequence:020}"))
}

/// Where it is written before it is whole.
pub(super) fn staged(dir: &Path, sequence: u64) -> PathBuf {
    path(dir, sequence).with_extension("new")
}

/// Removes every snapshot but the one at `keep`: older ones, and what a killed trim left.
pub(super) fn remove_others(dir: &Path, keep: u64) -> io::Result<()> {
    let kept = path(dir, keep);
    let mut removed = false;
    for item in std::fs::read_dir(dir)? {
        let item = item?;
        let ours = item.file_name().to_string_lossy().starts_with(PREFIX);
        if ours && item.path() != kept {
            std::fs::remove_file(item.path())?;
            removed = true;
        }
    }
    if removed { RealDisk.sync_dir(dir) } else { Ok(()) }
}

/// A snapshot being written.
pub(super) struct Writing {
    file: Arc<dyn DataFile>,
    offset: u64,
    gathered: Vec<u8>,
    hash: Context,
    rows: u64,
}

impl Writing {
    /// Begins the file of the state at `head`.
    pub(super) fn begin(disk: &dyn Disk, dir: &Path, head: Head) -> io::Result<Self> {
        let staged = staged(dir, head.sequence);
        match std::fs::remove_file(&staged) {
            Ok(()) => {}
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            Err(error) => return Err(error),
        }
        let file = disk.create(&staged)?;
        let mut writing = Self {
            file,
            offset: 0,
            gathered: Vec::with_capacity(CHUNK_BYTES * 2),
            hash: Context::new(&SHA256),
            rows: 0,
        };
        writing.put(&header(head));
        Ok(writing)
    }

    fn put(&mut self, bytes: &[u8]) {
        self.hash.update(bytes);
        self.gathered.extend_from_slice(bytes);
    }

    /// Adds a row as it is sealed in its table. Says whether what was gathered has been written out.
    pub(super) fn row(&mut self, table: Table, key: &[u8], sealed: &[u8]) -> io::Result<bool> {
        let name = table.name().as_bytes();
        let too_long = |_| io::Error::other("a row is too long for a snapshot");
        self.put(&[u8::try_from(name.len()).map_err(too_long)?]);
        self.put(name);
        self.put(&u16::try_from(key.len()).map_err(too_long)?.to_be_bytes());
        self.put(&u32::try_from(sealed.len()).map_err(too_long)?.to_be_bytes());
        self.put(key);
        self.put(sealed);
        self.rows += 1;
        if self.gathered.len() < CHUNK_BYTES {
            return Ok(false);
        }
        self.flush()?;
        Ok(true)
    }

    fn flush(&mut self) -> io::Result<()> {
        for piece in self.gathered.chunks(WRITE_BYTES) {
            self.file.write_at(piece, self.offset)?;
            self.offset += piece.len() as u64;
        }
        // Bit by bit: written out at once, the syncs of the audit on the same disk would wait for all of it.
        self.file.sync_data()?;
        self.gathered.clear();
        Ok(())
    }

    /// Ends the file, syncs it and gives it its name.
    pub(super) fn end(mut self, dir: &Path, head: Head) -> io::Result<()> {
        let rows = self.rows;
        self.put(&[END]);
        self.put(&rows.to_be_bytes());
        let hash = finish(std::mem::replace(&mut self.hash, Context::new(&SHA256)));
        self.gathered.extend_from_slice(&hash);
        self.flush()?;
        let named = path(dir, head.sequence);
        std::fs::rename(staged(dir, head.sequence), &named)?;
        sync_parent(&named)
    }
}

/// `[magic 8][version u16][reserved 6][sequence u64][chain 32]`.
pub(crate) fn header(head: Head) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(56);
    bytes.extend_from_slice(&MAGIC);
    bytes.extend_from_slice(&VERSION.to_be_bytes());
    bytes.extend_from_slice(&[0; 6]);
    bytes.extend_from_slice(&head.sequence.to_be_bytes());
    bytes.extend_from_slice(&head.chain);
    bytes
}

/// Bytes of a snapshot, hashed as they are read.
struct Hashed {
    file: BufReader<File>,
    hash: Context,
}

impl Hashed {
    fn take<const N: usize>(&mut self) -> Result<[u8; N], String> {
        let mut bytes = [0; N];
        self.fill(&mut bytes)?;
        Ok(bytes)
    }

    fn some(&mut self, length: usize, most: usize) -> Result<Vec<u8>, String> {
        if length > most {
            return Err(format!("a field of {length} bytes, expected at most {most}"));
        }
        let mut bytes = vec![0; length];
        self.fill(&mut bytes)?;
        Ok(bytes)
    }

    fn fill(&mut self, bytes: &mut [u8]) -> Result<(), String> {
        self.file.read_exact(bytes).map_err(|error| error.to_string())?;
        self.hash.update(bytes);
        Ok(())
    }
}

/// Reads the snapshot at `head`, visits every row opened, and gives the hash of its state. A visitor that breaks ends
/// the reading without a hash.
pub(crate) fn read(
    dir: &Path,
    keys: &Keys,
    head: Head,
    visit: &mut VisitSnapshot<'_>,
) -> Result<Option<[u8; 32]>, String> {
    let mut state = StateHash::default();
    let whole = each_sealed(dir, head, &mut |table, key, sealed| {
        let value = seal::open(keys, table.name(), key, sealed).map_err(|error| error.to_string())?;
        state.row(table, key, &value);
        Ok(visit(table, key, &value))
    })?;
    Ok(whole.then(|| state.finish()))
}

/// What a reading of a snapshot calls for each row as it stands: table, key, sealed value.
type VisitSealed<'a> = dyn FnMut(Table, &[u8], &[u8]) -> Result<ControlFlow<()>, String> + 'a;

/// Reads the snapshot at `head` and visits every row as it stands; says whether it was read to its end and is whole.
pub(super) fn each_sealed(dir: &Path, head: Head, visit: &mut VisitSealed<'_>) -> Result<bool, String> {
    let file = File::open(path(dir, head.sequence)).map_err(|error| error.to_string())?;
    let mut from = Hashed { file: BufReader::with_capacity(CHUNK_BYTES, file), hash: Context::new(&SHA256) };
    if from.take::<56>()?[..] != header(head)[..] {
        return Err("it is of another version or of another record".to_owned());
    }
    let mut rows = 0_u64;
    loop {
        let [length] = from.take()?;
        if length == END {
            break;
        }
        let name = from.some(usize::from(length), usize::from(u8::MAX))?;
        let table = Table::named(&name).ok_or("a table that this version does not know")?;
        let key_length = u16::from_be_bytes(from.take()?);
        let value_length = u32::from_be_bytes(from.take()?) as usize;
        let key = from.some(usize::from(key_length), MAX_KEY_BYTES)?;
        let sealed = from.some(value_length, MAX_VALUE_BYTES + SEAL_OVERHEAD_BYTES)?;
        rows += 1;
        if visit(table, &key, &sealed)?.is_break() {
            return Ok(false);
        }
    }
    if u64::from_be_bytes(from.take()?) != rows {
        return Err("it holds another number of rows than it says".to_owned());
    }
    let hash = finish(std::mem::replace(&mut from.hash, Context::new(&SHA256)));
    if from.take::<32>()? != hash || from.file.read(&mut [0]).map_err(|error| error.to_string())? != 0 {
        return Err("its hash differs".to_owned());
    }
    Ok(true)
}
