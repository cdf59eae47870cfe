//! A comparison: two series and the A/A series beside them, what was to be reached, and what can be said.

use serde::Serialize;

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
    /// The gap between the median and what was to be reached lies inside the A/A spread.
    Undecided,
    Reported,
}

/// Median and spread.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Spread {
    pub median: f64,
    pub least: f64,
    pub most: f64,
}

impl Spread {
    /// Of values, none of which may be missing; all nought of none.
    pub fn of(values: &[f64]) -> Self {
        let mut sorted = values.to_vec();
        sorted.sort_by(f64::total_cmp);
        let (Some(least), Some(most)) = (sorted.first().copied(), sorted.last().copied()) else {
            return Self { median: 0.0, least: 0.0, most: 0.0 };
        };
        let upper = sorted.get(sorted.len() / 2).copied().unwrap_or(most);
        let lower = sorted.get((sorted.len() - 1) / 2).copied().unwrap_or(least);
        Self { median: f64::midpoint(lower, upper), least, most }
    }

    pub fn text(&self, digits: usize) -> String {
        let Self { median, least, most } = self;
        format!("{median:.digits$} [{least:.digits$}, {most:.digits$}]")
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
    /// The generator missed its schedule, and missed it again when the measurement was repeated: nothing here may be used.
    pub void: bool,
    /// Measurements repeated because the generator had missed its schedule.
    pub repeated: usize,
    /// Calls that failed, told beside the figures: none of them counts as an answer.
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
            void: false,
            repeated: 0,
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

    /// Set against the other by difference.
    pub fn difference(self) -> Self {
        Self { against: Against::Difference, ..self }
    }

    /// With a note for the reader.
    pub fn note(mut self, words: &str) -> Self {
        self.notes.push(words.to_owned());
        self
    }

    fn each(&self, a: &[f64], b: &[f64], against: Against) -> Vec<f64> {
        let one = |(a, b): (&f64, &f64)| match against {
            // Of nothing there is no share: two noughts are the same.
            Against::Ratio | Against::Figure => {
                if a == b {
                    1.0
                } else {
                    a / b
                }
            }
            Against::Difference => a - b,
        };
        a.iter().zip(b).map(one).collect()
    }

    /// The comparison, round by round.
    pub fn comparison(&self) -> Spread {
        match self.against {
            Against::Figure => Spread::of(&self.measured),
            Against::Ratio | Against::Difference => {
                Spread::of(&self.each(&self.measured, &self.compared, self.against))
            }
        }
    }

    /// The same thing against itself, round by round: what differs is noise.
    pub fn noise(&self) -> Spread {
        Spread::of(&self.each(&self.measured, &self.again, self.against))
    }

    /// How far noise alone moves what is compared with a bound.
    fn slack(&self, bound: f64) -> f64 {
        let noise = self.noise();
        match self.against {
            Against::Ratio | Against::Figure => bound * (noise.most - 1.0).abs().max((noise.least - 1.0).abs()),
            Against::Difference => noise.most.abs().max(noise.least.abs()),
        }
    }

    pub fn verdict(&self) -> Verdict {
        let found = self.comparison().median;
        let (reached, gap, slack) = match self.reach {
            Reach::Report => return Verdict::Reported,
            Reach::AtLeast(bound) => (found >= bound, (bound - found).abs(), self.slack(bound)),
            Reach::AtMost(bound) => (found <= bound, (found - bound).abs(), self.slack(bound)),
            Reach::Within(share) => {
                let off = (found - 1.0).abs();
                (off <= share, (off - share).abs(), self.slack(1.0))
            }
        };
        match (gap < slack, reached) {
            (true, _) => Verdict::Undecided,
            (false, true) => Verdict::Reached,
            (false, false) => Verdict::Missed,
        }
    }

    /// Whether there is no figure of it that may be used, though there should be.
    pub fn is_lost(&self) -> bool {
        !self.left_out && (self.void || self.failed.is_some())
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
        format!("{:?}", self.verdict()).to_lowercase()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row(reach: Reach, measured: &[f64], compared: &[f64], again: &[f64]) -> Row {
        let (measured, compared, again) = (measured.to_vec(), compared.to_vec(), again.to_vec());
        Row { measured, compared, again, ..Row::new("x", "1/s", reach, ["a", "b"]) }
    }

    #[test]
    fn medians_and_spreads() {
        assert_eq!(Spread::of(&[3.0, 1.0, 2.0]), Spread { median: 2.0, least: 1.0, most: 3.0 });
        assert_eq!(Spread::of(&[4.0, 1.0]).median, 2.5);
    }

    #[test]
    fn a_gap_inside_the_noise_is_undecided_on_either_side() {
        let steady = row(Reach::AtLeast(0.85), &[80.0, 80.0], &[100.0, 100.0], &[80.0, 80.0]);
        assert_eq!(steady.verdict(), Verdict::Missed);
        let noisy = row(Reach::AtLeast(0.85), &[80.0, 80.0], &[100.0, 100.0], &[70.0, 90.0]);
        assert_eq!(noisy.verdict(), Verdict::Undecided);
        let barely = row(Reach::AtLeast(0.85), &[86.0, 86.0], &[100.0, 100.0], &[70.0, 90.0]);
        assert_eq!(barely.verdict(), Verdict::Undecided);
        let reached = row(Reach::AtMost(1.1), &[1.0, 1.1], &[1.0, 1.0], &[1.0, 1.1]);
        assert_eq!(reached.verdict(), Verdict::Reached);
        assert_eq!(row(Reach::Report, &[1.0], &[9.0], &[1.0]).verdict(), Verdict::Reported);
    }

    #[test]
    fn noise_counts_as_a_share_of_the_bound() {
        let noisy = row(Reach::AtLeast(3.0), &[250.0; 2], &[100.0; 2], &[200.0, 250.0]);
        assert_eq!(noisy.verdict(), Verdict::Undecided, "a quarter of three is more than the gap");
        let figure = Row { against: Against::Figure, ..row(Reach::AtMost(10.0), &[12.0; 2], &[], &[12.0; 2]) };
        assert_eq!((figure.comparison().median, figure.verdict()), (12.0, Verdict::Missed));
    }

    #[test]
    fn none_is_as_much_as_none_and_equality_has_two_sides() {
        let errors = Row { against: Against::Figure, ..row(Reach::AtMost(0.0), &[0.0; 2], &[], &[0.0; 2]) };
        assert_eq!((errors.verdict(), errors.noise().median), (Verdict::Reached, 1.0));
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
