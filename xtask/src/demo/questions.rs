//! The dozen questions of the demo, each with its situation, its printed answer and
//! its comparison with the truth file; and the quiet check of the other samples.

use anyhow::{Context, Result, bail};
use serde_json::Value;

use super::client::{self, code};
use super::place::Place;
use super::server::Server;
use super::truth::Case;
use super::{england, load};

/// Samples checked quietly besides the dozen; more only take longer.
const QUIET_CASES: usize = 200;

/// What was asked so far, and what was not as expected.
#[derive(Default)]
pub struct Verdicts {
    asked: usize,
    wrong: Vec<String>,
}

impl Verdicts {
    fn note(&mut self, situation: &str, differences: &[String]) {
        self.asked += 1;
        for difference in differences {
            self.wrong.push(format!("{situation}: {difference}"));
        }
    }

    /// Prints the sum; an error when any answer was not the expected one.
    pub fn tell(&self) -> Result<()> {
        println!("\n{} answers compared with what is true.", self.asked);
        if self.wrong.is_empty() {
            println!("Every answer was the expected one.");
            return Ok(());
        }
        for line in &self.wrong {
            println!("  NOT AS EXPECTED: {line}");
        }
        bail!("{} answers were not as expected", self.wrong.len());
    }
}

/// Situations whose answers are in the truth file, in the order they are shown.
const SITUATIONS: [(&str, &str); 9] = [
    ("on-plan", "A child on a child protection plan"),
    ("looked-after", "A looked-after child"),
    ("plan-ended", "A plan that ended within the year"),
    ("unborn", "An unborn child on a plan: the mother's number"),
    ("seen-elsewhere", "Seen at other trusts, on no plan"),
    ("on-plan-and-seen-elsewhere", "On a plan, and seen at other trusts"),
    ("shielded", "A shielded child: no place may be shown"),
    ("none-held", "None held"),
    ("date-of-birth-mismatch", "The date of birth does not match the authority's"),
];

/// Asks samples of every scenario, without printing the answers.
pub fn quietly(place: &Place, cases: &[Case], verdicts: &mut Verdicts) -> Result<()> {
    let step = cases.len().div_ceil(QUIET_CASES).max(1);
    let chosen: Vec<&Case> = cases.iter().step_by(step).collect();
    let bar = load::bar(chosen.len(), "answers")?;
    for case in &chosen {
        let (found, answer) = client::ask_json(place, case)?;
        let mut differences = case.differences(&answer);
        differences.extend(exit_difference(case.exit_code(), found));
        let situation = format!("{} (NHS number {})", case.scenario, case.nhs_number);
        verdicts.note(&situation, &differences);
        bar.inc(1);
    }
    bar.finish_and_clear();
    println!("  {} of the {} sampled children asked about", chosen.len(), cases.len());
    Ok(())
}

/// The situations that need nothing but the running server.
pub fn shown(place: &Place, cases: &[Case], verdicts: &mut Verdicts) -> Result<()> {
    for (scenario, title) in SITUATIONS {
        let case = first(cases, scenario)?;
        let answer = show(place, title, case, case.exit_code(), verdicts)?;
        if scenario == "none-held" {
            verdicts.note(title, &silent_feeds(&answer, 0));
        }
    }
    let mut mistyped = first(cases, "none-held")?.clone();
    mistyped.nhs_number = with_wrong_check_digit(&mistyped.nhs_number)?;
    show_failure(place, "A bad NHS number: the check digit is wrong", &mistyped, code::BAD_INPUT, verdicts)
}

/// Stops the server, asks, starts it again with one authority's feed gone silent, asks.
pub fn across_a_stop(place: &Place, cases: &[Case], mut server: Server, verdicts: &mut Verdicts) -> Result<Server> {
    let on_plan = first(cases, "on-plan")?;
    server.stop()?;
    let title = "The server is stopped: could not ask";
    show_failure(place, title, on_plan, code::COULD_NOT_ASK, verdicts)?;

    let withdrawn = withdrawn(cases)?;
    let silent = authority_of(place, withdrawn)?;
    println!("\n  Starting it again, now expecting authority {silent} to be heard of every second.");
    england::write_config(place, Some(&silent))?;
    let server = Server::start(place)?;
    quiet_again(place, on_plan, verdicts)?;

    let title = "None held, while one authority's feed is stale";
    let none_held = first(cases, "none-held")?;
    let answer = show(place, title, none_held, code::NONE_HELD, verdicts)?;
    verdicts.note(title, &silent_feeds(&answer, 1));

    let title = "The stale feed is that of the child's own authority: cannot say";
    let mut doubtful = withdrawn.clone();
    doubtful.expect["plans"] = "cannot-say".into();
    show(place, title, &doubtful, doubtful.exit_code(), verdicts)?;
    Ok(server)
}

