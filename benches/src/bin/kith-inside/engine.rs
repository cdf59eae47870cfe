//! The England of a data directory, asked in process: by the index alone, without audit, and by the engine, whose answers leave
//! with their audit entry. The state is read twice: an engine gives no answer without audit.

use std::fs;
use std::hint::black_box;
use std::ops::ControlFlow;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{SystemTime, UNIX_EPOCH};

use clap::Args;
use kith_benches::records::mix;
use kith_benches::{Failure, options};
use kith_domain::NhsNumber;
use kith_domain::answer::Question;
use kith_domain::caller::{Caller, CareContext, Peer};
use kith_domain::child::ChildRecord;
use kith_domain::codes::{LaCode, OdsCode};
use kith_domain::directory::Directory;
use kith_domain::method::Method;
use kith_domain::permit::authorise_read;
use kith_domain::settings::AnswerSettings;
use kith_domain::time::Moment;
use kith_engine::{Asked, Asking, Engine, KeySource, Keys, StoreOptions};
use kith_index::Index;
use kith_load::england::{England, Known, PEOPLE, Part};
use kith_store::{Store, Table};
use tokio::runtime::{Builder, Runtime};

use super::{Rounds, asking};

/// Questions of a turn.
const QUESTIONS: u64 = 20_000;

#[derive(Args)]
pub struct Arguments {
    /// The England that is held, as kith-synth wrote it
    #[arg(long)]
    england: PathBuf,
    /// The state; nobody else may have it open
    #[arg(long)]
    data_dir: PathBuf,
    /// The audit
    #[arg(long)]
    audit: PathBuf,
    /// The storage key
    #[arg(long)]
    key_file: PathBuf,
}

/// Both ways to ask.
struct Both {
    index: Index,
    engine: Engine,
    runtime: Runtime,
    known: Vec<Known>,
    peer: Peer,
    caller: Caller,
    now: Moment,
}

fn now() -> Moment {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    Moment(i64::try_from(since.as_millis()).unwrap_or(i64::MAX))
}

/// The codes in the first column of a file.
fn codes(file: &Path) -> Result<Vec<String>, Failure> {
    let text = fs::read_to_string(file)?;
    Ok(text.lines().skip(1).filter_map(|line| line.split(',').next()).map(str::to_owned).collect())
}

fn directory(england: &Path) -> Result<Directory, Failure> {
    let mut directory = Directory::default();
    for code in codes(&england.join("directory/authorities.csv"))? {
        directory.authorities.insert(LaCode::parse(&code)?, asking::authority_entry());
    }
    for code in codes(&england.join("directory/organisations.csv"))? {
        directory.organisations.insert(OdsCode::parse(&code)?, asking::organisation_entry());
    }
    Ok(directory)
}

/// A row of the state begins with the version of its encoding.
fn record(bytes: &[u8]) -> Result<ChildRecord, Failure> {
    let (_, rest) = bytes.split_first().ok_or("an empty row")?;
    Ok(postcard::from_bytes(rest)?)
}

fn index(arguments: &Arguments, keys: &Arc<Keys>, directory: &Directory, now: Moment) -> Result<Index, Failure> {
    let store = Store::open_read_only(&arguments.data_dir, Arc::clone(keys), StoreOptions::default())?;
    let index = Index::new(asking::feeds(directory, now));
    let mut fault = None;
    store.scan(Table::Child, &[], &[], &mut |_, bytes| match record(bytes) {
        Ok(record) => {
            index.publish(record);
            ControlFlow::Continue(())
        }
        Err(error) => {
            fault = Some(error);
            ControlFlow::Break(())
        }
    })?;
    fault.map_or(Ok(index), Err)
}

