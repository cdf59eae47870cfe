//! What an organisation's people do taken together. Many who each ask too little for a flag may be one who trawls: with identifiers
//! that are made up, or with others. Whoever was flagged lately is left out, so that what one person does is told of that person.
//!
//! Thresholds lie far above those of a person, for an organisation has good days to be busy. Where it tells of presentations, few
//! questions are without one and the least counts; where it tells of none, twelve times the usual day lies beyond an evening of
//! mass casualties, with ten times the usual questions.
//!
//! Whether the children were there is held against other organisations, for an organisation of which everybody trawls is its own measure.
//! One that tells of presentations late or of none is no less usual, as an ambulance service is, and says nothing by it.

use super::days::Days;
use super::held::{LEAST_OF_ROLE, Way};
use super::share::{OfOrganisation, far_below};
use super::waiting::Waited;
use super::walk::{self, Walks};
use super::{Figures, LEAST_ATTENDED, NORM_OF_ROLE, Watch, Who, flag, is_lately};
use crate::NhsNumber;
use crate::codes::OdsCode;
use crate::flag::{Flag, FlagKind};
use crate::time::Moment;
use std::sync::Arc;

/// People who ask about the numbers of one walk: fewer are a person's own.
const LEAST_PEOPLE: usize = 2;
/// Thousandths of the children whom an organisation's people ask about. It tells of presentations in time where at least so many are
/// there: fewer are those who come again after what is told of them at night.
const LEAST_TOLD: u64 = 100;
/// Nor does it where fewer are there than so many hundredths of what is far below others: an organisation that tells of every fifth in
/// time would be flagged every day for its work. A crowd that trawls has to be six in ten of some thousand questions of its
/// organisation before it hides behind this, and is flagged long before.
const TOLD_OF_LIMIT: u64 = 150;

/// What is remembered of an organisation as a whole. Its size is fixed, and there are as many as organisations that ask.
#[derive(Debug, Default)]
pub(super) struct Whole {
    /// Children without a presentation, asked about in unscheduled care.
    unscheduled: Days,
    /// The same of planned care and of worklists, which come once a week and are no measure for the days between.
    planned: Days,
    held: [OfOrganisation; Way::COUNT],
    /// Of those asked about in unscheduled care, how many were there.
    attended: OfOrganisation,
    walks: Walks,
    /// When a flag of each kind was last raised.
    flagged: [Option<Moment>; FlagKind::WORDS.len()],
}

impl Watch {
    /// A flag about an organisation was raised before.
    pub(super) fn raised_whole(&mut self, flag: &Flag) {
        let last = &mut self.whole(flag.organisation).flagged[flag.kind as usize];
        *last = (*last).max(Some(flag.at));
    }

    fn whole(&mut self, organisation: OdsCode) -> &mut Whole {
        &mut self.organisations.entry(organisation).or_default().whole
    }

    /// Numbers in equal steps about which several people ask.
    pub(super) fn whole_walks(&mut self, who: &Arc<Who>, number: Option<NhsNumber>, entry: u64) {
        let Some(number) = number.filter(|_| !self.is_flagged(who)) else { return };
        let (now, least) = (self.now, self.rules.organisation_walk_numbers);
        let bounds = walk::Bounds { least, remembered: walk::OF_ORGANISATION };
        let walk = self.whole(who.organisation).walks.step((number, entry), who, now, bounds);
        if let Some(walk) = walk.filter(|walk| walk.people >= LEAST_PEOPLE) {
            let entries = (walk.first_entry, entry);
            self.raise_whole((who.organisation, FlagKind::NumberWalk), (walk.numbers, 0, least), entries);
        }
    }

    /// Something held of few of the children asked about, beside what is held of those whom others in the same roles ask about in
    /// the same way.
    pub(super) fn whole_holds(&mut self, question: &Waited, way: Way) {
        let Some(held) = question.held.filter(|_| !self.is_flagged(&question.who)) else { return };
        let organisation = question.who.organisation;
        let whole = &mut self.organisations.entry(organisation).or_default().whole;
        let role = self.roles.entry(question.role).or_default();
        let others = |way: Way| role.held[way as usize].of_others(whole.held[way as usize].counted(), LEAST_OF_ROLE);
        let usual = way.usual(others);
        let counted = whole.held[way as usize].add(held, usual, question.entry);
        let Some(counted) = counted else { return };
        let rules = (self.rules.organisation_share_least_expected, self.rules.share_percent);
        if let Some(limit) = far_below(counted, rules) {
            let entries = (counted.first_entry, question.entry);
            self.raise_whole((organisation, FlagKind::FewHeld), (counted.hits, counted.asked, limit), entries);
        }
    }

    /// Few of the children asked about in unscheduled care were there, beside those whom others in the same roles ask about.
    pub(super) fn whole_attends(&mut self, question: &Waited, attended: bool) {
        if !question.unscheduled || self.is_flagged(&question.who) {
            return;
        }
        let name = question.who.organisation;
        let organisation = self.organisations.entry(name).or_default();
        let role = self.roles.entry(question.role).or_default();
        let others = role.attended.of_others(name, LEAST_OF_ROLE).unwrap_or(0);
        let half_as_many_again = others * u64::from(self.rules.share_percent) * TOLD_OF_LIMIT / 10_000;
        let least_told = half_as_many_again.min(others).max(LEAST_TOLD);
        let tells = organisation.attended.share(LEAST_ATTENDED).is_some_and(|share| share >= least_told);
        let usual = if tells { others } else { 0 };
        role.attended.add(name, attended, NORM_OF_ROLE);
        let Some(counted) = organisation.whole.attended.add(attended, usual, question.entry) else { return };
        let rules = (self.rules.organisation_share_least_expected, self.rules.share_percent);
        if let Some(limit) = far_below(counted, rules) {
            let (without, least) = (counted.asked - counted.hits, counted.asked - limit);
            let entries = (counted.first_entry, question.entry);
            self.raise_whole((name, FlagKind::NoPresentation), (without, counted.asked, least), entries);
        }
    }

    /// Far more children without a presentation than is usual.
    pub(super) fn whole_volume(&mut self, question: &Waited) {
        if self.is_flagged(&question.who) {
            return;
        }
        let (rules, day, organisation) = (self.rules, self.known_on(question), question.who.organisation);
        let whole = self.whole(organisation);
        let days = if question.unscheduled { &mut whole.unscheduled } else { &mut whole.planned };
        days.add(day, question.entry);
        let Some(usual) = days.usual() else { return };
        let many = usual.saturating_mul(u64::from(rules.organisation_volume_times)) / 100;
        let threshold = u32::try_from(many).unwrap_or(u32::MAX).max(rules.organisation_volume_least);
        if days.count < threshold {
            return;
        }
        days.most.get_or_insert(threshold);
        let figures = (days.count, u32::try_from(usual.div_ceil(100)).unwrap_or(u32::MAX), threshold);
        let entries = (days.first_entry, question.entry);
        self.raise_whole((organisation, FlagKind::Volume), figures, entries);
    }

    /// Raises a flag, unless one of the kind was raised about the organisation lately.
    fn raise_whole(&mut self, (organisation, kind): (OdsCode, FlagKind), figures: Figures, entries: (u64, u64)) {
        let (now, repeat_s) = (self.now, self.repeat_s());
        let last = &mut self.whole(organisation).flagged[kind as usize];
        if last.is_some_and(|at| is_lately(at, now, repeat_s)) {
            return;
        }
        *last = Some(now);
        self.found.push(flag((kind, now), (organisation, None), figures, entries));
    }
}
