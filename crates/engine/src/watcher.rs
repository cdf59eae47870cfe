//! Watching use, behind the answers: from the entries of the audit that history is derived from, flags are worked out and told by
//! entries of the audit; from there the log takes them. It never stands in front of a lookup and refuses nothing.
//!
//! What is counted stands in memory alone and is worked out anew at a start from the last entries of the audit. Kept on disk
//! beside the audit it could contradict it, and what staff asked would stand there twice. The log knows how far was watched:
//! of entries up to there nothing is flagged again; what lies beyond is, unless the audit holds the flag already. Entries whose sync
//! came back late, after a disk was in trouble, are counted at the next start and flag nothing.

use crate::audit_entry::{AuditEntry, Code, Decision};
use crate::flag_rows::FlagMarkRow;
use crate::keys;
use crate::telling::Telling;
use kith_domain::change::Change;
use kith_domain::child::Subject;
use kith_domain::codes::OdsCode;
use kith_domain::flag::{AskedOnDay, Flag, FlagRules, Watched};
use kith_domain::method::Method;
use kith_domain::time::{Day, Moment};
use kith_domain::trawling::{Asking, ChildMark, Sight, Sighting, Watch};
use kith_store::{Gap, Keys};
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

/// How often the log is told how far was watched, while anybody asks.
const LOG_EVERY: Duration = Duration::from_secs(1);
/// While nobody asks, after so many numbers: what asks nothing need not be told of one by one.
const LOG_AFTER: u64 = 1_000;

/// What is counted, and what is still to be told of it.
#[derive(Debug)]
pub(crate) struct Watcher {
    keys: Arc<Keys>,
    enabled: bool,
    watch: Watch,
    /// The last entry taken.
    through: u64,
    /// What was raised by entries up to this one was told before this start.
    raised_through: u64,
    /// Up to this one the audit may hold flags that the log does not know of: until then nothing is told.
    met_through: u64,
    telling: Telling<Flag>,
    /// Questions that the log does not know of yet.
    asked: BTreeMap<(Day, OdsCode), u64>,
    /// As far as the log knows.
    logged: u64,
    logged_at: Duration,
    /// The time of the last entry taken.
    at: Moment,
}

/// Where everything stands at a start.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Standing {
    /// What the log knows; none where nothing was ever watched.
    pub(crate) mark: Option<FlagMarkRow>,
    /// Entries whose history is in the log.
    pub(crate) derived_through: u64,
    /// The last entry of the audit.
    pub(crate) audited_through: u64,
}

impl Standing {
    /// Flags that nobody has looked into yet.
    pub(crate) fn unreviewed(&self) -> u64 {
        self.mark.unwrap_or_default().unreviewed
    }
}

impl Watcher {
    /// Begins so many entries before those that are to be watched now. Where nothing was ever watched, nothing of before is
    /// flagged.
    pub(crate) fn begin(rules: FlagRules, keys: Arc<Keys>, standing: Standing) -> Self {
        let Standing { mark, derived_through, audited_through } = standing;
        let raised_through = mark.map_or(derived_through, |mark| mark.watched_through);
        Self {
            keys,
            enabled: rules.enabled,
            watch: Watch::new(rules),
            through: raised_through.saturating_sub(rules.read_again_entries),
            raised_through,
            met_through: audited_through,
            telling: Telling::default(),
            asked: BTreeMap::new(),
            logged: mark.map_or(0, |mark| mark.watched_through),
            logged_at: Duration::ZERO,
            at: Moment::default(),
        }
    }

    /// The first and the last number among which the watch is to begin; none where there is nothing to look for.
    pub(crate) fn span(&self) -> Option<(u64, u64)> {
        (self.enabled && self.through < self.raised_through).then_some((self.through + 1, self.raised_through))
    }

    /// Begins with an entry of those.
    pub(crate) fn begin_with(&mut self, sequence: u64) {
        self.through = self.through.max(sequence.saturating_sub(1)).min(self.raised_through);
    }

    /// The entry with which to go on, where entries before `position` are to be read for the watch alone.
    pub(crate) fn next_before(&self, position: u64) -> Option<u64> {
        (self.enabled && self.through < position).then_some(self.through + 1)
    }

