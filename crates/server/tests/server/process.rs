//! `kithd` as a process: its verbs, its signals, and what it tells the service manager.

use std::fs;
use std::io::{BufRead, BufReader};
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::UnixDatagram;
use std::path::Path;
use std::process::{Child, Command, Output, Stdio};
use std::time::{Duration, Instant};

use tempfile::TempDir;

use crate::harness::{AUTHORITIES, ORGANISATIONS, PATIENCE, SITES};

fn kithd(dir: &Path, arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_kithd"));
    command.current_dir(dir).args(arguments).stdin(Stdio::null());
    command
}

fn run(dir: &Path, arguments: &[&str]) -> Output {
    kithd(dir, arguments).output().unwrap()
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8(bytes.to_vec()).unwrap()
}

/// A directory with everything that `serve` needs, made by the verbs themselves.
fn installed() -> TempDir {
    let dir = tempfile::tempdir().unwrap();
    let at = dir.path();
    for (name, content) in
        [("organisations.csv", ORGANISATIONS), ("sites.csv", SITES), ("authorities.csv", AUTHORITIES)]
    {
        fs::write(at.join(name), content).unwrap();
    }
    let made = run(at, &["dev-certs", "--out", "certs", "--directory", "."]);
    assert!(made.status.success(), "{}", text(&made.stderr));
    assert!(run(at, &["new-key", "--out", "storage.key"]).status.success());
    fs::write(
        at.join("kithd.toml"),
        "[server]\nlisten = \"127.0.0.1:0\"\n[tls]\ncertificate = \"certs/server.pem\"\nkey = \"certs/server.key\"\n\
         client_ca = \"certs/ca.pem\"\n[storage]\ndata_dir = \"data\"\nkey_file = \"storage.key\"\n\
         [audit]\nprimary = \"audit\"\nspill = \"spill\"\ntree = \"tree\"\n[answers]\nnational_contact_name = \"Duty desk\"\n\
         national_contact_phone = \"01632 960001\"\n[directory]\norganisations = \"organisations.csv\"\n\
         sites = \"sites.csv\"\nauthorities = \"authorities.csv\"\nservices = \"certs/services.csv\"\n",
    )
    .unwrap();
    dir
}

struct Process {
    child: Child,
    log: BufReader<std::process::ChildStderr>,
}

impl Process {
    fn start(dir: &Path, change: impl FnOnce(&mut Command)) -> Self {
        let mut command = kithd(dir, &["serve", "--config", "kithd.toml"]);
        command.stdout(Stdio::null()).stderr(Stdio::piped()).env("KITH__LOG__FORMAT", "json");
        change(&mut command);
        let mut child = command.spawn().unwrap();
        let log = BufReader::new(child.stderr.take().unwrap());
        Self { child, log }
    }

    fn read_until(&mut self, words: &str) -> String {
        let mut line = String::new();
        while self.log.read_line(&mut line).unwrap() > 0 {
            if line.contains(words) {
                return line;
            }
            line.clear();
        }
        panic!("{words:?} was never logged");
    }

    fn signal(&self, name: &str) {
        let sent = Command::new("kill").args([name, &self.child.id().to_string()]).status().unwrap();
        assert!(sent.success());
    }

