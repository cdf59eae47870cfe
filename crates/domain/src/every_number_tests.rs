//! Every combination once more, for a number that another stands in the place of, for one that stands in another's place, and
//! for one that is not valid any more.

use super::*;
use crate::change::{IdentityAction, IdentityEvent};
use crate::links::{self, Person};
use std::sync::Arc;

/// How the number asked about stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Number {
    /// Another stands in its place, and what is held is held under this one.
    Replaced,
    /// It stands in the place of the one under which everything is held.
    Successor,
    /// It is not valid any more.
    Invalid,
}

fn successor() -> NhsNumber {
    NhsNumber::from_first_nine(999_000_002).unwrap()
}

fn told(record: &mut ChildRecord, action: IdentityAction) {
    let event = IdentityEvent {
        organisation: OdsCode::parse("X26").unwrap(),
        event_id: Uuid::nil(),
        subject: record.subject.clone(),
        version: 1,
        action,
        proposal: None,
    };
    record.identity.get_or_insert_default().apply(&event);
}

/// The records found, and whom the question is about.
fn found(case: &Case, number: Number) -> (Found, Subject) {
    let mut held = record(case).unwrap_or_else(|| ChildRecord::new(subject(case.local)));
    let mut next = ChildRecord::new(Subject::Nhs(successor()));
    let asked = match number {
        Number::Successor => next.subject.clone(),
        Number::Replaced | Number::Invalid => held.subject.clone(),
    };
    match number {
        Number::Replaced | Number::Successor => {
            told(&mut held, IdentityAction::ReplacedBy(successor()));
            links::link(&mut next, &held.subject);
        }
        Number::Invalid => told(&mut held, IdentityAction::Invalidated),
    }
    let find =
        |subject: &Subject| [&held, &next].into_iter().find(|one| one.subject == *subject).cloned().map(Arc::new);
    let person = Person::find(find(&asked), find);
    (Found { person, ..Found::default() }, asked)
}

#[test]
fn no_standing_of_a_number_gives_a_bare_none_held_or_hides_what_is_held() {
    let (directory, settings) = (directory(), AnswerSettings::default());
    let permit = permit(&directory);
    let mut driven = 0;
    for feeds in all_feeds() {
        let board = feeds.board();
        for case in cases(feeds) {
            for number in [Number::Replaced, Number::Successor, Number::Invalid] {
                let (found, subject) = found(&case, number);
                let (number_traced, birth_date) = (case.traced, given(case.given));
                let question =
                    Question { subject, number_traced, birth_date, checking_in: None, mother: None, now: now() };
                let means = Means { settings: &settings, directory: &directory, feeds: &board };
                let answer = answer(&permit, &question, &found, means);
                driven += 1;
                let all = words::lines(&answer, &directory, 90).join(" ");
                if number == Number::Invalid {
                    assert_eq!(answer.identity, IdentityCheck::NumberInvalid, "{case:?}");
                    assert_eq!(answer.body, Body::IdentityNotConfirmed, "{case:?}");
                    assert!(!all.contains("none held") && !all.contains("CANNOT SAY"), "{case:?}: {all}");
                    assert!(all.contains("IDENTITY NOT CONFIRMED") && all.contains("Ring "), "{case:?}: {all}");
                    assert_eq!(answer.numbers, crate::answer::Numbers::default(), "{case:?}");
                    continue;
                }
                // The person has a number, whichever was asked about.
                hold_answer(&Case { local: false, ..case }, &answer, &directory);
                if answer.identity != IdentityCheck::NotConfirmed {
                    let replaced = number == Number::Replaced;
                    assert_eq!(answer.numbers.current, replaced.then(successor), "{case:?}");
                    assert_eq!(all.contains("REPLACED"), replaced, "{case:?}: {all}");
                }
            }
        }
    }
    println!("{driven} combinations");
    assert!(driven > 150_000, "{driven}");
}
