//! The truth file, and whether an answer says what it must. A difference is told without an identity. An unknown value is
//! never taken for a good one.

use anyhow::{Context, Result};
use kith_api::v1;
use kith_domain::time::Day;
use serde_json::Value;

use crate::england::day;

/// One sampled child, the question about it, and what the answer must say.
#[derive(Clone, Debug)]
pub struct Case {
    /// The situation, for differences.
    pub scenario: String,
    /// The NHS number.
    pub number: u64,
    /// The birth date to give.
    pub born: Option<Day>,
    /// The trust that the counts are for.
    pub ask_as: String,
    /// Whether the number was traced.
    pub traced: bool,
    expect: Expect,
}

#[derive(Clone, Debug)]
struct Expect {
    confirmed: bool,
    plans: v1::Outcome,
    presentations: v1::Outcome,
    plan_list: Vec<PlanLine>,
    here: Option<u64>,
    elsewhere: Option<u64>,
    total: Option<u64>,
    beyond_window: Option<u64>,
    shielded: bool,
}

/// What is compared of one plan: kind, state, authority, first and last day.
type PlanLine = (i32, i32, String, Option<v1::Date>, Option<v1::Date>);

/// What became of a comparison.
#[derive(Debug, PartialEq, Eq)]
pub enum Verdict {
    /// The answer says what it must.
    True,
    /// Nothing is held, and the answer says for a reason that it cannot say.
    CannotSay,
    /// The answer is wrong: what differs, without an identity.
    Wrong(String),
}

/// Reads one line.
///
/// # Errors
/// What is missing or not known.
pub fn read(line: &str) -> Result<Case> {
    let value: Value = serde_json::from_str(line).context("not JSON")?;
    let text = |key: &str| value[key].as_str().with_context(|| format!("no text {key}"));
    let expect = &value["expect"];
    let outcome = |key: &str| match expect[key].as_str() {
        Some("held") => Ok(v1::Outcome::Held),
        Some("none-held") => Ok(v1::Outcome::NoneHeld),
        Some("withheld") => Ok(v1::Outcome::IdentityNotConfirmed),
        other => Err(anyhow::anyhow!("unknown {key}: {other:?}")),
    };
    let list = expect["plan_list"].as_array().context("no plan_list")?;
    let mut plan_list = list.iter().map(plan_line).collect::<Result<Vec<_>>>()?;
    plan_list.sort_by_key(sort_key);
    let count = |key: &str| expect[key].as_u64();
    Ok(Case {
        scenario: text("scenario")?.to_owned(),
        number: text("nhs_number")?.parse().context("nhs_number")?,
        born: value["date_of_birth"].as_str().and_then(day),
        ask_as: text("ask_as")?.to_owned(),
        traced: value["number_traced"].as_bool().context("no number_traced")?,
        expect: Expect {
            confirmed: expect["identity"].as_str().context("no identity")? == "confirmed",
            plans: outcome("plans")?,
            presentations: outcome("presentations")?,
            plan_list,
            here: count("at_this_trust"),
            elsewhere: count("at_other_trusts"),
            total: count("presentations_total"),
            beyond_window: count("beyond_window"),
            shielded: expect["shielded"].as_bool().context("no shielded")?,
        },
    })
}

fn plan_line(plan: &Value) -> Result<PlanLine> {
    let kind = match plan["kind"].as_str() {
        Some("cpp") => v1::PlanKind::ChildProtection,
        Some("lac") => v1::PlanKind::LookedAfter,
        Some("ucpp") => v1::PlanKind::Unborn,
        other => anyhow::bail!("unknown kind {other:?}"),
    };
    let state = match plan["state"].as_str() {
        Some("future") => v1::PlanState::Future,
        Some("active") => v1::PlanState::Active,
        Some("ended") => v1::PlanState::Ended,
        other => anyhow::bail!("unknown state {other:?}"),
    };
    let date = |key: &str| plan[key].as_str().and_then(day).map(kith_api::convert::time::date);
    let authority = plan["authority"].as_str().unwrap_or_default().to_owned();
    Ok((kind.into(), state.into(), authority, date("start"), date("end")))
}

fn sort_key(line: &PlanLine) -> (i32, i32, String, [i32; 3]) {
    let start = line.3.as_ref().map_or([0; 3], |date| [date.year, date.month, date.day]);
    (line.0, line.1, line.2.clone(), start)
}

/// Whether "cannot say" stands where "none held" is expected, with a reason.
#[must_use]
pub fn is_doubt(expected: v1::Outcome, found: i32, doubts: usize) -> bool {
    expected == v1::Outcome::NoneHeld && found == i32::from(v1::Outcome::CannotSay) && doubts > 0
}

