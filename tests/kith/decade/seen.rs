//! The naive model's presentations and access history, worked out from everything told. By the rules of the domain, and by
//! nothing of the service.

use std::collections::BTreeMap;

use kith_domain::change::{PresentationAction, PresentationEvent};
use kith_domain::codes::{OdsCode, SiteCode};
use kith_domain::presentation::{CareSetting, Complaint, Outcome};
use kith_domain::text::EncounterId;
use kith_domain::time::{Day, Moment};

use super::calendar::london_day;
use super::ledger::{Lookup, Told};

/// Days for which presentations and history are held.
pub const HELD_DAYS: i32 = 365;
/// Days within which presentations are listed.
pub const WINDOW_DAYS: i32 = 90;
/// Rows of history shown.
pub const ROWS: usize = 25;
/// Lookups of one organisation within four hours are one row.
const ROW_MS: i64 = 4 * 3_600_000;

/// Site, arrival, setting and complaint.
pub type Details = (SiteCode, Moment, CareSetting, Complaint);

/// A presentation as its events leave it.
#[derive(Debug, Clone)]
pub struct Seen {
    pub organisation: OdsCode,
    pub encounter: EncounterId,
    pub details: Option<Details>,
    pub born: Option<Day>,
    pub outcome: Outcome,
    /// Arrival; the closing where no arrival was told.
    pub at: Moment,
}

fn one(mut events: Vec<&PresentationEvent>) -> Seen {
    events.sort_by_key(|event| event.version);
    let first = events[0];
    let (mut details, mut closing) = (None, None);
    for event in &events {
        let (told, ended) = match &event.action {
            PresentationAction::Record(told) | PresentationAction::Amend(told) => (Some(told), None),
            PresentationAction::Import(told, ended) => (Some(told), ended.as_ref()),
            PresentationAction::Close(ended) => (None, Some(ended)),
        };
        details = told.map(|told| (event.version, told)).or(details);
        closing = ended.map(|ended| (event.version, ended)).or(closing);
    }
    let outcome = match (details, closing) {
        (_, None) => Outcome::Waiting,
        // Recorded again afterwards: it was no error.
        (Some((recorded, _)), Some((closed, ended)))
            if ended.outcome == Outcome::EnteredInError && recorded > closed =>
        {
            Outcome::Waiting
        }
        (_, Some((_, ended))) => ended.outcome,
    };
    let details = details.map(|(_, told)| told);
    Seen {
        organisation: first.organisation,
        encounter: first.encounter.clone(),
        details: details.map(|told| (told.site, told.arrived_at, told.setting, told.complaint)),
        born: details.and_then(|told| told.birth_date),
        outcome,
        at: details.map(|told| told.arrived_at).or(closing.map(|(_, ended)| ended.at)).unwrap_or_default(),
    }
}

fn all(facts: &[Told]) -> Vec<Seen> {
    let mut events: BTreeMap<(OdsCode, &EncounterId), Vec<&PresentationEvent>> = BTreeMap::new();
    for told in facts {
        if let Told::Presentation(event) = told {
            events.entry((event.organisation, &event.encounter)).or_default().push(event);
        }
    }
    events.into_values().map(one).collect()
}

fn is_held(seen: &Seen, today: Day) -> bool {
    london_day(seen.at) >= today.plus_days(-HELD_DAYS)
}

/// Presentations held on a day, newest first, entries in error included.
pub fn held(facts: &[Told], today: Day) -> Vec<Seen> {
    let mut held: Vec<Seen> = all(facts).into_iter().filter(|seen| is_held(seen, today)).collect();
    held.sort_by_key(|seen| std::cmp::Reverse(seen.at));
    held
}

/// Presentations whose time has passed.
pub fn passed(facts: &[Told], today: Day) -> Vec<(OdsCode, EncounterId)> {
    let over = all(facts).into_iter().filter(|seen| !is_held(seen, today));
    over.map(|seen| (seen.organisation, seen.encounter)).collect()
}

/// One row of history.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Row {
    pub organisation: String,
    pub user: (String, String),
    pub first: Moment,
    pub last: Moment,
    pub count: u32,
}

/// Rows of history held on a day, newest first.
pub fn history(facts: &[Told], today: Day) -> Vec<Row> {
    let mut rows: Vec<Row> = Vec::new();
    for told in facts {
        let Told::Lookup(Lookup { at, organisation, user, request: _ }) = told else { continue };
        let same = |row: &&mut Row| row.organisation == *organisation && at.0 - row.first.0 < ROW_MS;
        if let Some(row) = rows.iter_mut().rev().find(same) {
            (row.last, row.user, row.count) = (*at, user.clone(), row.count + 1);
        } else {
            let (organisation, user) = (organisation.clone(), user.clone());
            rows.push(Row { organisation, user, first: *at, last: *at, count: 1 });
        }
    }
    rows.retain(|row| london_day(row.last) >= today.plus_days(-HELD_DAYS));
    rows.reverse();
    rows
}
