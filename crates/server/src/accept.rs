//! Accepts connections and does their TLS handshakes on a thread of its own, under a budget, so that a storm of
//! reconnecting clients never stands in front of calls. Never logs anything of a certificate.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use kith_engine::{Monotonic, Quota, SystemMonotonic};
use rustls::CertificateError;
use socket2::{SockRef, TcpKeepalive};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::mpsc;
use tokio_rustls::{LazyConfigAcceptor, StartHandshake};

use crate::addresses::Addresses;
use crate::config::Limits;
use crate::connection::{ConnectInfo, Connection};
use crate::identity::{IdentityError, PeerIdentity};
use crate::load::{Bound, Held, least_loaded};
use crate::open_connections::Registered;
use crate::pace::Pace;
use crate::shares::{Each, Shares};
use crate::shed::{Shed, ShedReport};
use crate::socket::Socket;
use crate::stop::StopSignal;
use crate::tls::TlsState;

/// How long accepting pauses when the system has no file descriptor left for a connection.
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);

/// When the kernel asks a silent peer whether it is still there.
const TCP_KEEPALIVE: Duration = Duration::from_secs(60);

/// Refusals logged in one second; further ones are counted and told with the next. A storm must not fill the log.
const REFUSALS_LOGGED_PER_SECOND: u32 = 5;

/// A data thread as the accept thread sees it.
#[derive(Debug, Clone)]
pub(crate) struct Lane {
    pub(crate) connections: mpsc::Sender<Connection>,
    pub(crate) load: Arc<Bound>,
}

/// Everything a handshake needs.
#[derive(Debug)]
pub(crate) struct Acceptor {
    tls: Arc<TlsState>,
    limits: Limits,
    lanes: Vec<Lane>,
    connections: Arc<Bound>,
    organisations: Shares,
    paces: Each<Pace>,
    addresses: Addresses,
    clock: SystemMonotonic,
    refusals: Quota,
    report: Arc<ShedReport>,
}

/// Why a connection came to nothing. Carries nothing that the peer sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
enum HandshakeFailure {
    #[error("finish the handshake in time")]
    TimedOut,
    #[error("get a client certificate")]
    NoCertificate,
    #[error("trust the client certificate")]
    NotTrusted,
    #[error("accept the client certificate: it is not in force now")]
    NotInForce,
    #[error("accept the client certificate: it has been revoked")]
    Revoked,
    #[error(
        "learn whether the client certificate has been revoked: no list tells that is its authority's own and in force"
    )]
    NotListed,
    #[error("{0}")]
    Identity(#[from] IdentityError),
    #[error("agree on TLS 1.3")]
    Protocol,
    #[error("keep the connection: {0}")]
    Connection(io::ErrorKind),
    #[error("keep the connection: its organisation has as many open as it may")]
    Organisation,
}

impl Acceptor {
    pub(crate) fn new(tls: Arc<TlsState>, limits: Limits, lanes: Vec<Lane>, report: Arc<ShedReport>) -> Self {
        Self {
            connections: Bound::new(limits.max_connections),
            organisations: Shares::new(limits.max_connections_per_organisation),
            paces: Each::default(),
            addresses: Addresses::new(&limits),
            clock: SystemMonotonic::default(),
            refusals: Quota::new(REFUSALS_LOGGED_PER_SECOND),
            tls,
            limits,
            lanes,
            report,
        }
    }

    /// Accepts until the order to drain; then the listener is closed.
    pub(crate) async fn run(self: Arc<Self>, listener: TcpListener, stop: StopSignal) {
        let mut drain = std::pin::pin!(stop.draining());
        loop {
            let accepted = tokio::select! {
                biased;
                () = &mut drain => return,
                accepted = listener.accept() => accepted,
            };
            match accepted {
                Ok((tcp, address)) => self.begin(tcp, address),
                Err(error) => {
                    tracing::warn!(kind = ?error.kind(), "failed to accept a connection");
                    tokio::time::sleep(ACCEPT_PAUSE).await;
                }
            }
        }
    }

    fn begin(self: &Arc<Self>, tcp: TcpStream, address: SocketAddr) {
        let Some(held) = self.connections.take() else {
            self.report.counts().count(Shed::All);
            if let Some(unlogged) = self.refusals.take(self.clock.now()) {
                let max = self.limits.max_connections;
                tracing::warn!(max, unlogged, "closed a connection: as many are open as may be");
            }
            return;
        };
        let acceptor = Arc::clone(self);
        tokio::spawn(async move {
            if let Err(failure) = acceptor.serve(tcp, address, held).await {
                acceptor.report(failure, address);
            }
        });
    }

