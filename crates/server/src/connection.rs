//! A connection after its handshake: who is on it, how many calls are open on it, and when it is closed because its peer asks
//! nothing, takes nothing, or sends too much that is nothing.
//! Never exists without a verified identity.

mod patience;

use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, OnceLock};
use std::task::{Context, Poll, ready};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::time::{Instant, Sleep};
use tokio_rustls::server::TlsStream;
use tonic::transport::server::Connected;

use crate::config::Limits;
use crate::flood::FrameCounter;
use crate::gather::Gather;
use crate::http2_refusals::Http2Refusals;
use crate::identity::PeerIdentity;
use crate::load::{Bound, Held};
use crate::open_connections::{LINGER, Registered, Standing};
use crate::pace::{Entries, Pace, Paced};
use crate::refusal;
use crate::rounds::{Place, Round};
use crate::shed::{Shed, ShedReport};
use crate::socket::Socket;
use crate::taking::Takings;
use patience::Patience;

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
    /// At the pace of its organisation, over all of its connections.
    pub(crate) fn new(peer: Arc<PeerIdentity>, address: SocketAddr, standing: Arc<Standing>, pace: Arc<Pace>) -> Self {
        Self { peer, address, activity: Arc::new(Activity::new(standing, pace)) }
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

/// Whether the certificate still stands that this request came under.
///
/// # Errors
/// As [`peer`].
pub(crate) fn standing<T>(request: &tonic::Request<T>) -> Result<Arc<Standing>, tonic::Status> {
    let info = request.extensions().get::<ConnectInfo>();
    info.map(|info| Arc::clone(info.activity().standing())).ok_or_else(refusal::no_identity)
}

/// When so many entries of this request are taken up, on the thread that answers it.
///
/// # Errors
/// As [`peer`].
pub(crate) fn entries<T>(request: &tonic::Request<T>, count: usize) -> Result<Entries, tonic::Status> {
    let info = request.extensions().get::<ConnectInfo>().ok_or_else(refusal::no_identity)?;
    let Activity { pace, round, .. } = info.activity().as_ref();
    Ok(Entries::new(Arc::clone(pace), Place::new(round.get().cloned()), count))
}

/// Calls open on one connection, and when the last one ended.
#[derive(Debug)]
pub(crate) struct Activity {
    began: Instant,
    open_calls: AtomicUsize,
    last_used_ms: AtomicU64,
    /// Whether any call ever began.
    called: AtomicBool,
    /// Places of the organisation on it, and those for its streams.
    share: OnceLock<Arc<Bound>>,
    stream_share: OnceLock<Arc<Bound>>,
    /// Its rounds on this thread.
    round: OnceLock<Arc<Round>>,
    takings: Takings,
    standing: Arc<Standing>,
    pace: Arc<Pace>,
}

impl Activity {
    fn new(standing: Arc<Standing>, pace: Arc<Pace>) -> Self {
        Self {
            began: Instant::now(),
            open_calls: AtomicUsize::new(0),
            last_used_ms: AtomicU64::new(0),
            called: AtomicBool::new(false),
            share: OnceLock::new(),
            stream_share: OnceLock::new(),
            round: OnceLock::new(),
            takings: Takings::default(),
            standing,
            pace,
        }
    }

    /// Whether the certificate on the connection still stands.
    pub(crate) fn standing(&self) -> &Arc<Standing> {
        &self.standing
    }

    /// Counts a call as open until the returned value is dropped.
    pub(crate) fn open_call(self: &Arc<Self>) -> OpenCall {
        self.open_calls.fetch_add(1, Ordering::AcqRel);
        self.called.store(true, Ordering::Relaxed);
        OpenCall(Arc::clone(self))
    }

    /// Places of the organisation on this connection; looked up once.
    pub(crate) fn share(&self, find: impl FnOnce() -> Arc<Bound>) -> &Arc<Bound> {
        self.share.get_or_init(find)
    }

    /// Places for streams of the organisation on this connection; looked up once.
    pub(crate) fn stream_share(&self, find: impl FnOnce() -> Arc<Bound>) -> &Arc<Bound> {
        self.stream_share.get_or_init(find)
    }

    /// Rounds of the organisation on this connection's thread; looked up once.
    pub(crate) fn round(&self, find: impl FnOnce() -> Arc<Round>) -> &Arc<Round> {
        self.round.get_or_init(find)
    }

    /// The replies on this connection.
    pub(crate) fn takings(&self) -> &Takings {
        &self.takings
    }

    /// When to look again, or why the connection is closed now.
    fn judge(&self, patience: &Patience, now: Instant) -> Result<Instant, Shed> {
        // A stall may begin right after this look, so that the next one is never later than its limit.
        let mut next = now + patience.stall;
        if let Some(since) = self.takings.waiting_since() {
            let stalled_at = since + patience.stall;
            if stalled_at <= now {
                return Err(Shed::WriteStall);
            }
            next = next.min(stalled_at);
        }
        let Some(idle_at) = self.idle_at(patience.idle) else { return Ok(next) };
        if idle_at <= now {
            return Err(Shed::Idle);
        }
        next = next.min(idle_at);
        if !self.called.load(Ordering::Relaxed) {
            let first_at = self.began + patience.first_request;
            if first_at <= now {
                return Err(Shed::FirstRequest);
            }
            next = next.min(first_at);
        }
        Ok(next)
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

impl OpenCall {
    /// The replies on the call's connection.
    pub(crate) fn takings(&self) -> &Takings {
        self.0.takings()
    }
}

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
    patience: Patience,
    frames: FrameCounter,
    paced: Paced,
    refusals: Http2Refusals,
    /// The peer has said that nothing more comes.
    peer_ended: bool,
    report: Arc<ShedReport>,
    /// Runs when the connection is to be looked at again.
    watch: Option<Pin<Box<Sleep>>>,
    /// Runs once the certificate no longer stands.
    end_timer: Option<Pin<Box<Sleep>>>,
    _held: (Held, Registered),
}

impl Connection {
    /// Wraps a finished handshake; the socket is between two runtimes until [`Connection::attach`].
    pub(crate) fn new(
        mut stream: TlsStream<Socket>,
        info: ConnectInfo,
        limits: &Limits,
        report: Arc<ShedReport>,
        held: (Held, Registered),
    ) -> io::Result<Self> {
        stream.get_mut().0.detach()?;
        Ok(Self {
            stream: Gather::new(stream),
            paced: Paced::new(Arc::clone(&info.activity.pace)),
            info,
            patience: Patience::new(limits),
            frames: FrameCounter::new(limits, Instant::now()),
            refusals: Http2Refusals::new(),
            peer_ended: false,
            report,
            watch: None,
            end_timer: None,
            _held: held,
        })
    }

    /// Registers with the runtime of the calling thread.
    pub(crate) fn attach(&mut self) -> io::Result<()> {
        self.stream.get_mut().get_mut().0.attach()?;
        let first = self.patience.first_request.min(self.patience.idle).min(self.patience.stall);
        self.watch = Some(Box::pin(tokio::time::sleep(first)));
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

    /// Ready when the peer has asked or taken nothing for too long.
    fn poll_watch(&mut self, cx: &mut Context<'_>) -> Poll<Shed> {
        let Some(timer) = self.watch.as_mut() else { return Poll::Pending };
        while timer.as_mut().poll(cx).is_ready() {
            // Of one that is not read a word may be on its way.
            let patience = if self.paced.is_paused() { self.patience.longer() } else { self.patience };
            match self.info.activity.judge(&patience, Instant::now()) {
                Ok(next) => timer.as_mut().reset(next),
                Err(why) => return Poll::Ready(why),
            }
        }
        Poll::Pending
    }

    /// Reads, and hands on what came before the first call whose time has not come; of such a call the next time.
    fn poll_paced(&mut self, cx: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let before = buffer.filled().len();
        loop {
            // Of a peer that has gone nobody would hear an answer to what it sent.
            let has_gone = self.paced.is_paused() && self.stream.get_mut().get_ref().0.is_read_closed();
            self.peer_ended |= has_gone;
            if has_gone || self.paced.poll(cx).is_pending() {
                // What is to be sent leaves all the same.
                return match self.stream.poll_unsent(cx) {
                    Poll::Ready(Err(error)) => Poll::Ready(Err(error)),
                    Poll::Ready(Ok(())) | Poll::Pending if has_gone => Poll::Ready(Ok(())),
                    Poll::Ready(Ok(())) | Poll::Pending => Poll::Pending,
                };
            }
            let (were_kept, room) = (self.paced.put(buffer), buffer.remaining() > 0);
            if !were_kept {
                ready!(Pin::new(&mut self.stream).poll_read(cx, buffer))?;
            }
            let came = buffer.filled().get(before..).unwrap_or_default();
            let is_nothing = came.is_empty();
            self.peer_ended |= !were_kept && room && is_nothing;
            let count = self.hand_on(came, were_kept)?;
            buffer.set_filled(before + count);
            // To hand on nothing would say that the peer has ended.
            if count > 0 || is_nothing {
                return Poll::Ready(Ok(()));
            }
        }
    }

    /// How many of these bytes, which were kept or have just come, are handed on now.
    fn hand_on(&mut self, bytes: &[u8], were_kept: bool) -> io::Result<usize> {
        let Self { frames, paced, refusals, report, info, .. } = self;
        let counted = frames.read(bytes, Instant::now, || paced.may_call(Instant::now()));
        let handed_on = counted.ok().and_then(|count| bytes.get(..count)).unwrap_or(bytes);
        if let Some(reason) = refusals.read(handed_on) {
            report.refused(reason, &info.peer);
        }
        if let Err(why) = counted {
            return self.shed(why).map(|()| 0);
        }
        if let Some(rest) = bytes.get(handed_on.len()..).filter(|rest| !rest.is_empty()) {
            let now = Instant::now();
            let late = paced.wait_together(frames.calls_in(rest), now);
            report.read_late(late, (&info.peer, info.address), || paced.is_to_be_named(now));
        }
        paced.handed_on(bytes, handed_on.len(), were_kept);
        Ok(handed_on.len())
    }

    /// Notes what was sent. While nothing can be sent nothing may be read either, so the peer is watched here as well.
    fn wrote(
        &mut self,
        cx: &mut Context<'_>,
        said: &[io::IoSlice<'_>],
        written: Poll<io::Result<usize>>,
    ) -> Poll<io::Result<usize>> {
        match written {
            Poll::Ready(Ok(bytes)) => {
                self.frames.sent(bytes);
                self.look_into(said, bytes);
                Poll::Ready(Ok(bytes))
            }
            Poll::Ready(Err(error)) => Poll::Ready(Err(error)),
            Poll::Pending => self.poll_watch(cx).map(|why| {
                self.shed(why)?;
                Err(io::ErrorKind::ConnectionAborted.into())
            }),
        }
    }

    /// Looks for what the transport refuses by itself in so many bytes of what it says.
    fn look_into(&mut self, said: &[io::IoSlice<'_>], mut bytes: usize) {
        let Self { refusals, report, info, .. } = self;
        for part in said {
            let taken = part.get(..bytes).unwrap_or(part);
            bytes -= taken.len();
            refusals.sent(taken, |reason| report.refused(reason, &info.peer));
        }
    }

    /// Closes the connection: a peer that asks nothing reads an end, any other is cut off. Of one that its peer has ended nothing
    /// is told: what it did not take was not refused to it.
    fn shed(&mut self, why: Shed) -> io::Result<()> {
        self.watch = None;
        if !self.peer_ended {
            self.report.shed(why, &self.info.peer, self.info.address);
        }
        match why {
            Shed::Idle | Shed::FirstRequest => Ok(()),
            Shed::All
            | Shed::Address
            | Shed::Organisation
            | Shed::Handshake
            | Shed::WriteStall
            | Shed::Pings
            | Shed::Settings
            | Shed::ControlFrames => Err(io::ErrorKind::ConnectionAborted.into()),
        }
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
    /// server close it. One whose peer floods it, or takes nothing, reads as broken.
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        if this.poll_fallen(cx).is_ready() {
            return Poll::Ready(Ok(()));
        }
        match this.poll_paced(cx, buffer) {
            Poll::Ready(read) => Poll::Ready(read),
            Poll::Pending => this.poll_watch(cx).map(|why| this.shed(why)),
        }
    }
}

impl AsyncWrite for Connection {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let this = self.get_mut();
        let written = Pin::new(&mut this.stream).poll_write(cx, bytes);
        this.wrote(cx, &[io::IoSlice::new(bytes)], written)
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
        let this = self.get_mut();
        let written = Pin::new(&mut this.stream).poll_write_vectored(cx, bytes);
        this.wrote(cx, bytes, written)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PATIENCE: Patience = Patience {
        first_request: Duration::from_secs(60),
        idle: Duration::from_secs(900),
        stall: Duration::from_secs(20),
    };

    fn after(began: Instant, seconds: u64) -> Instant {
        began + Duration::from_secs(seconds)
    }

    #[tokio::test(start_paused = true)]
    async fn whoever_never_asks_is_closed_and_whoever_asked_once_is_idle_later() {
        let (activity, began) = (Arc::new(Activity::new(Arc::default(), Arc::default())), Instant::now());
        assert_eq!(activity.judge(&PATIENCE, began), Ok(after(began, 20)), "looked at for stalls");
        assert_eq!(activity.judge(&PATIENCE, after(began, 59)), Ok(after(began, 60)));
        assert_eq!(activity.judge(&PATIENCE, after(began, 60)), Err(Shed::FirstRequest));
        drop(activity.open_call());
        assert_eq!(activity.judge(&PATIENCE, after(began, 899)), Ok(after(began, 900)));
        assert_eq!(activity.judge(&PATIENCE, after(began, 900)), Err(Shed::Idle));
        let call = activity.open_call();
        assert_eq!(activity.judge(&PATIENCE, after(began, 5_000)), Ok(after(began, 5_020)), "a call is open");
        drop(call);
    }

    #[tokio::test(start_paused = true)]
    async fn a_reply_that_is_not_taken_closes_the_connection_although_others_are() {
        let (activity, began) = (Arc::new(Activity::new(Arc::default(), Arc::default())), Instant::now());
        let call = activity.open_call();
        tokio::time::advance(Duration::from_secs(3)).await;
        let stuck = call.takings().begin(Instant::now());
        for _ in 0..10 {
            tokio::time::advance(Duration::from_secs(1)).await;
            drop(call.takings().begin(Instant::now()));
        }
        assert_eq!(activity.judge(&PATIENCE, after(began, 22)), Ok(after(began, 23)));
        assert_eq!(activity.judge(&PATIENCE, after(began, 23)), Err(Shed::WriteStall));
        drop(stuck);
        assert_eq!(activity.judge(&PATIENCE, after(began, 23)), Ok(after(began, 43)));
    }
}
