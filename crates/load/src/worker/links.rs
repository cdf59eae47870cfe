//! The connections of one sending thread: opened by others, replaced when the server leaves, when they break, and by churn.

use std::os::fd::OwnedFd;
use std::time::Duration;

use anyhow::{Result, bail};
use kith_api::client::Person;
use rustix::event::epoll::{self, EventData, EventFlags};

use crate::callers::Caller;
use crate::link::Link;
use crate::opener::{Order, RETRY};
use crate::requests::{AskerForms, person};
use crate::setup::route;
use crate::tally;

use super::{Found, NOT_SENT, POOLS, Pending, Pool, Worker};

/// The one call of a connection of an authority.
pub(crate) const PLAN_STREAM: u64 = u64::MAX;
/// Events on one stream before another takes its place: the service takes 100,000.
const EVENTS_PER_STREAM: u64 = 90_000;

/// One of the connections that the plan asks for, whichever link serves it now.
pub(crate) struct Place {
    pub(crate) pool: Pool,
    /// Position among the callers of its pool.
    pub(crate) caller: usize,
    forms: usize,
    pub(crate) slot: Option<usize>,
    ordered: bool,
}

/// One link.
pub(crate) struct Slot {
    pub(crate) link: Link,
    place: usize,
    pub(crate) caller: usize,
    pub(crate) forms: usize,
    pub(crate) in_flight: u32,
    /// Plan events sent on it.
    pub(crate) events: u64,
    pub(crate) pending: Pending,
    /// Another serves its place: it ends when nothing is open on it.
    retiring: bool,
    watched_out: bool,
}

impl Slot {
    /// Whether another request may start on it.
    pub(crate) fn has_place(&self, most: u32) -> bool {
        let wire = &self.link.wire;
        let room = if self.events_only() { !wire.leaving && self.events < EVENTS_PER_STREAM } else { wire.may_start() };
        !self.retiring && room && self.in_flight < most
    }

    fn events_only(&self) -> bool {
        self.forms == usize::MAX
    }

    fn is_quiet(&self) -> bool {
        self.in_flight == 0 && (self.events_only() || self.link.wire.open() == 0)
    }

    /// Waits for room to write only while there is none.
    pub(crate) fn watch(&mut self, epoll: &OwnedFd, index: usize) -> std::io::Result<()> {
        if self.link.blocked == self.watched_out {
            return Ok(());
        }
        self.watched_out = self.link.blocked;
        let flags = if self.link.blocked { EventFlags::IN | EventFlags::OUT } else { EventFlags::IN };
        Ok(epoll::modify(epoll, &self.link.tcp, EventData::new_u64(index as u64), flags)?)
    }
}

impl Worker {
    /// Opens every connection of this thread, and waits for them.
    ///
    /// # Errors
    /// One of them could not be opened.
    pub fn connect(&mut self) -> Result<()> {
        let setup = std::sync::Arc::clone(&self.setup);
        let (plan, threads) = (&setup.plan, setup.plan.threads);
        let sizes = [
            self.mixes[Pool::Trusts as usize].as_ref().map_or(0, |_| plan.connections),
            self.mixes[Pool::Scheduled as usize].as_ref().map_or(0, |_| (plan.connections / 8).max(threads)),
            self.mixes[Pool::Authorities as usize].as_ref().map_or(0, |_| plan.authority_connections),
        ];
        for (pool, size) in POOLS.into_iter().zip(sizes) {
            let thread = self.thread;
            for number in (0..size).filter(|number| u64::from(number % threads) == thread) {
                self.add_place(pool, number as usize)?;
            }
        }
        for place in 0..self.places.len() {
            self.order(place, Duration::ZERO);
        }
        for _ in 0..self.places.len() {
            let Ok(opened) = self.opened.recv() else { bail!("failed to open connections: nobody opens them") };
            match opened.result {
                Ok((link, took)) => self.install(opened.place, link, took),
                Err(reason) => bail!("failed to open a connection: {reason}"),
            }
        }
        self.flush();
        Ok(())
    }

