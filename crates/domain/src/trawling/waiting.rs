//! Questions that wait to see whether the child is there: an organisation tells of a presentation before or after a question
//! about the child, or it does not. Until then nothing is counted of a question but the numbers that it walks through.

use super::{ChildMark, Who};
use crate::caller::Role;
use crate::codes::OdsCode;
use crate::time::Moment;
use std::collections::{BTreeMap, HashMap, VecDeque};
use std::sync::Arc;

/// To make room, such a part of what is remembered of one organisation is forgotten at once.
const AT_ONCE: usize = 64;

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
    /// With a presentation to be recorded.
    pub(super) checks_in: bool,
    /// Something is held of the child; nothing where that says nothing.
    pub(super) held: Option<bool>,
    /// When it was last told that the child was there, as of when it waited no more.
    pub(super) told: Option<Moment>,
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
    /// Whose question about whom waits already, for a question repeated counts once; and the first mother named with it.
    asked: HashMap<(Arc<Who>, ChildMark), Option<ChildMark>>,
    of: BTreeMap<OdsCode, Of>,
    /// How many presentations are remembered of all.
    told: usize,
}

/// What is remembered of one organisation.
#[derive(Debug, Default)]
struct Of {
    /// How many of its questions wait.
    waiting: usize,
    /// Children whom these are about: what is told of them is remembered as long as they wait, whatever else is told.
    about: HashMap<ChildMark, About>,
    told: Told,
}

/// A child about whom questions of an organisation wait.
#[derive(Debug, Default, Clone, Copy)]
struct About {
    waiting: usize,
    told: Option<Moment>,
}

/// Presentations that an organisation told of lately, for questions that come after them.
#[derive(Debug, Default)]
struct Told {
    by_child: HashMap<ChildMark, Moment>,
    /// Each of those once, with a moment of it that was the newest then.
    order: VecDeque<(Moment, ChildMark)>,
}

impl Told {
    fn take(&mut self, child: ChildMark, now: Moment) {
        if self.by_child.insert(child, now).is_none() {
            self.order.push_back((now, child));
        }
    }

    /// Forgets those to which no question can belong any more, and the oldest where there are more than `most`: many that are
    /// told at once, as of years before, push out one another and nothing that comes after them.
    fn forget(&mut self, now: Moment, kept_s: u64, most: usize) {
        while let Some((at, child)) = self.order.front().copied() {
            if now.seconds_since(at) <= kept_s && self.by_child.len() <= most {
                return;
            }
            self.order.pop_front();
            let newest = self.by_child.get(&child).copied();
            match newest.filter(|newest| *newest > at && now.seconds_since(*newest) <= kept_s) {
                // Told of since: it takes its place again.
                Some(newest) => self.order.push_back((newest, child)),
                None => {
                    self.by_child.remove(&child);
                }
            }
        }
    }
}

impl Bounds {
    /// Half of everything for one organisation: its own flood makes others' questions be counted no sooner than they should.
    fn share(self) -> usize {
        self.most.div_ceil(2)
    }

    /// So long a presentation may belong to a question that is counted.
    fn kept_s(self) -> u64 {
        self.before_s + self.after_s
    }
}

impl Waiting {
    /// Takes a question. Where too many of the organisation's wait, it does not; where too many of all, the oldest waits no more.
    pub(super) fn ask(&mut self, question: Waited, bounds: Bounds) -> Option<Waited> {
        let asked = (Arc::clone(&question.who), question.child);
        if self.asked.contains_key(&asked) {
            return None;
        }
        let of = self.of.entry(question.who.organisation).or_default();
        if of.waiting >= bounds.share() {
            return Some(question);
        }
        of.waiting += 1;
        let told = of.told.by_child.get(&question.child).copied();
        let about = of.about.entry(question.child).or_default();
        about.waiting += 1;
        about.told = about.told.max(told);
        self.asked.insert(asked, None);
        self.queue.push_back(question);
        if self.queue.len() > bounds.most { self.pop() } else { None }
    }

    /// Whether somebody whose question about a child waits has named another mother with it before. One whose question does not wait,
    /// for want of room, is counted with each question.
    pub(super) fn is_another_mother(&mut self, who: &Arc<Who>, child: ChildMark, mother: ChildMark) -> bool {
        let Some(first) = self.asked.get_mut(&(Arc::clone(who), child)) else { return false };
        *first.get_or_insert(mother) != mother
    }

