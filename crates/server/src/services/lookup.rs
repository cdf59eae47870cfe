//! `LookupService`: the question at triage.

use std::sync::Arc;
use std::time::Duration;

use kith_api::convert::fault::{Fault, Faults};
use kith_api::convert::lookup::{ParsedLookup, ParsedWorklist};
use kith_api::convert::padding::Padded;
use kith_api::convert::presentation::ParsedCheckIn;
use kith_api::convert::{answer, lookup, plan, presentation};
use kith_api::v1;
use kith_domain::answer::Question;
use kith_domain::caller::{Caller, CareContext};
use kith_domain::change::{Change, PresentationEvent};
use kith_domain::method::Method;
use kith_domain::permit::{ActionPermit, ReadPermit, Refusal, authorise_read};
use kith_domain::refused::Refused;
use kith_domain::time::Moment;
use kith_domain::{validate, words};
use kith_engine::{Answered, Asked, Call, Engine, NotThere, ReadError, Verdict};
use tokio::sync::mpsc;
use tokio::time::Instant;
use tokio_stream::wrappers::ReceiverStream;
use tonic::{Request, Response, Status};
use uuid::Uuid;

use super::context::{self, About, Sender, Services, now};
use super::places::{self, Begun};
use super::{errors, feeds, person};
use crate::answer_times::Decoded;
use crate::connection;
use crate::deadline::CallDeadline;
use crate::load::Held;
use crate::open_connections::Standing;
use crate::pace::Entries;
use v1::lookup_service_server::LookupService;

/// Items of a worklist waiting for a slow reader.
const WORKLIST_BUFFER: usize = 16;

const NOT_IN_TIME: Refused = Refused { words: "the disk did not confirm it in time", ..Refused::STORAGE };
const TOO_MANY: Refused =
    Refused { reason: "OVERLOADED", words: "too many changes are in progress", ..Refused::STORAGE };

/// An answer on the wire.
pub(super) fn wire(engine: &Engine, answered: &Answered) -> v1::Answer {
    let window = engine.settings().presentation_window_days;
    answer::wire(&answered.answer, engine.reference_of(answered), engine.directory(), window)
}

/// What the engine is asked.
pub(super) fn asked(Call { peer, method, trace, person }: Call, parsed: ParsedLookup) -> Asked {
    let ParsedLookup { caller, context, question, request_id } = parsed;
    Asked { trace, peer, caller, context, question, request_id, method, person_proven: person.is_proven() }
}

/// Asks for somebody who is proven now, or need not be.
async fn ask(engine: &Engine, call: Call, parsed: ParsedLookup) -> Result<Answered, ReadError> {
    let asked = asked(call, parsed);
    match person::proven(call, &asked.caller) {
        Ok(()) => engine.ask(asked).await,
        Err(refused) => engine.refuse(asked, refused).await,
    }
}

/// Whether somebody may ask, by what proves them and the policy of this moment.
fn may_ask(engine: &Engine, call: Call, caller: &Caller, context: CareContext) -> Result<ReadPermit, Refusal> {
    person::proven(call, caller)?;
    let asked = (call.method, context);
    authorise_read(&engine.policy(), call.peer, caller, asked, engine.directory())
}

/// Until when a check-in waits for its recording before it answers without: as long as is configured, and no longer than three
/// quarters of what its call has left. The rest is for the answer, which the deadline would else take along.
fn record_until(limit: Duration, deadline: Option<CallDeadline>, now: Instant) -> Instant {
    let left = deadline.map(|CallDeadline(deadline)| deadline.saturating_duration_since(now) / 4 * 3);
    now + left.map_or(limit, |left| left.min(limit))
}

/// Until when the check-in that came as this waits for its recording.
fn recording_until<T>(services: &Services, request: &Request<T>, now: Instant) -> Instant {
    record_until(services.limits().record_timeout(), request.extensions().get::<CallDeadline>().copied(), now)
}

