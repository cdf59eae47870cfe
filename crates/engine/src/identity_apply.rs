//! Applying what the demographics service tells of a number, and proposals: checks given what is held, then the change.

use crate::apply::tell;
use crate::keys;
use crate::names;
use crate::rows::{ProposalRow, ProposalState, decode};
use crate::working::{StateError, Working};
use kith_domain::change::{IdentityAction, IdentityEvent, Proposal, ProposalClosed};
use kith_domain::child::Subject;
use kith_domain::fold::Effect;
use kith_domain::links::{self, MAX_LINKED, Standing};
use kith_domain::nhs_number::NhsNumber;
use kith_domain::notify::{self, Cause};
use kith_domain::refused::{Refused, RefusedKind};
use kith_domain::time::Moment;
use kith_store::Table;

/// Most versions of what is told of one number.
const MAX_VERSIONS: usize = 500;
/// Most proposals of one organisation that nobody has looked at yet: one system that sends for ever must not keep others from
/// being heard.
const MAX_OPEN_PROPOSALS: u32 = 200;

const fn conflict(field: &'static str, reason: &'static str, words: &'static str) -> Refused {
    Refused { kind: RefusedKind::Conflict, field, reason, words }
}

const CYCLE: Refused =
    conflict("replaced_by", "LINK_CYCLE", "this would lead back to the number itself: undo the other link first");
const SUBJECT_INVALID: Refused = conflict(
    "subject",
    "NUMBER_INVALIDATED",
    "this number has been invalidated, and nothing stands in the place of such a number: reinstate it first",
);
const SUCCESSOR_INVALID: Refused = conflict(
    "replaced_by",
    "NUMBER_INVALIDATED",
    "the number that is to stand in its place has been invalidated: nothing was changed",
);
const TOO_MANY_LINKED: Refused = Refused {
    kind: RefusedKind::TooMany,
    field: "replaced_by",
    reason: "TOO_MANY_LINKED",
    words: "more numbers would be linked than one person can have here: nothing was changed",
};
const TOO_MANY_PROPOSALS: Refused = Refused {
    kind: RefusedKind::TooMany,
    field: "",
    reason: "TOO_MANY_PROPOSALS",
    words: "too many proposals of yours wait to be looked at: nothing was changed; ring the demographics service",
};
const PROPOSAL_UNKNOWN: Refused = conflict("proposal", "PROPOSAL_UNKNOWN", "there is no such proposal");
const PROPOSAL_DONE: Refused =
    conflict("proposal", "PROPOSAL_CLOSED", "this proposal has been looked at already: nothing was changed");

/// Whether an identity event may be taken.
pub(crate) fn check(working: &Working<'_>, event: &IdentityEvent) -> Result<Option<Refused>, StateError> {
    if let Some(id) = event.proposal
        && let Some(refused) = check_open(working, id)?
    {
        return Ok(Some(refused));
    }
    let held = working.peek(&event.subject)?;
    let facts = held.as_ref().and_then(|record| record.identity.as_deref());
    if facts.is_some_and(|facts| facts.versions.contains(&event.version)) {
        return Ok(Some(Refused::VERSION_REUSED));
    }
    if facts.is_some_and(|facts| facts.versions.len() >= MAX_VERSIONS) {
        return Ok(Some(Refused::TOO_MANY));
    }
    // What a later version has overtaken links nothing.
    let stands = facts.map_or(0, |facts| facts.successor.version());
    match event.action {
        IdentityAction::ReplacedBy(number) if event.version > stands => {
            if facts.is_some_and(links::IdentityFacts::is_invalidated) {
                return Ok(Some(SUBJECT_INVALID));
            }
            check_link(working, &event.subject, number)
        }
        IdentityAction::ReplacedBy(_)
        | IdentityAction::LinkUndone
        | IdentityAction::Invalidated
        | IdentityAction::Reinstated
        | IdentityAction::BirthDate(_)
        | IdentityAction::Died(_)
        | IdentityAction::Shielded
        | IdentityAction::Unshielded => Ok(None),
    }
}

