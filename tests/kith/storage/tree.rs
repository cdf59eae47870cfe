//! The disk of the audit's tree hangs. Whoever asks notices nothing of it, every answer has its entry, and that nothing is
//! signed shows until the disk comes back.

use crate::harness::build::{self, nhs};
use crate::harness::mount::Mount;
use crate::harness::process::Server;
use crate::harness::site::{Site, TRUSTS};
use crate::harness::wait::until;
use crate::harness::{calls, offline};
use crate::metrics;

const ED: &str = TRUSTS[0];
const TREE: &str = "disk/audit-tree";
const MEBIBYTES: u64 = 24;
const FAILING: &str = "kith_audit_tree_failing";

async fn ask(server: &Server, children: std::ops::Range<u32>) {
    let ed = server.client(ED).await;
    for child in children {
        calls::ask(&ed, build::lookup(ED, nhs(child))).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_tree_whose_disk_hangs_keeps_nobody_from_an_answer_and_shows() {
    let mut site = Site::with(&[("metrics", "listen", "\"127.0.0.1:0\"")]);
    let Some(disk) = Mount::disk("a hung tree", &site.path("tree.img"), &site.path(TREE), MEBIBYTES) else {
        return site.finish(&[]);
    };
    let server = site.ready().await;
    let at = metrics::address(&server);
    let failing = || metrics::value(&metrics::page(at), FAILING);
    ask(&server, 0..5).await;
    until("a signed head", || site.path(TREE).join("checkpoint").exists().then_some(()));
    assert_eq!(failing(), 0);
    let frozen = disk.freeze();
    ask(&server, 5..25).await;
    tokio::task::block_in_place(|| until("that the tree does not grow shows", || (failing() == 1).then_some(())));
    ask(&server, 25..45).await;
    drop(frozen);
    let signed = || {
        let page = metrics::page(at);
        let age = metrics::value(&page, "kith_audit_checkpoint_age_seconds");
        (metrics::value(&page, FAILING) == 0 && age == 0).then_some(())
    };
    tokio::task::block_in_place(|| until("everything is signed again", signed));
    tokio::task::block_in_place(|| server.stop());
    offline::verify(site.dir());
    drop(disk);
    site.finish(&[]);
}
