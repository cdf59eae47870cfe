//! Rules about a file as a whole: its length, its header, its letters, its manifest.

use super::Finding;

const FILE_LINES: usize = 500;

pub fn rust(path: &str, text: &str, findings: &mut Vec<Finding>) {
    let lines = text.lines().count();
    if lines > FILE_LINES {
        findings.push(Finding::new(path, 0, format!("{lines} lines, at most {FILE_LINES}")));
    }
    let first = text.lines().find(|line| !line.trim().is_empty());
    if !first.is_some_and(|line| line.starts_with("//! ")) {
        findings.push(Finding::new(
            path,
            1,
            "no module header: begin with //! what this is for and what it never does",
        ));
    }
    for (number, line) in text.lines().enumerate() {
        if let Some(letter) = line.chars().find(|c| !c.is_ascii()) {
            let what = format!("U+{:04X} is not ASCII", u32::from(letter));
            findings.push(Finding::new(path, number + 1, what));
        }
        if line.contains("#[allow(") || line.contains("#![allow(") {
            let code = line.trim_start();
            if code.starts_with('#') {
                findings.push(Finding::new(path, number + 1, "an allow attribute: use expect with a reason"));
            }
        }
    }
}

/// The lints of the workspace, public docs among them, hold in every crate.
pub fn manifest(path: &str, text: &str, findings: &mut Vec<Finding>) {
    let is_package = text.lines().any(|line| line.trim() == "[package]");
    let mut lines = text.lines().map(str::trim);
    let inherits = lines.any(|line| line == "[lints]") && lines.next() == Some("workspace = true");
    if is_package && !inherits {
        findings.push(Finding::new(path, 0, "no [lints] workspace = true"));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(text: &str) -> Vec<String> {
        let mut findings = Vec::new();
        rust("f.rs", text, &mut findings);
        findings.into_iter().map(|finding| finding.what).collect()
    }

    #[test]
    fn a_good_file_passes() {
        assert!(found("//! Says what it is for.\nfn f() {}\n").is_empty());
    }

    #[test]
    fn a_missing_header_is_found() {
        assert!(found("use std::fs;\n")[0].contains("no module header"));
    }

    #[test]
    fn a_long_file_is_found() {
        let long = format!("//! Header.\n{}", "\n".repeat(500));
        assert!(found(&long)[0].contains("501 lines"));
    }

    #[test]
    fn other_letters_are_found() {
        assert_eq!(found("//! Caf\u{e9}.\n"), ["U+00E9 is not ASCII"]);
    }

    #[test]
    fn an_allow_attribute_is_found() {
        let text = format!("//! Header.\n#[{}(dead_code)]\nfn f() {{}}\n", "allow");
        assert!(found(&text)[0].contains("expect with a reason"));
    }

    #[test]
    fn a_crate_without_the_lints_is_found() {
        let mut findings = Vec::new();
        manifest("Cargo.toml", "[package]\nname = \"a\"\n", &mut findings);
        assert_eq!(findings.len(), 1);
        let good = "[package]\nname = \"a\"\n\n[lints]\nworkspace = true\n";
        manifest("Cargo.toml", good, &mut findings);
        manifest("Cargo.toml", "[workspace]\n", &mut findings);
        assert_eq!(findings.len(), 1);
    }
}
