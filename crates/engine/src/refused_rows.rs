//! What changes nothing of many that are sent together: events of a stream, rows of a file or of an import that are refused, or were
//! acknowledged before and are sent again. The first of each kind of an organisation's within a second stand by name, with whom they
//! were about. Those beyond are counted, by call, and the refused ones by reason, gathered for some milliseconds and told by one
//! entry, so that whoever sends them in a loop fills no disk. None is answered before the entry that counts it is durable. What was
//! made, or may have been because the log failed, stands by name, whatever is sent beside it and at whatever rate.

use crate::audit_entry::{AuditEntry, Call, Decision};
use crate::bursts::{GATHER, Gathered, Settled};
use crate::changed_one::{Became, CHANGED_TOGETHER, ChangedOne};
use crate::engine::Engine;
use crate::open::WallClock;
use crate::read::durable;
use crate::rows::encode;
use crate::told_again::Kept;
use kith_domain::caller::{Caller, Peer, Role};
use kith_domain::codes::OdsCode;
use kith_domain::method::Method;
use kith_domain::refusal_code::RefusalCode;
use kith_domain::time::Moment;
use kith_store::{AuditError, AuditRef, Journal};
use std::collections::btree_map::Entry;
use std::collections::{BTreeMap, HashMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use tokio::sync::watch;

/// How many of an organisation's stand by name in a second: those of one group of a stream, which are one entry. Those that are
/// refused have so much room and those that are sent again as much beside it: the last group of a stream that broke off is sent
/// again, and no flood of refusals is to make a count of it, nor the other way round.
const NAMED: usize = CHANGED_TOGETHER;
/// How long all that is sent again stands by name after an end without order. The audit may lack what the log has of the last
/// moments before it, and then the name of whoever sends that again is the only one. Senders without an answer try again within
/// minutes.
const AFTER_GAP_SECONDS: i64 = 600;
/// How long that second is. A clock that is set back begins another.
const SECOND_MS: i64 = 1_000;
/// Organisations known at once, more than there are. Beyond them each row stands by name.
const ORGANISATIONS: usize = 4_096;
/// Counts kept at once whose entry was given up and may stand all the same. Beyond them they are counted on: twice is better than
/// never.
const GIVEN_UP: usize = 256;

/// What is counted together.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Source {
    organisation: OdsCode,
    role: Role,
    method: Method,
    /// A token proves whoever sends them.
    proven: bool,
}

/// An organisation's second.
#[derive(Debug, Clone, Copy)]
struct Second {
    began: Moment,
    /// How many more that are refused stand by name.
    refused: usize,
    /// How many more that are sent again do.
    repeated: usize,
}

impl Second {
    fn goes_on(&self, at: Moment) -> bool {
        (self.began.0..self.began.0.saturating_add(SECOND_MS)).contains(&at.0)
    }

    /// Whether one more stands by name, which takes of the room there is. What was made takes none, and what may have been stands by
    /// name where there is none; so does all that is sent again after a gap.
    fn names(&mut self, one: &ChangedOne, after_gap: bool) -> bool {
        let (room, anyway) = match one.became {
            Became::Applied | Became::Kept | Became::Overtaken => return true,
            Became::Repeated => (&mut self.repeated, after_gap),
            Became::Refused(_) => (&mut self.refused, one.may_stand()),
        };
        let named = anyway || *room > 0;
        *room = room.saturating_sub(1);
        named
    }
}

/// How many were refused for each reason, and how many had been acknowledged before.
#[derive(Debug)]
struct Counts {
    /// Who sent them; none where several did, for one would be named for all.
    caller: Option<Caller>,
    codes: BTreeMap<RefusalCode, u64>,
    repeated: u64,
    first: Moment,
    last: Moment,
}

impl Counts {
    /// Of some that do not stand by name.
    fn of(each: &[ChangedOne], caller: Option<&Caller>, at: Moment) -> Self {
        let (mut codes, mut repeated) = (BTreeMap::<RefusalCode, u64>::new(), 0);
        for one in each {
            match one.refused() {
                Some(code) => *codes.entry(code).or_default() += 1,
                None => repeated += 1,
            }
        }
        Self { caller: caller.cloned(), codes, repeated, first: at, last: at }
    }

