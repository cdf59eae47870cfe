//! Changes that stand and that no entry of the audit tells of yet: it took entries when they were sent, and none when they had
//! been made. They are kept until it takes one, in order, and until then no further change is taken. An end of the process without
//! order loses them.

use crate::audit_entry::AuditEntry;
use crate::engine::Engine;
use crate::rows::encode;
use crate::told_again::Kept;
use kith_domain::refused::Refused;
use kith_store::{AuditError, AuditRef, Journal};
use std::collections::VecDeque;
use std::future::poll_fn;
use std::pin::Pin;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::task::Poll;
use std::time::Duration;
use tokio::sync::Notify;

/// Entries that are kept together: one, or those of one group of a stream. Never none.
type Together = VecDeque<Kept>;

/// Entries that the audit has not taken, oldest first.
#[derive(Debug, Default)]
pub(crate) struct Untold {
    kept: Mutex<VecDeque<Together>>,
    /// Held by whoever tells, so that they are told in order. One whose write was given up may be written late: it is told again
    /// all the same unless it stands by then, and names the number under which it may come to stand.
    teller: tokio::sync::Mutex<()>,
    /// One more is kept.
    more: Notify,
    #[cfg(test)]
    pub(crate) trouble: Trouble,
}

/// Kept at most, those of one group of a stream as one: more than calls, and groups of streams, can be in progress when the audit stops
/// taking entries, and none is begun after that.
const KEPT: usize = 4_096;
/// Pause of a closing engine between two looks whether somebody else still tells.
const PAUSE: Duration = Duration::from_millis(10);
/// So many looks: longer than the audit has for an entry by default.
const LOOKS: u32 = 100;

impl Untold {
    fn lock(&self) -> MutexGuard<'_, VecDeque<Together>> {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn is_empty(&self) -> bool {
        self.lock().is_empty()
    }

    /// Keeps an entry; false where there is no room for it.
    #[cfg(test)]
    fn keep(&self, entry: impl Into<Kept>) -> bool {
        let entry: Kept = entry.into();
        self.keep_together(Together::from([entry]))
    }

    /// Keeps entries, which take the room of one; false where there is none for them.
    fn keep_together(&self, entries: Together) -> bool {
        if entries.is_empty() {
            return true;
        }
        let mut kept = self.lock();
        let room = kept.len() < KEPT;
        if room {
            kept.push_back(entries);
            self.more.notify_one();
        }
        room
    }

    /// The oldest. It stays until it is told: nothing is changed meanwhile.
    fn oldest(&self) -> Option<Kept> {
        self.lock().front().and_then(Together::front).cloned()
    }

    /// The oldest was tried, and may stand under this number.
    fn tried(&self, given: Option<AuditRef>) {
        if let Some(oldest) = self.lock().front_mut().and_then(Together::front_mut) {
            oldest.tried(given);
        }
    }

    /// The oldest is told.
    fn told(&self) {
        let mut kept = self.lock();
        let Some(oldest) = kept.front_mut() else { return };
        oldest.pop_front();
        if oldest.is_empty() {
            kept.pop_front();
        }
    }

    /// Hands what is kept to a journal that is about to be closed; false where that does not take all of it. The rest is lost, and
    /// said to be.
    pub(crate) fn hand_to(&self, journal: &Journal) -> bool {
        let mut turn = self.teller.try_lock();
        for _ in 0..LOOKS {
            if turn.is_ok() {
                break;
            }
            #[cfg(test)]
            self.trouble.waited.fetch_add(1, std::sync::atomic::Ordering::AcqRel);
            std::thread::sleep(PAUSE);
            turn = self.teller.try_lock();
        }
        // Without its turn it may tell what the other tells too, which is better than not at all.
        let kept = std::mem::take(&mut *self.lock());
        let mut lost = 0_u64;
        for one in kept.iter().flatten() {
            let append = || encode(&one.as_told()).is_ok_and(|bytes| journal.append(&bytes).is_ok());
            let taken = one.stands(journal) || append();
            lost += u64::from(!taken);
        }
        drop(turn);
        if lost > 0 {
            tracing::error!(lost, "changes stand of which the audit will never tell: it took no entry to the end");
        }
        lost == 0
    }
}

