//! How many connections are open, in all and on each data thread, and which thread has the fewest.
//! Never lets the total pass its bound.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

/// Counts of open things under a bound.
#[derive(Debug)]
pub(crate) struct Bound {
    max: usize,
    held: AtomicUsize,
}

impl Bound {
    pub(crate) fn new(max: usize) -> Arc<Self> {
        Arc::new(Self { max, held: AtomicUsize::new(0) })
    }

    /// Takes one place, or nothing when all are taken.
    pub(crate) fn take(self: &Arc<Self>) -> Option<Held> {
        let taken =
            self.held.fetch_update(Ordering::AcqRel, Ordering::Acquire, |held| (held < self.max).then_some(held + 1));
        taken.ok().map(|_| Held { places: vec![Arc::clone(self)] })
    }

    /// Places taken now.
    pub(crate) fn held(&self) -> usize {
        self.held.load(Ordering::Acquire)
    }
}

/// Places taken, given back on drop.
#[derive(Debug)]
pub(crate) struct Held {
    places: Vec<Arc<Bound>>,
}

impl Held {
    /// Joins another taken place to this one.
    pub(crate) fn join(&mut self, mut other: Held) {
        self.places.append(&mut other.places);
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        for place in &self.places {
            place.held.fetch_sub(1, Ordering::AcqRel);
        }
    }
}

/// The position of the smallest load, the first of equals; nothing when there is none.
pub(crate) fn least_loaded(loads: impl Iterator<Item = usize>) -> Option<usize> {
    loads.enumerate().min_by_key(|&(position, load)| (load, position)).map(|(position, _)| position)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_least_loaded_is_chosen_and_the_first_of_equals() {
        assert_eq!(least_loaded([3, 1, 2].into_iter()), Some(1));
        assert_eq!(least_loaded([2, 1, 1].into_iter()), Some(1));
        assert_eq!(least_loaded([0].into_iter()), Some(0));
        assert_eq!(least_loaded(std::iter::empty()), None);
    }

    #[test]
    fn connections_spread_evenly_and_fill_what_closes() {
        let threads: Vec<_> = (0..3).map(|_| Bound::new(usize::MAX)).collect();
        let place = || least_loaded(threads.iter().map(|t| t.held())).unwrap();
        let mut held: Vec<(usize, Held)> = Vec::new();
        for _ in 0..9 {
            let at = place();
            held.push((at, threads[at].take().unwrap()));
        }
        assert!(threads.iter().all(|t| t.held() == 3));
        held.retain(|(at, _)| *at != 1);
        assert_eq!(place(), 1);
    }

    #[test]
    fn the_bound_holds_and_places_come_back() {
        let bound = Bound::new(2);
        let first = bound.take().unwrap();
        let mut second = bound.take().unwrap();
        assert!(bound.take().is_none());
        let thread = Bound::new(usize::MAX);
        second.join(thread.take().unwrap());
        drop(second);
        assert_eq!((bound.held(), thread.held()), (1, 0));
        drop(first);
        assert_eq!(bound.held(), 0);
    }
}
