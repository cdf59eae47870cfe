//! Flags in the state: a row of each until it has been reviewed for long enough, and counts by day that outlive them, so that
//! rates are known. Part of the fold. Nothing here is of a child.

use crate::keys;
use crate::rows::{CodecError, decode};
use crate::working::{StateError, Working};
use kith_domain::codes::OdsCode;
use kith_domain::flag::{Flag, FlagKind, FlagOutcome, FlagReviewed, Flagged, Watched};
use kith_domain::fold::Effect;
use kith_domain::refused::{Refused, RefusedKind};
use kith_domain::text::UserId;
use kith_domain::time::{Day, Moment};
use kith_store::Table;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// A flag and what became of it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct FlagRow {
    pub(crate) flag: Flag,
    pub(crate) review: Option<FlagReview>,
}

/// What a person found who looked into a flag.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct FlagReview {
    /// What was found.
    pub outcome: FlagOutcome,
    /// When.
    pub at: Moment,
    /// The organisation of whoever looked.
    pub organisation: OdsCode,
    /// Who looked.
    pub user_id: UserId,
}

/// Counts and positions about flags.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, Default)]
pub(crate) struct FlagMarkRow {
    /// The last entry of the audit that was watched; what follows is watched again after a crash.
    pub(crate) watched_through: u64,
    /// Flags that nobody has looked into yet.
    pub(crate) unreviewed: u64,
}

/// What was counted on one London day.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, Default)]
pub(crate) struct FlagDayRow {
    pub(crate) organisations: BTreeMap<OdsCode, OrganisationDay>,
}

/// What was counted of one organisation on one day.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, Default)]
pub(crate) struct OrganisationDay {
    pub(crate) lookups: u64,
    pub(crate) kinds: BTreeMap<FlagKind, KindDay>,
}

/// Flags of one kind on one day, and what became of them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, Default)]
pub(crate) struct KindDay {
    pub(crate) raised: u64,
    pub(crate) explained: u64,
    pub(crate) taken_further: u64,
}

const fn conflict(field: &'static str, reason: &'static str, words: &'static str) -> Refused {
    Refused { kind: RefusedKind::Conflict, field, reason, words }
}

/// The same words for a flag of others as for none: which flags others have is theirs.
pub const FLAG_UNKNOWN: Refused = conflict("id", "FLAG_UNKNOWN", "there is no such flag of your organisation's people");
const FLAG_REVIEWED: Refused =
    conflict("id", "FLAG_REVIEWED", "this flag has been reviewed already: nothing was changed");
const OWN_FLAG: Refused = conflict(
    "id",
    "OWN_FLAG",
    "nobody reviews a flag about themselves: nothing was changed; another person has to look into it",
);

/// Whether a review may be taken.
pub(crate) fn check(working: &Working<'_>, reviewed: &FlagReviewed) -> Result<Option<Refused>, StateError> {
    let row = working.row::<FlagRow>(Table::Flag, &keys::flag(reviewed.id))?;
    let seen = |row: &FlagRow| reviewed.only_of.is_none_or(|organisation| organisation == row.flag.organisation);
    let Some(row) = row.filter(seen) else { return Ok(Some(FLAG_UNKNOWN)) };
    if row.flag.organisation == reviewed.organisation && row.flag.user_id.as_ref() == Some(&reviewed.user_id) {
        return Ok(Some(OWN_FLAG));
    }
    Ok(row.review.is_some().then_some(FLAG_REVIEWED))
}

/// Queues a flag, and counts it on its day. One that is there was derived before.
pub(crate) fn flagged(working: &mut Working<'_>, flagged: &Flagged) -> Result<Effect, StateError> {
    let key = keys::flag(flagged.audit_sequence);
    if working.bytes(Table::Flag, &key)?.is_some() {
        return Ok(Effect::Overtaken);
    }
    let flag = flagged.flag.clone();
    count(working, &flag, |kind| kind.raised += 1)?;
    working.put(Table::Flag, key, &FlagRow { flag, review: None })?;
    working.flags()?.unreviewed += 1;
    Ok(Effect::Applied)
}

/// Notes how far the audit was watched, and counts the questions met since.
pub(crate) fn watched(working: &mut Working<'_>, watched: &Watched) -> Result<Effect, StateError> {
    let mark = working.flags()?;
    if watched.through <= mark.watched_through {
        return Ok(Effect::Overtaken);
    }
    mark.watched_through = watched.through;
    for asked in &watched.asked {
        let (key, mut row) = day_row(working, asked.day)?;
        row.organisations.entry(asked.organisation).or_default().lookups += asked.lookups;
        working.put(Table::Flag, key, &row)?;
    }
    Ok(Effect::Applied)
}

