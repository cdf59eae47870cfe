//! The witness of an audit: it fetches the signed heads, demands the proof that each follows from the one before, remembers
//! before it answers, cosigns, and cries when history changes. It runs on another machine, under somebody else, and knows
//! nothing of what the audit holds.

mod memory;
mod unproven;
mod watch;

pub use memory::{Memory, MemoryError};
pub use unproven::{Silence, Unproven};
pub use watch::{Alarm, Log, Outcome, Round, WatchError};
