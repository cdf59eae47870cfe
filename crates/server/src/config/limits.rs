//! The section of the configuration that bounds what clients can ask for, in all, of one organisation and on one
//! connection; and the ranges of its keys.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::Config;
use super::check::{Check, DAY_S, HOUR_MS};

/// Largest flow-control window that HTTP/2 knows.
const WINDOW_MAX_BYTES: u32 = (1 << 31) - 1;

/// A bound on everything a client can ask for.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Limits {
    /// Largest request message.
    pub max_message_bytes: usize,
    /// Largest set of request headers.
    pub max_header_bytes: u32,
    /// Request headers at most.
    pub max_metadata_entries: usize,
    /// Longest encoded person in the headers of a call whose message names nobody.
    pub max_person_bytes: usize,
    /// Calls open at once on one connection.
    pub max_concurrent_streams: u32,
    /// Longest TLS handshake.
    pub handshake_timeout_ms: u64,
    /// Longest wait for the first message of a handshake.
    pub hello_timeout_ms: u64,
    /// TLS handshakes in progress at once.
    pub concurrent_handshakes: usize,
    /// Longest time from the handshake to the first call.
    pub first_request_timeout_s: u64,
    /// Longest time without an open call.
    pub idle_timeout_s: u64,
    /// Age at which a connection is told to finish.
    pub connection_age_s: u64,
    /// Longest time in which a peer takes nothing of a reply.
    pub write_stall_timeout_s: u64,
    /// How often a peer is asked whether it is still there.
    pub keepalive_interval_s: u64,
    /// How long it may take to answer that.
    pub keepalive_timeout_s: u64,
    /// Open connections.
    pub max_connections: usize,
    /// Of these, of one organisation.
    pub max_connections_per_organisation: usize,
    /// Calls of one organisation that are taken in a second; the others wait in the network.
    pub calls_per_second_per_organisation: u32,
    /// Deadline of a unary call whose client set none.
    pub request_timeout_ms: u64,
    /// Longest time that a check-in waits for its recording before it is answered without.
    pub record_timeout_ms: u64,
    /// Latest deadline of a unary call and of a worklist, whatever its client set: until then a call that is never sent whole, or
    /// never ends, holds its places.
    pub max_timeout_ms: u64,
    /// Calls in progress at once over all connections, and beside them as many changes whose call may have ended. What is
    /// beyond is refused at once, so that what is taken is answered before whoever asked has given up. On a quarter of a core
    /// 4,096, offered eight times what it carries, answered nobody in time; 1,024, offered five times, answered twice what it
    /// carries.
    pub max_in_flight: usize,
    /// One organisation's part of the calls in progress, the streams' part of them, and one address's part of handshakes.
    pub share_percent: u32,
    /// Children in one worklist.
    pub max_worklist: usize,
    /// Events in one stream.
    pub max_stream_events: u64,
    /// Longest time in which nothing arrives on a stream of events or of an import; a heartbeat is something.
    pub stream_idle_timeout_s: u64,
    /// Largest plan file.
    pub max_file_bytes: usize,
    /// Longest wait for the next piece of a plan file.
    pub file_piece_timeout_s: u64,
    /// Flow-control window of a stream: several of the largest usual messages.
    pub stream_window_bytes: u32,
    /// Flow-control window of a connection.
    pub connection_window_bytes: u32,
    /// Streams a peer may open and reset at once before the connection is closed (rapid reset).
    pub max_reset_streams: usize,
    /// Pings in ten seconds, without calls.
    pub pings_per_10s: u32,
    /// Changes of settings in ten seconds.
    pub settings_per_10s: u32,
    /// Resets of calls in ten seconds, however few at a time. In an outage an honest client gives up all the calls that a
    /// connection carries each time their deadline passes: nine times a second is within it.
    pub resets_per_10s: u32,
    /// Other frames that carry nothing in ten seconds, without calls.
    pub control_frames_per_10s: u32,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            max_message_bytes: 256 << 10,
            max_header_bytes: 16 << 10,
            max_metadata_entries: 64,
            max_person_bytes: 4_096,
            max_concurrent_streams: 128,
            handshake_timeout_ms: 5_000,
            hello_timeout_ms: 1_000,
            concurrent_handshakes: 64,
            first_request_timeout_s: 60,
            idle_timeout_s: 900,
            connection_age_s: 3_600,
            write_stall_timeout_s: 20,
            keepalive_interval_s: 30,
            keepalive_timeout_s: 10,
            max_connections: 4_096,
            max_connections_per_organisation: 512,
            calls_per_second_per_organisation: 1_000,
            request_timeout_ms: 5_000,
            record_timeout_ms: 1_500,
            max_timeout_ms: 60_000,
            max_in_flight: 1_024,
            share_percent: 25,
            max_worklist: 200,
            max_stream_events: 100_000,
            stream_idle_timeout_s: 900,
            max_file_bytes: 8 << 20,
            file_piece_timeout_s: 30,
            stream_window_bytes: 256 << 10,
            connection_window_bytes: 1 << 20,
            max_reset_streams: 32,
            pings_per_10s: 100,
            settings_per_10s: 20,
            resets_per_10s: 12_000,
            control_frames_per_10s: 200,
        }
    }
}

