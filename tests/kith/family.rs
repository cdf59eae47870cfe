//! Siblings, mothers and births over the wire: what an answer tells of them and what it never does, who hears of it, what the
//! audit keeps, and how a person reads it.

use std::process::{Command, Output};

use kith_api::client::Client;
use kith_api::v1::{self, Outcome, PlanAction, PlanKind, PlanState, SiblingLink};
use kith_domain::NhsNumber;
use kith_domain::child::Subject;
use kith_engine::{Decision, Disclosed};
use tonic::Code;

use crate::harness::build::{self, day, nhs};
use crate::harness::calls::{self, expect_trouble};
use crate::harness::process::{Server, program};
use crate::harness::site::{AUTHORITIES, PLACES, Site, TRUSTS};
use crate::harness::wait::until_async;
use crate::harness::{certificates, offline};

const A: &str = AUTHORITIES[0];
const B: &str = AUTHORITIES[1];
const ED: &str = TRUSTS[0];
const OTHER_ED: &str = TRUSTS[1];

async fn begin() -> (Site, Server, Client, Client) {
    let mut site = Site::new();
    let server = site.ready().await;
    calls::all_fresh(&server).await;
    let (authority, ed) = (server.client(A).await, server.client(ED).await);
    (site, server, authority, ed)
}

fn end(site: Site, server: Server) {
    tokio::task::block_in_place(|| server.stop());
    offline::verify(site.dir());
    site.finish(&[]);
}

fn of_family(number: NhsNumber, reference: &str, family: &str) -> v1::PlanEvent {
    v1::PlanEvent { family: family.into(), ..build::plan(number, reference) }
}

fn unborn(number: NhsNumber, reference: &str) -> v1::PlanEvent {
    v1::PlanEvent { kind: PlanKind::Unborn.into(), ..build::plan(number, reference) }
}

fn with_mother(baby: NhsNumber, mother: NhsNumber) -> v1::LookupRequest {
    v1::LookupRequest { mother_nhs_number: Some(mother.digits()), ..build::lookup(ED, baby) }
}

fn baby(subject: Option<v1::Subject>, reference: &str) -> v1::Baby {
    v1::Baby { subject, kind: PlanKind::ChildProtection.into(), reference: reference.into(), date_of_birth: None }
}

