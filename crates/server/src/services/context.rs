//! What every handler needs: the engine once it is open, the caller's proven identity, the clock, and the audit of
//! refusals. Never keeps anything of a request.

use std::sync::Arc;
use std::time::{SystemTime, UNIX_EPOCH};

use kith_api::convert::fault::Faults;
use kith_api::convert::padding::Fill;
use kith_domain::NhsNumber;
use kith_domain::caller::{Caller, Peer};
use kith_domain::child::Subject;
use kith_domain::codes::{LaCode, OdsCode};
use kith_domain::method::Method;
use kith_domain::permit::{self, ActionPermit};
use kith_domain::proof::{PersonProof, ProvenPerson, Unproven};
use kith_domain::refusal_code::RefusalCode;
use kith_domain::refused::Refused;
use kith_domain::time::Moment;
use kith_engine::{Acknowledgement, AuditEntry, Call, Decision, EachUntaken, Engine, MotherRead, Verdict};
use tokio::runtime::Handle;
use tonic::{Request, Status};
use tonic_types::StatusExt;
use uuid::Uuid;

use super::cosigned::Cosigned;
use super::errors::{self, Before};
use super::files::Busy;
use super::places::Places;
use super::turns::{Turns, Unread};
use super::{person, trace};
use crate::answer_times::AnswerTimes;
use crate::application::Wiring;
use crate::config::{Config, Limits};
use crate::edge::Edge;
use crate::engine_slot::EngineSlot;
use crate::person_tokens::PersonTokens;
use crate::stop::StopSignal;
use crate::{connection, refusal, unaudited};

/// Searches of the audit at once: each goes through files and opens what is in them, which takes a processor.
const SEARCHES: usize = 1;
/// Lists and resolved references that are read at once, for as many organisations.
const LISTS: usize = 4;
/// Proofs from the audit's tree, and cosignatures that are put beside it, at once: apart from lists, for its disk may hang by itself.
const TREES: usize = 4;

/// Shared by all services; clones are cheap.
#[derive(Debug, Clone)]
pub(crate) struct Services {
    slot: Arc<EngineSlot<Engine>>,
    config: Arc<Config>,
    stop: StopSignal,
    control: Handle,
    files: Busy,
    times: Arc<AnswerTimes>,
    cosigned: Arc<Cosigned>,
    audit_turns: Turns,
    list_turns: Turns,
    tree_turns: Turns,
    places: Places,
    tokens: Arc<PersonTokens>,
    edge: Edge,
}

/// The time of day. Everything below the server gets it as an argument.
pub(crate) fn now() -> Moment {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    Moment(i64::try_from(since.as_millis()).unwrap_or(i64::MAX))
}

impl Services {
    pub(crate) fn new(wiring: Wiring<Engine>, times: Arc<AnswerTimes>, tokens: Arc<PersonTokens>) -> Self {
        let Wiring { engine, config, directory: _, stop, control, edge } = wiring;
        control.spawn(edge.clone().run(Arc::clone(&engine), stop.clone()));
        control.spawn(unaudited::run(Arc::clone(&engine)));
        let places = Places::new(&config.limits);
        Self {
            slot: engine,
            config,
            stop,
            control,
            files: Busy::default(),
            times,
            cosigned: Arc::default(),
            audit_turns: Turns::new(SEARCHES),
            list_turns: Turns::new(LISTS),
            tree_turns: Turns::new(TREES),
            places,
            tokens,
            edge,
        }
    }

    pub(super) fn slot(&self) -> &EngineSlot<Engine> {
        &self.slot
    }

    pub(super) fn engine(&self) -> Result<Arc<Engine>, Status> {
        self.slot.get()
    }

    pub(crate) fn limits(&self) -> &Limits {
        &self.config.limits
    }

    /// What answers are filled up to.
    pub(super) fn padding(&self) -> Fill {
        let answers = &self.config.answers;
        Fill { step: answers.padding_step_bytes, min_steps: answers.padding_min_steps }
    }

    pub(super) fn config(&self) -> &Config {
        &self.config
    }

    pub(super) fn stop(&self) -> &StopSignal {
        &self.stop
    }

    pub(super) fn control(&self) -> &Handle {
        &self.control
    }

    pub(super) fn files(&self) -> &Busy {
        &self.files
    }

    pub(super) fn cosigned(&self) -> &Cosigned {
        &self.cosigned
    }

    /// The turns to search the audit.
    pub(super) fn audit_turns(&self) -> &Turns {
        &self.audit_turns
    }

    /// The turns to read lists and what references lead to.
    pub(super) fn list_turns(&self) -> &Turns {
        &self.list_turns
    }

    /// The turns at the audit's tree.
    pub(super) fn tree_turns(&self) -> &Turns {
        &self.tree_turns
    }

