//! Calls as the tests make them, each in one line. Never retries.

use kith_api::client::{Client, Trouble, to_json};
use kith_api::v1;
use kith_api::v1::submit_events_response::Verdict;
use tonic::{Code, Status};

use super::build;
use super::process::Server;
use super::site::{AUTHORITIES, TRUSTS};

/// Children who only keep feeds fresh.
const FILLER: u32 = 490_000;

/// Sends plan events in one stream; gives the verdicts in order.
pub async fn submit(client: &Client, events: Vec<v1::SubmitEventsRequest>) -> Result<Vec<Verdict>, Status> {
    let mut stream = client.plans().submit_events(tokio_stream::iter(events)).await?.into_inner();
    let mut verdicts = Vec::new();
    while let Some(response) = stream.message().await? {
        verdicts.push(response.verdict.unwrap());
    }
    Ok(verdicts)
}

/// Sends plan events that must all be acknowledged.
pub async fn accept(client: &Client, events: Vec<v1::PlanEvent>) -> Vec<v1::Acknowledgement> {
    let sent = events.into_iter().map(build::event).collect();
    let one = |verdict| match verdict {
        Verdict::Acknowledgement(ack) => ack,
        Verdict::Refusal(refusal) => panic!("{}: {}", refusal.reason, refusal.words),
    };
    submit(client, sent).await.unwrap().into_iter().map(one).collect()
}

/// Sends one plan event that must be refused.
pub async fn refused(client: &Client, event: v1::PlanEvent) -> v1::Refusal {
    match submit(client, vec![build::event(event)]).await.unwrap().remove(0) {
        Verdict::Refusal(refusal) => refusal,
        Verdict::Acknowledgement(_) => panic!("acknowledged"),
    }
}

pub async fn try_ask(client: &Client, request: v1::LookupRequest) -> Result<v1::Answer, Status> {
    let response = client.lookup().lookup(client.request(request)).await?;
    Ok(response.into_inner().answer.unwrap())
}

pub async fn ask(client: &Client, request: v1::LookupRequest) -> v1::Answer {
    try_ask(client, request).await.unwrap()
}

/// Everything that an answer holds, as programs get it: `Debug` shows its name alone.
pub fn as_text(answer: &v1::Answer) -> String {
    serde_json::to_string(&to_json(answer).unwrap()).unwrap()
}

pub async fn record(client: &Client, request: v1::RecordRequest) -> Result<v1::Acknowledgement, Status> {
    let response = client.presentations().record(client.request(request)).await?;
    Ok(response.into_inner().acknowledgement.unwrap())
}

pub async fn close(client: &Client, request: v1::CloseRequest) -> Result<v1::Acknowledgement, Status> {
    let response = client.presentations().close(client.request(request)).await?;
    Ok(response.into_inner().acknowledgement.unwrap())
}

pub async fn check_in(client: &Client, request: v1::CheckInRequest) -> Result<v1::CheckInResponse, Status> {
    Ok(client.lookup().check_in(client.request(request)).await?.into_inner())
}

pub async fn import(client: &Client, rows: Vec<v1::ImportRequest>) -> Result<v1::ImportResponse, Status> {
    Ok(client.presentations().import(tokio_stream::iter(rows)).await?.into_inner())
}

/// One page of feeds.
pub async fn list_feeds(client: &Client, page_size: u32, page_token: &str) -> Result<v1::ListFeedsResponse, Status> {
    let request = v1::ListFeedsRequest { page_size, page_token: page_token.to_owned() };
    Ok(client.status().list_feeds(client.request(request)).await?.into_inner())
}

/// Every authority and every trust is heard of now.
pub async fn all_fresh(server: &Server) {
    for code in AUTHORITIES {
        submit(&server.client(code).await, vec![build::heartbeat()]).await.unwrap();
    }
    for (code, filler) in TRUSTS.into_iter().zip(FILLER..) {
        let row = build::import(code, build::nhs(filler), &format!("filler-{}", build::id()));
        assert_eq!(import(&server.client(code).await, vec![row]).await.unwrap().accepted, 1);
    }
}

/// Every notification of an authority, read page by page.
pub async fn notifications(server: &Server, code: &str, page_size: u32) -> Vec<v1::Notification> {
    let client = server.client(code).await;
    let (mut found, mut page_token) = (Vec::new(), String::new());
    loop {
        let request =
            v1::ListRequest { page_size, page_token, include_acknowledged: true, caller: Some(build::caller(code)) };
        let page = client.notifications().list(client.request(request)).await.unwrap().into_inner();
        assert!(page.notifications.len() <= page_size as usize, "a page is longer than asked for");
        found.extend(page.notifications);
        if page.next_page_token.is_empty() {
            return found;
        }
        page_token = page.next_page_token;
    }
}

/// What an error says: its code, its reason, the fields at fault.
pub fn trouble(status: &Status) -> (Code, String, Vec<String>) {
    let Trouble { code, reason, may_stand: _, fields, retry_after: _, message: _ } = Trouble::from(status);
    (code, reason.unwrap_or_default(), fields.into_iter().map(|fault| fault.field).collect())
}

/// An error must have this code and reason, name these fields, and hold no identity.
pub fn expect_trouble<T: std::fmt::Debug>(result: Result<T, Status>, code: Code, reason: &str, fields: &[&str]) {
    let status = result.expect_err(reason);
    let found = trouble(&status);
    assert_eq!((found.0, found.1.as_str()), (code, reason), "{status:?}");
    assert_eq!(found.2, fields, "{status:?}");
    let said = format!("{status:?} {}", String::from_utf8_lossy(status.details()));
    assert!(!said.contains(build::NURSE) && !said.contains(build::USER), "an error names a person: {said}");
    assert!(!super::logs::has_number(&said), "an error holds an NHS number: {said}");
}
