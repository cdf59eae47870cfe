//! No identity in the clear, anywhere: after every call of the service with known numbers, names, words and keys, every byte on
//! disk, in the logs, on the metrics page, in temporary files and in what commands print is searched for them, in every form that a
//! program would write them in.

mod every_path;
mod mailbox;

use std::collections::BTreeSet;
use std::io::Write as _;
use std::net::SocketAddr;
use std::path::Path;
use std::process::Command;

use kith_api::v1;
use kith_domain::NhsNumber;
use kith_domain::method::Method;

use crate::harness::build::{self, NURSE, USER, nhs};
use crate::harness::process::{Server, program, temporary};
use crate::harness::site::{AUTHORITIES, Site, TRUSTS};
use crate::harness::wait::until_async;
use crate::harness::{calls, certificates};
use crate::metrics;
use crate::person_tokens::{self, Signer};

const LA: &str = AUTHORITIES[1];
/// Its people may send a token.
const ED: &str = TRUSTS[1];
/// The certificate of its safeguarding team.
const TEAM: &str = "canary-team";
const CHILDREN: std::ops::Range<u32> = 7_000..7_012;
/// Texts that callers supply and that may embed an identity.
const ENCOUNTER: &str = "canary-encounter-55";
const LOCAL_KEY: &str = "canary-newborn-66";
const REFERENCE: &str = "canary-reference-77";
const ROLE: &str = "Canary triage nurse";

/// Every form of a number: its digits, in groups, as an integer of either byte order, as a variable-length integer, in
/// hexadecimal, two digits a byte as where digits are taken for hexadecimal ones; and what a text has.
fn forms(number: NhsNumber) -> Vec<Vec<u8>> {
    let (digits, value) = (number.digits(), number.value());
    let grouped = |by: &str| format!("{}{by}{}{by}{}", &digits[..3], &digits[3..6], &digits[6..]);
    let mut varint = Vec::new();
    let mut rest = value;
    while rest >= 0x80 {
        varint.push(u8::try_from(rest & 0x7f).unwrap() | 0x80);
        rest >>= 7;
    }
    varint.push(u8::try_from(rest).unwrap());
    let mut all = vec![
        value.to_le_bytes()[..5].to_vec(),
        value.to_be_bytes()[3..].to_vec(),
        varint,
        format!("{value:x}").into_bytes(),
        format!("{value:X}").into_bytes(),
        digits.as_bytes().chunks_exact(2).map(|pair| (pair[0] - b'0') << 4 | (pair[1] - b'0')).collect(),
    ];
    for text in [digits.clone(), grouped(" "), grouped("-")] {
        all.extend(text_forms(&text));
    }
    all
}

/// Every form of a text: as it is, with two bytes a character in either order, in hexadecimal, and in base 64 wherever in
/// a longer text it stands, in both alphabets.
fn text_forms(text: &str) -> Vec<Vec<u8>> {
    let bytes = text.as_bytes();
    let hex: String = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
    let mut all = vec![
        bytes.to_vec(),
        bytes.iter().flat_map(|byte| [*byte, 0]).collect(),
        bytes.iter().flat_map(|byte| [0, *byte]).collect(),
        hex.to_uppercase().into_bytes(),
        hex.into_bytes(),
    ];
    for (at, ends) in (0..3).flat_map(|at| [(at, b"+/"), (at, b"-_")]) {
        all.push(base64_within(bytes, at, ends));
    }
    all
}

/// What base 64 makes of a text that stands `at` bytes behind a multiple of three, without the characters that its
/// neighbours have a part in.
fn base64_within(text: &[u8], at: usize, ends: &[u8; 2]) -> Vec<u8> {
    let letters: Vec<u8> = (b'A'..=b'Z').chain(b'a'..=b'z').chain(b'0'..=b'9').chain(*ends).collect();
    let bits: Vec<bool> = text.iter().flat_map(|byte| (0..8).rev().map(move |bit| byte >> bit & 1 == 1)).collect();
    let begun = (6 - 8 * at % 6) % 6;
    let value = |six: &[bool]| six.iter().fold(0, |value, bit| value << 1 | usize::from(*bit));
    bits[begun..].chunks_exact(6).map(|six| letters[value(six)]).collect()
}

