//! SIGKILL at random moments under mixed load, on one data directory throughout. Acknowledged changes are a subset of what
//! is recovered, what is recovered is a prefix of what was attempted, and every answer has its audit entry.

use std::collections::BTreeMap;
use std::time::Duration;

use kith_domain::child::Subject;
use kith_engine::{AuditEntry, Decision};
use kith_store::AuditRef;
use rand::RngExt;

use crate::harness::process::Server;
use crate::harness::site::Site;
use crate::harness::{count, offline, seeded};
use crate::load::{self, Lane, Received};

/// A life of the server under load, in milliseconds: long enough for every kind of call, short enough for many.
const LIFE_MS: std::ops::Range<u64> = 20..900;
/// Of the changes acknowledged in earlier lives, each so-manieth is asked for again at the end.
const SAMPLE: usize = 5;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn killed_at_random_nothing_acknowledged_is_lost() {
    let mut random = seeded("kills");
    let kills = count("KITH_TEST_KILLS", 30);
    let mut site = Site::new();
    let mut lanes = load::lanes();
    let mut beyond = 0;
    for kill in 0..kills {
        let server = site.ready().await;
        for lane in &mut lanes {
            beyond += lane.verify(&server).await;
            lane.verify_shown(&server).await;
        }
        let life = Duration::from_millis(random.random_range(LIFE_MS));
        println!("kill {kill} after {life:?}; {beyond} came through unacknowledged so far");
        load::run(&mut lanes, server, tokio::time::sleep(life), Server::kill).await;
    }
    let server = site.ready().await;
    for lane in &mut lanes {
        lane.verify(&server).await;
        lane.verify_settled(&server, SAMPLE).await;
    }
    let acknowledged: usize = lanes.iter().map(|lane| lane.settled.len()).sum();
    assert!(acknowledged > kills as usize, "the load was none: {acknowledged} changes");
    tokio::task::block_in_place(|| server.stop());
    offline::verify(site.dir());
    let answers = every_answer_is_audited(&lanes, &offline::audit(site.dir()));
    println!("{kills} kills, {acknowledged} changes, {answers} answers");
    site.finish(&["the last run did not end in order"]);
}

/// Holds every answer received against the audit; gives how many there were.
pub fn every_answer_is_audited(lanes: &[Lane], audit: &BTreeMap<u64, AuditEntry>) -> usize {
    let received: Vec<&Received> = lanes.iter().flat_map(|lane| &lane.received).collect();
    assert!(!received.is_empty(), "no answer was received");
    for answer in &received {
        let reference: AuditRef = answer.reference.parse().unwrap();
        let entry = audit.get(&reference.sequence).unwrap_or_else(|| panic!("UNAUDITED: answer {reference}"));
        assert!(matches!(entry.decision, Decision::Answered { .. }), "{reference}: {:?}", entry.decision);
        assert_eq!(entry.request_id.unwrap().to_string(), answer.request_id, "{reference} is another question's");
        assert_eq!(entry.organisation.unwrap().as_str(), answer.organisation, "{reference} is another asker's");
        assert!(entry.subject == Some(Subject::Nhs(answer.number)), "{reference} is about another child");
    }
    received.len()
}
