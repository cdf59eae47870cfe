//! Calls: made, sent, answered, judged.

use std::sync::atomic::Ordering;

use crate::england::{Known, Part};
use crate::kind::Kind;
use crate::setup::route;
use crate::truth::Verdict;
use crate::verify::{self, Held};
use crate::wire::{self, Ended, Event};

use super::links::PLAN_STREAM;
use super::{Due, GRACE, Pool, Worker, plan_event_number};

/// A call that is open.
pub(crate) struct Call {
    pub(crate) kind: Kind,
    pub(crate) phase: usize,
    pub(crate) due: u64,
    sent: u64,
    pub(crate) slot: usize,
    expect: Expect,
}

/// What its answer must say.
enum Expect {
    /// It is not looked at.
    Anything,
    /// This is held.
    Held(Held),
    /// What the line of the truth file says.
    Truth(usize),
    /// Each of these.
    Worklist(Box<[Held]>),
    /// Recorded.
    CheckIn,
}

/// An answer that came after the deadline, counted from when the request was due.
const TOO_LATE: &str = "TOO_LATE";

/// Names of gRPC's codes.
const CODES: [&str; 17] = [
    "OK",
    "CANCELLED",
    "UNKNOWN",
    "INVALID_ARGUMENT",
    "DEADLINE_EXCEEDED",
    "NOT_FOUND",
    "ALREADY_EXISTS",
    "PERMISSION_DENIED",
    "RESOURCE_EXHAUSTED",
    "FAILED_PRECONDITION",
    "ABORTED",
    "OUT_OF_RANGE",
    "UNIMPLEMENTED",
    "INTERNAL",
    "UNAVAILABLE",
    "DATA_LOSS",
    "UNAUTHENTICATED",
];

/// The name of a gRPC code.
pub(crate) fn code_name(code: u8) -> &'static str {
    CODES.get(usize::from(code)).copied().unwrap_or("UNKNOWN")
}

/// Whether the server counts an answer.
fn is_question(kind: Kind) -> bool {
    kind.is_lookup() || matches!(kind, Kind::CheckIn | Kind::Worklist)
}

fn held(known: &Known) -> Held {
    Held { plans: known.on_plan, presentations: known.seen }
}

impl Worker {
    /// Sends a request on a connection that has a place.
    pub(super) fn start(&mut self, index: usize, due: Due, now: u64) {
        let Due { kind, phase, at, taken: _ } = due;
        let expect = self.send(index, kind);
        self.dirty.push(index);
        self.open_calls += 1;
        self.setup.progress.sent.fetch_add(1, Ordering::Relaxed);
        let call = Call { kind, phase, due: at, sent: now, slot: index, expect };
        if self.schedule.is_some() && self.setup.window.holds(at) {
            self.found.tally.sent(kind, phase);
        }
        let Some(Some(slot)) = self.slots.get_mut(index) else { return };
        slot.in_flight += 1;
        if kind == Kind::PlanEvent {
            slot.events += 1;
            slot.pending.push_back(call);
        } else {
            // The place that `send` has announced to the connection.
            let token = self.free.pop().unwrap_or(self.calls.len());
            if token == self.calls.len() {
                self.calls.push(None);
            }
            self.calls[token] = Some(call);
        }
    }

    /// Writes the request on the connection.
    fn send(&mut self, index: usize, kind: Kind) -> Expect {
        let token = self.free.last().copied().unwrap_or(self.calls.len()) as u64;
        let Self { slots, forms, ids, dice, setup, plan_form, plan_version, .. } = self;
        let Some(Some(slot)) = slots.get_mut(index) else { return Expect::Anything };
        let wire = &mut slot.link.wire;
        if kind == Kind::PlanEvent {
            let number = plan_event_number(dice, slot.caller, setup.callers.authorities.len());
            // Greater than any before it for the same plan, whichever thread sends it.
            *plan_version += u64::from(setup.plan.threads);
            wire.send(PLAN_STREAM, plan_form.event(ids, number, *plan_version));
            return Expect::Anything;
        }
        let forms = &mut forms[slot.forms];
        let england = &setup.england;
        match kind {
            Kind::Hit => {
                let known = england.known[dice.index(england.known.len())];
                wire.start(route::LOOKUP, token, Some(forms.lookup(ids, known.number, known.born)));
                Expect::Held(held(&known))
            }
            Kind::Truth => {
                let position = dice.index(england.cases.len());
                let case = &england.cases[position];
                wire.start(route::LOOKUP, token, Some(forms.lookup(ids, case.number, case.born)));
                Expect::Truth(position)
            }
            Kind::Scheduled => {
                wire.start(route::LOOKUP, token, Some(forms.scheduled(ids, Part::Misses.draw(dice))));
                Expect::Held(Held::default())
            }
            Kind::CheckIn => {
                wire.start(route::CHECK_IN, token, Some(forms.check_in(ids, Part::CheckIns.draw(dice))));
                Expect::CheckIn
            }
            Kind::Worklist => {
                let (bytes, expected) = forms.worklist(ids, || {
                    if england.known.is_empty() || dice.percent(50.0) {
                        return (Part::Misses.draw(dice), Held::default());
                    }
                    let known = england.known[dice.index(england.known.len())];
                    (known.number, held(&known))
                });
                wire.start(route::WORKLIST, token, Some(bytes));
                Expect::Worklist(expected)
            }
            Kind::Empty => {
                // The very bytes of a question, so that the two requests differ in nothing but the call.
                wire.start(route::EMPTY, token, Some(forms.lookup(ids, Part::Misses.draw(dice), None)));
                Expect::Anything
            }
            Kind::Miss | Kind::PlanEvent | Kind::PlanFile => {
                wire.start(route::LOOKUP, token, Some(forms.lookup(ids, Part::Misses.draw(dice), None)));
                Expect::Held(Held::default())
            }
        }
    }

