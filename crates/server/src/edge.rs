//! Refusals of which no handler writes an entry: messages that are none, too large or compressed, calls that there are none
//! of, odd or too many headers, overload, deadlines, certificates that no longer stand, connections that are closed for
//! what their peer does on them, what HTTP/2 refuses by itself, and calls that no handler could put into the audit: there was
//! none yet, or it took no entry.
//! Who sent them is known from the certificate, so they are in the audit too: counted, with one entry a second for each
//! organisation, call and reason, so that a flood of them is no flood of entries. They disclose nothing, so they do not wait for
//! it: while the audit takes no entry they are counted on, and told once it does. An end without order loses what is not told; an
//! entry of these that is given up later is in a gap that is told, as any.

use std::collections::BTreeMap;
use std::collections::btree_map::Entry;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use http::Uri;
use kith_domain::caller::{Peer, Role};
use kith_domain::codes::OdsCode;
use kith_domain::method::Method;
use kith_domain::refusal_code::RefusalCode;
use kith_domain::time::Moment;
use kith_engine::{AuditEntry, Decision, Engine};
use tokio::runtime::Handle;
use tonic_types::StatusExt;

use crate::engine_slot::{EngineSlot, EngineState};
use crate::identity::PeerIdentity;
use crate::services::now;
use crate::stop::StopSignal;

/// How often what was counted goes into the audit.
const INTERVAL: Duration = Duration::from_secs(1);
/// As often while the server stops, for the engine may be closed at any moment, and while changes stand of which no entry tells:
/// until they are told nothing is changed.
const SHORT_INTERVAL: Duration = Duration::from_millis(100);
/// Kinds of refusal counted apart in one interval: more than the organisations, calls and reasons of a busy day. Beyond it they
/// are counted together.
const KINDS: usize = 4_096;

/// What is counted together: of whom, which call, why. None: of those beyond the bound.
type Kind = Option<(OdsCode, Role, Option<Method>, RefusalCode)>;

/// How many, from when until when.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Burst {
    count: u64,
    first: Moment,
    last: Moment,
}

/// Refusals that are not in the audit yet.
#[derive(Debug, Clone, Default)]
pub(crate) struct Edge(Arc<Mutex<BTreeMap<Kind, Burst>>>);

