//! What became of changes, in words. Of several that were sent together whoever asked for a child is told of that child's alone.
//! And what is left out of what is found.

use kith_api::v1;

use crate::render::Page;

/// What is said where what was asked or sent about many together is left out.
const TOGETHER: &str = "What worklists asked, and what streams, files and imports of many changes told, of a child who is or was \
                        SHIELDED is NOT among these entries, nor which of their notifications were acknowledged, nor in which \
                        lists they stood; nor are rows of files that could not be read. Whether there are any is not told, and \
                        this is not a statement that nobody looked, or that nothing was changed. Who asked by a worklist is \
                        shown to the safeguarding team of their own organisation.";

/// Says what is left out for what it would tell of a place.
pub(super) fn left_out(page: &mut Page, shielded: bool, together: bool) {
    if shielded {
        let words = "Nothing about shielded children is found by a person, an organisation or a local key: search by NHS \
                     number or by reference. Lookups of a shielded child by a worklist are shown by no search by number either: \
                     their organisation's safeguarding team asks for them.";
        page.text(0, 2, words);
    }
    if together {
        page.text(0, 2, TOGETHER);
    }
}

/// How many were acknowledged and refused, and what is told of each.
pub(super) fn words(changed: &v1::AuditChanged) -> String {
    let v1::AuditChanged { acknowledged, refused, each } = changed;
    let mut words = format!("{acknowledged} changes acknowledged, {refused} refused");
    for one in each {
        words.push_str(&format!("; {}", one_of(one)));
    }
    words
}

fn one_of(one: &v1::AuditChange) -> String {
    let v1::AuditChange { event_id, reason, effect, repeated } = one;
    let what = match event_id.as_str() {
        "" => "one".to_owned(),
        event_id => format!("event {event_id}"),
    };
    if !reason.is_empty() {
        return format!("{what} REFUSED, {reason}");
    }
    if *repeated {
        return format!("{what} acknowledged AGAIN: nothing was changed this time");
    }
    let became = match v1::Effect::try_from(*effect) {
        Ok(v1::Effect::Applied) => "and applied",
        Ok(v1::Effect::Kept) => "and KEPT: it contradicted what was held, waited for more, or began withheld",
        Ok(v1::Effect::Overtaken) => "and OVERTAKEN: a later version stood for all of it or for a part",
        Ok(v1::Effect::Unspecified) | Err(_) => "with an effect that this program does not know",
    };
    format!("{what} acknowledged {became}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_change_is_told_with_what_became_of_it() {
        let one = |event_id: &str, reason: &str, effect: v1::Effect, repeated| v1::AuditChange {
            event_id: event_id.to_owned(),
            reason: reason.to_owned(),
            effect: effect.into(),
            repeated,
        };
        let unspecified = v1::Effect::Unspecified;
        let each = vec![
            one("e1", "", v1::Effect::Applied, false),
            one("e2", "ADULT", unspecified, false),
            one("", "VERSION_REUSED", unspecified, false),
            one("", "", v1::Effect::Kept, false),
            one("e3", "", v1::Effect::Overtaken, false),
            one("e1", "", unspecified, true),
            one("e4", "", unspecified, false),
        ];
        let told = words(&v1::AuditChanged { acknowledged: 5, refused: 2, each });
        let expected = "5 changes acknowledged, 2 refused; event e1 acknowledged and applied; event e2 REFUSED, ADULT; \
                        one REFUSED, VERSION_REUSED; \
                        one acknowledged and KEPT: it contradicted what was held, waited for more, or began withheld; \
                        event e3 acknowledged and OVERTAKEN: a later version stood for all of it or for a part; \
                        event e1 acknowledged AGAIN: nothing was changed this time; \
                        event e4 acknowledged with an effect that this program does not know";
        assert_eq!(told, expected);
        assert_eq!(words(&v1::AuditChanged::default()), "0 changes acknowledged, 0 refused");
    }

    #[test]
    fn what_is_left_out_is_said_and_is_no_statement_about_the_child() {
        let said = |shielded, together| {
            let mut page = Page::default();
            left_out(&mut page, shielded, together);
            page.render(false).split_whitespace().collect::<Vec<_>>().join(" ")
        };
        assert_eq!(said(false, false), "");
        assert!(said(true, false).starts_with("Nothing about shielded children is found by a person"));
        assert!(
            said(true, false)
                .ends_with("by no search by number either: their organisation's safeguarding team asks for them.")
        );
        assert!(said(false, true).contains("not a statement that nobody looked, or that nothing was changed"));
        assert!(said(false, true).starts_with("What worklists asked"));
    }
}
