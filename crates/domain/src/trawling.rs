//! Whether somebody's use of the service looks like trawling. It counts and judges nobody: what it finds is flagged for a
//! person to look into, and never refused.
//!
//! Everything is worked out from the entries of the audit, in their order and by their own times: the same entries give the
//! same flags, however often the process starts. Memory is bounded; what is forgotten first is what was not asked of longest, and
//! of the organisation that asks most: no organisation can make what others do be forgotten, or be taken for what it is not.
//! A child is known here by a keyed pseudonym, for a day or so (for presentations, as long as is set), and by its number among the
//! last that were asked about (`walk.rs`), and stands in no flag. `deploy/data-protection.md` tells it, and changes with it.
//!
//! Numbers that walk, and people who ask about one child, are counted at once. Everything else waits until it is known whether
//! the child was there: a question to which a presentation belongs is work, in whatever volume. So an evening of mass
//! casualties, with ten times the usual questions, is no volume; where presentations are not told, a person's volume is held
//! against that of the others on the same day.
//!
//! A check-in asks like any other question and is counted like one. Its presentation is what the audit tells of its recording: that
//! it was taken, or that Kith could not take it for a reason of its own, which nobody who asks can bring about; not that it was asked
//! with one. Whoever sends check-ins that are refused for what is in them looks like whoever only asks. So where people check in,
//! what is usual to be held is that of their first questions, and not of those alone who are looked up again later; and an
//! organisation that sends its check-ins wrong for an evening has that evening's volume.
//!
//! The mother's number that is given with a question is asked about like a child's: whoever names one mother after another with the
//! same child walks, and asks about many.
//!
//! What is usual to be held goes by the way in which people ask (`held.rs`): whoever checks everybody in finds less than whoever
//! looks up on suspicion.
//!
//! What an organisation's people do is counted together too (`whole.rs`): many who each ask little are flagged as one.

mod children;
mod days;
mod held;
mod share;
#[cfg(test)]
mod tests;
mod waiting;
mod walk;
mod whole;

use crate::NhsNumber;
use crate::caller::Role;
use crate::codes::OdsCode;
use crate::flag::{Flag, FlagKind, FlagRules};
use crate::text::UserId;
use crate::time::{Day, Moment};
use children::Children;
use days::{Days, Usual};
use held::Way;
use share::{Norm, OfPerson, Shares, far_below};
use std::collections::{BTreeMap, HashMap};
use std::fmt;
use std::sync::Arc;
use waiting::{Waited, Waiting};
use walk::Walks;
use whole::Whole;

/// A clock set back by more than this, in seconds, makes what is counted within hours begin anew. Less is the order in which
/// questions that are answered at once reach the audit.
const SET_BACK_S: u64 = 60 * 60;
/// Questions of an organisation, and of a role, from which on what came before counts half.
const NORM_OF_ORGANISATION: u64 = 4_096;
const NORM_OF_ROLE: u64 = 65_536;
/// Questions of others that have to be known before a person is held against whether children were there.
const LEAST_ATTENDED: u64 = 200;
/// A busy day of the others raises what is a volume by as much, in hundredths: at most fourfold, so that several who trawl
/// together do not hide one another.
const SURGE: std::ops::RangeInclusive<u64> = 100..=400;
/// The others of an organisation ask this often on a usual day at least, in hundredths: of fewer a surge says nothing.
const LEAST_OTHERS: u64 = 1_000;

/// A child, as a keyed pseudonym.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct ChildMark([u8; 16]);

impl ChildMark {
    /// The mark of a pseudonym.
    #[must_use]
    pub fn new(pseudonym: [u8; 16]) -> Self {
        Self(pseudonym)
    }
}

impl fmt::Debug for ChildMark {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("ChildMark(redacted)")
    }
}

/// A person in an organisation.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
struct Who {
    organisation: OdsCode,
    user_id: UserId,
}

/// What one entry of the audit tells.
#[derive(Debug, Clone)]
pub struct Sighting {
    /// Its number.
    pub entry: u64,
    /// Its time.
    pub at: Moment,
    /// The organisation.
    pub organisation: OdsCode,
    /// The child.
    pub child: ChildMark,
    /// What was done.
    pub what: Sight,
}

