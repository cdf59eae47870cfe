//! The audit's own retention, end to end: an audit that is years old, a removal, and the programs on what is left. Whoever asks
//! for what was removed hears that it was, an entry's proof is not mistaken for one that never was, and `kithd verify` takes
//! exactly what a signed entry tells of for rightly missing.

use std::path::PathBuf;
use std::process::Command;
use std::sync::Arc;

use kith_api::client::Client;
use kith_api::v1;
use kith_domain::caller::{Caller, Peer, Purpose, Role};
use kith_domain::child::Subject;
use kith_domain::codes::OdsCode;
use kith_domain::feed_volume::ThinRule;
use kith_domain::flag::FlagRules;
use kith_domain::identity::IdentityCheck;
use kith_domain::method::Method;
use kith_domain::proof::PersonProof;
use kith_domain::settings::AnswerSettings;
use kith_domain::text::{PersonText, RoleCode, UserId};
use kith_domain::time::Moment;
use kith_engine::{
    AuditEntry, AuditRemoval, Call, Code as Told, Decision, Disclosed, Engine, EngineOptions, Guard, JournalOptions,
    KeepTree, PurgeOptions, StoreOptions, SystemMonotonic, TreeOptions,
};
use kith_merkle::LogSigner;
use tonic::{Code, Status};
use uuid::Uuid;

use crate::harness::build::{self, nhs, now};
use crate::harness::calls::expect_trouble;
use crate::harness::certificates::issue;
use crate::harness::offline;
use crate::harness::process::{Server, program};
use crate::harness::site::{Site, TRUSTS};
use crate::harness::wait::until;

const AUDITOR: &str = "RA1";
/// Eight years.
const DAYS: u32 = 2_922;

fn days_ago(days: i64) -> Moment {
    now().plus_seconds(-86_400 * days)
}

/// The site's own files, opened in process: only so can a test say what day it is.
fn engine(site: &Site, at: Moment) -> Engine {
    let pem = std::fs::read_to_string(site.path("audit.key")).unwrap();
    let signer = Arc::new(LogSigner::from_pem("kith.test/audit", &pem).unwrap());
    let guard = Guard { accept_on: Some(now().london_day()), ..Guard::default() };
    let options = EngineOptions {
        data_dir: site.path("disk/data"),
        keys: offline::keys(site.dir()),
        store: StoreOptions::default(),
        journal: JournalOptions::new(site.path("disk/audit"), site.path("disk/spill")),
        tree: KeepTree::Kept(TreeOptions::new(site.path("disk/audit-tree"), Some(signer))),
        boot_id: "years ago".into(),
        settings: AnswerSettings::default(),
        directory: Arc::default(),
        policy: Arc::default(),
        interval_seconds: Box::new(|_| 86_400),
        thin: ThinRule::default(),
        expected_per_week: Box::new(|_| None),
        clock: Arc::new(SystemMonotonic::default()),
        wall_clock: Arc::new(move || at),
        // An entry more or less would change what these tests count.
        flags: FlagRules { enabled: false, ..FlagRules::default() },
        purge: PurgeOptions { enabled: false, audit_days: Some(DAYS), guard, ..PurgeOptions::default() },
        give_up: Box::new(|| false),
    };
    Engine::open(options, at, Arc::new(|what| panic!("the log failed: {what}"))).unwrap()
}

/// Somebody was answered about a child.
fn lookup(child: u32, at: Moment) -> AuditEntry {
    let organisation = OdsCode::parse(TRUSTS[0]).unwrap();
    let caller = Caller {
        user_id: UserId::parse("u1").unwrap(),
        user_name: PersonText::parse("A Nurse").unwrap(),
        user_role: PersonText::parse("Nurse").unwrap(),
        purpose: Purpose::DirectCare,
        organisation,
        role_code: RoleCode::parse("R8000").unwrap(),
    };
    let disclosed = Disclosed {
        identity: IdentityCheck::NotGiven,
        plans: Told::CannotSay,
        presentations: Told::CannotSay,
        shielded: false,
        siblings: 0,
        mother: None,
    };
    let (peer, person) = (Peer { organisation, role: Role::Ed }, PersonProof::NotAsked);
    let call = Call { peer, method: Method::Lookup, trace: None, person };
    let decision = Decision::Answered { disclosed, counted: true };
    AuditEntry {
        subject: Some(Subject::Nhs(nhs(child))),
        ..AuditEntry::of_call(at, call, Some(caller), Some(Uuid::new_v4()), decision)
    }
}

