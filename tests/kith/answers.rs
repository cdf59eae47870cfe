//! What an answer says, over the wire: plans by their state, shielded records without a place, identity, history, and what
//! vanishes. Nothing here looks below the protocol.

use kith_api::client::{Client, to_json};
use kith_api::v1::{self};
use kith_api::v1::{IdentityOutcome, Outcome, PlanAction, PlanKind, PlanState, PresentationOutcome};
use kith_domain::NhsNumber;
use prost::Message as _;

use crate::harness::build::{self, day, nhs};
use crate::harness::calls;
use crate::harness::process::Server;
use crate::harness::site::{AUTHORITIES, PLACES, Site, TRUSTS};
use crate::harness::wait::until_async;

const A: &str = AUTHORITIES[0];
const B: &str = AUTHORITIES[1];
const HERE: &str = TRUSTS[0];
const ELSEWHERE: &str = TRUSTS[1];

/// A site with a server whose feeds are all fresh, an authority's client and a trust's.
async fn begin() -> (Site, Server, Client, Client) {
    let mut site = Site::new();
    let server = site.ready().await;
    calls::all_fresh(&server).await;
    let (authority, trust) = (server.client(A).await, server.client(HERE).await);
    (site, server, authority, trust)
}

fn end(site: Site, server: Server) {
    tokio::task::block_in_place(|| server.stop());
    site.finish(&[]);
}

async fn plans(trust: &Client, number: NhsNumber) -> v1::PlanAnswer {
    calls::ask(trust, build::lookup(HERE, number)).await.plans.unwrap()
}

