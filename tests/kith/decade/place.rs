//! The engine in a scratch directory, with a directory of thirty authorities and thirty trusts and a clock that the decade
//! drives. Opened, closed in order, or broken off: then it goes on from the files as they were, as after a power cut.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

use kith_domain::caller::{Peer, Role};
use kith_domain::change::Change;
use kith_domain::codes::{LaCode, OdsCode, SiteCode};
use kith_domain::directory::{AuthorityEntry, Directory, OrganisationEntry, SiteEntry};
use kith_domain::feed_volume::ThinRule;
use kith_domain::method::Method;
use kith_domain::permit::{ActionPermit, authorise_action};
use kith_domain::plan_file::{FileVerdict, PlanFile};
use kith_domain::policy::Policy;
use kith_domain::settings::AnswerSettings;
use kith_domain::time::Moment;
use kith_domain::validate;
use kith_engine::{
    Engine, EngineOptions, JournalOptions, Keys, PurgeOptions, StoreOptions, SystemMonotonic, Verdict, verify,
};

use uuid::Uuid;

use super::calendar;
use crate::harness::wait::until;
use crate::model::place::{assert_sound, copy, listing};

/// Authorities and trusts.
pub const FEEDS: usize = 30;
/// Every feed's interval: three days.
pub const INTERVAL_SECONDS: u64 = 3 * 86_400;
/// Offices are open from half past eight to five.
pub const OPENS: i64 = 8 * 60 + 30;
pub const CLOSES: i64 = 17 * 60;
/// The number that tells no place.
pub const NATIONAL_PHONE: &str = "020 7946 0999";
/// Days for which used event ids are kept: a sender of the decade repeats an event within hours.
const EVENT_ID_DAYS: i32 = 60;
/// Notifications acknowledged at once; what is over is left for the next week.
const MOST_ACKNOWLEDGED: usize = 400;
const YEARS: std::ops::RangeInclusive<i32> = 2026..=2060;

pub fn authority(n: usize) -> LaCode {
    LaCode::parse(&format!("E0600{n:04}")).expect("a code")
}

pub fn trust(n: usize) -> OdsCode {
    OdsCode::parse(&format!("R{n:02}")).expect("a code")
}

/// The only site of a trust.
pub fn site(n: usize) -> SiteCode {
    SiteCode::parse(&format!("R{n:02}01")).expect("a code")
}

pub fn authorities() -> impl Iterator<Item = LaCode> {
    (0..FEEDS).map(authority)
}

pub fn trusts() -> impl Iterator<Item = OdsCode> {
    (0..FEEDS).map(trust)
}

pub fn authority_phone(code: LaCode, office: bool) -> String {
    format!("{} {}", code, if office { "office" } else { "duty" })
}

pub fn own_phone(code: OdsCode) -> String {
    format!("{code} safeguarding")
}

fn directory() -> Directory {
    let minute = |minute: i64| u16::try_from(minute).expect("a minute of the day");
    let entry = |code: LaCode| AuthorityEntry {
        name: code.to_string(),
        office_phone: authority_phone(code, true),
        out_of_hours_phone: authority_phone(code, false),
        opens_minute: minute(OPENS),
        closes_minute: minute(CLOSES),
    };
    let organisation =
        |code: OdsCode| OrganisationEntry { name: code.to_string(), contact_phone: own_phone(code), successor: None };
    let site_of = |n: usize| (site(n), SiteEntry { name: site(n).to_string(), organisation: trust(n) });
    Directory {
        authorities: authorities().map(|code| (code, entry(code))).collect(),
        organisations: trusts().map(|code| (code, organisation(code))).collect(),
        sites: (0..FEEDS).map(site_of).collect(),
        bank_holidays: calendar::holidays(YEARS).collect(),
        national_name: "National contact".into(),
        national_phone: NATIONAL_PHONE.into(),
    }
}

fn permit(role: Role, method: Method) -> ActionPermit {
    authorise_action(&Policy::builtin(), Peer { organisation: trust(0), role }, None, method).expect("a permit")
}

/// An open engine and its files.
pub struct Place {
    root: tempfile::TempDir,
    generation: usize,
    engine: Option<Engine>,
    keys: Arc<Keys>,
    clock: Arc<AtomicI64>,
}

impl Place {
    pub fn new(now: Moment) -> Self {
        let root = tempfile::Builder::new().prefix("kith-decade-").tempdir().expect("a scratch directory");
        let (keys, clock) = (Arc::new(Keys::from_master([9; 32])), Arc::new(AtomicI64::new(now.0)));
        let mut place = Self { root, generation: 0, engine: None, keys, clock };
        place.open();
        place
    }

    pub fn engine(&self) -> &Engine {
        self.engine.as_ref().expect("an open engine")
    }

    pub fn now(&self) -> Moment {
        Moment(self.clock.load(Ordering::Acquire))
    }

    /// Time goes on, and never back.
    pub fn set(&self, now: Moment) {
        assert!(self.clock.swap(now.0, Ordering::AcqRel) <= now.0, "time went back");
    }

    fn dir(&self) -> PathBuf {
        self.root.path().join(self.generation.to_string())
    }

    fn open(&mut self) {
        let (dir, now) = (self.dir(), self.now());
        std::fs::create_dir_all(&dir).expect("a directory");
        let on_fatal: kith_engine::OnFatal = Arc::new(|what| eprintln!("the log failed: {what}"));
        // A lock of the engine before may be let go a moment later.
        let engine = until("open the engine", || Engine::open(self.options(&dir), now, Arc::clone(&on_fatal)).ok());
        self.engine = Some(engine);
    }

