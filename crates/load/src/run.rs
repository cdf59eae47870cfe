//! One run from its plan to its outcome.

use std::path::PathBuf;
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use anyhow::{Context, Result, bail, ensure};
use kith_domain::time::Moment;
use rustix::process::{Resource, getrlimit, setrlimit};

use crate::callers::Callers;
use crate::clock::{Clock, Window};
use crate::control::{self, Control, Counted};
use crate::cpu::{self, ServerProcess};
use crate::england::{England, PEOPLE};
use crate::files;
use crate::kind::Kind;
use crate::link::Service;
use crate::machine::Machine;
use crate::opener::Opener;
use crate::outcome::{FORMAT, Generator, Handshakes, Lateness, Outcome, Verification};
use crate::plan::{Plan, Shape};
use crate::setup::{Progress, Setup, routes};
use crate::tally::{self, Tally};
use crate::worker::{Found, Worker};

/// Threads that open connections.
const OPENERS: usize = 2;
/// Between the last thread being ready and the first request.
const LEAD: Duration = Duration::from_millis(50);
/// Certificates of one role read at most: more organisations than England has trusts.
const MOST_CALLERS: usize = 512;
/// Longest time for TCP and TLS together.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);

/// Where a run goes: addresses and paths, which no outcome repeats.
#[derive(Clone, Debug)]
pub struct Target {
    /// `host:port` of the service.
    pub server: String,
    /// Certificates, as `kithd dev-certs` writes them.
    pub certs: PathBuf,
    /// A synthetic England, as `kith-synth` writes it; the service must hold it.
    pub england: Option<PathBuf>,
    /// `host:port` of the metrics page.
    pub metrics: Option<String>,
    /// Process id of the server, when it runs on this machine.
    pub server_pid: Option<u32>,
    /// The call of the kind `empty`.
    pub empty_path: String,
    /// Do not ask for the status: the server has none, or nobody may.
    pub no_status: bool,
    /// Longest wait for access history and notifications.
    pub drain_limit: Duration,
    /// The caller's own name for the run.
    pub label: String,
}

/// A run that is under way.
pub struct Running {
    setup: Arc<Setup>,
    clock: Clock,
    workers: Vec<JoinHandle<Found>>,
    files: Option<JoinHandle<Result<Tally>>>,
    opener: Opener,
    control: Option<Control>,
    before: Option<Counted>,
    machine: Machine,
    started_at: String,
    server: Option<ServerProcess>,
}

/// What is known of a run before it begins.
///
/// # Errors
/// Something that the plan needs is not there.
pub fn prepare(target: &Target, plan: Plan) -> Result<Arc<Setup>> {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).context("the clock stands before 1970")?;
    let now = Moment(i64::try_from(since.as_millis()).context("the clock stands too far ahead")?);
    let today = now.london_day();
    let service = Service::new(&target.server, plan.timeout_ms, routes(&target.empty_path), CONNECT_TIMEOUT);
    let england = match &target.england {
        Some(dir) => England::load(dir, today, PEOPLE)?,
        None => England::default(),
    };
    let setup = Setup {
        window: Window::new(plan.warm_up_seconds, plan.seconds),
        service: service.map_err(|words| anyhow::anyhow!("failed to {words}"))?,
        callers: Callers::load(&target.certs, MOST_CALLERS)?,
        england,
        today,
        now,
        progress: Arc::new(Progress::default()),
        plan,
    };
    check(&setup)?;
    Ok(Arc::new(setup))
}

/// The same with another plan of the same traffic, for the next of several runs.
///
/// # Errors
/// The run before is still under way.
pub fn again(setup: Arc<Setup>, plan: Plan) -> Result<Arc<Setup>> {
    let before = Arc::into_inner(setup).context("the run before is still under way")?;
    let window = Window::new(plan.warm_up_seconds, plan.seconds);
    Ok(Arc::new(Setup { plan, window, progress: Arc::new(Progress::default()), ..before }))
}