impl Limits {
    /// The streams' part of `max_in_flight`, and one organisation's part of the other calls.
    pub fn part_in_flight(&self) -> usize {
        self.part_of(self.max_in_flight)
    }

    /// One organisation's part of the streams.
    pub fn part_of_streams(&self) -> usize {
        self.part_of(self.part_in_flight())
    }

    /// The part of something that one who shares it may hold: one place at least.
    pub fn part_of(&self, whole: usize) -> usize {
        let percent = usize::try_from(self.share_percent).unwrap_or(100);
        (whole.saturating_mul(percent) / 100).max(1)
    }

    /// Calls of one organisation that may come at once, faster than its pace: as many as it may have in progress, as a worklist has
    /// entries, or as come in a tenth of a second.
    pub fn calls_at_once(&self) -> u64 {
        let most = u64::try_from(self.part_in_flight().max(self.max_worklist)).unwrap_or(u64::MAX);
        most.max(u64::from(self.calls_per_second_per_organisation) / 10)
    }

    /// Longest time in which a peer takes nothing.
    pub fn write_stall(&self) -> Duration {
        Duration::from_secs(self.write_stall_timeout_s)
    }

    /// A check-in whose disk has not confirmed its recording in this time is answered without, and says so.
    pub fn record_timeout(&self) -> Duration {
        Duration::from_millis(self.record_timeout_ms)
    }

    /// A stream on which nothing arrives for so long is ended: it holds a place that others need.
    pub fn stream_idle(&self) -> Duration {
        Duration::from_secs(self.stream_idle_timeout_s)
    }

    /// Longest wait for the next piece of a file: a sender that has gone must not keep its authority from sending again.
    pub fn file_piece(&self) -> Duration {
        Duration::from_secs(self.file_piece_timeout_s)
    }

    pub(super) fn check(&self, config: &Config, check: &mut Check<'_>) {
        self.check_messages(check);
        self.check_connections(check);
        self.check_frames(check);
        check.rule(
            self.concurrent_handshakes <= self.max_connections,
            "limits.concurrent_handshakes",
            "expected at most limits.max_connections",
        );
        check.rule(
            self.stream_window_bytes <= self.connection_window_bytes,
            "limits.stream_window_bytes",
            "expected at most limits.connection_window_bytes",
        );
        check.rule(
            config.audit.fail_after_ms < self.request_timeout_ms,
            "limits.request_timeout_ms",
            "expected more than audit.fail_after_ms: the deadline would hide why an answer failed",
        );
        check.rule(
            self.request_timeout_ms <= self.max_timeout_ms,
            "limits.request_timeout_ms",
            "expected at most limits.max_timeout_ms",
        );
    }

