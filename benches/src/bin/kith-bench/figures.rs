//! A comparison: two series and the A/A series beside them, what was to be reached, and what can be said.

use serde::Serialize;

/// Fewer rounds decide nothing.
const LEAST_ROUNDS: usize = 5;

use crate::spread::Spread;

/// What a ratio is to reach.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Reach {
    AtLeast(f64),
    AtMost(f64),
    /// A ratio that is to differ from one by no more than this share.
    Within(f64),
    /// Measured, not judged.
    Report,
}

/// What can be said of a comparison.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Verdict {
    Reached,
    Missed,
    /// The median is no further from what was to be reached than the A/A is spread, or its interval holds what was to be reached.
    Undecided,
    Reported,
}

impl Verdict {
    /// For a reader.
    pub const fn word(self) -> &'static str {
        match self {
            Self::Reached => "reached",
            Self::Missed => "missed",
            Self::Undecided => "undecided",
            Self::Reported => "reported",
        }
    }
}

/// How two series are set against each other, round by round.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Against {
    /// The first divided by the second.
    Ratio,
    /// The first less the second.
    Difference,
    /// The first as it is: what it is held against is a figure, not a series.
    Figure,
    /// The sum of the first, and of the first again, each with all that were void and repeated: what must never happen is counted,
    /// and neither a median nor a repetition hides it.
    Total,
}

/// One line of the table.
#[derive(Clone, Debug, Serialize)]
pub struct Row {
    pub name: String,
    pub unit: String,
    pub reach: Reach,
    pub against: Against,
    /// What is measured, and what it is measured against.
    pub names: [String; 2],
    pub measured: Vec<f64>,
    pub compared: Vec<f64>,
    /// The first once more in each round.
    pub again: Vec<f64>,
    /// Where both of the A/A are of one run, in their place.
    pub alike: Vec<[f64; 2]>,
    /// The generator missed its schedule, history did not drain or what ran beside was other than was counted, and so again whenever
    /// the measurement was repeated: nothing here may be used.
    pub void: bool,
    /// Measurements repeated because they were void.
    pub repeated: usize,
    /// Seconds for which its turns waited until the machine kept time.
    pub waited_s: f64,
    /// How many times as many rounds as others it is given: what is noisy is decided by more of them.
    pub times: usize,
    /// Of each turn of Kith, seconds of its drain, and seconds of the turn itself.
    pub drains: Vec<[f64; 2]>,
    /// Calls that failed, of repeated measurements too, told beside the figures: none of them counts as an answer.
    pub failed_calls: u64,
    /// It could not be measured.
    pub failed: Option<String>,
    /// It was not asked for.
    pub left_out: bool,
    pub notes: Vec<String>,
}

impl Row {
    pub fn new(name: &str, unit: &str, reach: Reach, names: [&str; 2]) -> Self {
        Self {
            name: name.to_owned(),
            unit: unit.to_owned(),
            reach,
            against: Against::Ratio,
            names: names.map(str::to_owned),
            measured: Vec::new(),
            compared: Vec::new(),
            again: Vec::new(),
            alike: Vec::new(),
            void: false,
            repeated: 0,
            waited_s: 0.0,
            times: 1,
            drains: Vec::new(),
            failed_calls: 0,
            failed: None,
            left_out: false,
            notes: Vec::new(),
        }
    }

    /// A figure that is held against a bound as it is.
    pub fn figure(name: &str, unit: &str, reach: Reach) -> Self {
        Self { against: Against::Figure, ..Self::new(name, unit, reach, [name, ""]) }
    }

    /// A count that is held against a bound by its sum.
    pub fn total(name: &str, reach: Reach) -> Self {
        Self { against: Against::Total, ..Self::new(name, "", reach, [name, ""]) }
    }

    /// Set against the other by difference.
    pub fn difference(self) -> Self {
        Self { against: Against::Difference, ..self }
    }

    /// With so many times as many rounds.
    pub fn times(self, times: usize) -> Self {
        Self { times, ..self }
    }

    /// What the history that a turn leaves takes after it: the turn's own figure does not hold that work.
    pub fn drain_note(&self) -> Option<String> {
        let seconds: Vec<f64> = self.drains.iter().map(|[drain, _]| *drain).collect();
        let shares: Vec<f64> = self.drains.iter().map(|[drain, turn]| drain / turn).collect();
        let worked_off = || {
            // Turns of Kith are those measured and those measured again.
            let turns = self.measured.iter().chain(&self.again).copied().collect::<Vec<_>>();
            Spread::of(&turns).median / (1.0 + Spread::of(&shares).median)
        };
        let all = if self.unit == "1/s" {
            format!("; until that is done too, {:.0} were answered in a second", worked_off())
        } else {
            String::new()
        };
        (!seconds.is_empty()).then(|| {
            format!(
                "after each turn of Kith its history was waited for, {} s; a second of such a turn, warm-up included, needs {} s of it{all}",
                Spread::of(&seconds).text(2),
                Spread::of(&shares).text(2)
            )
        })
    }