    fn callers(&self, pool: Pool) -> &[Caller] {
        match pool {
            Pool::Trusts => &self.setup.callers.trusts,
            Pool::Scheduled => &self.setup.callers.scheduled,
            Pool::Authorities => &self.setup.callers.authorities,
        }
    }

    fn add_place(&mut self, pool: Pool, number: usize) -> Result<()> {
        let callers = self.callers(pool);
        if callers.is_empty() {
            bail!("there is no certificate for connections of {pool:?}");
        }
        let caller = number % callers.len();
        let organisation = callers[caller].organisation.clone();
        let forms = match pool {
            Pool::Authorities => usize::MAX,
            Pool::Trusts | Pool::Scheduled => self.forms_of(&organisation),
        };
        self.pools[pool as usize].push(self.places.len());
        self.places.push(Place { pool, caller, forms, slot: None, ordered: false });
        Ok(())
    }

    fn forms_of(&mut self, organisation: &str) -> usize {
        if let Some(found) = self.forms.iter().position(|forms| forms.organisation == organisation) {
            return found;
        }
        let setup = &self.setup;
        let site = setup.england.sites.get(organisation).map_or("", String::as_str);
        self.forms.push(AskerForms::new(organisation, site, setup.plan.worklist_entries, setup.now));
        self.forms.len() - 1
    }

    /// The next connection of a pool that has a place, in turn.
    pub(super) fn place_in(&mut self, pool: Pool) -> Option<usize> {
        let places = &self.pools[pool as usize];
        let most = self.setup.plan.in_flight;
        for step in 0..places.len() {
            let at = (self.cursors[pool as usize] + step) % places.len();
            if let Some(index) = self.places[places[at]].slot
                && let Some(Some(slot)) = self.slots.get(index)
                && slot.has_place(most)
            {
                self.cursors[pool as usize] = at + 1;
                return Some(index);
            }
        }
        None
    }

    fn order(&mut self, place: usize, after: Duration) {
        let at = &self.places[place];
        let config = std::sync::Arc::clone(&self.callers(at.pool)[at.caller].config);
        let order = Order { place, config, after, reply: self.reply.clone() };
        if let Some(orders) = &self.orders {
            // Fails only when the run ends.
            self.places[place].ordered = orders.send(order).is_ok();
        }
    }

    /// A link takes its place; the one before it ends when nothing is open on it.
    fn install(&mut self, place: usize, mut link: Link, took: Duration) {
        let Place { pool, caller, forms, .. } = self.places[place];
        link.wire.name(Person::of(&person(&self.callers(pool)[caller].organisation)).header());
        let Found { handshakes, took: times, .. } = &mut self.found;
        handshakes.opened += 1;
        times.saturating_record((took.as_nanos() as u64).max(1));
        let slot = Slot {
            link,
            place,
            caller,
            forms,
            in_flight: 0,
            events: 0,
            pending: Pending::new(),
            retiring: false,
            watched_out: false,
        };
        let index = self.slots.iter().position(Option::is_none).unwrap_or(self.slots.len());
        if index == self.slots.len() {
            self.slots.push(None);
        }
        let data = EventData::new_u64(index as u64);
        if epoll::add(&self.epoll, &slot.link.tcp, data, EventFlags::IN).is_err() {
            *handshakes.failed.entry("EPOLL".to_owned()).or_default() += 1;
            return;
        }
        let slot = self.slots[index].insert(slot);
        if pool == Pool::Authorities {
            slot.link.wire.start(route::PLAN_EVENTS, PLAN_STREAM, None);
        }
        self.dirty.push(index);
        self.places[place].ordered = false;
        if let Some(old) = self.places[place].slot.replace(index) {
            self.retire(old);
        }
    }

