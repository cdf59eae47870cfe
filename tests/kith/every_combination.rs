//! Every combination of feed states, load state, identity, fault and record, asked over the wire: none turns into a bare
//! "none held", "cannot say" never hides what is held, and where nothing can be answered there is no answer at all. What is
//! expected is computed from the combination alone.

use std::collections::BTreeSet;
use std::os::unix::fs::PermissionsExt;
use std::process::Command;
use std::time::Duration;

use kith_api::client::Client;
use kith_api::v1::{self, FeedState, Outcome};
use tonic::{Code, Status};

use crate::harness::build::{self, nhs};
use crate::harness::calls;
use crate::harness::mount::Mount;
use crate::harness::process::Server;
use crate::harness::site::{AUTHORITIES, PLACES, Setting, Site, TRUSTS};
use crate::harness::wait::until_async;

/// The record's own authority and trust; the asker is the last trust.
const LA: &str = AUTHORITIES[0];
const OWN: &str = TRUSTS[0];
const ASKER: &str = TRUSTS[2];
/// More than this share makes "cannot say": two of three do.
const PERCENT: u32 = 50;

/// What is on a child's record, by number of the child.
const NOTHING: u32 = 0;
/// A withdrawn plan and a presentation in error: the record points to both senders and shows nothing.
const VANISHED: u32 = 1;
const PLAN: u32 = 2;
const SEEN: u32 = 3;
const BOTH: u32 = 4;
const SHIELDED: u32 = 5;
const SHIELDED_VANISHED: u32 = 6;
const CHILDREN: u32 = 7;

/// Birth dates given: none, the one held, a digit off, another.
fn given(n: usize) -> Option<v1::Date> {
    let born = |year, month, day| Some(v1::Date { year, month, day });
    [None, born(2019, 3, 4), born(2018, 3, 4), born(2016, 8, 21)][n]
}

fn has_plan(child: u32) -> bool {
    matches!(child, PLAN | BOTH | SHIELDED)
}

fn has_seen(child: u32) -> bool {
    matches!(child, SEEN | BOTH | SHIELDED)
}

fn is_shielded(child: u32) -> bool {
    matches!(child, SHIELDED | SHIELDED_VANISHED)
}

/// The feeds of one combination: the own authority, the own trust, and the two others of each kind.
#[derive(Debug, Clone, Copy)]
struct Feeds {
    authority: FeedState,
    trust: FeedState,
    others: FeedState,
}

impl Feeds {
    /// States of one kind's three feeds, the own one first; an authority is never thin.
    fn of_kind(self, plans: bool) -> [FeedState; 3] {
        let others = if plans && self.others == FeedState::Thin { FeedState::Fresh } else { self.others };
        [if plans { self.authority } else { self.trust }, others, others]
    }

    /// Overrides that bring these states about; absent ones are not in the directory, or were never heard of.
    fn settings(self) -> Vec<Setting<'static>> {
        let mut settings = vec![("feeds", "cannot_say_percent", "50")];
        for (codes, plans) in [(AUTHORITIES, true), (TRUSTS, false)] {
            for (code, state) in codes.into_iter().zip(self.of_kind(plans)) {
                match state {
                    FeedState::Stale => settings.push(("feeds.overrides", code, "{ interval_seconds = 1 }")),
                    FeedState::Thin => settings.push(("feeds.overrides", code, "{ expected_per_week = 900000 }")),
                    FeedState::Fresh | FeedState::Absent | FeedState::Unspecified => {}
                }
            }
        }
        settings
    }

    /// What the server must say before it is asked; own feeds that are absent are not in its directory.
    async fn settle(self, server: &Server) {
        let expected: Vec<FeedState> = [self.of_kind(true), self.of_kind(false)].concat();
        let codes = [AUTHORITIES, TRUSTS].concat();
        until_async("the feeds are as they should be", async || {
            let feeds = server.status_with_feeds().await.feeds;
            let state =
                |code: &str| feeds.iter().find(|feed| feed.code == code).map_or(FeedState::Absent, v1::Feed::state);
            codes.iter().zip(&expected).all(|(code, expected)| state(code) == *expected).then_some(())
        })
        .await;
    }
}

