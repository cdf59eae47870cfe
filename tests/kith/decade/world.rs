//! The simulated England: who lives, what authorities and trusts know, and what is on its way to the service. It knows
//! nothing of the service and nothing of what an answer would be.
//!
//! What can happen is listed in `kinds`; what happens once may be followed by more, on a later day ([`World::later`]).

use std::collections::{BTreeMap, VecDeque};

use kith_domain::NhsNumber;
use kith_domain::change::{Change, Feed, Heartbeat, IdentityAction, IdentityEvent, PlanAction, PlanEvent};
use kith_domain::child::Subject;
use kith_domain::codes::OdsCode;
use kith_domain::plan::PlanKind;
use kith_domain::text::PlanReference;
use kith_domain::time::{Day, Moment};

use super::calendar::birthday_18;
use super::dice::Dice;
use super::place::{FEEDS, authority, trust};

/// Authorities that tell their plans by files: the first three.
pub const BY_FILE: usize = 3;

/// One person.
pub struct Person {
    pub subject: Subject,
    pub born: Day,
    /// The authority and the trust of home.
    pub home: usize,
    pub trust: usize,
    pub cases: Vec<usize>,
    /// Version of what was last told of the number.
    pub told: u64,
}

/// A plan as its authority knows it.
#[derive(Clone)]
pub struct Case {
    pub person: usize,
    pub authority: usize,
    pub reference: Option<PlanReference>,
    pub kind: PlanKind,
    pub start: Day,
    pub end: Option<Day>,
    /// The birth date as the authority has it.
    pub born: Option<Day>,
    /// Version of the last event. The first version is left out, for an event that comes far too late.
    pub version: u64,
    pub withdrawn: bool,
    pub moving_to: Option<usize>,
    pub moved_from: Option<usize>,
    pub shielded: bool,
    /// A transfer out was taken back and the next file is to say so.
    pub stays: bool,
    /// Something is to be told by the next file.
    pub unsaid: bool,
}

/// A change on its way.
pub struct Outgoing {
    pub due: Moment,
    /// None for the demographics service, which is never silent.
    pub feed: Option<Feed>,
    pub change: Change,
}

/// A visit to a trust that begins with a check-in; or another look at the child during one.
pub struct Visit {
    pub arrived: Moment,
    pub person: usize,
    pub trust: usize,
    pub encounter: String,
    pub again: bool,
}

type Act = Box<dyn FnOnce(&mut World) + Send>;

/// Everything.
pub struct World {
    pub dice: Dice,
    pub now: Moment,
    pub today: Day,
    pub people: Vec<Person>,
    /// Who is under 18.
    pub children: Vec<usize>,
    pub cases: Vec<Case>,
    pub outbox: Vec<Outgoing>,
    pub visits: VecDeque<Visit>,
    /// Feeds that tell nothing before this day.
    pub silent: BTreeMap<Feed, Day>,
    /// Whose number is used no more, or who has two.
    pub renumbered: Vec<usize>,
    /// How often each kind of thing has happened.
    pub happened: BTreeMap<&'static str, u64>,
    agenda: BTreeMap<Day, Vec<Act>>,
    numbers: Box<dyn Iterator<Item = NhsNumber> + Send>,
    given: u64,
}

/// The feed of an authority and of a trust.
pub fn plans_of(n: usize) -> Feed {
    Feed::Plans(authority(n))
}

pub fn presentations_of(n: usize) -> Feed {
    Feed::Presentations(trust(n))
}

impl World {
    pub fn new(seed: u64, today: Day) -> Self {
        Self {
            dice: Dice::new(seed),
            now: today.utc_start(),
            today,
            people: Vec::new(),
            children: Vec::new(),
            cases: Vec::new(),
            outbox: Vec::new(),
            visits: VecDeque::new(),
            silent: BTreeMap::new(),
            renumbered: Vec::new(),
            happened: BTreeMap::new(),
            agenda: BTreeMap::new(),
            numbers: Box::new((999_000_001_u32..).filter_map(NhsNumber::from_first_nine)),
            given: 0,
        }
    }

    /// Counts that something has happened.
    pub fn saw(&mut self, what: &'static str) {
        *self.happened.entry(what).or_default() += 1;
    }

    /// Does something on a later day; today, when that is past.
    pub fn later(&mut self, day: Day, act: impl FnOnce(&mut World) + Send + 'static) {
        self.agenda.entry(day.max(self.today)).or_default().push(Box::new(act));
    }

    /// Begins a day: what was put off until then happens.
    pub fn begin(&mut self, day: Day) {
        (self.today, self.now) = (day, day.utc_start());
        self.silent.retain(|_, until| *until > day);
        while let Some(entry) = self.agenda.first_entry().filter(|entry| *entry.key() <= day) {
            for act in entry.remove() {
                act(self);
            }
        }
    }

    /// A number that no other text has: references, encounters and local keys are made of it.
    pub fn next(&mut self) -> u64 {
        self.given += 1;
        self.given
    }

    pub fn number(&mut self) -> Subject {
        Subject::Nhs(self.numbers.next().expect("a number"))
    }

