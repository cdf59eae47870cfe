//! Tests of deadlines and of the bound on calls in progress, with time held still by the test.

mod fallen;
mod rounds;

use std::convert::Infallible;
use std::sync::atomic::{AtomicBool, Ordering};

use super::*;
use crate::identity::PeerIdentity;
use kith_domain::caller::Role;
use kith_domain::method::Method;
use tonic::Code;
use tonic_types::StatusExt;

/// What the service behind the layer does.
#[derive(Clone, Copy)]
enum Behaviour {
    Answer,
    NeverAnswer,
    NeverEndBody,
}

/// A body that never ends.
struct Endless;

impl HttpBody for Endless {
    type Data = Bytes;
    type Error = tonic::Status;

    fn poll_frame(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, tonic::Status>>> {
        Poll::Pending
    }
}

fn service(
    layer: &CallLimitsLayer,
    behaviour: Behaviour,
) -> impl Service<Request<Body>, Response = Response<Body>, Error = Infallible, Future: Send> + use<> {
    layer.layer(tower::service_fn(move |_: Request<Body>| async move {
        match behaviour {
            Behaviour::Answer => Ok(tonic::Status::new(Code::Ok, "").into_http()),
            Behaviour::NeverAnswer => std::future::pending().await,
            Behaviour::NeverEndBody => Ok(Response::new(Body::new(Endless))),
        }
    }))
}

/// With so many calls in progress at once, a quarter of them streams and a quarter of one organisation.
fn with_places(max_in_flight: usize) -> CallLimitsLayer {
    CallLimitsLayer::new(&Limits { max_in_flight, ..Limits::default() }, Edge::default())
}

fn layer() -> CallLimitsLayer {
    with_places(8)
}

fn request(path: &str, timeout: Option<&str>) -> Request<Body> {
    let mut request = Request::builder().uri(path);
    if let Some(timeout) = timeout {
        request = request.header(TIMEOUT_HEADER, timeout);
    }
    request.body(Body::default()).unwrap()
}

const UNARY: &str = "/kith.v1.LookupService/Lookup";

async fn outcome(behaviour: Behaviour, path: &str, timeout: Option<&str>) -> (Option<Code>, Duration) {
    let began = Instant::now();
    let call = service(&layer(), behaviour).call(request(path, timeout));
    let patience = Duration::from_secs(100_000);
    let response = tokio::time::timeout(patience, call).await;
    let code = response.ok().map(|response| {
        tonic::Status::from_header_map(response.unwrap().headers()).map_or(Code::Ok, |status| status.code())
    });
    (code, began.elapsed())
}

#[tokio::test(start_paused = true)]
async fn a_passed_deadline_is_deadline_exceeded() {
    for (timeout, expected) in [("20m", 20), ("2S", 2_000), ("1M", 60_000), ("3000u", 3)] {
        let (code, elapsed) = outcome(Behaviour::NeverAnswer, UNARY, Some(timeout)).await;
        assert_eq!((code, elapsed.as_millis()), (Some(Code::DeadlineExceeded), expected), "{timeout}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_deadline_of_nothing_is_deadline_exceeded() {
    for timeout in ["0n", "1n", "0S"] {
        assert_eq!(outcome(Behaviour::NeverAnswer, UNARY, Some(timeout)).await.0, Some(Code::DeadlineExceeded));
    }
}

#[tokio::test(start_paused = true)]
async fn a_unary_call_without_a_deadline_gets_the_default_one() {
    let (code, elapsed) = outcome(Behaviour::NeverAnswer, UNARY, None).await;
    assert_eq!((code, elapsed.as_secs()), (Some(Code::DeadlineExceeded), 5));
}

#[tokio::test(start_paused = true)]
async fn a_client_may_set_a_longer_deadline_than_the_default() {
    let (code, elapsed) = outcome(Behaviour::NeverAnswer, UNARY, Some("30S")).await;
    assert_eq!((code, elapsed.as_secs()), (Some(Code::DeadlineExceeded), 30));
}

/// A call that is begun and never sent whole, with a deadline that never comes, would hold its places for good.
#[tokio::test(start_paused = true)]
async fn no_client_may_set_a_later_deadline_than_the_latest() {
    for timeout in ["61S", "1H", "99999999H"] {
        let (code, elapsed) = outcome(Behaviour::NeverAnswer, UNARY, Some(timeout)).await;
        assert_eq!((code, elapsed.as_secs()), (Some(Code::DeadlineExceeded), 60), "{timeout}");
    }
    for (path, of_its_own) in [(STREAMING[0], 3_600), (STREAMING[3], 60), ("/grpc.health.v1.Health/Check", 60)] {
        let (code, elapsed) = outcome(Behaviour::NeverAnswer, path, Some("1H")).await;
        assert_eq!((code, elapsed.as_secs()), (Some(Code::DeadlineExceeded), of_its_own), "{path}");
    }
}

#[tokio::test(start_paused = true)]
async fn calls_that_are_never_sent_whole_give_their_places_back_at_the_latest_deadline() {
    let (layer, standing) = (roomy(), Arc::<Standing>::default());
    let asked = || {
        let mut request = over(&standing, UNARY);
        request.headers_mut().insert(TIMEOUT_HEADER, http::HeaderValue::from_static("99999999H"));
        request
    };
    let calls: Vec<_> = (0..16).map(|_| tokio::spawn(service(&layer, Behaviour::NeverAnswer).call(asked()))).collect();
    tokio::time::sleep(Duration::from_secs(59)).await;
    let refused = service(&layer, Behaviour::Answer).call(asked()).await.unwrap();
    assert_eq!(told(refused.headers()), (Code::ResourceExhausted, String::from("OVERLOADED")), "a quarter of 64");
    for call in calls {
        assert_eq!(told(call.await.unwrap().unwrap().headers()).0, Code::DeadlineExceeded);
    }
    let answered = service(&layer, Behaviour::Answer).call(asked()).await.unwrap();
    assert_eq!(told(answered.headers()).0, Code::Ok);
}

#[tokio::test(start_paused = true)]
async fn streams_have_no_default_deadline_but_keep_their_own() {
    for path in STREAMING {
        let ends = SOON_ENDED.contains(&path).then_some(Code::DeadlineExceeded);
        assert_eq!(outcome(Behaviour::NeverAnswer, path, None).await.0, ends, "{path}");
        assert_eq!(outcome(Behaviour::NeverAnswer, path, Some("1S")).await.0, Some(Code::DeadlineExceeded), "{path}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_bad_timeout_is_an_invalid_argument() {
    for timeout in ["", "5", "S", "123456789S", "-1S", "+1S", "1s", "1 S", "1.5S", "0x1S", "1SS"] {
        let (code, _) = outcome(Behaviour::Answer, UNARY, Some(timeout)).await;
        assert_eq!(code, Some(Code::InvalidArgument), "{timeout:?}");
    }
    let twice = Request::builder().uri(UNARY).header(TIMEOUT_HEADER, "1S").header(TIMEOUT_HEADER, "2S");
    let response = service(&layer(), Behaviour::Answer).call(twice.body(Body::default()).unwrap()).await.unwrap();
    let status = tonic::Status::from_header_map(response.headers()).unwrap();
    assert_eq!(status.code(), Code::InvalidArgument);
    assert_eq!(status.get_details_bad_request().unwrap().field_violations[0].field, "grpc-timeout");
}

#[tokio::test(start_paused = true)]
async fn the_longest_timeout_is_accepted() {
    assert_eq!(outcome(Behaviour::Answer, UNARY, Some("99999999H")).await.0, Some(Code::Ok));
}

#[tokio::test(start_paused = true)]
async fn a_stream_that_outlives_its_deadline_ends_with_it_in_the_trailers() {
    let mut service = service(&layer(), Behaviour::NeverEndBody);
    let response = service.call(request(STREAMING[2], Some("1S"))).await.unwrap();
    let mut body = std::pin::pin!(response.into_body());
    let next = std::future::poll_fn(|cx| body.as_mut().poll_frame(cx));
    let frame = tokio::time::timeout(Duration::from_secs(2), next).await.expect("no end").unwrap().unwrap();
    let status = tonic::Status::from_header_map(frame.trailers_ref().unwrap()).unwrap();
    assert_eq!(status.code(), Code::DeadlineExceeded);
    assert_eq!(status.get_details_error_info().unwrap().reason, "DEADLINE_EXCEEDED");
    assert!(std::future::poll_fn(|cx| body.as_mut().poll_frame(cx)).await.is_none());
}

#[tokio::test(start_paused = true)]
async fn calls_beyond_the_bound_are_refused_until_a_body_ends() {
    let layer = layer();
    let mut service = service(&layer, Behaviour::NeverEndBody);
    let first = service.call(request(STREAMING[2], None)).await.unwrap();
    let _second = service.call(request(STREAMING[2], None)).await.unwrap();

    let refused = service.call(request(STREAMING[2], None)).await.unwrap();
    let status = tonic::Status::from_header_map(refused.headers()).unwrap();
    assert_eq!(status.code(), Code::ResourceExhausted);
    assert_eq!(status.get_details_error_info().unwrap().reason, "OVERLOADED");
    assert!(status.get_details_retry_info().unwrap().retry_delay.is_some());

    let health = service.call(request("/grpc.health.v1.Health/Check", None)).await.unwrap();
    assert!(tonic::Status::from_header_map(health.headers()).is_none(), "health is never shed");

    drop(first);
    let admitted = service.call(request(STREAMING[2], None)).await.unwrap();
    assert!(tonic::Status::from_header_map(admitted.headers()).is_none());
    assert_eq!((layer.streams.held(), layer.in_flight.held()), (2, 0), "streams never take the places of questions");
}

/// A request over a connection with this standing.
fn over(standing: &Arc<Standing>, path: &str) -> Request<Body> {
    let peer = PeerIdentity { organisation: String::from("R1H"), role: Role::Ed };
    let address = std::net::SocketAddr::from(([127, 0, 0, 1], 1));
    let mut request = request(path, None);
    request.extensions_mut().insert(ConnectInfo::new(Arc::new(peer), address, Arc::clone(standing), Arc::default()));
    request
}

/// With room for the calls of one organisation, and four streams of it.
fn roomy() -> CallLimitsLayer {
    with_places(64)
}

fn told(headers: &HeaderMap) -> (Code, String) {
    let status = tonic::Status::from_header_map(headers).unwrap();
    (status.code(), status.get_details_error_info().map_or_else(String::new, |info| info.reason))
}

fn not_trusted() -> (Code, String) {
    (Code::Unauthenticated, String::from("CERTIFICATE_NOT_TRUSTED"))
}

#[tokio::test(start_paused = true)]
async fn a_call_under_a_fallen_certificate_is_refused_health_included() {
    let (layer, standing) = (roomy(), Arc::<Standing>::default());
    let other = Arc::<Standing>::default();
    standing.fall();
    for path in [UNARY, STREAMING[0], "/grpc.health.v1.Health/Check"] {
        let response = service(&layer, Behaviour::Answer).call(over(&standing, path)).await.unwrap();
        assert_eq!(told(response.headers()), not_trusted(), "{path}");
        let response = service(&layer, Behaviour::Answer).call(over(&other, path)).await.unwrap();
        assert_eq!(told(response.headers()).0, Code::Ok, "{path}");
    }
    let now = Instant::now();
    assert!(standing.closes_at(Some(now)).is_some_and(|at| at < now + Duration::from_secs(1)), "the peer was told");
}

#[tokio::test(start_paused = true)]
async fn a_call_ends_when_its_certificate_falls_whether_or_not_it_lasts_and_nobody_elses_does() {
    let (layer, standing) = (roomy(), Arc::<Standing>::default());
    let answered = service(&layer, Behaviour::NeverEndBody).call(over(&standing, STREAMING[0])).await.unwrap();
    let mut body = std::pin::pin!(answered.into_body());
    let other = service(&layer, Behaviour::NeverEndBody).call(over(&Arc::default(), STREAMING[0])).await.unwrap();
    let mut other = std::pin::pin!(other.into_body());
    let unary = tokio::spawn(service(&layer, Behaviour::NeverAnswer).call(over(&standing, UNARY)));
    drop(tokio::time::timeout(Duration::from_millis(1), std::future::poll_fn(|cx| body.as_mut().poll_frame(cx))).await);
    standing.fall();
    let frame = std::future::poll_fn(|cx| body.as_mut().poll_frame(cx)).await.unwrap().unwrap();
    assert_eq!(told(frame.trailers_ref().unwrap()), not_trusted());
    assert!(std::future::poll_fn(|cx| body.as_mut().poll_frame(cx)).await.is_none());
    assert_eq!(told(unary.await.unwrap().unwrap().headers()), not_trusted());
    let next = std::future::poll_fn(|cx| other.as_mut().poll_frame(cx));
    assert!(tokio::time::timeout(Duration::from_secs(100), next).await.is_err(), "another's stream ended");
}

/// A request whose message comes when the test sends it.
struct Withheld(tokio::sync::oneshot::Receiver<Bytes>);

impl HttpBody for Withheld {
    type Data = Bytes;
    type Error = tonic::Status;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, tonic::Status>>> {
        Pin::new(&mut self.0).poll(cx).map(|message| message.ok().map(|message| Ok(Frame::data(message))))
    }
}

/// The head of a call costs its sender nothing, and can be there long before its message.
#[tokio::test(start_paused = true)]
async fn a_message_that_comes_after_the_fall_is_not_asked() {
    let (layer, standing) = (roomy(), Arc::<Standing>::default());
    let asked = Arc::new(AtomicBool::new(false));
    let asks = Arc::clone(&asked);
    let mut service = layer.layer(tower::service_fn(move |request: Request<Body>| {
        let asks = Arc::clone(&asks);
        async move {
            let mut body = request.into_body();
            let message = poll_fn(|cx| Pin::new(&mut body).poll_frame(cx)).await;
            asks.store(message.is_some(), Ordering::Relaxed);
            Ok::<Response<Body>, Infallible>(tonic::Status::new(Code::Ok, "").into_http())
        }
    }));
    let (message, withheld) = tokio::sync::oneshot::channel();
    let request = over(&standing, UNARY).map(|_| Body::new(Withheld(withheld)));
    let call = tokio::spawn(service.call(request));
    tokio::task::yield_now().await;
    // Both before the call can see either.
    standing.fall();
    message.send(Bytes::from_static(b"a question")).unwrap();
    assert_eq!(told(call.await.unwrap().unwrap().headers()), not_trusted());
    assert!(!asked.load(Ordering::Relaxed));
    let soon = Instant::now() + Duration::from_secs(10);
    assert!(standing.closes_at(None).is_some_and(|at| at < soon), "the peer was told");
    assert_eq!(counted(&layer), [(Some(Method::Lookup), "CERTIFICATE_NOT_TRUSTED", 1)]);
}

#[tokio::test(start_paused = true)]
async fn no_answer_leaves_after_the_fall() {
    let (layer, standing) = (roomy(), Arc::<Standing>::default());
    let mut service = layer.layer(tower::service_fn(|_: Request<Body>| async {
        Ok::<_, Infallible>(Response::new(Body::new(http_body_util::Full::new(Bytes::from_static(b"an answer")))))
    }));
    let mut body = service.call(over(&standing, UNARY)).await.unwrap().into_body();
    standing.fall();
    let frame = poll_fn(|cx| Pin::new(&mut body).poll_frame(cx)).await.unwrap().unwrap();
    assert_eq!(told(frame.trailers_ref().expect("no answer")), not_trusted());
    assert!(poll_fn(|cx| Pin::new(&mut body).poll_frame(cx)).await.is_none());
}

#[tokio::test(start_paused = true)]
async fn a_stream_that_was_not_answered_yet_ends_as_well() {
    let (layer, standing) = (roomy(), Arc::<Standing>::default());
    let call = tokio::spawn(service(&layer, Behaviour::NeverAnswer).call(over(&standing, STREAMING[1])));
    tokio::time::sleep(Duration::from_secs(100)).await;
    standing.fall();
    assert_eq!(told(call.await.unwrap().unwrap().headers()), not_trusted());
}

#[tokio::test(start_paused = true)]
async fn an_answer_counts_when_its_bytes_are_asked_for() {
    use crate::answer_times::{AnswerTimes, Decoded};
    let times = Arc::new(AnswerTimes::default());
    let counted = |times: &AnswerTimes| times.lookup.read().cumulative.last().copied();
    let answering = Arc::clone(&times);
    let mut service = layer().layer(tower::service_fn(move |_: Request<Body>| {
        let times = Arc::clone(&answering);
        async move {
            Decoded::now().until_encoded(&times, |times| &times.lookup);
            Ok::<_, Infallible>(Response::new(Body::new(http_body_util::Full::new(Bytes::from_static(b"answer")))))
        }
    }));
    let mut body = service.call(request(UNARY, None)).await.unwrap().into_body();
    assert_eq!(counted(&times), Some(0), "nothing is encoded yet");
    let frame = poll_fn(|cx| Pin::new(&mut body).poll_frame(cx)).await.unwrap().unwrap();
    assert_eq!(frame.into_data().unwrap(), "answer");
    assert_eq!(counted(&times), Some(1));
    while poll_fn(|cx| Pin::new(&mut body).poll_frame(cx)).await.is_some() {}
    assert_eq!(counted(&times), Some(1), "once");
}

#[tokio::test(start_paused = true)]
async fn more_headers_than_allowed_are_refused_however_short() {
    for (count, expected) in [(64, Code::Ok), (65, Code::ResourceExhausted)] {
        let mut request = request(UNARY, None);
        for number in 0..count {
            let name = http::HeaderName::try_from(format!("x-{}", number % 10)).unwrap();
            request.headers_mut().append(name, http::HeaderValue::from_static(""));
        }
        let response = service(&layer(), Behaviour::Answer).call(request).await.unwrap();
        assert_eq!(told(response.headers()).0, expected, "{count}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_call_holds_its_places_until_its_bytes_are_taken() {
    let (layer, standing) = (roomy(), Arc::<Standing>::default());
    let request = over(&standing, UNARY);
    let activity = Arc::clone(request.extensions().get::<ConnectInfo>().unwrap().activity());
    let mut service = layer.layer(tower::service_fn(|_: Request<Body>| async {
        Ok::<_, Infallible>(Response::new(Body::new(http_body_util::Full::new(Bytes::from_static(b"an answer")))))
    }));
    let mut body = Box::pin(service.call(request).await.unwrap().into_body());
    let frame = std::future::poll_fn(|cx| body.as_mut().poll_frame(cx)).await.unwrap().unwrap();
    let bytes = frame.into_data().unwrap();
    assert!(std::future::poll_fn(|cx| body.as_mut().poll_frame(cx)).await.is_none());
    drop(body);
    assert_eq!(bytes, Bytes::from_static(b"an answer"));
    assert_eq!(layer.in_flight.held(), 1, "the transport holds the bytes");
    assert!(activity.takings().waiting_since().is_some());
    drop(bytes);
    assert_eq!(layer.in_flight.held(), 0);
    assert!(activity.takings().waiting_since().is_none());
}

#[tokio::test(start_paused = true)]
async fn one_organisation_cannot_hold_everybodys_streams() {
    let (layer, standing) = (roomy(), Arc::<Standing>::default());
    let mut held = Vec::new();
    for number in 0..5 {
        let response = service(&layer, Behaviour::NeverEndBody).call(over(&standing, STREAMING[3])).await.unwrap();
        let refused = tonic::Status::from_header_map(response.headers()).map(|status| status.code());
        assert_eq!(refused, (number == 4).then_some(Code::ResourceExhausted), "{number}");
        held.push(response);
    }
    assert_eq!((layer.streams.held(), layer.in_flight.held()), (4, 0), "a quarter of the places for streams");
    let response = service(&layer, Behaviour::Answer).call(over(&standing, UNARY)).await.unwrap();
    assert_eq!(told(response.headers()).0, Code::Ok, "questions have places of their own");
}

/// The refusals that are counted for the audit.
fn counted(layer: &CallLimitsLayer) -> Vec<(Option<Method>, &'static str, u64)> {
    layer.edge.told()
}

#[tokio::test(start_paused = true)]
async fn every_refusal_of_this_layer_is_counted_for_the_audit() {
    let (layer, standing) = (roomy(), Arc::<Standing>::default());
    let lookup = Some(Method::Lookup);
    let mut odd = over(&standing, UNARY);
    odd.headers_mut().insert(TIMEOUT_HEADER, http::HeaderValue::from_static("soon"));
    drop(service(&layer, Behaviour::Answer).call(odd).await);
    let mut large = over(&standing, UNARY);
    large.headers_mut().insert("x", http::HeaderValue::try_from("y".repeat(20_000)).unwrap());
    drop(service(&layer, Behaviour::Answer).call(large).await);
    let mut many = over(&standing, UNARY);
    for _ in 0..65 {
        many.headers_mut().append("x", http::HeaderValue::from_static(""));
    }
    drop(service(&layer, Behaviour::Answer).call(many).await);
    drop(service(&layer, Behaviour::Answer).call(over(&standing, UNARY)).await);
    let mut expected =
        vec![(lookup, "BAD_GRPC_TIMEOUT", 1), (lookup, "HEADERS_TOO_LARGE", 1), (lookup, "TOO_MANY_HEADERS", 1)];
    assert_eq!(counted(&layer), expected, "in the order of codes, and nothing of what was answered");

    drop(service(&layer, Behaviour::NeverAnswer).call(over(&standing, UNARY)).await);
    expected.insert(1, (lookup, "DEADLINE_EXCEEDED", 1));
    assert_eq!(counted(&layer), expected);
    standing.fall();
    drop(service(&layer, Behaviour::Answer).call(over(&standing, UNARY)).await);
    drop(service(&layer, Behaviour::Answer).call(over(&standing, UNARY)).await);
    expected.insert(1, (lookup, "CERTIFICATE_NOT_TRUSTED", 2));
    assert_eq!(counted(&layer), expected);
}

#[tokio::test(start_paused = true)]
async fn overload_and_streams_that_are_ended_are_counted_for_the_audit() {
    let (layer, standing) = (roomy(), Arc::<Standing>::default());
    let mut bodies = Vec::new();
    for _ in 0..6 {
        bodies.push(service(&layer, Behaviour::NeverEndBody).call(over(&standing, STREAMING[0])).await.unwrap());
    }
    let events = Some(Method::SubmitEvents);
    assert_eq!(counted(&layer), [(events, "OVERLOADED", 2)]);
    standing.fall();
    for body in bodies {
        let mut body = std::pin::pin!(body.into_body());
        while std::future::poll_fn(|cx| body.as_mut().poll_frame(cx)).await.is_some() {}
    }
    assert_eq!(counted(&layer), [(events, "CERTIFICATE_NOT_TRUSTED", 4), (events, "OVERLOADED", 2)]);
}

#[tokio::test(start_paused = true)]
async fn what_the_transport_refuses_is_counted_and_what_a_handler_says_is_not() {
    let (layer, standing) = (roomy(), Arc::<Standing>::default());
    let by_a_handler = refusal::status(Code::PermissionDenied, "ROLE_NOT_ALLOWED", "not allowed", None);
    for status in [tonic::Status::out_of_range("more than 4 bytes"), by_a_handler] {
        let mut service = layer.layer(tower::service_fn(move |_: Request<Body>| {
            let status = status.clone();
            async move { Ok::<_, Infallible>(status.into_http()) }
        }));
        drop(service.call(over(&standing, "/grpc.health.v1.Health/Check")).await);
    }
    assert_eq!(counted(&layer), [(None, "MESSAGE_TOO_LARGE", 1)]);
}

/// A body that says nothing but how it ended.
struct Ends(Option<tonic::Status>);

impl HttpBody for Ends {
    type Data = Bytes;
    type Error = tonic::Status;

    fn poll_frame(mut self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, tonic::Status>>> {
        Poll::Ready(self.0.take().map(|status| {
            let mut trailers = HeaderMap::new();
            status.add_header(&mut trailers).map(|()| Frame::trailers(trailers))
        }))
    }
}

#[tokio::test(start_paused = true)]
async fn what_a_handler_could_not_audit_is_counted_at_the_beginning_and_at_the_end_of_a_reply() {
    let (layer, standing) = (roomy(), Arc::<Standing>::default());
    let unaudited = || refusal::status(Code::Unavailable, "AUDIT_UNAVAILABLE", "it could not be audited", None);
    let audited = || refusal::status(Code::Unavailable, "STORAGE_UNAVAILABLE", "ask again", None);
    for status in [refusal::loading(), refusal::not_opened("KEY_UNUSABLE"), unaudited(), audited()] {
        let mut at_once = layer.layer(tower::service_fn(move |_: Request<Body>| {
            let status = status.clone();
            async move { Ok::<_, Infallible>(status.into_http()) }
        }));
        drop(at_once.call(over(&standing, UNARY)).await);
    }
    let lookup = Some(Method::Lookup);
    let mut expected = vec![(lookup, "AUDIT_UNAVAILABLE", 1), (lookup, "KEY_UNUSABLE", 1), (lookup, "LOADING", 1)];
    assert_eq!(counted(&layer), expected);
    for status in [unaudited(), audited(), tonic::Status::new(Code::Ok, "")] {
        let mut at_the_end = layer.layer(tower::service_fn(move |_: Request<Body>| {
            let status = status.clone();
            async move { Ok::<_, Infallible>(Response::new(Body::new(Ends(Some(status))))) }
        }));
        let body = at_the_end.call(over(&standing, STREAMING[0])).await.unwrap().into_body();
        let mut body = std::pin::pin!(body);
        while std::future::poll_fn(|cx| body.as_mut().poll_frame(cx)).await.is_some() {}
    }
    expected.push((Some(Method::SubmitEvents), "AUDIT_UNAVAILABLE", 1));
    let mut found = counted(&layer);
    found.sort_unstable();
    expected.sort_unstable();
    assert_eq!(found, expected);
}
