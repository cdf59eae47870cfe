//! What stands in `.kith-demo/` before the server starts: the synthetic England,
//! certificates, the storage key and `kithd.toml`.

use std::fs;

use anyhow::{Context, Result};

use crate::process;

use super::london;
use super::place::Place;

const SEED: &str = "1";
/// One hundredth of England: enough for every situation, seconds to load.
const SCALE: &str = "0.01";

pub fn prepare(place: &Place) -> Result<()> {
    let today = london::today()?;
    process::run(
        place
            .command("kith-synth")
            .args(["--seed", SEED, "--scale", SCALE, "--as-of", &today, "--out"])
            .arg(place.england("")),
    )?;
    process::run(
        place
            .command("kithd")
            .arg("dev-certs")
            .arg("--out")
            .arg(place.certificate(""))
            .arg("--directory")
            .arg(place.england("directory")),
    )?;
    process::run(place.command("kithd").args(["new-key", "--out"]).arg(place.file("kith.key")))?;
    process::run(place.command("kithd").args(["new-audit-key", "--out"]).arg(place.file("audit.key")))?;
    write_config(place, None)?;
    process::run(place.command("kithd").arg("check-config").arg("--config").arg(place.file("kithd.toml")))
}

/// Writes `kithd.toml`; with `impatient`, that authority counts as stale after one second.
pub fn write_config(place: &Place, impatient: Option<&str>) -> Result<()> {
    fs::write(place.file("kithd.toml"), config(place, impatient)).context("failed to write kithd.toml")
}

fn config(place: &Place, impatient: Option<&str>) -> String {
    let file = |name: &str| place.file(name).display().to_string();
    let overrides = impatient
        .map_or_else(String::new, |code| format!("\n[feeds.overrides]\n\"{code}\" = {{ interval_seconds = 1 }}\n"));
    format!(
        r#"# The demo's kithd. Every other key has its default: kithd print-config shows them all.

[server]
listen = "{address}"
trust_domain = "kith.test"

[tls]
certificate = "{certificate}"
key = "{key}"
client_ca = "{ca}"

[storage]
data_dir = "{data}"
key_file = "{storage_key}"

[audit]
primary = "{primary}"
spill = "{spill}"
tree = "{tree}"
signing_key_file = "{signing_key}"

[answers]
national_contact_name = "National safeguarding desk (demo)"
national_contact_phone = "020 7946 0999"

[directory]
organisations = "{organisations}"
sites = "{sites}"
authorities = "{authorities}"
services = "{services}"
{overrides}"#,
        address = place.address,
        certificate = file("certs/server.pem"),
        key = file("certs/server.key"),
        ca = file("certs/ca.pem"),
        data = file("data/store"),
        storage_key = file("kith.key"),
        primary = file("data/audit"),
        spill = file("data/audit-spill"),
        tree = file("data/audit-tree"),
        signing_key = file("audit.key"),
        organisations = file("england/directory/organisations.csv"),
        sites = file("england/directory/sites.csv"),
        authorities = file("england/directory/authorities.csv"),
        services = file("certs/services.csv"),
    )
}
