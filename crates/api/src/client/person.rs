//! The person behind every call of a connection: messages that name nobody are sent with them in the metadata.

use std::fmt;

use prost::Message;
use tonic::metadata::{Binary, MetadataValue};
use tonic::service::Interceptor;
use tonic::service::interceptor::InterceptedService;
use tonic::transport::Channel;
use tonic::{Request, Status};

use crate::v1;

/// The metadata that carries a person: an encoded [`v1::Caller`].
pub const CALLER_METADATA: &str = "kith-caller-bin";

/// A connection whose calls carry the person.
pub type Named = InterceptedService<Channel, Person>;

/// Who is behind the calls of a connection, where anybody is named.
#[derive(Clone, Default)]
pub struct Person(Option<MetadataValue<Binary>>);

impl Person {
    /// The person of a caller.
    #[must_use]
    pub fn of(caller: &v1::Caller) -> Self {
        let mut value = MetadataValue::from_bytes(&caller.encode_to_vec());
        value.set_sensitive(true);
        Self(Some(value))
    }

    /// The value of [`CALLER_METADATA`] as it stands in a header.
    #[must_use]
    pub fn header(&self) -> &[u8] {
        self.0.as_ref().map(|value| value.as_encoded_bytes()).unwrap_or_default()
    }
}

impl fmt::Debug for Person {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(if self.0.is_some() { "Person(redacted)" } else { "Person(none)" })
    }
}

impl Interceptor for Person {
    fn call(&mut self, mut request: Request<()>) -> Result<Request<()>, Status> {
        if let Some(value) = &self.0 {
            request.metadata_mut().insert_bin(CALLER_METADATA, value.clone());
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
}
