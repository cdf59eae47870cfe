//! Mistakes found in configuration and directory files, collected so that a person mends them all in one go.
//! Never holds anything about a child.

use std::fmt;

/// Mistakes shown at most; the rest are counted, so that a wholly wrong file does not flood the screen.
const SHOWN_MAX: usize = 200;

/// One mistake: where it is and what is wrong there.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mistake {
    /// File, line, key or column.
    pub place: String,
    /// What is wrong: expected and found.
    pub what: String,
}

impl fmt::Display for Mistake {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.place, self.what)
    }
}

/// All mistakes of a set of files.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub struct Mistakes(Vec<Mistake>);

impl Mistakes {
    /// Nothing found yet.
    pub fn new() -> Self {
        Self::default()
    }

    /// Notes one mistake.
    pub fn note(&mut self, place: impl Into<String>, what: impl Into<String>) {
        self.0.push(Mistake { place: place.into(), what: what.into() });
    }

    /// Whether nothing was found.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The mistakes in the order they were found.
    pub fn iter(&self) -> impl Iterator<Item = &Mistake> {
        self.0.iter()
    }

    /// Success when nothing was found.
    ///
    /// # Errors
    /// The mistakes themselves.
    pub fn into_result(self) -> Result<(), Mistakes> {
        if self.is_empty() { Ok(()) } else { Err(self) }
    }
}

impl fmt::Display for Mistakes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, mistake) in self.0.iter().take(SHOWN_MAX).enumerate() {
            if index > 0 {
                writeln!(f)?;
            }
            write!(f, "{mistake}")?;
        }
        if self.0.len() > SHOWN_MAX {
            write!(f, "\nand {} more", self.0.len() - SHOWN_MAX)?;
        }
        Ok(())
    }
}

impl std::error::Error for Mistakes {}
