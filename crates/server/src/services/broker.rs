//! `BrokerService`: what the reference of an answer about a shielded child leads to. What is told is in the audit, about the child
//! and a mother who is told with it, before any of it leaves.

use std::sync::Arc;

use kith_api::convert::fault::Faults;
use kith_api::convert::{caller, time, words};
use kith_api::v1;
use kith_domain::caller::Caller;
use kith_domain::child::Subject;
use kith_domain::codes::LaCode;
use kith_domain::directory::{Contact, Directory};
use kith_domain::method::Method;
use kith_domain::time::Moment;
use kith_engine::{AnswerRef, AuditEntry, Decision, MotherRead, ResolveError, Resolved, ResolvedPerson};
use tonic::{Code, Request, Response, Status};

use super::context::{self, Services, now};
use super::turns::Unread;
use super::{audit_proofs, errors};
use crate::refusal::status;
use v1::broker_service_server::BrokerService;

fn parse(request: v1::ResolveReferenceRequest) -> Result<(Caller, AnswerRef), Faults> {
    let v1::ResolveReferenceRequest { caller, audit_reference } = request;
    let mut faults = Faults::default();
    let caller = caller::parse(&mut faults, "caller", caller);
    let read = audit_reference.parse::<AnswerRef>();
    let read = read.map_err(|_| "not the reference of an answer about a shielded child: have it read out again");
    let reference = faults.take("audit_reference", "BAD_AUDIT_REFERENCE", read);
    faults.keep(caller.as_ref());
    faults.finish(caller.zip(reference))
}

/// Why nothing is told: of a reference that was never given, of an answer that is not kept any more, and of one that cannot be
/// read now.
fn refusal(error: ResolveError) -> Status {
    match error {
        // No permit of another call comes here; it must read as a refusal all the same.
        ResolveError::NotPermitted => errors::refusal(kith_domain::permit::Refusal::RoleNotAllowed),
        ResolveError::Unknown => {
            let message = "no answer about a shielded child has this reference: have it read out again. This says nothing about a child";
            status(Code::NotFound, "REFERENCE_UNKNOWN", message, None)
        }
        ResolveError::Removed(removal) => audit_proofs::removed(removal),
        ResolveError::NotYet => errors::storage(),
        ResolveError::Unreadable(why) => {
            tracing::error!(%why, "the entry of an answer's reference cannot be read");
            errors::storage()
        }
    }
}

fn contact(contact: Contact) -> v1::Contact {
    let Contact { code, name, phone, why } = contact;
    v1::Contact { name, phone, why, code }
}

fn person(person: ResolvedPerson, directory: &Directory, at: Moment) -> v1::ResolvedPerson {
    let ResolvedPerson { subject, setters, nationally, invalid, unconfirmed } = person;
    let ring = |code: LaCode| contact(directory.authority_contact(code, at, "it shields the record"));
    let mut wire = v1::ResolvedPerson {
        shielded_by: setters.into_iter().map(ring).collect(),
        shielded_nationally: nationally,
        number_invalid: invalid,
        identity_not_confirmed: unconfirmed,
        ..v1::ResolvedPerson::default()
    };
    match subject {
        Subject::Nhs(number) => wire.nhs_number = number.digits(),
        Subject::Local(organisation, key) => {
            wire.local_key =
                Some(v1::LocalKey { organisation: organisation.to_string(), key: key.as_str().to_owned() });
        }
    }
    wire
}

fn wire(resolved: Resolved, directory: &Directory, now: Moment) -> v1::ResolveReferenceResponse {
    let Resolved { entry, at, organisation, caller, child, mother } = resolved;
    let Caller { user_id, user_name, user_role, role_code: _, purpose, organisation: _ } = caller;
    v1::ResolveReferenceResponse {
        child: Some(person(child, directory, now)),
        mother: mother.map(|mother| person(mother, directory, now)),
        asked_at: Some(time::timestamp(at)),
        organisation: organisation.to_string(),
        organisation_name: directory.organisation_name(organisation),
        user_id: user_id.as_str().to_owned(),
        user_name: user_name.as_str().to_owned(),
        user_role: user_role.as_str().to_owned(),
        purpose: words::purpose(purpose).into(),
        asker: Some(contact(directory.own_contact(organisation, "they asked"))),
        entry_reference: entry.to_string(),
    }
}

#[tonic::async_trait]
impl BrokerService for Services {
    async fn resolve_reference(
        &self,
        request: Request<v1::ResolveReferenceRequest>,
    ) -> Result<Response<v1::ResolveReferenceResponse>, Status> {
        let engine = self.engine()?;
        let call = self.call(&request, Method::ResolveReference)?;
        let (caller, reference) = match parse(request.into_inner()) {
            Ok(parsed) => parsed,
            Err(faults) => return Err(context::malformed(&engine, call, faults).await),
        };
        let permit = context::permit(&engine, call, &caller).await?;
        let reader = Arc::clone(&engine);
        let read = move || reader.resolve(&permit, reference);
        let found = self.list_turns().run(call.peer.organisation, read).await;
        let found = found.and_then(|found| found.map_err(|error| Unread::because(refusal(error))));
        let found = context::whole(&engine, call, &caller, found).await?;
        let decision = Decision::Resolved(found.entry.sequence);
        let subject = Some(found.child.subject.clone());
        // Whom the answer was about besides: her number is told as well.
        let mother = found.mother.as_ref().map(|mother| mother.subject.clone());
        let mother = mother.map(|subject| MotherRead { subject, responsible: Vec::new() });
        let entry = AuditEntry { subject, mother, ..AuditEntry::of_call(now(), call, Some(caller), None, decision) };
        engine.audit(&entry).await.map_err(errors::audit(&engine))?;
        Ok(Response::new(wire(found, engine.directory(), now())))
    }
}
