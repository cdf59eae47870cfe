//! What a client of one organisation can do to a connection and to others: each limit by a client that goes beyond it, with
//! frames made by hand, while another organisation is answered.

use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use rustls_pki_types::CertificateDer;
use rustls_pki_types::pem::PemObject;
use tokio::io::AsyncWriteExt;
use tokio_stream::StreamExt;
use tonic::Code;
use tonic::transport::Channel;
use tonic_health::ServingStatus;
use tonic_health::pb::HealthCheckRequest;
use tonic_health::pb::health_client::HealthClient;
use tonic_types::StatusExt;

use crate::harness::{ED, LA, TestServer, call, client};
use crate::probe::{MUCH_BYTES, SERVICE};
use crate::raw::{
    self, ACK, CONTINUATION, DATA, END_STREAM, HEADERS, PING, PRIORITY, RESET, Raw, SETTINGS, WINDOW_MAX,
    WINDOW_UPDATE, frame,
};

/// ENHANCE_YOUR_CALM of RFC 9113.
const CALM: u32 = 11;

async fn answered(channel: &Channel) -> bool {
    call(channel, "Who", &[]).await.code() == Code::Ok
}

#[test]
fn pings_beyond_their_budget_close_the_connection_and_no_other() {
    let server = TestServer::ready(|config| config.limits.pings_per_10s = 10);
    client(async {
        let (other, same) = (server.channel(LA).await, server.channel(ED).await);
        assert!(answered(&other).await && answered(&same).await);
        let mut hostile = Raw::connect(&server, ED).await;
        for _ in 0..10 {
            hostile.send(&frame(PING, 0, 0, &[7; 8])).await;
            assert!(hostile.until(PING, ACK).await.is_some(), "a ping within the budget was not answered");
        }
        hostile.send(&frame(PING, 0, 0, &[7; 8])).await;
        hostile.ended().await;
        assert_eq!(server.shed("pings"), 1);
        assert!(answered(&other).await && answered(&same).await);
    });
}

#[test]
fn a_client_that_pings_for_each_call_goes_on() {
    let server = TestServer::ready(|config| {
        config.limits.pings_per_10s = 4;
        config.limits.control_frames_per_10s = 16;
    });
    client(async {
        let mut raw = Raw::connect(&server, ED).await;
        for number in 0..200 {
            raw.send(&raw::call(2 * number + 1, "Who", true)).await;
            assert!(raw.until(HEADERS, END_STREAM).await.is_some(), "call {number} was not answered");
            raw.send(&frame(PING, 0, 0, &[7; 8])).await;
            assert!(raw.until(PING, ACK).await.is_some(), "after call {number} a ping was not answered");
        }
        assert_eq!(server.shed("pings"), 0);
    });
}

#[test]
fn settings_beyond_their_budget_close_the_connection() {
    let server = TestServer::ready(|config| config.limits.settings_per_10s = 5);
    client(async {
        let mut hostile = Raw::connect(&server, ED).await;
        // With those that a connection begins with.
        for _ in 0..5 {
            assert!(hostile.until(SETTINGS, ACK).await.is_some(), "settings within the budget were not acknowledged");
            hostile.send(&frame(SETTINGS, 0, 0, &[0, 4, 0, 0, 255, 255])).await;
        }
        hostile.ended().await;
        assert_eq!(server.shed("settings"), 1);
    });
}

