//! What the demographics service has told of the number asked about, in words.

use crate::answer::{Answer, Numbers};
use crate::nhs_number::NhsNumber;

/// The number in the groups that people read it in.
fn grouped(number: NhsNumber) -> String {
    let digits = number.digits();
    format!("{} {} {}", &digits[..3], &digits[3..6], &digits[6..])
}

/// A death that has been told: whoever stands at the desk is likelier another person.
pub fn death(answer: &Answer) -> Option<String> {
    let day = answer.died_on?;
    Some(format!("WARNING: a death on {} is recorded for this person. Check who this is.", day.text()))
}

/// Under which other numbers facts are shown.
pub fn others(answer: &Answer) -> Vec<String> {
    let Numbers { current, others, local_keys } = &answer.numbers;
    let mut lines = Vec::new();
    if let Some(number) = current {
        lines.push(format!("This number has been REPLACED by NHS number {}: use that one.", grouped(*number)));
    }
    let told: Vec<String> = others.iter().map(|number| grouped(*number)).collect();
    if !told.is_empty() {
        lines.push(format!("What is held under NHS number {} is shown too: it is the same person.", told.join(", ")));
    }
    if *local_keys > 0 {
        lines.push("What was held before this person had an NHS number is shown too.".to_owned());
    }
    lines
}
