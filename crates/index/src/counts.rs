//! How much the index holds, counted as records are published. Never walks the index.

use kith_domain::child::ChildRecord;
use std::sync::atomic::{AtomicU64, Ordering};

/// How much is held.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Sizes {
    /// People with a record.
    pub children: u64,
    /// Plans, withdrawn and ended ones included.
    pub plans: u64,
    /// Presentations.
    pub presentations: u64,
    /// Rows of access history.
    pub accesses: u64,
}

/// Running counts.
#[derive(Debug, Default)]
pub(crate) struct Counters {
    children: AtomicU64,
    plans: AtomicU64,
    presentations: AtomicU64,
    accesses: AtomicU64,
}

impl Counters {
    fn cells<'a>(&'a self, record: &ChildRecord) -> [(&'a AtomicU64, u64); 4] {
        let count = |n: usize| n as u64;
        [
            (&self.children, 1),
            (&self.plans, count(record.plans.len())),
            (&self.presentations, count(record.presentations.len())),
            (&self.accesses, count(record.accesses.len())),
        ]
    }

    pub(crate) fn add(&self, record: &ChildRecord) {
        for (cell, n) in self.cells(record) {
            cell.fetch_add(n, Ordering::Relaxed);
        }
    }

    pub(crate) fn remove(&self, record: &ChildRecord) {
        for (cell, n) in self.cells(record) {
            cell.fetch_sub(n, Ordering::Relaxed);
        }
    }

    pub(crate) fn read(&self) -> Sizes {
        let get = |cell: &AtomicU64| cell.load(Ordering::Relaxed);
        Sizes {
            children: get(&self.children),
            plans: get(&self.plans),
            presentations: get(&self.presentations),
            accesses: get(&self.accesses),
        }
    }
}
