//! Golden texts of every kind of answer, and what no answer may ever say.

use super::*;
use crate::render::WIDTH;
use crate::samples;

fn text(answer: &v1::Answer) -> String {
    page(answer, None).render(false)
}

#[test]
fn a_plan_and_a_presentation() {
    let expected = "\
================================================================================
ON A PLAN?       HELD: Child protection plan, IN FORCE, and 1 more
SEEN ELSEWHERE?  HELD: once in the last 90 days
================================================================================
IDENTITY: Date of birth matches the one held.

RING 0113 496 0999
     Leeds City Council (E08000035)
     Why: responsible authority, out of hours: emergency duty team

1. ON A PLAN? HELD
   Plans: HELD: 1 in force, 1 ended. All 153 senders heard of in time.
   - Child protection plan, IN FORCE, from 4 Mar 2026
     Leeds City Council (E08000035)
   - Looked-after child, ended, from 2 Jan 2025, to 3 Feb 2026
     Leeds City Council (E08000035)
   Heard of in time: 153 of 153 local authorities; 0 late, 0 never heard of.

2. SEEN ELSEWHERE? HELD
   Presentations: HELD: 1 elsewhere, 0 here in 90 days, 4 older held.
   At other organisations, last 90 days:
   - Sat 14 Nov 2026 03:12  head injury; LEFT BEFORE BEING SEEN
     Leeds General Infirmary, Leeds Teaching Hospitals NHS Trust (RR8),
       emergency department
   Older than 90 days, held and not listed here: 4
   Heard of in time: 137 of 137 trusts and services; 0 late, 0 never heard of.

LOOKED UP BEFORE (unscheduled, newest first)
  - Sat 14 Nov 2026 03:12  Sam Demo, Triage nurse, Leeds Teaching Hospitals NHS
      Trust (2 times)
  and 3 more on record, not listed here

As of Sun 22 Nov 2026 03:12 (UK time). Audit reference 1-4711
";
    assert_eq!(text(&samples::on_a_plan_and_seen()), expected);
}

#[test]
fn none_held() {
    let expected = "\
================================================================================
ON A PLAN?       none held: this is NOT reassurance
SEEN ELSEWHERE?  none held: this is NOT reassurance
================================================================================
IDENTITY: Date of birth matches the one held.

RING 0113 496 0999
     Leeds City Council (E08000035)
     Why: responsible authority, out of hours: emergency duty team

The NHS number was not traced: a record may stand under another number.

1. ON A PLAN? none held
   Plans: none held on record as of 2026-11-22 03:12. All 153 senders heard of
   in time. This is not reassurance: use your own judgement and procedures.
   Heard of in time: 153 of 153 local authorities; 0 late, 0 never heard of.

2. SEEN ELSEWHERE? none held
   Presentations: none held from any hospital as of 2026-11-22 03:12. All 137
   senders heard of in time. This is not reassurance: use your own judgement and
   procedures.
   Heard of in time: 137 of 137 trusts and services; 0 late, 0 never heard of.

LOOKED UP BEFORE: no unscheduled lookup on record; somebody may have looked.

As of Sun 22 Nov 2026 03:12 (UK time). Audit reference 1-4711
";
    assert_eq!(text(&samples::none_held()), expected);
}

#[test]
fn cannot_say() {
    let shown = text(&samples::cannot_say());
    assert!(shown.contains("ON A PLAN?       CANNOT SAY\n"), "{shown}");
    assert!(shown.contains("1. ON A PLAN? CANNOT SAY\n"), "{shown}");
    assert!(shown.contains("Heard of in time: 133 of 153 local authorities; 20 late"), "{shown}");
    assert!(shown.contains("Late or never heard of, and on this record: Leeds City Council"), "{shown}");
}

#[test]
fn not_confirmed() {
    let expected = "\
================================================================================
IDENTITY NOT CONFIRMED: the answer is withheld. Ring the number below.
ON A PLAN?       IDENTITY NOT CONFIRMED
SEEN ELSEWHERE?  IDENTITY NOT CONFIRMED
================================================================================
IDENTITY NOT CONFIRMED: date of birth differs from the authority's. The answer
  is withheld.

RING 0113 496 0999
     Leeds City Council (E08000035)
     Why: responsible authority, out of hours: emergency duty team

1. ON A PLAN? IDENTITY NOT CONFIRMED
   Plans: withheld, identity not confirmed.

2. SEEN ELSEWHERE? IDENTITY NOT CONFIRMED
   Presentations: withheld, identity not confirmed.

As of Sun 22 Nov 2026 03:12 (UK time). Audit reference 1-4711
";
    assert_eq!(text(&samples::not_confirmed()), expected);
}

