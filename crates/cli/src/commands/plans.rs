//! Plan files: pushing one, asking for the next number, and setting it.

use std::path::Path;

use kith_api::client::{JsonError, to_json};
use kith_api::v1;
use serde_json::Value as Json;
use uuid::Uuid;

use super::{Done, Text};
use crate::args::{PlanFileArgs, ResetArgs};
use crate::exit::Exit;
use crate::failure::{Failure, Sent};
use crate::person::uuid_or;
use crate::plan_file::{self, report, verdict_file};
use crate::settings::Settings;

/// Pushes a file.
///
/// # Errors
/// A file that cannot be used, no connection, or no verdict.
pub async fn push(settings: &Settings, args: &PlanFileArgs) -> Result<Done, Failure> {
    let bytes = plan_file::read(&args.file)?;
    let client = settings.connect_as_person().await?;
    let verdict = plan_file::send(&client, &bytes).await?;
    let mut text = report::text(&verdict);
    if let Some(path) = &args.verdict {
        text.push_str(&kept(path, &verdict));
    }
    finished(text, to_json(&verdict), plan_file::exit(&verdict))
}

/// Writes the verdict file and says whether it is there: the plans are loaded or not whatever becomes of it.
fn kept(path: &Path, verdict: &v1::FileVerdict) -> String {
    match std::fs::write(path, verdict_file::bytes(verdict)) {
        Ok(()) => format!("  The verdict is in {}.\n", path.display()),
        Err(error) => format!(
            "  The verdict could NOT be written to {}: {error}. Send the same file again for the same verdict.\n",
            path.display()
        ),
    }
}

/// Asks which number the next file must have.
///
/// # Errors
/// No connection, or a refusal.
pub async fn position(settings: &Settings) -> Result<Done, Failure> {
    let client = settings.connect_as_person().await?;
    let request = client.request(v1::GetFilePositionRequest {});
    let response = client.plan_files().get_file_position(request).await;
    let v1::GetFilePositionResponse { position } =
        response.map_err(|status| Failure::status(&status, Sent::Question))?.into_inner();
    shown(position)
}

/// Sets the next number of an authority.
///
/// # Errors
/// No connection, or a refusal.
pub async fn reset(settings: &Settings, args: &ResetArgs) -> Result<Done, Failure> {
    let caller = settings.person.caller(&settings.organisation, v1::Purpose::RecordKeeping)?;
    let event_id = uuid_or(args.event_id.as_deref(), "event_id", Uuid::new_v4)?.to_string();
    let client = settings.connect_as_person().await?;
    let request = v1::ResetFilePositionRequest {
        authority: args.authority.clone(),
        next_number: args.next,
        event_id,
        caller: Some(caller),
    };
    let response = client.plan_files().reset_file_position(client.request(request)).await;
    let v1::ResetFilePositionResponse { position } =
        response.map_err(|status| Failure::status(&status, Sent::Change))?.into_inner();
    shown(position)
}

fn shown(position: Option<v1::FilePosition>) -> Result<Done, Failure> {
    let position = position.ok_or_else(|| Failure::could_not_ask("the service gave no position"))?;
    let v1::FilePosition { authority, last_number, next_number, unfinished } = &position;
    let last = match last_number {
        0 => "no file was answered yet, or none since the number was set".to_owned(),
        number => format!("the last file answered has number {number}"),
    };
    let next = match unfinished {
        true => format!("file {next_number} was taken IN PART: send the same file again, unchanged"),
        false => format!("the next file must have number {next_number}"),
    };
    finished(format!("{authority}: {last}; {next}\n"), to_json(&position), Exit::Done)
}

fn finished(text: String, json: Result<serde_json::Map<String, Json>, JsonError>, exit: Exit) -> Result<Done, Failure> {
    let mut json = json.map_err(|error| Failure::could_not_ask(format!("failed to {error}")))?;
    json.insert("exit_code".to_owned(), exit.code().into());
    Ok(Done { text: Text::Plain(text), json: Json::Object(json), exit })
}
