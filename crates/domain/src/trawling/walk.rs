//! Walks through numbers: among the numbers that somebody asked about lately, or everybody of an organisation, those that follow
//! one another in equal steps.

use super::Who;
use crate::NhsNumber;
use crate::time::Moment;
use std::collections::HashSet;
use std::sync::Arc;

/// Numbers remembered of a person: a walk shows through so many questions of ordinary work among it.
pub(super) const OF_PERSON: usize = 32;
/// The same of an organisation: all its people ask about that many in a day or less.
pub(super) const OF_ORGANISATION: usize = 128;
/// For so long, in seconds: a walk takes an evening, and babies born on a day have numbers near each other.
const REMEMBERED_S: u64 = 24 * 60 * 60;
/// Steps in a row that may have no number, because its check digit would be ten: one in eleven has none.
const MOST_LEFT_OUT: u32 = 2;

/// When a number was asked about, where, and by whom.
#[derive(Debug)]
struct Step {
    entry: u64,
    at: Moment,
    who: Arc<Who>,
}

/// How many numbers are a walk, and how many are remembered.
#[derive(Debug, Clone, Copy)]
pub(super) struct Bounds {
    pub(super) least: u32,
    pub(super) remembered: usize,
}

/// Numbers in steps of so much.
#[derive(Debug, Clone, Copy)]
struct Line {
    numbers: u32,
    first_entry: u64,
    by: u32,
}

/// A walk that was found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Walk {
    pub(super) numbers: u32,
    /// Who asked about them.
    pub(super) people: usize,
    pub(super) first_entry: u64,
}

/// Numbers that somebody asked about lately, in their order as numbers.
#[derive(Debug, Default)]
pub(super) struct Walks {
    /// In the order of their numbers.
    steps: Vec<Step>,
    /// The first nine digits of each.
    nines: Vec<u32>,
}

impl Walks {
    /// Takes a number; the longest walk that it belongs to, where there is one. One asked about again is no step.
    pub(super) fn step(
        &mut self,
        (number, entry): (NhsNumber, u64),
        who: &Arc<Who>,
        now: Moment,
        Bounds { least, remembered }: Bounds,
    ) -> Option<Walk> {
        let nine = u32::try_from(number.value() / 10).ok()?;
        while let Some(at) = self.steps.iter().position(|step| now.seconds_since(step.at) >= REMEMBERED_S) {
            self.forget(at);
        }
        let place = self.nines.binary_search(&nine).err()?;
        self.nines.insert(place, nine);
        self.steps.insert(place, Step { entry, at: now, who: Arc::clone(who) });
        if self.steps.len() > remembered
            && let Some(oldest) = (0..self.steps.len()).min_by_key(|at| self.steps[*at].entry)
        {
            self.forget(oldest);
        }
        if self.steps.len() < usize::try_from(least).unwrap_or(usize::MAX) {
            return None;
        }
        let lines = self.nines.iter().flat_map(|other| self.steps_towards(nine, *other, least));
        let lines = lines.filter_map(|by| self.line(nine, by));
        let Line { numbers, first_entry, by } = lines.max_by_key(|line| line.numbers)?;
        (numbers >= least).then(|| Walk { numbers, people: self.people(nine, by), first_entry })
    }

    fn forget(&mut self, at: usize) {
        self.steps.remove(at);
        self.nines.remove(at);
    }

    /// Steps of the lines whose nearest number to one side is `other`, where that side holds half of them: every walk has such a
    /// side, and most numbers are passed over for their distance alone.
    fn steps_towards(&self, nine: u32, other: u32, least: u32) -> impl Iterator<Item = u32> {
        let (apart, half) = (nine.abs_diff(other), least.saturating_sub(1).div_ceil(2));
        let side = if other < nine { -1 } else { 1 };
        // The nearest number of the walk may be several steps away, where those between are left out.
        let whole = (1..=MOST_LEFT_OUT + 1).filter(move |steps| apart > 0 && apart.is_multiple_of(*steps));
        whole.map(move |steps| (steps, apart / steps)).filter_map(move |(steps, by)| {
            let after = |steps: u32| i64::from(nine) + side * i64::from(by) * i64::from(steps);
            let is_left_out = |steps| u32::try_from(after(steps)).is_ok_and(|nine| !has_number(nine));
            let holds_half = self.reaches(after(steps + half.saturating_sub(1)))
                && (1..steps).all(is_left_out)
                && self.count_beyond(other, side * i64::from(by)) + 1 >= half;
            holds_half.then_some(by)
        })
    }

