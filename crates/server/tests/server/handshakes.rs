//! Handshakes and calls are each other's business nowhere: threads that answer calls do no handshake, and whatever the thread
//! does that accepts connections, calls go on. Threads are held whole, so that nothing here goes by a clock.

use std::fmt::Debug;
use std::sync::Arc;

use rustls::version::TLS13;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpSocket, TcpStream};
use tokio_rustls::client::TlsStream;
use tonic::Code;
use tracing::field::{Field, Visit};
use tracing::span::{Attributes, Id, Record};
use tracing::{Event, Metadata, Subscriber};

use kith_server::config::Config;

use crate::harness::{ED, LA, PREFACE, TestServer, call, client};
use crate::limits::hello;
use crate::probe::Gate;

/// Nothing is given up while threads are held.
fn patient(config: &mut Config) {
    config.limits.handshake_timeout_ms = 600_000;
    config.limits.hello_timeout_ms = 600_000;
    config.limits.request_timeout_ms = 60_000;
}

/// Whether the server closed the connection, during the handshake or right after it.
async fn is_closed(connected: std::io::Result<TlsStream<TcpStream>>) -> bool {
    let Ok(mut stream) = connected else { return true };
    !matches!(stream.read(&mut [0]).await, Ok(read) if read > 0)
}

/// With every data thread held in the midst of a call, handshakes go through to their ends: whoever shows no certificate is sent
/// away, whoever shows one is known by it and counted, and waits for nothing but a thread that answers calls.
#[test]
fn handshakes_are_done_while_no_thread_that_answers_calls_moves() {
    let server = TestServer::ready(|config| {
        config.limits.max_connections_per_organisation = 2;
        patient(config);
    });
    let (own, other) = (server.authority.client(&[ED]), server.authority.client(&[LA]));
    client(async {
        let (mut first, mut second) = (server.wire_client(ED).await, server.wire_client(ED).await);
        let calls = [first.send("Hold", None), second.send("Hold", None)].map(tokio::spawn);
        while server.gate.held().len() < 2 {
            tokio::task::yield_now().await;
        }
        let mut threads = server.gate.held();
        threads.sort();
        assert_eq!(threads, ["kithd-data-0", "kithd-data-1"], "all that there are");

        assert!(is_closed(server.tls(None, &[&TLS13]).await).await, "no certificate");
        assert!(is_closed(server.tls(Some(&own), &[&TLS13]).await).await, "one more than its organisation may have");
        assert_eq!(server.shed("organisation"), 1, "it was known whose it is");
        let mut waits = server.tls(Some(&other), &[&TLS13]).await.unwrap();
        waits.write_all(PREFACE).await.unwrap();

        server.gate.open();
        for call in calls {
            assert_eq!(call.await.unwrap().code(), Code::Ok);
        }
        let mut settings = [0_u8; 9];
        waits.read_exact(&mut settings).await.unwrap();
    });
}

/// Holds each thread that logs something of one peer's connection.
struct Holds {
    gate: Arc<Gate>,
    peer: String,
}

/// Whether what is logged is of this peer.
struct Seen<'a> {
    peer: &'a str,
    is_it: bool,
}

impl Visit for Seen<'_> {
    fn record_debug(&mut self, field: &Field, value: &dyn Debug) {
        self.is_it |= field.name() == "address" && format!("{value:?}") == self.peer;
    }
}

impl Subscriber for Holds {
    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        metadata.target() == "kith_server::accept"
    }

    fn new_span(&self, _: &Attributes<'_>) -> Id {
        Id::from_u64(1)
    }

    fn record(&self, _: &Id, _: &Record<'_>) {}

    fn record_follows_from(&self, _: &Id, _: &Id) {}

    fn event(&self, event: &Event<'_>) {
        let mut seen = Seen { peer: &self.peer, is_it: false };
        event.record(&mut seen);
        if seen.is_it {
            self.gate.hold();
        }
    }

    fn enter(&self, _: &Id) {}

    fn exit(&self, _: &Id) {}
}

/// Lets every thread go, also where the test fails: a server whose threads are held never ends.
struct Opens(Arc<Gate>);

impl Drop for Opens {
    fn drop(&mut self) {
        self.0.open();
    }
}

/// The thread that does handshakes is held in the midst of one, and the only thread that answers calls goes on.
#[test]
fn calls_are_answered_while_the_thread_that_does_handshakes_stands_still() {
    let server = TestServer::ready(|config| {
        config.server.data_threads = 1;
        patient(config);
    });
    let gate = Arc::new(Gate::default());
    let _opens = Opens(Arc::clone(&gate));
    let pair = server.authority.client(&[ED]);
    client(async {
        let channel = server.channel(ED).await;
        assert_eq!(call(&channel, "Who", &[]).await.code(), Code::Ok);
        let socket = TcpSocket::new_v4().unwrap();
        socket.bind("127.0.0.1:0".parse().unwrap()).unwrap();
        let peer = socket.local_addr().unwrap().to_string();
        tracing::subscriber::set_global_default(Holds { gate: Arc::clone(&gate), peer }).unwrap();
        // Without a certificate, which is worth a line in the log.
        let stranger = server.tls_over(socket.connect(server.address).await.unwrap(), None, &[&TLS13]).await;
        while gate.held().is_empty() {
            tokio::task::yield_now().await;
        }
        assert_eq!(gate.held(), ["kithd-accept"], "no other thread does handshakes");
        for _ in 0..200 {
            assert_eq!(call(&channel, "Who", &[]).await.code(), Code::Ok);
        }
        gate.open();
        assert!(is_closed(stranger).await);
        assert!(server.takes(Some(&pair)).await, "and it goes on");
    });
}

/// What a client can do from outside: it begins hundreds of handshakes and finishes none. Calls on open connections go on, and
/// others come in. This says nothing of which thread does them.
#[test]
fn hundreds_of_handshakes_that_are_never_finished_hold_up_no_call_and_keep_nobody_out() {
    const HALF_OPEN: usize = 200;
    let server = TestServer::ready(patient);
    let hello = hello(&server);
    client(async {
        let channel = server.channel(ED).await;
        let mut half_open = Vec::new();
        for _ in 0..HALF_OPEN {
            let socket = TcpSocket::new_v4().unwrap();
            socket.bind("127.0.0.2:0".parse().unwrap()).unwrap();
            let mut tcp = socket.connect(server.address).await.unwrap();
            tcp.write_all(&hello).await.unwrap();
            half_open.push(tcp);
            assert_eq!(call(&channel, "Who", &[]).await.code(), Code::Ok);
        }
        // The server has said its part to the first, and waits for more of it.
        half_open[0].read_exact(&mut [0]).await.unwrap();
        for uri in [LA, ED] {
            let late = server.channel(uri).await;
            for asking in [&channel, &late] {
                assert_eq!(call(asking, "Who", &[]).await.code(), Code::Ok);
            }
        }
        for shed in ["address", "handshake", "all"] {
            assert_eq!(server.shed(shed), 0, "{shed}: they are still under way");
        }
    });
}
