//! Which of the entries that are missing are rightly so, which were lost and announced, and which are a fault: judged by what
//! entries tell and by what a signed tree says. Nothing here reads a file.

use std::collections::BTreeSet;

use super::types::{Accounted, Removal, Told};
use super::verify::{JournalFault, JournalReport};

/// What reading a journal found, before it is known which of the missing entries are rightly missing.
#[derive(Debug)]
pub struct JournalSurvey {
    pub(super) report: JournalReport,
    /// Ranges, first and last number, that no opening left out.
    pub(super) missing: Vec<(u64, u64)>,
    /// What was on disk when the journal was closed in order, and is not there.
    pub(super) closed_over: Option<(u64, u64)>,
    /// What is missing from this number on, and not told of, the next start announces.
    pub(super) announced_from: u64,
    /// What entries tell of numbers that have none, with their own numbers.
    pub(super) told: Vec<(u64, Told)>,
    /// Bytes that are no whole entries, before entries that are.
    pub(super) damaged: Vec<Damage>,
}

/// Bytes in the midst of a segment that are not whole entries. Blocks reach a disk in any order: what was not synced when the power
/// went may be there in part.
#[derive(Debug)]
pub(super) struct Damage {
    /// The segment.
    pub(super) segment: String,
    /// Where it begins.
    pub(super) offset: u64,
    /// The numbers that must have stood there: first and last.
    pub(super) range: (u64, u64),
}

impl JournalSurvey {
    /// What entries tell of segments that were removed. Whether it is to be believed, the tree over them says.
    #[must_use]
    pub fn removals(&self) -> Vec<Removal> {
        let removal = |(entry, told): &(u64, Told)| match *told {
            Told::Removed { through } => Some(Removal { through, entry: *entry }),
            Told::Gap { .. } => None,
        };
        self.told.iter().filter_map(removal).collect()
    }

    /// The ranges of which entries tell that something in them may be missing, in their order.
    fn gaps(&self) -> Vec<(u64, u64)> {
        let gap = |(entry, told): &(u64, Told)| match *told {
            Told::Gap { after } => Some((after.saturating_add(1), entry.saturating_sub(1))),
            Told::Removed { .. } => None,
        };
        let mut gaps: Vec<(u64, u64)> = self.told.iter().filter_map(gap).collect();
        gaps.sort_unstable();
        gaps
    }

    /// The report, by what a signed tree says of the numbers that are missing. Rightly missing is what was removed. What an entry told
    /// of was lost and announced, unless the tree was signed with it. What is under no signed head the next start announces where the
    /// opening that wrote last has lost it, but for what was there when the journal was closed in order. All else is a fault.
    #[must_use]
    pub fn judged(self, signed: Option<&Accounted>) -> JournalReport {
        let (gaps, removals) = (self.gaps(), self.removals());
        let Self { mut report, missing, closed_over, announced_from, told: _, damaged } = self;
        let removed_through = signed.map_or(0, |signed| signed.removed_through);
        let kept = |(first, last): (u64, u64)| (first.max(removed_through.saturating_add(1)), last);
        let not_signed = signed.map_or_else(Vec::new, |signed| not_signed(signed, announced_from));
        let mut wrongly = Vec::new();
        for range in missing.into_iter().map(kept) {
            let (told, mut others) = parted(range, &gaps);
            for range in told {
                let whole = [range];
                let passed_over = signed.map_or(&whole[..], |signed| &signed.passed_over[..]);
                let (announced, signed_with) = parted(range, passed_over);
                report.announced.extend(announced);
                others.extend(signed_with);
            }
            for range in others {
                let (unsigned, wrong) = parted(range, &not_signed);
                report.unsigned.extend(unsigned);
                wrongly.extend(wrong);
            }
        }
        wrongly.extend(closed_over.map(kept).filter(|(first, last)| first <= last));
        wrongly.sort_unstable();
        report.judge(damaged);
        let not_believed = removals.into_iter().filter(|told| told.through > removed_through).max();
        if let Some(Removal { through, entry }) = not_believed
            && wrongly.iter().any(|(first, _)| *first <= through)
        {
            report.add(JournalFault::RemovalNotSigned { entry, through });
        }
        for (first, last) in wrongly {
            report.add(JournalFault::Missing { first, last });
        }
        report.removed_through = removed_through;
        report
    }
}

impl JournalReport {
    /// Bytes that are no entries are torn where all that stood there was lost, as is told elsewhere, and a fault where any of it was not.
    fn judge(&mut self, damaged: Vec<Damage>) {
        let mut lost: Vec<(u64, u64)> = self.announced.iter().chain(&self.unsigned).copied().collect();
        lost.sort_unstable();
        for Damage { segment, offset, range } in damaged {
            let next_sequence = range.1.saturating_add(1);
            if parted(range, &lost).1.is_empty() {
                self.torn_tails.push(format!("{segment}, from byte {offset} up to entry {next_sequence}"));
            } else {
                self.add(JournalFault::Damaged { segment, offset, next_sequence });
            }
        }
    }
}

/// From which number on the next start announces what is missing: the first that the opening which wrote last could give; where what
/// it wrote first is missing too, which told of losses before it, that of the one before.
pub(super) fn announced_from(openings: &BTreeSet<u64>, missing: &[(u64, u64)]) -> u64 {
    let is_there = |first: &u64| !missing.iter().any(|(begin, end)| (*begin..=*end).contains(first));
    openings.iter().rev().copied().find(is_there).unwrap_or(0)
}

