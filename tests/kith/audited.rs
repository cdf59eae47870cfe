//! Every decision is in the audit: each entry of a worklist, both halves of a check-in, every refusal and every request that
//! was no message at all. Read from the files after the server has stopped.

use std::collections::BTreeMap;
use std::time::Duration;

use kith_api::v1::{self, CareContext};
use kith_domain::child::Subject;
use kith_domain::refusal_code::RefusalCode;
use kith_engine::{AuditEntry, ChangedOne, Configured, Decision};
use tonic::{Code, Request};
use tonic_prost::ProstCodec;
use uuid::Uuid;

use crate::harness::build::{self, nhs};
use crate::harness::calls::{self, expect_trouble};
use crate::harness::process::Server;
use crate::harness::site::{AUTHORITIES, Site, TRUSTS};
use crate::harness::wait::until_async;
use crate::harness::{certificates, offline};

const A: &str = AUTHORITIES[0];
const ED: &str = TRUSTS[0];

/// Stops the server and reads what it has audited.
fn audit(site: &Site, server: Server) -> Vec<AuditEntry> {
    tokio::task::block_in_place(|| server.stop());
    offline::audit(site.dir()).into_values().collect()
}

/// Entries with this request or event id.
fn of<'a>(entries: &'a [AuditEntry], id: &str) -> Vec<&'a AuditEntry> {
    let id = Uuid::parse_str(id).unwrap();
    entries.iter().filter(|entry| entry.request_id == Some(id)).collect()
}

