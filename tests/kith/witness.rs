//! A witness beside a real server: it follows the audit, cosigns, and cries when history is rolled back; and an entry is
//! proven to those whom it concerns, with the witness's signature, and to nobody else.

mod unproven;

use std::path::Path;
use std::process::{Command, Output};

use kith_api::client::ConnectOptions;
use kith_api::v1;
use kith_engine::Decision;
use kith_merkle::{Checkpoint, WitnessSigner};
use tonic::Code;

use crate::harness::build::{self, nhs};
use crate::harness::calls::{self, expect_trouble};
use crate::harness::certificates::issue;
use crate::harness::offline;
use crate::harness::process::{Server, program};
use crate::harness::site::{Setting, Site, TRUSTS};
use crate::harness::wait::until_async;

const TREE: &str = "disk/audit-tree";

fn command(name: &str, dir: &Path, options: &ConnectOptions) -> Command {
    let mut command = Command::new(program(name));
    command.current_dir(dir).env("KITH_SERVER", &options.server).env("KITH_CA", &options.ca);
    command.env("KITH_USER_ID", "u1").env("KITH_USER_NAME", "A Person");
    command.env("KITH_USER_ROLE", "Clerk").env("KITH_ROLE_CODE", "R8010");
    command.env("KITH_CERT", &options.cert).env("KITH_KEY", &options.key);
    command
}

fn run(name: &str, dir: &Path, server: &Server, certificate: &str, arguments: &[&str]) -> Output {
    command(name, dir, &server.options(certificate)).args(arguments).output().unwrap()
}

/// One round of the witness.
fn witness(site: &Site, server: &Server) -> Output {
    let key = offline::audit_key(site.dir()).to_string();
    let once = ["--log-key", &key, "--name", "witness.test/one", "--signing-key", "w.key", "--state", "w", "--once"];
    run("kith-witness", site.dir(), server, "witness", &once)
}

fn said(output: &Output) -> String {
    format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr))
}

fn site() -> Site {
    site_with(&[])
}

