//! On a thread that answers, the calls of one organisation are taken up in rounds: so many of them, then whatever else is ready, so
//! that whoever sends as many calls as it may has others wait for a few of them and not for all. Nothing is refused here, and as long as
//! no more than a round of an organisation's calls are ready none of them waits.
//! Never holds a call beyond its deadline, for whoever waits here goes on watching that; nor keeps anything of one that is given up.

use std::collections::{HashMap, VecDeque};
use std::future::poll_fn;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker};
use std::thread::{self, ThreadId};

use tokio::runtime::Handle;

/// Calls of one organisation that are taken up in a round.
pub(crate) const A_ROUND: usize = 8;

/// A thread, and an organisation on it.
type Key = (ThreadId, String);

/// The rounds of each organisation on each thread, made when its first call comes there.
#[derive(Debug, Clone, Default)]
pub(crate) struct Rounds {
    of: Arc<Mutex<HashMap<Key, Arc<Round>>>>,
}

impl Rounds {
    /// Those of an organisation on the calling thread.
    pub(crate) fn of(&self, organisation: &str) -> Arc<Round> {
        let mut all = self.of.lock().unwrap_or_else(PoisonError::into_inner);
        Arc::clone(all.entry((thread::current().id(), organisation.to_owned())).or_default())
    }
}

/// The rounds of one organisation on one thread.
#[derive(Debug, Default)]
pub(crate) struct Round {
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    /// Taken up in this round.
    taken_up: usize,
    /// The first place that is not taken up yet; those that wait have the places from it on.
    first: u64,
    /// Who waits, in order of their places; none at that of one that has given up.
    waiting: VecDeque<Option<Waker>>,
}

impl State {
    /// Whether this round is full, and the next one is to come.
    fn is_full(&self) -> bool {
        self.taken_up >= A_ROUND
    }

    /// What stands at a place, unless its turn has come.
    fn at(&mut self, place: u64) -> Option<&mut Option<Waker>> {
        let position = usize::try_from(place.checked_sub(self.first)?).ok()?;
        self.waiting.get_mut(position)
    }

    /// Begins the next round with the first that wait, and gives them.
    fn next(&mut self) -> Vec<Waker> {
        let mut taken_up = Vec::new();
        while taken_up.len() < A_ROUND
            && let Some(waiting) = self.waiting.pop_front()
        {
            self.first += 1;
            taken_up.extend(waiting);
        }
        self.taken_up = taken_up.len();
        taken_up
    }
}

/// A call's place in the rounds of its organisation; in none where nobody is known to have sent it.
#[derive(Debug)]
pub(crate) struct Place {
    round: Option<Arc<Round>>,
    /// There while it waits.
    own: Option<u64>,
}

impl Place {
    /// In these rounds.
    pub(crate) fn new(round: Option<Arc<Round>>) -> Self {
        Self { round, own: None }
    }

    /// Ready when the call may be taken up once: in this round, or in that of the place that it gets.
    pub(crate) fn poll(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        let Some(round) = &self.round else { return Poll::Ready(()) };
        let taken_up = round.poll(self.own, cx);
        self.own = taken_up.err();
        if self.own.is_some() { Poll::Pending } else { Poll::Ready(()) }
    }

    /// Waits until the call may be taken up once.
    pub(crate) async fn taken_up(&mut self) {
        poll_fn(|cx| self.poll(cx)).await;
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        if let (Some(round), Some(own)) = (&self.round, self.own) {
            round.leave(own);
        }
    }
}

impl Round {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes a call up that has this place or none yet, or gives the place at which it waits.
    fn poll(self: &Arc<Self>, own: Option<u64>, cx: &mut Context<'_>) -> Result<(), u64> {
        let mut state = self.lock();
        match own {
            None if state.is_full() => {
                let own = state.first + state.waiting.len() as u64;
                state.waiting.push_back(Some(cx.waker().clone()));
                Err(own)
            }
            None => {
                state.taken_up += 1;
                let is_full = state.is_full();
                drop(state);
                if is_full {
                    self.follow();
                }
                Ok(())
            }
            Some(own) => {
                let Some(waiting) = state.at(own) else { return Ok(()) };
                let before = waiting.replace(cx.waker().clone());
                // A waker may be the last that holds a call, and that call's place is left under the same lock.
                drop(state);
                drop(before);
                Err(own)
            }
        }
    }

    /// Whoever has this place has given up.
    fn leave(&self, own: u64) {
        let mut state = self.lock();
        let waiting = state.at(own).and_then(Option::take);
        drop(state);
        drop(waiting);
    }

    /// The next round comes when whatever is ready now has had its turn: the thread takes tasks in the order in which they got ready.
    fn follow(self: &Arc<Self>) {
        let round = Arc::clone(self);
        match Handle::try_current() {
            Ok(runtime) => drop(runtime.spawn(async move { round.next() })),
            // Nobody to be in the way of, and nobody to wake whoever would wait.
            Err(_) => self.next(),
        }
    }

    /// Takes up the first that wait.
    fn next(self: &Arc<Self>) {
        let mut state = self.lock();
        let taken_up = state.next();
        let is_full = state.is_full();
        drop(state);
        taken_up.into_iter().for_each(Waker::wake);
        if is_full {
            self.follow();
        }
    }
}

