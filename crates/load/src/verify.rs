//! Whether an answer may be true, cheaply: of each answer only the outcomes are decoded, the rest is stepped over. Answers
//! to questions of the truth file are decoded whole and compared in full.

use kith_api::v1;
use prost::Message;

use crate::truth::{Case, Verdict, is_doubt};

/// An answer's outcomes; every other field is skipped without being stored.
#[derive(Clone, PartialEq, Message)]
struct Outcomes {
    #[prost(message, optional, tag = "1")]
    identity: Option<One>,
    #[prost(message, optional, tag = "2")]
    plans: Option<PlanOutcome>,
    #[prost(message, optional, tag = "3")]
    presentations: Option<SeenOutcome>,
}

#[derive(Clone, PartialEq, Message)]
struct One {
    #[prost(int32, tag = "1")]
    outcome: i32,
}

#[derive(Clone, PartialEq, Message)]
struct PlanOutcome {
    #[prost(int32, tag = "1")]
    outcome: i32,
    #[prost(message, optional, tag = "4")]
    completeness: Option<Doubts>,
}

#[derive(Clone, PartialEq, Message)]
struct SeenOutcome {
    #[prost(int32, tag = "1")]
    outcome: i32,
    #[prost(message, optional, tag = "8")]
    completeness: Option<Doubts>,
}

#[derive(Clone, PartialEq, Message)]
struct Doubts {
    #[prost(int32, repeated, tag = "7")]
    doubts: Vec<i32>,
}

/// A reply whose first field is the answer.
#[derive(Clone, PartialEq, Message)]
struct Reply {
    #[prost(message, optional, tag = "1")]
    answer: Option<Outcomes>,
}

/// One item of a worklist's reply.
#[derive(Clone, PartialEq, Message)]
struct WorklistReply {
    #[prost(uint32, tag = "1")]
    position: u32,
    #[prost(message, optional, tag = "2")]
    answer: Option<Outcomes>,
}

/// A check-in's reply beside its answer.
#[derive(Clone, PartialEq, Message)]
struct CheckInReply {
    #[prost(message, optional, tag = "1")]
    answer: Option<Outcomes>,
    #[prost(message, optional, tag = "2")]
    recorded: Option<Nothing>,
}

#[derive(Clone, PartialEq, Message)]
struct Nothing {}

/// What an answer must say of somebody.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Held {
    /// Plans are held; otherwise nothing is expected of them, unless nothing is held at all.
    pub plans: bool,
    /// Presentations are held.
    pub presentations: bool,
}

impl Held {
    fn nothing(self) -> bool {
        !self.plans && !self.presentations
    }
}

/// The answer of a lookup.
#[must_use]
pub fn lookup(message: &[u8], expected: Held) -> Verdict {
    match Reply::decode(message) {
        Ok(reply) => judge(reply.answer.as_ref(), expected),
        Err(_) => Verdict::Wrong("the reply is not understood".to_owned()),
    }
}

/// The answer to a question of the truth file.
#[must_use]
pub fn truth(message: &[u8], case: &Case, asker: &str) -> Verdict {
    let answer = v1::LookupResponse::decode(message).ok().and_then(|reply| reply.answer);
    answer.map_or_else(|| Verdict::Wrong("the reply has no answer".to_owned()), |answer| case.judge(asker, &answer))
}

/// The item of a worklist at `position`.
#[must_use]
pub fn worklist_item(message: &[u8], position: usize, expected: Held) -> Verdict {
    match WorklistReply::decode(message) {
        Ok(reply) if reply.position as usize == position => judge(reply.answer.as_ref(), expected),
        Ok(_) => Verdict::Wrong("an item of a worklist is out of order".to_owned()),
        Err(_) => Verdict::Wrong("an item of a worklist is not understood".to_owned()),
    }
}

/// Whether a check-in's presentation was recorded; none when the reply is not understood.
#[must_use]
pub fn recorded(message: &[u8]) -> Option<bool> {
    CheckInReply::decode(message).ok().filter(|reply| reply.answer.is_some()).map(|reply| reply.recorded.is_some())
}

/// Whether a plan event was acknowledged: the first field of its verdict.
#[must_use]
pub fn acknowledged(message: &[u8]) -> bool {
    #[derive(Clone, PartialEq, Message)]
    struct EventVerdict {
        #[prost(message, optional, tag = "1")]
        acknowledgement: Option<Nothing>,
    }
    EventVerdict::decode(message).is_ok_and(|verdict| verdict.acknowledgement.is_some())
}

