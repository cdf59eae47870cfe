//! Who a number is, over the wire: merges and their undoing, invalidation and adoption, a number for a local key, birth
//! dates, deaths, shields and who lifts them, and proposals. What is told is the same after a restart.

use std::process::Command;

use kith_api::client::Client;
use kith_api::v1::{self, Doubt, IdentityAction, IdentityOutcome, NotificationCause, Outcome, PlanAction};
use kith_domain::NhsNumber;
use kith_domain::child::Subject;
use kith_engine::Decision;
use tonic::{Code, Status};

use crate::harness::build::{self, nhs};
use crate::harness::calls::{self, expect_trouble};
use crate::harness::process::{Server, program};
use crate::harness::site::{AUTHORITIES, PLACES, Site, TRUSTS};
use crate::harness::{certificates, offline};

const A: &str = AUTHORITIES[0];
const B: &str = AUTHORITIES[1];
const ED: &str = TRUSTS[0];
const OTHER: &str = TRUSTS[1];
/// The demographics service's organisation.
pub const PDS: &str = "X26";

pub async fn place() -> (Site, Server, Client) {
    let mut site = Site::new();
    certificates::issue(&site.path("certs"), "pds", PDS, "demographics");
    let server = site.ready().await;
    calls::all_fresh(&server).await;
    let pds = server.client("pds").await;
    (site, server, pds)
}

pub fn number(number: NhsNumber) -> Option<v1::IdentitySubject> {
    let subject = v1::identity_subject::Subject::NhsNumber(number.digits());
    Some(v1::IdentitySubject { subject: Some(subject) })
}

pub fn local(organisation: &str, key: &str) -> Option<v1::IdentitySubject> {
    let key = v1::LocalKey { organisation: organisation.into(), key: key.into() };
    Some(v1::IdentitySubject { subject: Some(v1::identity_subject::Subject::LocalKey(key)) })
}

pub fn change(subject: Option<v1::IdentitySubject>, action: IdentityAction) -> v1::IdentityChange {
    v1::IdentityChange { subject, action: action.into(), replaced_by: String::new(), date: None }
}

pub fn replaced(subject: Option<v1::IdentitySubject>, action: IdentityAction, by: NhsNumber) -> v1::IdentityChange {
    v1::IdentityChange { replaced_by: by.digits(), ..change(subject, action) }
}

pub fn telling(change: v1::IdentityChange, version: u64) -> v1::TellIdentityRequest {
    let caller = Some(build::caller(PDS));
    v1::TellIdentityRequest { caller, change: Some(change), version, event_id: build::id(), proposal_id: 0 }
}

pub async fn try_tell(client: &Client, request: v1::TellIdentityRequest) -> Result<v1::Acknowledgement, Status> {
    let response = client.identity().tell_identity(client.request(request)).await?;
    Ok(response.into_inner().acknowledgement.unwrap())
}

pub async fn tell(client: &Client, change: v1::IdentityChange, version: u64) -> v1::Acknowledgement {
    try_tell(client, telling(change, version)).await.unwrap()
}

pub fn superseded(old: u32, new: u32) -> v1::IdentityChange {
    replaced(number(nhs(old)), IdentityAction::Superseded, nhs(new))
}

/// References of plans are not shown; their kinds, authorities and trusts are.
pub fn shown(answer: &v1::Answer) -> (Vec<String>, Vec<String>) {
    let plans = &answer.plans.as_ref().unwrap().plans;
    let mut authorities: Vec<String> =
        plans.iter().filter_map(|plan| Some(plan.authority.as_ref()?.code.clone())).collect();
    let seen = answer.presentations.as_ref().unwrap();
    let all = seen.at_this_organisation.iter().chain(&seen.at_other_organisations);
    let mut trusts: Vec<String> = all.map(|one| one.organisation.clone()).collect();
    authorities.sort();
    trusts.sort();
    (authorities, trusts)
}

pub fn identity(answer: &v1::Answer) -> &v1::IdentityAnswer {
    answer.identity.as_ref().unwrap()
}

pub async fn ask(client: &Client, of: u32) -> v1::Answer {
    calls::ask(client, build::lookup(ED, nhs(of))).await
}

