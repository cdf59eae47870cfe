//! What an answer says, read strictly: only a complete "none held" is none held. What this program does not know is "could
//! not ask", and what is listed is held whatever the outcome says. No default and no catch-all lowers anything.

use kith_api::v1;

use crate::exit::Exit;

/// What one question's answer says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reading {
    /// Something is held.
    Held,
    /// Nothing is held as of the moment of asking.
    NoneHeld,
    /// The service cannot say.
    CannotSay,
    /// Withheld: the identity is not confirmed.
    NotConfirmed,
    /// Not answered in a way that this program knows.
    CouldNotAsk,
}

impl Reading {
    /// The words, the same everywhere.
    pub fn words(self) -> &'static str {
        match self {
            Self::Held => "HELD",
            Self::NoneHeld => "none held",
            Self::CannotSay => "CANNOT SAY",
            Self::NotConfirmed => "IDENTITY NOT CONFIRMED",
            Self::CouldNotAsk => "COULD NOT ASK",
        }
    }
}

/// What the identity check says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Identity {
    /// The record is answered for; a warning may stand beside it.
    Answered {
        /// The birth date given differs.
        warning: bool,
    },
    /// Withheld.
    NotConfirmed,
    /// Not known to this program.
    Unknown,
}

/// Reads the identity check.
pub fn identity(answer: &v1::Answer) -> Identity {
    let Some(identity) = &answer.identity else { return Identity::Unknown };
    match v1::IdentityOutcome::try_from(identity.outcome) {
        Ok(v1::IdentityOutcome::Matched | v1::IdentityOutcome::NotGiven | v1::IdentityOutcome::NothingToCompare) => {
            Identity::Answered { warning: false }
        }
        Ok(v1::IdentityOutcome::NearMiss | v1::IdentityOutcome::DiffersFromPresentation) => {
            Identity::Answered { warning: true }
        }
        Ok(v1::IdentityOutcome::NotConfirmed | v1::IdentityOutcome::NumberInvalid) => Identity::NotConfirmed,
        Ok(v1::IdentityOutcome::Unspecified) | Err(_) => Identity::Unknown,
    }
}

/// Reads "on a plan?".
pub fn plans(answer: &v1::Answer) -> Reading {
    let Some(plans) = &answer.plans else { return Reading::CouldNotAsk };
    let of_mother = answer.mother.as_ref().is_some_and(|mother| !mother.plans.is_empty() || mother.more > 0);
    let listed = !plans.plans.is_empty() || plans.more > 0 || plans.withheld || of_mother;
    question(identity(answer), plans.outcome, listed, plans.completeness.is_some())
}

/// Reads "seen, here or elsewhere?". None held anywhere must also be none held elsewhere.
pub fn presentations(answer: &v1::Answer) -> Reading {
    let Some(seen) = &answer.presentations else { return Reading::CouldNotAsk };
    let listed = !seen.at_this_organisation.is_empty()
        || !seen.at_other_organisations.is_empty()
        || !seen.shielded_presentations.is_empty()
        || seen.beyond_cap > 0;
    let overall = question(identity(answer), seen.outcome, listed, seen.completeness.is_some());
    match overall {
        Reading::NoneHeld => elsewhere(answer),
        Reading::Held | Reading::CannotSay | Reading::NotConfirmed | Reading::CouldNotAsk => overall,
    }
}

/// Reads "seen elsewhere?", over other organisations alone.
pub fn elsewhere(answer: &v1::Answer) -> Reading {
    let Some(seen) = &answer.presentations else { return Reading::CouldNotAsk };
    let listed =
        !seen.at_other_organisations.is_empty() || seen.beyond_window_elsewhere > 0 || seen.beyond_cap_elsewhere > 0;
    question(identity(answer), seen.elsewhere, listed, seen.completeness.is_some())
}

fn question(identity: Identity, outcome: i32, listed: bool, complete: bool) -> Reading {
    let read = match v1::Outcome::try_from(outcome) {
        Ok(v1::Outcome::Held) => Reading::Held,
        Ok(v1::Outcome::NoneHeld | v1::Outcome::CannotSay) if listed => Reading::Held,
        Ok(v1::Outcome::NoneHeld) if complete => Reading::NoneHeld,
        Ok(v1::Outcome::NoneHeld) => Reading::CouldNotAsk,
        Ok(v1::Outcome::CannotSay) => Reading::CannotSay,
        Ok(v1::Outcome::IdentityNotConfirmed) => Reading::NotConfirmed,
        Ok(v1::Outcome::Unspecified) | Err(_) => Reading::CouldNotAsk,
    };
    match (identity, read) {
        (Identity::NotConfirmed, _) => Reading::NotConfirmed,
        (Identity::Unknown, Reading::NoneHeld | Reading::CannotSay) => Reading::CouldNotAsk,
        (Identity::Unknown | Identity::Answered { .. }, read) => read,
    }
}

