//! A shape of records that says nothing of place, and the places that it is put into: who holds, saw, looked, shields and is
//! late. A world is one shape in one set of places.

use std::sync::Arc;

use kith_api::convert::answer::wire;
use kith_api::v1;
use kith_domain::NhsNumber;
use kith_domain::answer::Question;
use kith_domain::answering::{Found, Means, answer};
use kith_domain::caller::{Caller, CareContext, Peer, Purpose, Role};
use kith_domain::change::{AccessFacts, Feed};
use kith_domain::child::{ChildRecord, Subject};
use kith_domain::codes::{LaCode, OdsCode, SiteCode};
use kith_domain::directory::{AuthorityEntry, Directory, OrganisationEntry, SiteEntry};
use kith_domain::family::{Relatives, families};
use kith_domain::feed::FeedBoard;
use kith_domain::feed_volume::ThinRule;
use kith_domain::fold;
use kith_domain::links::Person;
use kith_domain::method::Method;
use kith_domain::permit::{ReadPermit, authorise_opening, authorise_read};
use kith_domain::plan::{Plan, PlanKind, PlanName};
use kith_domain::policy::Policy;
use kith_domain::presentation::{CareSetting, Closing, Complaint, Details, Outcome, Presentation};
use kith_domain::settings::AnswerSettings;
use kith_domain::text::{EncounterId, FamilyReference, PersonText, PlanReference, RoleCode, UserId};
use kith_domain::time::{Day, Moment};
use uuid::Uuid;

use super::linked::{LinkShape, Under};

/// Feeds of each kind.
pub const FEEDS: usize = 20;
/// How long a feed is fresh.
const FRESH_SECONDS: i64 = 3_600;
const DAY_SECONDS: i64 = 86_400;
/// The birth date that the asker gives, one that nearly matches it, and another.
const BORN: &str = "2019-03-04";
const BORN_NEAR: &str = "2018-03-04";
const BORN_OTHER: &str = "2015-06-17";

/// Numbers that depend on the seed alone (xorshift64*).
pub struct Random(u64);

impl Random {
    pub fn new(seed: u64) -> Self {
        Self(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1)
    }

    pub fn below(&mut self, bound: usize) -> usize {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        let high = self.0.wrapping_mul(0x2545_f491_4f6c_dd1d) >> 33;
        usize::try_from(high).unwrap() % bound
    }

    fn one_in(&mut self, n: usize) -> bool {
        self.below(n) == 0
    }

    fn pick<T: Copy>(&mut self, from: &[T]) -> T {
        from[self.below(from.len())]
    }

    fn list<T>(&mut self, below: usize, mut one: impl FnMut(&mut Self) -> T) -> Vec<T> {
        (0..self.below(below)).map(|_| one(self)).collect()
    }

    /// The numbers below [`FEEDS`] in any order.
    fn order(&mut self) -> Vec<usize> {
        let mut order: Vec<usize> = (0..FEEDS).collect();
        for at in (1..FEEDS).rev() {
            order.swap(at, self.below(at + 1));
        }
        order
    }
}

/// A plan without its authority. Authorities are told apart by numbers that the places give a meaning to.
#[derive(Debug, Clone)]
pub struct PlanShape {
    by: usize,
    kind: PlanKind,
    start: i64,
    lasts: Option<i64>,
    moving: bool,
    family: bool,
    born: Option<&'static str>,
}

/// A presentation without its place.
#[derive(Debug, Clone)]
pub struct SeenShape {
    at: usize,
    days_ago: i64,
    complaint: Complaint,
    outcome: Outcome,
    born: Option<&'static str>,
}

/// Another child of the family.
#[derive(Debug, Clone)]
pub struct SiblingShape {
    plans: Vec<PlanShape>,
    injured_at: Option<usize>,
    shielded: bool,
}

