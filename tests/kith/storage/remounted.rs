//! A start on a disk of the audit that was mounted for reading alone: no answer, and the reason, until it is mounted for writing again.
//! Under a running server it cannot be mounted so, since the server has files of it open.

use kith_api::v1::Readiness;

use super::asking::Asking;
use super::disks::Disks;
use super::row::{MORE, Place};
use crate::harness::site::Site;

/// What the log says of a start that comes to nothing, and of one after it.
const EXPECTED: [&str; 3] = ["giving no answers", "audit", "did not end in order"];

/// Starts, mounts the disks anew in between, and starts again; false where this machine does not let it.
pub async fn drive(place: Place) -> bool {
    let row = format!("{place:?}, mounted for reading alone");
    let mut site = Site::new();
    let Some(disks) = Disks::mounted(&row, &site) else {
        site.finish(&[]);
        return false;
    };
    let server = site.ready().await;
    let mut asking = Asking::new(row.clone(), &server);
    asking.until_answered("before").await;
    let before = asking.asked();
    tokio::task::block_in_place(|| server.stop());

    tokio::task::block_in_place(|| disks.remount(place, false));
    let server = site.start();
    let (readiness, reason) = server.settled().await;
    assert_eq!((readiness, reason.as_str()), (Readiness::Failed, "AUDIT_UNAVAILABLE"), "{row}");
    Asking::new(row.clone(), &server).none_answered(MORE).await;
    tokio::task::block_in_place(|| server.stop());

    tokio::task::block_in_place(|| disks.remount(place, true));
    let server = site.ready().await;
    let mut asking = Asking::new(row, &server);
    asking.until_answered("after it was mounted for writing again").await;
    let after = asking.asked();
    tokio::task::block_in_place(|| server.stop());
    [before, after].iter().for_each(|asked| asked.every_answer_has_its_entry(site.dir()));
    drop(disks);
    site.finish(&EXPECTED);
    true
}
