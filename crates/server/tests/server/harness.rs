//! One server as production starts it, on a port of its own, with certificates and directory files of its own.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::atomic::AtomicBool;
use std::sync::{Arc, Mutex, OnceLock, mpsc};
use std::time::{Duration, Instant};

use http::Request;
use kith_server::config::Config;
use kith_server::directory::Directory;
use kith_server::serve::{self, Ending, Ground, Running};
use kith_server::stop::StopHandle;
use kith_server::tls::TlsState;
use rustls::version::TLS13;
use tempfile::TempDir;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::runtime::Handle;
use tokio_rustls::TlsConnector;
use tonic::body::Body;
use tonic::codegen::Bytes;
use tonic::transport::{Channel, Endpoint};
use tonic::{Code, Status};
use tower::ServiceExt;

use crate::authority::{Authority, Pair};
use crate::probe::{Gate, Opened, ProbeApplication, SERVICE};

pub const ED: &str = "spiffe://kith.test/org/R1H/role/ed";
pub const LA: &str = "spiffe://kith.test/org/E06000001/role/local-authority";

/// The first bytes of every HTTP/2 connection.
pub const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0";

/// How long anything may take before a test gives up.
pub const PATIENCE: Duration = Duration::from_secs(20);

pub const ORGANISATIONS: &str = "ods_code,name,contact_phone,successor_code\nR1H,Barts,01632 960100,\n";
pub const SITES: &str = "ods_site_code,name,organisation_code\nR1H12,Royal London,R1H\n";
pub const AUTHORITIES: &str = "gss_code,name,office_phone,out_of_hours_phone,office_opens,office_closes\n\
                               E06000001,Hartlepool,01632 960200,01632 960201,08:30,17:00\n";

/// The name of the file of revocation lists, where a test has one.
pub const LIST: &str = "lists.pem";

pub struct TestServer {
    pub dir: TempDir,
    pub authority: Authority,
    pub address: SocketAddr,
    pub stop: StopHandle,
    pub tls: Arc<TlsState>,
    pub open: mpsc::Sender<Opened>,
    pub closed: Arc<AtomicBool>,
    pub can_answer: Arc<AtomicBool>,
    pub gate: Arc<Gate>,
    pub control: Arc<OnceLock<Handle>>,
    running: Option<Running<ProbeApplication>>,
}

impl TestServer {
    /// Started, and open.
    pub fn ready(change: impl FnOnce(&mut Config)) -> Self {
        Self::loading(change).opened()
    }

    /// Open, from now on.
    pub fn opened(self) -> Self {
        self.open.send(Ok(())).unwrap();
        let deadline = Instant::now() + PATIENCE;
        while !self.running.as_ref().unwrap().readiness().is_serving() {
            assert!(Instant::now() < deadline, "not serving");
            std::thread::yield_now();
        }
        self
    }

    /// Started, and not open until the test says so.
    pub fn loading(change: impl FnOnce(&mut Config)) -> Self {
        Self::started(Authority::new(), |config, _| change(config))
    }

    /// Started with this authority and a list of the certificates that it revoked.
    pub fn with_list(authority: Authority, list: &str, change: impl FnOnce(&mut Config)) -> Self {
        Self::started(authority, |config, dir| {
            config.tls.client_crls = dir.join(LIST);
            std::fs::write(&config.tls.client_crls, list).unwrap();
            change(config);
        })
        .opened()
    }

