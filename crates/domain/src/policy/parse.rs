//! Rows of a policy, read without any forgiveness: an unknown word, an empty list, a word or a grant that stands twice, or a
//! grant that has no meaning makes the whole policy unusable. There is no word for "all".

use super::{Policy, at};
use crate::caller::{CareContext, Purpose, Role};
use crate::fields::{Field, FieldSet};
use crate::method::Method;

/// One row as written: every combination of its words is granted.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct PolicyRow {
    /// Roles, as in certificates.
    pub roles: Vec<String>,
    /// Calls: `LookupService/Lookup`.
    pub methods: Vec<String>,
    /// Purposes.
    pub purposes: Vec<String>,
    /// Contexts; for questions, and for them alone.
    pub contexts: Option<Vec<String>>,
    /// Fields of an answer that are shown beside what is shown always; for questions, and for them alone.
    pub fields: Option<Vec<String>>,
}

/// Why a policy cannot be used. Rows are counted from 1.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum PolicyFault {
    /// A word that is none.
    #[error("row {row}: expected a word of the list of {key}, found {word:?}")]
    UnknownWord {
        /// The row.
        row: usize,
        /// The list.
        key: &'static str,
        /// The word.
        word: String,
    },
    /// A list without a word.
    #[error("row {row}: expected at least one word in {key}, found none")]
    Empty {
        /// The row.
        row: usize,
        /// The list.
        key: &'static str,
    },
    /// A word that stands twice in its list.
    #[error("row {row}: expected {word:?} once in {key}, found it twice")]
    WordTwice {
        /// The row.
        row: usize,
        /// The list.
        key: &'static str,
        /// The word.
        word: String,
    },
    /// Questions and other calls in one row.
    #[error("row {row}: expected either questions or other calls, found both")]
    Mixed {
        /// The row.
        row: usize,
    },
    /// A list that the row's calls need, or that has no meaning for them.
    #[error("row {row}: {key} goes with questions, and with them alone")]
    Misplaced {
        /// The row.
        row: usize,
        /// The list.
        key: &'static str,
    },
    /// A call that has no meaning for this role, or may never be granted to it.
    #[error("row {row}: {method} can never be granted to {role}")]
    NeverForRole {
        /// The row.
        row: usize,
        /// The role.
        role: &'static str,
        /// The call.
        method: &'static str,
    },
    /// A question for a purpose that nobody asks for.
    #[error("row {row}: {method} can never be granted for {purpose}")]
    NeverForPurpose {
        /// The row.
        row: usize,
        /// The call.
        method: &'static str,
        /// The purpose.
        purpose: &'static str,
    },
    /// A scheduled, that is silent, read where there is none.
    #[error("row {row}: {method} of {role} can never be granted as scheduled")]
    NeverScheduled {
        /// The row.
        row: usize,
        /// The role.
        role: &'static str,
        /// The call.
        method: &'static str,
    },
    /// A field that tells what another leaves out.
    #[error("row {row}: {field} tells places, and visit-places is not among the fields")]
    TellsPlaces {
        /// The row.
        row: usize,
        /// The field.
        field: &'static str,
    },
    /// Two rows grant the same.
    #[error("row {row}: {method} of {role} for {purpose} is granted already")]
    GrantedTwice {
        /// The later row.
        row: usize,
        /// The role.
        role: &'static str,
        /// The call.
        method: &'static str,
        /// The purpose.
        purpose: &'static str,
    },
    /// Nobody may ask about a child at triage.
    #[error("expected a row that grants LookupService/Lookup to ed, found none: nobody could ask at triage")]
    NobodyAsks,
}

/// One row, taken apart.
struct Row {
    roles: Vec<Role>,
    methods: Vec<Method>,
    purposes: Vec<Purpose>,
    contexts: Vec<CareContext>,
    fields: FieldSet,
}

