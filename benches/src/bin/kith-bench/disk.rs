//! What one synced write costs here: the same bytes appended to a file of their own, each followed by a sync.

use std::fs::File;
use std::io::Write;
use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::Result;

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
    std::fs::remove_file(path)?;
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
