//! The targets: each takes any bytes, and says in a few words what became of them. A panic, or a property that does not hold, is
//! a finding. Nothing here asks whether bytes are accepted that should not be: that is for the tests of each reader.

use std::path::Path;

use kith_api::client::{CertificateError, CertificateIdentity, certificate_identity};
use kith_api::convert::fault::Faults;
use kith_api::convert::{audit, break_glass, file, flag, identity, lookup, plan, presentation, withholding};
use kith_api::v1;
use kith_domain::NhsNumber;
use kith_domain::codes::{LaCode, OdsCode, SiteCode};
use kith_domain::text::EncounterId;
use kith_domain::time::{Day, Moment};
use kith_merkle::{
    Checkpoint, Hash, LogSigner, Note, VerifierKey, WitnessSigner, verify_consistency, verify_inclusion,
};
use kith_server::identity::PeerIdentity;
use kith_store::{AnswerRef, AuditRef};
use prost::Message;

use kith_cli::fuzz_entry as cli;
use kith_engine::fuzz_entry as engine;
use kith_server::fuzz_entry as server;
use kith_store::fuzz_entry as store;

/// Takes bytes, and a scratch folder for readers of files.
pub type Take = fn(&[u8], &Path) -> std::io::Result<String>;

/// One target.
#[derive(Debug, Clone, Copy)]
pub struct Target {
    /// Its name, and that of its corpus's folder.
    pub name: &'static str,
    /// What it does with bytes.
    pub take: Take,
    /// Longest input worth trying.
    pub most_bytes: usize,
}

const fn target(name: &'static str, take: Take, most_bytes: usize) -> Target {
    Target { name, take, most_bytes }
}

/// Every target.
pub const TARGETS: [Target; 43] = [
    target("messages", |bytes, _| Ok(messages(bytes)), 4_096),
    target("codes", |bytes, _| Ok(codes(bytes)), 128),
    target("certificate", |bytes, _| Ok(certificate(bytes)), 4_096),
    target("revocation-list", |bytes, _| Ok(server::revocation_list(bytes)), 4_096),
    target("revocation-file", server::revocation_file, 8_192),
    target("frames", |bytes, _| Ok(server::frames(bytes)), 16_384),
    target("timeout", |bytes, _| Ok(server::timeout(bytes)), 16),
    target("plan-file", |bytes, _| Ok(server::plan_file(bytes)), 8_192),
    target("mailbox", |bytes, _| Ok(cli::mailbox(bytes)), 4_096),
    target("directory", server::directory, 4_096),
    target("configuration", |bytes, _| Ok(server::configuration(bytes)), 4_096),
    target("policy", |bytes, _| Ok(server::policy(bytes)), 16_384),
    target("tokens", |bytes, _| Ok(server::tokens(bytes, NOW)), 4_096),
    target("rows", |bytes, _| Ok(engine::row(bytes)), 4_096),
    target("sealed", |bytes, _| Ok(store::sealed(bytes)), 256),
    target("key-file", store::key_file, 128),
    target("keyring", |bytes, _| store::keyring(bytes), 1_024),
    target("watermark", store::watermark, 8_192),
    target("snapshot", store::snapshot, 4_096),
    target("audit-segment", segment, 4_096),
    target("tree-leaves", |bytes, _| Ok(store::leaves(bytes)), 4_096),
    target("tree-checkpoints", store::checkpoints, 4_096),
    target("checkpoint", |bytes, _| Ok(checkpoint(bytes)), 2_048),
    target("proof", |bytes, _| Ok(proof(bytes)), 4_096),
    target("verifier-key", |bytes, _| Ok(verifier_key(bytes)), 256),
    target("key-pem", |bytes, _| Ok(key_pem(bytes)), 256),
    target("headers", |bytes, _| Ok(server::headers(bytes)), 512),
    target("references", |bytes, _| Ok(references(bytes)), 64),
    target("row-keys", |bytes, _| Ok(engine::row_key(bytes)), 64),
    target("marks", |bytes, _| Ok(store::marks(bytes)), 64),
    target("replies", |bytes, _| Ok(replies(bytes)), 2_048),
    target("mesh-notes", |bytes, _| Ok(cli::mesh_note(bytes).to_owned()), 256),
    target("page-tokens", |bytes, _| Ok(page_tokens(bytes)), 128),
    target("cosigners", |bytes, _| Ok(store::cosigners(bytes)), 1_024),
    target("own-rows", |bytes, _| Ok(store::own_rows(bytes)), 128),
    target("chain", |bytes, _| Ok(server::chain(bytes)), 4_096),
    target("client-certificate", |bytes, _| Ok(client_certificate(bytes)), 4_096),
    target("pem-files", pem_file, 8_192),
    target("metrics-request", |bytes, _| Ok(server::metrics_request(bytes)), 8_192),
    target("mesh-words", |bytes, _| Ok(cli::mesh_words(bytes)), 2_048),
    target("mesh-configuration", |bytes, _| Ok(cli::mesh_configuration(bytes)), 4_096),
    target("profiles", |bytes, _| Ok(cli::profiles(bytes)), 2_048),
    target("presentation-file", |bytes, _| Ok(cli::push_table(bytes)), 4_096),
];