    /// The same comparison with the history that was waited for counted in, reported beside: each turn of Kith as if its answers had
    /// taken the time of its drain as well. None where a turn has no drain of its own.
    pub fn with_history(&self) -> Option<Self> {
        let turns = self.measured.len() + self.again.len();
        if self.failed.is_some() || turns == 0 || self.drains.len() != turns {
            return None;
        }
        // Drains are in the order of the turns: in each round of the first, and of the first again.
        let slowed = |values: &[f64], from: usize| -> Vec<f64> {
            let drains = self.drains.iter().skip(from).step_by(2);
            values.iter().zip(drains).map(|(value, [drain, turn])| value / (1.0 + drain / turn)).collect()
        };
        Some(Self {
            name: format!("{}, with the history that was waited for counted in", self.name),
            reach: Reach::Report,
            measured: slowed(&self.measured, 0),
            again: slowed(&self.again, 1),
            drains: Vec::new(),
            notes: vec![String::from(
                "of the same turns: what Kith answered in a second of the turn and of the wait for its history after it; of the other \
                 side nothing is waited for",
            )],
            ..self.clone()
        })
    }

    /// With a note for the reader.
    pub fn note(mut self, words: &str) -> Self {
        self.notes.push(words.to_owned());
        self
    }

    fn each(&self, a: &[f64], b: &[f64], against: Against) -> Vec<f64> {
        let one = |(a, b): (&f64, &f64)| match against {
            // Of nothing there is no share: two noughts are the same.
            Against::Ratio | Against::Total => {
                if a == b {
                    1.0
                } else {
                    a / b
                }
            }
            // A figure may be nought.
            Against::Difference | Against::Figure => a - b,
        };
        a.iter().zip(b).map(one).collect()
    }

    /// The comparison, round by round.
    pub fn comparison(&self) -> Spread {
        match self.against {
            Against::Figure => Spread::of(&self.measured),
            Against::Total => Spread::of(&[self.measured.iter().chain(&self.again).sum()]),
            Against::Ratio | Against::Difference => {
                Spread::of(&self.each(&self.measured, &self.compared, self.against))
            }
        }
    }

    /// The same thing against itself, round by round: what differs is noise.
    pub fn noise(&self) -> Spread {
        if !self.alike.is_empty() {
            let (first, second): (Vec<f64>, Vec<f64>) =
                self.alike.iter().map(|[first, second]| (*first, *second)).unzip();
            return Spread::of(&self.each(&first, &second, self.against));
        }
        Spread::of(&self.each(&self.measured, &self.again, self.against))
    }

    /// How far noise alone may have moved a median: as far as the A/A reaches from no difference at all. Which of its two turns is
    /// the first says nothing: a difference counts with either sign, and a ratio either way round, as a share of the median.
    fn slack(&self, median: f64, (low, high): (f64, f64)) -> f64 {
        match self.against {
            // Beside nothing there is no share, and nothing bounds it.
            Against::Ratio if low <= 0.0 || !high.is_finite() => f64::INFINITY,
            Against::Ratio => median.abs() * (high.max(low.recip()) - 1.0),
            Against::Difference | Against::Figure => high.abs().max(low.abs()),
            // A count of everything that happened has no noise.
            Against::Total => 0.0,
        }
    }

    /// By the whole spread of the A/A, from its least to its most: a gap inside it is undecided, and one wild round of the A/A is
    /// enough for that. More rounds narrow the median's own interval, and never this spread.
    pub fn verdict(&self) -> Verdict {
        let noise = self.noise();
        self.judged((noise.least, noise.most))
    }

    /// By the interval of the A/A's median in the place of its spread: told beside, where it differs. More rounds narrow it.
    pub fn interval_verdict(&self) -> Verdict {
        let noise = self.noise();
        self.judged((noise.low, noise.high))
    }

