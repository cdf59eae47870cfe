//! The table: for each attack the steady client's p50 and p99 of both servers, their ratio with its spread, the A/A ratio
//! beside it, and errors.

use std::fmt::Write as _;

use crate::runs::Measured;

/// What the ratio is to reach.
const REACH: f64 = 1.25;

/// One attack, round by round: Kith, empty call, Kith, empty call.
pub struct Row {
    name: String,
    rounds: Vec<[Measured; 4]>,
}

/// Median, least, most.
#[derive(Clone, Copy, Debug, PartialEq)]
struct Spread {
    median: f64,
    least: f64,
    most: f64,
}

impl Spread {
    fn of(mut values: Vec<f64>) -> Self {
        values.sort_by(f64::total_cmp);
        let at = |place: usize| values.get(place).copied().unwrap_or(f64::NAN);
        let last = values.len().saturating_sub(1);
        Self { median: f64::midpoint(at(last / 2), at(values.len() / 2)), least: at(0), most: at(last) }
    }

    fn text(self, digits: usize) -> String {
        let Self { median, least, most } = self;
        format!("{median:.digits$} [{least:.digits$}, {most:.digits$}]")
    }
}

impl Row {
    pub fn new(name: &str) -> Self {
        Self { name: name.to_owned(), rounds: Vec::new() }
    }

    pub fn add(&mut self, round: [Measured; 4]) {
        self.rounds.push(round);
    }

    fn line(&self, what: &str, of: impl Fn(&Measured) -> f64) -> String {
        let of = |one: &[Measured; 4]| one.each_ref().map(&of);
        let all: Vec<[f64; 4]> = self.rounds.iter().map(of).collect();
        let kith = Spread::of(all.iter().flat_map(|[a, _, c, _]| [*a, *c]).collect());
        let empty = Spread::of(all.iter().flat_map(|[_, b, _, d]| [*b, *d]).collect());
        let ratio = Spread::of(all.iter().flat_map(|[a, b, c, d]| [a / b, c / d]).collect());
        let same = Spread::of(all.iter().flat_map(|[a, b, c, d]| [a / c, b / d]).collect());
        let verdict = verdict(ratio, same);
        format!(
            "| {}: {what} | {} | {} | {} | {} | {verdict} |\n",
            self.name,
            kith.text(0),
            empty.text(0),
            ratio.text(2),
            same.text(2)
        )
    }

    fn notes(&self) -> String {
        let of =
            |at: [usize; 2]| self.rounds.iter().flat_map(move |round| at.into_iter().filter_map(|at| round.get(at)));
        let mut text = String::new();
        for (side, at) in [("Kith", [0, 2]), ("empty call", [1, 3])] {
            let failed: u64 = of(at).map(|one| one.failed).sum();
            let errors: Vec<&str> = of(at).map(|one| one.errors.as_str()).filter(|errors| !errors.is_empty()).collect();
            let late = of(at).map(|one| one.late_share).fold(0.0, f64::max) * 100.0;
            let memory = of(at).map(|one| one.resident_bytes >> 20).max().unwrap_or(0);
            let name = &self.name;
            let _written = writeln!(
                text,
                "- {name}, {side}: {failed} not answered {errors:?}; taken up late {late:.1} % at most; {memory} MiB at most."
            );
        }
        text
    }
}

/// A gap between the median and what is to be reached that lies inside the A/A spread is undecided. Where nothing was answered there
/// is no ratio, and nothing is reached.
fn verdict(ratio: Spread, same: Spread) -> &'static str {
    let (least, most) = (REACH * same.least.min(1.0 / same.most), REACH * same.most.max(1.0 / same.least));
    if ratio.median <= least {
        "reached"
    } else if ratio.median > most || ratio.median.is_nan() {
        "missed"
    } else {
        "undecided"
    }
}

/// Everything, as text.
pub fn table(rows: &[Row], rounds: usize, seconds: f64, rate: f64) -> String {
    let mut text = format!(
        "{rounds} rounds of {seconds} s each, Kith, empty call, Kith, empty call; a steady client of one organisation with {rate} \
         requests due in a second on four connections, beside a hostile one of another, all on one machine. Microseconds, \
         median [least, most]; to reach: a ratio of at most {REACH}.\n\n\
         | attack | Kith | empty call | ratio | A/A | verdict |\n|---|---|---|---|---|---|\n"
    );
    for row in rows {
        text += &row.line("p50", |one| one.p50_us);
        text += &row.line("p99", |one| one.p99_us);
    }
    text.push('\n');
    rows.iter().for_each(|row| text += &row.notes());
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_spread_is_of_all_values() {
        assert_eq!(Spread::of(vec![3.0, 1.0, 2.0]), Spread { median: 2.0, least: 1.0, most: 3.0 });
        assert_eq!(Spread::of(vec![4.0, 1.0]), Spread { median: 2.5, least: 1.0, most: 4.0 });
    }

    #[test]
    fn a_gap_inside_the_spread_is_undecided() {
        let spread = |median| Spread { median, least: median, most: median };
        let same = Spread { median: 1.0, least: 0.9, most: 1.1 };
        assert_eq!(verdict(spread(1.0), same), "reached");
        assert_eq!(verdict(spread(1.2), same), "undecided");
        assert_eq!(verdict(spread(1.5), same), "missed");
        assert_eq!(verdict(spread(f64::NAN), same), "missed");
        assert_eq!(verdict(spread(f64::INFINITY), same), "missed");
    }

    #[test]
    fn each_attack_has_two_lines_and_two_notes() {
        let one = |p50_us| Measured {
            p50_us,
            p99_us: 4.0 * p50_us,
            failed: 0,
            errors: String::new(),
            late_share: 0.0,
            resident_bytes: 1 << 20,
        };
        let mut row = Row::new("floods");
        row.add([one(120.0), one(100.0), one(110.0), one(100.0)]);
        let text = table(&[row], 1, 5.0, 300.0);
        assert!(text.contains("| floods: p50 | 115 [110, 120] | 100 [100, 100] | 1.15 [1.10, 1.20] |"), "{text}");
        assert!(text.contains("| floods: p99 | 460 "), "{text}");
        assert_eq!(text.matches("floods, ").count(), 2);
    }
}
