//! Runs of `kith-load`: the generator is a program of its own, as operations use it.

use std::fs;
use std::path::PathBuf;
use std::process::{Command, Stdio};

use anyhow::{Context, Result, ensure};
use kith_load::Outcome;

use crate::cores::{Apart, apart};
use crate::england::Place;
use crate::programs::{can_be_punctual, child_on};

/// Exit code of a run whose generator missed its schedule.
const VOID: i32 = 3;
/// Before what is measured, in seconds.
pub const WARM_UP_SECONDS: f64 = 1.5;

/// Which processors a run has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Processors {
    /// Those of everybody: it asks as fast as it is answered.
    All,
    /// Its own: it has a schedule to keep.
    Generator,
    /// Those of the servers: it is a part of what runs beside.
    Servers,
}

impl Processors {
    fn list(self) -> Option<&'static str> {
        let of = |list: fn(&'static Apart) -> &'static str| apart().map(list);
        match self {
            Self::All => None,
            Self::Generator => of(|apart| &apart.generator),
            Self::Servers => of(|apart| &apart.servers),
        }
    }
}

/// One run: where to, and what.
#[derive(Clone, Debug)]
pub struct Run<'a> {
    pub server: &'a str,
    pub mix: &'a str,
    /// Requests due per second; a closed loop without.
    pub rate: Option<f64>,
    pub connections: u32,
    pub in_flight: u32,
    pub seconds: f64,
    pub processors: Processors,
    pub more: Vec<String>,
}

/// `kith-load` with a verb, and where everything is. One that has a schedule keeps it.
fn generator(place: &Place, (verb, processors): (&str, Processors), server: &str, mix: &str) -> Command {
    let mut command = child_on(processors.list(), place.program("kith-load"));
    command.arg(verb).args(["--server", server, "--mix", mix, "--quiet", "--no-status"]);
    command.arg("--certs").arg(place.file("certs")).arg("--england").arg(place.file("england"));
    if processors == Processors::Generator && can_be_punctual() {
        command.arg("--real-time");
    }
    command.stdin(Stdio::null()).stdout(Stdio::null());
    command
}

/// Runs it to its end.
fn outcome(place: &Place, command: &mut Command) -> Result<Outcome> {
    let json = place.file("outcome.json");
    let output =
        command.arg("--json").arg(&json).stderr(Stdio::piped()).output().context("failed to start kith-load")?;
    let said = String::from_utf8_lossy(&output.stderr);
    ensure!(
        output.status.success() || output.status.code() == Some(VOID),
        "kith-load: {}: {}",
        output.status,
        said.trim()
    );
    read(&json)
}

fn read(json: &PathBuf) -> Result<Outcome> {
    let text = fs::read_to_string(json).context("failed to read the outcome")?;
    serde_json::from_str(&text).context("failed to understand the outcome")
}

impl Run<'_> {
    fn command(&self, place: &Place) -> Command {
        let mut command = generator(place, ("run", self.processors), self.server, self.mix);
        command.args(["--connections", &self.connections.to_string(), "--in-flight", &self.in_flight.to_string()]);
        command.args(["--duration-s", &self.seconds.to_string(), "--warm-up-s", &WARM_UP_SECONDS.to_string()]);
        match self.rate {
            Some(rate) => command.args(["--rate", &rate.to_string()]),
            None => command.arg("--closed"),
        };
        command.args(&self.more);
        command
    }

    /// Runs it to its end.
    ///
    /// # Errors
    /// When it could not run, or an answer was wrong.
    pub fn outcome(&self, place: &Place) -> Result<Outcome> {
        outcome(place, &mut self.command(place))
    }

    /// Starts it beside what is measured.
    ///
    /// # Errors
    /// When it cannot be started.
    pub fn beside(&self, place: &Place, name: &str) -> Result<Beside> {
        let json = place.file(&format!("{name}.json"));
        match fs::remove_file(&json) {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => return Err(error.into()),
            Ok(()) | Err(_) => {}
        }
        let child = self.command(place).arg("--json").arg(&json).stderr(Stdio::null()).spawn();
        Ok(Beside { child: child.context("failed to start kith-load")?, json })
    }
}

/// A process beside what is measured; ends with this value.
pub struct Beside {
    child: std::process::Child,
    json: PathBuf,
}

impl Beside {
    /// Any program.
    ///
    /// # Errors
    /// When it cannot be started.
    pub fn program(command: &mut Command) -> Result<Self> {
        let child = command.stdin(Stdio::null()).stdout(Stdio::null()).spawn();
        Ok(Self { child: child.context("failed to start a process")?, json: PathBuf::new() })
    }

    pub fn id(&self) -> u32 {
        self.child.id()
    }

    /// Waits for its end.
    ///
    /// # Errors
    /// When it could not run, or an answer was wrong.
    pub fn finish(mut self) -> Result<Outcome> {
        let status = self.child.wait().context("failed to wait for kith-load")?;
        ensure!(status.success() || status.code() == Some(VOID), "kith-load beside: {status}");
        read(&self.json)
    }
}

impl Drop for Beside {
    fn drop(&mut self) {
        // It may have ended by itself.
        drop(self.child.kill());
        drop(self.child.wait());
    }
}

/// Reconnect storms beside steady clients.
///
/// # Errors
/// When it could not run, or an answer was wrong.
pub fn storm(place: &Place, server: &str, (mix, seed): (&str, u64), more: &[&str]) -> Result<Outcome> {
    outcome(
        place,
        generator(place, ("storm", Processors::Generator), server, mix).args(["--seed", &seed.to_string()]).args(more),
    )
}

/// The highest rate that a server carries.
///
/// # Errors
/// When it could not run, or an answer was wrong.
pub fn knee(place: &Place, server: &str, more: &[&str]) -> Result<Outcome> {
    outcome(place, generator(place, ("knee", Processors::Generator), server, "lookup=1").args(more))
}
