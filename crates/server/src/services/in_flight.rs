//! Groups of one stream that are with the writer. While one is synced the next is read, checked and handed over, so that stream and
//! writer do not wait for each other in turn. Verdicts, entries of the audit and counts follow in the order in which the groups came.
//! Never says anything of a group that the audit did not take, nor of any group behind it.

use std::collections::VecDeque;
use std::future::poll_fn;
use std::pin::Pin;
use std::task::{Poll, ready};

use kith_domain::caller::Caller;
use kith_domain::change::Change;
use kith_domain::permit::{self, ActionPermit};
use kith_domain::time::Moment;
use kith_engine::{Call, CarriedOver, ChangedOne, Changing, EachUntaken, Engine, Submitted, Verdict};
use tokio_stream::Stream;
use tonic::Status;
use tonic_types::StatusExt;

use super::context::{self, Services, now};
use super::errors::{self, Before};
use super::group::{self, Group};

/// Groups of one stream with the writer at once: the one that is synced, and the one that the writer finds when that is done. A third
/// would make nothing sooner, and be one more that a stream leaves to be told of when it ends.
pub(super) const MAX_IN_FLIGHT: usize = 2;

/// Those of one stream, oldest first.
pub(super) struct InFlight<T> {
    groups: VecDeque<Handed<T>>,
    /// The first group that the audit did not take, and whether anything stands of it, or of those behind it.
    untaken: Option<EachUntaken>,
}

/// A group with the writer, and what its sender is told by.
struct Handed<T> {
    /// From before it is handed over until the audit has its entry, so that an end in order waits for that.
    changing: Changing,
    verdicts: Submitted,
    of: T,
}

/// A group whose changes are on disk, or refused; the audit does not know yet.
pub(super) struct Settled<T> {
    pub(super) changing: Changing,
    /// With what each carried over.
    pub(super) verdicts: Vec<(Verdict, Vec<CarriedOver>)>,
    pub(super) of: T,
}

/// What happens next on a stream.
pub(super) enum Next<T, N> {
    Settled(Settled<T>),
    More(N),
}

/// Why no more is taken of a stream that its sender has not ended.
pub(super) enum End {
    /// Whoever reads has gone: there is nobody to tell.
    Gone,
    /// The audit did not take what became of a group.
    NotAudited,
    /// Whoever sends is not proven any more, or may not do so any more.
    NotAllowed(Box<Caller>, permit::Refusal),
    /// As this says, which is in no audit yet.
    Refused(Status),
    /// As this says.
    Told(Status),
}

impl End {
    /// Whether it is a refusal, which has an entry of its own. Whoever gives a stream up is refused nothing.
    pub(super) fn is_refusal(&self) -> bool {
        match self {
            Self::NotAllowed(..) => true,
            Self::Refused(status) => status.get_details_error_info().is_some(),
            Self::Gone | Self::NotAudited | Self::Told(_) => false,
        }
    }
}

impl<T> InFlight<T> {
    pub(super) fn new() -> Self {
        Self { groups: VecDeque::with_capacity(MAX_IN_FLIGHT), untaken: None }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.groups.is_empty()
    }

    /// Hands a group to the writer, behind those before it; returns once it has its place there. For one without changes the writer is
    /// not asked, and it keeps its turn all the same.
    pub(super) async fn hand_over(
        &mut self,
        engine: &Engine,
        (permit, at): (&ActionPermit, Moment),
        changes: Vec<Change>,
        of: T,
    ) {
        let changing = engine.changing();
        let verdicts = engine.hand_over(permit, at, changes).await;
        self.groups.push_back(Handed { changing, verdicts, of });
    }

    /// What comes first: the verdicts on the oldest group, or what `more` gives, which is asked only where there is room for one more
    /// group. Where both are there it is what `more` gives, so that the writer has its next group before anybody is told of the last.
    /// It is dropped where the verdicts come first, and must lose nothing by that. Behind another group there is no room while the
    /// writer has enough without it: of many streams each has one there then, and a single change that somebody waits for, such as
    /// a check-in, waits behind one of each and not behind two.
    pub(super) async fn next<N>(&mut self, engine: &Engine, more: impl Future<Output = N>) -> Next<T, N> {
        let room = match self.groups.len() {
            0 => true,
            handed => handed < MAX_IN_FLIGHT && !engine.has_enough_to_write(),
        };
        tokio::select! {
            biased;
            more = more, if room => Next::More(more),
            Some(settled) = self.settled() => Next::Settled(settled),
        }
    }

