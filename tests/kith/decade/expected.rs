//! The answer that the naive model expects: identity, outcomes, completeness and the number to ring, from everything told.
//! By the rules of the domain, and by nothing of the service.

use std::collections::BTreeSet;

use kith_domain::answer::Doubt;
use kith_domain::change::Feed;
use kith_domain::child::Subject;
use kith_domain::feed::FeedState;
use kith_domain::identity::IdentityCheck;
use kith_domain::plan::PlanState;
use kith_domain::presentation::Outcome as Ended;
use kith_domain::time::{Day, Moment};
use kith_engine::Asked;

use super::calendar::{holidays, london_day, london_minute, weekday};
use super::ledger::{Ledger, Told};
use super::place::{self, INTERVAL_SECONDS, NATIONAL_PHONE};
use super::plans::{self, Line, Plan};
use super::seen::{self, HELD_DAYS, ROWS, Seen, WINDOW_DAYS};
use super::view::{Both, Known, Listed, Said, View, ordered};

/// Most presentations and plans listed.
const MAX_SEEN: usize = 50;
const MAX_PLANS: usize = 20;
/// More doubtful feeds than this share of all turn "none held" into "cannot say".
const DOUBTFUL_PERCENT: u32 = 10;

/// What is expected of an answer.
pub struct Expected {
    pub view: View,
    /// Numbers that may be rung where plans of the same state and day leave it open.
    pub rings: BTreeSet<(String, String)>,
}

/// Everything that an answer is worked out from.
struct Case<'a> {
    ledger: &'a Ledger,
    asked: &'a Asked,
    /// What was told under each of the person's numbers.
    facts: Vec<&'a [Told]>,
    today: Day,
    plans: Vec<Plan>,
    seen: Vec<Seen>,
}

/// The answer expected to a question.
pub fn answer(ledger: &Ledger, asked: &Asked) -> Expected {
    let numbers = ledger.numbers(&asked.question.subject);
    let facts: Vec<&[Told]> = numbers.iter().map(|number| ledger.facts(number)).collect();
    let today = london_day(asked.question.now);
    let plans = plans::held(&facts, today);
    let mut seen: Vec<Seen> = facts.iter().flat_map(|list| seen::held(list, today)).collect();
    seen.sort_by_key(|seen| std::cmp::Reverse(seen.at));
    Case { ledger, asked, facts, today, plans, seen }.expected()
}