impl Case {
    /// Holds an answer that `asker` got against what is true.
    #[must_use]
    pub fn judge(&self, asker: &str, answer: &v1::Answer) -> Verdict {
        let mut doubt = false;
        let difference = self.difference(asker, answer, &mut doubt);
        match difference {
            Some(what) => Verdict::Wrong(format!("{}: {what}", self.scenario)),
            None if doubt => Verdict::CannotSay,
            None => Verdict::True,
        }
    }

    fn difference(&self, asker: &str, answer: &v1::Answer, doubt: &mut bool) -> Option<String> {
        let expect = &self.expect;
        let identity = answer.identity.as_ref().map_or(v1::IdentityOutcome::Unspecified, v1::IdentityAnswer::outcome);
        let confirmed = match identity {
            v1::IdentityOutcome::Matched | v1::IdentityOutcome::NotGiven | v1::IdentityOutcome::NothingToCompare => {
                Some(true)
            }
            v1::IdentityOutcome::NotConfirmed => Some(false),
            v1::IdentityOutcome::Unspecified
            | v1::IdentityOutcome::NearMiss
            | v1::IdentityOutcome::DiffersFromPresentation
            | v1::IdentityOutcome::NumberInvalid => None,
        };
        if confirmed != Some(expect.confirmed) {
            return Some(format!("identity: expected confirmed {}, found {identity:?}", expect.confirmed));
        }
        let (Some(plans), Some(seen)) = (&answer.plans, &answer.presentations) else {
            return Some("the answer has no part about plans or presentations".to_owned());
        };
        let doubts = |part: &Option<v1::Completeness>| part.as_ref().map_or(0, |part| part.doubts.len());
        for (what, expected, found, doubts) in [
            ("plans", expect.plans, plans.outcome, doubts(&plans.completeness)),
            ("presentations", expect.presentations, seen.outcome, doubts(&seen.completeness)),
        ] {
            if is_doubt(expected, found, doubts) {
                *doubt = true;
            } else if found != i32::from(expected) {
                return Some(format!("{what}: expected {expected:?}, found {:?}", v1::Outcome::try_from(found)));
            }
        }
        if !expect.confirmed {
            let shown = plans.plans.len() + seen.at_this_organisation.len() + seen.at_other_organisations.len();
            let shown = shown + seen.shielded_presentations.len();
            return (shown > 0).then(|| format!("{shown} plans and presentations shown of somebody not confirmed"));
        }
        self.lists(asker, answer.shielded, plans, seen)
    }

    fn lists(
        &self,
        asker: &str,
        shielded: bool,
        plans: &v1::PlanAnswer,
        seen: &v1::PresentationAnswer,
    ) -> Option<String> {
        let expect = &self.expect;
        if shielded != expect.shielded {
            return Some(format!("shielded: expected {}, found {shielded}", expect.shielded));
        }
        let mut found: Vec<PlanLine> = plans.plans.iter().map(shown_plan).collect();
        found.sort_by_key(sort_key);
        if found != expect.plan_list {
            return Some(format!("{} plans are not the {} expected", found.len(), expect.plan_list.len()));
        }
        let count = |list: usize| list as u64;
        let (here, elsewhere) = (count(seen.at_this_organisation.len()), count(seen.at_other_organisations.len()));
        let in_all = count(seen.shielded_presentations.len());
        let both = expect.here.zip(expect.elsewhere).map(|(here, elsewhere)| here + elsewhere);
        let split = asker == self.ask_as && !shielded;
        let counts = [
            ("at this trust", expect.here.filter(|_| split), here),
            ("at other trusts", expect.elsewhere.filter(|_| split), elsewhere),
            ("at any trust", both.filter(|_| !split), here + elsewhere),
            ("without a place", expect.total, in_all),
            ("with a place", shielded.then_some(0), here + elsewhere),
            ("beyond the window", expect.beyond_window, u64::from(seen.beyond_window)),
        ];
        counts.into_iter().find_map(|(what, expected, found)| {
            let expected = expected?;
            (expected != found).then(|| format!("{what}: expected {expected}, found {found}"))
        })
    }
}

