//! The health of feeds as a table, those in trouble first. A feed whose state is not known counts as late.

use kith_api::client::to_json;
use kith_api::v1;
use serde_json::{Value as Json, json};

use super::{Done, Text};
use crate::dates;
use crate::exit::Exit;
use crate::failure::{Failure, Sent};
use crate::render::plain;
use crate::settings::Settings;
use crate::words;

/// Feeds asked for at once.
const PAGE: u32 = 500;
/// Most pages: far over the country's feeds, far under a service that never stops giving tokens.
const MAX_PAGES: usize = 100;
/// Seconds of an hour.
const HOUR_SECONDS: u64 = 3_600;
/// Columns of the table, and whether each stands to the right.
const COLUMNS: [(&str, bool); 9] = [
    ("CODE", false),
    ("NAME", false),
    ("STATE", false),
    ("LAST EVENT", false),
    ("LAST FILE", false),
    ("MATCHED", true),
    ("REFUSED", true),
    ("EVERY", true),
    ("VOLUME", true),
];

/// Every page.
struct Listed {
    feeds: Vec<v1::FeedHealth>,
    now: Option<kith_api::Timestamp>,
    window_hours: u32,
    gate_percent: u32,
}

/// Lists the feeds that the certificate may see.
///
/// # Errors
/// No connection, or a refusal.
pub async fn run(settings: &Settings) -> Result<Done, Failure> {
    let mut listed = all(settings).await?;
    listed.feeds.sort_by_key(|feed| (trouble(feed), feed.code.clone()));
    let rows: Result<Vec<Json>, _> = listed.feeds.iter().map(|feed| to_json(feed).map(Json::Object)).collect();
    let rows = rows.map_err(|error| Failure::could_not_ask(format!("failed to {error}")))?;
    let json = json!({
        "feeds": rows,
        "now": listed.now.as_ref().map(ToString::to_string),
        "volume_window_hours": listed.window_hours,
        "match_gate_percent": listed.gate_percent,
        "exit_code": Exit::Done.code(),
    });
    Ok(Done { text: Text::Plain(table(&listed)), json, exit: Exit::Done })
}

async fn all(settings: &Settings) -> Result<Listed, Failure> {
    let client = settings.connect_as_person().await?;
    let mut listed = Listed { feeds: Vec::new(), now: None, window_hours: 0, gate_percent: 0 };
    let mut page_token = String::new();
    for _ in 0..MAX_PAGES {
        let request = v1::ListFeedsRequest { page_size: PAGE, page_token };
        let response = client.status().list_feeds(client.request(request)).await;
        let response = response.map_err(|status| Failure::status(&status, Sent::Question))?.into_inner();
        let v1::ListFeedsResponse { feeds, next_page_token, now, volume_window_hours, match_gate_percent } = response;
        listed.feeds.extend(feeds);
        (listed.now, listed.window_hours, listed.gate_percent) = (now, volume_window_hours, match_gate_percent);
        if next_page_token.is_empty() {
            return Ok(listed);
        }
        page_token = next_page_token;
    }
    Err(Failure::could_not_ask(format!("failed to list feeds: more than {MAX_PAGES} pages")))
}

/// Trouble sorts first: silence, then far below usual, then refusals or too few matched.
fn trouble(feed: &v1::FeedHealth) -> u8 {
    match v1::FeedState::try_from(feed.state) {
        Ok(v1::FeedState::Stale | v1::FeedState::Unspecified) | Err(_) => 0,
        Ok(v1::FeedState::Absent) => 1,
        Ok(v1::FeedState::Thin) => 2,
        Ok(v1::FeedState::Fresh) if feed.below_match_gate || feed.open_rejections > 0 => 3,
        Ok(v1::FeedState::Fresh) => 4,
    }
}

fn table(listed: &Listed) -> String {
    let mut rows: Vec<[String; COLUMNS.len()]> = vec![COLUMNS.map(|(title, _)| title.to_owned())];
    rows.extend(listed.feeds.iter().map(row));
    let width = |column: usize| rows.iter().map(|row| row[column].chars().count()).max().unwrap_or(0);
    let widths: Vec<usize> = (0..COLUMNS.len()).map(width).collect();
    let mut text = String::new();
    for row in &rows {
        let cells = row.iter().zip(&widths).zip(COLUMNS).map(|((cell, width), (_, right))| {
            if right { format!("{cell:>width$}") } else { format!("{cell:<width$}") }
        });
        text.push_str(cells.collect::<Vec<_>>().join("  ").trim_end());
        text.push('\n');
    }
    let at = listed.now.as_ref().map_or_else(|| "time not given".to_owned(), dates::show_moment);
    text.push_str(&format!(
        "As of {at} (UK time). MATCHED: of the rows of 28 days, number valid and current, birth date not contradicted; the \
         national gate is {} %.\nREFUSED: since the last batch taken whole. VOLUME: presentations of the last {} hours \
         beside those expected.\n",
        listed.gate_percent, listed.window_hours
    ));
    text
}

