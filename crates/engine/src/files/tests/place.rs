//! An engine in a scratch directory, two authorities, and files made of rows.

use crate::{Engine, EngineOptions, JournalOptions, Keys, StoreOptions, SystemMonotonic};
use kith_domain::NhsNumber;
use kith_domain::caller::{Peer, Role};
use kith_domain::change::{Change, IdentityAction, IdentityEvent, PlanAction, PlanEvent};
use kith_domain::child::{ChildRecord, Subject};
use kith_domain::codes::{LaCode, OdsCode};
use kith_domain::directory::{AuthorityEntry, Directory, OrganisationEntry};
use kith_domain::method::Method;
use kith_domain::permit::{ActionPermit, authorise_action};
use kith_domain::plan::PlanKind;
use kith_domain::plan_file::{FileMode, FileRow, FileVerdict, Missing, Named, PlanFile, PlanRow, RowVerdict};
use kith_domain::policy::Policy;
use kith_domain::settings::AnswerSettings;
use kith_domain::text::PlanReference;
use kith_domain::time::{Day, Moment};
use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

pub const REPORT: FileMode = FileMode::Snapshot(Missing::Report);
pub const END: FileMode = FileMode::Snapshot(Missing::End);
/// 2026-11-22 in the afternoon.
pub const NOW: Moment = Moment(1_795_359_600_000);

pub fn days_on(days: i64) -> Moment {
    NOW.plus_seconds(days * 86_400)
}

pub fn authority(n: u32) -> LaCode {
    LaCode::parse(&format!("E0600000{n}")).unwrap()
}

pub fn keys() -> Arc<Keys> {
    Arc::new(Keys::from_master([7; 32]))
}

pub fn nhs(n: u32) -> NhsNumber {
    let first_nine = 999_000_000 + 2 * n;
    NhsNumber::from_first_nine(first_nine).or_else(|| NhsNumber::from_first_nine(first_nine + 1)).unwrap()
}

pub fn day(text: &str) -> Day {
    Day::parse(text).unwrap()
}

/// What an engine in this directory opens with: without a tree, and purging only when it is told to.
pub fn options(dir: &Path) -> EngineOptions {
    let entry = AuthorityEntry {
        name: "Authority".into(),
        office_phone: "01632 960001".into(),
        out_of_hours_phone: "01632 960002".into(),
        opens_minute: 540,
        closes_minute: 1020,
    };
    let trust = |code: &str| {
        let (name, contact_phone) = (format!("Trust {code}"), "01632 960003".to_owned());
        (OdsCode::parse(code).unwrap(), OrganisationEntry { name, contact_phone, successor: None })
    };
    let directory = Directory {
        authorities: BTreeMap::from([(authority(1), entry.clone()), (authority(2), entry)]),
        organisations: ["R1H", "RRK"].map(trust).into(),
        ..Directory::default()
    };
    EngineOptions {
        data_dir: dir.join("store"),
        keys: keys(),
        store: StoreOptions::default(),
        journal: JournalOptions::new(dir.join("audit"), dir.join("spill")),
        tree: crate::KeepTree::No,
        boot_id: "test".into(),
        settings: AnswerSettings::default(),
        directory: Arc::new(directory),
        policy: Arc::default(),
        interval_seconds: Box::new(|_| 86_400),
        clock: Arc::new(SystemMonotonic::default()),
        wall_clock: Arc::new(|| NOW),
        give_up: Box::new(|| false),
        thin: kith_domain::feed_volume::ThinRule::default(),
        expected_per_week: Box::new(|_| None),
        // An entry more or less would change what these tests count.
        flags: kith_domain::flag::FlagRules { enabled: false, ..Default::default() },
        purge: crate::PurgeOptions { enabled: false, ..crate::PurgeOptions::default() },
    }
}

fn open(dir: &Path) -> Engine {
    Engine::open(options(dir), NOW, Arc::new(|what| panic!("the log failed: {what}"))).unwrap()
}

/// An engine that can be opened anew.
pub struct Place {
    pub engine: Engine,
    pub dir: tempfile::TempDir,
}

