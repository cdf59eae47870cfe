//! Loading, readiness, deadlines, and the end.

use std::sync::atomic::Ordering;

use kith_server::engine_slot::OpenFailure;
use kith_server::serve::Ending;
use tokio::net::TcpStream;
use tokio_stream::StreamExt;
use tonic::Code;
use tonic::transport::Channel;
use tonic_health::ServingStatus;
use tonic_health::pb::HealthCheckRequest;
use tonic_health::pb::health_client::HealthClient;
use tonic_reflection::pb::v1::ServerReflectionRequest;
use tonic_reflection::pb::v1::server_reflection_client::ServerReflectionClient;
use tonic_reflection::pb::v1::server_reflection_request::MessageRequest;
use tonic_reflection::pb::v1::server_reflection_response::MessageResponse;
use tonic_types::StatusExt;

use crate::harness::{ED, LA, TestServer, call, client};
use crate::probe::{PANIC, SERVICE};

async fn health(channel: &Channel, service: &str) -> i32 {
    let request = HealthCheckRequest { service: service.to_owned() };
    HealthClient::new(channel.clone()).check(request).await.unwrap().into_inner().status
}

#[test]
fn nothing_is_answered_while_loading_and_health_says_so() {
    let server = TestServer::loading(|_| {});
    client(async {
        let channel = server.channel(ED).await;
        for service in ["", SERVICE] {
            assert_eq!(health(&channel, service).await, ServingStatus::NotServing as i32, "{service:?}");
        }
        let refused = call(&channel, "Ask", &[]).await;
        assert_eq!(refused.code(), Code::Unavailable);
        assert_eq!(refused.get_details_error_info().unwrap().reason, "LOADING");
        assert_eq!(refused.get_details_error_info().unwrap().domain, "kith");
        assert!(refused.get_details_retry_info().is_some());

        let request = HealthCheckRequest { service: SERVICE.to_owned() };
        let mut watch = HealthClient::new(channel.clone()).watch(request).await.unwrap().into_inner();
        assert_eq!(watch.next().await.unwrap().unwrap().status, ServingStatus::NotServing as i32);
        server.open.send(Ok(())).unwrap();
        assert_eq!(watch.next().await.unwrap().unwrap().status, ServingStatus::Serving as i32);
        while health(&channel, "").await != ServingStatus::Serving as i32 {
            tokio::task::yield_now().await;
        }
        assert_eq!(call(&channel, "Ask", &[]).await.code(), Code::Ok);
    });
}

#[test]
fn a_store_that_does_not_open_leaves_the_server_listening_with_the_reason() {
    let failure = OpenFailure::new(OpenFailure::DATA_LOSS_SUSPECTED, "recovered 5, acknowledged 9");
    assert_eq!(reason_told(failure), "DATA_LOSS_SUSPECTED");
}

#[test]
fn a_panic_while_opening_is_no_endless_loading() {
    assert_eq!(reason_told(OpenFailure::new(PANIC, "")), "STORE_NOT_OPENED");
}

/// What callers are told when opening comes to this.
fn reason_told(failure: OpenFailure) -> String {
    let server = TestServer::loading(|_| {});
    server.open.send(Err(failure)).unwrap();
    client(async {
        let channel = server.channel(ED).await;
        let reason = loop {
            let refused = call(&channel, "Ask", &[]).await;
            assert_eq!(refused.code(), Code::Unavailable);
            let reason = refused.get_details_error_info().unwrap().reason;
            if reason != "LOADING" {
                break reason;
            }
        };
        assert_eq!(health(&channel, "").await, ServingStatus::NotServing as i32);
        assert_eq!(health(&channel, SERVICE).await, ServingStatus::NotServing as i32);
        reason
    })
}

