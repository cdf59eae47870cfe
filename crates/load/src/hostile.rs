//! A hostile organisation: many clients with one valid certificate that flood, stall, open thousands of connections and never
//! read. It counts what became of them; what they do to others is measured by a run beside it. Only against a service of
//! one's own that holds nobody.

pub mod arguments;
pub mod attack;

use std::collections::{BTreeMap, VecDeque};
use std::os::fd::OwnedFd;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use jiff::Timestamp;
use kith_domain::time::Moment;
use rustix::event::epoll::{self, EventData, EventFlags};
use rustix::process::{Resource, Rlimit};
use rustix::time::Timespec;
use serde::Serialize;

use crate::callers::{Caller, Callers};
use crate::dice::Dice;
use crate::england::Part;
use crate::link::{Link, Service};
use crate::requests::{AskerForms, Ids};
use crate::setup::{route, routes};
use crate::wire::Event;

use attack::Attack;

/// How much its one thread gives way to others: a hostile organisation has machines of its own.
const NICE: i32 = 10;
/// Bytes read at once.
const BUFFER: usize = 64 * 1024;
/// Longest wait for TCP and TLS together.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);
/// Deadline of its calls: as long as may be.
const TIMEOUT_MS: u64 = 3_600_000;
/// Events taken at once.
const EVENTS: usize = 512;

/// What to do.
#[derive(Clone, Debug)]
pub struct Order {
    /// `host:port` of the service.
    pub server: String,
    /// Certificates; the first of the role ed is the hostile organisation's.
    pub certs: PathBuf,
    /// Each attack with its clients.
    pub attacks: Vec<(Attack, usize)>,
    /// How long.
    pub seconds: f64,
    /// Connections opened in a second at most, first ones included.
    pub opens_per_second: f64,
    /// Calls the kind `empty`, of this path, instead of asking a question.
    pub empty_path: Option<String>,
}

/// What became of the clients of one attack.
#[derive(Clone, Debug, Default, Serialize)]
pub struct Became {
    /// Clients at a time.
    pub clients: u64,
    /// Connections begun.
    pub opened: u64,
    /// Of these, that could not be opened.
    pub refused: u64,
    /// Handshakes that ended well.
    pub shaken: u64,
    /// Connections that the server ended.
    pub ended_by_server: u64,
    /// Connections open at the end.
    pub open_at_end: u64,
    /// Calls begun.
    pub calls: u64,
    /// Calls with an answer of any kind.
    pub answered: u64,
    /// Bytes queued to be sent, before TLS.
    pub bytes: u64,
}

/// What became of all of them.
#[derive(Clone, Debug, Default, Serialize)]
pub struct Told {
    /// How long it went on.
    pub seconds: f64,
    /// By attack.
    pub attacks: BTreeMap<String, Became>,
}

/// Attacks for as long as the order says.
///
/// # Errors
/// Certificates or the address are not usable.
pub fn run(order: &Order) -> Result<Told> {
    // Without the right to it there are fewer clients, and the counts tell.
    let (_nice, _limit) = (rustix::process::nice(NICE), more_files());
    let began = Instant::now();
    let mut crowd = Crowd::new(order)?;
    while began.elapsed().as_secs_f64() < order.seconds {
        crowd.open_due(began.elapsed());
        crowd.turn();
    }
    Ok(crowd.told(began.elapsed()))
}

/// As many open files as the system lets this process have.
fn more_files() -> Result<(), rustix::io::Errno> {
    let Rlimit { maximum, .. } = rustix::process::getrlimit(Resource::Nofile);
    rustix::process::setrlimit(Resource::Nofile, Rlimit { current: maximum, maximum })
}

/// One client.
struct Client {
    attack: Attack,
    link: Option<Link>,
    shaken: bool,
    watched: EventFlags,
}

