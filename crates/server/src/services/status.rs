//! `StatusService`: what state the service is in. Answers while loading too, and tells nothing of any child.

use kith_api::convert::fault::Faults;
use kith_api::convert::{feed, time};
use kith_api::v1;
use kith_domain::caller::{Caller, Role};
use kith_domain::feed::FeedCounts;
use kith_domain::method::Method;
use kith_domain::permit::Refusal;
use kith_engine::{AuditEntry, Call, Decision, Engine, Held, PurgeStatus};
use tonic::{Request, Response, Status};

use super::context::{self, Services, now};
use super::{errors, feeds};
use crate::config::AuditMode;
use crate::edge::Edge;
use crate::engine_slot::EngineState;
use v1::status_service_server::StatusService;

#[tonic::async_trait]
impl StatusService for Services {
    async fn get_status(
        &self,
        request: Request<v1::GetStatusRequest>,
    ) -> Result<Response<v1::GetStatusResponse>, Status> {
        // Before the token is looked at: once the engine is there, so is the list of those who need one.
        let state = self.slot().state();
        let call = self.call(&request, Method::GetStatus)?;
        let named = self.named(&request);
        let v1::GetStatusRequest { include_feeds } = request.into_inner();
        // Which feed is late can tell where a shielded child is, and how many children are held, asked for before and after a
        // change, whether one was: both are for operations alone.
        let of_operations = call.peer.role == Role::Ops;
        let caller = may_see((&state, self.edge()), call, named, of_operations || !include_feeds).await?;
        let mut status = v1::GetStatusResponse {
            version: env!("CARGO_PKG_VERSION").to_owned(),
            now: Some(time::timestamp(now())),
            ..v1::GetStatusResponse::default()
        };
        match state {
            EngineState::Loading => {
                status.set_readiness(v1::Readiness::Loading);
                status.reason = "LOADING".to_owned();
            }
            EngineState::Failed(reason) => {
                status.set_readiness(v1::Readiness::Failed);
                status.reason = reason.to_owned();
            }
            EngineState::Ready(engine) => {
                let draining = self.stop().is_draining();
                let readiness = if draining { v1::Readiness::Draining } else { v1::Readiness::Ready };
                status.set_readiness(readiness);
                self.fill(&mut status, &engine, (of_operations, include_feeds));
                if include_feeds {
                    let listed = Decision::Listed(status.feeds.len() as u64);
                    let entry = AuditEntry::of_call(now(), call, caller, None, listed);
                    engine.audit(&entry).await.map_err(errors::audit(&engine))?;
                }
            }
        }
        Ok(Response::new(status))
    }

    async fn list_feeds(
        &self,
        request: Request<v1::ListFeedsRequest>,
    ) -> Result<Response<v1::ListFeedsResponse>, Status> {
        let engine = self.engine()?;
        let call = self.call(&request, Method::ListFeeds)?;
        let named = self.named(&request);
        let caller = context::person(&engine, call, named).await?;
        feeds::list(&engine, call, caller, request.into_inner()).await.map(Response::new)
    }
}

impl Services {
    fn fill(&self, status: &mut v1::GetStatusResponse, engine: &Engine, (of_operations, include_feeds): (bool, bool)) {
        let sizes = engine.sizes();
        status.sizes = of_operations.then_some(v1::Sizes {
            children: sizes.children,
            plans: sizes.plans,
            presentations: sizes.presentations,
            accesses: sizes.accesses,
        });
        let positions = engine.positions();
        status.positions = of_operations.then(|| v1::Positions {
            log_sequence: positions.log_sequence,
            audit_derived_through: positions.derived_through,
            audit_synced_through: positions.synced_through,
            audit_last: positions.synced_through + engine.audit_window().unsynced,
        });
        let window = engine.audit_window();
        let mode = match self.config().audit.mode {
            AuditMode::Bounded => "bounded",
            AuditMode::Strict => "strict",
        };
        status.audit = Some(v1::AuditWindow {
            mode: mode.to_owned(),
            sink: window.sink.map_or_else(String::new, |sink| sink.name().to_owned()),
            window_max_ms: window.max_ms as f64,
            window_last_ms: window.last_ms as f64,
            failed_segments: u32::try_from(window.closed_segments).unwrap_or(u32::MAX),
        });
        status.purge = of_operations.then(|| purge(&engine.purge_status(), engine.audit_kept().held));
        let at = now();
        status.plan_feeds = Some(summary(&engine.feeds().plan_counts(at)));
        status.presentation_feeds = Some(summary(&engine.feeds().presentation_counts(at)));
        if include_feeds {
            status.feeds = engine.feeds().lines(at).iter().map(|line| feed::short(line, engine.directory())).collect();
        }
    }
}

