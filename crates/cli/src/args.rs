//! The command line. Values that may be an identity are plain text here, so that no error message repeats them.

use std::path::PathBuf;

use clap::{Args, Parser, Subcommand, ValueEnum};
use clap_complete::Shell;

use crate::audit_args::AuditVerb;
use crate::break_glass_args::BreakGlassVerb;
use crate::exit::{Exit, TABLE};
use crate::failure::masked;
use crate::flag_args::FlagsArgs;
use crate::identity_args::IdentityVerb;
use crate::redacted::redacted;
use crate::withhold_args::WithholdVerb;

redacted!(PersonArgs, SubjectArgs, LookupArgs, CheckInArgs, CloseArgs);

/// Under the verbs that ask.
const SEE_EXIT_CODES: &str =
    "The exit code tells held, none held, cannot say and could not ask apart: see kith exit-codes.";

/// Is this child known to children's social care, and have they been seen elsewhere?
#[derive(Debug, Parser)]
#[command(name = "kith", version, after_help = TABLE, max_term_width = 100)]
pub struct Cli {
    /// Text for people or JSON for programs.
    #[arg(long, global = true, value_enum, default_value_t = Output::Text)]
    pub output: Output,
    /// How to reach the service.
    #[command(flatten)]
    pub connection: ConnectionArgs,
    /// Who asks.
    #[command(flatten)]
    pub person: PersonArgs,
    /// What to do.
    #[command(subcommand)]
    pub verb: Verb,
}

/// How a result is printed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Output {
    /// For people.
    Text,
    /// For programs: the protocol's field names, and `exit_code`.
    Json,
}

/// How to reach the service. What is not given here comes from the profile.
#[derive(Debug, Args)]
#[command(next_help_heading = "Connection")]
pub struct ConnectionArgs {
    /// Address of the service, host:port or https://host:port.
    #[arg(long, global = true, env = "KITH_SERVER", value_name = "ADDRESS")]
    pub server: Option<String>,
    /// PEM file of the authorities that signed the service's certificate.
    #[arg(long, global = true, env = "KITH_CA", value_name = "FILE")]
    pub ca: Option<PathBuf>,
    /// PEM file of your certificate.
    #[arg(long, global = true, env = "KITH_CERT", value_name = "FILE")]
    pub cert: Option<PathBuf>,
    /// PEM file of your private key.
    #[arg(long, global = true, env = "KITH_KEY", value_name = "FILE")]
    pub key: Option<PathBuf>,
    /// Section of the profile file to use; without it the section [default], if there is one.
    #[arg(long, global = true, env = "KITH_PROFILE", value_name = "NAME")]
    pub profile: Option<String>,
    /// The profile file; without it ~/.config/kith/profiles.toml.
    #[arg(long, global = true, env = "KITH_PROFILE_FILE", value_name = "FILE")]
    pub profile_file: Option<PathBuf>,
    /// Longest time to wait for the connection, and again for one answer, in milliseconds.
    #[arg(long, global = true, env = "KITH_TIMEOUT_MS", value_name = "MS", default_value_t = 5000,
          value_parser = clap::value_parser!(u64).range(1..=600_000))]
    pub timeout_ms: u64,
}

/// Who asks, shown to the next reader. What is not given here comes from the profile.
#[derive(Args)]
#[command(next_help_heading = "Who asks")]
pub struct PersonArgs {
    /// Your identifier in your organisation.
    #[arg(long, global = true, env = "KITH_USER_ID", value_name = "ID", hide_env_values = true)]
    pub user_id: Option<String>,
    /// Your name.
    #[arg(long, global = true, env = "KITH_USER_NAME", value_name = "NAME", hide_env_values = true)]
    pub user_name: Option<String>,
    /// Your role, for example "Triage nurse".
    #[arg(long, global = true, env = "KITH_USER_ROLE", value_name = "ROLE")]
    pub user_role: Option<String>,
    /// The code of your role in your organisation's staff directory, such as R8000
    #[arg(long, global = true, env = "KITH_ROLE_CODE", value_name = "CODE")]
    pub role_code: Option<String>,
    /// Why you ask: direct-care, child-protection-enquiry, safeguarding-review or record-keeping. Without it direct-care
    /// for questions and record-keeping for records.
    #[arg(long, global = true, env = "KITH_PURPOSE", value_name = "PURPOSE")]
    pub purpose: Option<String>,
    /// Your organisation's code; without it, what your certificate says.
    #[arg(long, global = true, env = "KITH_ORGANISATION", value_name = "CODE")]
    pub organisation: Option<String>,
    /// File with the signed token that proves you, where the service asks your organisation's people for one.
    #[arg(long, global = true, env = "KITH_PERSON_TOKEN_FILE", value_name = "FILE")]
    pub person_token_file: Option<PathBuf>,
}

