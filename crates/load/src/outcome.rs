//! What a run found, as it is written to JSON: the shape that reports, comparisons and the benchmarks read. Fields are only
//! ever added. It holds figures alone: never a number, a name or an answer of anybody.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::machine::Machine;
use crate::plan::Plan;

/// Name and version of the format, the first field of every file.
pub const FORMAT: &str = "kith-load 1";

/// Everything one command found.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Outcome {
    /// [`FORMAT`].
    pub format: String,
    /// Version of the program.
    pub version: String,
    /// `run`, `knee` or `storm`.
    pub command: String,
    /// The caller's own name for it, for reports and comparisons.
    pub label: String,
    /// When it began, RFC 3339, UTC.
    pub started_at: String,
    /// What was asked for.
    pub plan: Plan,
    /// Where the generator ran.
    pub machine: Machine,
    /// True when the generator missed its own schedule: no figure here may be used.
    pub void: bool,
    /// Why.
    pub void_reasons: Vec<String>,
    /// What went wrong beside that: wrong answers, counters that differ, a drain that did not end.
    pub failures: Vec<String>,
    /// Length of the measured part, in seconds.
    pub measured_seconds: f64,
    /// When the measured part began, in milliseconds since 1970: for setting runs beside each other.
    #[serde(default)]
    pub measured_from_unix_ms: u64,
    /// All kinds together.
    pub total: Figures,
    /// Hits, misses, truth questions and scheduled reads together; absent when there were none.
    pub lookups: Option<Figures>,
    /// Each kind of traffic by its name.
    pub kinds: BTreeMap<String, Figures>,
    /// How far behind its schedule the generator sent; all zero in a closed loop, which has no schedule.
    pub lateness: Lateness,
    /// What the generator itself cost.
    pub generator: Generator,
    /// Answers held against what is true.
    pub verification: Verification,
    /// Handshakes of the run: of connections at its beginning, churn and storms.
    pub handshakes: Handshakes,
    /// The server's own counters beside the generator's; absent when they were not asked for.
    pub counters: Option<Counters>,
    /// The wait for access history and notifications; absent when there was none.
    pub drain: Option<Drain>,
    /// Every slot of the measured part, in order.
    pub over_time: Vec<Slot>,
    /// Of `knee`: every step.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub knee: Option<Knee>,
    /// Of `storm`: every storm.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub storm: Option<Storm>,
}

/// Figures of one kind of traffic, of the measured part.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct Figures {
    /// Requests that were due; in a closed loop, that were sent.
    pub offered: u64,
    /// Requests sent.
    pub sent: u64,
    /// Requests answered well.
    pub ok: u64,
    /// Requests that failed, unanswered ones included.
    pub failed: u64,
    /// Requests without any answer when the run had waited long enough, or whose connection broke.
    pub unanswered: u64,
    /// Failures by gRPC code, and the generator's own: `NO_ANSWER`, `CONNECTION_LOST`, `STREAM_RESET`, `NOT_TAKEN` (the server
    /// was leaving), `NO_STATUS`, `NOT_RECORDED` (a check-in), `REFUSED` (a plan event), `CPF03` and the like (a plan file), and
    /// `NOT_SENT` (no connection had a place until the deadline had passed), `TOO_LATE` (answered after the deadline, counted
    /// from when it was due).
    pub errors: BTreeMap<String, u64>,
    /// Answers that differ from what is true. Never forgiven.
    pub wrong: u64,
    /// Requests due, per second.
    pub offered_per_second: f64,
    /// Requests answered well, per second.
    pub ok_per_second: f64,
    /// Items in them (people of worklists, rows of files), per second; for other kinds the same as `ok_per_second`.
    pub items_per_second: f64,
    /// Share of the requests offered that were answered well within a millisecond of when they were due, 0 to 1.
    pub within_1ms_share: f64,
    /// From when a request was due (closed loop: sent) to its whole answer.
    pub latency_ns: Latency,
    /// Bytes of answers, without HTTP/2 and TLS; of answers that came well.
    pub reply_bytes: u64,
    /// Smallest answer, in bytes.
    pub reply_bytes_min: u64,
    /// Largest answer, in bytes.
    pub reply_bytes_max: u64,
    /// Of every other answer, and of those between: what differs between the two is noise.
    #[serde(default)]
    pub halves_ns: [Latency; 2],
    /// Answers by length in bytes, the first 64 lengths seen: whether a length tells what is held.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub reply_lengths: BTreeMap<u64, u64>,
}

/// Percentiles in nanoseconds.
#[derive(Clone, Debug, Default, Serialize, Deserialize, PartialEq)]
pub struct Latency {
    /// How many were measured.
    pub count: u64,
    /// Smallest.
    pub min: u64,
    /// Mean.
    pub mean: f64,
    /// Standard deviation.
    #[serde(default)]
    pub deviation: f64,
    /// Median.
    pub p50: u64,
    /// 90th percentile.
    pub p90: u64,
    /// 99th percentile.
    pub p99: u64,
    /// 99.9th percentile.
    pub p99_9: u64,
    /// 99.99th percentile.
    pub p99_99: u64,
    /// Largest.
    pub max: u64,
    /// The whole curve: share of answers at or below (0 to 1), nanoseconds. Empty where only the figures above are kept.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub curve: Vec<(f64, u64)>,
}

/// How far behind its schedule the generator sent.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct Lateness {
    /// From when a request was due to when the generator took it up.
    pub behind_ns: Latency,
    /// Later than this is late, in microseconds.
    pub bound_us: u64,
    /// Share that was late, 0 to 1.
    pub late_share: f64,
    /// A greater share makes the run void.
    pub late_share_bound: f64,
    /// Requests that then waited because every connection had as many open as it may: the server's time, counted in
    /// the latencies, and no lateness of the generator.
    pub waited_for_a_place: u64,
}

