//! Power cuts: everything on one file system that loses what was not synced. Nothing acknowledged is lost, the server
//! answers again, and the range of the audit that may be missing is announced.

use std::collections::BTreeMap;
use std::time::Duration;

use kith_api::v1;
use kith_engine::AuditEntry;
use rand::RngExt;

use crate::harness::build;
use crate::harness::mount::Mount;
use crate::harness::process::Server;
use crate::harness::site::{AUTHORITIES, Site};
use crate::harness::wait::until_async;
use crate::harness::{count, offline, seeded};
use crate::kills::every_answer_is_audited;
use crate::load;

const LIFE_MS: std::ops::Range<u64> = 100..1_200;
const DISK_MEBIBYTES: u64 = 512;
const SAMPLE: usize = 5;
/// What the server says of a disk that is gone, and of the start after it.
const EXPECTED: [&str; 12] = [
    "the last run did not end in order",
    "takes no writes now",
    "the change log failed",
    "audit",
    "the log",
    "access history waits",
    "could not be",
    "cannot be",
    "failed",
    "sink",
    "segment",
    "ends",
];

/// In strict mode an answer leaves after its entry is on disk, so after a cut every one is there; in bounded mode the
/// unsynced window may be missing, and is announced.
async fn cut(mode: &str) {
    let test = format!("power cuts, audit {mode}");
    let mut random = seeded(&test);
    let cuts = count("KITH_TEST_CUTS", 5);
    let mode_value = format!("\"{mode}\"");
    let mut site = Site::with(&[("audit", "mode", &mode_value)]);
    let Some(mut disk) = Mount::ext4(&test, site.dir(), DISK_MEBIBYTES) else {
        site.finish(&[]);
        return;
    };
    let mut lanes = load::lanes();
    let mut gaps = 0;
    for cut in 0..cuts {
        let server = site.ready().await;
        gaps = gaps_announced(&server, gaps, cut > 0).await;
        for lane in &mut lanes {
            lane.verify(&server).await;
            lane.verify_shown(&server).await;
        }
        let life = Duration::from_millis(random.random_range(LIFE_MS));
        let flush = random.random_bool(0.3);
        println!("cut {cut} after {life:?}, file system's journal flushed: {flush}");
        load::run(&mut lanes, server, tokio::time::sleep(life), |server| {
            server.freeze();
            disk.cut(flush);
            server.kill();
        })
        .await;
        disk.unmount();
        disk.mount().unwrap();
    }
    let server = site.ready().await;
    gaps_announced(&server, gaps, cuts > 0).await;
    for lane in &mut lanes {
        lane.verify(&server).await;
        lane.verify_settled(&server, SAMPLE).await;
    }
    tokio::task::block_in_place(|| server.stop());
    offline::verify(site.dir());
    let audit: BTreeMap<u64, AuditEntry> = offline::audit(site.dir());
    if mode == "strict" {
        every_answer_is_audited(&lanes, &audit);
    }
    disk.unmount();
    site.finish(&EXPECTED);
}

/// Every authority hears of the gap; gives how many there are now.
async fn gaps_announced(server: &Server, before: usize, expected: bool) -> usize {
    let mut found = before;
    for code in AUTHORITIES {
        let client = server.client(code).await;
        found = until_async("the authority is told that audit entries may be missing", async || {
            let request =
                client.request(v1::ListRequest { caller: Some(build::caller(code)), ..v1::ListRequest::default() });
            let response = client.notifications().list(request).await.unwrap().into_inner();
            (!expected || response.gaps.len() > before).then_some(response.gaps.len())
        })
        .await;
    }
    found
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn after_power_cuts_nothing_acknowledged_is_lost() {
    cut("bounded").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn after_power_cuts_in_strict_mode_every_answer_is_audited() {
    cut("strict").await;
}
