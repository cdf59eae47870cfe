//! The audit journal alone: what one answer pays for its entry, from one thread and from two, and what of that is the
//! sealing and what the write. Rows of one round stand side by side, rounds alternate, and a row measured twice (A/A)
//! tells how much of a difference is noise. `journal-bench count N` does N entries and nothing else, for valgrind and
//! strace.

use std::fs::OpenOptions;
use std::os::unix::fs::FileExt;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use kith_benches::Failure;
use kith_store::{Appended, AuditMode, Journal, JournalOptions, Keys, SystemMonotonic, seal};
use tokio::runtime::Builder;

/// Length of a usual entry of a lookup, in bytes.
const ENTRY_BYTES: usize = 200;
/// Rounds of all rows.
const ROUNDS: usize = 5;
/// How long one row is measured in one round.
const ROW: Duration = Duration::from_millis(1_500);

/// Opens a journal in a scratch directory.
fn open(dir: &Path, mode: AuditMode) -> Result<Arc<Journal>, Failure> {
    let mut options = JournalOptions::new(dir.join("audit"), dir.join("spill"));
    options.mode = mode;
    let keys = Arc::new(Keys::from_master([7; 32]));
    Ok(Journal::open(options, keys, 0, "bench", Arc::new(SystemMonotonic::default()))?.0)
}

/// One entry, and the wait until its answer may leave.
async fn one(journal: &Journal, entry: &[u8]) -> bool {
    match journal.record(entry) {
        Ok(Appended::Now(_)) => true,
        Ok(Appended::Later(later)) => later.settled().await.is_ok(),
        Err(_) => false,
    }
}

/// Entries one after another until the time is over; nanoseconds of each.
fn in_turn(journal: &Journal) -> Result<Vec<u64>, Failure> {
    let entry = [0x5a; ENTRY_BYTES];
    let runtime = Builder::new_current_thread().build()?;
    let mut taken = Vec::with_capacity(1 << 20);
    runtime.block_on(async {
        let begin = Instant::now();
        while begin.elapsed() < ROW {
            let start = Instant::now();
            assert!(one(journal, &entry).await, "the journal takes every entry");
            taken.push(nanoseconds(start));
        }
    });
    Ok(taken)
}

/// As `in_turn`, with so many answers waiting at once on one thread.
fn at_once(journal: &Arc<Journal>, waiting: usize) -> Result<Vec<u64>, Failure> {
    let runtime = Builder::new_current_thread().build()?;
    runtime.block_on(async {
        let begin = Instant::now();
        let tasks: Vec<_> = (0..waiting)
            .map(|_| {
                let journal = Arc::clone(journal);
                tokio::spawn(async move {
                    let mut taken = Vec::new();
                    while begin.elapsed() < ROW {
                        let start = Instant::now();
                        assert!(one(&journal, &[0x5a; ENTRY_BYTES]).await, "the journal takes every entry");
                        taken.push(nanoseconds(start));
                    }
                    taken
                })
            })
            .collect();
        let mut all = Vec::new();
        for task in tasks {
            all.extend(task.await?);
        }
        Ok(all)
    })
}

fn nanoseconds(start: Instant) -> u64 {
    u64::try_from(start.elapsed().as_nanos()).unwrap_or(u64::MAX)
}

/// `work` on so many threads at once.
fn on_threads(threads: usize, work: impl Fn() -> Result<Vec<u64>, Failure> + Sync) -> Result<Vec<u64>, Failure> {
    std::thread::scope(|scope| {
        let running: Vec<_> = (0..threads).map(|_| scope.spawn(|| work().map_err(|error| error.to_string()))).collect();
        let mut all = Vec::new();
        for thread in running {
            all.extend(thread.join().map_err(|_| "a thread panicked")??);
        }
        Ok(all)
    })
}

