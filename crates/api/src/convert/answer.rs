//! Answers on the wire. A shielded body has no field for a place, so none can be written here.

use super::{family, template, time, words};
use crate::v1;
use kith_domain::NhsNumber;
use kith_domain::answer::{
    Answer, Body, Completeness, Doubt, NamedFeed, Numbers, OpenBody, Outcome, PlanView, PresentationView, Seen,
    ShieldedBody, ShieldedPlanView, ShieldedSeen,
};
use kith_domain::child::Access;
use kith_domain::codes::LaCode;
use kith_domain::directory::Directory;
use kith_domain::fields::Field;
use kith_domain::words as lines;

/// An answer on the wire.
#[must_use]
pub fn wire(answer: &Answer, reference: String, directory: &Directory, window_days: i32) -> v1::Answer {
    let Numbers { current, others, local_keys } = &answer.numbers;
    let (mut plans, mut presentations, access_history, shielded) = match &answer.body {
        Body::Open(body) => {
            (plans(body, directory), presentations(body, directory), Some(history(body, directory)), false)
        }
        Body::Opened(body) => {
            (plans(body, directory), presentations(body, directory), Some(history(body, directory)), true)
        }
        Body::Shielded(body) => {
            let history = v1::AccessHistory { accesses: Vec::new(), more: body.looked_up_days };
            (shielded_plans(body), shielded_presentations(body), Some(history), true)
        }
        Body::IdentityNotConfirmed => withheld(),
    };
    if template::is_nothing_listed(&plans, &presentations) {
        template::work(directory, answer.as_of);
    }
    plans.words = lines::plans(answer, directory);
    plans.withheld = answer.withheld;
    presentations.words = lines::presentations(answer, directory, window_days);
    let access_history = access_history.filter(|_| !answer.not_shown.has(Field::History));
    let spoken = lines::lines_with(answer, directory, &plans.words, &presentations.words);
    presentations.window_days = u32::try_from(window_days).unwrap_or(0);
    v1::Answer {
        identity: Some(v1::IdentityAnswer {
            outcome: words::identity(answer.identity).into(),
            words: lines::identity(answer).to_owned(),
            number_traced: answer.number_traced,
            current_nhs_number: current.map(NhsNumber::digits),
            other_nhs_numbers: others.iter().map(|number| number.digits()).collect(),
            local_keys: *local_keys,
            died_on: answer.died_on.map(time::date),
        }),
        plans: Some(plans),
        presentations: Some(presentations),
        access_history,
        shielded,
        as_of: Some(time::timestamp(answer.as_of)),
        ring: Some(family::contact(&answer.ring)),
        siblings: family::siblings(answer),
        mother: family::mother(answer, directory),
        audit_reference: reference,
        words: spoken,
        not_shown: answer.not_shown.iter().map(|field| words::field(field).into()).collect(),
    }
}

fn withheld() -> (v1::PlanAnswer, v1::PresentationAnswer, Option<v1::AccessHistory>, bool) {
    let outcome = v1::Outcome::IdentityNotConfirmed.into();
    let plans = v1::PlanAnswer { outcome, ..v1::PlanAnswer::default() };
    let presentations = v1::PresentationAnswer { outcome, elsewhere: outcome, ..v1::PresentationAnswer::default() };
    (plans, presentations, None, false)
}

pub(super) fn outcome<H>(outcome: &Outcome<H>) -> i32 {
    match outcome {
        Outcome::Held(_) => v1::Outcome::Held.into(),
        Outcome::NoneHeld => v1::Outcome::NoneHeld.into(),
        Outcome::CannotSay(_) => v1::Outcome::CannotSay.into(),
    }
}

pub(super) fn doubts<H>(outcome: &Outcome<H>) -> &[Doubt] {
    match outcome {
        Outcome::CannotSay(doubts) => doubts,
        Outcome::Held(_) | Outcome::NoneHeld => &[],
    }
}

fn completeness<N>(known: &Completeness<N>, named_feeds: Vec<v1::NamedFeed>, doubts: &[Doubt]) -> v1::Completeness {
    let counts = known.counts;
    v1::Completeness {
        feeds: counts.feeds(),
        fresh: counts.fresh,
        stale: counts.stale,
        absent: counts.absent,
        thin: counts.thin,
        named: named_feeds.iter().map(|feed| feed.code.clone()).collect(),
        named_feeds,
        oldest_fresh_seconds: counts.oldest_fresh_seconds,
        doubts: doubts.iter().map(|doubt| words::doubt(*doubt).into()).collect(),
    }
}

fn named_feed<C: Copy + Into<String>>(feed: &NamedFeed<C>, name: String) -> v1::NamedFeed {
    let NamedFeed { code, state } = feed;
    v1::NamedFeed { code: (*code).into(), name, state: words::feed_state(*state).into() }
}

fn authority(code: LaCode, directory: &Directory) -> v1::Authority {
    v1::Authority { code: code.into(), name: directory.authority_name(code) }
}

fn plans(body: &OpenBody, directory: &Directory) -> v1::PlanAnswer {
    let held: &[PlanView] = match &body.plans {
        Outcome::Held(plans) => plans,
        Outcome::NoneHeld | Outcome::CannotSay(_) => &[],
    };
    let named = body.plan_completeness.named.iter();
    let named = named.map(|feed| named_feed(feed, directory.authority_name(feed.code))).collect();
    v1::PlanAnswer {
        outcome: outcome(&body.plans),
        plans: held.iter().map(|plan| open_plan(plan, directory)).collect(),
        more: body.more_plans,
        completeness: Some(completeness(&body.plan_completeness, named, doubts(&body.plans))),
        words: String::new(),
        withheld: false,
    }
}

