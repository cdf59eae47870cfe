//! Rows of the state beside the records themselves, and their encoding: one schema byte, then postcard. The store seals
//! them. Never shown to anyone.

use kith_domain::change::{AuditGap, Proposal};
use kith_domain::child::Subject;
use kith_domain::codes::OdsCode;
use kith_domain::fold::Effect;
use kith_domain::time::{Day, Moment};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use uuid::Uuid;

/// Version of every encoding here. A newer one is refused, never guessed.
const SCHEMA: u8 = 1;

/// Acknowledgement of one change: on disk and visible to readers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Acknowledgement {
    /// The change's event id.
    pub event_id: Uuid,
    /// Position in the log, from 1.
    pub sequence: u64,
    /// When it was taken.
    pub at: Moment,
    /// What it did.
    pub effect: Effect,
    /// Acknowledged before with these values.
    pub repeated: bool,
}

/// An event id that was used, with the keyed hash of its body.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct EventRow {
    pub(crate) body_hash: [u8; 16],
    pub(crate) acknowledgement: Acknowledgement,
}

/// Whose a plan reference or an encounter id is, and which versions it has seen.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct OwnerRow {
    pub(crate) subject: Subject,
    pub(crate) versions: Vec<u64>,
}

/// The sender's own key under which a plan was begun that has gone on under a number since: its shield goes with the plan,
/// under whichever number that is in the end.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct KeyRow {
    pub(crate) subject: Subject,
}

/// A request id that has been counted in a person's access history.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct RequestRow {
    pub(crate) at: Moment,
}

/// That a plan was removed at the end of its retention. It names nobody: its key is a pseudonym of the plan's.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct RemovedPlanRow {
    /// The greatest version taken before.
    pub(crate) version: u64,
    /// When it was removed.
    pub(crate) removed: Day,
}

/// Small facts of the whole state.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, Default)]
pub(crate) struct MetaRow {
    /// Audit entries up to this one have their consequences in the log.
    pub(crate) derived_through: u64,
    /// People with a record, to compare with what is loaded.
    pub(crate) children: u64,
    /// Id of the last notification.
    pub(crate) last_notification: u64,
    /// The last audit gaps, oldest first, with the moment each was found.
    pub(crate) gaps: Vec<(Moment, AuditGap)>,
    /// The latest moment that a sender's event tells of, and not later than it was taken: by it a wrong clock is told.
    pub(crate) told_at: Moment,
    /// Id of the last proposal.
    pub(crate) last_proposal: u64,
    /// Proposals that nobody has looked at yet, by organisation.
    pub(crate) open_proposals: BTreeMap<OdsCode, u32>,
}

/// A proposal and what became of it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct ProposalRow {
    pub(crate) proposal: Proposal,
    pub(crate) at: Moment,
    pub(crate) state: ProposalState,
    pub(crate) closed_at: Option<Moment>,
}

/// What became of a proposal.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum ProposalState {
    /// Nobody has looked at it yet.
    Open,
    /// The demographics service followed it.
    Followed,
    /// It was looked at and not followed.
    NotFollowed,
}

/// A row or record cannot be encoded or decoded.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(crate) enum CodecError {
    #[error("decode a row: schema version {found:?}, expected {SCHEMA}")]
    Schema { found: Option<u8> },
    #[error("decode a row: {0}")]
    Postcard(#[from] postcard::Error),
}

/// Encodes a value.
pub(crate) fn encode<T: Serialize>(value: &T) -> Result<Vec<u8>, CodecError> {
    Ok(postcard::to_extend(value, vec![SCHEMA])?)
}

/// Encodes a value into `buffer`, instead of what that held.
pub(crate) fn encode_into<T: Serialize>(buffer: &mut Vec<u8>, value: &T) -> Result<(), CodecError> {
    buffer.clear();
    buffer.push(SCHEMA);
    postcard::to_io(value, buffer)?;
    Ok(())
}

