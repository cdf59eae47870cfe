//! A stream of plan events whose groups overlap: what its reader hears and in which order, and what the audit holds of it, however it
//! ends.

use kith_domain::NhsNumber;
use kith_domain::change::Heartbeat;
use kith_engine::Submitted;
use tokio::task::{JoinHandle, yield_now};
use tonic_types::StatusExt;
use v1::submit_events_response::Verdict;

use super::*;
use crate::config::Limits;
use crate::services::testing::{self, Place, grants_nothing_to_senders, reason};
use crate::stop::StopHandle;

/// Changes that keep the writer busy for longer than a stream needs to take two events.
const BEATS: usize = 20_000;
/// So many streams are tried until one has two groups in flight: this machine may stand still for longer than the writer is busy.
const TRIES: u32 = 50;

type Heard = Result<v1::SubmitEventsResponse, Status>;

struct Running {
    events: mpsc::Sender<Result<v1::SubmitEventsRequest, Status>>,
    verdicts: mpsc::Receiver<Heard>,
    feed: JoinHandle<()>,
}

/// Begins a stream that takes so many events at once.
fn begin(place: &Place, services: &Services, at_once: usize) -> Running {
    let call = testing::call(Method::SubmitEvents);
    let (events, stream) = mpsc::channel(at_once);
    let (sender, verdicts) = mpsc::channel(VERDICT_BUFFER);
    let feed = PlanFeed {
        engine: Arc::clone(&place.engine),
        call,
        caller: testing::caller(),
        authority: testing::authority(),
        taken: 0,
        refusals: feeds::Refusals::default(),
    };
    let held = services.begin_stream(call).expect("a place");
    let feed = tokio::spawn(feed.run(ReceiverStream::new(stream), sender, services.clone(), held));
    Running { events, verdicts, feed }
}

fn day(offset: i32) -> Option<v1::Date> {
    Some(kith_api::convert::time::date(now().london_day().plus_days(offset)))
}

/// The start of a child's only plan; its id is this number.
fn start(id: u128, child: u32) -> v1::PlanEvent {
    let number = (999_000_000 + 20 * child..).find_map(NhsNumber::from_first_nine).expect("one of a few is valid");
    v1::PlanEvent {
        event_id: Uuid::from_u128(id).to_string(),
        action: v1::PlanAction::Start.into(),
        subject: Some(v1::Subject { subject: Some(v1::subject::Subject::NhsNumber(number.digits())) }),
        date_of_birth: None,
        kind: v1::PlanKind::ChildProtection.into(),
        start: day(-30),
        end: None,
        other_authority: String::new(),
        shielded: false,
        reference: format!("P{child}"),
        version: 1,
        lift_shield: false,
        family: String::new(),
        babies: Vec::new(),
    }
}

fn event(event: v1::PlanEvent) -> v1::SubmitEventsRequest {
    v1::SubmitEventsRequest { item: Some(v1::submit_events_request::Item::Event(event)) }
}

/// What is heard to the end.
async fn heard(verdicts: &mut mpsc::Receiver<Heard>) -> Vec<Heard> {
    let mut all = Vec::new();
    while let Some(one) = verdicts.recv().await {
        all.push(one);
    }
    all
}

/// The number of the event, with the reason of its refusal; the reason of a status.
fn words(heard: &Heard) -> String {
    let number = |id: &str| Uuid::parse_str(id).expect("an id").as_u128();
    match heard.as_ref().map(|response| response.verdict.as_ref().expect("a verdict")) {
        Ok(Verdict::Acknowledgement(ack)) if ack.repeated => format!("{} again", number(&ack.event_id)),
        Ok(Verdict::Acknowledgement(ack)) => number(&ack.event_id).to_string(),
        Ok(Verdict::Refusal(refusal)) => format!("{} {}", number(&refusal.event_id), refusal.reason),
        Err(status) => reason(status),
    }
}

async fn words_to_the_end(verdicts: &mut mpsc::Receiver<Heard>) -> Vec<String> {
    heard(verdicts).await.iter().map(words).collect()
}

