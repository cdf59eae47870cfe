//! Bursts of refusals. The first of a burst is an entry of its own, with the person and whom it was about. Those that follow it
//! within a second, of the same organisation, person, call and code, are gathered for some milliseconds and counted in one
//! entry, so that whoever is refused in a loop fills no disk, nor whoever invents people for it. None is answered before the entry that counts it is durable: what
//! a refusal waits for is never given up for being one of many.
//!
//! What is about a child who is or was shielded is counted apart: behind a first one that has a place, an entry that counts on and has
//! none would tell whose it is. Of a call about several children every entry is shown with its place and without whom it is about
//! (`audit_seen`), so that its refusals are counted as one, and about nobody.

use crate::audit_entry::{AuditEntry, Decision};
use crate::audit_seen::is_of_several;
use kith_domain::caller::Role;
use kith_domain::child::Subject;
use kith_domain::codes::OdsCode;
use kith_domain::method::Method;
use kith_domain::refusal_code::RefusalCode;
use kith_domain::text::UserId;
use kith_domain::time::Moment;
use kith_store::{AuditError, AuditRef};
use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tokio::sync::watch;

/// How long a burst lasts: after it the next refusal is an entry of its own again, so that of a loop that goes on for hours every
/// second shows whom it was about.
const BURST_MS: i64 = 1_000;
/// How long refusals are gathered for one entry. Whoever is refused twice in a second waits so long, and a loop of one caller
/// makes so many entries a second and no more; a person who reads a refusal does not notice.
pub(crate) const GATHER: Duration = Duration::from_millis(25);
/// Bursts known at once: more than people who are refused within one second of a busy day. Beyond it each refusal is an entry of
/// its own.
const BURSTS: usize = 4_096;
/// People of one organisation who are refused the same call for the same reason within a second, each counted apart: more than
/// stand at one hospital's desks. Whoever sends a name of its own with each refusal has its refusals counted without a person.
const PEOPLE: u32 = 16;
/// How often ended ones are looked for at most, once so many are known: nobody is to pay for another's flood.
const SWEEP_MS: i64 = 100;

/// What is counted together.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) struct Kind {
    organisation: Option<OdsCode>,
    role: Option<Role>,
    /// None where the request could not be read so far, and of more people than are counted apart.
    person: Option<UserId>,
    method: Option<Method>,
    code: RefusalCode,
    /// They are about children who are or were shielded.
    shielded: bool,
}

/// What became of an entry.
pub(crate) type Settled = Result<AuditRef, AuditError>;

/// Refusals that no entry holds yet.
#[derive(Debug)]
struct Gathering {
    first: AuditEntry,
    count: u64,
    last: Moment,
    tell: watch::Sender<Option<Settled>>,
}

#[derive(Debug)]
struct Burst {
    began: Moment,
    /// The first child who is or was shielded and whom one of them was about.
    about: Option<Subject>,
    gathering: Option<Gathering>,
}

impl Burst {
    /// Whether a refusal of this moment belongs to it. A clock that is set back begins another.
    fn goes_on(&self, at: Moment) -> bool {
        let end = self.began.0.saturating_add(BURST_MS);
        self.gathering.is_some() || (self.began.0..end).contains(&at.0)
    }
}

/// A refusal that is counted with others.
#[derive(Debug)]
pub(crate) struct Gathered {
    settled: watch::Receiver<Option<Settled>>,
}

impl Gathered {
    /// Whoever waits for what is told by this.
    pub(crate) fn by(settled: watch::Receiver<Option<Settled>>) -> Self {
        Self { settled }
    }

    /// Waits until the entry that counts it is durable.
    pub(crate) async fn settled(mut self) -> Settled {
        match self.settled.wait_for(Option::is_some).await {
            Ok(settled) => settled.unwrap_or(Err(AuditError::Closed)),
            // Whoever was to write it has ended, and the process with it.
            Err(_) => Err(AuditError::Closed),
        }
    }
}

/// Bursts of different people that are alike but for the person.
#[derive(Debug, Clone, Copy)]
struct Alike {
    began: Moment,
    people: u32,
}

impl Alike {
    /// Whether it still counts at this moment. A clock that is set back begins another.
    fn goes_on(&self, at: Moment) -> bool {
        (self.began.0..self.began.0.saturating_add(BURST_MS)).contains(&at.0)
    }
}

