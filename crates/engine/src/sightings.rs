//! What entries of the audit tell of somebody's use: a question about a child, and about the mother who was named with it, or that a
//! child was there.
//!
//! A child was there when an organisation told of a presentation, one by one or row by row in a stream of them, and also when it
//! tried to and Kith refused for a reason of its own: whoever sits before the child cannot mend Kith's disks. No refusal that
//! whoever asks can bring about counts, or it would be a way to look like one who has the child before them. Nor does what was
//! sent again, what a later version stands over, or an arrival of more than a day ago count (`not_there.rs`). What is taken back as
//! entered in error takes back that the child was there, and so does an arrival of so long ago, to which one of today may have been
//! moved. Of what was refused before the audit took entries, and of several that one
//! person was refused within milliseconds, the audit does not know whom it was about: that counts for nobody. Questions are not
//! answered at the first of these times either.

use crate::audit_entry::{AuditEntry, Code, Decision, Disclosed, MotherRead};
use crate::changed_one::{Became, ChangedOne};
use crate::keys;
use crate::not_there::NotThere;
use kith_domain::caller::{CareContext, Purpose, Role};
use kith_domain::child::Subject;
use kith_domain::method::Method;
use kith_domain::trawling::{Asking, ChildMark, Sight, Sighting};
use kith_store::Keys;

/// What an entry tells, in its order.
pub(crate) fn sightings(secrets: &Keys, sequence: u64, entry: &AuditEntry) -> Vec<Sighting> {
    let Some((organisation, method)) = entry.organisation.zip(entry.method) else { return Vec::new() };
    let seen = |subject: &Subject, what| {
        let child = ChildMark::new(keys::child(secrets, subject).try_into().ok()?);
        Some(Sighting { entry: sequence, at: entry.at, organisation, child, what })
    };
    if let Decision::ChangedEach(each) = &entry.decision {
        let rows = each.iter().filter(|_| method == Method::Import);
        return rows.filter_map(|one| seen(one.subject.as_ref()?, of_row(entry, one)?)).collect();
    }
    let Some(subject) = &entry.subject else { return Vec::new() };
    let Some(disclosed) = entry.decision.disclosed() else {
        let there = tells_of_a_presentation(method, &entry.decision).then_some(Sight::Presentation);
        let not_there = if let Decision::NotThere(why) = &entry.decision { Some(*why) } else { None };
        let what = there.or_else(|| taken_back(entry, not_there?));
        return what.and_then(|what| seen(subject, what)).into_iter().collect();
    };
    let child = asking(entry, (subject, method), disclosed).and_then(|asking| seen(subject, Sight::Question(asking)));
    let of_mother = entry.mother.as_ref().zip(child.as_ref()).and_then(|(MotherRead { subject, .. }, child)| {
        let asking = asking(entry, (subject, method), disclosed)?;
        let asking = Asking { held: disclosed.mother.is_some_and(is_held), ..asking };
        let numbered = matches!(entry.subject, Some(Subject::Nhs(_)));
        seen(subject, Sight::OfMother { asking, with: child.child, numbered })
    });
    child.into_iter().chain(of_mother).collect()
}

/// Whether something is held.
fn is_held(code: Code) -> bool {
    matches!(code, Code::Held(_))
}

/// Who asked what; none where nobody is named.
fn asking(entry: &AuditEntry, (subject, method): (&Subject, Method), disclosed: Disclosed) -> Option<Asking> {
    let (caller, role) = (entry.caller.as_ref()?, entry.role?);
    // In planned care, and of a worklist, nobody needs to be there. But an emergency department expects nobody by appointment, and
    // its worklists would be a way to ask about children who are not there: those for a review, or in planned care, need a policy
    // that grants them. A record that was opened was asked about in the open.
    let uncounted = matches!(entry.decision, Decision::Answered { counted: false, .. });
    let is_granted = caller.purpose == Purpose::SafeguardingReview || entry.context == Some(CareContext::Scheduled);
    let of_department = role == Role::Ed && !is_granted;
    Some(Asking {
        user_id: caller.user_id.clone(),
        role,
        unscheduled: !uncounted || of_department,
        number: if let Subject::Nhs(number) = subject { Some(*number) } else { None },
        held: is_held(disclosed.plans) || is_held(disclosed.presentations),
        checks_in: method == Method::CheckIn,
    })
}

