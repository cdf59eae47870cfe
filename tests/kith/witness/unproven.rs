//! A log that shows more and does not prove that it follows. That is no change of history and must not be cried as one; nor may
//! it be taken for one that follows, or for one that cannot be asked.

use std::collections::HashMap;
use std::net::SocketAddr;
use std::process::{Child, Command, Output};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};

use kith_api::client::ConnectOptions;
use kith_api::v1;
use kith_api::v1::audit_service_server::{AuditService, AuditServiceServer};
use kith_merkle::{Checkpoint, Hash, LogSigner, leaf_hash, node_hash};
use tonic::transport::server::TcpIncoming;
use tonic::transport::{Identity, ServerTlsConfig};
use tonic::{Code, Request, Response, Status};
use tonic_types::{ErrorDetails, StatusExt};

use super::{command, said, signed_question, site, site_with, witness};
use crate::harness::process::Server;
use crate::harness::site::Site;
use crate::harness::wait::{PATIENCE, until, until_async};
use crate::policy::{WRITTEN_OUT, replace};

/// Exit codes of the witness.
const FAILED: i32 = 1;
const UNPROVEN: i32 = 4;

const LOG: &str = "kith.test/audit";

/// What comes in place of a proof.
#[derive(Debug, Clone, Copy)]
enum Proof {
    Refused,
    /// A hash that is too short to be one.
    TooShort,
    /// One hash more than a proof between the two has.
    TooMany,
    Whole,
}

/// Whether it shows heads, and signed with which key.
#[derive(Debug, Clone, Copy)]
enum Head {
    Own,
    OfAnotherKey,
    None,
}

/// A log of one or two leaves, which does as it is told.
struct Log {
    signer: LogSigner,
    shows: Mutex<(u64, Proof)>,
    head: Mutex<Head>,
    /// Proofs asked for, and cosignatures brought.
    asked: AtomicU64,
    brought: AtomicU64,
}

fn leaf(number: u8) -> Hash {
    leaf_hash(&[&[number]])
}

impl Log {
    /// Listens with the certificate of the site's server.
    fn served(site: &Site) -> (Arc<Self>, SocketAddr) {
        let log = Arc::new(Self {
            signer: LogSigner::from_seed(LOG, &[5; 32]).unwrap(),
            shows: Mutex::new((1, Proof::Refused)),
            head: Mutex::new(Head::Own),
            asked: AtomicU64::new(0),
            brought: AtomicU64::new(0),
        });
        let read = |name: &str| std::fs::read(site.path(name)).unwrap();
        let own =
            ServerTlsConfig::new().identity(Identity::from_pem(read("certs/server.pem"), read("certs/server.key")));
        let incoming = TcpIncoming::bind(SocketAddr::from(([127, 0, 0, 1], 0))).unwrap();
        let address = incoming.local_addr().unwrap();
        let mut server = tonic::transport::Server::builder().tls_config(own).unwrap();
        let router = server.add_service(AuditServiceServer::from_arc(Arc::clone(&log)));
        tokio::spawn(router.serve_with_incoming(incoming));
        (log, address)
    }

    fn show(&self, size: u64, proof: Proof) {
        *self.shows.lock().unwrap() = (size, proof);
    }

    fn shown(&self) -> (u64, Proof) {
        *self.shows.lock().unwrap()
    }
}

#[tonic::async_trait]
impl AuditService for Log {
    async fn get_checkpoint(
        &self,
        _: Request<v1::GetCheckpointRequest>,
    ) -> Result<Response<v1::GetCheckpointResponse>, Status> {
        let shown = *self.head.lock().unwrap();
        let other = LogSigner::from_seed(LOG, &[9; 32]).unwrap();
        let signer = match shown {
            Head::Own => &self.signer,
            Head::OfAnotherKey => &other,
            Head::None => {
                let details = ErrorDetails::with_error_info("NO_CHECKPOINT", "kith", HashMap::new());
                return Err(Status::with_error_details(Code::NotFound, "nothing of the audit is signed", details));
            }
        };
        let (size, _) = self.shown();
        let root = if size == 1 { leaf(1) } else { node_hash(&leaf(1), &leaf(2)) };
        let head = Checkpoint { origin: LOG.to_owned(), size, root };
        let note = head.sign(signer).unwrap().to_string();
        Ok(Response::new(v1::GetCheckpointResponse { note }))
    }

