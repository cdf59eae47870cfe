//! What an authority hears of its own children: once per encounter, from unscheduled care alone, and of a shielded child
//! only whoever shielded it, without a place.

use kith_api::v1::{self, CareContext, NotificationCause};
use tonic::Code;

use crate::harness::build::{self, nhs};
use crate::harness::calls::{self, expect_trouble};
use crate::harness::certificates;
use crate::harness::process::Server;
use crate::harness::site::{AUTHORITIES, Site, TRUSTS};
use crate::harness::wait::until_async;

const A: &str = AUTHORITIES[0];
const B: &str = AUTHORITIES[1];
const C: &str = AUTHORITIES[2];
const ED: &str = TRUSTS[0];
const OTHER_ED: &str = TRUSTS[1];
/// A child whose lookup marks the end of what came before it.
const MARK: u32 = 900;

/// Children on a plan of A: those given, and the one that marks.
async fn begin(children: &[u32]) -> (Site, Server) {
    let mut site = Site::new();
    certificates::issue(&site.path("certs"), "scheduled", ED, "scheduled-care");
    let server = site.ready().await;
    let plan = |index: &u32| build::plan(nhs(*index), &format!("N{index}"));
    calls::accept(&server.client(A).await, children.iter().chain([&MARK]).map(plan).collect()).await;
    (site, server)
}

fn digits(notification: &v1::Notification) -> String {
    match notification.subject.clone().unwrap().subject.unwrap() {
        v1::subject::Subject::NhsNumber(digits) => digits,
        v1::subject::Subject::LocalKey(_) => panic!("no local key was notified"),
    }
}

/// What A hears, once everything before this call has had its consequences: they come in the order of asking.
async fn heard(server: &Server) -> Vec<v1::Notification> {
    calls::ask(&server.client(ED).await, build::lookup(ED, nhs(MARK))).await;
    let all = until_async("the marking notification", async || {
        let all = calls::notifications(server, A, 500).await;
        all.iter().any(|one| digits(one) == nhs(MARK).digits()).then_some(all)
    })
    .await;
    // A notification is on disk a moment before the index shows the history; the writer acknowledges a later change only
    // when it has published what came before.
    calls::submit(&server.client(A).await, vec![build::heartbeat()]).await.unwrap();
    all.into_iter().filter(|one| digits(one) != nhs(MARK).digits()).collect()
}

