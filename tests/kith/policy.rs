//! The policy over the wire: what each role is granted, what a changed file does to requests from then on, and what a bad file
//! does not do.

use std::path::Path;
use std::process::Command;

use kith_api::client::Trouble;
use kith_api::v1;
use kith_domain::refusal_code::RefusalCode;
use kith_engine::{Configured, Decision};
use tonic::Code;

use crate::harness::build::{self, nhs};
use crate::harness::calls::{self, expect_trouble};
use crate::harness::process::{Server, program};
use crate::harness::site::{AUTHORITIES, Site, TRUSTS};
use crate::harness::wait::{until, until_async};
use crate::harness::{certificates, offline};

const A: &str = AUTHORITIES[0];
const ED: &str = TRUSTS[0];
const OTHER: &str = TRUSTS[1];
/// The built-in policy as a file.
pub const WRITTEN_OUT: &str = include_str!("../../config/policy.toml");

fn lookup(role: &str, purpose: v1::Purpose, context: v1::CareContext) -> v1::LookupRequest {
    let organisation = if role == "local-authority" { A } else { ED };
    let caller = v1::Caller { purpose: purpose.into(), ..build::caller(organisation) };
    v1::LookupRequest { caller: Some(caller), care_context: context.into(), ..build::lookup(organisation, nhs(1)) }
}

/// Every role asks for every purpose in either context; what is answered was written down by hand.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_is_answered_for_which_purpose() {
    use v1::CareContext::{Scheduled, Unscheduled};
    use v1::Purpose::{ChildProtectionEnquiry, DirectCare, RecordKeeping, SafeguardingReview};
    let mut site = Site::new();
    let roles = [
        "ed",
        "scheduled-care",
        "safeguarding",
        "local-authority",
        "demographics",
        "broker",
        "auditor",
        "ops",
        "witness",
    ];
    for role in roles {
        let organisation = if role == "local-authority" { A } else { ED };
        certificates::issue(&site.path("certs"), &format!("as-{role}"), organisation, role);
    }
    let server = site.ready().await;
    let answered = [
        ("ed", DirectCare, Unscheduled),
        ("ed", ChildProtectionEnquiry, Unscheduled),
        ("scheduled-care", DirectCare, Unscheduled),
        ("scheduled-care", DirectCare, Scheduled),
        ("scheduled-care", ChildProtectionEnquiry, Unscheduled),
        ("scheduled-care", ChildProtectionEnquiry, Scheduled),
        ("safeguarding", ChildProtectionEnquiry, Unscheduled),
        ("safeguarding", ChildProtectionEnquiry, Scheduled),
        ("safeguarding", SafeguardingReview, Unscheduled),
        ("safeguarding", SafeguardingReview, Scheduled),
    ];
    let mut asked = 0;
    for role in roles {
        let client = server.client(&format!("as-{role}")).await;
        for purpose in [DirectCare, ChildProtectionEnquiry, SafeguardingReview, RecordKeeping] {
            for context in [Unscheduled, Scheduled] {
                let found = calls::try_ask(&client, lookup(role, purpose, context)).await;
                let expected = answered.contains(&(role, purpose, context));
                assert_eq!(found.is_ok(), expected, "{role} {purpose:?} {context:?}: {found:?}");
                if let Err(status) = found {
                    assert_eq!(status.code(), Code::PermissionDenied);
                }
                asked += 1;
            }
        }
    }
    assert_eq!(asked, 72);
    println!("COUNTED policy {asked}");
    tokio::task::block_in_place(|| server.stop());
    site.finish(&[]);
}

/// The policy of the file, without what the emergency department may do for `purpose`.
fn without(purpose: &str) -> String {
    WRITTEN_OUT.replacen(&format!("purposes = [\"direct-care\", \"{purpose}\"]"), "purposes = [\"direct-care\"]", 1)
}

