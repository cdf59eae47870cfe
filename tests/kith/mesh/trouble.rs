//! MESH or the service in trouble: nothing is acknowledged that is not imported, nothing is imported twice to another end,
//! and it heals by itself.

use std::os::unix::fs::PermissionsExt;
use std::process::{Child, Command};

use kith_api::v1;
use serde_json::{Value as Json, json};

use super::{code, is_held, next_number};
use crate::files::{file, row};
use crate::harness::mesh::{MAILBOXES, Mesh, PASSWORD, Ran, secret};
use crate::harness::site::{AUTHORITIES, Site};
use crate::harness::wait::until;

const A: &str = AUTHORITIES[0];
const BOTH: [&str; 2] = MAILBOXES;

fn pass(mesh: &mut Mesh) -> Ran {
    tokio::task::block_in_place(|| mesh.pass())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn mesh_failing_at_any_step_loses_and_doubles_nothing() {
    let mut site = Site::new();
    let Some(mut mesh) = Mesh::start("MESH in trouble", &site) else { return site.finish(&[]) };
    let server = site.ready().await;
    mesh.configure(&server, &[("request_timeout_seconds", "2")]);
    let steps = ["POST ", "GET /inbox", "HEAD /inbox/", "GET /inbox/", "POST /outbox", "PUT /inbox/"];
    let hows: [Json; 4] = [json!(503), json!(500), json!(417), json!("hang")];
    let mut number = 0;
    for step in steps {
        for how in &hows {
            number += 1;
            let id = mesh.send(BOTH[0], &file(number, "changes", [row(u32::try_from(number).unwrap())]));
            mesh.fail(step, how.clone());
            let ran = pass(&mut mesh);
            assert_eq!(ran.code, Some(20), "{step} {how}: {}", ran.said);
            assert!(ran.said.contains("kith mesh: WARNING: ") && !ran.said.contains("html"), "{}", ran.said);
            assert_eq!(mesh.inbox(), [id], "{step} {how}: acknowledged");
            // The inbox is not failed for the council, whose answers are read after the adapter has healed.
            mesh.heal();
            let ran = pass(&mut mesh);
            assert_eq!(ran.code, Some(0), "{step} {how}: {}", ran.said);
            assert!(mesh.inbox().is_empty());
            assert_eq!(mesh.read(BOTH[0]).len(), 1, "{step} {how}");
        }
    }
    assert_eq!(next_number(&server, A).await, number + 1);
    mesh.finish();
    tokio::task::block_in_place(|| server.stop());
    site.finish(&[]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_councils_trouble_keeps_its_own_files_in_order_and_no_other_council_waiting() {
    let mut site = Site::new();
    let Some(mut mesh) = Mesh::start("one council in trouble", &site) else { return site.finish(&[]) };
    let server = site.ready().await;
    mesh.configure(&server, &[]);
    let first = mesh.send(BOTH[0], &file(1, "changes", [row(1)]));
    mesh.send(BOTH[0], &file(2, "changes", [row(2)]));
    mesh.send(BOTH[1], &file(1, "changes", [row(11)]));
    mesh.fail(&format!("GET /inbox/{first}"), json!(500));
    let ran = pass(&mut mesh);
    assert!(
        ran.code == Some(20) && ran.said.contains("1 answered (CPF02 1)") && ran.said.contains("2 left"),
        "{ran:?}"
    );
    assert_eq!((next_number(&server, A).await, mesh.read(BOTH[1]).len()), (1, 1));
    // One whose sender cannot be told may be of any council: what came after it waits for a while, and not for ever.
    mesh.fail(&format!("HEAD /inbox/{first}"), json!(500));
    mesh.send(BOTH[1], &file(2, "changes", [row(12)]));
    let child = mesh.adapter(&[]);
    until("the other council is answered", || (mesh.read(BOTH[1]).len() == 1).then_some(()));
    mesh.heal();
    until("all is answered", || mesh.inbox().is_empty().then_some(()));
    end(child);
    let answers = mesh.read(BOTH[0]);
    let codes: Vec<&str> = answers.iter().map(code).collect();
    println!("{}", mesh.said());
    assert_eq!(codes.len(), 2, "{codes:?}");
    mesh.finish();
    tokio::task::block_in_place(|| server.stop());
    site.finish(&[]);
}

/// SIGTERM, and a good end.
fn end(mut child: Child) {
    assert!(Command::new("kill").args(["-TERM", &child.id().to_string()]).status().unwrap().success());
    let status = until("the adapter ends", || child.try_wait().unwrap());
    assert_eq!(status.code(), Some(0));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn it_polls_backs_off_and_heals_by_itself_and_only_one_runs() {
    let mut site = Site::new();
    let Some(mut mesh) = Mesh::start("healing", &site) else { return site.finish(&[]) };
    let server = site.ready().await;
    mesh.configure(&server, &[]);
    mesh.fail("/inbox", json!(503));
    let child = mesh.adapter(&["--output", "json"]);
    until("it has failed twice", || (mesh.said().matches("MESH said 503").count() >= 2).then_some(()));
    let second = pass(&mut mesh);
    assert!(second.code == Some(22) && second.said.contains("another adapter uses the state folder"), "{second:?}");
    mesh.heal();
    mesh.send(BOTH[0], &file(1, "changes", [row(1)]));
    until("it is answered", || (!mesh.read(BOTH[0]).is_empty()).then_some(()));
    until("it is acknowledged", || mesh.inbox().is_empty().then_some(()));
    mesh.send(BOTH[0], &file(2, "changes", [row(2)]));
    until("the next is answered", || (!mesh.read(BOTH[0]).is_empty()).then_some(()));
    until("the next is counted", || (mesh.said().matches("\"answered\":{\"CPF02\":1}").count() == 2).then_some(()));
    end(child);
    mesh.finish();
    tokio::task::block_in_place(|| server.stop());
    site.finish(&[]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn without_the_service_nothing_is_acknowledged() {
    let mut site = Site::new();
    let Some(mut mesh) = Mesh::start("no service", &site) else { return site.finish(&[]) };
    let server = site.ready().await;
    mesh.configure(&server, &[]);
    tokio::task::block_in_place(|| server.stop());
    let ids = [mesh.send(BOTH[0], &file(1, "changes", [row(1)])), mesh.send(BOTH[1], &file(1, "changes", [row(11)]))];
    let stays = |mesh: &mut Mesh, words: &str| {
        let ran = pass(mesh);
        assert!(ran.code == Some(20) && ran.said.contains(words) && ran.said.contains("2 left"), "{words}: {ran:?}");
        assert_eq!(mesh.inbox(), ids);
        assert!(BOTH.iter().all(|council| mesh.read(council).is_empty()), "{words}: answered");
    };
    stays(&mut mesh, "failed to reach the service");
    // More free space than any disk of a test has.
    site.configure(&[("storage", "reserve_bytes", "1099511627776")]);
    let server = site.ready().await;
    mesh.configure(&server, &[]);
    stays(&mut mesh, "not stored (CPF05, STORAGE_UNAVAILABLE)");
    tokio::task::block_in_place(|| server.stop());
    site.configure(&[]);
    let key = site.path("storage.key");
    let bytes = std::fs::read(&key).unwrap();
    std::fs::remove_file(&key).unwrap();
    // The start waits for whoever writes to this pipe: it loads for as long as the test likes.
    assert!(Command::new("mkfifo").arg(&key).status().unwrap().success());
    std::fs::set_permissions(&key, std::fs::Permissions::from_mode(0o600)).unwrap();
    let server = site.start();
    mesh.configure(&server, &[]);
    stays(&mut mesh, "LOADING");
    // Opened for writing and closed again: the start goes on, with a pipe for a key file.
    tokio::task::block_in_place(|| drop(std::fs::File::options().write(true).open(&key).unwrap()));
    assert_eq!(server.settled().await, (v1::Readiness::Failed, "KEY_UNUSABLE".to_owned()));
    stays(&mut mesh, "KEY_UNUSABLE");
    tokio::task::block_in_place(|| server.stop());
    std::fs::remove_file(&key).unwrap();
    std::fs::write(&key, bytes).unwrap();
    std::fs::set_permissions(&key, std::fs::Permissions::from_mode(0o600)).unwrap();
    let server = site.ready().await;
    mesh.configure(&server, &[]);
    let ran = pass(&mut mesh);
    assert_eq!(ran.code, Some(0), "{}", ran.said);
    assert!(mesh.inbox().is_empty());
    assert!(BOTH.iter().all(|council| mesh.read(council).len() == 1));
    assert!(is_held(&server, 1, A).await && is_held(&server, 11, AUTHORITIES[1]).await);
    mesh.finish();
    tokio::task::block_in_place(|| server.stop());
    site.finish(&["the log takes no writes now", "giving no answers"]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn it_trusts_no_other_mesh_and_mesh_trusts_no_other_password() {
    let mut site = Site::new();
    let Some(mut mesh) = Mesh::start("trust", &site) else { return site.finish(&[]) };
    let server = site.ready().await;
    let id = mesh.send(BOTH[0], &file(1, "changes", [row(1)]));
    mesh.configure(&server, &[("ca", "\"certs/ca.pem\"")]);
    let ran = pass(&mut mesh);
    assert!(ran.code == Some(20) && ran.said.contains("failed to reach MESH: "), "{ran:?}");
    assert_eq!(mesh.seen(), Vec::<String>::new(), "not even its mailbox is told to a server that is not known");
    mesh.configure(&server, &[("cert", "\"certs/ops.pem\""), ("key", "\"certs/ops.key\"")]);
    let ran = pass(&mut mesh);
    assert!(ran.code == Some(20) && mesh.seen().is_empty(), "{ran:?}");
    secret(&site.path("password"), "another\n");
    mesh.configure(&server, &[]);
    let ran = pass(&mut mesh);
    assert!(ran.code == Some(21) && ran.said.contains("MESH REFUSED the mailbox"), "{ran:?}");
    // A certificate of another authority than the mailbox speaks for.
    let text = std::fs::read_to_string(site.path("mesh.toml")).unwrap();
    let swapped = text.replacen(&format!("certs/{A}."), &format!("certs/{}.", AUTHORITIES[2]), 2);
    std::fs::write(site.path("mesh.toml"), swapped).unwrap();
    let ran = pass(&mut mesh);
    assert!(ran.code == Some(22) && ran.said.contains(&format!("expected {A} with role")), "{ran:?}");
    assert_eq!(mesh.inbox(), [id]);
    secret(&site.path("password"), PASSWORD);
    mesh.configure(&server, &[]);
    assert_eq!(pass(&mut mesh).code, Some(0));
    mesh.finish();
    tokio::task::block_in_place(|| server.stop());
    site.finish(&[]);
}
