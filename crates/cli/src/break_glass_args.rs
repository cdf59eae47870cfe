//! The command line of `kith break-glass`.

use clap::{Args, Subcommand};

use crate::args::SubjectArgs;
use crate::redacted::redacted;

redacted!(OpenArgs);

/// Verbs about shielded records that are opened.
#[derive(Debug, Subcommand)]
pub enum BreakGlassVerb {
    /// Ask about one child with a shielded record opened for this one answer; for whom the service's policy grants it.
    ///
    /// Every opening is reviewed by a privacy officer: with --review-accepted you say that you know. The next question finds the
    /// record shut. A record that is not shielded is answered as by kith lookup, and with the same exit codes. Without
    /// --purpose the question is a child-protection-enquiry.
    Open(OpenArgs),
    /// List openings that nobody has reviewed, oldest first: of your organisation, or as an auditor all of them by their days
    /// alone.
    Queue,
    /// Tell what your review of an opening has found. Nobody reviews an opening of their own.
    Review(ReviewArgs),
}

/// A question that opens. What is said of the child may name anybody.
#[derive(Args)]
pub struct OpenArgs {
    /// Whom it is about.
    #[command(flatten)]
    pub subject: SubjectArgs,
    /// Why: immediate-danger, protection-enquiry, missing-child or court-order.
    #[arg(long, value_name = "REASON")]
    pub reason: String,
    /// Why, in your own words, at most 500 characters; - reads a line from standard input, after the number's where that is
    /// read too.
    #[arg(long, value_name = "WORDS")]
    pub words: String,
    /// You have been told that a privacy officer reviews every opening, and go on.
    #[arg(long)]
    pub review_accepted: bool,
    /// The NHS number was traced with the national demographic service.
    #[arg(long)]
    pub traced: bool,
    /// UUID of the question.
    #[arg(long, value_name = "UUID")]
    pub request_id: Option<String>,
}

/// What a review has found.
#[derive(Debug, Args)]
pub struct ReviewArgs {
    /// The opening's reference, as the queue lists it.
    #[arg(value_name = "REFERENCE")]
    pub reference: String,
    /// What you found: justified, not-justified or taken-further.
    #[arg(long, value_name = "OUTCOME")]
    pub outcome: String,
    /// UUID of the change; give the same again to repeat it.
    #[arg(long, value_name = "UUID")]
    pub event_id: Option<String>,
}