/// Puts another policy in place of the one before, all at once.
pub fn replace(path: &Path, text: &str) {
    std::fs::write(path.with_extension("new"), text).unwrap();
    std::fs::rename(path.with_extension("new"), path).unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_changed_file_counts_at_once_and_a_bad_one_changes_nothing() {
    let mut site = Site::with(&[("policy", "file", "\"policy.toml\""), ("tls", "reload_interval_ms", "50")]);
    let file = site.path("policy.toml");
    std::fs::write(&file, WRITTEN_OUT).unwrap();
    let server = site.ready().await;
    let ed = server.client(ED).await;
    let enquiry = || lookup("ed", v1::Purpose::ChildProtectionEnquiry, v1::CareContext::Unscheduled);
    calls::try_ask(&ed, enquiry()).await.unwrap();

    replace(&file, &without("child-protection-enquiry"));
    let refused = until_async("the narrower policy counts", async || calls::try_ask(&ed, enquiry()).await.err()).await;
    expect_trouble::<()>(Err(refused), Code::PermissionDenied, "PURPOSE_NOT_ALLOWED", &[]);
    calls::ask(&ed, build::lookup(ED, nhs(1))).await;

    for bad in ["", "version = 1", "no policy", &WRITTEN_OUT.replace("\"ops\"", "\"everybody\"")] {
        replace(&file, bad);
        let log = || std::fs::read_to_string(server.log()).unwrap().matches("stays in force as it was").count();
        let before = log();
        until("the bad file is seen", || (log() > before).then_some(()));
        expect_trouble(calls::try_ask(&ed, enquiry()).await, Code::PermissionDenied, "PURPOSE_NOT_ALLOWED", &[]);
        calls::ask(&ed, build::lookup(ED, nhs(1))).await;
    }

    replace(&file, WRITTEN_OUT);
    until_async("the wider policy counts", async || calls::try_ask(&ed, enquiry()).await.ok()).await;
    tokio::task::block_in_place(|| server.stop());
    let audit = offline::audit(site.dir());
    let changes: Vec<_> = audit
        .values()
        .filter_map(|entry| {
            if let Decision::ConfigChanged(Configured::Policy, sha256) = entry.decision {
                return Some(Some(sha256));
            }
            matches!(entry.decision, Decision::ConfigRefused(Configured::Policy)).then_some(None)
        })
        .collect();
    let known: Vec<bool> = changes.iter().map(Option::is_some).collect();
    assert_eq!(known, [true, true, false, false, false, false, true], "start, narrower, four bad ones, wider");
    assert_eq!(changes[0], changes[6], "the same file has the same hash");
    assert_ne!(changes[0], changes[1]);
    site.finish(&["the policy stays in force as it was"]);
}

/// Plan events and rows of an import on streams that were opened before the policy changed.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_open_stream_goes_by_the_policy_of_the_moment() {
    let mut site = Site::with(&[("policy", "file", "\"policy.toml\""), ("tls", "reload_interval_ms", "50")]);
    let file = site.path("policy.toml");
    std::fs::write(&file, WRITTEN_OUT).unwrap();
    let server = site.ready().await;
    let (la, ed) = (server.client(A).await, server.client(ED).await);
    let (events, stream) = tokio::sync::mpsc::channel(8);
    let stream = tokio_stream::wrappers::ReceiverStream::new(stream);
    let mut verdicts = la.plans().submit_events(stream).await.unwrap().into_inner();
    events.send(build::event(build::plan(nhs(1), "P1"))).await.unwrap();
    verdicts.message().await.unwrap().unwrap();
    let (rows, stream) = tokio::sync::mpsc::channel(8);
    let stream = tokio_stream::wrappers::ReceiverStream::new(stream);
    let sender = ed.clone();
    let importing = tokio::spawn(async move { sender.presentations().import(stream).await });
    rows.send(build::import(ED, nhs(2), "before")).await.unwrap();
    let held = async |child| {
        let presentations = calls::ask(&ed, build::lookup(ED, nhs(child))).await.presentations.unwrap();
        (presentations.outcome() == v1::Outcome::Held).then_some(())
    };
    until_async("the first row is taken", async || held(2).await).await;

    let narrower = WRITTEN_OUT.replacen("\"PlanService/SubmitEvents\", ", "", 1);
    replace(&file, &narrower.replacen("    \"PresentationService/Import\",\n", "", 1));
    until_async("the narrower policy counts", async || {
        calls::submit(&la, vec![build::heartbeat()]).await.err().map(|_| ())
    })
    .await;
    events.send(build::event(build::plan(nhs(3), "P3"))).await.unwrap();
    let refused = verdicts.message().await.unwrap_err();
    assert!(refused.message().ends_with("what was acknowledged stands"), "{refused:?}");
    assert!(!Trouble::from(&refused).may_stand, "whoever sent them knows: {refused:?}");
    expect_trouble::<()>(Err(refused), Code::PermissionDenied, "ROLE_NOT_ALLOWED", &[]);
    rows.send(build::import(ED, nhs(4), "after")).await.unwrap();
    let refused = importing.await.unwrap().unwrap_err();
    assert!(refused.message().ends_with("what was sent may stand"), "the first row does: {refused:?}");
    assert!(Trouble::from(&refused).may_stand, "a program hears it too: {refused:?}");
    expect_trouble::<()>(Err(refused), Code::PermissionDenied, "ROLE_NOT_ALLOWED", &[]);
    assert_eq!(held(4).await, None);
    tokio::task::block_in_place(|| server.stop());
    let refused = Decision::Refused(RefusalCode::of("ROLE_NOT_ALLOWED"));
    let count = offline::audit(site.dir()).values().filter(|entry| entry.decision == refused).count();
    assert!(count >= 3, "a new stream, and each that was open: {count}");
    site.finish(&[]);
}

