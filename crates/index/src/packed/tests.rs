//! Every field of every record comes back as it was, whatever it holds, and a common record takes few bytes.

use super::tables::Code;
use super::*;
use kith_domain::NhsNumber;
use kith_domain::child::{Access, Notified};
use kith_domain::codes::{LaCode, OdsCode, SiteCode};
use kith_domain::links::IdentityFacts;
use kith_domain::plan::{Plan, PlanKind, PlanName, Register};
use kith_domain::presentation::{CareSetting, Closing, Complaint, Details, Outcome, Presentation};
use kith_domain::text::{EncounterId, FamilyReference, LocalKey, PersonText, PlanReference};
use kith_domain::time::{Day, Moment};
use kith_domain::transfer::Transfers;

/// A seeded source of choices.
struct Dice(u64);

impl Dice {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.0 ^ self.0 >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ mixed >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ mixed >> 31
    }

    fn below(&mut self, most: u64) -> u64 {
        self.next() % most
    }

    fn pick<T: Copy>(&mut self, from: &[T]) -> T {
        from[self.below(from.len() as u64) as usize]
    }

    fn list<T>(&mut self, most: u64, mut one: impl FnMut(&mut Self) -> T) -> Vec<T> {
        let count = if self.below(3) == 0 { 0 } else { self.below(most + 1) };
        (0..count).map(|_| one(self)).collect()
    }

    fn version(&mut self) -> u64 {
        let any = self.next();
        self.pick(&[0, 1, 1, 2, 300, u64::MAX, any])
    }

    fn register<T>(&mut self, value: impl FnOnce(&mut Self) -> T) -> Register<T> {
        let version = self.version();
        let held = if self.below(3) == 0 { None } else { Some(value(self)) };
        Register::held(version, held)
    }

    fn moment(&mut self) -> Moment {
        let (any, near) = (self.next().cast_signed(), 1_795_000_000_000 + self.below(10_000_000_000).cast_signed());
        Moment(self.pick(&[0, i64::MIN, i64::MAX, any, near, near / 1_000 * 1_000, near / 60_000 * 60_000, -near]))
    }

    fn day(&mut self) -> Day {
        let zero = Day::new(2018, 3, 4).unwrap();
        let any = i32::try_from(self.next() >> 33).unwrap();
        let near = i32::try_from(self.below(8_000)).unwrap() - 4_000;
        zero.plus_days(self.pick(&[0, 0, i32::MIN, i32::MAX, any, -any, near]))
    }

    fn flag(&mut self) -> bool {
        self.below(2) == 0
    }

    /// A text of at most so many characters: letters of one to four bytes, spaces within, and digits at the end.
    fn text(&mut self, most: u64) -> String {
        let digits = self.pick(&[0, 0, 1, 8, 18, 19, 25, 64]).min(most);
        let room = (most - digits).max(u64::from(digits == 0));
        let letters = if digits == 0 { 1 + self.below(room) } else { self.below(room + 1) };
        let mut text = String::new();
        for at in 0..letters {
            let ends = at == 0 || at + 1 == letters;
            text.push(if ends { self.pick(&['A', 'z', '\u{eb}']) } else { self.pick(&[' ', '-', '\u{1f600}', '7']) });
        }
        for _ in 0..digits {
            text.push(self.pick(&['0', '0', '9', '4']));
        }
        text
    }

    fn ods(&mut self) -> OdsCode {
        let any = format!("R{:02}", self.below(40));
        OdsCode::parse(self.pick(&["R1H", "RRK", "ABCDEFGH9", &any])).unwrap()
    }

    fn la(&mut self) -> LaCode {
        LaCode::parse(&format!("E060000{:02}", self.below(60))).unwrap()
    }

    fn kind(&mut self) -> PlanKind {
        self.pick(&[PlanKind::ChildProtection, PlanKind::LookedAfter, PlanKind::Unborn])
    }

    fn nhs(&mut self) -> NhsNumber {
        let from = 999_000_000 + u32::try_from(self.below(900_000)).unwrap();
        (from..).find_map(NhsNumber::from_first_nine).unwrap()
    }

    fn subject(&mut self) -> Subject {
        match self.below(2) {
            0 => Subject::Nhs(self.nhs()),
            _ => Subject::Local(self.ods(), LocalKey::parse(&self.text(64)).unwrap()),
        }
    }

    fn plan(&mut self) -> Plan {
        let name = match self.below(2) {
            0 => PlanName::Reference(PlanReference::parse(&self.text(64)).unwrap()),
            _ => PlanName::KindAndStart(self.kind(), self.day()),
        };
        let stayed = self.version();
        let outs = self.list(3, |dice| (dice.version(), dice.la(), dice.day()));
        Plan {
            authority: self.la(),
            name,
            kind: self.register(Self::kind),
            start: self.register(Self::day),
            end: self.register(Self::day),
            birth_date: self.register(Self::day),
            withdrawn: self.register(Self::flag),
            moving_to: self.register(Self::la),
            moved_from: self.register(Self::la),
            last_event_at: self.moment(),
            shield: self.register(Self::flag),
            family: self.register(|dice| FamilyReference::parse(&dice.text(64)).unwrap()),
            transfers: Transfers::held(stayed, outs),
        }
    }

    fn details(&mut self) -> Details {
        use CareSetting::{
            Ambulance, EmergencyDepartment, MinorInjuriesUnit, OutOfHours, UrgentTreatmentCentre, WalkInCentre,
        };
        use Complaint::{
            AlcoholOrDrugs, Bite, BurnOrScald, Fracture, HeadInjury, Illness, Injury, MentalHealth, NotRecorded, Other,
            PoisoningOrIngestion, SelfHarm, SexualHealth,
        };
        let settings =
            [EmergencyDepartment, WalkInCentre, MinorInjuriesUnit, UrgentTreatmentCentre, Ambulance, OutOfHours];
        let complaints = [
            Injury,
            HeadInjury,
            BurnOrScald,
            PoisoningOrIngestion,
            Fracture,
            Bite,
            SelfHarm,
            MentalHealth,
            AlcoholOrDrugs,
            SexualHealth,
            Illness,
            Other,
            NotRecorded,
        ];
        Details {
            site: SiteCode::parse(&format!("RRK{:02}", self.below(60))).unwrap(),
            arrived_at: self.moment(),
            setting: self.pick(&settings),
            complaint: self.pick(&complaints),
            birth_date: if self.flag() { Some(self.day()) } else { None },
        }
    }

    fn closing(&mut self) -> Closing {
        use Outcome::{
            Admitted, Died, Discharged, DischargedWithConcernsRecorded, EnteredInError, LeftAgainstAdvice,
            LeftBeforeBeingSeen, Transferred, Waiting,
        };
        let outcomes = [
            Waiting,
            Discharged,
            Admitted,
            Transferred,
            LeftBeforeBeingSeen,
            LeftAgainstAdvice,
            DischargedWithConcernsRecorded,
            Died,
            EnteredInError,
        ];
        Closing { outcome: self.pick(&outcomes), at: self.moment() }
    }

    fn presentation(&mut self) -> Presentation {
        Presentation {
            organisation: self.ods(),
            encounter: EncounterId::parse(&self.text(64)).unwrap(),
            details: self.register(Self::details),
            closing: self.register(Self::closing),
        }
    }

    fn access(&mut self) -> Access {
        let (count, first_at, later) = (self.next() as u32, self.moment(), self.moment());
        let last_at = self.pick(&[first_at, first_at, later]);
        Access {
            organisation: self.ods(),
            user_name: PersonText::parse(&self.text(100)).unwrap(),
            user_role: PersonText::parse(&self.text(100)).unwrap(),
            first_at,
            last_at,
            count: self.pick(&[1, 1, 0, u32::MAX, count]),
        }
    }

    fn identity(&mut self) -> IdentityFacts {
        IdentityFacts {
            successor: self.register(Self::nhs),
            predecessors: self.list(4, Self::subject),
            invalidated: self.register(Self::flag),
            birth_date: self.register(Self::day),
            died: self.register(Self::day),
            shielded: self.register(Self::flag),
            versions: self.list(4, Self::version),
        }
    }

    fn record(&mut self) -> ChildRecord {
        ChildRecord {
            subject: self.subject(),
            plans: self.list(4, Self::plan),
            presentations: self.list(20, Self::presentation),
            accesses: self.list(25, Self::access),
            accesses_beyond: self.list(200, Self::day).into(),
            notified: self.list(8, |dice| Notified {
                organisation: dice.ods(),
                authority: dice.la(),
                first_at: dice.moment(),
            }),
            shielded_by: self.list(3, Self::la),
            identity: (self.below(3) == 0).then(|| Box::new(self.identity())),
            withheld_by: self.list(2, Self::la),
        }
    }
}

