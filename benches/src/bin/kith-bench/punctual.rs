//! Whether the machine keeps time at all: on a shared one whole processors are taken away for milliseconds, and a turn in which that
//! happens says nothing of what is measured. Every turn, of either side, waits for a moment in which it does.

use std::thread;
use std::time::{Duration, Instant};

use kith_load::priority;

/// A thread wakes as often as requests are due at the usual rate.
const TICK: Duration = Duration::from_micros(500);
const TICKS: u32 = 1_000;
/// As late as a request may be taken up.
const LATE: Duration = Duration::from_millis(1);
/// Half of what the generator may be late by, in a thousand ticks.
const FEW: u32 = 5;
/// Pause before it is looked at again.
const PAUSE: Duration = Duration::from_secs(1);

/// How many ticks of a thousand are taken up late, by the processor that is worst.
fn late() -> u32 {
    let processors = thread::available_parallelism().map_or(1, usize::from);
    let threads: Vec<_> = (0..processors).map(|_| thread::spawn(late_here)).collect();
    threads.into_iter().map(|thread| thread.join().unwrap_or(TICKS)).max().unwrap_or(TICKS)
}

/// The same of this thread, which comes before all others where it may.
fn late_here() -> u32 {
    let _raised = priority::raise();
    let tick = |_: &u32| {
        let due = Instant::now() + TICK;
        thread::sleep(TICK);
        due.elapsed() > LATE
    };
    u32::try_from((0..TICKS).filter(tick).count()).unwrap_or(TICKS)
}

/// Waits until it keeps time, so long at most; gives how long it was waited for.
pub fn wait(limit: Duration) -> Duration {
    wait_for(limit, late, thread::sleep)
}

fn wait_for(limit: Duration, mut late: impl FnMut() -> u32, mut rest: impl FnMut(Duration)) -> Duration {
    let mut waited = Duration::ZERO;
    while waited < limit && late() > FEW {
        rest(PAUSE);
        waited += PAUSE + TICK * TICKS;
    }
    waited
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_waited_for_until_it_keeps_time_and_no_longer_than_may_be() {
        let limit = Duration::from_secs(30);
        assert_eq!(wait_for(limit, || FEW, |_| {}), Duration::ZERO, "it does");
        let mut looks = [900, 6, 5].into_iter();
        assert_eq!(wait_for(limit, || looks.next().unwrap(), |_| {}), Duration::from_secs(3), "the third time");
        assert_eq!(wait_for(limit, || TICKS, |_| {}), limit, "never");
        assert_eq!(wait_for(Duration::ZERO, || TICKS, |_| {}), Duration::ZERO, "not asked for");
    }

    #[test]
    fn ticks_are_counted() {
        assert!(late() <= TICKS);
    }
}
