//! What HTTP/2 says when it refuses: frames made by hand, and those that the transport itself answers bad ones with.

use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tonic::codegen::Bytes;

use super::*;

const DATA: u8 = 0;
const SETTINGS: u8 = 4;
const PING: u8 = 6;
const END_STREAM: u8 = 1;
/// How a client gives up a call.
const CANCEL: u32 = 8;

/// The status of every reply, from the static table.
const OK: u8 = 0x88;
/// The same of a cut, put into the table.
const CUT_ADDED: [u8; 5] = [0x48, 0x83, 0x69, 0x90, 0xff];
/// A field that is put into the table.
const OTHER_ADDED: [u8; 5] = [0x40, 0x01, b'x', 0x01, b'y'];

fn frame(kind: u8, flags: u8, stream: u32, content: &[u8]) -> Vec<u8> {
    let [_, length @ ..] = u32::try_from(content.len()).unwrap().to_be_bytes();
    [&length[..], &[kind, flags], &stream.to_be_bytes(), content].concat()
}

fn headers(stream: u32, block: &[u8]) -> Vec<u8> {
    frame(kind::HEADERS, END_HEADERS | END_STREAM, stream, block)
}

fn reset_by(stream: u32, error: u32) -> Vec<u8> {
    frame(kind::RESET, 0, stream, &error.to_be_bytes())
}

fn ended_by(error: u32) -> Vec<u8> {
    ended_with(error, b"in words")
}

fn ended_with(error: u32, words: &[u8]) -> Vec<u8> {
    frame(kind::GOAWAY, 0, 0, &[&[0, 0, 0, 7][..], &error.to_be_bytes(), words].concat())
}

/// The reasons for which these bytes refuse something.
fn told(said: &[u8]) -> Vec<&'static str> {
    let (mut refusals, mut reasons) = (Http2Refusals::new(), Vec::new());
    refusals.sent(said, |reason| reasons.push(reason));
    reasons
}

#[test]
fn what_a_peer_is_at_fault_for_is_told_and_how_a_call_or_a_connection_went_on_is_not() {
    for (error, by_reset, by_end) in [
        (0, None, None),
        (error::PROTOCOL, Some(VIOLATED), Some(VIOLATED)),
        (2, None, None),
        (error::FLOW_CONTROL, Some(VIOLATED), Some(VIOLATED)),
        (4, None, None),
        (error::STREAM_CLOSED, None, Some(VIOLATED)),
        (error::FRAME_SIZE, Some(VIOLATED), Some(VIOLATED)),
        (error::REFUSED_STREAM, Some(FULL), None),
        (CANCEL, None, None),
        (error::COMPRESSION, Some(VIOLATED), Some(VIOLATED)),
        (10, None, None),
        (error::CALM, Some(TOO_MUCH), Some(TOO_MUCH)),
        (12, None, None),
        (13, None, None),
    ] {
        assert_eq!(told(&reset_by(1, error)), Vec::from_iter(by_reset), "a reset by {error}");
        assert_eq!(told(&ended_by(error)), Vec::from_iter(by_end), "an end by {error}");
    }
    assert_eq!(told(&ended_with(error::CALM, FAR_TOO_LARGE)), [CUT]);
}

#[test]
fn replies_refuse_nothing_whatever_they_carry() {
    let replies = [
        frame(SETTINGS, 0, 0, &[]),
        frame(kind::HEADERS, END_HEADERS, 1, &[&[OK][..], &OTHER_ADDED].concat()),
        frame(DATA, 0, 1, &reset_by(1, error::PROTOCOL)),
        headers(1, &[0xbe]),
        headers(3, &[&[OK, 0xbe][..], &OTHER_ADDED].concat()),
        frame(PING, 1, 0, &[7; 8]),
    ];
    assert_eq!(told(&replies.concat()), [""; 0]);
}

