//! The hazard log is held to the tests: every test that a paper in `deploy/` names exists, runs in the test command, and
//! every hazard of the log has what DCB0129 asks of one, each of its controls with the test that proves it. It judges
//! neither the words nor whether a test is a good one.

use std::collections::{BTreeMap, BTreeSet};

use super::Finding;
use super::included::conditional;
use super::source::Masked;

/// The log.
pub const LOG: &str = "deploy/hazard-log.md";

/// Rows that every hazard has.
const DEMANDED: [&str; 5] = ["Cause", "Effect", "Before", "After", "Left"];
const LIKELIHOODS: [&str; 5] = ["Very low", "Low", "Medium", "High", "Very high"];
const SEVERITIES: [&str; 5] = ["Minor", "Significant", "Considerable", "Major", "Catastrophic"];
/// Likelihood by severity, as the guidance to DCB0129 rates them.
const RISKS: [[u8; 5]; 5] = [[1, 1, 2, 2, 3], [1, 2, 2, 3, 4], [2, 2, 3, 3, 4], [2, 3, 3, 4, 5], [3, 4, 4, 5, 5]];

/// Test functions that are neither ignored nor under a condition of their own, by file.
pub type Tests = BTreeMap<String, BTreeSet<String>>;

/// Takes the test functions of a Rust file.
pub fn collect(path: &str, masked: &Masked, tests: &mut Tests) {
    let conditional = conditional(masked);
    let mut attributes = Vec::new();
    for (number, line) in masked.lines() {
        let line = line.trim();
        if line.starts_with("#[") {
            attributes.push(line.to_owned());
        } else if !line.is_empty() {
            let has = |begin: &str| attributes.iter().any(|attribute| attribute.starts_with(begin));
            let is_test = (has("#[test]") || has("#[tokio::test")) && !has("#[ignore");
            let runs = is_test && !conditional.iter().any(|lines| lines.contains(&number));
            if runs && let Some(name) = function(line) {
                tests.entry(path.to_owned()).or_default().insert(name.to_owned());
            }
            attributes.clear();
        }
    }
}

fn function(line: &str) -> Option<&str> {
    let name = line.split_once("fn ")?.1;
    name.split(['(', '<']).next()
}

/// Every test that a paper names is one.
pub fn named(path: &str, text: &str, tests: &Tests, findings: &mut Vec<Finding>) {
    for (number, line) in text.lines().enumerate() {
        for (file, name) in references(line) {
            let what = match tests.get(file) {
                None => format!("{file} has no test that the test command runs, {name} is to be one of it"),
                Some(known) if !known.contains(name) => {
                    format!("{name} is no test of {file} that the test command runs")
                }
                Some(_) => continue,
            };
            findings.push(Finding::new(path, number + 1, what));
        }
    }
}

/// What stands between backticks as `file.rs::function`.
fn references(line: &str) -> Vec<(&str, &str)> {
    let quoted = line.split('`').skip(1).step_by(2);
    quoted.filter_map(|text| text.split_once("::")).filter(|(file, _)| file.ends_with(".rs")).collect()
}

/// One hazard of the log, as far as it is judged.
struct Hazard<'a> {
    line: usize,
    id: &'a str,
    rows: BTreeMap<&'a str, &'a str>,
    controls: usize,
}

/// Every hazard has its rows, its risk by the matrix, and a control; every control has a test.
pub fn log(text: &str, findings: &mut Vec<Finding>) {
    let mut hazards: Vec<Hazard<'_>> = Vec::new();
    for (number, line) in text.lines().enumerate() {
        if let Some(heading) = line.strip_prefix("## ") {
            let id = heading.split_whitespace().next().unwrap_or_default();
            hazards.push(Hazard { line: number + 1, id, rows: BTreeMap::new(), controls: 0 });
        } else if let (Some(hazard), Some((name, words))) = (hazards.last_mut(), row(line)) {
            if name.starts_with("Control") {
                hazard.controls += 1;
                if references(words).is_empty() {
                    findings.push(Finding::new(LOG, number + 1, format!("{}: this control names no test", hazard.id)));
                }
            } else {
                hazard.rows.insert(name, words);
            }
        }
    }
    hazards.retain(|hazard| hazard.id.strip_prefix('H').is_some_and(|rest| rest.parse::<u32>().is_ok()));
    if hazards.is_empty() {
        findings.push(Finding::new(LOG, 0, "no hazard: a heading of one is `## H1 ...`"));
    }
    let mut seen = BTreeSet::new();
    for hazard in &hazards {
        if !seen.insert(hazard.id) {
            findings.push(Finding::new(LOG, hazard.line, format!("{} stands twice", hazard.id)));
        }
        judge(hazard, findings);
    }
}

