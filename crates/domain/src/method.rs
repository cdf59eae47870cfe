//! Every call of the service by name. A test beside the services holds the list against what the protocol describes, so no
//! call can be added that the policy does not know.

use crate::caller::{CareContext, Purpose, Role};
use serde::{Deserialize, Serialize};

/// One call of the service. The numbers stand in the audit: new ones are added at the end.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[repr(u8)]
pub enum Method {
    /// Asks about one person.
    Lookup,
    /// Records a presentation and asks.
    CheckIn,
    /// Asks about a worklist.
    LookupMany,
    /// Records a presentation.
    Record,
    /// Amends one.
    Amend,
    /// Tells how one ended.
    Close,
    /// Sends presentations in bulk.
    Import,
    /// Sends events of plans.
    SubmitEvents,
    /// Sends a plan file.
    SubmitPlanFile,
    /// Asks which file of an authority comes next.
    GetFilePosition,
    /// Sets which file of an authority comes next.
    ResetFilePosition,
    /// Lists an authority's notifications.
    ListNotifications,
    /// Acknowledges them.
    AcknowledgeNotifications,
    /// Tells who a number is.
    TellIdentity,
    /// Proposes it.
    ProposeIdentity,
    /// Lists proposals: the demographics service all of them, a proposer its own.
    ListProposals,
    /// Declines one.
    DeclineProposal,
    /// Asks for the state of the service, without any child.
    GetStatus,
    /// Asks for the health of feeds: operations of all, a sender of its own.
    ListFeeds,
    /// Fetches the newest signed head of the audit.
    GetCheckpoint,
    /// Fetches a proof between two heads.
    GetConsistencyProof,
    /// Brings a cosignature of a head.
    AddCosignature,
    /// Has an entry of the audit proven: an auditor any, who asks its own organisation's.
    GetInclusionProof,
    /// Lists an authority's own plans.
    ListOwnPlans,
    /// Searches the audit.
    SearchAudit,
    /// Asks who looked up a child: an auditor of any, an authority of those that it holds a plan of, a safeguarding team among its
    /// own organisation's people.
    WhoLooked,
    /// Asks about one person, and opens a shielded record for this one viewing.
    OpenShielded,
    /// Lists openings that nobody has reviewed: an auditor all of them, a privacy officer its own organisation's.
    ListOpenings,
    /// Tells what a review of an opening has found.
    ReviewOpening,
    /// Lists flags about people's use: a safeguarding team its own organisation's, an auditor all.
    ListFlags,
    /// Tells what became of one.
    ReviewFlag,
    /// Asks how many flags there were for how many questions.
    GetFlagRates,
    /// Decides to withhold what an authority holds of a child.
    DecideWithholding,
    /// Lifts such a decision of the authority's own.
    LiftWithholding,
    /// Lists an authority's own decisions.
    ListWithholdings,
    /// Finds what the reference of an answer about a shielded child leads to.
    ResolveReference,
}

/// The roles that ask about children.
const ASKERS: &[Role] = &[Role::Ed, Role::ScheduledCare, Role::Safeguarding];

