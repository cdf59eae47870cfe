//! Questions that wait to see whether the child is there: an organisation tells of a presentation before or after a question
//! about the child, or it does not. Until then nothing is counted of a question but the numbers that it walks through.

use super::{ChildMark, Who};
use crate::caller::Role;
use crate::codes::OdsCode;
use crate::time::Moment;
use std::collections::{BTreeMap, HashMap, HashSet, VecDeque};
use std::sync::Arc;

/// A question that waits.
#[derive(Debug, Clone)]
pub(super) struct Waited {
    pub(super) who: Arc<Who>,
    pub(super) role: Role,
    pub(super) child: ChildMark,
    pub(super) at: Moment,
    pub(super) entry: u64,
    /// Asked in unscheduled care.
    pub(super) unscheduled: bool,
    /// Something is held of the child; nothing where that says nothing.
    pub(super) held: Option<bool>,
}

/// How long, and how many, are remembered.
#[derive(Debug, Clone, Copy)]
pub(super) struct Bounds {
    pub(super) before_s: u64,
    pub(super) after_s: u64,
    pub(super) most: usize,
}

/// Questions that wait, oldest first, and presentations told lately.
#[derive(Debug, Default)]
pub(super) struct Waiting {
    queue: VecDeque<Waited>,
    /// Whose question about whom waits already: a question repeated counts once.
    asked: HashSet<(Arc<Who>, ChildMark)>,
    told: HashMap<(OdsCode, ChildMark), Moment>,
    /// Each of those once, with a moment of it that was the newest then.
    order: VecDeque<(Moment, OdsCode, ChildMark)>,
    /// How many questions of an organisation wait, and how many of its presentations are remembered.
    held: BTreeMap<OdsCode, Held>,
}

/// What is remembered of one organisation.
#[derive(Debug, Default, Clone, Copy)]
struct Held {
    waiting: usize,
    told: usize,
}

impl Bounds {
    /// Half of everything for one organisation: its own flood makes others' questions be counted no sooner than they should.
    fn share(self) -> usize {
        self.most.div_ceil(2)
    }
}

impl Waiting {
    /// Takes a question. Where too many of the organisation's wait, it does not; where too many of all, the oldest waits no more.
    pub(super) fn ask(&mut self, question: Waited, bounds: Bounds) -> Option<Waited> {
        let asked = (Arc::clone(&question.who), question.child);
        if self.asked.contains(&asked) {
            return None;
        }
        let held = self.held.entry(question.who.organisation).or_default();
        if held.waiting >= bounds.share() {
            return Some(question);
        }
        held.waiting += 1;
        self.asked.insert(asked);
        self.queue.push_back(question);
        if self.queue.len() > bounds.most { self.pop() } else { None }
    }

    /// The oldest question, once it has waited long enough.
    pub(super) fn due(&mut self, now: Moment, bounds: Bounds) -> Option<Waited> {
        let waited = now.seconds_since(self.queue.front()?.at);
        if waited > bounds.after_s { self.pop() } else { None }
    }

    fn pop(&mut self) -> Option<Waited> {
        let question = self.queue.pop_front()?;
        self.asked.remove(&(Arc::clone(&question.who), question.child));
        let held = self.held.entry(question.who.organisation).or_default();
        held.waiting = held.waiting.saturating_sub(1);
        Some(question)
    }

    /// An organisation tells of a presentation of a child.
    pub(super) fn presented(&mut self, organisation: OdsCode, child: ChildMark, now: Moment, bounds: Bounds) {
        self.forget(now, bounds, false);
        if let Some(told) = self.told.get_mut(&(organisation, child)) {
            *told = now;
            return;
        }
        let held = self.held.entry(organisation).or_default();
        if held.told >= bounds.share() {
            return;
        }
        held.told += 1;
        self.forget(now, bounds, true);
        self.told.insert((organisation, child), now);
        self.order.push_back((now, organisation, child));
    }

    /// Whether a presentation belongs to a question that has waited.
    pub(super) fn is_attended(&self, question: &Waited, bounds: Bounds) -> bool {
        let told = self.told.get(&(question.who.organisation, question.child));
        told.is_some_and(|told| question.at.seconds_since(*told) <= bounds.before_s)
    }

