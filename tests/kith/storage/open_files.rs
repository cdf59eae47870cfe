//! Not one more file or connection can be opened. Who is connected is answered for as long as there are files of the audit that were
//! made ahead, and then refused: no answer leaves without its entry. Nobody comes in meanwhile, and it heals by itself.

use std::net::TcpStream;
use std::process::Command;

use super::EXPECTED;
use super::asking::Asking;
use super::row::MORE;
use crate::harness::process::Server;
use crate::harness::site::{Site, TRUSTS};
use crate::harness::wait::until;

const ED: &str = TRUSTS[0];
/// Below the number of every file that is open but the standard ones.
const NONE_MORE: &str = "3";
/// Questions that fill the files which both sinks made ahead many times over.
const MOST: usize = 20_000;
/// What else cannot be opened, and is tried again; and the setting of this test.
const ALSO: [&str; 8] = [
    "purge.enabled is false",
    "failed to accept a connection",
    "refused a connection",
    "stays in force",
    "stay as they were",
    "the newest checkpoint of the audit",
    "the audit journal cannot be read",
    "a flag could not be written into the audit",
];

/// Sets how many files the running process may have open (`ulimit -n`).
fn limit(server: &Server, most: &str) -> Result<(), String> {
    let mut command = Command::new("prlimit");
    command.arg("--pid").arg(server.process_id().to_string()).arg(format!("--nofile={most}:"));
    let output = command.output().map_err(|error| format!("prlimit: {error}"))?;
    output.status.success().then_some(()).ok_or_else(|| String::from_utf8_lossy(&output.stderr).into_owned())
}

/// How many it may have open at most.
fn allowed(server: &Server) -> String {
    let limits = std::fs::read_to_string(format!("/proc/{}/limits", server.process_id())).unwrap();
    let line = limits.lines().find(|line| line.starts_with("Max open files")).unwrap();
    line.split_whitespace().nth(4).unwrap().to_owned()
}

/// Takes every number, asks, and gives them back; false where this machine does not let it.
pub async fn drive() -> bool {
    let row = "no file can be opened";
    // Without a purge: its first trim would have RocksDB open new files, which ends the process as a failed sync does.
    let settings =
        [("audit", "segment_bytes", "131072"), ("tls", "reload_interval_ms", "25000"), ("purge", "enabled", "false")];
    let mut site = Site::with(&settings);
    let server = site.ready().await;
    let connected = server.client(ED).await;
    let mut asking = Asking::new(row.to_owned(), &server);
    asking.until_answered("before").await;
    let before = allowed(&server);
    if let Err(why) = limit(&server, NONE_MORE) {
        println!("SKIPPED, NOT PASSED: {row}: {why}");
        tokio::task::block_in_place(|| server.kill());
        site.finish(&ALSO);
        return false;
    }
    for _ in 0..MORE {
        asking.ask_over(&connected).await.unwrap();
    }
    let comes = TcpStream::connect(server.options(ED).server).unwrap();
    tokio::task::block_in_place(|| {
        until("nobody is let in", || server.has_logged("failed to accept a connection").then_some(()));
    });
    let mut asked = 0;
    while asking.ask_over(&connected).await.is_ok() {
        asked += 1;
        assert!(asked < MOST, "{row}: answers leave although no file of the audit can be begun");
    }
    drop(comes);

    limit(&server, &before).unwrap();
    asking.until_answered("once files can be opened again").await;
    asking.until_sink("primary").await;
    let asked = asking.asked();
    tokio::task::block_in_place(|| server.stop());
    asked.every_answer_has_its_entry(site.dir());
    asked.every_refusal_is_told(site.dir());
    site.finish(&[EXPECTED.as_slice(), &ALSO].concat());
    true
}
