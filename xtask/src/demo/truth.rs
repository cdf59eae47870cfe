//! The truth file, and the comparison of an answer with it.
//!
//! It says every difference; it never guesses that an unknown value is meant well.

use std::fs;
use std::path::Path;

use anyhow::{Context, Result, ensure};
use serde_json::Value;

use super::client::code;

/// One sampled child, the question about it, and what the answer must be.
#[derive(Clone)]
pub struct Case {
    pub scenario: String,
    pub nhs_number: String,
    pub date_of_birth: Option<String>,
    pub ask_as: String,
    pub number_traced: bool,
    pub expect: Value,
}

pub fn read(path: &Path) -> Result<Vec<Case>> {
    let text = fs::read_to_string(path).with_context(|| format!("failed to read {}", path.display()))?;
    let cases: Vec<Case> = text
        .lines()
        .enumerate()
        .map(|(number, line)| case(line).with_context(|| format!("truth line {}", number + 1)))
        .collect::<Result<_>>()?;
    ensure!(!cases.is_empty(), "the truth file is empty");
    Ok(cases)
}

fn case(line: &str) -> Result<Case> {
    let value: Value = serde_json::from_str(line).context("not JSON")?;
    let text = |key: &str| value[key].as_str().map(str::to_owned).with_context(|| format!("no text `{key}`"));
    Ok(Case {
        scenario: text("scenario")?,
        nhs_number: text("nhs_number")?,
        date_of_birth: value["date_of_birth"].as_str().map(str::to_owned),
        ask_as: text("ask_as")?,
        number_traced: value["number_traced"].as_bool().unwrap_or(false),
        expect: value["expect"].clone(),
    })
}

impl Case {
    /// The exit code with which `kith` must answer.
    pub fn exit_code(&self) -> i32 {
        let plans = self.expect["plans"].as_str().unwrap_or_default();
        let presentations = self.expect["presentations"].as_str().unwrap_or_default();
        if self.expect["identity"] == "not-confirmed" {
            code::NOT_CONFIRMED
        } else if plans == "held" || presentations == "held" {
            code::HELD
        } else if plans == "cannot-say" || presentations == "cannot-say" {
            code::CANNOT_SAY
        } else {
            code::NONE_HELD
        }
    }

    /// Every way in which the answer is not the expected one.
    pub fn differences(&self, answer: &Value) -> Vec<String> {
        let mut found = Vec::new();
        let expect = &self.expect;
        let mut compare = |what: &str, expected: &Value, seen: &Value| {
            if expected != seen {
                found.push(format!("{what}: expected {expected}, found {seen}"));
            }
        };
        compare("identity", &expect["identity"], &identity(answer));
        compare("plans", &expect["plans"], &outcome(&answer["plans"]));
        let presentations = &answer["presentations"];
        compare("presentations", &expect["presentations"], &outcome(presentations));
        if expect["identity"] == "not-confirmed" {
            compare("plans shown", &Value::from(0), &count(&answer["plans"]["plans"]));
            compare("presentations shown", &Value::from(0), &shown(presentations));
            return found;
        }
        compare("list of plans", &sorted(expected_plans(expect)), &sorted(seen_plans(answer)));
        compare("shielded", &expect["shielded"], &flag(&answer["shielded"]));
        if expect["shielded"] == true {
            compare(
                "presentations in all",
                &expect["presentations_total"],
                &count(&presentations["shielded_presentations"]),
            );
            compare("presentations with a place", &Value::from(0), &with_place(presentations));
        } else {
            let here = count(&presentations["at_this_organisation"]);
            let elsewhere = count(&presentations["at_other_organisations"]);
            compare("at this trust", &expect["at_this_trust"], &here);
            compare("at other trusts", &expect["at_other_trusts"], &elsewhere);
        }
        compare("beyond the window", &expect["beyond_window"], &number(&presentations["beyond_window"]));
        found
    }
}

/// In the truth file's words: withheld is not an outcome of its own in an answer.
fn outcome(question: &Value) -> Value {
    match question["outcome"].as_str() {
        Some("identity-not-confirmed") => "withheld".into(),
        Some(known @ ("held" | "none-held" | "cannot-say")) => known.into(),
        other => format!("unknown outcome {other:?}").into(),
    }
}

fn identity(answer: &Value) -> Value {
    match answer["identity"]["outcome"].as_str() {
        Some("matched" | "not-given" | "nothing-to-compare") => "confirmed".into(),
        Some("not-confirmed") => "not-confirmed".into(),
        other => format!("unknown identity outcome {other:?}").into(),
    }
}

/// Left out of JSON means empty.
fn count(list: &Value) -> Value {
    list.as_array().map_or(0, Vec::len).into()
}

fn number(value: &Value) -> Value {
    value.as_u64().unwrap_or(0).into()
}

fn flag(value: &Value) -> Value {
    value.as_bool().unwrap_or(false).into()
}

fn with_place(presentations: &Value) -> Value {
    let lists = ["at_this_organisation", "at_other_organisations"];
    sum(presentations, &lists)
}

