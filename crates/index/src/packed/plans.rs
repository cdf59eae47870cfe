//! Plans: few people have one, so that the bytes of a plan count less than its registers being read back exactly.

use super::bytes::{Reader, Writer};
use super::closed::closed;
use kith_domain::plan::{Plan, PlanKind, PlanName};
use kith_domain::text::{FamilyReference, PlanReference};
use kith_domain::transfer::Transfers;

closed!(kind_code, kind_of, PlanKind: ChildProtection = 0, LookedAfter = 1, Unborn = 2);

/// A name by reference; other names begin with the code of their kind.
const BY_REFERENCE: u8 = 0xff;

pub(super) fn plan(out: &mut Writer<'_>, held: &Plan) {
    let Plan {
        authority,
        name,
        kind,
        start,
        end,
        birth_date,
        withdrawn,
        moving_to,
        moved_from,
        last_event_at,
        shield,
        family,
        transfers,
    } = held;
    out.code(*authority);
    match name {
        PlanName::Reference(reference) => {
            out.byte(BY_REFERENCE);
            out.text(reference.as_str());
        }
        PlanName::KindAndStart(kind, start) => {
            out.byte(kind_code(*kind));
            out.day(*start);
        }
    }
    out.int(kind.version());
    let version = kind.version();
    out.register(kind, version, |out, kind| out.byte(kind_code(*kind)));
    out.register(start, version, |out, day| out.day(*day));
    out.register(end, version, |out, day| out.day(*day));
    out.register(birth_date, version, |out, day| out.born(Some(*day)));
    out.register(withdrawn, version, |out, is| out.byte(u8::from(*is)));
    out.register(moving_to, version, |out, authority| out.code(*authority));
    out.register(moved_from, version, |out, authority| out.code(*authority));
    out.register(shield, version, |out, is| out.byte(u8::from(*is)));
    out.register(family, version, |out, reference| out.text(reference.as_str()));
    out.moment(*last_event_at);
    let (stayed, outs) = transfers.parts();
    out.int(stayed);
    out.length(outs.len());
    for (version, to, told_on) in outs {
        out.int(version);
        out.code(to);
        out.day(told_on);
    }
}

fn name(bytes: &mut Reader<'_>) -> Option<PlanName> {
    Some(match bytes.byte()? {
        BY_REFERENCE => PlanName::Reference(bytes.text(|text| PlanReference::parse(text).ok())?),
        kind => PlanName::KindAndStart(kind_of(kind)?, bytes.day()?),
    })
}

pub(super) fn yes_or_no(bytes: &mut Reader<'_>) -> Option<bool> {
    match bytes.byte()? {
        0 => Some(false),
        1 => Some(true),
        _ => None,
    }
}

pub(super) fn plan_of(bytes: &mut Reader<'_>) -> Option<Plan> {
    let (authority, name, version) = (bytes.code()?, name(bytes)?, bytes.int()?);
    // In the order in which they were written.
    Some(Plan {
        authority,
        name,
        kind: bytes.register(version, |bytes| kind_of(bytes.byte()?))?,
        start: bytes.register(version, Reader::day)?,
        end: bytes.register(version, Reader::day)?,
        birth_date: bytes.register(version, |bytes| bytes.born()?)?,
        withdrawn: bytes.register(version, yes_or_no)?,
        moving_to: bytes.register(version, Reader::code)?,
        moved_from: bytes.register(version, Reader::code)?,
        shield: bytes.register(version, yes_or_no)?,
        family: bytes.register(version, |bytes| bytes.text(|text| FamilyReference::parse(text).ok()))?,
        last_event_at: bytes.moment()?,
        transfers: transfers(bytes)?,
    })
}

fn transfers(bytes: &mut Reader<'_>) -> Option<Transfers> {
    let (stayed, outs) = (bytes.int()?, bytes.length()?);
    let outs = bytes.list(outs, |bytes| Some((bytes.int()?, bytes.code()?, bytes.day()?)))?;
    Some(Transfers::held(stayed, outs))
}
