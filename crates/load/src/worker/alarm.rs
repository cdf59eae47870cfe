//! A timer that epoll waits on: its own time-outs are whole milliseconds, and requests are due between them.

use std::os::fd::OwnedFd;

use anyhow::{Context, Result};
use rustix::event::epoll::{self, EventData, EventFlags};
use rustix::time::{
    Itimerspec, TimerfdClockId, TimerfdFlags, TimerfdTimerFlags, Timespec, timerfd_create, timerfd_settime,
};

/// What epoll gives for it; no connection has this place.
pub(super) const ALARM: u64 = u64::MAX;

/// The timer.
pub(super) struct Alarm {
    fd: OwnedFd,
    armed_for: u64,
}

impl Alarm {
    /// A timer that `epoll` waits on.
    pub(super) fn new(epoll: &OwnedFd) -> Result<Self> {
        let fd = timerfd_create(TimerfdClockId::Monotonic, TimerfdFlags::CLOEXEC | TimerfdFlags::NONBLOCK);
        let fd = fd.context("failed to make a timer")?;
        // Edge-triggered: setting it again makes it ready to ring again, and it is never read.
        let flags = EventFlags::IN | EventFlags::ET;
        epoll::add(epoll, &fd, EventData::new_u64(ALARM), flags).context("failed to wait on a timer")?;
        Ok(Self { fd, armed_for: 0 })
    }

    /// Rings at `at`, when it is `now`, unless it is set to that already.
    pub(super) fn set(&mut self, at: u64, now: u64) {
        const SECOND: u64 = 1_000_000_000;
        if self.armed_for == at {
            return;
        }
        self.armed_for = at;
        // 0 would switch it off.
        let wait = at.saturating_sub(now).max(1);
        let zero = Timespec { tv_sec: 0, tv_nsec: 0 };
        let value = Timespec { tv_sec: (wait / SECOND) as i64, tv_nsec: (wait % SECOND) as i64 };
        // It can fail for a bad value alone; the longest wait of epoll then ends the wait.
        let _set =
            timerfd_settime(&self.fd, TimerfdTimerFlags::empty(), &Itimerspec { it_interval: zero, it_value: value });
    }
}