    /// A new person, of an age to be a child or not.
    pub fn person(&mut self, subject: Subject, born: Day, home: usize) -> usize {
        let person = self.people.len();
        let trust = if self.dice.percent(85) { home } else { self.dice.below(FEEDS) };
        self.people.push(Person { subject, born, home, trust, cases: Vec::new(), told: 0 });
        let adult = birthday_18(born);
        if adult > self.today {
            self.children.push(person);
            self.later(adult.plus_days(-1), move |world| world.around_18(person));
            self.later(adult, move |world| {
                world.children.retain(|child| *child != person);
                world.saw("an 18th birthday");
                world.around_18(person);
            });
        }
        person
    }

    /// Some are seen on the day before their 18th birthday, and some on the day itself: then it may not be kept.
    fn around_18(&mut self, person: usize) {
        if self.dice.percent(15) {
            let trust = self.people[person].trust;
            super::visits::visit(self, person, trust);
        }
    }

    pub fn child(&mut self) -> usize {
        let at = self.dice.below(self.children.len());
        self.children[at]
    }

    /// The demographics service tells something of a person's number.
    pub fn identify(&mut self, person: usize, action: IdentityAction) {
        let known = &mut self.people[person];
        known.told += 1;
        let (subject, version) = (known.subject.clone(), known.told);
        let organisation = OdsCode::parse("X26").expect("a code");
        let event_id = self.dice.id();
        let event = IdentityEvent { organisation, event_id, subject, version, action, proposal: None };
        self.put(self.now, None, Change::Identity(event));
    }

    /// The NHS number of a person who has one.
    pub fn number_of(&self, person: usize) -> NhsNumber {
        if let Subject::Nhs(number) = self.people[person].subject {
            number
        } else {
            panic!("a person without a number")
        }
    }

    /// Puts a change on its way. Now and then it is sent twice.
    pub fn send(&mut self, due: Moment, feed: Feed, change: Change) {
        self.put(due, Some(feed), change);
    }

    fn put(&mut self, due: Moment, feed: Option<Feed>, change: Change) {
        if self.dice.percent(2) {
            let again = due.plus_seconds(3_600 * (1 + self.dice.seconds(40)));
            self.outbox.push(Outgoing { due: again, feed, change: change.clone() });
            self.saw("sent again");
        }
        self.outbox.push(Outgoing { due, feed, change });
    }

    /// What is due by now of feeds that are not silent, in the order in which it became due.
    pub fn take_due(&mut self) -> Vec<Change> {
        let (now, silent) = (self.now, &self.silent);
        let is_due = |one: &mut Outgoing| one.due <= now && one.feed.is_none_or(|feed| !silent.contains_key(&feed));
        let mut due: Vec<Outgoing> = self.outbox.extract_if(.., is_due).collect();
        due.sort_by_key(|one| one.due);
        due.into_iter().map(|one| one.change).collect()
    }

    /// Signs of life of feeds that are not silent, every other day.
    pub fn heartbeats(&mut self) {
        let odd = usize::try_from(super::calendar::number(self.today)).expect("a day of this century") % 2;
        for n in (0..FEEDS).filter(|n| n % 2 == odd) {
            for feed in [plans_of(n), presentations_of(n)] {
                let change = Change::Heartbeat(Heartbeat { feed, event_id: self.dice.id() });
                // One that falls into a silence is not made up for.
                if !self.silent.contains_key(&feed) && (n >= BY_FILE || feed == presentations_of(n)) {
                    self.outbox.push(Outgoing { due: self.now, feed: Some(feed), change });
                }
            }
        }
    }

    /// The authority tells something of a plan: an event of its own, or the next file.
    pub fn tell(&mut self, case: usize, action: PlanAction) {
        self.cases[case].version += 1;
        if self.cases[case].authority < BY_FILE {
            self.cases[case].unsaid = true;
            self.cases[case].stays |= action == PlanAction::Start && self.cases[case].version > 2;
            return;
        }
        let due = self.dice.soon(self.now);
        let version = self.cases[case].version;
        let event = self.event(case, action, version);
        self.send(due, plans_of(self.cases[case].authority), Change::Plan(event));
    }

    /// An event of a plan as its authority knows it now.
    pub fn event(&mut self, case: usize, action: PlanAction, version: u64) -> PlanEvent {
        let (event_id, case) = (self.dice.id(), &self.cases[case]);
        let dates = matches!(action, PlanAction::Start | PlanAction::Change | PlanAction::TransferIn(_));
        let ends = dates || matches!(action, PlanAction::End | PlanAction::Born);
        PlanEvent {
            authority: authority(case.authority),
            event_id,
            subject: self.people[case.person].subject.clone(),
            action,
            kind: case.kind,
            reference: case.reference.clone(),
            version,
            start: (dates || case.reference.is_none()).then_some(case.start),
            end: case.end.filter(|_| ends),
            birth_date: case.born,
            shielded: case.shielded,
            unshield: false,
            family: None,
            babies: Vec::new(),
        }
    }
}
