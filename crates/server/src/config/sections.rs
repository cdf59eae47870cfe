//! The sections of the configuration and their default values, key by key as in config/kithd.toml.
//! Never checks a range: that is in `check`.

use std::collections::BTreeMap;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::PathBuf;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::witness::WitnessKey;

/// Listening, threads, shutdown.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Server {
    /// Address and port to listen on.
    pub listen: SocketAddr,
    /// Trust domain of client certificates.
    pub trust_domain: String,
    /// Data threads; 0 means one for each core.
    pub data_threads: usize,
    /// Longest time from SIGTERM to the end, closing included.
    pub drain_limit_ms: u64,
}

impl Default for Server {
    fn default() -> Self {
        Self {
            listen: SocketAddr::from((Ipv4Addr::UNSPECIFIED, 7443)),
            trust_domain: String::from("kith.test"),
            data_threads: 0,
            drain_limit_ms: 10_000,
        }
    }
}

impl Server {
    /// Longest drain after SIGTERM.
    pub fn drain_limit(&self) -> Duration {
        Duration::from_millis(self.drain_limit_ms)
    }
}

/// The metrics endpoint.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Metrics {
    /// Address and port; empty is off.
    pub listen: String,
    /// Whether the address may be another than a loopback one.
    pub beyond_loopback: bool,
}

/// What becomes of certificates whose revocation list has expired.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum ExpiredLists {
    /// They are judged by the expired list.
    Accept,
    /// They are refused until a new list is there.
    Refuse,
}

/// Certificates.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Tls {
    /// Server certificate chain, PEM.
    pub certificate: PathBuf,
    /// Server private key, PEM.
    pub key: PathBuf,
    /// Authorities of client certificates, PEM.
    pub client_ca: PathBuf,
    /// Revocation lists of those authorities, PEM: a file or a directory; nothing is without lists.
    pub client_crls: PathBuf,
    /// What becomes of certificates whose list has expired.
    pub crl_expired: ExpiredLists,
    /// How often the files are looked at for changes.
    pub reload_interval_ms: u64,
}

impl Default for Tls {
    fn default() -> Self {
        Self {
            certificate: PathBuf::from("/etc/kith/tls/server.pem"),
            key: PathBuf::from("/etc/kith/tls/server.key"),
            client_ca: PathBuf::from("/etc/kith/tls/clients.pem"),
            client_crls: PathBuf::new(),
            crl_expired: ExpiredLists::Accept,
            reload_interval_ms: 5_000,
        }
    }
}

/// Change log and state.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Storage {
    /// Directory of the change log and the state.
    pub data_dir: PathBuf,
    /// The key-encryption key: 64 hexadecimal digits.
    pub key_file: PathBuf,
    /// Name of the systemd credential that holds it instead; empty: the file does.
    pub key_credential: String,
    /// Free space below which changes are refused.
    pub reserve_bytes: u64,
}

impl Default for Storage {
    fn default() -> Self {
        Self {
            data_dir: PathBuf::from("/var/lib/kith/data"),
            key_file: PathBuf::from("/etc/kith/storage.key"),
            key_credential: String::new(),
            reserve_bytes: 64 << 20,
        }
    }
}

/// When an audit entry counts as durable.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum AuditMode {
    /// In the kernel before the answer, synced within a bound.
    Bounded,
    /// On disk before the answer.
    Strict,
}

/// Audit journal.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Audit {
    /// When an entry counts as durable.
    pub mode: AuditMode,
    /// First directory.
    pub primary: PathBuf,
    /// Second directory, meant for another disk.
    pub spill: PathBuf,
    /// Directory of the tree over the entries; empty: none is kept.
    pub tree: PathBuf,
    /// The key that signs the tree's heads; empty: none is signed.
    pub signing_key_file: PathBuf,
    /// Witnesses whose cosignatures are kept, and no others'; empty: anybody's that may bring one.
    pub witnesses: Vec<WitnessKey>,
    /// How often entries are synced.
    pub sync_interval_ms: u64,
    /// Age of the oldest unsynced entry at which answers wait.
    pub wait_after_ms: u64,
    /// Age of the oldest unsynced entry at which answers fail.
    pub fail_after_ms: u64,
    /// Size at which the next journal file begins.
    pub segment_bytes: u64,
    /// Entries are kept this long; 0 keeps them for good.
    pub retention_days: u32,
}

impl Default for Audit {
    fn default() -> Self {
        Self {
            mode: AuditMode::Bounded,
            primary: PathBuf::from("/var/lib/kith/audit"),
            spill: PathBuf::from("/var/lib/kith-spill/audit"),
            tree: PathBuf::from("/var/lib/kith/audit-tree"),
            signing_key_file: PathBuf::new(),
            witnesses: Vec::new(),
            sync_interval_ms: 5,
            wait_after_ms: 50,
            fail_after_ms: 300,
            segment_bytes: 64 << 20,
            retention_days: 0,
        }
    }
}

