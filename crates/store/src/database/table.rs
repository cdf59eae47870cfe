//! The tables of the store and what one commit carries.
//! It never knows what a row means: keys and values are the engine's.

use std::fmt;

/// A table of rows that the engine keeps. Each is a column family of its own.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Table {
    /// Subjects: what is known of each child or mother.
    Child,
    /// Event ids already applied, with their acknowledgement.
    Event,
    /// Plans.
    Plan,
    /// Presentations.
    Encounter,
    /// Access notifications waiting for an authority.
    Notification,
    /// Feed health.
    Feed,
    /// Everything small: counters, positions, settings fixed at creation.
    Meta,
    /// Where each authority's files stand.
    File,
    /// Identity changes that organisations propose.
    Proposal,
    /// Openings of shielded records.
    Opening,
    /// Flags about people's use, and counts about them.
    Flag,
    /// What authorities withhold.
    Withholding,
}

impl Table {
    /// Every table, in the order of their column families.
    pub const ALL: [Self; 12] = [
        Self::Child,
        Self::Event,
        Self::Plan,
        Self::Encounter,
        Self::Notification,
        Self::Feed,
        Self::Meta,
        Self::File,
        Self::Proposal,
        Self::Opening,
        Self::Flag,
        Self::Withholding,
    ];

    /// The name of the column family, also bound into every sealed value. Never changes.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Child => "child",
            Self::Event => "event",
            Self::Plan => "plan",
            Self::Encounter => "enc",
            Self::Notification => "notif",
            Self::Feed => "feed",
            Self::Meta => "meta",
            Self::File => "file",
            Self::Proposal => "prop",
            Self::Opening => "open",
            Self::Flag => "flag",
            Self::Withholding => "hold",
        }
    }

    /// The table of a name; `None` for one that this version does not know.
    pub(crate) fn named(name: &[u8]) -> Option<Self> {
        Self::ALL.into_iter().find(|table| table.name().as_bytes() == name)
    }

    /// Whether rows are mostly asked for one by one, so that a bloom filter pays.
    pub(crate) const fn has_bloom(self) -> bool {
        match self {
            Self::Child | Self::Event | Self::Plan | Self::Encounter => true,
            Self::Notification
            | Self::Feed
            | Self::Meta
            | Self::File
            | Self::Proposal
            | Self::Opening
            | Self::Flag
            | Self::Withholding => false,
        }
    }
}

/// One change of a row.
#[derive(Clone, PartialEq, Eq)]
pub struct Row {
    /// The table.
    pub table: Table,
    /// The key, at most [`MAX_KEY_BYTES`] long, stored as it is: a pseudonym, never an identity.
    pub key: Vec<u8>,
    /// The new plaintext value, sealed before it is written; `None` deletes the row.
    pub value: Option<Vec<u8>>,
}

impl fmt::Debug for Row {
    /// Shows sizes only: keys and values are not for logs.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let value = self.value.as_ref().map(Vec::len);
        write!(f, "Row({}, key of {} bytes, value of {value:?} bytes)", self.table.name(), self.key.len())
    }
}

/// What one commit writes, all or nothing.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Batch {
    /// Plaintext log records, in order; each gets the next sequence number. May be empty for rows that can be
    /// derived again, and then the head does not move.
    pub log: Vec<Vec<u8>>,
    /// Row changes, applied in order: a later one wins over an earlier one of the same key.
    pub rows: Vec<Row>,
}

impl fmt::Debug for Batch {
    /// Shows sizes only.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Batch({} records, {} rows)", self.log.len(), self.rows.len())
    }
}

/// Longest row key, in bytes: two pseudonyms and some ordering fields fit many times over.
pub const MAX_KEY_BYTES: usize = 256;
/// Longest log record or row value, in bytes: far over any change, far under what would stall the log.
pub const MAX_VALUE_BYTES: usize = 1 << 20;
/// Most log records and rows in one batch, together: bounds the memory of a commit group.
pub const MAX_BATCH_ITEMS: usize = 262_144;
/// Most bytes of keys and values in one batch: bounds one write to the disk.
pub const MAX_BATCH_BYTES: usize = 64 << 20;

/// Why a batch is refused whatever the state of the disk.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum BatchFault {
    /// A key is empty or too long.
    #[error("key of {found} bytes, expected 1 to {MAX_KEY_BYTES}")]
    Key {
        /// Its length, in bytes.
        found: usize,
    },
    /// A record or value is too long.
    #[error("value of {found} bytes, expected at most {MAX_VALUE_BYTES}")]
    Value {
        /// Its length, in bytes.
        found: usize,
    },
    /// Too many records and rows.
    #[error("{found} records and rows, expected at most {MAX_BATCH_ITEMS}")]
    Items {
        /// How many.
        found: usize,
    },
    /// Too many bytes.
    #[error("{found} bytes, expected at most {MAX_BATCH_BYTES}")]
    Bytes {
        /// How many.
        found: usize,
    },
}

impl Batch {
    /// Whether there is nothing to write.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.log.is_empty() && self.rows.is_empty()
    }

    /// Holds the batch against the bounds above.
    pub(crate) fn check(&self) -> Result<(), BatchFault> {
        let items = self.log.len() + self.rows.len();
        if items > MAX_BATCH_ITEMS {
            return Err(BatchFault::Items { found: items });
        }
        let mut bytes = 0_usize;
        for record in &self.log {
            check_value(record)?;
            bytes += record.len();
        }
        for row in &self.rows {
            if row.key.is_empty() || row.key.len() > MAX_KEY_BYTES {
                return Err(BatchFault::Key { found: row.key.len() });
            }
            bytes += row.key.len();
            if let Some(value) = &row.value {
                check_value(value)?;
                bytes += value.len();
            }
        }
        if bytes > MAX_BATCH_BYTES {
            return Err(BatchFault::Bytes { found: bytes });
        }
        Ok(())
    }
}

fn check_value(value: &[u8]) -> Result<(), BatchFault> {
    if value.len() > MAX_VALUE_BYTES {
        return Err(BatchFault::Value { found: value.len() });
    }
    Ok(())
}
