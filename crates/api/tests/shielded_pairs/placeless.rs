//! Where an answer could tell a place. Every message is taken apart field by field, so that a new field stops the build until
//! somebody has decided whether a place can be read from it.

use kith_api::v1;

/// What a place is called: in names, codes and telephone numbers of the directory.
pub const WORDS: [&str; 4] = ["Borough", "Hospital", "E0600", "QX"];

/// Fields in which a place, or who looked, can stand.
pub const FIELDS: [&str; 11] = [
    "plan authority",
    "plan moving to",
    "presentation here",
    "presentation elsewhere",
    "plan feeds named",
    "presentation feeds named",
    "history",
    "ring",
    "sibling ring",
    "mother's plan",
    "words",
];

type Mutation = fn(&mut v1::Answer);

/// Puts a place into each of [`FIELDS`], in their order.
pub const MUTATIONS: &[(&str, Mutation)] = &[
    ("plan authority", |answer| first_plan(answer).authority = authority()),
    ("plan moving to", |answer| first_plan(answer).moving_to = authority()),
    ("presentation here", |answer| seen(answer).at_this_organisation.push(v1::Presentation::default())),
    ("presentation elsewhere", |answer| seen(answer).at_other_organisations.push(v1::Presentation::default())),
    ("plan feeds named", |answer| {
        answer.plans.as_mut().unwrap().completeness.as_mut().unwrap().named_feeds.push(v1::NamedFeed::default());
    }),
    ("presentation feeds named", |answer| seen(answer).completeness.as_mut().unwrap().named.push("QX01".into())),
    ("history", |answer| answer.access_history.as_mut().unwrap().accesses.push(v1::Access::default())),
    ("ring", |answer| answer.ring.as_mut().unwrap().code = "E06000001".into()),
    ("sibling ring", |answer| {
        answer.siblings.as_mut().unwrap().notices[0].ring = Some(v1::Contact::default());
    }),
    ("mother's plan", |answer| answer.mother.as_mut().unwrap().plans[0].authority = authority()),
    ("words", |answer| answer.words.push("last seen at Hospital 4".into())),
];

fn authority() -> Option<v1::Authority> {
    Some(v1::Authority { code: "E06000001".into(), name: "Borough 1".into() })
}

fn first_plan(answer: &mut v1::Answer) -> &mut v1::Plan {
    &mut answer.plans.as_mut().unwrap().plans[0]
}

fn seen(answer: &mut v1::Answer) -> &mut v1::PresentationAnswer {
    answer.presentations.as_mut().unwrap()
}

/// Whether every part is there that a mutation needs.
pub fn has_everything(answer: &v1::Answer) -> bool {
    answer.plans.as_ref().is_some_and(|plans| !plans.plans.is_empty())
        && answer.siblings.as_ref().is_some_and(|siblings| !siblings.notices.is_empty())
        && answer.mother.as_ref().is_some_and(|mother| !mother.plans.is_empty())
}

/// What has been found so far.
#[derive(Default)]
struct Found {
    fields: Vec<&'static str>,
    words: bool,
}

impl Found {
    fn note(&mut self, field: &'static str, is_there: bool) {
        if is_there && !self.fields.contains(&field) {
            self.fields.push(field);
        }
    }

    fn read(&mut self, words: &str) {
        self.words |= WORDS.iter().any(|place| words.contains(place));
    }
}

/// The fields of an answer that hold a place, in the order of [`FIELDS`].
pub fn places(answer: &v1::Answer) -> Vec<&'static str> {
    let mut found = Found::default();
    let v1::Answer {
        identity,
        plans,
        presentations,
        access_history,
        shielded: _,
        as_of: _,
        ring,
        audit_reference: _,
        words,
        siblings,
        mother,
        not_shown: _,
    } = answer.clone();
    if let Some(plans) = plans {
        of_plans(plans, &mut found);
    }
    if let Some(presentations) = presentations {
        of_presentations(presentations, &mut found);
    }
    if let Some(v1::AccessHistory { accesses, more: _ }) = access_history {
        found.note("history", !accesses.is_empty());
    }
    if let Some(v1::Contact { name, phone: _, why, code }) = ring {
        found.note("ring", !code.is_empty() || name != "National desk");
        found.read(&why);
    }
    of_identity(identity, &mut found);
    of_siblings(siblings, &mut found);
    of_mother(mother, &mut found);
    words.iter().for_each(|line| found.read(line));
    let Found { mut fields, words } = found;
    fields.extend(words.then_some("words"));
    fields.sort_by_key(|field| FIELDS.iter().position(|known| known == field));
    fields
}

