//! One measurement: the attack begins, the steady client warms up beside it and is measured, and the attack goes on until that
//! is over. The attack says each second what it does; a run in which one of those that were named did nothing measures nothing.

use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use kith_load::Outcome;
use kith_load::hostile::attack::Attack;
use kith_load::hostile::told::Told;
use kith_load::outcome::Figures;

use crate::place::{Place, Server};

/// Where the hostile organisation comes from; the steady client comes from 127.0.0.1.
const HOSTILE_ADDRESS: &str = "127.0.0.2";
/// How long the attack has to build up before the steady client comes in, and how long the server has to come to rest after it.
const BUILD_UP: Duration = Duration::from_secs(2);
const REST: Duration = Duration::from_secs(2);
/// How long an attack may take beyond that until each of its kinds goes on, and how often it is looked at. Thousands of connections come at
/// a thousand a second, and at a tenth of that or less where the machine has much else to do.
const BEGIN_LIMIT: Duration = Duration::from_secs(120);
const POLL: Duration = Duration::from_millis(100);
/// The steady client's warm-up, in seconds.
const WARM_UP: f64 = 1.0;
/// Connections of the steady client.
const CONNECTIONS: &str = "4";
/// Exit code of a run whose generator missed its schedule.
const VOID: i32 = 3;
/// What the steady client says of calls that its own lateness spoilt, or may have: where it was late they say nothing of the server.
const ITS_OWN: [&str; 2] = ["NOT_SENT", "TOO_LATE"];
/// Connections on which nothing is asked that are kept open beside other attacks, which need places too: as delivered one organisation has
/// 512, and those others have a hundred and fifty clients.
const KEPT_OPEN: &str = "256";
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
    /// Clients that took part in the attack.
    pub attackers: u64,
    /// Of an attack by connections, how many were tried before the steady client came.
    pub tried: u64,
}

/// One run.
pub struct Run {
    pub measured: Measured,
    /// Why its times may not be used, where that is so; what was not answered counts all the same.
    pub void: Option<String>,
}

/// The attack; it is killed when it is dropped.
struct Attacker<'a> {
    child: Child,
    attacks: &'a str,
    told: PathBuf,
}

impl<'a> Attacker<'a> {
    /// None where there is nothing to attack with.
    fn start(place: &Place, server: &Server, attacks: &'a str, seconds: f64) -> Result<Option<Self>> {
        if attacks.is_empty() {
            return Ok(None);
        }
        let told = place.file("hostile.json");
        // Of the run before.
        drop(std::fs::remove_file(&told));
        let mut command = Command::new(place.program("kith-load"));
        command.args(["hostile", "--server", &server.address, "--attacks", attacks, "--certs"]);
        command.arg(place.file("hostile")).args(["--seconds", &seconds.to_string(), "--quiet", "--json"]).arg(&told);
        // An address of its own, as another organisation has: the service bounds handshakes by address.
        command.args(["--from", HOSTILE_ADDRESS]);
        if needs_places(attacks) {
            command.args(["--keep-open", KEPT_OPEN]);
        }
        if server.side == Side::Empty {
            command.args(["--empty-path", EMPTY_PATH]);
        }
        let child = command.stdin(Stdio::null()).stdout(Stdio::null()).spawn();
        Ok(Some(Self { child: child.context("failed to start the attack")?, attacks, told }))
    }

    /// What has become of it so far.
    fn told(&self) -> Result<Told> {
        Ok(Told::read(&self.told)?.unwrap_or_default())
    }

    /// Waits until each of its kinds goes on; gives what has become of it until then.
    fn begun(&mut self) -> Result<Told> {
        let began = Instant::now();
        loop {
            let told = self.told()?;
            let lacks = told.lacks(self.attacks, &Told::default());
            if lacks.is_empty() {
                return Ok(told);
            }
            ensure!(self.goes_on()?, "the attack {} ended before it began: {lacks}", self.attacks);
            ensure!(began.elapsed() < BEGIN_LIMIT, "the attack {} does not begin: {lacks}", self.attacks);
            thread::sleep(POLL);
        }
    }

    /// Whether it is still at it.
    fn goes_on(&mut self) -> Result<bool> {
        Ok(self.child.try_wait().context("failed to look at the attack")?.is_none())
    }
}

impl Drop for Attacker<'_> {
    fn drop(&mut self) {
        // It may have ended by itself.
        drop(self.child.kill());
        drop(self.child.wait());
    }
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

/// Whether there are others beside connections on which nothing is asked that must be let in to do what they do: these would take every
/// place that their organisation has.
fn needs_places(attacks: &str) -> bool {
    let mut known = attacks.split(',').filter_map(|name| name.parse::<Attack>().ok());
    known.any(|attack| attack.shakes() && !attack.is_crowd())
}

/// How long a run takes whose measurement takes so many seconds.
pub fn run_seconds(seconds: f64) -> f64 {
    BUILD_UP.as_secs_f64() + WARM_UP + seconds + REST.as_secs_f64()
}

