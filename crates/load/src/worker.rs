//! One sending thread: it takes up what is due, sends it, takes in answers and counts. One loop around one epoll; it never
//! waits for anything but the next moment or the next answer.

mod alarm;
mod calls;
mod links;

use std::collections::VecDeque;
use std::os::fd::OwnedFd;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::sync::mpsc::{Receiver, Sender, channel};

use anyhow::{Context, Result};
use rustix::event::epoll;
use rustix::time::Timespec;

use crate::clock::Clock;
use crate::dice::Dice;
use crate::england::Part;
use crate::kind::{Kind, Mix};
use crate::opener::{Opened, Order};
use crate::outcome::{Handshakes, Verification};
use crate::plan::Shape;
use crate::priority;
use crate::requests::{AskerForms, Ids, PlanForm};
use crate::schedule::{Backlog, Schedule};
use crate::setup::Setup;
use crate::tally::{self, Tally};
use crate::truth::Verdict;
use crate::wire::Event;

pub(crate) use calls::code_name;

use alarm::{ALARM, Alarm};
use calls::Call;
use links::{Place, Slot};

/// Longest wait, so that ordered connections and the end of the run are noticed, in nanoseconds.
const LONGEST_WAIT: u64 = 5_000_000;
/// How often time-outs and churn are looked at, in nanoseconds.
const UPKEEP: u64 = 20_000_000;
/// Requests that may be due and not sent: beyond them they fail at once.
const MOST_WAITING: usize = 2_000_000;
/// A request that was due and had no place on any connection until its deadline had passed.
const NOT_SENT: &str = "NOT_SENT";
/// Differences kept for the report.
const DIFFERENCES: usize = 20;
/// Bytes read at once.
const BUFFER: usize = 256 * 1024;
/// How long after its deadline a request is given up here, in nanoseconds.
const GRACE: u64 = 1_000_000_000;

/// Connections of one kind of caller.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Pool {
    Trusts,
    Scheduled,
    Authorities,
}

pub(crate) const POOLS: [Pool; 3] = [Pool::Trusts, Pool::Scheduled, Pool::Authorities];

impl Pool {
    pub(crate) fn of(kind: Kind) -> Self {
        match kind {
            Kind::Scheduled => Self::Scheduled,
            Kind::PlanEvent => Self::Authorities,
            Kind::Hit | Kind::Miss | Kind::Truth | Kind::CheckIn | Kind::Worklist | Kind::PlanFile | Kind::Empty => {
                Self::Trusts
            }
        }
    }
}

/// A request that is due and not sent yet.
#[derive(Clone, Copy)]
struct Due {
    kind: Kind,
    phase: usize,
    at: u64,
    /// When it was taken up: if it is sent later, every connection was full.
    taken: u64,
}

/// What one thread found.
pub struct Found {
    /// Counts of the measured part.
    pub tally: Tally,
    /// Answers held against what is true.
    pub verification: Verification,
    /// Handshakes.
    pub handshakes: Handshakes,
    /// Handshake times.
    pub took: hdrhistogram::Histogram<u64>,
    /// Answers to questions that came well, warm-up included: what the server must have counted.
    pub answers: u64,
    /// Questions of which the server may have counted an answer that did not come.
    pub in_doubt: u64,
    /// It had a real-time priority.
    pub real_time: bool,
}

impl Found {
    /// Nothing yet, of a measured part of this length.
    fn new(length_ns: u64) -> Self {
        Self {
            tally: Tally::new(length_ns),
            verification: Verification::default(),
            handshakes: Handshakes::default(),
            took: tally::histogram(),
            answers: 0,
            in_doubt: 0,
            real_time: false,
        }
    }
}

/// The thread.
pub struct Worker {
    setup: Arc<Setup>,
    thread: u64,
    clock: Clock,
    epoll: OwnedFd,
    alarm: Alarm,
    places: Vec<Place>,
    slots: Vec<Option<Slot>>,
    pools: [Vec<usize>; 3],
    cursors: [usize; 3],
    backlogs: [Backlog<Due>; 3],
    mixes: [Option<Mix>; 3],
    mix: Mix,
    schedule: Option<Schedule>,
    calls: Vec<Option<Call>>,
    free: Vec<usize>,
    dice: Dice,
    ids: Ids,
    forms: Vec<AskerForms>,
    plan_form: PlanForm,
    plan_version: u64,
    orders: Option<Sender<Order>>,
    opened: Receiver<Opened>,
    reply: Sender<Opened>,
    dirty: Vec<usize>,
    churn: Option<Schedule>,
    churned: usize,
    buffer: Vec<u8>,
    spare_events: Vec<Event>,
    found: Found,
    open_calls: usize,
    next_upkeep: u64,
}

