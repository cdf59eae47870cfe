//! Who asked about one child lately. A child stands here as a keyed pseudonym and is forgotten within a day or so.

use super::{ChildMark, Who};
use crate::time::Moment;
use std::collections::{HashMap, VecDeque};
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

/// Children asked about lately.
#[derive(Debug, Default)]
pub(super) struct Children {
    looks: HashMap<ChildMark, Vec<Look>>,
    /// How many that is, taken over all children.
    total: usize,
    /// Each child once, with a moment of it that was the newest then.
    order: VecDeque<(Moment, ChildMark)>,
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
        self.forget(now, bounds);
        let looks = self.looks.entry(child).or_insert_with(|| {
            self.order.push_back((now, child));
            Vec::new()
        });
        let before = looks.len();
        looks.retain(|look| now.seconds_since(look.at) < bounds.within_s);
        self.total = self.total.saturating_sub(before - looks.len());
        if let Some(known) = looks.iter_mut().find(|look| look.who == *who) {
            known.at = now;
            return None;
        }
        if looks.len() >= MOST_LOOKS {
            looks.remove(0);
            self.total = self.total.saturating_sub(1);
        }
        self.total += 1;
        looks.push(Look { who: Arc::clone(who), at: now, entry });
        let first_entry = looks.iter().map(|look| look.entry).min().unwrap_or(entry);
        Some(Crowd { people: u32::try_from(looks.len()).unwrap_or(u32::MAX), first_entry })
    }

    /// Forgets children about whom nobody asked lately, and the oldest where there are too many.
    fn forget(&mut self, now: Moment, bounds: Bounds) {
        while let Some((at, child)) = self.order.front().copied() {
            let most_looks = bounds.most.max(1).saturating_mul(LOOKS_OF_A_CHILD);
            let full = self.looks.len() >= bounds.most.max(1) || self.total >= most_looks;
            if now.seconds_since(at) < bounds.within_s && !full {
                return;
            }
            self.order.pop_front();
            let newest = self.looks.get(&child).and_then(|looks| looks.iter().map(|look| look.at).max());
            match newest.filter(|newest| *newest > at && now.seconds_since(*newest) < bounds.within_s) {
                // Asked about since: it takes its place again.
                Some(newest) => self.order.push_back((newest, child)),
                None => {
                    let gone = self.looks.remove(&child).unwrap_or_default();
                    self.total = self.total.saturating_sub(gone.len());
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
    use crate::codes::OdsCode;
    use crate::text::UserId;

    const BOUNDS: Bounds = Bounds { within_s: 1_000, most: 3 };

    fn who(n: u32) -> Arc<Who> {
        let user_id = UserId::parse(&format!("u{n}")).unwrap();
        Arc::new(Who { organisation: OdsCode::parse("R1H").unwrap(), user_id })
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
            // Asked about again and again, the first stays; the others make room.
            children.asked(child(0), &who(1), Moment(i64::from(n)), u64::from(n), BOUNDS);
            assert!(children.looks.len() <= 3 && children.order.len() <= 3, "{n}");
        }
    }

    /// Whoever names a new person with every question about few children.
    #[test]
    fn no_more_people_are_remembered_of_all_children_than_may_be() {
        let mut children = Children::default();
        for n in 0..100_u8 {
            children.asked(child(n % 2), &who(n.into()), Moment(i64::from(n)), n.into(), BOUNDS);
            let held: usize = children.looks.values().map(Vec::len).sum();
            assert!(held == children.total && held <= 3 * LOOKS_OF_A_CHILD, "{n}: {held}");
        }
    }
}
