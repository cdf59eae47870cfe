//! The words of an answer, as a tired person reads them. They raise attention and never lower it: every "none held" says
//! as of when, what is not known, and that it is not reassurance.

mod details;
pub mod family;
mod feeds;
mod not_shown;
mod numbers;

use crate::answer::{Answer, Beyond, Body, Completeness, Doubt, OpenBody, Outcome, ShieldedBody};
use crate::directory::{Contact, Directory};
use crate::identity::IdentityCheck;
use crate::plan::PlanState;
use crate::refused::{Refused, RefusedKind};
use crate::time::Moment;
pub use details::open_presentation;

/// Said with every "none held".
pub const NOT_REASSURANCE: &str = "This is not reassurance: use your own judgement and procedures.";
/// Said when a check-in could not record, and sending again may help.
pub const NOT_RECORDED: &str = "presentation NOT recorded, send again";
/// Said above everything else that a shielded record shows while it is open.
pub const OPENED: &str = "SHIELDED RECORD, OPENED FOR THIS ONE VIEWING: never reveal where this child is. A privacy officer \
                          reviews that you opened it.";
/// Said of what an authority withholds, whatever it is: it is held.
pub const WITHHELD: &str = "something that an authority WITHHOLDS by a person's decision: ring the number shown";
/// Said when no answer can be given.
pub const TELEPHONE: &str = "Kith could not be asked: use the telephone procedure.";

/// Words of a check-in whose presentation was not recorded: "send again" only where that can help.
#[must_use]
pub fn not_recorded(refused: &Refused) -> String {
    match refused.kind {
        RefusedKind::Unavailable => format!("{NOT_RECORDED}: {}", refused.words),
        RefusedKind::Invalid | RefusedKind::EventIdReused | RefusedKind::Conflict | RefusedKind::TooMany => {
            format!("presentation NOT recorded, and sending it again as it is will not help: {}", refused.words)
        }
    }
}

/// Words of the identity check.
#[must_use]
pub fn identity(answer: &Answer) -> &'static str {
    match answer.identity {
        IdentityCheck::Matched => "Date of birth matches the one held.",
        IdentityCheck::NotGiven => "No date of birth was given: check that this is the right person.",
        // Said whatever departments hold: whether there was anything to compare would tell a place.
        IdentityCheck::NothingToCompare if matches!(answer.body, Body::Shielded(_)) => {
            "Date of birth NOT compared: no authority's is held, and a shielded record's others are not compared. Check who this is."
        }
        IdentityCheck::NothingToCompare => "No date of birth is held to compare with.",
        IdentityCheck::NearMiss => {
            "WARNING: date of birth nearly matches (swapped or one digit off). Check who this is."
        }
        IdentityCheck::DiffersFromPresentation => {
            "WARNING: date of birth differs from the one another department recorded. Check who this is."
        }
        IdentityCheck::NotConfirmed => {
            "IDENTITY NOT CONFIRMED: date of birth differs from the authority's. The answer is withheld. Ring the number shown."
        }
        IdentityCheck::NumberInvalid => {
            "IDENTITY NOT CONFIRMED: this NHS number is not valid any more. The answer is withheld. Trace the person anew, and ring the number shown."
        }
    }
}

/// Words of the plan answer.
#[must_use]
pub fn plans(answer: &Answer, directory: &Directory) -> String {
    match &answer.body {
        Body::IdentityNotConfirmed => "Plans: withheld, identity not confirmed.".to_owned(),
        Body::Open(body) | Body::Opened(body) => {
            let states = on_records(held_states(&body.plans, |plan| plan.state), answer);
            let known = Known::of(answer, &body.plan_completeness, directory);
            question("Plans", "on record", states, &body.plans, &known)
        }
        Body::Shielded(body) => {
            let states = on_records(held_states(&body.plans, |plan| plan.state), answer);
            let known = Known::of(answer, &body.plan_completeness, directory);
            question("Plans", "on record", states, &body.plans, &known)
        }
    }
}

