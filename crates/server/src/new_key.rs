//! A new storage key, written once and never over another one.

use std::fs;
use std::io::{self, Write};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::Path;

use ring::rand::{SecureRandom, SystemRandom};
use zeroize::Zeroizing;

/// Bytes of a storage key.
const KEY_BYTES: usize = 32;

/// Mode bits that would let others than the owner read the file.
const OTHERS: u32 = 0o077;

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

/// What is wrong with a storage key file, without saying anything of the key.
pub fn examine(path: &Path) -> Result<(), String> {
    let metadata = fs::metadata(path).map_err(|error| format!("cannot be read: {error}"))?;
    if metadata.mode() & OTHERS != 0 {
        return Err(format!("expected mode 0600, found {:04o}", metadata.mode() & 0o7777));
    }
    let text = Zeroizing::new(crate::config::bounded_text(path, 4_096)?);
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
        assert!(examine(&path).unwrap_err().contains("cannot be read"));
        write(&path).unwrap();
        examine(&path).unwrap();
        let first = fs::read(&path).unwrap();
        assert_eq!(write(&path).unwrap_err().kind(), io::ErrorKind::AlreadyExists);
        assert_eq!(fs::read(&path).unwrap(), first);

        fs::write(&path, "abc\n").unwrap();
        assert_eq!(examine(&path).unwrap_err(), "expected 64 hexadecimal digits");
        fs::set_permissions(&path, std::os::unix::fs::PermissionsExt::from_mode(0o640)).unwrap();
        assert!(examine(&path).unwrap_err().contains("0640"));
    }
}
