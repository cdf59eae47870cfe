//! No function over 60 lines: what is longer is not read as a whole.

use super::Finding;
use super::source::{self, Masked};

/// Clippy counts only lines with code; this counts what a reader scrolls through.
const FUNCTION_LINES: usize = 60;

pub fn check(path: &str, masked: &Masked, findings: &mut Vec<Finding>) {
    for start in source::find_all(&masked.code, "fn ") {
        if start > 0 && is_word(masked.code[start - 1]) {
            continue;
        }
        let Some((open, close)) = body(&masked.code, start) else {
            continue;
        };
        let (first, last) = (masked.line_at(start), masked.line_at(close));
        let lines = last - first + 1;
        if lines > FUNCTION_LINES {
            let name: String = masked.code[start + 3..open].iter().take_while(|c| is_word(**c)).collect();
            findings.push(Finding::new(
                path,
                first,
                format!("function `{name}` has {lines} lines, at most {FUNCTION_LINES}"),
            ));
        }
    }
}

fn is_word(c: char) -> bool {
    c.is_alphanumeric() || c == '_'
}

/// The braces of a function's body; None for a declaration or a function type.
fn body(code: &[char], start: usize) -> Option<(usize, usize)> {
    let mut depth = 0usize;
    for (position, c) in code.iter().enumerate().skip(start) {
        match c {
            '(' | '[' => depth += 1,
            ')' | ']' => depth = depth.checked_sub(1)?,
            ';' | ',' | '=' if depth == 0 => return None,
            '{' if depth == 0 => {
                return Some((position, source::closing_brace(code, position)?));
            }
            _ => {}
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(text: &str) -> Vec<Finding> {
        let mut findings = Vec::new();
        check("f.rs", &source::mask(text), &mut findings);
        findings
    }

    #[test]
    fn a_long_function_is_found_and_named() {
        let long = format!("pub fn big(x: [u8; 2]) -> u8 {{\n{}}}\n", "    a();\n".repeat(59));
        let findings = found(&long);
        assert_eq!(findings.len(), 1);
        assert!(findings[0].what.contains("`big` has 61 lines"));
    }

    #[test]
    fn sixty_lines_and_declarations_pass() {
        let fits = format!("fn fits() {{\n{}}}\n", "    a();\n".repeat(58));
        assert_eq!(found(&fits), []);
        assert_eq!(found("trait T {\n    fn one(&self) -> u8;\n}\n"), []);
    }
}
