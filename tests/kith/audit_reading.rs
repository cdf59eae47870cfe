//! The audit, read: an auditor finds what was asked by every key, page by page while others ask; an authority sees who looked up
//! its own children and no other's; a shielded child's place stands in no byte of either; and every reading is itself found.

use std::process::{Command, Output};

use kith_api::client::Client;
use kith_api::v1;
use kith_domain::NhsNumber;
use kith_domain::child::Subject;
use kith_engine::Decision;
use prost::Message;
use tonic::{Code, Status};
use v1::audit_entry::Decision as Decided;

use crate::harness::build::{self, nhs};
use crate::harness::calls::{self, expect_trouble};
use crate::harness::certificates::issue;
use crate::harness::logs;
use crate::harness::offline;
use crate::harness::process::{Server, program};
use crate::harness::site::{AUTHORITIES, PLACES, Site, TRUSTS};
use crate::harness::wait::until_async;

const A: &str = AUTHORITIES[0];
const B: &str = AUTHORITIES[1];
const ED: &str = TRUSTS[0];
const OTHER_ED: &str = TRUSTS[1];
const AUDITOR: &str = "RA1";
/// A child whose lookup marks the end of what came before it.
const MARK: u32 = 900;

async fn begin() -> (Site, Server, Client) {
    let mut site = Site::new();
    issue(&site.path("certs"), "auditor", AUDITOR, "auditor");
    let server = site.ready().await;
    let auditor = auditor(&server).await;
    (site, server, auditor)
}

pub async fn auditor(server: &Server) -> Client {
    let purpose = v1::Purpose::SafeguardingReview.into();
    server.client("auditor").await.as_person(&v1::Caller { purpose, ..build::caller(AUDITOR) })
}

fn end(site: Site, server: Server) {
    tokio::task::block_in_place(|| server.stop());
    site.finish(&[]);
}

pub async fn search(client: &Client, request: v1::SearchRequest) -> Result<v1::SearchResponse, Status> {
    Ok(client.audit().search(client.request(request)).await?.into_inner())
}

pub async fn who_looked(client: &Client, child: NhsNumber) -> Result<v1::WhoLookedResponse, Status> {
    let request = v1::WhoLookedRequest { nhs_number: child.digits(), ..v1::WhoLookedRequest::default() };
    Ok(client.audit().who_looked(client.request(request)).await?.into_inner())
}

pub fn of_child(child: u32) -> v1::SearchRequest {
    v1::SearchRequest { nhs_number: nhs(child).digits(), page_size: 500, ..v1::SearchRequest::default() }
}

/// A lookup by somebody of a trust; its audit reference.
pub async fn look(server: &Server, trust: &str, person: &str, child: u32) -> String {
    let caller = v1::Caller { user_id: person.into(), ..build::caller(trust) };
    let request = v1::LookupRequest { caller: Some(caller), ..build::lookup(trust, nhs(child)) };
    calls::ask(&server.client(trust).await, request).await.audit_reference
}

/// Waits until what was asked before this call can be read: entries can once they are synced.
pub async fn readable(server: &Server, auditor: &Client) {
    let reference = look(server, ED, "marks", MARK).await;
    until_async("the marking entry can be read", async || {
        let request = v1::SearchRequest { audit_reference: reference.clone(), ..v1::SearchRequest::default() };
        (search(auditor, request).await.unwrap().entries.len() == 1).then_some(())
    })
    .await;
}

/// References of lookups, newest first.
fn lookups(response: &v1::SearchResponse) -> Vec<&str> {
    let answered = |entry: &&v1::AuditEntry| matches!(entry.decision, Some(Decided::Answered(_)));
    response.entries.iter().filter(answered).map(|entry| entry.audit_reference.as_str()).collect()
}