/// A plan's authorities.
fn of_plan(plan: v1::Plan, fields: [&'static str; 2], found: &mut Found) {
    let v1::Plan { kind: _, state: _, start: _, end: _, authority, moving_to, moving: _ } = plan;
    found.note(fields[0], authority.is_some());
    found.note(fields[1], moving_to.is_some());
}

fn of_feeds(completeness: Option<v1::Completeness>, field: &'static str, found: &mut Found) {
    let Some(completeness) = completeness else { return };
    let v1::Completeness {
        feeds: _,
        fresh: _,
        stale: _,
        absent: _,
        named,
        oldest_fresh_seconds: _,
        doubts,
        thin: _,
        named_feeds,
    } = completeness;
    let own = [v1::Doubt::OwnFeedStale, v1::Doubt::OwnFeedThin].map(i32::from);
    let tells = doubts.iter().any(|doubt| own.contains(doubt));
    found.note(field, !named.is_empty() || !named_feeds.is_empty() || tells);
}

fn of_plans(answer: v1::PlanAnswer, found: &mut Found) {
    let v1::PlanAnswer { outcome: _, plans, more: _, completeness, words, withheld: _ } = answer;
    plans.into_iter().for_each(|plan| of_plan(plan, ["plan authority", "plan moving to"], found));
    of_feeds(completeness, "plan feeds named", found);
    found.read(&words);
}

fn of_presentations(answer: v1::PresentationAnswer, found: &mut Found) {
    let v1::PresentationAnswer {
        outcome: _,
        at_this_organisation,
        at_other_organisations,
        shielded_presentations,
        beyond_window: _,
        beyond_cap: _,
        window_days: _,
        completeness,
        words,
        elsewhere: _,
        beyond_window_elsewhere,
        beyond_cap_elsewhere,
    } = answer;
    for seen in shielded_presentations {
        let v1::ShieldedPresentation { arrived_on: _, complaint: _, outcome: _ } = seen;
    }
    found.note("presentation here", !at_this_organisation.is_empty());
    let elsewhere = beyond_window_elsewhere > 0 || beyond_cap_elsewhere > 0;
    found.note("presentation elsewhere", !at_other_organisations.is_empty() || elsewhere);
    of_feeds(completeness, "presentation feeds named", found);
    found.read(&words);
}

fn of_identity(identity: Option<v1::IdentityAnswer>, found: &mut Found) {
    let Some(identity) = identity else { return };
    let v1::IdentityAnswer {
        outcome: _,
        words,
        number_traced: _,
        current_nhs_number: _,
        other_nhs_numbers: _,
        local_keys: _,
        died_on: _,
    } = identity;
    found.read(&words);
}

fn of_siblings(siblings: Option<v1::SiblingAnswer>, found: &mut Found) {
    let Some(siblings) = siblings else { return };
    let v1::SiblingAnswer { linked: _, notices, unshown: _, beyond: _, injury_days: _, words } = siblings;
    for notice in notices {
        let v1::SiblingNotice { plans, seen_with_injury: _, ring } = notice;
        for plan in plans {
            let v1::SiblingPlan { kind: _, state: _ } = plan;
        }
        found.note("sibling ring", ring.is_some());
    }
    found.read(&words);
}

fn of_mother(mother: Option<v1::MotherAnswer>, found: &mut Found) {
    let Some(mother) = mother else { return };
    let v1::MotherAnswer { outcome: _, plans, more: _, doubts: _, shielded: _, words } = mother;
    plans.into_iter().for_each(|plan| of_plan(plan, ["mother's plan"; 2], found));
    found.read(&words);
}
