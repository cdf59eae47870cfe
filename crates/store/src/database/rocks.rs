//! How RocksDB is set up and spoken to: the one place that knows its options and the shape of its messages.
//! It never decides what a failure means for the caller beyond telling a full disk from a failed sync.

use std::path::{Path, PathBuf};

use rocksdb::{
    BlockBasedIndexType, BlockBasedOptions, Cache, ColumnFamily, ColumnFamilyDescriptor, DB, DBCompressionType,
    DBRecoveryMode, Env, LogLevel, Options, ReadOptions, WriteOptions,
};

use super::StoreOptions;
use super::table::Table;

/// Column family of the change log. Keys are sequence numbers as 8 bytes, so that key order is log order.
pub(crate) const LOG: &str = "log";

/// Bits per key of the bloom filters: about one false hit in a hundred.
const BLOOM_BITS_PER_KEY: f64 = 10.0;
/// Part of an index or a filter that is read at once.
const METADATA_BLOCK_BYTES: usize = 4 << 10;
/// Rows that are read at once: larger ones would need less index, and cost more to read.
const BLOCK_BYTES: usize = 8 << 10;
/// RocksDB's own message files kept, and how large one may grow.
const MESSAGE_FILES: usize = 4;
const MESSAGE_FILE_BYTES: usize = 4 << 20;
/// Write-ahead log beyond which the oldest memtables are flushed: bounds disk use and the time of a start.
const WAL_BYTES: u64 = 256 << 20;
/// Open files: far under the usual limit of 1,024.
const OPEN_FILES: i32 = 384;
/// One flush and one compaction at a time leave the cores to the questions.
const BACKGROUND_JOBS: i32 = 2;
/// Dirty bytes after which background files are written out, so that no sync meets a large backlog.
const BYTES_PER_SYNC: u64 = 256 << 10;
/// Bytes that a background file is given at once, and that a compaction reads at once. A kernel that is not interrupted in its own
/// work copies them in one go, and a thread that answers waits for it: a mebibyte took two milliseconds and more.
const BACKGROUND_BYTES: usize = 64 << 10;
/// Read ahead of long scans, in bytes.
const SCAN_READAHEAD_BYTES: usize = 2 << 20;

/// Where RocksDB keeps its files in a data directory.
pub(crate) fn path(dir: &Path) -> PathBuf {
    dir.join("db")
}

/// Whether RocksDB has files there.
pub(crate) fn exists(dir: &Path) -> bool {
    path(dir).join("CURRENT").exists()
}

fn database_options(options: &StoreOptions) -> Options {
    let mut settings = Options::default();
    settings.create_if_missing(true);
    settings.create_missing_column_families(true);
    settings.set_paranoid_checks(true);
    settings.set_wal_recovery_mode(DBRecoveryMode::PointInTime);
    settings.set_track_and_verify_wals_in_manifest(true);
    settings.set_max_total_wal_size(WAL_BYTES);
    settings.set_db_write_buffer_size(options.write_buffer_bytes);
    settings.set_max_open_files(OPEN_FILES);
    settings.set_max_background_jobs(BACKGROUND_JOBS);
    settings.set_bytes_per_sync(BYTES_PER_SYNC);
    settings.set_writable_file_max_buffer_size(BACKGROUND_BYTES as u64);
    settings.set_compaction_readahead_size(BACKGROUND_BYTES);
    settings.set_keep_log_file_num(MESSAGE_FILES);
    settings.set_max_log_file_size(MESSAGE_FILE_BYTES);
    settings.set_log_level(LogLevel::Warn);
    settings.set_stats_dump_period_sec(0);
    settings.set_stats_persist_period_sec(0);
    settings
}

fn family_options(options: &StoreOptions, cache: &Cache, bloom: bool) -> Options {
    let mut blocks = BlockBasedOptions::default();
    blocks.set_block_cache(cache);
    blocks.set_cache_index_and_filter_blocks(true);
    blocks.set_pin_l0_filter_and_index_blocks_in_cache(true);
    // In small parts: keys are pseudonyms, so every look-up is elsewhere, and one that finds its part of a filter not cached
    // must not read and sum the whole of it. With a year of England whole ones took nine tenths of the writer's time.
    blocks.set_index_type(BlockBasedIndexType::TwoLevelIndexSearch);
    blocks.set_partition_filters(true);
    blocks.set_metadata_block_size(METADATA_BLOCK_BYTES);
    blocks.set_pin_top_level_index_and_filter(true);
    blocks.set_block_size(BLOCK_BYTES);
    if bloom {
        blocks.set_bloom_filter(BLOOM_BITS_PER_KEY, false);
    }
    let mut settings = Options::default();
    settings.set_block_based_table_factory(&blocks);
    settings.set_compression_type(DBCompressionType::Lz4);
    settings.set_write_buffer_size(options.write_buffer_bytes / 2);
    settings
}

