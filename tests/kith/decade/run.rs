//! The decade day by day: what happens is sent, what is answered is held against the naive model, what retention has passed
//! is removed, and the engine is closed, opened and broken off. It stops at the first difference and says how to repeat it.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use kith_domain::answer::Question;
use kith_domain::caller::{Caller, CareContext, Peer, Purpose, Role};
use kith_domain::change::{Change, PlanAction, PresentationAction};
use kith_domain::child::Subject;
use kith_domain::method::Method;
use kith_domain::text::{EncounterId, PersonText, RoleCode, UserId};
use kith_domain::time::{Day, Moment};
use kith_engine::{Asked, Verdict};

use super::calendar::{birthday_18, london_day, plus_months};
use super::expected::{self, Expected};
use super::files::Files;
use super::ledger::Ledger;
use super::measure::Measures;
use super::place::{FEEDS, Place, trust};
use super::view::{View, differences};
use super::world::{Visit, World, plans_of, presentations_of};
use super::{kinds, visits};
use crate::harness::wait::until_async;

/// Seconds of the day at which changes are sent and questions asked; the last is the next day in London in summer.
const SLOTS: [i64; 4] = [5_400, 9 * 3_600 + 600, 15 * 3_600, 23 * 3_600 + 1_200];
/// Children asked about at random each day, beside those for whom something passes.
const SAMPLE: usize = 24;
/// Changes of one call.
const GROUP: usize = 200;
/// One feed of each kind joins so many days after the others.
const JOINS_AFTER: i32 = 40;
/// Days of a year on which the engine ends, in order or not, and everyone is asked about.
const QUARTERS: [i64; 4] = [90, 181, 272, 364];

/// What a run is given.
#[derive(Debug, Clone, Copy)]
pub struct Arguments {
    pub seed: u64,
    pub years: i64,
    pub children: usize,
}

pub struct Run {
    arguments: Arguments,
    pub place: Place,
    pub world: World,
    pub ledger: Ledger,
    files: Files,
    begin: Day,
    day: i64,
    /// Children for whom something passes or begins on a day.
    watched: BTreeMap<Day, BTreeSet<usize>>,
    positions: HashMap<Subject, usize>,
    /// Whose last lookup is not in the log yet, and the last one's place in the audit.
    pending: BTreeSet<Subject>,
    last_audited: u64,
    pub counts: BTreeMap<&'static str, u64>,
}

impl Run {
    pub fn new(arguments: Arguments) -> Self {
        let begin = super::calendar::day(2026, 9, 1);
        let mut world = World::new(arguments.seed, begin);
        for _ in 0..arguments.children {
            let (born, home, number) = (world.dice.days(0, 18 * 365), world.dice.below(FEEDS), world.number());
            world.person(number, begin.plus_days(-born), home);
        }
        for feed in [plans_of(FEEDS - 1), presentations_of(FEEDS - 1)] {
            world.silent.insert(feed, begin.plus_days(JOINS_AFTER));
        }
        Self {
            arguments,
            place: Place::new(begin.utc_start()),
            world,
            ledger: Ledger::default(),
            files: Files::default(),
            begin,
            day: 0,
            watched: BTreeMap::new(),
            positions: HashMap::new(),
            pending: BTreeSet::new(),
            last_audited: 0,
            counts: BTreeMap::new(),
        }
    }

    fn saw(&mut self, what: &'static str, times: usize) {
        *self.counts.entry(what).or_default() += times as u64;
    }

    /// All of it.
    pub async fn everything(&mut self) {
        let share = self.arguments.children * 1_000 / 12_200;
        kinds::past(&mut self.world, share);
        let mut measures = Measures::default();
        let last = self.arguments.years * 365;
        for day in 0..last {
            self.day = day;
            self.one_day(share).await;
            if day % 7 == 3 {
                self.purge();
                self.acknowledge().await;
            }
            if QUARTERS.contains(&(day % 365)) {
                self.quarter().await;
            }
            if day % 365 == 364 {
                tokio::task::block_in_place(|| self.place.verified());
                measures.year(self, day / 365 + 1);
            }
        }
        measures.are_flat();
        self.counts.append(&mut self.world.happened);
        self.counts.extend(std::mem::take(&mut self.files.seen));
    }

