//! The command line of `kith withhold`.

use clap::{Args, Subcommand};

use crate::redacted::redacted;

redacted!(DecideArgs, LiftArgs);

/// Verbs about what your local authority withholds.
#[derive(Debug, Subcommand)]
pub enum WithholdVerb {
    /// Decide to withhold what your authority holds of a child, or decide it anew after looking again.
    ///
    /// Whoever asks about the child is told that something is HELD, that an authority withholds it by a person's decision, and to
    /// ring you. Your plans are not shown, whether you have sent them or send them later; those of other authorities are. It
    /// does not hide where a child is: shield the record for that. It stands until you lift it: when the date to look again has
    /// passed, it is shown as overdue, and nothing else changes. Nor does a birth end it: what you withhold of a mother you withhold of
    /// each baby whose plan begins with the birth, and `list` says that it was carried over.
    Decide(DecideArgs),
    /// Withhold no longer: answers show again what your authority has sent.
    Lift(LiftArgs),
    /// List what your authority withholds, those to look at first before the others.
    List,
}

/// A decision.
#[derive(Args)]
pub struct DecideArgs {
    /// The child's NHS number, with or without spaces; - reads it from standard input.
    #[arg(long, value_name = "NUMBER", required_unless_present = "local_key", conflicts_with = "local_key")]
    pub nhs_number: Option<String>,
    /// Your authority's own key, for a child who has no NHS number yet.
    #[arg(long, value_name = "KEY")]
    pub local_key: Option<String>,
    /// Why: harm-to-child, harm-to-other, investigation or court-order.
    #[arg(long, value_name = "REASON")]
    pub reason: String,
    /// Why, in your own words, at most 500 characters; - reads a line from standard input, after the number's where that is
    /// read too.
    #[arg(long, value_name = "WORDS")]
    pub words: String,
    /// The day on which somebody has to look again, YYYY-MM-DD: from tomorrow to 184 days ahead.
    #[arg(long, value_name = "DATE")]
    pub look_again: String,
    /// UUID of the change; give the same again to repeat it.
    #[arg(long, value_name = "UUID")]
    pub event_id: Option<String>,
}

/// A lift.
#[derive(Args)]
pub struct LiftArgs {
    /// The NHS number that the decision stands under; - reads it from standard input.
    #[arg(long, value_name = "NUMBER", required_unless_present = "local_key", conflicts_with = "local_key")]
    pub nhs_number: Option<String>,
    /// Your authority's own key that the decision stands under.
    #[arg(long, value_name = "KEY")]
    pub local_key: Option<String>,
    /// UUID of the change; give the same again to repeat it.
    #[arg(long, value_name = "UUID")]
    pub event_id: Option<String>,
}
