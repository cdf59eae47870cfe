//! Text for people: lines of at most 80 columns, the most important first. Colour only raises attention: what asks for it
//! is reversed, everything else is plain, and nothing is ever coloured to reassure.

pub mod answer;
mod blocks;
mod family;
mod seen;

pub use blocks::state as plan_state;

use crate::redacted::redacted;

redacted!(Page);

/// Widest line, in columns.
pub const WIDTH: usize = 80;
/// Bold and reversed.
const ATTENTION: &str = "\u{1b}[1;7m";
const PLAIN: &str = "\u{1b}[0m";

/// A text in the making.
#[derive(Default)]
pub struct Page {
    lines: Vec<(String, bool)>,
}

impl Page {
    /// Adds a paragraph, wrapped; `hang` is the indent of its second and later lines.
    pub fn text(&mut self, indent: usize, hang: usize, text: &str) {
        self.paragraph(indent, hang, text, false);
    }

    /// Adds a paragraph that asks for attention.
    pub fn attention(&mut self, indent: usize, hang: usize, text: &str) {
        self.paragraph(indent, hang, text, true);
    }

    /// Adds a line across the page.
    pub fn rule(&mut self) {
        self.lines.push(("=".repeat(WIDTH), false));
    }

    /// Adds an empty line, never two together.
    pub fn gap(&mut self) {
        if self.lines.last().is_some_and(|(line, _)| !line.is_empty()) {
            self.lines.push((String::new(), false));
        }
    }

    /// This page with another below it.
    #[must_use]
    pub fn followed_by(mut self, below: Self) -> Self {
        self.lines.extend(below.lines);
        self
    }

    fn paragraph(&mut self, indent: usize, hang: usize, text: &str, attention: bool) {
        let mut line = " ".repeat(indent);
        let mut empty = true;
        for word in plain(text).trim().split(' ') {
            if word.is_empty() && !empty {
                line.push(' ');
            }
            for piece in pieces(word, WIDTH - hang.max(indent)) {
                if !empty && line.chars().count() + 1 + piece.chars().count() > WIDTH {
                    let full = std::mem::replace(&mut line, " ".repeat(hang));
                    self.lines.push((full.trim_end().to_owned(), attention));
                    empty = true;
                }
                if !empty {
                    line.push(' ');
                }
                line.push_str(&piece);
                empty = false;
            }
        }
        if !empty {
            self.lines.push((line, attention));
        }
    }

    /// The text; with colour for a terminal.
    pub fn render(&self, colour: bool) -> String {
        let mut text = String::new();
        for (line, attention) in &self.lines {
            let shown = line.trim_start();
            if colour && *attention && !shown.is_empty() {
                let indent = &line[..line.len() - shown.len()];
                text.push_str(&format!("{indent}{ATTENTION}{shown}{PLAIN}\n"));
            } else {
                text.push_str(line);
                text.push('\n');
            }
        }
        text
    }
}

/// A word that is longer than a line is cut, not let out of the page.
fn pieces(word: &str, longest: usize) -> Vec<String> {
    let letters: Vec<char> = word.chars().collect();
    letters.chunks(longest.max(1)).map(|piece| piece.iter().collect()).collect()
}

/// Text of others without control, direction and invisible characters: a name cannot draw on the screen.
pub fn plain(text: &str) -> String {
    text.chars().map(|c| if c.is_control() { ' ' } else { c }).filter(|c| !invisible(*c)).collect()
}

fn invisible(letter: char) -> bool {
    matches!(u32::from(letter), 0x200b..=0x200f | 0x2028..=0x202e | 0x2060..=0x206f | 0xfeff | 0x061c | 0x00ad)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn wraps_within_the_page_and_hangs() {
        let mut page = Page::default();
        page.text(2, 4, &"word ".repeat(40));
        page.text(0, 0, &"x".repeat(200));
        let text = page.render(false);
        assert!(text.lines().all(|line| line.chars().count() <= WIDTH), "{text}");
        assert!(text.lines().nth(1).unwrap().starts_with("    word"));
    }

    #[test]
    fn colour_only_where_attention_is_asked() {
        let mut page = Page::default();
        page.text(0, 0, "plain");
        page.attention(2, 2, "look");
        assert_eq!(page.render(true), "plain\n  \u{1b}[1;7mlook\u{1b}[0m\n");
        assert_eq!(page.render(false), "plain\n  look\n");
    }

    #[test]
    fn a_name_cannot_draw_on_the_screen() {
        let mut page = Page::default();
        page.text(0, 0, "A\u{1b}[2JB\u{202e}C\nD");
        assert_eq!(page.render(true), "A [2JBC D\n");
    }
}