/// So many heartbeats in one piece of work for the writer.
async fn beats(place: &Place, count: usize) -> Submitted {
    let feed = Feed::Plans(testing::authority());
    let beat = |_| Change::Heartbeat(Heartbeat { feed, event_id: Uuid::new_v4() });
    let beats = (0..count).map(beat).collect();
    place.engine.hand_over(&testing::permit(Method::SubmitEvents), now(), beats).await
}

/// A stream of which two groups, the events 1 and 2, are with the writer while that is busy with what came before.
struct Overlapping {
    place: Place,
    stop: StopHandle,
    running: Running,
    busy: JoinHandle<Vec<kith_engine::Verdict>>,
}

async fn two_in_flight(limits: impl Fn() -> Limits) -> Overlapping {
    for _ in 0..TRIES {
        // Another each time: what was taken once is only repeated.
        let place = Place::new();
        let (services, stop) = testing::services_within(&place, limits());
        let busy = tokio::spawn(beats(&place, BEATS).await);
        let running = begin(&place, &services, 1);
        for id in 1..=2_u32 {
            running.events.send(Ok(event(start(u128::from(id), id)))).await.expect("it is read");
            // There is room for the next once the stream has taken this one, and then it is with the writer.
            while running.events.capacity() == 0 {
                yield_now().await;
            }
        }
        if !busy.is_finished() {
            return Overlapping { place, stop, running, busy };
        }
        let Running { events, verdicts, feed } = running;
        drop((events, verdicts));
        feed.await.expect("it ends");
    }
    panic!("no two groups of a stream are ever with the writer at once")
}

#[tokio::test]
async fn verdicts_come_in_the_order_of_the_events_and_each_is_its_own() {
    let place = Place::new();
    let (services, _stop) = testing::services(&place);
    let (mut sent, mut expected) = (Vec::new(), Vec::new());
    for child in 1..=100_u32 {
        let id = u128::from(child);
        sent.push(event(start(id, child)));
        expected.push(id.to_string());
        if child % 3 == 0 {
            sent.push(event(v1::PlanEvent { version: 0, ..start(1_000 + id, child) }));
            expected.push(format!("{} VERSION_ZERO", 1_000 + id));
        }
        if child % 4 == 0 {
            sent.push(event(start(id, child)));
            expected.push(format!("{id} again"));
        }
        if let Some(before @ 1..) = child.checked_sub(4) {
            let action = v1::PlanAction::End.into();
            let end = v1::PlanEvent { action, version: 2, end: day(-1), ..start(2_000 + u128::from(before), before) };
            sent.push(event(end));
            expected.push((2_000 + u128::from(before)).to_string());
        }
    }
    // Fewer at once than lie between a start and its end, which is so in a group behind it.
    let Running { events, mut verdicts, feed } = begin(&place, &services, 5);
    let sending = tokio::spawn(async move {
        for request in sent {
            events.send(Ok(request)).await.expect("it is read");
        }
    });
    let heard = heard(&mut verdicts).await;
    assert_eq!(heard.iter().map(words).collect::<Vec<_>>(), expected);
    let mut sequences = Vec::new();
    for one in &heard {
        if let Ok(v1::SubmitEventsResponse { verdict: Some(Verdict::Acknowledgement(ack)) }) = one
            && !ack.repeated
        {
            assert_eq!(ack.effect(), v1::Effect::Applied, "{}", words(one));
            sequences.push(ack.sequence);
        }
    }
    assert!(sequences.windows(2).all(|two| two[0] < two[1]), "{sequences:?}");
    sending.await.expect("all are sent");
    feed.await.expect("it ends");
}