    /// Started with certificates of this authority, and not open until the test says so.
    pub fn started(authority: Authority, change: impl FnOnce(&mut Config, &Path)) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let mut config = config_in(&dir, &authority);
        change(&mut config, dir.path());
        let directory = Directory::load(&config).unwrap();
        let ground = Ground::prepare(&config).unwrap();
        let listener = serve::bind(config.server.listen).unwrap();
        let (open, told) = mpsc::channel();
        let closed = Arc::new(AtomicBool::new(false));
        let can_answer = Arc::new(AtomicBool::new(true));
        let gate = Arc::new(Gate::default());
        let control = Arc::new(OnceLock::new());
        let application = ProbeApplication {
            open: Mutex::new(told),
            closed: Arc::clone(&closed),
            can_answer: Arc::clone(&can_answer),
            gate: Arc::clone(&gate),
            control: Arc::clone(&control),
        };
        let running = serve::start(ground, Arc::new(config), Arc::new(directory), listener, application).unwrap();
        Self {
            address: running.address(),
            stop: running.stop_handle(),
            tls: running.tls(),
            running: Some(running),
            dir,
            authority,
            open,
            closed,
            can_answer,
            gate,
            control,
        }
    }

    /// How many connections were closed for this.
    pub fn shed(&self, why: &str) -> u64 {
        let all = self.running.as_ref().unwrap().connections_shed();
        all.iter().find(|(word, _)| *word == why).unwrap_or_else(|| panic!("{why}")).1
    }

    /// How many calls were read late.
    pub fn read_late(&self) -> u64 {
        self.running.as_ref().unwrap().calls_read_late()
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    /// A connection of its own for this identity.
    pub async fn channel(&self, uri: &str) -> Channel {
        let pair = self.authority.client(&[uri]);
        self.connect(&pair).await.unwrap()
    }

    pub async fn connect(&self, pair: &Pair) -> Result<Channel, tonic::transport::Error> {
        let endpoint = Endpoint::from_shared(format!("https://{}", self.address)).unwrap();
        endpoint.tls_config(pair.tonic(&self.authority.pem)).unwrap().connect().await
    }

    /// A bare TLS connection; what comes of it shows only at the first read.
    pub async fn tls(
        &self,
        pair: Option<&Pair>,
        versions: &[&'static rustls::SupportedProtocolVersion],
    ) -> std::io::Result<tokio_rustls::client::TlsStream<TcpStream>> {
        self.tls_over(TcpStream::connect(self.address).await?, pair, versions).await
    }

    /// The same over a connection that the test has made.
    pub async fn tls_over(
        &self,
        tcp: TcpStream,
        pair: Option<&Pair>,
        versions: &[&'static rustls::SupportedProtocolVersion],
    ) -> std::io::Result<tokio_rustls::client::TlsStream<TcpStream>> {
        let config = client_config(&self.authority.pem, pair, versions);
        TlsConnector::from(Arc::new(config)).connect("localhost".try_into().unwrap(), tcp).await
    }

    /// Whether the server takes the connection: it then sends its HTTP/2 settings.
    pub async fn takes(&self, pair: Option<&Pair>) -> bool {
        let Ok(mut stream) = self.tls(pair, &[&TLS13]).await else { return false };
        let mut settings = [0_u8; 9];
        stream.write_all(PREFACE).await.is_ok() && stream.read_exact(&mut settings).await.is_ok()
    }

    /// Waits for the end on a thread of its own; the order to stop is the test's.
    pub fn wait(&mut self) -> std::thread::JoinHandle<Ending> {
        let running = self.running.take().unwrap();
        std::thread::spawn(move || running.wait())
    }
}

impl Drop for TestServer {
    fn drop(&mut self) {
        self.gate.open();
        self.stop.end_now();
        if let Some(running) = self.running.take() {
            std::thread::spawn(move || running.wait()).join().unwrap();
        }
    }
}

fn client_config(
    authority_pem: &str,
    pair: Option<&Pair>,
    versions: &[&'static rustls::SupportedProtocolVersion],
) -> rustls::ClientConfig {
    use rustls_pki_types::pem::PemObject;
    use rustls_pki_types::{CertificateDer, PrivateKeyDer};
    let mut roots = rustls::RootCertStore::empty();
    roots.add(CertificateDer::from_pem_slice(authority_pem.as_bytes()).unwrap()).unwrap();
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let builder = rustls::ClientConfig::builder_with_provider(provider)
        .with_protocol_versions(versions)
        .unwrap()
        .with_root_certificates(roots);
    let mut config = match pair {
        None => builder.with_no_client_auth(),
        Some(pair) => {
            let chain = CertificateDer::pem_slice_iter(pair.certificate.as_bytes()).map(Result::unwrap).collect();
            let key = PrivateKeyDer::from_pem_slice(pair.key.as_bytes()).unwrap();
            let key = rustls::crypto::ring::sign::any_supported_type(&key).unwrap();
            // Without a look at the certificate, which may be such as no client would use.
            let shown = rustls::sign::CertifiedKey::new(chain, key);
            builder.with_client_cert_resolver(Arc::new(rustls::sign::SingleCertAndKey::from(shown)))
        }
    };
    config.alpn_protocols = vec![b"h2".to_vec()];
    config
}

pub fn config_in(dir: &TempDir, authority: &Authority) -> Config {
    let at = |name: &str| dir.path().join(name);
    authority.server().write(&at("server.pem"), &at("server.key"));
    for (name, text) in [
        ("clients.pem", authority.pem.as_str()),
        ("organisations.csv", ORGANISATIONS),
        ("sites.csv", SITES),
        ("authorities.csv", AUTHORITIES),
    ] {
        std::fs::write(at(name), text).unwrap();
    }
    let mut config = Config::default();
    config.server.listen = "127.0.0.1:0".parse().unwrap();
    config.server.data_threads = 2;
    config.tls.certificate = at("server.pem");
    config.tls.key = at("server.key");
    config.tls.client_ca = at("clients.pem");
    config.directory.organisations = at("organisations.csv");
    config.directory.sites = at("sites.csv");
    config.directory.authorities = at("authorities.csv");
    config
}

/// Runs a client's side of a test, with a limit.
pub fn client<T>(work: impl Future<Output = T>) -> T {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async { tokio::time::timeout(PATIENCE, work).await.expect("took too long") })
}

/// Calls a method of the probe, with these extra headers.
pub async fn call(channel: &Channel, method: &str, headers: &[(&str, &str)]) -> Status {
    let mut request = Request::post(format!("http://localhost/{SERVICE}/{method}"))
        .header("content-type", "application/grpc")
        .header("te", "trailers");
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    match channel.clone().oneshot(request.body(Body::default()).unwrap()).await {
        Ok(response) => Status::from_header_map(response.headers()).unwrap_or_else(|| Status::unknown("no status")),
        Err(error) => Status::new(Code::Unknown, format!("transport: {error:?}")),
    }
}

/// A client that leaves deadlines to the server: tonic's own would give up by itself first.
#[derive(Clone)]
pub struct WireClient(h2::client::SendRequest<Bytes>);

impl TestServer {
    pub async fn wire_client(&self, uri: &str) -> WireClient {
        self.wire_connection(uri).await.0
    }

    /// The client, and what ends with its connection, well or not; the calls on it say which.
    pub async fn wire_connection(&self, uri: &str) -> (WireClient, tokio::task::JoinHandle<()>) {
        let pair = self.authority.client(&[uri]);
        wire_over(self.tls(Some(&pair), &[&TLS13]).await.unwrap()).await
    }
}

/// The same over a connection whose handshake the test has done.
pub async fn wire_over(
    stream: tokio_rustls::client::TlsStream<TcpStream>,
) -> (WireClient, tokio::task::JoinHandle<()>) {
    let (sender, connection) = h2::client::handshake(stream).await.unwrap();
    let ended = tokio::spawn(async move { connection.await.unwrap_or_default() });
    (WireClient(sender.ready().await.unwrap()), ended)
}

impl WireClient {
    /// Sends a call; the second future waits for its answer.
    pub fn send(&mut self, method: &str, timeout: Option<&str>) -> impl Future<Output = Status> + use<> {
        let mut request = Request::post(format!("https://localhost/{SERVICE}/{method}"))
            .header("content-type", "application/grpc")
            .header("te", "trailers");
        if let Some(timeout) = timeout {
            request = request.header("grpc-timeout", timeout);
        }
        let (response, _) = self.0.send_request(request.body(()).unwrap(), true).unwrap();
        async {
            match response.await {
                Ok(response) => Status::from_header_map(response.headers()).expect("no status"),
                Err(error) => Status::new(Code::Unknown, format!("transport: {error:?}")),
            }
        }
    }
}