/// What a plan needs and a setup may lack.
fn check(setup: &Setup) -> Result<()> {
    let Setup { plan, callers, england, .. } = setup;
    let sends = |kind: Kind| plan.mix.contains_key(kind.name());
    for (needed, there, words) in [
        (sends(Kind::Hit) || sends(Kind::Truth) || sends(Kind::CheckIn), !england.known.is_empty(), "--england"),
        (sends(Kind::Scheduled), !callers.scheduled.is_empty(), "a certificate of the role scheduled-care"),
        (
            sends(Kind::PlanEvent) || plan.file_interval_ms.is_some(),
            !callers.authorities.is_empty(),
            "a certificate of the role local-authority",
        ),
    ] {
        ensure!(!needed || there, "this mix needs {words}");
    }
    ensure!(plan.connections >= plan.threads, "there are fewer connections than threads");
    let enough = !sends(Kind::PlanEvent) || plan.authority_connections >= plan.threads;
    ensure!(enough, "there are fewer authority connections than threads");
    Ok(())
}

/// Connects, and begins.
///
/// # Errors
/// The service cannot be reached.
pub fn begin(target: &Target, setup: &Arc<Setup>) -> Result<Running> {
    more_files();
    let wanted = setup.is_kith() && !target.no_status;
    let control = wanted.then(|| {
        let options = setup.callers.operations(&target.server, CONNECT_TIMEOUT);
        let asker = setup.callers.trusts.first().context("there is no certificate of the role ed")?;
        let asking = setup.callers.as_caller(asker, &target.server, CONNECT_TIMEOUT);
        Control::connect(options, (asking, asker.organisation.clone()), target.metrics.clone())
    });
    let control = control.transpose()?;
    let before = control.as_ref().map(Control::counted).transpose()?;
    let machine = Machine::here();
    let opener = Opener::start(&setup.service, OPENERS);
    let mut made = Vec::new();
    for thread in 0..setup.plan.threads {
        let mut worker = Worker::new(Arc::clone(setup), u64::from(thread), opener.orders())?;
        worker.connect()?;
        made.push(worker);
    }
    let files = setup.plan.file_interval_ms.is_some().then(|| files::prepare(setup, target)).transpose()?;
    let clock = Clock::new(Instant::now() + LEAD);
    let workers = made.into_iter().map(|worker| std::thread::spawn(move || worker.run(clock))).collect();
    let files = files.map(|lane| std::thread::spawn(move || lane.run(clock)));
    let server = target.server_pid.map(ServerProcess::new).transpose()?;
    let started_at = jiff::Timestamp::now().strftime("%Y-%m-%dT%H:%M:%SZ").to_string();
    let setup = Arc::clone(setup);
    Ok(Running { setup, clock, workers, files, opener, control, before, machine, started_at, server })
}

/// Takes as many descriptors as this process may have: the usual limit is below a thousand connections. Where it may have no
/// more, a connection that cannot be opened says so.
fn more_files() {
    let mut limit = getrlimit(Resource::Nofile);
    limit.current = limit.maximum;
    let _unchanged = setrlimit(Resource::Nofile, limit);
}

/// What was asked beside the sending threads.
#[derive(Debug, Default)]
pub struct Beside {
    /// Answers that came.
    pub answers: u64,
    /// Questions whose answer did not come.
    pub in_doubt: u64,
    /// Answers that are not true.
    pub wrong: u64,
}

/// Processor time spent in the measured part.
struct Spent {
    own: f64,
    server: Option<f64>,
    /// When it began.
    from_unix_ms: u64,
}

impl Running {
    /// What it has done so far.
    #[must_use]
    pub fn progress(&self) -> Arc<Progress> {
        Arc::clone(&self.setup.progress)
    }

    /// Its clock.
    #[must_use]
    pub fn clock(&self) -> Clock {
        self.clock
    }

    /// Waits for its end and gives what was found, and what it was counted from.
    ///
    /// # Errors
    /// A thread died, or the server can no longer be asked.
    pub fn finish(self, target: &Target, command: &str) -> Result<(Outcome, Tally)> {
        self.finish_beside(target, command, || Ok(Beside::default()))
    }