/// Who asks, once there is an engine; refuses whoever may not see the state, or not all that they asked for.
async fn may_see(
    (state, edge): (&EngineState<Engine>, &Edge),
    call: Call,
    named: Result<Caller, Faults>,
    whole: bool,
) -> Result<Option<Caller>, Status> {
    let engine = match state.engine() {
        Ok(engine) => engine,
        Err(refused) => {
            // Nothing can be audited yet, and nothing is told but that. Whoever wants more than they may see is refused as everybody
            // is who wants anything else now: such refusals are counted, and the audit is told of them once there is one. So is
            // what is malformed, and whoever speaks for another organisation than their certificate's. No token is asked for: whose
            // people need one is known once there is an engine.
            let faulty = match named {
                Err(faults) => Some((context::reason(&faults), errors::invalid(&faults))),
                Ok(caller) if caller.organisation != call.peer.organisation => {
                    let mismatch = Refusal::OrganisationMismatch;
                    Some((mismatch.reason(), errors::refusal(mismatch)))
                }
                Ok(_) => None,
            };
            if let Some((reason, status)) = faulty {
                edge.refused_call(call.peer, call.method, reason, now());
                return Err(status);
            }
            return if whole { Ok(None) } else { Err(refused) };
        }
    };
    let caller = context::person(engine, call, named).await?;
    context::permit(engine, call, &caller).await?;
    if whole {
        return Ok(Some(caller));
    }
    Err(context::not_allowed(engine, call, caller, Refusal::RoleNotAllowed).await)
}

/// Where the purge stands, and what keeps the audit's own retention from removing anything.
fn purge(found: &PurgeStatus, audit_held: Option<Held>) -> v1::PurgeStatus {
    let PurgeStatus { completed_at, held, removed, trimmed_through } = *found;
    let reason = |held: Option<Held>| held.map_or_else(String::new, |held| held.reason().to_owned());
    let words = |held: Option<Held>| held.map_or_else(String::new, |held| held.to_string());
    v1::PurgeStatus {
        completed_at: completed_at.map(time::timestamp),
        held: reason(held),
        held_words: words(held),
        people: removed.going.people,
        plans: removed.going.plans,
        presentations: removed.going.presentations,
        accesses: removed.going.accesses,
        notes: removed.notes,
        unacknowledged_notifications: removed.unacknowledged,
        trimmed_through,
        audit_held: reason(audit_held),
        audit_held_words: words(audit_held),
    }
}

fn summary(counts: &FeedCounts) -> v1::FeedSummary {
    let FeedCounts { fresh, stale, absent, thin, oldest_fresh_seconds: _ } = *counts;
    v1::FeedSummary { feeds: counts.feeds(), fresh, stale, absent, thin }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::services::{person, testing};
    use kith_domain::codes::OdsCode;

    /// Whoever names nobody while nothing can be audited is in the audit once there is one.
    #[tokio::test]
    async fn what_is_malformed_before_there_is_an_engine_is_counted_for_the_audit() {
        let (edge, call) = (Edge::default(), testing::call(Method::GetStatus));
        let nobody = || person::read(&tonic::metadata::MetadataMap::new(), 0);
        for state in [EngineState::Loading, EngineState::Failed("KEY_UNUSABLE")] {
            let refused = may_see((&state, &edge), call, nobody(), true).await.unwrap_err();
            assert_eq!(testing::reason(&refused), "PERSON_NOT_NAMED");
            assert!(matches!(may_see((&state, &edge), call, Ok(testing::caller()), true).await, Ok(None)));
            // Counted where every refusal without an engine is.
            let refused = may_see((&state, &edge), call, Ok(testing::caller()), false).await.unwrap_err();
            assert!(crate::refusal::is_unaudited(&refused));
        }
        assert_eq!(edge.told(), [(Some(Method::GetStatus), "PERSON_NOT_NAMED", 2)]);
    }

    /// Whatever is asked for. That there is no engine yet is no way to be answered in another's name.
    #[tokio::test]
    async fn who_names_another_organisation_before_there_is_an_engine_is_refused_and_counted_for_the_audit() {
        let (edge, call) = (Edge::default(), testing::call(Method::GetStatus));
        let another = || Caller { organisation: OdsCode::parse("RRK").unwrap(), ..testing::caller() };
        for state in [EngineState::Loading, EngineState::Failed("KEY_UNUSABLE")] {
            for whole in [true, false] {
                let refused = may_see((&state, &edge), call, Ok(another()), whole).await.unwrap_err();
                assert_eq!(testing::reason(&refused), "ORGANISATION_MISMATCH");
                assert_eq!(refused.code(), tonic::Code::PermissionDenied);
                assert!(!crate::refusal::is_unaudited(&refused), "it is counted here, and not once more");
            }
        }
        assert_eq!(edge.told(), [(Some(Method::GetStatus), "ORGANISATION_MISMATCH", 4)]);
    }

    /// Suspected tampering is not hidden behind a clock that is wrong as well.
    #[test]
    fn what_holds_the_audit_is_told_beside_what_holds_the_state() {
        let state = PurgeStatus { held: Some(Held::ClockAhead { days: 3 }), ..PurgeStatus::default() };
        let told = purge(&state, Some(Held::Differs { entry: 7 }));
        assert_eq!((told.held.as_str(), told.audit_held.as_str()), ("CLOCK_AHEAD", "AUDIT_DIFFERS"));
        assert!(told.audit_held_words.contains("entry 7 "), "{}", told.audit_held_words);
        let told = purge(&PurgeStatus::default(), None);
        assert_eq!((told.held, told.audit_held), (String::new(), String::new()));
    }
}