/// How often each reason stands in the audit as a refusal.
fn refusals(entries: &[AuditEntry]) -> BTreeMap<String, usize> {
    let mut found = BTreeMap::new();
    for entry in entries {
        if let Decision::Refused(reason) = &entry.decision {
            *found.entry(reason.word().to_owned()).or_default() += 1;
        }
    }
    found
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_entry_of_a_worklist_and_both_halves_of_a_check_in() {
    let mut site = Site::new();
    let server = site.ready().await;
    let ed = server.client(ED).await;
    let entry = |subject| v1::WorklistEntry { subject, ..v1::WorklistEntry::default() };
    let bad = Some(v1::Subject { subject: Some(v1::subject::Subject::NhsNumber("12".into())) });
    let worklist = v1::LookupManyRequest {
        caller: Some(build::caller(ED)),
        entries: vec![entry(build::subject(nhs(1))), entry(bad), entry(build::subject(nhs(2)))],
        request_id: build::id(),
        ..v1::LookupManyRequest::default()
    };
    let mut items = ed.lookup().lookup_many(worklist.clone()).await.unwrap().into_inner();
    while items.message().await.unwrap().is_some() {}
    let check_in = build::check_in(ED, nhs(3), "c1");
    calls::check_in(&ed, check_in.clone()).await.unwrap();
    let mut unrecorded = build::check_in(ED, nhs(4), "c2");
    unrecorded.presentation.as_mut().unwrap().site = "RZ999".into();
    calls::check_in(&ed, unrecorded.clone()).await.unwrap();

    let entries = audit(&site, server);
    let listed = of(&entries, &worklist.request_id);
    let subjects: Vec<_> = listed.iter().map(|entry| entry.subject.clone()).collect();
    assert_eq!(subjects, [Some(Subject::Nhs(nhs(1))), None, Some(Subject::Nhs(nhs(2)))]);
    for (at, entry) in listed.iter().enumerate() {
        let silent = matches!(entry.decision, Decision::Answered { counted: false, .. });
        let refused = matches!(&entry.decision, Decision::Refused(reason) if reason.word() == "NHS_NUMBER_LENGTH");
        assert!(if at == 1 { refused } else { silent }, "{at}: {:?}", entry.decision);
        assert_eq!(entry.caller.as_ref().unwrap().user_id.as_str(), build::USER);
    }
    let why = RefusalCode::of("UNKNOWN_SITE");
    for (request, decided) in
        [(check_in, Decision::Changed { acknowledged: 1, refused: 0 }), (unrecorded, Decision::Refused(why))]
    {
        let question = of(&entries, &request.lookup.unwrap().request_id);
        assert!(matches!(question[..], [AuditEntry { decision: Decision::Answered { counted: true, .. }, .. }]));
        let recording = of(&entries, &request.event_id);
        assert_eq!(recording.len(), 1);
        assert_eq!(recording[0].decision, decided);
        assert_eq!(recording[0].subject, question[0].subject);
    }
    site.finish(&[]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_refusal() {
    let mut site = Site::new();
    for (name, organisation, role) in
        [("stranger", "RZ9", "ed"), ("unknown-la", "E06000999", "local-authority"), ("auditor", ED, "auditor")]
    {
        certificates::issue(&site.path("certs"), name, organisation, role);
    }
    let server = site.ready().await;
    let (ed, stranger) = (server.client(ED).await, server.client("stranger").await);
    let denied = Code::PermissionDenied;
    let refused = calls::try_ask(&stranger, build::lookup("RZ9", nhs(1))).await;
    expect_trouble(refused, denied, "ORGANISATION_UNKNOWN", &[]);
    let refused = calls::check_in(&stranger, build::check_in("RZ9", nhs(1), "s")).await;
    expect_trouble(refused, denied, "ORGANISATION_UNKNOWN", &[]);
    expect_trouble(calls::try_ask(&ed, build::lookup("RZ2", nhs(1))).await, denied, "ORGANISATION_MISMATCH", &[]);
    let scheduled = v1::LookupRequest { care_context: CareContext::Scheduled.into(), ..build::lookup(ED, nhs(1)) };
    expect_trouble(calls::try_ask(&ed, scheduled).await, denied, "SCHEDULED_NOT_ALLOWED", &[]);
    // Nobody asks about a child to keep records.
    let records = v1::Caller { purpose: v1::Purpose::RecordKeeping.into(), ..build::caller(ED) };
    let kept = v1::LookupRequest { caller: Some(records), ..build::lookup(ED, nhs(1)) };
    expect_trouble(calls::try_ask(&ed, kept).await, denied, "PURPOSE_NOT_ALLOWED", &[]);
    let auditor = server.client("auditor").await;
    expect_trouble(calls::try_ask(&auditor, build::lookup(ED, nhs(1))).await, denied, "ROLE_NOT_ALLOWED", &[]);

    // Which feed is late can tell where a shielded child is.
    let with_feeds = v1::GetStatusRequest { include_feeds: true };
    expect_trouble(ed.status().get_status(ed.request(with_feeds)).await, denied, "ROLE_NOT_ALLOWED", &[]);
    let ops = server.client("ops").await;
    let status = ops.status().get_status(ops.request(with_feeds)).await.unwrap().into_inner();
    assert_eq!(status.feeds.len(), AUTHORITIES.len() + TRUSTS.len());

    // An authority that is not known must not read "no notifications" for "not known".
    let unknown = server.client("unknown-la").await;
    let list = v1::ListRequest { caller: Some(build::caller("E06000999")), ..v1::ListRequest::default() };
    let refused = unknown.notifications().list(unknown.request(list)).await;
    expect_trouble(refused, denied, "ORGANISATION_UNKNOWN", &[]);
    let entries = audit(&site, server);
    let told = entries.iter().filter(|entry| entry.method == Some(kith_domain::method::Method::GetStatus));
    let told: Vec<_> = told.map(|entry| (entry.decision.clone(), entry.caller.is_some())).collect();
    assert_eq!(told, [(Decision::Refused(RefusalCode::of("ROLE_NOT_ALLOWED")), true), (Decision::Listed(6), true)]);
    let expected = [
        ("ORGANISATION_UNKNOWN", 3),
        ("ORGANISATION_MISMATCH", 1),
        ("SCHEDULED_NOT_ALLOWED", 1),
        ("ROLE_NOT_ALLOWED", 2),
        ("PURPOSE_NOT_ALLOWED", 1),
    ];
    assert_eq!(refusals(&entries), expected.map(|(reason, count)| (reason.to_owned(), count)).into());
    site.finish(&[]);
}

/// A burst of refusals of one person is few entries, which name the person, and the entry that counts a refusal is in the
/// audit by the time its answer has left.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_burst_of_refusals_is_counted_before_any_is_answered() {
    const CALLS: u64 = 100;
    let mut site = Site::new();
    let server = site.ready().await;
    let ed = server.client(ED).await;
    let records = v1::Caller { purpose: v1::Purpose::RecordKeeping.into(), ..build::caller(ED) };
    let mut asking = tokio::task::JoinSet::new();
    for _ in 0..CALLS {
        let request = v1::LookupRequest { caller: Some(records.clone()), ..build::lookup(ED, nhs(1)) };
        let ed = ed.clone();
        asking.spawn(async move { calls::try_ask(&ed, request).await });
    }
    while let Some(refused) = asking.join_next().await {
        expect_trouble(refused.unwrap(), Code::PermissionDenied, "PURPOSE_NOT_ALLOWED", &[]);
    }
    tokio::task::block_in_place(|| server.kill());
    let entries: Vec<AuditEntry> = offline::audit(site.dir()).into_values().collect();
    let counted = |entry: &AuditEntry| match entry.decision {
        Decision::Refused(_) => 1,
        Decision::RefusedMany { count, .. } => count,
        Decision::Answered { .. }
        | Decision::Changed { .. }
        | Decision::ChangedEach(_)
        | Decision::ListedEach(_)
        | Decision::Listed(_)
        | Decision::Started
        | Decision::Stopped
        | Decision::Gap(_)
        | Decision::FilePositionReset(..)
        | Decision::ConfigChanged(..)
        | Decision::ConfigRefused(_)
        | Decision::ListKept { .. }
        | Decision::Proven { .. }
        | Decision::AuditRead(_)
        | Decision::Opened { .. }
        | Decision::OpeningReviewed(..)
        | Decision::Flagged(_)
        | Decision::FlagReviewed(..)
        | Decision::Withheld { .. }
        | Decision::WithholdingLifted
        | Decision::AuditRemoved { .. }
        | Decision::Resolved(_)
        | Decision::ToldAgain { .. }
        | Decision::RefusedRows { .. }
        | Decision::NotThere(_) => 0,
    };
    let refused: Vec<&AuditEntry> = entries.iter().filter(|entry| counted(entry) > 0).collect();
    assert_eq!(refused.iter().map(|entry| counted(entry)).sum::<u64>(), CALLS);
    assert!(refused.len() < 50, "a burst is counted, not listed: {}", refused.len());
    assert_eq!(refused[0].subject, Some(Subject::Nhs(nhs(1))), "the first says whom it was about");
    for entry in refused {
        assert_eq!(entry.caller.as_ref().unwrap().user_id.as_str(), build::USER);
    }
    site.finish(&[]);
}

/// Sends bytes that are no message of this protocol: where the caller is expected stands the text of a contact.
async fn no_message(ed: &kith_api::client::Client) {
    let odd = v1::Contact { name: "zzz".into(), ..v1::Contact::default() };
    let mut raw = tonic::client::Grpc::new(ed.channel());
    raw.ready().await.unwrap();
    let path = "/kith.v1.LookupService/Lookup".parse().unwrap();
    let codec = ProstCodec::<v1::Contact, v1::LookupResponse>::default();
    let refused = raw.unary(Request::new(odd), path, codec).await;
    expect_trouble(refused, Code::InvalidArgument, "MALFORMED_MESSAGE", &[]);
}

/// Waits until what has been refused is in the audit: what was refused before one more is, once anything more is.
async fn counted_so_far(server: &Server, ed: &kith_api::client::Client) {
    let last = async || server.status().await.positions.unwrap().audit_last;
    let before = last().await;
    no_message(ed).await;
    until_async("refusals are in the audit", async || (last().await > before).then_some(())).await;
}

/// Bytes that are no message of this protocol, and messages compressed in a way that is not taken.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_no_message_is_said_so() {
    let mut site = Site::new();
    let server = site.ready().await;
    let ed = server.client(ED).await;
    no_message(&ed).await;

    let mut asked = ed.request(build::lookup(ED, nhs(1)));
    asked.metadata_mut().insert("grpc-encoding", "gzip".parse().unwrap());
    expect_trouble(ed.lookup().lookup(asked).await, Code::Unimplemented, "COMPRESSION_NOT_SUPPORTED", &[]);
    for _ in 0..50 {
        let mut raw = tonic::client::Grpc::new(ed.channel());
        raw.ready().await.unwrap();
        let codec = ProstCodec::<v1::LookupRequest, v1::LookupResponse>::default();
        let path = "/kith.v1.LookupService/Guess".parse().unwrap();
        let refused = raw.unary(Request::new(build::lookup(ED, nhs(1))), path, codec).await;
        expect_trouble(refused, Code::Unimplemented, "UNKNOWN_METHOD", &[]);
    }
    calls::ask(&ed, build::lookup(ED, nhs(1))).await;
    counted_so_far(&server, &ed).await;
    let entries = audit(&site, server);
    let many = |reason: &str| {
        let of = |entry: &AuditEntry| {
            let Decision::RefusedMany { code, count, .. } = entry.decision else { return None };
            assert_eq!(entry.organisation.map(|code| code.to_string()).as_deref(), Some(ED));
            (code.word() == reason).then_some(count)
        };
        let found: Vec<u64> = entries.iter().filter_map(of).collect();
        (found.iter().sum::<u64>(), found.len() < 25)
    };
    assert!(many("MALFORMED_MESSAGE").0 >= 1);
    assert_eq!(many("COMPRESSION_NOT_SUPPORTED"), (1, true));
    assert_eq!(many("UNKNOWN_METHOD"), (50, true), "a burst is counted, not listed");
    site.finish(&[]);
}

/// What is refused before any handler sees it is counted in the audit, of any service.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_no_handler_sees_is_counted() {
    let mut site = Site::new();
    let server = site.ready().await;
    let ed = server.client(ED).await;
    let mut odd = ed.request(build::lookup(ED, nhs(1)));
    odd.metadata_mut().insert("grpc-timeout", "soon".parse().unwrap());
    let refused = ed.lookup().lookup(odd).await;
    expect_trouble(refused, Code::InvalidArgument, "BAD_GRPC_TIMEOUT", &["grpc-timeout"]);
    for _ in 0..3 {
        let mut large = ed.request(build::lookup(ED, nhs(1)));
        large.metadata_mut().insert("x-large", "y".repeat(20_000).parse().unwrap());
        expect_trouble(ed.lookup().lookup(large).await, Code::ResourceExhausted, "HEADERS_TOO_LARGE", &[]);
    }
    let mut raw = tonic::client::Grpc::new(ed.channel());
    raw.ready().await.unwrap();
    let codec = ProstCodec::<v1::LookupRequest, v1::LookupResponse>::default();
    let path = "/kith.v1.NoService/Guess".parse().unwrap();
    let refused = raw.unary(Request::new(build::lookup(ED, nhs(1))), path, codec).await;
    expect_trouble(refused, Code::Unimplemented, "UNKNOWN_METHOD", &[]);

    counted_so_far(&server, &ed).await;
    let counted = |entry: &AuditEntry| {
        let Decision::RefusedMany { code, count, .. } = entry.decision else { return None };
        assert_eq!(entry.organisation.map(|code| code.to_string()).as_deref(), Some(ED));
        Some((code.word(), entry.method.map(|method| method.word()), count))
    };
    let mut found = BTreeMap::new();
    for (code, method, count) in audit(&site, server).iter().filter_map(counted) {
        if code == "MALFORMED_MESSAGE" {
            continue;
        }
        *found.entry((code, method)).or_insert(0) += count;
    }
    let lookup = Some("LookupService/Lookup");
    let expected =
        [(("BAD_GRPC_TIMEOUT", lookup), 1), (("HEADERS_TOO_LARGE", lookup), 3), (("UNKNOWN_METHOD", None), 1)];
    assert_eq!(found, expected.into());
    site.finish(&[]);
}