    /// Waits for the verdicts on the oldest group; gives nothing where no group is with the writer. Given up before that it loses
    /// nothing.
    pub(super) async fn settled(&mut self) -> Option<Settled<T>> {
        poll_fn(|context| {
            let Some(oldest) = self.groups.front_mut() else { return Poll::Ready(None) };
            let verdicts = ready!(Pin::new(&mut oldest.verdicts).poll(context));
            let oldest = self.groups.pop_front();
            Poll::Ready(oldest.map(|Handed { changing, verdicts: submitted, of }| Settled {
                changing,
                verdicts: submitted.with_carried(verdicts),
                of,
            }))
        })
        .await
    }

    /// Puts what became of a settled group into the audit, and what it carried over (each with whether that is to have no place),
    /// whatever became of those before it: it may stand, and somebody is to know who sent it.
    ///
    /// # Errors
    /// [`End::NotAudited`]: its sender is to hear none of its verdicts, because the audit did not take them, or not those of a group
    /// before it. So whoever sends has the verdicts on all events up to one and on none behind that, and sends those again.
    pub(super) async fn audited(
        &mut self,
        engine: &Engine,
        (call, caller): (Call, Option<&Caller>),
        (each, carried): (Vec<ChangedOne>, Vec<(CarriedOver, bool)>),
        changing: Changing,
    ) -> Result<(), End> {
        let made = each.iter().any(ChangedOne::was_made);
        let told = engine.audit_each(now(), call, caller, each).await;
        // Whether or not the audit took the others: what stands is told by each, or later.
        let over = engine.audit_carried(now(), call, caller, carried).await;
        changing.told();
        self.heard(told.and(over.map_err(|error| EachUntaken { error, stands: true })), made)
    }

    /// Whether the sender of a group may hear of it, after what the audit said of it and of those before it. What was made of one that
    /// it may not hear of stands, and is never told as nothing changed.
    fn heard(&mut self, told: Result<(), EachUntaken>, made: bool) -> Result<(), End> {
        match &mut self.untaken {
            Some(first) => first.stands |= made,
            None => match told {
                Ok(()) => return Ok(()),
                Err(untaken) => self.untaken = Some(untaken),
            },
        }
        Err(End::NotAudited)
    }

    /// How a stream ends of which no group is with the writer any more: with the status that its sender hears last, if there is
    /// anybody to hear it, and what that says of what was taken `before`. A refusal comes into the audit here, behind what was sent
    /// before it and whatever the audit took of that.
    pub(super) async fn ended(
        self,
        engine: &Engine,
        (call, caller): (Call, Option<&Caller>),
        (end, before): (Result<(), End>, Before),
    ) -> Result<(), Option<Status>> {
        let ended = match end {
            Ok(()) => Ok(()),
            Err(End::Gone | End::NotAudited) => Err(None),
            Err(End::NotAllowed(caller, refused)) => {
                Err(Some(context::not_any_more(engine, call, *caller, (refused, before)).await))
            }
            Err(End::Refused(status)) => {
                Err(Some(context::refused_midway(engine, call, caller.cloned(), status).await))
            }
            Err(End::Told(status)) => Err(Some(status)),
        };
        // That something may stand is said first, whatever else ended the stream.
        let ended = match self.untaken {
            Some(untaken) => Err(Some(context::untaken(engine, untaken))),
            None => ended,
        };
        ended.map_err(|status| status.map(|status| errors::behind(before, status)))
    }
}

/// The next group of a stream, or why there is none: the server stops, or nothing comes for too long. That time begins anew with each
/// group and each that is settled, and none passes while any is with the writer (`quiet` says that none is): a disk that takes long
/// is no silence of whoever sends. `before` is what its sender is told of what stands. Given up before it gives a group it loses none.
pub(super) async fn arrived<T, S>(
    stream: &mut S,
    services: &Services,
    (quiet, before): (bool, Before),
) -> Result<Group<T>, End>
where
    S: Stream<Item = Result<T, Status>> + Unpin,
{
    tokio::select! {
        group = group::next(stream) => Ok(group),
        () = services.stop().draining() => Err(End::Told(errors::draining(before))),
        () = tokio::time::sleep(services.limits().stream_idle()), if quiet => {
            Err(End::Refused(errors::idle_stream(before)))
        }
    }
}

#[cfg(test)]
mod tests {
    use kith_domain::proof::Unproven;
    use kith_engine::AuditError;

    use super::*;
    use crate::services::testing::{self, Place, reason};

    const NOT_TAKEN: EachUntaken = EachUntaken { error: AuditError::NoSink, stands: false };