impl Worker {
    /// Makes thread number `thread`; its connections are opened by [`Worker::connect`].
    ///
    /// # Errors
    /// There is no mix, or no epoll.
    pub fn new(setup: Arc<Setup>, thread: u64, orders: Sender<Order>) -> Result<Self> {
        let plan = &setup.plan;
        let mix = Mix::of(&plan.mix, |_| true).context("the mix is empty")?;
        let (threads, end) = (f64::from(plan.threads), setup.window.end);
        let own = |part: u64| Dice::new(plan.seed, part * 1_000 + thread);
        let schedule = match plan.shape {
            Shape::Open { rate_per_second, arrivals } => {
                let share = thread as f64 / threads;
                Some(Schedule::new(rate_per_second / threads, arrivals, own(1), share, end))
            }
            Shape::Closed => None,
        };
        let churn = (plan.churn_per_second > 0.0).then(|| {
            let rate = plan.churn_per_second / threads;
            Schedule::new(rate, crate::plan::Arrivals::Constant, own(2), 0.5, end)
        });
        let (reply, opened) = channel();
        let backlog = || Backlog::new(MOST_WAITING);
        let epoll = epoll::create(epoll::CreateFlags::CLOEXEC).context("failed to make an epoll")?;
        Ok(Self {
            thread,
            clock: Clock::new(std::time::Instant::now()),
            alarm: Alarm::new(&epoll)?,
            epoll,
            places: Vec::new(),
            slots: Vec::new(),
            pools: [vec![], vec![], vec![]],
            cursors: [0; 3],
            backlogs: [backlog(), backlog(), backlog()],
            mixes: POOLS.map(|pool| Mix::of(&plan.mix, |kind| Pool::of(kind) == pool)),
            mix,
            schedule,
            calls: Vec::new(),
            free: Vec::new(),
            dice: own(3),
            ids: Ids::new(thread),
            forms: Vec::new(),
            plan_form: PlanForm::new(setup.today),
            plan_version: u64::try_from(setup.now.0).unwrap_or(0) * 1_000 + thread,
            orders: Some(orders),
            opened,
            reply,
            dirty: Vec::new(),
            churn,
            churned: 0,
            buffer: vec![0; BUFFER],
            spare_events: Vec::new(),
            found: Found::new(setup.window.length()),
            open_calls: 0,
            next_upkeep: 0,
            setup,
        })
    }

    /// Runs until everything has been sent and answered, or given up.
    pub fn run(mut self, clock: Clock) -> Found {
        self.clock = clock;
        self.found.real_time = self.setup.plan.real_time && self.schedule.is_some() && priority::raise();
        let window = self.setup.window;
        let give_up = window.end + self.setup.plan.timeout_ms * 1_000_000 + 2 * GRACE;
        let mut events = Vec::with_capacity(256);
        loop {
            let now = self.clock.now();
            self.take_up(now);
            self.dispatch(now);
            self.flush();
            if now >= self.next_upkeep {
                self.next_upkeep = now + UPKEEP;
                self.upkeep(now);
            }
            if (now >= window.end && self.open_calls == 0 && self.nothing_waits()) || now >= give_up {
                break;
            }
            self.wait(now, &mut events);
        }
        self.close(self.clock.now());
        self.found
    }

    fn nothing_waits(&self) -> bool {
        self.backlogs.iter().all(Backlog::is_empty)
    }

    /// Takes up everything that is due, whether or not it can be sent.
    fn take_up(&mut self, now: u64) {
        let phase = self.setup.progress.phase.load(Ordering::Relaxed);
        let bound = self.setup.plan.late_bound_us * 1_000;
        while let Some(due) = self.schedule.as_mut().and_then(|schedule| schedule.take(now)) {
            let kind = self.mix.draw(&mut self.dice);
            let kind = if kind == Kind::Hit && self.is_truth() { Kind::Truth } else { kind };
            let call = Due { kind, phase, at: due, taken: now };
            if self.setup.window.holds(due) {
                self.found.tally.offered(kind, phase, self.setup.window.place(due));
                self.found.tally.behind(now - due, bound);
            }
            if self.backlogs[Pool::of(kind) as usize].push(call).is_err() {
                self.count_failure(kind, phase, due, now, NOT_SENT, true);
            }
        }
    }

    fn is_truth(&mut self) -> bool {
        !self.setup.england.cases.is_empty() && self.dice.percent(self.setup.plan.truth_percent)
    }

    /// Sends what waits, as far as connections have places.
    fn dispatch(&mut self, now: u64) {
        let patience = self.setup.plan.timeout_ms * 1_000_000;
        for pool in POOLS {
            while let Some(due) = self.backlogs[pool as usize].pop() {
                if due.at + patience < now {
                    // Whoever asked has given up by now.
                    self.count_failure(due.kind, due.phase, due.at, now, NOT_SENT, true);
                    continue;
                }
                let Some(slot) = self.place_in(pool) else {
                    self.backlogs[pool as usize].put_back(due);
                    break;
                };
                self.found.tally.waited += u64::from(due.taken < now);
                self.start(slot, due, now);
            }
        }
        if self.schedule.is_none() && now < self.setup.window.end {
            self.fill(now);
        }
    }

