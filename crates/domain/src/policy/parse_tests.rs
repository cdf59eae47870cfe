//! A policy file is read without forgiveness: every doubt about a row is named, and none of it is used.

use super::*;

fn row(roles: &[&str], methods: &[&str], purposes: &[&str], question: Question<'_>) -> PolicyRow {
    let owned = |words: &[&str]| words.iter().map(|word| (*word).to_owned()).collect::<Vec<_>>();
    PolicyRow {
        roles: owned(roles),
        methods: owned(methods),
        purposes: owned(purposes),
        contexts: question.map(|(contexts, _)| owned(contexts)),
        fields: question.map(|(_, fields)| owned(fields)),
    }
}

type Question<'a> = Option<(&'a [&'a str], &'a [&'a str])>;

fn given<'a>(contexts: &'a [&'a str], fields: &'a [&'a str]) -> Question<'a> {
    Some((contexts, fields))
}

fn ask<'a>(fields: &'a [&'a str]) -> Question<'a> {
    given(NOW, fields)
}

const NOW: &[&str] = &["unscheduled"];

/// The least that a policy must grant.
fn triage() -> PolicyRow {
    row(&["ed"], &["LookupService/Lookup"], &["direct-care"], ask(&[]))
}

fn faults(rows: &[PolicyRow]) -> Vec<PolicyFault> {
    Policy::parse(rows).expect_err("a policy that is refused")
}

#[test]
fn what_is_not_granted_is_refused_and_fields_are_those_of_the_row() {
    let care = row(
        &["scheduled-care"],
        &["LookupService/LookupMany"],
        &["direct-care"],
        given(&["scheduled"], &["visit-places", "history"]),
    );
    let policy = Policy::parse(&[triage(), care]).unwrap();
    let (mut granted, shown) = (0, FieldSet::NONE.with(crate::fields::Field::VisitPlaces));
    for (role, _) in Role::WORDS {
        for (method, _) in Method::WORDS {
            for (purpose, _) in Purpose::WORDS {
                for context in CONTEXTS {
                    granted += u32::from(policy.granted(role, method, purpose, context).is_some());
                }
            }
        }
    }
    assert_eq!(granted, 2);
    let of = |role, method, context| policy.granted(role, method, Purpose::DirectCare, context);
    assert_eq!(of(Role::Ed, Method::Lookup, CareContext::Unscheduled), Some(FieldSet::NONE));
    let found = of(Role::ScheduledCare, Method::LookupMany, CareContext::Scheduled);
    assert_eq!(found, Some(shown.with(crate::fields::Field::History)));
}

#[test]
fn a_row_with_any_doubt_about_it_is_refused() {
    let record = "PresentationService/Record";
    let care: &[&str] = &["direct-care"];
    let unknown = |key, word: &str| PolicyFault::UnknownWord { row: 2, key, word: word.into() };
    let twice = |key, word: &str| PolicyFault::WordTwice { row: 2, key, word: word.into() };
    let lookup = "LookupService/Lookup";
    for (second, expected) in [
        (row(&["Ed"], &[record], care, None), unknown("roles", "Ed")),
        (row(&["*"], &[record], care, None), unknown("roles", "*")),
        (row(&["ed"], &["Record"], care, None), unknown("methods", "Record")),
        (row(&["ed"], &["PresentationService/*"], care, None), unknown("methods", "PresentationService/*")),
        (row(&["ed"], &[record], &["curiosity"], None), unknown("purposes", "curiosity")),
        (row(&["scheduled-care"], &[lookup], care, given(&["now"], &[])), unknown("contexts", "now")),
        (row(&["scheduled-care"], &[lookup], care, ask(&["plans"])), unknown("fields", "plans")),
        (row(&["scheduled-care"], &[lookup], care, ask(&["outcome"])), unknown("fields", "outcome")),
        (row(&[], &[record], care, None), PolicyFault::Empty { row: 2, key: "roles" }),
        (row(&["ed"], &[], care, None), PolicyFault::Empty { row: 2, key: "methods" }),
        (row(&["ed"], &[record], &[], None), PolicyFault::Empty { row: 2, key: "purposes" }),
        (row(&["scheduled-care"], &[lookup], care, given(&[], &[])), PolicyFault::Empty { row: 2, key: "contexts" }),
        (row(&["ed", "ed"], &[record], care, None), twice("roles", "ed")),
        (row(&["ed"], &[record], &["direct-care", "direct-care"], None), twice("purposes", "direct-care")),
        (row(&["scheduled-care"], &[lookup], care, ask(&["mother", "mother"])), twice("fields", "mother")),
        (row(&["ed"], &[record, "LookupService/CheckIn"], care, ask(&[])), PolicyFault::Mixed { row: 2 }),
        (row(&["ed"], &[record], care, ask(&[])), PolicyFault::Misplaced { row: 2, key: "contexts" }),
        (row(&["safeguarding"], &[lookup], care, None), PolicyFault::Misplaced { row: 2, key: "contexts" }),
        (row(&["ops"], &[lookup], care, ask(&[])), PolicyFault::NeverForRole { row: 2, role: "ops", method: lookup }),
        (
            row(&["local-authority"], &[lookup], care, ask(&[])),
            PolicyFault::NeverForRole { row: 2, role: "local-authority", method: lookup },
        ),
        (
            row(&["safeguarding"], &[lookup], &["record-keeping"], ask(&[])),
            PolicyFault::NeverForPurpose { row: 2, method: lookup, purpose: "record-keeping" },
        ),
        (
            row(&["ed"], &[lookup], &["child-protection-enquiry"], given(&["scheduled"], &[])),
            PolicyFault::NeverScheduled { row: 2, role: "ed", method: lookup },
        ),
        (
            row(&["safeguarding"], &[lookup], care, ask(&["history"])),
            PolicyFault::TellsPlaces { row: 2, field: "history" },
        ),
        (
            row(&["safeguarding"], &[lookup], care, ask(&["named-feeds", "mother"])),
            PolicyFault::TellsPlaces { row: 2, field: "named-feeds" },
        ),
        (triage(), PolicyFault::GrantedTwice { row: 2, role: "ed", method: lookup, purpose: "direct-care" }),
    ] {
        assert!(faults(&[triage(), second]).contains(&expected), "{expected}");
    }
}

#[test]
fn every_fault_is_told_and_nothing_of_the_policy_is_used() {
    let wrong = row(&["nobody"], &["Nothing/At"], &["all"], None);
    assert_eq!(faults(&[wrong.clone(), triage(), wrong]).len(), 6);
}

#[test]
fn a_policy_under_which_nobody_could_ask_at_triage_is_refused() {
    assert_eq!(faults(&[]), [PolicyFault::NobodyAsks]);
    let status = row(&["ops"], &["StatusService/GetStatus"], &["record-keeping"], None);
    assert_eq!(faults(&[status]), [PolicyFault::NobodyAsks]);
}