    /// The same, with what was asked beside it: waited for before counters are compared.
    ///
    /// # Errors
    /// As [`Running::finish`], or what was beside it failed.
    pub fn finish_beside(
        self,
        target: &Target,
        command: &str,
        beside: impl FnOnce() -> Result<Beside>,
    ) -> Result<(Outcome, Tally)> {
        let spent = self.measured()?;
        let Self { setup, workers, files, opener, control, before, machine, started_at, server, .. } = self;
        let mut found = Vec::new();
        for worker in workers {
            found.push(worker.join().map_err(|_| anyhow::anyhow!("a sending thread died"))?);
        }
        let resident = server.as_ref().map(ServerProcess::resident_bytes).transpose()?;
        let file_tally = match files {
            Some(lane) => Some(lane.join().map_err(|_| anyhow::anyhow!("the thread of plan files died"))??),
            None => None,
        };
        let beside = beside()?;
        opener.finish();
        let Some(mut all) = Joined::of(found) else { bail!("there was no sending thread") };
        if let Some(tally) = file_tally {
            all.tally.join(&tally);
        }
        all.add(&beside);
        let mut outcome = all.outcome(&setup, &spent, machine);
        outcome.command = command.to_owned();
        outcome.label.clone_from(&target.label);
        outcome.started_at = started_at;
        outcome.generator.server_resident_bytes = resident;
        outcome.failures = failures(&outcome);
        if let (Some(control), Some(before)) = (control, before) {
            let unaccounted = account(&mut outcome, &all, &control, before, target.drain_limit);
            outcome.failures.extend(unaccounted);
        }
        Ok((outcome, all.tally))
    }

    /// Waits through the measured part and takes the processor time of both ends.
    fn measured(&self) -> Result<Spent> {
        let window = self.setup.window;
        let server = || self.server.as_ref().map(ServerProcess::cpu_seconds).transpose();
        self.clock.sleep_until(window.begin);
        let from_unix_ms = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_millis() as u64;
        let (own_before, server_before) = (cpu::own_seconds(), server()?);
        self.clock.sleep_until(window.end);
        let (own_after, server_after) = (cpu::own_seconds(), server()?);
        let server = server_after.zip(server_before).map(|(after, before)| after - before);
        Ok(Spent { own: own_after - own_before, server, from_unix_ms })
    }
}

/// What all threads found.
struct Joined {
    tally: Tally,
    verification: Verification,
    handshakes: Handshakes,
    answers: u64,
    in_doubt: u64,
    real_time: u32,
}

impl Joined {
    fn of(found: Vec<Found>) -> Option<Self> {
        let mut took = tally::histogram();
        let mut all: Option<Self> = None;
        for Found { tally, verification, handshakes, took: times, answers, in_doubt, real_time } in found {
            let real_time = u32::from(real_time);
            // All have the same bounds.
            let _added = took.add(&times);
            let Some(joined) = &mut all else {
                all = Some(Self { tally, verification, handshakes, answers, in_doubt, real_time });
                continue;
            };
            joined.tally.join(&tally);
            joined.answers += answers;
            joined.in_doubt += in_doubt;
            joined.real_time += real_time;
            joined.verification.join(&verification);
            let told = &mut joined.handshakes;
            told.opened += handshakes.opened;
            told.told_to_leave += handshakes.told_to_leave;
            told.lost += handshakes.lost;
            for (reason, count) in handshakes.failed {
                *told.failed.entry(reason).or_default() += count;
            }
        }
        if let Some(joined) = &mut all {
            joined.handshakes.took_ns = tally::latency(&took, false);
        }
        all
    }

    fn add(&mut self, beside: &Beside) {
        let Beside { answers, in_doubt, wrong } = beside;
        self.answers += answers;
        self.in_doubt += in_doubt;
        self.verification.checked += answers;
        self.verification.wrong += wrong;
    }

