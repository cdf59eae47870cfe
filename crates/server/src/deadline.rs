//! A bound on every call: its deadline, and how many may be in progress at once. A call is in progress until the peer has taken
//! its reply.
//! Answers DEADLINE_EXCEEDED itself, before the transport would say CANCELLED. Never lets a passed deadline look like
//! an answer, nor a call begin or go on under a certificate that no longer stands, nor a refusal of its own, of the transport's or
//! of a handler without an audit leave uncounted for the audit.

use std::future::{Future, poll_fn};
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use http::{HeaderMap, Request, Response};
use http_body::{Body as HttpBody, Frame, SizeHint};
use tokio::time::{Instant, Sleep};
use tonic::body::Body;
use tonic::codegen::Bytes;
use tower::{Layer, Service};

use crate::answer_times::UntilEncoded;
use crate::config::Limits;
use crate::connection::{ConnectInfo, OpenCall};
use crate::edge::{Asking, Edge};
use crate::given_up;
use crate::load::{Bound, Held};
use crate::open_connections::Standing;
use crate::refusal;
use crate::rounds::{Place, Round, Rounds};
use crate::shares::Shares;
use crate::taking::Taking;

/// The header in which a client states its time-out.
const TIMEOUT_HEADER: &str = "grpc-timeout";

/// What HTTP/2 counts for a header beside its name and value.
const HEADER_OVERHEAD_BYTES: usize = 32;

/// Most digits in that header, by the gRPC protocol.
const TIMEOUT_DIGITS_MAX: usize = 8;

/// Calls that may last, with places of their own. They have no deadline unless the client sets one, and then that one however late,
/// but for those of [`SOON_ENDED`].
const STREAMING: [&str; 7] = [
    "/kith.v1.PlanService/SubmitEvents",
    "/kith.v1.PlanFileService/SubmitPlanFile",
    "/kith.v1.PresentationService/Import",
    "/kith.v1.LookupService/LookupMany",
    "/grpc.health.v1.Health/Watch",
    "/grpc.reflection.v1.ServerReflection/ServerReflectionInfo",
    "/grpc.reflection.v1alpha.ServerReflection/ServerReflectionInfo",
];

/// Streams that end by themselves within the latest deadline, and would hold their places for good where the question is never sent
/// whole or none is sent: nothing else ends them, as something does whatever sends rows, events or a file.
const SOON_ENDED: [&str; 3] = [
    "/kith.v1.LookupService/LookupMany",
    "/grpc.reflection.v1.ServerReflection/ServerReflectionInfo",
    "/grpc.reflection.v1alpha.ServerReflection/ServerReflectionInfo",
];

/// Streams of many messages that change something: half of them must not look like all. Of a question, which is one message, the
/// transport says by itself that it did not come, and that refusal has a reason and is counted; reflection changes nothing.
const SENT_IN_PIECES: [&str; 3] = [
    "/kith.v1.PlanService/SubmitEvents",
    "/kith.v1.PlanFileService/SubmitPlanFile",
    "/kith.v1.PresentationService/Import",
];

/// Whether a call goes on for as long as its client says, or until it ends.
fn lasts(path: &str) -> bool {
    STREAMING.contains(&path) && !SOON_ENDED.contains(&path)
}

/// The one call that asks when it ends: the others need not pay for knowing it.
const CHECK_IN: &str = "/kith.v1.LookupService/CheckIn";

/// When a check-in ends whatever it was answered until then: among the extensions of its request, where it has a deadline.
#[derive(Debug, Clone, Copy)]
pub(crate) struct CallDeadline(pub(crate) Instant);

/// Calls that are answered even under overload: whoever watches the service must be able to see it.
const NEVER_SHED: &str = "/grpc.health.v1.Health/";

/// Sets the deadline of each call and bounds the calls in progress.
#[derive(Debug, Clone)]
pub struct CallLimitsLayer {
    default_timeout: Duration,
    max_timeout: Duration,
    in_flight: Arc<Bound>,
    /// Calls that may last have places of their own, so that they never take those of questions.
    streams: Arc<Bound>,
    shares: Shares,
    stream_shares: Shares,
    /// Of calls that are never shed for what others do, each organisation has so many.
    health_shares: Shares,
    rounds: Rounds,
    max_header_bytes: u32,
    max_metadata_entries: usize,
    edge: Edge,
}

