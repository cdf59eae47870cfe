//! An authority withholds what it holds of a child, over the wire: whoever asks is told that something is held and whom to ring, the
//! audit keeps who decided it and why, no kill lifts it, and nobody else decides.

mod command;

use std::path::Path;

use kith_api::client::Client;
use kith_api::v1;
use kith_domain::method::Method;
use kith_engine::{AuditEntry, Decision};
use tonic::{Code, Status};

use crate::harness::build::{self, nhs};
use crate::harness::calls::{self, expect_trouble};
use crate::harness::offline;
use crate::harness::process::Server;
use crate::harness::site::{AUTHORITIES, Site, TRUSTS};
use crate::metrics;

const A: &str = AUTHORITIES[0];
const B: &str = AUTHORITIES[1];
const ED: &str = TRUSTS[0];
const CHILD: u32 = 41;
/// What is said by who decides: such words as stand nowhere by chance.
const SAID: &str = "campanology in the third pew";

fn site() -> Site {
    let trace = "\"info,kith_server=trace,kith_engine=trace,kith_store=trace,kith_api=trace\"";
    Site::with(&[("metrics", "listen", "\"127.0.0.1:0\""), ("log", "level", trace)])
}

fn decision(of: &str, days: i32) -> v1::DecideWithholdingRequest {
    v1::DecideWithholdingRequest {
        caller: Some(build::caller(of)),
        nhs_number: nhs(CHILD).digits(),
        reason: v1::WithholdingReason::HarmToOther.into(),
        words: SAID.into(),
        look_again: Some(build::day(days)),
        event_id: build::id(),
        local_key: String::new(),
    }
}

async fn decide(client: &Client, request: v1::DecideWithholdingRequest) -> Result<v1::Acknowledgement, Status> {
    let response = client.withholding().decide_withholding(client.request(request)).await?.into_inner();
    Ok(response.acknowledgement.expect("an acknowledgement"))
}

async fn lift(client: &Client, of: &str) -> Result<(), Status> {
    let (caller, nhs_number) = (Some(build::caller(of)), nhs(CHILD).digits());
    let local_key = String::new();
    let request = v1::LiftWithholdingRequest { caller, nhs_number, event_id: build::id(), local_key };
    client.withholding().lift_withholding(client.request(request)).await.map(|_| ())
}

async fn list(client: &Client, of: &str) -> Vec<v1::Withholding> {
    let request = v1::ListWithholdingsRequest { caller: Some(build::caller(of)), ..Default::default() };
    client.withholding().list_withholdings(client.request(request)).await.unwrap().into_inner().withholdings
}

/// What an emergency department is told of the child.
async fn told(server: &Server) -> v1::Answer {
    calls::ask(&server.client(ED).await, build::lookup(ED, nhs(CHILD))).await
}

/// Authorities of the plans listed; the outcome is held, whatever is withheld.
fn listed(answer: &v1::Answer) -> Vec<&str> {
    let plans = answer.plans.as_ref().unwrap();
    assert_eq!(plans.outcome(), v1::Outcome::Held, "{:?}", answer.words);
    plans.plans.iter().map(|plan| plan.authority.as_ref().unwrap().code.as_str()).collect()
}

fn is_withheld(answer: &v1::Answer) -> bool {
    answer.plans.as_ref().unwrap().withheld
}

fn value(page: &str, series: &str) -> u64 {
    let found = page.lines().find_map(|line| line.strip_prefix(series)?.strip_prefix(' '));
    found.unwrap_or_else(|| panic!("{series}\n{page}")).parse().unwrap()
}