    fn check_messages(&self, check: &mut Check<'_>) {
        check.range("limits.max_message_bytes", self.max_message_bytes, 1_024..=16 << 20);
        check.range("limits.max_header_bytes", self.max_header_bytes, 1_024..=1 << 20);
        check.range("limits.max_metadata_entries", self.max_metadata_entries, 16..=4_096);
        // With every field as long as it may be a person has some 1,100 bytes: none such is too long for this, whatever is configured.
        check.range("limits.max_person_bytes", self.max_person_bytes, 2_048..=65_536);
        check.range("limits.request_timeout_ms", self.request_timeout_ms, 10..=HOUR_MS);
        check.range("limits.record_timeout_ms", self.record_timeout_ms, 10..=HOUR_MS);
        check.range("limits.max_timeout_ms", self.max_timeout_ms, 10..=HOUR_MS);
        check.range("limits.max_in_flight", self.max_in_flight, 1..=1 << 20);
        check.range("limits.share_percent", self.share_percent, 1..=100);
        check.range("limits.max_worklist", self.max_worklist, 1..=1_000);
        check.range("limits.max_stream_events", self.max_stream_events, 1..=100_000_000);
        check.range("limits.stream_idle_timeout_s", self.stream_idle_timeout_s, 1..=DAY_S);
        check.range("limits.max_file_bytes", self.max_file_bytes, 1_024..=64 << 20);
        check.range("limits.file_piece_timeout_s", self.file_piece_timeout_s, 1..=HOUR_MS / 1_000);
    }

    fn check_connections(&self, check: &mut Check<'_>) {
        check.range("limits.max_concurrent_streams", self.max_concurrent_streams, 1..=65_536);
        check.range("limits.handshake_timeout_ms", self.handshake_timeout_ms, 100..=HOUR_MS);
        check.range("limits.hello_timeout_ms", self.hello_timeout_ms, 50..=HOUR_MS);
        check.range("limits.concurrent_handshakes", self.concurrent_handshakes, 1..=65_536);
        check.range("limits.first_request_timeout_s", self.first_request_timeout_s, 1..=DAY_S);
        check.range("limits.idle_timeout_s", self.idle_timeout_s, 1..=DAY_S);
        check.range("limits.connection_age_s", self.connection_age_s, 1..=DAY_S);
        check.range("limits.write_stall_timeout_s", self.write_stall_timeout_s, 1..=HOUR_MS / 1_000);
        check.range("limits.keepalive_interval_s", self.keepalive_interval_s, 1..=DAY_S);
        check.range("limits.keepalive_timeout_s", self.keepalive_timeout_s, 1..=DAY_S);
        check.range("limits.max_connections", self.max_connections, 1..=1 << 20);
        check.range("limits.max_connections_per_organisation", self.max_connections_per_organisation, 1..=1 << 20);
        let pace = self.calls_per_second_per_organisation;
        check.range("limits.calls_per_second_per_organisation", pace, 10..=1_000_000);
    }

    fn check_frames(&self, check: &mut Check<'_>) {
        check.range("limits.stream_window_bytes", self.stream_window_bytes, 65_535..=WINDOW_MAX_BYTES);
        check.range("limits.connection_window_bytes", self.connection_window_bytes, 65_535..=WINDOW_MAX_BYTES);
        check.range("limits.max_reset_streams", self.max_reset_streams, 1..=65_536);
        check.range("limits.pings_per_10s", self.pings_per_10s, 4..=1_000_000);
        check.range("limits.settings_per_10s", self.settings_per_10s, 4..=1_000_000);
        check.range("limits.resets_per_10s", self.resets_per_10s, 16..=1_000_000);
        check.range("limits.control_frames_per_10s", self.control_frames_per_10s, 16..=1_000_000);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_part_is_never_none_and_never_more_than_the_whole() {
        let of = |max_in_flight, share_percent| {
            let limits = Limits { max_in_flight, share_percent, ..Limits::default() };
            (limits.part_in_flight(), limits.part_of_streams())
        };
        assert_eq!(of(1_024, 25), (256, 64));
        assert_eq!(of(1, 1), (1, 1));
        assert_eq!(of(8, 100), (8, 8));
        assert_eq!(of(1 << 20, 25), (1 << 18, 1 << 16));
    }

    #[test]
    fn what_may_come_at_once_is_the_most_of_three() {
        let of = |max_in_flight, max_worklist, calls_per_second_per_organisation| {
            let limits = Limits { max_in_flight, max_worklist, calls_per_second_per_organisation, ..Limits::default() };
            limits.calls_at_once()
        };
        assert_eq!([of(1_024, 200, 1_000), of(8, 200, 1_000), of(8, 50, 1_000)], [256, 200, 100]);
    }
}
