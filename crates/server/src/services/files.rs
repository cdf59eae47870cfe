//! `PlanFileService`: an authority's plan files. Reading and importing run on the control runtime, never on the threads
//! that answer questions; what was taken is audited even when the sender has gone.

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex, PoisonError};

use kith_api::convert::file;
use kith_api::v1;
use kith_domain::caller::Caller;
use kith_domain::codes::LaCode;
use kith_domain::method::Method;
use kith_domain::permit::ActionPermit;
use kith_domain::plan_file::{FileCode, FileFault, FileState, FileVerdict, RowVerdict};
use kith_domain::refusal_code::RefusalCode;
use kith_domain::refused::Refused;
use kith_engine::{AuditEntry, Call, Decision, Engine, FileSender};
use tonic::{Request, Response, Status, Streaming};

use super::context::{self, About, Sender, Services, now};
use super::errors::{self, Before};
use super::places;
use super::turns::Unread;
use crate::plan_file;
use v1::plan_file_service_server::PlanFileService;

/// Authorities whose file is being taken: one file of each at a time, which also bounds what is held in memory.
#[derive(Debug, Clone, Default)]
pub(super) struct Busy(Arc<Mutex<BTreeSet<LaCode>>>);

/// The turn of one authority; the next file may come when it is dropped.
struct Turn {
    busy: Busy,
    authority: LaCode,
}

impl Busy {
    fn turn(&self, authority: LaCode) -> Result<Turn, Status> {
        let free = self.0.lock().unwrap_or_else(PoisonError::into_inner).insert(authority);
        if free { Ok(Turn { busy: self.clone(), authority }) } else { Err(errors::file_in_progress()) }
    }
}

impl Drop for Turn {
    fn drop(&mut self) {
        self.busy.0.lock().unwrap_or_else(PoisonError::into_inner).remove(&self.authority);
    }
}

#[tonic::async_trait]
impl PlanFileService for Services {
    async fn submit_plan_file(
        &self,
        request: Request<Streaming<v1::SubmitPlanFileRequest>>,
    ) -> Result<Response<v1::SubmitPlanFileResponse>, Status> {
        let engine = self.engine()?;
        let call = self.call(&request, Method::SubmitPlanFile)?;
        let named = self.named(&request);
        let caller = context::person(&engine, call, named).await?;
        context::permit(&engine, call, &caller).await?;
        let authority = context::authority(&engine, call, &caller).await?;
        let turn = match self.files().turn(authority) {
            Ok(turn) => turn,
            Err(status) => return Err(context::broken(&engine, call, caller, status).await),
        };
        let bytes = match self.collect(request.into_inner()).await {
            Ok(bytes) => bytes,
            Err(status) => return Err(context::broken(&engine, call, caller, status).await),
        };
        // It may have been long on its way: what counts is the policy, and what is asked of a person, when it is taken.
        if let Err(refused) = self.may_go_on(call, &caller) {
            return Err(context::not_allowed(&engine, call, caller, refused).await);
        }
        let permit = context::permit(&engine, call, &caller).await?;
        let import = Import { engine, call, caller, permit, authority };
        let done = self.control().spawn(async move {
            let verdict = import.run(bytes).await;
            drop(turn);
            verdict
        });
        let verdict = done.await.unwrap_or_else(|_| Err(errors::ended(Before::Unanswered)))?;
        Ok(Response::new(v1::SubmitPlanFileResponse { verdict: Some(file::verdict(verdict)) }))
    }

    async fn get_file_position(
        &self,
        request: Request<v1::GetFilePositionRequest>,
    ) -> Result<Response<v1::GetFilePositionResponse>, Status> {
        let engine = self.engine()?;
        let call = self.call(&request, Method::GetFilePosition)?;
        let named = self.named(&request);
        let v1::GetFilePositionRequest {} = request.into_inner();
        let caller = context::person(&engine, call, named).await?;
        context::permit(&engine, call, &caller).await?;
        let authority = context::authority(&engine, call, &caller).await?;
        let found = context::whole(&engine, call, &caller, self.position(&engine, call, authority).await).await?;
        let position = Some(file::position(authority, &found));
        let entry = AuditEntry::of_call(now(), call, Some(caller), None, Decision::Listed(1));
        engine.audit(&entry).await.map_err(errors::audit(&engine))?;
        Ok(Response::new(v1::GetFilePositionResponse { position }))
    }