/// Three runs, two of them long ago, each with a lookup of the first child; then what has passed is removed.
async fn aged(site: &Site) -> AuditRemoval {
    for days in [4_000, 3_500, 1] {
        let at = days_ago(days);
        let engine = engine(site, at);
        let asked = engine.audit(&lookup(1, at)).await.unwrap().sequence;
        until("history is derived", || (engine.positions().derived_through >= asked).then_some(()));
        engine.close(at);
    }
    let engine = engine(site, now());
    let removed = engine.retain_audit(now()).unwrap().expect("the first run has passed");
    engine.close(now());
    removed
}

async fn search(client: &Client, request: v1::SearchRequest) -> v1::AuditSearched {
    client.audit().search(client.request(request)).await.unwrap().into_inner().searched.unwrap()
}

async fn prove(client: &Client, reference: &str) -> Result<v1::GetInclusionProofResponse, Status> {
    let request = v1::GetInclusionProofRequest { audit_reference: reference.to_owned() };
    Ok(client.audit().get_inclusion_proof(client.request(request)).await?.into_inner())
}

async fn auditor(server: &Server) -> Client {
    let purpose = v1::Purpose::SafeguardingReview.into();
    server.client("auditor").await.as_person(&v1::Caller { purpose, ..build::caller(AUDITOR) })
}

/// Whether `kithd verify` finds nothing wrong, and what it says.
fn verified(site: &Site) -> (bool, String) {
    let output = Command::new(program("kithd"))
        .current_dir(site.dir())
        .args(["verify", "--config", "kithd.toml"])
        .output()
        .unwrap();
    (output.status.success(), String::from_utf8_lossy(&output.stdout).into_owned())
}

/// The segments of the first sink that hold entries, oldest first.
fn segments(site: &Site) -> Vec<PathBuf> {
    let files = std::fs::read_dir(site.path("disk/audit")).unwrap().map(|file| file.unwrap().path());
    let mut found: Vec<PathBuf> = files.filter(|path| path.extension().is_some_and(|end| end == "seg")).collect();
    found.retain(|path| std::fs::metadata(path).unwrap().len() > 96);
    found.sort();
    found
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_was_removed_is_told_as_removed_by_every_reader() {
    let mut site = Site::with(&[("audit", "retention_days", "9497")]);
    issue(&site.path("certs"), "auditor", AUDITOR, "auditor");
    let removed = aged(&site).await;
    let through = format!("1-{:012}", removed.through);
    let server = site.ready().await;
    let client = auditor(&server).await;
    let of_child = v1::SearchRequest { nhs_number: nhs(1).digits(), page_size: 500, ..v1::SearchRequest::default() };
    let searched = search(&client, of_child).await;
    assert_eq!((searched.end(), searched.missing.len()), (v1::AuditSearchEnd::Removed, 0));
    assert_eq!(searched.removed.unwrap().through_audit_reference, through);
    let of_entry = |reference: &str| v1::SearchRequest { audit_reference: reference.into(), ..Default::default() };
    let searched = search(&client, of_entry("1-000000000002")).await;
    assert_eq!((searched.end(), searched.entries_looked_at), (v1::AuditSearchEnd::Removed, 0));
    let never = search(&client, of_entry("1-000000999999")).await;
    assert_eq!((never.end(), never.removed), (v1::AuditSearchEnd::Whole, None), "which was never given");
    let request = v1::WhoLookedRequest { nhs_number: nhs(1).digits(), ..v1::WhoLookedRequest::default() };
    let looked = client.audit().who_looked(client.request(request)).await.unwrap().into_inner();
    assert_eq!((looked.looks.len(), looked.searched.unwrap().end()), (2, v1::AuditSearchEnd::Removed));
    let path = prove(&client, "1-000000000002").await.unwrap();
    assert_eq!((path.sealed.len(), path.removed_leaf.len(), path.leaf_index), (0, 32, 1));
    expect_trouble(prove(&client, "1-000000999999").await, Code::NotFound, "NO_SUCH_ENTRY", &[]);
    tokio::task::block_in_place(|| server.stop());
    site.finish(&[]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn verify_takes_exactly_what_a_signed_entry_tells_of_for_rightly_missing() {
    let mut site = Site::with(&[("audit", "retention_days", "9497")]);
    let removed = aged(&site).await;
    offline::verify(site.dir());
    let (sound, said) = verified(&site);
    assert!(
        sound && said.contains(&format!("entries up to {} were removed under retention", removed.through)),
        "{said}"
    );
    // It starts, goes on, and is sound after that.
    let server = site.ready().await;
    tokio::task::block_in_place(|| server.stop());
    assert!(verified(&site).0);
    // One more file, of which nothing tells.
    std::fs::remove_file(&segments(&site)[0]).unwrap();
    let (sound, said) = verified(&site);
    assert!(!sound && said.contains("FAULT") && said.contains("missing"), "{said}");
    site.finish(&[]);
}
