//! `FlagService`: flags about how people use the service. They are about who asked; nothing here is of a child.

use std::sync::Arc;

use kith_api::convert::fault::Faults;
use kith_api::convert::{caller, flag, plan, time};
use kith_api::v1;
use kith_domain::caller::Caller;
use kith_domain::flag::FlagOutcome;
use kith_domain::method::Method;
use kith_engine::{
    Acknowledgement, AuditEntry, Call, Decision, Engine, FLAG_UNKNOWN, FlagCounts, FlagReview, FlagsError, StoredFlag,
    Verdict,
};
use tonic::{Request, Response, Status};
use uuid::Uuid;

use super::context::{self, About, Sender, Services, now};
use super::notifications::{JOURNAL, page_of};
use super::turns::Unread;
use super::{errors, places};
use v1::flag_service_server::FlagService;

/// What was sent, or its faults once they are in the audit.
async fn read<T>(engine: &Engine, call: Call, parsed: Result<T, Faults>) -> Result<T, Status> {
    match parsed {
        Ok(parsed) => Ok(parsed),
        Err(faults) => Err(context::malformed(engine, call, faults).await),
    }
}

impl Services {
    /// Reads flags in a turn of the organisation that asks, on a thread that may wait for the disk.
    async fn flags<T: Send + 'static>(
        &self,
        (engine, call, caller): (&Engine, Call, &Caller),
        read: impl FnOnce() -> Result<T, FlagsError> + Send + 'static,
    ) -> Result<T, Status> {
        let found = self.list_turns().run(call.peer.organisation, read).await;
        let found = found.and_then(|found| {
            found.map_err(|error| match error {
                FlagsError::Refused(refusal) => Unread::because(errors::refusal(refusal)),
                FlagsError::Store(error) => Unread::rows("flags", error),
            })
        });
        context::whole(engine, call, caller, found).await
    }
}

#[tonic::async_trait]
impl FlagService for Services {
    async fn list_flags(
        &self,
        request: Request<v1::ListFlagsRequest>,
    ) -> Result<Response<v1::ListFlagsResponse>, Status> {
        let engine = self.engine()?;
        let call = self.call(&request, Method::ListFlags)?;
        let v1::ListFlagsRequest { caller, page_size, page_token, include_reviewed } = request.into_inner();
        let mut faults = Faults::default();
        let parsed = caller::parse(&mut faults, "caller", caller);
        let caller = read(&engine, call, faults.finish(parsed)).await?;
        let permit = context::permit(&engine, call, &caller).await?;
        let (limit, after) =
            read(&engine, call, page_of(page_size, &page_token).map_err(|faults| faults.by(&caller))).await?;
        let reader = Arc::clone(&engine);
        let page =
            self.flags((&engine, call, &caller), move || reader.flags(&permit, after, limit, include_reviewed)).await?;
        listed(&engine, call, caller, page.flags.len() as u64).await?;
        Ok(Response::new(v1::ListFlagsResponse {
            flags: page.flags.iter().map(wire).collect(),
            next_page_token: page.next_after.map(|after| after.to_string()).unwrap_or_default(),
        }))
    }

    async fn review_flag(
        &self,
        request: Request<v1::ReviewFlagRequest>,
    ) -> Result<Response<v1::ReviewFlagResponse>, Status> {
        let engine = self.engine()?;
        let call = self.call(&request, Method::ReviewFlag)?;
        let parsed = flag::review(request.into_inner(), call.peer.organisation);
        let (caller, reviewed) = read(&engine, call, parsed).await?;
        let event_id = reviewed.event_id;
        let permit = Arc::new(context::permit_about(&engine, call, &caller, About::event(event_id)).await?);
        let (reader, theirs, id) = (Arc::clone(&engine), Arc::clone(&permit), reviewed.id);
        if !self.flags((&engine, call, &caller), move || reader.shows_flag(&theirs, id)).await? {
            // Nobody can look into what they are not shown.
            return Err(context::refused(&engine, Sender::of_event(call, caller, event_id), FLAG_UNKNOWN).await);
        }
        let ack = places::to_its_end(self.begin(&engine, call)?, async move {
            let found = (reviewed.event_id, reviewed.id, reviewed.outcome);
            let verdict = engine.review_flag(&permit, now(), reviewed).await;
            audited(&engine, call, caller, found, verdict).await
        })
        .await?;
        let acknowledgement = Some(plan::acknowledgement(ack.event_id, ack.sequence, ack.at, ack.repeated, ack.effect));
        Ok(Response::new(v1::ReviewFlagResponse { acknowledgement }))
    }

