//! An engine filled with invented children, for the benchmarks. Opens the real store and the real audit journal in a
//! scratch directory; never used in production.

pub mod empty;
pub mod england;
pub mod layouts;
pub mod records;

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use kith_domain::NhsNumber;
use kith_domain::caller::{Peer, Role};
use kith_domain::change::{Change, Feed, Heartbeat, PlanAction, PlanEvent, PresentationAction, PresentationEvent};
use kith_domain::child::Subject;
use kith_domain::codes::{CodeError, LaCode, OdsCode, SiteCode};
use kith_domain::directory::{AuthorityEntry, Directory, OrganisationEntry};
use kith_domain::feed_volume::ThinRule;
use kith_domain::method::Method;
use kith_domain::permit::{ActionPermit, authorise_action};
use kith_domain::plan::PlanKind;
use kith_domain::policy::Policy;
use kith_domain::presentation::{CareSetting, Complaint, Details};
use kith_domain::settings::AnswerSettings;
use kith_domain::text::{EncounterId, FamilyReference};
use kith_domain::time::{Day, Moment};
use kith_engine::{AuditMode, Engine, EngineOptions, JournalOptions, Keys, StoreOptions, SystemMonotonic};
use uuid::Uuid;

/// The moment at which everything happens, unless a [`Source`] says another.
pub const NOW: Moment = Moment(1_790_000_000_000);
/// Who asks where it matters whether that is who saw a child: an emergency department of this trust.
pub const ASKER: &str = "R1H";
/// Changes sent to the writer at once.
const GROUP: usize = 500;
/// One child in so many has a plan.
const PLAN_EVERY: usize = 60;
/// Where children are shielded a feed is fresh for so long.
const FRESH_SECONDS: u64 = 3_600;
/// Before how long a feed was last heard of that is late there.
const LATE_SECONDS: i64 = 2 * 3_600;
/// How long ago a plan began.
const PLAN_DAYS: i32 = 254;

/// Where what is held comes from.
#[derive(Debug, Clone, Copy)]
pub struct Source {
    authority: &'static str,
    trust: &'static str,
    site: &'static str,
    /// Every child is on a plan of the authority, which shields it, and has two siblings there, one of them shielded; else one in
    /// sixty is on one.
    shielded: bool,
    /// Who looked at the children before, a day apart.
    viewers: [&'static str; 2],
    /// Where children are shielded: of the two places this one's feeds are late, or the other's.
    late: bool,
    now: Moment,
}

impl Source {
    /// What most measurements hold.
    pub const USUAL: Self = Self {
        authority: "E06000001",
        trust: "RRK",
        site: "RRK01",
        shielded: false,
        viewers: ["R1H", "R1H"],
        late: false,
        now: NOW,
    };
    /// Shielded children in one place, whose feeds are late: the asker's own trust saw them, of whom an answer would tell most.
    pub const SHIELDED_HERE: Self =
        Self { trust: ASKER, site: "R1H01", shielded: true, viewers: [ASKER, "RRK"], late: true, ..Self::USUAL };
    /// Shielded children of the same shape in another, whose names are longer: others hold, saw and looked at them and their
    /// siblings, and the first place's feeds are late.
    pub const SHIELDED_THERE: Self = Self {
        authority: "E06000002",
        trust: "RTG",
        site: "RTG01",
        shielded: true,
        viewers: ["RTG", "RRK"],
        late: false,
        now: NOW,
    };

    /// The same, with everything at another moment.
    #[must_use]
    pub fn at(self, now: Moment) -> Self {
        Self { now, ..self }
    }

    /// The moment at which everything happens.
    #[must_use]
    pub fn now(self) -> Moment {
        self.now
    }

    /// When a feed was last heard of that is late.
    fn late_at(self) -> Moment {
        self.now.plus_seconds(-LATE_SECONDS)
    }

    /// Who looked at the children before.
    #[must_use]
    pub fn viewers(self) -> [&'static str; 2] {
        self.viewers
    }

