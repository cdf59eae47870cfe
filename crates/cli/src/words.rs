//! The protocol's closed lists as people read and write them. A value that is not known is said to be unknown: an
//! outcome as "could not ask", a plan kind as "held, kind unknown".

use kith_api::v1;

/// A word of a closed list that a person or a file writes.
pub struct Words<T: 'static>(&'static [(&'static str, T)]);

impl<T: Copy + PartialEq> Words<T> {
    /// The value of a word.
    ///
    /// # Errors
    /// Words that list what was expected; they do not repeat the text.
    pub fn read(&self, word: &str) -> Result<T, String> {
        let found = self.0.iter().find(|(name, _)| *name == word);
        found.map(|(_, value)| *value).ok_or_else(|| format!("expected one of {}", self.all().join(", ")))
    }

    /// Every word.
    pub fn all(&self) -> Vec<&'static str> {
        self.0.iter().map(|(word, _)| *word).collect()
    }

    /// The word of a value.
    pub fn word(&self, value: T) -> Option<&'static str> {
        self.0.iter().find(|(_, known)| *known == value).map(|(word, _)| *word)
    }

    /// The word of a value, with spaces for dashes.
    fn spoken(&self, value: T) -> Option<String> {
        self.word(value).map(|word| word.replace('-', " "))
    }
}

/// Purposes.
pub const PURPOSES: Words<v1::Purpose> = Words(&[
    ("direct-care", v1::Purpose::DirectCare),
    ("child-protection-enquiry", v1::Purpose::ChildProtectionEnquiry),
    ("safeguarding-review", v1::Purpose::SafeguardingReview),
    ("record-keeping", v1::Purpose::RecordKeeping),
]);

/// Kinds of flags about people's use.
pub const FLAG_KINDS: Words<v1::FlagKind> = Words(&[
    ("volume", v1::FlagKind::Volume),
    ("number-walk", v1::FlagKind::NumberWalk),
    ("few-held", v1::FlagKind::FewHeld),
    ("same-child", v1::FlagKind::SameChild),
    ("no-presentation", v1::FlagKind::NoPresentation),
]);

/// What a person found who looked into a flag.
pub const FLAG_OUTCOMES: Words<v1::FlagOutcome> =
    Words(&[("explained", v1::FlagOutcome::Explained), ("taken-further", v1::FlagOutcome::TakenFurther)]);

/// Care settings.
pub const CARE_SETTINGS: Words<v1::CareSetting> = Words(&[
    ("emergency-department", v1::CareSetting::EmergencyDepartment),
    ("walk-in-centre", v1::CareSetting::WalkInCentre),
    ("minor-injuries-unit", v1::CareSetting::MinorInjuriesUnit),
    ("urgent-treatment-centre", v1::CareSetting::UrgentTreatmentCentre),
    ("ambulance", v1::CareSetting::Ambulance),
    ("out-of-hours", v1::CareSetting::OutOfHours),
]);

/// Complaint groups.
pub const COMPLAINTS: Words<v1::ComplaintGroup> = Words(&[
    ("injury", v1::ComplaintGroup::Injury),
    ("head-injury", v1::ComplaintGroup::HeadInjury),
    ("burn-or-scald", v1::ComplaintGroup::BurnOrScald),
    ("poisoning-or-ingestion", v1::ComplaintGroup::PoisoningOrIngestion),
    ("fracture", v1::ComplaintGroup::Fracture),
    ("bite", v1::ComplaintGroup::Bite),
    ("self-harm", v1::ComplaintGroup::SelfHarm),
    ("mental-health", v1::ComplaintGroup::MentalHealth),
    ("alcohol-or-drugs", v1::ComplaintGroup::AlcoholOrDrugs),
    ("sexual-health", v1::ComplaintGroup::SexualHealth),
    ("illness", v1::ComplaintGroup::Illness),
    ("other", v1::ComplaintGroup::Other),
    ("not-recorded", v1::ComplaintGroup::NotRecorded),
]);

/// Outcomes of presentations.
pub const PRESENTATION_OUTCOMES: Words<v1::PresentationOutcome> = Words(&[
    ("waiting", v1::PresentationOutcome::Waiting),
    ("discharged", v1::PresentationOutcome::Discharged),
    ("admitted", v1::PresentationOutcome::Admitted),
    ("transferred", v1::PresentationOutcome::Transferred),
    ("left-before-being-seen", v1::PresentationOutcome::LeftBeforeBeingSeen),
    ("left-against-advice", v1::PresentationOutcome::LeftAgainstAdvice),
    ("discharged-with-concerns-recorded", v1::PresentationOutcome::DischargedWithConcernsRecorded),
    ("died", v1::PresentationOutcome::Died),
    ("entered-in-error", v1::PresentationOutcome::EnteredInError),
]);