/// Everything that is no place.
#[derive(Debug, Clone)]
pub struct Shape {
    pub shielded: bool,
    plans: Vec<PlanShape>,
    seen: Vec<SeenShape>,
    /// Who looked, and how many minutes ago: often enough that rows are pushed out.
    looked: Vec<(usize, i64)>,
    siblings: Vec<SiblingShape>,
    mother: Option<(Vec<PlanShape>, bool)>,
    /// How many feeds of plans are stale and absent, and of presentations stale, absent and thin.
    late: [usize; 5],
    birth_date: bool,
    max_plans: usize,
    /// An authority that withholds, with a plan or without.
    withheld: Option<usize>,
    /// What is held of the same person under other numbers and keys.
    links: Vec<LinkShape>,
}

fn plan_shape(random: &mut Random, kinds: &[PlanKind]) -> PlanShape {
    PlanShape {
        by: random.below(FEEDS),
        kind: random.pick(kinds),
        // Few days, so that many start together.
        start: random.pick(&[-300, -30, -30, -30, 20]),
        lasts: random.pick(&[None, None, Some(10), Some(200)]),
        moving: random.one_in(4),
        family: random.one_in(2),
        born: random.pick(&[None, None, Some(BORN), Some(BORN_NEAR), Some(BORN_OTHER), Some(BORN_OTHER)]),
    }
}

impl Shape {
    pub fn any(random: &mut Random) -> Self {
        const OWN: [PlanKind; 2] = [PlanKind::ChildProtection, PlanKind::LookedAfter];
        let seen = |random: &mut Random| SeenShape {
            at: random.below(FEEDS),
            days_ago: random.pick(&[1, 1, 2, 40, 200, 500]),
            complaint: random.pick(&[Complaint::Injury, Complaint::Illness, Complaint::Bite, Complaint::Other]),
            outcome: random.pick(&[Outcome::Waiting, Outcome::Discharged, Outcome::Admitted, Outcome::EnteredInError]),
            born: random.pick(&[None, Some(BORN), Some(BORN_NEAR), Some(BORN_OTHER)]),
        };
        let sibling = |random: &mut Random| SiblingShape {
            plans: random.list(3, |random| PlanShape { family: true, ..plan_shape(random, &OWN) }),
            injured_at: random.one_in(2).then(|| random.below(FEEDS)),
            shielded: random.one_in(4),
        };
        Self {
            shielded: true,
            plans: random.list(5, |random| plan_shape(random, &OWN)),
            seen: random.list(6, seen),
            looked: {
                let most = random.pick(&[1, 6, 40]);
                let ago = [5, 90, 239, 300, 1_440, 1_500, 2_880, 4_320, 10_080, 20_160];
                random.list(most, |random| (random.below(FEEDS), random.pick(&ago)))
            },
            siblings: random.list(4, sibling),
            mother: random.one_in(2).then(|| {
                let plans = random.list(3, |random| plan_shape(random, &[PlanKind::Unborn]));
                (plans, random.one_in(3))
            }),
            late: [0; 5].map(|_| random.pick(&[0, 0, 1, 3])),
            birth_date: random.one_in(2),
            max_plans: random.pick(&[2, 20]),
            // The third knows the families.
            withheld: random.one_in(4).then(|| if random.one_in(2) { 3 } else { random.below(FEEDS) }),
            links: {
                // Most people have one number.
                let all = if random.one_in(4) { Vec::from(Under::ALL) } else { Vec::new() };
                let link = |under: Under| {
                    random.one_in(2).then(|| LinkShape {
                        under,
                        plans: random.list(2, |random| plan_shape(random, &OWN)),
                        seen: random.list(3, seen),
                        shields: random.one_in(4),
                    })
                };
                all.into_iter().filter_map(link).collect()
            },
        }
    }
}

/// Which authority and which hospital a number of a shape stands for, which feeds are late, who asks and who shields.
pub struct Places {
    authorities: Vec<usize>,
    trusts: Vec<usize>,
    late_plans: Vec<usize>,
    late_trusts: Vec<usize>,
    viewer: usize,
}

impl Places {
    pub fn any(random: &mut Random) -> Self {
        Self {
            authorities: random.order(),
            trusts: random.order(),
            late_plans: random.order(),
            late_trusts: random.order(),
            viewer: random.below(FEEDS),
        }
    }

    fn authority(&self, n: usize) -> LaCode {
        la(self.authorities[n])
    }

