//! The engine, in process, against a naive model: random changes, questions, acknowledgements, restarts and crashes, every
//! verdict and every answer compared field by field. It never starts a server.

mod answers;
mod expected;
pub mod place;
mod random;
mod told;

use std::collections::BTreeMap;

use kith_domain::answer::Body;
use kith_domain::caller::{CareContext, Role};
use kith_domain::change::{Acknowledged, Change};
use kith_domain::method::Method;
use kith_domain::time::Moment;
use kith_engine::{Asked, ReadError};

use crate::harness::count;
use crate::harness::wait::{until, until_async};
use expected::{Expected, Model};
use place::{AUTHORITIES, Place, assert_sound, authority, reader, sender};
use random::{Dice, SUBJECTS, subject};

/// When it begins: 2026-09-21.
const BEGIN: Moment = Moment(1_790_000_000_000);
/// Restarts and crashes, evenly over the steps.
const RESTARTS: u32 = 16;
/// The seed where none is given: the same run every time, so that a red one is a change.
const SEED: u64 = 20_091;

/// One run of the model beside the engine.
struct Run {
    place: Place,
    model: Model,
    dice: Dice,
    steps: u32,
    /// Audit sequence of the last lookup that makes history.
    counted: u64,
    gaps: usize,
    seen: BTreeMap<&'static str, u32>,
}

impl Run {
    fn new(seed: u64) -> Self {
        let (dice, place) = (Dice::new(seed, BEGIN), Place::new(BEGIN));
        Self { place, model: Model::default(), dice, steps: 0, counted: 0, gaps: 0, seen: BTreeMap::new() }
    }

    fn saw(&mut self, what: &'static str) {
        *self.seen.entry(what).or_default() += 1;
    }

    /// A group of changes in one call.
    async fn changes(&mut self) {
        let size = 1 + self.dice.below(30);
        let changes: Vec<Change> = (0..size).map(|_| self.dice.change()).collect();
        let at = self.dice.now;
        let expected: Vec<Expected> = changes.iter().map(|change| self.model.change(at, change)).collect();
        let verdicts = self.place.engine().change(&sender(), at, changes.clone()).await;
        assert_eq!(verdicts.len(), changes.len());
        for ((change, verdict), expected) in changes.iter().zip(&verdicts).zip(&expected) {
            self.model.compare(change, verdict, expected);
            self.steps += 1;
            self.saw(match expected {
                Expected::New(kith_domain::fold::Effect::Applied) => "applied",
                Expected::New(kith_domain::fold::Effect::Overtaken) => "overtaken",
                Expected::New(kith_domain::fold::Effect::Kept) => "kept",
                Expected::Repeated(_) => "repeated",
                Expected::Refused(refused) => refused.reason,
            });
        }
    }

    /// Questions about different people, so that none waits for the history of another.
    async fn questions(&mut self) {
        let people: Vec<usize> = (0..SUBJECTS).collect();
        for n in self.dice.some(&people, 45) {
            let asked = self.dice.question(n);
            self.ask(asked).await;
            self.steps += 1;
        }
    }

    async fn ask(&mut self, asked: Asked) {
        let found = self.place.engine().ask(asked.clone()).await;
        if asked.peer.role == Role::LocalAuthority {
            assert!(matches!(found, Err(ReadError::Refused(_))), "an authority may not ask: {found:?}");
            return self.saw("not allowed");
        }
        let found = found.expect("an answer");
        self.model.assert_answer(&asked, &found.answer);
        self.saw(match found.answer.body {
            Body::Open(_) => "open",
            Body::Shielded(_) => "shielded",
            Body::Opened(_) => panic!("nobody opened it"),
            Body::IdentityNotConfirmed => "identity not confirmed",
        });
        if asked.context == CareContext::Unscheduled && asked.method != Method::LookupMany {
            self.counted = found.reference.sequence;
            self.model.lookup(&asked);
        }
    }

    /// Until the history of every lookup is in the log.
    async fn derived(&self) {
        let wanted = self.counted;
        until_async("history is derived", async || {
            (self.place.engine().positions().derived_through >= wanted).then_some(())
        })
        .await;
    }

