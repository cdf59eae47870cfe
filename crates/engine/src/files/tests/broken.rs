//! Files broken off at every step, and sent again: the state is that of an unbroken file, byte by byte.

use super::place::{END, NOW, Place, REPORT, authority, day, event, file, permit, row, rows};
use kith_domain::plan_file::{FileCode, FileVerdict, PlanFile, PlanRow};
use std::future::Future;
use std::pin::pin;
use std::task::Poll;

/// Lets a future wait so many times, and drops it then.
pub async fn cut_short<T>(work: impl Future<Output = T>, waits: usize) -> Option<T> {
    let mut work = pin!(work);
    let mut left = waits;
    std::future::poll_fn(move |context| match work.as_mut().poll(context) {
        Poll::Ready(done) => Poll::Ready(Some(done)),
        Poll::Pending if left == 0 => Poll::Ready(None),
        Poll::Pending => {
            left -= 1;
            Poll::Pending
        }
    })
    .await
}

/// Some added, some changed, some as held, some with a fault, and some of those before missing.
fn second() -> PlanFile {
    let mut sent = rows(5..300);
    for at in (0..sent.len()).step_by(7) {
        sent[at].end = Some(day("2027-03-01"));
    }
    sent[20].start = None;
    sent.push(PlanRow { shielded: true, ..row(301) });
    file(2, END, sent)
}

async fn prepared() -> Place {
    let place = Place::new();
    place.send(&file(1, END, rows(0..200)), NOW).await;
    place
}

#[tokio::test]
async fn broken_off_at_every_step_a_file_ends_as_an_unbroken_one() {
    let place = prepared().await;
    let expected = place.send(&second(), NOW).await;
    let hash = place.hash();
    assert_eq!(expected.code, FileCode::SomeLoaded);
    assert_eq!(expected.snapshot.as_ref().unwrap().ended, 5);
    for waits in 0.. {
        let place = prepared().await;
        let whole = cut_short(place.send(&second(), NOW), waits).await.is_some();
        let place = if waits % 3 == 0 { place.reopened() } else { place };
        let verdict = place.send(&second(), NOW).await;
        assert_eq!(FileVerdict { repeated: false, ..verdict }, expected, "after {waits} waits");
        assert_eq!(place.hash(), hash, "after {waits} waits");
        if whole {
            assert!(waits > 7, "only {waits} steps");
            return;
        }
    }
}

#[tokio::test]
async fn a_file_begun_goes_on_with_the_same_bytes_alone() {
    let place = prepared().await;
    assert!(cut_short(place.send(&second(), NOW), 2).await.is_none());
    let place = place.reopened();
    let mut other = second();
    other.rows.pop();
    let reason = |verdict: &FileVerdict| (verdict.fault.as_ref().unwrap().0, verdict.expected);
    assert_eq!(reason(&place.send(&other, NOW).await), ("FILE_NUMBER_REUSED", Some(2)));
    assert_eq!(reason(&place.send(&file(3, END, rows(0..9)), NOW).await), ("FILE_UNFINISHED", Some(2)));
    assert_eq!(place.send(&second(), NOW).await.code, FileCode::SomeLoaded);
}

#[tokio::test]
async fn without_a_writer_the_file_is_to_be_sent_again_and_nothing_has_changed() {
    let place = prepared().await;
    let log = place.engine.positions().log_sequence;
    place.engine.close(NOW);
    let hash = place.engine.file_hash(b"x");
    let verdict = place.engine.take_file(&permit(1), authority(1), NOW, hash, &second()).await;
    assert_eq!((verdict.code, verdict.processed, verdict.rows.len()), (FileCode::ResendLater, None, 0));
    assert_eq!(place.engine.positions().log_sequence, log);
}

/// Between the break and the sending again the authority tells of new plans as events: none of them was missing when it was
/// decided what may end, whether they came in the same moment as the file or later.
#[tokio::test]
async fn a_file_sent_again_ends_nothing_that_came_after_its_start() {
    let mut decided_before_the_break = 0;
    for waits in 0..14 {
        for later in [0, 1] {
            let place = Place::new();
            place.send(&file(1, END, rows(0..100)), NOW).await;
            let next = file(2, END, rows(1..100));
            cut_short(place.send(&next, NOW), waits).await;
            let open = place.engine.file_state(authority(1)).unwrap().open;
            decided_before_the_break += u32::from(open.is_some_and(|open| open.ending.is_some()));
            let at = NOW.plus_seconds(later);
            let events = (200..260).map(|n| kith_domain::change::Change::Plan(event(1, n, 1))).collect();
            assert!(place.engine.change(&permit(1), at, events).await.iter().all(Result::is_ok));
            let summary = place.send(&next, at).await.snapshot.unwrap();
            let ended = (200..260).filter(|n| place.end(*n).is_some()).count();
            assert_eq!((ended, summary.ended <= 1), (0, true), "after {waits} waits, {later} s later");
        }
    }
    assert!(decided_before_the_break > 0, "the break never came after the decision");
}

/// A file broken off after some of its rows leaves its feed as it was; events beside it are a sign of life, and its end is.
#[tokio::test]
async fn a_half_loaded_file_is_no_sign_of_life() {
    use kith_domain::change::Feed;
    use kith_domain::feed::FeedState;
    let feed = Feed::Plans(authority(1));
    let sent = file(1, REPORT, rows(0..900));
    let half = async || {
        let place = Place::new();
        cut_short(place.send(&sent, NOW), 2).await;
        let open = place.engine.file_state(authority(1)).unwrap().open.is_some();
        assert!(open && place.record(0).is_some() && place.record(899).is_none(), "it was not broken off half way");
        place
    };
    let place = half().await;
    assert_eq!(place.engine.feeds().state(feed, NOW), FeedState::Absent);
    let place = place.reopened();
    assert_eq!(place.engine.feeds().state(feed, NOW), FeedState::Absent);
    place.send(&sent, NOW).await;
    assert_eq!(place.engine.feeds().state(feed, NOW), FeedState::Fresh);
    let place = half().await;
    place.event(1, event(1, 950, 1)).await;
    assert_eq!(place.engine.feeds().state(feed, NOW), FeedState::Fresh, "an event beside it");
}
