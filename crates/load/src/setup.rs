//! Everything a run needs before its first request: the plan, who calls, whom it is about. Shared by all threads, changed by
//! none.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize};

use kith_domain::time::{Day, Moment};

use crate::callers::Callers;
use crate::clock::Window;
use crate::england::England;
use crate::kind::{Kind, Mix};
use crate::link::Service;
use crate::plan::Plan;
use crate::wire::Route;

/// Positions of the calls among the routes of a connection.
pub mod route {
    /// One question.
    pub const LOOKUP: usize = 0;
    /// A check-in.
    pub const CHECK_IN: usize = 1;
    /// A worklist.
    pub const WORKLIST: usize = 2;
    /// The stream of plan events.
    pub const PLAN_EVENTS: usize = 3;
    /// The call whose answer is not looked at.
    pub const EMPTY: usize = 4;
}

/// Every call that a connection may make.
#[must_use]
pub fn routes(empty: &str) -> Vec<Route> {
    let kith = |path: &str, deadline| Route { path: format!("/kith.v1.{path}"), deadline };
    vec![
        kith("LookupService/Lookup", true),
        kith("LookupService/CheckIn", true),
        kith("LookupService/LookupMany", true),
        kith("PlanService/SubmitEvents", false),
        Route { path: empty.to_owned(), deadline: true },
    ]
}

/// What a run has done so far, for whoever watches.
#[derive(Default)]
pub struct Progress {
    /// Requests sent.
    pub sent: AtomicU64,
    /// Requests answered well.
    pub ok: AtomicU64,
    /// Requests that failed.
    pub failed: AtomicU64,
    /// Answers that are not true.
    pub wrong: AtomicU64,
    /// The phase that requests taken up now belong to.
    pub phase: AtomicUsize,
}

/// Everything shared.
pub struct Setup {
    /// What to do.
    pub plan: Plan,
    /// The measured part.
    pub window: Window,
    /// Where the service is.
    pub service: Service,
    /// Who calls.
    pub callers: Callers,
    /// Whom it is about.
    pub england: England,
    /// Day of the run.
    pub today: Day,
    /// Moment of the run.
    pub now: Moment,
    /// What it has done so far.
    pub progress: Arc<Progress>,
}

impl Setup {
    /// Kinds that go over connections of trusts.
    #[must_use]
    pub fn questions(&self) -> Option<Mix> {
        Mix::of(&self.plan.mix, |kind| kind != Kind::PlanEvent)
    }

    /// Share of plan events in the mix, 0 to 1.
    #[must_use]
    pub fn plan_event_share(&self) -> f64 {
        let weight = |name: &str| self.plan.mix.get(name).copied().unwrap_or(0.0);
        let total: f64 = self.plan.mix.values().sum();
        weight(Kind::PlanEvent.name()) / total
    }

    /// Whether answers come from Kith, rather than from any server that answers empty calls.
    #[must_use]
    pub fn is_kith(&self) -> bool {
        self.plan.file_interval_ms.is_some() || self.plan.mix.keys().any(|name| name != Kind::Empty.name())
    }
}
