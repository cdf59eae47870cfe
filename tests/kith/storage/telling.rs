//! What the demographics service tells of a number while disks of the audit fail: it is done and acknowledged with an entry, or done
//! and not acknowledged and told later, or not done. Whoever is told that it was not done sends it for the first time again.

use std::path::Path;
use std::time::Duration;

use kith_api::client::{Client, ConnectOptions, Trouble};
use kith_api::v1;
use kith_domain::child::Subject;
use kith_domain::method::Method;
use kith_engine::Decision;
use tonic::{Code, Status};
use uuid::Uuid;

use super::EXPECTED;
use super::asking::Asking;
use super::disks::{self, Disks};
use super::row::{Fault, MORE, Place, Row, Shot};
use crate::harness::build::{self, nhs};
use crate::harness::process::Server;
use crate::harness::site::Site;
use crate::harness::wait::until_async;
use crate::harness::{certificates, offline};
use crate::identity::{PDS, superseded, telling, try_tell};

/// A thread may hang with a call: its caller gives up after this.
const DEADLINE: Duration = Duration::from_secs(5);
/// The first number of which something is told; nobody asks about these.
const FIRST: u32 = 10_000;

/// What whoever told it heard.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Heard {
    Acknowledged,
    /// Nothing was changed.
    Unchanged,
    /// It may have been changed, and the audit does not tell of it yet.
    Untold,
    /// Nothing in time.
    Nothing,
}

impl Heard {
    fn of(row: Row, status: &Status) -> Self {
        let Trouble { code, reason, .. } = Trouble::from(status);
        let is = |word: &str| code == Code::Unavailable && reason.as_deref() == Some(word);
        if is("AUDIT_UNAVAILABLE") {
            Self::Unchanged
        } else if is("CHANGE_NOT_AUDITED") {
            Self::Untold
        } else {
            assert!(matches!(code, Code::DeadlineExceeded | Code::Cancelled), "{row}: {status:?}");
            Self::Nothing
        }
    }
}

/// One number that is told to be replaced by the next.
struct Told {
    number: u32,
    request: v1::TellIdentityRequest,
    heard: Heard,
}

struct Telling<'a> {
    row: Row,
    server: &'a Server,
    told: Vec<Told>,
}

impl<'a> Telling<'a> {
    fn new(row: Row, server: &'a Server) -> Self {
        Self { row, server, told: Vec::new() }
    }

    /// Over a connection of its own, since a thread that hangs keeps its connections.
    async fn send(&self, request: &v1::TellIdentityRequest) -> Result<v1::Acknowledgement, Status> {
        let options = ConnectOptions { request_timeout: DEADLINE, ..self.server.options("pds") };
        let client = Client::connect(options).await.unwrap().as_person(&build::caller(PDS));
        try_tell(&client, request.clone()).await
    }

    /// Of a number of which nothing was told before.
    async fn tell(&mut self) -> Heard {
        let number = FIRST + 2 * u32::try_from(self.told.len()).unwrap();
        let request = telling(superseded(number, number + 1), 1);
        let heard = match self.send(&request).await {
            Ok(acknowledged) => {
                assert!(!acknowledged.repeated, "{}: it was never told before", self.row);
                Heard::Acknowledged
            }
            Err(status) => Heard::of(self.row, &status),
        };
        self.told.push(Told { number, request, heard });
        heard
    }

    async fn until_acknowledged(&mut self, when: &str) {
        let what = format!("{}: an acknowledgement {when}", self.row);
        until_async(&what, async || (self.tell().await == Heard::Acknowledged).then_some(())).await;
    }

    async fn until_refused(&mut self) {
        let what = format!("{}: a refusal by the audit", self.row);
        until_async(&what, async || matches!(self.tell().await, Heard::Unchanged | Heard::Untold).then_some(())).await;
    }

    async fn until_met(&mut self, what: &str, met: impl Fn() -> bool) {
        let what = format!("{}: {what}", self.row);
        until_async(&what, async || {
            let _acknowledged_or_not = self.tell().await;
            met().then_some(())
        })
        .await;
    }

    async fn all_acknowledged(&mut self, times: usize) {
        for _ in 0..times {
            assert_eq!(self.tell().await, Heard::Acknowledged, "{}", self.row);
        }
    }

    async fn none_acknowledged(&mut self, times: usize) {
        let mut unchanged = 0;
        for _ in 0..times {
            let heard = self.tell().await;
            assert_ne!(heard, Heard::Acknowledged, "{}: no disk takes its entry", self.row);
            unchanged += usize::from(heard == Heard::Unchanged);
        }
        // Once it is known that no entry is taken, nothing is changed at all. Whoever waits for a hung disk may hear nothing.
        assert!(unchanged > 0 || self.row.fault == Fault::Frozen, "{}: all were changed all the same", self.row);
    }

    /// Each is held to what is promised, whichever it is.
    async fn acknowledged_or_not(&mut self, times: usize) {
        for _ in 0..times {
            let _acknowledged_or_not = self.tell().await;
        }
    }

