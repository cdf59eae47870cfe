//! The comparisons, each a file with a function that measures its rows. What is compared runs side by side: both servers are
//! up all the time, and rounds alternate between them.

mod children;
mod disk;
mod empty;
mod engine;
mod millisecond;
mod overload;
mod peers;
mod profile;
mod start;
mod storm;

use anyhow::{Result, ensure};

use crate::bench::{Bench, USUAL};
use crate::cores::Kept;
use crate::drain;
use crate::figures::Row;
use crate::servers::Server;

/// Bytes before every message of gRPC: whether it is compressed, and its length. The generator counts them with the answer.
const MESSAGE_HEAD: u64 = 5;

/// What the comparisons on the wire run against.
struct Servers {
    kithd: Server,
    empty: Server,
    /// Bytes of an answer on average, and of the empty call's replies.
    reply_bytes: u64,
}

/// Measures everything that is asked for. Those that need kithd to be down come first and last.
///
/// # Errors
/// When a server cannot be started or ended, or an answer was wrong: after that no further row is measured.
pub fn all(bench: &mut Bench<'_>) -> Result<Vec<Row>> {
    start::measure(bench);
    // Before anything is asked: every lookup adds to the history that the engine reads.
    engine::measure(bench);
    let servers = Servers::start(bench)?;
    let servers = millisecond::beside_checkpoints(bench, servers)?;
    empty::measure(bench, &servers);
    empty::found_and_not_found(bench, &servers);
    millisecond::measure(bench, &servers);
    disk::check_in(bench, &servers);
    storm::measure(bench, &servers);
    overload::measure(bench, &servers);
    peers::redis(bench, &servers);
    peers::postgres(bench, servers)?;
    disk::plan_events(bench);
    children::in_process(bench);
    children::on_the_wire(bench);
    bench.answers_were_true()?;
    Ok(std::mem::take(&mut bench.rows))
}

/// Fails where the servers cannot be profiled.
///
/// # Errors
/// What is missing.
pub fn can_profile() -> Result<()> {
    profile::check()
}

/// Instead of comparing: where the time of either server goes.
///
/// # Errors
/// When one cannot be looked at.
pub fn profiles(bench: &Bench<'_>) -> Result<()> {
    profile::all(bench, &Servers::start(bench)?)
}

impl Servers {
    /// Both leave the generator's processor alone, as long as these values are held.
    fn kept(&self) -> Result<[Kept; 2]> {
        Ok([Kept::of(&self.kithd)?, Kept::of(&self.empty)?])
    }

    /// With a kithd that has nothing left to do.
    fn again(self, bench: &Bench<'_>) -> Result<Self> {
        let Self { kithd, empty, reply_bytes } = self;
        kithd.stop()?;
        Ok(Self { kithd: bench.place.serve("")?, empty, reply_bytes })
    }

    fn start(bench: &Bench<'_>) -> Result<Self> {
        let kithd = bench.place.serve("")?;
        let mut run = bench.run(&kithd, "lookup=1", None, USUAL);
        run.seconds = 2.0;
        let total = run.outcome(bench.place)?.total;
        let reply_bytes = (total.reply_bytes / total.ok.max(1)).saturating_sub(MESSAGE_HEAD);
        println!(
            "answers: {} to {} bytes, {reply_bytes} on average without the {MESSAGE_HEAD} before each; so many has the empty call's reply",
            total.reply_bytes_min, total.reply_bytes_max
        );
        let empty = bench.place.serve_empty(reply_bytes)?;
        ensure!(drain::wait(&bench.metrics)?.is_some(), "the history of the first lookups did not drain");
        Ok(Self { kithd, empty, reply_bytes })
    }
}
