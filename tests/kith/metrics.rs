//! The metrics page: off unless configured, what it tells, and that it tells nothing of a child.

mod alike;
mod shielded;

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::process::{Command, Stdio};

use crate::harness::build::{self, nhs};
use crate::harness::calls;
use crate::harness::logs;
use crate::harness::process::Server;
use crate::harness::site::{AUTHORITIES, PLACES, Site, TRUSTS};
use crate::harness::wait::{PATIENCE, until};

const LA: &str = AUTHORITIES[0];
const ED: &str = TRUSTS[0];

/// Where a server's metrics are.
pub fn address(server: &Server) -> SocketAddr {
    until("the metrics are served", || {
        let lines = logs::lines(server.log());
        let line = lines.iter().find(|line| line.message.starts_with("metrics are served"))?;
        let told = line.fields["address"].as_str()?.trim_start_matches("Some(").trim_end_matches(')').to_owned();
        told.parse().ok()
    })
}

/// One request as it is, and everything that comes back.
fn exchange(address: SocketAddr, request: &str) -> String {
    let mut stream = TcpStream::connect(address).unwrap();
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    stream.write_all(request.as_bytes()).unwrap();
    let mut text = String::new();
    stream.read_to_string(&mut text).unwrap();
    text
}

/// The page as it is now.
pub fn page(address: SocketAddr) -> String {
    let response = exchange(address, "GET /metrics HTTP/1.1\r\nHost: kith\r\n\r\n");
    let (head, body) = response.split_once("\r\n\r\n").unwrap();
    assert!(head.starts_with("HTTP/1.1 200 OK\r\nContent-Type: text/plain; version=0.0.4"), "{head}");
    assert!(head.contains(&format!("Content-Length: {}", body.len())), "{head}");
    body.to_owned()
}

/// What Prometheus's own tool says of the page: neither an error nor a complaint about style may come. `cargo xtask test`
/// says where it is, or that this is skipped; else it is looked for.
fn promtool(page: &str) {
    let told = std::env::var_os("KITH_PROMTOOL").filter(|path| !path.is_empty());
    let mut tool = Command::new(told.clone().unwrap_or_else(|| "promtool".into()));
    tool.args(["check", "metrics"]).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut tool = match tool.spawn() {
        Ok(tool) => tool,
        Err(_) if told.is_none() => {
            println!(
                "SKIPPED, NOT PASSED: the metrics page against promtool: it is not installed (package prometheus)"
            );
            return;
        }
        Err(error) => panic!("{told:?}: {error}"),
    };
    tool.stdin.take().unwrap().write_all(page.as_bytes()).unwrap();
    let output = tool.wait_with_output().unwrap();
    let said = [output.stdout, output.stderr].concat();
    let said = String::from_utf8_lossy(&said);
    assert!(output.status.success() && said.is_empty(), "{}: {said}\n{page}", output.status);
    println!("promtool has no complaint");
}

/// The value of a series of whole numbers.
pub fn value(page: &str, series: &str) -> u64 {
    let value = page.lines().find_map(|line| line.strip_prefix(series)?.strip_prefix(' '));
    value.unwrap_or_else(|| panic!("{series} is missing\n{page}")).parse().unwrap()
}

/// What changes with each row would tell where a shielded child came. All are heard of in time, or never were.
fn only_what_seldom_changes_is_told_of_a_single_sender(page: &str) {
    let of_one = page.lines().filter(|line| PLACES.into_iter().any(|place| line.contains(place)));
    let names: std::collections::BTreeSet<&str> = of_one.filter_map(|line| line.split('{').next()).collect();
    assert_eq!(names.into_iter().collect::<Vec<_>>(), ["kith_feed_open_rejections", "kith_feed_state"], "{page}");
}

/// What the page tells of feeds once two of each kind were heard of, of which one has sent.
const OF_FEEDS: [&str; 7] = [
    "kith_feeds{kind=\"plans\",state=\"fresh\"} 2",
    "kith_feeds{kind=\"presentations\",state=\"absent\"} 1",
    "kith_feed_state{kind=\"presentations\",code=\"RZ3\",state=\"absent\"} 1",
    "kith_feeds_rows_seen{kind=\"plans\"} 2",
    "kith_feeds_rows_matched{kind=\"plans\"} 2",
    "kith_feeds_volume_expected 200",
    "kith_feeds_volume_actual 1",
];