/// Decodes a value; bytes left over are a fault.
pub(crate) fn decode<T: DeserializeOwned>(bytes: &[u8]) -> Result<T, CodecError> {
    match bytes.split_first() {
        Some((&SCHEMA, rest)) => match postcard::take_from_bytes(rest)? {
            (value, []) => Ok(value),
            (_, _) => Err(CodecError::Postcard(postcard::Error::DeserializeBadEncoding)),
        },
        other => Err(CodecError::Schema { found: other.map(|(version, _)| *version) }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use kith_domain::change::{Change, Heartbeat, IdentityAction, IdentityEvent, LogRecord};
    use kith_domain::links::IdentityFacts;

    #[test]
    fn a_log_record_has_these_bytes() {
        let feed = kith_domain::change::Feed::Presentations(OdsCode::parse("R1H").unwrap());
        let change = Change::Heartbeat(Heartbeat { feed, event_id: Uuid::from_u128(1) });
        let bytes = encode(&LogRecord { at: Moment(1_000), change: change.clone() }).unwrap();
        let expected = [1, 0xd0, 0x0f, 2, 1, 3, b'R', b'1', b'H', 16, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1];
        assert_eq!(bytes, expected);
        assert_eq!(decode::<LogRecord>(&bytes).unwrap().change, change);
        let mut buffer = vec![9; 3];
        encode_into(&mut buffer, &LogRecord { at: Moment(1_000), change }).unwrap();
        assert_eq!(buffer, expected, "nothing is left of what the buffer held");
    }

    fn a_purge(record: &kith_domain::child::ChildRecord) -> kith_domain::change::Purge {
        use kith_domain::change::{Note, NoteRetention, Purge};
        use kith_domain::retention::Retention;
        Purge {
            today: Day::new(2026, 11, 22).unwrap(),
            retention: Retention { presentation_days: 365, plan_months: 12 },
            notes: NoteRetention {
                event_id_days: 400,
                request_id_days: 30,
                acknowledged_days: 90,
                removed_plan_months: 120,
            },
            subjects: vec![record.subject.clone()],
            rows: vec![(Note::RemovedPlan, vec![0xab])],
        }
    }

    fn told(subject: &Subject, at: Moment) -> (IdentityEvent, IdentityFacts, ProposalRow) {
        let number = kith_domain::NhsNumber::from_first_nine(999_000_002).unwrap();
        let event = IdentityEvent {
            organisation: OdsCode::parse("X26").unwrap(),
            event_id: Uuid::from_u128(1),
            subject: subject.clone(),
            version: 300,
            action: IdentityAction::ReplacedBy(number),
            proposal: Some(7),
        };
        let mut facts = IdentityFacts { predecessors: vec![subject.clone()], ..IdentityFacts::default() };
        facts.apply(&event);
        let IdentityEvent { organisation, event_id, action, .. } = event.clone();
        let proposal = Proposal { organisation, event_id, subject: subject.clone(), action };
        (event, facts, ProposalRow { proposal, at, state: ProposalState::Followed, closed_at: Some(at) })
    }

    /// An entry with everything that a call has.
    fn a_refused_call(at: Moment) -> crate::AuditEntry {
        use kith_domain::caller::{Caller, Peer, Purpose, Role};
        use kith_domain::text::{PersonText, RoleCode, UserId};
        let organisation = OdsCode::parse("R1H").unwrap();
        let caller = Caller {
            user_id: UserId::parse("u").unwrap(),
            user_name: PersonText::parse("N").unwrap(),
            user_role: PersonText::parse("r").unwrap(),
            purpose: Purpose::SafeguardingReview,
            organisation,
            role_code: RoleCode::parse("R8000").unwrap(),
        };
        let (peer, trace) = (Peer { organisation, role: Role::Safeguarding }, Some(crate::TraceId([9; 16])));
        let person = kith_domain::proof::PersonProof::NotAsked;
        let call = crate::Call { peer, method: kith_domain::method::Method::ListFeeds, trace, person };
        let refused = crate::Decision::Refused(kith_domain::refusal_code::RefusalCode::of("ADULT"));
        let entry = crate::AuditEntry::of_call(at, call, Some(caller), Some(uuid::Uuid::from_u128(1)), refused);
        crate::AuditEntry { fields: kith_domain::fields::FieldSet::ALL, shielded: true, ..entry }
    }

    /// An auditor's reading, with everything but an end of the range.
    fn a_reading(at: Moment) -> crate::AuditEntry {
        let read = crate::AuditRead {
            person: Some(kith_domain::text::UserId::parse("u").unwrap()),
            organisation: Some(OdsCode::parse("R1H").unwrap()),
            from: Some(at),
            until: None,
            entry: Some(9),
            given: 2,
            looked_at: 300,
        };
        crate::AuditEntry::of_service(at, crate::Decision::AuditRead(Box::new(read)))
    }

    /// Every stored type, byte by byte: a field or variant that moves turns this red.
    #[test]
    fn rows_have_these_bytes() {
        use crate::{AuditEntry, Decision};
        use kith_domain::NhsNumber;
        use kith_domain::change::{Feed, FeedCounted};
        use kith_domain::child::{Access, ChildRecord, Notified};
        use kith_domain::codes::LaCode;
        use kith_domain::feed_health::FeedRecord;
        use kith_domain::notify::{Cause, Notification};
        use kith_domain::plan::{Plan, PlanKind, PlanName};
        use kith_domain::presentation::Presentation;
        use kith_domain::text::{EncounterId, PersonText, PlanReference};
        let subject = Subject::Nhs(NhsNumber::from_first_nine(999_000_001).unwrap());
        let (trust, authority) = (OdsCode::parse("R1H").unwrap(), LaCode::parse("E06000001").unwrap());
        let nurse = PersonText::parse("N").unwrap();
        let mut plan = Plan::new(authority, PlanName::Reference(PlanReference::parse("P").unwrap()));
        plan.kind.set(3, Some(PlanKind::LookedAfter));
        let at = Moment(1_000);
        let (user_name, user_role) = (nurse.clone(), nurse.clone());
        let record = ChildRecord {
            plans: vec![plan],
            presentations: vec![Presentation::new(trust, EncounterId::parse("E").unwrap())],
            accesses: vec![Access { organisation: trust, user_name, user_role, first_at: at, last_at: at, count: 2 }],
            notified: vec![Notified { organisation: trust, authority, first_at: at }],
            shielded_by: vec![authority],
            ..ChildRecord::new(subject.clone())
        };
        let cause = Cause::Lookup(trust, nurse.clone(), nurse);
        let notification = Notification { subject: subject.clone(), at, cause, shielded: false, acknowledged: true };
        let owner = OwnerRow { subject, versions: vec![1, 300] };
        let entry = AuditEntry::of_service(at, Decision::Gap(9));
        let called = a_refused_call(at);
        let purge = a_purge(&record);
        let counted = FeedCounted { feed: Feed::Plans(authority), seen: 5, matched: 3, rejected: 4, taken_whole: true };
        let mut feed = FeedRecord::default();
        feed.event(at, true);
        feed.file_taken(7, at);
        feed.counted(&counted, at);
        let (event, facts, proposed) = told(&record.subject, at);
        let found = [
            hex(&encode(&record).unwrap()),
            hex(&encode(&notification).unwrap()),
            hex(&encode(&owner).unwrap()),
            hex(&encode(&entry).unwrap()),
            hex(&encode(&called).unwrap()),
            hex(&encode(&AuditEntry::of_service(at, Decision::ConfigChanged(crate::Configured::Policy, [7; 32])))
                .unwrap()),
            hex(&encode(&a_reading(at)).unwrap()),
            hex(&encode(&MetaRow::default()).unwrap()),
            hex(&encode(&RequestRow { at }).unwrap()),
            hex(&encode(&RemovedPlanRow { version: 300, removed: Day::new(2026, 11, 22).unwrap() }).unwrap()),
            hex(&encode(&LogRecord { at, change: Change::Purge(purge) }).unwrap()),
            hex(&encode(&feed).unwrap()),
            hex(&encode(&LogRecord { at, change: Change::FeedCounted(counted) }).unwrap()),
            hex(&encode(&LogRecord { at, change: Change::Identity(event) }).unwrap()),
            hex(&encode(&facts).unwrap()),
            hex(&encode(&proposed).unwrap()),
            hex(&encode(&KeyRow { subject: record.subject }).unwrap()),
        ];
        assert_eq!(found, KEPT_BYTES);
    }

    fn hex(bytes: &[u8]) -> String {
        bytes.iter().map(|byte| format!("{byte:02x}")).collect()
    }

    const KEPT_BYTES: [&str; 17] = [
        concat!(
            "0100929bcd9b2501094530363030303030310001500301010000000000000000000000000000000000000001",
            "035231480145000000000103523148014e014ed00fd00f0200010352314809453036303030303031d00f0109",
            "4530363030303030310000",
        ),
        "0100929bcd9b25d00f0003523148014e014e0001",
        "0100929bcd9b250201ac02",
        "01d00f000000000000060900000000000000",
        concat!(
            "01d00f01035231480104010175014e01720203523148055238303030000001100000000000000000000000000000000101010000",
            "011201090909090909090909090909090909093f0100",
        ),
        "01d00f0000000000000800070707070707070707070707070707070707070707070707070707070707070700000000000000",
        "01d00f0000000000000c010175010352314801d00f00010902ac0200000000000000",
        "0100000000000000",
        "01d00f",
        "01ac02d6c402",
        "01d00f06d6c402da0518a0063cb401f0010100929bcd9b25010201ab",
        "0101d00f01d00f0107d00f0100060404000000",
        "01d00f07000945303630303030303105030401",
        "01d00f0c03583236100000000000000000000000000000000100929bcd9b25ac02009a9bcd9b250107",
        "01ac02019a9bcd9b250100929bcd9b25000000000000000001ac02",
        "0103583236100000000000000000000000000000000100929bcd9b25009a9bcd9b25d00f0101d00f",
        "0100929bcd9b25",
    ];

    #[test]
    fn what_was_proven_has_the_bytes_that_are_kept() {
        use crate::{AuditEntry, Decision};
        let entry = AuditEntry::of_service(Moment(1_000), Decision::Proven { journal: 1, sequence: 300 });
        assert_eq!(hex(&encode(&entry).unwrap()), "01d00f0000000000000b01ac0200000000000000");
    }

    #[test]
    fn what_was_removed_of_the_audit_has_the_bytes_that_are_kept() {
        use crate::{AuditEntry, Decision};
        let entry = AuditEntry::of_service(
            Moment(1_000),
            Decision::AuditRemoved { through: 300, leaves: 7, before: Moment(1_000) },
        );
        assert_eq!(hex(&encode(&entry).unwrap()), "01d00f00000000000013ac0207d00f00000000000000");
    }

    #[test]
    fn a_head_of_the_audits_tree_has_the_bytes_that_are_kept() {
        use kith_domain::change::AuditHead;
        let head = AuditHead { leaves: 300, root: [7; 32] };
        let record = LogRecord { at: Moment(1_000), change: Change::AuditHead(head) };
        assert_eq!(hex(&encode(&record).unwrap()), format!("01d00f0fac02{}", "07".repeat(32)));
        assert_eq!(hex(&encode(&head).unwrap()), format!("01ac02{}", "07".repeat(32)));
    }

    #[test]
    fn what_is_configured_keeps_its_number() {
        use crate::Configured::{
            AuditKey, Certificate, ClientAuthorities, Directory, Keys, PersonTokens, Policy, RevocationLists, Services,
            Settings,
        };
        let refused = |what| hex(&encode(&crate::Decision::ConfigRefused(what)).unwrap());
        let all = [
            Policy,
            Certificate,
            ClientAuthorities,
            RevocationLists,
            PersonTokens,
            Keys,
            Settings,
            AuditKey,
            Directory,
            Services,
        ];
        let expected =
            ["00", "01", "02", "03", "04", "05", "06", "07", "08", "09"].map(|number| format!("0109{number}"));
        assert_eq!(all.map(refused), expected);
    }

    #[test]
    fn a_list_that_stays_has_the_bytes_that_are_kept() {
        let kept = crate::Decision::ListKept { file: "a.pem".to_owned(), issuer: "CN=b".to_owned() };
        assert_eq!(hex(&encode(&kept).unwrap()), "011a05612e70656d04434e3d62");
    }

    #[test]
    fn newer_schema_and_leftover_bytes_are_refused() {
        let mut bytes = encode(&7_u64).unwrap();
        bytes.push(0);
        assert!(decode::<u64>(&bytes).is_err());
        assert_eq!(decode::<u64>(&[2, 7]), Err(CodecError::Schema { found: Some(2) }));
        assert_eq!(decode::<u64>(&[]), Err(CodecError::Schema { found: None }));
    }
}
