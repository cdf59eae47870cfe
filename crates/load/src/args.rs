//! The command line: what may be asked, with units, and what is refused.

use std::path::PathBuf;
use std::time::Duration;

use clap::{Args, Parser, Subcommand, ValueEnum};

use crate::hostile::arguments::HostileArguments;
use crate::kind::Mix;
use crate::plan::{self, Plan, Shape};
use crate::run::Target;

/// The command line.
#[derive(Parser)]
#[command(name = "kith-load", version, about = ABOUT, after_help = AFTER)]
pub struct Arguments {
    /// What to do.
    #[command(subcommand)]
    pub verb: Verb,
}

const ABOUT: &str = "Measure a Kith service: what it answers, how fast, and whether it is true";

const AFTER: &str = "\
To size a deployment:
  1. Load the England that you expect on the machine that you want to use (kith-synth, kith plans push).
  2. kith-load knee finds the rate that it carries within your bound, and the processor time of one answer.
  3. England asks about 4 times a second on average, twice that in the busiest hour; provide for 10 times your own peak.
  4. kith-load run at your peak, with check-ins and --file-interval-ms, for an hour; then kith-load storm.
  5. Run it from another machine: beside the server it takes processor time away from it.
docs/sizing.md tells the same at more length. Never use it on a service that holds real people: it writes.

Exit codes: 0 done; 1 could not run; 2 wrong usage; 3 VOID, the generator missed its own schedule; 4 an answer differs from
what is true; 5 the server's counters differ from the generator's, or what follows lookups did not drain in time.";

/// What to do.
#[derive(Subcommand)]
pub enum Verb {
    /// Send traffic for a while and measure it
    Run(RunArguments),
    /// Find the highest rate that the service carries within a bound
    Knee(KneeArguments),
    /// Drop many clients that come back at once, while steady clients measure
    Storm(StormArguments),
    /// Attack a service as one hostile organisation, while a run beside it measures; for a service of one's own that holds nobody
    Hostile(HostileArguments),
    /// Print two outcomes beside each other, as ratios
    Compare(CompareArguments),
    /// Make the reports of an outcome again
    Report(ReportAgainArguments),
}

/// `kith-load compare`.
#[derive(Args)]
pub struct CompareArguments {
    /// The outcome that the other is held against
    #[arg(value_name = "A.json")]
    pub first: PathBuf,
    /// The other one
    #[arg(value_name = "B.json")]
    pub second: PathBuf,
}

/// `kith-load report`.
#[derive(Args)]
pub struct ReportAgainArguments {
    /// The outcome
    #[arg(value_name = "A.json")]
    pub outcome: PathBuf,
    /// What to write
    #[command(flatten)]
    pub reports: ReportArguments,
}

/// `kith-load knee`.
#[derive(Args)]
pub struct KneeArguments {
    /// Where, and as whom
    #[command(flatten)]
    pub target: TargetArguments,
    /// What to send
    #[command(flatten)]
    pub traffic: TrafficArguments,
    /// How long each step is
    #[command(flatten)]
    pub step: StepArguments,
    /// How to search
    #[command(flatten)]
    pub search: SearchArguments,
    /// What to write
    #[command(flatten)]
    pub reports: ReportArguments,
}

/// How to search.
#[derive(Args)]
#[command(next_help_heading = "How to search")]
pub struct SearchArguments {
    /// Requests due per second in the first step
    #[arg(long, value_name = "RATE", default_value_t = 500.0, value_parser = positive)]
    pub start_rate: f64,
    /// Each step's rate is the last one's times this
    #[arg(long, value_name = "FACTOR", default_value_t = 1.5, value_parser = above_one)]
    pub factor: f64,
    /// No step goes beyond this rate
    #[arg(long, value_name = "RATE", default_value_t = 1_000_000.0, value_parser = positive)]
    pub most_rate: f64,
    /// Steps halfway between the last rate carried and the first one not
    #[arg(long, value_name = "COUNT", default_value_t = 3)]
    pub halvings: u32,
    /// A step is carried while 99 of 100 answers come within this, in microseconds
    #[arg(long, value_name = "US", default_value_t = 10_000)]
    pub p99_bound_us: u64,
    /// And while at least this share of what was due is answered well, in percent; and its access history takes no longer to be
    /// written than the step lasted
    #[arg(long, value_name = "PERCENT", default_value_t = 99.9, value_parser = percent)]
    pub goodput_percent: f64,
}