#[test]
fn a_cut_is_found_wherever_the_table_has_it_and_its_reset_is_no_second_one() {
    let said = [
        headers(1, &CUT_ADDED),
        headers(3, &[0xbe]),
        // What is added moves it on; a block may come in two frames.
        frame(kind::HEADERS, 0, 5, &[&[OK][..], &OTHER_ADDED[..2]].concat()),
        frame(kind::CONTINUATION, END_HEADERS, 5, &OTHER_ADDED[2..]),
        headers(7, &[0xbe]),
        headers(9, &[0xbf]),
        // The table is to be of another size.
        headers(11, &[0x3f, 0xe1, 0x1f, 0xbf]),
        // In the midst of a block it would be another field.
        headers(13, &[OK, 0xbf]),
        reset_by(1, error::PROTOCOL),
        reset_by(9, error::PROTOCOL),
        reset_by(7, error::PROTOCOL),
    ]
    .concat();
    assert_eq!(told(&said), [CUT, CUT, CUT, CUT, VIOLATED]);
    assert_eq!(told(&headers(1, &[0x08, 0x83, 0x69, 0x90, 0xff])), [CUT], "where there is no table");
    let cuts = (0..1_000_u32).map(|number| headers(2 * number + 1, &CUT_ADDED));
    let mut refusals = Http2Refusals::new();
    let mut count = 0;
    refusals.sent(&cuts.collect::<Vec<_>>().concat(), |_| count += 1);
    assert_eq!((count, refusals.cut.len()), (1_000, CUT_MAX));
}

#[test]
fn the_length_of_the_pieces_does_not_matter() {
    let said =
        [headers(1, &CUT_ADDED), frame(DATA, 0, 3, &[9; 100]), reset_by(3, error::PROTOCOL), ended_by(error::CALM)];
    for length in 1..40 {
        let (mut refusals, mut reasons) = (Http2Refusals::new(), Vec::new());
        said.concat().chunks(length).for_each(|piece| refusals.sent(piece, |reason| reasons.push(reason)));
        assert_eq!(reasons, [CUT, VIOLATED, TOO_MUCH], "{length}");
    }
}

/// A frame that carries nothing is over with its head, and none of what follows is waited for.
#[test]
fn a_frame_that_is_a_head_alone_is_taken_with_its_last_byte() {
    let begun = frame(kind::HEADERS, 0, 1, &CUT_ADDED);
    let end = frame(kind::CONTINUATION, END_HEADERS, 1, &[]);
    let (mut refusals, mut reasons) = (Http2Refusals::new(), Vec::<&str>::new());
    for piece in [&begun[..9], &[], &begun[9..], &end[..8], &end[8..]] {
        assert_eq!(reasons, [""; 0]);
        refusals.sent(piece, |reason| reasons.push(reason));
    }
    assert_eq!(reasons, [CUT]);
    // A ping between the two is against the rules, and makes no cut of what follows.
    let other = frame(PING, 1, 0, &[7; 8]);
    assert_eq!(told(&[begun, other, end, reset_by(3, error::PROTOCOL)].concat()), [VIOLATED]);
}

