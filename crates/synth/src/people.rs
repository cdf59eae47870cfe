//! Makes households: first the people with plans (and some of their brothers, sisters and twins), then families of
//! attending children until the year's number is reached. Never writes anything; it hands each household on once.

use crate::calendar::{Calendar, Day};
use crate::cases::{Case, Cases};
use crate::dice::{Dice, Part};
use crate::geography::{Geography, Home};
use crate::number::NumberLine;
use crate::person::{Household, Person, Plan};
use crate::plans::PlanMaker;
use crate::reference::Reference;
use crate::scenario::{self, Scenario};
use crate::visits::VisitMaker;
use crate::{SynthError, scale::Scale};

/// Children who attend at least once a year at scale 1.
const ATTENDING: u64 = 3_500_000;
/// Attending children by age in years: infants far above the rest.
const ATTENDING_AGES: [u32; 18] = [130, 110, 85, 65, 55, 48, 44, 42, 42, 42, 44, 47, 48, 49, 48, 48, 50, 50];
/// Ages of children on child protection plans.
const CPP_AGES: [u32; 18] = [100, 70, 70, 65, 65, 60, 57, 55, 54, 54, 52, 52, 50, 50, 48, 48, 30, 20];
/// Ages of looked-after children.
const LAC_AGES: [u32; 18] = [50, 35, 35, 35, 35, 37, 38, 38, 38, 39, 52, 56, 60, 65, 70, 77, 115, 125];
/// Ages of mothers of unborn children with a plan: adults from 18, and the young ones from 15.
const MOTHER_AGES: (i32, i32) = (18, 40);
const YOUNG_MOTHER_AGES: (i32, i32) = (15, 17);
/// Draws of an age before it is taken from the plan's start instead.
const AGE_DRAWS: u32 = 24;
/// Children with plans who attended within the year, in a thousand.
const ATTENDS: u32 = 450;
/// Brothers or sisters of a child with a plan who attended, in a thousand; twins: one such child in 50.
const PLAN_SIBLING: u32 = 200;
const PLAN_TWIN_EVERY: u64 = 50;
/// One child in 220 of the three commonest cases is shielded: about one plan in 300.
const SHIELD_EVERY: u64 = 220;
/// The place within every 220 that is shielded.
const SHIELD_PLACE: u64 = 5;
/// Families of one, two and three attending children, in a hundred; twins, in a thousand families of two or more.
const FAMILY_SIZES: [u32; 3] = [70, 24, 6];
const TWINS: u32 = 30;
/// Brothers and sisters are born at least this many days apart unless they are twins.
const SPACING_DAYS: Day = 300;
/// Mothers whose birth date is missing from the authority's file, in a thousand.
const MOTHER_BIRTH_UNKNOWN: u32 = 300;
/// Throws after which a person who had to fit a scenario is taken as thrown.
const THROWS: u8 = 255;

/// Makes everybody, in an order that depends on the arguments alone.
pub(crate) struct PeopleMaker<'a> {
    pub(crate) seed: u64,
    pub(crate) scale: Scale,
    pub(crate) calendar: &'a Calendar,
    pub(crate) reference: &'a Reference,
    pub(crate) geography: &'a Geography,
    pub(crate) numbers: NumberLine,
    /// Attending children made so far.
    pub(crate) attending: u64,
}

