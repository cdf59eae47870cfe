//! Runs one verb: settings, connection, request, result. Every verb gives one result or one failure, and one place prints
//! it and gives the exit code.

mod audit;
mod audit_changes;
mod audit_looks;
mod audit_pages;
mod audit_search;
mod break_glass;
mod check_in;
mod feeds;
mod flags;
mod identity;
mod lookup;
mod notifications;
mod own_plans;
mod plans;
mod presentations;
mod resolve;
mod status;
mod withhold;

use std::io::{IsTerminal, Write};

use clap::CommandFactory;
use serde_json::Value as Json;

use crate::args::{Cli, NotificationsVerb, Output, PlansVerb, PresentationsVerb, Verb};
use crate::audit_args::AuditVerb;
use crate::break_glass_args::BreakGlassVerb;
use crate::exit::{Exit, TABLE};
use crate::failure::{Failure, masked};
use crate::flag_args::FlagsVerb;
use crate::identity_args::IdentityVerb;
use crate::mesh;
use crate::render::Page;
use crate::settings::Settings;
use crate::withhold_args::WithholdVerb;

/// What a verb found or did.
pub struct Done {
    /// For people.
    pub text: Text,
    /// For programs; `exit_code` is among it.
    pub json: Json,
    /// The exit code.
    pub exit: Exit,
}

/// Text for people.
pub enum Text {
    /// With places that ask for attention.
    Page(Page),
    /// As it is.
    Plain(String),
}

/// Runs a verb and prints its result.
pub fn run(cli: Cli) -> Exit {
    let Cli { connection, person, output, verb } = cli;
    let question = matches!(verb, Verb::Lookup(_) | Verb::CheckIn(_) | Verb::BreakGlass(BreakGlassVerb::Open(_)));
    let result = match verb {
        Verb::Completions { shell } => return completions(shell),
        Verb::ExitCodes => return finish(&format!("{TABLE}\n"), Exit::Done),
        Verb::Mesh(args) => mesh::run(&args, output),
        Verb::Lookup(_)
        | Verb::CheckIn(_)
        | Verb::Plans(_)
        | Verb::Presentations(_)
        | Verb::Notifications(_)
        | Verb::Identity(_)
        | Verb::Status(_)
        | Verb::Audit(_)
        | Verb::Resolve(_)
        | Verb::BreakGlass(_)
        | Verb::Flags(_)
        | Verb::Withhold(_)
        | Verb::Feeds => Settings::new(connection, person).and_then(|settings| online(&settings, verb)),
    };
    match result {
        Ok(done) => print(done, output),
        Err(failure) => fail(&failure, output, question),
    }
}

fn online(settings: &Settings, verb: Verb) -> Result<Done, Failure> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let runtime = runtime.map_err(|error| Failure::could_not_ask(format!("failed to start: {error}")))?;
    runtime.block_on(async {
        match verb {
            Verb::Lookup(args) => lookup::run(settings, &args).await,
            Verb::CheckIn(args) => check_in::run(settings, &args).await,
            Verb::Plans(PlansVerb::Push(args)) => plans::push(settings, &args).await,
            Verb::Plans(PlansVerb::List) => own_plans::run(settings).await,
            Verb::Plans(PlansVerb::Position) => plans::position(settings).await,
            Verb::Plans(PlansVerb::Reset(args)) => plans::reset(settings, &args).await,
            Verb::Presentations(PresentationsVerb::Push(args)) => presentations::push(settings, &args).await,
            Verb::Presentations(PresentationsVerb::Close(args)) => presentations::close(settings, &args).await,
            Verb::Notifications(args) => match args.verb {
                None => notifications::list(settings, false, notifications::USUAL_LIMIT).await,
                Some(NotificationsVerb::List(args)) => notifications::list(settings, args.all, args.limit).await,
                Some(NotificationsVerb::Acknowledge { ids, event_id }) => {
                    notifications::acknowledge(settings, ids, event_id.as_deref()).await
                }
            },
            Verb::Identity(IdentityVerb::Tell(args)) => identity::tell(settings, &args).await,
            Verb::Identity(IdentityVerb::Propose(args)) => identity::propose(settings, &args).await,
            Verb::Identity(IdentityVerb::Proposals(args)) => identity::proposals(settings, &args).await,
            Verb::Identity(IdentityVerb::Decline(args)) => identity::decline(settings, &args).await,
            Verb::Status(args) => status::run(settings, args.feeds).await,
            Verb::Feeds => feeds::run(settings).await,
            Verb::Audit(AuditVerb::Prove(args)) => audit::prove(settings, &args).await,
            Verb::Audit(AuditVerb::Search(args)) => audit_search::search(settings, &args).await,
            Verb::Audit(AuditVerb::WhoLooked(args)) => audit_search::who_looked(settings, &args).await,
            Verb::Resolve(args) => resolve::run(settings, &args).await,
            Verb::BreakGlass(BreakGlassVerb::Open(args)) => break_glass::open(settings, args).await,
            Verb::BreakGlass(BreakGlassVerb::Queue) => break_glass::queue(settings).await,
            Verb::BreakGlass(BreakGlassVerb::Review(args)) => break_glass::review(settings, &args).await,
            Verb::Flags(args) => match args.verb {
                None => flags::show(settings, &args.shown).await,
                Some(FlagsVerb::Review(args)) => flags::review(settings, &args).await,
            },
            Verb::Withhold(WithholdVerb::Decide(args)) => withhold::decide(settings, &args).await,
            Verb::Withhold(WithholdVerb::Lift(args)) => withhold::lift(settings, &args).await,
            Verb::Withhold(WithholdVerb::List) => withhold::list(settings).await,
            Verb::Mesh(_) | Verb::Completions { .. } | Verb::ExitCodes => {
                Err(Failure::usage("this verb needs no service"))
            }
        }
    })
}