/// States on the child's own record, and on the mother's, and that more is withheld.
fn on_records(own: String, answer: &Answer) -> String {
    let of_mother = family::held_of_mother(&answer.body);
    if answer.withheld {
        let mut listed = vec![own.as_str(), of_mother.as_str(), WITHHELD];
        listed.retain(|part| !part.is_empty());
        return listed.join("; and ");
    }
    match (own.is_empty(), of_mother.is_empty()) {
        // Held on the mother's record, and that is left out.
        (true, true) => "on a record that is not shown to you".to_owned(),
        (false, true) => own,
        (true, false) => of_mother,
        (false, false) => format!("{own}; and {of_mother}"),
    }
}

fn held_states<P>(outcome: &Outcome<Vec<P>>, state: impl Fn(&P) -> PlanState) -> String {
    let Outcome::Held(plans) = outcome else { return String::new() };
    let count = |wanted| plans.iter().filter(|plan| state(plan) == wanted).count();
    let parts = [(PlanState::Active, "in force"), (PlanState::Future, "starting later"), (PlanState::Ended, "ended")];
    let mut told = String::new();
    for (n, word) in parts.map(|(wanted, word)| (count(wanted), word)) {
        if n > 0 {
            add(&mut told, &[&n.to_string(), " ", word]);
        }
    }
    told
}

/// Adds one part to a list. Put together, not formatted: the words of an answer are most of what it costs, and formatting
/// costs several times as much as the copying.
fn add(list: &mut String, part: &[&str]) {
    if !list.is_empty() {
        list.push_str(", ");
    }
    part.iter().for_each(|words| list.push_str(words));
}

/// Words of the presentation answer.
#[must_use]
pub fn presentations(answer: &Answer, directory: &Directory, window_days: i32) -> String {
    match &answer.body {
        Body::IdentityNotConfirmed => "Presentations: withheld, identity not confirmed.".to_owned(),
        Body::Open(body) | Body::Opened(body) => {
            open_presentations(body, &Known::of(answer, &body.presentation_completeness, directory), window_days)
        }
        Body::Shielded(body) => {
            shielded_presentations(body, &Known::of(answer, &body.presentation_completeness, directory), window_days)
        }
    }
}

fn open_presentations(body: &OpenBody, known: &Known, window_days: i32) -> String {
    let Outcome::Held(seen) = &body.presentations else {
        return question("Presentations", "from any hospital", String::new(), &body.presentations, known);
    };
    let elsewhere = held_times(seen.elsewhere.len(), seen.beyond_elsewhere, window_days);
    let elsewhere = question("Presentations elsewhere", "from elsewhere", elsewhere, &body.elsewhere, known);
    let here = held_times(seen.here.len(), seen.beyond_here, window_days);
    if here.is_empty() { elsewhere } else { [&elsewhere, " At this hospital: HELD: ", &here, "."].concat() }
}

fn shielded_presentations(body: &ShieldedBody, known: &Known, window_days: i32) -> String {
    let held = match &body.presentations {
        Outcome::Held(seen) => {
            let times = held_times(seen.presentations.len(), seen.beyond, window_days);
            format!("{times}; places not shown")
        }
        Outcome::NoneHeld | Outcome::CannotSay(_) => String::new(),
    };
    question("Presentations", "from any hospital", held, &body.presentations, known)
}

/// How many are held, without ever a zero beside "held"; empty when none is.
fn held_times(listed: usize, beyond: Beyond, window_days: i32) -> String {
    let (cap, older) = (beyond.cap, beyond.window);
    let days = window_days.to_string();
    let mut told = String::new();
    if listed > 0 {
        add(&mut told, &[&listed.to_string(), " in ", &days, " days"]);
    }
    if cap > 0 {
        add(&mut told, &[&cap.to_string(), " more in ", &days, " days not listed"]);
    }
    if older > 0 && listed > 0 {
        add(&mut told, &[&older.to_string(), " older"]);
    }
    if older > 0 && listed == 0 {
        add(&mut told, &[&older.to_string(), ", all older than ", &days, " days"]);
    }
    told
}