fn birth(of: &v1::PlanEvent, babies: Vec<v1::Baby>) -> v1::PlanEvent {
    v1::PlanEvent {
        event_id: build::id(),
        action: PlanAction::Born.into(),
        version: of.version + 1,
        start: None,
        end: Some(day(0)),
        babies,
        ..of.clone()
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn siblings_are_told_without_who_they_are() {
    let (site, server, authority, ed) = begin().await;
    let (child, injured, shielded, ended) = (nhs(1), nhs(2), nhs(3), nhs(4));
    let over = v1::PlanEvent { start: Some(day(-90)), end: Some(day(-10)), ..of_family(ended, "P4", "Smith-7") };
    let events = vec![
        of_family(child, "P1", "Smith-7"),
        of_family(injured, "P2", "Smith-7"),
        v1::PlanEvent { shielded: true, ..of_family(shielded, "P3", "Smith-7") },
        over,
        of_family(nhs(5), "P5", "Jones"),
    ];
    calls::accept(&authority, events).await;
    let foreign = of_family(nhs(6), "P6", "Smith-7");
    calls::accept(&server.client(B).await, vec![foreign]).await;
    let other = server.client(OTHER_ED).await;
    for (number, encounter) in [(injured, "i"), (shielded, "s")] {
        calls::import(&other, vec![build::import(OTHER_ED, number, encounter)]).await.unwrap();
    }
    let answer = calls::ask(&ed, build::lookup(ED, child)).await;
    let siblings = answer.siblings.clone().unwrap();
    assert_eq!((siblings.linked(), siblings.notices.len(), siblings.unshown), (SiblingLink::Reference, 1, 2));
    let notice = &siblings.notices[0];
    assert!(notice.seen_with_injury && notice.plans.len() == 1 && siblings.injury_days == 90);
    assert_eq!((notice.plans[0].kind(), notice.plans[0].state()), (PlanKind::ChildProtection, PlanState::Active));
    assert_eq!(notice.ring.as_ref().unwrap().code, A);
    let whole = calls::as_text(&answer);
    for number in [injured, shielded, ended] {
        assert!(!whole.contains(&number.digits()), "no sibling's number");
    }
    assert!(!whole.contains("Smith-7") && !whole.contains("Quenbury"), "neither the reference nor where one was seen");
    assert_eq!(
        answer.presentations.unwrap().outcome(),
        Outcome::NoneHeld,
        "the child's own outcome is the child's own"
    );
    // About the shielded child: siblings without an authority.
    let answer = calls::ask(&ed, build::lookup(ED, shielded)).await;
    let told = answer.siblings.clone().unwrap();
    assert!(answer.shielded && told.notices.len() == 2 && told.notices.iter().all(|notice| notice.ring.is_none()));
    let whole = calls::as_text(&answer);
    assert!(!PLACES.iter().any(|place| whole.contains(place)), "{whole}");
    // Nobody hears of a sibling's display but the child's own authority.
    let heard = until_async("one is told", async || {
        let heard = calls::notifications(&server, A, 500).await;
        (heard.len() >= 2).then_some(heard)
    })
    .await;
    let about = |number: NhsNumber| {
        let digits = v1::subject::Subject::NhsNumber(number.digits());
        heard.iter().filter(|one| one.subject.as_ref().and_then(|s| s.subject.as_ref()) == Some(&digits)).count()
    };
    assert_eq!((about(child), about(injured), about(ended)), (1, 0, 0));
    // Without a reference it says so, and a withheld answer says nothing.
    let alone = calls::ask(&ed, build::lookup(ED, nhs(7))).await.siblings.unwrap();
    assert_eq!((alone.linked(), alone.notices.len()), (SiblingLink::NoReference, 0));
    assert!(alone.words.contains("no authority has given a family reference"), "{}", alone.words);
    end(site, server);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_baby_is_answered_from_the_mother_and_then_from_its_own_plan() {
    let (site, server, authority, ed) = begin().await;
    let (mother, child) = (nhs(1), nhs(2));
    let plan = v1::PlanEvent { family: "F".into(), ..unborn(mother, "U") };
    calls::accept(&authority, vec![plan.clone(), build::plan(mother, "her own, as a child")]).await;
    calls::record(&server.client(OTHER_ED).await, build::record(OTHER_ED, mother, "hers")).await.unwrap();
    let alone = calls::ask(&ed, build::lookup(ED, child)).await;
    assert_eq!(alone.plans.unwrap().outcome(), Outcome::NoneHeld);
    assert_eq!(alone.mother, None);
    let answer = calls::ask(&ed, with_mother(child, mother)).await;
    let (plans, hers) = (answer.plans.clone().unwrap(), answer.mother.clone().unwrap());
    assert_eq!((plans.outcome(), plans.plans.len()), (Outcome::Held, 0), "held, by hers");
    assert_eq!((hers.outcome(), hers.plans.len(), hers.plans[0].kind()), (Outcome::Held, 1, PlanKind::Unborn));
    assert_eq!(answer.presentations.unwrap().outcome(), Outcome::NoneHeld, "not where she was seen");
    assert_eq!(answer.ring.unwrap().code, A);
    let local = v1::LookupRequest { subject: build::local("newborn-1"), ..with_mother(child, mother) };
    assert_eq!(calls::ask(&ed, local).await.plans.unwrap().outcome(), Outcome::Held, "a baby without a number too");
    // The birth: two babies, one under the authority's own key.
    let twins = vec![baby(build::subject(child), "K"), baby(build::local("twin-2"), "L")];
    let born = birth(&plan, twins);
    let acks = calls::accept(&authority, vec![born.clone(), born]).await;
    assert!(!acks[0].repeated && acks[1].repeated);
    let own = calls::ask(&ed, build::lookup(ED, child)).await;
    let plans = own.plans.unwrap();
    assert_eq!((plans.plans.len(), plans.plans[0].state()), (1, PlanState::Active));
    assert_eq!(plans.plans[0].start, Some(day(0)));
    assert_eq!(own.siblings.unwrap().notices.len(), 1, "the twin, and no mother");
    let hers = calls::ask(&ed, build::lookup(ED, mother)).await.plans.unwrap();
    let states: Vec<_> = hers.plans.iter().map(|plan| (plan.kind(), plan.state())).collect();
    assert!(states.contains(&(PlanKind::ChildProtection, PlanState::Active)), "{states:?}");
    assert!(!states.contains(&(PlanKind::Unborn, PlanState::Future)), "{states:?}");
    end(site, server);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_mothers_authority_hears_of_it_and_the_audit_keeps_that_her_record_was_read() {
    let (site, server, authority, ed) = begin().await;
    certificates::issue(&site.path("certs"), "scheduled", ED, "scheduled-care");
    let planned = server.client("scheduled").await;
    let (mother, child, stranger) = (nhs(1), nhs(2), nhs(3));
    calls::accept(&authority, vec![unborn(mother, "U")]).await;
    let request = build::check_in(ED, child, "e1");
    let lookup = v1::LookupRequest { mother_nhs_number: Some(mother.digits()), ..request.lookup.clone().unwrap() };
    let answer = calls::check_in(&ed, v1::CheckInRequest { lookup: Some(lookup.clone()), ..request }).await.unwrap();
    assert_eq!(answer.answer.unwrap().plans.unwrap().outcome(), Outcome::Held);
    let heard = until_async("her authority is told", async || {
        let heard = calls::notifications(&server, A, 500).await;
        (!heard.is_empty()).then_some(heard)
    })
    .await;
    assert_eq!((heard.len(), &heard[0].subject), (1, &build::subject(mother)));
    assert_eq!(heard[0].cause(), v1::NotificationCause::Lookup);
    let hers = until_async("her history shows it", async || {
        let scheduled =
            v1::LookupRequest { care_context: v1::CareContext::Scheduled.into(), ..build::lookup(ED, mother) };
        let hers = calls::ask(&planned, scheduled).await;
        hers.access_history.filter(|history| !history.accesses.is_empty())
    })
    .await;
    assert_eq!((hers.accesses.len(), hers.accesses[0].count), (1, 1), "her record was looked at");
    // Of a woman about whom no unborn plan is held the audit alone keeps that she was asked about.
    let none = with_mother(child, stranger);
    let answer = calls::ask(&ed, none.clone()).await;
    assert_eq!(answer.mother.unwrap().outcome(), Outcome::NoneHeld);
    let own = with_mother(child, child);
    let refused = calls::try_ask(&ed, own).await;
    expect_trouble(refused, Code::InvalidArgument, "MOTHER_IS_SUBJECT", &["mother_nhs_number"]);
    let text = v1::LookupRequest { mother_nhs_number: Some("12".into()), ..build::lookup(ED, child) };
    let refused = calls::try_ask(&ed, text).await;
    expect_trouble(refused, Code::InvalidArgument, "NHS_NUMBER_LENGTH", &["mother_nhs_number"]);
    tokio::task::block_in_place(|| server.stop());
    let entries: Vec<_> = offline::audit(site.dir()).into_values().collect();
    let of = |request: &v1::LookupRequest| {
        let id = uuid::Uuid::parse_str(&request.request_id).unwrap();
        entries.iter().find(|entry| entry.request_id == Some(id)).unwrap()
    };
    for (request, read, told) in [(&lookup, mother, 1), (&none, stranger, 0)] {
        let hers = of(request).mother.as_ref().unwrap();
        assert_eq!((&hers.subject, hers.responsible.len()), (&Subject::Nhs(read), told));
        let Decision::Answered { disclosed: Disclosed { mother: Some(_), siblings: 0, .. }, .. } = of(request).decision
        else {
            panic!("{:?}", of(request).decision)
        };
    }
    site.finish(&[]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn births_that_are_none_are_refused() {
    let (site, server, authority, _) = begin().await;
    let plan = unborn(nhs(1), "U");
    calls::accept(&authority, vec![plan.clone()]).await;
    let good = || birth(&plan, vec![baby(build::subject(nhs(2)), "K")]);
    let cases = [
        (v1::PlanEvent { babies: Vec::new(), ..good() }, "NO_BABY", "babies"),
        (v1::PlanEvent { end: None, ..good() }, "END_MISSING", "end"),
        (v1::PlanEvent { end: Some(day(1)), ..good() }, "BIRTH_IN_FUTURE", "end"),
        (v1::PlanEvent { kind: PlanKind::LookedAfter.into(), ..good() }, "NOT_UNBORN", "kind"),
        (v1::PlanEvent { action: PlanAction::End.into(), ..good() }, "NOT_A_BIRTH", "babies"),
        (birth(&plan, vec![baby(build::subject(nhs(1)), "K")]), "BABY_TWICE", "babies.subject"),
        (birth(&plan, vec![baby(build::subject(nhs(2)), "U")]), "BABY_TWICE", "babies.subject"),
        (birth(&plan, vec![baby(None, "K")]), "MISSING", "babies.subject"),
        (
            birth(&plan, vec![v1::Baby { kind: 0, ..baby(build::subject(nhs(2)), "K") }]),
            "UNKNOWN_PLAN_KIND",
            "babies.kind",
        ),
    ];
    for (event, reason, field) in cases {
        let refusal = calls::refused(&authority, event).await;
        assert_eq!((refusal.reason.as_str(), refusal.field.as_str()), (reason, field));
    }
    calls::accept(&authority, vec![good()]).await;
    end(site, server);
}

/// `kith` as a nurse runs it.
fn kith(site: &Site, server: &Server, arguments: &[&str]) -> Output {
    let options = server.options(ED);
    let mut command = Command::new(program("kith"));
    command.current_dir(site.dir()).args(arguments).args(["--server", &options.server]);
    for (flag, path) in [("--ca", options.ca), ("--cert", options.cert), ("--key", options.key)] {
        command.arg(flag).arg(path);
    }
    command
        .args(["--user-id", "n1", "--user-name", "A Nurse", "--user-role", "Nurse", "--role-code", "R8000"])
        .output()
        .unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_nurse_reads_of_siblings_and_of_the_mothers_plan() {
    let (site, server, authority, _) = begin().await;
    let (mother, sibling) = (nhs(1), nhs(3));
    calls::accept(&authority, vec![unborn(mother, "U"), of_family(nhs(2), "P2", "F"), of_family(sibling, "P3", "F")])
        .await;
    let (own, hers) = (nhs(2).digits(), mother.digits());
    let asked = ["lookup", "--nhs-number", &own, "--mother-nhs-number", &hers, "--traced"];
    let output = tokio::task::block_in_place(|| kith(&site, &server, &asked));
    let text = String::from_utf8(output.stdout).unwrap();
    println!("{text}");
    assert_eq!(output.status.code(), Some(10), "{text}");
    for words in [
        "SIBLINGS         1 on a plan",
        "- A sibling is on a plan: Child protection plan, IN FORCE",
        "Unborn child subject to a plan (mother's record), IN FORCE",
    ] {
        assert!(text.contains(words), "{words}: {text}");
    }
    assert!(!text.contains(&sibling.digits()) && !text.contains(&hers), "{text}");
    let baby = nhs(9).digits();
    let asked = ["lookup", "--nhs-number", &baby, "--mother-nhs-number", &hers, "--output", "json"];
    let output = tokio::task::block_in_place(|| kith(&site, &server, &asked));
    let json: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!((json["exit_code"].as_u64(), &json["plans"]["outcome"]), (Some(10), &"held".into()), "{json}");
    assert_eq!((&json["mother"]["outcome"], &json["siblings"]["linked"]), (&"held".into(), &"no-reference".into()));
    end(site, server);
}
