//! Flags about people's use, over the wire: raised behind the answers and refused to nobody, told to those who look into them and
//! to nobody else, reviewed once by another person, and neither repeated nor forgotten by a killed process.

use std::ops::Range;
use std::slice;
use std::time::Duration;

use kith_api::client::{Client, to_json};
use kith_api::v1;
use kith_domain::text::UserId;
use kith_engine::{AuditEntry, Decision, NotThere};
use rand::RngExt;
use tonic::{Code, Status};
use v1::audit_entry::Decision as Decided;

use crate::harness::build::{self, nhs};
use crate::harness::calls::{self, expect_trouble};
use crate::harness::process::{Server, program};
use crate::harness::site::{AUTHORITIES, Site, TRUSTS};
use crate::harness::wait::until_async;
use crate::harness::{certificates, count, logs, offline, seeded};

const ED: &str = TRUSTS[0];
const OTHER: &str = TRUSTS[1];
const TEAM: &str = "team";
const OTHER_TEAM: &str = "other-team";
const AUDITOR: &str = "checker";
/// Numbers that walk: those of the fixtures lie in steps of two.
const STEPS: u32 = 12;

fn site() -> Site {
    let site = Site::new();
    let certs = site.path("certs");
    certificates::issue(&certs, TEAM, ED, "safeguarding");
    certificates::issue(&certs, OTHER_TEAM, OTHER, "safeguarding");
    certificates::issue(&certs, AUDITOR, "NAO", "auditor");
    site
}

fn person(organisation: &str, user: &str, purpose: v1::Purpose) -> Option<v1::Caller> {
    let caller = build::caller(organisation);
    Some(v1::Caller { user_id: user.into(), purpose: purpose.into(), ..caller })
}

fn reviewer(organisation: &str, user: &str) -> Option<v1::Caller> {
    person(organisation, user, v1::Purpose::SafeguardingReview)
}

/// Somebody asks about one number after another; every question is answered.
async fn walk(ed: &Client, user: &str, from: u32) {
    ask_about(ed, user, from..from + STEPS).await;
}

async fn ask_about(ed: &Client, user: &str, numbers: Range<u32>) {
    for number in numbers {
        let caller = person(ED, user, v1::Purpose::DirectCare);
        calls::ask(ed, v1::LookupRequest { caller, ..build::lookup(ED, nhs(number)) }).await;
    }
}

async fn flags(client: &Client, organisation: &str, include_reviewed: bool) -> Result<Vec<v1::Flag>, Status> {
    let (mut found, mut page_token) = (Vec::new(), String::new());
    loop {
        let caller = reviewer(organisation, "s-lead-1");
        let request = v1::ListFlagsRequest { caller, page_size: 2, page_token, include_reviewed };
        let page = client.flags().list_flags(client.request(request)).await?.into_inner();
        found.extend(page.flags);
        if page.next_page_token.is_empty() {
            return Ok(found);
        }
        page_token = page.next_page_token;
    }
}

/// Waits until use is flagged, by one flag.
async fn the_flag(team: &Client) -> v1::Flag {
    let mut found = until_async("use is flagged", async || {
        let found = flags(team, ED, false).await.unwrap();
        (!found.is_empty()).then_some(found)
    })
    .await;
    assert_eq!(found.len(), 1, "{found:?}");
    found.remove(0)
}

async fn review(client: &Client, caller: Option<v1::Caller>, id: u64) -> Result<v1::Acknowledgement, Status> {
    let outcome = v1::FlagOutcome::Explained.into();
    let request = v1::ReviewFlagRequest { caller, id, outcome, event_id: build::id() };
    Ok(client.flags().review_flag(client.request(request)).await?.into_inner().acknowledgement.unwrap())
}

async fn rates(client: &Client, organisation: &str) -> v1::GetFlagRatesResponse {
    let (first, last) = (Some(build::day(-1)), Some(build::day(0)));
    let request = v1::GetFlagRatesRequest { caller: reviewer(organisation, "s-lead-1"), first, last };
    client.flags().get_flag_rates(client.request(request)).await.unwrap().into_inner()
}

