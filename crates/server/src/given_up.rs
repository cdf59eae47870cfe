//! What is read of a call that its client resets before it has sent everything. The transport takes that for the end of what was to
//! be sent: half a plan file would be one, and an import without its last rows would say that its organisation has sent all. Of most
//! resets it gives an error that reads like an end further on, and of one without an error it gives an end at once.
//! Never lets a call that was given up look sent to its end.

use std::pin::Pin;
use std::task::{Context, Poll, ready};

use http_body::{Body as HttpBody, Frame, SizeHint};
use tonic::body::Body;
use tonic::codegen::Bytes;
use tonic::{Code, Status};

/// The same messages; where they are given up, that is an error of its own.
pub(crate) fn told(body: Body) -> Body {
    Body::new(Told { inner: body, ended: false })
}

struct Told {
    inner: Body,
    /// Nothing more comes, and whoever reads was told why.
    ended: bool,
}

impl HttpBody for Told {
    type Data = Bytes;
    type Error = Status;

    fn poll_frame(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Status>>> {
        let this = self.get_mut();
        if this.ended {
            return Poll::Ready(None);
        }
        let frame = ready!(Pin::new(&mut this.inner).poll_frame(cx));
        this.ended = !matches!(frame, Some(Ok(_)));
        Poll::Ready(match frame {
            Some(frame) => Some(frame.map_err(said)),
            // The transport knows of an end only where its sender has said that this is one.
            None if this.inner.is_end_stream() => None,
            None => Some(Err(given_up())),
        })
    }

    fn is_end_stream(&self) -> bool {
        self.ended || self.inner.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.inner.size_hint()
    }
}

fn said(status: Status) -> Status {
    if status.code() == Code::Cancelled { given_up() } else { status }
}

/// Nobody hears it, and it has no reason: who gives up a call is refused nothing.
fn given_up() -> Status {
    Status::aborted("given up by its client")
}

#[cfg(test)]
mod tests {
    use std::collections::VecDeque;
    use std::convert::Infallible;
    use std::future::{pending, poll_fn};
    use std::io;

    use http::{Request, Response};
    use tokio::io::{AsyncWriteExt, DuplexStream};
    use tokio::sync::mpsc;
    use tokio_stream::StreamExt;
    use tonic::server::NamedService;
    use tower::{Layer, Service};

    use super::*;
    use crate::config::Limits;
    use crate::deadline::CallLimitsLayer;
    use crate::edge::Edge;

