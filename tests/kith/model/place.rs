//! An engine in a scratch directory, with a small directory of its own: opened, closed in order, or crashed by going on
//! from a copy of its files. In process; never a server and never the protocol.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use kith_domain::caller::{Caller, CareContext, Peer, Purpose, Role};
use kith_domain::codes::{LaCode, OdsCode};
use kith_domain::directory::{AuthorityEntry, Directory, OrganisationEntry};
use kith_domain::feed_volume::ThinRule;
use kith_domain::method::Method;
use kith_domain::permit::{ActionPermit, authorise_action};
use kith_domain::policy::Policy;
use kith_domain::settings::AnswerSettings;
use kith_domain::text::{PersonText, RoleCode, UserId};
use kith_domain::time::Moment;
use kith_engine::{
    Engine, EngineOptions, JournalOptions, Keys, PurgeOptions, StoreOptions, StoredNotification, SystemMonotonic,
    TreeCheck, TreeOptions, VerifyReport, verify,
};
use kith_merkle::LogSigner;

use crate::harness::wait::until;

/// Authorities known.
pub const AUTHORITIES: [&str; 3] = ["E06000001", "E06000002", "E06000003"];
/// Trusts known.
pub const TRUSTS: [&str; 3] = ["R0A", "R1H", "RRK"];
/// Every feed's interval.
pub const INTERVAL_SECONDS: u64 = 3 * 86_400;
/// Small enough that every cap is met.
pub const SETTINGS: AnswerSettings = AnswerSettings {
    presentation_window_days: 90,
    presentation_retention_days: 365,
    plan_retention_months: 12,
    max_presentations: 6,
    max_plans: 4,
    cannot_say_percent: 40,
    sibling_injury_days: 90,
};
/// Name of the contact of shielded records.
pub const NATIONAL: &str = "National contact";
/// Notifications asked for at once: fewer than there are, so that pages are turned.
const PAGE: usize = 50;

/// Who signs the audit's tree.
fn signer() -> Arc<LogSigner> {
    Arc::new(LogSigner::from_seed("model.test/audit", &[5; 32]).expect("a name"))
}

pub fn authority(n: usize) -> LaCode {
    LaCode::parse(AUTHORITIES[n]).unwrap()
}

pub fn trust(n: usize) -> OdsCode {
    OdsCode::parse(TRUSTS[n]).unwrap()
}

/// Everyone known; each name is its code.
pub fn directory() -> Directory {
    let entry = |name: &str| AuthorityEntry {
        name: name.into(),
        office_phone: "01632 960001".into(),
        out_of_hours_phone: "01632 960002".into(),
        opens_minute: 540,
        closes_minute: 1020,
    };
    let organisation =
        |name: &str| OrganisationEntry { name: name.into(), contact_phone: "01632 960003".into(), successor: None };
    Directory {
        authorities: AUTHORITIES.iter().map(|code| (LaCode::parse(code).unwrap(), entry(code))).collect(),
        organisations: TRUSTS.iter().map(|code| (OdsCode::parse(code).unwrap(), organisation(code))).collect(),
        sites: BTreeMap::new(),
        national_name: NATIONAL.into(),
        national_phone: "020 7946 0000".into(),
        ..Directory::default()
    }
}

/// A named person of a trust; `n` tells them apart.
pub fn caller(organisation: OdsCode, n: usize) -> Caller {
    Caller {
        user_id: UserId::parse(&format!("u{n}")).unwrap(),
        user_name: PersonText::parse(&format!("Nurse {n}")).unwrap(),
        user_role: PersonText::parse(&format!("Role {n}")).unwrap(),
        role_code: RoleCode::parse("R8000").unwrap(),
        purpose: Purpose::DirectCare,
        organisation,
    }
}

/// The purpose for which a role may ask.
pub fn purpose_of(role: Role) -> Purpose {
    if role == Role::Safeguarding { Purpose::SafeguardingReview } else { Purpose::DirectCare }
}