/// What was done.
#[derive(Debug, Clone)]
pub enum Sight {
    /// A question was answered.
    Question(Asking),
    /// The mother's number was given with a question about a child: her unborn plans were told of too. The sighting is about her, and
    /// comes after the child's.
    OfMother {
        /// The question, as one about her.
        asking: Asking,
        /// The child.
        with: ChildMark,
        /// The child is known by a number, and not by a key of the organisation's own, under which it can record whatever it likes and
        /// nobody hears of it.
        numbered: bool,
    },
    /// A presentation was told of, or something of one.
    Presentation,
    /// What was told of a presentation is taken back: there was none.
    TakenBack {
        /// Who says so; none where that is no sign of anything by itself.
        by: Option<(UserId, Role)>,
    },
}

/// A question that was answered.
#[derive(Debug, Clone)]
pub struct Asking {
    /// Who asked.
    pub user_id: UserId,
    /// In which role.
    pub role: Role,
    /// In unscheduled care, where who is asked about is there.
    pub unscheduled: bool,
    /// The NHS number, where one was asked about.
    pub number: Option<NhsNumber>,
    /// Something is held of the child.
    pub held: bool,
    /// With a presentation to be recorded.
    pub checks_in: bool,
}

/// What is remembered of a person.
#[derive(Debug, Default)]
struct Person {
    /// The last entry of theirs: whose is the least is forgotten first.
    last_entry: u64,
    days: Days,
    held: [OfPerson; Way::COUNT],
    attended: OfPerson,
    walks: Walks,
    /// When a flag of each kind was last raised.
    flagged: [Option<Moment>; FlagKind::WORDS.len()],
}

/// What is usual in an organisation.
#[derive(Debug, Default)]
struct Organisation {
    /// By role, for whoever reviews what was recorded finds it, and by way.
    held: BTreeMap<(Role, Way), Norm>,
    attended: Norm,
    days: Days,
    whole: Whole,
}

/// What is usual in a role.
#[derive(Debug, Default)]
struct OfRole {
    held: [Norm; Way::COUNT],
    attended: Shares,
    day: Usual,
}

/// What a flag counts: counted, out of, threshold.
type Figures = (u32, u32, u32);

/// Everything that is remembered.
#[derive(Debug)]
pub struct Watch {
    rules: FlagRules,
    now: Moment,
    people: HashMap<Arc<Who>, Person>,
    organisations: BTreeMap<OdsCode, Organisation>,
    roles: BTreeMap<Role, OfRole>,
    waiting: Waiting,
    children: Children,
    found: Vec<Flag>,
}

impl Watch {
    /// Remembers nothing yet.
    #[must_use]
    pub fn new(rules: FlagRules) -> Self {
        Self {
            rules,
            now: Moment(i64::MIN),
            people: HashMap::new(),
            organisations: BTreeMap::new(),
            roles: BTreeMap::new(),
            waiting: Waiting::default(),
            children: Children::default(),
            found: Vec::new(),
        }
    }

    /// Takes what an entry tells; the flags that it raises.
    pub fn observe(&mut self, sighting: Sighting) -> Vec<Flag> {
        let Sighting { entry, at, organisation, child, what } = sighting;
        self.turn_to(at);
        let bounds = self.waiting_bounds();
        while let Some(question) = self.waiting.due(self.now, bounds) {
            self.settle(&question);
        }
        match what {
            Sight::Presentation => self.waiting.presented(organisation, child, self.now, bounds),
            Sight::TakenBack { by } => self.taken_back(entry, (organisation, child), by),
            Sight::Question(asking) => self.asked(entry, organisation, child, asking),
            Sight::OfMother { asking, with, numbered } => {
                self.asked_of_mother((entry, organisation), (child, with), asking, numbered);
            }
        }
        std::mem::take(&mut self.found)
    }

