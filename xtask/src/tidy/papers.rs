//! The papers in `deploy/` against the code: what they name exists, and what must stand in them does. Reads text alone; what
//! commands they name is held against the programs by `cargo xtask test`.

use std::collections::{BTreeMap, BTreeSet};

use super::source::Masked;
use super::{Finding, hazards, included, stored};

/// Where series of the metrics page are listed, and where alerts are.
const SERIES: &str = "docs/watching.md";
const ALERTS: &str = "deploy/kith-alerts.yml";

/// What is needed of all files before the papers can be judged.
#[derive(Default)]
pub struct Papers {
    texts: BTreeMap<String, String>,
    tests: hazards::Tests,
    included: included::Included,
    stored: stored::Stored,
}

impl Papers {
    /// Takes a text file.
    pub fn take(&mut self, path: &str, text: &str) {
        if is_paper(path) || path == SERIES || path == ALERTS {
            self.texts.insert(path.to_owned(), text.to_owned());
        }
    }

    /// Takes a Rust file.
    pub fn take_code(&mut self, path: &str, masked: &Masked) {
        hazards::collect(path, masked, &mut self.tests);
        self.included.take(path, masked);
        stored::collect(path, masked, &mut self.stored);
    }

    /// Judges. `roots` are those of the targets that the test command runs: a test in a file that none of them includes is none.
    pub fn check(&self, roots: &BTreeSet<String>, findings: &mut Vec<Finding>) {
        let reached = self.included.reached(roots);
        let tests = self.tests.iter().filter(|(file, _)| reached.contains(file.as_str()));
        let tests: hazards::Tests = tests.map(|(file, names)| (file.clone(), names.clone())).collect();
        match self.texts.get(hazards::LOG) {
            Some(text) => hazards::log(text, findings),
            None => findings.push(Finding::new(hazards::LOG, 0, "there is no hazard log")),
        }
        match self.texts.get(stored::NOTE) {
            Some(text) => stored::check(text, &self.stored, findings),
            None => findings.push(Finding::new(stored::NOTE, 0, "there is no data-protection note")),
        }
        for (path, text) in self.texts.iter().filter(|(path, _)| is_paper(path)) {
            hazards::named(path, text, &tests, findings);
            self.watched(path, text, findings);
        }
    }

    /// Series and alerts that a paper names are there.
    fn watched(&self, path: &str, text: &str, findings: &mut Vec<Finding>) {
        let known = |at: &str, word: &str| {
            let text = self.texts.get(at).map_or("", String::as_str);
            text.split(|c: char| !c.is_alphanumeric() && c != '_').any(|known| known == word)
        };
        for (number, line) in text.lines().enumerate() {
            for quoted in line.split('`').skip(1).step_by(2) {
                let word = quoted.split('{').next().unwrap_or_default();
                let place = if is_series(word) {
                    SERIES
                } else if is_alert(word) {
                    ALERTS
                } else {
                    continue;
                };
                if !known(place, word) {
                    findings.push(Finding::new(path, number + 1, format!("{word} is not in {place}")));
                }
            }
        }
    }
}

fn is_paper(path: &str) -> bool {
    path.starts_with("deploy/") && path.ends_with(".md")
}

fn is_series(word: &str) -> bool {
    word.starts_with("kith_") && word.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_')
}

fn is_alert(word: &str) -> bool {
    let rest = word.strip_prefix("Kith").unwrap_or_default();
    rest.starts_with(|c: char| c.is_ascii_uppercase()) && rest.chars().all(|c| c.is_ascii_alphanumeric())
}

#[cfg(test)]
mod tests {
    use super::super::source::mask;
    use super::*;

    fn found(runbook: &str) -> Vec<String> {
        let mut papers = Papers::default();
        papers.take(SERIES, "| `kith_ready` | 1 when it answers |\n");
        papers.take(ALERTS, "      - alert: KithDoesNotAnswer\n");
        papers.take("deploy/runbook.md", runbook);
        papers.take("docs/other.md", "`kith_gone`");
        papers.take_code("a/src/lib.rs", &mask("#[cfg(test)]\nmod x;\n"));
        let tests = mask("#[test]\nfn it_is_checked() {}\n#[cfg(windows)]\n#[test]\nfn it_never_runs() {}\n");
        papers.take_code("a/src/x.rs", &tests);
        papers.take_code("a/src/left.rs", &tests);
        let mut findings = Vec::new();
        papers.check(&BTreeSet::from(["a/src/lib.rs".to_owned()]), &mut findings);
        findings.into_iter().map(|finding| finding.what).filter(|what| !what.starts_with("there is no")).collect()
    }

    #[test]
    fn series_and_alerts_that_are_there_pass() {
        assert_eq!(
            found("`kith_ready`, `kith_ready{a=\"b\"} == 1`, `KithDoesNotAnswer`, `kith-load`"),
            Vec::<String>::new()
        );
    }

    #[test]
    fn series_alerts_and_tests_that_are_gone_are_found() {
        assert_eq!(found("`kith_gone`"), ["kith_gone is not in docs/watching.md"]);
        assert_eq!(found("`KithGone`"), ["KithGone is not in deploy/kith-alerts.yml"]);
        assert_eq!(found("`a/x.rs::gone`"), ["a/x.rs has no test that the test command runs, gone is to be one of it"]);
    }

    #[test]
    fn a_test_in_a_file_that_nothing_includes_or_under_a_condition_is_none() {
        assert_eq!(found("`a/src/x.rs::it_is_checked`"), Vec::<String>::new());
        assert_eq!(
            found("`a/src/left.rs::it_is_checked`"),
            ["a/src/left.rs has no test that the test command runs, it_is_checked is to be one of it"]
        );
        assert_eq!(
            found("`a/src/x.rs::it_never_runs`"),
            ["it_never_runs is no test of a/src/x.rs that the test command runs"]
        );
    }

    #[test]
    fn papers_that_must_be_there_are_missed() {
        let mut findings = Vec::new();
        Papers::default().check(&BTreeSet::new(), &mut findings);
        assert_eq!(findings.len(), 2);
    }
}