fn completions(shell: clap_complete::Shell) -> Exit {
    let mut script = Vec::new();
    clap_complete::generate(shell, &mut Cli::command(), "kith", &mut script);
    finish(&String::from_utf8_lossy(&script), Exit::Done)
}

fn print(done: Done, output: Output) -> Exit {
    let Done { text, json, exit } = done;
    let colour = std::io::stdout().is_terminal() && std::env::var_os("NO_COLOR").is_none();
    let text = match (output, text) {
        (Output::Json, _) => pretty(&json),
        (Output::Text, Text::Page(page)) => page.render(colour),
        (Output::Text, Text::Plain(text)) => text,
    };
    finish(&text, exit)
}

fn pretty(json: &Json) -> String {
    format!("{json:#}\n")
}

/// Prints to standard output. An answer that could not be shown was not given.
fn finish(text: &str, exit: Exit) -> Exit {
    let mut out = std::io::stdout().lock();
    match out.write_all(text.as_bytes()).and_then(|()| out.flush()) {
        Ok(()) => exit,
        Err(error) => {
            eprintln!("kith: COULD NOT SHOW the result: {error}");
            Exit::CouldNotAsk
        }
    }
}

fn fail(failure: &Failure, output: Output, question: bool) -> Exit {
    match output {
        Output::Json => finish(&pretty(&failure.json()), failure.exit),
        Output::Text => {
            let colour = std::io::stdout().is_terminal() && std::env::var_os("NO_COLOR").is_none();
            let page = failure_page(failure, question);
            if question && failure.exit != Exit::Usage {
                return finish(&page.render(colour), failure.exit);
            }
            eprint!("{}", page.render(false));
            failure.exit
        }
    }
}

/// A failure for people. A question without an answer says so before anything else.
pub fn failure_page(failure: &Failure, question: bool) -> Page {
    let Failure { exit, message: _, code: _, reason: _, fields, retry_after_ms, again } = failure;
    let mut page = Page::default();
    let kind = failure.kind().to_uppercase().replace('-', " ");
    if question && *exit != Exit::Usage {
        page.rule();
        page.attention(0, 2, &format!("{kind}: there is NO ANSWER about this child."));
        let then =
            if *exit == Exit::BadInput { "Correct the input and ask again." } else { "Use the telephone procedure." };
        page.text(0, 0, &format!("This says nothing about the child. {then}"));
        page.rule();
    } else {
        page.text(0, 2, &format!("{kind}:"));
    }
    page.text(0, 2, &failure.line());
    for field in fields {
        page.text(2, 4, &masked(&format!("{}: {}", field.field, field.words)));
    }
    if let Some(again) = again {
        page.attention(0, 2, again);
    }
    if let Some(ms) = retry_after_ms {
        page.text(0, 2, &format!("The same may succeed in {} seconds.", ms.div_ceil(1000)));
    }
    page
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_question_without_an_answer_says_so_first() {
        let failure = Failure::could_not_ask("failed to reach the service at 127.0.0.1:1: refused");
        let text = failure_page(&failure, true).render(false);
        assert!(text.lines().nth(1).unwrap().starts_with("COULD NOT ASK: there is NO ANSWER"), "{text}");
        assert!(text.contains("telephone procedure"));
    }

    #[test]
    fn fields_are_named_and_identities_are_not() {
        let failure = Failure::bad_field("subject.nhs_number", "9990000019 has a wrong check digit");
        let text = failure_page(&failure, true).render(false);
        assert!(text.contains("subject.nhs_number") && !text.contains("9990000019"), "{text}");
    }

    #[test]
    fn completions_name_the_verbs() {
        let mut script = Vec::new();
        clap_complete::generate(clap_complete::Shell::Bash, &mut Cli::command(), "kith", &mut script);
        let script = String::from_utf8(script).unwrap();
        assert!(script.contains("check-in") && script.contains("notifications"));
    }
}
