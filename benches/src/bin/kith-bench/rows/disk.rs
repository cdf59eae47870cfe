//! What waits for the disk: a check-in beside one synced write, and a stream of plan events beside the same stream where a sync
//! costs nothing.

use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context, Result, ensure};

use crate::bench::{Bench, Measured, p50, per_second, us};
use crate::disk;
use crate::figures::{Reach, Row};

use super::Servers;

/// What a check-in writes in its batch, to be set against one synced write of as many bytes: a log record, rows and the head
/// were 907 to 1,027 bytes. Four times as much would flatter: each such write takes a block of its own from the file system.
const CHECK_IN_BYTES: usize = 1_024;
/// Events without an acknowledgement on the one stream, at most.
const PIPELINED: u32 = 128;
/// A file system in memory: a sync of it costs nothing.
const MEMORY: &str = "/dev/shm";

/// A check-in waits for syncs; a synced write of as many bytes is what the disk can do.
pub fn check_in(bench: &mut Bench<'_>, servers: &Servers) {
    let length = Duration::from_secs_f64(bench.arguments.seconds);
    bench.rounds(
        vec![Row::new("check-in vs one synced write: p50", "us", Reach::AtMost(1.5), ["check-in", "synced write"])],
        |bench| Ok(Measured::of(&bench.outcome(&servers.kithd, "check-in=1", None, (1, 1))?, &[&p50])),
        |bench| {
            let took = disk::synced_writes(&bench.place.file("data"), CHECK_IN_BYTES, length)?;
            Ok(Measured::sure(vec![us(disk::percentile(&took, 0.5))]))
        },
    );
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
    let measured = Measured::of(&bench.outcome(&server, "plan-event=1", None, (1, PIPELINED))?, &[&per_second]);
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
