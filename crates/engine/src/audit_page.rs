//! Tokens of the pages of a search of the audit: the entry before which the next page begins, bound to who searches and to what is
//! searched for. Another search with it would leave out what neither of the two pages looked at.

use crate::engine::Engine;
use kith_domain::audit_query::AuditQuery;
use kith_domain::caller::Peer;
use kith_domain::text::UserId;
use kith_domain::time::Moment;
use kith_store::{Keys, PSEUDONYM_BYTES};

/// Who searches: what the certificate proves, and the person.
pub(crate) type Reader<'a> = (Peer, &'a UserId);

impl Engine {
    /// The token of the page that begins before an entry.
    #[must_use]
    pub fn audit_page_token(&self, reader: Reader<'_>, query: &AuditQuery, before: u64) -> String {
        token_of(&self.keys, reader, query, before)
    }

    /// The entry before which a page begins; `None` for what is no token, or that of another search.
    #[must_use]
    pub fn audit_page_before(&self, reader: Reader<'_>, query: &AuditQuery, token: &str) -> Option<u64> {
        before_of(&self.keys, reader, query, token)
    }
}

pub(crate) fn token_of(keys: &Keys, reader: Reader<'_>, query: &AuditQuery, before: u64) -> String {
    hex::encode([before.to_be_bytes().as_slice(), &bound(keys, reader, query, before)].concat())
}

pub(crate) fn before_of(keys: &Keys, reader: Reader<'_>, query: &AuditQuery, token: &str) -> Option<u64> {
    let bytes = hex::decode(token).ok()?;
    let (number, bytes) = bytes.split_first_chunk::<8>()?;
    let before = u64::from_be_bytes(*number);
    (bytes == bound(keys, reader, query, before)).then_some(before)
}

/// What binds a token to who searches and what for.
fn bound(keys: &Keys, (peer, user): Reader<'_>, query: &AuditQuery, before: u64) -> [u8; PSEUDONYM_BYTES] {
    let AuditQuery { child, local_key, person, organisation, from, until, entry, lookups } = query;
    let moment = |at: &Option<Moment>| at.map(|at| at.0.to_be_bytes().to_vec()).unwrap_or_default();
    let number = |number: Option<u64>| number.map(|number| number.to_be_bytes().to_vec()).unwrap_or_default();
    let parts: [&[u8]; 13] = [
        &before.to_be_bytes(),
        user.as_str().as_bytes(),
        peer.organisation.as_str().as_bytes(),
        peer.role.word().as_bytes(),
        &number(child.map(|child| child.value())),
        person.as_ref().map_or("", |person| person.as_str()).as_bytes(),
        organisation.as_ref().map_or("", |code| code.as_str()).as_bytes(),
        &moment(from),
        &moment(until),
        &number(*entry),
        &[u8::from(*lookups)],
        local_key.as_ref().map_or("", |(organisation, _)| organisation.as_str()).as_bytes(),
        local_key.as_ref().map_or("", |(_, key)| key.as_str()).as_bytes(),
    ];
    keys.pseudonym("audit-page", &parts)
}