/// `kith-load storm`.
#[derive(Args)]
pub struct StormArguments {
    /// Where, and as whom
    #[command(flatten)]
    pub target: TargetArguments,
    /// What the steady clients send
    #[command(flatten)]
    pub traffic: TrafficArguments,
    /// When they send it
    #[command(flatten)]
    pub steady: SteadyArguments,
    /// The storms
    #[command(flatten)]
    pub storms: StormsArguments,
    /// What to write
    #[command(flatten)]
    pub reports: ReportArguments,
}

/// The storms.
#[derive(Args)]
#[command(next_help_heading = "The storms")]
pub struct StormsArguments {
    /// Clients that are dropped and come back at once; each then asks one question
    #[arg(long, value_name = "COUNT", default_value_t = 1_000, value_parser = clap::value_parser!(u32).range(1..=100_000))]
    pub clients: u32,
    /// How often
    #[arg(long, value_name = "COUNT", default_value_t = 3, value_parser = clap::value_parser!(u32).range(1..=1_000))]
    pub storms: u32,
    /// Between two storms, before the first and after the last, in seconds
    #[arg(long, value_name = "SECONDS", default_value_t = 10.0, value_parser = positive)]
    pub quiet_s: f64,
    /// A client without an answer after this is counted as an error, in milliseconds
    #[arg(long, value_name = "MS", default_value_t = 60_000, value_parser = clap::value_parser!(u64).range(1..=600_000))]
    pub patience_ms: u64,
}

/// `kith-load run`.
#[derive(Args)]
pub struct RunArguments {
    /// Where, and as whom
    #[command(flatten)]
    pub target: TargetArguments,
    /// What to send
    #[command(flatten)]
    pub traffic: TrafficArguments,
    /// When to send it
    #[command(flatten)]
    pub shape: ShapeArguments,
    /// What to write
    #[command(flatten)]
    pub reports: ReportArguments,
}

/// Where, and as whom.
#[derive(Args)]
#[command(next_help_heading = "Where, and as whom")]
pub struct TargetArguments {
    /// Address of the service, host:port
    #[arg(long, value_name = "HOST:PORT")]
    pub server: String,
    /// Certificates as `kithd dev-certs` writes them: ca.pem, ops.pem, and <CODE>.pem beside <CODE>.key
    #[arg(long, value_name = "DIR")]
    pub certs: PathBuf,
    /// The synthetic England that the service holds, as `kith-synth` wrote it; without it nothing can be expected to be held
    #[arg(long, value_name = "DIR")]
    pub england: Option<PathBuf>,
    /// Address of the service's metrics page: its counts of answers are compared with those received
    #[arg(long, value_name = "HOST:PORT")]
    pub metrics: Option<String>,
    /// Process id of the server on this machine: its processor time and memory are reported
    #[arg(long, value_name = "PID")]
    pub server_pid: Option<u32>,
    /// Do not ask for the service's status: no comparison of counters, no wait for what follows lookups
    #[arg(long)]
    pub no_status: bool,
    /// Longest wait at the end for access history and notifications, in seconds
    #[arg(long, value_name = "SECONDS", default_value_t = 120)]
    pub drain_limit_s: u64,
    /// A name for this run, for reports and comparisons
    #[arg(long, value_name = "TEXT", default_value = "")]
    pub label: String,
}