    fn judged(&self, noise: (f64, f64)) -> Verdict {
        let Spread { low, median, high, least: _, most: _ } = self.comparison();
        let (reached, bounds) = match self.reach {
            Reach::Report => return Verdict::Reported,
            Reach::AtLeast(bound) => (median >= bound, vec![bound]),
            Reach::AtMost(bound) => (median <= bound, vec![bound]),
            Reach::Within(share) => ((median - 1.0).abs() <= share, vec![1.0 - share, 1.0 + share]),
        };
        if self.is_of_few_rounds() || !median.is_finite() {
            return Verdict::Undecided;
        }
        let slack = self.slack(median, noise);
        // Where nothing is noisy, what is exactly reached is reached.
        let near = |bound: &f64| slack > 0.0 && (median - bound).abs() <= slack;
        let held = |bound: &f64| low < high && (low..=high).contains(bound);
        match (bounds.iter().any(|bound| near(bound) || held(bound)), reached) {
            (true, _) => Verdict::Undecided,
            (false, true) => Verdict::Reached,
            (false, false) => Verdict::Missed,
        }
    }

    fn is_of_few_rounds(&self) -> bool {
        self.against != Against::Total && self.measured.len() < LEAST_ROUNDS
    }

    /// Whether there is no figure of it that may be used, though there should be.
    pub fn is_lost(&self) -> bool {
        !self.left_out && (self.void || self.failed.is_some())
    }

    /// Whether there are figures of it that may be judged.
    pub fn has_verdict(&self) -> bool {
        !self.left_out && !self.is_lost()
    }