/// Measures once.
///
/// # Errors
/// A program could not run, an answer was wrong, or the attack does not begin.
pub fn one(place: &Place, server: &Server, attacks: &str, seconds: f64, rate: f64) -> Result<Run> {
    let long = (BUILD_UP + BEGIN_LIMIT).as_secs_f64() + WARM_UP + seconds + 60.0;
    let mut attacker = Attacker::start(place, server, attacks, long)?;
    thread::sleep(BUILD_UP);
    let before = attacker.as_mut().map(Attacker::begun).transpose()?;
    let tried = before.as_ref().map_or(0, Told::connections);
    let (outcome, late) = steady(place, server, seconds, rate)?;
    let mut void = late.then(|| "the generator missed its own schedule".to_owned());
    let mut attackers = 0;
    // Beside an attack that never began, or that does nothing, anybody does well.
    if let (Some(attacker), Some(before)) = (&mut attacker, before) {
        ensure!(attacker.goes_on()?, "the attack {attacks} ended before the measurement did");
        let told = attacker.told()?;
        attackers = told.took_part();
        let lacks = told.lacks(attacks, &before);
        if !lacks.is_empty() {
            void = Some(format!("the attack did not go on ({lacks})"));
        }
    }
    let resident_bytes = server.resident_bytes()?;
    drop(attacker);
    thread::sleep(REST);
    Ok(Run { measured: measured(&outcome, late, (resident_bytes, attackers, tried)), void })
}

/// The steady client, and whether it missed its schedule.
fn steady(place: &Place, server: &Server, seconds: f64, rate: f64) -> Result<(Outcome, bool)> {
    let json = place.file("steady.json");
    let mix = if server.side == Side::Kith { "lookup-miss=1" } else { "empty=1" };
    let mut command = punctual(place);
    command.args(["run", "--server", &server.address, "--mix", mix, "--no-status", "--quiet", "--certs"]);
    command.arg(place.file("steady")).args(["--connections", CONNECTIONS, "--rate", &rate.to_string()]);
    command.args(["--warm-up-s", &WARM_UP.to_string(), "--duration-s", &seconds.to_string(), "--json"]).arg(&json);
    let output = command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::piped()).output();
    let output = output.context("failed to start the steady client")?;
    let said = String::from_utf8_lossy(&output.stderr);
    let late = output.status.code() == Some(VOID);
    ensure!(late || output.status.success(), "the steady client: {}: {}", output.status, said.trim());
    let text = std::fs::read_to_string(&json).context("failed to read the outcome")?;
    Ok((serde_json::from_str(&text).context("failed to understand the outcome")?, late))
}

fn measured(outcome: &Outcome, late: bool, (resident_bytes, attackers, tried): (u64, u64, u64)) -> Measured {
    let (failed, errors) = not_answered(&outcome.total, late);
    let us = |ns: u64| Duration::from_nanos(ns).as_secs_f64() * 1e6;
    Measured {
        p50_us: us(outcome.total.latency_ns.p50),
        p99_us: us(outcome.total.latency_ns.p99),
        failed,
        errors,
        late_share: outcome.lateness.late_share,
        resident_bytes,
        attackers,
        tried,
    }
}

/// How many calls were not answered well, and what they met.
fn not_answered(total: &Figures, late: bool) -> (u64, String) {
    let counts = |(name, _): &(&String, &u64)| !(late && ITS_OWN.contains(&name.as_str()));
    let errors: Vec<(&String, &u64)> = total.errors.iter().filter(counts).collect();
    let failed: u64 =
        if late { errors.iter().map(|(_, count)| **count).sum() } else { total.offered.saturating_sub(total.ok) };
    let words: Vec<String> = errors.iter().map(|(name, count)| format!("{count} {name}")).collect();
    (failed, words.join(" "))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn connections_leave_places_to_what_must_be_let_in_and_to_nothing_else() {
        for alone in ["", "connections", "connections,silent", "stalled"] {
            assert!(!needs_places(alone), "{alone}");
        }
        for others in ["connections,pings", "silent,calls,connections", "deaf"] {
            assert!(needs_places(others), "{others}");
        }
        let room = 512 - KEPT_OPEN.parse::<usize>().unwrap();
        let others = Attack::ALL.iter().filter(|(attack, ..)| attack.shakes() && !attack.is_crowd());
        assert!(others.map(|(.., clients)| clients).sum::<usize>() < room, "there are more than there are places");
    }

    #[test]
    fn an_error_counts_in_a_run_that_is_void_and_the_generators_own_lateness_does_not() {
        let errors = [("UNAVAILABLE".to_owned(), 3), ("TOO_LATE".to_owned(), 5), ("NOT_SENT".to_owned(), 7)];
        let total = Figures { offered: 100, ok: 80, errors: errors.into(), ..Figures::default() };
        assert_eq!(not_answered(&total, false), (20, "7 NOT_SENT 5 TOO_LATE 3 UNAVAILABLE".to_owned()));
        assert_eq!(not_answered(&total, true), (3, "3 UNAVAILABLE".to_owned()));
    }
}
