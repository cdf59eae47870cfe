//! Certificates replaced while connections are open.

use std::fs;
use std::os::fd::AsFd;
use std::path::PathBuf;
use std::pin::Pin;
use std::sync::Arc;
use std::task::Poll;
use std::time::{Duration, SystemTime};

use kith_server::config::Config;
use kith_server::tls::Part;
use rustls::version::TLS13;
use rustls_pki_types::UnixTime;
use tokio::net::TcpStream;
use tokio_rustls::client::TlsStream;
use tonic::transport::Channel;
use tonic::{Code, Status, Streaming};
use tonic_health::pb::health_client::HealthClient;
use tonic_health::pb::{HealthCheckRequest, HealthCheckResponse};
use tonic_types::StatusExt;

use crate::authority::{Authority, LASTING, Pair};
use crate::harness::{ED, LA, LIST, TestServer, call, client, wire_over};
use crate::raw::{self, ACK, DATA, END_STREAM, HEADERS, PING, Raw, frame};

/// The server's certificate as a new connection sees it.
async fn presented(server: &TestServer, pair: &Pair) -> Vec<u8> {
    let stream = server.tls(Some(pair), &[&TLS13]).await.unwrap();
    stream.get_ref().1.peer_certificates().unwrap()[0].to_vec()
}

fn replace(server: &TestServer) {
    server.authority.server().write(&server.path("server.pem"), &server.path("server.key"));
}

#[test]
fn new_connections_see_the_new_certificate_and_open_ones_go_on() {
    let server = TestServer::ready(|_| {});
    let pair = server.authority.client(&[ED]);
    client(async {
        let open = server.connect(&pair).await.unwrap();
        assert_eq!(call(&open, "Who", &[]).await.code(), Code::Ok);
        let before = presented(&server, &pair).await;
        replace(&server);
        assert_eq!(presented(&server, &pair).await, before, "only a reload may change it");
        server.tls.reload().unwrap();
        assert_ne!(presented(&server, &pair).await, before);
        assert_eq!(call(&open, "Who", &[]).await.code(), Code::Ok);
    });
}

#[test]
fn changed_files_are_noticed() {
    let server = TestServer::ready(|config| config.tls.reload_interval_ms = 50);
    let pair = server.authority.client(&[ED]);
    client(async {
        let open = server.connect(&pair).await.unwrap();
        let before = presented(&server, &pair).await;
        replace(&server);
        while presented(&server, &pair).await == before {
            tokio::task::yield_now().await;
        }
        assert_eq!(call(&open, "Who", &[]).await.code(), Code::Ok);
    });
}

/// As where the disk of everything else hangs: an authority's file, a listing, whatever is read for others.
#[test]
fn changed_files_are_noticed_though_the_control_threads_hang() {
    const CONTROL_THREADS: usize = 2;
    let server = TestServer::ready(|config| config.tls.reload_interval_ms = 50);
    let pair = server.authority.client(&[ED]);
    let control = server.control.get().unwrap();
    for _ in 0..CONTROL_THREADS {
        let gate = Arc::clone(&server.gate);
        control.spawn(async move { gate.hold() });
    }
    client(async {
        while server.gate.held().len() < CONTROL_THREADS {
            tokio::task::yield_now().await;
        }
        let before = presented(&server, &pair).await;
        replace(&server);
        while presented(&server, &pair).await == before {
            tokio::task::yield_now().await;
        }
    });
}

#[test]
fn a_certificate_that_is_not_in_force_yet_comes_into_force_by_itself() {
    let server = TestServer::ready(|config| config.tls.reload_interval_ms = 50);
    let pair = server.authority.client(&[ED]);
    let soon = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap() + Duration::from_secs(5);
    let next = server.authority.server_but(|params| params.not_before = rcgen::date_time_ymd(1970, 1, 1) + soon);
    client(async {
        let before = presented(&server, &pair).await;
        next.write(&server.path("server.pem"), &server.path("server.key"));
        until(|| !server.tls.failed().is_empty()).await;
        assert_eq!(server.tls.failed(), [Part::Certificate]);
        assert_eq!(presented(&server, &pair).await, before);
        // Nobody touches the files again.
        until(|| server.tls.failed().is_empty()).await;
        assert_ne!(presented(&server, &pair).await, before);
    });
}

