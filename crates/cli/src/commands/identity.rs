//! Who a number is: telling it, proposing it, and reading what is proposed.

use kith_api::client::{JsonError, to_json};
use kith_api::v1;
use serde_json::Value as Json;
use uuid::Uuid;

use super::{Done, Text};
use crate::dates;
use crate::exit::Exit;
use crate::failure::{Failure, Sent};
use crate::identity_args::{ChangeArgs, DeclineArgs, ProposalsArgs, ProposeArgs, TellArgs};
use crate::person::uuid_or;
use crate::render::Page;
use crate::settings::Settings;
use crate::words::{IDENTITY_ACTIONS, proposal_state};

/// Largest page the service gives.
const PAGE_SIZE: u32 = 500;

/// The change as given, and its event id.
fn change(settings: &Settings, args: &ChangeArgs) -> Result<(v1::IdentityChange, String), Failure> {
    let ChangeArgs { action, nhs_number, local_key, key_of, replaced_by, date, event_id } = args;
    let action = IDENTITY_ACTIONS.read(action).map_err(|words| Failure::bad_field("change", words))?;
    let subject = match (nhs_number, local_key) {
        (Some(number), _) => v1::identity_subject::Subject::NhsNumber(number.clone()),
        (None, Some(key)) => v1::identity_subject::Subject::LocalKey(v1::LocalKey {
            organisation: key_of.clone().unwrap_or_else(|| settings.organisation.clone()),
            key: key.clone(),
        }),
        (None, None) => return Err(Failure::usage("missing --nhs-number or --local-key")),
    };
    let date = date.as_deref().map(dates::date).transpose();
    let change = v1::IdentityChange {
        subject: Some(v1::IdentitySubject { subject: Some(subject) }),
        action: action.into(),
        replaced_by: replaced_by.clone().unwrap_or_default(),
        date: date.map_err(|words| Failure::bad_field("date", words))?,
    };
    Ok((change, uuid_or(event_id.as_deref(), "event_id", Uuid::new_v4)?.to_string()))
}

/// Tells a change.
///
/// # Errors
/// No connection, or a refusal.
pub async fn tell(settings: &Settings, args: &TellArgs) -> Result<Done, Failure> {
    let caller = Some(settings.person.caller(&settings.organisation, v1::Purpose::RecordKeeping)?);
    let (change, event_id) = change(settings, &args.change)?;
    let proposal_id = args.proposal.unwrap_or(0);
    let request =
        v1::TellIdentityRequest { caller, change: Some(change), version: args.version, event_id, proposal_id };
    let client = settings.connect().await?;
    let response = client.identity().tell_identity(client.request(request)).await;
    let response = response.map_err(|status| Failure::status(&status, Sent::Change))?.into_inner();
    acknowledged("Told", response.acknowledgement.as_ref(), to_json(&response))
}

/// Proposes a change.
///
/// # Errors
/// No connection, or a refusal.
pub async fn propose(settings: &Settings, args: &ProposeArgs) -> Result<Done, Failure> {
    let caller = Some(settings.person.caller(&settings.organisation, v1::Purpose::RecordKeeping)?);
    let (change, event_id) = change(settings, &args.change)?;
    let request = v1::ProposeIdentityRequest { caller, change: Some(change), event_id };
    let client = settings.connect().await?;
    let response = client.identity().propose_identity(client.request(request)).await;
    let response = response.map_err(|status| Failure::status(&status, Sent::Change))?.into_inner();
    acknowledged("Proposed", response.acknowledgement.as_ref(), to_json(&response))
}

/// Closes a proposal that is not followed.
///
/// # Errors
/// No connection, or a refusal.
pub async fn decline(settings: &Settings, args: &DeclineArgs) -> Result<Done, Failure> {
    let caller = Some(settings.person.caller(&settings.organisation, v1::Purpose::RecordKeeping)?);
    let event_id = uuid_or(args.event_id.as_deref(), "event_id", Uuid::new_v4)?.to_string();
    let client = settings.connect().await?;
    let request = v1::DeclineProposalRequest { caller, proposal_id: args.id, event_id };
    let response = client.identity().decline_proposal(client.request(request)).await;
    let response = response.map_err(|status| Failure::status(&status, Sent::Change))?.into_inner();
    acknowledged("Closed", response.acknowledgement.as_ref(), to_json(&response))
}