#[test]
fn base_64_is_found_wherever_a_text_stands() {
    // As coreutils' base64 gives them, for "x999", "ab999" and "999".
    for (whole, at) in [("OTk5", 0), ("eDk5OQ==", 1), ("YWI5OTk=", 2)] {
        let form = String::from_utf8(base64_within(b"999", at, b"+/")).unwrap();
        assert!(form.len() >= 3 && whole.contains(&form), "{form} in {whole}");
    }
    assert_eq!(base64_within(b"\xfb\xff\xfe", 0, b"-_"), b"-__-");
}

/// The numbers, the texts, and what of a token is nobody's but its bearer's.
fn canaries(token: &str) -> Canaries {
    let texts = [NURSE, USER, ENCOUNTER, LOCAL_KEY, REFERENCE, ROLE].into_iter();
    let texts = texts.chain(every_path::TEXTS).chain(token.split('.').skip(1)).flat_map(text_forms);
    let numbers = CHILDREN.chain(every_path::PEOPLE).flat_map(|index| forms(nhs(index)));
    Canaries::new(numbers.chain(texts))
}

/// What is searched for, by its first two bytes.
struct Canaries(Vec<Vec<Vec<u8>>>);

impl Canaries {
    fn new(all: impl Iterator<Item = Vec<u8>>) -> Self {
        let mut by_start = vec![Vec::new(); 1 << 16];
        all.for_each(|canary| by_start[start(&canary)].push(canary));
        Self(by_start)
    }

    /// The first that stands in these bytes.
    fn found(&self, bytes: &[u8]) -> Option<&Vec<u8>> {
        let at = |at: usize| self.0[start(&bytes[at..])].iter().find(|canary| bytes[at..].starts_with(canary));
        (0..bytes.len().saturating_sub(1)).find_map(at)
    }
}

fn start(bytes: &[u8]) -> usize {
    usize::from(bytes[0]) << 8 | usize::from(bytes[1])
}

/// Files below a directory that hold a canary, and how many bytes were searched.
fn search(dir: &Path, canaries: &Canaries) -> (Vec<String>, usize) {
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
        let hit = canaries.found(&bytes);
        found.extend(hit.map(|canary| format!("{}: {:?}", path.display(), String::from_utf8_lossy(canary))));
    }
    (found, searched)
}

/// What is asked and sent most, again and again, with good and with bad content.
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

/// With a page of metrics, people whom tokens prove, and everything logged that any part of the program has to say.
fn site(signer: &Signer) -> Site {
    let site = Site::with(&[
        ("metrics", "listen", "\"127.0.0.1:0\""),
        ("person_tokens", "file", "\"tokens.toml\""),
        ("log", "level", "\"trace\""),
    ]);
    person_tokens::trust(&site, &[signer]);
    certificates::issue(&site.path("certs"), TEAM, ED, "safeguarding");
    site
}

/// Keeps the metrics page as it is now, where it is searched.
fn keep_page(site: &Site, at: SocketAddr, name: &str) {
    let page = metrics::page(at);
    assert!(metrics::value(&page, "kith_answers_total") > 0, "{page}");
    std::fs::write(site.path(name), page).unwrap();
}

/// Runs a command of kithd, which ends with this code, and keeps all that it prints where it is searched.
fn keep_said(site: &Site, arguments: &[&str], code: i32) {
    let mut command = Command::new(program("kithd"));
    command.current_dir(site.dir()).env("TMPDIR", temporary(site.dir()));
    let output = command.args(arguments).args(["--config", "kithd.toml"]).output().unwrap();
    let said = [output.stdout, output.stderr].concat();
    assert_eq!(output.status.code(), Some(code), "{arguments:?}: {}", String::from_utf8_lossy(&said));
    assert!(!said.is_empty(), "{arguments:?}");
    let kept = site.path(&format!("said-{}.txt", arguments.join("-")));
    std::fs::File::options().create(true).append(true).open(kept).unwrap().write_all(&said).unwrap();
}

