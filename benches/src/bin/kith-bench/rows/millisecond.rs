//! Lookups at a steady rate: what is answered within a millisecond, quiet and while plan files are loaded, and the tail beside
//! those loads, set against the tail beside a process that has nothing to do with Kith and uses as much of the machine.

use std::cell::RefCell;
use std::ffi::OsString;
use std::fs;
use std::thread;
use std::time::Duration;

use anyhow::{Context, Result, ensure};

use crate::bench::{Bench, Measured, RATE, TAIL, USUAL, answered, p99_9, within_1ms};
use crate::cores::{Kept, apart};
use crate::drain;
use crate::figures::{Reach, Row};
use crate::load::{Beside, Processors, Run, WARM_UP_SECONDS};
use crate::programs::child_on;
use crate::servers::{Checkpoints, Server};
use crate::spent::{self, Since, Spent};
use crate::spread::Spread;

use super::Servers;
use super::start::resident_gib;

/// Until a generator beside has connected and sends.
const BEGINNING: Duration = Duration::from_secs(3);
/// Over which what the lookups use alone is counted.
const COUNTED: Duration = Duration::from_secs(8);
/// So often it is counted before the rounds; the medians stand: every turn is held against them, and of one that was far off none
/// would be like it.
const COUNTS: usize = 3;
/// What runs beside a turn, the loads or the process, may use so much more or less than the loads did when they were counted, as a
/// share: else the turn is void. Loads differ by up to a quarter from turn to turn, by where files and checkpoints meet; further off,
/// a turn was measured beside other work than those it is compared with.
const ALIKE: f64 = 0.25;
/// What a turn beside files uses is counted for so long at least.
const LEAST_COUNTED: Duration = Duration::from_secs(1);
/// Loads use more than this, in cores, wherever they can run.
const LEAST_CORES: f64 = 0.1;
/// After a measurement beside files they go on for so long.
const BEYOND_SECONDS: f64 = 1.0;

pub fn measure(bench: &mut Bench<'_>, servers: &Servers) {
    let Servers { kithd, empty, .. } = servers;
    let row = |when: &str| {
        let name = format!("within 1 ms at 2,000/s, {when}");
        Row::new(&name, "percent", Reach::AtLeast(-1.0), ["lookup", "empty"]).difference()
    };
    bench.rounds(vec![row("quiet")], |bench| within(bench, kithd, "lookup=1"), |bench| within(bench, empty, "empty=1"));
    let resident = Row::figure("resident memory, England, after file loads and lookups", "GiB", Reach::AtMost(1.0))
        .note("after each turn beside files, of a kithd that has served the rows before this one");
    let with_resident = |measured: Measured| -> Result<Measured> {
        let values = measured.values.iter().copied().chain([resident_gib(kithd)?]).collect();
        Ok(Measured { values, ..measured })
    };
    let loaded = Loaded::default();
    let rows = vec![row("under file loads").times(2), resident];
    let wanted = bench.wants(&rows);
    bench.rounds(
        rows,
        |bench| with_resident(loaded.beside(bench, servers, "lookup=1", &within_1ms)?.0),
        |bench| with_resident(loaded.beside(bench, servers, "empty=1", &within_1ms)?.0),
    );
    if wanted {
        bench.note(2, &loaded.note());
    }
}

/// A measurement with nothing beside it.
fn within(bench: &Bench<'_>, server: &Server, mix: &str) -> Result<Measured> {
    let _kept = Kept::of(server)?;
    Ok(Measured::of(&bench.at_rate(server, mix)?, &[&within_1ms]))
}

/// Files that were loaded beside each turn, per second.
#[derive(Default)]
struct Loaded(RefCell<Vec<f64>>);

impl Loaded {
    /// A measurement while files are loaded into kithd, whichever server it asks; an error when none was, or one was not. With it
    /// what kithd and the program that sends the files used in a second meanwhile.
    fn beside(
        &self,
        bench: &Bench<'_>,
        servers: &Servers,
        mix: &str,
        value: &dyn Fn(&kith_load::outcome::Figures) -> f64,
    ) -> Result<(Measured, Spent)> {
        let _kept = servers.kept()?;
        let files = files_beside(bench, servers, bench.arguments.seconds * TAIL)?;
        let server = if mix.starts_with("empty") { &servers.empty } else { &servers.kithd };
        let mut asking = bench.run(server, mix, Some(RATE), USUAL);
        asking.seconds *= TAIL;
        let asked = asking.beside(bench.place, "lookups")?;
        thread::sleep(BEGINNING);
        let spent = spent::per_second(&[servers.kithd.id(), files.id()], counted_for(asking.seconds))?;
        let measured = Measured::of(&answered(asked.finish()?)?, &[value]);
        self.0.borrow_mut().push(files_per_second(files)?);
        Ok((measured, spent))
    }

