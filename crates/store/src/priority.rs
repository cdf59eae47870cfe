//! Threads for which nobody waits give way to those that answer, where processors are few. Decides no order of work.

/// How far behind: a tenth of the share of a thread that answers, so that it still goes on where the processors are never idle.
const BEHIND: i32 = 10;

/// Of a thread for which somebody waits who waits for a disk anyway: a third of the share of one that answers.
const BESIDE: i32 = 5;

/// Lets the calling thread stand back a little from those that answer at once.
pub fn stand_back() {
    be_nice(BESIDE);
}

/// Lets the calling thread give way to others. Where the kernel refuses, it stays as it is: it only costs time.
pub fn give_way() {
    be_nice(BEHIND);
}

fn be_nice(nice: i32) {
    // On Linux this is the calling thread alone, not its process.
    if let Err(error) = rustix::process::setpriority_process(None, nice) {
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

    #[test]
    fn who_stands_back_does_so_by_less_than_who_gives_way() {
        let beside = std::thread::spawn(|| {
            stand_back();
            own()
        });
        assert_eq!(beside.join().unwrap(), BESIDE.max(own()));
        assert!((1..BEHIND).contains(&BESIDE));
    }
}