/// Which certificates and authorities are in force, from the start on, and which new ones could not be used.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn certificates_that_change_and_such_as_cannot_be_used() {
    let mut site = Site::with(&[("tls", "reload_interval_ms", "50")]);
    let server = site.ready().await;
    let entries = async |least: u64| {
        let enough = async || (server.status().await.positions.unwrap().audit_last >= least).then_some(());
        until_async("the change is in the audit", enough).await;
    };
    // The start, what is in force from it on, the certificate and the authorities.
    entries(9).await;
    let good = std::fs::read(site.path("certs/server.pem")).unwrap();
    std::fs::write(site.path("certs/server.pem"), "no certificate").unwrap();
    entries(10).await;
    site.run(&["dev-certs", "--out", "others", "--directory", "."]);
    let authorities = ["certs/ca.pem", "others/ca.pem"].map(|path| std::fs::read_to_string(site.path(path)).unwrap());
    std::fs::write(site.path("certs/server.pem"), good).unwrap();
    std::fs::write(site.path("certs/ca.pem"), authorities.concat()).unwrap();
    entries(11).await;

    let mut found = Vec::new();
    for entry in audit(&site, server) {
        if let Decision::ConfigChanged(what, sha256) = entry.decision {
            found.push((what, Some(sha256)));
        }
        if let Decision::ConfigRefused(what) = entry.decision {
            found.push((what, None));
        }
    }
    use Configured::{Certificate, ClientAuthorities};
    found.retain(|(what, _)| [Certificate, ClientAuthorities].contains(what));
    let of: Vec<_> = found.iter().map(|(what, sha256)| (*what, sha256.is_some())).collect();
    let expected = [(Certificate, true), (ClientAuthorities, true), (Certificate, false), (ClientAuthorities, true)];
    assert_eq!(of, expected, "what is the same as before is no change");
    assert_ne!(found[1], found[3]);
    site.finish(&["stays in force"]);
}