fn judge(hazard: &Hazard<'_>, findings: &mut Vec<Finding>) {
    let mut find = |what: String| findings.push(Finding::new(LOG, hazard.line, format!("{}: {what}", hazard.id)));
    if hazard.controls == 0 {
        find("no control, so no test".into());
    }
    for name in DEMANDED {
        if hazard.rows.get(name).is_none_or(|words| words.is_empty()) {
            find(format!("no {name}"));
        }
    }
    for name in ["Before", "After"] {
        if let Some(words) = hazard.rows.get(name)
            && let Err(what) = risk(words)
        {
            find(format!("{name}: {what}"));
        }
    }
}

/// "Major, Low: 3" is what the matrix says.
fn risk(words: &str) -> Result<(), String> {
    let form = || format!("`{words}` is not of the form `Major, Low: 3`");
    let (severity, rest) = words.split_once(", ").ok_or_else(form)?;
    let (likelihood, rest) = rest.split_once(": ").ok_or_else(form)?;
    let place = |of: &[&str; 5], word: &str| of.iter().position(|known| *known == word).ok_or_else(form);
    let (column, line) = (place(&SEVERITIES, severity)?, place(&LIKELIHOODS, likelihood)?);
    let expected = RISKS[line][column];
    let found = rest.split(|c: char| !c.is_ascii_digit()).next().and_then(|digits| digits.parse::<u8>().ok());
    if found != Some(expected) {
        return Err(format!("{severity} and {likelihood} are {expected}"));
    }
    Ok(())
}

/// The two cells of a row; none for headings of tables and what is no row.
fn row(line: &str) -> Option<(&str, &str)> {
    let (name, words) = line.strip_prefix("| ")?.strip_suffix(" |")?.split_once(" | ")?;
    Some((name.trim(), words.trim()))
}

#[cfg(test)]
mod tests {
    use super::super::source::mask;
    use super::*;

    const GOOD: &str = "# Log\n\n## How to read\n\n| Word | What |\n\n## H1 Wrong child\n\n| Cause | a digit |\n| Effect | harm |\n\
        | Before | Major, Medium: 3 |\n| After | Major, Very low: 2 (reasons) |\n| Left | look twice |\n\
        | Control a | checked: `a/x.rs::it_is_checked` |\n";

    fn tests() -> Tests {
        let mut tests = Tests::new();
        let text = "#[test]\nfn it_is_checked() {}\n/// Waits.\n#[tokio::test(flavor = \"x\")]\nasync fn waits() {}\n\
            #[test]\n#[ignore = \"long\"]\nfn long() {}\nfn helper() {}\n// #[test]\nfn remark() {}\n\
            #[cfg(feature = \"x\")]\nmod tests {\n    #[test]\n    fn below() {}\n}\n\
            #[cfg_attr(unix, ignore)]\n#[test]\nfn odd() {}\n";
        collect("a/x.rs", &mask(text), &mut tests);
        tests
    }

    fn found(text: &str) -> Vec<String> {
        let mut findings = Vec::new();
        log(text, &mut findings);
        named(LOG, text, &tests(), &mut findings);
        findings.into_iter().map(|finding| finding.what).collect()
    }

    #[test]
    fn tests_that_run_are_known_and_nothing_else() {
        let names: Vec<_> = tests().into_values().flatten().collect();
        assert_eq!(names, ["it_is_checked", "waits"]);
    }

    #[test]
    fn a_whole_hazard_passes() {
        assert_eq!(found(GOOD), Vec::<String>::new());
    }

    #[test]
    fn a_test_that_is_not_there_is_found() {
        assert_eq!(found(&GOOD.replace("it_is_checked", "long")).len(), 1);
        assert_eq!(found(&GOOD.replace("it_is_checked", "helper")).len(), 1);
        assert_eq!(found(&GOOD.replace("a/x.rs", "a/y.rs")).len(), 1);
    }

    #[test]
    fn a_hazard_without_a_control_and_a_control_without_a_test_are_found() {
        assert_eq!(found(&GOOD.replace("`a/x.rs::it_is_checked`", "trust us")), ["H1: this control names no test"]);
        let without: String = GOOD.lines().filter(|line| !line.contains("Control")).map(|l| format!("{l}\n")).collect();
        assert_eq!(found(&without), ["H1: no control, so no test"]);
        assert_eq!(found("# Log\n"), ["no hazard: a heading of one is `## H1 ...`"]);
    }

    #[test]
    fn a_row_that_is_missing_and_a_risk_that_is_not_the_matrixs_are_found() {
        for name in DEMANDED {
            let without: String =
                GOOD.lines().filter(|line| !line.starts_with(&format!("| {name}"))).map(|l| format!("{l}\n")).collect();
            assert_eq!(found(&without), [format!("H1: no {name}")]);
        }
        assert_eq!(found(&GOOD.replace("Medium: 3", "Medium: 2")), ["H1: Before: Major and Medium are 3"]);
        assert_eq!(found(&GOOD.replace("Medium: 3", "Often: 3")).len(), 1);
        assert_eq!(found(&format!("{GOOD}{}", &GOOD[GOOD.find("## H1").unwrap()..])), ["H1 stands twice"]);
    }
}
