//! The command line of `kith flags`.

use clap::{Args, Subcommand};

/// Flags about people's use.
#[derive(Debug, Args)]
#[command(args_conflicts_with_subcommands = true)]
pub struct FlagsArgs {
    /// What is shown when nothing else is to be done.
    #[command(flatten)]
    pub shown: ShownArgs,
    /// What to do; without it, show those that nobody has looked into, and the rates.
    #[command(subcommand)]
    pub verb: Option<FlagsVerb>,
}

/// Which flags, and for which days.
#[derive(Debug, Args)]
pub struct ShownArgs {
    /// Flags that have been reviewed too.
    #[arg(long)]
    pub all: bool,
    /// First day of the rates, YYYY-MM-DD; without it, 27 days before the last.
    #[arg(long, value_name = "DATE")]
    pub from: Option<String>,
    /// Last day of the rates, YYYY-MM-DD; without it, today.
    #[arg(long, value_name = "DATE")]
    pub to: Option<String>,
}

/// Verbs about flags.
#[derive(Debug, Subcommand)]
pub enum FlagsVerb {
    /// Tell what became of a flag. Nobody reviews a flag about themselves.
    Review(ReviewArgs),
}

/// What became of a flag.
#[derive(Debug, Args)]
pub struct ReviewArgs {
    /// Its id.
    pub id: u64,
    /// What was found: explained (the person's work accounts for it) or taken-further (it is being looked into further,
    /// outside this service).
    #[arg(long, value_name = "OUTCOME")]
    pub outcome: String,
    /// UUID of the change; give the same again to repeat it.
    #[arg(long, value_name = "UUID")]
    pub event_id: Option<String>,
}