/// What the generator itself cost.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct Generator {
    /// Threads that sent.
    pub threads: u32,
    /// Of those, how many have a real-time priority.
    #[serde(default)]
    pub real_time_threads: u32,
    /// Processor time of the whole generator over the measured part, in seconds.
    pub cpu_seconds: f64,
    /// The same for each request sent, in nanoseconds.
    pub cpu_ns_per_request: f64,
    /// The same as a share of the whole machine, 0 to 1.
    pub machine_share: f64,
    /// Processor time of the server, when its process id was given, in seconds.
    pub server_cpu_seconds: Option<f64>,
    /// The same for each answer that came well, in nanoseconds.
    pub server_cpu_ns_per_answer: Option<f64>,
    /// Resident memory of the server at the end, in bytes, when its process id was given.
    pub server_resident_bytes: Option<u64>,
}

/// Answers held against what is true, warm-up included.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct Verification {
    /// Answers looked at.
    pub checked: u64,
    /// Of those, against the whole of a line of the truth file.
    pub checked_in_full: u64,
    /// Answers that differ from what is true.
    pub wrong: u64,
    /// "Cannot say", with a reason, where nothing is held: right while feeds are stale.
    pub cannot_say: u64,
    /// The first differences, without any identity.
    pub differences: Vec<String>,
}

impl Verification {
    /// Counts another part of the same run, or another run of the same search, with this one.
    pub(crate) fn join(&mut self, other: &Self) {
        self.checked += other.checked;
        self.checked_in_full += other.checked_in_full;
        self.wrong += other.wrong;
        self.cannot_say += other.cannot_say;
        self.differences.extend_from_slice(&other.differences);
    }
}

/// Handshakes.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct Handshakes {
    /// Connections opened.
    pub opened: u64,
    /// Connections that could not be opened, by reason.
    pub failed: BTreeMap<String, u64>,
    /// Connections that the server ended in order (GOAWAY), and that were opened anew.
    pub told_to_leave: u64,
    /// Connections that broke.
    pub lost: u64,
    /// TCP and TLS together.
    pub took_ns: Latency,
}

/// The server's own counters beside the generator's, over the whole run.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct Counters {
    /// Where the server's were read: `metrics` (answers counted) or `audit` (entries given out).
    pub source: String,
    /// How many the server counted over the run.
    pub server: u64,
    /// How many the generator received.
    pub generator: u64,
    /// Answers that the server may have given and the generator not have received: failed and unanswered requests.
    pub in_doubt: u64,
    /// Whether they agree, up to those in doubt.
    pub agree: bool,
}

/// The wait for access history and notifications.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct Drain {
    /// Audit entries given out whose consequences were not in the log when the load ended.
    pub entries_behind: u64,
    /// How long it took until there were none, in seconds.
    pub seconds: f64,
    /// Whether there were none in the end.
    pub complete: bool,
}

/// One slot of time.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct Slot {
    /// Its beginning, in seconds from the beginning of the measured part.
    pub at_seconds: f64,
    /// Its length in seconds.
    pub seconds: f64,
    /// Requests due in it.
    pub offered: u64,
    /// Answers that came well in it.
    pub ok: u64,
    /// Requests that failed in it.
    pub failed: u64,
    /// Median of the answers that came in it.
    pub p50_ns: u64,
    /// 99th percentile.
    pub p99_ns: u64,
    /// Largest.
    pub max_ns: u64,
}

/// The search for the rate that the service can still carry.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct Knee {
    /// A step is carried while its 99th percentile is at most this, in microseconds.
    pub p99_bound_us: u64,
    /// And while at least this share of what was offered is answered well, 0 to 1.
    pub goodput_bound: f64,
    /// The highest rate carried, per second; 0 when none was.
    pub carried_per_second: f64,
    /// The lowest rate not carried, per second; absent when every step was carried.
    pub not_carried_per_second: Option<f64>,
    /// Every step, in the order taken.
    pub steps: Vec<KneeStep>,
}

/// One step of the search.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct KneeStep {
    /// Requests due, per second.
    pub rate_per_second: f64,
    /// Answered well, per second.
    pub ok_per_second: f64,
    /// Latencies.
    pub latency_ns: Latency,
    /// Share answered well within a millisecond.
    pub within_1ms_share: f64,
    /// Requests that failed.
    pub failed: u64,
    /// Processor time of the server as cores, when its process id was given.
    pub server_cores: Option<f64>,
    /// The generator missed its schedule: nothing can be said.
    pub void: bool,
    /// Whether the service carried it.
    pub carried: bool,
    /// Why not.
    pub why_not: String,
}

/// Reconnect storms.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct Storm {
    /// Clients that were dropped and came back at once.
    pub clients: u64,
    /// Each storm in order.
    pub storms: Vec<OneStorm>,
    /// Steady clients, while no storm was on.
    pub steady_quiet: Figures,
    /// Steady clients, from the beginning of each storm until its last client was back.
    pub steady_stormy: Figures,
}

/// One storm.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct OneStorm {
    /// Its beginning, in seconds from the beginning of the measured part.
    pub at_seconds: f64,
    /// Until the last client had its first answer, in seconds.
    pub until_all_back_seconds: f64,
    /// Clients that came back.
    pub back: u64,
    /// Clients that did not, by reason.
    pub errors: BTreeMap<String, u64>,
    /// From the drop to the end of a client's handshake.
    pub handshake_ns: Latency,
    /// From the drop to a client's first answer.
    pub first_answer_ns: Latency,
}
