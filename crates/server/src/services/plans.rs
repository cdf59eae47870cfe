//! `PlanService`: plan events pushed by authorities, one verdict per event, in order; and what is held of their own.

use std::sync::Arc;

use kith_api::convert::fault::Fault;
use kith_api::convert::{own_plan, plan};
use kith_api::v1;
use kith_domain::caller::Caller;
use kith_domain::change::{Change, Feed};
use kith_domain::child::Subject;
use kith_domain::codes::LaCode;
use kith_domain::method::Method;
use kith_domain::permit::ActionPermit;
use kith_domain::refused::{Refused, RefusedKind};
use kith_domain::validate;
use kith_engine::{Became, Call, ChangedOne, Engine, Verdict, place_of};
use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;
use tonic::{Request, Response, Status, Streaming};
use uuid::Uuid;

use super::context::{self, Sender, Services, now};
use super::while_standing::Messages;
use super::{errors, feeds, group, notifications, person};
use crate::load::Held;
use v1::plan_service_server::PlanService;

/// Verdicts waiting for a slow reader; then the stream is read no further.
const VERDICT_BUFFER: usize = 256;

type Verdicts = mpsc::Sender<Result<v1::SubmitEventsResponse, Status>>;

#[tonic::async_trait]
impl PlanService for Services {
    type SubmitEventsStream = ReceiverStream<Result<v1::SubmitEventsResponse, Status>>;

    async fn submit_events(
        &self,
        request: Request<Streaming<v1::SubmitEventsRequest>>,
    ) -> Result<Response<Self::SubmitEventsStream>, Status> {
        let engine = self.engine()?;
        let call = self.call(&request, Method::SubmitEvents)?;
        let named = person::read(request.metadata());
        let caller = context::person(&engine, call, named).await?;
        let permit = context::permit(&engine, call, &caller).await?;
        let authority = context::authority(&engine, call, &caller).await?;
        let place = self.begin_stream(call)?;
        let (verdicts, stream) = mpsc::channel(VERDICT_BUFFER);
        let feed = PlanFeed {
            engine,
            call,
            caller,
            permit,
            authority,
            acknowledged: 0,
            refused: 0,
            refusals: feeds::Refusals::default(),
        };
        tokio::spawn(feed.run(Messages::of(request)?, verdicts, self.clone(), place));
        Ok(Response::new(ReceiverStream::new(stream)))
    }

    async fn list_own(&self, request: Request<v1::ListOwnRequest>) -> Result<Response<v1::ListOwnResponse>, Status> {
        let engine = self.engine()?;
        let call = self.call(&request, Method::ListOwnPlans)?;
        let v1::ListOwnRequest { page_size, page_token, caller } = request.into_inner();
        let (permit, caller) = notifications::reader(&engine, call, caller).await?;
        let (limit, after) = match notifications::page_after(page_size, &page_token, place_of) {
            Ok(page) => page,
            Err(faults) => return Err(context::malformed(&engine, call, faults.by(&caller)).await),
        };
        let (reader, at) = (Arc::clone(&engine), now());
        let read = move || reader.own_plans(&permit, after.as_ref(), limit, at);
        let page = self.list_turns().run(call.peer.organisation, read).await;
        let page = context::whole(&engine, call, &caller, page).await?;
        let listed = page.children.iter().map(|child| child.subject.clone()).collect();
        context::listed(&engine, call, caller, listed).await?;
        Ok(Response::new(v1::ListOwnResponse {
            children: page.children.iter().map(|child| own_plan::wire(&child.subject, &child.plans)).collect(),
            next_page_token: page.next_after.map(hex::encode).unwrap_or_default(),
        }))
    }
}

/// One authority's stream.
struct PlanFeed {
    engine: Arc<Engine>,
    call: Call,
    caller: Caller,
    permit: ActionPermit,
    authority: LaCode,
    acknowledged: u64,
    refused: u64,
    refusals: feeds::Refusals,
}

/// One event of a group.
struct Item {
    sent: Option<Uuid>,
    /// Whom it is about, where that could be read: of a birth the babies too; nobody for a heartbeat.
    about: Vec<Subject>,
    /// Whether it says that they are shielded, or were.
    tells_of_shield: bool,
    /// Whether it is an event, not a heartbeat.
    event: bool,
    /// Why it is refused already; else it is to be committed.
    fault: Option<Fault>,
}

impl PlanFeed {
    /// Takes events until the stream ends, the reader has gone, or the server stops. Holds a stream's place until then, and no longer
    /// than its reader hears from it: what comes last is dropped first.
    async fn run(
        mut self,
        mut stream: Messages<v1::SubmitEventsRequest>,
        verdicts: Verdicts,
        services: Services,
        _place: Held,
    ) {
        let mut whole = false;
        let end = loop {
            let group = tokio::select! {
                group = group::next(&mut stream) => group,
                () = services.stop().draining() => break Some(errors::draining()),
                () = tokio::time::sleep(services.limits().stream_idle()) => {
                    break Some(self.refused_midway(errors::idle_stream()).await);
                }
            };
            if let Err(refused) = services.may_go_on(self.call, &self.caller) {
                let caller = self.caller.clone();
                break Some(context::no_longer_proven(&self.engine, self.call, caller, refused).await);
            }
            match self.take(group.items, &verdicts).await {
                Ok(true) => {}
                Ok(false) => break None,
                Err(status) => break Some(status),
            }
            if self.acknowledged + self.refused > services.limits().max_stream_events {
                break Some(self.refused_midway(errors::stream_too_long()).await);
            }
            match group.end {
                None => {}
                Some(Ok(())) => {
                    whole = true;
                    break None;
                }
                Some(Err(status)) => break Some(self.refused_midway(errors::broken_stream(&status)).await),
            }
        };
        if whole {
            self.refusals.end(&self.engine, Feed::Plans(self.authority));
        }
        let empty = self.acknowledged + self.refused == 0;
        let audited = if empty { self.audit_nothing().await } else { Ok(()) };
        if let Some(status) = audited.err().or(end) {
            // The reader may have gone; there is nobody else to tell.
            let _ = verdicts.send(Err(status)).await;
        }
    }

