//! What of an entry of the audit is shown to whoever reads the audit. A person who was not asked for is a keyed pseudonym, and
//! what was made about a shielded child has no place: neither who asked, nor what else leads there.

use crate::audit_entry::{AuditEntry, Decision, MotherRead, TraceId};
use crate::audit_mark::people;
use crate::changed_one::{Became, ChangedOne, ListedOne};
use crate::engine::Engine;
use crate::keys;
use kith_domain::NhsNumber;
use kith_domain::caller::{Caller, CareContext, Purpose, Role};
use kith_domain::child::Subject;
use kith_domain::codes::{LaCode, OdsCode};
use kith_domain::fields::FieldSet;
use kith_domain::links::Person;
use kith_domain::method::Method;
use kith_domain::opening::LIMIT_REACHED;
use kith_domain::refusal_code::{REASON_NOT_TOLD, RefusalCode};
use kith_domain::refused::Refused;
use kith_domain::text::{PersonText, RoleCode, UserId};
use kith_domain::time::Moment;
use kith_store::{AuditRef, PSEUDONYM_BYTES};
use uuid::Uuid;

mod own_people;

pub(crate) use own_people::is_answer_to;

/// Whom an entry is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Whom {
    /// The number that was asked for.
    Asked(NhsNumber),
    /// The local key that was asked for.
    AskedKey,
    /// The same person, under another number or a key.
    SamePerson([u8; PSEUDONYM_BYTES]),
    /// Somebody else.
    Other([u8; PSEUDONYM_BYTES]),
}

/// The named person behind a call.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SeenPerson {
    /// Their identifier in the organisation.
    pub user_id: UserId,
    /// Their name.
    pub user_name: PersonText,
    /// Their role.
    pub user_role: PersonText,
    /// The code of their job role.
    pub role_code: RoleCode,
    /// A signed token proved them; else the request's word stands for them.
    pub proven: bool,
}

/// What tells a place: whence a call came, and what leads there.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SeenPlace {
    /// The organisation.
    pub organisation: OdsCode,
    /// The person, where the call named one that could be read.
    pub person: Option<SeenPerson>,
    /// The request's or the event's id.
    pub request_id: Option<Uuid>,
    /// The trace that the caller says it belongs to.
    pub trace: Option<TraceId>,
    /// Authorities that were responsible when an answer was given; none of a worklist, to whoever asked for no child.
    pub responsible: Vec<LaCode>,
}

/// One of several changes that were sent together, about the child that was asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SeenChange {
    /// Its event id, where it has one.
    pub event_id: Option<Uuid>,
    /// What became of it.
    pub became: Became,
}

/// An entry as it is shown.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SeenEntry {
    /// Its reference.
    pub reference: AuditRef,
    /// When.
    pub at: Moment,
    /// The call; none for the service itself.
    pub method: Option<Method>,
    /// The role that the certificate proved; none for the service itself.
    pub role: Option<Role>,
    /// Why the person asked. None of a refusal that is about a shielded child.
    pub purpose: Option<Purpose>,
    /// Planned or unplanned care, for questions. None likewise.
    pub context: Option<CareContext>,
    /// Whom it is about; none of a call about several, to whoever asked for no child.
    pub about: Option<Whom>,
    /// The mother whose record was read for a baby's answer; none likewise.
    pub mother: Option<Whom>,
    /// The child that was asked for is that mother.
    pub as_mother: bool,
    /// What was decided. Why something about a shielded child was refused is not told: it is [`REASON_NOT_TOLD`]. Which entry others
    /// than auditors had proven, and which answer a broker resolved, is not told: its number is nought. Of changes that were sent
    /// together it is how many of those about the child that was asked for were acknowledged and refused.
    pub decision: Decision,
    /// Of changes that were sent together what is about the child that was asked for.
    pub changes: Vec<SeenChange>,
    /// How much was listed, changed or read, what was told in a worklist, or anything that was told to one's own people, is not
    /// told: the numbers of the decision are none.
    pub uncounted: bool,
    /// Fields of an answer that the policy showed.
    pub fields: FieldSet,
    /// Whence the call came. None for the service itself, and for what is about a shielded child.
    pub place: Option<SeenPlace>,
    /// It is about a shielded child, or about one who was shielded then: no place is told.
    pub shielded: bool,
}

