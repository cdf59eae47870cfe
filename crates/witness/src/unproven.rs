//! How long a log may show a larger tree without showing that it follows, or none that is signed with its key; and how long nothing
//! new may come of it at all. A connection that breaks is no change of history; a log that never proves anything, or that a witness
//! is kept from, may hide one, and must not be asked again for ever without anybody's hearing of it.

use std::time::Duration;

use crate::watch::{Outcome, WatchError};

/// Whether a round brought something new that is proven, whether or not its cosignature was taken. Each cosignature becomes an entry
/// of the log within a minute, and each that is refused another, so a log that goes on grows.
fn is_new(round: &Result<Outcome, WatchError>) -> bool {
    match round {
        Ok(outcome) | Err(WatchError::NotTaken { outcome, why: _ }) => match outcome {
            Outcome::First(_) => true,
            Outcome::Followed(had, has) => has > had,
        },
        Err(_) => false,
    }
}

/// Rounds without a proof since the last one with it.
#[derive(Debug)]
pub struct Unproven {
    most: u32,
    rounds: u32,
}

impl Unproven {
    /// It is to be cried after so many rounds.
    #[must_use]
    pub fn new(most: u32) -> Self {
        Self { most, rounds: 0 }
    }

    /// Takes what a round came to, and gives whether it is to be cried that nothing is proven. Only a proof begins the count anew:
    /// a log that in between is not there, or shows the tree that is remembered, has proven nothing.
    pub fn take(&mut self, round: &Result<Outcome, WatchError>) -> bool {
        if is_new(round) {
            self.rounds = 0;
        }
        match round {
            Err(WatchError::Unproven { .. } | WatchError::NotShown { .. }) => {
                self.rounds = self.rounds.saturating_add(1);
            }
            Ok(Outcome::First(_) | Outcome::Followed(..))
            | Err(
                WatchError::Changed(_)
                | WatchError::Log(_)
                | WatchError::Head(_)
                | WatchError::NoHead
                | WatchError::NotTaken { .. }
                | WatchError::Memory(_)
                | WatchError::Key(_),
            ) => return false,
        }
        self.rounds >= self.most
    }
}

/// How long nothing new has come of a log, whatever the reason: it cannot be asked, shows the same for ever, or the witness itself
/// cannot go on.
#[derive(Debug)]
pub struct Silence {
    limit: Duration,
    since: Duration,
}

impl Silence {
    /// It is to be cried after so long. Times are counted from when this was made.
    #[must_use]
    pub fn new(limit: Duration) -> Self {
        Self { limit, since: Duration::ZERO }
    }

    /// Takes what a round came to at a time, and gives whether it is to be cried that nothing new comes.
    pub fn take(&mut self, round: &Result<Outcome, WatchError>, at: Duration) -> bool {
        if is_new(round) {
            self.since = at;
        }
        at.saturating_sub(self.since) >= self.limit
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn unproven() -> Result<Outcome, WatchError> {
        Err(WatchError::Unproven { from: 5, to: 6, why: "unavailable".to_owned() })
    }

    #[test]
    fn what_is_never_proven_is_cried_after_so_many_rounds_whatever_comes_between_them() {
        let mut rounds = Unproven::new(3);
        let between = || [Err(WatchError::Log("not there".to_owned())), Ok(Outcome::Followed(5, 5))];
        assert!(!rounds.take(&unproven()));
        assert!(between().iter().all(|round| !rounds.take(round)));
        assert!(!rounds.take(&unproven()));
        assert!(between().iter().all(|round| !rounds.take(round)));
        assert!(rounds.take(&unproven()) && rounds.take(&unproven()));
    }

    #[test]
    fn a_log_that_shows_no_head_of_its_own_any_more_has_proven_nothing() {
        let not_shown = || Err(WatchError::NotShown { from: 5, why: "another key".to_owned() });
        let mut rounds = Unproven::new(3);
        assert!(!rounds.take(&not_shown()) && !rounds.take(&unproven()));
        assert!(rounds.take(&not_shown()));
    }

    #[test]
    fn a_log_of_which_nothing_new_comes_is_cried_after_so_long_whatever_comes_instead() {
        let minutes = |count: u64| Duration::from_secs(60 * count);
        let nothing_new: [&dyn Fn() -> Result<Outcome, WatchError>; 5] = [
            &|| Err(WatchError::Log("not there".to_owned())),
            &|| Err(WatchError::NoHead),
            &|| Ok(Outcome::Followed(5, 5)),
            &unproven,
            &|| Err(WatchError::NotShown { from: 5, why: "another key".to_owned() }),
        ];
        for round in nothing_new {
            let mut silence = Silence::new(minutes(30));
            assert!(!silence.take(&round(), minutes(29)), "since it began");
            assert!(silence.take(&round(), minutes(30)) && silence.take(&round(), minutes(31)));
            for new in [Outcome::First(4), Outcome::Followed(4, 5)] {
                let mut silence = Silence::new(minutes(30));
                assert!(!silence.take(&Ok(new), minutes(40)));
                assert!(!silence.take(&round(), minutes(69)));
                assert!(silence.take(&round(), minutes(70)), "{:?}", round());
            }
        }
    }

    #[test]
    fn a_proof_begins_the_count_anew() {
        let mut rounds = Unproven::new(2);
        for proof in [Outcome::Followed(5, 6), Outcome::First(1)] {
            assert!(!rounds.take(&unproven()));
            assert!(!rounds.take(&Ok(proof)));
        }
        assert!(!rounds.take(&unproven()) && rounds.take(&unproven()));
    }
}