    /// The places of work that outlives its call.
    pub(super) fn places(&self) -> &Places {
        &self.places
    }

    /// Where refusals are counted that no handler puts into the audit.
    pub(super) fn edge(&self) -> &Edge {
        &self.edge
    }

    pub(super) fn times(&self) -> &Arc<AnswerTimes> {
        &self.times
    }

    /// Which call it is, and what the connection's certificate and the person's token prove.
    pub(super) fn call<T>(&self, request: &Request<T>, method: Method) -> Result<Call, Status> {
        let identity = connection::peer(request)?;
        let organisation = OdsCode::parse(&identity.organisation).map_err(|_| refusal::no_identity())?;
        let peer = Peer { organisation, role: identity.role };
        let person = self.tokens.proof(organisation, request.metadata(), now);
        Ok(Call { peer, method, trace: trace::read(request.metadata()), person })
    }

    /// The person whom a call's headers name, where its message names nobody.
    ///
    /// # Errors
    /// The faults, as those of a message.
    pub(super) fn named<T>(&self, request: &Request<T>) -> Result<Caller, Faults> {
        person::read(request.metadata(), self.limits().max_person_bytes)
    }

    /// Whether whoever began a call may go on with it now: as [`person::proven`], and whose organisation has come to need a token
    /// since then, or does not trust the key any more that proved them, has to begin anew.
    ///
    /// # Errors
    /// [`permit::Refusal::PersonNotProven`].
    pub(super) fn may_go_on(&self, call: Call, caller: &Caller) -> Result<(), permit::Refusal> {
        person::proven(call, caller)?;
        let organisation = call.peer.organisation;
        let why = match call.person {
            PersonProof::NotAsked if self.tokens.is_needed(organisation) => Unproven::Missing,
            PersonProof::Proven(ProvenPerson { person: _, until: _, by })
                if !self.tokens.still_prove(organisation, by) =>
            {
                Unproven::NotTrusted
            }
            PersonProof::NotAsked | PersonProof::Proven(_) | PersonProof::Unproven(_) => return Ok(()),
        };
        Err(permit::Refusal::PersonNotProven(why))
    }
}

/// Whom a request is about, and its id or that of its event: what is known of both.
#[derive(Debug, Clone, Default)]
pub(super) struct About {
    pub(super) subject: Option<Subject>,
    pub(super) event_id: Option<Uuid>,
    /// The mother, where her number was given with a baby's question.
    pub(super) mother: Option<NhsNumber>,
}

impl About {
    /// One child, under this id.
    pub(super) fn child(subject: &Subject, event_id: Uuid) -> Self {
        Self { subject: Some(subject.clone()), event_id: Some(event_id), mother: None }
    }

    /// Nobody, under this id.
    pub(super) fn event(event_id: Uuid) -> Self {
        Self { subject: None, event_id: Some(event_id), mother: None }
    }
}

/// A permit for a call that asks nothing and is about nobody, or its refusal once that is in the audit.
pub(super) async fn permit(engine: &Engine, call: Call, caller: &Caller) -> Result<ActionPermit, Status> {
    permit_about(engine, call, caller, About::default()).await
}

/// As [`permit`], for a call of which the audit is to hold whom it is about.
pub(super) async fn permit_about(
    engine: &Engine,
    call: Call,
    caller: &Caller,
    about: About,
) -> Result<ActionPermit, Status> {
    match permitted(engine, call, caller) {
        Ok(permit) => Ok(permit),
        Err(refused) => {
            let status = errors::refusal(refused);
            Err(audited(engine, (call, Some(caller.clone()), about), refused.reason(), status).await)
        }
    }
}

/// A permit by the policy of this moment. A refusal is in no audit yet.
///
/// # Errors
/// [`permit::Refusal`].
pub(super) fn permitted(engine: &Engine, call: Call, caller: &Caller) -> Result<ActionPermit, permit::Refusal> {
    let (policy, services) = (engine.policy(), engine.services());
    let known = (engine.directory(), &*services);
    person::proven(call, caller).and_then(|()| permit::authorise_known(&policy, call.peer, caller, call.method, known))
}

/// The person of a call whose message names nobody, or its refusal once that is in the audit.
pub(super) async fn person(engine: &Engine, call: Call, read: Result<Caller, Faults>) -> Result<Caller, Status> {
    match read {
        Ok(caller) => Ok(caller),
        Err(faults) => Err(malformed(engine, call, faults).await),
    }
}

/// The status of a malformed request once it is in the audit, with whoever sent it where that could be read: nobody whom a token
/// had to prove and did not.
pub(super) async fn malformed(engine: &Engine, call: Call, faults: Faults) -> Status {
    let caller = faults.caller().filter(|caller| person::proven(call, caller).is_ok());
    let (subject, event_id) = faults.about();
    let about = About { subject: subject.cloned(), event_id, mother: faults.mother() };
    audited(engine, (call, caller.cloned(), about), reason(&faults), errors::invalid(&faults)).await
}

