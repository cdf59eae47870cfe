//! What the server says to bad input over mutual TLS: the code, the reason, the fields at fault, and never an identity;
//! and that nothing is stored of what it refuses. It never reads the wording of a message, which may change.

use std::time::Duration;

use kith_api::client::Client;
use kith_api::v1::check_in_response::Recording;
use kith_api::v1::lookup_many_response::Item;
use kith_api::v1::submit_events_response::Verdict;
use kith_api::v1::{self, CareContext, Outcome, PlanAction};
use prost::Message as _;
use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;
use tonic::{Code, Request};

use crate::harness::build::{self, day, nhs};
use crate::harness::calls::{self, expect_trouble};
use crate::harness::certificates;
use crate::harness::mount::Mount;
use crate::harness::process::Server;
use crate::harness::site::{AUTHORITIES, Site, TRUSTS};

const A: &str = AUTHORITIES[0];
const ED: &str = TRUSTS[0];
const OTHER_ED: &str = TRUSTS[1];
/// A number that no list of the protocol has.
const UNLISTED: i32 = 99;
/// An authority and a trust with good certificates that no directory file names.
const STRAY_AUTHORITY: &str = "E06000999";
const STRAY_TRUST: &str = "RZ9";

async fn begin() -> (Site, Server, Client) {
    let mut site = Site::new();
    let certs = site.path("certs");
    certificates::issue(&certs, "scheduled", ED, "scheduled-care");
    certificates::issue(&certs, "stray-authority", STRAY_AUTHORITY, "local-authority");
    certificates::issue(&certs, "stray-trust", STRAY_TRUST, "ed");
    let server = site.ready().await;
    let ed = server.client(ED).await;
    (site, server, ed)
}

fn end(site: Site, server: Server) {
    tokio::task::block_in_place(|| server.stop());
    site.finish(&[]);
}

fn written(text: &str) -> Option<v1::Subject> {
    Some(v1::Subject { subject: Some(v1::subject::Subject::NhsNumber(text.into())) })
}

fn date(year: i32, month: i32, day: i32) -> Option<v1::Date> {
    Some(v1::Date { year, month, day })
}

fn entry(subject: Option<v1::Subject>) -> v1::WorklistEntry {
    v1::WorklistEntry { subject, number_traced: true, date_of_birth: None, mother_nhs_number: None }
}

fn worklist(entries: Vec<v1::WorklistEntry>) -> v1::LookupManyRequest {
    let v1::LookupRequest { caller, care_context, request_id, .. } = build::lookup(ED, nhs(0));
    v1::LookupManyRequest { caller, care_context, entries, request_id }
}