    /// Forgets presentations to which no question can belong any more, and to make room the oldest where there are too many.
    fn forget(&mut self, now: Moment, bounds: Bounds, makes_room: bool) {
        let kept_s = bounds.before_s + bounds.after_s;
        while let Some((at, organisation, child)) = self.order.front().copied() {
            let full = makes_room && self.told.len() >= bounds.most.max(1);
            if now.seconds_since(at) <= kept_s && !full {
                return;
            }
            self.order.pop_front();
            let newest = self.told.get(&(organisation, child)).copied();
            match newest.filter(|newest| *newest > at && now.seconds_since(*newest) <= kept_s) {
                // Told of since: it takes its place again.
                Some(newest) => self.order.push_back((newest, organisation, child)),
                None => {
                    self.told.remove(&(organisation, child));
                    let held = self.held.entry(organisation).or_default();
                    held.told = held.told.saturating_sub(1);
                }
            }
        }
    }

    /// Forgets everything: the clock was set back.
    pub(super) fn clear(&mut self) {
        *self = Self::default();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::text::UserId;

    const BOUNDS: Bounds = Bounds { before_s: 1_000, after_s: 100, most: 3 };

    fn question(child: u8, at_s: i64) -> Waited {
        question_of("R1H", child, at_s)
    }

    fn question_of(organisation: &str, child: u8, at_s: i64) -> Waited {
        let (organisation, user_id) = (OdsCode::parse(organisation).unwrap(), UserId::parse("u").unwrap());
        Waited {
            who: Arc::new(Who { organisation, user_id }),
            role: Role::Ed,
            child: ChildMark::new([child; 16]),
            at: Moment(at_s * 1_000),
            entry: 1,
            unscheduled: true,
            held: Some(false),
        }
    }

    fn at(seconds: i64) -> Moment {
        Moment(seconds * 1_000)
    }

    #[test]
    fn a_presentation_before_or_after_belongs_to_a_question() {
        let organisation = OdsCode::parse("R1H").unwrap();
        for (told_s, expected) in [(0, false), (1, true), (1_001, true), (1_101, true)] {
            let mut waiting = Waiting::default();
            let asked = question(1, 1_001);
            waiting.presented(organisation, asked.child, at(told_s), BOUNDS);
            assert_eq!(waiting.is_attended(&asked, BOUNDS), expected, "told at {told_s} s");
            let (other, elsewhere) = (question(2, 1_001), OdsCode::parse("RRK").unwrap());
            assert!(!waiting.is_attended(&other, BOUNDS), "another child");
            waiting.clear();
            waiting.presented(elsewhere, asked.child, at(told_s), BOUNDS);
            assert!(!waiting.is_attended(&asked, BOUNDS), "another organisation");
        }
    }

    #[test]
    fn a_question_waits_once_and_so_long() {
        let mut waiting = Waiting::default();
        assert!(waiting.ask(question(1, 0), BOUNDS).is_none());
        assert!(waiting.ask(question(1, 5), BOUNDS).is_none());
        assert!(waiting.due(at(100), BOUNDS).is_none());
        assert_eq!(waiting.due(at(101), BOUNDS).unwrap().at, at(0));
        assert!(waiting.due(at(900), BOUNDS).is_none(), "asked twice, it waited once");
    }

    #[test]
    fn no_more_wait_and_no_more_is_remembered_than_may_be() {
        let mut waiting = Waiting::default();
        let organisation = OdsCode::parse("R1H").unwrap();
        for n in 0..100_u8 {
            let out = waiting.ask(question(n, i64::from(n)), BOUNDS);
            assert_eq!(
                out.map(|out| out.child),
                (n >= 2).then(|| ChildMark::new([n; 16])),
                "it is its own that do not wait"
            );
            waiting.presented(organisation, ChildMark::new([n; 16]), at(i64::from(n)), BOUNDS);
            assert!(waiting.queue.len() <= 3 && waiting.asked.len() <= 3, "{n}");
            assert!(waiting.told.len() <= 3 && waiting.order.len() <= 3, "{n}");
        }
    }

    #[test]
    fn what_waits_of_an_organisation_is_not_cut_short_by_the_flood_of_another() {
        let mut waiting = Waiting::default();
        let quiet = question_of("RRK", 200, 0);
        assert!(waiting.ask(quiet.clone(), BOUNDS).is_none());
        waiting.presented(quiet.who.organisation, quiet.child, at(0), BOUNDS);
        for n in 0..100 {
            waiting.ask(question(n, 1), BOUNDS);
            waiting.presented(OdsCode::parse("R1H").unwrap(), ChildMark::new([n; 16]), at(1), BOUNDS);
        }
        let settled = waiting.due(at(101), BOUNDS).unwrap();
        assert!(settled.child == quiet.child && waiting.is_attended(&settled, BOUNDS));
        // Everything of it is due in its time, and there is room again.
        while waiting.due(at(200), BOUNDS).is_some() {}
        assert!(waiting.ask(question(7, 200), BOUNDS).is_none());
    }
}
