//! `PresentationService`: recording, amending, closing and importing presentations.

use std::sync::Arc;

use kith_api::convert::fault::{Fault, Faults};
use kith_api::convert::presentation::CalledEvent;
use kith_api::convert::{caller, plan, presentation};
use kith_api::v1;
use kith_domain::caller::{Caller, Peer};
use kith_domain::change::{Change, Feed, Heartbeat, PresentationAction, PresentationEvent};
use kith_domain::child::Subject;
use kith_domain::method::Method;
use kith_domain::permit::ActionPermit;
use kith_domain::refused::{Refused, RefusedKind};
use kith_domain::time::Moment;
use kith_domain::validate;
use kith_engine::{Became, Call, ChangedOne, Decision, Engine, NotThere, Verdict};
use tokio::sync::oneshot;
use tokio_stream::Stream;
use tonic::{Request, Response, Status, Streaming};
use uuid::Uuid;

use super::context::{self, About, Sender, Services, now};
use super::errors::{self, Before};
use super::in_flight::{End, InFlight, Next, Settled, arrived};
use super::while_standing::Messages;
use super::{feeds, person, places};
use crate::load::Held;
use v1::presentation_service_server::PresentationService;

/// Most refused rows listed in the verdict on an import.
const MAX_REJECTIONS: usize = 1_000;

impl Services {
    /// Takes one event of a named person.
    async fn take<T>(
        &self,
        request: Request<T>,
        method: Method,
        parse: fn(T, kith_domain::codes::OdsCode) -> Result<CalledEvent, Faults>,
    ) -> Result<v1::Acknowledgement, Status> {
        let engine = self.engine()?;
        let call = self.call(&request, method)?;
        let peer = call.peer;
        let (caller, event) = match parse(request.into_inner(), peer.organisation) {
            Ok(parsed) => parsed,
            Err(faults) => {
                feeds::one(&engine, peer, faults.0.first().map(|fault| (fault, false)));
                return Err(context::malformed(&engine, call, faults).await);
            }
        };
        let not_there = NotThere::told_by(&event.action, now());
        let about = About::child(&event.subject, event.event_id);
        let permit = context::permit_about(&engine, call, &caller, about).await?;
        let (subject, event_id) = (Some(event.subject.clone()), Some(event.event_id));
        let sender = Sender { call, caller: Some(caller), subject, event_id, mother: None };
        let ack = places::to_its_end(self.begin(&engine, call)?, async move {
            let verdict = take_event(&engine, &permit, event, now()).await;
            feeds::verdict(&engine, peer, &verdict);
            context::one_presented(&engine, sender, (verdict, not_there)).await
        })
        .await?;
        Ok(plan::acknowledgement(ack.event_id, ack.sequence, ack.at, ack.repeated, ack.effect))
    }
}

/// Whether an event's details stand one level deeper in its message.
fn has_details(action: &PresentationAction) -> bool {
    match action {
        PresentationAction::Record(_) | PresentationAction::Amend(_) | PresentationAction::Import(_, _) => true,
        PresentationAction::Close(_) => false,
    }
}

/// The refusal with the path of its field.
fn placed(refused: Refused, detailed: bool) -> Refused {
    let field = match (detailed, refused.field) {
        (true, "site") => "presentation.site",
        (true, "arrived_at") => "presentation.arrived_at",
        (true, "version") => "presentation.version",
        (_, field) => field,
    };
    Refused { field, ..refused }
}

async fn take_event(engine: &Engine, permit: &ActionPermit, event: PresentationEvent, at: Moment) -> Verdict {
    let detailed = has_details(&event.action);
    let verdict = match validate::presentation_event(
        &event,
        engine.directory(),
        engine.settings().presentation_retention_days,
        at,
    ) {
        Err(refused) => Err(refused),
        Ok(()) => {
            let verdicts = engine.change(permit, at, vec![Change::Presentation(event)]).await;
            verdicts.into_iter().next().unwrap_or(Err(Refused::STORAGE))
        }
    };
    verdict.map_err(|refused| placed(refused, detailed))
}

#[tonic::async_trait]
impl PresentationService for Services {
    async fn record(&self, request: Request<v1::RecordRequest>) -> Result<Response<v1::RecordResponse>, Status> {
        let acknowledgement = Some(self.take(request, Method::Record, presentation::record).await?);
        Ok(Response::new(v1::RecordResponse { acknowledgement }))
    }

