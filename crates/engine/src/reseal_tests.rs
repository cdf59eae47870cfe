//! The data key rotated under a running engine: it takes the new one, seals the state anew, and refuses a keyring that would
//! take away what it needs.

use super::*;
use crate::{Configured, EngineOptions, JournalOptions, KeepTree, KeyEncryptionKey, PurgeOptions, SystemMonotonic};
use kith_domain::caller::{Peer, Role};
use kith_domain::change::{Change, Feed, Heartbeat};
use kith_domain::codes::OdsCode;
use kith_domain::method::Method;
use kith_domain::permit::authorise_action;
use kith_domain::policy::Policy;
use kith_domain::time::Moment;
use kith_store::{KeySource, KeyringEdit};
use std::time::Instant;
use uuid::Uuid;

/// 2026-11-22 in the afternoon.
const NOW: Moment = Moment(1_795_359_600_000);
/// Event ids, one row each: several stretches.
const EVENTS: u128 = 900;

/// A directory with a key file, and what stands in it.
struct Place {
    root: tempfile::TempDir,
    source: KeySource,
}

impl Place {
    fn new() -> Self {
        let root = tempfile::tempdir().unwrap();
        let path = root.path().join("storage.key");
        KeyEncryptionKey::create(&path).unwrap();
        Self { root, source: KeySource::File(path) }
    }

    fn dir(&self, name: &str) -> std::path::PathBuf {
        self.root.path().join(name)
    }

    fn keys(&self) -> Arc<Keys> {
        Arc::new(Keys::open(&self.dir("store"), &self.source).unwrap())
    }

    /// With so long a pause after each stretch.
    fn options(&self, pause: Duration) -> EngineOptions {
        EngineOptions {
            data_dir: self.dir("store"),
            keys: self.keys(),
            store: StoreOptions::default(),
            journal: JournalOptions::new(self.dir("audit"), self.dir("spill")),
            tree: KeepTree::No,
            boot_id: "test".into(),
            settings: kith_domain::settings::AnswerSettings::default(),
            directory: Arc::default(),
            policy: Arc::default(),
            interval_seconds: Box::new(|_| 86_400),
            clock: Arc::new(SystemMonotonic::default()),
            wall_clock: Arc::new(|| NOW),
            flags: kith_domain::flag::FlagRules::default(),
            give_up: Box::new(|| false),
            thin: kith_domain::feed_volume::ThinRule::default(),
            expected_per_week: Box::new(|_| None),
            purge: PurgeOptions { enabled: false, pause, ..PurgeOptions::default() },
        }
    }

    fn open(&self, pause: Duration) -> Engine {
        let engine = Engine::open(self.options(pause), NOW, Arc::new(|what| panic!("the log failed: {what}"))).unwrap();
        // As the server does, with an entry of the audit before.
        if let Some(stamp) = engine.changed_keyring() {
            engine.note_keyring(stamp);
        }
        engine
    }

    fn edit(&self) -> KeyringEdit {
        KeyringEdit::open(&self.dir("store"), &self.source).unwrap()
    }

    fn counted(&self) -> KeyUses {
        let (audit, spill) = (self.dir("audit"), self.dir("spill"));
        // Beside a running engine a file may go while it is read.
        (0..100).find_map(|_| key_uses(&self.dir("store"), [&audit, &spill], &self.keys()).ok()).unwrap()
    }

    fn uses(&self, version: u8) -> Vec<&'static str> {
        self.counted().of(version).into_iter().map(|(what, _)| what).collect()
    }

    fn assert_sound(&self) {
        let (audit, spill) = (self.dir("audit"), self.dir("spill"));
        let report = crate::verify(&self.dir("store"), [&audit, &spill], None, &self.keys()).unwrap();
        assert!(report.is_sound(), "{report}");
        assert!(
            report.to_string().contains("tree: NONE is kept"),
            "sound as far as that can be told without: {report}"
        );
    }
}

async fn send(engine: &Engine, first: u128) {
    let organisation = OdsCode::parse("R1H").unwrap();
    let peer = Peer { organisation, role: Role::Ed };
    let permit = authorise_action(&Policy::builtin(), peer, None, Method::Record).unwrap();
    let feed = Feed::Presentations(organisation);
    let beat = |n| Change::Heartbeat(Heartbeat { feed, event_id: Uuid::from_u128(n) });
    let verdicts = engine.change(&permit, NOW, (first..first + EVENTS).map(beat).collect()).await;
    assert!(verdicts.iter().all(Result::is_ok), "{verdicts:?}");
}

fn rotate(place: &Place, engine: &Engine) {
    place.edit().rotate(NOW.0).unwrap();
    let new = engine.look_at_keys().unwrap().unwrap();
    engine.adopt_keys(new);
    assert!(engine.look_at_keys().unwrap().is_none());
}

fn until(what: &str, done: impl Fn() -> bool) {
    let limit = Instant::now() + Duration::from_secs(30);
    while !done() {
        assert!(Instant::now() < limit, "in vain: {what}");
        std::thread::sleep(Duration::from_millis(5));
    }
}

#[tokio::test]
async fn the_state_is_sealed_anew_behind_the_service_and_the_audit_keeps_its_key() {
    let place = Place::new();
    let engine = place.open(Duration::ZERO);
    send(&engine, 0).await;
    assert_eq!((engine.reseal_left(), engine.data_key_version()), (0, 1));
    rotate(&place, &engine);
    assert_eq!(engine.data_key_version(), 2);
    assert!(engine.reseal_left() >= 1_000, "in steps of a thousand, and never nought before the end");
    send(&engine, EVENTS).await;
    until("all is sealed anew", || engine.reseal_left() == 0);
    send(&engine, 2 * EVENTS).await;
    engine.close(NOW);
    drop(engine);
    assert_eq!(place.uses(1), ["entries of the audit"]);
    assert_eq!(resealed_to(&place.dir("store"), &place.keys()).unwrap(), 2);
    place.assert_sound();
    let engine = place.open(Duration::ZERO);
    assert_eq!((engine.reseal_left(), engine.data_key_version(), engine.changed_keyring()), (0, 2, None));
    engine.close(NOW);
}

