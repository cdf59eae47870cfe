//! Accepting by itself: the order to stop, a listener in trouble, and a full house. No handshake goes on here.

use std::os::fd::OwnedFd;
use std::path::Path;

use tokio::io::AsyncReadExt;
use tokio::net::UnixStream;
use tokio::time::timeout;

use super::*;
use crate::config::Tls;
use crate::dev_certs::{self, DevCerts};
use crate::edge::Edge;
use crate::stop::{self, StopHandle};

/// How long anything may take before a test gives up.
const PATIENCE: Duration = Duration::from_secs(60);

const DIRECTORY: [(&str, &str); 3] = [
    ("organisations.csv", "ods_code,name,contact_phone,successor_code\nR1H,Barts,01632 960100,\n"),
    ("sites.csv", "ods_site_code,name,organisation_code\nR1H12,Royal London,R1H\n"),
    (
        "authorities.csv",
        "gss_code,name,office_phone,out_of_hours_phone,office_opens,office_closes\n\
         E06000001,Hartlepool,01632 960200,01632 960201,08:30,17:00\n",
    ),
];

pub(crate) fn tls(dir: &Path) -> TlsState {
    for (name, text) in DIRECTORY {
        std::fs::write(dir.join(name), text).unwrap();
    }
    let request = DevCerts {
        out: dir.to_owned(),
        directory: dir.to_owned(),
        hosts: Vec::new(),
        days: 1,
        trust_domain: "kith.test".to_owned(),
        force: false,
    };
    dev_certs::make(&request).unwrap();
    let files = Tls {
        certificate: dir.join("server.pem"),
        key: dir.join("server.key"),
        client_ca: dir.join("ca.pem"),
        ..Tls::default()
    };
    TlsState::load(files, "kith.test").unwrap()
}

/// An acceptor that nobody's silence tires.
fn acceptor(max_connections: usize) -> (Arc<Acceptor>, StopHandle, StopSignal) {
    let dir = tempfile::tempdir().unwrap();
    let limits = Limits {
        max_connections,
        share_percent: 100,
        hello_timeout_ms: 600_000,
        handshake_timeout_ms: 600_000,
        ..Limits::default()
    };
    let report = Arc::new(ShedReport::new(Edge::default()));
    let acceptor = Acceptor::new(Arc::new(tls(dir.path())), limits, Vec::new(), report);
    let (stop, signal) = stop::channel();
    (Arc::new(acceptor), stop, signal)
}

async fn listening() -> (TcpListener, SocketAddr) {
    let listener = TcpListener::bind(SocketAddr::from(([127, 0, 0, 1], 0))).await.unwrap();
    let at = listener.local_addr().unwrap();
    (listener, at)
}

async fn until(what: &str, met: impl Fn() -> bool) {
    let waited = timeout(PATIENCE, async {
        while !met() {
            tokio::task::yield_now().await;
        }
    });
    waited.await.unwrap_or_else(|_| panic!("waited in vain: {what}"));
}

#[tokio::test]
async fn the_order_to_stop_ends_accepting_and_closes_the_listener() {
    let (acceptor, stop, signal) = acceptor(8);
    let (listener, at) = listening().await;
    let running = tokio::spawn(Arc::clone(&acceptor).run(listener, signal));
    let before = TcpStream::connect(at).await.unwrap();
    until("the connection is taken", || acceptor.connections.held() == 1).await;
    assert!(!running.is_finished(), "nobody gave an order");
    stop.drain();
    timeout(PATIENCE, running).await.expect("accepting ends").unwrap();
    assert!(TcpStream::connect(at).await.is_err(), "nobody listens any more");
    assert_eq!(acceptor.connections.held(), 1, "what was taken before goes on");
    drop(before);
}

/// A listener for sockets of another kind: each accepting takes one who comes, and fails.
fn troubled(at: &Path) -> TcpListener {
    let listener = std::os::unix::net::UnixListener::bind(at).unwrap();
    listener.set_nonblocking(true).unwrap();
    TcpListener::from_std(std::net::TcpListener::from(OwnedFd::from(listener))).unwrap()
}

/// The clock stands, and moves only while nothing else can: by as much as accepting pauses.
#[tokio::test(start_paused = true)]
async fn a_listener_in_trouble_is_asked_again_after_a_pause_and_hears_the_order_to_stop() {
    let (acceptor, stop, signal) = acceptor(8);
    let dir = tempfile::tempdir().unwrap();
    let at = dir.path().join("listens");
    let running = tokio::spawn(Arc::clone(&acceptor).run(troubled(&at), signal));
    let began = tokio::time::Instant::now();
    for trouble in 0..4_u32 {
        let mut comes = UnixStream::connect(&at).await.unwrap();
        assert_eq!(comes.read(&mut [0]).await.unwrap(), 0, "it was taken, and that failed");
        let took = began.elapsed();
        assert!(took >= ACCEPT_PAUSE * trouble, "{took:?} for {trouble} failures before this one");
    }
    assert!(!running.is_finished(), "trouble is no end");
    assert_eq!(acceptor.connections.held(), 0, "no place is taken by what failed");
    stop.drain();
    timeout(PATIENCE, running).await.expect("accepting ends").unwrap();
}

#[tokio::test]
async fn a_full_house_closes_who_comes_counts_them_lets_others_in_later_and_hears_the_order_to_stop() {
    let (acceptor, stop, signal) = acceptor(1);
    let (listener, at) = listening().await;
    let running = tokio::spawn(Arc::clone(&acceptor).run(listener, signal));
    let first = TcpStream::connect(at).await.unwrap();
    until("the first is taken", || acceptor.connections.held() == 1).await;
    for closed in 1..=3 {
        let mut late = TcpStream::connect(at).await.unwrap();
        let read = timeout(PATIENCE, late.read(&mut [0])).await.expect("the server closes it");
        assert!(matches!(read, Ok(0) | Err(_)), "{read:?}");
        assert_eq!(acceptor.report.counts().counted(Shed::All), closed);
        assert_eq!(acceptor.connections.held(), 1);
    }
    drop(first);
    until("its place is given back", || acceptor.connections.held() == 0).await;
    let again = TcpStream::connect(at).await.unwrap();
    until("there is room again", || acceptor.connections.held() == 1).await;
    stop.drain();
    timeout(PATIENCE, running).await.expect("accepting ends").unwrap();
    drop(again);
}
