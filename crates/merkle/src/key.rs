//! Keys of logs and witnesses: Ed25519, with a name. Public ones are written as C2SP has it (`name+id+key`); secret ones are
//! PKCS#8 in PEM, as openssl writes them. No part of a secret key is ever shown.

use std::fmt;
use std::str::FromStr;

use ring::digest::{SHA256, digest};
use ring::rand::SystemRandom;
use ring::signature::{ED25519, Ed25519KeyPair, KeyPair, UnparsedPublicKey};
use zeroize::Zeroizing;

use crate::note::{Note, NoteSignature, decode, decode_secret, encode};

/// Length of a key's identifier.
pub(crate) const ID_BYTES: usize = 4;
/// Length of a public key.
const PUBLIC_BYTES: usize = 32;
/// Longest name of a key, in bytes.
const MAX_NAME_BYTES: usize = 255;
/// Longest secret key file that is read, in bytes.
const MAX_PEM_BYTES: usize = 4 << 10;
const PEM_BEGIN: &str = "-----BEGIN PRIVATE KEY-----";
const PEM_END: &str = "-----END PRIVATE KEY-----";
/// Length of a line of base 64 in PEM.
const PEM_LINE: usize = 64;

/// What a key signs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum KeyKind {
    /// A log's own text, as it stands.
    Log,
    /// A witness's statement of what it saw, and when (cosignature/v1).
    Witness,
}

impl KeyKind {
    /// The byte that C2SP gives to this kind of signature.
    const fn byte(self) -> u8 {
        match self {
            Self::Log => 1,
            Self::Witness => 4,
        }
    }

    const fn of(byte: u8) -> Option<Self> {
        match byte {
            1 => Some(Self::Log),
            4 => Some(Self::Witness),
            _ => None,
        }
    }
}

/// Why a key cannot be used, or a signature does not hold.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum KeyError {
    /// The name of a key is empty, too long, or has spaces, control characters or a plus sign.
    #[error("accept key name: expected 1 to {MAX_NAME_BYTES} bytes without spaces and plus signs")]
    Name,
    /// Text that is no public key.
    #[error("read public key: expected a name, an identifier and a key, joined by plus signs")]
    Public,
    /// The identifier is not the one of this name and key.
    #[error("read public key: the identifier is of another name or key")]
    Identifier,
    /// No secret key, or one of another kind.
    #[error("read secret key: expected an Ed25519 key as PKCS#8 in PEM")]
    Secret,
    /// The system gave no random bytes.
    #[error("make secret key: the system gave no random bytes")]
    Random,
    /// The key signs other things.
    #[error("use key: it is of the other kind, log or witness")]
    Kind,
    /// What is to be signed is no text of a note.
    #[error("sign: expected lines of text without control characters")]
    Text,
    /// The note has no signature of this key.
    #[error("verify note: no signature of this key")]
    NotSigned,
    /// The note has a signature of this key, and it does not hold.
    #[error("verify note: the signature of this key does not hold")]
    Forged,
}

/// Whether a key may be called this.
pub(crate) fn is_name(name: &str) -> bool {
    let usable = |c: char| !c.is_whitespace() && !c.is_control() && c != '+';
    (1..=MAX_NAME_BYTES).contains(&name.len()) && name.chars().all(usable)
}

/// A public key with its name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct VerifierKey {
    name: String,
    kind: KeyKind,
    public: [u8; PUBLIC_BYTES],
}

impl VerifierKey {
    /// A key from its parts.
    ///
    /// # Errors
    /// [`KeyError::Name`].
    pub fn new(name: &str, kind: KeyKind, public: [u8; PUBLIC_BYTES]) -> Result<Self, KeyError> {
        if is_name(name) { Ok(Self { name: name.to_owned(), kind, public }) } else { Err(KeyError::Name) }
    }

    /// The key's name.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// What it signs.
    #[must_use]
    pub fn kind(&self) -> KeyKind {
        self.kind
    }

    /// The same key under another name: what it was before it was renamed, or will be.
    ///
    /// # Errors
    /// [`KeyError::Name`].
    pub fn named(&self, name: &str) -> Result<Self, KeyError> {
        Self::new(name, self.kind, self.public)
    }

