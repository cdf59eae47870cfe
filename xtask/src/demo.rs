//! `cargo xtask demo`: a server on a synthetic England, filled through the public API
//! alone and asked a dozen questions. No back door: what it does, a hospital can do.
//!
//! Everything it writes is in `.kith-demo/`, which every run begins afresh.

mod client;
mod england;
mod load;
mod london;
mod place;
mod questions;
mod server;
mod suggest;
mod truth;

use std::time::Instant;

use anyhow::{Result, ensure};
use clap::Args;

use crate::steps::seconds;
use crate::workspace::Workspace;
use crate::{prerequisites, process};

use place::Place;
use questions::Verdicts;
use server::Server;
use truth::Case;

#[derive(Args)]
pub struct DemoArguments {
    /// Stop at the end; exit 0 only if every answer was the expected one
    #[arg(long)]
    once: bool,
}

impl DemoArguments {
    pub fn once() -> Self {
        Self { once: true }
    }
}

pub fn run(workspace: &Workspace, arguments: &DemoArguments) -> Result<()> {
    let started = Instant::now();
    prerequisites::ensure(prerequisites::BUILD, &[])?;
    heading("Building (RocksDB takes about 20 minutes on two cores, the first time only)");
    build(workspace)?;

    heading("Making certificates, a key and a synthetic England in .kith-demo/");
    let place = Place::fresh(workspace)?;
    england::prepare(&place)?;

    heading("Starting kithd with mutual TLS");
    let server = Server::start(&place)?;
    load::everything(&place)?;
    let counts = client::status(&place)?;
    println!("  held now: {}", client::sizes(&counts));

    let mut verdicts = Verdicts::default();
    let cases = truth::read(&place.england("truth.jsonl"))?;
    heading("Checking answers against the truth file");
    questions::quietly(&place, &cases, &mut verdicts)?;

    heading("A dozen questions, and the answers as a nurse reads them");
    questions::shown(&place, &cases, &mut verdicts)?;
    let server = questions::across_a_stop(&place, &cases, server, &mut verdicts)?;

    let told = verdicts.tell();
    println!("All of it took {}.", seconds(started.elapsed()));
    finish(&place, &cases, server, arguments.once, told)
}

fn build(workspace: &Workspace) -> Result<()> {
    let mut command = workspace.cargo();
    command.args(["build", "--locked", "--package", "kith-server"]);
    process::run(command.args(["--package", "kith-cli", "--package", "kith-synth"]))
}

/// With `--once` it stops; else it serves until Ctrl-C ends this process and kithd with it.
fn finish(place: &Place, cases: &[Case], mut server: Server, once: bool, told: Result<()>) -> Result<()> {
    if once {
        server.stop()?;
        return told;
    }
    if let Err(error) = told {
        println!("\n{error:#}");
    }
    suggest::five_commands(place, cases)?;
    println!("\nServing on {} until Ctrl-C; kithd's log: .kith-demo/kithd.log", place.address);
    let status = server.wait()?;
    ensure!(status.success(), "kithd ended by itself: {status}");
    Ok(())
}

fn heading(text: &str) {
    println!("\n== {text}");
}