/// No presentation of an adult is kept, whoever told the date of birth; the question is answered all the same.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_presentation_of_an_adult_is_kept() {
    let mut site = Site::new();
    let server = site.ready().await;
    let ed = server.client(ED).await;
    let mother = v1::PlanEvent {
        kind: v1::PlanKind::Unborn.into(),
        date_of_birth: Some(build::day(-30 * 365)),
        ..build::plan(nhs(1), "U")
    };
    calls::accept(&server.client(A).await, vec![mother]).await;
    let response = calls::check_in(&ed, build::check_in(ED, nhs(1), "m")).await.unwrap();
    let v1::check_in_response::Recording::NotRecorded(why) = response.recording.unwrap() else {
        panic!("an adult's presentation was recorded")
    };
    assert_eq!(why.reason, "ADULT");
    assert_eq!(response.answer.unwrap().plans.unwrap().outcome(), v1::Outcome::Held);
    expect_trouble(
        calls::record(&ed, build::record(ED, nhs(1), "n")).await,
        Code::InvalidArgument,
        "ADULT",
        &["date_of_birth"],
    );
    let seen = calls::ask(&ed, build::lookup(ED, nhs(1))).await.presentations.unwrap();
    assert_ne!(seen.outcome(), v1::Outcome::Held);

    // Too long ago to be kept, told at once.
    let mut old = build::check_in(ED, nhs(2), "o");
    old.presentation.as_mut().unwrap().arrived_at = Some(build::ago(400 * 86_400));
    let response = calls::check_in(&ed, old).await.unwrap();
    let v1::check_in_response::Recording::NotRecorded(why) = response.recording.unwrap() else {
        panic!("a presentation beyond retention was recorded")
    };
    assert_eq!(why.reason, "ARRIVAL_BEYOND_RETENTION");
    tokio::task::block_in_place(|| server.stop());
    site.finish(&[]);
}

