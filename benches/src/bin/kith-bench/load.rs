//! Runs of `kith-load`: the generator is a program of its own, as operations use it.

use std::fmt;
use std::fs::{self, File};
use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitStatus, Stdio};

use anyhow::{Context, Result, bail};
use kith_load::Outcome;

use crate::cores::{Apart, apart};
use crate::england::Place;
use crate::programs::{can_be_punctual, child_on};

/// Exit code of a run whose generator missed its schedule.
const VOID: i32 = 3;
/// Exit code of a run in which an answer differed from what is true.
const WRONG: i32 = 4;
/// So many differences are told.
const TOLD: usize = 5;
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

/// An answer differed from what is true: no figure matters beside that, and nothing more is measured.
#[derive(Clone, Debug)]
pub struct WrongAnswers(pub String);

impl WrongAnswers {
    /// As the report of the run tells them.
    fn of(report: Result<Outcome>) -> Self {
        let outcome = match report {
            Ok(outcome) => outcome,
            Err(error) => {
                return Self(format!("answers differ from what is true, and how many cannot be told: {error:#}"));
            }
        };
        let told = outcome.verification;
        let differences: Vec<_> = told.differences.iter().take(TOLD).map(String::as_str).collect();
        Self(format!(
            "{} of {} answers that were checked differ from what is true: {}",
            told.wrong,
            told.checked,
            differences.join("; ")
        ))
    }
}

impl fmt::Display for WrongAnswers {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.0)
    }
}

impl std::error::Error for WrongAnswers {}

/// Runs it to its end.
fn outcome(place: &Place, command: &mut Command) -> Result<Outcome> {
    let json = place.file("outcome.json");
    remove(&json)?;
    let output =
        command.arg("--json").arg(&json).stderr(Stdio::piped()).output().context("failed to start kith-load")?;
    found(output.status, &String::from_utf8_lossy(&output.stderr), &json)
}

/// What a run found that ended so, and said this.
///
/// # Errors
/// [`WrongAnswers`], whatever else there is to say; when it could not run, or did not account for everything.
fn found(status: ExitStatus, said: &str, json: &Path) -> Result<Outcome> {
    if status.code() == Some(WRONG) {
        return Err(WrongAnswers::of(read(json)).into());
    }
    if status.success() || status.code() == Some(VOID) {
        return read(json);
    }
    // A run that got as far as its report says there what went wrong.
    let failures = read(json).map(|outcome| outcome.failures.join("; ")).unwrap_or_default();
    bail!("kith-load: {status}: {} {failures}", said.trim())
}

fn read(json: &Path) -> Result<Outcome> {
    let text = fs::read_to_string(json).context("failed to read the outcome")?;
    serde_json::from_str(&text).context("failed to understand the outcome")
}

/// Removes the report of an earlier run.
fn remove(file: &Path) -> Result<()> {
    match fs::remove_file(file) {
        Err(error) if error.kind() != ErrorKind::NotFound => Err(error).context("failed to remove an earlier report"),
        Ok(()) | Err(_) => Ok(()),
    }
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
        remove(&json)?;
        let said = File::create(said_in(&json)).context("failed to make a file for what kith-load says")?;
        let child = self.command(place).arg("--json").arg(&json).stderr(said).spawn();
        Ok(Beside { child: child.context("failed to start kith-load")?, json })
    }
}

/// Where a run beside says what it has to say.
fn said_in(json: &Path) -> PathBuf {
    json.with_extension("said")
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
        let said = fs::read_to_string(said_in(&self.json)).unwrap_or_default();
        found(status, &said, &self.json).context("beside")
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

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeMap;
    use std::os::unix::process::ExitStatusExt;

    use kith_load::outcome::{FORMAT, Figures, Generator, Handshakes, Lateness, Verification};
    use kith_load::plan::{Plan, Shape};

    /// A process that ended with a code, as the kernel tells it.
    fn ended(code: i32) -> ExitStatus {
        ExitStatus::from_raw(code << 8)
    }

    fn plan() -> Plan {
        Plan {
            shape: Shape::Closed,
            mix: BTreeMap::new(),
            connections: 1,
            authority_connections: 0,
            in_flight: 1,
            churn_per_second: 0.0,
            threads: 1,
            warm_up_seconds: 0.0,
            seconds: 1.0,
            timeout_ms: 1_000,
            seed: 1,
            truth_percent: 0.0,
            verify_percent: 100.0,
            worklist_entries: 1,
            file_interval_ms: None,
            file_snapshots: false,
            file_rows: 1,
            file_changed_percent: 0.0,
            late_bound_us: 1,
            late_percent: 1.0,
            real_time: false,
        }
    }

    /// The report of a run, as kith-load writes it.
    fn report(folder: &Path, wrong: u64, failures: &[&str]) -> PathBuf {
        let differences = if wrong > 0 { vec![String::from("a plan is missing")] } else { Vec::new() };
        let outcome = Outcome {
            format: FORMAT.to_owned(),
            version: String::new(),
            command: String::from("run"),
            label: String::new(),
            started_at: String::new(),
            plan: plan(),
            machine: kith_load::machine::Machine::default(),
            void: false,
            void_reasons: Vec::new(),
            failures: failures.iter().map(|failure| (*failure).to_owned()).collect(),
            measured_seconds: 1.0,
            measured_from_unix_ms: 0,
            total: Figures::default(),
            lookups: None,
            kinds: BTreeMap::new(),
            lateness: Lateness::default(),
            generator: Generator::default(),
            verification: Verification { checked: 70, wrong, differences, ..Verification::default() },
            handshakes: Handshakes::default(),
            counters: None,
            drain: None,
            over_time: Vec::new(),
            knee: None,
            storm: None,
        };
        let file = folder.join("outcome.json");
        fs::write(&file, serde_json::to_string(&outcome).unwrap()).unwrap();
        file
    }

    #[test]
    fn wrong_answers_are_told_with_their_number_and_are_an_error_of_their_own() {
        let folder = tempfile::tempdir().unwrap();
        let json = report(folder.path(), 3, &["counters differ"]);
        let error = found(ended(WRONG), "", &json).context("beside").unwrap_err();
        assert!(error.is::<WrongAnswers>());
        let told = format!("{error:#}");
        assert!(told.contains("3 of 70 answers") && told.contains("a plan is missing"), "{told}");
        let unread = found(ended(WRONG), "", &folder.path().join("none.json")).unwrap_err();
        assert!(unread.is::<WrongAnswers>(), "without a report they are as wrong: {unread:#}");
    }

    #[test]
    fn what_else_went_wrong_is_told_in_the_words_of_the_report() {
        let folder = tempfile::tempdir().unwrap();
        let json = report(folder.path(), 0, &["counters differ"]);
        let error = found(ended(5), "said", &json).unwrap_err();
        let told = format!("{error:#}");
        assert!(!error.is::<WrongAnswers>());
        assert!(told.contains("exit status: 5") && told.contains("said") && told.contains("counters differ"), "{told}");
        for code in [0, VOID] {
            assert!(found(ended(code), "", &json).is_ok(), "{code}");
        }
    }

    #[test]
    fn the_report_of_an_earlier_run_is_none_of_this_one() {
        let folder = tempfile::tempdir().unwrap();
        let json = report(folder.path(), 0, &[]);
        remove(&json).unwrap();
        assert!(!json.exists());
        remove(&json).unwrap();
        assert!(remove(folder.path()).is_err(), "what cannot be removed is told");
    }
}