    async fn amend(&self, request: Request<v1::AmendRequest>) -> Result<Response<v1::AmendResponse>, Status> {
        let acknowledgement = Some(self.take(request, Method::Amend, presentation::amend).await?);
        Ok(Response::new(v1::AmendResponse { acknowledgement }))
    }

    async fn close(&self, request: Request<v1::CloseRequest>) -> Result<Response<v1::CloseResponse>, Status> {
        let acknowledgement = Some(self.take(request, Method::Close, presentation::close).await?);
        Ok(Response::new(v1::CloseResponse { acknowledgement }))
    }

    async fn import(
        &self,
        request: Request<Streaming<v1::ImportRequest>>,
    ) -> Result<Response<v1::ImportResponse>, Status> {
        let engine = self.engine()?;
        let call = self.call(&request, Method::Import)?;
        let named = self.named(&request);
        // On a task of its own: what it took is audited even when the caller has gone. It ends when this call does.
        let (open, gone) = oneshot::channel();
        let import = Import {
            engine,
            call,
            named: Some(named),
            sender: None,
            verdict: v1::ImportResponse::default(),
            refusals: feeds::Refusals::default(),
        };
        let place = self.begin_stream(call)?;
        let verdict = tokio::spawn(import.run(Messages::of(request)?, self.clone(), gone, place)).await;
        drop::<oneshot::Sender<()>>(open);
        Ok(Response::new(verdict.unwrap_or_else(|_| Err(errors::ended(Before::Unanswered)))?))
    }
}

/// An import under way. Rows are durable as they are taken.
struct Import {
    engine: Arc<Engine>,
    call: Call,
    /// Whom the call names, for an import without rows.
    named: Option<Result<Caller, Faults>>,
    /// Who sends it, and the permit to: known from the first row.
    sender: Option<(Caller, ActionPermit)>,
    verdict: v1::ImportResponse,
    refusals: feeds::Refusals,
}

/// A group of rows in flight.
struct Rows {
    /// Those that are with the writer, in order.
    sent: Vec<Row>,
    /// Those that are refused already, by number.
    refused: Vec<(u64, Faults)>,
}

/// A row with the writer.
struct Row {
    number: u64,
    subject: Subject,
    event_id: Uuid,
    /// Why it would not tell that the child is there.
    told_by: Option<NotThere>,
}

impl Import {
    /// Takes rows until the stream ends, breaks, is too long, or the server stops; audits whatever came of it. Holds a stream's place
    /// until then. Whatever ends it, the groups that are with the writer by then are waited for and put into the audit.
    async fn run<S>(
        mut self,
        stream: S,
        services: Services,
        gone: oneshot::Receiver<()>,
        _place: Held,
    ) -> Result<v1::ImportResponse, Status>
    where
        S: Stream<Item = Result<v1::ImportRequest, Status>> + Unpin,
    {
        let mut in_flight = InFlight::new();
        let end = self.take_all(stream, &services, gone, &mut in_flight).await;
        while let Some(settled) = in_flight.settled().await {
            // What the audit does not take is kept in mind there, and is how the import ends.
            let _ = self.settle(&mut in_flight, settled).await;
        }
        let refused = end.as_ref().is_err_and(End::is_refusal);
        let before = self.before();
        let end = in_flight.ended(&self.engine, (self.call, self.known()), (end, before)).await;
        let end = end.map_err(|status| status.unwrap_or_else(|| errors::ended(before)));
        let Some((caller, permit)) = self.sender else {
            // Refused before the first row was taken, which is in the audit, or given up by its sender or by a service that stops.
            return end.map(|()| self.verdict);
        };
        let verdict = self.verdict;
        if end.is_ok() {
            self.refusals.end(&self.engine, Feed::Presentations(self.call.peer.organisation));
        }
        let (changing, heard) = (self.engine.changing(), end.is_ok() && is_sign_of_life(&verdict));
        if heard {
            heard_of(&self.engine, self.call.peer, &permit).await;
        }
        let told = match (verdict.processed, heard) {
            (0, true) => {
                // That it was heard of stands, though no row does.
                let entry =
                    Sender::of_stream(self.call, Some(caller)).entry(Decision::Changed { acknowledged: 0, refused: 0 });
                self.engine.audit_standing(entry).await.map_err(errors::untold(&self.engine))
            }
            // A refusal is in the audit by itself.
            (0, false) if refused => Ok(()),
            (0, false) => context::changed(&self.engine, Sender::of_stream(self.call, Some(caller)), 0, 0).await,
            _ => Ok(()),
        };
        changing.told();
        told?;
        end.map(|()| verdict)
    }

