//! Every record, packed. Whoever reads one gets it unpacked.

use crate::packed::{Tables, pack, unpack};
use crate::shards::{Shards, Stamp};
use dashmap::DashMap;
use kith_domain::child::{ChildRecord, Subject};
use kith_domain::codes::OdsCode;
use kith_domain::text::LocalKey;
use std::cell::RefCell;
use std::sync::atomic::{AtomicU64, Ordering};

/// So many that the table of one holds few people, and growing it takes microseconds.
const LOCAL_SHARDS: usize = 1_024;

thread_local! {
    /// Where a thread copies records, one after another, so that a lock is held for the copying and not for the unpacking,
    /// and no copy needs memory of its own.
    static COPY: RefCell<Vec<u8>> = const { RefCell::new(Vec::new()) };
}

/// Which publication of a record was read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Published {
    Number(Stamp),
    Local(u64),
}

/// A record's bytes, and the number of its publication.
type Stamped = (u64, Box<[u8]>);

/// Every record.
#[derive(Debug)]
pub(crate) struct Records {
    numbers: Shards,
    /// People without a number: few, and their keys are texts.
    locals: DashMap<(OdsCode, LocalKey), Stamped>,
    local_publications: AtomicU64,
    pub(crate) tables: Tables,
}

impl Default for Records {
    fn default() -> Self {
        Self {
            numbers: Shards::default(),
            locals: DashMap::with_shard_amount(LOCAL_SHARDS),
            local_publications: AtomicU64::new(0),
            tables: Tables::default(),
        }
    }
}

impl Records {
    /// Makes room for so many people.
    pub(crate) fn reserve(&self, people: u64) {
        self.numbers.reserve(usize::try_from(people).unwrap_or(usize::MAX));
    }

    /// A record, and which publication of it this is.
    pub(crate) fn read(&self, subject: &Subject) -> Option<(ChildRecord, Published)> {
        COPY.with_borrow_mut(|copy| {
            let published = match subject {
                Subject::Nhs(number) => Published::Number(self.numbers.read(*number, copy)?),
                Subject::Local(organisation, key) => {
                    let held = self.locals.get(&(*organisation, key.clone()))?;
                    copy.clear();
                    copy.extend_from_slice(&held.1);
                    Published::Local(held.0)
                }
            };
            Some((self.unpacked(subject, copy), published))
        })
    }

    /// Puts a record in the place of an older one, which is given back.
    pub(crate) fn put(&self, record: &ChildRecord) -> Option<ChildRecord> {
        let bytes = pack(record, &self.tables);
        let old = match &record.subject {
            Subject::Nhs(number) => self.numbers.put(*number, &bytes),
            Subject::Local(organisation, key) => {
                let publication = self.local_publications.fetch_add(1, Ordering::Relaxed);
                let old = self.locals.insert((*organisation, key.clone()), (publication, bytes.into()));
                old.map(|(_, old)| old)
            }
        };
        old.map(|old| self.unpacked(&record.subject, &old))
    }

    /// Takes a record away.
    pub(crate) fn take(&self, subject: &Subject) -> Option<ChildRecord> {
        let old = match subject {
            Subject::Nhs(number) => self.numbers.take(*number)?,
            Subject::Local(organisation, key) => self.locals.remove(&(*organisation, key.clone()))?.1.1,
        };
        Some(self.unpacked(subject, &old))
    }

    /// A record that does not read back must never look like none: a panic fails the one question.
    fn unpacked(&self, subject: &Subject, bytes: &[u8]) -> ChildRecord {
        unpack(subject, bytes, &self.tables).expect("bytes in memory are those that packing made")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use kith_domain::NhsNumber;
    use kith_domain::presentation::Presentation;
    use kith_domain::text::EncounterId;

    #[test]
    fn numbers_and_local_keys_come_and_go() {
        let organisation = OdsCode::parse("R1H").unwrap();
        let number = Subject::Nhs(NhsNumber::from_first_nine(999_000_001).unwrap());
        let local = Subject::Local(organisation, LocalKey::parse("L1").unwrap());
        let records = Records::default();
        for subject in [number, local] {
            assert!(records.read(&subject).is_none());
            let one = ChildRecord::new(subject.clone());
            let presentation = Presentation::new(organisation, EncounterId::parse("E1").unwrap());
            let two = ChildRecord { presentations: vec![presentation], ..one.clone() };
            assert_eq!(records.put(&one), None);
            let first = records.read(&subject).unwrap();
            assert_eq!(first.0, one);
            assert_eq!(records.put(&one), Some(one.clone()));
            let again = records.read(&subject).unwrap();
            assert!(again.0 == one && again.1 != first.1, "published again");
            assert_eq!(records.put(&two), Some(one));
            assert_eq!(records.take(&subject), Some(two));
            assert_eq!(records.take(&subject), None);
            assert!(records.read(&subject).is_none());
        }
    }
}