    fn note(&self) -> String {
        format!("{} files a second were loaded beside, none failed", Spread::of(&self.0.borrow()).text(1))
    }
}

/// Starts loading files into kithd, for a measurement of so many seconds that begins with the return of this.
pub fn files_beside(bench: &Bench<'_>, servers: &Servers, seconds: f64) -> Result<Beside> {
    let length = BEGINNING.as_secs_f64() + seconds + BEYOND_SECONDS;
    let files = files(bench, servers, length).beside(bench.place, "files")?;
    thread::sleep(BEGINNING);
    Ok(files)
}

/// How many of them were loaded in a second; an error when none was, or one was not.
pub fn files_per_second(files: Beside) -> Result<f64> {
    let files = files.finish()?;
    let sent = files.kinds.get("plan-file").context("no plan file was sent")?;
    ensure!(sent.ok > 0 && sent.failed == 0, "of the plan files {} failed: {:?}", sent.failed, sent.errors);
    Ok(sent.ok_per_second)
}

/// How long what is used beside a measurement of so many seconds is counted: from when its generator sends to before it ends.
fn counted_for(seconds: f64) -> Duration {
    let sends = Duration::from_secs_f64(WARM_UP_SECONDS + seconds);
    sends.saturating_sub(BEGINNING).max(LEAST_COUNTED)
}

/// What was counted before the rounds, of a second.
#[derive(Clone, Copy)]
struct Counted {
    /// What kithd used for the lookups alone.
    lookups: Spent,
    /// What loads and checkpoints used beyond that, of kithd and of the program that sends them together.
    loads: Spent,
}

impl Counted {
    /// What the loads beside a turn used, as shares of what they had used. In the turn kithd answered lookups at the same rate as when
    /// they were counted, and as there what it uses for those alone is taken off.
    fn shares(&self, together: Spent) -> [f64; 2] {
        (together - self.lookups).shares_of(self.loads)
    }

    /// Of each figure.
    fn median(counts: &[Self]) -> Self {
        let of = |spent: fn(&Self) -> Spent| {
            let middle = |figure: fn(Spent) -> f64| {
                Spread::of(&counts.iter().map(|one| figure(spent(one))).collect::<Vec<_>>()).median
            };
            Spent { cpu_seconds: middle(|one| one.cpu_seconds), written_bytes: middle(|one| one.written_bytes) }
        };
        Self { lookups: of(|one| one.lookups), loads: of(|one| one.loads) }
    }
}

/// What was used beside the turns of one side, void ones included: processor time and bytes, as shares of what was counted.
#[derive(Default)]
struct Shares(RefCell<Vec<[f64; 2]>>);

impl Shares {
    /// Takes in those of a turn, which is void where they are too far off.
    fn hold(&self, measured: Measured, shares: [f64; 2]) -> Measured {
        self.0.borrow_mut().push(shares);
        let void = measured.void || shares.iter().any(|share| (share - 1.0).abs() > ALIKE);
        Measured { void, ..measured }
    }

    fn words(&self) -> String {
        let of = |at: usize| Spread::of(&self.0.borrow().iter().map(|shares| shares[at]).collect::<Vec<_>>()).text(2);
        format!("{} of the processor time and synced {} of the bytes", of(0), of(1))
    }
}

/// Servers of which kithd is started anew before each turn: a checkpoint may go on for minutes after the turn that began it.
struct Anew(RefCell<Option<Servers>>);

impl Anew {
    /// Does something with a kithd that has nothing left to do.
    fn with<T>(&self, bench: &Bench<'_>, work: impl FnOnce(&Servers) -> Result<T>) -> Result<T> {
        let servers = match self.0.take() {
            Some(servers) => servers.again(bench)?,
            // It did not end, or did not begin, the time before.
            None => Servers::start(bench)?,
        };
        let kept = servers.kept()?;
        let done = work(&servers);
        drop(kept);
        self.0.replace(Some(servers));
        done
    }
}

