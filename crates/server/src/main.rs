//! `kithd`: parses its arguments and hands over to the library.
//! Never does anything else, but for forbidding core files, raising the limit of open files, and ending the process when the change
//! log has failed.

use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use clap::Parser;
use kith_server::command::{self, Arguments};
use kith_server::kith::Kith;
use kith_server::{core_files, open_files};
use mimalloc::MiMalloc;

/// A lookup allocates and frees some ninety times, most of it words of its answer.
#[global_allocator]
static ALLOCATOR: MiMalloc = MiMalloc;

/// Exit code when the change log failed: nothing more may be acknowledged by this process (EX_IOERR of sysexits.h).
const LOG_FAILED: i32 = 74;
/// How long that exit may take. RocksDB, which stays open, waits in it for what it does in the background, and where the disk hangs
/// that does not end.
const EXIT_LIMIT: Duration = Duration::from_secs(10);

fn main() -> ExitCode {
    if let Err(error) = core_files::forbid() {
        eprintln!("kithd: failed to forbid core files: {error}");
        return ExitCode::FAILURE;
    }
    open_files::raise();
    command::run(Arguments::parse(), Kith::new(Arc::new(log_failed)))
}

/// Ends the process at once: a retry after a failed sync would report success on lost data. RocksDB is not closed first, for that
/// may write and sync.
fn log_failed(_: &str) {
    // Without this thread the process ends all the same, but where its exit hangs.
    let _ = std::thread::Builder::new().name("kith-end".to_owned()).spawn(end_by_force);
    std::process::exit(LOG_FAILED)
}

/// Ends what has not ended in time. No core file comes of it, and it ends the first process of a container too, which no signal of
/// its own would.
fn end_by_force() {
    std::thread::sleep(EXIT_LIMIT);
    std::process::abort()
}
