//! The same of what councils send through a mailbox: beside its adapter, which may be killed at any moment, nothing of it stands in the
//! clear, whatever became of it.

use serde_json::json;

use super::{CHILDREN, REFERENCE, canaries, search};
use crate::files::file;
use crate::harness::build::nhs;
use crate::harness::mesh::{MAILBOXES, Mesh, STRANGER};
use crate::harness::site::Site;

/// A request of the adapter by which it answers: what it has noted until then is on disk.
const ANSWER: u32 = 5;

/// Plans of the children; `start` may be no day.
fn rows(start: &str) -> Vec<String> {
    let row = |index| format!("{},2018-03-04,cpp,{start},,{REFERENCE}-{index},,\n", nhs(index).digits());
    CHILDREN.map(row).collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_a_mailbox_brings_stands_nowhere_in_the_clear() {
    let mut site = Site::with(&[("log", "level", "\"trace\"")]);
    let Some(mut mesh) = Mesh::start("canary of a mailbox", &site) else { return site.finish(&[]) };
    let server = site.ready().await;
    mesh.configure(&server, &[]);
    let canaries = canaries("header.claims-of-a-mailbox.signature-of-a-mailbox");
    let (from, number) = (MAILBOXES[0], nhs(CHILDREN.start).digits());
    tokio::task::block_in_place(|| {
        mesh.send(from, &file(1, "changes", rows("2026-01-10")));
        assert_eq!(mesh.pass_killed(ANSWER, json!("before")).code, None, "it was not killed");
        let (found, noted) = search(&site.path("notes"), &canaries);
        assert!(found.is_empty() && noted > 0, "{noted} bytes of notes: {found:?}");
        let ran = mesh.pass();
        assert_eq!(ran.code, Some(0), "{}", ran.said);
        // What is refused: by its rows, as no file at all, and from somebody who is not listed.
        mesh.send(from, &file(2, "changes", rows(&number)));
        mesh.send(from, format!("{number},{REFERENCE}\n").as_bytes());
        mesh.send(STRANGER, &file(1, "changes", rows("2026-01-10")));
        assert!(mesh.pass().code.is_some(), "it did not end");
        assert_eq!(mesh.read(from).len(), 3, "each has an answer");
        server.stop();
    });
    mesh.without_theirs();
    let (found, searched) = search(site.dir(), &canaries);
    assert_eq!(found, Vec::<String>::new());
    println!("TOLD {searched} bytes of disk and logs searched beside a mailbox");
    println!("COUNTED canary {}", mesh.sent());
    mesh.finish();
    site.finish(&[]);
}