#[test]
fn other_frames_that_carry_nothing_close_the_connection_beyond_their_budget() {
    let server = TestServer::ready(|config| config.limits.control_frames_per_10s = 30);
    client(async {
        let other = server.channel(LA).await;
        let update = 1_u32.to_be_bytes();
        let floods = [
            frame(PRIORITY, 0, 1, &[0, 0, 0, 0, 15]),
            frame(WINDOW_UPDATE, 0, 1, &update),
            frame(DATA, 0, 1, &[]),
            frame(PING, ACK, 0, &[7; 8]),
            frame(200, 0, 0, &[1, 2, 3]),
        ];
        for (before, flood) in floods.iter().enumerate() {
            let mut hostile = Raw::connect(&server, ED).await;
            hostile.send(&raw::call(1, "Wait", false)).await;
            assert!(hostile.until(SETTINGS, ACK).await.is_some());
            hostile.send(&flood.repeat(60)).await;
            hostile.ended().await;
            assert_eq!(server.shed("control_frames"), before as u64 + 1, "{flood:?}");
            assert!(answered(&other).await);
        }
    });
}

#[test]
fn rapid_resets_end_the_connection() {
    let server = TestServer::ready(|config| config.limits.max_reset_streams = 8);
    client(async {
        let other = server.channel(LA).await;
        let mut hostile = Raw::connect(&server, ED).await;
        let pairs = (0..60).map(|number| {
            let stream = 2 * number + 1;
            [raw::call(stream, "Wait", false), frame(RESET, 0, stream, &[0, 0, 0, 8])].concat()
        });
        hostile.send(&pairs.collect::<Vec<_>>().concat()).await;
        assert_eq!(hostile.ended().await.0, Some(CALM));
        assert!(answered(&other).await);
    });
}

#[test]
fn calls_that_are_reset_a_few_at_a_time_give_their_places_back_and_are_bounded() {
    let server = TestServer::ready(|config| {
        config.limits.max_reset_streams = 64;
        config.limits.resets_per_10s = 100;
        // Two bursts would fill it, were the places of what was reset not given back.
        (config.limits.max_in_flight, config.limits.share_percent) = (32, 100);
    });
    client(async {
        let other = server.channel(LA).await;
        let mut hostile = Raw::connect(&server, ED).await;
        let mut bursts = 0;
        loop {
            let pair = |number: u32| {
                let stream = 2 * (20 * bursts + number) + 1;
                [raw::call(stream, "Wait", false), frame(RESET, 0, stream, &[0, 0, 0, 8])].concat()
            };
            hostile.send(&(0..20).map(pair).collect::<Vec<_>>().concat()).await;
            // One at a time: what came before it has been read.
            hostile.send(&frame(PING, 0, 0, &[7; 8])).await;
            if hostile.until(PING, ACK).await.is_none() {
                break;
            }
            bursts += 1;
            assert!(answered(&other).await, "after {bursts} bursts another organisation was not answered");
            assert!(bursts <= 40, "resets go on for ever");
        }
        // Within ten seconds: five bursts are the budget.
        assert_eq!((bursts, server.shed("control_frames")), (5, 1));
        assert!(answered(&other).await);
    });
}

fn head_and_message(number: u32) -> (Vec<u8>, Vec<u8>) {
    let stream = 2 * number + 1;
    (raw::call(stream, "Who", false), frame(DATA, END_STREAM, stream, &[0; 5]))
}

/// Waits for the ends of so many calls.
async fn answers(connection: &mut Raw, count: u32) {
    for number in 0..count {
        assert!(connection.until(HEADERS, END_STREAM).await.is_some(), "{number} of {count} calls were answered");
    }
}

/// So many calls one after another.
fn calls(count: u32) -> Vec<u8> {
    (0..count).map(head_and_message).flat_map(|(head, message)| [head, message].concat()).collect()
}

