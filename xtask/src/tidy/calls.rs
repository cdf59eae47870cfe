//! Calls that are right in some places only. Each ban says where it holds and why.

use super::Finding;
use super::source::Masked;

struct Ban {
    calls: &'static [&'static str],
    why: &'static str,
    /// Path prefixes in which it holds.
    within: &'static [&'static str],
    /// Files in which it does not hold, each with its reason beside it.
    except: &'static [&'static str],
    /// Whether test code is held to it as well.
    tests_too: bool,
}

const LIBRARIES: &[&str] = &[
    "crates/domain/src/",
    "crates/index/src/",
    "crates/merkle/src/",
    "crates/store/src/",
    "crates/engine/src/",
    "crates/api/src/",
    "crates/server/src/",
    "crates/synth/src/",
];

const BANS: &[Ban] = &[
    Ban {
        calls: &["process::exit("],
        why: "only a main may end the process: nothing would be drained or synced",
        within: &["crates/", "xtask/"],
        // The server ends at once when the change log failed: a retry would report success on lost data.
        except: &["crates/server/src/main.rs"],
        tests_too: true,
    },
    Ban {
        calls: &["SystemTime::now(", "Instant::now(", "Timestamp::now(", "Zoned::now("],
        why: "below the server time is an argument",
        within: &["crates/domain/", "crates/index/", "crates/merkle/", "crates/store/", "crates/engine/"],
        // The one monotonic clock, behind a trait, for the audit's sync window.
        except: &["crates/store/src/clock.rs", "crates/store/src/journal/clock.rs"],
        tests_too: false,
    },
    Ban {
        calls: &["println!(", "eprintln!(", "print!(", "eprint!(", "dbg!("],
        why: "a library does not print",
        within: LIBRARIES,
        except: &["crates/server/src/main.rs", "crates/synth/src/main.rs"],
        tests_too: false,
    },
    Ban {
        calls: &[".unwrap()"],
        why: "no panic on bytes from network or disk",
        within: LIBRARIES,
        except: &[],
        tests_too: false,
    },
];

pub fn check(path: &str, masked: &Masked, findings: &mut Vec<Finding>) {
    for ban in BANS {
        let inside = ban.within.iter().any(|prefix| path.starts_with(prefix));
        if !inside || ban.except.contains(&path) || (!ban.tests_too && is_test_file(path)) {
            continue;
        }
        for (number, line) in masked.lines() {
            if !ban.tests_too && masked.is_test(number) {
                continue;
            }
            if let Some(call) = ban.calls.iter().find(|call| has_call(&line, call)) {
                let call = call.trim_end_matches('(');
                findings.push(Finding::new(path, number, format!("`{call}`: {}", ban.why)));
            }
        }
    }
}

/// `eprintln!(` holds `println!(`: the character before must not be of a word.
fn has_call(line: &str, call: &str) -> bool {
    line.match_indices(call).any(|(at, _)| {
        call.starts_with('.') || !line[..at].chars().next_back().is_some_and(|c| c.is_alphanumeric() || c == '_')
    })
}

/// Files that are test code from end to end.
pub fn is_test_file(path: &str) -> bool {
    path.starts_with("tests/")
        || path.starts_with("benches/")
        || path.contains("/tests/")
        || path.ends_with("/tests.rs")
        || path.ends_with("/testing.rs")
        || path.ends_with("_tests.rs")
}

#[cfg(test)]
mod tests {
    use super::super::source::mask;
    use super::*;

    fn found(path: &str, text: &str) -> usize {
        let mut findings = Vec::new();
        check(path, &mask(text), &mut findings);
        findings.len()
    }

    #[test]
    fn each_ban_goes_red() {
        for ban in BANS {
            for call in ban.calls {
                let path = format!("{}x.rs", ban.within[0]);
                let text = format!("fn f() {{ x{call}) }}", call = spaced(call));
                assert_eq!(found(&path, &text), 1, "{call}");
            }
        }
    }

    fn spaced(call: &str) -> String {
        if call.starts_with('.') { call.to_owned() } else { format!(" {call}") }
    }

    #[test]
    fn elsewhere_in_tests_and_in_strings_they_pass() {
        let clock = "fn f() { Instant::now() }";
        assert_eq!(found("crates/server/src/x.rs", clock), 0);
        assert_eq!(found("crates/store/src/clock.rs", clock), 0);
        let test = "#[cfg(test)]\nmod tests {\n    fn f() { a.unwrap() }\n}\n";
        assert_eq!(found("crates/domain/src/x.rs", test), 0);
        assert_eq!(found("crates/domain/src/tests.rs", "fn f() { a.unwrap() }"), 0);
        assert_eq!(found("crates/domain/src/x.rs", "f(\"a.unwrap()\")"), 0);
        assert_eq!(found("crates/cli/src/x.rs", "fn f() { println!() }"), 0);
    }

    #[test]
    fn ending_the_process_is_banned_in_tests_too() {
        let text = "#[cfg(test)]\nmod tests {\n    fn f() { std::process::exit(1) }\n}\n";
        assert_eq!(found("crates/cli/src/x.rs", text), 1);
    }
}
