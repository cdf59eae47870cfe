//! The built-in policy against a statement of it by hand: every role, every call, every purpose, every context, every field.
//! The statement goes by role and was written from what each of them is for; the policy goes by call.

use crate::caller::{Caller, CareContext, Peer, Purpose, Role};
use crate::codes::{LaCode, OdsCode};
use crate::directory::{AuthorityEntry, Directory, OrganisationEntry, ServiceRoles};
use crate::fields::{Field, FieldSet};
use crate::method::Method;
use crate::permit::{Refusal, authorise_action, authorise_known, authorise_read};
use crate::policy::{Policy, PolicyFault, PolicyRow};
use crate::text::{PersonText, RoleCode, UserId};
use std::collections::BTreeMap;

use CareContext::{Scheduled, Unscheduled};
use Method as M;
use Purpose::{ChildProtectionEnquiry, DirectCare, RecordKeeping, SafeguardingReview};

/// What may be asked of a role: calls, purposes, and contexts for questions.
type Sentence = (&'static [Method], &'static [Purpose], &'static [CareContext]);

const ANY: &[Purpose] = &[DirectCare, ChildProtectionEnquiry, SafeguardingReview, RecordKeeping];
const NO_QUESTION: &[CareContext] = &[Unscheduled];

/// What an authority reads, acknowledges and proposes.
const OF_AN_AUTHORITY: &[Method] =
    &[M::ListNotifications, M::AcknowledgeNotifications, M::ProposeIdentity, M::ListProposals, M::ListOwnPlans];
/// What is done with flags about people's use.
const OF_FLAGS: &[Method] = &[M::ListFlags, M::ReviewFlag, M::GetFlagRates];
/// What an authority asks about its own children, and decides of what it holds.
const ENQUIRED_BY_AN_AUTHORITY: &[Method] =
    &[M::WhoLooked, M::DecideWithholding, M::LiftWithholding, M::ListWithholdings];
/// What a safeguarding team does.
const OF_SAFEGUARDING: &[Sentence] = &[
    (&[M::Lookup, M::LookupMany], &[ChildProtectionEnquiry, SafeguardingReview], &[Unscheduled, Scheduled]),
    // It alone opens a shielded record: to enquire, in the open. It looks into what its own colleagues have opened.
    (&[M::OpenShielded], &[ChildProtectionEnquiry], &[Unscheduled]),
    (&[M::ListOpenings, M::ReviewOpening], &[SafeguardingReview], NO_QUESTION),
    // It looks into how its own organisation's people use the service, and who of them was told of a child.
    (OF_FLAGS, &[SafeguardingReview], NO_QUESTION),
    (&[M::WhoLooked], &[SafeguardingReview], NO_QUESTION),
    (&[M::GetStatus, M::GetInclusionProof], ANY, NO_QUESTION),
];

/// What a broker does: it brings together who asks about a shielded child and who shields it, while somebody cares or enquires.
const OF_A_BROKER: &[Sentence] = &[
    (&[M::ResolveReference], &[DirectCare, ChildProtectionEnquiry], NO_QUESTION),
    (&[M::GetStatus], ANY, NO_QUESTION),
];

/// Each role in sentences.
fn sentences(role: Role) -> &'static [Sentence] {
    match role {
        // An emergency department asks in the open, while it cares or suspects, about one child or a list.
        Role::Ed => &[
            (&[M::Lookup, M::LookupMany], &[DirectCare, ChildProtectionEnquiry], &[Unscheduled]),
            (&[M::CheckIn], &[DirectCare], &[Unscheduled]),
            // It sends its own presentations while it cares, or when it keeps its records.
            (&[M::Record, M::Amend, M::Close, M::Import], &[DirectCare, RecordKeeping], NO_QUESTION),
            // It proposes who somebody is, and sees what became of it.
            (
                &[M::ProposeIdentity, M::ListProposals],
                &[DirectCare, ChildProtectionEnquiry, RecordKeeping],
                NO_QUESTION,
            ),
            (&[M::ListFeeds, M::GetStatus, M::GetInclusionProof], ANY, NO_QUESTION),
        ],
        // Planned care asks, in the open or not, and sends nothing.
        Role::ScheduledCare => &[
            (&[M::Lookup, M::LookupMany], &[DirectCare, ChildProtectionEnquiry], &[Unscheduled, Scheduled]),
            (&[M::GetStatus, M::GetInclusionProof], ANY, NO_QUESTION),
        ],
        // A safeguarding team enquires and reviews; it cares for nobody itself.
        Role::Safeguarding => OF_SAFEGUARDING,
        // An authority sends its own plans as records, reads them, what happened to its own children and who looked them up,
        // proposes identities, and asks nothing.
        Role::LocalAuthority => &[
            (&[M::SubmitEvents, M::SubmitPlanFile, M::GetFilePosition], &[RecordKeeping], NO_QUESTION),
            (OF_AN_AUTHORITY, &[DirectCare, ChildProtectionEnquiry, RecordKeeping], NO_QUESTION),
            // Who looked is for an enquiry, a review, or to tell a family; not for care. So is what it withholds of its own.
            (ENQUIRED_BY_AN_AUTHORITY, &[ChildProtectionEnquiry, SafeguardingReview, RecordKeeping], NO_QUESTION),
            (&[M::ListFeeds, M::GetStatus], ANY, NO_QUESTION),
        ],
        // Demographics tells who numbers are. It lists proposals for whatever it works on.
        Role::Demographics => &[
            (&[M::TellIdentity, M::DeclineProposal], &[RecordKeeping], NO_QUESTION),
            (&[M::ListProposals], &[DirectCare, ChildProtectionEnquiry, RecordKeeping], NO_QUESTION),
            (&[M::GetStatus], ANY, NO_QUESTION),
        ],
        Role::Broker => OF_A_BROKER,
        // An auditor follows the audit, has entries of it proven, sees what waits for a review anywhere and looks into how
        // everybody uses the service. It reads the audit to review or to keep it, and for nothing that has to do with one
        // child's care.
        Role::Auditor => &[
            (&[M::GetStatus, M::GetCheckpoint, M::GetConsistencyProof, M::GetInclusionProof], ANY, NO_QUESTION),
            (&[M::SearchAudit, M::WhoLooked], &[SafeguardingReview, RecordKeeping], NO_QUESTION),
            (&[M::ListOpenings], &[SafeguardingReview], NO_QUESTION),
            (OF_FLAGS, &[SafeguardingReview], NO_QUESTION),
        ],
        // Operations see feeds and the state, and set where files go on. They see no child.
        Role::Ops => &[
            (&[M::ResetFilePosition], &[RecordKeeping], NO_QUESTION),
            (&[M::ListFeeds, M::GetStatus], ANY, NO_QUESTION),
        ],
        // A witness follows the audit and signs what it saw.
        Role::Witness => {
            &[(&[M::GetStatus, M::GetCheckpoint, M::GetConsistencyProof, M::AddCosignature], ANY, NO_QUESTION)]
        }
    }
}

