//! Faults of a request, collected field by field. No fault carries what the caller sent.

use kith_domain::NhsNumber;
use kith_domain::caller::Caller;
use kith_domain::child::Subject;
use kith_domain::refused::Refused;
use std::fmt::{self, Display};
use uuid::Uuid;

/// The path of a field within a message of a message: written out only where it is at fault.
#[derive(Debug, Clone, Copy)]
pub struct At<M>(pub M, pub &'static str);

impl<M: Display> Display for At<M> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}", self.0, self.1)
    }
}

/// A path that follows a prefix, which ends with its own stop or is empty.
#[derive(Debug, Clone, Copy)]
pub struct After<'a>(pub &'a str, pub &'static str);

impl Display for After<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}{}", self.0, self.1)
    }
}

/// One fault of one field.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fault {
    /// The field's path in the message.
    pub field: String,
    /// Stable, UPPER_SNAKE.
    pub reason: &'static str,
    /// For a person.
    pub words: String,
}

impl From<Refused> for Fault {
    fn from(refused: Refused) -> Self {
        Self { field: refused.field.to_owned(), reason: refused.reason, words: refused.words.to_owned() }
    }
}

/// What could be read of a request at fault, for the audit.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
struct Sent {
    caller: Option<Caller>,
    subject: Option<Subject>,
    id: Option<Uuid>,
    mother: Option<NhsNumber>,
}

/// Every fault of a request, and who sent it, about whom and under which id, where that could be read.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Faults(pub Vec<Fault>, Option<Box<Sent>>);

impl From<Fault> for Faults {
    fn from(fault: Fault) -> Self {
        Self(vec![fault], None)
    }
}

impl Faults {
    /// Adds a fault.
    pub fn add(&mut self, field: impl Display, reason: &'static str, words: impl ToString) {
        self.0.push(Fault { field: field.to_string(), reason, words: words.to_string() });
    }

    /// The value, or `None` with its fault noted.
    pub fn take<T, E: ToString>(
        &mut self,
        field: impl Display,
        reason: &'static str,
        parsed: Result<T, E>,
    ) -> Option<T> {
        match parsed {
            Ok(value) => Some(value),
            Err(error) => {
                self.add(field, reason, error);
                None
            }
        }
    }

    /// The value of a required message, or `None` with its absence noted.
    pub fn need<T>(&mut self, field: impl Display, value: Option<T>) -> Option<T> {
        if value.is_none() {
            self.add(field, "MISSING", "this field is required");
        }
        value
    }

    /// Keeps who sent the request, for the audit. Called when all of it has been read: of a request without a fault nothing is
    /// kept.
    pub fn keep(&mut self, caller: Option<&Caller>) {
        if let Some(caller) = caller
            && !self.0.is_empty()
        {
            self.1.get_or_insert_default().caller = Some(caller.clone());
        }
    }

    /// Keeps whom the request is about and its id, as [`Faults::keep`] does who sent it.
    pub fn keep_about(&mut self, subject: Option<&Subject>, id: Option<Uuid>) {
        if (subject.is_some() || id.is_some()) && !self.0.is_empty() {
            let sent = self.1.get_or_insert_default();
            (sent.subject, sent.id) = (subject.cloned(), id);
        }
    }

    /// Keeps the mother whose number was given with a baby's question, likewise.
    pub fn keep_mother(&mut self, mother: Option<NhsNumber>) {
        if mother.is_some() && !self.0.is_empty() {
            self.1.get_or_insert_default().mother = mother;
        }
    }

    /// The faults of a request of this person.
    #[must_use]
    pub fn by(mut self, caller: &Caller) -> Self {
        self.keep(Some(caller));
        self
    }

    /// Who sent the request, where that could be read.
    #[must_use]
    pub fn caller(&self) -> Option<&Caller> {
        self.1.as_ref().and_then(|sent| sent.caller.as_ref())
    }

    /// Whom the request is about, and its id, where that could be read.
    #[must_use]
    pub fn about(&self) -> (Option<&Subject>, Option<Uuid>) {
        self.1.as_ref().map_or((None, None), |sent| (sent.subject.as_ref(), sent.id))
    }

    /// The mother whose number was given, where that could be read.
    #[must_use]
    pub fn mother(&self) -> Option<NhsNumber> {
        self.1.as_ref().and_then(|sent| sent.mother)
    }

    /// The value when no fault was found.
    ///
    /// # Errors
    /// All the faults.
    pub fn finish<T>(mut self, value: Option<T>) -> Result<T, Self> {
        match value {
            Some(value) if self.0.is_empty() => Ok(value),
            Some(_) => Err(self),
            None if self.0.is_empty() => {
                self.add("", "MISSING", "the request is not complete");
                Err(self)
            }
            None => Err(self),
        }
    }
}
