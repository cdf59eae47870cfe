//! Applying changes to a record: a deterministic fold that reads no clock, no randomness and no setting. Events of one
//! plan or encounter give the same record in any order of arrival, because each field keeps its greatest version.

use crate::change::{AccessFacts, PlanAction, PlanEvent, PresentationAction, PresentationEvent};
use crate::child::{ACCESS_WINDOW_SECONDS, Access, ChildRecord, MAX_ACCESSES, MAX_ACCESSES_BEYOND};
use crate::codes::LaCode;
use crate::plan::{Plan, PlanName};
use crate::presentation::{Closing, Details, Presentation};
use crate::shield;
use crate::shown;
use crate::time::Moment;

/// What a change did to the record.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub enum Effect {
    /// The record shows it.
    Applied,
    /// A later version had arrived before it and still stands, for all that it says or for a part.
    Overtaken,
    /// Kept, and what is held contradicts it or waits for more: an outcome of an encounter that has not been recorded, or
    /// a plan whose end lies before its start; or a baby's plan is withheld from its start, as the mother's was, or is shown
    /// beside others although hers is withheld. The sender is to look at it.
    Kept,
}

impl Effect {
    fn of(any: bool) -> Self {
        if any { Self::Applied } else { Self::Overtaken }
    }
}

/// Applies a plan event. `name` is the event's own, checked on entry.
pub fn apply_plan(record: &mut ChildRecord, event: &PlanEvent, name: PlanName) -> Effect {
    let plan = plan_of(record, event.authority, name);
    let version = event.version;
    let mut any = plan.kind.set(version, Some(event.kind));
    let lifted = event.unshield && plan.shield.set(version, Some(false));
    any |= lifted || (event.shielded && plan.shield.set(version, Some(true)));
    if event.birth_date.is_some() {
        any |= plan.birth_date.set(version, event.birth_date);
    }
    match event.action {
        PlanAction::Start | PlanAction::TransferIn(_) | PlanAction::Change => {
            any |= plan.start.set(version, event.start);
            any |= plan.end.set(version, event.end);
            any |= plan.withdrawn.set(version, Some(false));
            any |= plan.family.set(version, event.family.clone());
            any |= apply_arrival(plan, event);
        }
        PlanAction::End | PlanAction::Born => {
            any |= plan.end.set(version, event.end);
        }
        PlanAction::Withdraw => {
            any |= plan.withdrawn.set(version, Some(true));
        }
        PlanAction::TransferOut(to) => {
            any |= plan.moving_to.set(version, Some(to));
            if event.end.is_some() {
                any |= plan.end.set(version, event.end);
            }
        }
    }
    let contradicts = matches!((plan.start.get(), plan.end.get()), (Some(start), Some(end)) if end < start);
    let shown = any && shown::plan(plan, event);
    if lifted {
        shield::lift_left(record, event.authority);
    }
    if shown && contradicts { Effect::Kept } else { Effect::of(shown) }
}

/// Notes when an event of a plan was taken, whatever it did.
pub fn note_plan_event(record: &mut ChildRecord, authority: LaCode, name: &PlanName, at: Moment) {
    let plan = record.plans.iter_mut().find(|plan| plan.authority == authority && plan.name == *name);
    if let Some(plan) = plan {
        plan.last_event_at = plan.last_event_at.max(at);
    }
}

/// Notes when a transfer out was told, or that the child has stayed. Read from the log record, like the time of every event:
/// the same records give the same plan in any order.
pub fn note_transfer(record: &mut ChildRecord, event: &PlanEvent, name: &PlanName, at: Moment) {
    let plan = record.plans.iter_mut().find(|plan| plan.authority == event.authority && plan.name == *name);
    if let Some(plan) = plan {
        plan.transfers.note(event, at);
    }
}

/// A start or an arrival ends a transfer out that was reported before it: the child has stayed or come back.
fn apply_arrival(plan: &mut Plan, event: &PlanEvent) -> bool {
    match event.action {
        PlanAction::Start => plan.moving_to.set(event.version, None),
        PlanAction::TransferIn(from) => {
            let stayed = plan.moving_to.set(event.version, None);
            plan.moved_from.set(event.version, Some(from)) || stayed
        }
        PlanAction::Change | PlanAction::End | PlanAction::Born | PlanAction::Withdraw | PlanAction::TransferOut(_) => {
            false
        }
    }
}