/// A deadline that passes between a change and its audit entry must not part them.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_change_whose_caller_has_gone() {
    let mut site = Site::new();
    let server = site.ready().await;
    let ed = server.client(ED).await;
    let mut cut_off = Vec::new();
    for n in 0..60_u32 {
        let record = build::record(ED, nhs(1_000 + n), &format!("g{n}"));
        let mut call = Request::new(record.clone());
        call.set_timeout(Duration::from_micros(400 + 100 * u64::from(n % 10)));
        if ed.presentations().record(call).await.is_err() {
            cut_off.push((nhs(1_000 + n), record.event_id));
        }
        let mut check_in = build::check_in(ED, nhs(2_000 + n), &format!("h{n}"));
        check_in.event_id = build::id();
        let mut call = Request::new(check_in.clone());
        call.set_timeout(Duration::from_micros(400 + 100 * u64::from(n % 10)));
        if ed.lookup().check_in(call).await.is_err() {
            cut_off.push((nhs(2_000 + n), check_in.event_id));
        }
    }
    // What was begun goes on: a change that is durable is followed by those after it.
    calls::record(&ed, build::record(ED, nhs(999), "last")).await.unwrap();
    let mut recorded = Vec::new();
    for (number, id) in &cut_off {
        let answer = calls::ask(&ed, build::lookup(ED, *number)).await;
        if !answer.presentations.unwrap().at_this_organisation.is_empty() {
            recorded.push(id.clone());
        }
    }
    let entries = audit(&site, server);
    let missing = recorded.iter().filter(|id| of(&entries, id).is_empty()).count();
    println!(
        "{} calls cut off, {} of them recorded, {missing} of those not in the audit",
        cut_off.len(),
        recorded.len()
    );
    assert_eq!(missing, 0);
    site.finish(&["could not be written"]);
}

