//! The keys while the service runs: the data key rotated under load with the server killed in the middle, an old version
//! forgotten, the keyring wrapped anew, and the key as a credential of the service manager.

use std::path::Path;
use std::process::{Command, Output};
use std::time::Duration;

use kith_api::v1;
use kith_engine::{Configured, Decision};
use rand::RngExt;

use crate::harness::build::{self, nhs};
use crate::harness::process::{Server, program};
use crate::harness::site::{AUTHORITIES, Site, TRUSTS};
use crate::harness::wait::until_async;
use crate::harness::{calls, count, logs, offline, seeded};
use crate::{kills, load, metrics};

const LA: &str = AUTHORITIES[0];
const ED: &str = TRUSTS[0];
/// Children whom no load touches.
const FIRST: u32 = 300_000;
const CHILDREN: u32 = 1_500;
/// Of these, each so-manieth is asked about.
const ASKED: usize = 75;
/// What the log says when the state is being, and has been, sealed anew.
const BEGUN: &str = "sealing the state anew";
const ENDED: &str = "all of the state is sealed with this version of the data key";

fn kithd(dir: &Path, arguments: &[&str], environment: &[(&str, &str)]) -> Output {
    let mut command = Command::new(program("kithd"));
    command.current_dir(dir).args(arguments).args(["--config", "kithd.toml"]).env_remove("CREDENTIALS_DIRECTORY");
    command.envs(environment.iter().copied());
    command.output().unwrap()
}

fn done(site: &Site, arguments: &[&str]) -> String {
    let output = kithd(site.dir(), arguments, &[]);
    let said = String::from_utf8_lossy(&[output.stdout, output.stderr].concat()).into_owned();
    assert!(output.status.success(), "kithd {arguments:?}: {said}");
    said
}

fn refused(site: &Site, arguments: &[&str]) -> String {
    let output = kithd(site.dir(), arguments, &[]);
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), Some(1), "kithd {arguments:?}: {said}");
    said
}

async fn logged(log: &Path, words: &str) {
    let found = async || logs::lines(log).iter().any(|line| line.message.contains(words)).then_some(());
    until_async(words, found).await;
}

/// A plan of each child, and a visit of some.
async fn fill(server: &Server) {
    let plans = (FIRST..FIRST + CHILDREN).map(|n| build::plan(nhs(n), &format!("P{n}"))).collect();
    calls::accept(&server.client(LA).await, plans).await;
    let ed = server.client(ED).await;
    for n in (FIRST..FIRST + CHILDREN).step_by(ASKED) {
        calls::record(&ed, build::record(ED, nhs(n), &format!("E{n}"))).await.unwrap();
    }
}

type Told = (i32, Vec<v1::Plan>, i32, Vec<v1::Presentation>);

/// What is answered about these children, without what asking changes.
async fn answers(server: &Server) -> Vec<Told> {
    let ed = server.client(ED).await;
    let mut told = Vec::new();
    for n in (FIRST..FIRST + CHILDREN).step_by(ASKED) {
        let answer = calls::ask(&ed, build::lookup(ED, nhs(n))).await;
        let (plans, seen) = (answer.plans.unwrap(), answer.presentations.unwrap());
        assert_eq!((plans.outcome(), seen.outcome()), (v1::Outcome::Held, v1::Outcome::Held), "{n}");
        told.push((plans.outcome, plans.plans, seen.outcome, seen.at_this_organisation));
    }
    told
}