/// Whether a role may, by the sentences.
fn is_stated(role: Role, method: Method, purpose: Purpose, context: CareContext) -> bool {
    sentences(role).iter().any(|(methods, purposes, contexts)| {
        methods.contains(&method) && purposes.contains(&purpose) && contexts.contains(&context)
    })
}

fn caller(purpose: Purpose, organisation: OdsCode) -> Caller {
    Caller {
        user_id: UserId::parse("u1").unwrap(),
        user_name: PersonText::parse("A Nurse").unwrap(),
        user_role: PersonText::parse("Nurse").unwrap(),
        role_code: RoleCode::parse("R8000").unwrap(),
        purpose,
        organisation,
    }
}

/// A peer of a role that the directory knows.
fn peer(role: Role) -> Peer {
    let code = if role == Role::LocalAuthority { "E06000001" } else { "R1H" };
    Peer { organisation: OdsCode::parse(code).unwrap(), role }
}

fn directory() -> Directory {
    let trust = OrganisationEntry { name: "Barts".into(), contact_phone: "020 7946 0001".into(), successor: None };
    let office = AuthorityEntry {
        name: "Hartlepool".into(),
        office_phone: "01632 960200".into(),
        out_of_hours_phone: "01632 960201".into(),
        opens_minute: 510,
        closes_minute: 1020,
    };
    Directory {
        organisations: BTreeMap::from([(OdsCode::parse("R1H").unwrap(), trust)]),
        authorities: BTreeMap::from([(LaCode::parse("E06000001").unwrap(), office)]),
        ..Directory::default()
    }
}