/// NHS numbers as people mistype them, and why each is refused.
fn mistyped() -> Vec<(String, &'static str)> {
    let good = nhs(1).digits();
    let (front, last) = good.split_at(9);
    let other_check = (last.parse::<u32>().unwrap() + 1) % 10;
    let arabic = good.bytes().map(|b| char::from_u32(0x0660 + u32::from(b - b'0')).unwrap()).collect();
    vec![
        (format!("{front}{other_check}"), "NHS_NUMBER_CHECK_DIGIT"),
        (front.to_owned(), "NHS_NUMBER_LENGTH"),
        (format!("{good}0"), "NHS_NUMBER_LENGTH"),
        (String::new(), "NHS_NUMBER_LENGTH"),
        ("1".repeat(10), "NHS_NUMBER_EQUAL_DIGITS"),
        (arabic, "NHS_NUMBER_NOT_DIGITS"),
        (format!("{front}X"), "NHS_NUMBER_NOT_DIGITS"),
    ]
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_question_that_cannot_be_read_gets_no_answer() {
    let (site, server, ed) = begin().await;
    for (text, reason) in mistyped() {
        let request = v1::LookupRequest { subject: written(&text), ..build::lookup(ED, nhs(1)) };
        expect_trouble(calls::try_ask(&ed, request).await, Code::InvalidArgument, reason, &["subject.nhs_number"]);
    }
    let digits = nhs(1).digits();
    for good in
        [format!("{} {} {}", &digits[..3], &digits[3..6], &digits[6..]), format!("{}-{}", &digits[..3], &digits[3..])]
    {
        calls::ask(&ed, v1::LookupRequest { subject: written(&good), ..build::lookup(ED, nhs(1)) }).await;
    }
    let base = || build::lookup(ED, nhs(1));
    let born = |date_of_birth| v1::LookupRequest { date_of_birth, ..base() };
    calls::ask(&ed, born(date(2024, 2, 29))).await;
    let by = |change: fn(&mut v1::Caller)| {
        let mut caller = build::caller(ED);
        change(&mut caller);
        v1::LookupRequest { caller: Some(caller), ..base() }
    };
    let cases: Vec<(v1::LookupRequest, &str, &[&str])> = vec![
        (born(Some(day(1))), "BIRTH_DATE_IN_FUTURE", &["date_of_birth"]),
        (born(date(2023, 2, 29)), "BAD_DATE", &["date_of_birth"]),
        (born(date(1899, 12, 31)), "BAD_DATE", &["date_of_birth"]),
        (born(date(2020, 13, 1)), "BAD_DATE", &["date_of_birth"]),
        (v1::LookupRequest { subject: None, ..base() }, "MISSING", &["subject"]),
        (v1::LookupRequest { caller: None, ..base() }, "MISSING", &["caller"]),
        (v1::LookupRequest { request_id: "7".into(), ..base() }, "BAD_UUID", &["request_id"]),
        (v1::LookupRequest { care_context: UNLISTED, ..base() }, "UNKNOWN_CARE_CONTEXT", &["care_context"]),
        (by(|caller| caller.purpose = UNLISTED), "UNKNOWN_PURPOSE", &["caller.purpose"]),
        (by(|caller| caller.user_id.clear()), "BAD_TEXT", &["caller.user_id"]),
        (by(|caller| caller.role_code.clear()), "BAD_ROLE_CODE", &["caller.role_code"]),
        (by(|caller| caller.user_name = "x".repeat(10_000)), "BAD_TEXT", &["caller.user_name"]),
        (
            v1::LookupRequest { subject: None, request_id: String::new(), ..base() },
            "MISSING",
            &["subject", "request_id"],
        ),
    ];
    for (request, reason, fields) in cases {
        expect_trouble(calls::try_ask(&ed, request).await, Code::InvalidArgument, reason, fields);
    }
    end(site, server);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_worklist_has_1_to_200_entries_and_a_bad_one_stops_no_other() {
    let (site, server, ed) = begin().await;
    for size in [0, 201] {
        let entries = (0..size).map(|index| entry(build::subject(nhs(index)))).collect();
        let refused = ed.lookup().lookup_many(worklist(entries)).await;
        expect_trouble(refused, Code::InvalidArgument, "WORKLIST_SIZE", &["entries"]);
    }
    let mut entries: Vec<_> = (0..200).map(|index| entry(build::subject(nhs(index)))).collect();
    entries[100].subject = written("12345");
    let mut items = ed.lookup().lookup_many(worklist(entries)).await.unwrap().into_inner();
    for position in 0..200 {
        let response = items.message().await.unwrap().unwrap();
        assert_eq!(response.encoded_len() % 1024, 0, "the length of an item tells what was found");
        let v1::LookupManyResponse { position: found, item, padding: _ } = response;
        assert_eq!(found, position);
        match item.unwrap() {
            Item::Answer(_) => assert_ne!(position, 100, "a malformed number was answered"),
            Item::CouldNotAsk(why) => assert_eq!((position, why.reason.as_str()), (100, "NHS_NUMBER_LENGTH")),
        }
    }
    assert!(items.message().await.unwrap().is_none());
    end(site, server);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_refused_presentation_is_not_stored() {
    let (site, server, ed) = begin().await;
    calls::all_fresh(&server).await;
    let with = |change: fn(&mut v1::PresentationDetails)| {
        let mut request = build::record(ED, nhs(1), "bad");
        change(request.presentation.as_mut().unwrap());
        request
    };
    let base = || build::record(ED, nhs(1), "bad");
    let cases: Vec<(v1::RecordRequest, &str, &str)> = vec![
        (with(|d| d.site = "RZ999".into()), "UNKNOWN_SITE", "presentation.site"),
        (with(|d| d.site = "RZ201".into()), "SITE_OF_ANOTHER_ORGANISATION", "presentation.site"),
        (with(|d| d.care_setting = UNLISTED), "UNKNOWN_CARE_SETTING", "presentation.care_setting"),
        (with(|d| d.complaint = UNLISTED), "UNKNOWN_COMPLAINT", "presentation.complaint"),
        (with(|d| d.arrived_at = Some(build::ago(-7200))), "ARRIVAL_IN_FUTURE", "presentation.arrived_at"),
        (with(|d| d.arrived_at = None), "MISSING", "presentation.arrived_at"),
        (with(|d| d.version = 0), "VERSION_ZERO", "presentation.version"),
        (with(|d| d.encounter_id.clear()), "BAD_TEXT", "presentation.encounter_id"),
        (v1::RecordRequest { presentation: None, ..base() }, "MISSING", "presentation"),
        (v1::RecordRequest { event_id: "7".into(), ..base() }, "BAD_UUID", "event_id"),
        (v1::RecordRequest { date_of_birth: date(2023, 2, 29), ..base() }, "BAD_DATE", "date_of_birth"),
        (v1::RecordRequest { date_of_birth: Some(day(1)), ..base() }, "BIRTH_DATE_IN_FUTURE", "date_of_birth"),
        (v1::RecordRequest { date_of_birth: Some(day(-7000)), ..base() }, "ADULT", "date_of_birth"),
    ];
    for (request, reason, field) in cases {
        expect_trouble(calls::record(&ed, request).await, Code::InvalidArgument, reason, &[field]);
    }
    let closing = v1::CloseRequest { outcome: UNLISTED, ..build::close(&base(), v1::PresentationOutcome::Died) };
    expect_trouble(calls::close(&ed, closing).await, Code::InvalidArgument, "UNKNOWN_OUTCOME", &["outcome"]);
    let mut rows: Vec<_> = (2..5).map(|child| build::import(ED, nhs(child), &format!("row-{child}"))).collect();
    rows[1].presentation.as_mut().unwrap().complaint = UNLISTED;
    let verdict = calls::import(&ed, rows).await.unwrap();
    assert_eq!((verdict.processed, verdict.accepted, verdict.rejected), (3, 2, 1));
    let rejected = &verdict.rejections[0];
    let (row, field, reason) = (rejected.row, rejected.field.as_str(), rejected.reason.as_str());
    assert_eq!((row, field, reason), (2, "presentation.complaint", "UNKNOWN_COMPLAINT"));
    for (child, expected) in [(1, Outcome::NoneHeld), (2, Outcome::Held), (3, Outcome::NoneHeld), (4, Outcome::Held)] {
        let seen = calls::ask(&ed, build::lookup(ED, nhs(child))).await.presentations.unwrap();
        assert_eq!(seen.outcome(), expected, "child {child}");
    }
    end(site, server);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_refused_plan_event_stops_no_other() {
    let (site, server, ed) = begin().await;
    let authority = server.client(A).await;
    let base = || build::plan(nhs(1), "bad");
    let out =
        |code: &str| v1::PlanEvent { action: PlanAction::TransferOut.into(), other_authority: code.into(), ..base() };
    let mut cases: Vec<(v1::PlanEvent, &str, &str)> = vec![
        (v1::PlanEvent { kind: UNLISTED, ..base() }, "UNKNOWN_PLAN_KIND", "kind"),
        (v1::PlanEvent { action: UNLISTED, ..base() }, "UNKNOWN_ACTION", "action"),
        (v1::PlanEvent { end: Some(day(-31)), ..base() }, "END_BEFORE_START", "end"),
        (v1::PlanEvent { start: None, ..base() }, "START_MISSING", "start"),
        (v1::PlanEvent { action: PlanAction::End.into(), ..base() }, "END_MISSING", "end"),
        (v1::PlanEvent { start: date(2023, 2, 29), ..base() }, "BAD_DATE", "start"),
        (v1::PlanEvent { start: date(1899, 12, 31), ..base() }, "BAD_DATE", "start"),
        (v1::PlanEvent { date_of_birth: Some(day(1)), ..base() }, "BIRTH_DATE_IN_FUTURE", "date_of_birth"),
        (v1::PlanEvent { version: 0, ..base() }, "VERSION_ZERO", "version"),
        (v1::PlanEvent { event_id: String::new(), ..base() }, "BAD_UUID", "event_id"),
        (v1::PlanEvent { subject: None, ..base() }, "MISSING", "subject"),
        (out(STRAY_AUTHORITY), "UNKNOWN_AUTHORITY", "other_authority"),
        (out(A), "SAME_AUTHORITY", "other_authority"),
    ];
    cases.extend(
        mistyped()
            .into_iter()
            .map(|(text, reason)| (v1::PlanEvent { subject: written(&text), ..base() }, reason, "subject.nhs_number")),
    );
    let mut events: Vec<_> = cases.iter().map(|(event, ..)| build::event(event.clone())).collect();
    events.insert(5, build::event(build::plan(nhs(2), "good")));
    let mut verdicts = calls::submit(&authority, events).await.unwrap();
    assert!(matches!(verdicts.remove(5), Verdict::Acknowledgement(_)), "the good one in the middle is taken");
    assert_eq!(verdicts.len(), cases.len());
    for (verdict, (_, reason, field)) in verdicts.into_iter().zip(cases) {
        let Verdict::Refusal(refusal) = verdict else { panic!("{reason} was acknowledged") };
        assert_eq!((refusal.reason.as_str(), refusal.field.as_str(), refusal.retry), (reason, field, false));
    }
    for (child, held) in [(1, false), (2, true)] {
        let plans = calls::ask(&ed, build::lookup(ED, nhs(child))).await.plans.unwrap();
        assert_eq!((plans.outcome() == Outcome::Held, plans.plans.len()), (held, usize::from(held)), "child {child}");
    }
    end(site, server);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nobody_speaks_for_another_or_beyond_the_role() {
    let (site, server, ed) = begin().await;
    let (mismatch, role, scheduled) = ("ORGANISATION_MISMATCH", "ROLE_NOT_ALLOWED", "SCHEDULED_NOT_ALLOWED");
    let denied = Code::PermissionDenied;
    let authority = server.client(A).await;
    let planned = server.client("scheduled").await;

    expect_trouble(calls::try_ask(&ed, build::lookup(OTHER_ED, nhs(1))).await, denied, mismatch, &[]);
    expect_trouble(calls::record(&ed, build::record(OTHER_ED, nhs(1), "o")).await, denied, mismatch, &[]);
    expect_trouble(calls::check_in(&ed, build::check_in(OTHER_ED, nhs(1), "o")).await, denied, mismatch, &[]);
    expect_trouble(calls::import(&ed, vec![build::import(OTHER_ED, nhs(1), "o")]).await, denied, mismatch, &[]);
    let of_another = v1::ListRequest { caller: Some(build::caller(AUTHORITIES[1])), ..Default::default() };
    expect_trouble(authority.notifications().list(of_another).await, denied, mismatch, &[]);

    expect_trouble(calls::try_ask(&authority, build::lookup(A, nhs(1))).await, denied, role, &[]);
    let sent = v1::RecordRequest { caller: Some(build::caller(A)), ..build::record(ED, nhs(1), "r") };
    expect_trouble(calls::record(&authority, sent).await, denied, role, &[]);
    expect_trouble(calls::submit(&ed, vec![build::heartbeat()]).await, denied, role, &[]);
    expect_trouble(calls::record(&planned, build::record(ED, nhs(1), "r")).await, denied, role, &[]);
    expect_trouble(calls::check_in(&planned, build::check_in(ED, nhs(1), "r")).await, denied, role, &[]);
    let feeds = v1::GetStatusRequest { include_feeds: true };
    expect_trouble(ed.status().get_status(feeds).await, denied, role, &[]);

    let care_context = i32::from(CareContext::Scheduled);
    let lookup = v1::LookupRequest { care_context, ..build::lookup(ED, nhs(1)) };
    expect_trouble(calls::try_ask(&ed, lookup.clone()).await, denied, scheduled, &[]);
    let check_in = v1::CheckInRequest { lookup: Some(lookup), ..build::check_in(ED, nhs(1), "s") };
    expect_trouble(calls::check_in(&ed, check_in).await, denied, scheduled, &[]);
    let many = v1::LookupManyRequest { care_context, ..worklist(vec![entry(build::subject(nhs(1)))]) };
    expect_trouble(ed.lookup().lookup_many(many).await, denied, scheduled, &[]);

    let (stray, lost) = (server.client("stray-authority").await, server.client("stray-trust").await);
    let unknown = calls::submit(&stray, vec![build::heartbeat()]).await;
    expect_trouble(unknown, denied, "ORGANISATION_UNKNOWN", &[]);
    let unknown = calls::record(&lost, build::record(STRAY_TRUST, nhs(1), "u")).await;
    expect_trouble(unknown, denied, "ORGANISATION_UNKNOWN", &[]);
    let unknown = calls::import(&lost, vec![build::import(STRAY_TRUST, nhs(1), "u")]).await;
    expect_trouble(unknown, denied, "ORGANISATION_UNKNOWN", &[]);

    let other = server.client(OTHER_ED).await;
    let seen = calls::ask(&other, build::lookup(OTHER_ED, nhs(1))).await.presentations.unwrap();
    assert_ne!(seen.outcome(), Outcome::Held, "something refused was stored");
    end(site, server);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_retry_repeats_its_acknowledgement_and_an_id_has_one_body() {
    let (site, server, ed) = begin().await;
    let authority = server.client(A).await;
    let first = build::record(ED, nhs(1), "once");
    let acknowledged = calls::record(&ed, first.clone()).await.unwrap();
    let again = calls::record(&ed, first.clone()).await.unwrap();
    assert!(!acknowledged.repeated && again.repeated);
    assert_eq!((again.sequence, again.accepted_at), (acknowledged.sequence, acknowledged.accepted_at));
    let reused = v1::RecordRequest { event_id: first.event_id.clone(), ..build::record(ED, nhs(1), "other") };
    expect_trouble(calls::record(&ed, reused).await, Code::AlreadyExists, "EVENT_ID_REUSED", &["event_id"]);
    let mut version = v1::RecordRequest { event_id: build::id(), ..first.clone() };
    version.presentation.as_mut().unwrap().complaint = v1::ComplaintGroup::Bite.into();
    let reused = calls::record(&ed, version).await;
    expect_trouble(reused, Code::FailedPrecondition, "VERSION_REUSED", &["presentation.version"]);
    let mut another = v1::RecordRequest { event_id: build::id(), subject: build::subject(nhs(2)), ..first };
    another.presentation.as_mut().unwrap().version = 2;
    expect_trouble(calls::record(&ed, another).await, Code::FailedPrecondition, "SUBJECT_MISMATCH", &["subject"]);

    let plan = build::plan(nhs(3), "P");
    let acknowledged = calls::accept(&authority, vec![plan.clone(), plan.clone()]).await;
    assert_eq!((acknowledged[0].repeated, acknowledged[1].repeated), (false, true));
    assert_eq!(acknowledged[0].sequence, acknowledged[1].sequence);
    let reused = calls::refused(&authority, v1::PlanEvent { shielded: true, ..plan }).await;
    assert_eq!((reused.reason.as_str(), reused.field.as_str()), ("EVENT_ID_REUSED", "event_id"));
    end(site, server);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn half_an_outcome_another_trust_and_an_end_before_the_arrival_are_refused() {
    let (site, server, ed) = begin().await;
    let recorded = build::record(ED, nhs(1), "o1");
    calls::record(&ed, recorded.clone()).await.unwrap();
    let early = |outcome| v1::CloseRequest { outcome_at: Some(build::ago(7_200)), ..build::close(&recorded, outcome) };
    let refused = calls::close(&ed, early(v1::PresentationOutcome::Discharged)).await;
    expect_trouble(refused, Code::InvalidArgument, "OUTCOME_BEFORE_ARRIVAL", &["outcome_at"]);
    calls::close(&ed, early(v1::PresentationOutcome::EnteredInError)).await.expect("taking back has no order");

    // An outcome of nobody's encounter, and an end before the start that is held, are kept, and the sender is told.
    let typo = v1::CloseRequest {
        encounter_id: "o1-typo".into(),
        ..build::close(&recorded, v1::PresentationOutcome::Discharged)
    };
    assert_eq!(calls::close(&ed, typo).await.unwrap().effect(), v1::Effect::Kept);
    let plan = build::plan(nhs(5), "E");
    let early = v1::PlanEvent {
        action: v1::PlanAction::End.into(),
        start: None,
        end: Some(build::day(-400)),
        version: 2,
        event_id: build::id(),
        ..plan.clone()
    };
    let effects: Vec<_> = calls::accept(&server.client(A).await, vec![plan, early]).await;
    assert_eq!((effects[0].effect(), effects[1].effect()), (v1::Effect::Applied, v1::Effect::Kept));

    let half = v1::ImportRequest { outcome_at: Some(build::ago(60)), ..build::import(ED, nhs(2), "o2") };
    let foreign = v1::ImportRequest { caller: Some(build::caller(OTHER_ED)), ..build::import(ED, nhs(3), "o3") };
    let rows = vec![build::import(ED, nhs(4), "o4"), half, foreign];
    let response = calls::import(&ed, rows).await.unwrap();
    let reasons: Vec<&str> = response.rejections.iter().map(|row| row.reason.as_str()).collect();
    assert_eq!((response.accepted, reasons), (1, vec!["MISSING", "ORGANISATION_MISMATCH"]));
    end(site, server);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn half_a_stream_keeps_what_was_acknowledged() {
    let (site, server, ed) = begin().await;
    let events: Vec<_> = (1..=4).map(|child| build::plan(nhs(child), &format!("H{child}"))).collect();
    let authority = server.client(A).await;
    let (sender, stream) = mpsc::channel(8);
    let mut verdicts = authority.plans().submit_events(ReceiverStream::new(stream)).await.unwrap().into_inner();
    let mut first = Vec::new();
    for event in &events[..3] {
        sender.send(build::event(event.clone())).await.unwrap();
        match verdicts.message().await.unwrap().unwrap().verdict.unwrap() {
            Verdict::Acknowledgement(ack) => first.push(ack.sequence),
            Verdict::Refusal(refusal) => panic!("{}", refusal.reason),
        }
    }
    sender.send(build::event(events[3].clone())).await.unwrap();
    drop((verdicts, authority, sender));
    for child in 1..=3 {
        let plans = calls::ask(&ed, build::lookup(ED, nhs(child))).await.plans.unwrap();
        assert_eq!(plans.outcome(), Outcome::Held, "an acknowledged plan is gone");
    }
    let again = calls::accept(&server.client(A).await, events).await;
    assert!(again[..3].iter().all(|ack| ack.repeated));
    assert_eq!(again[..3].iter().map(|ack| ack.sequence).collect::<Vec<_>>(), first);
    assert_eq!(calls::ask(&ed, build::lookup(ED, nhs(4))).await.plans.unwrap().plans.len(), 1);
    end(site, server);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_too_large_or_too_late_is_said_so() {
    let (site, server, ed) = begin().await;
    let caller = v1::Caller { user_name: "x".repeat(300_000), ..build::caller(ED) };
    let large = v1::LookupRequest { caller: Some(caller), ..build::lookup(ED, nhs(1)) };
    expect_trouble(calls::try_ask(&ed, large).await, Code::OutOfRange, "MESSAGE_TOO_LARGE", &[]);

    let mut odd = Request::new(build::lookup(ED, nhs(1)));
    odd.metadata_mut().insert("grpc-timeout", "soon".parse().unwrap());
    expect_trouble(ed.lookup().lookup(odd).await, Code::InvalidArgument, "BAD_GRPC_TIMEOUT", &["grpc-timeout"]);

    let mut header = ed.request(build::lookup(ED, nhs(1)));
    header.metadata_mut().insert("x-large", "x".repeat(20_000).parse().unwrap());
    expect_trouble(ed.lookup().lookup(header).await, Code::ResourceExhausted, "HEADERS_TOO_LARGE", &[]);
    let mut header = ed.request(build::lookup(ED, nhs(1)));
    header.metadata_mut().insert("x-large", "x".repeat(80_000).parse().unwrap());
    let refused = ed.lookup().lookup(header).await.expect_err("a header list far beyond the bound was taken");
    assert_eq!(refused.code(), Code::Unknown, "HTTP/2 refuses it before there is a call that could have a reason");
    calls::ask(&ed, build::lookup(ED, nhs(1))).await;

    let authority = server.client(A).await;
    let (sender, stream) = mpsc::channel(1);
    let mut late = Request::new(ReceiverStream::new(stream));
    late.set_timeout(Duration::from_secs(3));
    sender.send(build::heartbeat()).await.unwrap();
    let mut verdicts = authority.plans().submit_events(late).await.unwrap().into_inner();
    assert!(verdicts.message().await.unwrap().is_some(), "what came in time is acknowledged");
    expect_trouble(verdicts.message().await, Code::DeadlineExceeded, "DEADLINE_EXCEEDED", &[]);
    end(site, server);
}

fn not_recorded(response: v1::CheckInResponse) -> (v1::Answer, v1::NotRecorded) {
    match response.recording.unwrap() {
        Recording::NotRecorded(why) => (response.answer.unwrap(), why),
        Recording::Recorded(_) => panic!("recorded"),
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_check_in_answers_even_when_it_cannot_record() {
    let (site, server, ed) = begin().await;
    calls::accept(&server.client(A).await, vec![build::plan(nhs(1), "C")]).await;
    let base = || build::check_in(ED, nhs(1), "c");
    let with = |change: fn(&mut v1::PresentationDetails)| {
        let mut request = base();
        change(request.presentation.as_mut().unwrap());
        request
    };
    let cases = [
        (with(|d| d.site = "RZ999".into()), "UNKNOWN_SITE"),
        (with(|d| d.complaint = UNLISTED), "UNKNOWN_COMPLAINT"),
        (with(|d| d.version = 0), "VERSION_ZERO"),
        (v1::CheckInRequest { presentation: None, ..base() }, "MISSING"),
        (v1::CheckInRequest { event_id: "7".into(), ..base() }, "BAD_UUID"),
    ];
    for (request, reason) in cases {
        let (answer, why) = not_recorded(calls::check_in(&ed, request).await.unwrap());
        assert_eq!(answer.plans.unwrap().outcome(), Outcome::Held, "{reason}");
        assert_eq!(why.reason, reason);
        assert!(!why.words.is_empty() && !crate::harness::logs::has_number(&why.words), "{reason}");
    }
    let lookup = v1::LookupRequest { subject: written("12345"), ..build::lookup(ED, nhs(1)) };
    let refused = calls::check_in(&ed, v1::CheckInRequest { lookup: Some(lookup), ..base() }).await;
    expect_trouble(refused, Code::InvalidArgument, "NHS_NUMBER_LENGTH", &["lookup.subject.nhs_number"]);
    let refused = calls::check_in(&ed, v1::CheckInRequest { lookup: None, ..base() }).await;
    expect_trouble(refused, Code::InvalidArgument, "MISSING", &["lookup"]);
    let seen = calls::ask(&ed, build::lookup(ED, nhs(1))).await.presentations.unwrap();
    assert_ne!(seen.outcome(), Outcome::Held, "something refused was stored");
    end(site, server);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_check_in_answers_when_the_disk_is_full() {
    let mut site = Site::new();
    let Some(mount) = Mount::tmpfs("a check-in on a full disk", &site.path("disk/data"), 24) else {
        return site.finish(&[]);
    };
    let server = site.ready().await;
    let ed = server.client(ED).await;
    calls::accept(&server.client(A).await, vec![build::plan(nhs(1), "F")]).await;
    fill(&site.path("disk/data/filler"));
    let mut refused = None;
    // What the log has set aside already may take a few more.
    for number in 0..20_000 {
        let request = build::check_in(ED, nhs(1), &format!("f{number}"));
        let response = calls::check_in(&ed, request).await.unwrap();
        if let Some(Recording::NotRecorded(_)) = response.recording {
            refused = Some(not_recorded(response));
            break;
        }
    }
    let (answer, why) = refused.expect("a full disk took every recording");
    assert_eq!(answer.plans.unwrap().outcome(), Outcome::Held);
    assert_eq!(why.reason, "STORAGE_UNAVAILABLE");
    tokio::task::block_in_place(|| server.kill());
    drop(mount);
    // The second is what the earlier questions would have left behind for the authority.
    site.finish(&["the log takes no writes now", "access history waits"]);
}

/// Takes every byte that is left.
fn fill(path: &std::path::Path) {
    use std::io::Write as _;
    let mut file = std::fs::File::create(path).unwrap();
    for block in [1 << 16, 4096, 1] {
        while file.write_all(&vec![0; block]).is_ok() {}
    }
}
