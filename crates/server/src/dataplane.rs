//! The threads that answer calls: one single-threaded runtime each, fed by the accept thread.
//! Never does a handshake, reads a signal or runs background work.

use std::io;
use std::sync::Arc;
use std::thread;
use std::time::Duration;

use tokio::runtime::{Builder, Handle};
use tokio::sync::mpsc;
use tokio_stream::StreamExt;
use tokio_stream::wrappers::ReceiverStream;
use tonic::service::Routes;
use tonic::transport::Server;

use crate::accept::{Acceptor, Lane};
use crate::config::{Config, Limits};
use crate::connection::Connection;
use crate::deadline::CallLimitsLayer;
use crate::edge::Edge;
use crate::load::Bound;
use crate::shed::ShedReport;
use crate::stop::StopSignal;
use crate::tls::TlsState;

/// Connections handed over and not yet taken up by their data thread.
const LANE_CAPACITY: usize = 64;

/// Headers beyond the bound are refused with a reason, up to this many times the bound; beyond that HTTP/2 cuts them with a
/// bare 431, before there is a call that could have a reason.
const HEADERS_CUT_FACTOR: u32 = 4;

/// How long a thread that answers may run on: the least the kernel knows. Most answers take less than that.
const ANSWERING_SLICE: Duration = Duration::from_micros(100);

/// How long a thread that serves no more waits for what its callers left: longer than the log and the audit have for a change by
/// default.
const LEFT_OVER_LIMIT: Duration = Duration::from_secs(2);
/// Pause between two looks whether there is any.
const LOOK_AGAIN: Duration = Duration::from_millis(5);
/// Tasks after which a thread that is never out of work looks what has come on its connections, and takes in one that another thread has
/// woken, such as a check-in that waited for its sync: both stand behind what is ready then.
const LOOKS_AFTER: u32 = 16;
const TAKES_IN_AFTER: u32 = 4;

/// The running threads. Each holds a sender until it ends; `ended` hears when the last one is gone.
#[derive(Debug)]
pub(crate) struct DataPlane {
    ended: mpsc::Receiver<()>,
    report: Arc<ShedReport>,
}

impl DataPlane {
    /// Starts the accept thread on `listener` and the data threads behind it.
    ///
    /// # Errors
    /// When a thread or its runtime cannot be started.
    pub(crate) fn start(
        config: &Config,
        listener: std::net::TcpListener,
        tls: Arc<TlsState>,
        routes: Routes,
        stop: &StopSignal,
        edge: Edge,
    ) -> io::Result<Self> {
        let limits = &config.limits;
        let layers = layers(limits, edge.clone());
        let report = Arc::new(ShedReport::new(edge));
        let (alive, ended) = mpsc::channel::<()>(1);
        let mut lanes = Vec::new();
        for number in 0..thread_count(config) {
            let (sender, receiver) = mpsc::channel(LANE_CAPACITY);
            lanes.push(Lane { connections: sender, load: Bound::new(usize::MAX) });
            let router = server(limits).layer(layers.clone()).add_routes(routes.clone());
            let signal = stop.clone();
            run_thread(format!("kithd-data-{number}"), alive.clone(), async move {
                answer_first();
                let served = router.serve_with_incoming_shutdown(incoming(receiver), signal.draining());
                tokio::select! {
                    result = served => {
                        log_end(result);
                        to_their_ends(&signal).await;
                    }
                    () = signal.ending() => {}
                }
            })?;
        }
        let acceptor = Arc::new(Acceptor::new(tls, limits.clone(), lanes, Arc::clone(&report)));
        let signal = stop.clone();
        listener.set_nonblocking(true)?;
        run_thread(String::from("kithd-accept"), alive, async move {
            // A storm of clients that come back waits, and those who ask do not.
            kith_engine::give_way();
            match tokio::net::TcpListener::from_std(listener) {
                Ok(listener) => acceptor.run(listener, signal).await,
                Err(error) => tracing::error!(%error, "failed to listen"),
            }
        })?;
        Ok(Self { ended, report })
    }

    /// Which connections were closed, and why.
    pub(crate) fn report(&self) -> Arc<ShedReport> {
        Arc::clone(&self.report)
    }

    /// Waits until every thread has ended.
    pub(crate) async fn ended(&mut self) {
        // Nothing is ever sent: the channel only closes.
        while self.ended.recv().await.is_some() {}
    }
}

/// Whatever of ours a call goes through between its connection and its service; the calls of all clones are counted together. What
/// is added here is counted where it is counted what a lookup costs (`bench_entry`).
pub(crate) fn layers(limits: &Limits, edge: Edge) -> CallLimitsLayer {
    CallLimitsLayer::new(limits, edge)
}

