//! Places for work that outlives its call. A deadline that passes, or a caller who hangs up, gives the places of the call back, and
//! what was begun goes on to its end. Until then it holds places of its own, so many of one organisation and so many in all: of
//! whoever sends changes and waits for none, as many are in progress as of anybody else.
//! Never lets such work begin without them.

use std::sync::Arc;

use kith_engine::{Call, Engine};
use tonic::Status;
use tonic_types::StatusExt;

use super::context::{Services, now};
use super::errors;
use crate::config::Limits;
use crate::load::{Bound, Held};
use crate::refusal;
use crate::shares::Shares;

/// So many in all, and of each organisation.
#[derive(Debug, Clone)]
struct Kind {
    all: Arc<Bound>,
    own: Shares,
}

impl Kind {
    fn new(all: usize, own: usize) -> Self {
        Self { all: Bound::new(all), own: Shares::new(own) }
    }

    /// Takes one, or nothing where all are taken.
    fn take(&self, call: Call) -> Option<Held> {
        // The own one first: whoever has none left takes none of everybody's, not even for a moment.
        let mut held = self.own.of(call.peer.organisation.as_str()).take()?;
        held.join(self.all.take()?);
        Some(held)
    }
}

/// Places of streams for each that a call may hold: of the one that was given up, and of the one after it. Whoever has as many as it
/// may, breaks all of them off and begins anew at once finds a place for each.
const BESIDE: usize = 2;

/// As many as there are of calls in progress, and as many of them of one organisation: a call that is waited for has its places
/// longer than what it began. Streams last, and have places of their own here too. So has what writes beside the audit's tree: its
/// disk may hang by itself, and no change is refused for that.
#[derive(Debug, Clone)]
pub(super) struct Places {
    changes: Kind,
    streams: Kind,
    tree: Kind,
}

impl Places {
    pub(super) fn new(limits: &Limits) -> Self {
        let (part, of_streams) = (limits.part_in_flight(), limits.part_of_streams());
        Self {
            changes: Kind::new(limits.max_in_flight, part),
            streams: Kind::new(part.saturating_mul(BESIDE), of_streams.saturating_mul(BESIDE)),
            tree: Kind::new(part, of_streams),
        }
    }
}

/// A change that may begin. What closing the engine waits for begins with its work, so one that is dropped before that has changed
/// nothing, and no gap is told for it.
#[must_use]
pub(super) struct Begun {
    place: Held,
    engine: Arc<Engine>,
}

impl Services {
    /// Begins a change, for [`to_its_end`].
    ///
    /// # Errors
    /// OVERLOADED, which is counted for the audit: too many of this organisation, or in all, have not come to their end.
    pub(super) fn begin(&self, engine: &Arc<Engine>, call: Call) -> Result<Begun, Status> {
        self.try_begin(engine, call).ok_or_else(|| self.overloaded(call))
    }

    /// As [`Services::begin`], for a call that is answered all the same and says so itself.
    pub(super) fn try_begin(&self, engine: &Arc<Engine>, call: Call) -> Option<Begun> {
        let place = self.places().changes.take(call)?;
        Some(Begun { place, engine: Arc::clone(engine) })
    }

    /// A place for what writes beside the audit's tree and says itself when it changes something, for [`on_its_own`].
    ///
    /// # Errors
    /// As [`Services::begin`].
    pub(super) fn begin_at_tree(&self, call: Call) -> Result<Held, Status> {
        self.places().tree.take(call).ok_or_else(|| self.overloaded(call))
    }

    /// A place for a stream that goes on by itself, until it is dropped.
    ///
    /// # Errors
    /// As [`Services::begin`].
    pub(super) fn begin_stream(&self, call: Call) -> Result<Held, Status> {
        self.places().streams.take(call).ok_or_else(|| self.overloaded(call))
    }

    fn overloaded(&self, call: Call) -> Status {
        let status = refusal::overloaded();
        let reason = status.get_details_error_info().map(|info| info.reason).unwrap_or_default();
        self.edge().refused_call(call.peer, call.method, &reason, now());
        status
    }
}

/// Runs a change and its audit to their end, whether or not the caller waits: a deadline that passes, or a call that is given
/// up, between the two must not leave a change of which nobody knows who made it. Nor does the end of the process, and the places
/// are held until then.
pub(super) async fn to_its_end<T: Send + 'static>(
    Begun { place, engine }: Begun,
    work: impl Future<Output = Result<T, Status>> + Send + 'static,
) -> Result<T, Status> {
    let changing = engine.changing();
    drop(engine);
    let told = async move {
        let ended = work.await;
        changing.told();
        ended
    };
    on_its_own(place, told).await
}

/// Runs work to its end, whether or not the caller waits, with a place until then. Closing the engine waits for it no longer than
/// the work says.
pub(super) async fn on_its_own<T: Send + 'static>(
    place: Held,
    work: impl Future<Output = Result<T, Status>> + Send + 'static,
) -> Result<T, Status> {
    let whole = async move {
        let ended = work.await;
        drop(place);
        ended
    };
    tokio::spawn(whole).await.unwrap_or_else(|_| Err(errors::ended(errors::Before::Unanswered)))
}

#[cfg(test)]
mod tests {
    use std::future::poll_fn;
    use std::task::Poll;

    use kith_domain::caller::{Peer, Role};
    use kith_domain::codes::OdsCode;
    use kith_domain::method::Method;
    use tokio::sync::oneshot;

