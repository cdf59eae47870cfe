//! `cargo xtask`: the commands that people and continuous integration run.
//!
//! It installs what a build needs, so it is built from light crates alone and
//! depends on nothing of ours. It never runs in production.

mod assure;
mod bench;
mod demo;
mod fuzz;
mod long;
mod prerequisites;
mod process;
mod release;
mod sbom;
mod steps;
mod test;
mod tidy;
mod tools;
mod workspace;

use std::process::ExitCode;

use anyhow::Result;
use clap::{Parser, Subcommand};

/// The commands of the Kith workspace.
#[derive(Parser)]
#[command(name = "cargo xtask", bin_name = "cargo xtask")]
struct Arguments {
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Subcommand)]
enum Verb {
    /// Build, start a server on a synthetic England, fill it and ask it a dozen questions
    Demo(demo::DemoArguments),
    /// Everything that guards the project: format, lints, rules, protocol, all tests
    Test(test::TestArguments),
    /// What continuous integration runs: test, then demo --once
    Ci(test::TestArguments),
    /// The project's own rules about its source
    Tidy,
    /// The comparisons with an empty call, PostgreSQL, Redis and the disk, on a synthetic England
    Bench(bench::BenchArguments),
    /// Where the time of lookups, check-ins and empty calls goes: perf on the servers that bench compares, into benches/results
    Profile(bench::BenchArguments),
    /// A simulated decade of a thousandth of England, every answer held against a naive model
    Decade(long::DecadeArguments),
    /// Every authority's full plan file, two nights, beside readers whose every answer is checked
    Nightly(long::NightlyArguments),
    /// What must be shown: certificates, policy, shielding, tampering, failing storage, leaks, hostile clients, testssl.sh
    Assure,
    /// Write what is in it, with licences and hashes: CycloneDX 1.6 in JSON
    Sbom(sbom::SbomArguments),
    /// Every reader of bytes of the network or the disk, on mutations of its corpus, for a minute each
    Fuzz(fuzz::FuzzArguments),
    /// Record the protocol as it stands as what later changes must not break
    ProtoBaseline,
}

fn main() -> ExitCode {
    match run(Arguments::parse().verb) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("\nxtask: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn run(verb: Verb) -> Result<()> {
    let workspace = workspace::Workspace::find()?;
    match verb {
        Verb::Demo(arguments) => demo::run(&workspace, &arguments),
        Verb::Test(arguments) => test::run(&workspace, &arguments),
        Verb::Ci(arguments) => {
            test::run(&workspace, &arguments)?;
            demo::run(&workspace, &demo::DemoArguments::once())
        }
        Verb::Tidy => tidy::run(&workspace),
        Verb::Bench(arguments) => bench::run(&workspace, &arguments),
        Verb::Profile(arguments) => bench::profile(&workspace, &arguments),
        Verb::Decade(arguments) => long::decade(&workspace, &arguments),
        Verb::Nightly(arguments) => long::nightly(&workspace, &arguments),
        Verb::Assure => assure::run(&workspace),
        Verb::Sbom(arguments) => sbom::run(&workspace, &arguments),
        Verb::Fuzz(arguments) => fuzz::run(&workspace, &arguments),
        Verb::ProtoBaseline => test::proto::record_baseline(&workspace),
    }
}