/// The rate of number walks: questions, raised, explained.
fn walks(rates: &v1::GetFlagRatesResponse) -> (u64, u64, u64) {
    let rate = rates.rates.iter().find(|rate| rate.kind() == v1::FlagKind::NumberWalk).unwrap();
    (rates.lookups, rate.raised, rate.explained)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_walk_is_flagged_to_those_who_look_into_it_and_refused_to_nobody() {
    let mut site = site();
    let server = site.ready().await;
    let ed = server.client(ED).await;
    walk(&ed, "walker-1", 0).await;
    let team = server.client(TEAM).await;
    let flag = the_flag(&team).await;
    assert_eq!(
        (flag.kind(), flag.user_id.as_str(), flag.organisation.as_str()),
        (v1::FlagKind::NumberWalk, "walker-1", ED)
    );
    assert_eq!((flag.counted, flag.out_of, flag.threshold), (8, 0, 8));
    let (first, last) = (flag.first_audit_reference.as_str(), flag.last_audit_reference.as_str());
    assert!(first.len() == 14 && last.len() == 14 && first < last, "{first} {last}");
    let text = serde_json::to_string(&to_json(&flag).unwrap()).unwrap();
    assert!(text.contains("walker-1") && !logs::has_number(&text), "a flag names a child: {text}");
    in_the_audit(&server, &flag).await;

    assert_eq!(flags(&server.client(OTHER_TEAM).await, OTHER, true).await.unwrap(), []);
    assert_eq!(flags(&server.client(AUDITOR).await, "NAO", false).await.unwrap(), slice::from_ref(&flag));
    for (name, organisation) in [(ED, ED), (AUTHORITIES[0], AUTHORITIES[0]), ("ops", "KITH")] {
        let refused = flags(&server.client(name).await, organisation, false).await;
        expect_trouble(refused, Code::PermissionDenied, "ROLE_NOT_ALLOWED", &[]);
    }
    reviewed_once(&server, flag.id).await;
    shown(&site, &server);
    tokio::task::block_in_place(|| server.stop());
    offline::verify(site.dir());
    let audit = offline::audit(site.dir());
    let told = audit.iter().filter(|(_, entry)| matches!(entry.decision, Decision::Flagged(_)));
    assert_eq!(told.map(|(sequence, _)| *sequence).collect::<Vec<_>>(), [flag.id], "the flag's id is its entry");
    let closed = |entry: &AuditEntry| matches!(entry.decision, Decision::FlagReviewed(id, _) if id == flag.id);
    assert_eq!(audit.values().filter(|entry| closed(entry)).count(), 1);
    site.finish(&[]);
}

/// Whoever reads the audit sees that a flag was raised, of which kind, and nothing that leads to whom it is about.
async fn in_the_audit(server: &Server, flag: &v1::Flag) {
    let caller = reviewer("NAO", "s-lead-1").unwrap();
    let auditor = server.client(AUDITOR).await.as_person(&caller);
    let audit_reference = format!("1-{:012}", flag.id);
    let request = v1::SearchRequest { audit_reference, ..v1::SearchRequest::default() };
    let found = auditor.audit().search(auditor.request(request)).await.unwrap().into_inner();
    let [entry] = &found.entries[..] else { panic!("{} entries", found.entries.len()) };
    let kind: i32 = v1::FlagKind::NumberWalk.into();
    assert!(matches!(entry.decision, Some(Decided::Flagged(raised)) if raised == kind));
    let text = serde_json::to_string(&to_json(entry).unwrap()).unwrap();
    assert!(!text.contains("walker") && !text.contains(ED), "{text}");
}

/// A flag is reviewed by another person who may see it, once, and then counts as explained.
async fn reviewed_once(server: &Server, id: u64) {
    let (team, conflict) = (server.client(TEAM).await, Code::FailedPrecondition);
    expect_trouble(review(&team, reviewer(ED, "walker-1"), id).await, conflict, "OWN_FLAG", &["id"]);
    let other = server.client(OTHER_TEAM).await;
    expect_trouble(review(&other, reviewer(OTHER, "s-lead-2"), id).await, conflict, "FLAG_UNKNOWN", &["id"]);
    review(&team, reviewer(ED, "s-lead-1"), id).await.unwrap();
    expect_trouble(review(&team, reviewer(ED, "s-lead-1"), id).await, conflict, "FLAG_REVIEWED", &["id"]);
    assert_eq!(flags(&team, ED, false).await.unwrap(), []);
    let reviewed = flags(&team, ED, true).await.unwrap();
    assert_eq!(reviewed[0].review.as_ref().map(|review| review.user_id.as_str()), Some("s-lead-1"));
    let counted = until_async("the questions are counted", async || {
        let counted = walks(&rates(&team, ED).await);
        (counted.0 >= u64::from(STEPS)).then_some(counted)
    })
    .await;
    assert_eq!(counted, (u64::from(STEPS), 1, 1));
    assert_eq!(walks(&rates(&other, OTHER).await), (0, 0, 0), "another organisation's are its own");
    assert_eq!(walks(&rates(&server.client(AUDITOR).await, "NAO").await), (u64::from(STEPS), 1, 1));
}

/// What `kith flags` says.
fn shown(site: &Site, server: &Server) {
    let run = |output: &str| {
        let certs = site.path("certs");
        let mut kith = std::process::Command::new(program("kith"));
        kith.args(["flags", "--all", "--output", output, "--server", &server.options(TEAM).server]);
        kith.args(["--user-id", "s-lead-1", "--user-name", "A Lead", "--user-role", "Lead", "--role-code", "R8000"]);
        for (flag, name) in [("--ca", "ca.pem"), ("--cert", "team.pem"), ("--key", "team.key")] {
            kith.arg(flag).arg(certs.join(name));
        }
        let output = kith.output().unwrap();
        let said = String::from_utf8(output.stdout).unwrap();
        assert!(output.status.success(), "{said}{}", String::from_utf8_lossy(&output.stderr));
        said
    };
    let text = run("text");
    for words in [
        "It is no finding",
        "1 flags",
        "walker-1 of RZ1: number walk: 8 NHS numbers",
        "explained, by s-lead-1",
        "per 1,000",
    ] {
        assert!(text.contains(words), "{words}\n{text}");
    }
    let json: serde_json::Value = serde_json::from_str(&run("json")).unwrap();
    assert_eq!((json["flags"][0]["kind"].as_str(), json["exit_code"].as_u64()), (Some("number-walk"), Some(0)));
    let rate = &json["rates"]["rates"][1];
    assert_eq!((rate["kind"].as_str(), rate["raised"].as_u64()), (Some("number-walk"), Some(1)));
    let expected = 1_000.0 / f64::from(STEPS);
    assert!((rate["per_thousand_lookups"].as_f64().unwrap() - expected).abs() < 1e-9, "{rate}");
}

/// Each of them asks about three children: none is flagged, and their organisation is.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_walk_that_many_take_in_turns_is_told_of_their_organisation() {
    let mut site = site();
    let server = site.ready().await;
    let (ed, team) = (server.client(ED).await, server.client(TEAM).await);
    for step in 0..24_u32 {
        let caller = person(ED, &format!("hand-{}", step % 8), v1::Purpose::DirectCare);
        calls::ask(&ed, v1::LookupRequest { caller, ..build::lookup(ED, nhs(step)) }).await;
    }
    let flag = the_flag(&team).await;
    let whom = (flag.user_id.as_str(), flag.organisation.as_str());
    assert_eq!((flag.kind(), whom, flag.threshold), (v1::FlagKind::NumberWalk, ("", ED), 12));
    assert_eq!(flags(&server.client(OTHER_TEAM).await, OTHER, true).await.unwrap(), []);
    review(&team, reviewer(ED, "s-lead-1"), flag.id).await.unwrap();
    tokio::task::block_in_place(|| server.stop());
    offline::verify(site.dir());
    site.finish(&[]);
}

