//! What is kept of each feed: when it was heard of, how many of its rows matched, what is refused, how much it usually
//! sends. Counts alone: no identity, and nothing of what a row says.

use crate::change::{Feed, FeedCounted};
use crate::child::{ChildRecord, Subject};
use crate::feed_volume::Volume;
use crate::plan_file::is_version_of;
use crate::presentation::Outcome;
use crate::time::{Day, Moment};
use serde::{Deserialize, Serialize};

/// Share of rows matched that an authority must reach nationally before it goes live: at least 95 % of in-scope records
/// matched by NHS number (CP-IS, local authority go-live gate).
pub const MATCH_GATE_PERCENT: u32 = 95;
/// How far a moment may lie in the future before it tells of a wrong clock.
pub(crate) const CLOCK_AHEAD_SECONDS: i64 = 300;
/// Days that the matched share is over: it follows the present.
const MATCH_DAYS: i32 = 28;

/// A file taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct FileSeen {
    /// Its number in the sender's sequence.
    pub number: u64,
    /// When it was taken.
    pub at: Moment,
}

/// Rows of one London day.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
struct DayRows {
    day: Day,
    rows: Rows,
}

/// Rows or events.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Rows {
    /// Seen, refused ones included.
    pub seen: u64,
    /// Of those: number valid and current, birth date not contradicted.
    pub matched: u64,
}

impl Rows {
    /// Matched share in hundredths of a percent, rounded down, so that the gate is never reached by rounding; `None`
    /// without a row.
    #[must_use]
    pub fn matched_hundredths(&self) -> Option<u64> {
        self.matched.saturating_mul(10_000).checked_div(self.seen)
    }

    /// Whether the share is under the national gate.
    #[must_use]
    pub fn below_gate(&self) -> bool {
        self.matched_hundredths().is_some_and(|share| share < u64::from(MATCH_GATE_PERCENT) * 100)
    }
}

/// What is kept of one feed. Part of the state: it changes with log records alone, by their own time.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct FeedRecord {
    /// Last sign of life: an event, a heartbeat or a file.
    pub last_heard: Option<Moment>,
    /// Last event taken.
    pub last_event: Option<Moment>,
    /// Last file taken.
    pub last_file: Option<FileSeen>,
    days: Vec<DayRows>,
    /// Rows and events refused since the last batch of this feed that was taken whole.
    pub open_rejections: u64,
    /// How much an organisation sends; empty for authorities.
    pub volume: Volume,
    /// The ordinal of the plan file under way, whose rows are no sign of life until it has ended: a file broken off after
    /// its first rows tells nothing of the others.
    pub loading: Option<u64>,
}

/// The later of two moments, unless the one kept lies so far ahead that it tells of a clock that was wrong: then the new
/// one, so that a clock once ahead does not leave the feed stale until that day comes.
#[must_use]
pub fn later(kept: Option<Moment>, at: Moment) -> Moment {
    match kept {
        Some(kept) if kept > at && kept <= at.plus_seconds(CLOCK_AHEAD_SECONDS) => kept,
        Some(_) | None => at,
    }
}

impl FeedRecord {
    /// A sign of life.
    pub fn heard(&mut self, at: Moment) {
        self.last_heard = Some(later(self.last_heard, at));
    }

    /// An authority's event with this version was taken: a sign of life, unless it is a row of the file under way.
    pub fn plan_event(&mut self, at: Moment, version: u64, matched: bool) {
        let before = self.last_heard;
        self.event(at, matched);
        if self.loading.is_some_and(|ordinal| is_version_of(ordinal, version)) {
            self.last_heard = before;
        }
    }

    /// An event was taken; `matched` by [`is_matched`].
    pub fn event(&mut self, at: Moment, matched: bool) {
        self.heard(at);
        self.last_event = Some(later(self.last_event, at));
        self.add(at, Rows { seen: 1, matched: u64::from(matched) });
    }

    /// A file was taken, in whole or in part.
    pub fn file_taken(&mut self, number: u64, at: Moment) {
        self.heard(at);
        self.last_file = Some(FileSeen { number, at });
    }

    /// Refused rows were counted, or a batch was taken whole. No sign of life: a feed whose rows all fail must not look
    /// fresh.
    pub fn counted(&mut self, counted: &FeedCounted, at: Moment) {
        let FeedCounted { feed: _, seen, matched, rejected, taken_whole } = *counted;
        if taken_whole {
            self.open_rejections = 0;
        }
        self.open_rejections = self.open_rejections.saturating_add(rejected);
        if seen > 0 {
            self.add(at, Rows { seen, matched: matched.min(seen) });
        }
    }