fn shown(presentations: &Value) -> Value {
    let lists = ["at_this_organisation", "at_other_organisations", "shielded_presentations"];
    sum(presentations, &lists)
}

fn sum(presentations: &Value, lists: &[&str]) -> Value {
    lists.iter().map(|list| presentations[list].as_array().map_or(0, Vec::len)).sum::<usize>().into()
}

fn sorted(mut lines: Vec<String>) -> Value {
    lines.sort();
    lines.into()
}

fn expected_plans(expect: &Value) -> Vec<String> {
    let empty = Vec::new();
    let plans = expect["plan_list"].as_array().unwrap_or(&empty);
    plans
        .iter()
        .map(|plan| {
            let kind = match plan["kind"].as_str() {
                Some("cpp") => "child-protection",
                Some("lac") => "looked-after",
                Some("ucpp") => "unborn",
                _ => "unknown",
            };
            plan_line(kind, &plan["state"], &plan["authority"], plan)
        })
        .collect()
}

fn seen_plans(answer: &Value) -> Vec<String> {
    let empty = Vec::new();
    let plans = answer["plans"]["plans"].as_array().unwrap_or(&empty);
    plans
        .iter()
        .map(|plan| {
            let kind = plan["kind"].as_str().unwrap_or("unknown");
            plan_line(kind, &plan["state"], &plan["authority"]["code"], plan)
        })
        .collect()
}

fn plan_line(kind: &str, state: &Value, authority: &Value, plan: &Value) -> String {
    format!(
        "{kind} {} {} from {} to {}",
        state.as_str().unwrap_or("unknown"),
        authority.as_str().unwrap_or("-"),
        date(&plan["start"]),
        date(&plan["end"]),
    )
}

/// "YYYY-MM-DD", or the message of the protocol.
fn date(value: &Value) -> String {
    match (value["year"].as_i64(), value["month"].as_i64(), value["day"].as_i64()) {
        (Some(year), Some(month), Some(day)) => format!("{year:04}-{month:02}-{day:02}"),
        _ => value.as_str().unwrap_or("-").to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn on_plan() -> Case {
        let expect = json!({
            "identity": "confirmed", "plans": "held", "presentations": "none-held",
            "plan_list": [{"kind": "cpp", "authority": "E06000001", "state": "active",
                           "start": "2026-02-03", "end": null}],
            "at_this_trust": 0, "at_other_trusts": 0, "beyond_window": 1, "shielded": false
        });
        let line = json!({"scenario": "on-plan", "nhs_number": "9", "ask_as": "R1H",
            "date_of_birth": "2019-03-04", "number_traced": true, "expect": expect});
        case(&line.to_string()).expect("the fixture has every key")
    }

    fn answer() -> Value {
        json!({
            "identity": {"outcome": "matched"},
            "plans": {"outcome": "held", "plans": [{"kind": "child-protection",
                "state": "active", "authority": {"code": "E06000001"},
                "start": {"year": 2026, "month": 2, "day": 3}}]},
            "presentations": {"outcome": "none-held", "beyond_window": 1}
        })
    }

    #[test]
    fn the_expected_answer_has_no_differences() {
        assert_eq!(on_plan().differences(&answer()), Vec::<String>::new());
        assert_eq!(on_plan().exit_code(), code::HELD);
    }

    #[test]
    fn every_kind_of_difference_is_found() {
        for (pointer, wrong) in [
            ("/identity/outcome", json!("not-confirmed")),
            ("/identity/outcome", json!("near-miss")),
            ("/plans/outcome", json!("none-held")),
            ("/plans/outcome", json!("new-value")),
            ("/plans/plans", json!([])),
            ("/plans/plans/0/state", json!("ended")),
            ("/plans/plans/0/authority/code", json!("E06000002")),
            ("/plans/plans/0/start/day", json!(4)),
            ("/presentations/outcome", json!("held")),
            ("/presentations/beyond_window", json!(0)),
        ] {
            let mut answer = answer();
            *answer.pointer_mut(pointer).expect("the pointer is right") = wrong;
            assert!(!on_plan().differences(&answer).is_empty(), "{pointer}");
        }
        assert!(!on_plan().differences(&Value::Null).is_empty());
    }

    #[test]
    fn a_place_in_a_shielded_answer_is_found() {
        let mut case = on_plan();
        case.expect["shielded"] = json!(true);
        case.expect["presentations_total"] = json!(0);
        case.expect["plan_list"][0]["authority"] = Value::Null;
        let mut answer = answer();
        answer["shielded"] = json!(true);
        let told = case.differences(&answer);
        assert!(told.iter().any(|line| line.starts_with("list of plans")));
    }

    #[test]
    fn exit_codes_follow_what_is_expected() {
        let mut case = on_plan();
        case.expect["plans"] = json!("none-held");
        assert_eq!(case.exit_code(), code::NONE_HELD);
        case.expect["plans"] = json!("cannot-say");
        assert_eq!(case.exit_code(), code::CANNOT_SAY);
        case.expect["identity"] = json!("not-confirmed");
        assert_eq!(case.exit_code(), code::NOT_CONFIRMED);
    }
}