impl Both {
    fn open(arguments: &Arguments) -> Result<Self, Failure> {
        let (keys, now) =
            (Arc::new(Keys::open(&arguments.data_dir, &KeySource::File(arguments.key_file.clone()))?), now());
        let directory = directory(&arguments.england)?;
        let known = England::load(&arguments.england, now.london_day(), PEOPLE)?.known;
        let index = index(arguments, &keys, &directory, now)?;
        let organisation = *directory.organisations.keys().next().ok_or("a directory without organisations")?;
        let (peer, caller) = asking::caller(organisation)?;
        let mut options = options(&arguments.data_dir, &arguments.audit, keys)?;
        options.directory = Arc::new(directory);
        options.interval_seconds = Box::new(|_| 8_640_000);
        let engine = Engine::open(options, now, Arc::new(|what| eprintln!("the log failed: {what}")))?;
        if engine.sizes().children == 0 {
            return Err("nothing is held".into());
        }
        let runtime = Builder::new_current_thread().build()?;
        Ok(Self { index, engine, runtime, known, peer, caller, now })
    }

    /// Every other question is about a number of which nothing is held.
    fn questions(&self, seed: u64) -> impl Iterator<Item = Question> + '_ {
        (0..QUESTIONS).filter_map(move |n| {
            let pick = mix(seed << 32 | n);
            if n % 2 == 1 {
                let number = NhsNumber::parse(&Part::Misses.number(pick >> 8).to_string()).ok()?;
                return Some(asking::question(number, None, self.now));
            }
            let known = self.known.get(usize::try_from(pick % self.known.len() as u64).ok()?)?;
            let number = NhsNumber::parse(&known.number.to_string()).ok()?;
            Some(asking::question(number, known.born, self.now))
        })
    }

    fn without_audit(&self, seed: u64) -> Result<Vec<f64>, Failure> {
        let (settings, directory) = (AnswerSettings::default(), self.engine.directory());
        let (policy, call) = (self.engine.policy(), (Method::Lookup, CareContext::Unscheduled));
        asking::times(self.questions(seed), |question| {
            let permit = authorise_read(&policy, self.peer, &self.caller, call, directory);
            let permit = permit.map_err(|refusal| format!("{refusal:?}"))?;
            let (answer, responsible) = self.index.answer(&permit, question, &settings, directory);
            self.index.even_out(&answer, &permit, question, (&settings, directory));
            black_box((answer, responsible));
            Ok(())
        })
    }

    /// As entries of a worklist: audited like every question, and leaving no history in the England.
    fn with_audit(&self, seed: u64) -> Result<Vec<f64>, Failure> {
        let mut asked: Vec<Asked> = Vec::new();
        for (n, question) in (0_u64..).zip(self.questions(seed)) {
            asked.push(Asked {
                peer: self.peer,
                caller: self.caller.clone(),
                context: CareContext::Unscheduled,
                question,
                request_id: uuid::Uuid::from_u128(u128::from(seed << 32 | n)),
                trace: None,
                method: Method::LookupMany,
                person_proven: false,
            });
        }
        let mut asked = asked.into_iter();
        asking::times(self.questions(seed), |_| {
            let answered = match self.engine.ask_now(asked.next().ok_or("no question")?) {
                Asking::Now(answered) => answered,
                Asking::Waiting(waiting) => self.runtime.block_on(waiting.settled(&self.engine)),
            };
            black_box(answered?);
            Ok(())
        })
    }

    fn turn(&self, seed: u64) -> Result<Vec<f64>, Failure> {
        Ok([self.without_audit(seed)?, self.with_audit(seed)?].concat())
    }
}

pub fn rounds(arguments: &Arguments, rounds: u64) -> Result<Rounds, Failure> {
    let both = Both::open(arguments)?;
    both.turn(u64::from(u32::MAX))?;
    let one = |round: u64| -> Result<_, Failure> { Ok([both.turn(round * 2)?, Vec::new(), both.turn(round * 2 + 1)?]) };
    let measured = (0..rounds).map(one).collect();
    both.engine.close(now());
    measured
}
