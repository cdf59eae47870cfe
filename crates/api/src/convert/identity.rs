//! Changes of identity and proposals. An adoption becomes an invalidation here, so that nothing behind tells the two apart.

use super::fault::{At, Faults};
use super::{caller, time};
use crate::v1;
use kith_domain::NhsNumber;
use kith_domain::caller::Caller;
use kith_domain::change::{IdentityAction, IdentityEvent, Proposal, ProposalClosed};
use kith_domain::child::Subject;
use kith_domain::codes::OdsCode;
use kith_domain::text::LocalKey;
use kith_domain::time::Day;

/// Takes a change of identity apart. The organisation is the certificate's.
///
/// # Errors
/// Every fault found.
pub fn tell(request: v1::TellIdentityRequest, organisation: OdsCode) -> Result<(Caller, IdentityEvent), Faults> {
    let v1::TellIdentityRequest { caller, change, version, event_id, proposal_id } = request;
    let mut faults = Faults::default();
    let caller = caller::parse(&mut faults, "caller", caller);
    let (subject, action) = parse_change(&mut faults, change);
    let event_id = time::uuid(&mut faults, "event_id", &event_id);
    let proposal = (proposal_id > 0).then_some(proposal_id);
    faults.keep(caller.as_ref());
    faults.keep_about(subject.as_ref(), event_id);
    let parsed = subject.zip(action);
    faults.finish(caller.zip(parsed).zip(event_id).map(|((caller, (subject, action)), event_id)| {
        (caller, IdentityEvent { organisation, event_id, subject, version, action, proposal })
    }))
}

/// Takes a proposal apart. The organisation is the certificate's.
///
/// # Errors
/// Every fault found.
pub fn propose(request: v1::ProposeIdentityRequest, organisation: OdsCode) -> Result<(Caller, Proposal), Faults> {
    let v1::ProposeIdentityRequest { caller, change, event_id } = request;
    let mut faults = Faults::default();
    let caller = caller::parse(&mut faults, "caller", caller);
    let (subject, action) = parse_change(&mut faults, change);
    let event_id = time::uuid(&mut faults, "event_id", &event_id);
    faults.keep(caller.as_ref());
    faults.keep_about(subject.as_ref(), event_id);
    let parsed = subject.zip(action);
    faults.finish(
        caller.zip(parsed).zip(event_id).map(|((caller, (subject, action)), event_id)| {
            (caller, Proposal { organisation, event_id, subject, action })
        }),
    )
}

/// Takes the closing of a proposal apart.
///
/// # Errors
/// Every fault found.
pub fn decline(request: v1::DeclineProposalRequest, organisation: OdsCode) -> Result<(Caller, ProposalClosed), Faults> {
    let v1::DeclineProposalRequest { caller, proposal_id, event_id } = request;
    let mut faults = Faults::default();
    let caller = caller::parse(&mut faults, "caller", caller);
    let event_id = time::uuid(&mut faults, "event_id", &event_id);
    if proposal_id == 0 {
        faults.add("proposal_id", "PROPOSAL_UNKNOWN", "the id of a proposal is needed");
    }
    faults.keep(caller.as_ref());
    faults.keep_about(None, event_id);
    let closed = event_id.map(|event_id| ProposalClosed { organisation, event_id, id: proposal_id });
    faults.finish(caller.zip(closed))
}

fn parse_change(faults: &mut Faults, change: Option<v1::IdentityChange>) -> (Option<Subject>, Option<IdentityAction>) {
    let Some(change) = faults.need("change", change) else { return (None, None) };
    let v1::IdentityChange { subject, action, replaced_by, date } = change;
    let subject = parse_subject(faults, subject);
    let number = match replaced_by.as_str() {
        "" => None,
        text => faults.take("change.replaced_by", "NHS_NUMBER", NhsNumber::parse(text)),
    };
    let date_given = date.is_some();
    let date = time::day(faults, "change.date", date);
    let action = parse_action(faults, action, (number, !replaced_by.is_empty()), (date, date_given));
    (subject, action)
}