/// Windows, retention and contacts of answers.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Answers {
    /// Presentations of the last so many days are shown.
    pub presentation_window_days: u32,
    /// Presentations are kept this long.
    pub presentation_retention_days: u32,
    /// An ended plan is shown this long after its end.
    pub plan_retention_months: u32,
    /// Presentations shown at most.
    pub max_presentations: usize,
    /// A sibling's injury of the last so many days is told.
    pub sibling_injury_days: u32,
    /// Answers are filled up to whole multiples of this; nought leaves their length as it is.
    pub padding_step_bytes: usize,
    /// Steps that every answer has at least.
    pub padding_min_steps: usize,
    /// Contact for a shielded child.
    pub national_contact_name: String,
    /// Telephone of that contact.
    pub national_contact_phone: String,
}

impl Default for Answers {
    fn default() -> Self {
        Self {
            presentation_window_days: 90,
            presentation_retention_days: 365,
            plan_retention_months: 12,
            max_presentations: 50,
            sibling_injury_days: 90,
            padding_step_bytes: 1024,
            padding_min_steps: 4,
            national_contact_name: String::new(),
            national_contact_phone: String::new(),
        }
    }
}

/// Expected intervals of feeds.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Feeds {
    /// Longest expected silence of an authority.
    pub plan_interval_hours: u64,
    /// Longest expected silence of a trust.
    pub presentation_interval_hours: u64,
    /// Share of stale, absent or thin feeds above which nothing held becomes "cannot say".
    pub cannot_say_percent: u32,
    /// A trust that sent less than this share of its usual volume is thin; 0 finds none.
    pub thin_percent: u32,
    /// Over so many trailing hours.
    pub thin_window_hours: u32,
    /// Only where so many presentations are expected in them.
    pub thin_min_expected: u32,
    /// Intervals and volumes of single authorities or trusts, by code.
    pub overrides: BTreeMap<String, FeedOverride>,
}

impl Default for Feeds {
    fn default() -> Self {
        Self {
            plan_interval_hours: 26,
            presentation_interval_hours: 26,
            cannot_say_percent: 10,
            thin_percent: 20,
            thin_window_hours: 24,
            thin_min_expected: 10,
            overrides: BTreeMap::new(),
        }
    }
}

/// What is expected of one authority or trust.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FeedOverride {
    /// Longest expected silence.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub interval_seconds: Option<u64>,
    /// A trust's presentations in a usual week; without it they are learned.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub expected_per_week: Option<u32>,
}

/// Organisations, sites and authorities, and who else may call.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Directory {
    /// organisations.csv
    pub organisations: PathBuf,
    /// sites.csv
    pub sites: PathBuf,
    /// authorities.csv
    pub authorities: PathBuf,
    /// services.csv; empty: nobody else may call.
    pub services: PathBuf,
    /// Days on which offices are closed besides weekends.
    pub bank_holidays: Vec<Day>,
}

impl Default for Directory {
    fn default() -> Self {
        Self {
            organisations: PathBuf::from("/etc/kith/organisations.csv"),
            sites: PathBuf::from("/etc/kith/sites.csv"),
            authorities: PathBuf::from("/etc/kith/authorities.csv"),
            services: PathBuf::from("/etc/kith/services.csv"),
            bank_holidays: BANK_HOLIDAYS.iter().map(|&(y, m, d)| Day(jiff::civil::date(y, m, d))).collect(),
        }
    }
}

/// Bank holidays in England and Wales, 2026 and 2027 (gov.uk/bank-holidays).
const BANK_HOLIDAYS: [(i16, i8, i8); 16] = [
    (2026, 1, 1),
    (2026, 4, 3),
    (2026, 4, 6),
    (2026, 5, 4),
    (2026, 5, 25),
    (2026, 8, 31),
    (2026, 12, 25),
    (2026, 12, 28),
    (2027, 1, 1),
    (2027, 3, 26),
    (2027, 3, 29),
    (2027, 5, 3),
    (2027, 5, 31),
    (2027, 8, 30),
    (2027, 12, 27),
    (2027, 12, 28),
];

/// A calendar day, written YYYY-MM-DD.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Day(pub jiff::civil::Date);

impl TryFrom<String> for Day {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        let wrong = || format!("expected a date YYYY-MM-DD, found {text:?}");
        if text.len() != "YYYY-MM-DD".len() {
            return Err(wrong());
        }
        text.parse().map(Day).map_err(|_| wrong())
    }
}

impl From<Day> for String {
    fn from(day: Day) -> Self {
        day.0.to_string()
    }
}

/// How log lines look.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum LogFormat {
    /// For people.
    Text,
    /// For machines: one JSON object a line.
    Json,
}

/// Log format and level.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Log {
    /// How log lines look.
    pub format: LogFormat,
    /// Level or filter.
    pub level: String,
}

impl Default for Log {
    fn default() -> Self {
        Self { format: LogFormat::Text, level: String::from("info") }
    }
}
