//! What every handler needs: the engine once it is open, the caller's proven identity, the clock, and the audit of
//! refusals. Never keeps anything of a request.

use std::sync::Arc;
use std::time::{SystemTime, UNIX_EPOCH};

use kith_api::convert::fault::Faults;
use kith_domain::caller::{Caller, Peer, Role};
use kith_domain::codes::OdsCode;
use kith_domain::permit::{self, Action, ActionPermit};
use kith_domain::time::Moment;
use kith_engine::{AuditEntry, Decision, Engine};
use tokio::runtime::Handle;
use tonic::{Request, Status};

use super::errors;
use crate::application::Wiring;
use crate::config::{Config, Limits};
use crate::engine_slot::EngineSlot;
use crate::stop::StopSignal;
use crate::{connection, refusal};

/// Shared by all services; clones are cheap.
#[derive(Debug, Clone)]
pub(crate) struct Services {
    slot: Arc<EngineSlot<Engine>>,
    config: Arc<Config>,
    stop: StopSignal,
    control: Handle,
}

/// The time of day. Everything below the server gets it as an argument.
pub(crate) fn now() -> Moment {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    Moment(i64::try_from(since.as_millis()).unwrap_or(i64::MAX))
}

impl Services {
    pub(crate) fn new(wiring: Wiring<Engine>) -> Self {
        let Wiring { engine, config, directory: _, stop, control } = wiring;
        Self { slot: engine, config, stop, control }
    }

    pub(super) fn slot(&self) -> &EngineSlot<Engine> {
        &self.slot
    }

    pub(super) fn engine(&self) -> Result<Arc<Engine>, Status> {
        self.slot.get()
    }

    pub(crate) fn limits(&self) -> &Limits {
        &self.config.limits
    }

    pub(super) fn config(&self) -> &Config {
        &self.config
    }

    pub(super) fn stop(&self) -> &StopSignal {
        &self.stop
    }

    pub(super) fn control(&self) -> &Handle {
        &self.control
    }
}

/// What the connection's certificate proves.
pub(super) fn peer<T>(request: &Request<T>) -> Result<Peer, Status> {
    let identity = connection::peer(request)?;
    let organisation = OdsCode::parse(&identity.organisation).map_err(|_| refusal::no_identity())?;
    let role = Role::parse(identity.role.name()).ok_or_else(refusal::no_identity)?;
    Ok(Peer { organisation, role })
}

/// A permit for an action, or its refusal once that is in the audit.
pub(super) async fn permit(
    engine: &Engine,
    peer: Peer,
    caller: Option<&Caller>,
    action: Action,
) -> Result<ActionPermit, Status> {
    match permit::authorise_action(peer, caller, action) {
        Ok(permit) => Ok(permit),
        Err(refused) => {
            let status = errors::refusal(refused);
            Err(audited(engine, peer, caller.cloned(), refused.to_string(), status).await)
        }
    }
}

/// The status of a malformed request once it is in the audit.
pub(super) async fn malformed(engine: &Engine, peer: Peer, faults: Faults) -> Status {
    let reason = faults.0.first().map_or("MALFORMED", |fault| fault.reason);
    audited(engine, peer, None, reason.to_owned(), errors::invalid(&faults)).await
}

/// The refusal's status, or that of the audit when that takes no entry.
async fn audited(engine: &Engine, peer: Peer, caller: Option<Caller>, reason: String, status: Status) -> Status {
    let entry = AuditEntry::of_peer(now(), peer, caller, None, Decision::Refused(reason));
    match engine.audit(&entry).await {
        Ok(_) => status,
        Err(error) => errors::audit(error),
    }
}

/// Puts the outcome of changes into the audit.
pub(super) async fn changed(
    engine: &Engine,
    peer: Peer,
    caller: Option<Caller>,
    acknowledged: u64,
    refused: u64,
) -> Result<(), Status> {
    let entry = AuditEntry::of_peer(now(), peer, caller, None, Decision::Changed { acknowledged, refused });
    engine.audit(&entry).await.map(|_| ()).map_err(errors::audit)
}

/// The status of a refused question once it is in the audit.
pub(super) async fn refused_read(engine: &Engine, peer: Peer, caller: Caller, refused: permit::Refusal) -> Status {
    audited(engine, peer, Some(caller), refused.to_string(), errors::refusal(refused)).await
}