    pub fn trust(&self, n: usize) -> OdsCode {
        trust(self.trusts[n])
    }
}

fn la(n: usize) -> LaCode {
    LaCode::parse(&format!("E060000{n:02}")).unwrap()
}

fn trust(n: usize) -> OdsCode {
    OdsCode::parse(&format!("QX{n:02}")).unwrap()
}

fn site(n: usize) -> SiteCode {
    SiteCode::parse(&format!("QX{n:02}A")).unwrap()
}

pub fn number(n: u32) -> NhsNumber {
    (999_000_000 + 20 * n..).find_map(NhsNumber::from_first_nine).unwrap()
}

/// Noon of a winter's day.
fn now() -> Moment {
    Moment(1_768_046_400_000)
}

fn today() -> Day {
    now().london_day()
}

fn day(offset: i64) -> Day {
    today().plus_days(i32::try_from(offset).unwrap())
}

fn directory() -> Directory {
    let authority = |n| AuthorityEntry {
        name: format!("Borough {n}"),
        office_phone: format!("01632 9600{n:02}"),
        out_of_hours_phone: format!("01632 9601{n:02}"),
        opens_minute: 540,
        closes_minute: 1020,
    };
    let organisation = |n| OrganisationEntry {
        name: format!("Hospital {n}"),
        contact_phone: format!("01632 9602{n:02}"),
        successor: None,
    };
    let of_site = |n| SiteEntry { name: format!("Hospital {n} East"), organisation: trust(n) };
    Directory {
        authorities: (0..FEEDS).map(|n| (la(n), authority(n))).collect(),
        organisations: (0..FEEDS).map(|n| (trust(n), organisation(n))).collect(),
        sites: (0..FEEDS).map(|n| (site(n), of_site(n))).collect(),
        national_name: "National desk".into(),
        national_phone: "020 7946 0000".into(),
        ..Directory::default()
    }
}

/// One shape in one set of places.
pub struct World<'a> {
    shape: &'a Shape,
    places: &'a Places,
    board: FeedBoard,
    /// The asker has asked just before.
    asked_before: bool,
}

impl<'a> World<'a> {
    pub fn of(shape: &'a Shape, places: &'a Places) -> Self {
        Self { shape, places, board: board(shape, places), asked_before: false }
    }

    /// The answer, and the one to the same question put again.
    pub fn answers(mut self) -> [v1::Answer; 2] {
        let first = self.answer();
        self.asked_before = true;
        [first, self.answer()]
    }

    /// The answer to the same asker's same question, on the wire.
    pub fn answer(&self) -> v1::Answer {
        self.asked((Role::Ed, Purpose::DirectCare), |policy, peer, caller, directory, ask| {
            let call = (Method::Lookup, CareContext::Unscheduled);
            ask(&authorise_read(policy, peer, caller, call, directory).unwrap())
        })
    }

    /// The answer of the call that opens a shielded record.
    pub fn opened(&self) -> v1::Answer {
        self.asked((Role::Safeguarding, Purpose::ChildProtectionEnquiry), |policy, peer, caller, directory, ask| {
            ask(authorise_opening(policy, peer, caller, CareContext::Unscheduled, directory).unwrap().read())
        })
    }

    fn asked(
        &self,
        (role, purpose): (Role, Purpose),
        permitted: impl Fn(&Policy, Peer, &Caller, &Directory, &dyn Fn(&ReadPermit) -> v1::Answer) -> v1::Answer,
    ) -> v1::Answer {
        let (organisation, directory) = (trust(0), directory());
        let caller = Caller {
            user_id: UserId::parse("n1").unwrap(),
            user_name: PersonText::parse("A Nurse").unwrap(),
            user_role: PersonText::parse("Nurse").unwrap(),
            role_code: RoleCode::parse("R8000").unwrap(),
            purpose,
            organisation,
        };
        let peer = Peer { organisation, role };
        let question = Question {
            subject: Subject::Nhs(number(1)),
            number_traced: true,
            birth_date: self.shape.birth_date.then(|| Day::parse(BORN).unwrap()),
            checking_in: None,
            now: now(),
            mother: self.shape.mother.is_some().then(|| number(2)),
        };
        let settings = AnswerSettings { max_plans: self.shape.max_plans, ..AnswerSettings::default() };
        let means = Means { settings: &settings, directory: &directory, feeds: &self.board };
        let found = self.found();
        let ask = |permit: &ReadPermit| {
            let answer = answer(permit, &question, &found, means);
            wire(&answer, "REFERENCE".into(), &directory, settings.presentation_window_days)
        };
        permitted(&Policy::builtin(), peer, &caller, &directory, &ask)
    }