pub(super) fn open_plan(plan: &PlanView, directory: &Directory) -> v1::Plan {
    let PlanView { kind, state, start, end, authority: own, moving_to } = plan;
    v1::Plan {
        kind: kind.map_or(v1::PlanKind::Unspecified, words::kind).into(),
        state: words::plan_state(*state).into(),
        start: start.map(time::date),
        end: end.map(time::date),
        authority: Some(authority(*own, directory)),
        moving_to: moving_to.map(|code| authority(code, directory)),
        moving: moving_to.is_some(),
    }
}

fn shielded_plans(body: &ShieldedBody) -> v1::PlanAnswer {
    let held: &[ShieldedPlanView] = match &body.plans {
        Outcome::Held(plans) => plans,
        Outcome::NoneHeld | Outcome::CannotSay(_) => &[],
    };
    v1::PlanAnswer {
        outcome: outcome(&body.plans),
        plans: held.iter().map(shielded_plan).collect(),
        more: body.more_plans,
        completeness: Some(completeness(&body.plan_completeness, Vec::new(), doubts(&body.plans))),
        words: String::new(),
        withheld: false,
    }
}

pub(super) fn shielded_plan(plan: &ShieldedPlanView) -> v1::Plan {
    let ShieldedPlanView { kind, state, start, end, moving } = plan;
    v1::Plan {
        kind: kind.map_or(v1::PlanKind::Unspecified, words::kind).into(),
        state: words::plan_state(*state).into(),
        start: start.map(time::date),
        end: end.map(time::date),
        authority: None,
        moving_to: None,
        moving: *moving,
    }
}

fn presentations(body: &OpenBody, directory: &Directory) -> v1::PresentationAnswer {
    let none = Seen::default();
    let seen = match &body.presentations {
        Outcome::Held(seen) => seen,
        Outcome::NoneHeld | Outcome::CannotSay(_) => &none,
    };
    let named = body.presentation_completeness.named.iter();
    let named = named.map(|feed| named_feed(feed, directory.organisation_name(feed.code))).collect();
    let of_elsewhere = doubts(&body.elsewhere);
    let known = completeness(&body.presentation_completeness, named, of_elsewhere);
    let list = |views: &[PresentationView]| views.iter().map(|view| presentation(view, directory)).collect();
    v1::PresentationAnswer {
        outcome: outcome(&body.presentations),
        elsewhere: outcome(&body.elsewhere),
        at_this_organisation: list(&seen.here),
        at_other_organisations: list(&seen.elsewhere),
        beyond_window: seen.beyond_here.window + seen.beyond_elsewhere.window,
        beyond_cap: seen.beyond_here.cap + seen.beyond_elsewhere.cap,
        beyond_window_elsewhere: seen.beyond_elsewhere.window,
        beyond_cap_elsewhere: seen.beyond_elsewhere.cap,
        completeness: Some(known),
        ..v1::PresentationAnswer::default()
    }
}

pub(super) fn presentation(view: &PresentationView, directory: &Directory) -> v1::Presentation {
    let PresentationView { organisation, details, outcome } = view;
    let mut wire = v1::Presentation {
        organisation: organisation.map(Into::into).unwrap_or_default(),
        organisation_name: organisation.map(|code| directory.organisation_name(code)).unwrap_or_default(),
        outcome: words::outcome(*outcome).into(),
        ..v1::Presentation::default()
    };
    if let Some((site, arrived_at, setting, complaint)) = details {
        wire.site = site.map(Into::into).unwrap_or_default();
        wire.site_name = site.map(|code| directory.site_name(code)).unwrap_or_default();
        wire.arrived_at = Some(time::timestamp(*arrived_at));
        wire.care_setting = words::setting(*setting).into();
        wire.complaint = words::complaint(*complaint).into();
    }
    wire
}

fn shielded_presentations(body: &ShieldedBody) -> v1::PresentationAnswer {
    let none = ShieldedSeen::default();
    let seen = match &body.presentations {
        Outcome::Held(seen) => seen,
        Outcome::NoneHeld | Outcome::CannotSay(_) => &none,
    };
    let one = |(day, complaint, outcome): &(Option<_>, Option<_>, _)| v1::ShieldedPresentation {
        arrived_on: day.map(time::date),
        complaint: complaint.map_or(v1::ComplaintGroup::Unspecified, words::complaint).into(),
        outcome: words::outcome(*outcome).into(),
    };
    let doubts = doubts(&body.presentations);
    v1::PresentationAnswer {
        outcome: outcome(&body.presentations),
        elsewhere: outcome(&body.presentations),
        shielded_presentations: seen.presentations.iter().map(one).collect(),
        beyond_window: seen.beyond.window,
        beyond_cap: seen.beyond.cap,
        completeness: Some(completeness(&body.presentation_completeness, Vec::new(), doubts)),
        ..v1::PresentationAnswer::default()
    }
}

fn history(body: &OpenBody, directory: &Directory) -> v1::AccessHistory {
    v1::AccessHistory {
        accesses: body.accesses.iter().map(|row| access(row, directory)).collect(),
        more: body.more_accesses,
    }
}

pub(super) fn access(row: &Access, directory: &Directory) -> v1::Access {
    let Access { organisation, user_name, user_role, first_at, last_at, count } = row;
    v1::Access {
        first_at: Some(time::timestamp(*first_at)),
        last_at: Some(time::timestamp(*last_at)),
        count: *count,
        user_name: user_name.as_str().to_owned(),
        user_role: user_role.as_str().to_owned(),
        organisation: (*organisation).into(),
        organisation_name: directory.organisation_name(*organisation),
    }
}
