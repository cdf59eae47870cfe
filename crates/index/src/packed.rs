//! A record in few bytes: a child without a plan and with one presentation takes some 25 of them. What many records share
//! is held in tables, times are small numbers, and what is not held takes nothing. Packing and unpacking give the same
//! record exactly. Never leaves memory: the bytes mean nothing without the tables.

mod bytes;
mod closed;
mod plans;
mod rest;
mod seen;
mod tables;

use self::bytes::{Reader, Writer};
pub(crate) use self::tables::Tables;
use kith_domain::child::{ChildRecord, Subject};

/// Bits of a record's head: what follows. The number of presentations stands above them.
const PLANS: u64 = 1;
const ACCESSES: u64 = 2;
const REST: u64 = 4;
const IDENTITY: u64 = 8;
const HEAD_BITS: u32 = 4;

fn bit(bit: u64, is_set: bool) -> u64 {
    if is_set { bit } else { 0 }
}

/// Packs a record, without its subject.
pub(crate) fn pack(record: &ChildRecord, tables: &Tables) -> Vec<u8> {
    let ChildRecord {
        subject: _,
        plans,
        presentations,
        accesses,
        accesses_beyond,
        notified,
        shielded_by,
        identity,
        withheld_by,
    } = record;
    let mut out = Writer::new(tables);
    let no_codes = shielded_by.is_empty() && withheld_by.is_empty();
    let any_rest = !(accesses_beyond.is_empty() && notified.is_empty() && no_codes);
    let head = bit(PLANS, !plans.is_empty())
        | bit(ACCESSES, !accesses.is_empty())
        | bit(REST, any_rest)
        | bit(IDENTITY, identity.is_some());
    out.int((presentations.len() as u64) << HEAD_BITS | head);
    if !plans.is_empty() {
        out.length(plans.len());
        plans.iter().for_each(|held| plans::plan(&mut out, held));
    }
    presentations.iter().for_each(|held| seen::presentation(&mut out, held));
    if !accesses.is_empty() {
        out.length(accesses.len());
        accesses.iter().for_each(|row| seen::access(&mut out, row, presentations));
    }
    if any_rest {
        out.length(accesses_beyond.len());
        accesses_beyond.iter().for_each(|day| out.day(*day));
        out.length(notified.len());
        notified.iter().for_each(|mark| rest::notified(&mut out, mark));
        out.length(shielded_by.len());
        shielded_by.iter().for_each(|authority| out.code(*authority));
        out.length(withheld_by.len());
        withheld_by.iter().for_each(|authority| out.code(*authority));
    }
    if let Some(facts) = identity {
        rest::identity(&mut out, facts);
    }
    out.bytes
}

/// The record of a subject that [`pack`] made these bytes of; `None` for other bytes.
pub(crate) fn unpack(subject: &Subject, bytes: &[u8], tables: &Tables) -> Option<ChildRecord> {
    let mut bytes = Reader::new(bytes, tables);
    let mut record = ChildRecord::new(subject.clone());
    let head = bytes.int()?;
    let has = |bit: u64| head & bit != 0;
    if has(PLANS) {
        let plans = bytes.length()?;
        record.plans = bytes.list(plans, plans::plan_of)?;
    }
    let presentations = usize::try_from(head >> HEAD_BITS).ok()?;
    record.presentations = bytes.list(presentations, seen::presentation_of)?;
    if has(ACCESSES) {
        let accesses = bytes.length()?;
        record.accesses = bytes.list(accesses, |bytes| seen::access_of(bytes, &record.presentations))?;
    }
    if has(REST) {
        let beyond = bytes.length()?;
        record.accesses_beyond = bytes.list(beyond, Reader::day)?.into();
        let notified = bytes.length()?;
        record.notified = bytes.list(notified, rest::notified_of)?;
        let shielded_by = bytes.length()?;
        record.shielded_by = bytes.list(shielded_by, Reader::code)?;
        let withheld_by = bytes.length()?;
        record.withheld_by = bytes.list(withheld_by, Reader::code)?;
    }
    if has(IDENTITY) {
        record.identity = Some(Box::new(rest::identity_of(&mut bytes)?));
    }
    bytes.is_at_end().then_some(record)
}

#[cfg(test)]
#[path = "packed/tests.rs"]
mod tests;
