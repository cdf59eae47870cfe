//! No words of reassurance in what the program can print or put on the wire:
//! nothing here may imply that a child is out of danger. It judges string literals
//! only; comments and tests may name what is forbidden.

use super::Finding;
use super::calls::is_test_file;
use super::source::Masked;

const REASSURANCE: [&str; 12] = [
    "is safe",
    "are safe",
    "be safe",
    "all clear",
    "all-clear",
    "no risk",
    "low risk",
    "not at risk",
    "no concern",
    "no cause for concern",
    "nothing to worry",
    "child is ok",
];

/// The rule itself has to name them.
const THIS_RULE: &str = "xtask/src/tidy/words.rs";

/// A denial is no reassurance.
const DENIALS: [&str; 4] = ["does not mean", "not a statement", "is not reassurance", "never"];

pub fn rust(path: &str, masked: &Masked, findings: &mut Vec<Finding>) {
    if path == THIS_RULE || is_test_file(path) {
        return;
    }
    for (line, text) in &masked.strings {
        if !masked.is_test(*line) {
            judge(path, *line, text, findings);
        }
    }
}

/// Literals of a protocol file: what stands between double quotes on one line.
pub fn protocol(path: &str, text: &str, findings: &mut Vec<Finding>) {
    for (number, line) in text.lines().enumerate() {
        let code = line.split("//").next().unwrap_or_default();
        for literal in code.split('"').skip(1).step_by(2) {
            judge(path, number + 1, literal, findings);
        }
    }
}

fn judge(path: &str, line: usize, text: &str, findings: &mut Vec<Finding>) {
    let lower = text.to_lowercase();
    if DENIALS.iter().any(|denial| lower.contains(denial)) {
        return;
    }
    if let Some(words) = REASSURANCE.iter().find(|words| has_words(&lower, words)) {
        findings.push(Finding::new(
            path,
            line,
            format!("\"{words}\" reassures: nothing here may imply that a child is safe"),
        ));
    }
}

/// Whole words, except that "no concern" also finds "no concerns".
fn has_words(text: &str, words: &str) -> bool {
    text.match_indices(words).any(|(at, _)| {
        let before = text[..at].chars().next_back();
        let after = text[at + words.len()..].chars().next();
        !before.is_some_and(char::is_alphanumeric) && !after.is_some_and(|c| c.is_alphanumeric() && c != 's')
    })
}

#[cfg(test)]
mod tests {
    use super::super::source::mask;
    use super::*;

    fn found(text: &str) -> usize {
        let mut findings = Vec::new();
        rust("crates/cli/src/x.rs", &mask(text), &mut findings);
        findings.len()
    }

    #[test]
    fn each_reassurance_goes_red() {
        for words in REASSURANCE {
            assert_eq!(found(&format!("f(\"The child: {words}.\")")), 1, "{words}");
        }
        assert_eq!(found("f(\"No concerns\")"), 1);
    }

    #[test]
    fn denials_comments_and_tests_pass() {
        assert_eq!(found("f(\"this does not mean that the child is safe\")"), 0);
        assert_eq!(found("// the child is safe\nf(\"held\")"), 0);
        assert_eq!(found("#[cfg(test)]\nmod tests {\n    const A: &str = \"no risk\";\n}\n"), 0);
        assert_eq!(found("f(\"no riskier\")"), 0);
    }

    #[test]
    fn literals_of_the_protocol_are_judged() {
        let mut findings = Vec::new();
        protocol("a.proto", "option a = \"all clear\"; // no risk", &mut findings);
        assert_eq!(findings.len(), 1);
    }
}