/// The child that is asked for, under every number of theirs.
#[derive(Debug)]
pub(crate) struct Child {
    own: Subject,
    others: Vec<Subject>,
    /// Is shielded, or was.
    hidden: bool,
}

/// As what a child stands in an entry.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum StandsAs {
    /// Whom it is about.
    Subject,
    /// The mother whose record was read.
    Mother,
}

impl Child {
    pub(crate) fn new(own: Subject, person: &Person) -> Self {
        let records = person.records().map(|record| record.subject.clone());
        let numbers = person.other_numbers().into_iter().map(Subject::Nhs);
        let others = records.chain(numbers).filter(|subject| *subject != own).collect();
        Self { others, own, hidden: person.is_shielded() || person.was_shielded() }
    }

    fn is(&self, subject: &Subject) -> bool {
        *subject == self.own || self.others.contains(subject)
    }

    /// What of changes that were sent together is about the child. Nothing where the child is or was shielded: the others have a
    /// place, and those sent before and after them too, so that the one entry without it would tell whose child it is. What was
    /// held of a shield may be gone since, so that what was written then counts too.
    fn own_of<'a>(&'a self, each: &'a [ChangedOne]) -> impl Iterator<Item = &'a ChangedOne> {
        let shown = move |one: &&ChangedOne| !self.hidden && !one.shielded;
        each.iter().filter(shown).filter(move |one| one.subject.as_ref().is_some_and(|subject| self.is(subject)))
    }

    /// The same of a list.
    fn own_among<'a>(&'a self, listed: &'a [ListedOne]) -> impl Iterator<Item = &'a ListedOne> {
        listed.iter().filter(move |one| !self.hidden && !one.shielded && self.is(&one.subject))
    }

    /// As what the child stands in an entry; `None` when the entry is not about them.
    pub(crate) fn stands_in(&self, entry: &AuditEntry) -> Option<StandsAs> {
        if let Decision::ChangedEach(each) = &entry.decision
            && self.own_of(each).next().is_some()
        {
            return Some(StandsAs::Subject);
        }
        if let Decision::ListedEach(listed) = &entry.decision
            && self.own_among(listed).next().is_some()
        {
            return Some(StandsAs::Subject);
        }
        if entry.subject.as_ref().is_some_and(|subject| self.is(subject)) {
            return Some(StandsAs::Subject);
        }
        entry.mother.as_ref().filter(|mother| self.is(&mother.subject)).map(|_| StandsAs::Mother)
    }
}

/// Whether a call is about several children, of whom each may have an entry of its own. They have one place, one person and one
/// request, nearly one moment, and numbers that follow one another: beside one that has no place its neighbours would tell it. So whoever
/// asks for no child is shown each of them with its place, and of none whom it is about or what that child's record told; and by a
/// child who is or was shielded none of them is found.
pub(crate) fn is_of_several(method: Option<Method>) -> bool {
    matches!(method, Some(Method::LookupMany | Method::SubmitEvents | Method::SubmitPlanFile | Method::Import))
}

/// Whether somebody looked at their organisation's queue of openings, reviewed one, or was told that there are too many. That
/// there are any tells that shielded records were opened there; an auditor's look tells of no place.
fn is_of_the_queue(entry: &AuditEntry) -> bool {
    let looked = matches!(entry.method, Some(Method::ListOpenings | Method::ReviewOpening));
    let refused = |code: &RefusalCode| code.word() == LIMIT_REACHED.reason;
    let too_many =
        matches!(&entry.decision, Decision::Refused(code) | Decision::RefusedMany { code, .. } if refused(code));
    too_many || (looked && entry.role != Some(Role::Auditor))
}

/// Whether an opening stood in the queue already when the disk or the audit failed it: only a shielded record's comes so far.
fn is_opening_undone(entry: &AuditEntry) -> bool {
    let undone = |code: &RefusalCode| {
        [Refused::NOT_AUDITED, Refused::STORAGE, Refused::BUSY].iter().any(|one| one.reason == code.word())
    };
    entry.method == Some(Method::OpenShielded) && matches!(&entry.decision, Decision::Refused(code) if undone(code))
}