#[tonic::async_trait]
impl LookupService for Services {
    async fn lookup(&self, request: Request<v1::LookupRequest>) -> Result<Response<v1::LookupResponse>, Status> {
        let decoded = Decoded::now();
        let engine = self.engine()?;
        let call = self.call(&request, Method::Lookup)?;
        let parsed = match lookup::parse(request.into_inner(), call.peer.organisation, now()) {
            Ok(parsed) => parsed,
            Err(faults) => return Err(context::malformed(&engine, call, faults).await),
        };
        let answered = ask(&engine, call, parsed).await.map_err(errors::read(&engine))?;
        let response = v1::LookupResponse { answer: Some(wire(&engine, &answered)), ..v1::LookupResponse::default() };
        let response = response.padded(self.padding());
        decoded.until_encoded(self.times(), |times| &times.lookup);
        Ok(Response::new(response))
    }

    async fn check_in(&self, request: Request<v1::CheckInRequest>) -> Result<Response<v1::CheckInResponse>, Status> {
        let decoded = Decoded::now();
        let engine = self.engine()?;
        let call = self.call(&request, Method::CheckIn)?;
        let until = recording_until(self, &request, Instant::now());
        let at = now();
        let parsed = match presentation::check_in(request.into_inner(), call.peer.organisation, at) {
            Ok(parsed) => parsed,
            Err(faults) => return Err(context::malformed(&engine, call, faults).await),
        };
        let ParsedCheckIn { lookup, recording, event_id } = parsed;
        // Nothing is recorded, and no authority told, for a question that will be refused.
        let mother = lookup.question.mother;
        let about = About { mother, ..About::child(&lookup.question.subject, lookup.request_id) };
        let read = match may_ask(&engine, call, &lookup.caller, lookup.context) {
            Ok(permit) => permit,
            Err(refused) => {
                return Err(context::not_allowed_about(&engine, call, (lookup.caller, about), refused).await);
            }
        };
        let permit = context::permit_about(&engine, call, &lookup.caller, about).await?;
        let subject = Some(lookup.question.subject.clone());
        let sender = Sender { call, caller: Some(lookup.caller.clone()), subject, event_id, mother };
        let begun = self.try_begin(&engine, call);
        let recording = record((Arc::clone(&engine), begun), permit, recording, sender, (at, until));
        let (answered, recording) = tokio::join!(engine.ask_permitted(asked(call, lookup), read), recording);
        let answer = Some(wire(&engine, &answered.map_err(errors::read(&engine))?));
        let response = v1::CheckInResponse { answer, recording: Some(recording?), ..v1::CheckInResponse::default() };
        let response = response.padded(self.padding());
        decoded.until_encoded(self.times(), |times| &times.check_in);
        Ok(Response::new(response))
    }

    type LookupManyStream = ReceiverStream<Result<v1::LookupManyResponse, Status>>;

    async fn lookup_many(
        &self,
        request: Request<v1::LookupManyRequest>,
    ) -> Result<Response<Self::LookupManyStream>, Status> {
        let engine = self.engine()?;
        let call = self.call(&request, Method::LookupMany)?;
        let standing = connection::standing(&request)?;
        let entries = connection::entries(&request, request.get_ref().entries.len())?;
        let max = self.limits().max_worklist;
        let worklist = match lookup::parse_worklist(request.into_inner(), call.peer.organisation, now(), max) {
            Ok(worklist) => worklist,
            Err(faults) => return Err(context::malformed(&engine, call, faults).await),
        };
        if let Err(refused) = may_ask(&engine, call, &worklist.caller, worklist.context) {
            let sent = (worklist.caller, About::event(worklist.request_id));
            return Err(context::not_allowed_about(&engine, call, sent, refused).await);
        }
        let place = self.begin_stream(call)?;
        let (items, stream) = mpsc::channel(WORKLIST_BUFFER);
        tokio::spawn(answer_worklist((self.clone(), standing, entries), engine, call, worklist, items, place));
        Ok(Response::new(ReceiverStream::new(stream)))
    }
}

