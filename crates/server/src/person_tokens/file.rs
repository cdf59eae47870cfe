//! The list of organisations whose people are proven by tokens, from its file and the sets of keys that it names: read at the
//! start, and again when any of them changes. A list that is not understood in full never replaces one that is in force; a set of
//! keys that is not stays as it was, and holds back nothing else.

use std::collections::BTreeMap;
use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use kith_domain::codes::OdsCode;
use ring::digest::{Context, SHA256};
use serde::Deserialize;

use super::Table;
use super::claims::Terms;
use super::issuer::Issuer;
use super::keys::{self, Keys};
use crate::config::{Config, bounded_text};
use crate::mistakes::Mistakes;
use crate::reloaded::{Content, FileError, Found, Kept, Read, ReloadedFile};

/// What the file is called where something is said of it.
pub(crate) const WHAT: &str = "person-token list";
/// Largest list read, in bytes: all trusts and authorities of England with an issuer each have about 150,000.
const FILE_MAX_BYTES: u64 = 512 << 10;
/// Largest set of keys read, in bytes.
const KEYS_MAX_BYTES: u64 = 64 << 10;
/// The one version of the list's form.
const VERSION: u32 = 1;
/// Most seconds by which an issuer's clock may be wrong.
const CLOCK_SKEW_MAX_S: u32 = 300;
/// Longest time for which a token may be made: a day, and at least a minute.
const LIFETIME_S: std::ops::RangeInclusive<u32> = 60..=86_400;
/// Verified tokens kept in each of two generations, over all issuers; each takes some 180 bytes.
const TOKENS_KEPT: usize = 32_768;
/// As many of each issuer at least.
const TOKENS_KEPT_OF_ONE: usize = 256;

/// The file of the list while the service runs.
pub(crate) type PersonTokensFile = ReloadedFile<Arc<Table>>;

/// The file's form.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Written {
    version: u32,
    listed: usize,
    #[serde(default = "clock_skew_s")]
    clock_skew_s: u32,
    #[serde(default = "max_lifetime_s")]
    max_lifetime_s: u32,
    #[serde(default)]
    organisation: Vec<Entry>,
}

/// Organisations that share an issuer.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Entry {
    codes: Vec<String>,
    required: bool,
    issuer: String,
    audience: String,
    keys: PathBuf,
    #[serde(default = "role_code_claim")]
    role_code_claim: String,
    #[serde(default = "organisation_claim")]
    organisation_claim: String,
}

fn clock_skew_s() -> u32 {
    60
}

fn max_lifetime_s() -> u32 {
    3_600
}

fn role_code_claim() -> String {
    String::from("role_code")
}

fn organisation_claim() -> String {
    String::from("organisation")
}

/// A set of keys as it was read.
pub(super) struct KeySet {
    path: PathBuf,
    /// The issuer whose keys they are.
    issuer: String,
    text: String,
}

impl fmt::Debug for KeySet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { path, issuer, text } = self;
        let bytes = text.len();
        f.debug_struct("KeySet").field("path", path).field("issuer", issuer).field("bytes", &bytes).finish()
    }
}

/// Makes the table of the text of a list; `keys_of` reads the sets of keys that it names.
pub(super) fn table(text: &str, keys_of: impl FnMut(&Path) -> Result<String, String>) -> Result<Table, Vec<String>> {
    table_after(text, keys_of, None)
}

