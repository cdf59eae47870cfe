//! A hostile organisation: many clients with one valid certificate that flood, stall, open thousands of connections and never
//! read. It counts what became of them; what they do to others is measured by a run beside it. Only against a service of
//! one's own that holds nobody.

pub mod arguments;
pub mod attack;
mod pace;
pub mod told;

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;
use std::os::fd::OwnedFd;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use jiff::Timestamp;
use kith_domain::time::Moment;
use rustix::event::epoll::{self, EventData, EventFlags};
use rustix::process::{Resource, Rlimit};
use rustix::time::Timespec;

use crate::callers::{Caller, Callers};
use crate::dice::Dice;
use crate::england::Part;
use crate::link::{Link, Service};
use crate::requests::{AskerForms, Ids};
use crate::setup::{route, routes};
use crate::verify;
use crate::wire::{Ended, Event, first_message};

use attack::Attack;
use pace::Openings;
use told::{Became, Told};

/// How much its one thread gives way to others: a hostile organisation has machines of its own.
const NICE: i32 = 10;
/// A site's code is its organisation's and two more; this is the first.
const FIRST_SITE: &str = "01";
/// Bytes read at once.
const BUFFER: usize = 64 * 1024;
/// Longest wait for TCP and TLS together.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);
/// Of calls that are reset so many bytes are under way here: with the megabytes that the system would take, none would begin for minutes
/// at a service that reads calls at a pace, and nothing show that the attack goes on.
const RESETS_UNDER_WAY: usize = 16 * 1024;
/// How often it is told what became of the clients.
const TELL_EVERY: Duration = Duration::from_secs(1);
/// Events taken at once.
const EVENTS: usize = 512;
/// Handshakes that are under way at once. All of them come from one address, of which a service bounds those that are not finished: beyond
/// this nobody else of this machine would be let in, whose organisation is another.
const HANDSHAKES: usize = 128;

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
    /// First connections of clients opened in a second at most.
    pub first_opens_per_second: f64,
    /// Connections opened in a second at most by clients that had one before.
    pub opens_per_second: f64,
    /// Of the connections on which nothing is asked so many stay open at most; further ones are let go of once they are let in, and opened
    /// again. All stay when it is not said.
    pub keep_open: Option<usize>,
    /// Calls the kind `empty`, of this path, instead of asking a question.
    pub empty_path: Option<String>,
    /// Where the check-ins say that the child is; the organisation's first site when it is not said.
    pub site: Option<String>,
    /// The address of this machine that its clients come from; whichever leads to the service when it is not said.
    pub from: Option<IpAddr>,
}

