//! Every record, packed. Whoever reads one gets it unpacked.

use crate::packed::{Tables, pack, unpack};
use crate::shards::{Shards, Stamp};
use kith_domain::child::{ChildRecord, Subject};

/// Every record.
#[derive(Debug, Default)]
pub(crate) struct Records {
    shards: Shards,
    tables: Tables,
}

impl Records {
    /// Makes room for so many people.
    pub(crate) fn reserve(&self, people: u64) {
        self.shards.reserve(usize::try_from(people).unwrap_or(usize::MAX));
    }

    /// A record and the stamp of its publication.
    pub(crate) fn read(&self, subject: &Subject) -> Option<(ChildRecord, Stamp)> {
        let (bytes, stamp) = self.shards.read(subject)?;
        Some((self.unpacked(subject, &bytes), stamp))
    }

    /// Puts a record in the place of an older one, which is given back.
    pub(crate) fn put(&self, record: &ChildRecord) -> Option<ChildRecord> {
        let subject = &record.subject;
        self.shards.put(subject, &pack(record, &self.tables)).map(|old| self.unpacked(subject, &old))
    }

    /// Takes a record away.
    pub(crate) fn take(&self, subject: &Subject) -> Option<ChildRecord> {
        self.shards.take(subject).map(|old| self.unpacked(subject, &old))
    }

    /// A record that does not read back must never look like none: a panic fails the one question.
    fn unpacked(&self, subject: &Subject, bytes: &[u8]) -> ChildRecord {
        unpack(subject, bytes, &self.tables).expect("bytes in memory are those that packing made")
    }
}