/// As [`table`], where one may be in force: a set of keys that cannot be used stays as it is there, if it is the same issuer's.
fn table_after(
    text: &str,
    mut keys_of: impl FnMut(&Path) -> Result<String, String>,
    in_force: Option<&Table>,
) -> Result<Table, Vec<String>> {
    let written: Written = toml::from_str(text).map_err(|error| vec![error.to_string().trim_end().to_owned()])?;
    let Written { version, listed, clock_skew_s, max_lifetime_s, organisation: entries } = written;
    if version != VERSION {
        return Err(vec![format!("expected version = {VERSION}, found {version}")]);
    }
    let mut wrong = Vec::new();
    let found: usize = entries.iter().map(|entry| entry.codes.len()).sum();
    if found != listed {
        // It may have been cut short between two entries, which would leave people unproven.
        wrong.push(format!("listed: expected {listed} codes, found {found}"));
    }
    if clock_skew_s > CLOCK_SKEW_MAX_S {
        wrong.push(format!("clock_skew_s: expected 0 to {CLOCK_SKEW_MAX_S}, found {clock_skew_s}"));
    }
    if !LIFETIME_S.contains(&max_lifetime_s) {
        let (least, most) = LIFETIME_S.into_inner();
        wrong.push(format!("max_lifetime_s: expected {least} to {most}, found {max_lifetime_s}"));
    }
    let generation = (TOKENS_KEPT / entries.len().max(1)).max(TOKENS_KEPT_OF_ONE);
    let (mut organisations, mut sets, mut broken) = (BTreeMap::new(), Vec::new(), Vec::new());
    let mut keys_of = |path: &Path, issuer: &str| -> Result<Keys, Vec<String>> {
        let (keys, text) = sound(keys_of(path)).or_else(|reasons| {
            let stays =
                in_force.and_then(|table| table.sets.iter().find(|set| set.path == path && set.issuer == issuer));
            let Some(KeySet { text, .. }) = stays else { return Err(reasons) };
            let told =
                |reason: String| format!("keys {}: {reason}; the last good set of {issuer} stays", path.display());
            broken.extend(reasons.into_iter().map(told));
            sound(Ok(text.clone()))
        })?;
        sets.push(KeySet { path: path.to_owned(), issuer: issuer.to_owned(), text });
        Ok(keys)
    };
    for (number, entry) in (1..).zip(entries) {
        let mut note = |what: String| wrong.push(format!("organisation {number}: {what}"));
        let codes = codes(&entry.codes, &mut note);
        let Some(issuer) = issuer(entry, (clock_skew_s, max_lifetime_s), generation, &mut keys_of, &mut note) else {
            continue;
        };
        let issuer = Arc::new(issuer);
        for code in codes {
            if organisations.insert(code, Arc::clone(&issuer)).is_some() {
                note(format!("codes: {code} is listed already"));
            }
        }
    }
    if wrong.is_empty() { Ok(Table { organisations, sets, broken }) } else { Err(wrong) }
}

/// The keys of a set that was read, with its text.
fn sound(read: Result<String, String>) -> Result<(Keys, String), Vec<String>> {
    let text = read.map_err(|what| vec![what])?;
    Ok((keys::read(text.as_bytes())?, text))
}

/// The codes of an entry that are codes.
fn codes(written: &[String], note: &mut impl FnMut(String)) -> Vec<OdsCode> {
    if written.is_empty() {
        note(String::from("codes: expected at least one"));
    }
    let mut codes = Vec::with_capacity(written.len());
    for code in written {
        match OdsCode::parse(code) {
            Ok(code) => codes.push(code),
            Err(_) => note(format!("codes: expected ODS or GSS codes, found {code:?}")),
        }
    }
    codes
}

/// The issuer of an entry, when nothing is wrong with it.
fn issuer(
    entry: Entry,
    (clock_skew_s, max_lifetime_s): (u32, u32),
    generation: usize,
    keys_of: &mut impl FnMut(&Path, &str) -> Result<Keys, Vec<String>>,
    note: &mut impl FnMut(String),
) -> Option<Issuer> {
    let Entry { codes: _, required, issuer, audience, keys, role_code_claim, organisation_claim } = entry;
    let mut whole = true;
    let texts = [
        ("issuer", &issuer),
        ("audience", &audience),
        ("role_code_claim", &role_code_claim),
        ("organisation_claim", &organisation_claim),
    ];
    for (name, text) in texts {
        if text.trim().is_empty() {
            note(format!("{name}: expected a text, found none"));
            whole = false;
        }
    }
    match keys_of(&keys, &issuer) {
        Ok(keys) if whole => {
            let terms = Terms { issuer, audience, role_code_claim, organisation_claim, clock_skew_s, max_lifetime_s };
            Some(Issuer::new(required, terms, keys, generation))
        }
        Ok(_) => None,
        Err(reasons) => {
            reasons.iter().for_each(|reason| note(format!("keys {}: {reason}", keys.display())));
            None
        }
    }
}

