//! The keyring: every data key of a data directory, and the keys of names, each wrapped by the key-encryption key, in one file
//! that is replaced as a whole. Losing it, or the key that wraps it, is losing the data; nothing here ever makes an empty one
//! in the place of one that does not open.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{self, Read};
use std::path::{Path, PathBuf};

use zeroize::Zeroizing;

use crate::disk::replace_durably;
use crate::key_encryption::{
    KEY_BYTES, KeyEncryptionKey, KeyError, KeyId, KeySource, WRAP_OVERHEAD_BYTES, Wrapping, random,
};
use crate::keys::NameKeys;
use crate::watermark::Fields;

/// The version of the first data key.
pub(crate) const FIRST_VERSION: u8 = 1;

const MAGIC: [u8; 8] = *b"KITHKEYS";
/// The layout written by this version.
const FORMAT: u16 = 1;
/// `[magic 8][format u16][reserved 2][id of the wrapping key 8][generation u64][newest version u8][versions u8][reserved 2]`.
const HEADER_BYTES: usize = 32;
/// Where the header names the wrapping key.
const ID_AT: usize = 12;
/// Where the header says how many versions follow.
const COUNT_AT: usize = 29;
/// The keys of names, wrapped.
const NAMES_BYTES: usize = 2 * KEY_BYTES + WRAP_OVERHEAD_BYTES;
/// A data key, wrapped.
const WRAPPED_BYTES: usize = KEY_BYTES + WRAP_OVERHEAD_BYTES;
/// `[version u8][made at, milliseconds since 1970, i64][wrapped key]`.
const ENTRY_BYTES: usize = 1 + 8 + WRAPPED_BYTES;
/// HMAC-SHA256 under the wrapping key over all before it.
const SUM_BYTES: usize = 32;
/// `[HMAC-SHA256][crc32c u32 over all before it]`.
const TAIL_BYTES: usize = SUM_BYTES + 4;
/// The file holds everything twice, in different blocks, so that one bad block does not lose all data. Every version that
/// there can be fits.
pub(crate) const COPY_STRIDE: usize = 32 << 10;
/// Longest file read: two copies.
const FILE_MAX_BYTES: u64 = 64 << 10;

/// A data key.
pub(crate) struct DataKey {
    /// When it was made, in milliseconds since 1970; 0 for one made with the data directory.
    made_at: i64,
    key: Zeroizing<[u8; KEY_BYTES]>,
}

/// The keys as the keyring holds them, unwrapped.
pub(crate) struct Keyring {
    pub(crate) generation: u64,
    pub(crate) newest: u8,
    pub(crate) names: NameKeys,
    keys: BTreeMap<u8, DataKey>,
    /// The newest key once more: it is asked for at every value.
    pub(crate) sealing: Zeroizing<[u8; KEY_BYTES]>,
}

/// Where the keyring of a data directory stands.
pub(crate) fn path(dir: &Path) -> PathBuf {
    dir.join("keyring")
}

/// Reads the file; `None` when there is none.
pub(crate) fn read(path: &Path) -> Result<Option<Vec<u8>>, KeyError> {
    let file = match File::open(path) {
        Ok(file) => file,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(KeyError::Keyring(error)),
    };
    let mut bytes = Vec::new();
    file.take(FILE_MAX_BYTES + 1).read_to_end(&mut bytes).map_err(KeyError::Keyring)?;
    if bytes.len() as u64 > FILE_MAX_BYTES {
        return Err(KeyError::KeyringDamaged { what: "the file is longer than any keyring" });
    }
    Ok(Some(bytes))
}

/// Writes the first keyring of a data directory; refuses when there is one.
pub(crate) fn write_first(path: &Path, file: &[u8]) -> io::Result<()> {
    if path.try_exists()? {
        return Err(io::Error::new(io::ErrorKind::AlreadyExists, "a keyring came to be meanwhile"));
    }
    replace_durably(path, file)
}

/// What binds a wrapped key to its place: no key opens as another version's, or as a key of names.
fn bound_to(kind: &[u8], version: u8, made_at: i64) -> Vec<u8> {
    [b"kith keyring ", kind, &[version], &made_at.to_be_bytes()].concat()
}

const DATA: &[u8] = b"data";
const NAMES: &[u8] = b"names";

