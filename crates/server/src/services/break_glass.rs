//! `BreakGlassService`: a shielded record opened for one answer, and what looks into that afterwards. An opening, its entry in
//! the queue and its audit entry are one piece of work that goes on when the caller has gone.

use std::sync::Arc;

use kith_api::convert::break_glass::{self, ParsedOpening, ParsedReview};
use kith_api::convert::fault::Faults;
use kith_api::convert::padding::Padded;
use kith_api::convert::{caller, plan};
use kith_api::v1;
use kith_domain::caller::Caller;
use kith_domain::method::Method;
use kith_engine::{
    Acknowledgement, Asked, AuditEntry, Call, Decision, Engine, ListedOpening, SentReview, Verdict, Viewing, WhyOpened,
};
use tonic::{Request, Response, Status};
use uuid::Uuid;

use super::context::{self, About, Sender, Services, now};
use super::lookup::{asked, wire};
use super::notifications::page_size;
use super::{errors, person, places};
use v1::break_glass_service_server::BreakGlassService;

/// What was sent, or its faults once they are in the audit.
async fn read<T>(engine: &Engine, call: Call, parsed: Result<T, Faults>) -> Result<T, Status> {
    match parsed {
        Ok(parsed) => Ok(parsed),
        Err(faults) => Err(context::malformed(engine, call, faults).await),
    }
}

#[tonic::async_trait]
impl BreakGlassService for Services {
    async fn open_shielded(
        &self,
        request: Request<v1::OpenShieldedRequest>,
    ) -> Result<Response<v1::OpenShieldedResponse>, Status> {
        let engine = self.engine()?;
        let call = self.call(&request, Method::OpenShielded)?;
        let parsed = break_glass::open(request.into_inner(), call.peer.organisation, now());
        let ParsedOpening { lookup, reason, words } = read(&engine, call, parsed).await?;
        let limits = self.config().break_glass.limits();
        let why = WhyOpened { reference: Uuid::new_v4(), reason, words, limits };
        let (opening, asked) = (Arc::clone(&engine), asked(call, lookup));
        let begun = self.begin(&engine, call)?;
        let viewing = places::to_its_end(begun, async move { open(&opening, call, asked, why).await }).await?;
        let Viewing { answered, queued } = viewing;
        let response = v1::OpenShieldedResponse {
            answer: Some(wire(&engine, &answered)),
            opened: queued.map(break_glass::opened),
            ..v1::OpenShieldedResponse::default()
        };
        Ok(Response::new(response.padded(self.padding())))
    }

    async fn list_openings(
        &self,
        request: Request<v1::ListOpeningsRequest>,
    ) -> Result<Response<v1::ListOpeningsResponse>, Status> {
        let engine = self.engine()?;
        let call = self.call(&request, Method::ListOpenings)?;
        let v1::ListOpeningsRequest { caller, page_size: size, page_token } = request.into_inner();
        let mut faults = Faults::default();
        let parsed = caller::parse(&mut faults, "caller", caller);
        let caller = read(&engine, call, faults.finish(parsed)).await?;
        let permit = context::permit(&engine, call, &caller).await?;
        let limit = read(&engine, call, page_size(size).map_err(|faults| faults.by(&caller))).await?;
        let after =
            read(&engine, call, break_glass::position(&page_token).map_err(|faults| faults.by(&caller))).await?;
        let listing = Arc::clone(&engine);
        let sort = move || listing.unreviewed(&permit, after, limit);
        let page = self.list_turns().run(call.peer.organisation, sort).await;
        let page = context::whole(&engine, call, &caller, page).await?;
        let listed = Decision::Listed(page.openings.len() as u64);
        let entry = AuditEntry::of_call(now(), call, Some(caller), None, listed);
        engine.audit(&entry).await.map_err(errors::audit(&engine))?;
        let one = |opening: &ListedOpening| {
            let ListedOpening { reference, at, organisation, role, reason } = *opening;
            break_glass::wire((at, reference), (organisation, role), reason, engine.directory())
        };
        Ok(Response::new(v1::ListOpeningsResponse {
            openings: page.openings.iter().map(one).collect(),
            next_page_token: page.next_after.map(break_glass::token).unwrap_or_default(),
        }))
    }

    async fn review_opening(
        &self,
        request: Request<v1::ReviewOpeningRequest>,
    ) -> Result<Response<v1::ReviewOpeningResponse>, Status> {
        let engine = self.engine()?;
        let call = self.call(&request, Method::ReviewOpening)?;
        let parsed = read(&engine, call, break_glass::review(request.into_inner())).await?;
        let about = About::event(parsed.event_id);
        let permit = context::permit_about(&engine, call, &parsed.caller, about).await?;
        let ParsedReview { caller, event_id, reference, outcome } = parsed;
        let sent = SentReview { event_id, reference, outcome };
        let ack = places::to_its_end(self.begin(&engine, call)?, async move {
            let verdict = engine.review_opening(&permit, &caller, now(), sent).await;
            reviewed(&engine, call, caller, sent, verdict).await
        })
        .await?;
        let ack = plan::acknowledgement(ack.event_id, ack.sequence, ack.at, ack.repeated, ack.effect);
        Ok(Response::new(v1::ReviewOpeningResponse { acknowledgement: Some(ack) }))
    }
}

/// Opens for somebody who is proven now, or need not be. Whoever is not is refused with the child whom it was about in the audit,
/// before the queue or the limit hears of it.
async fn open(engine: &Engine, call: Call, asked: Asked, why: WhyOpened) -> Result<Viewing, Status> {
    match person::proven(call, &asked.caller) {
        Ok(()) => engine.open_shielded(asked, why).await.map_err(errors::open(engine)),
        Err(refused) => {
            let refused = engine.refuse(asked, refused).await.map_err(errors::read(engine));
            refused.map(|answered| Viewing { answered, queued: None })
        }
    }
}

/// Puts a review into the audit, with what it found, and gives what is to be said of it.
async fn reviewed(
    engine: &Engine,
    call: Call,
    caller: Caller,
    SentReview { event_id, reference, outcome }: SentReview,
    verdict: Verdict,
) -> Result<Acknowledgement, Status> {
    let sender = Sender::of_event(call, caller, event_id);
    let acknowledgement = match verdict {
        Ok(acknowledgement) => acknowledgement,
        Err(refused) => return Err(context::refused(engine, sender, refused).await),
    };
    context::told(engine, sender.entry(Decision::OpeningReviewed(reference, outcome))).await?;
    Ok(acknowledgement)
}
