//! One HTTPS request to MESH on a connection of its own: a connection that is not used twice cannot break under a request
//! that must not be sent twice. The server's certificate is always verified, every wait and every body has a bound, and a
//! redirection is not followed.

use std::sync::Arc;
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper::client::conn::http1;
use hyper::header::HOST;
use hyper::{HeaderMap, Request, StatusCode};
use hyper_util::rt::TokioIo;
use rustls::crypto::ring::sign::any_supported_type;
use rustls::sign::{CertifiedKey, SingleCertAndKey};
use rustls::{ClientConfig, InconsistentKeys, RootCertStore};
use rustls_pki_types::pem::PemObject;
use rustls_pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use zeroize::Zeroizing;

use super::config::Mesh;
use crate::failure::Failure;
use crate::redacted::redacted;

redacted!(Response);

/// Largest head of a response, in bytes.
const MAX_HEAD_BYTES: usize = 64 * 1024;
const HTTPS_PORT: u16 = 443;

/// Where MESH is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Origin {
    host: String,
    port: u16,
}

impl Origin {
    /// Reads `https://host` or `https://host:port`; plain HTTP is refused.
    pub fn parse(url: &str) -> Option<Self> {
        let uri: hyper::Uri = url.parse().ok()?;
        let bare = uri.scheme_str() == Some("https") && matches!(uri.path(), "" | "/") && uri.query().is_none();
        let host = uri.host().filter(|host| bare && !host.is_empty())?;
        let plain = uri.authority().is_some_and(|authority| !authority.as_str().contains('@'));
        plain.then(|| Self { host: host.to_owned(), port: uri.port_u16().unwrap_or(HTTPS_PORT) })
    }

    fn name(&self) -> &str {
        self.host.trim_start_matches('[').trim_end_matches(']')
    }
}

/// Why a request has no response. Messages follow "failed to ".
#[derive(Debug, thiserror::Error)]
pub enum HttpError {
    /// Nobody there, or TLS failed on either side.
    #[error("reach MESH: {0}")]
    Unreachable(String),
    /// The connection broke, or what came is no HTTP: whether the request was taken is not known.
    #[error("get a response of MESH: {0}")]
    Broken(String),
    /// It took too long.
    #[error("get a response of MESH within {0} seconds")]
    TimedOut(u64),
    /// The body is over its bound.
    #[error("read a response of MESH: it has more than {0} bytes")]
    TooLarge(usize),
}

/// A response, read whole.
pub struct Response {
    /// Its status.
    pub status: StatusCode,
    /// Its headers.
    pub headers: HeaderMap,
    /// Its body.
    pub body: Bytes,
}

/// Sends requests.
#[derive(Clone)]
pub struct Http {
    origin: Origin,
    tls: TlsConnector,
    timeout: Duration,
}

impl Http {
    /// Reads the certificates.
    ///
    /// # Errors
    /// A file that cannot be used.
    pub fn new(mesh: &Mesh) -> Result<Self, Failure> {
        let origin = Origin::parse(&mesh.url).ok_or_else(|| Failure::bad_input("mesh.url cannot be used"))?;
        let tls = TlsConnector::from(Arc::new(tls(mesh)?));
        Ok(Self { origin, tls, timeout: Duration::from_secs(mesh.request_timeout_seconds) })
    }

    /// Sends a request, whose body of the response may have so many bytes.
    ///
    /// # Errors
    /// [`HttpError`] when there is no whole response in time.
    pub async fn send(&self, request: Request<Full<Bytes>>, most: usize) -> Result<Response, HttpError> {
        match tokio::time::timeout(self.timeout, self.exchange(request, most)).await {
            Ok(result) => result,
            Err(_) => Err(HttpError::TimedOut(self.timeout.as_secs())),
        }
    }