    async fn serve(&self, tcp: TcpStream, address: SocketAddr, mut held: Held) -> Result<(), HandshakeFailure> {
        let unfinished = self.addresses.of(address.ip());
        let Some(begun) = unfinished.begin() else {
            self.report.counts().count(Shed::Address);
            return Err(HandshakeFailure::Connection(io::ErrorKind::QuotaExceeded));
        };
        prepare(&tcp, self.limits.write_stall()).map_err(|error| HandshakeFailure::Connection(error.kind()))?;
        let limit = Duration::from_millis(self.limits.handshake_timeout_ms);
        // First the whole ClientHello, then a turn: whoever says nothing keeps nobody else from a handshake.
        let hello = LazyConfigAcceptor::new(rustls::server::Acceptor::default(), Socket::Attached(tcp));
        let hello_limit = Duration::from_millis(self.limits.hello_timeout_ms);
        let hello = tokio::time::timeout(limit.min(hello_limit), hello).await;
        let hello = hello.map_err(|_| HandshakeFailure::TimedOut)?.map_err(|error| classify(&error))?;
        let turn = unfinished.turn().await;
        let turn = turn.map_err(|_| HandshakeFailure::Connection(io::ErrorKind::NotConnected))?;
        let handshake = self.handshake(hello);
        let handshake = tokio::time::timeout(limit, handshake).await;
        let (stream, peer, registered) = handshake.map_err(|_| HandshakeFailure::TimedOut)??;
        drop((turn, begun));
        // Only now it is known whose it is.
        let Some(place) = self.organisations.of(&peer.organisation).take() else {
            self.report.shed(Shed::Organisation, &peer, address);
            return Err(HandshakeFailure::Organisation);
        };
        held.join(place);
        let Some(lane) = least_loaded(self.lanes.iter().map(|lane| lane.load.held())).and_then(|at| self.lanes.get(at))
        else {
            return Err(HandshakeFailure::Connection(io::ErrorKind::NotConnected));
        };
        if let Some(place) = lane.load.take() {
            held.join(place);
        }
        let pace = self.paces.of(&peer.organisation, || Arc::new(Pace::new(&self.limits)));
        let info = ConnectInfo::new(Arc::new(peer), address, Arc::clone(registered.standing()), pace);
        let report = Arc::clone(&self.report);
        let connection = Connection::new(stream, info, &self.limits, report, (held, registered));
        let connection = connection.map_err(|error| HandshakeFailure::Connection(error.kind()))?;
        // A closed lane means that the server is stopping: the connection is dropped with it.
        lane.connections.send(connection).await.map_err(|_| HandshakeFailure::Connection(io::ErrorKind::NotConnected))
    }

    async fn handshake(
        &self,
        hello: StartHandshake<Socket>,
    ) -> Result<(tokio_rustls::server::TlsStream<Socket>, PeerIdentity, Registered), HandshakeFailure> {
        let in_force = self.tls.in_force();
        let stream = hello.into_stream(in_force.config()).await.map_err(|error| classify(&error))?;
        let certificates = stream.get_ref().1.peer_certificates().unwrap_or_default();
        let certificate = certificates.first().ok_or(HandshakeFailure::NoCertificate)?;
        let peer = PeerIdentity::from_certificate(certificate, self.tls.trust_domain())?;
        let registered = self.tls.register(&in_force, certificates);
        Ok((stream, peer, registered))
    }

    /// Refused certificates are worth a warning; connections that merely end are not.
    fn report(&self, failure: HandshakeFailure, address: SocketAddr) {
        match failure {
            HandshakeFailure::TimedOut => {
                self.report.counts().count(Shed::Handshake);
                tracing::debug!(%address, "failed to {failure}");
            }
            HandshakeFailure::Protocol | HandshakeFailure::Connection(_) => {
                tracing::debug!(%address, "failed to {failure}");
            }
            // Told already, with whose it was.
            HandshakeFailure::Organisation => {}
            HandshakeFailure::NoCertificate
            | HandshakeFailure::NotTrusted
            | HandshakeFailure::NotInForce
            | HandshakeFailure::Revoked
            | HandshakeFailure::NotListed
            | HandshakeFailure::Identity(_) => {
                if let Some(unlogged) = self.refusals.take(self.clock.now()) {
                    tracing::warn!(%address, unlogged, "refused a connection: failed to {failure}");
                }
            }
        }
    }
}

/// The kernel itself closes a connection whose network takes no byte for `stall`.
fn prepare(tcp: &TcpStream, stall: Duration) -> io::Result<()> {
    tcp.set_nodelay(true)?;
    let socket = SockRef::from(tcp);
    socket.set_tcp_user_timeout(Some(stall))?;
    socket.set_tcp_keepalive(&TcpKeepalive::new().with_time(TCP_KEEPALIVE))
}

fn classify(error: &io::Error) -> HandshakeFailure {
    let tls = error.get_ref().and_then(|inner| inner.downcast_ref::<rustls::Error>());
    let Some(tls) = tls else { return HandshakeFailure::Connection(error.kind()) };
    if let rustls::Error::NoCertificatesPresented = tls {
        return HandshakeFailure::NoCertificate;
    }
    if let rustls::Error::InvalidCertRevocationList(_) = tls {
        return HandshakeFailure::NotListed;
    }
    let rustls::Error::InvalidCertificate(reason) = tls else { return HandshakeFailure::Protocol };
    if let CertificateError::Other(other) = reason {
        return match other.0.downcast_ref::<IdentityError>() {
            Some(identity) => HandshakeFailure::Identity(*identity),
            None => HandshakeFailure::NotTrusted,
        };
    }
    if matches!(reason, CertificateError::Revoked) {
        return HandshakeFailure::Revoked;
    }
    let unlisted = matches!(
        reason,
        CertificateError::UnknownRevocationStatus
            | CertificateError::ExpiredRevocationList
            | CertificateError::ExpiredRevocationListContext { .. }
    );
    if unlisted {
        return HandshakeFailure::NotListed;
    }
    let dated = matches!(
        reason,
        CertificateError::Expired
            | CertificateError::ExpiredContext { .. }
            | CertificateError::NotValidYet
            | CertificateError::NotValidYetContext { .. }
    );
    if dated { HandshakeFailure::NotInForce } else { HandshakeFailure::NotTrusted }
}

#[cfg(test)]
pub(crate) mod tests;
