//! Runs of `kith-load`: the generator is a program of its own, as operations use it.

use std::fs;
use std::process::{Command, Stdio};

use anyhow::{Context, Result, ensure};
use kith_load::Outcome;

use crate::england::Place;

/// Exit code of a run whose generator missed its schedule.
const VOID: i32 = 3;

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
    pub more: Vec<String>,
}

impl Run<'_> {
    fn command(&self, place: &Place, json: &std::path::Path) -> Command {
        let mut command = Command::new(place.program("kith-load"));
        command.arg("run").args(["--server", self.server, "--mix", self.mix, "--quiet"]);
        command.arg("--certs").arg(place.file("certs")).arg("--england").arg(place.file("england"));
        command.args(["--connections", &self.connections.to_string(), "--in-flight", &self.in_flight.to_string()]);
        command.args(["--duration-s", &self.seconds.to_string(), "--warm-up-s", "1.5"]);
        match self.rate {
            Some(rate) => command.args(["--rate", &rate.to_string()]),
            None => command.arg("--closed"),
        };
        command.args(&self.more).arg("--json").arg(json);
        command.stdin(Stdio::null()).stdout(Stdio::null());
        command
    }

    /// Runs it to its end.
    ///
    /// # Errors
    /// When it could not run, or an answer was wrong.
    pub fn outcome(&self, place: &Place) -> Result<Outcome> {
        let json = place.file("outcome.json");
        let status = self.command(place, &json).status().context("failed to start kith-load")?;
        ensure!(status.success() || status.code() == Some(VOID), "kith-load: {status}");
        let text = fs::read_to_string(&json).context("failed to read the outcome")?;
        serde_json::from_str(&text).context("failed to understand the outcome")
    }

    /// Starts it beside what is measured.
    ///
    /// # Errors
    /// When it cannot be started.
    pub fn beside(&self, place: &Place) -> Result<Beside> {
        let child = self.command(place, &place.file("beside.json")).stderr(Stdio::null()).spawn();
        Ok(Beside(child.context("failed to start kith-load")?))
    }
}

/// A run beside what is measured; ends with this value.
pub struct Beside(std::process::Child);

impl Drop for Beside {
    fn drop(&mut self) {
        // It may have ended by itself.
        drop(self.0.kill());
        drop(self.0.wait());
    }
}
