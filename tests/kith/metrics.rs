//! The metrics page: off unless configured, what it tells, and that it tells nothing of a child.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::process::{Command, Stdio};

use crate::harness::build::{self, nhs};
use crate::harness::calls;
use crate::harness::logs;
use crate::harness::process::Server;
use crate::harness::site::{AUTHORITIES, Site, TRUSTS};
use crate::harness::wait::{PATIENCE, until};

const LA: &str = AUTHORITIES[0];
const ED: &str = TRUSTS[0];

fn address(server: &Server) -> SocketAddr {
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

fn page(address: SocketAddr) -> String {
    let response = exchange(address, "GET /metrics HTTP/1.1\r\nHost: kith\r\n\r\n");
    let (head, body) = response.split_once("\r\n\r\n").unwrap();
    assert!(head.starts_with("HTTP/1.1 200 OK\r\nContent-Type: text/plain; version=0.0.4"), "{head}");
    assert!(head.contains(&format!("Content-Length: {}", body.len())), "{head}");
    body.to_owned()
}

/// What Prometheus's own tool says of the page.
fn promtool(page: &str) {
    let tool = Command::new("promtool").args(["check", "metrics"]).stdin(Stdio::piped()).stdout(Stdio::piped()).spawn();
    let Ok(mut tool) = tool else {
        println!("SKIPPED, NOT PASSED: the metrics page against promtool: it is not installed (package prometheus)");
        return;
    };
    tool.stdin.take().unwrap().write_all(page.as_bytes()).unwrap();
    let output = tool.wait_with_output().unwrap();
    let said = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success(), "{said}\n{page}");
    println!("promtool has no complaint");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_page_tells_feeds_and_outcomes_and_nothing_of_a_child() {
    let usual = ("feeds.overrides", TRUSTS[1], "{ expected_per_week = 700 }");
    let mut site = Site::with(&[("metrics", "listen", "\"127.0.0.1:0\""), usual]);
    let server = site.ready().await;
    let at = address(&server);
    let (authority, ed) = (server.client(LA).await, server.client(ED).await);
    calls::submit(&authority, vec![build::event(build::plan(nhs(1), "P")), backwards()]).await.unwrap();
    calls::check_in(&ed, build::check_in(ED, nhs(1), "e1")).await.unwrap();
    calls::ask(&ed, build::lookup(ED, nhs(2))).await;
    let page = until("the refusal is counted", || {
        let page = page(at);
        page.contains("kith_feed_open_rejections{kind=\"plans\",code=\"E06000901\"} 1\n").then_some(page)
    });
    for line in [
        "kith_ready 1",
        "kith_feeds{kind=\"plans\",state=\"fresh\"} 1",
        "kith_feeds{kind=\"presentations\",state=\"absent\"} 2",
        "kith_feed_rows_seen{kind=\"plans\",code=\"E06000901\"} 2",
        "kith_feed_rows_matched{kind=\"plans\",code=\"E06000901\"} 2",
        "kith_feed_volume_expected{kind=\"presentations\",code=\"RZ2\"} 100",
        "kith_feed_volume_actual{kind=\"presentations\",code=\"RZ1\"} 1",
        "kith_answers_total{question=\"plans\",outcome=\"held\"} 1",
        "kith_answers_total{question=\"plans\",outcome=\"cannot_say\"} 1",
        "kith_answers_total{question=\"plans\",outcome=\"none_held\"} 0",
    ] {
        assert!(page.lines().any(|found| found == line), "{line}\n{page}");
    }
    assert!(!logs::has_number(&page) && !page.contains(build::NURSE), "{page}");
    promtool(&page);
    assert!(exchange(at, "GET / HTTP/1.1\r\n\r\n").starts_with("HTTP/1.1 404 "));
    assert!(exchange(at, "POST /metrics HTTP/1.1\r\n\r\n").starts_with("HTTP/1.1 405 "));
    assert!(exchange(at, &"x".repeat(4_096)).starts_with("HTTP/1.1 405 "), "what is no request is answered");
    tokio::task::block_in_place(|| server.stop());
    site.finish(&[]);
}

/// An event that is refused.
fn backwards() -> kith_api::v1::SubmitEventsRequest {
    build::event(kith_api::v1::PlanEvent { end: Some(build::day(-60)), ..build::plan(nhs(2), "B") })
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn without_configuration_nothing_is_served() {
    let mut site = Site::new();
    let server = site.ready().await;
    assert!(!server.has_logged("metrics are served"));
    tokio::task::block_in_place(|| server.stop());
    site.finish(&[]);
}
