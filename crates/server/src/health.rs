//! The standard health service, behind a latch: NOT_SERVING until everything is up, and again from the first moment of
//! a drain. Never says SERVING by default.

use std::sync::{Arc, Mutex, PoisonError};

use tonic::service::RoutesBuilder;
use tonic_health::ServingStatus;
use tonic_health::server::HealthReporter;

/// The name under which the whole server's health is asked for.
const OVERALL: &str = "";

/// What decides whether the server may be asked.
#[derive(Debug, Default, Clone, Copy)]
struct Conditions {
    opened: bool,
    held_back: bool,
    draining: bool,
}

impl Conditions {
    fn serving(self) -> bool {
        self.opened && !self.held_back && !self.draining
    }
}

/// The latch. Clones share it.
#[derive(Debug, Clone)]
pub struct Readiness {
    reporter: HealthReporter,
    services: Arc<[&'static str]>,
    conditions: Arc<Mutex<Conditions>>,
    turn: Arc<tokio::sync::Mutex<()>>,
}

impl Readiness {
    /// Adds the health service to `routes`, with every service and the whole server NOT_SERVING.
    pub(crate) async fn install(services: Vec<&'static str>, routes: &mut RoutesBuilder) -> Self {
        let (reporter, server) = tonic_health::server::health_reporter();
        routes.add_service(server);
        let readiness = Self { reporter, services: services.into(), conditions: Arc::default(), turn: Arc::default() };
        readiness.tell().await;
        readiness
    }

    /// Opens the latch: the engine is ready. Does nothing against a drain or a hold.
    pub(crate) async fn open(&self) {
        self.change(|conditions| conditions.opened = true).await;
    }

    /// Holds the server back while `held_back`, whatever else is up.
    pub async fn hold_back(&self, held_back: bool) {
        self.change(|conditions| conditions.held_back = held_back).await;
    }

    /// Closes the latch for good, and ends every watch once it has seen that.
    pub(crate) async fn drain(&self) {
        self.change(|conditions| conditions.draining = true).await;
        let _turn = self.turn.lock().await;
        let mut reporter = self.reporter.clone();
        for service in self.names() {
            reporter.clear_service_status(service).await;
        }
    }

    /// Whether the server may be asked now.
    pub fn is_serving(&self) -> bool {
        self.conditions.lock().unwrap_or_else(PoisonError::into_inner).serving()
    }

    async fn change(&self, change: impl FnOnce(&mut Conditions)) {
        change(&mut self.conditions.lock().unwrap_or_else(PoisonError::into_inner));
        self.tell().await;
    }

    /// Tells the state as it is when its turn comes, so that two changes can never be told in the wrong order.
    async fn tell(&self) {
        let _turn = self.turn.lock().await;
        let status = if self.is_serving() { ServingStatus::Serving } else { ServingStatus::NotServing };
        for service in self.names() {
            self.reporter.set_service_status(service, status).await;
        }
    }

    fn names(&self) -> impl Iterator<Item = &'static str> {
        std::iter::once(OVERALL).chain(self.services.iter().copied())
    }
}

/// Adds reflection, v1 and v1alpha, over the services and types in `descriptors` and the health service.
///
/// # Errors
/// When `descriptors` is not an encoded file descriptor set.
pub(crate) fn install_reflection(
    descriptors: &'static [u8],
    routes: &mut RoutesBuilder,
) -> Result<(), tonic_reflection::server::Error> {
    let builder = || {
        tonic_reflection::server::Builder::configure()
            .register_encoded_file_descriptor_set(descriptors)
            .register_encoded_file_descriptor_set(tonic_health::pb::FILE_DESCRIPTOR_SET)
    };
    routes.add_service(builder().build_v1()?);
    routes.add_service(builder().build_v1alpha()?);
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    async fn readiness() -> Readiness {
        Readiness::install(vec!["kith.v1.LookupService"], &mut tonic::service::Routes::builder()).await
    }

    #[tokio::test]
    async fn the_latch_opens_only_when_everything_is_up() {
        let readiness = readiness().await;
        assert!(!readiness.is_serving());
        readiness.hold_back(true).await;
        readiness.open().await;
        assert!(!readiness.is_serving());
        readiness.hold_back(false).await;
        assert!(readiness.is_serving());
    }

    #[tokio::test]
    async fn a_drain_closes_the_latch_for_good() {
        let readiness = readiness().await;
        readiness.open().await;
        readiness.drain().await;
        readiness.open().await;
        readiness.hold_back(false).await;
        assert!(!readiness.is_serving());
    }
}