/// Whatever is acknowledged on a stream is in the audit when the process is killed.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_acknowledgement_of_a_stream_that_never_ended() {
    let mut site = Site::new();
    let server = site.ready().await;
    let la = server.client(A).await;
    let (events, stream) = tokio::sync::mpsc::channel(64);
    let stream = tokio_stream::wrappers::ReceiverStream::new(stream);
    let mut verdicts = la.plans().submit_events(stream).await.unwrap().into_inner();
    for n in 0..20 {
        events.send(build::event(build::plan(nhs(n), &format!("P{n}")))).await.unwrap();
        verdicts.message().await.unwrap().unwrap();
    }
    tokio::task::block_in_place(|| server.kill());
    let entries: Vec<AuditEntry> = offline::audit(site.dir()).into_values().collect();
    let count = |entry: &AuditEntry| entry.decision.changed().map_or(0, |(acknowledged, _)| acknowledged);
    assert_eq!(entries.iter().map(count).sum::<u64>(), 20);
    site.finish(&[]);
}

/// Who started a child's plan, or recorded a presentation, is found by the child, though it was sent among others; and so is why
/// it was refused.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn each_of_many_has_whom_it_was_about_and_so_has_what_is_refused() {
    let mut site = Site::new();
    certificates::issue(&site.path("certs"), "auditor", ED, "auditor");
    let server = site.ready().await;
    let (la, ed, auditor) = (server.client(A).await, server.client(ED).await, server.client("auditor").await);
    let (started, unversioned) =
        (build::plan(nhs(1), "P1"), v1::PlanEvent { version: 0, shielded: true, ..build::plan(nhs(2), "P2") });
    let foreign = v1::ImportRequest { caller: Some(build::caller(TRUSTS[1])), ..build::import(ED, nhs(4), "e4") };
    let row = build::import(ED, nhs(3), "e3");
    let sent = [&started.event_id, &unversioned.event_id, &row.event_id, &foreign.event_id].map(String::clone);
    let baby =
        v1::Baby { subject: build::subject(nhs(8)), kind: v1::PlanKind::ChildProtection.into(), ..v1::Baby::default() };
    let born = v1::PlanEvent { action: v1::PlanAction::Born.into(), babies: vec![baby], ..build::plan(nhs(7), "P7") };
    let birth = Uuid::parse_str(&born.event_id).unwrap();
    calls::submit(&la, [started, unversioned, born].map(build::event).to_vec()).await.unwrap();
    let verdict = calls::import(&ed, vec![row, foreign]).await.unwrap();
    assert_eq!((verdict.accepted, verdict.rejected), (1, 1));
    let denied = build::record(ED, nhs(5), "e5");
    expect_trouble(calls::record(&auditor, denied.clone()).await, Code::PermissionDenied, "ROLE_NOT_ALLOWED", &[]);
    let first = build::record(ED, nhs(6), "e6");
    calls::record(&ed, first.clone()).await.unwrap();
    let mut again = v1::RecordRequest { event_id: build::id(), ..first };
    again.presentation.as_mut().unwrap().complaint = v1::ComplaintGroup::Bite.into();
    expect_trouble(
        calls::record(&ed, again.clone()).await,
        Code::FailedPrecondition,
        "VERSION_REUSED",
        &["presentation.version"],
    );

    let entries = audit(&site, server);
    let about = |child| Some(Subject::Nhs(nhs(child)));
    let each: Vec<&ChangedOne> = entries
        .iter()
        .filter_map(|entry| if let Decision::ChangedEach(each) = &entry.decision { Some(each) } else { None })
        .flatten()
        .collect();
    for (id, child, reason) in
        [(0, 1, None), (1, 2, Some("VERSION_ZERO")), (2, 3, None), (3, 4, Some("ORGANISATION_MISMATCH"))]
    {
        let id = Uuid::parse_str(&sent[id]).unwrap();
        let one = each.iter().find(|one| one.event_id == Some(id)).expect("an event that was sent");
        assert_eq!((one.subject.clone(), one.refused().map(RefusalCode::word)), (about(child), reason));
        assert_eq!(one.shielded, child == 2, "the one that says so, though it was refused");
    }
    let at = each.iter().position(|one| one.event_id == Some(birth)).expect("a birth that was sent");
    let of_birth: Vec<_> = each[at..at + 2].iter().map(|one| (one.subject.clone(), one.event_id)).collect();
    assert_eq!(of_birth, [(about(7), Some(birth)), (about(8), None)], "mother and baby, whatever became of it");
    for (request, child, reason) in [(denied, 5, "ROLE_NOT_ALLOWED"), (again, 6, "VERSION_REUSED")] {
        let [entry] = of(&entries, &request.event_id)[..] else { panic!("{reason}: one entry") };
        assert_eq!(
            (entry.subject.clone(), &entry.decision),
            (about(child), &Decision::Refused(RefusalCode::of(reason)))
        );
    }
    site.finish(&[]);
}