impl CallLimitsLayer {
    /// The calls in progress are counted over all clones, and refusals for the audit.
    pub(crate) fn new(limits: &Limits, edge: Edge) -> Self {
        Self {
            default_timeout: Duration::from_millis(limits.request_timeout_ms),
            max_timeout: Duration::from_millis(limits.max_timeout_ms),
            in_flight: Bound::new(limits.max_in_flight),
            streams: Bound::new(limits.part_in_flight()),
            shares: Shares::new(limits.part_in_flight()),
            stream_shares: Shares::new(limits.part_of_streams()),
            health_shares: Shares::new(limits.part_of_streams()),
            rounds: Rounds::default(),
            max_header_bytes: limits.max_header_bytes,
            max_metadata_entries: limits.max_metadata_entries,
            edge,
        }
    }

    /// Refuses headers beyond the bounds: in number, and in bytes counted as HTTP/2 counts them (RFC 9113, section 6.5.2).
    fn headers(&self, path: &str, headers: &HeaderMap) -> Result<(), tonic::Status> {
        if headers.len() > self.max_metadata_entries {
            return Err(refusal::too_many_headers());
        }
        let lines = headers.iter().map(|(name, value)| name.as_str().len() + value.len() + HEADER_OVERHEAD_BYTES);
        let bytes = path.len() + lines.sum::<usize>();
        if bytes > usize::try_from(self.max_header_bytes).unwrap_or(usize::MAX) {
            return Err(refusal::headers_too_large());
        }
        Ok(())
    }

    fn deadline(&self, path: &str, headers: &HeaderMap, now: Instant) -> Result<Option<Instant>, tonic::Status> {
        let timeout = match timeout_header(headers)? {
            Some(timeout) if timeout <= self.max_timeout || lasts(path) => Some(timeout),
            Some(_) => Some(self.max_timeout),
            None if lasts(path) => None,
            None if STREAMING.contains(&path) => Some(self.max_timeout),
            None => Some(self.default_timeout),
        };
        // A time-out beyond what the clock can count is none.
        Ok(timeout.and_then(|timeout| now.checked_add(timeout)))
    }

    fn admit(&self, path: &str, info: Option<&ConnectInfo>) -> Result<Admitted, tonic::Status> {
        let call = info.map(|info| info.activity().open_call());
        if path.starts_with(NEVER_SHED) {
            let share = info.map(|info| self.health_shares.of(&info.peer.organisation));
            let held = share.map(|share| share.take().ok_or_else(refusal::overloaded)).transpose()?;
            return Ok(Admitted { _held: held, call, round: None });
        }
        let streams = STREAMING.contains(&path);
        let places = if streams { &self.streams } else { &self.in_flight };
        let mut held = places.take().ok_or_else(refusal::overloaded)?;
        if let Some(info) = info {
            let own = |shares: &Shares| shares.of(&info.peer.organisation);
            let share = match streams {
                true => info.activity().stream_share(|| own(&self.stream_shares)),
                false => info.activity().share(|| own(&self.shares)),
            };
            held.join(share.take().ok_or_else(refusal::overloaded)?);
        }
        let round = info.map(|info| info.activity().round(|| self.rounds.of(&info.peer.organisation)));
        Ok(Admitted { _held: Some(held), call, round: round.cloned() })
    }
}

impl<S> Layer<S> for CallLimitsLayer {
    type Service = CallLimits<S>;

    fn layer(&self, inner: S) -> CallLimits<S> {
        CallLimits { inner, limits: self.clone() }
    }
}

/// What a call holds until its last byte is taken.
#[derive(Debug)]
struct Admitted {
    _held: Option<Held>,
    call: Option<OpenCall>,
    /// The rounds in which it is taken up.
    round: Option<Arc<Round>>,
}

/// The service behind the limits.
#[derive(Debug, Clone)]
pub struct CallLimits<S> {
    inner: S,
    limits: CallLimitsLayer,
}

impl<S, E> Service<Request<Body>> for CallLimits<S>
where
    S: Service<Request<Body>, Response = Response<Body>, Error = E>,
    S::Future: Send + 'static,
    E: 'static,
{
    type Response = Response<Body>;
    type Error = E;
    type Future = Pin<Box<dyn Future<Output = Result<Response<Body>, E>> + Send>>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), E>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, request: Request<Body>) -> Self::Future {
        let path = request.uri().path();
        let info = request.extensions().get::<ConnectInfo>();
        let asking = info.map(|info| Asking::new(&self.limits.edge, &info.peer, request.uri()));
        let standing = info.map(|info| info.activity().standing());
        let admitted = standing.map_or(Ok(()), |standing| still_stands(standing)).and_then(|()| {
            self.limits.headers(path, request.headers())?;
            let deadline = self.limits.deadline(path, request.headers(), Instant::now())?;
            let admitted = self.limits.admit(path, info)?;
            Ok((deadline, admitted))
        });
        let (deadline, admitted) = match admitted {
            Ok(admitted) => admitted,
            Err(status) => {
                noted(asking.as_ref(), &status);
                return Box::pin(async move { Ok(status.into_http()) });
            }
        };
        let (in_pieces, is_check_in) = (SENT_IN_PIECES.contains(&path), path == CHECK_IN);
        // Also of a call that does not last: its message may come long after its head.
        let standing = standing.cloned();
        // The timer is set before the transport around this layer sets its own, so this one ends first.
        let limit = Limit::new(deadline, standing);
        // One that is given up must not look sent to its end.
        let mut request = if in_pieces { request.map(given_up::told) } else { request };
        if let Some(deadline) = deadline
            && is_check_in
        {
            request.extensions_mut().insert(CallDeadline(deadline));
        }
        Box::pin(bounded(self.inner.call(request), limit, admitted, asking))
    }
}

