//! The reference of an answer about a shielded child, over the wire: it tells nothing, a broker alone finds the child with it, and what
//! was found is in the audit.

use std::process::{Command, Stdio};

use kith_api::client::Client;
use kith_api::v1;
use kith_domain::child::Subject;
use kith_engine::{AuditEntry, Decision};
use tonic::{Code, Status};

use crate::harness::build::{self, nhs};
use crate::harness::calls::{self, expect_trouble};
use crate::harness::process::{Server, program};
use crate::harness::site::{AUTHORITIES, Site, TRUSTS};
use crate::harness::wait::until_async;
use crate::harness::{certificates, offline};

const A: &str = AUTHORITIES[0];
const B: &str = AUTHORITIES[1];
const ED: &str = TRUSTS[0];
const OTHER: &str = TRUSTS[1];
const BROKER: &str = "X26";
const SHIELDED: u32 = 41;
const ORDINARY: u32 = 42;
/// Of the right form, and never given.
const UNKNOWN: &str = "7KQM2XBD9F4TH3";

fn site() -> Site {
    let site = Site::new();
    for (name, organisation, role) in [("broker", BROKER, "broker"), ("auditor", "X99", "auditor")] {
        certificates::issue(&site.path("certs"), name, organisation, role);
    }
    site
}

/// A child whom one authority shields and another has a plan of, and one whom nobody shields.
async fn hold(server: &Server) {
    let shielding = v1::PlanEvent { shielded: true, ..build::plan(nhs(SHIELDED), "P41") };
    calls::accept(&server.client(A).await, vec![shielding, build::plan(nhs(ORDINARY), "P42")]).await;
    calls::accept(&server.client(B).await, vec![build::plan(nhs(SHIELDED), "B41")]).await;
}

async fn look(server: &Server, child: u32) -> String {
    calls::ask(&server.client(ED).await, build::lookup(ED, nhs(child))).await.audit_reference
}

async fn resolve(
    client: &Client,
    organisation: &str,
    purpose: v1::Purpose,
    reference: &str,
) -> Result<v1::ResolveReferenceResponse, Status> {
    let caller = Some(v1::Caller { purpose: purpose.into(), ..build::caller(organisation) });
    let request = v1::ResolveReferenceRequest { caller, audit_reference: reference.to_owned() };
    Ok(client.broker().resolve_reference(client.request(request)).await?.into_inner())
}

async fn prove(client: &Client, reference: &str) -> Result<v1::GetInclusionProofResponse, Status> {
    let request = v1::GetInclusionProofRequest { audit_reference: reference.to_owned() };
    Ok(client.audit().get_inclusion_proof(client.request(request)).await?.into_inner())
}

