//! Appending: an entry is sealed, takes its turn, and is written by the caller. The caller's thread waits for nothing but
//! that one write; where an answer has to wait, it does so as a task.

use std::cell::RefCell;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use tokio::sync::oneshot::error::TryRecvError;

use super::format::encode_entry;
use super::handing::HandedOver;
use super::settle::Verdict;
use super::turn::{Returned, Turn};
use super::types::{AuditError, AuditRef, MAX_ENTRY_BYTES, Sink};
use super::{Journal, Shared};

/// Looks at a turn that another core has, before the answer waits for it as a task: some microseconds, longer than a write
/// takes that does not wait itself.
const LOOKS: u32 = 64;
/// Pause of a background thread between two tries to get its turn while a write hangs.
const PAUSE: Duration = Duration::from_millis(1);

thread_local! {
    /// Where a thread lays out its entries, one after another, so that none needs memory of its own.
    static ENTRY: RefCell<Vec<u8>> = const { RefCell::new(Vec::new()) };
}

/// What became of an entry.
#[derive(Debug)]
pub enum Appended {
    /// It is in the kernel, or on disk where the mode asks for that, and its answer may leave.
    Now(AuditRef),
    /// Its answer has to wait.
    Later(Later),
}

/// An answer that must not leave yet.
pub struct Later {
    shared: Arc<Shared>,
    since: Duration,
    waits_for: WaitsFor,
}

enum WaitsFor {
    /// Another entry is being written, or this one by another thread.
    Turn { entry: Vec<u8>, handed: Option<HandedOver> },
    /// The entry is written, and must be synced first.
    Sync(AuditRef),
}

impl std::fmt::Debug for Later {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let what = match &self.waits_for {
            WaitsFor::Turn { .. } => "turn",
            WaitsFor::Sync(_) => "sync",
        };
        write!(f, "Later({what})")
    }
}

impl Later {
    /// Waits until the answer may leave.
    ///
    /// # Errors
    /// Those of [`Journal::record`] and of [`Journal::settled`]: the answer must not leave.
    pub async fn settled(self) -> Result<AuditRef, AuditError> {
        self.settled_as(&mut None).await
    }

    /// As [`Later::settled`]; `given` is what [`Journal::record_as`] says of it.
    ///
    /// # Errors
    /// Those of [`Later::settled`].
    pub async fn settled_as(self, given: &mut Option<AuditRef>) -> Result<AuditRef, AuditError> {
        let reference = match self.waits_for {
            WaitsFor::Sync(reference) => reference,
            WaitsFor::Turn { entry, handed } => self.shared.append_in_turn(&entry, self.since, handed, given).await?,
        };
        *given = Some(reference);
        self.shared.settled(reference).await?;
        self.shared.accepted.observe(self.shared.clock.now().saturating_sub(self.since));
        Ok(reference)
    }
}

impl Journal {
    /// Seals one entry and writes it into the kernel, and says whether its answer may leave: nearly always at once. Waits
    /// for no sync and for no other thread's write.
    ///
    /// # Errors
    /// [`AuditError::NoSink`] when neither sink takes it, [`AuditError::TooLarge`], [`AuditError::Closed`], and
    /// [`AuditError::TooLate`] or [`AuditError::SyncFailed`] when it was given up. The answer must then not leave.
    pub fn record(&self, plaintext: &[u8]) -> Result<Appended, AuditError> {
        self.record_as(plaintext, &mut None)
    }

    /// As [`Journal::record`]; `given` becomes the name under which the entry may stand though it failed: a write that was given
    /// up may come about later. None where no write of it can. Another entry may have that name, if this one was never written.
    ///
    /// # Errors
    /// Those of [`Journal::record`].
    pub fn record_as(&self, plaintext: &[u8], given: &mut Option<AuditRef>) -> Result<Appended, AuditError> {
        check_length(plaintext)?;
        let turn = |handed| (self.shared.clock.now(), WaitsFor::Turn { entry: plaintext.to_vec(), handed });
        let (since, waits_for) = match self.shared.attempt(plaintext, Caller::Answering, given)? {
            Attempt::Written(reference, Verdict::Go, took) => {
                self.shared.accepted.observe(took);
                return Ok(Appended::Now(reference));
            }
            Attempt::Written(_, Verdict::Fail(error), _) => return Err(error),
            Attempt::Written(reference, Verdict::Wait, took) => {
                (self.shared.clock.now().saturating_sub(took), WaitsFor::Sync(reference))
            }
            Attempt::Busy => turn(None),
            Attempt::Handed(handed) => turn(Some(handed)),
        };
        Ok(Appended::Later(Later { shared: Arc::clone(&self.shared), since, waits_for }))
    }

    /// As [`Journal::record`], for background threads: waits for its turn as a thread, and leaves the waiting for a sync
    /// to [`Journal::settled`].
    ///
    /// # Errors
    /// Those of [`Journal::record`].
    pub fn append(&self, plaintext: &[u8]) -> Result<AuditRef, AuditError> {
        check_length(plaintext)?;
        let since = self.shared.clock.now();
        loop {
            if let Attempt::Written(reference, ..) = self.shared.attempt(plaintext, Caller::Background, &mut None)? {
                return Ok(reference);
            }
            if self.shared.is_too_late(since) {
                return Err(AuditError::TooLate);
            }
            std::thread::sleep(PAUSE);
        }
    }
}

/// Who writes an entry.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Caller {
    /// A thread that answers.
    Answering,
    /// As before, and woken when the turn is given back.
    Waiting,
    /// A thread that may hang without anybody being the worse for it.
    Background,
}

