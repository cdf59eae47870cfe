//! `IdentityService`: what the demographics service tells of a number, and what others propose. A change and its audit entry
//! are one piece of work that goes on when the caller has gone.

use std::sync::Arc;

use kith_api::convert::fault::Faults;
use kith_api::convert::{caller, identity, plan, time};
use kith_api::v1;
use kith_domain::caller::Caller;
use kith_domain::change::Change;
use kith_domain::child::Subject;
use kith_domain::method::Method;
use kith_domain::permit::ActionPermit;
use kith_domain::validate;
use kith_engine::{Call, Engine, ProposalState, StoredProposal};
use tonic::{Request, Response, Status};
use uuid::Uuid;

use super::context::{self, About, Sender, Services, now};
use super::notifications::page_of;
use super::places;
use super::turns::Unread;
use v1::identity_service_server::IdentityService;

/// One change that a named person sends.
struct Sent {
    engine: Arc<Engine>,
    call: Call,
    permit: ActionPermit,
    caller: Caller,
    subject: Option<Subject>,
    event_id: Uuid,
    change: Change,
}

impl Sent {
    /// Makes the change and audits it, whether or not the caller waits.
    async fn run(self, services: &Services) -> Result<v1::Acknowledgement, Status> {
        let Self { engine, call, permit, caller, subject, event_id, change } = self;
        let sender = Sender { call, caller: Some(caller), subject, event_id: Some(event_id), mother: None };
        let ack = places::to_its_end(services.begin(&engine, call)?, async move {
            let verdict = engine.change_one(&permit, now(), change).await;
            context::one_changed(&engine, sender, verdict).await
        })
        .await?;
        Ok(plan::acknowledgement(ack.event_id, ack.sequence, ack.at, ack.repeated, ack.effect))
    }
}

/// What was sent, or its faults once they are in the audit.
async fn read<T>(engine: &Engine, call: Call, parsed: Result<T, Faults>) -> Result<T, Status> {
    match parsed {
        Ok(parsed) => Ok(parsed),
        Err(faults) => Err(context::malformed(engine, call, faults).await),
    }
}

#[tonic::async_trait]
impl IdentityService for Services {
    async fn tell_identity(
        &self,
        request: Request<v1::TellIdentityRequest>,
    ) -> Result<Response<v1::TellIdentityResponse>, Status> {
        let engine = self.engine()?;
        let call = self.call(&request, Method::TellIdentity)?;
        let parsed = identity::tell(request.into_inner(), call.peer.organisation);
        let (caller, event) = read(&engine, call, parsed).await?;
        let about = About::child(&event.subject, event.event_id);
        let permit = context::permit_about(&engine, call, &caller, about).await?;
        if let Err(refused) = validate::identity_event(&event, engine.directory(), now()) {
            let (subject, event_id) = (Some(event.subject), Some(event.event_id));
            let sender = Sender { call, caller: Some(caller), subject, event_id, mother: None };
            return Err(context::refused(&engine, sender, refused).await);
        }
        // The subject alone goes into the audit: no entry names two numbers.
        let (subject, event_id) = (Some(event.subject.clone()), event.event_id);
        let sent = Sent { engine, call, permit, caller, subject, event_id, change: Change::Identity(event) };
        let acknowledgement = Some(sent.run(self).await?);
        Ok(Response::new(v1::TellIdentityResponse { acknowledgement }))
    }

