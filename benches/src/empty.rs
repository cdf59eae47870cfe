//! A service that does nothing: one unary call, any bytes in, always the same number of bytes out. Served by the same process
//! as Kith, with its listeners, limits and mutual TLS, it is what a lookup is measured against.

use std::convert::Infallible;
use std::error::Error;
use std::future::{Ready, ready};
use std::io::{self, Write};
use std::sync::Arc;
use std::task::{Context, Poll};

use kith_server::application::{Application, Opening, Pinned, Verdict, Wiring};
use kith_server::config::Config;
use kith_server::directory::Directory;
use kith_server::engine_slot::OpenFailure;
use tonic::body::Body;
use tonic::codec::{Codec, DecodeBuf, Decoder, EncodeBuf, Encoder};
use tonic::codegen::{BoxFuture, Bytes, Service, http};
use tonic::server::{Grpc, NamedService, UnaryService};
use tonic::service::RoutesBuilder;
use tonic::{Request, Response, Status};

/// The application around the empty call.
pub struct Empty {
    /// Bytes of every reply.
    pub reply_bytes: usize,
}

impl Application for Empty {
    type Engine = ();

    fn service_names(&self) -> Vec<&'static str> {
        vec![EmptyService::NAME]
    }

    fn descriptors(&self) -> &'static [u8] {
        kith_api::FILE_DESCRIPTOR_SET
    }

    fn add_services(&self, _: Wiring<()>, routes: &mut RoutesBuilder) {
        routes.add_service(EmptyService { reply: Bytes::from(vec![0; self.reply_bytes]) });
    }

    fn open(&self, _: Opening) -> Result<(), OpenFailure> {
        Ok(())
    }

    fn can_answer(&self, (): &()) -> bool {
        true
    }

    fn close(&self, _: Arc<()>) {}

    fn verify(
        &self,
        _: &Config,
        _: &Directory,
        _: Pinned<'_>,
        _: &mut dyn Write,
    ) -> Result<Verdict, Box<dyn Error + Send + Sync>> {
        Err(io::Error::other("there is no data").into())
    }

    fn inspect(&self, _: &Config, _: &Directory, _: &mut dyn Write) -> Result<(), Box<dyn Error + Send + Sync>> {
        Err(io::Error::other("there is no data").into())
    }
}

/// `/kith.bench.v1.BenchService/Empty`, whatever the method is called.
#[derive(Clone)]
struct EmptyService {
    reply: Bytes,
}

impl NamedService for EmptyService {
    const NAME: &'static str = "kith.bench.v1.BenchService";
}

impl Service<http::Request<Body>> for EmptyService {
    type Response = http::Response<Body>;
    type Error = Infallible;
    type Future = BoxFuture<Self::Response, Infallible>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: http::Request<Body>) -> Self::Future {
        let method = Method(self.reply.clone());
        Box::pin(async move { Ok(Grpc::new(Raw).unary(method, request).await) })
    }
}

struct Method(Bytes);

impl UnaryService<Bytes> for Method {
    type Response = Bytes;
    type Future = Ready<Result<Response<Bytes>, Status>>;

    fn call(&mut self, _: Request<Bytes>) -> Self::Future {
        ready(Ok(Response::new(self.0.clone())))
    }
}

/// Messages as the bytes that they are.
#[derive(Clone, Copy, Default)]
struct Raw;

impl Codec for Raw {
    type Encode = Bytes;
    type Decode = Bytes;
    type Encoder = Self;
    type Decoder = Self;

    fn encoder(&mut self) -> Self {
        *self
    }

    fn decoder(&mut self) -> Self {
        *self
    }
}

impl Encoder for Raw {
    type Item = Bytes;
    type Error = Status;

    fn encode(&mut self, item: Bytes, buffer: &mut EncodeBuf<'_>) -> Result<(), Status> {
        bytes::BufMut::put(buffer, item);
        Ok(())
    }
}

impl Decoder for Raw {
    type Item = Bytes;
    type Error = Status;

    fn decode(&mut self, buffer: &mut DecodeBuf<'_>) -> Result<Option<Bytes>, Status> {
        let length = bytes::Buf::remaining(buffer);
        Ok(Some(bytes::Buf::copy_to_bytes(buffer, length)))
    }
}
