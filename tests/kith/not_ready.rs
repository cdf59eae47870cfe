//! While loading, when the store cannot be opened, or below what was acknowledged: NOT_SERVING and no answer at all, from a
//! process that stays. And with any feed stale or never heard of: never a bare "none held".

use std::io::Write;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Command;

use kith_api::v1::{self, Outcome};
use kith_engine::{AuditEntry, Decision};
use tonic::Code;
use tonic_health::pb::HealthCheckRequest;
use tonic_health::pb::health_check_response::ServingStatus;
use tonic_health::pb::health_client::HealthClient;

use crate::harness::build::{self, nhs};
use crate::harness::calls::{self, expect_trouble};
use crate::harness::process::Server;
use crate::harness::site::{AUTHORITIES, Site, TRUSTS};
use crate::harness::wait::until_async;
use crate::harness::{logs, offline};

const SERVICES: [&str; 6] = [
    "",
    "kith.v1.LookupService",
    "kith.v1.PresentationService",
    "kith.v1.PlanService",
    "kith.v1.NotificationService",
    "kith.v1.StatusService",
];
const ED: &str = TRUSTS[0];
const LA: &str = AUTHORITIES[0];
/// Calls that are tried at once, each of which is refused.
const DOORS: u64 = 8;
/// What the log says of a start that came to nothing.
const EXPECTED: [&str; 3] = ["giving no answers", "audit", "did not end in order"];

async fn health(server: &Server, service: &str) -> ServingStatus {
    let mut client = HealthClient::new(server.channel("ops").await);
    let request = HealthCheckRequest { service: service.to_owned() };
    client.check(request).await.unwrap().into_inner().status()
}

/// Every door is shut, each with this reason, and the process stays.
async fn gives_no_answers(server: &mut Server, reason: &str) {
    for service in SERVICES {
        assert_eq!(health(server, service).await, ServingStatus::NotServing, "{service}");
    }
    let (ed, la) = (server.client(ED).await, server.client(LA).await);
    let shut = Code::Unavailable;
    expect_trouble(calls::try_ask(&ed, build::lookup(ED, nhs(1))).await, shut, reason, &[]);
    expect_trouble(calls::check_in(&ed, build::check_in(ED, nhs(1), "e")).await, shut, reason, &[]);
    expect_trouble(calls::record(&ed, build::record(ED, nhs(1), "e")).await, shut, reason, &[]);
    expect_trouble(calls::import(&ed, vec![build::import(ED, nhs(1), "e")]).await, shut, reason, &[]);
    let entries = vec![v1::WorklistEntry { subject: build::subject(nhs(1)), ..v1::WorklistEntry::default() }];
    let worklist = v1::LookupManyRequest {
        caller: Some(build::caller(ED)),
        entries,
        request_id: build::id(),
        ..v1::LookupManyRequest::default()
    };
    expect_trouble(ed.lookup().lookup_many(worklist).await.map(|_| ()), shut, reason, &[]);
    expect_trouble(calls::submit(&la, vec![build::heartbeat()]).await, shut, reason, &[]);
    let list = v1::ListRequest { caller: Some(build::caller(LA)), ..v1::ListRequest::default() };
    expect_trouble(la.notifications().list(la.request(list)).await.map(|_| ()), shut, reason, &[]);
    // That there are no answers is told to everybody; which feed is late, to operations alone.
    let feeds = ed.request(v1::GetStatusRequest { include_feeds: true });
    expect_trouble(ed.status().get_status(feeds).await.map(|_| ()), shut, reason, &[]);
    assert!(server.is_running(), "the process ended");
}

/// A stopped site that holds a plan and a presentation; a copy of its database from before the last of them is kept.
async fn stopped() -> (Site, PathBuf) {
    let mut site = Site::new();
    let server = site.ready().await;
    calls::accept(&server.client(LA).await, vec![build::plan(nhs(1), "P1")]).await;
    tokio::task::block_in_place(|| server.stop());
    let older = site.path("older");
    copy(&site.path("disk/data/db"), &older);
    let server = site.ready().await;
    calls::record(&server.client(ED).await, build::record(ED, nhs(1), "e1")).await.unwrap();
    // Without a stop in order, so that the newest records are in the write-ahead log alone.
    tokio::task::block_in_place(|| server.kill());
    (site, older)
}

fn copy(from: &Path, to: &Path) {
    let done = Command::new("cp").arg("-a").args([from, to]).status().unwrap();
    assert!(done.success());
}