fn shown_plan(plan: &v1::Plan) -> PlanLine {
    let authority = plan.authority.as_ref().map_or_else(String::new, |authority| authority.code.clone());
    (plan.kind, plan.state, authority, plan.start, plan.end)
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    const ON_PLAN: &str = r#"{"scenario":"on-plan","nhs_number":"9990000018","date_of_birth":"2019-03-04","ask_as":"R1H",
        "number_traced":true,"expect":{"identity":"confirmed","plans":"held","presentations":"none-held","plan_list":[
        {"kind":"cpp","authority":"E06000001","state":"active","start":"2026-02-03","end":null}],
        "at_this_trust":0,"at_other_trusts":0,"beyond_window":0,"shielded":false}}"#;

    pub(crate) fn case() -> Case {
        read(ON_PLAN).unwrap()
    }

    pub(crate) fn answer() -> v1::Answer {
        v1::Answer {
            identity: Some(v1::IdentityAnswer { outcome: v1::IdentityOutcome::Matched.into(), ..Default::default() }),
            plans: Some(v1::PlanAnswer {
                outcome: v1::Outcome::Held.into(),
                plans: vec![v1::Plan {
                    kind: v1::PlanKind::ChildProtection.into(),
                    state: v1::PlanState::Active.into(),
                    start: Some(v1::Date { year: 2026, month: 2, day: 3 }),
                    authority: Some(v1::Authority { code: "E06000001".into(), name: "x".into() }),
                    ..Default::default()
                }],
                ..Default::default()
            }),
            presentations: Some(v1::PresentationAnswer { outcome: v1::Outcome::NoneHeld.into(), ..Default::default() }),
            ..Default::default()
        }
    }

    fn with(change: impl FnOnce(&mut v1::Answer)) -> Verdict {
        let mut answer = answer();
        change(&mut answer);
        case().judge("R1H", &answer)
    }

    fn plans(answer: &mut v1::Answer) -> &mut v1::PlanAnswer {
        answer.plans.as_mut().unwrap()
    }

    fn seen(answer: &mut v1::Answer) -> &mut v1::PresentationAnswer {
        answer.presentations.as_mut().unwrap()
    }

    #[test]
    fn the_expected_answer_is_true() {
        assert_eq!(with(|_| ()), Verdict::True);
    }

    #[test]
    fn every_kind_of_difference_is_wrong() {
        type Change = fn(&mut v1::Answer);
        let changes: [(&str, Change); 13] = [
            ("identity", |a| a.identity.as_mut().unwrap().outcome = v1::IdentityOutcome::NotConfirmed.into()),
            ("unknown identity", |a| a.identity.as_mut().unwrap().outcome = 99),
            ("no identity", |a| a.identity = None),
            ("none held", |a| plans(a).outcome = v1::Outcome::NoneHeld.into()),
            ("cannot say of what is held", |a| {
                plans(a).outcome = v1::Outcome::CannotSay.into();
                plans(a).completeness = Some(v1::Completeness { doubts: vec![1], ..Default::default() });
            }),
            ("unknown outcome", |a| plans(a).outcome = 99),
            ("no plans", |a| plans(a).plans.clear()),
            ("state", |a| plans(a).plans[0].state = v1::PlanState::Ended.into()),
            ("first day", |a| plans(a).plans[0].start = None),
            ("authority", |a| plans(a).plans[0].authority = None),
            ("presentations", |a| seen(a).outcome = v1::Outcome::Held.into()),
            ("a presentation", |a| seen(a).at_other_organisations.push(v1::Presentation::default())),
            ("shielded", |a| a.shielded = true),
        ];
        for (what, change) in changes {
            assert!(matches!(with(change), Verdict::Wrong(_)), "{what}");
        }
        assert!(matches!(with(|a| seen(a).beyond_window = 1), Verdict::Wrong(_)));
    }

    #[test]
    fn cannot_say_stands_for_none_held_only_with_a_reason() {
        let cannot = |doubts: Vec<i32>| {
            with(|a| {
                seen(a).outcome = v1::Outcome::CannotSay.into();
                seen(a).completeness = Some(v1::Completeness { doubts, ..Default::default() });
            })
        };
        assert_eq!(cannot(vec![v1::Doubt::TooManyFeedsStale.into()]), Verdict::CannotSay);
        assert!(matches!(cannot(vec![]), Verdict::Wrong(_)));
    }

    #[test]
    fn a_difference_names_nobody() {
        let Verdict::Wrong(what) = with(|a| plans(a).plans.clear()) else { panic!("it is wrong") };
        assert!(what.starts_with("on-plan: ") && !what.contains("999"), "{what}");
    }

    #[test]
    fn another_asker_is_told_of_the_same_presentations() {
        let line =
            ON_PLAN.replace("\"at_this_trust\":0,\"at_other_trusts\":0", "\"at_this_trust\":0,\"at_other_trusts\":1");
        let case = read(&line.replace("\"presentations\":\"none-held\"", "\"presentations\":\"held\"")).unwrap();
        let mut answer = answer();
        seen(&mut answer).outcome = v1::Outcome::Held.into();
        seen(&mut answer).at_this_organisation.push(v1::Presentation::default());
        assert_eq!(case.judge("RRK", &answer), Verdict::True);
        assert!(matches!(case.judge("R1H", &answer), Verdict::Wrong(_)));
    }
}
