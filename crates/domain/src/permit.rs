//! Who may do what. A permit can be made only here, so an unauthorised read or change does not compile:
//!
//! ```compile_fail
//! use kith_domain::permit::ReadPermit;
//! let forged = ReadPermit { _private: () };
//! ```
//!
//! The default is to deny: what no row of the policy grants is refused.

use crate::audit_query::AuditScope;
use crate::caller::{Caller, CareContext, Peer, Role};
use crate::change::Feed;
use crate::codes::LaCode;
use crate::directory::{Directory, ServiceRoles};
use crate::fields::FieldSet;
use crate::method::Method;
use crate::policy::Policy;
use crate::proof::Unproven;

/// Proof that a peer may ask about a child.
#[derive(Debug)]
pub struct ReadPermit {
    peer: Peer,
    context: CareContext,
    fields: FieldSet,
    opens: bool,
    _private: (),
}

impl ReadPermit {
    /// The peer that holds it.
    #[must_use]
    pub fn peer(&self) -> Peer {
        self.peer
    }

    /// The care context it is for.
    #[must_use]
    pub fn context(&self) -> CareContext {
        self.context
    }

    /// The fields that are shown beside what is shown always.
    #[must_use]
    pub fn fields(&self) -> FieldSet {
        self.fields
    }

    /// Whether it shows a shielded record like any other. That of an [`OpeningPermit`] alone does.
    #[must_use]
    pub fn opens(&self) -> bool {
        self.opens
    }
}

/// Proof that a peer may open a shielded record for one viewing. It lends its permit to ask and never gives it away, so nobody
/// can ask with it as if it were an ordinary one.
#[derive(Debug)]
pub struct OpeningPermit(ReadPermit);

impl OpeningPermit {
    /// The permit to ask.
    #[must_use]
    pub fn read(&self) -> &ReadPermit {
        &self.0
    }
}

/// Proof that a peer may change or list what a [`Method`] names.
#[derive(Debug)]
pub struct ActionPermit {
    peer: Peer,
    method: Method,
    _private: (),
}

impl ActionPermit {
    /// The peer that holds it.
    #[must_use]
    pub fn peer(&self) -> Peer {
        self.peer
    }

    /// What it allows.
    #[must_use]
    pub fn method(&self) -> Method {
        self.method
    }
}

/// Which feeds a peer may see. Which feed is late could tell where a shielded child is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FeedScope {
    /// All of them.
    All,
    /// Its own alone.
    Own(Feed),
}

/// Which feeds the holder of a permit may see.
///
/// # Errors
/// [`Refusal`] when the permit is for something else, or the peer has no feed.
pub fn feed_scope(permit: &ActionPermit) -> Result<FeedScope, Refusal> {
    let Peer { organisation, role } = permit.peer();
    if permit.method() != Method::ListFeeds {
        return Err(Refusal::RoleNotAllowed);
    }
    match role {
        Role::Ops => Ok(FeedScope::All),
        Role::Ed => Ok(FeedScope::Own(Feed::Presentations(organisation))),
        Role::LocalAuthority => LaCode::parse(organisation.as_str())
            .map(|code| FeedScope::Own(Feed::Plans(code)))
            .map_err(|_| Refusal::OrganisationUnknown),
        Role::ScheduledCare
        | Role::Demographics
        | Role::Safeguarding
        | Role::Broker
        | Role::Auditor
        | Role::Witness => Err(Refusal::RoleNotAllowed),
    }
}

/// Whose entries of the audit the holder of a permit may see.
///
/// # Errors
/// [`Refusal`] when the permit is for something else, or the peer reads no audit.
pub fn audit_scope(permit: &ActionPermit) -> Result<AuditScope, Refusal> {
    let Peer { organisation, role } = permit.peer();
    if !matches!(permit.method(), Method::SearchAudit | Method::WhoLooked) {
        return Err(Refusal::RoleNotAllowed);
    }
    match role {
        Role::Auditor => Ok(AuditScope::All),
        Role::LocalAuthority if permit.method() == Method::WhoLooked => {
            LaCode::parse(organisation.as_str()).map(AuditScope::Own).map_err(|_| Refusal::OrganisationUnknown)
        }
        Role::Safeguarding if permit.method() == Method::WhoLooked => Ok(AuditScope::OwnPeople(organisation)),
        Role::LocalAuthority
        | Role::Safeguarding
        | Role::Ed
        | Role::ScheduledCare
        | Role::Demographics
        | Role::Broker
        | Role::Ops
        | Role::Witness => Err(Refusal::RoleNotAllowed),
    }
}