    async fn exchange(&self, mut request: Request<Full<Bytes>>, most: usize) -> Result<Response, HttpError> {
        let unreachable = |error: &dyn std::fmt::Display| HttpError::Unreachable(error.to_string());
        let broken = |error: hyper::Error| HttpError::Broken(error.to_string());
        let Origin { host, port } = &self.origin;
        let tcp = TcpStream::connect((self.origin.name(), *port)).await.map_err(|error| unreachable(&error))?;
        let name = ServerName::try_from(self.origin.name().to_owned()).map_err(|error| unreachable(&error))?;
        let stream = self.tls.connect(name, tcp).await.map_err(|error| unreachable(&error))?;
        let (mut sender, connection) =
            http1::Builder::new().max_buf_size(MAX_HEAD_BYTES).handshake(TokioIo::new(stream)).await.map_err(broken)?;
        let authority = format!("{host}:{port}");
        let authority = authority.parse().map_err(|_| HttpError::Unreachable("the host has no name".to_owned()))?;
        request.headers_mut().insert(HOST, authority);
        let running = tokio::spawn(connection);
        let response = sender.send_request(request).await.map_err(broken);
        let whole = match response {
            Ok(response) => read(response, most).await,
            Err(error) => Err(error),
        };
        running.abort();
        whole
    }
}

async fn read(response: hyper::Response<Incoming>, most: usize) -> Result<Response, HttpError> {
    let (head, mut incoming) = response.into_parts();
    let mut body = BytesMut::new();
    while let Some(frame) = incoming.frame().await {
        let frame = frame.map_err(|error| HttpError::Broken(error.to_string()))?;
        if let Ok(data) = frame.into_data() {
            if body.len() + data.len() > most {
                return Err(HttpError::TooLarge(most));
            }
            body.extend_from_slice(&data);
        }
    }
    Ok(Response { status: head.status, headers: head.headers, body: body.freeze() })
}

fn tls(mesh: &Mesh) -> Result<ClientConfig, Failure> {
    let Mesh { ca, cert, key, .. } = mesh;
    let file = |path: &std::path::Path, why: String| {
        Failure::bad_input(format!("failed to use certificate file {}: {why}", path.display()))
    };
    let mut roots = RootCertStore::empty();
    for root in certificates(ca).map_err(|why| file(ca, why))? {
        roots.add(root).map_err(|error| file(ca, error.to_string()))?;
    }
    let chain = certificates(cert).map_err(|why| file(cert, why))?;
    let own = certified(chain, key).map_err(|why| file(key, why))?;
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let builder = ClientConfig::builder_with_provider(provider)
        .with_protocol_versions(&[&rustls::version::TLS13, &rustls::version::TLS12])
        .map_err(|error| file(cert, error.to_string()))?
        .with_root_certificates(roots);
    Ok(builder.with_client_cert_resolver(Arc::new(SingleCertAndKey::from(own))))
}

/// The certificate with its key. What was read of the key is wiped; the transport keeps the one that it works with.
fn certified(chain: Vec<CertificateDer<'static>>, key: &std::path::Path) -> Result<CertifiedKey, String> {
    let text = std::fs::read(key).map(Zeroizing::new).map_err(|error| error.to_string())?;
    let key: Zeroizing<PrivateKeyDer<'static>> =
        PrivateKeyDer::from_pem_slice(&text).map(Zeroizing::new).map_err(|error| error.to_string())?;
    let own = CertifiedKey::new(chain, any_supported_type(&key).map_err(|error| error.to_string())?);
    match own.keys_match() {
        // A kind of key of which it cannot be told is no mistake.
        Ok(()) | Err(rustls::Error::InconsistentKeys(InconsistentKeys::Unknown)) => Ok(own),
        Err(error) => Err(error.to_string()),
    }
}

fn certificates(path: &std::path::Path) -> Result<Vec<CertificateDer<'static>>, String> {
    let found: Result<Vec<_>, _> = CertificateDer::pem_file_iter(path).map_err(|error| error.to_string())?.collect();
    match found {
        Ok(found) if found.is_empty() => Err("expected a PEM certificate".to_owned()),
        Ok(found) => Ok(found),
        Err(error) => Err(error.to_string()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_https_without_a_path_or_a_user() {
        for good in ["https://localhost:8443", "https://mesh-sync.spineservices.nhs.uk", "https://[::1]:1/"] {
            assert!(Origin::parse(good).is_some(), "{good}");
        }
        assert_eq!(Origin::parse("https://a.example").unwrap().port, 443);
        for bad in ["http://a:1", "https://a/b", "https://a?b", "a:1", "", "https://u:p@a"] {
            assert_eq!(Origin::parse(bad), None, "{bad}");
        }
    }
}
