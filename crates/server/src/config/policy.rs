//! The section of the configuration that names the policy.

use std::path::PathBuf;

use serde::{Deserialize, Serialize};

/// Who may do what.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Policy {
    /// The file; the built-in policy is in force without one.
    pub file: PathBuf,
}