/// Whether a safeguarding team reviewed a flag about its own people, or tried to. Of a flag that auditors are not shown, that
/// would tell whose people it is about, and the entries that raised it have no place.
fn is_own_review(entry: &AuditEntry) -> bool {
    entry.method == Some(Method::ReviewFlag) && entry.role == Some(Role::Safeguarding)
}

/// Whether an entry tells how much an authority hears, or withholds, how much an organisation has proposed, or how many flags a
/// safeguarding team was shown. One more of them, just after something was done about a shielded child without a place, would tell
/// which authority is the child's, or where it was done. Flags that an auditor was shown tell no place, nor do proposals that the
/// demographics service was: it is shown everybody's.
///
/// To whoever asked for no child it is not told of anything that was sent, or listed, of many either, nor why it was refused:
/// what searches by the children do not find of it would be about shielded ones. Nor what was told of a child in a worklist, or
/// carried over to it at a birth: by what a record holds the entry would be known for that child's. Nor how much a safeguarding team
/// read of who of its own people had looked, or of which time, whoever it was about.
fn is_uncounted(entry: &AuditEntry, child: Option<&Child>) -> bool {
    use Method::{
        AcknowledgeNotifications, Import, ListFlags, ListNotifications, ListOwnPlans, ListProposals, ListWithholdings,
        SubmitEvents, SubmitPlanFile,
    };
    let of_authority = matches!(entry.method, Some(ListNotifications | AcknowledgeNotifications | ListWithholdings));
    let of_team = entry.method == Some(ListFlags) && entry.role == Some(Role::Safeguarding);
    let lists = matches!(entry.decision, Decision::Listed(_) | Decision::ListedEach(_));
    let refused = matches!(entry.decision, Decision::RefusedRows { .. });
    let changes = refused || matches!(entry.decision, Decision::Changed { .. } | Decision::ChangedEach(_));
    let of_proposer = entry.method == Some(ListProposals) && entry.role != Some(Role::Demographics);
    let of_many = matches!(entry.method, Some(Import | ListOwnPlans | SubmitEvents | SubmitPlanFile));
    let each = refused || matches!(entry.decision, Decision::ListedEach(_) | Decision::ChangedEach(_));
    let of_nobody = child.is_none() && (of_many || each);
    let of_record = entry.decision.disclosed().is_some() || matches!(entry.decision, Decision::Withheld { .. });
    let of_several = child.is_none() && is_of_several(entry.method) && of_record;
    of_several
        || own_people::is_reading(entry)
        || ((of_authority || of_team || of_proposer || of_nobody) && (lists || changes))
}

/// What is shown of a decision.
struct Shown {
    decision: Decision,
    changes: Vec<SeenChange>,
    /// Whom of several it is about.
    about: Option<Subject>,
}

/// What of several in one entry is shown: to whoever asked for a child what is about that child alone, and to others nothing.
fn shown(decision: Decision, child: Option<&Child>) -> Shown {
    if let Decision::ListedEach(listed) = &decision {
        let own: Vec<&ListedOne> = child.into_iter().flat_map(|child| child.own_among(listed)).collect();
        let about = own.first().map(|one| one.subject.clone());
        return Shown { decision: Decision::Listed(own.len() as u64), changes: Vec::new(), about };
    }
    let Decision::ChangedEach(each) = decision else {
        return Shown { decision, changes: Vec::new(), about: None };
    };
    let own: Vec<&ChangedOne> = child.into_iter().flat_map(|child| child.own_of(&each)).collect();
    let (acknowledged, refused) = ChangedOne::counts(own.iter().copied());
    let one = |one: &&ChangedOne| SeenChange { event_id: one.event_id, became: one.became };
    Shown {
        decision: Decision::Changed { acknowledged, refused },
        changes: own.iter().map(one).collect(),
        about: own.first().and_then(|one| one.subject.clone()),
    }
}

