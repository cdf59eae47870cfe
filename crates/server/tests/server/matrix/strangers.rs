//! Good certificates of nobody: an organisation or authority that the directory does not know connects and is refused whatever
//! it asks. Held against the service itself.

use std::sync::Arc;
use std::time::Instant;

use kith_api::client::Person;
use kith_api::v1::plan_file_service_client::PlanFileServiceClient;
use kith_api::v1::presentation_service_client::PresentationServiceClient;
use kith_api::v1::status_service_client::StatusServiceClient;
use kith_api::v1::{Caller, GetFilePositionRequest, ImportRequest, ListFeedsRequest, Purpose};
use kith_server::directory::Directory;
use kith_server::kith::Kith;
use kith_server::new_key;
use kith_server::serve::{self, Ground, Running};
use tempfile::TempDir;
use tonic::transport::{Channel, Endpoint};
use tonic::{Code, Status};
use tonic_types::StatusExt;

use crate::authority::Authority;
use crate::harness::{ED, LA, PATIENCE, client, config_in};

/// The file of those who stand in no directory.
const SERVICES: &str = "services.csv";

/// With one organisation, in these roles.
fn listed(roles: &str) -> String {
    format!("ods_code,name,roles\nKITH,Operations,{roles}\n")
}

/// The service as production starts it, ready.
fn service(dir: &TempDir, authority: &Authority) -> Running<Kith> {
    let at = |name: &str| dir.path().join(name);
    let mut config = config_in(dir, authority);
    config.directory.services = at(SERVICES);
    std::fs::write(at(SERVICES), listed("ops")).unwrap();
    config.tls.reload_interval_ms = 50;
    config.storage.data_dir = at("data");
    config.storage.key_file = at("storage.key");
    config.storage.reserve_bytes = 1 << 20;
    config.audit.primary = at("audit");
    config.audit.spill = at("spill");
    config.answers.national_contact_name = String::from("Duty desk");
    config.answers.national_contact_phone = String::from("01632 960001");
    new_key::write(&config.storage.key_file).unwrap();
    let directory = Directory::load(&config).unwrap();
    let ground = Ground::prepare(&config).unwrap();
    let listener = serve::bind(config.server.listen).unwrap();
    let kith = Kith::new(Arc::new(|why: &str| panic!("the log failed: {why}")));
    let running = serve::start(ground, Arc::new(config), Arc::new(directory), listener, kith).unwrap();
    let deadline = Instant::now() + PATIENCE;
    while !running.readiness().is_serving() {
        assert!(Instant::now() < deadline, "not serving");
        std::thread::yield_now();
    }
    running
}

const OPS: &str = "spiffe://kith.test/org/KITH/role/ops";

/// A person of the organisation that the certificate names.
fn person(uri: &str) -> Person {
    let organisation = uri.split('/').nth_back(2).unwrap().to_owned();
    Person::of(&Caller {
        user_id: String::from("u1"),
        user_name: String::from("A Person"),
        user_role: String::from("Clerk"),
        role_code: String::from("R8010"),
        purpose: Purpose::RecordKeeping.into(),
        organisation,
    })
}

/// What its role does every day, and nothing of a child: an import without rows, the position of its file, the feeds.
async fn ask(channel: Channel, uri: &str) -> Result<(), Status> {
    let person = person(uri);
    if uri.ends_with("/ed") {
        let rows = tokio_stream::iter(Vec::<ImportRequest>::new());
        return PresentationServiceClient::with_interceptor(channel, person).import(rows).await.map(|_| ());
    }
    if uri.ends_with("/local-authority") {
        let position = GetFilePositionRequest::default();
        return PlanFileServiceClient::with_interceptor(channel, person).get_file_position(position).await.map(|_| ());
    }
    StatusServiceClient::with_interceptor(channel, person).list_feeds(ListFeedsRequest::default()).await.map(|_| ())
}

#[test]
fn unknown_organisations() {
    let dir = tempfile::tempdir().unwrap();
    let authority = Authority::new();
    let running = service(&dir, &authority);
    let unknown = (Code::PermissionDenied, Some(String::from("ORGANISATION_UNKNOWN")));
    let cases = [
        ("a known hospital", ED, (Code::Ok, None)),
        ("a known authority", LA, (Code::Ok, None)),
        ("operations, which stand in no directory and are listed", OPS, (Code::Ok, None)),
        ("operations of whom nothing is listed", "spiffe://kith.test/org/ZZ9/role/ops", unknown.clone()),
        ("operations of a known hospital", "spiffe://kith.test/org/R1H/role/ops", unknown.clone()),
        ("an unknown hospital", "spiffe://kith.test/org/RZ9/role/ed", unknown.clone()),
        ("an unknown authority", "spiffe://kith.test/org/E06000999/role/local-authority", unknown.clone()),
        ("a hospital as an authority", "spiffe://kith.test/org/R1H/role/local-authority", unknown.clone()),
        ("an authority as a hospital", "spiffe://kith.test/org/E06000001/role/ed", unknown),
    ];
    let endpoint = Endpoint::from_shared(format!("https://{}", running.address())).unwrap();
    client(async {
        for (name, uri, expected) in &cases {
            let tls = authority.client(&[uri]).tonic(&authority.pem);
            let channel = endpoint.clone().tls_config(tls).unwrap().connect().await.unwrap();
            let asked = ask(channel, uri).await;
            let reason = |status: &Status| status.get_details_error_info().map(|info| info.reason);
            let found = asked.map_or_else(|status| (status.code(), reason(&status)), |()| (Code::Ok, None));
            println!("certificate matrix: unknown organisations: {name}: {found:?}");
            assert_eq!(found, *expected, "{name}");
        }
    });
    println!("certificate matrix: unknown organisations: {} kinds, each as it should be", cases.len());
    println!("COUNTED certificates {}", cases.len());
    running.stop_handle().drain();
    running.wait();
}

#[test]
fn who_is_taken_off_the_list_does_nothing_from_then_on() {
    let dir = tempfile::tempdir().unwrap();
    let authority = Authority::new();
    let running = service(&dir, &authority);
    let tls = authority.client(&[OPS]).tonic(&authority.pem);
    let endpoint = Endpoint::from_shared(format!("https://{}", running.address())).unwrap().tls_config(tls).unwrap();
    let write = |text: &str| std::fs::write(dir.path().join(SERVICES), text).unwrap();
    client(async {
        let channel = endpoint.connect().await.unwrap();
        let refused = || async { ask(channel.clone(), OPS).await.err().map(|status| status.code()) };
        assert_eq!(refused().await, None);
        write(&listed("auditor"));
        while refused().await.is_none() {
            tokio::task::yield_now().await;
        }
        assert_eq!(refused().await, Some(Code::PermissionDenied));
        write(&listed("auditor ops"));
        while refused().await.is_some() {
            tokio::task::yield_now().await;
        }
    });
    running.stop_handle().drain();
    running.wait();
}