/// The newest file of the database whose name fits.
fn newest(site: &Site, fits: impl Fn(&str) -> bool) -> PathBuf {
    let entries = std::fs::read_dir(site.path("disk/data/db")).unwrap().map(|entry| entry.unwrap().path());
    let named = entries.filter(|path| fits(path.file_name().unwrap().to_str().unwrap()));
    named.max().expect("such a file in the database")
}

/// Starts on what was damaged: it must fail for one of these reasons and give no answers.
async fn refuses(mut site: Site, reasons: &[&str]) {
    let mut server = site.start();
    let (readiness, reason) = server.settled().await;
    assert_eq!(readiness, v1::Readiness::Failed);
    assert!(reasons.contains(&reason.as_str()), "{reason}, expected one of {reasons:?}");
    gives_no_answers(&mut server, &reason).await;
    tokio::task::block_in_place(|| server.stop());
    site.finish(&EXPECTED);
}

/// The policy that is built in, written out.
const POLICY: &str = include_str!("../../config/policy.toml");

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_refused_while_loading_is_in_the_audit_once_there_is_one() {
    let mut site = Site::with(&[("policy", "file", "\"policy.toml\"")]);
    let (policy, whole) = (site.path("policy.toml"), site.path("whole.toml"));
    std::fs::write(&whole, POLICY).unwrap();
    assert!(Command::new("mkfifo").arg(&policy).status().unwrap().success());
    // Read with the configuration, and once more behind the listener: there it waits for as long as the test likes.
    let with_the_configuration = policy.clone();
    let writing = std::thread::spawn(move || std::fs::write(with_the_configuration, POLICY).unwrap());
    let mut server = site.start();
    writing.join().unwrap();
    gives_no_answers(&mut server, "LOADING").await;
    let pipe = tokio::task::block_in_place(|| std::fs::OpenOptions::new().write(true).open(&policy));
    // Whoever looks later finds a file.
    std::fs::rename(&whole, &policy).unwrap();
    pipe.unwrap().write_all(POLICY.as_bytes()).unwrap();
    server.ready().await;
    tokio::task::block_in_place(|| server.stop());
    let loading = |entry: &AuditEntry| {
        let Decision::RefusedMany { code, count, .. } = entry.decision else { return 0 };
        if code.word() == "LOADING" && entry.organisation.is_some() { count } else { 0 }
    };
    let told: u64 = offline::audit(site.dir()).values().map(loading).sum();
    assert_eq!(told, DOORS, "each door once");
    site.finish(&[]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn while_loading_there_are_no_answers() {
    let mut site = Site::new();
    let key = site.path("storage.key");
    std::fs::remove_file(&key).unwrap();
    // The start waits for whoever writes to this pipe: it loads for as long as the test likes.
    assert!(Command::new("mkfifo").arg(&key).status().unwrap().success());
    std::fs::set_permissions(&key, std::fs::Permissions::from_mode(0o600)).unwrap();
    let mut server = site.start();
    assert_eq!(server.status().await.readiness(), v1::Readiness::Loading);
    gives_no_answers(&mut server, "LOADING").await;
    // Opened for writing and closed again: the start goes on, with a pipe for a key file.
    tokio::task::block_in_place(|| drop(std::fs::OpenOptions::new().write(true).open(&key).unwrap()));
    assert_eq!(server.settled().await, (v1::Readiness::Failed, "KEY_UNUSABLE".to_owned()));
    gives_no_answers(&mut server, "KEY_UNUSABLE").await;
    tokio::task::block_in_place(|| server.stop());
    // There never was an audit: that they are in none is said.
    let lines = logs::lines(&site.logs()[0]);
    let told = lines.iter().find(|line| line.message.contains("is in no audit")).expect("a line with the count");
    assert_eq!(told.fields["refused"].as_u64(), Some(2 * DOORS), "of either reason each door once");
    site.finish(&EXPECTED);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn ready_and_only_then_it_serves() {
    let mut site = Site::new();
    let server = site.ready().await;
    for service in SERVICES {
        until_async("serving", async || (health(&server, service).await == ServingStatus::Serving).then_some(())).await;
    }
    tokio::task::block_in_place(|| server.stop());
    site.finish(&[]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn another_key_opens_nothing() {
    let (site, _) = stopped().await;
    std::fs::remove_file(site.path("storage.key")).unwrap();
    site.run(&["new-key", "--out", "storage.key"]);
    refuses(site, &["KEY_UNUSABLE"]).await;
}

/// The key alone is not enough.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_missing_keyring_opens_nothing() {
    let (site, _) = stopped().await;
    std::fs::remove_file(site.path("disk/data/keyring")).unwrap();
    refuses(site, &["KEY_UNUSABLE"]).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_truncated_manifest_opens_nothing() {
    let (site, _) = stopped().await;
    let manifest = newest(&site, |name| name.starts_with("MANIFEST-"));
    let length = std::fs::metadata(&manifest).unwrap().len();
    std::fs::OpenOptions::new().write(true).open(&manifest).unwrap().set_len(length / 2).unwrap();
    refuses(site, &["STORE_UNAVAILABLE", "DATA_LOSS_SUSPECTED"]).await;
}

/// Turns over one bit of a file, in the byte that is chosen by its length.
fn flip(path: &Path, at: impl FnOnce(usize) -> usize) {
    let mut bytes = std::fs::read(path).unwrap();
    let at = at(bytes.len());
    bytes[at] ^= 1;
    std::fs::write(path, bytes).unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_flipped_bit_in_the_manifest_opens_nothing() {
    let (site, _) = stopped().await;
    flip(&newest(&site, |name| name.starts_with("MANIFEST-")), |length| length / 2);
    refuses(site, &["STORE_UNAVAILABLE", "DATA_LOSS_SUSPECTED"]).await;
}

/// The file that names the manifest: in its middle, and in the last digit of the name.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_flipped_bit_in_the_name_of_the_manifest_opens_nothing() {
    let places: [fn(usize) -> usize; 2] = [|length| length / 2, |length| length - 2];
    for at in places {
        let (site, _) = stopped().await;
        flip(&site.path("disk/data/db/CURRENT"), at);
        refuses(site, &["STORE_UNAVAILABLE", "DATA_LOSS_SUSPECTED"]).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_flipped_bit_in_the_write_ahead_log_is_noticed() {
    let (site, _) = stopped().await;
    flip(&newest(&site, |name| name.ends_with(".log")), |length| length / 2);
    refuses(site, &["DATA_LOSS_SUSPECTED", "STORE_UNAVAILABLE"]).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_older_copy_is_below_the_watermark() {
    let (site, older) = stopped().await;
    std::fs::remove_dir_all(site.path("disk/data/db")).unwrap();
    copy(&older, &site.path("disk/data/db"));
    refuses(site, &["DATA_LOSS_SUSPECTED"]).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_lost_write_ahead_log_is_noticed() {
    let (site, _) = stopped().await;
    std::fs::remove_file(newest(&site, |name| name.ends_with(".log"))).unwrap();
    refuses(site, &["DATA_LOSS_SUSPECTED", "STORE_UNAVAILABLE"]).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_torn_write_ahead_log_below_the_watermark_is_noticed() {
    let (site, _) = stopped().await;
    let log = newest(&site, |name| name.ends_with(".log"));
    let length = std::fs::metadata(&log).unwrap().len();
    std::fs::OpenOptions::new().write(true).open(&log).unwrap().set_len(length - 1).unwrap();
    refuses(site, &["DATA_LOSS_SUSPECTED"]).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_missing_database_beside_its_watermark_is_noticed() {
    let (site, _) = stopped().await;
    std::fs::remove_dir_all(site.path("disk/data/db")).unwrap();
    refuses(site, &["DATA_LOSS_SUSPECTED"]).await;
}

/// A disk that is not mounted: an empty directory beside the audit of a whole life must not become an empty England.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_empty_directory_beside_a_written_audit_is_noticed() {
    let (site, _) = stopped().await;
    std::fs::remove_dir_all(site.path("disk/data")).unwrap();
    refuses(site, &["DATA_LOSS_SUSPECTED"]).await;
}

/// What "none held" must carry: its counts, and the words.
fn never_bare(answer: &v1::Answer) {
    let (plans, seen) = (answer.plans.as_ref().unwrap(), answer.presentations.as_ref().unwrap());
    for (outcome, words, known) in [
        (plans.outcome(), &plans.words, plans.completeness.as_ref().unwrap()),
        (seen.outcome(), &seen.words, seen.completeness.as_ref().unwrap()),
    ] {
        assert_eq!(known.feeds, known.fresh + known.stale + known.absent + known.thin);
        if outcome == Outcome::NoneHeld {
            assert!(words.contains("not reassurance") && words.contains("as of"), "{words}");
            let doubtful = known.stale + known.absent + known.thin > 0;
            assert_eq!(doubtful, words.contains("never heard of"), "{words}");
        }
    }
}

async fn outcomes(server: &Server, child: u32) -> (v1::Answer, Outcome, Outcome) {
    let answer = calls::ask(&server.client(ED).await, build::lookup(ED, nhs(child))).await;
    never_bare(&answer);
    let (plans, seen) = (answer.plans.as_ref().unwrap().outcome(), answer.presentations.as_ref().unwrap().outcome());
    (answer, plans, seen)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn while_a_feed_was_never_heard_kith_cannot_say() {
    let mut site = Site::new();
    let server = site.ready().await;
    let (answer, plans, seen) = outcomes(&server, 1).await;
    assert_eq!((plans, seen), (Outcome::CannotSay, Outcome::CannotSay));
    assert_eq!(answer.plans.unwrap().completeness.unwrap().absent, 3);
    for (heard, code) in (1..).zip(AUTHORITIES) {
        calls::submit(&server.client(code).await, vec![build::heartbeat()]).await.unwrap();
        let (answer, plans, seen) = outcomes(&server, 1).await;
        let expected = if heard == AUTHORITIES.len() { Outcome::NoneHeld } else { Outcome::CannotSay };
        assert_eq!((plans, seen), (expected, Outcome::CannotSay), "{heard} authorities heard of, no trust");
        assert_eq!(answer.plans.unwrap().completeness.unwrap().fresh, u32::try_from(heard).unwrap());
    }
    // What is held is shown whatever the feeds do.
    calls::record(&server.client(ED).await, build::record(ED, nhs(2), "e")).await.unwrap();
    assert_eq!(outcomes(&server, 2).await.2, Outcome::Held);
    tokio::task::block_in_place(|| server.stop());
    site.finish(&[]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn within_the_bound_absent_feeds_are_counted_and_said() {
    let mut site = Site::with(&[("feeds", "cannot_say_percent", "50")]);
    let server = site.ready().await;
    for code in &AUTHORITIES[1..] {
        calls::submit(&server.client(code).await, vec![build::heartbeat()]).await.unwrap();
    }
    let (answer, plans, _) = outcomes(&server, 1).await;
    let answer = answer.plans.unwrap();
    assert_eq!((plans, answer.completeness.unwrap().absent), (Outcome::NoneHeld, 1));
    assert!(answer.words.contains("1 never heard of"), "{}", answer.words);
    // A child whose own authority is the silent one: its plan is known from before, and withdrawn.
    tokio::task::block_in_place(|| server.stop());
    site.finish(&[]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_feed_that_stops_turns_none_held_into_cannot_say() {
    let mut site = Site::with(&[
        ("feeds", "cannot_say_percent", "50"),
        ("feeds.overrides", "E06000901", "{ interval_seconds = 1 }"),
    ]);
    let server = site.ready().await;
    calls::all_fresh(&server).await;
    let authority = server.client(LA).await;
    let plan = build::plan(nhs(1), "P");
    let withdrawn =
        v1::PlanEvent { event_id: build::id(), action: v1::PlanAction::Withdraw.into(), version: 2, ..plan.clone() };
    calls::accept(&authority, vec![plan, withdrawn]).await;
    let answer = until_async("the child's own authority is stale", async || {
        let (answer, plans, _) = outcomes(&server, 1).await;
        (plans == Outcome::CannotSay).then_some(answer)
    })
    .await;
    let known = answer.plans.unwrap().completeness.unwrap();
    assert_eq!(known.named, [LA]);
    assert_eq!(known.doubts, [i32::from(v1::Doubt::OwnFeedStale)]);
    let (answer, plans, _) = outcomes(&server, 2).await;
    assert_eq!((plans, answer.plans.unwrap().completeness.unwrap().stale), (Outcome::NoneHeld, 1), "another child");
    until_async("heard of again", async || {
        calls::submit(&authority, vec![build::heartbeat()]).await.unwrap();
        (outcomes(&server, 1).await.1 == Outcome::NoneHeld).then_some(())
    })
    .await;
    tokio::task::block_in_place(|| server.stop());
    site.finish(&[]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_start_tells_how_far_it_is() {
    let mut site = Site::new();
    let server = site.ready().await;
    for child in 1..=20 {
        let record = build::record(ED, nhs(child), &format!("e{child}"));
        calls::record(&server.client(ED).await, record).await.unwrap();
    }
    tokio::task::block_in_place(|| server.stop());
    let server = site.ready().await;
    let lines = logs::lines(server.log());
    let told = lines.iter().filter(|line| line.message == "loading");
    let mut told: Vec<u64> = told.filter_map(|line| line.fields["records"].as_u64()).collect();
    told.sort_unstable();
    assert_eq!(told, [2, 4, 6, 8, 10, 12, 14, 16, 18, 20], "each tenth of what is held");
    tokio::task::block_in_place(|| server.stop());
    site.finish(&[]);
}
