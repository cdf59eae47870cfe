//! How long a log may show a larger tree without showing that it follows. A connection that breaks is no change of history; a log
//! that never proves anything may hide one, and must not be asked again for ever without anybody's hearing of it.

use crate::watch::{Outcome, WatchError};

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
        match round {
            Ok(Outcome::First(_)) => self.rounds = 0,
            Ok(Outcome::Followed(had, has)) if has > had => self.rounds = 0,
            Err(WatchError::Unproven { .. }) => self.rounds = self.rounds.saturating_add(1),
            Ok(Outcome::Followed(..))
            | Err(
                WatchError::Changed(_)
                | WatchError::Log(_)
                | WatchError::Head(_)
                | WatchError::Memory(_)
                | WatchError::Key(_),
            ) => return false,
        }
        self.rounds >= self.most
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
    fn a_proof_begins_the_count_anew() {
        let mut rounds = Unproven::new(2);
        for proof in [Outcome::Followed(5, 6), Outcome::First(1)] {
            assert!(!rounds.take(&unproven()));
            assert!(!rounds.take(&Ok(proof)));
        }
        assert!(!rounds.take(&unproven()) && rounds.take(&unproven()));
    }
}
