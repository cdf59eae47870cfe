//! `PresentationService`: recording, amending, closing and importing presentations.

use kith_api::convert::fault::{Fault, Faults};
use kith_api::convert::presentation::CalledEvent;
use kith_api::convert::{caller, plan, presentation};
use kith_api::v1;
use kith_domain::caller::{Caller, Peer};
use kith_domain::change::{Change, Feed, Heartbeat, PresentationAction, PresentationEvent};
use kith_domain::permit::{Action, ActionPermit};
use kith_domain::refused::Refused;
use kith_domain::time::Moment;
use kith_domain::validate;
use kith_engine::{Engine, Verdict};
use tonic::{Request, Response, Status, Streaming};
use uuid::Uuid;

use super::context::{self, Services, now};
use super::{errors, group};
use v1::presentation_service_server::PresentationService;

/// Most refused rows listed in the verdict on an import.
const MAX_REJECTIONS: usize = 1_000;

impl Services {
    /// Takes one event of a named person.
    async fn take<T>(
        &self,
        request: Request<T>,
        parse: fn(T, kith_domain::codes::OdsCode) -> Result<CalledEvent, Faults>,
    ) -> Result<v1::Acknowledgement, Status> {
        let engine = self.engine()?;
        let peer = context::peer(&request)?;
        let (caller, event) = match parse(request.into_inner(), peer.organisation) {
            Ok(parsed) => parsed,
            Err(faults) => return Err(context::malformed(&engine, peer, faults).await),
        };
        let permit = context::permit(&engine, peer, Some(&caller), Action::SendPresentations).await?;
        let verdict = take_event(&engine, &permit, event, now()).await;
        context::changed(&engine, peer, Some(caller), u64::from(verdict.is_ok()), u64::from(verdict.is_err())).await?;
        let ack = verdict.map_err(errors::refused)?;
        Ok(plan::acknowledgement(ack.event_id, ack.sequence, ack.at, ack.repeated, ack.effect))
    }
}

/// The fault with the path of its field: details stand one level deeper in a recording or an amendment.
fn placed(refused: Refused, action: &PresentationAction) -> Refused {
    let field = match (action, refused.field) {
        (PresentationAction::Record(_) | PresentationAction::Amend(_), "site") => "presentation.site",
        (PresentationAction::Record(_) | PresentationAction::Amend(_), "arrived_at") => "presentation.arrived_at",
        (PresentationAction::Record(_) | PresentationAction::Amend(_), "version") => "presentation.version",
        (_, field) => field,
    };
    Refused { field, ..refused }
}

async fn take_event(engine: &Engine, permit: &ActionPermit, event: PresentationEvent, at: Moment) -> Verdict {
    validate::presentation_event(&event, engine.directory(), at).map_err(|refused| placed(refused, &event.action))?;
    let verdicts = engine.change(permit, at, vec![Change::Presentation(event)]).await;
    verdicts.into_iter().next().unwrap_or(Err(Refused::STORAGE))
}

#[tonic::async_trait]
impl PresentationService for Services {
    async fn record(&self, request: Request<v1::RecordRequest>) -> Result<Response<v1::RecordResponse>, Status> {
        let acknowledgement = Some(self.take(request, presentation::record).await?);
        Ok(Response::new(v1::RecordResponse { acknowledgement }))
    }

    async fn amend(&self, request: Request<v1::AmendRequest>) -> Result<Response<v1::AmendResponse>, Status> {
        let acknowledgement = Some(self.take(request, presentation::amend).await?);
        Ok(Response::new(v1::AmendResponse { acknowledgement }))
    }

    async fn close(&self, request: Request<v1::CloseRequest>) -> Result<Response<v1::CloseResponse>, Status> {
        let acknowledgement = Some(self.take(request, presentation::close).await?);
        Ok(Response::new(v1::CloseResponse { acknowledgement }))
    }

