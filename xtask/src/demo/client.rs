//! `kith` as the demo uses it: the same program, flags and exit codes as anyone's.

use std::path::Path;
use std::process::{Command, Output};

use anyhow::{Context, Result, bail, ensure};
use serde_json::Value;

use crate::process;

use super::place::Place;
use super::truth::Case;

/// Exit codes of `kith` for a question.
pub mod code {
    pub const USAGE: i32 = 2;
    pub const HELD: i32 = 10;
    pub const NONE_HELD: i32 = 11;
    pub const CANNOT_SAY: i32 = 12;
    pub const NOT_CONFIRMED: i32 = 13;
    pub const COULD_NOT_ASK: i32 = 20;
    pub const BAD_INPUT: i32 = 22;
}

/// A `kith` command as the given organisation.
fn kith(place: &Place, organisation: &str) -> Command {
    let mut command = place.command("kith");
    command
        .arg("--server")
        .arg(format!("https://{}", place.address))
        .arg("--ca")
        .arg(place.certificate("ca.pem"))
        .arg("--cert")
        .arg(place.certificate(&format!("{organisation}.pem")))
        .arg("--key")
        .arg(place.certificate(&format!("{organisation}.key")))
        // Flags come before these.
        .env("KITH_USER_ID", "demo")
        .env("KITH_USER_NAME", "Demo")
        .env("KITH_USER_ROLE", "Integration")
        .env("KITH_ROLE_CODE", "R8008");
    command
}

/// The question of a case, as its trust asks it.
fn question(place: &Place, case: &Case) -> Command {
    let mut command = kith(place, &case.ask_as);
    command.args(["lookup", "--nhs-number", &case.nhs_number]);
    if let Some(date) = &case.date_of_birth {
        command.args(["--date-of-birth", date]);
    }
    if case.number_traced {
        command.arg("--traced");
    }
    command.args(["--user-id", "demo-nurse", "--user-name", "Sam Demo"]);
    command.args(["--user-role", "Triage nurse", "--role-code", "R8000"]);
    command.args(["--purpose", "direct-care"]);
    command
}

/// Asks for people: gives the exit code and what was printed.
pub fn ask(place: &Place, case: &Case) -> Result<(i32, String)> {
    let output = process::output(&mut question(place, case))?;
    let mut printed = String::from_utf8_lossy(&output.stdout).into_owned();
    printed.push_str(&String::from_utf8_lossy(&output.stderr));
    Ok((exit_code(&output)?, printed))
}

/// Asks for programs: gives the exit code and the answer.
pub fn ask_json(place: &Place, case: &Case) -> Result<(i32, Value)> {
    let output = process::output(question(place, case).args(["--output", "json"]))?;
    let code = exit_code(&output)?;
    if output.stdout.is_empty() {
        bail!("kith printed no answer (exit code {code}): {}", String::from_utf8_lossy(&output.stderr).trim());
    }
    let answer = serde_json::from_slice(&output.stdout)
        .with_context(|| format!("failed to read the answer of kith (exit code {code})"))?;
    Ok((code, answer))
}

fn exit_code(output: &Output) -> Result<i32> {
    output.status.code().context("kith was ended by a signal")
}

pub fn push_plans(place: &Place, authority: &str, file: &Path) -> Result<()> {
    push(kith(place, authority).args(["plans", "push"]).arg(file))
}

pub fn push_presentations(place: &Place, trust: &str, file: &Path) -> Result<()> {
    push(
        kith(place, trust)
            .args(["presentations", "push"])
            .arg(file)
            .args(["--user-id", "demo-feed", "--user-name", "Demo feed"])
            .args(["--user-role", "Integration", "--role-code", "R8008"])
            .args(["--purpose", "record-keeping"]),
    )
}

fn push(command: &mut Command) -> Result<()> {
    process::capture(command).map(drop)
}

pub fn status(place: &Place) -> Result<Value> {
    let text = process::capture(kith(place, "ops").args(["status", "--output", "json"]))?;
    serde_json::from_str(&text).context("failed to read the status")
}

/// Whether it answers questions by now; not being able to ask is "not yet", having failed is an error.
pub fn is_ready(place: &Place) -> Result<bool> {
    let output = process::output(kith(place, "ops").args(["status", "--output", "json"]))?;
    let said = String::from_utf8_lossy(&output.stderr);
    ensure!(exit_code(&output)? != code::USAGE, "kith does not know its arguments: {said}");
    let answer: Value = serde_json::from_slice(&output.stdout).unwrap_or(Value::Null);
    ensure!(answer["readiness"] != "failed", "kithd cannot answer: {}", answer["reason"]);
    Ok(answer["readiness"] == "ready")
}

/// The sizes of a status in one line.
pub fn sizes(status: &Value) -> String {
    let held = &status["sizes"];
    format!("{} people, {} plans, {} presentations", held["children"], held["plans"], held["presentations"])
}
