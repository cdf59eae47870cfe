//! A shielded record opened for one answer, over the wire: the place is there and nowhere else, the privacy officer hears of it
//! whatever becomes of the process, and nobody goes past the limits.

mod command;

use std::path::Path;

use kith_api::client::{Client, JsonError, to_json};
use kith_api::v1;
use kith_engine::{AuditEntry, Decision};
use tonic::{Code, Status};

use crate::harness::build::{self, nhs};
use crate::harness::calls::{self, expect_trouble};
use crate::harness::process::Server;
use crate::harness::site::{AUTHORITIES, PLACES, Site, TRUSTS};
use crate::harness::wait::{until, until_async};
use crate::harness::{certificates, logs, offline};
use crate::metrics;

const A: &str = AUTHORITIES[0];
const ED: &str = TRUSTS[0];
const OTHER: &str = TRUSTS[1];
/// Who opens, and who else there is: certificates of a safeguarding team at each trust, and of an auditor.
const TEAM: &str = "team";
const OTHER_TEAM: &str = "other-team";
const AUDITOR: &str = "auditor";
const CHILD: u32 = 31;
/// What the opener says: such words as stand nowhere by chance.
const SAID: &str = "vexillology at quarter past";

/// A site with a metrics page, certificates, and limits of two a person and three an organisation.
fn site(settings: &[(&'static str, &'static str, &'static str)]) -> Site {
    let own = [
        ("metrics", "listen", "\"127.0.0.1:0\""),
        ("break_glass", "per_person", "2"),
        ("break_glass", "per_organisation", "3"),
        ("log", "level", "\"info,kith_server=trace,kith_engine=trace,kith_store=trace,kith_api=trace\""),
    ];
    let site = Site::with(&[&own[..], settings].concat());
    for (name, organisation, role) in
        [(TEAM, ED, "safeguarding"), (OTHER_TEAM, OTHER, "safeguarding"), (AUDITOR, "X99", "auditor")]
    {
        certificates::issue(&site.path("certs"), name, organisation, role);
    }
    site
}

/// The shielded child of an authority, seen elsewhere.
async fn hold(server: &Server) {
    let plan = v1::PlanEvent { shielded: true, ..build::plan(nhs(CHILD), "P31") };
    calls::accept(&server.client(A).await, vec![plan, build::plan(nhs(CHILD + 1), "P32")]).await;
    calls::record(&server.client(OTHER).await, build::record(OTHER, nhs(CHILD), "seen")).await.unwrap();
}

fn person(organisation: &str, user: &str, purpose: v1::Purpose) -> Option<v1::Caller> {
    Some(v1::Caller { user_id: user.into(), purpose: purpose.into(), ..build::caller(organisation) })
}

fn opening(organisation: &str, user: &str, child: u32) -> v1::OpenShieldedRequest {
    let caller = person(organisation, user, v1::Purpose::ChildProtectionEnquiry);
    v1::OpenShieldedRequest {
        lookup: Some(v1::LookupRequest { caller, ..build::lookup(organisation, nhs(child)) }),
        reason: v1::OpeningReason::MissingChild.into(),
        words: SAID.into(),
        review_accepted: true,
    }
}

async fn open(client: &Client, request: v1::OpenShieldedRequest) -> Result<v1::OpenShieldedResponse, Status> {
    Ok(client.break_glass().open_shielded(client.request(request)).await?.into_inner())
}

async fn queue(client: &Client, organisation: &str) -> Vec<v1::Opening> {
    let caller = person(organisation, "officer", v1::Purpose::SafeguardingReview);
    let request = v1::ListOpeningsRequest { caller, ..v1::ListOpeningsRequest::default() };
    client.break_glass().list_openings(client.request(request)).await.unwrap().into_inner().openings
}

async fn review(client: &Client, organisation: &str, user: &str, reference: &str) -> Result<(), Status> {
    let request = v1::ReviewOpeningRequest {
        caller: person(organisation, user, v1::Purpose::SafeguardingReview),
        reference: reference.into(),
        outcome: v1::ReviewOutcome::Justified.into(),
        event_id: build::id(),
    };
    client.break_glass().review_opening(client.request(request)).await.map(|_| ())
}

/// All that a message holds, for its `Debug` may leave things out.
fn text(json: Result<serde_json::Map<String, serde_json::Value>, JsonError>) -> String {
    serde_json::Value::Object(json.unwrap()).to_string()
}

/// A place of the child's: what its authority and the hospital that saw it are called.
fn tells_a_place(text: &str) -> Option<&'static str> {
    let own = [ED, "Barrowfold", "RZ101", "01632 960101"];
    PLACES.into_iter().find(|place| !own.contains(place) && text.contains(place))
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

fn value(page: &str, series: &str) -> u64 {
    let found = page.lines().find_map(|line| line.strip_prefix(series)?.strip_prefix(' '));
    found.unwrap_or_else(|| panic!("{series}\n{page}")).parse().unwrap()
}

/// What is said of a shielded child by every other way, after it was opened.
async fn nothing_else_tells(server: &Server, reference: &str) {
    let team = server.client(TEAM).await;
    let caller = person(ED, "opener", v1::Purpose::ChildProtectionEnquiry);
    let shut = calls::ask(&team, v1::LookupRequest { caller, ..build::lookup(ED, nhs(CHILD)) }).await;
    assert!(shut.shielded);
    let told = text(to_json(&shut));
    assert_eq!(tells_a_place(&told), None, "the next question finds it shut: {told}");

    let waiting = queue(&team, ED).await;
    let [waits] = &waiting[..] else { panic!("one opening waits: {waiting:?}") };
    assert_eq!((waits.reference.as_str(), waits.organisation.as_str()), (reference, ED));
    assert_eq!((waits.role.as_str(), waits.reason()), ("safeguarding", v1::OpeningReason::MissingChild));
    let told = text(to_json(waits));
    assert!(told.contains(reference), "{told}");
    assert!(tells_a_place(&told).is_none() && !logs::has_number(&told) && !told.contains(SAID), "{told}");
    assert_eq!(queue(&server.client(OTHER_TEAM).await, OTHER).await, [], "another organisation's is not shown");
    let audited = queue(&server.client(AUDITOR).await, "X99").await;
    let [waits] = &audited[..] else { panic!("an auditor sees all: {audited:?}") };
    assert!(waits.organisation.is_empty() && waits.organisation_name.is_empty(), "{waits:?}");
    assert_eq!(waits.at.as_ref().unwrap().seconds % 86_400, 0, "the day alone");
    let refused = review(&server.client(AUDITOR).await, "X99", "auditor", reference).await;
    expect_trouble(refused, Code::PermissionDenied, "ROLE_NOT_ALLOWED", &[]);

    let heard = until_async("the authority hears", async || {
        let heard = calls::notifications(server, A, 100).await;
        heard.iter().any(|one| one.cause() == v1::NotificationCause::Lookup).then_some(heard)
    })
    .await;
    assert!(heard.iter().all(|one| one.shielded && one.user_name.is_empty()), "{heard:?}");
    assert!(heard.iter().all(|one| one.organisation.is_empty() && one.organisation_name.is_empty()), "{heard:?}");

    let page = metrics::page(metrics::address(server));
    assert_eq!(value(&page, "kith_break_glass_unreviewed"), 1);
    let of_openings: String = page.lines().filter(|line| line.contains("break_glass")).collect();
    assert!(!of_openings.contains('{') && !page.contains(reference) && !page.contains(SAID), "{of_openings}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_place_is_in_one_answer_and_nowhere_else_and_a_kill_loses_nothing() {
    let mut site = site(&[]);
    let server = site.ready().await;
    hold(&server).await;
    let team = server.client(TEAM).await;
    let viewing = open(&team, opening(ED, "opener", CHILD)).await.unwrap();
    let opened = viewing.opened.expect("that it was opened");
    let answer = viewing.answer.unwrap();
    assert!(answer.shielded && answer.words[0].starts_with("SHIELDED RECORD, OPENED"), "{:?}", answer.words);
    assert!(tells_a_place(&text(to_json(&answer))).is_some(), "the search finds what is told");
    let plan = &answer.plans.as_ref().unwrap().plans[0];
    assert_eq!(plan.authority.as_ref().unwrap().code, A);
    assert_eq!(answer.presentations.as_ref().unwrap().at_other_organisations[0].organisation, OTHER);
    nothing_else_tells(&server, &opened.reference).await;

    tokio::task::block_in_place(|| server.kill());
    let server = site.ready().await;
    let team = server.client(TEAM).await;
    let waiting = queue(&team, ED).await;
    assert_eq!(waiting.iter().map(|one| one.reference.as_str()).collect::<Vec<_>>(), [opened.reference.as_str()]);
    assert_eq!(value(&metrics::page(metrics::address(&server)), "kith_break_glass_unreviewed"), 1);
    expect_trouble(
        review(&team, ED, "opener", &opened.reference).await,
        Code::FailedPrecondition,
        "OWN_OPENING",
        &["reference"],
    );
    review(&team, ED, "officer", &opened.reference).await.unwrap();
    assert_eq!(queue(&team, ED).await, []);
    let again = review(&team, ED, "officer", &opened.reference).await;
    expect_trouble(again, Code::FailedPrecondition, "OPENING_REVIEWED", &["reference"]);
    tokio::task::block_in_place(|| server.stop());

    offline::verify(site.dir());
    let audit = offline::audit(site.dir());
    let of = |is: &dyn Fn(&Decision) -> bool| audit.values().filter(|entry| is(&entry.decision)).count();
    let found = audit.values().find_map(|entry| {
        let Decision::Opened { words, queue, .. } = &entry.decision else { return None };
        Some((entry, words.as_str().to_owned(), queue.to_string()))
    });
    let (AuditEntry { subject, .. }, words, referred) = found.expect("the audit of the viewing");
    assert!(subject == &Some(kith_domain::child::Subject::Nhs(nhs(CHILD))));
    assert_eq!((words.as_str(), referred), (SAID, opened.reference));
    let looked = |entry: &&AuditEntry| entry.subject == *subject && entry.decision.disclosed().is_some();
    assert_eq!(audit.values().filter(looked).count(), 2, "the viewing, and the question after it");
    assert_eq!(of(&|decision| matches!(decision, Decision::OpeningReviewed(..))), 1);
    let mut found = Vec::new();
    files_with(site.dir(), SAID, &mut found);
    assert_eq!(found, Vec::<String>::new(), "the opener's words stand in the clear");
    site.finish(&["did not end in order"]);
}

/// What a refused opening says: that nothing was asked, and nothing that could be read as an answer.
fn says_nothing_of_the_child(status: &Status) {
    let said = status.message();
    assert!(said.contains("could not ask") || said.contains("no answer was given"), "{said}");
    for word in ["none held", "nothing held", "HELD", "shielded", "no plan"] {
        assert!(!said.contains(word), "{word}: {said}");
    }
    assert_eq!(tells_a_place(said), None, "{said}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nobody_goes_past_the_limits_not_even_by_a_kill() {
    let mut site = site(&[]);
    let server = site.ready().await;
    hold(&server).await;
    let team = server.client(TEAM).await;
    for _ in 0..2 {
        open(&team, opening(ED, "opener", CHILD)).await.unwrap();
    }
    // A child who is not shielded costs nothing, and past the limit is answered as little as one who is.
    let other = server.client(OTHER_TEAM).await;
    let ordinary = open(&other, opening(OTHER, "opener", CHILD + 1)).await.unwrap();
    assert!(ordinary.opened.is_none() && !ordinary.answer.unwrap().shielded);
    let refused: Vec<Status> = {
        let mut refused = Vec::new();
        for child in [CHILD, CHILD + 1, CHILD + 50] {
            refused.push(open(&team, opening(ED, "opener", child)).await.unwrap_err());
        }
        refused
    };
    for status in &refused {
        assert_eq!(status.message(), refused[0].message(), "whoever is asked about");
        says_nothing_of_the_child(status);
        expect_trouble::<()>(Err(status.clone()), Code::ResourceExhausted, "OPENING_LIMIT", &[]);
    }
    tokio::task::block_in_place(|| server.kill());
    let server = site.ready().await;
    let team = server.client(TEAM).await;
    let after = open(&team, opening(ED, "opener", CHILD)).await;
    expect_trouble(after, Code::ResourceExhausted, "OPENING_LIMIT", &[]);
    open(&team, opening(ED, "colleague", CHILD)).await.unwrap();
    let third = open(&team, opening(ED, "another", CHILD)).await;
    expect_trouble(third, Code::ResourceExhausted, "OPENING_LIMIT", &[]);
    open(&server.client(OTHER_TEAM).await, opening(OTHER, "opener", CHILD)).await.unwrap();
    let page = metrics::page(metrics::address(&server));
    assert_eq!(
        (value(&page, "kith_break_glass_unreviewed"), value(&page, "kith_break_glass_over_limit_total")),
        (4, 2)
    );
    tokio::task::block_in_place(|| server.stop());
    let limited =
        |entry: &&AuditEntry| matches!(entry.decision, Decision::Refused(code) if code.word() == "OPENING_LIMIT");
    assert_eq!(offline::audit(site.dir()).values().filter(limited).count(), 5, "each is in the audit");
    site.finish(&["did not end in order"]);
}

/// Where the queue takes no entry nothing is shown, however well the audit works.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn without_a_place_in_the_queue_there_is_no_answer() {
    let mut site = site(&[]);
    let server = site.ready().await;
    hold(&server).await;
    tokio::task::block_in_place(|| server.stop());
    site.configure(&[("metrics", "listen", "\"127.0.0.1:0\""), ("storage", "reserve_bytes", "1099511627776")]);
    let server = site.ready().await;
    let status = open(&server.client(TEAM).await, opening(ED, "opener", CHILD)).await.unwrap_err();
    says_nothing_of_the_child(&status);
    expect_trouble::<()>(Err(status), Code::Unavailable, "STORAGE_UNAVAILABLE", &[]);
    assert_eq!(queue(&server.client(AUDITOR).await, "X99").await, []);
    tokio::task::block_in_place(|| server.stop());
    let audit = offline::audit(site.dir());
    assert!(!audit.values().any(|entry| matches!(entry.decision, Decision::Opened { .. })));
    let refused =
        |entry: &&AuditEntry| matches!(entry.decision, Decision::Refused(code) if code.word() == "STORAGE_UNAVAILABLE");
    assert_eq!(audit.values().filter(refused).count(), 1);
    site.finish(&["takes no writes", "takes no entry", "history waits", "refused", "disk"]);
}

/// The roles of certificates.
const ROLES: [&str; 9] =
    ["ed", "scheduled-care", "safeguarding", "local-authority", "demographics", "broker", "auditor", "ops", "witness"];

/// Every role tries to open for every purpose in either context, a shielded child and one who is not; what is granted was
/// written down by hand.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_may_open_list_and_review() {
    let mut site = site(&[("break_glass", "per_person", "100"), ("break_glass", "per_organisation", "100")]);
    let of = |role: &str| if role == "local-authority" { A } else { ED };
    for role in ROLES {
        certificates::issue(&site.path("certs"), &format!("as-{role}"), of(role), role);
    }
    let server = site.ready().await;
    hold(&server).await;
    let (mut tried, mut opened, mut listed) = (0, 0, 0);
    for role in ROLES {
        let client = server.client(&format!("as-{role}")).await;
        for purpose in 1..=4 {
            for (context, child) in [(1, CHILD), (1, CHILD + 1), (2, CHILD)] {
                let mut request = opening(of(role), "opener", child);
                let lookup = request.lookup.as_mut().unwrap();
                lookup.care_context = context;
                lookup.caller.as_mut().unwrap().purpose = purpose;
                let may = role == "safeguarding" && purpose == 2 && context == 1;
                let found = open(&client, request).await;
                assert_eq!(found.is_ok(), may, "{role} {purpose} {context}: {found:?}");
                match found {
                    Ok(viewing) => opened += u32::from(viewing.opened.is_some()),
                    Err(status) => assert_eq!(status.code(), Code::PermissionDenied, "{role} {purpose} {context}"),
                }
                tried += 1;
            }
            let caller = Some(v1::Caller { purpose, ..build::caller(of(role)) });
            let request = v1::ListOpeningsRequest { caller, ..v1::ListOpeningsRequest::default() };
            let found = client.break_glass().list_openings(client.request(request)).await;
            let may = ["safeguarding", "auditor"].contains(&role) && purpose == 3;
            assert_eq!(found.is_ok(), may, "{role} {purpose}: {found:?}");
            listed += u32::from(found.is_ok());
        }
    }
    assert_eq!((tried, opened, listed), (9 * 4 * 3, 1, 2));
    for (field, reason, change) in faults() {
        let mut request = opening(ED, "opener", CHILD);
        change(&mut request);
        let refused = open(&server.client(TEAM).await, request).await;
        expect_trouble(refused, Code::InvalidArgument, reason, &[field]);
    }
    until("the metrics are as before", || {
        let page = metrics::page(metrics::address(&server));
        (value(&page, "kith_break_glass_unreviewed") == 1).then_some(())
    });
    tokio::task::block_in_place(|| server.stop());
    let audit = offline::audit(site.dir());
    let malformed =
        |entry: &&AuditEntry| matches!(entry.decision, Decision::Refused(code) if code.word() == "BAD_TEXT");
    let named: Vec<bool> = audit.values().filter(malformed).map(|entry| entry.caller.is_some()).collect();
    assert_eq!(named, [true; 3], "who sent what could not be read otherwise");
    site.finish(&[]);
}

/// A field at fault, the reason, and how a request comes to it.
type Fault = (&'static str, &'static str, fn(&mut v1::OpenShieldedRequest));

fn faults() -> [Fault; 5] {
    [
        ("words", "BAD_TEXT", |request| request.words.clear()),
        ("words", "BAD_TEXT", |request| request.words = " ".repeat(20)),
        ("words", "BAD_TEXT", |request| request.words = "x".repeat(501)),
        ("reason", "UNKNOWN_OPENING_REASON", |request| request.reason = 0),
        ("review_accepted", "REVIEW_NOT_ACCEPTED", |request| request.review_accepted = false),
    ]
}
