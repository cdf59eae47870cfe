//! Rules about a file as a whole: its length, its header, its letters, its manifest.

use super::Finding;
use super::source::Masked;

const FILE_LINES: usize = 500;
/// The one package with lints of its own, and the one file of it that may hold unsafe code.
const OWN_LINTS: &str = "crates/slice/Cargo.toml";
const UNSAFE_CODE: &str = "crates/slice/src/call.rs";
/// The words that such code cannot do without: of the code itself, and of whatever lifts the lint.
const UNSAFE_WORDS: [&str; 2] = ["unsafe", "unsafe_code"];
/// What its own lints say at least.
const SAYS: [&str; 3] = ["unsafe_code = \"deny\"", "undocumented_unsafe_blocks = \"deny\"", "missing_docs = \"warn\""];

pub fn rust(path: &str, text: &str, masked: &Masked, findings: &mut Vec<Finding>) {
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
    without_unsafe(path, masked, findings);
}

/// Looked for in the code as a whole, whatever lines the formatter makes of an attribute.
fn without_unsafe(path: &str, masked: &Masked, findings: &mut Vec<Finding>) {
    let is_word = |c: char| c.is_alphanumeric() || c == '_';
    let holds = |line: &str| line.split(|c: char| !is_word(c)).any(|word| UNSAFE_WORDS.contains(&word));
    for (number, _) in masked.lines().filter(|(_, line)| path != UNSAFE_CODE && holds(line)) {
        findings.push(Finding::new(path, number, format!("unsafe code: only {UNSAFE_CODE} may hold any")));
    }
}

/// The lints of the workspace, public docs among them, hold in every crate.
pub fn manifest(path: &str, text: &str, findings: &mut Vec<Finding>) {
    let is_package = text.lines().any(|line| line.trim() == "[package]");
    let mut lines = text.lines().map(str::trim);
    let inherits = lines.any(|line| line == "[lints]") && lines.next() == Some("workspace = true");
    if path == OWN_LINTS {
        let missing = SAYS.iter().filter(|said| !text.lines().any(|line| line.starts_with(**said)));
        findings.extend(missing.map(|said| Finding::new(path, 0, format!("its own lints do not say {said}"))));
    } else if is_package && !inherits {
        findings.push(Finding::new(path, 0, "no [lints] workspace = true"));
    }
}

#[cfg(test)]
mod tests {
    use super::super::source::mask;
    use super::*;

    fn found(text: &str) -> Vec<String> {
        let mut findings = Vec::new();
        rust("f.rs", text, &mask(text), &mut findings);
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
    fn unsafe_code_is_found_outside_its_place() {
        let attributes = [
            format!("#![{}(unsafe_code, reason = \"r\")]\n", "expect"),
            "#![expect(\n    unsafe_code,\n    reason = \"r\"\n)]\n".to_owned(),
            "#[cfg_attr(\n    unix,\n    expect(clippy::all, unsafe_code)\n)]\nmod a;\n".to_owned(),
            "#[unsafe(no_mangle)]\nfn f() {}\n".to_owned(),
            "fn f() {\n    unsafe { g() }\n}\n".to_owned(),
        ];
        for attribute in attributes {
            let text = format!("//! Header.\n{attribute}");
            let told = found(&text);
            assert!(told.len() == 1 && told[0].contains("unsafe code"), "{text}: {told:?}");
            let mut findings = Vec::new();
            rust(UNSAFE_CODE, &text, &mask(&text), &mut findings);
            assert!(findings.is_empty(), "{text}");
        }
        assert!(found("//! No unsafe code.\nconst A: &str = \"unsafe\"; // unsafe\nfn unsafely() {}\n").is_empty());
    }

    #[test]
    fn the_crate_with_lints_of_its_own_denies_what_others_forbid() {
        let mut findings = Vec::new();
        let own = format!("[package]\nname = \"a\"\n\n[lints.rust]\n{}\n", SAYS.join("\n"));
        manifest(OWN_LINTS, &own, &mut findings);
        assert!(findings.is_empty());
        manifest(OWN_LINTS, &own.replace(SAYS[0], ""), &mut findings);
        assert_eq!(findings.len(), 1);
        manifest("crates/index/Cargo.toml", &own, &mut findings);
        assert_eq!(findings.len(), 2);
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
