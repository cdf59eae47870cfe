//! Takes a Rust file apart just far enough for the rules: code with comments and
//! literals blanked, the string literals, and which lines are test code.
//! It is no parser: it relies on source that rustfmt has laid out.

/// A file whose code can be searched without hitting comments or strings.
pub struct Masked {
    /// As long as the file; comments and literals are spaces, newlines stay.
    pub code: Vec<char>,
    /// Line (from 1) and content of every string literal.
    pub strings: Vec<(usize, String)>,
    /// First and last line (from 1) of every `#[cfg(test)]` item with a body.
    tests: Vec<(usize, usize)>,
}

impl Masked {
    pub fn is_test(&self, line: usize) -> bool {
        self.tests.iter().any(|(first, last)| (*first..=*last).contains(&line))
    }

    /// Code lines with their numbers from 1.
    pub fn lines(&self) -> impl Iterator<Item = (usize, String)> {
        self.code.split(|c| *c == '\n').enumerate().map(|(number, line)| (number + 1, line.iter().collect()))
    }

    pub fn line_at(&self, position: usize) -> usize {
        1 + self.code[..position].iter().filter(|c| **c == '\n').count()
    }
}

/// Blanks comments and literals.
pub fn mask(text: &str) -> Masked {
    let chars: Vec<char> = text.chars().collect();
    let mut scanner = Scanner { code: chars.clone(), chars, at: 0, line: 1, strings: Vec::new() };
    scanner.scan();
    let mut masked = Masked { code: scanner.code, strings: scanner.strings, tests: Vec::new() };
    masked.tests = test_ranges(&masked);
    masked
}

struct Scanner {
    chars: Vec<char>,
    code: Vec<char>,
    at: usize,
    line: usize,
    strings: Vec<(usize, String)>,
}

impl Scanner {
    fn scan(&mut self) {
        while let Some(c) = self.peek(0) {
            match c {
                '/' if self.peek(1) == Some('/') => self.blank_while(|c| c != '\n'),
                '/' if self.peek(1) == Some('*') => self.block_comment(),
                '"' => self.string(0, true),
                'r' if !self.in_word() && self.raw_hashes().is_some() => self.raw_string(),
                '\'' => self.char_or_lifetime(),
                _ => self.keep(),
            }
        }
    }

    fn peek(&self, ahead: usize) -> Option<char> {
        self.chars.get(self.at + ahead).copied()
    }

    fn keep(&mut self) {
        if self.peek(0) == Some('\n') {
            self.line += 1;
        }
        self.at += 1;
    }

    fn blank(&mut self) {
        if self.peek(0) != Some('\n') {
            self.code[self.at] = ' ';
        }
        self.keep();
    }

    fn blank_while(&mut self, more: impl Fn(char) -> bool) {
        while self.peek(0).is_some_and(&more) {
            self.blank();
        }
    }

    fn block_comment(&mut self) {
        let mut depth = 0usize;
        while self.peek(0).is_some() {
            match (self.peek(0), self.peek(1)) {
                (Some('/'), Some('*')) => depth += 1,
                (Some('*'), Some('/')) => depth -= 1,
                _ => {
                    self.blank();
                    continue;
                }
            }
            self.blank();
            self.blank();
            if depth == 0 {
                return;
            }
        }
    }

    /// The character before this belongs to a word: `br"..."` does, `for "..."` cannot be.
    fn in_word(&self) -> bool {
        let before = self.at.checked_sub(1).and_then(|i| self.chars.get(i));
        match before {
            Some('b' | 'c') => {
                self.at.checked_sub(2).and_then(|i| self.chars.get(i)).is_some_and(|c| c.is_alphanumeric() || *c == '_')
            }
            Some(c) => c.is_alphanumeric() || *c == '_',
            None => false,
        }
    }

    /// At an `r`: how many `#` before the quote, when this begins a raw string.
    fn raw_hashes(&self) -> Option<usize> {
        let mut hashes = 0;
        while self.peek(1 + hashes) == Some('#') {
            hashes += 1;
        }
        (self.peek(1 + hashes) == Some('"')).then_some(hashes)
    }

    fn raw_string(&mut self) {
        let hashes = self.raw_hashes().unwrap_or(0);
        for _ in 0..=hashes {
            self.blank();
        }
        self.string(hashes, false);
    }

