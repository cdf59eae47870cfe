//! The comparisons, each a function that measures its rounds. What is compared runs side by side: both servers are up all the
//! time, and rounds alternate between them.

use std::path::Path;
use std::time::Duration;

use anyhow::{Context, Result};
use kith_load::Outcome;
use kith_load::outcome::Figures;

use crate::Arguments;
use crate::disk;
use crate::england::Place;
use crate::figures::{Against, Reach, Row};
use crate::load::Run;
use crate::peers::{Postgres, Redis};
use crate::servers::{self, Server};

/// The traffic of most comparisons.
const CONNECTIONS: u32 = 8;
const IN_FLIGHT: u32 = 16;
/// The rate of those about latency.
const RATE: f64 = 2_000.0;
/// What a check-in writes in its batch, to be set against one synced write of as many bytes: log records, rows and the head.
const CHECK_IN_BYTES: usize = 4_096;
/// Nanoseconds in a microsecond.
const US: f64 = 1_000.0;

/// Everything that is measured, and what it is measured with.
pub struct Bench<'a> {
    arguments: &'a Arguments,
    pub place: Place,
    rows: Vec<Row>,
}

/// One of the figures of latency.
type Percentile = fn(&Figures) -> u64;

/// What one measurement gave.
struct Measured {
    value: f64,
    void: bool,
}

impl<'a> Bench<'a> {
    pub fn new(arguments: &'a Arguments, place: Place) -> Result<Self> {
        Ok(Self { arguments, place, rows: Vec::new() })
    }

    /// Measures everything that is asked for.
    pub fn all(&mut self) -> Result<Vec<Row>> {
        self.start_up()?;
        let kithd = self.place.serve("")?;
        let reply_bytes = self.usual_reply(&kithd)?;
        let empty = self.place.serve_empty(reply_bytes)?;
        println!("most answers have {reply_bytes} bytes; so have the empty call's");
        self.against_empty(&kithd, &empty)?;
        self.within_a_millisecond(&kithd, &empty)?;
        self.check_in(&kithd)?;
        self.redis(&kithd, reply_bytes)?;
        self.postgres(&kithd, reply_bytes)?;
        kithd.stop()?;
        empty.stop()?;
        Ok(std::mem::take(&mut self.rows))
    }

    fn wants(&self, name: &str) -> bool {
        let only = &self.arguments.only;
        only.is_empty() || only.iter().any(|wanted| name.contains(wanted.as_str()))
    }

    fn run<'r>(&self, server: &'r Server, mix: &'r str, rate: Option<f64>, shape: (u32, u32)) -> Run<'r> {
        let more = vec![String::from("--no-status")];
        let (connections, in_flight) = shape;
        let seconds = self.arguments.seconds;
        Run { server: &server.address, mix, rate, connections, in_flight, seconds, more }
    }

    /// Bytes of most answers.
    fn usual_reply(&self, kithd: &Server) -> Result<u64> {
        let mut run = self.run(kithd, "lookup=1", None, (CONNECTIONS, IN_FLIGHT));
        run.seconds = 2.0;
        let total = run.outcome(&self.place)?.total;
        let mean = total.reply_bytes / total.ok.max(1);
        println!("answers: {} to {} bytes, {mean} on average", total.reply_bytes_min, total.reply_bytes_max);
        Ok(mean)
    }

    /// Measures the rounds of one comparison: the first, the second, and the first again.
    fn rounds(
        &mut self,
        row: Row,
        mut first: impl FnMut(&Self) -> Result<Measured>,
        mut second: impl FnMut(&Self) -> Result<Measured>,
    ) -> Result<()> {
        if !self.wants(&row.name) {
            return Ok(());
        }
        let mut row = row;
        for _ in 0..self.arguments.rounds {
            for (of, values) in [(0, &mut row.measured), (1, &mut row.compared), (0, &mut row.again)] {
                let measured = if of == 0 { first(self)? } else { second(self)? };
                row.void |= measured.void;
                values.push(measured.value);
            }
        }
        println!("{}: {} (A/A {})", row.name, row.comparison().text(3), row.noise().text(3));
        self.rows.push(row);
        Ok(())
    }

