//! Random changes and questions over few people, authorities, trusts, references and versions, so that they collide.
//! The same seed gives the same ones. It knows nothing of what is held.

use kith_domain::NhsNumber;
use kith_domain::caller::{Caller, Role};
use kith_domain::change::{Change, Feed, Heartbeat, PlanAction, PlanEvent, PresentationAction, PresentationEvent};
use kith_domain::child::Subject;
use kith_domain::codes::SiteCode;
use kith_domain::method::Method;
use kith_domain::plan::PlanKind;
use kith_domain::presentation::{CareSetting, Closing, Complaint, Details, Outcome};
use kith_domain::text::{EncounterId, LocalKey, PlanReference};
use kith_domain::time::{Day, Moment};
use kith_engine::Asked;
use rand::{RngExt as _, SeedableRng};
use rand_chacha::ChaCha8Rng;
use uuid::Uuid;

use super::place::{authority, caller, context_of, purpose_of, trust};

/// People: the last has no NHS number, the first two may be shielded.
pub const SUBJECTS: usize = 9;
/// Sent changes remembered, to be sent again.
const REMEMBERED: usize = 400;
const DAY_SECONDS: i64 = 86_400;

/// The source of everything random.
pub struct Dice {
    rng: ChaCha8Rng,
    /// The moment; it only goes on.
    pub now: Moment,
    next_id: u128,
    sent: Vec<Change>,
    requests: Vec<Uuid>,
    drawn: u64,
}

pub fn subject(n: usize) -> Subject {
    if n + 1 == SUBJECTS {
        return Subject::Local(trust(0), LocalKey::parse("newborn-1").unwrap());
    }
    let mut numbers = (999_000_000_u32..).filter_map(NhsNumber::from_first_nine);
    Subject::Nhs(numbers.nth(n).unwrap())
}

/// The birth date that most senders have: the third person comes of age within the test.
fn birthday(n: usize) -> Day {
    let (year, month, day) = if n == 2 { (2008, 11, 20) } else { (2015 + i32::try_from(n % 8).unwrap(), 3, 4) };
    Day::new(year, month, day).unwrap()
}

impl Dice {
    pub fn new(seed: u64, now: Moment) -> Self {
        let rng = ChaCha8Rng::seed_from_u64(seed);
        Self { rng, now, next_id: 1, sent: Vec::new(), requests: vec![Uuid::from_u128(1 << 100)], drawn: 0 }
    }

    pub fn below(&mut self, n: usize) -> usize {
        self.rng.random_range(0..n)
    }

    pub fn chance(&mut self, percent: usize) -> bool {
        self.below(100) < percent
    }

    fn pick<T: Copy>(&mut self, of: &[T]) -> T {
        of[self.below(of.len())]
    }

    /// Some of `of`, each with a chance.
    pub fn some<T: Copy>(&mut self, of: &[T], percent: usize) -> Vec<T> {
        of.iter().copied().filter(|_| self.chance(percent)).collect()
    }

    pub fn event_id(&mut self) -> Uuid {
        self.next_id += 1;
        Uuid::from_u128(self.next_id)
    }

    /// Time goes on: mostly by minutes, sometimes by days.
    pub fn tick(&mut self) {
        let seconds = if self.chance(6) { self.rng.random_range(0..9 * DAY_SECONDS) } else { self.below(5_000) as i64 };
        self.now = self.now.plus_seconds(seconds);
    }

    fn day(&mut self, from: i32, to: i32) -> Day {
        self.now.london_day().plus_days(self.rng.random_range(from..to))
    }

    fn birth_date(&mut self, n: usize) -> Option<Day> {
        match self.below(20) {
            0..9 => None,
            9..17 => Some(birthday(n)),
            17 => Some(birthday(n).plus_days(1)),
            18 => Some(Day::new(2016, 4, 3).unwrap()),
            _ => Some(Day::new(2011, 12, 25).unwrap()),
        }
    }

    /// Versions grow with time and come out of order and twice.
    fn version(&mut self) -> u64 {
        1 + self.drawn / 40 + self.below(14) as u64
    }

    pub fn change(&mut self) -> Change {
        self.drawn += 1;
        if !self.sent.is_empty() && self.chance(8) {
            return self.again();
        }
        let change = match self.below(20) {
            0..10 => self.plan(),
            10..19 => self.presentation(),
            _ => self.heartbeat(),
        };
        if self.sent.len() == REMEMBERED {
            self.sent.remove(0);
        }
        self.sent.push(change.clone());
        change
    }

    /// A change sent before: as it was, or another body under the same id.
    fn again(&mut self) -> Change {
        let at = self.below(self.sent.len());
        let mut change = self.sent[at].clone();
        if self.chance(50) {
            return change;
        }
        match &mut change {
            Change::Plan(event) => event.version += 1,
            Change::Presentation(event) => event.subject = subject((at + 1) % SUBJECTS),
            Change::Heartbeat(_)
            | Change::Accessed(_)
            | Change::Acknowledged(_)
            | Change::AuditGap(_)
            | Change::AuditHead(_)
            | Change::Purge(_)
            | Change::FeedCounted(_)
            | Change::Identity(_)
            | Change::Proposed(_)
            | Change::ProposalClosed(_)
            | Change::Opened(_)
            | Change::OpeningReviewed(_)
            | Change::Flagged(_)
            | Change::Watched(_)
            | Change::FlagReviewed(_)
            | Change::Withheld(_)
            | Change::WithholdingLifted(_)
            | Change::FileStarted(_)
            | Change::FileEnding(_)
            | Change::FileEnded(_)
            | Change::FilePositionReset(_) => {}
        }
        change
    }

