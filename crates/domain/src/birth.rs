//! A birth: an event of the mother's unborn plan that ends it and starts each baby's own plan. The babies' plans are the
//! authority's from then on and know nothing of the mother's; a baby that a later birth does not name keeps its plan until
//! the authority withdraws that.

use crate::change::{Baby, PlanAction, PlanEvent};
use crate::plan::{PlanKind, PlanName, RecordRole};
use crate::refused::{Refused, RefusedKind};
use crate::time::Day;

/// Most babies of one birth: more were never born alive.
pub const MAX_BABIES: usize = 9;

const NOT_UNBORN: Refused =
    Refused::invalid("kind", "NOT_UNBORN", "a birth is an event of an unborn child's plan, on the mother's record");
const BIRTH_DAY_MISSING: Refused = Refused::invalid("end", "END_MISSING", "a birth needs the day of birth as the end");
const BIRTH_LATER: Refused = Refused::invalid("end", "BIRTH_IN_FUTURE", "the day of birth is in the future");
const NO_BABY: Refused = Refused::invalid("babies", "NO_BABY", "a birth names each baby; a plan without a birth ends");
const TOO_MANY_BABIES: Refused = Refused::invalid("babies", "TOO_MANY_BABIES", "too many babies for one birth");
const NOT_A_BIRTH: Refused = Refused::invalid("babies", "NOT_A_BIRTH", "babies belong to births only");
const BABY_UNBORN: Refused =
    Refused::invalid("babies.kind", "BABY_UNBORN", "the plan of a child that is born is not that of an unborn one");
const BABY_TWICE: Refused = Refused::invalid(
    "babies.subject",
    "BABY_TWICE",
    "each baby is a person and a plan of its own, and neither the mother nor her plan",
);
const BABY_BORN_LATER: Refused = Refused::invalid(
    "babies.date_of_birth",
    "BABY_BORN_LATER",
    "a baby's date of birth is after the day on which the mother's plan ends",
);
/// The mother is shielded, and the birth does not say whether the babies are: they must not be found by their plans.
pub const SHIELD_NOT_TOLD: Refused = Refused {
    kind: RefusedKind::Conflict,
    field: "shielded",
    reason: "SHIELD_NOT_TOLD",
    words: "the mother's record is shielded: say that the babies' are too, or lift the shield",
};

impl Baby {
    /// The day of birth: the baby's own, else the last day of the mother's plan.
    #[must_use]
    pub fn born_on(&self, birth: &PlanEvent) -> Option<Day> {
        self.birth_date.or(birth.end)
    }
}

impl PlanEvent {
    /// The start of a baby's own plan, as this birth tells it.
    #[must_use]
    pub fn start_of(&self, baby: &Baby) -> Self {
        let born = baby.born_on(self);
        Self {
            subject: baby.subject.clone(),
            action: PlanAction::Start,
            kind: baby.kind,
            reference: baby.reference.clone(),
            start: born,
            end: None,
            birth_date: born,
            unshield: false,
            babies: Vec::new(),
            ..self.clone()
        }
    }

    /// The starts of all babies' plans; none unless this is a birth.
    pub fn starts(&self) -> impl Iterator<Item = Self> {
        self.babies.iter().map(|baby| self.start_of(baby))
    }
}

fn check(fault: bool, refused: Refused) -> Result<(), Refused> {
    if fault { Err(refused) } else { Ok(()) }
}