fn is_whole(searched: Option<&v1::AuditSearched>) -> bool {
    searched.is_some_and(|searched| searched.end() == v1::AuditSearchEnd::Whole && searched.missing.is_empty())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_auditor_finds_every_lookup_by_every_key_and_the_reading_too() {
    let (site, server, auditor) = begin().await;
    let mut made = Vec::new();
    for (trust, person, child) in
        [(ED, "p1", 1), (OTHER_ED, "p1", 2), (TRUSTS[2], "p2", 1), (ED, "p2", 3), (OTHER_ED, "p3", 1)]
    {
        made.push((look(&server, trust, person, child).await, trust, person, child));
    }
    readable(&server, &auditor).await;
    let expected = |keep: &dyn Fn(&str, &str, u32) -> bool| -> Vec<&str> {
        let kept = made.iter().filter(|(_, trust, person, child)| keep(trust, person, *child));
        kept.map(|(reference, ..)| reference.as_str()).rev().collect()
    };
    let found = search(&auditor, of_child(1)).await.unwrap();
    assert_eq!(lookups(&found), expected(&|_, _, child| child == 1));
    assert!(is_whole(found.searched.as_ref()), "{:?}", found.searched);
    let one = &found.entries[0];
    assert_eq!((one.organisation.as_str(), one.user_id.as_str(), one.role.as_str()), (OTHER_ED, "p3", "ed"));
    assert_eq!((one.user_name.as_str(), one.role_code.as_str()), (build::NURSE, "R8000"));
    assert_eq!((one.purpose(), one.care_context()), (v1::Purpose::DirectCare, v1::CareContext::Unscheduled));
    assert_eq!((one.call.as_str(), one.request_id.len()), ("LookupService/Lookup", 36));
    let Some(Decided::Answered(answered)) = &one.decision else { panic!("{:?}", one.decision) };
    assert_eq!(answered.plans.as_ref().unwrap().outcome(), v1::Outcome::CannotSay, "no feed was heard of");

    let person = v1::SearchRequest { person_id: "p2".into(), ..v1::SearchRequest::default() };
    assert_eq!(lookups(&search(&auditor, person).await.unwrap()), expected(&|_, person, _| person == "p2"));
    let organisation = v1::SearchRequest { organisation: OTHER_ED.into(), ..v1::SearchRequest::default() };
    let by_organisation = search(&auditor, organisation.clone()).await.unwrap();
    assert_eq!(lookups(&by_organisation), expected(&|trust, _, _| trust == OTHER_ED));
    let both = v1::SearchRequest { organisation: ED.into(), ..of_child(1) };
    assert_eq!(lookups(&search(&auditor, both).await.unwrap()), expected(&|trust, _, child| trust == ED && child == 1));
    let reference = v1::SearchRequest { audit_reference: made[3].0.clone(), ..v1::SearchRequest::default() };
    assert_eq!(lookups(&search(&auditor, reference).await.unwrap()), [made[3].0.as_str()]);
    let hour = v1::SearchRequest { from: Some(build::ago(3_600)), until: Some(build::ago(-60)), ..of_child(3) };
    assert_eq!(lookups(&search(&auditor, hour).await.unwrap()), expected(&|_, _, child| child == 3));
    let before = v1::SearchRequest { until: Some(build::ago(3_600)), ..of_child(3) };
    assert!(search(&auditor, before).await.unwrap().entries.is_empty());

    // A number that was not asked for stands nowhere, as a pseudonym alone.
    for (response, asked) in [(&found, 1), (&by_organisation, 0)] {
        let bytes = String::from_utf8_lossy(&response.encode_to_vec()).into_owned();
        let others = [1, 2, 3, MARK].map(|child| nhs(child).digits());
        assert_eq!(others.iter().filter(|number| bytes.contains(*number)).count(), asked);
    }

    // The readings are in the audit, and found by whom they were about.
    let again = until_async("the readings can be read", async || {
        let again = search(&auditor, of_child(3)).await.unwrap();
        let readings = again.entries.iter().filter(|one| matches!(one.decision, Some(Decided::Read(_)))).count();
        (readings >= 2).then_some(again)
    })
    .await;
    let read = again.entries.iter().find(|one| one.call == "AuditService/Search").unwrap();
    assert_eq!((read.organisation.as_str(), read.purpose()), (AUDITOR, v1::Purpose::SafeguardingReview));
    tokio::task::block_in_place(|| server.stop());
    let entries = offline::audit(site.dir());
    let readings = entries.values().filter(|entry| matches!(entry.decision, Decision::AuditRead(_))).count();
    assert!(readings >= 9, "{readings}");
    site.finish(&[]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn pages_join_without_loss_or_repetition_while_others_ask() {
    let (site, server, auditor) = begin().await;
    let ed = server.client(ED).await;
    for _ in 0..60 {
        calls::ask(&ed, build::lookup(ED, nhs(1))).await;
    }
    readable(&server, &auditor).await;
    let mut request = v1::SearchRequest { page_size: 7, ..of_child(1) };
    let (mut found, mut newest) = (Vec::new(), String::new());
    loop {
        let page = search(&auditor, request.clone()).await.unwrap();
        assert!(page.entries.len() <= 7);
        if newest.is_empty() {
            newest = page.searched.as_ref().unwrap().newest_reference.clone();
        }
        found.extend(page.entries.into_iter().map(|entry| entry.audit_reference));
        calls::ask(&ed, build::lookup(ED, nhs(1))).await;
        if page.next_page_token.is_empty() {
            break;
        }
        request.page_token = page.next_page_token;
    }
    readable(&server, &auditor).await;
    let whole = search(&auditor, of_child(1)).await.unwrap();
    let references = whole.entries.iter().map(|entry| entry.audit_reference.clone());
    let expected: Vec<String> = references.filter(|reference| *reference <= newest).collect();
    assert!(expected.len() >= 60 && whole.entries.len() > expected.len());
    assert_eq!(found, expected);

    // A token is of one search.
    let other = v1::SearchRequest { nhs_number: nhs(2).digits(), ..request.clone() };
    expect_trouble(search(&auditor, other).await, Code::InvalidArgument, "BAD_PAGE_TOKEN", &["page_token"]);
    let odd = v1::SearchRequest { nhs_number: "1".into(), audit_reference: "x".into(), ..Default::default() };
    let fields = ["nhs_number", "audit_reference"];
    expect_trouble(search(&auditor, odd).await, Code::InvalidArgument, "NHS_NUMBER_LENGTH", &fields);
    end(site, server);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_authority_sees_who_looked_up_its_own_child_and_no_other() {
    let (site, server, auditor) = begin().await;
    let (a, b) = (server.client(A).await, server.client(B).await);
    look(&server, ED, "before", 1).await;
    calls::accept(&a, vec![build::plan(nhs(1), "A1")]).await;
    calls::accept(&b, vec![build::plan(nhs(2), "B2")]).await;
    for (trust, child) in [(ED, 1), (OTHER_ED, 1), (ED, 2)] {
        look(&server, trust, "p", child).await;
    }
    readable(&server, &auditor).await;
    let seen = who_looked(&a, nhs(1)).await.unwrap();
    let organisations: Vec<&str> = seen.looks.iter().map(|look| look.organisation.as_str()).collect();
    assert_eq!(organisations, [OTHER_ED, ED], "while it was responsible, newest first");
    let one = &seen.looks[0];
    assert_eq!((one.organisation_name.as_str(), one.user_name.as_str()), ("Quenbury NHS Trust", build::NURSE));
    assert!(!one.shielded && is_whole(seen.searched.as_ref()));
    let denied = Code::PermissionDenied;
    // The same words, whether another authority has a plan or nobody has.
    for child in [2, 5] {
        expect_trouble(who_looked(&a, nhs(child)).await, denied, "NO_PLAN_HELD", &[]);
    }
    assert_eq!(who_looked(&b, nhs(2)).await.unwrap().looks.len(), 1);
    assert_eq!(who_looked(&auditor, nhs(1)).await.unwrap().looks.len(), 3, "an auditor sees all of them");

    expect_trouble(search(&a, of_child(1)).await, denied, "ROLE_NOT_ALLOWED", &[]);
    for name in [ED, "ops"] {
        let client = server.client(name).await;
        expect_trouble(search(&client, of_child(1)).await, denied, "ROLE_NOT_ALLOWED", &[]);
        expect_trouble(who_looked(&client, nhs(1)).await, denied, "ROLE_NOT_ALLOWED", &[]);
    }
    let caring = server.client("auditor").await;
    expect_trouble(search(&caring, of_child(1)).await, denied, "PURPOSE_NOT_ALLOWED", &[]);
    tokio::task::block_in_place(|| server.stop());
    let entries = offline::audit(site.dir());
    let refused = |reason: &str| {
        let is = |decision: &Decision| matches!(decision, Decision::Refused(code) if code.word() == reason);
        entries.values().filter(|entry| is(&entry.decision)).count()
    };
    assert_eq!([refused("NO_PLAN_HELD"), refused("ROLE_NOT_ALLOWED"), refused("PURPOSE_NOT_ALLOWED")], [2, 5, 1]);
    site.finish(&[]);
}

/// Fails when a place stands in any byte of a message.
fn no_place(message: &impl Message) {
    let bytes = message.encode_to_vec();
    for place in PLACES {
        let found = bytes.windows(place.len()).any(|window| window == place.as_bytes());
        assert!(!found, "{place} in {}", String::from_utf8_lossy(&bytes));
    }
    assert!(!logs::has_number(&String::from_utf8_lossy(&bytes).replace(&nhs(1).digits(), "")), "another number");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_shielded_childs_place_is_in_no_byte_of_what_is_read() {
    let (site, server, auditor) = begin().await;
    let (a, b) = (server.client(A).await, server.client(B).await);
    calls::accept(&a, vec![build::plan(nhs(1), "A1")]).await;
    look(&server, ED, "p", 1).await;
    let shield = v1::PlanEvent { shielded: true, ..build::plan(nhs(1), "B1") };
    calls::accept(&b, vec![shield]).await;
    let reference = look(&server, OTHER_ED, "p", 1).await;
    calls::check_in(&server.client(ED).await, build::check_in(ED, nhs(1), "s")).await.unwrap();
    look(&server, OTHER_ED, "p", 2).await;
    readable(&server, &auditor).await;

    let found = search(&auditor, of_child(1)).await.unwrap();
    assert!(lookups(&found).len() == 3 && found.entries.len() >= 4, "those of before, and the recording, too");
    assert!(found.entries.iter().all(|entry| entry.shielded && entry.request_id.is_empty()));
    no_place(&found);
    // The reference that the answer carries is a broker's to resolve; the entry's own finds it, without a place.
    let by = |reference: &str| v1::SearchRequest { audit_reference: reference.into(), ..v1::SearchRequest::default() };
    let refused = search(&auditor, by(&reference)).await;
    expect_trouble(refused, Code::PermissionDenied, "REFERENCE_SHIELDED", &[]);
    let one = search(&auditor, by(lookups(&found)[0])).await.unwrap();
    assert!(one.entries.len() == 1 && one.entries[0].shielded);
    no_place(&one);
    // By the person, the organisation, and both with the child: as though there were none.
    let by_person = v1::SearchRequest { person_id: "p".into(), ..v1::SearchRequest::default() };
    let by_person = search(&auditor, by_person).await.unwrap();
    assert_eq!((by_person.entries.len(), by_person.entries.iter().filter(|entry| entry.shielded).count()), (1, 0));
    assert!(by_person.searched.unwrap().shielded_left_out);
    for trust in TRUSTS {
        let request = v1::SearchRequest { organisation: trust.into(), ..of_child(1) };
        let response = search(&auditor, request).await.unwrap();
        assert!(response.entries.is_empty() && response.searched.as_ref().unwrap().shielded_left_out);
        no_place(&response);
    }

    let looks = who_looked(&b, nhs(1)).await.unwrap();
    assert!(looks.looks.len() == 3 && looks.looks.iter().all(|look| look.shielded));
    no_place(&looks);
    no_place(&who_looked(&auditor, nhs(1)).await.unwrap());
    // Who has a plan of the child and does not shield it is told as little as anybody.
    expect_trouble(who_looked(&a, nhs(1)).await, Code::PermissionDenied, "NO_PLAN_HELD", &[]);
    end(site, server);
}

/// Entries of a worklist are of one person and one request, with numbers that follow one another: beside those that have a place the
/// one of a shielded child would have it too.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn of_a_worklist_no_view_puts_a_shielded_child_beside_a_place() {
    let (site, server, auditor) = begin().await;
    let (b, ed) = (server.client(B).await, server.client(ED).await);
    let shield = v1::PlanEvent { shielded: true, ..build::plan(nhs(1), "B1") };
    calls::accept(&b, vec![shield, build::plan(nhs(2), "B2")]).await;
    let entry = |child| v1::WorklistEntry { subject: build::subject(nhs(child)), ..v1::WorklistEntry::default() };
    let worklist = v1::LookupManyRequest {
        caller: Some(v1::Caller { user_id: "lister".into(), ..build::caller(ED) }),
        entries: [2, 1, 3].map(entry).to_vec(),
        request_id: build::id(),
        ..v1::LookupManyRequest::default()
    };
    let mut items = ed.lookup().lookup_many(worklist.clone()).await.unwrap().into_inner();
    while items.message().await.unwrap().is_some() {}
    readable(&server, &auditor).await;

    let by_child = search(&auditor, of_child(1)).await.unwrap();
    assert!(by_child.entries.is_empty() && by_child.searched.unwrap().together_left_out);
    for reader in [&b, &auditor] {
        let looks = who_looked(reader, nhs(1)).await.unwrap();
        assert!(looks.looks.is_empty() && looks.searched.unwrap().together_left_out, "which is said");
    }
    let by_person = v1::SearchRequest { person_id: "lister".into(), ..v1::SearchRequest::default() };
    let by_person = search(&auditor, by_person).await.unwrap();
    assert_eq!(by_person.entries.len(), 3);
    for one in &by_person.entries {
        assert_eq!((one.call.as_str(), one.organisation.as_str()), ("LookupService/LookupMany", ED));
        assert_eq!((one.request_id.as_str(), one.shielded), (worklist.request_id.as_str(), false));
        assert!(one.about.is_none() && one.mother.is_none() && one.responsible_authorities.is_empty());
        assert!(matches!(one.decision, Some(Decided::Uncounted(true))), "{:?}", one.decision);
    }
    let first = by_person.entries[2].audit_reference.as_str();
    let of_another = search(&auditor, of_child(2)).await.unwrap();
    assert_eq!(lookups(&of_another), [first], "whoever asks for the child sees all of it");
    end(site, server);
}

/// Whichever handler writes it: what the entry keeps stands when nothing of the shield is held any more.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_was_answered_recorded_refused_or_read_about_a_shielded_child_is_kept_as_that() {
    let (site, server, auditor) = begin().await;
    let (a, b, ed) = (server.client(A).await, server.client(B).await, server.client(ED).await);
    let shield = v1::PlanEvent { shielded: true, ..build::plan(nhs(1), "B1") };
    calls::accept(&b, vec![shield, build::plan(nhs(2), "B2")]).await;
    for child in [1, 2] {
        let (came, again) = (format!("e{child}"), format!("r{child}"));
        calls::check_in(&ed, build::check_in(ED, nhs(child), &came)).await.unwrap();
        let keeping = v1::Caller { purpose: v1::Purpose::RecordKeeping.into(), ..build::caller(ED) };
        let lookup = Some(v1::LookupRequest { caller: Some(keeping), ..build::lookup(ED, nhs(child)) });
        let refused = v1::CheckInRequest { lookup, ..build::check_in(ED, nhs(child), &again) };
        let refused = calls::check_in(&ed, refused).await.map(|_| ());
        expect_trouble(refused, Code::PermissionDenied, "PURPOSE_NOT_ALLOWED", &[]);
        let today = v1::DecideWithholdingRequest {
            caller: Some(build::caller(A)),
            nhs_number: nhs(child).digits(),
            reason: v1::WithholdingReason::HarmToOther.into(),
            words: "as was agreed".into(),
            look_again: Some(build::day(0)),
            event_id: build::id(),
            local_key: String::new(),
        };
        let refused = a.withholding().decide_withholding(a.request(today)).await.map(|_| ());
        expect_trouble(refused, Code::InvalidArgument, "LOOK_AGAIN_OUT_OF_RANGE", &["look_again"]);
        search(&auditor, of_child(child)).await.unwrap();
    }
    tokio::task::block_in_place(|| server.stop());
    let entries = offline::audit(site.dir());
    let marks = |child| {
        let subject = Some(Subject::Nhs(nhs(child)));
        let about = entries.values().filter(|entry| entry.subject == subject);
        about.map(|entry| entry.shielded).collect::<Vec<_>>()
    };
    assert_eq!((marks(1), marks(2)), (vec![true; 5], vec![false; 5]));
    site.finish(&[]);
}

/// A baby is where its mother is: what is recorded or refused in the call in which her number is given tells that like the answer.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn of_a_babys_check_in_with_a_shielded_mothers_number_every_entry_is_kept_as_that() {
    let (site, server, _auditor) = begin().await;
    let (b, ed) = (server.client(B).await, server.client(ED).await);
    calls::accept(&b, vec![v1::PlanEvent { shielded: true, ..build::plan(nhs(1), "B1") }]).await;
    let babies = [(3, Some(1)), (4, Some(2)), (5, None)];
    for (baby, mother) in babies {
        let mother_nhs_number = mother.map(|mother| nhs(mother).digits());
        let lookup = v1::LookupRequest { mother_nhs_number, ..build::lookup(ED, nhs(baby)) };
        let keeping = v1::Caller { purpose: v1::Purpose::RecordKeeping.into(), ..build::caller(ED) };
        let refused = v1::LookupRequest { caller: Some(keeping), request_id: build::id(), ..lookup.clone() };
        let odd = v1::LookupRequest { care_context: 99, request_id: build::id(), ..lookup.clone() };
        let (denied, invalid) = (Some(Code::PermissionDenied), Some(Code::InvalidArgument));
        for (lookup, code) in [(lookup, None), (refused, denied), (odd, invalid)] {
            let check_in = build::check_in(ED, nhs(baby), &format!("e{baby}"));
            let sent = calls::check_in(&ed, v1::CheckInRequest { lookup: Some(lookup), ..check_in }).await;
            assert_eq!(sent.err().map(|status| status.code()), code);
        }
    }
    tokio::task::block_in_place(|| server.stop());
    let entries = offline::audit(site.dir());
    for (baby, mother) in babies {
        let subject = Some(Subject::Nhs(nhs(baby)));
        let about: Vec<_> = entries.values().filter(|entry| entry.subject == subject).collect();
        let kept: Vec<_> = about.iter().map(|entry| (entry.mother.is_some(), entry.shielded)).collect();
        assert_eq!(kept, [(mother.is_some(), mother == Some(1)); 4], "{baby}: answered, recorded, refused, malformed");
    }
    site.finish(&[]);
}

/// Runs a verb of `kith audit` for a review: its exit code, and what it said.
pub fn kith(site: &Site, server: &Server, certificate: &str, arguments: &[&str]) -> (Option<i32>, String) {
    let options = server.options(certificate);
    let mut command = Command::new(program("kith"));
    command.current_dir(site.dir()).env("KITH_SERVER", &options.server).env("KITH_CA", &options.ca);
    command.env("KITH_USER_ID", "u1").env("KITH_USER_NAME", "A Person").env("KITH_PURPOSE", "safeguarding-review");
    command.env("KITH_USER_ROLE", "Clerk").env("KITH_ROLE_CODE", "R8010");
    command.env("KITH_CERT", &options.cert).env("KITH_KEY", &options.key).arg("audit").args(arguments);
    let Output { status, stdout, stderr } = command.output().unwrap();
    let said = format!("{}{}", String::from_utf8_lossy(&stdout), String::from_utf8_lossy(&stderr));
    (status.code(), said.split_whitespace().collect::<Vec<_>>().join(" "))
}

/// What a killed process may have lost is told to whoever reads over it, and an empty list is no statement.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_command_line_tells_what_is_missing_and_where_it_stopped() {
    let (mut site, server, client) = begin().await;
    calls::accept(&server.client(A).await, vec![build::plan(nhs(1), "A1")]).await;
    for _ in 0..5 {
        look(&server, ED, "p", 1).await;
    }
    readable(&server, &client).await;
    let number = nhs(1).digits();
    let run = |server: &Server, certificate: &str, arguments: &[&str]| {
        tokio::task::block_in_place(|| kith(&site, server, certificate, arguments))
    };
    let (code, said) = run(&server, A, &["who-looked", "--nhs-number", &number]);
    assert_eq!(code, Some(0), "{said}");
    assert!(said.starts_with("What worklists asked") && said.contains("is NOT among these entries"), "{said}");
    assert!(said.contains("5 lookups among the") && said.contains("Barrowfold NHS Trust (RZ1)"), "{said}");
    let (code, said) = run(&server, "auditor", &["search", "--person", "p", "--page-size", "2"]);
    assert!(code == Some(26) && said.starts_with("THIS PAGE IS FULL"), "{said}");
    let (code, said) = run(&server, "auditor", &["search", "--person", "p", "--page-size", "2", "--all"]);
    assert!(code == Some(0) && said.contains("5 entries among the"), "{said}");
    let nobody = ["search", "--person", "nobody", "--output", "json"];
    let (code, said) = run(&server, "auditor", &nobody);
    let json: serde_json::Value = serde_json::from_str(&said).unwrap();
    assert_eq!((code, &json["exit_code"], &json["searched"]["end"]), (Some(0), &0.into(), &"whole".into()));
    let (code, said) = run(&server, A, &["search", "--nhs-number", &number]);
    assert!(code == Some(21) && said.contains("ROLE_NOT_ALLOWED"), "{said}");

    tokio::task::block_in_place(|| server.kill());
    let server = site.ready().await;
    let client = auditor(&server).await;
    readable(&server, &client).await;
    let found = search(&client, of_child(1)).await.unwrap();
    assert_eq!(lookups(&found).len(), 5, "those of before are found");
    let searched = found.searched.unwrap();
    let [missing] = &searched.missing[..] else { panic!("{:?}", searched.missing) };
    assert!(missing.announced_at.is_some() && missing.after_audit_reference < missing.before_audit_reference);
    let run = tokio::task::block_in_place(|| kith(&site, &server, "auditor", &["search", "--nhs-number", &number]));
    assert!(run.0 == Some(26) && run.1.starts_with("MISSING: between"), "{}", run.1);
    tokio::task::block_in_place(|| server.stop());
    site.finish(&["did not end in order"]);
}