/// The care context in which a role may ask.
pub fn context_of(role: Role) -> CareContext {
    if role == Role::ScheduledCare { CareContext::Scheduled } else { CareContext::Unscheduled }
}

/// Proof that changes may be made; the engine leaves to its callers which ones.
pub fn sender() -> ActionPermit {
    authorise_action(&Policy::builtin(), Peer { organisation: trust(0), role: Role::Ed }, None, Method::Record).unwrap()
}

/// Proof that an authority may read its notifications.
pub fn reader(code: LaCode) -> ActionPermit {
    let organisation = OdsCode::parse(code.as_str()).unwrap();
    authorise_action(
        &Policy::builtin(),
        Peer { organisation, role: Role::LocalAuthority },
        None,
        Method::ListNotifications,
    )
    .unwrap()
}

/// An open engine and its files.
pub struct Place {
    root: tempfile::TempDir,
    generation: usize,
    engine: Option<Engine>,
    keys: Arc<Keys>,
    purge: PurgeOptions,
}

impl Place {
    /// A new one that holds nothing.
    pub fn new(now: Moment) -> Self {
        // Where a purge is to run, the test runs it.
        Self::with_purge(now, PurgeOptions { enabled: false, pause: Duration::ZERO, ..PurgeOptions::default() })
    }

    /// A new one that purges like this.
    pub fn with_purge(now: Moment, purge: PurgeOptions) -> Self {
        let root = tempfile::tempdir().unwrap();
        let mut place = Self { root, generation: 0, engine: None, keys: Arc::new(Keys::from_master([7; 32])), purge };
        place.open(now);
        place
    }

    /// Ends in order and starts again with another purge.
    pub fn restart_with(&mut self, now: Moment, purge: PurgeOptions) {
        self.purge = purge;
        self.restart(now);
    }

    /// Where its files are.
    pub fn files(&self) -> PathBuf {
        self.dir().join("store")
    }