impl Keyring {
    fn new(generation: u64, names: NameKeys, keys: BTreeMap<u8, DataKey>) -> Option<Self> {
        let (newest, last) = keys.last_key_value()?;
        let (newest, sealing) = (*newest, last.key.clone());
        Some(Self { generation, newest, names, keys, sealing })
    }

    fn first(names: NameKeys, key: Zeroizing<[u8; KEY_BYTES]>) -> Result<Self, KeyError> {
        let keys = BTreeMap::from([(FIRST_VERSION, DataKey { made_at: 0, key })]);
        Self::new(1, names, keys).ok_or(KeyError::Crypto)
    }

    /// Random keys, for a data directory in which nothing is yet.
    pub(crate) fn fresh() -> Result<Self, KeyError> {
        let names = NameKeys { pseudonym: *random()?, body: *random()? };
        Self::first(names, random()?)
    }

    /// The keys of a data directory from before there were keyrings: derived from its key file.
    pub(crate) fn adopted(key: &KeyEncryptionKey) -> Result<Self, KeyError> {
        let names = NameKeys { pseudonym: *key.derive(b"pseudonym")?, body: *key.derive(b"body hash")? };
        Self::first(names, key.derive(b"seal")?)
    }

    /// The key of a version; `None` when it is not held.
    pub(crate) fn key(&self, version: u8) -> Option<&[u8; KEY_BYTES]> {
        if version == self.newest {
            return Some(&self.sealing);
        }
        self.keys.get(&version).map(|found| &*found.key)
    }

    /// The versions held, in order.
    pub(crate) fn versions(&self) -> impl Iterator<Item = u8> + '_ {
        self.keys.keys().copied()
    }

    /// Whether it is the same data directory's: the same keys under the same names and versions, and none newer gone.
    pub(crate) fn continues(&self, known: &Self) -> bool {
        let same = self.keys.iter().all(|(version, own)| known.key(*version).is_none_or(|key| *key == *own.key));
        same && self.names == known.names && self.newest >= known.newest && self.key(known.newest).is_some()
    }

    /// The file's bytes, every key wrapped.
    pub(crate) fn encode(&self, wrapping: &Wrapping) -> Result<Vec<u8>, KeyError> {
        let mut block = Vec::with_capacity(COPY_STRIDE);
        block.extend_from_slice(&MAGIC);
        block.extend_from_slice(&FORMAT.to_be_bytes());
        block.extend_from_slice(&[0; 2]);
        block.extend_from_slice(&wrapping.id.0);
        block.extend_from_slice(&self.generation.to_be_bytes());
        block.push(self.newest);
        block.push(u8::try_from(self.keys.len()).map_err(|_| KeyError::NoVersionLeft)?);
        block.extend_from_slice(&[0; 2]);
        let mut names = Zeroizing::new(Vec::with_capacity(2 * KEY_BYTES));
        names.extend_from_slice(&self.names.pseudonym);
        names.extend_from_slice(&self.names.body);
        block.extend(wrapping.wrap(&bound_to(NAMES, 0, 0), &names)?);
        for (version, DataKey { made_at, key }) in &self.keys {
            block.push(*version);
            block.extend_from_slice(&made_at.to_be_bytes());
            block.extend(wrapping.wrap(&bound_to(DATA, *version, *made_at), key.as_slice())?);
        }
        let sum = wrapping.sum(&block);
        block.extend_from_slice(sum.as_ref());
        let check = crc32c::crc32c(&block);
        block.extend_from_slice(&check.to_be_bytes());
        let mut file = block.clone();
        file.resize(COPY_STRIDE, 0);
        file.extend(block);
        Ok(file)
    }

    /// Opens a file's bytes.
    pub(crate) fn decode(file: &[u8], wrapping: &Wrapping) -> Result<Self, KeyError> {
        let damaged = |what| KeyError::KeyringDamaged { what };
        let block = whole_copy(file)?;
        let (body, tail) = block.split_at_checked(block.len() - TAIL_BYTES).ok_or(damaged("it is cut off"))?;
        let Header { id, generation, newest } = Header::read(body).ok_or(damaged("it is cut off"))?;
        if id != wrapping.id {
            return Err(KeyError::OtherKey { wanted: id, found: wrapping.id });
        }
        if !tail.get(..SUM_BYTES).is_some_and(|sum| wrapping.is_sum(body, sum)) {
            return Err(damaged("it was altered: its sum under the key differs"));
        }
        let (wrapped_names, entries) = body
            .get(HEADER_BYTES..)
            .and_then(|rest| rest.split_first_chunk::<NAMES_BYTES>())
            .ok_or(damaged("it is cut off"))?;
        let names = wrapping.open(&bound_to(NAMES, 0, 0), wrapped_names);
        let names = names.as_deref().and_then(|both| names_of(both)).ok_or(damaged("the keys of names do not open"))?;
        let mut keys = BTreeMap::new();
        for entry in entries.as_chunks::<ENTRY_BYTES>().0 {
            let (version, key) = data_key(wrapping, entry).ok_or(damaged("a data key does not open"))?;
            if keys.insert(version, key).is_some() {
                return Err(damaged("a version is there twice"));
            }
        }
        match Self::new(generation, names, keys) {
            Some(keyring) if keyring.newest == newest => Ok(keyring),
            Some(_) | None => Err(damaged("the newest version is missing")),
        }
    }
}

