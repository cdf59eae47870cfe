//! Renders any message of the protocol as JSON for programs: the protocol's own field names, lower-case kebab enum
//! words without their prefix, RFC 3339 times and `YYYY-MM-DD` dates. Every field is present; what is not there is null.
//!
//! It leaves out no field but the padding, which means nothing, and never turns a value it does not know into one it knows: an outcome that is unknown or
//! not given is `could-not-ask`, a plan kind `kind-unknown`.

use std::sync::OnceLock;

use prost::{Message, Name};
use prost_reflect::{
    DescriptorPool, DynamicMessage, EnumDescriptor, FieldDescriptor, Kind, MapKey, ReflectMessage, Value,
};
use serde_json::{Map, Value as Json};

use crate::FILE_DESCRIPTOR_SET;

/// Zeros that hide how long a message is.
const PADDING: &str = "padding";

static POOL: OnceLock<Option<DescriptorPool>> = OnceLock::new();

/// Why a message could not be rendered. Messages follow "failed to ".
#[derive(Debug, thiserror::Error)]
pub enum JsonError {
    /// The descriptor set does not describe the message.
    #[error("render as JSON: no description of {name}")]
    NotDescribed {
        /// Full name of the message.
        name: String,
    },
    /// The message does not fit its description.
    #[error("render as JSON: {source}")]
    Decode {
        /// What does not fit.
        source: prost::DecodeError,
    },
}

/// Renders `message` as a JSON object.
///
/// # Errors
/// [`JsonError`] when the message is not of this protocol.
pub fn to_json<M: Message + Name>(message: &M) -> Result<Map<String, Json>, JsonError> {
    let not_described = || JsonError::NotDescribed { name: M::full_name() };
    let pool = POOL.get_or_init(|| DescriptorPool::decode(FILE_DESCRIPTOR_SET).ok()).as_ref();
    let description = pool.and_then(|pool| pool.get_message_by_name(&M::full_name())).ok_or_else(not_described)?;
    let dynamic = DynamicMessage::decode(description, message.encode_to_vec().as_slice())
        .map_err(|source| JsonError::Decode { source })?;
    Ok(object(&dynamic))
}

fn object(message: &DynamicMessage) -> Map<String, Json> {
    let mut rendered = Map::new();
    for field in message.descriptor().fields() {
        if field.name() == PADDING {
            continue;
        }
        let present = message.has_field(&field);
        if !present && field.containing_oneof().is_some_and(|oneof| !oneof.is_synthetic()) {
            continue;
        }
        let value = if !present && field.supports_presence() {
            Json::Null
        } else {
            render(&message.get_field(&field), &field.kind())
        };
        rendered.insert(field.name().to_owned(), value);
    }
    rendered
}

fn render(value: &Value, kind: &Kind) -> Json {
    match value {
        Value::Bool(value) => Json::from(*value),
        Value::I32(value) => Json::from(*value),
        Value::I64(value) => Json::from(*value),
        Value::U32(value) => Json::from(*value),
        Value::U64(value) => Json::from(*value),
        Value::F32(value) => Json::from(*value),
        Value::F64(value) => Json::from(*value),
        Value::String(value) => Json::from(value.as_str()),
        Value::Bytes(value) => value.iter().map(|byte| Json::from(*byte)).collect(),
        Value::EnumNumber(number) => {
            kind.as_enum().map_or(Json::Null, |described| enum_word(described, *number).into())
        }
        Value::Message(message) => special(message).unwrap_or_else(|| Json::Object(object(message))),
        Value::List(values) => values.iter().map(|value| render(value, kind)).collect(),
        Value::Map(values) => {
            values.iter().map(|(key, value)| (map_key(key), render(value, &map_value(kind)))).collect()
        }
    }
}

/// Times and dates have one text each.
fn special(message: &DynamicMessage) -> Option<Json> {
    let name = message.descriptor().full_name().to_owned();
    match name.as_str() {
        "google.protobuf.Timestamp" => {
            let time: prost_types::Timestamp = message.transcode_to().ok()?;
            Some(Json::from(time.to_string()))
        }
        "kith.v1.Date" => {
            let date: crate::v1::Date = message.transcode_to().ok()?;
            Some(Json::from(format!("{:04}-{:02}-{:02}", date.year, date.month, date.day)))
        }
        _ => None,
    }
}

fn enum_word(described: &EnumDescriptor, number: i32) -> String {
    let known = described.get_value(number).filter(|value| value.number() != 0);
    let Some(value) = known else {
        return unknown_word(described.full_name()).to_owned();
    };
    let prefix = upper_snake(described.name());
    let word = value.name().strip_prefix(&prefix).unwrap_or(value.name());
    word.trim_start_matches('_').to_ascii_lowercase().replace('_', "-")
}

