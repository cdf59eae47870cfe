//! The limits that the transport keeps: what a peer is told of them when it connects, and what becomes of one that does not keep
//! them, or does not answer any more. Each is by the key of its own, so that none falls back to what a library thinks right.

use tonic::Code;

use crate::harness::{ED, TestServer, call, client};
use crate::raw::{self, END_STREAM, GOAWAY, HEADERS, PING, RESET, Raw, SETTINGS, WINDOW_UPDATE, frame};

/// Identifiers of RFC 9113, 6.5.2.
const MAX_CONCURRENT_STREAMS: u16 = 3;
const INITIAL_WINDOW_SIZE: u16 = 4;
const MAX_HEADER_LIST_SIZE: u16 = 6;
/// REFUSED_STREAM of RFC 9113.
const REFUSED: [u8; 4] = [0, 0, 0, 7];
/// The window of a connection before anything is said of it.
const WINDOW_BEFORE: u32 = 65_535;

/// What a frame of settings says of one of them.
fn setting(payload: &[u8], wanted: u16) -> Option<u32> {
    let mut all = payload.as_chunks::<6>().0.iter();
    all.find_map(|[a, b, value @ ..]| (u16::from_be_bytes([*a, *b]) == wanted).then(|| u32::from_be_bytes(*value)))
}

#[test]
fn a_peer_is_told_of_streams_windows_and_headers_as_configured() {
    let server = TestServer::ready(|config| {
        config.limits.max_concurrent_streams = 7;
        config.limits.stream_window_bytes = 70_000;
        config.limits.connection_window_bytes = 200_000;
        config.limits.max_header_bytes = 5_000;
    });
    client(async {
        let mut raw = Raw::connect(&server, ED).await;
        let told = raw.until(SETTINGS, 0).await.expect("no settings").payload;
        let of = |which| setting(&told, which);
        assert_eq!(of(MAX_CONCURRENT_STREAMS), Some(7));
        assert_eq!(of(INITIAL_WINDOW_SIZE), Some(70_000));
        assert_eq!(of(MAX_HEADER_LIST_SIZE), Some(20_000), "cut at four times what is refused with a reason");
        // Nothing was sent yet, so the only window that can grow is the connection's.
        let grown = raw.until(WINDOW_UPDATE, 0).await.expect("no window").payload;
        assert_eq!(grown, (200_000 - WINDOW_BEFORE).to_be_bytes());
    });
}

#[test]
fn a_call_beyond_those_open_at_once_is_refused_and_comes_in_when_there_is_room() {
    let server = TestServer::ready(|config| config.limits.max_concurrent_streams = 2);
    client(async {
        let mut raw = Raw::connect(&server, ED).await;
        for stream in [1, 3, 5] {
            raw.send(&raw::call(stream, "Wait", false)).await;
        }
        let refused = raw.until(RESET, 0).await.expect("the connection was closed");
        assert_eq!(refused.payload, REFUSED, "refused before anything of it was done");
        raw.send(&frame(RESET, 0, 1, &[0, 0, 0, 8])).await;
        raw.send(&raw::call(7, "Who", true)).await;
        assert!(raw.until(HEADERS, END_STREAM).await.is_some(), "a call was not answered although there is room");
    });
}

#[test]
fn a_connection_of_its_age_is_told_to_finish_and_its_call_ends_well() {
    let server = TestServer::ready(|config| config.limits.connection_age_s = 1);
    client(async {
        let (mut caller, ended) = server.wire_connection(ED).await;
        let under_way = caller.send("Wait", Some("3S"));
        let mut raw = Raw::connect(&server, ED).await;
        let goodbye = raw.until(GOAWAY, 0).await.expect("closed without a goodbye");
        assert_eq!(goodbye.payload.get(4..8), Some(&[0; 4][..]), "told to finish, and not of an error");
        // Its connection is older than the one that was told.
        assert_eq!(under_way.await.code(), Code::DeadlineExceeded, "a call in progress was cut");
        ended.await.unwrap();
        drop(caller);
        assert_eq!(call(&server.channel(ED).await, "Who", &[]).await.code(), Code::Ok, "nobody can connect again");
    });
}

#[test]
fn a_peer_that_answers_no_ping_is_closed_and_one_that_does_is_not() {
    let server = TestServer::ready(|config| {
        config.limits.keepalive_interval_s = 1;
        config.limits.keepalive_timeout_s = 3;
    });
    client(async {
        let mut caller = server.wire_client(ED).await;
        let under_way = caller.send("Wait", Some("7S"));
        let mut silent = Raw::connect(&server, ED).await;
        silent.send(&raw::call(1, "Wait", false)).await;
        assert!(silent.until(PING, 0).await.is_some(), "a silent peer was not asked whether it is there");
        silent.ended().await;
        assert_eq!(under_way.await.code(), Code::DeadlineExceeded, "a peer that answers was closed");
    });
}