/// Waits for what the server does by itself, as long as a test may take.
async fn until(met: impl Fn() -> bool) {
    while !met() {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

#[test]
fn a_bad_new_file_keeps_the_old_one_in_force() {
    let server = TestServer::ready(|_| {});
    let pair = server.authority.client(&[ED]);
    client(async {
        let before = presented(&server, &pair).await;
        for (name, content) in [
            ("server.pem", String::from("no certificate")),
            ("server.key", String::new()),
            ("clients.pem", String::from("-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n")),
            ("server.pem", Authority::new().server().certificate),
        ] {
            let path = server.path(name);
            let good = fs::read(&path).unwrap();
            fs::write(&path, &content).unwrap();
            assert!(server.tls.reload().is_err(), "{name} was taken");
            assert_eq!(presented(&server, &pair).await, before);
            fs::write(&path, good).unwrap();
        }
        server.tls.reload().unwrap();
    });
}

/// What a call under a certificate that no longer stands is told.
fn is_told(status: &Status) -> bool {
    let reason = status.get_details_error_info().map(|info| info.reason);
    status.code() == Code::Unauthenticated && reason.as_deref() == Some("CERTIFICATE_NOT_TRUSTED")
}

/// Whether a new connection with this certificate can ask.
async fn can_ask(server: &TestServer, pair: &Pair) -> bool {
    match server.connect(pair).await {
        Ok(channel) => call(&channel, "Who", &[]).await.code() == Code::Ok,
        Err(_) => false,
    }
}

/// A stream that lasts until somebody ends it.
async fn watch(channel: &Channel) -> Streaming<HealthCheckResponse> {
    let mut client = HealthClient::new(channel.clone());
    let mut stream = client.watch(HealthCheckRequest::default()).await.unwrap().into_inner();
    stream.message().await.unwrap().expect("the state now");
    stream
}

#[test]
fn a_removed_client_authority_is_out_on_open_connections_too_and_nobody_else_is() {
    let server = TestServer::ready(|_| {});
    let next = Authority::new();
    fs::write(server.path("clients.pem"), format!("{}{}", server.authority.pem, next.pem)).unwrap();
    server.tls.reload().unwrap();
    let (old, new) = (server.authority.client(&[ED]), next.client(&[ED]));
    client(async {
        let (open, other) = (server.connect(&old).await.unwrap(), server.connect(&new).await.unwrap());
        let (mut ends, mut goes_on) = (watch(&open).await, watch(&other).await);
        assert_eq!(call(&open, "Who", &[]).await.code(), Code::Ok);

        fs::write(server.path("clients.pem"), &next.pem).unwrap();
        server.tls.reload().unwrap();

        assert!(is_told(&ends.message().await.unwrap_err()), "the open stream was not ended");
        assert!(is_told(&call(&open, "Who", &[]).await), "the next call was answered");
        assert!(!can_ask(&server, &old).await);
        for _ in 0..50 {
            assert_eq!(call(&other, "Who", &[]).await.code(), Code::Ok, "somebody else's call failed");
        }
        let more = tokio::time::timeout(Duration::from_millis(1), goes_on.message());
        assert!(more.await.is_err(), "somebody else's stream ended");
    });
}

#[test]
fn a_connection_is_closed_once_its_calls_in_progress_were_told() {
    let server = TestServer::ready(|_| {});
    client(async {
        let (mut open, closed) = server.wire_connection(ED).await;
        let under_way = open.send("Wait", Some("60S"));
        // Sent after it on the same connection: when this one is answered, that one has arrived.
        assert_eq!(open.send("Who", None).await.code(), Code::Ok);
        fs::write(server.path("clients.pem"), Authority::new().pem).unwrap();
        server.tls.reload().unwrap();
        assert!(is_told(&under_way.await), "what was asked while it stood went on");
        closed.await.unwrap();
    });
}

/// Whoever has a stolen key sends the head of a call while its certificate stands, and the message when it likes.
#[test]
fn a_call_whose_message_is_withheld_ends_when_the_certificate_falls() {
    let server = TestServer::ready(|_| {});
    client(async {
        let mut raw = Raw::connect(&server, ED).await;
        for stream in [1, 3, 5] {
            raw.send(&raw::call(stream, "Wait", false)).await;
        }
        // When this is answered, what came before it has arrived.
        raw.send(&frame(PING, 0, 0, &[7; 8])).await;
        assert!(raw.until(PING, ACK).await.is_some());
        fs::write(server.path("clients.pem"), Authority::new().pem).unwrap();
        server.tls.reload().unwrap();
        for _ in 0..3 {
            assert!(raw.until(HEADERS, END_STREAM).await.is_some(), "a call was not ended");
        }
        raw.send(&frame(DATA, END_STREAM, 1, &[0, 0, 0, 0, 0])).await;
        assert_eq!(raw.ended().await.1, 0, "something was answered");
    });
}

#[test]
fn a_revoked_certificate_is_out_on_open_connections_too() {
    let authority = Authority::new();
    let (standing, revoked) = (authority.client(&[ED]), authority.client(&[LA]));
    let empty = authority.list(&[], LASTING);
    let server = TestServer::with_list(authority, &empty, |config| config.tls.reload_interval_ms = 50);
    client(async {
        let (other, open) = (server.connect(&standing).await.unwrap(), server.connect(&revoked).await.unwrap());
        let mut stream = watch(&open).await;
        // The file alone: the server notices by itself.
        fs::write(server.path(LIST), server.authority.list(&[revoked.serial], (2021, 2999))).unwrap();
        assert!(is_told(&stream.message().await.unwrap_err()));
        assert!(is_told(&call(&open, "Who", &[]).await));
        assert!(!can_ask(&server, &revoked).await);
        assert_eq!(call(&other, "Who", &[]).await.code(), Code::Ok);
    });
}

/// A handshake that the client has begun, and the server answered.
struct HalfWay<'a>(Pin<Box<dyn Future<Output = std::io::Result<TlsStream<TcpStream>>> + 'a>>);

impl<'a> HalfWay<'a> {
    async fn of(server: &'a TestServer, pair: &'a Pair) -> Self {
        let tcp = TcpStream::connect(server.address).await.unwrap();
        let beside = std::net::TcpStream::from(tcp.as_fd().try_clone_to_owned().unwrap());
        let beside = TcpStream::from_std(beside).unwrap();
        let handshake = async move { server.tls_over(tcp, Some(pair), &[&TLS13]).await };
        let mut half_way = Self(Box::pin(handshake));
        let begin = |context: &mut std::task::Context<'_>| Poll::Ready(half_way.0.as_mut().poll(context).is_pending());
        assert!(std::future::poll_fn(begin).await, "done before the server could answer");
        // Seen, and left for the handshake: until somebody goes on with it, the server waits for the certificate.
        assert!(beside.peek(&mut [0]).await.unwrap() > 0, "the server has closed it");
        half_way
    }

    /// What its first call is told once the handshake is done.
    async fn asks(self) -> Status {
        match self.0.await {
            Ok(stream) => wire_over(stream).await.0.send("Who", None).await,
            Err(error) => Status::unknown(format!("handshake: {error}")),
        }
    }
}

/// Files that come into force at once, by their names, and who falls by them.
struct Put<'a> {
    files: Vec<(&'static str, String)>,
    falls: Option<&'a Pair>,
}

/// No handshake is given up because the machine is busy.
fn patient(config: &mut Config) {
    config.limits.handshake_timeout_ms = 60_000;
    config.limits.hello_timeout_ms = 60_000;
}

/// Puts files in force, one after another, beside somebody whose certificate stands: they have a call, a stream and a handshake under
/// way, and call and connect without a pause. Whoever falls is told, in the midst of a handshake too.
async fn nobody_else_notices(server: &TestServer, standing: &Pair, puts: Vec<Put<'_>>) {
    let mut wire = server.wire_client(ED).await;
    let under_way = wire.send("Wait", Some("60S"));
    // Sent after it on the same connection: when this one is answered, that one has arrived.
    assert_eq!(wire.send("Who", None).await.code(), Code::Ok);
    let open = server.connect(standing).await.unwrap();
    let mut stream = watch(&open).await;
    for Put { files, falls } in puts {
        let stands = HalfWay::of(server, standing).await;
        let falls = match falls {
            Some(pair) => Some(HalfWay::of(server, pair).await),
            None => None,
        };
        let files: Vec<(PathBuf, String)> = files.into_iter().map(|(name, text)| (server.path(name), text)).collect();
        let tls = Arc::clone(&server.tls);
        let putting = tokio::task::spawn_blocking(move || {
            files.iter().for_each(|(path, text)| fs::write(path, text).unwrap());
            tls.reload().unwrap();
        });
        loop {
            let is_last = putting.is_finished();
            assert_eq!(call(&open, "Who", &[]).await.code(), Code::Ok, "a call on an open connection failed");
            let new = server.connect(standing).await.expect("a handshake of who stands");
            assert_eq!(call(&new, "Who", &[]).await.code(), Code::Ok, "a call on a new connection failed");
            if is_last {
                break;
            }
        }
        putting.await.unwrap();
        assert_eq!(stands.asks().await.code(), Code::Ok, "a handshake under way came to nothing");
        if let Some(falls) = falls {
            assert!(is_told(&falls.asks().await), "who fell during the handshake was answered");
        }
    }
    let soon = Duration::from_millis(1);
    assert!(tokio::time::timeout(soon, stream.message()).await.is_err(), "a stream ended");
    assert!(tokio::time::timeout(soon, under_way).await.is_err(), "a call under way ended");
}

#[test]
fn nobody_else_notices_that_certificates_and_authorities_are_replaced() {
    let server = TestServer::ready(patient);
    let (next, standing) = (Authority::new(), server.authority.client(&[ED]));
    let leaving = next.client(&[ED]);
    let (alone, both) = (server.authority.pem.clone(), format!("{}{}", server.authority.pem, next.pem));
    let mut puts = Vec::new();
    for _ in 0..3 {
        let Pair { certificate, key, serial: _ } = server.authority.server();
        puts.push(Put { files: vec![("server.pem", certificate), ("server.key", key)], falls: None });
        puts.push(Put { files: vec![("clients.pem", both.clone())], falls: None });
        puts.push(Put { files: vec![("clients.pem", alone.clone())], falls: Some(&leaving) });
    }
    client(nobody_else_notices(&server, &standing, puts));
}

#[test]
fn nobody_else_notices_that_somebody_is_revoked() {
    let authority = Authority::new();
    let standing = authority.client(&[ED]);
    let revoked = [(); 4].map(|()| authority.client(&[LA]));
    let empty = authority.list(&[], LASTING);
    let server = TestServer::with_list(authority, &empty, patient);
    let numbers = revoked.each_ref().map(|pair| pair.serial);
    let puts = (2021..).zip(1..).zip(&revoked).map(|((from, count), pair)| {
        let list = server.authority.list(&numbers[..count], (from, 2999));
        Put { files: vec![(LIST, list)], falls: Some(pair) }
    });
    client(nobody_else_notices(&server, &standing, puts.collect()));
}

#[test]
fn a_revoked_authority_between_takes_all_below_it_along() {
    let root = Authority::new();
    let (between, beside) = (root.below("between", |_| {}), root.below("beside", |_| {}));
    let (below, other) = (between.client(&[ED]), beside.client(&[ED]));
    let lists = |revoked: &[u64], years| {
        [root.list(revoked, years), between.list(&[], LASTING), beside.list(&[], LASTING)].concat()
    };
    let (before, after) = (lists(&[], LASTING), lists(&[between.serial], (2021, 2999)));
    let server = TestServer::with_list(root, &before, |_| {});
    client(async {
        let (open, stays) = (server.connect(&below).await.unwrap(), server.connect(&other).await.unwrap());
        assert_eq!(call(&open, "Who", &[]).await.code(), Code::Ok);
        fs::write(server.path(LIST), after).unwrap();
        server.tls.reload().unwrap();
        assert!(is_told(&call(&open, "Who", &[]).await));
        assert_eq!(call(&stays, "Who", &[]).await.code(), Code::Ok);
    });
}

#[test]
fn a_certificate_that_expires_is_out_on_its_open_connection() {
    let server = TestServer::ready(|_| {});
    let short = server.authority.issue(&[ED], |params| params.not_after = rcgen::date_time_ymd(2400, 1, 1));
    let long = server.authority.client(&[LA]);
    client(async {
        let (ends, stays) = (server.connect(&short).await.unwrap(), server.connect(&long).await.unwrap());
        assert_eq!(call(&ends, "Who", &[]).await.code(), Code::Ok);
        assert_eq!(server.tls.examine_open(UnixTime::now()), 0);
        // Some day in 2410.
        let later = UnixTime::since_unix_epoch(Duration::from_secs(440 * 365 * 86_400));
        assert_eq!(server.tls.examine_open(later), 1);
        assert!(is_told(&call(&ends, "Who", &[]).await));
        assert_eq!(call(&stays, "Who", &[]).await.code(), Code::Ok);
    });
}
