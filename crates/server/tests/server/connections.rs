//! Who may connect, what a stalled or hostile peer can do, and where connections go.

use std::collections::BTreeMap;

use rustls::version::{TLS12, TLS13};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tonic::Code;
use tonic_types::StatusExt;

use crate::harness::{ED, LA, PREFACE, TestServer, call, client};

#[test]
fn a_handler_learns_who_asks() {
    let server = TestServer::ready(|_| {});
    client(async {
        for (uri, expected) in [(ED, "R1H ed kithd-data-"), (LA, "E06000001 local-authority kithd-data-")] {
            let channel = server.channel(uri).await;
            let status = call(&channel, "Who", &[]).await;
            assert_eq!(status.code(), Code::Ok);
            assert!(status.message().starts_with(expected), "{}", status.message());
        }
    });
}

#[test]
fn tls_before_1_3_is_refused() {
    let server = TestServer::ready(|_| {});
    let pair = server.authority.client(&[ED]);
    client(async {
        assert!(server.tls(Some(&pair), &[&TLS12]).await.is_err());
        assert!(server.tls(Some(&pair), &[&TLS12, &TLS13]).await.is_ok());
    });
}

#[test]
fn what_is_not_tls_is_closed() {
    let server = TestServer::ready(|_| {});
    client(async {
        for bytes in [b"GET / HTTP/1.1\r\nHost: x\r\n\r\n".as_slice(), PREFACE, &[0_u8; 64]] {
            let mut tcp = TcpStream::connect(server.address).await.unwrap();
            tcp.write_all(bytes).await.unwrap();
            let mut received = Vec::new();
            // An alert or a reset, and in either case the end.
            let _ = tcp.read_to_end(&mut received).await;
            assert!(received.len() < 32, "{received:?}");
        }
    });
}

#[test]
fn stalled_handshakes_do_not_keep_others_out() {
    let server = TestServer::ready(|config| {
        config.limits.concurrent_handshakes = 3;
        config.limits.handshake_timeout_ms = 200;
    });
    client(async {
        let mut stalled = Vec::new();
        for _ in 0..6 {
            stalled.push(TcpStream::connect(server.address).await.unwrap());
        }
        let channel = server.channel(ED).await;
        assert_eq!(call(&channel, "Who", &[]).await.code(), Code::Ok);
        for mut tcp in stalled {
            assert_eq!(tcp.read(&mut [0]).await.unwrap_or(0), 0, "a stalled handshake was not given up");
        }
    });
}

#[test]
fn whoever_says_nothing_takes_no_turn_from_others() {
    let server = TestServer::ready(|config| {
        config.limits.concurrent_handshakes = 1;
        config.limits.handshake_timeout_ms = 60_000;
    });
    client(async {
        let mut stalled = Vec::new();
        for _ in 0..4 {
            let mut tcp = TcpStream::connect(server.address).await.unwrap();
            // The beginning of a record of a handshake, and no more.
            tcp.write_all(&[22, 3, 1, 2, 0]).await.unwrap();
            stalled.push(tcp);
        }
        let channel = server.channel(ED).await;
        assert_eq!(call(&channel, "Who", &[]).await.code(), Code::Ok);
        for mut tcp in stalled {
            assert_eq!(tcp.read(&mut [0]).await.unwrap_or(0), 0, "a connection without a first message was kept");
        }
    });
}

#[test]
fn connections_beyond_the_bound_are_closed_and_come_in_when_there_is_room() {
    let server = TestServer::ready(|config| {
        config.limits.max_connections = 2;
        config.limits.concurrent_handshakes = 2;
    });
    let pair = server.authority.client(&[ED]);
    client(async {
        let first = server.connect(&pair).await.unwrap();
        let second = server.connect(&pair).await.unwrap();
        assert_eq!(call(&first, "Who", &[]).await.code(), Code::Ok);
        assert_eq!(call(&second, "Who", &[]).await.code(), Code::Ok);
        assert!(!server.takes(Some(&pair)).await);
        drop(first);
        while !server.takes(Some(&pair)).await {
            tokio::task::yield_now().await;
        }
    });
}

#[test]
fn connections_go_to_the_least_loaded_thread() {
    let server = TestServer::ready(|_| {});
    client(async {
        let mut channels = Vec::new();
        let mut threads: BTreeMap<String, u32> = BTreeMap::new();
        for _ in 0..6 {
            let channel = server.channel(ED).await;
            let status = call(&channel, "Who", &[]).await;
            *threads.entry(status.message().to_owned()).or_default() += 1;
            channels.push(channel);
        }
        assert_eq!(threads.values().copied().collect::<Vec<_>>(), [3, 3], "{threads:?}");
    });
}

#[test]
fn an_idle_connection_is_closed_and_a_used_one_is_not() {
    let server = TestServer::ready(|config| config.limits.idle_timeout_s = 1);
    let pair = server.authority.client(&[ED]);
    client(async {
        let used = server.wire_client(ED).await.send("Wait", Some("2500m"));
        let mut idle = server.tls(Some(&pair), &[&TLS13]).await.unwrap();
        idle.write_all(PREFACE).await.unwrap();
        // Settings come first, then the end.
        let _ = idle.read_to_end(&mut Vec::new()).await;
        assert_eq!(used.await.code(), Code::DeadlineExceeded);
    });
}

#[test]
fn oversized_headers_are_refused() {
    let server = TestServer::ready(|config| config.limits.max_header_bytes = 4_096);
    client(async {
        let channel = server.channel(ED).await;
        let long = "x".repeat(8_192);
        let refused = call(&channel, "Who", &[("x-long", &long)]).await;
        assert_eq!(refused.code(), Code::ResourceExhausted, "{}", refused.message());
        assert_eq!(refused.get_details_error_info().unwrap().reason, "HEADERS_TOO_LARGE");
        assert_eq!(call(&channel, "Who", &[("x-short", "x")]).await.code(), Code::Ok);
    });
}