    /// Throughput, and one request in flight.
    fn against_empty(&mut self, kithd: &Server, empty: &Server) -> Result<()> {
        let shape = (CONNECTIONS, IN_FLIGHT);
        let throughput =
            |bench: &Self, server: &Server, mix: &str| measure(bench, server, mix, None, shape, per_second);
        self.rounds(
            row("lookup vs empty call: throughput", "1/s", Reach::AtLeast(0.85), ["lookup", "empty"]),
            |bench| throughput(bench, kithd, "lookup=1"),
            |bench| throughput(bench, empty, "empty=1"),
        )?;
        let one = |bench: &Self, server: &Server, mix: &str, of: Percentile| {
            measure(bench, server, mix, None, (1, 1), |figures| us(of(figures)))
        };
        let percentiles: [(&str, f64, Percentile); 2] =
            [("p50", 1.10, |figures| figures.latency_ns.p50), ("p99", 1.25, |figures| figures.latency_ns.p99)];
        for (name, bound, of) in percentiles {
            self.rounds(
                row(
                    &format!("lookup vs empty call, one in flight: {name}"),
                    "us",
                    Reach::AtMost(bound),
                    ["lookup", "empty"],
                ),
                |bench| one(bench, kithd, "lookup=1", of),
                |bench| one(bench, empty, "empty=1", of),
            )?;
        }
        for (name, _, of) in percentiles {
            self.rounds(
                row(&format!("found vs not found, one in flight: {name}"), "us", Reach::Report, ["found", "not found"]),
                |bench| one(bench, kithd, "lookup-hit=1", of),
                |bench| one(bench, kithd, "lookup-miss=1", of),
            )?;
        }
        Ok(())
    }

    /// The share answered within a millisecond of when they were due, quiet and while files are loaded.
    fn within_a_millisecond(&mut self, kithd: &Server, empty: &Server) -> Result<()> {
        let share = |figures: &Figures| 100.0 * figures.within_1ms_share;
        let shape = (CONNECTIONS, IN_FLIGHT);
        let against = Against::Difference;
        self.rounds(
            Row {
                against,
                ..row("within 1 ms at 2,000/s, quiet", "percent", Reach::AtLeast(-1.0), ["lookup", "empty"])
            },
            |bench| measure(bench, kithd, "lookup=1", Some(RATE), shape, share),
            |bench| measure(bench, empty, "empty=1", Some(RATE), shape, share),
        )?;
        let under_files = |bench: &Self, server: &Server, mix: &str| {
            let _beside = bench.files(kithd).beside(&bench.place)?;
            measure(bench, server, mix, Some(RATE), shape, share)
        };
        self.rounds(
            Row {
                against,
                ..row("within 1 ms at 2,000/s, under file loads", "percent", Reach::AtLeast(-1.0), ["lookup", "empty"])
            },
            |bench| under_files(bench, kithd, "lookup=1"),
            |bench| under_files(bench, empty, "empty=1"),
        )
    }

