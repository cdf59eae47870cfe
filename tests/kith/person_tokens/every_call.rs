//! Every call of the service, each with a message that can be read, so that nothing is in question but who is behind it.

use kith_api::client::Client;
use kith_api::v1;
use kith_domain::NhsNumber;
use kith_domain::method::Method;
use tonic::Status;

use crate::harness::build;
use crate::harness::calls;
use crate::{files, identity};

/// A call, and what became of it.
pub type Made = (Method, Result<(), Status>);

/// Whom the calls are about, and what is said in them.
#[derive(Clone, Copy)]
pub struct Said {
    /// Whom.
    pub child: NhsNumber,
    /// Whose number is told to be the one that is valid.
    pub other: NhsNumber,
    /// What people write in their own words.
    pub words: &'static str,
    /// A plan's reference, and an encounter's.
    pub reference: &'static str,
}

/// All of them, by a department of a trust and by an authority: whoever is not proven hears so before anybody looks at their role.
pub async fn every_call((ed, trust): (&Client, &str), (la, authority): (&Client, &str), said: Said) -> Vec<Made> {
    let mut made = questions(ed, trust, said).await;
    made.extend(openings(ed, trust, said).await);
    made.extend(flags(ed, trust).await);
    made.push(resolution(ed, trust).await);
    made.extend(presentations(ed, trust, said).await);
    made.extend(identities(ed, trust, said).await);
    made.extend(of_an_authority(la, authority, said).await);
    made.extend(withholdings(la, authority, said).await);
    made.extend(of_the_audit(ed, said).await);
    made.extend(of_the_service(ed).await);
    made
}

async fn questions(ed: &Client, trust: &str, said: Said) -> Vec<Made> {
    let lookup = build::lookup(trust, said.child);
    let worklist = v1::LookupManyRequest {
        caller: lookup.caller.clone(),
        care_context: v1::CareContext::Unscheduled.into(),
        entries: vec![v1::WorklistEntry { subject: lookup.subject.clone(), ..v1::WorklistEntry::default() }],
        request_id: build::id(),
    };
    vec![
        (Method::Lookup, calls::try_ask(ed, lookup).await.map(|_| ())),
        (Method::LookupMany, ed.lookup().lookup_many(worklist).await.map(|_| ())),
        (Method::CheckIn, calls::check_in(ed, build::check_in(trust, said.child, said.reference)).await.map(|_| ())),
    ]
}

async fn openings(ed: &Client, trust: &str, said: Said) -> Vec<Made> {
    let opening = v1::OpenShieldedRequest {
        lookup: Some(build::lookup(trust, said.child)),
        reason: v1::OpeningReason::MissingChild.into(),
        words: said.words.into(),
        review_accepted: true,
    };
    let page = v1::ListOpeningsRequest { caller: Some(build::caller(trust)), ..v1::ListOpeningsRequest::default() };
    let review = v1::ReviewOpeningRequest {
        caller: Some(build::caller(trust)),
        reference: build::id(),
        outcome: v1::ReviewOutcome::Justified.into(),
        event_id: build::id(),
    };
    vec![
        (Method::OpenShielded, ed.break_glass().open_shielded(opening).await.map(|_| ())),
        (Method::ListOpenings, ed.break_glass().list_openings(page).await.map(|_| ())),
        (Method::ReviewOpening, ed.break_glass().review_opening(review).await.map(|_| ())),
    ]
}

async fn resolution(ed: &Client, trust: &str) -> Made {
    let audit_reference = "7KQM2XBD9F4TH3".into();
    let request = v1::ResolveReferenceRequest { caller: Some(build::caller(trust)), audit_reference };
    (Method::ResolveReference, ed.broker().resolve_reference(request).await.map(|_| ()))
}

async fn flags(ed: &Client, trust: &str) -> Vec<Made> {
    let (caller, day) = (Some(build::caller(trust)), Some(build::day(0)));
    let page = v1::ListFlagsRequest { caller: caller.clone(), ..v1::ListFlagsRequest::default() };
    let outcome = v1::FlagOutcome::Explained.into();
    let review = v1::ReviewFlagRequest { caller: caller.clone(), id: 1, outcome, event_id: build::id() };
    let rates = v1::GetFlagRatesRequest { caller, first: day, last: day };
    vec![
        (Method::ListFlags, ed.flags().list_flags(page).await.map(|_| ())),
        (Method::ReviewFlag, ed.flags().review_flag(review).await.map(|_| ())),
        (Method::GetFlagRates, ed.flags().get_flag_rates(rates).await.map(|_| ())),
    ]
}

async fn presentations(ed: &Client, trust: &str, said: Said) -> Vec<Made> {
    let record = build::record(trust, said.child, said.reference);
    let close = build::close(&record, v1::PresentationOutcome::Discharged);
    let amend = v1::AmendRequest {
        caller: record.caller.clone(),
        event_id: build::id(),
        subject: record.subject.clone(),
        date_of_birth: None,
        presentation: record.presentation.clone(),
    };
    vec![
        (Method::Record, calls::record(ed, record).await.map(|_| ())),
        (Method::Amend, ed.presentations().amend(amend).await.map(|_| ())),
        (Method::Close, calls::close(ed, close).await.map(|_| ())),
        (Method::Import, calls::import(ed, vec![build::import(trust, said.child, said.reference)]).await.map(|_| ())),
        (Method::Import, calls::import(ed, Vec::new()).await.map(|_| ())),
    ]
}

