//! Pushes a file of plan events through one stream, with a bounded number without a verdict. It never counts an event as
//! taken before its acknowledgement, and does not call the feed alive when no row was taken.

use std::sync::Arc;
use std::time::Duration;

use indicatif::ProgressBar;
use kith_api::v1;
use kith_api::v1::plan_service_client::PlanServiceClient;
use tokio::sync::{Semaphore, mpsc};
use tokio_stream::wrappers::ReceiverStream;
use tonic::Streaming;
use tonic::transport::Channel;
use uuid::Uuid;

use super::{Done, Text};
use crate::args::FileArgs;
use crate::failure::{Failure, Sent};
use crate::push::report::Report;
use crate::push::table::Table;
use crate::push::{Loaded, Refused, plan_rows, progress};
use crate::settings::Settings;

/// Events sent and without a verdict: enough to fill one commit group, little enough to lose nothing by sending again.
const IN_FLIGHT: usize = 256;
/// Longest wait for the next verdict. A commit takes milliseconds; after this the service is taken for gone.
const VERDICT_TIMEOUT: Duration = Duration::from_secs(30);

/// Pushes a file.
///
/// # Errors
/// A file that cannot be used, and no connection; after that the report says what happened.
pub async fn push(settings: &Settings, args: &FileArgs) -> Result<Done, Failure> {
    let table = Table::open(&args.file, &plan_rows::COLUMNS)?;
    let loaded = Loaded::new(&table, |row| plan_rows::event(row, &settings.organisation));
    drop(table);
    let client = settings.connect().await?;
    let bar = progress(loaded.rows(), "plans");
    let report = submit(client.plans(), loaded, &bar).await;
    bar.finish_and_clear();
    Ok(Done { text: Text::Plain(report.text()), json: report.json(), exit: report.exit() })
}

/// Sends the events, takes the verdicts, and then says that the feed is alive.
async fn submit(mut client: PlanServiceClient<Channel>, loaded: Loaded<v1::PlanEvent>, bar: &ProgressBar) -> Report {
    let mut report = Report::new(loaded.rows(), loaded.refused);
    report.overtaken = Some(0);
    bar.inc(report.refused);
    let (lines, events): (Vec<u64>, Vec<v1::PlanEvent>) = loaded.items.into_iter().unzip();
    let ids: Vec<String> = events.iter().map(|event| event.event_id.clone()).collect();
    let (sender, receiver) = mpsc::channel(IN_FLIGHT);
    let window = Arc::new(Semaphore::new(IN_FLIGHT));
    let feeder = tokio::spawn(feed(events, sender.clone(), Arc::clone(&window)));
    let opened = tokio::time::timeout(VERDICT_TIMEOUT, client.submit_events(ReceiverStream::new(receiver))).await;
    let result = match opened {
        Err(_) => Err(no_verdict()),
        Ok(Err(status)) => Err(Failure::status(&status, Sent::Change)),
        Ok(Ok(response)) => {
            let mut verdicts = Verdicts { stream: response.into_inner(), window };
            let rows = lines.iter().copied().zip(ids.iter().map(String::as_str));
            match verdicts.take_all(rows, &mut report, bar).await {
                Ok(()) => heartbeat(&mut verdicts, sender, &mut report).await,
                Err(failure) => Err(failure),
            }
        }
    };
    feeder.abort();
    report.broken = result.err();
    report
}

async fn feed(events: Vec<v1::PlanEvent>, sender: mpsc::Sender<v1::SubmitEventsRequest>, window: Arc<Semaphore>) {
    for event in events {
        let Ok(permit) = window.acquire().await else { return };
        permit.forget();
        let item = v1::submit_events_request::Item::Event(event);
        if sender.send(v1::SubmitEventsRequest { item: Some(item) }).await.is_err() {
            return;
        }
    }
}

/// The feed is alive unless the file had rows and none was taken: a feed whose rows all fail must not look fresh.
async fn heartbeat(
    verdicts: &mut Verdicts,
    sender: mpsc::Sender<v1::SubmitEventsRequest>,
    report: &mut Report,
) -> Result<(), Failure> {
    report.heartbeat = Some(false);
    if report.rows > 0 && report.acknowledged == 0 {
        return Ok(());
    }
    let event_id = Uuid::new_v4().to_string();
    let item = v1::submit_events_request::Item::Heartbeat(v1::FeedHeartbeat { event_id: event_id.clone() });
    let sent = sender.send(v1::SubmitEventsRequest { item: Some(item) }).await;
    sent.map_err(|_| Failure::could_not_ask("the service closed the stream before its end"))?;
    match verdicts.next(&event_id).await? {
        v1::submit_events_response::Verdict::Acknowledgement(_) => report.heartbeat = Some(true),
        v1::submit_events_response::Verdict::Refusal(refusal) => {
            let v1::Refusal { event_id: _, field: _, reason, words, retry: _ } = refusal;
            return Err(Failure::could_not_ask(format!("the sign of life was refused: {words} ({reason})")));
        }
    }
    Ok(())
}

struct Verdicts {
    stream: Streaming<v1::SubmitEventsResponse>,
    window: Arc<Semaphore>,
}

impl Verdicts {
    async fn take_all<'a>(
        &mut self,
        rows: impl Iterator<Item = (u64, &'a str)>,
        report: &mut Report,
        bar: &ProgressBar,
    ) -> Result<(), Failure> {
        for (line, event_id) in rows {
            match self.next(event_id).await? {
                v1::submit_events_response::Verdict::Acknowledgement(acknowledged) => count(report, &acknowledged),
                v1::submit_events_response::Verdict::Refusal(refusal) => report.refuse(refused(line, refusal)),
            }
            self.window.add_permits(1);
            bar.inc(1);
        }
        Ok(())
    }

    /// The next verdict, which must be that of the event sent next.
    async fn next(&mut self, event_id: &str) -> Result<v1::submit_events_response::Verdict, Failure> {
        let message = tokio::time::timeout(VERDICT_TIMEOUT, self.stream.message()).await;
        let message = message
            .map_err(|_| no_verdict())?
            .map_err(|status| Failure::status(&status, Sent::Change))?
            .ok_or_else(|| Failure::could_not_ask("the service closed the stream before its end"))?;
        let v1::SubmitEventsResponse { verdict } = message;
        let verdict = verdict.ok_or_else(|| Failure::could_not_ask("the service sent a verdict that is none"))?;
        let of = match &verdict {
            v1::submit_events_response::Verdict::Acknowledgement(acknowledged) => acknowledged.event_id.as_str(),
            v1::submit_events_response::Verdict::Refusal(refusal) => refusal.event_id.as_str(),
        };
        let refusal = matches!(verdict, v1::submit_events_response::Verdict::Refusal(_));
        if of != event_id && !(refusal && of.is_empty()) {
            return Err(Failure::could_not_ask("the service's verdicts are out of order"));
        }
        Ok(verdict)
    }
}

fn no_verdict() -> Failure {
    Failure::could_not_ask(format!("no verdict within {} seconds", VERDICT_TIMEOUT.as_secs()))
}

fn count(report: &mut Report, acknowledged: &v1::Acknowledgement) {
    report.acknowledged += 1;
    report.repeated += u64::from(acknowledged.repeated);
    if acknowledged.effect() == v1::Effect::Overtaken {
        report.overtaken = report.overtaken.map(|count| count + 1);
    }
}

fn refused(line: u64, refusal: v1::Refusal) -> Refused {
    let v1::Refusal { event_id: _, field, reason, words, retry } = refusal;
    Refused { line, field, reason, words, retry }
}

#[cfg(test)]
mod tests;