/// The numbers from `from` on of which no entry is under the signed head, in their order.
fn not_signed(signed: &Accounted, from: u64) -> Vec<(u64, u64)> {
    let after = (signed.through.saturating_add(1), u64::MAX);
    let ranges = signed.passed_over.iter().copied().chain([after]);
    ranges.map(|(first, last)| (first.max(from), last)).filter(|(first, last)| first <= last).collect()
}
/// The first and the last of numbers in a row.
type Range = (u64, u64);

/// The parts of a range that lie in `ranges`, which stand in their order, and those that do not. An empty range has neither.
fn parted((first, last): Range, ranges: &[Range]) -> (Vec<Range>, Vec<Range>) {
    let (mut within, mut outside, mut next) = (Vec::new(), Vec::new(), first);
    for (begin, end) in ranges {
        let (begin, end) = ((*begin).max(next), (*end).min(last));
        if begin > end {
            continue;
        }
        if next < begin {
            outside.push((next, begin - 1));
        }
        within.push((begin, end));
        next = end.saturating_add(1);
    }
    if next <= last {
        outside.push((next, last));
    }
    (within, outside)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn survey(missing: (u64, u64), told: &[(u64, Told)]) -> JournalSurvey {
        let report = JournalReport::default();
        JournalSurvey {
            report,
            missing: vec![missing],
            closed_over: None,
            announced_from: 40,
            told: told.to_vec(),
            damaged: Vec::new(),
        }
    }

    #[test]
    fn a_range_is_parted_by_others_that_may_overlap() {
        assert_eq!(parted((5, 9), &[]), (vec![], vec![(5, 9)]));
        assert_eq!(parted((5, 9), &[(1, 4), (10, 12)]), (vec![], vec![(5, 9)]));
        assert_eq!(parted((5, 9), &[(1, 6), (2, 3), (6, 7), (9, 20)]), (vec![(5, 6), (7, 7), (9, 9)], vec![(8, 8)]));
        assert_eq!(parted((9, 5), &[(1, 20)]), (vec![], vec![]));
    }

    /// Each alone is not enough: an entry that tells of a gap could be forged, and a tree be begun anew over what is left.
    #[test]
    fn what_is_missing_was_announced_only_where_an_entry_tells_of_it_and_the_tree_was_signed_without_it() {
        let signed = |passed_over| Accounted { removed_through: 0, passed_over, through: 100 };
        let judged = |told: &[(u64, Told)], signed: Option<&Accounted>| {
            let report = survey((10, 19), told).judged(signed);
            (report.announced, report.unsigned, report.faults)
        };
        let missing = |first, last| JournalFault::Missing { first, last };
        let told = [(50, Told::Gap { after: 9 })];
        assert_eq!(judged(&told, Some(&signed(vec![(10, 19)]))), (vec![(10, 19)], vec![], vec![]));
        assert_eq!(judged(&told, None), (vec![(10, 19)], vec![], vec![]), "there is no tree");
        assert_eq!(judged(&[], Some(&signed(vec![(10, 19)]))), (vec![], vec![], vec![missing(10, 19)]));
        assert_eq!(judged(&told, Some(&signed(vec![]))), (vec![], vec![], vec![missing(10, 19)]));
        assert_eq!(
            judged(&told, Some(&signed(vec![(10, 12)]))),
            (vec![(10, 12)], vec![], vec![missing(13, 19)]),
            "the others were signed"
        );
        for tells_of_others in [Told::Gap { after: 19 }, Told::Removed { through: 19 }] {
            let faults = judged(&[(50, tells_of_others)], Some(&signed(vec![(10, 19)]))).2;
            assert!(faults.contains(&missing(10, 19)), "{faults:?}");
        }
    }

    /// No start announces what an earlier opening has lost: its successor did.
    #[test]
    fn what_no_entry_tells_of_is_announced_by_the_next_start_where_the_last_opening_lost_what_was_not_signed() {
        let judged = |announced_from, passed_over, through| {
            let signed = Accounted { removed_through: 0, passed_over, through };
            let report = JournalSurvey { announced_from, ..survey((10, 19), &[]) }.judged(Some(&signed));
            (report.unsigned, report.faults)
        };
        let missing = |first, last| JournalFault::Missing { first, last };
        assert_eq!(judged(1, vec![], 14), (vec![(15, 19)], vec![missing(10, 14)]));
        assert_eq!(judged(1, vec![(10, 12)], 14), (vec![(10, 12), (15, 19)], vec![missing(13, 14)]));
        assert_eq!(judged(1, vec![(10, 19)], 100), (vec![(10, 19)], vec![]), "given up, and not told yet");
        assert_eq!(judged(17, vec![(10, 12)], 14), (vec![(17, 19)], vec![missing(10, 16)]));
        assert_eq!(judged(20, vec![(10, 19)], 14), (vec![], vec![missing(10, 19)]));
        let openings = BTreeSet::from([1, 20, 40]);
        assert_eq!(announced_from(&openings, &[(10, 19)]), 40);
        assert_eq!(announced_from(&openings, &[(10, 19), (40, 41)]), 20, "what told of losses before it is lost");
        assert_eq!(announced_from(&openings, &[(1, 1), (15, 45)]), 0);
    }
}