/// Looks at a list and at the sets of keys that it names, which lie beside it. Its content is all of them, one behind the other
/// in the order in which they are named.
fn find(path: &Path, in_force: Option<&Arc<Table>>) -> Found<Arc<Table>> {
    let mut content = Context::new(&SHA256);
    let mut read = |path: &Path, most_bytes: u64| {
        let read = bounded_text(path, most_bytes);
        content.update(match &read {
            Ok(text) => text.as_bytes(),
            Err(what) => what.as_bytes(),
        });
        read
    };
    let folder = path.parent().unwrap_or(Path::new(""));
    let (made, kept) = match read(path, FILE_MAX_BYTES) {
        Ok(text) => {
            let keys_of = |keys: &Path| read(&folder.join(keys), KEYS_MAX_BYTES);
            let made = table_after(&text, keys_of, in_force.map(Arc::as_ref));
            let kept = made.as_ref().ok().and_then(|table| kept(&text, table));
            (made.map(Arc::new), kept)
        }
        Err(what) => (Err(vec![what]), None),
    };
    Found { content: content.finish().as_ref().try_into().ok(), made, kept }
}

/// What stays of an earlier table: then its content is not what was found.
fn kept(text: &str, table: &Table) -> Option<Kept> {
    if table.broken.is_empty() {
        return None;
    }
    let mut content = Context::new(&SHA256);
    content.update(text.as_bytes());
    table.sets.iter().for_each(|set| content.update(set.text.as_bytes()));
    let sha256: Content = content.finish().as_ref().try_into().ok();
    Some(Kept { sha256, reasons: table.broken.clone() })
}

/// Notes what is wrong with the list that the configuration names.
pub(crate) fn note_mistakes(config: &Config, mistakes: &mut Mistakes) {
    let file = &config.person_tokens.file;
    if file.as_os_str().is_empty() {
        return;
    }
    for reason in find(file, None).made.err().unwrap_or_default() {
        mistakes.note(format!("person_tokens.file: {}", file.display()), reason);
    }
}

/// A file to look at, and the list that it held when it was begun with.
type Begun = (PersonTokensFile, Option<Read<Arc<Table>>>);

