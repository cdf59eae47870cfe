//! Closed lists on the wire and in the domain, one table each.

use super::fault::Faults;
use crate::v1;
use kith_domain::answer::Doubt;
use kith_domain::caller::{CareContext, Purpose};
use kith_domain::feed::FeedState;
use kith_domain::fields::Field;
use kith_domain::fold::Effect;
use kith_domain::identity::IdentityCheck;
use kith_domain::opening::{OpeningReason, ReviewOutcome};
use kith_domain::plan::{PlanKind, PlanState};
use kith_domain::presentation::{CareSetting, Complaint, Outcome};
use kith_domain::withholding::WithholdingReason;

macro_rules! both_ways {
    ($parse:ident, $wire:ident, $domain:ident, $proto:ident, $unset:ident, $reason:literal, $words:literal, [$($name:ident => $pname:ident),+ $(,)?]) => {
        /// Parses the wire's value; an absent or unknown one is a fault.
        pub(super) fn $parse(faults: &mut Faults, field: &str, value: i32) -> Option<$domain> {
            match v1::$proto::try_from(value) {
                $(Ok(v1::$proto::$pname) => Some($domain::$name),)+
                Ok(v1::$proto::$unset) | Err(_) => {
                    faults.add(field, $reason, $words);
                    None
                }
            }
        }

        /// The wire's value.
        #[must_use]
        pub fn $wire(value: $domain) -> v1::$proto {
            match value {
                $($domain::$name => v1::$proto::$pname,)+
            }
        }
    };
}

both_ways!(parse_kind, kind, PlanKind, PlanKind, Unspecified, "UNKNOWN_PLAN_KIND", "a kind of plan of the list is needed", [
    ChildProtection => ChildProtection, LookedAfter => LookedAfter, Unborn => Unborn,
]);
both_ways!(parse_setting, setting, CareSetting, CareSetting, Unspecified, "UNKNOWN_CARE_SETTING", "a care setting of the list is needed", [
    EmergencyDepartment => EmergencyDepartment, WalkInCentre => WalkInCentre, MinorInjuriesUnit => MinorInjuriesUnit,
    UrgentTreatmentCentre => UrgentTreatmentCentre, Ambulance => Ambulance, OutOfHours => OutOfHours,
]);
both_ways!(parse_complaint, complaint, Complaint, ComplaintGroup, Unspecified, "UNKNOWN_COMPLAINT", "a complaint group of the list is needed", [
    Injury => Injury, HeadInjury => HeadInjury, BurnOrScald => BurnOrScald,
    PoisoningOrIngestion => PoisoningOrIngestion, Fracture => Fracture, Bite => Bite, SelfHarm => SelfHarm,
    MentalHealth => MentalHealth, AlcoholOrDrugs => AlcoholOrDrugs, SexualHealth => SexualHealth, Illness => Illness,
    Other => Other, NotRecorded => NotRecorded,
]);
both_ways!(parse_outcome, outcome, Outcome, PresentationOutcome, Unspecified, "UNKNOWN_OUTCOME", "an outcome of the list is needed", [
    Waiting => Waiting, Discharged => Discharged, Admitted => Admitted, Transferred => Transferred,
    LeftBeforeBeingSeen => LeftBeforeBeingSeen, LeftAgainstAdvice => LeftAgainstAdvice,
    DischargedWithConcernsRecorded => DischargedWithConcernsRecorded, Died => Died, EnteredInError => EnteredInError,
]);
both_ways!(parse_opening_reason, opening_reason, OpeningReason, OpeningReason, Unspecified, "UNKNOWN_OPENING_REASON", "a reason of the list is needed", [
    ImmediateDanger => ImmediateDanger, ProtectionEnquiry => ProtectionEnquiry, MissingChild => MissingChild,
    CourtOrder => CourtOrder,
]);
both_ways!(parse_review_outcome, review_outcome, ReviewOutcome, ReviewOutcome, Unspecified, "UNKNOWN_REVIEW_OUTCOME", "an outcome of the list is needed", [
    Justified => Justified, NotJustified => NotJustified, TakenFurther => TakenFurther,
]);
both_ways!(parse_withholding_reason, withholding_reason, WithholdingReason, WithholdingReason, Unspecified, "UNKNOWN_WITHHOLDING_REASON", "a reason of the list is needed", [
    HarmToChild => HarmToChild, HarmToOther => HarmToOther, Investigation => Investigation, CourtOrder => CourtOrder,
]);

