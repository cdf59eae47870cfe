//! What to try next: five commands, and a profile file that makes them short.
//! Never runs them.

use std::fs;

use anyhow::{Context, Result};

use super::place::Place;
use super::questions::first;
use super::truth::Case;

/// Names five commands about a child whose plan and authority are known.
pub fn five_commands(place: &Place, cases: &[Case]) -> Result<()> {
    let child = first(cases, "on-plan")?;
    let authority = child.expect["plan_list"][0]["authority"]
        .as_str()
        .context("the truth file names no authority for a child on a plan")?;
    let profiles = profiles(&place.address.to_string(), &child.ask_as, authority);
    fs::write(place.file("profiles.toml"), profiles).context("failed to write profiles.toml")?;

    let program = place.program("kith");
    let kith = program.strip_prefix(place.root()).unwrap_or(&program).display();
    let number = &child.nhs_number;
    println!("\nFive commands to try, in another terminal and in this folder:\n");
    println!("  export KITH_PROFILE_FILE=.kith-demo/profiles.toml\n");
    println!("  {kith} lookup --nhs-number {number}");
    println!("  {kith} lookup --nhs-number {number} --output json");
    println!("  {kith} notifications --profile authority");
    println!("  {kith} status --feeds --profile operations");
    println!("  {kith} exit-codes");
    Ok(())
}

/// A nurse of a trust, an officer of an authority, and an operator, who alone may list feeds. Paths are relative to the file.
fn profiles(address: &str, trust: &str, authority: &str) -> String {
    let mut text = String::from("# Made by the demo for `kith`. Paths are relative to this file.\n");
    let people = [
        ("default", trust, "Sam Demo", "Triage nurse"),
        ("authority", authority, "Jo Demo", "Duty social worker"),
        ("operations", "ops", "Max Demo", "Operator"),
    ];
    for (section, code, name, role) in people {
        text.push_str(&format!(
            "\n[{section}]\nserver = \"https://{address}\"\nca = \"certs/ca.pem\"\ncert = \"certs/{code}.pem\"\n\
             key = \"certs/{code}.key\"\nuser_id = \"demo\"\nuser_name = \"{name}\"\nuser_role = \"{role}\"\nrole_code = \"R8000\"\n"
        ));
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_section_names_their_own_certificate() {
        let text = profiles("127.0.0.1:7443", "R1H", "E06000001");
        assert!(text.contains("[default]\nserver = \"https://127.0.0.1:7443\""));
        assert!(text.contains("certs/R1H.key") && text.contains("[authority]") && text.contains("certs/E06000001.pem"));
        assert!(text.contains("[operations]") && text.contains("certs/ops.pem"));
    }
}
