//! Reconnect storms: many clients that are dropped and come back at once, while steady clients measure what that does to
//! them. The clients have a thread of their own, which gives way to the steady ones: in a hospital they have their own
//! machines.

use std::collections::BTreeMap;
use std::os::fd::OwnedFd;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::thread::JoinHandle;

use anyhow::{Context, Result, ensure};
use hdrhistogram::Histogram;
use rustix::event::epoll::{self, EventData, EventFlags};
use rustix::time::Timespec;

use crate::clock::Clock;
use crate::dice::Dice;
use crate::england::Part;
use crate::link::Link;
use crate::outcome::{OneStorm, Outcome, Storm};
use crate::plan::Plan;
use crate::progress;
use crate::requests::{AskerForms, Ids};
use crate::run::{self, Beside, Target};
use crate::setup::{Setup, route};
use crate::tally::{self, Tally};
use crate::truth::Verdict;
use crate::verify::{self, Held};
use crate::wire::{Ended, Event, first_message};

/// Clients that are opened at once while nothing is measured yet.
const GENTLE: usize = 32;
/// Bytes read at once.
const BUFFER: usize = 64 * 1024;
/// An answer that is not true.
const WRONG: &str = "WRONG";
/// How much the storm's thread gives way to the others.
const NICE: i32 = 10;

/// What to do.
#[derive(Clone, Debug)]
pub struct Storms {
    /// Clients that are dropped and come back.
    pub clients: usize,
    /// How often.
    pub storms: u32,
    /// Quiet before each, and after the last, in seconds.
    pub quiet_seconds: f64,
    /// A client that has no answer after this is counted as an error, in milliseconds.
    pub patience_ms: u64,
    /// Calls the kind `empty` instead of asking a question: for a server that is not Kith.
    pub empty: bool,
}

impl Storms {
    /// The measured part that holds them all.
    #[must_use]
    pub fn seconds(&self) -> f64 {
        self.quiet_seconds * f64::from(self.storms + 1)
    }
}

/// Runs steady traffic with storms in it.
///
/// # Errors
/// The service cannot be reached, or a client could not come in before the first storm.
pub fn run(target: &Target, plan: Plan, storms: &Storms) -> Result<Outcome> {
    let setup = run::prepare(target, plan)?;
    let mut lane = Lane::new(&setup, storms)?;
    lane.come_in().context("failed to open the clients of the storm")?;
    let running = run::begin(target, &setup)?;
    let bar = progress::watch(&running, setup.window);
    let clock = running.clock();
    let thread: JoinHandle<Vec<(OneStorm, f64)>> = std::thread::spawn(move || lane.run(clock));
    let mut found = Vec::new();
    let (mut outcome, tally) = running.finish_beside(target, "storm", || {
        found = thread.join().map_err(|_| anyhow::anyhow!("the thread of the storm died"))?;
        Ok(if storms.empty { Beside::default() } else { asked(&found) })
    })?;
    bar.finish();
    outcome.storm = Some(told(&tally, &outcome, storms, found));
    Ok(outcome)
}

/// What the clients of all storms asked.
fn asked(found: &[(OneStorm, f64)]) -> Beside {
    let mut beside = Beside::default();
    for (one, _) in found {
        let wrong = one.errors.get(WRONG).copied().unwrap_or(0);
        beside.answers += one.back + wrong;
        beside.wrong += wrong;
        beside.in_doubt += one.errors.values().sum::<u64>() - wrong;
    }
    beside
}

fn told(tally: &Tally, outcome: &Outcome, storms: &Storms, found: Vec<(OneStorm, f64)>) -> Storm {
    let stormy: f64 = found.iter().map(|(_, seconds)| seconds).sum();
    Storm {
        clients: storms.clients as u64,
        steady_quiet: tally.phase(0, (outcome.measured_seconds - stormy).max(0.0)),
        steady_stormy: tally.phase(1, stormy),
        storms: found.into_iter().map(|(one, _)| one).collect(),
    }
}

/// One client.
struct Client {
    link: Link,
    shaken: bool,
    watched_out: bool,
}

/// The clients and their thread.
struct Lane {
    setup: Arc<Setup>,
    storms: Storms,
    epoll: OwnedFd,
    clients: Vec<Option<Client>>,
    forms: Vec<AskerForms>,
    ids: Ids,
    dice: Dice,
    buffer: Vec<u8>,
}

/// What one coming in has brought so far.
struct Coming {
    began: u64,
    handshake: Histogram<u64>,
    first_answer: Histogram<u64>,
    back: u64,
    errors: BTreeMap<String, u64>,
}

