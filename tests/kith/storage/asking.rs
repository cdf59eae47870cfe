//! Whoever asks while disks fail: each answer and each refusal is held to what is promised, and afterwards each answer to
//! what is on disk.

use std::path::Path;
use std::time::Duration;

use kith_api::client::{Client, ConnectOptions, Trouble};
use kith_api::v1;
use kith_engine::{AuditEntry, Decision};
use tonic::{Code, Status};
use uuid::Uuid;

use crate::harness::build::{self, nhs};
use crate::harness::process::Server;
use crate::harness::site::{AUTHORITIES, TRUSTS};
use crate::harness::wait::until_async;
use crate::harness::{calls, offline};

const ED: &str = TRUSTS[0];
/// A thread may hang with a call: its asker gives up after this.
const DEADLINE: Duration = Duration::from_secs(5);
/// Longest delay that answers in bounded mode leave without, see the default of `wait_after_ms`.
const WAIT_AFTER_MS: f64 = 50.0;

/// Answers that left: the audit's number of each, and the request it answered.
pub struct Asked {
    row: String,
    answered: Vec<(u64, String)>,
    /// Questions that were refused because the audit took no entry.
    unaudited: u64,
}

pub struct Asking<'a> {
    server: &'a Server,
    asked: Asked,
}

impl<'a> Asking<'a> {
    pub fn new(row: String, server: &'a Server) -> Self {
        Self { server, asked: Asked { row, answered: Vec::new(), unaudited: 0 } }
    }

    /// A question over a connection of its own, since a thread that hangs keeps its connections.
    async fn ask(&mut self) -> Result<(), Status> {
        let options = ConnectOptions { request_timeout: DEADLINE, ..self.server.options(ED) };
        let client = Client::connect(options).await.unwrap();
        self.ask_over(&client).await
    }

    /// A question over a connection that is there.
    pub async fn ask_over(&mut self, client: &Client) -> Result<(), Status> {
        let request = build::lookup(ED, nhs(u32::try_from(self.asked.answered.len()).unwrap()));
        let id = request.request_id.clone();
        match calls::try_ask(client, request).await {
            Ok(answer) => {
                let (_, number) = answer.audit_reference.rsplit_once('-').unwrap();
                self.asked.answered.push((number.parse().unwrap(), id));
                Ok(())
            }
            Err(status) => {
                self.hold(&status);
                Err(status)
            }
        }
    }

    /// A refusal says why, and nothing that could be read as an answer.
    fn hold(&mut self, status: &Status) {
        let row = &self.asked.row;
        let Trouble { code, reason, .. } = Trouble::from(status);
        let by_the_audit = code == Code::Unavailable && reason.as_deref() == Some("AUDIT_UNAVAILABLE");
        let by_the_asker = matches!(code, Code::DeadlineExceeded | Code::Cancelled);
        assert!(by_the_audit || by_the_asker, "{row}: {status:?}");
        assert!(!status.message().to_lowercase().contains("none held"), "{row}: {status:?}");
        self.asked.unaudited += u64::from(by_the_audit);
    }

    pub async fn until_answered(&mut self, when: &str) {
        let what = format!("{}: an answer {when}", self.asked.row);
        until_async(&what, async || self.ask().await.ok()).await;
    }

    /// Asks once more, and waits until that entry is on disk: what the thread that syncs it had begun before is done.
    pub async fn until_on_disk(&mut self) {
        self.until_answered("whose entry comes to be on disk").await;
        let number = self.asked.answered.last().map_or(0, |(number, _)| *number);
        let what = format!("{}: the entry of an answer is on disk", self.asked.row);
        until_async(&what, async || {
            let positions = self.server.status().await.positions.unwrap();
            (positions.audit_synced_through >= number).then_some(())
        })
        .await;
    }

    pub async fn until_refused(&mut self) {
        let what = format!("{}: a refusal by the audit", self.asked.row);
        until_async(&what, async || {
            self.ask().await.is_err_and(|status| status.code() == Code::Unavailable).then_some(())
        })
        .await;
    }

