//! The disk of the change log failing under the running server. A sync of the log that fails ends the process; while the disk hangs
//! or is slow nobody's answer waits for it, and it heals by itself; where it takes no writes changes are refused, and where it is stopped
//! under a sync the process ends. Whatever was acknowledged is there afterwards, and what was refused is not.

use std::path::PathBuf;
use std::time::{Duration, Instant};

use kith_api::client::{Client, ConnectOptions};
use kith_api::v1;
use kith_api::v1::Outcome;
use kith_api::v1::check_in_response::Recording;
use kith_api::v1::submit_events_response::Verdict;
use tonic::Code;

use crate::harness::build::{self, nhs};
use crate::harness::calls::{self, expect_trouble};
use crate::harness::inject::{Call, How, Injection, Which};
use crate::harness::mount::Mount;
use crate::harness::process::Server;
use crate::harness::site::{AUTHORITIES, Site, TRUSTS};
use crate::harness::wait::until_async;
use crate::harness::{logs, offline};

const A: &str = AUTHORITIES[0];
const ED: &str = TRUSTS[0];
const DATA: &str = "disk/data";
/// More than the log and its tables set aside.
const MEBIBYTES: u64 = 512;
/// With which the process ends when the change log has failed (EX_IOERR of sysexits.h).
const LOG_FAILED: i32 = 74;
const REFUSED: &str = "STORAGE_UNAVAILABLE";
/// Plans that are sent one by one, each of which is synced by itself.
const PLANS: std::ops::Range<u32> = 2..12;
/// Less than a check-in waits for its recording where its call leaves it more.
const HURRIED: Duration = Duration::from_secs(1);
/// More than a check-in waits for its recording, however much its call leaves it: so long does each sync of a slow disk take.
const SLOW_MS: u32 = 3_000;
/// So late does the sync begin under which the disk is stopped: enough to stop it meanwhile.
const UNDER_WAY_MS: u32 = 8_000;
/// Changes and check-ins on a disk that takes no writes: the first of them meets a write, each later one a new start of the database.
const REFUSALS: u32 = 4;

/// So long nothing is written to the log before its disk is stopped: counts of feeds and heads of the audit are written each second.
const STILL: Duration = Duration::from_secs(3);

/// What the server says of a log that fails or refuses, of what waits for it, and of the start after that. That a group could not be
/// prepared is not among it: what a refused write left closed is opened anew first, or refused as the log.
const EXPECTED: [&str; 5] = [
    "purge.enabled is false",
    "the change log failed",
    "the last run did not end in order",
    "the log takes no writes now",
    "access history waits",
];
/// What it says of a start on a disk that takes no writes.
const NOT_STARTED: [&str; 2] = ["giving no answers", "is in no audit"];

/// What its disk does.
#[derive(Debug, Clone, Copy)]
pub enum Row {
    /// This sync of the log fails and every other works: whoever tried again would hear that all is on disk.
    SyncFails(u32),
    /// Writes and syncs hang, until they go on.
    Hangs,
    /// Each sync of the log takes longer than a check-in waits.
    IsSlow,
    /// It has found itself damaged and takes no write any more.
    TakesNoWrites,
    /// The same, while a sync of the log is under way.
    StopsUnderASync,
}

impl Row {
    pub const SYNCS: [Self; 3] = [Self::SyncFails(1), Self::SyncFails(2), Self::SyncFails(3)];
    pub const DISKS: [Self; 4] = [Self::Hangs, Self::IsSlow, Self::TakesNoWrites, Self::StopsUnderASync];

    /// Strikes, mends and reads what is on disk; false where this machine does not let it.
    pub async fn drive(self) -> bool {
        let row = format!("the change log, {self:?}");
        match self {
            Self::SyncFails(first) => sync_fails(&row, first).await,
            Self::Hangs => hangs(&row).await,
            Self::IsSlow => is_slow(&row).await,
            Self::TakesNoWrites => takes_no_writes(&row).await,
            Self::StopsUnderASync => stops_under_a_sync(&row).await,
        }
    }
}

