//! Real-time priority of a thread that has a schedule to keep, and of no other: who opens connections, sends files or makes a
//! storm gives way as everything else does.

use std::process::{Command, Stdio};

/// The least real-time priority: before every thread without one.
const LEAST: &str = "1";

/// Gives it to the thread that asks, and says whether it has it now: that takes a right that few have.
#[must_use]
pub fn raise() -> bool {
    // A program that reaches any thread by its id: the call itself would be an unsafe one.
    let thread = rustix::thread::gettid().as_raw_nonzero().to_string();
    let mut command = Command::new("chrt");
    command.args(["--fifo", "--pid", LEAST, &thread]);
    command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    command.status().is_ok_and(|status| status.success())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The scheduling policy of a thread of this process, field 41 of its `stat`: 1 is first in, first out.
    fn policy(thread: i32) -> u32 {
        let stat = std::fs::read_to_string(format!("/proc/self/task/{thread}/stat")).unwrap();
        let fields: Vec<&str> = stat.rsplit_once(')').unwrap().1.split_whitespace().collect();
        fields[38].parse().unwrap()
    }

    #[test]
    fn only_the_thread_that_asks_is_raised() {
        let own = || rustix::thread::gettid().as_raw_nonzero().get();
        let (raised, its) = std::thread::spawn(move || (raise(), policy(own()))).join().unwrap();
        assert_eq!(its, u32::from(raised), "without the right to it nothing changes");
        assert_eq!(policy(own()), 0);
    }
}
