//! Attendances of one child over the year before the as-of day: how many, where, when, what for, how they ended.
//! Never on or after the as-of day, never before birth, never of an adult.

use crate::calendar::Day;
use crate::dice::Dice;
use crate::geography::{Geography, Home};
use crate::person::{Outcome, Visit};
use crate::reference::Reference;

/// Days before the as-of day in which attendances lie.
const YEAR_DAYS: Day = 365;
/// Attendances a year, in a thousand attending children: one, two, three, four or more. Together with the ages the two
/// tables give 9.1 % with four or more and 1.8 attendances a child.
const COUNTS_INFANT: [u32; 4] = [520, 220, 120, 140];
const COUNTS_OLDER: [u32; 4] = [643, 190, 91, 76];
/// How many, for those with four or more: (weight, attendances); mean 5.5.
const FREQUENT: [(u32, u32); 10] =
    [(43, 4), (25, 5), (13, 6), (7, 7), (4, 8), (3, 9), (2, 10), (1, 12), (1, 15), (1, 20)];
/// Born within this many days of the as-of day counts as an infant for the number of attendances.
const INFANT_DAYS: Day = 730;
/// In a thousand: at another trust near home, at a trust anywhere else; the rest at the usual one.
const ELSEWHERE: [u32; 3] = [80, 40, 880];
/// Arrivals by hour of the London day.
const HOURS: [u32; 24] = [20, 14, 10, 8, 7, 7, 10, 18, 32, 46, 54, 56, 54, 53, 54, 58, 66, 74, 78, 74, 64, 52, 40, 28];
const SETTINGS: [(&str, u32); 6] = [
    ("emergency-department", 860),
    ("urgent-treatment-centre", 70),
    ("minor-injuries-unit", 30),
    ("walk-in-centre", 20),
    ("out-of-hours", 10),
    ("ambulance", 10),
];
const COMPLAINTS: [&str; 13] = [
    "injury",
    "head-injury",
    "burn-or-scald",
    "poisoning-or-ingestion",
    "fracture",
    "bite",
    "self-harm",
    "mental-health",
    "alcohol-or-drugs",
    "sexual-health",
    "illness",
    "other",
    "not-recorded",
];
/// Complaints in a thousand by age at arrival: below 2, 5, 12 and 18.
const COMPLAINT_WEIGHTS: [(i32, [u32; 13]); 4] = [
    (2, [80, 100, 25, 20, 10, 4, 0, 0, 0, 0, 690, 50, 21]),
    (5, [180, 130, 20, 25, 45, 10, 0, 0, 0, 0, 520, 50, 20]),
    (12, [300, 90, 8, 6, 110, 10, 3, 8, 0, 0, 395, 50, 30]),
    (18, [290, 60, 5, 10, 90, 8, 55, 50, 22, 10, 330, 50, 20]),
];
const OUTCOMES: [(Outcome, u32); 8] = [
    (Outcome::Discharged, 853),
    (Outcome::Admitted, 85),
    (Outcome::LeftBeforeBeingSeen, 35),
    (Outcome::DischargedWithConcerns, 13),
    (Outcome::Transferred, 7),
    (Outcome::LeftAgainstAdvice, 3),
    (Outcome::Waiting, 3),
    (Outcome::EnteredInError, 1),
];
/// One last attendance in this many ends in death.
const DEATHS: u32 = 20_000;
/// Attendances written as a waiting row and then again with their outcome, in a thousand.
const TWO_ROWS: u32 = 100;
/// Attendances of one child fall on different days where this many draws allow.
const DAY_DRAWS: u32 = 8;
/// Users of a trust who look children up.
pub(crate) const USERS: u32 = 40;

/// Draws the attendances of one child.
pub(crate) struct VisitMaker<'a> {
    pub(crate) reference: &'a Reference,
    pub(crate) geography: &'a Geography,
    pub(crate) dice: &'a mut Dice,
    pub(crate) home: Home,
    pub(crate) born: Day,
}

impl VisitMaker<'_> {
    /// A year's attendances, at least one, oldest first.
    pub(crate) fn year(&mut self) -> Vec<Visit> {
        let mut days: Vec<Day> = Vec::new();
        for _ in 0..self.count() {
            let earliest = self.born.max(-YEAR_DAYS);
            let mut day = self.dice.days(earliest, -1);
            for _ in 0..DAY_DRAWS {
                if !days.contains(&day) {
                    break;
                }
                day = self.dice.days(earliest, -1);
            }
            days.push(day);
        }
        days.sort_unstable();
        let mut visits: Vec<Visit> = days.into_iter().map(|day| self.visit(day)).collect();
        if self.dice.below(DEATHS) == 0
            && let Some(last) = visits.last_mut()
        {
            last.outcome = Outcome::Died;
        }
        visits.sort_by_key(|visit| (visit.day, visit.second));
        visits
    }

    fn count(&mut self) -> u32 {
        let table = if self.born > -INFANT_DAYS { &COUNTS_INFANT } else { &COUNTS_OLDER };
        match self.dice.weighted(table) {
            3 => FREQUENT[self.dice.weighted(&FREQUENT.map(|(weight, _)| weight))].1,
            fewer => fewer as u32 + 1,
        }
    }

    fn visit(&mut self, day: Day) -> Visit {
        let trust = self.trust();
        let sites = &self.reference.trusts[usize::from(trust)].emergency_sites;
        let site = sites[self.dice.below(sites.len() as u32) as usize];
        let second = self.dice.weighted(&HOURS) as u32 * 3_600 + self.dice.below(3_600);
        let outcome = OUTCOMES[self.dice.weighted(&OUTCOMES.map(|(_, weight)| weight))].0;
        let (shortest, longest) = stay(outcome);
        Visit {
            trust,
            site,
            day,
            second,
            setting: SETTINGS[self.dice.weighted(&SETTINGS.map(|(_, weight)| weight))].0,
            complaint: self.complaint(day),
            outcome,
            stay_minutes: shortest + self.dice.below(longest - shortest),
            in_two_rows: self.dice.per_mille(TWO_ROWS),
            triage_minutes: 1 + self.dice.below(20),
            user: self.dice.below(USERS),
        }
    }

    fn trust(&mut self) -> u16 {
        match self.dice.weighted(&ELSEWHERE) {
            0 => self.geography.neighbour(self.dice, self.home),
            1 => self.geography.faraway(self.dice, self.home),
            _ => self.home.trust,
        }
    }

    fn complaint(&mut self, day: Day) -> &'static str {
        let age = (day - self.born) * 4 / 1_461;
        let found = COMPLAINT_WEIGHTS.iter().find(|(below, _)| age < *below);
        let weights = found.map_or(&COMPLAINT_WEIGHTS[3].1, |(_, weights)| weights);
        COMPLAINTS[self.dice.weighted(weights)]
    }
}

/// Shortest and longest time from arrival to outcome, in minutes.
fn stay(outcome: Outcome) -> (u32, u32) {
    match outcome {
        Outcome::Admitted | Outcome::Transferred | Outcome::Died => (120, 600),
        Outcome::LeftBeforeBeingSeen => (30, 240),
        Outcome::Waiting
        | Outcome::Discharged
        | Outcome::LeftAgainstAdvice
        | Outcome::DischargedWithConcerns
        | Outcome::EnteredInError => (25, 300),
    }
}
