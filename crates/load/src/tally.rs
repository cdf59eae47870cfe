//! What one thread has counted: latencies by kind, by slot of time and by phase. Tallies of threads are joined at the end;
//! no two threads share one.

use std::collections::BTreeMap;

use hdrhistogram::Counter;
use hdrhistogram::Histogram;

use crate::kind::{KINDS, Kind};
use crate::outcome::{Figures, Latency, Slot};

/// Longest latency kept apart, in nanoseconds: ten minutes.
const LONGEST: u64 = 600_000_000_000;
/// A millisecond.
const MILLISECOND: u64 = 1_000_000;
/// Slots of time of one run, at most.
const SLOTS: u64 = 600;
/// Slots of a short run, at least, while none is shorter than [`SHORTEST`].
const FEW_SLOTS: u64 = 40;
/// Shortest slot, in nanoseconds.
const SHORTEST: u64 = 100_000_000;
/// The usual one.
const SECOND: u64 = 1_000_000_000;
/// Lengths of answers counted apart, at most: padded ones have few.
const LENGTHS: usize = 64;
/// Quiet, and while a storm is on.
pub const PHASES: usize = 2;

/// A histogram of nanoseconds, exact to a thousandth.
#[must_use]
pub fn histogram() -> Histogram<u64> {
    Histogram::new_with_bounds(1, LONGEST, 3).expect("the bounds are allowed")
}

/// What was counted of one kind.
#[derive(Clone)]
pub struct Counts {
    /// Requests that were due.
    pub offered: u64,
    /// Requests sent.
    pub sent: u64,
    /// Of those answered well, within a millisecond.
    within: u64,
    items: u64,
    reply_bytes: u64,
    reply_min: u64,
    reply_max: u64,
    reply_lengths: BTreeMap<u64, u64>,
    /// Latencies of what was answered well.
    pub latency: Histogram<u64>,
    /// Of every other answer among them.
    every_other: Histogram<u64>,
    /// Failures by code.
    pub errors: BTreeMap<String, u64>,
    /// Without any answer.
    pub unanswered: u64,
    /// Answers that are not true.
    pub wrong: u64,
}

impl Counts {
    fn new() -> Self {
        Self {
            offered: 0,
            sent: 0,
            within: 0,
            items: 0,
            reply_bytes: 0,
            reply_min: u64::MAX,
            reply_max: 0,
            reply_lengths: BTreeMap::new(),
            latency: histogram(),
            every_other: histogram(),
            errors: BTreeMap::new(),
            unanswered: 0,
            wrong: 0,
        }
    }

    fn ok(&mut self, latency_ns: u64, bytes: u64, items: u64) {
        self.latency.saturating_record(latency_ns.max(1));
        if self.latency.len() % 2 == 1 {
            self.every_other.saturating_record(latency_ns.max(1));
        }
        self.within += u64::from(latency_ns <= MILLISECOND);
        self.items += items;
        self.reply_bytes += bytes;
        self.reply_min = self.reply_min.min(bytes);
        self.reply_max = self.reply_max.max(bytes);
        self.of_length(bytes, 1);
    }

    /// Answers of a length; of those after the first few lengths nothing is kept apart.
    fn of_length(&mut self, bytes: u64, count: u64) {
        if let Some(counted) = self.reply_lengths.get_mut(&bytes) {
            *counted += count;
        } else if self.reply_lengths.len() < LENGTHS {
            self.reply_lengths.insert(bytes, count);
        }
    }

    fn join(&mut self, other: &Self) {
        self.offered += other.offered;
        self.sent += other.sent;
        self.within += other.within;
        self.items += other.items;
        self.reply_bytes += other.reply_bytes;
        self.reply_min = self.reply_min.min(other.reply_min);
        self.reply_max = self.reply_max.max(other.reply_max);
        for (bytes, count) in &other.reply_lengths {
            self.of_length(*bytes, *count);
        }
        // Both have the same bounds.
        let _joined = self.latency.add(&other.latency).and(self.every_other.add(&other.every_other));
        for (code, count) in &other.errors {
            *self.errors.entry(code.clone()).or_default() += count;
        }
        self.unanswered += other.unanswered;
        self.wrong += other.wrong;
    }

