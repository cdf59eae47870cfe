//! What the server logged: no warning or error that the test did not expect, and no identity at all.

use serde_json::Value;
use std::path::Path;

use super::build::{NURSE, USER};

/// One log line.
pub struct Line {
    pub level: String,
    pub message: String,
    pub fields: Value,
}

/// The lines of a log. A line that is not JSON is a panic's or a library's own, and counts as an error.
pub fn lines(path: &Path) -> Vec<Line> {
    let text = std::fs::read_to_string(path).unwrap_or_default();
    let whole = text.rsplit_once('\n').map_or("", |(whole, _)| whole);
    whole.lines().map(line).collect()
}

fn line(text: &str) -> Line {
    let parsed = serde_json::from_str::<Value>(text).unwrap_or(Value::Null);
    let level = parsed["level"].as_str().unwrap_or("ERROR").to_owned();
    let message = parsed["message"].as_str().unwrap_or(text).to_owned();
    Line { level, message, fields: parsed }
}

/// What every log may warn of: installations here have no revocation lists.
const EVERYWHERE: &str = "tls.client_crls: none";

/// What a start says after a kill.
const KILLED: &str = "did not end in order";
/// What that start may say too, and each later one: the kill came in the midst of an entry of the audit.
const TORN: &str = "audit segment is damaged or torn";

/// Fails on a warning or error that holds none of the `expected` words, and on any identity.
pub fn check(path: &Path, expected: &[&str]) {
    for Line { level, message, fields } in lines(path) {
        let loud = level == "WARN" || level == "ERROR";
        let known = is_known(&message, expected);
        assert!(!loud || known, "unexpected {level} in {}: {message} {fields}", path.display());
    }
    let text = std::fs::read_to_string(path).unwrap_or_default();
    for word in [NURSE, USER] {
        assert!(!text.contains(word), "{} holds a caller's identity", path.display());
    }
    assert!(!has_number(&text), "{} holds an NHS number", path.display());
}

fn is_known(message: &str, expected: &[&str]) -> bool {
    let kills = expected.iter().any(|words| words.contains(KILLED));
    message.contains(EVERYWHERE)
        || (kills && message.contains(TORN))
        || expected.iter().any(|words| message.contains(words))
}

/// A fixture's NHS number: ten digits from 999 on, together or in groups, or the same as the hexadecimal digits of a text.
pub fn has_number(text: &str) -> bool {
    let bytes = text.as_bytes();
    let starts = text.match_indices("999").map(|(at, _)| at);
    let mut alone = starts.filter(|at| *at == 0 || !bytes[at - 1].is_ascii_digit());
    let written = |at: usize| {
        let digits: Vec<u8> = bytes[at..].iter().copied().take_while(|b| b.is_ascii_digit() || *b == b' ').collect();
        digits.iter().filter(|b| b.is_ascii_digit()).count() == 10 || is_hyphenated(&bytes[at..])
    };
    let in_hexadecimal = |at: usize| {
        let pairs = bytes[at..].chunks_exact(2).take(10);
        pairs.filter(|pair| pair[0] == b'3' && pair[1].is_ascii_digit()).count() == 10
    };
    alone.any(written) || text.match_indices("393939").any(|(at, _)| in_hexadecimal(at))
}

/// Whether it begins with ten digits in groups of three, three and four.
fn is_hyphenated(bytes: &[u8]) -> bool {
    let groups = |at: usize, byte: &u8| if matches!(at, 3 | 7) { *byte == b'-' } else { byte.is_ascii_digit() };
    let number = bytes.iter().take(12).enumerate().filter(|(at, byte)| groups(*at, byte)).count() == 12;
    number && !bytes.get(12).is_some_and(u8::is_ascii_digit)
}

#[test]
fn half_an_entry_is_expected_by_tests_that_kill_and_by_no_other() {
    for killed in ["did not end in order", "the last run did not end in order"] {
        assert!(is_known(TORN, &["giving no answers", killed]), "{killed}");
        assert!(!is_known("an audit entry does not open under its number", &[killed]), "{killed}");
    }
    assert!(!is_known(TORN, &["giving no answers"]) && !is_known(TORN, &[]));
}

#[test]
fn a_number_in_a_log_is_found() {
    assert!(has_number("x 9990000018 y") && has_number("{\"a\":\"999 000 0018\"}"));
    assert!(has_number("x 999-000-0018 y") && has_number("x 39393930303030303138 y"));
    assert!(!has_number("1999000001") && !has_number("999000001") && !has_number("0.9990000018123"));
    assert!(!has_number("999-000-00181") && !has_number("999-0000-018") && !has_number("3939393030303030313z"));
}