    fn add(&mut self, other: Self) {
        if self.caller != other.caller {
            self.caller = None;
        }
        for (code, count) in other.codes {
            let held = self.codes.entry(code).or_default();
            *held = held.saturating_add(count);
        }
        self.repeated = self.repeated.saturating_add(other.repeated);
        (self.first, self.last) = (self.first.min(other.first), self.last.max(other.last));
    }

    fn entry(&self, Source { organisation, role, method, proven }: Source) -> AuditEntry {
        let counted = self.codes.iter().map(|(code, count)| (*code, *count)).collect();
        let decision = Decision::RefusedRows { counted, first: self.first, last: self.last, repeated: self.repeated };
        let (none, caller) = (AuditEntry::of_service(self.last, decision), self.caller.clone());
        let person_proven = proven && caller.is_some();
        let (organisation, role, method) = (Some(organisation), Some(role), Some(method));
        AuditEntry { organisation, role, caller, method, person_proven, ..none }
    }
}

/// Those that no entry holds yet.
#[derive(Debug)]
struct Gathering {
    counts: Counts,
    tell: watch::Sender<Option<Settled>>,
}

#[derive(Debug, Default)]
struct Known {
    seconds: HashMap<OdsCode, Second>,
    gathering: BTreeMap<Source, Gathering>,
    /// Counted when the audit took no entry: the next one counts them too.
    left: BTreeMap<Source, Counts>,
    /// Entries that are to be told as they are: one may stand already.
    given_up: VecDeque<Kept>,
}

impl Known {
    /// The second of an organisation; none where too many are known.
    fn second(&mut self, organisation: OdsCode, at: Moment) -> Option<&mut Second> {
        if self.seconds.len() >= ORGANISATIONS && !self.seconds.contains_key(&organisation) {
            self.seconds.retain(|_, second| second.goes_on(at));
            if self.seconds.len() >= ORGANISATIONS {
                return None;
            }
        }
        let fresh = Second { began: at, refused: NAMED, repeated: NAMED };
        let second = self.seconds.entry(organisation).or_insert(fresh);
        if !second.goes_on(at) {
            *second = fresh;
        }
        Some(second)
    }

    /// Takes counts that the audit has not taken.
    fn keep(&mut self, source: Source, counts: Counts, given: Option<AuditRef>) {
        if given.is_some() && self.given_up.len() < GIVEN_UP {
            let mut kept = Kept::from(counts.entry(source));
            kept.tried(given);
            self.given_up.push_back(kept);
            return;
        }
        match self.left.entry(source) {
            Entry::Vacant(free) => {
                free.insert(counts);
            }
            Entry::Occupied(mut held) => held.get_mut().add(counts),
        }
    }
}

/// What was taken of those that were sent together.
struct Taken {
    /// What stands by name, in order.
    named: Vec<ChangedOne>,
    /// The others.
    counted: Option<Gathered>,
    /// Whose counts are to be closed after [`GATHER`].
    opened: Option<Source>,
}

/// Counts that are being written.
struct Closing {
    source: Source,
    counts: Counts,
    tell: watch::Sender<Option<Settled>>,
}

/// Counts from before they are written until they are: where that ends before, with its runtime too, they are kept.
struct Writing<'a> {
    rows: &'a RefusedRows,
    source: Source,
    counts: Option<Counts>,
    given: Option<AuditRef>,
}

impl Drop for Writing<'_> {
    fn drop(&mut self) {
        if let Some(counts) = self.counts.take() {
            self.rows.lock().keep(self.source, counts, self.given);
        }
    }
}

/// Those of this moment that are refused or sent again.
pub(crate) struct RefusedRows {
    known: Mutex<Known>,
    clock: WallClock,
    /// Until when all that is sent again stands by name; none where the last run ended in order.
    after_gap_until: Option<Moment>,
}