/// Causes of an authority's notifications about a child, and the numbers it is to send.
pub async fn told(server: &Server, code: &str, of: u32) -> Vec<(NotificationCause, String)> {
    let all = calls::notifications(server, code, 500).await;
    let about = all.into_iter().filter(|one| one.subject == build::subject(nhs(of)));
    about.map(|one| (one.cause(), one.replaced_by)).filter(|(cause, _)| *cause != NotificationCause::Lookup).collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_merge_shows_both_for_either_and_can_be_undone() {
    let (mut site, server, pds) = place().await;
    let (a, ed, other) = (server.client(A).await, server.client(ED).await, server.client(OTHER).await);
    calls::accept(&a, vec![build::plan(nhs(1), "P1")]).await;
    assert_eq!(calls::import(&other, vec![build::import(OTHER, nhs(2), "e1")]).await.unwrap().accepted, 1);
    let alone = [(vec![A.to_owned()], vec![]), (vec![], vec![OTHER.to_owned()])];
    assert_eq!([shown(&ask(&ed, 1).await), shown(&ask(&ed, 2).await)], alone);

    tell(&pds, superseded(1, 2), 1).await;
    for of in [1, 2] {
        let answer = ask(&ed, of).await;
        assert_eq!(shown(&answer), (vec![A.to_owned()], vec![OTHER.to_owned()]), "{of}");
        let other = nhs(3 - of).digits();
        assert_eq!(identity(&answer).other_nhs_numbers, std::slice::from_ref(&other));
        assert_eq!(identity(&answer).current_nhs_number, (of == 1).then_some(other));
        assert!(answer.words.iter().any(|line| line.contains("the same person")), "{:?}", answer.words);
        assert_eq!(answer.words.iter().any(|line| line.contains("REPLACED")), of == 1);
    }
    assert_eq!(told(&server, A, 1).await, [(NotificationCause::NumberReplaced, nhs(2).digits())]);

    // The authority sends the new number: its plan stays one plan, and ends under either number.
    let end = v1::PlanEvent {
        action: PlanAction::End.into(),
        start: None,
        end: Some(build::day(-1)),
        version: 2,
        ..build::plan(nhs(2), "P1")
    };
    calls::accept(&a, vec![v1::PlanEvent { event_id: build::id(), ..end }]).await;
    for of in [1, 2] {
        let plans = ask(&ed, of).await.plans.unwrap().plans;
        assert_eq!(plans.iter().map(v1::Plan::state).collect::<Vec<_>>(), [v1::PlanState::Ended], "{of}");
    }
    // A cycle and a second use of a version are refused.
    expect_trouble(
        try_tell(&pds, telling(superseded(2, 1), 1)).await,
        Code::FailedPrecondition,
        "LINK_CYCLE",
        &["replaced_by"],
    );
    expect_trouble(
        try_tell(&pds, telling(superseded(1, 3), 1)).await,
        Code::FailedPrecondition,
        "VERSION_REUSED",
        &["version"],
    );
    tell(&pds, change(number(nhs(1)), IdentityAction::LinkUndone), 2).await;
    assert_eq!([shown(&ask(&ed, 1).await), shown(&ask(&ed, 2).await)], alone);
    assert!(identity(&ask(&ed, 1).await).other_nhs_numbers.is_empty());
    // What was told before is not so any more, and is told no more.
    assert_eq!(told(&server, A, 1).await, [(NotificationCause::NumberReinstated, String::new())]);
    tokio::task::block_in_place(|| server.stop());
    offline::verify(site.dir());
    let server = site.ready().await;
    calls::all_fresh(&server).await;
    assert_eq!([shown(&ask(&server.client(ED).await, 1).await), shown(&ask(&server.client(ED).await, 2).await)], alone);
    site.finish(&[]);
}

/// Answers for a number that is not valid any more tell nothing but whom to ring, whatever birth date is given.
async fn withheld(ed: &Client, of: u32) {
    for born in [None, Some(build::day(-3000))] {
        let answer = calls::ask(ed, v1::LookupRequest { date_of_birth: born, ..build::lookup(ED, nhs(of)) }).await;
        assert_eq!(identity(&answer).outcome(), IdentityOutcome::NumberInvalid, "{of}");
        let (plans, seen) = (answer.plans.as_ref().unwrap(), answer.presentations.as_ref().unwrap());
        assert_eq!([plans.outcome(), seen.outcome(), seen.elsewhere()], [Outcome::IdentityNotConfirmed; 3]);
        assert!(plans.plans.is_empty() && seen.at_other_organisations.is_empty());
        assert!(answer.access_history.is_none(), "history is withheld too");
        let known = identity(&answer);
        assert!(known.current_nhs_number.is_none() && known.other_nhs_numbers.is_empty(), "{of}: {known:?}");
        let ring = answer.ring.as_ref().unwrap();
        assert_eq!(ring.code, ED, "whom to ring, never nothing, and not whoever held it");
    }
}

/// No entry of the audit holds a second number; what named both is there as a refusal, of the old one alone.
fn no_entry_links(site: &Site, refused: &v1::TellIdentityRequest) {
    let about = |child| Some(Subject::Nhs(nhs(child)));
    let (bytes, mut told) = (nhs(13).digits(), 0);
    for entry in offline::audit(site.dir()).values() {
        // Debug output redacts numbers: the encoding is looked at.
        let encoded = postcard::to_stdvec(entry).unwrap();
        let text = String::from_utf8_lossy(&encoded).into_owned();
        assert!(entry.subject == about(13) || !text.contains(&bytes), "an audit entry holds a second number");
        if entry.request_id.map(|id| id.to_string()).as_deref() == Some(refused.event_id.as_str()) {
            assert!(entry.subject == about(10), "another is named");
            assert!(matches!(entry.decision, Decision::Refused(_)), "{:?}", entry.decision);
            told += 1;
        }
    }
    assert_eq!(told, 1, "the refusal is in the audit");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_adoption_reads_as_an_invalidation_and_nothing_links_it() {
    let (site, server, pds) = place().await;
    let (a, ed, other) = (server.client(A).await, server.client(ED).await, server.client(OTHER).await);
    // 10 is adopted and 11 invalidated; 12 had been merged into 10, and 13 stands in the place of nothing.
    for of in [10, 11] {
        calls::accept(&a, vec![build::plan(nhs(of), &format!("P{of}"))]).await;
        let row = build::import(OTHER, nhs(of), &format!("e{of}"));
        assert_eq!(calls::import(&other, vec![row]).await.unwrap().accepted, 1);
    }
    let old = build::import(OTHER, nhs(12), "e12");
    assert_eq!(calls::import(&other, vec![old]).await.unwrap().accepted, 1);
    tell(&pds, superseded(12, 10), 1).await;
    assert_eq!(shown(&ask(&ed, 12).await).0, [A]);

    let named = replaced(number(nhs(10)), IdentityAction::Adopted, nhs(13));
    let refused = telling(named, 1);
    expect_trouble(
        try_tell(&pds, refused.clone()).await,
        Code::InvalidArgument,
        "NO_SUCCESSOR",
        &["change.replaced_by"],
    );
    tell(&pds, change(number(nhs(10)), IdentityAction::Adopted), 1).await;
    tell(&pds, change(number(nhs(11)), IdentityAction::Invalidated), 1).await;

    for of in [10, 11, 12] {
        withheld(&ed, of).await;
    }
    let words = |answer: v1::Answer| answer.words;
    assert_eq!(words(ask(&ed, 10).await), words(ask(&ed, 11).await), "nothing tells an adoption");
    assert_eq!(told(&server, A, 10).await, [(NotificationCause::NumberInvalidated, String::new())]);
    assert_eq!(told(&server, A, 11).await, [(NotificationCause::NumberInvalidated, String::new())]);
    // Nothing stands in the place of an invalidated number, and it in nothing's.
    let conflict = Code::FailedPrecondition;
    expect_trouble(try_tell(&pds, telling(superseded(10, 13), 2)).await, conflict, "NUMBER_INVALIDATED", &["subject"]);
    let into = telling(superseded(13, 11), 1);
    expect_trouble(try_tell(&pds, into).await, conflict, "NUMBER_INVALIDATED", &["replaced_by"]);
    // A plan under such a number is kept, withheld, and its sender told.
    let kept = calls::accept(&a, vec![build::plan(nhs(11), "P11b")]).await;
    assert_eq!(kept[0].effect(), v1::Effect::Kept);
    assert_eq!(told(&server, A, 11).await.len(), 2);
    // An invalidation in error is taken back, and everything held is there.
    tell(&pds, change(number(nhs(11)), IdentityAction::Reinstated), 2).await;
    assert_eq!(shown(&ask(&ed, 11).await), (vec![A.to_owned(), A.to_owned()], vec![OTHER.to_owned()]));
    tokio::task::block_in_place(|| server.stop());
    offline::verify(site.dir());
    no_entry_links(&site, &refused);
    site.finish(&[]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_local_key_gets_its_number() {
    let (site, server, pds) = place().await;
    let (a, ed) = (server.client(A).await, server.client(ED).await);
    let newborn = v1::RecordRequest { subject: build::local("baby-1"), ..build::record(ED, nhs(20), "n1") };
    calls::record(&ed, newborn).await.unwrap();
    calls::accept(&a, vec![build::plan(nhs(20), "P20")]).await;
    let by_key = || v1::LookupRequest { subject: build::local("baby-1"), ..build::lookup(ED, nhs(20)) };
    let before = calls::ask(&ed, by_key()).await.plans.unwrap();
    assert_eq!(before.outcome(), Outcome::CannotSay);
    assert_eq!(before.completeness.unwrap().doubts, [i32::from(Doubt::NoNhsNumber)]);

    let assigned = replaced(local(ED, "baby-1"), IdentityAction::NumberAssigned, nhs(20));
    tell(&pds, assigned, 1).await;
    for answer in [calls::ask(&ed, by_key()).await, ask(&ed, 20).await] {
        assert_eq!(shown(&answer), (vec![A.to_owned()], vec![ED.to_owned()]));
    }
    assert_eq!(identity(&ask(&ed, 20).await).local_keys, 1);
    assert_eq!(identity(&calls::ask(&ed, by_key()).await).current_nhs_number, Some(nhs(20).digits()));
    // Another organisation's key of the same text is another person.
    let other = server.client(OTHER).await;
    let theirs = v1::LookupRequest { subject: build::local("baby-1"), ..build::lookup(OTHER, nhs(20)) };
    assert_eq!(calls::ask(&other, theirs).await.plans.unwrap().outcome(), Outcome::CannotSay);
    // The encounter goes on under the number.
    let closing = build::close(&build::record(ED, nhs(20), "n1"), v1::PresentationOutcome::Admitted);
    calls::close(&ed, closing).await.unwrap();
    let seen = ask(&ed, 20).await.presentations.unwrap().at_this_organisation;
    assert_eq!(seen.iter().map(v1::Presentation::outcome).collect::<Vec<_>>(), [v1::PresentationOutcome::Admitted]);
    tokio::task::block_in_place(|| server.stop());
    offline::verify(site.dir());
    site.finish(&[]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn birth_dates_and_deaths() {
    let (site, server, pds) = place().await;
    let (a, ed) = (server.client(A).await, server.client(ED).await);
    let (wrong, right) = (build::day(-3000), build::day(-2222));
    calls::accept(&a, vec![v1::PlanEvent { date_of_birth: Some(wrong), ..build::plan(nhs(30), "P30") }]).await;
    let with = |born| v1::LookupRequest { date_of_birth: Some(born), ..build::lookup(ED, nhs(30)) };
    let outcome = |answer: v1::Answer| identity(&answer).outcome();
    assert_eq!(outcome(calls::ask(&ed, with(wrong)).await), IdentityOutcome::Matched);
    assert_eq!(outcome(calls::ask(&ed, with(right)).await), IdentityOutcome::NotConfirmed);
    let born = |day| v1::IdentityChange { date: Some(day), ..change(number(nhs(30)), IdentityAction::BirthDate) };
    tell(&pds, born(right), 2).await;
    assert_eq!(tell(&pds, born(wrong), 1).await.effect(), v1::Effect::Overtaken, "an older version");
    assert_eq!(outcome(calls::ask(&ed, with(right)).await), IdentityOutcome::Matched);
    assert_eq!(outcome(calls::ask(&ed, with(wrong)).await), IdentityOutcome::NotConfirmed);

    let died = v1::IdentityChange { date: Some(build::day(-2)), ..change(number(nhs(30)), IdentityAction::Died) };
    tell(&pds, died, 3).await;
    let answer = ask(&ed, 30).await;
    assert_eq!(identity(&answer).died_on, Some(build::day(-2)));
    assert!(answer.words[0].contains("a death"), "{:?}", answer.words);
    assert_eq!(shown(&answer).0, [A], "what is held is shown all the same");
    tell(&pds, change(number(nhs(30)), IdentityAction::DeathUndone), 4).await;
    assert_eq!(identity(&ask(&ed, 30).await).died_on, None);
    for (change, reason, field) in [
        (change(number(nhs(30)), IdentityAction::BirthDate), "MISSING", "change.date"),
        (change(number(nhs(30)), IdentityAction::Superseded), "MISSING", "change.replaced_by"),
        (
            v1::IdentityChange { date: Some(right), ..change(number(nhs(30)), IdentityAction::Shielded) },
            "NO_DATE",
            "change.date",
        ),
        (born(build::day(2)), "BIRTH_DATE_IN_FUTURE", "change.date"),
        (superseded(30, 30), "LINK_CYCLE", "change.replaced_by"),
        (change(local(ED, "k"), IdentityAction::Invalidated), "NEEDS_NHS_NUMBER", "change.subject"),
        (
            change(local("RZ9", "k"), IdentityAction::Shielded),
            "UNKNOWN_ORGANISATION",
            "change.subject.local_key.organisation",
        ),
        (change(None, IdentityAction::Shielded), "MISSING", "change.subject"),
        (change(number(nhs(30)), IdentityAction::Unspecified), "UNKNOWN_ACTION", "change.action"),
    ] {
        expect_trouble(try_tell(&pds, telling(change, 9)).await, Code::InvalidArgument, reason, &[field]);
    }
    tokio::task::block_in_place(|| server.stop());
    site.finish(&[]);
}

fn tells_a_place(answer: &v1::Answer) -> Option<&'static str> {
    let said = calls::as_text(answer);
    PLACES.into_iter().find(|place| said.contains(place))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn only_the_setter_lifts_a_shield() {
    let (site, server, pds) = place().await;
    let (a, b, ed, other) =
        (server.client(A).await, server.client(B).await, server.client(ED).await, server.client(OTHER).await);
    calls::accept(&a, vec![build::plan(nhs(40), "P40")]).await;
    assert_eq!(calls::import(&other, vec![build::import(OTHER, nhs(40), "e40")]).await.unwrap().accepted, 1);
    let is_open = |answer: &v1::Answer| !answer.shielded && tells_a_place(answer).is_some();
    let is_shielded = |answer: &v1::Answer| answer.shielded && tells_a_place(answer).is_none();
    assert!(is_open(&ask(&ed, 40).await));
    tell(&pds, change(number(nhs(40)), IdentityAction::Shielded), 1).await;
    let answer = ask(&ed, 40).await;
    assert!(is_shielded(&answer), "{:?}", tells_a_place(&answer));
    assert_eq!(answer.plans.unwrap().outcome(), Outcome::Held);
    // The plan's authority hears of a live recording, without a place: nobody else would. Of a department that has asked before it
    // may have heard already.
    calls::record(&other, build::record(OTHER, nhs(40), "e41")).await.unwrap();
    let all = calls::notifications(&server, A, 500).await;
    let seen = all.iter().find(|one| one.cause() == NotificationCause::Presentation).unwrap();
    assert!(seen.shielded && seen.organisation.is_empty() && seen.organisation_name.is_empty(), "{seen:?}");

    // B shields by its own plan: the demographics service does not lift that, and neither does A.
    calls::accept(&b, vec![v1::PlanEvent { shielded: true, ..build::plan(nhs(40), "Q40") }]).await;
    tell(&pds, change(number(nhs(40)), IdentityAction::Unshielded), 2).await;
    assert!(is_shielded(&ask(&ed, 40).await));
    let next = |plan: v1::PlanEvent, version| v1::PlanEvent {
        event_id: build::id(),
        action: PlanAction::Change.into(),
        version,
        ..plan
    };
    calls::accept(&a, vec![v1::PlanEvent { lift_shield: true, ..next(build::plan(nhs(40), "P40"), 2) }]).await;
    assert!(is_shielded(&ask(&ed, 40).await), "another authority's shield stands");
    calls::accept(&b, vec![next(build::plan(nhs(40), "Q40"), 2)]).await;
    assert!(is_shielded(&ask(&ed, 40).await), "a missing flag never unshields");
    let both = v1::PlanEvent { shielded: true, lift_shield: true, ..next(build::plan(nhs(40), "Q40"), 3) };
    assert_eq!(calls::refused(&b, both).await.reason, "SHIELD_BOTH");
    calls::accept(&b, vec![v1::PlanEvent { lift_shield: true, ..next(build::plan(nhs(40), "Q40"), 4) }]).await;
    assert!(is_open(&ask(&ed, 40).await));
    // An older event that comes late does not set it again.
    calls::accept(&b, vec![v1::PlanEvent { shielded: true, ..next(build::plan(nhs(40), "Q40"), 3) }]).await;
    assert!(is_open(&ask(&ed, 40).await));

    // A shield under one number shields the person under every number.
    tell(&pds, change(number(nhs(41)), IdentityAction::Shielded), 1).await;
    tell(&pds, superseded(41, 40), 2).await;
    for of in [40, 41] {
        assert!(is_shielded(&ask(&ed, of).await), "{of}");
    }
    tokio::task::block_in_place(|| server.stop());
    offline::verify(site.dir());
    site.finish(&[]);
}

pub async fn proposals(client: &Client, organisation: &str, closed: bool) -> Vec<v1::Proposal> {
    let mut found = Vec::new();
    let mut page_token = String::new();
    loop {
        let caller = Some(build::caller(organisation));
        let request = v1::ListProposalsRequest { caller, page_size: 1, page_token, include_closed: closed };
        let page = client.identity().list_proposals(client.request(request)).await.unwrap().into_inner();
        found.extend(page.proposals);
        page_token = page.next_page_token;
        if page_token.is_empty() {
            return found;
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn others_propose_and_the_demographics_service_decides() {
    let (site, server, pds) = place().await;
    let (a, ed, ops) = (server.client(A).await, server.client(ED).await, server.client("ops").await);
    let denied = Code::PermissionDenied;
    for (client, organisation) in [(&ed, ED), (&a, A)] {
        let caller = Some(build::caller(organisation));
        let request = v1::TellIdentityRequest { caller, ..telling(superseded(50, 51), 1) };
        expect_trouble(try_tell(client, request).await, denied, "ROLE_NOT_ALLOWED", &[]);
    }
    let propose = |organisation: &str, change| v1::ProposeIdentityRequest {
        caller: Some(build::caller(organisation)),
        change: Some(change),
        event_id: build::id(),
    };
    let of_ed = propose(ED, superseded(50, 51));
    let repeated = of_ed.clone();
    ed.identity().propose_identity(ed.request(of_ed)).await.unwrap();
    let again = ed.identity().propose_identity(ed.request(repeated)).await.unwrap().into_inner();
    assert!(again.acknowledgement.unwrap().repeated, "a retry is one proposal");
    let adopted = propose(A, change(number(nhs(52)), IdentityAction::Adopted));
    a.identity().propose_identity(a.request(adopted)).await.unwrap();
    let foreign = propose(ED, change(local(OTHER, "k"), IdentityAction::Shielded));
    let refused = ed.identity().propose_identity(ed.request(foreign)).await;
    expect_trouble(refused, Code::InvalidArgument, "FOREIGN_KEY", &["change.subject.local_key"]);
    let by_ops = v1::ListProposalsRequest { caller: Some(build::caller("OPS")), ..Default::default() };
    let refused = ops.identity().list_proposals(ops.request(by_ops)).await;
    assert_eq!(refused.unwrap_err().code(), denied);

    assert_eq!(shown(&ask(&ed, 50).await).0.len(), 0);
    assert!(identity(&ask(&ed, 50).await).other_nhs_numbers.is_empty(), "a proposal changes no answer");
    let all = proposals(&pds, PDS, false).await;
    let ids: Vec<u64> = all.iter().map(|one| one.id).collect();
    assert_eq!(all.iter().map(|one| one.organisation.as_str()).collect::<Vec<_>>(), [ED, A]);
    assert_eq!(all[1].change.as_ref().unwrap().action(), IdentityAction::Invalidated, "an adoption reads so");
    assert_eq!(proposals(&ed, ED, true).await.iter().map(|one| one.id).collect::<Vec<_>>(), [ids[0]]);
    assert_eq!(proposals(&a, A, true).await.iter().map(|one| one.id).collect::<Vec<_>>(), [ids[1]]);

    let follow = v1::TellIdentityRequest { proposal_id: ids[0], ..telling(superseded(50, 51), 1) };
    try_tell(&pds, follow).await.unwrap();
    let again = v1::TellIdentityRequest { proposal_id: ids[0], ..telling(superseded(53, 51), 1) };
    expect_trouble(try_tell(&pds, again).await, Code::FailedPrecondition, "PROPOSAL_CLOSED", &["proposal"]);
    let decline =
        |id| v1::DeclineProposalRequest { caller: Some(build::caller(PDS)), proposal_id: id, event_id: build::id() };
    pds.identity().decline_proposal(pds.request(decline(ids[1]))).await.unwrap();
    let unknown = pds.identity().decline_proposal(pds.request(decline(99))).await;
    expect_trouble(unknown, Code::FailedPrecondition, "PROPOSAL_UNKNOWN", &["proposal"]);
    assert!(proposals(&pds, PDS, false).await.is_empty());
    let states: Vec<_> = proposals(&pds, PDS, true).await.iter().map(v1::Proposal::state).collect();
    assert_eq!(states, [v1::ProposalState::Followed, v1::ProposalState::NotFollowed]);
    // The demographics service asks about nobody.
    let asked = calls::try_ask(&pds, build::lookup(PDS, nhs(50))).await;
    expect_trouble(asked, denied, "ROLE_NOT_ALLOWED", &[]);
    tokio::task::block_in_place(|| server.stop());
    offline::verify(site.dir());
    site.finish(&[]);
}

/// `kith` as a person of that certificate runs it.
fn kith(site: &Site, server: &Server, certificate: &str, arguments: &[&str]) -> (Option<i32>, String) {
    let options = server.options(certificate);
    let mut command = Command::new(program("kith"));
    command.current_dir(site.dir()).args(arguments).args(["--server", &options.server]);
    for (flag, path) in [("--ca", options.ca), ("--cert", options.cert), ("--key", options.key)] {
        command.arg(flag).arg(path);
    }
    command.args(["--user-id", "u", "--user-name", "A Person", "--user-role", "Clerk", "--role-code", "R8010"]);
    let output = tokio::task::block_in_place(|| command.output().unwrap());
    let said = [output.stdout, output.stderr].map(|bytes| String::from_utf8(bytes).unwrap()).concat();
    (output.status.code(), said)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn people_propose_and_tell_with_the_command_line() {
    let (site, server, _) = place().await;
    let (old, new) = (nhs(60).digits(), nhs(61).digits());
    let proposed = ["identity", "propose", "superseded", "--nhs-number", &old, "--replaced-by", &new];
    let (code, said) = kith(&site, &server, ED, &proposed);
    assert!(code == Some(0) && said.starts_with("Proposed: it stands"), "{said}");
    let (code, said) = kith(&site, &server, "pds", &["identity", "proposals"]);
    let expected = format!("NHS number {old}: superseded by NHS number {new}");
    assert!(code == Some(0) && said.contains(&expected) && said.contains("waits to be looked at"), "{said}");
    let telling = ["identity", "tell", "superseded", "--nhs-number", &old, "--replaced-by", &new, "--version", "1"];
    let (code, said) = kith(&site, &server, ED, &telling);
    assert!(code == Some(21) && !said.contains(&old), "{said}");
    let (code, said) = kith(&site, &server, "pds", &[&telling[..], &["--proposal", "1"]].concat());
    assert!(code == Some(0) && said.starts_with("Told: it stands from now on"), "{said}");
    let (_, said) = kith(&site, &server, ED, &["lookup", "--nhs-number", &old, "--traced"]);
    println!("{said}");
    assert!(said.contains(&format!("REPLACED by NHS number {new}")), "{said}");
    let (code, said) = kith(&site, &server, "pds", &["identity", "decline", "1"]);
    assert!(code == Some(23) || code == Some(22), "{code:?} {said}");
    let adopted = ["identity", "tell", "adopted", "--nhs-number", &old, "--replaced-by", &new, "--version", "2"];
    let (code, said) = kith(&site, &server, "pds", &adopted);
    assert!(code == Some(22) && said.contains("names no other number") && !said.contains(&new), "{said}");
    tokio::task::block_in_place(|| server.stop());
    site.finish(&[]);
}
