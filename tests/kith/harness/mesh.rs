//! A MESH of our own: NHS England's mesh-sandbox behind mutual TLS, mesh-client as the councils, and `kith mesh` between it
//! and a server. Without the two packages the tests that need them say so and do nothing.

use std::io::{BufRead, BufReader, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};

use kith_api::client::ConnectOptions;
use serde_json::{Value as Json, json};

use super::logs::has_number;
use super::process::{Server, program, temporary};
use super::site::{AUTHORITIES, Site};
use super::wait::until;

/// Mailboxes that speak for the first two authorities.
pub const MAILBOXES: [&str; 2] = ["X26ABC2", "X26ABC3"];
/// A mailbox that speaks for nobody.
pub const STRANGER: &str = "X26ABC4";
/// The workflow id of plan files.
pub const WORKFLOW: &str = "KITH_PLANS";
/// Chunks of mesh-client when a test does not choose: its own default.
const WHOLE: usize = 75 * 1024 * 1024;
/// Of every mailbox.
pub const PASSWORD: &str = "Canary-Password-7\n";
/// What no log may hold.
const SECRETS: [&str; 2] = ["Canary-Password", "TestKey"];

/// The folder with mesh-sandbox and mesh-client, as `cargo xtask test` has put it there.
fn packages() -> Option<PathBuf> {
    if let Some(given) = std::env::var_os("KITH_MESH_PACKAGES").filter(|given| !given.is_empty()) {
        return Some(PathBuf::from(given));
    }
    let cache = std::env::var_os("XDG_CACHE_HOME").filter(|folder| !folder.is_empty()).map(PathBuf::from);
    let cache = cache.or_else(|| std::env::var_os("HOME").map(|home| PathBuf::from(home).join(".cache")))?;
    Some(cache.join("kith/tools/mesh")).filter(|folder| folder.join("requirements.txt").is_file())
}

/// A program that is asked in lines of JSON.
struct Helper {
    child: Child,
    input: ChildStdin,
    output: BufReader<ChildStdout>,
}

impl Helper {
    fn start(packages: &Path, script: &str, arguments: &[&str], log: &Path) -> Self {
        let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("kith/mesh").join(script);
        let mut command = Command::new("python3");
        command.env("PYTHONPATH", packages).env("PYTHONDONTWRITEBYTECODE", "1").arg(script).args(arguments);
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(std::fs::File::create(log).unwrap());
        let mut child = command.spawn().unwrap();
        let (input, output) = (child.stdin.take().unwrap(), BufReader::new(child.stdout.take().unwrap()));
        Self { child, input, output }
    }

    fn hear(&mut self) -> Json {
        let mut line = String::new();
        self.output.read_line(&mut line).unwrap();
        serde_json::from_str(&line).unwrap_or_else(|_| panic!("the helper ended; see its log in the test's directory"))
    }

    fn ask(&mut self, order: &Json) -> Json {
        writeln!(self.input, "{order}").unwrap();
        self.hear()
    }
}

impl Drop for Helper {
    fn drop(&mut self) {
        // Already gone when it failed.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// An answer as a council reads it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Answer {
    pub sender: String,
    pub workflow: String,
    pub local_id: String,
    pub filename: String,
    pub text: String,
}

/// How a run of the adapter ended: none when it was killed.
#[derive(Debug)]
pub struct Ran {
    pub code: Option<i32>,
    pub said: String,
}

/// MESH, councils and the adapter's files.
pub struct Mesh {
    sandbox: Helper,
    council: Helper,
    dir: PathBuf,
    url: String,
    files: u32,
}

impl Mesh {
    /// None, and words about it, when the packages are not there.
    pub fn start(test: &str, site: &Site) -> Option<Self> {
        let Some(packages) = packages() else {
            println!(
                "SKIPPED, NOT PASSED: {test}: mesh-sandbox and mesh-client are not there (cargo xtask test fetches them)"
            );
            return None;
        };
        let dir = site.dir().to_owned();
        site.run(&["dev-certs", "--out", "mesh-certs", "--directory", "."]);
        let certs = site.path("mesh-certs").to_str().unwrap().to_owned();
        let mut sandbox = Helper::start(&packages, "sandbox.py", &[&certs], &site.path("sandbox.log"));
        let url = format!("https://localhost:{}", sandbox.hear()["port"]);
        let council = Helper::start(&packages, "council.py", &[&url, &certs], &site.path("council.log"));
        for (name, text) in [("password", PASSWORD), ("shared-key", "TestKey\n")] {
            secret(&site.path(name), text);
        }
        let mut mesh = Self { sandbox, council, dir, url, files: 0 };
        until("the sandbox answers", || {
            mesh.council.ask(&json!({"do": "inbox", "mailbox": STRANGER})).get("ids").cloned()
        });
        Some(mesh)
    }

