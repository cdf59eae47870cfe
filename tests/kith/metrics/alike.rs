//! Whoever looks at the metrics page before and after one question does not learn its answer: the same series change by the
//! same counts, whatever is held.

use std::collections::BTreeMap;
use std::net::SocketAddr;

use kith_api::client::Client;
use kith_api::v1;
use v1::{IdentityOutcome, Outcome};

use super::{ED, LA, Server, Site, TRUSTS, address, build, calls, nhs, page, until};

pub(super) type Page = BTreeMap<String, f64>;

/// What the clock changes by itself: ages, and what lies within the trailing hours.
const CLOCK: [&str; 3] = ["_age_seconds", "_oldest_fresh_seconds", "kith_feeds_volume_"];

/// Whether a series counts. How long something took is the clock's; that it took place is not.
fn counts(series: &str) -> bool {
    let by_the_clock = CLOCK.iter().any(|part| series.contains(part));
    let bucket = series.contains("_bucket{") && !series.contains("le=\"+Inf\"");
    !by_the_clock && !bucket && !series.split('{').next().unwrap().ends_with("_sum")
}

fn read(page: &str) -> Page {
    let lines = page.lines().filter(|line| !line.starts_with('#'));
    let values = lines.map(|line| line.rsplit_once(' ').unwrap());
    values
        .filter(|(series, _)| counts(series))
        .map(|(series, value)| (series.to_owned(), value.parse().unwrap()))
        .collect()
}

/// The page once everything that follows from `questions` is in the log.
pub(super) fn settled(at: SocketAddr, questions: f64) -> Page {
    until("what follows from the questions is in the log", || {
        let page = read(&page(at));
        let is = |series: &str, value: f64| (page[series] - value).abs() < f64::EPSILON;
        let done = is("kith_history_lag_seconds_count", questions)
            && is("kith_audit_not_derived", 0.0)
            && is("kith_audit_unsynced", 0.0);
        done.then_some(page)
    })
}

/// By how much each series changed; those that did not are left out.
pub(super) fn change(before: &Page, after: &Page) -> Page {
    assert!(before.keys().eq(after.keys()), "series came or went");
    let differences = before.iter().map(|(series, value)| (series.clone(), after[series] - value));
    differences.filter(|(_, difference)| difference.abs() > f64::EPSILON).collect()
}

/// What one lookup changes.
fn one_lookup() -> Page {
    [
        "kith_answer_seconds_bucket{call=\"lookup\",le=\"+Inf\"}",
        "kith_answer_seconds_count{call=\"lookup\"}",
        "kith_answers_total",
        "kith_audit_accepted_seconds_bucket{le=\"+Inf\"}",
        "kith_audit_accepted_seconds_count",
        "kith_audit_unsynced_window_seconds_bucket{le=\"+Inf\"}",
        "kith_audit_unsynced_window_seconds_count",
        "kith_history_lag_seconds_bucket{le=\"+Inf\"}",
        "kith_history_lag_seconds_count",
    ]
    .map(|series| (series.to_owned(), 1.0))
    .into()
}

/// What the authority says of the third child, and what it does not.
const BORN: Option<v1::Date> = Some(v1::Date { year: 2019, month: 3, day: 4 });
const OTHER: Option<v1::Date> = Some(v1::Date { year: 2016, month: 8, day: 21 });

/// A child of each kind; those beyond are in nobody's records.
async fn hold(authority: &Client, ed: &Client) {
    let plan = |n: u32| build::plan(nhs(n), &format!("P{n}"));
    let unborn = |n: u32| v1::PlanEvent { kind: v1::PlanKind::Unborn.into(), ..plan(n) };
    let family = |n: u32| v1::PlanEvent { family: "F".into(), ..plan(n) };
    let events = vec![
        plan(1),
        v1::PlanEvent { shielded: true, ..plan(2) },
        v1::PlanEvent { date_of_birth: BORN, ..plan(3) },
        family(4),
        family(5),
        unborn(6),
    ];
    calls::accept(authority, events).await;
    calls::record(ed, build::record(ED, nhs(7), "e7")).await.unwrap();
}

fn outcomes(answer: &v1::Answer) -> (Outcome, Outcome, IdentityOutcome) {
    let (plans, seen) = (answer.plans.as_ref().unwrap(), answer.presentations.as_ref().unwrap());
    (plans.outcome(), seen.outcome(), answer.identity.as_ref().unwrap().outcome())
}

