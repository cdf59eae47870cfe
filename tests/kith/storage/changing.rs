//! Changes while no disk takes an entry of the audit: none is made, and each is taken when it is sent again. One whose entry fails
//! when it has been made is not told as refused.

use kith_api::v1;
use kith_api::v1::submit_events_response::Verdict;
use tonic::Code;

use super::EXPECTED;
use super::asking::Asking;
use super::disks::Disks;
use super::row::{Fault, Mode, Place, Row, Shot};
use crate::harness::build::{self, nhs};
use crate::harness::calls::{self, expect_trouble};
use crate::harness::site::{AUTHORITIES, Site, TRUSTS};
use crate::harness::wait::until_async;

const A: &str = AUTHORITIES[0];
const ED: &str = TRUSTS[0];
const ROW: Row = Row { place: Place::Both, fault: Fault::Full, shot: Shot::Lasting, mode: Mode::Bounded };
const SYNCS: Row = Row { place: Place::Both, fault: Fault::SyncFails, shot: Shot::Lasting, mode: Mode::Strict };

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn while_both_disks_are_full_nothing_is_changed() {
    let mut site = Site::with(&[("audit", "segment_bytes", "131072"), ("audit", "fail_after_ms", "20000")]);
    let Some(mut disks) = Disks::mounted("changes while both disks are full", &site) else {
        return site.finish(&[]);
    };
    let server = site.ready().await;
    let (la, ed) = (server.client(A).await, server.client(ED).await);
    let plan = build::plan(nhs(1), "P1");
    calls::accept(&la, vec![plan.clone()]).await;
    let mut asking = Asking::new("changes while both disks are full".to_owned(), &server);
    asking.until_answered("before").await;
    let trouble = disks.strike(ROW, &server).expect("a full disk needs no injected call");
    asking.until_refused().await;

    let withdrawn =
        v1::PlanEvent { event_id: build::id(), action: v1::PlanAction::Withdraw.into(), version: 2, ..plan };
    let presented = build::record(ED, nhs(2), "e2");
    let unaudited = (Code::Unavailable, "AUDIT_UNAVAILABLE");
    let stream = calls::submit(&la, vec![build::event(withdrawn.clone())]).await;
    expect_trouble(stream, unaudited.0, unaudited.1, &[]);
    expect_trouble(calls::record(&ed, presented.clone()).await, unaudited.0, unaudited.1, &[]);

    disks.mend(trouble);
    asking.until_answered("after it was mended").await;
    let answer = calls::as_text(&calls::ask(&ed, build::lookup(ED, nhs(1))).await);
    assert!(answer.contains(A), "the plan was not withdrawn");
    // Sent again, each is taken for the first time.
    let acknowledged = calls::accept(&la, vec![withdrawn]).await;
    assert!(acknowledged.iter().all(|one| !one.repeated), "it had not been taken");
    assert!(!calls::record(&ed, presented).await.unwrap().repeated, "nor had this");
    let asked = asking.asked();
    tokio::task::block_in_place(|| server.stop());
    asked.every_answer_has_its_entry(site.dir());
    drop(disks);
    // So many questions in so short a time are a sign, which waits for the audit as well.
    site.finish(&[EXPECTED.as_slice(), &["a flag could not be written into the audit"]].concat());
}

/// Each sync of the audit fails, which is known when the log has the change.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_change_whose_entry_fails_is_not_told_as_refused_and_nothing_is_changed_before_it_is_told() {
    let test = "a change whose entry fails";
    let settings =
        [("audit", "mode", "\"strict\""), ("audit", "segment_bytes", "131072"), ("audit", "fail_after_ms", "20000")];
    let mut site = Site::with(&settings);
    let Some(mut disks) = Disks::mounted(test, &site) else {
        return site.finish(&[]);
    };
    let server = site.ready().await;
    let la = server.client(A).await;
    calls::accept(&la, vec![build::plan(nhs(1), "P1")]).await;
    let Some(trouble) = disks.strike(SYNCS, &server) else {
        tokio::task::block_in_place(|| server.kill());
        return site.finish(&[]);
    };
    let plan = build::plan(nhs(2), "P2");
    let stream = calls::submit(&la, vec![build::event(plan.clone())]).await;
    expect_trouble(stream, Code::Unavailable, "CHANGE_NOT_AUDITED", &[]);
    let other = calls::submit(&la, vec![build::event(build::plan(nhs(3), "P3"))]).await;
    expect_trouble(other, Code::Unavailable, "AUDIT_UNAVAILABLE", &[]);

    disks.mend(trouble);
    let again = async || match calls::submit(&la, vec![build::event(plan.clone())]).await.ok()?.pop()? {
        Verdict::Acknowledgement(ack) => Some(ack),
        Verdict::Refusal(refusal) => {
            assert_eq!(refusal.reason, "AUDIT_UNAVAILABLE", "nothing but the entry that is still to be told");
            None
        }
    };
    let ack = until_async("it is taken once it is told", again).await;
    assert!(ack.repeated, "it had been taken when it was sent first");
    tokio::task::block_in_place(|| server.stop());
    drop(disks);
    site.finish(&[EXPECTED.as_slice(), &["a change stands that the audit did not take"]].concat());
}