/// Counts the refusal of a call that came over a connection of this server.
fn noted(asking: Option<&Asking>, status: &tonic::Status) {
    if let Some(asking) = asking {
        asking.refused(status);
    }
}

/// The response, or with a stable reason where the transport refused without one: such a call no handler saw. What a handler
/// refused and could not put into the audit is noted too.
fn explained(response: Response<Body>, asking: Option<&Asking>) -> Response<Body> {
    // A refusal before any message has its status among the headers; whatever a handler says has details.
    let Some(refused) = tonic::Status::from_header_map(response.headers()) else { return response };
    match refusal::explained(&refused) {
        Some(status) => {
            noted(asking, &status);
            status.into_http()
        }
        None => {
            if refusal::is_unaudited(&refused) {
                noted(asking, &refused);
            }
            response
        }
    }
}

async fn bounded<F, E>(
    response: F,
    mut limit: Limit,
    mut admitted: Admitted,
    asking: Option<Asking>,
) -> Result<Response<Body>, E>
where
    F: Future<Output = Result<Response<Body>, E>>,
{
    let mut response = pin!(response);
    let mut place = Place::new(admitted.round.take());
    let ended = poll_fn(|cx| {
        // First: what comes after the fall is neither asked nor changed.
        if let Some(status) = limit.fallen() {
            return Poll::Ready(Err(status));
        }
        // Whatever wakes it: a call whose parts come one by one is taken up as often.
        if place.poll(cx).is_ready()
            && let Poll::Ready(response) = response.as_mut().poll(cx)
        {
            return Poll::Ready(Ok(response));
        }
        limit.poll(cx).map(Err)
    })
    .await;
    match ended {
        Ok(response) => {
            let timed = UntilEncoded::of_this_response();
            let response = explained(response?, asking.as_ref());
            Ok(response.map(|body| Body::new(BoundedBody::new(body, limit, admitted, (timed, asking)))))
        }
        Err(status) => {
            noted(asking.as_ref(), &status);
            Ok(status.into_http())
        }
    }
}

/// Refuses a call under a certificate that no longer stands.
fn still_stands(standing: &Standing) -> Result<(), tonic::Status> {
    if standing.stands() {
        return Ok(());
    }
    standing.tell();
    Err(refusal::certificate_not_trusted())
}

/// Ends when the certificate falls.
type Falls = Pin<Box<dyn Future<Output = ()> + Send>>;

/// What ends a call before its own end.
#[derive(Default)]
struct Limit {
    timer: Option<Pin<Box<Sleep>>>,
    standing: Option<Arc<Standing>>,
    /// There from when the call has to wait: few ever do.
    falls: Option<Falls>,
}

impl Limit {
    /// At the deadline, and when the certificate falls.
    fn new(deadline: Option<Instant>, standing: Option<Arc<Standing>>) -> Self {
        let timer = deadline.map(|deadline| Box::pin(tokio::time::sleep_until(deadline)));
        Self { timer, standing, falls: None }
    }

    /// What the peer is told where the certificate no longer stands. It wakes nobody when that changes.
    fn fallen(&self) -> Option<tonic::Status> {
        let fallen = self.standing.as_ref().filter(|standing| !standing.stands())?;
        fallen.tell();
        Some(refusal::certificate_fell())
    }

    /// Ready with what the peer is told.
    fn poll(&mut self, cx: &mut Context<'_>) -> Poll<tonic::Status> {
        if let Some(standing) = &self.standing {
            let falls = self.falls.get_or_insert_with(|| -> Falls { Box::pin(Arc::clone(standing).fallen()) });
            if falls.as_mut().poll(cx).is_ready() {
                standing.tell();
                return Poll::Ready(refusal::certificate_fell());
            }
        }
        match self.timer.as_mut() {
            Some(timer) => timer.as_mut().poll(cx).map(|()| refusal::deadline_exceeded()),
            None => Poll::Pending,
        }
    }
}

