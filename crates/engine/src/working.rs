//! The state as one commit group sees it: what is held, under what the group has changed so far. A group that cannot be
//! committed is dropped whole.

use crate::carried::CarriedOver;
use crate::flag_rows::FlagMarkRow;
use crate::openings::Noted;
use crate::rows::{CodecError, MetaRow, decode, encode};
use crate::{keys, rows, withholdings};
use kith_domain::change::Feed;
use kith_domain::child::{ChildRecord, Subject};
use kith_domain::codes::LaCode;
use kith_domain::feed_health::FeedRecord;
use kith_domain::links::{Person, Standing};
use kith_store::{Keys, Row, StoreError, Table};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

/// Why the state cannot be read or encoded.
#[derive(Debug, thiserror::Error)]
pub(crate) enum StateError {
    #[error(transparent)]
    Store(#[from] StoreError),
    #[error(transparent)]
    Codec(#[from] CodecError),
}

/// What is held below a working state.
pub(crate) trait Base {
    fn child(&self, subject: &Subject) -> Result<Option<ChildRecord>, StateError>;
    fn row(&self, table: Table, key: &[u8]) -> Result<Option<Vec<u8>>, StateError>;
    /// How many decisions of an authority to withhold stand. A replay, which meets none that was refused, may say fewer.
    fn withheld_by(&self, authority: LaCode) -> usize;
}

/// Nothing is held: the start of a replay.
pub(crate) struct Empty;

impl Base for Empty {
    fn child(&self, _: &Subject) -> Result<Option<ChildRecord>, StateError> {
        Ok(None)
    }

    fn row(&self, _: Table, _: &[u8]) -> Result<Option<Vec<u8>>, StateError> {
        Ok(None)
    }

    fn withheld_by(&self, _: LaCode) -> usize {
        0
    }
}

/// A state being changed.
pub(crate) struct Working<'a> {
    base: &'a dyn Base,
    keys: &'a Keys,
    /// Changed records; `None` for a person about whom nothing is held any more.
    children: BTreeMap<Subject, Option<ChildRecord>>,
    /// Changed rows; `None` for a removed one.
    rows: BTreeMap<(Table, Vec<u8>), Option<Vec<u8>>>,
    feeds: BTreeMap<Feed, FeedRecord>,
    /// What is kept of flags, where the group changes it.
    flags: Option<FlagMarkRow>,
    /// Whose records readers must see before those of the others.
    first: BTreeSet<Subject>,
    openings: Vec<Noted>,
    withheld: Vec<withholdings::Noted>,
    /// Decisions that the last change carried over, until somebody takes them.
    carried: Vec<CarriedOver>,
    /// How many more decisions of an authority stand than below.
    withheld_more: BTreeMap<LaCode, isize>,
    meta: MetaRow,
    meta_changed: bool,
}

/// What a group changed, ready to commit and to publish.
pub(crate) struct Changed {
    pub(crate) rows: Vec<Row>,
    /// Changed records, in the order in which they are to be published.
    pub(crate) children: Vec<ChildRecord>,
    /// People about whom nothing is held any more.
    pub(crate) gone: Vec<Subject>,
    pub(crate) feeds: BTreeMap<Feed, FeedRecord>,
    /// What readers see of openings.
    pub(crate) openings: Vec<Noted>,
    pub(crate) flags: Option<FlagMarkRow>,
    /// What readers see of what is withheld.
    pub(crate) withheld: Vec<withholdings::Noted>,
    pub(crate) meta: MetaRow,
}

impl<'a> Working<'a> {
    pub(crate) fn new(base: &'a dyn Base, keys: &'a Keys, meta: MetaRow) -> Self {
        Self {
            base,
            keys,
            children: BTreeMap::new(),
            rows: BTreeMap::new(),
            feeds: BTreeMap::new(),
            flags: None,
            first: BTreeSet::new(),
            openings: Vec::new(),
            withheld: Vec::new(),
            carried: Vec::new(),
            withheld_more: BTreeMap::new(),
            meta,
            meta_changed: false,
        }
    }

    pub(crate) fn keys(&self) -> &'a Keys {
        self.keys
    }

    /// The record of a subject, to change in place; made when there is none.
    pub(crate) fn child(&mut self, subject: &Subject) -> Result<&mut ChildRecord, StateError> {
        let held = self.peek(subject)?;
        if held.is_none() {
            self.meta_mut().children += 1;
        }
        let record = held.unwrap_or_else(|| ChildRecord::new(subject.clone()));
        let place = self.children.entry(subject.clone()).or_default();
        Ok(place.insert(record))
    }

    /// The record of a subject, without making one.
    pub(crate) fn peek(&self, subject: &Subject) -> Result<Option<ChildRecord>, StateError> {
        match self.children.get(subject) {
            Some(record) => Ok(record.clone()),
            None => self.base.child(subject),
        }
    }

    /// The records of a person, under every number that is linked with `subject`.
    pub(crate) fn person(&self, subject: &Subject) -> Result<Person, StateError> {
        let mut fault = Ok(());
        let faults = std::cell::RefCell::new(&mut fault);
        let find = |subject: &Subject| match self.peek(subject) {
            Ok(record) => record.map(Arc::new),
            Err(error) => {
                **faults.borrow_mut() = Err(error);
                None
            }
        };
        let person = Person::find(find(subject), find);
        fault.map(|()| person)
    }

