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
use kith_domain::refused::{Refused, RefusedKind};
use kith_domain::time::Moment;
use kith_domain::validate;
use kith_engine::{Became, Call, CarriedOver, ChangedOne, Engine, Verdict, place_of};
use tokio::sync::mpsc;
use tokio_stream::Stream;
use tokio_stream::wrappers::ReceiverStream;
use tonic::{Request, Response, Status, Streaming};
use uuid::Uuid;

use super::context::{self, Sender, Services, now};
use super::errors::{self, Before};
use super::group::{Group, MAX_GROUP};
use super::in_flight::{End, InFlight, MAX_IN_FLIGHT, Next, Settled, arrived};
use super::while_standing::Messages;
use super::{feeds, notifications};
use crate::load::Held;
use v1::plan_service_server::PlanService;

/// Verdicts that have room: those of the groups in flight, and those of two more that wait for a slow reader. Then the stream is
/// read no further.
const VERDICT_BUFFER: usize = (MAX_IN_FLIGHT + 2) * MAX_GROUP;

type Verdicts = mpsc::Sender<Result<v1::SubmitEventsResponse, Status>>;
/// Room for the verdicts on a group.
type Room<'v> = mpsc::PermitIterator<'v, Result<v1::SubmitEventsResponse, Status>>;

#[tonic::async_trait]
impl PlanService for Services {
    type SubmitEventsStream = ReceiverStream<Result<v1::SubmitEventsResponse, Status>>;