    /// A flag was raised before: it is not raised again for a while.
    pub fn raised(&mut self, flag: &Flag) {
        let Some(user_id) = flag.user_id.clone() else {
            self.raised_whole(flag);
            return;
        };
        let who = self.known(Who { organisation: flag.organisation, user_id }, flag.last_entry);
        if let Some(person) = self.people.get_mut(&who) {
            let last = &mut person.flagged[flag.kind as usize];
            *last = (*last).max(Some(flag.at));
        }
    }

    /// Questions come nearly in the order of their times. A clock that is set back must not stop everything until it is as
    /// late again.
    fn turn_to(&mut self, at: Moment) {
        if at >= self.now {
            self.now = at;
        } else if self.now.seconds_since(at) > SET_BACK_S {
            self.now = at;
            self.waiting.clear();
            self.children.clear();
        }
    }

    fn waiting_bounds(&self) -> waiting::Bounds {
        waiting::Bounds {
            before_s: u64::from(self.rules.presentation_before_minutes) * 60,
            after_s: u64::from(self.rules.presentation_after_minutes) * 60,
            most: usize::try_from(self.rules.most_children).unwrap_or(usize::MAX),
        }
    }

    /// The person, remembered from now on.
    fn known(&mut self, who: Who, entry: u64) -> Arc<Who> {
        if let Some((who, _)) = self.people.get_key_value(&who) {
            let who = Arc::clone(who);
            if let Some(person) = self.people.get_mut(&who) {
                person.last_entry = person.last_entry.max(entry);
            }
            return who;
        }
        self.make_room();
        let who = Arc::new(who);
        self.people.insert(Arc::clone(&who), Person { last_entry: entry, ..Person::default() });
        who
    }

    /// When there are as many people as may be, the organisation that has the most of them forgets the quarter of its own who
    /// have not asked for longest. Whoever names people that are none makes their own organisation forget, and no other.
    fn make_room(&mut self) {
        let most = usize::try_from(self.rules.most_people).unwrap_or(usize::MAX).max(1);
        if self.people.len() < most {
            return;
        }
        let mut by_organisation: BTreeMap<OdsCode, Vec<u64>> = BTreeMap::new();
        for (who, person) in &self.people {
            by_organisation.entry(who.organisation).or_default().push(person.last_entry);
        }
        let Some((organisation, mut last)) = by_organisation.into_iter().max_by_key(|(_, last)| last.len()) else {
            return;
        };
        let quarter_at = last.len() / 4;
        let (_, quarter, _) = last.select_nth_unstable(quarter_at);
        let quarter = *quarter;
        self.people.retain(|who, person| who.organisation != organisation || person.last_entry > quarter);
    }

    fn asked(&mut self, entry: u64, organisation: OdsCode, child: ChildMark, asking: Asking) {
        let Asking { user_id, role, unscheduled, number, held, checks_in } = asking;
        let who = self.known(Who { organisation, user_id }, entry);
        self.walks(&who, number, entry);
        self.whole_walks(&who, number, entry);
        self.crowds(&who, child, entry);
        let (at, bounds) = (self.now, self.waiting_bounds());
        let mut question = Waited { who, role, child, at, entry, unscheduled, checks_in, held: Some(held), told: None };
        if self.waiting.is_attended(&question, bounds) {
            // What was told of the child just now is held: that it is found says nothing.
            question.held = None;
        }
        if let Some(question) = self.waiting.ask(question, bounds) {
            self.settle(&question);
        }
    }

    /// A child has one mother: whoever names another with the same child, while it is waited to see whether that child is there, asks
    /// about one more, whom no presentation of the child makes be there. Her number is a step like any other, whichever field it
    /// stands in, and many who ask about her are many. With a child without a number every mother counts, as a volume alone: so are
    /// newborns asked about, and how many of a day's says nothing but that.
    fn asked_of_mother(
        &mut self,
        (entry, organisation): (u64, OdsCode),
        (mother, with): (ChildMark, ChildMark),
        asking: Asking,
        numbered: bool,
    ) {
        let Asking { user_id, role, unscheduled, number, held, checks_in } = asking;
        let who = self.known(Who { organisation, user_id }, entry);
        self.walks(&who, number, entry);
        self.whole_walks(&who, number, entry);
        self.crowds(&who, mother, entry);
        let is_another = self.waiting.is_another_mother(&who, with, mother);
        if numbered && !is_another {
            return;
        }
        let (unscheduled, held) = if is_another { (unscheduled, Some(held)) } else { (false, None) };
        let (at, bounds) = (self.now, self.waiting_bounds());
        let question = Waited { who, role, child: mother, at, entry, unscheduled, checks_in, held, told: None };
        if let Some(question) = self.waiting.ask(question, bounds) {
            self.settle(&question);
        }
    }