/// Stopped in the middle, and rotated again while nothing runs: the next start finds both and goes on.
#[tokio::test]
async fn what_was_broken_off_goes_on_at_the_next_start() {
    let place = Place::new();
    let engine = place.open(Duration::from_millis(300));
    send(&engine, 0).await;
    rotate(&place, &engine);
    until("the first stretch is written", || place.counted().state.get(&2).is_some_and(|rows| *rows > 200));
    engine.close(NOW);
    drop(engine);
    assert!(place.uses(1).contains(&"rows of the state"), "it was broken off");
    place.assert_sound();
    place.edit().rotate(NOW.0).unwrap();
    let engine = place.open(Duration::ZERO);
    assert_eq!(engine.data_key_version(), 3);
    until("all is sealed anew", || engine.reseal_left() == 0);
    engine.close(NOW);
    drop(engine);
    for version in [1, 2] {
        assert_eq!(place.uses(version), ["entries of the audit"], "{version}");
    }
    place.assert_sound();
}

/// Before the first stretch too, and after the last one while the snapshot and what RocksDB has not rewritten are still to follow:
/// whoever reads nought may take the old key away.
#[tokio::test]
async fn nought_is_never_left_while_it_is_due() {
    let place = Place::new();
    let engine = place.open(Duration::from_secs(3_600));
    send(&engine, 0).await;
    rotate(&place, &engine);
    // Its thread is gone, and what it had found can be anything.
    engine.close(NOW);
    for (found, left) in [(0, 1_000), (1, 1_000), (1_000, 1_000), (1_001, 2_000)] {
        engine.resealer.left.store(found, Ordering::Release);
        assert_eq!(engine.reseal_left(), left, "{found}");
    }
}

/// Whoever changes the keyring by hand, with the key in hand, can take away no key that is in use.
#[tokio::test]
async fn a_keyring_without_a_key_that_is_in_use_is_not_taken() {
    let place = Place::new();
    let engine = place.open(Duration::from_secs(3_600));
    send(&engine, 0).await;
    rotate(&place, &engine);
    place.edit().rotate(NOW.0).unwrap();
    place.edit().forget(1).unwrap();
    assert!(matches!(engine.look_at_keys(), Err(KeyError::KeyringForeign)));
    send(&engine, EVENTS).await;
    assert_eq!(engine.data_key_version(), 2, "what is in force stays");
    engine.close(NOW);
}

/// A change while nothing runs is found by the next start, once.
#[tokio::test]
async fn a_change_while_nothing_runs_is_told_once() {
    let place = Place::new();
    place.open(Duration::ZERO).close(NOW);
    place.edit().rotate(NOW.0).unwrap();
    let stamp = place.keys().stamp();
    let store = Store::open_read_only(&place.dir("store"), place.keys(), StoreOptions::default()).unwrap();
    assert_ne!(store.noted_keyring(), stamp);
    drop(store);
    place.open(Duration::ZERO).close(NOW);
    let store = Store::open_read_only(&place.dir("store"), place.keys(), StoreOptions::default()).unwrap();
    assert_eq!(store.noted_keyring(), stamp);
}

/// What could not be noted, for want of room, would otherwise be in the audit once more with each start.
#[tokio::test]
async fn a_keyring_that_could_not_be_noted_is_noted_later() {
    let place = Place::new();
    place.open(Duration::ZERO).close(NOW);
    place.edit().rotate(NOW.0).unwrap();
    let open = Engine::open(place.options(Duration::ZERO), NOW, Arc::new(|what| panic!("the log failed: {what}")));
    let engine = open.unwrap();
    let stamp = engine.changed_keyring().unwrap();
    *engine.resealer.unnoted() = Some(stamp);
    until("it is noted", || engine.changed_keyring().is_none());
    until("it is known to be", || engine.resealer.unnoted().is_none());
    engine.close(NOW);
}

/// An empty directory beside an audit is a disk that is not mounted, though its new keys do not open that audit.
#[tokio::test]
async fn an_empty_store_beside_an_audit_of_other_keys_is_data_loss() {
    let place = Place::new();
    let engine = place.open(Duration::ZERO);
    send(&engine, 0).await;
    engine.close(NOW);
    drop(engine);
    std::fs::rename(place.dir("store"), place.dir("elsewhere")).unwrap();
    let refused = Engine::open(place.options(Duration::ZERO), NOW, Arc::new(|_| {})).unwrap_err();
    assert_eq!(refused.reason(), "DATA_LOSS_SUSPECTED", "{refused}");
    assert!(!place.dir("store").exists(), "a new keyring would be taken for the one that is gone");
    // As after a start that was killed before there was a record.
    Store::open(&place.dir("store"), place.keys(), StoreOptions::default()).unwrap().close();
    let again = Engine::open(place.options(Duration::ZERO), NOW, Arc::new(|_| {})).unwrap_err();
    assert_eq!(again.reason(), "DATA_LOSS_SUSPECTED", "{again}");
}

/// Its number stands on disk.
#[test]
fn a_change_of_the_keys_keeps_its_number_in_the_audit() {
    assert_eq!(crate::rows::encode(&Configured::Keys).unwrap(), [1, 5]);
}