/// Prefers one about whom nothing else is held.
fn withdrawn(cases: &[Case]) -> Result<&Case> {
    let bare = |case: &&Case| case.scenario == "withdrawn" && case.expect["presentations"] == "none-held";
    cases.iter().find(bare).map_or_else(|| first(cases, "withdrawn"), Ok)
}

/// What was held before the stop is held after it.
fn quiet_again(place: &Place, case: &Case, verdicts: &mut Verdicts) -> Result<()> {
    let (_, answer) = client::ask_json(place, case)?;
    verdicts.note("on-plan after the restart", &case.differences(&answer));
    Ok(())
}

pub fn first<'a>(cases: &'a [Case], scenario: &str) -> Result<&'a Case> {
    cases
        .iter()
        .find(|case| case.scenario == scenario)
        .with_context(|| format!("the truth file has no sample of {scenario}"))
}

/// Prints the answer as a person reads it, then compares it as a program reads it.
fn show(place: &Place, title: &str, case: &Case, expected: i32, verdicts: &mut Verdicts) -> Result<Value> {
    heading(title);
    let (found, printed) = client::ask(place, case)?;
    print_answer(&printed, found);
    let (again, answer) = client::ask_json(place, case)?;
    let mut differences = case.differences(&answer);
    differences.extend(exit_difference(expected, found));
    differences.extend(exit_difference(expected, again));
    verdicts.note(title, &differences);
    mark(&differences);
    Ok(answer)
}

/// A question that must not be answered at all.
fn show_failure(place: &Place, title: &str, case: &Case, expected: i32, verdicts: &mut Verdicts) -> Result<()> {
    heading(title);
    let (found, printed) = client::ask(place, case)?;
    print_answer(&printed, found);
    let mut differences: Vec<String> = exit_difference(expected, found).into_iter().collect();
    if printed.contains(&case.nhs_number) {
        differences.push("the error repeats the NHS number".into());
    }
    verdicts.note(title, &differences);
    mark(&differences);
    Ok(())
}

fn heading(title: &str) {
    println!("\n--- {title}");
}

fn print_answer(printed: &str, code: i32) {
    for line in printed.trim_end().lines() {
        println!("  | {line}");
    }
    println!("  (exit code {code})");
}

fn mark(differences: &[String]) {
    for difference in differences {
        println!("  NOT AS EXPECTED: {difference}");
    }
}

fn exit_difference(expected: i32, found: i32) -> Option<String> {
    (expected != found).then(|| format!("exit code: expected {expected}, found {found}"))
}

/// How many authorities an answer says were not heard of in time.
fn silent_feeds(answer: &Value, expected: u64) -> Vec<String> {
    let completeness = &answer["plans"]["completeness"];
    let count = |key: &str| completeness[key].as_u64().unwrap_or(0);
    let silent = count("stale") + count("absent");
    let mut differences = Vec::new();
    if count("feeds") == 0 {
        differences.push("the answer does not say how complete it is".to_owned());
    }
    if silent != expected {
        differences.push(format!("authorities not heard of in time: expected {expected}, found {silent}"));
    }
    differences
}

/// The authority whose file names the child; only one may.
fn authority_of(place: &Place, case: &Case) -> Result<String> {
    for (authority, file) in place.feeds("plans")? {
        let text = std::fs::read_to_string(&file).with_context(|| format!("failed to read {}", file.display()))?;
        if text.contains(&case.nhs_number) {
            return Ok(authority);
        }
    }
    bail!("no authority's file names the sample of {}", case.scenario);
}

fn with_wrong_check_digit(number: &str) -> Result<String> {
    let last = number
        .chars()
        .next_back()
        .and_then(|digit| digit.to_digit(10))
        .context("an NHS number of the truth file does not end in a digit")?;
    Ok(format!("{}{}", &number[..number.len() - 1], (last + 1) % 10))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn one_wrong_answer_fails_the_demo() {
        let mut verdicts = Verdicts::default();
        verdicts.note("first", &[]);
        assert!(verdicts.tell().is_ok());
        verdicts.note("second", &["plans: expected this, found that".into()]);
        assert!(verdicts.tell().is_err());
    }

    #[test]
    fn silence_is_counted_and_its_absence_noticed() {
        let answer = json!({"plans": {"completeness": {"feeds": 153, "fresh": 152, "stale": 1}}});
        assert!(silent_feeds(&answer, 1).is_empty());
        assert_eq!(silent_feeds(&answer, 0).len(), 1);
        assert_eq!(silent_feeds(&json!({}), 0).len(), 1);
    }

    #[test]
    fn another_last_digit_is_always_wrong() -> Result<()> {
        assert_eq!(with_wrong_check_digit("9990000009")?, "9990000000");
        assert!(with_wrong_check_digit("").is_err());
        Ok(())
    }
}