/// Takes from a decision what would tell a place.
fn without_place(decision: &mut Decision, shielded: bool, role: Option<Role>) {
    if shielded && let Decision::AuditRead(read) = decision {
        // What an earlier reader asked for beside the child may be where they believed it to be.
        (read.person, read.organisation) = (None, None);
    }
    if let Decision::Proven { journal: _, sequence } = decision
        && role != Some(Role::Auditor)
    {
        // Others have entries of their own organisation proven: which one would tell whose an entry without a place is.
        *sequence = 0;
    }
    if let Decision::Resolved(answer) = decision {
        // It may be one of a worklist, which no search by the child finds: its neighbours have a place.
        *answer = 0;
    }
}

/// Takes from a refusal why it was; whether it is one. Which reasons there can be differs from place to place: where people need
/// a token, or have opened as many records as they may, there are some that are given nowhere else, and a search by the place tells
/// which. All of them go alike, for one that stayed would be told by the others.
fn without_reason(decision: &mut Decision) -> bool {
    let (Decision::Refused(code) | Decision::RefusedMany { code, .. }) = decision else { return false };
    *code = RefusalCode::of(REASON_NOT_TOLD);
    true
}

/// The named person behind a call, as they are shown.
fn named(caller: Caller, proven: bool) -> SeenPerson {
    let Caller { user_id, user_name, user_role, purpose: _, organisation: _, role_code } = caller;
    SeenPerson { user_id, user_name, user_role, role_code, proven }
}

impl Engine {
    /// Whether an entry is about a child whose whereabouts must not be revealed: now, or when it was made. What was marked when it
    /// was written stays so; the index is asked beside that, for a shield that was set since then.
    pub(crate) fn tells_of_shielded(&self, entry: &AuditEntry) -> bool {
        entry.shielded
            || is_of_the_queue(entry)
            || is_own_review(entry)
            || is_opening_undone(entry)
            || self.is_about_shielded(entry)
            || people(entry).any(|subject| self.index().person(subject).is_shielded())
    }

    /// An entry as it is shown to somebody who asked for `child`, or for nobody.
    pub(crate) fn seen(&self, reference: AuditRef, entry: AuditEntry, child: Option<&Child>) -> SeenEntry {
        let veiled = child.is_none() && is_of_several(entry.method);
        let (shielded, uncounted) = (!veiled && self.tells_of_shielded(&entry), is_uncounted(&entry, child));
        let as_mother = child.and_then(|child| child.stands_in(&entry)) == Some(StandsAs::Mother);
        let AuditEntry {
            at,
            organisation,
            role,
            caller,
            context,
            subject,
            request_id,
            decision,
            responsible,
            mother,
            method,
            trace,
            fields,
            shielded: _,
            person_proven,
        } = entry;
        let Shown { mut decision, mut changes, about } = shown(decision, child);
        without_place(&mut decision, shielded, role);
        let unexplained = shielded && without_reason(&mut decision);
        if uncounted {
            decision = Decision::Listed(0);
            changes.clear();
        }
        // Whether there are any tells how far the request was read, and so much of why it was refused.
        let purpose = caller.as_ref().map(|caller| caller.purpose).filter(|_| !unexplained);
        let context = context.filter(|_| !unexplained);
        let person = caller.map(|caller| named(caller, person_proven));
        let responsible = if veiled { Vec::new() } else { responsible };
        let place = organisation.filter(|_| !shielded);
        let place = place.map(|organisation| SeenPlace { organisation, person, request_id, trace, responsible });
        let whom = |subject: &Subject| self.whom(subject, child);
        SeenEntry {
            reference,
            at,
            method,
            role,
            purpose,
            context,
            about: subject.as_ref().or(about.as_ref()).filter(|_| !veiled).map(whom),
            mother: mother.filter(|_| !veiled).map(|MotherRead { subject, responsible: _ }| whom(&subject)),
            as_mother,
            decision,
            changes,
            uncounted,
            fields,
            place,
            shielded,
        }
    }

    fn whom(&self, subject: &Subject, child: Option<&Child>) -> Whom {
        let pseudonym = keys::shown_pseudonym(&self.keys, subject);
        match child {
            Some(child) if *subject == child.own => match child.own {
                Subject::Nhs(number) => Whom::Asked(number),
                Subject::Local(..) => Whom::AskedKey,
            },
            Some(child) if child.is(subject) => Whom::SamePerson(pseudonym),
            Some(_) | None => Whom::Other(pseudonym),
        }
    }
}

#[cfg(test)]
mod tests;