    async fn reset_file_position(
        &self,
        request: Request<v1::ResetFilePositionRequest>,
    ) -> Result<Response<v1::ResetFilePositionResponse>, Status> {
        let engine = self.engine()?;
        let call = self.call(&request, Method::ResetFilePosition)?;
        let (caller, reset) = match file::reset(request.into_inner()) {
            Ok(parsed) => parsed,
            Err(faults) => return Err(context::malformed(&engine, call, faults).await),
        };
        let event_id = reset.event_id;
        let permit = context::permit_about(&engine, call, &caller, About::event(event_id)).await?;
        let authority = reset.authority;
        if !engine.directory().authorities.contains_key(&authority) {
            let sender = Sender::of_event(call, caller, event_id);
            return Err(context::refused(&engine, sender, Refused::UNKNOWN_AUTHORITY).await);
        }
        // Not while a file of it is being taken.
        let turn = match self.files().turn(authority) {
            Ok(turn) => turn,
            Err(status) => return Err(context::broken(&engine, call, caller, status).await),
        };
        let work = Arc::clone(&engine);
        places::to_its_end(self.begin(&engine, call)?, async move {
            let _turn = turn;
            let sender = Sender::of_event(call, caller, event_id);
            if let Err(refused) = work.reset_files(&permit, now(), reset).await {
                return Err(context::refused(&work, sender, refused).await);
            }
            context::told(&work, sender.entry(Decision::FilePositionReset(authority, reset.next))).await
        })
        .await?;
        // That it was set is in the audit.
        let found = self.position(&engine, call, authority).await.map_err(Unread::status)?;
        let position = Some(file::position(authority, &found));
        Ok(Response::new(v1::ResetFilePositionResponse { position }))
    }
}

impl Services {
    /// The bytes of a file, or none when it is larger than a file may be.
    async fn collect(&self, mut stream: Streaming<v1::SubmitPlanFileRequest>) -> Result<Option<Vec<u8>>, Status> {
        let mut bytes = Vec::new();
        loop {
            let piece = tokio::select! {
                piece = tokio::time::timeout(self.limits().file_piece(), stream.message()) => piece,
                () = self.stop().draining() => return Err(errors::draining(Before::Nothing)),
            };
            match piece {
                Err(_) => return Err(errors::ended(Before::Nothing)),
                Ok(Err(status)) => return Err(errors::broken_stream(&status, Before::Nothing)),
                Ok(Ok(None)) => return Ok(Some(bytes)),
                Ok(Ok(Some(v1::SubmitPlanFileRequest { chunk }))) => bytes.extend(chunk),
            }
            if bytes.len() > self.limits().max_file_bytes {
                return Ok(None);
            }
        }
    }

    async fn position(&self, engine: &Arc<Engine>, call: Call, authority: LaCode) -> Result<FileState, Unread> {
        let reader = Arc::clone(engine);
        let read = self.list_turns().run(call.peer.organisation, move || reader.file_state(authority)).await?;
        read.map_err(|error| Unread::rows("where an authority's files stand", error))
    }
}

/// A file that has arrived.
struct Import {
    engine: Arc<Engine>,
    call: Call,
    caller: Caller,
    permit: ActionPermit,
    authority: LaCode,
}

impl Import {
    async fn run(self, bytes: Option<Vec<u8>>) -> Result<FileVerdict, Status> {
        let reader = Arc::clone(&self.engine);
        let read = tokio::task::spawn_blocking(move || match bytes {
            Some(bytes) => plan_file::parse(&bytes).map(|file| (reader.file_hash(&bytes), file)),
            None => Err(too_large()),
        });
        let at = now();
        let (engine, authority) = (&self.engine, self.authority);
        let read = read.await.map_err(|_| errors::ended(Before::Nothing))?;
        let changing = engine.changing();
        let verdict = match read {
            Ok((hash, file)) => {
                let by = FileSender { permit: &self.permit, audited_as: Some((self.call, &self.caller)) };
                engine.take_file(by, authority, at, hash, &file).await
            }
            Err(fault) => engine.unreadable_file(authority, at, fault),
        };
        let told = self.audited(&verdict).await;
        changing.told();
        told.map(|()| verdict)
    }