/// What the header says.
struct Header {
    id: KeyId,
    generation: u64,
    newest: u8,
}

impl Header {
    fn read(block: &[u8]) -> Option<Self> {
        let mut fields = Fields(block);
        let _magic_format_and_reserved: [u8; 12] = fields.take()?;
        let id = KeyId(fields.take()?);
        let generation = u64::from_be_bytes(fields.take()?);
        let [newest] = fields.take()?;
        Some(Self { id, generation, newest })
    }
}

fn names_of(both: &[u8]) -> Option<NameKeys> {
    let mut fields = Fields(both);
    let names = NameKeys { pseudonym: fields.take()?, body: fields.take()? };
    fields.0.is_empty().then_some(names)
}

fn data_key(wrapping: &Wrapping, entry: &[u8]) -> Option<(u8, DataKey)> {
    let mut fields = Fields(entry);
    let [version] = fields.take()?;
    let made_at = i64::from_be_bytes(fields.take()?);
    let plain = wrapping.open(&bound_to(DATA, version, made_at), fields.0)?;
    let key = Zeroizing::new(plain.as_slice().try_into().ok()?);
    (version > 0).then_some((version, DataKey { made_at, key }))
}

/// The first copy in the file that is whole.
fn whole_copy(file: &[u8]) -> Result<&[u8], KeyError> {
    let mut fault = KeyError::KeyringDamaged { what: "neither copy in the file is whole" };
    for copy in [Some(file), file.get(COPY_STRIDE..)].into_iter().flatten() {
        match whole(copy) {
            Ok(block) => return Ok(block),
            Err(Some(found)) => fault = KeyError::KeyringNewer { found },
            Err(None) => {}
        }
    }
    Err(fault)
}

/// The bytes of one copy; else the format of a newer one, or that it is not whole.
fn whole(copy: &[u8]) -> Result<&[u8], Option<u16>> {
    let mut fields = Fields(copy);
    if fields.take() != Some(MAGIC) {
        return Err(None);
    }
    let format = fields.take().map(u16::from_be_bytes).ok_or(None::<u16>)?;
    if format > FORMAT {
        return Err(Some(format));
    }
    let count = copy.get(COUNT_AT).copied().ok_or(None::<u16>)?;
    let length = HEADER_BYTES + NAMES_BYTES + usize::from(count) * ENTRY_BYTES + TAIL_BYTES;
    let block = copy.get(..length).ok_or(None::<u16>)?;
    let (body, check) = block.split_last_chunk::<4>().ok_or(None::<u16>)?;
    if crc32c::crc32c(body) == u32::from_be_bytes(*check) { Ok(block) } else { Err(None) }
}

/// For fuzzing: the first copy of a file with its id and its sums made right.
pub(crate) fn mended(file: &[u8], wrapping: &Wrapping) -> Vec<u8> {
    let mut file = file.to_vec();
    let count = file.get(COUNT_AT).copied().unwrap_or_default();
    let length = HEADER_BYTES + NAMES_BYTES + usize::from(count) * ENTRY_BYTES + TAIL_BYTES;
    if let Some(block) = file.get_mut(..length) {
        block.iter_mut().skip(ID_AT).zip(wrapping.id.0).for_each(|(to, from)| *to = from);
        let (body, tail) = block.split_at_mut(length - TAIL_BYTES);
        tail.iter_mut().zip(wrapping.sum(body).as_ref()).for_each(|(to, from)| *to = *from);
        let check = crc32c::crc32c(block.get(..length - 4).unwrap_or_default());
        block.iter_mut().skip(length - 4).zip(check.to_be_bytes()).for_each(|(to, from)| *to = from);
    }
    file
}