/// An alert about a series that is not there would never be raised.
fn alerts_are_about_what_the_page_has(page: &str) {
    let rules = std::fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/../deploy/kith-alerts.yml")).unwrap();
    let words = rules.split(|c: char| !c.is_ascii_alphanumeric() && c != '_');
    let series: std::collections::BTreeSet<&str> = words.filter(|word| word.starts_with("kith_")).collect();
    assert!(series.len() > 5, "{series:?}");
    for name in series {
        let of = |line: &str| line.strip_prefix(name).is_some_and(|rest| rest.starts_with(['{', ' ']));
        assert!(page.lines().any(of), "the page has no {name}\n{page}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_page_tells_feeds_and_outcomes_and_nothing_of_a_child() {
    let usual = |trust| ("feeds.overrides", trust, "{ expected_per_week = 700 }");
    let witness = awaited_witness();
    let listen = ("metrics", "listen", "\"127.0.0.1:0\"");
    let witnesses = ("audit", "witnesses", witness.as_str());
    let mut site = Site::with(&[listen, usual(ED), usual(TRUSTS[1]), witnesses]);
    let server = site.ready().await;
    let at = address(&server);
    second_of_each_kind_is_heard_of(&server).await;
    let (authority, ed) = (server.client(LA).await, server.client(ED).await);
    calls::submit(&authority, vec![build::event(build::plan(nhs(1), "P")), backwards()]).await.unwrap();
    calls::check_in(&ed, build::check_in(ED, nhs(1), "e1")).await.unwrap();
    calls::ask(&ed, build::lookup(ED, nhs(2))).await;
    let behind = ["kith_feed_open_rejections{kind=\"plans\",code=\"E06000901\"} 1", "kith_history_lag_seconds_count 2"];
    let page = until("the refusal and the history are counted", || {
        let page = page(at);
        behind.iter().all(|line| page.contains(&format!("{line}\n"))).then_some(page)
    });
    for line in OF_FEEDS.into_iter().chain([
        "kith_ready 1",
        "kith_answers_total 2",
        "kith_questions_without_answer_total{why=\"refused\"} 0",
        "kith_answer_seconds_bucket{call=\"lookup\",le=\"+Inf\"} 1",
        "kith_answer_seconds_count{call=\"lookup\"} 1",
        "kith_answer_seconds_count{call=\"check_in\"} 1",
        "kith_answer_seconds_count{call=\"worklist_entry\"} 0",
        "kith_history_lag_seconds_count 2",
        "kith_audit_sink{sink=\"primary\"} 1",
        "kith_audit_failed_segments_total 0",
        "kith_audit_signed 1",
        "kith_audit_cosignature_age_seconds +Inf",
        "kith_flags_raised_total{kind=\"number-walk\"} 0",
        "kith_flags_unreviewed 0",
        "kith_watch_behind_entries 0",
        "kith_reload_failed{what=\"client_authorities\"} 0",
        "kith_reload_failed{what=\"keys\"} 0",
        "kith_reload_failed{what=\"person_tokens\"} 0",
        "kith_reload_failed{what=\"services\"} 0",
        "kith_data_key_version 1",
        "kith_key_reseal_remaining 0",
        "kith_retention_held{what=\"state\"} 0",
        "kith_retention_held{what=\"audit\"} 0",
        "kith_connections_shed_total{why=\"organisation\"} 0",
        "kith_calls_read_late_total 0",
    ]) {
        assert!(page.lines().any(|found| found == line), "{line}\n{page}");
    }
    assert!(!logs::has_number(&page) && !page.contains(build::NURSE), "{page}");
    only_what_seldom_changes_is_told_of_a_single_sender(&page);
    assert!(value(&page, "kith_audit_accepted_seconds_count") >= 2, "each answer has an entry\n{page}");
    assert!(value(&page, "kith_audit_unsynced_window_seconds_count") >= 1, "{page}");
    promtool(&page);
    alerts_are_about_what_the_page_has(&page);
    assert!(exchange(at, "GET / HTTP/1.1\r\n\r\n").starts_with("HTTP/1.1 404 "));
    assert!(exchange(at, "POST /metrics HTTP/1.1\r\n\r\n").starts_with("HTTP/1.1 405 "));
    assert!(exchange(at, &"x".repeat(4_096)).starts_with("HTTP/1.1 405 "), "what is no request is answered");
    tokio::task::block_in_place(|| server.stop());
    site.finish(&[]);
}

/// Of one alone there are no sums. Neither a heartbeat nor an import is among what is counted here.
async fn second_of_each_kind_is_heard_of(server: &Server) {
    calls::submit(&server.client(AUTHORITIES[1]).await, vec![build::heartbeat()]).await.unwrap();
    let row = build::import(TRUSTS[1], nhs(9), "e9");
    assert_eq!(calls::import(&server.client(TRUSTS[1]).await, vec![row]).await.unwrap().accepted, 1);
}

/// The key of a witness that never comes.
fn awaited_witness() -> String {
    let witness = kith_merkle::WitnessSigner::from_seed("witness.test/awaited", &[6; 32]).unwrap();
    format!("[\"{}\"]", witness.key())
}

/// An event that is refused.
fn backwards() -> kith_api::v1::SubmitEventsRequest {
    build::event(kith_api::v1::PlanEvent { end: Some(build::day(-60)), ..build::plan(nhs(2), "B") })
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_bad_new_file_shows_until_it_is_mended() {
    let mut site = Site::with(&[("metrics", "listen", "\"127.0.0.1:0\""), ("tls", "reload_interval_ms", "50")]);
    let server = site.ready().await;
    let at = address(&server);
    let failed = |what: &str| value(&page(at), &format!("kith_reload_failed{{what=\"{what}\"}}"));
    let authority = site.path("certs/ca.pem");
    let good = std::fs::read(&authority).unwrap();
    std::fs::write(&authority, "no certificate").unwrap();
    until("the bad file shows", || (failed("client_authorities") == 1).then_some(()));
    assert_eq!((failed("certificate"), failed("revocation_lists")), (0, 0), "the others are as they were");
    std::fs::write(&authority, good).unwrap();
    until("the mended file shows", || (failed("client_authorities") == 0).then_some(()));
    calls::ask(&server.client(ED).await, build::lookup(ED, nhs(1))).await;
    tokio::task::block_in_place(|| server.stop());
    site.finish(&["stays in force"]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_key_of_the_audit_that_cannot_be_used_shows_and_keeps_no_answer_back() {
    let mut site = Site::with(&[("metrics", "listen", "\"127.0.0.1:0\"")]);
    let key = std::fs::read(site.path("audit.key")).unwrap();
    std::fs::write(site.path("audit.key"), "no key\n").unwrap();
    let server = site.ready().await;
    let reference = calls::ask(&server.client(ED).await, build::lookup(ED, nhs(1))).await.audit_reference;
    assert!(!reference.is_empty(), "it is answered");
    let shown = page(address(&server));
    assert_eq!((value(&shown, "kith_audit_tree_failing"), value(&shown, "kith_audit_signed")), (1, 0));
    assert!(server.has_logged("the audit's key cannot be used"));
    tokio::task::block_in_place(|| server.stop());
    // With the key the tree takes in what it missed.
    std::fs::write(site.path("audit.key"), key).unwrap();
    let server = site.ready().await;
    let at = address(&server);
    until("the tree is signed", || (value(&page(at), "kith_audit_tree_failing") == 0).then_some(()));
    until("nothing waits to be signed", || (value(&page(at), "kith_audit_checkpoint_age_seconds") == 0).then_some(()));
    assert_eq!(value(&page(at), "kith_audit_signed"), 1);
    tokio::task::block_in_place(|| server.stop());
    site.finish(&["the audit's key cannot be used"]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn without_configuration_nothing_is_served() {
    let mut site = Site::new();
    let server = site.ready().await;
    assert!(!server.has_logged("metrics are served"));
    tokio::task::block_in_place(|| server.stop());
    site.finish(&[]);
}

/// As it is without a line of the configuration: no other series of the tree is there, so that nothing else would be raised.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_audit_that_no_key_signs_shows_as_not_signed() {
    let unsigned = ("audit", "signing_key_file", "\"\"");
    let mut site = Site::with(&[("metrics", "listen", "\"127.0.0.1:0\""), unsigned]);
    let server = site.ready().await;
    let page = page(address(&server));
    assert_eq!(value(&page, "kith_audit_signed"), 0);
    assert!(!page.contains("kith_audit_tree_") && !page.contains("kith_audit_checkpoint_age_seconds"), "{page}");
    promtool(&page);
    tokio::task::block_in_place(|| server.stop());
    site.finish(&["audit.signing_key_file: none"]);
}
