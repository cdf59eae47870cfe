//! Where whatever reads bytes of the network or the disk is fuzzed, or why it is not: every file that has such a reader stands here,
//! held to the sources. Readers that are called otherwise are for whoever writes them to add.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

use crate::targets::named;

/// Whose sources are looked through.
const CRATES: [&str; 8] = ["api", "cli", "domain", "engine", "merkle", "server", "store", "witness"];

/// By what a reader is known.
const WORDS: [&str; 18] = [
    "fn parse",
    "fn decode",
    "fn from_str(",
    "fn page_of(size",
    "toml::from_",
    "serde_json::from_",
    "hex::decode(",
    "Fields(",
    "Note::parse(",
    "ReaderBuilder",
    "from_der(",
    "from_pem(",
    "parse_x509",
    "pem_",
    "from_be_bytes",
    "split_at_checked(",
    "split_first_chunk",
    "FrameHeads::",
];

/// Each target, and what it reaches.
const FUZZED: [(&str, &[&str]); 39] = [
    (
        "messages",
        &[
            "api/src/convert/caller.rs",
            "api/src/convert/identity.rs",
            "api/src/convert/lookup.rs",
            "api/src/convert/plan.rs",
            "api/src/convert/subject.rs",
            "domain/src/caller.rs",
        ],
    ),
    ("mailbox", &["cli/src/message.rs"]),
    ("mesh-notes", &["cli/src/note.rs"]),
    ("codes", &["domain/src/codes.rs", "domain/src/nhs_number.rs", "domain/src/text.rs", "domain/src/time.rs"]),
    (
        "policy",
        &[
            "domain/src/fields.rs",
            "domain/src/method.rs",
            "domain/src/policy.rs",
            "domain/src/policy/parse.rs",
            "server/src/policy_file.rs",
        ],
    ),
    ("rows", &["engine/src/derive.rs", "engine/src/notifications.rs", "engine/src/rows.rs"]),
    ("row-keys", &["engine/src/keys.rs"]),
    ("checkpoint", &["merkle/src/checkpoint.rs", "merkle/src/cosignature.rs", "merkle/src/note.rs"]),
    ("verifier-key", &["merkle/src/key.rs"]),
    ("key-pem", &["merkle/src/key.rs"]),
    ("configuration", &["server/src/config/layers.rs", "server/src/config/mod.rs"]),
    ("timeout", &["server/src/deadline.rs"]),
    (
        "frames",
        &[
            "server/src/flood.rs",
            "server/src/frame_heads.rs",
            "server/src/http2_refusals.rs",
            "server/src/http2_refusals/block.rs",
        ],
    ),
    (
        "tokens",
        &[
            "server/src/person_tokens/file.rs",
            "server/src/person_tokens/json.rs",
            "server/src/person_tokens/jws.rs",
            "server/src/person_tokens/keys.rs",
        ],
    ),
    ("plan-file", &["server/src/plan_file.rs"]),
    ("headers", &["server/src/services/trace.rs"]),
    ("references", &["server/src/services/broker.rs", "store/src/answer_ref.rs", "store/src/journal/types.rs"]),
    ("audit-segment", &["store/src/journal/format.rs", "store/src/journal/reader.rs"]),
    ("marks", &["store/src/journal/recover.rs", "store/src/journal/remove.rs"]),
    ("keyring", &["store/src/key_encryption.rs", "store/src/keyring.rs"]),
    ("sealed", &["store/src/seal.rs"]),
    ("snapshot", &["store/src/database/snapshot.rs"]),
    ("tree-checkpoints", &["store/src/tree/files.rs", "store/src/tree/signers.rs"]),
    ("tree-leaves", &["store/src/tree/record.rs"]),
    ("watermark", &["store/src/watermark.rs"]),
    (
        "page-tokens",
        &[
            "engine/src/audit_page.rs",
            "engine/src/own_plans.rs",
            "server/src/services/feeds.rs",
            "server/src/services/notifications.rs",
        ],
    ),
    ("cosigners", &["store/src/tree/cosign.rs"]),
    ("own-rows", &["store/src/database/open.rs", "store/src/database/reseal.rs", "store/src/database/trim.rs"]),
    ("certificate", &["server/src/identity.rs"]),
    (
        "revocation-list",
        &["server/src/revocation.rs", "server/src/revocation/reading.rs", "server/src/revocation/renewal.rs"],
    ),
    ("directory", &["server/src/directory/table.rs"]),
    ("chain", &["server/src/issuers.rs"]),
    ("client-certificate", &["api/src/client/certificate.rs"]),
    (
        "pem-files",
        &["cli/src/mesh/http.rs", "server/src/audit_key.rs", "server/src/server_pair.rs", "server/src/tls.rs"],
    ),
    ("metrics-request", &["server/src/metrics.rs"]),
    ("mesh-words", &["cli/src/mesh/mailbox.rs"]),
    ("mesh-configuration", &["cli/src/mesh/config.rs", "cli/src/mesh/http.rs"]),
    ("profiles", &["cli/src/profile.rs"]),
    ("presentation-file", &["cli/src/push/table.rs"]),
];

