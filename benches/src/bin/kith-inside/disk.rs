//! What a child with one presentation, its first lookup and a further lookup add on the disk. The log is trimmed before each weighing:
//! what is weighed is rows, in tables that have been written anew, and no log.

use std::fs;
use std::path::Path;
use std::thread;
use std::time::Duration;

use clap::Args;
use kith_benches::{Failure, Filled, NOW, filled};
use kith_domain::caller::CareContext;
use kith_domain::codes::OdsCode;
use kith_domain::method::Method;
use kith_engine::{Asked, AuditMode};
use tokio::runtime::{Builder, Runtime};
use uuid::Uuid;

use super::asking;

/// Who asks.
const TRUST: &str = "R1H";
/// How often it is looked at whether the history of all that was asked is in the log.
const POLL: Duration = Duration::from_millis(20);

#[derive(Args)]
pub struct Arguments {
    /// Children, each with one presentation
    #[arg(default_value_t = 100_000)]
    children: usize,
}

/// Bytes on the disk: the state's tables, its snapshot, the audit's entries.
type Bytes = [u64; 3];

/// Prints a table of bytes for each.
pub fn tell(arguments: &Arguments) -> Result<(), Failure> {
    let runtime = Builder::new_current_thread().build()?;
    let filled = runtime.block_on(filled(arguments.children, AuditMode::Bounded))?;
    let children = weighed(&filled)?;
    look_up(&filled, &runtime)?;
    let looked_up = weighed(&filled)?;
    look_up(&filled, &runtime)?;
    let again = weighed(&filled)?;
    println!("| bytes for each of {} | state | snapshot | audit |\n|---|---|---|---|", arguments.children);
    // One child in sixty has a plan; the audit of changes is written by who sends them, and nobody sent these.
    row("child with one presentation", arguments.children, [0; 3], children);
    row("its first lookup", arguments.children, children, looked_up);
    row("a further lookup by the same person", arguments.children, looked_up, again);
    Ok(())
}

#[expect(clippy::cast_precision_loss, reason = "for people")]
fn row(name: &str, count: usize, before: Bytes, after: Bytes) {
    let each = |at: usize| (after[at] as f64 - before[at] as f64) / count as f64;
    println!("| {name} | {:.1} | {:.1} | {:.1} |", each(0), each(1), each(2));
}

/// Asks about every child, and waits until the access history has it.
fn look_up(filled: &Filled, runtime: &Runtime) -> Result<(), Failure> {
    let engine = &filled.engine;
    let (peer, caller) = asking::caller(OdsCode::parse(TRUST)?)?;
    for number in &filled.held {
        let asked = Asked {
            peer,
            caller: caller.clone(),
            context: CareContext::Unscheduled,
            question: asking::question(*number, None, NOW),
            request_id: Uuid::new_v4(),
            trace: None,
            person_proven: false,
            method: Method::Lookup,
        };
        runtime.block_on(engine.ask(asked))?;
    }
    while engine.audit_window().unsynced > 0 || engine.positions().derived_through < engine.positions().synced_through {
        thread::sleep(POLL);
    }
    Ok(())
}

/// What everything takes once the log is trimmed.
fn weighed(filled: &Filled) -> Result<Bytes, Failure> {
    filled.engine.trim()?;
    let folder = filled.folder();
    let all = |_: &str| true;
    Ok([
        weigh(&folder.join("store/db"), all)?,
        weigh(&folder.join("store"), |name| name.starts_with("snapshot-"))?,
        weigh(&folder.join("audit/primary"), all)? + weigh(&folder.join("audit/spill"), all)?,
    ])
}

/// Bytes of the files of a folder that have such a name; none of a folder that is not there.
fn weigh(folder: &Path, named: impl Fn(&str) -> bool) -> Result<u64, Failure> {
    if !folder.exists() {
        return Ok(0);
    }
    let mut bytes = 0;
    for entry in fs::read_dir(folder)? {
        let entry = entry?;
        let about = entry.metadata()?;
        if about.is_file() && entry.file_name().to_str().is_some_and(&named) {
            bytes += about.len();
        }
    }
    Ok(bytes)
}