/// Files that the log is written to before anything else.
fn write_ahead_logs(site: &Site) -> Vec<PathBuf> {
    let found = std::fs::read_dir(site.path(DATA).join("db")).unwrap().map(|entry| entry.unwrap().path());
    found.filter(|path| path.extension().is_some_and(|end| end == "log")).collect()
}

/// How many bytes they hold.
fn written(logs: &[PathBuf]) -> u64 {
    logs.iter().map(|log| std::fs::metadata(log).unwrap().len()).sum()
}

/// Whether a plan that is sent is acknowledged.
async fn is_acknowledged(la: &Client, plan: &v1::PlanEvent) -> bool {
    let verdicts = calls::submit(la, vec![build::event(plan.clone())]).await;
    verdicts.is_ok_and(|verdicts| matches!(verdicts.as_slice(), [Verdict::Acknowledgement(_)]))
}

/// Sent again, each is known: it was not lost.
async fn stand(row: &str, la: &Client, plans: Vec<v1::PlanEvent>) {
    let sent = calls::accept(la, plans).await;
    assert!(sent.iter().all(|acknowledgement| acknowledgement.repeated), "{row}: what was acknowledged is lost");
}

/// The answer is whole, and says that the presentation is not recorded.
fn answered_and_not_recorded(row: &str, response: v1::CheckInResponse) {
    assert_eq!(response.answer.unwrap().plans.unwrap().outcome(), Outcome::Held, "{row}");
    let Some(Recording::NotRecorded(why)) = response.recording else { panic!("{row}: recorded on such a disk") };
    assert_eq!(why.reason, REFUSED, "{row}");
    assert!(why.words.contains("NOT recorded"), "{row}: {}", why.words);
}

/// Sends a check-in again until it is recorded.
async fn until_recorded(ed: &Client, check_in: &v1::CheckInRequest) {
    let again = async || match calls::check_in(ed, check_in.clone()).await.unwrap().recording? {
        Recording::Recorded(_) => Some(()),
        Recording::NotRecorded(_) => None,
    };
    until_async("it is recorded once the disk goes on", again).await;
}

/// Waits until nobody writes to the log: a sync that is under way when the disk is stopped fails, which ends the process, and the first
/// write after this is the test's own.
async fn until_still(server: &Server) {
    let ops = server.client("ops").await;
    let (mut last, mut since) = (None, Instant::now());
    until_async("nothing is written to the log any more", async || {
        let status = ops.status().get_status(ops.request(v1::GetStatusRequest::default())).await.unwrap().into_inner();
        let at = status.positions.unwrap().log_sequence;
        if last != Some(at) {
            (last, since) = (Some(at), Instant::now());
        }
        (since.elapsed() >= STILL).then_some(())
    })
    .await;
}

async fn sync_fails(row: &str, first: u32) -> bool {
    let mut site = site_without_purge();
    let server = site.ready().await;
    let la = server.client(A).await;
    let before = build::plan(nhs(1), "P1");
    calls::accept(&la, vec![before.clone()]).await;
    let struck = (How::Fails, Which::These { first, times: 1 });
    let Some(injection) = Injection::attach(row, &server, Call::Sync, struck, &write_ahead_logs(&site)) else {
        tokio::task::block_in_place(|| server.kill());
        site.finish(&EXPECTED);
        return false;
    };
    let (mut acknowledged, mut others) = (vec![before], Vec::new());
    for child in PLANS {
        let plan = build::plan(nhs(child), &format!("P{child}"));
        if is_acknowledged(&la, &plan).await {
            assert!(others.is_empty(), "{row}: acknowledged after a failed sync");
            acknowledged.push(plan);
        } else {
            others.push(plan);
        }
    }
    assert!(!others.is_empty(), "{row}: no sync of the log was met");
    assert_eq!(tokio::task::block_in_place(|| server.exit_code()), Some(LOG_FAILED), "{row}");
    assert_eq!(injection.met(), 1, "{row}: one sync failed");
    let said = logs::lines(&site.logs()[0]);
    assert!(said.iter().any(|line| line.message.contains("the change log failed")), "{row}: nothing says why it ended");

    let server = site.ready().await;
    let la = server.client(A).await;
    stand(row, &la, acknowledged).await;
    // Of these one may have come through: sent again, each is taken or was.
    calls::accept(&la, others).await;
    tokio::task::block_in_place(|| server.stop());
    offline::verify(site.dir());
    site.finish(&EXPECTED);
    true
}

