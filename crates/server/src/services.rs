//! The gRPC services: each handler decodes, authorises, asks or changes, audits and encodes, in this order. They decide
//! nothing about a child: rules are the domain's, order is the engine's.

mod audit_proofs;
mod audit_reading;
mod audit_wire;
mod break_glass;
mod broker;
mod context;
mod cosigned;
mod errors;
mod feeds;
mod files;
mod flags;
mod group;
mod identity;
mod in_flight;
mod lookup;
mod notifications;
mod person;
mod places;
mod plans;
mod presentations;
mod status;
#[cfg(test)]
pub(crate) mod testing;
mod trace;
mod turns;
mod while_standing;
mod withholding;

pub(crate) use context::Services;
pub(crate) use context::now;

use kith_api::convert::fault::Faults;
use kith_api::v1;
use kith_domain::caller::Caller;
use kith_engine::TraceId;
use tonic::metadata::MetadataMap;
use tonic::service::RoutesBuilder;
use v1::audit_service_server::AuditServiceServer;
use v1::break_glass_service_server::BreakGlassServiceServer;
use v1::broker_service_server::BrokerServiceServer;
use v1::flag_service_server::FlagServiceServer;
use v1::identity_service_server::IdentityServiceServer;
use v1::lookup_service_server::LookupServiceServer;
use v1::notification_service_server::NotificationServiceServer;
use v1::plan_file_service_server::PlanFileServiceServer;
use v1::plan_service_server::PlanServiceServer;
use v1::presentation_service_server::PresentationServiceServer;
use v1::status_service_server::StatusServiceServer;
use v1::withholding_service_server::WithholdingServiceServer;

use crate::config::Limits;

/// The person and the trace that the headers of a call name, for fuzzing.
pub(crate) fn headers(metadata: &MetadataMap) -> (Result<Caller, Faults>, Option<TraceId>) {
    (person::read(metadata, Limits::default().max_person_bytes), trace::read(metadata))
}

/// What a page's size and token are taken for, by lists that go by numbers and by the list of feeds, for fuzzing.
pub(crate) fn pages(size: u32, token: &str) -> [Result<(usize, u64), Faults>; 2] {
    let feeds = feeds::page_of(size, token).map(|(size, before)| (size, u64::try_from(before).unwrap_or(u64::MAX)));
    [notifications::page_of(size, token), feeds]
}

/// Full names of the services, for health.
pub(crate) const NAMES: [&str; 12] = [
    "kith.v1.AuditService",
    "kith.v1.BreakGlassService",
    "kith.v1.BrokerService",
    "kith.v1.FlagService",
    "kith.v1.IdentityService",
    "kith.v1.LookupService",
    "kith.v1.PresentationService",
    "kith.v1.PlanService",
    "kith.v1.PlanFileService",
    "kith.v1.NotificationService",
    "kith.v1.StatusService",
    "kith.v1.WithholdingService",
];

/// Adds every service with its bound on message sizes.
pub(crate) fn add(services: &Services, routes: &mut RoutesBuilder) {
    let max = services.limits().max_message_bytes;
    let of = || services.clone();
    routes
        .add_service(LookupServiceServer::new(of()).max_decoding_message_size(max))
        .add_service(PresentationServiceServer::new(of()).max_decoding_message_size(max))
        .add_service(PlanServiceServer::new(of()).max_decoding_message_size(max))
        .add_service(PlanFileServiceServer::new(of()).max_decoding_message_size(max))
        .add_service(NotificationServiceServer::new(of()).max_decoding_message_size(max))
        .add_service(AuditServiceServer::new(of()).max_decoding_message_size(max))
        .add_service(BreakGlassServiceServer::new(of()).max_decoding_message_size(max))
        .add_service(BrokerServiceServer::new(of()).max_decoding_message_size(max))
        .add_service(FlagServiceServer::new(of()).max_decoding_message_size(max))
        .add_service(IdentityServiceServer::new(of()).max_decoding_message_size(max))
        .add_service(StatusServiceServer::new(of()).max_decoding_message_size(max))
        .add_service(WithholdingServiceServer::new(of()).max_decoding_message_size(max));
}
