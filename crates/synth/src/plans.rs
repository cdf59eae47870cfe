//! Plan histories: kinds, authorities and dates for a case. Lengths follow the published figures (mean about 9.6
//! months, 16 % under three months, 4 % over two years). Never decides who the person is.

use crate::calendar::Day;
use crate::cases::Case;
use crate::dice::Dice;
use crate::geography::{Geography, Home};
use crate::person::{Course, Kind, Plan};

/// Lengths of child protection plans: (weight, shortest, longest) in days.
const CPP_LENGTHS: [(u32, Day, Day); 5] =
    [(16, 10, 90), (26, 91, 182), (31, 183, 365), (23, 366, 730), (4, 731, 1_100)];
/// Lengths of time looked after.
const LAC_LENGTHS: [(u32, Day, Day); 4] = [(10, 14, 90), (25, 91, 365), (40, 366, 1_095), (25, 1_096, 2_500)];
/// Ended plans end within this many days: inside the twelve-month tail by a margin.
const TAIL_DAYS: Day = 360;
/// Plans whose authority gives them a reference, in a thousand.
const REFERENCED: u32 = 700;
/// Active plans whose planned end was fixed by a later change, in a thousand.
const CHANGED: u32 = 50;

/// Draws the plans of one person.
pub(crate) struct PlanMaker<'a> {
    pub(crate) geography: &'a Geography,
    pub(crate) dice: &'a mut Dice,
    pub(crate) home: Home,
}

impl PlanMaker<'_> {
    /// The plans that `case` says, oldest first.
    pub(crate) fn plans(&mut self, case: Case) -> Vec<Plan> {
        match case {
            Case::CppActive => vec![self.active_cpp()],
            Case::LacActive => vec![self.active(Kind::Lac)],
            Case::CppAndLac => vec![self.active(Kind::Cpp), self.active(Kind::Lac)],
            Case::TwoAuthorities => self.two_authorities(),
            Case::Transferred => self.transferred(),
            Case::Moving => self.moving(),
            Case::CppEnded => vec![self.ended(Kind::Cpp, 1)],
            Case::LacEnded => vec![self.ended(Kind::Lac, 1)],
            Case::CppEndedLacActive => self.taken_into_care(),
            Case::RepeatCpp => self.repeat(),
            Case::UnbornActive | Case::UnbornYoungMother => {
                let start = -self.dice.days(1, 200);
                vec![self.plan(Kind::Ucpp, start, None)]
            }
            Case::UnbornEnded => {
                let end = -self.dice.days(1, TAIL_DAYS);
                let start = end - self.dice.days(30, 200);
                vec![self.plan(Kind::Ucpp, start, Some(end))]
            }
            Case::Future => {
                let kind = if self.dice.per_mille(600) { Kind::Cpp } else { Kind::Lac };
                let start = self.dice.days(1, 28);
                vec![self.plan(kind, start, None)]
            }
            Case::Withdrawn => {
                let kind = if self.dice.per_mille(600) { Kind::Cpp } else { Kind::Lac };
                let start = -self.dice.days(1, 200);
                let plan = self.plan(kind, start, None);
                vec![Plan { course: Course::Withdrawn, ..plan }]
            }
        }
    }

    fn plan(&mut self, kind: Kind, start: Day, end: Option<Day>) -> Plan {
        let referenced = self.dice.per_mille(REFERENCED);
        Plan { kind, authority: self.home.authority, start, end, course: Course::Plain, referenced }
    }

    fn length(&mut self, kind: Kind) -> Day {
        let table: &[(u32, Day, Day)] = match kind {
            Kind::Cpp => &CPP_LENGTHS,
            Kind::Lac => &LAC_LENGTHS,
            Kind::Ucpp => &CPP_LENGTHS[..2],
        };
        let weights: Vec<u32> = table.iter().map(|(weight, _, _)| *weight).collect();
        let (_, shortest, longest) = table[self.dice.weighted(&weights)];
        self.dice.days(shortest, longest)
    }

    /// Somewhere within its length on the as-of day.
    fn active(&mut self, kind: Kind) -> Plan {
        let length = self.length(kind);
        let start = -self.dice.days(1, length);
        self.plan(kind, start, None)
    }

    fn active_cpp(&mut self) -> Plan {
        let plan = self.active(Kind::Cpp);
        if !self.dice.per_mille(CHANGED) {
            return plan;
        }
        Plan { end: Some(self.dice.days(7, 200)), course: Course::Changed, ..plan }
    }

    fn ended(&mut self, kind: Kind, latest: Day) -> Plan {
        let end = -self.dice.days(latest, TAIL_DAYS);
        let start = end - self.length(kind);
        self.plan(kind, start, Some(end))
    }

    fn two_authorities(&mut self) -> Vec<Plan> {
        let other = self.geography.other_authority(self.dice, self.home);
        let (first, second) = (self.active(Kind::Cpp), self.active(Kind::Lac));
        vec![first, Plan { authority: other, ..second }]
    }

    /// Out of one authority, into another, and ended by the first once the second has started.
    fn transferred(&mut self) -> Vec<Plan> {
        let other = self.geography.other_authority(self.dice, self.home);
        let moved = -self.dice.days(5, 300);
        let start = moved - self.dice.days(20, 320);
        let from = self.plan(Kind::Cpp, start, Some(moved));
        let into = self.plan(Kind::Cpp, moved, None);
        let came_from = Course::MovedFrom(self.home.authority);
        vec![Plan { course: Course::MovedTo(other), ..from }, Plan { authority: other, course: came_from, ..into }]
    }

    fn moving(&mut self) -> Vec<Plan> {
        let other = self.geography.other_authority(self.dice, self.home);
        let start = -self.dice.days(30, 330);
        let plan = self.plan(Kind::Cpp, start, None);
        vec![Plan { course: Course::MovingTo(other), ..plan }]
    }

    /// A child protection plan that ended because the child came into care.
    fn taken_into_care(&mut self) -> Vec<Plan> {
        let protection = self.ended(Kind::Cpp, 1);
        let start = (protection.end.unwrap_or(-1) + self.dice.days(0, 30)).min(-1);
        vec![protection, self.plan(Kind::Lac, start, None)]
    }

    /// Ended, and some time later on a plan again.
    fn repeat(&mut self) -> Vec<Plan> {
        let first = self.ended(Kind::Cpp, 30);
        let start = self.dice.days(first.end.unwrap_or(-30) + 1, -1);
        vec![first, self.plan(Kind::Cpp, start, None)]
    }
}
