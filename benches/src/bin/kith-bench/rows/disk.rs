//! What waits for the disk: a check-in beside one synced write, and a stream of plan events beside the same stream where a sync
//! costs nothing.

use std::path::{Path, PathBuf};
use std::thread;
use std::time::Duration;

use anyhow::{Context, Result, ensure};

use crate::bench::{Bench, Measured, Shape, answered, p50, per_second, us};
use crate::disk;
use crate::drain;
use crate::figures::{Reach, Row};

use super::Servers;

/// While it is counted what a check-in writes, they come one by one: so many a second, each of which is on disk long before the next.
const COUNTED_RATE: f64 = 100.0;
/// Until the generator of those has connected and sends.
const BEGINNING: Duration = Duration::from_secs(3);
/// So long it is counted.
const COUNTED: Duration = Duration::from_secs(4);
/// Of the check-ins of that time half at least must have been seen in the log.
const LEAST_SEEN: usize = 200;
/// Groups that are smaller or larger than this are none of a check-in: it is a sealed record, rows and the head, which were 907 to 1,027
/// bytes, and never as much as a block of the file system. A synced write of a block would flatter.
const LEAST_BYTES: u64 = 256;
const MOST_BYTES: u64 = 4_095;
/// Events without an acknowledgement on the one stream, at most.
const PIPELINED: u32 = 128;
/// What the row about plan events asks, and how.
pub const EVENTS: (&str, Shape) = ("plan-event=1", (1, PIPELINED));
/// A file system in memory: a sync of it costs nothing.
const MEMORY: &str = "/dev/shm";

/// A check-in waits for syncs; a synced write of as many bytes is what the disk can do.
pub fn check_in(bench: &mut Bench<'_>, servers: &Servers) {
    let length = Duration::from_secs_f64(bench.arguments.seconds);
    let row = Row::new("check-in vs one synced write: p50", "us", Reach::AtMost(1.5), ["check-in", "synced write"]);
    bench.or_not_measured(vec![row.clone()], |bench| {
        let bytes = check_in_bytes(bench, servers)?;
        let words = format!(
            "the synced write is of {bytes} bytes, as counted before the rounds: while {COUNTED_RATE} check-ins came in a second, one by \
             one, kithd's log grew by so much or less in a quarter of the times that it grew. History of their questions goes there in \
             groups of its own between them, so that it is no more than what a check-in writes; the watermark's 64 bytes are left out"
        );
        bench.rounds(
            vec![row.note(&words)],
            |bench| Ok(Measured::of(&bench.outcome(&servers.kithd, "check-in=1", None, (1, 1))?, &[&p50])),
            |bench| {
                let took = disk::synced_writes(&bench.place.file("data"), bytes, length)?;
                Ok(Measured::sure(vec![us(disk::percentile(&took, 0.5))]))
            },
        );
        Ok(())
    });
}

/// Bytes that a check-in writes to the log and waits for, or fewer.
fn check_in_bytes(bench: &Bench<'_>, servers: &Servers) -> Result<usize> {
    let mut run = bench.run(&servers.kithd, "check-in=1", Some(COUNTED_RATE), (1, 1));
    run.seconds = (BEGINNING + COUNTED).as_secs_f64();
    let coming = run.beside(bench.place, "check-ins")?;
    thread::sleep(BEGINNING);
    let growths = disk::growths(&bench.place.file("data/store/db"), COUNTED)?;
    answered(coming.finish()?)?;
    ensure!(drain::wait(&bench.metrics)?.is_some(), "the history of the check-ins that were counted did not drain");
    bytes_of_one(&growths)
}

/// What one of them wrote, by what the log grew by at a time, in order of size.
fn bytes_of_one(growths: &[u64]) -> Result<usize> {
    let seen = growths.len();
    ensure!(
        seen >= LEAST_SEEN,
        "kithd's log was seen to grow {seen} times while check-ins came, {LEAST_SEEN} at least were expected"
    );
    // More than a quarter of the groups are check-ins, each of them one, and the others are history.
    let bytes = disk::percentile(growths, 0.25);
    ensure!(
        (LEAST_BYTES..=MOST_BYTES).contains(&bytes),
        "kithd's log grew by {bytes} bytes at a time while check-ins came, {LEAST_BYTES} to {MOST_BYTES} were expected of one"
    );
    Ok(usize::try_from(bytes)?)
}

/// Two servers with a state of their own, one on the disk and one in memory.
pub fn plan_events(bench: &mut Bench<'_>) {
    let row = Row::new(
        "plan events on one pipelined stream: acknowledged per second, vs sync off",
        "1/s",
        Reach::AtLeast(0.8),
        ["on the disk", "in memory"],
    )
    .note("sync off: the same server on a file system in memory; a new server for each turn, which begins with nothing held; 128 events pipelined")
    .times(2);
    bench.or_not_measured(vec![row.clone()], |bench| {
        ensure!(is_memory(Path::new(MEMORY)), "{MEMORY} is no file system in memory");
        let memory = Gone(PathBuf::from(MEMORY).join(format!("kith-bench-{}", std::process::id())));
        let disk = bench.place.file("events");
        bench.rounds(vec![row], |bench| events(bench, &disk), |bench| events(bench, &memory.0));
        Ok(())
    });
}

/// A server of its own for each turn: one that has events already is slower or faster than one that has none.
fn events(bench: &Bench<'_>, folder: &Path) -> Result<Measured> {
    let server = bench.place.again()?.serve_scratch(folder, "")?;
    let (mix, shape) = EVENTS;
    let measured = Measured::of(&bench.outcome(&server, mix, None, shape)?, &[&per_second]);
    server.stop()?;
    Ok(measured)
}

/// Whether a folder is on a file system in memory.
fn is_memory(folder: &Path) -> bool {
    let mounts = std::fs::read_to_string("/proc/mounts").unwrap_or_default();
    mounts.lines().any(|line| {
        let mut words = line.split(' ').skip(1);
        words.next() == folder.to_str() && words.next() == Some("tmpfs")
    })
}

/// A folder that is removed with this value.
struct Gone(PathBuf);

impl Drop for Gone {
    fn drop(&mut self) {
        if let Err(error) = std::fs::remove_dir_all(&self.0).context("failed to remove a scratch folder") {
            println!("NOTE: {error:#}: {}", self.0.display());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_check_in_is_counted_with_no_more_than_it_writes() {
        // History's groups are as many, and either smaller or larger.
        for (history, expected) in [(640, 640), (2_200, 907)] {
            let mut growths: Vec<u64> = [907, history].repeat(LEAST_SEEN);
            growths.extend([10_000; 5]);
            growths.sort_unstable();
            assert_eq!(bytes_of_one(&growths).unwrap(), expected, "history of {history} bytes");
        }
    }

    #[test]
    fn what_cannot_be_a_check_in_is_an_error() {
        assert!(bytes_of_one(&[907; LEAST_SEEN]).is_ok());
        assert!(bytes_of_one(&[907; LEAST_SEEN - 1]).is_err(), "too few were seen");
        for bytes in [LEAST_BYTES - 1, MOST_BYTES + 1] {
            assert!(bytes_of_one(&[bytes; LEAST_SEEN]).is_err(), "{bytes}");
        }
    }
}
