//! A comparison: two series and the A/A series beside them, what was to be reached, and what can be said.

use serde::Serialize;

/// What a ratio is to reach.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Reach {
    AtLeast(f64),
    AtMost(f64),
    /// Measured, not judged.
    Report,
}

/// What can be said of a comparison.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Verdict {
    Reached,
    Missed,
    /// The gap to what was to be reached lies inside the A/A spread.
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
}

/// One line of the table.
#[derive(Clone, Debug, Serialize)]
pub struct Row {
    pub name: String,
    pub unit: String,
    pub reach: Reach,
    pub against: Against,
    /// What is measured, what it is measured against, and what is measured once more in each round.
    pub names: [String; 2],
    pub measured: Vec<f64>,
    pub compared: Vec<f64>,
    pub again: Vec<f64>,
    /// The generator missed its schedule in a round: nothing here may be used.
    pub void: bool,
    pub notes: Vec<String>,
}

impl Row {
    fn each(&self, a: &[f64], b: &[f64]) -> Vec<f64> {
        let one = |(a, b): (&f64, &f64)| match self.against {
            Against::Ratio => a / b,
            Against::Difference => a - b,
        };
        a.iter().zip(b).map(one).collect()
    }

    /// The comparison, round by round.
    pub fn comparison(&self) -> Spread {
        Spread::of(&self.each(&self.measured, &self.compared))
    }

    /// The same thing against itself, round by round: what differs is noise.
    pub fn noise(&self) -> Spread {
        Spread::of(&self.each(&self.measured, &self.again))
    }

    pub fn verdict(&self) -> Verdict {
        let found = self.comparison().median;
        let noise = self.noise();
        let slack = match self.against {
            Against::Ratio => (noise.most - 1.0).abs().max((noise.least - 1.0).abs()),
            Against::Difference => noise.most.abs().max(noise.least.abs()),
        };
        let (reached, gap) = match self.reach {
            Reach::Report => return Verdict::Reported,
            Reach::AtLeast(bound) => (found >= bound, bound - found),
            Reach::AtMost(bound) => (found <= bound, found - bound),
        };
        if reached {
            Verdict::Reached
        } else if gap <= slack {
            Verdict::Undecided
        } else {
            Verdict::Missed
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row(reach: Reach, measured: &[f64], compared: &[f64], again: &[f64]) -> Row {
        Row {
            name: "x".into(),
            unit: "1/s".into(),
            reach,
            against: Against::Ratio,
            names: ["a".into(), "b".into()],
            measured: measured.to_vec(),
            compared: compared.to_vec(),
            again: again.to_vec(),
            void: false,
            notes: Vec::new(),
        }
    }

    #[test]
    fn medians_and_spreads() {
        assert_eq!(Spread::of(&[3.0, 1.0, 2.0]), Spread { median: 2.0, least: 1.0, most: 3.0 });
        assert_eq!(Spread::of(&[4.0, 1.0]).median, 2.5);
    }

    #[test]
    fn a_gap_inside_the_noise_is_undecided() {
        let steady = row(Reach::AtLeast(0.85), &[80.0, 80.0], &[100.0, 100.0], &[80.0, 80.0]);
        assert_eq!(steady.verdict(), Verdict::Missed);
        let noisy = row(Reach::AtLeast(0.85), &[80.0, 80.0], &[100.0, 100.0], &[70.0, 90.0]);
        assert_eq!(noisy.verdict(), Verdict::Undecided);
        let reached = row(Reach::AtMost(1.1), &[1.0, 1.1], &[1.0, 1.0], &[1.0, 1.1]);
        assert_eq!(reached.verdict(), Verdict::Reached);
        assert_eq!(row(Reach::Report, &[1.0], &[9.0], &[1.0]).verdict(), Verdict::Reported);
    }
}