    /// How many entries before `position` are still to be read for the watch alone.
    pub(crate) fn behind(&self, position: u64) -> u64 {
        if self.enabled { position.saturating_sub(self.through) } else { 0 }
    }

    /// Takes the entries after `position` up to `last`, unless some before them are still to be taken.
    pub(crate) fn follow(&mut self, position: u64, last: u64, entries: &[(u64, AuditEntry)]) {
        if self.enabled && self.through >= position {
            self.take(last, entries);
        }
    }

    /// Takes entries, and is then at `last`; what was taken before is passed over.
    pub(crate) fn take(&mut self, last: u64, entries: &[(u64, AuditEntry)]) {
        for (sequence, entry) in entries.iter().filter(|(sequence, _)| *sequence <= last) {
            if *sequence > self.through {
                self.through = *sequence;
                self.one(*sequence, entry);
            }
        }
        self.through = self.through.max(last);
    }

    fn one(&mut self, sequence: u64, entry: &AuditEntry) {
        self.at = entry.at;
        if let Decision::Flagged(flag) = &entry.decision {
            self.watch.raised(flag);
            let same = |other: &Flag| (other.kind, other.organisation) == (flag.kind, flag.organisation);
            self.telling.forget(|untold| same(untold) && untold.user_id == flag.user_id);
            return;
        }
        let fresh = sequence > self.raised_through;
        if let (true, Some(organisation), Some(_)) = (fresh, entry.organisation, entry.decision.disclosed()) {
            *self.asked.entry((entry.at.london_day(), organisation)).or_default() += 1;
        }
        let Some(sighting) = self.sighting(sequence, entry) else { return };
        for flag in self.watch.observe(sighting) {
            if fresh {
                self.telling.add(flag);
            }
        }
    }

    /// What an entry tells of somebody's use; none for what is no question and no presentation of one child.
    fn sighting(&self, sequence: u64, entry: &AuditEntry) -> Option<Sighting> {
        let (organisation, subject, method) = (entry.organisation?, entry.subject.as_ref()?, entry.method?);
        let what = if let Some(disclosed) = entry.decision.disclosed() {
            let held = |code| matches!(code, Code::Held(_));
            Sight::Question(Asking {
                user_id: entry.caller.as_ref()?.user_id.clone(),
                role: entry.role?,
                // Of a worklist nobody needs to be there. A record that was opened was asked about in the open.
                unscheduled: !matches!(entry.decision, Decision::Answered { counted: false, .. }),
                number: if let Subject::Nhs(number) = subject { Some(*number) } else { None },
                held: held(disclosed.plans) || held(disclosed.presentations),
            })
        } else if tells_of_a_presentation(method, &entry.decision) {
            Sight::Presentation
        } else {
            return None;
        };
        let child = ChildMark::new(keys::child(&self.keys, subject).try_into().ok()?);
        Some(Sighting { entry: sequence, at: entry.at, organisation, child, what })
    }

    /// Entries within a gap told nothing.
    pub(crate) fn lost(&mut self, gap: &Gap) {
        self.telling.lost(gap);
    }

    /// Tells flags; `append` gives the number of the entry of the audit that tells of one. Of what is on disk up to `synced`
    /// nothing will be given up any more. True when telling begins to fail.
    pub(crate) fn tell(&mut self, synced: u64, append: impl FnMut(&Flag) -> Option<u64>) -> bool {
        self.through >= self.met_through && self.telling.tell(synced, append)
    }

    /// What the log is to be told of the watch, and as of when: once every flag is told and on disk, and every second at most
    /// unless it is the end. What asks nothing changes no state.
    pub(crate) fn due(&mut self, now: Duration, at_end: bool) -> Option<(Moment, Change)> {
        let whole = self.enabled && self.through >= self.met_through && self.telling.is_done();
        let early = !at_end && now.saturating_sub(self.logged_at) < LOG_EVERY;
        let worth = !self.asked.is_empty() || self.through.saturating_sub(self.logged) >= LOG_AFTER;
        if !whole || early || !worth {
            return None;
        }
        self.logged_at = now;
        let asked = |((day, organisation), lookups): (&(Day, OdsCode), &u64)| AskedOnDay {
            day: *day,
            organisation: *organisation,
            lookups: *lookups,
        };
        let asked = self.asked.iter().map(asked).collect();
        Some((self.at, Change::Watched(Watched { through: self.through, asked })))
    }

