//! One step of `cargo xtask assure`: what its tests said, and whether that is enough. Runs nothing.

use std::collections::BTreeMap;

use crate::steps::Ended;

/// Attacks by thousands of connections, and how many of these are tried at least before anything is measured beside them.
const CROWDS: [&str; 2] = ["thousands of connections", "all that go together"];
const LEAST_TRIED: u64 = 2_000;

/// What a step consists of.
pub enum Way {
    /// Tests: where they are, as cargo's arguments, which of them, and how many pass at least. Raised with each new one.
    Tests(&'static [&'static str], &'static str, u64),
    /// What a lookup costs, counted without a clock: among it, whether the cost tells where a shielded child is.
    Cost,
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
    /// Runs that ended well and in which fewer tests passed than once did: one was taken out, or is called otherwise now.
    few_tests: Vec<String>,
    /// Figures of a table of which the machine's noise lets nobody tell: which, and their line.
    undecided: Vec<String>,
    /// Of each row of a table how often it said that every call was answered.
    all_answered: BTreeMap<String, usize>,
    /// Of each attacked row how many clients attacked at least, where it says so.
    attackers: BTreeMap<String, u64>,
    /// Of each row with an attack by connections how many were tried at least.
    tried: BTreeMap<String, u64>,
    /// Tests that were not run for want of a right or a program.
    skipped: Vec<String>,
    /// A run that ended badly, in its own words.
    failed: Vec<String>,
}

impl Heard {
    /// Takes what one run printed; gives what is to be shown of it. Tests beside each other print into each other's lines.
    pub fn take(&mut self, name: &str, text: &str, ended_well: bool, (filter, least): (&str, u64)) -> Vec<String> {
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
        let passed = passed(text);
        if ended_well && passed < least {
            self.few_tests.push(format!("{passed} of {filter:?}, expected at least {least}"));
        }
        self.ended(text, ended_well);
        shown
    }

    /// Takes what became of the count of a lookup's cost; gives it in words.
    pub fn take_cost(&mut self, ended: anyhow::Result<Ended>) -> String {
        match ended {
            Ok(Ended::Passed) => "what a lookup costs is within its bounds".to_owned(),
            Ok(Ended::Skipped(why)) => {
                self.skipped.push(why.clone());
                why
            }
            Err(error) => self.fail(&error),
        }
    }

    /// A run failed, or could not even be begun; gives why in words.
    pub fn fail(&mut self, error: &anyhow::Error) -> String {
        let words = format!("{error:#}");
        self.failed.push(words.clone());
        words
    }

    /// What was counted, in words.
    pub fn told(&self, what: &str) -> String {
        let attackers: u64 = self.attackers.values().sum();
        let by = if self.attackers.is_empty() { String::new() } else { format!(" by {attackers} clients") };
        match self.undecided.len() {
            0 => format!("{} {what}{by}", self.counted),
            undecided => format!("{} {what}{by}, {undecided} undecided", self.counted),
        }
    }

    fn ended(&mut self, text: &str, ended_well: bool) {
        if !ended_well && self.failed.is_empty() {
            let last = text.lines().rev().find(|line| !line.trim().is_empty());
            self.failed.push(last.unwrap_or("it printed nothing").to_owned());
        }
    }