fn site_with(settings: &[Setting<'_>]) -> Site {
    let site = Site::with(settings);
    issue(&site.path("certs"), "witness", "RW1", "witness");
    issue(&site.path("certs"), "auditor", "RW2", "auditor");
    std::fs::create_dir(site.path("w")).unwrap();
    site
}

/// Asks, and waits until the answer's entry is under a signed head.
async fn signed_question(server: &Server, child: u32) -> String {
    let ed = server.client(TRUSTS[0]).await;
    let reference = calls::ask(&ed, build::lookup(TRUSTS[0], nhs(child))).await.audit_reference;
    until_async("the entry is signed", async || prove(&ed, &reference).await.ok().map(|_| ())).await;
    reference
}

async fn prove(
    client: &kith_api::client::Client,
    reference: &str,
) -> Result<v1::GetInclusionProofResponse, tonic::Status> {
    let request = v1::GetInclusionProofRequest { audit_reference: reference.to_owned() };
    Ok(client.audit().get_inclusion_proof(client.request(request)).await?.into_inner())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_entry_is_proven_to_those_whom_it_concerns_and_witnessed() {
    let mut site = site();
    let server = site.ready().await;
    let reference = signed_question(&server, 1).await;
    let round = tokio::task::block_in_place(|| witness(&site, &server));
    assert!(round.status.success(), "{}", said(&round));
    let told = said(&round);
    let witness_key = told.lines().find_map(|line| line.strip_prefix("witness ")).unwrap().to_owned();
    let key = offline::audit_key(site.dir()).to_string();
    let arguments = ["audit", "prove", &reference, "--log-key", &key, "--witness-key", &witness_key];
    for asker in [TRUSTS[0], "auditor"] {
        let output = tokio::task::block_in_place(|| run("kith", site.dir(), &server, asker, &arguments));
        assert!(output.status.success(), "{}", said(&output));
        assert!(said(&output).contains("witnessed by witness.test/one"), "{}", said(&output));
    }
    // Another organisation's is not told from one that is not there, and not every role may ask.
    let other = server.client(TRUSTS[1]).await;
    expect_trouble(prove(&other, &reference).await, Code::NotFound, "NO_SUCH_ENTRY", &[]);
    expect_trouble(prove(&other, "1-000000999999").await, Code::NotFound, "NO_SUCH_ENTRY", &[]);
    expect_trouble(prove(&other, "7").await, Code::InvalidArgument, "BAD_AUDIT_REFERENCE", &["audit_reference"]);
    let witness = server.client("witness").await;
    expect_trouble(prove(&witness, &reference).await, Code::PermissionDenied, "ROLE_NOT_ALLOWED", &[]);
    let fetched = other.audit().get_checkpoint(other.request(v1::GetCheckpointRequest {})).await;
    expect_trouble(fetched, Code::PermissionDenied, "ROLE_NOT_ALLOWED", &[]);
    let request = v1::GetConsistencyProofRequest { from_size: 1, to_size: 999_999 };
    let proof = witness.audit().get_consistency_proof(witness.request(request)).await;
    expect_trouble(proof, Code::NotFound, "NO_SUCH_TREE", &[]);
    let nothing = v1::AddCosignatureRequest { note: "nothing".into() };
    let kept = witness.audit().add_cosignature(witness.request(nothing)).await;
    expect_trouble(kept, Code::InvalidArgument, "NOT_KEPT", &[]);
    tokio::task::block_in_place(|| server.stop());
    offline::verify(site.dir());
    proofs_are_audited(&site, &reference);
    site.finish(&[]);
}

/// Who had the entry proven, who brought a cosignature, and who was refused: each is in the audit.
fn proofs_are_audited(site: &Site, reference: &str) {
    let entries: Vec<_> = offline::audit(site.dir()).into_values().collect();
    let by = |entry: &kith_engine::AuditEntry| entry.organisation.map(|code| code.to_string()).unwrap_or_default();
    let mut proven = Vec::new();
    for entry in &entries {
        if let Decision::Proven { journal, sequence } = entry.decision {
            assert_eq!(format!("{journal}-{sequence:012}"), reference);
            assert!(entry.caller.is_some());
            proven.push(by(entry));
        }
    }
    proven.dedup();
    assert_eq!(proven, [TRUSTS[0], "RW2"]);
    let cosigned = entries.iter().filter(|entry| matches!(entry.decision, Decision::Changed { acknowledged: 1, .. }));
    assert_eq!(cosigned.map(by).collect::<Vec<_>>(), ["RW1"]);
    let refused = |reason: &str, whose: &str| {
        let code = kith_domain::refusal_code::RefusalCode::of(reason);
        entries.iter().any(|entry| entry.decision == Decision::Refused(code) && by(entry) == whose)
    };
    assert!(refused("NO_SUCH_ENTRY", TRUSTS[1]) && refused("NOT_KEPT", "RW1") && refused("NO_SUCH_TREE", "RW1"));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_history_that_was_rolled_back_is_cried_out() {
    let mut site = site();
    let server = site.ready().await;
    signed_question(&server, 1).await;
    tokio::task::block_in_place(|| server.stop());
    let copied = Command::new("cp").current_dir(site.dir()).args(["-a", "disk", "before"]).status().unwrap();
    assert!(copied.success());
    // The witness sees more of it, and remembers.
    let server = site.ready().await;
    signed_question(&server, 2).await;
    assert!(tokio::task::block_in_place(|| witness(&site, &server)).status.success());
    tokio::task::block_in_place(|| server.stop());
    // All of it is put back, log and all: the server itself cannot tell.
    std::fs::rename(site.path("disk"), site.path("after")).unwrap();
    std::fs::rename(site.path("before"), site.path("disk")).unwrap();
    assert!(site.path(TREE).exists());
    let server = site.ready().await;
    signed_question(&server, 3).await;
    let round = tokio::task::block_in_place(|| witness(&site, &server));
    assert_eq!(round.status.code(), Some(3), "{}", said(&round));
    assert!(said(&round).contains("HISTORY HAS CHANGED"), "{}", said(&round));
    assert!(site.path("w/ALARM").exists());
    // Nor does it matter whether its disk takes the file.
    std::fs::remove_file(site.path("w/ALARM")).unwrap();
    std::fs::create_dir(site.path("w/ALARM.new")).unwrap();
    let round = tokio::task::block_in_place(|| witness(&site, &server));
    assert_eq!(round.status.code(), Some(3), "{}", said(&round));
    assert!(said(&round).contains("HISTORY HAS CHANGED") && !site.path("w/ALARM").exists(), "{}", said(&round));
    tokio::task::block_in_place(|| server.stop());
    // And verifying with what it remembers names it.
    let seen = std::fs::read(site.path("w/seen")).unwrap();
    assert!(!offline::report(site.dir(), &[seen]).is_sound());
    site.finish(&[]);
}

/// With the keys of witnesses in the configuration a certificate of role witness is not enough to have anything kept.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn of_known_witnesses_what_they_have_signed_is_kept_and_of_others_nothing() {
    let known = WitnessSigner::from_seed("witness.test/known", &[6; 32]).unwrap();
    let keys = format!("[\"{}\"]", known.key());
    let mut site = Site::with(&[("audit", "witnesses", keys.as_str())]);
    for (name, organisation) in [("known", "RW1"), ("stranger", "RW3")] {
        issue(&site.path("certs"), name, organisation, "witness");
    }
    site.run(&["check-config", "--config", "kithd.toml"]);
    let server = site.ready().await;
    let reference = signed_question(&server, 1).await;
    let (own, stranger) = (server.client("known").await, server.client("stranger").await);
    let head = own.audit().get_checkpoint(own.request(v1::GetCheckpointRequest {})).await.unwrap().into_inner();
    let cosigned = |signer: &WitnessSigner, is_rubbish: bool| {
        let (_, mut note) = Checkpoint::open(head.note.as_bytes(), &offline::audit_key(site.dir())).unwrap();
        let mut statement = signer.cosign(&note.text, 1_700_000_000).unwrap();
        if is_rubbish {
            statement.bytes = vec![0; statement.bytes.len()];
        }
        note.signatures.push(statement);
        v1::AddCosignatureRequest { note: note.to_string() }
    };
    let invented = WitnessSigner::from_seed("witness.test/invented", &[7; 32]).unwrap();
    own.audit().add_cosignature(own.request(cosigned(&known, false))).await.unwrap();
    for bad in [cosigned(&known, true), cosigned(&invented, false)] {
        let kept = stranger.audit().add_cosignature(stranger.request(bad)).await;
        expect_trouble(kept, Code::InvalidArgument, "NOT_KEPT", &[]);
    }
    let proven = prove(&server.client(TRUSTS[0]).await, &reference).await.unwrap();
    let (_, note) = Checkpoint::open(proven.note.as_bytes(), &offline::audit_key(site.dir())).unwrap();
    assert_eq!(known.key().verify_cosignature(&note), Ok(1_700_000_000));
    tokio::task::block_in_place(|| server.stop());
    site.finish(&[]);
}
