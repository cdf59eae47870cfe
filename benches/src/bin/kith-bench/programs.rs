//! How child processes are started: they end with this one, however that ends. Whether a generator may have a real-time priority
//! for what has a schedule to keep.

use std::ffi::OsStr;
use std::process::{Command, Stdio};
use std::sync::OnceLock;

/// Ends the child when its parent has ended, even by a signal.
const ENDS_WITH_US: [&str; 4] = ["setpriv", "--pdeathsig", "TERM", "--"];
/// The least real-time priority: before every process without one, and it does not change what the server gets, which the
/// generator would take from it anyway, only when.
const PUNCTUAL: [&str; 3] = ["chrt", "--fifo", "1"];

/// Whether these words before a program let it run here.
fn works(words: &[&str]) -> bool {
    let Some((first, more)) = words.split_first() else { return false };
    let mut command = Command::new(first);
    command.args(more).arg("true").stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    command.status().is_ok_and(|status| status.success())
}

fn ends_with_us() -> &'static [&'static str] {
    static WORDS: OnceLock<bool> = OnceLock::new();
    if *WORDS.get_or_init(|| works(&ENDS_WITH_US)) { &ENDS_WITH_US } else { &[] }
}

/// Whether a generator can be given a real-time priority here.
pub fn can_be_punctual() -> bool {
    static WORDS: OnceLock<bool> = OnceLock::new();
    *WORDS.get_or_init(|| works(&PUNCTUAL))
}

/// A program that ends with this one.
pub fn child(program: impl AsRef<OsStr>) -> Command {
    child_on(None, program)
}

/// The same, on some processors only.
pub fn child_on(processors: Option<&str>, program: impl AsRef<OsStr>) -> Command {
    let program = program.as_ref();
    let there = processors.map(|list| ["taskset", "-c", list]);
    let there = there.iter().flatten().map(|word| OsStr::new(*word));
    let mut words = ends_with_us().iter().map(OsStr::new).chain(there).chain([program]);
    let mut command = Command::new(words.next().unwrap_or(program));
    command.args(words);
    command
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_program_runs_with_its_arguments_and_its_code() {
        let ended = child("sh").args(["-c", "exit $0", "7"]).status().unwrap();
        assert_eq!(ended.code(), Some(7));
        assert!(!works(&["false"]) && !works(&["/no/such/program"]) && !works(&[]));
    }

    #[test]
    fn a_child_ends_with_its_parent() {
        if ends_with_us().is_empty() {
            return;
        }
        let words = ENDS_WITH_US.join(" ");
        let script = format!("{words} sleep 60 & echo $!; sleep 0.2; kill -9 $$");
        let printed = Command::new("sh").args(["-c", &script]).output().unwrap().stdout;
        let pid = String::from_utf8(printed).unwrap().trim().to_owned();
        let state = || std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
        let ended = || !state().contains("(sleep)") || state().contains(") Z");
        for _ in 0..1_000 {
            if ended() {
                return;
            }
            std::thread::sleep(std::time::Duration::from_millis(5));
        }
        panic!("{}", state());
    }
}