impl Engine {
    /// Whether a change may be made: the audit takes entries now, as far as can be told, and knows of every change that stands.
    pub(crate) fn may_change(&self) -> Result<(), Refused> {
        if self.journal().takes_entries() && self.untold.is_empty() { Ok(()) } else { Err(Refused::NOT_AUDITED) }
    }

    /// As [`Engine::audit`], of changes. Where any of them stands and the audit does not take the entry, it is kept, and told once
    /// the audit does.
    ///
    /// # Errors
    /// [`AuditError`] when no sink takes it in time: what stands is not to be acknowledged.
    pub async fn audit_change(&self, entry: AuditEntry) -> Result<(), AuditError> {
        match entry.decision.stands() {
            true => self.audit_standing(entry).await,
            false => self.audit(&entry).await.map(|_| ()),
        }
    }

    /// As [`Engine::audit_change`], of what stands though its entry does not say so, such as a file of which no row is loaded: its
    /// number is used.
    ///
    /// # Errors
    /// [`AuditError`] when no sink takes it in time: what stands is not to be acknowledged.
    pub async fn audit_standing(&self, entry: AuditEntry) -> Result<(), AuditError> {
        self.audit_all_standing(vec![entry]).await
    }

    /// As [`Engine::audit_standing`], of several at once: all are begun before any is waited for, so that many take as long as one. Begun
    /// in order, one may be written behind others of them all the same, where somebody else is writing just then. Those that are not
    /// taken are kept together.
    ///
    /// # Errors
    /// [`AuditError`] when no sink takes one in time: what stands is not to be acknowledged.
    pub(crate) async fn audit_all_standing(&self, entries: Vec<AuditEntry>) -> Result<(), AuditError> {
        let all: Vec<_> = entries.into_iter().map(|entry| Box::pin(self.tried(entry))).collect();
        let untaken: Vec<(Kept, AuditError)> = together(all).await.into_iter().flatten().collect();
        let Some(error) = untaken.last().map(|(_, error)| *error) else { return Ok(()) };
        self.tell_all_later(untaken);
        Err(error)
    }

    /// Puts an entry of what stands into the audit; gives it back, to be told later, where that does not take it.
    async fn tried(&self, mut entry: AuditEntry) -> Option<(Kept, AuditError)> {
        // Now, and not when it is told in the end: a shield may be lifted, and what had it removed, by then.
        self.mark(&mut entry);
        let mut given = None;
        let error = self.audit_as(&entry, &mut given).await.err()?;
        let mut kept = Kept::from(entry);
        kept.tried(given);
        Some((kept, error))
    }

    /// Keeps an entry that the audit has just not taken.
    pub(crate) fn tell_later(&self, entry: impl Into<Kept>, error: AuditError) {
        let entry: Kept = entry.into();
        self.tell_all_later(vec![(entry, error)]);
    }

    /// Keeps entries that the audit has just not taken, together.
    fn tell_all_later(&self, untaken: Vec<(Kept, AuditError)>) {
        let (mut kept, mut lost) = (Together::new(), None);
        for (entry, error) in untaken {
            // What no journal ever takes would keep everything from being changed.
            match error {
                AuditError::TooLarge { .. } => lost = Some(error),
                AuditError::NoSink
                | AuditError::Closed
                | AuditError::TooLate
                | AuditError::SyncFailed
                | AuditError::Unknown => kept.push_back(entry),
            }
        }
        if !self.untold.keep_together(kept) {
            lost = lost.or(Some(AuditError::NoSink));
        }
        if let Some(error) = lost {
            self.under_way.lose();
            tracing::error!(%error, "a change stands of which the audit will never tell");
        }
    }

    /// Whether changes stand of which no entry tells yet.
    #[must_use]
    pub fn has_untold(&self) -> bool {
        !self.untold.is_empty()
    }

    /// Waits until one more change is kept of which no entry tells yet.
    pub async fn one_more_untold(&self) {
        self.untold.more.notified().await;
    }