    /// Asks until something has happened.
    pub async fn until_met(&mut self, what: &str, met: impl Fn() -> bool) {
        let what = format!("{}: {what}", self.asked.row);
        until_async(&what, async || {
            let _answered_or_not = self.ask().await;
            met().then_some(())
        })
        .await;
    }

    pub async fn all_answered(&mut self, times: usize) {
        for _ in 0..times {
            if let Err(status) = self.ask().await {
                panic!("{}: {status:?}", self.asked.row);
            }
        }
    }

    pub async fn none_answered(&mut self, times: usize) {
        for _ in 0..times {
            assert!(self.ask().await.is_err(), "{}: an answer while no disk takes its entry", self.asked.row);
        }
    }

    /// Each is held to what is promised, whichever it is.
    pub async fn answered_or_refused(&mut self, times: usize) {
        for _ in 0..times {
            let _answered_or_not = self.ask().await;
        }
    }

    async fn audit(&self) -> v1::AuditWindow {
        self.server.status().await.audit.unwrap()
    }

    pub async fn until_sink(&mut self, sink: &str) {
        let what = format!("{}: entries go to {sink} again", self.asked.row);
        until_async(&what, async || {
            self.ask().await.ok()?;
            (self.audit().await.sink == sink).then_some(())
        })
        .await;
    }

    /// The server's own figure.
    pub async fn until_a_sync_was_slow(&self) {
        let what = format!("{}: a sync that took longer than {WAIT_AFTER_MS} ms", self.asked.row);
        until_async(&what, async || (self.audit().await.window_max_ms >= WAIT_AFTER_MS).then_some(())).await;
    }

    /// A segment in trouble is closed for good, and that is counted; without trouble none is.
    pub async fn holds_failed_segments(&self, expected: bool) {
        let failed = self.audit().await.failed_segments;
        assert_eq!(failed > 0, expected, "{}: {failed} segments closed for good", self.asked.row);
    }

    pub async fn until_a_gap_is_announced(&self) {
        for code in AUTHORITIES {
            let client = self.server.client(code).await;
            let what = format!("{}: {code} is told that entries may be missing", self.asked.row);
            until_async(&what, async || {
                let request =
                    client.request(v1::ListRequest { caller: Some(build::caller(code)), ..v1::ListRequest::default() });
                let response = client.notifications().list(request).await.ok()?.into_inner();
                (!response.gaps.is_empty()).then_some(())
            })
            .await;
        }
    }

    pub fn asked(self) -> Asked {
        self.asked
    }
}

impl Asked {
    /// Read from the disks of the stopped server.
    pub fn every_answer_has_its_entry(&self, dir: &Path) {
        offline::verify(dir);
        let entries = offline::audit(dir);
        for (number, id) in &self.answered {
            let entry = entries.get(number).unwrap_or_else(|| panic!("{}: answer {number} has no entry", self.row));
            let answered = matches!(entry.decision, Decision::Answered { .. });
            let own = entry.request_id == Some(Uuid::parse_str(id).unwrap());
            assert!(answered && own, "{}: entry {number} is another's: {:?}", self.row, entry.decision);
        }
        assert!(!self.answered.is_empty());
    }

    /// Of what was refused because the audit took no entry, it tells how much. Where entries are given up that one may be too.
    pub fn every_refusal_is_told(&self, dir: &Path) {
        let counted = |entry: &AuditEntry| {
            let Decision::RefusedMany { code, count, .. } = entry.decision else { return 0 };
            if code.word() == "AUDIT_UNAVAILABLE" { count } else { 0 }
        };
        // One whose asker gave up first may be counted too; an entry that was said to have failed may be there all the same.
        let (told, heard) = (offline::audit(dir).values().map(counted).sum::<u64>(), self.unaudited);
        assert!(told >= heard, "{}: {told} of {heard} refusals without an audit are told", self.row);
    }
}
