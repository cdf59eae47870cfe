//! The health of feeds on the wire.

use super::{time, words};
use crate::v1;
use kith_domain::change::Feed;
use kith_domain::directory::Directory;
use kith_domain::feed::FeedLine;
use kith_domain::feed_health::FileSeen;
use kith_domain::feed_volume::VolumeLine;

/// Code and name of a feed's sender.
#[must_use]
pub fn sender(feed: Feed, directory: &Directory) -> (String, String) {
    match feed {
        Feed::Plans(code) => (code.to_string(), directory.authority_name(code)),
        Feed::Presentations(code) => (code.to_string(), directory.organisation_name(code)),
    }
}

/// One feed, in short.
#[must_use]
pub fn short(line: &FeedLine, directory: &Directory) -> v1::Feed {
    let (code, name) = sender(line.feed, directory);
    v1::Feed {
        code,
        name,
        state: words::feed_state(line.state).into(),
        last_heard_at: line.last.map(time::timestamp),
        interval_seconds: line.interval_seconds,
    }
}

/// Everything about one feed.
#[must_use]
pub fn health(line: &FeedLine, directory: &Directory) -> v1::FeedHealth {
    let FeedLine { feed, last, interval_seconds, state, last_event, last_file, rows, open_rejections, volume } = *line;
    let (code, name) = sender(feed, directory);
    let kind = match feed {
        Feed::Plans(_) => v1::FeedKind::Plans,
        Feed::Presentations(_) => v1::FeedKind::Presentations,
    };
    let expected = volume.and_then(|VolumeLine { expected_hundredths, actual: _ }| expected_hundredths);
    v1::FeedHealth {
        code,
        name,
        kind: kind.into(),
        state: words::feed_state(state).into(),
        last_heard_at: last.map(time::timestamp),
        last_event_at: last_event.map(time::timestamp),
        last_file_at: last_file.map(|FileSeen { number: _, at }| time::timestamp(at)),
        last_file_number: last_file.map(|file| file.number),
        interval_seconds,
        rows_seen: rows.seen,
        rows_matched: rows.matched,
        below_match_gate: rows.below_gate(),
        open_rejections,
        expected_volume: expected.map(|hundredths| hundredths as f64 / 100.0),
        actual_volume: volume.map(|volume| volume.actual),
    }
}
