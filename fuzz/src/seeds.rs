//! What fuzzing begins with: a few good inputs for each target, made by the code that writes them. No number of a person is in
//! them but those of the range for tests.

mod chains;
mod messages;

use kith_api::v1;
use kith_merkle::{Checkpoint, LogSigner, VerifierKey, WitnessSigner};
use kith_server::config::DEFAULT_FILE;
use prost::Message;

const ID: &str = "0198c7a0-0000-7000-8000-000000000001";
const NUMBER: &str = "9990000018";
const CONTACT: &str = "[answers]\nnational_contact_name = \"Duty desk\"\nnational_contact_phone = \"01632 960001\"\n";

/// The adapter's configuration as it is delivered.
const MESH: &str = include_str!("../../config/mesh.toml");

/// The policy that is built in, written out.
const POLICY: &str = include_str!("../../config/policy.toml");

/// The log whose checkpoints stand in the corpus.
pub(crate) const ORIGIN: &str = "kith.test/audit";

/// A key that everybody knows, as openssl writes one: it leaves the public half out.
const PEM: &str = "-----BEGIN PRIVATE KEY-----\n\
                   MC4CAQAwBQYDK2VwBCIEIAcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcH\n\
                   -----END PRIVATE KEY-----\n";

fn signer() -> Option<LogSigner> {
    LogSigner::from_seed(ORIGIN, &[7; 32]).ok()
}

/// The key that opens the checkpoints of the corpus.
#[must_use]
pub fn verifier_key() -> String {
    signer().map_or_else(String::new, |signer| signer.key().to_string())
}

fn witness() -> Option<WitnessSigner> {
    WitnessSigner::from_seed("witness.test/one", &[6; 32]).ok()
}

/// The key of the witness that has cosigned one of the checkpoints of the corpus.
#[must_use]
pub fn witness_key() -> Option<VerifierKey> {
    Some(witness()?.key().clone())
}

/// Good inputs of a target, at least one.
#[must_use]
pub fn of(target: &str) -> Vec<Vec<u8>> {
    match target {
        "messages" => messages::messages(),
        "codes" => texts(&[NUMBER, "R1H", "E06000001", "R1H12", "2026-02-28", "E-1/2"]),
        "certificate" => [certificates(), texts(&["spiffe://kith.test/org/R1H/role/ed"])].concat(),
        "revocation-list" => lists().into_iter().map(|(der, _)| der).collect(),
        "revocation-file" => lists().into_iter().map(|(_, pem)| pem.into_bytes()).collect(),
        "frames" => connections(),
        "timeout" => texts(&["5S", "250m", "99999999H", "1n"]),
        "plan-file" => texts(&[
            "kith-plans,1,7,snapshot,end-missing\nnhs_number,date_of_birth,plan,start,end,reference,family,remark\n\
             9990000018,2020-02-29,cpp,2026-01-10,,P-1,F-1,shielded\n9990000026,2019-01-01,lac,2026-01-10,2026-03-01,P-2,,\n",
            "\u{feff}kith-plans,1,8,changes\r\nnhs_number,date_of_birth,plan,start,end,reference,family,remark\r\n",
        ]),
        "mailbox" => [mailbox(), vec![kith_cli::fuzz_entry::mailbox_seed()]].concat(),
        "directory" => directory(),
        "configuration" => {
            texts(&[CONTACT, &DEFAULT_FILE.replace("contact_name = \"\"", "contact_name = \"Duty desk\"")])
        }
        "policy" => texts(&[POLICY, &POLICY.replace("ops", "auditor")]),
        "tokens" => kith_server::fuzz_entry::tokens_seeds(crate::targets::NOW),
        "rows" => rows(),
        "sealed" => vec![kith_store::fuzz_entry::sealed_seed()],
        "key-file" => texts(&[&format!("{}\n", "07".repeat(32))]),
        "keyring" => kith_store::fuzz_entry::keyring_seed().into_iter().collect(),
        "watermark" => vec![kith_store::fuzz_entry::watermark_seed()],
        "snapshot" => vec![kith_store::fuzz_entry::snapshot_seed()],
        "audit-segment" => vec![kith_store::fuzz_entry::audit_segment_seed()],
        "tree-leaves" => vec![kith_store::fuzz_entry::leaves_seed()],
        "tree-checkpoints" => vec![kith_store::fuzz_entry::checkpoints_seed()],
        "checkpoint" => notes(),
        "proof" => vec![[&[0, 0, 0, 0, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 2][..], &[1; 96]].concat()],
        "verifier-key" => texts(&[&verifier_key()]),
        "key-pem" => texts(&[PEM]),
        "headers" => headers(),
        "references" => texts(&["1-000000000007", "7KQM2XBD9F4TH3", "7kqm 2xbd-9f4t h3"]),
        "row-keys" => row_keys(),
        "marks" => kith_store::fuzz_entry::marks_seeds(),
        "replies" => replies(),
        "mesh-notes" => texts(&[
            "{\"step\":\"answered\"}",
            "{\"step\":\"answering\",\"hmac\":\"00\",\"created_at\":[1,2],\"repeated\":false}",
        ]),
        "page-tokens" => page_tokens(),
        "cosigners" => texts(&[
            "kith-cosigners/1\nR1H\nRRK\n\n\u{2014} witness.test/one AQIDBAA=\n\u{2014} witness.test/two BQYHCAA=\n",
        ]),
        "own-rows" => vec![vec![7; 40], vec![7; 72]],
        _ => of_files_and_clients(target),
    }
}

