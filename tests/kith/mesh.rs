//! `kith mesh` between NHS England's own mesh-sandbox and mesh-client and a real server: what a council sends is in the
//! service and answered, whoever is not listed is never imported, and nothing is acknowledged that is not imported.

mod kills;
mod trouble;

use kith_api::v1;
use rand::RngExt;
use serde_json::json;

use crate::files::{file, row};
use crate::harness::build::{self, nhs};
use crate::harness::calls::{as_text, ask};
use crate::harness::mesh::{Answer, MAILBOXES, Mesh, STRANGER, WORKFLOW};
use crate::harness::process::Server;
use crate::harness::site::{AUTHORITIES, Site, TRUSTS};
use crate::harness::{offline, seeded};

/// Whether the `n`th child's plan of this authority is in an answer.
async fn is_held(server: &Server, n: u32, authority: &str) -> bool {
    let answer = ask(&server.client(TRUSTS[0]).await, build::lookup(TRUSTS[0], nhs(n))).await;
    as_text(&answer).contains(authority)
}

/// Next number of an authority's files: it goes up only when a file was taken.
async fn next_number(server: &Server, authority: &str) -> u64 {
    let client = server.client(authority).await;
    let request = client.request(v1::GetFilePositionRequest {});
    client.plan_files().get_file_position(request).await.unwrap().into_inner().position.unwrap().next_number
}

/// The second line of a verdict: its values.
fn values(answer: &Answer) -> Vec<&str> {
    answer.text.lines().nth(1).unwrap().split(',').collect()
}

fn code(answer: &Answer) -> &str {
    values(answer)[2]
}

