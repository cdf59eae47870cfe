//! Who of an organisation's own people was told of a child, for its own safeguarding team: of a shielded child as of any other, by a
//! worklist too, with whether a token proved each, and of nobody else's people anything.

use kith_api::client::Client;
use kith_api::v1;
use prost::Message;
use tonic::Code;
use v1::audit_entry::Decision as Decided;

use crate::audit_reading::{auditor, kith, look, of_child, readable, search, who_looked};
use crate::harness::build::{self, nhs};
use crate::harness::calls::{self, expect_trouble};
use crate::harness::certificates::issue;
use crate::harness::process::Server;
use crate::harness::site::{AUTHORITIES, PLACES, Site, TRUSTS};
use crate::harness::wait::until_async;
use crate::person_tokens::{self, Signer};
use crate::policy::{WRITTEN_OUT, replace};

const B: &str = AUTHORITIES[1];
const ED: &str = TRUSTS[0];
const OTHER_ED: &str = TRUSTS[1];
/// Certificates of a safeguarding team at each of the two.
const TEAM: &str = "team";
const OTHER_TEAM: &str = "other-team";
const SHIELDED: u32 = 1;
const ORDINARY: u32 = 2;
/// The person whose worklist has both.
const LISTER: &str = "lister";
/// What grants it.
const GRANT: &str = "[[grant]]\nroles = [\"safeguarding\"]\nmethods = [\"AuditService/WhoLooked\"]\n\
                     purposes = [\"safeguarding-review\"]\n";

fn certified(site: &Site) {
    let certs = site.path("certs");
    issue(&certs, "auditor", "RA1", "auditor");
    issue(&certs, TEAM, ED, "safeguarding");
    issue(&certs, OTHER_TEAM, OTHER_ED, "safeguarding");
}

fn person(organisation: &str, purpose: v1::Purpose) -> v1::Caller {
    v1::Caller { user_id: "officer".into(), purpose: purpose.into(), ..build::caller(organisation) }
}

async fn team(server: &Server, certificate: &str, organisation: &str) -> Client {
    server.client(certificate).await.as_person(&person(organisation, v1::Purpose::SafeguardingReview))
}

/// A worklist of the emergency department; its request's id.
async fn list(server: &Server, children: &[u32]) -> String {
    let entry =
        |child: &u32| v1::WorklistEntry { subject: build::subject(nhs(*child)), ..v1::WorklistEntry::default() };
    let worklist = v1::LookupManyRequest {
        caller: Some(v1::Caller { user_id: LISTER.into(), ..build::caller(ED) }),
        entries: children.iter().map(entry).collect(),
        request_id: build::id(),
        ..v1::LookupManyRequest::default()
    };
    let client = server.client(ED).await;
    let mut items = client.lookup().lookup_many(worklist.clone()).await.unwrap().into_inner();
    while items.message().await.unwrap().is_some() {}
    worklist.request_id
}

/// An opening by the safeguarding team; whether there was a shielded record to open.
async fn open(server: &Server, child: u32) -> bool {
    let caller = Some(person(ED, v1::Purpose::ChildProtectionEnquiry));
    let request = v1::OpenShieldedRequest {
        lookup: Some(v1::LookupRequest { caller, ..build::lookup(ED, nhs(child)) }),
        reason: v1::OpeningReason::MissingChild.into(),
        words: "missing since this morning".into(),
        review_accepted: true,
    };
    let client = server.client(TEAM).await;
    client.break_glass().open_shielded(client.request(request)).await.unwrap().into_inner().opened.is_some()
}

/// Lookups but for when and under which id and number each was made.
fn alike(response: &v1::WhoLookedResponse) -> Vec<v1::Look> {
    let one = |look: &v1::Look| v1::Look {
        audit_reference: String::new(),
        request_id: String::new(),
        at: None,
        ..look.clone()
    };
    response.looks.iter().map(one).collect()
}

