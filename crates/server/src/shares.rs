//! The places of each organisation: nobody's calls or connections take those of everybody else.
//! Never holds more than one entry for each organisation that has shown a certificate.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use crate::load::Bound;

/// The places of each organisation, made when it first comes.
#[derive(Debug, Clone)]
pub(crate) struct Shares {
    of: Arc<Mutex<HashMap<String, Arc<Bound>>>>,
    max: usize,
}

impl Shares {
    /// So many places for each.
    pub(crate) fn new(max: usize) -> Self {
        Self { of: Arc::default(), max }
    }

    /// The organisation's own bound.
    pub(crate) fn of(&self, organisation: &str) -> Arc<Bound> {
        let mut all = self.of.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(bound) = all.get(organisation) {
            return Arc::clone(bound);
        }
        let bound = Bound::new(self.max);
        all.insert(organisation.to_owned(), Arc::clone(&bound));
        bound
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