    /// What was changed by now: rows, of which its sender hears nothing before its end.
    fn before(&self) -> Before {
        match self.verdict.processed {
            0 => Before::Nothing,
            _ => Before::Unanswered,
        }
    }

    /// Who sends it, as far as it is known: of its rows, or whom the call names where no row came.
    fn known(&self) -> Option<&Caller> {
        let named = self.named.as_ref().and_then(|named| named.as_ref().ok());
        let named = named.filter(|caller| person::proven(self.call, caller).is_ok());
        self.sender.as_ref().map(|(caller, _)| caller).or(named)
    }

    /// Takes groups, each while the one before is synced, until the stream ends; or says why no more is taken. Some may be in flight
    /// then.
    async fn take_all<S>(
        &mut self,
        mut stream: S,
        services: &Services,
        mut gone: oneshot::Receiver<()>,
        in_flight: &mut InFlight<Rows>,
    ) -> Result<(), End>
    where
        S: Stream<Item = Result<v1::ImportRequest, Status>> + Unpin,
    {
        loop {
            let (quiet, before) = (in_flight.is_empty(), self.before());
            let more = async {
                tokio::select! {
                    group = arrived(&mut stream, services, (quiet, before)) => group,
                    _ = &mut gone => Err(End::Told(errors::ended(before))),
                }
            };
            let group = match in_flight.next(&self.engine, more).await {
                Next::More(group) => group?,
                Next::Settled(settled) => {
                    self.settle(in_flight, settled).await?;
                    continue;
                }
            };
            if let Some(first) = group.items.first()
                && self.sender.is_none()
            {
                self.sender = Some(begin(&self.engine, self.call, first).await.map_err(End::Told)?);
            }
            if let Some((caller, _)) = &self.sender
                && let Err(refused) = services.may_go_on(self.call, caller)
            {
                return Err(End::NotAllowed(Box::new(caller.clone()), refused));
            }
            self.hand_over(group.items, in_flight).await?;
            if self.verdict.processed > services.limits().max_stream_events {
                return Err(End::Refused(errors::stream_too_long(self.before())));
            }
            match group.end {
                None => {}
                Some(Err(status)) => return Err(End::Refused(errors::broken_stream(&status, self.before()))),
                Some(Ok(())) => break,
            }
        }
        if self.sender.is_none() {
            self.sender = Some(self.without_rows().await.map_err(End::Told)?);
        }
        Ok(())
    }

    /// Who sends an import without rows: the organisation has nothing to send, and says so.
    async fn without_rows(&mut self) -> Result<(Caller, ActionPermit), Status> {
        let named = self.named.take().unwrap_or_else(|| Err(Faults::default()));
        let caller = context::person(&self.engine, self.call, named).await?;
        let permit = context::permit(&self.engine, self.call, &caller).await?;
        Ok((caller, permit))
    }

    /// Checks a group of rows and hands the good ones to the writer together, by the policy of the group's moment.
    async fn hand_over(&mut self, rows: Vec<v1::ImportRequest>, in_flight: &mut InFlight<Rows>) -> Result<(), End> {
        if rows.is_empty() {
            return Ok(());
        }
        if let Some((caller, permit)) = &mut self.sender {
            *permit = context::permitted(&self.engine, self.call, caller)
                .map_err(|refused| End::NotAllowed(Box::new(caller.clone()), refused))?;
        }
        let at = now();
        let (rows, changes) = self.read(rows, at);
        if let Some((_, permit)) = &self.sender {
            in_flight.hand_over(&self.engine, (permit, at), changes, rows).await;
        }
        Ok(())
    }

    /// Puts a group that is on disk, or refused, into the audit, so that an import that is broken off at any moment has its entries.
    async fn settle(
        &mut self,
        in_flight: &mut InFlight<Rows>,
        Settled { changing, verdicts, of }: Settled<Rows>,
    ) -> Result<(), End> {
        // No presentation carries anything over.
        let each = self.outcome(of, verdicts.into_iter().map(|(verdict, _)| verdict).collect());
        let caller = self.sender.as_ref().map(|(caller, _)| caller);
        in_flight.audited(&self.engine, (self.call, caller), (each, Vec::new()), changing).await
    }

