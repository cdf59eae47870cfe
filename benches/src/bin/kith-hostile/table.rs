//! The table: for each attack the steady client's p50 and p99 of both servers, their ratio with the noise about it, the A/A ratio
//! beside it, and errors.

use std::fmt::Write as _;

use crate::runs::{Measured, Side};

/// What the ratio is to reach.
const REACH: f64 = 1.25;
/// How often a median may lie below its interval, and how often above.
const BEYOND: f64 = 0.025;

/// What is taken of one run.
type Figure = fn(&Measured) -> f64;
const FIGURES: [(&str, Figure); 2] = [("p50", |one| one.p50_us), ("p99", |one| one.p99_us)];

/// One attack, round by round: Kith, empty call, Kith, empty call.
pub struct Row {
    name: String,
    /// Without an attack there is nothing to judge.
    attacked: bool,
    rounds: Vec<[Measured; 4]>,
    /// Of each run that was made again: whose it was, how many calls were not answered, and what they met.
    void: Vec<(Side, u64, String)>,
    /// Why it is not measured.
    given_up: Option<String>,
}

/// Of all values the median, and the interval that holds what they are drawn about 19 times in 20: of up to eight values from the
/// least to the most, of 18 from the fifth to the fourteenth.
#[derive(Clone, Copy, Debug, PartialEq)]
struct Spread {
    median: f64,
    least: f64,
    most: f64,
}

/// How many of so many values lie beyond either end of the interval.
fn beyond(count: usize) -> usize {
    let count = u32::try_from(count).unwrap_or(u32::MAX);
    let mut beyond = 0_u32;
    let mut chance = 0.5_f64.powi(i32::try_from(count).unwrap_or(i32::MAX));
    let mut sum = chance;
    while beyond < count / 2 {
        chance *= f64::from(count - beyond) / f64::from(beyond + 1);
        sum += chance;
        if sum > BEYOND {
            break;
        }
        beyond += 1;
    }
    usize::try_from(beyond).unwrap_or(0)
}

impl Spread {
    fn of(mut values: Vec<f64>) -> Self {
        values.sort_by(f64::total_cmp);
        let at = |place: usize| values.get(place).copied().unwrap_or(f64::NAN);
        let (last, beyond) = (values.len().saturating_sub(1), beyond(values.len()));
        Self {
            median: f64::midpoint(at(last / 2), at(values.len() / 2)),
            least: at(beyond),
            most: at(last.saturating_sub(beyond)),
        }
    }

    fn text(self, digits: usize) -> String {
        let Self { median, least, most } = self;
        format!("{median:.digits$} [{least:.digits$}, {most:.digits$}]")
    }
}

/// A figure of both servers.
struct Compared {
    kith: Spread,
    empty: Spread,
    ratio: Spread,
    /// The same server against itself.
    same: Spread,
}

impl Row {
    pub fn new(name: &str, attacked: bool) -> Self {
        Self { name: name.to_owned(), attacked, rounds: Vec::new(), void: Vec::new(), given_up: None }
    }

    pub fn add(&mut self, round: [Measured; 4]) {
        self.rounds.push(round);
    }

    pub fn rounds(&self) -> usize {
        self.rounds.len()
    }

    /// A run whose times may not be used: what was not answered in it counts all the same.
    pub fn add_void(&mut self, side: Side, measured: &Measured) {
        self.void.push((side, measured.failed, measured.errors.clone()));
    }

    /// It is not measured: runs had to be made again too often.
    pub fn give_up(&mut self, why: &str) {
        self.given_up = Some(why.to_owned());
    }

    pub fn is_given_up(&self) -> bool {
        self.given_up.is_some()
    }

    /// Whether noise decides about one of its figures.
    pub fn is_undecided(&self) -> bool {
        self.attacked && FIGURES.iter().any(|(_, of)| self.compared(*of).verdict() == "undecided")
    }

    fn compared(&self, of: Figure) -> Compared {
        let all: Vec<[f64; 4]> = self.rounds.iter().map(|round| round.each_ref().map(of)).collect();
        Compared {
            kith: Spread::of(all.iter().flat_map(|[a, _, c, _]| [*a, *c]).collect()),
            empty: Spread::of(all.iter().flat_map(|[_, b, _, d]| [*b, *d]).collect()),
            ratio: Spread::of(all.iter().flat_map(|[a, b, c, d]| [a / b, c / d]).collect()),
            same: Spread::of(all.iter().flat_map(|[a, b, c, d]| [a / c, b / d]).collect()),
        }
    }

