//! Everything a server needs, in one scratch directory: a tiny directory of trusts and authorities, certificates, a key
//! and a configuration. The server can be started on it again and again.

use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::process::Command;

use super::logs;
use super::process::{Server, program, temporary};
use super::scratch::Scratch;

/// Authorities and trusts. The names are such as no other word contains.
pub const AUTHORITIES: [&str; 3] = ["E06000901", "E06000902", "E06000903"];
pub const TRUSTS: [&str; 3] = ["RZ1", "RZ2", "RZ3"];
/// Every word that tells a place: codes, names and telephone numbers of authorities, trusts and sites.
pub const PLACES: [&str; 24] = [
    "E06000901",
    "E06000902",
    "E06000903",
    "Hartlemoor",
    "Thornwick",
    "Wexmoor",
    "01632 960011",
    "01632 960012",
    "01632 960021",
    "01632 960022",
    "01632 960031",
    "01632 960032",
    "RZ1",
    "RZ2",
    "RZ3",
    "Barrowfold",
    "Quenbury",
    "Ulverdale",
    "RZ101",
    "RZ201",
    "RZ301",
    "01632 960101",
    "01632 960102",
    "01632 960103",
];

const AUTHORITY_FILE: &str = "gss_code,name,office_phone,out_of_hours_phone,office_opens,office_closes\n\
    E06000901,Hartlemoor,01632 960011,01632 960012,08:30,17:00\n\
    E06000902,Thornwick,01632 960021,01632 960022,08:30,17:00\n\
    E06000903,Wexmoor,01632 960031,01632 960032,08:30,17:00\n";
const TRUST_FILE: &str = "ods_code,name,contact_phone,successor_code\n\
    RZ1,Barrowfold NHS Trust,01632 960101,\nRZ2,Quenbury NHS Trust,01632 960102,\nRZ3,Ulverdale NHS Trust,01632 960103,\n";
const SITE_FILE: &str = "ods_site_code,name,organisation_code\n\
    RZ101,Barrowfold General,RZ1\nRZ201,Quenbury Royal,RZ2\nRZ301,Ulverdale Infirmary,RZ3\n";

/// A setting that differs from the default: section, key, value as TOML.
pub type Setting<'a> = (&'a str, &'a str, &'a str);

/// One installation.
pub struct Site {
    scratch: Scratch,
    starts: u32,
    finished: bool,
}

impl Site {
    pub fn new() -> Self {
        Self::with(&[])
    }

    /// With settings that differ from the default.
    pub fn with(settings: &[Setting<'_>]) -> Self {
        let site = Self::of(AUTHORITY_FILE, TRUST_FILE, SITE_FILE);
        site.configure(settings);
        site
    }

    /// With another directory.
    pub fn of(authorities: &str, organisations: &str, sites: &str) -> Self {
        let site = Self { scratch: Scratch::new(), starts: 0, finished: false };
        for (name, text) in
            [("authorities.csv", authorities), ("organisations.csv", organisations), ("sites.csv", sites)]
        {
            std::fs::write(site.path(name), text).unwrap();
        }
        site.run(&["dev-certs", "--out", "certs", "--directory", "."]);
        site.run(&["new-key", "--out", "storage.key"]);
        site.run(&["new-audit-key", "--out", "audit.key"]);
        site.configure(&[]);
        site
    }

    /// Writes the configuration anew.
    pub fn configure(&self, settings: &[Setting<'_>]) {
        let own = [
            ("server", "listen", "\"127.0.0.1:0\""),
            ("tls", "certificate", "\"certs/server.pem\""),
            ("tls", "key", "\"certs/server.key\""),
            ("tls", "client_ca", "\"certs/ca.pem\""),
            ("storage", "data_dir", "\"disk/data\""),
            ("storage", "key_file", "\"storage.key\""),
            ("storage", "reserve_bytes", "1048576"),
            ("audit", "primary", "\"disk/audit\""),
            ("audit", "spill", "\"disk/spill\""),
            ("audit", "tree", "\"disk/audit-tree\""),
            ("audit", "signing_key_file", "\"audit.key\""),
            ("audit", "segment_bytes", "1048576"),
            ("audit", "fail_after_ms", "20000"),
            ("answers", "national_contact_name", "\"National desk\""),
            ("answers", "national_contact_phone", "\"01632 960999\""),
            ("directory", "organisations", "\"organisations.csv\""),
            ("directory", "sites", "\"sites.csv\""),
            ("directory", "authorities", "\"authorities.csv\""),
            ("directory", "services", "\"certs/services.csv\""),
            ("limits", "request_timeout_ms", "30000"),
            // Some tests call as fast as they can.
            ("limits", "calls_per_second_per_organisation", "1000000"),
            ("log", "format", "\"json\""),
        ];
        let mut sections = std::collections::BTreeMap::<&str, std::collections::BTreeMap<&str, &str>>::new();
        for (section, key, value) in own.iter().chain(settings) {
            sections.entry(section).or_default().insert(key, value);
        }
        let mut text = String::new();
        for (section, values) in sections {
            writeln!(text, "[{section}]").unwrap();
            for (key, value) in values {
                writeln!(text, "{key} = {value}").unwrap();
            }
        }
        std::fs::write(self.path("kithd.toml"), text).unwrap();
    }

    pub fn dir(&self) -> &Path {
        self.scratch.path()
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.scratch.join(name)
    }

    /// Runs one of the other verbs of `kithd`, which must succeed.
    pub fn run(&self, arguments: &[&str]) -> String {
        let mut command = Command::new(program("kithd"));
        command.current_dir(self.dir()).env("TMPDIR", temporary(self.dir()));
        let output = command.args(arguments).output().unwrap();
        let said = String::from_utf8_lossy(&output.stdout).into_owned();
        assert!(output.status.success(), "kithd {arguments:?}: {said}{}", String::from_utf8_lossy(&output.stderr));
        said
    }

    /// Starts a server; it listens when this returns.
    pub fn start(&mut self) -> Server {
        self.start_by(Command::new(program("kithd")))
    }

    /// Starts a server by a command of the test's own, which runs `kithd` with whatever arguments are added.
    pub fn start_by(&mut self, command: Command) -> Server {
        self.starts += 1;
        Server::start(command, self.dir(), &self.path(&format!("kithd-{}.log", self.starts)))
    }

    /// Starts a server and waits until it answers.
    pub async fn ready(&mut self) -> Server {
        let server = self.start();
        server.ready().await;
        server
    }

    /// The logs of all starts.
    pub fn logs(&self) -> Vec<PathBuf> {
        (1..=self.starts).map(|start| self.path(&format!("kithd-{start}.log"))).collect()
    }

    /// The end of a test: what was logged is looked at. `expected` are words of warnings and errors that belong to it.
    pub fn finish(mut self, expected: &[&str]) {
        for log in self.logs() {
            logs::check(&log, expected);
        }
        self.finished = true;
    }
}

impl Drop for Site {
    fn drop(&mut self) {
        assert!(self.finished || std::thread::panicking(), "a test must end with Site::finish");
    }
}