impl RefusedRows {
    /// `gap`: the last run did not end in order.
    pub(crate) fn new(clock: WallClock, gap: bool) -> Self {
        let after_gap_until = gap.then(|| clock().plus_seconds(AFTER_GAP_SECONDS));
        Self { known: Mutex::default(), clock, after_gap_until }
    }

    /// Whether the last run did not end in order, and not long ago: the audit may lack what its last moments changed.
    pub(crate) fn names_what_is_sent_again(&self) -> bool {
        self.is_after_gap((self.clock)())
    }

    fn is_after_gap(&self, at: Moment) -> bool {
        self.after_gap_until.is_some_and(|until| at < until)
    }

    fn lock(&self) -> MutexGuard<'_, Known> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes what became of several, in order.
    fn take(&self, source: Source, caller: Option<&Caller>, each: Vec<ChangedOne>) -> Taken {
        if each.iter().all(ChangedOne::was_made) {
            return Taken { named: each, counted: None, opened: None };
        }
        let at = (self.clock)();
        let mut known = self.lock();
        let Some(second) = known.second(source.organisation, at) else {
            return Taken { named: each, counted: None, opened: None };
        };
        let after_gap = self.is_after_gap(at);
        let (named, others): (Vec<_>, Vec<_>) = each.into_iter().partition(|one| second.names(one, after_gap));
        if others.is_empty() {
            return Taken { named, counted: None, opened: None };
        }
        let mut counts = Counts::of(&others, caller, at);
        if let Some(gathering) = known.gathering.get_mut(&source) {
            gathering.counts.add(counts);
            let counted = Gathered::by(gathering.tell.subscribe());
            return Taken { named, counted: Some(counted), opened: None };
        }
        if let Some(left) = known.left.remove(&source) {
            counts.add(left);
        }
        let (tell, settled) = watch::channel(None);
        known.gathering.insert(source, Gathering { counts, tell });
        Taken { named, counted: Some(Gathered::by(settled)), opened: Some(source) }
    }

    /// What is gathered, to be written.
    fn close(&self, source: Source) -> Option<Closing> {
        let Gathering { counts, tell } = self.lock().gathering.remove(&source)?;
        Some(Closing { source, counts, tell })
    }

    /// Writes what is gathered of a source, and tells all that wait for it. What the audit does not take is counted on.
    async fn write(&self, journal: &Journal, source: Source) {
        let Some(Closing { source, counts, tell }) = self.close(source) else { return };
        let entry = counts.entry(source);
        let mut writing = Writing { rows: self, source, counts: Some(counts), given: None };
        let written = durable(journal, &entry, &mut writing.given).await;
        if written.is_ok() {
            writing.counts = None;
        }
        drop(writing);
        tell.send_replace(Some(written));
    }

    fn is_empty(&self) -> bool {
        let known = self.lock();
        known.left.is_empty() && known.given_up.is_empty()
    }

    /// The next entry that the audit has not taken. It stays until it is told: an end of the service meanwhile tells it too, and
    /// twice is better than never.
    fn untaken(&self) -> Option<Kept> {
        let mut known = self.lock();
        if known.given_up.is_empty() {
            let (source, counts) = known.left.pop_first()?;
            known.given_up.push_back(Kept::from(counts.entry(source)));
        }
        known.given_up.front().cloned()
    }

    /// It was tried, and may stand under this number.
    fn tried(&self, given: Option<AuditRef>) {
        if let Some(next) = self.lock().given_up.front_mut() {
            next.tried(given);
        }
    }

    /// It is told.
    fn told(&self) {
        self.lock().given_up.pop_front();
    }

    /// Hands everything that is counted to a journal that is about to be closed. Nobody is answered on that: the process ends.
    pub(crate) fn hand_to(&self, journal: &Journal) {
        {
            let mut known = self.lock();
            for (source, Gathering { counts, tell: _ }) in std::mem::take(&mut known.gathering) {
                known.keep(source, counts, None);
            }
        }
        let (mut lost, mut takes) = (0_u64, true);
        while let Some(kept) = self.untaken() {
            let append = || encode(&kept.as_told()).is_ok_and(|bytes| journal.append(&bytes).is_ok());
            // After one that was not taken each would have to wait as long, and the end with it.
            takes = takes && (kept.stands(journal) || append());
            if !takes {
                lost += kept.entry.decision.changed().map_or(0, |(repeated, refused)| repeated.saturating_add(refused));
            }
            self.told();
        }
        if lost > 0 {
            tracing::warn!(lost, "what was refused or sent again of many is in no audit: it took no entry to the end");
        }
    }
}

