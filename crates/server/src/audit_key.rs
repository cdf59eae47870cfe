//! The key that signs the heads of the audit's tree: made once and never over another one, read at the start. Its public half
//! is what witnesses and verifiers pin; of the secret half nothing is ever shown.

use std::fs;
use std::io::{self, Write};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use kith_merkle::{LogSigner, VerifierKey, new_secret_pem};

use crate::config::{Config, bounded_secret, bounded_text};
use crate::mistakes::Mistakes;

/// Mode bits that would let others than the owner read the file.
const OTHERS: u32 = 0o077;
/// Longest key file, in bytes.
const KEY_MAX_BYTES: u64 = 4_096;
/// Longest file with a checkpoint that somebody kept, in bytes.
const KEPT_MAX_BYTES: u64 = kith_merkle::MAX_NOTE_BYTES as u64;

/// The name of the log whose heads are signed, and of its key.
fn origin(trust_domain: &str) -> String {
    format!("{trust_domain}/audit")
}

/// Makes a new key at `path`, readable by its owner alone, and gives its public half.
///
/// # Errors
/// When the file is there already or cannot be written, or the trust domain gives no name.
pub fn write(path: &Path, trust_domain: &str) -> io::Result<VerifierKey> {
    let pem = new_secret_pem().map_err(io::Error::other)?;
    let signer = LogSigner::from_pem(&origin(trust_domain), &pem).map_err(io::Error::other)?;
    let mut file = fs::OpenOptions::new().write(true).create_new(true).mode(0o600).open(path)?;
    file.write_all(pem.as_bytes())?;
    file.sync_all()?;
    Ok(signer.key().clone())
}

/// The key that the configuration names; `None` when it names none.
///
/// # Errors
/// What is wrong with the file, without saying anything of the key.
pub fn load(config: &Config) -> Result<Option<Arc<LogSigner>>, String> {
    let path = &config.audit.signing_key_file;
    if path.as_os_str().is_empty() {
        return Ok(None);
    }
    let metadata = fs::metadata(path).map_err(|error| format!("cannot be read: {error}"))?;
    if metadata.mode() & OTHERS != 0 {
        return Err(format!("expected mode 0600, found {:04o}", metadata.mode() & 0o7777));
    }
    let pem = bounded_secret(path, KEY_MAX_BYTES)?;
    let signer = LogSigner::from_pem(&origin(&config.server.trust_domain), &pem).map_err(|error| error.to_string())?;
    Ok(Some(Arc::new(signer)))
}

/// Notes what is wrong with the key, where one is named.
pub fn note_mistakes(config: &Config, mistakes: &mut Mistakes) {
    if let Err(what) = load(config) {
        mistakes.note(format!("audit.signing_key_file: {}", config.audit.signing_key_file.display()), what);
    }
}

/// Reads checkpoints that others kept.
///
/// # Errors
/// When a file cannot be read.
pub fn read_kept(paths: &[PathBuf]) -> Result<Vec<Vec<u8>>, String> {
    let read = |path: &PathBuf| {
        let text = bounded_text(path, KEPT_MAX_BYTES);
        text.map(String::into_bytes).map_err(|what| format!("read {}: {what}", path.display()))
    };
    paths.iter().map(read).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn config(path: &Path) -> Config {
        let mut config = Config::default();
        config.audit.signing_key_file = path.to_owned();
        config
    }

    #[test]
    fn a_key_is_written_once_and_read_back() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("audit.key");
        let config = config(&path);
        let public = write(&path, &config.server.trust_domain).unwrap();
        assert_eq!(public.name(), format!("{}/audit", config.server.trust_domain));
        assert_eq!(load(&config).unwrap().unwrap().key(), &public);
        assert_eq!(write(&path, "kith.test").unwrap_err().kind(), io::ErrorKind::AlreadyExists);
        assert_eq!(load(&config).unwrap().unwrap().key(), &public, "never over another one");
        assert!(load(&Config::default()).unwrap().is_none(), "none is named");
    }

    #[test]
    fn a_key_that_others_can_read_and_what_is_no_key_are_mistakes() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("audit.key");
        let mistake = || {
            let mut mistakes = Mistakes::new();
            note_mistakes(&config(&path), &mut mistakes);
            mistakes.into_result().unwrap_err().to_string()
        };
        assert!(mistake().contains("cannot be read"), "{}", mistake());
        write(&path, "kith.test").unwrap();
        fs::set_permissions(&path, std::os::unix::fs::PermissionsExt::from_mode(0o640)).unwrap();
        assert!(mistake().contains("expected mode 0600, found 0640"), "{}", mistake());
        fs::set_permissions(&path, std::os::unix::fs::PermissionsExt::from_mode(0o600)).unwrap();
        fs::write(&path, "no key\n").unwrap();
        assert!(mistake().contains("expected an Ed25519 key"), "{}", mistake());
    }

    #[test]
    fn kept_checkpoints_are_read_whole_or_not_at_all() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("checkpoint");
        fs::write(&path, "text").unwrap();
        assert_eq!(read_kept(std::slice::from_ref(&path)), Ok(vec![b"text".to_vec()]));
        assert!(read_kept(&[path.clone(), dir.path().join("gone")]).is_err());
        fs::write(&path, "x".repeat(70_000)).unwrap();
        assert!(read_kept(&[path]).is_err());
    }
}
