//! Every call of the service with planted numbers, names and words: once as it is to be made, and once by somebody who may not.

use std::collections::BTreeSet;
use std::ops::Range;

use kith_api::client::Client;
use kith_api::v1;
use kith_domain::method::Method;
use kith_merkle::{Checkpoint, WitnessSigner};
use tonic::{Request, Status};

use super::{ED, ENCOUNTER, LA, LOCAL_KEY, REFERENCE, TEAM};
use crate::harness::build::{self, USER, nhs};
use crate::harness::process::Server;
use crate::harness::site::Site;
use crate::harness::wait::until_async;
use crate::harness::{calls, offline};
use crate::person_tokens::every_call::{Said, every_call};
use crate::person_tokens::{self, Signer};
use crate::{files, identity};

/// Who has no part in the rest of the session.
pub const PEOPLE: Range<u32> = 7_020..7_030;
const SHIELDED: u32 = 7_020;
const MOTHER: u32 = 7_021;
const BABY: u32 = 7_022;
const REPLACED: u32 = 7_023;
const PRESENT: u32 = 7_024;
const PROPOSED: u32 = 7_025;
const IN_FILE: u32 = 7_026;
const WITHHELD: u32 = 7_027;
const REFUSED: u32 = 7_028;
const TRACED: u32 = 7_029;

/// What people write in their own words.
const WORDS: &str = "canary beneath the sundial";
const FAMILY: &str = "canary-family-88";
/// Who asks about number after number, who reviews it, and whom a token names in another's place.
const WALKER: &str = "zq-walker-9913";
const REVIEWER: &str = "zq-reviewer-5512";
const ANOTHER: &str = "zq-another-3307";
/// Every text that only these calls plant.
pub const TEXTS: [&str; 5] = [WORDS, FAMILY, WALKER, REVIEWER, ANOTHER];

/// The organisation of those who run the service, and of its auditors, in the development certificates.
const OPERATOR: &str = "KITH";

/// Calls that were answered.
#[derive(Default)]
struct Answered(BTreeSet<Method>);

impl Answered {
    fn by<T>(&mut self, method: Method, answer: Result<T, Status>) -> T {
        let answer = answer.unwrap_or_else(|status| panic!("{}: {status:?}", method.word()));
        self.0.insert(method);
        answer
    }
}

/// Makes every call as it is to be made, and gives which were answered.
pub async fn answered(site: &Site, server: &Server) -> BTreeSet<Method> {
    let mut answered = Answered::default();
    plans(server, &mut answered).await;
    plan_files(server, &mut answered).await;
    visits(server, &mut answered).await;
    questions(server, &mut answered).await;
    openings(server, &mut answered).await;
    withholdings(server, &mut answered).await;
    identities(server, &mut answered).await;
    notifications(server, &mut answered).await;
    flags(server, &mut answered).await;
    reading(server, &mut answered).await;
    proofs(site, server, &mut answered).await;
    answered.0
}

/// A request that belongs to a trace whose numbers are a child's, and to a state that names it.
fn traced<T>(client: &Client, message: T) -> Request<T> {
    let mut request = client.request(message);
    let digits = nhs(TRACED).digits();
    request.metadata_mut().insert("traceparent", format!("00-{digits:0>32}-{digits:0>16}-01").parse().unwrap());
    request.metadata_mut().insert("tracestate", format!("kith={digits}").parse().unwrap());
    request
}

fn person(user: &str, purpose: v1::Purpose) -> Option<v1::Caller> {
    Some(v1::Caller { user_id: user.into(), purpose: purpose.into(), ..build::caller(ED) })
}

