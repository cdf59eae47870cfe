//! Pushes past presentations in streams of a bounded length, and closes a presentation. A file without rows is sent as an
//! empty import, which says that there is nothing to tell. After a broken stream it counts
//! only the rows of the streams that were answered; the file can be sent again.

use std::time::Duration;

use indicatif::ProgressBar;
use kith_api::client::Named;
use kith_api::client::to_json;
use kith_api::v1;
use kith_api::v1::presentation_service_client::PresentationServiceClient;
use serde_json::Value as Json;

use super::{Done, Text};
use crate::args::{CloseArgs, FileArgs};
use crate::exit::Exit;
use crate::failure::{Failure, Sent};
use crate::person::{content_id, subject, uuid_or};
use crate::push::report::Report;
use crate::push::table::Table;
use crate::push::{Loaded, Refused, presentation_rows, progress};
use crate::settings::Settings;
use crate::words::PRESENTATION_OUTCOMES;
use crate::{dates, render};

/// Rows of one stream: a broken one costs sending at most so many again.
const ROWS_PER_STREAM: usize = 5000;
/// Longest wait for one stream's verdict. It takes seconds; after this the service is taken for stuck.
const STREAM_TIMEOUT: Duration = Duration::from_secs(300);

/// Pushes a file.
///
/// # Errors
/// A file that cannot be used, and no connection; after that the report says what happened.
pub async fn push(settings: &Settings, args: &FileArgs) -> Result<Done, Failure> {
    let caller = settings.person.caller(&settings.organisation, v1::Purpose::RecordKeeping)?;
    let table = Table::open(&args.file, &presentation_rows::COLUMNS)?;
    let loaded = Loaded::new(&table, |row| presentation_rows::item(row, &settings.organisation));
    drop(table);
    let client = settings.connect().await?.as_person(&caller);
    let bar = progress(loaded.rows(), "presentations");
    let report = import(client.presentations(), caller, loaded, &bar).await;
    bar.finish_and_clear();
    Ok(Done { text: Text::Plain(report.text()), json: report.json(), exit: report.exit() })
}

async fn import(
    mut client: PresentationServiceClient<Named>,
    caller: v1::Caller,
    loaded: Loaded<v1::ImportRequest>,
    bar: &ProgressBar,
) -> Report {
    let mut report = Report::new(loaded.rows(), loaded.refused);
    bar.inc(report.refused);
    let mut rows = loaded.items;
    if report.rows == 0 {
        // Nothing to send, and an empty import says so: silence would make the feed late.
        report.heartbeat = Some(false);
        match verdict(&mut client, tokio_stream::empty()).await.and_then(|response| take(&mut report, &[], response)) {
            Ok(()) => report.heartbeat = Some(true),
            Err(failure) => report.broken = Some(failure),
        }
        return report;
    }
    while !rows.is_empty() {
        let rest = rows.split_off(rows.len().min(ROWS_PER_STREAM));
        let (lines, mut items): (Vec<u64>, Vec<v1::ImportRequest>) = rows.into_iter().unzip();
        if let Some(first) = items.first_mut() {
            first.caller = Some(caller.clone());
        }
        let counted = bar.clone();
        let stream = tokio_stream::iter(items.into_iter().inspect(move |_| counted.inc(1)));
        let taken = verdict(&mut client, stream).await.and_then(|response| take(&mut report, &lines, response));
        if let Err(failure) = taken {
            report.broken = Some(failure);
            return report;
        }
        rows = rest;
    }
    report
}

/// Sends one stream and waits for its verdict.
async fn verdict(
    client: &mut PresentationServiceClient<Named>,
    rows: impl tokio_stream::Stream<Item = v1::ImportRequest> + Send + 'static,
) -> Result<v1::ImportResponse, Failure> {
    match tokio::time::timeout(STREAM_TIMEOUT, client.import(rows)).await {
        Ok(Ok(response)) => Ok(response.into_inner()),
        Ok(Err(status)) => Err(Failure::status(&status, Sent::Change)),
        Err(_) => Err(Failure::could_not_ask(format!("no verdict within {} seconds", STREAM_TIMEOUT.as_secs()))),
    }
}

/// Counts one stream's verdict, which must account for every row sent.
fn take(report: &mut Report, lines: &[u64], response: v1::ImportResponse) -> Result<(), Failure> {
    let v1::ImportResponse { processed, accepted, repeated, rejected, rejections } = response;
    report.acknowledged += accepted;
    report.repeated += repeated;
    let described = rejections.into_iter().map(|rejection| {
        let v1::RejectedRow { row, field, reason, words } = rejection;
        let at = usize::try_from(row.saturating_sub(1)).unwrap_or(usize::MAX);
        Refused { line: lines.get(at).copied().unwrap_or(0), field, reason, words, retry: false }
    });
    report.refuse_counted(rejected, described);
    let sent = u64::try_from(lines.len()).unwrap_or(u64::MAX);
    if processed != sent || accepted + rejected != sent {
        return Err(Failure::could_not_ask(format!(
            "{sent} rows were sent, but the service accounts for {processed} read, {accepted} taken and {rejected} refused"
        )));
    }
    Ok(())
}

