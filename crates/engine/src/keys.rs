//! Keys of rows: pseudonyms, so that no identity and no caller's id stands in a key. The domain word of each kind keeps
//! one kind's keys apart from another's.

use kith_domain::change::Feed;
use kith_domain::child::Subject;
use kith_domain::codes::{LaCode, OdsCode};
use kith_domain::opening::Opener;
use kith_domain::plan::{PlanKind, PlanName};
use kith_domain::text::{EncounterId, UserId};
use kith_domain::time::Day;
use kith_store::{Keys, PSEUDONYM_BYTES};
use uuid::Uuid;

/// Key of the one row of small facts.
pub(crate) const META: &[u8] = b"facts";
/// Key of the head of the audit's tree, beside them.
pub(crate) const AUDIT_HEAD: &[u8] = b"audit-head";

fn subject_parts(subject: &Subject) -> (&'static [u8], Vec<u8>, Vec<u8>) {
    match subject {
        Subject::Nhs(number) => (b"nhs", number.value().to_be_bytes().to_vec(), Vec::new()),
        Subject::Local(organisation, key) => {
            (b"local", organisation.as_str().as_bytes().to_vec(), key.as_str().as_bytes().to_vec())
        }
    }
}

/// Key of a person's record.
pub(crate) fn child(keys: &Keys, subject: &Subject) -> Vec<u8> {
    let (kind, a, b) = subject_parts(subject);
    keys.pseudonym("child", &[kind, &a, &b]).to_vec()
}

/// What whoever reads the audit is shown in the place of a person whom they did not ask for. It is no key of any row, so that
/// nothing that is shown leads to one.
pub(crate) fn shown_pseudonym(keys: &Keys, subject: &Subject) -> [u8; PSEUDONYM_BYTES] {
    let (kind, a, b) = subject_parts(subject);
    keys.pseudonym("audit-view", &[kind, &a, &b])
}

/// Key of a used event id.
pub(crate) fn event(keys: &Keys, organisation: &str, event_id: Uuid) -> Vec<u8> {
    keys.pseudonym("event", &[organisation.as_bytes(), event_id.as_bytes()]).to_vec()
}

/// Key of a request id that has been counted in this person's access history.
pub(crate) fn request(keys: &Keys, organisation: OdsCode, request_id: Uuid, subject: &Subject) -> Vec<u8> {
    let (kind, a, b) = subject_parts(subject);
    let parts = [organisation.as_str().as_bytes(), request_id.as_bytes(), kind, &a, &b];
    keys.pseudonym("request", &parts).to_vec()
}

/// The word of a kind of plan in keys; it never changes.
fn kind_word(kind: PlanKind) -> &'static str {
    match kind {
        PlanKind::ChildProtection => "cpp",
        PlanKind::LookedAfter => "lac",
        PlanKind::Unborn => "ucpp",
    }
}

/// Key of a plan: by reference, or by subject, kind and start.
pub(crate) fn plan(keys: &Keys, authority: LaCode, name: &PlanName, subject: &Subject) -> Vec<u8> {
    let authority = authority.as_str().as_bytes();
    let key = match name {
        PlanName::Reference(reference) => keys.pseudonym("plan-reference", &[authority, reference.as_str().as_bytes()]),
        PlanName::KindAndStart(kind, start) => {
            let (word, a, b) = subject_parts(subject);
            let named = format!("{}/{}", kind_word(*kind), start.text());
            keys.pseudonym("plan-start", &[authority, named.as_bytes(), word, &a, &b])
        }
    };
    key.to_vec()
}

/// Key of the note that a plan was removed: the plan's own key and one byte, so that neither is the other.
pub(crate) fn removed_plan(plan: &[u8]) -> Vec<u8> {
    [plan, b"r"].concat()
}

/// Key of the note of the sender's own key under which a plan was begun: the plan's own key and one byte.
pub(crate) fn key_of_plan(plan: &[u8]) -> Vec<u8> {
    [plan, b"k"].concat()
}

/// Key of an encounter.
pub(crate) fn encounter(keys: &Keys, organisation: OdsCode, encounter: &EncounterId) -> Vec<u8> {
    keys.pseudonym("encounter", &[organisation.as_str().as_bytes(), encounter.as_str().as_bytes()]).to_vec()
}

