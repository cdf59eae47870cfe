//! Every stored field has a reason. What derives `Serialize` in the domain, in the engine and in the mailbox adapter's notes
//! is what goes to disk; the data-protection note names each field of it, and none that is gone. Of a struct whose fields have no
//! names each is named by its place from 0, and of what is put into bytes by hand that it is. It judges no reason.

use std::collections::{BTreeMap, BTreeSet};

use super::Finding;
use super::source::Masked;
use super::types::{Kind, Type, deriving, parts};

/// The note.
pub const NOTE: &str = "deploy/data-protection.md";

/// Where types that are stored are defined.
const STORED_IN: [&str; 3] = ["crates/domain/src/", "crates/engine/src/", "crates/cli/src/note.rs"];

/// What is put into bytes by hand and is one text or one code, whatever a macro names it: it has no fields.
const SINGLE: [(&str, &str); 3] = [
    ("crates/domain/src/codes.rs", "$name"),
    ("crates/domain/src/text.rs", "$name"),
    ("crates/domain/src/text.rs", "RoleCode"),
];

/// What stands in the note for the fields of what is put into bytes by hand.
const BY_HAND: &str = "by hand";

/// Fields by type.
pub type Stored = BTreeMap<String, BTreeSet<String>>;

/// Takes the stored types of a Rust file. Lists of bare words and structs of one field without a name have no fields: they are named
/// where they are used.
pub fn collect(path: &str, masked: &Masked, stored: &mut Stored) {
    if !STORED_IN.iter().any(|place| path.starts_with(place)) || super::calls::is_test_file(path) {
        return;
    }
    for Type { kind, name, line: _, parts, unnamed } in deriving(masked, "Serialize") {
        let mut fields = fields(kind, &parts);
        if unnamed > 1 {
            fields.extend((0..unnamed).map(|place| place.to_string()));
        }
        if !fields.is_empty() {
            stored.insert(name, fields);
        }
    }
    for name in by_hand(masked).filter(|name| !SINGLE.contains(&(path, name.as_str()))) {
        stored.insert(name, BTreeSet::from([BY_HAND.to_owned()]));
    }
}

/// Names of what is put into bytes by hand, outside tests.
fn by_hand(masked: &Masked) -> impl Iterator<Item = String> {
    masked.lines().filter(move |(number, _)| !masked.is_test(*number)).filter_map(|(_, line)| {
        let (_, rest) = line.split_once("Serialize for ")?;
        Some(rest.chars().take_while(|c| c.is_alphanumeric() || *c == '$').collect())
    })
}

/// Names of fields; of variants with something in them, as they are written.
fn fields(kind: Kind, parts: &[String]) -> BTreeSet<String> {
    let mut found = BTreeSet::new();
    for part in parts {
        match kind {
            Kind::Struct => found.extend(field(part)),
            Kind::Enum => variant(part, &mut found),
        }
    }
    found
}

fn field(part: &str) -> Option<String> {
    part.split_once(':')?.0.split_whitespace().last().map(str::to_owned)
}

fn variant(part: &str, found: &mut BTreeSet<String>) {
    if let Some((name, inner)) = part.split_once('{') {
        let inner: Vec<char> = inner.trim_end_matches('}').chars().collect();
        let named = parts(&inner);
        found.extend(named.iter().filter_map(|part| field(part)).map(|field| format!("{}.{field}", name.trim())));
    } else if part.contains('(') {
        found.insert(part.to_owned());
    }
}

/// The note against what is stored, both ways.
pub fn check(note: &str, stored: &Stored, findings: &mut Vec<Finding>) {
    let mut named = Stored::new();
    for (number, line) in note.lines().enumerate() {
        let Some((name, fields, reason)) = row(line) else { continue };
        let mut find = |what: String| findings.push(Finding::new(NOTE, number + 1, what));
        if reason.is_empty() {
            find(format!("no reason for what {name} stores"));
        }
        let known = stored.get(name);
        for field in fields {
            if !known.is_some_and(|known| known.contains(field)) {
                find(format!("{name} stores no {field}"));
            }
            named.entry(name.to_owned()).or_default().insert(field.to_owned());
        }
    }
    for (name, fields) in stored {
        for field in fields {
            if !named.get(name).is_some_and(|named| named.contains(field)) {
                findings.push(Finding::new(NOTE, 0, format!("{name} stores {field}, and there is no reason for it")));
            }
        }
    }
}