#[derive(Debug, Default)]
struct Known {
    bursts: HashMap<Kind, Burst>,
    /// By the kind without a person.
    alike: HashMap<Kind, Alike>,
    swept: Option<Moment>,
}

impl Known {
    /// As what a refusal is counted: its own kind, or that of nobody where too many people of this second were refused alike.
    fn counted_as(&mut self, kind: Kind, at: Moment) -> Kind {
        if kind.person.is_none() || self.bursts.get(&kind).is_some_and(|burst| burst.goes_on(at)) {
            return kind;
        }
        let of_nobody = Kind { person: None, ..kind };
        if self.alike.len() >= BURSTS && !self.alike.contains_key(&of_nobody) {
            self.alike.retain(|_, alike| alike.goes_on(at));
            if self.alike.len() >= BURSTS {
                return Kind { person: kind.person, ..of_nobody };
            }
        }
        let alike = self.alike.entry(of_nobody.clone()).or_insert(Alike { began: at, people: 0 });
        if !alike.goes_on(at) {
            *alike = Alike { began: at, people: 0 };
        }
        alike.people = alike.people.saturating_add(1);
        if alike.people > PEOPLE { of_nobody } else { Kind { person: kind.person, ..of_nobody } }
    }

    /// A burst begins, if there is room for it.
    fn begin(&mut self, kind: Kind, at: Moment, about: Option<Subject>) {
        let just_swept = |swept: Moment| (0..SWEEP_MS).contains(&at.0.saturating_sub(swept.0));
        if self.bursts.len() >= BURSTS && !self.swept.is_some_and(just_swept) {
            self.bursts.retain(|_, burst| burst.goes_on(at));
            self.swept = Some(at);
        }
        if self.bursts.len() < BURSTS || self.bursts.contains_key(&kind) {
            self.bursts.insert(kind, Burst { began: at, about, gathering: None });
        }
    }
}

/// The bursts of this moment.
#[derive(Debug, Default)]
pub(crate) struct Bursts(Mutex<Known>);

impl Bursts {
    fn lock(&self) -> MutexGuard<'_, Known> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes a refusal into its burst; `shielded` is whom it is about and who is or was shielded. None: it is to be written by itself.
    /// Else it is counted, and with a kind the caller sees to it that [`Bursts::close`] is called for that after [`GATHER`], and
    /// that what it gives is written and told.
    pub(crate) fn take(&self, entry: &AuditEntry, shielded: Option<&Subject>) -> Option<(Gathered, Option<Kind>)> {
        let Decision::Refused(code) = entry.decision else { return None };
        let person = entry.caller.as_ref().map(|caller| caller.user_id.clone());
        let AuditEntry { organisation, role, method, shielded: marked, .. } = *entry;
        let of_one = !is_of_several(method);
        let (about, shielded) = (shielded.filter(|_| of_one), of_one && (marked || shielded.is_some()));
        let kind = Kind { organisation, role, person, method, code, shielded };
        let mut known = self.lock();
        let kind = known.counted_as(kind, entry.at);
        match known.bursts.get_mut(&kind).filter(|burst| burst.goes_on(entry.at)) {
            Some(burst) => {
                burst.about = burst.about.take().or_else(|| about.cloned());
                if let Some(gathering) = &mut burst.gathering {
                    gathering.count += 1;
                    gathering.last = gathering.last.max(entry.at);
                    gathering.first.person_proven &= entry.person_proven;
                    return Some((Gathered { settled: gathering.tell.subscribe() }, None));
                }
                let (tell, settled) = watch::channel(None);
                burst.gathering = Some(Gathering { first: entry.clone(), count: 1, last: entry.at, tell });
                Some((Gathered { settled }, Some(kind)))
            }
            None => {
                known.begin(kind, entry.at, about.cloned());
                None
            }
        }
    }

