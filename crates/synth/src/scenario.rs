//! Which of the situations worth asking about a person is in, and whether the answer will still hold if it is asked a
//! few days early or late. Never writes the expected answer itself.

use crate::calendar::{ADULT_YEARS, Calendar, Day};
use crate::person::{Course, Kind, Outcome, Person, Plan, State};

/// A situation that the truth file has samples of.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub(crate) enum Scenario {
    OnPlan,
    LookedAfter,
    PlanEnded,
    Unborn,
    SeenElsewhere,
    OnPlanAndSeenElsewhere,
    Shielded,
    NoneHeld,
    DateOfBirthMismatch,
    FuturePlan,
    Transferred,
    Withdrawn,
    TwoAuthorities,
    SiblingTwins,
    FrequentAttender,
}

impl Scenario {
    /// All of them, in the order of the truth file.
    pub(crate) const ALL: [Self; 15] = [
        Self::OnPlan,
        Self::LookedAfter,
        Self::PlanEnded,
        Self::Unborn,
        Self::SeenElsewhere,
        Self::OnPlanAndSeenElsewhere,
        Self::Shielded,
        Self::NoneHeld,
        Self::DateOfBirthMismatch,
        Self::FuturePlan,
        Self::Transferred,
        Self::Withdrawn,
        Self::TwoAuthorities,
        Self::SiblingTwins,
        Self::FrequentAttender,
    ];

    /// The name used in the truth file.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::OnPlan => "on-plan",
            Self::LookedAfter => "looked-after",
            Self::PlanEnded => "plan-ended",
            Self::Unborn => "unborn",
            Self::SeenElsewhere => "seen-elsewhere",
            Self::OnPlanAndSeenElsewhere => "on-plan-and-seen-elsewhere",
            Self::Shielded => "shielded",
            Self::NoneHeld => "none-held",
            Self::DateOfBirthMismatch => "date-of-birth-mismatch",
            Self::FuturePlan => "future-plan",
            Self::Transferred => "transferred",
            Self::Withdrawn => "withdrawn",
            Self::TwoAuthorities => "two-authorities",
            Self::SiblingTwins => "sibling-twins",
            Self::FrequentAttender => "frequent-attender",
        }
    }
}

/// Attendances of the last this many days are shown; older ones are counted.
pub(crate) const WINDOW_DAYS: Day = 90;
/// Attendances are kept this long.
const KEPT_DAYS: Day = 365;
/// Ended plans are shown this long.
const KEPT_YEARS: usize = 1;
/// Nobody with a fact this close to a boundary is sampled: the question may be asked some days after the as-of day.
const MARGIN_DAYS: Day = 3;
/// Attendances in the year that make a frequent attender.
const FREQUENT: usize = 4;

/// Whether `person` is in the situation and far enough from every boundary.
pub(crate) fn fits(scenario: Scenario, person: &Person, calendar: &Calendar) -> bool {
    is_settled(person, calendar) && describes(scenario, person)
}

fn describes(scenario: Scenario, person: &Person) -> bool {
    let recent = person.visits.iter().any(|visit| visit.day >= -WINDOW_DAYS);
    let single = match person.plans.as_slice() {
        [plan] if !person.shielded => Some(plan),
        _ => None,
    };
    let single_is =
        |kind: Kind, state: State| single.is_some_and(|plan| plan.kind == kind && plan.state() == Some(state));
    match scenario {
        Scenario::OnPlan => single_is(Kind::Cpp, State::Active) && !recent,
        Scenario::OnPlanAndSeenElsewhere => single_is(Kind::Cpp, State::Active) && recent,
        Scenario::DateOfBirthMismatch => single_is(Kind::Cpp, State::Active),
        Scenario::LookedAfter => single_is(Kind::Lac, State::Active),
        Scenario::PlanEnded => single_is(Kind::Cpp, State::Ended) || single_is(Kind::Lac, State::Ended),
        Scenario::Unborn => single_is(Kind::Ucpp, State::Active),
        Scenario::FuturePlan => single.is_some_and(|plan| plan.state() == Some(State::Future)),
        Scenario::Withdrawn => single.is_some_and(|plan| plan.state().is_none()),
        Scenario::Shielded => person.shielded,
        Scenario::Transferred => has_moved(&person.plans),
        Scenario::TwoAuthorities => in_two_authorities(&person.plans) && !has_moved(&person.plans),
        Scenario::SeenElsewhere => person.plans.is_empty() && recent,
        Scenario::FrequentAttender => person.plans.is_empty() && person.visits.len() >= FREQUENT,
        Scenario::NoneHeld => person.plans.is_empty() && person.visits.is_empty(),
        Scenario::SiblingTwins => true,
    }
}

fn has_moved(plans: &[Plan]) -> bool {
    plans.iter().any(|plan| matches!(plan.course, Course::MovedFrom(_)))
}

fn in_two_authorities(plans: &[Plan]) -> bool {
    plans.first().is_some_and(|first| plans.iter().any(|plan| plan.authority != first.authority))
}

/// No fact within the margin of a rule's boundary, and none whose treatment the samples do not describe.
pub(crate) fn is_settled(person: &Person, calendar: &Calendar) -> bool {
    let near = |day: Day, boundary: Day| (day - boundary).abs() <= MARGIN_DAYS;
    let year = calendar.years_back(KEPT_YEARS);
    let visits = person.visits.iter().all(|visit| {
        let described = !matches!(visit.outcome, Outcome::EnteredInError | Outcome::Died);
        described && !near(visit.day, -WINDOW_DAYS) && !near(visit.day, -KEPT_DAYS) && !near(visit.day, year)
    });
    let plans = person.plans.iter().all(|plan| {
        let end = plan.end.is_none_or(|end| !near(end, 0) && !near(end, year));
        end && !near(plan.start, 0)
    });
    visits && plans && person.birth_known && !near(person.born, calendar.years_back(ADULT_YEARS))
}
