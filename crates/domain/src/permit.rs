//! Who may do what. A permit can be made only here, so an unauthorised read or change does not compile:
//!
//! ```compile_fail
//! use kith_domain::permit::ReadPermit;
//! let forged = ReadPermit { _private: () };
//! ```
//!
//! The default is to deny: every role and action that no rule names is refused.

use crate::caller::{Caller, CareContext, Peer, Role};
use crate::change::Feed;
use crate::codes::LaCode;
use crate::directory::Directory;

/// Proof that a peer may ask about a child.
#[derive(Debug)]
pub struct ReadPermit {
    peer: Peer,
    context: CareContext,
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
}

/// Proof that a peer may change or list what an [`Action`] names.
#[derive(Debug)]
pub struct ActionPermit {
    peer: Peer,
    action: Action,
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
    pub fn action(&self) -> Action {
        self.action
    }
}

/// What a peer may do beside asking.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Action {
    /// Send presentations of its own.
    SendPresentations,
    /// Send events of its own plans.
    SendPlans,
    /// List and acknowledge its own notifications.
    ReadNotifications,
    /// See the state of the service, without any child.
    ReadStatus,
    /// See the health of feeds: operations all of them, a sender its own.
    ListFeeds,
    /// Set the next file number of an authority.
    ResetFilePosition,
    /// Tell who a number is, and close proposals.
    TellIdentity,
    /// Propose an identity change.
    ProposeIdentity,
    /// List proposals: the demographics service all of them, a proposer its own.
    ListProposals,
    /// Fetch signed heads of the audit and proofs between them.
    FollowAudit,
    /// Bring cosignatures of such heads.
    CosignAudit,
    /// Have an entry of the audit proven: an auditor any, who asks its own organisation's.
    ProveEntry,
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
    match (permit.action(), role) {
        (Action::ListFeeds, Role::Ops) => Ok(FeedScope::All),
        (Action::ListFeeds, Role::Ed) => Ok(FeedScope::Own(Feed::Presentations(organisation))),
        (Action::ListFeeds, Role::LocalAuthority) => LaCode::parse(organisation.as_str())
            .map(|code| FeedScope::Own(Feed::Plans(code)))
            .map_err(|_| Refusal::OrganisationUnknown),
        (
            Action::ListFeeds
            | Action::SendPresentations
            | Action::SendPlans
            | Action::ReadNotifications
            | Action::ReadStatus
            | Action::ResetFilePosition
            | Action::TellIdentity
            | Action::ProposeIdentity
            | Action::ListProposals
            | Action::FollowAudit
            | Action::CosignAudit
            | Action::ProveEntry,
            _,
        ) => Err(Refusal::RoleNotAllowed),
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
    /// An emergency department cannot make a scheduled read.
    #[error("an emergency department's certificate cannot make a scheduled read")]
    ScheduledNotAllowed,
}

/// Decides whether a peer may ask about a child.
///
/// # Errors
/// [`Refusal`].
pub fn authorise_read(
    peer: Peer,
    caller: &Caller,
    context: CareContext,
    directory: &Directory,
) -> Result<ReadPermit, Refusal> {
    if caller.organisation != peer.organisation {
        return Err(Refusal::OrganisationMismatch);
    }
    match (peer.role, context) {
        (Role::Ed, CareContext::Scheduled) => Err(Refusal::ScheduledNotAllowed),
        (Role::Ed, CareContext::Unscheduled) | (Role::ScheduledCare | Role::Safeguarding, _) => {
            if directory.organisations.contains_key(&peer.organisation) {
                Ok(ReadPermit { peer, context, _private: () })
            } else {
                Err(Refusal::OrganisationUnknown)
            }
        }
        (Role::LocalAuthority | Role::Demographics | Role::Broker | Role::Auditor | Role::Ops | Role::Witness, _) => {
            Err(Refusal::RoleNotAllowed)
        }
    }
}

