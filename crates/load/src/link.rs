//! A connection: TCP, TLS and HTTP/2, without waiting. Opening one is the only thing here that waits, and is done by threads
//! that measure nothing.

use std::io::{self, ErrorKind, Read, Write};
use std::net::{IpAddr, SocketAddr, TcpStream, ToSocketAddrs};
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use rustls::{ClientConfig, ClientConnection, RootCertStore};

use crate::wire::{Route, Wire};

/// Where the service is and how calls to it look: the same for every connection.
#[derive(Clone, Debug)]
pub struct Service {
    address: SocketAddr,
    from: Option<IpAddr>,
    name: ServerName<'static>,
    authority: String,
    timeout_ms: u64,
    routes: Vec<Route>,
    connect_timeout: Duration,
}

impl Service {
    /// `server` is `host:port` or `https://host:port`.
    ///
    /// # Errors
    /// Words that follow "failed to".
    pub fn new(server: &str, timeout_ms: u64, routes: Vec<Route>, connect_timeout: Duration) -> Result<Self, String> {
        let authority = server.strip_prefix("https://").unwrap_or(server);
        let shape = || format!("understand --server: expected host:port, found {server}");
        let (host, _) = authority.rsplit_once(':').filter(|(host, _)| !host.is_empty()).ok_or_else(shape)?;
        let host = host.trim_start_matches('[').trim_end_matches(']');
        let found = authority.to_socket_addrs().map_err(|error| format!("find {authority}: {error}"))?.next();
        let address = found.ok_or_else(|| format!("find {authority}: it has no address"))?;
        let name = ServerName::try_from(host.to_owned()).map_err(|_| shape())?;
        Ok(Self { address, from: None, name, authority: authority.to_owned(), timeout_ms, routes, connect_timeout })
    }

    /// Connections that are begun without waiting come from this address of this machine: what the service bounds by address it
    /// bounds apart.
    #[must_use]
    pub fn coming_from(self, from: Option<IpAddr>) -> Self {
        Self { from, ..self }
    }
}

/// Reads the files of one caller into a configuration.
///
/// # Errors
/// Words that follow "failed to".
pub fn tls(ca: &Path, cert: &Path, key: &Path) -> Result<Arc<ClientConfig>, String> {
    let told = |path: &Path, error: rustls::pki_types::pem::Error| format!("read {}: {error}", path.display());
    let mut roots = RootCertStore::empty();
    for certificate in CertificateDer::pem_file_iter(ca).map_err(|error| told(ca, error))? {
        let certificate = certificate.map_err(|error| told(ca, error))?;
        roots.add(certificate).map_err(|error| format!("use {}: {error}", ca.display()))?;
    }
    let chain: Result<Vec<_>, _> = CertificateDer::pem_file_iter(cert).map_err(|error| told(cert, error))?.collect();
    let chain = chain.map_err(|error| told(cert, error))?;
    let key_der = PrivateKeyDer::from_pem_file(key).map_err(|error| told(key, error))?;
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let builder = ClientConfig::builder_with_provider(provider).with_protocol_versions(&[&rustls::version::TLS13]);
    let builder = builder.map_err(|error| format!("set up TLS 1.3: {error}"))?;
    let config = builder.with_root_certificates(roots).with_client_auth_cert(chain, key_der);
    let mut config = config.map_err(|error| format!("use {}: {error}", cert.display()))?;
    config.alpn_protocols = vec![b"h2".to_vec()];
    config.resumption = rustls::client::Resumption::disabled();
    Ok(Arc::new(config))
}

/// Why a connection could not be opened: for counting, never with an address.
pub type OpenError = &'static str;

/// One connection.
pub struct Link {
    /// The socket, for waiting on.
    pub tcp: TcpStream,
    tls: ClientConnection,
    /// HTTP/2 on it.
    pub wire: Wire,
    /// Bytes are left that the socket did not take.
    pub blocked: bool,
}

