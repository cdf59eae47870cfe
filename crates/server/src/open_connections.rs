//! Every open connection with the chain that its client showed, judged anew after each reload and as certificates expire.
//! Never ends a connection of anybody else: who still stands notices nothing.

use std::collections::{HashMap, HashSet};
use std::pin::pin;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::Duration;

use rustls_pki_types::CertificateDer;
use tokio::sync::Notify;
use tokio::time::Instant;

/// How long a connection whose certificate fell is kept for one more call, which is told why. It is then closed without.
const LAST_CALL: Duration = Duration::from_secs(60);

/// How long it is kept after the peer was told, so that the words arrive.
pub(crate) const LINGER: Duration = Duration::from_millis(250);

/// How long what is said on the calls that were in progress when the peer was told, and that ended with it, may take to arrive: as
/// long as an ordinary call may take.
const CALLS_LIMIT: Duration = Duration::from_secs(5);

/// Whether the certificate on a connection still stands. It never stands again once it fell.
#[derive(Debug, Default)]
pub(crate) struct Standing {
    fell: OnceLock<Instant>,
    told: OnceLock<Instant>,
    falls: Notify,
}

impl Standing {
    pub(crate) fn stands(&self) -> bool {
        self.fell.get().is_none()
    }

    pub(crate) fn fall(&self) {
        self.fell.get_or_init(Instant::now);
        self.falls.notify_waiters();
    }

    /// Notes that the peer is being told.
    pub(crate) fn tell(&self) {
        self.told.get_or_init(Instant::now);
    }

    /// Waits until it no longer stands.
    pub(crate) async fn fallen(self: Arc<Self>) {
        let mut falls = pin!(self.falls.notified());
        falls.as_mut().enable();
        if self.stands() {
            falls.await;
        }
    }

    /// When the connection is to be closed; nothing while its certificate stands. `idle_at` is when the last call will have
    /// been over for [`LINGER`], or nothing while calls are in progress.
    pub(crate) fn closes_at(&self, idle_at: Option<Instant>) -> Option<Instant> {
        let fell = *self.fell.get()?;
        Some(match (self.told.get(), idle_at) {
            (None, _) => fell + LAST_CALL,
            (Some(told), None) => *told + CALLS_LIMIT,
            (Some(told), Some(idle)) => idle.max(*told + LINGER),
        })
    }
}

pub(crate) type Chain = Arc<[CertificateDer<'static>]>;

/// Until when a verdict holds, and under which generation of files it was made.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Judged {
    pub(crate) generation: u64,
    /// Seconds since 1970.
    pub(crate) until_s: i64,
}

#[derive(Debug)]
struct Open {
    chain: Chain,
    standing: Arc<Standing>,
    judged: Judged,
}

/// All open connections.
#[derive(Debug, Default)]
pub(crate) struct OpenConnections {
    open: Mutex<HashMap<u64, Open>>,
    next: AtomicU64,
}

/// A place among the open connections, given up on drop.
#[derive(Debug)]
pub(crate) struct Registered {
    all: Arc<OpenConnections>,
    number: u64,
    standing: Arc<Standing>,
}

impl Registered {
    pub(crate) fn standing(&self) -> &Arc<Standing> {
        &self.standing
    }
}

impl Drop for Registered {
    fn drop(&mut self) {
        self.all.lock().remove(&self.number);
    }
}