/// How far an entry came.
enum Attempt {
    /// Into the kernel, so long after its turn began.
    Written(AuditRef, Verdict, Duration),
    /// Nowhere: another is being written.
    Busy,
    /// To the sink's writing thread.
    Handed(HandedOver),
}

fn check_length(plaintext: &[u8]) -> Result<(), AuditError> {
    if plaintext.len() > MAX_ENTRY_BYTES {
        return Err(AuditError::TooLarge { found: plaintext.len() });
    }
    Ok(())
}

impl Shared {
    fn is_too_late(&self, since: Duration) -> bool {
        self.clock.now().saturating_sub(since) >= self.fail_after
    }

    /// Waits for the turn and writes, or has the entry written.
    async fn append_in_turn(
        &self,
        plaintext: &[u8],
        since: Duration,
        mut handed: Option<HandedOver>,
        given: &mut Option<AuditRef>,
    ) -> Result<AuditRef, AuditError> {
        // Before the first look, so that nothing which changes after it is missed.
        let mut progress = self.progress.subscribe();
        loop {
            *given = handed.as_ref().map(|over| over.turn.reference());
            handed = match handed {
                Some(HandedOver { turn, mut reply }) => match reply.try_recv() {
                    Ok(Returned::Written(..)) => return Ok(turn.reference()),
                    Ok(Returned::Lost(error)) => return Err(error),
                    Ok(Returned::Failed) | Err(TryRecvError::Closed) => None,
                    Err(TryRecvError::Empty) if self.lock().has_lost(&turn) => return Err(AuditError::TooLate),
                    Err(TryRecvError::Empty) => Some(HandedOver { turn, reply }),
                },
                None => None,
            };
            // One that came back unwritten, or was never begun, stands nowhere.
            *given = handed.as_ref().map(|over| over.turn.reference());
            if self.is_too_late(since) {
                return Err(AuditError::TooLate);
            }
            if handed.is_none() {
                match self.attempt(plaintext, Caller::Waiting, given)? {
                    Attempt::Written(reference, ..) => return Ok(reference),
                    Attempt::Handed(over) => handed = Some(over),
                    Attempt::Busy => {}
                }
            }
            progress.changed().await.map_err(|_| AuditError::Closed)?;
        }
    }

    /// Seals an entry and writes it or has it written, unless another is being written.
    fn attempt(&self, plaintext: &[u8], caller: Caller, given: &mut Option<AuditRef>) -> Result<Attempt, AuditError> {
        ENTRY.with_borrow_mut(|entry| {
            // The number that it will most likely get. Sealing takes as long as writing, and need not keep others waiting.
            let mut sealed_as = self.next_hint.load(Ordering::Relaxed);
            self.lay_out(entry, sealed_as, plaintext)?;
            for _ in Sink::ALL {
                let Some(turn) = self.take_turn(entry.len() as u64, caller)? else { return Ok(Attempt::Busy) };
                if turn.sequence != sealed_as {
                    sealed_as = turn.sequence;
                    self.lay_out(entry, sealed_as, plaintext).inspect_err(|_| self.lock().withdraw(&turn))?;
                }
                if turn.careful && caller != Caller::Background {
                    *given = Some(turn.reference());
                    return Ok(Attempt::Handed(self.hand_over(turn, entry)));
                }
                let result = turn.segment.file.write_at(entry, turn.offset);
                match self.return_turn(&turn, entry.len() as u64, &result) {
                    Returned::Written(verdict, took) => {
                        *given = Some(turn.reference());
                        return Ok(Attempt::Written(turn.reference(), verdict, took));
                    }
                    Returned::Failed => {}
                    Returned::Lost(error) => {
                        *given = Some(turn.reference());
                        return Err(error);
                    }
                }
            }
            Err(AuditError::NoSink)
        })
    }

    fn lay_out(&self, entry: &mut Vec<u8>, sequence: u64, plaintext: &[u8]) -> Result<(), AuditError> {
        let too_large = AuditError::TooLarge { found: plaintext.len() };
        encode_entry(entry, &self.keys, sequence, plaintext).map_err(|_| too_large)
    }

    /// The turn to write. Another core's write takes about a microsecond, so it is looked for some more times; a task that
    /// is to be woken does not.
    fn take_turn(&self, length: u64, caller: Caller) -> Result<Option<Turn>, AuditError> {
        let wanted = caller == Caller::Waiting;
        let mut looks = if wanted { 0 } else { LOOKS };
        loop {
            let now = self.clock.now();
            let mut state = self.lock();
            let taken = state.take_turn(length, wanted, now);
            self.hint(&state);
            let idle = state.ticker_idle;
            drop(state);
            if idle {
                // Before the write, which may hang.
                self.tick.notify_one();
            }
            if !matches!(taken, Ok(None)) {
                return taken;
            }
            while self.turn_hint.load(Ordering::Acquire) && looks > 0 {
                looks -= 1;
                std::hint::spin_loop();
            }
            if looks == 0 {
                return Ok(None);
            }
            looks -= 1;
        }
    }

    pub(crate) fn return_turn(&self, turn: &Turn, length: u64, result: &std::io::Result<()>) -> Returned {
        let now = self.clock.now();
        let sink = turn.segment.sink;
        let mut state = self.lock();
        let returned = state.return_turn(turn, length, result, now);
        self.hint(&state);
        let wanted = state.turn.is_none() && std::mem::take(&mut state.turn_wanted);
        // A thread that is at work looks again by itself.
        let wake = (self.strict || !matches!(returned, Returned::Written(..))) && !state.sink(sink).busy;
        drop(state);
        if wake {
            self.wake(sink).notify_one();
        }
        if wanted {
            self.wake_waiting();
        }
        returned
    }
}
