//! The verbs of `kithd`, parsed and carried out.
//! Never prints anything about a child; `serve` prints nothing at all and logs instead.

use std::error::Error;
use std::io::{self, Write};
use std::path::{Component, Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;

use clap::{Args, Parser, Subcommand};
use kith_merkle::{KeyError, KeyKind, VerifierKey};

use crate::application::{Application, Pinned, Verdict};
use crate::config::{Config, DEFAULT_FILE, Storage};
use crate::dev_certs::{self, DevCerts};
use crate::directory::Directory;
use crate::keys_verb::{self, KeysVerb};
use crate::mistakes::Mistakes;
use crate::serve::{self, Ending, Ground};
use crate::{audit_key, new_key, open_files, person_tokens, policy_file, service_list, telemetry, tls};

/// Exit code when the work could not be done.
const FAILED: u8 = 1;

/// Exit code when configuration or directory files have mistakes (EX_CONFIG of sysexits.h).
const MISTAKEN: u8 = 78;

/// Exit code when an examination found damage.
const DAMAGED: u8 = 3;

/// Exit code when an examination found nothing but another key than the one that signed.
const KEY_CHANGED: u8 = 4;

/// Exit code when an examination found nothing wrong, and no signature that stands for the audit.
const NOT_SIGNED: u8 = 5;

/// Exit code when a second SIGTERM ended everything at once: 128 and the signal's number, as a shell would say it.
const ENDED_AT_ONCE: u8 = 143;

/// The Kith server.
#[derive(Debug, Parser)]
#[command(name = "kithd", version, about = "The Kith server", arg_required_else_help = true)]
pub struct Arguments {
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Debug, Subcommand)]
enum Verb {
    /// Run the server.
    Serve(ConfigArgument),
    /// Report every mistake in the configuration and the files it names.
    CheckConfig {
        #[command(flatten)]
        config: ConfigArgument,
        /// Do not open the files that the configuration names.
        #[arg(long)]
        syntax_only: bool,
    },
    /// Print the settings in force: defaults, file and environment.
    PrintConfig {
        #[command(flatten)]
        config: ConfigArgument,
        /// Print the default file instead, with every key explained.
        #[arg(long)]
        defaults: bool,
    },
    /// Verify the audit and the data of a stopped server.
    #[command(
        after_help = "Ends with 0 and sound when nothing is wrong and the audit is signed; with 3 and DAMAGED when damage was found; with 4 \
                      and KEY CHANGED when all that is wrong is the log's key; with 5 and NOT SIGNED when there was no key to look at \
                      signatures with, or nothing is signed, or its end is not and nothing will sign it: then nothing says who \
                      wrote that; with 1 when it could not be examined; with 78 when the configuration is mistaken; with 2 when the \
                      command line is."
    )]
    Verify {
        #[command(flatten)]
        config: ConfigArgument,
        /// The log's public key, as `kithd new-audit-key` printed it, kept outside this machine. Without it the public half of the
        /// configuration's key is believed.
        #[arg(long, value_name = "LINE", value_parser = read_log_key)]
        log_key: Option<VerifierKey>,
        /// A checkpoint of the audit that somebody kept, to hold it against; may be given more than once.
        #[arg(long = "checkpoint")]
        checkpoints: Vec<PathBuf>,
    },
    /// Show what the data of a stopped server consists of.
    Inspect(ConfigArgument),
    /// Make a development certificate authority and certificates.
    DevCerts(DevCertsArguments),
    /// Make the key that signs the audit's tree, and print its public half.
    NewAuditKey {
        /// The file to write; must not exist.
        #[arg(long)]
        out: PathBuf,
        /// Trust domain of the server: the key's name.
        #[arg(long, default_value = "kith.test")]
        trust_domain: String,
    },
    /// Make a key-encryption key for the storage.
    NewKey {
        /// The file to write; must not exist.
        #[arg(long)]
        out: PathBuf,
    },
    /// Look at, rotate, wrap anew or forget the keys of the storage, whether or not the server runs.
    #[command(subcommand)]
    Keys(KeysVerb),
}

/// Which configuration file is to be read.
#[derive(Debug, Default, Args)]
pub(crate) struct ConfigArgument {
    /// Configuration file; without it, defaults and environment.
    #[arg(long, env = "KITHD_CONFIG")]
    config: Option<PathBuf>,
}

impl ConfigArgument {
    /// The file; `None` for defaults and environment alone.
    pub(crate) fn path(&self) -> Option<&Path> {
        self.config.as_deref()
    }
}

