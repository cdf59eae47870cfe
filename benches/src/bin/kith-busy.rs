//! `kith-busy`: a process that uses a share of a core and syncs so many bytes a second, and nothing else: what a tail beside
//! Kith's own background work is measured against. It writes in one thread and computes in another, as Kith does: a disk that
//! is slow to sync keeps nobody from computing, and the other way round.

use std::fs::File;
use std::io::{Seek, Write};
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::{Duration, Instant};

use clap::Parser;
use rustix::time::{ClockId, clock_gettime};

/// Work and pauses alternate this often.
const TURN: Duration = Duration::from_millis(10);
/// The file begins again, empty, after so many bytes: appending is what Kith's files do most.
const MOST_BYTES: u64 = 1 << 30;
/// At most so many turns' bytes are written at once, after syncs that took longer than a turn.
const MOST_TURNS: f64 = 50.0;

/// Uses processor time and the disk until it is ended.
#[derive(Parser)]
struct Arguments {
    /// The file that is written and synced
    #[arg(long)]
    file: PathBuf,
    /// Processor time, in cores
    #[arg(long)]
    cores: f64,
    /// Bytes written and synced in a second
    #[arg(long)]
    bytes_per_s: f64,
}

/// Processor time of this process so far.
fn spent() -> Duration {
    let time = clock_gettime(ClockId::ProcessCPUTime);
    Duration::new(time.tv_sec.unsigned_abs(), u32::try_from(time.tv_nsec).unwrap_or(0))
}

/// Bytes that are due after so long, beyond those that are written.
#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    clippy::cast_precision_loss,
    reason = "a number of bytes"
)]
fn bytes_due(bytes_per_s: f64, elapsed: Duration, written: u64) -> usize {
    let due = bytes_per_s * elapsed.as_secs_f64() - written as f64;
    due.min(bytes_per_s * TURN.as_secs_f64() * MOST_TURNS).max(0.0) as usize
}

/// Computes for a share of the time: what writing takes counts.
fn compute(cores: f64) {
    let (began, share) = (Instant::now(), cores.clamp(0.0, 1.0));
    for turn in 1_u64.. {
        while spent().as_secs_f64() < share * began.elapsed().as_secs_f64() {
            std::hint::black_box((0..1_000_u64).fold(turn, |sum: u64, n| sum.wrapping_mul(31).wrapping_add(n)));
        }
        std::thread::sleep(TURN);
    }
}

/// Writes and syncs what is due, each turn.
fn write(arguments: &Arguments) -> std::io::Result<()> {
    let mut file = File::create(&arguments.file)?;
    let (began, mut written) = (Instant::now(), 0_u64);
    let mut bytes = Vec::new();
    loop {
        bytes.resize(bytes_due(arguments.bytes_per_s, began.elapsed(), written), 7);
        if !bytes.is_empty() {
            file.write_all(&bytes)?;
            file.sync_data()?;
            written += bytes.len() as u64;
            if file.stream_position()? > MOST_BYTES {
                file.set_len(0)?;
                file.rewind()?;
            }
        }
        std::thread::sleep(TURN);
    }
}

fn run(arguments: &Arguments) -> std::io::Result<()> {
    let cores = arguments.cores;
    std::thread::spawn(move || compute(cores));
    write(arguments)
}

fn main() -> ExitCode {
    match run(&Arguments::parse()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("kith-busy: failed to write: {error}");
            ExitCode::FAILURE
        }
    }
}