fn following(first: &v1::PlanEvent, action: PlanAction, version: u64) -> v1::PlanEvent {
    v1::PlanEvent { event_id: build::id(), action: action.into(), version, ..first.clone() }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn plans_are_shown_by_their_state_today() {
    let (site, server, authority, trust) = begin().await;
    let dated = |start: i32, end: Option<i32>| (Some(day(start)), end.map(day));
    let cases = [
        (dated(10, None), Some(PlanState::Future)),
        (dated(-30, None), Some(PlanState::Active)),
        (dated(-30, Some(0)), Some(PlanState::Active)),
        (dated(-30, Some(-1)), Some(PlanState::Ended)),
        (dated(-300, Some(-200)), Some(PlanState::Ended)),
        (dated(-900, Some(-500)), None),
    ];
    for (index, ((start, last), expected)) in (0_u32..).zip(cases) {
        let plan = v1::PlanEvent { start, end: last, ..build::plan(nhs(index), &format!("P{index}")) };
        calls::accept(&authority, vec![plan]).await;
        let answer = plans(&trust, nhs(index)).await;
        match expected {
            Some(state) => {
                assert_eq!(answer.outcome(), Outcome::Held, "{start:?}");
                assert_eq!(answer.plans[0].state(), state, "{start:?} {last:?}");
                assert_eq!(answer.plans[0].authority.as_ref().unwrap().code, A);
            }
            None => assert_eq!((answer.outcome(), answer.plans.len()), (Outcome::NoneHeld, 0)),
        }
    }
    let unborn = v1::PlanEvent { kind: PlanKind::Unborn.into(), ..build::plan(nhs(20), "unborn") };
    calls::accept(&authority, vec![unborn]).await;
    assert_eq!(plans(&trust, nhs(20)).await.plans[0].kind(), PlanKind::Unborn);
    end(site, server);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_plan_moves_without_a_moment_of_neither() {
    let (site, server, authority, trust) = begin().await;
    let other = server.client(B).await;
    let child = nhs(1);
    let first = build::plan(child, "A-1");
    calls::accept(&authority, vec![first.clone()]).await;
    let out = v1::PlanEvent { other_authority: B.into(), ..following(&first, PlanAction::TransferOut, 2) };
    calls::accept(&authority, vec![out]).await;
    let moving = plans(&trust, child).await;
    assert_eq!((moving.plans.len(), moving.plans[0].state()), (1, PlanState::Active));
    assert!(
        moving.plans[0].moving && moving.plans[0].moving_to.as_ref().unwrap().code == B,
        "moving to B until B's start"
    );
    let arrival = v1::PlanEvent {
        action: PlanAction::TransferIn.into(),
        other_authority: A.into(),
        start: Some(day(-1)),
        ..build::plan(child, "B-1")
    };
    calls::accept(&other, vec![arrival]).await;
    let moved = plans(&trust, child).await;
    let states: Vec<_> = moved.plans.iter().map(|p| (p.authority.as_ref().unwrap().code.as_str(), p.state())).collect();
    assert_eq!(states, [(B, PlanState::Active), (A, PlanState::Ended)]);
    assert_eq!(calls::ask(&trust, build::lookup(HERE, child)).await.ring.unwrap().code, B);
    end(site, server);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_shielded_answer_holds_no_place_at_all() {
    let (site, server, authority, trust) = begin().await;
    let elsewhere = server.client(ELSEWHERE).await;
    let mut texts = Vec::new();
    // Of a shielded child days are counted, and both lookups are of today.
    for (index, shielded, least) in [(1, false, 2), (2, true, 1)] {
        let child = nhs(index);
        let plan = v1::PlanEvent { shielded, ..build::plan(child, &format!("S{index}")) };
        let out = v1::PlanEvent { other_authority: B.into(), ..following(&plan, PlanAction::TransferOut, 2) };
        calls::accept(&authority, vec![plan, out]).await;
        calls::record(&elsewhere, build::record(ELSEWHERE, child, &format!("e{index}"))).await.unwrap();
        calls::record(&trust, build::record(HERE, child, &format!("h{index}"))).await.unwrap();
        calls::ask(&elsewhere, build::lookup(ELSEWHERE, child)).await;
        let answer = until_async("the earlier lookup is in the history", async || {
            let answer = calls::ask(&trust, build::lookup(HERE, child)).await;
            let history = answer.access_history.clone().unwrap();
            (history.accesses.len() + history.more as usize >= least).then_some(answer)
        })
        .await;
        assert_eq!(answer.plans.as_ref().unwrap().outcome(), Outcome::Held);
        assert_eq!(answer.presentations.as_ref().unwrap().outcome(), Outcome::Held);
        assert_eq!(answer.shielded, shielded);
        if shielded {
            assert_eq!(answer.presentations.as_ref().unwrap().shielded_presentations.len(), 2);
            assert_eq!(answer.ring.as_ref().unwrap().name, "National desk");
        }
        let response = v1::LookupResponse { answer: Some(answer), ..v1::LookupResponse::default() };
        texts.push(serde_json::to_string(&to_json(&response).unwrap()).unwrap());
    }
    let told = |text: &str| PLACES.into_iter().filter(|place| text.contains(place)).collect::<Vec<_>>();
    assert!(told(&texts[0]).len() >= 8, "the same child without a shield tells places: {:?}", told(&texts[0]));
    assert_eq!(told(&texts[1]), Vec::<&str>::new(), "{}", texts[1]);
    assert!(!texts[1].contains(build::NURSE), "who looked tells a place");
    end(site, server);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_missing_flag_never_unshields() {
    let (site, server, authority, trust) = begin().await;
    let plan = v1::PlanEvent { shielded: true, ..build::plan(nhs(1), "S") };
    let later = v1::PlanEvent { shielded: false, ..following(&plan, PlanAction::Change, 2) };
    calls::accept(&authority, vec![plan, later]).await;
    assert!(calls::ask(&trust, build::lookup(HERE, nhs(1))).await.shielded);
    end(site, server);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_check_in_does_not_list_itself() {
    let (site, server, _, trust) = begin().await;
    let request = build::check_in(HERE, nhs(1), "now");
    for repeated in [false, true] {
        let response = calls::check_in(&trust, request.clone()).await.unwrap();
        let seen = response.answer.unwrap().presentations.unwrap();
        assert_eq!((seen.outcome(), seen.elsewhere()), (Outcome::NoneHeld, Outcome::NoneHeld));
        assert!(seen.words.contains("not reassurance"), "{}", seen.words);
        match response.recording.unwrap() {
            v1::check_in_response::Recording::Recorded(ack) => assert_eq!(ack.repeated, repeated),
            v1::check_in_response::Recording::NotRecorded(why) => panic!("{}", why.words),
        }
    }
    let other = server.client(ELSEWHERE).await;
    let seen = calls::ask(&other, build::lookup(ELSEWHERE, nhs(1))).await.presentations.unwrap();
    assert_eq!((seen.outcome(), seen.elsewhere()), (Outcome::Held, Outcome::Held));
    assert_eq!(seen.at_other_organisations[0].organisation, HERE);
    let again = calls::check_in(&trust, build::check_in(HERE, nhs(1), "an hour later")).await.unwrap();
    let seen = again.answer.unwrap().presentations.unwrap();
    assert_eq!((seen.at_this_organisation.len(), seen.elsewhere()), (1, Outcome::NoneHeld));
    end(site, server);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_birth_date_decides_whose_record_it_is() {
    let (site, server, authority, trust) = begin().await;
    let born = |year, month, day| Some(v1::Date { year, month, day });
    let plan = v1::PlanEvent { date_of_birth: born(2019, 3, 4), ..build::plan(nhs(1), "D") };
    calls::accept(&authority, vec![plan]).await;
    let cases = [
        (None, IdentityOutcome::NotGiven),
        (born(2019, 3, 4), IdentityOutcome::Matched),
        (born(2019, 4, 3), IdentityOutcome::NearMiss),
        (born(2018, 3, 4), IdentityOutcome::NearMiss),
        (born(2016, 8, 21), IdentityOutcome::NotConfirmed),
    ];
    for (date_of_birth, expected) in cases {
        let answer = calls::ask(&trust, v1::LookupRequest { date_of_birth, ..build::lookup(HERE, nhs(1)) }).await;
        assert_eq!(answer.identity.unwrap().outcome(), expected, "{date_of_birth:?}");
        let (plans, seen) = (answer.plans.unwrap(), answer.presentations.unwrap());
        if expected == IdentityOutcome::NotConfirmed {
            assert_eq!((plans.outcome(), plans.plans.len()), (Outcome::IdentityNotConfirmed, 0));
            assert_eq!(
                (seen.outcome(), seen.elsewhere()),
                (Outcome::IdentityNotConfirmed, Outcome::IdentityNotConfirmed)
            );
            let history = answer.access_history.unwrap_or_default();
            assert!(history.accesses.is_empty() && history.more == 0, "the history is withheld too");
            assert_eq!(answer.ring.unwrap().code, A, "there is always somebody to ring");
        } else {
            assert_eq!(plans.outcome(), Outcome::Held);
        }
    }
    let unknown = v1::LookupRequest { date_of_birth: born(2019, 3, 4), ..build::lookup(HERE, nhs(2)) };
    let answer = calls::ask(&trust, unknown).await;
    assert_eq!(answer.identity.unwrap().outcome(), IdentityOutcome::NothingToCompare);
    end(site, server);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn without_an_nhs_number_kith_cannot_say() {
    let (site, server, _, trust) = begin().await;
    let request = v1::LookupRequest { subject: build::local("newborn-1"), ..build::lookup(HERE, nhs(0)) };
    let answer = calls::ask(&trust, request).await;
    let plans = answer.plans.unwrap();
    assert_eq!(plans.outcome(), Outcome::CannotSay);
    assert_eq!(plans.completeness.unwrap().doubts, [i32::from(v1::Doubt::NoNhsNumber)]);
    assert_eq!(answer.presentations.unwrap().outcome(), Outcome::CannotSay);
    end(site, server);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_was_entered_in_error_vanishes() {
    let (site, server, authority, trust) = begin().await;
    let plan = build::plan(nhs(1), "W");
    calls::accept(&authority, vec![plan.clone()]).await;
    let record = build::record(HERE, nhs(1), "E");
    calls::record(&trust, record.clone()).await.unwrap();
    let held = calls::ask(&trust, build::lookup(HERE, nhs(1))).await;
    assert_eq!(held.plans.unwrap().outcome(), Outcome::Held);
    assert_eq!(held.presentations.unwrap().outcome(), Outcome::Held);
    calls::accept(&authority, vec![following(&plan, PlanAction::Withdraw, 2)]).await;
    calls::close(&trust, build::close(&record, PresentationOutcome::EnteredInError)).await.unwrap();
    let gone = calls::ask(&trust, build::lookup(HERE, nhs(1))).await;
    let (plans, seen) = (gone.plans.unwrap(), gone.presentations.unwrap());
    assert_eq!((plans.outcome(), plans.plans.len()), (Outcome::NoneHeld, 0));
    assert_eq!((seen.outcome(), seen.at_this_organisation.len()), (Outcome::NoneHeld, 0));
    end(site, server);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_next_reader_sees_who_looked() {
    let (site, server, _, trust) = begin().await;
    let other = server.client(ELSEWHERE).await;
    for _ in 0..3 {
        calls::ask(&other, build::lookup(ELSEWHERE, nhs(1))).await;
    }
    let history = until_async("three lookups in one row", async || {
        let answer = calls::ask(&trust, build::lookup(HERE, nhs(1))).await;
        let accesses = answer.access_history.unwrap().accesses;
        accesses.into_iter().find(|row| row.organisation == ELSEWHERE && row.count == 3)
    })
    .await;
    assert_eq!((history.user_name.as_str(), history.user_role.as_str()), (build::NURSE, "Triage nurse"));
    end(site, server);
}

/// What is longer than a step takes the next one, and all have the least number of steps: found and not found are of one
/// length.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_length_of_an_answer_does_not_tell_found_from_not_found() {
    let (site, server, authority, trust) = begin().await;
    let (held, none, shielded, withheld) = (nhs(1), nhs(2), nhs(3), nhs(4));
    let shield = v1::PlanEvent { shielded: true, ..build::plan(shielded, "S") };
    calls::accept(&authority, vec![build::plan(held, "H"), shield, build::plan(withheld, "W")]).await;
    let mut lengths = Vec::new();
    for child in [held, none, shielded, withheld] {
        let mut request = build::lookup(HERE, child);
        if child == withheld {
            request.date_of_birth = Some(day(-6_000));
        }
        let response = trust.lookup().lookup(trust.request(request)).await.unwrap().into_inner();
        assert!(response.padding.iter().all(|byte| *byte == 0));
        let filled = response.encoded_len();
        let answer = v1::LookupResponse { padding: Default::default(), ..response };
        lengths.push((filled, answer.encoded_len()));
    }
    assert!(lengths.iter().all(|(filled, _)| filled % 1024 == 0), "{lengths:?}");
    assert!(lengths.iter().all(|(filled, _)| *filled == 4096), "one length for all: {lengths:?}");
    let bare: std::collections::BTreeSet<usize> = lengths.iter().map(|(_, bare)| *bare).collect();
    assert_eq!(bare.len(), 4, "the answers themselves differ in length: {lengths:?}");
    end(site, server);
}
