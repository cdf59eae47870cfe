//! `WithholdingService`: what an authority withholds by a person's decision. A decision and its audit entry are one piece of work
//! that goes on when the caller has gone.

use std::sync::Arc;

use kith_api::convert::fault::Faults;
use kith_api::convert::{plan, withholding};
use kith_api::v1;
use kith_domain::caller::Caller;
use kith_domain::child::Subject;
use kith_domain::method::Method;
use kith_engine::{AuditEntry, Call, Decision, Engine, StandingWithholding, Verdict};
use tonic::{Request, Response, Status};
use uuid::Uuid;

use super::context::{self, About, Sender, Services, now};
use super::notifications::{page_of, reader};
use super::places;
use v1::withholding_service_server::WithholdingService;

/// What was sent, or its faults once they are in the audit.
async fn read<T>(engine: &Engine, call: Call, parsed: Result<T, Faults>) -> Result<T, Status> {
    match parsed {
        Ok(parsed) => Ok(parsed),
        Err(faults) => Err(context::malformed(engine, call, faults).await),
    }
}

/// Who decides about whom, under which event id.
struct Decider {
    call: Call,
    caller: Caller,
    subject: Subject,
    event_id: Uuid,
}

impl Decider {
    /// Puts what became of a decision into the audit, a refused one too, about the child that it is about, and gives what is to be
    /// said of it.
    async fn decided(
        self,
        engine: &Engine,
        verdict: Verdict,
        decision: Decision,
    ) -> Result<v1::Acknowledgement, Status> {
        let Self { call, caller, subject, event_id } = self;
        let ack = match verdict {
            Ok(ack) => ack,
            Err(refused) => {
                let (caller, subject, event_id) = (Some(caller), Some(subject), Some(event_id));
                let sender = Sender { call, caller, subject, event_id, mother: None };
                return Err(context::refused(engine, sender, refused).await);
            }
        };
        let entry = AuditEntry::of_call(now(), call, Some(caller), Some(event_id), decision);
        let entry = AuditEntry { subject: Some(subject), ..entry };
        context::told(engine, entry).await?;
        Ok(plan::acknowledgement(ack.event_id, ack.sequence, ack.at, ack.repeated, ack.effect))
    }
}

#[tonic::async_trait]
impl WithholdingService for Services {
    async fn decide_withholding(
        &self,
        request: Request<v1::DecideWithholdingRequest>,
    ) -> Result<Response<v1::DecideWithholdingResponse>, Status> {
        let engine = self.engine()?;
        let call = self.call(&request, Method::DecideWithholding)?;
        let parsed = read(&engine, call, withholding::decide(request.into_inner())).await?;
        let caller = parsed.caller.clone();
        let (subject, event_id) = parsed.about();
        let about = || About::child(subject, event_id);
        let permit = context::permit_about(&engine, call, &caller, about()).await?;
        let authority = context::authority_about(&engine, call, &caller, about()).await?;
        let decided = parsed.of(authority);
        let (subject, event_id) = (decided.subject.clone(), decided.event_id);
        let (reason, words, look_again) = (decided.reason, decided.words.clone(), decided.look_again);
        let decider = Decider { call, caller, subject, event_id };
        let acknowledgement = places::to_its_end(self.begin(&engine, call)?, async move {
            let verdict = engine.withhold(&permit, now(), decided).await;
            decider.decided(&engine, verdict, Decision::Withheld { reason, words, look_again }).await
        })
        .await?;
        Ok(Response::new(v1::DecideWithholdingResponse { acknowledgement: Some(acknowledgement) }))
    }

    async fn lift_withholding(
        &self,
        request: Request<v1::LiftWithholdingRequest>,
    ) -> Result<Response<v1::LiftWithholdingResponse>, Status> {
        let engine = self.engine()?;
        let call = self.call(&request, Method::LiftWithholding)?;
        let parsed = read(&engine, call, withholding::lift(request.into_inner())).await?;
        let caller = parsed.caller.clone();
        let (subject, event_id) = parsed.about();
        let about = || About::child(subject, event_id);
        let permit = context::permit_about(&engine, call, &caller, about()).await?;
        let authority = context::authority_about(&engine, call, &caller, about()).await?;
        let lifted = parsed.of(authority);
        let (subject, event_id) = (lifted.subject.clone(), lifted.event_id);
        let decider = Decider { call, caller, subject, event_id };
        let acknowledgement = places::to_its_end(self.begin(&engine, call)?, async move {
            let verdict = engine.lift_withholding(&permit, now(), lifted).await;
            decider.decided(&engine, verdict, Decision::WithholdingLifted).await
        })
        .await?;
        Ok(Response::new(v1::LiftWithholdingResponse { acknowledgement: Some(acknowledgement) }))
    }

    async fn list_withholdings(
        &self,
        request: Request<v1::ListWithholdingsRequest>,
    ) -> Result<Response<v1::ListWithholdingsResponse>, Status> {
        let engine = self.engine()?;
        let call = self.call(&request, Method::ListWithholdings)?;
        let v1::ListWithholdingsRequest { caller, page_size, page_token } = request.into_inner();
        let (permit, caller) = reader(&engine, call, caller).await?;
        let authority = context::authority(&engine, call, &caller).await?;
        let (limit, after) =
            read(&engine, call, page_of(page_size, &page_token).map_err(|faults| faults.by(&caller))).await?;
        // Sorting an authority's decisions is no work for a thread that answers questions.
        let (listing, at) = (Arc::clone(&engine), now());
        let sort = move || listing.withholdings(&permit, authority, after, limit);
        let page = self.list_turns().run(call.peer.organisation, sort).await;
        let page = context::whole(&engine, call, &caller, page).await?;
        let listed = page.withholdings.iter().map(|standing| standing.subject.clone()).collect();
        context::listed(&engine, call, caller, listed).await?;
        let today = at.london_day();
        let one = |standing: &StandingWithholding| {
            let StandingWithholding { subject, decided_at, reason, words, look_again, carried_over } = standing;
            withholding::wire((subject, *carried_over), (*reason, words), (*decided_at, *look_again), today)
        };
        Ok(Response::new(v1::ListWithholdingsResponse {
            withholdings: page.withholdings.iter().map(one).collect(),
            next_page_token: page.next_after.map(|after| after.to_string()).unwrap_or_default(),
        }))
    }
}
