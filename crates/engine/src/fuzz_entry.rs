//! What fuzzing calls: reading the rows and records that stand on disk once they are unsealed, and the tokens of pages, with what
//! became of them in a few words. Never used in production.

use crate::audit_entry::AuditEntry;
use crate::audit_page;
use crate::flag_rows::{FlagDayRow, FlagMarkRow, FlagRow};
use crate::keys::{self, OpeningKey};
use crate::openings::{CountedRow, OpeningRow};
use crate::own_plans::place_of;
use crate::rows::{EventRow, KeyRow, MetaRow, OwnerRow, ProposalRow, RemovedPlanRow, RequestRow, decode, encode};
use crate::withholdings::WithholdingRow;
use kith_domain::audit_query::AuditQuery;
use kith_domain::caller::{Peer, Role};
use kith_domain::change::LogRecord;
use kith_domain::child::ChildRecord;
use kith_domain::codes::OdsCode;
use kith_domain::feed_health::FeedRecord;
use kith_domain::notify::Notification;
use kith_domain::plan_file::FileState;
use kith_domain::text::UserId;
use kith_store::Keys;
use serde::Serialize;
use serde::de::DeserializeOwned;

/// Reads bytes as one kind of row, and says what became of them.
type Read = fn(&[u8]) -> String;

/// Reads the rest as the row that the first byte chooses.
#[must_use]
pub fn row(bytes: &[u8]) -> String {
    const KINDS: &[(&str, Read)] = &[
        ("log record", read::<LogRecord>),
        ("audit entry", read::<AuditEntry>),
        ("child", read::<ChildRecord>),
        ("event", read::<EventRow>),
        ("owner", read::<OwnerRow>),
        ("key", read::<KeyRow>),
        ("request", read::<RequestRow>),
        ("removed plan", read::<RemovedPlanRow>),
        ("facts", read::<MetaRow>),
        ("proposal", read::<ProposalRow>),
        ("notification", read::<Notification>),
        ("feed", read::<FeedRecord>),
        ("file", read::<FileState>),
        ("opening", read::<OpeningRow>),
        ("counted openings", read::<CountedRow>),
        ("flag", read::<FlagRow>),
        ("flags of a day", read::<FlagDayRow>),
        ("facts about flags", read::<FlagMarkRow>),
        ("withholding", read::<WithholdingRow>),
    ];
    let Some((first, rest)) = bytes.split_first() else { return String::from("nothing") };
    let Some((name, read)) = KINDS.get(usize::from(*first) % KINDS.len()) else { return String::from("none") };
    format!("{name}: {}", read(rest))
}

/// Reads bytes as every kind of key that is taken apart; what it stands for is written as a key that stands for the same.
///
/// # Panics
/// When it is not: a finding.
#[must_use]
pub fn row_key(bytes: &[u8]) -> String {
    let opening = keys::parse_opening(bytes);
    let flag = keys::parse_flag(bytes);
    let feed = keys::parse_feed(bytes);
    let written = opening.map(|key| match key {
        OpeningKey::Of(reference) => keys::opening(reference),
        OpeningKey::CountedOf(organisation) => keys::counted_openings(organisation),
    });
    assert_eq!(
        written.and_then(|key| keys::parse_opening(&key)),
        opening,
        "the key of an opening reads back otherwise"
    );
    assert_eq!(flag.and_then(|id| keys::parse_flag(&keys::flag(id))), flag, "the key of a flag reads back otherwise");
    assert_eq!(
        feed.and_then(|feed| keys::parse_feed(&keys::feed(feed))),
        feed,
        "the key of a feed reads back otherwise"
    );
    let opening = opening.map_or("none", |key| match key {
        OpeningKey::Of(_) => "an opening",
        OpeningKey::CountedOf(_) => "counts of openings",
    });
    format!("{opening}, flag {}, feed {}", flag.is_some(), feed.is_some())
}

/// Keys that everybody knows, somebody who searches the audit, and a search for everything.
fn search() -> Option<(Keys, Peer, UserId, AuditQuery)> {
    let peer = Peer { organisation: OdsCode::parse("R1H").ok()?, role: Role::Auditor };
    Some((Keys::from_master([7; 32]), peer, UserId::parse("auditor-1").ok()?, AuditQuery::default()))
}

/// Reads a text as the token of a page of that search, and of an authority's own plans; what it stands for is written as it is.
///
/// # Panics
/// When it is not: a finding.
#[must_use]
pub fn page_token(text: &str) -> String {
    let is_same = |written: &str| written.eq_ignore_ascii_case(text);
    let searched = search().and_then(|(keys, peer, user, query)| {
        let before = audit_page::before_of(&keys, (peer, &user), &query, text)?;
        Some(audit_page::token_of(&keys, (peer, &user), &query, before))
    });
    assert!(searched.as_deref().is_none_or(is_same), "the token of a search is written as another");
    let place = place_of(text).map(hex::encode);
    assert!(place.as_deref().is_none_or(is_same), "the token of a place is written as another");
    format!("search {}, place {}", searched.is_some(), place.is_some())
}

/// A token of that search.
#[must_use]
pub fn page_token_seed() -> Option<String> {
    search().map(|(keys, peer, user, query)| audit_page::token_of(&keys, (peer, &user), &query, 7))
}

/// What was read and written again reads and writes the same.
fn read<T: Serialize + DeserializeOwned>(bytes: &[u8]) -> String {
    let value = match decode::<T>(bytes) {
        Ok(value) => value,
        Err(error) => return error.to_string(),
    };
    let Ok(written) = encode(&value) else { return String::from("read, and not written again") };
    let again = decode::<T>(&written).and_then(|value| encode(&value));
    assert_eq!(again.as_ref(), Ok(&written), "a row reads back otherwise than it was written");
    format!("whole, {} bytes", written.len().next_power_of_two())
}