    async fn submit_events(
        &self,
        request: Request<Streaming<v1::SubmitEventsRequest>>,
    ) -> Result<Response<Self::SubmitEventsStream>, Status> {
        let engine = self.engine()?;
        let call = self.call(&request, Method::SubmitEvents)?;
        let named = self.named(&request);
        let caller = context::person(&engine, call, named).await?;
        context::permit(&engine, call, &caller).await?;
        let authority = context::authority(&engine, call, &caller).await?;
        let place = self.begin_stream(call)?;
        let (verdicts, stream) = mpsc::channel(VERDICT_BUFFER);
        let feed = PlanFeed { engine, call, caller, authority, taken: 0, refusals: feeds::Refusals::default() };
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
    authority: LaCode,
    /// How many have been taken, those in flight among them.
    taken: u64,
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

/// What became of a group.
struct Outcome {
    /// Its verdicts, in order.
    responses: Vec<v1::SubmitEventsResponse>,
    /// What the audit is to hold of each event.
    each: Vec<ChangedOne>,
    /// What births carried over, and whether that is to have no place.
    carried: Vec<(CarriedOver, bool)>,
}

/// A group in flight.
struct Sent<'v> {
    items: Vec<Item>,
    room: Room<'v>,
}

/// The next group of a stream, once there is room for its verdicts: what has been changed is then put into the audit without waiting
/// for whoever reads. A reader who goes is seen while nothing comes. Given up before it gives a group it loses none.
async fn more<'v, S>(
    stream: &mut S,
    verdicts: &'v Verdicts,
    services: &Services,
    (quiet, before): (bool, Before),
) -> Result<(Room<'v>, Group<v1::SubmitEventsRequest>), End>
where
    S: Stream<Item = Result<v1::SubmitEventsRequest, Status>> + Unpin,
{
    let room = tokio::select! {
        room = verdicts.reserve_many(MAX_GROUP) => room.map_err(|_| End::Gone)?,
        () = services.stop().draining() => return Err(End::Told(errors::draining(before))),
    };
    tokio::select! {
        biased;
        group = arrived(stream, services, (quiet, before)) => Ok((room, group?)),
        () = verdicts.closed() => Err(End::Gone),
    }
}

impl PlanFeed {
    /// Takes events until the stream ends, the reader has gone, or the server stops. Holds a stream's place until then, and no longer
    /// than its reader hears from it: what comes last is dropped first. Whatever ends it, the groups that are with the writer by then
    /// are waited for, put into the audit and told, before the reader hears how it ends.
    async fn run<S>(mut self, mut stream: S, verdicts: Verdicts, services: Services, _place: Held)
    where
        S: Stream<Item = Result<v1::SubmitEventsRequest, Status>> + Unpin,
    {
        let mut in_flight = InFlight::new();
        let end = self.take_all(&mut stream, &verdicts, &services, &mut in_flight).await;
        while let Some(settled) = in_flight.settled().await {
            // What the audit does not take is kept in mind there, and is how the stream ends.
            let _ = self.settle(&mut in_flight, settled).await;
        }
        let refused = end.as_ref().is_err_and(End::is_refusal);
        let end = in_flight.ended(&self.engine, (self.call, Some(&self.caller)), (end, self.before())).await;
        if end.is_ok() && !verdicts.is_closed() {
            self.refusals.end(&self.engine, Feed::Plans(self.authority));
        }
        // A refusal is in the audit by itself.
        let audited = if self.taken == 0 && !refused { self.audit_nothing().await } else { Ok(()) };
        if let Some(status) = audited.err().or(end.err().flatten()) {
            // The reader may have gone; there is nobody else to tell.
            let _ = verdicts.send(Err(status)).await;
        }
    }

    /// Takes groups, each while the one before is synced, until the stream ends; or says why no more is taken. Some may be in flight
    /// then.
    async fn take_all<'v, S>(
        &mut self,
        stream: &mut S,
        verdicts: &'v Verdicts,
        services: &Services,
        in_flight: &mut InFlight<Sent<'v>>,
    ) -> Result<(), End>
    where
        S: Stream<Item = Result<v1::SubmitEventsRequest, Status>> + Unpin,
    {
        loop {
            let more = more(stream, verdicts, services, (in_flight.is_empty(), self.before()));
            let (room, group) = match in_flight.next(&self.engine, more).await {
                Next::More(more) => more?,
                Next::Settled(settled) => {
                    self.settle(in_flight, settled).await?;
                    continue;
                }
            };
            if let Err(refused) = services.may_go_on(self.call, &self.caller) {
                return Err(End::NotAllowed(Box::new(self.caller.clone()), refused));
            }
            self.hand_over(group.items, room, in_flight).await?;
            if self.taken > services.limits().max_stream_events {
                return Err(End::Refused(errors::stream_too_long(self.before())));
            }
            match group.end {
                None => {}
                Some(Ok(())) => return Ok(()),
                Some(Err(status)) => {
                    return Err(End::Refused(errors::broken_stream(&status, self.before())));
                }
            }
        }
    }

    /// What was changed by now, as far as its sender knows.
    fn before(&self) -> Before {
        match self.taken {
            0 => Before::Nothing,
            _ => Before::Acknowledged,
        }
    }

    /// Puts into the audit that nothing was sent.
    async fn audit_nothing(&self) -> Result<(), Status> {
        context::changed(&self.engine, Sender::of_stream(self.call, Some(self.caller.clone())), 0, 0).await
    }

    /// Checks a group and hands it to the writer, by the policy of its moment.
    async fn hand_over<'v>(
        &mut self,
        requests: Vec<v1::SubmitEventsRequest>,
        room: Room<'v>,
        in_flight: &mut InFlight<Sent<'v>>,
    ) -> Result<(), End> {
        if requests.is_empty() {
            return Ok(());
        }
        let permit = context::permitted(&self.engine, self.call, &self.caller)
            .map_err(|refused| End::NotAllowed(Box::new(self.caller.clone()), refused))?;
        self.taken += requests.len() as u64;
        let at = now();
        let (items, changes) = self.read(requests, at);
        in_flight.hand_over(&self.engine, (&permit, at), changes, Sent { items, room }).await;
        Ok(())
    }

    /// Puts a group that is on disk, or refused, into the audit and sends its verdicts. What is acknowledged is in the audit, whenever
    /// the stream or the process ends.
    async fn settle(
        &mut self,
        in_flight: &mut InFlight<Sent<'_>>,
        Settled { changing, verdicts, of }: Settled<Sent<'_>>,
    ) -> Result<(), End> {
        let Sent { items, room } = of;
        let Outcome { responses, each, carried } = self.outcome(items, verdicts);
        in_flight.audited(&self.engine, (self.call, Some(&self.caller)), (each, carried), changing).await?;
        for (response, place) in responses.into_iter().zip(room) {
            // Of a reader that has gone nobody hears here: there is no room for another group then.
            place.send(Ok(response));
        }
        Ok(())
    }

    /// Takes the events of a group apart: each in order, and the changes of those that are not refused already.
    fn read(&self, requests: Vec<v1::SubmitEventsRequest>, at: Moment) -> (Vec<Item>, Vec<Change>) {
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
        (items, changes)
    }

    /// What became of a group: its verdicts in order, and what the audit is to hold.
    fn outcome(&mut self, items: Vec<Item>, verdicts: Vec<(Verdict, Vec<CarriedOver>)>) -> Outcome {
        let mut verdicts = verdicts.into_iter();
        let (mut responses, mut each) = (Vec::with_capacity(items.len()), Vec::with_capacity(items.len()));
        let mut carried = Vec::new();
        for Item { sent, about, tells_of_shield, event, fault } in items {
            let (became, response, over) = match fault {
                Some(fault) => (Became::refused(fault.reason), self.refusal(sent, fault, false), Vec::new()),
                None => {
                    let (verdict, over) = verdicts.next().unwrap_or((Err(Refused::STORAGE), Vec::new()));
                    (Became::of(&verdict), self.verdict(sent, event, verdict), over)
                }
            };
            let told = self.engine.each_of(sent, about, became, tells_of_shield);
            let shielded = told.iter().any(|one| one.shielded);
            carried.extend(over.into_iter().map(|over| (over, shielded)));
            each.extend(told);
            responses.push(response);
        }
        self.refusals.count(&self.engine, Feed::Plans(self.authority));
        Outcome { responses, each, carried }
    }

    fn verdict(&mut self, sent: Option<Uuid>, event: bool, verdict: Verdict) -> v1::SubmitEventsResponse {
        match verdict {
            Ok(ack) => {
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
        self.refusals.refuse(Some(&fault), retry);
        let Fault { field, reason, words } = fault;
        let event_id = sent.map(|id| id.to_string()).unwrap_or_default();
        let refusal = v1::Refusal { event_id, field, reason: reason.to_owned(), words, retry };
        v1::SubmitEventsResponse { verdict: Some(v1::submit_events_response::Verdict::Refusal(refusal)) }
    }
}

#[cfg(test)]
mod tests;
