//! Counts the frames on a connection that make work and carry nothing, as they are read: pings, settings, priorities, window
//! updates, resets, empty frames; and finds where a call begins, before which whoever reads may stop. Never looks into what a frame
//! carries.
//!
//! Honest clients send such frames in proportion to their calls: a ping to measure the network after data, a window update
//! for what was taken. So calls and sent bytes earn some more, up to a bound, and ten seconds make good for everything. Resets are
//! earned by nothing: whoever opens calls and resets them pays for each, however few at a time. Their budget is wide, because a
//! client gives up every call when nothing answers, and must not lose its connection for it.

use std::time::Duration;

use tokio::time::Instant;

use crate::config::Limits;
use crate::frame_heads::{FrameHeads, Head, kind};
use crate::shed::Shed;

/// After so long a budget is whole again.
const WINDOW: Duration = Duration::from_secs(10);

/// What one call earns: window updates for its stream and its connection, a ping, and one to spare.
const EARNED_BY_CALL: u32 = 4;

/// What is sent earns one frame for each of so many bytes: a client may tell of every part that it took.
const BYTES_EARN_ONE: usize = 1_024;

/// Earned at most, in budgets: what was earned in a busy hour is no licence for a flood.
const EARNED_MAX_BUDGETS: u32 = 16;

mod flag {
    pub(super) const END_STREAM: u8 = 1;
    pub(super) const ACK: u8 = 1;
}

/// What may still be sent of one sort.
#[derive(Debug)]
struct Budget {
    whole: u32,
    left: u32,
    max: u32,
    why: Shed,
}

impl Budget {
    fn new(whole: u32, earns: bool, why: Shed) -> Self {
        let max = if earns { whole.saturating_mul(EARNED_MAX_BUDGETS) } else { whole };
        Self { whole, left: whole, max, why }
    }

    fn earn(&mut self, count: u32) {
        self.left = self.left.saturating_add(count).min(self.max);
    }
}

/// Counts the frames of one connection.
#[derive(Debug)]
pub(crate) struct FrameCounter {
    pings: Budget,
    settings: Budget,
    resets: Budget,
    others: Budget,
    /// When the budgets were whole the last time.
    whole_at: Instant,
    heads: FrameHeads,
    /// Bytes sent that have earned nothing yet.
    sent: usize,
}

impl FrameCounter {
    pub(crate) fn new(limits: &Limits, now: Instant) -> Self {
        Self {
            pings: Budget::new(limits.pings_per_10s, true, Shed::Pings),
            settings: Budget::new(limits.settings_per_10s, false, Shed::Settings),
            resets: Budget::new(limits.resets_per_10s, false, Shed::ControlFrames),
            others: Budget::new(limits.control_frames_per_10s, true, Shed::ControlFrames),
            whole_at: now,
            heads: FrameHeads::of_client(),
            sent: 0,
        }
    }

    /// Takes in what was read, in pieces of any length, up to the first call that may not begin now; how many bytes that is. The clock
    /// is read only when a budget is used up.
    ///
    /// # Errors
    /// Which budget was not enough.
    pub(crate) fn read(
        &mut self,
        bytes: &[u8],
        now: impl Fn() -> Instant,
        mut may_call: impl FnMut() -> bool,
    ) -> Result<usize, Shed> {
        let mut left = bytes;
        loop {
            self.heads.take_content(&mut left);
            let (before, from_here) = (self.heads, left.len());
            let Some(head) = self.heads.take_head(&mut left) else { return Ok(bytes.len()) };
            // Of a call that is ended by headers, which none of gRPC is, as of two.
            if head.kind == kind::HEADERS && !may_call() {
                // The head comes again; of one that began in the bytes before, what is left of it does.
                self.heads = before;
                return Ok(bytes.len() - from_here);
            }
            self.frame(head, &now)?;
        }
    }

    /// How many calls begin in bytes that are still to be read.
    pub(crate) fn calls_in(&self, mut bytes: &[u8]) -> usize {
        let mut heads = self.heads;
        std::iter::from_fn(|| heads.take_head(&mut bytes)).filter(|head| head.kind == kind::HEADERS).count()
    }

    /// So many bytes were sent.
    pub(crate) fn sent(&mut self, bytes: usize) {
        self.sent += bytes;
        if self.sent >= BYTES_EARN_ONE {
            self.earn(u32::try_from(self.sent / BYTES_EARN_ONE).unwrap_or(u32::MAX));
            self.sent %= BYTES_EARN_ONE;
        }
    }

    fn earn(&mut self, count: u32) {
        self.pings.earn(count);
        self.others.earn(count);
    }

    /// The frame whose head has come.
    fn frame(&mut self, head: Head, now: &impl Fn() -> Instant) -> Result<(), Shed> {
        let is = |flag: u8| head.flags & flag != 0;
        let budget = match head.kind {
            kind::HEADERS => {
                self.earn(EARNED_BY_CALL);
                return Ok(());
            }
            kind::DATA if head.length > 0 || is(flag::END_STREAM) => return Ok(()),
            kind::PING if !is(flag::ACK) => &mut self.pings,
            kind::SETTINGS if !is(flag::ACK) => &mut self.settings,
            kind::RESET => &mut self.resets,
            _ => &mut self.others,
        };
        if let Some(left) = budget.left.checked_sub(1) {
            budget.left = left;
            return Ok(());
        }
        let (why, now) = (budget.why, now());
        if now.saturating_duration_since(self.whole_at) < WINDOW {
            return Err(why);
        }
        self.whole_at = now;
        for budget in [&mut self.pings, &mut self.settings, &mut self.resets, &mut self.others] {
            budget.left = budget.whole;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests;
