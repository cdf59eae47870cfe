//! Plan files through the protocol and the programs: numbers, codes, who may do what, the report that a person reads, and
//! an import killed in the middle.

use std::collections::BTreeMap;
use std::ops::ControlFlow;
use std::process::{Command, Output};
use std::time::Duration;

use kith_api::client::Client;
use kith_api::v1;
use kith_domain::child::ChildRecord;
use kith_domain::method::Method;
use kith_domain::refusal_code::RefusalCode;
use kith_domain::time::Moment;
use kith_engine::Decision;
use kith_store::{Store, StoreOptions, Table};
use rand::RngExt;
use tokio_stream::wrappers::ReceiverStream;
use tonic::{Code, Status};

use crate::harness::build::{self, nhs};
use crate::harness::calls::expect_trouble;
use crate::harness::process::{Server, program};
use crate::harness::site::{AUTHORITIES, Site, TRUSTS};
use crate::harness::{count, offline, seeded};

const A: &str = AUTHORITIES[0];
const B: &str = AUTHORITIES[1];
const NAMES: &str = "nhs_number,date_of_birth,plan,start,end,reference,family,remark\n";
/// The operator's organisation in the development certificates.
const OPERATOR: &str = "KITH";

pub fn file(number: u64, mode: &str, rows: impl IntoIterator<Item = String>) -> Vec<u8> {
    let rows: String = rows.into_iter().collect();
    format!("kith-plans,1,{number},{mode}\n{NAMES}{rows}").into_bytes()
}

/// The `n`th child's plan.
pub fn row(n: u32) -> String {
    format!("{},2018-03-04,cpp,2026-01-10,,P{n},,\n", nhs(n).digits())
}

pub async fn send(client: &Client, bytes: &[u8]) -> Result<v1::FileVerdict, Status> {
    let chunks: Vec<_> = bytes.chunks(1000).map(|c| v1::SubmitPlanFileRequest { chunk: c.to_vec() }).collect();
    let response = client.plan_files().submit_plan_file(tokio_stream::iter(chunks)).await?;
    Ok(response.into_inner().verdict.unwrap())
}

async fn position(client: &Client) -> v1::FilePosition {
    let request = client.request(v1::GetFilePositionRequest {});
    client.plan_files().get_file_position(request).await.unwrap().into_inner().position.unwrap()
}

async fn reset(client: &Client, authority: &str, next_number: u64) -> Result<(), Status> {
    let caller = v1::Caller { purpose: v1::Purpose::RecordKeeping.into(), ..build::caller(OPERATOR) };
    let request = v1::ResetFilePositionRequest {
        authority: authority.into(),
        next_number,
        event_id: build::id(),
        caller: Some(caller),
    };
    client.plan_files().reset_file_position(client.request(request)).await.map(|_| ())
}