    async fn one_day(&mut self, share: usize) {
        let today = self.begin.plus_days(i32::try_from(self.day).expect("a few years"));
        self.world.begin(today);
        self.world.heartbeats();
        kinds::happen(&mut self.world, share);
        for (slot, second) in SLOTS.into_iter().enumerate() {
            let now = today.utc_start().plus_seconds(second + self.world.dice.seconds(300));
            self.check_ins(now).await;
            self.at(now);
            if slot == 0 {
                let touched = self.files.night(&self.place, &mut self.world, &mut self.ledger).await;
                self.know();
                let touched: Vec<usize> = touched.iter().map(|subject| self.positions[subject]).collect();
                self.watched.entry(today).or_default().extend(touched);
            }
            self.send_due().await;
            self.questions(slot).await;
        }
        self.watched.retain(|day, _| *day >= today);
    }

    /// Notes the places of people who are new.
    fn know(&mut self) {
        for place in self.positions.len()..self.world.people.len() {
            self.positions.insert(self.world.people[place].subject.clone(), place);
        }
    }

    fn at(&mut self, now: Moment) {
        self.world.now = now;
        self.place.set(now);
    }

    /// Those who have arrived by now are checked in, each at the moment of arrival.
    async fn check_ins(&mut self, by: Moment) {
        self.know();
        while self.world.visits.front().is_some_and(|visit| visit.arrived <= by) {
            let Some(visit) = self.world.visits.pop_front() else { return };
            self.at(visit.arrived);
            let asked = self.check_in(&visit);
            self.ask(asked.clone()).await;
            if self.world.dice.percent(3) {
                // The same request again, as after a time-out.
                self.ask(asked).await;
            }
            if !visit.again {
                visits::sent(&mut self.world, &visit);
            }
        }
    }

    fn check_in(&mut self, visit: &Visit) -> Asked {
        let mut asked = self.question(visit.person, Role::Ed, false);
        asked.peer.organisation = trust(visit.trust);
        asked.caller.organisation = trust(visit.trust);
        asked.question.checking_in = Some(EncounterId::parse(&visit.encounter).expect("an encounter id"));
        asked
    }

    async fn send_due(&mut self) {
        let due = self.world.take_due();
        for group in due.chunks(GROUP) {
            // One by one in the ledger: what comes first in a group is there for what comes after it.
            let verdicts = self.place.send(group).await;
            for (change, verdict) in group.iter().zip(verdicts) {
                self.taken(change, &verdict);
            }
        }
        self.saw("changes", due.len());
    }

    fn taken(&mut self, change: &Change, verdict: &Verdict) {
        let wanted = self.refusal(change);
        match (verdict, wanted) {
            (Ok(ack), None) if ack.repeated => {}
            (Ok(_), None) => {
                self.ledger.tell(self.world.now, change);
                self.watch(change);
            }
            (Err(refused), Some(reason)) if refused.reason == reason => self.saw(reason, 1),
            _ => panic!("{}: expected {wanted:?}, found {verdict:?} to {change:?}", self.where_we_are()),
        }
    }