/// The list to begin with, and the file to look at from then on. Without a file there is no list: nobody is asked for a token.
pub(crate) fn begin(file: &Path) -> Result<Begun, FileError> {
    PersonTokensFile::begin(WHAT, file, find)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::person_tokens::testing::{BEGINNING, Signer, after_ms, key_set, list, with};
    use crate::reloaded::Look;

    fn of(text: &str) -> Result<Vec<String>, String> {
        let keys = key_set(&[&Signer::new(1)]);
        let table = table(text, |_| Ok(keys.clone())).map_err(|reasons| reasons.join("; "))?;
        Ok(table.organisations.keys().map(ToString::to_string).collect())
    }

    /// An entry of a list, behind another.
    fn entry(code: &str, required: bool) -> String {
        list(code, required).split_off(BEGINNING.len())
    }

    fn both() -> String {
        let first = list("R1H", true).replace("listed = 1", "listed = 2");
        format!("{first}{}", entry("E06000001", false))
    }

    #[test]
    fn a_list_that_was_cut_short_leaves_nobody_unproven() {
        let whole = both();
        for end in 0..whole.len() {
            let found = of(&whole[..end]);
            assert!(found.is_err() || end == whole.len() - 1, "{found:?}: {}", &whole[..end]);
        }
    }

    #[test]
    fn a_list_names_organisations_once_and_may_name_none() {
        assert_eq!(of("version = 1\nlisted = 0"), Ok(vec![]));
        assert_eq!(of(&both()).unwrap(), ["E06000001", "R1H"]);
        let shared = list("R1H", true).replace("[\"R1H\"]", "[\"R1H\", \"RRK\"]").replace("listed = 1", "listed = 2");
        assert_eq!(of(&shared).unwrap(), ["R1H", "RRK"]);
        let bounds =
            list("R1H", true).replace("version = 1", "version = 1\nclock_skew_s = 300\nmax_lifetime_s = 86400");
        assert!(of(&bounds).is_ok());
    }

    #[test]
    fn the_file_that_is_written_out_names_nobody_and_its_example_somebody() {
        let written = include_str!("../../../../config/person-tokens.toml");
        assert_eq!(of(written), Ok(vec![]));
        let (rules, example) = written.split_once("# [[organisation]]").unwrap();
        let ruled = rules.replace("\nlisted = 0\n", "\nlisted = 2\n");
        let example = format!("{ruled}[[organisation]]{}", example.replace("\n# ", "\n"));
        assert_eq!(of(&example).unwrap(), ["R1H", "RRK"]);
        let defaults = [("clock_skew_s", clock_skew_s()), ("max_lifetime_s", max_lifetime_s())];
        for (key, default) in defaults {
            assert!(rules.contains(&format!("\n{key} = {default}\n")), "{key}");
        }
    }

    #[test]
    fn what_is_not_understood_in_full_is_refused_with_all_that_is_wrong() {
        let good = list("R1H", true);
        for (text, reason) in [
            (String::new(), "missing field `version`"),
            (good.replace("version = 1", "version = 2"), "expected version = 1"),
            (good.replace("listed = 1\n", ""), "missing field `listed`"),
            (good.replace("listed = 1", "listed = 2"), "listed: expected 2 codes, found 1"),
            (
                good.replace("version = 1", "version = 1\nclock_skew_s = 301"),
                "clock_skew_s: expected 0 to 300, found 301",
            ),
            (good.replace("version = 1", "version = 1\nmax_lifetime_s = 59"), "max_lifetime_s: expected 60 to 86400"),
            (
                good.replace("version = 1", "version = 1\nmax_lifetime_s = 86401"),
                "max_lifetime_s: expected 60 to 86400",
            ),
            (good.replace("version = 1", "version = 1\nclock_skew_s = -1"), "clock_skew_s"),
            (good.replace("required = true\n", ""), "missing field `required`"),
            (good.replace("required", "requierd"), "unknown field `requierd`"),
            (good.replace("[\"R1H\"]", "[]"), "organisation 1: codes: expected at least one"),
            (good.replace("[\"R1H\"]", "[\"r1h\"]"), "found \"r1h\""),
            (good.replace("[\"R1H\"]", "[\"R1H\", \"R1H\"]"), "R1H is listed already"),
            (format!("{good}{}", entry("R1H", true)), "organisation 2: codes: R1H is listed already"),
            (good.replace("audience = \"https://kith.example\"", "audience = \" \""), "audience: expected a text"),
            (format!("{good}role_code_claim = \"\"\n"), "role_code_claim: expected a text"),
        ] {
            let found = of(&text).unwrap_err();
            assert!(found.contains(reason), "{reason}: {found}");
        }
        let found = table(&good, |_| Err(String::from("cannot be read: gone"))).unwrap_err().join("; ");
        assert_eq!(found, "organisation 1: keys keys.json: cannot be read: gone");
    }

    #[test]
    fn a_change_of_the_list_or_of_its_keys_counts_and_a_bad_one_changes_nothing() {
        let place = tempfile::tempdir().unwrap();
        let (path, keys) = (place.path().join("tokens.toml"), place.path().join("keys.json"));
        assert!(begin(&path).is_err());
        std::fs::write(&path, list("R1H", true)).unwrap();
        assert!(begin(&path).unwrap_err().to_string().contains("keys keys.json: cannot be read"));
        let old = key_set(&[&Signer::new(1)]);
        std::fs::write(&keys, &old).unwrap();
        let (file, first) = begin(&path).unwrap();
        let first = first.unwrap();
        let whole = [list("R1H", true), old.clone()].concat();
        assert_eq!(first.sha256, ring::digest::digest(&SHA256, whole.as_bytes()).as_ref(), "of all of it, in order");

        std::fs::write(&keys, key_set(&[&Signer::new(2)])).unwrap();
        assert!(matches!(file.look(false), Look::Same), "it may be half written");
        let Look::Changed(read) = file.look(false) else { panic!("the keys have changed") };
        file.is_in_force(&read);
        for bad in ["", "{}", "no keys"] {
            std::fs::write(&keys, bad).unwrap();
            assert!(matches!(file.look(true), Look::Refused(_)) && file.has_failed(), "{bad}");
            assert!(matches!(file.look(false), Look::Same) && file.has_failed(), "{bad}: told once");
        }
        std::fs::remove_file(&keys).unwrap();
        assert!(matches!(file.look(true), Look::Refused(_)));
        std::fs::write(&keys, &old).unwrap();
        assert!(matches!(file.look(true), Look::Changed(read) if read.sha256 == first.sha256) && !file.has_failed());
    }

    #[test]
    fn a_set_of_keys_that_is_broken_holds_back_nothing_of_another_issuers() {
        let place = tempfile::tempdir().unwrap();
        let at = |name: &str| place.path().join(name);
        let list = both().replacen("keys.json", "broken.json", 1).replacen("keys.json", "other.json", 1);
        let (path, broken, other) = (at("tokens.toml"), at("broken.json"), at("other.json"));
        let [one, stolen, new] = [1, 2, 3].map(Signer::new);
        std::fs::write(&path, &list).unwrap();
        std::fs::write(&broken, key_set(&[&one])).unwrap();
        std::fs::write(&other, key_set(&[&stolen])).unwrap();
        let (file, _) = begin(&path).unwrap();
        std::fs::write(&broken, "half a fi").unwrap();
        std::fs::write(&other, key_set(&[&new])).unwrap();
        let Look::Changed(read) = file.look(true) else { panic!("the other's keys have changed") };
        assert!(file.has_failed());
        let in_force = [list.clone(), key_set(&[&one]), key_set(&[&new])].concat();
        assert_eq!(read.sha256, ring::digest::digest(&SHA256, in_force.as_bytes()).as_ref(), "of what is in force");
        let proves = |code: &str, signer: &Signer| {
            let organisation = OdsCode::parse(code).unwrap();
            let token = signer.token(&with("organisation", code));
            read.made.organisations[&organisation].prove(&token, organisation, after_ms(1)).is_ok()
        };
        assert_eq!((proves("E06000001", &stolen), proves("E06000001", &new)), (false, true));
        assert_eq!((proves("R1H", &one), proves("R1H", &new)), (true, false));
        file.is_in_force(&read);
        let Look::Refused(error) = file.look(false) else { panic!("it is told") };
        let words = error.to_string();
        assert!(error.is_of_parts() && words.contains("broken.json") && !words.contains("other.json"), "{words}");
        assert!(matches!(file.look(false), Look::Same) && file.has_failed(), "told once");
        // What is in force is one issuer's, and becomes no other's.
        std::fs::write(&path, list.replacen("https://id.example/r1h", "https://id.example/another", 1)).unwrap();
        let Look::Refused(error) = file.look(true) else { panic!("nothing is known of it") };
        assert!(!error.is_of_parts());
        std::fs::write(&path, &list).unwrap();
        std::fs::write(&broken, key_set(&[&new])).unwrap();
        assert!(matches!(file.look(true), Look::Changed(_)) && !file.has_failed());
    }

    #[test]
    fn without_a_file_nobody_is_listed() {
        let (file, first) = begin(Path::new("")).unwrap();
        assert!(first.is_none() && matches!(file.look(true), Look::Same));
    }
}
