//! What a run is to do. It is written into every outcome, so that two can be told apart; it holds no address and no path.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

/// What a run is to do.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Plan {
    /// When requests are sent.
    pub shape: Shape,
    /// Weights of the kinds of traffic.
    pub mix: BTreeMap<String, f64>,
    /// Connections that ask and record.
    pub connections: u32,
    /// Connections that send plan events, one stream each.
    pub authority_connections: u32,
    /// Requests open at once on one connection, at most.
    pub in_flight: u32,
    /// Connections closed and opened anew, per second.
    pub churn_per_second: f64,
    /// Threads that send.
    pub threads: u32,
    /// Length of the warm-up, which is not measured, in seconds.
    pub warm_up_seconds: f64,
    /// Length of the measured part, in seconds.
    pub seconds: f64,
    /// Deadline of one request, in milliseconds.
    pub timeout_ms: u64,
    /// Chooses arrivals, kinds and people.
    pub seed: u64,
    /// Share of the hits that ask for a line of the truth file, in percent.
    pub truth_percent: f64,
    /// Share of the answers that are held against what is true, in percent.
    pub verify_percent: f64,
    /// People in one worklist.
    pub worklist_entries: u32,
    /// A plan file is due every so often, in milliseconds; 0 is one after another; absent is none.
    pub file_interval_ms: Option<u64>,
    /// Plan files are snapshots that name the England's plans of the authority too.
    #[serde(default)]
    pub file_snapshots: bool,
    /// Rows of one plan file, those of the England apart.
    pub file_rows: u32,
    /// Share of a plan file's rows that tell something new, in percent.
    pub file_changed_percent: f64,
    /// Sent later than this is late, in microseconds.
    pub late_bound_us: u64,
    /// More late requests than this make the run void, in percent.
    pub late_percent: f64,
    /// Threads that send on a schedule have a real-time priority, where that is allowed.
    #[serde(default)]
    pub real_time: bool,
}

/// When requests are sent.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Shape {
    /// At moments fixed beforehand, whatever the service does.
    Open {
        /// Requests due, per second.
        rate_per_second: f64,
        /// How they are spread.
        arrivals: Arrivals,
    },
    /// Each connection keeps `in_flight` requests open: the next leaves when one is answered.
    Closed,
}

/// How moments are spread.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Arrivals {
    /// At equal distances.
    Constant,
    /// At random, as independent people arrive.
    Poisson,
}

impl Shape {
    /// In a few words.
    #[must_use]
    pub fn words(&self) -> String {
        match self {
            Self::Open { rate_per_second, arrivals } => {
                let arrivals = match arrivals {
                    Arrivals::Constant => "constant",
                    Arrivals::Poisson => "Poisson",
                };
                format!("open loop, {rate_per_second:.0} requests due per second, {arrivals} arrivals")
            }
            Self::Closed => "closed loop: the next request leaves when one is answered".to_owned(),
        }
    }
}