/// What to do.
#[derive(Debug, Subcommand)]
pub enum Verb {
    /// Ask about one child.
    #[command(after_help = SEE_EXIT_CODES)]
    Lookup(LookupArgs),
    /// Record a presentation and ask, in one call: what triage does.
    #[command(after_help = SEE_EXIT_CODES)]
    CheckIn(CheckInArgs),
    /// Push plans of your local authority.
    #[command(subcommand)]
    Plans(PlansVerb),
    /// Push or close presentations of your organisation.
    #[command(subcommand)]
    Presentations(PresentationsVerb),
    /// Read or acknowledge your local authority's access notifications.
    Notifications(NotificationsArgs),
    /// Tell or propose who a number is.
    #[command(subcommand)]
    Identity(IdentityVerb),
    /// Show what state the service is in.
    Status(StatusArgs),
    /// Show the health of feeds, those in trouble first: all of them for operations, its own for a sender.
    Feeds,
    /// Show flags about how people use the service and how many there are, or tell what became of one: a safeguarding team
    /// sees those of its own organisation's people, an auditor those of all that tell no shielded child's place. Nothing here
    /// is of a child.
    Flags(FlagsArgs),
    /// Read the audit, and check proofs about it.
    #[command(subcommand)]
    Audit(AuditVerb),
    /// Find the child of an answer about a shielded child by the reference that was read out; for a certificate of the role broker.
    ///
    /// Shows which child it was, who asked, and who shields the record, with the number to ring now, so that you can bring the two
    /// together. It is in the audit that you did.
    Resolve(ResolveArgs),
    /// Open a shielded record for one answer, or look into what was opened.
    #[command(subcommand)]
    BreakGlass(BreakGlassVerb),
    /// Withhold what your local authority holds of a child, by a person's decision, and look again.
    #[command(subcommand)]
    Withhold(WithholdVerb),
    /// Serve a MESH mailbox: import the plan files in it and answer each with its verdict, until told to end.
    ///
    /// Everything it needs stands in the configuration file; the options about connection and person are not used. Each
    /// look into the inbox is one line of counts. With --once: 0 all done, 20 something waits for the next time, 21 MESH
    /// refused the mailbox, 22 the configuration cannot be used, 23 a message of an unlisted sender or another workflow
    /// stays in the inbox.
    Mesh(MeshArgs),
    /// Print a completion script for a shell.
    Completions {
        /// The shell.
        #[arg(value_enum)]
        shell: Shell,
    },
    /// Show what each exit code means.
    #[command(name = "exit-codes", after_help = TABLE)]
    ExitCodes,
}

/// A reference to resolve.
#[derive(Debug, Args)]
pub struct ResolveArgs {
    /// The reference of the answer: 14 letters and digits, with or without spaces.
    #[arg(value_name = "REFERENCE", required = true, num_args = 1..)]
    pub reference: Vec<String>,
}

/// Whom the question is about.
#[derive(Args)]
pub struct SubjectArgs {
    /// NHS number, with or without spaces; - reads it from standard input.
    #[arg(long, value_name = "NUMBER", required_unless_present = "local_key", conflicts_with = "local_key")]
    pub nhs_number: Option<String>,
    /// Your organisation's own key, for a child who has no NHS number yet.
    #[arg(long, value_name = "KEY")]
    pub local_key: Option<String>,
    /// Birth date, YYYY-MM-DD.
    #[arg(long, value_name = "DATE")]
    pub date_of_birth: Option<String>,
}

/// A question.
#[derive(Args)]
pub struct LookupArgs {
    /// Whom it is about.
    #[command(flatten)]
    pub subject: SubjectArgs,
    /// Planned care; without it the question counts as unscheduled and the authority is told.
    #[arg(long)]
    pub scheduled: bool,
    /// The NHS number was traced with the national demographic service.
    #[arg(long, overrides_with = "not_traced")]
    pub traced: bool,
    /// The NHS number was not traced; so it is taken without either flag.
    #[arg(long)]
    pub not_traced: bool,
    /// The mother's NHS number, for a baby: plans about her unborn child are shown too; - reads it from standard input.
    #[arg(long, value_name = "NUMBER")]
    pub mother_nhs_number: Option<String>,
    /// UUID of the question; give the same again to repeat it.
    #[arg(long, value_name = "UUID")]
    pub request_id: Option<String>,
}

