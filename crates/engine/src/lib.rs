//! The only order of events: the read path (authorise, index, audit, answer), the write path (check, log, apply,
//! acknowledge) and the start (state into the index, audit into the log). It knows neither tonic, sockets nor
//! certificates, and reads no clock: every moment is an argument.

mod apply;
mod audit_entry;
mod changes;
mod derive;
mod engine;
mod file_import;
mod file_missing;
mod file_rows;
mod files;
mod keys;
mod notifications;
mod open;
mod read;
mod rows;
mod state_hash;
mod verify;
mod working;
mod writer;

pub use audit_entry::{AuditEntry, Decision, Disclosed};
pub use engine::{Engine, EngineOptions, Positions};
pub use files::FilesError;
/// What a process opens the engine with; the store itself stays behind it.
pub use kith_store::{AuditError, AuditMode, AuditRef, JournalOptions, Keys, Monotonic, StoreOptions, SystemMonotonic};
pub use notifications::{NotificationPage, StoredNotification};
pub use open::{EngineError, OnFatal, WallClock};
pub use read::{Answered, Asked, ReadError};
pub use rows::Acknowledgement;
pub use verify::{VerifyError, VerifyReport, inspect, verify};
pub use writer::Verdict;