    fn material(&self) -> Vec<u8> {
        [&[self.kind.byte()][..], &self.public].concat()
    }

    /// The first bytes of SHA-256 over name, line end, kind and key.
    #[must_use]
    pub fn id(&self) -> [u8; ID_BYTES] {
        let named = [self.name.as_bytes(), b"\n", &self.material()].concat();
        digest(&SHA256, &named).as_ref().first_chunk().copied().unwrap_or_default()
    }

    /// The bytes of this key's signature on `note`.
    pub(crate) fn signature_on<'a>(&self, note: &'a Note) -> Result<&'a [u8], KeyError> {
        let id = self.id();
        let own = note.signatures.iter().find(|signature| signature.name == self.name && signature.key_id == id);
        own.map(|signature| signature.bytes.as_slice()).ok_or(KeyError::NotSigned)
    }

    pub(crate) fn check(&self, message: &[u8], signature: &[u8]) -> Result<(), KeyError> {
        UnparsedPublicKey::new(&ED25519, self.public).verify(message, signature).map_err(|_| KeyError::Forged)
    }

    /// Checks a log's own signature on a note.
    ///
    /// # Errors
    /// [`KeyError::NotSigned`], [`KeyError::Forged`], or [`KeyError::Kind`] for a witness's key.
    pub fn verify(&self, note: &Note) -> Result<(), KeyError> {
        if self.kind != KeyKind::Log {
            return Err(KeyError::Kind);
        }
        self.check(note.text.as_bytes(), self.signature_on(note)?)
    }
}

impl fmt::Display for VerifierKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let id = u32::from_be_bytes(self.id());
        write!(f, "{}+{id:08x}+{}", self.name, encode(&self.material()))
    }
}

impl FromStr for VerifierKey {
    type Err = KeyError;

    fn from_str(text: &str) -> Result<Self, KeyError> {
        // The key itself may hold plus signs, a name never does.
        let mut parts = text.splitn(3, '+');
        let (Some(name), Some(_), Some(key)) = (parts.next(), parts.next(), parts.next()) else {
            return Err(KeyError::Public);
        };
        let material = decode(key).ok_or(KeyError::Public)?;
        let (kind, public) = material.split_first().ok_or(KeyError::Public)?;
        let kind = KeyKind::of(*kind).ok_or(KeyError::Public)?;
        let read = Self::new(name, kind, public.try_into().map_err(|_| KeyError::Public)?)?;
        // One key has one spelling, its identifier included.
        if read.to_string() == text { Ok(read) } else { Err(KeyError::Identifier) }
    }
}

/// A secret key with its public half.
struct Secret {
    pair: Ed25519KeyPair,
    key: VerifierKey,
}

impl Secret {
    fn new(name: &str, kind: KeyKind, pair: Ed25519KeyPair) -> Result<Self, KeyError> {
        let public = pair.public_key().as_ref().try_into().map_err(|_| KeyError::Secret)?;
        Ok(Self { key: VerifierKey::new(name, kind, public)?, pair })
    }

    fn from_pem(name: &str, kind: KeyKind, pem: &str) -> Result<Self, KeyError> {
        let der = der_of(pem).ok_or(KeyError::Secret)?;
        // openssl leaves the public key out, we do not: both are taken.
        Self::new(name, kind, Ed25519KeyPair::from_pkcs8_maybe_unchecked(&der).map_err(|_| KeyError::Secret)?)
    }

    fn from_seed(name: &str, kind: KeyKind, seed: &[u8; 32]) -> Result<Self, KeyError> {
        Self::new(name, kind, Ed25519KeyPair::from_seed_unchecked(seed).map_err(|_| KeyError::Secret)?)
    }

    fn signature(&self, before: &[u8], message: &[u8]) -> NoteSignature {
        let bytes = [before, self.pair.sign(message).as_ref()].concat();
        NoteSignature { name: self.key.name.clone(), key_id: self.key.id(), bytes }
    }
}

