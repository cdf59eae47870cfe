//! The person behind a call: whether what proves them stands, and for messages that name nobody an encoded `Caller` in the
//! metadata, read like any other.

use kith_api::client::CALLER_METADATA;
use kith_api::convert::caller;
use kith_api::convert::fault::Faults;
use kith_api::v1;
use kith_domain::caller::Caller;
use kith_domain::permit::Refusal;
use kith_domain::proof::{PersonProof, ProvenPerson, Unproven};
use kith_domain::time::Moment;
use kith_engine::Call;
use prost::Message;
use tonic::metadata::MetadataMap;

use super::context::now;
use crate::person_tokens::digest_of;

/// Whether the person whom a request names may be taken for the one who is behind it, now. What goes on behind its call's
/// beginning asks this again.
///
/// # Errors
/// [`Refusal::PersonNotProven`].
pub(super) fn proven(call: Call, caller: &Caller) -> Result<(), Refusal> {
    proven_at(call.person, caller, now).map_err(Refusal::PersonNotProven)
}

fn proven_at(proof: PersonProof, caller: &Caller, now: impl FnOnce() -> Moment) -> Result<(), Unproven> {
    match proof {
        PersonProof::NotAsked => Ok(()),
        PersonProof::Proven(ProvenPerson { person, until: _, by: _ }) if person != digest_of(caller) => {
            Err(Unproven::OtherPerson)
        }
        PersonProof::Proven(ProvenPerson { person: _, until, by: _ }) => {
            if now() < until {
                Ok(())
            } else {
                Err(Unproven::Expired)
            }
        }
        PersonProof::Unproven(why) => Err(why),
    }
}

/// The person of a call, encoded in so many bytes at most.
///
/// # Errors
/// The faults, as those of a message.
pub(super) fn read(metadata: &MetadataMap, max_bytes: usize) -> Result<Caller, Faults> {
    let mut faults = Faults::default();
    let mut values = metadata.get_all_bin(CALLER_METADATA).iter();
    let caller = match (values.next(), values.next()) {
        (None, _) => {
            faults.add(CALLER_METADATA, "PERSON_NOT_NAMED", "a named person is behind every call");
            None
        }
        (Some(value), None) => {
            let bytes = value.to_bytes().ok().filter(|bytes| bytes.len() <= max_bytes);
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
    use kith_domain::proof::{PersonDigest, ProofSource};
    use tonic::Request;
    use tonic::metadata::MetadataValue;

    use crate::config::Limits;
    use crate::services::testing::{self, Place};

    const MAX_BYTES: usize = 4_096;

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

    fn of_one(person: &v1::Caller) -> MetadataMap {
        let mut metadata = MetadataMap::new();
        metadata.append_bin(CALLER_METADATA, MetadataValue::from_bytes(&person.encode_to_vec()));
        metadata
    }

    fn of(values: &[&[u8]]) -> Result<String, (String, &'static str)> {
        let mut metadata = MetadataMap::new();
        for value in values {
            metadata.append_bin(CALLER_METADATA, MetadataValue::from_bytes(value));
        }
        let read = read(&metadata, MAX_BYTES).map(|caller| caller.user_name.as_str().to_owned());
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

    #[tokio::test]
    async fn a_person_is_as_long_as_the_configuration_lets_it_be() {
        let (place, encoded) = (Place::new(), good().encode_to_vec());
        let mut request = Request::new(());
        request.metadata_mut().insert_bin(CALLER_METADATA, MetadataValue::from_bytes(&encoded));
        let named = |max_person_bytes| {
            let (services, _running) =
                testing::services_within(&place, Limits { max_person_bytes, ..Limits::default() });
            services.named(&request).map_err(|faults| faults.0.first().map(|fault| fault.reason))
        };
        assert!(named(encoded.len()).is_ok() && named(Limits::default().max_person_bytes).is_ok());
        assert_eq!(named(encoded.len() - 1).unwrap_err(), Some("MALFORMED"));
    }

    /// Whatever is configured here, nobody is too long whose fields are as long as they may be. All headers have a bound of their own.
    #[test]
    fn the_longest_person_is_within_the_least_that_can_be_configured() {
        let longest = v1::Caller {
            user_id: "\u{1d54f}".repeat(64),
            user_name: "\u{1d54f}".repeat(100),
            user_role: "\u{1d54f}".repeat(100),
            role_code: "R".repeat(20),
            ..good()
        };
        assert_eq!(
            read(&of_one(&longest), 2_048).map(|caller| caller.user_role.as_str().chars().count()).ok(),
            Some(100)
        );
        let too_long = v1::Caller { user_name: "\u{1d54f}".repeat(101), ..longest };
        assert!(read(&of_one(&too_long), 2_048).is_err());
    }

    #[test]
    fn a_person_is_taken_for_the_one_who_is_proven_and_nobody_else() {
        let named = caller::parse(&mut Faults::default(), "caller", Some(good())).unwrap();
        let of = |proof, ms| proven_at(proof, &named, || Moment(ms));
        assert_eq!(of(PersonProof::NotAsked, 0), Ok(()));
        let proven =
            |person| PersonProof::Proven(ProvenPerson { person, until: Moment(100), by: ProofSource([1; 32]) });
        let mine = proven(digest_of(&named));
        assert_eq!((of(mine, 99), of(mine, 100)), (Ok(()), Err(Unproven::Expired)));
        let other = proven(PersonDigest([0; 32]));
        assert_eq!((of(other, 99), of(other, 100)), (Err(Unproven::OtherPerson), Err(Unproven::OtherPerson)));
        for why in Unproven::ALL {
            assert_eq!(of(PersonProof::Unproven(why), 0), Err(why));
        }
    }
}
