//! `kith-load`: the load generator. It sends what hospitals and authorities send, measures from the moment a request was
//! due, holds the answers against what is true, and says when it could not keep its own schedule.
//!
//! It never opens the data directory, never asks about an issued NHS number, and writes no identity into a report.
//!
//! # The JSON of a run
//!
//! `kith-load run --json FILE` writes one [`Outcome`]; every field is described there. The shape is kept: fields are only
//! added. In short:
//!
//! ```json
//! {
//!   "format": "kith-load 1", "version": "0.1.0", "command": "run", "label": "lookups",
//!   "started_at": "2026-04-01T09:00:00Z",
//!   "plan": { "shape": { "open": { "rate_per_second": 2000.0, "arrivals": "poisson" } }, "connections": 8, ... },
//!   "machine": { "cpu": "...", "cores": 2, "memory_bytes": 8000000000, "kernel": "...", "disks": {}, ... },
//!   "void": false, "void_reasons": [], "failures": [],
//!   "measured_seconds": 30.0,
//!   "total": {
//!     "offered": 60000, "sent": 60000, "ok": 60000, "failed": 0, "unanswered": 0,
//!     "errors": { "UNAVAILABLE": 3 }, "wrong": 0,
//!     "offered_per_second": 2000.0, "ok_per_second": 2000.0, "items_per_second": 2000.0, "within_1ms_share": 0.998,
//!     "latency_ns": { "count": 60000, "min": 1, "mean": 1.0, "p50": 1, "p90": 1, "p99": 1, "p99_9": 1, "p99_99": 1,
//!                     "max": 1, "curve": [[0.5, 210000], [0.9, 340000]] },
//!     "reply_bytes": 61440000, "reply_bytes_min": 1024, "reply_bytes_max": 2048
//!   },
//!   "lookups": { ... as total, of all single questions ... },
//!   "kinds": { "lookup-hit": { ... }, "lookup-miss": { ... }, "check-in": { ... }, "empty": { ... } },
//!   "lateness": { "behind_ns": { ... }, "bound_us": 1000, "late_share": 0.0, "late_share_bound": 0.01,
//!                 "waited_for_a_place": 0 },
//!   "generator": { "threads": 1, "cpu_seconds": 2.1, "cpu_ns_per_request": 35000.0, "machine_share": 0.03, ... },
//!   "verification": { "checked": 60000, "checked_in_full": 3000, "wrong": 0, "cannot_say": 0, "differences": [] },
//!   "handshakes": { "opened": 8, "failed": {}, "told_to_leave": 0, "lost": 0, "took_ns": { ... } },
//!   "counters": { "source": "audit", "server": 60000, "generator": 60000, "in_doubt": 0, "agree": true },
//!   "drain": { "entries_behind": 12, "seconds": 0.02, "complete": true },
//!   "over_time": [ { "at_seconds": 0.0, "seconds": 1.0, "offered": 2000, "ok": 2000, "failed": 0,
//!                    "p50_ns": 1, "p99_ns": 1, "max_ns": 1 } ],
//!   "knee": { ... of `knee` alone ... }, "storm": { ... of `storm` alone ... }
//! }
//! ```
//!
//! A program that measures runs `kith-load run ... --quiet --json FILE`, looks at the exit code and reads the file; with
//! [`Outcome`] or without, the figures are where the above says.
//!
//! `counters` and `drain` are `null` where nobody asked for them or the server has none (`--no-status`); `lookups` is
//! `null` when there were no lookups.
//!
//! # Exit codes
//!
//! | code | meaning |
//! |---|---|
//! | 0 | done; nothing below |
//! | 1 | could not run: no connection, no certificate, no file |
//! | 2 | wrong usage |
//! | 3 | VOID: the generator missed its own schedule |
//! | 4 | an answer differs from what is true (this outranks the others) |
//! | 5 | the server's counters differ from the generator's, or what follows lookups did not drain in time |

pub mod args;
pub mod callers;
pub mod clock;
pub mod command;
pub mod control;
pub mod cpu;
pub mod dice;
pub mod england;
pub mod files;
pub mod hostile;
pub mod kind;
pub mod knee;
pub mod link;
pub mod machine;
pub mod opener;
pub mod outcome;
pub mod plan;
pub mod priority;
pub mod progress;
pub mod report;
pub mod requests;
pub mod run;
pub mod schedule;
pub mod setup;
pub mod storm;
pub mod tally;
pub mod truth;
pub mod verify;
pub mod wire;
pub mod worker;

pub use outcome::Outcome;
pub use plan::Plan;