    /// Whether any number is as far away.
    fn reaches(&self, nine: i64) -> bool {
        let ends = self.nines.first().zip(self.nines.last());
        ends.is_some_and(|(first, last)| (i64::from(*first)..=i64::from(*last)).contains(&nine))
    }

    fn count_beyond(&self, nine: u32, by: i64) -> u32 {
        let mut count = 0;
        self.to_one_side(nine, by, &mut |_| count += 1);
        count
    }

    /// The line through a number in steps of so much, to either side.
    fn line(&self, nine: u32, by: u32) -> Option<Line> {
        if by == 0 {
            return None;
        }
        let own = self.found(nine)?;
        let (mut numbers, mut first_entry) = (1, own.entry);
        let mut meet = |step: &Step| {
            numbers += 1;
            first_entry = first_entry.min(step.entry);
        };
        self.to_one_side(nine, i64::from(by), &mut meet);
        self.to_one_side(nine, -i64::from(by), &mut meet);
        Some(Line { numbers, first_entry, by })
    }

    /// How many people asked about the numbers of a line.
    fn people<'a>(&'a self, nine: u32, by: u32) -> usize {
        let mut people: HashSet<&'a Who> = self.found(nine).map(|own| &*own.who).into_iter().collect();
        let mut meet = |step: &'a Step| {
            people.insert(&*step.who);
        };
        self.to_one_side(nine, i64::from(by), &mut meet);
        self.to_one_side(nine, -i64::from(by), &mut meet);
        people.len()
    }

    /// Meets those to one side until one is missing.
    fn to_one_side<'a>(&'a self, nine: u32, by: i64, meet: &mut impl FnMut(&'a Step)) {
        let (mut next, mut left_out) = (i64::from(nine), 0);
        while left_out <= MOST_LEFT_OUT {
            next += by;
            let Ok(nine) = u32::try_from(next) else { break };
            match self.found(nine) {
                Some(step) => {
                    meet(step);
                    left_out = 0;
                }
                None if has_number(nine) || nine > 999_999_999 => break,
                None => left_out += 1,
            }
        }
    }

    fn found(&self, nine: u32) -> Option<&Step> {
        self.nines.binary_search(&nine).ok().and_then(|at| self.steps.get(at))
    }
}