/// Of those that read certificates, requests of the metrics page, and what a person's and the adapter's programs read.
fn of_files_and_clients(target: &str) -> Vec<Vec<u8>> {
    match target {
        "chain" => chains::chains(),
        "client-certificate" => [certificates(), chains::client_pem()].concat(),
        "pem-files" => [chains::pem_files(), texts(&[PEM])].concat(),
        "metrics-request" => texts(&[
            "GET /metrics HTTP/1.1\r\nHost: localhost:9100\r\nAccept: text/plain\r\n\r\n",
            "GET / HTTP/1.1\r\n\r\n",
            "POST /metrics HTTP/1.1\r\nContent-Length: 0\r\n\r\n",
        ]),
        "mesh-words" => texts(&[
            "{\"detail\":[{\"event\":\"SEND\",\"code\":\"12\",\"msg\":\"Unregistered to address 9990000018\"}]}",
            "{\"detail\":[{\"msg\":\"999\\u200b000\\t0018\"},{\"code\":null}],\"more\":{}}",
            "{\"detail\":[]}",
        ]),
        "mesh-configuration" => texts(&[MESH, &MESH.replace("E06000002", "Hartlepool")]),
        "profiles" => texts(&[
            "[default]\nserver = 'a:1'\nca = 'ca.pem'\npurpose = 'direct-care'\n[night]\nserver = 'b:2'\nkey = '/etc/k.pem'\n\
             person_token_file = 'me.jwt'\n",
        ]),
        "presentation-file" => presentation_files(),
        _ => Vec::new(),
    }
}

fn texts(all: &[&str]) -> Vec<Vec<u8>> {
    all.iter().map(|text| text.as_bytes().to_vec()).collect()
}

fn certificates() -> Vec<Vec<u8>> {
    let make = |uris: &[&str]| -> Option<Vec<u8>> {
        let mut params = rcgen::CertificateParams::new([String::from("host.example")]).ok()?;
        for uri in uris {
            params.subject_alt_names.push(rcgen::SanType::URI((*uri).try_into().ok()?));
        }
        Some(params.self_signed(&rcgen::KeyPair::generate().ok()?).ok()?.der().to_vec())
    };
    let one = "spiffe://kith.test/org/R1H/role/ed";
    [&[one][..], &[one, one], &[], &["spiffe://kith.test/org/E06000001/role/local-authority"]]
        .into_iter()
        .filter_map(make)
        .collect()
}

/// A list of an authority of its own, in DER and in PEM.
fn lists() -> Vec<(Vec<u8>, String)> {
    let make = || -> Option<(Vec<u8>, String)> {
        let mut params = rcgen::CertificateParams::new(Vec::<String>::new()).ok()?;
        params.is_ca = rcgen::IsCa::Ca(rcgen::BasicConstraints::Unconstrained);
        params.key_usages = vec![rcgen::KeyUsagePurpose::CrlSign, rcgen::KeyUsagePurpose::KeyCertSign];
        let issuer = rcgen::Issuer::new(params, rcgen::KeyPair::generate().ok()?);
        let revoked = rcgen::RevokedCertParams {
            serial_number: rcgen::SerialNumber::from(7_u64),
            revocation_time: rcgen::date_time_ymd(2026, 1, 1),
            reason_code: None,
            invalidity_date: None,
        };
        let list = rcgen::CertificateRevocationListParams {
            this_update: rcgen::date_time_ymd(2026, 1, 1),
            next_update: rcgen::date_time_ymd(2026, 2, 1),
            crl_number: rcgen::SerialNumber::from(1_u64),
            issuing_distribution_point: None,
            revoked_certs: vec![revoked],
            key_identifier_method: rcgen::KeyIdMethod::Sha256,
        };
        let list = list.signed_by(&issuer).ok()?;
        Some((list.der().to_vec(), list.pem().ok()?))
    };
    make().into_iter().collect()
}