fn der_of(pem: &str) -> Option<Zeroizing<Vec<u8>>> {
    let mut lines = (pem.len() <= MAX_PEM_BYTES).then(|| pem.trim_end().lines())?;
    if lines.next()? != PEM_BEGIN {
        return None;
    }
    // With room for all of it: a text that grows leaves copies behind.
    let mut encoded = Zeroizing::new(String::with_capacity(pem.len()));
    loop {
        match lines.next()? {
            PEM_END => break,
            line => encoded.push_str(line),
        }
    }
    if lines.next().is_some() { None } else { decode_secret(&encoded) }
}

/// A new secret key as PKCS#8 in PEM, wiped when it is dropped.
///
/// # Errors
/// [`KeyError::Random`].
pub fn new_secret_pem() -> Result<Zeroizing<String>, KeyError> {
    let der = Ed25519KeyPair::generate_pkcs8(&SystemRandom::new()).map_err(|_| KeyError::Random)?;
    let encoded = Zeroizing::new(encode(der.as_ref()));
    // With room for all of it: a text that grows leaves copies behind.
    let mut pem = Zeroizing::new(String::with_capacity(2 * encoded.len() + PEM_BEGIN.len() + PEM_END.len() + 4));
    pem.push_str(PEM_BEGIN);
    let mut rest = encoded.as_str();
    while !rest.is_empty() {
        let (line, after) = rest.split_at(rest.len().min(PEM_LINE));
        pem.push('\n');
        pem.push_str(line);
        rest = after;
    }
    pem.push('\n');
    pem.push_str(PEM_END);
    pem.push('\n');
    Ok(pem)
}

/// The secret key of a log. `Debug` shows the public half.
pub struct LogSigner(Secret);

impl LogSigner {
    /// The key in `pem`, for the log called `name`.
    ///
    /// # Errors
    /// [`KeyError::Secret`], [`KeyError::Name`].
    pub fn from_pem(name: &str, pem: &str) -> Result<Self, KeyError> {
        Secret::from_pem(name, KeyKind::Log, pem).map(Self)
    }

    /// The key that a seed of 32 bytes makes.
    ///
    /// # Errors
    /// [`KeyError::Name`].
    pub fn from_seed(name: &str, seed: &[u8; 32]) -> Result<Self, KeyError> {
        Secret::from_seed(name, KeyKind::Log, seed).map(Self)
    }

    /// The public half.
    #[must_use]
    pub fn key(&self) -> &VerifierKey {
        &self.0.key
    }

    /// Signs a text.
    ///
    /// # Errors
    /// [`KeyError::Text`].
    pub fn sign(&self, text: &str) -> Result<Note, KeyError> {
        if !Note::is_text(text) {
            return Err(KeyError::Text);
        }
        Ok(Note { text: text.to_owned(), signatures: vec![self.0.signature(&[], text.as_bytes())] })
    }
}

/// The secret key of a witness. `Debug` shows the public half.
pub struct WitnessSigner(Secret);

impl WitnessSigner {
    /// The key in `pem`, for the witness called `name`.
    ///
    /// # Errors
    /// [`KeyError::Secret`], [`KeyError::Name`].
    pub fn from_pem(name: &str, pem: &str) -> Result<Self, KeyError> {
        Secret::from_pem(name, KeyKind::Witness, pem).map(Self)
    }

    /// The key that a seed of 32 bytes makes.
    ///
    /// # Errors
    /// [`KeyError::Name`].
    pub fn from_seed(name: &str, seed: &[u8; 32]) -> Result<Self, KeyError> {
        Secret::from_seed(name, KeyKind::Witness, seed).map(Self)
    }

    /// The public half.
    #[must_use]
    pub fn key(&self) -> &VerifierKey {
        &self.0.key
    }

    pub(crate) fn signature(&self, before: &[u8], message: &[u8]) -> NoteSignature {
        self.0.signature(before, message)
    }
}

impl fmt::Debug for LogSigner {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "LogSigner({})", self.0.key)
    }
}

impl fmt::Debug for WitnessSigner {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "WitnessSigner({})", self.0.key)
    }
}
