//! One step of `cargo xtask assure`: what its tests said, and whether that is enough. Runs nothing.

/// What a step consists of.
pub enum Way {
    /// Tests: where they are, as cargo's arguments, and which of them.
    Tests(&'static [&'static str], &'static str),
    /// `kith-hostile`: its figures are of the wall clock, so no test judges them, and this does.
    Hostile,
}

pub struct Step {
    pub name: &'static str,
    /// What is counted.
    pub what: &'static str,
    /// A matrix that has shrunk without anybody's noticing assures less than it says.
    pub floor: u64,
    pub runs: &'static [Way],
}

/// What the runs of a step said.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Heard {
    pub counted: u64,
    /// How often something was counted.
    said: usize,
    /// Runs that ended well and in which there was no test: what was to be looked for is called otherwise now.
    without_tests: usize,
    /// Figures of a table of which the machine's noise lets nobody tell.
    undecided: u64,
    /// Tests that were not run for want of a right or a program.
    skipped: Vec<String>,
    /// A run that ended badly, in its own words.
    failed: Vec<String>,
}

impl Heard {
    /// Takes what one run printed; gives what is to be shown of it. Tests beside each other print into each other's lines.
    pub fn take(&mut self, name: &str, text: &str, ended_well: bool) -> Vec<String> {
        let mut shown = Vec::new();
        for line in text.lines() {
            if let Some((_, rest)) = line.split_once("COUNTED ") {
                let mut words = rest.split_whitespace();
                if words.next() == Some(name)
                    && let Some(count) = words.next().and_then(|word| word.parse::<u64>().ok())
                {
                    self.counted += count;
                    self.said += 1;
                }
            }
            if let Some((_, rest)) = line.split_once("TOLD ") {
                shown.push(rest.to_owned());
            }
            if let Some((_, rest)) = line.split_once("SKIPPED, NOT PASSED: ") {
                self.skipped.push(rest.to_owned());
            }
            if let Some(test) = line.strip_prefix("test ").and_then(|line| line.strip_suffix(" ... FAILED")) {
                self.failed.push(test.to_owned());
            }
        }
        self.without_tests += usize::from(ended_well && passed(text) == 0);
        self.ended(text, ended_well);
        shown
    }

    /// What was counted, in words.
    pub fn told(&self, what: &str) -> String {
        match self.undecided {
            0 => format!("{} {what}", self.counted),
            undecided => format!("{} {what}, {undecided} undecided", self.counted),
        }
    }

    fn ended(&mut self, text: &str, ended_well: bool) {
        if !ended_well && self.failed.is_empty() {
            let last = text.lines().rev().find(|line| !line.trim().is_empty());
            self.failed.push(last.unwrap_or("it printed nothing").to_owned());
        }
    }

    /// Takes a table of figures: what missed what it was to reach, and calls that were not answered, are failures.
    pub fn take_table(&mut self, text: &str, ended_well: bool) -> Vec<String> {
        let mut shown = Vec::new();
        for line in text.lines() {
            let cells: Vec<&str> = line.split('|').map(str::trim).collect();
            if let ["", figure, .., verdict, ""] = cells.as_slice()
                && matches!(*verdict, "reached" | "missed" | "undecided")
            {
                self.counted += 1;
                self.said += 1;
                match *verdict {
                    "missed" => self.failed.push((*figure).to_owned()),
                    "undecided" => {
                        self.undecided += 1;
                        shown.push(format!("undecided, within the noise: {line}"));
                    }
                    _ => {}
                }
            }
            if let Some((who, rest)) = line.strip_prefix("- ").and_then(|line| line.split_once(": "))
                && who.ends_with(", Kith")
                && !rest.starts_with("0 not answered")
            {
                self.failed.push(line.to_owned());
            }
        }
        self.ended(text, ended_well);
        shown
    }
}

/// How many tests passed, as cargo says after everything that they print.
fn passed(text: &str) -> u64 {
    let count = |line: &str| {
        let (_, result) = line.split_once("test result: ")?;
        result.split_once(". ")?.1.split_once(" passed")?.0.parse::<u64>().ok()
    };
    text.lines().filter_map(count).sum()
}

