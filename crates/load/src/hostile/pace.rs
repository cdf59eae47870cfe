//! Who is to be opened next, and how fast. Clients that come for the first time and those that come again have a pace each and take
//! turns, so that neither waits for the other: the crowd is there soon, and floods that the server ends go on meanwhile. Opens nothing.

use std::collections::VecDeque;
use std::time::Duration;

use super::attack::Attack;

/// Clients that are to be opened: of each attack in turn, so that none waits for another that reconnects more.
struct Due {
    lists: Vec<(Attack, VecDeque<usize>)>,
    next: usize,
}

impl Due {
    /// All clients, which are numbered in the order of the attacks.
    fn all(attacks: &[(Attack, usize)]) -> Self {
        let mut first = 0;
        let list = |(attack, count): &(Attack, usize)| {
            let list: VecDeque<usize> = (first..first + count).collect();
            first += count;
            (*attack, list)
        };
        Self { lists: attacks.iter().map(list).collect(), next: 0 }
    }

    fn none(attacks: &[(Attack, usize)]) -> Self {
        Self { lists: attacks.iter().map(|(attack, _)| (*attack, VecDeque::new())).collect(), next: 0 }
    }

    fn push(&mut self, attack: Attack, index: usize) {
        if let Some((_, list)) = self.lists.iter_mut().find(|(of, _)| *of == attack) {
            list.push_back(index);
        }
    }

    fn pop(&mut self) -> Option<usize> {
        for _ in 0..self.lists.len() {
            let at = self.next % self.lists.len();
            self.next = at + 1;
            if let Some(index) = self.lists[at].1.pop_front() {
                return Some(index);
            }
        }
        None
    }
}

/// Some that are due, at their pace.
struct Paced {
    due: Due,
    per_second: f64,
    opened: f64,
}

impl Paced {
    fn new(due: Due, per_second: f64) -> Self {
        Self { due, per_second, opened: 0.0 }
    }

    fn allowed(&self, elapsed: Duration) -> f64 {
        elapsed.as_secs_f64() * self.per_second
    }

    fn take(&mut self, elapsed: Duration) -> Option<usize> {
        if self.opened >= self.allowed(elapsed) {
            return None;
        }
        let Some(index) = self.due.pop() else {
            self.forgo(elapsed);
            return None;
        };
        self.opened += 1.0;
        Some(index)
    }

    /// What was not needed is not saved up.
    fn forgo(&mut self, elapsed: Duration) {
        self.opened = self.opened.max(self.allowed(elapsed));
    }
}

/// Everybody who is to be opened.
pub(super) struct Openings {
    first: Paced,
    again: Paced,
    is_first_next: bool,
}

impl Openings {
    /// All clients, which are numbered in the order of the attacks: so many a second that come for the first time, and so many that come
    /// again.
    pub(super) fn new(attacks: &[(Attack, usize)], first_per_second: f64, per_second: f64) -> Self {
        Self {
            first: Paced::new(Due::all(attacks), first_per_second),
            again: Paced::new(Due::none(attacks), per_second),
            is_first_next: true,
        }
    }

    /// A client comes again.
    pub(super) fn again(&mut self, attack: Attack, index: usize) {
        self.again.due.push(attack, index);
    }

    /// Who is opened next, when somebody may be by now.
    pub(super) fn take(&mut self, elapsed: Duration) -> Option<usize> {
        let Self { first, again, is_first_next } = self;
        let (one, other) = if *is_first_next { (first, again) } else { (again, first) };
        *is_first_next = !*is_first_next;
        one.take(elapsed).or_else(|| other.take(elapsed))
    }

    /// Nobody is opened now, whoever may be.
    pub(super) fn forgo(&mut self, elapsed: Duration) {
        self.first.forgo(elapsed);
        self.again.forgo(elapsed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    fn all(openings: &mut Openings, elapsed: Duration) -> Vec<usize> {
        std::iter::from_fn(|| openings.take(elapsed)).collect()
    }

    #[test]
    fn every_client_is_opened_once_and_each_attack_begins_early() {
        let attacks = [(Attack::Connections, 5), (Attack::Pings, 2), (Attack::Calls, 1)];
        let mut openings = Openings::new(&attacks, 100.0, 100.0);
        assert_eq!(all(&mut openings, SECOND), [0, 5, 7, 1, 6, 2, 3, 4]);
        assert_eq!(all(&mut openings, 2 * SECOND), [0; 0]);
    }

    #[test]
    fn whoever_reconnects_waits_for_none_but_its_own_attack() {
        let attacks = [(Attack::Connections, 1_000), (Attack::Pings, 2)];
        let mut due = Due::all(&attacks);
        let mut pings = 0;
        for _ in 0..100 {
            let index = due.pop().expect("there are many");
            if index >= 1_000 {
                pings += 1;
                due.push(Attack::Pings, index);
            }
        }
        assert_eq!(pings, 50, "every other one");
    }

    #[test]
    fn whoever_comes_again_does_not_wait_until_all_have_come_for_the_first_time() {
        let mut openings = Openings::new(&[(Attack::Connections, 4_000), (Attack::Pings, 2)], 1_000.0, 400.0);
        let (mut first, mut again) = (0, 0);
        for millisecond in 1..=2_000 {
            for index in all(&mut openings, Duration::from_millis(millisecond)) {
                if index >= 4_000 {
                    again += 1;
                    openings.again(Attack::Pings, index);
                } else {
                    first += 1;
                }
            }
        }
        assert!((1_995..=2_000).contains(&first), "{first} of those that come for the first time");
        assert!((790..=802).contains(&again), "{again} that come again");
    }

    #[test]
    fn what_was_not_needed_or_not_let_is_not_saved_up() {
        let mut openings = Openings::new(&[(Attack::Connections, 100)], 10.0, 10.0);
        openings.forgo(5 * SECOND);
        assert_eq!(all(&mut openings, 5 * SECOND), [0; 0]);
        assert_eq!(all(&mut openings, 6 * SECOND).len(), 10);
    }
}