    /// Takes a table of figures: what missed what it was to reach, what was not measured, calls that were not answered, and an attack
    /// to which nobody came, are failures. A row without an attack is no figure: whether anything withstands one does not show there.
    pub fn take_table(&mut self, text: &str, ended_well: bool) -> Vec<String> {
        let mut shown = Vec::new();
        for line in text.lines() {
            let cells: Vec<&str> = line.split('|').map(str::trim).collect();
            if let ["", figure, kith, empty, ratio, same, verdict, ""] = cells.as_slice() {
                let noise = format!(
                    "{figure} is {ratio} times the empty call's, the same server against itself {same} ({kith} and {empty} us)"
                );
                self.take_figure(figure, verdict, noise);
            }
            if let Some((who, rest)) = line.strip_prefix("- ").and_then(|line| line.split_once(": "))
                && let Some(attack) = who.strip_suffix(", Kith")
            {
                if rest.starts_with("0 not answered") {
                    *self.all_answered.entry(attack.to_owned()).or_default() += 1;
                } else {
                    self.failed.push(line.to_owned());
                }
            }
            if let Some((attack, clients)) = counted(line, ", attackers: ") {
                self.attackers.insert(attack.to_owned(), clients);
            }
            if let Some((attack, tried)) = counted(line, ", connections: ") {
                self.tried.insert(attack.to_owned(), tried);
            }
            if let Some(line) =
                line.strip_prefix("- ").filter(|line| line.contains(", against itself without an attack: "))
            {
                shown.push(line.to_owned());
            }
        }
        let silent = self.all_answered.iter().filter(|(_, times)| **times != 1);
        let silent: Vec<String> = silent
            .map(|(attack, times)| format!("{attack}: said {times} times that every call was answered, expected once"))
            .collect();
        self.failed.extend(silent);
        let unattacked = self.attackers.iter().filter(|(_, clients)| **clients == 0);
        let unattacked: Vec<String> = unattacked.map(|(attack, _)| format!("{attack}: nobody attacked")).collect();
        self.failed.extend(unattacked);
        let few: Vec<String> = CROWDS.into_iter().filter_map(|attack| self.lacks_connections(attack)).collect();
        self.failed.extend(few);
        self.ended(text, ended_well);
        shown
    }

    /// What an attack by thousands of connections lacks of them, where it was measured.
    fn lacks_connections(&self, attack: &str) -> Option<String> {
        let _measured = self.attackers.get(attack)?;
        let tried = self.tried.get(attack).copied().unwrap_or(0);
        (tried < LEAST_TRIED)
            .then(|| format!("{attack}: {tried} connections were tried, expected at least {LEAST_TRIED}"))
    }

    fn take_figure(&mut self, figure: &str, verdict: &str, noise: String) {
        match verdict {
            "reached" | "no attack" => {}
            "missed" => self.failed.push(noise),
            "not measured" => self.failed.push(format!("{figure} was not measured")),
            "undecided" => self.undecided.push(noise),
            // The table's head, and the line below it.
            _ => return,
        }
        let (attack, _) = figure.rsplit_once(": ").unwrap_or((figure, ""));
        self.all_answered.entry(attack.to_owned()).or_default();
        if verdict != "no attack" {
            if verdict != "not measured" {
                self.attackers.entry(attack.to_owned()).or_default();
            }
            self.counted += 1;
            self.said += 1;
        }
    }
}

