//! The program `kith`: all of it is in the library. It never does anything itself.

use std::process::ExitCode;

fn main() -> ExitCode {
    kith_cli::program()
}
