//! What few records hold: encounters notified, days of access history beyond the bound, shields that outlived their plan,
//! and what the demographics service has told.

use super::bytes::{Reader, Writer};
use super::plans::yes_or_no;
use kith_domain::NhsNumber;
use kith_domain::child::{Notified, Subject};
use kith_domain::links::IdentityFacts;
use kith_domain::text::LocalKey;

pub(super) fn notified(out: &mut Writer<'_>, mark: &Notified) {
    let Notified { organisation, authority, first_at } = mark;
    out.code(*organisation);
    out.code(*authority);
    out.moment(*first_at);
}

pub(super) fn notified_of(bytes: &mut Reader<'_>) -> Option<Notified> {
    Some(Notified { organisation: bytes.code()?, authority: bytes.code()?, first_at: bytes.moment()? })
}

fn subject(out: &mut Writer<'_>, subject: &Subject) {
    match subject {
        Subject::Nhs(number) => out.int(number.value()),
        Subject::Local(organisation, key) => {
            // No NHS number is 0.
            out.int(0);
            out.code(*organisation);
            out.text(key.as_str());
        }
    }
}

fn subject_of(bytes: &mut Reader<'_>) -> Option<Subject> {
    Some(match bytes.int()? {
        0 => Subject::Local(bytes.code()?, bytes.text(|text| LocalKey::parse(text).ok())?),
        number => Subject::Nhs(number_of(number)?),
    })
}

fn number_of(value: u64) -> Option<NhsNumber> {
    NhsNumber::try_from(value).ok()
}

pub(super) fn identity(out: &mut Writer<'_>, facts: &IdentityFacts) {
    let IdentityFacts { successor, predecessors, invalidated, birth_date, died, shielded, versions } = facts;
    out.register(successor, 0, |out, number| out.int(number.value()));
    out.length(predecessors.len());
    predecessors.iter().for_each(|one| subject(out, one));
    out.register(invalidated, 0, |out, is| out.byte(u8::from(*is)));
    out.register(birth_date, 0, |out, day| out.born(Some(*day)));
    out.register(died, 0, |out, day| out.day(*day));
    out.register(shielded, 0, |out, is| out.byte(u8::from(*is)));
    out.length(versions.len());
    versions.iter().for_each(|version| out.int(*version));
}

pub(super) fn identity_of(bytes: &mut Reader<'_>) -> Option<IdentityFacts> {
    let successor = bytes.register(0, |bytes| number_of(bytes.int()?))?;
    let predecessors = bytes.length()?;
    Some(IdentityFacts {
        successor,
        predecessors: bytes.list(predecessors, subject_of)?,
        invalidated: bytes.register(0, yes_or_no)?,
        birth_date: bytes.register(0, |bytes| bytes.born()?)?,
        died: bytes.register(0, Reader::day)?,
        shielded: bytes.register(0, yes_or_no)?,
        versions: {
            let versions = bytes.length()?;
            bytes.list(versions, Reader::int)?
        },
    })
}