/// The refusal's status, or that of the audit when that takes no entry.
async fn audited(
    engine: &Engine,
    (call, caller, about): (Call, Option<Caller>, About),
    reason: &str,
    status: Status,
) -> Status {
    let About { subject, event_id, mother } = about;
    let decision = Decision::Refused(RefusalCode::of(reason));
    let entry = Sender { call, caller, subject, event_id, mother }.entry(decision);
    match engine.audit_refusal(&entry).await {
        Ok(()) => status,
        Err(error) => errors::audit(engine)(error),
    }
}

/// The status of a call that came to nothing, such as a stream that broke before anything was taken of it, once it is in the
/// audit.
pub(super) async fn broken(engine: &Engine, call: Call, caller: impl Into<Option<Caller>>, status: Status) -> Status {
    let reason = status.get_details_error_info().map_or_else(|| "STREAM_ENDED".to_owned(), |info| info.reason);
    audited(engine, (call, caller.into(), About::default()), &reason, status).await
}

/// The status that a stream is refused with in its midst, once it is in the audit. One without a reason refuses nothing: its sender
/// has broken it off, or its connection has ended, and what was taken of it is in the audit.
pub(super) async fn refused_midway(engine: &Engine, call: Call, caller: Option<Caller>, status: Status) -> Status {
    if status.get_details_error_info().is_none() {
        return status;
    }
    broken(engine, call, caller, status).await
}

/// What was read for a call, or the status of its failure once that is in the audit.
pub(super) async fn whole<T>(
    engine: &Engine,
    call: Call,
    caller: &Caller,
    read: Result<T, Unread>,
) -> Result<T, Status> {
    match read {
        Ok(read) => Ok(read),
        Err(unread) => Err(broken(engine, call, caller.clone(), unread.status()).await),
    }
}

/// The status of a refused change or listing once it is in the audit, with whom it is about.
pub(super) async fn refused(engine: &Engine, sender: Sender, refused: Refused) -> Status {
    match not_changed(engine, sender, refused).await {
        Ok(()) => errors::refused(refused),
        Err(status) => status,
    }
}

/// Puts a refused change into the audit, with whom it is about.
pub(super) async fn not_changed(engine: &Engine, sender: Sender, refused: Refused) -> Result<(), Status> {
    let entry = sender.entry(Decision::Refused(RefusalCode::of(refused.reason)));
    engine.audit_refusal(&entry).await.map_err(errors::audit(engine))
}

/// The authority that a certificate proves, or its refusal once that is in the audit: an authority that is not known
/// must not read "nothing" for "not known".
pub(super) async fn authority(engine: &Engine, call: Call, caller: &Caller) -> Result<LaCode, Status> {
    authority_about(engine, call, caller, About::default()).await
}

/// As [`authority`], for a call of which the audit is to hold whom it is about.
pub(super) async fn authority_about(
    engine: &Engine,
    call: Call,
    caller: &Caller,
    About { subject, event_id, mother }: About,
) -> Result<LaCode, Status> {
    match LaCode::parse(call.peer.organisation.as_str()) {
        Ok(authority) if engine.directory().authorities.contains_key(&authority) => Ok(authority),
        Ok(_) | Err(_) => {
            let sender = Sender { call, caller: Some(caller.clone()), subject, event_id, mother };
            Err(refused(engine, sender, Refused::UNKNOWN_AUTHORITY).await)
        }
    }
}

/// Who sent changes, and for a single one about whom and under which event id.
#[derive(Debug, Clone)]
pub(super) struct Sender {
    pub(super) call: Call,
    pub(super) caller: Option<Caller>,
    pub(super) subject: Option<Subject>,
    pub(super) event_id: Option<Uuid>,
    /// The mother, where her number was given in the same call: a baby is where she is.
    pub(super) mother: Option<NhsNumber>,
}

impl Sender {
    /// The sender of what is about nobody, or of many changes at once.
    pub(super) fn of_stream(call: Call, caller: Option<Caller>) -> Self {
        Self { call, caller, subject: None, event_id: None, mother: None }
    }

    /// The sender of a change that is about nobody.
    pub(super) fn of_event(call: Call, caller: Caller, event_id: Uuid) -> Self {
        Self { call, caller: Some(caller), subject: None, event_id: Some(event_id), mother: None }
    }

    pub(super) fn entry(self, decision: Decision) -> AuditEntry {
        let Self { call, caller, subject, event_id, mother } = self;
        let mother = mother.map(|number| MotherRead { subject: Subject::Nhs(number), responsible: Vec::new() });
        AuditEntry { subject, mother, ..AuditEntry::of_call(now(), call, caller, event_id, decision) }
    }
}

