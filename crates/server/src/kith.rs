//! The application behind the process: the engine with its services. Opens, closes and examines it; decides nothing
//! about a child.

use std::error::Error;
use std::io::Write;
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use kith_domain::change::Feed;
use kith_domain::codes::OdsCode;
use kith_domain::policy::Policy;
use kith_engine::{
    AuditEntry, AuditError, Configured, Decision, Engine, EngineOptions, JournalOptions, KeepTree, KeyError, Keys,
    OnFatal, PurgeOptions, StoreOptions, SystemMonotonic, TreeOptions,
};
use kith_merkle::LogSigner;
use ring::digest::{SHA256, digest};
use tokio::runtime::Handle;
use tonic::service::RoutesBuilder;

use crate::answer_times::AnswerTimes;
use crate::application::{Application, Opening, Pinned, Verdict, Wiring};
use crate::audit_key;
use crate::config::{AuditMode, Config};
use crate::directory::Directory;
use crate::edge::Edge;
use crate::engine_slot::{EngineState, OpenFailure};
use crate::file_looks::look_at;
use crate::keys_watch::KeysWatch;
use crate::metrics_page;
use crate::new_key;
use crate::person_tokens::{self, PersonTokens, PersonTokensFile};
use crate::policy_file::{self, PolicyFile};
use crate::pulse::{Beat, Pulse};
use crate::service_list::{self, ServiceList};
use crate::services::{self, Services};
use crate::tls::{FileChange, KeptList, Part};
use crate::translate;
use crate::verify_verb;

/// Kith itself.
pub struct Kith {
    on_fatal: OnFatal,
    pulse: Mutex<Pulse>,
    times: Arc<AnswerTimes>,
    policy: OnceLock<PolicyFile>,
    tokens: Arc<PersonTokens>,
    tokens_file: OnceLock<PersonTokensFile>,
    services: OnceLock<ServiceList>,
    keys: KeysWatch,
    /// What was refused and is not in the audit yet, and where it is waited for.
    edge: OnceLock<(Edge, Handle)>,
}

impl Kith {
    /// The application; `on_fatal` must end the process when the change log has failed beyond repair.
    #[must_use]
    pub fn new(on_fatal: OnFatal) -> Self {
        Self {
            on_fatal,
            pulse: Mutex::default(),
            times: Arc::default(),
            policy: OnceLock::new(),
            tokens: Arc::default(),
            tokens_file: OnceLock::new(),
            services: OnceLock::new(),
            keys: KeysWatch::default(),
            edge: OnceLock::new(),
        }
    }
}

type Failure = Box<dyn Error + Send + Sync>;

impl Application for Kith {
    type Engine = Engine;