    /// What was due is in the log.
    pub(crate) fn is_logged(&mut self) {
        self.logged = self.through;
        self.asked.clear();
    }
}

/// Whether an organisation told something of one presentation of one child.
fn tells_of_a_presentation(method: Method, decision: &Decision) -> bool {
    let taken = matches!(decision, Decision::Changed { acknowledged: 1.., refused: _ });
    taken && matches!(method, Method::CheckIn | Method::Record | Method::Amend | Method::Close)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::audit_entry::{Call, Disclosed};
    use kith_domain::NhsNumber;
    use kith_domain::caller::{Caller, Peer, Purpose, Role};
    use kith_domain::flag::FlagKind;
    use kith_domain::identity::IdentityCheck;
    use kith_domain::opening::OpeningReason;
    use kith_domain::proof::PersonProof;
    use kith_domain::text::{LocalKey, OpeningWords, PersonText, RoleCode, UserId};
    use std::collections::BTreeSet;

    fn rules() -> FlagRules {
        FlagRules { read_again_entries: 1_000, ..FlagRules::default() }
    }

    fn watcher(mark: Option<u64>, audited_through: u64) -> Watcher {
        let mark = mark.map(|watched_through| FlagMarkRow { watched_through, unreviewed: 0 });
        let standing = Standing { mark, derived_through: mark.map_or(0, |mark| mark.watched_through), audited_through };
        Watcher::begin(rules(), Arc::new(Keys::from_master([7; 32])), standing)
    }

    fn organisation() -> OdsCode {
        OdsCode::parse("R1H").unwrap()
    }

    fn caller(user: &str) -> Caller {
        Caller {
            user_id: UserId::parse(user).unwrap(),
            user_name: PersonText::parse("A Nurse").unwrap(),
            user_role: PersonText::parse("Nurse").unwrap(),
            purpose: Purpose::DirectCare,
            organisation: organisation(),
            role_code: RoleCode::parse("R8000").unwrap(),
        }
    }

    fn call(method: Method) -> Call {
        let peer = Peer { organisation: organisation(), role: Role::Ed };
        Call { peer, method, trace: None, person: PersonProof::NotAsked }
    }

    fn disclosed(presentations: Code) -> Disclosed {
        Disclosed {
            identity: IdentityCheck::NotGiven,
            plans: Code::NoneHeld,
            presentations,
            shielded: false,
            siblings: 0,
            mother: None,
        }
    }

    /// Somebody asks about numbers one after another.
    fn asked(count: u32) -> Vec<(u64, AuditEntry)> {
        let (call, caller, disclosed) = (call(Method::Lookup), caller("u1"), disclosed(Code::NoneHeld));
        let numbers = (999_000_000..).filter_map(NhsNumber::from_first_nine).take(count as usize);
        (1_u64..)
            .zip(numbers)
            .map(|(sequence, number)| {
                let decision = Decision::Answered { disclosed, counted: true };
                let at = Moment(i64::try_from(sequence).unwrap() * 1_000);
                let entry = AuditEntry::of_call(at, call, Some(caller.clone()), None, decision);
                (sequence, AuditEntry { subject: Some(Subject::Nhs(number)), ..entry })
            })
            .collect()
    }

    /// Tells everything that is to be told; what was.
    fn told(watcher: &mut Watcher) -> Vec<Flag> {
        let mut told = Vec::new();
        watcher.tell(0, |flag| {
            told.push(flag.clone());
            Some(1_000)
        });
        told
    }

    #[test]
    fn a_walk_is_flagged_about_who_asked_and_holds_no_child() {
        let mut watcher = watcher(None, 0);
        watcher.follow(0, 20, &asked(20));
        let flags = told(&mut watcher);
        let [flag] = &flags[..] else { panic!("one flag is told") };
        let who = flag.user_id.as_ref().map(UserId::as_str);
        assert_eq!((flag.organisation.as_str(), who, flag.first_entry), ("R1H", Some("u1"), 1));
        let bytes = crate::rows::encode(&Decision::Flagged(flag.clone())).unwrap();
        assert!(bytes.len() < 40 && !format!("{flag:?}").contains("99900"), "nothing but counts and who asked");
    }

    /// Whoever opens one shielded record after another has a queue of their own, and is watched like everybody.
    #[test]
    fn records_that_are_opened_are_questions_too() {
        let opened = |(sequence, entry): (u64, AuditEntry)| {
            let disclosed = entry.decision.disclosed().unwrap();
            let (reason, words) = (OpeningReason::MissingChild, OpeningWords::parse("seen at the station").unwrap());
            let decision = Decision::Opened { disclosed, reason, words, queue: uuid::Uuid::nil() };
            (sequence, AuditEntry { decision, ..entry })
        };
        let mut watcher = watcher(None, 0);
        watcher.follow(0, 20, &asked(20).into_iter().map(opened).collect::<Vec<_>>());
        assert_eq!(told(&mut watcher).len(), 1);
        watcher.tell(1_000, |_| None);
        let Some((_, Change::Watched(watched))) = watcher.due(LOG_EVERY, true) else { panic!("it is due") };
        assert_eq!(watched.asked[0].lookups, 20);
    }

    /// Check-ins as the audit tells of them: each question, and a second later what became of its recording.
    #[derive(Default)]
    struct CheckIns {
        entries: Vec<AuditEntry>,
        children: u32,
    }

    impl CheckIns {
        fn add(&mut self, user: &str, (day, second): (i64, i64), (held, recorded): (bool, bool)) {
            self.children += 1;
            let key = LocalKey::parse(&format!("k{}", self.children)).unwrap();
            let subject = Some(Subject::Local(organisation(), key));
            // A Monday at midnight.
            let at = Moment(1_772_409_600_000).plus_seconds(day * 86_400 + second);
            let disclosed = disclosed(if held { Code::Held(1) } else { Code::NoneHeld });
            let taken = Decision::Changed { acknowledged: u64::from(recorded), refused: u64::from(!recorded) };
            for (after, decision) in [(0, Decision::Answered { disclosed, counted: true }), (1, taken)] {
                let (call, caller) = (call(Method::CheckIn), Some(caller(user)));
                let entry = AuditEntry::of_call(at.plus_seconds(after), call, caller, None, decision);
                self.entries.push(AuditEntry { subject: subject.clone(), ..entry });
            }
        }

        /// The kinds of flags that they raise, and whom those are about.
        fn flagged(mut self) -> BTreeSet<(FlagKind, Option<String>)> {
            self.entries.sort_by_key(|entry| entry.at);
            let entries: Vec<(u64, AuditEntry)> = (1_u64..).zip(self.entries).collect();
            let mut watcher = watcher(None, 0);
            watcher.follow(0, entries.len() as u64, &entries);
            let about = |flag: &Flag| flag.user_id.as_ref().map(|user| user.as_str().to_owned());
            told(&mut watcher).iter().map(|flag| (flag.kind, about(flag))).collect()
        }
    }

    /// Ten days of ordinary check-ins, and then an evening on which somebody checks in eighty children of whom nothing is held.
    fn an_evening(recorded: bool) -> BTreeSet<(FlagKind, Option<String>)> {
        let mut check_ins = CheckIns::default();
        for day in 0..10 {
            for n in 0..60 {
                check_ins.add(&format!("u{}", n % 5), (day, 8 * 3_600 + n * 240), (true, true));
            }
            // Somebody who asks little, and whose recordings are refused.
            let refused = if day < 4 { 0 } else { 2 };
            for n in 0..refused {
                check_ins.add("u7", (day, 9 * 3_600 + n * 3_600), (true, false));
            }
        }
        for n in 0..80 {
            check_ins.add("u7", (10, 14 * 3_600 + n * 180), (false, recorded));
        }
        // By which it is known that nobody came.
        check_ins.add("u0", (10, 23 * 3_600), (true, true));
        check_ins.flagged()
    }

    #[test]
    fn check_ins_that_are_not_recorded_are_questions_to_which_nobody_came() {
        let u7 = |kind| (kind, Some("u7".to_owned()));
        let all = [FlagKind::Volume, FlagKind::FewHeld, FlagKind::NoPresentation].map(u7);
        assert_eq!(an_evening(false), BTreeSet::from(all));
        assert_eq!(an_evening(true), BTreeSet::from([u7(FlagKind::FewHeld)]), "there, and of few is anything held");
    }

    #[test]
    fn the_log_is_told_once_the_flag_is_on_disk() {
        let mut watcher = watcher(None, 0);
        watcher.follow(0, 20, &asked(20));
        let second = Duration::from_secs(1);
        assert_eq!(watcher.due(second, true), None, "a flag is not told");
        told(&mut watcher);
        assert_eq!(watcher.due(second, true), None, "its entry is not on disk");
        watcher.lost(&Gap { after_sequence: 900, before_sequence: 1_100, cause: kith_store::GapCause::SyncFailed });
        assert_eq!(told(&mut watcher).len(), 1, "given up, it is told again");
        watcher.tell(1_000, |_| None);
        let (_, change) = watcher.due(second, false).unwrap();
        let Change::Watched(watched) = change else { panic!("{change:?}") };
        assert_eq!((watched.through, watched.asked[0].lookups), (20, 20));
        watcher.is_logged();
        assert_eq!(watcher.due(second * 9, true), None, "nothing has come since");
    }

    /// Killed at any entry and started again: told once, whether or not its entry got into the audit before.
    #[test]
    fn a_restart_at_any_entry_neither_repeats_nor_forgets() {
        let entries = asked(20);
        let mut whole = watcher(None, 0);
        whole.follow(0, 20, &entries);
        let flags = told(&mut whole);
        let [flag] = &flags[..] else { panic!("one flag is told") };
        for logged in 0..=20_u64 {
            // As if killed with the flag in the audit and not in the log.
            let tells = (21, AuditEntry::of_service(Moment(50_000), Decision::Flagged(flag.clone())));
            let mut again = watcher(Some(logged), 21);
            again.take(20, &entries);
            assert_eq!(told(&mut again), [], "the audit may hold it");
            again.take(21, &[tells]);
            assert_eq!(told(&mut again), [], "it does, {logged}");
            // As if killed before it got there, which it does before the log knows of the entries that raised it.
            let mut again = watcher(Some(logged), 20);
            again.take(20, &entries);
            let expected: &[Flag] = if logged < 8 { std::slice::from_ref(flag) } else { &[] };
            assert_eq!(told(&mut again), expected, "{logged}");
        }
    }

    #[test]
    fn questions_are_counted_once_over_restarts() {
        let entries = asked(20);
        let mut again = watcher(Some(12), 20);
        again.take(20, &entries);
        told(&mut again);
        again.tell(1_000, |_| None);
        let Some((_, Change::Watched(watched))) = again.due(LOG_EVERY, false) else { panic!("it is due") };
        assert_eq!((watched.through, watched.asked[0].lookups), (20, 8));
    }

    #[test]
    fn what_asks_nothing_changes_no_state() {
        let mut quiet = watcher(None, 0);
        let start = AuditEntry::of_service(Moment(1), Decision::Started);
        quiet.follow(0, 1, &[(1, start)]);
        assert_eq!(quiet.due(LOG_EVERY, true), None);
        quiet.follow(1, 1_000, &[]);
        assert!(quiet.due(LOG_EVERY, true).is_some());
    }

    #[test]
    fn entries_before_a_place_that_was_passed_are_waited_for() {
        let mut watcher = watcher(Some(500), 900);
        assert_eq!(watcher.next_before(600), Some(1));
        watcher.follow(600, 620, &[]);
        assert_eq!(watcher.next_before(620), Some(1), "those in between are not taken yet");
        watcher.begin_with(400);
        assert_eq!((watcher.span(), watcher.next_before(620)), (Some((400, 500)), Some(400)));
        watcher.take(620, &[]);
        assert_eq!((watcher.span(), watcher.next_before(620)), (None, None));
        let off = FlagRules { enabled: false, ..rules() };
        let standing = Standing { mark: None, derived_through: 9, audited_through: 9 };
        let mut off = Watcher::begin(off, Arc::new(Keys::from_master([7; 32])), standing);
        off.follow(0, 20, &asked(20));
        assert_eq!((off.next_before(99), told(&mut off), off.due(LOG_EVERY, true)), (None, vec![], None));
    }
}