#[test]
fn calls_that_come_too_fast_are_read_at_the_pace_of_their_organisation_and_nobody_elses_wait_for_them() {
    const AT_ONCE: u32 = 20;
    let server = TestServer::ready(|config| {
        config.limits.calls_per_second_per_organisation = 20;
        (config.limits.max_in_flight, config.limits.share_percent, config.limits.max_worklist) = (80, 25, 1);
    });
    client(async {
        let (mut first, mut second) = (Raw::connect(&server, ED).await, Raw::connect(&server, ED).await);
        let (mut other, began) = (Raw::connect(&server, LA).await, Instant::now());
        // The heads of all calls before their messages, as clients send that have several calls to make.
        let (heads, messages): (Vec<_>, Vec<_>) = (0..AT_ONCE + 5).map(head_and_message).unzip();
        first.send(&[heads.concat(), messages.concat()].concat()).await;
        // On another connection of that organisation no time is left, unless this machine stands still for a second.
        second.send(&calls(AT_ONCE)).await;
        answers(&mut first, AT_ONCE + 5).await;
        assert!(began.elapsed() >= Duration::from_millis(250), "five calls, twenty in a second: {:?}", began.elapsed());
        answers(&mut second, AT_ONCE).await;
        let late = server.read_late();
        assert!(late > 5, "a connection has a pace of its own: {late}");
        other.send(&calls(AT_ONCE)).await;
        answers(&mut other, AT_ONCE).await;
        assert_eq!(server.read_late(), late, "another organisation's calls were read late");
    });
}

#[test]
fn of_a_peer_that_has_gone_nothing_is_read_any_more_that_waits_for_its_time() {
    let server = TestServer::ready(|config| {
        config.limits.calls_per_second_per_organisation = 20;
        (config.limits.max_in_flight, config.limits.max_worklist) = (4, 1);
        config.limits.max_connections_per_organisation = 1;
    });
    let pair = server.authority.client(&[ED]);
    client(async {
        let mut gone = Raw::connect(&server, ED).await;
        gone.send(&calls(400)).await;
        answers(&mut gone, 1).await;
        drop(gone);
        // Its place is free.
        while !server.takes(Some(&pair)).await {
            tokio::task::yield_now().await;
        }
        assert!(server.read_late() < 200, "{} calls that nobody waits for were read", server.read_late());
    });
}

#[test]
fn headers_without_an_end_close_the_connection() {
    let server = TestServer::ready(|_| {});
    client(async {
        let other = server.channel(LA).await;
        let mut hostile = Raw::connect(&server, ED).await;
        hostile.send(&frame(HEADERS, 0, 1, &raw::block("Wait"))).await;
        // Literals that grow without an end, and frames of nothing.
        let more = frame(CONTINUATION, 0, 1, &[&[0, 1, b'x', 100][..], &[b'y'; 100]].concat());
        hostile.send(&more.repeat(2_000)).await;
        hostile.send(&frame(CONTINUATION, 0, 1, &[]).repeat(2_000)).await;
        hostile.ended().await;
        assert!(answered(&other).await);
    });
}

#[test]
fn whoever_asks_nothing_after_the_handshake_is_closed_and_whoever_asked_is_not() {
    let server = TestServer::ready(|config| config.limits.first_request_timeout_s = 1);
    client(async {
        let mut asking = Raw::connect(&server, ED).await;
        asking.send(&raw::call(1, "Who", true)).await;
        assert!(asking.until(HEADERS, END_STREAM).await.is_some());
        Raw::connect(&server, ED).await.ended().await;
        // Before its preface as well.
        let pair = server.authority.client(&[ED]);
        let mut silent = server.tls(Some(&pair), &[&rustls::version::TLS13]).await.unwrap();
        let _ = tokio::io::AsyncReadExt::read_to_end(&mut silent, &mut Vec::new()).await;
        assert_eq!(server.shed("first_request"), 2);
        asking.send(&raw::call(3, "Who", true)).await;
        assert!(asking.until(HEADERS, END_STREAM).await.is_some(), "a connection that was used was closed");
    });
}

