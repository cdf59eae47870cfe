//! The England that is measured: made once in a folder, by the programs that anyone uses, and kept for the next run.
//! Presentations and access history are filled in process (kith-fill), plans by `kith plans push`.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Instant;

use anyhow::{Context, Result, ensure};

use crate::drain;
use crate::servers::{self, Server};

/// The truth file holds for three days.
const KEPT_DAYS: i32 = 2;
const SEED: &str = "7";
/// Exit code of `kith plans push` when rows were not loaded: of a whole England a plan or two begins on an eighteenth birthday.
const LOADED_IN_PART: i32 = 23;

/// The folder: `england/`, `certs/`, `kith.key`, `audit.key`, `data/`, configurations and logs.
#[derive(Clone)]
pub struct Place {
    folder: PathBuf,
    programs: PathBuf,
    kithd: String,
    empty: String,
    scratch: String,
    metrics: String,
}

impl Place {
    pub fn file(&self, name: &str) -> PathBuf {
        self.folder.join(name)
    }

    pub fn program(&self, name: &str) -> PathBuf {
        self.programs.join(name)
    }

    /// Address of the metrics page of kithd on the England, whenever it runs.
    pub fn metrics(&self) -> &str {
        &self.metrics
    }

    fn text(&self, name: &str) -> String {
        self.file(name).display().to_string()
    }

    /// Starts kithd on the England, with further lines of configuration, as sections of their own.
    pub fn serve(&self, more: &str) -> Result<Server> {
        let config = self.file("kithd.toml");
        fs::write(&config, self.config((&self.kithd, &self.metrics), &self.file("data"), more))?;
        let server = Server::start(&self.program("kithd"), &config, &self.kithd, &self.file("kithd.log"), &[])?;
        drain::wait_for_the_watch(&self.metrics)?;
        Ok(server)
    }

    /// Starts kithd on a new state in `folder` in which nothing is held, with further lines of the section `[audit]`.
    pub fn serve_scratch(&self, folder: &Path, more: &str) -> Result<Server> {
        if folder.exists() {
            fs::remove_dir_all(folder).context("failed to empty a scratch folder")?;
        }
        for part in ["store", "audit/primary", "audit/spill", "audit/tree"] {
            fs::create_dir_all(folder.join(part))?;
        }
        let config = folder.join("kithd.toml");
        fs::write(&config, self.config((&self.scratch, ""), folder, more))?;
        Server::start(&self.program("kithd"), &config, &self.scratch, &folder.join("kithd.log"), &[])
    }

    /// Starts the empty call, whose replies have `reply_bytes`.
    pub fn serve_empty(&self, reply_bytes: u64) -> Result<Server> {
        let config = self.file("empty.toml");
        fs::write(&config, self.config((&self.empty, ""), &self.file("empty"), ""))?;
        let envs = [("KITH_EMPTY_REPLY_BYTES", reply_bytes.to_string())];
        Server::start(&self.program("kith-empty"), &config, &self.empty, &self.file("empty.log"), &envs)
    }

    fn config(&self, (address, metrics): (&str, &str), data: &Path, more: &str) -> String {
        let [certificate, key, ca, services, storage_key, audit_key] =
            ["certs/server.pem", "certs/server.key", "certs/ca.pem", "certs/services.csv", "kith.key", "audit.key"]
                .map(|name| self.text(name));
        let [store, primary, spill, tree] =
            ["store", "audit/primary", "audit/spill", "audit/tree"].map(|name| data.join(name).display().to_string());
        let [organisations, sites, authorities] =
            ["organisations", "sites", "authorities"].map(|name| self.text(&format!("england/directory/{name}.csv")));
        format!(
            r#"[server]
listen = "{address}"
trust_domain = "kith.test"
[tls]
certificate = "{certificate}"
key = "{key}"
client_ca = "{ca}"
[storage]
data_dir = "{store}"
key_file = "{storage_key}"
[answers]
national_contact_name = "National safeguarding desk (bench)"
national_contact_phone = "020 7946 0999"
[directory]
organisations = "{organisations}"
sites = "{sites}"
authorities = "{authorities}"
services = "{services}"
[purge]
enabled = false
[flags]
read_again_entries = 1000000
[limits]
calls_per_second_per_organisation = 1000000
[feeds]
plan_interval_hours = 200
presentation_interval_hours = 200
thin_min_expected = 100000
[metrics]
listen = "{metrics}"
[audit]
primary = "{primary}"
spill = "{spill}"
tree = "{tree}"
signing_key_file = "{audit_key}"
{more}"#
        )
    }
}

fn quietly(command: &mut Command) -> Result<()> {
    quietly_or(command, 0)
}

/// As well when it ends with another code.
fn quietly_or(command: &mut Command, fine: i32) -> Result<()> {
    let shown = format!("{command:?}");
    let output = command.stdin(Stdio::null()).output().with_context(|| format!("failed to start {shown}"))?;
    let said = String::from_utf8_lossy(&output.stderr);
    let is_fine = output.status.success() || output.status.code() == Some(fine);
    ensure!(is_fine, "{shown}: {}\n{said}", output.status);
    Ok(())
}