/// Questions whose answers differ as much as answers can.
fn questions() -> Vec<(&'static str, v1::LookupRequest)> {
    let ask = |n: u32| build::lookup(TRUSTS[1], nhs(n));
    let dated = |n, date_of_birth| v1::LookupRequest { date_of_birth, ..ask(n) };
    let with_mother = |n, mother| v1::LookupRequest { mother_nhs_number: Some(nhs(mother).digits()), ..ask(n) };
    vec![
        ("on a plan", ask(1)),
        ("on a plan, asked again", ask(1)),
        ("nothing held", ask(31)),
        ("nothing held, asked again", ask(31)),
        ("shielded", ask(2)),
        ("birth date confirmed", dated(3, BORN)),
        ("identity not confirmed", dated(3, OTHER)),
        ("nothing held, with a birth date", dated(32, OTHER)),
        ("with a sibling on a plan", ask(4)),
        ("seen", ask(7)),
        ("a baby whose mother has an unborn plan", with_mother(33, 6)),
        ("a baby whose mother has nothing", with_mother(34, 35)),
        ("no NHS number", v1::LookupRequest { subject: build::local("k-1"), number_traced: false, ..ask(36) }),
    ]
}

/// A server with a child of each kind, its metrics, and who asks.
async fn begin(site: &mut Site) -> (Server, SocketAddr, Client) {
    let server = site.ready().await;
    let at = address(&server);
    calls::all_fresh(&server).await;
    hold(&server.client(LA).await, &server.client(ED).await).await;
    let asking = server.client(TRUSTS[1]).await;
    // What was sent before is in the audit too, and followed by nothing: one question takes the position past it.
    calls::ask(&asking, build::lookup(TRUSTS[1], nhs(90))).await;
    (server, at, asking)
}

/// An installation that serves its metrics.
fn watched() -> Site {
    Site::with(&[("metrics", "listen", "\"127.0.0.1:0\"")])
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_question_changes_the_page_alike_whatever_is_found() {
    let mut site = watched();
    let (server, at, asking) = begin(&mut site).await;
    let mut before = settled(at, 1.0);
    let mut found = Vec::new();
    for ((what, request), asked) in questions().into_iter().zip(2_u32..) {
        found.push(outcomes(&calls::ask(&asking, request).await));
        let after = settled(at, f64::from(asked));
        assert_eq!(change(&before, &after), one_lookup(), "{what}");
        before = after;
    }
    for outcome in [Outcome::Held, Outcome::NoneHeld, Outcome::CannotSay, Outcome::IdentityNotConfirmed] {
        assert!(found.iter().any(|(plans, ..)| *plans == outcome), "no answer was {outcome:?}: {found:?}");
    }
    tokio::task::block_in_place(|| server.stop());
    site.finish(&[]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_check_in_changes_the_page_alike_whatever_is_found() {
    let mut site = watched();
    let (server, at, asking) = begin(&mut site).await;
    let mut before = settled(at, 1.0);
    let mut changes = Vec::new();
    for (child, asked) in [1, 41, 2, 7].into_iter().zip([3.0, 5.0, 7.0, 9.0]) {
        calls::check_in(&asking, build::check_in(TRUSTS[1], nhs(child), &format!("c{child}"))).await.unwrap();
        // The recording's entry comes last, and is followed by nothing.
        calls::ask(&asking, build::lookup(TRUSTS[1], nhs(90))).await;
        let after = settled(at, asked);
        let mut change = change(&before, &after);
        // Two entries, of one sync or of two.
        change.retain(|series, _| !series.starts_with("kith_audit_unsynced_window_seconds"));
        changes.push(change);
        before = after;
    }
    assert!(changes.iter().all(|change| *change == changes[0]), "{changes:#?}");
    assert!((changes[0]["kith_answer_seconds_count{call=\"check_in\"}"] - 1.0).abs() < f64::EPSILON);
    tokio::task::block_in_place(|| server.stop());
    site.finish(&[]);
}

/// Whoever knows when a shielded child came somewhere does not see on the page where that was.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_check_in_changes_the_page_alike_wherever_it_is() {
    let mut site = watched();
    let (server, at, asking) = begin(&mut site).await;
    let mut before = settled(at, 1.0);
    let mut changes = Vec::new();
    for (trust, asked) in TRUSTS.into_iter().zip([3.0, 5.0, 7.0]) {
        let client = server.client(trust).await;
        calls::check_in(&client, build::check_in(trust, nhs(2), &format!("w-{trust}"))).await.unwrap();
        // The recording's entry comes last, and is followed by nothing.
        calls::ask(&asking, build::lookup(TRUSTS[1], nhs(90))).await;
        let after = settled(at, asked);
        let mut change = change(&before, &after);
        // Two entries, of one sync or of two.
        change.retain(|series, _| !series.starts_with("kith_audit_unsynced_window_seconds"));
        changes.push(change);
        before = after;
    }
    assert!(changes.iter().all(|change| *change == changes[0]), "{changes:#?}");
    let counted = changes[0]["kith_feeds_rows_seen{kind=\"presentations\"}"];
    assert!((counted - 1.0).abs() < f64::EPSILON, "of all trusts together: {counted}");
    tokio::task::block_in_place(|| server.stop());
    site.finish(&[]);
}
