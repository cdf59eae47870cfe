//! When requests are due, fixed beforehand: what the service does changes nothing here. And the queue of what is due and
//! could not be sent yet, which keeps each request's own moment, so that a stall is seen by every request it held up.

use std::collections::VecDeque;

use crate::dice::Dice;
use crate::plan::Arrivals;

/// Moments at which requests are due, in nanoseconds from the start.
#[derive(Clone, Debug)]
pub struct Schedule {
    gap_ns: f64,
    arrivals: Arrivals,
    dice: Dice,
    first_ns: f64,
    taken: u64,
    next_ns: f64,
    end_ns: u64,
}

impl Schedule {
    /// `rate` a second from 0 to `end_ns`; `share` of the first gap passes before the first, so that several generators of
    /// one schedule alternate.
    #[must_use]
    pub fn new(rate_per_second: f64, arrivals: Arrivals, dice: Dice, share: f64, end_ns: u64) -> Self {
        let gap_ns = 1e9 / rate_per_second;
        let first_ns = gap_ns * share;
        let mut schedule = Self { gap_ns, arrivals, dice, first_ns, taken: 0, next_ns: 0.0, end_ns };
        schedule.advance();
        schedule
    }

    /// The next moment. Equal distances are counted from the first, so that they do not drift.
    fn advance(&mut self) {
        self.next_ns = match self.arrivals {
            Arrivals::Constant => self.first_ns + self.taken as f64 * self.gap_ns,
            Arrivals::Poisson => self.next_ns - self.dice.unit().ln() * self.gap_ns,
        };
        self.taken += 1;
    }

    /// When the next request is due; none after the end.
    #[must_use]
    pub fn next_due(&self) -> Option<u64> {
        let next = self.next_ns as u64;
        (next < self.end_ns).then_some(next)
    }

    /// The next request that is due at `now`.
    pub fn take(&mut self, now_ns: u64) -> Option<u64> {
        let due = self.next_due().filter(|due| *due <= now_ns)?;
        self.advance();
        Some(due)
    }
}

/// What is due and could not be sent yet, oldest first.
#[derive(Debug)]
pub struct Backlog<T> {
    calls: VecDeque<T>,
    most: usize,
}

impl<T> Backlog<T> {
    /// At most so many wait; more are not taken.
    #[must_use]
    pub fn new(most: usize) -> Self {
        Self { calls: VecDeque::new(), most }
    }

    /// Puts one in.
    ///
    /// # Errors
    /// There is no room: it is given back.
    pub fn push(&mut self, call: T) -> Result<(), T> {
        if self.calls.len() >= self.most {
            return Err(call);
        }
        self.calls.push_back(call);
        Ok(())
    }

    /// The oldest.
    pub fn pop(&mut self) -> Option<T> {
        self.calls.pop_front()
    }

    /// The oldest goes back: there is no place for it.
    pub fn put_back(&mut self, call: T) {
        self.calls.push_front(call);
    }