    async fn get_flag_rates(
        &self,
        request: Request<v1::GetFlagRatesRequest>,
    ) -> Result<Response<v1::GetFlagRatesResponse>, Status> {
        let engine = self.engine()?;
        let call = self.call(&request, Method::GetFlagRates)?;
        let (caller, (first, last)) = read(&engine, call, flag::rates(request.into_inner())).await?;
        let permit = context::permit(&engine, call, &caller).await?;
        let reader = Arc::clone(&engine);
        let rates = self.flags((&engine, call, &caller), move || reader.flag_rates(&permit, first, last)).await?;
        listed(&engine, call, caller, rates.kinds.len() as u64).await?;
        let rate = |(kind, counts): (_, FlagCounts)| {
            let FlagCounts { raised, explained, taken_further } = counts;
            v1::FlagRate { kind: flag::kind(kind).into(), raised, explained, taken_further }
        };
        let lookups = rates.lookups;
        Ok(Response::new(v1::GetFlagRatesResponse { lookups, rates: rates.kinds.into_iter().map(rate).collect() }))
    }
}

/// Puts into the audit that so much was listed.
async fn listed(engine: &Engine, call: Call, caller: Caller, rows: u64) -> Result<(), Status> {
    let entry = AuditEntry::of_call(now(), call, Some(caller), None, Decision::Listed(rows));
    engine.audit(&entry).await.map(|_| ()).map_err(errors::audit(engine))
}

/// Puts into the audit which flag was reviewed, or why it was not, and gives what is to be said of it.
async fn audited(
    engine: &Engine,
    call: Call,
    caller: Caller,
    (event_id, id, outcome): (Uuid, u64, FlagOutcome),
    verdict: Verdict,
) -> Result<Acknowledgement, Status> {
    let sender = Sender::of_event(call, caller, event_id);
    let acknowledgement = match verdict {
        Ok(acknowledgement) => acknowledgement,
        Err(refused) => return Err(context::refused(engine, sender, refused).await),
    };
    context::told(engine, sender.entry(Decision::FlagReviewed(id, outcome))).await?;
    Ok(acknowledgement)
}

fn wire(stored: &StoredFlag) -> v1::Flag {
    let StoredFlag { id, flag, review } = stored;
    let kith_domain::flag::Flag {
        kind,
        at,
        organisation,
        user_id,
        counted,
        out_of,
        threshold,
        first_entry,
        last_entry,
    } = flag;
    let reference = |sequence| kith_engine::AuditRef { journal: JOURNAL, sequence }.to_string();
    v1::Flag {
        id: *id,
        kind: flag::kind(*kind).into(),
        at: Some(time::timestamp(*at)),
        organisation: organisation.to_string(),
        user_id: user_id.as_ref().map(|user_id| user_id.as_str().to_owned()).unwrap_or_default(),
        counted: *counted,
        out_of: *out_of,
        threshold: *threshold,
        first_audit_reference: reference(*first_entry),
        last_audit_reference: reference(*last_entry),
        review: review.as_ref().map(|review| {
            let FlagReview { outcome, at, organisation, user_id } = review;
            v1::FlagReview {
                outcome: flag::outcome(*outcome).into(),
                at: Some(time::timestamp(*at)),
                organisation: organisation.to_string(),
                user_id: user_id.as_str().to_owned(),
            }
        }),
    }
}