/// A presentation and a question.
#[derive(Args)]
pub struct CheckInArgs {
    /// The question.
    #[command(flatten)]
    pub lookup: LookupArgs,
    /// ODS code of the site.
    #[arg(long, value_name = "CODE")]
    pub site: String,
    /// Your organisation's own id of the encounter.
    #[arg(long, value_name = "ID")]
    pub encounter_id: String,
    /// Version of the encounter, from 1.
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = clap::value_parser!(u64).range(1..))]
    pub version: u64,
    /// Arrival with its offset, for example 2026-11-22T21:40:00+00:00; without it, now.
    #[arg(long, value_name = "TIME")]
    pub arrived_at: Option<String>,
    /// Setting: emergency-department, walk-in-centre, minor-injuries-unit, urgent-treatment-centre, ambulance or
    /// out-of-hours.
    #[arg(long, value_name = "SETTING", default_value = "emergency-department")]
    pub care_setting: String,
    /// Complaint group, for example head-injury; not-recorded when it is not known.
    #[arg(long, value_name = "GROUP")]
    pub complaint: String,
    /// UUID of the change; without it, one made of organisation, encounter and version, so that a retry repeats it.
    #[arg(long, value_name = "UUID")]
    pub event_id: Option<String>,
}

/// Verbs about plans.
#[derive(Debug, Subcommand)]
pub enum PlansVerb {
    /// Push a plan file: a CSV file that says in its first line which number it has and whether it is a snapshot.
    ///
    /// The first line: kith-plans,1,NUMBER,changes or kith-plans,1,NUMBER,snapshot,report-missing (or end-missing). The
    /// second: the columns nhs_number, date_of_birth, plan, start, end, reference, family, remark, in any order. A bad row
    /// is reported with its line; the others are loaded. The same file can be sent again at any time.
    Push(PlanFileArgs),
    /// List what is held of your own plans, to be compared with your records; nothing of anybody else's is shown.
    List,
    /// Show which number your next file must have.
    Position,
    /// Set the number that an authority's next file must have; for a certificate of the role ops alone.
    Reset(ResetArgs),
}

/// A plan file to push.
#[derive(Debug, Args)]
pub struct PlanFileArgs {
    /// The file.
    pub file: PathBuf,
    /// Write the verdict on every row to this CSV file.
    #[arg(long, value_name = "FILE")]
    pub verdict: Option<PathBuf>,
}

/// A file number to set.
#[derive(Debug, Args)]
pub struct ResetArgs {
    /// GSS code of the authority.
    #[arg(value_name = "CODE")]
    pub authority: String,
    /// The number that its next file must have.
    #[arg(value_name = "N", value_parser = clap::value_parser!(u64).range(1..))]
    pub next: u64,
    /// UUID of the change; give the same again to repeat it.
    #[arg(long, value_name = "UUID")]
    pub event_id: Option<String>,
}

/// Verbs about presentations.
#[derive(Debug, Subcommand)]
pub enum PresentationsVerb {
    /// Push a CSV file of past presentations. Nobody is notified.
    ///
    /// A file with a header only tells the service that there is nothing to send, and keeps the feed in time.
    /// Columns, in any order: site, encounter_id, version, nhs_number, date_of_birth, arrived_at, care_setting, complaint,
    /// outcome, outcome_at, and if wanted event_id. A bad row is reported with its line; the others are pushed. The file
    /// can be sent again at any time.
    Push(FileArgs),
    /// Give a presentation its outcome.
    Close(CloseArgs),
}

/// A file to push.
#[derive(Debug, Args)]
pub struct FileArgs {
    /// The CSV file.
    pub file: PathBuf,
}

/// The outcome of a presentation.
#[derive(Args)]
pub struct CloseArgs {
    /// Whom it is about, as recorded.
    #[command(flatten)]
    pub subject: SubjectArgs,
    /// Your organisation's own id of the encounter.
    #[arg(long, value_name = "ID")]
    pub encounter_id: String,
    /// Version of the encounter, greater than the one recorded.
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..))]
    pub version: u64,
    /// Outcome: waiting, discharged, admitted, transferred, left-before-being-seen, left-against-advice,
    /// discharged-with-concerns-recorded, died or entered-in-error.
    #[arg(long, value_name = "OUTCOME")]
    pub outcome: String,
    /// When, with its offset; without it, now.
    #[arg(long, value_name = "TIME")]
    pub outcome_at: Option<String>,
    /// UUID of the change; without it a new one when --outcome-at is not given, else one made of the change.
    #[arg(long, value_name = "UUID")]
    pub event_id: Option<String>,
}

/// Access notifications.
#[derive(Debug, Args)]
pub struct NotificationsArgs {
    /// What to do with them; without it, list.
    #[command(subcommand)]
    pub verb: Option<NotificationsVerb>,
}