/// "| `Type` | `field`, `other` | reason |"; none for any other line.
fn row(line: &str) -> Option<(&str, Vec<&str>, &str)> {
    let mut cells = line.strip_prefix("| `")?.strip_suffix('|')?.split(" | ");
    let name = cells.next()?.trim().strip_suffix('`')?;
    if !name.starts_with(char::is_uppercase) || !name.chars().all(char::is_alphanumeric) {
        return None;
    }
    let fields = cells.next()?.split('`').skip(1).step_by(2).collect();
    Some((name, fields, cells.next().unwrap_or_default().trim()))
}

#[cfg(test)]
mod tests {
    use super::super::source::mask;
    use super::*;

    const CODE: &str = "/// Held.\n#[derive(Debug, Serialize)]\npub struct Held<T> {\n    /// Who, and, when.\n    pub who: Map<u8, T>,\n\
        \x20   #[serde(default)]\n    pub(crate) when: u64,\n}\n#[derive(Debug)]\npub struct Not { a: u8 }\n\
        #[derive(Clone, serde::Serialize)]\npub(crate) enum Cause {\n    Lookup(Ods, Person),\n    Plain,\n    Told {\n        by: u8,\n        at: u8,\n    },\n}\n\
        #[derive(Serialize)]\npub struct New(u64);\n#[cfg(test)]\nmod tests {\n    #[derive(Serialize)]\n    struct Mine { a: u8 }\n}\n";
    const NOTE_TEXT: &str = "| `ed`, `ops` | sees `much` |\n| stored | fields | reason |\n|---|---|---|\n| `Held` | `who`, `when` | needed |\n\
        | `Cause` | `Lookup(Ods, Person)` | told |\n| `Cause` | `Told.by`, `Told.at` | told |\n";

    fn stored() -> Stored {
        let mut stored = Stored::new();
        collect("crates/engine/src/x.rs", &mask(CODE), &mut stored);
        collect("crates/server/src/x.rs", &mask("#[derive(Serialize)]\nstruct Other { a: u8 }\n"), &mut stored);
        stored
    }

    fn found(note: &str) -> Vec<String> {
        let mut findings = Vec::new();
        check(note, &stored(), &mut findings);
        findings.into_iter().map(|finding| finding.what).collect()
    }

    #[test]
    fn fields_of_what_is_stored_are_known_and_nothing_else() {
        let names: Vec<_> = stored().into_iter().map(|(name, fields)| (name, fields.into_iter().collect())).collect();
        let expected: [(String, Vec<String>); 2] = [
            ("Cause".into(), vec!["Lookup(Ods, Person)".into(), "Told.at".into(), "Told.by".into()]),
            ("Held".into(), vec!["when".into(), "who".into()]),
        ];
        assert_eq!(names, expected);
    }

    #[test]
    fn what_has_no_named_fields_is_known_by_their_places_or_that_it_is_written_by_hand() {
        let code = "#[derive(Serialize)]\npub struct Pair(pub u8, [u8; 2]);\nimpl serde::Serialize for Whole {\n}\nimpl<'de> Deserialize<'de> for Read {\n}\n\
            impl Serialize for RoleCode {\n}\n#[cfg(test)]\nmod tests {\n    impl Serialize for Mine {\n    }\n}\n";
        let known = |path: &str| -> Vec<(String, Vec<String>)> {
            let mut stored = Stored::new();
            collect(path, &mask(code), &mut stored);
            stored.into_iter().map(|(name, fields)| (name, fields.into_iter().collect())).collect()
        };
        let all = known("crates/engine/src/x.rs");
        let expected = [("Pair", vec!["0", "1"]), ("RoleCode", vec!["by hand"]), ("Whole", vec!["by hand"])];
        let expected: [(String, Vec<String>); 3] =
            expected.map(|(name, fields)| (name.to_owned(), fields.into_iter().map(str::to_owned).collect()));
        assert_eq!(all, expected);
        assert_eq!(known("crates/domain/src/text.rs"), [expected[0].clone(), expected[2].clone()]);
    }

    #[test]
    fn a_note_that_names_everything_passes() {
        assert_eq!(found(NOTE_TEXT), Vec::<String>::new());
    }

    #[test]
    fn a_field_without_a_reason_is_found() {
        let expected = ["Held stores when, and there is no reason for it"];
        assert_eq!(found(&NOTE_TEXT.replace(", `when`", "")), expected);
        assert_eq!(found(&NOTE_TEXT.replace("needed", " ")), ["no reason for what Held stores"]);
    }

    #[test]
    fn a_field_that_is_gone_is_found() {
        assert_eq!(found(&NOTE_TEXT.replace("`who`", "`who`, `where`")), ["Held stores no where"]);
        assert_eq!(found(&format!("{NOTE_TEXT}| `Gone` | `a` | b |\n")), ["Gone stores no a"]);
    }
}