/// What a reader must take a value for that is unknown or not given.
fn unknown_word(enum_name: &str) -> &'static str {
    match enum_name {
        "kith.v1.Outcome" | "kith.v1.IdentityOutcome" => "could-not-ask",
        "kith.v1.PlanKind" => "kind-unknown",
        "kith.v1.PlanState" => "state-unknown",
        _ => "unknown",
    }
}

/// `PlanKind` to `PLAN_KIND`.
fn upper_snake(name: &str) -> String {
    let mut words = String::new();
    for letter in name.chars() {
        if letter.is_ascii_uppercase() && !words.is_empty() {
            words.push('_');
        }
        words.push(letter.to_ascii_uppercase());
    }
    words
}

fn map_key(key: &MapKey) -> String {
    match key {
        MapKey::Bool(key) => key.to_string(),
        MapKey::I32(key) => key.to_string(),
        MapKey::I64(key) => key.to_string(),
        MapKey::U32(key) => key.to_string(),
        MapKey::U64(key) => key.to_string(),
        MapKey::String(key) => key.clone(),
    }
}

/// The kind of a map's values; `kind` is that of its entry message.
fn map_value(kind: &Kind) -> Kind {
    let value: Option<FieldDescriptor> = kind.as_message().map(|entry| entry.map_entry_value_field());
    value.map_or_else(|| kind.clone(), |field| field.kind())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::v1;

    #[test]
    fn names_words_times_and_dates() {
        let plan = v1::Plan {
            kind: v1::PlanKind::ChildProtection.into(),
            state: v1::PlanState::Active.into(),
            start: Some(v1::Date { year: 2026, month: 3, day: 4 }),
            end: None,
            authority: Some(v1::Authority { code: "E08000035".into(), name: "Leeds".into() }),
            moving_to: None,
            moving: false,
        };
        let answer = v1::Answer {
            identity: None,
            plans: Some(v1::PlanAnswer {
                outcome: v1::Outcome::NoneHeld.into(),
                plans: vec![plan],
                more: 0,
                completeness: None,
                words: String::new(),
                withheld: false,
            }),
            as_of: Some(prost_types::Timestamp { seconds: 1_795_383_360, nanos: 0 }),
            ..v1::Answer::default()
        };
        let json = Json::Object(to_json(&answer).unwrap());
        assert_eq!(json["plans"]["outcome"], "none-held");
        assert_eq!(json["plans"]["plans"][0]["kind"], "child-protection");
        assert_eq!(json["plans"]["plans"][0]["start"], "2026-03-04");
        assert_eq!(json["plans"]["plans"][0]["end"], Json::Null);
        assert_eq!(json["plans"]["plans"][0]["moving"], false);
        assert_eq!(json["as_of"], "2026-11-22T21:36:00Z");
        assert_eq!(json["identity"], Json::Null);
        assert_eq!(json["audit_reference"], "");
    }

    #[test]
    fn what_is_unknown_is_never_rendered_as_known() {
        let mut answer = v1::Answer {
            identity: Some(v1::IdentityAnswer { outcome: 77, ..Default::default() }),
            plans: Some(v1::PlanAnswer {
                outcome: 99,
                plans: vec![v1::Plan { kind: 9, state: 9, ..Default::default() }],
                ..Default::default()
            }),
            presentations: Some(v1::PresentationAnswer { outcome: 0, ..Default::default() }),
            ..Default::default()
        };
        answer.shielded = true;
        let json = Json::Object(to_json(&answer).unwrap());
        assert_eq!(json["identity"]["outcome"], "could-not-ask");
        assert_eq!(json["plans"]["outcome"], "could-not-ask");
        assert_eq!(json["presentations"]["outcome"], "could-not-ask");
        assert_eq!(json["plans"]["plans"][0]["kind"], "kind-unknown");
        assert_eq!(json["plans"]["plans"][0]["state"], "state-unknown");
        assert_eq!(json["shielded"], true);
    }

    #[test]
    fn only_the_member_that_is_set_of_a_choice() {
        let response = v1::CheckInResponse {
            answer: None,
            recording: Some(v1::check_in_response::Recording::NotRecorded(v1::NotRecorded {
                words: "presentation NOT recorded, send again".into(),
                reason: "STORAGE_FULL".into(),
            })),
            padding: vec![0; 9].into(),
        };
        let json = to_json(&response).unwrap();
        assert!(json.contains_key("not_recorded") && !json.contains_key("recorded"));
        assert!(!json.contains_key("padding"), "zeros mean nothing");
    }

    #[test]
    fn a_number_that_is_absent_is_null_and_one_that_is_nought_is_nought() {
        let absent = to_json(&v1::Completeness::default()).unwrap();
        assert_eq!((&absent["oldest_fresh_seconds"], &absent["feeds"]), (&Json::Null, &Json::from(0)));
        let nought = v1::Completeness { oldest_fresh_seconds: Some(0), ..Default::default() };
        assert_eq!(to_json(&nought).unwrap()["oldest_fresh_seconds"], 0);
    }
}