/// Verbs about notifications.
#[derive(Debug, Subcommand)]
pub enum NotificationsVerb {
    /// List them, oldest first.
    List(ListArgs),
    /// Acknowledge them.
    Acknowledge {
        /// Their ids.
        #[arg(required = true, num_args = 1..=500)]
        ids: Vec<u64>,
        /// UUID of the change.
        #[arg(long, value_name = "UUID")]
        event_id: Option<String>,
    },
}

/// Which notifications.
#[derive(Debug, Args)]
pub struct ListArgs {
    /// Acknowledged ones too.
    #[arg(long)]
    pub all: bool,
    /// At most so many.
    #[arg(long, value_name = "N", default_value_t = 100, value_parser = clap::value_parser!(u32).range(1..=10_000))]
    pub limit: u32,
}

/// A mailbox to serve.
#[derive(Debug, Args)]
pub struct MeshArgs {
    /// The configuration file.
    #[arg(long, env = "KITH_MESH_CONFIG", value_name = "FILE", default_value = "/etc/kith-mesh/mesh.toml")]
    pub config: PathBuf,
    /// Look into the inbox once and end.
    #[arg(long)]
    pub once: bool,
}

/// State of the service.
#[derive(Debug, Args)]
pub struct StatusArgs {
    /// List every feed; for a certificate of the role ops alone.
    #[arg(long)]
    pub feeds: bool,
}

/// Shows help or a usage error; a mistyped argument may be an NHS number, so digits are masked.
pub fn usage(error: &clap::Error) -> Exit {
    if error.use_stderr() {
        eprint!("{}", masked(&error.render().to_string()));
        return Exit::Usage;
    }
    match error.print() {
        Ok(()) => Exit::Done,
        Err(_) => Exit::Usage,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::CommandFactory;

    fn parse(line: &str) -> Result<Cli, clap::Error> {
        Cli::try_parse_from(line.split(' '))
    }

    #[test]
    fn the_definition_is_sound() {
        Cli::command().debug_assert();
    }

    #[test]
    fn help_documents_the_exit_codes() {
        let help = Cli::command().render_help().to_string();
        assert!(help.contains("11  none held") && help.contains("20  could not ask"));
    }

    #[test]
    fn global_flags_stand_anywhere() {
        let cli = parse("kith lookup --nhs-number 9990000018 --traced --output json --server a:1").unwrap();
        assert_eq!((cli.output, cli.connection.server.as_deref()), (Output::Json, Some("a:1")));
        assert!(parse("kith --server a:1 status --feeds").is_ok());
        assert!(parse("kith notifications").is_ok());
    }

    #[test]
    fn a_question_needs_one_subject() {
        assert!(parse("kith lookup").is_err());
        assert!(parse("kith lookup --nhs-number 1 --local-key 2").is_err());
        assert!(parse("kith lookup --local-key 2").is_ok());
    }

    #[test]
    fn a_shielded_record_is_opened_with_a_reason_and_words() {
        let open = "kith break-glass open --nhs-number 1 --reason missing-child --words gone";
        assert!(parse(open).is_ok());
        for left_out in ["--nhs-number 1 ", "--reason missing-child ", " --words gone"] {
            assert!(parse(&open.replace(left_out, "")).is_err(), "{left_out}");
        }
        assert!(parse("kith break-glass queue").is_ok());
        assert!(parse("kith break-glass review 1").is_err(), "without an outcome");
    }

    #[test]
    fn a_decision_to_withhold_needs_a_number_a_reason_words_and_a_date_and_shows_none_of_them() {
        let decide = "kith withhold decide --nhs-number 1 --reason court-order --words typed --look-again 2026-12-24";
        let shown = format!("{:?}", parse(decide).unwrap_or_else(|error| panic!("{error}")));
        assert!(shown.contains("DecideArgs(redacted)") && !shown.contains("typed"), "{shown}");
        for left_out in ["--nhs-number 1 ", "--reason court-order ", "--words typed ", " --look-again 2026-12-24"] {
            assert!(parse(&decide.replace(left_out, "")).is_err(), "{left_out}");
        }
        assert!(parse("kith withhold list").is_ok());
        assert!(parse("kith withhold lift").is_err(), "without a number");
    }

    #[test]
    fn a_usage_error_never_repeats_an_nhs_number() {
        for line in
            ["kith lookup 9990000018", "kith lookup --nhs-number 9990000018 --version 9990000018", "kith 9990000018"]
        {
            let error = parse(line).unwrap_err();
            let shown = masked(&error.render().to_string());
            assert!(!shown.contains("9990000018"), "{shown}");
        }
    }
}