#[derive(Debug, Args)]
struct DevCertsArguments {
    /// Where the files go.
    #[arg(long)]
    out: PathBuf,
    /// Where organisations.csv, sites.csv and authorities.csv are.
    #[arg(long)]
    directory: PathBuf,
    /// Name of the server, besides 127.0.0.1 and ::1; may be given more than once.
    #[arg(long = "host", default_value = "localhost")]
    hosts: Vec<String>,
    /// Days that the certificates are in force.
    #[arg(long, default_value_t = 30)]
    days: u32,
    /// Trust domain of the identities.
    #[arg(long, default_value = "kith.test")]
    trust_domain: String,
    /// Replace an authority that is already there.
    #[arg(long)]
    force: bool,
}

/// Reads the log's public key; a witness's is none.
fn read_log_key(text: &str) -> Result<VerifierKey, KeyError> {
    let key: VerifierKey = text.parse()?;
    if key.kind() == KeyKind::Log { Ok(key) } else { Err(KeyError::Kind) }
}

/// Why a verb could not be carried out.
#[derive(Debug, thiserror::Error)]
enum VerbError {
    #[error("{0}")]
    Mistakes(#[from] Mistakes),
    #[error("kithd: failed to {0}")]
    Failed(#[from] Box<dyn Error + Send + Sync>),
}

/// Carries out the verb, with `application` behind it, and gives the exit code.
pub fn run<A: Application>(arguments: Arguments, application: A) -> ExitCode {
    let mut out = io::stdout().lock();
    let outcome = match arguments.verb {
        Verb::Serve(argument) => {
            drop(out);
            return serve(argument.config.as_deref(), application);
        }
        Verb::CheckConfig { config, syntax_only } => check_config(config.config.as_deref(), syntax_only, &mut out),
        Verb::PrintConfig { config, defaults } => print_config(config.config.as_deref(), defaults, &mut out),
        Verb::Verify { config, log_key, checkpoints } => {
            verify(config.config.as_deref(), (log_key.as_ref(), checkpoints.as_slice()), &application, &mut out)
        }
        Verb::Inspect(argument) => inspect(argument.config.as_deref(), &application, &mut out),
        Verb::DevCerts(arguments) => dev_certs(arguments, &mut out),
        Verb::NewKey { out: path } => make_key(&path, &mut out),
        Verb::Keys(verb) => keys(&verb, &mut out),
        Verb::NewAuditKey { out: path, trust_domain } => make_audit_key(&path, &trust_domain, &mut out),
    };
    match outcome {
        Ok(code) => code,
        Err(error) => {
            // When standard error is gone there is nobody left to tell.
            let _ = writeln!(io::stderr(), "{error}");
            ExitCode::from(match error {
                VerbError::Mistakes(_) => MISTAKEN,
                VerbError::Failed(_) => FAILED,
            })
        }
    }
}

/// Start-up, in its order.
fn serve<A: Application>(path: Option<&Path>, application: A) -> ExitCode {
    // Telemetry: before anything can go wrong.
    if let Err(error) = telemetry::start(&Config::peek_log(path)) {
        let _ = writeln!(io::stderr(), "kithd: failed to start logging: {error}");
        return ExitCode::from(FAILED);
    }
    // Config: the settings, and the directory they name.
    let loaded = Config::load_with(path, |config, mistakes| {
        tls_mistakes(config, mistakes);
        place_mistakes(config, mistakes);
        policy_file::note_mistakes(config, mistakes);
        person_tokens::note_mistakes(config, mistakes);
        service_list::note_mistakes(config, mistakes);
        Directory::collect(config, mistakes)
    });
    let (config, directory) = match loaded {
        Ok(loaded) => loaded,
        Err(mistakes) => {
            for mistake in mistakes.iter() {
                tracing::error!("configuration: {mistake}");
            }
            return ExitCode::from(MISTAKEN);
        }
    };
    for warning in config.warnings(today()) {
        tracing::warn!("configuration: {warning}");
    }
    // No reason not to answer: it will show once as many connect.
    let mut short = Mistakes::new();
    open_files::note_mistakes(&config, &mut short);
    for mistake in short.iter() {
        tracing::warn!("configuration: {mistake}");
    }
    match run_server(config, directory, application) {
        Ok(Ending::Drained | Ending::LimitReached) => ExitCode::SUCCESS,
        Ok(Ending::AtOnce) => ExitCode::from(ENDED_AT_ONCE),
        Err(error) => {
            tracing::error!("failed to {error}");
            ExitCode::from(FAILED)
        }
    }
}

fn run_server<A: Application>(
    config: Config,
    directory: Directory,
    application: A,
) -> Result<Ending, serve::StartError> {
    // Keys: the certificates; the storage key is read where the store is opened. Signals from here on.
    let ground = Ground::prepare(&config)?;
    ground.hear_signals()?;
    // Listen, before the store: whoever asks meanwhile is told that nothing can be said yet.
    let listener = serve::bind(config.server.listen)?;
    // Store, replay, ready: behind the listener.
    let running = serve::start(ground, Arc::new(config), Arc::new(directory), listener, application)?;
    Ok(running.wait())
}

fn check_config(path: Option<&Path>, syntax_only: bool, out: &mut dyn Write) -> Result<ExitCode, VerbError> {
    let (config, ()) = Config::load_with(path, |config, mistakes| {
        if syntax_only {
            return;
        }
        // What the directory holds is of no use here; its mistakes are.
        let _ = Directory::collect(config, mistakes);
        tls_mistakes(config, mistakes);
        place_mistakes(config, mistakes);
        if let Err(what) = new_key::examine(&new_key::source(&config.storage)) {
            let Storage { key_file, key_credential, .. } = &config.storage;
            let place = match key_credential.is_empty() {
                true => format!("storage.key_file: {}", key_file.display()),
                false => format!("storage.key_credential: {key_credential}"),
            };
            mistakes.note(place, what);
        }
        audit_key::note_mistakes(config, mistakes);
        policy_file::note_mistakes(config, mistakes);
        person_tokens::note_mistakes(config, mistakes);
        service_list::note_mistakes(config, mistakes);
    })?;
    for warning in config.warnings(today()) {
        say(out, &format!("warning: {warning}\n"))?;
    }
    // As at a start: no reason not to answer.
    let mut short = Mistakes::new();
    open_files::note_mistakes(&config, &mut short);
    for mistake in short.iter() {
        say(out, &format!("warning: {mistake}\n"))?;
    }
    say(out, if syntax_only { "no mistakes found; the named files were not opened\n" } else { "no mistakes found\n" })
}

/// Directories that stand for each other, or are none: the data and each audit sink need one of their own.
fn place_mistakes(config: &Config, mistakes: &mut Mistakes) {
    let places = [
        ("storage.data_dir", &config.storage.data_dir),
        ("audit.primary", &config.audit.primary),
        ("audit.spill", &config.audit.spill),
        ("audit.tree", &config.audit.tree),
    ];
    let kept = places.iter().filter(|(_, path)| !path.as_os_str().is_empty()).collect::<Vec<_>>();
    for (at, (key, path)) in kept.iter().enumerate() {
        if path.exists() && !path.is_dir() {
            mistakes.note(*key, "expected a directory, found something else");
        }
        for (other, before) in kept.iter().take(at) {
            if resolved(path) == resolved(before) {
                mistakes.note(*key, format!("expected another directory than {other}"));
            }
        }
    }
}

/// A path without links and dots, as far as it exists.
fn resolved(path: &Path) -> PathBuf {
    let absolute = std::path::absolute(path).unwrap_or_else(|_| path.to_owned());
    let mut found = PathBuf::new();
    for part in absolute.components() {
        match part {
            Component::ParentDir => {
                found.pop();
            }
            Component::CurDir => {}
            Component::Prefix(_) | Component::RootDir | Component::Normal(_) => found.push(part),
        }
        found = found.canonicalize().unwrap_or(found);
    }
    found
}

fn tls_mistakes(config: &Config, mistakes: &mut Mistakes) {
    for fault in tls::faults(&config.tls, &config.server.trust_domain) {
        mistakes.note("tls", format!("failed to {fault}"));
    }
}

/// Today's date in Europe/London, or in UTC where the system has no time zones.
fn today() -> jiff::civil::Date {
    let now = jiff::Timestamp::now();
    let zone = jiff::tz::TimeZone::get("Europe/London").unwrap_or(jiff::tz::TimeZone::UTC);
    now.to_zoned(zone).date()
}

fn print_config(path: Option<&Path>, defaults: bool, out: &mut dyn Write) -> Result<ExitCode, VerbError> {
    if defaults {
        return say(out, DEFAULT_FILE);
    }
    let text = Config::load(path)?.to_toml().map_err(|error| format!("print the configuration: {error}"))?;
    say(out, &text)
}

fn verify<A: Application>(
    path: Option<&Path>,
    (log_key, checkpoints): (Option<&VerifierKey>, &[PathBuf]),
    application: &A,
    out: &mut dyn Write,
) -> Result<ExitCode, VerbError> {
    let (config, directory) = Config::load_with(path, Directory::collect)?;
    let kept = audit_key::read_kept(checkpoints)?;
    match application.verify(&config, &directory, Pinned { log_key, kept: &kept }, out)? {
        Verdict::Sound => Ok(ExitCode::SUCCESS),
        Verdict::Damaged => Ok(ExitCode::from(DAMAGED)),
        Verdict::KeyChanged => Ok(ExitCode::from(KEY_CHANGED)),
        Verdict::NotSigned => Ok(ExitCode::from(NOT_SIGNED)),
    }
}

fn inspect<A: Application>(path: Option<&Path>, application: &A, out: &mut dyn Write) -> Result<ExitCode, VerbError> {
    let (config, directory) = Config::load_with(path, Directory::collect)?;
    application.inspect(&config, &directory, out)?;
    Ok(ExitCode::SUCCESS)
}

fn dev_certs(arguments: DevCertsArguments, out: &mut dyn Write) -> Result<ExitCode, VerbError> {
    let DevCertsArguments { out: to, directory, hosts, days, trust_domain, force } = arguments;
    let request = DevCerts { out: to, directory, hosts, days, trust_domain, force };
    let made = dev_certs::make(&request).map_err(|error| Box::<dyn Error + Send + Sync>::from(error.to_string()))?;
    say(out, &format!("{made} development certificates in {}\n", request.out.display()))
}

fn make_key(path: &Path, out: &mut dyn Write) -> Result<ExitCode, VerbError> {
    new_key::write(path).map_err(|error| format!("write {}: {error}", path.display()))?;
    say(out, &format!("a new key-encryption key is in {}; keep a copy elsewhere, apart from backups\n", path.display()))
}

fn keys(verb: &KeysVerb, out: &mut dyn Write) -> Result<ExitCode, VerbError> {
    let config = Config::load(verb.config())?;
    let told = keys_verb::run(verb, &config, jiff::Timestamp::now().as_millisecond())?;
    say(out, &told)
}

fn make_audit_key(path: &Path, trust_domain: &str, out: &mut dyn Write) -> Result<ExitCode, VerbError> {
    let key = audit_key::write(path, trust_domain);
    let key = key.map_err(|error| format!("write {}: {error}", path.display()))?;
    say(out, &format!("{key}\n"))
}

fn say(out: &mut dyn Write, text: &str) -> Result<ExitCode, VerbError> {
    let written = out.write_all(text.as_bytes()).and_then(|()| out.flush());
    written.map_err(|error| format!("write to standard output: {error}"))?;
    Ok(ExitCode::SUCCESS)
}

impl From<String> for VerbError {
    fn from(what: String) -> Self {
        VerbError::Failed(what.into())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::CommandFactory;

    #[test]
    fn the_verbs_are_well_formed() {
        Arguments::command().debug_assert();
        for line in [
            "kithd serve --config /etc/kith/kithd.toml",
            "kithd check-config --syntax-only",
            "kithd print-config --defaults",
            "kithd verify",
            "kithd verify --checkpoint a --checkpoint b",
            "kithd new-audit-key --out k --trust-domain kith.example",
            "kithd inspect",
            "kithd dev-certs --out a --directory b --host one --host ::1 --days 7",
            "kithd new-key --out k",
            "kithd keys status --config /etc/kith/kithd.toml --uses",
            "kithd keys rotate --config /etc/kith/kithd.toml",
            "kithd keys rewrap --new-key-file k",
            "kithd keys forget 3",
        ] {
            assert!(Arguments::try_parse_from(line.split(' ')).is_ok(), "{line}");
        }
        assert!(Arguments::try_parse_from(["kithd", "serve", "--unknown"]).is_err());
        for line in ["kithd keys", "kithd keys forget", "kithd keys forget 256", "kithd keys rewrap"] {
            assert!(Arguments::try_parse_from(line.split(' ')).is_err(), "{line}");
        }
    }

    #[test]
    fn verifying_takes_the_logs_public_key_and_no_other_and_says_how_it_ends() {
        let log = kith_merkle::LogSigner::from_seed("kith.test/audit", &[5; 32]).unwrap().key().to_string();
        let witness = kith_merkle::WitnessSigner::from_seed("witness.test/one", &[6; 32]).unwrap().key().to_string();
        let verify = |key: &str| Arguments::try_parse_from(["kithd", "verify", "--log-key", key]).is_ok();
        assert!(verify(&log));
        for bad in [witness.as_str(), &log[1..], "kith.test/audit", ""] {
            assert!(!verify(bad), "{bad:?}");
        }
        let mut command = Arguments::command();
        let help = command.find_subcommand_mut("verify").unwrap().render_help().to_string();
        for (code, word) in [(DAMAGED, "DAMAGED"), (KEY_CHANGED, "KEY CHANGED"), (NOT_SIGNED, "NOT SIGNED")] {
            let help = help.split_whitespace().collect::<Vec<_>>().join(" ");
            assert!(help.contains(&format!("with {code} and {word} when")), "{help}");
        }
    }
}
