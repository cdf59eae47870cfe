//! Two shielded children in different places, of other histories and families, the feeds of the one place late: what a
//! question, a check-in and an opening of either leaves on the metrics page, and in the log at its most talkative, is the same
//! but for times, and tells no place.

use std::net::SocketAddr;

use kith_api::v1;

use super::alike::{Page, change, settled};
use super::{Server, Site, TRUSTS, address, build, calls, nhs, page, until};
use crate::harness::site::{AUTHORITIES, PLACES};
use crate::harness::{certificates, logs};

const ASKER: &str = TRUSTS[0];
/// What is the asker's own, and known to whoever asks.
const OWN: [&str; 4] = [ASKER, "Barrowfold", "RZ101", "01632 960101"];
/// The safeguarding team of the same trust.
const TEAM: &str = "team";
/// One in the first place, and one of whom there is more of everything in the last.
const CHILDREN: [u32; 2] = [51, 52];
const SIBLING: u32 = 53;
/// Of the first place.
const LATE: [&str; 2] = [AUTHORITIES[0], TRUSTS[1]];
const NOBODY: u32 = 90;
const LEVEL: &str = "\"info,kith_server=trace,kith_engine=trace,kith_store=trace,kith_api=trace,kith_index=trace\"";

/// What was left behind.
#[derive(Debug, PartialEq)]
struct Left {
    page: Page,
    log: Vec<String>,
}

/// Whoever looks at page and log before and after each call.
struct Watching<'a> {
    server: &'a Server,
    at: SocketAddr,
    questions: f64,
    before: Page,
    lines: usize,
}

impl<'a> Watching<'a> {
    /// From after so many questions on.
    fn begin(server: &'a Server, questions: f64) -> Self {
        let at = address(server);
        let before = settled(at, questions);
        Self { server, at, questions, before, lines: logs::lines(server.log()).len() }
    }

    /// What was left since the last look, by calls with so many questions.
    fn left(&mut self, questions: f64) -> Left {
        self.questions += questions;
        let after = settled(self.at, self.questions);
        let mut page = change(&self.before, &after);
        // Entries of one sync or of two; and how long an opening has been waiting.
        let by_the_clock = ["kith_audit_unsynced_window_seconds", "kith_break_glass_oldest_unreviewed_seconds"];
        page.retain(|series, _| !by_the_clock.iter().any(|start| series.starts_with(start)));
        let lines = logs::lines(self.server.log());
        let log = lines[self.lines..].iter().map(untimed).collect();
        (self.before, self.lines) = (after, lines.len());
        Left { page, log }
    }
}

fn untimed(line: &logs::Line) -> String {
    let mut fields = line.fields.clone();
    if let Some(fields) = fields.as_object_mut() {
        fields.remove("timestamp");
    }
    fields.to_string()
}

/// Holds both, and has asked three times.
async fn hold(server: &Server) {
    let [one, other] = CHILDREN;
    let plan = |child: u32, reference: &str| build::plan(nhs(child), reference);
    let shielded = |event: v1::PlanEvent| v1::PlanEvent { shielded: true, ..event };
    let family = |event: v1::PlanEvent| v1::PlanEvent { family: "F".into(), ..event };
    calls::accept(&server.client(AUTHORITIES[0]).await, vec![shielded(plan(one, "P1"))]).await;
    let more = vec![family(shielded(plan(other, "P2"))), shielded(plan(other, "P3")), family(plan(SIBLING, "P4"))];
    calls::accept(&server.client(AUTHORITIES[2]).await, more).await;
    for (trust, child, visit) in [(TRUSTS[1], one, "v1"), (TRUSTS[2], other, "v2"), (TRUSTS[2], other, "v3")] {
        let client = server.client(trust).await;
        calls::record(&client, build::record(trust, nhs(child), visit)).await.unwrap();
        calls::ask(&client, build::lookup(trust, nhs(child))).await;
    }
}

/// Waits until the feeds of the first place are late, which they stay: nothing more is heard of them.
fn until_late(at: SocketAddr) {
    until("the feeds of the first place are late", || {
        let page = page(at);
        let late = |code: &str| page.contains(&format!("code=\"{code}\",state=\"stale\"}} 1\n"));
        LATE.into_iter().all(late).then_some(())
    });
}

/// How many feeds of plans and of presentations an answer says are late.
fn told_late(answer: v1::Answer) -> [u32; 2] {
    let (plans, seen) = (answer.plans.unwrap().completeness, answer.presentations.unwrap().completeness);
    [plans, seen].map(|known| known.unwrap().stale)
}

fn opening(child: u32) -> v1::OpenShieldedRequest {
    let caller = v1::Caller { purpose: v1::Purpose::ChildProtectionEnquiry.into(), ..build::caller(ASKER) };
    v1::OpenShieldedRequest {
        lookup: Some(v1::LookupRequest { caller: Some(caller), ..build::lookup(ASKER, nhs(child)) }),
        reason: v1::OpeningReason::MissingChild.into(),
        words: "missing since this morning".into(),
        review_accepted: true,
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_shielded_children_leave_the_same_behind_wherever_they_are() {
    let late = |code| ("feeds.overrides", code, "{ interval_seconds = 1 }");
    let [authority, trust] = LATE.map(late);
    let listen = ("metrics", "listen", "\"127.0.0.1:0\"");
    let mut site = Site::with(&[listen, ("log", "level", LEVEL), authority, trust]);
    certificates::issue(&site.path("certs"), TEAM, ASKER, "safeguarding");
    let server = site.ready().await;
    calls::all_fresh(&server).await;
    hold(&server).await;
    until_late(address(&server));
    let (asker, team) = (server.client(ASKER).await, server.client(TEAM).await);
    // Takes the position past what is followed by nothing.
    let nobody = async || calls::ask(&asker, build::lookup(ASKER, nhs(NOBODY))).await;
    nobody().await;
    let mut watching = Watching::begin(&server, 4.0);
    let mut left = [Vec::new(), Vec::new()];
    for (left, child) in left.iter_mut().zip(CHILDREN) {
        let answer = calls::ask(&asker, build::lookup(ASKER, nhs(child))).await;
        assert!(answer.shielded);
        assert_eq!(told_late(answer), [1, 1], "of all feeds, wherever the child is");
        left.push(watching.left(1.0));
        calls::check_in(&asker, build::check_in(ASKER, nhs(child), &format!("c{child}"))).await.unwrap();
        nobody().await;
        left.push(watching.left(2.0));
        let opened = team.break_glass().open_shielded(team.request(opening(child))).await.unwrap().into_inner();
        assert!(opened.answer.unwrap().shielded);
        left.push(watching.left(1.0));
    }
    let [one, other] = left;
    assert_eq!(one, other);
    for Left { page, log } in &one {
        assert!(!page.is_empty(), "every call counts");
        for text in page.keys().chain(log) {
            let told = PLACES.into_iter().find(|place| !OWN.contains(place) && text.contains(*place));
            assert_eq!(told, None, "{text}");
        }
    }
    tokio::task::block_in_place(|| server.stop());
    site.finish(&[]);
}