fn families(options: &StoreOptions) -> Vec<(&'static str, Options)> {
    let cache = Cache::new_lru_cache(options.block_cache_bytes);
    let mut all = vec![
        (rocksdb::DEFAULT_COLUMN_FAMILY_NAME, family_options(options, &cache, false)),
        (LOG, family_options(options, &cache, false)),
    ];
    all.extend(Table::ALL.map(|table| (table.name(), family_options(options, &cache, table.has_bloom()))));
    all
}

/// Every column family.
pub(crate) fn names() -> impl Iterator<Item = &'static str> {
    [rocksdb::DEFAULT_COLUMN_FAMILY_NAME, LOG].into_iter().chain(Table::ALL.map(Table::name))
}

/// Opens the database for reading and writing, making it when there is none.
pub(crate) fn open(dir: &Path, options: &StoreOptions) -> Result<DB, rocksdb::Error> {
    let all = families(options).into_iter().map(|(name, settings)| ColumnFamilyDescriptor::new(name, settings));
    // Compactions, for which nobody waits, give way to those that answer.
    let mut env = Env::new()?;
    env.lower_thread_pool_cpu_priority();
    DB::open_cf_descriptors(&database_options(options), path(dir), all)
}

/// A column family that the database has not: a version that did not know it wrote it.
pub(crate) fn lacking(dir: &Path) -> Result<Option<&'static str>, rocksdb::Error> {
    let there = DB::list_cf(&Options::default(), path(dir))?;
    Ok(names().find(|name| !there.iter().any(|one| one == name)))
}

/// Opens the database without ever writing to it.
pub(crate) fn open_read_only(dir: &Path, options: &StoreOptions) -> Result<DB, rocksdb::Error> {
    let mut settings = database_options(options);
    settings.create_if_missing(false);
    settings.create_missing_column_families(false);
    DB::open_cf_with_opts_for_read_only(&settings, path(dir), families(options), false)
}

/// The column family `name`.
pub(crate) fn family<'a>(db: &'a DB, name: &str) -> Result<&'a ColumnFamily, String> {
    db.cf_handle(name).ok_or_else(|| format!("column family {name} is missing"))
}

/// Every commit is on disk before it returns.
pub(crate) fn synced() -> WriteOptions {
    let mut settings = WriteOptions::default();
    settings.set_sync(true);
    settings
}

/// Options of a scan that must not push the working set out of the cache, and that nobody is answered beside.
pub(crate) fn scanning() -> ReadOptions {
    scanning_by(SCAN_READAHEAD_BYTES)
}

/// The same beside those who are answered.
pub(crate) fn scanning_beside() -> ReadOptions {
    scanning_by(BACKGROUND_BYTES)
}

fn scanning_by(readahead_bytes: usize) -> ReadOptions {
    let mut settings = ReadOptions::default();
    settings.set_verify_checksums(true);
    settings.fill_cache(false);
    settings.set_readahead_size(readahead_bytes);
    settings
}

/// What a failed write means.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum WriteFailure {
    /// No room: nothing of the batch is in the log, and it may be tried again after a new start of RocksDB.
    NoRoom,
    /// The file system takes no writes: likewise.
    ReadOnly,
    /// A sync failed, or the failure is of no known kind: what is on disk is not known.
    Unknown,
}

/// Tells a full or read-only disk from everything else by RocksDB's message, paths left out. A failed sync is
/// `Unknown` whatever its cause: after it, written data may be gone although the next sync succeeds.
pub(crate) fn classify(message: &str, dir: &Path) -> WriteFailure {
    let text = message.replace(&*dir.to_string_lossy(), "");
    if !text.starts_with("IO error") || text.to_ascii_lowercase().contains("sync") {
        return WriteFailure::Unknown;
    }
    if text.contains("No space left on device") || text.contains("Disk quota exceeded") {
        WriteFailure::NoRoom
    } else if text.contains("Read-only file system") {
        WriteFailure::ReadOnly
    } else {
        WriteFailure::Unknown
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_full_or_read_only_disk_is_told_from_a_failed_sync() {
        let dir = Path::new("/data/fsync-test");
        let cases = [
            (
                "IO error: No space left on device: While appending to file: /data/fsync-test/db/4.log: No space left on device",
                WriteFailure::NoRoom,
            ),
            ("IO error: While appending to file: /data/fsync-test/db/4.log: Disk quota exceeded", WriteFailure::NoRoom),
            (
                "IO error: While open a file for appending: /data/fsync-test/db/9.log: Read-only file system",
                WriteFailure::ReadOnly,
            ),
            (
                "IO error: No space left on device: While fdatasync: /data/fsync-test/db/4.log: No space left on device",
                WriteFailure::Unknown,
            ),
            ("IO error: While fsync: a directory: Read-only file system", WriteFailure::Unknown),
            ("IO error: While appending to file: /data/fsync-test/db/4.log: Input/output error", WriteFailure::Unknown),
            ("Corruption: No space left on device", WriteFailure::Unknown),
        ];
        for (message, expected) in cases {
            assert_eq!(classify(message, dir), expected, "{message}");
        }
    }
}
