//! An authority reads its own plans: all of them, page by page, and nothing of anybody else's.

use std::collections::{BTreeMap, BTreeSet};

use kith_api::client::Client;
use kith_api::v1;
use tonic::Code;

use crate::harness::build::{self, nhs};
use crate::harness::calls::{self, expect_trouble};
use crate::harness::process::Server;
use crate::harness::site::{AUTHORITIES, Site, TRUSTS};

const A: &str = AUTHORITIES[0];
const B: &str = AUTHORITIES[1];
/// Children of A, one plan each.
const CHILDREN: u32 = 23;
/// Children of a page.
const PAGE: u32 = 5;

async fn page(client: &Client, page_size: u32, page_token: &str) -> Result<v1::ListOwnResponse, tonic::Status> {
    let request = v1::ListOwnRequest { page_size, page_token: page_token.into(), caller: Some(build::caller(A)) };
    Ok(client.plans().list_own(client.request(request)).await?.into_inner())
}

/// References by subject, read page by page; `between` runs after each page.
async fn listed(client: &Client, mut between: impl AsyncFnMut()) -> BTreeMap<String, Vec<v1::OwnPlan>> {
    let (mut found, mut token) = (BTreeMap::new(), String::new());
    loop {
        let v1::ListOwnResponse { children, next_page_token } = page(client, PAGE, &token).await.unwrap();
        assert!(children.len() <= PAGE as usize, "a page is longer than asked for");
        for v1::OwnChild { subject, plans } in children {
            let whom = match subject.unwrap().subject.unwrap() {
                v1::subject::Subject::NhsNumber(digits) => digits,
                v1::subject::Subject::LocalKey(key) => key,
            };
            assert!(found.insert(whom, plans).is_none(), "somebody is listed twice");
        }
        between().await;
        if next_page_token.is_empty() {
            return found;
        }
        token = next_page_token;
        for index in 0..2 * CHILDREN {
            assert!(!token.contains(&nhs(index).digits()), "a token tells a number");
        }
    }
}

fn withdrawn(plan: &v1::PlanEvent) -> v1::PlanEvent {
    let action = v1::PlanAction::Withdraw.into();
    v1::PlanEvent { action, version: plan.version + 1, event_id: build::id(), ..plan.clone() }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_authority_reads_its_own_plans_and_nobody_elses() {
    let mut site = Site::new();
    let server: Server = site.ready().await;
    let (a, b) = (server.client(A).await, server.client(B).await);
    let own: Vec<v1::PlanEvent> = (0..CHILDREN).map(|index| build::plan(nhs(index), &format!("A{index}"))).collect();
    calls::accept(&a, own.clone()).await;
    // B has plans about half of them, about others, and one that shields a child of A.
    let theirs = (0..2 * CHILDREN).step_by(2).map(|index| build::plan(nhs(index), &format!("B{index}")));
    calls::accept(&b, theirs.collect()).await;
    calls::accept(&b, vec![v1::PlanEvent { shielded: true, ..build::plan(nhs(1), "BSHIELD") }]).await;
    calls::accept(&a, vec![v1::PlanEvent { subject: build::local("k-77"), ..build::plan(nhs(0), "AKEY") }]).await;
    calls::accept(&a, vec![withdrawn(&own[3])]).await;

    let mut more = 500;
    let found = listed(&a, async || {
        calls::accept(&a, vec![build::plan(nhs(more), &format!("LATE{more}"))]).await;
        more += 1;
    })
    .await;
    let references = |plans: &[v1::OwnPlan]| plans.iter().map(|plan| plan.reference.clone()).collect::<Vec<_>>();
    let said: BTreeSet<&String> = found.keys().collect();
    for index in 0..CHILDREN {
        let digits = nhs(index).digits();
        assert!(said.contains(&digits), "child {index} is missing");
        let plans = &found[&digits];
        assert_eq!(references(plans), [format!("A{index}")]);
        assert_eq!((plans[0].withdrawn, plans[0].shielded), (index == 3, false), "{index}");
        let state = if index == 3 { v1::PlanState::Unspecified } else { v1::PlanState::Active };
        assert_eq!(plans[0].state(), state);
    }
    assert_eq!(references(&found["k-77"]), ["AKEY"]);
    let all: Vec<String> = found.values().flat_map(|plans| references(plans)).collect();
    assert!(all.iter().all(|reference| !reference.starts_with('B')), "what another authority holds is listed");

    expect_trouble(page(&a, 501, "").await, Code::InvalidArgument, "PAGE_TOO_LARGE", &["page_size"]);
    for odd in ["x", "00", &"0".repeat(34), "g0000000000000000000000000000000"] {
        expect_trouble(page(&a, 1, odd).await, Code::InvalidArgument, "BAD_PAGE_TOKEN", &["page_token"]);
    }
    // Neither another organisation's name nor another role's certificate opens it.
    let foreign = page(&b, 1, "").await.expect_err("B named A as its organisation");
    assert_eq!(foreign.code(), Code::PermissionDenied);
    let ed = server.client(TRUSTS[0]).await;
    let request = v1::ListOwnRequest { caller: Some(build::caller(TRUSTS[0])), ..Default::default() };
    let refused = ed.plans().list_own(ed.request(request)).await;
    assert_eq!(refused.expect_err("a trust lists plans").code(), Code::PermissionDenied);
    tokio::task::block_in_place(|| server.stop());
    site.finish(&[]);
}