/// Attacks for as long as the order says, and tells each second what has become of it so far.
///
/// # Errors
/// Certificates or the address are not usable, or it cannot be told.
pub fn run(order: &Order, mut tell: impl FnMut(&Told) -> Result<()>) -> Result<Told> {
    // Without the right to it there are fewer clients, and the counts tell.
    let (_nice, _limit) = (rustix::process::nice(NICE), more_files());
    let began = Instant::now();
    let mut crowd = Crowd::new(order)?;
    let mut next = TELL_EVERY;
    while began.elapsed().as_secs_f64() < order.seconds {
        crowd.open_due(began.elapsed());
        crowd.turn();
        if began.elapsed() >= next {
            tell(&crowd.told(began.elapsed()))?;
            next = began.elapsed() + TELL_EVERY;
        }
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
    timeout_ms: u64,
    shaken: bool,
    /// The attack has begun on this connection.
    begun: bool,
    /// It has begun on one of its connections.
    took_part: bool,
    watched: EventFlags,
}

impl Client {
    fn new(attack: Attack, number: usize) -> Self {
        Self {
            attack,
            link: None,
            timeout_ms: attack.timeout_ms(number),
            shaken: false,
            begun: false,
            took_part: false,
            watched: EventFlags::empty(),
        }
    }
}

/// Every client, on one thread.
struct Crowd {
    /// By the deadline of the calls, in milliseconds.
    services: BTreeMap<u64, Service>,
    caller: Caller,
    epoll: OwnedFd,
    clients: Vec<Client>,
    openings: Openings,
    /// Handshakes under way.
    handshaking: usize,
    /// Connections on which nothing is asked, and which the server has let in.
    kept: usize,
    keep_open: usize,
    forms: AskerForms,
    ids: Ids,
    dice: Dice,
    /// The call whose answer is not looked at, instead of those of Kith.
    is_empty: bool,
    buffer: Vec<u8>,
    became: BTreeMap<Attack, Became>,
}

impl Crowd {
    fn new(order: &Order) -> Result<Self> {
        let empty = order.empty_path.as_deref();
        let caller = Callers::load(&order.certs, 1)?.trusts.into_iter().next().context("no certificate")?;
        let now = Moment(Timestamp::now().as_millisecond());
        let (mut clients, mut became) = (Vec::<Client>::new(), BTreeMap::new());
        for (attack, count) in &order.attacks {
            clients.extend((0..*count).map(|number| Client::new(*attack, number)));
            became.insert(*attack, Became { clients: *count as u64, ..Became::default() });
        }
        let timeouts: BTreeSet<u64> = clients.iter().map(|client| client.timeout_ms).collect();
        let service = |timeout_ms: u64| {
            let service = Service::new(&order.server, timeout_ms, routes(empty.unwrap_or("/")), CONNECT_TIMEOUT);
            service
                .map(|service| (timeout_ms, service.coming_from(order.from)))
                .map_err(|words| anyhow::anyhow!("failed to {words}"))
        };
        let services: BTreeMap<u64, Service> = timeouts.into_iter().map(service).collect::<Result<_>>()?;
        let site = order.site.clone().unwrap_or_else(|| format!("{}{FIRST_SITE}", caller.organisation));
        Ok(Self {
            forms: AskerForms::new(&caller.organisation, &site, 1, now),
            services,
            caller,
            epoll: epoll::create(epoll::CreateFlags::CLOEXEC).context("failed to make an epoll")?,
            openings: Openings::new(&order.attacks, order.first_opens_per_second, order.opens_per_second),
            handshaking: 0,
            kept: 0,
            keep_open: order.keep_open.unwrap_or(usize::MAX),
            clients,
            ids: Ids::new(0xffe),
            dice: Dice::new(1, 78),
            is_empty: empty.is_some(),
            buffer: vec![0; BUFFER],
            became,
        })
    }

    fn count(&mut self, attack: Attack) -> &mut Became {
        self.became.entry(attack).or_default()
    }

    /// Opens what is due, at the pace that was asked for.
    fn open_due(&mut self, elapsed: Duration) {
        while self.handshaking < HANDSHAKES {
            let Some(index) = self.openings.take(elapsed) else { return };
            self.open(index);
        }
        self.openings.forgo(elapsed);
    }

    fn open(&mut self, index: usize) {
        let attack = self.clients[index].attack;
        self.count(attack).opened += 1;
        let flags = EventFlags::IN | EventFlags::OUT | EventFlags::RDHUP;
        let service = self.services.get(&self.clients[index].timeout_ms).ok_or("NO_SERVICE");
        let watched = service.and_then(|service| Link::begin_open(service, &self.caller.config)).and_then(|link| {
            if attack.resets() > 0 {
                socket2::SockRef::from(&link.tcp).set_send_buffer_size(RESETS_UNDER_WAY).map_err(|_| "SOCKET")?;
            }
            let data = EventData::new_u64(index as u64);
            epoll::add(&self.epoll, &link.tcp, data, flags).map_err(|_| "EPOLL").map(|()| link)
        });
        match watched {
            Ok(link) => {
                let client = &mut self.clients[index];
                (client.link, client.shaken, client.begun, client.watched) = (Some(link), false, false, flags);
                self.handshaking += usize::from(attack.shakes());
            }
            Err(_) => {
                self.count(attack).refused += 1;
                self.openings.again(attack, index);
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
        let Client { attack, begun, .. } = self.clients[index];
        // Whoever reads meets the end by reading.
        let unread = if attack.reads() { EventFlags::empty() } else { EventFlags::RDHUP };
        let lost = flags.intersects(EventFlags::HUP | EventFlags::ERR | unread);
        let reads = attack.reads() || !begun && attack == Attack::Deaf;
        let mut went_on = !lost;
        if reads && flags.contains(EventFlags::IN) {
            went_on &= self.read(index);
        }
        self.begin(index, lost);
        if went_on && self.go_on(index) {
            if self.is_one_too_many(index) {
                self.close(index);
            } else {
                self.watch(index);
            }
            return;
        }
        if reads {
            // The end may have been met by sending: what came before it says whether the server let this client in.
            self.read(index);
            self.begin(index, true);
        }
        self.count(attack).ended_by_server += 1;
        self.close(index);
    }

    /// Whether this is a connection on which nothing is asked beyond those that are to stay.
    fn is_one_too_many(&self, index: usize) -> bool {
        let Client { attack, begun, .. } = self.clients[index];
        attack == Attack::Connections && begun && self.kept > self.keep_open
    }

    /// Lets go of a connection, whose client is to come again.
    fn close(&mut self, index: usize) {
        let client = &mut self.clients[index];
        client.link = None;
        let attack = client.attack;
        let (shook, stayed) = (attack.shakes() && !client.shaken, attack == Attack::Connections && client.begun);
        self.handshaking = self.handshaking.saturating_sub(usize::from(shook));
        self.kept = self.kept.saturating_sub(usize::from(stayed));
        self.openings.again(attack, index);
    }

    /// Takes in what has come; false when the connection is gone.
    fn read(&mut self, index: usize) -> bool {
        let Some(link) = self.clients[index].link.as_mut() else { return false };
        link.read(&mut self.buffer).is_ok() && !link.wire.leaving
    }

    /// Counts a connection on which the attack has begun, once.
    fn begin(&mut self, index: usize, lost: bool) {
        let Self { clients, became, kept, .. } = self;
        let Client { attack, link: Some(link), begun, took_part, .. } = &mut clients[index] else { return };
        let is_there = if attack.shakes() { link.wire.greeted } else { !lost };
        if is_there && !*begun {
            let became = became.entry(*attack).or_default();
            became.begun += 1;
            became.took_part += u64::from(!*took_part);
            *kept += usize::from(*attack == Attack::Connections);
            (*begun, *took_part) = (true, true);
        }
    }

    /// What the attack calls.
    fn call(&self, attack: Attack) -> usize {
        if self.is_empty {
            route::EMPTY
        } else if attack == Attack::Changes {
            route::CHECK_IN
        } else {
            route::LOOKUP
        }
    }

    /// Sends what the attack sends next; false when the connection is gone.
    fn go_on(&mut self, index: usize) -> bool {
        let call = self.call(self.clients[index].attack);
        let Self { clients, became, forms, ids, dice, is_empty, handshaking, .. } = self;
        let Client { attack, link: Some(link), shaken, .. } = &mut clients[index] else { return false };
        let attack = *attack;
        let became = became.entry(attack).or_default();
        if attack == Attack::Silent {
            return true;
        }
        if !*shaken && !link.is_handshaking() {
            *shaken = true;
            became.shaken += 1;
            *handshaking = handshaking.saturating_sub(usize::from(attack.shakes()));
            link.wire.out.extend_from_slice(&attack.beginning());
            if attack == Attack::Empty {
                link.wire.start(call, 0, None);
            }
        }
        for event in std::mem::take(&mut link.wire.events) {
            match event {
                Event::Ended { body, how, .. } => {
                    became.answered += 1;
                    let is_kept = *is_empty || attack != Attack::Changes || is_kept(&body);
                    became.kept += u64::from(how == Ended::Status(0) && is_kept);
                    link.wire.recycle(body);
                }
                Event::Message { .. } => {}
            }
        }
        if *shaken && !link.blocked {
            while link.wire.open() < attack.open_calls() && link.wire.may_start() {
                became.calls += 1;
                let question = if attack == Attack::Changes {
                    forms.check_in(ids, Part::CheckIns.draw(dice))
                } else {
                    forms.lookup(ids, Part::Misses.draw(dice), None)
                };
                link.wire.start(call, became.calls, Some(question));
            }
            for number in 0..attack.resets() {
                link.wire.start(call, number, None);
                link.wire.reset(number);
                became.calls += 1;
            }
            let frames = if waits(attack, link) { Vec::new() } else { attack.frames() };
            became.frames += u64::from(!frames.is_empty());
            link.wire.out.extend_from_slice(&frames);
        }
        became.bytes += link.wire.out.len() as u64;
        link.flush().is_ok()
    }

    /// Asks to be told of what the client needs next, and of nothing else.
    fn watch(&mut self, index: usize) {
        let client = &mut self.clients[index];
        let Some(link) = client.link.as_ref() else { return };
        let mut flags = EventFlags::RDHUP;
        if client.attack.reads() || !client.begun && client.attack == Attack::Deaf {
            flags |= EventFlags::IN;
        }
        if link.blocked || client.shaken && client.attack.is_flood() && !waits(client.attack, link) {
            flags |= EventFlags::OUT;
        }
        if flags != client.watched {
            client.watched = flags;
            let _watched = epoll::modify(&self.epoll, &link.tcp, EventData::new_u64(index as u64), flags);
        }
    }

    fn told(&self, elapsed: Duration) -> Told {
        let of_one = |(attack, became): (&Attack, &Became)| {
            let is_open = |client: &&Client| client.attack == *attack && client.begun && client.link.is_some();
            let open = self.clients.iter().filter(is_open).count() as u64;
            (attack.to_string(), Became { open, ..became.clone() })
        };
        Told { seconds: elapsed.as_secs_f64(), attacks: self.became.iter().map(of_one).collect() }
    }
}

/// Whether it is to hear of the server before it floods it.
fn waits(attack: Attack, link: &Link) -> bool {
    attack.is_ended_unheard() && !link.wire.greeted
}

/// Whether the answer to a check-in says that it is kept.
fn is_kept(body: &[u8]) -> bool {
    first_message(body).and_then(verify::recorded) == Some(true)
}