/// A shielded plan, one that is withheld later, and a birth.
async fn plans(server: &Server, answered: &mut Answered) {
    let la = server.client(LA).await;
    let plan = |of, name: &str| build::plan(nhs(of), &format!("{REFERENCE}-{name}"));
    let shielded = v1::PlanEvent { shielded: true, ..plan(SHIELDED, "shielded") };
    let kind = v1::PlanKind::Unborn.into();
    let unborn = v1::PlanEvent { kind, family: FAMILY.into(), ..plan(MOTHER, "unborn") };
    let baby = |subject, name: &str| v1::Baby {
        subject,
        kind: v1::PlanKind::ChildProtection.into(),
        reference: format!("{REFERENCE}-{name}"),
        date_of_birth: None,
    };
    let twin = build::local(&format!("{LOCAL_KEY}-twin"));
    let born = v1::PlanEvent {
        event_id: build::id(),
        action: v1::PlanAction::Born.into(),
        version: unborn.version + 1,
        start: None,
        end: Some(build::day(0)),
        babies: vec![baby(build::subject(nhs(BABY)), "born"), baby(twin, "twin")],
        ..unborn.clone()
    };
    let verdicts = calls::accept(&la, vec![shielded, unborn, plan(WITHHELD, "withheld"), born]).await;
    assert_eq!(answered.by(Method::SubmitEvents, Ok(verdicts)).len(), 4);
    let own = v1::ListOwnRequest { caller: Some(build::caller(LA)), ..v1::ListOwnRequest::default() };
    answered.by(Method::ListOwnPlans, la.plans().list_own(traced(&la, own)).await);
}

/// A file of a row that is taken and one that is not.
async fn plan_files(server: &Server, answered: &mut Answered) {
    let (la, ops) = (server.client(LA).await, server.client("ops").await);
    let row = |reference: &str, number: &str| {
        format!("{number},2018-03-04,cpp,2026-01-10,,{REFERENCE}-{reference},{FAMILY},\n")
    };
    let digits = nhs(IN_FILE).digits();
    let rows = [row("file", &digits), row("odd", &format!("{digits}0")), format!("{digits},{WORDS}\n")];
    let verdict = answered.by(Method::SubmitPlanFile, files::send(&la, &files::file(1, "changes", rows)).await);
    assert!(verdict.processed > 0, "the file is read");
    let next = la.request(v1::GetFilePositionRequest {});
    answered.by(Method::GetFilePosition, la.plan_files().get_file_position(next).await);
    let reset = v1::ResetFilePositionRequest {
        authority: LA.into(),
        next_number: 9,
        event_id: build::id(),
        caller: Some(build::caller(OPERATOR)),
    };
    answered.by(Method::ResetFilePosition, ops.plan_files().reset_file_position(ops.request(reset)).await);
}

async fn visits(server: &Server, answered: &mut Answered) {
    let ed = server.client(ED).await;
    let record = build::record(ED, nhs(MOTHER), &format!("{ENCOUNTER}-amended"));
    answered.by(Method::Record, calls::record(&ed, record.clone()).await);
    let amend = v1::AmendRequest {
        caller: record.caller.clone(),
        event_id: build::id(),
        subject: record.subject.clone(),
        date_of_birth: None,
        presentation: record.presentation.clone().map(|first| v1::PresentationDetails { version: 2, ..first }),
    };
    answered.by(Method::Amend, ed.presentations().amend(traced(&ed, amend)).await);
    let close = v1::CloseRequest { version: 3, ..build::close(&record, v1::PresentationOutcome::Discharged) };
    answered.by(Method::Close, calls::close(&ed, close).await);
    let past = build::import(ED, nhs(WITHHELD), &format!("{ENCOUNTER}-past"));
    assert_eq!(answered.by(Method::Import, calls::import(&ed, vec![past]).await).accepted, 1);
}

