//! Cosignatures that witnesses bring, for the audit. An entry for each would feed itself: it makes a new head, which the witness
//! cosigns a second later. So a witness's cosignatures of a minute are one entry, which says how many they were.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};

use kith_domain::codes::OdsCode;
use kith_domain::time::Moment;

/// How long no further entry is written of a witness. An end of the process loses the count of so long.
const INTERVAL_MS: i64 = 60_000;

/// Of one witness.
#[derive(Debug)]
struct Told {
    at: Moment,
    since: u64,
}

/// What was brought since the last entry, by organisation: as many as have a witness's certificate.
#[derive(Debug, Default)]
pub(super) struct Cosigned(Mutex<HashMap<OdsCode, Told>>);

impl Cosigned {
    /// Counts one that was kept. Gives how many an entry is to tell of now; none when one was written less than a minute ago.
    pub(super) fn kept(&self, organisation: OdsCode, at: Moment) -> Option<u64> {
        let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let known = all.get(&organisation);
        let count = known.map_or(0, |told| told.since) + 1;
        let just_told = known.is_some_and(|told| (0..INTERVAL_MS).contains(&at.0.saturating_sub(told.at.0)));
        let told = match known {
            Some(told) if just_told => Told { at: told.at, since: count },
            Some(_) | None => Told { at, since: 0 },
        };
        all.insert(organisation, told);
        (!just_told).then_some(count)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_is_told_at_once_and_those_of_a_minute_together() {
        let (cosigned, witness) = (Cosigned::default(), OdsCode::parse("RW1").unwrap());
        let other = OdsCode::parse("RW2").unwrap();
        assert_eq!(cosigned.kept(witness, Moment(1_000)), Some(1));
        assert_eq!(cosigned.kept(witness, Moment(2_000)), None);
        assert_eq!(cosigned.kept(other, Moment(2_000)), Some(1), "each witness for itself");
        assert_eq!(cosigned.kept(witness, Moment(60_999)), None);
        assert_eq!(cosigned.kept(witness, Moment(61_000)), Some(3));
        assert_eq!(cosigned.kept(witness, Moment(61_001)), None);
        assert_eq!(cosigned.kept(witness, Moment(5)), Some(2), "a clock that is set back");
    }
}