impl Method {
    /// Every method with its word: service and call as the protocol names them.
    pub const WORDS: [(Self, &'static str); 36] = [
        (Self::Lookup, "LookupService/Lookup"),
        (Self::CheckIn, "LookupService/CheckIn"),
        (Self::LookupMany, "LookupService/LookupMany"),
        (Self::Record, "PresentationService/Record"),
        (Self::Amend, "PresentationService/Amend"),
        (Self::Close, "PresentationService/Close"),
        (Self::Import, "PresentationService/Import"),
        (Self::SubmitEvents, "PlanService/SubmitEvents"),
        (Self::SubmitPlanFile, "PlanFileService/SubmitPlanFile"),
        (Self::GetFilePosition, "PlanFileService/GetFilePosition"),
        (Self::ResetFilePosition, "PlanFileService/ResetFilePosition"),
        (Self::ListNotifications, "NotificationService/List"),
        (Self::AcknowledgeNotifications, "NotificationService/Acknowledge"),
        (Self::TellIdentity, "IdentityService/TellIdentity"),
        (Self::ProposeIdentity, "IdentityService/ProposeIdentity"),
        (Self::ListProposals, "IdentityService/ListProposals"),
        (Self::DeclineProposal, "IdentityService/DeclineProposal"),
        (Self::GetStatus, "StatusService/GetStatus"),
        (Self::ListFeeds, "StatusService/ListFeeds"),
        (Self::GetCheckpoint, "AuditService/GetCheckpoint"),
        (Self::GetConsistencyProof, "AuditService/GetConsistencyProof"),
        (Self::AddCosignature, "AuditService/AddCosignature"),
        (Self::GetInclusionProof, "AuditService/GetInclusionProof"),
        (Self::ListOwnPlans, "PlanService/ListOwn"),
        (Self::SearchAudit, "AuditService/Search"),
        (Self::WhoLooked, "AuditService/WhoLooked"),
        (Self::OpenShielded, "BreakGlassService/OpenShielded"),
        (Self::ListOpenings, "BreakGlassService/ListOpenings"),
        (Self::ReviewOpening, "BreakGlassService/ReviewOpening"),
        (Self::ListFlags, "FlagService/ListFlags"),
        (Self::ReviewFlag, "FlagService/ReviewFlag"),
        (Self::GetFlagRates, "FlagService/GetFlagRates"),
        (Self::DecideWithholding, "WithholdingService/DecideWithholding"),
        (Self::LiftWithholding, "WithholdingService/LiftWithholding"),
        (Self::ListWithholdings, "WithholdingService/ListWithholdings"),
        (Self::ResolveReference, "BrokerService/ResolveReference"),
    ];

    /// Its word.
    #[must_use]
    pub fn word(self) -> &'static str {
        Self::WORDS[self as usize].1
    }

    /// The method of a word; `None` for any other word.
    #[must_use]
    pub fn parse(word: &str) -> Option<Self> {
        Self::WORDS.iter().find(|(_, known)| *known == word).map(|(method, _)| *method)
    }

    /// Whether it answers with what is held of a child.
    #[must_use]
    pub fn asks(self) -> bool {
        matches!(self, Self::Lookup | Self::CheckIn | Self::LookupMany | Self::OpenShielded)
    }

    /// Whether it shows a shielded record like any other, for one viewing.
    #[must_use]
    pub fn opens(self) -> bool {
        self == Self::OpenShielded
    }

    /// Whether it tells or changes anything of a child. What the audit keeps of those who asked is nothing of the child.
    #[must_use]
    pub fn is_about_a_child(self) -> bool {
        match self {
            Self::Lookup
            | Self::CheckIn
            | Self::LookupMany
            | Self::Record
            | Self::Amend
            | Self::Close
            | Self::Import
            | Self::SubmitEvents
            | Self::SubmitPlanFile
            | Self::ListNotifications
            | Self::AcknowledgeNotifications
            | Self::TellIdentity
            | Self::ProposeIdentity
            | Self::ListProposals
            | Self::DeclineProposal
            | Self::ListOwnPlans
            | Self::OpenShielded
            | Self::DecideWithholding
            | Self::LiftWithholding
            | Self::ListWithholdings
            | Self::ResolveReference => true,
            Self::GetFilePosition
            | Self::ResetFilePosition
            | Self::GetStatus
            | Self::ListFeeds
            | Self::GetCheckpoint
            | Self::GetConsistencyProof
            | Self::AddCosignature
            | Self::GetInclusionProof
            | Self::SearchAudit
            | Self::WhoLooked
            // What waits for a review names no child, and a flag is of who asked.
            | Self::ListOpenings
            | Self::ReviewOpening
            | Self::ListFlags
            | Self::ReviewFlag
            | Self::GetFlagRates => false,
        }
    }