#[tokio::test]
async fn one_group_is_with_the_writer_behind_the_one_that_is_synced_and_a_third_waits_in_the_stream() {
    let Overlapping { place: _place, stop: _stop, running, busy } = two_in_flight(Limits::default).await;
    let Running { events, mut verdicts, feed } = running;
    events.send(Ok(event(start(3, 3)))).await.expect("it is read");
    for _ in 0..100 {
        yield_now().await;
    }
    let (taken, told) = (events.capacity() > 0, verdicts.try_recv());
    // Where the writer has come to them by now there is nothing to be said.
    if !busy.is_finished() {
        assert!(!taken && told.is_err(), "a third is taken, or one acknowledged that is not on disk");
    }
    drop(events);
    let mut all: Vec<String> = told.iter().map(words).collect();
    all.extend(words_to_the_end(&mut verdicts).await);
    assert_eq!(all, ["1", "2", "3"]);
    feed.await.expect("it ends");
}

#[tokio::test]
async fn a_stream_has_one_group_with_a_writer_that_has_enough_without_another() {
    let place = Place::new();
    let (services, _stop) = testing::services(&place);
    let busy = tokio::spawn(beats(&place, BEATS).await);
    let mut others = Vec::new();
    for _ in 0..20 {
        others.push(beats(&place, 1).await);
    }
    let Running { events, mut verdicts, feed } = begin(&place, &services, 1);
    for id in 1..=2_u32 {
        events.send(Ok(event(start(u128::from(id), id)))).await.expect("it is read");
        for _ in 0..50 {
            yield_now().await;
        }
    }
    let taken = events.capacity() > 0;
    // Where the writer has come to the others by now there is nothing to be said.
    if !busy.is_finished() {
        assert!(!taken, "whoever waits for a single change would wait for two groups of each stream");
    }
    drop(events);
    assert_eq!(words_to_the_end(&mut verdicts).await, ["1", "2"]);
    for verdicts in others {
        assert!(verdicts.await.iter().all(Result::is_ok));
    }
    feed.await.expect("it ends");
}

#[tokio::test]
async fn what_is_in_flight_when_the_reader_goes_is_in_the_audit() {
    let Overlapping { place, stop: _stop, running, busy: _busy } = two_in_flight(Limits::default).await;
    let Running { events, verdicts, feed } = running;
    let before = testing::last(&place.engine);
    drop(verdicts);
    feed.await.expect("it ends, though more could be sent");
    assert_eq!(testing::last(&place.engine), before + 2, "an entry for each group");
    drop(events);
}

#[tokio::test]
async fn what_is_in_flight_when_the_server_stops_is_told_before_that() {
    let Overlapping { place, stop, running, busy: _busy } = two_in_flight(Limits::default).await;
    let Running { events, mut verdicts, feed } = running;
    let before = testing::last(&place.engine);
    stop.drain();
    assert_eq!(words_to_the_end(&mut verdicts).await, ["1", "2", "DRAINING"]);
    assert_eq!(testing::last(&place.engine), before + 2, "an entry for each group");
    feed.await.expect("it ends, though more could be sent");
    drop(events);
}

#[tokio::test]
async fn what_is_in_flight_counts_among_the_most_events_of_a_stream() {
    let limits = || Limits { max_stream_events: 1, ..Limits::default() };
    let Overlapping { place: _place, stop: _stop, running, busy: _busy } = two_in_flight(limits).await;
    let Running { events, mut verdicts, feed } = running;
    assert_eq!(words_to_the_end(&mut verdicts).await, ["1", "2", "STREAM_TOO_LONG"]);
    feed.await.expect("it ends, though more could be sent");
    drop(events);
}

#[tokio::test]
async fn each_group_goes_by_the_policy_of_its_moment_and_a_refusal_follows_what_was_sent_before() {
    let Overlapping { place, stop: _stop, running, busy: _busy } = two_in_flight(Limits::default).await;
    let Running { events, mut verdicts, feed } = running;
    let before = testing::last(&place.engine);
    place.engine.set_policy(Arc::new(grants_nothing_to_senders()));
    events.send(Ok(event(start(3, 3)))).await.expect("it is read");
    assert_eq!(words_to_the_end(&mut verdicts).await, ["1", "2", "ROLE_NOT_ALLOWED"]);
    assert_eq!(testing::last(&place.engine), before + 3, "an entry for each group and one for the refusal");
    feed.await.expect("it ends, though more could be sent");
}