/// What to send.
#[derive(Args)]
#[command(next_help_heading = "What to send")]
pub struct TrafficArguments {
    /// Kinds with weights: lookup (half hits, half misses), lookup-hit, lookup-miss, lookup-truth, lookup-scheduled (needs
    /// certificates of the role scheduled-care), check-in, worklist, plan-event, empty
    #[arg(long, value_name = "KIND=WEIGHT,...", default_value = "lookup=1")]
    pub mix: String,
    /// Connections that ask and record, spread over the certificates of trusts
    #[arg(long, value_name = "COUNT", default_value_t = 8, value_parser = clap::value_parser!(u32).range(1..=100_000))]
    pub connections: u32,
    /// Connections that send plan events, one stream each, spread over the certificates of authorities
    #[arg(long, value_name = "COUNT", default_value_t = 1, value_parser = clap::value_parser!(u32).range(1..=100_000))]
    pub authority_connections: u32,
    /// Requests open at once on one connection, at most; the service takes 128
    #[arg(long, value_name = "COUNT", default_value_t = 100, value_parser = clap::value_parser!(u32).range(1..=100_000))]
    pub in_flight: u32,
    /// Connections closed and opened anew, per second
    #[arg(long, value_name = "RATE", default_value_t = 0.0, value_parser = not_negative)]
    pub churn_per_s: f64,
    /// Threads that send; more only where one is busy all the time
    #[arg(long, value_name = "COUNT", default_value_t = 1, value_parser = clap::value_parser!(u32).range(1..=64))]
    pub threads: u32,
    /// Share of the hits that ask for a line of the truth file and are compared in full, in percent
    #[arg(long, value_name = "PERCENT", default_value_t = 10.0, value_parser = percent)]
    pub truth_percent: f64,
    /// Share of the answers that are held against what is true, in percent
    #[arg(long, value_name = "PERCENT", default_value_t = 100.0, value_parser = percent)]
    pub verify_percent: f64,
    /// People on one worklist
    #[arg(long, value_name = "COUNT", default_value_t = 40, value_parser = clap::value_parser!(u32).range(1..=200))]
    pub worklist_entries: u32,
    /// A whole plan file is due every so often, in milliseconds; 0 sends one after another; left out, none
    #[arg(long, value_name = "MS")]
    pub file_interval_ms: Option<u64>,
    /// Plan files are snapshots, not files of changes: they name every plan of the authority in --england, then --file-rows of their
    /// own, and the service compares them with all that it holds of the authority. They end nothing
    #[arg(long)]
    pub file_snapshots: bool,
    /// Rows of one plan file
    #[arg(long, value_name = "COUNT", default_value_t = 1_500, value_parser = clap::value_parser!(u32).range(1..=20_000))]
    pub file_rows: u32,
    /// Share of a plan file's rows that tell something new, in percent
    #[arg(long, value_name = "PERCENT", default_value_t = 100.0, value_parser = percent)]
    pub file_changed_percent: f64,
    /// The unary call of the kind empty
    #[arg(long, value_name = "PATH", default_value = "/kith.bench.v1.BenchService/Empty")]
    pub empty_path: String,
    /// Deadline of one request, in milliseconds
    #[arg(long, value_name = "MS", default_value_t = 5_000, value_parser = clap::value_parser!(u64).range(1..=600_000))]
    pub timeout_ms: u64,
    /// Chooses arrivals, kinds and people
    #[arg(long, value_name = "NUMBER", default_value_t = 1)]
    pub seed: u64,
    /// Give the threads that send on a schedule the least real-time priority, by chrt, where that is allowed: beside a busy
    /// server on few cores they would else miss it
    #[arg(long)]
    pub real_time: bool,
}

/// How requests due are spread.
#[derive(Clone, Copy, ValueEnum)]
pub enum ArrivalsArgument {
    /// At equal distances
    Constant,
    /// At random, as independent people arrive
    Poisson,
}

/// When to send it.
#[derive(Args)]
#[command(next_help_heading = "When to send it")]
pub struct ShapeArguments {
    /// Open loop: requests due per second, whatever the service does; latency counts from when a request was due
    #[arg(long, value_name = "RATE", required_unless_present = "closed", conflicts_with = "closed", value_parser = positive)]
    pub rate: Option<f64>,
    /// Closed loop: every connection keeps --in-flight requests open; measures throughput
    #[arg(long)]
    pub closed: bool,
    /// Length and arrivals
    #[command(flatten)]
    pub step: StepArguments,
}

/// How long, and how requests are spread.
#[derive(Args)]
#[command(next_help_heading = "When to send it")]
pub struct StepArguments {
    /// How requests due are spread
    #[arg(long, value_enum, default_value = "poisson")]
    pub arrivals: ArrivalsArgument,
    /// Length of the warm-up, which is not measured, in seconds
    #[arg(long, value_name = "SECONDS", default_value_t = 2.0, value_parser = not_negative)]
    pub warm_up_s: f64,
    /// Length of the measured part, in seconds
    #[arg(long, value_name = "SECONDS", default_value_t = 10.0, value_parser = positive)]
    pub duration_s: f64,
    /// When the generator itself is late
    #[command(flatten)]
    pub late: LateArguments,
}

/// When the steady clients of a storm send.
#[derive(Args)]
#[command(next_help_heading = "When to send it")]
pub struct SteadyArguments {
    /// Requests due per second
    #[arg(long, value_name = "RATE", default_value_t = 500.0, value_parser = positive)]
    pub rate: f64,
    /// How requests due are spread
    #[arg(long, value_enum, default_value = "poisson")]
    pub arrivals: ArrivalsArgument,
    /// Length of the warm-up, which is not measured, in seconds
    #[arg(long, value_name = "SECONDS", default_value_t = 2.0, value_parser = not_negative)]
    pub warm_up_s: f64,
    /// When the generator itself is late
    #[command(flatten)]
    pub late: LateArguments,
}