impl PeopleMaker<'_> {
    /// Hands every household to `give`.
    pub(crate) fn everybody(
        &mut self,
        give: &mut impl FnMut(&Household) -> Result<(), SynthError>,
    ) -> Result<(), SynthError> {
        let cases = Cases::new(self.scale);
        for turn in 0..cases.total() {
            if let Some((case, ordinal)) = cases.at(turn) {
                give(&self.plan_household(turn, case, ordinal))?;
            }
        }
        let wanted = self.scale.of(ATTENDING);
        let mut index = 0;
        while self.attending < wanted {
            give(&self.family(index, wanted - self.attending))?;
            index += 1;
        }
        Ok(())
    }

    /// A number about which nothing is written, with a home and a birth day to ask with.
    pub(crate) fn stranger(&mut self, index: u64) -> Person {
        let mut dice = Dice::new(self.seed, Part::Strangers, index, 0);
        let home = self.geography.home(&mut dice);
        let born = self.birth(&mut dice, &ATTENDING_AGES);
        self.person(home, born, Vec::new())
    }

    fn person(&mut self, home: Home, born: Day, plans: Vec<Plan>) -> Person {
        let number = self.numbers.take();
        Person { number, born, birth_known: true, home, shielded: false, plans, visits: Vec::new() }
    }

    /// A birth day at which the person is of an age drawn from `ages`, at least two days ago.
    fn birth(&self, dice: &mut Dice, ages: &[u32; 18]) -> Day {
        let (first, last) = self.calendar.births(dice.weighted(ages));
        dice.days(first, last.min(-2))
    }

    fn plan_household(&mut self, turn: u64, case: Case, ordinal: u64) -> Household {
        let number = self.numbers.take();
        let wanted = wanted_scenario(case, ordinal);
        let mut throw = 0;
        let (mut dice, subject) = loop {
            let mut dice = Dice::new(self.seed, Part::Plans, turn, throw);
            let subject = self.subject(&mut dice, number, case, ordinal);
            let fits = wanted.is_none_or(|wanted| scenario::fits(wanted, &subject, self.calendar));
            if fits || throw == THROWS {
                break (dice, subject);
            }
            throw += 1;
        };
        self.attending += u64::from(!subject.visits.is_empty());
        let (home, born) = (subject.home, subject.born);
        let twins = case == Case::CppActive && ordinal % PLAN_TWIN_EVERY == 2;
        let mut people = vec![subject];
        if twins {
            people.push(self.attender(&mut dice, home, born));
        } else if case == Case::CppActive && dice.per_mille(PLAN_SIBLING) {
            let born = self.birth(&mut dice, &ATTENDING_AGES);
            if (born - people[0].born).abs() >= SPACING_DAYS {
                people.push(self.attender(&mut dice, home, born));
            }
        }
        Household { people, twins }
    }

    fn subject(&self, dice: &mut Dice, number: u64, case: Case, ordinal: u64) -> Person {
        let home = self.plan_home(dice, case, ordinal);
        let plans = PlanMaker { geography: self.geography, dice, home }.plans(case);
        let born = self.subject_birth(dice, case, &plans);
        let mother = is_mother(case);
        let shieldable = matches!(case, Case::CppActive | Case::LacActive | Case::CppEnded);
        let mut person = Person {
            number,
            born,
            birth_known: !(mother && dice.per_mille(MOTHER_BIRTH_UNKNOWN)),
            home,
            shielded: shieldable && ordinal % SHIELD_EVERY == SHIELD_PLACE,
            plans,
            visits: Vec::new(),
        };
        if person.is_child(self.calendar) && dice.per_mille(ATTENDS) {
            person.visits = self.visits(dice, home, born);
        }
        person
    }

    /// The first child of each authority's turn makes sure that no authority's file stays empty at larger scales.
    fn plan_home(&self, dice: &mut Dice, case: Case, ordinal: u64) -> Home {
        let authorities = self.reference.authorities.len() as u64;
        if case == Case::CppActive && ordinal < authorities {
            return self.geography.home_in(dice, ordinal as u16);
        }
        self.geography.home(dice)
    }

    fn subject_birth(&self, dice: &mut Dice, case: Case, plans: &[Plan]) -> Day {
        if is_mother(case) {
            let (youngest, oldest) = if case == Case::UnbornYoungMother { YOUNG_MOTHER_AGES } else { MOTHER_AGES };
            let (first, last) = self.calendar.births(dice.days(youngest, oldest) as usize);
            return dice.days(first, last);
        }
        let looked_after = matches!(case, Case::LacActive | Case::LacEnded);
        let ages = if looked_after { &LAC_AGES } else { &CPP_AGES };
        let earliest = plans.iter().map(|plan| plan.start).min().unwrap_or(0);
        for _ in 0..AGE_DRAWS {
            let born = self.birth(dice, ages);
            if born <= earliest {
                return born;
            }
        }
        earliest.min(-2) - dice.days(0, 60)
    }

    fn visits(&self, dice: &mut Dice, home: Home, born: Day) -> Vec<crate::person::Visit> {
        VisitMaker { reference: self.reference, geography: self.geography, dice, home, born }.year()
    }

    /// A child without a plan who attended.
    fn attender(&mut self, dice: &mut Dice, home: Home, born: Day) -> Person {
        let mut person = self.person(home, born, Vec::new());
        person.visits = self.visits(dice, home, born);
        self.attending += 1;
        person
    }

    fn family(&mut self, index: u64, room: u64) -> Household {
        let mut dice = Dice::new(self.seed, Part::Families, index, 0);
        let home = self.geography.home(&mut dice);
        let size = (dice.weighted(&FAMILY_SIZES) as u64 + 1).min(room);
        let twins = size > 1 && dice.per_mille(TWINS);
        let mut births: Vec<Day> = Vec::new();
        while (births.len() as u64) < size {
            let born = self.birth(&mut dice, &ATTENDING_AGES);
            if twins && births.len() == 1 {
                births.push(births[0]);
            } else if births.iter().all(|other| (born - other).abs() >= SPACING_DAYS) {
                births.push(born);
            }
        }
        let people = births.into_iter().map(|born| self.attender(&mut dice, home, born)).collect();
        Household { people, twins }
    }
}

fn is_mother(case: Case) -> bool {
    matches!(case, Case::UnbornActive | Case::UnbornEnded | Case::UnbornYoungMother)
}

/// The scenario that the first of a case must fit, so that even a small England has one of each.
fn wanted_scenario(case: Case, ordinal: u64) -> Option<Scenario> {
    match (case, ordinal) {
        (Case::CppActive, 0) => Some(Scenario::OnPlan),
        (Case::CppActive, 1) => Some(Scenario::OnPlanAndSeenElsewhere),
        (Case::CppActive, SHIELD_PLACE) => Some(Scenario::Shielded),
        (Case::LacActive, 0) => Some(Scenario::LookedAfter),
        (Case::CppEnded, 0) => Some(Scenario::PlanEnded),
        (Case::UnbornActive, 0) => Some(Scenario::Unborn),
        (Case::Future, 0) => Some(Scenario::FuturePlan),
        (Case::Transferred, 0) => Some(Scenario::Transferred),
        (Case::Withdrawn, 0) => Some(Scenario::Withdrawn),
        (Case::TwoAuthorities, 0) => Some(Scenario::TwoAuthorities),
        _ => None,
    }
}
