//! No identity in the clear, anywhere: after a session with known numbers, names and keys, every byte on disk and in the
//! logs is searched for them, in every form that a program would write them in.

use std::path::Path;

use kith_api::v1;
use kith_domain::NhsNumber;

use crate::harness::build::{self, NURSE, USER, nhs};
use crate::harness::calls;
use crate::harness::process::Server;
use crate::harness::site::{AUTHORITIES, Site, TRUSTS};

const LA: &str = AUTHORITIES[0];
const ED: &str = TRUSTS[0];
const CHILDREN: std::ops::Range<u32> = 7_000..7_012;
/// Texts that callers supply and that may embed an identity.
const ENCOUNTER: &str = "canary-encounter-55";
const LOCAL_KEY: &str = "canary-newborn-66";
const REFERENCE: &str = "canary-reference-77";
const ROLE: &str = "Canary triage nurse";

/// Every form of a number: its digits, in groups, as an integer of either byte order, as a variable-length integer, in
/// hexadecimal and in two bases of 64.
fn forms(number: NhsNumber) -> Vec<Vec<u8>> {
    let (digits, value) = (number.digits(), number.value());
    let grouped = |by: &str| format!("{}{by}{}{by}{}", &digits[..3], &digits[3..6], &digits[6..]).into_bytes();
    let mut varint = Vec::new();
    let mut rest = value;
    while rest >= 0x80 {
        varint.push(u8::try_from(rest & 0x7f).unwrap() | 0x80);
        rest >>= 7;
    }
    varint.push(u8::try_from(rest).unwrap());
    let hex: String = digits.bytes().map(|byte| format!("{byte:02x}")).collect();
    let wide: Vec<u8> = digits.bytes().flat_map(|byte| [byte, 0]).collect();
    vec![
        digits.clone().into_bytes(),
        grouped(" "),
        grouped("-"),
        value.to_le_bytes()[..5].to_vec(),
        value.to_be_bytes()[3..].to_vec(),
        varint,
        format!("{value:x}").into_bytes(),
        hex.into_bytes(),
        wide,
    ]
}

fn canaries() -> Vec<Vec<u8>> {
    let texts = [NURSE, USER, ENCOUNTER, LOCAL_KEY, REFERENCE, ROLE].map(|text| text.as_bytes().to_vec());
    CHILDREN.flat_map(|index| forms(nhs(index))).chain(texts).collect()
}

/// Files below a directory that hold a canary, and how many bytes were searched.
fn search(dir: &Path, canaries: &[Vec<u8>]) -> (Vec<String>, usize) {
    let (mut found, mut searched) = (Vec::new(), 0);
    for entry in std::fs::read_dir(dir).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            let (more, bytes) = search(&path, canaries);
            found.extend(more);
            searched += bytes;
            continue;
        }
        let bytes = std::fs::read(&path).unwrap();
        searched += bytes.len();
        // Only places where a canary's first byte stands are compared.
        let hit = canaries.iter().find(|canary| holds(&bytes, canary));
        found.extend(hit.map(|canary| format!("{}: {:?}", path.display(), String::from_utf8_lossy(canary))));
    }
    (found, searched)
}

fn holds(bytes: &[u8], canary: &[u8]) -> bool {
    let mut rest = bytes;
    while let Some(at) = rest.iter().position(|byte| *byte == canary[0]) {
        rest = &rest[at..];
        if rest.starts_with(canary) {
            return true;
        }
        rest = &rest[1..];
    }
    false
}