/// One question.
#[derive(Debug, Clone, Copy)]
struct Asked {
    child: u32,
    given: usize,
    traced: bool,
}

/// Every question about every child.
fn all_asked() -> impl Iterator<Item = Asked> {
    let of_child = |child| (0..8).map(move |n| Asked { child, given: n / 2, traced: n % 2 > 0 });
    (0..CHILDREN).flat_map(of_child)
}

fn request(asked: Asked) -> v1::LookupRequest {
    let Asked { child, given: n, traced } = asked;
    v1::LookupRequest { number_traced: traced, date_of_birth: given(n), ..build::lookup(ASKER, nhs(child)) }
}

/// One of the two questions of an answer.
struct Part<'a> {
    outcome: Outcome,
    words: &'a str,
    known: &'a v1::Completeness,
    listed: usize,
}

fn parts(answer: &v1::Answer) -> Option<[Part<'_>; 2]> {
    let (plans, seen) = (answer.plans.as_ref()?, answer.presentations.as_ref()?);
    let listed =
        seen.at_this_organisation.len() + seen.at_other_organisations.len() + seen.shielded_presentations.len();
    Some([
        Part {
            outcome: plans.outcome(),
            words: &plans.words,
            known: plans.completeness.as_ref()?,
            listed: plans.plans.len(),
        },
        Part { outcome: seen.outcome(), words: &seen.words, known: seen.completeness.as_ref()?, listed },
    ])
}

/// What every answer must keep, whatever the feeds: held is never hidden, and none held never bare.
fn hold(asked: Asked, answer: &v1::Answer) {
    let withheld = has_plan(asked.child) && asked.given == 3;
    let all = answer.words.join(" ");
    assert!(answer.ring.as_ref().is_some_and(|ring| !ring.phone.is_empty()), "{asked:?}");
    if withheld {
        let outcomes = (answer.plans.as_ref().unwrap().outcome(), answer.presentations.as_ref().unwrap().outcome());
        let not_confirmed = Outcome::IdentityNotConfirmed;
        assert_eq!(outcomes, (not_confirmed, not_confirmed), "{asked:?}");
        assert!(!all.contains("none held") && !all.contains("CANNOT SAY"), "{all}");
        return;
    }
    for (part, held) in parts(answer).unwrap().into_iter().zip([has_plan(asked.child), has_seen(asked.child)]) {
        let Part { outcome, words, known, listed } = part;
        assert_eq!((outcome == Outcome::Held, listed > 0), (held, held), "{asked:?}: {words}");
        assert_eq!(known.feeds, known.fresh + known.stale + known.absent + known.thin);
        assert_eq!(words.contains("none held"), outcome == Outcome::NoneHeld, "{words}");
        assert_eq!(words.contains("CANNOT SAY"), outcome == Outcome::CannotSay, "{words}");
        assert_eq!(known.doubts.is_empty(), outcome != Outcome::CannotSay, "{words}");
        if outcome == Outcome::NoneHeld {
            assert!(words.contains("not reassurance") && words.contains(" as of "), "{words}");
            assert!(words.contains(if asked.traced { "was traced" } else { "was NOT traced" }), "{words}");
        }
    }
    if is_shielded(asked.child) {
        assert!(answer.shielded && !PLACES.iter().any(|place| all.contains(place)), "{asked:?}: {all}");
        assert!(parts(answer).unwrap().iter().all(|part| part.known.named_feeds.is_empty()), "{asked:?}");
    }
}