/// What has come of a recording by then.
async fn in_time(until: Instant, work: impl Future<Output = Result<Verdict, Status>>) -> Result<Verdict, Status> {
    tokio::time::timeout_at(until, work).await.unwrap_or(Ok(Err(NOT_IN_TIME)))
}

/// Records a check-in's presentation, and says plainly when it did not. What is begun goes on to its end, audit included, when
/// it takes longer than the answer waits or the caller has gone.
async fn record(
    (engine, begun): (Arc<Engine>, Option<Begun>),
    permit: ActionPermit,
    recording: Result<PresentationEvent, Faults>,
    sender: Sender,
    (at, until): (Moment, Instant),
) -> Result<v1::check_in_response::Recording, Status> {
    let peer = sender.call.peer;
    let event = match recording {
        Ok(event) => event,
        Err(faults) => {
            feeds::one(&engine, peer, faults.0.first().map(|fault| (fault, false)));
            context::unreadable(&engine, sender, &faults).await?;
            return Ok(v1::check_in_response::Recording::NotRecorded(unreadable(&faults)));
        }
    };
    let Some(begun) = begun else {
        context::not_changed(&engine, sender, TOO_MANY).await?;
        return Ok(not_recorded(&TOO_MANY));
    };
    let work = places::to_its_end(begun, async move {
        let days = engine.settings().presentation_retention_days;
        let not_there = NotThere::told_by(&event.action, at);
        let verdict = match validate::presentation_event(&event, engine.directory(), days, at) {
            Err(refused) => Err(refused),
            Ok(()) => engine.change_one(&permit, at, Change::Presentation(event)).await,
        };
        feeds::verdict(&engine, peer, &verdict);
        context::presented_told(&engine, sender, (&verdict, not_there)).await?;
        Ok(verdict)
    });
    Ok(match in_time(until, work).await? {
        Ok(ack) => {
            let ack = plan::acknowledgement(ack.event_id, ack.sequence, ack.at, ack.repeated, ack.effect);
            v1::check_in_response::Recording::Recorded(ack)
        }
        Err(refused) => not_recorded(&refused),
    })
}

fn not_recorded(refused: &Refused) -> v1::check_in_response::Recording {
    v1::check_in_response::Recording::NotRecorded(v1::NotRecorded {
        words: words::not_recorded(refused),
        reason: refused.reason.to_owned(),
    })
}

/// What is said of a presentation that cannot be read: every field at fault.
fn unreadable(faults: &Faults) -> v1::NotRecorded {
    let mut words = String::from("presentation NOT recorded, and sending it again as it is will not help:");
    for Fault { field, reason: _, words: why } in &faults.0 {
        words.push_str(&format!(" {field}: {why};"));
    }
    let words = words.trim_end_matches(';').to_owned();
    v1::NotRecorded { words, reason: context::reason(faults).to_owned() }
}

/// Answers a worklist item by item, in order; ends when the reader has gone, or its certificate has fallen. Holds a stream's place
/// until then.
async fn answer_worklist(
    (services, standing, mut entries): (Services, Arc<Standing>, Entries),
    engine: Arc<Engine>,
    call: Call,
    worklist: ParsedWorklist,
    items: mpsc::Sender<Result<v1::LookupManyResponse, Status>>,
    _place: Held,
) {
    let ParsedWorklist { caller, context, questions, request_id } = worklist;
    for (position, question) in (0_u32..).zip(questions) {
        // As a call of its own.
        entries.next().await;
        if !standing.stands() {
            // The call is ended by whoever ends every call of a fallen certificate: this answer nobody would hear.
            return;
        }
        let began = Decoded::now();
        let item = match question {
            Err(faults) => no_question(&engine, call, &caller, request_id, &faults).await,
            Ok(question) => {
                // A slow reader's later entries are asked when they are answered.
                let question = Question { now: now(), ..question };
                let parsed = ParsedLookup { caller: caller.clone(), context, question, request_id };
                let asked = asked(call, parsed);
                let answered = match services.may_go_on(call, &asked.caller) {
                    Ok(()) => engine.ask(asked).await,
                    Err(refused) => engine.refuse(asked, refused).await,
                };
                match answered {
                    Ok(answered) => v1::lookup_many_response::Item::Answer(wire(&engine, &answered)),
                    Err(error) => could_not_ask(errors::read(&engine)(error)),
                }
            }
        };
        let response = v1::LookupManyResponse { position, item: Some(item), ..v1::LookupManyResponse::default() };
        let response = response.padded(services.padding());
        if matches!(response.item, Some(v1::lookup_many_response::Item::Answer(_))) {
            began.answered(&services.times().worklist_entry);
        }
        if items.send(Ok(response)).await.is_err() {
            return;
        }
    }
}

