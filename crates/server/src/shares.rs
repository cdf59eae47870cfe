//! What each organisation has for itself: places, so that nobody's calls or connections take those of everybody else, and a pace.
//! Never holds more than one entry for each organisation that has shown a certificate.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use crate::load::Bound;

/// Something of each organisation, made when it first comes.
#[derive(Debug)]
pub(crate) struct Each<T> {
    of: Mutex<HashMap<String, Arc<T>>>,
}

impl<T> Default for Each<T> {
    fn default() -> Self {
        Self { of: Mutex::default() }
    }
}

impl<T> Each<T> {
    /// The organisation's own.
    pub(crate) fn of(&self, organisation: &str, make: impl FnOnce() -> Arc<T>) -> Arc<T> {
        let mut all = self.of.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(own) = all.get(organisation) {
            return Arc::clone(own);
        }
        let own = make();
        all.insert(organisation.to_owned(), Arc::clone(&own));
        own
    }
}

/// The places of each organisation.
#[derive(Debug, Clone)]
pub(crate) struct Shares {
    of: Arc<Each<Bound>>,
    max: usize,
}

impl Shares {
    /// So many places for each.
    pub(crate) fn new(max: usize) -> Self {
        Self { of: Arc::default(), max }
    }

    /// The organisation's own bound.
    pub(crate) fn of(&self, organisation: &str) -> Arc<Bound> {
        self.of.of(organisation, || Bound::new(self.max))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_organisation_has_places_of_its_own() {
        let shares = Shares::new(2);
        let held: Vec<_> = (0..3).map(|_| shares.of("R1H").take()).collect();
        assert_eq!(held.iter().map(Option::is_some).collect::<Vec<_>>(), [true, true, false]);
        assert!(shares.of("RJ1").take().is_some());
        drop(held);
        assert!(shares.of("R1H").take().is_some());
    }
}
