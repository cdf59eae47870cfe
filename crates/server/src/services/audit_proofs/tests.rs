//! What a witness brings, when it does not wait to hear what became of it.

use std::collections::BTreeMap;
use std::future::poll_fn;
use std::net::SocketAddr;
use std::task::Poll;
use std::time::Duration;

use kith_api::client::CALLER_METADATA;
use kith_domain::codes::OdsCode;
use kith_domain::directory::ServiceRoles;
use kith_engine::Witnessed;
use kith_merkle::{Checkpoint, LogSigner, WitnessSigner};
use prost::Message;
use tonic::metadata::MetadataValue;

use super::*;
use crate::connection::ConnectInfo;
use crate::identity::PeerIdentity;
use crate::services::testing::{self, Place, last};

const WITNESS: &str = "RW1";

fn signer() -> LogSigner {
    LogSigner::from_seed("kith.test/audit", &[5; 32]).unwrap()
}

/// A request of the witness.
fn by_the_witness<T>(message: T) -> Request<T> {
    let caller = v1::Caller {
        user_id: "kith-witness".to_owned(),
        user_name: "Witness".to_owned(),
        user_role: "Audit witness".to_owned(),
        role_code: "WITNESS".to_owned(),
        purpose: v1::Purpose::RecordKeeping.into(),
        organisation: WITNESS.to_owned(),
    };
    let mut request = Request::new(message);
    request.metadata_mut().insert_bin(CALLER_METADATA, MetadataValue::from_bytes(&caller.encode_to_vec()));
    let peer = PeerIdentity { organisation: WITNESS.to_owned(), role: Role::Witness };
    let address = SocketAddr::from(([127, 0, 0, 1], 1));
    request.extensions_mut().insert(ConnectInfo::new(Arc::new(peer), address, Arc::default(), Arc::default()));
    request
}

/// The newest head, once there is one, with the witness's statement.
async fn cosigned_head(place: &Place) -> String {
    let head = loop {
        match place.engine.audit_checkpoint() {
            Some(head) => break head,
            None => tokio::task::yield_now().await,
        }
    };
    let (_, mut note) = Checkpoint::open(head.as_bytes(), signer().key()).unwrap();
    let witness = WitnessSigner::from_seed("witness.test/one", &[6; 32]).unwrap();
    note.signatures.push(witness.cosign(&note.text, 1_700_000_000).unwrap());
    note.to_string()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_cosignature_whose_witness_has_gone_is_kept_and_told() {
    let place = Place::with_tree(signer());
    let listed = BTreeMap::from([(OdsCode::parse(WITNESS).unwrap(), vec![Role::Witness])]);
    place.engine.set_services(Arc::new(ServiceRoles::new(listed)));
    let (services, _running) = testing::services(&place);
    let (note, before) = (cosigned_head(&place).await, last(&place.engine));
    assert_eq!(place.engine.tree_health().unwrap().witnessed, Witnessed::NotAwaited);
    let mut call = services.add_cosignature(by_the_witness(v1::AddCosignatureRequest { note }));
    // It is begun, and then its deadline passes.
    poll_fn(|cx| Poll::Ready(call.as_mut().poll(cx).is_ready())).await;
    drop(call);
    let told = async {
        while last(&place.engine) == before {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(Duration::from_secs(60), told).await.expect("nobody is told");
    assert_eq!(last(&place.engine), before + 1);
    assert!(place.dir().join("tree/cosigned").exists());
    let witnessed = place.engine.tree_health().unwrap().witnessed;
    assert!(matches!(witnessed, Witnessed::LastAt(_)), "and on the metrics page: {witnessed:?}");
    tokio::task::block_in_place(|| place.engine.close(now()));
    assert_eq!(last(&place.engine), before + 2, "and the end, which is one in order");
}