/// Files below a directory that hold a text.
fn files_with(dir: &Path, text: &str, found: &mut Vec<String>) {
    for entry in std::fs::read_dir(dir).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            files_with(&path, text, found);
        } else if std::fs::read(&path).unwrap().windows(text.len()).any(|window| window == text.as_bytes()) {
            found.push(path.display().to_string());
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_withheld_reads_as_held_until_its_authority_lifts_it_and_no_kill_does() {
    let mut site = site();
    let server = site.ready().await;
    let (a, b) = (server.client(A).await, server.client(B).await);
    calls::accept(&a, vec![build::plan(nhs(CHILD), "PA")]).await;
    assert_eq!(listed(&told(&server).await), [A]);

    decide(&a, decision(A, 30)).await.unwrap();
    let answer = told(&server).await;
    assert_eq!((listed(&answer), is_withheld(&answer)), (Vec::new(), true));
    assert_eq!(answer.ring.as_ref().unwrap().code, A);
    let words = answer.words.join("\n");
    assert!(words.contains("Plans: HELD: something that an authority WITHHOLDS by a person's decision"), "{words}");
    assert!(!words.contains("Plans: none held") && !words.contains(SAID), "{words}");
    calls::accept(&b, vec![build::plan(nhs(CHILD), "PB")]).await;
    calls::accept(&a, vec![build::plan(nhs(CHILD), "PA2")]).await;
    assert_eq!(listed(&told(&server).await), [B], "another authority's is shown, and what is sent later is withheld");

    tokio::task::block_in_place(|| server.kill());
    let server = site.ready().await;
    let (a, b) = (server.client(A).await, server.client(B).await);
    assert_eq!(listed(&told(&server).await), [B]);
    let standing = list(&a, A).await;
    let [one] = &standing[..] else { panic!("one decision stands: {}", standing.len()) };
    assert_eq!((one.words.as_str(), one.reason()), (SAID, v1::WithholdingReason::HarmToOther));
    assert_eq!((one.look_again, one.overdue), (Some(build::day(30)), false));
    assert!(list(&b, B).await.is_empty(), "another authority's decisions are not shown");
    let page = metrics::page(metrics::address(&server));
    assert_eq!((value(&page, "kith_withholdings"), value(&page, "kith_withholdings_overdue")), (1, 0));
    expect_trouble(lift(&b, B).await, Code::FailedPrecondition, "WITHHOLDING_UNKNOWN", &["nhs_number"]);
    lift(&a, A).await.unwrap();
    let answer = told(&server).await;
    assert!(!is_withheld(&answer) && listed(&answer).contains(&A), "{:?}", answer.words);
    tokio::task::block_in_place(|| server.stop());

    offline::verify(site.dir());
    is_in_the_audit(&site);
    let mut found = Vec::new();
    files_with(site.dir(), SAID, &mut found);
    assert_eq!(found, Vec::<String>::new(), "the words of who decided stand in the clear");
    site.finish(&["did not end in order"]);
}

/// A mother's unborn plan is withheld, and the night's feed tells of the birth: of whoever was born, known by a number or by the
/// authority's key, the plan is held and withheld, until somebody lifts it.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_birth_ends_no_withholding() {
    let mut site = site();
    let server = site.ready().await;
    let (a, ed) = (server.client(A).await, server.client(ED).await);
    let unborn = v1::PlanEvent { kind: v1::PlanKind::Unborn.into(), ..build::plan(nhs(CHILD), "U") };
    calls::accept(&a, vec![unborn.clone()]).await;
    decide(&a, decision(A, 30)).await.unwrap();
    let number = nhs(CHILD + 1);
    let baby = |subject, reference: &str| v1::Baby {
        subject,
        kind: v1::PlanKind::ChildProtection.into(),
        reference: reference.into(),
        date_of_birth: None,
    };
    let birth = v1::PlanEvent {
        action: v1::PlanAction::Born.into(),
        version: 2,
        event_id: build::id(),
        start: None,
        end: Some(build::day(0)),
        babies: vec![baby(build::subject(number), "B1"), baby(build::local("newborn-1"), "B2")],
        ..unborn
    };
    let taken = calls::accept(&a, vec![birth]).await;
    assert_eq!(taken[0].effect(), v1::Effect::Kept, "somebody is to look at it");
    let answer = calls::ask(&ed, build::lookup(ED, number)).await;
    assert_eq!((listed(&answer), is_withheld(&answer)), (Vec::new(), true));
    assert_eq!(answer.ring.as_ref().unwrap().code, A);
    let carried: Vec<(String, String)> = list(&a, A)
        .await
        .into_iter()
        .filter(|one| one.carried_over && one.words == SAID && one.look_again == Some(build::day(30)))
        .map(|one| (one.nhs_number, one.local_key))
        .collect();
    assert_eq!(carried, [(number.digits(), String::new()), (String::new(), "newborn-1".to_owned())]);
    for (nhs_number, local_key) in carried {
        let caller = Some(build::caller(A));
        let request = v1::LiftWithholdingRequest { caller, nhs_number, event_id: build::id(), local_key };
        a.withholding().lift_withholding(a.request(request)).await.unwrap();
    }
    assert_eq!(list(&a, A).await.len(), 1, "the mother's stands");
    let answer = calls::ask(&ed, build::lookup(ED, number)).await;
    assert_eq!((listed(&answer), is_withheld(&answer)), (vec![A], false));
    tokio::task::block_in_place(|| server.stop());
    offline::verify(site.dir());
    let audit = offline::audit(site.dir());
    let withheld = audit.values().filter(|entry| matches!(entry.decision, Decision::Withheld { .. }));
    let (decided, carried): (Vec<&AuditEntry>, Vec<&AuditEntry>) =
        withheld.partition(|entry| entry.method == Some(Method::DecideWithholding));
    assert_eq!((decided.len(), carried.len()), (1, 2), "one entry for each baby");
    for entry in &carried {
        assert_eq!(entry.decision, decided[0].decision, "with why it was decided, and when somebody is to look again");
        assert_eq!((entry.method, entry.request_id), (Some(Method::SubmitEvents), None), "no id leads to the mother");
        assert_eq!(entry.caller.as_ref().unwrap().user_id.as_str(), build::USER);
    }
    assert_eq!(carried[0].subject, Some(kith_domain::child::Subject::Nhs(number)));
    assert!(matches!(carried[1].subject, Some(kith_domain::child::Subject::Local(..))));
    site.finish(&[]);
}

