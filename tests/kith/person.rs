//! A named person is behind every call: those whose messages name nobody carry them in the metadata, and without it nothing is
//! told, changed or listed. Nor is anything where they are named as of another organisation than the certificate's.

use std::collections::BTreeSet;

use kith_api::client::Client;
use kith_api::v1;
use kith_domain::method::Method;
use kith_domain::refusal_code::RefusalCode;
use kith_engine::{AuditEntry, Decision};
use tonic::{Code, Status};

use crate::harness::build::{self, nhs};
use crate::harness::calls::{self, expect_trouble};
use crate::harness::certificates::issue;
use crate::harness::offline;
use crate::harness::process::Server;
use crate::harness::site::{AUTHORITIES, Site, TRUSTS};
use crate::person_tokens::every_call::{Said, every_call};

const A: &str = AUTHORITIES[0];
const ANOTHER_A: &str = AUTHORITIES[1];
const ED: &str = TRUSTS[0];
const ANOTHER_ED: &str = TRUSTS[1];
/// The calls whose messages name nobody, as they are tried one after another; of imports the one without a row.
const NAMED_IN_METADATA: [Method; 12] = [
    Method::Import,
    Method::SubmitEvents,
    Method::SubmitPlanFile,
    Method::GetFilePosition,
    Method::GetCheckpoint,
    Method::GetConsistencyProof,
    Method::AddCosignature,
    Method::GetInclusionProof,
    Method::SearchAudit,
    Method::WhoLooked,
    Method::ListFeeds,
    Method::GetStatus,
];

/// A connection behind which nobody is named.
async fn nobody(server: &Server, certificate: &str) -> Client {
    Client::connect(server.options(certificate)).await.unwrap()
}

/// Every call whose messages name nobody, as whoever may make it.
async fn unnamed(server: &Server) -> Vec<(&'static str, Result<(), Status>)> {
    let (la, ops) = (nobody(server, A).await, nobody(server, "ops").await);
    let (witness, ed) = (nobody(server, "witness").await, nobody(server, ED).await);
    let auditor = nobody(server, "auditor").await;
    let consistency = v1::GetConsistencyProofRequest { from_size: 0, to_size: 1 };
    let inclusion = v1::GetInclusionProofRequest { audit_reference: "1-1".into() };
    let events = vec![build::event(build::plan(nhs(1), "P"))];
    let piece = v1::SubmitPlanFileRequest { chunk: b"kith-plans,1,1,changes\n".to_vec() };
    vec![
        ("SubmitEvents", calls::submit(&la, events).await.map(|_| ())),
        ("SubmitPlanFile", la.plan_files().submit_plan_file(tokio_stream::iter(vec![piece])).await.map(|_| ())),
        ("GetFilePosition", la.plan_files().get_file_position(v1::GetFilePositionRequest {}).await.map(|_| ())),
        ("ListFeeds", calls::list_feeds(&ops, 0, "").await.map(|_| ())),
        ("GetStatus", ops.status().get_status(v1::GetStatusRequest { include_feeds: false }).await.map(|_| ())),
        ("GetCheckpoint", witness.audit().get_checkpoint(v1::GetCheckpointRequest {}).await.map(|_| ())),
        ("GetConsistencyProof", witness.audit().get_consistency_proof(consistency).await.map(|_| ())),
        (
            "AddCosignature",
            witness.audit().add_cosignature(v1::AddCosignatureRequest { note: String::new() }).await.map(|_| ()),
        ),
        ("Search", auditor.audit().search(v1::SearchRequest::default()).await.map(|_| ())),
        ("WhoLooked", la.audit().who_looked(v1::WhoLookedRequest::default()).await.map(|_| ())),
        ("GetInclusionProof", ed.audit().get_inclusion_proof(inclusion).await.map(|_| ())),
        ("Import", calls::import(&ed, Vec::new()).await.map(|_| ())),
    ]
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nothing_is_done_for_nobody() {
    let mut site = Site::new();
    issue(&site.path("certs"), "witness", "RW1", "witness");
    issue(&site.path("certs"), "auditor", "RA1", "auditor");
    let server = site.ready().await;
    let refused = unnamed(&server).await;
    let count = refused.len();
    for (call, result) in refused {
        println!("{call}");
        expect_trouble(result, Code::InvalidArgument, "PERSON_NOT_NAMED", &["kith-caller-bin"]);
    }
    // Who names a person of another organisation is refused as for any request.
    let other = nobody(&server, A).await.as_person(&build::caller(ANOTHER_A));
    let position = other.plan_files().get_file_position(v1::GetFilePositionRequest {}).await.map(|_| ());
    expect_trouble(position, Code::PermissionDenied, "ORGANISATION_MISMATCH", &[]);
    let named = server.client(A).await;
    calls::accept(&named, vec![build::plan(nhs(1), "P")]).await;
    named.plan_files().get_file_position(v1::GetFilePositionRequest {}).await.unwrap();

    tokio::task::block_in_place(|| server.stop());
    let entries: Vec<AuditEntry> = offline::audit(site.dir()).into_values().collect();
    let with = |reason: &str| {
        let is = |entry: &&AuditEntry| matches!(entry.decision, Decision::Refused(code) if code.word() == reason);
        entries.iter().filter(is).count()
    };
    assert_eq!((with("PERSON_NOT_NAMED"), with("ORGANISATION_MISMATCH")), (count, 1));
    // Whoever changed or was told something stands in the entry.
    for entry in &entries {
        if let Decision::Changed { .. } | Decision::ChangedEach(_) | Decision::Listed(_) | Decision::ListedEach(_) =
            entry.decision
        {
            let caller = entry.caller.as_ref().expect("a person");
            assert_eq!((caller.user_id.as_str(), caller.role_code.as_str()), (build::USER, "R8000"));
        }
    }
    site.finish(&[]);
}

/// Every call, of those whose messages name somebody also where the metadata name nobody: who stands in the message is who counts.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_call_is_answered_in_the_name_of_another_organisation() {
    let mut site = Site::new();
    let server = site.ready().await;
    let (denied, reason) = (Code::PermissionDenied, "ORGANISATION_MISMATCH");
    let said = Said { child: nhs(1), other: nhs(2), words: "looked for since noon", reference: "e" };
    let (ed, la) = (nobody(&server, ED).await, nobody(&server, A).await);
    let as_another = |client: &Client, code| client.clone().as_person(&build::caller(code));
    let (other_ed, other_la) = (as_another(&ed, ANOTHER_ED), as_another(&la, ANOTHER_A));
    let (mut called, mut count) = (BTreeSet::new(), 0);
    for (method, result) in every_call((&other_ed, ANOTHER_ED), (&other_la, ANOTHER_A), said).await {
        println!("{}", method.word());
        expect_trouble(result, denied, reason, &[]);
        called.insert(method);
        count += 1;
    }
    let every: BTreeSet<Method> = Method::WORDS.map(|(method, _)| method).into();
    assert_eq!(called, every, "each has been tried");
    let mut unnamed = Vec::new();
    for (method, result) in every_call((&ed, ANOTHER_ED), (&la, ANOTHER_A), said).await {
        println!("{}, and nobody in the metadata", method.word());
        if calls::trouble(result.as_ref().expect_err(reason)).1 == "PERSON_NOT_NAMED" {
            unnamed.push(method);
        } else {
            expect_trouble(result, denied, reason, &[]);
            count += 1;
        }
    }
    assert_eq!(unnamed, NAMED_IN_METADATA);

    tokio::task::block_in_place(|| server.stop());
    let entries: Vec<AuditEntry> = offline::audit(site.dir()).into_values().collect();
    let mismatch = Decision::Refused(RefusalCode::of(reason));
    let refused: Vec<&AuditEntry> = entries.iter().filter(|entry| entry.decision == mismatch).collect();
    let kept: BTreeSet<Method> = refused.iter().filter_map(|entry| entry.method).collect();
    assert_eq!((refused.len(), kept), (count, every), "each is in the audit");
    for entry in refused {
        let under = entry.organisation.expect("what the certificate proves");
        assert!([ED, A].contains(&under.as_str()), "it stands under {under}, whose name was taken");
    }
    for entry in entries.iter().filter(|entry| entry.method.is_some()) {
        assert!(matches!(entry.decision, Decision::Refused(_)), "something came of a call: {:?}", entry.decision);
    }
    site.finish(&[]);
}

