//! Answers and refusals for tests, in the service's own words. Names and numbers are invented; numbers to ring are drama numbers.

use kith_api::v1;
use tonic::{Code, Status};

use crate::dates::ProtoTimestamp;

/// Sunday 22 November 2026, 03:12 UTC.
const AS_OF: ProtoTimestamp = ProtoTimestamp { seconds: 1_795_317_120, nanos: 0 };
const NOT_REASSURANCE: &str = "This is not reassurance: use your own judgement and procedures.";

fn date(year: i32, month: i32, day: i32) -> v1::Date {
    v1::Date { year, month, day }
}

fn completeness(feeds: u32, stale: u32) -> Option<v1::Completeness> {
    Some(v1::Completeness { feeds, fresh: feeds - stale, stale, oldest_fresh_seconds: Some(180), ..Default::default() })
}

fn identity(outcome: v1::IdentityOutcome, words: &str) -> Option<v1::IdentityAnswer> {
    Some(v1::IdentityAnswer { outcome: outcome.into(), words: words.into(), ..Default::default() })
}

fn ring() -> Option<v1::Contact> {
    Some(v1::Contact {
        name: "Leeds City Council".into(),
        phone: "0113 496 0999".into(),
        why: "responsible authority, out of hours: emergency duty team".into(),
        code: "E08000035".into(),
    })
}

/// A refusal by the service, whose words tests need not know, with its reason and what else it says of that.
pub fn status(code: Code, reason: &str, more: Option<(&str, &str)>) -> Status {
    // `google.rpc.ErrorInfo` in a `google.rpc.Status`, each field a length and so many bytes.
    let field = |number: u8, content: &[u8]| {
        let length = u8::try_from(content.len()).ok().filter(u8::is_ascii).expect("a length of one byte");
        [&[(number << 3) | 2, length][..], content].concat()
    };
    let entry = more.map(|(name, value)| field(3, &[field(1, name.as_bytes()), field(2, value.as_bytes())].concat()));
    let info = [field(1, reason.as_bytes()), field(2, b"kith"), entry.unwrap_or_default()].concat();
    let any = [field(1, b"type.googleapis.com/google.rpc.ErrorInfo"), field(2, &info)].concat();
    Status::with_details(code, "words", field(3, &any).into())
}

/// Every sample, each of another kind.
pub fn all() -> Vec<v1::Answer> {
    vec![
        on_a_plan_and_seen(),
        none_held(),
        cannot_say(),
        not_confirmed(),
        shielded(),
        unknown_values(),
        near_miss(),
        family(),
    ]
}

/// Nothing held, every feed in time.
pub fn none_held() -> v1::Answer {
    let plans = format!(
        "Plans: none held on record as of 2026-11-22 03:12. All 153 senders heard of in time. {NOT_REASSURANCE}"
    );
    let seen = format!(
        "Presentations: none held from any hospital as of 2026-11-22 03:12. All 137 senders heard of in time. {NOT_REASSURANCE}"
    );
    let matched = "Date of birth matches the one held.";
    v1::Answer {
        identity: identity(v1::IdentityOutcome::Matched, matched),
        plans: Some(v1::PlanAnswer {
            outcome: v1::Outcome::NoneHeld.into(),
            completeness: completeness(153, 0),
            words: plans.clone(),
            ..Default::default()
        }),
        presentations: Some(v1::PresentationAnswer {
            outcome: v1::Outcome::NoneHeld.into(),
            elsewhere: v1::Outcome::NoneHeld.into(),
            window_days: 90,
            completeness: completeness(137, 0),
            words: seen.clone(),
            ..Default::default()
        }),
        access_history: Some(v1::AccessHistory::default()),
        shielded: false,
        as_of: Some(AS_OF),
        ring: ring(),
        audit_reference: "1-4711".into(),
        siblings: None,
        not_shown: Vec::new(),
        mother: None,
        words: vec![
            plans,
            seen,
            matched.into(),
            "The NHS number was not traced: a record may stand under another number.".into(),
            "Ring Leeds City Council on 0113 496 0999 (out of hours).".into(),
        ],
    }
}

