//! The configuration: defaults, then the file, then the environment; every mistake reported at once.
//! Never reads the files it names: that is for the parts that use them.

mod break_glass;
mod check;
mod flags;
mod layers;
mod limits;
mod policy;
mod purge;
mod sections;
mod witness;

use std::path::{Path, PathBuf};

use kith_domain::flag::FlagRules;
use serde::{Deserialize, Serialize};
use zeroize::Zeroizing;

pub use break_glass::BreakGlass;
pub use limits::Limits;
pub use policy::{PersonTokens, Policy};
pub use purge::Purge;
pub use sections::{
    Answers, Audit, AuditMode, Day, Directory, ExpiredLists, FeedOverride, Feeds, Log, LogFormat, Metrics, Server,
    Storage, Tls,
};
pub use witness::WitnessKey;

use crate::mistakes::Mistakes;

/// The default file: every key, explained. It parses to [`Config::default`].
pub const DEFAULT_FILE: &str = include_str!("../../../../config/kithd.toml");

/// Prefix of the environment variables that override a key.
pub const ENVIRONMENT_PREFIX: &str = "KITH__";

/// Largest configuration file read: a hundred times the default one.
const FILE_MAX_BYTES: u64 = 1 << 20;
/// What is wrong with a file that is no text.
const NO_TEXT: &str = "expected UTF-8 text";

/// How long a child's own health record is kept at most, in days: 26 years, by the rule that the default file names.
const CHILD_RECORD_DAYS: u32 = 9_497;

/// All settings of the process.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Config {
    /// Listening, threads, shutdown.
    pub server: Server,
    /// Certificates.
    pub tls: Tls,
    /// Who may do what.
    pub policy: Policy,
    /// Whose people are proven by tokens.
    pub person_tokens: PersonTokens,
    /// Change log and state.
    pub storage: Storage,
    /// Audit journal.
    pub audit: Audit,
    /// Windows, retention and contacts of answers.
    pub answers: Answers,
    /// How often shielded records may be opened.
    pub break_glass: BreakGlass,
    /// Removing what retention has passed.
    pub purge: Purge,
    /// From when on use is flagged.
    #[serde(with = "flags::Section")]
    pub flags: FlagRules,
    /// Expected intervals of feeds.
    pub feeds: Feeds,
    /// Organisations, sites and authorities.
    pub directory: Directory,
    /// A bound on everything a client can ask for.
    pub limits: Limits,
    /// Log format and level.
    pub log: Log,
    /// The metrics endpoint.
    pub metrics: Metrics,
}

impl Config {
    /// Reads `path` (or only the defaults when there is none) and the process's environment.
    ///
    /// # Errors
    /// Every mistake found, each with its place.
    pub fn load(path: Option<&Path>) -> Result<Self, Mistakes> {
        let (name, text) = read(path)?;
        Self::parse(&name, &text, process_environment())
    }

    /// Lays `text` and then `environment` over the defaults, and checks the result.
    ///
    /// # Errors
    /// Every mistake found, each with its place.
    pub fn parse(
        name: &str,
        text: &str,
        environment: impl IntoIterator<Item = (String, String)>,
    ) -> Result<Self, Mistakes> {
        let mut mistakes = Mistakes::new();
        let (config, _) = Self::collect(name, text, environment, &mut mistakes);
        mistakes.into_result().map(|()| config)
    }

    /// Reads like [`Config::load`], and has `named` look at the files that the usable settings name, so that a mistake in
    /// a value does not hide those in the files. A file that is no TOML names none.
    ///
    /// # Errors
    /// Every mistake found in the settings and by `named`.
    pub fn load_with<T>(
        path: Option<&Path>,
        named: impl FnOnce(&Self, &mut Mistakes) -> T,
    ) -> Result<(Self, T), Mistakes> {
        let (name, text) = read(path)?;
        let mut mistakes = Mistakes::new();
        let (config, is_toml) = Self::collect(&name, &text, process_environment(), &mut mistakes);
        if !is_toml {
            return Err(mistakes);
        }
        let found = named(&config, &mut mistakes);
        mistakes.into_result().map(|()| (config, found))
    }

    /// The settings with defaults where a value is not usable, and whether the text is TOML at all.
    fn collect(
        name: &str,
        text: &str,
        environment: impl IntoIterator<Item = (String, String)>,
        mistakes: &mut Mistakes,
    ) -> (Self, bool) {
        let (config, is_toml) = layers::lay(name, text, environment, mistakes);
        check::check(&config, mistakes);
        (config, is_toml)
    }