/// A plan in the record, made when it is not there.
pub(crate) fn plan_of(record: &mut ChildRecord, authority: LaCode, name: PlanName) -> &mut Plan {
    let key = |plan: &Plan| (plan.authority, plan.name.clone());
    let at = match record.plans.binary_search_by_key(&(authority, name.clone()), key) {
        Ok(at) => at,
        Err(at) => {
            record.plans.insert(at, Plan::new(authority, name));
            at
        }
    };
    &mut record.plans[at]
}

/// Applies a presentation event.
pub fn apply_presentation(record: &mut ChildRecord, event: &PresentationEvent) -> Effect {
    let presentation = presentation_of(record, event);
    let version = event.version;
    let details = |p: &mut Presentation, d: &Details| p.details.set(version, Some(d.clone()));
    let closing = |p: &mut Presentation, c: &Closing| p.closing.set(version, Some(*c));
    let any = match &event.action {
        PresentationAction::Record(d) | PresentationAction::Amend(d) => details(presentation, d),
        PresentationAction::Close(c) => closing(presentation, c),
        PresentationAction::Import(d, c) => {
            let first = details(presentation, d);
            let second = c.as_ref().is_some_and(|c| closing(presentation, c));
            first || second
        }
    };
    let waits = presentation.details.get().is_none();
    let shown = any && shown::presentation(presentation, event);
    if shown && waits { Effect::Kept } else { Effect::of(shown) }
}

/// The event's presentation in the record, made when it is not there.
fn presentation_of<'a>(record: &'a mut ChildRecord, event: &PresentationEvent) -> &'a mut Presentation {
    let wanted = (&event.organisation, &event.encounter);
    let at = match record.presentations.binary_search_by(|p| (&p.organisation, &p.encounter).cmp(&wanted)) {
        Ok(at) => at,
        Err(at) => {
            record.presentations.insert(at, Presentation::new(event.organisation, event.encounter.clone()));
            at
        }
    };
    &mut record.presentations[at]
}