#[test]
fn a_reply_that_is_not_taken_closes_the_connection() {
    let server = TestServer::ready(|config| config.limits.write_stall_timeout_s = 1);
    client(async {
        let other = server.channel(LA).await;
        // Nothing of it, and a part of it.
        for (number, window) in [(1, 0), (2, 1_000)] {
            let mut hostile = Raw::with_windows(&server, ED, window).await;
            hostile.send(&raw::call(1, "Much", true)).await;
            assert!(hostile.until(HEADERS, 0).await.is_some(), "the reply did not begin");
            let (_, data) = hostile.ended().await;
            assert_eq!(data, window as usize, "what was sent is what was asked for");
            assert_eq!(server.shed("write_stall"), number);
        }
        assert!(answered(&other).await);
    });
}

#[test]
fn whoever_leaves_before_the_reply_is_taken_is_not_told_of_as_closed_by_us() {
    let server = TestServer::ready(|config| config.limits.write_stall_timeout_s = 1);
    client(async {
        for _ in 0..3 {
            let mut leaves = Raw::with_windows(&server, ED, 1_000).await;
            leaves.send(&raw::call(1, "Much", true)).await;
            assert!(leaves.until(HEADERS, 0).await.is_some(), "the reply did not begin");
            drop(leaves);
        }
        // Such as have ended as well, and are still there: the network holds all that it can, and the server has more for them.
        let mut ended = Vec::new();
        for _ in 0..3 {
            let mut leaves = Raw::with_windows(&server, ED, WINDOW_MAX).await;
            let calls = (0..64).map(|number| raw::call(2 * number + 1, "Much", true));
            leaves.send(&calls.collect::<Vec<_>>().concat()).await;
            assert!(leaves.until(HEADERS, 0).await.is_some(), "the reply did not begin");
            leaves.says_no_more().await;
            ended.push(leaves);
        }
        // One that stays and stalls after them: by its end theirs would have been told of too.
        let mut hostile = Raw::with_windows(&server, ED, 1_000).await;
        hostile.send(&raw::call(1, "Much", true)).await;
        hostile.ended().await;
        assert_eq!(server.shed("write_stall"), 1);
        drop(ended);
    });
}

#[test]
fn a_reply_that_is_taken_is_whole() {
    let server = TestServer::ready(|_| {});
    client(async {
        let mut raw = Raw::with_windows(&server, ED, WINDOW_MAX).await;
        raw.send(&raw::call(1, "Much", true)).await;
        let mut data = 0;
        loop {
            let frame = raw.next().await.expect("the connection was closed");
            match frame.kind {
                DATA => data += frame.payload.len(),
                HEADERS if frame.flags & END_STREAM != 0 => break,
                _ => {}
            }
        }
        assert_eq!(data, MUCH_BYTES);
    });
}

#[test]
fn a_stream_that_has_nothing_to_say_is_no_stall() {
    let server = TestServer::ready(|config| config.limits.write_stall_timeout_s = 1);
    client(async {
        let channel = server.channel(LA).await;
        let request = HealthCheckRequest { service: SERVICE.to_owned() };
        let mut watch = HealthClient::new(channel.clone()).watch(request).await.unwrap().into_inner();
        assert_eq!(watch.next().await.unwrap().unwrap().status, ServingStatus::Serving as i32);
        // Two that stall after it, one after the other.
        for _ in 0..2 {
            let mut hostile = Raw::with_windows(&server, ED, 0).await;
            hostile.send(&raw::call(1, "Much", true)).await;
            hostile.ended().await;
        }
        server.can_answer.store(false, Ordering::SeqCst);
        assert_eq!(watch.next().await.unwrap().unwrap().status, ServingStatus::NotServing as i32);
        assert_eq!(server.shed("write_stall"), 2);
    });
}

#[test]
fn a_network_that_takes_nothing_gives_the_places_back() {
    let server = TestServer::ready(|config| {
        config.limits.write_stall_timeout_s = 1;
        config.limits.max_connections_per_organisation = 1;
    });
    let pair = server.authority.client(&[ED]);
    client(async {
        let other = server.channel(LA).await;
        let mut hostile = Raw::with_windows(&server, ED, WINDOW_MAX).await;
        let calls = (0..64).map(|number| raw::call(2 * number + 1, "Much", true));
        hostile.send(&calls.collect::<Vec<_>>().concat()).await;
        // It reads nothing, and no window of HTTP/2 holds anything back.
        assert!(!server.takes(Some(&pair)).await, "the only place of the organisation was free");
        while !server.takes(Some(&pair)).await {
            tokio::task::yield_now().await;
        }
        assert!(answered(&other).await);
        drop(hostile);
    });
}

