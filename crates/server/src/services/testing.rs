//! An engine in a scratch directory, for tests of what callers hear when its audit fails.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use kith_domain::caller::{Caller, Peer, Purpose, Role};
use kith_domain::codes::{LaCode, OdsCode, SiteCode};
use kith_domain::directory::{AuthorityEntry, Directory, OrganisationEntry, SiteEntry};
use kith_domain::method::Method;
use kith_domain::permit::{ActionPermit, authorise_action};
use kith_domain::policy::{Policy, PolicyRow};
use kith_domain::proof::PersonProof;
use kith_domain::settings::AnswerSettings;
use kith_domain::text::{PersonText, RoleCode, UserId};
use kith_engine::{
    Call, Engine, EngineOptions, JournalOptions, KeepTree, Keys, Monotonic, PurgeOptions, StoreOptions,
    SystemMonotonic, TreeOptions,
};
use kith_merkle::LogSigner;
use tokio::runtime::Handle;
use tonic::Status;
use tonic_types::StatusExt;

use super::{Services, now};
use crate::application::Wiring;
use crate::config::{Config, Limits};
use crate::edge::Edge;
use crate::engine_slot::EngineSlot;
use crate::person_tokens::PersonTokens;
use crate::stop::{self, StopHandle};

const AUTHORITY: &str = "E06000001";
/// A trust with one site.
pub(super) const TRUST: &str = "R1H";

pub(super) fn authority() -> LaCode {
    LaCode::parse(AUTHORITY).unwrap()
}

fn peer() -> Peer {
    Peer { organisation: OdsCode::parse(AUTHORITY).unwrap(), role: Role::LocalAuthority }
}

pub(super) fn call(method: Method) -> Call {
    Call { peer: peer(), method, trace: None, person: PersonProof::NotAsked }
}

pub(super) fn caller() -> Caller {
    Caller {
        user_id: UserId::parse("u1").unwrap(),
        user_name: PersonText::parse("A Clerk").unwrap(),
        user_role: PersonText::parse("Clerk").unwrap(),
        purpose: Purpose::RecordKeeping,
        organisation: peer().organisation,
        role_code: RoleCode::parse("R8000").unwrap(),
    }
}

pub(super) fn permit(method: Method) -> ActionPermit {
    authorise_action(&Policy::builtin(), peer(), None, method).unwrap()
}

/// The least that a policy must grant.
pub(super) fn grants_nothing_to_senders() -> Policy {
    let words = |word: &str| vec![word.to_owned()];
    let questions = PolicyRow {
        roles: words("ed"),
        methods: words("LookupService/Lookup"),
        purposes: words("direct-care"),
        contexts: Some(words("unscheduled")),
        fields: Some(Vec::new()),
    };
    Policy::parse(&[questions]).expect("a policy")
}

/// The reason of a status.
pub(crate) fn reason(status: &Status) -> String {
    status.get_details_error_info().unwrap().reason
}

fn options(dir: &Path) -> EngineOptions {
    let entry = AuthorityEntry {
        name: "Authority".into(),
        office_phone: "01632 960001".into(),
        out_of_hours_phone: "01632 960002".into(),
        opens_minute: 540,
        closes_minute: 1020,
    };
    let organisation = OdsCode::parse(TRUST).unwrap();
    let trust = OrganisationEntry { name: "Trust".into(), contact_phone: "01632 960003".into(), successor: None };
    let site = SiteEntry { name: "Hospital".into(), organisation };
    let directory = Directory {
        authorities: BTreeMap::from([(authority(), entry)]),
        organisations: BTreeMap::from([(organisation, trust)]),
        sites: BTreeMap::from([(SiteCode::parse(&format!("{TRUST}01")).unwrap(), site)]),
        ..Directory::default()
    };
    EngineOptions {
        data_dir: dir.join("store"),
        keys: Arc::new(Keys::from_master([7; 32])),
        store: StoreOptions::default(),
        journal: JournalOptions::new(dir.join("audit"), dir.join("spill")),
        tree: KeepTree::No,
        boot_id: "test".into(),
        settings: AnswerSettings::default(),
        directory: Arc::new(directory),
        policy: Arc::default(),
        interval_seconds: Box::new(|_| 86_400),
        clock: Arc::new(SystemMonotonic::default()),
        wall_clock: Arc::new(now),
        give_up: Box::new(|| false),
        thin: kith_domain::feed_volume::ThinRule::default(),
        expected_per_week: Box::new(|_| None),
        flags: kith_domain::flag::FlagRules { enabled: false, ..Default::default() },
        purge: PurgeOptions { enabled: false, ..PurgeOptions::default() },
    }
}