    /// What came in on a connection.
    pub(super) fn event(&mut self, index: usize, event: Event, now: u64) {
        match event {
            Event::Message { body, .. } => self.plan_verdict(index, &body, now),
            Event::Ended { token: PLAN_STREAM, how, .. } => self.stream_ended(index, how, now),
            Event::Ended { token, body, how } => {
                let call = self.calls.get_mut(token as usize).and_then(Option::take);
                self.free.push(token as usize);
                if let Some(call) = call {
                    self.answered(&call, &body, how, now);
                    self.done(index, call.kind, now);
                }
                if let Some(Some(slot)) = self.slots.get_mut(index) {
                    slot.link.wire.recycle(body);
                }
            }
        }
    }

    /// A place on the connection is free again; a closed loop uses it at once.
    fn done(&mut self, index: usize, kind: Kind, now: u64) {
        self.open_calls -= 1;
        let Some(Some(slot)) = self.slots.get_mut(index) else { return };
        slot.in_flight -= 1;
        let again = self.schedule.is_none() && now < self.setup.window.end && slot.has_place(self.setup.plan.in_flight);
        if again {
            self.next_on(index, Pool::of(kind), now);
        }
    }

    fn answered(&mut self, call: &Call, body: &[u8], how: Ended, now: u64) {
        let is_question = is_question(call.kind);
        match how {
            Ended::Status(0) => {
                let (good, items) = self.judge(call, body);
                self.found.answers += u64::from(is_question) * items;
                if now - call.due > self.setup.plan.timeout_ms * 1_000_000 {
                    // True or not, nobody waits for it any more.
                    self.count_failure(call.kind, call.phase, call.due, now, TOO_LATE, false);
                } else if good {
                    self.count_ok(call, body.len() as u64, items, now);
                } else {
                    self.count_failure(call.kind, call.phase, call.due, now, "NOT_RECORDED", false);
                }
            }
            Ended::Status(code) => {
                self.found.in_doubt += u64::from(is_question);
                self.count_failure(call.kind, call.phase, call.due, now, code_name(code), false);
            }
            Ended::Reset(_) => self.give_up(call, now, "STREAM_RESET"),
            Ended::NotTaken => self.give_up(call, now, "NOT_TAKEN"),
            Ended::NoStatus => self.give_up(call, now, "NO_STATUS"),
        }
    }

    /// A call that was not answered.
    pub(super) fn give_up(&mut self, call: &Call, now: u64, code: &str) {
        self.found.in_doubt += u64::from(is_question(call.kind));
        self.count_failure(call.kind, call.phase, call.due, now, code, true);
    }

    fn count_ok(&mut self, call: &Call, bytes: u64, items: u64, now: u64) {
        self.setup.progress.ok.fetch_add(1, Ordering::Relaxed);
        if !self.counts(call, now) {
            return;
        }
        let place = self.setup.window.place(now);
        if self.schedule.is_none() {
            self.found.tally.offered(call.kind, call.phase, place);
            self.found.tally.sent(call.kind, call.phase);
        }
        self.found.tally.ok(call.kind, call.phase, place, now - call.due, bytes, items);
    }