#[test]
fn one_organisation_cannot_hold_everybodys_connections() {
    let server = TestServer::ready(|config| config.limits.max_connections_per_organisation = 2);
    let (pair, other) = (server.authority.client(&[ED]), server.authority.client(&[LA]));
    let same = server.authority.client(&["spiffe://kith.test/org/R1H/role/ops"]);
    client(async {
        let (first, second) = (server.connect(&pair).await.unwrap(), server.connect(&same).await.unwrap());
        assert!(answered(&first).await && answered(&second).await);
        assert!(!server.takes(Some(&pair)).await && !server.takes(Some(&same)).await, "of whichever role");
        assert!(server.shed("organisation") >= 2);
        for _ in 0..3 {
            assert!(server.takes(Some(&other)).await, "another organisation was not let in");
        }
        drop(first);
        while !server.takes(Some(&pair)).await {
            tokio::task::yield_now().await;
        }
        assert!(answered(&second).await);
    });
}

#[test]
fn more_headers_than_allowed_are_refused_with_a_reason() {
    let server = TestServer::ready(|config| config.limits.max_metadata_entries = 20);
    client(async {
        let channel = server.channel(ED).await;
        let names: Vec<String> = (0..20).map(|number| format!("x-{number}")).collect();
        let headers: Vec<(&str, &str)> = names.iter().map(|name| (name.as_str(), "")).collect();
        let refused = call(&channel, "Who", &headers).await;
        assert_eq!(refused.code(), Code::ResourceExhausted);
        assert_eq!(refused.get_details_error_info().unwrap().reason, "TOO_MANY_HEADERS");
        assert!(answered(&channel).await);
    });
}

/// A first message of a handshake as a client sends it.
pub fn hello(server: &TestServer) -> Vec<u8> {
    let mut roots = rustls::RootCertStore::empty();
    let authority = CertificateDer::from_pem_slice(server.authority.pem.as_bytes()).unwrap();
    roots.add(authority).unwrap();
    let provider = std::sync::Arc::new(rustls::crypto::ring::default_provider());
    let config = rustls::ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions().unwrap();
    let config = config.with_root_certificates(roots).with_no_client_auth();
    let mut client = rustls::ClientConnection::new(config.into(), "localhost".try_into().unwrap()).unwrap();
    let mut bytes = Vec::new();
    client.write_tls(&mut bytes).unwrap();
    bytes
}

#[test]
fn an_address_that_stalls_its_handshakes_keeps_nobody_else_out() {
    let server = TestServer::ready(|config| {
        config.limits.concurrent_handshakes = 4;
        config.limits.max_connections = 64;
        config.limits.handshake_timeout_ms = 600_000;
        config.limits.hello_timeout_ms = 600_000;
    });
    let hello = hello(&server);
    client(async {
        let mut stalled = Vec::new();
        for number in 0..40 {
            let socket = tokio::net::TcpSocket::new_v4().unwrap();
            socket.bind("127.0.0.2:0".parse().unwrap()).unwrap();
            let mut tcp = socket.connect(server.address).await.unwrap();
            // Whoever says nothing, and whoever says one thing and nothing more.
            if number % 2 == 0 {
                tcp.write_all(&hello).await.unwrap();
            }
            stalled.push(tcp);
        }
        for _ in 0..3 {
            assert!(answered(&server.channel(LA).await).await);
        }
        while server.shed("address") < 40 - 16 {
            tokio::task::yield_now().await;
        }
    });
}