pub(super) fn parse(rows: &[PolicyRow]) -> Result<Policy, Vec<PolicyFault>> {
    let (mut policy, mut faults) = (Policy::nothing(), Vec::new());
    for (row, written) in (1..).zip(rows) {
        let before = faults.len();
        let read = read(row, written, &mut faults);
        if faults.len() == before {
            grant(row, &read, &mut policy, &mut faults);
        }
    }
    if faults.is_empty() && !policy.is_granted_ever(Role::Ed, Method::Lookup) {
        faults.push(PolicyFault::NobodyAsks);
    }
    if faults.is_empty() { Ok(policy) } else { Err(faults) }
}

fn read(row: usize, written: &PolicyRow, faults: &mut Vec<PolicyFault>) -> Row {
    let PolicyRow { roles, methods, purposes, contexts, fields } = written;
    let roles = words(row, "roles", roles, Role::parse, faults);
    let methods = words(row, "methods", methods, Method::parse, faults);
    let purposes = words(row, "purposes", purposes, Purpose::parse, faults);
    let questions = methods.iter().filter(|method| method.asks()).count();
    if questions != 0 && questions != methods.len() {
        faults.push(PolicyFault::Mixed { row });
    }
    let asks = questions != 0;
    for (key, given) in [("contexts", contexts.is_some()), ("fields", fields.is_some())] {
        if given != asks {
            faults.push(PolicyFault::Misplaced { row, key });
        }
    }
    let contexts = match contexts {
        Some(contexts) => words(row, "contexts", contexts, CareContext::parse, faults),
        None => vec![CareContext::Unscheduled],
    };
    let shown = match fields {
        Some(fields) if !fields.is_empty() => words(row, "fields", fields, Field::parse, faults),
        Some(_) | None => Vec::new(),
    };
    let fields = shown.into_iter().fold(FieldSet::NONE, FieldSet::with);
    for field in [Field::History, Field::NamedFeeds] {
        if fields.has(field) && !fields.has(Field::VisitPlaces) {
            faults.push(PolicyFault::TellsPlaces { row, field: field.word() });
        }
    }
    Row { roles, methods, purposes, contexts, fields }
}

/// The values of a list's words.
fn words<T>(
    row: usize,
    key: &'static str,
    written: &[String],
    parse: impl Fn(&str) -> Option<T>,
    faults: &mut Vec<PolicyFault>,
) -> Vec<T> {
    if written.is_empty() {
        faults.push(PolicyFault::Empty { row, key });
    }
    let mut read = Vec::with_capacity(written.len());
    for (position, word) in written.iter().enumerate() {
        if written.iter().take(position).any(|before| before == word) {
            faults.push(PolicyFault::WordTwice { row, key, word: word.clone() });
        }
        match parse(word) {
            Some(value) => read.push(value),
            None => faults.push(PolicyFault::UnknownWord { row, key, word: word.clone() }),
        }
    }
    read
}

fn grant(row: usize, read: &Row, policy: &mut Policy, faults: &mut Vec<PolicyFault>) {
    for (role, method) in pairs(&read.roles, &read.methods) {
        let (role_word, method_word) = (role.word(), method.word());
        if !method.ceiling().contains(&role) {
            faults.push(PolicyFault::NeverForRole { row, role: role_word, method: method_word });
        }
        for (purpose, context) in pairs(&read.purposes, &read.contexts) {
            let word = purpose.word();
            if !method.may_be_for(purpose) {
                faults.push(PolicyFault::NeverForPurpose { row, method: method_word, purpose: word });
            }
            if !method.may_be_in(role, context) {
                faults.push(PolicyFault::NeverScheduled { row, role: role_word, method: method_word });
            }
            let Some(cell) = policy.cells.get_mut(at(role, method, purpose, context)) else { continue };
            if cell.replace(read.fields).is_some() {
                faults.push(PolicyFault::GrantedTwice { row, role: role_word, method: method_word, purpose: word });
            }
        }
    }
}

fn pairs<A: Copy, B: Copy>(first: &[A], second: &[B]) -> impl Iterator<Item = (A, B)> {
    first.iter().flat_map(move |a| second.iter().map(move |b| (*a, *b)))
}