/// The exit code of an answer.
pub fn exit(answer: &v1::Answer) -> Exit {
    let both = [plans(answer), presentations(answer)];
    if both.contains(&Reading::NotConfirmed) {
        return Exit::NotConfirmed;
    }
    if identity(answer) == Identity::Unknown {
        return Exit::CouldNotAsk;
    }
    if both.contains(&Reading::Held) {
        Exit::Held
    } else if both.contains(&Reading::CouldNotAsk) {
        Exit::CouldNotAsk
    } else if both.contains(&Reading::CannotSay) {
        Exit::CannotSay
    } else {
        Exit::NoneHeld
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use v1::IdentityOutcome as I;
    use v1::Outcome as O;

    fn answer(identity: i32, plans: i32, presentations: i32) -> v1::Answer {
        let completeness = Some(v1::Completeness::default());
        v1::Answer {
            identity: Some(v1::IdentityAnswer { outcome: identity, ..Default::default() }),
            plans: Some(v1::PlanAnswer { outcome: plans, completeness: completeness.clone(), ..Default::default() }),
            presentations: Some(v1::PresentationAnswer {
                outcome: presentations,
                elsewhere: presentations,
                completeness,
                ..Default::default()
            }),
            ..Default::default()
        }
    }

    /// Every pair of outcomes, an unknown one (9) included, under an identity that was matched.
    #[test]
    fn exit_code_of_every_pair_of_outcomes() {
        let [unspecified, held, none, cannot, withheld, unknown] = [
            O::Unspecified as i32,
            O::Held as i32,
            O::NoneHeld as i32,
            O::CannotSay as i32,
            O::IdentityNotConfirmed as i32,
            9,
        ];
        let expected = [
            (held, [(unspecified, 10), (held, 10), (none, 10), (cannot, 10), (withheld, 13), (unknown, 10)]),
            (none, [(unspecified, 20), (held, 10), (none, 11), (cannot, 12), (withheld, 13), (unknown, 20)]),
            (cannot, [(unspecified, 20), (held, 10), (none, 12), (cannot, 12), (withheld, 13), (unknown, 20)]),
            (withheld, [(unspecified, 13), (held, 13), (none, 13), (cannot, 13), (withheld, 13), (unknown, 13)]),
            (unspecified, [(unspecified, 20), (held, 10), (none, 20), (cannot, 20), (withheld, 13), (unknown, 20)]),
            (unknown, [(unspecified, 20), (held, 10), (none, 20), (cannot, 20), (withheld, 13), (unknown, 20)]),
        ];
        for (first, row) in expected {
            for (second, code) in row {
                let found = exit(&answer(I::Matched as i32, first, second)).code();
                assert_eq!(found, code, "plans {first}, presentations {second}");
            }
        }
    }

    #[test]
    fn identity_decides_before_the_outcomes() {
        for outcome in [O::Held, O::NoneHeld, O::CannotSay] {
            let of = |identity: i32| exit(&answer(identity, outcome as i32, outcome as i32)).code();
            assert_eq!(of(I::NotConfirmed as i32), 13);
            assert_eq!(of(I::Unspecified as i32), 20);
            assert_eq!(of(99), 20);
        }
        for identity in [I::Matched, I::NotGiven, I::NothingToCompare, I::NearMiss, I::DiffersFromPresentation] {
            assert_eq!(exit(&answer(identity as i32, O::NoneHeld as i32, O::NoneHeld as i32)).code(), 11);
        }
    }

    #[test]
    fn what_is_missing_is_never_none_held() {
        let none = answer(I::Matched as i32, O::NoneHeld as i32, O::NoneHeld as i32);
        assert_eq!(exit(&none), Exit::NoneHeld);
        assert_eq!(exit(&v1::Answer::default()), Exit::CouldNotAsk);
        assert_eq!(exit(&v1::Answer { plans: None, ..none.clone() }), Exit::CouldNotAsk);
        assert_eq!(exit(&v1::Answer { presentations: None, ..none.clone() }), Exit::CouldNotAsk);
        assert_eq!(exit(&v1::Answer { identity: None, ..none.clone() }), Exit::CouldNotAsk);
        let mut torn = none.clone();
        torn.presentations.as_mut().unwrap().elsewhere = O::Unspecified as i32;
        assert_eq!(exit(&torn), Exit::CouldNotAsk);
        let mut bare = none;
        bare.plans.as_mut().unwrap().completeness = None;
        assert_eq!(exit(&bare), Exit::CouldNotAsk);
    }

    #[test]
    fn what_is_listed_is_held_whatever_the_outcome_says() {
        for outcome in [O::NoneHeld, O::CannotSay] {
            let mut odd = answer(I::Matched as i32, outcome as i32, outcome as i32);
            odd.plans.as_mut().unwrap().plans.push(v1::Plan::default());
            assert_eq!(plans(&odd), Reading::Held);
            odd.presentations.as_mut().unwrap().beyond_cap = 1;
            assert_eq!(presentations(&odd), Reading::Held);
        }
    }
}