    /// Holds an answer against what is true; gives whether it counts as answered well, and how many items it had.
    fn judge(&mut self, call: &Call, body: &[u8]) -> (bool, u64) {
        if let Expect::CheckIn = call.expect {
            let recorded = wire::first_message(body).and_then(verify::recorded);
            if recorded.is_none() {
                self.verdict(call, Verdict::Wrong("the reply is not understood".to_owned()));
            }
            return (recorded == Some(true), 1);
        }
        if let Expect::Anything = call.expect {
            return (true, 1);
        }
        let items = if let Expect::Worklist(expected) = &call.expect { expected.len() as u64 } else { 1 };
        if !self.dice.percent(self.setup.plan.verify_percent) {
            return (true, items);
        }
        let verdict = match (&call.expect, wire::first_message(body)) {
            (_, None) => Verdict::Wrong("the reply has no message".to_owned()),
            (Expect::Held(held), Some(message)) => verify::lookup(message, *held),
            (Expect::Truth(position), Some(message)) => {
                verify::truth(message, &self.setup.england.cases[*position], self.asker(call.slot))
            }
            (Expect::Worklist(expected), Some(_)) => worklist(body, expected),
            (Expect::Anything | Expect::CheckIn, Some(_)) => Verdict::True,
        };
        self.verdict(call, verdict);
        (true, items)
    }

    fn asker(&self, index: usize) -> &str {
        let slot = self.slots.get(index).and_then(Option::as_ref);
        slot.map_or("", |slot| self.forms[slot.forms].organisation.as_str())
    }

    /// The verdict on the oldest plan event of a stream.
    fn plan_verdict(&mut self, index: usize, body: &[u8], now: u64) {
        let Some(Some(slot)) = self.slots.get_mut(index) else { return };
        let Some(call) = slot.pending.pop_front() else { return };
        if verify::acknowledged(body) {
            self.count_ok(&call, body.len() as u64, 1, now);
        } else {
            self.count_failure(call.kind, call.phase, call.due, now, "REFUSED", false);
        }
        self.done(index, call.kind, now);
    }

    /// A stream ended: what was not acknowledged on it failed.
    fn stream_ended(&mut self, index: usize, how: Ended, now: u64) {
        let Some(Some(slot)) = self.slots.get_mut(index) else { return };
        slot.link.wire.leaving = true;
        slot.in_flight = 0;
        let pending: Vec<Call> = slot.pending.drain(..).collect();
        let code = if let Ended::Status(code) = how { code_name(code) } else { "STREAM_RESET" };
        for call in pending {
            self.open_calls -= 1;
            self.count_failure(call.kind, call.phase, call.due, now, code, true);
        }
    }

    /// Gives up what has been open for longer than its deadline and a grace.
    pub(super) fn time_out(&mut self, now: u64) {
        let limit = self.setup.plan.timeout_ms * 1_000_000 + GRACE;
        for token in 0..self.calls.len() {
            let Some(call) = self.calls[token].take_if(|call| now.saturating_sub(call.sent) > limit) else { continue };
            if let Some(Some(slot)) = self.slots.get_mut(call.slot) {
                slot.link.wire.reset(token as u64);
                slot.in_flight -= 1;
                self.dirty.push(call.slot);
            }
            self.free.push(token);
            self.open_calls -= 1;
            self.give_up(&call, now, "NO_ANSWER");
        }
    }
}

/// Every item of a worklist, in order.
fn worklist(mut body: &[u8], expected: &[Held]) -> Verdict {
    let mut all = Verdict::True;
    for (position, held) in expected.iter().enumerate() {
        let Some(message) = wire::first_message(body) else {
            return Verdict::Wrong(format!("{position} items of a worklist of {}", expected.len()));
        };
        match verify::worklist_item(message, position, *held) {
            Verdict::True => {}
            Verdict::CannotSay => all = Verdict::CannotSay,
            wrong @ Verdict::Wrong(_) => return wrong,
        }
        body = &body[message.len() + 5..];
    }
    if body.is_empty() { all } else { Verdict::Wrong("a worklist's reply is longer than the worklist".to_owned()) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use kith_api::v1;
    use prost::Message as _;

    fn item(position: u32, outcome: v1::Outcome) -> Vec<u8> {
        let mut answer = crate::truth::tests::answer();
        answer.plans.as_mut().unwrap().outcome = outcome.into();
        let item = v1::LookupManyResponse {
            position,
            item: Some(v1::lookup_many_response::Item::Answer(answer)),
            ..Default::default()
        };
        let message = item.encode_to_vec();
        [&[0][..], &(message.len() as u32).to_be_bytes(), &message].concat()
    }

    #[test]
    fn a_worklist_is_held_against_every_person_on_it() {
        let held = Held { plans: true, presentations: false };
        let body = [item(0, v1::Outcome::Held), item(1, v1::Outcome::NoneHeld)].concat();
        assert_eq!(worklist(&body, &[held, Held::default()]), Verdict::True);
        assert!(matches!(worklist(&body, &[held, held]), Verdict::Wrong(_)));
        assert!(matches!(worklist(&body, &[held]), Verdict::Wrong(_)));
        assert!(matches!(worklist(&body, &[held, Held::default(), held]), Verdict::Wrong(_)));
    }

    #[test]
    fn codes_have_their_names() {
        assert_eq!((code_name(0), code_name(14), code_name(200)), ("OK", "UNAVAILABLE", "UNKNOWN"));
    }
}