/// The target of a name.
#[must_use]
pub fn named(name: &str) -> Option<&'static Target> {
    TARGETS.iter().find(|target| target.name == name)
}

/// The moment at which everything is read.
pub const NOW: Moment = Moment(1_790_000_000_000);

fn messages(bytes: &[u8]) -> String {
    let (Some((first, rest)), Ok(asker), Ok(authority)) =
        (bytes.split_first(), OdsCode::parse("R1H"), LaCode::parse("E06000001"))
    else {
        return String::from("nothing");
    };
    match first % 23 {
        0 => parsed("lookup", rest, |message| lookup::parse(message, asker, NOW)),
        1 => parsed("worklist", rest, |message| lookup::parse_worklist(message, asker, NOW, 200)),
        2 => parsed("check-in", rest, |message| presentation::check_in(message, asker, NOW)),
        3 => parsed("record", rest, |message| presentation::record(message, asker)),
        4 => parsed("amend", rest, |message| presentation::amend(message, asker)),
        5 => parsed("close", rest, |message| presentation::close(message, asker)),
        6 => parsed("import", rest, |message| presentation::import(message, asker)),
        7 => parsed("plan", rest, |message: v1::SubmitEventsRequest| {
            let _id = plan::sent_event_id(&message);
            plan::parse(message, authority, asker)
        }),
        8 => parsed("tell", rest, |message| identity::tell(message, asker)),
        9 => parsed("propose", rest, |message| identity::propose(message, asker)),
        10 => parsed("decline", rest, |message| identity::decline(message, asker)),
        11 => parsed("reset", rest, file::reset),
        12 => parsed("acknowledge", rest, |message: v1::AcknowledgeRequest| {
            plan::acknowledging(&message.ids, &message.event_id, 500)
        }),
        14 => parsed("search", rest, |message: v1::SearchRequest| {
            let mut faults = Faults::default();
            let query = audit::search(&mut faults, &message);
            faults.finish(Some(query))
        }),
        15 => parsed("who looked", rest, |message: v1::WhoLookedRequest| {
            let mut faults = Faults::default();
            let query = audit::who_looked(&mut faults, &message);
            faults.finish(Some(query))
        }),
        16 => parsed("opening", rest, |message| break_glass::open(message, asker, NOW)),
        17 => parsed("review", rest, break_glass::review),
        18 => parsed("openings", rest, |message: v1::ListOpeningsRequest| break_glass::position(&message.page_token)),
        19 => parsed("flag's review", rest, |message| flag::review(message, asker)),
        20 => parsed("rates", rest, flag::rates),
        21 => parsed("withholding", rest, withholding::decide),
        22 => parsed("lift", rest, withholding::lift),
        _ => v1::SubmitPlanFileRequest::decode(rest).map_or_else(|_| "file: none".into(), |_| "file: one".into()),
    }
}

/// A message taken apart. No fault repeats what was sent.
fn parsed<M: Message + Default, T>(name: &str, bytes: &[u8], parse: impl Fn(M) -> Result<T, Faults>) -> String {
    let Ok(message) = M::decode(bytes) else { return format!("{name}: no message") };
    match parse(message) {
        Ok(_) => format!("{name}: taken"),
        Err(faults) => {
            assert!(!faults.0.is_empty(), "{name}: refused without a fault");
            let reasons = faults.0.iter().take(3).map(|fault| fault.reason);
            format!("{name}: {}", reasons.collect::<Vec<_>>().join(" "))
        }
    }
}

