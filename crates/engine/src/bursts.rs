//! Bursts of refusals. The first of a burst is an entry of its own, with the person and whom it was about. Those that follow it
//! within a second, of the same organisation, person, call and code, are gathered for some milliseconds and counted in one
//! entry, so that whoever is refused in a loop fills no disk, nor whoever invents people for it. None is answered before the entry that counts it is durable: what
//! a refusal waits for is never given up for being one of many.
//!
//! An entry that counts on is shown as the first one is: with a place behind one that has a place, and then about nobody; without one
//! behind one that is about a child who is or was shielded. One that names such a child behind one with a place would tell whose
//! place that is. Nor is anything that a caller can time decided by a shield: else whoever is refused could tell by how long the
//! refusal takes whether a child is shielded. Of a call about several children every entry is shown with its place and without whom
//! it is about (`audit_seen`), so that its refusals are counted about nobody.

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
    first: First,
    gathering: Option<Gathering>,
}

/// What the first of a burst, which is an entry of its own, tells of a shield.
#[derive(Debug, Clone)]
struct First {
    /// It is about a child who is or was shielded: it is shown without a place.
    shielded: bool,
    /// That child, where one is found in it.
    about: Option<Subject>,
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
    fn begin(&mut self, kind: Kind, at: Moment, first: First) {
        let just_swept = |swept: Moment| (0..SWEEP_MS).contains(&at.0.saturating_sub(swept.0));
        if self.bursts.len() >= BURSTS && !self.swept.is_some_and(just_swept) {
            self.bursts.retain(|_, burst| burst.goes_on(at));
            self.swept = Some(at);
        }
        if self.bursts.len() < BURSTS || self.bursts.contains_key(&kind) {
            self.bursts.insert(kind, Burst { began: at, first, gathering: None });
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
        let AuditEntry { organisation, role, method, .. } = *entry;
        let kind = Kind { organisation, role, person, method, code };
        let mut known = self.lock();
        let kind = known.counted_as(kind, entry.at);
        match known.bursts.get_mut(&kind).filter(|burst| burst.goes_on(entry.at)) {
            Some(burst) => {
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
                let hidden = (entry.shielded || shielded.is_some()) && !is_of_several(method);
                let first = First { shielded: hidden, about: shielded.filter(|_| hidden).cloned() };
                known.begin(kind, entry.at, first);
                None
            }
        }
    }

    /// The entry for what was gathered, and whom to tell what became of it. One alone is the entry that it would have been, as of two
    /// people who are refused one after the other. An entry that counts is by whom the first one is by, and so it tells no place where
    /// that one tells none.
    pub(crate) fn close(&self, kind: &Kind) -> Option<(AuditEntry, watch::Sender<Option<Settled>>)> {
        let (gathered, First { shielded, about: subject }) = {
            let mut known = self.lock();
            let burst = known.bursts.get_mut(kind)?;
            (burst.gathering.take()?, burst.first.clone())
        };
        let Gathering { first, count, last, tell } = gathered;
        if count == 1 {
            return Some((first, tell));
        }
        let decision = Decision::RefusedMany { code: kind.code, count, first: first.at, last };
        let AuditEntry { organisation, role, caller, method, person_proven, .. } = first;
        // Of those counted together one person would be named for all.
        let caller = caller.filter(|_| kind.person.is_some());
        let person_proven = person_proven && caller.is_some();
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

    /// A refusal, about a child who is or was shielded or not.
    fn take_about(bursts: &Bursts, at: i64, shielded: bool) -> Option<Option<Kind>> {
        let entry = AuditEntry { shielded, ..refused(at, "n1", "ROLE_NOT_ALLOWED") };
        bursts.take(&entry, shielded.then(child).as_ref()).map(|(_, kind)| kind)
    }

    /// No entry without a place counts on behind one that has it, nor the other way round. One alone counts nothing: it is about whom it
    /// is about, for whoever asks for that child.
    #[test]
    fn what_counts_on_is_shown_as_the_first_one_is() {
        for (first, named) in [(false, None), (true, Some(child()))] {
            for others in [vec![!first], vec![!first, first], vec![first, !first], vec![!first, !first, !first]] {
                let bursts = Bursts::default();
                assert_eq!(take_about(&bursts, 0, first), None, "an entry of its own");
                let taken: Vec<_> =
                    (1..).zip(&others).filter_map(|(at, shielded)| take_about(&bursts, at, *shielded)).collect();
                let Some(Some(kind)) = taken.first() else {
                    panic!("the second one opens what is gathered: {taken:?}")
                };
                let (entry, _) = bursts.close(kind).unwrap();
                let Decision::RefusedMany { count, .. } = entry.decision else {
                    assert_eq!((others.len(), entry.shielded), (1, !first), "{:?}", entry.decision);
                    continue;
                };
                assert_eq!(usize::try_from(count), Ok(others.len()));
                assert_eq!((entry.subject, entry.shielded), (named.clone(), first));
            }
        }
    }

    /// Whoever is refused, and may ask about nobody, could else tell by how long that takes whether a child is shielded.
    #[test]
    fn how_long_a_refusal_takes_does_not_tell_of_a_shield() {
        let waits = |about: [bool; 4]| {
            let bursts = Bursts::default();
            let wait = |(at, shielded)| take_about(&bursts, at, shielded).map(|opened| opened.is_some());
            (0..).zip(about).map(wait).collect::<Vec<_>>()
        };
        let ordinary = waits([false; 4]);
        assert_eq!(ordinary, [None, Some(true), Some(false), Some(false)], "at once, gathering, with what is gathered");
        for about in [[true; 4], [false, true, false, true], [true, false, true, true], [false, false, true, true]] {
            assert_eq!(waits(about), ordinary, "{about:?}");
        }
    }

    /// One that is marked has no place, though nobody is found in it by now.
    #[test]
    fn what_counts_on_behind_one_that_is_marked_has_no_place() {
        let bursts = Bursts::default();
        let of = |at, shielded| AuditEntry { shielded, ..refused(at, "n1", "ROLE_NOT_ALLOWED") };
        let (alone, opened) = take(&bursts, [of(0, true), of(1, false), of(2, false)]);
        assert_eq!((alone, opened.len()), (1, 1));
        let (entry, _) = bursts.close(&opened[0]).unwrap();
        assert_eq!((entry.subject, entry.shielded), (None, true));
    }

    /// Its entries are shown alike, whoever they are about.
    #[test]
    fn refusals_of_a_worklist_are_counted_as_one_and_about_nobody() {
        for hidden in 0..4 {
            for last in [1, 3] {
                let bursts = Bursts::default();
                let of = |at: i64| {
                    let (method, shielded) = (Some(Method::LookupMany), at == hidden);
                    let entry = AuditEntry { method, shielded, ..refused(at, "n1", "BAD_DATE") };
                    bursts.take(&entry, shielded.then(child).as_ref())
                };
                let opened: Vec<Kind> = (0..=last).filter_map(of).filter_map(|(_, kind)| kind).collect();
                assert_eq!(opened.len(), 1);
                let (entry, _) = bursts.close(&opened[0]).unwrap();
                let many = matches!(entry.decision, Decision::RefusedMany { count: 3, .. });
                assert_eq!((many, entry.subject), (last == 3, None), "{hidden}: {:?}", entry.decision);
                assert_ne!((many, entry.shielded), (true, true), "{hidden}");
            }
        }
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
