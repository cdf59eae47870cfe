//! A connection to the service by mutual TLS, with every limit set. It never retries a question or a change by itself:
//! what failed is told to the caller, who knows what it means for the child.

mod certificate;
mod json;
mod person;
mod trouble;

use std::path::{Path, PathBuf};
use std::time::Duration;

use tonic::transport::{Certificate, Channel, ClientTlsConfig, Endpoint, Identity};
use zeroize::Zeroizing;

use crate::v1;
use crate::v1::audit_service_client::AuditServiceClient;
use crate::v1::break_glass_service_client::BreakGlassServiceClient;
use crate::v1::broker_service_client::BrokerServiceClient;
use crate::v1::flag_service_client::FlagServiceClient;
use crate::v1::identity_service_client::IdentityServiceClient;
use crate::v1::lookup_service_client::LookupServiceClient;
use crate::v1::notification_service_client::NotificationServiceClient;
use crate::v1::plan_file_service_client::PlanFileServiceClient;
use crate::v1::plan_service_client::PlanServiceClient;
use crate::v1::presentation_service_client::PresentationServiceClient;
use crate::v1::status_service_client::StatusServiceClient;
use crate::v1::withholding_service_client::WithholdingServiceClient;

pub use certificate::{CertificateError, CertificateIdentity, certificate_identity};
pub use json::{JsonError, to_json};
pub use person::{CALLER_METADATA, Named, Person, TOKEN_METADATA, TokenError};
pub use trouble::{FieldTrouble, MAY_STAND, Trouble};

/// Largest message accepted, in bytes. The largest real one is a page of 500 notifications, well below a megabyte.
pub const MAX_DECODE_BYTES: usize = 4 * 1024 * 1024;
/// Largest message sent, in bytes. The largest real one is a worklist of 200 people.
pub const MAX_ENCODE_BYTES: usize = 1024 * 1024;
/// Largest verdict on a file accepted, in bytes: 20,000 rows that each have a fault, and 2,000 missing plans.
pub const MAX_VERDICT_BYTES: usize = 16 * 1024 * 1024;
/// Largest certificate or key file read, in bytes: a bundle of some hundred authorities fits.
const MAX_PEM_BYTES: u64 = 1024 * 1024;
/// Largest header list accepted, in bytes; error details travel in headers.
const MAX_HEADER_BYTES: u32 = 64 * 1024;
/// A connection on which nothing comes back is probed so often while calls are open.
const KEEP_ALIVE_INTERVAL: Duration = Duration::from_secs(30);
/// A probe without an answer for so long ends the connection.
const KEEP_ALIVE_TIMEOUT: Duration = Duration::from_secs(10);

/// Where the service is, and the files that prove who calls.
#[derive(Clone, Debug)]
pub struct ConnectOptions {
    /// `host:port`, or `https://host:port`. Plain HTTP is refused.
    pub server: String,
    /// PEM file of the authorities that signed the service's certificate.
    pub ca: PathBuf,
    /// PEM file of the caller's certificate.
    pub cert: PathBuf,
    /// PEM file of the caller's private key.
    pub key: PathBuf,
    /// Longest time for TCP and TLS together.
    pub connect_timeout: Duration,
    /// Longest time for one unary call; also sent to the service as its deadline.
    pub request_timeout: Duration,
}

/// Why no connection came about. Messages follow "failed to connect: ".
#[derive(Debug, thiserror::Error)]
pub enum ConnectError {
    /// A certificate or key file cannot be used.
    #[error("read {kind} file {path}: {source}")]
    File {
        /// What the file is for.
        kind: &'static str,
        /// Its path.
        path: PathBuf,
        /// What is wrong with it.
        source: std::io::Error,
    },
    /// The server's address is not `host:port` or `https://host:port`.
    #[error("understand the server address: expected host:port or https://host:port")]
    Address,
    /// The certificates do not make a TLS configuration.
    #[error("use the certificate files: {}", causes(source))]
    Tls {
        /// The transport's own words.
        source: tonic::transport::Error,
    },
    /// Names, TCP and TLS took too long together.
    #[error("reach the service at {server} within {limit_ms} ms")]
    TimedOut {
        /// The address tried.
        server: String,
        /// The limit, in milliseconds.
        limit_ms: u128,
    },
    /// The service cannot be reached, or one side refused the other's certificate.
    #[error("reach the service at {server}: {}", causes(source))]
    Unreachable {
        /// The address tried.
        server: String,
        /// The transport's own words.
        source: tonic::transport::Error,
    },
}

/// A connection. Cheap to clone; calls on clones share it.
#[derive(Clone, Debug)]
pub struct Client {
    channel: Channel,
    request_timeout: Duration,
    person: Person,
}