fn is_random(reference: &str) -> bool {
    reference.bytes().all(|byte| byte.is_ascii_uppercase() || byte.is_ascii_digit())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_reference_of_a_shielded_childs_answer_tells_nothing_and_a_broker_alone_resolves_it() {
    let mut site = site();
    let server = site.ready().await;
    hold(&server).await;
    let [one, other] = [look(&server, SHIELDED).await, look(&server, SHIELDED).await];
    let ordinary = look(&server, ORDINARY).await;
    assert!(one != other && is_random(&one) && is_random(&other), "{one} {other}");
    assert!(ordinary.starts_with("1-") && ordinary.len() == one.len(), "{ordinary} {one}");

    let care = v1::Purpose::DirectCare;
    let broker = server.client("broker").await;
    let found = until_async("the entry can be read", async || resolve(&broker, BROKER, care, &one).await.ok()).await;
    let child = found.child.unwrap();
    assert_eq!((child.nhs_number, child.local_key, child.number_invalid), (nhs(SHIELDED).digits(), None, false));
    let shields: Vec<&str> = child.shielded_by.iter().map(|contact| contact.code.as_str()).collect();
    assert_eq!(
        (shields, child.shielded_nationally),
        (vec![A], false),
        "who has a plan and shields nothing is not named"
    );
    assert!(!child.shielded_by[0].phone.is_empty() && found.asker.unwrap().code == ED && found.mother.is_none());
    assert_eq!((found.organisation.as_str(), found.user_name.as_str()), (ED, build::NURSE));

    let denied = Code::PermissionDenied;
    for (name, organisation) in [(ED, ED), (A, A), ("auditor", "X99")] {
        let client = server.client(name).await;
        expect_trouble(resolve(&client, organisation, care, &one).await, denied, "ROLE_NOT_ALLOWED", &[]);
    }
    let keeping = resolve(&broker, BROKER, v1::Purpose::RecordKeeping, &one).await;
    expect_trouble(keeping, denied, "PURPOSE_NOT_ALLOWED", &[]);
    expect_trouble(resolve(&broker, BROKER, care, UNKNOWN).await, Code::NotFound, "REFERENCE_UNKNOWN", &[]);
    for odd in [ordinary.as_str(), "", "7KQM"] {
        let refused = resolve(&broker, BROKER, care, odd).await;
        expect_trouble(refused, Code::InvalidArgument, "BAD_AUDIT_REFERENCE", &["audit_reference"]);
    }

    tokio::task::block_in_place(|| server.stop());
    what_was_resolved_is_in_the_audit(&offline::audit(site.dir()).into_values().collect::<Vec<_>>());
    site.finish(&[]);
}

fn what_was_resolved_is_in_the_audit(entries: &[AuditEntry]) {
    let resolved = entries.iter().filter(|entry| matches!(entry.decision, Decision::Resolved(_)));
    let subjects: Vec<_> =
        resolved.map(|entry| (entry.subject.clone(), entry.organisation.unwrap().to_string())).collect();
    assert_eq!(subjects, [(Some(Subject::Nhs(nhs(SHIELDED))), BROKER.to_owned())]);
    for reason in ["ROLE_NOT_ALLOWED", "PURPOSE_NOT_ALLOWED", "REFERENCE_UNKNOWN", "BAD_AUDIT_REFERENCE"] {
        let is = |entry: &AuditEntry| {
            let (Decision::Refused(code) | Decision::RefusedMany { code, .. }) = entry.decision else { return false };
            code.word() == reason
        };
        assert!(entries.iter().any(is), "{reason}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_mother_who_is_told_with_a_baby_stands_in_the_audit_beside_it() {
    let mut site = site();
    let server = site.ready().await;
    hold(&server).await;
    let (baby, mother) = (nhs(ORDINARY), nhs(SHIELDED));
    let asked = v1::LookupRequest { mother_nhs_number: Some(mother.digits()), ..build::lookup(ED, baby) };
    let reference = calls::ask(&server.client(ED).await, asked).await.audit_reference;
    assert!(is_random(&reference), "{reference}");
    let (broker, care) = (server.client("broker").await, v1::Purpose::DirectCare);
    let found =
        until_async("the entry can be read", async || resolve(&broker, BROKER, care, &reference).await.ok()).await;
    assert_eq!(found.mother.unwrap().nhs_number, mother.digits());
    tokio::task::block_in_place(|| server.stop());
    let audit = offline::audit(site.dir());
    let resolved = audit.values().filter(|entry| matches!(entry.decision, Decision::Resolved(_)));
    let about =
        resolved.map(|entry| (entry.subject.clone(), entry.mother.as_ref().map(|mother| mother.subject.clone())));
    assert_eq!(about.collect::<Vec<_>>(), [(Some(Subject::Nhs(baby)), Some(Subject::Nhs(mother)))]);
    site.finish(&[]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn its_answer_is_proven_to_who_asked_and_no_auditor_is_led_to_the_child_by_it() {
    let mut site = site();
    let server = site.ready().await;
    hold(&server).await;
    let reference = look(&server, SHIELDED).await;
    let (ed, other, auditor) = (server.client(ED).await, server.client(OTHER).await, server.client("auditor").await);
    let proven = until_async("the entry is signed", async || prove(&ed, &reference).await.ok()).await;
    expect_trouble(prove(&other, &reference).await, Code::NotFound, "NO_SUCH_ENTRY", &[]);
    expect_trouble(prove(&ed, UNKNOWN).await, Code::NotFound, "NO_SUCH_ENTRY", &[]);
    for text in [reference.as_str(), UNKNOWN] {
        // Whether or not there is such an answer.
        expect_trouble(prove(&auditor, text).await, Code::PermissionDenied, "REFERENCE_SHIELDED", &[]);
    }
    let entry = format!("1-{:012}", proven.sequence);
    assert_eq!(prove(&auditor, &entry).await.unwrap().sequence, proven.sequence, "by the number that the audit gives");
    tokio::task::block_in_place(|| {
        let key = offline::audit_key(site.dir()).to_string();
        for (asker, text, expected, begins) in
            [(ED, &reference, 27, "NOT PROVEN: that reference"), ("auditor", &entry, 0, "PROVEN: entry")]
        {
            let (code, said) = kith(&site, &server, asker, &["audit", "prove", text, "--log-key", &key]);
            assert!(code == expected && said.starts_with(begins), "{code}: {said}");
        }
        server.stop();
    });
    site.finish(&[]);
}

/// Whoever is told to ring the national contact has a reference that leads there, and the broker hears of the doubt first.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn where_the_identity_is_not_confirmed_a_broker_finds_the_record_and_is_told_so() {
    let mut site = site();
    let server = site.ready().await;
    let (born, other) = (v1::Date { year: 2020, month: 2, day: 2 }, v1::Date { year: 2011, month: 11, day: 11 });
    let plan = |child, name: &str| v1::PlanEvent { date_of_birth: Some(born), ..build::plan(nhs(child), name) };
    let shielding = v1::PlanEvent { shielded: true, ..plan(SHIELDED, "P41") };
    calls::accept(&server.client(A).await, vec![shielding, plan(ORDINARY, "P42")]).await;
    let ed = server.client(ED).await;
    let mut references = Vec::new();
    for child in [SHIELDED, ORDINARY] {
        let asked = v1::LookupRequest { date_of_birth: Some(other), ..build::lookup(ED, nhs(child)) };
        let answer = calls::ask(&ed, asked).await;
        assert_eq!(answer.plans.unwrap().outcome(), v1::Outcome::IdentityNotConfirmed);
        references.push(answer.audit_reference);
    }
    assert!(is_random(&references[0]) && references[1].starts_with("1-"), "{references:?}");
    let (broker, care) = (server.client("broker").await, v1::Purpose::DirectCare);
    let found =
        until_async("the entry can be read", async || resolve(&broker, BROKER, care, &references[0]).await.ok()).await;
    let child = found.child.unwrap();
    assert!(child.identity_not_confirmed && !child.number_invalid && child.shielded_by.len() == 1, "{child:?}");
    tokio::task::block_in_place(|| {
        let (code, said) = kith(&site, &server, "broker", &["resolve", references[0].as_str()]);
        assert!(code == 0 && said.contains("IDENTITY NOT CONFIRMED"), "{said}");
        server.stop();
    });
    site.finish(&[]);
}

/// Exit code and what was printed, its lines as one.
fn kith(site: &Site, server: &Server, certificate: &str, words: &[&str]) -> (i32, String) {
    let options = server.options(certificate);
    let mut command = Command::new(program("kith"));
    command.current_dir(site.dir()).args(words).args(["--server", &options.server]);
    for (flag, path) in [("--ca", options.ca), ("--cert", options.cert), ("--key", options.key)] {
        command.arg(flag).arg(path);
    }
    command.args(["--user-id", "b1", "--user-name", "A Broker", "--user-role", "Broker", "--role-code", "R8000"]);
    let output = command.stdin(Stdio::null()).output().unwrap();
    let said = String::from_utf8([output.stdout, output.stderr].concat()).unwrap();
    (output.status.code().unwrap(), said.split_whitespace().collect::<Vec<_>>().join(" "))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_command_takes_it_as_it_is_read_out() {
    let mut site = site();
    let server = site.ready().await;
    hold(&server).await;
    let reference = look(&server, SHIELDED).await;
    let broker = server.client("broker").await;
    let care = v1::Purpose::DirectCare;
    until_async("the entry can be read", async || resolve(&broker, BROKER, care, &reference).await.ok()).await;
    tokio::task::block_in_place(|| {
        let (front, back) = reference.split_at(4);
        let front = front.to_lowercase();
        let (code, said) = kith(&site, &server, "broker", &["resolve", front.as_str(), back]);
        assert_eq!(code, 0, "{said}");
        assert!(said.contains(&nhs(SHIELDED).digits()) && said.contains(build::NURSE), "{said}");
        assert!(said.contains("RING Hartlemoor") && said.starts_with("SHIELDED RECORD"), "{said}");
        let (code, said) = kith(&site, &server, "broker", &["resolve", UNKNOWN]);
        assert!(
            code == 20 && said.contains("REFERENCE_UNKNOWN") && said.contains("says nothing about a child"),
            "{said}"
        );
        let (code, said) = kith(&site, &server, "broker", &["resolve", "1-000000000001"]);
        assert!(code == 22 && said.contains("BAD_AUDIT_REFERENCE"), "{said}");
        let (code, said) = kith(&site, &server, ED, &["resolve", reference.as_str()]);
        assert!(code == 21 && said.contains("ROLE_NOT_ALLOWED"), "{said}");
        server.stop();
    });
    site.finish(&[]);
}