    /// Readers are to see this record before those of the others that the group changes.
    pub(crate) fn publish_first(&mut self, subject: Subject) {
        self.first.insert(subject);
    }

    /// Readers of openings are to see this, in order.
    pub(crate) fn note_opening(&mut self, noted: Noted) {
        self.openings.push(noted);
    }

    /// Readers of what is withheld are to see this, in order; so many more of its authority's decisions stand with it.
    pub(crate) fn note_withholding(&mut self, noted: withholdings::Noted, more: isize) {
        *self.withheld_more.entry(noted.authority).or_default() += more;
        self.withheld.push(noted);
    }

    /// The audit is to hear of a decision that was carried over.
    pub(crate) fn note_carried(&mut self, over: CarriedOver) {
        self.carried.push(over);
    }

    /// Decisions that were carried over since they were last taken.
    pub(crate) fn take_carried(&mut self) -> Vec<CarriedOver> {
        std::mem::take(&mut self.carried)
    }

    /// How many decisions of an authority to withhold stand.
    pub(crate) fn withheld_by(&self, authority: LaCode) -> usize {
        let more = self.withheld_more.get(&authority).copied().unwrap_or_default();
        self.base.withheld_by(authority).saturating_add_signed(more)
    }

    /// Whether a number, or what stands in its place, is not valid any more.
    pub(crate) fn is_invalid(&self, subject: &Subject) -> Result<bool, StateError> {
        Ok(self.person(subject)?.standing == Standing::Invalid)
    }

    /// Puts what is left of a record in its place; one that holds nothing goes altogether.
    pub(crate) fn replace(&mut self, record: ChildRecord) -> Result<(), StateError> {
        let held = self.peek(&record.subject)?.is_some();
        let gone = record.holds_nothing();
        let meta = self.meta_mut();
        meta.children = (meta.children + u64::from(!held)).saturating_sub(u64::from(gone));
        self.children.insert(record.subject.clone(), (!gone).then_some(record));
        Ok(())
    }

    /// The bytes of a row.
    pub(crate) fn bytes(&self, table: Table, key: &[u8]) -> Result<Option<Vec<u8>>, StateError> {
        match self.rows.get(&(table, key.to_vec())) {
            Some(bytes) => Ok(bytes.clone()),
            None => self.base.row(table, key),
        }
    }

    pub(crate) fn row<T: serde::de::DeserializeOwned>(
        &self,
        table: Table,
        key: &[u8],
    ) -> Result<Option<T>, StateError> {
        Ok(self.bytes(table, key)?.map(|bytes| decode(&bytes)).transpose()?)
    }

    pub(crate) fn put<T: serde::Serialize>(&mut self, table: Table, key: Vec<u8>, row: &T) -> Result<(), StateError> {
        self.rows.insert((table, key), Some(encode(row)?));
        Ok(())
    }

    pub(crate) fn delete(&mut self, table: Table, key: Vec<u8>) {
        self.rows.insert((table, key), None);
    }

    /// What is kept of a feed, to change in place.
    pub(crate) fn feed(&mut self, feed: Feed) -> Result<&mut FeedRecord, StateError> {
        if !self.feeds.contains_key(&feed) {
            let held: Option<FeedRecord> = self.row(Table::Feed, &keys::feed(feed))?;
            self.feeds.insert(feed, held.unwrap_or_default());
        }
        Ok(self.feeds.entry(feed).or_default())
    }

    /// Counts and positions about flags, to change in place.
    pub(crate) fn flags(&mut self) -> Result<&mut FlagMarkRow, StateError> {
        if self.flags.is_none() {
            self.flags = Some(self.row(Table::Flag, keys::FLAG_MARK)?.unwrap_or_default());
        }
        Ok(self.flags.get_or_insert_default())
    }

    pub(crate) fn meta(&self) -> &MetaRow {
        &self.meta
    }

    pub(crate) fn meta_mut(&mut self) -> &mut MetaRow {
        self.meta_changed = true;
        &mut self.meta
    }

    /// Every changed row, encoded, and the changed records.
    pub(crate) fn finish(mut self) -> Result<Changed, StateError> {
        if self.meta_changed {
            let meta = self.meta.clone();
            self.put(Table::Meta, keys::META.to_vec(), &meta)?;
        }
        for (feed, record) in std::mem::take(&mut self.feeds) {
            self.put(Table::Feed, keys::feed(feed), &record)?;
            self.feeds.insert(feed, record);
        }
        if let Some(flags) = self.flags {
            self.put(Table::Flag, keys::FLAG_MARK.to_vec(), &flags)?;
        }
        let mut rows = Vec::with_capacity(self.rows.len() + self.children.len());
        for ((table, key), value) in self.rows {
            rows.push(Row { table, key, value });
        }
        let (mut children, mut gone) = (Vec::with_capacity(self.children.len()), Vec::new());
        for (subject, record) in self.children {
            let key = keys::child(self.keys, &subject);
            let value = record.as_ref().map(rows::encode).transpose()?;
            rows.push(Row { table: Table::Child, key, value });
            match record {
                Some(record) => children.push(record),
                None => gone.push(subject),
            }
        }
        children.sort_by_key(|record| !self.first.contains(&record.subject));
        let (feeds, openings, flags, withheld) = (self.feeds, self.openings, self.flags, self.withheld);
        Ok(Changed { rows, children, gone, feeds, openings, flags, withheld, meta: self.meta })
    }
}