#[test]
fn a_shielded_child_has_no_place() {
    let expected = "\
================================================================================
SHIELDED RECORD: never reveal where this child is.
ON A PLAN?       HELD: Child protection plan, IN FORCE
SEEN ELSEWHERE?  HELD: twice in the last 90 days, and 4 older, places not shown
================================================================================
IDENTITY: Date of birth matches the one held.

RING 020 7946 0999
     National safeguarding desk
     Why: shielded record: a national contact

1. ON A PLAN? HELD
   Plans: HELD: 1 in force.
   - Child protection plan, IN FORCE, from 4 Mar 2026
     authority not shown: shielded record
   Heard of in time: 153 of 153 local authorities; 0 late, 0 never heard of.

2. SEEN ELSEWHERE? HELD
   Presentations: HELD: 2 in 90 days, places not shown.
   Last 90 days, places not shown:
   - 14 Nov 2026  fracture; admitted
   - arrival not told  fracture; admitted
   Older than 90 days, held and not listed here: 4
   Heard of in time: 137 of 137 trusts and services; 0 late, 0 never heard of.

LOOKED UP BEFORE (unscheduled)
  on 5 days; who looked is not listed of a shielded record

As of Sun 22 Nov 2026 03:12 (UK time). Audit reference 1-4711
";
    assert_eq!(text(&samples::shielded()), expected);
}

#[test]
fn unknown_values_are_could_not_ask_and_held() {
    let shown = text(&samples::unknown_values());
    assert!(shown.contains("ON A PLAN?       HELD: Plan held, kind unknown to this program"), "{shown}");
    assert!(shown.contains("SEEN ELSEWHERE?  COULD NOT ASK"), "{shown}");
    assert!(shown.contains("2. SEEN ELSEWHERE? COULD NOT ASK"), "{shown}");
    assert!(!shown.contains("none held"), "{shown}");
    let mut odd = samples::none_held();
    odd.identity = Some(v1::IdentityAnswer { outcome: 50, ..Default::default() });
    let shown = text(&odd);
    assert!(shown.contains("ON A PLAN?       COULD NOT ASK"), "{shown}");
    assert!(shown.contains("IDENTITY: COULD NOT ASK"), "{shown}");
}

#[test]
fn seen_here_only_is_said_and_is_not_seen_elsewhere() {
    let mut answer = samples::on_a_plan_and_seen();
    let seen = answer.presentations.as_mut().unwrap();
    seen.at_this_organisation = std::mem::take(&mut seen.at_other_organisations);
    seen.elsewhere = v1::Outcome::CannotSay.into();
    let shown = text(&answer);
    assert!(
        shown.contains("SEEN ELSEWHERE?  CANNOT SAY (seen here: once in the last 90 days, and 4 older)"),
        "{shown}"
    );
    assert!(shown.contains("At your organisation, last 90 days:"), "{shown}");
}

#[test]
fn warnings_ask_for_attention_and_none_held_is_never_coloured() {
    let none = page(&samples::none_held(), None).render(true);
    let coloured: Vec<&str> = none.lines().filter(|line| line.contains('\u{1b}')).collect();
    assert_eq!(coloured.len(), 1, "only whom to ring: {coloured:?}");
    assert!(coloured[0].contains("RING"), "{coloured:?}");
    let near = page(&samples::near_miss(), None).render(true);
    assert!(near.lines().any(|line| line.contains("\u{1b}[1;7mIDENTITY: WARNING")), "{near}");
    for answer in samples::all() {
        let shown = page(&answer, None).render(true);
        assert!(!shown.contains("\u{1b}[32m") && !shown.contains("\u{1b}[92m"), "green");
    }
}

#[test]
fn no_answer_reassures_and_every_line_fits() {
    let failed = v1::NotRecorded { words: "presentation NOT recorded, send again".into(), reason: "X".into() };
    for answer in samples::all() {
        for shown in [text(&answer), page(&answer, Some(&failed)).render(false)] {
            let words: Vec<String> = shown
                .split(|c: char| !c.is_alphabetic())
                .map(str::to_lowercase)
                .filter(|word| !word.is_empty())
                .collect();
            for forbidden in ["safe", "safely", "clear", "cleared", "clean", "negative", "ok", "fine"] {
                assert!(!words.iter().any(|word| word == forbidden), "{forbidden} in {shown}");
            }
            let joined = words.join(" ");
            for forbidden in ["no risk", "no concerns", "no concern", "nothing to worry"] {
                assert!(!joined.contains(forbidden), "{forbidden} in {shown}");
            }
            assert!(shown.lines().all(|line| line.chars().count() <= WIDTH), "{shown}");
            assert!(shown.is_ascii(), "{shown}");
        }
    }
}

