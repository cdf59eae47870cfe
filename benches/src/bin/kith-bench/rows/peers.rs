//! Kith beside PostgreSQL, which is asked the same question with an audit row, and beside Redis, which reads a value.

use anyhow::{Context, Result};
use kith_domain::time::Moment;
use kith_load::england::{England, PEOPLE};

use crate::bench::{Bench, Measured, USUAL, per_second};
use crate::figures::{Reach, Row};
use crate::peers::{Postgres, Redis};
use crate::servers::{self, Server};

use super::Servers;

/// Numbers of clients of which PostgreSQL's best is taken.
const CLIENTS: [u32; 4] = [8, 16, 32, 128];

pub fn redis(bench: &mut Bench<'_>, servers: &Servers) {
    let rows = [("128 x 1", (128, 1)), ("8 x 16 against pipeline 16", USUAL)].map(|(name, shape)| {
        let row = Row::new(&format!("vs Redis GET, {name}: throughput"), "1/s", Reach::Report, ["lookup", "GET"]);
        (row.note("Redis is asked in cleartext; Kith under mutual TLS, which is on its side alone: it has no cleartext port"), shape)
    });
    bench.or_not_measured(rows.iter().map(|(row, _)| row.clone()).collect(), |bench| {
        let people = people(bench)?;
        let redis = Redis::start(servers::free_port()?.port(), people.len() as u64).context("failed to run Redis")?;
        let settings = format!(
            "Redis, which holds a value for each of {} people whom Kith is asked about: {}",
            people.len(),
            redis.settings()?
        );
        bench.peer(settings);
        redis.fill(servers.reply_bytes)?;
        let seconds = bench.arguments.seconds;
        for (row, shape) in rows {
            bench.rounds(
                vec![row],
                |bench| lookups(bench, &servers.kithd, shape),
                |_| Ok(Measured::sure(vec![redis.reads_per_second(shape, seconds)?])),
            );
        }
        Ok(())
    });
}

/// The people of whom something is held and whom the generator asks Kith about, each once.
fn people(bench: &Bench<'_>) -> Result<Vec<u64>> {
    let now = jiff::Timestamp::now().as_millisecond();
    let england = England::load(&bench.place.file("england"), Moment(now).london_day(), PEOPLE)?;
    let mut numbers: Vec<u64> = england.known.iter().map(|known| known.number).collect();
    numbers.sort_unstable();
    numbers.dedup();
    Ok(numbers)
}

fn lookups(bench: &Bench<'_>, server: &Server, shape: (u32, u32)) -> Result<Measured> {
    Ok(Measured::of(&bench.outcome(server, "lookup=1", None, shape)?, &[&per_second]))
}

/// Ends the servers: the same England is then served in the mode `strict`.
pub fn postgres(bench: &mut Bench<'_>, servers: Servers) -> Result<()> {
    let Servers { kithd, empty, reply_bytes } = servers;
    let bounded = Row::new(
        "vs PostgreSQL, synchronous_commit=off: throughput",
        "1/s",
        Reach::AtLeast(2.0),
        ["lookup", "PostgreSQL"],
    );
    let strict = Row::new(
        "strict vs PostgreSQL, synchronous_commit=on: throughput",
        "1/s",
        Reach::AtLeast(3.0),
        ["strict lookup", "PostgreSQL"],
    );
    // Beside each stands a second one, with the history that was waited for counted in.
    let rows = vec![bounded.clone(), strict.clone()];
    if !bench.wants(&rows) {
        kithd.stop()?;
        return empty.stop();
    }
    let mut ended = None;
    bench.or_not_measured(rows, |bench| {
        println!("loading PostgreSQL");
        let folder = std::env::temp_dir().join("kith-bench-postgres");
        let postgres = Postgres::start(&folder, &bench.place.file("england"), &people(bench)?)
            .context("failed to run PostgreSQL")?;
        bench.peer(format!("PostgreSQL: {}", postgres.settings()?));
        let peer = Peer { postgres: &postgres, seconds: bench.arguments.seconds, reply_bytes };
        peer.rounds(bench, bounded, false, &kithd)?;
        ended = Some(kithd.stop());
        let kithd = bench.place.serve("mode = \"strict\"")?;
        peer.rounds(bench, strict, true, &kithd)?;
        kithd.stop()
    });
    ended.transpose()?;
    empty.stop()
}

struct Peer<'a> {
    postgres: &'a Postgres,
    seconds: f64,
    reply_bytes: u64,
}

impl Peer<'_> {
    fn rounds(&self, bench: &mut Bench<'_>, row: Row, synchronous: bool, kithd: &Server) -> Result<()> {
        if !bench.wants(std::slice::from_ref(&row)) {
            return Ok(());
        }
        let clients = self.best(synchronous)?;
        let note = format!("PostgreSQL with {clients} clients, the best of {CLIENTS:?}, over a local socket");
        bench.rounds(
            vec![row.note(&note)],
            |bench| lookups(bench, kithd, USUAL),
            |_| Ok(Measured::sure(vec![self.asked(clients, synchronous)?])),
        );
        // What history owes when a turn ends is not in its figure.
        if let Some(row) = bench.rows.last().and_then(Row::with_history) {
            bench.keep(vec![row]);
        }
        Ok(())
    }

    fn asked(&self, clients: u32, synchronous: bool) -> Result<f64> {
        self.postgres.questions_per_second(clients, self.seconds, self.reply_bytes, synchronous)
    }

    /// The number of clients with the most questions a second.
    fn best(&self, synchronous: bool) -> Result<u32> {
        let mut best = (0.0, 1);
        for clients in CLIENTS {
            let rate = self.asked(clients, synchronous)?;
            if rate > best.0 {
                best = (rate, clients);
            }
        }
        Ok(best.1)
    }
}
