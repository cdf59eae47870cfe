//! Shares: of how many of the children that somebody asked about something is so, beside the same of everybody else.

use crate::codes::OdsCode;
use std::collections::BTreeMap;

/// A person's latest questions.
pub(super) type OfPerson = Halves<32>;
/// Those of everybody in an organisation.
pub(super) type OfOrganisation = Halves<256>;

/// The latest questions in two halves of so many each. It is looked at when a half is full and at no other time, so that no single
/// question makes or unmakes a flag by what is held of one child.
#[derive(Debug, Default)]
pub(super) struct Halves<const HALF: u32> {
    before: Half,
    current: Half,
}

#[derive(Debug, Default, Clone, Copy)]
struct Half {
    asked: u32,
    hits: u32,
    expected: u64,
    first_entry: u64,
}

/// What a window holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Counted {
    pub(super) asked: u32,
    pub(super) hits: u32,
    /// Thousandths of hits that others would have had, each question by what was usual when it was asked: more is held of
    /// children from month to month, and a window may be long.
    pub(super) expected: u64,
    pub(super) first_entry: u64,
}

impl<const HALF: u32> Halves<HALF> {
    /// Counts a question, of which so many thousandths of a hit were usual; what the window holds when a half is full.
    pub(super) fn add(&mut self, hit: bool, usual: u64, entry: u64) -> Option<Counted> {
        if self.current.asked == 0 {
            self.current.first_entry = entry;
        }
        self.current.asked += 1;
        self.current.hits += u32::from(hit);
        self.current.expected += usual;
        if self.current.asked < HALF {
            return None;
        }
        let counted = self.counted();
        self.before = std::mem::take(&mut self.current);
        Some(counted)
    }

    /// What the window holds.
    pub(super) fn counted(&self) -> Counted {
        let Self { before, current } = self;
        let first = if before.asked > 0 { before } else { current };
        Counted {
            asked: before.asked + current.asked,
            hits: before.hits + current.hits,
            expected: before.expected + current.expected,
            first_entry: first.first_entry,
        }
    }
}

/// The same of everybody, forgetting by halves.
#[derive(Debug, Default, Clone, Copy)]
pub(super) struct Norm {
    asked: u64,
    hits: u64,
}

impl Norm {
    /// Counts a question; from `most` on, what came before counts half.
    pub(super) fn add(&mut self, hit: bool, most: u64) {
        self.count(hit);
        if self.asked >= most {
            self.halve();
        }
    }

    fn count(&mut self, hit: bool) {
        self.asked += 1;
        self.hits += u64::from(hit);
    }

    fn halve(&mut self) {
        self.asked /= 2;
        self.hits /= 2;
    }

    /// Hits in a thousand questions of everybody; none while fewer than `least` are known.
    pub(super) fn share(&self, least: u64) -> Option<u64> {
        (self.asked >= least.max(1)).then(|| self.hits * 1_000 / self.asked)
    }

    /// Hits in a thousand questions of others; none while fewer than `least` are known.
    pub(super) fn of_others(&self, own: Counted, least: u64) -> Option<u64> {
        let asked = self.asked.saturating_sub(u64::from(own.asked));
        let hits = self.hits.saturating_sub(u64::from(own.hits)).min(asked);
        (asked >= least.max(1)).then(|| hits * 1_000 / asked)
    }
}

/// The same of everybody, and of each organisation beside it: so that one is held against the others alone, however much of all it asks
/// itself. There are as many as organisations that ask.
#[derive(Debug, Default)]
pub(super) struct Shares {
    all: Norm,
    own: BTreeMap<OdsCode, Norm>,
}

impl Shares {
    /// Counts a question of an organisation; from `most` of all on, what came before counts half, of each alike.
    pub(super) fn add(&mut self, organisation: OdsCode, hit: bool, most: u64) {
        self.all.count(hit);
        self.own.entry(organisation).or_default().count(hit);
        if self.all.asked >= most {
            self.all.halve();
            self.own.values_mut().for_each(Norm::halve);
        }
    }

    /// Hits in a thousand questions of other organisations; none while fewer than `least` are known.
    pub(super) fn of_others(&self, organisation: OdsCode, least: u64) -> Option<u64> {
        let own = self.own.get(&organisation).copied().unwrap_or_default();
        let asked = self.all.asked.saturating_sub(own.asked);
        let hits = self.all.hits.saturating_sub(own.hits).min(asked);
        (asked >= least.max(1)).then(|| hits * 1_000 / asked)
    }
}

/// Up to how many hits are far below what is to be expected, when there were no more; none where too few were to be expected
/// to say.
pub(super) fn far_below(counted: Counted, (least_expected, percent): (u32, u32)) -> Option<u32> {
    let expected = counted.expected / 1_000;
    let limit = u32::try_from(expected * u64::from(percent) / 100).unwrap_or(u32::MAX);
    (expected >= u64::from(least_expected) && counted.hits <= limit).then_some(limit)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_window_is_looked_at_when_a_half_is_full() {
        let mut halves = OfPerson::default();
        for entry in 1..32 {
            assert_eq!(halves.add(entry % 2 == 0, 500, entry), None);
        }
        assert_eq!(halves.add(true, 500, 32), Some(Counted { asked: 32, hits: 16, expected: 16_000, first_entry: 1 }));
        let last = (33..=64).filter_map(|entry| halves.add(false, 100, entry)).collect::<Vec<_>>();
        assert_eq!(last, [Counted { asked: 64, hits: 16, expected: 19_200, first_entry: 1 }]);
        let last = (65..=96).filter_map(|entry| halves.add(false, 100, entry)).collect::<Vec<_>>();
        assert_eq!(last, [Counted { asked: 64, hits: 0, expected: 6_400, first_entry: 33 }]);
    }

    #[test]
    fn few_of_few_to_be_expected_say_nothing() {
        let counted = |hits, expected| Counted { asked: 64, hits, expected, first_entry: 1 };
        assert_eq!(far_below(counted(0, 15_999), (16, 25)), None, "15 to be expected");
        assert_eq!(far_below(counted(4, 16_000), (16, 25)), Some(4));
        assert_eq!(far_below(counted(5, 16_000), (16, 25)), None);
    }

    #[test]
    fn the_norm_is_that_of_others_and_forgets() {
        let mut norm = Norm::default();
        (0..100).for_each(|n| norm.add(n < 60, 1_000));
        let own = Counted { asked: 50, hits: 10, expected: 0, first_entry: 1 };
        assert_eq!((norm.of_others(own, 50), norm.of_others(own, 51)), (Some(1_000), None));
        assert_eq!((norm.share(100), norm.share(101), Norm::default().share(0)), (Some(600), None, None));
        (0..900).for_each(|_| norm.add(false, 1_000));
        assert_eq!(norm.asked, 500);
    }

    #[test]
    fn an_organisation_is_held_against_the_others_alone_however_much_it_asks() {
        let [one, other] = ["R1H", "RRK"].map(|code| OdsCode::parse(code).unwrap());
        let mut shares = Shares::default();
        (0..800).for_each(|_| shares.add(one, false, 2_000));
        assert_eq!((shares.of_others(one, 1), shares.of_others(other, 800)), (None, Some(0)));
        (0..200).for_each(|n| shares.add(other, n < 150, 2_000));
        assert_eq!((shares.of_others(one, 200), shares.of_others(one, 201)), (Some(750), None));
        (0..1_000).for_each(|_| shares.add(one, false, 2_000));
        let found = (shares.all.asked, shares.of_others(one, 100), shares.of_others(one, 101));
        assert_eq!(found, (1_000, Some(750), None), "all are halved alike");
    }
}