/// Kinds of plan.
pub const PLAN_KINDS: Words<v1::PlanKind> = Words(&[
    ("cpp", v1::PlanKind::ChildProtection),
    ("lac", v1::PlanKind::LookedAfter),
    ("ucpp", v1::PlanKind::Unborn),
]);

/// Changes of identity.
pub const IDENTITY_ACTIONS: Words<v1::IdentityAction> = Words(&[
    ("superseded", v1::IdentityAction::Superseded),
    ("number-assigned", v1::IdentityAction::NumberAssigned),
    ("link-undone", v1::IdentityAction::LinkUndone),
    ("invalidated", v1::IdentityAction::Invalidated),
    ("adopted", v1::IdentityAction::Adopted),
    ("reinstated", v1::IdentityAction::Reinstated),
    ("birth-date", v1::IdentityAction::BirthDate),
    ("died", v1::IdentityAction::Died),
    ("death-undone", v1::IdentityAction::DeathUndone),
    ("shielded", v1::IdentityAction::Shielded),
    ("unshielded", v1::IdentityAction::Unshielded),
]);

/// Why somebody asked, as read in the audit.
pub fn purpose(purpose: i32) -> String {
    let known = v1::Purpose::try_from(purpose).ok().and_then(|purpose| PURPOSES.spoken(purpose));
    known.unwrap_or_else(|| "purpose unknown".to_owned())
}

/// Planned or unplanned care, as read in the audit; nothing where there was no question.
pub fn care_context(context: i32) -> &'static str {
    match v1::CareContext::try_from(context) {
        Ok(v1::CareContext::Unscheduled) => ", unscheduled",
        Ok(v1::CareContext::Scheduled) => ", scheduled",
        Ok(v1::CareContext::Unspecified) => "",
        Err(_) => ", context unknown",
    }
}
/// Why a shielded record is opened.
pub const OPENING_REASONS: Words<v1::OpeningReason> = Words(&[
    ("immediate-danger", v1::OpeningReason::ImmediateDanger),
    ("protection-enquiry", v1::OpeningReason::ProtectionEnquiry),
    ("missing-child", v1::OpeningReason::MissingChild),
    ("court-order", v1::OpeningReason::CourtOrder),
]);

/// Why an authority withholds.
pub const WITHHOLDING_REASONS: Words<v1::WithholdingReason> = Words(&[
    ("harm-to-child", v1::WithholdingReason::HarmToChild),
    ("harm-to-other", v1::WithholdingReason::HarmToOther),
    ("investigation", v1::WithholdingReason::Investigation),
    ("court-order", v1::WithholdingReason::CourtOrder),
]);

/// What a review of an opening has found.
pub const REVIEW_OUTCOMES: Words<v1::ReviewOutcome> = Words(&[
    ("justified", v1::ReviewOutcome::Justified),
    ("not-justified", v1::ReviewOutcome::NotJustified),
    ("taken-further", v1::ReviewOutcome::TakenFurther),
]);

/// What became of a proposal.
pub fn proposal_state(state: i32) -> &'static str {
    match v1::ProposalState::try_from(state) {
        Ok(v1::ProposalState::Open) => "waits to be looked at",
        Ok(v1::ProposalState::Followed) => "followed",
        Ok(v1::ProposalState::NotFollowed) => "not followed",
        Ok(v1::ProposalState::Unspecified) | Err(_) => "state unknown to this program",
    }
}

/// A plan's kind, as read in an answer.
pub fn plan_kind(kind: i32) -> &'static str {
    match v1::PlanKind::try_from(kind) {
        Ok(v1::PlanKind::ChildProtection) => "Child protection plan",
        Ok(v1::PlanKind::LookedAfter) => "Looked-after child",
        Ok(v1::PlanKind::Unborn) => "Unborn child subject to a plan (mother's record)",
        Ok(v1::PlanKind::Unspecified) | Err(_) => "Plan held, kind unknown to this program",
    }
}

/// A care setting, as read in an answer.
pub fn care_setting(setting: i32) -> String {
    let known = v1::CareSetting::try_from(setting).ok().and_then(|setting| CARE_SETTINGS.spoken(setting));
    known.unwrap_or_else(|| "setting unknown".to_owned())
}

