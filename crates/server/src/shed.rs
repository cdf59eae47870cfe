//! Why a connection was closed although its peer might have gone on, and how often; and how many calls were read late. The counts say
//! neither whose they were nor what was asked; the log names the organisation whose client is at fault, in few lines, and the audit
//! counts what was refused. Never tells of a connection that its peer closed.

use std::net::SocketAddr;
use std::sync::atomic::{AtomicU64, Ordering};

use kith_engine::{Monotonic, Quota, SystemMonotonic};

use crate::edge::Edge;
use crate::identity::PeerIdentity;
use crate::services::now;

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

    /// The reason in the audit, of what nobody does who means well and is well. What concerns no organisation that is known, and
    /// a connection on which nothing is asked any more, is no refusal of anybody.
    pub(crate) fn reason(self) -> Option<&'static str> {
        match self {
            Shed::Organisation => Some("TOO_MANY_CONNECTIONS"),
            Shed::WriteStall => Some("REPLY_NOT_TAKEN"),
            Shed::Pings => Some("TOO_MANY_PINGS"),
            Shed::Settings => Some("TOO_MANY_SETTINGS"),
            Shed::ControlFrames => Some("TOO_MANY_CONTROL_FRAMES"),
            Shed::All | Shed::Address | Shed::Handshake | Shed::FirstRequest | Shed::Idle => None,
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

/// Counts, and tells the log and the audit.
#[derive(Debug)]
pub(crate) struct ShedReport {
    counts: ShedCounts,
    /// Calls that were read late.
    late: AtomicU64,
    clock: SystemMonotonic,
    logged: Quota,
    edge: Edge,
}

impl ShedReport {
    pub(crate) fn new(edge: Edge) -> Self {
        let (clock, logged) = (SystemMonotonic::default(), Quota::new(LOGGED_PER_SECOND));
        Self { counts: ShedCounts::default(), late: AtomicU64::new(0), clock, logged, edge }
    }

    /// The transport has refused something of this peer by itself.
    pub(crate) fn refused(&self, reason: &'static str, peer: &PeerIdentity) {
        self.edge.refused(peer, None, reason, now());
    }

    pub(crate) fn counts(&self) -> &ShedCounts {
        &self.counts
    }

    /// How many calls were read late.
    pub(crate) fn late(&self) -> u64 {
        self.late.load(Ordering::Relaxed)
    }

    /// So many calls of this peer are read late, for its organisation is faster than its pace. Nothing is refused, so the audit has
    /// nothing to tell.
    pub(crate) fn read_late(
        &self,
        calls: usize,
        (peer, address): (&PeerIdentity, SocketAddr),
        is_to_be_named: impl FnOnce() -> bool,
    ) {
        self.late.fetch_add(u64::try_from(calls).unwrap_or(u64::MAX), Ordering::Relaxed);
        if is_to_be_named() {
            let organisation = peer.organisation.as_str();
            tracing::warn!(organisation, %address, "read calls late: they come faster than limits.calls_per_second_per_organisation");
        }
    }

    /// A connection of this peer is closed.
    pub(crate) fn shed(&self, why: Shed, peer: &PeerIdentity, address: SocketAddr) {
        self.counts.count(why);
        let Some(reason) = why.reason() else {
            tracing::debug!(%address, why = why.word(), "closed a connection");
            return;
        };
        self.edge.refused(peer, None, reason, now());
        if let Some(unlogged) = self.logged.take(self.clock.now()) {
            let organisation = peer.organisation.as_str();
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
        let reasons: std::collections::BTreeSet<_> = Shed::ALL.iter().filter_map(|why| why.reason()).collect();
        assert_eq!(reasons.len(), 5);
        let words: std::collections::BTreeSet<_> = Shed::ALL.iter().map(|why| why.word()).collect();
        assert_eq!(words.len(), Shed::ALL.len());
    }

    #[test]
    fn what_a_peer_is_at_fault_for_is_counted_for_the_audit() {
        use kith_domain::caller::Role;
        let edge = Edge::default();
        let report = ShedReport::new(edge.clone());
        let peer = PeerIdentity { organisation: String::from("R1H"), role: Role::Ed };
        for why in Shed::ALL {
            report.shed(why, &peer, SocketAddr::from(([127, 0, 0, 1], 1)));
        }
        report.shed(Shed::Pings, &peer, SocketAddr::from(([127, 0, 0, 1], 2)));
        let expected = [
            ("TOO_MANY_CONNECTIONS", 1),
            ("REPLY_NOT_TAKEN", 1),
            ("TOO_MANY_PINGS", 2),
            ("TOO_MANY_SETTINGS", 1),
            ("TOO_MANY_CONTROL_FRAMES", 1),
        ];
        assert_eq!(edge.told(), expected.map(|(reason, count)| (None, reason, count)));
    }
}