    /// A presentation that was none: of questions that wait about the child nobody came. One that is taken back later counts as another
    /// to which nobody came, on the day and of the person who takes it back: so much is taken back by somebody every day, and far more
    /// than that is a volume.
    fn taken_back(&mut self, entry: u64, (organisation, child): (OdsCode, ChildMark), by: Option<(UserId, Role)>) {
        let waits = self.waiting.take_back(organisation, child);
        let Some((user_id, role)) = by.filter(|_| !waits) else { return };
        let who = self.known(Who { organisation, user_id }, entry);
        let (at, unscheduled, checks_in) = (self.now, true, false);
        let question = Waited { who, role, child, at, entry, unscheduled, checks_in, held: None, told: None };
        self.whole_volume(&question);
        self.volume(&question);
    }

    fn walks(&mut self, who: &Arc<Who>, number: Option<NhsNumber>, entry: u64) {
        let (now, least) = (self.now, self.rules.walk_numbers);
        let bounds = walk::Bounds { least, remembered: walk::OF_PERSON };
        let walk = number.zip(self.people.get_mut(who));
        let walk = walk.and_then(|(number, person)| person.walks.step((number, entry), who, now, bounds));
        if let Some(walk) = walk {
            self.raise(who, FlagKind::NumberWalk, (walk.numbers, 0, least), (walk.first_entry, entry));
        }
    }

    fn crowds(&mut self, who: &Arc<Who>, child: ChildMark, entry: u64) {
        let FlagRules { same_child_people, same_child_hours, most_children, .. } = self.rules;
        let most = usize::try_from(most_children).unwrap_or(usize::MAX);
        let bounds = children::Bounds { within_s: u64::from(same_child_hours) * 3_600, most };
        let crowd = self.children.asked(child, who, self.now, entry, bounds);
        if let Some(crowd) = crowd.filter(|crowd| crowd.people >= same_child_people) {
            self.raise(who, FlagKind::SameChild, (crowd.people, 0, same_child_people), (crowd.first_entry, entry));
        }
    }

    /// Counts a question now that it is known whether the child was there.
    fn settle(&mut self, question: &Waited) {
        let attended = self.waiting.is_attended(question, self.waiting_bounds());
        let way = self.way(question, attended);
        // Whoever is forgotten counts here: people who are none are many.
        if let Some(way) = way {
            self.whole_holds(question, way);
        }
        self.whole_attends(question, attended);
        if !attended {
            self.whole_volume(question);
        }
        // Forgotten since: who asks so seldom is no volume.
        if !self.people.contains_key(&question.who) {
            return;
        }
        if let Some(way) = way {
            self.holds(question, way);
        }
        if question.unscheduled {
            self.attends(question, attended);
        }
        if !attended {
            self.volume(question);
        }
    }

    /// Whether somebody was flagged lately: their questions are not what is usual.
    fn is_flagged(&self, who: &Arc<Who>) -> bool {
        let lately = |at: &Moment| is_lately(*at, self.now, self.repeat_s());
        self.people.get(who).is_some_and(|person| person.flagged.iter().flatten().any(lately))
    }

    fn repeat_s(&self) -> u64 {
        u64::from(self.rules.repeat_hours) * 3_600
    }