    fn found(&self) -> Found {
        let person = self.person();
        let others: Vec<ChildRecord> = (10..).zip(&self.shape.siblings).map(|(n, one)| self.sibling(n, one)).collect();
        let find = |subject: &Subject| others.iter().find(|one| one.subject == *subject).cloned().map(Arc::new);
        let members = |family: &_, most: usize| {
            let carries = |one: &&ChildRecord| families(one).contains(family);
            let all: Vec<Subject> = others.iter().filter(carries).map(|one| one.subject.clone()).collect();
            (all.iter().take(most).cloned().collect(), all.len().saturating_sub(most))
        };
        let relatives = Relatives::find(&person, members, find);
        let mother = self.shape.mother.as_ref().map(|(plans, shielded)| {
            let mut record = ChildRecord::new(Subject::Nhs(number(2)));
            record.plans = self.plans(plans, 2);
            record.shielded_by = shielded.then(|| self.places.authority(7)).into_iter().collect();
            Person::of(Some(&record))
        });
        Found { person, relatives, mother }
    }

    /// The child's records under every number and key.
    fn person(&self) -> Person {
        let mut own = self.child();
        let mut linked = Vec::new();
        for (n, link) in (3..).zip(&self.shape.links) {
            let mut record = ChildRecord::new(link.under.subject(self.places));
            record.plans = self.plans(&link.plans, n);
            record.presentations = self.all_seen(&link.seen);
            if self.shape.shielded && link.shields {
                record.shielded_by = vec![self.places.authority(8)];
            }
            link.under.link(&mut own, &mut record);
            linked.push(Arc::new(record));
        }
        Person::find(Some(Arc::new(own)), |subject| linked.iter().find(|one| one.subject == *subject).cloned())
    }

    fn child(&self) -> ChildRecord {
        let mut record = ChildRecord::new(Subject::Nhs(number(1)));
        record.plans = self.plans(&self.shape.plans, 1);
        if self.shape.shielded && !self.shape.links.iter().any(|link| link.shields) {
            record.shielded_by = vec![self.places.authority(5)];
        }
        record.withheld_by = self.shape.withheld.map(|at| self.places.authority(at)).into_iter().collect();
        record.presentations = self.all_seen(&self.shape.seen);
        let user_name = PersonText::parse(&format!("Viewer {}", self.places.viewer)).unwrap();
        let user_role = PersonText::parse("Nurse").unwrap();
        let access = |organisation, minutes_ago: i64| AccessFacts {
            subject: Subject::Nhs(number(1)),
            organisation,
            request_id: Uuid::nil(),
            at: now().plus_seconds(-60 * minutes_ago),
            user_name: user_name.clone(),
            user_role: user_role.clone(),
            responsible: Vec::new(),
        };
        let mut looked: Vec<AccessFacts> =
            self.shape.looked.iter().map(|(by, ago)| access(self.places.trust(*by), *ago)).collect();
        looked.sort_by_key(|one| one.at);
        looked.extend(self.asked_before.then(|| access(trust(0), 0)));
        looked.iter().for_each(|one| fold::apply_access(&mut record, one));
        record
    }

    fn sibling(&self, n: u32, shape: &SiblingShape) -> ChildRecord {
        let mut record = ChildRecord::new(Subject::Nhs(number(n)));
        record.plans = self.plans(&shape.plans, n);
        if shape.shielded {
            record.shielded_by = vec![self.places.authority(6)];
        }
        let (complaint, outcome) = (Complaint::Injury, Outcome::Discharged);
        let injury = |at| SeenShape { at, days_ago: 3, complaint, outcome, born: None };
        record.presentations = shape.injured_at.map(|at| self.seen(0, &injury(at))).into_iter().collect();
        record
    }

