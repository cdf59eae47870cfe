//! Start-up in one order, readiness, and shutdown within a limit.
//! Never answers before everything is up, and never exits because the store would not open: it says why instead.

use std::io;
use std::net::{SocketAddr, TcpListener};
use std::sync::{Arc, Mutex, PoisonError, mpsc};
use std::thread;
use std::time::{Duration, Instant};

use tokio::runtime::{Builder, Runtime};
use tonic::service::Routes;

use crate::application::{Application, Opening, Wiring};
use crate::config::Config;
use crate::dataplane::DataPlane;
use crate::directory::Directory;
use crate::edge::Edge;
use crate::engine_slot::{EngineSlot, EngineState, OpenFailure};
use crate::health::{self, Readiness};
use crate::metrics;
use crate::shed::Shed;
use crate::stop::{self, StopHandle, StopSignal};
use crate::systemd;
use crate::tls::{TlsError, TlsState};
use crate::watch;

/// Threads of the runtime for signals, reloads and background work.
const CONTROL_THREADS: usize = 2;

/// Connections waiting in the kernel to be accepted: a whole region reconnecting at once.
const BACKLOG: i32 = 4_096;

/// Share of the drain limit that calls get; the rest is for the threads to end and for closing the engine.
const CALLS_SHARE: (u32, u32) = (7, 10);

/// Share of the drain limit at which the threads have ended, or are no longer waited for.
const THREADS_SHARE: (u32, u32) = (8, 10);

/// Longest wait for the threads once everything was told to end now.
const END_LIMIT: Duration = Duration::from_secs(2);

/// Closing gets at least this, however short the drain limit: without its mark the next start reports a gap.
const CLOSE_AT_LEAST: Duration = Duration::from_secs(1);

/// How long background work may take to end.
const BACKGROUND_LIMIT: Duration = Duration::from_millis(500);

/// How long an engine that is still opening is waited for, to close it in order.
const OPENING_LIMIT: Duration = Duration::from_secs(1);

/// How often that is looked at.
const OPENING_INTERVAL: Duration = Duration::from_millis(10);