impl Client {
    /// Connects and completes the TLS handshake.
    ///
    /// # Errors
    /// [`ConnectError`] when a file, the address or the connection is not usable.
    pub async fn connect(options: ConnectOptions) -> Result<Self, ConnectError> {
        let ConnectOptions { server, ca, cert, key, connect_timeout, request_timeout } = options;
        let tls = ClientTlsConfig::new()
            .ca_certificate(Certificate::from_pem(read_pem("certificate authority", &ca)?))
            .identity(Identity::from_pem(read_pem("certificate", &cert)?, read_pem("key", &key)?))
            .timeout(connect_timeout);
        let connecting = endpoint(&server)?
            .tls_config(tls)
            .map_err(|source| ConnectError::Tls { source })?
            .connect_timeout(connect_timeout)
            .tcp_nodelay(true)
            .http2_keep_alive_interval(KEEP_ALIVE_INTERVAL)
            .keep_alive_timeout(KEEP_ALIVE_TIMEOUT)
            .http2_max_header_list_size(MAX_HEADER_BYTES);
        let connected = tokio::time::timeout(connect_timeout, connecting.connect()).await;
        match connected {
            Ok(Ok(channel)) => Ok(Self { channel, request_timeout, person: Person::default() }),
            Ok(Err(source)) => Err(ConnectError::Unreachable { server, source }),
            Err(_) => Err(ConnectError::TimedOut { server, limit_ms: connect_timeout.as_millis() }),
        }
    }

    /// The same connection with a person behind every call: what names nobody by itself needs one.
    #[must_use]
    pub fn as_person(mut self, caller: &v1::Caller) -> Self {
        self.person = self.person.named(caller);
        self
    }

    /// The same connection with a token that proves the person behind every call.
    ///
    /// # Errors
    /// [`TokenError`], which does not carry what was given.
    pub fn with_person_token(mut self, token: &str) -> Result<Self, TokenError> {
        self.person = self.person.with_token(token)?;
        Ok(self)
    }

    /// A unary request with this connection's deadline, told to the service as well.
    pub fn request<T>(&self, message: T) -> tonic::Request<T> {
        let mut request = tonic::Request::new(message);
        request.set_timeout(self.request_timeout);
        request
    }

    /// The connection itself, for the standard services: health and reflection.
    #[must_use]
    pub fn channel(&self) -> Channel {
        self.channel.clone()
    }

    /// Questions.
    #[must_use]
    pub fn lookup(&self) -> LookupServiceClient<Named> {
        LookupServiceClient::with_interceptor(self.channel.clone(), self.person.clone())
            .max_decoding_message_size(MAX_DECODE_BYTES)
            .max_encoding_message_size(MAX_ENCODE_BYTES)
    }

    /// Plans.
    #[must_use]
    pub fn plans(&self) -> PlanServiceClient<Named> {
        PlanServiceClient::with_interceptor(self.channel.clone(), self.person.clone())
            .max_decoding_message_size(MAX_DECODE_BYTES)
            .max_encoding_message_size(MAX_ENCODE_BYTES)
    }

    /// Changes of identity and proposals.
    #[must_use]
    pub fn identity(&self) -> IdentityServiceClient<Named> {
        IdentityServiceClient::with_interceptor(self.channel.clone(), self.person.clone())
            .max_decoding_message_size(MAX_DECODE_BYTES)
            .max_encoding_message_size(MAX_ENCODE_BYTES)
    }

    /// Plan files.
    #[must_use]
    pub fn plan_files(&self) -> PlanFileServiceClient<Named> {
        PlanFileServiceClient::with_interceptor(self.channel.clone(), self.person.clone())
            .max_decoding_message_size(MAX_VERDICT_BYTES)
            .max_encoding_message_size(MAX_ENCODE_BYTES)
    }

    /// Presentations.
    #[must_use]
    pub fn presentations(&self) -> PresentationServiceClient<Named> {
        PresentationServiceClient::with_interceptor(self.channel.clone(), self.person.clone())
            .max_decoding_message_size(MAX_DECODE_BYTES)
            .max_encoding_message_size(MAX_ENCODE_BYTES)
    }

    /// Access notifications.
    #[must_use]
    pub fn notifications(&self) -> NotificationServiceClient<Named> {
        NotificationServiceClient::with_interceptor(self.channel.clone(), self.person.clone())
            .max_decoding_message_size(MAX_DECODE_BYTES)
            .max_encoding_message_size(MAX_ENCODE_BYTES)
    }

    /// Openings of shielded records.
    #[must_use]
    pub fn break_glass(&self) -> BreakGlassServiceClient<Named> {
        BreakGlassServiceClient::with_interceptor(self.channel.clone(), self.person.clone())
            .max_decoding_message_size(MAX_DECODE_BYTES)
            .max_encoding_message_size(MAX_ENCODE_BYTES)
    }