/// Without a purge: its first trim would begin another file of the log beside those that are struck.
fn site_without_purge() -> Site {
    Site::with(&[("purge", "enabled", "false")])
}

/// A site with its data on a disk of its own.
fn on_a_disk(row: &str) -> (Site, Option<Mount>) {
    let site = site_without_purge();
    let disk = Mount::disk(row, &site.path("data.img"), &site.path(DATA), MEBIBYTES);
    (site, disk)
}

/// Somebody who waits less long than a disk may hang.
async fn hurried(server: &Server) -> Client {
    Client::connect(ConnectOptions { request_timeout: HURRIED, ..server.options(ED) }).await.unwrap()
}

async fn hangs(row: &str) -> bool {
    let (mut site, disk) = on_a_disk(row);
    let Some(disk) = disk else {
        site.finish(&EXPECTED);
        return false;
    };
    let server = site.ready().await;
    let (la, ed, hurried) = (server.client(A).await, server.client(ED).await, hurried(&server).await);
    let plan = build::plan(nhs(1), "P1");
    calls::accept(&la, vec![plan.clone()]).await;
    let frozen = disk.freeze();
    // One that a busy machine does not answer in time is sent again.
    let check_in = build::check_in(ED, nhs(1), "e1");
    let sent = async || calls::check_in(&hurried, check_in.clone()).await.ok();
    let response = until_async("a check-in is answered before its deadline while the log's disk hangs", sent).await;
    answered_and_not_recorded(row, response);
    let presented = build::record(ED, nhs(2), "e2");
    let unconfirmed = calls::record(&hurried, presented.clone()).await;
    assert!(unconfirmed.is_err(), "{row}: acknowledged by a disk that hangs");
    let answer = calls::ask(&ed, build::lookup(ED, nhs(1))).await;
    assert_eq!(answer.plans.unwrap().outcome(), Outcome::Held, "{row}: who only asks notices nothing");

    drop(frozen);
    until_recorded(&ed, &check_in).await;
    calls::record(&ed, presented).await.unwrap();
    stand(row, &la, vec![plan]).await;
    tokio::task::block_in_place(|| server.stop());
    offline::verify(site.dir());
    drop(disk);
    site.finish(&EXPECTED);
    true
}

async fn is_slow(row: &str) -> bool {
    let mut site = site_without_purge();
    let server = site.ready().await;
    let (la, ed) = (server.client(A).await, server.client(ED).await);
    let (plan, late) = (build::plan(nhs(1), "P1"), build::plan(nhs(2), "P2"));
    calls::accept(&la, vec![plan.clone()]).await;
    let struck = (How::Waits(SLOW_MS), Which::From(1));
    let Some(injection) = Injection::attach(row, &server, Call::Sync, struck, &write_ahead_logs(&site)) else {
        tokio::task::block_in_place(|| server.kill());
        site.finish(&EXPECTED);
        return false;
    };
    let check_in = build::check_in(ED, nhs(1), "e1");
    answered_and_not_recorded(row, calls::check_in(&ed, check_in.clone()).await.unwrap());
    assert!(is_acknowledged(&la, &late).await, "{row}: a change waits for its sync");
    assert!(injection.met() > 0, "{row}: no sync of the log was met");
    tokio::task::block_in_place(|| injection.detach());
    until_recorded(&ed, &check_in).await;
    stand(row, &la, vec![plan, late]).await;
    tokio::task::block_in_place(|| server.stop());
    offline::verify(site.dir());
    site.finish(&EXPECTED);
    true
}