/// An entry that is no question: said, once it is in the audit.
async fn no_question(
    engine: &Engine,
    call: Call,
    caller: &Caller,
    request_id: Uuid,
    faults: &Faults,
) -> v1::lookup_many_response::Item {
    let (subject, mother) = (faults.about().0.cloned(), faults.mother());
    let sender = Sender { call, caller: Some(caller.clone()), subject, event_id: Some(request_id), mother };
    could_not_ask(match context::unreadable(engine, sender, faults).await {
        Ok(()) => errors::invalid(faults),
        Err(status) => status,
    })
}

fn could_not_ask(status: Status) -> v1::lookup_many_response::Item {
    let reason = tonic_types::StatusExt::get_details_error_info(&status).map(|info| info.reason);
    v1::lookup_many_response::Item::CouldNotAsk(v1::CouldNotAsk {
        reason: reason.unwrap_or_default(),
        words: status.message().to_owned(),
    })
}

#[cfg(test)]
mod tests {
    use std::convert::Infallible;
    use std::net::SocketAddr;
    use std::task::{Context, Poll, Waker};

    use kith_domain::NhsNumber;
    use kith_domain::caller::Role;
    use kith_domain::change::{PlanAction, PlanEvent, PresentationAction};
    use kith_domain::child::Subject;
    use kith_domain::codes::OdsCode;
    use kith_domain::plan::PlanKind;
    use kith_domain::presentation::{Closing, Outcome};
    use kith_domain::text::{EncounterId, LocalKey};
    use kith_domain::time::Day;
    use tonic::Code;
    use tonic::body::Body;
    use tower::{Layer, Service};

    use super::*;
    use crate::config::Limits;
    use crate::deadline::CallLimitsLayer;
    use crate::edge::Edge;
    use crate::identity::PeerIdentity;
    use crate::rounds;
    use crate::services::testing::{self, Place, TRUST, last};

    fn number(from: u32) -> NhsNumber {
        (from..).find_map(NhsNumber::from_first_nine).expect("one of a few is valid")
    }

    /// A question of the trust's emergency department, as it comes from a connection.
    fn question((number, born): (NhsNumber, Day), id: u128) -> Request<v1::LookupRequest> {
        let caller = v1::Caller {
            user_id: "u1".to_owned(),
            user_name: "A Nurse".to_owned(),
            user_role: "Triage nurse".to_owned(),
            role_code: "R8000".to_owned(),
            purpose: v1::Purpose::DirectCare.into(),
            organisation: TRUST.to_owned(),
        };
        let subject = v1::subject::Subject::NhsNumber(number.digits());
        let mut request = Request::new(v1::LookupRequest {
            caller: Some(caller),
            care_context: v1::CareContext::Unscheduled.into(),
            subject: Some(v1::Subject { subject: Some(subject) }),
            number_traced: true,
            date_of_birth: Some(kith_api::convert::time::date(born)),
            request_id: Uuid::from_u128(id).to_string(),
            mother_nhs_number: None,
        });
        let peer = PeerIdentity { organisation: TRUST.to_owned(), role: Role::Ed };
        let address = SocketAddr::from(([127, 0, 0, 1], 1));
        request.extensions_mut().insert(connection::ConnectInfo::new(
            Arc::new(peer),
            address,
            Arc::default(),
            Arc::default(),
        ));
        request
    }

