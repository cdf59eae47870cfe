//! What the policy leaves out of an answer, in words: it must never read as nothing held.

use crate::answer::Answer;
use crate::fields::Field;

/// One line that names everything left out; none where nothing is.
pub fn line(answer: &Answer) -> Option<String> {
    if answer.not_shown.is_empty() {
        return None;
    }
    let left_out: Vec<&str> = answer.not_shown.iter().map(field).collect();
    Some(["NOT SHOWN TO YOU, whatever is held: ", &left_out.join("; "), ". This says nothing about them."].concat())
}

fn field(field: Field) -> &'static str {
    match field {
        Field::VisitPlaces => "places of presentations elsewhere",
        Field::History => "who looked before",
        Field::Siblings => "siblings",
        Field::Mother => "plans on the mother's record",
        Field::Numbers => "other numbers of this person",
        Field::NamedFeeds => "which senders cannot be relied on",
    }
}
