//! The key-encryption key: where the configuration says it is, what is wrong with it, and a new one, written once and never
//! over another one.

use std::fs;
use std::io::{self, Write};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use kith_engine::KeySource;
use ring::rand::{SecureRandom, SystemRandom};
use zeroize::Zeroizing;

use crate::config::Storage;

/// Bytes of a storage key.
const KEY_BYTES: usize = 32;

/// Where the service manager says that it puts a service's credentials.
const CREDENTIALS: &str = "CREDENTIALS_DIRECTORY";

/// Where the configuration says that the key is.
#[must_use]
pub fn source(storage: &Storage) -> KeySource {
    if storage.key_credential.is_empty() {
        return KeySource::File(storage.key_file.clone());
    }
    let directory = std::env::var_os(CREDENTIALS).filter(|found| !found.is_empty()).map(PathBuf::from);
    KeySource::Credential { directory, name: storage.key_credential.clone() }
}

/// Writes 64 hexadecimal digits and a line end to a new file that only its owner can read.
///
/// # Errors
/// When the file is there already or cannot be written.
pub fn write(path: &Path) -> io::Result<()> {
    let mut key = Zeroizing::new([0_u8; KEY_BYTES]);
    SystemRandom::new().fill(key.as_mut_slice()).map_err(|_| io::Error::other("the system gave no random bytes"))?;
    let mut file = fs::OpenOptions::new().write(true).create_new(true).mode(0o600).open(path)?;
    file.write_all(Zeroizing::new(hex::encode(key.as_slice())).as_bytes())?;
    file.write_all(b"\n")?;
    file.sync_all()
}

/// What is wrong with a storage key, without saying anything of it.
///
/// # Errors
/// In a few words.
pub fn examine(source: &KeySource) -> Result<(), String> {
    let (path, others) = source.place().map_err(|error| format!("cannot be read: {error}"))?;
    let metadata = fs::metadata(&path).map_err(|error| format!("cannot be read: {error}"))?;
    if metadata.mode() & others != 0 {
        return Err(format!("expected mode 0600, found {:04o}", metadata.mode() & 0o7777));
    }
    let text = crate::config::bounded_secret(&path, 4_096)?;
    let digits = text.trim_end();
    let usable = digits.len() == 2 * KEY_BYTES && digits.bytes().all(|b| b.is_ascii_hexdigit());
    if usable { Ok(()) } else { Err(String::from("expected 64 hexadecimal digits")) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_is_written_once_and_examined() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("storage.key");
        let examined = || examine(&KeySource::File(path.clone()));
        assert!(examined().unwrap_err().contains("cannot be read"));
        write(&path).unwrap();
        examined().unwrap();
        let first = fs::read(&path).unwrap();
        assert_eq!(write(&path).unwrap_err().kind(), io::ErrorKind::AlreadyExists);
        assert_eq!(fs::read(&path).unwrap(), first);

        fs::write(&path, "abc\n").unwrap();
        assert_eq!(examined().unwrap_err(), "expected 64 hexadecimal digits");
        fs::set_permissions(&path, std::os::unix::fs::PermissionsExt::from_mode(0o640)).unwrap();
        assert!(examined().unwrap_err().contains("0640"));
        let credential = |directory| KeySource::Credential { directory, name: String::from("storage.key") };
        assert!(examine(&credential(None)).unwrap_err().contains(CREDENTIALS));
        fs::write(&path, first).unwrap();
        fs::set_permissions(&path, std::os::unix::fs::PermissionsExt::from_mode(0o440)).unwrap();
        examine(&credential(Some(dir.path().to_owned()))).unwrap();
    }

    #[test]
    fn the_credential_counts_where_one_is_named() {
        let mut storage = Storage::default();
        assert_eq!(source(&storage), KeySource::File(PathBuf::from("/etc/kith/storage.key")));
        storage.key_credential = String::from("kith");
        assert!(matches!(source(&storage), KeySource::Credential { name, .. } if name == "kith"));
    }
}
