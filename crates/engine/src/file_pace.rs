//! How a file of plans gives way to whoever asks. It is work in bulk, for which nobody stands at a desk, and one file after another
//! would else have the writing thread use most of a processor. Decides nothing about rows.

use std::time::Duration;

/// How many times as long as a group took the file rests while anybody asks: it uses a quarter of the time then. A file of 1,500 rows
/// takes most of a second instead of a quarter of one.
const REST: u32 = 3;
/// Shortest rest, however fast a group was.
const MIN_REST: Duration = Duration::from_millis(1);
/// Longest rest: on a slow disk a file takes twice as long, and not four times.
const MAX_REST: Duration = Duration::from_millis(100);
/// Nobody has asked for so long: then it goes on without a rest.
const ALONE_AFTER: Duration = Duration::from_secs(1);

/// The pace of one file.
#[derive(Debug)]
pub(crate) struct Pace {
    /// Questions answered when it was last looked.
    answered: u64,
    /// When somebody was last seen to ask, by the monotonic clock.
    asked_at: Option<Duration>,
}

impl Pace {
    /// Of a file that begins when so many questions were answered.
    pub(crate) fn new(answered: u64) -> Self {
        Self { answered, asked_at: None }
    }

    /// How long to rest after a group that took so long, when so many questions were answered by now.
    pub(crate) fn rest_after(&mut self, took: Duration, answered: u64, now: Duration) -> Duration {
        if answered != self.answered {
            (self.answered, self.asked_at) = (answered, Some(now));
        }
        match self.asked_at {
            Some(at) if now.saturating_sub(at) < ALONE_AFTER => (took * REST).clamp(MIN_REST, MAX_REST),
            Some(_) | None => Duration::ZERO,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_rests_while_anybody_asks_and_not_when_nobody_does() {
        let (mut pace, begin, ms) = (Pace::new(7), Duration::from_secs(60), Duration::from_millis);
        assert_eq!(pace.rest_after(ms(8), 7, begin), Duration::ZERO, "nobody asked since it began");
        assert_eq!(pace.rest_after(ms(8), 8, begin), ms(24));
        assert_eq!(pace.rest_after(ms(8), 8, begin + ms(999)), ms(24), "asked a moment ago");
        assert_eq!(pace.rest_after(ms(8), 8, begin + ms(1_000)), Duration::ZERO, "nobody asks any more");
        assert_eq!(pace.rest_after(ms(8), 9, begin + ms(5_000)), ms(24));
    }

    #[test]
    fn a_slow_disk_makes_no_endless_file_and_a_fast_group_still_rests() {
        let (mut pace, now) = (Pace::new(0), Duration::from_secs(60));
        assert_eq!(pace.rest_after(Duration::from_secs(5), 1, now), MAX_REST);
        assert_eq!(pace.rest_after(Duration::ZERO, 1, now), MIN_REST);
    }
}