async fn questions(server: &Server, answered: &mut Answered) {
    let ed = server.client(ED).await;
    let mother = Some(nhs(MOTHER).digits());
    let lookup = v1::LookupRequest { mother_nhs_number: mother.clone(), ..build::lookup(ED, nhs(BABY)) };
    answered.by(Method::Lookup, ed.lookup().lookup(traced(&ed, lookup)).await);
    let baby = v1::WorklistEntry {
        subject: build::subject(nhs(BABY)),
        number_traced: true,
        date_of_birth: None,
        mother_nhs_number: mother.clone(),
    };
    let twin = v1::WorklistEntry { subject: build::local(&format!("{LOCAL_KEY}-listed")), ..baby.clone() };
    let worklist = v1::LookupManyRequest {
        caller: Some(build::caller(ED)),
        care_context: v1::CareContext::Unscheduled.into(),
        entries: vec![baby, twin],
        request_id: build::id(),
    };
    let listed = answered.by(Method::LookupMany, ed.lookup().lookup_many(traced(&ed, worklist)).await);
    let (mut listed, mut items) = (listed.into_inner(), 0);
    while listed.message().await.unwrap().is_some() {
        items += 1;
    }
    assert_eq!(items, 2);
    let mut check_in = build::check_in(ED, nhs(BABY), &format!("{ENCOUNTER}-baby"));
    check_in.lookup.as_mut().unwrap().mother_nhs_number = mother;
    answered.by(Method::CheckIn, calls::check_in(&ed, check_in).await);
}

async fn openings(server: &Server, answered: &mut Answered) {
    let team = server.client(TEAM).await;
    let caller = person(USER, v1::Purpose::ChildProtectionEnquiry);
    let opening = v1::OpenShieldedRequest {
        lookup: Some(v1::LookupRequest { caller, ..build::lookup(ED, nhs(SHIELDED)) }),
        reason: v1::OpeningReason::MissingChild.into(),
        words: WORDS.into(),
        review_accepted: true,
    };
    let opened = answered.by(Method::OpenShielded, team.break_glass().open_shielded(traced(&team, opening)).await);
    let reference = opened.into_inner().opened.expect("that it was opened").reference;
    let caller = person(REVIEWER, v1::Purpose::SafeguardingReview);
    let page = v1::ListOpeningsRequest { caller: caller.clone(), ..v1::ListOpeningsRequest::default() };
    let waiting = answered.by(Method::ListOpenings, team.break_glass().list_openings(team.request(page)).await);
    assert_eq!(waiting.into_inner().openings.len(), 1);
    let outcome = v1::ReviewOutcome::Justified.into();
    let review = v1::ReviewOpeningRequest { caller, reference, outcome, event_id: build::id() };
    answered.by(Method::ReviewOpening, team.break_glass().review_opening(traced(&team, review)).await);
}

/// One decision that is lifted, and one that stands.
async fn withholdings(server: &Server, answered: &mut Answered) {
    let la = server.client(LA).await;
    let (caller, nhs_number) = (Some(build::caller(LA)), nhs(WITHHELD).digits());
    for stands in [false, true] {
        let decision = v1::DecideWithholdingRequest {
            caller: caller.clone(),
            nhs_number: nhs_number.clone(),
            reason: v1::WithholdingReason::HarmToChild.into(),
            words: WORDS.into(),
            look_again: Some(build::day(30)),
            event_id: build::id(),
            local_key: String::new(),
        };
        answered.by(Method::DecideWithholding, la.withholding().decide_withholding(traced(&la, decision)).await);
        let page = v1::ListWithholdingsRequest { caller: caller.clone(), ..v1::ListWithholdingsRequest::default() };
        let listed = la.withholding().list_withholdings(la.request(page)).await;
        let listed = answered.by(Method::ListWithholdings, listed).into_inner().withholdings;
        assert!(listed.len() == 1 && listed[0].words == WORDS, "the words are kept");
        if !stands {
            let (caller, nhs_number) = (caller.clone(), nhs_number.clone());
            let (event_id, local_key) = (build::id(), String::new());
            let lift = v1::LiftWithholdingRequest { caller, nhs_number, event_id, local_key };
            answered.by(Method::LiftWithholding, la.withholding().lift_withholding(la.request(lift)).await);
        }
    }
}