/// Code and reason of a file, the number expected next, and the codes of its rows.
fn said(verdict: &v1::FileVerdict) -> (v1::FileCode, &str, u64, Vec<v1::RowCode>) {
    let rows = verdict.rows.iter().map(v1::RowVerdict::code).collect();
    (verdict.code(), verdict.reason.as_str(), verdict.expected_number, rows)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_code_of_files_and_rows_and_who_is_shown_what() {
    use v1::FileCode::{Cpf01, Cpf02, Cpf03, Cpf04, Cpf06};
    use v1::RowCode::{Cpr01, Cpr02, Cpr03, Cpr04, Cpr06, Cpr07};
    let mut site = Site::with(&[("limits", "max_file_bytes", "20000")]);
    let server = site.ready().await;
    let (a, b) = (server.client(A).await, server.client(B).await);
    assert_eq!(said(&send(&a, b"hello").await.unwrap()), (Cpf01, "FILE_HEADER", 1, vec![]));
    assert_eq!(said(&send(&a, b"").await.unwrap()), (Cpf01, "FILE_HEADER", 1, vec![]));
    assert_eq!(said(&send(&a, b"kith-plans,2,1,x\n").await.unwrap()), (Cpf06, "FILE_VERSION", 1, vec![]));
    assert_eq!(said(&send(&a, &[b'x'; 30_000]).await.unwrap()), (Cpf01, "FILE_TOO_LARGE", 1, vec![]));
    let other = format!("{},2011-12-30,cpp,2026-01-10,,Q3,,shielded\n", nhs(3).digits());
    assert_eq!(said(&send(&b, &file(1, "changes", [other])).await.unwrap()), (Cpf02, "", 2, vec![Cpr02]));
    let mixed = vec![
        row(1),
        "9990000019,,cpp,2026-01-10,,P2,,\n".into(),
        row(3),
        "ABC/123,,cpp,2026-01-10,,P4,,\n".into(),
        format!("{},,cpp,2026-13-10,,P5,,\n", nhs(5).digits()),
        format!("{},,lac,2026-01-10,,P6,,shielded\n", nhs(6).digits()),
        format!("{},2011-12-30,cpp,2026-01-10,,P7,,\n", nhs(3).digits()),
    ];
    let verdict = send(&a, &file(1, "changes", mixed)).await.unwrap();
    assert_eq!(said(&verdict), (Cpf03, "", 2, vec![Cpr06, Cpr01, Cpr03, Cpr04, Cpr07, Cpr02, Cpr02]));
    let verdict = send(&a, &file(2, "changes", ["9990000019,,cpp,2026-01-10,,P2,,\n".to_owned()])).await.unwrap();
    assert_eq!((said(&verdict), verdict.processed), ((Cpf04, "", 3, vec![Cpr01]), 1));
    let answer = crate::harness::calls::ask(&server.client(TRUSTS[0]).await, build::lookup(TRUSTS[0], nhs(1))).await;
    assert!(crate::harness::calls::as_text(&answer).contains(A), "the plan of a file is in an answer");
    tokio::task::block_in_place(|| server.stop());
    offline::verify(site.dir());
    site.finish(&[]);
}

/// What comes beside a file that is on its way is refused, and that is in the audit like any refusal.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_file_beside_another_and_a_reset_meanwhile_are_refused_and_audited() {
    let mut site = Site::new();
    let server = site.ready().await;
    let (a, ops) = (server.client(A).await, server.client("ops").await);
    // A piece has a place in the channel once the one before it is on its way, and with it the call.
    let (pieces, stream) = tokio::sync::mpsc::channel(1);
    let (sender, stream) = (a.clone(), ReceiverStream::new(stream));
    let first = tokio::spawn(async move { sender.plan_files().submit_plan_file(stream).await });
    for piece in file(1, "changes", [row(1)]).chunks(40) {
        pieces.send(v1::SubmitPlanFileRequest { chunk: piece.to_vec() }).await.unwrap();
    }
    let beside = send(&a, &file(2, "changes", [row(2)])).await;
    expect_trouble(beside, Code::Unavailable, "FILE_IN_PROGRESS", &[]);
    expect_trouble(reset(&ops, A, 7).await, Code::Unavailable, "FILE_IN_PROGRESS", &[]);
    drop(pieces);
    let taken = first.await.unwrap().unwrap().into_inner().verdict.unwrap();
    assert_eq!((taken.code(), taken.expected_number), (v1::FileCode::Cpf02, 2));
    tokio::task::block_in_place(|| server.stop());
    let refused = Decision::Refused(RefusalCode::of("FILE_IN_PROGRESS"));
    assert_eq!(offline::audit(site.dir()).values().filter(|entry| entry.decision == refused).count(), 2);
    site.finish(&[]);
}