    /// What comes, and then the end that its sender said.
    struct Comes(VecDeque<Result<&'static str, Status>>);

    impl HttpBody for Comes {
        type Data = Bytes;
        type Error = Status;

        fn poll_frame(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Status>>> {
            let next = self.get_mut().0.pop_front();
            Poll::Ready(next.map(|next| next.map(|text| Frame::data(Bytes::from_static(text.as_bytes())))))
        }

        fn is_end_stream(&self) -> bool {
            self.0.is_empty()
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
    async fn what_is_sent_in_pieces_is_seen_to_be_given_up_and_a_question_goes_as_it_comes() {
        let layer = CallLimitsLayer::new(&Limits::default(), Edge::default());
        let mut service = layer.layer(tower::service_fn(|request: Request<Body>| async move {
            let mut body = request.into_body();
            let read = poll_fn(|cx| Pin::new(&mut body).poll_frame(cx)).await;
            let code = read.and_then(Result::err).map_or(Code::Ok, |status| status.code());
            Ok::<Response<Body>, Infallible>(Status::new(code, "").into_http())
        }));
        for (path, code) in [
            ("/kith.v1.PlanFileService/SubmitPlanFile", Code::Aborted),
            ("/kith.v1.PlanService/SubmitEvents", Code::Aborted),
            ("/kith.v1.PresentationService/Import", Code::Aborted),
            ("/kith.v1.LookupService/LookupMany", Code::Cancelled),
            ("/grpc.health.v1.Health/Watch", Code::Cancelled),
            ("/grpc.reflection.v1.ServerReflection/ServerReflectionInfo", Code::Cancelled),
        ] {
            let body = Body::new(Comes(VecDeque::from([Err(Status::cancelled("reset"))])));
            let seen = service.call(Request::builder().uri(path).body(body).unwrap()).await.unwrap();
            assert_eq!(Status::from_header_map(seen.headers()).unwrap().code(), code, "{path}");
        }
    }

    /// What is read of the one call that is made: bytes, or the code of an error; the channel ends where the call did.
    type Read = Result<Bytes, Code>;

    /// A service that reads on when its call is given up, as those do that change something.
    #[derive(Clone)]
    struct Reads(mpsc::UnboundedSender<Read>);

    impl NamedService for Reads {
        const NAME: &'static str = "kith.v1.PlanFileService";
    }

    impl Service<Request<Body>> for Reads {
        type Response = Response<Body>;
        type Error = Infallible;
        type Future = Pin<Box<dyn Future<Output = Result<Response<Body>, Infallible>> + Send>>;

        fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
            Poll::Ready(Ok(()))
        }

        fn call(&mut self, request: Request<Body>) -> Self::Future {
            let (read, mut body) = (self.0.clone(), told(request.into_body()));
            tokio::spawn(async move {
                while let Some(frame) = poll_fn(|cx| Pin::new(&mut body).poll_frame(cx)).await {
                    let frame = frame.map(|frame| frame.into_data().expect("no trailers"));
                    // The test may have heard enough.
                    let _ = read.send(frame.map_err(|status| status.code()));
                }
                let _ = read.send(Err(Code::Ok));
            });
            Box::pin(pending())
        }
    }

    const DATA: u8 = 0;
    const HEADERS: u8 = 1;
    const RESET: u8 = 3;
    const SETTINGS: u8 = 4;
    const END_STREAM: u8 = 1;
    const END_HEADERS: u8 = 4;

    fn frame(kind: u8, flags: u8, stream: u32, content: &[u8]) -> Vec<u8> {
        let [_, length @ ..] = u32::try_from(content.len()).unwrap().to_be_bytes();
        [&length[..], &[kind, flags], &stream.to_be_bytes(), content].concat()
    }

    fn field(name: &str, value: &str) -> Vec<u8> {
        let text = |text: &str| [&[u8::try_from(text.len()).unwrap()][..], text.as_bytes()].concat();
        [vec![0], text(name), text(value)].concat()
    }

    /// A connection on which one call has begun, and what its service reads.
    async fn begun() -> (DuplexStream, mpsc::UnboundedReceiver<Read>) {
        let (near, mut far) = tokio::io::duplex(1 << 16);
        let (read, reads) = mpsc::unbounded_channel();
        let incoming = tokio_stream::once(Ok::<DuplexStream, io::Error>(near)).chain(tokio_stream::pending());
        tokio::spawn(tonic::transport::Server::builder().add_service(Reads(read)).serve_with_incoming(incoming));
        let path = "/kith.v1.PlanFileService/SubmitPlanFile";
        let fields = [(":method", "POST"), (":scheme", "http"), (":path", path), (":authority", "a")];
        let block = fields.map(|(name, value)| field(name, value)).concat();
        let preface = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n".to_vec();
        let begins = [preface, frame(SETTINGS, 0, 0, &[]), frame(HEADERS, END_HEADERS, 1, &block)];
        far.write_all(&begins.concat()).await.unwrap();
        (far, reads)
    }

    #[tokio::test]
    async fn only_what_its_sender_ends_is_at_its_end_whatever_the_code_of_a_reset() {
        let reset = |code: u32| frame(RESET, 0, 1, &code.to_be_bytes());
        for (what, end, read) in [
            ("its end", frame(DATA, END_STREAM, 1, &[]), Code::Ok),
            ("a reset without an error", reset(0), Code::Aborted),
            ("a call that is given up", reset(8), Code::Aborted),
        ] {
            let (mut far, mut reads) = begun().await;
            far.write_all(&frame(DATA, 0, 1, b"row")).await.unwrap();
            assert_eq!(reads.recv().await, Some(Ok(Bytes::from_static(b"row"))), "{what}");
            far.write_all(&end).await.unwrap();
            let mut found = reads.recv().await;
            // An end that is said may come as one more frame without bytes.
            while found == Some(Ok(Bytes::new())) {
                found = reads.recv().await;
            }
            assert_eq!(found, Some(Err(read)), "{what}");
        }
    }
}
