//! Who calls: the certificates of a directory as `kithd dev-certs` writes it, by role. It proves nothing; the service reads
//! the certificates itself.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::{Context, Result, ensure};
use kith_api::client::{ConnectOptions, certificate_identity};
use rustls::ClientConfig;

use crate::link;

/// One organisation with its certificate.
#[derive(Clone)]
pub struct Caller {
    /// The organisation's code.
    pub organisation: String,
    /// How it connects.
    pub config: Arc<ClientConfig>,
    cert: PathBuf,
}

/// Everybody who has a certificate.
pub struct Callers {
    /// Emergency departments.
    pub trusts: Vec<Caller>,
    /// Local authorities.
    pub authorities: Vec<Caller>,
    /// Planned care.
    pub scheduled: Vec<Caller>,
    ca: PathBuf,
    ops: PathBuf,
}

impl Callers {
    /// Reads at most `most` of each role from `dir`: `ca.pem`, and `<NAME>.pem` beside `<NAME>.key`.
    ///
    /// # Errors
    /// A file that cannot be read or used.
    pub fn load(dir: &Path, most: usize) -> Result<Self> {
        let ca = dir.join("ca.pem");
        let mut callers = Self { trusts: vec![], authorities: vec![], scheduled: vec![], ops: dir.join("ops.pem"), ca };
        let listed = std::fs::read_dir(dir).with_context(|| format!("failed to list {}", dir.display()))?;
        let mut paths: Vec<PathBuf> = listed.map(|entry| Ok(entry?.path())).collect::<Result<_>>()?;
        paths.sort();
        for cert in paths.into_iter().filter(|path| path.extension().is_some_and(|end| end == "pem")) {
            let pem = std::fs::read(&cert).with_context(|| format!("failed to read {}", cert.display()))?;
            // The authority's and the server's own certificates name no organisation.
            let Ok(identity) = certificate_identity(&pem) else { continue };
            let list = match identity.role.as_str() {
                "ed" => &mut callers.trusts,
                "local-authority" => &mut callers.authorities,
                "scheduled-care" => &mut callers.scheduled,
                _ => continue,
            };
            if list.len() < most {
                let config = link::tls(&callers.ca, &cert, &cert.with_extension("key"));
                let config = config.map_err(|words| anyhow::anyhow!("failed to {words}"))?;
                list.push(Caller { organisation: identity.organisation, config, cert });
            }
        }
        ensure!(!callers.trusts.is_empty(), "{} holds no certificate of the role ed", dir.display());
        Ok(callers)
    }

    /// How operations connect.
    #[must_use]
    pub fn operations(&self, server: &str, timeout: std::time::Duration) -> ConnectOptions {
        self.options(server, &self.ops, timeout)
    }

    /// How a caller connects by the typed client.
    #[must_use]
    pub fn as_caller(&self, caller: &Caller, server: &str, timeout: std::time::Duration) -> ConnectOptions {
        self.options(server, &caller.cert, timeout)
    }

    fn options(&self, server: &str, cert: &Path, timeout: std::time::Duration) -> ConnectOptions {
        ConnectOptions {
            server: server.to_owned(),
            ca: self.ca.clone(),
            cert: cert.to_owned(),
            key: cert.with_extension("key"),
            connect_timeout: timeout,
            request_timeout: timeout,
        }
    }
}