#[test]
fn a_passed_deadline_is_never_cancelled_over_the_wire() {
    let server = TestServer::ready(|config| config.limits.request_timeout_ms = 310);
    client(async {
        let mut wire = server.wire_client(ED).await;
        for timeout in ["0n", "1n", "100u", "1m", "5m", "20m"] {
            let calls: Vec<_> = (0..50).map(|_| wire.send("Wait", Some(timeout))).collect();
            for call in calls {
                let status = call.await;
                assert_eq!(status.code(), Code::DeadlineExceeded, "{timeout}: {status:?}");
            }
        }
        assert_eq!(wire.send("Wait", None).await.code(), Code::DeadlineExceeded);
        assert_eq!(wire.send("Who", Some("soon")).await.code(), Code::InvalidArgument);
        assert_eq!(wire.send("Who", Some("5S")).await.code(), Code::Ok);
    });
}

#[test]
fn calls_beyond_the_bound_are_refused_with_when_to_try_again() {
    let server = TestServer::ready(|config| config.limits.max_in_flight = 1);
    client(async {
        let channel = server.channel(ED).await;
        let busy = channel.clone();
        let held = tokio::spawn(async move { call(&busy, "Wait", &[("grpc-timeout", "60S")]).await });
        let refused = loop {
            let status = call(&channel, "Who", &[]).await;
            if status.code() != Code::Ok {
                break status;
            }
        };
        assert_eq!(refused.code(), Code::ResourceExhausted);
        assert_eq!(refused.get_details_error_info().unwrap().reason, "OVERLOADED");
        assert!(refused.get_details_retry_info().is_some());
        assert_eq!(health(&channel, "").await, ServingStatus::Serving as i32);
        held.abort();
        while call(&channel, "Who", &[]).await.code() != Code::Ok {
            tokio::task::yield_now().await;
        }
    });
}

#[test]
fn one_organisation_cannot_hold_everybodys_places() {
    let server = TestServer::ready(|config| config.limits.max_in_flight = 8);
    client(async {
        let channel = server.channel(ED).await;
        let hold = |_| {
            let busy = channel.clone();
            tokio::spawn(async move { call(&busy, "Wait", &[("grpc-timeout", "60S")]).await })
        };
        // A quarter of the places is its share.
        let held: Vec<_> = (0..2).map(hold).collect();
        while call(&channel, "Who", &[]).await.code() == Code::Ok {}
        let refused = call(&channel, "Who", &[]).await;
        assert_eq!(refused.code(), Code::ResourceExhausted);
        let another = server.channel(LA).await;
        for _ in 0..20 {
            assert_eq!(call(&another, "Who", &[]).await.code(), Code::Ok, "another organisation is answered");
        }
        held.iter().for_each(|call| call.abort());
        while call(&channel, "Who", &[]).await.code() != Code::Ok {
            tokio::task::yield_now().await;
        }
    });
}

#[test]
fn reflection_lists_the_services_and_knows_the_error_details() {
    let server = TestServer::ready(|_| {});
    client(async {
        let channel = server.channel(ED).await;
        let ask = |message| ServerReflectionRequest { host: String::new(), message_request: Some(message) };
        let requests = tokio_stream::iter([
            ask(MessageRequest::ListServices(String::new())),
            ask(MessageRequest::FileContainingSymbol(String::from("google.rpc.ErrorInfo"))),
        ]);
        let mut client = ServerReflectionClient::new(channel.clone());
        let mut answers = client.server_reflection_info(requests).await.unwrap().into_inner();
        let listed = answers.next().await.unwrap().unwrap().message_response.unwrap();
        let MessageResponse::ListServicesResponse(listed) = listed else { panic!("{listed:?}") };
        assert!(listed.service.iter().any(|service| service.name == "grpc.health.v1.Health"));
        let found = answers.next().await.unwrap().unwrap().message_response.unwrap();
        assert!(matches!(found, MessageResponse::FileDescriptorResponse(_)), "{found:?}");

        use tonic_reflection::pb::v1alpha as old;
        let request = old::ServerReflectionRequest {
            host: String::new(),
            message_request: Some(old::server_reflection_request::MessageRequest::ListServices(String::new())),
        };
        let mut client = old::server_reflection_client::ServerReflectionClient::new(channel);
        let answer =
            client.server_reflection_info(tokio_stream::iter([request])).await.unwrap().into_inner().next().await;
        assert!(answer.unwrap().is_ok());
    });
}