#[cfg(test)]
mod tests {
    use std::pin::pin;
    use std::time::Duration;

    use tokio::task::{JoinSet, yield_now};

    use super::*;

    /// Whose calls were taken up, in order.
    #[derive(Clone, Default)]
    struct Order(Arc<Mutex<String>>);

    impl Order {
        fn note(&self, whose: char) {
            self.0.lock().unwrap().push(whose);
        }

        fn told(&self) -> String {
            self.0.lock().unwrap().clone()
        }
    }

    /// Takes up a call: its organisation is noted when it may begin.
    async fn call(round: Arc<Round>, whose: char, order: Order) {
        Place::new(Some(round)).taken_up().await;
        order.note(whose);
    }

    /// All of them end; else somebody waits for good.
    async fn ended(all: JoinSet<()>) {
        tokio::time::timeout(Duration::from_secs(60), all.join_all()).await.unwrap();
    }

    /// What was taken up in which order, of calls that are all ready at once in this order.
    async fn order_of(calls: &str) -> String {
        let (rounds, order, mut all) = (Rounds::default(), Order::default(), JoinSet::new());
        for whose in calls.chars() {
            all.spawn(call(rounds.of(&whose.to_string()), whose, order.clone()));
        }
        ended(all).await;
        order.told()
    }

    #[tokio::test]
    async fn one_call_of_another_waits_for_one_round_and_not_for_all_that_came_before_it() {
        let many = "a".repeat(20 * A_ROUND);
        let order = order_of(&format!("{many}b{many}")).await;
        assert_eq!(order.find('b'), Some(A_ROUND));
        assert_eq!(order.len(), 40 * A_ROUND + 1, "each is taken up once");
    }

    #[tokio::test]
    async fn two_that_send_without_end_are_taken_up_in_turn() {
        let (a, b) = ("a".repeat(3 * A_ROUND), "b".repeat(3 * A_ROUND));
        let (one, other) = ("a".repeat(A_ROUND), "b".repeat(A_ROUND));
        assert_eq!(order_of(&format!("{a}{b}")).await, format!("{one}{other}").repeat(3));
    }

    #[tokio::test]
    async fn whoever_gives_up_while_waiting_keeps_nobody_else() {
        let (round, order, mut all) = (Rounds::default().of("a"), Order::default(), JoinSet::new());
        for number in 0..10 * A_ROUND {
            let (round, order) = (Arc::clone(&round), order.clone());
            all.spawn(async move {
                let mut call = pin!(call(round, 'a', order));
                // Every other one goes when it has to wait.
                let first = poll_fn(|cx| Poll::Ready(call.as_mut().poll(cx))).await;
                if first.is_pending() && number % 2 == 0 {
                    return;
                }
                if first.is_pending() {
                    call.await;
                }
            });
        }
        ended(all).await;
        assert_eq!(order.told().len(), A_ROUND + 9 * A_ROUND / 2, "the first round, and of the others every other one");
    }

    /// A call polled once.
    async fn polled(place: &mut Place) -> Poll<()> {
        poll_fn(|cx| Poll::Ready(place.poll(cx))).await
    }

    #[tokio::test]
    async fn of_calls_that_were_given_up_nothing_is_kept_and_nobody_waits_for_them() {
        let round = Rounds::default().of("a");
        let place = || Place::new(Some(Arc::clone(&round)));
        let mut full: Vec<Place> = (0..A_ROUND).map(|_| place()).collect();
        for place in &mut full {
            assert!(polled(place).await.is_ready());
        }
        let mut given_up: Vec<Place> = (0..100 * A_ROUND).map(|_| place()).collect();
        for place in &mut given_up {
            assert!(polled(place).await.is_pending());
        }
        let mut last = place();
        assert!(polled(&mut last).await.is_pending());
        drop(given_up);
        assert_eq!(round.lock().waiting.iter().flatten().count(), 1);
        yield_now().await;
        assert!(polled(&mut last).await.is_ready(), "in the next round");
        assert!(round.lock().waiting.is_empty());
    }

    #[tokio::test]
    async fn calls_that_come_one_after_another_never_wait() {
        let mut place = Place::new(Some(Rounds::default().of("a")));
        for _ in 0..10 * A_ROUND {
            assert!(polled(&mut place).await.is_ready());
            yield_now().await;
        }
    }

    #[test]
    fn without_a_runtime_nobody_waits() {
        let round = Rounds::default().of("a");
        let mut cx = Context::from_waker(Waker::noop());
        for _ in 0..10 * A_ROUND {
            assert!(Place::new(Some(Arc::clone(&round))).poll(&mut cx).is_ready());
        }
    }

    #[test]
    fn each_organisation_has_rounds_of_its_own_on_each_thread() {
        let rounds = Rounds::default();
        let here = rounds.of("a");
        assert!(Arc::ptr_eq(&here, &rounds.of("a")) && !Arc::ptr_eq(&here, &rounds.of("b")));
        let elsewhere = thread::scope(|scope| scope.spawn(|| rounds.of("a")).join().unwrap());
        assert!(!Arc::ptr_eq(&here, &elsewhere));
    }
}
