//! What state the service is in. A service that does not answer questions is never shown as ready.

use kith_api::client::to_json;
use kith_api::v1;
use serde_json::Value as Json;

use super::{Done, Text};
use crate::dates;
use crate::exit::Exit;
use crate::failure::{Failure, Sent};
use crate::render::Page;
use crate::settings::Settings;
use crate::words;

/// Asks for the state.
///
/// # Errors
/// No connection, or a refusal.
pub async fn run(settings: &Settings, include_feeds: bool) -> Result<Done, Failure> {
    let client = settings.connect_as_person().await?;
    let response = client.status().get_status(client.request(v1::GetStatusRequest { include_feeds })).await;
    let status = response.map_err(|status| Failure::status(&status, Sent::Question))?.into_inner();
    let exit = exit(&status);
    let mut json = to_json(&status).map_err(|error| Failure::could_not_ask(format!("failed to {error}")))?;
    json.insert("exit_code".to_owned(), exit.code().into());
    Ok(Done { text: Text::Page(page(&status)), json: Json::Object(json), exit })
}

fn exit(status: &v1::GetStatusResponse) -> Exit {
    match v1::Readiness::try_from(status.readiness) {
        Ok(v1::Readiness::Ready) => Exit::Done,
        Ok(v1::Readiness::Unspecified | v1::Readiness::Loading | v1::Readiness::Failed | v1::Readiness::Draining)
        | Err(_) => Exit::CouldNotAsk,
    }
}

fn page(status: &v1::GetStatusResponse) -> Page {
    let v1::GetStatusResponse {
        version,
        readiness,
        reason,
        now,
        sizes,
        positions,
        audit,
        plan_feeds,
        presentation_feeds,
        feeds,
        purge,
    } = status;
    let mut page = Page::default();
    let reason = if reason.is_empty() { String::new() } else { format!(" ({reason})") };
    let words = match v1::Readiness::try_from(*readiness) {
        Ok(v1::Readiness::Ready) => "READY: it answers questions",
        Ok(v1::Readiness::Loading) => "NOT READY: loading, no answers yet",
        Ok(v1::Readiness::Failed) => "NOT READY: it cannot answer",
        Ok(v1::Readiness::Draining) => "NOT READY: stopping",
        Ok(v1::Readiness::Unspecified) | Err(_) => "NOT READY: in a state that this program does not know",
    };
    match exit(status) == Exit::Done {
        true => page.text(0, 2, &format!("{words}{reason}")),
        false => page.attention(0, 2, &format!("{words}{reason}")),
    }
    let at = now.as_ref().map_or_else(|| "not given".to_owned(), dates::show_moment);
    page.text(0, 2, &format!("version {version}, its clock {at} (UK time)"));
    if let Some(v1::Sizes { children, plans, presentations, accesses }) = sizes {
        page.text(
            0,
            2,
            &format!("holds {children} people, {plans} plans, {presentations} presentations, {accesses} accesses"),
        );
    }
    feed_summary(&mut page, "authorities", plan_feeds.as_ref());
    feed_summary(&mut page, "trusts and services", presentation_feeds.as_ref());
    internals(&mut page, positions.as_ref(), audit.as_ref());
    purge.iter().for_each(|purge| removal(&mut page, purge));
    feeds.iter().for_each(|feed| one_feed(&mut page, feed));
    page
}

/// What retention has removed, and why it has stopped, when it has.
fn removal(page: &mut Page, purge: &v1::PurgeStatus) {
    let v1::PurgeStatus {
        completed_at,
        held,
        held_words,
        people,
        plans,
        presentations,
        accesses,
        notes,
        unacknowledged_notifications,
        trimmed_through,
        audit_held,
        audit_held_words,
    } = purge;
    if !held.is_empty() {
        page.attention(0, 2, &format!("RETENTION HAS STOPPED ({held}): {held_words}; nothing is removed"));
    }
    if !audit_held.is_empty() {
        let told =
            format!("RETENTION OF THE AUDIT HAS STOPPED ({audit_held}): {audit_held_words}; nothing of it is removed");
        page.attention(0, 2, &told);
    }
    let at = completed_at.as_ref().map_or_else(|| "not yet".to_owned(), dates::show_moment);
    page.text(
        0,
        2,
        &format!(
            "retention last completed: {at}; removed since the start: {people} people, {plans} plans, {presentations} \
             presentations, {accesses} accesses, {notes} notes, of them {unacknowledged_notifications} notifications \
             that nobody had acknowledged; log trimmed to {trimmed_through}"
        ),
    );
}

fn internals(page: &mut Page, positions: Option<&v1::Positions>, audit: Option<&v1::AuditWindow>) {
    if let Some(positions) = positions {
        let v1::Positions { log_sequence, audit_derived_through, audit_synced_through, audit_last } = positions;
        page.text(
            0,
            2,
            &format!(
                "log at {log_sequence}; audit entry {audit_last}, on disk to {audit_synced_through}, followed up to \
                 {audit_derived_through}"
            ),
        );
    }
    if let Some(v1::AuditWindow { mode, sink, window_max_ms, window_last_ms, failed_segments }) = audit {
        page.text(
            0,
            2,
            &format!(
                "audit {mode} to {sink}: window {window_last_ms:.1} ms, longest {window_max_ms:.1} ms, failed segments \
                 {failed_segments}"
            ),
        );
    }
}

fn feed_summary(page: &mut Page, who: &str, summary: Option<&v1::FeedSummary>) {
    let Some(v1::FeedSummary { feeds, fresh, stale, absent, thin }) = summary else { return };
    let thin = if *thin > 0 { format!(", {thin} far below usual") } else { String::new() };
    page.text(
        0,
        2,
        &format!("{who}: {fresh} of {feeds} heard of in time, {stale} late, {absent} never heard of{thin}"),
    );
}

fn one_feed(page: &mut Page, feed: &v1::Feed) {
    let v1::Feed { code, name, state, last_heard_at, interval_seconds } = feed;
    let heard = last_heard_at.as_ref().map_or_else(|| "never".to_owned(), dates::show_moment);
    let state = words::feed_state(*state);
    page.text(2, 4, &format!("{code} {name}: {state}, last heard {heard}, expected every {interval_seconds} s"));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_ready_is_ready() {
        for (readiness, code) in [(0, 20), (1, 20), (2, 0), (3, 20), (4, 20), (99, 20)] {
            let status = v1::GetStatusResponse { readiness, reason: "WHY".into(), ..Default::default() };
            assert_eq!(exit(&status).code(), code, "{readiness}");
            let text = page(&status).render(false);
            assert_eq!(text.starts_with("NOT READY"), code != 0, "{text}");
        }
    }

    #[test]
    fn feeds_of_an_unknown_state_count_as_late() {
        let feed = v1::Feed { code: "E08000035".into(), state: 9, ..Default::default() };
        let status = v1::GetStatusResponse { feeds: vec![feed], ..Default::default() };
        assert!(page(&status).render(false).contains("LATE (state unknown), last heard never"));
    }
}