#[test]
fn any_record_comes_back_exactly() {
    for (codes, viewers, seed) in [(1 << 16, 1 << 18, 1), (5, 3, 2), (0, 0, 3)] {
        let tables = Tables::with_room(codes, viewers);
        let mut dice = Dice(seed);
        for round in 0..3_000 {
            let record = dice.record();
            let bytes = pack(&record, &tables);
            let back = unpack(&record.subject, &bytes, &tables);
            assert!(back.as_ref() == Some(&record), "seed {seed}, round {round}: {record:?} became {back:?}");
        }
    }
}

#[test]
fn bytes_cut_short_or_too_long_are_no_record() {
    let tables = Tables::default();
    let mut dice = Dice(7);
    for _ in 0..40 {
        let record = dice.record();
        let mut bytes = pack(&record, &tables);
        for length in 0..bytes.len() {
            assert_eq!(unpack(&record.subject, &bytes[..length], &tables), None);
        }
        bytes.push(0);
        assert_eq!(unpack(&record.subject, &bytes, &tables), None);
    }
}

#[test]
fn bytes_that_packing_never_makes_do_not_panic() {
    let tables = Tables::default();
    let mut dice = Dice(9);
    let subject = dice.subject();
    for _ in 0..20_000 {
        let bytes: Vec<u8> = dice.list(60, |dice| dice.next() as u8);
        let _ = unpack(&subject, &bytes, &tables);
    }
}