/// What stands beside an outcome, whatever it is.
struct Known {
    as_of: Moment,
    number_traced: bool,
    feeds: String,
}

impl Known {
    fn of<N: feeds::Named>(answer: &Answer, completeness: &Completeness<N>, directory: &Directory) -> Self {
        let feeds = feeds::known(completeness, directory);
        Self { as_of: answer.as_of, number_traced: answer.number_traced, feeds }
    }
}

/// One question's line.
fn question<H>(what: &str, kind: &str, held: String, outcome: &Outcome<H>, known: &Known) -> String {
    let Known { as_of, number_traced, feeds } = known;
    match outcome {
        Outcome::Held(_) => [what, ": HELD: ", &held, ". ", feeds].concat(),
        Outcome::NoneHeld => {
            let number = if *number_traced { "The NHS number was traced." } else { "The NHS number was NOT traced." };
            let as_of = as_of.london_text();
            [what, ": none held ", kind, " as of ", &as_of, ". ", feeds, " ", number, " ", NOT_REASSURANCE].concat()
        }
        Outcome::CannotSay(doubts) => {
            let why: Vec<&str> = doubts.iter().map(|doubt| doubt_words(*doubt)).collect();
            [what, ": CANNOT SAY: ", &why.join("; "), ". ", feeds, " Ask by telephone."].concat()
        }
    }
}

fn doubt_words(doubt: Doubt) -> &'static str {
    match doubt {
        Doubt::OwnFeedStale => "a sender that this record points to has not been heard of in time",
        Doubt::ClockDoubtful => "the service's clock is in doubt, and by it what is held has passed its retention",
        Doubt::OwnFeedThin => "a sender that this record points to sends far less than usual",
        Doubt::TooManyFeedsStale => "too many senders have not been heard of in time or send far less than usual",
        Doubt::MotherNumberInvalid => "the mother's NHS number is not valid any more and could not be used",
        Doubt::NoNhsNumber => "no NHS number was given, and records elsewhere are found by it",
    }
}

/// The lines a person reads, most important first. Lines that begin with [`details::MARK`] tell the plans and presentations
/// of the line before them one by one.
#[must_use]
pub fn lines(answer: &Answer, directory: &Directory, window_days: i32) -> Vec<String> {
    let (plans, presentations) = (plans(answer, directory), presentations(answer, directory, window_days));
    lines_with(answer, directory, &plans, &presentations)
}

/// [`lines`] with the words of the [`plans`] and of the [`presentations`].
#[must_use]
pub fn lines_with(answer: &Answer, directory: &Directory, plans: &str, presentations: &str) -> Vec<String> {
    let mut lines = Vec::with_capacity(8);
    match &answer.body {
        Body::Shielded(_) => lines.push("SHIELDED RECORD: never reveal where this child is.".to_owned()),
        Body::Opened(_) => lines.push(OPENED.to_owned()),
        Body::Open(_) | Body::IdentityNotConfirmed => {}
    }
    let check = identity(answer);
    let first = matches!(
        answer.identity,
        IdentityCheck::NotConfirmed
            | IdentityCheck::NumberInvalid
            | IdentityCheck::NearMiss
            | IdentityCheck::DiffersFromPresentation
    );
    lines.extend(numbers::death(answer));
    if first {
        lines.push(check.to_owned());
    }
    lines.push(plans.to_owned());
    lines.extend(details::plans(&answer.body, directory));
    lines.extend(family::mother(answer));
    lines.extend(family::mother_details(&answer.body, directory));
    lines.push(presentations.to_owned());
    lines.extend(details::presentations(&answer.body, directory));
    lines.extend(family::siblings(answer));
    lines.extend(family::sibling_details(&answer.body));
    if !first {
        lines.push(check.to_owned());
    }
    lines.extend(numbers::others(answer));
    lines.extend(not_shown::line(answer));
    if !answer.number_traced {
        lines.push("The NHS number was not traced: a record may stand under another number.".to_owned());
    }
    let Contact { name, phone, why, code: _ } = &answer.ring;
    lines.push(["Ring ", name, " on ", phone, " (", why, ")."].concat());
    lines
}