/// The tail beside file loads and checkpoints. Gives the servers back, with a kithd that makes no checkpoint.
pub fn beside_checkpoints(bench: &mut Bench<'_>, servers: Servers) -> Result<Servers> {
    let tail = Row::new(
        "p99.9 at 2,000/s beside file loads and a checkpoint vs beside an unrelated process",
        "us",
        Reach::AtMost(1.25),
        ["beside file loads and a checkpoint", "beside the process"],
    )
    .times(2)
    .note("files of 1,500 rows and checkpoints (a snapshot of the state, the log trimmed behind it), each one after another; kithd is started anew before each turn");
    if !bench.wants(std::slice::from_ref(&tail)) {
        return Ok(servers);
    }
    let anew = Anew(RefCell::new(Some(servers)));
    bench.or_not_measured(vec![tail.clone()], |bench| tails(bench, &anew, &tail));
    bench.answers_were_true()?;
    match anew.0.take() {
        Some(servers) => servers.again(bench),
        None => Servers::start(bench),
    }
}

/// The rounds, beside what was counted before them.
fn tails(bench: &mut Bench<'_>, anew: &Anew, tail: &Row) -> Result<()> {
    let counted = counted(bench, anew)?;
    let Spent { cpu_seconds, written_bytes } = counted.loads;
    // Where others take the processor, the loads cannot be told from what the lookups use.
    ensure!(cpu_seconds >= LEAST_CORES, "the loads used {cpu_seconds:.2} cores beyond the lookups");
    let words = format!(
        "the process uses what the loads and checkpoints used, the program that sends the loads included: {cpu_seconds:.2} cores and {:.2} MB/s synced",
        written_bytes / 1e6
    );
    let (loaded, loads, process) = (Loaded::default(), Shares::default(), Shares::default());
    bench.rounds(
        vec![tail.clone().note(&words)],
        |bench| anew.with(bench, |servers| beside_loads(bench, servers, &loaded, (counted, &loads))),
        |bench| anew.with(bench, |servers| beside_the_process(bench, servers, (counted, &process))),
    );
    bench.note(1, &loaded.note());
    bench.note(
        1,
        &format!(
            "of what was counted {COUNTS} times before the rounds (the medians), beside the turns the loads used {}, and the process used {}; of the loads what kithd used for the lookups alone is taken off, before the rounds and in the turns alike: {:.2} cores and {:.2} MB/s; a turn, of either side, that was further than {:.0} percent off in either is void and was repeated, and is among these",
            loads.words(),
            process.words(),
            counted.lookups.cpu_seconds,
            counted.lookups.written_bytes / 1e6,
            100.0 * ALIKE,
        ),
    );
    Ok(())
}

fn beside_loads(
    bench: &Bench<'_>,
    servers: &Servers,
    loaded: &Loaded,
    (counted, loads): (Counted, &Shares),
) -> Result<Measured> {
    let checkpoints = Checkpoints::of(&servers.kithd);
    let (measured, together) = loaded.beside(bench, servers, "lookup=1", &p99_9)?;
    ensure!(is_in_a_checkpoint(bench)?, "no checkpoint was made");
    drop(checkpoints);
    Ok(loads.hold(measured, counted.shares(together)))
}

fn beside_the_process(
    bench: &Bench<'_>,
    servers: &Servers,
    (counted, process): (Counted, &Shares),
) -> Result<Measured> {
    let busy = busy(bench, counted.loads)?;
    thread::sleep(BEGINNING);
    let ids = [busy.id()];
    let since = Since::now(&ids)?;
    let measured = Measured::of(&bench.at_rate(&servers.kithd, "lookup=1")?, &[&p99_9]);
    Ok(process.hold(measured, since.per_second()?.shares_of(counted.loads)))
}

/// Whether kithd makes a checkpoint now, or has made one since its start.
fn is_in_a_checkpoint(bench: &Bench<'_>) -> Result<bool> {
    let log = fs::read_to_string(bench.place.file("kithd.log"))?;
    let names = fs::read_dir(bench.place.file("data/store"))?.map(|item| Ok(item?.file_name()));
    let names = names.collect::<std::io::Result<Vec<_>>>()?;
    let is_being_written = |name: &OsString| {
        let name = name.to_string_lossy();
        name.starts_with("snapshot-") && name.ends_with(".new")
    };
    Ok(log.contains("the log is trimmed") || names.iter().any(is_being_written))
}

/// Authority files of 1,500 rows, one after another, for so many seconds.
fn files<'r>(bench: &Bench<'_>, servers: &'r Servers, seconds: f64) -> Run<'r> {
    let mut run = bench.run(&servers.kithd, "lookup=1", Some(1.0), (1, 1));
    (run.seconds, run.processors) = (seconds, Processors::Servers);
    run.more.extend(["--file-interval-ms", "0"].map(String::from));
    run
}

