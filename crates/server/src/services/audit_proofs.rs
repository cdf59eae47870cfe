//! `AuditService`: signed heads of the audit, proofs between them, and the proof of an entry; reading it is in `audit_reading`.
//! Whoever asks for a proof learns hashes, signatures and sealed bytes: nothing of a child. That somebody fetched a head or a
//! proof between two is not audited, or the audit would feed itself: those who follow it fetch every head. That they were refused
//! one is. A proof of an entry is audited as it is given, and cosignatures by the minute.

use std::sync::Arc;

use kith_api::convert::fault::Faults;
use kith_api::v1;
use kith_domain::caller::{Caller, Role};
use kith_domain::method::Method;
use kith_engine::{AnswerRef, AuditEntry, AuditRef, AuditRemoval, Call, Decision, Engine, ProveError};
use tonic::{Code, Request, Response, Status};

use super::context::{self, Sender, Services, now};
use super::notifications::JOURNAL;
use super::turns::Unread;
use super::{audit_reading, errors, places};
use crate::refusal::status;
use v1::audit_service_server::AuditService;

fn refusal(error: ProveError) -> Status {
    match error {
        ProveError::NotThere => {
            status(Code::NotFound, "NO_SUCH_ENTRY", "there is no such entry of this organisation", None)
        }
        ProveError::Removed(removal) => removed(removal),
        ProveError::NotYetSigned => {
            status(Code::Unavailable, "NOT_YET_SIGNED", "the entry is not under a signed head yet: ask again", None)
        }
        ProveError::NeverSigned => {
            let what = "the tree was signed without this entry: nothing proves it, and asking again changes nothing";
            status(Code::FailedPrecondition, "NEVER_SIGNED", what, None)
        }
        ProveError::Tree(what) => {
            tracing::error!(%what, "the audit's tree cannot be read");
            status(Code::Unavailable, "TREE_UNAVAILABLE", "the audit's tree cannot be read now", None)
        }
    }
}

/// What is said of an entry that was removed when its time had passed.
pub(super) fn removed(AuditRemoval { through, at, before: _ }: AuditRemoval) -> Status {
    let through = AuditRef { journal: JOURNAL, sequence: through };
    let at = at.london_text();
    let words = format!("removed under retention: entries up to {through} are not kept any more, decided {at}");
    status(Code::FailedPrecondition, "AUDIT_REMOVED", &words, None)
}

/// What is said to an auditor of a reference that an answer about a shielded child carries.
pub(super) fn shielded() -> Status {
    let message = "this is the reference of an answer about a shielded child, which a broker alone resolves: search by the child, \
                   which finds no entry of a worklist, or use the reference of the entry";
    status(Code::PermissionDenied, "REFERENCE_SHIELDED", message, None)
}

/// Which entry is asked for: by its own reference, or by that of an answer about a shielded child.
fn asked_for(engine: &Engine, role: Role, text: &str) -> Result<Result<AuditRef, Status>, &'static str> {
    if let Ok(reference) = text.parse::<AuditRef>() {
        return Ok(Ok(reference));
    }
    let reference = text.parse::<AnswerRef>().map_err(|_| "not an audit reference")?;
    if role == Role::Auditor {
        return Ok(Err(shielded()));
    }
    Ok(engine.answered_by(reference).ok_or_else(|| refusal(ProveError::NotThere)))
}

impl Services {
    /// Reads or writes the tree's files in a turn of whoever calls. What could not be done is no status yet: that it was refused
    /// is an entry first.
    async fn at_tree<T: Send + 'static>(
        &self,
        engine: &Arc<Engine>,
        call: Call,
        work: impl FnOnce(&Engine) -> Result<T, ProveError> + Send + 'static,
    ) -> Result<T, Unread> {
        let engine = Arc::clone(engine);
        let done = self.tree_turns().run(call.peer.organisation, move || work(&engine)).await;
        done.and_then(|done| done.map_err(|error| Unread::because(refusal(error))))
    }

    /// Keeps a cosignature that a witness brings, and has the audit tell that it did, or why it did not.
    async fn keep(&self, engine: &Arc<Engine>, call: Call, caller: Caller, note: String) -> Result<(), Status> {
        let from = call.peer.organisation;
        let kept = self.at_tree(engine, call, move |engine| engine.add_cosignature(note.as_bytes(), from)).await;
        let kept = kept.and_then(|kept| {
            let what = "expected a head of this log, not older than the one that is kept, with a cosignature of a witness that \
                        is known here, or that no other organisation was the first to bring";
            let not_kept = || Unread::because(status(Code::InvalidArgument, "NOT_KEPT", what, None));
            kept.then_some(()).ok_or_else(not_kept)
        });
        // Not before: the tree's disk may hang, and nobody is to hear of a gap at the next start because a stop waited for that.
        let changing = engine.changing();
        let told = match context::whole(engine, call, &caller, kept).await.map(|()| self.cosigned().kept(from, now())) {
            Ok(Some(count)) => context::changed(engine, Sender::of_stream(call, Some(caller)), count, 0).await,
            Ok(None) => Ok(()),
            Err(status) => Err(status),
        };
        changing.told();
        told
    }
}

