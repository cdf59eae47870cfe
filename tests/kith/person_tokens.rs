//! Tokens that prove the person, over the wire: who needs one is answered with it alone, what does not stand is refused as nothing
//! asked and is in the audit, and a changed list counts at once.

pub mod every_call;

use std::collections::BTreeSet;
use std::path::Path;
use std::process::{Command, Output};

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use kith_api::client::Client;
use kith_api::v1;
use kith_domain::method::Method;
use kith_domain::refusal_code::RefusalCode;
use kith_engine::{AuditEntry, Configured, Decision};
use rcgen::{KeyPair, PKCS_ED25519, PublicKeyData, SigningKey};
use serde_json::{Value, json};
use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;
use tonic::{Code, Status, Streaming};

use crate::harness::build::{self, nhs};
use crate::harness::calls::{self, expect_trouble};
use crate::harness::offline;
use crate::harness::process::{Server, program};
use crate::harness::site::{AUTHORITIES, Site, TRUSTS};
use crate::harness::wait::{until, until_async};
use every_call::{Said, every_call};

/// Its people need a token.
pub const A: &str = AUTHORITIES[0];
/// Nothing is asked of its people.
const B: &str = AUTHORITIES[1];
/// Its people need a token.
pub const ED: &str = TRUSTS[0];
/// Its people may send one.
const MAY: &str = TRUSTS[1];
/// Nothing is asked of its people.
const FREE: &str = TRUSTS[2];

const ISSUER: &str = "https://id.example";
const AUDIENCE: &str = "https://kith.example";

/// Who signs tokens.
pub struct Signer {
    pair: KeyPair,
    kid: &'static str,
}

impl Signer {
    pub fn new(kid: &'static str) -> Self {
        Self { pair: KeyPair::generate_for(&PKCS_ED25519).unwrap(), kid }
    }

    fn key(&self) -> Value {
        json!({"kty": "OKP", "crv": "Ed25519", "kid": self.kid, "use": "sig", "x": encoded(self.pair.der_bytes())})
    }

    pub fn sign(&self, claims: &Value) -> String {
        let header = json!({"alg": "EdDSA", "kid": self.kid, "typ": "JWT"});
        let signed = format!("{}.{}", encoded(header.to_string()), encoded(claims.to_string()));
        let signature = self.pair.sign(signed.as_bytes()).unwrap();
        format!("{signed}.{}", encoded(signature))
    }

    /// A token that stands for the person of the fixtures.
    pub fn token(&self, organisation: &str) -> String {
        self.sign(&claims(organisation))
    }
}

fn encoded(bytes: impl AsRef<[u8]>) -> String {
    URL_SAFE_NO_PAD.encode(bytes)
}

fn claims(organisation: &str) -> Value {
    let now = build::now().0 / 1_000;
    json!({
        "iss": ISSUER, "aud": AUDIENCE, "sub": build::USER, "name": build::NURSE, "role_code": "R8000",
        "organisation": organisation, "iat": now, "nbf": now, "exp": now + 600,
    })
}

/// What a token claims of the person of the fixtures, with one claim that is otherwise.
pub fn with(organisation: &str, name: &str, value: impl Into<Value>) -> Value {
    let mut claims = claims(organisation);
    claims[name] = value.into();
    claims
}

/// Both organisations of the tests and an authority, of which the first and the last need a token.
fn list() -> String {
    let entry = |codes: &[&str], required: bool| {
        format!(
            "[[organisation]]\ncodes = {codes:?}\nrequired = {required}\nissuer = \"{ISSUER}\"\naudience = \"{AUDIENCE}\"\n\
             keys = \"keys.json\"\n"
        )
    };
    format!("version = 1\nlisted = 3\n{}{}", entry(&[ED, A], true), entry(&[MAY], false))
}

fn replace(path: &Path, text: &str) {
    std::fs::write(path.with_extension("new"), text).unwrap();
    std::fs::rename(path.with_extension("new"), path).unwrap();
}

