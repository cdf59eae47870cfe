//! Signals and neighbours: a stop drains within its limit, certificates change without dropping a call, and a second server
//! on the same data gives no answers.

use std::time::{Duration, Instant};

use kith_api::client::Client;
use kith_api::v1;
use kith_api::v1::submit_events_response::Verdict;
use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;
use tonic::{Code, Streaming};
use tonic_health::pb::HealthCheckRequest;
use tonic_health::pb::health_check_response::ServingStatus;
use tonic_health::pb::health_client::HealthClient;

use crate::harness::build::{self, nhs};
use crate::harness::calls::{self, expect_trouble};
use crate::harness::logs;
use crate::harness::process::Server;
use crate::harness::site::{AUTHORITIES, Site, TRUSTS};
use crate::harness::wait::until;

const LA: &str = AUTHORITIES[0];
const ED: &str = TRUSTS[0];
/// What the server logs when it has read its certificates again.
const RELOADED: &str = "certificates reloaded";
/// The promise, with room for a busy machine to notice that the process has ended.
const DRAIN_LIMIT: Duration = Duration::from_secs(10);

/// A stream of plan events held open.
struct Open {
    events: mpsc::Sender<v1::SubmitEventsRequest>,
    verdicts: Streaming<v1::SubmitEventsResponse>,
    sent: u32,
}

impl Open {
    async fn begin(client: &Client) -> Self {
        let (events, stream) = mpsc::channel(8);
        let verdicts = client.plans().submit_events(ReceiverStream::new(stream)).await.unwrap().into_inner();
        Self { events, verdicts, sent: 0 }
    }

