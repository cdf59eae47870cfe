//! No `Debug` shows an identity or a secret. A type that derives it holds nothing in plain text, bytes or dates that is called like
//! one: such a type says itself what it shows (`debug_without!`, `redacted!`), or the field has a type that does (`NhsNumber`,
//! `PersonText`). What messages of the protocol show is listed where they are generated. It judges names, not values.

use super::Finding;
use super::source::Masked;
use super::types::{Kind, Type, deriving, parts};

/// Programs and libraries that meet real people; generators and measurements meet invented ones.
const WITHIN: [&str; 9] = [
    "crates/api/src/",
    "crates/cli/src/",
    "crates/domain/src/",
    "crates/engine/src/",
    "crates/index/src/",
    "crates/merkle/src/",
    "crates/server/src/",
    "crates/store/src/",
    "crates/witness/src/",
];

/// What an identity, or what may hold one, and a secret are called.
const NAMES: [&str; 23] = [
    "birth_date",
    "body",
    "born",
    "bytes",
    "date_of_birth",
    "encounter_id",
    "lines",
    "local_key",
    "master",
    "mother_nhs_number",
    "nhs_number",
    "password",
    "pem",
    "piece",
    "plaintext",
    "replaced_by",
    "secret",
    "seed",
    "shared_key",
    "user_id",
    "user_name",
    "user_role",
    "words",
];

/// Types that show everything that they hold.
const PLAIN: [&str; 6] = ["String", "str", "Vec<u8>", "Bytes", "[u8", "Day"];

/// Fields that are called like one and are none.
const EXCEPT: [(&str, &str); 8] = [
    // A signature: everybody may have it.
    ("NoteSignature", "bytes"),
    // A record that stands for nobody.
    ("Template", "bytes"),
    // Words of the service's own about a fault, which repeat nothing that was sent, and not what somebody says of a child.
    ("Fault", "words"),
    ("FieldTrouble", "words"),
    ("FileFault", "words"),
    ("Refused", "words"),
    ("RowFault", "words"),
    // Of another's mailbox, masked where they are read.
    ("MeshError", "Status.words"),
];

pub fn check(path: &str, masked: &Masked, findings: &mut Vec<Finding>) {
    if !WITHIN.iter().any(|place| path.starts_with(place)) || super::calls::is_test_file(path) {
        return;
    }
    for Type { kind, name, line, parts, unnamed: _ } in deriving(masked, "Debug") {
        for field in revealed(kind, &parts) {
            if !EXCEPT.contains(&(name.as_str(), field.as_str())) {
                findings.push(Finding::new(path, line, format!("{name} derives Debug and would show its {field}")));
            }
        }
    }
}

/// Fields, and variants with something in them, that would be shown and must not be.
fn revealed(kind: Kind, parts: &[String]) -> Vec<String> {
    let found = parts.iter().filter_map(|part| match kind {
        Kind::Struct => field(part),
        Kind::Enum => variant(part),
    });
    found.collect()
}

fn field(part: &str) -> Option<String> {
    let (before, held) = part.split_once(':')?;
    let name = before.split_whitespace().last()?;
    (NAMES.contains(&name) && is_plain(held)).then(|| name.to_owned())
}

/// `BirthDate(Day)` is called like `birth_date`.
fn variant(part: &str) -> Option<String> {
    let (name, held) = part.split_once(['(', '{'])?;
    let name = name.trim();
    let is_called = |known: &&str| known.replace('_', "") == name.to_ascii_lowercase();
    let inside: Vec<char> = held.trim_end_matches(['}', ')']).chars().collect();
    if NAMES.iter().any(is_called) && is_plain(held) {
        return Some(name.to_owned());
    }
    parts(&inside).iter().find_map(|part| field(part)).map(|field| format!("{name}.{field}"))
}

fn is_plain(held: &str) -> bool {
    PLAIN.iter().any(|plain| {
        held.match_indices(plain).any(|(at, _)| {
            let beside = |c: Option<char>| c.is_some_and(|c| c.is_alphanumeric() || c == '_');
            !beside(held[..at].chars().next_back()) && !beside(held[at + plain.len()..].chars().next())
        })
    })
}

#[cfg(test)]
mod tests {
    use super::super::source::mask;
    use super::*;

    fn found(path: &str, text: &str) -> Vec<String> {
        let mut findings = Vec::new();
        check(path, &mask(text), &mut findings);
        findings.into_iter().map(|finding| finding.what).collect()
    }

    #[test]
    fn what_is_called_like_an_identity_or_a_secret_is_found() {
        for (text, what) in [
            (
                "#[derive(Clone, Debug)]\npub struct A {\n    /// Words.\n    pub nhs_number: Option<String>,\n}\n",
                "nhs_number",
            ),
            ("#[derive(Debug)]\n#[command(x)]\nstruct A {\n    #[arg(long)]\n    user_name: String,\n}\n", "user_name"),
            (
                "#[derive(Debug)]\nstruct A<'a> {\n    birth_date: Register<Day>,\n    other: &'a str,\n}\n",
                "birth_date",
            ),
            ("#[derive(Debug)]\nenum A {\n    One,\n    BirthDate(Day),\n}\n", "BirthDate"),
            ("#[derive(Debug)]\nenum A {\n    One { password: String, n: u8 },\n}\n", "One.password"),
            ("#[derive(Debug)]\nstruct A {\n    seed: [u8; 32],\n}\n", "seed"),
            ("#[derive(Debug, Args)]\npub struct A {\n    pub reason: String,\n    pub words: String,\n}\n", "words"),
        ] {
            let expected = format!("A derives Debug and would show its {what}");
            assert_eq!(found("crates/cli/src/x.rs", text), [expected], "{text}");
        }
    }

    #[test]
    fn what_shows_itself_redacted_or_is_no_secret_passes() {
        for text in [
            "#[derive(Debug)]\nstruct A {\n    nhs_number: NhsNumber,\n    user_name: PersonText,\n    start: Day,\n}\n",
            "#[derive(Clone)]\nstruct A {\n    nhs_number: String,\n}\n",
            "#[derive(Debug)]\nstruct B;\n\nstruct A {\n    nhs_number: String,\n}\n",
            "#[cfg(test)]\nmod tests {\n    #[derive(Debug)]\n    struct A {\n        nhs_number: String,\n    }\n}\n",
            "#[derive(Debug)]\nstruct NoteSignature {\n    bytes: Vec<u8>,\n}\n",
            "#[derive(Debug)]\nstruct A {\n    bytes: usize,\n    lines: u64,\n}\n",
            "#[derive(Debug)]\nstruct A {\n    words: OpeningWords,\n}\n",
            "#[derive(Debug)]\nstruct RowFault {\n    words: Cow<'static, str>,\n}\n",
        ] {
            assert_eq!(found("crates/cli/src/x.rs", text), Vec::<String>::new(), "{text}");
        }
        let text = "#[derive(Debug)]\nstruct A {\n    nhs_number: String,\n}\n";
        assert_eq!(found("crates/load/src/x.rs", text), Vec::<String>::new(), "invented people");
    }
}
