//! The adapter between a MESH mailbox and the service: polls the inbox, imports plan files, answers with their verdicts, and
//! acknowledges only then. It never imports under another name than the sender's, and a kill at any step loses nothing.

mod auth;
mod backoff;
pub(crate) mod config;
mod delivery;
pub(crate) mod http;
pub(crate) mod mailbox;
mod notes;
mod pass;
mod report;

use std::io::Write;
use std::time::{Duration, Instant};

use jiff::Timestamp;
use serde_json::json;
use tokio::signal::unix::{SignalKind, signal};

use self::backoff::Backoff;
use self::pass::Adapter;
use self::report::Counts;
use crate::args::{MeshArgs, Output};
use crate::commands::{Done, Text};
use crate::exit::Exit;
use crate::failure::Failure;

/// Runs until it is told to end, or once.
///
/// # Errors
/// A configuration that cannot be used.
pub fn run(args: &MeshArgs, output: Output) -> Result<Done, Failure> {
    let config = config::load(&args.config)?;
    let interval = Duration::from_secs(config.mesh.poll_interval_seconds);
    let adapter = Adapter::new(config)?;
    let failed = |error: std::io::Error| Failure::could_not_ask(format!("failed to start: {error}"));
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().map_err(failed)?;
    let exit = runtime.block_on(async {
        let mut end = signal(SignalKind::terminate())?;
        let mut interrupt = signal(SignalKind::interrupt())?;
        tokio::select! {
            exit = passes(adapter, interval, args.once, output) => Ok(exit),
            // Dropped at whatever step it is at: a kill there loses nothing, so this does not either.
            _ = end.recv() => Ok(Exit::Done),
            _ = interrupt.recv() => Ok(Exit::Done),
        }
    });
    let exit = exit.map_err(failed)?;
    Ok(Done { text: Text::Plain(String::new()), json: json!({"exit_code": exit.code()}), exit })
}

async fn passes(mut adapter: Adapter, interval: Duration, once: bool, output: Output) -> Exit {
    let mut backoff = Backoff::default();
    loop {
        let counts = adapter.pass().await;
        show(&counts, output);
        if once {
            return counts.exit();
        }
        let wait = if counts.mesh_failed {
            backoff.failed(Instant::now(), interval)
        } else {
            backoff.healed();
            interval
        };
        tokio::time::sleep(wait).await;
    }
}

fn show(counts: &Counts, output: Output) {
    let line = match output {
        Output::Text => counts.line(Timestamp::now()),
        Output::Json => counts.json(Timestamp::now()).to_string(),
    };
    // A log that cannot be written is no reason to leave plans unread.
    let _ = writeln!(std::io::stdout().lock(), "{line}");
}
