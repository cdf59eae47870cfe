//! Why a connection was closed although its peer might have gone on, and how often. The counts say neither whose it was nor
//! what was asked on it; the log names the organisation whose client is at fault, in few lines.

use std::net::SocketAddr;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Instant;

use crate::quota::Quota;

/// Lines logged in one second; further ones are counted and told with the next. A flood must not fill the log.
const LOGGED_PER_SECOND: u32 = 5;

/// Why a connection was closed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum Shed {
    /// As many connections are open as may be.
    All,
    /// Its address has as many unfinished handshakes as it may.
    Address,
    /// Its organisation has as many open as it may.
    Organisation,
    /// The handshake, or its first message, took too long.
    Handshake,
    /// No call began after the handshake.
    FirstRequest,
    /// No call was open for too long.
    Idle,
    /// The peer took nothing of a reply.
    WriteStall,
    /// More pings than its calls need.
    Pings,
    /// More changes of settings than anybody needs.
    Settings,
    /// More of other frames that carry nothing than its calls need.
    ControlFrames,
}

impl Shed {
    /// Every reason, in the order of the page.
    pub(crate) const ALL: [Shed; 10] = [
        Shed::All,
        Shed::Address,
        Shed::Organisation,
        Shed::Handshake,
        Shed::FirstRequest,
        Shed::Idle,
        Shed::WriteStall,
        Shed::Pings,
        Shed::Settings,
        Shed::ControlFrames,
    ];

    /// Its name on the metrics page.
    pub(crate) fn word(self) -> &'static str {
        match self {
            Shed::All => "all",
            Shed::Address => "address",
            Shed::Organisation => "organisation",
            Shed::Handshake => "handshake",
            Shed::FirstRequest => "first_request",
            Shed::Idle => "idle",
            Shed::WriteStall => "write_stall",
            Shed::Pings => "pings",
            Shed::Settings => "settings",
            Shed::ControlFrames => "control_frames",
        }
    }

    /// Whether nobody does it who means well and is well.
    pub(crate) fn is_hostile(self) -> bool {
        match self {
            Shed::Organisation | Shed::WriteStall | Shed::Pings | Shed::Settings | Shed::ControlFrames => true,
            Shed::All | Shed::Address | Shed::Handshake | Shed::FirstRequest | Shed::Idle => false,
        }
    }
}

/// How often each happened since the start.
#[derive(Debug, Default)]
pub(crate) struct ShedCounts([AtomicU64; Shed::ALL.len()]);

impl ShedCounts {
    pub(crate) fn count(&self, why: Shed) {
        if let Some(count) = self.of(why) {
            count.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// How often this happened.
    pub(crate) fn counted(&self, why: Shed) -> u64 {
        self.of(why).map_or(0, |count| count.load(Ordering::Relaxed))
    }

    fn of(&self, why: Shed) -> Option<&AtomicU64> {
        let at = Shed::ALL.iter().position(|one| *one == why)?;
        self.0.get(at)
    }
}

/// Counts, and tells the log.
#[derive(Debug)]
pub(crate) struct ShedReport {
    counts: ShedCounts,
    logged: Quota,
}

impl Default for ShedReport {
    fn default() -> Self {
        Self { counts: ShedCounts::default(), logged: Quota::new(LOGGED_PER_SECOND) }
    }
}

impl ShedReport {
    pub(crate) fn counts(&self) -> &ShedCounts {
        &self.counts
    }

    /// A connection of this organisation is closed.
    pub(crate) fn shed(&self, why: Shed, organisation: &str, address: SocketAddr) {
        self.counts.count(why);
        if !why.is_hostile() {
            tracing::debug!(%address, why = why.word(), "closed a connection");
        } else if let Some(unlogged) = self.logged.take(Instant::now()) {
            tracing::warn!(organisation, %address, unlogged, why = why.word(), "closed a connection: beyond its limits");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_reason_has_a_count_and_a_word_of_its_own() {
        let counts = ShedCounts::default();
        for (times, why) in (1..).zip(Shed::ALL) {
            (0..times).for_each(|_| counts.count(why));
        }
        for (times, why) in (1..).zip(Shed::ALL) {
            assert_eq!(counts.counted(why), times, "{}", why.word());
        }
        let words: std::collections::BTreeSet<_> = Shed::ALL.iter().map(|why| why.word()).collect();
        assert_eq!(words.len(), Shed::ALL.len());
    }
}