    /// Few of the children asked about were there. Held against the own organisation alone: whether presentations are told at
    /// once is each organisation's own.
    fn attends(&mut self, question: &Waited, attended: bool) {
        let flagged = self.is_flagged(&question.who);
        let organisation = self.organisations.entry(question.who.organisation).or_default();
        let Some(person) = self.people.get_mut(&question.who) else { return };
        if !flagged {
            organisation.attended.add(attended, NORM_OF_ORGANISATION);
        }
        let usual = organisation.attended.of_others(person.attended.counted(), LEAST_ATTENDED).unwrap_or(0);
        let Some(counted) = person.attended.add(attended, usual, question.entry) else { return };
        let rules = (self.rules.share_least_expected, self.rules.share_percent);
        if let Some(limit) = far_below(counted, rules) {
            let (without, least) = (counted.asked - counted.hits, counted.asked - limit);
            let entries = (counted.first_entry, question.entry);
            self.raise(&question.who, FlagKind::NoPresentation, (without, counted.asked, least), entries);
        }
    }

    /// Far more children without a presentation than is usual.
    fn volume(&mut self, question: &Waited) {
        let day = self.known_on(question);
        let organisation = self.organisations.entry(question.who.organisation).or_default();
        let role = self.roles.entry(question.role).or_default();
        let Some(person) = self.people.get_mut(&question.who) else { return };
        organisation.days.add(day, question.entry);
        if let Some(ended) = person.days.add(day, question.entry) {
            role.day.take_of_all(ended);
        }
        let Some(usual) = person.days.usual().or(role.day.of_all()) else { return };
        let surge = surge(organisation, person);
        let many = usual.saturating_mul(u64::from(self.rules.volume_times)).saturating_mul(surge) / 10_000;
        let threshold = u32::try_from(many).unwrap_or(u32::MAX).max(self.rules.volume_least);
        if person.days.count < threshold {
            return;
        }
        person.days.most.get_or_insert(threshold);
        let figures = (person.days.count, u32::try_from(usual.div_ceil(100)).unwrap_or(u32::MAX), threshold);
        let entries = (person.days.first_entry, question.entry);
        self.raise(&question.who, FlagKind::Volume, figures, entries);
    }

    /// The day on which it was known that nobody came.
    fn known_on(&self, question: &Waited) -> Day {
        question.at.plus_seconds(i64::from(self.rules.presentation_after_minutes) * 60).london_day()
    }

    /// Raises a flag, unless one of the kind was raised about the person lately.
    fn raise(&mut self, who: &Arc<Who>, kind: FlagKind, figures: Figures, (first_entry, last_entry): (u64, u64)) {
        let (now, repeat_s) = (self.now, self.repeat_s());
        let Some(person) = self.people.get_mut(who) else { return };
        let last = &mut person.flagged[kind as usize];
        if last.is_some_and(|at| is_lately(at, now, repeat_s)) {
            return;
        }
        *last = Some(now);
        let Who { organisation, user_id } = &**who;
        let about = (*organisation, Some(user_id.clone()));
        self.found.push(flag((kind, now), about, figures, (first_entry, last_entry)));
    }
}

fn flag(
    (kind, at): (FlagKind, Moment),
    (organisation, user_id): (OdsCode, Option<UserId>),
    (counted, out_of, threshold): Figures,
    (first_entry, last_entry): (u64, u64),
) -> Flag {
    Flag { kind, at, organisation, user_id, counted, out_of, threshold, first_entry, last_entry }
}

/// Whether a flag of the moment `at` was raised lately. One of a clock that ran ahead and was set back since was not: it would keep
/// every other of its kind back until the clock is there again.
fn is_lately(at: Moment, now: Moment, repeat_s: u64) -> bool {
    at.seconds_since(now) <= SET_BACK_S && now.seconds_since(at) < repeat_s
}

/// How busy the others of an organisation are today beside a usual day of theirs, in hundredths. Of too few it says nothing.
fn surge(organisation: &Organisation, person: &Person) -> u64 {
    let Some(usual) = organisation.days.usual() else { return *SURGE.start() };
    let usual = usual.saturating_sub(person.days.usual().unwrap_or_default()).max(LEAST_OTHERS);
    let today = u64::from(organisation.days.count.saturating_sub(person.days.count));
    (today * 10_000 / usual).clamp(*SURGE.start(), *SURGE.end())
}
