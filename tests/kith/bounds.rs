//! Limits of messages and streams that are set in the configuration: what is beyond them is refused with a reason, and what is
//! within them is taken.

use kith_api::v1;
use tonic::Code;

use crate::harness::build::{self, nhs};
use crate::harness::calls::{self, expect_trouble};
use crate::harness::site::{AUTHORITIES, Site, TRUSTS};

const LA: &str = AUTHORITIES[0];
const ED: &str = TRUSTS[0];

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_stream_has_no_more_events_or_presentations_than_are_set() {
    let mut site = Site::with(&[("limits", "max_stream_events", "3")]);
    let server = site.ready().await;
    let (la, ed) = (server.client(LA).await, server.client(ED).await);
    let events = |count: u32| -> Vec<v1::SubmitEventsRequest> {
        (0..count).map(|n| build::event(build::plan(nhs(n), &format!("P-{n}")))).collect()
    };
    let rows = |count: u32| -> Vec<v1::ImportRequest> {
        (0..count).map(|n| build::import(ED, nhs(100 * count + n), &format!("E{count}-{n}"))).collect()
    };
    for count in [4, 3] {
        let taken = calls::submit(&la, events(count)).await.map(|verdicts| verdicts.len());
        let imported = calls::import(&ed, rows(count)).await.map(|response| response.accepted);
        if count > 3 {
            expect_trouble(taken, Code::ResourceExhausted, "STREAM_TOO_LONG", &[]);
            expect_trouble(imported, Code::ResourceExhausted, "STREAM_TOO_LONG", &[]);
        } else {
            assert_eq!((taken.unwrap(), imported.unwrap()), (3, 3));
        }
    }
    tokio::task::block_in_place(|| server.stop());
    site.finish(&[]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_message_is_no_larger_than_is_set() {
    // Less than what is taken where nothing is set.
    let mut site = Site::with(&[("limits", "max_message_bytes", "8192")]);
    let server = site.ready().await;
    let ed = server.client(ED).await;
    let caller = Some(v1::Caller { user_name: "x".repeat(20_000), ..build::caller(ED) });
    let large = v1::LookupRequest { caller: caller.clone(), ..build::lookup(ED, nhs(1)) };
    expect_trouble(calls::try_ask(&ed, large).await, Code::OutOfRange, "MESSAGE_TOO_LARGE", &[]);
    let large = v1::RecordRequest { caller, ..build::record(ED, nhs(1), "E1") };
    expect_trouble(calls::record(&ed, large).await, Code::OutOfRange, "MESSAGE_TOO_LARGE", &[]);
    calls::ask(&ed, build::lookup(ED, nhs(1))).await;
    calls::record(&ed, build::record(ED, nhs(1), "E1")).await.unwrap();
    tokio::task::block_in_place(|| server.stop());
    site.finish(&[]);
}