    fn outcome(&self, setup: &Setup, spent: &Spent, machine: Machine) -> Outcome {
        let plan = &setup.plan;
        let kinds = self.tally.kinds();
        let lookups: Vec<Kind> = kinds.iter().copied().filter(|kind| kind.is_lookup()).collect();
        let seconds = plan.seconds;
        let figures = |kinds: &[Kind]| self.tally.figures(kinds, seconds);
        let total = figures(&kinds);
        let lateness = lateness(&self.tally, plan);
        let void_reasons = void_reasons(&lateness);
        let per = |cpu: f64, count: u64| if count > 0 { cpu * 1e9 / count as f64 } else { 0.0 };
        Outcome {
            format: FORMAT.to_owned(),
            version: env!("CARGO_PKG_VERSION").to_owned(),
            command: String::new(),
            label: String::new(),
            started_at: String::new(),
            plan: plan.clone(),
            void: !void_reasons.is_empty(),
            void_reasons,
            failures: Vec::new(),
            measured_seconds: seconds,
            measured_from_unix_ms: spent.from_unix_ms,
            lookups: (!lookups.is_empty()).then(|| figures(&lookups)),
            kinds: kinds.iter().map(|kind| (kind.name().to_owned(), figures(&[*kind]))).collect(),
            lateness,
            generator: Generator {
                threads: plan.threads,
                real_time_threads: self.real_time,
                cpu_seconds: spent.own,
                cpu_ns_per_request: per(spent.own, total.sent),
                machine_share: spent.own / seconds / f64::from(machine.cores),
                server_cpu_seconds: spent.server,
                server_cpu_ns_per_answer: spent.server.map(|cpu| per(cpu, total.ok)),
                server_resident_bytes: None,
            },
            machine,
            verification: self.verification.clone(),
            handshakes: self.handshakes.clone(),
            counters: None,
            drain: None,
            over_time: self.tally.over_time(setup.window.length()),
            knee: None,
            storm: None,
            total,
        }
    }
}

fn lateness(tally: &Tally, plan: &Plan) -> Lateness {
    let count = tally.behind.len();
    let open = matches!(plan.shape, Shape::Open { .. });
    Lateness {
        behind_ns: tally::latency(&tally.behind, false),
        bound_us: plan.late_bound_us,
        late_share: if open && count > 0 { tally.late as f64 / count as f64 } else { 0.0 },
        late_share_bound: plan.late_percent / 100.0,
        waited_for_a_place: tally.waited,
    }
}

/// Why a run is void: empty when it is not. Requests that found no place on a connection are the server's doing, and failed;
/// only what was taken up late is the generator's own.
#[must_use]
pub fn void_reasons(lateness: &Lateness) -> Vec<String> {
    if lateness.late_share <= lateness.late_share_bound {
        return Vec::new();
    }
    vec![format!(
        "the generator took up {:.2} % of the requests more than {} us late, and {:.2} % are allowed",
        lateness.late_share * 100.0,
        lateness.bound_us,
        lateness.late_share_bound * 100.0
    )]
}

/// What went wrong beside the schedule.
fn failures(outcome: &Outcome) -> Vec<String> {
    let wrong = outcome.verification.wrong;
    if wrong > 0 { vec![format!("{wrong} answers differ from what is true")] } else { Vec::new() }
}

/// Compares counters and waits for what follows lookups; gives what went wrong. A server that cannot be asked any more
/// does not take the figures with it.
fn account(outcome: &mut Outcome, all: &Joined, control: &Control, before: Counted, limit: Duration) -> Vec<String> {
    let mut failures = Vec::new();
    match control.counted() {
        Err(error) => failures.push(format!("the server's counters cannot be read any more: {error:#}")),
        Ok(after) => {
            let counters = control::compare(before, after, all.answers, all.in_doubt);
            if !counters.agree {
                failures.push(format!(
                    "the server counted {} answers ({}), the generator {}, and {} are in doubt",
                    counters.server, counters.source, counters.generator, counters.in_doubt
                ));
            }
            outcome.counters = Some(counters);
        }
    }
    match control.drain(limit) {
        Err(error) => failures.push(format!("what follows lookups cannot be waited for: {error:#}")),
        Ok(drain) => {
            if !drain.complete {
                let seconds = drain.seconds;
                failures.push(format!("access history and notifications had not drained after {seconds:.1} s"));
            }
            outcome.drain = Some(drain);
        }
    }
    failures
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_generator_that_was_late_too_often_makes_the_run_void() {
        let at = |late_share| Lateness { late_share, late_share_bound: 0.01, bound_us: 1_000, ..Lateness::default() };
        assert!(void_reasons(&at(0.0)).is_empty() && void_reasons(&at(0.01)).is_empty());
        assert_eq!(void_reasons(&at(0.0101)).len(), 1);
    }

    #[test]
    fn lateness_is_counted_against_the_bound() {
        let mut tally = Tally::new(1_000_000_000);
        (0..99).for_each(|_| tally.behind(1_000_000, 1_000_000));
        tally.behind(1_000_001, 1_000_000);
        assert_eq!(tally.late, 1);
    }
}
