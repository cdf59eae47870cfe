//! Feed health over the wire: what is refused is counted and survives a restart, who sees which feed, and a trust far below
//! its usual volume makes answers doubtful until it sends again.

use kith_api::client::Client;
use kith_api::v1::{self, FeedState, Outcome};
use tonic::Code;

use crate::harness::build::{self, nhs};
use crate::harness::calls::{self, expect_trouble};
use crate::harness::process::Server;
use crate::harness::site::{AUTHORITIES, Site, TRUSTS};
use crate::harness::wait::until_async;
use crate::harness::{certificates, offline};

const LA: &str = AUTHORITIES[0];
const ED: &str = TRUSTS[0];
const ELSEWHERE: &str = TRUSTS[1];

/// The one feed that a sender sees.
async fn own(client: &Client) -> v1::FeedHealth {
    let mut page = calls::list_feeds(client, 0, "").await.unwrap();
    assert_eq!(page.feeds.len(), 1, "a sender sees its own feed alone");
    page.feeds.remove(0)
}

/// Waits for what is counted behind the acknowledgements: rows seen, matched, and open rejections.
async fn counted(client: &Client, rows: (u64, u64), open: u64) -> v1::FeedHealth {
    until_async(&format!("{rows:?} rows and {open} open"), async || {
        let feed = own(client).await;
        ((feed.rows_seen, feed.rows_matched) == rows && feed.open_rejections == open).then_some(feed)
    })
    .await
}