/// Why the server could not be started.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// The certificates are not usable.
    #[error("load certificates: failed to {0}")]
    Tls(#[from] TlsError),
    /// The address cannot be listened on.
    #[error("listen on {address}: {source}")]
    Listen {
        /// The configured address.
        address: SocketAddr,
        /// What went wrong.
        source: io::Error,
    },
    /// A thread or runtime cannot be started.
    #[error("start threads: {0}")]
    Threads(#[from] io::Error),
    /// The descriptors of the services are not readable.
    #[error("describe the services: {0}")]
    Reflection(#[from] tonic_reflection::server::Error),
}

/// How a run ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ending {
    /// Every call in progress ended.
    Drained,
    /// The drain limit ran out; calls in progress were cut.
    LimitReached,
    /// A second order ended everything at once.
    AtOnce,
}

/// What a server stands on before it listens: certificates, the order to stop, and the threads that hear it.
#[derive(Debug)]
pub struct Ground {
    control: Runtime,
    tls: Arc<TlsState>,
    stop: StopHandle,
    signal: StopSignal,
}

impl Ground {
    /// Loads the certificates and starts the threads for everything that is not a call.
    ///
    /// # Errors
    /// When certificates or threads are not usable.
    pub fn prepare(config: &Config) -> Result<Self, StartError> {
        let tls = Arc::new(TlsState::load(config.tls.clone(), &config.server.trust_domain)?);
        let control = Builder::new_multi_thread()
            .worker_threads(CONTROL_THREADS)
            .thread_name("kithd-control")
            .enable_all()
            .build()?;
        let (stop, signal) = stop::channel();
        Ok(Self { control, tls, stop, signal })
    }

    /// From here on SIGTERM and SIGINT drain, a second one ends at once, and SIGHUP reloads the certificates.
    ///
    /// # Errors
    /// When a signal cannot be listened for.
    pub fn hear_signals(&self) -> Result<(), StartError> {
        let _entered = self.control.enter();
        self.control.spawn(watch::signals(self.stop.clone(), Arc::clone(&self.tls))?);
        Ok(())
    }
}

/// A started server.
pub struct Running<A: Application> {
    control: Runtime,
    closer: Closer<A>,
    opening: thread::JoinHandle<()>,
    engine: Arc<EngineSlot<A::Engine>>,
    readiness: Readiness,
    plane: DataPlane,
    tls: Arc<TlsState>,
    address: SocketAddr,
    stop: StopHandle,
    signal: StopSignal,
    edge: Edge,
    drain_limit: Duration,
}

/// Binds the configured address.
///
/// # Errors
/// When the address is in use or not ours.
pub fn bind(address: SocketAddr) -> Result<TcpListener, StartError> {
    let open = || -> io::Result<TcpListener> {
        let socket = socket2::Socket::new(
            socket2::Domain::for_address(address),
            socket2::Type::STREAM.nonblocking(),
            Some(socket2::Protocol::TCP),
        )?;
        socket.set_reuse_address(true)?;
        socket.bind(&address.into())?;
        socket.listen(BACKLOG)?;
        Ok(socket.into())
    };
    open().map_err(|source| StartError::Listen { address, source })
}

/// Starts the server: it listens at once, NOT_SERVING, and opens the engine behind that.
///
/// # Errors
/// When the listener or threads are not usable. A store that does not open is no such error.
pub fn start<A: Application>(
    ground: Ground,
    config: Arc<Config>,
    directory: Arc<Directory>,
    listener: TcpListener,
    application: A,
) -> Result<Running<A>, StartError> {
    let Ground { control, tls, stop, signal } = ground;
    let application = Arc::new(application);
    let engine = Arc::new(EngineSlot::default());
    let edge = Edge::default();

    // Listen: every call is refused as LOADING, and health says NOT_SERVING.
    let wiring = Wiring {
        engine: Arc::clone(&engine),
        config: Arc::clone(&config),
        directory: Arc::clone(&directory),
        stop: signal.clone(),
        control: control.handle().clone(),
        edge: edge.clone(),
    };
    let metrics = metrics::bind(&config.metrics.listen)?;
    let (routes, readiness) = control.block_on(routes(application.as_ref(), wiring))?;
    let address = listener.local_addr()?;
    let plane = DataPlane::start(&config, listener, Arc::clone(&tls), routes, &signal, edge.clone())?;
    tracing::info!(%address, "listening, not yet serving");

    // Store and replay, on a thread of its own; ready when it is done.
    let opening = Opening {
        config: Arc::clone(&config),
        directory,
        control: control.handle().clone(),
        stop: signal.clone(),
        readiness: readiness.clone(),
    };
    let closer = Closer { application: Arc::clone(&application), closed: Arc::default() };
    let opening = open_behind(closer.clone(), opening, Arc::clone(&engine))?;
    if let Some(listener) = metrics {
        tracing::info!(address = ?listener.local_addr().ok(), "metrics are served");
        let (application, engine) = (Arc::clone(&application), Arc::clone(&engine));
        let (tls, shed) = (Arc::clone(&tls), plane.report());
        control.spawn(metrics::serve(listener, application, engine, tls, shed, signal.clone()));
    }
    let entered = control.enter();
    control.spawn(watch::trims(Arc::clone(&application), Arc::clone(&engine), signal.clone())?);
    let interval = Duration::from_millis(config.tls.reload_interval_ms);
    let (looking, of) = (Arc::clone(&application), Arc::clone(&engine));
    control.spawn(watch::files(looking, of, (Arc::clone(&tls), interval), signal.clone())?);
    drop(entered);
    control.spawn(watch::health(application, Arc::clone(&engine), readiness.clone(), signal.clone()));

    watch::apart("kithd-expired", watch::connections(Arc::clone(&tls), signal.clone()))?;
    watch::apart("kithd-tls", watch::certificates(Arc::clone(&tls), interval, signal.clone()))?;
    let drain_limit = config.server.drain_limit();
    Ok(Running { control, closer, opening, engine, readiness, plane, tls, address, stop, signal, edge, drain_limit })
}

/// The application's services, health and reflection.
pub(crate) async fn routes<A: Application>(
    application: &A,
    wiring: Wiring<A::Engine>,
) -> Result<(Routes, Readiness), tonic_reflection::server::Error> {
    let mut builder = Routes::builder();
    let readiness = Readiness::install(application.service_names(), &mut builder).await;
    health::install_reflection(application.descriptors(), &mut builder)?;
    application.add_services(wiring, &mut builder);
    Ok((builder.routes().prepare(), readiness))
}

/// Closes the engine once, whoever comes first: the end of a drain, or an opening that ends after it.
struct Closer<A> {
    application: Arc<A>,
    closed: Arc<Mutex<bool>>,
}

impl<A> Clone for Closer<A> {
    fn clone(&self) -> Self {
        Self { application: Arc::clone(&self.application), closed: Arc::clone(&self.closed) }
    }
}

impl<A: Application> Closer<A> {
    /// Closes, or waits until the other has closed.
    fn close(&self, engine: Arc<A::Engine>) {
        let mut closed = self.closed.lock().unwrap_or_else(PoisonError::into_inner);
        if !std::mem::replace(&mut *closed, true) {
            self.application.close(engine);
        }
    }

    /// Closes on a thread of its own, which is waited for until `deadline`: a disk may hang.
    /// True when it was closed.
    fn close_until(&self, engine: Arc<A::Engine>, deadline: Instant) -> bool {
        let (ended, end) = mpsc::channel();
        let closer = self.clone();
        let closing = thread::Builder::new().name(String::from("kithd-close")).spawn(move || {
            closer.close(engine);
            // Nobody waits any more when the deadline has passed.
            let _ = ended.send(());
        });
        match closing {
            Ok(_) if end.recv_timeout(deadline.saturating_duration_since(Instant::now())).is_ok() => return true,
            Ok(_) => tracing::error!("the engine could not be closed in time: the next start reports a gap"),
            Err(error) => tracing::error!(%error, "failed to close the engine"),
        }
        false
    }
}

fn open_behind<A: Application>(
    closer: Closer<A>,
    opening: Opening,
    slot: Arc<EngineSlot<A::Engine>>,
) -> io::Result<thread::JoinHandle<()>> {
    thread::Builder::new().name(String::from("kithd-open")).spawn(move || {
        systemd::status("loading");
        let _not_loading_for_ever = FailWhenLost(Arc::clone(&slot));
        let (readiness, stop, control) = (opening.readiness.clone(), opening.stop.clone(), opening.control.clone());
        match closer.application.open(opening) {
            Ok(engine) => {
                let engine = Arc::new(engine);
                slot.fill(Ok(Arc::clone(&engine)));
                control.block_on(readiness.open());
                if stop.is_draining() {
                    // The order came while it was opening, and the drain may be over.
                    closer.close(engine);
                } else {
                    systemd::ready("serving");
                    tracing::info!("serving");
                }
            }
            Err(failure) if stop.is_draining() => {
                slot.fill(Err(failure.reason()));
                tracing::info!(reason = failure.reason(), "stopping before it was open");
            }
            Err(failure) => {
                slot.fill(Err(failure.reason()));
                tracing::error!(reason = failure.reason(), "failed to {failure}; listening, but giving no answers");
                systemd::ready(&format!("NOT SERVING: {}", failure.reason()));
            }
        }
    })
}

/// Says that the engine could not be opened when the thread that opens it ends without saying anything: by a panic.
struct FailWhenLost<E>(Arc<EngineSlot<E>>);

impl<E> Drop for FailWhenLost<E> {
    fn drop(&mut self) {
        if let EngineState::Loading = self.0.state() {
            self.0.fill(Err(OpenFailure::STORE_NOT_OPENED));
            tracing::error!("opening the engine ended without a result; listening, but giving no answers");
            systemd::ready(&format!("NOT SERVING: {}", OpenFailure::STORE_NOT_OPENED));
        }
    }
}

impl<A: Application> Running<A> {
    /// The address listened on.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Gives the order to stop.
    pub fn stop_handle(&self) -> StopHandle {
        self.stop.clone()
    }

    /// The certificates in force.
    pub fn tls(&self) -> Arc<TlsState> {
        Arc::clone(&self.tls)
    }

    /// The latch behind the health service.
    pub fn readiness(&self) -> Readiness {
        self.readiness.clone()
    }

    /// How many connections were closed since the start because of a limit, by reason, as the metrics page tells.
    pub fn connections_shed(&self) -> Vec<(&'static str, u64)> {
        let report = self.plane.report();
        Shed::ALL.iter().map(|why| (why.word(), report.counts().counted(*why))).collect()
    }

    /// How many calls were read late since the start because their organisation called faster than its limit.
    pub fn calls_read_late(&self) -> u64 {
        self.plane.report().late()
    }

    /// Waits for the order to stop, drains, and closes the engine.
    pub fn wait(mut self) -> Ending {
        self.control.block_on(self.signal.draining());
        systemd::stopping();
        tracing::info!(limit_ms = self.drain_limit.as_millis(), "draining");
        let began = Instant::now();
        let drain = drain(&self.readiness, &mut self.plane, &self.stop, &self.signal, self.drain_limit);
        let ending = self.control.block_on(drain);
        match ending {
            Ending::Drained => tracing::info!("drained"),
            Ending::LimitReached => tracing::warn!("the drain limit ran out; calls in progress were cut"),
            Ending::AtOnce => tracing::warn!("ended at once; calls in progress were cut"),
        }
        let deadline = (began + self.drain_limit).max(Instant::now() + CLOSE_AT_LEAST);
        match self.control.block_on(opened(&self.engine, ending)) {
            EngineState::Ready(engine) => {
                // Its last holders end here, never while the process is already ending around them.
                if self.closer.close_until(engine, deadline) && self.opening.join().is_err() {
                    tracing::error!("the opening thread ended in a panic");
                }
            }
            EngineState::Loading | EngineState::Failed(_) => self.edge.tell_left(),
        }
        // Background work holds nothing that closing the engine has not made durable.
        self.control.shutdown_timeout(deadline.saturating_duration_since(Instant::now()).min(BACKGROUND_LIMIT));
        ending
    }
}

/// What became of the opening; one that is still under way is waited for a little, unless everything ends at once.
async fn opened<E>(slot: &EngineSlot<E>, ending: Ending) -> EngineState<E> {
    let deadline = Instant::now() + OPENING_LIMIT;
    loop {
        match slot.state() {
            EngineState::Loading if ending != Ending::AtOnce && Instant::now() < deadline => {
                tokio::time::sleep(OPENING_INTERVAL).await;
            }
            state @ (EngineState::Loading | EngineState::Ready(_) | EngineState::Failed(_)) => return state,
        }
    }
}

/// Drains within its shares of `limit`: a call that does not end in time is cut, and what is left closes the engine.
async fn drain(
    readiness: &Readiness,
    plane: &mut DataPlane,
    stop: &StopHandle,
    signal: &StopSignal,
    limit: Duration,
) -> Ending {
    let share = |(parts, of): (u32, u32)| tokio::time::Instant::now() + limit * parts / of;
    let (calls, threads) = (share(CALLS_SHARE), share(THREADS_SHARE));
    readiness.drain().await;
    let ending = tokio::select! {
        biased;
        () = signal.ending() => Ending::AtOnce,
        () = plane.ended() => Ending::Drained,
        () = tokio::time::sleep_until(calls) => Ending::LimitReached,
    };
    // The order may come, and the threads end by it, between two looks of one poll.
    let ending = if ending == Ending::Drained && signal.is_ending() { Ending::AtOnce } else { ending };
    stop.end_now();
    let threads = threads.min(tokio::time::Instant::now() + END_LIMIT);
    if tokio::time::timeout_at(threads, plane.ended()).await.is_err() {
        tracing::warn!("a data thread did not end");
    }
    ending
}
