//! A service that shows what the process hands to handlers, and an engine that opens when the test says so.

use std::convert::Infallible;
use std::error::Error;
use std::future::{Ready, ready};
use std::io::Write;
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Condvar, Mutex, OnceLock, mpsc};
use std::task::{Context, Poll};

use http::{Request, Response};
use http_body::Frame;
use kith_server::application::{Application, Opening, Pinned, Verdict, Wiring};
use kith_server::config::Config;
use kith_server::connection::ConnectInfo;
use kith_server::directory::Directory;
use kith_server::engine_slot::{EngineSlot, OpenFailure};
use tokio::runtime::Handle;
use tonic::body::Body;
use tonic::codegen::Bytes;
use tonic::server::NamedService;
use tonic::service::RoutesBuilder;
use tonic::{Code, Status};

pub const SERVICE: &str = "kith.test.Probe";

/// The length of the reply of `/Much`.
pub const MUCH_BYTES: usize = 1 << 20;

/// A failure with this reason makes opening panic.
pub const PANIC: &str = "PANIC";

/// What opening the engine comes to.
pub type Opened = Result<(), OpenFailure>;

/// The application of the tests: opens when told, and says when it was closed.
pub struct ProbeApplication {
    pub open: Mutex<mpsc::Receiver<Opened>>,
    pub closed: Arc<AtomicBool>,
    pub can_answer: Arc<AtomicBool>,
    pub gate: Arc<Gate>,
    /// Where background work runs, once the services are there.
    pub control: Arc<OnceLock<Handle>>,
}

/// Keeps threads where they are, whole, until it is opened.
#[derive(Default)]
pub struct Gate {
    held: Mutex<Held>,
    opened: Condvar,
}

#[derive(Default)]
struct Held {
    names: Vec<String>,
    is_open: bool,
}

impl Gate {
    /// Keeps the thread that calls this.
    pub fn hold(&self) {
        let name = std::thread::current().name().unwrap_or_default().to_owned();
        let mut held = self.held.lock().unwrap();
        held.names.push(name);
        drop(self.opened.wait_while(held, |held| !held.is_open).unwrap());
    }

    /// The names of the threads that came to it.
    pub fn held(&self) -> Vec<String> {
        self.held.lock().unwrap().names.clone()
    }

    /// Lets all of them go, now and later.
    pub fn open(&self) {
        self.held.lock().unwrap().is_open = true;
        self.opened.notify_all();
    }
}

impl Application for ProbeApplication {
    type Engine = ();

    fn service_names(&self) -> Vec<&'static str> {
        vec![SERVICE]
    }

    fn descriptors(&self) -> &'static [u8] {
        tonic_types::pb::FILE_DESCRIPTOR_SET
    }

    fn add_services(&self, wiring: Wiring<()>, routes: &mut RoutesBuilder) {
        self.control.get_or_init(|| wiring.control);
        routes.add_service(Probe { engine: wiring.engine, gate: Arc::clone(&self.gate) });
    }

    fn open(&self, _: Opening) -> Opened {
        let told = self.open.lock().unwrap().recv();
        if let Ok(Err(failure)) = &told {
            assert_ne!(failure.reason(), PANIC, "told to panic");
        }
        told.unwrap_or_else(|gone| Err(OpenFailure::new(OpenFailure::STORE_NOT_OPENED, gone)))
    }

    fn can_answer(&self, (): &()) -> bool {
        self.can_answer.load(Ordering::SeqCst)
    }

    fn close(&self, _: Arc<()>) {
        self.closed.store(true, Ordering::SeqCst);
    }

    fn verify(
        &self,
        _: &Config,
        _: &Directory,
        _: Pinned<'_>,
        _: &mut dyn Write,
    ) -> Result<Verdict, Box<dyn Error + Send + Sync>> {
        Ok(Verdict::Sound)
    }

    fn inspect(&self, _: &Config, _: &Directory, _: &mut dyn Write) -> Result<(), Box<dyn Error + Send + Sync>> {
        Ok(())
    }
}

/// `/Who` says who asks and on which thread; `/Ask` needs the engine; `/Wait` answers never; `/Much` answers [`MUCH_BYTES`];
/// `/Hold` keeps its whole thread at the gate before it answers.
#[derive(Clone)]
struct Probe {
    engine: Arc<EngineSlot<()>>,
    gate: Arc<Gate>,
}

impl NamedService for Probe {
    const NAME: &'static str = SERVICE;
}

impl tower::Service<Request<Body>> for Probe {
    type Response = Response<Body>;
    type Error = Infallible;
    type Future = Pin<Box<dyn Future<Output = Result<Response<Body>, Infallible>> + Send>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<Body>) -> Self::Future {
        let method = request.uri().path().rsplit('/').next().unwrap_or_default().to_owned();
        let answer: Ready<Status> = ready(match method.as_str() {
            "Who" => who(&request),
            "Ask" => self.engine.get().err().unwrap_or_else(|| Status::new(Code::Ok, "")),
            "Wait" => return Box::pin(std::future::pending()),
            "Much" => return Box::pin(ready(Ok(much()))),
            "Hold" => {
                self.gate.hold();
                Status::new(Code::Ok, "")
            }
            _ => Status::unimplemented(method),
        });
        Box::pin(async move { Ok(answer.await.into_http()) })
    }
}

fn who(request: &Request<Body>) -> Status {
    let Some(info) = request.extensions().get::<ConnectInfo>() else { return Status::unauthenticated("") };
    let thread = std::thread::current().name().unwrap_or_default().to_owned();
    Status::new(Code::Ok, format!("{} {} {thread}", info.peer.organisation, info.peer.role))
}

fn much() -> Response<Body> {
    let data = Frame::data(Bytes::from_static(&[0; MUCH_BYTES]));
    let mut trailers = http::HeaderMap::new();
    Status::new(Code::Ok, "").add_header(&mut trailers).unwrap();
    let mut response = Response::new(Body::new(Frames([Some(data), Some(Frame::trailers(trailers))])));
    response.headers_mut().insert("content-type", http::HeaderValue::from_static("application/grpc"));
    response
}

/// A body of these frames.
struct Frames([Option<Frame<Bytes>>; 2]);

impl http_body::Body for Frames {
    type Data = Bytes;
    type Error = Status;

    fn poll_frame(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Status>>> {
        Poll::Ready(self.get_mut().0.iter_mut().find_map(Option::take).map(Ok))
    }
}