/// The number of the audit's newest entry.
pub(super) fn last(engine: &Engine) -> u64 {
    loop {
        let synced = engine.positions().synced_through;
        let unsynced = engine.audit_window().unsynced;
        // What is synced between the two looks would be counted in neither.
        if engine.positions().synced_through == synced {
            return synced + unsynced;
        }
    }
}

/// An engine's clock that stands until it is moved.
#[derive(Debug, Default)]
pub(super) struct StandingClock(AtomicU64);

impl StandingClock {
    pub(super) fn advance_ms(&self, milliseconds: u64) {
        self.0.fetch_add(milliseconds, Ordering::Relaxed);
    }
}

impl Monotonic for StandingClock {
    fn now(&self) -> Duration {
        Duration::from_millis(self.0.load(Ordering::Relaxed))
    }
}

pub(crate) struct Place {
    pub(crate) engine: Arc<Engine>,
    dir: tempfile::TempDir,
}

/// The services over an engine, as the process has them; they hear the order to stop when the handle goes.
pub(super) fn services(place: &Place) -> (Services, StopHandle) {
    services_within(place, Limits::default())
}

/// The same, within other limits.
pub(super) fn services_within(place: &Place, limits: Limits) -> (Services, StopHandle) {
    services_with(place, limits, Arc::default())
}

/// The same, where a list says whose people need a token.
pub(super) fn services_with(place: &Place, limits: Limits, tokens: Arc<PersonTokens>) -> (Services, StopHandle) {
    let slot = Arc::new(EngineSlot::default());
    slot.fill(Ok(Arc::clone(&place.engine)));
    let (stop, signal) = stop::channel();
    let wiring = Wiring {
        engine: slot,
        config: Arc::new(Config { limits, ..Config::default() }),
        directory: Arc::default(),
        stop: signal,
        control: Handle::current(),
        edge: Edge::default(),
    };
    (Services::new(wiring, Arc::default(), tokens), stop)
}

impl Place {
    pub(crate) fn new() -> Self {
        Self::opened(tempfile::tempdir().unwrap(), |options, _| options)
    }

    /// With a tree over the audit, of which every entry is under a signed head at once.
    pub(crate) fn with_tree(signer: LogSigner) -> Self {
        Self::opened(tempfile::tempdir().unwrap(), |options, dir| {
            let tree = TreeOptions::new(dir.join("tree"), Some(Arc::new(signer)));
            let tree = TreeOptions { every: Duration::from_millis(1), ..tree };
            EngineOptions { tree: KeepTree::Kept(tree), ..options }
        })
    }

    /// By another clock than the system's.
    pub(super) fn with_clock(clock: Arc<dyn Monotonic>) -> Self {
        Self::opened(tempfile::tempdir().unwrap(), |options, _| EngineOptions { clock, ..options })
    }

    /// Where an organisation of the directory may ask, and no answer waits for a sync, however long one takes.
    pub(super) fn asked_by(organisation: OdsCode) -> Self {
        Self::opened(tempfile::tempdir().unwrap(), |options, _| {
            let (name, contact_phone) = ("Trust".to_owned(), "01632 960003".to_owned());
            let entry = OrganisationEntry { name, contact_phone, successor: None };
            let organisations = BTreeMap::from([(organisation, entry)]);
            let directory = Arc::new(Directory { organisations, ..(*options.directory).clone() });
            let hour = Duration::from_secs(3_600);
            let journal = JournalOptions { wait_after: hour, fail_after: hour * 2, ..options.journal };
            EngineOptions { directory, journal, ..options }
        })
    }

    fn opened(dir: tempfile::TempDir, with: impl FnOnce(EngineOptions, &Path) -> EngineOptions) -> Self {
        let options = with(options(dir.path()), dir.path());
        let engine = Engine::open(options, now(), Arc::new(|what| panic!("the log failed: {what}"))).unwrap();
        Self { engine: Arc::new(engine), dir }
    }

    /// Its directory, with the data, the audit and the tree.
    pub(crate) fn dir(&self) -> &Path {
        self.dir.path()
    }

    /// From here on the audit takes no entry: what was changed before has none.
    pub(crate) fn fail(&self) {
        self.engine.close(now());
    }
}
