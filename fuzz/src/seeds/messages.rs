//! Good messages of every kind that a client sends, behind the byte that chooses the kind.

use kith_api::v1;
use prost::Message;

use super::{ID, NUMBER};

pub(super) fn caller() -> Option<v1::Caller> {
    Some(v1::Caller {
        user_id: "u-1".into(),
        user_name: "A Nurse".into(),
        user_role: "Triage nurse".into(),
        role_code: "R8010".into(),
        purpose: v1::Purpose::DirectCare.into(),
        organisation: "R1H".into(),
    })
}

fn subject() -> Option<v1::Subject> {
    Some(v1::Subject { subject: Some(v1::subject::Subject::NhsNumber(NUMBER.into())) })
}

fn lookup() -> v1::LookupRequest {
    v1::LookupRequest {
        caller: caller(),
        care_context: v1::CareContext::Unscheduled.into(),
        subject: subject(),
        number_traced: true,
        date_of_birth: Some(v1::Date { year: 2020, month: 2, day: 29 }),
        request_id: ID.into(),
        mother_nhs_number: None,
    }
}

fn details() -> Option<v1::PresentationDetails> {
    Some(v1::PresentationDetails {
        encounter_id: "E-1".into(),
        version: 1,
        site: "R1H12".into(),
        arrived_at: Some(kith_api::Timestamp { seconds: 1_789_999_000, nanos: 0 }),
        care_setting: v1::CareSetting::EmergencyDepartment.into(),
        complaint: v1::ComplaintGroup::Injury.into(),
    })
}

fn worklist() -> v1::LookupManyRequest {
    let entry = v1::WorklistEntry {
        subject: subject(),
        number_traced: true,
        date_of_birth: None,
        mother_nhs_number: Some("9990000026".into()),
    };
    v1::LookupManyRequest {
        caller: caller(),
        care_context: v1::CareContext::Scheduled.into(),
        entries: vec![entry.clone(), entry],
        request_id: ID.into(),
    }
}

fn plan() -> v1::SubmitEventsRequest {
    let event = v1::PlanEvent {
        event_id: ID.into(),
        action: v1::PlanAction::Start.into(),
        subject: subject(),
        kind: v1::PlanKind::ChildProtection.into(),
        start: Some(v1::Date { year: 2026, month: 1, day: 10 }),
        reference: "P-1".into(),
        version: 1,
        ..v1::PlanEvent::default()
    };
    v1::SubmitEventsRequest { item: Some(v1::submit_events_request::Item::Event(event)) }
}

fn change() -> Option<v1::IdentityChange> {
    let subject = v1::identity_subject::Subject::NhsNumber(NUMBER.into());
    Some(v1::IdentityChange {
        subject: Some(v1::IdentitySubject { subject: Some(subject) }),
        action: v1::IdentityAction::Superseded.into(),
        replaced_by: "9990000026".into(),
        date: None,
    })
}

fn presentations() -> Vec<(u8, Vec<u8>)> {
    let record = v1::RecordRequest {
        caller: caller(),
        event_id: ID.into(),
        subject: subject(),
        date_of_birth: None,
        presentation: details(),
    };
    let amend = v1::AmendRequest {
        caller: caller(),
        event_id: ID.into(),
        subject: subject(),
        date_of_birth: None,
        presentation: details(),
    };
    let close = v1::CloseRequest {
        caller: caller(),
        event_id: ID.into(),
        subject: subject(),
        encounter_id: "E-1".into(),
        version: 2,
        outcome: v1::PresentationOutcome::Discharged.into(),
        outcome_at: Some(kith_api::Timestamp { seconds: 1_789_999_500, nanos: 0 }),
    };
    let import = v1::ImportRequest {
        caller: caller(),
        event_id: ID.into(),
        subject: subject(),
        presentation: details(),
        ..v1::ImportRequest::default()
    };
    vec![
        (3, record.encode_to_vec()),
        (4, amend.encode_to_vec()),
        (5, close.encode_to_vec()),
        (6, import.encode_to_vec()),
    ]
}