/// A row whose date no calendar has.
fn faulty(n: u32) -> String {
    format!("{},2018-03-04,cpp,2026-13-10,,P{n},,\n", nhs(n).digits())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_two_councils_send_is_imported_under_their_names_and_answered_to_them() {
    let mut site = Site::new();
    let Some(mut mesh) = Mesh::start("two councils", &site) else { return site.finish(&[]) };
    let server = site.ready().await;
    mesh.configure(&server, &[]);
    assert_eq!(tokio::task::block_in_place(|| mesh.pass()).code, Some(0), "an empty inbox");
    let [a, b] = MAILBOXES;
    let first = mesh.send(a, &file(1, "snapshot", [row(1), faulty(2), row(3)]));
    let second = mesh.send(b, &file(1, "changes", [row(11)]));
    let again = mesh.send(a, &file(1, "snapshot", [row(1), faulty(2), row(3)]));
    mesh.send(a, &file(5, "changes", [row(4)]));
    mesh.send(a, b"kith-plans,9,2,changes\n");
    mesh.send(a, b"hello\n");
    let ran = tokio::task::block_in_place(|| mesh.pass());
    println!("{}", ran.said);
    assert_eq!(ran.code, Some(0), "{}", ran.said);
    let counts = "inbox 6: 6 answered (CPF01 1, CPF02 1, CPF03 2, CPF04 1, CPF06 1)";
    assert!(ran.said.contains(counts), "{}", ran.said);
    let answers = mesh.read(a);
    let codes: Vec<&str> = answers.iter().map(code).collect();
    assert_eq!(codes, ["CPF03", "CPF03", "CPF04", "CPF06", "CPF01"], "in the order of arrival");
    let Answer { sender, workflow, local_id, filename, text } = &answers[0];
    println!("{text}");
    assert_eq!((sender.as_str(), workflow.as_str()), ("X26ABC1", "KITH_PLANS_ACK"));
    assert_eq!(*local_id, format!("kith-{first}"));
    assert_eq!(*filename, format!("kith-verdict-{first}.csv"));
    assert!(text.contains("\n1,3,CPR06,,,\n2,4,CPR07,start,DATE,") && text.contains("\n3,5,CPR06,,,\n"), "{text}");
    assert_eq!((values(&answers[0])[5], values(&answers[1])[5]), ("", "yes"), "a council's repeat is told as one");
    assert_eq!(answers[1].local_id, format!("kith-{again}"));
    assert_eq!(values(&answers[2])[6..8], ["2", "FILE_NUMBER_GAP"]);
    let answers = mesh.read(b);
    assert_eq!((answers.len(), code(&answers[0])), (1, "CPF02"));
    assert_eq!(answers[0].local_id, format!("kith-{second}"));
    assert!(mesh.inbox().is_empty());
    for (n, authority) in [(1, AUTHORITIES[0]), (3, AUTHORITIES[0]), (11, AUTHORITIES[1])] {
        assert!(is_held(&server, n, authority).await, "{n}");
    }
    assert!(!is_held(&server, 11, AUTHORITIES[0]).await && !is_held(&server, 4, AUTHORITIES[0]).await);
    mesh.finish();
    tokio::task::block_in_place(|| server.stop());
    offline::verify(site.dir());
    site.finish(&[]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn files_in_parts_packed_or_not_arrive_whole_and_too_large_ones_are_refused() {
    let mut site = Site::new();
    let Some(mut mesh) = Mesh::start("parts", &site) else { return site.finish(&[]) };
    let server = site.ready().await;
    mesh.configure(&server, &[("max_file_bytes", "100000")]);
    let a = MAILBOXES[0];
    let bytes = |number| file(number, "snapshot", (0..600).map(row));
    assert!(bytes(1).len() > 20_000);
    mesh.send_as(a, &bytes(1), WORKFLOW, false, 5_000);
    mesh.send_as(a, &bytes(2), WORKFLOW, true, 5_000);
    mesh.send_as(a, &bytes(3), WORKFLOW, true, 1_000_000);
    // Larger than may be, in parts; and one that is small only as long as it is packed.
    mesh.send_as(a, &file(4, "snapshot", (0..4000).map(row)), WORKFLOW, false, 30_000);
    mesh.send_as(a, &file(4, "snapshot", vec!["\n".repeat(5_000_000)]), WORKFLOW, true, 1_000_000_000);
    // One that no packing makes smaller: it is not fetched to its end.
    let mut noise = vec![0; 900_000];
    seeded("noise").fill(&mut noise[..]);
    let noise = mesh.send_as(a, &noise, WORKFLOW, false, 30_000);
    mesh.send(a, &bytes(4));
    let ran = tokio::task::block_in_place(|| mesh.pass());
    assert_eq!(ran.code, Some(0), "{}", ran.said);
    let answers = mesh.read(a);
    let said: Vec<(&str, &str)> = answers.iter().map(|answer| (values(answer)[2], values(answer)[3])).collect();
    let (whole, large) = (("CPF02", "600"), ("CPF01", "-1"));
    assert_eq!(said, [whole, whole, whole, large, large, large, whole]);
    let parts = mesh.seen().iter().filter(|step| step.starts_with(&format!("GET /inbox/{noise}"))).count();
    assert!((2..10).contains(&parts), "{parts} of 30 parts were fetched");
    assert_eq!(values(&answers[3])[7], "FILE_TOO_LARGE");
    assert!(mesh.inbox().is_empty());
    mesh.finish();
    tokio::task::block_in_place(|| server.stop());
    site.finish(&[]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_stranger_is_never_imported_never_answered_and_holds_nobody_up() {
    let mut site = Site::new();
    let Some(mut mesh) = Mesh::start("a stranger", &site) else { return site.finish(&[]) };
    let server = site.ready().await;
    mesh.configure(&server, &[]);
    let [a, _] = MAILBOXES;
    let strange = mesh.send(STRANGER, &file(1, "changes", [row(1)]));
    let other = mesh.send_as(a, &file(1, "changes", [row(2)]), "SOMETHING_ELSE", false, 1000);
    let description = "No receipt by 9990000018";
    mesh.report(&json!({"mailbox_id": "X26ABC1", "code": "14", "description": description, "workflow_id": WORKFLOW,
        "status": "error", "linked_message_id": "B00B"}));
    mesh.send(a, &file(1, "changes", [row(3)]));
    for pass in 0..2 {
        let ran = tokio::task::block_in_place(|| mesh.pass());
        println!("{}", ran.said);
        assert_eq!(ran.code, Some(23), "{}", ran.said);
        assert!(ran.said.contains(&format!("{strange} stays in the inbox, not imported: SECURITY")), "{}", ran.said);
        assert!(ran.said.contains(&format!("{other} stays in the inbox, not imported: it is of another workflow")));
        assert!(ran.said.contains("2 set aside, 0 left"), "{}", ran.said);
        assert_eq!(ran.said.contains("message B00B of this mailbox was not delivered: 14 No receipt by"), pass == 0);
        let fetched = mesh.seen().iter().filter(|step| step.starts_with("GET /inbox/")).count();
        assert_eq!(fetched, usize::from(pass == 0), "what is not for us is not even fetched");
    }
    assert_eq!(mesh.inbox(), [strange, other]);
    assert!(mesh.read(STRANGER).is_empty());
    assert_eq!(mesh.read(a).len(), 1);
    assert!(is_held(&server, 3, AUTHORITIES[0]).await);
    for n in [1, 2] {
        for authority in AUTHORITIES {
            assert!(!is_held(&server, n, authority).await, "{n} {authority}");
        }
    }
    mesh.finish();
    tokio::task::block_in_place(|| server.stop());
    site.finish(&[]);
}

/// A page of the inbox has 500 messages.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_council_behind_more_strangers_than_fit_on_a_page_is_reached() {
    let mut site = Site::new();
    let Some(mut mesh) = Mesh::start("pages", &site) else { return site.finish(&[]) };
    let server = site.ready().await;
    mesh.configure(&server, &[]);
    for _ in 0..505 {
        mesh.send(STRANGER, b"x");
    }
    mesh.send(MAILBOXES[0], &file(1, "changes", [row(1)]));
    let ran = tokio::task::block_in_place(|| mesh.pass());
    assert!(ran.code == Some(23) && ran.said.contains("inbox 506: 1 answered"), "{:?}", ran.code);
    assert_eq!((mesh.inbox().len(), mesh.read(MAILBOXES[0]).len()), (505, 1));
    mesh.finish();
    tokio::task::block_in_place(|| server.stop());
    site.finish(&[]);
}
