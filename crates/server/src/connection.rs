//! A connection after its handshake: who is on it, how many calls are open on it, and when it has been idle too long.
//! Never exists without a verified identity.

use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, OnceLock};
use std::task::{Context, Poll};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::time::{Instant, Sleep};
use tokio_rustls::server::TlsStream;
use tonic::transport::server::Connected;

use crate::gather::Gather;
use crate::identity::PeerIdentity;
use crate::load::{Bound, Held};
use crate::open_connections::{LINGER, Registered, Standing};
use crate::refusal;
use crate::socket::Socket;

/// Who is on the connection; every request carries it among its extensions.
#[derive(Debug, Clone)]
pub struct ConnectInfo {
    /// The verified identity.
    pub peer: Arc<PeerIdentity>,
    /// Where the connection came from.
    pub address: SocketAddr,
    activity: Arc<Activity>,
}

impl ConnectInfo {
    pub(crate) fn new(peer: Arc<PeerIdentity>, address: SocketAddr, standing: Arc<Standing>) -> Self {
        Self { peer, address, activity: Arc::new(Activity::new(standing)) }
    }

    pub(crate) fn activity(&self) -> &Arc<Activity> {
        &self.activity
    }
}

/// The verified identity of whoever sent this request.
///
/// # Errors
/// `UNAUTHENTICATED` when the request did not come over a connection of this server.
pub fn peer<T>(request: &tonic::Request<T>) -> Result<Arc<PeerIdentity>, tonic::Status> {
    let info = request.extensions().get::<ConnectInfo>();
    info.map(|info| Arc::clone(&info.peer)).ok_or_else(refusal::no_identity)
}

/// Calls open on one connection, and when the last one ended.
#[derive(Debug)]
pub(crate) struct Activity {
    began: Instant,
    open_calls: AtomicUsize,
    last_used_ms: AtomicU64,
    /// Places of the organisation on it.
    share: OnceLock<Arc<Bound>>,
    standing: Arc<Standing>,
}

impl Activity {
    fn new(standing: Arc<Standing>) -> Self {
        Self {
            began: Instant::now(),
            open_calls: AtomicUsize::new(0),
            last_used_ms: AtomicU64::new(0),
            share: OnceLock::new(),
            standing,
        }
    }

    /// Whether the certificate on the connection still stands.
    pub(crate) fn standing(&self) -> &Arc<Standing> {
        &self.standing
    }

    /// Counts a call as open until the returned value is dropped.
    pub(crate) fn open_call(self: &Arc<Self>) -> OpenCall {
        self.open_calls.fetch_add(1, Ordering::AcqRel);
        OpenCall(Arc::clone(self))
    }

    /// Places of the organisation on this connection; looked up once.
    pub(crate) fn share(&self, find: impl FnOnce() -> Arc<Bound>) -> &Arc<Bound> {
        self.share.get_or_init(find)
    }

    /// When the connection will have been idle for `limit`, or nothing while a call is open.
    fn idle_at(&self, limit: Duration) -> Option<Instant> {
        let last_used = Duration::from_millis(self.last_used_ms.load(Ordering::Acquire));
        (self.open_calls.load(Ordering::Acquire) == 0).then(|| self.began + last_used + limit)
    }
}

/// One open call.
#[derive(Debug)]
pub(crate) struct OpenCall(Arc<Activity>);

impl Drop for OpenCall {
    fn drop(&mut self) {
        let now_ms = u64::try_from(self.0.began.elapsed().as_millis()).unwrap_or(u64::MAX);
        self.0.last_used_ms.fetch_max(now_ms, Ordering::AcqRel);
        self.0.open_calls.fetch_sub(1, Ordering::AcqRel);
    }
}

/// A connection ready to carry calls.
#[derive(Debug)]
pub(crate) struct Connection {
    stream: Gather<TlsStream<Socket>>,
    info: ConnectInfo,
    idle_limit: Duration,
    idle_timer: Option<Pin<Box<Sleep>>>,
    /// Runs once the certificate no longer stands.
    end_timer: Option<Pin<Box<Sleep>>>,
    _held: (Held, Registered),
}

impl Connection {
    /// Wraps a finished handshake; the socket is between two runtimes until [`Connection::attach`].
    pub(crate) fn new(
        mut stream: TlsStream<Socket>,
        info: ConnectInfo,
        idle_limit: Duration,
        held: (Held, Registered),
    ) -> io::Result<Self> {
        stream.get_mut().0.detach()?;
        Ok(Self { stream: Gather::new(stream), info, idle_limit, idle_timer: None, end_timer: None, _held: held })
    }

    /// Registers with the runtime of the calling thread.
    pub(crate) fn attach(&mut self) -> io::Result<()> {
        self.stream.get_mut().get_mut().0.attach()?;
        self.idle_timer = Some(Box::pin(tokio::time::sleep(self.idle_limit)));
        Ok(())
    }

    /// Ready when the certificate no longer stands, and the peer was told so or asked nothing more.
    fn poll_fallen(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        let activity = &self.info.activity;
        if activity.standing.stands() {
            return Poll::Pending;
        }
        let Some(at) = activity.standing.closes_at(activity.idle_at(LINGER)) else { return Poll::Pending };
        let timer = self.end_timer.get_or_insert_with(|| Box::pin(tokio::time::sleep_until(at)));
        if timer.deadline() != at {
            timer.as_mut().reset(at);
        }
        timer.as_mut().poll(cx)
    }

    /// Ready when no call was open for the whole limit.
    fn poll_idle(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        let Some(timer) = self.idle_timer.as_mut() else { return Poll::Pending };
        while timer.as_mut().poll(cx).is_ready() {
            let now = Instant::now();
            match self.info.activity.idle_at(self.idle_limit) {
                Some(at) if at <= now => return Poll::Ready(()),
                Some(at) => timer.as_mut().reset(at),
                None => timer.as_mut().reset(now + self.idle_limit),
            }
        }
        Poll::Pending
    }
}

impl Connected for Connection {
    type ConnectInfo = ConnectInfo;

    fn connect_info(&self) -> ConnectInfo {
        self.info.clone()
    }
}

impl AsyncRead for Connection {
    /// Reads; a connection that was idle for too long, or whose certificate no longer stands, reads as ended, which makes the
    /// server close it.
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        if this.poll_fallen(cx).is_ready() {
            return Poll::Ready(Ok(()));
        }
        match Pin::new(&mut this.stream).poll_read(cx, buffer) {
            Poll::Ready(result) => Poll::Ready(result),
            Poll::Pending => this.poll_idle(cx).map(Ok),
        }
    }
}

impl AsyncWrite for Connection {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.get_mut().stream).poll_write(cx, bytes)
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().stream).poll_flush(cx)
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().stream).poll_shutdown(cx)
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.get_mut().stream).poll_write_vectored(cx, bytes)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }
}