/// An entry about changes that were sent together was not taken by the audit.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("audit what was sent together: {error}")]
pub struct EachUntaken {
    /// Why.
    pub error: AuditError,
    /// Something of what was sent stands all the same, and is told later.
    pub stands: bool,
}

/// What was done to tell the audit of changes that were sent together.
pub(crate) struct EachTold {
    /// Whether any of them stands.
    pub(crate) stands: bool,
    /// The last entry that was not taken.
    pub(crate) untaken: Option<AuditError>,
    /// Those that are counted: to be waited for before anything is said of them.
    pub(crate) counted: Option<Gathered>,
}

impl Engine {
    /// Puts into the audit what became of changes that were sent together, each with whom it is about, or counted where too many
    /// are refused, or sent again, at once. Of what stands and is not taken the audit is told later, and of the others all the same.
    ///
    /// # Errors
    /// [`EachUntaken`]: none of them is to be acknowledged, whichever entry failed.
    pub async fn audit_each(
        &self,
        at: Moment,
        call: Call,
        caller: Option<&Caller>,
        each: Vec<ChangedOne>,
    ) -> Result<(), EachUntaken> {
        let EachTold { stands, untaken, counted } = self.tell_each(at, call, caller, each).await;
        let untaken = match (untaken, counted) {
            (Some(error), _) => Some(error),
            (None, Some(counted)) => counted.settled().await.err(),
            (None, None) => None,
        };
        untaken.map_or(Ok(()), |error| Err(EachUntaken { error, stands }))
    }

    /// As [`Engine::audit_each`], for whoever says nothing of them yet.
    pub(crate) async fn tell_each(
        &self,
        at: Moment,
        call: Call,
        caller: Option<&Caller>,
        each: Vec<ChangedOne>,
    ) -> EachTold {
        let Peer { organisation, role } = call.peer;
        let source = Source { organisation, role, method: call.method, proven: call.person.is_proven() };
        let Taken { mut named, counted, opened } = self.refused_rows.take(source, caller, each);
        if let Some(source) = opened {
            let (rows, journal) = (Arc::clone(&self.refused_rows), Arc::clone(&self.journal));
            // By itself: whoever was refused first may give up, and the others wait all the same.
            tokio::spawn(async move {
                tokio::time::sleep(GATHER).await;
                rows.write(&journal, source).await;
            });
        }
        let (mut stands, mut untaken) = (false, None);
        while !named.is_empty() {
            let others = named.split_off(named.len().min(CHANGED_TOGETHER));
            let decision = Decision::ChangedEach(std::mem::replace(&mut named, others));
            let entry = AuditEntry::of_call(at, call, caller.cloned(), None, decision);
            stands |= entry.decision.stands();
            if let Err(error) = self.audit_change(entry).await {
                untaken = Some(error);
            }
        }
        EachTold { stands, untaken, counted }
    }

    /// Whether something that was refused or sent again of many is counted in no entry, because the audit took none.
    #[must_use]
    pub fn has_uncounted(&self) -> bool {
        !self.refused_rows.is_empty()
    }

    /// Tells the audit of it; false when it did not take it. One caller tells at a time.
    pub async fn tell_uncounted(&self) -> bool {
        while self.has_uncounted() {
            // Asked first, so that a try while no disk takes anything costs nothing.
            if !self.journal().takes_entries() {
                return false;
            }
            let Some(kept) = self.refused_rows.untaken() else { break };
            let mut given = None;
            if !kept.stands(self.journal()) && self.audit_as(&kept.as_told(), &mut given).await.is_err() {
                self.refused_rows.tried(given);
                return false;
            }
            self.refused_rows.told();
        }
        true
    }
}

#[cfg(test)]
mod tests;