    fn options(&self, dir: &Path) -> EngineOptions {
        let clock = Arc::clone(&self.clock);
        let mut journal = JournalOptions::new(dir.join("audit"), dir.join("spill"));
        // The machine is shared: its disk may be slow, and nobody waits here.
        (journal.wait_after, journal.fail_after) = (Duration::from_secs(10), Duration::from_secs(120));
        let mut purge = PurgeOptions { enabled: false, pause: Duration::ZERO, ..PurgeOptions::default() };
        purge.notes.event_id_days = EVENT_ID_DAYS;
        EngineOptions {
            data_dir: dir.join("store"),
            keys: Arc::clone(&self.keys),
            // Small caches, so that resident memory tells of what is held and not of how far they have filled.
            store: StoreOptions { block_cache_bytes: 8 << 20, write_buffer_bytes: 8 << 20, ..StoreOptions::default() },
            journal,
            tree: kith_engine::KeepTree::No,
            boot_id: format!("boot-{}", self.generation),
            settings: AnswerSettings::default(),
            directory: Arc::new(directory()),
            policy: Arc::default(),
            interval_seconds: Box::new(|_| INTERVAL_SECONDS),
            // Volumes are looked at every so often by a machine's clock, not by the days that are lived through here: whether a
            // quiet morning of a small trust is caught thin is left to the tests of feeds.
            thin: ThinRule { percent: 0, ..ThinRule::default() },
            expected_per_week: Box::new(|_| None),
            clock: Arc::new(SystemMonotonic::default()),
            wall_clock: Arc::new(move || Moment(clock.load(Ordering::Acquire))),
            flags: kith_domain::flag::FlagRules::default(),
            purge,
            give_up: Box::new(|| false),
        }
    }

    fn close(&mut self) {
        if let Some(engine) = self.engine.take() {
            engine.close(self.now());
        }
    }

    /// Ends in order and starts again.
    pub fn restart(&mut self) {
        self.close();
        self.open();
    }

    /// Goes on from a copy of the files as they are; the engine that wrote them ends unheard. Only while nothing is written.
    pub fn break_off(&mut self) {
        let (from, to) = (self.dir(), self.root.path().join((self.generation + 1).to_string()));
        until("files at rest", || {
            let before = listing(&from)?;
            let _ = std::fs::remove_dir_all(&to);
            let copied = copy(&from, &to).is_ok();
            (copied && listing(&from)? == before).then_some(())
        });
        self.close();
        std::fs::remove_dir_all(&from).expect("the files of before go");
        self.generation += 1;
        self.open();
    }

    /// Everything on disk is whole, and the log replays to the state that is stored. Closes and opens.
    pub fn verified(&mut self) {
        self.close();
        let dir = self.dir();
        let report = until("verify", || {
            let found = verify(&dir.join("store"), [&dir.join("audit"), &dir.join("spill")], None, &self.keys);
            found.map_err(|error| eprintln!("not verified yet: {error}")).ok()
        });
        assert_sound(&report);
        self.open();
    }

    /// Sends a group of changes as the server does: what cannot be taken at all is refused before the log is asked.
    pub async fn send(&self, changes: &[Change]) -> Vec<Verdict> {
        let (engine, now) = (self.engine(), self.now());
        let held_days = engine.settings().presentation_retention_days;
        let valid = |change: &Change| {
            if let Change::Plan(event) = change {
                validate::plan_event(event, engine.directory(), now)
            } else if let Change::Presentation(event) = change {
                validate::presentation_event(event, engine.directory(), held_days, now)
            } else {
                Ok(())
            }
        };
        let checked: Vec<_> = changes.iter().map(valid).collect();
        let good: Vec<Change> =
            changes.iter().zip(&checked).filter(|(_, checked)| checked.is_ok()).map(|(one, _)| one.clone()).collect();
        let permit = permit(Role::Ed, Method::Record);
        let mut taken = if good.is_empty() { Vec::new() } else { engine.change(&permit, now, good).await }.into_iter();
        let verdict = |checked: Result<(), _>| checked.and_then(|()| taken.next().expect("a verdict for each"));
        checked.into_iter().map(verdict).collect()
    }

    /// Sends an authority's plan file; `bytes` tells one content from another.
    pub async fn send_file(&self, authority: LaCode, file: &PlanFile, bytes: &[u8]) -> FileVerdict {
        let permit = permit(Role::LocalAuthority, Method::SubmitPlanFile);
        let hash = self.engine().file_hash(bytes);
        self.engine().take_file(&permit, authority, self.now(), hash, file).await
    }

    /// An authority reads what it is told of lookups, and acknowledges it; gives how many there were.
    pub async fn acknowledged(&self, code: LaCode, event_id: Uuid) -> usize {
        let organisation = OdsCode::parse(code.as_str()).expect("a code");
        let peer = Peer { organisation, role: Role::LocalAuthority };
        let reader = authorise_action(&Policy::builtin(), peer, None, Method::ListNotifications).expect("a permit");
        let page = self.engine().notifications(&reader, 0, MOST_ACKNOWLEDGED, false).expect("notifications");
        let ids: Vec<u64> = page.notifications.iter().map(|stored| stored.id).collect();
        let count = ids.len();
        if count > 0 {
            self.engine().acknowledge(&reader, self.now(), event_id, ids).await.expect("acknowledged");
        }
        count
    }

    /// Bytes of the log and the state on disk.
    pub fn bytes(&self) -> u64 {
        listing(&self.dir().join("store")).expect("files").iter().map(|(_, length)| length).sum()
    }

    /// Rows of each table. Only for the end of a year: closes and opens.
    pub fn rows(&mut self) -> Vec<(&'static str, u64)> {
        self.close();
        let rows = kith_engine::inspect(&self.dir().join("store"), &self.keys).expect("the tables");
        self.open();
        rows.into_iter().collect()
    }
}