/// Every role, call, purpose and context.
fn product() -> impl Iterator<Item = (Role, Method, Purpose, CareContext)> {
    Role::WORDS.into_iter().flat_map(|(role, _)| {
        Method::WORDS.into_iter().flat_map(move |(method, _)| {
            Purpose::WORDS.into_iter().flat_map(move |(purpose, _)| {
                CareContext::WORDS.into_iter().map(move |(context, _)| (role, method, purpose, context))
            })
        })
    })
}

#[test]
fn the_whole_product_is_decided_as_it_is_stated() {
    let (policy, directory) = (Policy::builtin(), directory());
    let everywhere = (peer(Role::Ops).organisation, ServiceRoles::ROLES.to_vec());
    let services = ServiceRoles::new(BTreeMap::from([everywhere]));
    let (mut walked, mut granted) = (0_u32, 0_u32);
    for (role, method, purpose, context) in product() {
        let what = format!("{role} {} {purpose:?} {context:?}", method.word());
        let stated = is_stated(role, method, purpose, context);
        let (peer, caller) = (peer(role), caller(purpose, peer(role).organisation));
        let read = authorise_read(&policy, peer, &caller, (method, context), &directory);
        for (field, _) in Field::WORDS {
            let shown = read.as_ref().is_ok_and(|permit| permit.fields().has(field));
            assert_eq!(shown, stated && method.asks(), "{what} {}", field.word());
            walked += 1;
        }
        assert_eq!(read.is_ok(), stated && method.asks(), "{what}");
        if context == Unscheduled {
            let act = authorise_known(&policy, peer, &caller, method, (&directory, &services));
            assert_eq!(act.is_ok(), stated, "{what}");
            granted += u32::from(stated);
        }
    }
    assert_eq!((walked, granted), (9 * 36 * 4 * 2 * 6, 164), "the walk or the policy has changed in size");
    println!("COUNTED policy {walked}");
}

/// What no policy may grant, stated apart from what the built-in one grants.
#[test]
fn no_row_can_grant_an_answer_to_those_who_run_check_or_witness_the_service() {
    let row = |role: &str, method: Method| PolicyRow {
        roles: vec![role.into()],
        methods: vec![method.word().into()],
        purposes: vec!["direct-care".into()],
        contexts: method.asks().then(|| vec!["unscheduled".into()]),
        fields: method.asks().then(Vec::new),
    };
    // With a row for triage beside it a policy is whole: a row that is refused is refused for its own sake.
    let triage = row("ed", Method::Lookup);
    for (role, at_most) in AT_MOST {
        for (method, name) in Method::WORDS {
            let found = Policy::parse(&[triage.clone(), row(role.word(), method)]).map(|_| ());
            let never = PolicyFault::NeverForRole { row: 2, role: role.word(), method: name };
            let stated = if at_most.contains(&method) { Ok(()) } else { Err(vec![never]) };
            assert_eq!(found, stated, "{role} {name}");
        }
    }
}

/// All that any policy may grant to those who run, check, witness or broker, each by its name: whatever is not among it is refused,
/// and so is a call that is new.
const AT_MOST: [(Role, &[Method]); 4] = [
    (Role::Ops, &[M::ResetFilePosition, M::GetStatus, M::ListFeeds]),
    (
        Role::Auditor,
        &[
            M::GetStatus,
            M::GetCheckpoint,
            M::GetConsistencyProof,
            M::GetInclusionProof,
            // Who asked and what they did, and nothing that is held of a child.
            M::SearchAudit,
            M::WhoLooked,
            M::ListOpenings,
            M::ListFlags,
            M::ReviewFlag,
            M::GetFlagRates,
        ],
    ),
    (Role::Witness, &[M::GetStatus, M::GetCheckpoint, M::GetConsistencyProof, M::AddCosignature]),
    (Role::Broker, &[M::GetStatus, M::ResolveReference]),
];

