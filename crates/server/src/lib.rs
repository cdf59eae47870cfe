//! The process around the engine: configuration, TLS, listeners, identity, limits, health, start-up and shutdown.
//! Never decides anything about a child: that is the engine's.

pub mod config;
pub mod directory;
pub mod identity;
pub mod mistakes;