    /// The oldest question, once it has waited long enough.
    pub(super) fn due(&mut self, now: Moment, bounds: Bounds) -> Option<Waited> {
        let waited = now.seconds_since(self.queue.front()?.at);
        if waited > bounds.after_s { self.pop() } else { None }
    }

    fn pop(&mut self) -> Option<Waited> {
        let mut question = self.queue.pop_front()?;
        self.asked.remove(&(Arc::clone(&question.who), question.child));
        let of = self.of.entry(question.who.organisation).or_default();
        of.waiting = of.waiting.saturating_sub(1);
        if let Some(about) = of.about.get_mut(&question.child) {
            question.told = about.told;
            about.waiting = about.waiting.saturating_sub(1);
            if about.waiting == 0 {
                of.about.remove(&question.child);
            }
        }
        Some(question)
    }

    /// An organisation tells of a presentation of a child.
    pub(super) fn presented(&mut self, organisation: OdsCode, child: ChildMark, now: Moment, bounds: Bounds) {
        let of = self.of.entry(organisation).or_default();
        if let Some(about) = of.about.get_mut(&child) {
            about.told = Some(now);
        }
        let before = of.told.by_child.len();
        of.told.take(child, now);
        of.told.forget(now, bounds.kept_s(), bounds.share());
        self.told = self.told + of.told.by_child.len() - before;
        while self.told > bounds.most {
            self.make_room(now, bounds);
        }
    }

    /// An organisation tells that what it told of a child was no presentation: it counts no more until it is told again. Whether any of
    /// its questions about the child wait.
    pub(super) fn take_back(&mut self, organisation: OdsCode, child: ChildMark) -> bool {
        let Some(of) = self.of.get_mut(&organisation) else { return false };
        if of.told.by_child.remove(&child).is_some() {
            of.told.order.retain(|(_, other)| *other != child);
            self.told = self.told.saturating_sub(1);
        }
        let about = of.about.get_mut(&child);
        about.is_some_and(|about| {
            about.told = None;
            about.waiting > 0
        })
    }

    /// What is too old is forgotten, whosever it is: an organisation that tells of nothing any more takes no room of those that do.
    /// Where that makes none, the one of which most is remembered forgets its oldest: many at once, so that organisations are gone
    /// through seldom.
    fn make_room(&mut self, now: Moment, bounds: Bounds) {
        self.of.retain(|_, of| {
            of.told.forget(now, bounds.kept_s(), usize::MAX);
            of.waiting > 0 || !of.told.by_child.is_empty()
        });
        self.told = self.of.values().map(|of| of.told.by_child.len()).sum();
        if self.told <= bounds.most {
            return;
        }
        let Some(of) = self.of.values_mut().max_by_key(|of| of.told.by_child.len()) else { return };
        let before = of.told.by_child.len();
        of.told.forget(now, bounds.kept_s(), before.saturating_sub(1 + before / AT_ONCE));
        self.told = self.told + of.told.by_child.len() - before;
    }