/// Lets the thread that answers take a processor from those that work behind the answers as soon as it has something to do, and not
/// when their turn is over. Where the kernel refuses, it stays as it is: it only costs time.
fn answer_first() {
    if let Err(error) = kith_slice::set(ANSWERING_SLICE) {
        tracing::warn!(%error, "a thread that answers has slices of the usual length: answers may wait for the turns of others");
    }
}

fn thread_count(config: &Config) -> usize {
    match config.server.data_threads {
        0 => thread::available_parallelism().map_or(1, usize::from),
        count => count,
    }
}

/// Runs `work` on a thread with a runtime of its own; `alive` is dropped when it has ended.
fn run_thread(
    name: String,
    alive: mpsc::Sender<()>,
    work: impl Future<Output = ()> + Send + 'static,
) -> io::Result<()> {
    let mut runtime = Builder::new_current_thread();
    let runtime = runtime.enable_all().event_interval(LOOKS_AFTER).global_queue_interval(TAKES_IN_AFTER).build()?;
    thread::Builder::new().name(name).spawn(move || {
        runtime.block_on(work);
        drop(runtime);
        drop(alive);
    })?;
    Ok(())
}

/// Gives what still runs on this thread the time to end: a change whose caller has gone goes on until the audit has been told of
/// it, and ends with its runtime.
async fn to_their_ends(signal: &StopSignal) {
    let running = Handle::current().metrics();
    let ended = async {
        while running.num_alive_tasks() > 0 {
            tokio::time::sleep(LOOK_AGAIN).await;
        }
    };
    tokio::select! {
        () = ended => {}
        () = tokio::time::sleep(LEFT_OVER_LIMIT) => {}
        () = signal.ending() => {}
    }
}

fn incoming(receiver: mpsc::Receiver<Connection>) -> impl tokio_stream::Stream<Item = io::Result<Connection>> {
    ReceiverStream::new(receiver).filter_map(|mut connection| match connection.attach() {
        Ok(()) => Some(Ok(connection)),
        Err(error) => {
            tracing::warn!(kind = ?error.kind(), "failed to take over a connection");
            None
        }
    })
}

/// Every bound the transport has, set. There is no grace after `max_connection_age`: with one, the transport would cut
/// calls in progress instead of asking the client to finish them.
fn server(limits: &Limits) -> Server {
    Server::builder()
        .max_concurrent_streams(limits.max_concurrent_streams)
        .concurrency_limit_per_connection(usize::try_from(limits.max_concurrent_streams).unwrap_or(usize::MAX))
        .load_shed(true)
        .http2_max_header_list_size(limits.max_header_bytes.saturating_mul(HEADERS_CUT_FACTOR))
        .http2_max_pending_accept_reset_streams(Some(limits.max_reset_streams))
        .http2_max_local_error_reset_streams(Some(limits.max_reset_streams))
        .http2_keepalive_interval(Some(Duration::from_secs(limits.keepalive_interval_s)))
        .http2_keepalive_timeout(Some(Duration::from_secs(limits.keepalive_timeout_s)))
        .initial_stream_window_size(limits.stream_window_bytes)
        .initial_connection_window_size(limits.connection_window_bytes)
        .max_connection_age(Duration::from_secs(limits.connection_age_s))
}

fn log_end(result: Result<(), tonic::transport::Error>) {
    if let Err(error) = result {
        tracing::error!(%error, "failed to serve connections");
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicBool, Ordering};

    use super::*;

    #[test]
    fn what_a_caller_left_behind_comes_to_its_end_before_its_thread_does() {
        let (_order, signal) = crate::stop::channel();
        let ended = Arc::new(AtomicBool::new(false));
        let work = Arc::clone(&ended);
        let runtime = Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async {
            tokio::spawn(async move {
                for _ in 0..1_000 {
                    tokio::task::yield_now().await;
                }
                work.store(true, Ordering::Release);
            });
            to_their_ends(&signal).await;
        });
        assert!(ended.load(Ordering::Acquire));
    }

    #[test]
    fn an_order_to_end_at_once_waits_for_nobody() {
        let (order, signal) = crate::stop::channel();
        order.end_now();
        let runtime = Builder::new_current_thread().enable_all().start_paused(true).build().unwrap();
        runtime.block_on(async {
            tokio::spawn(std::future::pending::<()>());
            let began = tokio::time::Instant::now();
            to_their_ends(&signal).await;
            assert!(began.elapsed() < LEFT_OVER_LIMIT);
        });
    }
}
