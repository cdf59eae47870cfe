//! The token that proves the person: from its file to the connection. It is never shown, and read anew for each connection,
//! since whatever signs a person in writes a new one every hour or so.

use std::io::Read;
use std::path::Path;

use kith_api::client::Client;
use zeroize::Zeroizing;

use crate::failure::Failure;

/// Largest file read, in bytes: a token of the longest kind and a line's end.
const MAX_BYTES: usize = 16 * 1024;

/// Reads a token. It is wiped when it is let go of.
///
/// # Errors
/// A file that cannot be read, or is too long to hold one.
pub fn read(path: &Path) -> Result<Zeroizing<String>, Failure> {
    let shown = path.display();
    let failed = |why: &str| Failure::bad_input(format!("failed to read person token file {shown}: {why}"));
    // Text that grows leaves copies behind.
    let mut text = Zeroizing::new(String::with_capacity(MAX_BYTES + 1));
    let opened = std::fs::File::open(path).map_err(|error| failed(&error.to_string()))?;
    opened.take(MAX_BYTES as u64 + 1).read_to_string(&mut text).map_err(|error| failed(&error.to_string()))?;
    if text.len() > MAX_BYTES {
        return Err(failed(&format!("expected at most {MAX_BYTES} bytes")));
    }
    Ok(Zeroizing::new(text.trim().to_owned()))
}

/// The connection with the token.
///
/// # Errors
/// What was read is no token.
pub fn given(client: Client, token: &str) -> Result<Client, Failure> {
    let failed = |error| Failure::bad_input(format!("failed to use the person token file: {error}"));
    client.with_person_token(token).map_err(failed)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_is_what_stands_in_the_file_and_no_error_repeats_it() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("me.jwt");
        std::fs::write(&path, "aaa.bbb.ccc\n").unwrap();
        let token: Zeroizing<String> = read(&path).unwrap();
        assert_eq!(token.as_str(), "aaa.bbb.ccc");
        std::fs::write(&path, "secret".repeat(4_000)).unwrap();
        let error = read(&path).unwrap_err();
        assert!(
            error.message.contains("at most 16384 bytes") && !error.message.contains("secret"),
            "{}",
            error.message
        );
        let error = read(&folder.path().join("none.jwt")).unwrap_err();
        assert!(error.message.contains("none.jwt") && error.exit.code() == 22, "{}", error.message);
    }
}