impl Coming {
    fn new(began: u64) -> Self {
        let (handshake, first_answer) = (tally::histogram(), tally::histogram());
        Self { began, handshake, first_answer, back: 0, errors: BTreeMap::new() }
    }

    fn failed(&mut self, reason: &str) {
        *self.errors.entry(reason.to_owned()).or_default() += 1;
    }

    fn settled(&self) -> u64 {
        self.back + self.errors.values().sum::<u64>()
    }
}

impl Lane {
    fn new(setup: &Arc<Setup>, storms: &Storms) -> Result<Self> {
        let epoll = epoll::create(epoll::CreateFlags::CLOEXEC).context("failed to make an epoll")?;
        let forms = setup.callers.trusts.iter().map(|caller| AskerForms::new(&caller.organisation, "", 1, setup.now));
        Ok(Self {
            forms: forms.collect(),
            storms: storms.clone(),
            epoll,
            clients: (0..storms.clients).map(|_| None).collect(),
            ids: Ids::new(0xfff),
            dice: Dice::new(setup.plan.seed, 77),
            buffer: vec![0; BUFFER],
            setup: Arc::clone(setup),
        })
    }

    /// Opens every client, a few at a time.
    fn come_in(&mut self) -> Result<()> {
        let clock = Clock::new(std::time::Instant::now());
        for first in (0..self.clients.len()).step_by(GENTLE) {
            let mut coming = Coming::new(clock.now());
            let last = (first + GENTLE).min(self.clients.len());
            self.open(first..last, &mut coming);
            self.settle(&clock, last - first, &mut coming);
            ensure!(coming.errors.is_empty(), "{:?}", coming.errors);
        }
        Ok(())
    }

    /// The storms at their moments; each with how long it lasted.
    fn run(mut self, clock: Clock) -> Vec<(OneStorm, f64)> {
        // Without the right to it the steady clients are disturbed more than they need be, and their lateness tells.
        let _unchanged = rustix::process::nice(NICE);
        let window = self.setup.window;
        let mut found = Vec::new();
        for number in 1..=self.storms.storms {
            let at = window.begin + (f64::from(number) * self.storms.quiet_seconds * 1e9) as u64;
            clock.sleep_until(at);
            let one = self.storm(&clock);
            let seconds = one.until_all_back_seconds;
            found.push((one, seconds));
        }
        found
    }

    fn storm(&mut self, clock: &Clock) -> OneStorm {
        let phase = &Arc::clone(&self.setup.progress).phase;
        phase.store(1, Ordering::Relaxed);
        let began = clock.now();
        let count = self.clients.len();
        // Without a word, as a network drops them.
        self.clients.iter_mut().for_each(|client| *client = None);
        let mut coming = Coming::new(began);
        self.open(0..count, &mut coming);
        self.settle(clock, count, &mut coming);
        let seconds = (clock.now() - began) as f64 / 1e9;
        phase.store(0, Ordering::Relaxed);
        OneStorm {
            at_seconds: self.setup.window.place(began) as f64 / 1e9,
            until_all_back_seconds: seconds,
            back: coming.back,
            errors: coming.errors,
            handshake_ns: tally::latency(&coming.handshake, false),
            first_answer_ns: tally::latency(&coming.first_answer, false),
        }
    }

    /// Begins to open clients; each asks as soon as it can.
    fn open(&mut self, which: std::ops::Range<usize>, coming: &mut Coming) {
        for index in which {
            match self.begin(index) {
                Ok(client) => self.clients[index] = Some(client),
                Err(reason) => coming.failed(reason),
            }
        }
    }

