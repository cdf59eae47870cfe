//! What the process needs from the engine and the services: how to open, ask, close and examine.
//! Never knows what an answer is.

use std::error::Error;
use std::io::Write;
use std::sync::Arc;

use kith_merkle::VerifierKey;
use tokio::runtime::Handle;
use tonic::service::RoutesBuilder;

use crate::config::Config;
use crate::directory::Directory;
use crate::edge::Edge;
use crate::engine_slot::{EngineSlot, EngineState, OpenFailure};
use crate::health::Readiness;
use crate::stop::StopSignal;
use crate::tls::FileChange;

/// What opening the engine may use.
#[derive(Debug)]
pub struct Opening {
    /// The checked configuration.
    pub config: Arc<Config>,
    /// The checked directory.
    pub directory: Arc<Directory>,
    /// Where background work runs; never the threads that answer calls.
    pub control: Handle,
    /// The order to stop.
    pub stop: StopSignal,
    /// The latch behind the health service, to hold the server back later.
    pub readiness: Readiness,
}

/// What the services may use.
#[derive(Debug)]
pub struct Wiring<E> {
    /// The engine, once it is open.
    pub engine: Arc<EngineSlot<E>>,
    /// The checked configuration.
    pub config: Arc<Config>,
    /// The checked directory.
    pub directory: Arc<Directory>,
    /// The order to stop: long streams end when it is given.
    pub stop: StopSignal,
    /// Where background work runs.
    pub control: Handle,
    /// Refusals that no handler sees, to be put into the audit.
    pub(crate) edge: Edge,
}

/// The outcome of an offline examination.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// Everything examined is as it should be.
    Sound,
    /// Something is wrong, and was named in the output.
    Damaged,
    /// Nothing else is wrong than that the audit's heads are signed with another key than the one that is configured or was given, or
    /// that these two differ.
    KeyChanged,
    /// Nothing else is wrong than that no signature stands for the audit: there was no key to look at any with, nothing is signed, or
    /// its end is not, and nothing will sign it: no key is there, or the tree is suspected.
    NotSigned,
}

/// What whoever examines the audit brings, so that they need not believe the machine that it is on.
#[derive(Debug, Clone, Copy)]
pub struct Pinned<'a> {
    /// The log's public key; without it the configuration's.
    pub log_key: Option<&'a VerifierKey>,
    /// Checkpoints of the audit that others kept: signed notes.
    pub kept: &'a [Vec<u8>],
}

/// The engine and its services, as the process runs them.
pub trait Application: Send + Sync + 'static {
    /// What handlers ask.
    type Engine: Send + Sync + 'static;

    /// Full names of the services, for the health service.
    fn service_names(&self) -> Vec<&'static str>;

    /// The encoded file descriptor set of the services and of the error details, imports included.
    fn descriptors(&self) -> &'static [u8];

    /// Adds the services. Called once, before the engine is open.
    fn add_services(&self, wiring: Wiring<Self::Engine>, routes: &mut RoutesBuilder);

    /// Opens the store and replays it. Runs on a thread of its own and may take its time.
    ///
    /// # Errors
    /// The reason that clients are told, and the cause for the log.
    fn open(&self, opening: Opening) -> Result<Self::Engine, OpenFailure>;

    /// Whether the engine can answer now: false holds the server back until it is true again. Asked several times a
    /// second, off the threads that answer calls.
    fn can_answer(&self, engine: &Self::Engine) -> bool;

    /// The metrics page: plain text for Prometheus, and nothing of a child. Asked off the threads that answer calls.
    fn metrics(&self, _engine: &EngineState<Self::Engine>) -> String {
        String::new()
    }

    /// Writes a snapshot of the state and trims the log behind it, while questions are answered. Blocks, off the threads
    /// that answer calls.
    ///
    /// # Errors
    /// Why the log is not trimmed; nothing is lost.
    fn trim(&self, _engine: &Self::Engine) -> Result<(), Box<dyn Error + Send + Sync>> {
        Ok(())
    }

    /// Looks at files that may change while the engine runs, and puts in force what is new in them; `asked`: somebody asked
    /// for it. Blocks, off the threads that answer calls.
    fn look_again(&self, _engine: &Self::Engine, _asked: bool) {}

    /// Puts into the audit what became of a certificate file; whether it is there. What is not is told again. Blocks, off the
    /// threads that answer calls.
    fn file_changed(&self, _engine: &Self::Engine, _change: FileChange) -> bool {
        true
    }

    /// Which of those files cannot be used as they are now, each with whether.
    fn reload_failed(&self) -> Vec<(&'static str, bool)> {
        Vec::new()
    }

    /// Closes the engine after the last call has ended.
    fn close(&self, engine: Arc<Self::Engine>);

    /// Verifies the audit and the data of a stopped server, writing what it finds; `pinned` is held against it.
    ///
    /// # Errors
    /// When the data cannot be examined at all.
    fn verify(
        &self,
        config: &Config,
        directory: &Directory,
        pinned: Pinned<'_>,
        out: &mut dyn Write,
    ) -> Result<Verdict, Box<dyn Error + Send + Sync>>;

    /// Writes what the data of a stopped server consists of: counts and positions, nothing about a child.
    ///
    /// # Errors
    /// When the data cannot be examined.
    fn inspect(
        &self,
        config: &Config,
        directory: &Directory,
        out: &mut dyn Write,
    ) -> Result<(), Box<dyn Error + Send + Sync>>;
}