impl Place {
    pub fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        Self { engine: open(dir.path()), dir }
    }

    pub fn reopened(self) -> Self {
        self.engine.close(NOW);
        let Self { engine, dir } = self;
        drop(engine);
        Self { engine: open(dir.path()), dir }
    }

    /// Sends a file of the first authority; the bytes are as different as its rows are.
    pub async fn send(&self, file: &PlanFile, at: Moment) -> FileVerdict {
        self.send_of(1, file, at).await
    }

    pub async fn send_of(&self, n: u32, file: &PlanFile, at: Moment) -> FileVerdict {
        let hash = self.engine.file_hash(format!("{file:?}{:?}", references(file)).as_bytes());
        self.engine.take_file(&permit(n), authority(n), at, hash, file).await
    }

    pub async fn event(&self, n: u32, event: PlanEvent) {
        let verdicts = self.engine.change(&permit(n), NOW, vec![Change::Plan(event)]).await;
        assert!(verdicts[0].is_ok(), "{verdicts:?}");
    }

    /// A number is told not to be valid any more.
    pub async fn invalidate(&self, n: u32) {
        let organisation = OdsCode::parse("X26").unwrap();
        let peer = Peer { organisation, role: Role::Demographics };
        let event = IdentityEvent {
            organisation,
            event_id: uuid::Uuid::from_u128(u128::from(n)),
            subject: Subject::Nhs(nhs(n)),
            version: 1,
            action: IdentityAction::Invalidated,
            proposal: None,
        };
        let permit = authorise_action(&Policy::builtin(), peer, None, Method::TellIdentity).unwrap();
        let verdicts = self.engine.change(&permit, NOW, vec![Change::Identity(event)]).await;
        assert!(verdicts[0].is_ok(), "{verdicts:?}");
    }

    pub fn record(&self, n: u32) -> Option<Arc<ChildRecord>> {
        self.engine.index().for_writer(&Subject::Nhs(nhs(n)))
    }

    /// The last day of a child's only plan.
    pub fn end(&self, n: u32) -> Option<Day> {
        self.record(n).unwrap().plans[0].end.get().copied()
    }

    /// Closes it; the hash of all that it holds, which the log replays to.
    pub fn hash(self) -> String {
        self.engine.close(NOW);
        let Self { engine, dir } = self;
        drop(engine);
        let dir = dir.path();
        let report =
            crate::verify(&dir.join("store"), [&dir.join("audit"), &dir.join("spill")], None, &keys()).unwrap();
        assert!(report.is_sound(), "{report}");
        format!("{:?}", report.state)
    }
}

/// References, numbers and dates of birth are redacted in `Debug`, so they are added to what is hashed.
fn references(file: &PlanFile) -> Vec<String> {
    let one = |row: &FileRow| {
        let plan = row.plan.as_ref().ok()?;
        let reference = plan.reference.as_ref().map_or("", PlanReference::as_str);
        let born = plan.birth_date.map(Day::text).unwrap_or_default();
        Some(format!("{}/{reference}/{born}", plan.number.digits()))
    };
    file.rows.iter().filter_map(one).collect()
}

pub fn permit(n: u32) -> ActionPermit {
    let organisation = OdsCode::parse(authority(n).as_str()).unwrap();
    authorise_action(
        &Policy::builtin(),
        Peer { organisation, role: Role::LocalAuthority },
        None,
        Method::SubmitPlanFile,
    )
    .unwrap()
}

pub fn file(number: u64, mode: FileMode, rows: Vec<PlanRow>) -> PlanFile {
    let rows = (3_u64..).zip(rows).map(|(line, row)| filed(line, row)).collect();
    PlanFile { number, mode, rows }
}

fn filed(line: u64, row: PlanRow) -> FileRow {
    let named = Named { number: Some(row.number), reference: row.reference.clone() };
    FileRow { line, named, plan: Ok(row), further: Vec::new() }
}

/// The `n`th child's plan since the tenth of January.
pub fn row(n: u32) -> PlanRow {
    PlanRow {
        number: nhs(n),
        birth_date: Some(day("2018-03-04")),
        kind: PlanKind::ChildProtection,
        start: Some(day("2026-01-10")),
        end: None,
        reference: Some(PlanReference::parse(&format!("P{n}")).unwrap()),
        family: None,
        actions: Vec::new(),
        shielded: false,
    }
}

pub fn rows(numbers: std::ops::Range<u32>) -> Vec<PlanRow> {
    numbers.map(row).collect()
}

/// The same plan as an event.
pub fn event(by: u32, n: u32, version: u64) -> PlanEvent {
    let id = uuid::Uuid::from_u128((u128::from(n) << 64) | u128::from(version));
    let events = row(n).events(authority(by), 0, 0, |_| id);
    PlanEvent { version, action: PlanAction::Start, ..events[0].clone() }
}

/// Reasons of the rows, in order; empty for a loaded one.
pub fn reasons(verdict: &FileVerdict) -> Vec<String> {
    let one = |verdict: &RowVerdict| match verdict {
        RowVerdict::Loaded { shielded: false } => String::new(),
        RowVerdict::Loaded { shielded: true } => "shielded".into(),
        RowVerdict::Fault(fault) | RowVerdict::Noted(fault) => {
            format!("{} {}", fault.column, fault.reason).trim().to_owned()
        }
    };
    verdict.rows.iter().map(|row| one(&row.verdict)).collect()
}