/// Notes what became of a flag.
pub(crate) fn reviewed(working: &mut Working<'_>, reviewed: &FlagReviewed, at: Moment) -> Result<Effect, StateError> {
    let key = keys::flag(reviewed.id);
    let Some(mut row) = working.row::<FlagRow>(Table::Flag, &key)? else { return Ok(Effect::Overtaken) };
    let FlagReviewed { organisation, event_id: _, user_id, only_of: _, id: _, outcome } = reviewed;
    count(working, &row.flag, |kind| match outcome {
        FlagOutcome::Explained => kind.explained += 1,
        FlagOutcome::TakenFurther => kind.taken_further += 1,
    })?;
    row.review = Some(FlagReview { outcome: *outcome, at, organisation: *organisation, user_id: user_id.clone() });
    working.put(Table::Flag, key, &row)?;
    let mark = working.flags()?;
    mark.unreviewed = mark.unreviewed.saturating_sub(1);
    Ok(Effect::Applied)
}

/// Counts something of a flag on the day on which it was raised.
fn count(working: &mut Working<'_>, flag: &Flag, change: impl FnOnce(&mut KindDay)) -> Result<(), StateError> {
    let (key, mut row) = day_row(working, flag.at.london_day())?;
    change(row.organisations.entry(flag.organisation).or_default().kinds.entry(flag.kind).or_default());
    working.put(Table::Flag, key, &row)
}

/// The counts of a day and their key.
fn day_row(working: &Working<'_>, day: Day) -> Result<(Vec<u8>, FlagDayRow), StateError> {
    let key = keys::flag_day(day);
    let row = working.row(Table::Flag, &key)?.unwrap_or_default();
    Ok((key, row))
}