#[test]
fn a_drain_lets_calls_end_and_watches_see_it() {
    let mut server = TestServer::ready(|_| {});
    let waiting = server.wait();
    client(async {
        let channel = server.channel(ED).await;
        let request = HealthCheckRequest { service: String::new() };
        let mut watch = HealthClient::new(channel.clone()).watch(request).await.unwrap().into_inner();
        assert_eq!(watch.next().await.unwrap().unwrap().status, ServingStatus::Serving as i32);
        let held = held(&server, "700m").await;
        server.stop.drain();
        assert_eq!(watch.next().await.unwrap().unwrap().status, ServingStatus::NotServing as i32);
        assert!(watch.next().await.is_none());
        assert_eq!(held.await.code(), Code::DeadlineExceeded, "the call was cut");
        assert!(TcpStream::connect(server.address).await.is_err());
    });
    assert_eq!(waiting.join().unwrap(), Ending::Drained);
    assert!(server.closed.load(Ordering::SeqCst), "the engine was not closed");
}

/// A call that has reached its handler: a later one on the same connection was already answered.
async fn held(server: &TestServer, timeout: &str) -> impl Future<Output = tonic::Status> + use<> {
    let mut wire = server.wire_client(ED).await;
    let held = wire.send("Wait", Some(timeout));
    assert_eq!(wire.send("Who", None).await.code(), Code::Ok);
    held
}

#[test]
fn a_drain_ends_at_its_limit() {
    let mut server = TestServer::ready(|config| config.server.drain_limit_ms = 50);
    let waiting = server.wait();
    client(async {
        let held = held(&server, "60S").await;
        server.stop.drain();
        assert_eq!(held.await.code(), Code::Unknown, "the call was not cut");
    });
    assert_eq!(waiting.join().unwrap(), Ending::LimitReached);
    assert!(server.closed.load(Ordering::SeqCst), "the engine was not closed");
}

#[test]
fn a_second_order_ends_everything_at_once() {
    let mut server = TestServer::ready(|config| config.server.drain_limit_ms = 60_000);
    let waiting = server.wait();
    client(async {
        let held = held(&server, "60S").await;
        server.stop.drain();
        server.stop.end_now();
        assert_eq!(held.await.code(), Code::Unknown, "the call was not cut");
    });
    assert_eq!(waiting.join().unwrap(), Ending::AtOnce);
}

#[test]
fn a_server_that_is_still_loading_stops_too() {
    let mut server = TestServer::loading(|_| {});
    let waiting = server.wait();
    server.stop.drain();
    assert_eq!(waiting.join().unwrap(), Ending::Drained);
}

#[test]
fn an_order_while_opening_closes_what_was_opened() {
    let mut server = TestServer::loading(|_| {});
    let waiting = server.wait();
    server.stop.drain();
    server.open.send(Ok(())).unwrap();
    assert_eq!(waiting.join().unwrap(), Ending::Drained);
    assert!(server.closed.load(Ordering::SeqCst), "the engine was left unclosed");
}

#[test]
fn health_is_held_back_while_the_engine_cannot_answer() {
    let server = TestServer::ready(|_| {});
    client(async {
        let channel = server.channel(ED).await;
        for (can_answer, status) in [(false, ServingStatus::NotServing), (true, ServingStatus::Serving)] {
            server.can_answer.store(can_answer, Ordering::SeqCst);
            while health(&channel, SERVICE).await != status as i32 {
                tokio::task::yield_now().await;
            }
        }
    });
}

#[test]
fn an_unknown_method_has_a_stable_reason() {
    let server = TestServer::ready(|_| {});
    client(async {
        let channel = server.channel(ED).await;
        let refused = call(&channel, "NoSuchMethod", &[]).await;
        assert_eq!(refused.code(), Code::Unimplemented);
        assert_eq!(refused.get_details_error_info().unwrap().reason, "UNKNOWN_METHOD");
    });
}