/// Puts what became of changes into the audit. Where any stands and the audit does not take that, it is told later, and whoever
/// sent it does not hear that nothing was changed.
pub(super) async fn told(engine: &Engine, entry: AuditEntry) -> Result<(), Status> {
    if entry.decision.stands() {
        engine.audit_change(entry).await.map_err(errors::untold(engine))
    } else {
        engine.audit(&entry).await.map(|_| ()).map_err(errors::audit(engine))
    }
}

/// Puts the outcome of changes into the audit.
pub(super) async fn changed(engine: &Engine, sender: Sender, acknowledged: u64, refused: u64) -> Result<(), Status> {
    told(engine, sender.entry(Decision::Changed { acknowledged, refused })).await
}

/// The status of changes that were sent together and of which the audit did not take an entry: none of them is acknowledged,
/// whichever entry it was.
pub(super) fn untaken(engine: &Engine, EachUntaken { error, stands }: EachUntaken) -> Status {
    match stands {
        true => errors::untold(engine)(error),
        false => errors::audit(engine)(error),
    }
}

/// Puts into the audit whom a list was about: a page is bounded.
pub(super) async fn listed(engine: &Engine, call: Call, caller: Caller, subjects: Vec<Subject>) -> Result<(), Status> {
    for decision in engine.each_listed(subjects) {
        let entry = Sender::of_stream(call, Some(caller.clone())).entry(decision);
        engine.audit(&entry).await.map_err(errors::audit(engine))?;
    }
    Ok(())
}

/// Puts the outcome of one event of a presentation into the audit, and whether it tells that the child is there.
pub(super) async fn presented_told(
    engine: &Engine,
    sender: Sender,
    (verdict, told_by): (&Verdict, Option<kith_engine::NotThere>),
) -> Result<(), Status> {
    match kith_engine::NotThere::of(told_by, kith_engine::Became::of(verdict)) {
        Some(why) => told(engine, sender.entry(Decision::NotThere(why))).await,
        None => one_told(engine, sender, verdict).await,
    }
}

/// As [`presented_told`], and gives what is to be said of it.
pub(super) async fn one_presented(
    engine: &Engine,
    sender: Sender,
    (verdict, told_by): (Verdict, Option<kith_engine::NotThere>),
) -> Result<Acknowledgement, Status> {
    presented_told(engine, sender, (&verdict, told_by)).await?;
    verdict.map_err(errors::refused)
}

/// Puts the outcome of one change into the audit, with why where it was refused.
pub(super) async fn one_told(engine: &Engine, sender: Sender, verdict: &Verdict) -> Result<(), Status> {
    match verdict {
        Ok(_) => changed(engine, sender, 1, 0).await,
        Err(refused) => not_changed(engine, sender, *refused).await,
    }
}

/// As [`one_told`], and gives what is to be said of it.
pub(super) async fn one_changed(engine: &Engine, sender: Sender, verdict: Verdict) -> Result<Acknowledgement, Status> {
    one_told(engine, sender, &verdict).await?;
    verdict.map_err(errors::refused)
}

/// Puts a change that could not even be read into the audit.
pub(super) async fn unreadable(engine: &Engine, sender: Sender, faults: &Faults) -> Result<(), Status> {
    let entry = sender.entry(Decision::Refused(RefusalCode::of(reason(faults))));
    engine.audit(&entry).await.map(|_| ()).map_err(errors::audit(engine))
}

/// The stable reason of the first fault.
pub(super) fn reason(faults: &Faults) -> &'static str {
    faults.0.first().map_or("MALFORMED", |fault| fault.reason)
}

/// The status of what a person may not do, once it is in the audit.
pub(super) async fn not_allowed(engine: &Engine, call: Call, caller: Caller, refused: permit::Refusal) -> Status {
    not_allowed_about(engine, call, (caller, About::default()), refused).await
}

/// As [`not_allowed`], of which the audit is to hold whom it is about.
pub(super) async fn not_allowed_about(
    engine: &Engine,
    call: Call,
    (caller, about): (Caller, About),
    refused: permit::Refusal,
) -> Status {
    audited(engine, (call, Some(caller), about), refused.reason(), errors::refusal(refused)).await
}

/// The status of a stream whose sender is not proven any more, or may not send any more, once that is in the audit.
pub(super) async fn not_any_more(
    engine: &Engine,
    call: Call,
    caller: Caller,
    (refused, before): (permit::Refusal, Before),
) -> Status {
    let status = errors::not_any_more(refused, before);
    audited(engine, (call, Some(caller), About::default()), refused.reason(), status).await
}

#[cfg(test)]
mod tests;
