//! Threads for which nobody waits give way to those that answer, where processors are few. Decides no order of work.

/// How far behind: a tenth of the share of a thread that answers, so that it still goes on where the processors are never idle.
const BEHIND: i32 = 10;

/// Lets the calling thread give way to others. Where the kernel refuses, it stays as it is: it only costs time.
pub fn give_way() {
    // On Linux this is the calling thread alone, not its process.
    if let Err(error) = rustix::process::setpriority_process(None, BEHIND) {
        tracing::warn!(%error, "a background thread runs beside those that answer, and not behind them");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn own() -> i32 {
        rustix::process::getpriority_process(None).unwrap()
    }

    #[test]
    fn a_thread_gives_way_and_no_other_does() {
        let before = own();
        let behind = std::thread::spawn(|| {
            give_way();
            own()
        });
        assert_eq!(behind.join().unwrap(), BEHIND.max(before));
        assert_eq!(own(), before);
    }
}