    async fn import(
        &self,
        request: Request<Streaming<v1::ImportRequest>>,
    ) -> Result<Response<v1::ImportResponse>, Status> {
        let engine = self.engine()?;
        let peer = context::peer(&request)?;
        let mut stream = request.into_inner();
        let mut import: Option<Import<'_>> = None;
        loop {
            let group = tokio::select! {
                group = group::next(&mut stream) => group,
                () = self.stop().draining() => return Err(errors::draining()),
            };
            if let Some(first) = group.items.first()
                && import.is_none()
            {
                import = Some(Import::begin(&engine, peer, first).await?);
            }
            if let Some(import) = &mut import {
                import.take(group.items).await;
                if import.verdict.processed > self.limits().max_stream_events {
                    return Err(errors::stream_too_long());
                }
            }
            match group.end {
                None => {}
                Some(Err(status)) => return Err(status),
                Some(Ok(())) => break,
            }
        }
        let import = match import {
            Some(import) => import,
            None => Import::of_nothing(&engine, peer).await?,
        };
        Ok(Response::new(import.end().await?))
    }
}

/// An import under way. Rows are durable as they are taken.
struct Import<'a> {
    engine: &'a Engine,
    peer: Peer,
    caller: Option<Caller>,
    permit: ActionPermit,
    verdict: v1::ImportResponse,
}

impl<'a> Import<'a> {
    /// Authorises an import by the caller of its first row.
    async fn begin(engine: &'a Engine, peer: Peer, first: &v1::ImportRequest) -> Result<Self, Status> {
        let mut faults = Faults::default();
        let caller = caller::parse(&mut faults, "caller", first.caller.clone());
        let caller = match faults.finish(caller) {
            Ok(caller) => caller,
            Err(faults) => return Err(context::malformed(engine, peer, faults).await),
        };
        let permit = context::permit(engine, peer, Some(&caller), Action::SendPresentations).await?;
        Ok(Self { engine, peer, caller: Some(caller), permit, verdict: v1::ImportResponse::default() })
    }

    /// An import without rows: the organisation has nothing to send, and that it said so keeps its feed fresh.
    async fn of_nothing(engine: &'a Engine, peer: Peer) -> Result<Self, Status> {
        let permit = context::permit(engine, peer, None, Action::SendPresentations).await?;
        Ok(Self { engine, peer, caller: None, permit, verdict: v1::ImportResponse::default() })
    }

    /// Takes a group of rows: the good ones are committed together.
    async fn take(&mut self, rows: Vec<v1::ImportRequest>) {
        let at = now();
        let (mut changes, mut numbers) = (Vec::new(), Vec::new());
        for row in rows {
            self.verdict.processed += 1;
            let number = self.verdict.processed;
            let parsed =
                presentation::import(row, self.peer.organisation).and_then(|event| match validate::presentation_event(
                    &event,
                    self.engine.directory(),
                    at,
                ) {
                    Ok(()) => Ok(event),
                    Err(refused) => Err(Faults(vec![refused.into()])),
                });
            match parsed {
                Ok(event) => {
                    changes.push(Change::Presentation(event));
                    numbers.push(number);
                }
                Err(faults) => self.reject(number, faults.0.into_iter().next()),
            }
        }
        if changes.is_empty() {
            return;
        }
        let verdicts = self.engine.change(&self.permit, at, changes).await;
        for (number, verdict) in numbers.into_iter().zip(verdicts) {
            match verdict {
                Ok(ack) => {
                    self.verdict.accepted += 1;
                    self.verdict.repeated += u64::from(ack.repeated);
                }
                Err(refused) => self.reject(number, Some(refused.into())),
            }
        }
    }

    fn reject(&mut self, row: u64, fault: Option<Fault>) {
        self.verdict.rejected += 1;
        if let Some(Fault { field, reason, words }) = fault
            && self.verdict.rejections.len() < MAX_REJECTIONS
        {
            let rejected = v1::RejectedRow { row, field, reason: reason.to_owned(), words };
            self.verdict.rejections.push(rejected);
        }
    }

    /// Notes that the organisation was heard of, audits, and gives the verdict.
    async fn end(self) -> Result<v1::ImportResponse, Status> {
        let feed = Feed::Presentations(self.peer.organisation);
        let beat = Change::Heartbeat(Heartbeat { feed, event_id: Uuid::new_v4() });
        let verdicts = self.engine.change(&self.permit, now(), vec![beat]).await;
        if let Some(Err(refused)) = verdicts.into_iter().next() {
            tracing::warn!(reason = refused.reason, "the end of an import could not be noted");
        }
        let verdict = self.verdict;
        context::changed(self.engine, self.peer, self.caller, verdict.accepted, verdict.rejected).await?;
        Ok(verdict)
    }
}