/// Every kind of call, with good and with bad content.
async fn session(server: &Server) {
    let (la, ed) = (server.client(LA).await, server.client(ED).await);
    for index in CHILDREN {
        let number = nhs(index);
        let name = |word: &str| format!("{word}-{index}");
        let shielded = index % 3 == 0;
        let born = Some(v1::Date { year: 2019, month: 3, day: 4 });
        calls::accept(
            &la,
            vec![v1::PlanEvent { shielded, date_of_birth: born, ..build::plan(number, &name(REFERENCE)) }],
        )
        .await;
        let record = build::record(ED, number, &name(ENCOUNTER));
        calls::record(&ed, record.clone()).await.unwrap();
        calls::close(&ed, build::close(&record, v1::PresentationOutcome::Died)).await.unwrap();
        let mut check_in = build::check_in(ED, number, &format!("{}-{index}", number.digits()));
        let caller = check_in.lookup.as_mut().unwrap().caller.as_mut().unwrap();
        caller.user_role = ROLE.into();
        calls::check_in(&ed, check_in).await.unwrap();
        calls::ask(&ed, build::lookup(ED, number)).await;
        calls::import(&ed, vec![build::import(ED, number, &format!("past-{index}"))]).await.unwrap();
        let local = v1::LookupRequest { subject: build::local(&name(LOCAL_KEY)), ..build::lookup(ED, number) };
        calls::ask(&ed, local).await;
        refused(server, number).await;
    }
    calls::notifications(server, LA, 100).await;
}

/// What is refused may not leave a trace either.
async fn refused(server: &Server, number: NhsNumber) {
    let (la, ed) = (server.client(LA).await, server.client(ED).await);
    let digits = number.digits();
    let subject = |text: String| Some(v1::Subject { subject: Some(v1::subject::Subject::NhsNumber(text)) });
    for text in [format!("{digits}\u{feff}"), format!("{digits}0"), format!("x{digits}")] {
        let request = v1::LookupRequest { subject: subject(text.clone()), ..build::lookup(ED, number) };
        assert!(calls::try_ask(&ed, request).await.is_err());
        calls::refused(&la, v1::PlanEvent { subject: subject(text), ..build::plan(number, "r") }).await;
    }
    let mut odd = build::lookup(ED, number);
    odd.request_id = digits.clone();
    odd.caller.as_mut().unwrap().user_name = format!("{NURSE}\r\n{digits}");
    odd.caller.as_mut().unwrap().organisation = digits.clone();
    assert!(calls::try_ask(&ed, odd).await.is_err());
    let mut site = build::record(ED, number, "s");
    site.presentation.as_mut().unwrap().site = digits.clone();
    assert!(calls::record(&ed, site).await.is_err());
    let other = v1::PlanEvent { other_authority: digits.clone(), event_id: digits, ..build::plan(number, "o") };
    calls::refused(&la, v1::PlanEvent { action: v1::PlanAction::TransferOut.into(), ..other }).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_identity_stands_in_the_clear_on_disk_or_in_a_log() {
    let level = "\"info,kith_server=trace,kith_engine=trace,kith_store=trace,kith_api=trace,kith_index=trace\"";
    let mut site = Site::with(&[("log", "level", level)]);
    let server = site.ready().await;
    session(&server).await;
    // Killed and started again, so that the write-ahead log is there once as it was, and once as tables.
    tokio::task::block_in_place(|| server.kill());
    let canaries = canaries();
    assert_eq!(search(site.dir(), &canaries).0, Vec::<String>::new());
    let server = site.ready().await;
    session_again(&server).await;
    tokio::task::block_in_place(|| server.stop());
    let (found, searched) = search(site.dir(), &canaries);
    assert_eq!(found, Vec::<String>::new());
    assert!(searched > 100_000, "only {searched} bytes were searched");
    site.run(&["verify", "--config", "kithd.toml"]);
    assert_eq!(search(site.dir(), &canaries).0, Vec::<String>::new());
    site.finish(&["did not end in order"]);
}

async fn session_again(server: &Server) {
    let ed = server.client(ED).await;
    for index in CHILDREN {
        let answer = calls::ask(&ed, build::lookup(ED, nhs(index))).await;
        assert_eq!(answer.plans.unwrap().outcome(), v1::Outcome::Held, "the session left something to find");
    }
}

#[test]
fn the_search_finds_every_form() {
    let canaries = canaries();
    for canary in &canaries {
        let dir = tempfile::tempdir().unwrap();
        let inside = [b"\x00\x01999", canary.as_slice(), b"tail"].concat();
        std::fs::create_dir(dir.path().join("below")).unwrap();
        std::fs::write(dir.path().join("below/file"), inside).unwrap();
        assert_eq!(search(dir.path(), &canaries).0.len(), 1, "{canary:?}");
    }
}
