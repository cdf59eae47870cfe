//! A crash leaves no core file, whatever the shell allows: the memory of each program holds what no disk may.

use std::net::TcpListener;
use std::os::unix::process::ExitStatusExt;
use std::path::Path;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

use kith_api::v1::submit_events_response::Verdict;

use crate::harness::build::{self, nhs};
use crate::harness::calls;
use crate::harness::inject::Injection;
use crate::harness::process::program;
use crate::harness::site::{AUTHORITIES, Site, TRUSTS};
use crate::harness::wait::until;
use crate::harness::{logs, offline};

/// SIGABRT.
const ABORTED: i32 = 6;
/// The thread of the server that writes and syncs the change log, and ends the process where that fails.
const WRITER: &str = "kith-writer";
/// How long that end may take, and how much of it may have passed before the last call is seen here.
const EXIT_LIMIT: Duration = Duration::from_secs(10);
const UNSEEN: Duration = Duration::from_secs(1);
/// What the server says when it begins to end, of its configuration here, and what it may say of work that the log no longer takes.
const EXPECTED: [&str; 4] = [
    "the change log failed",
    "purge.enabled is false",
    "the log takes no writes now: counts of feeds wait",
    "access history waits",
];

/// A command under a shell that allows core files of any size.
fn allowed(dir: &Path, program: &Path) -> Command {
    let mut command = Command::new("sh");
    command.current_dir(dir).args(["-c", "ulimit -c unlimited; exec \"$0\" \"$@\""]).arg(program);
    command.stdin(Stdio::null()).stdout(Stdio::null());
    command
}

/// A started program, gone with the test.
struct Started(Child);

impl Started {
    fn id(&self) -> u32 {
        self.0.id()
    }

    /// Ends it as a crash would, and gives how it ended.
    fn abort(mut self) -> ExitStatus {
        let sent = Command::new("kill").args(["-ABRT", &self.id().to_string()]).status().unwrap();
        assert!(sent.success());
        self.0.wait().unwrap()
    }
}

impl Drop for Started {
    fn drop(&mut self) {
        // Already gone when the test went well.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// Names of core files in a directory.
fn cores(dir: &Path) -> Vec<String> {
    let names = std::fs::read_dir(dir).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap());
    names.filter(|name| name.starts_with("core")).collect()
}

/// A program that forbids nothing leaves one here; where the system writes none for anybody, the tests show nothing.
fn control(site: &Site) {
    let dir = site.path("control");
    std::fs::create_dir(&dir).unwrap();
    let child = Started(allowed(&dir, Path::new("sleep")).arg("600").spawn().unwrap());
    until("the shell has become the program", || {
        let name = std::fs::read_to_string(format!("/proc/{}/comm", child.id())).unwrap();
        (name.trim() == "sleep").then_some(())
    });
    if !child.abort().core_dumped() {
        println!("SKIPPED, NOT PASSED: core files: this system writes none, so nothing is shown");
    }
}

fn left_nothing(ended: ExitStatus, dir: &Path) {
    assert_eq!(ended.signal(), Some(ABORTED), "{ended}");
    assert!(!ended.core_dumped() && cores(dir).is_empty(), "a core file was written: {:?}", cores(dir));
}

#[test]
fn an_aborted_server_leaves_none() {
    let site = Site::new();
    let log = site.path("aborted.log");
    let mut command = allowed(site.dir(), &program("kithd"));
    command.args(["serve", "--config", "kithd.toml"]).stderr(std::fs::File::create(&log).unwrap());
    let child = Started(command.spawn().unwrap());
    until("the server listens", || {
        logs::lines(&log).iter().any(|line| line.message.starts_with("listening")).then_some(())
    });
    let limits = std::fs::read_to_string(format!("/proc/{}/limits", child.id())).unwrap();
    let core = limits.lines().find(|line| line.starts_with("Max core file size")).unwrap();
    let words: Vec<&str> = core.split_whitespace().rev().take(3).collect();
    assert_eq!(words, ["bytes", "0", "0"], "{core}");
    left_nothing(child.abort(), site.dir());
    control(&site);
    site.finish(&[]);
}

/// Its exit is held up in the last call, as by a disk that hangs. Without a purge nothing else is at work in the database
/// meanwhile.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_whose_exit_hangs_after_a_failed_sync_is_aborted_and_leaves_none() {
    let mut site = Site::with(&[("purge", "enabled", "false")]);
    let command = allowed(site.dir(), &program("kithd"));
    let server = site.start_by(command);
    server.ready().await;
    let la = server.client(AUTHORITIES[0]).await;
    let Some(injection) = Injection::hung_exit("an exit that hangs", &server, WRITER) else {
        tokio::task::block_in_place(|| server.kill());
        return site.finish(&EXPECTED);
    };
    let events = vec![build::event(build::plan(nhs(1), "P1"))];
    let sending = tokio::spawn(async move { calls::submit(&la, events).await });
    // First the end of the process, for which there is a limit: it ends the stream too.
    let given = tokio::task::block_in_place(|| {
        until("its exit is held up", || injection.has_seen("exit_group(74").then_some(()));
        let began = Instant::now();
        server.until_over();
        began.elapsed()
    });
    assert!(given + UNSEEN >= EXIT_LIMIT, "it was given {given:?} of {EXIT_LIMIT:?} to end by itself");
    assert!(server.has_logged(EXPECTED[0]), "nothing says why it ended");
    let ended = tokio::task::block_in_place(|| {
        injection.detach();
        server.ended()
    });
    left_nothing(ended, site.dir());
    let verdicts = sending.await.unwrap();
    assert!(!matches!(verdicts.as_deref(), Ok([Verdict::Acknowledgement(_)])), "acknowledged after a failed sync");
    control(&site);
    site.finish(&EXPECTED);
}