    fn line(&self, what: &str, of: Figure) -> String {
        let name = &self.name;
        if self.is_given_up() {
            return format!("| {name}: {what} | - | - | - | - | not measured |\n");
        }
        let compared = self.compared(of);
        let verdict = if self.attacked { compared.verdict() } else { "no attack" };
        let Compared { kith, empty, ratio, same } = compared;
        let (kith, empty, ratio, same) = (kith.text(0), empty.text(0), ratio.text(2), same.text(2));
        format!("| {name}: {what} | {kith} | {empty} | {ratio} | {same} | {verdict} |\n")
    }

    fn notes(&self) -> String {
        let name = &self.name;
        if let Some(why) = &self.given_up {
            return format!("- {name}: not measured, too often: {why}.\n");
        }
        let of =
            |at: [usize; 2]| self.rounds.iter().flat_map(move |round| at.into_iter().filter_map(|at| round.get(at)));
        let mut text = String::new();
        for (side, words, at) in [(Side::Kith, "Kith", [0, 2]), (Side::Empty, "empty call", [1, 3])] {
            let again: Vec<&(Side, u64, String)> = self.void.iter().filter(|(of, ..)| *of == side).collect();
            let failed: u64 = of(at).map(|one| one.failed).chain(again.iter().map(|(_, failed, _)| *failed)).sum();
            let errors = of(at).map(|one| one.errors.as_str()).chain(again.iter().map(|(.., errors)| errors.as_str()));
            let errors: Vec<&str> = errors.filter(|errors| !errors.is_empty()).collect();
            let late = of(at).map(|one| one.late_share).fold(0.0, f64::max) * 100.0;
            let memory = of(at).map(|one| one.resident_bytes >> 20).max().unwrap_or(0);
            let (rounds, again) = (self.rounds.len(), again.len());
            let _written = writeln!(
                text,
                "- {name}, {words}: {failed} not answered {errors:?} in {rounds} rounds and {again} runs made again; taken up \
                 late {late:.1} % at most; {memory} MiB at most."
            );
        }
        if self.attacked {
            let least = self.rounds.iter().flatten().map(|one| one.attackers).min().unwrap_or(0);
            let _written = writeln!(text, "- {name}, attackers: {least} clients at least took part in each run.");
            let tried = self.rounds.iter().flatten().map(|one| one.tried).min().unwrap_or(0);
            if tried > 0 {
                let _written =
                    writeln!(text, "- {name}, connections: {tried} at least were tried before each measurement.");
            }
        }
        text
    }

    /// How much longer answers take under the attack than without one, and of Kith over that of the empty call, which is what the attack
    /// does to a lookup more than to an empty call: told, and not judged.
    fn against_itself(&self, alone: &Self) -> String {
        let sides: [fn(&Compared) -> Spread; 2] = [|one| one.kith, |one| one.empty];
        let [kith, empty] =
            sides.map(|side| FIGURES.map(|(_, of)| side(&self.compared(of)).median / side(&alone.compared(of)).median));
        let more = [kith[0] / empty[0], kith[1] / empty[1]];
        let [kith, empty, more] = [kith, empty, more].map(|figures| {
            let named: Vec<String> =
                FIGURES.iter().zip(figures).map(|((what, _), figure)| format!("{what} {figure:.2}")).collect();
            named.join(", ")
        });
        format!(
            "- {}, against itself without an attack: Kith {kith}; empty call {empty}; Kith's over the empty call's {more}.\n",
            self.name
        )
    }
}

impl Compared {
    fn verdict(&self) -> &'static str {
        verdict(self.ratio, self.same)
    }
}

