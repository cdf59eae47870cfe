//! Parts of an answer that a policy may leave out. What raises or settles concern has no name here, so no policy can leave it
//! out: identity, both outcomes, kinds and states of plans, what happened at presentations, doubts and counts of feeds, a
//! death that has been told, and whom to ring. The responsible authority is not here either: whom to ring tells it.

use serde::{Deserialize, Serialize};

/// A part of an answer that a policy may leave out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub enum Field {
    /// Organisation and site of presentations elsewhere.
    VisitPlaces,
    /// Earlier lookups: by whom and when.
    History,
    /// What authorities have linked of siblings.
    Siblings,
    /// Unborn plans of the mother.
    Mother,
    /// Other numbers of the person.
    Numbers,
    /// Names of feeds that cannot be relied on; how many there are is told always.
    NamedFeeds,
}

impl Field {
    /// Every field with its word.
    pub const WORDS: [(Self, &'static str); 6] = [
        (Self::VisitPlaces, "visit-places"),
        (Self::History, "history"),
        (Self::Siblings, "siblings"),
        (Self::Mother, "mother"),
        (Self::Numbers, "numbers"),
        (Self::NamedFeeds, "named-feeds"),
    ];

    /// Its word.
    #[must_use]
    pub fn word(self) -> &'static str {
        Self::WORDS[self as usize].1
    }

    /// The field of a word; `None` for any other word.
    #[must_use]
    pub fn parse(word: &str) -> Option<Self> {
        Self::WORDS.iter().find(|(_, known)| *known == word).map(|(field, _)| *field)
    }
}

/// A set of fields.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct FieldSet(u8);

impl FieldSet {
    /// None of them.
    pub const NONE: Self = Self(0);
    /// All of them.
    pub const ALL: Self = Self((1 << Field::WORDS.len()) - 1);

    /// This one as well.
    #[must_use]
    pub const fn with(self, field: Field) -> Self {
        Self(self.0 | (1 << field as u8))
    }

    /// Whether it is among them.
    #[must_use]
    pub const fn has(self, field: Field) -> bool {
        self.0 & (1 << field as u8) != 0
    }

    /// All that are not among them.
    #[must_use]
    pub const fn others(self) -> Self {
        Self(!self.0 & Self::ALL.0)
    }

    /// Whether there is none.
    #[must_use]
    pub const fn is_empty(self) -> bool {
        self.0 == 0
    }

    /// Each of them, in their order.
    pub fn iter(self) -> impl Iterator<Item = Field> {
        Field::WORDS.into_iter().map(|(field, _)| field).filter(move |field| self.has(*field))
    }

    /// As the audit keeps it: one bit for each field, in their order.
    #[must_use]
    pub const fn bits(self) -> u8 {
        self.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sets() {
        let some = FieldSet::NONE.with(Field::History).with(Field::Numbers);
        assert_eq!(some.iter().collect::<Vec<_>>(), [Field::History, Field::Numbers]);
        assert!(some.has(Field::History) && !some.has(Field::Mother) && !some.is_empty());
        assert_eq!(some.others().others(), some);
        assert_eq!(FieldSet::ALL.iter().count(), Field::WORDS.len());
        assert!(FieldSet::ALL.others().is_empty());
        assert_eq!(some.bits(), 0b01_0010);
        for (at, (field, word)) in Field::WORDS.into_iter().enumerate() {
            assert_eq!((field as usize, field.word(), Field::parse(word)), (at, word, Some(field)));
        }
        for never in ["plans", "presentations", "outcome", "identity", "ring", "completeness", "death", "*", ""] {
            assert_eq!(Field::parse(never), None, "{never}");
        }
    }
}