fn end(site: Site, server: Server) {
    tokio::task::block_in_place(|| server.stop());
    site.finish(&[]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_per_encounter_for_each_responsible_authority() {
    let (site, server) = begin(&[1, 2]).await;
    calls::accept(&server.client(B).await, vec![build::plan(nhs(1), "B")]).await;
    let (ed, other) = (server.client(ED).await, server.client(OTHER_ED).await);
    calls::check_in(&ed, build::check_in(ED, nhs(1), "e1")).await.unwrap();
    for _ in 0..3 {
        calls::ask(&ed, build::lookup(ED, nhs(1))).await;
    }
    calls::ask(&other, build::lookup(OTHER_ED, nhs(1))).await;
    let of_a = heard(&server).await;
    let mut organisations: Vec<&str> = of_a.iter().map(|one| one.organisation.as_str()).collect();
    organisations.sort_unstable();
    assert_eq!(organisations, [ED, OTHER_ED], "one encounter at each");
    assert!(of_a.iter().all(|one| digits(one) == nhs(1).digits()));
    let of_b = calls::notifications(&server, B, 500).await;
    assert_eq!(of_b.len(), 2, "each responsible authority hears of each encounter");
    assert!(calls::notifications(&server, C, 500).await.is_empty(), "nobody else hears of it");
    let lookup = of_a.iter().find(|one| one.cause() == NotificationCause::Lookup).unwrap();
    assert_eq!((lookup.user_name.as_str(), lookup.user_role.as_str()), (build::NURSE, "Triage nurse"));
    end(site, server);
}

/// Who was responsible when the answer was given hears of it, whatever happens to the plan right after; who became
/// responsible only then does not.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_moment_of_the_answer_decides_who_hears() {
    let children: Vec<u32> = (1..=20).collect();
    let (site, server) = begin(&children).await;
    let (ed, a, b) = (server.client(ED).await, server.client(A).await, server.client(B).await);
    for child in &children {
        let plan = build::plan(nhs(*child), &format!("N{child}"));
        let end = match child % 2 {
            0 => v1::PlanEvent {
                action: v1::PlanAction::End.into(),
                end: Some(build::day(-1)),
                version: 2,
                event_id: build::id(),
                ..plan
            },
            _ => v1::PlanEvent { action: v1::PlanAction::Withdraw.into(), version: 2, event_id: build::id(), ..plan },
        };
        calls::ask(&ed, build::lookup(ED, nhs(*child))).await;
        calls::accept(&a, vec![end]).await;
        calls::accept(&b, vec![build::plan(nhs(*child), &format!("B{child}"))]).await;
    }
    let mut told: Vec<String> = heard(&server).await.iter().map(digits).collect();
    told.sort_unstable();
    let mut expected: Vec<String> = children.iter().map(|child| nhs(*child).digits()).collect();
    expected.sort_unstable();
    assert_eq!(told, expected, "every lookup of a child on a plan is told to its authority");
    assert!(calls::notifications(&server, B, 500).await.is_empty(), "B's plans began after the answers");
    end(site, server);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn imports_worklists_and_scheduled_reads_are_silent() {
    let (site, server) = begin(&[1, 2, 3, 4]).await;
    let (ed, scheduled) = (server.client(ED).await, server.client("scheduled").await);
    calls::import(&ed, vec![build::import(ED, nhs(1), "i1")]).await.unwrap();
    let entries = vec![v1::WorklistEntry { subject: build::subject(nhs(2)), ..v1::WorklistEntry::default() }];
    let worklist = v1::LookupManyRequest {
        caller: Some(build::caller(ED)),
        entries,
        request_id: build::id(),
        ..v1::LookupManyRequest::default()
    };
    let mut items = ed.lookup().lookup_many(worklist).await.unwrap().into_inner();
    assert!(items.message().await.unwrap().is_some());
    let read = v1::LookupRequest { care_context: CareContext::Scheduled.into(), ..build::lookup(ED, nhs(3)) };
    calls::ask(&scheduled, read).await;
    assert!(heard(&server).await.is_empty(), "silent reads notify nobody");
    for silent in [1, 2, 3] {
        let answer = calls::ask(&ed, build::lookup(ED, nhs(silent))).await;
        assert!(answer.access_history.unwrap().accesses.is_empty(), "a silent read makes no history");
    }
    // Without a care context it counts as unscheduled.
    let unsaid = v1::LookupRequest { care_context: CareContext::Unspecified.into(), ..build::lookup(ED, nhs(4)) };
    calls::ask(&scheduled, unsaid).await;
    until_async("the lookup without a care context is notified", async || {
        calls::notifications(&server, A, 500).await.iter().any(|one| digits(one) == nhs(4).digits()).then_some(())
    })
    .await;
    end(site, server);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_retry_counts_once() {
    let (site, server) = begin(&[1]).await;
    let ed = server.client(ED).await;
    let request = build::lookup(ED, nhs(1));
    for _ in 0..4 {
        calls::ask(&ed, request.clone()).await;
    }
    assert_eq!(heard(&server).await.len(), 1);
    let history = calls::ask(&ed, build::lookup(ED, nhs(1))).await.access_history.unwrap();
    assert_eq!((history.accesses.len(), history.accesses[0].count), (1, 1), "the retries are one access");
    end(site, server);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_live_recording_notifies_and_an_authority_sees_only_its_own() {
    let (site, server) = begin(&[1, 2, 3]).await;
    let ed = server.client(ED).await;
    for child in 1..=3 {
        calls::record(&ed, build::record(ED, nhs(child), &format!("r{child}"))).await.unwrap();
    }
    let all = calls::notifications(&server, A, 500).await;
    assert_eq!(all.len(), 3);
    assert!(all.iter().all(|one| one.cause() == NotificationCause::Presentation && one.organisation == ED));
    assert_eq!(calls::notifications(&server, A, 1).await, all, "pages hold what the whole holds");
    assert_eq!(calls::notifications(&server, A, 2).await, all);
    assert!(all.is_sorted_by_key(|one| one.id));

    let ids: Vec<u64> = all.iter().take(2).map(|one| one.id).collect();
    let acknowledge = |code: &str, ids: Vec<u64>, event_id: String| v1::AcknowledgeRequest {
        ids,
        event_id,
        caller: Some(build::caller(code)),
    };
    let b = server.client(B).await;
    let request = b.request(acknowledge(B, ids.clone(), build::id()));
    let foreign = b.notifications().acknowledge(request).await.unwrap().into_inner();
    assert_eq!(foreign.unknown_ids, ids, "another authority's are not known");
    let a = server.client(A).await;
    let event_id = build::id();
    for repeated in [false, true] {
        let request = a.request(acknowledge(A, ids.clone(), event_id.clone()));
        let response = a.notifications().acknowledge(request).await.unwrap().into_inner();
        assert_eq!(response.acknowledgement.unwrap().repeated, repeated);
        assert!(response.unknown_ids.is_empty());
    }
    let again = a.request(acknowledge(A, ids.clone(), build::id()));
    a.notifications().acknowledge(again).await.expect("acknowledging again is no error");
    let left = v1::ListRequest { caller: Some(build::caller(A)), ..v1::ListRequest::default() };
    let left = a.notifications().list(a.request(left)).await.unwrap().into_inner().notifications;
    assert_eq!(left.iter().map(|one| one.id).collect::<Vec<_>>(), [all[2].id]);
    let acknowledged = calls::notifications(&server, A, 500).await.iter().filter(|one| one.acknowledged).count();
    assert_eq!(acknowledged, 2, "the other authority's attempt changed nothing");

    let request = v1::ListRequest { caller: Some(build::caller(ED)), ..v1::ListRequest::default() };
    let refused = ed.notifications().list(ed.request(request)).await;
    expect_trouble(refused, Code::PermissionDenied, "ROLE_NOT_ALLOWED", &[]);
    end(site, server);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn of_a_shielded_child_only_the_setter_hears_and_no_place() {
    let (site, server) = begin(&[1]).await;
    let ed = server.client(ED).await;
    calls::ask(&ed, build::lookup(ED, nhs(1))).await;
    assert_eq!(heard(&server).await.len(), 1, "before the shield the responsible authority hears");
    let shield = v1::PlanEvent { shielded: true, ..build::plan(nhs(1), "B") };
    calls::accept(&server.client(B).await, vec![shield]).await;
    let other = server.client(OTHER_ED).await;
    calls::check_in(&other, build::check_in(OTHER_ED, nhs(1), "s1")).await.unwrap();
    let of_b = until_async("the setter hears", async || {
        let all = calls::notifications(&server, B, 500).await;
        (!all.is_empty()).then_some(all)
    })
    .await;
    for one in of_b {
        assert!(
            one.shielded && one.organisation.is_empty() && one.organisation_name.is_empty(),
            "{}",
            one.organisation
        );
        assert!(one.user_name.is_empty() && one.user_role.is_empty());
    }
    assert!(heard(&server).await.is_empty(), "who does not shield it hears nothing, not even of before");
    end(site, server);
}
