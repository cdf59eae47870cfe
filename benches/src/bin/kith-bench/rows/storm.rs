//! Reconnect storms: what a thousand clients that come back at once do to steady clients, of Kith and of the empty call.

use anyhow::{Context, Result};

use crate::bench::{Bench, Measured, p99_9};
use crate::cores::Kept;
use crate::figures::{Reach, Row};
use crate::load;
use crate::servers::Server;

use super::Servers;

/// Steady clients ask at this rate; so many storms, each after a quiet part, that their tails together are of some thousands of
/// answers.
const TRAFFIC: [&str; 12] = [
    "--clients",
    "1000",
    "--storms",
    "6",
    "--quiet-s",
    "1",
    "--rate",
    "2000",
    "--warm-up-s",
    "1",
    // Of the steady clients: the empty call has nothing that could be verified.
    "--verify-percent",
    "1",
];

pub fn measure(bench: &mut Bench<'_>, servers: &Servers) {
    let names = ["lookup", "empty"];
    let rows = vec![
        Row::new("reconnect storm of 1,000 TLS clients: p99.9 of steady clients", "us", Reach::AtMost(1.25), names)
            .times(2)
            .note(
                "2,000 requests due per second while the storm is on; every client that comes back asks one question",
            ),
        Row::total("reconnect storm of 1,000 TLS clients: errors", Reach::AtMost(0.0))
            .note("of all rounds together, the turns of the A/A included, and every turn that was void and repeated"),
        Row::new("reconnect storm of 1,000 TLS clients: until all are back", "s", Reach::Report, names),
    ];
    bench.rounds(
        rows,
        |bench| storm(bench, &servers.kithd, "lookup=1"),
        |bench| storm(bench, &servers.empty, "empty=1"),
    );
}

#[expect(clippy::cast_precision_loss, reason = "for people")]
fn storm(bench: &Bench<'_>, server: &Server, mix: &str) -> Result<Measured> {
    let _kept = Kept::of(server)?;
    let outcome = load::storm(bench.place, &server.address, (mix, bench.seed.get()), &TRAFFIC)?;
    let storm = outcome.storm.as_ref().context("an outcome without a storm")?;
    let in_storms: u64 = storm.storms.iter().flat_map(|one| one.errors.values()).sum();
    let longest = storm.storms.iter().map(|one| one.until_all_back_seconds).fold(0.0, f64::max);
    let errors = (in_storms + outcome.total.failed) as f64;
    let values = vec![p99_9(&storm.steady_stormy), errors, longest];
    // Errors have a row of their own.
    Ok(Measured { failed: 0, ..Measured::with(&outcome, values) })
}