/// What a keyring is, without any of its keys.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KeyringStatus {
    /// It grows with each change.
    pub generation: u64,
    /// The key that wraps it.
    pub wrapped_by: KeyId,
    /// The version that seals what is written now.
    pub newest: u8,
    /// Every version held, and when it was made in milliseconds since 1970; 0 for one made with the data directory.
    pub versions: Vec<(u8, i64)>,
}

/// A keyring that is being looked at or changed by hand; nobody else changes it meanwhile. A kithd that runs finds out by
/// itself.
pub struct KeyringEdit {
    path: PathBuf,
    wrapping: Wrapping,
    keyring: Keyring,
    /// The directory: its lock goes with it.
    _lock: File,
}

impl std::fmt::Debug for KeyringEdit {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "KeyringEdit(generation {}, redacted)", self.keyring.generation)
    }
}

impl KeyringEdit {
    /// Opens the keyring of the data directory `dir` with the key from `source`.
    ///
    /// # Errors
    /// Every [`KeyError`] of reading, and [`KeyError::Keyring`] while somebody else changes it.
    pub fn open(dir: &Path, source: &KeySource) -> Result<Self, KeyError> {
        let path = path(dir);
        let lock = File::open(dir).map_err(KeyError::Keyring)?;
        lock.try_lock().map_err(|error| KeyError::Keyring(error.into()))?;
        let file = read(&path)?.ok_or(KeyError::NoKeyring)?;
        let wrapping = KeyEncryptionKey::read(source)?.wrapping()?;
        let keyring = Keyring::decode(&file, &wrapping)?;
        Ok(Self { path, wrapping, keyring, _lock: lock })
    }

    /// What it is.
    #[must_use]
    pub fn status(&self) -> KeyringStatus {
        KeyringStatus {
            generation: self.keyring.generation,
            wrapped_by: self.wrapping.id,
            newest: self.keyring.newest,
            versions: self.keyring.keys.iter().map(|(version, key)| (*version, key.made_at)).collect(),
        }
    }

    /// Adds a data key of the next version, which seals whatever is written from then on. `made_at` is in milliseconds
    /// since 1970.
    ///
    /// # Errors
    /// [`KeyError::NoVersionLeft`], and when the file cannot be written: then the old one stands.
    pub fn rotate(&mut self, made_at: i64) -> Result<(), KeyError> {
        let next = self.keyring.newest.checked_add(1).ok_or(KeyError::NoVersionLeft)?;
        let key = random()?;
        self.keyring.sealing = key.clone();
        self.keyring.keys.insert(next, DataKey { made_at, key });
        self.keyring.newest = next;
        self.write()
    }

    /// Wraps every key by the key from `source`; the keys, and what is sealed with them, stay as they are.
    ///
    /// # Errors
    /// When that key cannot be read, or the file cannot be written: then the old one stands.
    pub fn rewrap(&mut self, source: &KeySource) -> Result<(), KeyError> {
        self.wrapping = KeyEncryptionKey::read(source)?.wrapping()?;
        self.write()
    }

    /// Forgets a version for good. Whoever calls this has made sure that nothing is sealed with it.
    ///
    /// # Errors
    /// [`KeyError::Sealing`], [`KeyError::NotHeld`], and when the file cannot be written: then the old one stands.
    pub fn forget(&mut self, version: u8) -> Result<(), KeyError> {
        if version == self.keyring.newest {
            return Err(KeyError::Sealing { version });
        }
        self.keyring.keys.remove(&version).ok_or(KeyError::NotHeld { version })?;
        self.write()
    }

    fn write(&mut self) -> Result<(), KeyError> {
        self.keyring.generation += 1;
        let file = self.keyring.encode(&self.wrapping)?;
        // Read back before it replaces anything: what does not open must never stand there.
        Keyring::decode(&file, &self.wrapping)?;
        replace_durably(&self.path, &file).map_err(KeyError::Keyring)
    }
}

#[cfg(test)]
#[path = "keyring_tests.rs"]
mod tests;