/// A response body that ends with DEADLINE_EXCEEDED when the deadline passes before its own end, and with UNAUTHENTICATED
/// when the certificate falls.
struct BoundedBody {
    inner: Body,
    limit: Limit,
    ended: bool,
    admitted: Option<Arc<Admitted>>,
    taking: Option<Arc<Taking>>,
    /// Of an answer that has not been encoded yet: it is when its bytes are first asked for.
    timed: Option<UntilEncoded>,
    asking: Option<Asking>,
}

impl BoundedBody {
    fn new(
        inner: Body,
        limit: Limit,
        admitted: Admitted,
        (timed, asking): (Option<UntilEncoded>, Option<Asking>),
    ) -> Self {
        let taking = admitted.call.as_ref().map(|call| call.takings().begin(Instant::now()));
        Self { inner, limit, ended: false, admitted: Some(Arc::new(admitted)), taking, timed, asking }
    }

    fn end(&mut self) {
        self.ended = true;
        self.limit = Limit::default();
        self.admitted = None;
        self.taking = None;
    }

    /// Passes on what the body says. Its bytes hold the call's places until the peer has taken them.
    fn pass(
        &mut self,
        frame: Option<Result<Frame<Bytes>, tonic::Status>>,
    ) -> Option<Result<Frame<Bytes>, tonic::Status>> {
        if !matches!(&frame, Some(Ok(frame)) if frame.is_data()) {
            let trailers = frame.as_ref().and_then(|frame| frame.as_ref().ok()).and_then(Frame::trailers_ref);
            if let Some(status) = trailers.and_then(refusal::unaudited_end) {
                noted(self.asking.as_ref(), &status);
            }
            self.end();
            return frame;
        }
        if let Some(timed) = self.timed.take() {
            timed.encoded();
        }
        let (Some(taking), Some(admitted)) = (&self.taking, &self.admitted) else { return frame };
        frame.map(|frame| frame.map(|frame| frame.map_data(|bytes| taking.hand(bytes, Arc::clone(admitted)))))
    }

    /// Ends the body with this status instead of what it had left to say.
    fn end_with(&mut self, status: &tonic::Status) -> Poll<Option<Result<Frame<Bytes>, tonic::Status>>> {
        noted(self.asking.as_ref(), status);
        self.end();
        self.inner = Body::default();
        let mut trailers = HeaderMap::new();
        Poll::Ready(Some(status.add_header(&mut trailers).map(|()| Frame::trailers(trailers))))
    }
}

impl HttpBody for BoundedBody {
    type Data = Bytes;
    type Error = tonic::Status;

    fn poll_frame(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, tonic::Status>>> {
        let this = self.get_mut();
        if this.ended {
            return Poll::Ready(None);
        }
        // First, so that a stream that always has something to say ends as well, and no answer leaves after the fall.
        if let Some(status) = this.limit.fallen() {
            return this.end_with(&status);
        }
        if let Poll::Ready(frame) = Pin::new(&mut this.inner).poll_frame(cx) {
            return Poll::Ready(this.pass(frame));
        }
        if let Some(taking) = &this.taking {
            taking.nothing_to_take();
        }
        match this.limit.poll(cx) {
            Poll::Ready(status) => this.end_with(&status),
            Poll::Pending => Poll::Pending,
        }
    }

    fn is_end_stream(&self) -> bool {
        self.ended || self.inner.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.inner.size_hint()
    }
}

/// The client's time-out, when it set one.
fn timeout_header(headers: &HeaderMap) -> Result<Option<Duration>, tonic::Status> {
    let mut values = headers.get_all(TIMEOUT_HEADER).iter();
    let Some(value) = values.next() else { return Ok(None) };
    if values.next().is_some() {
        return Err(refusal::bad_timeout());
    }
    let text = value.to_str().ok().and_then(parse_timeout);
    text.map(Some).ok_or_else(refusal::bad_timeout)
}

/// Reads one to eight digits and a unit.
pub(crate) fn parse_timeout(text: &str) -> Option<Duration> {
    let (position, unit) = text.char_indices().next_back()?;
    let digits = text.get(..position)?;
    let usable = (1..=TIMEOUT_DIGITS_MAX).contains(&digits.len()) && digits.bytes().all(|b| b.is_ascii_digit());
    let value: u64 = usable.then(|| digits.parse().ok()).flatten()?;
    match unit {
        'H' => Some(Duration::from_secs(value * 3_600)),
        'M' => Some(Duration::from_secs(value * 60)),
        'S' => Some(Duration::from_secs(value)),
        'm' => Some(Duration::from_millis(value)),
        'u' => Some(Duration::from_micros(value)),
        'n' => Some(Duration::from_nanos(value)),
        _ => None,
    }
}

#[cfg(test)]
mod tests;
