//! What is held of the same person under other numbers and keys: that of an earlier number, of one that stands in the place of the
//! number asked about, and of hospitals' own keys. Whose key it is, is a place.

use kith_domain::NhsNumber;
use kith_domain::child::{ChildRecord, Subject};
use kith_domain::links;
use kith_domain::text::LocalKey;

use super::world::{Places, PlanShape, SeenShape, number};

/// The number asked about.
const ASKED: u32 = 1;
const EARLIER: u32 = 3;
const LATER: u32 = 4;

/// Under what it is held.
#[derive(Debug, Clone, Copy)]
pub enum Under {
    /// A number in whose place the one asked about stands.
    Earlier,
    /// The number that stands in the place of the one asked about.
    Later,
    /// The key of a hospital, which the places give a meaning to.
    Key(usize),
}

impl Under {
    /// Each that a person may have beside the number asked about.
    pub const ALL: [Self; 4] = [Self::Earlier, Self::Later, Self::Key(0), Self::Key(1)];

    pub fn subject(self, places: &Places) -> Subject {
        match self {
            Self::Earlier => Subject::Nhs(number(EARLIER)),
            Self::Later => Subject::Nhs(number(LATER)),
            Self::Key(at) => Subject::Local(places.trust(at), LocalKey::parse("K-1").unwrap()),
        }
    }

    /// Tells the record of the number asked about, and this one, of each other.
    pub fn link(self, asked: &mut ChildRecord, other: &mut ChildRecord) {
        match self {
            Self::Earlier | Self::Key(_) => {
                replace(other, number(ASKED));
                links::link(asked, &other.subject);
            }
            Self::Later => {
                replace(asked, number(LATER));
                links::link(other, &asked.subject);
            }
        }
    }
}

fn replace(record: &mut ChildRecord, by: NhsNumber) {
    record.identity.get_or_insert_default().successor.set(1, Some(by));
}

/// What is held there, without its place.
#[derive(Debug, Clone)]
pub struct LinkShape {
    pub under: Under,
    pub plans: Vec<PlanShape>,
    pub seen: Vec<SeenShape>,
    /// A shield of the person stands here, and not with the number asked about.
    pub shields: bool,
}