    /// Asks, and looks once at what became of it.
    fn answered_at_once(services: &Services, request: Request<v1::LookupRequest>) -> v1::Answer {
        let mut answering = services.lookup(request);
        let polled = answering.as_mut().poll(&mut Context::from_waker(Waker::noop()));
        let Poll::Ready(answered) = polled else { panic!("the lookup waits between its question and its answer") };
        answered.unwrap().into_inner().answer.unwrap()
    }

    /// A lookup that waited for anything once it is taken up would stand behind whatever else its data thread has to do. Two things it does wait for, as
    /// a task: the turn to write into the audit, where another core has it for longer than some microseconds (`journal/append.rs`),
    /// and the audit's disk when a sync is late. Neither is so here: nobody else asks, and for this journal no sync is late.
    #[tokio::test]
    async fn a_lookup_is_answered_the_first_time_that_it_is_polled() {
        let place = Place::asked_by(OdsCode::parse(TRUST).unwrap());
        let (services, _stop) = testing::services(&place);
        let (held, unknown) = (number(999_000_000), number(999_000_100));
        // One day for the plan and the questions, if midnight lies between them.
        let born = now().london_day().plus_days(-2_000);
        let event = PlanEvent {
            authority: testing::authority(),
            event_id: Uuid::from_u128(7),
            subject: Subject::Nhs(held),
            action: PlanAction::Start,
            kind: PlanKind::ChildProtection,
            reference: None,
            version: 1,
            start: Some(now().london_day().plus_days(-30)),
            end: None,
            birth_date: Some(born),
            shielded: false,
            unshield: false,
            family: None,
            babies: Vec::new(),
        };
        let told = place.engine.change_one(&testing::permit(Method::SubmitPlanFile), now(), Change::Plan(event)).await;
        assert!(told.is_ok(), "{told:?}");
        let before = last(&place.engine);
        let outcome = |number, id| answered_at_once(&services, question((number, born), id)).plans.unwrap().outcome();
        assert_eq!(outcome(held, 1), v1::Outcome::Held);
        assert_ne!(outcome(unknown, 2), v1::Outcome::Held);
        assert_eq!(last(&place.engine), before + 2, "and both are in the audit");
    }

    #[tokio::test]
    async fn a_check_in_without_a_place_for_its_recording_says_that_it_is_not_recorded() {
        let place = Place::new();
        let call = testing::call(Method::CheckIn);
        let (organisation, event_id) = (call.peer.organisation, Uuid::from_u128(7));
        let event = PresentationEvent {
            organisation,
            event_id,
            subject: Subject::Local(organisation, LocalKey::parse("k1").unwrap()),
            encounter: EncounterId::parse("e1").unwrap(),
            version: 1,
            action: PresentationAction::Close(Closing { outcome: Outcome::Admitted, at: now() }),
        };
        let sender = Sender::of_event(call, testing::caller(), event_id);
        let (engine, before) = (Arc::clone(&place.engine), last(&place.engine));
        let permit = testing::permit(Method::SubmitPlanFile);
        let recording = record((engine, None), permit, Ok(event), sender, (now(), Instant::now())).await;
        let Ok(v1::check_in_response::Recording::NotRecorded(told)) = recording else { panic!("it has no place") };
        assert_eq!((told.reason.as_str(), told.words.contains("NOT recorded, send again")), ("OVERLOADED", true));
        assert_eq!(last(&place.engine), before + 1, "and it is in the audit");
    }

    #[test]
    fn a_recording_is_waited_for_as_configured_and_never_to_the_end_of_its_call() {
        let (limit, now) = (Duration::from_millis(1_500), Instant::now());
        let waits = |left_ms: Option<u64>| {
            let deadline = left_ms.map(|left| CallDeadline(now + Duration::from_millis(left)));
            (record_until(limit, deadline, now) - now).as_millis()
        };
        let left = [None, Some(30_000), Some(2_000), Some(1_000), Some(100), Some(0)];
        assert_eq!(left.map(waits), [1_500, 1_500, 1_500, 750, 75, 0]);
        let late = now + limit;
        assert_eq!(record_until(limit, Some(CallDeadline(now)), late), late, "nothing is left of it");
    }

