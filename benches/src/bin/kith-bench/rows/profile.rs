//! Where the time of a running server goes: what `perf` sees of it while the generator asks, by thread and by symbol, in a text file
//! for each kind of load. Nothing is compared: perf takes time itself.

use std::fmt::Write as _;
use std::fs;
use std::io::ErrorKind;
use std::path::Path;
use std::process::{Command, Output, Stdio};
use std::thread;
use std::time::Duration;

use anyhow::{Context, Result, bail, ensure};
use kith_load::machine::Machine;

use crate::bench::{Bench, RATE, Shape, TAIL, USUAL, answered};
use crate::cores::Kept;
use crate::drain;
use crate::load::WARM_UP_SECONDS;
use crate::programs::child;
use crate::servers::Server;

use super::Servers;
use super::disk::EVENTS;
use super::millisecond::{files_beside, files_per_second};

const PERF: &str = "perf";
/// Samples a second: no divisor of what the kernel's and the servers' clocks tick at.
const HERTZ: &str = "997";
/// Symbols that are told.
const SYMBOLS: usize = 60;
/// One connection with one request in flight.
const ONE: Shape = (1, 1);
/// The generator connects, beside its warm-up, before perf looks; and as long it goes on when perf looks no more.
const BESIDE: Duration = Duration::from_secs(2);

/// Which server is looked at.
#[derive(Clone, Copy)]
enum Whom {
    /// kithd on the England.
    Kith,
    /// The same while files are loaded into it.
    KithBesideFiles,
    /// A kithd of its own, that begins with nothing held.
    NewKith,
    Empty,
}

/// One kind of load.
#[derive(Clone, Copy)]
struct Profile {
    /// In the name of its file.
    name: &'static str,
    words: &'static str,
    whom: Whom,
    mix: &'static str,
    /// Requests due per second; a closed loop without.
    rate: Option<f64>,
    shape: Shape,
}

impl Profile {
    /// In a closed loop.
    const fn closed(name: &'static str, words: &'static str, whom: Whom, (mix, shape): (&'static str, Shape)) -> Self {
        Self { name, words, whom, mix, rate: None, shape }
    }

    /// Lookups at the usual rate.
    const fn at_rate(name: &'static str, words: &'static str, whom: Whom) -> Self {
        Self { name, words, whom, mix: "lookup=1", rate: Some(RATE), shape: USUAL }
    }
}

const PROFILES: [Profile; 8] = [
    Profile::closed("lookups", "lookups", Whom::Kith, ("lookup=1", USUAL)),
    Profile::closed("lookups-one", "lookups, one in flight", Whom::Kith, ("lookup=1", ONE)),
    Profile::at_rate("lookups-rate", "lookups at 2,000/s, quiet", Whom::Kith),
    Profile::at_rate("lookups-rate-files", "lookups at 2,000/s, under file loads", Whom::KithBesideFiles),
    Profile::closed("check-ins", "check-ins, one in flight", Whom::Kith, ("check-in=1", ONE)),
    Profile::closed(
        "plan-events",
        "plan events on one pipelined stream, of a server that begins with nothing held",
        Whom::NewKith,
        EVENTS,
    ),
    Profile::closed("empty", "empty calls", Whom::Empty, ("empty=1", USUAL)),
    Profile::closed("empty-one", "empty calls, one in flight", Whom::Empty, ("empty=1", ONE)),
];

/// Fails, in plain words, where there is no perf that runs, or where it may not look at processes.
pub fn check() -> Result<()> {
    match Command::new(PERF).arg("--version").stdin(Stdio::null()).output() {
        Ok(output) if output.status.success() => looks(),
        Ok(output) => bail!("perf does not run here: {}", said(&output)),
        Err(error) if error.kind() == ErrorKind::NotFound => {
            bail!("perf is not here: it is in Debian's package linux-perf, and in Ubuntu's linux-tools-generic")
        }
        Err(error) => Err(error).context("failed to start perf"),
    }
}

/// Looks at a process that does nothing.
fn looks() -> Result<()> {
    ran(child(PERF).args(["record", "-g", "-F", HERTZ, "-o", "/dev/null", "--", "true"]))
        .map(|_| ())
        .context("perf may not look at processes here: kernel.perf_event_paranoid is 2 at most where it may")
}

/// Writes every profile into the folder of results.
pub fn all(bench: &Bench<'_>, servers: &Servers) -> Result<()> {
    let results = &bench.arguments.results;
    fs::create_dir_all(results).context("failed to make the folder of results")?;
    for profile in PROFILES {
        let text = one(bench, servers, profile).with_context(|| format!("failed to profile {}", profile.words))?;
        let file = results.join(format!("profile-{}.txt", profile.name));
        fs::write(&file, text).with_context(|| format!("failed to write {}", file.display()))?;
        println!("{}: {}", profile.words, file.display());
    }
    Ok(())
}

/// Looks at the server of a profile while it is asked.
fn one(bench: &Bench<'_>, servers: &Servers, profile: Profile) -> Result<String> {
    let seconds = bench.arguments.seconds * TAIL;
    match profile.whom {
        Whom::Kith => text(bench, &servers.kithd, profile, seconds),
        Whom::Empty => text(bench, &servers.empty, profile, seconds),
        Whom::KithBesideFiles => {
            let files = files_beside(bench, servers, asked_for(seconds))?;
            let text = text(bench, &servers.kithd, profile, seconds)?;
            Ok(format!(
                "Meanwhile {:.1} files of 1,500 rows were loaded in a second.\n{text}",
                files_per_second(files)?
            ))
        }
        Whom::NewKith => {
            let server = bench.place.again()?.serve_scratch(&bench.place.file("events"), "")?;
            let text = text(bench, &server, profile, seconds)?;
            server.stop()?;
            Ok(text)
        }
    }
}

/// A server is asked for so long, for perf to look at it for so many seconds.
fn asked_for(seconds: f64) -> f64 {
    seconds + 2.0 * BESIDE.as_secs_f64()
}

/// What perf sees of a server while it is asked.
fn text(bench: &Bench<'_>, server: &Server, profile: Profile, seconds: f64) -> Result<String> {
    let Profile { words, mix, rate, shape, name: _, whom: _ } = profile;
    let (connections, in_flight) = shape;
    let data = bench.place.file("perf.data");
    let _kept = rate.map(|_| Kept::of(server)).transpose()?;
    let mut run = bench.run(server, mix, rate, shape);
    run.seconds = asked_for(seconds);
    let load = run.beside(bench.place, "profile")?;
    thread::sleep(Duration::from_secs_f64(WARM_UP_SECONDS) + BESIDE);
    record(server, seconds, &data)?;
    let outcome = answered(load.finish()?)?;
    ensure!(drain::wait(&bench.metrics)?.is_some(), "the history of what was asked did not drain");
    let mut text = format!(
        "Of the server's own time, {words}: {connections} connections with {in_flight} in flight each, {:.0} answers a second\n\
         while perf looked for {seconds} s, {HERTZ} times a second{}. England of scale {}.\n{}\n",
        outcome.total.ok_per_second,
        if outcome.void {
            ", and the generator missed its schedule: perf takes time of the same processors"
        } else {
            ""
        },
        bench.arguments.scale,
        Machine::here().words(),
    );
    for (title, sort) in [("thread", "comm"), ("symbol itself, without what it calls", "dso,sym")] {
        let found = top(&report(&data, sort)?);
        ensure!(!found.is_empty(), "perf saw nothing of the server");
        let _always = writeln!(text, "\nBy {title}:\n\n{found}");
    }
    Ok(text)
}

/// What the server does, with the stacks.
fn record(server: &Server, seconds: f64, data: &Path) -> Result<()> {
    let mut command = child(PERF);
    command.args(["record", "-g", "-F", HERTZ, "-p", &server.id().to_string(), "-o"]).arg(data);
    ran(command.args(["--", "sleep", &seconds.to_string()])).map(|_| ())
}

fn report(data: &Path, sort: &str) -> Result<String> {
    let mut command = child(PERF);
    // Nothing is asked for on the network.
    command.env_remove("DEBUGINFOD_URLS");
    command.args(["report", "--stdio", "--no-children", "--no-inline", "--call-graph", "none", "--sort", sort, "-i"]);
    ran(command.arg(data))
}

/// Runs it to its end; gives what it printed.
fn ran(command: &mut Command) -> Result<String> {
    let output = command.stdin(Stdio::null()).output().context("failed to start perf")?;
    ensure!(output.status.success(), "{command:?}: {}: {}", output.status, said(&output));
    Ok(String::from_utf8_lossy(&output.stdout).into_owned())
}

/// What it complained of.
fn said(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).trim().to_owned()
}