fn row(feed: &v1::FeedHealth) -> [String; COLUMNS.len()] {
    let when = |at: &Option<kith_api::Timestamp>| at.as_ref().map_or_else(|| "never".to_owned(), dates::show_moment);
    let file = feed.last_file_number.map(|number| format!("no. {number}, {}", when(&feed.last_file_at)));
    [
        plain(&feed.code),
        plain(&feed.name),
        words::feed_state(feed.state).to_owned(),
        when(&feed.last_event_at),
        file.unwrap_or_else(|| "never".to_owned()),
        matched(feed),
        feed.open_rejections.to_string(),
        every(feed.interval_seconds),
        volume(feed),
    ]
}

/// Rounded down, so that the gate is never reached by rounding.
fn matched(feed: &v1::FeedHealth) -> String {
    let Some(tenths) = feed.rows_matched.saturating_mul(1_000).checked_div(feed.rows_seen) else {
        return "no rows".to_owned();
    };
    let below = if feed.below_match_gate { " BELOW" } else { "" };
    format!("{}.{} %{below}", tenths / 10, tenths % 10)
}

fn every(seconds: u64) -> String {
    if seconds >= HOUR_SECONDS { format!("{} h", seconds / HOUR_SECONDS) } else { format!("{seconds} s") }
}

fn volume(feed: &v1::FeedHealth) -> String {
    match (feed.actual_volume, feed.expected_volume) {
        (None, _) => "-".to_owned(),
        (Some(actual), Some(expected)) => format!("{actual} of {expected:.1}"),
        (Some(actual), None) => format!("{actual}, no expectation yet"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn feed(code: &str, state: v1::FeedState) -> v1::FeedHealth {
        v1::FeedHealth { code: code.into(), name: format!("Name {code}"), state: state.into(), ..Default::default() }
    }

    #[test]
    fn trouble_comes_first_and_the_unknown_is_trouble() {
        use v1::FeedState::{Absent, Fresh, Stale, Thin, Unspecified};
        let refused = v1::FeedHealth { open_rejections: 1, ..feed("F", Fresh) };
        let mut feeds =
            [feed("A", Fresh), refused, feed("B", Thin), feed("C", Absent), feed("D", Stale), feed("E", Unspecified)];
        feeds.sort_by_key(|feed| (trouble(feed), feed.code.clone()));
        let order: String = feeds.iter().map(|feed| feed.code.as_str()).collect();
        assert_eq!(order, "DECBFA");
    }

    #[test]
    fn the_table() {
        let thin = v1::FeedHealth {
            rows_seen: 10_000,
            rows_matched: 9_499,
            below_match_gate: true,
            open_rejections: 7,
            interval_seconds: 93_600,
            expected_volume: Some(48.25),
            actual_volume: Some(3),
            last_file_number: Some(12),
            ..feed("RZ1", v1::FeedState::Thin)
        };
        let young = v1::FeedHealth { actual_volume: Some(2), ..feed("RZ2", v1::FeedState::Fresh) };
        let feeds = vec![thin, young, feed("E06000901", v1::FeedState::Absent)];
        let text = table(&Listed { feeds, now: None, window_hours: 24, gate_percent: 95 });
        let lines: Vec<&str> = text.lines().collect();
        let line = |code: &str| *lines.iter().find(|line| line.starts_with(code)).unwrap();
        for part in ["FAR BELOW USUAL", "94.9 % BELOW", "26 h", "3 of 48.2", "no. 12, never"] {
            assert!(line("RZ1").contains(part), "{part}: {text}");
        }
        assert!(line("RZ2").contains("2, no expectation yet") && line("RZ2").contains("no rows"), "{text}");
        assert!(line("E06000901").ends_with('-') && line("E06000901").contains("NEVER HEARD OF"), "{text}");
    }
}
