//! Who asks, in which directory, and how long each question takes.

use std::time::Instant;

use kith_benches::Failure;
use kith_domain::NhsNumber;
use kith_domain::answer::Question;
use kith_domain::caller::{Caller, Peer, Purpose, Role};
use kith_domain::change::Feed;
use kith_domain::child::Subject;
use kith_domain::codes::OdsCode;
use kith_domain::directory::{AuthorityEntry, Directory, OrganisationEntry};
use kith_domain::feed::FeedBoard;
use kith_domain::text::{PersonText, RoleCode, UserId};
use kith_domain::time::{Day, Moment};

/// No feed is late.
const INTERVAL_SECONDS: u32 = 8_640_000;

/// A nurse of a trust.
pub fn caller(organisation: OdsCode) -> Result<(Peer, Caller), Failure> {
    let caller = Caller {
        user_id: UserId::parse("n1")?,
        user_name: PersonText::parse("A Nurse")?,
        user_role: PersonText::parse("Triage nurse")?,
        role_code: RoleCode::parse("R8000")?,
        purpose: Purpose::DirectCare,
        organisation,
    };
    Ok((Peer { organisation, role: Role::Ed }, caller))
}

pub fn authority_entry() -> AuthorityEntry {
    AuthorityEntry {
        name: "Authority".into(),
        office_phone: "01632 960001".into(),
        out_of_hours_phone: "01632 960002".into(),
        opens_minute: 540,
        closes_minute: 1020,
    }
}

pub fn organisation_entry() -> OrganisationEntry {
    OrganisationEntry { name: "Trust".into(), contact_phone: "01632 960003".into(), successor: None }
}

/// Every feed of a directory, heard at `now`.
pub fn feeds(directory: &Directory, now: Moment) -> FeedBoard {
    let plans = directory.authorities.keys().map(|code| (*code, INTERVAL_SECONDS.into()));
    let seen = directory.organisations.keys().map(|code| (*code, INTERVAL_SECONDS.into()));
    let board = FeedBoard::new(plans, seen);
    directory.authorities.keys().for_each(|code| board.heard(Feed::Plans(*code), now));
    directory.organisations.keys().for_each(|code| board.heard(Feed::Presentations(*code), now));
    board
}

pub fn question(number: NhsNumber, birth_date: Option<Day>, now: Moment) -> Question {
    Question { subject: Subject::Nhs(number), number_traced: true, birth_date, checking_in: None, mother: None, now }
}

/// Median and 99th percentile of what each question takes, in nanoseconds.
pub fn times(
    questions: impl Iterator<Item = Question>,
    mut one: impl FnMut(&Question) -> Result<(), Failure>,
) -> Result<Vec<f64>, Failure> {
    let mut times = Vec::new();
    for question in questions {
        let began = Instant::now();
        one(&question)?;
        times.push(u32::try_from(began.elapsed().as_nanos()).unwrap_or(u32::MAX));
    }
    times.sort_unstable();
    let at = |percent: usize| times.get(times.len() * percent / 100).copied().map_or(0.0, f64::from);
    Ok(vec![at(50), at(99)])
}