#[test]
fn a_connection_that_does_not_begin_as_one_must_is_told_once() {
    let read = |bytes: &[u8], length: usize| {
        let mut refusals = Http2Refusals::new();
        bytes.chunks(length).filter_map(|piece| refusals.read(piece)).collect::<Vec<_>>()
    };
    for length in 1..60 {
        assert_eq!(read(&[PREFACE, b"GET / HTTP/1.1\r\n\r\n"].concat(), length), [""; 0]);
        assert_eq!(read(b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n", length), [VIOLATED]);
        assert_eq!(read(b"PRI * HTTP/2.1\r\n\r\nSM\r\n\r\n", length), [VIOLATED]);
    }
}

/// A field that no table remembers.
fn field(name: &str, value: &str) -> Vec<u8> {
    let text = |text: &str| [&[u8::try_from(text.len()).unwrap()][..], text.as_bytes()].concat();
    [vec![0], text(name), text(value)].concat()
}

/// The fields of a request, and one more of this length.
fn request(length: usize) -> Vec<u8> {
    let more = field("x", &"y".repeat(length));
    [field(":method", "POST"), field(":scheme", "https"), field(":path", "/a"), field(":authority", "b"), more].concat()
}

/// The head of a call whose headers are beyond what is read for a 431: four times what may be, in fields that a length of one byte
/// is enough for.
fn far_too_large(stream: u32) -> Vec<u8> {
    let more = (0..10).map(|_| field("x", &"y".repeat(100)));
    let block = [request(1), more.collect::<Vec<_>>().concat()].concat();
    headers(stream, &block)
}

/// The reasons for which the transport's own server refuses these frames, behind a whole beginning.
async fn answered(frames: &[Vec<u8>]) -> Vec<&'static str> {
    let (near, mut far) = tokio::io::duplex(1 << 16);
    tokio::spawn(async move {
        let mut server = h2::server::Builder::new();
        server.max_header_list_size(300).max_concurrent_streams(3);
        let mut connection = server.handshake::<_, Bytes>(near).await.unwrap();
        let mut calls = Vec::new();
        while let Some(Ok(call)) = connection.accept().await {
            calls.push(call);
        }
    });
    far.write_all(&[PREFACE.to_vec(), frame(SETTINGS, 0, 0, &[]), frames.concat()].concat()).await.unwrap();
    let mut said = Vec::new();
    // Until nothing more is said: the clock moves on while nobody has anything to do.
    while let Ok(Ok(1..)) = tokio::time::timeout(Duration::from_secs(1), far.read_buf(&mut said)).await {}
    told(&said)
}

#[tokio::test(start_paused = true)]
async fn what_the_transport_refuses_by_itself_is_found() {
    let call = |stream: u32, block: &[u8], end: u8| frame(kind::HEADERS, END_HEADERS | end, stream, block);
    let whole = |stream: u32| call(stream, &request(1), END_STREAM);
    assert_eq!(answered(&[whole(1), whole(3)]).await, [""; 0]);
    // Bare 431: with and without an end of the call's own, and thrice.
    for end in [0, END_STREAM] {
        assert_eq!(answered(&[call(1, &request(120), end)]).await, [CUT], "{end}");
        let thrice = [1, 3, 5].map(|stream| call(stream, &request(120), end));
        assert_eq!(answered(&thrice).await, [CUT; 3], "{end}");
    }
    assert_eq!(answered(&[far_too_large(1)]).await, [CUT], "beyond what gets a 431");
    let odd = [field(":method", "POST"), field("connection", "close")].concat();
    assert_eq!(answered(&[call(1, &odd, END_STREAM)]).await, [VIOLATED], "a malformed call");
    assert_eq!(answered(&[1, 3, 5, 7].map(whole)).await, [FULL], "more calls than there may be");
    // Whoever gives up its calls breaks no rule: not by a few, and not by more than the transport takes.
    let given_up = |stream: u32| [whole(stream), reset_by(stream, CANCEL)].concat();
    assert_eq!(answered(&[whole(1), whole(3), reset_by(1, CANCEL), reset_by(3, CANCEL)]).await, [""; 0]);
    assert_eq!(answered(&Vec::from_iter((0..100).map(|number| given_up(2 * number + 1)))).await, [TOO_MUCH]);
    for (what, bad) in [
        ("no such index", call(1, &[0xff, 0xff, 0x7f], END_STREAM)),
        ("a frame of no length that it has", frame(PING, 0, 0, &[7; 7])),
        ("data of no call", frame(DATA, 0, 1, &[7])),
        ("an even stream", whole(2)),
    ] {
        assert_eq!(answered(&[bad]).await, [VIOLATED], "{what}");
    }
}
