//! `kithd`: parses its arguments and hands over to the library.
//! Never does anything else, but for forbidding core files, raising the limit of open files, and ending the process when the change
//! log has failed.

use std::process::ExitCode;
use std::sync::Arc;

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

fn main() -> ExitCode {
    if let Err(error) = core_files::forbid() {
        eprintln!("kithd: failed to forbid core files: {error}");
        return ExitCode::FAILURE;
    }
    open_files::raise();
    // At once: a retry after a failed sync would report success on lost data.
    let on_fatal = |_: &str| std::process::exit(LOG_FAILED);
    command::run(Arguments::parse(), Kith::new(Arc::new(on_fatal)))
}
