//! Something held of few of the children asked about, beside what is held of those whom others ask about in the same way.
//!
//! Whoever checks everybody in finds something of as many as there are among all who come: of few. Whoever looks up on suspicion
//! finds something of many. A norm of both together is too low for the second, among whom somebody who trawls looks ordinary, or
//! too high for the first, who are flagged for their work. So what is usual goes by the way in which a question was asked, and that
//! by what came of it and by how an organisation's people ask on the whole: never by a word that whoever asks may choose, as a
//! purpose is, for then whoever trawls would choose one that few use.
//!
//! What is too little to be a norm is none, and without one nothing is expected and nothing flagged. It takes 200 questions of
//! others of the organisation, in the same role and way, or 1,000 of others in the role anywhere; and before 50 questions in
//! unscheduled care it is not known how an organisation's people ask, so those to which nobody came are not looked at. Where there
//! is no norm of these, the one of children who were there takes its place: all who come are the group of which least is held.

use super::share::far_below;
use super::waiting::Waited;
use super::{NORM_OF_ORGANISATION, NORM_OF_ROLE, Watch};
use crate::flag::FlagKind;

/// Questions of others that have to be known before a person is held against them.
const LEAST_OF_ORGANISATION: u64 = 200;
pub(super) const LEAST_OF_ROLE: u64 = 1_000;
/// Questions in unscheduled care after which it is known whether the children are there whom an organisation's people ask about. Where
/// seven in ten are, fewer than half of so many are in less than one case of a thousand.
const LEAST_OF_PRACTICE: u64 = 50;
/// Thousandths of the children asked about: where at least so many are there, most are.
const MOST: u64 = 500;

/// In which way a question was asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Way {
    /// In planned care or of a worklist.
    Planned,
    /// With a presentation that was recorded: of everybody who comes.
    CheckedIn,
    /// Without, of a child who was there: of everybody, or on suspicion.
    There,
    /// Of a child who was not there, in an organisation most of whose children are.
    NotThereOfMost,
    /// The same where fewer are: its people look up on suspicion, or nobody tells of presentations in time.
    NotThereOfFew,
}

impl Way {
    /// How many there are.
    pub(super) const COUNT: usize = Self::NotThereOfFew as usize + 1;

    /// Ways of which the least that is usual takes the place of a norm that there is not.
    fn instead(self) -> &'static [Self] {
        match self {
            Self::NotThereOfMost | Self::NotThereOfFew => &[Self::CheckedIn, Self::There],
            Self::Planned | Self::CheckedIn | Self::There => &[],
        }
    }

    /// Thousandths of a hit that are to be expected, where `of` gives what is known of a way; nothing where nothing is.
    pub(super) fn usual(self, of: impl Fn(Self) -> Option<u64>) -> u64 {
        of(self).or_else(|| self.instead().iter().filter_map(|way| of(*way)).min()).unwrap_or(0)
    }
}

impl Watch {
    /// In which way a question was asked; none while that is not known.
    pub(super) fn way(&self, question: &Waited, attended: bool) -> Option<Way> {
        if !question.unscheduled {
            return Some(Way::Planned);
        }
        if attended {
            return Some(if question.checks_in { Way::CheckedIn } else { Way::There });
        }
        let there = self.organisations.get(&question.who.organisation)?.attended.share(LEAST_OF_PRACTICE)?;
        Some(if there >= MOST { Way::NotThereOfMost } else { Way::NotThereOfFew })
    }

    /// Something held of few of the children asked about.
    pub(super) fn holds(&mut self, question: &Waited, way: Way) {
        let Some(held) = question.held else { return };
        let flagged = self.is_flagged(&question.who);
        let organisation = self.organisations.entry(question.who.organisation).or_default();
        let role = self.roles.entry(question.role).or_default();
        let Some(person) = self.people.get_mut(&question.who) else { return };
        if !flagged {
            organisation.held.entry((question.role, way)).or_default().add(held, NORM_OF_ORGANISATION);
            role.held[way as usize].add(held, NORM_OF_ROLE);
        }
        // The lesser of the two: little may be held of a whole neighbourhood.
        let usual = way.usual(|way| {
            let own = person.held[way as usize].counted();
            let near = organisation.held.get(&(question.role, way));
            let near = near.and_then(|norm| norm.of_others(own, LEAST_OF_ORGANISATION));
            near.into_iter().chain(role.held[way as usize].of_others(own, LEAST_OF_ROLE)).min()
        });
        let Some(counted) = person.held[way as usize].add(held, usual, question.entry) else { return };
        let rules = (self.rules.share_least_expected, self.rules.share_percent);
        if let Some(limit) = far_below(counted, rules) {
            let entries = (counted.first_entry, question.entry);
            self.raise(&question.who, FlagKind::FewHeld, (counted.hits, counted.asked, limit), entries);
        }
    }
}