impl OpenConnections {
    fn lock(&self) -> MutexGuard<'_, HashMap<u64, Open>> {
        self.open.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A connection whose handshake judged its chain.
    pub(crate) fn register(self: &Arc<Self>, chain: &[CertificateDer<'static>], judged: Judged) -> Registered {
        let number = self.next.fetch_add(1, Ordering::Relaxed);
        let standing = Arc::<Standing>::default();
        let open = Open { chain: Arc::from(chain), standing: Arc::clone(&standing), judged };
        self.lock().insert(number, open);
        Registered { all: Arc::clone(self), number, standing }
    }

    /// The chains of connections that stand, each once.
    pub(crate) fn chains(&self) -> HashSet<Chain> {
        let all = self.lock();
        all.values().filter(|open| open.standing.stands()).map(|open| Arc::clone(&open.chain)).collect()
    }

    /// Judges every connection whose verdict was made under other files, or no longer holds at `now_s`; a chain that many
    /// connections share is judged once. `judge` says until when a chain stands, or nothing. Gives how many fell.
    pub(crate) fn examine(
        &self,
        generation: u64,
        now_s: i64,
        judge: impl Fn(&[CertificateDer<'static>]) -> Option<i64>,
    ) -> usize {
        let is_due = |open: &Open| {
            open.standing.stands() && (open.judged.generation != generation || open.judged.until_s <= now_s)
        };
        let due: Vec<(u64, Chain)> = {
            let all = self.lock();
            all.iter().filter(|(_, open)| is_due(open)).map(|(at, open)| (*at, Arc::clone(&open.chain))).collect()
        };
        // Without the lock: nobody waits for signatures.
        let mut verdicts: HashMap<Chain, Option<i64>> = HashMap::new();
        for (_, chain) in &due {
            verdicts.entry(Arc::clone(chain)).or_insert_with(|| judge(chain));
        }
        let mut fallen = 0;
        let mut all = self.lock();
        for (number, chain) in due {
            let Some(open) = all.get_mut(&number) else { continue };
            match verdicts.get(&chain).copied().flatten() {
                Some(until_s) => open.judged = Judged { generation, until_s },
                None => {
                    open.standing.fall();
                    fallen += 1;
                }
            }
        }
        fallen
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::cell::Cell;

    fn chain(name: u8) -> Vec<CertificateDer<'static>> {
        vec![CertificateDer::from(vec![name])]
    }

    const UNTIL_100: Judged = Judged { generation: 1, until_s: 100 };

    #[test]
    fn only_what_is_due_is_judged_and_a_shared_chain_once() {
        let all = Arc::<OpenConnections>::default();
        let held: Vec<_> = [1, 1, 2].iter().map(|name| all.register(&chain(*name), UNTIL_100)).collect();
        let asked = Cell::new(0);
        let judge = |_: &[CertificateDer<'static>]| {
            asked.set(asked.get() + 1);
            Some(200)
        };
        assert_eq!((all.examine(1, 99, judge), asked.get()), (0, 0), "nothing is due");
        assert_eq!((all.examine(2, 99, judge), asked.get()), (0, 2), "other files");
        assert_eq!((all.examine(2, 199, judge), asked.get()), (0, 2), "judged until 200");
        assert_eq!((all.examine(2, 200, judge), asked.get()), (0, 4), "the time is up");
        assert!(held.iter().all(|one| one.standing().stands()));
    }

    #[test]
    fn whoever_falls_falls_alone_and_for_good() {
        let all = Arc::<OpenConnections>::default();
        let (one, other) = (all.register(&chain(1), UNTIL_100), all.register(&chain(2), UNTIL_100));
        assert_eq!(all.examine(2, 0, |chain| (*chain[0] != [1]).then_some(100)), 1);
        assert!(!one.standing().stands() && other.standing().stands());
        assert_eq!(all.examine(3, 0, |_| Some(100)), 0);
        assert!(!one.standing().stands(), "it never stands again");
    }

    #[test]
    fn a_closed_connection_is_forgotten() {
        let all = Arc::<OpenConnections>::default();
        let held = all.register(&chain(1), UNTIL_100);
        drop(held);
        assert!(all.lock().is_empty());
    }

    #[tokio::test(start_paused = true)]
    async fn it_closes_soon_after_the_peer_was_told_and_late_when_nobody_asks() {
        let standing = Arc::<Standing>::default();
        let (began, idle) = (Instant::now(), Some(Instant::now()));
        assert_eq!(standing.closes_at(idle), None);
        standing.fall();
        Arc::clone(&standing).fallen().await;
        assert_eq!(standing.closes_at(idle), Some(began + LAST_CALL));
        tokio::time::advance(Duration::from_secs(1)).await;
        standing.tell();
        let told = Instant::now();
        assert_eq!(standing.closes_at(idle), Some(told + LINGER));
        assert_eq!(standing.closes_at(None), Some(told + CALLS_LIMIT), "what they are told may take a while");
        assert_eq!(standing.closes_at(Some(told + CALLS_LIMIT)), Some(told + CALLS_LIMIT));
    }
}
