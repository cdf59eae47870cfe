//! Records as the synthetic England gives them: attendances by its table of counts (mean 1.8), a row of access history for
//! each, and every fifteenth child with a plan, some of them in families.

use kith_domain::NhsNumber;
use kith_domain::child::{Access, ChildRecord, Subject};
use kith_domain::codes::{LaCode, OdsCode, SiteCode};
use kith_domain::plan::{Plan, PlanKind, PlanName, Register};
use kith_domain::presentation::{CareSetting, Closing, Complaint, Details, Outcome, Presentation};
use kith_domain::text::{EncounterId, FamilyReference, PersonText, PlanReference};
use kith_domain::time::{Day, Moment};

use crate::Failure;

/// The moment at which questions are asked; attendances lie in the year before it.
pub const NOW: Moment = Moment(1_795_359_600_000);
const YEAR_SECONDS: u64 = 365 * 24 * 60 * 60;
const TRUSTS: u64 = 124;
const AUTHORITIES: u64 = 153;
const SITES_OF_A_TRUST: u64 = 2;
const USERS_OF_A_TRUST: u64 = 40;
/// One child in so many has a plan: 230,000 of 3.5 million.
const PLAN_EVERY: u64 = 15;
/// One child with a plan in so many has a family reference, shared by two.
const FAMILY_EVERY: u64 = 2;
const FIRST: [&str; 8] = ["Amara", "Ben", "Chloe", "Dev", "Elin", "Farid", "Grace", "Hannah"];
const LAST: [&str; 8] = ["Adeyemi", "Barlow", "Chowdhury", "Dale", "Ellis", "Fenn", "Gill", "Hartley"];
const ROLES: [&str; 3] = ["triage nurse", "paediatric nurse", "emergency nurse practitioner"];
const KEYS: u64 = 99_000_000;
/// Coprime to the number of keys, so that each comes once.
const STEP: u64 = 61_803_403;

/// Spreads the bits of a number.
pub fn mix(value: u64) -> u64 {
    let value = (value ^ value >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let value = (value ^ value >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
    value ^ value >> 31
}

/// Invented numbers in no order, from the range that was never issued.
pub fn numbers() -> impl Iterator<Item = NhsNumber> {
    (0..KEYS).filter_map(|n| NhsNumber::from_first_nine(900_000_000 + (n * STEP % KEYS) as u32))
}

/// The trust with a number.
///
/// # Errors
/// Never: every such code can be parsed.
pub fn trust(n: u64) -> Result<OdsCode, Failure> {
    Ok(OdsCode::parse(&format!("R{:02}", n % TRUSTS))?)
}

/// The authority with a number.
///
/// # Errors
/// Never: every such code can be parsed.
pub fn authority(n: u64) -> Result<LaCode, Failure> {
    Ok(LaCode::parse(&format!("E06000{:03}", n % AUTHORITIES))?)
}

fn visits(dice: u64) -> u64 {
    match dice % 1_000 {
        0..=620 => 1,
        621..=815 => 2,
        816..=910 => 3,
        911..=949 => 4,
        950..=972 => 5,
        973..=984 => 6,
        985..=993 => 8,
        _ => 12,
    }
}

fn presentation(trust_number: u64, n: u64, born: Day, dice: u64) -> Result<Presentation, Failure> {
    let arrived_at = NOW.plus_seconds(-(1 + (dice % YEAR_SECONDS).cast_signed()));
    let details = Details {
        site: SiteCode::parse(&format!("R{:02}{:02}", trust_number % TRUSTS, dice % SITES_OF_A_TRUST))?,
        arrived_at,
        setting: CareSetting::EmergencyDepartment,
        complaint: Complaint::Illness,
        birth_date: Some(born),
    };
    let at = arrived_at.plus_seconds(60 * (25 + (dice >> 40) as u8 as i64));
    Ok(Presentation {
        organisation: trust(trust_number)?,
        encounter: EncounterId::parse(&format!("E{:08}", n % 60_000))?,
        details: Register::held(1, Some(details)),
        closing: Register::held(1, Some(Closing { outcome: Outcome::Discharged, at })),
    })
}

fn access(presentation: &Presentation, trust_number: u64, dice: u64) -> Result<Access, Failure> {
    let user = trust_number % TRUSTS * USERS_OF_A_TRUST + dice % USERS_OF_A_TRUST;
    let pick = |list: &[&'static str], shift: u32| list[(mix(user) >> shift) as usize % list.len()];
    let at = presentation.moment().plus_seconds(60 * (1 + (dice >> 20) as i64 % 20));
    Ok(Access {
        organisation: presentation.organisation,
        user_name: PersonText::parse(&format!("{} {} {user}", pick(&FIRST, 0), pick(&LAST, 8)))?,
        user_role: PersonText::parse(pick(&ROLES, 16))?,
        first_at: at,
        last_at: at,
        count: 1,
    })
}

fn plan(n: u64, born: Day) -> Result<Plan, Failure> {
    let start = Day::parse("2026-03-01")?.plus_days((mix(n) % 200) as i32);
    let name = PlanName::Reference(PlanReference::parse(&format!("CP-{n:07}"))?);
    let mut plan = Plan::new(authority(mix(n))?, name);
    plan.kind.set(1, Some(PlanKind::ChildProtection));
    plan.start.set(1, Some(start));
    plan.end.set(1, None);
    plan.birth_date.set(1, Some(born));
    plan.withdrawn.set(1, Some(false));
    let family = (n / PLAN_EVERY).is_multiple_of(FAMILY_EVERY).then_some(n / PLAN_EVERY / FAMILY_EVERY / 2);
    plan.authority = authority(family.unwrap_or(n))?;
    plan.family.set(1, family.map(|family| FamilyReference::parse(&format!("FAM{family:06}"))).transpose()?);
    plan.last_event_at = NOW.plus_seconds(-86_400);
    Ok(plan)
}

/// The record of the `n`-th child.
///
/// # Errors
/// Never: all that is in it can be parsed.
pub fn record(n: u64, number: NhsNumber) -> Result<ChildRecord, Failure> {
    let mut record = ChildRecord::new(Subject::Nhs(number));
    let dice = mix(n);
    let born = Day::parse("2009-01-01")?.plus_days((dice % 6_000) as i32);
    let with_plan = n.is_multiple_of(PLAN_EVERY);
    if with_plan {
        record.plans.push(plan(n, born)?);
    }
    for visit in 0..visits(dice >> 8) {
        let dice = mix(n << 8 | visit);
        // Most come to the same trust.
        let trust_number = if dice.is_multiple_of(8) { dice >> 32 } else { n };
        let presentation = presentation(trust_number, dice >> 16, born, dice)?;
        record.accesses.push(access(&presentation, trust_number, dice)?);
        record.presentations.push(presentation);
    }
    record.presentations.sort_by(|a, b| (a.organisation, &a.encounter).cmp(&(b.organisation, &b.encounter)));
    record.accesses.sort_by_key(|row| row.last_at);
    // A copy has no room to spare.
    Ok(record.clone())
}