/// A sender that has gone holds no place, and keeps nobody from sending, for longer than is configured.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_stops_on_its_way_is_given_up_as_configured() {
    let mut site = Site::with(&[("limits", "file_piece_timeout_s", "2"), ("limits", "stream_idle_timeout_s", "2")]);
    let server = site.ready().await;
    let (a, ed) = (server.client(A).await, server.client(TRUSTS[0]).await);
    let (pieces, stream) = tokio::sync::mpsc::channel(1);
    pieces.send(v1::SubmitPlanFileRequest { chunk: b"kith-plans,1,1,".to_vec() }).await.unwrap();
    let stopped = a.plan_files().submit_plan_file(ReceiverStream::new(stream)).await;
    expect_trouble(stopped.map(|_| ()), Code::Unavailable, "STREAM_ENDED", &[]);
    let next = send(&a, &file(1, "changes", [row(1)])).await.unwrap();
    assert_eq!(said(&next).0, v1::FileCode::Cpf02, "the next file of its authority is taken");

    let (events, stream) = tokio::sync::mpsc::channel(1);
    events.send(build::heartbeat()).await.unwrap();
    let mut verdicts = a.plans().submit_events(ReceiverStream::new(stream)).await.unwrap().into_inner();
    assert!(verdicts.message().await.unwrap().is_some(), "what came is acknowledged");
    expect_trouble(verdicts.message().await, Code::Unavailable, "STREAM_IDLE", &[]);

    let (rows, stream) = tokio::sync::mpsc::channel::<v1::ImportRequest>(1);
    let idle = ed.presentations().import(ReceiverStream::new(stream)).await;
    expect_trouble(idle.map(|_| ()), Code::Unavailable, "STREAM_IDLE", &[]);
    drop((pieces, events, rows));
    tokio::task::block_in_place(|| server.stop());
    let idle = Decision::Refused(RefusalCode::of("STREAM_IDLE"));
    let audited = offline::audit(site.dir());
    let ended: Vec<_> = audited.values().filter(|entry| entry.decision == idle).collect();
    let methods: Vec<_> = ended.iter().map(|entry| entry.method).collect();
    assert_eq!(methods, [Some(Method::SubmitEvents), Some(Method::Import)]);
    assert!(ended.iter().all(|entry| entry.caller.is_some()), "it is known who sent nothing, with or without a row");
    site.finish(&[]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn numbers_are_kept_and_a_reset_is_for_ops_and_audited() {
    use v1::FileCode::{Cpf02, Cpf04};
    let mut site = Site::new();
    let server = site.ready().await;
    let (a, ops) = (server.client(A).await, server.client("ops").await);
    let second = file(2, "changes", [row(2)]);
    send(&a, &file(1, "changes", [row(1)])).await.unwrap();
    let first = send(&a, &second).await.unwrap();
    assert_eq!(send(&a, &second).await.unwrap(), v1::FileVerdict { repeated: true, ..first.clone() });
    for (number, reason) in [(2, "FILE_NUMBER_REUSED"), (4, "FILE_NUMBER_GAP"), (1, "FILE_NUMBER_OLD")] {
        let verdict = send(&a, &file(number, "changes", [row(9)])).await.unwrap();
        assert_eq!(said(&verdict), (Cpf04, reason, 3, vec![]), "{number}");
    }
    expect_trouble(reset(&a, A, 9).await, Code::PermissionDenied, "ORGANISATION_MISMATCH", &[]);
    let denied = (Code::PermissionDenied, "ROLE_NOT_ALLOWED");
    expect_trouble(send(&ops, &second).await, denied.0, denied.1, &[]);
    expect_trouble(send(&server.client(TRUSTS[0]).await, &second).await, denied.0, denied.1, &[]);
    expect_trouble(reset(&ops, "E06999999", 9).await, Code::InvalidArgument, "UNKNOWN_AUTHORITY", &["authority"]);
    expect_trouble(reset(&ops, A, 0).await, Code::InvalidArgument, "FILE_NUMBER", &["next_number"]);
    reset(&ops, A, 9).await.unwrap();
    let found = position(&a).await;
    assert_eq!((found.authority.as_str(), found.next_number, found.unfinished), (A, 9, false));
    assert_eq!(said(&send(&a, &file(9, "changes", [row(9)])).await.unwrap()).0, Cpf02);
    tokio::task::block_in_place(|| server.stop());
    let server = site.ready().await;
    assert_eq!(position(&server.client(A).await).await.next_number, 10);
    tokio::task::block_in_place(|| server.stop());
    let audit = offline::audit(site.dir());
    let reset = |decision: &Decision| matches!(decision, Decision::FilePositionReset(code, 9) if code.as_str() == A);
    let entry = audit.values().find(|entry| reset(&entry.decision)).expect("the reset is audited");
    assert_eq!(entry.caller.as_ref().unwrap().user_name.as_str(), build::NURSE);
    let refused = |reason: &str| audit.values().any(|e| e.decision == Decision::Refused(RefusalCode::of(reason)));
    assert!(refused("FILE_NUMBER_GAP") && refused("FILE_NUMBER_OLD") && refused("FILE_NUMBER_REUSED"));
    offline::verify(site.dir());
    site.finish(&[]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn while_the_disk_takes_no_writes_a_file_is_to_be_sent_again_and_then_it_is_loaded() {
    use v1::FileCode::{Cpf02, Cpf05};
    let mut site = Site::new();
    let server = site.ready().await;
    send(&server.client(A).await, &file(1, "changes", [row(1)])).await.unwrap();
    tokio::task::block_in_place(|| server.stop());
    // More free space than any disk of a test has.
    site.configure(&[("storage", "reserve_bytes", "1099511627776")]);
    let server = site.ready().await;
    let (client, bytes) = (server.client(A).await, file(2, "changes", [row(2)]));
    let verdict = send(&client, &bytes).await.unwrap();
    assert_eq!((said(&verdict), verdict.processed), ((Cpf05, "STORAGE_UNAVAILABLE", 2, vec![]), -1));
    assert!(!position(&client).await.unfinished);
    tokio::task::block_in_place(|| server.stop());
    site.configure(&[]);
    let server = site.ready().await;
    let verdict = send(&server.client(A).await, &bytes).await.unwrap();
    assert_eq!((said(&verdict).0, verdict.repeated), (Cpf02, false));
    tokio::task::block_in_place(|| server.stop());
    offline::verify(site.dir());
    site.finish(&["the log takes no writes now"]);
}

/// `kith plans push` as an authority runs it.
fn push(site: &Site, server: &Server, name: &str, arguments: &[&str]) -> Output {
    let options = server.options(A);
    let mut command = Command::new(program("kith"));
    command.current_dir(site.dir()).args(["plans", "push", name, "--server", &options.server]);
    for (flag, path) in [("--ca", options.ca), ("--cert", options.cert), ("--key", options.key)] {
        command.arg(flag).arg(path);
    }
    command.args(["--user-id", "u1", "--user-name", "A Person", "--user-role", "Clerk", "--role-code", "R8010"]);
    command.args(arguments).output().unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_person_reads_which_rows_were_not_loaded_and_why() {
    let mut site = Site::new();
    let server = site.ready().await;
    let rows = vec![row(1), format!("{},,cpp,10/01/2026,,P2,,\n", nhs(2).digits()), row(3)];
    std::fs::write(site.path("plans.csv"), file(1, "snapshot,end-missing", rows)).unwrap();
    let output = tokio::task::block_in_place(|| push(&site, &server, "plans.csv", &["--verdict", "verdict.csv"]));
    let text = String::from_utf8(output.stdout).unwrap();
    println!("{text}");
    assert_eq!(output.status.code(), Some(23), "{text}");
    for words in ["File 1: loaded IN PART", "3 rows: 2 loaded, 1 NOT loaded", "line 4 (row 2), start:", "2 added"] {
        assert!(text.contains(words), "{words}: {text}");
    }
    let verdict = std::fs::read_to_string(site.path("verdict.csv")).unwrap();
    assert!(
        verdict.contains("\n1,3,CPR06,,,\n2,4,CPR07,start,DATE,") && verdict.contains("\n3,5,CPR06,,,\n"),
        "{verdict}"
    );
    let output = tokio::task::block_in_place(|| push(&site, &server, "plans.csv", &["--output", "json"]));
    let json: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!((json["exit_code"].as_u64(), json["repeated"].as_bool()), (Some(23), Some(true)), "{json}");
    tokio::task::block_in_place(|| server.stop());
    site.finish(&[]);
}

/// A person's row without the moments at which its events were taken.
fn without_moments(row: &[u8]) -> Vec<u8> {
    let mut record: ChildRecord = postcard::from_bytes(&row[1..]).unwrap();
    for plan in &mut record.plans {
        plan.last_event_at = Moment::default();
    }
    postcard::to_stdvec(&record).unwrap()
}

/// Everything held about people and plans, without moments and positions.
pub fn held(site: &Site) -> BTreeMap<(Table, Vec<u8>), Vec<u8>> {
    let store =
        Store::open_read_only(&site.path("disk/data"), offline::keys(site.dir()), StoreOptions::default()).unwrap();
    let mut rows = BTreeMap::new();
    for table in [Table::Child, Table::Plan] {
        let mut note = |key: &[u8], value: &[u8]| {
            let value = if table == Table::Child { without_moments(value) } else { value.to_vec() };
            rows.insert((table, key.to_vec()), value);
            ControlFlow::Continue(())
        };
        store.scan(table, &[], &[], &mut note).unwrap();
    }
    rows
}

/// A file of every authority's plans and one that changes, adds and misses some.
fn two_files() -> [Vec<u8>; 2] {
    let changed = |n: u32| match n % 5 {
        0 => format!("{},2018-03-04,cpp,2026-01-10,2027-01-31,P{n},,\n", nhs(n).digits()),
        1 => format!("{},2018-03-04,cpp,2026-01-10,,P{n},,transfer-out {B};shielded\n", nhs(n).digits()),
        2 => format!("{},2018-03-04,cpp,2026-01-40,,P{n},,\n", nhs(n).digits()),
        _ => row(n),
    };
    [file(1, "snapshot,end-missing", (0..6000).map(row)), file(2, "snapshot,end-missing", (200..6500).map(changed))]
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_killed_import_resumes_and_holds_what_an_unbroken_one_holds() {
    let mut random = seeded("killed import");
    let kills = count("KITH_TEST_KILLS", 30).min(30);
    let (mut unbroken, mut killed) = (Site::new(), Site::new());
    offline::share_keys(unbroken.dir(), killed.dir());
    let (today, files) = (build::now().london_day(), two_files());
    let server = unbroken.ready().await;
    let mut expected = Vec::new();
    for bytes in &files {
        expected.push(send(&server.client(A).await, bytes).await.unwrap());
    }
    tokio::task::block_in_place(|| server.stop());
    let (mut found, mut in_the_middle, mut done) = (Vec::new(), 0, 0);
    for kill in 0.. {
        let server = killed.ready().await;
        let client = server.client(A).await;
        in_the_middle += u32::from(position(&client).await.unfinished);
        let bytes = files[found.len()].clone();
        let sending = tokio::spawn(async move { send(&client, &bytes).await });
        if kill < kills && found.len() + 1 == files.len() || kill < kills / 2 {
            tokio::time::sleep(Duration::from_millis(random.random_range(1..150))).await;
            server.kill();
            done += u32::from(sending.await.unwrap().is_ok());
            continue;
        }
        found.push(sending.await.unwrap().unwrap());
        tokio::task::block_in_place(|| server.stop());
        if found.len() == files.len() {
            break;
        }
    }
    println!("{kills} kills, {in_the_middle} of them in the middle of a file, {done} after its end");
    assert!(in_the_middle > kills / 8, "too few kills met a file under way");
    if build::now().london_day() == today {
        for (found, expected) in found.iter().zip(&expected) {
            let same = v1::FileVerdict { repeated: false, created_at: expected.created_at, ..found.clone() };
            assert_eq!(&same, expected);
        }
        assert!(held(&unbroken) == held(&killed), "the killed import holds something else");
    }
    offline::verify(killed.dir());
    unbroken.finish(&[]);
    killed.finish(&["the last run did not end in order"]);
}