#[test]
fn a_person_who_is_not_named_may_do_what_some_purpose_allows() {
    let policy = Policy::builtin();
    for (role, method, _, _) in product() {
        let stated = ANY.iter().any(|purpose| is_stated(role, method, *purpose, Unscheduled));
        let found = authorise_action(&policy, peer(role), None, method).map(|permit| permit.method());
        assert_eq!(found, if stated { Ok(method) } else { Err(Refusal::RoleNotAllowed) }, "{role} {}", method.word());
    }
}

#[test]
fn the_built_in_policy_leaves_nothing_out() {
    let policy = Policy::builtin();
    for (role, method, purpose, context) in product() {
        let fields = policy.granted(role, method, purpose, context);
        let all = if method.asks() { FieldSet::ALL } else { FieldSet::NONE };
        assert!(fields.is_none_or(|fields| fields == all), "{role} {}", method.word());
    }
}

/// A role and a purpose, and the fields that are shown for them, each by its word and as what is meant.
type Narrow = (&'static str, Role, &'static str, Purpose, &'static [(&'static str, Field)]);

/// A policy that shows each role for each purpose something else. Where everything is shown, as by the built-in one, two fields
/// that stand for each other are not seen. History and names of feeds tell places, and go with them alone.
const NARROW: [Narrow; 6] = [
    ("ed", Role::Ed, "direct-care", DirectCare, &[("visit-places", Field::VisitPlaces)]),
    (
        "ed",
        Role::Ed,
        "child-protection-enquiry",
        ChildProtectionEnquiry,
        &[("visit-places", Field::VisitPlaces), ("history", Field::History)],
    ),
    ("scheduled-care", Role::ScheduledCare, "direct-care", DirectCare, &[("siblings", Field::Siblings)]),
    (
        "scheduled-care",
        Role::ScheduledCare,
        "child-protection-enquiry",
        ChildProtectionEnquiry,
        &[("mother", Field::Mother)],
    ),
    ("safeguarding", Role::Safeguarding, "direct-care", DirectCare, &[("numbers", Field::Numbers)]),
    (
        "safeguarding",
        Role::Safeguarding,
        "child-protection-enquiry",
        ChildProtectionEnquiry,
        &[("visit-places", Field::VisitPlaces), ("named-feeds", Field::NamedFeeds)],
    ),
];

#[test]
fn a_narrow_policy_shows_the_fields_that_it_states_and_no_other() {
    let row = |(role, _, purpose, _, fields): Narrow| PolicyRow {
        roles: vec![role.into()],
        methods: vec!["LookupService/Lookup".into()],
        purposes: vec![purpose.into()],
        contexts: Some(vec!["unscheduled".into()]),
        fields: Some(fields.iter().map(|(word, _)| (*word).into()).collect()),
    };
    let (policy, directory, mut shown) = (Policy::parse(&NARROW.map(row)).unwrap(), directory(), 0_u32);
    for (role, method, purpose, context) in product() {
        let (peer, caller) = (peer(role), caller(purpose, peer(role).organisation));
        let read = authorise_read(&policy, peer, &caller, (method, context), &directory);
        let stated = NARROW.iter().find(|(_, of, _, why, _)| (*of, *why) == (role, purpose));
        let stated = stated.filter(|_| method == M::Lookup && context == Unscheduled);
        let what = format!("{role} {} {purpose:?} {context:?}", method.word());
        assert_eq!(read.is_ok(), stated.is_some(), "{what}");
        for (field, word) in Field::WORDS {
            let is_shown = read.as_ref().is_ok_and(|permit| permit.fields().has(field));
            let is_stated = stated.is_some_and(|(.., fields)| fields.iter().any(|(_, one)| *one == field));
            assert_eq!(is_shown, is_stated, "{what} {word}");
            shown += u32::from(is_shown);
        }
    }
    assert_eq!(shown, 8, "each of them is shown somewhere");
}