/// A complaint group, as read in an answer.
pub fn complaint(group: i32) -> String {
    let known = v1::ComplaintGroup::try_from(group).ok().and_then(|group| COMPLAINTS.spoken(group));
    match known.as_deref() {
        Some("not recorded") => "complaint not recorded".to_owned(),
        Some("other") => "other complaint".to_owned(),
        Some(_) => known.unwrap_or_default(),
        None => "complaint unknown".to_owned(),
    }
}

/// How a presentation ended, as read in an answer; what needs a second look is in capitals.
pub fn presentation_outcome(outcome: i32) -> String {
    use v1::PresentationOutcome as Outcome;
    let Ok(outcome) = Outcome::try_from(outcome) else { return "outcome unknown".to_owned() };
    let spoken = PRESENTATION_OUTCOMES.spoken(outcome);
    match outcome {
        Outcome::LeftBeforeBeingSeen
        | Outcome::LeftAgainstAdvice
        | Outcome::DischargedWithConcernsRecorded
        | Outcome::Died => spoken.unwrap_or_default().to_uppercase(),
        Outcome::Unspecified => "outcome not given".to_owned(),
        Outcome::Waiting | Outcome::Discharged | Outcome::Admitted | Outcome::Transferred | Outcome::EnteredInError => {
            spoken.unwrap_or_default()
        }
    }
}

/// State of a feed; one that this program does not know counts as late.
pub fn feed_state(state: i32) -> &'static str {
    match v1::FeedState::try_from(state) {
        Ok(v1::FeedState::Fresh) => "in time",
        Ok(v1::FeedState::Stale) => "LATE",
        Ok(v1::FeedState::Absent) => "NEVER HEARD OF",
        Ok(v1::FeedState::Thin) => "FAR BELOW USUAL",
        Ok(v1::FeedState::Unspecified) | Err(_) => "LATE (state unknown)",
    }
}

/// Why the service cannot say.
pub fn doubt(doubt: i32) -> &'static str {
    match v1::Doubt::try_from(doubt) {
        Ok(v1::Doubt::OwnFeedStale) => "a sender that this child's own record points to is late or was never heard of",
        Ok(v1::Doubt::ClockDoubtful) => {
            "the service's clock is in doubt, and by it what is held has passed its retention"
        }
        Ok(v1::Doubt::OwnFeedThin) => "a sender that this child's own record points to sends far less than usual",
        Ok(v1::Doubt::TooManyFeedsStale) => {
            "too many senders are late, send far less than usual or were never heard of"
        }
        Ok(v1::Doubt::MotherNumberInvalid) => "the mother's NHS number is not valid any more and could not be used",
        Ok(v1::Doubt::NoNhsNumber) => "there is no NHS number to ask by",
        Ok(v1::Doubt::Unspecified) | Err(_) => "for a reason that this program does not know",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn unknown_values_are_said_to_be_unknown() {
        for odd in [0, 99, -1] {
            assert_eq!(plan_kind(odd), "Plan held, kind unknown to this program");
            assert_eq!(care_setting(odd), "setting unknown");
            assert_eq!(complaint(odd), "complaint unknown");
            assert!(doubt(odd).contains("does not know"));
            assert_eq!(purpose(odd), "purpose unknown");
        }
        assert_eq!(presentation_outcome(99), "outcome unknown");
        assert_eq!(presentation_outcome(0), "outcome not given");
    }

    #[test]
    fn every_value_of_the_protocol_has_a_word() {
        for number in 1..=6 {
            assert_ne!(care_setting(number), "setting unknown");
        }
        for number in 1..=13 {
            assert_ne!(complaint(number), "complaint unknown");
        }
        for number in 1..=9 {
            assert!(!presentation_outcome(number).is_empty(), "{number}");
        }
        for number in 1..=11 {
            assert!(v1::IdentityAction::try_from(number).is_ok_and(|action| IDENTITY_ACTIONS.word(action).is_some()));
        }
        for number in 1..=4 {
            assert!(v1::OpeningReason::try_from(number).is_ok_and(|reason| OPENING_REASONS.word(reason).is_some()));
        }
        for number in 1..=3 {
            assert!(v1::ReviewOutcome::try_from(number).is_ok_and(|found| REVIEW_OUTCOMES.word(found).is_some()));
        }
        for number in 1..=4 {
            assert!(v1::Purpose::try_from(number).is_ok_and(|purpose| PURPOSES.spoken(purpose).is_some()));
        }
    }

    #[test]
    fn a_word_is_read_and_a_wrong_one_lists_what_was_expected() {
        assert_eq!(PLAN_KINDS.read("lac"), Ok(v1::PlanKind::LookedAfter));
        assert_eq!(PLAN_KINDS.read("LAC"), Err("expected one of cpp, lac, ucpp".to_owned()));
    }
}