/// Decides whether a peer may do something beside asking. `caller` is the named person where the call has one.
///
/// # Errors
/// [`Refusal`].
pub fn authorise_action(peer: Peer, caller: Option<&Caller>, action: Action) -> Result<ActionPermit, Refusal> {
    if caller.is_some_and(|caller| caller.organisation != peer.organisation) {
        return Err(Refusal::OrganisationMismatch);
    }
    let allowed = match action {
        Action::SendPresentations => peer.role == Role::Ed,
        Action::SendPlans | Action::ReadNotifications => peer.role == Role::LocalAuthority,
        Action::ReadStatus => true,
        Action::ListFeeds => matches!(peer.role, Role::Ops | Role::Ed | Role::LocalAuthority),
        Action::ResetFilePosition => peer.role == Role::Ops,
        Action::TellIdentity => peer.role == Role::Demographics,
        Action::ProposeIdentity => matches!(peer.role, Role::Ed | Role::LocalAuthority),
        Action::ListProposals => matches!(peer.role, Role::Demographics | Role::Ed | Role::LocalAuthority),
        Action::FollowAudit => matches!(peer.role, Role::Witness | Role::Auditor),
        Action::CosignAudit => peer.role == Role::Witness,
        Action::ProveEntry => {
            matches!(peer.role, Role::Auditor | Role::Ed | Role::ScheduledCare | Role::Safeguarding)
        }
    };
    if allowed { Ok(ActionPermit { peer, action, _private: () }) } else { Err(Refusal::RoleNotAllowed) }
}

/// Decides as [`authorise_action`] does for a peer that calls from outside: beside that, the directory must know its
/// organisation or authority. A good certificate of somebody who has left the directory does nothing any more.
///
/// # Errors
/// [`Refusal`].
pub fn authorise_known(
    peer: Peer,
    caller: Option<&Caller>,
    action: Action,
    directory: &Directory,
) -> Result<ActionPermit, Refusal> {
    let permit = authorise_action(peer, caller, action)?;
    if is_known(peer, directory) { Ok(permit) } else { Err(Refusal::OrganisationUnknown) }
}

