//! The command line of the verbs about the audit.

use clap::{Args, Subcommand};
use kith_merkle::VerifierKey;

/// What to do with the audit.
#[derive(Debug, Subcommand)]
pub enum AuditVerb {
    /// Check that an entry of the audit is under a signed head: of your own organisation's, or as an auditor any.
    ///
    /// The proof is checked here, and nothing is believed that the keys given do not sign. Exit code 0: proven; 25: it is not.
    Prove(ProveArgs),
}

/// Which entry, and whose signatures are believed.
#[derive(Debug, Args)]
pub struct ProveArgs {
    /// The audit reference of an answer.
    #[arg(value_name = "REFERENCE")]
    pub reference: String,
    /// The audit's public key, as whoever runs the service published it.
    #[arg(long, env = "KITH_AUDIT_KEY", value_name = "KEY")]
    pub log_key: VerifierKey,
    /// The public key of a witness whose cosignature is demanded; may be given more than once.
    #[arg(long = "witness-key", value_name = "KEY")]
    pub witness_keys: Vec<VerifierKey>,
}
