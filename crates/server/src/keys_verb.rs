//! `kithd keys`: the keyring of a data directory, looked at and changed by hand, whether or not kithd runs on it. A kithd that
//! runs finds out by itself. Never shows any part of a key.

use std::error::Error;
use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use clap::Subcommand;
use kith_engine::{KeySource, KeyUses, KeyringEdit, KeyringStatus, Keys};

use crate::command::ConfigArgument;
use crate::config::Config;
use crate::new_key;

type Failure = Box<dyn Error + Send + Sync>;

/// What can be done with the keyring.
#[derive(Debug, Subcommand)]
pub(crate) enum KeysVerb {
    /// Show the versions of the data key, and whether all of the state is sealed with the newest.
    Status {
        #[command(flatten)]
        config: ConfigArgument,
        /// Also read everything that is sealed, and show what needs each version.
        #[arg(long)]
        uses: bool,
    },
    /// Make a new version of the data key. A kithd that runs takes it into use, and seals the state anew while it serves.
    Rotate(ConfigArgument),
    /// Wrap the keyring by another key-encryption key; what is sealed stays as it is.
    Rewrap {
        #[command(flatten)]
        config: ConfigArgument,
        /// File of the other key, made with `kithd new-key`.
        #[arg(long)]
        new_key_file: PathBuf,
    },
    /// Forget an old version of the data key for good. Refused while anything is sealed with it.
    Forget {
        #[command(flatten)]
        config: ConfigArgument,
        /// The version.
        version: u8,
    },
}

impl KeysVerb {
    /// The configuration file that is named.
    pub(crate) fn config(&self) -> Option<&Path> {
        match self {
            Self::Status { config, uses: _ }
            | Self::Rotate(config)
            | Self::Rewrap { config, new_key_file: _ }
            | Self::Forget { config, version: _ } => config.path(),
        }
    }
}

/// Carries the verb out at `now`, in milliseconds since 1970; gives what to print.
pub(crate) fn run(verb: &KeysVerb, config: &Config, now: i64) -> Result<String, Failure> {
    let ring = Ring { config, source: new_key::source(&config.storage) };
    match verb {
        KeysVerb::Status { config: _, uses } => ring.status(*uses),
        KeysVerb::Rotate(_) => ring.rotate(now),
        KeysVerb::Rewrap { config: _, new_key_file } => ring.rewrap(new_key_file),
        KeysVerb::Forget { config: _, version } => ring.forget(*version),
    }
}

/// The keyring of a configuration.
struct Ring<'a> {
    config: &'a Config,
    source: KeySource,
}