async fn identities(ed: &Client, trust: &str, said: Said) -> Vec<Made> {
    let caller = Some(build::caller(trust));
    let change = identity::replaced(identity::number(said.child), v1::IdentityAction::Superseded, said.other);
    let told = identity::telling(change.clone(), 1);
    let proposed = v1::ProposeIdentityRequest { caller: caller.clone(), change: Some(change), event_id: build::id() };
    let page = v1::ListProposalsRequest { caller: caller.clone(), ..v1::ListProposalsRequest::default() };
    let declined = v1::DeclineProposalRequest { caller, proposal_id: 1, event_id: build::id() };
    vec![
        (Method::TellIdentity, ed.identity().tell_identity(told).await.map(|_| ())),
        (Method::ProposeIdentity, ed.identity().propose_identity(proposed).await.map(|_| ())),
        (Method::ListProposals, ed.identity().list_proposals(page).await.map(|_| ())),
        (Method::DeclineProposal, ed.identity().decline_proposal(declined).await.map(|_| ())),
    ]
}

async fn of_an_authority(la: &Client, authority: &str, said: Said) -> Vec<Made> {
    let caller = Some(build::caller(authority));
    let own = v1::ListOwnRequest { caller: caller.clone(), ..v1::ListOwnRequest::default() };
    let page = v1::ListRequest { caller: caller.clone(), ..v1::ListRequest::default() };
    let acknowledging = v1::AcknowledgeRequest { ids: vec![1], event_id: build::id(), caller: caller.clone() };
    let row = format!("{},2018-03-04,cpp,2026-01-10,,{},,\n", said.child.digits(), said.reference);
    let piece = v1::SubmitPlanFileRequest { chunk: files::file(1, "changes", [row]) };
    let reset =
        v1::ResetFilePositionRequest { authority: authority.into(), next_number: 1, event_id: build::id(), caller };
    let plan_files = || la.plan_files();
    vec![
        (
            Method::SubmitEvents,
            calls::submit(la, vec![build::event(build::plan(said.child, said.reference))]).await.map(|_| ()),
        ),
        (Method::SubmitPlanFile, plan_files().submit_plan_file(tokio_stream::iter(vec![piece])).await.map(|_| ())),
        (Method::GetFilePosition, plan_files().get_file_position(v1::GetFilePositionRequest {}).await.map(|_| ())),
        (Method::ResetFilePosition, plan_files().reset_file_position(reset).await.map(|_| ())),
        (Method::ListOwnPlans, la.plans().list_own(own).await.map(|_| ())),
        (Method::ListNotifications, la.notifications().list(page).await.map(|_| ())),
        (Method::AcknowledgeNotifications, la.notifications().acknowledge(acknowledging).await.map(|_| ())),
    ]
}

async fn withholdings(la: &Client, authority: &str, said: Said) -> Vec<Made> {
    let (caller, nhs_number) = (Some(build::caller(authority)), said.child.digits());
    let decision = v1::DecideWithholdingRequest {
        caller: caller.clone(),
        nhs_number: nhs_number.clone(),
        reason: v1::WithholdingReason::HarmToChild.into(),
        words: said.words.into(),
        look_again: Some(build::day(30)),
        event_id: build::id(),
        local_key: String::new(),
    };
    let (event_id, local_key) = (build::id(), String::new());
    let lift = v1::LiftWithholdingRequest { caller: caller.clone(), nhs_number, event_id, local_key };
    let page = v1::ListWithholdingsRequest { caller, ..v1::ListWithholdingsRequest::default() };
    vec![
        (Method::DecideWithholding, la.withholding().decide_withholding(decision).await.map(|_| ())),
        (Method::LiftWithholding, la.withholding().lift_withholding(lift).await.map(|_| ())),
        (Method::ListWithholdings, la.withholding().list_withholdings(page).await.map(|_| ())),
    ]
}

/// Calls whose messages name nobody who asks: the person is in the metadata.
async fn of_the_audit(ed: &Client, said: Said) -> Vec<Made> {
    let audit = || ed.audit();
    let search = v1::SearchRequest { nhs_number: said.child.digits(), ..v1::SearchRequest::default() };
    let looked = v1::WhoLookedRequest { nhs_number: said.child.digits(), ..v1::WhoLookedRequest::default() };
    let consistency = v1::GetConsistencyProofRequest { from_size: 0, to_size: 1 };
    let cosignature = v1::AddCosignatureRequest { note: String::new() };
    let inclusion = v1::GetInclusionProofRequest { audit_reference: "1-1".into() };
    vec![
        (Method::GetCheckpoint, audit().get_checkpoint(v1::GetCheckpointRequest {}).await.map(|_| ())),
        (Method::GetConsistencyProof, audit().get_consistency_proof(consistency).await.map(|_| ())),
        (Method::AddCosignature, audit().add_cosignature(cosignature).await.map(|_| ())),
        (Method::GetInclusionProof, audit().get_inclusion_proof(inclusion).await.map(|_| ())),
        (Method::SearchAudit, audit().search(search).await.map(|_| ())),
        (Method::WhoLooked, audit().who_looked(looked).await.map(|_| ())),
    ]
}

async fn of_the_service(ed: &Client) -> Vec<Made> {
    let status = v1::GetStatusRequest { include_feeds: false };
    vec![
        (Method::ListFeeds, calls::list_feeds(ed, 0, "").await.map(|_| ())),
        (Method::GetStatus, ed.status().get_status(status).await.map(|_| ())),
    ]
}