/// Checks what is special about births: that of an event that is one, and that no other names babies.
///
/// # Errors
/// The first fault found.
pub fn check_birth(event: &PlanEvent, today: Day) -> Result<(), Refused> {
    if event.action != PlanAction::Born {
        return check(!event.babies.is_empty(), NOT_A_BIRTH);
    }
    check(event.kind != PlanKind::Unborn, NOT_UNBORN)?;
    let Some(day) = event.end else { return Err(BIRTH_DAY_MISSING) };
    check(day > today, BIRTH_LATER)?;
    check(event.babies.is_empty(), NO_BABY)?;
    check(event.babies.len() > MAX_BABIES, TOO_MANY_BABIES)?;
    check(event.babies.iter().any(|baby| baby.kind.role() != RecordRole::Child), BABY_UNBORN)?;
    check(event.babies.iter().any(|baby| baby.birth_date.is_some_and(|born| born > day)), BABY_BORN_LATER)?;
    let mut subjects = vec![&event.subject];
    let mut names: Vec<PlanName> = event.reference.iter().cloned().map(PlanName::Reference).collect();
    for baby in &event.babies {
        let name = baby.reference.clone().map(PlanName::Reference);
        check(subjects.contains(&&baby.subject) || name.as_ref().is_some_and(|name| names.contains(name)), BABY_TWICE)?;
        subjects.push(&baby.subject);
        names.extend(name);
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::NhsNumber;
    use crate::child::Subject;
    use crate::codes::LaCode;
    use crate::text::{FamilyReference, PlanReference};
    use uuid::Uuid;

    fn subject(n: u32) -> Subject {
        Subject::Nhs((999_000_000 + 20 * n..).find_map(NhsNumber::from_first_nine).unwrap())
    }

    fn baby(n: u32, reference: &str) -> Baby {
        let reference = (!reference.is_empty()).then(|| PlanReference::parse(reference).unwrap());
        Baby { subject: subject(n), kind: PlanKind::ChildProtection, reference, birth_date: None }
    }

    fn birth(babies: Vec<Baby>) -> PlanEvent {
        PlanEvent {
            authority: LaCode::parse("E06000001").unwrap(),
            event_id: Uuid::nil(),
            subject: subject(1),
            action: PlanAction::Born,
            kind: PlanKind::Unborn,
            reference: Some(PlanReference::parse("U").unwrap()),
            version: 3,
            start: None,
            end: Day::parse("2026-01-10").ok(),
            birth_date: Day::parse("1999-01-10").ok(),
            shielded: true,
            unshield: false,
            family: Some(FamilyReference::parse("F").unwrap()),
            babies,
        }
    }

    fn reason(event: &PlanEvent) -> Result<(), &'static str> {
        check_birth(event, Day::parse("2026-01-11").unwrap()).map_err(|refused| refused.reason)
    }

    #[test]
    fn each_baby_gets_a_start_of_its_own_and_nothing_of_the_mother() {
        let mut event = birth(vec![baby(2, "B"), baby(3, "")]);
        event.babies[1].birth_date = Day::parse("2026-01-09").ok();
        assert_eq!(reason(&event), Ok(()));
        let starts: Vec<PlanEvent> = event.starts().collect();
        let told = |n: usize| {
            let start = &starts[n];
            (start.subject.clone(), start.start.unwrap().text(), start.birth_date.unwrap().text(), start.version)
        };
        assert_eq!(told(0), (subject(2), "2026-01-10".into(), "2026-01-10".into(), 3));
        assert_eq!(told(1), (subject(3), "2026-01-09".into(), "2026-01-09".into(), 3));
        assert!(starts.iter().all(|start| start.shielded && start.family == event.family && start.end.is_none()));
        assert!(starts.iter().all(|start| start.action == PlanAction::Start && start.babies.is_empty()));
    }

    #[test]
    fn what_is_no_birth_is_refused() {
        let good = || birth(vec![baby(2, "B")]);
        assert_eq!(reason(&good()), Ok(()));
        let with = |change: &dyn Fn(&mut PlanEvent)| {
            let mut event = good();
            change(&mut event);
            reason(&event).unwrap_err()
        };
        assert_eq!(with(&|event| event.action = PlanAction::End), "NOT_A_BIRTH");
        assert_eq!(with(&|event| event.kind = PlanKind::LookedAfter), "NOT_UNBORN");
        assert_eq!(with(&|event| event.end = None), "END_MISSING");
        assert_eq!(with(&|event| event.end = Day::parse("2026-01-12").ok()), "BIRTH_IN_FUTURE");
        assert_eq!(with(&|event| event.babies.clear()), "NO_BABY");
        assert_eq!(with(&|event| event.babies = (2..12).map(|n| baby(n, "")).collect()), "TOO_MANY_BABIES");
        assert_eq!(with(&|event| event.babies[0].kind = PlanKind::Unborn), "BABY_UNBORN");
        assert_eq!(with(&|event| event.babies[0].birth_date = Day::parse("2026-01-11").ok()), "BABY_BORN_LATER");
        assert_eq!(with(&|event| event.babies.push(baby(2, "C"))), "BABY_TWICE");
        assert_eq!(with(&|event| event.babies.push(baby(3, "B"))), "BABY_TWICE");
        assert_eq!(with(&|event| event.babies[0] = baby(1, "B")), "BABY_TWICE");
        assert_eq!(with(&|event| event.babies[0] = baby(2, "U")), "BABY_TWICE");
    }
}
