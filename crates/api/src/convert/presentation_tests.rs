//! Tests of check-ins: what refuses the question, and what only the recording.

use super::*;

fn organisation() -> OdsCode {
    OdsCode::parse("R1H").unwrap()
}

fn request() -> v1::CheckInRequest {
    let id = "018f3a52-0000-7000-8000-000000000001".to_owned();
    let caller = v1::Caller {
        user_id: "u1".into(),
        user_name: "A Nurse".into(),
        user_role: "Nurse".into(),
        role_code: "R8000".into(),
        purpose: v1::Purpose::DirectCare.into(),
        organisation: "R1H".into(),
    };
    let subject = v1::Subject { subject: Some(v1::subject::Subject::LocalKey("key-1".into())) };
    v1::CheckInRequest {
        lookup: Some(v1::LookupRequest {
            caller: Some(caller),
            subject: Some(subject),
            request_id: id.clone(),
            ..Default::default()
        }),
        presentation: Some(v1::PresentationDetails {
            encounter_id: "e1".into(),
            version: 1,
            site: "R1H12".into(),
            arrived_at: Some(prost_types::Timestamp { seconds: 1_795_317_120, nanos: 0 }),
            care_setting: v1::CareSetting::EmergencyDepartment.into(),
            complaint: v1::ComplaintGroup::Illness.into(),
        }),
        event_id: id,
    }
}

fn parse(request: v1::CheckInRequest) -> Result<ParsedCheckIn, Faults> {
    check_in(request, organisation(), Moment(1_795_317_120_000))
}

fn fields(faults: Faults) -> Vec<String> {
    faults.0.into_iter().map(|fault| fault.field).collect()
}

#[test]
fn a_whole_check_in_is_question_and_event() {
    let parsed = parse(request()).unwrap();
    assert_eq!(parsed.lookup.question.checking_in.unwrap().as_str(), "e1");
    assert_eq!(parsed.recording.unwrap().subject, parsed.lookup.question.subject);
}

#[test]
fn a_malformed_presentation_does_not_refuse_the_question() {
    let mut newer = request();
    newer.presentation.as_mut().unwrap().complaint = 99;
    let mut absent = request();
    absent.presentation = None;
    let mut unnamed = request();
    unnamed.event_id = "7".into();
    for (request, field) in [(newer, "presentation.complaint"), (absent, "presentation"), (unnamed, "event_id")] {
        let parsed = parse(request).unwrap();
        assert_eq!(fields(parsed.recording.unwrap_err()), [field]);
    }
}

#[test]
fn a_malformed_question_refuses_the_whole() {
    let mut without = request();
    without.lookup.as_mut().unwrap().subject = None;
    assert_eq!(fields(parse(without).unwrap_err()), ["lookup.subject"]);
}
