//! The policy that is in force where no file gives another, as rows like those of a file.

use super::{Policy, PolicyRow};

/// Everything that an answer may leave out: the built-in policy leaves out nothing for those who may ask.
const EVERY_FIELD: &[&str] = &["visit-places", "history", "siblings", "mother", "numbers", "named-feeds"];
const EVERY_PURPOSE: &[&str] = &["direct-care", "child-protection-enquiry", "safeguarding-review", "record-keeping"];
/// Caring for a child now, or enquiring.
const CARING: &[&str] = &["direct-care", "child-protection-enquiry"];
const REVIEWING: &[&str] = &["child-protection-enquiry", "safeguarding-review"];
/// Sending and correcting, by those who care for the child or keep the records.
const SENDING: &[&str] = &["direct-care", "record-keeping"];
const KEEPING: &[&str] = &["record-keeping"];
/// Reading the audit.
const AUDITING: &[&str] = &["safeguarding-review", "record-keeping"];
/// An authority that wants to know who looked.
const ENQUIRING: &[&str] = &["child-protection-enquiry", "safeguarding-review", "record-keeping"];
/// An authority's own work.
const AUTHORITY: &[&str] = &["direct-care", "child-protection-enquiry", "record-keeping"];

/// Roles, methods, purposes, and for questions contexts and fields.
type Row = (&'static [&'static str], &'static [&'static str], &'static [&'static str], Option<Question>);
type Question = (&'static [&'static str], &'static [&'static str]);

const UNSCHEDULED: Option<Question> = Some((&["unscheduled"], EVERY_FIELD));
const EITHER: Option<Question> = Some((&["unscheduled", "scheduled"], EVERY_FIELD));

const ROWS: &[Row] = &[
    (&["ed"], &["LookupService/Lookup", "LookupService/LookupMany"], CARING, UNSCHEDULED),
    (&["ed"], &["LookupService/CheckIn"], &["direct-care"], UNSCHEDULED),
    (&["scheduled-care"], &["LookupService/Lookup", "LookupService/LookupMany"], CARING, EITHER),
    (&["safeguarding"], &["LookupService/Lookup", "LookupService/LookupMany"], REVIEWING, EITHER),
    (
        &["ed"],
        &[
            "PresentationService/Record",
            "PresentationService/Amend",
            "PresentationService/Close",
            "PresentationService/Import",
        ],
        SENDING,
        None,
    ),
    (
        &["local-authority"],
        &["PlanService/SubmitEvents", "PlanFileService/SubmitPlanFile", "PlanFileService/GetFilePosition"],
        KEEPING,
        None,
    ),
    (&["ops"], &["PlanFileService/ResetFilePosition"], KEEPING, None),
    (
        &["local-authority"],
        &["NotificationService/List", "NotificationService/Acknowledge", "PlanService/ListOwn"],
        AUTHORITY,
        None,
    ),
    (&["demographics"], &["IdentityService/TellIdentity", "IdentityService/DeclineProposal"], KEEPING, None),
    (&["ed", "local-authority"], &["IdentityService/ProposeIdentity"], AUTHORITY, None),
    (&["demographics", "ed", "local-authority"], &["IdentityService/ListProposals"], AUTHORITY, None),
    (
        &[
            "ed",
            "scheduled-care",
            "local-authority",
            "demographics",
            "safeguarding",
            "broker",
            "auditor",
            "ops",
            "witness",
        ],
        &["StatusService/GetStatus"],
        EVERY_PURPOSE,
        None,
    ),
    (&["ops", "ed", "local-authority"], &["StatusService/ListFeeds"], EVERY_PURPOSE, None),
    (&["witness", "auditor"], &["AuditService/GetCheckpoint", "AuditService/GetConsistencyProof"], EVERY_PURPOSE, None),
    (&["witness"], &["AuditService/AddCosignature"], EVERY_PURPOSE, None),
    (&["auditor", "ed", "scheduled-care", "safeguarding"], &["AuditService/GetInclusionProof"], EVERY_PURPOSE, None),
    (&["auditor"], &["AuditService/Search", "AuditService/WhoLooked"], AUDITING, None),
    (&["local-authority"], &["AuditService/WhoLooked"], ENQUIRING, None),
    (&["safeguarding"], &["AuditService/WhoLooked"], &["safeguarding-review"], None),
    (
        &["local-authority"],
        &[
            "WithholdingService/DecideWithholding",
            "WithholdingService/LiftWithholding",
            "WithholdingService/ListWithholdings",
        ],
        ENQUIRING,
        None,
    ),
    (&["safeguarding"], &["BreakGlassService/OpenShielded"], &["child-protection-enquiry"], UNSCHEDULED),
    (&["safeguarding", "auditor"], &["BreakGlassService/ListOpenings"], &["safeguarding-review"], None),
    (&["safeguarding"], &["BreakGlassService/ReviewOpening"], &["safeguarding-review"], None),
    (
        &["safeguarding", "auditor"],
        &["FlagService/ListFlags", "FlagService/ReviewFlag", "FlagService/GetFlagRates"],
        &["safeguarding-review"],
        None,
    ),
    (&["broker"], &["BrokerService/ResolveReference"], CARING, None),
];

fn owned(words: &[&str]) -> Vec<String> {
    words.iter().map(|word| (*word).to_owned()).collect()
}

pub(super) fn policy() -> Policy {
    let rows = ROWS.iter().map(|(roles, methods, purposes, question)| PolicyRow {
        roles: owned(roles),
        methods: owned(methods),
        purposes: owned(purposes),
        contexts: question.map(|(contexts, _)| owned(contexts)),
        fields: question.map(|(_, fields)| owned(fields)),
    });
    Policy::parse(&rows.collect::<Vec<_>>()).expect("the rows of the built-in policy can be read")
}