    /// Takes everything out.
    pub fn drain(&mut self) -> impl Iterator<Item = T> + '_ {
        self.calls.drain(..)
    }

    /// Whether nothing waits.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.calls.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kind::Kind;
    use crate::tally::Tally;

    const SECOND: u64 = 1_000_000_000;

    fn dues(schedule: &mut Schedule) -> Vec<u64> {
        std::iter::from_fn(|| schedule.take(u64::MAX)).collect()
    }

    #[test]
    fn constant_arrivals_do_not_drift() {
        let mut schedule = Schedule::new(3_000.0, Arrivals::Constant, Dice::new(1, 0), 0.0, 10 * SECOND);
        let dues = dues(&mut schedule);
        assert_eq!(dues.len(), 30_000);
        assert!(dues.iter().enumerate().all(|(at, due)| due.abs_diff(at as u64 * SECOND / 3_000) <= 1));
    }

    #[test]
    fn two_generators_of_one_schedule_alternate() {
        let of = |share| dues(&mut Schedule::new(1_000.0, Arrivals::Constant, Dice::new(1, 0), share, SECOND / 100));
        assert_eq!(of(0.0)[..3], [0, 1_000_000, 2_000_000]);
        assert_eq!(of(0.5)[..3], [500_000, 1_500_000, 2_500_000]);
    }

    #[test]
    fn poisson_arrivals_keep_the_rate_and_vary_as_they_should() {
        let make = |seed| dues(&mut Schedule::new(2_000.0, Arrivals::Poisson, Dice::new(seed, 0), 0.0, 50 * SECOND));
        let found = make(5);
        assert_eq!(found, make(5));
        assert_ne!(found, make(6));
        assert!((99_000..101_000).contains(&found.len()), "{}", found.len());
        let gaps: Vec<f64> = found.windows(2).map(|pair| (pair[1] - pair[0]) as f64).collect();
        let mean = gaps.iter().sum::<f64>() / gaps.len() as f64;
        let variance = gaps.iter().map(|gap| (gap - mean).powi(2)).sum::<f64>() / gaps.len() as f64;
        assert!((0.97..1.03).contains(&(variance.sqrt() / mean)), "an exponential's deviation is its mean");
    }

    #[test]
    fn nothing_is_due_early() {
        let mut schedule = Schedule::new(10.0, Arrivals::Constant, Dice::new(1, 0), 0.5, SECOND);
        assert_eq!(schedule.take(49_999_999), None);
        assert_eq!(schedule.take(50_000_000), Some(50_000_000));
        assert_eq!(schedule.take(50_000_000), None);
        assert_eq!(schedule.next_due(), Some(150_000_000));
    }

    /// A server that takes one request at a time for a millisecond, and once stands still for a second. The generator has
    /// one place: it is held up as well, and must not hide it.
    fn stalled(from_due: bool) -> Tally {
        let mut schedule = Schedule::new(500.0, Arrivals::Constant, Dice::new(1, 0), 0.0, 4 * SECOND);
        let mut backlog = Backlog::new(1_000_000);
        let mut tally = Tally::new(4 * SECOND);
        let (mut now, mut open, mut stalled) = (0_u64, None::<(u64, u64, u64)>, false);
        loop {
            while let Some(due) = schedule.take(now) {
                tally.offered(Kind::Miss, 0, due);
                backlog.push(due).unwrap();
            }
            if open.is_none()
                && let Some(due) = backlog.pop()
            {
                let stall = if !stalled && now >= SECOND { SECOND } else { 0 };
                stalled |= stall > 0;
                open = Some((due, now, now + 1_000_000 + stall));
            }
            let next = [schedule.next_due(), open.map(|(.., end)| end)].into_iter().flatten().min();
            let Some(next) = next else { return tally };
            now = now.max(next);
            if let Some((due, sent, end)) = open.filter(|(.., end)| *end <= now) {
                tally.ok(Kind::Miss, 0, now, end - if from_due { due } else { sent }, 1, 1);
                open = None;
            }
        }
    }

    #[test]
    fn a_stall_is_seen_by_every_request_it_held_up() {
        let honest = stalled(true).figures(&[Kind::Miss], 4.0);
        // 500 were due in the second of the stall, and 500 more while it was worked off.
        assert_eq!(honest.ok, 2_000);
        assert!(honest.latency_ns.p50 > 1_000_000 && honest.latency_ns.p90 > 500_000_000, "{:?}", honest.latency_ns);
        assert!((0.45..0.55).contains(&honest.within_1ms_share), "{}", honest.within_1ms_share);
        // The usual mistake, measuring from when a request was sent, sees the stall once.
        let hidden = stalled(false).figures(&[Kind::Miss], 4.0);
        assert!(hidden.latency_ns.p99_9 < 2_000_000 && hidden.latency_ns.max > SECOND, "{:?}", hidden.latency_ns);
    }

    #[test]
    fn a_backlog_has_a_bound() {
        let mut backlog = Backlog::new(2);
        assert_eq!((backlog.push(1), backlog.push(2), backlog.push(3)), (Ok(()), Ok(()), Err(3)));
        backlog.put_back(0);
        assert_eq!(backlog.drain().collect::<Vec<_>>(), [0, 1, 2]);
        assert!(backlog.is_empty());
    }
}