    #[tokio::test]
    async fn a_check_in_goes_by_what_is_configured_and_by_the_deadline_of_its_call() {
        let place = Place::new();
        let (services, _stop) =
            testing::services_within(&place, Limits { record_timeout_ms: 200, ..Limits::default() });
        let (mut request, now) = (Request::new(()), Instant::now());
        let waits = |request: &Request<()>| (recording_until(&services, request, now) - now).as_millis();
        assert_eq!(waits(&request), 200);
        request.extensions_mut().insert(CallDeadline(now + Duration::from_millis(100)));
        assert_eq!(waits(&request), 75);
    }

    /// Behind the layer that ends calls, on a clock that moves for timers alone: the disk hangs, and the answer is ready.
    #[tokio::test(start_paused = true)]
    async fn a_check_in_whose_recording_hangs_is_answered_before_its_deadline() {
        for (configured_ms, timeout, waits_ms) in [(1_500, "1S", 750), (1_500, "30S", 1_500), (200, "1S", 200)] {
            let handler = move |request: http::Request<Body>| async move {
                let deadline = request.extensions().get::<CallDeadline>().copied();
                let until = record_until(Duration::from_millis(configured_ms), deadline, Instant::now());
                let told = in_time(until, std::future::pending()).await;
                assert!(matches!(told, Ok(Err(refused)) if refused == NOT_IN_TIME));
                Ok::<http::Response<Body>, Infallible>(Status::new(Code::Ok, "").into_http())
            };
            let layer = CallLimitsLayer::new(&Limits::default(), Edge::default());
            let call = http::Request::builder().uri("/kith.v1.LookupService/CheckIn").header("grpc-timeout", timeout);
            let began = Instant::now();
            let answer =
                layer.layer(tower::service_fn(handler)).call(call.body(Body::default()).unwrap()).await.unwrap();
            let ended = Status::from_header_map(answer.headers()).map_or(Code::Ok, |status| status.code());
            let (waited, least) = (began.elapsed(), Duration::from_millis(waits_ms));
            assert_eq!(ended, Code::Ok, "{configured_ms} of {timeout}: the deadline took the answer along");
            assert!(
                waited >= least && waited < least + Duration::from_millis(5),
                "{configured_ms} of {timeout}: {waited:?}"
            );
        }
    }

    /// Whoever sends worklists has others wait for as many of their entries as for other calls.
    #[tokio::test]
    async fn entries_of_a_worklist_are_taken_up_in_rounds_as_calls_are() {
        let place = Place::asked_by(OdsCode::parse(TRUST).unwrap());
        let (services, _stop) = testing::services(&place);
        let born = now().london_day();
        let (metadata, extensions, one) = question((number(999_000_000), born), 1).into_parts();
        let entry = |nth: u32| v1::WorklistEntry {
            subject: question((number(999_000_000 + 100 * nth), born), 1).into_inner().subject,
            ..v1::WorklistEntry::default()
        };
        let v1::LookupRequest { caller, care_context, request_id, .. } = one;
        let worklist =
            v1::LookupManyRequest { caller, care_context, entries: (0..16).map(entry).collect(), request_id };
        extensions.get::<connection::ConnectInfo>().unwrap().activity().round(|| rounds::Rounds::default().of(TRUST));
        let request = Request::from_parts(metadata, extensions, worklist);
        let mut items = services.lookup_many(request).await.unwrap().into_inner().into_inner();
        // Behind the worklist once: what has come by then came in one round.
        let came = tokio::spawn(async move { std::iter::from_fn(|| items.try_recv().ok()).count() }).await.unwrap();
        assert_eq!(came, rounds::A_ROUND);
    }
}