    /// At the opening quote.
    fn string(&mut self, hashes: usize, escapes: bool) {
        let line = self.line;
        let mut content = String::new();
        self.blank();
        while let Some(c) = self.peek(0) {
            if escapes && c == '\\' {
                self.escape(&mut content);
                continue;
            }
            if c == '"' && (0..hashes).all(|i| self.peek(1 + i) == Some('#')) {
                for _ in 0..=hashes {
                    self.blank();
                }
                break;
            }
            content.push(c);
            self.blank();
        }
        self.strings.push((line, content));
    }

    /// A backslash at the end of a line joins the lines, as the compiler does.
    fn escape(&mut self, content: &mut String) {
        self.blank();
        if self.peek(0) == Some('\n') {
            self.blank_while(char::is_whitespace);
        } else {
            content.push('\\');
            content.extend(self.peek(0));
            self.blank();
        }
    }

    fn char_or_lifetime(&mut self) {
        let is_char = self.peek(1) == Some('\\') || self.peek(2) == Some('\'');
        if !is_char {
            self.keep();
            return;
        }
        self.blank();
        if self.peek(0) == Some('\\') {
            self.blank();
        }
        self.blank();
        self.blank_while(|c| c != '\'');
        self.blank();
    }
}

/// Position of the brace that closes the one at `open`.
pub fn closing_brace(code: &[char], open: usize) -> Option<usize> {
    let mut depth = 0usize;
    for (position, c) in code.iter().enumerate().skip(open) {
        match c {
            '{' => depth += 1,
            '}' => {
                depth = depth.checked_sub(1)?;
                if depth == 0 {
                    return Some(position);
                }
            }
            _ => {}
        }
    }
    None
}

/// Positions at which `needle` begins.
pub fn find_all(code: &[char], needle: &str) -> Vec<usize> {
    let needle: Vec<char> = needle.chars().collect();
    code.windows(needle.len())
        .enumerate()
        .filter(|(_, window)| *window == needle.as_slice())
        .map(|(position, _)| position)
        .collect()
}

fn test_ranges(masked: &Masked) -> Vec<(usize, usize)> {
    find_all(&masked.code, "#[cfg(test)]")
        .into_iter()
        .filter_map(|start| {
            let after = &masked.code[start..];
            let body = after.iter().position(|c| *c == '{' || *c == ';')?;
            let open = start + body;
            (masked.code[open] == '{').then_some(())?;
            let close = closing_brace(&masked.code, open)?;
            Some((masked.line_at(start), masked.line_at(close)))
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn code(text: &str) -> String {
        mask(text).code.into_iter().collect()
    }

    #[test]
    fn comments_and_strings_are_blanked_and_lines_stay() {
        let text = "let a = \"x.unwrap()\"; // b.unwrap()\n/* c /* d */ e */ f('{', '\\'', 'a');\n";
        let seen = code(text);
        assert_eq!(seen.chars().count(), text.chars().count());
        assert!(seen.contains("let a"));
        assert!(!seen.contains("unwrap") && !seen.contains('{'));
        assert_eq!(seen.matches('\n').count(), 2);
        assert!(seen.contains("f("));
    }

    #[test]
    fn raw_and_byte_strings_are_seen_whole() {
        let masked = mask("let a = r#\"quote \" inside\"#; let b = br\"y\"; let c = for_r;");
        let found: Vec<&str> = masked.strings.iter().map(|(_, s)| s.as_str()).collect();
        assert_eq!(found, ["quote \" inside", "y"]);
    }

    #[test]
    fn a_lifetime_is_no_character() {
        assert!(code("fn f<'a>(x: &'a str) { g('b') }").contains("fn f<'a>(x: &'a str) { g("));
    }

    #[test]
    fn joined_lines_are_one_string() {
        let masked = mask("f(\"all \\\n     right\");");
        assert_eq!(masked.strings, [(1, "all right".to_owned())]);
    }

    #[test]
    fn test_modules_are_known() {
        let masked = mask("fn a() {}\n#[cfg(test)]\nmod tests {\n    fn b() {}\n}\nfn c() {}\n");
        let tests: Vec<bool> = (1..=6).map(|line| masked.is_test(line)).collect();
        assert_eq!(tests, [false, true, true, true, true, false]);
    }
}