/// Gives a presentation its outcome.
///
/// # Errors
/// Input that cannot be used, no connection, or a refusal.
pub async fn close(settings: &Settings, args: &CloseArgs) -> Result<Done, Failure> {
    let request = close_request(settings, args)?;
    let client = settings.connect().await?;
    let response = client.presentations().close(client.request(request)).await;
    let response = response.map_err(|status| Failure::status(&status, Sent::Change))?.into_inner();
    let v1::CloseResponse { acknowledgement } = response;
    let acknowledged = acknowledgement
        .ok_or_else(|| Failure::could_not_ask("the service replied without an acknowledgement: send it again"))?;
    let mut json = to_json(&acknowledged).map_err(|error| Failure::could_not_ask(format!("failed to {error}")))?;
    json.insert("exit_code".to_owned(), Exit::Done.code().into());
    Ok(Done { text: Text::Plain(acknowledged_text(&acknowledged)), json: Json::Object(json), exit: Exit::Done })
}

fn close_request(settings: &Settings, args: &CloseArgs) -> Result<v1::CloseRequest, Failure> {
    let CloseArgs { subject: about, encounter_id, version, outcome, outcome_at, event_id } = args;
    let (subject, _) = subject(about)?;
    let value = PRESENTATION_OUTCOMES.read(outcome).map_err(|words| Failure::bad_field("outcome", words))?;
    let at = match outcome_at {
        Some(text) => dates::moment(text).map_err(|words| Failure::bad_field("outcome_at", words))?,
        None => dates::now(),
    };
    let event_id = uuid_or(event_id.as_deref(), "event_id", || {
        let (version, at) = (version.to_string(), at.to_string());
        content_id("close", &settings.organisation, [encounter_id.as_str(), &version, outcome, &at])
    })?;
    Ok(v1::CloseRequest {
        caller: Some(settings.person.caller(&settings.organisation, v1::Purpose::RecordKeeping)?),
        event_id: event_id.to_string(),
        subject: Some(subject),
        encounter_id: encounter_id.clone(),
        version: *version,
        outcome: value.into(),
        outcome_at: Some(at),
    })
}

/// What an acknowledgement says.
fn acknowledged_text(acknowledged: &v1::Acknowledgement) -> String {
    let v1::Acknowledgement { event_id, sequence, accepted_at, repeated, effect } = acknowledged;
    let at = accepted_at.as_ref().map_or_else(|| "time not given".to_owned(), dates::show_moment);
    let before = if *repeated { "; it had been acknowledged before" } else { "" };
    let effect = match v1::Effect::try_from(*effect) {
        Ok(v1::Effect::Applied) => "recorded",
        Ok(v1::Effect::Kept) => "kept, but NO SUCH ENCOUNTER has been recorded: check the encounter id",
        Ok(v1::Effect::Overtaken) => "kept, but a later version had arrived before it and still stands",
        Ok(v1::Effect::Unspecified) | Err(_) => "acknowledged",
    };
    render::plain(&format!("{effect}: event {event_id}, change {sequence}, {at} (UK time){before}")) + "\n"
}

#[cfg(test)]
mod tests {
    use super::*;

    fn response(processed: u64, accepted: u64, rejected: u64) -> v1::ImportResponse {
        let rejections = (0..rejected)
            .map(|at| v1::RejectedRow {
                row: at + 1,
                field: "site".into(),
                reason: "SITE_UNKNOWN".into(),
                words: "w".into(),
            })
            .collect();
        v1::ImportResponse { processed, accepted, repeated: 1, rejected, rejections }
    }

    #[test]
    fn a_verdict_accounts_for_every_row_and_names_its_line() {
        let mut report = Report::new(3, Vec::new());
        take(&mut report, &[2, 5, 9], response(3, 2, 1)).unwrap();
        assert_eq!((report.acknowledged, report.repeated, report.refused), (2, 1, 1));
        assert!(report.text().contains("line 2, site: w (SITE_UNKNOWN)"), "{}", report.text());
        assert_eq!(report.exit(), Exit::ChangeRefused);
    }

    #[test]
    fn rows_that_are_not_accounted_for_are_not_taken_for_done() {
        for (processed, accepted, rejected) in [(2, 2, 0), (3, 2, 0), (0, 0, 0), (3, 3, 1)] {
            let mut report = Report::new(3, Vec::new());
            let failure = take(&mut report, &[2, 3, 4], response(processed, accepted, rejected)).unwrap_err();
            assert_eq!(failure.exit, Exit::CouldNotAsk);
        }
    }

    #[test]
    fn an_acknowledgement_says_when_it_is_overtaken() {
        let mut acknowledged =
            v1::Acknowledgement { effect: v1::Effect::Overtaken.into(), repeated: true, ..Default::default() };
        let text = acknowledged_text(&acknowledged);
        assert!(text.contains("later version") && text.contains("before"), "{text}");
        acknowledged.effect = 99;
        assert!(acknowledged_text(&acknowledged).starts_with("acknowledged"));
    }
}