/// The day, as `date` says it.
pub fn today() -> Result<jiff::civil::Date> {
    Ok(jiff::Timestamp::now().to_zoned(jiff::tz::TimeZone::get("Europe/London")?).date())
}

/// Whether the folder holds what is wanted.
fn is_kept(marker: &Path, scale: &str) -> bool {
    let text = fs::read_to_string(marker).unwrap_or_default();
    let Some((kept_scale, day)) = text.trim().split_once(' ') else { return false };
    let age = || -> Result<i32> { Ok(today()?.since(day.parse::<jiff::civil::Date>()?)?.get_days()) };
    kept_scale == scale && age().is_ok_and(|days| days <= KEPT_DAYS)
}

impl Place {
    /// A folder with ports of its own.
    pub fn new(folder: PathBuf, programs: PathBuf) -> Result<Self> {
        let port = || servers::free_port().map(|address| address.to_string());
        Ok(Self { folder, programs, kithd: port()?, empty: port()?, scratch: port()?, metrics: port()? })
    }

    /// Another folder in this one.
    pub fn beside(&self, name: &str) -> Result<Self> {
        Self::new(self.file(name), self.programs.clone())
    }

    /// The same folder, for servers at other ports.
    pub fn again(&self) -> Result<Self> {
        Self::new(self.folder.clone(), self.programs.clone())
    }

    /// Makes an England of a scale, unless it is there.
    pub fn prepare(&self, scale: &str) -> Result<()> {
        let folder = &self.folder;
        let marker = self.file("ready");
        let complete = ["audit.key", "certs/services.csv"].iter().all(|name| self.file(name).exists());
        if is_kept(&marker, scale) && complete {
            println!("England of scale {scale} is kept in {}", folder.display());
            return Ok(());
        }
        if folder.exists() {
            fs::remove_dir_all(folder).context("failed to empty the folder")?;
        }
        fs::create_dir_all(folder)?;
        let began = Instant::now();
        let day = today()?.to_string();
        let step = |what: &str| println!("{what} (after {} s)", began.elapsed().as_secs());
        step(&format!("making a synthetic England of scale {scale}"));
        let england = self.file("england");
        quietly(
            Command::new(self.program("kith-synth"))
                .args(["--seed", SEED, "--scale", scale, "--as-of", &day, "--out"])
                .arg(&england),
        )?;
        self.keys(&england)?;
        step("filling in presentations and access history");
        self.fill(&[])?;
        step("pushing plans");
        let server = self.serve("")?;
        let mut plans: Vec<PathBuf> =
            fs::read_dir(england.join("plans"))?.map(|entry| Ok(entry?.path())).collect::<Result<_>>()?;
        plans.sort();
        for file in plans {
            push(self, &file)?;
        }
        server.stop()?;
        fs::write(marker, format!("{scale} {day}\n"))?;
        step("England is ready");
        Ok(())
    }

    /// Certificates, the storage key, and the key that signs the audit's heads, as any deployment has one.
    pub fn keys(&self, england: &Path) -> Result<()> {
        quietly(
            Command::new(self.program("kithd"))
                .args(["dev-certs", "--out"])
                .arg(self.file("certs"))
                .arg("--directory")
                .arg(england.join("directory")),
        )?;
        quietly(Command::new(self.program("kithd")).args(["new-audit-key", "--out"]).arg(self.file("audit.key")))?;
        quietly(Command::new(self.program("kithd")).args(["new-key", "--out"]).arg(self.file("kith.key")))
    }

    /// Fills `data/` from `england/`, in process.
    pub fn fill(&self, more: &[&str]) -> Result<()> {
        quietly(
            Command::new(self.program("kith-fill"))
                .arg("--england")
                .arg(self.file("england"))
                .arg("--data-dir")
                .arg(self.file("data/store"))
                .arg("--audit")
                .arg(self.file("data/audit"))
                .arg("--key-file")
                .arg(self.file("kith.key"))
                .args(more),
        )
    }
}

fn push(place: &Place, file: &Path) -> Result<()> {
    let code = file.file_stem().and_then(|stem| stem.to_str()).context("a plan file without a name")?;
    let certificate = |extension: &str| place.file(&format!("certs/{code}.{extension}"));
    quietly_or(
        Command::new(place.program("kith"))
            .env("KITH_PROFILE_FILE", "/dev/null")
            .envs([("KITH_USER_ID", "bench"), ("KITH_USER_NAME", "Bench")])
            .envs([("KITH_USER_ROLE", "Integration"), ("KITH_ROLE_CODE", "R8008")])
            .args(["--server", &format!("https://{}", place.kithd), "--ca"])
            .arg(place.file("certs/ca.pem"))
            .arg("--cert")
            .arg(certificate("pem"))
            .arg("--key")
            .arg(certificate("key"))
            .args(["plans", "push"])
            .arg(file),
        LOADED_IN_PART,
    )
}
