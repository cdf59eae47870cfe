//! The policy: which role may make which call for which purpose and in which context, and which fields of an answer it sees.
//! What no row grants is refused. A policy is built in; another is read from rows, and a row with any doubt about it makes the
//! whole of it unusable.

mod builtin;
mod parse;
#[cfg(test)]
mod parse_tests;

use crate::caller::{CareContext, Purpose, Role};
use crate::fields::FieldSet;
use crate::method::Method;
pub use parse::{PolicyFault, PolicyRow};

const ROLES: usize = Role::WORDS.len();
const METHODS: usize = Method::WORDS.len();
const PURPOSES: usize = Purpose::WORDS.len();
/// Unscheduled and scheduled; calls that ask nothing have the first alone.
const CONTEXTS: [CareContext; 2] = [CareContext::Unscheduled, CareContext::Scheduled];
const CELLS: usize = ROLES * METHODS * PURPOSES * CONTEXTS.len();

/// Who may do what.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Policy {
    /// For each cell the fields that are seen; none: refused.
    cells: Box<[Option<FieldSet>]>,
}

/// Where a cell stands.
const fn at(role: Role, method: Method, purpose: Purpose, context: CareContext) -> usize {
    ((role as usize * METHODS + method as usize) * PURPOSES + purpose as usize) * CONTEXTS.len() + context as usize
}

impl Policy {
    /// A policy that grants nothing.
    fn nothing() -> Self {
        Self { cells: vec![None; CELLS].into_boxed_slice() }
    }

    /// The policy that is in force where no file gives another.
    #[must_use]
    pub fn builtin() -> Self {
        builtin::policy()
    }

    /// Reads a policy from its rows.
    ///
    /// # Errors
    /// Every [`PolicyFault`] found; nothing of it is used then.
    pub fn parse(rows: &[PolicyRow]) -> Result<Self, Vec<PolicyFault>> {
        parse::parse(rows)
    }

    /// The fields that a role sees who makes a call for a purpose in a context; `None`: refused. The context of a call that
    /// asks nothing is unscheduled.
    #[must_use]
    pub fn granted(&self, role: Role, method: Method, purpose: Purpose, context: CareContext) -> Option<FieldSet> {
        self.cells.get(at(role, method, purpose, context)).copied().flatten()
    }

    /// Whether a role may make a call at all, for some purpose in some context.
    #[must_use]
    pub fn is_granted_ever(&self, role: Role, method: Method) -> bool {
        CONTEXTS.into_iter().any(|context| self.is_granted_in(role, method, context))
    }

    /// Whether a role may make a call in a context, for some purpose.
    #[must_use]
    pub fn is_granted_in(&self, role: Role, method: Method, context: CareContext) -> bool {
        Purpose::WORDS.into_iter().any(|(purpose, _)| self.granted(role, method, purpose, context).is_some())
    }
}

impl Default for Policy {
    fn default() -> Self {
        Self::builtin()
    }
}