    /// Writes the adapter's configuration; `settings` replace lines of its section `[mesh]`.
    pub fn configure(&self, server: &Server, settings: &[(&str, &str)]) {
        let own = [
            ("url", format!("{:?}", self.url)),
            ("mailbox", "\"X26ABC1\"".into()),
            ("password_file", "\"password\"".into()),
            ("shared_key_file", "\"shared-key\"".into()),
            ("ca", "\"mesh-certs/ca.pem\"".into()),
            ("cert", "\"mesh-certs/ops.pem\"".into()),
            ("key", "\"mesh-certs/ops.key\"".into()),
            ("workflow", format!("{WORKFLOW:?}")),
            ("answer_workflow", "\"KITH_PLANS_ACK\"".into()),
            ("state_dir", "\"notes\"".into()),
            ("poll_interval_seconds", "1".into()),
            ("request_timeout_seconds", "20".into()),
        ];
        let mut mesh: std::collections::BTreeMap<&str, String> = own.into_iter().collect();
        mesh.extend(settings.iter().map(|(key, value)| (*key, (*value).to_owned())));
        let mut text = "[mesh]\n".to_owned();
        for (key, value) in mesh {
            text.push_str(&format!("{key} = {value}\n"));
        }
        let ConnectOptions { server: address, .. } = server.options("ops");
        text.push_str(&format!("[kith]\nserver = {address:?}\nca = \"certs/ca.pem\"\n"));
        for (mailbox, authority) in MAILBOXES.iter().zip(AUTHORITIES) {
            text.push_str(&format!("[[sender]]\nmailbox = {mailbox:?}\nauthority = {authority:?}\n"));
            text.push_str(&format!("cert = \"certs/{authority}.pem\"\nkey = \"certs/{authority}.key\"\n"));
        }
        std::fs::write(self.dir.join("mesh.toml"), text).unwrap();
    }

    /// A council sends a file; gives MESH's id of the message.
    pub fn send(&mut self, from: &str, bytes: &[u8]) -> String {
        self.send_as(from, bytes, WORKFLOW, false, WHOLE)
    }

    pub fn send_as(&mut self, from: &str, bytes: &[u8], workflow: &str, compress: bool, chunk: usize) -> String {
        self.files += 1;
        let path = self.dir.join(format!("sent-{}.csv", self.files));
        std::fs::write(&path, bytes).unwrap();
        let order = json!({"do": "send", "from": from, "path": path, "workflow": workflow, "compress": compress, "chunk": chunk});
        self.council.ask(&order)["id"].as_str().unwrap().to_owned()
    }

    /// Puts a report of MESH into the adapter's mailbox.
    pub fn report(&mut self, report: &Json) {
        self.council.ask(&json!({"do": "report", "report": report}));
    }

    /// A council reads and acknowledges its answers.
    pub fn read(&mut self, mailbox: &str) -> Vec<Answer> {
        let read = self.council.ask(&json!({"do": "read", "mailbox": mailbox}));
        let text = |answer: &Json, key: &str| answer[key].as_str().unwrap().to_owned();
        let answer = |answer: &Json| Answer {
            sender: text(answer, "sender"),
            workflow: text(answer, "workflow"),
            local_id: text(answer, "local_id"),
            filename: text(answer, "filename"),
            text: unhex(&text(answer, "content")),
        };
        read["answers"].as_array().unwrap().iter().map(answer).collect()
    }

    /// The ids in the adapter's mailbox, as another client sees them.
    pub fn inbox(&mut self) -> Vec<String> {
        let ids = self.council.ask(&json!({"do": "inbox", "mailbox": "X26ABC1"}))["ids"].clone();
        serde_json::from_value(ids).unwrap()
    }