/// Settings, directory, services, key and policy are told at every start, so that nobody goes back to another one unseen.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_in_force_from_a_start_on_is_told_at_each() {
    let mut site = Site::with(&[("policy", "file", "\"policy.toml\"")]);
    std::fs::write(site.path("policy.toml"), WRITTEN_OUT).unwrap();
    let server = site.ready().await;
    tokio::task::block_in_place(|| server.stop());
    site.run(&["new-audit-key", "--out", "other.key"]);
    site.configure(&[("audit", "signing_key_file", "\"other.key\"")]);
    // Whom an answer says to ring.
    let authorities = std::fs::read_to_string(site.path("authorities.csv")).unwrap();
    std::fs::write(site.path("authorities.csv"), authorities.replace("01632 960011", "01632 960019")).unwrap();
    let services = std::fs::read_to_string(site.path("certs/services.csv")).unwrap();
    std::fs::write(site.path("certs/services.csv"), format!("{services}ZZ1,Another operator,ops\n")).unwrap();
    let server = site.ready().await;
    tokio::task::block_in_place(|| server.stop());
    let audit = offline::audit(site.dir());
    let told = |of: Configured| -> Vec<[u8; 32]> {
        let told = audit.values().filter_map(|entry| {
            let Decision::ConfigChanged(what, sha256) = entry.decision else { return None };
            (what == of).then_some(sha256)
        });
        told.collect()
    };
    for what in
        [Configured::Settings, Configured::Directory, Configured::Services, Configured::AuditKey, Configured::Policy]
    {
        let told = told(what);
        assert!(told.len() == 2 && told[0] != told[1], "{what:?}: {told:?}");
    }
    assert_eq!(told(Configured::Policy)[1], [0; 32], "the one built in");
    assert_eq!(told(Configured::PersonTokens), [[0; 32]; 2], "nobody needs a token");
    site.finish(&["nothing of the audit is signed"]);
}

/// Asked for before and after, each of them would tell others what was sent or removed meanwhile.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn sizes_positions_and_removals_are_told_to_operations_alone() {
    let mut site = Site::new();
    let server = site.ready().await;
    let told = async |name: &str| {
        let client = server.client(name).await;
        let request = client.request(v1::GetStatusRequest::default());
        let status = client.status().get_status(request).await.unwrap().into_inner();
        [status.sizes.is_some(), status.positions.is_some(), status.purge.is_some()]
    };
    assert_eq!(told("ops").await, [true; 3]);
    for name in [ED, A] {
        assert_eq!(told(name).await, [false; 3], "{name}");
    }
    tokio::task::block_in_place(|| server.stop());
    site.finish(&[]);
}

#[test]
fn kithd_does_not_start_with_a_bad_file() {
    let site = Site::with(&[("policy", "file", "\"policy.toml\"")]);
    std::fs::write(site.path("policy.toml"), "version = 1").unwrap();
    for verb in ["serve", "check-config"] {
        let mut command = Command::new(program("kithd"));
        let output = command.current_dir(site.dir()).args([verb, "--config", "kithd.toml"]).output().unwrap();
        assert_eq!(output.status.code(), Some(78), "a mistake in the configuration");
        let said = [output.stdout, output.stderr].concat();
        assert!(String::from_utf8_lossy(&said).contains("nobody could ask at triage"), "{verb}");
    }
    site.finish(&[]);
}