    /// How many rows each table holds, and records the log. Only while it is closed.
    pub fn rows(&self) -> BTreeMap<&'static str, u64> {
        kith_engine::inspect(&self.files(), &self.keys).unwrap().into_iter().collect()
    }

    pub fn engine(&self) -> &Engine {
        self.engine.as_ref().unwrap()
    }

    fn dir(&self) -> PathBuf {
        self.root.path().join(self.generation.to_string())
    }

    fn open(&mut self, now: Moment) {
        let dir = self.dir();
        std::fs::create_dir_all(&dir).unwrap();
        let on_fatal: kith_engine::OnFatal = Arc::new(|what| eprintln!("the log failed: {what}"));
        let mut last = String::new();
        let engine =
            until("open the engine", || match Engine::open(self.options(&dir, now), now, Arc::clone(&on_fatal)) {
                Ok(engine) => Some(engine),
                Err(error) => {
                    let found = error.to_string();
                    if found != last {
                        eprintln!("not open yet: {found}");
                        last = found;
                    }
                    None
                }
            });
        self.engine = Some(engine);
    }

    fn options(&self, dir: &Path, now: Moment) -> EngineOptions {
        EngineOptions {
            data_dir: dir.join("store"),
            keys: Arc::clone(&self.keys),
            store: StoreOptions::default(),
            journal: JournalOptions::new(dir.join("audit"), dir.join("spill")),
            tree: kith_engine::KeepTree::Kept(TreeOptions::new(dir.join("tree"), Some(signer()))),
            boot_id: format!("boot-{}", self.generation),
            settings: SETTINGS,
            directory: Arc::new(directory()),
            policy: Arc::default(),
            interval_seconds: Box::new(|_| INTERVAL_SECONDS),
            // Volumes are held elsewhere: the model does not know them.
            thin: ThinRule { percent: 0, ..ThinRule::default() },
            expected_per_week: Box::new(|_| None),
            clock: Arc::new(SystemMonotonic::default()),
            wall_clock: Arc::new(move || now),
            flags: kith_domain::flag::FlagRules::default(),
            purge: self.purge,
            give_up: Box::new(|| false),
        }
    }

    /// Ends in order, and begins to open and gives up, as when the order to stop comes while loading.
    pub fn give_up_opening(&mut self, now: Moment) -> kith_engine::EngineError {
        self.shut(now);
        let dir = self.dir();
        let options = EngineOptions { give_up: Box::new(|| true), ..self.options(&dir, now) };
        let on_fatal: kith_engine::OnFatal = Arc::new(|what| eprintln!("the log failed: {what}"));
        let error = Engine::open(options, now, on_fatal).expect_err("it was to give up");
        self.open(now);
        error
    }

    /// Ends in order and starts again.
    pub fn restart(&mut self, now: Moment) {
        self.shut(now);
        self.open(now);
    }

    /// Ends in order.
    pub fn shut(&mut self, now: Moment) {
        if let Some(engine) = self.engine.take() {
            engine.close(now);
        }
    }

    /// Goes on from the files as they are, as after a power cut: nothing of the engine ends in order. Only while nothing
    /// is being written.
    pub fn crash(&mut self, now: Moment) {
        let from = self.dir();
        let to = self.root.path().join((self.generation + 1).to_string());
        until("files at rest", || {
            let before = listing(&from)?;
            let _ = std::fs::remove_dir_all(&to);
            let copied = copy(&from, &to).is_ok();
            (copied && listing(&from)? == before).then_some(())
        });
        self.shut(now);
        self.generation += 1;
        self.open(now);
    }

    /// Everything an authority is told, page by page.
    pub fn notifications(&self, code: LaCode, acknowledged: bool) -> Vec<StoredNotification> {
        let (mut all, mut after) = (Vec::new(), 0);
        loop {
            let page = self.engine().notifications(&reader(code), after, PAGE, acknowledged).unwrap();
            all.extend(page.notifications);
            match page.next_after {
                Some(next) => after = next,
                None => return all,
            }
        }
    }

    /// Audit gaps that every authority hears of.
    pub fn gaps(&self) -> usize {
        self.engine().notifications(&reader(authority(0)), u64::MAX - 1, 1, true).unwrap().gaps.len()
    }

    /// Holds the closed files against themselves.
    pub fn verify(&self) -> VerifyReport {
        assert!(self.engine.is_none(), "close the engine first");
        let dir = self.dir();
        until("verify", || {
            let key = Some(signer().key().clone());
            let tree = TreeCheck { dir: &dir.join("tree"), key, witnesses: Vec::new(), kept: Vec::new() };
            let sinks = [dir.join("audit"), dir.join("spill")];
            let found = verify(&dir.join("store"), [&sinks[0], &sinks[1]], Some(&tree), &self.keys);
            found.map_err(|error| eprintln!("not verified yet: {error}")).ok()
        })
    }
}

/// Asserts that what is on disk is whole, and that the log replays to the very state that is stored.
pub fn assert_sound(report: &VerifyReport) {
    assert!(report.is_sound(), "{report}");
}

/// Every file below a directory with its length.
pub fn listing(dir: &Path) -> Option<Vec<(PathBuf, u64)>> {
    let mut found = Vec::new();
    for item in std::fs::read_dir(dir).ok()? {
        let item = item.ok()?;
        let meta = item.metadata().ok()?;
        if meta.is_dir() {
            found.extend(listing(&item.path())?);
        } else {
            found.push((item.path(), meta.len()));
        }
    }
    found.sort();
    Some(found)
}

pub fn copy(from: &Path, to: &Path) -> std::io::Result<()> {
    std::fs::create_dir_all(to)?;
    for item in std::fs::read_dir(from)? {
        let item = item?;
        let target = to.join(item.file_name());
        if item.file_type()?.is_dir() {
            copy(&item.path(), &target)?;
        } else {
            std::fs::copy(item.path(), &target)?;
        }
    }
    Ok(())
}
