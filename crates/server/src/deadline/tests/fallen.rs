//! What is said where a certificate falls: to a call that does not begin any more, and to one that goes on.

use super::*;

fn words(headers: &HeaderMap) -> String {
    tonic::Status::from_header_map(headers).unwrap().message().to_owned()
}

/// The same, for programs.
fn may_stand(headers: &HeaderMap) -> bool {
    kith_api::client::Trouble::from(&tonic::Status::from_header_map(headers).unwrap()).may_stand
}

#[tokio::test(start_paused = true)]
async fn of_a_call_that_had_begun_it_is_said_that_what_was_sent_may_stand() {
    let (layer, standing) = (roomy(), Arc::<Standing>::default());
    let begun = tokio::spawn(service(&layer, Behaviour::NeverAnswer).call(over(&standing, UNARY)));
    let lasts = service(&layer, Behaviour::NeverEndBody).call(over(&standing, STREAMING[0])).await.unwrap();
    tokio::task::yield_now().await;
    standing.fall();
    let begun = begun.await.unwrap().unwrap();
    assert_eq!(told(begun.headers()), not_trusted());
    assert!(words(begun.headers()).contains("what was sent may stand"), "{}", words(begun.headers()));
    assert!(may_stand(begun.headers()));
    let mut lasts = std::pin::pin!(lasts.into_body());
    let end = poll_fn(|cx| lasts.as_mut().poll_frame(cx)).await.unwrap().unwrap();
    let end = end.trailers_ref().unwrap();
    assert!(words(end).contains("what was sent may stand") && may_stand(end));
    let after = service(&layer, Behaviour::Answer).call(over(&standing, UNARY)).await.unwrap();
    assert_eq!(told(after.headers()), not_trusted());
    assert!(words(after.headers()).starts_with("nothing was asked or changed"), "{}", words(after.headers()));
    assert!(!may_stand(after.headers()));
}