/// An auditor knows its number from the audit, and nothing else of it.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_flag_that_no_auditor_is_shown_is_reviewed_by_its_own_team_alone() {
    let mut site = site();
    let server = site.ready().await;
    let shielded = |n| v1::PlanEvent { shielded: true, ..build::plan(nhs(n), &format!("P{n}")) };
    calls::accept(&server.client(AUTHORITIES[0]).await, (0..STEPS).map(shielded).collect()).await;
    walk(&server.client(ED).await, "walker-1", 0).await;
    let (team, auditor) = (server.client(TEAM).await, server.client(AUDITOR).await);
    let id = the_flag(&team).await.id;
    assert_eq!(flags(&auditor, "NAO", true).await.unwrap(), []);
    let refused = review(&auditor, reviewer("NAO", "s-lead-1"), id).await;
    expect_trouble(refused, Code::FailedPrecondition, "FLAG_UNKNOWN", &["id"]);
    review(&team, reviewer(ED, "s-lead-1"), id).await.unwrap();
    tokio::task::block_in_place(|| server.stop());
    site.finish(&[]);
}

/// What somebody asked before a stop in order counts with what they ask after it: what is watched is worked out anew at each start.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_walk_that_goes_on_after_a_stop_is_one_walk() {
    let mut site = site();
    let server = site.ready().await;
    ask_about(&server.client(ED).await, "walker-1", 0..STEPS / 2).await;
    tokio::task::block_in_place(|| server.stop());
    let server = site.ready().await;
    ask_about(&server.client(ED).await, "walker-1", STEPS / 2..STEPS).await;
    let team = server.client(TEAM).await;
    let flag = the_flag(&team).await;
    assert_eq!((flag.kind(), flag.user_id.as_str(), flag.counted), (v1::FlagKind::NumberWalk, "walker-1", 8));
    tokio::task::block_in_place(|| server.stop());
    site.finish(&[]);
}

