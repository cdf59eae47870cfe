//! The person behind a call whose message names nobody: an encoded `Caller` in the metadata, read like any other.

use kith_api::client::CALLER_METADATA;
use kith_api::convert::caller;
use kith_api::convert::fault::Faults;
use kith_api::v1;
use kith_domain::caller::Caller;
use prost::Message;
use tonic::metadata::MetadataMap;

/// Longest encoded person read, in bytes: several times what the bounds of its fields allow.
const MAX_BYTES: usize = 4_096;

/// The person of a call.
///
/// # Errors
/// The faults, as those of a message.
pub(super) fn read(metadata: &MetadataMap) -> Result<Caller, Faults> {
    let mut faults = Faults::default();
    let mut values = metadata.get_all_bin(CALLER_METADATA).iter();
    let caller = match (values.next(), values.next()) {
        (None, _) => {
            faults.add(CALLER_METADATA, "PERSON_NOT_NAMED", "a named person is behind every call");
            None
        }
        (Some(value), None) => {
            let bytes = value.to_bytes().ok().filter(|bytes| bytes.len() <= MAX_BYTES);
            let message = bytes.and_then(|bytes| v1::Caller::decode(bytes).ok());
            let message = faults.take(CALLER_METADATA, "MALFORMED", message.ok_or("expected an encoded Caller"));
            message.and_then(|message| caller::parse(&mut faults, CALLER_METADATA, Some(message)))
        }
        (Some(_), Some(_)) => {
            faults.add(CALLER_METADATA, "MALFORMED", "expected one person");
            None
        }
    };
    faults.finish(caller)
}

#[cfg(test)]
mod tests {
    use super::*;
    use tonic::metadata::MetadataValue;

    fn good() -> v1::Caller {
        v1::Caller {
            user_id: "u1".into(),
            user_name: "A Nurse".into(),
            user_role: "Nurse".into(),
            role_code: "R8000".into(),
            purpose: v1::Purpose::RecordKeeping.into(),
            organisation: "R1H".into(),
        }
    }

    fn of(values: &[&[u8]]) -> Result<String, (String, &'static str)> {
        let mut metadata = MetadataMap::new();
        for value in values {
            metadata.append_bin(CALLER_METADATA, MetadataValue::from_bytes(value));
        }
        let read = read(&metadata).map(|caller| caller.user_name.as_str().to_owned());
        read.map_err(|faults| (faults.0[0].field.clone(), faults.0[0].reason))
    }

    #[test]
    fn one_whole_person_is_read_and_nothing_else() {
        let encoded = good().encode_to_vec();
        assert_eq!(of(&[&encoded]), Ok("A Nurse".to_owned()));
        let field = CALLER_METADATA.to_owned();
        assert_eq!(of(&[]), Err((field.clone(), "PERSON_NOT_NAMED")));
        assert_eq!(of(&[&encoded, &encoded]), Err((field.clone(), "MALFORMED")));
        assert_eq!(of(&[&[0xff]]), Err((field.clone(), "MALFORMED")));
        let long = v1::Caller { user_name: "x".repeat(5_000), ..good() };
        assert_eq!(of(&[&long.encode_to_vec()]), Err((field.clone(), "MALFORMED")));
        let nameless = v1::Caller { user_name: String::new(), ..good() };
        assert_eq!(of(&[&nameless.encode_to_vec()]), Err((format!("{field}.user_name"), "BAD_TEXT")));
        assert_eq!(of(&[&[]]), Err((format!("{field}.user_id"), "BAD_TEXT")));
    }
}