/// A child protection plan, one ended plan, and one presentation at another trust.
pub fn on_a_plan_and_seen() -> v1::Answer {
    let leeds = v1::Authority { code: "E08000035".into(), name: "Leeds City Council".into() };
    let active = v1::Plan {
        kind: v1::PlanKind::ChildProtection.into(),
        state: v1::PlanState::Active.into(),
        start: Some(date(2026, 3, 4)),
        authority: Some(leeds.clone()),
        ..Default::default()
    };
    let ended = v1::Plan {
        kind: v1::PlanKind::LookedAfter.into(),
        state: v1::PlanState::Ended.into(),
        start: Some(date(2025, 1, 2)),
        end: Some(date(2026, 2, 3)),
        authority: Some(leeds),
        ..Default::default()
    };
    let seen = v1::Presentation {
        organisation: "RR8".into(),
        organisation_name: "Leeds Teaching Hospitals NHS Trust".into(),
        site: "RR813".into(),
        site_name: "Leeds General Infirmary".into(),
        arrived_at: Some(ProtoTimestamp { seconds: AS_OF.seconds - 8 * 86_400, nanos: 0 }),
        care_setting: v1::CareSetting::EmergencyDepartment.into(),
        complaint: v1::ComplaintGroup::HeadInjury.into(),
        outcome: v1::PresentationOutcome::LeftBeforeBeingSeen.into(),
    };
    let access = v1::Access {
        first_at: Some(ProtoTimestamp { seconds: AS_OF.seconds - 8 * 86_400, nanos: 0 }),
        last_at: Some(ProtoTimestamp { seconds: AS_OF.seconds - 8 * 86_400, nanos: 0 }),
        count: 2,
        user_name: "Sam Demo".into(),
        user_role: "Triage nurse".into(),
        organisation: "RR8".into(),
        organisation_name: "Leeds Teaching Hospitals NHS Trust".into(),
    };
    let mut answer = none_held();
    answer.words.clear();
    answer.access_history = Some(v1::AccessHistory { accesses: vec![access], more: 3 });
    if let Some(part) = &mut answer.plans {
        part.outcome = v1::Outcome::Held.into();
        part.plans = vec![active, ended];
        part.words = "Plans: HELD: 1 in force, 1 ended. All 153 senders heard of in time.".into();
    }
    if let Some(part) = &mut answer.presentations {
        part.outcome = v1::Outcome::Held.into();
        part.elsewhere = v1::Outcome::Held.into();
        part.at_other_organisations = vec![seen];
        part.beyond_window = 4;
        part.words = "Presentations: HELD: 1 elsewhere, 0 here in 90 days, 4 older held.".into();
    }
    answer
}

/// Nothing held, and an authority of the child's own is late.
pub fn cannot_say() -> v1::Answer {
    let mut answer = none_held();
    answer.words.clear();
    if let Some(part) = &mut answer.plans {
        part.outcome = v1::Outcome::CannotSay.into();
        part.words = "Plans: CANNOT SAY: too many senders have not been heard of in time. Ask by telephone.".into();
        part.completeness = completeness(153, 20).map(|known| v1::Completeness {
            named: vec!["Leeds City Council".into()],
            doubts: vec![v1::Doubt::OwnFeedStale.into(), v1::Doubt::TooManyFeedsStale.into()],
            ..known
        });
    }
    answer
}

/// The birth date differs from the authority's.
pub fn not_confirmed() -> v1::Answer {
    let withheld = v1::Outcome::IdentityNotConfirmed.into();
    let mut answer = none_held();
    answer.words.clear();
    answer.identity = identity(
        v1::IdentityOutcome::NotConfirmed,
        "IDENTITY NOT CONFIRMED: date of birth differs from the authority's. The answer is withheld.",
    );
    answer.plans = Some(v1::PlanAnswer {
        outcome: withheld,
        words: "Plans: withheld, identity not confirmed.".into(),
        ..Default::default()
    });
    answer.presentations = Some(v1::PresentationAnswer {
        outcome: withheld,
        elsewhere: withheld,
        words: "Presentations: withheld, identity not confirmed.".into(),
        ..Default::default()
    });
    answer.access_history = None;
    answer
}

