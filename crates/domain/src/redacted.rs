//! `Debug` for what holds a date of birth beside what says of itself that it is redacted: a date is none by itself, and in a log it
//! would say who somebody is. Never shows a field by default: a new one stops the build until somebody decides.

/// A `Debug` that shows these fields and not those.
macro_rules! debug_without {
    ($type:ident, shown: [$($shown:ident),+], hidden: [$($hidden:ident),+]) => {
        impl std::fmt::Debug for $type {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                let Self { $($shown,)+ $($hidden: _,)+ } = self;
                f.debug_struct(stringify!($type))$(.field(stringify!($shown), $shown))+.finish_non_exhaustive()
            }
        }
    };
}

pub(crate) use debug_without;

#[cfg(test)]
mod tests {
    use crate::answer::Question;
    use crate::change::{Baby, IdentityAction, PlanAction, PlanEvent};
    use crate::child::Subject;
    use crate::codes::{LaCode, SiteCode};
    use crate::links::IdentityFacts;
    use crate::nhs_number::NhsNumber;
    use crate::plan::{Plan, PlanKind, PlanName};
    use crate::plan_file::PlanRow;
    use crate::presentation::{CareSetting, Complaint, Details};
    use crate::text::PlanReference;
    use crate::time::{Day, Moment};
    use uuid::Uuid;

    fn event(authority: LaCode, baby: &Baby) -> PlanEvent {
        PlanEvent {
            authority,
            event_id: Uuid::nil(),
            subject: baby.subject.clone(),
            action: PlanAction::Start,
            kind: baby.kind,
            reference: baby.reference.clone(),
            version: 1,
            start: None,
            end: None,
            birth_date: baby.birth_date,
            shielded: false,
            unshield: false,
            family: None,
            babies: vec![baby.clone()],
        }
    }

    #[test]
    fn no_date_of_birth_is_shown() {
        let born = Day::parse("2011-03-04").unwrap();
        let birth_date = Some(born);
        let number = NhsNumber::from_first_nine(999_000_001).unwrap();
        let (subject, kind) = (Subject::Nhs(number), PlanKind::ChildProtection);
        let reference = Some(PlanReference::parse("P").unwrap());
        let authority = LaCode::parse("E06000001").unwrap();
        let baby = Baby { subject: subject.clone(), kind, reference: reference.clone(), birth_date };
        let event = event(authority, &baby);
        let mut plan = Plan::new(authority, PlanName::Reference(PlanReference::parse("P").unwrap()));
        plan.birth_date.set(1, birth_date);
        let mut facts = IdentityFacts::default();
        facts.birth_date.set(1, birth_date);
        let row = PlanRow {
            number,
            birth_date,
            kind,
            start: None,
            end: None,
            reference,
            family: None,
            actions: Vec::new(),
            shielded: false,
        };
        let details = Details {
            site: SiteCode::parse("R1H12").unwrap(),
            arrived_at: Moment(0),
            setting: CareSetting::EmergencyDepartment,
            complaint: Complaint::HeadInjury,
            birth_date,
        };
        let question =
            Question { subject, number_traced: true, birth_date, checking_in: None, now: Moment(0), mother: None };
        let shown = [
            format!("{baby:?}"),
            format!("{event:?}"),
            format!("{plan:?}"),
            format!("{facts:?}"),
            format!("{row:?}"),
            format!("{details:?}"),
            format!("{question:?}"),
            format!("{:?}", IdentityAction::BirthDate(born)),
        ];
        let (days, text) = (format!("{born:?}"), born.text());
        for shown in shown {
            assert!(!shown.contains(&days) && !shown.contains(&text), "{shown}");
        }
    }
}
