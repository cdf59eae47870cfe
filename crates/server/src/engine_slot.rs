//! Where the engine will be: loading, ready, or refused for a reason that is told.
//! Never hands out an engine that is not ready, and never falls back to anything else.

use std::error::Error;
use std::fmt;
use std::sync::{Arc, OnceLock};

use tonic::Status;

use crate::refusal;

/// Why the engine could not be opened: a stable UPPER_SNAKE reason for clients, and the cause for the log.
#[derive(Debug)]
pub struct OpenFailure {
    reason: &'static str,
    cause: Box<dyn Error + Send + Sync>,
}

impl OpenFailure {
    /// The store holds less than was acknowledged.
    pub const DATA_LOSS_SUSPECTED: &str = "DATA_LOSS_SUSPECTED";
    /// The storage key is missing, unreadable or another one.
    pub const KEY_UNUSABLE: &str = "KEY_UNUSABLE";
    /// The policy that the configuration names cannot be used.
    pub const POLICY_UNUSABLE: &str = "POLICY_UNUSABLE";
    /// The list of organisations whose people are proven by tokens cannot be used.
    pub const PERSON_TOKENS_UNUSABLE: &str = "PERSON_TOKENS_UNUSABLE";
    /// Anything else that kept the store from opening.
    pub const STORE_NOT_OPENED: &str = "STORE_NOT_OPENED";

    /// A failure with this reason.
    pub fn new(reason: &'static str, cause: impl Into<Box<dyn Error + Send + Sync>>) -> Self {
        Self { reason, cause: cause.into() }
    }

    /// The stable reason.
    pub fn reason(&self) -> &'static str {
        self.reason
    }
}

impl fmt::Display for OpenFailure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "open the engine ({}): {}", self.reason, self.cause)
    }
}

impl Error for OpenFailure {}

/// The engine, once there is one; handlers read it, start-up fills it once.
#[derive(Debug)]
pub struct EngineSlot<E>(OnceLock<Result<Arc<E>, &'static str>>);

/// What the slot holds now.
#[derive(Debug)]
pub enum EngineState<E> {
    /// Still opening and replaying.
    Loading,
    /// Ready to be asked.
    Ready(Arc<E>),
    /// Could not be opened; the stable reason.
    Failed(&'static str),
}

impl<E> EngineState<E> {
    /// The engine, or that there is none, as every call that needs it is refused.
    pub(crate) fn engine(&self) -> Result<&Arc<E>, Status> {
        match self {
            Self::Ready(engine) => Ok(engine),
            Self::Loading => Err(refusal::loading()),
            Self::Failed(reason) => Err(refusal::not_opened(reason)),
        }
    }
}

impl<E> Default for EngineSlot<E> {
    fn default() -> Self {
        Self(OnceLock::new())
    }
}

impl<E> EngineSlot<E> {
    /// What the slot holds now.
    pub fn state(&self) -> EngineState<E> {
        match self.0.get() {
            None => EngineState::Loading,
            Some(Ok(engine)) => EngineState::Ready(Arc::clone(engine)),
            Some(Err(reason)) => EngineState::Failed(reason),
        }
    }

    /// The engine, for a handler that is about to ask it.
    ///
    /// # Errors
    /// `UNAVAILABLE` with reason `LOADING`, or with the reason for which it could not be opened.
    pub fn get(&self) -> Result<Arc<E>, Status> {
        self.state().engine().cloned()
    }

    /// Fills the slot; the first filling stands.
    pub(crate) fn fill(&self, outcome: Result<Arc<E>, &'static str>) {
        self.0.get_or_init(|| outcome);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tonic_types::StatusExt;

    fn reason(status: &Status) -> String {
        status.get_details_error_info().unwrap().reason
    }

    #[test]
    fn loading_is_refused_and_may_be_tried_again() {
        let status = EngineSlot::<u8>::default().get().unwrap_err();
        assert_eq!((status.code(), reason(&status).as_str()), (tonic::Code::Unavailable, "LOADING"));
        assert!(status.get_details_retry_info().is_some());
    }

    #[test]
    fn a_failure_is_refused_with_its_reason_and_stands() {
        let slot = EngineSlot::<u8>::default();
        slot.fill(Err(OpenFailure::DATA_LOSS_SUSPECTED));
        slot.fill(Ok(Arc::new(1)));
        let status = slot.get().unwrap_err();
        assert_eq!((status.code(), reason(&status).as_str()), (tonic::Code::Unavailable, "DATA_LOSS_SUSPECTED"));
        assert!(status.get_details_retry_info().is_none());
    }

    #[test]
    fn a_ready_engine_is_handed_out() {
        let slot = EngineSlot::default();
        slot.fill(Ok(Arc::new(7_u8)));
        assert_eq!(*slot.get().unwrap(), 7);
    }
}
