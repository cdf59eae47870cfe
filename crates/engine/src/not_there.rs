//! Why an event of a presentation that was acknowledged tells of nobody who is there. The watch of use takes a question to which a
//! presentation belongs for work, so what can be told without a child in the building must not look like one: an arrival of long ago,
//! what was told before, and what is taken back as entered in error. Only this is kept of it: neither the arrival nor the encounter.

use crate::changed_one::Became;
use kith_domain::change::PresentationAction;
use kith_domain::presentation::{Details, Outcome};
use kith_domain::time::Moment;
use serde::{Deserialize, Serialize};

/// Who came longer ago than this, in seconds, may be told of at any time: as long as questions follow a presentation by default. It is
/// far within the days in which answers list a presentation, so that one that counts stays and is seen.
const THERE_S: u64 = 24 * 60 * 60;

/// Why nobody is there. The numbers stand on disk: new ones are added at the end.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum NotThere {
    /// The child came more than a day before it was told.
    Earlier,
    /// It had been acknowledged before, or what was told before stands over it: an error that the encounter was said to be, as well.
    Again,
    /// There was no such presentation: it was entered in error.
    InError,
}

impl NotThere {
    /// What an event says itself, at the moment at which it is told; nothing where the child may be there, and of an outcome alone.
    #[must_use]
    pub fn told_by(action: &PresentationAction, at: Moment) -> Option<Self> {
        let closing = match action {
            PresentationAction::Close(closing) | PresentationAction::Import(_, Some(closing)) => Some(closing.outcome),
            PresentationAction::Record(_) | PresentationAction::Amend(_) | PresentationAction::Import(_, None) => None,
        };
        if closing == Some(Outcome::EnteredInError) {
            return Some(Self::InError);
        }
        let long_ago = |details: &Details| at.seconds_since(details.arrived_at) > THERE_S;
        match action {
            PresentationAction::Record(details)
            | PresentationAction::Amend(details)
            | PresentationAction::Import(details, _) => long_ago(details).then_some(Self::Earlier),
            PresentationAction::Close(_) => None,
        }
    }

    /// The same once it is known what became of the event; of what was refused there is nothing to say.
    #[must_use]
    pub fn of(told: Option<Self>, became: Became) -> Option<Self> {
        match became {
            Became::Applied | Became::Kept => told,
            Became::Overtaken | Became::Repeated => Some(Self::Again),
            Became::Refused(_) => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use kith_domain::codes::SiteCode;
    use kith_domain::presentation::{CareSetting, Closing, Complaint};

    const NOW: Moment = Moment(1_790_000_000_000);

    fn came(seconds_ago: i64) -> Details {
        Details {
            site: SiteCode::parse("R1H01").unwrap(),
            arrived_at: NOW.plus_seconds(-seconds_ago),
            setting: CareSetting::EmergencyDepartment,
            complaint: Complaint::Injury,
            birth_date: None,
        }
    }

    #[test]
    fn an_arrival_of_long_ago_and_an_error_tell_of_nobody_who_is_there() {
        use PresentationAction::{Amend, Close, Import, Record};
        let told = |action| NotThere::told_by(&action, NOW);
        let ended = |outcome| Closing { outcome, at: NOW };
        let (error, home) = (ended(Outcome::EnteredInError), ended(Outcome::Discharged));
        for (seconds_ago, expected) in
            [(-60, None), (0, None), (24 * 3_600, None), (24 * 3_600 + 1, Some(NotThere::Earlier))]
        {
            assert_eq!(told(Record(came(seconds_ago))), expected, "{seconds_ago}");
            assert_eq!(told(Amend(came(seconds_ago))), expected, "{seconds_ago}");
            assert_eq!(told(Import(came(seconds_ago), None)), expected, "{seconds_ago}");
            assert_eq!(told(Import(came(seconds_ago), Some(home))), expected, "{seconds_ago}");
            assert_eq!(told(Import(came(seconds_ago), Some(error))), Some(NotThere::InError), "{seconds_ago}");
        }
        assert_eq!((told(Close(home)), told(Close(error))), (None, Some(NotThere::InError)));
    }

    #[test]
    fn what_changed_nothing_tells_of_nobody_who_is_there() {
        for told in [None, Some(NotThere::Earlier), Some(NotThere::InError)] {
            for became in [Became::Applied, Became::Kept] {
                assert_eq!(NotThere::of(told, became), told, "{became:?}");
            }
            for became in [Became::Repeated, Became::Overtaken] {
                assert_eq!(NotThere::of(told, became), Some(NotThere::Again), "{became:?}");
            }
            assert_eq!(NotThere::of(told, Became::refused("STORAGE_UNAVAILABLE")), None);
        }
    }
}
