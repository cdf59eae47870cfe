//! Waits until kithd has derived the history of what it was asked: what is measured next would else share the machine with work
//! of the turn before, and the turn's own figure would not tell of that work.

use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use kith_load::control::page;

/// The tree of the audit takes its last entries in so long after they are on disk, at most; no page tells when it has.
const TREE: Duration = Duration::from_millis(1_200);
/// How often it is looked at.
const POLL: Duration = Duration::from_millis(20);
/// Longer than this, and the round is void.
const LIMIT: Duration = Duration::from_secs(600);
/// Entries of which no history comes are passed over without a word: so few may stay behind for good.
const PASSED_OVER: u64 = 1_000;
/// So few that stand still for so long are those.
const STILL: Duration = Duration::from_secs(1);

fn value(page: &str, name: &str) -> Result<u64> {
    let line = page.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(' '));
    line.with_context(|| format!("the metrics page has no {name}"))?.trim().parse().context("no number")
}

/// Entries of the audit that are not on disk yet, or of which the history is not in the log.
fn behind(page: &str) -> Result<u64> {
    Ok(value(page, "kith_audit_not_derived")? + value(page, "kith_audit_unsynced")?)
}

/// Waits until a server that was just started has read again what its watch of use counts: that is work of the start, and the
/// audit of a server that is measured is longer than any other.
pub fn wait_for_the_watch(metrics: &str) -> Result<()> {
    let began = Instant::now();
    loop {
        // It may have no time for its page.
        if let Ok(page) = page(metrics)
            && value(&page, "kith_watch_behind_entries")? == 0
        {
            return Ok(());
        }
        ensure!(began.elapsed() < LIMIT, "the watch of use was not done with reading again in time");
        thread::sleep(POLL);
    }
}

/// What was seen of a server until now.
#[derive(Default)]
struct Seen {
    behind: u64,
    since: Duration,
}

impl Seen {
    /// How long the drain took, when it is over by what is seen now.
    fn look(&mut self, at: Duration, behind: u64) -> Option<Duration> {
        if behind != self.behind {
            *self = Self { behind, since: at };
        }
        let over = behind == 0 || (behind < PASSED_OVER && at.saturating_sub(self.since) >= STILL);
        over.then_some(self.since)
    }
}

/// Whether no server runs at an address.
fn nobody_is_there(error: &anyhow::Error) -> bool {
    let refused = |error: &std::io::Error| error.kind() == std::io::ErrorKind::ConnectionRefused;
    error.downcast_ref::<std::io::Error>().is_some_and(refused)
}

/// Waits for the servers whose metrics pages are at these addresses, where any runs; gives the seconds of the longest drain, and
/// nothing when one was not over in time.
pub fn wait(metrics: &[String]) -> Result<Option<f64>> {
    let (began, mut longest) = (Instant::now(), 0.0_f64);
    for address in metrics {
        let mut seen = Seen::default();
        loop {
            match page(address) {
                Ok(page) => {
                    if let Some(took) = seen.look(began.elapsed(), behind(&page)?) {
                        longest = longest.max(took.as_secs_f64());
                        break;
                    }
                }
                Err(error) if nobody_is_there(&error) => break,
                // It may have no time for its page.
                Err(_) => {}
            }
            if began.elapsed() > LIMIT {
                return Ok(None);
            }
            thread::sleep(POLL);
        }
    }
    if longest > 0.0 {
        thread::sleep(TREE);
    }
    Ok(Some(longest))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_behind_is_read_from_the_page() {
        let page =
            "# HELP x\nkith_audit_not_derived 70\nkith_audit_unsynced 7\nkith_audit_unsynced_window_seconds_sum 9\n";
        assert_eq!(behind(page).unwrap(), 77);
        assert!(behind("kith_audit_not_derived 70\n").is_err());
    }

    #[test]
    fn a_drain_is_over_with_nothing_behind_or_with_a_rest_that_stands_still() {
        let at = Duration::from_millis;
        let mut seen = Seen::default();
        assert_eq!(seen.look(at(0), 0), Some(at(0)), "nothing was behind");
        let mut seen = Seen::default();
        assert_eq!((seen.look(at(0), 5_000), seen.look(at(900), 800)), (None, None));
        assert_eq!(seen.look(at(1_500), 800), None);
        assert_eq!(seen.look(at(1_900), 800), Some(at(900)), "the second of standing still does not count");
        let mut seen = Seen::default();
        assert_eq!((seen.look(at(0), 5_000), seen.look(at(9_000), 5_000)), (None, None), "too many to be passed over");
        assert_eq!(seen.look(at(9_100), 0), Some(at(9_100)));
    }

    #[test]
    fn a_server_without_time_for_its_page_is_no_absent_one() {
        let server = std::net::TcpListener::bind(("127.0.0.1", 0)).unwrap();
        let address = server.local_addr().unwrap().to_string();
        let answering = thread::spawn(move || {
            drop(server.accept().unwrap());
            let (mut stream, _) = server.accept().unwrap();
            let asked = std::io::Read::read(&mut stream, &mut [0; 512]).unwrap();
            let page = "HTTP/1.1 200 OK\r\n\r\nkith_audit_not_derived 0\nkith_audit_unsynced 0\n";
            std::io::Write::write_all(&mut stream, page.as_bytes()).unwrap();
            asked
        });
        assert!(wait(&[address]).unwrap().is_some());
        assert!(answering.join().unwrap() > 0, "it was asked again");
    }

    #[test]
    fn where_nobody_runs_nothing_is_waited_for() {
        let free = crate::servers::free_port().unwrap().to_string();
        assert_eq!(wait(&[free]).unwrap(), Some(0.0));
    }
}