/// Whether `number` may stand in the place of a subject.
fn check_link(working: &Working<'_>, subject: &Subject, number: NhsNumber) -> Result<Option<Refused>, StateError> {
    let place = Subject::Nhs(number);
    let (from, to) = (working.person(subject)?, working.person(&place)?);
    let leads_back = |one: &Subject| one == subject;
    let mut next = Some(place.clone());
    let mut steps = 0;
    while let Some(at) = next {
        if leads_back(&at) {
            return Ok(Some(CYCLE));
        }
        steps += 1;
        let record = working.peek(&at)?.filter(|_| steps <= MAX_LINKED);
        next = record.and_then(|record| record.identity?.successor.get().copied()).map(Subject::Nhs);
    }
    Ok(match to.standing {
        Standing::Invalid => Some(SUCCESSOR_INVALID),
        Standing::Current | Standing::ReplacedBy(_) => {
            let numbers = from.linked.len() + to.linked.len() + 2;
            (numbers > MAX_LINKED).then_some(TOO_MANY_LINKED)
        }
    })
}

/// Applies what is told of a number, and tells the authorities whom it concerns.
pub(crate) fn apply(working: &mut Working<'_>, event: &IdentityEvent, at: Moment) -> Result<Effect, StateError> {
    let linked = standings(working, &event.subject)?;
    let record = working.child(&event.subject)?;
    let facts = record.identity.get_or_insert_default();
    let before = facts.successor.get().copied();
    let effect = facts.apply(event);
    let after = facts.successor.get().copied();
    if before != after {
        if let Some(number) = before {
            let mut other = working.child(&Subject::Nhs(number))?.clone();
            links::unlink(&mut other, &event.subject);
            working.replace(other)?;
        }
        if let Some(number) = after {
            links::link(working.child(&Subject::Nhs(number))?, &event.subject);
        }
    }
    if event.action == IdentityAction::Invalidated {
        let others = linked.iter().map(|(subject, _)| subject);
        for subject in others.chain([&event.subject]) {
            names::forget_keys_of(working, subject)?;
        }
    }
    if let Some(id) = event.proposal {
        close(working, id, ProposalState::Followed, at)?;
    }
    let cause = match event.action {
        // The last of them, where another stands in the place of that one.
        IdentityAction::ReplacedBy(number) => match working.person(&event.subject)?.standing {
            Standing::ReplacedBy(last) => Cause::NumberReplaced(last),
            Standing::Current | Standing::Invalid => Cause::NumberReplaced(number),
        },
        IdentityAction::Invalidated => Cause::NumberInvalidated,
        IdentityAction::LinkUndone | IdentityAction::Reinstated => Cause::NumberReinstated,
        IdentityAction::BirthDate(_)
        | IdentityAction::Died(_)
        | IdentityAction::Shielded
        | IdentityAction::Unshielded => return Ok(effect),
    };
    if effect == Effect::Applied {
        let concerned = notify::concerned(working.child(&event.subject)?, at.london_day());
        tell(working, &event.subject, concerned, &cause, at)?;
        tell_of_others(working, event, linked, at)?;
    }
    Ok(effect)
}

/// The other numbers of a person, and how each stands.
fn standings(working: &Working<'_>, subject: &Subject) -> Result<Vec<(Subject, Standing)>, StateError> {
    let linked = working.person(subject)?.linked;
    let one = |record: &std::sync::Arc<kith_domain::child::ChildRecord>| {
        Ok((record.subject.clone(), working.person(&record.subject)?.standing))
    };
    linked.iter().map(one).collect()
}

/// Tells the authorities of numbers in whose place this one stands: with it they are not valid any more, or are again, or
/// another stands in their place. `before` is how they stood.
fn tell_of_others(
    working: &mut Working<'_>,
    event: &IdentityEvent,
    before: Vec<(Subject, Standing)>,
    at: Moment,
) -> Result<(), StateError> {
    let others = match event.action {
        IdentityAction::Invalidated | IdentityAction::ReplacedBy(_) | IdentityAction::LinkUndone => before,
        // Of a number that is not valid nothing was linked.
        IdentityAction::Reinstated => {
            let linked = working.person(&event.subject)?.linked;
            linked.iter().map(|record| (record.subject.clone(), Standing::Invalid)).collect()
        }
        IdentityAction::BirthDate(_)
        | IdentityAction::Died(_)
        | IdentityAction::Shielded
        | IdentityAction::Unshielded => return Ok(()),
    };
    for (subject, stood) in others {
        let stands = working.person(&subject)?.standing;
        let cause = match stands {
            Standing::Invalid => Cause::NumberInvalidated,
            Standing::ReplacedBy(number) => Cause::NumberReplaced(number),
            Standing::Current => continue,
        };
        if stands != stood {
            let concerned = notify::concerned(working.child(&subject)?, at.london_day());
            tell(working, &subject, concerned, &cause, at)?;
        }
    }
    Ok(())
}