    fn halves(&self) -> [Latency; 2] {
        let mut between = self.latency.clone();
        // It holds all of the other.
        let _rest = between.subtract(&self.every_other);
        [latency(&self.every_other, false), latency(&between, false)]
    }

    /// As figures over so many seconds.
    #[must_use]
    pub fn figures(&self, seconds: f64) -> Figures {
        let ok = self.latency.len();
        let per_second = |count: u64| if seconds > 0.0 { count as f64 / seconds } else { 0.0 };
        Figures {
            offered: self.offered,
            sent: self.sent,
            ok,
            failed: self.errors.values().sum(),
            unanswered: self.unanswered,
            errors: self.errors.clone(),
            wrong: self.wrong,
            offered_per_second: per_second(self.offered),
            ok_per_second: per_second(ok),
            items_per_second: per_second(self.items),
            within_1ms_share: if self.offered > 0 { self.within as f64 / self.offered as f64 } else { 0.0 },
            latency_ns: latency(&self.latency, true),
            halves_ns: self.halves(),
            reply_bytes: self.reply_bytes,
            reply_bytes_min: if ok > 0 { self.reply_min } else { 0 },
            reply_bytes_max: self.reply_max,
            reply_lengths: self.reply_lengths.clone(),
        }
    }
}

/// What happened in one slot of time.
#[derive(Clone)]
struct SlotCounts {
    offered: u64,
    failed: u64,
    latency: Histogram<u32>,
}

/// What one thread has counted in the measured part.
pub struct Tally {
    kinds: [Option<Box<Counts>>; KINDS],
    phases: [Counts; PHASES],
    slots: Vec<Option<SlotCounts>>,
    slot_ns: u64,
    /// From due to taken up.
    pub behind: Histogram<u64>,
    /// Taken up later than the bound.
    pub late: u64,
    /// Had to wait for a place on a connection.
    pub waited: u64,
}

impl Tally {
    /// For a measured part of this length.
    #[must_use]
    pub fn new(length_ns: u64) -> Self {
        Self {
            kinds: [const { None }; KINDS],
            phases: [Counts::new(), Counts::new()],
            slots: Vec::new(),
            slot_ns: (length_ns / SLOTS).max((length_ns / FEW_SLOTS).clamp(SHORTEST, SECOND)),
            behind: histogram(),
            late: 0,
            waited: 0,
        }
    }

    fn kind(&mut self, kind: Kind) -> &mut Counts {
        self.kinds[kind.index()].get_or_insert_with(|| Box::new(Counts::new()))
    }

    fn slot(&mut self, at_ns: u64) -> &mut SlotCounts {
        let index = (at_ns / self.slot_ns) as usize;
        if index >= self.slots.len() {
            self.slots.resize_with(index + 1, || None);
        }
        self.slots[index].get_or_insert_with(|| {
            let latency = Histogram::new_with_bounds(1, LONGEST, 2).expect("the bounds are allowed");
            SlotCounts { offered: 0, failed: 0, latency }
        })
    }

    /// A request was due, at this moment of the measured part.
    pub fn offered(&mut self, kind: Kind, phase: usize, at_ns: u64) {
        self.kind(kind).offered += 1;
        self.phases[phase].offered += 1;
        self.slot(at_ns).offered += 1;
    }

    /// How long after it was due a request was taken up.
    pub fn behind(&mut self, behind_ns: u64, bound_ns: u64) {
        self.behind.saturating_record(behind_ns.max(1));
        self.late += u64::from(behind_ns > bound_ns);
    }

    /// A request was sent.
    pub fn sent(&mut self, kind: Kind, phase: usize) {
        self.kind(kind).sent += 1;
        self.phases[phase].sent += 1;
    }

    /// It was answered well: so many bytes and items.
    pub fn ok(&mut self, kind: Kind, phase: usize, at_ns: u64, latency_ns: u64, bytes: u64, items: u64) {
        self.kind(kind).ok(latency_ns, bytes, items);
        self.phases[phase].ok(latency_ns, bytes, items);
        self.slot(at_ns).latency.saturating_record(latency_ns.max(1));
    }