    /// References of answers about shielded children.
    #[must_use]
    pub fn broker(&self) -> BrokerServiceClient<Named> {
        BrokerServiceClient::with_interceptor(self.channel.clone(), self.person.clone())
            .max_decoding_message_size(MAX_DECODE_BYTES)
            .max_encoding_message_size(MAX_ENCODE_BYTES)
    }

    /// What an authority withholds.
    #[must_use]
    pub fn withholding(&self) -> WithholdingServiceClient<Named> {
        WithholdingServiceClient::with_interceptor(self.channel.clone(), self.person.clone())
            .max_decoding_message_size(MAX_DECODE_BYTES)
            .max_encoding_message_size(MAX_ENCODE_BYTES)
    }

    /// Proofs about the audit.
    #[must_use]
    pub fn audit(&self) -> AuditServiceClient<Named> {
        AuditServiceClient::with_interceptor(self.channel.clone(), self.person.clone())
            .max_decoding_message_size(MAX_DECODE_BYTES)
            .max_encoding_message_size(MAX_ENCODE_BYTES)
    }

    /// Flags about people's use.
    #[must_use]
    pub fn flags(&self) -> FlagServiceClient<Named> {
        FlagServiceClient::with_interceptor(self.channel.clone(), self.person.clone())
            .max_decoding_message_size(MAX_DECODE_BYTES)
            .max_encoding_message_size(MAX_ENCODE_BYTES)
    }

    /// The service's own state.
    #[must_use]
    pub fn status(&self) -> StatusServiceClient<Named> {
        StatusServiceClient::with_interceptor(self.channel.clone(), self.person.clone())
            .max_decoding_message_size(MAX_DECODE_BYTES)
            .max_encoding_message_size(MAX_ENCODE_BYTES)
    }
}

fn endpoint(server: &str) -> Result<Endpoint, ConnectError> {
    let address = match server.split_once("://") {
        Some(("https", _)) => server.to_owned(),
        Some(_) => return Err(ConnectError::Address),
        None => format!("https://{server}"),
    };
    let endpoint = Endpoint::from_shared(address).map_err(|_| ConnectError::Address)?;
    if endpoint.uri().host().is_none_or(str::is_empty) || endpoint.uri().port().is_none() {
        return Err(ConnectError::Address);
    }
    Ok(endpoint)
}

/// One of them is a private key. What the transport makes of it is the transport's; this copy is wiped.
fn read_pem(kind: &'static str, path: &Path) -> Result<Zeroizing<Vec<u8>>, ConnectError> {
    let failed = |source| ConnectError::File { kind, path: path.to_owned(), source };
    let length = std::fs::metadata(path).map_err(failed)?.len();
    if length > MAX_PEM_BYTES {
        let words = format!("expected at most {MAX_PEM_BYTES} bytes, found {length}");
        return Err(failed(std::io::Error::new(std::io::ErrorKind::InvalidData, words)));
    }
    std::fs::read(path).map(Zeroizing::new).map_err(failed)
}

/// The chain of causes in one line: the transport's own message says only "transport error".
fn causes(error: &(dyn std::error::Error + 'static)) -> String {
    let mut words = error.to_string();
    let mut next = error.source();
    while let Some(cause) = next {
        words = format!("{words}: {cause}");
        next = cause.source();
    }
    words
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_is_wiped_when_it_is_let_go_of() {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("Cargo.toml");
        let read: Zeroizing<Vec<u8>> = read_pem("key", &path).unwrap();
        assert_eq!(*read, std::fs::read(&path).unwrap());
    }

    #[test]
    fn addresses() {
        for good in ["localhost:8443", "https://localhost:8443", "127.0.0.1:1", "https://[::1]:8443"] {
            assert!(endpoint(good).is_ok(), "{good}");
        }
        for bad in ["http://localhost:8443", "localhost", "https://localhost", "", "ftp://a:1", "a b:1", ":8443"] {
            assert!(matches!(endpoint(bad), Err(ConnectError::Address)), "{bad}");
        }
    }

    #[tokio::test]
    async fn a_missing_file_is_named() {
        let options = ConnectOptions {
            server: "127.0.0.1:1".into(),
            ca: "/nonexistent/ca.pem".into(),
            cert: "/nonexistent/cert.pem".into(),
            key: "/nonexistent/key.pem".into(),
            connect_timeout: Duration::from_secs(1),
            request_timeout: Duration::from_secs(1),
        };
        let error = Client::connect(options).await.unwrap_err();
        assert!(error.to_string().contains("certificate authority file /nonexistent/ca.pem"), "{error}");
    }
}