/// Every code and text that a message or a file holds, as it is written.
fn codes(bytes: &[u8]) -> String {
    let Ok(text) = std::str::from_utf8(bytes) else { return String::from("no text") };
    let number = NhsNumber::parse(text).is_ok();
    let organisation = OdsCode::parse(text).inspect(|code| assert_eq!(OdsCode::parse(code.as_str()), Ok(*code)));
    let authority = LaCode::parse(text).inspect(|code| assert_eq!(LaCode::parse(code.as_str()), Ok(*code)));
    let site = SiteCode::parse(text).is_ok();
    let encounter = EncounterId::parse(text).is_ok();
    let day = Day::parse(text).inspect(|day| assert_eq!(Day::parse(&day.text()), Ok(*day))).is_ok();
    format!("{number} {} {} {site} {encounter} {day}", organisation.is_ok(), authority.is_ok())
}

fn certificate(bytes: &[u8]) -> String {
    let of_uri = std::str::from_utf8(bytes).map(|text| PeerIdentity::from_uri(text, "kith.test"));
    let found = match of_uri {
        Ok(found @ Ok(_)) => found,
        Ok(Err(_)) | Err(_) => PeerIdentity::from_certificate(bytes, "kith.test"),
    };
    match found {
        Ok(identity) => {
            let again = PeerIdentity::from_uri(&identity.to_uri("kith.test"), "kith.test");
            assert_eq!(again.as_ref(), Ok(&identity), "an identity is written as another");
            identity.role.to_string()
        }
        Err(error) => error.to_string(),
    }
}

/// Whom a program takes itself for, by the file of its certificate or by the certificate alone: where the service takes that one, it is
/// the same.
fn client_certificate(bytes: &[u8]) -> String {
    let found = match certificate_identity(bytes) {
        Err(CertificateError::NotACertificate) => {
            let found = certificate_identity(&armoured(bytes));
            if let (Ok(own), Ok(peer)) = (&found, PeerIdentity::from_certificate(bytes, "kith.test")) {
                let taken = (peer.organisation, peer.role.to_string());
                assert_eq!((&own.organisation, &own.role), (&taken.0, &taken.1), "the service takes it for another");
            }
            found
        }
        found @ (Ok(_) | Err(CertificateError::UriNames { .. } | CertificateError::Form)) => found,
    };
    match found {
        Ok(CertificateIdentity { organisation, role }) => {
            assert!(!organisation.is_empty() && !role.is_empty(), "an identity without a word");
            let uri = format!("spiffe://kith.test/org/{organisation}/role/{role}");
            PeerIdentity::from_uri(&uri, "kith.test")
                .map_or_else(|error| error.to_string(), |peer| peer.role.to_string())
        }
        Err(error) => error.to_string().replace(|c: char| c.is_ascii_digit(), ""),
    }
}

/// In the armour of PEM: what a mutation makes of base64 is seldom base64.
fn armoured(der: &[u8]) -> Vec<u8> {
    const LETTERS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    const GROUPS_OF_A_LINE: usize = 16;
    let mut pem = b"-----BEGIN CERTIFICATE-----".to_vec();
    for (number, three) in der.chunks(3).enumerate() {
        if number.is_multiple_of(GROUPS_OF_A_LINE) {
            pem.push(b'\n');
        }
        let byte = |at: usize| three.get(at).map_or(0, |byte| u32::from(*byte));
        let bits = (byte(0) << 16) | (byte(1) << 8) | byte(2);
        for (place, shift) in [18, 12, 6, 0].into_iter().enumerate() {
            let letter = LETTERS[(bits >> shift) as usize & 63];
            pem.push(if place > three.len() { b'=' } else { letter });
        }
    }
    pem.extend_from_slice(b"\n-----END CERTIFICATE-----\n");
    pem
}

/// The server's and the adapter's own files.
fn pem_file(bytes: &[u8], scratch: &Path) -> std::io::Result<String> {
    Ok(format!("{}; mesh: {}", server::pem_file(bytes, scratch)?, cli::mesh_pem(bytes, scratch)?))
}

/// As it is, and with its sums made right, which a mutation seldom leaves.
fn segment(bytes: &[u8], scratch: &Path) -> std::io::Result<String> {
    let (as_it_is, mended) =
        (store::audit_segment(bytes, scratch, false)?, store::audit_segment(bytes, scratch, true)?);
    Ok(format!("{as_it_is}; mended: {mended}"))
}