/// Whatever can be asked of a stopped kithd's data and keys: what is done, and what is refused.
fn keep_all_said(site: &Site) {
    for arguments in [
        &["verify"][..],
        &["inspect"],
        &["check-config"],
        &["print-config"],
        &["keys", "status", "--uses"],
        &["keys", "forget", "2"],
    ] {
        keep_said(site, arguments, 0);
    }
    // The audit needs the first for as long as it is kept.
    keep_said(site, &["keys", "forget", "1"], 1);
    site.run(&["new-key", "--out", "other.key"]);
    keep_said(site, &["keys", "rewrap", "--new-key-file", "other.key"], 0);
    // The old key does not open the keyring any more.
    keep_said(site, &["keys", "status"], 1);
}

/// Where the server would put temporary files. Its environment is closed to other processes of the same user; root reads it.
fn temporary_files_are_searched(site: &Site, server: &Server) {
    let below = format!("TMPDIR={}", site.path("tmp").display());
    if let Ok(environment) = std::fs::read(format!("/proc/{}/environ", server.process_id())) {
        assert!(environment.split(|byte| *byte == 0).any(|variable| variable == below.as_bytes()), "{below}");
    }
}

/// A question of a person whom a token proves.
async fn proven(server: &Server, token: &str) {
    let ed = person_tokens::proven(server, ED, token).await;
    for index in CHILDREN {
        calls::ask(&ed, build::lookup(ED, nhs(index))).await;
    }
}

/// How many calls were made with planted identities: all there are, once so that they are answered and once so that they are not.
async fn every_call(site: &Site, server: &Server, signer: &Signer) -> usize {
    let every: BTreeSet<Method> = Method::WORDS.map(|(method, _)| method).into();
    let (answered, refused) = (every_path::answered(site, server).await, every_path::refused(server, signer).await);
    assert_eq!(answered, every, "each has been answered");
    assert_eq!(refused, every, "each has been refused");
    answered.len() + refused.len()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_identity_stands_in_the_clear_on_disk_or_in_a_log() {
    let signer = Signer::new("k1");
    let token = signer.token(ED);
    let mut site = site(&signer);
    let server = site.ready().await;
    temporary_files_are_searched(&site, &server);
    let page = metrics::address(&server);
    session(&server).await;
    proven(&server, &token).await;
    let methods = every_call(&site, &server, &signer).await;
    keep_page(&site, page, "page-1.txt");
    // Killed and started again, so that the write-ahead log is there once as it was, and once as tables.
    tokio::task::block_in_place(|| server.kill());
    let canaries = canaries(&token);
    assert_eq!(search(site.dir(), &canaries).0, Vec::<String>::new());
    // From here on under another data key, and sealed anew while it serves. Between the two is one that seals nothing.
    keep_said(&site, &["keys", "rotate"], 0);
    keep_said(&site, &["keys", "rotate"], 0);
    let server = site.ready().await;
    let page = metrics::address(&server);
    session_again(&server).await;
    until_async("all is sealed anew", async || server.has_logged("all of the state is sealed").then_some(())).await;
    keep_page(&site, page, "page-2.txt");
    tokio::task::block_in_place(|| server.stop());
    let (found, searched) = search(site.dir(), &canaries);
    assert_eq!(found, Vec::<String>::new());
    assert!(searched > 100_000, "only {searched} bytes were searched");
    keep_all_said(&site);
    assert_eq!(search(site.dir(), &canaries).0, Vec::<String>::new());
    println!("TOLD {searched} bytes of disk, logs and metrics searched");
    println!("TOLD {methods} calls made, each of the service's answered and refused");
    println!("COUNTED canary {}", canaries.0.iter().map(Vec::len).sum::<usize>() + methods);
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
    let canaries = canaries("header.claims-of-a-canary.signature-of-a-canary");
    for canary in canaries.0.iter().flatten() {
        let dir = tempfile::tempdir().unwrap();
        let inside = [b"\x00\x01999", canary.as_slice(), b"tail"].concat();
        std::fs::create_dir(dir.path().join("below")).unwrap();
        std::fs::write(dir.path().join("below/file"), inside).unwrap();
        assert_eq!(search(dir.path(), &canaries).0.len(), 1, "{canary:?}");
    }
}