    /// The roles that any policy may grant it to: it has a meaning for no other. Operations, auditors and witnesses are
    /// among those of no call about a child.
    #[must_use]
    pub fn ceiling(self) -> &'static [Role] {
        match self {
            Self::Lookup | Self::LookupMany => ASKERS,
            Self::CheckIn | Self::Record | Self::Amend | Self::Close | Self::Import => &[Role::Ed],
            Self::SubmitEvents
            | Self::SubmitPlanFile
            | Self::GetFilePosition
            | Self::ListNotifications
            | Self::AcknowledgeNotifications
            | Self::ListOwnPlans
            // The law leaves the decision to whoever would share.
            | Self::DecideWithholding
            | Self::LiftWithholding
            | Self::ListWithholdings => &[Role::LocalAuthority],
            // It names the child, and where they were asked about.
            Self::ResolveReference => &[Role::Broker],
            Self::ResetFilePosition => &[Role::Ops],
            Self::TellIdentity | Self::DeclineProposal => &[Role::Demographics],
            Self::ProposeIdentity => &[Role::Ed, Role::LocalAuthority],
            Self::ListProposals => &[Role::Demographics, Role::Ed, Role::LocalAuthority],
            Self::GetStatus => &[
                Role::Ed,
                Role::ScheduledCare,
                Role::LocalAuthority,
                Role::Demographics,
                Role::Safeguarding,
                Role::Broker,
                Role::Auditor,
                Role::Ops,
                Role::Witness,
            ],
            Self::ListFeeds => &[Role::Ops, Role::Ed, Role::LocalAuthority],
            Self::GetCheckpoint | Self::GetConsistencyProof => &[Role::Witness, Role::Auditor],
            Self::AddCosignature => &[Role::Witness],
            Self::GetInclusionProof => &[Role::Auditor, Role::Ed, Role::ScheduledCare, Role::Safeguarding],
            Self::SearchAudit => &[Role::Auditor],
            Self::WhoLooked => &[Role::Auditor, Role::LocalAuthority, Role::Safeguarding],
            Self::OpenShielded => &[Role::Safeguarding, Role::Ed],
            Self::ListOpenings => &[Role::Safeguarding, Role::Auditor],
            Self::ReviewOpening => &[Role::Safeguarding],
            Self::ListFlags | Self::ReviewFlag | Self::GetFlagRates => &[Role::Safeguarding, Role::Auditor],
        }
    }

    /// Whether any policy may grant it for this purpose: nobody asks about a child to keep records, and no shielded record is
    /// opened to review attendances.
    #[must_use]
    pub fn may_be_for(self, purpose: Purpose) -> bool {
        match purpose {
            Purpose::DirectCare | Purpose::ChildProtectionEnquiry => true,
            Purpose::SafeguardingReview => !self.opens(),
            Purpose::RecordKeeping => !self.asks(),
        }
    }

    /// Whether any policy may grant it to this role in this context: an emergency department never reads silently, and no
    /// shielded record is opened silently.
    #[must_use]
    pub fn may_be_in(self, role: Role, context: CareContext) -> bool {
        let recorded = self == Self::CheckIn || self.opens() || role == Role::Ed;
        !(recorded && context == CareContext::Scheduled)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_stand_in_the_order_of_the_numbers() {
        for (at, (method, word)) in Method::WORDS.into_iter().enumerate() {
            assert_eq!(method as usize, at);
            assert_eq!((method.word(), Method::parse(word)), (word, Some(method)));
        }
        assert_eq!(Method::parse("LookupService/*"), None);
        assert_eq!(Method::parse(""), None);
    }

    #[test]
    fn a_shielded_record_is_opened_by_few_for_a_child_in_need_and_never_silently() {
        let opens: Vec<_> = Method::WORDS.into_iter().filter(|(method, _)| method.opens()).collect();
        assert_eq!(opens, [(Method::OpenShielded, "BreakGlassService/OpenShielded")]);
        let open = Method::OpenShielded;
        assert!(open.asks() && open.is_about_a_child());
        for (purpose, word) in Purpose::WORDS {
            let for_a_child = matches!(purpose, Purpose::DirectCare | Purpose::ChildProtectionEnquiry);
            assert_eq!(open.may_be_for(purpose), for_a_child, "{word}");
        }
        for (role, _) in Role::WORDS {
            assert_eq!(open.ceiling().contains(&role), matches!(role, Role::Safeguarding | Role::Ed), "{role}");
            assert!(!open.may_be_in(role, CareContext::Scheduled), "{role}");
        }
    }

    #[test]
    fn a_reference_is_resolved_by_a_broker_and_a_broker_does_nothing_else_about_a_child() {
        assert_eq!(Method::ResolveReference.ceiling(), [Role::Broker]);
        assert!(Method::ResolveReference.is_about_a_child() && !Method::ResolveReference.asks());
        for (method, word) in Method::WORDS {
            let theirs = method.is_about_a_child() && method.ceiling().contains(&Role::Broker);
            assert_eq!(theirs, method == Method::ResolveReference, "{word}");
        }
    }

    #[test]
    fn who_runs_checks_or_witnesses_the_service_sees_no_child_whatever_a_policy_says() {
        for (method, word) in Method::WORDS {
            for role in [Role::Ops, Role::Auditor, Role::Witness] {
                assert!(!(method.is_about_a_child() && method.ceiling().contains(&role)), "{role} {word}");
            }
            assert!(method.is_about_a_child() || !method.asks(), "{word}");
        }
    }
}