/// Every client, on one thread.
struct Crowd {
    service: Service,
    caller: Caller,
    epoll: OwnedFd,
    clients: Vec<Client>,
    /// Those that are to be opened.
    due: VecDeque<usize>,
    opened: f64,
    opens_per_second: f64,
    forms: AskerForms,
    ids: Ids,
    dice: Dice,
    call: usize,
    buffer: Vec<u8>,
    became: BTreeMap<Attack, Became>,
}

impl Crowd {
    fn new(order: &Order) -> Result<Self> {
        let empty = order.empty_path.as_deref();
        let routes = routes(empty.unwrap_or("/"));
        let service = Service::new(&order.server, TIMEOUT_MS, routes, CONNECT_TIMEOUT);
        let service = service.map_err(|words| anyhow::anyhow!("failed to {words}"))?;
        let caller = Callers::load(&order.certs, 1)?.trusts.into_iter().next().context("no certificate")?;
        let now = Moment(Timestamp::now().as_millisecond());
        let mut clients = Vec::new();
        let mut became = BTreeMap::new();
        for (attack, count) in &order.attacks {
            let client = || Client { attack: *attack, link: None, shaken: false, watched: EventFlags::empty() };
            clients.extend((0..*count).map(|_| client()));
            became.insert(*attack, Became { clients: *count as u64, ..Became::default() });
        }
        Ok(Self {
            forms: AskerForms::new(&caller.organisation, "", 1, now),
            service,
            caller,
            epoll: epoll::create(epoll::CreateFlags::CLOEXEC).context("failed to make an epoll")?,
            due: interleaved(&order.attacks),
            clients,
            opened: 0.0,
            opens_per_second: order.opens_per_second,
            ids: Ids::new(0xffe),
            dice: Dice::new(1, 78),
            call: if empty.is_some() { route::EMPTY } else { route::LOOKUP },
            buffer: vec![0; BUFFER],
            became,
        })
    }

    fn count(&mut self, attack: Attack) -> &mut Became {
        self.became.entry(attack).or_default()
    }

    /// Opens what is due, at the pace that was asked for.
    fn open_due(&mut self, elapsed: Duration) {
        while self.opened < elapsed.as_secs_f64() * self.opens_per_second {
            let Some(index) = self.due.pop_front() else {
                // What was not needed is not saved up.
                self.opened = elapsed.as_secs_f64() * self.opens_per_second;
                return;
            };
            self.opened += 1.0;
            self.open(index);
        }
    }

    fn open(&mut self, index: usize) {
        let attack = self.clients[index].attack;
        self.count(attack).opened += 1;
        let flags = EventFlags::IN | EventFlags::OUT | EventFlags::RDHUP;
        let link = Link::begin_open(&self.service, &self.caller.config);
        let watched = link.and_then(|link| {
            let data = EventData::new_u64(index as u64);
            epoll::add(&self.epoll, &link.tcp, data, flags).map_err(|_| "EPOLL").map(|()| link)
        });
        match watched {
            Ok(link) => {
                let client = &mut self.clients[index];
                (client.link, client.shaken, client.watched) = (Some(link), false, flags);
            }
            Err(_) => {
                self.count(attack).refused += 1;
                self.due.push_back(index);
            }
        }
    }

    /// Whatever has happened since the last turn.
    fn turn(&mut self) {
        let timeout = Timespec { tv_sec: 0, tv_nsec: 2_000_000 };
        let mut events = Vec::with_capacity(EVENTS);
        // Interrupted by a signal: the loop comes round again.
        let _count = epoll::wait(&self.epoll, rustix::buffer::spare_capacity(&mut events), Some(&timeout));
        for event in &events {
            self.happened(event.data.u64() as usize, event.flags);
        }
    }