/// The number that a note begins with, and what it is about.
fn counted<'a>(line: &'a str, what: &str) -> Option<(&'a str, u64)> {
    let (about, rest) = line.strip_prefix("- ")?.split_once(what)?;
    Some((about, rest.split(' ').next()?.parse().ok()?))
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
        if !heard.few_tests.is_empty() {
            return Err(format!("fewer tests than there were: {}", heard.few_tests.join("; ")));
        }
        if heard.counted < self.floor {
            return Err(format!("too few: at least {}", self.floor));
        }
        if !heard.undecided.is_empty() {
            return Err(format!("undecided, too much noise on this machine to say: {}", heard.undecided.join("; ")));
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const STEP: Step = Step { name: "canary", what: "forms", floor: 5, runs: &[Way::Tests(&[], "", 3)] };
    /// Of which tests, and how many of them at least.
    const OF: (&str, u64) = ("canary::", 3);
    const PASSED: &str =
        "test result: ok. 3 passed; 0 failed; 0 ignored; 0 measured; 9 filtered out; finished in 0.10s\n";

    fn judged(text: &str, ended_well: bool) -> Result<(), String> {
        let mut heard = Heard::default();
        heard.take(STEP.name, &format!("{text}{PASSED}"), ended_well, OF);
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
    fn a_run_with_fewer_tests_than_there_were_is_not_assured_whatever_the_others_count() {
        let mut heard = Heard::default();
        heard.take(STEP.name, &format!("COUNTED canary 9\n{PASSED}"), true, OF);
        assert_eq!(STEP.judge(&heard), Ok(()));
        heard.take(STEP.name, &PASSED.replace("3 passed", "2 passed"), true, OF);
        let why = "fewer tests than there were: 2 of \"canary::\", expected at least 3";
        assert_eq!(STEP.judge(&heard), Err(why.into()));
        // Of several binaries together there are enough.
        let mut heard = Heard::default();
        let both = [PASSED.replace("3 passed", "1 passed"), PASSED.replace("3 passed", "2 passed")].concat();
        heard.take(STEP.name, &format!("COUNTED canary 9\n{both}"), true, OF);
        assert_eq!(STEP.judge(&heard), Ok(()));
    }

    #[test]
    fn a_cost_that_tells_a_place_or_was_not_counted_is_not_assured() {
        let judged = |ended: anyhow::Result<Ended>| {
            let mut heard = Heard::default();
            heard.take(STEP.name, &format!("COUNTED canary 9\n{PASSED}"), true, OF);
            heard.take_cost(ended);
            STEP.judge(&heard)
        };
        assert_eq!(judged(Ok(Ended::Passed)), Ok(()));
        assert_eq!(judged(Ok(Ended::Skipped("no valgrind".into()))), Err("1 could not run here: no valgrind".into()));
        assert_eq!(judged(Err(anyhow::anyhow!("told a place"))), Err("failed: told a place".into()));
    }

    #[test]
    fn a_run_that_did_not_begin_is_not_assured_whatever_the_others_count() {
        let mut heard = Heard::default();
        heard.take(STEP.name, &format!("COUNTED canary 9\n{PASSED}"), true, OF);
        heard.fail(&anyhow::anyhow!("failed to build"));
        assert_eq!(STEP.judge(&heard), Err("failed: failed to build".into()));
    }

    /// A row of the table, and what it says of its calls.
    fn row(attack: &str, verdict: &str) -> String {
        let figure = |what: &str| {
            format!("| {attack}: {what} | 9 [8, 9] | 7 [7, 8] | 1.2 [1.1, 1.4] | 1.0 [0.9, 1.1] | {verdict} |\n")
        };
        let attackers = format!("- {attack}, attackers: 40 clients at least took part in each run.\n");
        let attackers = if verdict == "no attack" { "" } else { attackers.as_str() };
        format!("{}{}- {attack}, Kith: 0 not answered [] in 3 rounds\n{attackers}", figure("p50"), figure("p99"))
    }

    /// A step of four figures beside attacks.
    fn judged_table(text: &str) -> (String, Result<(), String>) {
        let step = Step { name: "hostile", what: "figures", floor: 4, runs: &[Way::Hostile] };
        let mut heard = Heard::default();
        heard.take_table(text, true);
        (heard.told(step.what), step.judge(&heard))
    }

    #[test]
    fn one_undecided_figure_is_not_assured_and_says_which_it_is() {
        let reached = [row("floods", "reached"), row("calls", "reached")].concat();
        assert_eq!(judged_table(&reached), ("4 figures by 80 clients".into(), Ok(())));
        let (told, judged) = judged_table(&reached.replacen("reached", "undecided", 1));
        assert_eq!(told, "4 figures by 80 clients, 1 undecided");
        let why = "undecided, too much noise on this machine to say: floods: p50 is 1.2 [1.1, 1.4] times the empty call's, \
                   the same server against itself 1.0 [0.9, 1.1] (9 [8, 9] and 7 [7, 8] us)";
        assert_eq!(judged, Err(why.into()));
    }

    #[test]
    fn a_row_without_an_attack_is_no_figure() {
        let text = [row("none", "no attack"), row("floods", "reached")].concat();
        assert_eq!(judged_table(&text), ("2 figures by 40 clients".into(), Err("too few: at least 4".into())));
        let unanswered = [text, row("calls", "reached")].concat().replace("none, Kith: 0", "none, Kith: 1");
        assert!(judged_table(&unanswered).1.is_err(), "calls without an answer are failures there too");
    }

    #[test]
    fn a_figure_beside_an_attack_to_which_nobody_came_is_not_assured() {
        let text = [row("floods", "reached"), row("calls", "reached")].concat();
        let said = "- calls, attackers: 40 clients at least took part in each run.\n";
        let why: Result<(), String> = Err("failed: calls: nobody attacked".into());
        assert_eq!(judged_table(&text.replace(said, "")).1, why, "not said is not shown");
        assert_eq!(judged_table(&text.replace(said, &said.replace("40", "0"))).1, why);
    }

    #[test]
    fn thousands_of_connections_that_were_not_tried_are_not_assured() {
        for attack in CROWDS {
            let text = [row("floods", "reached"), row(attack, "reached")].concat();
            let why = |tried: u64| -> Result<(), String> {
                Err(format!("failed: {attack}: {tried} connections were tried, expected at least 2000"))
            };
            assert_eq!(judged_table(&text).1, why(0), "not said is not shown");
            let said =
                |tried: u64| format!("- {attack}, connections: {tried} at least were tried before each measurement.\n");
            assert_eq!(judged_table(&format!("{text}{}", said(1_999))).1, why(1_999));
            assert_eq!(judged_table(&format!("{text}{}", said(2_000))).1, Ok(()));
        }
    }

    #[test]
    fn what_was_not_measured_is_not_assured() {
        let text = [row("floods", "reached"), row("calls", "not measured")].concat();
        let why = "failed: calls: p50 was not measured, calls: p99 was not measured";
        assert_eq!(judged_table(&text).1, Err(why.into()));
    }

    #[test]
    fn every_attack_says_once_that_every_call_was_answered() {
        let text = [row("floods", "reached"), row("calls", "reached")].concat();
        let said = "- calls, Kith: 0 not answered [] in 3 rounds\n";
        let why = |times: usize| -> Result<(), String> {
            Err(format!("failed: calls: said {times} times that every call was answered, expected once"))
        };
        assert_eq!(judged_table(&text.replace(said, "")).1, why(0));
        assert_eq!(judged_table(&[text.as_str(), said].concat()).1, why(2));
        let of_another = judged_table(&text.replace(said, "- calls, empty call: 0 not answered []\n")).1;
        assert_eq!(of_another, why(0), "the other server's calls are not Kith's");
    }

    #[test]
    fn what_failed_or_could_not_run_is_not_assured() {
        let failed = judged("COUNTED canary 9\ntest canary::a ... FAILED\n", false);
        assert_eq!(failed, Err("failed: canary::a".into()));
        let mut heard = Heard::default();
        heard.take(STEP.name, "error: no such target\n\n", false, OF);
        assert_eq!(STEP.judge(&heard), Err("failed: error: no such target".into()));
        let skipped = judged("COUNTED canary 9\nSKIPPED, NOT PASSED: a: no mount\n", true);
        assert_eq!(skipped, Err("1 could not run here: a: no mount".into()));
    }

    #[test]
    fn figures_that_missed_and_calls_without_an_answer_are_failures() {
        let table = format!(
            "| attack | Kith | empty call | ratio | A/A | verdict |\n|---|---|---|---|---|---|\n{}- floods, empty call: 3 not answered []\n\
             - floods, against itself without an attack: Kith p50 1.10\n",
            row("floods", "reached")
        );
        let mut heard = Heard::default();
        let shown = heard.take_table(&table, true);
        assert_eq!(shown, ["floods, against itself without an attack: Kith p50 1.10"]);
        assert_eq!((heard.counted, heard.failed.len()), (2, 0));
        let mut heard = Heard::default();
        heard.take_table(&table.replacen("reached", "missed", 1).replace("Kith: 0", "Kith: 2"), true);
        assert_eq!(heard.failed.len(), 3, "{:?}", heard.failed);
        assert!(heard.failed[0].starts_with("floods: p50 is 1.2 [1.1, 1.4] times"), "{:?}", heard.failed);
        assert_eq!(heard.failed[1], "- floods, Kith: 2 not answered [] in 3 rounds");
    }

    #[test]
    fn what_is_told_is_shown() {
        let shown = Heard::default().take("canary", "TOLD of the certificate: x\nelse\n", true, OF);
        assert_eq!(shown, ["of the certificate: x"]);
    }
}
