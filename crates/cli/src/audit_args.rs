//! The command line of the verbs about the audit.

use clap::{Args, Subcommand};
use kith_merkle::VerifierKey;

use crate::redacted::redacted;

redacted!(SearchArgs, WhoLookedArgs);

/// What to do with the audit.
#[derive(Debug, Subcommand)]
pub enum AuditVerb {
    /// Check that an entry of the audit is under a signed head: of your own organisation's, or as an auditor any.
    ///
    /// The proof is checked here, and nothing is believed that the keys given do not sign. Exit code 0: proven; 25: it is not; 27,
    /// of a reference of 14 letters and digits: the entry which the service names is proven, and that the reference leads to it is
    /// NOT PROVEN.
    Prove(ProveArgs),
    /// Search the audit, newest first; for a certificate of the role auditor.
    ///
    /// Entries of which all that is given holds. A number that you did not ask for is shown as a pseudonym; of a shielded child no
    /// place and no person is shown, and nothing is found by a person, an organisation or a local key. Lookups of a shielded child
    /// by a worklist are shown by no search by number: their organisation's safeguarding team asks for them. The search is itself an
    /// entry. Exit code 0: everything asked for was looked at; 26: it was not, or entries are missing.
    Search(SearchArgs),
    /// Show who looked up a child, newest first: for an auditor, a local authority that holds a plan of the child, or a safeguarding
    /// team.
    ///
    /// An authority sees what was asked while it was responsible. Of a shielded child those who shield see it, without place and
    /// person, and no lookups by a worklist. A safeguarding team, with purpose safeguarding-review, sees who of its own organisation's
    /// people was answered about the child, shielded or not: by a lookup, a worklist, a check-in or an opening, and not who saw the
    /// child in a list or resolved a reference; nobody else's, and not what they were told. The question is itself an entry. Exit
    /// codes as those of search.
    WhoLooked(WhoLookedArgs),
}

/// What to search for.
#[derive(Args)]
pub struct SearchArgs {
    /// About the child with this NHS number, under any of their numbers; - reads it from standard input.
    #[arg(long, value_name = "NUMBER", conflicts_with = "local_key")]
    pub nhs_number: Option<String>,
    /// About the child with this local key of an organisation, under any of their numbers and keys.
    #[arg(long, value_name = "KEY", requires = "key_of")]
    pub local_key: Option<String>,
    /// Code of the organisation whose local key it is.
    #[arg(long, value_name = "CODE", requires = "local_key")]
    pub key_of: Option<String>,
    /// By the person with this identifier, in any organisation.
    #[arg(long, value_name = "ID")]
    pub person: Option<String>,
    /// By somebody of the organisation or authority with this code.
    #[arg(long, value_name = "CODE")]
    pub by_organisation: Option<String>,
    /// The entry with this audit reference. That of an answer about a shielded child is a broker's to resolve.
    #[arg(long, value_name = "REFERENCE")]
    pub reference: Option<String>,
    /// When, and how much.
    #[command(flatten)]
    pub pages: PageArgs,
}

/// Whom to ask about.
#[derive(Args)]
pub struct WhoLookedArgs {
    /// The child's NHS number, with or without spaces; - reads it from standard input.
    #[arg(long, value_name = "NUMBER")]
    pub nhs_number: String,
    /// When, and how much.
    #[command(flatten)]
    pub pages: PageArgs,
}

/// When, and how much of it.
#[derive(Debug, Args)]
pub struct PageArgs {
    /// From this time on, with its offset, for example 2026-11-22T21:40:00+00:00.
    #[arg(long, value_name = "TIME")]
    pub from: Option<String>,
    /// Before this time.
    #[arg(long, value_name = "TIME")]
    pub to: Option<String>,
    /// Entries of one page.
    #[arg(long, value_name = "N", default_value_t = 100, value_parser = clap::value_parser!(u32).range(1..=500))]
    pub page_size: u32,
    /// Go on where an earlier page of the same search ended.
    #[arg(long, value_name = "TOKEN")]
    pub page_token: Option<String>,
    /// All pages, until everything asked for has been looked at.
    #[arg(long)]
    pub all: bool,
}

/// Which entry, and whose signatures are believed.
#[derive(Debug, Args)]
pub struct ProveArgs {
    /// The audit reference of an answer. From that of an answer about a shielded child its asker alone has it proven, and which
    /// entry it is the service says.
    #[arg(value_name = "REFERENCE")]
    pub reference: String,
    /// The audit's public key, as whoever runs the service published it.
    #[arg(long, env = "KITH_AUDIT_KEY", value_name = "KEY")]
    pub log_key: VerifierKey,
    /// The public key of a witness whose cosignature is demanded; may be given more than once.
    #[arg(long = "witness-key", value_name = "KEY")]
    pub witness_keys: Vec<VerifierKey>,
}