/// What became of a change that is on disk.
fn acknowledged(
    what: &str,
    acknowledgement: Option<&v1::Acknowledgement>,
    json: Result<serde_json::Map<String, Json>, JsonError>,
) -> Result<Done, Failure> {
    let Some(ack) = acknowledgement else {
        return Err(Failure::could_not_ask("the service replied without an acknowledgement: send it again"));
    };
    let said = match ack.effect() {
        v1::Effect::Applied => "it stands from now on",
        v1::Effect::Overtaken => "a greater version had been told before, and that one stands",
        v1::Effect::Kept => "it is kept, and something held contradicts it: look at what was sent",
        v1::Effect::Unspecified => "what it did is not known to this program",
    };
    let again = if ack.repeated { " (told before with this id)" } else { "" };
    finished(Text::Plain(format!("{what}: {said}{again}; event id {}\n", ack.event_id)), json)
}

/// Lists proposals, oldest first.
///
/// # Errors
/// No connection, or a refusal.
pub async fn proposals(settings: &Settings, args: &ProposalsArgs) -> Result<Done, Failure> {
    let caller = settings.person.caller(&settings.organisation, v1::Purpose::RecordKeeping)?;
    let client = settings.connect().await?;
    let mut listed = v1::ListProposalsResponse::default();
    loop {
        let request = v1::ListProposalsRequest {
            caller: Some(caller.clone()),
            page_size: PAGE_SIZE,
            page_token: std::mem::take(&mut listed.next_page_token),
            include_closed: args.all,
        };
        let response = client.identity().list_proposals(client.request(request)).await;
        let page = response.map_err(|status| Failure::status(&status, Sent::Question))?.into_inner();
        listed.proposals.extend(page.proposals);
        listed.next_page_token = page.next_page_token;
        if listed.next_page_token.is_empty() {
            break;
        }
    }
    finished(Text::Page(page(&listed.proposals)), to_json(&listed))
}

fn page(proposals: &[v1::Proposal]) -> Page {
    let mut page = Page::default();
    page.text(0, 2, &format!("{} proposals, oldest first (UK time)", proposals.len()));
    for v1::Proposal { id, organisation, at, change, state, closed_at } in proposals {
        let at = at.as_ref().map_or_else(|| "time not given".to_owned(), dates::show_moment);
        let closed = closed_at.as_ref().map(|at| format!(" on {}", dates::show_moment(at))).unwrap_or_default();
        page.text(0, 4, &format!("#{id}  {at}  {organisation}: {}{closed}", proposal_state(*state)));
        page.text(4, 4, &change.as_ref().map_or_else(|| "no change is named".to_owned(), proposed));
    }
    page
}

fn proposed(change: &v1::IdentityChange) -> String {
    let v1::IdentityChange { subject, action: _, replaced_by, date } = change;
    let whom = match subject.as_ref().and_then(|subject| subject.subject.as_ref()) {
        Some(v1::identity_subject::Subject::NhsNumber(number)) => format!("NHS number {number}"),
        Some(v1::identity_subject::Subject::LocalKey(v1::LocalKey { organisation, key })) => {
            format!("local key {key} of {organisation}")
        }
        None => "nobody named".to_owned(),
    };
    let action = IDENTITY_ACTIONS.word(change.action()).unwrap_or("a change that this program does not know");
    let by = if replaced_by.is_empty() { String::new() } else { format!(" by NHS number {replaced_by}") };
    let date = date.map(|date| format!(", {}", dates::show_date(date))).unwrap_or_default();
    format!("{whom}: {action}{by}{date}")
}

fn finished(text: Text, json: Result<serde_json::Map<String, Json>, JsonError>) -> Result<Done, Failure> {
    let mut json = json.map_err(|error| Failure::could_not_ask(format!("failed to {error}")))?;
    json.insert("exit_code".to_owned(), Exit::Done.code().into());
    Ok(Done { text, json: Json::Object(json), exit: Exit::Done })
}
