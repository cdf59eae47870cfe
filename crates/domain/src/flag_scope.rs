//! Whose flags somebody may see and review: a safeguarding team those of its own organisation's people, an auditor all. Never by
//! what a request says.

use crate::caller::{Peer, Role};
use crate::codes::OdsCode;
use crate::method::Method;
use crate::permit::{ActionPermit, Refusal};

/// Whose flags a peer may see. They are about people who ask, so about an organisation's own staff.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FlagScope {
    /// Those of every organisation.
    All,
    /// Those of its own people alone.
    Own(OdsCode),
}

/// Whose flags the holder of a permit may see and review.
///
/// # Errors
/// [`Refusal`] when the permit is for something else, or the role sees none.
pub fn flag_scope(permit: &ActionPermit) -> Result<FlagScope, Refusal> {
    let Peer { organisation, role } = permit.peer();
    if !matches!(permit.method(), Method::ListFlags | Method::ReviewFlag | Method::GetFlagRates) {
        return Err(Refusal::RoleNotAllowed);
    }
    match role {
        Role::Auditor => Ok(FlagScope::All),
        Role::Safeguarding => Ok(FlagScope::Own(organisation)),
        Role::Ed
        | Role::ScheduledCare
        | Role::LocalAuthority
        | Role::Demographics
        | Role::Broker
        | Role::Ops
        | Role::Witness => Err(Refusal::RoleNotAllowed),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::permit::authorise_action;
    use crate::policy::Policy;

    fn act(peer: Peer, method: Method) -> Result<ActionPermit, Refusal> {
        authorise_action(&Policy::builtin(), peer, None, method)
    }

    #[test]
    fn a_safeguarding_team_sees_the_flags_of_its_own_people_and_an_auditor_all() {
        for (role, _) in Role::WORDS {
            let peer = Peer { organisation: OdsCode::parse("R1H").unwrap(), role };
            for method in [Method::ListFlags, Method::ReviewFlag, Method::GetFlagRates] {
                let expected = match role {
                    Role::Auditor => Ok(FlagScope::All),
                    Role::Safeguarding => Ok(FlagScope::Own(peer.organisation)),
                    Role::Ed
                    | Role::ScheduledCare
                    | Role::LocalAuthority
                    | Role::Demographics
                    | Role::Broker
                    | Role::Ops
                    | Role::Witness => Err(Refusal::RoleNotAllowed),
                };
                assert_eq!(act(peer, method).and_then(|permit| flag_scope(&permit)), expected, "{role}");
            }
            let other = act(peer, Method::GetStatus).and_then(|permit| flag_scope(&permit));
            assert_eq!(other, Err(Refusal::RoleNotAllowed), "a permit for another call");
        }
    }
}
