//! `kith-fill`: fills an empty data directory with the presentations and the access history of a synthetic England, in
//! process, for measurements. Plans come afterwards by `kith plans push`, as always. Never used in production.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Instant, SystemTime, UNIX_EPOCH};

use clap::Parser;
use kith_benches::{Failure, england, options};
use kith_domain::caller::{Peer, Role};
use kith_domain::change::{Change, Feed, Heartbeat};
use kith_domain::codes::OdsCode;
use kith_domain::method::Method;
use kith_domain::permit::{ActionPermit, authorise_action};
use kith_domain::policy::Policy;
use kith_domain::time::Moment;
use kith_engine::{Engine, KeySource, Keys};
use tokio::task::JoinSet;
use uuid::Uuid;

/// Changes sent to the writer at once: one of its groups.
const GROUP: usize = 500;
/// Groups on their way.
const GROUPS: usize = 4;

/// Fills a data directory with a synthetic England.
#[derive(Parser)]
struct Arguments {
    /// The directory that kith-synth filled
    #[arg(long)]
    england: PathBuf,
    /// Directory of the state; must be empty
    #[arg(long)]
    data_dir: PathBuf,
    /// Directory of the audit; must be empty
    #[arg(long)]
    audit: PathBuf,
    /// The storage key
    #[arg(long)]
    key_file: PathBuf,
    /// Leave the access history out
    #[arg(long)]
    no_accesses: bool,
}

struct Filler {
    engine: Arc<Engine>,
    permit: Arc<ActionPermit>,
    runtime: tokio::runtime::Runtime,
    sent: JoinSet<Result<(), String>>,
    group: Vec<Change>,
    taken: u64,
}

fn now() -> Moment {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    Moment(i64::try_from(since.as_millis()).unwrap_or(i64::MAX))
}

impl Filler {
    fn take(&mut self, change: Change) -> Result<(), Failure> {
        self.group.push(change);
        if self.group.len() >= GROUP { self.send(GROUPS) } else { Ok(()) }
    }

    /// Sends the group, and waits until fewer than `most` are on their way.
    fn send(&mut self, most: usize) -> Result<(), Failure> {
        let (engine, permit, group) =
            (Arc::clone(&self.engine), Arc::clone(&self.permit), std::mem::take(&mut self.group));
        self.taken += group.len() as u64;
        let work = async move {
            let verdicts = engine.change(&permit, now(), group).await;
            verdicts.into_iter().find_map(Result::err).map_or(Ok(()), |refused| Err(format!("{refused:?}")))
        };
        self.sent.spawn_on(work, self.runtime.handle());
        while self.sent.len() >= most.max(1) {
            if let Some(ended) = self.runtime.block_on(self.sent.join_next()) {
                ended??;
            }
        }
        Ok(())
    }
}

fn files(folder: &Path) -> Result<Vec<(OdsCode, PathBuf)>, Failure> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(folder)? {
        let path = entry?.path();
        if let Some(code) = path.file_stem().and_then(|stem| stem.to_str()) {
            found.push((OdsCode::parse(code)?, path.clone()));
        }
    }
    found.sort();
    Ok(found)
}

fn run(arguments: &Arguments) -> Result<(), Failure> {
    let keys = Arc::new(Keys::open(&arguments.data_dir, &KeySource::File(arguments.key_file.clone()))?);
    let options = options(&arguments.data_dir, &arguments.audit, keys)?;
    let engine = Engine::open(options, now(), Arc::new(|what| eprintln!("the log failed: {what}")))?;
    let peer = Peer { organisation: OdsCode::parse("RRK")?, role: Role::Ed };
    let permit = authorise_action(&Policy::builtin(), peer, None, Method::Import)?;
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build()?;
    let (engine, permit, began) = (Arc::new(engine), Arc::new(permit), Instant::now());
    let mut filler = Filler { engine, permit, runtime, sent: JoinSet::new(), group: Vec::new(), taken: 0 };
    for (organisation, file) in files(&arguments.england.join("presentations"))? {
        england::presentations(&file, organisation, |change| filler.take(change))?;
        let accesses = arguments.england.join("accesses").join(format!("{organisation}.csv"));
        if !arguments.no_accesses && accesses.exists() {
            england::accesses(&accesses, organisation, |change| filler.take(change))?;
        }
        filler.take(Change::Heartbeat(Heartbeat {
            feed: Feed::Presentations(organisation),
            event_id: Uuid::new_v5(&Uuid::NAMESPACE_OID, format!("{organisation}/alive").as_bytes()),
        }))?;
        println!("{organisation}: {} changes after {} s", filler.taken, began.elapsed().as_secs());
    }
    filler.send(1)?;
    filler.engine.trim()?;
    filler.engine.close(now());
    println!("{} changes, trimmed, closed after {} s", filler.taken, began.elapsed().as_secs());
    Ok(())
}

fn main() -> std::process::ExitCode {
    match run(&Arguments::parse()) {
        Ok(()) => std::process::ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("kith-fill: failed to fill: {error}");
            std::process::ExitCode::FAILURE
        }
    }
}