impl Step {
    /// Whether what was heard is enough.
    pub fn judge(&self, heard: &Heard) -> Result<(), String> {
        if !heard.failed.is_empty() {
            return Err(format!("failed: {}", heard.failed.join(", ")));
        }
        if let Some(why) = heard.skipped.first() {
            return Err(format!("{} could not run here: {why}", heard.skipped.len()));
        }
        if heard.said == 0 {
            return Err(format!("MISSING: nothing says how much of {} was tried", self.name));
        }
        if heard.without_tests > 0 {
            return Err(format!("in {} of its {} runs there is no test", heard.without_tests, self.runs.len()));
        }
        if heard.counted < self.floor {
            return Err(format!("too few: at least {}", self.floor));
        }
        if heard.undecided * 2 > heard.counted {
            return Err(format!("{} undecided: too much noise on this machine to say", heard.undecided));
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const STEP: Step = Step { name: "canary", what: "forms", floor: 5, runs: &[Way::Tests(&[], "")] };
    const PASSED: &str =
        "test result: ok. 3 passed; 0 failed; 0 ignored; 0 measured; 9 filtered out; finished in 0.10s\n";

    fn judged(text: &str, ended_well: bool) -> Result<(), String> {
        let mut heard = Heard::default();
        heard.take(STEP.name, &format!("{text}{PASSED}"), ended_well);
        STEP.judge(&heard)
    }

    #[test]
    fn counts_of_all_tests_are_added() {
        assert_eq!(judged("test a ... COUNTED canary 2\nok\nCOUNTED canary 3\n", true), Ok(()));
        assert_eq!(judged("COUNTED canary 4\nCOUNTED other 9\n", true), Err("too few: at least 5".into()));
    }

    #[test]
    fn what_nobody_speaks_of_is_missing() {
        assert_eq!(judged("running 0 tests\n", true), Err("MISSING: nothing says how much of canary was tried".into()));
    }

    #[test]
    fn a_run_without_a_test_is_not_assured_whatever_the_others_count() {
        let mut heard = Heard::default();
        heard.take(STEP.name, &format!("COUNTED canary 9\n{PASSED}"), true);
        assert_eq!(STEP.judge(&heard), Ok(()));
        heard.take(STEP.name, &PASSED.replace("3 passed", "0 passed"), true);
        assert_eq!(STEP.judge(&heard), Err("in 1 of its 1 runs there is no test".into()));
    }

    #[test]
    fn more_that_is_undecided_than_decided_is_not_assured() {
        let line = |verdict: &str| format!("| floods: p50 | 1 | {verdict} |\n");
        let judged = |undecided: usize| {
            let mut heard = Heard::default();
            heard.take_table(&[line("undecided").repeat(undecided), line("reached").repeat(3)].concat(), true);
            (heard.told("figures"), STEP.judge(&heard))
        };
        assert_eq!(judged(3), ("6 figures, 3 undecided".into(), Ok(())));
        assert_eq!(judged(4).1, Err("4 undecided: too much noise on this machine to say".into()));
    }

    #[test]
    fn what_failed_or_could_not_run_is_not_assured() {
        let failed = judged("COUNTED canary 9\ntest canary::a ... FAILED\n", false);
        assert_eq!(failed, Err("failed: canary::a".into()));
        let mut heard = Heard::default();
        heard.take(STEP.name, "error: no such target\n\n", false);
        assert_eq!(STEP.judge(&heard), Err("failed: error: no such target".into()));
        let skipped = judged("COUNTED canary 9\nSKIPPED, NOT PASSED: a: no mount\n", true);
        assert_eq!(skipped, Err("1 could not run here: a: no mount".into()));
    }

    #[test]
    fn figures_that_missed_and_calls_without_an_answer_are_failures() {
        let table = "| attack | Kith | verdict |\n|---|---|---|\n| floods: p50 | 1 | reached |\n| floods: p99 | 2 | undecided |\n\n\
            - floods, Kith: 0 not answered []\n- floods, empty call: 3 not answered []\n";
        let mut heard = Heard::default();
        let shown = heard.take_table(table, true);
        assert_eq!((heard.counted, shown.len(), heard.failed.len()), (2, 1, 0));
        let worse = table.replace("reached", "missed").replace("Kith: 0", "Kith: 2");
        heard.take_table(&worse, true);
        assert_eq!(heard.failed, ["floods: p50", "- floods, Kith: 2 not answered []"]);
    }

    #[test]
    fn what_is_told_is_shown() {
        let shown = Heard::default().take("canary", "TOLD of the certificate: x\nelse\n", true);
        assert_eq!(shown, ["of the certificate: x"]);
    }
}