    /// The other of the two places of shielded children.
    fn other(self) -> Self {
        let other = if self.late { Self::SHIELDED_THERE } else { Self::SHIELDED_HERE };
        other.at(self.now)
    }
}

/// Why an engine could not be filled.
pub type Failure = Box<dyn std::error::Error>;

/// An open engine with what it holds; the directory goes with it.
pub struct Filled {
    /// The engine.
    pub engine: Arc<Engine>,
    /// Numbers about which something is held.
    pub held: Vec<NhsNumber>,
    /// Numbers about which nothing is held.
    pub unknown: Vec<NhsNumber>,
    dir: tempfile::TempDir,
}

impl Filled {
    /// Of the state, in `store`, and the audit, in `audit`; it goes with this value.
    #[must_use]
    pub fn folder(&self) -> &Path {
        self.dir.path()
    }
}

/// The `n`-th invented number from a base of the never-issued range.
fn numbers(base: u32, count: usize) -> Vec<NhsNumber> {
    (base..).filter_map(NhsNumber::from_first_nine).take(count).collect()
}

fn directory() -> Result<Directory, CodeError> {
    let authority = AuthorityEntry {
        name: "Authority".into(),
        office_phone: "01632 960001".into(),
        out_of_hours_phone: "01632 960002".into(),
        opens_minute: 540,
        closes_minute: 1020,
    };
    let organisation =
        OrganisationEntry { name: "Trust".into(), contact_phone: "01632 960003".into(), successor: None };
    Ok(Directory {
        authorities: BTreeMap::from([(LaCode::parse("E06000001")?, authority)]),
        organisations: BTreeMap::from([
            (OdsCode::parse("R1H")?, organisation.clone()),
            (OdsCode::parse("RRK")?, organisation),
        ]),
        national_name: "National".into(),
        national_phone: "020 7946 0000".into(),
        ..Directory::default()
    })
}

/// The directory with both places of shielded children.
fn both_places() -> Result<Directory, CodeError> {
    let mut directory = directory()?;
    let authority = AuthorityEntry {
        name: "The Royal Metropolitan Borough of Another Place".into(),
        office_phone: "01632 960004".into(),
        out_of_hours_phone: "01632 960005".into(),
        opens_minute: 480,
        closes_minute: 1050,
    };
    let organisation = OrganisationEntry {
        name: "Another Place and District Hospitals Foundation Trust".into(),
        contact_phone: "01632 960006".into(),
        successor: None,
    };
    directory.authorities.insert(LaCode::parse(Source::SHIELDED_THERE.authority)?, authority);
    directory.organisations.insert(OdsCode::parse(Source::SHIELDED_THERE.trust)?, organisation);
    Ok(directory)
}

/// What an engine opens with: the directory of the benchmarks, and no purge.
///
/// # Errors
/// When a code is wrong.
pub fn options(data_dir: &Path, audit: &Path, keys: Arc<Keys>) -> Result<EngineOptions, Failure> {
    Ok(EngineOptions {
        data_dir: data_dir.to_owned(),
        keys,
        store: StoreOptions::default(),
        journal: JournalOptions::new(audit.join("primary"), audit.join("spill")),
        tree: kith_engine::KeepTree::No,
        boot_id: "bench".into(),
        settings: AnswerSettings::default(),
        directory: Arc::new(directory()?),
        policy: Arc::default(),
        interval_seconds: Box::new(|_| 86_400),
        thin: ThinRule::default(),
        expected_per_week: Box::new(|_| None),
        clock: Arc::new(SystemMonotonic::default()),
        wall_clock: Arc::new(|| NOW),
        flags: kith_domain::flag::FlagRules::default(),
        purge: kith_engine::PurgeOptions { enabled: false, pause: Duration::ZERO, ..Default::default() },
        give_up: Box::new(|| false),
    })
}

fn open(dir: &Path, mode: AuditMode, source: Source) -> Result<Engine, Failure> {
    let mut options = options(&dir.join("store"), &dir.join("audit"), Arc::new(Keys::from_master([7; 32])))?;
    // Under a tool that counts instructions a thread that syncs may come late by seconds: no answer waits for it or fails.
    (options.journal.wait_after, options.journal.fail_after) = (Duration::from_secs(60), Duration::from_secs(120));
    options.journal.mode = mode;
    let now = source.now;
    options.wall_clock = Arc::new(move || now);
    if source.shielded {
        options.directory = Arc::new(both_places()?);
        options.interval_seconds = Box::new(|_| FRESH_SECONDS);
    }
    Ok(Engine::open(options, now, Arc::new(|what| eprintln!("the log failed: {what}")))?)
}

fn presentation(n: usize, number: NhsNumber, source: Source) -> Result<Change, Failure> {
    let details = Details {
        site: SiteCode::parse(source.site)?,
        arrived_at: source.now.plus_seconds(-86_400 * (1 + i64::try_from(n % 80)?)),
        setting: CareSetting::EmergencyDepartment,
        complaint: Complaint::Illness,
        birth_date: Some(Day::new(2018, 3, 4)?),
    };
    Ok(Change::Presentation(PresentationEvent {
        organisation: OdsCode::parse(source.trust)?,
        event_id: Uuid::from_u128(n as u128 + 1),
        subject: Subject::Nhs(number),
        encounter: EncounterId::parse(&format!("E{n}"))?,
        version: 1,
        action: PresentationAction::Import(details, None),
    }))
}

/// A plan in no family, or shielded or not in one.
fn plan(event: u128, number: NhsNumber, source: Source, family: Option<(usize, bool)>) -> Result<Change, Failure> {
    let reference = family.map(|(n, _)| FamilyReference::parse(&format!("F{n}"))).transpose()?;
    Ok(Change::Plan(PlanEvent {
        authority: LaCode::parse(source.authority)?,
        event_id: Uuid::from_u128(event),
        subject: Subject::Nhs(number),
        action: PlanAction::Start,
        kind: PlanKind::ChildProtection,
        reference: None,
        version: 1,
        start: Some(source.now.london_day().plus_days(-PLAN_DAYS)),
        end: None,
        birth_date: Some(Day::new(2018, 3, 4)?),
        shielded: family.is_some_and(|(_, shielded)| shielded),
        unshield: false,
        family: reference,
        babies: Vec::new(),
    }))
}

/// Plans of the `n`-th shielded child and of its two siblings, of whom one is shielded too.
fn family(n: usize, child: NhsNumber, source: Source) -> Result<[Change; 3], Failure> {
    let sibling = |base: u32| -> Result<NhsNumber, Failure> {
        numbers(base + 20 * u32::try_from(n)?, 1).pop().ok_or_else(|| "there are no more numbers".into())
    };
    let event = |of: u128| n as u128 + (of << 64);
    Ok([
        plan(event(1), child, source, Some((n, true)))?,
        plan(event(2), sibling(920_000_000)?, source, Some((n, false)))?,
        plan(event(3), sibling(935_000_000)?, source, Some((n, true)))?,
    ])
}

/// The feeds of a place are alive.
async fn alive(engine: &Engine, permit: &ActionPermit, source: Source, at: Moment) -> Result<(), Failure> {
    let feeds = [Feed::Plans(LaCode::parse(source.authority)?), Feed::Presentations(OdsCode::parse(source.trust)?)];
    let beat = |feed| Change::Heartbeat(Heartbeat { feed, event_id: Uuid::from_u128(1 << 96) });
    for verdict in engine.change(permit, at, Vec::from(feeds.map(beat))).await {
        verdict?;
    }
    Ok(())
}

/// Opens an engine in a scratch directory and fills it with `children`, each with a presentation and some with a plan.
///
/// # Errors
/// When it cannot be opened or does not take a change.
pub async fn filled(children: usize, mode: AuditMode) -> Result<Filled, Failure> {
    filled_with(children, 1, mode).await
}

/// As [`filled`], with so many presentations of each child.
///
/// # Errors
/// When it cannot be opened or does not take a change.
pub async fn filled_with(children: usize, visits: usize, mode: AuditMode) -> Result<Filled, Failure> {
    filled_from(Source::USUAL, children, visits, mode).await
}

/// As [`filled_with`], from such a source.
///
/// # Errors
/// When it cannot be opened or does not take a change.
pub async fn filled_from(source: Source, children: usize, visits: usize, mode: AuditMode) -> Result<Filled, Failure> {
    let dir = tempfile::tempdir()?;
    let engine = open(dir.path(), mode, source)?;
    let held = numbers(900_000_000, children);
    let trust = Peer { organisation: OdsCode::parse(source.trust)?, role: Role::Ed };
    let permit = authorise_action(&Policy::builtin(), trust, None, Method::Record)?;
    let at = if source.late { source.late_at() } else { source.now };
    if source.shielded && !source.late {
        alive(&engine, &permit, source.other(), source.late_at()).await?;
    }
    for (start, group) in held.chunks(GROUP).enumerate() {
        let mut changes = Vec::with_capacity(visits * GROUP + GROUP / PLAN_EVERY + 1);
        for (offset, number) in group.iter().enumerate() {
            let n = start * GROUP + offset;
            for visit in 0..visits {
                changes.push(presentation(n + visit * children, *number, source)?);
            }
            if source.shielded {
                changes.extend(family(n, *number, source)?);
            } else if n.is_multiple_of(PLAN_EVERY) {
                changes.push(plan(n as u128 + (1 << 64), *number, source, None)?);
            }
        }
        for verdict in engine.change(&permit, at, changes).await {
            verdict?;
        }
    }
    if source.shielded {
        alive(&engine, &permit, source, at).await?;
    }
    if source.late {
        alive(&engine, &permit, source.other(), source.now).await?;
    }
    Ok(Filled { engine: Arc::new(engine), held, unknown: numbers(950_000_000, children), dir })
}