async fn identities(server: &Server, answered: &mut Answered) {
    let (pds, ed) = (server.client("demographics").await, server.client(ED).await);
    let told = identity::try_tell(&pds, identity::telling(identity::superseded(REPLACED, PRESENT), 1)).await;
    answered.by(Method::TellIdentity, told);
    let proposal = v1::ProposeIdentityRequest {
        caller: Some(build::caller(ED)),
        change: Some(identity::superseded(PROPOSED, PRESENT)),
        event_id: build::id(),
    };
    answered.by(Method::ProposeIdentity, ed.identity().propose_identity(traced(&ed, proposal)).await);
    let caller = Some(build::caller(identity::PDS));
    let page = v1::ListProposalsRequest { caller: caller.clone(), ..v1::ListProposalsRequest::default() };
    let listed = answered.by(Method::ListProposals, pds.identity().list_proposals(pds.request(page)).await);
    let proposal_id = listed.into_inner().proposals[0].id;
    let declined = v1::DeclineProposalRequest { caller, proposal_id, event_id: build::id() };
    answered.by(Method::DeclineProposal, pds.identity().decline_proposal(pds.request(declined)).await);
}

async fn notifications(server: &Server, answered: &mut Answered) {
    let la = server.client(LA).await;
    let heard = until_async("the authority hears of the questions", async || {
        let heard = calls::notifications(server, LA, 100).await;
        (!heard.is_empty()).then_some(heard)
    })
    .await;
    let heard = answered.by(Method::ListNotifications, Ok(heard));
    let ids = heard.iter().map(|one| one.id).take(10).collect();
    let request = v1::AcknowledgeRequest { ids, event_id: build::id(), caller: Some(build::caller(LA)) };
    answered.by(Method::AcknowledgeNotifications, la.notifications().acknowledge(la.request(request)).await);
}

/// Somebody asks about one number after the other, which is flagged and looked into.
async fn flags(server: &Server, answered: &mut Answered) {
    let (ed, team) = (server.client(ED).await, server.client(TEAM).await);
    for index in super::CHILDREN {
        let caller = person(WALKER, v1::Purpose::DirectCare);
        calls::ask(&ed, v1::LookupRequest { caller, ..build::lookup(ED, nhs(index)) }).await;
    }
    let caller = person(REVIEWER, v1::Purpose::SafeguardingReview);
    let page = v1::ListFlagsRequest { caller: caller.clone(), ..v1::ListFlagsRequest::default() };
    let walked = until_async("the walk is flagged", async || {
        let listed = team.flags().list_flags(team.request(page.clone())).await.unwrap().into_inner();
        listed.flags.into_iter().find(|flag| flag.user_id == WALKER)
    })
    .await;
    let id = answered.by(Method::ListFlags, Ok(walked)).id;
    let outcome = v1::FlagOutcome::Explained.into();
    let review = v1::ReviewFlagRequest { caller: caller.clone(), id, outcome, event_id: build::id() };
    answered.by(Method::ReviewFlag, team.flags().review_flag(team.request(review)).await);
    let rates = v1::GetFlagRatesRequest { caller, first: Some(build::day(-1)), last: Some(build::day(0)) };
    answered.by(Method::GetFlagRates, team.flags().get_flag_rates(team.request(rates)).await);
}

