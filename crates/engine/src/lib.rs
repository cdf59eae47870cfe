//! The only order of events: the read path (authorise, index, audit, answer), the write path (check, log, apply,
//! acknowledge) and the start (state into the index, audit into the log). It knows neither tonic, sockets nor
//! certificates, and reads no clock: every moment is an argument.

mod anchor;
mod answer_counts;
mod apply;
mod audit_entry;
mod audit_mark;
mod audit_page;
mod audit_retention;
mod audit_search;
mod audit_seen;
mod births;
mod break_glass;
mod bursts;
mod carried;
mod changed_one;
mod changes;
mod derive;
mod engine;
mod feed_tally;
mod file_import;
mod file_missing;
mod file_pace;
mod file_rows;
mod files;
mod flag_rows;
mod flags;
#[doc(hidden)]
pub mod fuzz_entry;
mod gaps;
mod identity_apply;
mod keys;
mod linked;
mod loading;
mod names;
mod not_there;
mod notifications;
mod open;
mod openings;
mod own_plans;
mod proposals;
mod purge;
mod purge_apply;
mod purge_guard;
mod quota;
mod read;
mod references;
mod refused_rows;
mod reseal;
mod rows;
mod sightings;
mod state_hash;
mod submitted;
mod telling;
mod times;
mod told_again;
mod tree;
mod unaudited;
mod under_way;
mod untold;
mod verify;
mod watcher;
mod withholdings;
mod working;
mod writer;

pub use answer_counts::AnswerCounts;
pub use audit_entry::{AuditEntry, AuditRead, Call, Code, Configured, Decision, Disclosed, MotherRead, TraceId};
pub use audit_retention::{AuditKept, AuditRemoval};
pub use audit_search::{AuditBounds, AuditEnded, AuditPage, AuditSearchError, MissingEntries};
pub use audit_seen::{SeenChange, SeenEntry, SeenPerson, SeenPlace, Whom};
pub use break_glass::{OpeningError, OpeningPage, SentReview, Viewing, WhyOpened};
pub use carried::CarriedOver;
pub use changed_one::{Became, CHANGED_TOGETHER, ChangedOne, ListedOne, heard};
pub use engine::{Engine, EngineOptions, Positions};
pub use files::{FileSender, FilesError};
pub use flag_rows::{FLAG_UNKNOWN, FlagReview};
pub use flags::{FlagCounts, FlagPage, FlagRates, FlagTotals, FlagsError, StoredFlag};
/// What a process opens the engine with; the store itself stays behind it.
pub use kith_store::{
    AnswerRef, AnswerRefError, AuditError, AuditMode, AuditRef, BOUNDS_NS, Counted, Histogram, JournalOptions,
    KeyEncryptionKey, KeyError, KeyId, KeySource, KeyUses, KeyringEdit, KeyringStamp, KeyringStatus, Keys, Monotonic,
    NewKeys, Sink, StoreOptions, SystemMonotonic, TreeOptions, TrimError, give_way,
};
pub use not_there::NotThere;
pub use notifications::{NotificationPage, StoredNotification};
pub use open::{EngineError, OnFatal, WallClock};
pub use openings::{ListedOpening, OpeningCounts};
pub use own_plans::{OwnChild, OwnPage, Place, place_of};
pub use proposals::{ProposalPage, StoredProposal};
pub use purge::{PurgeError, PurgeOptions, PurgeReport, PurgeStatus};
pub use purge_guard::{Going, Guard, Held};
pub use quota::Quota;
pub use read::{Answered, Asked, Asking, ReadError, Waiting};
pub use references::{ResolveError, Resolved, ResolvedPerson};
pub use refused_rows::EachUntaken;
pub use reseal::{key_uses, resealed_to};
pub use rows::{Acknowledgement, ProposalState};
pub use submitted::Submitted;
pub use times::Times;
pub use tree::{KeepTree, ProveError, ProvenEntry, TreeCheck, TreeHealth, Witnessed};
pub use unaudited::Unaudited;
pub use under_way::Changing;
pub use verify::{RolledBack, VerifyError, VerifyReport, inspect, verify};
pub use withholdings::{StandingWithholding, WithholdingCounts, WithholdingPage};
pub use writer::Verdict;
