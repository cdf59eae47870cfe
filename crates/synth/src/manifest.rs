//! The manifest: the arguments, counts of everything and a hash of every file. Written last, so that a directory with
//! a manifest is complete.

use serde::Serialize;
use std::collections::BTreeMap;

use crate::calendar::Calendar;
use crate::output::FileEntry;
use crate::person::{Household, Kind, State};

/// What was written. The same arguments give the same manifest on every machine.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Manifest {
    /// The seed given.
    pub seed: u64,
    /// The scale given, as a decimal.
    pub scale: String,
    /// The as-of date, YYYY-MM-DD: everything dated lies before it, except future plans and planned ends.
    pub as_of: String,
    /// Counts of people and facts.
    pub counts: Counts,
    /// Lines of the truth file by scenario.
    pub truth: BTreeMap<&'static str, u64>,
    /// Every file but this one, by path.
    pub files: Vec<FileEntry>,
}

/// Counts over the whole England.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Counts {
    /// People with at least one row in a file.
    pub people: u64,
    /// Children with at least one attendance.
    pub attending_children: u64,
    /// Of these, with four or more attendances.
    pub frequent_attenders: u64,
    /// Attendances (an attendance may have two rows).
    pub presentations: u64,
    /// Rows of the presentation files.
    pub presentation_rows: u64,
    /// Rows of the access files.
    pub accesses: u64,
    /// Plans (a plan may have up to three rows).
    pub plans: u64,
    /// Rows of the plan files.
    pub plan_rows: u64,
    /// Plans of shielded children.
    pub shielded_plans: u64,
    /// Plans by kind and state on the as-of day, such as `cpp-active`; withdrawn ones as `withdrawn`.
    pub plans_by_state: BTreeMap<String, u64>,
    /// Pairs of twins.
    pub twins: u64,
    /// Mothers who are themselves children.
    pub young_mothers: u64,
}

/// Attendances a year from which a child counts as a frequent attender.
const FREQUENT: usize = 4;

impl Counts {
    /// Adds one household.
    pub(crate) fn add(&mut self, household: &Household, calendar: &Calendar) {
        self.twins += u64::from(household.twins);
        for person in &household.people {
            let (visits, plans) = (person.visits.len(), person.plans.len() as u64);
            self.people += 1;
            self.attending_children += u64::from(visits > 0);
            self.frequent_attenders += u64::from(visits >= FREQUENT);
            self.presentations += visits as u64;
            self.plans += plans;
            self.shielded_plans += if person.shielded { plans } else { 0 };
            let mother = person.plans.iter().any(|plan| plan.kind == Kind::Ucpp);
            self.young_mothers += u64::from(mother && person.is_child(calendar));
            for plan in &person.plans {
                let name = match plan.state() {
                    None => "withdrawn".to_owned(),
                    Some(State::Future) => format!("{}-future", plan.kind.code()),
                    Some(State::Active) => format!("{}-active", plan.kind.code()),
                    Some(State::Ended) => format!("{}-ended", plan.kind.code()),
                };
                *self.plans_by_state.entry(name).or_insert(0) += 1;
            }
        }
    }
}