/// What is read of the audit and of the service, and what a reference leads to.
async fn reading(server: &Server, answered: &mut Answered) {
    let (auditor, ops) = (server.client("auditor").await, server.client("ops").await);
    let of_child = v1::SearchRequest { nhs_number: nhs(SHIELDED).digits(), ..v1::SearchRequest::default() };
    let of_person = v1::SearchRequest { person_id: USER.into(), ..v1::SearchRequest::default() };
    let key = v1::LocalKey { organisation: ED.into(), key: format!("{LOCAL_KEY}-listed") };
    let of_key = v1::SearchRequest { local_key: Some(key), ..v1::SearchRequest::default() };
    for search in [of_child, of_person, of_key] {
        answered.by(Method::SearchAudit, auditor.audit().search(traced(&auditor, search)).await);
    }
    let looked = v1::WhoLookedRequest { nhs_number: nhs(SHIELDED).digits(), ..v1::WhoLookedRequest::default() };
    answered.by(Method::WhoLooked, auditor.audit().who_looked(auditor.request(looked)).await);
    answered.by(Method::GetStatus, Ok(server.status_with_feeds().await));
    answered.by(Method::ListFeeds, calls::list_feeds(&ops, 100, "").await);
    let (ed, broker) = (server.client(ED).await, server.client("broker").await);
    let audit_reference = calls::ask(&ed, build::lookup(ED, nhs(SHIELDED))).await.audit_reference;
    let purpose = v1::Purpose::DirectCare.into();
    let caller = Some(v1::Caller { purpose, ..build::caller(identity::PDS) });
    let request = v1::ResolveReferenceRequest { caller, audit_reference };
    let resolved = until_async("the entry can be read", async || {
        broker.broker().resolve_reference(broker.request(request.clone())).await.ok()
    })
    .await;
    let child = answered.by(Method::ResolveReference, Ok(resolved)).into_inner().child.unwrap();
    assert_eq!(child.nhs_number, nhs(SHIELDED).digits(), "the broker is told");
}

async fn proofs(site: &Site, server: &Server, answered: &mut Answered) {
    let (ed, witness) = (server.client(ED).await, server.client("witness").await);
    let audit_reference = calls::ask(&ed, build::lookup(ED, nhs(IN_FILE))).await.audit_reference;
    let request = v1::GetInclusionProofRequest { audit_reference };
    let proven = until_async("the entry is signed", async || {
        ed.audit().get_inclusion_proof(ed.request(request.clone())).await.ok()
    })
    .await;
    answered.by(Method::GetInclusionProof, Ok(proven));
    let newest = witness.request(v1::GetCheckpointRequest {});
    let newest = answered.by(Method::GetCheckpoint, witness.audit().get_checkpoint(newest).await).into_inner();
    let (head, mut note) = Checkpoint::open(newest.note.as_bytes(), &offline::audit_key(site.dir())).unwrap();
    let proof = witness.request(v1::GetConsistencyProofRequest { from_size: 1, to_size: head.size });
    answered.by(Method::GetConsistencyProof, witness.audit().get_consistency_proof(proof).await);
    let signer = WitnessSigner::from_seed("witness.test/one", &[6; 32]).unwrap();
    note.signatures.push(signer.cosign(&note.text, 1_700_000_000).unwrap());
    let cosigned = witness.request(v1::AddCosignatureRequest { note: note.to_string() });
    answered.by(Method::AddCosignature, witness.audit().add_cosignature(cosigned).await);
}

/// Makes every call where it is refused: for a token that names another person, for a role to which it is not granted, and for
/// what is asked. Gives which were refused.
pub async fn refused(server: &Server, signer: &Signer) -> BTreeSet<Method> {
    let said = Said { child: nhs(REFUSED), other: nhs(PRESENT), words: WORDS, reference: REFERENCE };
    let another = |of: &str| signer.sign(&person_tokens::with(of, "sub", ANOTHER));
    let trust = person_tokens::proven(server, person_tokens::ED, &another(person_tokens::ED)).await;
    let authority = person_tokens::proven(server, person_tokens::A, &another(person_tokens::A)).await;
    let mut made = every_call((&trust, person_tokens::ED), (&authority, person_tokens::A), said).await;
    let (ed, la) = (server.client(ED).await, server.client(LA).await);
    made.extend(every_call((&la, LA), (&ed, ED), said).await);
    made.extend(every_call((&ed, ED), (&la, LA), said).await);
    made.into_iter().filter(|(_, result)| result.is_err()).map(|(method, _)| method).collect()
}