fn changes() -> Vec<(u8, Vec<u8>)> {
    let tell =
        v1::TellIdentityRequest { caller: caller(), change: change(), version: 1, event_id: ID.into(), proposal_id: 1 };
    let propose = v1::ProposeIdentityRequest { caller: caller(), change: change(), event_id: ID.into() };
    let reset = v1::ResetFilePositionRequest {
        authority: "E06000001".into(),
        next_number: 7,
        event_id: ID.into(),
        caller: caller(),
    };
    let acknowledge = v1::AcknowledgeRequest { ids: vec![1, 2], event_id: ID.into(), caller: caller() };
    vec![
        (8, tell.encode_to_vec()),
        (9, propose.encode_to_vec()),
        (10, v1::DeclineProposalRequest::default().encode_to_vec()),
        (11, reset.encode_to_vec()),
        (12, acknowledge.encode_to_vec()),
        (13, v1::SubmitPlanFileRequest::default().encode_to_vec()),
    ]
}

fn readings() -> Vec<(u8, Vec<u8>)> {
    let at = |seconds| Some(kith_api::Timestamp { seconds, nanos: 0 });
    let search = v1::SearchRequest {
        nhs_number: NUMBER.into(),
        person_id: "u-1".into(),
        organisation: "R1H".into(),
        from: at(1_789_999_000),
        until: at(1_789_999_500),
        audit_reference: "1-000000000007".into(),
        page_size: 7,
        page_token: String::new(),
        local_key: None,
    };
    let local_key = Some(v1::LocalKey { organisation: "R1H".into(), key: "A-1".into() });
    let by_key = v1::SearchRequest { local_key, ..v1::SearchRequest::default() };
    let who = v1::WhoLookedRequest { nhs_number: NUMBER.into(), ..v1::WhoLookedRequest::default() };
    vec![(14, search.encode_to_vec()), (14, by_key.encode_to_vec()), (15, who.encode_to_vec())]
}

fn openings() -> Vec<(u8, Vec<u8>)> {
    let opening = v1::OpenShieldedRequest {
        lookup: Some(lookup()),
        reason: v1::OpeningReason::MissingChild.into(),
        words: "seen at the station".into(),
        review_accepted: true,
    };
    let review = v1::ReviewOpeningRequest {
        caller: caller(),
        reference: ID.into(),
        outcome: v1::ReviewOutcome::Justified.into(),
        event_id: ID.into(),
    };
    let page_token = format!("1789999000000.{ID}");
    let listing = v1::ListOpeningsRequest { caller: caller(), page_size: 10, page_token };
    vec![(16, opening.encode_to_vec()), (17, review.encode_to_vec()), (18, listing.encode_to_vec())]
}

fn flags() -> Vec<(u8, Vec<u8>)> {
    let outcome = v1::FlagOutcome::Explained.into();
    let review = v1::ReviewFlagRequest { caller: caller(), id: 9, outcome, event_id: ID.into() };
    let day = Some(v1::Date { year: 2026, month: 3, day: 1 });
    let rates = v1::GetFlagRatesRequest { caller: caller(), first: day, last: day };
    vec![(19, review.encode_to_vec()), (20, rates.encode_to_vec())]
}

fn withholdings() -> Vec<(u8, Vec<u8>)> {
    let decision = v1::DecideWithholdingRequest {
        caller: caller(),
        nhs_number: NUMBER.into(),
        reason: v1::WithholdingReason::HarmToChild.into(),
        words: "the father looks for her".into(),
        look_again: Some(v1::Date { year: 2026, month: 12, day: 24 }),
        event_id: ID.into(),
        local_key: String::new(),
    };
    let (nhs_number, local_key) = (String::new(), String::from("newborn-1"));
    let lift = v1::LiftWithholdingRequest { caller: caller(), nhs_number, event_id: ID.into(), local_key };
    vec![(21, decision.encode_to_vec()), (22, lift.encode_to_vec())]
}

/// One of each kind.
pub(super) fn messages() -> Vec<Vec<u8>> {
    let check_in = v1::CheckInRequest { lookup: Some(lookup()), presentation: details(), event_id: ID.into() };
    let questions = vec![
        (0, lookup().encode_to_vec()),
        (1, worklist().encode_to_vec()),
        (2, check_in.encode_to_vec()),
        (7, plan().encode_to_vec()),
    ];
    let all = [questions, presentations(), changes(), readings(), openings(), flags(), withholdings()].concat();
    all.into_iter().map(|(kind, bytes)| [&[kind][..], &bytes].concat()).collect()
}