    /// Every request of the adapter that names `step` fails so from now on: with a status, or never.
    pub fn fail(&mut self, step: &str, how: Json) {
        self.sandbox.ask(&json!({"do": "fail", "fail": {"step": step, "how": how}}));
    }

    pub fn heal(&mut self) {
        self.sandbox.ask(&json!({"do": "fail", "fail": null}));
    }

    /// The adapter's requests since its last start.
    pub fn seen(&mut self) -> Vec<String> {
        serde_json::from_value(self.sandbox.ask(&json!({"do": "seen"}))["seen"].clone()).unwrap()
    }

    /// `kith mesh` as its unit runs it.
    pub fn adapter(&self, arguments: &[&str]) -> Child {
        let log = std::fs::File::options().create(true).append(true).open(self.log()).unwrap();
        let mut command = Command::new(program("kith"));
        command.current_dir(&self.dir).env("TMPDIR", temporary(&self.dir));
        command.args(["mesh", "--config", "mesh.toml"]).args(arguments);
        command.stdin(Stdio::null()).stdout(log.try_clone().unwrap()).stderr(log).spawn().unwrap()
    }

    /// Looks into the inbox once.
    pub fn pass(&mut self) -> Ran {
        self.sandbox.ask(&json!({"do": "hold"}));
        let before = self.said().len();
        let child = self.adapter(&["--once"]);
        self.sandbox.ask(&json!({"do": "release"}));
        self.ran(child, before)
    }

    /// The same, and a kill at the `at`th request to MESH: `"before"` MESH has it, `"after"` it has and before it answers, or so
    /// many milliseconds after its answer.
    pub fn pass_killed(&mut self, at: u32, when: Json) -> Ran {
        self.sandbox.ask(&json!({"do": "hold"}));
        let before = self.said().len();
        let child = self.adapter(&["--once"]);
        self.sandbox.ask(&json!({"do": "release", "kill": {"pid": child.id(), "at": at, "when": when}}));
        self.ran(child, before)
    }

    fn ran(&self, child: Child, before: usize) -> Ran {
        let code = self.ended(child);
        Ran { code, said: self.said()[before..].to_owned() }
    }

    /// Waits for the end of an adapter and gives its exit code.
    pub fn ended(&self, mut child: Child) -> Option<i32> {
        until("the adapter ends", || child.try_wait().unwrap()).code()
    }

    /// All that the adapter ever said.
    pub fn said(&self) -> String {
        std::fs::read_to_string(self.log()).unwrap_or_default()
    }

    fn log(&self) -> PathBuf {
        self.dir.join("adapter.log")
    }

    /// How many files the councils have sent.
    pub fn sent(&self) -> u32 {
        self.files
    }

    /// Takes away what is the councils' own and MESH's: what they sent, and what they say. The rest is ours.
    pub fn without_theirs(&self) {
        let sent = (1..=self.files).map(|number| format!("sent-{number}.csv"));
        for name in sent.chain(["sandbox.log", "council.log"].map(str::to_owned)) {
            std::fs::remove_file(self.dir.join(name)).unwrap();
        }
    }

    /// The end of a test: nothing of children, and no secret, is in what was said or noted.
    pub fn finish(self) {
        let mut texts = vec![self.said()];
        for entry in std::fs::read_dir(self.dir.join("notes")).into_iter().flatten() {
            texts.push(std::fs::read_to_string(entry.unwrap().path()).unwrap());
        }
        for text in texts {
            assert!(!has_number(&text), "an NHS number: {text}");
            for secret in SECRETS {
                assert!(!text.contains(secret), "{secret}: {text}");
            }
        }
    }
}

/// A file that only its owner can read.
pub fn secret(path: &Path, text: &str) {
    use std::os::unix::fs::PermissionsExt;
    std::fs::write(path, text).unwrap();
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o600)).unwrap();
}

fn unhex(text: &str) -> String {
    let digits: Vec<char> = text.chars().collect();
    let byte = |pair: &[char]| u8::from_str_radix(&pair.iter().collect::<String>(), 16).unwrap();
    String::from_utf8(digits.chunks(2).map(byte).collect()).unwrap()
}
