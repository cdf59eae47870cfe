//! The wire against a real HTTP/2 server: the h2 crate, byte by byte over a pipe.

use bytes::Bytes;
use http::{HeaderMap, Response};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _, DuplexStream, duplex};

use super::*;

fn routes() -> Vec<Route> {
    let route = |path: &str, deadline| Route { path: path.to_owned(), deadline };
    vec![route("/a.B/One", true), route("/a.B/Stream", false)]
}

/// What a server saw of one request.
#[derive(Debug, PartialEq)]
struct Seen {
    path: String,
    timeout: Option<String>,
    body: Vec<u8>,
}

/// Answers every request: its body comes back, with status `body[5]`, in pieces of `piece` bytes.
async fn serve(io: DuplexStream, piece: usize, settings: fn(&mut h2::server::Builder)) -> Vec<Seen> {
    let mut builder = h2::server::Builder::new();
    settings(&mut builder);
    let mut connection = builder.handshake::<_, Bytes>(io).await.unwrap();
    let mut seen = Vec::new();
    while let Some(Ok((request, mut respond))) = connection.accept().await {
        let (head, mut stream) = request.into_parts();
        assert_eq!((head.method.as_str(), head.headers["te"].as_bytes()), ("POST", &b"trailers"[..]));
        assert_eq!(head.headers["content-type"].as_bytes(), b"application/grpc");
        assert_eq!(head.uri.authority().unwrap().as_str(), "kith.test:1");
        let reading = async {
            let mut body = Vec::new();
            while let Some(Ok(data)) = stream.data().await {
                stream.flow_control().release_capacity(data.len()).unwrap();
                body.extend_from_slice(&data);
            }
            body
        };
        // The connection has to be driven while its request is read.
        tokio::pin!(reading);
        let body = tokio::select! {
            body = &mut reading => body,
            _ = std::future::poll_fn(|cx| connection.poll_closed(cx)) => return seen,
        };
        let timeout = head.headers.get("grpc-timeout").map(|value| value.to_str().unwrap().to_owned());
        let response =
            Response::builder().header("content-type", "application/grpc").header("x-odd", "y").body(()).unwrap();
        let mut send = respond.send_response(response, false).unwrap();
        for part in body.chunks(piece) {
            send.send_data(Bytes::copy_from_slice(part), false).unwrap();
        }
        let mut trailers = HeaderMap::new();
        trailers.insert("grpc-status", body[5].to_string().parse().unwrap());
        send.send_trailers(trailers).unwrap();
        seen.push(Seen { path: head.uri.path().to_owned(), timeout, body });
    }
    seen
}

/// Moves bytes until `count` events have come, feeding the wire `step` bytes at a time.
async fn pump(wire: &mut Wire, io: &mut DuplexStream, count: usize, step: usize) {
    let mut buffer = vec![0; 65_536];
    while wire.events.len() < count {
        let out = std::mem::take(&mut wire.out);
        io.write_all(&out).await.unwrap();
        tokio::select! {
            read = io.read(&mut buffer) => {
                let read = read.unwrap();
                assert!(read > 0, "the server closed");
                for part in buffer[..read].chunks(step) {
                    wire.receive(part).unwrap();
                }
            }
            () = tokio::task::yield_now(), if !wire.out.is_empty() => {}
        }
    }
}

fn message(status: u8, length: usize) -> Vec<u8> {
    let mut message = vec![7; length];
    message[0] = status;
    message
}

async fn exchange(piece: usize, step: usize, settings: fn(&mut h2::server::Builder)) {
    let (mut near, far) = duplex(1 << 20);
    let server = tokio::spawn(serve(far, piece, settings));
    let mut wire = Wire::new("kith.test:1", 2_500, &routes());
    assert!(!wire.greeted, "nobody has spoken yet");
    for round in 0..3_u64 {
        for (token, status) in (0..).zip(0..=16_u8) {
            wire.start(0, 100 * round + token, Some(&message(status, 300 + usize::from(status))));
        }
        pump(&mut wire, &mut near, 17, step).await;
        let mut ended: Vec<(u64, Ended, usize)> = Vec::new();
        for event in std::mem::take(&mut wire.events) {
            let Event::Ended { token, body, how } = event else { panic!("{event:?}") };
            assert_eq!(first_message(&body).unwrap()[1..], vec![7; body.len() - 6][..]);
            ended.push((token, how, body.len()));
            wire.recycle(body);
        }
        ended.sort_by_key(|(token, ..)| *token);
        let expected: Vec<_> =
            (0..17_u8).map(|at| (100 * round + u64::from(at), Ended::Status(at), 305 + usize::from(at))).collect();
        assert_eq!(ended, expected);
        assert_eq!(wire.open(), 0);
        assert!(wire.greeted);
    }
    drop(near);
    let seen = server.await.unwrap();
    assert_eq!(seen.len(), 51);
    assert!(seen.iter().all(|seen| seen.path == "/a.B/One" && seen.timeout.as_deref() == Some("2500m")));
}