    /// Plans as a record keeps them: in order of authority and name. A family stands with every authority that names it.
    fn plans(&self, shapes: &[PlanShape], n: u32) -> Vec<Plan> {
        let one = |(at, shape): (usize, &PlanShape)| {
            let PlanShape { by, kind, start, lasts, moving, family, born } = shape;
            let reference = PlanReference::parse(&format!("P{n}-{at}")).unwrap();
            // The whole family is known to one authority.
            let authority = self.places.authority(if *family { 3 } else { *by });
            let mut plan = Plan::new(authority, PlanName::Reference(reference));
            plan.kind.set(1, Some(*kind));
            plan.start.set(1, Some(day(*start)));
            plan.end.set(1, lasts.map(|lasts| day(start + lasts)));
            plan.moving_to.set(1, moving.then(|| self.places.authority(4)));
            plan.birth_date.set(1, born.map(|born| Day::parse(born).unwrap()).filter(|_| n == 1));
            plan.family.set(1, family.then(|| FamilyReference::parse("FAMILY").unwrap()));
            plan
        };
        let mut plans: Vec<Plan> = shapes.iter().enumerate().map(one).collect();
        plans.sort_by(|a, b| (a.authority, &a.name).cmp(&(b.authority, &b.name)));
        plans
    }

    /// Presentations as a record keeps them.
    fn all_seen(&self, shapes: &[SeenShape]) -> Vec<Presentation> {
        let mut all: Vec<Presentation> = shapes.iter().enumerate().map(|(n, one)| self.seen(n, one)).collect();
        all.sort_by_key(|one| (one.organisation, one.encounter.as_str().to_owned()));
        all
    }

    fn seen(&self, n: usize, shape: &SeenShape) -> Presentation {
        let SeenShape { at, days_ago, complaint, outcome, born } = shape;
        let mut seen = Presentation::new(self.places.trust(*at), EncounterId::parse(&format!("E{n}")).unwrap());
        // Many at the same moment: their order must not come from the place.
        let arrived_at = now().plus_seconds(-DAY_SECONDS * days_ago);
        let details = Details {
            site: site(self.places.trusts[*at]),
            arrived_at,
            setting: CareSetting::EmergencyDepartment,
            complaint: *complaint,
            birth_date: born.map(|born| Day::parse(born).unwrap()),
        };
        seen.details.set(1, Some(details));
        seen.closing.set(2, (*outcome != Outcome::Waiting).then_some(Closing { outcome: *outcome, at: arrived_at }));
        seen
    }
}

/// Feeds of which as many are late as the shape says, and whichever the places say.
fn board(shape: &Shape, places: &Places) -> FeedBoard {
    let [stale_plans, absent_plans, stale, absent, thin] = shape.late;
    let seconds = u64::try_from(FRESH_SECONDS).unwrap();
    let plans = (0..FEEDS).map(|n| (la(n), seconds));
    let trusts = (0..FEEDS).map(|n| (trust(n), seconds));
    let thin: Vec<OdsCode> = places.late_trusts[stale + absent..][..thin].iter().map(|n| trust(*n)).collect();
    let board = FeedBoard::new(plans, trusts);
    let board = board.with_volumes(ThinRule::default(), |code| thin.contains(&code).then_some(700));
    let ago = |at: usize, stale: usize, absent: usize| match at {
        at if at < stale => Some(FRESH_SECONDS * 2),
        at if at < stale + absent => None,
        _ => Some(600),
    };
    let heard = |feed, ago: Option<i64>| {
        if let Some(ago) = ago {
            board.heard(feed, now().plus_seconds(-ago));
        }
    };
    for (at, n) in places.late_plans.iter().enumerate() {
        heard(Feed::Plans(la(*n)), ago(at, stale_plans, absent_plans));
    }
    for (at, n) in places.late_trusts.iter().enumerate() {
        heard(Feed::Presentations(trust(*n)), ago(at, stale, absent));
    }
    board.assess(now());
    board
}