/// Who decided what about whom, and that it was lifted.
fn is_in_the_audit(site: &Site) {
    let child = Some(kith_domain::child::Subject::Nhs(nhs(CHILD)));
    let audit = offline::audit(site.dir());
    let about: Vec<&AuditEntry> = audit.values().filter(|entry| entry.subject == child).collect();
    let decided = about.iter().find_map(|entry| {
        let Decision::Withheld { reason, words, look_again: _ } = &entry.decision else { return None };
        Some((entry, reason.word(), words.as_str()))
    });
    let (entry, reason, words) = decided.expect("the audit of the decision");
    assert_eq!((reason, words), ("harm-to-other", SAID));
    assert_eq!(entry.caller.as_ref().unwrap().user_id.as_str(), build::USER, "a person answers for it");
    assert_eq!(entry.organisation.unwrap().as_str(), A);
    assert!(about.iter().any(|entry| entry.decision == Decision::WithholdingLifted));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_may_decide_and_by_when_to_look_again() {
    let mut site = site();
    let server = site.ready().await;
    let a = server.client(A).await;
    for days in [-1, 0, 186] {
        let refused = decide(&a, decision(A, days)).await;
        expect_trouble(refused, Code::InvalidArgument, "LOOK_AGAIN_OUT_OF_RANGE", &["look_again"]);
    }
    let bare = v1::DecideWithholdingRequest { words: String::new(), ..decision(A, 30) };
    expect_trouble(decide(&a, bare).await, Code::InvalidArgument, "BAD_TEXT", &["words"]);
    let bare = v1::DecideWithholdingRequest { reason: 0, ..decision(A, 30) };
    expect_trouble(decide(&a, bare).await, Code::InvalidArgument, "UNKNOWN_WITHHOLDING_REASON", &["reason"]);
    let mut care = decision(A, 30);
    care.caller.as_mut().unwrap().purpose = v1::Purpose::DirectCare.into();
    expect_trouble(decide(&a, care).await, Code::PermissionDenied, "PURPOSE_NOT_ALLOWED", &[]);
    let foreign = decide(&a, decision(B, 30)).await;
    expect_trouble(foreign, Code::PermissionDenied, "ORGANISATION_MISMATCH", &[]);
    let ed = server.client(ED).await;
    expect_trouble(decide(&ed, decision(ED, 30)).await, Code::PermissionDenied, "ROLE_NOT_ALLOWED", &[]);
    expect_trouble(lift(&ed, ED).await, Code::PermissionDenied, "ROLE_NOT_ALLOWED", &[]);
    assert!(list(&a, A).await.is_empty(), "what was refused has changed nothing");
    tokio::task::block_in_place(|| server.stop());
    let audit = offline::audit(site.dir());
    let refused = |entry: &AuditEntry| matches!(entry.decision, Decision::Refused(_) | Decision::RefusedMany { .. });
    assert!(audit.values().any(refused), "refusals are audited");
    let child = Some(kith_domain::child::Subject::Nhs(nhs(CHILD)));
    let of_date = |entry: &AuditEntry| {
        let Decision::Refused(code) = entry.decision else { return None };
        (code.word() == "LOOK_AGAIN_OUT_OF_RANGE").then(|| entry.subject.clone())
    };
    assert_eq!(audit.values().find_map(of_date), Some(child), "about whom it was refused");
    site.finish(&[]);
}