    async fn propose_identity(
        &self,
        request: Request<v1::ProposeIdentityRequest>,
    ) -> Result<Response<v1::ProposeIdentityResponse>, Status> {
        let engine = self.engine()?;
        let call = self.call(&request, Method::ProposeIdentity)?;
        let parsed = identity::propose(request.into_inner(), call.peer.organisation);
        let (caller, proposal) = read(&engine, call, parsed).await?;
        let about = About::child(&proposal.subject, proposal.event_id);
        let permit = context::permit_about(&engine, call, &caller, about).await?;
        if let Err(refused) = validate::proposal(&proposal, engine.directory(), now()) {
            let (subject, event_id) = (Some(proposal.subject), Some(proposal.event_id));
            let sender = Sender { call, caller: Some(caller), subject, event_id, mother: None };
            return Err(context::refused(&engine, sender, refused).await);
        }
        let (subject, event_id) = (Some(proposal.subject.clone()), proposal.event_id);
        let sent = Sent { engine, call, permit, caller, subject, event_id, change: Change::Proposed(proposal) };
        let acknowledgement = Some(sent.run(self).await?);
        Ok(Response::new(v1::ProposeIdentityResponse { acknowledgement }))
    }

    async fn list_proposals(
        &self,
        request: Request<v1::ListProposalsRequest>,
    ) -> Result<Response<v1::ListProposalsResponse>, Status> {
        let engine = self.engine()?;
        let call = self.call(&request, Method::ListProposals)?;
        let v1::ListProposalsRequest { caller, page_size, page_token, include_closed } = request.into_inner();
        let mut faults = Faults::default();
        let parsed = caller::parse(&mut faults, "caller", caller);
        let caller = read(&engine, call, faults.finish(parsed)).await?;
        let permit = context::permit(&engine, call, &caller).await?;
        let (limit, after) =
            read(&engine, call, page_of(page_size, &page_token).map_err(|faults| faults.by(&caller))).await?;
        let reader = Arc::clone(&engine);
        let read = move || reader.proposals(&permit, after, limit, include_closed);
        let page = self.list_turns().run(call.peer.organisation, read).await;
        let page = page.and_then(|page| page.map_err(|error| Unread::rows("proposals", error)));
        let page = context::whole(&engine, call, &caller, page).await?;
        let listed = page.proposals.iter().map(|stored| stored.proposal.subject.clone()).collect();
        context::listed(&engine, call, caller, listed).await?;
        Ok(Response::new(v1::ListProposalsResponse {
            proposals: page.proposals.iter().map(wire).collect(),
            next_page_token: page.next_after.map(|after| after.to_string()).unwrap_or_default(),
        }))
    }

    async fn decline_proposal(
        &self,
        request: Request<v1::DeclineProposalRequest>,
    ) -> Result<Response<v1::DeclineProposalResponse>, Status> {
        let engine = self.engine()?;
        let call = self.call(&request, Method::DeclineProposal)?;
        let parsed = identity::decline(request.into_inner(), call.peer.organisation);
        let (caller, closed) = read(&engine, call, parsed).await?;
        let permit = context::permit_about(&engine, call, &caller, About::event(closed.event_id)).await?;
        let (reader, id) = (Arc::clone(&engine), closed.id);
        let found = self.list_turns().run(call.peer.organisation, move || reader.proposal_about(id)).await;
        let found = found.and_then(|found| found.map_err(|error| Unread::rows("proposals", error)));
        let subject = context::whole(&engine, call, &caller, found).await?;
        let event_id = closed.event_id;
        let sent = Sent { engine, call, permit, caller, subject, event_id, change: Change::ProposalClosed(closed) };
        let acknowledgement = Some(sent.run(self).await?);
        Ok(Response::new(v1::DeclineProposalResponse { acknowledgement }))
    }
}

fn wire(stored: &StoredProposal) -> v1::Proposal {
    let StoredProposal { id, proposal, at, state, closed_at } = stored;
    let state = match state {
        ProposalState::Open => v1::ProposalState::Open,
        ProposalState::Followed => v1::ProposalState::Followed,
        ProposalState::NotFollowed => v1::ProposalState::NotFollowed,
    };
    v1::Proposal {
        id: *id,
        organisation: proposal.organisation.to_string(),
        at: Some(time::timestamp(*at)),
        change: Some(identity::wire(&proposal.subject, proposal.action)),
        state: state.into(),
        closed_at: closed_at.map(time::timestamp),
    }
}