#[test]
fn the_two_questions_stand_apart_and_every_answer_says_as_of_and_audit() {
    for answer in samples::all() {
        let shown = text(&answer);
        let (plans, seen) = (shown.find("1. ON A PLAN?"), shown.find("2. SEEN ELSEWHERE?"));
        assert!(plans.is_some() && plans < seen, "{shown}");
        assert!(shown.contains("As of Sun 22 Nov 2026 03:12 (UK time). Audit reference 1-4711"), "{shown}");
        assert!(shown.contains("\nRING "), "{shown}");
    }
}

#[test]
fn none_held_never_stands_bare() {
    let mut answer = samples::none_held();
    let part = answer.plans.as_mut().unwrap();
    part.completeness = Some(v1::Completeness { feeds: 153, fresh: 150, stale: 1, absent: 2, ..Default::default() });
    let shown = text(&answer);
    let expected = "ON A PLAN?       none held: this is NOT reassurance; 3 senders late or never heard of\n";
    let joined = shown.replace("\n                 ", " ");
    assert!(joined.contains(expected), "{shown}");
}

#[test]
fn a_thin_feed_is_counted_and_named() {
    let mut answer = samples::cannot_say();
    let feed = |state: v1::FeedState| v1::NamedFeed { code: "RR8".into(), name: "Leeds".into(), state: state.into() };
    let known = v1::Completeness { feeds: 137, fresh: 136, thin: 1, ..Default::default() };
    let named_feeds = vec![feed(v1::FeedState::Thin), feed(v1::FeedState::Unspecified)];
    answer.presentations.as_mut().unwrap().completeness = Some(v1::Completeness { named_feeds, ..known });
    let shown = text(&answer).split_whitespace().collect::<Vec<_>>().join(" ");
    assert!(shown.contains("1 senders late, far below usual or never heard of"), "{shown}");
    assert!(shown.contains("0 late, 0 never heard of, 1 far below usual."), "{shown}");
    assert!(shown.contains("on this record: Leeds (RR8) FAR BELOW USUAL; Leeds (RR8) LATE (state unknown)"), "{shown}");
}

#[test]
fn an_empty_answer_is_could_not_ask_everywhere() {
    let shown = text(&v1::Answer::default());
    assert!(shown.contains("ON A PLAN?       COULD NOT ASK"), "{shown}");
    assert!(shown.contains("SEEN ELSEWHERE?  COULD NOT ASK"), "{shown}");
    assert!(shown.contains("RING no number was given"), "{shown}");
}

#[test]
fn siblings_and_the_mothers_unborn_plan() {
    let expected = "\
================================================================================
ON A PLAN?       HELD: an UNBORN child's plan, on the mother's record
SEEN ELSEWHERE?  none held: this is NOT reassurance
SIBLINGS         2 on a plan, 1 seen with an INJURY
================================================================================
IDENTITY: Date of birth matches the one held.

RING 0113 496 0999
     Leeds City Council (E08000035)
     Why: responsible authority, out of hours: emergency duty team

1. ON A PLAN? HELD
   Plans: HELD: of an UNBORN child, on the mother's record: 1 in force.
   Heard of in time: 153 of 153 local authorities; 0 late, 0 never heard of.

   Mother: HELD: an UNBORN child of hers is or was on a plan: it may be this
   baby.
   - Unborn child subject to a plan (mother's record), IN FORCE
     Leeds City Council (E08000035)

2. SEEN ELSEWHERE? none held
   Presentations: none held from any hospital as of 2026-11-22 03:12. All 137
   senders heard of in time. This is not reassurance: use your own judgement and
   procedures.
   Heard of in time: 137 of 137 trusts and services; 0 late, 0 never heard of.

SIBLINGS
   Siblings: KNOWN: 1 on a plan; 1 UNBORN on a plan. This lists only what
   authorities have linked.
   - A sibling is on a plan: Child protection plan, IN FORCE
   - A sibling was seen with an INJURY in the last 90 days
     Ring Leeds City Council on 0113 496 0999 (responsible authority, out of
     hours: emergency duty team)
   - An UNBORN sibling is on a plan: Unborn child subject to a plan (mother's
     record), IN FORCE
     Ring Leeds City Council on 0113 496 0999 (responsible authority, out of
     hours: emergency duty team)
   - 1 known, of whom nothing is shown here

LOOKED UP BEFORE: no unscheduled lookup on record; somebody may have looked.

As of Sun 22 Nov 2026 03:12 (UK time). Audit reference 1-4711
";
    assert_eq!(text(&samples::family()), expected);
}

#[test]
fn a_reference_is_shown_as_it_is_read_out() {
    assert_eq!(spoken("7KQM2XBD9F4TH3"), "7KQM 2XBD 9F4T H3");
    assert_eq!(spoken("1-000000004711"), "1-000000004711", "it is read as it stands");
    assert_eq!(spoken(""), "");
}
