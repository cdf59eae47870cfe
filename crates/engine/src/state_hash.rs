//! One hash over the whole state: the same log gives the same hash everywhere. It covers plaintext rows, because sealing
//! is random.

use kith_store::{Row, Table};
use ring::digest::{Context, SHA256};
use std::collections::BTreeMap;

/// Hash over rows in order of table and key.
pub(crate) fn of_rows(rows: impl Iterator<Item = Row>) -> [u8; 32] {
    let mut sorted: BTreeMap<(Table, Vec<u8>), Vec<u8>> = BTreeMap::new();
    for row in rows {
        match row.value {
            Some(value) => sorted.insert((row.table, row.key), value),
            None => sorted.remove(&(row.table, row.key)),
        };
    }
    let mut hash = Context::new(&SHA256);
    for ((table, key), value) in &sorted {
        for part in [table.name().as_bytes(), key, value] {
            hash.update(&(part.len() as u64).to_be_bytes());
            hash.update(part);
        }
    }
    let mut bytes = [0; 32];
    bytes.copy_from_slice(hash.finish().as_ref());
    bytes
}