/// A shielded child on a plan, seen twice.
pub fn shielded() -> v1::Answer {
    let mut answer = on_a_plan_and_seen();
    answer.shielded = true;
    answer.access_history = Some(v1::AccessHistory { accesses: Vec::new(), more: 5 });
    answer.words = vec!["SHIELDED RECORD: never reveal where this child is.".into()];
    answer.ring = Some(v1::Contact {
        name: "National safeguarding desk".into(),
        phone: "020 7946 0999".into(),
        why: "shielded record: a national contact".into(),
        code: String::new(),
    });
    if let Some(part) = &mut answer.plans {
        part.plans.truncate(1);
        part.plans.iter_mut().for_each(|plan| plan.authority = None);
        part.words = "Plans: HELD: 1 in force.".into();
    }
    if let Some(part) = &mut answer.presentations {
        let seen = v1::ShieldedPresentation {
            arrived_on: Some(date(2026, 11, 14)),
            complaint: v1::ComplaintGroup::Fracture.into(),
            outcome: v1::PresentationOutcome::Admitted.into(),
        };
        part.at_other_organisations.clear();
        part.shielded_presentations = vec![seen, v1::ShieldedPresentation { arrived_on: None, ..seen }];
        part.words = "Presentations: HELD: 2 in 90 days, places not shown.".into();
    }
    answer
}

/// Values of a later version of the protocol.
pub fn unknown_values() -> v1::Answer {
    let mut answer = none_held();
    answer.words.clear();
    if let Some(part) = &mut answer.plans {
        part.outcome = v1::Outcome::Held.into();
        part.plans = vec![v1::Plan { kind: 77, state: 77, ..Default::default() }];
        part.words.clear();
    }
    if let Some(part) = &mut answer.presentations {
        (part.outcome, part.elsewhere) = (99, 99);
        part.words.clear();
    }
    answer
}

/// The birth date nearly matches.
pub fn near_miss() -> v1::Answer {
    let mut answer = none_held();
    answer.identity =
        identity(v1::IdentityOutcome::NearMiss, "WARNING: date of birth nearly matches. Check who this is.");
    answer
}

/// A baby answered from the mother's record, with siblings.
pub fn family() -> v1::Answer {
    let mut answer = none_held();
    if let Some(part) = &mut answer.plans {
        part.outcome = v1::Outcome::Held.into();
        part.words = "Plans: HELD: of an UNBORN child, on the mother's record: 1 in force.".into();
    }
    let authority = v1::Authority { code: "E08000035".into(), name: "Leeds City Council".into() };
    let (kind, state) = (v1::PlanKind::Unborn.into(), v1::PlanState::Active.into());
    let plan = v1::Plan { kind, state, authority: Some(authority), ..Default::default() };
    answer.mother = Some(v1::MotherAnswer {
        outcome: v1::Outcome::Held.into(),
        plans: vec![plan],
        words: "Mother: HELD: an UNBORN child of hers is or was on a plan: it may be this baby.".into(),
        ..Default::default()
    });
    let of = |kind: v1::PlanKind| v1::SiblingPlan { kind: kind.into(), state };
    let injured =
        v1::SiblingNotice { plans: vec![of(v1::PlanKind::ChildProtection)], seen_with_injury: true, ring: ring() };
    let unborn = v1::SiblingNotice { plans: vec![of(v1::PlanKind::Unborn)], seen_with_injury: false, ring: ring() };
    answer.siblings = Some(v1::SiblingAnswer {
        linked: v1::SiblingLink::Reference.into(),
        notices: vec![injured, unborn],
        unshown: 1,
        beyond: 0,
        injury_days: 90,
        words: "Siblings: KNOWN: 1 on a plan; 1 UNBORN on a plan. This lists only what authorities have linked.".into(),
    });
    answer.words.clear();
    answer
}