/// Tells an authority that sends a plan under a number that is not to be used any more.
pub(crate) fn tell_of_number(
    working: &mut Working<'_>,
    subject: &Subject,
    authority: kith_domain::codes::LaCode,
    at: Moment,
) -> Result<Standing, StateError> {
    let standing = working.person(subject)?.standing;
    let cause = match standing {
        Standing::Current => return Ok(standing),
        Standing::ReplacedBy(number) => Cause::NumberReplaced(number),
        Standing::Invalid => Cause::NumberInvalidated,
    };
    tell(working, subject, vec![authority], &cause, at)?;
    Ok(standing)
}

fn check_open(working: &Working<'_>, id: u64) -> Result<Option<Refused>, StateError> {
    let row = working.row::<ProposalRow>(Table::Proposal, &keys::proposal(id))?;
    Ok(match row.map(|row| row.state) {
        None => Some(PROPOSAL_UNKNOWN),
        Some(ProposalState::Open) => None,
        Some(ProposalState::Followed | ProposalState::NotFollowed) => Some(PROPOSAL_DONE),
    })
}

/// Whether a proposal may be taken.
pub(crate) fn check_proposal(working: &Working<'_>, proposal: &Proposal) -> Option<Refused> {
    let open = working.meta().open_proposals.get(&proposal.organisation).copied().unwrap_or(0);
    (open >= MAX_OPEN_PROPOSALS).then_some(TOO_MANY_PROPOSALS)
}

/// Whether a proposal may be closed.
pub(crate) fn check_closing(working: &Working<'_>, closed: &ProposalClosed) -> Result<Option<Refused>, StateError> {
    check_open(working, closed.id)
}

/// Keeps a proposal.
pub(crate) fn propose(working: &mut Working<'_>, proposal: &Proposal, at: Moment) -> Result<Effect, StateError> {
    let meta = working.meta_mut();
    meta.last_proposal += 1;
    *meta.open_proposals.entry(proposal.organisation).or_default() += 1;
    let key = keys::proposal(meta.last_proposal);
    let row = ProposalRow { proposal: proposal.clone(), at, state: ProposalState::Open, closed_at: None };
    working.put(Table::Proposal, key, &row)?;
    Ok(Effect::Applied)
}

/// Notes that a proposal was not followed.
pub(crate) fn decline(working: &mut Working<'_>, closed: &ProposalClosed, at: Moment) -> Result<Effect, StateError> {
    close(working, closed.id, ProposalState::NotFollowed, at)?;
    Ok(Effect::Applied)
}

fn close(working: &mut Working<'_>, id: u64, state: ProposalState, at: Moment) -> Result<(), StateError> {
    let key = keys::proposal(id);
    let Some(mut row) = working.row::<ProposalRow>(Table::Proposal, &key)? else { return Ok(()) };
    (row.state, row.closed_at) = (state, Some(at));
    working.put(Table::Proposal, key, &row)?;
    waits_no_more(working, &row);
    Ok(())
}

/// Forgets that a proposal waits, when its row is removed.
pub(crate) fn forget(working: &mut Working<'_>, bytes: &[u8]) -> Result<(), StateError> {
    let row = decode::<ProposalRow>(bytes)?;
    if row.state == ProposalState::Open {
        waits_no_more(working, &row);
    }
    Ok(())
}

fn waits_no_more(working: &mut Working<'_>, row: &ProposalRow) {
    let open = &mut working.meta_mut().open_proposals;
    if let Some(count) = open.get_mut(&row.proposal.organisation) {
        *count = count.saturating_sub(1);
    }
    open.retain(|_, count| *count > 0);
}
