//! `kith-load`: parses its arguments and hands over to the library.

use std::process::ExitCode;

use clap::Parser;
use kith_load::args::Arguments;

fn main() -> ExitCode {
    kith_load::command::run(Arguments::parse())
}
