//! Tests of gathered writes, alone and under HTTP/2.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Wake, Waker};

use tokio::io::{AsyncReadExt, AsyncWriteExt, DuplexStream};
use tonic::codegen::Bytes;

use super::*;

/// Counts the writes that reach the peer.
struct Counted {
    inner: DuplexStream,
    writes: Arc<AtomicUsize>,
}

impl AsyncRead for Counted {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.inner).poll_read(cx, buffer)
    }
}

impl AsyncWrite for Counted {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.inner).poll_write(cx, bytes);
        self.writes.fetch_add(usize::from(written.is_ready()), Ordering::Relaxed);
        written
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.inner).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.inner).poll_shutdown(cx)
    }
}

#[derive(Default)]
struct Wakes(AtomicUsize);

impl Wake for Wakes {
    fn wake(self: Arc<Self>) {
        self.0.fetch_add(1, Ordering::Relaxed);
    }
}

fn gathered(room: usize) -> (Gather<Counted>, DuplexStream, Arc<AtomicUsize>) {
    let (inner, peer) = tokio::io::duplex(room);
    let writes = Arc::new(AtomicUsize::new(0));
    (Gather::new(Counted { inner, writes: Arc::clone(&writes) }), peer, writes)
}

fn write(gather: &mut Gather<Counted>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
    Pin::new(gather).poll_write(cx, bytes)
}

fn read(gather: &mut Gather<Counted>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
    Pin::new(gather).poll_read(cx, &mut ReadBuf::new(&mut [0; 16]))
}

#[tokio::test]
async fn what_is_flushed_is_sent_at_the_next_poll_which_is_asked_for() {
    let (mut gather, mut peer, writes) = gathered(1024);
    let wakes = Arc::new(Wakes::default());
    let waker = Waker::from(Arc::clone(&wakes));
    let cx = &mut Context::from_waker(&waker);
    for part in [b"one ", b"two "] {
        assert!(write(&mut gather, cx, part).is_ready());
        assert!(Pin::new(&mut gather).poll_flush(cx).is_ready());
    }
    assert_eq!(wakes.0.load(Ordering::Relaxed), 1, "asked for once");
    assert_eq!(writes.load(Ordering::Relaxed), 0);
    assert!(read(&mut gather, cx).is_pending());
    assert_eq!(writes.load(Ordering::Relaxed), 1);
    let mut found = [0; 8];
    peer.read_exact(&mut found).await.unwrap();
    assert_eq!(&found, b"one two ");
    assert!(write(&mut gather, cx, b"three").is_ready() && Pin::new(&mut gather).poll_flush(cx).is_ready());
    assert_eq!(wakes.0.load(Ordering::Relaxed), 2, "asked for again");
}

#[tokio::test]
async fn a_peer_that_takes_nothing_stops_writing_at_the_bound() {
    let (mut gather, mut peer, _) = gathered(10);
    let cx = &mut Context::from_waker(Waker::noop());
    let part = [7; 1000];
    let mut taken = 0;
    while write(&mut gather, cx, &part).is_ready() {
        taken += part.len();
        assert!(taken < MAX_BYTES + 2 * part.len(), "without a bound");
        assert!(Pin::new(&mut gather).poll_flush(cx).is_ready() && read(&mut gather, cx).is_pending());
    }
    let reading = async {
        let mut found = vec![0; taken];
        peer.read_exact(&mut found).await.unwrap();
        (found, peer)
    };
    // Everything arrives once the peer takes it; and shutting down sends what is left.
    let ((found, mut peer), ()) = tokio::join!(reading, async { gather.shutdown().await.unwrap() });
    assert!(found.iter().all(|byte| *byte == 7));
    assert_eq!(peer.read(&mut [0; 1]).await.unwrap(), 0, "the end");
}

#[tokio::test]
async fn a_peer_that_is_gone_is_an_error_of_reading() {
    let (mut gather, peer, _) = gathered(10);
    drop(peer);
    let cx = &mut Context::from_waker(Waker::noop());
    assert!(write(&mut gather, cx, b"lost").is_ready() && Pin::new(&mut gather).poll_flush(cx).is_ready());
    assert!(matches!(read(&mut gather, cx), Poll::Ready(Err(_))));
}

/// Headers, a message too long for HTTP/2's writer to copy, and trailers.
async fn reply(mut respond: h2::server::SendResponse<Bytes>) {
    let mut body = respond.send_response(http::Response::new(()), false).unwrap();
    body.send_data(Bytes::from_static(&[0; 4101]), false).unwrap();
    body.send_trailers(http::HeaderMap::new()).unwrap();
}

#[tokio::test]
async fn a_reply_leaves_in_one_write() {
    const CALLS: usize = 20;
    let (gather, peer, writes) = gathered(1 << 20);
    tokio::spawn(async move {
        let mut connection = h2::server::handshake(gather).await.unwrap();
        while let Some(Ok((_, respond))) = connection.accept().await {
            tokio::spawn(reply(respond));
        }
    });
    let (client, connection) = h2::client::handshake(peer).await.unwrap();
    tokio::spawn(connection);
    let mut client = client.ready().await.unwrap();
    let mut for_each = Vec::new();
    for _ in 0..CALLS {
        let before = writes.load(Ordering::Relaxed);
        let (response, _) = client.send_request(http::Request::new(()), true).unwrap();
        let mut body = response.await.unwrap().into_body();
        let mut length = 0;
        while let Some(data) = body.data().await {
            length += data.unwrap().len();
        }
        assert_eq!(length, 4101);
        assert!(body.trailers().await.unwrap().is_some());
        for_each.push(writes.load(Ordering::Relaxed) - before);
    }
    // The first ones also answer the connection's settings.
    assert_eq!(for_each[2..], [1; CALLS - 2], "{for_each:?}");
}

#[tokio::test]
async fn a_message_of_a_stream_is_not_held_back_until_the_next() {
    let (gather, peer, _) = gathered(1 << 20);
    let (next, mut wanted) = tokio::sync::mpsc::channel::<()>(1);
    tokio::spawn(async move {
        let mut connection = h2::server::handshake(gather).await.unwrap();
        let (_, mut respond) = connection.accept().await.unwrap().unwrap();
        tokio::spawn(async move {
            let mut body = respond.send_response(http::Response::new(()), false).unwrap();
            while wanted.recv().await.is_some() {
                body.send_data(Bytes::from_static(&[0; 2000]), false).unwrap();
            }
            body.send_data(Bytes::new(), true).unwrap();
        });
        while connection.accept().await.is_some() {}
    });
    let (client, connection) = h2::client::handshake(peer).await.unwrap();
    tokio::spawn(connection);
    let mut client = client.ready().await.unwrap();
    let (response, _) = client.send_request(http::Request::new(()), true).unwrap();
    let mut body = response.await.unwrap().into_body();
    for _ in 0..5 {
        next.send(()).await.unwrap();
        assert_eq!(body.data().await.unwrap().unwrap().len(), 2000);
    }
    drop(next);
    assert!(body.data().await.unwrap().unwrap().is_empty());
}
