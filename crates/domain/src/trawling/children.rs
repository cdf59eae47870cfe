//! Who asked about one child lately. A child stands here as a keyed pseudonym and is forgotten within a day or so.

use super::{ChildMark, Who};
use crate::codes::OdsCode;
use crate::time::Moment;
use std::collections::{BTreeMap, HashMap, VecDeque};
use std::sync::Arc;

/// People remembered of one child.
const MOST_LOOKS: usize = 64;
/// People remembered of a child, taken over all children: many people who ask about many children must not take as much memory
/// as all of them together would.
const LOOKS_OF_A_CHILD: usize = 4;

/// One person's question.
#[derive(Debug)]
struct Look {
    who: Arc<Who>,
    at: Moment,
    entry: u64,
}

/// People who asked about a child.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Crowd {
    pub(super) people: u32,
    pub(super) first_entry: u64,
}

/// How long, and how many children, are remembered.
#[derive(Debug, Clone, Copy)]
pub(super) struct Bounds {
    pub(super) within_s: u64,
    pub(super) most: usize,
}

impl Bounds {
    /// People remembered, taken over all children.
    fn most_looks(self) -> usize {
        self.most.max(1).saturating_mul(LOOKS_OF_A_CHILD)
    }
}

/// What is remembered of one child.
#[derive(Debug)]
struct Child {
    /// Whose question made it remembered.
    first_of: OdsCode,
    looks: Vec<Look>,
}

/// What is remembered because of one organisation: half of everything at most, so that none makes what others ask be forgotten.
#[derive(Debug, Default, Clone, Copy)]
struct Held {
    children: usize,
    looks: usize,
}

/// Children asked about lately.
#[derive(Debug, Default)]
pub(super) struct Children {
    children: HashMap<ChildMark, Child>,
    /// How many looks that is.
    looks: usize,
    /// Each child once, with a moment of it that was the newest then.
    order: VecDeque<(Moment, ChildMark)>,
    held: BTreeMap<OdsCode, Held>,
}

impl Children {
    /// Takes a question; how many people asked, when this one is the first of theirs.
    pub(super) fn asked(
        &mut self,
        child: ChildMark,
        who: &Arc<Who>,
        now: Moment,
        entry: u64,
        bounds: Bounds,
    ) -> Option<Crowd> {
        self.forget_passed(now, bounds);
        if !self.has_room(child, who.organisation, bounds) {
            return None;
        }
        self.make_room(child, now, bounds);
        let held = &mut self.held;
        let known = self.children.entry(child).or_insert_with(|| {
            self.order.push_back((now, child));
            held.entry(who.organisation).or_default().children += 1;
            Child { first_of: who.organisation, looks: Vec::new() }
        });
        let gone = known.looks.extract_if(.., |look| now.seconds_since(look.at) >= bounds.within_s);
        for look in gone {
            self.looks = self.looks.saturating_sub(1);
            drop_look(held, look.who.organisation);
        }
        if let Some(look) = known.looks.iter_mut().find(|look| look.who == *who) {
            look.at = now;
            return None;
        }
        if known.looks.len() >= MOST_LOOKS {
            let oldest = known.looks.remove(0);
            self.looks = self.looks.saturating_sub(1);
            drop_look(held, oldest.who.organisation);
        }
        self.looks += 1;
        held.entry(who.organisation).or_default().looks += 1;
        known.looks.push(Look { who: Arc::clone(who), at: now, entry });
        let first_entry = known.looks.iter().map(|look| look.entry).min().unwrap_or(entry);
        Some(Crowd { people: u32::try_from(known.looks.len()).unwrap_or(u32::MAX), first_entry })
    }

    /// Whether an organisation has not made half of everything be remembered already.
    fn has_room(&self, child: ChildMark, organisation: OdsCode, bounds: Bounds) -> bool {
        let Held { children, looks } = self.held.get(&organisation).copied().unwrap_or_default();
        let for_the_child = self.children.contains_key(&child) || children < bounds.most.max(1).div_ceil(2);
        for_the_child && looks < bounds.most_looks().div_ceil(2)
    }

    /// Forgets children about whom nobody asked lately.
    fn forget_passed(&mut self, now: Moment, bounds: Bounds) {
        while self.order.front().is_some_and(|(at, _)| now.seconds_since(*at) >= bounds.within_s) {
            self.turn(now, bounds);
        }
    }

    /// Forgets the oldest where there are too many, one more look and maybe one more child counted.
    fn make_room(&mut self, child: ChildMark, now: Moment, bounds: Bounds) {
        let is_new = !self.children.contains_key(&child);
        let most = bounds.most.max(1);
        while self.looks >= bounds.most_looks() || (is_new && self.children.len() >= most) {
            if self.order.is_empty() {
                return;
            }
            self.turn(now, bounds);
        }
    }