    /// The verdict for a reader, and what stands before it.
    pub fn says(&self) -> String {
        if self.left_out {
            return String::from("left out");
        }
        if self.failed.is_some() {
            return String::from("NOT MEASURED");
        }
        if self.void {
            return String::from("VOID");
        }
        let (verdict, by_interval) = (self.verdict(), self.interval_verdict());
        if verdict == Verdict::Undecided && self.is_of_few_rounds() {
            format!("undecided: fewer than {LEAST_ROUNDS} rounds")
        } else if verdict == by_interval {
            verdict.word().to_owned()
        } else {
            format!("{}; by the A/A's interval {}", verdict.word(), by_interval.word())
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row(reach: Reach, measured: &[f64], compared: &[f64], again: &[f64]) -> Row {
        let [measured, compared, again] = [measured, compared, again].map(rounds);
        Row { measured, compared, again, ..Row::new("x", "1/s", reach, ["a", "b"]) }
    }

    /// The same values again, until there are as many as decide something.
    fn rounds(values: &[f64]) -> Vec<f64> {
        let count = if values.is_empty() { 0 } else { values.len().max(LEAST_ROUNDS) };
        values.iter().copied().cycle().take(count).collect()
    }

    #[test]
    fn few_rounds_decide_nothing_and_the_verdict_by_the_interval_stands_beside() {
        let mut few = row(Reach::AtMost(2.0), &[1.0], &[1.0], &[1.0]);
        assert_eq!(few.says(), "reached");
        few.measured.pop();
        assert_eq!(few.says(), "undecided: fewer than 5 rounds");
        assert_eq!(noisy(15).says(), "undecided; by the A/A's interval reached");
    }

    #[test]
    fn a_gap_inside_the_noise_is_undecided_on_either_side() {
        let steady = row(Reach::AtLeast(0.85), &[80.0, 80.0], &[100.0, 100.0], &[80.0, 80.0]);
        assert_eq!(steady.verdict(), Verdict::Missed);
        let noisy = row(Reach::AtLeast(0.85), &[80.0, 80.0], &[100.0, 100.0], &[70.0, 90.0]);
        assert_eq!(noisy.verdict(), Verdict::Undecided);
        let barely = row(Reach::AtLeast(0.85), &[86.0, 86.0], &[100.0, 100.0], &[70.0, 90.0]);
        assert_eq!(barely.verdict(), Verdict::Undecided);
        let reached = row(Reach::AtMost(1.1), &[1.0, 1.05], &[1.0, 1.0], &[1.0, 1.05]);
        assert_eq!(reached.verdict(), Verdict::Reached);
        assert_eq!(row(Reach::Report, &[1.0], &[9.0], &[1.0]).verdict(), Verdict::Reported);
    }

    /// A row of nine rounds whose A/A is these ratios: of so many the interval leaves out the least and the most.
    fn nine(reach: Reach, median: f64, noise: [f64; 9]) -> Row {
        row(reach, &[median; 9], &[1.0; 9], &noise.map(|ratio| median / ratio))
    }

    #[test]
    fn a_gap_inside_the_whole_spread_is_undecided_though_the_interval_is_narrow() {
        let wild = |ratio: f64| [1.0, 1.0, 1.0, 1.0, ratio, 1.0, 1.0, 1.0, 1.0];
        for (reach, median, after) in [
            (Reach::AtMost(1.2), 1.0, Verdict::Reached),
            (Reach::AtLeast(1.2), 1.0, Verdict::Missed),
            (Reach::AtLeast(0.8), 1.0, Verdict::Reached),
            (Reach::AtMost(0.8), 1.0, Verdict::Missed),
        ] {
            // The same noise, whichever of the A/A's turns came first.
            for noise in [1.25, 1.0 / 1.25] {
                let inside = nine(reach, median, wild(noise));
                assert_eq!((inside.verdict(), inside.interval_verdict()), (Verdict::Undecided, after), "{reach:?}");
            }
            for noise in [1.1, 1.0 / 1.1] {
                let outside = nine(reach, median, wild(noise));
                assert_eq!((outside.verdict(), outside.interval_verdict()), (after, after), "{reach:?}");
            }
        }
    }

    #[test]
    fn of_differences_and_figures_a_gap_inside_the_whole_spread_is_undecided_too() {
        let again = |off: f64| [5.0, 5.0, 5.0, 5.0, 5.0 - off, 5.0, 5.0, 5.0, 5.0];
        for against in [Against::Difference, Against::Figure] {
            let row = |off: f64| Row { against, ..row(Reach::AtMost(7.0), &[5.0; 9], &[0.0; 9], &again(off)) };
            for off in [2.0, -2.0] {
                assert_eq!(row(off).says(), "undecided; by the A/A's interval reached", "{against:?} {off}");
            }
            assert_eq!(row(1.9).says(), "reached", "{against:?}");
        }
        let nothing = Row { measured: vec![0.0; 5], ..row(Reach::AtLeast(0.8), &[1.0; 5], &[1.0; 5], &[1.0; 5]) };
        assert_eq!(nothing.verdict(), Verdict::Undecided, "against itself it came to nothing, which no ratio bounds");
        let wild = row(Reach::AtMost(1.0), &[0.0, 0.0, 5.0], &[1.0], &[0.0]);
        assert_eq!(wild.verdict(), Verdict::Undecided, "beside nothing it came to something, and its median is nought");
        assert_eq!(row(Reach::AtLeast(2.0), &[1.0], &[0.0], &[1.0]).verdict(), Verdict::Undecided, "beside nothing");
    }

    #[test]
    fn what_holds_the_bound_in_its_own_interval_is_undecided() {
        let wide = row(Reach::AtMost(1.25), &[1.0, 1.1, 1.3], &[1.0; 3], &[1.0, 1.1, 1.3]);
        assert_eq!((wide.noise().median, wide.verdict()), (1.0, Verdict::Undecided), "though the A/A has no spread");
        let narrow = row(Reach::AtMost(1.25), &[1.0, 1.1, 1.2], &[1.0; 3], &[1.0, 1.1, 1.2]);
        assert_eq!(narrow.verdict(), Verdict::Reached);
        let outside = row(Reach::Within(0.05), &[1.02, 1.03, 1.06], &[1.0; 3], &[1.02, 1.03, 1.06]);
        assert_eq!(outside.verdict(), Verdict::Undecided);
    }

    /// The same noise, for so many rounds: one round in five is far off, to one side and to the other.
    fn noisy(rounds: usize) -> Row {
        let off = |at: usize| [1.0, 1.02, 0.98, 1.01, if at % 10 == 4 { 1.4 } else { 0.7 }][at % 5];
        let measured: Vec<f64> = (0..rounds).map(|at| 1.1 * off(at + 2)).collect();
        let again: Vec<f64> = measured.iter().enumerate().map(|(at, value)| value / off(at)).collect();
        row(Reach::AtMost(1.25), &measured, &vec![1.0; rounds], &again)
    }

    #[test]
    fn more_rounds_decide_by_the_interval_what_few_cannot_and_never_undo_a_wild_round() {
        assert_eq!((noisy(5).verdict(), noisy(5).interval_verdict()), (Verdict::Undecided, Verdict::Undecided));
        assert_eq!((noisy(15).verdict(), noisy(15).interval_verdict()), (Verdict::Undecided, Verdict::Reached));
        let (few, many) = (noisy(5).noise(), noisy(15).noise());
        assert!(many.most - many.least >= few.most - few.least && many.high - many.low < few.high - few.low);
    }

    #[test]
    fn noise_counts_as_a_share_of_the_median() {
        let noisy = row(Reach::AtLeast(3.0), &[250.0; 2], &[100.0; 2], &[200.0, 250.0]);
        assert_eq!(noisy.verdict(), Verdict::Undecided, "a quarter of the median is more than the gap");
        let figure = Row { against: Against::Figure, ..row(Reach::AtMost(10.0), &[12.0; 2], &[], &[12.0; 2]) };
        assert_eq!((figure.comparison().median, figure.verdict()), (12.0, Verdict::Missed));
    }

    #[test]
    fn what_drains_cost_is_told_beside_the_turn() {
        let drains = vec![[2.0, 4.0], [3.0, 4.0], [1.0, 4.0]];
        let drained = Row { drains, ..row(Reach::Report, &[3_000.0, 3_000.0], &[], &[3_000.0, 3_000.0]) };
        let note = drained.drain_note().unwrap();
        assert!(
            note.contains("2.00 (1.00 to 3.00) [1.00, 3.00] s; ") && note.contains("0.50 (0.25 to 0.75)"),
            "{note}"
        );
        assert_eq!(row(Reach::Report, &[], &[], &[]).drain_note(), None);
    }

    #[test]
    fn with_its_history_counted_in_a_turn_answers_less_in_a_second() {
        let both = row(Reach::AtLeast(2.0), &[300.0], &[100.0], &[200.0]);
        assert_eq!(both.with_history().map(|row| row.name), None, "nothing is known of its drains");
        // Half as long as the turn, and as long.
        let drains = [[2.0, 4.0], [4.0, 4.0]].repeat(both.measured.len());
        let counted = Row { drains, ..both.clone() }.with_history().unwrap();
        assert_eq!((counted.measured[4], counted.again[4], counted.compared[4]), (200.0, 100.0, 100.0));
        assert_eq!((counted.comparison().median, counted.says().as_str()), (2.0, "reported"));
        assert!(counted.name.starts_with("x, with the history") && counted.drain_note().is_none());
        let lost = Row { drains: vec![[2.0, 4.0]], ..both };
        assert!(lost.with_history().is_none(), "of one turn it is known, of the others not");
    }

    #[test]
    fn one_error_in_any_round_is_an_error() {
        let errors = |measured: &[f64], again: &[f64]| {
            let (measured, again) = (measured.to_vec(), again.to_vec());
            Row { measured, again, ..Row::total("errors", Reach::AtMost(0.0)) }
        };
        assert_eq!(errors(&[0.0; 5], &[0.0; 5]).verdict(), Verdict::Reached);
        for row in [errors(&[0.0, 0.0, 1.0], &[0.0; 3]), errors(&[0.0; 3], &[0.0, 0.0, 1.0])] {
            assert_eq!((row.comparison().median, row.verdict()), (1.0, Verdict::Missed));
        }
    }

    #[test]
    fn the_noise_of_one_run_takes_the_place_of_that_of_two() {
        let mut row = row(Reach::Within(0.05), &[100.0; 3], &[100.0; 3], &[150.0, 160.0, 140.0]);
        assert_eq!(row.verdict(), Verdict::Undecided);
        row.alike = vec![[100.0, 101.0], [100.0, 99.0], [100.0, 100.0]];
        assert_eq!(row.verdict(), Verdict::Reached);
    }

    #[test]
    fn none_is_as_much_as_none_and_equality_has_two_sides() {
        let errors = Row { against: Against::Figure, ..row(Reach::AtMost(0.0), &[0.0; 2], &[], &[0.0; 2]) };
        assert_eq!((errors.verdict(), errors.noise().median), (Verdict::Reached, 0.0));
        for found in [90.0, 110.0] {
            assert_eq!(row(Reach::Within(0.05), &[found], &[100.0], &[found]).verdict(), Verdict::Missed, "{found}");
        }
        assert_eq!(row(Reach::Within(0.05), &[97.0], &[100.0], &[97.0]).verdict(), Verdict::Reached);
    }

    #[test]
    fn what_is_void_or_not_measured_has_no_verdict() {
        let good = row(Reach::AtMost(2.0), &[1.0], &[1.0], &[1.0]);
        assert_eq!(good.says(), "reached");
        assert_eq!(Row { void: true, ..good.clone() }.says(), "VOID");
        assert_eq!(Row { failed: Some("why".into()), ..good.clone() }.says(), "NOT MEASURED");
        let left_out = Row { left_out: true, ..good.clone() };
        assert_eq!((left_out.says().as_str(), left_out.is_lost()), ("left out", false));
        assert!(!good.is_lost() && Row { void: true, ..good }.is_lost());
    }
}