    async fn get_consistency_proof(
        &self,
        _: Request<v1::GetConsistencyProofRequest>,
    ) -> Result<Response<v1::GetConsistencyProofResponse>, Status> {
        self.asked.fetch_add(1, Ordering::SeqCst);
        let hashes = match self.shown().1 {
            Proof::Refused => return Err(Status::unavailable("not now")),
            Proof::TooShort => vec![leaf(2)[1..].to_vec()],
            Proof::TooMany => vec![leaf(2).to_vec(), leaf(1).to_vec()],
            Proof::Whole => vec![leaf(2).to_vec()],
        };
        Ok(Response::new(v1::GetConsistencyProofResponse { hashes }))
    }

    async fn add_cosignature(
        &self,
        _: Request<v1::AddCosignatureRequest>,
    ) -> Result<Response<v1::AddCosignatureResponse>, Status> {
        self.brought.fetch_add(1, Ordering::SeqCst);
        Ok(Response::new(v1::AddCosignatureResponse {}))
    }

    async fn get_inclusion_proof(
        &self,
        _: Request<v1::GetInclusionProofRequest>,
    ) -> Result<Response<v1::GetInclusionProofResponse>, Status> {
        Err(Status::unimplemented("no witness asks for this"))
    }

    async fn search(&self, _: Request<v1::SearchRequest>) -> Result<Response<v1::SearchResponse>, Status> {
        Err(Status::unimplemented("no witness asks for this"))
    }

    async fn who_looked(&self, _: Request<v1::WhoLookedRequest>) -> Result<Response<v1::WhoLookedResponse>, Status> {
        Err(Status::unimplemented("no witness asks for this"))
    }
}

/// A witness of this log, with arguments of the test's own.
fn watching(site: &Site, key: &str, address: &str, arguments: &[&str]) -> Command {
    let options = ConnectOptions {
        server: address.to_owned(),
        ca: site.path("certs/ca.pem"),
        cert: site.path("certs/witness.pem"),
        key: site.path("certs/witness.key"),
        connect_timeout: PATIENCE,
        request_timeout: PATIENCE,
    };
    let mut command = command("kith-witness", site.dir(), &options);
    command.args(["--log-key", key, "--name", "witness.test/one", "--signing-key", "w.key", "--state", "w"]);
    command.args(arguments);
    command
}

/// It is cried as what it is, and leaves nothing behind that a person would have to take away.
fn expect_unproven(site: &Site, round: &Output) {
    let told = said(round);
    assert_eq!(round.status.code(), Some(UNPROVEN), "{told}");
    let cry = String::from_utf8_lossy(&round.stderr);
    assert!(cry.contains("UNPROVEN. It cannot be told whether history has changed"), "{told}");
    assert!(!told.contains("HISTORY HAS CHANGED") && !told.contains("leaves follow"), "{told}");
    assert!(!site.path("w/ALARM").is_file(), "no history was seen to change");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_never_proven_is_cried_as_unproven_whatever_comes_in_place_of_a_proof() {
    let site = site();
    let (log, address) = Log::served(&site);
    let (key, address) = (log.signer.key().to_string(), address.to_string());
    let once = || tokio::task::block_in_place(|| watching(&site, &key, &address, &["--once"]).output().unwrap());
    let first = once();
    assert!(
        first.status.success() && said(&first).contains("first head, of 1 leaves, taken on trust"),
        "{}",
        said(&first)
    );
    let seen = || std::fs::read(site.path("w/seen")).unwrap();
    let remembered = seen();
    for proof in [Proof::Refused, Proof::TooShort, Proof::TooMany] {
        log.show(2, proof);
        expect_unproven(&site, &once());
        // Whether its own disk could take an alarm, or shows whether there is one, decides nothing.
        for in_its_place in ["w/ALARM.new", "w/ALARM"] {
            std::fs::create_dir(site.path(in_its_place)).unwrap();
            expect_unproven(&site, &once());
            std::fs::remove_dir(site.path(in_its_place)).unwrap();
        }
    }
    assert_eq!((log.asked.load(Ordering::SeqCst), log.brought.load(Ordering::SeqCst)), (9, 1), "one is cosigned");
    assert!(seen() == remembered, "what is not proven is not remembered");
    // A log that is not there has neither proven nor failed to prove anything.
    let nowhere = tokio::task::block_in_place(|| watching(&site, &key, "127.0.0.1:1", &["--once"]).output().unwrap());
    assert_eq!(nowhere.status.code(), Some(FAILED), "{}", said(&nowhere));
    assert!(!said(&nowhere).contains("UNPROVEN"), "{}", said(&nowhere));
    // Nothing of all this stands in the way once there is a proof.
    log.show(2, Proof::Whole);
    let last = once();
    assert!(last.status.success() && said(&last).contains("2 leaves follow from 1"), "{}", said(&last));
    assert_eq!(log.brought.load(Ordering::SeqCst), 2);
    site.finish(&[]);
}

/// Whoever has the machine can make a new key, write the audit anew and sign all of it, or sign nothing any more.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_log_that_shows_no_head_of_its_key_any_more_is_cried_once_one_is_remembered() {
    let site = site();
    let (log, address) = Log::served(&site);
    let (key, address) = (log.signer.key().to_string(), address.to_string());
    let once = || tokio::task::block_in_place(|| watching(&site, &key, &address, &["--once"]).output().unwrap());
    for head in [Head::OfAnotherKey, Head::None] {
        *log.head.lock().unwrap() = head;
        let never = once();
        assert_eq!(never.status.code(), Some(FAILED), "nothing is remembered yet: {}", said(&never));
    }
    *log.head.lock().unwrap() = Head::Own;
    assert!(once().status.success());
    for head in [Head::OfAnotherKey, Head::None] {
        *log.head.lock().unwrap() = head;
        let cried = once();
        expect_unproven(&site, &cried);
        assert!(said(&cried).contains("be shown a head that is signed with the log's key"), "{}", said(&cried));
    }
    assert_eq!(log.brought.load(Ordering::SeqCst), 1);
    *log.head.lock().unwrap() = Head::Own;
    assert!(once().status.success(), "nothing of all this stands in the way once there is one");
    site.finish(&[]);
}