    fn begin(&mut self, index: usize) -> Result<Client, &'static str> {
        let callers = &self.setup.callers.trusts;
        let caller = index % callers.len();
        let mut link = Link::begin_open(&self.setup.service, &callers[caller].config)?;
        let number = Part::Misses.draw(&mut self.dice);
        let question = self.forms[caller].lookup(&mut self.ids, number, None);
        let call = if self.storms.empty { route::EMPTY } else { route::LOOKUP };
        link.wire.start(call, 0, Some(question));
        let flags = EventFlags::IN | EventFlags::OUT;
        epoll::add(&self.epoll, &link.tcp, EventData::new_u64(index as u64), flags).map_err(|_| "EPOLL")?;
        Ok(Client { link, shaken: false, watched_out: true })
    }

    /// Waits until so many clients are back or have failed.
    fn settle(&mut self, clock: &Clock, count: usize, coming: &mut Coming) {
        let give_up = coming.began + self.storms.patience_ms * 1_000_000;
        let timeout = Timespec { tv_sec: 0, tv_nsec: 10_000_000 };
        let mut events = Vec::with_capacity(256);
        while coming.settled() < count as u64 {
            events.clear();
            // Interrupted by a signal: the loop comes round again.
            let _count = epoll::wait(&self.epoll, rustix::buffer::spare_capacity(&mut events), Some(&timeout));
            for event in &events {
                self.happened(event.data.u64() as usize, event.flags, clock, coming);
            }
            if clock.now() > give_up {
                let missing = count as u64 - coming.settled();
                *coming.errors.entry("NO_ANSWER".to_owned()).or_default() += missing;
            }
        }
    }

    fn happened(&mut self, index: usize, flags: EventFlags, clock: &Clock, coming: &mut Coming) {
        let Some(Some(client)) = self.clients.get_mut(index) else { return };
        let mut done = Ok(());
        if flags.intersects(EventFlags::IN | EventFlags::HUP | EventFlags::ERR) {
            done = client.link.read(&mut self.buffer);
        }
        let done = done.and_then(|()| client.link.flush());
        let after = clock.now() - coming.began;
        if !client.shaken && !client.link.is_handshaking() {
            client.shaken = true;
            coming.handshake.saturating_record(after.max(1));
        }
        let mut waits = client.link.wire.open() > 0;
        for event in std::mem::take(&mut client.link.wire.events) {
            if let Event::Ended { body, how, .. } = event {
                match answer(&body, how, self.storms.empty) {
                    Ok(()) => {
                        coming.back += 1;
                        coming.first_answer.saturating_record(after.max(1));
                    }
                    Err(reason) => coming.failed(reason),
                }
            }
        }
        if done.is_err() {
            if waits {
                coming.failed(if client.shaken { "CONNECTION_LOST" } else { "HANDSHAKE_FAILED" });
            }
            self.clients[index] = None;
            return;
        }
        waits = client.link.blocked;
        if client.watched_out != waits {
            client.watched_out = waits;
            let flags = if waits { EventFlags::IN | EventFlags::OUT } else { EventFlags::IN };
            let _watched = epoll::modify(&self.epoll, &client.link.tcp, EventData::new_u64(index as u64), flags);
        }
    }
}

/// Whether a first answer is one, and may be true.
fn answer(body: &[u8], how: Ended, empty: bool) -> Result<(), &'static str> {
    match how {
        Ended::Status(0) if empty => Ok(()),
        Ended::Status(0) => match first_message(body).map(|message| verify::lookup(message, Held::default())) {
            Some(Verdict::True | Verdict::CannotSay) => Ok(()),
            Some(Verdict::Wrong(_)) | None => Err(WRONG),
        },
        Ended::Status(code) => Err(crate::worker::code_name(code)),
        Ended::Reset(_) | Ended::NotTaken | Ended::NoStatus => Err("STREAM_RESET"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use kith_api::v1;
    use prost::Message as _;

    #[test]
    fn what_storms_asked_is_counted_and_an_untrue_answer_is_no_doubt() {
        let errors = BTreeMap::from([(WRONG.to_owned(), 2), ("NO_ANSWER".to_owned(), 3)]);
        let one = OneStorm { back: 95, errors, ..OneStorm::default() };
        let Beside { answers, in_doubt, wrong } =
            asked(&[(one, 1.0), (OneStorm { back: 100, ..OneStorm::default() }, 1.0)]);
        assert_eq!((answers, in_doubt, wrong), (197, 3, 2));
    }

    #[test]
    fn a_first_answer_that_is_not_true_is_an_error() {
        let message =
            v1::LookupResponse { answer: Some(crate::truth::tests::answer()), ..Default::default() }.encode_to_vec();
        let body = [&[0][..], &(message.len() as u32).to_be_bytes(), &message].concat();
        assert_eq!(answer(&body, Ended::Status(0), false), Err("WRONG"), "nothing is held of anybody asked about");
        assert_eq!(answer(&body, Ended::Status(0), true), Ok(()));
        assert_eq!(answer(&[], Ended::Status(0), false), Err("WRONG"));
        assert_eq!(answer(&[], Ended::Status(14), true), Err("UNAVAILABLE"));
        assert_eq!(answer(&[], Ended::NoStatus, true), Err("STREAM_RESET"));
    }
}
