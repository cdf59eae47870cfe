//! The person behind every call of a connection: messages that name nobody are sent with them in the metadata, and a token
//! that proves them goes with every message.

use std::fmt;

use prost::Message;
use tonic::metadata::{Ascii, Binary, MetadataValue};
use tonic::service::Interceptor;
use tonic::service::interceptor::InterceptedService;
use tonic::transport::Channel;
use tonic::{Request, Status};
use zeroize::Zeroizing;

use crate::v1;

/// The metadata that carries a person: an encoded [`v1::Caller`].
pub const CALLER_METADATA: &str = "kith-caller-bin";
/// The metadata that carries a token that proves a person, as gRPC's call credentials do: `Bearer`, a space, and the token
/// (RFC 6750).
pub const TOKEN_METADATA: &str = "authorization";

/// A connection whose calls carry the person.
pub type Named = InterceptedService<Channel, Person>;

/// Who is behind the calls of a connection, where anybody is named, and what proves them.
#[derive(Clone, Default)]
pub struct Person {
    caller: Option<MetadataValue<Binary>>,
    token: Option<MetadataValue<Ascii>>,
}

/// What was given for a token is none. It does not carry what was given.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("expected one token: letters, digits, dashes, underscores and full stops")]
pub struct TokenError;

impl Person {
    /// The person of a caller.
    #[must_use]
    pub fn of(caller: &v1::Caller) -> Self {
        Self::default().named(caller)
    }

    /// The person of a caller, with the token that was there.
    #[must_use]
    pub fn named(mut self, caller: &v1::Caller) -> Self {
        let mut value = MetadataValue::from_bytes(&caller.encode_to_vec());
        value.set_sensitive(true);
        self.caller = Some(value);
        self
    }

    /// The same person with the token that proves them.
    ///
    /// # Errors
    /// [`TokenError`].
    pub fn with_token(mut self, token: &str) -> Result<Self, TokenError> {
        let allowed = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.');
        if token.is_empty() || !token.bytes().all(allowed) {
            return Err(TokenError);
        }
        let header = Zeroizing::new(format!("Bearer {token}"));
        let mut value: MetadataValue<Ascii> = header.parse().map_err(|_| TokenError)?;
        value.set_sensitive(true);
        self.token = Some(value);
        Ok(self)
    }

    /// The value of [`CALLER_METADATA`] as it stands in a header.
    #[must_use]
    pub fn header(&self) -> &[u8] {
        self.caller.as_ref().map(|value| value.as_encoded_bytes()).unwrap_or_default()
    }
}

impl fmt::Debug for Person {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match (&self.caller, &self.token) {
            (None, None) => "Person(none)",
            (Some(_), None) => "Person(redacted)",
            (None, Some(_)) => "Person(none, with a token)",
            (Some(_), Some(_)) => "Person(redacted, with a token)",
        })
    }
}

impl Interceptor for Person {
    fn call(&mut self, mut request: Request<()>) -> Result<Request<()>, Status> {
        if let Some(value) = &self.caller {
            request.metadata_mut().insert_bin(CALLER_METADATA, value.clone());
        }
        if let Some(value) = &self.token {
            request.metadata_mut().insert(TOKEN_METADATA, value.clone());
        }
        Ok(request)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_person_travels_with_every_call_and_stands_in_no_debug_text() {
        let caller = v1::Caller { user_name: "Zebedee".into(), ..v1::Caller::default() };
        let mut person = Person::of(&caller);
        let request = person.call(Request::new(())).unwrap();
        let sent = request.metadata().get_bin(CALLER_METADATA).unwrap().to_bytes().unwrap();
        assert_eq!(v1::Caller::decode(sent).unwrap(), caller);
        assert!(!format!("{person:?} {request:?}").contains("Zebedee"));
        let request = Person::default().call(Request::new(())).unwrap();
        assert!(request.metadata().is_empty());
    }

    #[test]
    fn a_token_travels_with_every_call_and_stands_in_no_debug_text() {
        let caller = v1::Caller { user_name: "Zebedee".into(), ..v1::Caller::default() };
        let mut person = Person::default().with_token("aGVhZA.cGF5-bG9h_ZA.c2ln").unwrap().named(&caller);
        let request = person.call(Request::new(())).unwrap();
        let sent = request.metadata().get(TOKEN_METADATA).unwrap();
        assert_eq!(sent.to_str().unwrap(), "Bearer aGVhZA.cGF5-bG9h_ZA.c2ln");
        assert!(request.metadata().get_bin(CALLER_METADATA).is_some());
        assert!(!format!("{person:?} {request:?}").contains("aGVhZA"));
        for bad in ["", " ", "a b", "a\n", "Bearer a.b.c", "a=", "\u{e9}"] {
            assert_eq!(Person::default().with_token(bad).unwrap_err(), TokenError, "{bad:?}");
        }
    }
}