/// Makes the site trust who signs.
pub fn trust(site: &Site, signers: &[&Signer]) {
    write_keys(site, signers);
    replace(&site.path("tokens.toml"), &list());
}

fn write_keys(site: &Site, signers: &[&Signer]) {
    let keys: Vec<Value> = signers.iter().map(|signer| signer.key()).collect();
    replace(&site.path("keys.json"), &json!({"keys": keys}).to_string());
}

fn site(signers: &[&Signer]) -> Site {
    let site = Site::with(&[
        ("person_tokens", "file", "\"tokens.toml\""),
        ("tls", "reload_interval_ms", "50"),
        ("log", "level", "\"info,kith_server=trace,kith_engine=trace,kith_api=trace\""),
    ]);
    trust(&site, signers);
    site
}

pub async fn proven(server: &Server, name: &str, token: &str) -> Client {
    server.client(name).await.with_person_token(token).unwrap()
}

async fn ask(client: &Client, organisation: &str) -> Result<v1::Answer, Status> {
    calls::try_ask(client, build::lookup(organisation, nhs(1))).await
}

/// How often the audit says that calls were refused for a reason.
fn refused(entries: &[AuditEntry], reason: &str) -> usize {
    let is = |entry: &&AuditEntry| matches!(entry.decision, Decision::Refused(code) if code.word() == reason);
    entries.iter().filter(is).count()
}