    /// Puts what became of a file into the audit, whose rows are there already: counts, or why it was not taken.
    async fn audited(&self, verdict: &FileVerdict) -> Result<(), Status> {
        let entry = Sender::of_stream(self.call, Some(self.caller.clone())).entry(summary(verdict));
        match may_stand(verdict) {
            true => self.engine.audit_standing(entry).await.map_err(errors::untold(&self.engine)),
            false => self.engine.audit(&entry).await.map(|_| ()).map_err(errors::audit(&self.engine)),
        }
    }
}

/// What the audit holds of a file as a whole.
fn summary(verdict: &FileVerdict) -> Decision {
    if let Some((reason, _)) = &verdict.fault {
        return Decision::Refused(RefusalCode::of(reason));
    }
    let acknowledged = verdict.rows.iter().filter(|row| !matches!(row.verdict, RowVerdict::Fault(_))).count() as u64;
    Decision::Changed { acknowledged, refused: verdict.rows.len() as u64 - acknowledged }
}

/// Whether this call left something that stands: the file's number is used, whatever became of its rows, or it was begun and broken
/// off, and some of them may be loaded. What was not even begun, because the audit took nothing, leaves nothing.
fn may_stand(verdict: &FileVerdict) -> bool {
    match verdict.code {
        FileCode::ResendLater => verdict.broken_off,
        FileCode::Malformed
        | FileCode::AllLoaded
        | FileCode::SomeLoaded
        | FileCode::NoneLoaded
        | FileCode::FormatVersion => verdict.fault.is_none() && !verdict.repeated,
    }
}

fn too_large() -> FileFault {
    let words = "the file is larger than a plan file may be".to_owned();
    FileFault { code: FileCode::Malformed, number: None, reason: "FILE_TOO_LARGE", words }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::services::testing::{self, Place, caller, permit, reason};
    use kith_domain::plan_file::{FileMode, PlanFile};

    fn import(place: &Place) -> Import {
        let permit = permit(Method::SubmitPlanFile);
        let call = testing::call(Method::SubmitPlanFile);
        Import { engine: Arc::clone(&place.engine), call, caller: caller(), permit, authority: testing::authority() }
    }

    /// Takes a file without a row.
    async fn taken(import: &Import) -> FileVerdict {
        let file = PlanFile { number: 1, mode: FileMode::Changes, rows: Vec::new() };
        import.engine.take_file(&import.permit, import.authority, now(), [1; 16], &file).await
    }

    #[tokio::test]
    async fn a_file_whose_number_is_used_stands_and_is_told_later_though_no_row_is_loaded() {
        let place = Place::new();
        let import = import(&place);
        let verdict = taken(&import).await;
        assert_eq!((verdict.fault.clone(), verdict.expected), (None, Some(2)));
        assert!(import.audited(&verdict).await.is_ok() && !place.engine.has_untold());
        place.fail();
        let status = import.audited(&verdict).await.unwrap_err();
        assert_eq!(reason(&status), "CHANGE_NOT_AUDITED");
        assert!(place.engine.has_untold());
    }

    #[tokio::test]
    async fn of_a_file_that_changes_nothing_nothing_stands_whatever_else_is_untold() {
        let place = Place::new();
        let import = import(&place);
        taken(&import).await;
        let repeated = taken(&import).await;
        assert!(repeated.repeated);
        let unreadable = place.engine.unreadable_file(import.authority, now(), too_large());
        place.fail();
        let theirs = Sender::of_stream(import.call, None).entry(Decision::WithholdingLifted);
        assert!(place.engine.audit_change(theirs).await.is_err() && place.engine.has_untold());
        for verdict in [repeated, unreadable] {
            let status = import.audited(&verdict).await.unwrap_err();
            assert_eq!(reason(&status), "AUDIT_UNAVAILABLE");
        }
    }

    #[test]
    fn of_a_file_that_was_broken_off_something_may_stand() {
        let place = Place::new();
        let fault = FileFault { code: FileCode::ResendLater, ..too_large() };
        let verdict = place.engine.unreadable_file(testing::authority(), now(), fault);
        assert!(!may_stand(&verdict), "it was never begun: every try would be one more that stands untold");
        assert!(may_stand(&FileVerdict { broken_off: true, ..verdict }));
    }
}