    fn service_names(&self) -> Vec<&'static str> {
        services::NAMES.to_vec()
    }

    fn descriptors(&self) -> &'static [u8] {
        kith_api::FILE_DESCRIPTOR_SET
    }

    fn add_services(&self, wiring: Wiring<Engine>, routes: &mut RoutesBuilder) {
        // Called once.
        let _ = self.edge.set((wiring.edge.clone(), wiring.control.clone()));
        services::add(&Services::new(wiring, Arc::clone(&self.times), Arc::clone(&self.tokens)), routes);
    }

    fn open(&self, opening: Opening) -> Result<Engine, OpenFailure> {
        let config = &opening.config;
        let keys = keys(config).map_err(|error| OpenFailure::new(OpenFailure::KEY_UNUSABLE, error))?;
        let (file, first) = policy_file::begin(&config.policy.file)
            .map_err(|error| OpenFailure::new(OpenFailure::POLICY_UNUSABLE, error))?;
        let (tokens_file, tokens) = person_tokens::begin(&config.person_tokens.file)
            .map_err(|error| OpenFailure::new(OpenFailure::PERSON_TOKENS_UNUSABLE, error))?;
        let (service_list, listed) =
            service_list::begin(config).map_err(|error| OpenFailure::new(OpenFailure::POLICY_UNUSABLE, error))?;
        let options = options(config, &opening, keys, Arc::clone(&first.made))
            .map_err(|error| OpenFailure::new(OpenFailure::STORE_NOT_OPENED, error))?;
        let who_may = (first.sha256, tokens.is_some(), listed.sha256);
        let told = in_force(config, &opening.directory, &options.tree, who_may)
            .map_err(|error| OpenFailure::new(OpenFailure::STORE_NOT_OPENED, error))?;
        let engine = Engine::open(options, services::now(), Arc::clone(&self.on_fatal))
            .map_err(|error| OpenFailure::new(error.reason(), error))?;
        engine.tell(services::now(), told).map_err(|error| OpenFailure::new(AUDIT_UNAVAILABLE, error))?;
        engine.set_services(listed.made);
        let begun = |what, sha256| {
            let changed = Decision::ConfigChanged(what, sha256);
            audited(&engine, &opening.control, changed).map_err(|error| OpenFailure::new(AUDIT_UNAVAILABLE, error))
        };
        if first.sha256 != [0; 32] {
            // Under which policy the answers from here on are given.
            begun(Configured::Policy, first.sha256)?;
        }
        if let Some(first) = tokens {
            begun(Configured::PersonTokens, first.sha256)?;
            // Before there is an engine to ask, so that nobody is answered without the token that they need.
            self.tokens.put_in_force(first.made);
        }
        if let Some(stamp) = engine.changed_keyring() {
            // Changed while nothing ran.
            begun(Configured::Keys, stamp.sha256)?;
            engine.note_keyring(stamp);
        }
        // Opened once.
        let _ = (self.policy.set(file), self.tokens_file.set(tokens_file), self.services.set(service_list));
        Ok(engine)
    }

    fn look_again(&self, engine: &Engine, asked: bool) {
        let audit = |decision: Decision| audited(engine, &Handle::current(), decision);
        if let Some(file) = self.policy.get() {
            look_at(file, (Configured::Policy, "policy"), asked, &audit, |policy| engine.set_policy(policy));
        }
        if let Some(file) = self.tokens_file.get() {
            let what = (Configured::PersonTokens, person_tokens::WHAT);
            look_at(file, what, asked, &audit, |table| self.tokens.put_in_force(table));
        }
        if let Some(file) = self.services.get() {
            let put_in_force = |services| engine.set_services(Arc::new(services));
            look_at(file, (Configured::Services, service_list::WHAT), asked, &audit, put_in_force);
        }
        self.keys.look(engine, &audit);
    }

    fn file_changed(&self, engine: &Engine, FileChange { part, in_force, kept }: FileChange) -> bool {
        let what = match part {
            Part::Certificate => Configured::Certificate,
            Part::ClientAuthorities => Configured::ClientAuthorities,
            Part::RevocationLists => Configured::RevocationLists,
        };
        let decision = match (in_force, kept) {
            (Some(sha256), _) => Decision::ConfigChanged(what, sha256),
            (None, Some(KeptList { file, issuer })) => Decision::ListKept { file, issuer },
            (None, None) => Decision::ConfigRefused(what),
        };
        // That the audit takes no entry is told by the audit itself.
        audited(engine, &Handle::current(), decision)
            .inspect_err(|error| tracing::debug!(%error, "a change of certificates is not audited yet"))
            .is_ok()
    }

    fn reload_failed(&self) -> Vec<(&'static str, bool)> {
        vec![
            ("policy", self.policy.get().is_some_and(PolicyFile::has_failed)),
            ("person_tokens", self.tokens_file.get().is_some_and(PersonTokensFile::has_failed)),
            (service_list::WHAT, self.services.get().is_some_and(ServiceList::has_failed)),
            ("keys", self.keys.has_failed()),
        ]
    }

    fn can_answer(&self, engine: &Engine) -> bool {
        let window = engine.audit_window();
        let synced_through = engine.positions().synced_through;
        let beat = Beat { sink: window.sink.is_some(), unsynced: window.unsynced, synced_through };
        self.pulse.lock().unwrap_or_else(PoisonError::into_inner).beats(beat, Instant::now())
    }

    fn trim(&self, engine: &Engine) -> Result<(), Failure> {
        let behind = || {
            kith_engine::give_way();
            engine.trim()
        };
        let trimmed = thread::scope(|scope| scope.spawn(behind).join());
        trimmed.map_err(|_| "the thread that trims has died")??;
        Ok(())
    }

    fn metrics(&self, engine: &EngineState<Engine>) -> String {
        metrics_page::page(engine, &self.times, services::now())
    }

    fn close(&self, engine: Arc<Engine>) {
        // Nobody refuses any more.
        if let Some((edge, control)) = self.edge.get() {
            edge.audit(&engine, control);
            edge.tell_left();
        }
        engine.close(services::now());
    }

    fn verify(
        &self,
        config: &Config,
        _: &Directory,
        pinned: Pinned<'_>,
        out: &mut dyn Write,
    ) -> Result<Verdict, Failure> {
        verify_verb::run(config, pinned, &keys(config)?, out)
    }

    fn inspect(&self, config: &Config, _: &Directory, out: &mut dyn Write) -> Result<(), Failure> {
        let keys = keys(config)?;
        for (name, rows) in kith_engine::inspect(&config.storage.data_dir, &keys)? {
            writeln!(out, "{name}: {rows}")?;
        }
        Ok(())
    }
}

/// Why the service takes no questions when the audit takes no entry.
const AUDIT_UNAVAILABLE: &str = "AUDIT_UNAVAILABLE";

/// The keys of the data directory.
fn keys(config: &Config) -> Result<Arc<Keys>, KeyError> {
    Keys::open(&config.storage.data_dir, &new_key::source(&config.storage)).map(Arc::new)
}

