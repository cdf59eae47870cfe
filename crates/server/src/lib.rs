//! The process around the engine: configuration, TLS, listeners, identity, limits, health, start-up and shutdown.
//! Never decides anything about a child: that is the engine's.

mod accept;
mod addresses;
mod answer_times;
pub mod application;
mod audit_key;
#[doc(hidden)]
pub mod bench_entry;
mod client_trust;
pub mod command;
pub mod config;
pub mod connection;
pub mod core_files;
mod dataplane;
pub mod deadline;
pub mod dev_certs;
pub mod directory;
mod edge;
pub mod engine_slot;
mod file_changes;
mod flood;
#[doc(hidden)]
pub mod fuzz_entry;
mod gather;
pub mod health;
pub mod identity;
mod issuers;
mod keys_verb;
mod keys_watch;
pub mod kith;
mod load;
mod metrics;
mod metrics_page;
pub mod mistakes;
pub mod new_key;
mod open_connections;
mod person_tokens;
mod plan_file;
mod policy_file;
mod pulse;
mod quota;
pub mod refusal;
mod reloaded;
mod revocation;
pub mod serve;
mod service_list;
mod services;
mod shares;
mod shed;
mod socket;
pub mod stop;
mod systemd;
mod taking;
pub mod telemetry;
pub mod tls;
mod translate;
mod watch;
