//! Verifying: every block, row, record and link of the store is read again, and what is wrong is named.
//! It never changes anything and never stops at the first fault.

use std::fmt;
use std::ops::ControlFlow;

use rocksdb::DB;

use super::{LogWalk, Store, StoreError, Table, open_record, rocks, scan_sealed};
use crate::seal::{self, SealError};
use crate::watermark::{Head, Watermark};

/// Most faults listed one by one; beyond them only their number grows.
pub const MAX_FAULTS_LISTED: usize = 1_000;

/// One thing that is wrong.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum StoreFault {
    /// RocksDB could not read on: a checksum differs or a file is missing. Rows after it were not checked.
    #[error("table {table}: {what}")]
    Unreadable {
        /// The table's name, or `log`.
        table: &'static str,
        /// RocksDB's words.
        what: String,
    },
    /// A row does not open under its key.
    #[error("table {table}, row {}: {source}", hex::encode(.key))]
    Sealed {
        /// The table's name.
        table: &'static str,
        /// The row's key.
        key: Vec<u8>,
        /// Why.
        source: SealError,
    },
    /// A log record is missing, out of place or does not open.
    #[error("log record {sequence}: {what}")]
    Log {
        /// Its number.
        sequence: u64,
        /// What is wrong.
        what: &'static str,
    },
    /// The chain over the records is not the one in the head row.
    #[error("log: chain differs from the head at record {sequence}")]
    Chain {
        /// The head's sequence.
        sequence: u64,
    },
    /// The snapshot that the log was trimmed behind is missing, damaged or not of this log.
    #[error("snapshot: {0}")]
    Snapshot(String),
    /// The watermark is missing, damaged, beyond the head or not of this log.
    #[error("watermark: {0}")]
    Watermark(String),
}

/// What [`Store::verify`] found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoreReport {
    /// The head that was verified against.
    pub head: Head,
    /// The watermark; `None` when it could not be read.
    pub watermark: Option<Head>,
    /// Where the log was trimmed; records up to there are in the snapshot's state.
    pub trimmed: Head,
    /// Log records read.
    pub log_records: u64,
    /// Rows read in each table.
    pub rows: Vec<(Table, u64)>,
    /// What is wrong, at most [`MAX_FAULTS_LISTED`] of it.
    pub faults: Vec<StoreFault>,
    /// Faults found beyond those listed.
    pub more_faults: u64,
}

impl StoreReport {
    /// Whether nothing is wrong.
    #[must_use]
    pub fn is_sound(&self) -> bool {
        self.faults.is_empty() && self.more_faults == 0
    }

    fn add(&mut self, fault: StoreFault) {
        if self.faults.len() < MAX_FAULTS_LISTED {
            self.faults.push(fault);
        } else {
            self.more_faults += 1;
        }
    }
}

impl fmt::Display for StoreReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "log: {} records, head {}", self.log_records, self.head.sequence)?;
        if self.trimmed.sequence > 0 {
            writeln!(f, "snapshot: the state at record {}, the log begins after it", self.trimmed.sequence)?;
        }
        if let Some(mark) = self.watermark.filter(|mark| mark.sequence < self.head.sequence) {
            let beyond = self.head.sequence - mark.sequence;
            writeln!(f, "watermark: {}, {beyond} records after it were not acknowledged", mark.sequence)?;
        }
        for (table, rows) in &self.rows {
            writeln!(f, "table {}: {rows} rows", table.name())?;
        }
        for fault in &self.faults {
            writeln!(f, "FAULT {fault}")?;
        }
        if self.more_faults > 0 {
            writeln!(f, "FAULT and {} more", self.more_faults)?;
        }
        Ok(())
    }
}

impl Store {
    /// Reads everything again: block checksums, every row opened under its key, the chain recomputed from the
    /// first record, the watermark held against the head. Meant for a store that is not being written to.
    ///
    /// # Errors
    /// [`StoreError::Closed`] only; everything else is a fault in the report.
    pub fn verify(&self) -> Result<StoreReport, StoreError> {
        let guard = self.database();
        let db = guard.as_ref().ok_or(StoreError::Closed)?;
        let mut report = StoreReport {
            head: self.head(),
            watermark: None,
            trimmed: self.trimmed().head,
            log_records: 0,
            rows: Vec::new(),
            faults: Vec::new(),
            more_faults: 0,
        };
        self.verify_watermark(&mut report);
        if let Err(error) = self.snapshot_rows(&mut |_, _, _| ControlFlow::Continue(())) {
            report.add(StoreFault::Snapshot(error.to_string()));
        }
        self.verify_log(db, &mut report);
        for table in Table::ALL {
            self.verify_table(db, table, &mut report);
        }
        Ok(report)
    }

    fn verify_watermark(&self, report: &mut StoreReport) {
        match Watermark::read(&Watermark::path(&self.dir)) {
            Ok(Some(reading)) => {
                report.watermark = Some(reading.head);
                if !reading.both_whole {
                    report.add(StoreFault::Watermark("one of two slots is damaged".to_owned()));
                }
                // A head above the watermark was committed and not yet acknowledged when the process was killed.
                if report.head.sequence < reading.head.sequence {
                    let what = format!("at {}, the head is at {}", reading.head.sequence, report.head.sequence);
                    report.add(StoreFault::Watermark(what));
                }
            }
            Ok(None) => report.add(StoreFault::Watermark("the file is missing".to_owned())),
            Err(error) => report.add(StoreFault::Watermark(error.to_string())),
        }
    }

    fn verify_log(&self, db: &DB, report: &mut StoreReport) {
        let (head, watermark) = (report.head, report.watermark);
        let mut walk = LogWalk::new(report.trimmed.sequence + 1, report.trimmed.chain);
        let read = scan_sealed(db, rocks::LOG, &[], &[], &mut |key, sealed| {
            let number = walk.step(key, sealed)?;
            report.log_records += 1;
            if number == head.sequence && walk.chain != head.chain {
                report.add(StoreFault::Chain { sequence: number });
            }
            if watermark.is_some_and(|mark| mark.sequence == number && mark.chain != walk.chain) {
                let what = format!("its chain is not that of the log at record {number}");
                report.add(StoreFault::Watermark(what));
            }
            if let Err(StoreError::Log { sequence, what }) = open_record(&self.keys, number, sealed) {
                report.add(StoreFault::Log { sequence, what });
            }
            Ok(ControlFlow::Continue(()))
        });
        match read {
            Ok(()) if walk.next != head.sequence + 1 => {
                let (sequence, what) = if walk.next <= head.sequence {
                    (walk.next, "missing")
                } else {
                    (head.sequence + 1, "beyond the head")
                };
                report.add(StoreFault::Log { sequence, what });
            }
            Ok(()) => {}
            Err(StoreError::Log { sequence, what }) => report.add(StoreFault::Log { sequence, what }),
            Err(error) => report.add(StoreFault::Unreadable { table: rocks::LOG, what: error.to_string() }),
        }
    }

    fn verify_table(&self, db: &DB, table: Table, report: &mut StoreReport) {
        let mut rows = 0;
        let read = scan_sealed(db, table.name(), &[], &[], &mut |key, sealed| {
            rows += 1;
            if let Err(source) = seal::open(&self.keys, table.name(), key, sealed) {
                report.add(StoreFault::Sealed { table: table.name(), key: key.to_vec(), source });
            }
            Ok(ControlFlow::Continue(()))
        });
        report.rows.push((table, rows));
        if let Err(error) = read {
            report.add(StoreFault::Unreadable { table: table.name(), what: error.to_string() });
        }
    }
}