#[test]
fn an_aborted_client_leaves_none() {
    let site = Site::new();
    // It takes connections and never says anything.
    let silent = TcpListener::bind("127.0.0.1:0").unwrap();
    let mut command = allowed(site.dir(), &program("kith"));
    command.args(["lookup", "--nhs-number", &crate::harness::build::nhs(1).digits(), "--timeout-ms", "600000"]);
    command.args(["--server", &silent.local_addr().unwrap().to_string(), "--ca", "certs/ca.pem"]);
    let (cert, key) = (format!("certs/{}.pem", TRUSTS[0]), format!("certs/{}.key", TRUSTS[0]));
    command.args([
        "--cert",
        &cert,
        "--key",
        &key,
        "--user-id",
        "n",
        "--user-name",
        "A Nurse",
        "--user-role",
        "Nurse",
        "--role-code",
        "R8000",
    ]);
    let child = Started(command.stderr(Stdio::null()).spawn().unwrap());
    silent.set_nonblocking(true).unwrap();
    let asked = until("the client connects", || silent.accept().ok());
    left_nothing(child.abort(), site.dir());
    drop(asked);
    control(&site);
    site.finish(&[]);
}

#[test]
fn an_aborted_witness_leaves_none() {
    let site = Site::new();
    // It takes connections and never says anything.
    let silent = TcpListener::bind("127.0.0.1:0").unwrap();
    let (server, key) = (silent.local_addr().unwrap().to_string(), offline::audit_key(site.dir()).to_string());
    let mut command = allowed(site.dir(), &program("kith-witness"));
    command.args(["--server", &server, "--ca", "certs/ca.pem", "--cert", "certs/witness.pem"]);
    command.args(["--key", "certs/witness.key", "--log-key", &key, "--name", "witness.test/one"]);
    command.args(["--signing-key", "witness.key", "--state", "."]);
    let child = Started(command.stderr(Stdio::null()).spawn().unwrap());
    silent.set_nonblocking(true).unwrap();
    let asked = until("the witness connects", || silent.accept().ok());
    left_nothing(child.abort(), site.dir());
    drop(asked);
    control(&site);
    site.finish(&[]);
}