/// A witness that asks again and again; one that did not end by itself would ask for ever.
struct Asking(Child);

impl Drop for Asking {
    fn drop(&mut self) {
        let _gone_or_not = self.0.kill();
        let _waited_for = self.0.wait();
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_witness_that_asks_again_and_again_ends_after_so_many_rounds_without_a_proof() {
    let site = site();
    let (log, address) = Log::served(&site);
    let (key, address) = (log.signer.key().to_string(), address.to_string());
    let first = tokio::task::block_in_place(|| watching(&site, &key, &address, &["--once"]).output().unwrap());
    assert!(first.status.success(), "{}", said(&first));
    log.show(2, Proof::Refused);
    let told = std::fs::File::create(site.path("told")).unwrap();
    let mut command = watching(&site, &key, &address, &["--unproven-rounds", "3", "--every-ms", "1"]);
    let mut asking = Asking(command.stdout(told.try_clone().unwrap()).stderr(told).spawn().unwrap());
    let ended = tokio::task::block_in_place(|| until("the witness ends", || asking.0.try_wait().unwrap()));
    let told = std::fs::read_to_string(site.path("told")).unwrap();
    assert_eq!((ended.code(), log.asked.load(Ordering::SeqCst)), (Some(UNPROVEN), 3), "{told}");
    assert!(told.contains("UNPROVEN.") && !told.contains("HISTORY HAS CHANGED"), "{told}");
    assert_eq!(log.brought.load(Ordering::SeqCst), 1);
    site.finish(&[]);
}

/// One round with the keys of the site's own server.
fn round(site: &Site, server: &Server) -> Output {
    tokio::task::block_in_place(|| witness(site, server))
}

/// The server itself: it gives out heads, and by a narrower policy no proof between them.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_that_gives_heads_and_no_proofs_is_unproven() {
    let mut site = site_with(&[("policy", "file", "\"policy.toml\""), ("tls", "reload_interval_ms", "50")]);
    let file = site.path("policy.toml");
    std::fs::write(&file, WRITTEN_OUT).unwrap();
    let server = site.ready().await;
    signed_question(&server, 1).await;
    let first = round(&site, &server);
    assert!(first.status.success(), "{}", said(&first));

    let narrower = WRITTEN_OUT.replacen(", \"AuditService/GetConsistencyProof\"", "", 1);
    assert_ne!(narrower, WRITTEN_OUT);
    replace(&file, &narrower);
    let asking = server.client("witness").await;
    until_async("the narrower policy counts", async || {
        let request = asking.request(v1::GetConsistencyProofRequest { from_size: 1, to_size: 1 });
        let refused = asking.audit().get_consistency_proof(request).await.err()?;
        (refused.code() == Code::PermissionDenied).then_some(())
    })
    .await;
    signed_question(&server, 2).await;
    expect_unproven(&site, &round(&site, &server));

    replace(&file, WRITTEN_OUT);
    let followed = until_async("the wider policy counts", async || {
        let again = round(&site, &server);
        again.status.success().then_some(again)
    })
    .await;
    assert!(said(&followed).contains("leaves follow from"), "{}", said(&followed));
    tokio::task::block_in_place(|| server.stop());
    site.finish(&[]);
}