impl Edge {
    fn counted(&self) -> MutexGuard<'_, BTreeMap<Kind, Burst>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn count(&self, kind: Kind, burst: Burst) {
        let mut counted = self.counted();
        let kind = if counted.len() < KINDS || counted.contains_key(&kind) { kind } else { None };
        match counted.entry(kind) {
            Entry::Vacant(free) => {
                free.insert(burst);
            }
            Entry::Occupied(mut held) => {
                let held = held.get_mut();
                held.count += burst.count;
                (held.first, held.last) = (held.first.min(burst.first), held.last.max(burst.last));
            }
        }
    }

    /// Counts a refusal of this peer.
    pub(crate) fn refused(&self, peer: &PeerIdentity, method: Option<Method>, reason: &str, at: Moment) {
        let Ok(organisation) = OdsCode::parse(&peer.organisation) else { return };
        self.one(Peer { organisation, role: peer.role }, method, reason, at);
    }

    /// Counts what a handler refused and does not put into the audit itself.
    pub(crate) fn refused_call(&self, peer: Peer, method: Method, reason: &str, at: Moment) {
        self.one(peer, Some(method), reason, at);
    }

    fn one(&self, Peer { organisation, role }: Peer, method: Option<Method>, reason: &str, at: Moment) {
        let kind = Some((organisation, role, method, RefusalCode::of(reason)));
        self.count(kind, Burst { count: 1, first: at, last: at });
    }

    /// What is counted: call, reason and how often.
    #[cfg(test)]
    pub(crate) fn told(&self) -> Vec<(Option<Method>, &'static str, u64)> {
        let kinds = self.counted();
        let known = kinds.iter().filter_map(|(kind, burst)| kind.map(|(_, _, method, code)| (method, code, burst)));
        known.map(|(method, code, burst)| (method, code.word(), burst.count)).collect()
    }

    /// Puts what was counted into the audit, now and then, until the runtime ends.
    pub(crate) async fn run(self, slot: Arc<EngineSlot<Engine>>, stop: StopSignal) {
        let mut stopping = false;
        loop {
            let untold = matches!(slot.state(), EngineState::Ready(engine) if engine.has_untold());
            if stopping || untold {
                tokio::time::sleep(SHORT_INTERVAL).await;
            } else {
                tokio::select! {
                    () = stop.draining() => stopping = true,
                    () = one_more_untold(&slot) => {}
                    () = tokio::time::sleep(INTERVAL) => {}
                }
            }
            let EngineState::Ready(engine) = slot.state() else { continue };
            if self.counted().is_empty() && !engine.has_untold() && !engine.has_uncounted() {
                continue;
            }
            let edge = self.clone();
            // A disk that hangs takes the thread along that writes to it, and those of the runtime watch over the service.
            let handing = tokio::task::spawn_blocking(move || edge.audit(&engine, &Handle::current()));
            if let Err(error) = handing.await {
                tracing::error!(%error, "failed to audit what was refused");
            }
        }
    }

    /// Puts what was counted into the audit; what it does not take is counted on. Before that comes what stands and was not told
    /// yet, for until it is told nothing can be changed, and what of many was refused and counted when it took no entry. Blocks.
    pub(crate) fn audit(&self, engine: &Engine, control: &Handle) {
        if !control.block_on(engine.tell_untold()) || !control.block_on(engine.tell_uncounted()) {
            return;
        }
        self.hand(|entry| {
            let audited = control.block_on(engine.audit(entry));
            // That the audit takes no entry is told by the audit itself.
            audited.inspect_err(|error| tracing::debug!(%error, "what was refused is not audited yet")).is_ok()
        });
    }

    /// Hands on what was counted, until an entry is not taken.
    fn hand(&self, mut taken: impl FnMut(&AuditEntry) -> bool) {
        let mut counted = std::mem::take(&mut *self.counted()).into_iter();
        for (kind, burst) in counted.by_ref() {
            if !taken(&entry(kind, burst)) {
                self.count(kind, burst);
                break;
            }
        }
        // Of these each would have to wait as long as the one that was not taken.
        counted.for_each(|(kind, burst)| self.count(kind, burst));
    }

    /// Says how many are in no audit, and will never be: the process ends.
    pub(crate) fn tell_left(&self) {
        let refused: u64 = self.counted().values().map(|burst| burst.count).sum();
        if refused > 0 {
            tracing::warn!(refused, "what was refused while giving no answers is in no audit: it never took the count");
        }
    }
}

/// Waits until a change is kept of which no entry tells; for ever while there is no engine.
async fn one_more_untold(slot: &EngineSlot<Engine>) {
    let EngineState::Ready(engine) = slot.state() else { return std::future::pending().await };
    engine.one_more_untold().await;
}

fn entry(kind: Kind, Burst { count, first, last }: Burst) -> AuditEntry {
    let code = kind.map_or_else(|| RefusalCode::of("UNLISTED"), |(_, _, _, code)| code);
    let entry = AuditEntry::of_service(last, Decision::RefusedMany { code, count, first, last });
    match kind {
        Some((organisation, role, method, _)) => {
            AuditEntry { organisation: Some(organisation), role: Some(role), method, ..entry }
        }
        None => entry,
    }
}

/// One call: whose it is and which, for the audit of its refusal.
#[derive(Debug, Clone)]
pub(crate) struct Asking {
    edge: Edge,
    peer: Arc<PeerIdentity>,
    uri: Uri,
}

impl Asking {
    /// A call that has come in.
    pub(crate) fn new(edge: &Edge, peer: &Arc<PeerIdentity>, uri: &Uri) -> Self {
        Self { edge: edge.clone(), peer: Arc::clone(peer), uri: uri.clone() }
    }

    /// It was refused, with what this status says.
    pub(crate) fn refused(&self, status: &tonic::Status) {
        let method = self.uri.path().strip_prefix("/kith.v1.").and_then(Method::parse);
        let reason = status.get_details_error_info().map(|info| info.reason).unwrap_or_default();
        self.edge.refused(&self.peer, method, &reason, now());
    }
}

#[cfg(test)]
mod tests;