    /// Sends one more event, which must be acknowledged.
    async fn send(&mut self) -> v1::PlanEvent {
        self.sent += 1;
        let plan = build::plan(nhs(self.sent), &format!("L{}", self.sent));
        self.events.send(build::event(plan.clone())).await.unwrap();
        let verdict = self.verdicts.message().await.unwrap().unwrap().verdict.unwrap();
        assert!(matches!(verdict, Verdict::Acknowledgement(_)), "{verdict:?}");
        plan
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_stop_drains_in_time_with_a_stream_open() {
    let mut site = Site::new();
    let server = site.ready().await;
    let client = server.client(LA).await;
    let mut open = Open::begin(&client).await;
    let plan = open.send().await;
    let mut health = HealthClient::new(server.channel("ops").await);
    let request = HealthCheckRequest { service: String::new() };
    let mut watch = health.watch(request).await.unwrap().into_inner();
    while watch.message().await.unwrap().unwrap().status() != ServingStatus::Serving {}

    let told = Instant::now();
    server.signal("-TERM");
    let next = watch.message().await.unwrap().unwrap();
    assert_eq!(next.status(), ServingStatus::NotServing, "a drain is told at once");
    let ended = open.verdicts.message().await;
    expect_trouble(ended, Code::Unavailable, "DRAINING", &[]);
    let log = server.log().to_owned();
    assert_eq!(tokio::task::block_in_place(|| server.exit_code()), Some(0));
    assert!(told.elapsed() < DRAIN_LIMIT, "ended after {:?}", told.elapsed());
    let said = std::fs::read_to_string(log).unwrap();
    assert!(said.contains("\"drained\"") && !said.contains("limit ran out"), "{said}");

    let server = site.ready().await;
    let again = calls::accept(&server.client(LA).await, vec![plan]).await;
    assert!(again[0].repeated, "what was acknowledged before the stop is there");
    tokio::task::block_in_place(|| server.stop());
    site.finish(&[]);
}

/// Has the server read its certificates again, and waits until it has.
fn reload(server: &Server) {
    let reloads = || logs::lines(server.log()).iter().filter(|line| line.message.contains(RELOADED)).count();
    let before = reloads();
    server.signal("-HUP");
    until("the certificates are reloaded", || (reloads() > before).then_some(()));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn new_authorities_drop_no_call_and_the_removed_one_is_out_on_open_connections_too() {
    let mut site = Site::with(&[("tls", "reload_interval_ms", "25000")]);
    let server = site.ready().await;
    let mut open = Open::begin(&server.client(LA).await).await;
    open.send().await;
    std::fs::rename(site.path("certs"), site.path("old-certs")).unwrap();
    site.run(&["dev-certs", "--out", "certs", "--directory", "."]);
    open.send().await;

    // Both authorities for a while: nobody notices.
    let (authorities, new) = (site.path("certs/ca.pem"), std::fs::read_to_string(site.path("certs/ca.pem")).unwrap());
    let old = std::fs::read_to_string(site.path("old-certs/ca.pem")).unwrap();
    std::fs::write(&authorities, format!("{new}{old}")).unwrap();
    reload(&server);
    open.send().await;
    assert!(can_ask_with_old_certificate(&site, &server).await, "who has no new certificate yet");
    let renewed = server.client(ED).await;
    calls::ask(&renewed, build::lookup(ED, nhs(1))).await;
    let mut stream = Open { sent: open.sent, ..Open::begin(&server.client(LA).await).await };
    stream.send().await;

    // The old one is removed.
    std::fs::write(&authorities, new).unwrap();
    reload(&server);
    expect_trouble(open.verdicts.message().await, Code::Unauthenticated, "CERTIFICATE_NOT_TRUSTED", &[]);
    assert!(!can_ask_with_old_certificate(&site, &server).await, "a certificate of the old authority was accepted");
    calls::ask(&renewed, build::lookup(ED, nhs(1))).await;
    stream.send().await;
    drop((open, stream));
    tokio::task::block_in_place(|| server.stop());
    // The connection with the old certificate is closed, a new one refused, and both said so.
    site.finish(&["failed to trust the client certificate", "no longer stand"]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_log_is_trimmed_when_a_signal_asks_and_answers_go_on() {
    let mut site = Site::new();
    let server = site.ready().await;
    let mut open = Open::begin(&server.client(LA).await).await;
    open.send().await;
    let before = calls::ask(&server.client(ED).await, build::lookup(ED, nhs(1))).await;
    assert_eq!(before.plans.as_ref().map(|plans| plans.plans.len()), Some(1));
    server.signal("-USR1");
    until("the log is trimmed", || server.has_logged("the log is trimmed").then_some(()));
    open.send().await;
    drop(open);
    tokio::task::block_in_place(|| server.stop());

    let server = site.ready().await;
    let after = calls::ask(&server.client(ED).await, build::lookup(ED, nhs(1))).await;
    let plans = |answer: v1::Answer| answer.plans.unwrap().plans;
    assert_eq!(plans(before), plans(after), "what was held before the snapshot is held after a start from it");
    tokio::task::block_in_place(|| server.stop());
    site.finish(&[]);
}

/// Asks with the old client certificate, trusting the new server's.
async fn can_ask_with_old_certificate(site: &Site, server: &Server) -> bool {
    let old = site.path("old-certs");
    let mut options = server.options(ED);
    options.cert = old.join(format!("{ED}.pem"));
    options.key = old.join(format!("{ED}.key"));
    // With TLS 1.3 the refusal may come with the first call instead of the handshake.
    match Client::connect(options).await {
        Ok(client) => calls::try_ask(&client, build::lookup(ED, nhs(1))).await.is_ok(),
        Err(_) => false,
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_second_server_on_the_same_data_gives_no_answers() {
    let mut site = Site::new();
    let first = site.ready().await;
    let second = site.start();
    let (readiness, reason) = second.settled().await;
    assert_eq!(readiness, v1::Readiness::Failed);
    let refused = calls::try_ask(&second.client(ED).await, build::lookup(ED, nhs(1))).await;
    expect_trouble(refused, Code::Unavailable, &reason, &[]);
    let mut health = HealthClient::new(second.channel("ops").await);
    let state = health.check(HealthCheckRequest::default()).await.unwrap().into_inner().status();
    assert_eq!(state, ServingStatus::NotServing);
    tokio::task::block_in_place(|| second.stop());
    let ack = calls::accept(&first.client(LA).await, vec![build::plan(nhs(1), "P")]).await;
    assert!(!ack[0].repeated, "the first goes on");
    tokio::task::block_in_place(|| first.stop());
    site.finish(&["giving no answers"]);
}