    use super::*;
    use crate::services::testing::{self, Place, reason};

    fn by(organisation: &str) -> Call {
        let peer = Peer { organisation: OdsCode::parse(organisation).unwrap(), role: Role::Ed };
        Call { peer, ..testing::call(Method::Record) }
    }

    /// Eight changes, two of them of one organisation; two streams, one of them of one organisation, and as many beside them.
    fn limits() -> Limits {
        Limits { max_in_flight: 8, share_percent: 25, ..Limits::default() }
    }

    fn fail() -> Result<(), Status> {
        panic!("on purpose")
    }

    #[test]
    fn one_organisation_has_its_share_and_all_together_as_many_as_there_are() {
        let kind = Kind::new(5, 2);
        let take = |organisation: &str| kind.take(by(organisation));
        let mut held: Vec<Option<Held>> = ["R1H", "R1H", "R1H"].map(take).into();
        assert_eq!(held.iter().map(Option::is_some).collect::<Vec<_>>(), [true, true, false]);
        held.extend(["RJ1", "RJ1", "RX1"].map(take));
        assert!(held.iter().skip(3).all(Option::is_some), "what another was refused took nobody's place");
        assert!(take("RX1").is_none(), "all are taken");
        held.truncate(1);
        assert!(take("RX1").is_some() && take("R1H").is_some());
    }

    /// Sends a change whose deadline passes once it is begun; it ends when it is told to.
    async fn sent_and_left(services: &Services, place: &Place, call: Call) -> Result<oneshot::Sender<()>, Status> {
        let (end, ended) = oneshot::channel::<()>();
        let begun = services.begin(&place.engine, call)?;
        let mut change = Box::pin(to_its_end(begun, async move {
            // Whoever holds the other end tells by dropping it too.
            let _told = ended.await;
            Ok(())
        }));
        poll_fn(|cx| Poll::Ready(change.as_mut().poll(cx).is_ready())).await;
        Ok(end)
    }

    #[tokio::test]
    async fn a_change_that_outlives_its_call_holds_the_place_of_its_organisation() {
        let place = Place::new();
        let (services, _running) = testing::services_within(&place, limits());
        let [hostile, other] = ["R1H", "RJ1"].map(by);
        let mut left = Vec::new();
        for _ in 0..2 {
            left.push(sent_and_left(&services, &place, hostile).await.expect("a place"));
        }
        let refused = sent_and_left(&services, &place, hostile).await.expect_err("its share is in progress");
        assert_eq!((refused.code(), reason(&refused).as_str()), (tonic::Code::ResourceExhausted, "OVERLOADED"));
        assert_eq!(services.edge().told(), [(Some(Method::Record), "OVERLOADED", 1)], "and it is told to the audit");
        assert!(sent_and_left(&services, &place, other).await.is_ok(), "nobody else's place is taken");
        // Once one has come to its end, the next may begin.
        drop(left.pop());
        while services.places().changes.own.of("R1H").held() > 1 {
            tokio::task::yield_now().await;
        }
        assert!(sent_and_left(&services, &place, hostile).await.is_ok());
    }

    #[tokio::test]
    async fn a_change_that_ends_in_a_panic_gives_its_place_back() {
        let place = Place::new();
        let (services, _running) = testing::services_within(&place, limits());
        for _ in 0..5 {
            let begun = services.begin(&place.engine, by("R1H")).expect("a place");
            let ended = to_its_end(begun, async { fail() }).await;
            assert_eq!(reason(&ended.unwrap_err()), "STREAM_ENDED");
        }
    }

    #[tokio::test]
    async fn streams_take_no_place_of_changes() {
        let place = Place::new();
        let (services, _running) = testing::services_within(&place, limits());
        let given_up = services.begin_stream(by("R1H")).expect("a place");
        let held = services.begin_stream(by("R1H")).expect("the one that was given up takes none of the next one's");
        assert_eq!(reason(&services.begin_stream(by("R1H")).expect_err("it has two")), "OVERLOADED");
        assert!(services.begin_stream(by("RJ1")).is_ok() && services.try_begin(&place.engine, by("R1H")).is_some());
        drop((given_up, held));
        assert!(services.begin_stream(by("R1H")).is_ok());
    }

    /// As where the tree's disk hangs: witnesses come again and again, and each time waits for it.
    #[tokio::test]
    async fn what_waits_for_the_tree_takes_no_place_of_changes() {
        let place = Place::new();
        let (services, _running) = testing::services_within(&place, limits());
        let mut waiting = Vec::new();
        for witness in ["RW1", "RW2", "RW3"] {
            waiting.extend(services.begin_at_tree(by(witness)).ok());
        }
        assert_eq!(waiting.len(), 2, "all of its places are taken");
        for organisation in ["RW1", "RW1", "R1H", "R1H"] {
            let begun = services.begin(&place.engine, by(organisation)).expect("a place");
            assert!(to_its_end(begun, async { Ok(()) }).await.is_ok());
        }
    }

    #[tokio::test]
    async fn a_change_that_never_begins_is_no_gap() {
        let place = Place::new();
        let (services, _running) = testing::services_within(&place, limits());
        drop(services.begin(&place.engine, by("R1H")).expect("a place"));
        let before = testing::last(&place.engine);
        place.engine.close(now());
        assert_eq!(testing::last(&place.engine), before + 1, "the end is one in order");
    }
}