    /// The first of the order is forgotten, or takes its place again when somebody asked about it since.
    fn turn(&mut self, now: Moment, bounds: Bounds) {
        let Some((at, child)) = self.order.pop_front() else { return };
        let looks = self.children.get(&child).map(|child| child.looks.iter());
        let newest = looks.and_then(|looks| looks.map(|look| look.at).max());
        match newest.filter(|newest| *newest > at && now.seconds_since(*newest) < bounds.within_s) {
            Some(newest) => self.order.push_back((newest, child)),
            None => self.remove(child),
        }
    }

    fn remove(&mut self, child: ChildMark) {
        let Some(Child { first_of, looks }) = self.children.remove(&child) else { return };
        let held = self.held.entry(first_of).or_default();
        held.children = held.children.saturating_sub(1);
        self.looks = self.looks.saturating_sub(looks.len());
        for look in looks {
            drop_look(&mut self.held, look.who.organisation);
        }
    }

    /// Forgets everything: the clock was set back.
    pub(super) fn clear(&mut self) {
        *self = Self::default();
    }
}

/// One look of an organisation is not remembered any more.
fn drop_look(held: &mut BTreeMap<OdsCode, Held>, organisation: OdsCode) {
    let held = held.entry(organisation).or_default();
    held.looks = held.looks.saturating_sub(1);
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::text::UserId;

    const BOUNDS: Bounds = Bounds { within_s: 1_000, most: 3 };

    fn who(n: u32) -> Arc<Who> {
        who_of("R1H", n)
    }

    fn who_of(organisation: &str, n: u32) -> Arc<Who> {
        let user_id = UserId::parse(&format!("u{n}")).unwrap();
        Arc::new(Who { organisation: OdsCode::parse(organisation).unwrap(), user_id })
    }

    fn child(n: u8) -> ChildMark {
        ChildMark::new([n; 16])
    }

    #[test]
    fn people_count_once_and_are_forgotten() {
        let mut children = Children::default();
        let mut ask =
            |n: u32, at: i64, entry: u64| children.asked(child(1), &who(n), Moment(at * 1_000), entry, BOUNDS);
        assert_eq!(ask(1, 0, 1), Some(Crowd { people: 1, first_entry: 1 }));
        assert_eq!(ask(1, 1, 2), None);
        assert_eq!(ask(2, 2, 3), Some(Crowd { people: 2, first_entry: 1 }));
        assert_eq!(ask(3, 1_001, 4), Some(Crowd { people: 2, first_entry: 3 }), "the first is forgotten");
    }

    #[test]
    fn no_more_children_are_remembered_than_may_be() {
        let mut children = Children::default();
        for n in 0..100 {
            children.asked(child(n), &who(1), Moment(i64::from(n)), u64::from(n), BOUNDS);
            // Asked about again and again, the first stays; the others make room, or find none.
            children.asked(child(0), &who(1), Moment(i64::from(n)), u64::from(n), BOUNDS);
            children.asked(child(n), &who_of("RRK", 1), Moment(i64::from(n)), u64::from(n), BOUNDS);
            assert!(children.children.len() <= 3 && children.order.len() <= 3, "{n}");
        }
    }

    /// Whoever names a new person with every question about few children.
    #[test]
    fn no_more_people_are_remembered_of_all_children_than_may_be() {
        let mut children = Children::default();
        for n in 0..100_u8 {
            children.asked(child(n % 2), &who(n.into()), Moment(i64::from(n)), n.into(), BOUNDS);
            let held: usize = children.children.values().map(|child| child.looks.len()).sum();
            assert!(held == children.looks && held <= 3 * LOOKS_OF_A_CHILD, "{n}: {held}");
        }
    }

    #[test]
    fn the_flood_of_an_organisation_makes_no_child_be_forgotten_about_whom_others_ask() {
        let mut children = Children::default();
        children.asked(child(200), &who_of("RRK", 1), Moment(0), 1, BOUNDS);
        for n in 0..100_u8 {
            children.asked(child(n), &who(n.into()), Moment(1), 2, BOUNDS);
            children.asked(child(0), &who(n.into()), Moment(1), 2, BOUNDS);
        }
        let crowd = children.asked(child(200), &who_of("RRK", 2), Moment(2), 3, BOUNDS);
        assert_eq!(crowd, Some(Crowd { people: 2, first_entry: 1 }));
        // What has passed makes room again.
        let later = children.asked(child(100), &who(1), Moment(2_000_000), 4, BOUNDS);
        assert_eq!(later, Some(Crowd { people: 1, first_entry: 4 }));
    }
}