#[tonic::async_trait]
impl AuditService for Services {
    async fn get_checkpoint(
        &self,
        request: Request<v1::GetCheckpointRequest>,
    ) -> Result<Response<v1::GetCheckpointResponse>, Status> {
        let engine = self.engine()?;
        let call = self.call(&request, Method::GetCheckpoint)?;
        let named = self.named(&request);
        let v1::GetCheckpointRequest {} = request.into_inner();
        let caller = context::person(&engine, call, named).await?;
        context::permit(&engine, call, &caller).await?;
        let none = || Unread::because(status(Code::NotFound, "NO_CHECKPOINT", "nothing of the audit is signed", None));
        let note = context::whole(&engine, call, &caller, engine.audit_checkpoint().ok_or_else(none)).await?;
        Ok(Response::new(v1::GetCheckpointResponse { note }))
    }

    async fn get_consistency_proof(
        &self,
        request: Request<v1::GetConsistencyProofRequest>,
    ) -> Result<Response<v1::GetConsistencyProofResponse>, Status> {
        let engine = self.engine()?;
        let call = self.call(&request, Method::GetConsistencyProof)?;
        let named = self.named(&request);
        let v1::GetConsistencyProofRequest { from_size, to_size } = request.into_inner();
        let caller = context::person(&engine, call, named).await?;
        context::permit(&engine, call, &caller).await?;
        let none = || Unread::because(status(Code::NotFound, "NO_SUCH_TREE", "the tree has not so many leaves", None));
        let proof = self.at_tree(&engine, call, move |engine| engine.audit_consistency(from_size, to_size)).await;
        let proof = proof.and_then(|proof| proof.ok_or_else(none));
        let proof = context::whole(&engine, call, &caller, proof).await?;
        let hashes = proof.into_iter().map(|hash| hash.to_vec()).collect();
        Ok(Response::new(v1::GetConsistencyProofResponse { hashes }))
    }

    async fn add_cosignature(
        &self,
        request: Request<v1::AddCosignatureRequest>,
    ) -> Result<Response<v1::AddCosignatureResponse>, Status> {
        let engine = self.engine()?;
        let call = self.call(&request, Method::AddCosignature)?;
        let named = self.named(&request);
        let v1::AddCosignatureRequest { note } = request.into_inner();
        let caller = context::person(&engine, call, named).await?;
        context::permit(&engine, call, &caller).await?;
        let services = self.clone();
        let keeping = async move { services.keep(&engine, call, caller, note).await };
        places::on_its_own(self.begin_at_tree(call)?, keeping).await?;
        Ok(Response::new(v1::AddCosignatureResponse {}))
    }

    async fn get_inclusion_proof(
        &self,
        request: Request<v1::GetInclusionProofRequest>,
    ) -> Result<Response<v1::GetInclusionProofResponse>, Status> {
        let engine = self.engine()?;
        let call = self.call(&request, Method::GetInclusionProof)?;
        let named = self.named(&request);
        let v1::GetInclusionProofRequest { audit_reference } = request.into_inner();
        let caller = context::person(&engine, call, named).await?;
        context::permit(&engine, call, &caller).await?;
        let mut faults = Faults::default();
        let read = asked_for(&engine, call.peer.role, &audit_reference);
        let reference = faults.take("audit_reference", "BAD_AUDIT_REFERENCE", read);
        let reference = match faults.finish(reference) {
            Ok(Ok(reference)) => reference,
            Ok(Err(status)) => return Err(context::broken(&engine, call, caller, status).await),
            Err(faults) => return Err(context::malformed(&engine, call, faults.by(&caller)).await),
        };
        let found = self.at_tree(&engine, call, move |engine| engine.prove(call.peer, reference)).await;
        let found = context::whole(&engine, call, &caller, found).await?;
        let proven = Decision::Proven { journal: reference.journal, sequence: reference.sequence };
        let entry = AuditEntry::of_call(now(), call, Some(caller), None, proven);
        engine.audit(&entry).await.map_err(errors::audit(&engine))?;
        let leaf = found.proven.leaf;
        let (sealed, removed_leaf) =
            found.sealed.map_or_else(|| (Vec::new(), leaf.to_vec()), |sealed| (sealed, Vec::new()));
        Ok(Response::new(v1::GetInclusionProofResponse {
            note: found.note,
            leaf_index: found.proven.index,
            hashes: found.proven.proof.into_iter().map(|hash| hash.to_vec()).collect(),
            journal: u32::from(reference.journal),
            sequence: reference.sequence,
            sealed,
            removed_leaf,
        }))
    }

    async fn search(&self, request: Request<v1::SearchRequest>) -> Result<Response<v1::SearchResponse>, Status> {
        audit_reading::search(self, request).await.map(Response::new)
    }

    async fn who_looked(
        &self,
        request: Request<v1::WhoLookedRequest>,
    ) -> Result<Response<v1::WhoLookedResponse>, Status> {
        audit_reading::who_looked(self, request).await.map(Response::new)
    }
}

#[cfg(test)]
mod tests;
