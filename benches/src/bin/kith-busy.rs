//! `kith-busy`: a process that uses a share of a core and syncs so many bytes a second, and nothing else: what a tail beside
//! Kith's own background work is measured against.

use std::fs::File;
use std::io::{Seek, Write};
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::{Duration, Instant};

use clap::Parser;
use rustix::time::{ClockId, clock_gettime};

/// Work and pauses alternate this often.
const TURN: Duration = Duration::from_millis(10);
/// The file begins again after so many bytes.
const MOST_BYTES: u64 = 64 << 20;

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

/// Bytes of one turn.
#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a number of bytes")]
fn bytes_of_a_turn(bytes_per_s: f64) -> usize {
    (bytes_per_s * TURN.as_secs_f64()).round().max(0.0) as usize
}

/// One synced write in each turn, and computing for the rest of its share: what the write itself takes counts.
fn run(arguments: &Arguments) -> std::io::Result<()> {
    let mut file = File::create(&arguments.file)?;
    let bytes = vec![7; bytes_of_a_turn(arguments.bytes_per_s)];
    let (began, share) = (Instant::now(), arguments.cores.clamp(0.0, 1.0));
    for turn in 1.. {
        if !bytes.is_empty() {
            file.write_all(&bytes)?;
            file.sync_data()?;
            if file.stream_position()? > MOST_BYTES {
                file.rewind()?;
            }
        }
        while spent().as_secs_f64() < share * began.elapsed().as_secs_f64() {
            std::hint::black_box((0..1_000_u64).fold(turn, |sum: u64, n| sum.wrapping_mul(31).wrapping_add(n)));
        }
        let due = TURN * u32::try_from(turn).unwrap_or(u32::MAX);
        std::thread::sleep(due.saturating_sub(began.elapsed()));
    }
    Ok(())
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
