//! Somebody who looked up a child, in words, and among whom they were looked for.

use kith_api::v1;

use super::audit_pages::{called, proof, shown};
use crate::render::Page;
use crate::words::{care_context, purpose};

/// What a safeguarding team is shown, and that it is not everybody.
const OWN_PEOPLE: &str = "People of your own organisation alone, under the code of your certificate: whether anybody else looked \
                          is NOT said here. Neither is what they were told, or refused, nor who saw the child in a list or \
                          resolved a reference.";

/// Says among whose people alone they were looked for.
pub(super) fn whose(page: &mut Page, own_people_only: bool) {
    if own_people_only {
        page.text(0, 2, OWN_PEOPLE);
    }
}

/// One lookup.
pub(super) fn look(page: &mut Page, look: &v1::Look) {
    let v1::Look {
        audit_reference,
        at,
        organisation,
        organisation_name,
        user_name,
        user_role,
        purpose: why,
        care_context: context,
        call,
        other_number,
        as_mother,
        shielded,
        user_id,
        request_id,
        person_proven,
    } = look;
    let (why, context) = (purpose(*why), care_context(*context));
    page.text(0, 4, &format!("{audit_reference}  {}  {}: {why}{context}", shown(at.as_ref()), called(call)));
    if *shielded {
        page.attention(4, 4, "SHIELDED RECORD: place and person not shown");
    } else {
        let proof = proof(*person_proven);
        let mut who = format!("{user_name}, {user_role}, {organisation_name} ({organisation}); {proof}");
        for (what, id) in [("person", user_id), ("request", request_id)] {
            if !id.is_empty() {
                who.push_str(&format!("; {what} {id}"));
            }
        }
        page.text(4, 4, &who);
    }
    if *as_mother {
        page.text(4, 4, "asked about a baby, and read this record as the mother's");
    }
    if *other_number {
        page.text(4, 4, "asked under another number or key of the child");
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::commands::audit_pages;

    #[test]
    fn a_safeguarding_team_is_told_that_it_sees_its_own_people_alone_and_which_request_it_was() {
        let of = |own_people_only| {
            let searched = Some(v1::AuditSearched { own_people_only, ..v1::AuditSearched::default() });
            let look = v1::Look { user_name: "A Nurse".into(), organisation: "RZ1".into(), ..v1::Look::default() };
            let ids = v1::Look { user_id: "u1".into(), request_id: "7-7".into(), ..look.clone() };
            let looks_of = vec![if own_people_only { ids } else { look }];
            let response = v1::WhoLookedResponse { looks: looks_of, searched, ..v1::WhoLookedResponse::default() };
            audit_pages::looks(&response).render(false).split_whitespace().collect::<Vec<_>>().join(" ")
        };
        let own = of(true);
        for words in ["People of your own organisation alone", "whether anybody else looked is NOT said here"] {
            assert!(own.contains(words), "{own}");
        }
        assert!(own.contains("(RZ1); not proven by a token; person u1; request 7-7"), "{own}");
        let all = of(false);
        assert!(!all.contains("own organisation") && !all.contains("; person") && !all.contains("; request"), "{all}");
    }

    #[test]
    fn who_looked_is_told_as_proven_or_not() {
        let of = |person_proven| v1::Look { organisation: "RZ1".into(), person_proven, ..v1::Look::default() };
        for (person_proven, words) in [(true, "(RZ1); proven by a token"), (false, "(RZ1); not proven by a token")] {
            let response = v1::WhoLookedResponse { looks: vec![of(person_proven)], ..Default::default() };
            let shown = audit_pages::looks(&response).render(false);
            assert!(shown.contains(words), "{shown}");
        }
    }
}