/// The audit is closed between the changes and their entries, for which closing waits in vain.
#[tokio::test]
async fn nothing_in_flight_is_acknowledged_once_the_audit_takes_no_entry() {
    let Overlapping { place, stop: _stop, running, busy: _busy } = two_in_flight(Limits::default).await;
    let Running { events, mut verdicts, feed } = running;
    place.fail();
    assert_eq!(words_to_the_end(&mut verdicts).await, ["CHANGE_NOT_AUDITED"]);
    assert!(place.engine.has_untold(), "both are told later");
    feed.await.expect("it ends, though more could be sent");
    drop(events);
}

/// Where nothing else happens this clock goes on to the next time-out at once.
#[tokio::test(start_paused = true)]
async fn a_disk_that_takes_long_is_no_silence_of_whoever_sends() {
    let Overlapping { place: _place, stop: _stop, running, busy: _busy } = two_in_flight(Limits::default).await;
    let Running { events, mut verdicts, feed } = running;
    for id in ["1", "2"] {
        assert_eq!(words(&verdicts.recv().await.expect("it goes on")), id);
    }
    events.send(Ok(event(start(3, 3)))).await.expect("it goes on");
    assert_eq!(words_to_the_end(&mut verdicts).await, ["3", "STREAM_IDLE"]);
    feed.await.expect("it ends, though more could be sent");
}

#[tokio::test]
async fn a_stream_that_breaks_behind_an_acknowledgement_is_not_told_that_nothing_was_changed() {
    let place = Place::new();
    let (services, _stop) = testing::services(&place);
    let Running { events, mut verdicts, feed } = begin(&place, &services, 1);
    events.send(Ok(event(start(1, 1)))).await.expect("it is read");
    assert_eq!(words(&verdicts.recv().await.expect("a verdict")), "1");
    events.send(Err(Status::out_of_range("more than may be"))).await.expect("it is read");
    let end = heard(&mut verdicts).await.remove(0);
    assert_eq!(words(&end), "MESSAGE_TOO_LARGE");
    let told = end.expect_err("how it ended");
    assert!(told.message().starts_with("what was acknowledged stands"), "{}", told.message());
    feed.await.expect("it ends");
}

/// What is no event, nothing for too long, and nothing that may be sent: each is one entry, and who gives a stream up leaves one too.
#[tokio::test(start_paused = true)]
async fn what_is_refused_before_anything_was_taken_is_one_entry() {
    for (sent, reason) in [
        (Some(Err(Status::out_of_range("more than may be"))), "MESSAGE_TOO_LARGE"),
        (None, "STREAM_IDLE"),
        (Some(Ok(event(start(1, 1)))), "ROLE_NOT_ALLOWED"),
        (Some(Err(Status::aborted("given up by its client"))), ""),
    ] {
        let place = Place::new();
        let (services, _stop) = testing::services(&place);
        place.engine.set_policy(Arc::new(grants_nothing_to_senders()));
        let before = testing::last(&place.engine);
        let Running { events, mut verdicts, feed } = begin(&place, &services, 1);
        if let Some(sent) = sent {
            events.send(sent).await.expect("it is read");
        }
        let end = heard(&mut verdicts).await.remove(0).expect_err("how it ended");
        assert_eq!(end.get_details_error_info().map(|info| info.reason).unwrap_or_default(), reason);
        feed.await.expect("it ends, though more could be sent");
        assert_eq!(testing::last(&place.engine), before + 1, "{reason}");
    }
}

#[tokio::test]
async fn a_reader_who_goes_while_nothing_comes_is_seen_at_once() {
    let place = Place::new();
    let (services, _stop) = testing::services(&place);
    let Running { events, mut verdicts, feed } = begin(&place, &services, 1);
    events.send(Ok(event(start(1, 1)))).await.expect("it is read");
    assert_eq!(words(&verdicts.recv().await.expect("a verdict")), "1");
    drop(verdicts);
    let ended = tokio::time::timeout(std::time::Duration::from_secs(10), feed).await;
    ended.expect("it waits for nothing that nobody would hear of").expect("it ends");
    assert!(events.is_closed());
}