impl Case<'_> {
    fn expected(&self) -> Expected {
        let identity = self.identity();
        let withheld = matches!(identity, IdentityCheck::NotConfirmed | IdentityCheck::NumberInvalid);
        let lines = plans::lines(&self.plans, self.today);
        let rings = self.rings(&lines);
        // Of rows of one moment the asked number's is the last.
        let mut rows: Vec<seen::Row> =
            self.facts.iter().rev().flat_map(|list| seen::history(list, self.today)).collect();
        if self.facts.len() > 1 {
            rows.sort_by_key(|row| std::cmp::Reverse(row.last));
        }
        let body = (!withheld).then(|| self.body(lines, &rows));
        let ring = rings.first().cloned().unwrap_or_default();
        let subject = &self.asked.question.subject;
        let numbers =
            if withheld { (false, 0) } else { (self.ledger.current(subject) != subject, self.facts.len() - 1) };
        Expected { view: View { identity, ring, numbers, body }, rings }
    }

    fn is_shielded(&self) -> bool {
        self.ledger.is_shielded(&self.asked.question.subject)
    }

    fn identity(&self) -> IdentityCheck {
        if self.ledger.is_invalid(&self.asked.question.subject) {
            return IdentityCheck::NumberInvalid;
        }
        let Some(given) = self.asked.question.birth_date else { return IdentityCheck::NotGiven };
        let of_plans: Vec<Day> = self.plans.iter().filter(|p| !p.withdrawn).filter_map(|p| p.born).collect();
        if !of_plans.is_empty() {
            return match (of_plans.contains(&given), of_plans.iter().any(|date| is_near(*date, given))) {
                (true, _) => IdentityCheck::Matched,
                (false, true) => IdentityCheck::NearMiss,
                (false, false) => IdentityCheck::NotConfirmed,
            };
        }
        // Of a shielded child no department's date is compared: by whose date it is the answer would tell a place.
        if self.is_shielded() {
            return IdentityCheck::NothingToCompare;
        }
        // What the asker has recorded itself tells nothing, and one department's doubt outweighs another's match.
        let asker = self.asked.peer.organisation;
        let others =
            self.seen.iter().filter(|seen| seen.outcome != Ended::EnteredInError && seen.organisation != asker);
        let of_seen: Vec<Day> = others.filter_map(|seen| seen.born).collect();
        if of_seen.iter().any(|date| *date != given && !is_near(*date, given)) {
            return IdentityCheck::DiffersFromPresentation;
        }
        if of_seen.iter().any(|date| *date != given) {
            return IdentityCheck::NearMiss;
        }
        if of_seen.contains(&given) {
            return IdentityCheck::Matched;
        }
        IdentityCheck::NothingToCompare
    }

    /// Code and number: the first authority in force, else to come, else ended; else the asker's own.
    fn rings(&self, lines: &[Line]) -> BTreeSet<(String, String)> {
        if self.is_shielded() {
            return BTreeSet::from([(String::new(), NATIONAL_PHONE.to_owned())]);
        }
        let rank = |line: &Line| {
            let day = if line.state == PlanState::Ended { line.end } else { line.start };
            (line.state, std::cmp::Reverse(day))
        };
        let invalid = self.ledger.is_invalid(&self.asked.question.subject);
        let Some(first) = lines.iter().map(rank).min().filter(|_| !invalid) else {
            let own = self.asked.peer.organisation;
            return BTreeSet::from([(own.to_string(), place::own_phone(own))]);
        };
        let those = lines.iter().filter(|line| rank(line) == first).filter_map(|line| line.authority);
        those.map(|code| (code.to_string(), place::authority_phone(code, self.is_office_hour()))).collect()
    }

    fn is_office_hour(&self) -> bool {
        let minute = london_minute(self.asked.question.now);
        let (year, _, _) = self.today.ymd();
        let holiday = holidays(year..=year).any(|day| day == self.today);
        weekday(self.today) < 5 && !holiday && (place::OPENS..place::CLOSES).contains(&minute)
    }

    fn body(&self, lines: Vec<Line>, rows: &[seen::Row]) -> Both {
        let shielded = self.is_shielded();
        let (plans_known, seen_known) = (self.plans_known(), self.seen_known());
        let (plan_doubts, seen_doubts) = (self.doubts(&plans_known), self.doubts(&seen_known));
        let mut lines = ordered(lines, false);
        let more_plans = count(lines.len().saturating_sub(MAX_PLANS));
        lines.truncate(MAX_PLANS);
        if shielded {
            lines.iter_mut().for_each(|line| (line.authority, line.moving_to) = (None, None));
            lines = ordered(lines, false);
        }
        let own = self.asked.peer.organisation;
        let counted = self.seen.iter().filter(|seen| {
            let current = seen.organisation == own && self.asked.question.checking_in.as_ref() == Some(&seen.encounter);
            !current && seen.outcome != Ended::EnteredInError
        });
        let (here, there): (Vec<&Seen>, Vec<&Seen>) = counted.partition(|s| s.organisation == own && !shielded);
        let [here, there] = [here, there].map(|list| self.listed(&list, shielded));
        let any = |listed: &Listed| !listed.shown.is_empty() || listed.window > 0;
        let (any_here, any_there) = (any(&here), any(&there));
        let known = |known: Known| if shielded { Known { named: Vec::new(), ..known } } else { known };
        Both {
            shielded,
            plans: said((!lines.is_empty()).then_some(lines), &plan_doubts),
            more_plans,
            plans_known: known(plans_known),
            seen: said((any_here || any_there).then_some([here, there]), &seen_doubts),
            elsewhere: (!shielded).then(|| said(any_there.then_some(()), &seen_doubts)),
            seen_known: known(seen_known),
            history: if shielded { Vec::new() } else { rows.iter().take(ROWS).cloned().collect() },
            // A shielded record shows no row and counts days.
            more_history: count(if shielded { self.days(rows) } else { rows.len().saturating_sub(ROWS) }),
        }
    }

    /// Days on which the child was looked up; of rows beyond those that are kept the last alone.
    fn days(&self, rows: &[seen::Row]) -> usize {
        let (last, begun) = (rows.iter().map(|row| row.last), rows.iter().take(ROWS).map(|row| row.first));
        let held = |day: &Day| *day >= self.today.plus_days(-HELD_DAYS);
        last.chain(begun).map(london_day).filter(held).collect::<BTreeSet<Day>>().len()
    }

    fn listed(&self, seen: &[&Seen], shielded: bool) -> Listed {
        let first = self.today.plus_days(-WINDOW_DAYS);
        let (shown, older): (Vec<&Seen>, Vec<&Seen>) = seen.iter().partition(|seen| london_day(seen.at) >= first);
        let one = |seen: &&Seen| {
            if shielded {
                let day = seen.details.map(|(_, at, _, _)| london_day(at).text()).unwrap_or_default();
                let complaint = seen.details.map(|(_, _, _, complaint)| complaint);
                return (format!("{day} {complaint:?}"), None, seen.outcome);
            }
            (seen.organisation.to_string(), seen.details, seen.outcome)
        };
        Listed {
            window: count(older.len()),
            cap: count(shown.len().saturating_sub(MAX_SEEN)),
            shown: shown.iter().take(MAX_SEEN).map(one).collect(),
        }
    }

    fn plans_known(&self) -> Known {
        let own: BTreeSet<Feed> = self.plans.iter().map(|plan| Feed::Plans(plan.authority)).collect();
        self.known(place::authorities().map(Feed::Plans), &own)
    }

    fn seen_known(&self) -> Known {
        let asker = self.asked.peer.organisation;
        let others = self.seen.iter().map(|seen| seen.organisation).filter(|code| *code != asker);
        let own: BTreeSet<Feed> = others.map(Feed::Presentations).collect();
        self.known(place::trusts().map(Feed::Presentations), &own)
    }

    fn known(&self, feeds: impl Iterator<Item = Feed>, own: &BTreeSet<Feed>) -> Known {
        let now = self.asked.question.now;
        let mut known = Known::default();
        for feed in feeds {
            let heard = self.ledger.heard.get(&feed).copied();
            let state = feed_state(heard, now);
            let place = [FeedState::Fresh, FeedState::Stale, FeedState::Absent, FeedState::Thin];
            known.counts[place.iter().position(|known| *known == state).expect("one of them")] += 1;
            if state == FeedState::Fresh {
                known.oldest = known.oldest.max(heard.map(|at| seconds_between(at, now)));
            } else if own.contains(&feed) {
                let code = match feed {
                    Feed::Plans(code) => code.to_string(),
                    Feed::Presentations(code) => code.to_string(),
                };
                known.named.push((code, state));
            }
        }
        known.named.sort();
        known
    }

    fn doubts(&self, known: &Known) -> Vec<Doubt> {
        let mut doubts = Vec::new();
        let all: u32 = known.counts.iter().sum();
        let doubtful = all - known.counts[0];
        if matches!(self.asked.question.subject, Subject::Local(..)) {
            doubts.push(Doubt::NoNhsNumber);
        }
        if self.is_shielded() {
            // Which feed is silent would tell a place: any one of them is one too many.
            doubts.extend((doubtful > 0).then_some(Doubt::TooManyFeedsStale));
            return doubts;
        }
        doubts.extend((!known.named.is_empty()).then_some(Doubt::OwnFeedStale));
        doubts.extend((doubtful * 100 > all * DOUBTFUL_PERCENT).then_some(Doubt::TooManyFeedsStale));
        doubts
    }
}

fn said<T>(held: Option<T>, doubts: &[Doubt]) -> Said<T> {
    match held {
        Some(held) => Said::Held(held),
        None if doubts.is_empty() => Said::NoneHeld,
        None => Said::CannotSay(doubts.to_vec()),
    }
}

fn count(n: usize) -> u32 {
    u32::try_from(n).expect("a small number")
}

fn seconds_between(earlier: Moment, later: Moment) -> u64 {
    u64::try_from((later.0 - earlier.0) / 1_000).expect("time goes on")
}

fn feed_state(heard: Option<Moment>, now: Moment) -> FeedState {
    match heard {
        None => FeedState::Absent,
        Some(at) if seconds_between(at, now) > INTERVAL_SECONDS => FeedState::Stale,
        Some(_) => FeedState::Fresh,
    }
}

/// Day and month swapped, or one digit off.
fn is_near(left: Day, right: Day) -> bool {
    let ((year, month, day), other) = (left.ymd(), right.ymd());
    let (left, right) = (left.text(), right.text());
    let digits_off = left.chars().zip(right.chars()).filter(|(one, other)| one != other).count();
    (year, day, month) == other || digits_off == 1
}