/// What no target reaches, and why.
const NOT: [(&str, &str); 6] = [
    ("api/src/client.rs", "a person's own files, which the transport reads as it connects"),
    ("engine/src/proposals.rs", "the number that is a row's key: eight bytes, and of any other length it counts as 0"),
    (
        "engine/src/tree.rs",
        "the newest head, by the two readers that the target checkpoint calls one after the other as well",
    ),
    ("store/src/database.rs", "the number that is a record's key: eight bytes, and any other length is a fault"),
    (
        "store/src/tree/removal.rs",
        "a note and its signature, by readers that the target checkpoint calls, and a number with one spelling",
    ),
    ("witness/src/main.rs", "the witness's own key, by the reader that the target key-pem calls"),
];

/// Whether there is a reader outside tests and comments.
fn reads(text: &str) -> bool {
    let code = text.split("\nmod tests {").next().unwrap_or_default();
    let mut lines = code.lines().filter(|line| !line.trim_start().starts_with("//"));
    lines.any(|line| WORDS.iter().any(|word| line.contains(word)))
}

fn is_of_tests(name: &str) -> bool {
    name == "tests" || name.ends_with("tests.rs") || name.ends_with("testing.rs") || name.contains("fuzz")
}

/// Files with a reader, by their place below `crates`.
fn found_in(folder: &Path, crates: &Path, found: &mut BTreeSet<String>) {
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if is_of_tests(path.file_name().unwrap().to_str().unwrap()) {
            continue;
        }
        if path.is_dir() {
            found_in(&path, crates, found);
        } else if path.extension().is_some_and(|end| end == "rs") && reads(&fs::read_to_string(&path).unwrap()) {
            found.insert(path.strip_prefix(crates).unwrap().to_str().unwrap().to_owned());
        }
    }
}

#[test]
fn every_reader_is_in_a_target_or_has_a_reason() {
    let crates = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap().join("crates");
    let mut found = BTreeSet::new();
    CRATES.iter().for_each(|name| found_in(&crates.join(name).join("src"), &crates, &mut found));
    let mut listed: BTreeSet<String> = NOT.iter().map(|(file, _)| (*file).to_owned()).collect();
    for (target, files) in FUZZED {
        assert!(named(target).is_some(), "there is no target {target}");
        listed.extend(files.iter().map(|file| (*file).to_owned()));
    }
    let new: Vec<&String> = found.difference(&listed).collect();
    assert!(new.is_empty(), "these read bytes and are neither in a target nor excused: {new:?}");
    let gone: Vec<&String> = listed.difference(&found).collect();
    assert!(gone.is_empty(), "these have no reader any more: {gone:?}");
}

#[test]
fn a_reader_is_known_by_its_name_outside_tests_and_comments() {
    assert!(reads("pub fn parse(bytes: &[u8]) {}"));
    assert!(reads("    pub(crate) fn decode_mark(bytes: &[u8]) -> Option<u64> {\n\nmod tests {"));
    assert!(reads("    let bytes = hex::decode(token).ok()?;") && reads("    let mut fields = Fields(&plain);"));
    assert!(reads("    let Note { text, signatures } = Note::parse(bytes).ok()?;"));
    assert!(reads("    let (_, leaf) = X509Certificate::from_der(leaf).ok()?;") && reads("    block.parse_x509()"));
    assert!(reads("CertificateDer::pem_file_iter(path)") && reads("LogSigner::from_pem(&origin, &pem)"));
    assert!(
        reads("    Some(u32::from_be_bytes(*bytes))")
            && reads("    let (text, rest) = block.split_at_checked(length)?;")
    );
    assert!(reads("    let (nonce, rest) = rest.split_first_chunk::<NONCE_BYTES>()?;"));
    assert!(reads("            heads: FrameHeads::of_server(),"));
    assert!(reads("    let mut reader = ReaderBuilder::new().from_reader(bytes);"));
    assert!(!reads("// fn parse(\nfn other() {}\n#[cfg(test)]\nmod tests {\n    fn parse(line: &str) {}"));
}