    /// Tells the audit of changes that stand, oldest first; false when it did not take one of them. One caller tells at a time.
    pub async fn tell_untold(&self) -> bool {
        let _turn = self.untold.teller.lock().await;
        while let Some(kept) = self.untold.oldest() {
            // Asked first, so that a try while no disk takes anything costs nothing.
            if !self.journal().takes_entries() {
                return false;
            }
            let mut given = None;
            if !kept.stands(self.journal()) && self.audit_as(&kept.as_told(), &mut given).await.is_err() {
                self.untold.tried(given);
                return false;
            }
            self.untold.told();
        }
        true
    }
}

/// What each of these gives, in order: all of them are begun, one behind the other, before any is waited for.
async fn together<F: Future>(futures: Vec<Pin<Box<F>>>) -> Vec<F::Output> {
    let (mut futures, mut outputs) = (futures, Vec::new());
    outputs.resize_with(futures.len(), || None);
    poll_fn(|context| {
        let mut left = false;
        for (future, output) in futures.iter_mut().zip(&mut outputs).filter(|(_, output)| output.is_none()) {
            match future.as_mut().poll(context) {
                Poll::Ready(given) => *output = Some(given),
                Poll::Pending => left = true,
            }
        }
        if left { Poll::Pending } else { Poll::Ready(()) }
    })
    .await;
    outputs.into_iter().flatten().collect()
}

/// The audit in trouble that the journal does not foresee: between a change and its entry.
#[cfg(test)]
#[derive(Debug, Default)]
pub(crate) struct Trouble {
    /// No entry is taken.
    pub(crate) fails: std::sync::atomic::AtomicBool,
    /// While somebody writes to it every entry waits.
    pub(crate) waits: tokio::sync::RwLock<()>,
    /// How many entries were begun.
    begun: std::sync::atomic::AtomicUsize,
    /// How often a closing engine has waited for whoever tells.
    waited: std::sync::atomic::AtomicU32,
}

#[cfg(test)]
impl Trouble {
    pub(crate) fn set(&self, fails: bool) {
        self.fails.store(fails, std::sync::atomic::Ordering::Release);
    }

