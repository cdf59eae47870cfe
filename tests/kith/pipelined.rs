//! Streams that are sent without waiting for any verdict, so that their groups overlap: verdicts, numbers of rows and entries of the
//! audit follow in the order in which everything was sent.

use kith_api::v1;
use kith_engine::Decision;
use uuid::Uuid;

use crate::harness::build::{self, nhs};
use crate::harness::calls;
use crate::harness::offline;
use crate::harness::process::Server;
use crate::harness::site::{AUTHORITIES, Site, TRUSTS};

const LA: &str = AUTHORITIES[0];
const ED: &str = TRUSTS[0];

/// Stops the server; the event ids of what was acknowledged, in the order in which the audit has them.
fn audited(site: &Site, server: Server) -> Vec<String> {
    tokio::task::block_in_place(|| server.stop());
    let mut ids = Vec::new();
    for entry in offline::audit(site.dir()).into_values() {
        if let Decision::ChangedEach(each) = entry.decision {
            let acknowledged = each.into_iter().filter(|one| one.refused().is_none());
            ids.extend(acknowledged.filter_map(|one| one.event_id).map(|id: Uuid| id.to_string()));
        }
    }
    ids
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn plan_events() {
    let mut site = Site::new();
    let server = site.ready().await;
    let la = server.client(LA).await;
    let sent: Vec<v1::PlanEvent> = (0..2_000).map(|n| build::plan(nhs(n), &format!("P{n}"))).collect();
    let ids: Vec<String> = sent.iter().map(|event| event.event_id.clone()).collect();
    let acknowledged = calls::accept(&la, sent).await;
    assert!(acknowledged.windows(2).all(|two| two[0].sequence < two[1].sequence), "so they were taken");
    assert!(acknowledged.into_iter().map(|ack| ack.event_id).eq(ids.iter().cloned()), "so they were answered");
    assert!(audited(&site, server) == ids, "and so they are in the audit");
    site.finish(&[]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn rows_of_an_import() {
    let mut site = Site::new();
    let server = site.ready().await;
    let ed = server.client(ED).await;
    let (mut rows, mut refused, mut ids, mut repeated) = (Vec::new(), Vec::new(), Vec::new(), 0);
    for n in 0..1_000 {
        let row = build::import(ED, nhs(n), &format!("E{n}"));
        if n % 7 == 3 {
            rows.push(v1::ImportRequest { caller: Some(build::caller(TRUSTS[1])), ..row });
            refused.push(rows.len() as u64);
            continue;
        }
        ids.push(row.event_id.clone());
        rows.push(row.clone());
        if n % 50 == 9 {
            rows.push(row);
            repeated += 1;
        }
    }
    let processed = rows.len() as u64;
    let verdict = calls::import(&ed, rows).await.unwrap();
    assert_eq!(verdict.rejections.iter().map(|one| one.row).collect::<Vec<_>>(), refused);
    assert_eq!((verdict.processed, verdict.repeated), (processed, repeated));
    assert_eq!((verdict.accepted, verdict.rejected), (processed - refused.len() as u64, refused.len() as u64));
    let mut audited = audited(&site, server);
    // What is sent again has its id twice, behind each other.
    audited.dedup();
    assert!(audited == ids, "in the order in which they were sent");
    site.finish(&[]);
}
