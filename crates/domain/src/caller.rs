//! Who calls: the peer that a certificate proves, and the named person behind a request.

use crate::codes::OdsCode;
use crate::text::{PersonText, RoleCode, UserId};
use serde::{Deserialize, Serialize};
use std::fmt;

/// Role of an organisation, from its certificate.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum Role {
    /// An emergency department or another unscheduled-care setting.
    Ed,
    /// Planned care.
    ScheduledCare,
    /// A local authority's children's services.
    LocalAuthority,
    /// The demographics service.
    Demographics,
    /// A safeguarding team.
    Safeguarding,
    /// The broker who resolves references of shielded children.
    Broker,
    /// An auditor.
    Auditor,
    /// Operations. Sees no child.
    Ops,
    /// An audit witness.
    Witness,
}

impl Role {
    /// Every role with its word in certificates.
    pub const WORDS: [(Self, &'static str); 9] = [
        (Self::Ed, Self::Ed.word()),
        (Self::ScheduledCare, Self::ScheduledCare.word()),
        (Self::LocalAuthority, Self::LocalAuthority.word()),
        (Self::Demographics, Self::Demographics.word()),
        (Self::Safeguarding, Self::Safeguarding.word()),
        (Self::Broker, Self::Broker.word()),
        (Self::Auditor, Self::Auditor.word()),
        (Self::Ops, Self::Ops.word()),
        (Self::Witness, Self::Witness.word()),
    ];

    /// Its word in certificates.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::Ed => "ed",
            Self::ScheduledCare => "scheduled-care",
            Self::LocalAuthority => "local-authority",
            Self::Demographics => "demographics",
            Self::Safeguarding => "safeguarding",
            Self::Broker => "broker",
            Self::Auditor => "auditor",
            Self::Ops => "ops",
            Self::Witness => "witness",
        }
    }

    /// The role of a word in a certificate; `None` for any other word.
    #[must_use]
    pub fn parse(word: &str) -> Option<Self> {
        Self::WORDS.iter().find(|(_, known)| *known == word).map(|(role, _)| *role)
    }
}

impl fmt::Display for Role {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.word())
    }
}

/// What a client certificate proves.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Peer {
    /// The organisation's code.
    pub organisation: OdsCode,
    /// Its role.
    pub role: Role,
}

/// Why a person asks. A closed list.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Purpose {
    /// Caring for the child now.
    DirectCare,
    /// A section 47 or similar enquiry.
    ChildProtectionEnquiry,
    /// A safeguarding team's review of attendances.
    SafeguardingReview,
    /// Sending and correcting records.
    RecordKeeping,
}

impl Purpose {
    /// Every purpose with its word.
    pub const WORDS: [(Self, &'static str); 4] = [
        (Self::DirectCare, Self::DirectCare.word()),
        (Self::ChildProtectionEnquiry, Self::ChildProtectionEnquiry.word()),
        (Self::SafeguardingReview, Self::SafeguardingReview.word()),
        (Self::RecordKeeping, Self::RecordKeeping.word()),
    ];

    /// Its word.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::DirectCare => "direct-care",
            Self::ChildProtectionEnquiry => "child-protection-enquiry",
            Self::SafeguardingReview => "safeguarding-review",
            Self::RecordKeeping => "record-keeping",
        }
    }

    /// The purpose of a word; `None` for any other word.
    #[must_use]
    pub fn parse(word: &str) -> Option<Self> {
        Self::WORDS.iter().find(|(_, known)| *known == word).map(|(purpose, _)| *purpose)
    }
}

/// Planned or unplanned care. Absent counts as unscheduled: fail towards notifying.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub enum CareContext {
    /// Emergency, walk-in, ambulance, out of hours and the like.
    #[default]
    Unscheduled,
    /// Planned care: a silent read, still audited.
    Scheduled,
}

impl CareContext {
    /// Every context with its word.
    pub const WORDS: [(Self, &'static str); 2] = [(Self::Unscheduled, "unscheduled"), (Self::Scheduled, "scheduled")];

    /// The context of a word; `None` for any other word.
    #[must_use]
    pub fn parse(word: &str) -> Option<Self> {
        Self::WORDS.iter().find(|(_, known)| *known == word).map(|(context, _)| *context)
    }
}

/// The named person behind a request.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Caller {
    /// Their identifier in the organisation.
    pub user_id: UserId,
    /// Their name.
    pub user_name: PersonText,
    /// Their role.
    pub user_role: PersonText,
    /// Why they ask.
    pub purpose: Purpose,
    /// The organisation the request names; it must be the certificate's.
    pub organisation: OdsCode,
    /// The code of their job role.
    pub role_code: RoleCode,
}
