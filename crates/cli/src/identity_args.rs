//! The command line of `kith identity`.

use clap::{Args, Subcommand};

use crate::redacted::redacted;

redacted!(ChangeArgs);

/// Verbs about who a number is.
#[derive(Debug, Subcommand)]
pub enum IdentityVerb {
    /// Tell a change of identity; for a certificate of the role demographics alone.
    Tell(TellArgs),
    /// Propose a change of identity to the demographics service. It changes no record and no answer.
    Propose(ProposeArgs),
    /// List proposals, oldest first: your own, or for the demographics service all of them.
    Proposals(ProposalsArgs),
    /// Close a proposal that is not followed; for a certificate of the role demographics alone.
    Decline(DeclineArgs),
}

/// A change of identity.
#[derive(Args)]
pub struct ChangeArgs {
    /// What is told: superseded, number-assigned, link-undone, invalidated, adopted, reinstated, birth-date, died,
    /// death-undone, shielded or unshielded. Adopted is kept and answered as invalidated, and nothing tells the two apart.
    #[arg(value_name = "CHANGE")]
    pub action: String,
    /// The NHS number that it is about.
    #[arg(long, value_name = "NUMBER", required_unless_present = "local_key", conflicts_with = "local_key")]
    pub nhs_number: Option<String>,
    /// The local key that it is about.
    #[arg(long, value_name = "KEY")]
    pub local_key: Option<String>,
    /// Code of the organisation whose local key it is; without it, your own.
    #[arg(long, value_name = "CODE", requires = "local_key")]
    pub key_of: Option<String>,
    /// The NHS number that stands in its place; for superseded and number-assigned alone.
    #[arg(long, value_name = "NUMBER")]
    pub replaced_by: Option<String>,
    /// The date of birth or of death, as YYYY-MM-DD.
    #[arg(long, value_name = "DATE")]
    pub date: Option<String>,
    /// UUID of the change; give the same again to repeat it.
    #[arg(long, value_name = "UUID")]
    pub event_id: Option<String>,
}

/// A change to tell.
#[derive(Debug, Args)]
pub struct TellArgs {
    /// The change.
    #[command(flatten)]
    pub change: ChangeArgs,
    /// Version of what is told of this number or key: a greater one outranks a lesser one.
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..))]
    pub version: u64,
    /// Id of the proposal that it follows.
    #[arg(long, value_name = "ID")]
    pub proposal: Option<u64>,
}

/// A change to propose.
#[derive(Debug, Args)]
pub struct ProposeArgs {
    /// The change.
    #[command(flatten)]
    pub change: ChangeArgs,
}

/// Which proposals.
#[derive(Debug, Args)]
pub struct ProposalsArgs {
    /// Those that have been looked at too.
    #[arg(long)]
    pub all: bool,
}

/// A proposal to close.
#[derive(Debug, Args)]
pub struct DeclineArgs {
    /// Its id.
    pub id: u64,
    /// UUID of the change; give the same again to repeat it.
    #[arg(long, value_name = "UUID")]
    pub event_id: Option<String>,
}