/// Adds an unscheduled lookup to the access history: one row per organisation and four hours, with a count.
pub fn apply_access(record: &mut ChildRecord, facts: &AccessFacts) {
    let within = |row: &Access| {
        row.organisation == facts.organisation && (facts.at.0 - row.first_at.0).abs() < ACCESS_WINDOW_SECONDS * 1000
    };
    if let Some(row) = record.accesses.iter_mut().rev().find(|row| within(row)) {
        row.count = row.count.saturating_add(1);
        row.first_at = row.first_at.min(facts.at);
        if facts.at >= row.last_at {
            row.last_at = facts.at;
            row.user_name = facts.user_name.clone();
            row.user_role = facts.user_role.clone();
        }
        return;
    }
    record.accesses.push(Access {
        organisation: facts.organisation,
        user_name: facts.user_name.clone(),
        user_role: facts.user_role.clone(),
        first_at: facts.at,
        last_at: facts.at,
        count: 1,
    });
    if record.accesses.len() > MAX_ACCESSES {
        let pushed_out = record.accesses.remove(0).last_at.london_day();
        let mut days = std::mem::take(&mut record.accesses_beyond).into_vec();
        if days.len() == MAX_ACCESSES_BEYOND {
            days.remove(0);
        }
        days.push(pushed_out);
        record.accesses_beyond = days.into();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::NhsNumber;
    use crate::child::Subject;
    use crate::codes::OdsCode;
    use crate::plan::PlanKind;
    use crate::text::{PersonText, PlanReference};
    use crate::time::Day;
    use uuid::Uuid;

    fn record() -> ChildRecord {
        ChildRecord::new(Subject::Nhs(NhsNumber::from_first_nine(999_000_001).unwrap()))
    }

    fn event(action: PlanAction, version: u64, start: Option<&str>, end: Option<&str>) -> PlanEvent {
        let day = |text| Day::parse(text).unwrap();
        PlanEvent {
            authority: LaCode::parse("E06000001").unwrap(),
            event_id: Uuid::from_u128(u128::from(version)),
            subject: record().subject,
            action,
            kind: PlanKind::ChildProtection,
            reference: Some(PlanReference::parse("P1").unwrap()),
            version,
            start: start.map(day),
            end: end.map(day),
            birth_date: None,
            shielded: false,
            unshield: false,
            family: None,
            babies: Vec::new(),
        }
    }

    /// Every order of a six-event history gives the same record.
    #[test]
    fn any_order_of_events_gives_the_same_plan() {
        let to = LaCode::parse("E06000002").unwrap();
        let history = [
            event(PlanAction::Start, 1, Some("2025-01-10"), None),
            event(PlanAction::Change, 2, Some("2025-01-12"), None),
            event(PlanAction::End, 3, None, Some("2025-06-01")),
            event(PlanAction::Withdraw, 4, None, None),
            event(PlanAction::Change, 5, Some("2025-01-11"), None),
            event(PlanAction::TransferOut(to), 6, None, None),
        ];
        let mut first = None;
        permutations(&mut (0..history.len()).collect::<Vec<_>>(), 0, &mut |order| {
            let mut child = record();
            for index in order {
                let name = history[*index].name().unwrap();
                apply_plan(&mut child, &history[*index], name);
            }
            assert_eq!(first.get_or_insert_with(|| child.clone()), &child, "{order:?}");
        });
        let plan = &first.unwrap().plans[0];
        assert_eq!(plan.start.get().unwrap().text(), "2025-01-11");
        assert!(!plan.is_withdrawn() && plan.end.get().is_none() && plan.moving_to.get() == Some(&to));
    }

    fn permutations(items: &mut [usize], at: usize, visit: &mut dyn FnMut(&[usize])) {
        if at == items.len() {
            visit(items);
            return;
        }
        for other in at..items.len() {
            items.swap(at, other);
            permutations(items, at + 1, visit);
            items.swap(at, other);
        }
    }

    /// What a later version stands over, in part or in whole, is not called applied.
    #[test]
    fn applied_is_what_the_record_shows() {
        let effects = |history: &[(PlanAction, u64, Option<&str>)]| {
            let mut child = record();
            let apply = |(action, version, end): &(PlanAction, u64, Option<&str>)| {
                let start = (*action == PlanAction::Change).then_some("2025-01-10");
                let mut event = event(*action, *version, start, *end);
                event.birth_date = (*action == PlanAction::Change).then(|| Day::parse("2019-03-04").unwrap());
                apply_plan(&mut child, &event, event.name().unwrap())
            };
            history.iter().map(apply).collect::<Vec<Effect>>()
        };
        let end = Some("2025-06-01");
        let (change, ended, withdrawn) = (PlanAction::Change, PlanAction::End, PlanAction::Withdraw);
        assert_eq!(effects(&[(change, 1, None), (ended, 2, end)]), [Effect::Applied; 2]);
        assert_eq!(effects(&[(ended, 2, end), (change, 1, None)]), [Effect::Applied, Effect::Overtaken], "not its end");
        assert_eq!(effects(&[(ended, 2, end), (change, 1, end)]), [Effect::Applied; 2], "the same end");
        assert_eq!(effects(&[(withdrawn, 2, None), (change, 1, end)]), [Effect::Applied, Effect::Overtaken]);
        assert_eq!(effects(&[(change, 2, end), (withdrawn, 1, None)]), [Effect::Applied, Effect::Overtaken]);
    }

    /// Told out of order, a recording is shown no more than in order: the error is the later version.
    #[test]
    fn what_is_recorded_under_an_error_is_overtaken_and_what_is_recorded_after_it_is_not() {
        use crate::presentation::{CareSetting, Complaint, Outcome};
        let (at, organisation) = (Moment(1_790_000_000_000), OdsCode::parse("R1H").unwrap());
        let details = Details {
            site: crate::codes::SiteCode::parse("R1H01").unwrap(),
            arrived_at: at,
            setting: CareSetting::EmergencyDepartment,
            complaint: Complaint::Injury,
            birth_date: None,
        };
        let mut child = record();
        let mut told = |version: u64, action| {
            let (event_id, subject) = (Uuid::from_u128(u128::from(version)), record().subject);
            let encounter = crate::text::EncounterId::parse("E").unwrap();
            let event = PresentationEvent { organisation, event_id, subject, encounter, version, action };
            apply_presentation(&mut child, &event)
        };
        let error = Closing { outcome: Outcome::EnteredInError, at };
        assert_eq!(told(3, PresentationAction::Close(error)), Effect::Kept, "nothing was recorded");
        assert_eq!(told(1, PresentationAction::Record(details.clone())), Effect::Overtaken);
        assert_eq!(told(2, PresentationAction::Import(details.clone(), None)), Effect::Overtaken);
        assert_eq!(told(4, PresentationAction::Amend(details)), Effect::Applied, "it was no error");
    }

    #[test]
    fn a_missing_flag_never_unshields() {
        let mut child = record();
        let mut first = event(PlanAction::Start, 1, Some("2025-01-10"), None);
        first.shielded = true;
        apply_plan(&mut child, &first, first.name().unwrap());
        let second = event(PlanAction::Change, 2, Some("2025-01-10"), None);
        apply_plan(&mut child, &second, second.name().unwrap());
        assert!(child.is_shielded());
    }

    fn facts(organisation: &str, hours: i64) -> AccessFacts {
        AccessFacts {
            subject: record().subject,
            organisation: OdsCode::parse(organisation).unwrap(),
            request_id: Uuid::nil(),
            at: Moment(0).plus_seconds(hours * 3600),
            user_name: PersonText::parse("A Nurse").unwrap(),
            user_role: PersonText::parse("Nurse").unwrap(),
            responsible: Vec::new(),
        }
    }

    /// The same lookups by one organisation and by two: they are other rows, and the same days, over midnight and beyond the bound
    /// too.
    #[test]
    fn days_looked_up_on_do_not_tell_by_whom() {
        // Four in the afternoon of a winter's day.
        let begin: i64 = 490_000;
        let looked = |organisations: &[&str], hours: &[i64]| {
            let mut child = record();
            for (organisation, hour) in organisations.iter().cycle().zip(hours) {
                apply_access(&mut child, &facts(organisation, begin + hour));
            }
            child
        };
        let daily: Vec<i64> = (0..40).flat_map(|day| [24 * day, 24 * day + 1]).collect();
        let cases: [(&[i64], usize); 3] = [(&[1, 2], 1), (&[7, 9], 2), (&daily, 40)];
        for (hours, expected) in cases {
            let (one, two) = (looked(&["R1H"], hours), looked(&["R1H", "RRK"], hours));
            let rows = |child: &ChildRecord| child.accesses.len() + child.accesses_beyond.len();
            assert_eq!(rows(&two), 2 * rows(&one));
            let first = Day::parse("2000-01-01").unwrap();
            assert_eq!([&one, &two].map(|child| child.looked_up_days(first)), [expected; 2], "{hours:?}");
        }
        let first = facts("R1H", begin + 24 * 30).at.london_day();
        assert_eq!(looked(&["R1H"], &daily).looked_up_days(first), 10, "what is not held any more does not count");
    }

    #[test]
    fn four_hours_of_one_organisation_are_one_row() {
        let mut child = record();
        let all = [facts("R1H", 1), facts("R1H", 4), facts("RRK", 4), facts("R1H", 5)];
        for one in &all {
            apply_access(&mut child, one);
        }
        let counts: Vec<_> = child.accesses.iter().map(|row| (row.organisation.to_string(), row.count)).collect();
        assert_eq!(counts, [("R1H".into(), 2), ("RRK".into(), 1), ("R1H".into(), 1)]);
        for hours in 0..40 {
            let mut one = all[2].clone();
            one.at = Moment(0).plus_seconds(hours * 5 * 3600 + 100 * 3600);
            apply_access(&mut child, &one);
        }
        assert_eq!((child.accesses.len(), child.accesses_beyond.len()), (MAX_ACCESSES, 18));
    }
}