    /// Authority files of 1,500 rows, one after another, for longer than any measurement.
    fn files<'r>(&self, kithd: &'r Server) -> Run<'r> {
        let mut run = self.run(kithd, "lookup=1", Some(1.0), (1, 1));
        run.seconds = 3_600.0;
        run.more.extend(["--file-interval-ms", "0"].map(String::from));
        run
    }

    /// A check-in waits for syncs; a synced write of as many bytes is what the disk can do.
    fn check_in(&mut self, kithd: &Server) -> Result<()> {
        let length = Duration::from_secs_f64(self.arguments.seconds);
        let p50 = |figures: &Figures| us(figures.latency_ns.p50);
        self.rounds(
            row("check-in vs one synced write: p50", "us", Reach::AtMost(1.5), ["check-in", "synced write"]),
            |bench| measure(bench, kithd, "check-in=1", None, (1, 1), p50),
            |bench| {
                let took = disk::synced_writes(&bench.place.file("data"), CHECK_IN_BYTES, length)?;
                Ok(Measured { value: us(disk::percentile(&took, 0.5)), void: false })
            },
        )
    }

    fn redis(&mut self, kithd: &Server, reply_bytes: u64) -> Result<()> {
        const NAMES: [&str; 2] = ["vs Redis GET, 128 x 1: throughput", "vs Redis GET, 8 x 16: throughput"];
        if !NAMES.iter().any(|name| self.wants(name)) {
            return Ok(());
        }
        let redis = Redis::start(servers::free_port()?.port()).context("failed to run Redis")?;
        redis.benchmark("set", CONNECTIONS, IN_FLIGHT, 200_000, reply_bytes)?;
        for (name, shape) in NAMES.into_iter().zip([(128, 1), (CONNECTIONS, IN_FLIGHT)]) {
            let requests = if shape.1 == 1 { 300_000 } else { 2_000_000 };
            self.rounds(
                Row {
                    notes: vec![String::from("Kith under mutual TLS, which it never does without; Redis in cleartext")],
                    ..row(name, "1/s", Reach::Report, ["lookup", "GET"])
                },
                |bench| measure(bench, kithd, "lookup=1", None, shape, per_second),
                |_| {
                    Ok(Measured {
                        value: redis.benchmark("get", shape.0, shape.1, requests, reply_bytes)?,
                        void: false,
                    })
                },
            )?;
        }
        Ok(())
    }

    fn postgres(&mut self, kithd: &Server, reply_bytes: u64) -> Result<()> {
        const NAMES: [&str; 2] = [
            "vs PostgreSQL, synchronous_commit=off: throughput",
            "strict vs PostgreSQL, synchronous_commit=on: throughput",
        ];
        if !NAMES.iter().any(|name| self.wants(name)) {
            return Ok(());
        }
        println!("loading PostgreSQL");
        let folder = std::env::temp_dir().join("kith-bench-postgres");
        let postgres = Postgres::start(&folder, &self.place.file("england")).context("failed to run PostgreSQL")?;
        let seconds = self.arguments.seconds;
        let best = |synchronous| -> Result<f64> {
            let mut best: f64 = 0.0;
            for clients in [8, 32, 128] {
                best = best.max(postgres.questions_per_second(clients, seconds / 2.0, reply_bytes, synchronous)?);
            }
            Ok(best)
        };
        let [off, on] = NAMES;
        let shape = (CONNECTIONS, IN_FLIGHT);
        let note = || vec![String::from("PostgreSQL: the best of 8, 32 and 128 clients over a local socket")];
        self.rounds(
            Row { notes: note(), ..row(off, "1/s", Reach::AtLeast(2.0), ["lookup", "PostgreSQL"]) },
            |bench| measure(bench, kithd, "lookup=1", None, shape, per_second),
            |_| Ok(Measured { value: best(false)?, void: false }),
        )?;
        if !self.wants(on) {
            return Ok(());
        }
        self.strict(&row(on, "1/s", Reach::AtLeast(3.0), ["strict lookup", "PostgreSQL"]), best)
    }

    /// A server in the mode `strict`, on an audit and a state of its own: the England is the other's.
    fn strict(&mut self, row: &Row, best: impl Fn(bool) -> Result<f64>) -> Result<()> {
        let server = self.place.serve_strict()?;
        self.rounds(
            row.clone(),
            |bench| {
                let mut run = bench.run(&server, "lookup-miss=1", None, (CONNECTIONS, 100));
                run.more.extend(["--verify-percent", "0"].map(String::from));
                let outcome = run.outcome(&bench.place)?;
                Ok(Measured { value: per_second(&outcome.total), void: outcome.void })
            },
            |_| Ok(Measured { value: best(true)?, void: false }),
        )?;
        server.stop()
    }

    /// From a cold page cache to the first answer, and the memory held then.
    fn start_up(&mut self) -> Result<()> {
        const NAMES: [&str; 2] = ["start to ready, England, cold page cache", "resident memory, England"];
        if !NAMES.iter().any(|name| self.wants(name)) {
            return Ok(());
        }
        let (mut seconds, mut bytes) = (Vec::new(), Vec::new());
        for _ in 0..3 {
            drop_page_cache();
            let server = self.place.serve("")?;
            seconds.push(server.ready_after.as_secs_f64());
            #[expect(clippy::cast_precision_loss, reason = "for people")]
            bytes.push(server.resident_bytes()? as f64 / f64::from(1 << 30));
            server.stop()?;
        }
        let [start, memory] = NAMES;
        for (name, unit, bound, values) in [(start, "s", 10.0, seconds), (memory, "GiB", 1.0, bytes)] {
            let single = |values: Vec<f64>| Row {
                compared: vec![1.0; values.len()],
                again: values.clone(),
                measured: values,
                ..row(name, unit, Reach::AtMost(bound), ["found", "1"])
            };
            let row = single(values);
            println!("{name}: {} {unit}", row.comparison().text(2));
            self.rows.push(row);
        }
        Ok(())
    }
}

/// Empties the page cache where that is allowed; elsewhere the start is a warm one, and says so.
fn drop_page_cache() {
    let synced = std::process::Command::new("sync").status().is_ok_and(|status| status.success());
    if !synced || std::fs::write(Path::new("/proc/sys/vm/drop_caches"), "3").is_err() {
        println!("NOTE: the page cache could not be emptied: a warm start");
    }
}

fn row(name: &str, unit: &str, reach: Reach, names: [&str; 2]) -> Row {
    Row {
        name: name.to_owned(),
        unit: unit.to_owned(),
        reach,
        against: Against::Ratio,
        names: names.map(str::to_owned),
        measured: Vec::new(),
        compared: Vec::new(),
        again: Vec::new(),
        void: false,
        notes: Vec::new(),
    }
}

fn per_second(figures: &Figures) -> f64 {
    figures.ok_per_second
}

#[expect(clippy::cast_precision_loss, reason = "for people")]
fn us(nanoseconds: u64) -> f64 {
    nanoseconds as f64 / US
}

fn measure(
    bench: &Bench<'_>,
    server: &Server,
    mix: &str,
    rate: Option<f64>,
    shape: (u32, u32),
    value: impl Fn(&Figures) -> f64,
) -> Result<Measured> {
    let mut run = bench.run(server, mix, rate, shape);
    if mix.starts_with("empty") {
        run.more.push(String::from("--verify-percent=0"));
    }
    let outcome: Outcome = run.outcome(&bench.place)?;
    anyhow::ensure!(outcome.total.failed == 0, "calls failed: {:?}", outcome.total.errors);
    Ok(Measured { value: value(&outcome.total), void: outcome.void })
}
