//! Refusals of the transport: messages that are none, too large or compressed, and calls that there are none of. No handler
//! sees them, and who sent them is known from the certificate, so they are in the audit too: counted, with one entry a second
//! for each organisation, call and reason, so that a flood of them is no flood of entries. They disclose nothing, so they do not
//! wait for it; an end without order loses the last second of them.

use std::collections::BTreeMap;
use std::collections::btree_map::Entry;
use std::convert::Infallible;
use std::future::Future;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll};
use std::time::Duration;

use http::{Request, Response, Uri};
use kith_domain::caller::Role;
use kith_domain::codes::OdsCode;
use kith_domain::method::Method;
use kith_domain::refusal_code::RefusalCode;
use kith_domain::time::Moment;
use kith_engine::{AuditEntry, Decision, Engine};
use tonic::body::Body;
use tonic::server::NamedService;
use tonic_types::StatusExt;
use tower::Service;

use super::context::now;
use crate::connection::ConnectInfo;
use crate::engine_slot::{EngineSlot, EngineState};
use crate::identity::PeerIdentity;
use crate::refusal;
use crate::stop::StopSignal;

/// How often what was counted goes into the audit.
const INTERVAL: Duration = Duration::from_secs(1);
/// As often while the server stops: the engine may be closed at any moment.
const STOPPING_INTERVAL: Duration = Duration::from_millis(100);
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
pub(super) struct Edge(Arc<Mutex<BTreeMap<Kind, Burst>>>);

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

    fn refused(&self, peer: &PeerIdentity, uri: &Uri, reason: &str, at: Moment) {
        let Ok(organisation) = OdsCode::parse(&peer.organisation) else { return };
        let method = uri.path().strip_prefix("/kith.v1.").and_then(Method::parse);
        let kind = Some((organisation, peer.role, method, RefusalCode::of(reason)));
        self.count(kind, Burst { count: 1, first: at, last: at });
    }

    /// Puts what was counted into the audit, now and then, until the runtime ends.
    pub(super) async fn run(self, slot: Arc<EngineSlot<Engine>>, stop: StopSignal) {
        let mut stopping = false;
        loop {
            if stopping {
                tokio::time::sleep(STOPPING_INTERVAL).await;
            } else {
                tokio::select! {
                    () = stop.draining() => stopping = true,
                    () = tokio::time::sleep(INTERVAL) => {}
                }
            }
            if let EngineState::Ready(engine) = slot.state() {
                self.flush(&engine).await;
            }
        }
    }

    async fn flush(&self, engine: &Engine) {
        let counted = std::mem::take(&mut *self.counted());
        for (kind, burst) in counted {
            if let Err(error) = engine.audit(&entry(kind, burst)).await {
                tracing::error!(%error, "refusals could not be audited; they are counted on");
                self.count(kind, burst);
            }
        }
    }
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

/// A service whose transport's refusals are counted.
#[derive(Debug, Clone)]
pub(super) struct Noted<S> {
    inner: S,
    edge: Edge,
}

impl<S> Noted<S> {
    pub(super) fn new(inner: S, edge: &Edge) -> Self {
        Self { inner, edge: edge.clone() }
    }
}

impl<S: NamedService> NamedService for Noted<S> {
    const NAME: &'static str = S::NAME;
}

impl<S> Service<Request<Body>> for Noted<S>
where
    S: Service<Request<Body>, Response = Response<Body>, Error = Infallible>,
    S::Future: Unpin,
{
    type Response = Response<Body>;
    type Error = Infallible;
    type Future = Noting<S::Future>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, request: Request<Body>) -> Self::Future {
        let peer = request.extensions().get::<ConnectInfo>().map(|info| Arc::clone(&info.peer));
        let (uri, edge) = (request.uri().clone(), self.edge.clone());
        Noting { inner: self.inner.call(request), of: peer.map(|peer| (peer, uri, edge)) }
    }
}

/// The response of such a service.
pub(super) struct Noting<F> {
    inner: F,
    of: Option<(Arc<PeerIdentity>, Uri, Edge)>,
}

impl<F> Future for Noting<F>
where
    F: Future<Output = Result<Response<Body>, Infallible>> + Unpin,
{
    type Output = Result<Response<Body>, Infallible>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let Poll::Ready(Ok(response)) = Pin::new(&mut self.inner).poll(cx) else { return Poll::Pending };
        // A refusal before any message has its status among the headers; whatever a handler says has details.
        let refused = tonic::Status::from_header_map(response.headers());
        if let (Some(status), Some((peer, uri, edge))) = (refused.as_ref().and_then(refusal::explained), self.of.take())
        {
            let reason = status.get_details_error_info().map(|info| info.reason).unwrap_or_default();
            edge.refused(&peer, &uri, &reason, now());
        }
        Poll::Ready(Ok(response))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn peer(organisation: &str) -> PeerIdentity {
        PeerIdentity { organisation: organisation.to_owned(), role: Role::Ed }
    }

    fn counts(edge: &Edge) -> Vec<(Kind, u64)> {
        edge.counted().iter().map(|(kind, burst)| (*kind, burst.count)).collect()
    }

    #[test]
    fn a_burst_is_one_entry_for_each_organisation_call_and_reason() {
        let edge = Edge::default();
        let lookup = Uri::from_static("/kith.v1.LookupService/Lookup");
        for at in 0..1_000 {
            edge.refused(&peer("R1H"), &lookup, "MALFORMED_MESSAGE", Moment(at));
        }
        edge.refused(&peer("R1H"), &lookup, "MESSAGE_TOO_LARGE", Moment(7));
        edge.refused(&peer("RRK"), &Uri::from_static("/kith.v1.LookupService/Guess"), "UNKNOWN_METHOD", Moment(8));
        assert_eq!(counts(&edge).iter().map(|(_, count)| *count).collect::<Vec<_>>(), [1_000, 1, 1]);
        let (kind, burst) = edge.counted().iter().next().map(|(kind, burst)| (*kind, *burst)).unwrap();
        let found = entry(kind, burst);
        let code = RefusalCode::of("MALFORMED_MESSAGE");
        let (first, last) = (Moment(0), Moment(999));
        assert_eq!(found.decision, Decision::RefusedMany { code, count: 1_000, first, last });
        assert_eq!((found.at, found.method, found.role), (last, Some(Method::Lookup), Some(Role::Ed)));
        let unknown = counts(&edge).pop().unwrap().0.unwrap();
        assert_eq!((unknown.0.to_string().as_str(), unknown.2), ("RRK", None));
    }

    #[test]
    fn kinds_are_bounded_and_none_is_lost() {
        let edge = Edge::default();
        let uri = Uri::from_static("/x");
        for n in 0..KINDS + 10 {
            edge.refused(&peer(&format!("T{n:04}")), &uri, "UNKNOWN_METHOD", Moment(1));
        }
        let counts = counts(&edge);
        assert_eq!(counts.len(), KINDS + 1);
        assert_eq!(counts[0], (None, 10));
        assert_eq!(counts.iter().map(|(_, count)| count).sum::<u64>(), KINDS as u64 + 10);
    }
}