/// What a nurse reads of a child of whom something is held.
fn page(site: &Site, server: &Server) -> String {
    let options = server.options(ED);
    let mut command = Command::new(program("kith"));
    command.args(["lookup", "--nhs-number", &nhs(1).digits(), "--server", &options.server]);
    for (flag, path) in [("--ca", options.ca), ("--cert", options.cert), ("--key", options.key)] {
        command.arg(flag).arg(path);
    }
    command.args(["--user-id", "n1", "--user-name", "A Nurse", "--user-role", "Nurse", "--role-code", "R8000"]);
    let output = command.current_dir(site.dir()).output().unwrap();
    let page = String::from_utf8(output.stdout).unwrap();
    assert_eq!(output.status.code(), Some(10), "held: {page}");
    page
}

/// What the policy leaves out is gone from the answer, is named in it, and changes no outcome.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_left_out_reads_as_not_shown() {
    let mut site = Site::with(&[("policy", "file", "\"policy.toml\""), ("tls", "reload_interval_ms", "50")]);
    let file = site.path("policy.toml");
    replace(&file, WRITTEN_OUT);
    let server = site.ready().await;
    let ed = server.client(ED).await;
    calls::record(&server.client(OTHER).await, build::record(OTHER, nhs(1), "seen")).await.unwrap();
    calls::accept(&server.client(A).await, vec![build::plan(nhs(1), "P")]).await;
    calls::ask(&ed, build::lookup(ED, nhs(1))).await;
    let listed = async || {
        let answer = calls::ask(&ed, build::lookup(ED, nhs(1))).await;
        let history = answer.access_history.as_ref().is_some_and(|history| !history.accesses.is_empty());
        history.then_some(answer)
    };
    let whole = until_async("history is derived", listed).await;
    let place = &whole.presentations.as_ref().unwrap().at_other_organisations[0];
    assert_eq!((place.organisation.as_str(), whole.not_shown.len()), (OTHER, 0));

    let every = "fields = [\"visit-places\", \"history\", \"siblings\", \"mother\", \"numbers\", \"named-feeds\"]";
    replace(&file, &WRITTEN_OUT.replacen(every, "fields = [\"mother\", \"numbers\"]", 1));
    let narrow = async || {
        let answer = calls::ask(&ed, build::lookup(ED, nhs(1))).await;
        (!answer.not_shown.is_empty()).then_some(answer)
    };
    let cut = until_async("the narrower policy counts", narrow).await;
    use v1::AnswerField::{History, NamedFeeds, Siblings, VisitPlaces};
    assert_eq!(cut.not_shown, [VisitPlaces, History, Siblings, NamedFeeds].map(i32::from));
    assert_eq!(cut.access_history, None);
    assert_eq!(cut.siblings.as_ref().unwrap().linked(), v1::SiblingLink::NotShown);
    let (before, after) = (whole.presentations.unwrap(), cut.presentations.unwrap());
    let place = &after.at_other_organisations[0];
    assert_eq!([&place.organisation, &place.organisation_name, &place.site, &place.site_name], [""; 4]);
    assert_eq!(place.complaint, before.at_other_organisations[0].complaint);
    assert_eq!((after.outcome, after.elsewhere), (before.outcome, before.elsewhere));
    assert_eq!(cut.plans.as_ref().unwrap().plans, whole.plans.unwrap().plans);
    assert_eq!(cut.ring, whole.ring);
    let line = cut.words.iter().find(|line| line.starts_with("NOT SHOWN TO YOU")).expect("a line that says so");
    for part in ["places of presentations elsewhere", "who looked before", "siblings"] {
        assert!(line.contains(part), "{line}");
    }
    let said = cut.words.join("\n");
    assert!(!said.contains("Quenbury") && !said.contains(OTHER), "{said}");

    let page = tokio::task::block_in_place(|| page(&site, &server));
    for words in ["place not shown to you", "NOT SHOWN TO YOU", "SIBLINGS not shown to you"] {
        assert!(page.contains(words), "{words}: {page}");
    }
    assert!(!page.contains("LOOKED UP BEFORE") && !page.contains(OTHER), "{page}");
    tokio::task::block_in_place(|| server.stop());
    // The audit says which fields were shown.
    let fields: std::collections::BTreeSet<u8> =
        offline::audit(site.dir()).values().filter(|e| e.subject.is_some()).map(|e| e.fields.bits()).collect();
    assert_eq!(fields, [0, 0b01_1000, 0b11_1111].into());
    site.finish(&[]);
}