    /// Sends again what was not acknowledged, until it is.
    async fn send_again(&self) {
        for Told { number, request, heard } in &self.told {
            if *heard == Heard::Acknowledged {
                continue;
            }
            let (what, mut doubt) = (format!("{}: {number} is taken in the end", self.row), *heard == Heard::Nothing);
            let again = until_async(&what, async || match self.send(request).await {
                Ok(acknowledged) => Some(acknowledged),
                Err(status) => {
                    doubt |= Heard::of(self.row, &status) != Heard::Unchanged;
                    None
                }
            })
            .await;
            assert!(doubt || again.repeated == (*heard == Heard::Untold), "{}: {number}, {heard:?}", self.row);
        }
    }
}

/// Each stands now, and the audit tells of each, about the number of which it was told: read from the disks of the stopped server.
fn each_has_its_entry(row: Row, told: &[Told], dir: &Path) {
    let audit = offline::audit(dir);
    for Told { number, request, heard } in told {
        let (id, subject) = (Some(Uuid::parse_str(&request.event_id).unwrap()), Some(Subject::Nhs(nhs(*number))));
        let own = audit.values().filter(|entry| entry.request_id == id && entry.method == Some(Method::TellIdentity));
        let done = own.filter(|entry| entry.decision == Decision::Changed { acknowledged: 1, refused: 0 });
        let done: Vec<_> = done.collect();
        // One that stood without an entry has that of its first time as well.
        let least = if *heard == Heard::Untold { 2 } else { 1 };
        assert!(done.len() >= least, "{row}: {number}, {heard:?}: {} entries", done.len());
        assert!(done.iter().all(|entry| entry.subject == subject), "{row}: {number} is told as another");
    }
}

/// What is told meets the trouble itself, but for a disk that is full: that shows when a whole segment is.
async fn during(
    row: Row,
    telling: &mut Telling<'_>,
    asking: &mut Asking<'_>,
    disks: &mut Disks,
    struck: &disks::Trouble,
) {
    match (row.fault, row.place) {
        (Fault::Slow, Place::Primary | Place::Spill)
        | (Fault::Full | Fault::ReadOnly | Fault::Frozen, Place::Spill) => telling.all_acknowledged(MORE).await,
        (Fault::Slow, Place::Both) => {
            telling.all_acknowledged(MORE).await;
            disks.fill_the_first();
            asking.until_met("the second disk takes entries", || disks.spill_has_entries()).await;
            telling.all_acknowledged(MORE).await;
        }
        (Fault::SyncFails, Place::Spill) if !row.shot.lasts() => {
            telling.until_met("the second disk failed once", || struck.met() >= 1).await;
        }
        (Fault::SyncFails, Place::Both) if !row.shot.lasts() => {
            let least = if row.shot == Shot::Once { 2 } else { 1 };
            telling.until_met("the disks failed once", || struck.met() >= least).await;
        }
        (fault, Place::Primary) => {
            if fault == Fault::Full {
                asking.until_met("the second disk takes entries", || disks.spill_has_entries()).await;
            }
            telling.until_met("the second disk takes entries", || disks.spill_has_entries()).await;
            match row.shot {
                Shot::Once | Shot::Nth(_) => {}
                Shot::Lasting => {
                    telling.until_acknowledged("while the first disk is in trouble").await;
                    telling.all_acknowledged(MORE).await;
                }
                Shot::FromNth(_) => telling.acknowledged_or_not(MORE).await,
            }
        }
        (fault, Place::Spill | Place::Both) => {
            if fault == Fault::Full {
                asking.until_refused().await;
            }
            telling.until_refused().await;
            match row.shot {
                Shot::Once | Shot::Nth(_) => {}
                Shot::Lasting => telling.none_acknowledged(MORE).await,
                Shot::FromNth(_) => telling.acknowledged_or_not(MORE).await,
            }
        }
    }
    if row.first_fills() && !row.shot.lasts() {
        telling.until_acknowledged("while the first disk is still full").await;
    }
}

/// Strikes, tells, mends, tells again what was not acknowledged, and reads what is on disk; false where this machine does not let
/// it.
pub async fn drive(row: Row) -> bool {
    let mut site = Site::with(&row.settings());
    certificates::issue(&site.path("certs"), "pds", PDS, "demographics");
    let Some(mut disks) = Disks::mounted(&row.to_string(), &site) else {
        site.finish(&[]);
        return false;
    };
    let server = site.ready().await;
    let (mut asking, mut telling) = (Asking::new(row.to_string(), &server), Telling::new(row, &server));
    asking.until_answered("before").await;
    telling.all_acknowledged(1).await;
    row.before(&mut asking, &mut disks).await;
    let Some(struck) = disks.strike(row, &server) else {
        tokio::task::block_in_place(|| server.kill());
        site.finish(&EXPECTED);
        return false;
    };
    during(row, &mut telling, &mut asking, &mut disks, &struck).await;
    row.until_met(&mut asking, &disks, &struck).await;
    disks.mend(struck);
    telling.until_acknowledged("after it was mended").await;
    telling.send_again().await;
    asking.until_sink("primary").await;
    let (asked, told) = (asking.asked(), telling.told);
    tokio::task::block_in_place(|| server.stop());
    asked.every_answer_has_its_entry(site.dir());
    each_has_its_entry(row, &told, site.dir());
    drop(disks);
    // What was asked to fill a disk is a sign by its number, which waits for the audit as well.
    let own = ["a change stands that the audit did not take", "a flag could not be written into the audit"];
    site.finish(&[EXPECTED.as_slice(), &own].concat());
    true
}