/// The first lines of a report, without its comments.
fn top(report: &str) -> String {
    let lines = report.lines().map(str::trim_end).filter(|line| !line.is_empty() && !line.starts_with('#'));
    lines.take(SYMBOLS).collect::<Vec<_>>().join("\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn of_a_report_the_first_lines_are_told_without_its_comments() {
        let head = "# To display the perf.data header info\n#\n# Overhead  Shared Object\n\n";
        let lines: Vec<String> = (0..2 * SYMBOLS).map(|n| format!("  1.00%  kithd  [.] symbol_{n}")).collect();
        let found = top(&(head.to_owned() + &lines.join("  \n")));
        assert_eq!(found.lines().collect::<Vec<_>>(), lines.iter().take(SYMBOLS).collect::<Vec<_>>());
    }

    #[test]
    fn what_perf_refuses_is_told_in_its_words() {
        // Put together there: the command stands in the error too.
        let script = "printf 'no %s' permission >&2; exit 3";
        let error = ran(Command::new("sh").args(["-c", script])).unwrap_err().to_string();
        assert!(error.contains("exit status: 3") && error.contains("no permission"), "{error}");
    }

    #[test]
    fn every_profile_has_a_file_of_its_own() {
        let names: std::collections::BTreeSet<_> = PROFILES.iter().map(|profile| profile.name).collect();
        assert_eq!(names.len(), PROFILES.len());
    }

    #[test]
    fn what_is_judged_at_a_rate_and_on_a_stream_is_looked_at_too() {
        let has = |is: fn(&Profile) -> bool| PROFILES.iter().any(is);
        assert!(has(|one| one.rate == Some(RATE) && matches!(one.whom, Whom::Kith)));
        assert!(has(|one| one.rate == Some(RATE) && matches!(one.whom, Whom::KithBesideFiles)));
        assert!(has(|one| (one.mix, one.shape) == EVENTS && matches!(one.whom, Whom::NewKith)));
    }
}