/// Why a request is refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// The request names an organisation that the certificate does not prove.
    #[error("the request names another organisation than the certificate")]
    OrganisationMismatch,
    /// The certificate's role may not do this.
    #[error("the certificate's role may not do this")]
    RoleNotAllowed,
    /// The certificate's organisation is not in the directory: nobody could say who looked.
    #[error("the certificate's organisation is not known to this service")]
    OrganisationUnknown,
    /// The role makes no scheduled read.
    #[error("the certificate's role cannot make a scheduled read")]
    ScheduledNotAllowed,
    /// The role makes scheduled reads alone.
    #[error("the certificate's role can make scheduled reads alone")]
    UnscheduledNotAllowed,
    /// The role may do this, and not for the purpose that is given.
    #[error("the certificate's role may not do this for the purpose given")]
    PurposeNotAllowed,
    /// The person behind the request is not proven.
    #[error("{0}")]
    PersonNotProven(Unproven),
}

impl Refusal {
    /// Stable, UPPER_SNAKE.
    #[must_use]
    pub fn reason(self) -> &'static str {
        match self {
            Self::OrganisationMismatch => "ORGANISATION_MISMATCH",
            Self::OrganisationUnknown => "ORGANISATION_UNKNOWN",
            Self::RoleNotAllowed => "ROLE_NOT_ALLOWED",
            Self::ScheduledNotAllowed => "SCHEDULED_NOT_ALLOWED",
            Self::UnscheduledNotAllowed => "UNSCHEDULED_NOT_ALLOWED",
            Self::PurposeNotAllowed => "PURPOSE_NOT_ALLOWED",
            Self::PersonNotProven(why) => why.reason(),
        }
    }
}

/// Decides whether a peer may ask about a child.
///
/// # Errors
/// [`Refusal`].
pub fn authorise_read(
    policy: &Policy,
    peer: Peer,
    caller: &Caller,
    (method, context): (Method, CareContext),
    directory: &Directory,
) -> Result<ReadPermit, Refusal> {
    if caller.organisation != peer.organisation {
        return Err(Refusal::OrganisationMismatch);
    }
    if !method.asks() {
        return Err(Refusal::RoleNotAllowed);
    }
    let Some(fields) = policy.granted(peer.role, method, caller.purpose, context) else {
        return Err(match context {
            _ if !policy.is_granted_ever(peer.role, method) => Refusal::RoleNotAllowed,
            _ if policy.is_granted_in(peer.role, method, context) => Refusal::PurposeNotAllowed,
            CareContext::Scheduled => Refusal::ScheduledNotAllowed,
            CareContext::Unscheduled => Refusal::UnscheduledNotAllowed,
        });
    };
    if directory.organisations.contains_key(&peer.organisation) {
        Ok(ReadPermit { peer, context, fields, opens: false, _private: () })
    } else {
        Err(Refusal::OrganisationUnknown)
    }
}

/// Decides whether a peer may open a shielded record for one viewing: by a grant of that call, and by no other.
///
/// # Errors
/// [`Refusal`].
pub fn authorise_opening(
    policy: &Policy,
    peer: Peer,
    caller: &Caller,
    context: CareContext,
    directory: &Directory,
) -> Result<OpeningPermit, Refusal> {
    let permit = authorise_read(policy, peer, caller, (Method::OpenShielded, context), directory)?;
    Ok(OpeningPermit(ReadPermit { opens: true, ..permit }))
}

/// Decides whether a peer may do something beside asking. `caller` is the named person; programs that work on the engine
/// itself have none.
///
/// # Errors
/// [`Refusal`].
pub fn authorise_action(
    policy: &Policy,
    peer: Peer,
    caller: Option<&Caller>,
    method: Method,
) -> Result<ActionPermit, Refusal> {
    if caller.is_some_and(|caller| caller.organisation != peer.organisation) {
        return Err(Refusal::OrganisationMismatch);
    }
    // The recording half of a check-in: what is asked with it needs a permit of its own.
    let context = CareContext::Unscheduled;
    let granted = match caller {
        Some(caller) => policy.granted(peer.role, method, caller.purpose, context).is_some(),
        None => policy.is_granted_in(peer.role, method, context),
    };
    match granted {
        true => Ok(ActionPermit { peer, method, _private: () }),
        false if policy.is_granted_in(peer.role, method, context) => Err(Refusal::PurposeNotAllowed),
        false => Err(Refusal::RoleNotAllowed),
    }
}