/// Killed at a random moment after the last question, again and again: each who walked is flagged once.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn killed_at_any_moment_a_flag_is_neither_repeated_nor_forgotten() {
    let mut random = seeded("flags and kills");
    let lives = count("KITH_TEST_FLAG_KILLS", 8);
    let mut site = site();
    for life in 0..lives {
        let server = site.ready().await;
        // Not in equal steps from one to the next, which would be a walk of all of them.
        walk(&server.client(ED).await, &format!("walker-{life}"), life * life * 997 % 390_000).await;
        tokio::time::sleep(Duration::from_millis(random.random_range(0..60))).await;
        server.kill();
    }
    let server = site.ready().await;
    let team = server.client(TEAM).await;
    let mut expected: Vec<String> = (0..lives).map(|life| format!("walker-{life}")).collect();
    expected.sort();
    let found = until_async("everybody who walked is flagged", async || {
        let found = flags(&team, ED, false).await.unwrap();
        (found.len() >= expected.len()).then_some(found)
    })
    .await;
    let mut people: Vec<String> = found.into_iter().map(|flag| flag.user_id).collect();
    people.sort();
    assert_eq!(people, expected);
    // Once more, in order: nothing is raised again.
    tokio::task::block_in_place(|| server.stop());
    let server = site.ready().await;
    walk(&server.client(ED).await, "walker-last", 400_000).await;
    let team = server.client(TEAM).await;
    until_async("who walked last is flagged", async || {
        (flags(&team, ED, false).await.unwrap().len() > expected.len()).then_some(())
    })
    .await;
    tokio::task::block_in_place(|| server.stop());
    offline::verify(site.dir());
    let audit = offline::audit(site.dir());
    let mut told: Vec<&str> = audit
        .values()
        .filter_map(|entry| {
            let Decision::Flagged(flag) = &entry.decision else { return None };
            Some(flag.user_id.as_ref().map_or("", UserId::as_str))
        })
        .collect();
    told.sort_unstable();
    let mut everybody: Vec<&str> = expected.iter().map(String::as_str).chain(["walker-last"]).collect();
    everybody.sort_unstable();
    assert_eq!(told, everybody, "one entry of the audit each");
    site.finish(&["did not end in order"]);
}

/// Whether an event of a presentation tells of a child who is there stands with it in the audit, one by one and row by row: the watch
/// knows nothing else.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_tells_of_nobody_who_is_there_is_in_the_audit_as_that() {
    let mut site = site();
    let server = site.ready().await;
    let ed = server.client(ED).await;
    let came = |days: i64| Some(build::ago(days * 86_400 + 60));
    let today = build::record(ED, nhs(1), "e1");
    let mut long_ago = build::record(ED, nhs(2), "e2");
    long_ago.presentation.as_mut().unwrap().arrived_at = came(364);
    for request in [&today, &today, &long_ago] {
        calls::record(&ed, request.clone()).await.unwrap();
    }
    let error = build::close(&today, v1::PresentationOutcome::EnteredInError);
    calls::close(&ed, error.clone()).await.unwrap();
    let mut rows = vec![build::import(ED, nhs(3), "e3"), build::import(ED, nhs(4), "e4")];
    rows[0].presentation.as_mut().unwrap().arrived_at = came(2);
    calls::import(&ed, rows).await.unwrap();
    tokio::task::block_in_place(|| server.stop());

    let audit = offline::audit(site.dir());
    let decided = |id: &str| -> Vec<Decision> {
        let own = audit.values().filter(|entry| entry.request_id.is_some_and(|own| own.to_string() == id));
        own.map(|entry| entry.decision.clone()).collect()
    };
    let there = Decision::Changed { acknowledged: 1, refused: 0 };
    assert_eq!(decided(&today.event_id), [there, Decision::NotThere(NotThere::Again)]);
    assert_eq!(decided(&long_ago.event_id), [Decision::NotThere(NotThere::Earlier)]);
    assert_eq!(decided(&error.event_id), [Decision::NotThere(NotThere::InError)]);
    let each = |entry: &AuditEntry| {
        if let Decision::ChangedEach(each) = &entry.decision { each.clone() } else { Vec::new() }
    };
    let imported: Vec<Option<NotThere>> = audit.values().flat_map(each).map(|one| one.not_there).collect();
    assert_eq!(imported, [Some(NotThere::Earlier), None]);
    site.finish(&[]);
}