/// Whether a row of the table has passed: a flag so long after it was reviewed, the counts of a day before `oldest`. What
/// nobody has looked into stays.
pub(crate) fn has_passed(
    (key, bytes): (&[u8], &[u8]),
    since_reviewed: impl FnOnce(Moment) -> bool,
    oldest: Day,
) -> Result<bool, CodecError> {
    if keys::parse_flag(key).is_some() {
        let row = decode::<FlagRow>(bytes)?;
        return Ok(row.review.is_some_and(|review| since_reviewed(review.at)));
    }
    Ok(key.first() == Some(&keys::FLAG_DAY) && *key < *keys::flag_day(oldest))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rows::encode;
    use crate::working::Empty;
    use kith_domain::flag::AskedOnDay;
    use kith_store::Keys;
    use uuid::Uuid;

    fn organisation(code: &str) -> OdsCode {
        OdsCode::parse(code).unwrap()
    }

    fn user(id: &str) -> UserId {
        UserId::parse(id).unwrap()
    }

    fn flag() -> Flag {
        Flag {
            kind: FlagKind::Volume,
            at: Moment(1_000),
            organisation: organisation("R1H"),
            user_id: Some(user("u")),
            counted: 60,
            out_of: 6,
            threshold: 50,
            first_entry: 7,
            last_entry: 300,
        }
    }

    fn review(by: &str, only_of: Option<&str>) -> FlagReviewed {
        FlagReviewed {
            organisation: organisation("R1H"),
            event_id: Uuid::from_u128(1),
            user_id: user(by),
            only_of: only_of.map(organisation),
            id: 9,
            outcome: FlagOutcome::TakenFurther,
        }
    }

    #[test]
    fn a_flag_is_queued_once_and_counted_on_its_day() {
        let keys = Keys::from_master([7; 32]);
        let mut working = Working::new(&Empty, &keys, crate::rows::MetaRow::default());
        let told = Flagged { audit_sequence: 9, flag: flag() };
        assert_eq!(flagged(&mut working, &told).unwrap(), Effect::Applied);
        assert_eq!(flagged(&mut working, &told).unwrap(), Effect::Overtaken, "derived again");
        let day = Moment(1_000).london_day();
        let asked = vec![AskedOnDay { day, organisation: organisation("R1H"), lookups: 40 }];
        let through = |through| Watched { through, asked: asked.clone() };
        assert_eq!(watched(&mut working, &through(12)).unwrap(), Effect::Applied);
        assert_eq!(watched(&mut working, &through(12)).unwrap(), Effect::Overtaken, "counted once");
        let (_, row) = day_row(&working, day).unwrap();
        let counted = &row.organisations[&organisation("R1H")];
        assert_eq!((counted.lookups, counted.kinds[&FlagKind::Volume].raised), (40, 1));
        assert_eq!(*working.flags().unwrap(), FlagMarkRow { watched_through: 12, unreviewed: 1 });
    }

    #[test]
    fn a_flag_is_reviewed_once_by_another_person_who_may_see_it() {
        let keys = Keys::from_master([7; 32]);
        let mut working = Working::new(&Empty, &keys, crate::rows::MetaRow::default());
        assert_eq!(check(&working, &review("v", None)).unwrap(), Some(FLAG_UNKNOWN));
        flagged(&mut working, &Flagged { audit_sequence: 9, flag: flag() }).unwrap();
        assert_eq!(check(&working, &review("v", Some("RRK"))).unwrap(), Some(FLAG_UNKNOWN), "of another organisation");
        assert_eq!(check(&working, &review("u", Some("R1H"))).unwrap(), Some(OWN_FLAG));
        for only_of in [None, Some("R1H")] {
            assert_eq!(check(&working, &review("v", only_of)).unwrap(), None);
        }
        reviewed(&mut working, &review("v", Some("R1H")), Moment(2_000)).unwrap();
        assert_eq!(check(&working, &review("v", None)).unwrap(), Some(FLAG_REVIEWED));
        let (_, row) = day_row(&working, Moment(1_000).london_day()).unwrap();
        let counted = row.organisations[&organisation("R1H")].kinds[&FlagKind::Volume];
        assert_eq!(counted, KindDay { raised: 1, explained: 0, taken_further: 1 });
        assert_eq!(working.flags().unwrap().unreviewed, 0);
    }

    /// It is about nobody by name: whoever sees it may look into it.
    #[test]
    fn a_flag_of_an_organisation_as_a_whole_is_reviewed_by_those_who_see_it() {
        let keys = Keys::from_master([7; 32]);
        let mut working = Working::new(&Empty, &keys, crate::rows::MetaRow::default());
        let whole = Flag { user_id: None, ..flag() };
        flagged(&mut working, &Flagged { audit_sequence: 9, flag: whole }).unwrap();
        assert_eq!(check(&working, &review("u", Some("RRK"))).unwrap(), Some(FLAG_UNKNOWN), "of another organisation");
        assert_eq!(check(&working, &review("u", Some("R1H"))).unwrap(), None);
    }

    #[test]
    fn what_nobody_has_looked_into_never_passes() {
        let (key, later) = (keys::flag(9), Day::new(2199, 1, 1).unwrap());
        let open = encode(&FlagRow { flag: flag(), review: None }).unwrap();
        assert!(!has_passed((&key, &open), |_| true, later).unwrap());
        let review = FlagReview {
            outcome: FlagOutcome::Explained,
            at: Moment(5),
            organisation: organisation("R1H"),
            user_id: user("v"),
        };
        let closed = encode(&FlagRow { flag: flag(), review: Some(review) }).unwrap();
        assert!(has_passed((&key, &closed), |at| at == Moment(5), later).unwrap());
        assert!(!has_passed((&key, &closed), |_| false, later).unwrap());
        let day = |n| Day::new(2026, 3, n).unwrap();
        let passed = |key: &[u8], oldest| has_passed((key, &[]), |_| true, oldest).unwrap();
        assert!(passed(&keys::flag_day(day(1)), day(2)) && !passed(&keys::flag_day(day(2)), day(2)));
        assert!(!passed(keys::FLAG_MARK, later), "where the watch stands never passes");
    }

    /// Every stored type, byte by byte.
    #[test]
    fn rows_have_these_bytes() {
        let review = FlagReview {
            outcome: FlagOutcome::TakenFurther,
            at: Moment(1),
            organisation: organisation("R1H"),
            user_id: user("v"),
        };
        let mut day = FlagDayRow::default();
        let of_day = day.organisations.entry(organisation("R1H")).or_default();
        of_day.lookups = 300;
        of_day.kinds.insert(FlagKind::NoPresentation, KindDay { raised: 3, explained: 1, taken_further: 2 });
        let found = [
            encode(&FlagRow { flag: flag(), review: Some(review) }).unwrap(),
            encode(&FlagRow { flag: Flag { user_id: None, ..flag() }, review: None }).unwrap(),
            encode(&FlagMarkRow { watched_through: 300, unreviewed: 2 }).unwrap(),
            encode(&day).unwrap(),
        ];
        let expected: [&[u8]; 4] = [
            b"\x01\x00\xd0\x0f\x03R1H\x01\x01u\x3c\x06\x32\x07\xac\x02\x01\x01\x02\x03R1H\x01v",
            b"\x01\x00\xd0\x0f\x03R1H\x00\x3c\x06\x32\x07\xac\x02\x00",
            b"\x01\xac\x02\x02",
            b"\x01\x01\x03R1H\xac\x02\x01\x04\x03\x01\x02",
        ];
        assert_eq!(found, expected);
    }
}