/// What is in force from the start on: the settings, the directory, whose files the settings only name, who may call beside those,
/// the key that signs the audit, and, where no file says otherwise, that the policy is the one built in and that nobody needs a
/// token. Told at every start, so that whoever goes back to any of them cannot do so unseen.
fn in_force(
    config: &Config,
    directory: &Directory,
    tree: &KeepTree,
    (policy, has_tokens, services): ([u8; 32], bool, [u8; 32]),
) -> Result<Vec<Decision>, Failure> {
    let settings = sha256_of(config.to_toml()?.as_bytes());
    let mut told = vec![
        Decision::ConfigChanged(Configured::Settings, settings),
        Decision::ConfigChanged(Configured::Directory, directory.sha256()),
        Decision::ConfigChanged(Configured::Services, services),
        signing(tree),
    ];
    if policy == [0; 32] {
        told.push(Decision::ConfigChanged(Configured::Policy, policy));
    }
    if !has_tokens {
        told.push(Decision::ConfigChanged(Configured::PersonTokens, [0; 32]));
    }
    Ok(told)
}

/// With which key the audit's tree is signed.
fn signing(tree: &KeepTree) -> Decision {
    let of_key = |signer: &Arc<LogSigner>| sha256_of(signer.key().to_string().as_bytes());
    let signed = match tree {
        KeepTree::Unusable => return Decision::ConfigRefused(Configured::AuditKey),
        KeepTree::No => None,
        KeepTree::Kept(options) => options.signer.as_ref().map(of_key),
    };
    Decision::ConfigChanged(Configured::AuditKey, signed.unwrap_or_default())
}

fn sha256_of(bytes: &[u8]) -> [u8; 32] {
    let mut hash = [0; 32];
    hash.copy_from_slice(digest(&SHA256, bytes).as_ref());
    hash
}

/// Puts a decision of the service itself into the audit, and waits for it.
fn audited(engine: &Engine, control: &Handle, decision: Decision) -> Result<(), AuditError> {
    let entry = AuditEntry::of_service(services::now(), decision);
    control.block_on(engine.audit(&entry)).map(|_| ())
}

/// The tree over the audit that is kept. A key that cannot be used keeps nobody from asking.
fn keep_tree(config: &Config) -> KeepTree {
    if config.audit.tree.as_os_str().is_empty() {
        return KeepTree::No;
    }
    match audit_key::load(config) {
        Ok(Some(signer)) => {
            tracing::info!(key = %signer.key(), "the audit's tree is signed");
            let mut options = TreeOptions::new(&config.audit.tree, Some(signer));
            options.witnesses = config.audit.witnesses.iter().map(|key| key.0.clone()).collect();
            KeepTree::Kept(options)
        }
        Ok(None) => KeepTree::No,
        Err(what) => {
            tracing::error!(%what, "the audit's key cannot be used: nothing of the audit is signed, answers go on");
            KeepTree::Unusable
        }
    }
}

/// What the engine opens with.
fn options(config: &Config, opening: &Opening, keys: Arc<Keys>, policy: Arc<Policy>) -> Result<EngineOptions, Failure> {
    let audit = &config.audit;
    let mode = match audit.mode {
        AuditMode::Bounded => kith_engine::AuditMode::Bounded,
        AuditMode::Strict => kith_engine::AuditMode::Strict,
    };
    let journal = JournalOptions {
        mode,
        sync_interval: Duration::from_millis(audit.sync_interval_ms),
        wait_after: Duration::from_millis(audit.wait_after_ms),
        fail_after: Duration::from_millis(audit.fail_after_ms),
        segment_bytes: audit.segment_bytes,
        ..JournalOptions::new(&audit.primary, &audit.spill)
    };
    let tree = keep_tree(config);
    let (feeds, stop) = (config.feeds.clone(), opening.stop.clone());
    let volumes = config.feeds.clone();
    let expected_per_week =
        move |code: OdsCode| volumes.overrides.get(code.as_str()).and_then(|own| own.expected_per_week);
    let interval_seconds = move |feed: Feed| {
        let (code, hours) = match feed {
            Feed::Plans(code) => (code.to_string(), feeds.plan_interval_hours),
            Feed::Presentations(code) => (code.to_string(), feeds.presentation_interval_hours),
        };
        let own = feeds.overrides.get(&code).and_then(|own| own.interval_seconds);
        own.unwrap_or(hours.saturating_mul(3600))
    };
    Ok(EngineOptions {
        data_dir: config.storage.data_dir.clone(),
        keys,
        store: StoreOptions { reserve_bytes: config.storage.reserve_bytes, ..StoreOptions::default() },
        journal,
        tree,
        boot_id: std::fs::read_to_string("/proc/sys/kernel/random/boot_id").unwrap_or_default().trim().to_owned(),
        settings: translate::settings(&config.answers, &config.feeds)?,
        directory: Arc::new(translate::directory(&opening.directory, config)?),
        policy,
        interval_seconds: Box::new(interval_seconds),
        thin: translate::thin(&config.feeds),
        expected_per_week: Box::new(expected_per_week),
        clock: Arc::new(SystemMonotonic::default()),
        wall_clock: Arc::new(services::now),
        purge: PurgeOptions {
            audit_days: Some(audit.retention_days).filter(|days| *days > 0),
            ..config.purge.options()
        },
        flags: config.flags,
        give_up: Box::new(move || stop.is_draining()),
    })
}