    /// Only the `[log]` section, ignoring every mistake: logging starts before the configuration is judged.
    pub fn peek_log(path: Option<&Path>) -> Log {
        let Ok((name, text)) = read(path) else { return Log::default() };
        layers::lay(&name, &text, process_environment(), &mut Mistakes::new()).0.log
    }

    /// What is no mistake yet, but will mislead: said at the start and by `check-config`. `today` is in Europe/London.
    #[must_use]
    pub fn warnings(&self, today: jiff::civil::Date) -> Vec<String> {
        let listed = |year: i16| self.directory.bank_holidays.iter().any(|day| day.0.year() == year);
        let unlisted = [today.year(), today.year().saturating_add(1)].into_iter().filter(|year| !listed(*year));
        let words = |year| {
            format!(
                "directory.bank_holidays: no day of {year} is listed: on its bank holidays the number of an office that \
                 is closed will be given"
            )
        };
        let unsigned = self.audit.signing_key_file.as_os_str().is_empty().then(|| {
            String::from(
                "audit.signing_key_file: none, so that a change of the audit can be covered up: nothing is signed",
            )
        });
        let unrevoked = self.tls.client_crls.as_os_str().is_empty().then(|| {
            String::from(
                "tls.client_crls: none, so that nobody is ever revoked: a certificate that was stolen counts until it expires",
            )
        });
        let short = (1..CHILD_RECORD_DAYS).contains(&self.audit.retention_days).then(|| {
            String::from(
                "audit.retention_days: less than 9497: who looked up a child is forgotten before the child's own health record is",
            )
        });
        unlisted
            .map(words)
            .chain(short)
            .chain(self.purge.warnings(self, today))
            .chain(flags::warnings(&self.flags))
            .chain(unsigned)
            .chain(unrevoked)
            .collect()
    }

    /// The settings in force as a TOML file.
    ///
    /// # Errors
    /// When a value has no TOML form, which no checked configuration has.
    pub fn to_toml(&self) -> Result<String, toml::ser::Error> {
        toml::to_string_pretty(self)
    }
}

fn process_environment() -> impl Iterator<Item = (String, String)> {
    std::env::vars_os().filter_map(|(key, value)| Some((key.into_string().ok()?, value.into_string().ok()?)))
}

fn read(path: Option<&Path>) -> Result<(String, String), Mistakes> {
    let Some(path) = path else { return Ok((String::from("defaults"), String::new())) };
    let name = path.display().to_string();
    bounded_text(path, FILE_MAX_BYTES).map(|text| (name.clone(), text)).map_err(|what| {
        let mut mistakes = Mistakes::new();
        mistakes.note(name, what);
        mistakes
    })
}

/// Reads a text file of at most `max_bytes`; the error says what is wrong with it.
pub(crate) fn bounded_text(path: &Path, max_bytes: u64) -> Result<String, String> {
    String::from_utf8(bounded_bytes(path, max_bytes)?).map_err(|_| NO_TEXT.to_owned())
}

/// The same of a secret: what was read is wiped when it is dropped, whether or not it is text.
pub(crate) fn bounded_secret(path: &Path, max_bytes: u64) -> Result<Zeroizing<String>, String> {
    String::from_utf8(bounded_bytes(path, max_bytes)?).map(Zeroizing::new).map_err(|error| {
        drop(Zeroizing::new(error.into_bytes()));
        NO_TEXT.to_owned()
    })
}

fn bounded_bytes(path: &Path, max_bytes: u64) -> Result<Vec<u8>, String> {
    let length = std::fs::metadata(path).map_err(|error| format!("cannot be read: {error}"))?.len();
    if length > max_bytes {
        return Err(format!("expected at most {max_bytes} bytes, found {length}"));
    }
    std::fs::read(path).map_err(|error| format!("cannot be read: {error}"))
}

/// The files that the configuration names and `kithd` must be able to read.
pub fn named_files(config: &Config) -> Vec<(&'static str, PathBuf)> {
    vec![
        ("tls.certificate", config.tls.certificate.clone()),
        ("tls.key", config.tls.key.clone()),
        ("tls.client_ca", config.tls.client_ca.clone()),
        ("storage.key_file", config.storage.key_file.clone()),
    ]
}

#[cfg(test)]
mod tests;