    fn heartbeat(&mut self) -> Change {
        let n = self.below(3);
        let feed = if self.chance(50) { Feed::Plans(authority(n)) } else { Feed::Presentations(trust(n)) };
        Change::Heartbeat(Heartbeat { feed, event_id: self.event_id() })
    }

    fn plan(&mut self) -> Change {
        let (n, of) = (self.below(SUBJECTS), self.below(3));
        let other = authority((of + 1 + self.below(2)) % 3);
        let action = match self.below(12) {
            0..4 => PlanAction::Start,
            4..6 => PlanAction::Change,
            6..8 => PlanAction::End,
            8 => PlanAction::Withdraw,
            9 | 10 => PlanAction::TransferOut(other),
            _ => PlanAction::TransferIn(other),
        };
        let kind = self.pick(&[PlanKind::ChildProtection, PlanKind::LookedAfter, PlanKind::Unborn]);
        let needs_start = matches!(action, PlanAction::Start | PlanAction::Change | PlanAction::TransferIn(_));
        // References mostly belong to one person; a few are sent for others.
        let owner = if self.chance(4) { self.below(SUBJECTS) } else { n };
        let text = format!("P{owner}-{}", self.below(3));
        let reference = self.chance(75).then(|| PlanReference::parse(&text).unwrap());
        let start = match &reference {
            Some(_) => (needs_start || self.chance(20)).then(|| self.day(-500, 40)),
            None => Some(Day::new(2026, 8, 1).unwrap().plus_days(40 * self.below(4) as i32)),
        };
        let end = (action == PlanAction::End || self.chance(25)).then(|| self.day(-450, 60));
        Change::Plan(PlanEvent {
            authority: authority(of),
            event_id: self.event_id(),
            subject: subject(n),
            action,
            kind,
            reference,
            version: self.version(),
            start,
            end,
            birth_date: self.birth_date(n),
            shielded: n < 2 && self.drawn > 2_000 && self.chance(5),
            unshield: false,
            family: None,
            babies: Vec::new(),
        })
    }

    fn details(&mut self, n: usize, of: usize) -> Details {
        let back = if self.chance(60) { self.below(3 * 86_400) } else { self.below(400 * 86_400) };
        Details {
            site: SiteCode::parse(&format!("{}01", trust(of))).unwrap(),
            arrived_at: self.now.plus_seconds(-(back as i64)),
            setting: self.pick(&[CareSetting::EmergencyDepartment, CareSetting::Ambulance]),
            complaint: self.pick(&[Complaint::Illness, Complaint::Fracture, Complaint::NotRecorded]),
            birth_date: self.birth_date(n),
        }
    }

    fn closing(&mut self) -> Closing {
        let outcome = self.pick(&[
            Outcome::Discharged,
            Outcome::Admitted,
            Outcome::LeftBeforeBeingSeen,
            Outcome::EnteredInError,
            Outcome::Waiting,
        ]);
        Closing { outcome, at: self.now.plus_seconds(-(self.below(7_200) as i64)) }
    }

    fn encounter(&mut self, n: usize) -> EncounterId {
        let owner = if self.chance(3) { self.below(SUBJECTS) } else { n };
        let number = self.drawn / 1_000 + self.below(5) as u64;
        EncounterId::parse(&format!("E{owner}-{number}")).unwrap()
    }

    fn presentation(&mut self) -> Change {
        let (n, of) = (self.below(SUBJECTS), self.below(3));
        let action = match self.below(10) {
            0..3 => PresentationAction::Record(self.details(n, of)),
            3 | 4 => PresentationAction::Amend(self.details(n, of)),
            5..8 => PresentationAction::Close(self.closing()),
            _ => {
                let closing = self.chance(50).then(|| self.closing());
                PresentationAction::Import(self.details(n, of), closing)
            }
        };
        Change::Presentation(PresentationEvent {
            organisation: trust(of),
            event_id: self.event_id(),
            subject: subject(n),
            encounter: self.encounter(n),
            version: self.version(),
            action,
        })
    }

    /// The id of an earlier request.
    fn request_again(&mut self) -> Uuid {
        let at = self.below(self.requests.len());
        self.requests[at]
    }

    /// A question about one person.
    pub fn question(&mut self, n: usize) -> Asked {
        let role = match self.below(20) {
            0 => Role::LocalAuthority,
            1..4 => Role::ScheduledCare,
            4 => Role::Safeguarding,
            _ => Role::Ed,
        };
        let organisation = trust(self.below(3));
        let request_id = if self.chance(10) { self.request_again() } else { self.event_id() };
        self.requests.push(request_id);
        if self.requests.len() > 20 {
            self.requests.remove(0);
        }
        Asked {
            peer: kith_domain::caller::Peer { organisation, role },
            caller: Caller { purpose: purpose_of(role), ..caller(organisation, self.below(4)) },
            context: context_of(role),
            question: kith_domain::answer::Question {
                subject: subject(n),
                number_traced: self.chance(50),
                birth_date: self.birth_date(n),
                checking_in: self.chance(30).then(|| self.encounter(n)),
                mother: None,
                now: self.now,
            },
            request_id,
            trace: None,
            method: if self.chance(15) { Method::LookupMany } else { Method::Lookup },
            person_proven: false,
        }
    }
}