#[tokio::test]
async fn every_status_comes_back_however_the_bytes_are_cut() {
    for (piece, step) in [(1_000, 65_536), (100, 1), (7, 1_000)] {
        exchange(piece, step, |_| ()).await;
    }
}

#[tokio::test]
async fn a_small_window_of_the_server_is_kept() {
    exchange(1_000, 65_536, |builder| {
        builder.initial_window_size(100).initial_connection_window_size(70_000).max_concurrent_streams(200);
    })
    .await;
}

#[tokio::test]
async fn a_stream_takes_messages_and_gives_them_back_one_by_one() {
    let (mut near, far) = duplex(1 << 20);
    let server = tokio::spawn(async move {
        let mut connection = h2::server::handshake(far).await.unwrap();
        let (request, mut respond) = connection.accept().await.unwrap().unwrap();
        assert!(request.headers().get("grpc-timeout").is_none(), "a long stream has no deadline");
        tokio::spawn(async move { while connection.accept().await.is_some() {} });
        let mut stream = request.into_body();
        let mut send = respond.send_response(Response::new(()), false).unwrap();
        while let Some(Ok(data)) = stream.data().await {
            stream.flow_control().release_capacity(data.len()).unwrap();
            send.send_data(data, false).unwrap();
        }
        let trailers = HeaderMap::from_iter([("grpc-status".parse().unwrap(), "0".parse().unwrap())]);
        send.send_trailers(trailers).unwrap();
    });
    let mut wire = Wire::new("kith.test:1", 1_000, &routes());
    wire.start(1, 9, None);
    for number in 0..50 {
        assert!(wire.send(9, &message(number, 40)));
    }
    assert!(!wire.send(8, b"to nobody"));
    pump(&mut wire, &mut near, 50, 33).await;
    for (number, event) in std::mem::take(&mut wire.events).into_iter().enumerate() {
        let Event::Message { token: 9, body } = event else { panic!("{event:?}") };
        assert_eq!(body, message(number as u8, 40));
    }
    wire.finish(9);
    pump(&mut wire, &mut near, 1, 65_536).await;
    assert!(matches!(wire.events[0], Event::Ended { token: 9, how: Ended::Status(0), .. }));
    server.await.unwrap();
}

#[tokio::test]
async fn a_server_that_leaves_says_what_it_did_not_take() {
    let (mut near, far) = duplex(1 << 20);
    let _server = tokio::spawn(async move {
        let mut connection = h2::server::handshake(far).await.unwrap();
        connection.graceful_shutdown();
        while connection.accept().await.is_some() {}
    });
    let mut wire = Wire::new("kith.test:1", 1_000, &routes());
    let mut buffer = vec![0; 1_000];
    while !wire.leaving {
        let out = std::mem::take(&mut wire.out);
        near.write_all(&out).await.unwrap();
        let read = near.read(&mut buffer).await.unwrap();
        wire.receive(&buffer[..read]).unwrap();
    }
    assert!(!wire.may_start());
    // By hand: a GOAWAY of stream 0 while one is open.
    let mut wire = Wire::new("kith.test:1", 1_000, &routes());
    wire.start(0, 5, Some(b"x"));
    wire.receive(&[0, 0, 8, kind::GOAWAY, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0]).unwrap();
    assert!(matches!(wire.events[0], Event::Ended { token: 5, how: Ended::NotTaken, .. }));
}

#[test]
fn a_call_given_up_is_reset_and_brings_nothing_more() {
    let mut wire = Wire::new("kith.test:1", 1_000, &routes());
    wire.start(0, 5, Some(b"x"));
    wire.out.clear();
    wire.reset(5);
    assert_eq!(wire.out, [0, 0, 4, kind::RESET, 0, 0, 0, 0, 1, 0, 0, 0, 8]);
    wire.receive(&[0, 0, 1, kind::DATA, 1, 0, 0, 0, 1, 9]).unwrap();
    assert!(wire.events.is_empty() && wire.open() == 0);
}

#[test]
fn bytes_that_are_no_http2_break_the_connection_and_nothing_else() {
    let mut wire = Wire::new("kith.test:1", 1_000, &routes());
    assert!(wire.receive(b"HTTP/1.1 400 Bad Request\r\n\r\n").is_err());
    let mut dice = crate::dice::Dice::new(1, 1);
    for _ in 0..20_000 {
        let mut wire = Wire::new("kith.test:1", 1_000, &routes());
        wire.start(0, 1, Some(b"x"));
        let length = dice.below(20) as u8;
        let mut frame =
            vec![0, 0, length, dice.below(11) as u8, dice.bits() as u8, 0, 0, 0, 2 * dice.below(2) as u8 + 1];
        frame.extend((0..length).map(|_| dice.bits() as u8));
        let _either = wire.receive(&frame);
    }
}
