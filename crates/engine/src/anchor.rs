//! The head of the audit's tree in the log, every ten minutes: whoever puts the tree back to an earlier state must put the log
//! back too, which its watermark tells, or the next start suspects it and `verify` names it. A suspected tree gives no head, so
//! the one in the log stays. Written behind everything else; nothing waits for it.

use crate::open::WallClock;
use crate::tree::AuditTree;
use crate::writer::Command;
use kith_domain::change::{AuditHead, Change};
use kith_store::Monotonic;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;
use tokio::sync::{mpsc, oneshot};

/// How often a head goes into the log: what is put back to a state before the last one is found, and 144 records a day are few.
const EVERY: Duration = Duration::from_secs(600);
/// How often it is looked whether one is due.
const LOOK: Duration = Duration::from_secs(1);

/// The thread that writes heads down.
pub(crate) struct Anchor {
    tree: AuditTree,
    commands: mpsc::Sender<Command>,
    stop: Arc<AtomicBool>,
    clock: Arc<dyn Monotonic>,
    wall_clock: WallClock,
    /// Leaves of the head that is in the log.
    anchored: u64,
}

/// What the thread shares with the engine.
type Shared = (mpsc::Sender<Command>, Arc<AtomicBool>, Arc<dyn Monotonic>, WallClock);

impl Anchor {
    /// `anchored` is the head that the log holds.
    pub(crate) fn new(
        tree: AuditTree,
        (commands, stop, clock, wall_clock): Shared,
        anchored: Option<AuditHead>,
    ) -> Self {
        let anchored = anchored.map_or(0, |head| head.leaves);
        Self { tree, commands, stop, clock, wall_clock, anchored }
    }

    /// Runs until told to stop, by a flag and an unparking; the last head of an end in order is written.
    pub(crate) fn run(mut self) {
        let mut written_at = None;
        while !self.stop.load(Ordering::Acquire) {
            std::thread::park_timeout(LOOK);
            let now = self.clock.now();
            let due = written_at.is_none_or(|at| now.saturating_sub(at) >= EVERY);
            if due && self.write() {
                written_at = Some(now);
            }
        }
        self.write();
    }

    /// Writes the newest head; whether there was a new one and the log took it. What it does not take is tried again.
    fn write(&mut self) -> bool {
        let Some(head) = self.tree.head().filter(|head| head.leaves != self.anchored) else { return false };
        let (reply, verdicts) = oneshot::channel();
        let changes = vec![Change::AuditHead(head)];
        let command = Command { at: (self.wall_clock)(), changes, reply, carried: None };
        let written = self.commands.blocking_send(command).is_ok()
            && verdicts.blocking_recv().is_ok_and(|verdicts| verdicts.iter().all(Result::is_ok));
        if written {
            self.anchored = head.leaves;
        }
        written
    }
}
