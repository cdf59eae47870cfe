//! An authority's own plans as it reads them: what is held of those that it has sent, in pages, and nothing of anybody else's.

use crate::engine::Engine;
use crate::keys;
use kith_domain::child::{ChildRecord, Subject};
use kith_domain::codes::LaCode;
use kith_domain::notify::last_day_of;
use kith_domain::permit::ActionPermit;
use kith_domain::plan::{Plan, PlanState};
use kith_domain::time::{Day, Moment};

/// Where a child stands in the list: a keyed pseudonym, so that a token tells nobody who it is.
pub type Place = Vec<u8>;

/// Bytes of a place.
const PLACE_BYTES: usize = 16;

/// Somebody about whom the authority has sent a plan.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OwnChild {
    /// The number or the key that the plans were begun under.
    pub subject: Subject,
    /// The authority's plans, with their state today; a withdrawn one has none.
    pub plans: Vec<(Plan, Option<PlanState>)>,
}

/// A page of children.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct OwnPage {
    /// In order of their places.
    pub children: Vec<OwnChild>,
    /// The place after which the next page begins; none at the end.
    pub next_after: Option<Place>,
}

/// A place as a token of it says; `None` for any other text.
#[must_use]
pub fn place_of(token: &str) -> Option<Place> {
    hex::decode(token).ok().filter(|place| place.len() == PLACE_BYTES)
}

impl Engine {
    /// Lists so many children with plans of the permit's authority, from after a place on.
    #[must_use]
    pub fn own_plans(&self, permit: &ActionPermit, after: Option<&Place>, limit: usize, now: Moment) -> OwnPage {
        let mut page = OwnPage::default();
        let Ok(authority) = LaCode::parse(permit.peer().organisation.as_str()) else { return page };
        let today = now.london_day();
        let placed = |subject: Subject| (keys::child(&self.keys, &subject), subject);
        let subjects = self.index().planned_by(authority).into_iter().map(placed);
        let mut subjects: Vec<(Place, Subject)> =
            subjects.filter(|(place, _)| after.is_none_or(|after| place > after)).collect();
        subjects.sort_unstable_by(|one, other| one.0.cmp(&other.0));
        let mut last = None;
        for (place, subject) in subjects {
            let plans = self.own_plans_of(&subject, authority, today);
            if plans.is_empty() {
                continue;
            }
            if page.children.len() == limit {
                page.next_after = last;
                break;
            }
            page.children.push(OwnChild { subject, plans });
            last = Some(place);
        }
        page
    }

    /// An authority's plans on one record, without those that have passed.
    fn own_plans_of(&self, subject: &Subject, authority: LaCode, today: Day) -> Vec<(Plan, Option<PlanState>)> {
        let Some(record) = self.index().for_writer(subject) else { return Vec::new() };
        let (person, settings) = (self.index().person(subject), self.settings());
        let passed = settings.retention().split(&record, &person, today);
        let held: &ChildRecord = passed.as_ref().map_or(&record, |passed| &passed.kept);
        let state = |plan: &Plan| plan.state(today, last_day_of(&person, held, plan), settings.plan_retention_months);
        let own = held.plans.iter().filter(|plan| plan.authority == authority);
        own.map(|plan| (plan.clone(), if plan.is_withdrawn() { None } else { state(plan) })).collect()
    }
}