fn parse_subject(faults: &mut Faults, subject: Option<v1::IdentitySubject>) -> Option<Subject> {
    let v1::IdentitySubject { subject } = faults.need("change.subject", subject)?;
    match faults.need("change.subject", subject)? {
        v1::identity_subject::Subject::NhsNumber(text) => {
            faults.take("change.subject.nhs_number", "NHS_NUMBER", NhsNumber::parse(&text)).map(Subject::Nhs)
        }
        v1::identity_subject::Subject::LocalKey(v1::LocalKey { organisation, key }) => {
            let field = "change.subject.local_key";
            let organisation =
                faults.take(At(field, "organisation"), "UNKNOWN_ORGANISATION", OdsCode::parse(&organisation));
            let key = faults.take(At(field, "key"), "BAD_LOCAL_KEY", LocalKey::parse(&key));
            organisation.zip(key).map(|(organisation, key)| Subject::Local(organisation, key))
        }
    }
}

/// What is told. A value given where it does not belong is a fault: least of all may an adoption name a successor.
fn parse_action(
    faults: &mut Faults,
    action: i32,
    (number, number_given): (Option<NhsNumber>, bool),
    (date, date_given): (Option<Day>, bool),
) -> Option<IdentityAction> {
    use v1::IdentityAction as Wire;
    let wire = match Wire::try_from(action) {
        Ok(Wire::Unspecified) | Err(_) => {
            faults.add("change.action", "UNKNOWN_ACTION", "an action of the list is needed");
            return None;
        }
        Ok(wire) => wire,
    };
    let links = matches!(wire, Wire::Superseded | Wire::NumberAssigned);
    let dated = matches!(wire, Wire::BirthDate | Wire::Died);
    if number_given && !links {
        faults.add("change.replaced_by", "NO_SUCCESSOR", "this change names no other number");
    }
    if links && !number_given {
        faults.add("change.replaced_by", "MISSING", "the number that stands in its place is needed");
    }
    if date_given && !dated {
        faults.add("change.date", "NO_DATE", "this change has no date");
    }
    if dated && !date_given {
        faults.add("change.date", "MISSING", "the date is needed");
    }
    match wire {
        Wire::Unspecified => None,
        Wire::Superseded | Wire::NumberAssigned => number.map(IdentityAction::ReplacedBy),
        Wire::LinkUndone => Some(IdentityAction::LinkUndone),
        Wire::Invalidated | Wire::Adopted => Some(IdentityAction::Invalidated),
        Wire::Reinstated => Some(IdentityAction::Reinstated),
        Wire::BirthDate => date.map(IdentityAction::BirthDate),
        Wire::Died => date.map(|day| IdentityAction::Died(Some(day))),
        Wire::DeathUndone => Some(IdentityAction::Died(None)),
        Wire::Shielded => Some(IdentityAction::Shielded),
        Wire::Unshielded => Some(IdentityAction::Unshielded),
    }
}

/// A change of identity on the wire.
#[must_use]
pub fn wire(subject: &Subject, action: IdentityAction) -> v1::IdentityChange {
    use v1::IdentityAction as Wire;
    let local = matches!(subject, Subject::Local(..));
    let (action, number, date) = match action {
        IdentityAction::ReplacedBy(number) if local => (Wire::NumberAssigned, Some(number), None),
        IdentityAction::ReplacedBy(number) => (Wire::Superseded, Some(number), None),
        IdentityAction::LinkUndone => (Wire::LinkUndone, None, None),
        IdentityAction::Invalidated => (Wire::Invalidated, None, None),
        IdentityAction::Reinstated => (Wire::Reinstated, None, None),
        IdentityAction::BirthDate(day) => (Wire::BirthDate, None, Some(day)),
        IdentityAction::Died(Some(day)) => (Wire::Died, None, Some(day)),
        IdentityAction::Died(None) => (Wire::DeathUndone, None, None),
        IdentityAction::Shielded => (Wire::Shielded, None, None),
        IdentityAction::Unshielded => (Wire::Unshielded, None, None),
    };
    let subject = match subject {
        Subject::Nhs(number) => v1::identity_subject::Subject::NhsNumber(number.digits()),
        Subject::Local(organisation, key) => v1::identity_subject::Subject::LocalKey(v1::LocalKey {
            organisation: organisation.to_string(),
            key: key.as_str().to_owned(),
        }),
    };
    v1::IdentityChange {
        subject: Some(v1::IdentitySubject { subject: Some(subject) }),
        action: action.into(),
        replaced_by: number.map(NhsNumber::digits).unwrap_or_default(),
        date: date.map(time::date),
    }
}