impl Link {
    /// Opens a connection and waits for the handshake; gives how long both took.
    ///
    /// # Errors
    /// [`OpenError`].
    pub fn open(service: &Service, config: &Arc<ClientConfig>) -> Result<(Self, Duration), OpenError> {
        let began = Instant::now();
        let mut link =
            Self::begin(service, config, TcpStream::connect_timeout(&service.address, service.connect_timeout))?;
        let limit = Some(service.connect_timeout);
        let limits = link.tcp.set_read_timeout(limit).and_then(|()| link.tcp.set_write_timeout(limit));
        limits.map_err(|_| "SOCKET")?;
        while link.tls.is_handshaking() {
            match link.tls.complete_io(&mut link.tcp) {
                Ok(_) => {}
                Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut) => {
                    return Err("HANDSHAKE_TIMED_OUT");
                }
                Err(_) => return Err("HANDSHAKE_FAILED"),
            }
        }
        let took = began.elapsed();
        link.tcp.set_nonblocking(true).map_err(|_| "SOCKET")?;
        Ok((link, took))
    }

    /// Begins to open one without waiting; the handshake goes on as bytes come and go.
    ///
    /// # Errors
    /// [`OpenError`].
    pub fn begin_open(service: &Service, config: &Arc<ClientConfig>) -> Result<Self, OpenError> {
        let link = Self::begin(service, config, connecting(service.address, service.from))?;
        link.tcp.set_nonblocking(true).map_err(|_| "SOCKET")?;
        Ok(link)
    }

    fn begin(service: &Service, config: &Arc<ClientConfig>, tcp: io::Result<TcpStream>) -> Result<Self, OpenError> {
        let tcp = tcp.map_err(|error| {
            let known = [
                (ErrorKind::TimedOut, "CONNECT_TIMED_OUT"),
                (ErrorKind::ConnectionRefused, "CONNECTION_REFUSED"),
                (ErrorKind::ConnectionReset, "CONNECTION_RESET"),
            ];
            known.iter().find(|(kind, _)| *kind == error.kind()).map_or("CONNECT_FAILED", |(_, word)| *word)
        })?;
        tcp.set_nodelay(true).map_err(|_| "SOCKET")?;
        let tls = ClientConnection::new(Arc::clone(config), service.name.clone());
        let mut tls = tls.map_err(|_| "TLS_CONFIGURATION")?;
        tls.set_buffer_limit(None);
        let wire = Wire::new(&service.authority, service.timeout_ms, &service.routes);
        Ok(Self { tcp, tls, wire, blocked: false })
    }

    /// Whether the handshake is still going on.
    #[must_use]
    pub fn is_handshaking(&self) -> bool {
        self.tls.is_handshaking()
    }

    /// Sends what there is, as far as the socket takes it.
    ///
    /// # Errors
    /// The connection broke.
    pub fn flush(&mut self) -> io::Result<()> {
        if !self.wire.out.is_empty() {
            self.tls.writer().write_all(&self.wire.out)?;
            self.wire.out.clear();
        }
        self.blocked = false;
        while self.tls.wants_write() {
            match self.tls.write_tls(&mut &self.tcp) {
                Ok(_) => {}
                Err(error) if error.kind() == ErrorKind::WouldBlock => {
                    self.blocked = true;
                    return Ok(());
                }
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }

    /// Takes in what has come, once; events are then in the wire.
    ///
    /// # Errors
    /// The connection ended or broke.
    pub fn read(&mut self, buffer: &mut [u8]) -> io::Result<()> {
        let count = match (&self.tcp).read(buffer) {
            Ok(0) => return Err(ErrorKind::UnexpectedEof.into()),
            Ok(count) => count,
            Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::Interrupted) => return Ok(()),
            Err(error) => return Err(error),
        };
        let mut bytes = &buffer[..count];
        while !bytes.is_empty() {
            self.tls.read_tls(&mut bytes)?;
            self.tls.process_new_packets().map_err(io::Error::other)?;
            self.take_plain()?;
        }
        Ok(())
    }

    fn take_plain(&mut self) -> io::Result<()> {
        use std::io::BufRead as _;
        let mut reader = self.tls.reader();
        loop {
            let count = match reader.fill_buf() {
                Ok([]) => return Err(ErrorKind::UnexpectedEof.into()),
                Ok(chunk) => {
                    self.wire.receive(chunk).map_err(|broken| io::Error::other(broken.0))?;
                    chunk.len()
                }
                Err(error) if error.kind() == ErrorKind::WouldBlock => return Ok(()),
                Err(error) => return Err(error),
            };
            reader.consume(count);
        }
    }

    /// Says goodbye; what the socket does not take at once is dropped.
    pub fn close(mut self) {
        self.tls.send_close_notify();
        let _gone = self.flush();
    }
}

/// A socket that is connecting, from this address.
fn connecting(address: SocketAddr, from: Option<IpAddr>) -> io::Result<TcpStream> {
    const IN_PROGRESS: i32 = 115;
    let domain = socket2::Domain::for_address(address);
    let socket = socket2::Socket::new(domain, socket2::Type::STREAM, Some(socket2::Protocol::TCP))?;
    socket.set_nonblocking(true)?;
    if let Some(from) = from {
        socket.bind(&SocketAddr::new(from, 0).into())?;
    }
    match socket.connect(&address.into()) {
        Err(error) if error.raw_os_error() != Some(IN_PROGRESS) => Err(error),
        _ => Ok(socket.into()),
    }
}
