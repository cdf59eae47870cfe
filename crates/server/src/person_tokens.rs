//! Tokens that prove the person behind a call: which organisations' people need one, and whether the one that came stands. A
//! token is read from the metadata, held against the keys and terms of the organisation's own issuer, and forgotten; what is
//! kept of it is a digest. Neither a token nor a claim of one is ever logged or repeated.

mod claims;
mod file;
pub(crate) mod fuzz;
mod issuer;
mod json;
mod jws;
mod keys;
mod known;
#[cfg(test)]
mod testing;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::sync::Arc;

use arc_swap::ArcSwap;
use kith_api::client::TOKEN_METADATA;
use kith_domain::caller::Caller;
use kith_domain::codes::OdsCode;
use kith_domain::proof::{PersonDigest, PersonProof, ProofSource, Unproven};
use kith_domain::time::Moment;
use tonic::metadata::MetadataMap;

pub(crate) use file::{PersonTokensFile, WHAT, begin, note_mistakes};
use issuer::Issuer;
#[cfg(test)]
pub(crate) use testing::needed_by_one_trust;

/// The word before a token.
const SCHEME: &str = "bearer";

/// Which organisations' people are proven, and by whom.
#[derive(Debug, Default)]
pub(crate) struct Table {
    organisations: BTreeMap<OdsCode, Arc<Issuer>>,
    /// The sets of keys that it was made from, in the order in which the list names them.
    sets: Vec<file::KeySet>,
    /// What is wrong with those in the place of which an earlier one stays.
    broken: Vec<String>,
}

/// The table in force.
#[derive(Debug, Default)]
pub(crate) struct PersonTokens(ArcSwap<Table>);

impl PersonTokens {
    /// Puts another table in force for every call that comes from now on. What was known of tokens goes with the old one, so a
    /// key that is gone proves nobody any more.
    pub(crate) fn put_in_force(&self, table: Arc<Table>) {
        self.0.store(table);
    }

    /// Whether nothing is done for this organisation's people without a token, by the table of this moment.
    pub(crate) fn is_needed(&self, organisation: OdsCode) -> bool {
        self.0.load().organisations.get(&organisation).is_some_and(|issuer| issuer.is_required())
    }

    /// Whether what proved a person when their call began proves them by the table of this moment: not when its key is gone
    /// since, or is trusted for something else. Who is not listed any more is not asked.
    pub(crate) fn still_prove(&self, organisation: OdsCode, by: ProofSource) -> bool {
        self.0.load().organisations.get(&organisation).is_none_or(|issuer| issuer.proves_by(by))
    }

    /// What a call proves of the person behind it. An organisation that is not listed is not asked: this is all the work
    /// that its calls cause.
    pub(crate) fn proof(
        &self,
        organisation: OdsCode,
        metadata: &MetadataMap,
        now: impl FnOnce() -> Moment,
    ) -> PersonProof {
        let table = self.0.load();
        let Some(issuer) = table.organisations.get(&organisation) else { return PersonProof::NotAsked };
        match token(metadata) {
            Ok(None) if issuer.is_required() => PersonProof::Unproven(Unproven::Missing),
            Ok(None) => PersonProof::NotAsked,
            Ok(Some(token)) => match issuer.prove(token, organisation, now()) {
                Ok(proven) => PersonProof::Proven(proven),
                Err(why) => PersonProof::Unproven(why),
            },
            Err(why) => PersonProof::Unproven(why),
        }
    }
}

/// The one token among the metadata, or none.
fn token(metadata: &MetadataMap) -> Result<Option<&str>, Unproven> {
    let mut values = metadata.get_all(TOKEN_METADATA).iter();
    let value = match (values.next(), values.next()) {
        (None, _) => return Ok(None),
        (Some(value), None) => value.to_str().map_err(|_| Unproven::Unreadable)?,
        (Some(_), Some(_)) => return Err(Unproven::Unreadable),
    };
    match value.split_once(' ') {
        Some((scheme, token)) if scheme.eq_ignore_ascii_case(SCHEME) => Ok(Some(token)),
        Some(_) | None => Err(Unproven::Unreadable),
    }
}

/// The digest of the person whom a request names.
pub(crate) fn digest_of(caller: &Caller) -> PersonDigest {
    claims::digest(caller.user_id.as_str(), caller.user_name.as_str(), caller.role_code.as_str())
}
