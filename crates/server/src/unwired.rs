//! The process without an engine: it listens, says NOT_SERVING, and gives no answers.

use std::error::Error;
use std::io::Write;
use std::sync::Arc;

use kith_server::application::{Application, Opening, Verdict, Wiring};
use kith_server::config::Config;
use kith_server::directory::Directory;
use kith_server::engine_slot::OpenFailure;
use tonic::service::RoutesBuilder;

/// Why there is nothing to ask.
const NO_ENGINE: &str = "find an engine in this program";

/// No engine.
pub struct Unwired;

impl Application for Unwired {
    type Engine = ();

    fn service_names(&self) -> Vec<&'static str> {
        Vec::new()
    }

    fn descriptors(&self) -> &'static [u8] {
        &[]
    }

    fn add_services(&self, _: Wiring<()>, _: &mut RoutesBuilder) {}

    fn open(&self, _: Opening) -> Result<(), OpenFailure> {
        Err(OpenFailure::new(OpenFailure::STORE_NOT_OPENED, NO_ENGINE))
    }

    fn close(&self, _: Arc<()>) {}

    fn verify(&self, _: &Config, _: &Directory, _: &mut dyn Write) -> Result<Verdict, Box<dyn Error + Send + Sync>> {
        Err(NO_ENGINE.into())
    }

    fn inspect(&self, _: &Config, _: &Directory, _: &mut dyn Write) -> Result<(), Box<dyn Error + Send + Sync>> {
        Err(NO_ENGINE.into())
    }
}