fn stop(server: Server) {
    tokio::task::block_in_place(|| server.stop());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_an_authority_is_refused_is_counted_and_survives() {
    let mut site = Site::new();
    let server = site.ready().await;
    let authority = server.client(LA).await;
    let good = build::plan(nhs(1), "P1");
    let not_a_number = Some(v1::Subject { subject: Some(v1::subject::Subject::NhsNumber("9990000000".into())) });
    let unmatched = v1::PlanEvent { subject: not_a_number, ..build::plan(nhs(2), "P2") };
    let backwards = v1::PlanEvent { end: Some(build::day(-60)), ..build::plan(nhs(3), "P3") };
    let sent = [good.clone(), unmatched, backwards].map(build::event);
    calls::submit(&authority, sent.to_vec()).await.unwrap();
    let feed = counted(&authority, (3, 2), 2).await;
    assert!(feed.below_match_gate && feed.last_event_at.is_some() && feed.last_file_at.is_none());
    assert_eq!((feed.kind(), feed.state(), feed.name.as_str()), (v1::FeedKind::Plans, FeedState::Fresh, "Hartlemoor"));
    assert_eq!((feed.expected_volume, feed.actual_volume), (None, None), "an authority has no volume");

    // A heartbeat is no batch, and a killed server has the counts.
    calls::submit(&authority, vec![build::heartbeat()]).await.unwrap();
    tokio::task::block_in_place(|| server.kill());
    let server = site.ready().await;
    let authority = server.client(LA).await;
    counted(&authority, (3, 2), 2).await;
    // The same again repeats an acknowledgement: nothing new is seen, and the batch is whole.
    calls::accept(&authority, vec![good]).await;
    counted(&authority, (3, 2), 0).await;
    stop(server);
    offline::verify(site.dir());
    site.finish(&["did not end in order"]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_contradicting_birth_date_is_no_match() {
    let mut site = Site::new();
    let server = site.ready().await;
    let born = |year| Some(v1::Date { year, month: 3, day: 4 });
    let plan = v1::PlanEvent { date_of_birth: born(2019), ..build::plan(nhs(1), "B") };
    calls::accept(&server.client(LA).await, vec![plan]).await;
    let ed = server.client(ED).await;
    for (year, encounter) in [(2019, "e1"), (2017, "e2")] {
        let record = v1::RecordRequest { date_of_birth: born(year), ..build::record(ED, nhs(1), encounter) };
        calls::record(&ed, record).await.unwrap();
    }
    let mut elsewhere = build::record(ED, nhs(1), "e3");
    elsewhere.presentation.as_mut().unwrap().site = "RZ999".into();
    expect_trouble(calls::record(&ed, elsewhere).await, Code::InvalidArgument, "UNKNOWN_SITE", &["presentation.site"]);
    let feed = counted(&ed, (3, 2), 1).await;
    assert_eq!((feed.actual_volume, feed.expected_volume), (Some(2), None), "no expectation yet");
    let row = build::import(ED, nhs(2), "past");
    calls::import(&ed, vec![row]).await.unwrap();
    let feed = counted(&ed, (4, 3), 0).await;
    assert_eq!(feed.actual_volume, Some(2), "an import is not live");
    stop(server);
    offline::verify(site.dir());
    site.finish(&[]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn operations_see_every_feed_and_a_sender_its_own() {
    let mut site = Site::new();
    let certs = site.path("certs");
    for (name, organisation, role) in [
        ("auditor", ED, "auditor"),
        ("safeguarding", ED, "safeguarding"),
        ("scheduled", ED, "scheduled-care"),
        ("stranger", "RZ9", "ed"),
    ] {
        certificates::issue(&certs, name, organisation, role);
    }
    let server = site.ready().await;
    let ops = server.client("ops").await;
    let (mut codes, mut token) = (Vec::new(), String::new());
    loop {
        let page = calls::list_feeds(&ops, 4, &token).await.unwrap();
        assert!(page.feeds.len() <= 4 && page.match_gate_percent == 95 && page.volume_window_hours == 24);
        codes.extend(page.feeds.into_iter().map(|feed| feed.code));
        token = page.next_page_token;
        if token.is_empty() {
            break;
        }
    }
    assert_eq!(codes, [AUTHORITIES, TRUSTS].concat());
    assert_eq!(own(&server.client(LA).await).await.code, LA);
    assert_eq!(own(&server.client(ED).await).await.code, ED);
    let denied = Code::PermissionDenied;
    for name in ["auditor", "safeguarding", "scheduled"] {
        let refused = calls::list_feeds(&server.client(name).await, 0, "").await;
        expect_trouble(refused, denied, "ROLE_NOT_ALLOWED", &[]);
    }
    let stranger = calls::list_feeds(&server.client("stranger").await, 0, "").await;
    expect_trouble(stranger, denied, "ORGANISATION_UNKNOWN", &[]);
    let bad = calls::list_feeds(&ops, 501, "x").await;
    expect_trouble(bad, Code::InvalidArgument, "PAGE_TOO_LARGE", &["page_size", "page_token"]);
    stop(server);
    let audit = offline::audit(site.dir());
    let listed = audit.values().filter(|entry| matches!(entry.decision, kith_engine::Decision::Listed(_))).count();
    let refused = audit.values().filter(|entry| matches!(entry.decision, kith_engine::Decision::Refused(_))).count();
    assert_eq!((listed, refused), (4, 5), "every listing and every refusal is audited");
    site.finish(&[]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_thin_trust_makes_none_held_cannot_say_until_it_sends_again() {
    let usual = ("feeds.overrides", ELSEWHERE, "{ expected_per_week = 70 }");
    let mut site = Site::with(&[("feeds", "cannot_say_percent", "50"), usual]);
    let server = site.ready().await;
    calls::all_fresh(&server).await;
    let (ed, elsewhere) = (server.client(ED).await, server.client(ELSEWHERE).await);
    // A child once seen there, in error: the record points to the trust, and nothing is held.
    let record = build::record(ELSEWHERE, nhs(1), "e1");
    calls::record(&elsewhere, record.clone()).await.unwrap();
    calls::close(&elsewhere, build::close(&record, v1::PresentationOutcome::EnteredInError)).await.unwrap();
    let seen = until_async("the trust is thin", async || {
        let seen = calls::ask(&ed, build::lookup(ED, nhs(1))).await.presentations.unwrap();
        (seen.completeness.as_ref().unwrap().thin == 1).then_some(seen)
    })
    .await;
    let known = seen.completeness.clone().unwrap();
    assert_eq!((seen.outcome(), seen.elsewhere()), (Outcome::CannotSay, Outcome::CannotSay));
    assert_eq!(known.doubts, [i32::from(v1::Doubt::OwnFeedThin)]);
    let named =
        v1::NamedFeed { code: ELSEWHERE.into(), name: "Quenbury NHS Trust".into(), state: FeedState::Thin.into() };
    assert_eq!((known.named, known.named_feeds), (vec![ELSEWHERE.to_owned()], vec![named]));
    assert!(seen.words.contains("1 far below its usual volume"), "{}", seen.words);
    assert!(seen.words.contains("On this record: Quenbury NHS Trust far below its usual volume."), "{}", seen.words);
    let other = calls::ask(&ed, build::lookup(ED, nhs(2))).await.presentations.unwrap();
    assert_eq!(other.outcome(), Outcome::NoneHeld, "within the bound, for a child not seen there");
    assert!(other.words.contains("1 far below its usual volume"), "{}", other.words);

    // 2 of the 10 expected are a fifth.
    calls::record(&elsewhere, build::record(ELSEWHERE, nhs(3), "e2")).await.unwrap();
    let seen = calls::ask(&ed, build::lookup(ED, nhs(1))).await.presentations.unwrap();
    assert_eq!((seen.outcome(), seen.completeness.unwrap().thin), (Outcome::NoneHeld, 0), "at once when it sends");
    let status = server.status().await.presentation_feeds.unwrap();
    assert_eq!((status.thin, status.fresh, status.feeds), (0, 3, 3));
    stop(server);
    site.finish(&[]);
}
