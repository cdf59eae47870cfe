//! The truth file: for sampled people, what the answer to a question must be. At most a fixed number per scenario is
//! kept, chosen by a rank of the NHS number, so that memory does not grow with the England written.

use serde::Serialize;
use std::collections::BTreeMap;

use crate::calendar::{Calendar, Day};
use crate::dice::{Dice, Part, mix};
use crate::geography::Geography;
use crate::output::TableFile;
use crate::person::{Household, Person, State, Visit};
use crate::reference::Reference;
use crate::scenario::{Scenario, WINDOW_DAYS, fits, is_settled};
use crate::{SynthError, people::PeopleMaker};

/// Samples kept of each scenario; twins count as one sample of two lines.
const SAMPLES: usize = 40;
/// Numbers about which nothing is written.
const STRANGERS: u64 = 40;
/// Keeps the draw of an asking trust apart from the draws that made the household.
const ASKER_THROW: u8 = 1;

#[derive(Serialize)]
struct Line {
    scenario: &'static str,
    nhs_number: String,
    date_of_birth: String,
    ask_as: String,
    number_traced: bool,
    expect: Expect,
}

#[derive(Serialize)]
struct Expect {
    identity: &'static str,
    plans: &'static str,
    presentations: &'static str,
    plan_list: Vec<PlanLine>,
    at_this_trust: Option<usize>,
    at_other_trusts: Option<usize>,
    #[serde(skip_serializing_if = "Option::is_none")]
    presentations_total: Option<usize>,
    beyond_window: Option<usize>,
    shielded: bool,
}

#[derive(Serialize)]
struct PlanLine {
    kind: &'static str,
    authority: Option<String>,
    state: &'static str,
    start: String,
    end: Option<String>,
}

/// Collects samples while households pass by.
pub(crate) struct Truth<'a> {
    seed: u64,
    calendar: &'a Calendar,
    reference: &'a Reference,
    geography: &'a Geography,
    samples: BTreeMap<Scenario, BTreeMap<u64, Vec<Line>>>,
}

impl<'a> Truth<'a> {
    pub(crate) fn new(maker: &PeopleMaker<'a>) -> Self {
        let samples = Scenario::ALL.into_iter().map(|scenario| (scenario, BTreeMap::new())).collect();
        let PeopleMaker { seed, calendar, reference, geography, .. } = *maker;
        Self { seed, calendar, reference, geography, samples }
    }

    /// Offers a household; what ranks among the samples is kept.
    pub(crate) fn offer(&mut self, household: &Household) {
        for person in household.people.iter().filter(|person| is_settled(person, self.calendar)) {
            for scenario in Scenario::ALL {
                if scenario != Scenario::SiblingTwins && fits(scenario, person, self.calendar) {
                    self.keep(scenario, &[person]);
                }
            }
        }
        if let [first, second, ..] = household.people.as_slice()
            && household.twins
            && [first, second].into_iter().all(|twin| is_settled(twin, self.calendar) && !twin.shielded)
            && first.visits.len() + first.plans.len() != second.visits.len() + second.plans.len()
        {
            self.keep(Scenario::SiblingTwins, &[first, second]);
        }
    }

    /// Adds the numbers about which nothing is written.
    pub(crate) fn add_strangers(&mut self, maker: &mut PeopleMaker<'_>) {
        for index in 0..STRANGERS {
            let person = maker.stranger(index);
            self.keep(Scenario::NoneHeld, &[&person]);
        }
    }

    fn keep(&mut self, scenario: Scenario, people: &[&Person]) {
        let Some(first) = people.first() else { return };
        let rank = mix(first.number ^ ((scenario as u64 + 1) << 40));
        let Some(kept) = self.samples.get(&scenario) else { return };
        let full = kept.len() >= SAMPLES;
        if full && kept.last_key_value().is_some_and(|(highest, _)| rank > *highest) {
            return;
        }
        let lines = people.iter().map(|person| self.line(scenario, person)).collect();
        if let Some(kept) = self.samples.get_mut(&scenario) {
            kept.insert(rank, lines);
            if full {
                kept.pop_last();
            }
        }
    }