    fn happened(&mut self, index: usize, flags: EventFlags) {
        let attack = self.clients[index].attack;
        // Whoever reads meets the end by reading.
        let unread = if attack.reads() { EventFlags::empty() } else { EventFlags::RDHUP };
        let lost = flags.intersects(EventFlags::HUP | EventFlags::ERR | unread);
        let reads = attack.reads() || !self.clients[index].shaken && attack == Attack::Deaf;
        let mut went_on = !lost;
        if let Some(link) = self.clients[index].link.as_mut().filter(|_| went_on && reads) {
            went_on = !flags.contains(EventFlags::IN) || link.read(&mut self.buffer).is_ok() && !link.wire.leaving;
        }
        went_on = went_on && self.go_on(index);
        if went_on {
            self.watch(index);
        } else {
            self.clients[index].link = None;
            self.count(attack).ended_by_server += 1;
            self.due.push_back(index);
        }
    }

    /// Sends what the attack sends next; false when the connection is gone.
    fn go_on(&mut self, index: usize) -> bool {
        let Client { attack, link, shaken, .. } = &mut self.clients[index];
        let (attack, Some(link)) = (*attack, link) else { return false };
        let became = self.became.entry(attack).or_default();
        if attack == Attack::Silent {
            return true;
        }
        if !*shaken && !link.is_handshaking() {
            *shaken = true;
            became.shaken += 1;
            link.wire.out.extend_from_slice(&attack.beginning());
            if attack == Attack::Empty {
                link.wire.start(self.call, 0, None);
            }
        }
        for event in std::mem::take(&mut link.wire.events) {
            match event {
                Event::Ended { body, .. } => {
                    became.answered += 1;
                    link.wire.recycle(body);
                }
                Event::Message { .. } => {}
            }
        }
        if *shaken && !link.blocked {
            while link.wire.open() < attack.open_calls() && link.wire.may_start() {
                let number = Part::Misses.draw(&mut self.dice);
                let question = self.forms.lookup(&mut self.ids, number, None);
                became.calls += 1;
                link.wire.start(self.call, became.calls, Some(question));
            }
            for number in 0..attack.resets() {
                link.wire.start(self.call, number, None);
                link.wire.reset(number);
                became.calls += 1;
            }
            link.wire.out.extend_from_slice(&attack.frames());
        }
        became.bytes += link.wire.out.len() as u64;
        link.flush().is_ok()
    }

    /// Asks to be told of what the client needs next, and of nothing else.
    fn watch(&mut self, index: usize) {
        let client = &mut self.clients[index];
        let Some(link) = client.link.as_ref() else { return };
        let mut flags = EventFlags::RDHUP;
        if client.attack.reads() || !client.shaken && client.attack == Attack::Deaf {
            flags |= EventFlags::IN;
        }
        if link.blocked || client.shaken && client.attack.is_flood() {
            flags |= EventFlags::OUT;
        }
        if flags != client.watched {
            client.watched = flags;
            let _watched = epoll::modify(&self.epoll, &link.tcp, EventData::new_u64(index as u64), flags);
        }
    }

    fn told(mut self, elapsed: Duration) -> Told {
        for client in &self.clients {
            if client.link.is_some() {
                self.became.entry(client.attack).or_default().open_at_end += 1;
            }
        }
        let attacks = self.became.into_iter().map(|(attack, became)| (attack.to_string(), became));
        Told { seconds: elapsed.as_secs_f64(), attacks: attacks.collect() }
    }
}

/// The clients in the order in which they are opened: some of each attack from the beginning on.
fn interleaved(attacks: &[(Attack, usize)]) -> VecDeque<usize> {
    let mut first = 0;
    let mut lists: Vec<std::ops::Range<usize>> = Vec::new();
    for (_, count) in attacks {
        lists.push(first..first + count);
        first += count;
    }
    let mut order = VecDeque::with_capacity(first);
    while order.len() < first {
        order.extend(lists.iter_mut().filter_map(Iterator::next));
    }
    order
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_client_is_opened_once_and_each_attack_begins_early() {
        let order = interleaved(&[(Attack::Connections, 5), (Attack::Pings, 2), (Attack::Calls, 1)]);
        assert_eq!(order, [0, 5, 7, 1, 6, 2, 3, 4]);
    }
}