impl Ring<'_> {
    fn dir(&self) -> &Path {
        &self.config.storage.data_dir
    }

    fn edit(&self) -> Result<KeyringEdit, Failure> {
        Ok(KeyringEdit::open(self.dir(), &self.source)?)
    }

    fn keys(&self) -> Result<Arc<Keys>, Failure> {
        Ok(Arc::new(Keys::open(self.dir(), &self.source)?))
    }

    fn uses(&self) -> Result<KeyUses, Failure> {
        let audit = &self.config.audit;
        Ok(kith_engine::key_uses(self.dir(), [audit.primary.as_path(), audit.spill.as_path()], &self.keys()?)?)
    }

    fn status(&self, uses: bool) -> Result<String, Failure> {
        let status = self.edit()?.status();
        let mut text = described(&status);
        let sealed = match kith_engine::resealed_to(self.dir(), &self.keys()?) {
            Ok(version) if version == status.newest => format!("all of it is sealed with version {version}"),
            Ok(version) => format!("parts of it are sealed with version {version} and newer ones"),
            Err(error) => format!("not known: failed to {error}"),
        };
        // Writing to a text cannot fail.
        let _ = writeln!(text, "state: {sealed}");
        if uses {
            let uses = self.uses()?;
            for (version, _) in &status.versions {
                let _ = writeln!(text, "version {version}: {}", needs(&uses, *version));
            }
        }
        Ok(text)
    }

    fn rotate(&self, now: i64) -> Result<String, Failure> {
        let mut edit = self.edit()?;
        edit.rotate(now)?;
        Ok(format!(
            "{}a kithd that runs takes version {} into use by itself, or at once when it is told to reload\n\
             copy {} to where its backups are\n",
            described(&edit.status()),
            edit.status().newest,
            self.dir().join("keyring").display(),
        ))
    }

    fn rewrap(&self, new_key_file: &Path) -> Result<String, Failure> {
        let mut edit = self.edit()?;
        let before = edit.status().wrapped_by;
        edit.rewrap(&KeySource::File(new_key_file.to_owned()))?;
        let status = edit.status();
        Ok(format!(
            "{}the keyring was wrapped by key {before}, and is wrapped by key {} now\nput {} in the place of the old key before \
             kithd starts again: it does not start with the old one\n",
            described(&status),
            status.wrapped_by,
            new_key_file.display(),
        ))
    }

    fn forget(&self, version: u8) -> Result<String, Failure> {
        // From here on nobody else changes the keyring.
        let mut edit = self.edit()?;
        let status = edit.status();
        if status.versions.iter().any(|(held, _)| *held == version) && version != status.newest {
            let sealed_to = kith_engine::resealed_to(self.dir(), &self.keys()?)?;
            if sealed_to != status.newest {
                let newest = status.newest;
                return Err(format!(
                    "forget data key: the state is not yet sealed with version {newest}; a kithd that runs does that"
                )
                .into());
            }
            let uses = self.uses()?;
            if !uses.of(version).is_empty() {
                return Err(format!("forget data key: version {version}: {}", needs(&uses, version)).into());
            }
        }
        edit.forget(version)?;
        Ok(format!("{}version {version} is forgotten\n", described(&edit.status())))
    }
}

/// What needs a version, in words.
fn needs(uses: &KeyUses, version: u8) -> String {
    let found = uses.of(version);
    if found.is_empty() {
        return String::from("nothing needs it");
    }
    let counted: Vec<String> = found.into_iter().map(|(what, count)| format!("{count} {what}")).collect();
    format!("needed by {}", counted.join(", "))
}

fn described(status: &KeyringStatus) -> String {
    let KeyringStatus { generation, wrapped_by, newest, versions } = status;
    let mut text = format!("keyring: generation {generation}, wrapped by key {wrapped_by}\n");
    for (version, made_at) in versions {
        let made = match jiff::Timestamp::from_millisecond(*made_at) {
            Ok(made) if *made_at > 0 => format!("made {made:.0}"),
            Ok(_) | Err(_) => String::from("made with the data directory"),
        };
        let seals = if version == newest { ", seals what is written now" } else { "" };
        let _ = writeln!(text, "version {version}: {made}{seals}");
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use kith_engine::KeyEncryptionKey;

    #[test]
    fn a_keyring_is_described_without_its_keys() {
        let dir = tempfile::tempdir().unwrap();
        let key = KeyEncryptionKey::create(&dir.path().join("storage.key")).unwrap();
        assert_eq!(format!("{key:?}"), "KeyEncryptionKey(redacted)");
        let mut config = Config::default();
        config.storage.data_dir = dir.path().join("data");
        config.storage.key_file = dir.path().join("storage.key");
        let verb = |verb: KeysVerb| run(&verb, &config, 1_795_359_600_000).map_err(|error| error.to_string());
        let none = || ConfigArgument::default();
        let refused = verb(KeysVerb::Rotate(none())).unwrap_err();
        assert!(refused.starts_with("use keyring: ") || refused.starts_with("open keyring: "), "{refused}");
        assert!(!config.storage.data_dir.exists(), "nothing comes to be by it");
    }

    #[test]
    fn what_needs_a_version_is_said_in_words() {
        let mut uses = KeyUses::default();
        assert_eq!(needs(&uses, 1), "nothing needs it");
        uses.audit.insert(1, 7);
        uses.log.insert(1, 2);
        uses.state.insert(2, 9);
        assert_eq!(needs(&uses, 1), "needed by 2 records of the log, 7 entries of the audit");
    }
}
