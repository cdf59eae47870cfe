//! How long a connection may be what it is.

use std::time::Duration;

use crate::config::Limits;

/// Until when a peer may ask nothing, and take nothing.
#[derive(Debug, Clone, Copy)]
pub(super) struct Patience {
    pub(super) first_request: Duration,
    pub(super) idle: Duration,
    pub(super) stall: Duration,
}

impl Patience {
    pub(super) fn new(limits: &Limits) -> Self {
        Self {
            first_request: Duration::from_secs(limits.first_request_timeout_s),
            idle: Duration::from_secs(limits.idle_timeout_s),
            stall: limits.write_stall(),
        }
    }

    /// With a peer from which nothing is read for a while.
    pub(super) fn longer(self) -> Self {
        let Self { first_request, idle, stall } = self;
        Self { first_request: 3 * first_request, idle: 3 * idle, stall: 3 * stall }
    }
}