fn has_number(nine: u32) -> bool {
    NhsNumber::from_first_nine(nine).is_some()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::codes::OdsCode;
    use crate::text::UserId;

    const BOUNDS: Bounds = Bounds { least: 8, remembered: OF_PERSON };

    fn who(n: u64) -> Arc<Who> {
        let user_id = UserId::parse(&format!("u{n}")).unwrap();
        Arc::new(Who { organisation: OdsCode::parse("R1H").unwrap(), user_id })
    }

    /// Asks about numbers in this order, a minute apart; the longest walk at the end.
    fn asked(nines: impl IntoIterator<Item = u32>) -> Option<Walk> {
        let mut walks = Walks::default();
        let numbers = nines.into_iter().filter_map(NhsNumber::from_first_nine);
        let minute = |entry: u64| Moment(i64::try_from(entry).unwrap() * 60_000);
        let step = |(entry, number)| walks.step((number, entry), &who(1), minute(entry), BOUNDS);
        (1_u64..).zip(numbers).filter_map(step).last()
    }

    /// Numbers without a pattern.
    fn scattered(n: u32) -> u32 {
        let mut mixed = u64::from(n).wrapping_add(0x9E37_79B9_7F4A_7C15);
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        u32::try_from((mixed ^ (mixed >> 31)) % 1_000_000_000).unwrap()
    }

    #[test]
    fn steps_of_any_size_in_either_direction_are_a_walk() {
        for by in [1, 2, 10, 11, 999, 40_000] {
            let up: Vec<u32> = (0..12).map(|n| 400_000_000 + n * by).collect();
            assert!(asked(up.iter().copied()).is_some_and(|walk| walk.numbers >= 8), "up by {by}");
            assert!(asked(up.iter().rev().copied()).is_some_and(|walk| walk.numbers >= 8), "down by {by}");
        }
    }

    #[test]
    fn a_walk_shows_out_of_order_and_among_other_work() {
        let shuffled = [7, 1, 4, 10, 2, 8, 0, 5, 9, 3, 6].map(|n| 500_000_000 + n);
        assert!(asked(shuffled).is_some());
        let among = (0..24).map(|n| if n % 2 == 0 { 500_000_000 + n / 2 } else { scattered(n) });
        assert!(asked(among).is_some());
    }

    #[test]
    fn ordinary_numbers_twins_and_the_same_again_are_none() {
        assert_eq!(asked((1..5_000).map(scattered)), None);
        // Three at a time with neighbouring numbers: multiple births.
        assert_eq!(asked((1..5_000).map(|n| scattered(n / 3) / 10 * 10 + n % 3)), None);
        assert_eq!(asked((0..100).map(|_| 500_000_000)), None);
    }

    /// The longest line by any step, without passing anything over.
    fn looked_at_whole(walks: &Walks, nine: u32) -> u32 {
        let apart = walks.nines.iter().map(|other| nine.abs_diff(*other));
        let steps = apart.flat_map(|apart| (1..=3).filter(move |n| apart % n == 0).map(move |n| apart / n));
        steps.filter_map(|by| walks.line(nine, by)).map(|line| line.numbers).max().unwrap_or(0)
    }

    #[test]
    fn no_walk_is_passed_over() {
        let (mut found, mut none) = (0, 0);
        for (least, range) in [(4, 40), (5, 400), (8, 60), (8, 150), (12, 130), (12, 300)] {
            let mut walks = Walks::default();
            for entry in 1_u32..3_000 {
                let Some(number) = NhsNumber::from_first_nine(700_000_000 + scattered(entry) % range) else { continue };
                let bounds = Bounds { least, remembered: OF_ORGANISATION };
                // Every so often everything is forgotten, so that lines are longer and shorter.
                let now = Moment(i64::from(entry / 60) * 2 * 24 * 60 * 60 * 1_000);
                let before = walks.nines.len();
                let walk = walks.step((number, u64::from(entry)), &who(1), now, bounds);
                let nine = u32::try_from(number.value() / 10).unwrap();
                let whole = looked_at_whole(&walks, nine);
                match walk {
                    Some(walk) => assert_eq!(walk.numbers, whole, "{least} of {:?}", walks.nines),
                    None if walks.nines.len() == before => {}
                    None => assert!(whole < least, "{whole} of {:?}", walks.nines),
                }
                (found, none) = (found + u32::from(walk.is_some()), none + u32::from(walk.is_none()));
            }
        }
        assert!(found > 500 && none > 500, "{found} walks, {none} times none");
    }

    #[test]
    fn what_was_asked_days_ago_is_forgotten() {
        let mut walks = Walks::default();
        let numbers = (400_000_000..400_000_020).filter_map(NhsNumber::from_first_nine);
        for (entry, number) in (1_u64..).zip(numbers) {
            let at = Moment(i64::try_from(entry).unwrap() * 4 * 60 * 60 * 1_000);
            assert_eq!(walks.step((number, entry), &who(1), at, BOUNDS), None);
        }
    }

    /// Each asks about every fifth number: none of them asks about eight.
    #[test]
    fn a_walk_says_how_many_people_took_it() {
        let mut walks = Walks::default();
        let bounds = Bounds { least: 12, remembered: OF_ORGANISATION };
        let numbers = (600_000_000..).filter_map(NhsNumber::from_first_nine).take(20);
        let found: Vec<Walk> = (1_u64..)
            .zip(numbers)
            .filter_map(|(entry, number)| walks.step((number, entry), &who(entry % 5), Moment(0), bounds))
            .collect();
        assert_eq!(found.first().map(|walk| (walk.numbers, walk.people, walk.first_entry)), Some((12, 5, 1)));
        assert_eq!(found.len(), 9);
    }
}
