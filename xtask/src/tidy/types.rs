//! The types of a Rust file, as tidy looks at them: what derives something, with its fields or variants as they are written. It
//! knows the form that the formatter gives them and no more of the language.

use super::source::{Masked, closing_brace};

/// What is defined.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    Struct,
    Enum,
}

/// A type that derives what was asked for.
#[derive(Debug, PartialEq, Eq)]
pub struct Type {
    pub kind: Kind,
    pub name: String,
    /// Where its name stands.
    pub line: usize,
    /// Its fields or variants; none of a struct whose fields have no names.
    pub parts: Vec<String>,
    /// How many fields without a name it has.
    pub unnamed: usize,
}

/// The types outside tests in whose derives this word stands, in their order.
pub fn deriving(masked: &Masked, word: &str) -> Vec<Type> {
    let code: String = masked.code.iter().collect();
    let mut found = Vec::new();
    let mut derives = false;
    let mut at = 0;
    for text in code.split_inclusive('\n') {
        let trimmed = text.trim();
        if trimmed.starts_with("#[derive(") {
            derives = trimmed.contains(word);
        } else if let Some((kind, name)) = head(trimmed) {
            // Past the name: `pub(crate)` has a bracket too.
            let past = code[..at].chars().count() + text.find(name).unwrap_or_default() + name.len();
            let line = masked.line_at(past);
            if derives && !masked.is_test(line) {
                let rest = &masked.code[past..];
                found.push(Type { kind, name: name.to_owned(), line, parts: body(rest), unnamed: unnamed(rest) });
            }
            derives = false;
        }
        at += text.len();
    }
    found
}

/// What a line begins to define, and its name.
fn head(line: &str) -> Option<(Kind, &str)> {
    let words = ["pub(crate) ", "pub(super) ", "pub "].iter().find_map(|word| line.strip_prefix(word)).unwrap_or(line);
    let (kind, rest) = match (words.strip_prefix("struct "), words.strip_prefix("enum ")) {
        (Some(rest), _) => (Kind::Struct, rest),
        (None, Some(rest)) => (Kind::Enum, rest),
        (None, None) => return None,
    };
    let end = rest.find(|c: char| !c.is_alphanumeric()).unwrap_or(rest.len());
    Some((kind, &rest[..end]))
}

/// From the name on: what stands in the braces.
fn body(code: &[char]) -> Vec<String> {
    let Some(open) = code.iter().position(|c| "{;(".contains(*c)).filter(|open| code[*open] == '{') else {
        return Vec::new();
    };
    let close = closing_brace(code, open).unwrap_or(code.len());
    parts(&code[open + 1..close])
}

/// From the name on: how many fields stand in round brackets.
fn unnamed(code: &[char]) -> usize {
    let Some(open) = code.iter().position(|c| "{;(".contains(*c)).filter(|open| code[*open] == '(') else {
        return 0;
    };
    let mut depth = 0usize;
    let length = code[open..].iter().position(|c| {
        match c {
            '(' => depth += 1,
            ')' => depth = depth.saturating_sub(1),
            _ => {}
        }
        depth == 0
    });
    length.map_or(0, |length| parts(&code[open + 1..open + length]).len())
}

/// What commas part that stand in no bracket; attributes gone, spaces single.
pub fn parts(body: &[char]) -> Vec<String> {
    let mut found = vec![String::new()];
    let mut depth = 0usize;
    for c in body {
        match c {
            '(' | '[' | '{' | '<' => depth += 1,
            ')' | ']' | '}' | '>' => depth = depth.saturating_sub(1),
            _ => {}
        }
        match found.last_mut() {
            Some(last) if depth > 0 || *c != ',' => last.push(*c),
            _ => found.push(String::new()),
        }
    }
    let plain = found.iter().map(|part| {
        let mut rest = part.trim();
        while let Some((_, after)) = rest.strip_prefix("#[").and_then(|attribute| attribute.split_once(']')) {
            rest = after.trim();
        }
        rest.split_whitespace().collect::<Vec<_>>().join(" ")
    });
    plain.filter(|part| !part.is_empty()).collect()
}

#[cfg(test)]
mod tests {
    use super::super::source::mask;
    use super::*;

    #[test]
    fn what_derives_is_found_with_its_parts_and_its_line() {
        let text = "#[derive(Debug, Clone)]\npub(crate) struct A<T> {\n    /// Of two.\n    #[arg(long)]\n    pub one: Map<u8, T>,\n    two: u8,\n}\n\
            #[derive(Clone)]\nstruct B {\n    three: u8,\n}\n#[derive(Debug)]\nenum C {\n    D(u8, u8),\n    E { four: u8 },\n}\n#[derive(Debug)]\nstruct F(u8);\n#[derive(Debug)]\npub struct I(pub(crate) [u8; 2], Map<u8, (u8, u8)>);\n\
            struct G {\n    five: u8,\n}\n#[cfg(test)]\nmod tests {\n    #[derive(Debug)]\n    struct H {\n        six: u8,\n    }\n}\n";
        let found = deriving(&mask(text), "Debug");
        let told: Vec<(&str, Kind, usize, Vec<&str>, usize)> = found
            .iter()
            .map(|Type { kind, name, line, parts, unnamed }| {
                (name.as_str(), *kind, *line, parts.iter().map(String::as_str).collect(), *unnamed)
            })
            .collect();
        let expected = [
            ("A", Kind::Struct, 2, vec!["pub one: Map<u8, T>", "two: u8"], 0),
            ("C", Kind::Enum, 13, vec!["D(u8, u8)", "E { four: u8 }"], 0),
            ("F", Kind::Struct, 18, vec![], 1),
            ("I", Kind::Struct, 20, vec![], 2),
        ];
        assert_eq!(told, expected);
    }
}