/// A gap between the median and what is to be reached that lies inside the A/A interval is undecided. Where nothing was answered there
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
        "{rounds} rounds of {seconds} s each, more where noise decides, Kith, empty call, Kith, empty call; a steady client of one \
         organisation with {rate} requests due in a second on four connections, beside a hostile one of another, all on one \
         machine. Microseconds, median [interval of the median, 19 times in 20]; to reach: a ratio of at most {REACH}. Undecided: \
         the same server against itself (A/A) differs by as much as the ratio from that. Without an attack nothing is judged.\n\n\
         | attack | Kith | empty call | ratio | A/A | verdict |\n|---|---|---|---|---|---|\n"
    );
    for row in rows {
        FIGURES.iter().for_each(|(what, of)| text += &row.line(what, *of));
    }
    text.push('\n');
    rows.iter().for_each(|row| text += &row.notes());
    if let Some(alone) = rows.iter().find(|row| !row.attacked && !row.is_given_up()) {
        text.push_str("\nMedians under the attack over those without one, which no bound judges:\n\n");
        let attacked = rows.iter().filter(|row| row.attacked && !row.is_given_up());
        attacked.for_each(|row| text += &row.against_itself(alone));
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    fn one(p50_us: f64) -> Measured {
        Measured {
            p50_us,
            p99_us: 4.0 * p50_us,
            failed: 0,
            errors: String::new(),
            late_share: 0.0,
            resident_bytes: 1 << 20,
            attackers: 40,
            tried: 0,
        }
    }

    #[test]
    fn the_interval_leaves_out_what_chance_explains() {
        assert_eq!(Spread::of(vec![3.0, 1.0, 2.0]), Spread { median: 2.0, least: 1.0, most: 3.0 });
        assert_eq!(Spread::of(vec![4.0, 1.0]), Spread { median: 2.5, least: 1.0, most: 4.0 });
        assert_eq!([0, 1, 6, 8, 9, 12, 18, 100].map(beyond), [0, 0, 0, 0, 1, 2, 4, 39]);
        let many = Spread::of((1..=18).map(f64::from).collect());
        assert_eq!(many, Spread { median: 9.5, least: 5.0, most: 14.0 });
    }

    #[test]
    fn a_gap_inside_the_interval_is_undecided() {
        let spread = |median| Spread { median, least: median, most: median };
        let same = Spread { median: 1.0, least: 0.9, most: 1.1 };
        assert_eq!(verdict(spread(1.0), same), "reached");
        assert_eq!(verdict(spread(1.2), same), "undecided");
        assert_eq!(verdict(spread(1.5), same), "missed");
        assert_eq!(verdict(spread(f64::NAN), same), "missed");
        assert_eq!(verdict(spread(f64::INFINITY), same), "missed");
    }

    #[test]
    fn each_attack_has_two_lines_and_four_notes() {
        let mut row = Row::new("floods", true);
        let few = Measured { attackers: 39, ..one(110.0) };
        row.add([one(120.0), one(100.0), few, one(100.0)]);
        let mut alone = Row::new("none", false);
        alone.add([one(100.0), one(50.0), one(100.0), one(50.0)]);
        let text = table(&[alone, row], 1, 5.0, 300.0);
        assert!(text.contains("| floods: p50 | 115 [110, 120] | 100 [100, 100] | 1.15 [1.10, 1.20] |"), "{text}");
        assert!(text.contains("| floods: p99 | 460 "), "{text}");
        assert!(text.contains("- floods, Kith: 0 not answered [] in 1 rounds and 0 runs made again;"), "{text}");
        assert!(text.contains("- floods, attackers: 39 clients at least took part in each run.\n"), "{text}");
        let itself = "- floods, against itself without an attack: Kith p50 1.15, p99 1.15; empty call p50 2.00, p99 2.00; Kith's over the \
             empty call's p50 0.57, p99 0.57.";
        assert!(text.contains(itself), "{text}");
        assert_eq!(text.matches("floods, ").count(), 4);
        assert!(!text.contains("none, attackers"), "nobody attacks there: {text}");
        assert_eq!(text.matches(" no attack |\n").count(), 2, "without an attack nothing is judged: {text}");
    }

    #[test]
    fn how_many_connections_were_tried_is_told_of_the_run_with_the_fewest() {
        let mut row = Row::new("all that go together", true);
        let of = |tried: u64| Measured { tried, ..one(100.0) };
        row.add([of(2_400), of(2_003), of(2_800), of(3_000)]);
        let text = table(&[row], 1, 5.0, 300.0);
        assert!(
            text.contains("- all that go together, connections: 2003 at least were tried before each measurement.\n"),
            "{text}"
        );
        let mut row = Row::new("floods", true);
        row.add([of(0), of(0), of(0), of(0)]);
        assert!(!table(&[row], 1, 5.0, 300.0).contains("connections:"));
    }

    #[test]
    fn what_was_not_answered_in_a_run_made_again_counts() {
        let mut row = Row::new("floods", true);
        row.add_void(Side::Kith, &Measured { failed: 2, errors: "2 UNAVAILABLE".into(), ..one(100.0) });
        row.add([one(100.0), one(100.0), one(100.0), one(100.0)]);
        let text = table(&[row], 1, 5.0, 300.0);
        let kith = "- floods, Kith: 2 not answered [\"2 UNAVAILABLE\"] in 1 rounds and 1 runs made again;";
        assert!(text.contains(kith), "{text}");
        assert!(text.contains("- floods, empty call: 0 not answered [] in 1 rounds and 0 runs"), "{text}");
    }

    #[test]
    fn what_was_given_up_is_not_measured_and_no_call_of_it_was_answered() {
        let mut row = Row::new("floods", true);
        row.add([one(100.0), one(100.0), one(100.0), one(100.0)]);
        row.give_up("the generator missed its own schedule");
        let text = table(&[row], 1, 5.0, 300.0);
        assert_eq!(text.matches(" | not measured |\n").count(), 2, "{text}");
        assert!(!text.contains("floods, Kith: 0 not answered"), "{text}");
    }
}