    /// Writes the samples in scenario order; gives back the number of lines of each.
    pub(crate) fn write(&self, file: &mut TableFile) -> Result<BTreeMap<&'static str, u64>, SynthError> {
        let mut counts = BTreeMap::new();
        for (scenario, kept) in &self.samples {
            let lines = kept.values().flatten();
            for line in lines {
                let text = serde_json::to_string(line).map_err(|source| SynthError::Json { source })?;
                file.row(|row| {
                    row.extend_from_slice(text.as_bytes());
                    Ok(())
                })?;
                *counts.entry(scenario.name()).or_insert(0) += 1;
            }
        }
        Ok(counts)
    }

    fn line(&self, scenario: Scenario, person: &Person) -> Line {
        let asker = self.asker(person);
        let mismatch = scenario == Scenario::DateOfBirthMismatch;
        Line {
            scenario: scenario.name(),
            nhs_number: format!("{:010}", person.number),
            date_of_birth: if mismatch { self.wrong_birth(person) } else { self.calendar.text(person.born).to_owned() },
            ask_as: self.reference.trusts[usize::from(asker)].code.clone(),
            number_traced: true,
            expect: if mismatch { withheld() } else { self.expect(person, asker) },
        }
    }

    /// The usual trust, unless that is the only one that counts: then a neighbour, so that whatever is held of the last
    /// weeks (or, without such, of the year) was seen elsewhere and no sample rests on how "seen here only" is worded.
    fn asker(&self, person: &Person) -> u16 {
        let any_recent = person.visits.iter().any(|visit| is_recent(visit.day));
        let mut telling = person.visits.iter().filter(|visit| !any_recent || is_recent(visit.day)).peekable();
        if telling.peek().is_none() || telling.any(|visit| visit.trust != person.home.trust) {
            return person.home.trust;
        }
        let mut dice = Dice::new(self.seed, Part::Strangers, person.number, ASKER_THROW);
        self.geography.neighbour(&mut dice, person.home)
    }

    /// A date of which year, month and day are all wrong, and which could be a child's.
    fn wrong_birth(&self, person: &Person) -> String {
        let born = self.calendar.date(person.born);
        let years = if person.born > -2_000 { -3 } else { 3 };
        let month = (born.month() + 4) % 12 + 1;
        let day = (born.day() + 8) % 28 + 1;
        format!("{:04}-{month:02}-{day:02}", born.year() + years)
    }

    fn expect(&self, person: &Person, asker: u16) -> Expect {
        let recent = person.visits.iter().filter(|visit| is_recent(visit.day));
        let (here, elsewhere): (Vec<&Visit>, Vec<&Visit>) = recent.partition(|visit| visit.trust == asker);
        let total = here.len() + elsewhere.len();
        let plan_list: Vec<PlanLine> = person
            .plans
            .iter()
            .filter_map(|plan| {
                let state = match plan.state()? {
                    State::Future => "future",
                    State::Active => "active",
                    State::Ended => "ended",
                };
                let authority = &self.reference.authorities[usize::from(plan.authority)].code;
                Some(PlanLine {
                    kind: plan.kind.code(),
                    authority: (!person.shielded).then(|| authority.clone()),
                    state,
                    start: self.calendar.text(plan.start).to_owned(),
                    end: plan.end.map(|end| self.calendar.text(end).to_owned()),
                })
            })
            .collect();
        Expect {
            identity: "confirmed",
            plans: held(!plan_list.is_empty()),
            presentations: held(!person.visits.is_empty()),
            plan_list,
            at_this_trust: (!person.shielded).then_some(here.len()),
            at_other_trusts: (!person.shielded).then_some(elsewhere.len()),
            presentations_total: person.shielded.then_some(total),
            beyond_window: Some(person.visits.len() - total),
            shielded: person.shielded,
        }
    }
}

fn is_recent(day: Day) -> bool {
    day >= -WINDOW_DAYS
}

fn held(any: bool) -> &'static str {
    if any { "held" } else { "none-held" }
}

/// Nothing may be told to somebody whose question does not match the child.
fn withheld() -> Expect {
    Expect {
        identity: "not-confirmed",
        plans: "withheld",
        presentations: "withheld",
        plan_list: Vec::new(),
        at_this_trust: None,
        at_other_trusts: None,
        presentations_total: None,
        beyond_window: None,
        shielded: false,
    }
}