/// What feeds add: when nothing held is "cannot say", the counts, and the names.
fn hold_feeds(feeds: Feeds, asked: Asked, answer: &v1::Answer) {
    let Some(parts) = parts(answer) else { return };
    let vanished = matches!(asked.child, VANISHED | SHIELDED_VANISHED);
    let points = [has_plan(asked.child) || vanished, has_seen(asked.child) || vanished];
    for (at, part) in parts.into_iter().enumerate() {
        let states = feeds.of_kind(at == 0);
        // A feed that is not in the directory is absent for a record that points to it, and not counted.
        let counted = if states[0] == FeedState::Absent { &states[1..] } else { &states[..] };
        let count = |state| counted.iter().filter(|found| **found == state).count() as u32;
        let late = count(FeedState::Stale) + count(FeedState::Absent) + count(FeedState::Thin);
        let v1::Completeness { stale, absent, thin, .. } = part.known;
        let expected = [FeedState::Stale, FeedState::Absent, FeedState::Thin].map(count);
        assert_eq!([*stale, *absent, *thin], expected, "{feeds:?} {asked:?}");
        let own = points[at] && states[0] != FeedState::Fresh;
        let too_many = late * 100 > counted.len() as u32 * PERCENT;
        // Of a shielded record the own feed is not told from others.
        let shielded = is_shielded(asked.child);
        let doubtful = if shielded { late > 0 } else { own || too_many };
        if part.outcome != Outcome::Held {
            let expected = if doubtful { Outcome::CannotSay } else { Outcome::NoneHeld };
            assert_eq!(part.outcome, expected, "{feeds:?} {asked:?}: {}", part.words);
        }
        let named: Vec<FeedState> = part.known.named_feeds.iter().map(v1::NamedFeed::state).collect();
        assert_eq!(named, if own && !shielded { vec![states[0]] } else { Vec::new() }, "{feeds:?} {asked:?}");
        assert_eq!(part.words.contains("On this record: "), own && !shielded, "{}", part.words);
        for feed in &part.known.named_feeds {
            assert!(part.words.contains(&format!("On this record: {} ", feed.name)), "{}", part.words);
        }
    }
}

/// Writes the records of all children.
async fn fill(server: &Server) {
    let (authority, trust) = (server.client(LA).await, server.client(OWN).await);
    let born = given(1);
    for child in NOTHING + 1..CHILDREN {
        let vanished = matches!(child, VANISHED | SHIELDED_VANISHED);
        let plan = v1::PlanEvent {
            date_of_birth: born,
            shielded: is_shielded(child),
            ..build::plan(nhs(child), &format!("P{child}"))
        };
        let action = v1::PlanAction::Withdraw.into();
        let withdrawn = v1::PlanEvent { event_id: build::id(), action, version: 2, ..plan.clone() };
        if has_plan(child) || vanished {
            calls::accept(&authority, vec![plan]).await;
        }
        let record = v1::RecordRequest { date_of_birth: born, ..build::record(OWN, nhs(child), &format!("E{child}")) };
        if has_seen(child) || vanished {
            calls::record(&trust, record.clone()).await.unwrap();
        }
        if vanished {
            calls::accept(&authority, vec![withdrawn]).await;
            calls::close(&trust, build::close(&record, v1::PresentationOutcome::EnteredInError)).await.unwrap();
        }
    }
}

/// The directory without an own feed that is to be absent.
fn write_directory(site: &Site, originals: &[(&str, String); 2], feeds: Feeds) {
    for ((file, text), (code, state)) in originals.iter().zip([(LA, feeds.authority), (OWN, feeds.trust)]) {
        let kept = text.lines().filter(|line| state != FeedState::Absent || !line.starts_with(code));
        let text: String = kept.map(|line| format!("{line}\n")).collect();
        std::fs::write(site.path(file), text).unwrap();
    }
    let own_site = if feeds.trust == FeedState::Absent { "" } else { "RZ101,Barrowfold General,RZ1\n" };
    let sites = format!(
        "ods_site_code,name,organisation_code\n{own_site}RZ201,Quenbury Royal,RZ2\nRZ301,Ulverdale Infirmary,RZ3\n"
    );
    std::fs::write(site.path("sites.csv"), sites).unwrap();
}