    /// The status that the stream is refused with, once it is in the audit.
    async fn refused_midway(&self, status: Status) -> Status {
        context::refused_midway(&self.engine, self.call, Some(self.caller.clone()), status).await
    }

    /// Puts into the audit that nothing was sent.
    async fn audit_nothing(&self) -> Result<(), Status> {
        context::changed(&self.engine, Sender::of_stream(self.call, Some(self.caller.clone())), 0, 0).await
    }

    /// Commits a group, audits it and sends its verdicts; false when the reader has gone. What is acknowledged is in the
    /// audit, whenever the stream or the process ends. Each group goes by the policy of its moment.
    async fn take(&mut self, requests: Vec<v1::SubmitEventsRequest>, verdicts: &Verdicts) -> Result<bool, Status> {
        if requests.is_empty() {
            return Ok(true);
        }
        self.permit = context::permit(&self.engine, self.call, &self.caller).await?;
        let changing = self.engine.changing();
        let (responses, each) = self.commit(requests).await;
        let told = context::each_told(&self.engine, self.call, Some(&self.caller), &each).await;
        changing.told();
        told?;
        let mut gone = false;
        for response in responses {
            gone = gone || verdicts.send(Ok(response)).await.is_err();
        }
        Ok(!gone)
    }

    /// Commits a group; gives its verdicts in order, and what the audit is to hold of each.
    async fn commit(
        &mut self,
        requests: Vec<v1::SubmitEventsRequest>,
    ) -> (Vec<v1::SubmitEventsResponse>, Vec<ChangedOne>) {
        let at = now();
        let (mut items, mut changes) = (Vec::with_capacity(requests.len()), Vec::new());
        for request in requests {
            let (sent, tells_of_shield) = (plan::sent_event_id(&request), plan::tells_of_shield(&request));
            let (mut about, mut event_sent) = (Vec::new(), false);
            let fault = match plan::parse(request, self.authority, self.call.peer.organisation) {
                Err(faults) => {
                    about.extend(faults.about().0.cloned());
                    faults.0.into_iter().next()
                }
                Ok(Change::Plan(event)) => {
                    about.push(event.subject.clone());
                    about.extend(event.babies.iter().map(|baby| baby.subject.clone()));
                    match validate::plan_event(&event, self.engine.directory(), at) {
                        Err(refused) => Some(refused.into()),
                        Ok(()) => {
                            event_sent = true;
                            changes.push(Change::Plan(event));
                            None
                        }
                    }
                }
                Ok(change) => {
                    changes.push(change);
                    None
                }
            };
            items.push(Item { sent, about, tells_of_shield, event: event_sent, fault });
        }
        let mut outcomes = match changes.is_empty() {
            true => Vec::new(),
            false => self.engine.change(&self.permit, at, changes).await,
        }
        .into_iter();
        let (mut responses, mut each) = (Vec::with_capacity(items.len()), Vec::with_capacity(items.len()));
        for Item { sent, about, tells_of_shield, event, fault } in items {
            let (became, response) = match fault {
                Some(fault) => (Became::refused(fault.reason), self.refusal(sent, fault, false)),
                None => {
                    let verdict = outcomes.next().unwrap_or(Err(Refused::STORAGE));
                    (Became::of(&verdict), self.verdict(sent, event, verdict))
                }
            };
            each.extend(self.engine.each_of(sent, about, became, tells_of_shield));
            responses.push(response);
        }
        self.refusals.count(&self.engine, Feed::Plans(self.authority));
        (responses, each)
    }

    fn verdict(&mut self, sent: Option<Uuid>, event: bool, verdict: Verdict) -> v1::SubmitEventsResponse {
        match verdict {
            Ok(ack) => {
                self.acknowledged += 1;
                if event {
                    self.refusals.take();
                }
                let ack = plan::acknowledgement(ack.event_id, ack.sequence, ack.at, ack.repeated, ack.effect);
                let verdict = v1::submit_events_response::Verdict::Acknowledgement(ack);
                v1::SubmitEventsResponse { verdict: Some(verdict) }
            }
            Err(refused) => self.refusal(sent, refused.into(), refused.kind == RefusedKind::Unavailable),
        }
    }

    fn refusal(&mut self, sent: Option<Uuid>, fault: Fault, retry: bool) -> v1::SubmitEventsResponse {
        self.refused += 1;
        self.refusals.refuse(Some(&fault), retry);
        let Fault { field, reason, words } = fault;
        let event_id = sent.map(|id| id.to_string()).unwrap_or_default();
        let refusal = v1::Refusal { event_id, field, reason: reason.to_owned(), words, retry };
        v1::SubmitEventsResponse { verdict: Some(v1::submit_events_response::Verdict::Refusal(refusal)) }
    }
}