/// Why a person asks.
#[must_use]
pub fn purpose(purpose: Purpose) -> v1::Purpose {
    match purpose {
        Purpose::DirectCare => v1::Purpose::DirectCare,
        Purpose::ChildProtectionEnquiry => v1::Purpose::ChildProtectionEnquiry,
        Purpose::SafeguardingReview => v1::Purpose::SafeguardingReview,
        Purpose::RecordKeeping => v1::Purpose::RecordKeeping,
    }
}

/// Planned or unplanned care.
#[must_use]
pub fn care_context(context: CareContext) -> v1::CareContext {
    match context {
        CareContext::Unscheduled => v1::CareContext::Unscheduled,
        CareContext::Scheduled => v1::CareContext::Scheduled,
    }
}

/// State of a plan.
#[must_use]
pub fn plan_state(state: PlanState) -> v1::PlanState {
    match state {
        PlanState::Active => v1::PlanState::Active,
        PlanState::Future => v1::PlanState::Future,
        PlanState::Ended => v1::PlanState::Ended,
    }
}

/// Outcome of the identity check.
#[must_use]
pub fn identity(check: IdentityCheck) -> v1::IdentityOutcome {
    match check {
        IdentityCheck::Matched => v1::IdentityOutcome::Matched,
        IdentityCheck::NotGiven => v1::IdentityOutcome::NotGiven,
        IdentityCheck::NothingToCompare => v1::IdentityOutcome::NothingToCompare,
        IdentityCheck::NearMiss => v1::IdentityOutcome::NearMiss,
        IdentityCheck::DiffersFromPresentation => v1::IdentityOutcome::DiffersFromPresentation,
        IdentityCheck::NotConfirmed => v1::IdentityOutcome::NotConfirmed,
        IdentityCheck::NumberInvalid => v1::IdentityOutcome::NumberInvalid,
    }
}

/// A doubt.
#[must_use]
pub fn doubt(doubt: Doubt) -> v1::Doubt {
    match doubt {
        Doubt::OwnFeedStale => v1::Doubt::OwnFeedStale,
        Doubt::TooManyFeedsStale => v1::Doubt::TooManyFeedsStale,
        Doubt::MotherNumberInvalid => v1::Doubt::MotherNumberInvalid,
        Doubt::NoNhsNumber => v1::Doubt::NoNhsNumber,
        Doubt::OwnFeedThin => v1::Doubt::OwnFeedThin,
        Doubt::ClockDoubtful => v1::Doubt::ClockDoubtful,
    }
}

/// What a change did.
#[must_use]
pub fn effect(effect: Effect) -> v1::Effect {
    match effect {
        Effect::Applied => v1::Effect::Applied,
        Effect::Overtaken => v1::Effect::Overtaken,
        Effect::Kept => v1::Effect::Kept,
    }
}

/// State of a feed.
#[must_use]
pub fn feed_state(state: FeedState) -> v1::FeedState {
    match state {
        FeedState::Fresh => v1::FeedState::Fresh,
        FeedState::Stale => v1::FeedState::Stale,
        FeedState::Absent => v1::FeedState::Absent,
        FeedState::Thin => v1::FeedState::Thin,
    }
}

/// A part of an answer that a policy may leave out.
#[must_use]
pub fn field(field: Field) -> v1::AnswerField {
    match field {
        Field::VisitPlaces => v1::AnswerField::VisitPlaces,
        Field::History => v1::AnswerField::History,
        Field::Siblings => v1::AnswerField::Siblings,
        Field::Mother => v1::AnswerField::Mother,
        Field::Numbers => v1::AnswerField::Numbers,
        Field::NamedFeeds => v1::AnswerField::NamedFeeds,
    }
}