    /// Whether a presentation belongs to a question that has waited, or to one that is asked now.
    pub(super) fn is_attended(&self, question: &Waited, bounds: Bounds) -> bool {
        let of = self.of.get(&question.who.organisation);
        let told = of.and_then(|of| of.told.by_child.get(&question.child)).copied();
        // Somebody else's question may wait about the child, and hold what was pushed out.
        let held = of.and_then(|of| of.about.get(&question.child)).and_then(|about| about.told);
        let told = question.told.max(told).max(held);
        told.is_some_and(|told| question.at.seconds_since(told) <= bounds.before_s)
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
            checks_in: false,
            held: Some(false),
            told: None,
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
    fn what_is_taken_back_belongs_to_no_question_until_it_is_told_again_and_takes_no_room() {
        let (mut waiting, organisation) = (Waiting::default(), OdsCode::parse("R1H").unwrap());
        let asked = question(1, 10);
        for _ in 0..20 {
            waiting.presented(organisation, asked.child, at(5), BOUNDS);
            assert!(!waiting.take_back(organisation, asked.child), "no question waits");
        }
        assert!(!waiting.is_attended(&asked, BOUNDS));
        assert!(waiting.told == 0 && waiting.of[&organisation].told.order.is_empty());
        waiting.presented(organisation, asked.child, at(6), BOUNDS);
        assert!(waiting.ask(asked.clone(), BOUNDS).is_none());
        assert!(!waiting.take_back(OdsCode::parse("RRK").unwrap(), asked.child), "another's");
        assert!(waiting.is_attended(&asked, BOUNDS) && waiting.take_back(organisation, asked.child));
        assert!(!waiting.is_attended(&asked, BOUNDS));
        waiting.presented(organisation, asked.child, at(20), BOUNDS);
        assert!(waiting.is_attended(&asked, BOUNDS));
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
            let of = &waiting.of[&organisation];
            assert!(of.about.len() <= 2 && of.told.order.len() <= 2, "{n}");
            assert_eq!((waiting.told, of.told.order.len()), (of.told.by_child.len(), of.told.by_child.len()), "{n}");
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

    /// Years of presentations that are told at once push out neither what belongs to a question that waits nor what comes after.
    #[test]
    fn many_presentations_told_at_once_keep_no_other_from_its_question() {
        let (mut waiting, organisation) = (Waiting::default(), OdsCode::parse("R1H").unwrap());
        // Told before the question, and after it.
        waiting.presented(organisation, question(200, 0).child, at(0), BOUNDS);
        assert!(waiting.ask(question(200, 0), BOUNDS).is_none() && waiting.ask(question(201, 0), BOUNDS).is_none());
        waiting.presented(organisation, question(201, 0).child, at(0), BOUNDS);
        (0..100).for_each(|n| waiting.presented(organisation, ChildMark::new([n; 16]), at(1), BOUNDS));
        assert!(waiting.is_attended(&question(200, 50), BOUNDS), "what one question holds belongs to another's too");
        for _ in 0..2 {
            let settled = waiting.due(at(101), BOUNDS).unwrap();
            assert!(waiting.is_attended(&settled, BOUNDS), "{settled:?}");
        }
        assert!(waiting.of[&organisation].about.is_empty());
        waiting.presented(organisation, ChildMark::new([202; 16]), at(101), BOUNDS);
        assert!(waiting.is_attended(&question(202, 102), BOUNDS), "what is told after them is remembered");
        assert!(!waiting.is_attended(&question(200, 102), BOUNDS), "what was pushed out belongs to no later question");
    }

    #[test]
    fn of_many_organisations_no_more_is_remembered_than_may_be() {
        let mut waiting = Waiting::default();
        for (n, code) in (0_u8..).zip(["R1H", "RRK", "R1H", "RXH", "RYR", "R1H", "RRK"]) {
            waiting.presented(OdsCode::parse(code).unwrap(), ChildMark::new([n; 16]), at(i64::from(n)), BOUNDS);
            let all: usize = waiting.of.values().map(|of| of.told.by_child.len()).sum();
            assert!(waiting.told == all && all <= BOUNDS.most, "{n}");
        }
        assert!(waiting.is_attended(&question_of("RRK", 6, 7), BOUNDS), "the newest is remembered");
    }

    #[test]
    fn who_tells_of_nothing_any_more_takes_no_room_of_those_that_do() {
        let (mut waiting, bounds) = (Waiting::default(), Bounds { most: 4, ..BOUNDS });
        let tell = |waiting: &mut Waiting, code: &str, child: u8, at_s: i64| {
            waiting.presented(OdsCode::parse(code).unwrap(), ChildMark::new([child; 16]), at(at_s), bounds);
        };
        for (code, child) in [("R1H", 1), ("R1H", 2), ("RRK", 3), ("RRK", 4)] {
            tell(&mut waiting, code, child, 0);
        }
        // So old that it belongs to no question.
        for (code, child) in [("RXH", 5), ("RXH", 6), ("RYR", 7), ("RYR", 8)] {
            tell(&mut waiting, code, child, 1_101);
        }
        assert_eq!((waiting.told, waiting.of.len()), (4, 2));
        for (code, child) in [("RXH", 5), ("RXH", 6), ("RYR", 7), ("RYR", 8)] {
            assert!(waiting.is_attended(&question_of(code, child, 1_101), bounds), "{child}");
        }
    }
}
