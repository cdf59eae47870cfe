//! What is read of a call that its client resets before it has sent everything. The transport takes that for the end of what was to
//! be sent: half a plan file would be one, and an import without its last rows would say that its organisation has sent all.
//! Never lets a call that was given up look sent to its end.

use std::pin::Pin;
use std::task::{Context, Poll, ready};

use http_body::{Body as HttpBody, Frame, SizeHint};
use tonic::body::Body;
use tonic::codegen::Bytes;
use tonic::{Code, Status};

/// The same messages; where they are given up, that is an error of its own.
pub(crate) fn told(body: Body) -> Body {
    Body::new(Told(body))
}

struct Told(Body);

impl HttpBody for Told {
    type Data = Bytes;
    type Error = Status;

    fn poll_frame(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Status>>> {
        let frame = ready!(Pin::new(&mut self.get_mut().0).poll_frame(cx));
        Poll::Ready(frame.map(|frame| frame.map_err(said)))
    }

    fn is_end_stream(&self) -> bool {
        self.0.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.0.size_hint()
    }
}

/// Nobody hears it, and it has no reason: who gives up a call is refused nothing.
fn said(status: Status) -> Status {
    if status.code() == Code::Cancelled { Status::aborted("given up by its client") } else { status }
}

#[cfg(test)]
mod tests {
    use std::collections::VecDeque;
    use std::convert::Infallible;
    use std::future::poll_fn;

    use http::{Request, Response};
    use tower::{Layer, Service};

    use super::*;
    use crate::config::Limits;
    use crate::deadline::CallLimitsLayer;
    use crate::edge::Edge;

    /// What comes, and then the end.
    struct Comes(VecDeque<Result<&'static str, Status>>);

    impl HttpBody for Comes {
        type Data = Bytes;
        type Error = Status;

        fn poll_frame(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Status>>> {
            let next = self.get_mut().0.pop_front();
            Poll::Ready(next.map(|next| next.map(|text| Frame::data(Bytes::from_static(text.as_bytes())))))
        }
    }

    /// What is read: the texts, and the code of an error.
    async fn read(what: Vec<Result<&'static str, Status>>) -> Vec<Result<Bytes, Code>> {
        let mut body = told(Body::new(Comes(what.into())));
        let mut found = Vec::new();
        while let Some(frame) = poll_fn(|cx| Pin::new(&mut body).poll_frame(cx)).await {
            found.push(frame.map(|frame| frame.into_data().expect("no trailers")).map_err(|status| status.code()));
        }
        found
    }

    #[tokio::test]
    async fn what_is_given_up_is_not_at_its_end_and_everything_else_passes() {
        let (one, two) = (Bytes::from_static(b"one"), Bytes::from_static(b"two"));
        assert_eq!(read(vec![Ok("one"), Ok("two")]).await, [Ok(one.clone()), Ok(two)]);
        assert_eq!(read(vec![Ok("one"), Err(Status::cancelled("reset"))]).await, [Ok(one), Err(Code::Aborted)]);
        assert_eq!(read(vec![Err(Status::out_of_range("large"))]).await, [Err(Code::OutOfRange)]);
    }

    #[tokio::test]
    async fn the_service_of_a_plan_file_sees_that_it_is_given_up() {
        let layer = CallLimitsLayer::new(&Limits::default(), Edge::default());
        let mut service = layer.layer(tower::service_fn(|request: Request<Body>| async move {
            let mut body = request.into_body();
            let read = poll_fn(|cx| Pin::new(&mut body).poll_frame(cx)).await;
            let code = read.and_then(Result::err).map_or(Code::Ok, |status| status.code());
            Ok::<Response<Body>, Infallible>(Status::new(code, "").into_http())
        }));
        let body = Body::new(Comes(VecDeque::from([Err(Status::cancelled("reset"))])));
        let file = Request::builder().uri("/kith.v1.PlanFileService/SubmitPlanFile").body(body).unwrap();
        let seen = service.call(file).await.unwrap();
        assert_eq!(Status::from_header_map(seen.headers()).unwrap().code(), Code::Aborted);
    }
}