/// When the generator itself is late.
#[derive(Args)]
#[command(next_help_heading = "When to send it")]
pub struct LateArguments {
    /// Taken up later than this after it was due, a request is late, in microseconds
    #[arg(long, value_name = "US", default_value_t = 1_000)]
    pub late_bound_us: u64,
    /// A greater share of late requests makes the run VOID, in percent
    #[arg(long, value_name = "PERCENT", default_value_t = 1.0, value_parser = percent)]
    pub late_percent: f64,
}

impl ArrivalsArgument {
    /// As the plan has it.
    #[must_use]
    pub fn arrivals(self) -> plan::Arrivals {
        match self {
            Self::Constant => plan::Arrivals::Constant,
            Self::Poisson => plan::Arrivals::Poisson,
        }
    }
}

impl ShapeArguments {
    /// As the plan has it.
    #[must_use]
    pub fn shape(&self) -> Shape {
        let arrivals = self.step.arrivals.arrivals();
        self.rate.map_or(Shape::Closed, |rate_per_second| Shape::Open { rate_per_second, arrivals })
    }
}

/// What to write.
#[derive(Args)]
#[command(next_help_heading = "What to write")]
pub struct ReportArguments {
    /// The outcome as JSON; the library's documentation describes it
    #[arg(long, value_name = "FILE")]
    pub json: Option<PathBuf>,
    /// A report to look at: one file, no network
    #[arg(long, value_name = "FILE")]
    pub html: Option<PathBuf>,
    /// Latencies of all answers in HdrHistogram's percentile format, in milliseconds
    #[arg(long, value_name = "FILE")]
    pub hgrm: Option<PathBuf>,
    /// Print no table
    #[arg(long)]
    pub quiet: bool,
}

fn number(text: &str) -> Result<f64, String> {
    text.parse::<f64>()
        .ok()
        .filter(|number| number.is_finite())
        .ok_or_else(|| format!("expected a number, found {text}"))
}

fn positive(text: &str) -> Result<f64, String> {
    number(text).and_then(|number| if number > 0.0 { Ok(number) } else { Err("expected more than 0".to_owned()) })
}

fn not_negative(text: &str) -> Result<f64, String> {
    number(text).and_then(|number| if number >= 0.0 { Ok(number) } else { Err("expected 0 or more".to_owned()) })
}

fn above_one(text: &str) -> Result<f64, String> {
    number(text).and_then(|number| if number > 1.0 { Ok(number) } else { Err("expected more than 1".to_owned()) })
}

fn percent(text: &str) -> Result<f64, String> {
    let inside = |number: f64| (0.0..=100.0).contains(&number);
    number(text).and_then(|number| if inside(number) { Ok(number) } else { Err("expected 0 to 100".to_owned()) })
}

impl TargetArguments {
    /// As the library takes it.
    #[must_use]
    pub fn target(self, empty_path: String) -> Target {
        let Self { server, certs, england, metrics, server_pid, no_status, drain_limit_s, label } = self;
        let drain_limit = Duration::from_secs(drain_limit_s);
        Target { server, certs, england, metrics, server_pid, empty_path, no_status, drain_limit, label }
    }
}

impl TrafficArguments {
    /// The plan of this traffic in a shape: so long a warm-up and a measured part, in seconds.
    ///
    /// # Errors
    /// The mix is not understood.
    pub fn plan(
        &self,
        shape: Shape,
        (warm_up_s, duration_s): (f64, f64),
        late: &LateArguments,
    ) -> Result<Plan, String> {
        let mix = Mix::parse(&self.mix).map_err(|error| format!("failed to understand the mix: {}", error.0))?;
        if !self.empty_path.starts_with('/') {
            return Err("expected --empty-path as /package.Service/Method".to_owned());
        }
        Ok(Plan {
            shape,
            mix,
            connections: self.connections,
            authority_connections: self.authority_connections,
            in_flight: self.in_flight,
            churn_per_second: self.churn_per_s,
            threads: self.threads,
            warm_up_seconds: warm_up_s,
            seconds: duration_s,
            timeout_ms: self.timeout_ms,
            seed: self.seed,
            truth_percent: self.truth_percent,
            verify_percent: self.verify_percent,
            worklist_entries: self.worklist_entries,
            file_interval_ms: self.file_interval_ms,
            file_snapshots: self.file_snapshots,
            file_rows: self.file_rows,
            file_changed_percent: self.file_changed_percent,
            late_bound_us: late.late_bound_us,
            late_percent: late.late_percent,
            real_time: self.real_time,
        })
    }
}