/// What a client sends, what a server refuses it with, and one block of a server's headers by itself.
fn connections() -> Vec<Vec<u8>> {
    /// The status 431, put into the table.
    const CUT: [u8; 5] = [0x48, 0x83, 0x69, 0x90, 0xff];
    let frame = |kind: u8, flags: u8, payload: &[u8]| {
        [&[0, 0, u8::try_from(payload.len()).unwrap_or(0), kind, flags, 0, 0, 0, 1][..], payload].concat()
    };
    let begun = [b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n".to_vec(), frame(4, 0, &[0, 4, 0, 1, 0, 0])].concat();
    let asks = [frame(8, 0, &[0, 0, 1, 0]), frame(1, 4, &[0x83, 0x87]), frame(0, 1, &[0; 9]), frame(6, 0, &[7; 8])];
    // A call too many; headers that are cut, and again from the table, in two frames; an end.
    let refuses = [
        frame(3, 0, &[0, 0, 0, 7]),
        frame(1, 4, &CUT),
        frame(1, 0, &[0xbe]),
        frame(9, 4, &[]),
        frame(7, 0, &[0, 0, 0, 1, 0, 0, 0, 11]),
    ];
    vec![[begun.clone(), asks.concat()].concat(), [begun, refuses.concat()].concat(), CUT.to_vec()]
}

/// A message in parts, and a report with a page of the inbox.
fn mailbox() -> Vec<Vec<u8>> {
    texts(&[
        "mex-messagetype: DATA\nmex-from: X26ABC2\nmex-workflowid: W\nmex-chunk-range: 1:3\nmex-messageid: A_1\n\n\
         kith-plans,1,7,changes\n",
        "mex-messagetype: REPORT\nmex-linkedmsgid: B2\nmex-statuscode: 14\n\n\
         {\"messages\":[\"A\"],\"links\":{\"next\":\"/messageexchange/X26ABC1/inbox?continue_from=c\"}}",
    ])
}

fn directory() -> Vec<Vec<u8>> {
    let files = [
        "ods_code,name,contact_phone,successor_code\nR1H,Barts,01632 960100,RRK\nRRK,UHB,01632 960101,\n",
        "ods_site_code,name,organisation_code\nR1H12,Royal London,R1H\n",
        "gss_code,name,office_phone,out_of_hours_phone,office_opens,office_closes\n\
         E06000001,Hartlepool,01632 960200,01632 960201,08:30,17:00\n",
    ];
    (0..).zip(files).map(|(kind, text)| [&[kind][..], text.as_bytes()].concat()).collect()
}

/// With a row that is sent and one that is not, and with other line ends, a mark and quotes.
fn presentation_files() -> Vec<Vec<u8>> {
    const HEADER: &str =
        "site,encounter_id,version,nhs_number,date_of_birth,arrived_at,care_setting,complaint,outcome,outcome_at";
    let sent = "R1H12,E1,1,9990000018,2020-02-29,2026-11-14T21:40:00Z,emergency-department,head-injury,,";
    texts(&[
        &format!("{HEADER}\n{sent}\n{}\n", sent.replace("head-injury", "sprain")),
        &format!("\u{feff}{HEADER},event_id\r\n{sent},{ID}\r\n{},\"\"\r\n", sent.replace("E1", "\"E 2\"")),
    ])
}

/// The schema's byte behind each kind of row; what follows is for mutations to find.
fn rows() -> Vec<Vec<u8>> {
    (0..19_u8)
        .flat_map(|kind| [vec![kind, 1], [&[kind, 1][..], &[0; 64]].concat(), [&[kind, 1][..], &[1; 64]].concat()])
        .collect()
}

/// A person before and after it is written as a header, and a trace.
fn headers() -> Vec<Vec<u8>> {
    let caller = messages::caller().unwrap_or_default().encode_to_vec();
    let written = ["\u{1}CgN1LTE", "\u{2}00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"];
    [vec![[&[0_u8][..], &caller].concat()], texts(&written)].concat()
}

/// Keys of an opening, of what counts of openings, of a flag and of feeds.
fn row_keys() -> Vec<Vec<u8>> {
    let opening = [&b"q"[..], &[7; 16]].concat();
    let flag = [&b"f"[..], &[0, 0, 0, 0, 0, 0, 0, 7]].concat();
    [vec![opening, flag], texts(&["cR1H", "p/E06000001", "s/R1H"])].concat()
}

/// A first page, and the token of each kind of list; the last page is longer than any.
fn page_tokens() -> Vec<Vec<u8>> {
    let search = kith_engine::fuzz_entry::page_token_seed().unwrap_or_default();
    let opening = format!("1790000000000.{ID}");
    let tokens = ["", "7", &search, "000102030405060708090a0b0c0d0e0f", &opening];
    let pages = tokens.map(|token| [&[25_u8][..], token.as_bytes()].concat());
    [pages.to_vec(), vec![vec![255, b'7']]].concat()
}

/// Answers, and the details of an error.
fn replies() -> Vec<Vec<u8>> {
    let answer = |outcome: v1::Outcome| {
        let completeness = Some(v1::Completeness::default());
        let identity = v1::IdentityAnswer { outcome: v1::IdentityOutcome::Matched.into(), ..Default::default() };
        let plans =
            v1::PlanAnswer { outcome: outcome.into(), completeness: completeness.clone(), ..Default::default() };
        let presentations = v1::PresentationAnswer {
            outcome: outcome.into(),
            elsewhere: outcome.into(),
            completeness,
            ..Default::default()
        };
        let answer = v1::Answer {
            identity: Some(identity),
            plans: Some(plans),
            presentations: Some(presentations),
            ..Default::default()
        };
        [&[0_u8][..], &answer.encode_to_vec()].concat()
    };
    let info = [field(1, b"LOADING"), field(2, b"kith")].concat();
    let any = [field(1, b"type.googleapis.com/google.rpc.ErrorInfo"), field(2, &info)].concat();
    let details = [&[1_u8, 8, 14][..], &field(3, &any)].concat();
    vec![answer(v1::Outcome::NoneHeld), answer(v1::Outcome::CannotSay), answer(v1::Outcome::Held), details]
}

/// A field of a message that holds fewer than 128 bytes.
fn field(number: u8, bytes: &[u8]) -> Vec<u8> {
    [&[(number << 3) | 2, u8::try_from(bytes.len()).unwrap_or(0)][..], bytes].concat()
}

fn notes() -> Vec<Vec<u8>> {
    let signed = |size: u64| {
        let checkpoint = Checkpoint { origin: ORIGIN.to_owned(), size, root: [3; 32] };
        checkpoint.sign(&signer()?).ok()
    };
    let cosigned = || {
        let mut note = signed(1)?;
        note.signatures.push(witness()?.cosign(&note.text, 1_700_000_000).ok()?);
        Some(note)
    };
    let notes = [signed(1), signed(1_000_000), cosigned()];
    notes.into_iter().flatten().map(|note| note.to_string().into_bytes()).collect()
}

#[cfg(test)]
mod tests {
    use crate::targets::TARGETS;

    /// What is said of some input among the seeds of a target.
    const EXPECTED: [(&str, &str); 72] = [
        ("messages", "lookup: taken"),
        ("messages", "check-in: taken"),
        ("messages", "opening: taken"),
        ("messages", "review: taken"),
        ("messages", "openings: taken"),
        ("messages", "flag's review: taken"),
        ("messages", "rates: taken"),
        ("messages", "withholding: taken"),
        ("messages", "lift: taken"),
        ("certificate", "ed"),
        ("revocation-list", "a list, scope false, expires true"),
        ("revocation-file", "lists"),
        ("frames", "Ok(()), begins true, refused [], block 0"),
        (
            "frames",
            "Ok(()), begins true, refused [\"OVERLOADED\", \"HEADERS_TOO_LARGE\", \"HEADERS_TOO_LARGE\", \
             \"TOO_MANY_CONTROL_FRAMES\"], block 0",
        ),
        ("frames", "Ok(()), begins false, refused [], block 2"),
        ("mailbox", "data in parts, id true, a file as it came; a page of the inbox is no JSON"),
        ("mailbox", "report in one part, id false, a file as it came; a page"),
        ("mailbox", "data in one part, id false, a file unpacked; a page of the inbox is no JSON"),
        ("configuration", "taken"),
        ("tokens", "proven"),
        ("tokens", "header true"),
        ("tokens", "1 keys"),
        ("tokens", "2 listed"),
        ("sealed", "5 bytes"),
        ("key-file", "a key"),
        ("watermark", "slot 1, both true"),
        ("snapshot", "1 rows"),
        ("checkpoint", "1 signatures, whole, Some(true); witness: verify note: no signature of this key"),
        ("checkpoint", "2 signatures, whole, Some(true); witness: holds"),
        ("tree-leaves", "Known, 3 whole, 0 other"),
        ("tree-checkpoints", "2 whole, 0 bad, damaged false, 0 heads"),
        ("verifier-key", "Log"),
        ("key-pem", "a key"),
        ("headers", "a person, trace false"),
        ("headers", "PERSON_NOT_NAMED, trace true"),
        ("references", "entry true, answer false"),
        ("references", "entry false, answer true"),
        ("row-keys", "an opening, flag false, feed false"),
        ("row-keys", "counts of openings, flag false, feed false"),
        ("row-keys", "none, flag true, feed false"),
        ("row-keys", "none, flag false, feed true"),
        ("marks", "removed true, ended false"),
        ("marks", "removed false, ended true"),
        ("replies", "none held, none held, exit code 11"),
        ("replies", "reason true, 0 fields, wait false"),
        ("mesh-notes", "answering"),
        ("page-tokens", "search false, place false, opening true; a page, a page"),
        ("page-tokens", "search false, place false, opening false; a page, a page"),
        ("page-tokens", "search true, place false, opening false; BAD_PAGE_TOKEN, BAD_PAGE_TOKEN"),
        ("page-tokens", "search false, place true, opening false; BAD_PAGE_TOKEN, BAD_PAGE_TOKEN"),
        ("page-tokens", "search false, place false, opening true; BAD_PAGE_TOKEN, BAD_PAGE_TOKEN"),
        ("page-tokens", "search false, place false, opening false; PAGE_TOO_LARGE, PAGE_TOO_LARGE"),
        ("cosigners", "2 names and keys"),
        ("own-rows", "head true, trim point false, keyring true"),
        ("own-rows", "head false, trim point true, keyring false"),
        ("chain", "2 learnt of 2"),
        ("chain", "2 learnt of 3"),
        ("chain", "0 learnt of 1"),
        ("chain", "0 learnt of 0"),
        ("client-certificate", "ed"),
        ("client-certificate", "local-authority"),
        ("pem-files", "1 certificates, 1 dated, authorities true, a pair, dated true, signs false; mesh: taken"),
        ("metrics-request", "HTTP/1.1 200 OK"),
        ("metrics-request", "HTTP/1.1 404 Not Found"),
        ("metrics-request", "HTTP/1.1 405 Method Not Allowed"),
        ("mesh-words", "9 letters, withheld true"),
        ("mesh-words", "0 letters, withheld false"),
        ("mesh-configuration", "2 senders"),
        ("mesh-configuration", "[0, 1, 1, 0, 0, 0, 0]"),
        ("profiles", "2 sections"),
        ("presentation-file", "1 to send, 1 refused, Some((\"complaint\", \"COMPLAINT_UNKNOWN\"))"),
        ("presentation-file", "2 to send, 0 refused, None"),
    ];

    #[test]
    fn every_target_has_seeds() {
        for target in TARGETS {
            assert!(!super::of(target.name).is_empty(), "{}", target.name);
        }
        assert!(super::of("no such target").is_empty());
    }

    #[test]
    fn the_seeds_are_good_inputs() {
        let scratch = tempfile::tempdir().unwrap();
        let said = |name: &str| -> Vec<String> {
            let target = crate::targets::named(name).unwrap();
            super::of(name).iter().map(|bytes| (target.take)(bytes, scratch.path()).unwrap()).collect()
        };
        for (name, expected) in EXPECTED {
            assert!(said(name).iter().any(|found| found == expected), "{name}: {:?}", said(name));
        }
        let segment = "header, 2 entries, 0 bad, 2 opened";
        assert_eq!(said("audit-segment"), [format!("{segment}; mended: {segment}")]);
        assert!(said("plan-file")[0].contains("2 rows, 0 at fault"), "{:?}", said("plan-file"));
    }
}
