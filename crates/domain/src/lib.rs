//! What a child's record, a plan, a presentation, a caller, a question, an answer and a change are, and the rules
//! between them. This crate never does I/O, never reads a clock, is never async, and knows neither protobuf nor RocksDB.
//!
//! The rule above all rules: step up, never step down. "None held", "identity not confirmed" and "cannot say" are
//! different values of closed types, and no conversion between them exists.

pub mod answer;
pub mod answering;
#[cfg(test)]
mod answering_tests;
mod as_text;
pub mod audit_query;
pub mod birth;
pub mod caller;
pub mod change;
pub mod child;
mod clock_doubt;
pub mod codes;
pub mod delimited;
pub mod directory;
#[cfg(test)]
mod every_combination_tests;
pub mod family;
pub mod feed;
pub mod feed_health;
mod feed_kept;
pub mod feed_volume;
pub mod fields;
pub mod flag;
pub mod flag_scope;
pub mod fold;
#[cfg(test)]
mod fold_orders_tests;
pub mod identity;
pub mod links;
pub mod method;
pub mod nhs_number;
pub mod notify;
pub mod opening;
pub mod permit;
pub mod plan;
pub mod plan_file;
pub mod policy;
#[cfg(test)]
mod policy_tests;
pub mod presentation;
pub mod proof;
mod redacted;
pub mod refusal_code;
pub mod refused;
pub mod retention;
pub mod settings;
pub mod shield;
mod shown;
pub mod text;
pub mod time;
pub mod transfer;
pub mod trawling;
pub mod validate;
pub mod withholding;
pub mod words;

pub use nhs_number::NhsNumber;