    fn exit_code(mut self) -> Option<i32> {
        let deadline = Instant::now() + PATIENCE;
        loop {
            if let Some(status) = self.child.try_wait().unwrap() {
                return status.code();
            }
            assert!(Instant::now() < deadline, "kithd did not end");
            std::thread::yield_now();
        }
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        // Already ended when the test went well.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// A shell that becomes `kithd` after it has set a limit of open files.
fn limited(dir: &Path, limit: &str, arguments: &[&str]) -> Command {
    let mut command = Command::new("sh");
    let script = format!("ulimit {limit}; exec \"$0\" \"$@\"");
    command.current_dir(dir).args(["-c", &script, env!("CARGO_BIN_EXE_kithd")]).args(arguments).stdin(Stdio::null());
    command
}

#[test]
fn the_limit_of_open_files_is_raised_and_told_where_it_is_less_than_the_connections_that_are_let_in() {
    let dir = installed();
    let check = ["check-config", "--config", "kithd.toml"];
    let soft = limited(dir.path(), "-Sn 256", &check).output().unwrap();
    assert!(soft.status.success(), "{}", text(&soft.stderr));
    let hard = limited(dir.path(), "-n 2048", &check).output().unwrap();
    let said = text(&hard.stdout);
    assert!(hard.status.success() && said.contains("limits.max_connections: expected at most 1024"), "{said}");
    let fewer = limited(dir.path(), "-n 2048", &check).env("KITH__LIMITS__MAX_CONNECTIONS", "1024").output().unwrap();
    assert!(fewer.status.success() && !text(&fewer.stdout).contains("max_connections"), "{}", text(&fewer.stderr));
}

#[test]
fn sigterm_drains_and_ends_well() {
    let dir = installed();
    let mut process = Process::start(dir.path(), |_| {});
    process.read_until("listening");
    process.signal("-TERM");
    process.read_until("drained");
    assert_eq!(process.exit_code(), Some(0));
}

#[test]
fn sighup_reloads_certificates_and_a_bad_one_is_an_error() {
    let dir = installed();
    let mut process = Process::start(dir.path(), |_| {});
    process.read_until("listening");
    process.signal("-HUP");
    process.read_until("certificates reloaded");
    fs::write(dir.path().join("certs/server.pem"), "").unwrap();
    process.signal("-HUP");
    let line = process.read_until("stays in force");
    assert!(line.contains("\"level\":\"ERROR\""), "{line}");
    process.signal("-INT");
    assert_eq!(process.exit_code(), Some(0));
}

#[test]
fn the_service_manager_is_told() {
    let dir = installed();
    let socket = dir.path().join("notify");
    let manager = UnixDatagram::bind(&socket).unwrap();
    manager.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
    let process = Process::start(dir.path(), |command| {
        command.env("NOTIFY_SOCKET", &socket);
    });
    let await_word = |word: &str| {
        let mut buffer = [0; 1024];
        loop {
            let length = manager.recv(&mut buffer).unwrap();
            if text(&buffer[..length]).contains(word) {
                return;
            }
        }
    };
    await_word("READY=1");
    process.signal("-TERM");
    await_word("STOPPING=1");
    assert_eq!(process.exit_code(), Some(0));
}

#[test]
fn every_mistake_is_reported_and_has_its_exit_code() {
    let dir = installed();
    let at = dir.path();
    let good = run(at, &["check-config", "--config", "kithd.toml"]);
    assert!(good.status.success(), "{}", text(&good.stderr));

    let mut config = fs::read_to_string(at.join("kithd.toml")).unwrap();
    config.push_str("colour = \"red\"\n[limits]\nmax_worklist = 0\n");
    fs::write(at.join("kithd.toml"), config).unwrap();
    for verb in ["check-config", "serve", "print-config", "verify", "inspect"] {
        let bad = run(at, &[verb, "--config", "kithd.toml"]);
        let said = text(&bad.stderr);
        assert_eq!(bad.status.code(), Some(78), "{verb}: {said}");
        assert!(said.contains("directory.colour: unknown field"), "{verb}: {said}");
        assert!(said.contains("limits.max_worklist: expected 1 to 1000, found 0"), "{verb}: {said}");
    }
}

#[test]
fn directories_that_stand_for_each_other_are_mistakes() {
    let dir = installed();
    let at = dir.path();
    fs::create_dir(at.join("one")).unwrap();
    std::os::unix::fs::symlink("one", at.join("link")).unwrap();
    fs::write(at.join("plain"), "").unwrap();
    for (key, value, expected) in [
        ("KITH__AUDIT__SPILL", "one", "audit.spill: expected another directory than audit.primary"),
        ("KITH__AUDIT__SPILL", "link", "audit.spill: expected another directory than audit.primary"),
        ("KITH__AUDIT__SPILL", "two/../one", "audit.spill: expected another directory than audit.primary"),
        ("KITH__STORAGE__DATA_DIR", "./one", "audit.primary: expected another directory than storage.data_dir"),
        ("KITH__STORAGE__DATA_DIR", "plain", "storage.data_dir: expected a directory"),
        ("KITH__LOG__LEVEL", "warning", "log.level: expected error"),
        ("KITH__DIRECTORY__BANK_HOLIDAYS", "['2026-13-01', '2026-12-25', 'x']", "BANK_HOLIDAYS[2]"),
    ] {
        let mut command = kithd(at, &["check-config", "--config", "kithd.toml"]);
        let found = command.env("KITH__AUDIT__PRIMARY", "one").env(key, value).output().unwrap();
        let said = text(&found.stderr);
        assert_eq!(found.status.code(), Some(78), "{key}={value}: {said}");
        assert!(said.contains(expected), "{key}={value}: {said}");
    }
}

#[test]
fn check_config_opens_the_named_files_unless_told_not_to() {
    let dir = installed();
    let at = dir.path();
    fs::remove_file(at.join("sites.csv")).unwrap();
    fs::write(at.join("certs/server.key"), "").unwrap();
    fs::set_permissions(at.join("storage.key"), fs::Permissions::from_mode(0o644)).unwrap();
    let said = text(&run(at, &["check-config", "--config", "kithd.toml"]).stderr);
    for expected in ["sites.csv: cannot be read", "tls: failed to read certs/server.key", "expected mode 0600"] {
        assert!(said.contains(expected), "{expected} not in:\n{said}");
    }
    assert!(run(at, &["check-config", "--syntax-only", "--config", "kithd.toml"]).status.success());

    // A mistake in a value hides none in the files, and one file hides none in another.
    let config = fs::read_to_string(at.join("kithd.toml")).unwrap();
    fs::write(at.join("kithd.toml"), format!("{config}\n[limits]\nmax_worklist = 0\n")).unwrap();
    fs::write(at.join("certs/ca.pem"), "").unwrap();
    let said = text(&run(at, &["check-config", "--config", "kithd.toml"]).stderr);
    for expected in [
        "limits.max_worklist: expected 1 to 1000",
        "sites.csv: cannot be read",
        "tls: failed to read certs/server.key",
        "certs/ca.pem",
        "expected mode 0600",
    ] {
        assert!(said.contains(expected), "{expected} not in:\n{said}");
    }
}

#[test]
fn print_config_shows_what_is_in_force_and_the_defaults() {
    let dir = installed();
    let printed = kithd(dir.path(), &["print-config", "--config", "kithd.toml"])
        .env("KITH__LIMITS__MAX_WORKLIST", "7")
        .output()
        .unwrap();
    assert!(text(&printed.stdout).contains("max_worklist = 7"));
    let defaults = text(&run(dir.path(), &["print-config", "--defaults"]).stdout);
    assert_eq!(defaults, kith_server::config::DEFAULT_FILE);
}

#[test]
fn development_certificates_are_private_and_not_replaced_by_accident() {
    let dir = installed();
    let at = dir.path();
    let alone = ["scheduled-care", "safeguarding", "demographics", "broker", "auditor", "ops", "witness"];
    for name in ["ca", "server", "R1H", "E06000001"].into_iter().chain(alone) {
        let key = at.join(format!("certs/{name}.key"));
        assert_eq!(fs::metadata(&key).unwrap().permissions().mode() & 0o777, 0o600, "{name}");
        assert!(at.join(format!("certs/{name}.pem")).exists(), "{name}");
    }
    for name in alone {
        let pem = fs::read(at.join(format!("certs/{name}.pem"))).unwrap();
        assert_eq!(kith_api::client::certificate_identity(&pem).unwrap().role, name);
    }
    let listed = fs::read_to_string(at.join("certs/services.csv")).unwrap();
    assert!(listed.contains(",ops auditor\n") && listed.contains(",demographics broker witness\n"), "{listed}");
    let before = fs::read(at.join("certs/ca.pem")).unwrap();
    let again = ["dev-certs", "--out", "certs", "--directory", "."];
    let refused = run(at, &again);
    assert_eq!(refused.status.code(), Some(1));
    assert!(text(&refused.stderr).contains("--force"), "{}", text(&refused.stderr));
    assert_eq!(fs::read(at.join("certs/ca.pem")).unwrap(), before);
    assert!(run(at, &[&again[..], &["--force"]].concat()).status.success());
    assert_ne!(fs::read(at.join("certs/ca.pem")).unwrap(), before);
}
