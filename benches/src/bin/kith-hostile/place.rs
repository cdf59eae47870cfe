//! Two servers on a scratch directory, with one configuration but for their places, and certificates of two trusts: the steady
//! one's and the hostile one's, each in a folder of its own.

use std::fs::{self, File};
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};

use crate::runs::Side;

/// Longest wait for a server to serve, and to stop.
const LIMIT: Duration = Duration::from_secs(60);
const POLL: Duration = Duration::from_millis(20);

const STEADY: &str = "RS1";
const HOSTILE: &str = "RH1";

const ORGANISATIONS: &str =
    "ods_code,name,contact_phone,successor_code\nRH1,Hostile,01632 960101,\nRS1,Steady,01632 960102,\n";
const SITES: &str = "ods_site_code,name,organisation_code\nRH101,Hostile,RH1\nRS101,Steady,RS1\n";
const AUTHORITIES: &str = "gss_code,name,office_phone,out_of_hours_phone,office_opens,office_closes\n\
                           E06000901,Hartlemoor,01632 960011,01632 960012,08:30,17:00\n";

/// Where everything is.
pub struct Place {
    folder: tempfile::TempDir,
    programs: PathBuf,
}

impl Place {
    /// Makes the directory, the certificates and a key.
    ///
    /// # Errors
    /// A file cannot be written, or kithd does not make them.
    pub fn new(programs: &Path) -> Result<Self> {
        let folder = tempfile::tempdir().context("failed to make a scratch directory")?;
        let place = Self { folder, programs: programs.to_owned() };
        for (name, text) in
            [("organisations.csv", ORGANISATIONS), ("sites.csv", SITES), ("authorities.csv", AUTHORITIES)]
        {
            fs::write(place.file(name), text)?;
        }
        place.kithd(&["dev-certs", "--out", "certs", "--directory", "."])?;
        place.kithd(&["new-key", "--out", "storage.key"])?;
        for (who, code) in [("steady", STEADY), ("hostile", HOSTILE)] {
            fs::create_dir(place.file(who))?;
            for name in ["ca.pem", &format!("{code}.pem"), &format!("{code}.key")] {
                let from = place.file("certs").join(name);
                fs::copy(&from, place.file(who).join(name))
                    .with_context(|| format!("failed to copy {}", from.display()))?;
            }
        }
        Ok(place)
    }

    pub fn file(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    pub fn program(&self, name: &str) -> PathBuf {
        self.programs.join(name)
    }

    fn kithd(&self, arguments: &[&str]) -> Result<()> {
        let mut command = Command::new(fs::canonicalize(self.program("kithd")).context("failed to find kithd")?);
        let output = command.args(arguments).current_dir(self.folder.path()).stdin(Stdio::null()).output()?;
        let said = String::from_utf8_lossy(&output.stderr);
        ensure!(output.status.success(), "kithd {}: {said}", arguments.join(" "));
        Ok(())
    }

    /// Starts a server and waits until it serves.
    ///
    /// # Errors
    /// It cannot be started, or does not serve.
    pub fn serve(&self, side: Side) -> Result<Server> {
        let address = TcpListener::bind(("127.0.0.1", 0))?.local_addr()?.to_string();
        let name = side.program();
        let at = |file: &str| self.file(file).display().to_string();
        let config = format!(
            "[server]\nlisten = \"{address}\"\n\
             [tls]\ncertificate = \"{}\"\nkey = \"{}\"\nclient_ca = \"{}\"\n\
             [storage]\ndata_dir = \"{}\"\nkey_file = \"{}\"\n\
             [audit]\nprimary = \"{}\"\nspill = \"{}\"\ntree = \"{}\"\n\
             [answers]\nnational_contact_name = \"Duty desk\"\nnational_contact_phone = \"01632 960001\"\n\
             [directory]\norganisations = \"{}\"\nsites = \"{}\"\nauthorities = \"{}\"\nservices = \"{}\"\n",
            at("certs/server.pem"),
            at("certs/server.key"),
            at("certs/ca.pem"),
            at(&format!("{name}-data")),
            at("storage.key"),
            at(&format!("{name}-audit")),
            at(&format!("{name}-spill")),
            at(&format!("{name}-tree")),
            at("organisations.csv"),
            at("sites.csv"),
            at("authorities.csv"),
            at("certs/services.csv"),
        );
        for part in ["data", "audit", "spill", "tree"] {
            fs::create_dir_all(self.file(&format!("{name}-{part}")))?;
        }
        let (path, log) = (self.file(&format!("{name}.toml")), self.file(&format!("{name}.log")));
        fs::write(&path, config)?;
        let out = File::create(&log)?;
        let mut command = Command::new(self.program(name));
        command.arg("serve").arg("--config").arg(&path);
        let child = command.stdin(Stdio::null()).stdout(out.try_clone()?).stderr(out).spawn();
        let mut server = Server { child: child.with_context(|| format!("failed to start {name}"))?, side, address };
        let began = Instant::now();
        while !fs::read_to_string(&log)?.lines().any(|line| line.ends_with(" serving")) {
            if let Some(status) = server.child.try_wait()? {
                bail!("{name} ended: {status}\n{}", fs::read_to_string(&log)?);
            }
            ensure!(began.elapsed() < LIMIT, "{name} does not serve");
            thread::sleep(POLL);
        }
        Ok(server)
    }
}

/// A running server; it is killed when it is dropped.
pub struct Server {
    child: Child,
    pub side: Side,
    pub address: String,
}

impl Server {
    /// Resident bytes, as the kernel counts them.
    ///
    /// # Errors
    /// The process is gone.
    pub fn resident_bytes(&self) -> Result<u64> {
        let status = fs::read_to_string(format!("/proc/{}/status", self.child.id()))?;
        let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).context("no VmRSS")?;
        let kib: u64 = line.trim().trim_end_matches("kB").trim().parse()?;
        Ok(kib * 1024)
    }

    /// SIGTERM, and waits for the end.
    ///
    /// # Errors
    /// It does not end.
    pub fn stop(mut self) -> Result<()> {
        let id = self.child.id().to_string();
        let status = Command::new("sh").args(["-c", "kill -s TERM \"$0\"", &id]).status()?;
        ensure!(status.success(), "failed to signal a server");
        let began = Instant::now();
        while self.child.try_wait()?.is_none() {
            ensure!(began.elapsed() < LIMIT, "a server does not stop");
            thread::sleep(POLL);
        }
        Ok(())
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // It may have ended by itself.
        drop(self.child.kill());
        drop(self.child.wait());
    }
}