    /// It failed.
    pub fn failed(&mut self, kind: Kind, phase: usize, at_ns: u64, code: &str, unanswered: bool) {
        let slots = self.slot(at_ns);
        slots.failed += 1;
        for counts in [self.kinds[kind.index()].get_or_insert_with(|| Box::new(Counts::new())), &mut self.phases[phase]]
        {
            *counts.errors.entry(code.to_owned()).or_default() += 1;
            counts.unanswered += u64::from(unanswered);
        }
    }

    /// Its answer is not true.
    pub fn wrong(&mut self, kind: Kind, phase: usize) {
        self.kind(kind).wrong += 1;
        self.phases[phase].wrong += 1;
    }

    /// Joins another thread's.
    pub fn join(&mut self, other: &Self) {
        for (kind, _) in Kind::ALL {
            if let Some(counts) = &other.kinds[kind.index()] {
                self.kind(kind).join(counts);
            }
        }
        for (own, others) in self.phases.iter_mut().zip(&other.phases) {
            own.join(others);
        }
        for (index, slot) in other.slots.iter().enumerate() {
            let Some(slot) = slot else { continue };
            let own = self.slot(index as u64 * self.slot_ns);
            own.offered += slot.offered;
            own.failed += slot.failed;
            let _joined = own.latency.add(&slot.latency);
        }
        let _joined = self.behind.add(&other.behind);
        self.late += other.late;
        self.waited += other.waited;
    }

    /// Figures of some kinds together.
    #[must_use]
    pub fn figures(&self, kinds: &[Kind], seconds: f64) -> Figures {
        self.counts(kinds).figures(seconds)
    }

    /// Counts of some kinds together.
    #[must_use]
    pub fn counts(&self, kinds: &[Kind]) -> Counts {
        let mut all = Counts::new();
        for kind in kinds {
            if let Some(counts) = &self.kinds[kind.index()] {
                all.join(counts);
            }
        }
        all
    }

    /// Kinds of which anything was counted.
    #[must_use]
    pub fn kinds(&self) -> Vec<Kind> {
        Kind::ALL.into_iter().map(|(kind, _)| kind).filter(|kind| self.kinds[kind.index()].is_some()).collect()
    }

    /// Figures of a phase.
    #[must_use]
    pub fn phase(&self, phase: usize, seconds: f64) -> Figures {
        self.phases[phase].figures(seconds)
    }

    /// Every slot up to the end of the measured part; what came later is told in the last.
    #[must_use]
    pub fn over_time(&self, length_ns: u64) -> Vec<Slot> {
        let count = length_ns.div_ceil(self.slot_ns).max(1);
        (0..count).map(|index| self.one_slot(index, index + 1 == count, length_ns)).collect()
    }

    fn one_slot(&self, index: u64, last: bool, length_ns: u64) -> Slot {
        let begin = index * self.slot_ns;
        let length = if last { length_ns.saturating_sub(begin) } else { self.slot_ns };
        let mut slot = Slot { at_seconds: begin as f64 / 1e9, seconds: length as f64 / 1e9, ..Slot::default() };
        if let Some(Some(counts)) = self.slots.get(index as usize) {
            slot.offered = counts.offered;
            slot.ok = counts.latency.len();
            slot.failed = counts.failed;
            slot.p50_ns = counts.latency.value_at_quantile(0.5);
            slot.p99_ns = counts.latency.value_at_quantile(0.99);
            slot.max_ns = counts.latency.max();
        }
        slot
    }
}

/// A histogram as percentiles, with or without the whole curve.
#[must_use]
pub fn latency<C: Counter>(histogram: &Histogram<C>, curve: bool) -> Latency {
    if histogram.is_empty() {
        return Latency::default();
    }
    let at = |quantile| histogram.value_at_quantile(quantile);
    Latency {
        count: histogram.len(),
        min: histogram.min(),
        mean: histogram.mean(),
        deviation: histogram.stdev(),
        p50: at(0.5),
        p90: at(0.9),
        p99: at(0.99),
        p99_9: at(0.999),
        p99_99: at(0.9999),
        max: histogram.max(),
        curve: if curve { points(histogram) } else { Vec::new() },
    }
}