fn checkpoint(bytes: &[u8]) -> String {
    let note = match Note::parse(bytes) {
        Ok(note) => note,
        Err(error) => return error.to_string().replace(|c: char| c.is_ascii_digit(), ""),
    };
    assert_eq!(note.to_string().as_bytes(), bytes, "a note has a second spelling");
    let read = Checkpoint::parse(&note.text);
    if let Ok(checkpoint) = &read {
        assert_eq!(checkpoint.text(), note.text, "a checkpoint has a second spelling");
    }
    let key: Option<VerifierKey> = crate::seeds::verifier_key().parse().ok();
    let opened = key.map(|key| Checkpoint::open(bytes, &key).is_ok());
    let read = read.map_or_else(|error| error.to_string(), |_| String::from("whole"));
    let witnessed = match crate::seeds::witness_key().map(|key| key.verify_cosignature(&note)) {
        Some(Ok(_)) => String::from("holds"),
        Some(Err(error)) => error.to_string(),
        None => String::from("none"),
    };
    format!("{} signatures, {read}, {opened:?}; witness: {witnessed}", note.signatures.len())
}

/// Two sizes, two hashes and a list of them.
fn proof(bytes: &[u8]) -> String {
    let Some((sizes, rest)) = bytes.split_first_chunk::<16>() else { return String::from("short") };
    let [a @ .., _, _, _, _, _, _, _, _] = *sizes;
    let [_, _, _, _, _, _, _, _, b @ ..] = *sizes;
    // Small trees as well, where a proof can be right.
    let size = |bytes: [u8; 8]| if bytes[0] == 0 { u64::from(bytes[7]) } else { u64::from_be_bytes(bytes) };
    let (first, second) = (size(a), size(b));
    let hashes: Vec<Hash> = rest.as_chunks::<32>().0.to_vec();
    let [one, other, list @ ..] = hashes.as_slice() else { return String::from("few") };
    let included = verify_inclusion(first, second, one, list, other);
    let consistent = verify_consistency(first, second, one, other, list);
    let words = |error: &dyn std::fmt::Display| error.to_string().replace(|c: char| c.is_ascii_digit(), "");
    let included = included.map_or_else(|error| words(&error), |()| String::from("in it"));
    format!("{included}; {}", consistent.map_or_else(|error| words(&error), |()| String::from("goes on")))
}

fn verifier_key(bytes: &[u8]) -> String {
    let text = std::str::from_utf8(bytes).unwrap_or_default();
    match text.parse::<VerifierKey>() {
        Ok(key) => {
            assert_eq!(key.to_string(), text, "a key has a second spelling");
            format!("{:?}", key.kind())
        }
        Err(error) => error.to_string(),
    }
}

/// The secret key of a log, and of a witness: the same bytes are both or neither.
fn key_pem(bytes: &[u8]) -> String {
    let pem = std::str::from_utf8(bytes).unwrap_or_default();
    let log = LogSigner::from_pem(crate::seeds::ORIGIN, pem).map(|signer| signer.key().to_string());
    let witness = WitnessSigner::from_pem(crate::seeds::ORIGIN, pem).map(|signer| signer.key().to_string());
    assert_eq!(log.as_ref().err(), witness.as_ref().err(), "a key of one kind alone");
    match log {
        Ok(key) => {
            assert!(key.parse::<VerifierKey>().is_ok(), "a key whose public half is none");
            String::from("a key")
        }
        Err(error) => error.to_string(),
    }
}

/// The name of an entry of the audit, and of an answer about a shielded child.
fn references(bytes: &[u8]) -> String {
    let text = std::str::from_utf8(bytes).unwrap_or_default();
    let entry = text.parse::<AuditRef>().inspect(|found| assert_eq!(found.text(), text, "an entry has a second name"));
    let answer = text.parse::<AnswerRef>().inspect(|found| {
        assert_eq!(found.text().parse::<AnswerRef>(), Ok(*found), "a reference is written as another");
    });
    format!("entry {}, answer {}", entry.is_ok(), answer.is_ok())
}

/// The size of a page, in fours, and its token: what every list that has pages makes of them.
fn page_tokens(bytes: &[u8]) -> String {
    let Some((first, rest)) = bytes.split_first() else { return String::from("nothing") };
    let Ok(token) = std::str::from_utf8(rest) else { return String::from("no text") };
    let opening = break_glass::position(token);
    if let Ok(Some(found)) = opening {
        let again = break_glass::position(&break_glass::token(found));
        assert_eq!(again, Ok(Some(found)), "the token of an opening is written as another");
    }
    let lists = server::page(u32::from(*first) * 4, token);
    format!("{}, opening {}; {lists}", engine::page_token(token), opening.is_ok())
}

/// An answer, or the details of an error: what a client makes of it.
fn replies(bytes: &[u8]) -> String {
    let Some((first, rest)) = bytes.split_first() else { return String::from("nothing") };
    if first % 2 == 1 {
        return cli::trouble(rest);
    }
    v1::Answer::decode(rest).map_or_else(|_| String::from("no answer"), |answer| cli::answer(&answer))
}