/// The sealing of an entry alone.
fn sealing() -> Result<Vec<u64>, Failure> {
    let (keys, entry) = (Keys::from_master([7; 32]), [0x5a; ENTRY_BYTES]);
    timed(|| Ok(seal(&keys, "audit", &[0; 10], &entry).map(|sealed| drop(std::hint::black_box(sealed)))?))
}

/// The write of a sealed entry's bytes at the end of a file, alone and never synced.
fn writing() -> Result<Vec<u64>, Failure> {
    let dir = tempfile::tempdir()?;
    let file = OpenOptions::new().create_new(true).write(true).open(dir.path().join("file"))?;
    let (entry, mut offset) = ([0x5a; ENTRY_BYTES + 58], 0);
    timed(|| {
        file.write_all_at(&entry, offset)?;
        offset += entry.len() as u64;
        Ok(())
    })
}

fn timed(mut work: impl FnMut() -> Result<(), Failure>) -> Result<Vec<u64>, Failure> {
    let (begin, mut taken) = (Instant::now(), Vec::new());
    while begin.elapsed() < ROW {
        let start = Instant::now();
        work()?;
        taken.push(nanoseconds(start));
    }
    Ok(taken)
}

fn row(name: &str, mut taken: Vec<u64>) {
    taken.sort_unstable();
    let at = |share: usize| taken.get(taken.len().saturating_sub(1) * share / 10_000).copied().unwrap_or(0);
    let micros = |share| format!("{}.{:02}", at(share) / 1_000, at(share) % 1_000 / 10);
    let rate = taken.len() as u128 * 1_000 / ROW.as_millis();
    println!(
        "{name:<34} {rate:>9}/s   p50 {:>9}   p99 {:>9}   p99.9 {:>9}   p99.99 {:>9} us",
        micros(5_000),
        micros(9_900),
        micros(9_990),
        micros(9_999)
    );
}

/// A row of the journal, in a scratch directory of its own.
fn journal_row(
    name: &str,
    mode: AuditMode,
    threads: usize,
    work: impl Fn(&Arc<Journal>) -> Result<Vec<u64>, Failure> + Sync,
) -> Result<(), Failure> {
    let dir = tempfile::tempdir()?;
    let journal = open(dir.path(), mode)?;
    let taken = on_threads(threads, || work(&journal))?;
    journal.close()?;
    row(name, taken);
    Ok(())
}

fn round() -> Result<(), Failure> {
    row("seal alone", sealing()?);
    row("write alone", writing()?);
    let alone = |journal: &Arc<Journal>| in_turn(journal);
    journal_row("bounded, 1 thread", AuditMode::Bounded, 1, alone)?;
    journal_row("bounded, 2 threads", AuditMode::Bounded, 2, alone)?;
    journal_row("bounded, 1 thread (A/A)", AuditMode::Bounded, 1, alone)?;
    journal_row("strict, 1 thread x 1", AuditMode::Strict, 1, alone)?;
    journal_row("strict, 2 threads x 64", AuditMode::Strict, 2, |journal| at_once(journal, 64))?;
    Ok(())
}

/// So many entries and nothing else.
fn count(entries: u64) -> Result<(), Failure> {
    let dir = tempfile::tempdir()?;
    let journal = open(dir.path(), AuditMode::Bounded)?;
    let runtime = Builder::new_current_thread().build()?;
    runtime.block_on(async {
        for _ in 0..entries {
            assert!(one(&journal, &[0x5a; ENTRY_BYTES]).await, "the journal takes every entry");
        }
    });
    Ok(journal.close()?)
}

fn run() -> Result<(), Failure> {
    let words: Vec<String> = std::env::args().collect();
    if let Some(at) = words.iter().position(|word| word == "count") {
        return count(words.get(at + 1).ok_or("expected a count")?.parse()?);
    }
    for number in 1..=ROUNDS {
        println!("round {number}");
        round()?;
    }
    Ok(())
}

fn main() {
    if let Err(error) = run() {
        eprintln!("failed to measure: {error}");
        std::process::exit(1);
    }
}