/// First bytes of the keys of an authority's notifications.
pub(crate) fn notifications(keys: &Keys, authority: LaCode) -> Vec<u8> {
    keys.pseudonym("notifications", &[authority.as_str().as_bytes()]).to_vec()
}

/// Key of one notification, in order of id within its authority.
pub(crate) fn notification(keys: &Keys, authority: LaCode, id: u64) -> Vec<u8> {
    let mut key = notifications(keys, authority);
    key.extend(id.to_be_bytes());
    key
}

/// Key of a proposal, in order of id: no secret.
pub(crate) fn proposal(id: u64) -> Vec<u8> {
    id.to_be_bytes().to_vec()
}

/// First byte of the keys of openings of shielded records, and of what is counted of them.
const OPENING: u8 = b'q';
const COUNTED_OPENINGS: u8 = b'c';

/// Key of an opening: its random reference, which is no secret.
pub(crate) fn opening(reference: Uuid) -> Vec<u8> {
    [&[OPENING][..], reference.as_bytes()].concat()
}

/// Key of an organisation's openings that count: no secret.
pub(crate) fn counted_openings(organisation: OdsCode) -> Vec<u8> {
    [&[COUNTED_OPENINGS][..], organisation.as_str().as_bytes()].concat()
}

/// What a key of the table of openings stands for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum OpeningKey {
    /// One opening.
    Of(Uuid),
    /// What counts for an organisation.
    CountedOf(OdsCode),
}

/// What a key of the table of openings stands for; `None` for a key that this version does not know.
pub(crate) fn parse_opening(key: &[u8]) -> Option<OpeningKey> {
    let (first, rest) = key.split_first()?;
    match *first {
        OPENING => Uuid::from_slice(rest).ok().map(OpeningKey::Of),
        COUNTED_OPENINGS => OdsCode::parse(std::str::from_utf8(rest).ok()?).ok().map(OpeningKey::CountedOf),
        _ => None,
    }
}

/// Key of what an authority withholds of a person.
pub(crate) fn withholding(keys: &Keys, authority: LaCode, subject: &Subject) -> Vec<u8> {
    let (kind, a, b) = subject_parts(subject);
    keys.pseudonym("withholding", &[authority.as_str().as_bytes(), kind, &a, &b]).to_vec()
}

/// The keyed name of a person of an organisation.
pub(crate) fn person(keys: &Keys, organisation: OdsCode, user_id: &UserId) -> Opener {
    keys.pseudonym("person", &[organisation.as_str().as_bytes(), user_id.as_str().as_bytes()])
}

/// First byte of the keys of flags, and of the counts of a day.
const FLAG: u8 = b'f';
pub(crate) const FLAG_DAY: u8 = b'd';
/// Key of the row of counts and positions about flags.
pub(crate) const FLAG_MARK: &[u8] = b"mark";

/// Key of a flag, in order of id: no secret.
pub(crate) fn flag(id: u64) -> Vec<u8> {
    [&[FLAG][..], &id.to_be_bytes()].concat()
}

/// The id of the flag of a key; `None` for another row of the table.
pub(crate) fn parse_flag(key: &[u8]) -> Option<u64> {
    let (kind, id) = key.split_first()?;
    (*kind == FLAG).then(|| id.try_into().ok().map(u64::from_be_bytes)).flatten()
}

/// Key of the counts of a day, in order of days since 1970: no secret.
pub(crate) fn flag_day(day: Day) -> Vec<u8> {
    let since = u64::try_from(day.utc_start().0).unwrap_or_default();
    [&[FLAG_DAY][..], &since.to_be_bytes()].concat()
}

/// Key of where an authority's files stand: no secret.
pub(crate) fn files(authority: LaCode) -> Vec<u8> {
    authority.as_str().as_bytes().to_vec()
}

/// Key of a feed: no secret.
pub(crate) fn feed(feed: Feed) -> Vec<u8> {
    match feed {
        Feed::Plans(code) => format!("p/{code}").into_bytes(),
        Feed::Presentations(code) => format!("s/{code}").into_bytes(),
    }
}

/// The feed of a key; `None` for a key that this version does not know.
pub(crate) fn parse_feed(key: &[u8]) -> Option<Feed> {
    let (kind, code) = std::str::from_utf8(key).ok()?.split_once('/')?;
    match kind {
        "p" => LaCode::parse(code).ok().map(Feed::Plans),
        "s" => OdsCode::parse(code).ok().map(Feed::Presentations),
        _ => None,
    }
}