    /// What an entry meets.
    pub(crate) async fn met(&self) -> Result<(), AuditError> {
        self.begun.fetch_add(1, std::sync::atomic::Ordering::AcqRel);
        drop(self.waits.read().await);
        if self.fails.load(std::sync::atomic::Ordering::Acquire) { Err(AuditError::NoSink) } else { Ok(()) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::audit_entry::{Call, Decision};
    use crate::files::tests::place::{NOW, Place, event, options, permit};
    use crate::rows::decode;
    use kith_domain::change::Change;
    use kith_domain::method::Method;
    use kith_domain::proof::PersonProof;
    use std::sync::Arc;
    use std::time::Instant;

    fn changed(n: u128) -> AuditEntry {
        let call =
            Call { peer: permit(1).peer(), method: Method::SubmitEvents, trace: None, person: PersonProof::NotAsked };
        let decision = Decision::Changed { acknowledged: 1, refused: 0 };
        AuditEntry::of_call(NOW, call, None, Some(uuid::Uuid::from_u128(n)), decision)
    }

    /// What the audit holds of changes, by event id.
    fn told(place: &Place) -> Vec<u128> {
        while place.engine.journal().window().unsynced > 0 {
            std::thread::yield_now();
        }
        let entries = place.engine.journal().read_from(1, 1_000).unwrap();
        let entries = entries.iter().map(|(_, bytes)| decode::<AuditEntry>(bytes).unwrap());
        entries.filter_map(|entry| entry.request_id).map(|id| id.as_u128()).collect()
    }

    #[tokio::test]
    async fn while_the_audit_takes_no_entry_nothing_is_changed() {
        let place = Place::new();
        place.event(1, event(1, 1, 1)).await;
        place.engine.journal().close().unwrap();
        let sent = Change::Plan(event(1, 2, 1));
        let verdicts = place.engine.change(&permit(1), NOW, vec![sent.clone(), sent]).await;
        assert_eq!(verdicts, vec![Err(Refused::NOT_AUDITED); 2]);
        assert!(place.record(1).is_some() && place.record(2).is_none(), "what is refused is not visible");
        let acknowledged = place.engine.acknowledge(&permit(1), NOW, uuid::Uuid::from_u128(9), vec![1]).await;
        assert_eq!(acknowledged, Err(Refused::NOT_AUDITED), "whichever change it is");
    }

    #[tokio::test]
    async fn what_could_not_be_told_is_told_as_a_change_before_anything_else_is_changed() {
        let place = Place::new();
        let sent = || vec![Change::Plan(event(1, 1, 1))];
        assert!(place.engine.untold.keep(changed(7)) && place.engine.untold.keep(changed(8)));
        assert!(place.engine.has_untold());
        assert_eq!(place.engine.change(&permit(1), NOW, sent()).await, vec![Err(Refused::NOT_AUDITED)]);
        assert!(place.record(1).is_none());
        assert!(place.engine.tell_untold().await && !place.engine.has_untold());
        assert_eq!(told(&place), [7, 8]);
        assert!(place.engine.change(&permit(1), NOW, sent()).await[0].is_ok());
        assert!(place.record(1).is_some());
    }

    #[tokio::test]
    async fn while_an_entry_is_being_told_nothing_is_changed_and_nobody_else_tells_it() {
        let place = Place::new();
        let engine = &place.engine;
        assert!(engine.untold.keep(changed(7)));
        let held = engine.untold.trouble.waits.write().await;
        let meanwhile = async {
            tokio::task::yield_now().await;
            let verdicts = engine.change(&permit(1), NOW, vec![Change::Plan(event(1, 1, 1))]).await;
            assert_eq!(verdicts, vec![Err(Refused::NOT_AUDITED)], "the audit has not taken it yet");
            drop(held);
        };
        let (first, second, ()) = tokio::join!(engine.tell_untold(), engine.tell_untold(), meanwhile);
        assert!(first && second && place.record(1).is_none());
        assert_eq!(told(&place), [7], "once");
    }

    #[tokio::test]
    async fn whoever_tells_is_woken_by_what_is_kept() {
        let place = Place::new();
        assert!(place.engine.untold.keep(changed(7)));
        let woken = tokio::time::timeout(Duration::from_secs(60), place.engine.one_more_untold());
        assert!(woken.await.is_ok());
    }

    #[tokio::test]
    async fn what_is_kept_at_the_end_is_handed_to_the_audit_once() {
        let place = Place::new();
        assert!(place.engine.untold.keep(changed(7)));
        let place = place.reopened();
        assert_eq!(told(&place), [7]);
        assert!(!place.engine.has_untold());
    }

    /// Opens what was closed, without closing it again.
    fn opened(Place { engine, dir }: Place) -> Place {
        drop(engine);
        let engine = Engine::open(options(dir.path()), NOW, Arc::new(|what| panic!("the log failed: {what}"))).unwrap();
        Place { engine, dir }
    }

    /// Whether the audit ended with an entry of the stop, and nothing of it is told as missing.
    fn ended_in_order(place: &Place) -> bool {
        let entries = place.engine.journal().read_from(1, 1_000).unwrap();
        let decisions = entries.iter().map(|(_, bytes)| decode::<AuditEntry>(bytes).unwrap().decision);
        let decisions: Vec<Decision> = decisions.collect();
        decisions.contains(&Decision::Stopped) && !decisions.iter().any(|one| matches!(one, Decision::Gap(_)))
    }

    /// Closes while somebody else is in the midst of telling, who goes on once `until` is met or it is closed. Gives whether that one
    /// told everything, and how long it took from when closing began.
    fn closed_while_told(engine: &Engine, until: impl Fn(bool) -> bool) -> (bool, Duration) {
        let held = engine.untold.trouble.waits.blocking_write();
        let (closed, hears) = std::sync::mpsc::channel();
        std::thread::scope(|scope| {
            let runtime = || tokio::runtime::Builder::new_current_thread().build().unwrap();
            let telling = scope.spawn(move || runtime().block_on(engine.tell_untold()));
            while engine.untold.teller.try_lock().is_ok() {
                std::thread::yield_now();
            }
            let began = Instant::now();
            scope.spawn(move || {
                engine.close(NOW);
                closed.send(()).unwrap();
            });
            let mut is_closed = false;
            while !until(is_closed) && began.elapsed() < Duration::from_secs(60) {
                is_closed |= hears.recv_timeout(PAUSE).is_ok();
            }
            let met = until(is_closed);
            // Also where the test fails: the threads are waited for.
            drop(held);
            let others = telling.join().unwrap();
            let took = began.elapsed();
            assert!(met, "closing waits for whoever tells, without an end");
            (others, took)
        })
    }

    #[test]
    fn an_end_waits_for_nobody_for_ever_who_tells_and_hands_over_what_is_kept() {
        let place = Place::new();
        assert!(place.engine.untold.keep(changed(7)) && place.engine.untold.keep(changed(8)));
        let (others, _) = closed_while_told(&place.engine, |is_closed| is_closed);
        assert!(!others, "there was no audit any more when it came to tell");
        let place = opened(place);
        assert_eq!(told(&place), [7, 8], "in order");
        assert!(!place.engine.has_untold() && ended_in_order(&place));
    }

    #[test]
    fn an_end_lets_whoever_tells_come_to_an_end_and_tells_nothing_again() {
        let place = Place::new();
        assert!(place.engine.untold.keep(changed(7)) && place.engine.untold.keep(changed(8)));
        let waits = || place.engine.untold.trouble.waited.load(std::sync::atomic::Ordering::Acquire) > 0;
        let (others, took) = closed_while_told(&place.engine, |is_closed| is_closed || waits());
        let place = opened(place);
        assert!(ended_in_order(&place));
        // Where this machine stood still for longer than closing waits, it may be told twice, and must be told.
        if took < PAUSE * LOOKS {
            assert!(others, "it told all");
            assert_eq!(told(&place), [7, 8], "once");
        }
        assert!([7, 8].iter().all(|id| told(&place).contains(id)));
    }

    #[tokio::test]
    async fn what_the_audit_does_not_take_is_kept_in_order_and_bounded() {
        let place = Place::new();
        place.engine.journal().close().unwrap();
        assert!(place.engine.audit_change(changed(1)).await.is_err());
        assert!(place.engine.audit_change(changed(2)).await.is_err());
        assert!(!place.engine.tell_untold().await);
        let ids =
            || place.engine.untold.lock().iter().flatten().filter_map(|kept| kept.entry.request_id).collect::<Vec<_>>();
        assert_eq!(ids(), [1, 2].map(uuid::Uuid::from_u128));
        let room = (0..KEPT as u128).filter(|n| place.engine.untold.keep(changed(*n))).count();
        assert_eq!(room, KEPT - 2);
    }

    #[tokio::test]
    async fn many_are_begun_before_any_is_waited_for_and_give_what_they_give_in_order() {
        let given = together((0..300).map(|n| Box::pin(async move { n })).collect()).await;
        assert!(given.into_iter().eq(0..300));
        let place = Place::new();
        let Trouble { fails: _, waits, begun, waited: _ } = &place.engine.untold.trouble;
        let begun = || begun.load(std::sync::atomic::Ordering::Acquire);
        let (held, before) = (waits.write().await, begun());
        let all_begun = async {
            while begun() < before + 900 {
                tokio::task::yield_now().await;
            }
            drop(held);
        };
        let all = place.engine.audit_all_standing((1..=900).map(changed).collect());
        let both = tokio::time::timeout(Duration::from_secs(60), async { tokio::join!(all, all_begun) }).await;
        both.expect("none waits for another").0.unwrap();
        // Not in order: where another writes just then the first may come behind the second.
        let mut taken = told(&place);
        taken.sort_unstable();
        assert!(taken.into_iter().eq(1..=900));
    }

    /// A group of a stream has an entry for each baby of each birth, and many of them are in progress when the audit stops.
    #[tokio::test]
    async fn those_of_a_group_take_the_room_of_one_and_are_all_told() {
        let place = Place::new();
        place.engine.untold.trouble.set(true);
        for _ in 0..5 {
            assert!(place.engine.audit_all_standing((1..=1_152).map(changed).collect()).await.is_err());
        }
        assert_eq!(place.engine.untold.lock().iter().flatten().count(), 5 * 1_152);
        assert!(place.engine.under_way.all_told(Duration::ZERO), "none is lost");
        place.engine.untold.trouble.set(false);
        assert!(place.engine.tell_untold().await && !place.engine.has_untold());
        assert!(place.engine.audit_all_standing(Vec::new()).await.is_ok() && !place.engine.has_untold());
    }
}
