//! The server as a process: started, asked for its state, signalled, killed.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::Duration;

use kith_api::client::{Client, ConnectError, ConnectOptions, certificate_identity};
use kith_api::v1;
use tonic::transport::{Certificate, Channel, ClientTlsConfig, Endpoint, Identity};

use super::logs;
use super::wait::{PATIENCE, until, until_async};

/// A program of this workspace, beside this test's own executable.
pub fn program(name: &str) -> PathBuf {
    let own = std::env::current_exe().unwrap();
    let beside = own.parent().and_then(Path::parent).unwrap().join(name);
    assert!(beside.exists(), "{name} is not built: run `cargo build --workspace --bins` first");
    beside
}

/// Temporary files of the programs of one test, below its own directory: so they are searched like everything else there.
pub fn temporary(dir: &Path) -> PathBuf {
    let temporary = dir.join("tmp");
    std::fs::create_dir_all(&temporary).unwrap();
    temporary
}

/// Whether a process or thread, by its folder below `/proc`, is in a state.
fn is_in_state(folder: &Path, state: char) -> bool {
    let is_so = |stat: String| stat.rsplit_once(") ").is_some_and(|(_, rest)| rest.starts_with(state));
    std::fs::read_to_string(folder.join("stat")).is_ok_and(is_so)
}

/// A running server.
pub struct Server {
    child: Child,
    address: SocketAddr,
    dir: PathBuf,
    log: PathBuf,
}

impl Server {
    /// Starts it by a command that runs `kithd` with whatever arguments are added.
    pub fn start(mut command: Command, dir: &Path, log: &Path) -> Self {
        command.current_dir(dir).env("TMPDIR", temporary(dir));
        command.args(["serve", "--config", "kithd.toml"]).stdin(Stdio::null());
        let file = std::fs::File::create(log).unwrap();
        let child = command.stdout(file.try_clone().unwrap()).stderr(file).spawn().unwrap();
        let nowhere = SocketAddr::from(([0, 0, 0, 0], 0));
        let mut server = Self { child, address: nowhere, dir: dir.to_owned(), log: log.to_owned() };
        server.address = until("the server listens", || {
            assert!(server.is_running(), "kithd ended: {}", std::fs::read_to_string(log).unwrap());
            let lines = logs::lines(log);
            let line = lines.iter().find(|line| line.message.starts_with("listening"))?;
            Some(line.fields["address"].as_str().unwrap().parse().unwrap())
        });
        server
    }

    pub fn process_id(&self) -> u32 {
        self.child.id()
    }

    /// How the certificate of this name connects.
    pub fn options(&self, name: &str) -> ConnectOptions {
        let certs = self.dir.join("certs");
        ConnectOptions {
            server: self.address.to_string(),
            ca: certs.join("ca.pem"),
            cert: certs.join(format!("{name}.pem")),
            key: certs.join(format!("{name}.key")),
            connect_timeout: PATIENCE,
            request_timeout: Duration::from_secs(30),
        }
    }

    pub async fn connect(&self, name: &str) -> Result<Client, ConnectError> {
        let options = self.options(name);
        let pem = std::fs::read(&options.cert).unwrap();
        let caller = certificate_identity(&pem).map(|identity| super::build::caller(&identity.organisation));
        let client = Client::connect(options).await?;
        // A certificate that names nobody is for tests that want it refused.
        Ok(match caller {
            Ok(caller) => client.as_person(&caller),
            Err(_) => client,
        })
    }

    pub async fn client(&self, name: &str) -> Client {
        self.connect(name).await.unwrap()
    }

    /// A bare channel, for services that the typed client does not have.
    pub async fn channel(&self, name: &str) -> Channel {
        let options = self.options(name);
        let read = |path: &Path| std::fs::read(path).unwrap();
        let tls = ClientTlsConfig::new()
            .ca_certificate(Certificate::from_pem(read(&options.ca)))
            .identity(Identity::from_pem(read(&options.cert), read(&options.key)));
        let endpoint = Endpoint::from_shared(format!("https://{}", self.address)).unwrap();
        endpoint.tls_config(tls).unwrap().connect().await.unwrap()
    }

    /// Its state, as it tells it. Leaves no entry in the audit, so that one may wait for those of others with it.
    pub async fn status(&self) -> v1::GetStatusResponse {
        self.status_with(false).await
    }

    /// Its state with every feed; that they were shown is in the audit.
    pub async fn status_with_feeds(&self) -> v1::GetStatusResponse {
        self.status_with(true).await
    }

    async fn status_with(&self, include_feeds: bool) -> v1::GetStatusResponse {
        let client = self.client("ops").await;
        let request = client.request(v1::GetStatusRequest { include_feeds });
        client.status().get_status(request).await.unwrap().into_inner()
    }

    /// Waits until it answers questions; a failed start ends the test at once, with its reason.
    pub async fn ready(&self) {
        let readiness = self.settled().await;
        assert_eq!(readiness.0, v1::Readiness::Ready, "{} ({})", readiness.1, self.log.display());
    }

    /// Waits until it has finished loading, and gives what it says then.
    pub async fn settled(&self) -> (v1::Readiness, String) {
        let client = self.client("ops").await;
        until_async("the server has finished loading", async || {
            let request = client.request(v1::GetStatusRequest::default());
            let status = client.status().get_status(request).await.unwrap().into_inner();
            let readiness = status.readiness();
            (readiness != v1::Readiness::Loading).then(|| (readiness, status.reason.clone()))
        })
        .await
    }

    pub fn log(&self) -> &Path {
        &self.log
    }

    pub fn has_logged(&self, words: &str) -> bool {
        logs::lines(&self.log).iter().any(|line| line.message.contains(words))
    }

    /// SIGSTOP, and none of its threads runs any more when this returns: from now on nothing leaves the process, as when the
    /// power goes. A process that outlived its disk could still answer on the word of a sync that the shutdown of the file
    /// system overtook.
    pub fn freeze(&self) {
        self.signal("-STOP");
        until("every thread stands still", || {
            let mut tasks = std::fs::read_dir(format!("/proc/{}/task", self.child.id())).unwrap();
            tasks.all(|task| task.is_ok_and(|task| is_in_state(&task.path(), 'T'))).then_some(())
        });
    }

    /// Waits until nothing of it runs any more. Of a process of which a thread is traced the end is told only when that is over.
    pub fn until_over(&self) {
        let process = PathBuf::from(format!("/proc/{}", self.process_id()));
        until("nothing of the server runs any more", || is_in_state(&process, 'Z').then_some(()));
    }

    pub fn signal(&self, name: &str) {
        let sent = Command::new("kill").args([name, &self.process_id().to_string()]).status().unwrap();
        assert!(sent.success());
    }

    /// SIGKILL.
    pub fn kill(mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }

    /// Whether the process still runs.
    pub fn is_running(&mut self) -> bool {
        self.child.try_wait().unwrap().is_none()
    }

    /// Waits for its end and gives how it ended.
    pub fn ended(mut self) -> ExitStatus {
        until("the server ends", || self.child.try_wait().unwrap())
    }

    /// Waits for its end and gives the exit code.
    pub fn exit_code(self) -> Option<i32> {
        self.ended().code()
    }

    /// SIGTERM, and a good end.
    pub fn stop(self) {
        self.signal("-TERM");
        assert_eq!(self.exit_code(), Some(0), "the server did not end well");
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // Already gone when the test went well.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
