//! The `Authorization` header of MESH: proof of the mailbox's password and the shared key, without sending either. It never
//! uses a nonce twice within one run. And the key under which notes about answers hold their hashes, made of the same secrets.

use std::fmt;
use std::sync::atomic::{AtomicU64, Ordering};

use jiff::Timestamp;
use jiff::tz::TimeZone;
use ring::hmac;
use uuid::Uuid;
use zeroize::Zeroizing;

/// What the key of the notes is named, so that it is made of nothing that is ever proven to MESH.
const NOTES: &str = "kith-mesh-notes";

/// What proves whose mailbox it is.
pub struct Credentials {
    mailbox: String,
    password: Zeroizing<String>,
    key: hmac::Key,
    nonce: Uuid,
    count: AtomicU64,
}

impl fmt::Debug for Credentials {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Credentials").field("mailbox", &self.mailbox).finish_non_exhaustive()
    }
}

impl Credentials {
    /// Of a mailbox, with a nonce for this run.
    #[must_use]
    pub fn new(mailbox: &str, password: &str, shared_key: &[u8], nonce: Uuid) -> Self {
        Self {
            mailbox: mailbox.to_owned(),
            password: Zeroizing::new(password.to_owned()),
            key: hmac::Key::new(hmac::HMAC_SHA256, shared_key),
            nonce,
            count: AtomicU64::new(0),
        }
    }

    /// The header's value for one request at this moment.
    #[must_use]
    pub fn authorization(&self, now: Timestamp) -> String {
        let Self { mailbox, password, key, nonce, count } = self;
        let (nonce, count) = (nonce.to_string(), count.fetch_add(1, Ordering::Relaxed).to_string());
        let at = now.to_zoned(TimeZone::UTC).strftime("%Y%m%d%H%M").to_string();
        let proven = joined([mailbox.as_str(), nonce.as_str(), count.as_str(), password.as_str(), at.as_str()]);
        let proof = hmac::sign(key, proven.as_bytes());
        format!("NHSMESH {mailbox}:{nonce}:{count}:{at}:{}", hex::encode(proof))
    }

    /// The key of the notes about answers. The password is in it because every client of an environment of MESH has the shared key.
    #[must_use]
    pub fn note_key(&self) -> hmac::Key {
        let Self { mailbox, password, key, nonce: _, count: _ } = self;
        let named = joined([NOTES, mailbox.as_str(), password.as_str()]);
        hmac::Key::new(hmac::HMAC_SHA256, hmac::sign(key, named.as_bytes()).as_ref())
    }
}

/// What is proven, or what a key is made of. It gets all its room at once and is wiped: text that grows leaves copies behind.
fn joined<const COUNT: usize>(parts: [&str; COUNT]) -> Zeroizing<String> {
    Zeroizing::new(parts.join(":"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_text_with_the_password_is_wiped_and_never_grew() {
        let proven: Zeroizing<String> = joined(["X26ABC1", "nonce", "0", "password", "202611251038"]);
        assert_eq!(proven.as_str(), "X26ABC1:nonce:0:password:202611251038");
        assert_eq!(proven.capacity(), proven.len());
    }

    #[test]
    fn the_key_of_the_notes_goes_by_the_password_and_the_shared_key_and_not_by_the_run() {
        let signed = |password: &str, shared_key: &[u8]| {
            let key = Credentials::new("X26ABC1", password, shared_key, Uuid::new_v4()).note_key();
            hex::encode(hmac::sign(&key, b"an answer"))
        };
        let one = signed("password", b"TestKey");
        assert_eq!(one, signed("password", b"TestKey"));
        assert_ne!(one, signed("another", b"TestKey"), "who else has the shared key would have it");
        assert_ne!(one, signed("password", b"AnotherKey"));
    }

    #[test]
    fn the_header_is_the_one_that_the_national_client_makes() {
        let nonce = Uuid::parse_str("2c001608-5f09-4840-9611-bea43e666a30").unwrap();
        let credentials = Credentials::new("X26ABC1", "password", b"TestKey", nonce);
        let now: Timestamp = "2026-11-25T10:38:59Z".parse().unwrap();
        // Worked out with Python's own hmac module.
        let first = "NHSMESH X26ABC1:2c001608-5f09-4840-9611-bea43e666a30:0:202611251038:6ecb4ce57271c794d08e8586573cc0ef795b94dbd937c0b6f76667d71d69b429";
        assert_eq!(credentials.authorization(now), first);
        assert!(credentials.authorization(now).contains(":1:202611251038:"), "the count goes on");
        let shown = format!("{credentials:?}");
        assert!(!shown.contains("password") && !shown.contains("TestKey"), "{shown}");
    }
}