    /// In a closed loop every connection is kept full.
    fn fill(&mut self, now: u64) {
        for pool in POOLS {
            if self.mixes[pool as usize].is_none() {
                continue;
            }
            while let Some(slot) = self.place_in(pool) {
                self.next_on(slot, pool, now);
            }
        }
    }

    /// The next request of a closed loop, on a connection that has a place.
    fn next_on(&mut self, slot: usize, pool: Pool, now: u64) {
        let Some(mix) = &self.mixes[pool as usize] else { return };
        let kind = mix.draw(&mut self.dice);
        let kind = if kind == Kind::Hit && self.is_truth() { Kind::Truth } else { kind };
        let phase = self.setup.progress.phase.load(Ordering::Relaxed);
        self.start(slot, Due { kind, phase, at: now, taken: now }, now);
    }

    /// Waits for the next moment or the next answer, and takes answers in.
    fn wait(&mut self, now: u64, events: &mut Vec<epoll::Event>) {
        let mut wait = LONGEST_WAIT;
        if let Some(next) =
            self.schedule.as_ref().and_then(Schedule::next_due).filter(|next| next - now.min(*next) < wait)
        {
            let now = self.clock.now();
            if next <= now {
                wait = 0;
            } else {
                self.alarm.set(next, now);
            }
        }
        let timeout = Timespec { tv_sec: 0, tv_nsec: wait as i64 };
        events.clear();
        match epoll::wait(&self.epoll, rustix::buffer::spare_capacity(events), Some(&timeout)) {
            // Interrupted by a signal: the loop comes round again.
            Err(_) | Ok(0) => return,
            Ok(_) => {}
        }
        for event in events.iter().filter(|event| event.data.u64() != ALARM) {
            self.readable(event.data.u64() as usize, event.flags);
        }
    }

    /// What one connection has brought.
    fn readable(&mut self, index: usize, flags: epoll::EventFlags) {
        let Some(Some(slot)) = self.slots.get_mut(index) else { return };
        if flags.contains(epoll::EventFlags::OUT) && slot.link.flush().is_err() {
            self.lost(index);
            return;
        }
        let Some(Some(slot)) = self.slots.get_mut(index) else { return };
        let read = slot.link.read(&mut self.buffer);
        let mut events = std::mem::replace(&mut slot.link.wire.events, std::mem::take(&mut self.spare_events));
        let now = self.clock.now();
        for event in events.drain(..) {
            self.event(index, event, now);
        }
        self.spare_events = events;
        if read.is_err() {
            self.lost(index);
            return;
        }
        self.after_read(index);
        self.dirty.push(index);
        self.flush();
    }

    /// Sends what has been written on connections.
    fn flush(&mut self) {
        while let Some(index) = self.dirty.pop() {
            let Some(Some(slot)) = self.slots.get_mut(index) else { continue };
            if slot.link.flush().is_err() || slot.watch(&self.epoll, index).is_err() {
                self.lost(index);
            }
        }
    }

    /// Records a verdict on an answer; true when it is not wrong.
    fn verdict(&mut self, call: &Call, verdict: Verdict) -> bool {
        let told = &mut self.found.verification;
        told.checked += 1;
        told.checked_in_full += u64::from(call.kind == Kind::Truth);
        match verdict {
            Verdict::True => true,
            Verdict::CannotSay => {
                told.cannot_say += 1;
                true
            }
            Verdict::Wrong(what) => {
                told.wrong += 1;
                if told.differences.len() < DIFFERENCES {
                    told.differences.push(format!("{}: {what}", call.kind.name()));
                }
                self.setup.progress.wrong.fetch_add(1, Ordering::Relaxed);
                if self.counts(call, self.clock.now()) {
                    self.found.tally.wrong(call.kind, call.phase);
                }
                false
            }
        }
    }

    /// Whether a call belongs to the measured part: by when it was due, or in a closed loop by when it was answered.
    fn counts(&self, call: &Call, now: u64) -> bool {
        let at = if self.schedule.is_some() { call.due } else { now };
        self.setup.window.holds(at)
    }

    fn count_failure(&mut self, kind: Kind, phase: usize, due: u64, now: u64, code: &str, unanswered: bool) {
        self.setup.progress.failed.fetch_add(1, Ordering::Relaxed);
        let at = if self.schedule.is_some() { due } else { now.min(self.setup.window.end.saturating_sub(1)) };
        if self.setup.window.holds(at) {
            let place = self.setup.window.place(now);
            if self.schedule.is_none() {
                self.found.tally.offered(kind, phase, place);
            }
            self.found.tally.failed(kind, phase, place, code, unanswered);
        }
    }
}

/// Plan events of one stream that wait for their acknowledgement, oldest first.
pub(crate) type Pending = VecDeque<Call>;

/// Numbers of one authority's events, apart from those of others.
pub(crate) fn plan_event_number(dice: &mut Dice, authority: usize, of: usize) -> u64 {
    const SPREAD: u64 = 1 << 40;
    let of = of.max(1) as u64;
    Part::PlanEvents.number(dice.below(SPREAD) / of * of + authority as u64)
}