    fn retire(&mut self, index: usize) {
        let Some(Some(slot)) = self.slots.get_mut(index) else { return };
        slot.retiring = true;
        if slot.is_quiet() {
            self.end(index);
        } else if slot.events_only() {
            slot.link.wire.finish(PLAN_STREAM);
            self.dirty.push(index);
        }
    }

    /// Closes a link on which nothing is open.
    fn end(&mut self, index: usize) {
        if let Some(slot) = self.slots.get_mut(index).and_then(Option::take) {
            let _gone = epoll::delete(&self.epoll, &slot.link.tcp);
            slot.link.close();
        }
    }

    /// After something came in: a connection that the server ends is replaced, a retired one may end.
    pub(super) fn after_read(&mut self, index: usize) {
        let Some(Some(slot)) = self.slots.get(index) else { return };
        let (place, retiring, quiet) = (slot.place, slot.retiring, slot.is_quiet());
        let leaving = slot.link.wire.leaving || slot.events >= EVENTS_PER_STREAM;
        if retiring && quiet {
            self.end(index);
        } else if leaving && !retiring && !self.places[place].ordered {
            self.found.handshakes.told_to_leave += u64::from(slot.link.wire.leaving);
            self.order(place, Duration::ZERO);
        }
    }

    /// A link broke: what was open on it failed, and its place is filled again.
    pub(super) fn lost(&mut self, index: usize) {
        let Some(mut slot) = self.slots.get_mut(index).and_then(Option::take) else { return };
        let _gone = epoll::delete(&self.epoll, &slot.link.tcp);
        let now = self.clock.now();
        let told = slot.link.wire.leaving || slot.retiring;
        self.found.handshakes.lost += u64::from(!told);
        for token in slot.link.wire.abandon() {
            if let Some(call) = self.calls.get_mut(token as usize).and_then(Option::take) {
                self.free.push(token as usize);
                self.open_calls -= 1;
                self.give_up(&call, now, "CONNECTION_LOST");
            }
        }
        for call in slot.pending.drain(..) {
            self.open_calls -= 1;
            self.give_up(&call, now, "CONNECTION_LOST");
        }
        if !slot.retiring {
            self.places[slot.place].slot = None;
            if !self.places[slot.place].ordered {
                self.order(slot.place, Duration::ZERO);
            }
        }
    }

    /// What is not done for every request.
    pub(super) fn upkeep(&mut self, now: u64) {
        self.time_out(now);
        while let Some(_due) = self.churn.as_mut().and_then(|churn| churn.take(now)) {
            let place = self.churned % self.places.len().max(1);
            self.churned += 1;
            if self.places.get(place).is_some_and(|place| !place.ordered && place.slot.is_some()) {
                self.order(place, Duration::ZERO);
            }
        }
        while let Ok(opened) = self.opened.try_recv() {
            match opened.result {
                Ok((link, took)) => self.install(opened.place, link, took),
                Err(reason) => {
                    *self.found.handshakes.failed.entry(reason.to_owned()).or_default() += 1;
                    if now < self.setup.window.end {
                        self.order(opened.place, RETRY);
                    }
                }
            }
        }
        self.flush();
    }

    /// The end: what is still open or waiting failed, and connections close.
    pub(super) fn close(&mut self, now: u64) {
        self.orders = None;
        for index in 0..self.slots.len() {
            let Some(mut slot) = self.slots[index].take() else { continue };
            for token in slot.link.wire.abandon() {
                if let Some(call) = self.calls.get_mut(token as usize).and_then(Option::take) {
                    self.give_up(&call, now, "NO_ANSWER");
                }
            }
            for call in slot.pending.drain(..) {
                self.give_up(&call, now, "NO_ANSWER");
            }
            slot.link.close();
        }
        for pool in POOLS {
            let waiting: Vec<_> = self.backlogs[pool as usize].drain().collect();
            for due in waiting {
                self.count_failure(due.kind, due.phase, due.at, now, NOT_SENT, true);
            }
        }
        self.found.handshakes.took_ns = tally::latency(&self.found.took, false);
    }
}
