//! What the measurement of a lookup's cost calls: every service behind all that a call goes through on its way to it, as a data
//! thread serves it on one connection, without socket, TLS, HTTP/2 and the transport's own bounds. Never used in production.

use std::convert::Infallible;
use std::future::poll_fn;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use http::{HeaderValue, Method, Request, Uri, Version, header};
use http_body::{Body as HttpBody, Frame};
use kith_engine::Engine;
use tokio::runtime::{Builder, Runtime};
use tonic::body::Body;
use tonic::codegen::Bytes;
use tonic::service::Routes;
use tonic::{Code, Status};
use tower::{Layer, ServiceExt};

use crate::application::Wiring;
use crate::config::Config;
use crate::connection::ConnectInfo;
use crate::dataplane;
use crate::deadline::CallLimits;
use crate::edge::Edge;
use crate::engine_slot::EngineSlot;
use crate::identity::PeerIdentity;
use crate::kith::Kith;
use crate::serve::{self, StartError};
use crate::stop::{self, StopHandle};

/// Before every message: whether it is compressed, and its length.
pub const MESSAGE_HEAD_BYTES: usize = 5;

const LOOKUP: &str = "https://kith.test:7443/kith.v1.LookupService/Lookup";

/// What one connection is served by.
pub struct Served {
    service: CallLimits<Routes>,
    info: ConnectInfo,
    // A lost order is an order to stop.
    _stop: StopHandle,
    _control: Runtime,
}

impl Served {
    /// What a connection of this peer is served by once the engine is open. Background work has a thread of its own, as in kithd.
    ///
    /// # Errors
    /// When that thread cannot be started.
    pub fn new(engine: Arc<Engine>, config: Config, peer: PeerIdentity) -> Result<Self, StartError> {
        let control = Builder::new_multi_thread().worker_threads(1).enable_all().build()?;
        let (stop, signal) = stop::channel();
        let (slot, edge) = (Arc::new(EngineSlot::default()), Edge::default());
        slot.fill(Ok(engine));
        let layers = dataplane::layers(&config.limits, edge.clone());
        let wiring = Wiring {
            engine: slot,
            config: Arc::new(config),
            directory: Arc::default(),
            stop: signal,
            control: control.handle().clone(),
            edge,
        };
        let kith = Kith::new(Arc::new(|what| tracing::error!(what, "the log failed")));
        let (routes, _) = control.block_on(serve::routes(&kith, wiring))?;
        let address = SocketAddr::from(([127, 0, 0, 1], 7443));
        let info = ConnectInfo::new(Arc::new(peer), address, Arc::default(), Arc::default());
        Ok(Self { service: layers.layer(routes), info, _stop: stop, _control: control })
    }

    /// A lookup with this message, as it comes out of HTTP/2: with its identity among the extensions.
    #[must_use]
    pub fn lookup(&self, message: &[u8]) -> Request<Body> {
        let mut framed = Vec::with_capacity(MESSAGE_HEAD_BYTES + message.len());
        framed.push(0);
        framed.extend_from_slice(&u32::try_from(message.len()).unwrap_or(u32::MAX).to_be_bytes());
        framed.extend_from_slice(message);
        let mut request = Request::new(Body::new(Whole(Some(Bytes::from(framed)))));
        *request.method_mut() = Method::POST;
        *request.uri_mut() = Uri::from_static(LOOKUP);
        *request.version_mut() = Version::HTTP_2;
        let headers = request.headers_mut();
        headers.insert(header::TE, HeaderValue::from_static("trailers"));
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/grpc"));
        headers.insert(header::USER_AGENT, HeaderValue::from_static("kith-cost"));
        // Long: under a tool that counts instructions threads come late.
        headers.insert("grpc-timeout", HeaderValue::from_static("60S"));
        request.extensions_mut().insert(self.info.clone());
        request
    }

    /// Answers a call, and takes its reply to the end: what the reply's messages are goes into `reply`, each behind its head.
    ///
    /// # Errors
    /// What the call was refused with.
    pub async fn answer(&self, request: Request<Body>, reply: &mut Vec<u8>) -> Result<(), Status> {
        // A clone for each call, as there is on a connection.
        let Ok(response) = self.service.clone().oneshot(request).await;
        let (head, mut body) = response.into_parts();
        reply.clear();
        let mut end = Status::from_header_map(&head.headers);
        while let Some(frame) = poll_fn(|context| Pin::new(&mut body).poll_frame(context)).await {
            match frame?.into_data() {
                // Gone once it is copied, as bytes are that the connection has taken.
                Ok(bytes) => reply.extend_from_slice(&bytes),
                Err(frame) => end = frame.trailers_ref().and_then(Status::from_header_map),
            }
        }
        match end {
            Some(status) if status.code() == Code::Ok => Ok(()),
            Some(status) => Err(status),
            None => Err(Status::unknown("the reply has no end")),
        }
    }
}

/// A request's message, all of it there at once.
struct Whole(Option<Bytes>);

impl HttpBody for Whole {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        Poll::Ready(self.get_mut().0.take().map(|bytes| Ok(Frame::data(bytes))))
    }
}

#[cfg(test)]
mod tests {
    use kith_domain::caller::Role;

    use super::*;
    use crate::services::testing::{Place, reason};

    /// What is read of a call that its client resets before it sends the message.
    struct GivenUp;

    impl HttpBody for GivenUp {
        type Data = Bytes;
        type Error = Status;

        fn poll_frame(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Status>>> {
            Poll::Ready(Some(Err(Status::cancelled("given up"))))
        }
    }

    #[test]
    fn calls_go_through_layers_and_services_and_a_refusal_is_no_answer() {
        let place = Place::new();
        let peer = PeerIdentity { organisation: String::from("R1H"), role: Role::Ed };
        let served = Served::new(Arc::clone(&place.engine), Config::default(), peer).unwrap();
        let runtime = Builder::new_current_thread().enable_time().build().unwrap();
        let refused = |call| runtime.block_on(served.answer(call, &mut Vec::new())).unwrap_err();

        // Of no message the layers alone say this.
        let malformed = refused(served.lookup(b"\xff"));
        assert_eq!((malformed.code(), reason(&malformed).as_str()), (Code::InvalidArgument, "MALFORMED_MESSAGE"));
        // Of none at all they say another thing: whoever gives a call up before its message was sent is told apart by nothing.
        for none in [Body::default(), Body::new(GivenUp)] {
            let mut without = served.lookup(b"");
            *without.body_mut() = none;
            let missing = refused(without);
            assert_eq!((missing.code(), reason(&missing).as_str()), (Code::InvalidArgument, "STREAM_ENDED"));
        }
        // A question without anything in it reaches its service.
        let empty = refused(served.lookup(b""));
        assert_eq!(empty.code(), Code::InvalidArgument);
        assert_ne!(reason(&empty), "MALFORMED_MESSAGE");
        let mut of_nobody = served.lookup(b"");
        of_nobody.extensions_mut().remove::<ConnectInfo>();
        assert_eq!(refused(of_nobody).code(), Code::Unauthenticated);
    }
}
