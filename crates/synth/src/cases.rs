//! How many people of each plan history an England has. The counts add up to the published totals of 31 March 2025
//! and to 230,000 records with a twelve-month tail. Never decides anything about one person.

use crate::scale::Scale;

/// A plan history that one person can have.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub(crate) enum Case {
    CppActive,
    LacActive,
    CppAndLac,
    TwoAuthorities,
    Transferred,
    Moving,
    CppEnded,
    LacEnded,
    CppEndedLacActive,
    RepeatCpp,
    UnbornActive,
    UnbornEnded,
    UnbornYoungMother,
    Future,
    Withdrawn,
}

/// People at scale 1. Active CPP: 42,320 + 3,000 + 800 + 1,500 + 300 + 1,500 = 49,420. Active LAC: 71,970 + 3,000 +
/// 800 + 6,000 = 81,770. Ended CPP within the year: 53,300 + 1,500 + 6,000 + 1,500 = 62,300. About 2 % are unborn.
const PEOPLE: [(Case, u64); 15] = [
    (Case::CppActive, 42_320),
    (Case::LacActive, 71_970),
    (Case::CppAndLac, 3_000),
    (Case::TwoAuthorities, 800),
    (Case::Transferred, 1_500),
    (Case::Moving, 300),
    (Case::CppEnded, 53_300),
    (Case::LacEnded, 29_900),
    (Case::CppEndedLacActive, 6_000),
    (Case::RepeatCpp, 1_500),
    (Case::UnbornActive, 2_500),
    (Case::UnbornEnded, 1_950),
    (Case::UnbornYoungMother, 150),
    (Case::Future, 1_000),
    (Case::Withdrawn, 1_000),
];

/// A prime larger than any number of people here: multiplying by it mixes the cases through the files.
const STRIDE: u64 = 2_147_483_647;

/// The counts at one scale.
pub(crate) struct Cases {
    ends: Vec<(u64, Case)>,
    total: u64,
}

impl Cases {
    /// Every case has at least one person at every scale.
    pub(crate) fn new(scale: Scale) -> Self {
        let mut total = 0;
        let mut ends = Vec::new();
        for (case, people) in PEOPLE {
            total += scale.of(people).max(1);
            ends.push((total, case));
        }
        Self { ends, total }
    }

    /// How many people with plans there are.
    pub(crate) fn total(&self) -> u64 {
        self.total
    }

    /// The case of the `turn`-th person written, and which one of that case it is, counting from 0.
    pub(crate) fn at(&self, turn: u64) -> Option<(Case, u64)> {
        let place = (u128::from(turn) * u128::from(STRIDE) % u128::from(self.total)) as u64;
        let found = self.ends.iter().position(|(end, _)| place < *end)?;
        let first = if found == 0 { 0 } else { self.ends[found - 1].0 };
        Some((self.ends[found].1, place - first))
    }
}

#[cfg(test)]
mod tests {
    use super::{Case, Cases};
    use std::collections::BTreeSet;

    #[test]
    fn every_person_of_every_case_comes_up_once() {
        let cases = Cases::new("0.001".parse().unwrap());
        let seen: BTreeSet<_> = (0..cases.total()).filter_map(|turn| cases.at(turn)).collect();
        assert_eq!(seen.len() as u64, cases.total());
        assert!(seen.contains(&(Case::Moving, 0)) && !seen.contains(&(Case::Moving, 1)));
    }
}