/// Sizes before and after a change would tell whether a child is held.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn sizes_are_for_operations_alone() {
    let mut site = Site::new();
    let server = site.ready().await;
    for (name, shown) in [(ED, false), (A, false), ("ops", true)] {
        let client = server.client(name).await;
        let request = client.request(v1::GetStatusRequest { include_feeds: false });
        let status = client.status().get_status(request).await.unwrap().into_inner();
        assert_eq!((status.sizes.is_some(), status.positions.is_some()), (shown, shown), "{name}");
        assert_eq!(status.readiness(), v1::Readiness::Ready);
    }
    tokio::task::block_in_place(|| server.stop());
    site.finish(&[]);
}

/// The call, its trace and the person's role code stand in the audit beside the answer.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_audit_keeps_the_call_and_its_trace() {
    let mut site = Site::new();
    let server = site.ready().await;
    let ed = server.client(ED).await;
    let trace = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";
    let mut request = ed.request(build::lookup(ED, nhs(1)));
    request.metadata_mut().insert("traceparent", trace.parse().unwrap());
    ed.lookup().lookup(request).await.unwrap();
    let mut request = ed.request(build::record(ED, nhs(2), "e"));
    request.metadata_mut().insert("traceparent", "no trace".parse().unwrap());
    ed.presentations().record(request).await.unwrap();
    tokio::task::block_in_place(|| server.stop());
    let entries: Vec<AuditEntry> = offline::audit(site.dir()).into_values().collect();
    let of = |method| entries.iter().find(|entry| entry.method == Some(method)).expect("an entry");
    let asked = of(kith_domain::method::Method::Lookup);
    assert_eq!(asked.trace.unwrap().0[..4], [0x4b, 0xf9, 0x2f, 0x35]);
    assert_eq!(asked.caller.as_ref().unwrap().role_code.as_str(), "R8000");
    assert_eq!(of(kith_domain::method::Method::Record).trace, None);
    site.finish(&[]);
}