    /// Why a change must be refused.
    fn refusal(&self, change: &Change) -> Option<&'static str> {
        let oldest = london_day(self.world.now).plus_days(-super::seen::HELD_DAYS - 1);
        if let Change::Plan(event) = change {
            let silent = !event.shielded && !event.unshield;
            if event.action == PlanAction::Born && silent && self.ledger.is_shielded(&event.subject) {
                return Some("SHIELD_NOT_TOLD");
            }
            let removed = self.ledger.removed(event).is_some_and(|version| event.version <= version);
            return removed.then_some("PLAN_REMOVED");
        }
        let Change::Presentation(event) = change else { return None };
        let (told, closed) = match &event.action {
            PresentationAction::Record(told) | PresentationAction::Amend(told) => (Some(told), None),
            PresentationAction::Import(told, _) => (Some(told), None),
            PresentationAction::Close(closed) => (None, Some(closed.at)),
        };
        let arrived = told.map(|told| london_day(told.arrived_at));
        if arrived.is_some_and(|day| day < oldest) {
            return Some("ARRIVAL_BEYOND_RETENTION");
        }
        if closed.is_some_and(|at| london_day(at) < oldest) {
            return Some("OUTCOME_BEYOND_RETENTION");
        }
        let born = told.and_then(|told| told.birth_date);
        born.zip(arrived).is_some_and(|(born, arrived)| arrived >= birthday_18(born)).then_some("ADULT")
    }

    /// Days on which an answer about the person changes by itself.
    fn watch(&mut self, change: &Change) {
        let (subject, mut days) = if let Change::Plan(event) = change {
            let birthday = event.birth_date.map(birthday_18);
            let withdrawn = (event.action == PlanAction::Withdraw).then(|| london_day(self.world.now));
            let ends = [event.end, birthday, withdrawn, event.start].into_iter().flatten();
            (&event.subject, ends.flat_map(|day| [day, plus_months(day, 12)]).collect::<Vec<Day>>())
        } else if let Change::Presentation(event) = change {
            let at = match &event.action {
                PresentationAction::Record(told) | PresentationAction::Amend(told) => told.arrived_at,
                PresentationAction::Import(told, _) => told.arrived_at,
                PresentationAction::Close(closed) => closed.at,
            };
            let day = london_day(at);
            (&event.subject, vec![day.plus_days(super::seen::WINDOW_DAYS), day.plus_days(super::seen::HELD_DAYS)])
        } else if let Change::Identity(event) = change {
            (&event.subject, Vec::new())
        } else {
            return;
        };
        let person = self.positions[subject];
        days.push(self.world.today.plus_days(-1));
        for day in days {
            for around in [day, day.plus_days(1)] {
                if around >= self.world.today {
                    self.watched.entry(around).or_default().insert(person);
                }
            }
        }
    }

    async fn questions(&mut self, slot: usize) {
        self.know();
        // In summer the last slot is the next day in London.
        let today = london_day(self.world.now);
        let watched: Vec<usize> = self.watched.get(&today).into_iter().flatten().copied().collect();
        let mut sample: Vec<usize> = (0..SAMPLE / SLOTS.len()).map(|_| self.world.child()).collect();
        if !self.world.renumbered.is_empty() {
            let at = self.world.dice.below(self.world.renumbered.len());
            sample.push(self.world.renumbered[at]);
        }
        // Those for whom something passes are asked about early and late: it passes at London's midnight.
        let watched = if slot == 0 || slot == SLOTS.len() - 1 { watched } else { Vec::new() };
        for person in watched.into_iter().chain(sample) {
            let role = match self.world.dice.below(20) {
                0 | 1 => Role::ScheduledCare,
                2 => Role::Safeguarding,
                _ => Role::Ed,
            };
            let worklist = !self.world.dice.percent(8);
            let asked = self.question(person, role, worklist);
            self.ask(asked).await;
        }
    }

    fn question(&mut self, person: usize, role: Role, worklist: bool) -> Asked {
        let (dice, known) = (&mut self.world.dice, &self.world.people[person]);
        let organisation = if dice.percent(60) { trust(known.trust) } else { trust(dice.below(FEEDS)) };
        let birth_date = match dice.below(10) {
            0..3 => None,
            3 | 4 => Some(dice.misread(known.born)),
            _ => Some(known.born),
        };
        let nurse = dice.below(5);
        let context = if role == Role::ScheduledCare { CareContext::Scheduled } else { CareContext::Unscheduled };
        Asked {
            peer: Peer { organisation, role },
            caller: Caller {
                user_id: UserId::parse(&format!("u{nurse}")).expect("an id"),
                user_name: PersonText::parse(&format!("Nurse {nurse}")).expect("a name"),
                user_role: PersonText::parse("Triage").expect("a role"),
                role_code: RoleCode::parse("R8000").expect("a code"),
                purpose: if role == Role::Safeguarding { Purpose::SafeguardingReview } else { Purpose::DirectCare },
                organisation,
            },
            context,
            question: Question {
                subject: known.subject.clone(),
                number_traced: true,
                birth_date,
                checking_in: None,
                mother: None,
                now: self.world.now,
            },
            request_id: dice.id(),
            trace: None,
            method: if worklist { Method::LookupMany } else { Method::Lookup },
            person_proven: false,
        }
    }

    /// Asks, and holds the answer against what is expected.
    async fn ask(&mut self, asked: Asked) {
        let numbers = self.ledger.numbers(&asked.question.subject);
        if numbers.iter().any(|number| self.pending.contains(number)) {
            self.derived().await;
        }
        let found = self.place.engine().ask(asked.clone()).await.expect("an answer");
        let Expected { mut view, rings } = expected::answer(&self.ledger, &asked);
        let found_view = View::of(&found.answer);
        if rings.contains(&found_view.ring) {
            view.ring = found_view.ring.clone();
        }
        if view != found_view {
            self.differ(&asked, &differences(&view, &found_view));
        }
        self.saw("answers", 1);
        self.ledger.look(&asked);
        if asked.context == CareContext::Unscheduled && asked.method != Method::LookupMany {
            self.pending.insert(asked.question.subject);
            self.last_audited = found.reference.sequence;
        }
    }

    fn where_we_are(&self) -> String {
        let Arguments { seed, years, children } = self.arguments;
        let again = format!("cargo xtask decade --seed {seed} --years {years} --children {children}");
        format!("seed {seed}, day {} ({}), repeat with: {again}", self.day, self.world.now.london_text())
    }

    fn differ(&self, asked: &Asked, differences: &[String]) -> ! {
        let person = self.positions[&asked.question.subject];
        let born = self.world.people[person].born.text();
        println!("{}", self.where_we_are());
        println!("child {person}, born {born}; asked by {:?}, given {:?}", asked.peer, asked.question.birth_date);
        for number in self.ledger.numbers(&asked.question.subject) {
            println!("under number of child {}", self.positions[&number]);
            for told in self.ledger.facts(&number) {
                println!("  told {told:?}");
            }
        }
        panic!("{}, child {person}: {}", self.where_we_are(), differences.join("; "));
    }

    /// Until the history of every lookup is in the log.
    async fn derived(&mut self) {
        let wanted = self.last_audited;
        until_async("history is derived", async || {
            (self.place.engine().positions().derived_through >= wanted).then_some(())
        })
        .await;
        self.pending.clear();
    }

    fn purge(&mut self) {
        let report = tokio::task::block_in_place(|| self.place.engine().purge(self.world.now)).expect("a purge");
        self.ledger.forget(london_day(self.world.now));
        self.saw("plans removed", report.going.plans as usize);
        self.saw("presentations removed", report.going.presentations as usize);
    }

    /// Authorities that are not silent acknowledge what they were told.
    async fn acknowledge(&mut self) {
        for n in 0..FEEDS {
            if !self.world.silent.contains_key(&plans_of(n)) {
                let event_id = self.world.dice.id();
                let count = self.place.acknowledged(super::place::authority(n), event_id).await;
                self.saw("notifications acknowledged", count);
            }
        }
    }

    /// The log is trimmed, the engine ends and starts again, and everyone ever known is asked about.
    async fn quarter(&mut self) {
        self.derived().await;
        self.purge();
        tokio::task::block_in_place(|| self.place.engine().trim()).expect("a trim");
        let broken = self.counts.get("sweeps").is_some_and(|sweeps| sweeps % 2 == 1);
        self.saw(if broken { "broken off" } else { "closed and opened" }, 1);
        tokio::task::block_in_place(|| if broken { self.place.break_off() } else { self.place.restart() });
        for person in 0..self.world.people.len() {
            let asked = self.question(person, Role::Ed, true);
            self.ask(asked).await;
        }
        self.saw("sweeps", 1);
    }
}