/// Whether the directory knows who calls. Those who run, check and witness the service stand in no directory of hospitals
/// and authorities.
fn is_known(peer: Peer, directory: &Directory) -> bool {
    match peer.role {
        Role::Ed | Role::ScheduledCare | Role::Safeguarding => directory.organisations.contains_key(&peer.organisation),
        Role::LocalAuthority => {
            LaCode::parse(peer.organisation.as_str()).is_ok_and(|code| directory.authorities.contains_key(&code))
        }
        Role::Demographics | Role::Broker | Role::Auditor | Role::Ops | Role::Witness => true,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::caller::Purpose;
    use crate::codes::OdsCode;
    use crate::directory::{AuthorityEntry, OrganisationEntry};
    use crate::text::{PersonText, UserId};
    use std::collections::BTreeMap;

    fn caller(organisation: &str) -> Caller {
        Caller {
            user_id: UserId::parse("u1").unwrap(),
            user_name: PersonText::parse("A Nurse").unwrap(),
            user_role: PersonText::parse("Nurse").unwrap(),
            purpose: Purpose::DirectCare,
            organisation: OdsCode::parse(organisation).unwrap(),
        }
    }

    fn peer(role: Role) -> Peer {
        Peer { organisation: OdsCode::parse("R1H").unwrap(), role }
    }

    fn directory() -> Directory {
        let entry = OrganisationEntry { name: "Barts".into(), contact_phone: "020 7946 0001".into(), successor: None };
        let organisations = BTreeMap::from([(OdsCode::parse("R1H").unwrap(), entry)]);
        Directory { organisations, ..Directory::default() }
    }

    #[test]
    fn every_role_and_context_is_decided() {
        for (role, _) in Role::WORDS {
            for context in [CareContext::Unscheduled, CareContext::Scheduled] {
                let expected = match (role, context) {
                    (Role::Ed, CareContext::Scheduled) => Err(Refusal::ScheduledNotAllowed),
                    (Role::Ed | Role::ScheduledCare | Role::Safeguarding, _) => Ok(()),
                    _ => Err(Refusal::RoleNotAllowed),
                };
                let found = authorise_read(peer(role), &caller("R1H"), context, &directory()).map(|_| ());
                assert_eq!(found, expected, "{role:?} {context:?}");
            }
        }
    }

    #[test]
    fn another_organisation_is_refused_before_the_role() {
        let refused =
            authorise_read(peer(Role::Ed), &caller("RRK"), CareContext::Unscheduled, &directory()).map(|_| ());
        assert_eq!(refused, Err(Refusal::OrganisationMismatch));
        let refused = authorise_action(peer(Role::Ed), Some(&caller("RRK")), Action::SendPresentations).map(|_| ());
        assert_eq!(refused, Err(Refusal::OrganisationMismatch));
    }

    #[test]
    fn an_organisation_that_is_not_in_the_directory_may_not_ask() {
        for role in [Role::Ed, Role::ScheduledCare, Role::Safeguarding] {
            let refused =
                authorise_read(peer(role), &caller("R1H"), CareContext::Unscheduled, &Directory::default()).map(|_| ());
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
        let decide = |role, organisation: &str, directory: &Directory| {
            let peer = Peer { organisation: OdsCode::parse(organisation).unwrap(), role };
            authorise_known(peer, None, Action::ReadStatus, directory).map(|_| ())
        };
        for (role, _) in Role::WORDS {
            let (of_hospital, unknown) = match role {
                Role::Ed | Role::ScheduledCare | Role::Safeguarding => (Ok(()), Err(Refusal::OrganisationUnknown)),
                Role::LocalAuthority => (Err(Refusal::OrganisationUnknown), Err(Refusal::OrganisationUnknown)),
                Role::Demographics | Role::Broker | Role::Auditor | Role::Ops | Role::Witness => (Ok(()), Ok(())),
            };
            assert_eq!(decide(role, "R1H", &known), of_hospital, "{role}");
            assert_eq!(decide(role, "RZ9", &known), unknown, "{role}");
        }
        assert_eq!(decide(Role::LocalAuthority, "E06000001", &with_authority), Ok(()));
        assert_eq!(decide(Role::LocalAuthority, "E06000002", &with_authority), Err(Refusal::OrganisationUnknown));
        // A role that may not do it is told so first, whether or not it is known.
        let stranger = Peer { organisation: OdsCode::parse("RZ9").unwrap(), role: Role::Ed };
        let refused = authorise_known(stranger, None, Action::SendPlans, &known).map(|_| ());
        assert_eq!(refused, Err(Refusal::RoleNotAllowed));
    }

    #[test]
    fn actions_belong_to_one_role() {
        for (role, _) in Role::WORDS {
            let sends = |action| authorise_action(peer(role), None, action).is_ok();
            assert_eq!(sends(Action::SendPresentations), role == Role::Ed);
            assert_eq!(sends(Action::SendPlans), role == Role::LocalAuthority);
            assert_eq!(sends(Action::ReadNotifications), role == Role::LocalAuthority);
            assert!(sends(Action::ReadStatus));
            assert_eq!(sends(Action::ListFeeds), matches!(role, Role::Ops | Role::Ed | Role::LocalAuthority));
            assert_eq!(sends(Action::ResetFilePosition), role == Role::Ops);
            assert_eq!(sends(Action::TellIdentity), role == Role::Demographics);
            let proposes = matches!(role, Role::Ed | Role::LocalAuthority);
            assert_eq!(sends(Action::ProposeIdentity), proposes);
            assert_eq!(sends(Action::ListProposals), proposes || role == Role::Demographics);
            assert_eq!(sends(Action::FollowAudit), role == Role::Witness || role == Role::Auditor);
            assert_eq!(sends(Action::CosignAudit), role == Role::Witness);
            let asks = matches!(role, Role::Ed | Role::ScheduledCare | Role::Safeguarding);
            assert_eq!(sends(Action::ProveEntry), asks || role == Role::Auditor);
        }
    }

    #[test]
    fn only_operations_see_the_feeds_of_others() {
        let scope = |role, organisation: &str, action| {
            let peer = Peer { organisation: OdsCode::parse(organisation).unwrap(), role };
            authorise_action(peer, None, action).and_then(|permit| feed_scope(&permit))
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
            assert_eq!(scope(role, "R1H", Action::ListFeeds), expected, "{role:?}");
            assert_eq!(scope(role, "R1H", Action::ReadStatus), Err(Refusal::RoleNotAllowed), "a permit for another");
        }
        let own = FeedScope::Own(Feed::Plans(LaCode::parse("E06000001").unwrap()));
        assert_eq!(scope(Role::LocalAuthority, "E06000001", Action::ListFeeds), Ok(own));
    }
}
