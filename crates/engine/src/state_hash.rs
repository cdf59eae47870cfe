//! One hash over the whole state: the same log gives the same hash everywhere. It covers plaintext rows, because sealing
//! is random.

use kith_store::{Row, StateHash, Table};
use std::collections::BTreeMap;

/// Hash over rows in order of table and key; a later row of the same key stands, or removes it.
pub(crate) fn of_rows(rows: impl Iterator<Item = Row>) -> [u8; 32] {
    let mut sorted: BTreeMap<(Table, Vec<u8>), Vec<u8>> = BTreeMap::new();
    for row in rows {
        match row.value {
            Some(value) => sorted.insert((row.table, row.key), value),
            None => sorted.remove(&(row.table, row.key)),
        };
    }
    let mut hash = StateHash::default();
    for ((table, key), value) in &sorted {
        hash.row(*table, key, value);
    }
    hash.finish()
}