/// As the departments and authorities of the synthetic England send them.
fn usual(visits: u32, tables: &Tables) -> usize {
    let ods = OdsCode::parse("RRK").unwrap();
    let mut record = ChildRecord::new(Dice(1).subject());
    for n in 0..visits {
        let arrived_at = Moment(1_780_000_017_000).plus_seconds(i64::from(n) * 2_000_017);
        let details = Details {
            site: SiteCode::parse("RRK15").unwrap(),
            arrived_at,
            setting: CareSetting::EmergencyDepartment,
            complaint: Complaint::Illness,
            birth_date: Some(Day::new(2015, 6, 7).unwrap()),
        };
        let closing = Closing { outcome: Outcome::Discharged, at: arrived_at.plus_seconds(9_000) };
        record.presentations.push(Presentation {
            organisation: ods,
            encounter: EncounterId::parse(&format!("E{:08}", 47_000 + n)).unwrap(),
            details: Register::held(1, Some(details)),
            closing: Register::held(1, Some(closing)),
        });
        record.accesses.push(Access {
            organisation: ods,
            user_name: PersonText::parse("Amara Adeyemi").unwrap(),
            user_role: PersonText::parse("triage nurse").unwrap(),
            first_at: arrived_at.plus_seconds(617),
            last_at: arrived_at.plus_seconds(617),
            count: 1,
        });
    }
    pack(&record, tables).len()
}

/// The bound on memory: what a usual child takes. Growing it takes a megabyte of an England for each third of a byte.
#[test]
fn a_usual_child_takes_tens_of_bytes() {
    let tables = Tables::default();
    // Organisations, sites and viewers as many as in England come first, so that numbers are as long as they get there.
    for n in 0..5_200_u32 {
        let name = PersonText::parse(&format!("N {n}")).unwrap();
        tables.viewers.number(&(name.clone(), name)).unwrap();
        OdsCode::table(&tables).number(&OdsCode::parse(&format!("X{n:04}")).unwrap()).unwrap();
        SiteCode::table(&tables).number(&SiteCode::parse(&format!("X{n:04}")).unwrap()).unwrap();
    }
    assert_eq!([usual(0, &tables), usual(1, &tables), usual(2, &tables)], [1, 28, 53]);
}
