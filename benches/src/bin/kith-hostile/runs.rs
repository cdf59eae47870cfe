//! One measurement: the attack begins, the steady client warms up beside it and is measured, and the attack goes on until that
//! is over.

use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use kith_load::Outcome;

use crate::place::{Place, Server};

/// How long the attack has to build up before the steady client comes in, and how long the server has to come to rest after it.
const BUILD_UP: Duration = Duration::from_secs(2);
const REST: Duration = Duration::from_secs(2);
/// The steady client's warm-up, in seconds.
const WARM_UP: f64 = 1.0;
/// Connections of the steady client.
const CONNECTIONS: &str = "4";
/// Exit code of a run whose generator missed its schedule.
const VOID: i32 = 3;
/// The method of the empty call.
const EMPTY_PATH: &str = "/kith.bench.v1.BenchService/Empty";

/// Which of the two servers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Side {
    Kith,
    Empty,
}

impl Side {
    pub fn program(self) -> &'static str {
        match self {
            Self::Kith => "kithd",
            Self::Empty => "kith-empty",
        }
    }
}

/// What the steady client met.
#[derive(Clone, Debug)]
pub struct Measured {
    pub p50_us: f64,
    pub p99_us: f64,
    /// Requests due that were not answered well.
    pub failed: u64,
    /// What they met.
    pub errors: String,
    /// Share of requests that the generator took up late, 0 to 1.
    pub late_share: f64,
    /// The server's memory under the attack.
    pub resident_bytes: u64,
}

/// A child that is killed when it is dropped.
struct Attacker(Child);

impl Attacker {
    /// Whether it is still at it.
    fn goes_on(&mut self) -> Result<bool> {
        Ok(self.0.try_wait().context("failed to look at the attack")?.is_none())
    }
}

impl Drop for Attacker {
    fn drop(&mut self) {
        // It may have ended by itself.
        drop(self.0.kill());
        drop(self.0.wait());
    }
}

fn attacker(place: &Place, server: &Server, attacks: &str, seconds: f64) -> Result<Option<Attacker>> {
    if attacks.is_empty() {
        return Ok(None);
    }
    let mut command = Command::new(place.program("kith-load"));
    command.args(["hostile", "--server", &server.address, "--attacks", attacks, "--certs"]).arg(place.file("hostile"));
    command.args(["--seconds", &seconds.to_string(), "--json"]).arg(place.file("hostile.json")).arg("--quiet");
    if server.side == Side::Empty {
        command.args(["--empty-path", EMPTY_PATH]);
    }
    let child = command.stdin(Stdio::null()).stdout(Stdio::null()).spawn();
    Ok(Some(Attacker(child.context("failed to start the attack")?)))
}

/// The least real-time priority, where the system grants it: it changes when the generator runs, not what the server gets.
fn punctual(place: &Place) -> Command {
    let program = place.program("kith-load");
    let works = Command::new("chrt").args(["--fifo", "1", "true"]).stdout(Stdio::null()).stderr(Stdio::null()).status();
    if works.is_ok_and(|status| status.success()) {
        let mut command = Command::new("chrt");
        command.args(["--fifo", "1"]).arg(program);
        return command;
    }
    Command::new(program)
}

/// How long a run takes whose measurement takes so many seconds.
pub fn run_seconds(seconds: f64) -> f64 {
    BUILD_UP.as_secs_f64() + WARM_UP + seconds + REST.as_secs_f64()
}

/// Measures once; gives nothing when the generator missed its own schedule, since no figure of such a run may be used.
///
/// # Errors
/// A program could not run, or an answer was wrong.
pub fn one(place: &Place, server: &Server, attacks: &str, seconds: f64, rate: f64) -> Result<Option<Measured>> {
    let long = BUILD_UP.as_secs_f64() + WARM_UP + seconds + 60.0;
    let mut attacker = attacker(place, server, attacks, long)?;
    thread::sleep(BUILD_UP);
    let json = place.file("steady.json");
    let mix = if server.side == Side::Kith { "lookup-miss=1" } else { "empty=1" };
    let mut command = punctual(place);
    command.args(["run", "--server", &server.address, "--mix", mix, "--no-status", "--quiet", "--certs"]);
    command.arg(place.file("steady")).args(["--connections", CONNECTIONS, "--rate", &rate.to_string()]);
    command.args(["--warm-up-s", &WARM_UP.to_string(), "--duration-s", &seconds.to_string(), "--json"]).arg(&json);
    let output = command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::piped()).output();
    let output = output.context("failed to start the steady client")?;
    let said = String::from_utf8_lossy(&output.stderr);
    let void = output.status.code() == Some(VOID);
    ensure!(void || output.status.success(), "the steady client: {}: {}", output.status, said.trim());
    // Beside an attack that never began anybody does well.
    if let Some(attacker) = &mut attacker {
        ensure!(attacker.goes_on()?, "the attack {attacks} ended before the measurement did");
    }
    let resident_bytes = server.resident_bytes()?;
    drop(attacker);
    thread::sleep(REST);
    let text = std::fs::read_to_string(&json).context("failed to read the outcome")?;
    let outcome: Outcome = serde_json::from_str(&text).context("failed to understand the outcome")?;
    Ok((!void).then(|| measured(&outcome, resident_bytes)))
}

#[expect(clippy::cast_precision_loss, reason = "for people")]
fn measured(outcome: &Outcome, resident_bytes: u64) -> Measured {
    let total = &outcome.total;
    let errors: Vec<String> = total.errors.iter().map(|(name, count)| format!("{count} {name}")).collect();
    Measured {
        p50_us: total.latency_ns.p50 as f64 / 1e3,
        p99_us: total.latency_ns.p99 as f64 / 1e3,
        failed: total.offered.saturating_sub(total.ok),
        errors: errors.join(" "),
        late_share: outcome.lateness.late_share,
        resident_bytes,
    }
}