/// How often the audit says of somebody who was refused for not being proven that they were.
fn refused_as_proven(entries: &[AuditEntry]) -> usize {
    let of_proof = |code: RefusalCode| code.word().starts_with("PERSON_TOKEN_");
    let is = |entry: &&AuditEntry| matches!(entry.decision, Decision::Refused(code) if of_proof(code));
    entries.iter().filter(is).filter(|entry| entry.person_proven).count()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nothing_is_done_without_the_token_that_is_needed() {
    let signer = Signer::new("k1");
    let mut site = site(&[&signer]);
    let server = site.ready().await;
    let (ed, la) = (server.client(ED).await, server.client(A).await);
    let another = |organisation: &str| signer.sign(&with(organisation, "sub", "somebody else"));
    let (other_ed, other_la) = (proven(&server, ED, &another(ED)).await, proven(&server, A, &another(A)).await);
    let said = Said { child: nhs(1), other: nhs(2), words: "looked for since noon", reference: "e" };
    let (mut called, mut count) = (BTreeSet::new(), 0);
    for (reason, ed, la) in [("PERSON_TOKEN_MISSING", &ed, &la), ("PERSON_TOKEN_OTHER_PERSON", &other_ed, &other_la)] {
        let made = every_call((ed, ED), (la, A), said).await;
        count = made.len();
        for (method, result) in made {
            println!("{}", method.word());
            expect_trouble(result, Code::Unauthenticated, reason, &[]);
            called.insert(method);
        }
    }
    let every: BTreeSet<Method> = Method::WORDS.map(|(method, _)| method).into();
    assert_eq!(called, every, "each has been tried");
    for (organisation, name) in [(ED, ED), (A, A)] {
        let client = proven(&server, name, &signer.token(organisation)).await;
        let request = client.request(v1::GetStatusRequest { include_feeds: false });
        client.status().get_status(request).await.unwrap();
    }
    let la = proven(&server, A, &signer.token(A)).await;
    calls::accept(&la, vec![build::plan(nhs(1), "P")]).await;
    let ed = proven(&server, ED, &signer.token(ED)).await;
    let answer = ask(&ed, ED).await.unwrap();
    assert_eq!(answer.plans.unwrap().plans.len(), 1);
    // Nobody else is asked.
    ask(&server.client(FREE).await, FREE).await.unwrap();
    ask(&server.client(MAY).await, MAY).await.unwrap();
    server.status().await;
    tokio::task::block_in_place(|| server.stop());
    let entries: Vec<AuditEntry> = offline::audit(site.dir()).into_values().collect();
    for reason in ["PERSON_TOKEN_MISSING", "PERSON_TOKEN_OTHER_PERSON"] {
        assert_eq!(refused(&entries, reason), count, "{reason}");
    }
    let about = |method| entries.iter().filter(|entry| entry.method == Some(method) && entry.subject.is_some()).count();
    assert_eq!(about(Method::Lookup), 5, "a refused question says whom it was about");
    assert_eq!(about(Method::OpenShielded), 2, "a refused opening too");
    let proven = |of: &str| {
        let of_theirs = |entry: &&AuditEntry| entry.organisation.is_some_and(|code| code.as_str() == of);
        let looks = entries.iter().filter(of_theirs).filter(|entry| entry.decision.is_look());
        looks.map(|entry| entry.person_proven).collect::<Vec<_>>()
    };
    assert_eq!([proven(ED), proven(MAY), proven(FREE)], [[true], [false], [false]], "who was answered");
    assert_eq!(refused_as_proven(&entries), 0, "somebody else's token proves nobody");
    site.finish(&[]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_does_not_stand_proves_nobody() {
    let (signer, stranger) = (Signer::new("k1"), Signer::new("k1"));
    let mut site = site(&[&signer]);
    let server = site.ready().await;
    let now = build::now().0 / 1_000;
    let mut old = with(ED, "exp", now - 61);
    (old["iat"], old["nbf"]) = ((now - 600).into(), (now - 600).into());
    let tokens = [
        ("PERSON_TOKEN_EXPIRED", signer.sign(&old)),
        ("PERSON_TOKEN_NOT_YET_VALID", signer.sign(&with(ED, "nbf", now + 300))),
        ("PERSON_TOKEN_LIFETIME", signer.sign(&with(ED, "exp", now + 100_000))),
        ("PERSON_TOKEN_NOT_TRUSTED", stranger.token(ED)),
        ("PERSON_TOKEN_NOT_TRUSTED", Signer::new("k2").token(ED)),
        ("PERSON_TOKEN_NOT_TRUSTED", signer.sign(&with(ED, "aud", "https://other.example"))),
        ("PERSON_TOKEN_NOT_TRUSTED", signer.sign(&with(ED, "iss", "https://other.example"))),
        ("PERSON_TOKEN_OTHER_ORGANISATION", signer.token(MAY)),
        ("PERSON_TOKEN_OTHER_PERSON", signer.sign(&with(ED, "sub", "somebody else"))),
        ("PERSON_TOKEN_OTHER_PERSON", signer.sign(&with(ED, "name", "Somebody Else"))),
        ("PERSON_TOKEN_OTHER_PERSON", signer.sign(&with(ED, "role_code", "R8001"))),
        ("PERSON_TOKEN_UNREADABLE", "a.b.c".to_owned()),
        ("PERSON_TOKEN_UNREADABLE", signer.sign(&with(ED, "more", "x".repeat(8_000)))),
    ];
    let good = proven(&server, ED, &signer.token(ED)).await;
    ask(&good, ED).await.unwrap();
    for (reason, token) in &tokens {
        let client = proven(&server, ED, token).await;
        for result in [ask(&client, ED).await, ask(&client, ED).await] {
            expect_trouble(result, Code::Unauthenticated, reason, &[]);
        }
        let check_in = calls::check_in(&client, build::check_in(ED, nhs(2), "e")).await;
        expect_trouble(check_in, Code::Unauthenticated, reason, &[]);
    }
    // Who may send one is held to it; who is not listed is not.
    let may = proven(&server, MAY, &stranger.token(MAY)).await;
    expect_trouble(ask(&may, MAY).await, Code::Unauthenticated, "PERSON_TOKEN_NOT_TRUSTED", &[]);
    ask(&proven(&server, MAY, &signer.token(MAY)).await, MAY).await.unwrap();
    ask(&proven(&server, FREE, &stranger.token(FREE)).await, FREE).await.unwrap();
    // Nothing of the refused check-ins was recorded.
    let answer = calls::ask(&good, build::lookup(ED, nhs(2))).await;
    assert_eq!(answer.presentations.unwrap().at_this_organisation.len(), 0);
    tokio::task::block_in_place(|| server.stop());
    let entries: Vec<AuditEntry> = offline::audit(site.dir()).into_values().collect();
    for (reason, _) in &tokens {
        let times = tokens.iter().filter(|(other, _)| other == reason).count() * 3;
        let optional = usize::from(*reason == "PERSON_TOKEN_NOT_TRUSTED");
        assert_eq!(refused(&entries, reason), times + optional, "{reason}");
    }
    assert_eq!(refused_as_proven(&entries), 0, "what does not stand");
    for (_, token) in &tokens {
        for log in site.logs() {
            assert!(!std::fs::read_to_string(log).unwrap().contains(token.as_str()), "a token is in the log");
        }
    }
    site.finish(&[]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_key_that_is_gone_counts_at_once_and_a_bad_list_changes_nothing() {
    let (old, new) = (Signer::new("k1"), Signer::new("k2"));
    let mut site = site(&[&old]);
    let server = site.ready().await;
    let by_old = proven(&server, ED, &old.token(ED)).await;
    let by_new = proven(&server, ED, &new.token(ED)).await;
    ask(&by_old, ED).await.unwrap();
    expect_trouble(ask(&by_new, ED).await, Code::Unauthenticated, "PERSON_TOKEN_NOT_TRUSTED", &[]);

    write_keys(&site, &[&new]);
    until_async("the new key counts", async || ask(&by_new, ED).await.ok()).await;
    expect_trouble(ask(&by_old, ED).await, Code::Unauthenticated, "PERSON_TOKEN_NOT_TRUSTED", &[]);

    let tokens = site.path("tokens.toml");
    let whole = list();
    let (cut_short, _) = whole.rsplit_once("[[organisation]]").unwrap();
    for bad in ["", "version = 2", &list().replace("required", "wanted"), &list().replace(ED, MAY), cut_short] {
        replace(&tokens, bad);
        let log = || std::fs::read_to_string(server.log()).unwrap().matches("stays in force as it was").count();
        let before = log();
        until("the bad list is seen", || (log() > before).then_some(()));
        ask(&by_new, ED).await.unwrap();
        expect_trouble(ask(&server.client(ED).await, ED).await, Code::Unauthenticated, "PERSON_TOKEN_MISSING", &[]);
    }

    replace(&tokens, "version = 1\nlisted = 0\n");
    let free = server.client(ED).await;
    until_async("nobody is listed any more", async || ask(&free, ED).await.ok()).await;
    tokio::task::block_in_place(|| server.stop());
    let audit = offline::audit(site.dir());
    let changes: Vec<Option<[u8; 32]>> = audit
        .values()
        .filter_map(|entry| {
            if let Decision::ConfigChanged(Configured::PersonTokens, sha256) = entry.decision {
                return Some(Some(sha256));
            }
            matches!(entry.decision, Decision::ConfigRefused(Configured::PersonTokens)).then_some(None)
        })
        .collect();
    let known: Vec<bool> = changes.iter().map(Option::is_some).collect();
    assert_eq!(known, [true, true, false, false, false, false, false, true], "start, new key, five bad ones, nobody");
    assert_ne!(changes[0], changes[1], "another set of keys is another content");
    site.finish(&["the person-token list stays in force as it was"]);
}

/// Sends heartbeats until the stream ends: how it ended, and how many were acknowledged.
async fn until_it_ends(
    events: &mpsc::Sender<v1::SubmitEventsRequest>,
    verdicts: &mut Streaming<v1::SubmitEventsResponse>,
) -> (Status, u32) {
    let mut acknowledged = 0;
    let ended = until_async("the stream ends", async || {
        // It may have ended already, and the next verdict says so.
        let _ = events.send(build::heartbeat()).await;
        match verdicts.message().await {
            Ok(verdict) => {
                acknowledged += u32::from(verdict.expect("a verdict").verdict.is_some());
                None
            }
            Err(status) => Some(status),
        }
    })
    .await;
    (ended, acknowledged)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_stream_that_began_before_a_token_was_needed_ends_when_it_is() {
    let signer = Signer::new("k1");
    let mut site = site(&[&signer]);
    let server = site.ready().await;
    let client = server.client(B).await;
    let (events, stream) = mpsc::channel(8);
    let mut verdicts = client.plans().submit_events(ReceiverStream::new(stream)).await.unwrap().into_inner();
    events.send(build::heartbeat()).await.unwrap();
    assert!(verdicts.message().await.unwrap().is_some(), "nobody is asked");
    let with_it = list().replace(A, &format!("{A}\", \"{B}")).replace("listed = 3", "listed = 4");
    replace(&site.path("tokens.toml"), &with_it);
    let (ended, _) = until_it_ends(&events, &mut verdicts).await;
    expect_trouble::<()>(Err(ended), Code::Unauthenticated, "PERSON_TOKEN_MISSING", &[]);
    tokio::task::block_in_place(|| server.stop());
    site.finish(&[]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_stream_ends_with_the_token_with_which_it_began() {
    let signer = Signer::new("k1");
    let mut site = site(&[&signer]);
    replace(&site.path("tokens.toml"), &list().replacen("version = 1", "version = 1\nclock_skew_s = 0", 1));
    let server = site.ready().await;
    let soon = build::now().0 / 1_000 + 5;
    let client = proven(&server, A, &signer.sign(&with(A, "exp", soon))).await;
    let (events, stream) = mpsc::channel(8);
    let mut verdicts = client.plans().submit_events(ReceiverStream::new(stream)).await.unwrap().into_inner();
    let (ended, acknowledged) = until_it_ends(&events, &mut verdicts).await;
    expect_trouble::<()>(Err(ended), Code::Unauthenticated, "PERSON_TOKEN_EXPIRED", &[]);
    assert!(acknowledged > 0 && build::now().0 >= soon * 1_000, "{acknowledged} before its time was over");
    tokio::task::block_in_place(|| server.stop());
    let entries: Vec<AuditEntry> = offline::audit(site.dir()).into_values().collect();
    assert_eq!(refused(&entries, "PERSON_TOKEN_EXPIRED"), 1);
    site.finish(&[]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_stream_ends_when_the_key_that_proved_its_sender_is_gone() {
    let (old, new) = (Signer::new("k1"), Signer::new("k2"));
    let mut site = site(&[&old]);
    let server = site.ready().await;
    let client = proven(&server, A, &old.token(A)).await;
    let (events, stream) = mpsc::channel(8);
    let mut verdicts = client.plans().submit_events(ReceiverStream::new(stream)).await.unwrap().into_inner();
    events.send(build::heartbeat()).await.unwrap();
    assert!(verdicts.message().await.unwrap().is_some(), "its key counts");
    write_keys(&site, &[&old, &new]);
    let by_new = proven(&server, ED, &new.token(ED)).await;
    until_async("the new key counts", async || ask(&by_new, ED).await.ok()).await;
    events.send(build::heartbeat()).await.unwrap();
    assert!(verdicts.message().await.unwrap().is_some(), "another key beside it ends nothing");
    write_keys(&site, &[&new]);
    let (ended, _) = until_it_ends(&events, &mut verdicts).await;
    expect_trouble::<()>(Err(ended), Code::Unauthenticated, "PERSON_TOKEN_NOT_TRUSTED", &[]);
    tokio::task::block_in_place(|| server.stop());
    site.finish(&[]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_file_that_was_long_on_its_way_needs_a_token_that_still_counts() {
    let signer = Signer::new("k1");
    let mut site = site(&[&signer]);
    replace(&site.path("tokens.toml"), &list().replacen("version = 1", "version = 1\nclock_skew_s = 0", 1));
    let server = site.ready().await;
    let soon = build::now().0 / 1_000 + 5;
    let client = proven(&server, A, &signer.sign(&with(A, "exp", soon))).await;
    let (pieces, stream) = mpsc::channel(8);
    let sent = tokio::spawn(async move { client.plan_files().submit_plan_file(ReceiverStream::new(stream)).await });
    pieces.send(v1::SubmitPlanFileRequest { chunk: b"kith-plans,1,1,changes\n".to_vec() }).await.unwrap();
    until_async("its time is over", async || (build::now().0 >= soon * 1_000).then_some(())).await;
    assert!(!sent.is_finished(), "it is still on its way");
    drop(pieces);
    let sent = sent.await.unwrap().map(|_| ());
    expect_trouble(sent, Code::Unauthenticated, "PERSON_TOKEN_EXPIRED", &[]);
    tokio::task::block_in_place(|| server.stop());
    let entries: Vec<AuditEntry> = offline::audit(site.dir()).into_values().collect();
    assert_eq!(refused(&entries, "PERSON_TOKEN_EXPIRED"), 1);
    assert!(!entries.iter().any(|entry| entry.decision.changed().is_some()), "nothing was taken");
    site.finish(&[]);
}

#[test]
fn kithd_does_not_start_with_a_bad_list() {
    let site = site(&[&Signer::new("k1")]);
    std::fs::write(site.path("keys.json"), "{\"keys\":[]}").unwrap();
    for verb in ["serve", "check-config"] {
        let mut command = Command::new(program("kithd"));
        let output = command.current_dir(site.dir()).args([verb, "--config", "kithd.toml"]).output().unwrap();
        assert_eq!(output.status.code(), Some(78), "a mistake in the configuration");
        let said = [output.stdout, output.stderr].concat();
        assert!(String::from_utf8_lossy(&said).contains("keys keys.json: expected a key for"), "{verb}");
    }
    site.finish(&[]);
}

/// Asks with `kith`, as a nurse does.
fn kith(site: &Site, server: &Server, more: &[&str]) -> Output {
    let options = server.options(ED);
    let mut command = Command::new(program("kith"));
    command.args(["lookup", "--nhs-number", &nhs(1).digits(), "--server", &options.server]);
    for (flag, path) in [("--ca", options.ca), ("--cert", options.cert), ("--key", options.key)] {
        command.arg(flag).arg(path);
    }
    command.args(["--user-id", build::USER, "--user-name", build::NURSE]);
    command.args(["--user-role", "Nurse", "--role-code", "R8000"]);
    command.current_dir(site.dir()).args(more).output().unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_nurse_without_a_token_could_not_ask() {
    let signer = Signer::new("k1");
    let mut site = site(&[&signer]);
    let server = site.ready().await;
    std::fs::write(site.path("good.jwt"), format!("{}\n", signer.token(ED))).unwrap();
    std::fs::write(site.path("bad.jwt"), "a.b.c").unwrap();
    std::fs::write(site.path("odd.jwt"), "no token at all").unwrap();
    tokio::task::block_in_place(|| {
        for (more, code, words) in [
            (&[][..], 20, "PERSON_TOKEN_MISSING"),
            (&["--person-token-file", "bad.jwt"][..], 20, "PERSON_TOKEN_UNREADABLE"),
            (&["--person-token-file", "odd.jwt"][..], 22, "expected one token"),
            (&["--person-token-file", "none.jwt"][..], 22, "person token file none.jwt"),
        ] {
            let output = kith(&site, &server, more);
            let page = String::from_utf8_lossy(&output.stdout).into_owned();
            assert_eq!(output.status.code(), Some(code), "{words}: {page}");
            assert!(page.contains("NO ANSWER about this child") && page.contains(words), "{words}: {page}");
        }
        let output = kith(&site, &server, &["--person-token-file", "good.jwt"]);
        let page = String::from_utf8_lossy(&output.stdout).into_owned();
        assert_eq!(output.status.code(), Some(12), "no feed is known, so it cannot say: {page}");
        server.stop();
    });
    site.finish(&[]);
}