/// Points of the curve, denser towards the tail: as HdrHistogram's own files have them.
fn points<C: Counter>(histogram: &Histogram<C>) -> Vec<(f64, u64)> {
    const TICKS_PER_HALF: u32 = 5;
    let quantiles = histogram.iter_quantiles(TICKS_PER_HALF);
    quantiles.map(|step| (step.quantile_iterated_to(), step.value_iterated_to())).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn threads_are_joined() {
        let (mut one, mut two) = (Tally::new(2 * SECOND), Tally::new(2 * SECOND));
        one.offered(Kind::Hit, 0, 5);
        one.ok(Kind::Hit, 0, 10, 2_000_000, 100, 1);
        two.offered(Kind::Hit, 1, SECOND + 5);
        two.offered(Kind::Empty, 0, SECOND + 6);
        two.ok(Kind::Hit, 1, SECOND + 10, 500_000, 300, 1);
        two.failed(Kind::Empty, 0, SECOND + 11, "UNAVAILABLE", true);
        two.behind(2_000, 1_000);
        one.join(&two);
        let hits = one.figures(&[Kind::Hit], 2.0);
        assert_eq!((hits.offered, hits.ok, hits.failed), (2, 2, 0));
        assert_eq!((hits.reply_bytes, hits.reply_bytes_min, hits.reply_bytes_max), (400, 100, 300));
        assert_eq!(hits.reply_lengths, BTreeMap::from([(100, 1), (300, 1)]));
        assert_eq!((hits.within_1ms_share, hits.ok_per_second), (0.5, 1.0));
        let all = one.figures(&one.kinds(), 2.0);
        assert_eq!((all.offered, all.ok, all.failed, all.unanswered), (3, 2, 1, 1));
        assert_eq!(all.errors["UNAVAILABLE"], 1);
        assert_eq!((one.late, one.phase(1, 1.0).ok), (1, 1));
        let slots = one.over_time(2 * SECOND);
        assert_eq!((slots.len(), slots[1].at_seconds, slots[1].seconds), (20, 0.1, 0.1));
        let slots = slots.iter().filter(|slot| slot.offered > 0);
        let told: Vec<_> = slots.map(|slot| (slot.offered, slot.ok, slot.failed)).collect();
        assert_eq!(told, [(1, 1, 0), (2, 1, 1)]);
    }

    #[test]
    fn every_other_answer_is_told_apart_from_those_between() {
        let (mut one, mut two) = (Tally::new(SECOND), Tally::new(SECOND));
        for latency_us in [10, 1_000, 10, 1_000, 10] {
            one.ok(Kind::Hit, 0, 5, latency_us * 1_000, 100, 1);
            one.ok(Kind::Miss, 0, 5, 77_000, 100, 1);
        }
        two.ok(Kind::Hit, 0, 5, 10_000, 100, 1);
        one.join(&two);
        let [first, second] = one.figures(&[Kind::Hit], 1.0).halves_ns;
        assert_eq!((first.count, second.count), (4, 2), "a kind of its own is counted by itself");
        assert!(first.max < 11_000 && second.min > 990_000, "{first:?} {second:?}");
    }

    #[test]
    fn percentiles_are_those_of_what_was_recorded() {
        let mut histogram = histogram();
        (1..=10_000_u64).for_each(|value| histogram.saturating_record(value * 1_000));
        let told = latency(&histogram, true);
        for (found, expected) in
            [(told.p50, 5_000_000), (told.p99, 9_900_000), (told.p99_9, 9_990_000), (told.max, 10_000_000)]
        {
            assert!(found.abs_diff(expected) <= expected / 900, "{found} {expected}");
        }
        assert!(told.curve.len() > 20 && told.curve.last().is_some_and(|(share, _)| *share == 1.0));
        assert_eq!(latency(&super::histogram(), true), Latency::default());
    }

    #[test]
    fn a_long_run_has_longer_slots() {
        let mut tally = Tally::new(3_600 * SECOND);
        tally.offered(Kind::Hit, 0, 3_599 * SECOND);
        let slots = tally.over_time(3_600 * SECOND);
        assert_eq!((slots.len(), slots[0].seconds, slots[599].offered), (600, 6.0, 1));
    }
}