/// Fails when a place that is not the hospital's own stands in any byte of a message.
fn no_other_place(message: &impl Message) {
    let bytes = message.encode_to_vec();
    for place in PLACES.into_iter().filter(|place| ![ED, "Barrowfold"].contains(place)) {
        assert!(!bytes.windows(place.len()).any(|window| window == place.as_bytes()), "{place}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_team_sees_its_own_people_of_a_shielded_child_as_of_any_other_and_no_other_team_does() {
    let mut site = Site::new();
    certified(&site);
    let server = site.ready().await;
    let auditor = auditor(&server).await;
    let shield = v1::PlanEvent { shielded: true, ..build::plan(nhs(SHIELDED), "B1") };
    calls::accept(&server.client(B).await, vec![shield, build::plan(nhs(ORDINARY), "B2")]).await;
    let listed = list(&server, &[ORDINARY, SHIELDED, 3]).await;
    for child in [SHIELDED, ORDINARY] {
        look(&server, ED, "p", child).await;
        look(&server, OTHER_ED, "p", child).await;
        let check_in = build::check_in(ED, nhs(child), &format!("e{child}"));
        calls::check_in(&server.client(ED).await, check_in).await.unwrap();
        assert_eq!(open(&server, child).await, child == SHIELDED);
    }
    readable(&server, &auditor).await;

    let own = team(&server, TEAM, ED).await;
    let shielded = who_looked(&own, nhs(SHIELDED)).await.unwrap();
    let calls: Vec<&str> = shielded.looks.iter().map(|look| look.call.as_str()).collect();
    let (lookup, check_in) = ("LookupService/Lookup", "LookupService/CheckIn");
    assert_eq!(calls, ["BreakGlassService/OpenShielded", check_in, lookup, "LookupService/LookupMany"]);
    let by_list = &shielded.looks[3];
    assert_eq!((by_list.user_id.as_str(), by_list.request_id.as_str()), (LISTER, listed.as_str()));
    assert_eq!((by_list.organisation.as_str(), by_list.user_name.as_str()), (ED, build::NURSE));
    assert_eq!((by_list.purpose(), by_list.audit_reference.is_empty()), (v1::Purpose::DirectCare, false));
    assert!(shielded.looks.iter().all(|look| !look.shielded && look.at.is_some()));
    let searched = shielded.searched.as_ref().unwrap();
    assert!(searched.own_people_only && !searched.together_left_out && !searched.shielded_left_out);
    no_other_place(&shielded);
    let ordinary = who_looked(&own, nhs(ORDINARY)).await.unwrap();
    assert!(alike(&shielded) == alike(&ordinary), "nothing tells which of the two is shielded");

    let others = team(&server, OTHER_TEAM, OTHER_ED).await;
    let theirs = who_looked(&others, nhs(SHIELDED)).await.unwrap();
    let found: Vec<_> = theirs.looks.iter().map(|look| (look.organisation.as_str(), look.call.as_str())).collect();
    assert_eq!(found, [(OTHER_ED, lookup)], "who made no worklist sees none");
    let all = who_looked(&auditor, nhs(SHIELDED)).await.unwrap().looks;
    assert_eq!(all.len(), 4, "two lookups, a check-in and an opening");
    assert!(all.iter().all(|look| look.call != "LookupService/LookupMany" && look.organisation.is_empty()));
    let ordinary = who_looked(&auditor, nhs(ORDINARY)).await.unwrap().looks;
    assert_eq!(ordinary.len(), 5, "the worklist too");
    assert!(ordinary.iter().all(|look| look.user_id.is_empty() && look.request_id.is_empty()), "as before");

    readings_are_entries(&server, &auditor).await;
    tokio::task::block_in_place(|| server.stop());
    site.finish(&[]);
}

/// An auditor finds what each team read, but neither how much, nor of which time: of the shielded child nor where it was.
async fn readings_are_entries(server: &Server, auditor: &Client) {
    readable(server, auditor).await;
    let of = async |child| {
        let entries = search(auditor, of_child(child)).await.unwrap().entries;
        let is_reading =
            |entry: &v1::AuditEntry| entry.call == "AuditService/WhoLooked" && entry.role == "safeguarding";
        entries.into_iter().filter(is_reading).collect::<Vec<_>>()
    };
    let shielded = of(SHIELDED).await;
    assert_eq!(shielded.len(), 2);
    for entry in &shielded {
        assert!(entry.shielded && entry.organisation.is_empty() && entry.user_id.is_empty());
        assert!(matches!(entry.decision, Some(Decided::Uncounted(true))));
    }
    let ordinary = of(ORDINARY).await;
    let [entry] = &ordinary[..] else { panic!("one reading: {}", ordinary.len()) };
    assert_eq!((entry.organisation.as_str(), entry.user_id.as_str()), (ED, "officer"));
    assert!(matches!(entry.decision, Some(Decided::Uncounted(true))), "it counts what an auditor sees without a place");
}

/// One person asks twice, by the organisation's word alone and then with a token; its people may send one and need none.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_was_proven_by_a_token_and_who_was_only_named_are_told_apart() {
    let mut site = Site::with(&[("person_tokens", "file", "\"tokens.toml\"")]);
    certified(&site);
    let signer = Signer::new("k1");
    person_tokens::trust(&site, &[&signer]);
    let server = site.ready().await;
    let authority = server.client(B).await;
    calls::accept(&authority, vec![build::plan(nhs(ORDINARY), "B2")]).await;
    let named = server.client(OTHER_ED).await;
    let proven = person_tokens::proven(&server, OTHER_ED, &signer.token(OTHER_ED)).await;
    for client in [&named, &proven] {
        calls::ask(client, build::lookup(OTHER_ED, nhs(ORDINARY))).await;
    }
    let own = team(&server, OTHER_TEAM, OTHER_ED).await;
    let looks = until_async("both can be read", async || {
        let looks = who_looked(&own, nhs(ORDINARY)).await.unwrap().looks;
        (looks.len() == 2).then_some(looks)
    })
    .await;
    let told: Vec<_> = looks.iter().map(|look| (look.user_id.as_str(), look.person_proven)).collect();
    assert_eq!(told, [(build::USER, true), (build::USER, false)], "newest first");
    let looks = who_looked(&authority, nhs(ORDINARY)).await.unwrap().looks;
    let told: Vec<_> = looks.iter().map(|look| (look.user_name.as_str(), look.person_proven)).collect();
    assert_eq!(told, [(build::NURSE, true), (build::NURSE, false)], "whoever is told the name");

    let number = nhs(ORDINARY).digits();
    let asked = ["who-looked", "--nhs-number", number.as_str()];
    let (code, said) = tokio::task::block_in_place(|| kith(&site, &server, OTHER_TEAM, &asked));
    assert_eq!(code, Some(0), "{said}");
    for proof in ["proven by a token", "not proven by a token"] {
        assert!(said.contains(&format!("({OTHER_ED}); {proof}; person {}", build::USER)), "{said}");
    }
    tokio::task::block_in_place(|| server.stop());
    site.finish(&[]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn it_is_for_a_review_alone_and_a_policy_that_takes_it_away_counts_at_once() {
    let mut site = Site::with(&[("policy", "file", "\"policy.toml\""), ("tls", "reload_interval_ms", "50")]);
    let file = site.path("policy.toml");
    std::fs::write(&file, WRITTEN_OUT).unwrap();
    certified(&site);
    let server = site.ready().await;
    let own = team(&server, TEAM, ED).await;
    assert!(who_looked(&own, nhs(SHIELDED)).await.unwrap().looks.is_empty(), "nobody has looked");
    let denied = Code::PermissionDenied;
    let enquiring = server.client(TEAM).await.as_person(&person(ED, v1::Purpose::ChildProtectionEnquiry));
    expect_trouble(who_looked(&enquiring, nhs(SHIELDED)).await, denied, "PURPOSE_NOT_ALLOWED", &[]);
    expect_trouble(search(&own, of_child(SHIELDED)).await, denied, "ROLE_NOT_ALLOWED", &[]);

    let narrower = WRITTEN_OUT.replacen(GRANT, "", 1);
    assert_ne!(narrower, WRITTEN_OUT);
    replace(&file, &narrower);
    let refused = async || who_looked(&own, nhs(SHIELDED)).await.err();
    let refused = until_async("the narrower policy counts", refused).await;
    expect_trouble::<()>(Err(refused), denied, "ROLE_NOT_ALLOWED", &[]);
    tokio::task::block_in_place(|| server.stop());
    site.finish(&[]);
}