/// A site with every record, stopped; the others' feeds were never heard of.
async fn filled(settings: &[Setting<'_>]) -> Site {
    let mut site = Site::with(settings);
    let server = site.ready().await;
    fill(&server).await;
    tokio::task::block_in_place(|| server.stop());
    site
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_feed_state_record_and_identity() {
    use FeedState::{Absent, Fresh, Stale, Thin};
    let mut site = filled(&[]).await;
    let originals = ["authorities.csv", "organisations.csv"];
    let originals = originals.map(|file| (file, std::fs::read_to_string(site.path(file)).unwrap()));
    let (mut driven, mut identities) = (0, BTreeSet::new());
    // Never heard of comes first: hearing of a feed cannot be undone.
    for others in [Absent, Fresh, Stale, Thin] {
        if others == Fresh {
            write_directory(&site, &originals, Feeds { authority: Fresh, trust: Fresh, others });
            site.configure(&[]);
            let server = site.ready().await;
            calls::all_fresh(&server).await;
            tokio::task::block_in_place(|| server.stop());
        }
        for authority in [Fresh, Stale, Absent] {
            for trust in [Fresh, Stale, Absent, Thin] {
                let feeds = Feeds { authority, trust, others };
                write_directory(&site, &originals, feeds);
                site.configure(&feeds.settings());
                let server = site.ready().await;
                feeds.settle(&server).await;
                let client = server.client(ASKER).await;
                for asked in all_asked() {
                    let answer = calls::ask(&client, request(asked)).await;
                    identities.insert(answer.identity.as_ref().unwrap().outcome().as_str_name());
                    hold(asked, &answer);
                    hold_feeds(feeds, asked, &answer);
                    driven += 1;
                }
                tokio::task::block_in_place(|| server.stop());
            }
        }
    }
    assert_eq!(identities.len(), 6, "every outcome of the identity check: {identities:?}");
    println!("combinations driven with a server that is ready: {driven}");
    assert_eq!(driven, 4 * 12 * 56);
    site.finish(&[]);
}

/// No answer at all, for a reason that tells to use the telephone.
fn no_answer(result: Result<v1::Answer, Status>, reasons: &[&str]) {
    let status = match result {
        Ok(answer) => panic!("an answer where there can be none: {:?}", answer.words),
        Err(status) => status,
    };
    let (_, reason, _) = calls::trouble(&status);
    assert!(reasons.contains(&reason.as_str()), "{status:?}");
    assert!(!status.message().contains("none held"), "{status:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_load_state_and_record() {
    let mut site = filled(&[]).await;
    let key = site.path("storage.key");
    std::fs::rename(&key, site.path("kept.key")).unwrap();
    assert!(Command::new("mkfifo").arg(&key).status().unwrap().success());
    std::fs::set_permissions(&key, std::fs::Permissions::from_mode(0o600)).unwrap();
    let mut driven = 0;
    let server = site.start();
    let client = server.client(ASKER).await;
    for asked in all_asked() {
        no_answer(calls::try_ask(&client, request(asked)).await, &["LOADING"]);
        driven += 1;
    }
    tokio::task::block_in_place(|| drop(std::fs::OpenOptions::new().write(true).open(&key).unwrap()));
    assert_eq!(server.settled().await.0, v1::Readiness::Failed);
    for asked in all_asked() {
        no_answer(calls::try_ask(&client, request(asked)).await, &["KEY_UNUSABLE"]);
        driven += 1;
    }
    tokio::task::block_in_place(|| server.stop());
    std::fs::rename(site.path("kept.key"), &key).unwrap();
    let server = site.ready().await;
    let client = server.client(ASKER).await;
    for asked in all_asked() {
        hold(asked, &calls::ask(&client, request(asked)).await);
        driven += 1;
    }
    // Draining: an answer that still comes is whole, and the connection ends.
    server.signal("-TERM");
    let mut answered = 0;
    for asked in all_asked() {
        driven += 1;
        match calls::try_ask(&client, request(asked)).await {
            Ok(answer) => hold(asked, &answer),
            Err(status) => {
                assert!(!status.message().contains("none held"), "{status:?}");
                continue;
            }
        }
        answered += 1;
    }
    assert_eq!(tokio::task::block_in_place(|| server.exit_code()), Some(0));
    println!(
        "combinations driven while loading, failed, ready and draining: {driven}, answered while draining {answered}"
    );
    assert_eq!(driven, 4 * 56);
    site.finish(&["giving no answers", "audit"]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_deadline_and_record() {
    let mut site = filled(&[]).await;
    let server = site.ready().await;
    let client = server.client(ASKER).await;
    let (mut driven, mut late) = (0, 0);
    // While it stands still every question is too late; when it goes on some are, and every answer is whole. In small
    // groups: a connection takes no more than 32 calls given up before it has seen them.
    let all: Vec<Asked> = all_asked().collect();
    for (group, frozen) in all.chunks(14).flat_map(|group| [(group, true), (group, false)]) {
        if frozen {
            server.freeze()
        } else {
            server.signal("-CONT")
        }
        for asked in group.iter().copied() {
            let mut message = tonic::Request::new(request(asked));
            message.set_timeout(Duration::from_millis(if frozen { 5 } else { 1 }));
            driven += 1;
            match client.lookup().lookup(message).await {
                Ok(response) => {
                    assert!(!frozen);
                    hold(asked, &response.into_inner().answer.unwrap());
                }
                Err(status) => {
                    let of_time = matches!(status.code(), Code::DeadlineExceeded | Code::Cancelled);
                    assert!(of_time && !status.message().contains("none held"), "{status:?}");
                    late += 1;
                }
            }
        }
    }
    println!("combinations driven against a deadline: {driven}, of these too late {late}");
    assert!(driven == 2 * 56 && late >= 56);
    tokio::task::block_in_place(|| server.stop());
    site.finish(&[]);
}

/// Takes every byte that is left.
fn take_all(path: &std::path::Path) {
    use std::io::Write as _;
    let mut file = std::fs::File::create(path).unwrap();
    for block in [1 << 16, 4096, 1] {
        while file.write_all(&vec![0; block]).is_ok() {}
    }
}

async fn check_in(client: &Client, asked: Asked, n: usize) -> v1::CheckInResponse {
    let lookup = Some(request(asked));
    let base = build::check_in(ASKER, nhs(asked.child), &format!("c{n}"));
    calls::check_in(client, v1::CheckInRequest { lookup, ..base }).await.unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_record_while_storage_refuses() {
    let mut site = Site::new();
    let test = "every record while storage refuses";
    let Some(mount) = Mount::tmpfs(test, &site.path("disk/data"), 24) else { return site.finish(&[]) };
    let server = site.ready().await;
    fill(&server).await;
    take_all(&site.path("disk/data/filler"));
    let client = server.client(ASKER).await;
    let spare = Asked { child: CHILDREN, given: 0, traced: true };
    let refused = |response: &v1::CheckInResponse| {
        matches!(response.recording, Some(v1::check_in_response::Recording::NotRecorded(_)))
    };
    // What the log has set aside already may take a few more.
    for n in 0..20_000 {
        if refused(&check_in(&client, spare, n).await) {
            break;
        }
    }
    let mut driven = 0;
    for asked in all_asked() {
        let response = check_in(&client, asked, 30_000 + driven).await;
        assert!(refused(&response), "{asked:?} was recorded on a full disk");
        hold(asked, &response.answer.unwrap());
        driven += 1;
    }
    println!("combinations driven while storage refuses: {driven}");
    tokio::task::block_in_place(|| server.kill());
    drop(mount);
    site.finish(&["the log takes no writes now", "access history waits"]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_record_while_the_audit_is_down() {
    let mut site = Site::with(&[("audit", "segment_bytes", "131072"), ("audit", "fail_after_ms", "300")]);
    let test = "every record while the audit is down";
    let sinks = ["disk/audit", "disk/spill"].map(|sink| Mount::tmpfs(test, &site.path(sink), 2));
    if sinks.iter().any(Option::is_none) {
        return site.finish(&[]);
    }
    let server = site.ready().await;
    fill(&server).await;
    let client = server.client(ASKER).await;
    take_all(&site.path("disk/audit/filler"));
    take_all(&site.path("disk/spill/filler"));
    // What the open segments have set aside may take a few more; each of these answers is whole.
    let spare = Asked { child: NOTHING, given: 0, traced: true };
    until_async("the audit takes no entry", async || {
        calls::try_ask(&client, request(spare)).await.map(|answer| hold(spare, &answer)).is_err().then_some(())
    })
    .await;
    let mut driven = 0;
    for asked in all_asked() {
        no_answer(calls::try_ask(&client, request(asked)).await, &["AUDIT_UNAVAILABLE"]);
        driven += 1;
    }
    println!("combinations driven while the audit is down: {driven}");
    tokio::task::block_in_place(|| server.kill());
    drop(sinks);
    site.finish(&["audit", "sink", "segment", "access history waits"]);
}