    fn add(&mut self, at: Moment, rows: Rows) {
        let day = at.london_day();
        // One day ahead: records may be a little out of order around midnight.
        let kept = day.plus_days(1 - MATCH_DAYS)..=day.plus_days(1);
        self.days.retain(|one| kept.contains(&one.day));
        let position = match self.days.binary_search_by_key(&day, |one| one.day) {
            Ok(position) => position,
            Err(position) => {
                self.days.insert(position, DayRows { day, rows: Rows::default() });
                position
            }
        };
        if let Some(one) = self.days.get_mut(position) {
            one.rows.seen = one.rows.seen.saturating_add(rows.seen);
            one.rows.matched = one.rows.matched.saturating_add(rows.matched);
        }
    }

    /// Rows of the last 28 London days.
    #[must_use]
    pub fn rows(&self, now: Moment) -> Rows {
        let first = now.london_day().plus_days(1 - MATCH_DAYS);
        self.days.iter().filter(|one| one.day >= first).fold(Rows::default(), |sum, one| Rows {
            seen: sum.seen.saturating_add(one.rows.seen),
            matched: sum.matched.saturating_add(one.rows.matched),
        })
    }
}

/// Whether an event's person is matched: it has an NHS number, which is valid by its type, and its birth date is the one that
/// the demographics service has told; where it has told none, no other sender holds another unless one holds this one. `record` is as it was before the event.
/// Of a person who is `shielded` no department's date is compared with another department's: the sender sees its counts, and would
/// see by them whether the child was seen elsewhere.
#[must_use]
pub fn is_matched(record: &ChildRecord, sender: Feed, given: Option<Day>, shielded: bool) -> bool {
    if !matches!(record.subject, Subject::Nhs(_)) {
        return false;
    }
    let Some(given) = given else { return true };
    // The demographics service's own date of this number outranks what senders have.
    if let Some(told) = record.told_birth_date() {
        return told == given;
    }
    let of_plans = record
        .plans
        .iter()
        .filter(|plan| !plan.is_withdrawn() && Feed::Plans(plan.authority) != sender)
        .filter_map(|plan| plan.birth_date.get().copied());
    let hidden = shielded && matches!(sender, Feed::Presentations(_));
    let of_presentations = record
        .presentations
        .iter()
        .filter(|_| !hidden)
        .filter(|one| one.outcome() != Outcome::EnteredInError && Feed::Presentations(one.organisation) != sender)
        .filter_map(|one| one.details.get()?.birth_date);
    let mut others = of_plans.chain(of_presentations).peekable();
    others.peek().is_none() || others.any(|held| held == given)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::change::{IdentityAction, IdentityEvent};
    use crate::codes::{LaCode, OdsCode, SiteCode};
    use crate::nhs_number::NhsNumber;
    use crate::plan::{Plan, PlanKind, PlanName};
    use crate::presentation::{CareSetting, Complaint, Details, Presentation};
    use crate::text::EncounterId;

    const DAY_SECONDS: i64 = 86_400;

    fn counted(seen: u64, matched: u64, rejected: u64, taken_whole: bool) -> FeedCounted {
        let feed = Feed::Plans(LaCode::parse("E06000001").unwrap());
        FeedCounted { feed, seen, matched, rejected, taken_whole }
    }

    #[test]
    fn a_date_that_contradicts_the_told_one_is_not_matched_whoever_else_holds_it() {
        let (told, other) = (Day::new(2012, 7, 9).unwrap(), Day::new(2018, 3, 4).unwrap());
        let (feed, other_feed) = (LaCode::parse("E06000001").unwrap(), LaCode::parse("E06000002").unwrap());
        let number = NhsNumber::from_first_nine(999_000_001).unwrap();
        let mut record = ChildRecord::new(Subject::Nhs(number));
        let mut plan = Plan::new(other_feed, PlanName::KindAndStart(PlanKind::ChildProtection, other));
        plan.birth_date.set(1, Some(other));
        record.plans.push(plan);
        assert!(is_matched(&record, Feed::Plans(feed), Some(other), false));
        let event = IdentityEvent {
            organisation: OdsCode::parse("X26").unwrap(),
            event_id: uuid::Uuid::nil(),
            subject: record.subject.clone(),
            version: 1,
            action: IdentityAction::BirthDate(told),
            proposal: None,
        };
        record.identity.get_or_insert_default().apply(&event);
        let matched = |given| is_matched(&record, Feed::Plans(feed), given, false);
        assert!(!matched(Some(other)) && matched(Some(told)) && matched(None));
    }

    #[test]
    fn a_department_does_not_see_by_its_counts_whether_a_shielded_child_was_seen_elsewhere() {
        let (here, day) = (OdsCode::parse("R1H").unwrap(), |text| Day::parse(text).unwrap());
        let record = |seen_at: &str| {
            let mut record = ChildRecord::new(Subject::Nhs(NhsNumber::from_first_nine(999_000_001).unwrap()));
            let mut seen = Presentation::new(OdsCode::parse(seen_at).unwrap(), EncounterId::parse("E").unwrap());
            let details = Details {
                site: SiteCode::parse("R1H01").unwrap(),
                arrived_at: Moment(0),
                setting: CareSetting::EmergencyDepartment,
                complaint: Complaint::Injury,
                birth_date: Some(day("2019-03-04")),
            };
            seen.details.set(1, Some(details));
            record.presentations.push(seen);
            record
        };
        for (seen_at, unshielded) in [("R1H", true), ("RRK", false)] {
            let matched =
                |shielded| is_matched(&record(seen_at), Feed::Presentations(here), Some(day("2015-06-17")), shielded);
            assert_eq!((matched(false), matched(true)), (unshielded, true), "{seen_at}");
            let authority = Feed::Plans(LaCode::parse("E06000001").unwrap());
            assert!(!is_matched(&record(seen_at), authority, Some(day("2015-06-17")), true), "{seen_at}");
        }
    }

    #[test]
    fn the_share_follows_the_present() {
        let (mut record, start) = (FeedRecord::default(), Moment(0).plus_seconds(1_000 * DAY_SECONDS));
        record.counted(&counted(100, 50, 50, false), start);
        assert!(record.rows(start).below_gate());
        for day in 1..=28 {
            let at = start.plus_seconds(day * DAY_SECONDS);
            record.event(at, true);
            let share = if day < 28 { (150 + day as u64 - 50, 50 + day as u64) } else { (28, 28) };
            assert_eq!((record.rows(at).seen, record.rows(at).matched), share, "day {day}");
        }
        assert_eq!(record.days.len(), 28);
        assert_eq!(record.rows(start.plus_seconds(100 * DAY_SECONDS)), Rows::default(), "a silent feed has no share");
    }

    #[test]
    fn the_gate_is_not_reached_by_rounding() {
        assert!(Rows { seen: 10_000, matched: 9_499 }.below_gate());
        assert!(!Rows { seen: 100, matched: 95 }.below_gate());
        assert_eq!(Rows::default().matched_hundredths(), None);
        assert!(!Rows::default().below_gate());
    }

    #[test]
    fn rejections_stay_open_until_a_batch_is_taken_whole() {
        let mut record = FeedRecord::default();
        record.counted(&counted(3, 1, 3, false), Moment(1_000));
        record.event(Moment(2_000), true);
        assert_eq!((record.open_rejections, record.last_heard), (3, Some(Moment(2_000))));
        record.counted(&counted(2, 2, 2, false), Moment(3_000));
        assert_eq!((record.open_rejections, record.last_heard), (5, Some(Moment(2_000))), "refused rows are no life");
        record.counted(&counted(0, 0, 0, true), Moment(4_000));
        assert_eq!(record.open_rejections, 0);
        record.counted(&counted(1, 1, 1, true), Moment(5_000));
        assert_eq!(record.open_rejections, 1, "taken whole, and then one refused");
    }

    #[test]
    fn a_moment_far_ahead_gives_way_to_a_believable_one() {
        let at = |seconds: i64| Moment(0).plus_seconds(1_000 * DAY_SECONDS + seconds);
        let mut record = FeedRecord::default();
        record.event(at(0), true);
        record.event(at(-200), true);
        assert_eq!((record.last_heard, record.last_event), (Some(at(0)), Some(at(0))), "a little out of order");
        record.event(at(365 * DAY_SECONDS), true);
        record.event(at(60), true);
        assert_eq!((record.last_heard, record.last_event), (Some(at(60)), Some(at(60))));
        record.heard(at(400 * DAY_SECONDS));
        record.heard(at(120));
        assert_eq!((record.last_heard, record.last_event), (Some(at(120)), Some(at(60))));
    }

    #[test]
    fn a_file_is_a_sign_of_life() {
        let mut record = FeedRecord::default();
        record.file_taken(7, Moment(9));
        assert_eq!(record.last_file, Some(FileSeen { number: 7, at: Moment(9) }));
        assert_eq!((record.last_heard, record.last_event), (Some(Moment(9)), None));
    }
}
