//! Many calls of one organisation, and one of another that is ready behind them.

use std::sync::Mutex;

use tokio::sync::watch;
use tokio::task::{JoinSet, yield_now};

use super::*;
use crate::rounds::A_ROUND;

/// Of one organisation, all ready at once.
const MANY: usize = 16;

/// A call over a connection of this organisation.
fn of(organisation: &str, path: &str) -> Request<Body> {
    let peer = PeerIdentity { organisation: organisation.to_owned(), role: Role::Ed };
    let address = std::net::SocketAddr::from(([127, 0, 0, 1], 1));
    let mut request = request(path, None);
    request.extensions_mut().insert(ConnectInfo::new(Arc::new(peer), address, Arc::default(), Arc::default()));
    request
}

/// Whose calls a service was taken up with, in order, once it may.
#[derive(Clone)]
struct Asked {
    whose: Arc<Mutex<Vec<String>>>,
    may: watch::Receiver<bool>,
}

impl Asked {
    /// Calls the service behind the layer.
    fn call(&self, layer: &CallLimitsLayer, request: Request<Body>) -> impl Future<Output = ()> + Send + use<> {
        let asked = self.clone();
        let mut service = layer.layer(tower::service_fn(move |request: Request<Body>| {
            let Asked { whose, mut may } = asked.clone();
            async move {
                may.wait_for(|may| *may).await.unwrap();
                let organisation = request.extensions().get::<ConnectInfo>().unwrap().peer.organisation.clone();
                whose.lock().unwrap().push(organisation);
                Ok::<_, Infallible>(tonic::Status::new(Code::Ok, "").into_http())
            }
        }));
        let call = service.call(request);
        async move {
            let response = call.await.unwrap();
            assert!(tonic::Status::from_header_map(response.headers()).is_none_or(|said| said.code() == Code::Ok));
        }
    }
}

/// How many calls of the one were taken up before that of the other; whether they may be before it comes.
async fn before_the_other(layer: &CallLimitsLayer, path: &str, at_once: bool) -> usize {
    let (may, receiver) = watch::channel(at_once);
    let asked = Asked { whose: Arc::default(), may: receiver };
    let mut all = JoinSet::new();
    for _ in 0..MANY {
        all.spawn(asked.call(layer, of("R1H", path)));
    }
    if !at_once {
        // All have begun and wait for more.
        for _ in 0..2 * MANY {
            yield_now().await;
        }
        may.send_replace(true);
    }
    all.spawn(asked.call(layer, of("RJ1", path)));
    all.join_all().await;
    let whose = asked.whose.lock().unwrap().clone();
    assert_eq!(whose.len(), MANY + 1);
    whose.iter().position(|whose| whose == "RJ1").unwrap()
}

#[tokio::test(start_paused = true)]
async fn a_call_waits_for_one_round_of_those_of_another_organisation() {
    for at_once in [true, false] {
        let before = before_the_other(&roomy(), UNARY, at_once).await;
        assert!(before < MANY, "the other was taken up after {before}, all that were there, at once: {at_once}");
    }
}

#[tokio::test(start_paused = true)]
async fn whoever_watches_the_service_is_in_nobodys_round() {
    let health = "/grpc.health.v1.Health/Check";
    let layer = with_places(4 * MANY * 16);
    assert_eq!(before_the_other(&layer, health, true).await, MANY, "in the order in which they came");
}

/// Polls as many calls as a round has, and a further one, in one turn of the test's own task, so that no further round comes meanwhile;
/// gives what became of the further one.
async fn polled_behind_a_round<F>(layer: &CallLimitsLayer, last: &mut Pin<Box<F>>) -> Poll<F::Output>
where
    F: Future,
{
    let calls = (0..A_ROUND).map(|_| Box::pin(service(layer, Behaviour::Answer).call(of("R1H", UNARY))));
    let mut calls: Vec<_> = calls.collect();
    poll_fn(|cx| {
        assert!(calls.iter_mut().all(|call| call.as_mut().poll(cx).is_ready()));
        Poll::Ready(last.as_mut().poll(cx))
    })
    .await
}

#[tokio::test(start_paused = true)]
async fn a_call_that_waits_for_its_round_ends_at_its_deadline() {
    let layer = roomy();
    let mut late = of("R1H", UNARY);
    late.headers_mut().insert(TIMEOUT_HEADER, "0n".parse().unwrap());
    let mut late = Box::pin(service(&layer, Behaviour::Answer).call(late));
    let Poll::Ready(response) = polled_behind_a_round(&layer, &mut late).await else { panic!("it goes on waiting") };
    let said = tonic::Status::from_header_map(response.unwrap().headers()).unwrap();
    assert_eq!(said.code(), Code::DeadlineExceeded);
}

#[tokio::test(start_paused = true)]
async fn a_call_that_waits_for_its_round_is_taken_up_in_the_next_one() {
    let layer = roomy();
    let mut last = Box::pin(service(&layer, Behaviour::Answer).call(of("R1H", UNARY)));
    assert!(polled_behind_a_round(&layer, &mut last).await.is_pending());
    let said = tonic::Status::from_header_map(last.await.unwrap().headers());
    assert!(said.is_none_or(|said| said.code() == Code::Ok));
}
