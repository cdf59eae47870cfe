//! Lookups at a steady rate: what is answered within a millisecond, quiet and while plan files are loaded, and the tail beside
//! those loads, set against the tail beside a process that has nothing to do with Kith and uses as much of the machine.

use std::cell::RefCell;
use std::ffi::OsString;
use std::fs;
use std::thread;
use std::time::Duration;

use anyhow::{Context, Result, ensure};

use crate::bench::{Bench, Measured, RATE, TAIL, USUAL, p99_9, within_1ms};
use crate::cores::{Kept, apart};
use crate::figures::{Reach, Row};
use crate::load::{Beside, Processors, Run};
use crate::programs::child_on;
use crate::servers::{Checkpoints, Server};
use crate::spent::{self, Since, Spent};
use crate::spread::Spread;

use super::Servers;
use super::start::resident_gib;

/// Until a generator beside has connected and sends.
const BEGINNING: Duration = Duration::from_secs(3);
/// Over which what loads use is counted.
const COUNTED: Duration = Duration::from_secs(8);
/// The process beside may use so much more or less than the loads, as a share: else the turn is void.
const ALIKE: f64 = 0.25;
/// Loads use more than this, in cores, wherever they can run.
const LEAST_CORES: f64 = 0.1;
/// After a measurement beside files they go on for so long.
const BEYOND_SECONDS: f64 = 1.0;
/// Longer than any measurement.
const FOR_EVER_SECONDS: f64 = 3_600.0;

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
        |bench| with_resident(loaded.beside(bench, servers, "lookup=1", &within_1ms)?),
        |bench| with_resident(loaded.beside(bench, servers, "empty=1", &within_1ms)?),
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
    /// A measurement while files are loaded into kithd, whichever server it asks; an error when none was, or one was not.
    fn beside(
        &self,
        bench: &Bench<'_>,
        servers: &Servers,
        mix: &str,
        value: &dyn Fn(&kith_load::outcome::Figures) -> f64,
    ) -> Result<Measured> {
        let _kept = servers.kept()?;
        let mut run = files(bench, servers);
        run.seconds = BEGINNING.as_secs_f64() + bench.arguments.seconds * TAIL + BEYOND_SECONDS;
        let files = run.beside(bench.place, "files")?;
        thread::sleep(BEGINNING);
        let server = if mix.starts_with("empty") { &servers.empty } else { &servers.kithd };
        let measured = Measured::of(&bench.at_rate(server, mix)?, &[value]);
        let files = files.finish()?;
        let sent = files.kinds.get("plan-file").context("no plan file was sent")?;
        ensure!(sent.ok > 0 && sent.failed == 0, "of the plan files {} failed: {:?}", sent.failed, sent.errors);
        self.0.borrow_mut().push(sent.ok_per_second);
        Ok(measured)
    }

    fn note(&self) -> String {
        format!("{} files a second were loaded beside, none failed", Spread::of(&self.0.borrow()).text(1))
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
    let (loaded, beside) = (Loaded::default(), RefCell::new(Vec::new()));
    bench.or_not_measured(vec![tail.clone()], |bench| {
        let used = anew.with(bench, |servers| used_by_loads(bench, servers))?;
        // Where others take the processor, the loads cannot be told from what the lookups use.
        ensure!(used.cpu_seconds >= LEAST_CORES, "the loads used {:.2} cores beyond the lookups", used.cpu_seconds);
        let words = format!(
            "the process uses what the loads and checkpoints used, the program that sends the loads included: {:.2} cores and {:.2} MB/s synced",
            used.cpu_seconds,
            used.written_bytes / 1e6
        );
        bench.rounds(
            vec![tail.note(&words)],
            |bench| {
                anew.with(bench, |servers| {
                    let checkpoints = Checkpoints::of(&servers.kithd);
                    let measured = loaded.beside(bench, servers, "lookup=1", &p99_9)?;
                    ensure!(is_in_a_checkpoint(bench)?, "no checkpoint was made");
                    drop(checkpoints);
                    Ok(measured)
                })
            },
            |bench| {
                anew.with(bench, |servers| {
                    let busy = busy(bench, used)?;
                    thread::sleep(BEGINNING);
                    let ids = [busy.id()];
                    let since = Since::now(&ids)?;
                    let measured = Measured::of(&bench.at_rate(&servers.kithd, "lookup=1")?, &[&p99_9]);
                    let shares = since.per_second()?.shares_of(used);
                    beside.borrow_mut().push(shares);
                    let void = measured.void || shares.iter().any(|share| (share - 1.0).abs() > ALIKE);
                    Ok(Measured { void, ..measured })
                })
            },
        );
        bench.note(1, &loaded.note());
        let of = |at: usize| Spread::of(&beside.borrow().iter().map(|shares: &[f64; 2]| shares[at]).collect::<Vec<_>>()).text(2);
        bench.note(1, &format!("the process used {} of the loads' processor time and synced {} of their bytes", of(0), of(1)));
        Ok(())
    });
    match anew.0.take() {
        Some(servers) => servers.again(bench),
        None => Servers::start(bench),
    }
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

/// Authority files of 1,500 rows, one after another, for longer than any measurement.
fn files<'r>(bench: &Bench<'_>, servers: &'r Servers) -> Run<'r> {
    let mut run = bench.run(&servers.kithd, "lookup=1", Some(1.0), (1, 1));
    (run.seconds, run.processors) = (FOR_EVER_SECONDS, Processors::Servers);
    run.more.extend(["--file-interval-ms", "0"].map(String::from));
    run
}

/// What file loads and checkpoints use in a second, kithd and the program that sends them together, beyond what the lookups use.
fn used_by_loads(bench: &Bench<'_>, servers: &Servers) -> Result<Spent> {
    let mut lookups = bench.run(&servers.kithd, "lookup=1", Some(RATE), USUAL);
    lookups.seconds = FOR_EVER_SECONDS;
    let _lookups = lookups.beside(bench.place, "lookups")?;
    thread::sleep(BEGINNING);
    let kithd = servers.kithd.id();
    let alone = spent::per_second(&[kithd], COUNTED)?;
    let _checkpoints = Checkpoints::of(&servers.kithd);
    let files = files(bench, servers).beside(bench.place, "files")?;
    thread::sleep(BEGINNING);
    let together = spent::per_second(&[kithd, files.id()], COUNTED)?;
    Ok(together - alone)
}

/// The process that has nothing to do with Kith.
fn busy(bench: &Bench<'_>, used: Spent) -> Result<Beside> {
    let mut command = child_on(apart().map(|apart| apart.servers.as_str()), bench.place.program("kith-busy"));
    command.arg("--file").arg(bench.place.file("busy"));
    command.args(["--cores", &used.cpu_seconds.to_string(), "--bytes-per-s", &used.written_bytes.round().to_string()]);
    Beside::program(&mut command)
}