fn judge(answer: Option<&Outcomes>, expected: Held) -> Verdict {
    let Some(Outcomes { identity: Some(identity), plans: Some(plans), presentations: Some(seen) }) = answer else {
        return Verdict::Wrong("the reply has no answer".to_owned());
    };
    let known = matches!(
        v1::IdentityOutcome::try_from(identity.outcome),
        Ok(v1::IdentityOutcome::Matched | v1::IdentityOutcome::NotGiven | v1::IdentityOutcome::NothingToCompare)
    );
    if !known {
        let found = v1::IdentityOutcome::try_from(identity.outcome);
        return Verdict::Wrong(format!("identity: expected a match, found {found:?}"));
    }
    let mut doubt = false;
    let doubts = |part: &Option<Doubts>| part.as_ref().map_or(0, |part| part.doubts.len());
    for (what, held, found, doubts) in [
        ("plans", expected.plans, plans.outcome, doubts(&plans.completeness)),
        ("presentations", expected.presentations, seen.outcome, doubts(&seen.completeness)),
    ] {
        let must = if held { v1::Outcome::Held } else { v1::Outcome::NoneHeld };
        // Of somebody of whom something is held, the other question is open.
        let open = !held && !expected.nothing() && v1::Outcome::try_from(found) == Ok(v1::Outcome::Held);
        if is_doubt(must, found, doubts) {
            doubt = true;
        } else if found != i32::from(must) && !open {
            return Verdict::Wrong(format!("{what}: expected {must:?}, found {:?}", v1::Outcome::try_from(found)));
        }
    }
    if doubt { Verdict::CannotSay } else { Verdict::True }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::truth::tests::{answer, case};

    fn reply(change: impl FnOnce(&mut v1::Answer)) -> Vec<u8> {
        let mut answer = answer();
        change(&mut answer);
        v1::LookupResponse { answer: Some(answer), ..Default::default() }.encode_to_vec()
    }

    const PLANS: Held = Held { plans: true, presentations: false };
    const NOTHING: Held = Held { plans: false, presentations: false };

    #[test]
    fn outcomes_are_read_out_of_whole_answers() {
        assert_eq!(lookup(&reply(|_| ()), PLANS), Verdict::True);
        assert_eq!(truth(&reply(|_| ()), &case(), "R1H"), Verdict::True);
        assert!(matches!(lookup(&reply(|_| ()), NOTHING), Verdict::Wrong(_)), "a miss must never be held");
        let both = Held { plans: true, presentations: true };
        assert!(matches!(lookup(&reply(|_| ()), both), Verdict::Wrong(_)));
        let seen = |a: &mut v1::Answer| a.presentations.as_mut().unwrap().outcome = v1::Outcome::Held.into();
        assert_eq!(lookup(&reply(seen), PLANS), Verdict::True, "more may be held than is known here");
    }

    #[test]
    fn what_is_no_answer_is_wrong() {
        for bytes in [&[][..], &[0xff, 0xff], &[10, 0], &v1::LookupResponse::default().encode_to_vec()] {
            assert!(matches!(lookup(bytes, NOTHING), Verdict::Wrong(_)), "{bytes:?}");
            assert!(matches!(truth(bytes, &case(), "R1H"), Verdict::Wrong(_)), "{bytes:?}");
            assert_ne!(recorded(bytes), Some(true));
        }
        let withheld = reply(|a| a.identity.as_mut().unwrap().outcome = v1::IdentityOutcome::NotConfirmed.into());
        assert!(matches!(lookup(&withheld, PLANS), Verdict::Wrong(_)));
    }

    #[test]
    fn a_miss_may_be_in_doubt_with_a_reason() {
        let cannot = |doubts: Vec<i32>| {
            reply(|a| {
                let part = Some(v1::Completeness { doubts, ..Default::default() });
                let plans =
                    v1::PlanAnswer { outcome: v1::Outcome::CannotSay.into(), completeness: part, ..Default::default() };
                a.plans = Some(plans);
            })
        };
        assert_eq!(lookup(&cannot(vec![2]), NOTHING), Verdict::CannotSay);
        assert!(matches!(lookup(&cannot(vec![]), NOTHING), Verdict::Wrong(_)));
        assert!(matches!(lookup(&cannot(vec![2]), PLANS), Verdict::Wrong(_)));
    }

    #[test]
    fn recordings_and_acknowledgements() {
        let check_in =
            |recording| v1::CheckInResponse { answer: Some(answer()), recording, ..Default::default() }.encode_to_vec();
        use v1::check_in_response::Recording;
        assert_eq!(recorded(&check_in(Some(Recording::Recorded(v1::Acknowledgement::default())))), Some(true));
        assert_eq!(recorded(&check_in(Some(Recording::NotRecorded(v1::NotRecorded::default())))), Some(false));
        assert_eq!(recorded(&check_in(None)), Some(false));
        use v1::submit_events_response::Verdict as V;
        let event = |verdict| v1::SubmitEventsResponse { verdict: Some(verdict) }.encode_to_vec();
        assert!(acknowledged(&event(V::Acknowledgement(v1::Acknowledgement::default()))));
        assert!(!acknowledged(&event(V::Refusal(v1::Refusal::default()))));
    }

    #[test]
    fn items_of_a_worklist_keep_their_order() {
        let item = v1::LookupManyResponse {
            position: 3,
            item: Some(v1::lookup_many_response::Item::Answer(answer())),
            ..Default::default()
        };
        let bytes = item.encode_to_vec();
        assert_eq!(worklist_item(&bytes, 3, PLANS), Verdict::True);
        assert!(matches!(worklist_item(&bytes, 2, PLANS), Verdict::Wrong(_)));
        let could_not = v1::lookup_many_response::Item::CouldNotAsk(v1::CouldNotAsk::default());
        let bytes = v1::LookupManyResponse { position: 3, item: Some(could_not), ..Default::default() }.encode_to_vec();
        assert!(matches!(worklist_item(&bytes, 3, PLANS), Verdict::Wrong(_)));
    }
}
