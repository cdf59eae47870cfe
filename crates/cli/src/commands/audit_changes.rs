//! What became of changes, in words. Of several that were sent together whoever asked for a child is told of that child's alone.
//! And what is left out of what is found.

use kith_api::v1;

use crate::render::Page;

/// What is said where changes that were sent together are left out.
const TOGETHER: &str = "THIS CHILD IS OR WAS SHIELDED: what streams, files and imports of many changes told of them is \
                        NOT among these entries, nor which of their notifications were acknowledged, nor in which lists they \
                        stood. That is not a statement that nothing was changed.";

/// Says what is left out for what it would tell of a place.
pub(super) fn left_out(page: &mut Page, shielded: bool, together: bool) {
    if shielded {
        let words = "Nothing about shielded children is found by a person, an organisation or a local key: search by NHS \
                     number or by reference.";
        page.text(0, 2, words);
    }
    if together {
        page.attention(0, 2, TOGETHER);
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
    let v1::AuditChange { event_id, reason, count } = one;
    let what = match (event_id.as_str(), count) {
        ("", 0 | 1) => "one".to_owned(),
        ("", many) => many.to_string(),
        (event_id, _) => format!("event {event_id}"),
    };
    match reason.as_str() {
        "" => format!("{what} acknowledged"),
        reason => format!("{what} REFUSED, {reason}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_change_is_told_with_what_became_of_it() {
        let one = |event_id: &str, reason: &str, count| v1::AuditChange {
            event_id: event_id.to_owned(),
            reason: reason.to_owned(),
            count,
        };
        let each = vec![one("e1", "", 1), one("e2", "ADULT", 1), one("", "VERSION_REUSED", 7), one("", "", 1)];
        let told = words(&v1::AuditChanged { acknowledged: 2, refused: 8, each });
        let expected = "2 changes acknowledged, 8 refused; event e1 acknowledged; event e2 REFUSED, ADULT; \
                        7 REFUSED, VERSION_REUSED; one acknowledged";
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
        assert!(said(false, true).contains("not a statement that nothing was changed"));
    }
}
