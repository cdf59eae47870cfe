//! `kithd`: parses its arguments and hands over to the library.
//! Never does anything else.

use std::process::ExitCode;

use clap::Parser;
use kith_server::command::{self, Arguments};

mod unwired;

fn main() -> ExitCode {
    command::run(Arguments::parse(), unwired::Unwired)
}
