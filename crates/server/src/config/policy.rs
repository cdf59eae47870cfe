//! The sections of the configuration that name files which count as soon as they change: the policy, and the list of
//! organisations whose people are proven by tokens.

use std::path::PathBuf;

use serde::{Deserialize, Serialize};

/// Who may do what.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Policy {
    /// The file; the built-in policy is in force without one.
    pub file: PathBuf,
}

/// Whose people are proven by tokens.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct PersonTokens {
    /// The file; without one nobody is asked for a token.
    pub file: PathBuf,
}