    /// An authority acknowledges some of its notifications, and one that may not be its own.
    async fn acknowledge(&mut self) {
        let code = authority(self.dice.below(AUTHORITIES.len()));
        let found = self.place.notifications(code, false);
        assert_eq!(found, self.model.notifications(code, false), "{code}");
        let own: Vec<u64> = found.iter().map(|stored| stored.id).collect();
        let mut ids = self.dice.some(&own, 40);
        ids.push(1 + self.dice.below(200) as u64);
        let (event_id, at) = (self.dice.event_id(), self.dice.now);
        let change = Change::Acknowledged(Acknowledged { authority: code, event_id, ids: ids.clone() });
        for _ in 0..2 {
            let expected = self.model.change(at, &change);
            let verdict = self.place.engine().acknowledge(&reader(code), at, event_id, ids.clone()).await;
            self.model.compare(&change, &verdict, &expected);
            self.steps += 1;
        }
        self.saw("acknowledgements");
    }

    /// The log is trimmed: the model knows nothing of it and must not notice, and the end verifies from the snapshot.
    fn trim(&mut self) {
        tokio::task::block_in_place(|| self.place.engine().trim()).expect("a trim");
        self.saw("trims");
    }

    /// Ends in order with history still to derive, or crashes, and starts again.
    async fn restart(&mut self) {
        let at = self.dice.now;
        if self.dice.chance(50) {
            self.trim();
        }
        if self.dice.chance(50) {
            tokio::task::block_in_place(|| self.place.restart(at));
            self.saw("restarts");
        } else {
            self.derived().await;
            tokio::task::block_in_place(|| self.place.crash(at));
            self.gaps += 1;
            self.saw("crashes");
        }
        let gaps = self.gaps;
        until("every crash is announced as a gap", || (self.place.gaps() >= gaps).then_some(()));
        assert_eq!(self.place.gaps(), gaps, "an end in order is no gap");
        self.derived().await;
    }

    /// Every person asked about by every trust, every notification listed: nothing is left out at the end.
    async fn everything(&mut self) {
        for n in 0..SUBJECTS {
            let mut asked = self.dice.question(n);
            asked.peer.role = Role::Ed;
            asked.caller.purpose = place::purpose_of(Role::Ed);
            asked.context = CareContext::Unscheduled;
            asked.question.birth_date = None;
            asked.method = Method::LookupMany;
            assert_eq!(asked.question.subject, subject(n));
            self.ask(asked).await;
        }
        for n in 0..AUTHORITIES.len() {
            let code = authority(n);
            assert_eq!(self.place.notifications(code, true), self.model.notifications(code, true), "{code}");
        }
    }
}

/// A stop while loading leaves nothing half done: the next start has no gap to announce.
#[test]
fn giving_up_while_loading_leaves_no_gap() {
    let now = Run::new(SEED).dice.now;
    let mut place = Place::new(now);
    let error = place.give_up_opening(now);
    assert!(matches!(error, kith_engine::EngineError::GivenUp), "{error}");
    assert_eq!(place.gaps(), 0, "a gap was announced for a start that was given up");
    place.shut(now);
    assert_sound(&place.verify());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_engine_agrees_with_a_naive_model() {
    let given = std::env::var("KITH_TEST_SEED").ok().map(|text| text.parse().expect("KITH_TEST_SEED is a number"));
    let (seed, steps) = (given.unwrap_or(SEED), count("KITH_TEST_STEPS", 10_000));
    println!("model: KITH_TEST_SEED={seed} KITH_TEST_STEPS={steps}");
    let mut run = Run::new(seed);
    let mut restarts = 0_u32;
    while run.steps < steps {
        run.dice.tick();
        run.changes().await;
        if run.dice.chance(60) {
            run.questions().await;
        }
        if u64::from(run.steps) * u64::from(RESTARTS + 1) >= u64::from(steps) * u64::from(restarts + 1) {
            restarts += 1;
            run.restart().await;
        }
        run.derived().await;
        if run.dice.chance(8) {
            run.acknowledge().await;
        }
    }
    run.everything().await;
    run.place.shut(run.dice.now);
    assert_sound(&run.place.verify());
    println!("model: {} steps, {:?}", run.steps, run.seen);
    if given.is_none() && steps >= 10_000 {
        let usual = ["applied", "overtaken", "repeated", "EVENT_ID_REUSED", "VERSION_REUSED", "SUBJECT_MISMATCH"];
        let rare = ["open", "shielded", "identity not confirmed", "not allowed", "restarts", "crashes", "trims"];
        for what in usual.into_iter().chain(rare) {
            assert!(run.seen.contains_key(what), "the run never met: {what}");
        }
    }
}