async fn takes_no_writes(row: &str) -> bool {
    let (mut site, disk) = on_a_disk(row);
    let Some(mut disk) = disk else {
        site.finish(&EXPECTED);
        return false;
    };
    let mut server = site.ready().await;
    let (la, ed) = (server.client(A).await, server.client(ED).await);
    let (plan, presented) = (build::plan(nhs(1), "P1"), build::record(ED, nhs(1), "e1"));
    calls::accept(&la, vec![plan.clone()]).await;
    calls::record(&ed, presented.clone()).await.unwrap();
    until_still(&server).await;
    disk.abort();
    let mut refused = Vec::new();
    for number in 0..REFUSALS {
        let sent = build::plan(nhs(100 + number), &format!("R{number}"));
        assert_eq!(calls::refused(&la, sent.clone()).await.reason, REFUSED, "{row}");
        refused.push(sent);
        let check_in = build::check_in(ED, nhs(1), &format!("r{number}"));
        answered_and_not_recorded(row, calls::check_in(&ed, check_in).await.unwrap());
    }
    assert!(server.is_running(), "{row}: the process ended");

    // A disk that was damaged is mounted anew, which nobody can do under a process that has files of it open.
    tokio::task::block_in_place(|| {
        server.kill();
        disk.unmount();
        disk.mount().unwrap();
    });
    let server = site.ready().await;
    let (la, ed) = (server.client(A).await, server.client(ED).await);
    stand(row, &la, vec![plan]).await;
    assert!(calls::record(&ed, presented).await.unwrap().repeated, "{row}: what was acknowledged is lost");
    let taken = calls::accept(&la, refused).await;
    assert!(taken.iter().all(|one| !one.repeated), "{row}: what was refused came through");
    tokio::task::block_in_place(|| server.stop());
    offline::verify(site.dir());
    drop(disk);
    site.finish(&EXPECTED);
    true
}

/// What was written may be on disk or not, and the sync that would say so fails.
async fn stops_under_a_sync(row: &str) -> bool {
    let (mut site, disk) = on_a_disk(row);
    let Some(mut disk) = disk else {
        site.finish(&EXPECTED);
        return false;
    };
    let server = site.ready().await;
    let la = server.client(A).await;
    let (plan, late) = (build::plan(nhs(1), "P1"), build::plan(nhs(2), "P2"));
    calls::accept(&la, vec![plan.clone()]).await;
    until_still(&server).await;
    let files = write_ahead_logs(&site);
    // Each of them: a write of the server's own that comes first must not take the place of the test's.
    let struck = (How::Waits(UNDER_WAY_MS), Which::From(1));
    let Some(injection) = Injection::attach(row, &server, Call::Sync, struck, &files) else {
        tokio::task::block_in_place(|| server.kill());
        drop(disk);
        site.finish(&EXPECTED);
        return false;
    };
    let (before, sent) = (written(&files), late.clone());
    let sending = tokio::spawn(async move { is_acknowledged(&la, &sent).await });
    until_async("a sync of the log is to come", async || (written(&files) > before).then_some(())).await;
    disk.abort();
    // First the end of the process, for which there is a limit: it ends the stream too.
    assert_eq!(tokio::task::block_in_place(|| server.exit_code()), Some(LOG_FAILED), "{row}");
    assert!(!sending.await.unwrap(), "{row}: acknowledged by a disk that was stopped");
    assert!(injection.met() > 0, "{row}: no sync of the log was under way");

    let server = site.start();
    assert_eq!(server.settled().await.0, v1::Readiness::Failed, "{row}: ready on a disk that takes no writes");
    let answer = calls::try_ask(&server.client(ED).await, build::lookup(ED, nhs(1))).await;
    expect_trouble(answer, Code::Unavailable, "STORE_UNAVAILABLE", &[]);
    tokio::task::block_in_place(|| {
        server.stop();
        disk.unmount();
        disk.mount().unwrap();
    });
    let server = site.ready().await;
    let la = server.client(A).await;
    stand(row, &la, vec![plan]).await;
    // It may have come through: sent again, it is taken or was.
    calls::accept(&la, vec![late]).await;
    tokio::task::block_in_place(|| server.stop());
    offline::verify(site.dir());
    drop(disk);
    site.finish(&[EXPECTED.as_slice(), &NOT_STARTED].concat());
    true
}
