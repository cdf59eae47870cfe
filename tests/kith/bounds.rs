//! Limits of messages and streams that are set in the configuration: what is beyond them is refused with a reason, which is in the
//! audit, and what is within them is taken.

use kith_api::v1;
use kith_domain::method::Method;
use kith_domain::refusal_code::RefusalCode;
use kith_engine::Decision;
use tonic::{Code, Request};
use tonic_prost::ProstCodec;

use crate::harness::build::{self, nhs};
use crate::harness::calls::{self, expect_trouble};
use crate::harness::offline;
use crate::harness::site::{AUTHORITIES, Site, TRUSTS};
use crate::harness::wait::until_async;

const LA: &str = AUTHORITIES[0];
const ED: &str = TRUSTS[0];

/// The calls that were refused with this, one entry each, and whether a person is behind it.
fn refused(site: &Site, reason: &str) -> Vec<(Option<Method>, bool)> {
    let decision = Decision::Refused(RefusalCode::of(reason));
    let audited = offline::audit(site.dir());
    let of = audited.values().filter(|entry| entry.decision == decision);
    of.map(|entry| (entry.method, entry.caller.is_some())).collect()
}

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
    let both = [(Some(Method::SubmitEvents), true), (Some(Method::Import), true)];
    assert_eq!(refused(&site, "STREAM_TOO_LONG"), both, "and it is in the audit");
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
    let large = v1::RecordRequest { caller: caller.clone(), ..build::record(ED, nhs(1), "E1") };
    expect_trouble(calls::record(&ed, large).await, Code::OutOfRange, "MESSAGE_TOO_LARGE", &[]);
    calls::ask(&ed, build::lookup(ED, nhs(1))).await;
    calls::record(&ed, build::record(ED, nhs(1), "E1")).await.unwrap();
    // In a stream too: behind what was taken, and before anything was.
    let large = v1::PlanEvent { reference: "x".repeat(20_000), ..build::plan(nhs(2), "P2") };
    let events = vec![build::event(build::plan(nhs(1), "P1")), build::event(large)];
    let taken = calls::submit(&server.client(LA).await, events).await;
    expect_trouble(taken, Code::OutOfRange, "MESSAGE_TOO_LARGE", &[]);
    let large = v1::ImportRequest { caller, ..build::import(ED, nhs(3), "E3") };
    expect_trouble(calls::import(&ed, vec![large]).await, Code::OutOfRange, "MESSAGE_TOO_LARGE", &[]);
    tokio::task::block_in_place(|| server.stop());
    let both = [(Some(Method::SubmitEvents), true), (Some(Method::Import), true)];
    assert_eq!(refused(&site, "MESSAGE_TOO_LARGE"), both, "of a stream by itself, of other calls counted");
    site.finish(&[]);
}

/// Where the caller is expected stands the text of a contact.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_no_message_of_a_stream_is_in_the_audit() {
    let mut site = Site::new();
    let server = site.ready().await;
    let odd = v1::Contact { name: "zzz".into(), ..v1::Contact::default() };
    let mut raw = tonic::client::Grpc::new(server.client(ED).await.channel());
    raw.ready().await.unwrap();
    let codec = ProstCodec::<v1::Contact, v1::ImportResponse>::default();
    let path = "/kith.v1.PresentationService/Import".parse().unwrap();
    let imported = raw.client_streaming(Request::new(tokio_stream::once(odd)), path, codec).await;
    expect_trouble(imported, Code::InvalidArgument, "MALFORMED_MESSAGE", &[]);
    tokio::task::block_in_place(|| server.stop());
    assert_eq!(refused(&site, "MALFORMED_MESSAGE"), [(Some(Method::Import), false)], "nobody was named");
    site.finish(&[]);
}

/// Headers of so many bytes that HTTP/2 cuts the call itself: nobody can give the refusal words, and it is counted all the same.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn headers_that_http2_cuts_are_in_the_audit() {
    let mut site = Site::new();
    let server = site.ready().await;
    let ed = server.client(ED).await;
    let last = async || server.status().await.positions.unwrap().audit_last;
    let before = last().await;
    for _ in 0..3 {
        let mut asked = ed.request(build::lookup(ED, nhs(1)));
        // More than four times what is allowed.
        for _ in 0..10 {
            asked.metadata_mut().append("x-more", "a".repeat(8_000).parse().unwrap());
        }
        assert!(ed.lookup().lookup(asked).await.is_err());
    }
    until_async("they are in the audit", async || (last().await > before).then_some(())).await;
    calls::ask(&ed, build::lookup(ED, nhs(1))).await;
    tokio::task::block_in_place(|| server.stop());
    let audited = offline::audit(site.dir());
    let cut = audited.values().filter_map(|entry| {
        let Decision::RefusedMany { code, count, .. } = entry.decision else { return None };
        assert_eq!((code.word(), entry.method), ("HEADERS_TOO_LARGE", None));
        assert_eq!(entry.organisation.map(|code| code.to_string()).as_deref(), Some(ED));
        Some(count)
    });
    assert!((1..=3).contains(&cut.sum::<u64>()), "each once, and the reset behind it not at all");
    site.finish(&[]);
}