/// Changes of the keys that the audit holds.
fn changes(site: &Site) -> usize {
    let changed = |decision: &Decision| matches!(decision, Decision::ConfigChanged(Configured::Keys, _));
    offline::audit(site.dir()).values().filter(|entry| changed(&entry.decision)).count()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn rotated_under_load_and_killed_in_the_middle_every_answer_is_the_same() {
    let mut random = seeded("rotation");
    let rotations = count("KITH_TEST_KILLS", 5).clamp(1, 10);
    let settings = [("tls", "reload_interval_ms", "50"), ("metrics", "listen", "\"127.0.0.1:0\"")];
    let mut site = Site::with(&settings);
    let server = site.ready().await;
    fill(&server).await;
    let before = answers(&server).await;
    let head = site.path("disk/audit-tree/checkpoint");
    until_async("a signed head", async || head.exists().then_some(())).await;
    let kept = std::fs::read(&head).unwrap();
    tokio::task::block_in_place(|| server.stop());
    let mut lanes = load::lanes();
    for rotation in 0..rotations {
        let server = site.ready().await;
        assert!(answers(&server).await == before, "after {rotation} rotations");
        for lane in &mut lanes {
            lane.verify(&server).await;
            lane.verify_shown(&server).await;
        }
        let (log, middle) = (server.log().to_owned(), Duration::from_millis(random.random_range(0..900)));
        println!("rotation {rotation}, killed {middle:?} after it has begun");
        let rotating = async {
            tokio::task::block_in_place(|| done(&site, &["keys", "rotate"]));
            logged(&log, BEGUN).await;
            tokio::time::sleep(middle).await;
        };
        load::run(&mut lanes, server, rotating, Server::kill).await;
    }
    let server = site.ready().await;
    logged(server.log(), ENDED).await;
    assert!(answers(&server).await == before, "after all rotations");
    for lane in &mut lanes {
        lane.verify(&server).await;
        lane.verify_settled(&server, 5).await;
    }
    let page = metrics::page(metrics::address(&server));
    let series = ["kith_key_reseal_remaining", "kith_data_key_version"].map(|series| metrics::value(&page, series));
    assert_eq!(series, [0, u64::from(rotations) + 1]);
    let status = done(&site, &["keys", "status", "--uses"]);
    assert!(status.contains(&format!("all of it is sealed with version {}", rotations + 1)), "{status}");
    tokio::task::block_in_place(|| server.stop());
    offline::verify(site.dir());
    assert!(offline::report(site.dir(), &[kept]).is_sound(), "the head from before is not continued");
    done(&site, &["verify"]);
    kills::every_answer_is_audited(&lanes, &offline::audit(site.dir()));
    assert!(changes(&site) >= rotations as usize, "a rotation is not in the audit");
    let needed = refused(&site, &["keys", "forget", "1"]);
    assert!(needed.contains("entries of the audit") && !needed.contains("rows"), "{needed}");
    site.finish(&["the last run did not end in order"]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_version_that_nothing_needs_is_forgotten_and_no_other() {
    let mut site = Site::with(&[("tls", "reload_interval_ms", "50")]);
    let none = refused(&site, &["keys", "rotate"]);
    assert!(none.contains("keyring: "), "{none}");
    let server = site.ready().await;
    calls::accept(&server.client(LA).await, vec![build::plan(nhs(1), "P")]).await;
    tokio::task::block_in_place(|| server.stop());
    // The second seals nothing, for nothing runs.
    let (first, second) = (done(&site, &["keys", "rotate"]), done(&site, &["keys", "rotate"]));
    assert!(first.contains("version 2: made 20") && second.contains(", seals what is written now"), "{first}{second}");
    let early = refused(&site, &["keys", "forget", "2"]);
    assert!(early.contains("not yet sealed with version 3"), "{early}");
    let server = site.ready().await;
    logged(server.log(), ENDED).await;
    for (version, words) in
        [("1", "entries of the audit"), ("3", "seals what is written now"), ("9", "version 9 is not held")]
    {
        let said = refused(&site, &["keys", "forget", version]);
        assert!(said.contains(words), "{said}");
    }
    let forgotten = done(&site, &["keys", "forget", "2"]);
    assert!(forgotten.contains("version 2 is forgotten") && !forgotten.contains("version 2: "), "{forgotten}");
    logged(server.log(), "another keyring is in force").await;
    let ed = server.client(ED).await;
    let answer = calls::ask(&ed, build::lookup(ED, nhs(1))).await;
    assert_eq!(answer.plans.unwrap().outcome(), v1::Outcome::Held);
    tokio::task::block_in_place(|| server.stop());
    let server = site.ready().await;
    tokio::task::block_in_place(|| server.stop());
    offline::verify(site.dir());
    assert_eq!(changes(&site), 2, "rotated while nothing ran, forgotten while it ran");
    site.finish(&[]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn wrapped_by_another_key_it_goes_on_and_the_old_key_opens_nothing() {
    const STAYS: &str = "the keys in force stay as they were";
    let settings = [("tls", "reload_interval_ms", "50"), ("metrics", "listen", "\"127.0.0.1:0\"")];
    let mut site = Site::with(&settings);
    let server = site.ready().await;
    calls::accept(&server.client(LA).await, vec![build::plan(nhs(1), "P")]).await;
    site.run(&["new-key", "--out", "other.key"]);
    let said = done(&site, &["keys", "rewrap", "--new-key-file", "other.key"]);
    assert!(said.contains("put other.key in the place of the old key"), "{said}");
    // Its key file is still the old one: it says so, and goes on.
    logged(server.log(), STAYS).await;
    let at = metrics::address(&server);
    let failed = || metrics::value(&metrics::page(at), "kith_reload_failed{what=\"keys\"}");
    until_async("the alarm", async || (failed() == 1).then_some(())).await;
    let ed = server.client(ED).await;
    let held = async || calls::ask(&ed, build::lookup(ED, nhs(1))).await.plans.unwrap().outcome();
    assert_eq!(held().await, v1::Outcome::Held);
    std::fs::rename(site.path("storage.key"), site.path("old.key")).unwrap();
    std::fs::rename(site.path("other.key"), site.path("storage.key")).unwrap();
    until_async("the end of the alarm", async || (failed() == 0).then_some(())).await;
    assert_eq!(held().await, v1::Outcome::Held);
    drop(ed);
    tokio::task::block_in_place(|| server.stop());
    let server = site.ready().await;
    tokio::task::block_in_place(|| server.stop());
    offline::verify(site.dir());
    assert_eq!(changes(&site), 1);
    std::fs::rename(site.path("old.key"), site.path("storage.key")).unwrap();
    let server = site.start();
    assert_eq!(server.settled().await, (v1::Readiness::Failed, "KEY_UNUSABLE".to_owned()));
    tokio::task::block_in_place(|| server.stop());
    site.finish(&[STAYS, "giving no answers"]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_key_can_be_a_credential_of_the_service_manager() {
    let mut site = Site::new();
    let server = site.ready().await;
    tokio::task::block_in_place(|| server.stop());
    // As systemd lays it down for a service: in a directory that is the service's alone.
    std::fs::create_dir(site.path("credentials")).unwrap();
    std::fs::rename(site.path("storage.key"), site.path("credentials/kith.key")).unwrap();
    let directory = site.path("credentials").to_string_lossy().into_owned();
    let named = ("KITH__STORAGE__KEY_CREDENTIAL", "kith.key");
    let given = [named, ("CREDENTIALS_DIRECTORY", directory.as_str())];
    for arguments in [&["check-config"][..], &["verify"], &["keys", "status"], &["keys", "rotate"]] {
        let output = kithd(site.dir(), arguments, &given);
        assert!(output.status.success(), "{arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
    }
    let output = kithd(site.dir(), &["check-config"], &[named]);
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), Some(78), "{said}");
    assert!(said.contains("storage.key_credential: kith.key") && said.contains("CREDENTIALS_DIRECTORY"), "{said}");
    site.finish(&[]);
}