    /// Takes a group of rows apart, and counts them.
    fn read(&mut self, rows: Vec<v1::ImportRequest>, at: Moment) -> (Rows, Vec<Change>) {
        let (mut sent, mut refused, mut changes) = (Vec::new(), Vec::new(), Vec::new());
        for row in rows {
            self.verdict.processed += 1;
            let number = self.verdict.processed;
            match read_row(row, self.call.peer, &self.engine, at) {
                Ok(event) => {
                    let told_by = NotThere::told_by(&event.action, at);
                    sent.push(Row { number, subject: event.subject.clone(), event_id: event.event_id, told_by });
                    changes.push(Change::Presentation(event));
                }
                Err(faults) => refused.push((number, faults)),
            }
        }
        (Rows { sent, refused }, changes)
    }

    /// What became of a group: counts it, and gives what the audit is to hold of each row.
    fn outcome(&mut self, Rows { sent, refused }: Rows, verdicts: Vec<Verdict>) -> Vec<ChangedOne> {
        let mut each = Vec::with_capacity(sent.len() + refused.len());
        for (number, faults) in refused {
            let (subject, event_id) = faults.about();
            let (about, became) = (subject.cloned().into_iter().collect(), Became::refused(context::reason(&faults)));
            each.extend(self.engine.each_of(event_id, about, became, false));
            self.reject(number, faults.0.into_iter().next(), false);
        }
        for (Row { number, subject, event_id, told_by }, verdict) in sent.into_iter().zip(verdicts) {
            let became = Became::of(&verdict);
            let not_there = NotThere::of(told_by, became);
            let told = self.engine.each_of(Some(event_id), vec![subject], became, false);
            each.extend(told.into_iter().map(|one| ChangedOne { not_there, ..one }));
            match verdict {
                Ok(ack) => {
                    self.verdict.accepted += 1;
                    self.refusals.take();
                    self.verdict.repeated += u64::from(ack.repeated);
                }
                Err(refused) => {
                    let retry = refused.kind == RefusedKind::Unavailable;
                    self.reject(number, Some(placed(refused, true).into()), retry);
                }
            }
        }
        self.refusals.count(&self.engine, Feed::Presentations(self.call.peer.organisation));
        each
    }

    fn reject(&mut self, row: u64, fault: Option<Fault>, retry: bool) {
        self.refusals.refuse(fault.as_ref(), retry);
        self.verdict.rejected += 1;
        if let Some(Fault { field, reason, words }) = fault
            && self.verdict.rejections.len() < MAX_REJECTIONS
        {
            let rejected = v1::RejectedRow { row, field, reason: reason.to_owned(), words };
            self.verdict.rejections.push(rejected);
        }
    }
}

/// Authorises an import by the caller of its first row.
async fn begin(engine: &Engine, call: Call, first: &v1::ImportRequest) -> Result<(Caller, ActionPermit), Status> {
    let mut faults = Faults::default();
    let caller = caller::parse(&mut faults, "caller", first.caller.clone());
    let caller = match faults.finish(caller) {
        Ok(caller) => caller,
        Err(faults) => return Err(context::malformed(engine, call, faults).await),
    };
    let permit = context::permit(engine, call, &caller).await?;
    Ok((caller, permit))
}

fn read_row(row: v1::ImportRequest, peer: Peer, engine: &Engine, at: Moment) -> Result<PresentationEvent, Faults> {
    let event = presentation::import(row, peer.organisation)?;
    let days = engine.settings().presentation_retention_days;
    match validate::presentation_event(&event, engine.directory(), days, at) {
        Ok(()) => Ok(event),
        Err(refused) => {
            let mut faults = Faults::from(Fault::from(placed(refused, true)));
            faults.keep_about(Some(&event.subject), Some(event.event_id));
            Err(faults)
        }
    }
}

/// An import tells that the feed is alive when a row was taken, or when there was none to send: a feed whose rows all
/// fail must not look fresh.
fn is_sign_of_life(verdict: &v1::ImportResponse) -> bool {
    verdict.accepted > 0 || verdict.processed == 0
}

/// Notes that the organisation was heard of.
async fn heard_of(engine: &Engine, peer: Peer, permit: &ActionPermit) {
    let feed = Feed::Presentations(peer.organisation);
    let beat = Change::Heartbeat(Heartbeat { feed, event_id: Uuid::new_v4() });
    let verdicts = engine.change(permit, now(), vec![beat]).await;
    if let Some(Err(refused)) = verdicts.into_iter().next() {
        tracing::warn!(reason = refused.reason, "the end of an import could not be noted");
    }
}

#[cfg(test)]
mod tests;