/// What a row of a stream of presentations tells of whether a child was there.
fn of_row(entry: &AuditEntry, ChangedOne { became, not_there, .. }: &ChangedOne) -> Option<Sight> {
    match (became, not_there) {
        (Became::Applied | Became::Kept, None) => Some(Sight::Presentation),
        (Became::Applied | Became::Kept, Some(why)) => taken_back(entry, *why),
        // What stands over it has told so.
        (Became::Overtaken | Became::Repeated, _) => None,
        (Became::Refused(code), _) => code.is_kiths_own().then_some(Sight::Presentation),
    }
}

/// What an event of an entry takes back of what was told before.
fn taken_back(entry: &AuditEntry, why: NotThere) -> Option<Sight> {
    match why {
        NotThere::InError => {
            let by = entry.caller.as_ref().map(|caller| caller.user_id.clone()).zip(entry.role);
            Some(Sight::TakenBack { by })
        }
        // Encounters of before are told and amended in whatever number, and that is nobody's trawling. One of today that is moved there
        // takes its child with it.
        NotThere::Earlier => Some(Sight::TakenBack { by: None }),
        NotThere::Again => None,
    }
}

/// Whether an organisation told something of one presentation of one child, or tried to and could not for what is Kith's own.
fn tells_of_a_presentation(method: Method, decision: &Decision) -> bool {
    let taken = matches!(decision, Decision::Changed { acknowledged: 1.., refused: _ });
    let could_not = match decision {
        Decision::Refused(code) | Decision::RefusedMany { code, .. } => code.is_kiths_own(),
        Decision::Answered { .. }
        | Decision::Changed { .. }
        | Decision::Listed(_)
        | Decision::Started
        | Decision::Stopped
        | Decision::Gap(_)
        | Decision::FilePositionReset(..)
        | Decision::ConfigChanged(..)
        | Decision::ConfigRefused(_)
        | Decision::ListKept { .. }
        | Decision::Proven { .. }
        | Decision::AuditRead(_)
        | Decision::Opened { .. }
        | Decision::OpeningReviewed(..)
        | Decision::Flagged(_)
        | Decision::FlagReviewed(..)
        | Decision::Withheld { .. }
        | Decision::WithholdingLifted
        | Decision::AuditRemoved { .. }
        | Decision::Resolved(_)
        | Decision::ChangedEach(_)
        | Decision::ListedEach(_)
        // Taken apart before they come here, or about nobody by name.
        | Decision::ToldAgain { .. }
        | Decision::RefusedRows { .. }
        // Acknowledged, and not there.
        | Decision::NotThere(_) => false,
    };
    // Not what closes one: a child who was there was recorded before. Of one who never was, "entered in error" is taken too, and
    // nobody is ever shown it.
    (taken || could_not) && matches!(method, Method::CheckIn | Method::Record | Method::Amend)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::audit_entry::Call;
    use kith_domain::NhsNumber;
    use kith_domain::caller::{Caller, Peer};
    use kith_domain::codes::OdsCode;
    use kith_domain::identity::IdentityCheck;
    use kith_domain::proof::PersonProof;
    use kith_domain::refusal_code::RefusalCode;
    use kith_domain::text::{PersonText, RoleCode, UserId};
    use kith_domain::time::Moment;

    fn subject(n: u32) -> Option<Subject> {
        (999_000_000 + n..).find_map(NhsNumber::from_first_nine).map(Subject::Nhs)
    }

    /// How often an entry tells that a child was there.
    fn presentations(method: Method, decision: Decision) -> usize {
        let peer = Peer { organisation: OdsCode::parse("R1H").unwrap(), role: Role::Ed };
        let call = Call { peer, method, trace: None, person: PersonProof::NotAsked };
        let entry = AuditEntry::of_call(Moment(1_000), call, None, None, decision);
        let seen = sightings(&Keys::from_master([7; 32]), 1, &AuditEntry { subject: subject(0), ..entry });
        assert!(seen.iter().all(|seen| matches!(seen.what, Sight::Presentation)));
        seen.len()
    }

    fn refused(reason: &str) -> Decision {
        assert!(RefusalCode::is_listed(reason), "{reason}");
        Decision::Refused(RefusalCode::of(reason))
    }

    #[test]
    fn what_kith_could_not_record_is_an_attempt_and_what_a_caller_can_have_refused_is_none() {
        for method in [Method::CheckIn, Method::Record, Method::Amend] {
            for reason in ["STORAGE_UNAVAILABLE", "AUDIT_UNAVAILABLE", "STORE_UNAVAILABLE", "DRAINING"] {
                assert_eq!(presentations(method, refused(reason)), 1, "{reason}");
            }
            for reason in ["BAD_TEXT", "ROLE_NOT_ALLOWED", "UNKNOWN_SITE", "WRITE_QUEUE_FULL", "DEADLINE_EXCEEDED"] {
                assert_eq!(presentations(method, refused(reason)), 0, "{reason}");
            }
            assert_eq!(presentations(method, Decision::Changed { acknowledged: 1, refused: 0 }), 1);
            assert_eq!(presentations(method, Decision::Changed { acknowledged: 0, refused: 1 }), 0);
        }
        for method in [Method::Lookup, Method::SubmitEvents, Method::ProposeIdentity] {
            assert_eq!(presentations(method, refused("STORAGE_UNAVAILABLE")), 0, "it records no presentation");
        }
    }

    #[test]
    fn an_outcome_alone_tells_of_nobody_who_was_there() {
        for decision in [Decision::Changed { acknowledged: 1, refused: 0 }, refused("STORAGE_UNAVAILABLE")] {
            assert_eq!(presentations(Method::Close, decision.clone()), 0, "{decision:?}");
        }
    }

    /// Of each event that is acknowledged and tells of nobody who is there: whether it takes back that somebody was, and by whom.
    #[test]
    fn what_is_taken_back_is_known_with_who_took_it_back_and_what_is_of_before_tells_nothing() {
        let organisation = OdsCode::parse("R1H").unwrap();
        let told = |method, decision| -> Vec<Option<Option<String>>> {
            let peer = Peer { organisation, role: Role::Ed };
            let call = Call { peer, method, trace: None, person: PersonProof::NotAsked };
            let entry = AuditEntry::of_call(Moment(1_000), call, Some(caller(Purpose::DirectCare)), None, decision);
            let seen = sightings(&Keys::from_master([7; 32]), 1, &AuditEntry { subject: subject(0), ..entry });
            let by = |seen: Sighting| match seen.what {
                Sight::TakenBack { by } => Some(by.map(|(user_id, _)| user_id.as_str().to_owned())),
                Sight::Presentation | Sight::Question(_) | Sight::OfMother { .. } => None,
            };
            seen.into_iter().map(by).collect()
        };
        let by_u1 = || vec![Some(Some("u1".to_owned()))];
        assert_eq!(told(Method::Close, Decision::NotThere(NotThere::InError)), by_u1());
        for method in [Method::CheckIn, Method::Record, Method::Amend] {
            assert_eq!(told(method, Decision::NotThere(NotThere::Earlier)), [Some(None)], "{method:?}");
            assert!(told(method, Decision::NotThere(NotThere::Again)).is_empty(), "{method:?}");
        }
        let (subject, became, not_there) = (subject(1), Became::Applied, Some(NotThere::InError));
        let row = ChangedOne { subject, event_id: None, became, shielded: false, not_there };
        assert_eq!(told(Method::Import, Decision::ChangedEach(vec![row.clone()])), by_u1());
        let earlier = ChangedOne { not_there: Some(NotThere::Earlier), ..row.clone() };
        assert_eq!(told(Method::Import, Decision::ChangedEach(vec![earlier])), [Some(None)]);
        assert!(told(Method::SubmitEvents, Decision::ChangedEach(vec![row])).is_empty());
    }

    #[test]
    fn each_row_that_a_stream_of_presentations_told_of_is_one() {
        let one = |n, became| {
            let (subject, event_id) = (subject(n), None);
            ChangedOne { subject, event_id, became, shielded: false, not_there: None }
        };
        let rows = vec![
            one(1, Became::Applied),
            one(20, Became::Kept),
            one(40, Became::Overtaken),
            one(60, Became::refused("STORAGE_UNAVAILABLE")),
            one(80, Became::Repeated),
            one(100, Became::refused("BAD_TEXT")),
            ChangedOne { subject: None, ..one(0, Became::Applied) },
        ];
        assert_eq!(
            presentations(Method::Import, Decision::ChangedEach(rows.clone())),
            3,
            "what stands over it has told"
        );
        let again = rows.iter().map(|row| ChangedOne { not_there: Some(NotThere::Again), ..row.clone() }).collect();
        assert_eq!(presentations(Method::Import, Decision::ChangedEach(again)), 1, "what Kith could not take");
        // What authorities send, and what they have heard of, tells of nobody who is there.
        for method in [Method::SubmitEvents, Method::SubmitPlanFile, Method::AcknowledgeNotifications] {
            assert_eq!(presentations(method, Decision::ChangedEach(rows.clone())), 0);
        }
    }

    fn caller(purpose: Purpose) -> Caller {
        Caller {
            user_id: UserId::parse("u1").unwrap(),
            user_name: PersonText::parse("A Nurse").unwrap(),
            user_role: PersonText::parse("Nurse").unwrap(),
            purpose,
            organisation: OdsCode::parse("R1H").unwrap(),
            role_code: RoleCode::parse("R8000").unwrap(),
        }
    }

    /// Whether a question of a worklist is one of unscheduled care.
    fn is_unscheduled(role: Role, purpose: Purpose, context: CareContext) -> bool {
        let caller = caller(purpose);
        let organisation = caller.organisation;
        let disclosed = Disclosed {
            identity: IdentityCheck::NotGiven,
            plans: Code::NoneHeld,
            presentations: Code::NoneHeld,
            shielded: false,
            siblings: 0,
            mother: None,
        };
        let (peer, method) = (Peer { organisation, role }, Method::LookupMany);
        let call = Call { peer, method, trace: None, person: PersonProof::NotAsked };
        let decision = Decision::Answered { disclosed, counted: false };
        let entry = AuditEntry::of_call(Moment(1_000), call, Some(caller), None, decision);
        let entry = AuditEntry { subject: subject(0), context: Some(context), ..entry };
        let seen = sightings(&Keys::from_master([7; 32]), 1, &entry);
        let [Sighting { what: Sight::Question(asking), .. }] = &seen[..] else { panic!("{seen:?}") };
        asking.unscheduled
    }

    #[test]
    fn an_emergency_department_asks_about_who_is_there_by_a_worklist_too() {
        let unscheduled = CareContext::Unscheduled;
        for purpose in [Purpose::DirectCare, Purpose::ChildProtectionEnquiry] {
            assert!(is_unscheduled(Role::Ed, purpose, unscheduled), "{purpose:?}");
            assert!(!is_unscheduled(Role::Ed, purpose, CareContext::Scheduled), "{purpose:?}");
        }
        assert!(!is_unscheduled(Role::Ed, Purpose::SafeguardingReview, unscheduled));
        assert!(!is_unscheduled(Role::ScheduledCare, Purpose::DirectCare, unscheduled));
        assert!(!is_unscheduled(Role::Safeguarding, Purpose::ChildProtectionEnquiry, unscheduled));
    }
}
