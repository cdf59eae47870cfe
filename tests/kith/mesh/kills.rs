//! The adapter killed before and after every request that it makes to MESH, and at random moments of an import; and the
//! server killed under it. Every plan is then held as the files say, every council has its answer, and no two answers to one
//! message differ.

use std::time::Duration;

use rand::RngExt;
use serde_json::json;

use super::{faulty, next_number, values};
use crate::files::{file, held, row, send};
use crate::harness::build::{self, nhs};
use crate::harness::mesh::{MAILBOXES, Mesh};
use crate::harness::site::{AUTHORITIES, Site};
use crate::harness::wait::until;
use crate::harness::{count, offline, seeded};

/// What a pass with one message asks of MESH.
const STEPS: [&str; 6] = ["POST ", "GET /inbox", "HEAD /inbox/", "GET /inbox/", "POST /outbox", "PUT /inbox/"];
/// The answer leaves here.
const ANSWER: u32 = 5;
const A: &str = AUTHORITIES[0];

/// Adds a plan, ends another, and has a row that cannot be loaded.
fn some_rows(n: u32) -> Vec<String> {
    let ended = format!("{},2018-03-04,cpp,2026-01-10,2026-11-01,P{},,\n", nhs(n).digits(), n.saturating_sub(1));
    vec![row(n), ended, faulty(n + 1000)]
}

/// Kills at one step, then lets a pass end; gives how many answers came, which are all alike.
fn killed(mesh: &mut Mesh, at: u32, when: &str, bytes: &[u8]) -> usize {
    let id = mesh.send(MAILBOXES[0], bytes);
    let ran = mesh.pass_killed(at, json!(when));
    assert_eq!(ran.code, None, "{when} request {at}: it was not killed: {}", ran.said);
    let seen = mesh.seen();
    assert!(seen.last().unwrap().starts_with(STEPS[at as usize - 1]), "{at}: {seen:?}");
    let done = at == 6 && when == "after";
    assert_eq!(mesh.inbox().is_empty(), done, "{when} request {at}: acknowledged too early");
    let ran = mesh.pass();
    assert_eq!(ran.code, Some(0), "{}", ran.said);
    assert!(mesh.inbox().is_empty(), "{when} request {at}: it stays in the inbox");
    let answers = mesh.read(MAILBOXES[0]);
    assert!(!answers.is_empty(), "{when} request {at}: no answer");
    for answer in &answers {
        assert_eq!(answer, &answers[0], "{when} request {at}: two different answers");
        assert_eq!(answer.local_id, format!("kith-{id}"));
    }
    answers.len()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn killed_before_and_after_every_request_it_imports_answers_and_acknowledges_all_the_same() {
    let (mut unbroken, mut broken) = (Site::new(), Site::new());
    let Some(mut mesh) = Mesh::start("killed adapter", &broken) else {
        unbroken.finish(&[]);
        return broken.finish(&[]);
    };
    offline::share_keys(unbroken.dir(), broken.dir());
    let today = build::now().london_day();
    let (server, plain) = (broken.ready().await, unbroken.ready().await);
    mesh.configure(&server, &[]);
    let (mut number, mut points) = (0, 0);
    for at in 1..=u32::try_from(STEPS.len()).unwrap() {
        for when in ["before", "after"] {
            number += 1;
            let bytes = file(number, "changes", some_rows(u32::try_from(number).unwrap()));
            let answers = tokio::task::block_in_place(|| killed(&mut mesh, at, when, &bytes));
            // MESH has the answer and the adapter does not know it: the one step that can answer twice.
            let twice = at == ANSWER && when == "after";
            assert_eq!(answers, if twice { 2 } else { 1 }, "{when} request {at}");
            assert_eq!(next_number(&server, A).await, number + 1);
            // A verdict that the service keeps nowhere, and one on bytes that it has already answered.
            for other in [b"hello\n".to_vec(), bytes.clone()] {
                let answers = tokio::task::block_in_place(|| killed(&mut mesh, at, when, &other));
                assert_eq!(answers, if twice { 2 } else { 1 }, "{when} request {at}");
            }
            send(&plain.client(A).await, &bytes).await.unwrap();
            points += 3;
        }
    }
    println!("{points} kills at {} steps", STEPS.len());
    mesh.finish();
    tokio::task::block_in_place(|| [server, plain].map(crate::harness::process::Server::stop));
    if build::now().london_day() == today {
        assert!(held(&unbroken) == held(&broken), "what is held is not what the files say");
    }
    offline::verify(broken.dir());
    unbroken.finish(&[]);
    broken.finish(&[]);
}

/// A file of so many plans that its import takes a while.
fn large(number: u64) -> Vec<u8> {
    let ended = |n: u32| format!("{},2018-03-04,cpp,2026-01-10,2026-11-{:02},P{n},,\n", nhs(n).digits(), number);
    file(number, "snapshot,end-missing", (0..4000).map(|n| if number == 1 { row(n) } else { ended(n) }))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn killed_in_the_middle_of_an_import_or_with_the_server_killed_under_it_nothing_is_lost() {
    let mut random = seeded("killed in an import");
    let kills = u64::from(count("KITH_TEST_KILLS", 10).clamp(2, 20));
    let (mut unbroken, mut broken) = (Site::new(), Site::new());
    let Some(mut mesh) = Mesh::start("killed in an import", &broken) else {
        unbroken.finish(&[]);
        return broken.finish(&[]);
    };
    offline::share_keys(unbroken.dir(), broken.dir());
    let today = build::now().london_day();
    let (mut server, plain) = (broken.ready().await, unbroken.ready().await);
    let (mut early, mut servers) = (0, 0);
    for number in 1..=kills {
        mesh.configure(&server, &[]);
        mesh.send(MAILBOXES[0], &large(number));
        let ms: u64 = random.random_range(1..250);
        if number % 2 == 1 {
            let ran = tokio::task::block_in_place(|| mesh.pass_killed(4, json!(ms)));
            early += u32::from(ran.code.is_none() && mesh.seen().len() == 4);
        } else {
            let child = mesh.adapter(&["--once"]);
            tokio::time::sleep(Duration::from_millis(200 + ms)).await;
            server.kill();
            let ran = tokio::task::block_in_place(|| mesh.ended(child));
            let acknowledged = mesh.inbox().is_empty();
            assert_eq!(ran, Some(if acknowledged { 0 } else { 20 }));
            servers += u32::from(!acknowledged);
            server = broken.ready().await;
            mesh.configure(&server, &[]);
        }
        // The service may still be at the file of the killed adapter, and then says so.
        tokio::task::block_in_place(|| until("it is imported", || (mesh.pass().code == Some(0)).then_some(())));
        assert!(mesh.inbox().is_empty());
        let mut answers = mesh.read(MAILBOXES[0]);
        // Two when the kill came while MESH was taking the first.
        answers.dedup();
        assert_eq!((answers.len(), values(&answers[0])[2]), (1, "CPF02"));
        send(&plain.client(A).await, &large(number)).await.unwrap();
    }
    println!("{early} adapters killed before their answer, {servers} servers killed before the acknowledgement");
    assert!(early > 0 || servers > 0, "no kill met an import");
    mesh.finish();
    tokio::task::block_in_place(|| [server, plain].map(crate::harness::process::Server::stop));
    if build::now().london_day() == today {
        assert!(held(&unbroken) == held(&broken), "what is held is not what the files say");
    }
    offline::verify(broken.dir());
    unbroken.finish(&[]);
    broken.finish(&["the last run did not end in order"]);
}
