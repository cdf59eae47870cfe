//! Why certificate files and revocation lists are not usable, in words that name the file.

use std::path::PathBuf;

/// Why certificate files are not usable.
#[derive(Debug, thiserror::Error)]
pub enum TlsError {
    /// A file cannot be read or is not PEM.
    #[error("read {path}: {source}")]
    Read {
        /// The file.
        path: PathBuf,
        /// What went wrong.
        source: rustls_pki_types::pem::Error,
    },
    /// A file holds no certificate.
    #[error("find a certificate in {path}")]
    Empty {
        /// The file.
        path: PathBuf,
    },
    /// The server certificate is not in force now.
    #[error("use the certificate in {path}: it has expired, is not yet in force, or is not readable")]
    NotInForce {
        /// The file.
        path: PathBuf,
    },
    /// The certificate authorities are not usable.
    #[error("use the certificate authorities in {path}: {reason}")]
    Authorities {
        /// The file.
        path: PathBuf,
        /// What went wrong.
        reason: String,
    },
    /// The revocation lists are not usable.
    #[error("use the revocation lists in {path}: {reason}")]
    Lists {
        /// The file or directory.
        path: PathBuf,
        /// What went wrong.
        reason: String,
    },
    /// Certificate and key do not go together, or the key is of an unknown kind.
    #[error("use the server certificate with its key: {0}")]
    Pair(#[from] rustls::Error),
}