/// Decides as [`authorise_action`] does for a peer that calls from outside: beside that, its organisation or authority must be
/// known. A good certificate of somebody who has left does nothing any more.
///
/// # Errors
/// [`Refusal`].
pub fn authorise_known(
    policy: &Policy,
    peer: Peer,
    caller: &Caller,
    method: Method,
    (directory, services): (&Directory, &ServiceRoles),
) -> Result<ActionPermit, Refusal> {
    let permit = authorise_action(policy, peer, Some(caller), method)?;
    if is_known(peer, directory, services) { Ok(permit) } else { Err(Refusal::OrganisationUnknown) }
}

/// Whether it is known who calls: by the directory, or, as those who run, check and witness the service stand in no directory of
/// hospitals and authorities, by a list of their own.
fn is_known(peer: Peer, directory: &Directory, services: &ServiceRoles) -> bool {
    match peer.role {
        Role::Ed | Role::ScheduledCare | Role::Safeguarding => directory.organisations.contains_key(&peer.organisation),
        Role::LocalAuthority => {
            LaCode::parse(peer.organisation.as_str()).is_ok_and(|code| directory.authorities.contains_key(&code))
        }
        Role::Demographics | Role::Broker | Role::Auditor | Role::Ops | Role::Witness => {
            services.list(peer.organisation, peer.role)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::caller::Purpose;
    use crate::codes::OdsCode;
    use crate::directory::{AuthorityEntry, OrganisationEntry};
    use crate::text::{PersonText, RoleCode, UserId};
    use std::collections::BTreeMap;

    fn caller(organisation: &str) -> Caller {
        Caller {
            user_id: UserId::parse("u1").unwrap(),
            user_name: PersonText::parse("A Nurse").unwrap(),
            user_role: PersonText::parse("Nurse").unwrap(),
            role_code: RoleCode::parse("R8000").unwrap(),
            purpose: Purpose::DirectCare,
            organisation: OdsCode::parse(organisation).unwrap(),
        }
    }

    fn peer(role: Role) -> Peer {
        Peer { organisation: OdsCode::parse("R1H").unwrap(), role }
    }

    fn read(peer: Peer, organisation: &str, context: CareContext, directory: &Directory) -> Result<(), Refusal> {
        let asked = (Method::Lookup, context);
        authorise_read(&Policy::builtin(), peer, &caller(organisation), asked, directory).map(|_| ())
    }

    fn act(peer: Peer, caller: Option<&Caller>, method: Method) -> Result<ActionPermit, Refusal> {
        authorise_action(&Policy::builtin(), peer, caller, method)
    }

    fn directory() -> Directory {
        let entry = OrganisationEntry { name: "Barts".into(), contact_phone: "020 7946 0001".into(), successor: None };
        let organisations = BTreeMap::from([(OdsCode::parse("R1H").unwrap(), entry)]);
        Directory { organisations, ..Directory::default() }
    }

    #[test]
    fn another_organisation_is_refused_before_the_role() {
        let mismatch = Refusal::OrganisationMismatch;
        assert_eq!(read(peer(Role::Ed), "RRK", CareContext::Unscheduled, &directory()), Err(mismatch));
        let refused = act(peer(Role::Ops), Some(&caller("RRK")), Method::Record).map(|_| ());
        assert_eq!(refused, Err(mismatch));
    }

    #[test]
    fn what_is_refused_says_why() {
        let with = |role, method, purpose, context| {
            let caller = Caller { purpose, ..caller("R1H") };
            let asked = (method, context);
            authorise_read(&Policy::builtin(), peer(role), &caller, asked, &directory()).map(|_| ())
        };
        let (now, planned) = (CareContext::Unscheduled, CareContext::Scheduled);
        let (care, records) = (Purpose::DirectCare, Purpose::RecordKeeping);
        assert_eq!(with(Role::Ed, Method::Lookup, care, now), Ok(()));
        assert_eq!(with(Role::Ed, Method::Lookup, records, now), Err(Refusal::PurposeNotAllowed));
        assert_eq!(with(Role::Ed, Method::Lookup, care, planned), Err(Refusal::ScheduledNotAllowed));
        assert_eq!(with(Role::Ed, Method::Lookup, records, planned), Err(Refusal::ScheduledNotAllowed));
        assert_eq!(with(Role::Ops, Method::Lookup, care, now), Err(Refusal::RoleNotAllowed));
        assert_eq!(with(Role::Safeguarding, Method::Lookup, care, planned), Err(Refusal::PurposeNotAllowed));
        assert_eq!(with(Role::Ed, Method::Record, care, now), Err(Refusal::RoleNotAllowed), "it asks nothing");
        let row = crate::policy::PolicyRow {
            roles: vec!["scheduled-care".into(), "safeguarding".into()],
            methods: vec!["LookupService/Lookup".into()],
            purposes: vec!["direct-care".into()],
            contexts: Some(vec!["scheduled".into()]),
            fields: Some(Vec::new()),
        };
        let triage = crate::policy::PolicyRow {
            roles: vec!["ed".into()],
            contexts: Some(vec!["unscheduled".into()]),
            ..row.clone()
        };
        let policy = Policy::parse(&[row, triage]).unwrap();
        let asked = (Method::Lookup, now);
        let found = authorise_read(&policy, peer(Role::Safeguarding), &caller("R1H"), asked, &directory());
        assert_eq!(found.map(|_| ()), Err(Refusal::UnscheduledNotAllowed));
        let refused = act(peer(Role::Demographics), Some(&caller("R1H")), Method::TellIdentity).map(|_| ());
        assert_eq!(refused, Err(Refusal::PurposeNotAllowed));
    }

    #[test]
    fn a_record_is_opened_by_a_permit_of_its_own_and_by_no_other() {
        let caller = Caller { purpose: Purpose::ChildProtectionEnquiry, ..caller("R1H") };
        let (policy, directory, now) = (Policy::builtin(), directory(), CareContext::Unscheduled);
        for (role, _) in Role::WORDS {
            let opening = authorise_opening(&policy, peer(role), &caller, now, &directory);
            let expected = if role == Role::Safeguarding { Ok(true) } else { Err(Refusal::RoleNotAllowed) };
            assert_eq!(opening.map(|permit| permit.read().opens()), expected, "{role}");
            for (method, word) in Method::WORDS {
                let read = authorise_read(&policy, peer(role), &caller, (method, now), &directory);
                assert!(!read.is_ok_and(|permit| permit.opens()), "{role} {word}");
            }
        }
        let other = Caller { purpose: Purpose::SafeguardingReview, ..caller };
        let opened = |context| {
            let permit = authorise_opening(&policy, peer(Role::Safeguarding), &other, context, &directory);
            permit.map(|_| ()).unwrap_err()
        };
        assert_eq!(opened(now), Refusal::PurposeNotAllowed);
        assert_eq!(opened(CareContext::Scheduled), Refusal::ScheduledNotAllowed);
    }

    #[test]
    fn an_organisation_that_is_not_in_the_directory_may_not_ask() {
        for role in [Role::Ed, Role::ScheduledCare] {
            let refused = read(peer(role), "R1H", CareContext::Unscheduled, &Directory::default());
            assert_eq!(refused, Err(Refusal::OrganisationUnknown), "{role:?}");
        }
    }

    #[test]
    fn an_action_needs_an_organisation_that_the_directory_knows() {
        let known = directory();
        let office = AuthorityEntry {
            name: "Hartlepool".into(),
            office_phone: "01632 960200".into(),
            out_of_hours_phone: "01632 960201".into(),
            opens_minute: 510,
            closes_minute: 1020,
        };
        let authorities = BTreeMap::from([(LaCode::parse("E06000001").unwrap(), office)]);
        let with_authority = Directory { authorities, ..directory() };
        // Each of the others in one role alone.
        let codes = ["RD1", "RB1", "RA1", "RO1", "RW1"].map(|code| OdsCode::parse(code).unwrap());
        let listed = codes.into_iter().zip(ServiceRoles::ROLES);
        let services = ServiceRoles::new(listed.clone().map(|(code, role)| (code, vec![role])).collect());
        let decide = |role, organisation: &str, directory: &Directory| {
            let peer = Peer { organisation: OdsCode::parse(organisation).unwrap(), role };
            let known = (directory, &services);
            authorise_known(&Policy::builtin(), peer, &caller(organisation), Method::GetStatus, known).map(|_| ())
        };
        let unknown = Err(Refusal::OrganisationUnknown);
        for (role, _) in Role::WORDS {
            let stands_apart = role == Role::LocalAuthority || ServiceRoles::ROLES.contains(&role);
            let of_hospital = if stands_apart { unknown } else { Ok(()) };
            assert_eq!(decide(role, "R1H", &known), of_hospital, "{role}");
            assert_eq!(decide(role, "RZ9", &known), unknown, "{role}");
        }
        for (code, listed_as) in listed {
            for role in ServiceRoles::ROLES {
                let expected = if role == listed_as { Ok(()) } else { unknown };
                assert_eq!(decide(role, code.as_str(), &known), expected, "{} as {role}", code.as_str());
            }
        }
        assert_eq!(decide(Role::LocalAuthority, "E06000001", &with_authority), Ok(()));
        assert_eq!(decide(Role::LocalAuthority, "E06000002", &with_authority), Err(Refusal::OrganisationUnknown));
        // A role that may not do it is told so first, whether or not it is known.
        let stranger = Peer { organisation: OdsCode::parse("RZ9").unwrap(), role: Role::Ed };
        let refused =
            authorise_known(&Policy::builtin(), stranger, &caller("RZ9"), Method::SubmitEvents, (&known, &services));
        assert_eq!(refused.map(|_| ()), Err(Refusal::RoleNotAllowed));
    }

    #[test]
    fn an_auditor_sees_the_whole_audit_others_who_looked_as_far_as_it_is_theirs_and_nobody_else_any_of_it() {
        for (role, _) in Role::WORDS {
            for method in [Method::SearchAudit, Method::WhoLooked, Method::GetStatus] {
                let code = if role == Role::LocalAuthority { "E06000001" } else { "R1H" };
                let peer = Peer { organisation: OdsCode::parse(code).unwrap(), role };
                let found = act(peer, None, method).and_then(|permit| audit_scope(&permit));
                let expected = match (role, method) {
                    (Role::Auditor, Method::SearchAudit | Method::WhoLooked) => Ok(AuditScope::All),
                    (Role::LocalAuthority, Method::WhoLooked) => {
                        Ok(AuditScope::Own(LaCode::parse("E06000001").unwrap()))
                    }
                    (Role::Safeguarding, Method::WhoLooked) => Ok(AuditScope::OwnPeople(peer.organisation)),
                    (_, _) => Err(Refusal::RoleNotAllowed),
                };
                assert_eq!(found, expected, "{role} {}", method.word());
            }
        }
        // No code of an authority, no children of its own.
        let odd = act(peer(Role::LocalAuthority), None, Method::WhoLooked);
        assert_eq!(odd.and_then(|permit| audit_scope(&permit)), Err(Refusal::OrganisationUnknown));
    }

    #[test]
    fn only_operations_see_the_feeds_of_others() {
        let scope = |role, organisation: &str, method| {
            let peer = Peer { organisation: OdsCode::parse(organisation).unwrap(), role };
            act(peer, None, method).and_then(|permit| feed_scope(&permit))
        };
        for (role, _) in Role::WORDS {
            let expected = match role {
                Role::Ops => Ok(FeedScope::All),
                Role::Ed => Ok(FeedScope::Own(Feed::Presentations(OdsCode::parse("R1H").unwrap()))),
                Role::LocalAuthority => Err(Refusal::OrganisationUnknown),
                Role::ScheduledCare
                | Role::Demographics
                | Role::Safeguarding
                | Role::Broker
                | Role::Auditor
                | Role::Witness => Err(Refusal::RoleNotAllowed),
            };
            assert_eq!(scope(role, "R1H", Method::ListFeeds), expected, "{role:?}");
            assert_eq!(scope(role, "R1H", Method::GetStatus), Err(Refusal::RoleNotAllowed), "a permit for another");
        }
        let own = FeedScope::Own(Feed::Plans(LaCode::parse("E06000001").unwrap()));
        assert_eq!(scope(Role::LocalAuthority, "E06000001", Method::ListFeeds), Ok(own));
    }
}
