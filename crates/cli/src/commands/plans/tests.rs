//! Pushes against a plan service in this process: verdicts in order, refusals, a stream that breaks, and the sign of life.

use std::net::SocketAddr;
use std::pin::Pin;

use tokio_stream::{Stream, StreamExt};
use tonic::transport::{Endpoint, Server, server::TcpIncoming};
use tonic::{Request, Response, Status};
use v1::plan_service_server::{PlanService, PlanServiceServer};
use v1::submit_events_request::Item;
use v1::submit_events_response::Verdict;

use super::*;
use crate::exit::Exit;

/// Refuses version 13; breaks off after so many verdicts.
struct Service {
    verdicts: usize,
    shuffled: bool,
}

fn verdict(item: Item, shuffled: bool) -> Verdict {
    match item {
        Item::Event(event) if event.version == 13 => Verdict::Refusal(v1::Refusal {
            event_id: event.event_id,
            field: "nhs_number".into(),
            reason: "NHS_NUMBER_CHECK_DIGIT".into(),
            words: "wrong check digit".into(),
            retry: false,
        }),
        Item::Event(event) => Verdict::Acknowledgement(v1::Acknowledgement {
            event_id: if shuffled { "another".into() } else { event.event_id },
            repeated: event.version == 2,
            effect: if event.version == 1 { v1::Effect::Overtaken.into() } else { v1::Effect::Applied.into() },
            ..Default::default()
        }),
        Item::Heartbeat(beat) => {
            Verdict::Acknowledgement(v1::Acknowledgement { event_id: beat.event_id, ..Default::default() })
        }
    }
}

#[tonic::async_trait]
impl PlanService for Service {
    type SubmitEventsStream = Pin<Box<dyn Stream<Item = Result<v1::SubmitEventsResponse, Status>> + Send>>;

    async fn submit_events(
        &self,
        request: Request<Streaming<v1::SubmitEventsRequest>>,
    ) -> Result<Response<Self::SubmitEventsStream>, Status> {
        let shuffled = self.shuffled;
        let answered = request.into_inner().map(move |message| {
            let item = message?.item.ok_or_else(|| Status::invalid_argument("no item"))?;
            Ok(v1::SubmitEventsResponse { verdict: Some(verdict(item, shuffled)) })
        });
        Ok(Response::new(Box::pin(answered.take(self.verdicts))))
    }
}

async fn serve(service: Service) -> SocketAddr {
    let incoming = TcpIncoming::bind("127.0.0.1:0".parse().unwrap()).unwrap();
    let address = incoming.local_addr().unwrap();
    let server = Server::builder().add_service(PlanServiceServer::new(service));
    tokio::spawn(server.serve_with_incoming(incoming));
    address
}

fn events(versions: impl IntoIterator<Item = u64>) -> Loaded<v1::PlanEvent> {
    let event = |version: u64| v1::PlanEvent { event_id: Uuid::new_v4().to_string(), version, ..Default::default() };
    let items = versions.into_iter().enumerate().map(|(at, version)| (at as u64 + 2, event(version))).collect();
    Loaded { items, refused: Vec::new() }
}

async fn submitted(service: Service, loaded: Loaded<v1::PlanEvent>) -> Report {
    let address = serve(service).await;
    let channel = Endpoint::from_shared(format!("http://{address}")).unwrap().connect().await.unwrap();
    submit(PlanServiceClient::new(channel), loaded, &ProgressBar::hidden()).await
}

fn endless() -> Service {
    Service { verdicts: usize::MAX, shuffled: false }
}

#[tokio::test]
async fn more_than_the_window_is_sent_and_counted() {
    let report = submitted(endless(), events((0..3000).map(|at| at % 5 + 1))).await;
    assert_eq!((report.acknowledged, report.repeated, report.overtaken), (3000, 600, Some(600)));
    assert_eq!((report.exit(), report.heartbeat), (Exit::Done, Some(true)));
}

#[tokio::test]
async fn a_refused_event_names_its_line_and_the_others_are_taken() {
    let report = submitted(endless(), events([3, 13, 3])).await;
    assert_eq!((report.acknowledged, report.refused, report.exit()), (2, 1, Exit::ChangeRefused));
    assert!(report.text().contains("line 3, nhs_number: wrong check digit"), "{}", report.text());
    assert_eq!(report.heartbeat, Some(true));
}

#[tokio::test]
async fn a_broken_stream_counts_only_what_was_acknowledged() {
    let report = submitted(Service { verdicts: 400, shuffled: false }, events(std::iter::repeat_n(3, 1000))).await;
    assert_eq!((report.acknowledged, report.exit()), (400, Exit::CouldNotAsk));
    assert!(report.text().contains("600 have no answer. The file can be sent again."), "{}", report.text());
}

#[tokio::test]
async fn a_feed_whose_rows_all_fail_is_not_called_alive() {
    let report = submitted(endless(), events([13, 13])).await;
    assert_eq!((report.heartbeat, report.exit()), (Some(false), Exit::ChangeRefused));
    assert!(report.text().contains("not marked as alive"), "{}", report.text());
}

#[tokio::test]
async fn a_file_without_rows_is_a_sign_of_life() {
    let report = submitted(endless(), events([])).await;
    assert_eq!((report.heartbeat, report.exit()), (Some(true), Exit::Done));
}

#[tokio::test]
async fn a_verdict_of_another_event_is_not_counted() {
    let report = submitted(Service { verdicts: usize::MAX, shuffled: true }, events([3])).await;
    assert_eq!((report.acknowledged, report.exit()), (0, Exit::CouldNotAsk));
}

#[tokio::test]
async fn a_service_that_is_gone_is_could_not_ask() {
    let address = serve(endless()).await;
    let channel = Endpoint::from_shared(format!("http://127.0.0.1:1/{address}")).unwrap().connect_lazy();
    let report = submit(PlanServiceClient::new(channel), events([3]), &ProgressBar::hidden()).await;
    assert_eq!((report.acknowledged, report.exit()), (0, Exit::CouldNotAsk));
}