    /// The entry for what was gathered, and whom to tell what became of it. One alone is the entry that it would have been. Where
    /// they are about children who are or were shielded, so is the entry that counts: beside the first one, which tells no place, it
    /// would else tell it.
    pub(crate) fn close(&self, kind: &Kind) -> Option<(AuditEntry, watch::Sender<Option<Settled>>)> {
        let (gathered, subject) = {
            let mut known = self.lock();
            let burst = known.bursts.get_mut(kind)?;
            (burst.gathering.take()?, burst.about.clone())
        };
        let Gathering { first, count, last, tell } = gathered;
        if count == 1 {
            return Some((first, tell));
        }
        let decision = Decision::RefusedMany { code: kind.code, count, first: first.at, last };
        let AuditEntry { organisation, role, caller, method, person_proven, .. } = first;
        // Of those counted together one person would be named for all.
        let caller = caller.filter(|_| kind.person.is_some());
        let (shielded, person_proven) = (kind.shielded, person_proven && caller.is_some());
        let none = AuditEntry::of_service(last, decision);
        let counted = AuditEntry { organisation, role, caller, method, subject, shielded, person_proven, ..none };
        Some((counted, tell))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::audit_entry::Call;
    use kith_domain::caller::{Caller, Peer, Purpose};
    use kith_domain::proof::PersonProof;
    use kith_domain::text::{PersonText, RoleCode};

    fn refused(at: i64, user: &str, reason: &str) -> AuditEntry {
        let organisation = OdsCode::parse("R1H").unwrap();
        let caller = Caller {
            user_id: UserId::parse(user).unwrap(),
            user_name: PersonText::parse("A Nurse").unwrap(),
            user_role: PersonText::parse("Nurse").unwrap(),
            purpose: Purpose::DirectCare,
            organisation,
            role_code: RoleCode::parse("R8000").unwrap(),
        };
        let peer = Peer { organisation, role: Role::Ed };
        let call = Call { peer, method: Method::Lookup, trace: None, person: PersonProof::NotAsked };
        let request_id = Some(uuid::Uuid::from_u128(u128::try_from(at).unwrap()));
        AuditEntry::of_call(Moment(at), call, Some(caller), request_id, Decision::Refused(RefusalCode::of(reason)))
    }

    /// Takes them all, and gives how many are written by themselves and the kinds to be closed.
    fn take(bursts: &Bursts, entries: impl IntoIterator<Item = AuditEntry>) -> (usize, Vec<Kind>) {
        let (mut alone, mut opened) = (0, Vec::new());
        for entry in entries {
            match bursts.take(&entry, None) {
                None => alone += 1,
                Some((_, kind)) => opened.extend(kind),
            }
        }
        (alone, opened)
    }

    #[test]
    fn the_first_of_a_burst_is_an_entry_of_its_own_and_the_others_are_one() {
        let bursts = Bursts::default();
        let (alone, opened) = take(&bursts, (0..1_000).map(|at| refused(at, "n1", "ROLE_NOT_ALLOWED")));
        assert_eq!((alone, opened.len()), (1, 1));
        let (entry, _) = bursts.close(&opened[0]).unwrap();
        let code = RefusalCode::of("ROLE_NOT_ALLOWED");
        let (first, last) = (Moment(1), Moment(999));
        assert_eq!(entry.decision, Decision::RefusedMany { code, count: 999, first, last });
        assert_eq!((entry.at, entry.method, entry.role), (last, Some(Method::Lookup), Some(Role::Ed)));
        assert_eq!(entry.caller.map(|caller| caller.user_id), Some(UserId::parse("n1").unwrap()), "who is kept");
        assert_eq!(bursts.close(&opened[0]).map(|(entry, _)| entry), None, "each is counted once");
    }

    #[test]
    fn another_person_code_or_second_is_a_burst_of_its_own() {
        let bursts = Bursts::default();
        let (alone, opened) = take(
            &bursts,
            [
                refused(0, "n1", "ROLE_NOT_ALLOWED"),
                refused(1, "n2", "ROLE_NOT_ALLOWED"),
                refused(2, "n1", "PURPOSE_NOT_ALLOWED"),
                refused(1_000, "n1", "ROLE_NOT_ALLOWED"),
            ],
        );
        assert_eq!((alone, opened.len()), (4, 0));
        let (alone, opened) = take(&bursts, [refused(999, "n1", "ROLE_NOT_ALLOWED")]);
        assert_eq!((alone, opened.len()), (1, 0), "a clock that is set back");
        let answered = AuditEntry { decision: Decision::Started, ..refused(3, "n1", "ROLE_NOT_ALLOWED") };
        assert!(bursts.take(&answered, None).is_none(), "what is no refusal is never counted");
    }

    fn child() -> Subject {
        Subject::Nhs(kith_domain::NhsNumber::from_first_nine(999_000_001).unwrap())
    }

    /// No entry without a place counts on behind one that has it, nor the other way round.
    #[test]
    fn what_is_about_a_shielded_child_is_counted_apart_from_what_is_not() {
        let (bursts, child) = (Bursts::default(), child());
        let of = |at| bursts.take(&refused(at, "n1", "ROLE_NOT_ALLOWED"), (at % 2 == 1).then_some(&child));
        let (mut alone, mut opened) = (0, Vec::new());
        for at in 0..8 {
            match of(at) {
                None => alone += 1,
                Some((_, kind)) => opened.extend(kind),
            }
        }
        assert_eq!((alone, opened.len()), (2, 2), "the first of each is an entry of its own");
        let counted = |kind: &Kind| {
            let (entry, _) = bursts.close(kind).unwrap();
            assert!(matches!(entry.decision, Decision::RefusedMany { count: 3, .. }), "{:?}", entry.decision);
            (entry.subject, entry.shielded)
        };
        assert_eq!(counted(&opened[0]), (None, false), "about nobody: they may be many");
        assert_eq!(counted(&opened[1]), (Some(child.clone()), true), "whatever is held when it is read");
    }

    /// One that is marked is, though nobody is found in it by now.
    #[test]
    fn what_is_marked_is_counted_with_what_is_shielded() {
        let bursts = Bursts::default();
        let of = |at, shielded| AuditEntry { shielded, ..refused(at, "n1", "ROLE_NOT_ALLOWED") };
        let (alone, opened) = take(&bursts, [of(0, false), of(1, true), of(2, true), of(3, true)]);
        assert_eq!((alone, opened.len()), (2, 1));
        let (entry, _) = bursts.close(&opened[0]).unwrap();
        assert_eq!((entry.subject, entry.shielded), (None, true));
    }

    /// Its entries are shown alike, whoever they are about. A second one that is written by itself would be told from them.
    #[test]
    fn refusals_of_a_worklist_are_counted_as_one_and_about_nobody() {
        let (bursts, child) = (Bursts::default(), child());
        let of = |at: i64| {
            let (method, shielded) = (Some(Method::LookupMany), at == 1);
            let entry = AuditEntry { method, shielded, ..refused(at, "n1", "BAD_DATE") };
            bursts.take(&entry, shielded.then_some(&child))
        };
        let opened: Vec<Kind> = (0..4).filter_map(of).filter_map(|(_, kind)| kind).collect();
        assert_eq!(opened.len(), 1);
        let (entry, _) = bursts.close(&opened[0]).unwrap();
        assert!(matches!(entry.decision, Decision::RefusedMany { count: 3, .. }), "{:?}", entry.decision);
        assert_eq!((entry.subject, entry.shielded), (None, false));
    }

    #[test]
    fn those_counted_together_are_proven_where_each_of_them_was() {
        let of = |at, person_proven| AuditEntry { person_proven, ..refused(at, "n1", "ROLE_NOT_ALLOWED") };
        for (second, third) in [(true, true), (true, false), (false, true)] {
            let bursts = Bursts::default();
            let (_, opened) = take(&bursts, [of(0, true), of(1, second), of(2, third)]);
            let (entry, _) = bursts.close(&opened[0]).unwrap();
            assert_eq!(entry.person_proven, second && third);
        }
        let bursts = Bursts::default();
        let many = (0..100).map(|n| AuditEntry { person_proven: true, ..refused(0, &format!("u{n}"), "MALFORMED") });
        let (_, opened) = take(&bursts, many);
        let (entry, _) = bursts.close(&opened[0]).unwrap();
        assert_eq!((entry.caller, entry.person_proven), (None, false), "nobody is named for all, so nobody is proven");
    }

    #[test]
    fn one_that_stays_alone_is_the_entry_that_it_would_have_been() {
        let bursts = Bursts::default();
        let second = refused(5, "n1", "ROLE_NOT_ALLOWED");
        let (_, opened) = take(&bursts, [refused(0, "n1", "ROLE_NOT_ALLOWED"), second.clone()]);
        assert_eq!(bursts.close(&opened[0]).unwrap().0, second);
        let (alone, opened) = take(&bursts, [refused(6, "n1", "ROLE_NOT_ALLOWED")]);
        assert_eq!((alone, opened.len()), (0, 1), "the burst goes on");
    }

    #[tokio::test]
    async fn nobody_goes_on_before_the_entry_is_written_and_all_hear_of_its_failure() {
        let bursts = Bursts::default();
        assert!(bursts.take(&refused(0, "n1", "ROLE_NOT_ALLOWED"), None).is_none());
        let (one, kind) = bursts.take(&refused(1, "n1", "ROLE_NOT_ALLOWED"), None).unwrap();
        let (other, none) = bursts.take(&refused(2, "n1", "ROLE_NOT_ALLOWED"), None).unwrap();
        assert_eq!(none, None);
        let waiting = tokio::spawn(one.settled());
        tokio::task::yield_now().await;
        assert!(!waiting.is_finished());
        let (_, tell) = bursts.close(&kind.unwrap()).unwrap();
        tokio::task::yield_now().await;
        assert!(!waiting.is_finished());
        tell.send_replace(Some(Err(AuditError::NoSink)));
        assert_eq!(waiting.await.unwrap(), Err(AuditError::NoSink));
        assert_eq!(other.settled().await, Err(AuditError::NoSink));
    }

    #[tokio::test]
    async fn whoever_was_to_write_and_ended_lets_nothing_leave() {
        let bursts = Bursts::default();
        assert!(bursts.take(&refused(0, "n1", "ROLE_NOT_ALLOWED"), None).is_none());
        let (one, kind) = bursts.take(&refused(1, "n1", "ROLE_NOT_ALLOWED"), None).unwrap();
        drop(bursts.close(&kind.unwrap()));
        assert_eq!(one.settled().await, Err(AuditError::Closed));
    }

    #[test]
    fn bursts_are_bounded_and_those_that_ended_make_room() {
        let bursts = Bursts::default();
        let of = |n: usize, at| {
            let organisation = OdsCode::parse(&format!("A{n:05}")).unwrap();
            AuditEntry { organisation: Some(organisation), ..refused(at, "n1", "MALFORMED") }
        };
        let many = |from: usize, at| (from..from + BURSTS).map(move |n| of(n, at));
        take(&bursts, many(0, 0));
        take(&bursts, many(BURSTS, 1));
        assert_eq!(bursts.lock().bursts.len(), BURSTS);
        let (alone, opened) = take(&bursts, [of(0, 2), of(2 * BURSTS, 2)]);
        assert_eq!((alone, opened.len()), (1, 1), "a burst that is known goes on; others are written one by one");
        take(&bursts, many(0, 5_000));
        assert_eq!(bursts.lock().bursts.len(), BURSTS);
        assert!(bursts.lock().alike.len() <= BURSTS);
    }

    #[test]
    fn whoever_invents_people_fills_no_disk() {
        let bursts = Bursts::default();
        let invented =
            |from: u32, at: i64| (from..from + 1_000).map(move |n| refused(at, &format!("u{n}"), "MALFORMED"));
        let (alone, opened) = take(&bursts, invented(0, 0));
        assert_eq!((alone, opened.len()), (17, 1), "16 people, and the first of those beyond them");
        let (entry, _) = bursts.close(&opened[0]).unwrap();
        assert!(matches!(entry.decision, Decision::RefusedMany { count: 983, .. }), "{:?}", entry.decision);
        assert_eq!((entry.caller, entry.role), (None, Some(Role::Ed)), "none is named for all");
        let (alone, opened) = take(&bursts, [refused(1, "u3", "MALFORMED"), refused(2, "u1", "ROLE_NOT_ALLOWED")]);
        assert_eq!(
            (alone, opened.len()),
            (1, 1),
            "a burst that is known goes on by its person, and another code by its own"
        );
        let (alone, _) = take(&bursts, invented(2_000, 1_000));
        assert_eq!(alone, 17, "a second later they are named again");
    }
}
