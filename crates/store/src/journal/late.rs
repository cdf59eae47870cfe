//! Who follows the journal, and what is late for each: ranges that were given up, that a follower may have passed over, and
//! that are on disk after all. One follower's taking them takes nothing from another.

/// Who reads the journal in order, behind the answers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Follower {
    /// The access history.
    History,
    /// The tree over the entries.
    Tree,
}

/// Late ranges not yet taken. The tree is followed up only once it has begun: before, it has passed nothing over, and
/// without one the ranges would heap up.
#[derive(Debug, Default)]
pub(crate) struct Late {
    history: Vec<(u64, u64)>,
    tree: Option<Vec<(u64, u64)>>,
}

impl Late {
    /// Ranges, first and last number, that came late.
    pub(crate) fn came(&mut self, ranges: impl Iterator<Item = (u64, u64)>) {
        for range in ranges {
            self.history.push(range);
            self.tree.iter_mut().for_each(|tree| tree.push(range));
        }
    }

    /// What came since the follower asked last.
    pub(crate) fn take(&mut self, follower: Follower) -> Vec<(u64, u64)> {
        match follower {
            Follower::History => std::mem::take(&mut self.history),
            Follower::Tree => self.tree.replace(Vec::new()).unwrap_or_default(),
        }
    }
}