/// The medians of some counts.
fn counted(bench: &Bench<'_>, anew: &Anew) -> Result<Counted> {
    let once = |_| anew.with(bench, |servers| count(bench, servers));
    let counts = (0..COUNTS).map(once).collect::<Result<Vec<_>>>()?;
    Ok(Counted::median(&counts))
}

/// What kithd uses in a second for the lookups, and what file loads and checkpoints use beyond that, kithd and the program that
/// sends them together.
fn count(bench: &Bench<'_>, servers: &Servers) -> Result<Counted> {
    let length = counted_for(bench.arguments.seconds * TAIL);
    let mut asking = bench.run(&servers.kithd, "lookup=1", Some(RATE), USUAL);
    asking.seconds = (BEGINNING * 3 + COUNTED + length).as_secs_f64();
    let asked = asking.beside(bench.place, "lookups")?;
    thread::sleep(BEGINNING);
    let kithd = servers.kithd.id();
    let lookups = spent::per_second(&[kithd], COUNTED)?;
    let checkpoints = Checkpoints::of(&servers.kithd);
    let files = files_beside(bench, servers, (BEGINNING + length).as_secs_f64())?;
    // As old as loads and checkpoint are in a turn, whose lookups begin meanwhile, and for as long: a checkpoint does one thing
    // after another.
    thread::sleep(BEGINNING);
    let together = spent::per_second(&[kithd, files.id()], length)?;
    drop(checkpoints);
    files_per_second(files)?;
    answered(asked.finish()?)?;
    ensure!(drain::wait(&bench.metrics)?.is_some(), "the history of the lookups that were counted did not drain");
    Ok(Counted { lookups, loads: together - lookups })
}

/// The process that has nothing to do with Kith.
fn busy(bench: &Bench<'_>, used: Spent) -> Result<Beside> {
    let mut command = child_on(apart().map(|apart| apart.servers.as_str()), bench.place.program("kith-busy"));
    command.arg("--file").arg(bench.place.file("busy"));
    command.args(["--cores", &used.cpu_seconds.to_string(), "--bytes-per-s", &used.written_bytes.round().to_string()]);
    Beside::program(&mut command)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn spent(cpu_seconds: f64, written_bytes: f64) -> Spent {
        Spent { cpu_seconds, written_bytes }
    }

    #[test]
    fn of_the_loads_beside_a_turn_the_lookups_are_taken_off_as_before_the_rounds() {
        let counted = Counted { lookups: spent(0.25, 1e6), loads: spent(0.5, 8e6) };
        assert_eq!(counted.shares(spent(0.75, 9e6)), [1.0, 1.0]);
        assert_eq!(counted.shares(spent(0.5, 5e6)), [0.5, 0.5]);
        assert_eq!(counted.shares(spent(0.0, 0.0)), [0.0, 0.0], "less than the lookups alone is no load at all");
    }

    #[test]
    fn one_count_that_is_far_off_is_not_what_turns_are_held_against() {
        let one = |cpu: f64, bytes: f64| Counted { lookups: spent(cpu, bytes), loads: spent(2.0 * cpu, 2.0 * bytes) };
        let median = Counted::median(&[one(0.25, 9e6), one(0.9, 1e6), one(0.3, 2e6)]);
        assert_eq!((median.lookups, median.loads), (spent(0.3, 2e6), spent(0.6, 4e6)));
    }

    #[test]
    fn a_turn_beside_other_work_than_was_counted_is_void() {
        let shares = Shares::default();
        let is_void = |found| shares.hold(Measured::sure(vec![1.0]), found).void;
        assert!(!is_void([1.0, 1.0]) && !is_void([0.75, 1.25]));
        for found in [[0.7, 1.0], [1.3, 1.0], [1.0, 0.7], [1.0, 1.3], [0.0, 0.0]] {
            assert!(is_void(found), "{found:?}");
        }
        let late = Measured { void: true, ..Measured::sure(vec![1.0]) };
        assert!(shares.hold(late, [1.0, 1.0]).void, "void for another reason, it stays so");
        assert!(shares.words().contains("[0.00, 1.30]"), "void turns are told too: {}", shares.words());
    }

    #[test]
    fn what_is_used_is_counted_while_lookups_are_asked() {
        for seconds in [4.0, 16.0] {
            let (from, to) = (BEGINNING, BEGINNING + counted_for(seconds));
            assert!(from < to && to <= Duration::from_secs_f64(WARM_UP_SECONDS + seconds), "{seconds}");
        }
        assert_eq!(counted_for(0.1), LEAST_COUNTED);
    }
}
