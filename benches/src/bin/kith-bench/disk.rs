//! What one synced write costs here: the same bytes appended to a file of their own, each followed by a sync. And by how much the
//! log of a server grows at a time.

use std::fs::{self, File};
use std::io::Write;
use std::path::Path;
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result};

/// How often it is looked how long a log is: oftener than groups are written to it where a request comes every ten milliseconds.
const LOOK: Duration = Duration::from_millis(1);

/// Nanoseconds of each of the synced writes of `bytes` bytes that fit into `length`, in order of size.
pub fn synced_writes(folder: &Path, bytes: usize, length: Duration) -> Result<Vec<u64>> {
    let path = folder.join("synced-writes");
    let mut file = File::create(&path)?;
    let payload = vec![7; bytes];
    let (began, mut took) = (Instant::now(), Vec::new());
    while began.elapsed() < length {
        let one = Instant::now();
        file.write_all(&payload)?;
        file.sync_data()?;
        took.push(u64::try_from(one.elapsed().as_nanos())?);
    }
    fs::remove_file(path)?;
    took.sort_unstable();
    Ok(took)
}

/// A percentile of values in order of size; nought of none.
pub fn percentile(sorted: &[u64], share: f64) -> u64 {
    #[expect(
        clippy::cast_precision_loss,
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "a position"
    )]
    let at = (share * (sorted.len().saturating_sub(1)) as f64).round() as usize;
    sorted.get(at).copied().unwrap_or(0)
}

/// Bytes by which RocksDB's log in a folder grew at a time, in order of size, while it was looked at for `length`.
pub fn growths(folder: &Path, length: Duration) -> Result<Vec<u64>> {
    let began = Instant::now();
    let mut lengths = vec![log_bytes(folder)?];
    while began.elapsed() < length {
        thread::sleep(LOOK);
        lengths.push(log_bytes(folder)?);
    }
    Ok(rises(&lengths))
}

/// What the files of RocksDB's log are long together.
fn log_bytes(folder: &Path) -> Result<u64> {
    let mut bytes = 0;
    for item in fs::read_dir(folder).context("failed to list the files of the log")? {
        let path = item?.path();
        if path.extension().is_some_and(|extension| extension == "log") {
            // It may have been retired since it was listed.
            bytes += fs::metadata(&path).map_or(0, |file| file.len());
        }
    }
    Ok(bytes)
}

/// By how much each value exceeds the one before it, in order of size; where it is less, a file was retired.
fn rises(lengths: &[u64]) -> Vec<u64> {
    let mut rises: Vec<u64> = lengths
        .iter()
        .zip(lengths.iter().skip(1))
        .filter_map(|(before, after)| after.checked_sub(*before))
        .filter(|rise| *rise > 0)
        .collect();
    rises.sort_unstable();
    rises
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_log_rises_by_what_is_written_and_not_by_what_is_retired() {
        assert_eq!(rises(&[100, 100, 1_000, 1_000, 40, 140, 1_340]), [100, 900, 1_200]);
        assert!(rises(&[7]).is_empty() && rises(&[]).is_empty());
    }

    #[test]
    fn of_a_folder_the_logs_are_counted_together_and_nothing_else() {
        let folder = tempfile::tempdir().unwrap();
        for (name, bytes) in
            [("000007.log", 10), ("000012.log", 5), ("000011.sst", 400), ("LOG", 30), ("LOG.old.9", 30)]
        {
            fs::write(folder.path().join(name), vec![7; bytes]).unwrap();
        }
        assert_eq!(log_bytes(folder.path()).unwrap(), 15);
        assert!(log_bytes(&folder.path().join("none")).is_err());
    }
}