    /// The reason that a stream ends with, of whose groups the audit said this; each says whether anything was made.
    async fn ending(groups: &[(Result<(), EachUntaken>, bool)]) -> (Vec<bool>, Option<String>) {
        let place = Place::new();
        let mut in_flight = InFlight::<()>::new();
        let heard = groups.iter().map(|(told, made)| in_flight.heard(*told, *made).is_ok()).collect();
        let call = testing::call(kith_domain::method::Method::SubmitEvents);
        let ended = in_flight.ended(&place.engine, (call, None), (Ok(()), Before::Acknowledged)).await;
        (heard, ended.err().flatten().map(|status| reason(&status)))
    }

    #[tokio::test]
    async fn nothing_is_heard_of_a_group_behind_one_that_the_audit_did_not_take() {
        let all = [(Ok(()), true), (Err(NOT_TAKEN), false), (Ok(()), false)];
        let unavailable = Some("AUDIT_UNAVAILABLE".to_owned());
        assert_eq!(ending(&all).await, (vec![true, false, false], unavailable));
        assert_eq!(ending(&all[..1]).await, (vec![true], None));
    }

    #[tokio::test]
    async fn of_what_stands_behind_one_that_was_not_taken_nobody_hears_that_nothing_was_changed() {
        let stands = EachUntaken { stands: true, ..NOT_TAKEN };
        for (first, behind) in [
            ((Err(stands), true), (Err(NOT_TAKEN), false)),
            ((Err(NOT_TAKEN), false), (Err(stands), true)),
            ((Err(NOT_TAKEN), false), (Ok(()), true)),
        ] {
            let (heard, reason) = ending(&[first, behind]).await;
            assert_eq!((heard, reason.as_deref()), (vec![false, false], Some("CHANGE_NOT_AUDITED")));
        }
    }

    #[tokio::test]
    async fn a_refusal_is_in_the_audit_though_a_group_before_it_is_not() {
        let place = Place::new();
        let mut in_flight = InFlight::<()>::new();
        assert!(in_flight.heard(Err(NOT_TAKEN), false).is_err());
        let before = testing::last(&place.engine);
        let call = testing::call(kith_domain::method::Method::SubmitEvents);
        let end = End::NotAllowed(Box::new(testing::caller()), permit::Refusal::RoleNotAllowed);
        let ended = in_flight.ended(&place.engine, (call, None), (Err(end), Before::Acknowledged)).await;
        let heard = ended.err().flatten().map(|status| reason(&status));
        assert_eq!(heard.as_deref(), Some("AUDIT_UNAVAILABLE"), "what was sent before it is told first");
        assert_eq!(testing::last(&place.engine), before + 1);
    }

    /// What came before the group that the audit did not take stands, also where its sender heard of none of it.
    #[tokio::test]
    async fn where_the_audit_takes_no_more_a_program_hears_too_that_what_was_sent_may_stand() {
        let place = Place::new();
        let call = testing::call(kith_domain::method::Method::Import);
        for (before, may_stand) in [(Before::Unanswered, true), (Before::Acknowledged, false)] {
            let mut in_flight = InFlight::<()>::new();
            assert!(in_flight.heard(Err(NOT_TAKEN), false).is_err());
            let ended = in_flight.ended(&place.engine, (call, None), (Err(End::NotAudited), before)).await;
            let status = ended.err().flatten().expect("its sender hears of it");
            assert_eq!(reason(&status), "AUDIT_UNAVAILABLE");
            assert_eq!(kith_api::client::Trouble::from(&status).may_stand, may_stand, "{before:?}");
        }
    }

    /// A token may expire between two looks at it, and the policy be another by the next group.
    #[tokio::test]
    async fn whoever_may_not_go_on_is_never_told_that_nothing_was_changed_behind_what_stands() {
        let place = Place::new();
        let call = testing::call(kith_domain::method::Method::SubmitEvents);
        for refused in [permit::Refusal::RoleNotAllowed, permit::Refusal::PersonNotProven(Unproven::Expired)] {
            for (before, stands) in [
                (Before::Acknowledged, "what was acknowledged stands"),
                (Before::Unanswered, "what was sent may stand"),
            ] {
                let end = Err(End::NotAllowed(Box::new(testing::caller()), refused));
                let ended = InFlight::<()>::new().ended(&place.engine, (call, None), (end, before)).await;
                let status = ended.err().flatten().expect("its sender hears of it");
                assert_eq!(reason(&status), refused.reason());
                assert!(status.message().contains(stands) && !status.message().contains("nothing was"), "{status:?}");
            }
        }
    }
}
