//! `kith-empty`: kithd's process around a call that does nothing, the baseline of the benchmarks. Takes the arguments and the
//! configuration of kithd; `KITH_EMPTY_REPLY_BYTES` says how long each reply is.

use std::process::ExitCode;

use clap::Parser;
use kith_benches::empty::Empty;
use kith_server::command::{self, Arguments};
use mimalloc::MiMalloc;

/// As kithd's.
#[global_allocator]
static ALLOCATOR: MiMalloc = MiMalloc;

/// As long as most answers of Kith.
const REPLY_BYTES: usize = 4096;

fn main() -> ExitCode {
    let told = std::env::var("KITH_EMPTY_REPLY_BYTES").ok().and_then(|text| text.parse().ok());
    command::run(Arguments::parse(), Empty { reply_bytes: told.unwrap_or(REPLY_BYTES) })
}
