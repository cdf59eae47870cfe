//! What was found in the audit, for people. What was not looked at and what is missing stands before what was found, and an empty
//! list never reads as though nobody had looked.

use kith_api::v1;
use v1::audit_entry::Decision;

use super::{audit_changes, audit_looks};
use crate::dates::{self, ProtoTimestamp};
use crate::render::Page;
use crate::words::{
    FLAG_KINDS, FLAG_OUTCOMES, OPENING_REASONS, REVIEW_OUTCOMES, WITHHOLDING_REASONS, care_context, purpose,
};

/// Entries of the audit.
pub fn entries(response: &v1::SearchResponse) -> Page {
    let v1::SearchResponse { entries, next_page_token, searched } = response;
    let mut page = Page::default();
    head(&mut page, searched.as_ref(), (entries.len(), "entries"), next_page_token);
    for one in entries {
        entry(&mut page, one);
    }
    page
}

/// Who looked up a child.
pub fn looks(response: &v1::WhoLookedResponse) -> Page {
    let v1::WhoLookedResponse { looks, next_page_token, searched } = response;
    let mut page = Page::default();
    head(&mut page, searched.as_ref(), (looks.len(), "lookups"), next_page_token);
    for one in looks {
        audit_looks::look(&mut page, one);
    }
    page
}

/// What was looked at.
fn head(page: &mut Page, searched: Option<&v1::AuditSearched>, (found, what): (usize, &str), token: &str) {
    let unknown = v1::AuditSearched::default();
    let v1::AuditSearched {
        end,
        newest_reference,
        oldest_reference,
        entries_looked_at,
        missing,
        shielded_left_out,
        removed,
        together_left_out,
        own_people_only,
    } = searched.unwrap_or(&unknown);
    if let Some(removed) = removed {
        page.attention(0, 2, &removed_words(removed));
    }
    for range in missing {
        page.attention(0, 2, &missing_words(range));
    }
    let on = format!("Go on with --page-token {token}, or ask with --all.");
    match v1::AuditSearchEnd::try_from(*end) {
        Ok(v1::AuditSearchEnd::Whole) => {}
        Ok(v1::AuditSearchEnd::Removed) if removed.is_some() => {}
        Ok(v1::AuditSearchEnd::Removed) => {
            page.attention(0, 2, "REMOVED UNDER RETENTION: what is older is not kept any more.");
        }
        Ok(v1::AuditSearchEnd::PageFull) => {
            page.attention(0, 2, &format!("THIS PAGE IS FULL: what is older was NOT looked at. {on}"));
        }
        Ok(v1::AuditSearchEnd::Stopped) => {
            page.attention(0, 2, &format!("THE SEARCH STOPPED: what is older was NOT looked at. {on}"));
        }
        Ok(v1::AuditSearchEnd::Older) => {
            let words = "THE RANGE WAS TAKEN TO END HERE: all of many entries in a row are older, and what is before \
                         them was NOT looked at. A search without --from goes further.";
            page.attention(0, 2, words);
        }
        Ok(v1::AuditSearchEnd::Unspecified) | Err(_) => {
            page.attention(0, 2, "NOT EVERYTHING WAS LOOKED AT, for a reason that this program does not know.");
        }
    }
    audit_changes::left_out(page, *shielded_left_out, *together_left_out);
    audit_looks::whose(page, *own_people_only);
    if oldest_reference.is_empty() && removed.is_some() {
        page.attention(0, 2, "NOTHING WAS LOOKED AT: nothing of what was asked for is kept any more.");
    } else if oldest_reference.is_empty() {
        page.attention(0, 2, "NOTHING WAS LOOKED AT: there is no such entry yet.");
    } else {
        let words = format!(
            "{found} {what} among the {entries_looked_at} entries from {newest_reference} back to {oldest_reference}, \
             newest first (UK time)"
        );
        page.text(0, 2, &words);
    }
    if found == 0 {
        page.text(0, 2, "This is not a statement that nobody looked.");
    }
}

fn removed_words(removal: &v1::AuditRemoval) -> String {
    let v1::AuditRemoval { through_audit_reference: through, removed_at, made_before } = removal;
    let (at, before) = (shown(removed_at.as_ref()), shown(made_before.as_ref()));
    format!(
        "REMOVED UNDER RETENTION up to {through}, decided {at}; all of them were made before {before}. Somebody may have looked \
         who is not listed here."
    )
}

fn missing_words(range: &v1::MissingEntries) -> String {
    let v1::MissingEntries { after_audit_reference: after, before_audit_reference: before, announced_at } = range;
    let noticed = announced_at.as_ref().map(|at| format!(", noticed {}", dates::show_moment(at))).unwrap_or_default();
    let place = match before.as_str() {
        "" => format!("after {after} entries may be missing"),
        before => format!("between {after} and {before} no entry can be read"),
    };
    format!("MISSING: {place}{noticed}. Somebody may have looked who is not listed here.")
}

/// A time, or that none was given.
pub(super) fn shown(moment: Option<&ProtoTimestamp>) -> String {
    moment.map_or_else(|| "time not given".to_owned(), dates::show_moment)
}

/// A call, or the service itself.
pub(super) fn called(call: &str) -> &str {
    if call.is_empty() { "the service" } else { call }
}

/// Whether a token proved the person who is named, or the request's word alone stands for them.
pub(super) fn proof(proven: bool) -> &'static str {
    if proven { "proven by a token" } else { "not proven by a token" }
}

fn entry(page: &mut Page, entry: &v1::AuditEntry) {
    let v1::AuditEntry {
        audit_reference,
        at,
        call,
        role,
        organisation,
        organisation_name,
        user_id,
        user_name,
        user_role,
        role_code,
        purpose: why,
        care_context: context,
        about,
        mother,
        request_id,
        trace_id,
        fields: _,
        responsible_authorities,
        shielded,
        decision: decided,
        person_proven,
    } = entry;
    let decided = decision(decided.as_ref());
    page.text(0, 4, &format!("{audit_reference}  {}  {}: {decided}", shown(at.as_ref()), called(call)));
    if *shielded {
        page.attention(4, 4, "SHIELDED RECORD: place and person not shown");
    } else if !user_id.is_empty() {
        let person = format!("{user_name}, {user_role} ({user_id}, {role_code}), {organisation_name} ({organisation})");
        page.text(4, 4, &format!("{person}; {}", proof(*person_proven)));
    } else if !organisation.is_empty() {
        page.text(4, 4, &format!("nobody is named, {organisation_name} ({organisation})"));
    }
    if !role.is_empty() {
        let why = if user_id.is_empty() && *why == 0 { String::new() } else { format!(": {}", purpose(*why)) };
        page.text(4, 4, &format!("{role}{why}{}", care_context(*context)));
    }
    for (words, whom) in [("about", about), ("mother read:", mother)] {
        if let Some(whom) = whom {
            page.text(4, 4, &format!("{words} {}", subject(whom)));
        }
    }
    if !responsible_authorities.is_empty() {
        page.text(4, 4, &format!("responsible: {}", responsible_authorities.join(", ")));
    }
    for (words, id) in [("request", request_id), ("trace", trace_id)] {
        if !id.is_empty() {
            page.text(4, 4, &format!("{words} {id}"));
        }
    }
}

fn subject(whom: &v1::AuditSubject) -> String {
    match &whom.subject {
        Some(v1::audit_subject::Subject::NhsNumber(number)) => format!("NHS number {number}"),
        Some(v1::audit_subject::Subject::AskedKey(_)) => "the local key asked for".to_owned(),
        Some(v1::audit_subject::Subject::SamePerson(pseudonym)) => {
            format!("the same person under another number or key ({pseudonym})")
        }
        Some(v1::audit_subject::Subject::OtherPerson(pseudonym)) => format!("another person ({pseudonym})"),
        None => "somebody whom this program cannot tell".to_owned(),
    }
}

fn decision(decision: Option<&Decision>) -> String {
    match decision {
        Some(Decision::Answered(answered)) => disclosed(answered),
        Some(Decision::Refused(v1::AuditRefused { reason, count, first: _, last: _ })) => match count {
            0 | 1 => format!("REFUSED, {reason}"),
            many => format!("REFUSED {many} times, {reason}"),
        },
        Some(Decision::Changed(changed)) => audit_changes::words(changed),
        Some(Decision::Listed(count)) => format!("{count} listed"),
        Some(Decision::Uncounted(_)) => {
            "told, read, sent, listed or acknowledged; what and how many is not told".to_owned()
        }
        Some(Decision::Service(event)) => service(event),
        Some(Decision::Read(read)) => reading(read),
        Some(Decision::Opened(v1::AuditOpened { answered, reason })) => {
            let why = v1::OpeningReason::try_from(*reason).ok().and_then(|reason| OPENING_REASONS.word(reason));
            let told = answered.as_ref().map_or_else(|| "answered".to_owned(), disclosed);
            format!("SHIELDED RECORD OPENED, {}; {told}", why.unwrap_or("a reason that this program does not know"))
        }
        Some(Decision::OpeningReviewed(v1::AuditOpeningReviewed { reference, outcome })) => {
            let found = v1::ReviewOutcome::try_from(*outcome).ok().and_then(|outcome| REVIEW_OUTCOMES.word(outcome));
            let found = found.unwrap_or("with a finding that this program does not know");
            format!("reviewed opening {reference}: {found}")
        }
        Some(Decision::Flagged(kind)) => {
            let kind = v1::FlagKind::try_from(*kind).ok().and_then(|kind| FLAG_KINDS.word(kind));
            let kind = kind.unwrap_or("in a way that this program does not know");
            format!("use was flagged for a person to look into, {kind}")
        }
        Some(Decision::FlagReviewed(outcome)) => {
            let found = v1::FlagOutcome::try_from(*outcome).ok().and_then(|outcome| FLAG_OUTCOMES.word(outcome));
            let found = found.unwrap_or("with a finding that this program does not know");
            format!("reviewed a flag: {found}")
        }
        Some(Decision::Withheld(v1::AuditWithheld { reason, look_again })) => {
            let why = v1::WithholdingReason::try_from(*reason).ok().and_then(|reason| WITHHOLDING_REASONS.word(reason));
            let by = look_again.map_or_else(|| "a day not given".to_owned(), dates::show_date);
            let why = why.unwrap_or("a reason that this program does not know");
            format!("decided to WITHHOLD what the authority holds, {why}; to look again by {by}")
        }
        Some(Decision::WithholdingLifted(_)) => "withholds no longer what the authority holds".to_owned(),
        Some(Decision::Resolved(_)) => "resolved the reference of an answer".to_owned(),
        Some(Decision::Proven(reference)) if reference.is_empty() => {
            "had an entry of its own organisation proven".to_owned()
        }
        Some(Decision::Proven(reference)) => format!("had entry {reference} proven"),
        None => "a decision that this program does not know".to_owned(),
    }
}

fn disclosed(answered: &v1::AuditAnswered) -> String {
    let v1::AuditAnswered { identity: _, plans, presentations, siblings, mother, counted: _ } = answered;
    let mut words = format!("answered; plans {}, presentations {}", part(plans.as_ref()), part(presentations.as_ref()));
    if mother.is_some() {
        words.push_str(&format!(", mother's plans {}", part(mother.as_ref())));
    }
    if *siblings > 0 {
        words.push_str(&format!(", {siblings} siblings told of"));
    }
    words
}

fn part(part: Option<&v1::DisclosedPart>) -> String {
    let Some(v1::DisclosedPart { outcome, held }) = part else { return "unknown".to_owned() };
    match v1::Outcome::try_from(*outcome) {
        Ok(v1::Outcome::Held) => format!("held ({held})"),
        Ok(v1::Outcome::NoneHeld) => "none held".to_owned(),
        Ok(v1::Outcome::CannotSay) => "cannot say".to_owned(),
        Ok(v1::Outcome::IdentityNotConfirmed) => "withheld".to_owned(),
        Ok(v1::Outcome::Unspecified) | Err(_) => "unknown".to_owned(),
    }
}

fn service(event: &v1::ServiceEvent) -> String {
    use v1::ServiceEventKind as Kind;
    let v1::ServiceEvent {
        kind,
        after_audit_reference,
        authority,
        next_file_number,
        sha256,
        through_audit_reference: through,
        leaves_kept,
        made_before: _,
        file,
        issuer,
    } = event;
    match Kind::try_from(*kind) {
        Ok(Kind::Started) => "started".to_owned(),
        Ok(Kind::Stopped) => "stopped in order".to_owned(),
        Ok(Kind::Gap) => format!("ENTRIES MAY BE MISSING after {after_audit_reference}"),
        Ok(Kind::FilePositionReset) => format!("the next file of {authority} is number {next_file_number}"),
        Ok(Kind::PolicyChanged) => format!("another policy is in force, {sha256}"),
        Ok(Kind::PolicyRefused) => "a policy's file could not be used".to_owned(),
        Ok(Kind::CertificateChanged) => format!("the service has another certificate, {sha256}"),
        Ok(Kind::CertificateRefused) => "a certificate's files could not be used".to_owned(),
        Ok(Kind::ClientAuthoritiesChanged) => format!("other authorities are trusted, {sha256}"),
        Ok(Kind::ClientAuthoritiesRefused) => "the file of trusted authorities could not be used".to_owned(),
        Ok(Kind::RevocationListsChanged) => format!("other revocation lists are in force, {sha256}"),
        Ok(Kind::RevocationListsRefused) => "the revocation lists could not be used".to_owned(),
        Ok(Kind::RevocationListKept) => format!("the revocation list of {issuer} from {file} stays in force as it was"),
        Ok(Kind::PersonTokensChanged) => format!("another list of whose people need a token is in force, {sha256}"),
        Ok(Kind::PersonTokensRefused) => "a list of whose people need a token could not be used".to_owned(),
        Ok(Kind::KeysChanged) => format!("the keys of the storage were changed, {sha256}"),
        Ok(Kind::KeysRefused) => "the keyring of the storage could not be used".to_owned(),
        Ok(Kind::SettingsChanged) => format!("these settings are in force, {sha256}"),
        Ok(Kind::AuditKeyChanged) => format!("the audit is signed with this key, {sha256}"),
        Ok(Kind::AuditKeyRefused) => "the key that signs the audit could not be used".to_owned(),
        Ok(Kind::DirectoryChanged) => format!("this directory of organisations and authorities is in force, {sha256}"),
        Ok(Kind::ServicesChanged) => format!("this list of who runs and checks the service is in force, {sha256}"),
        Ok(Kind::ServicesRefused) => "a list of who runs and checks the service could not be used".to_owned(),
        Ok(Kind::AuditRemoved) => format!("removed entries up to {through} under retention, {leaves_kept} leaves kept"),
        Ok(Kind::Unspecified) | Err(_) => "an event that this program does not know".to_owned(),
    }
}

fn reading(read: &v1::AuditRead) -> String {
    let v1::AuditRead { person_id, organisation, from, until, audit_reference, given, looked_at } = read;
    let mut words = format!("read the audit, {given} of {looked_at} entries");
    for (by, what) in [("person", person_id), ("organisation", organisation), ("reference", audit_reference)] {
        if !what.is_empty() {
            words.push_str(&format!(", by {by} {what}"));
        }
    }
    for (word, at) in [("from", from), ("to", until)] {
        if let Some(at) = at {
            words.push_str(&format!(", {word} {}", dates::show_moment(at)));
        }
    }
    words
}

#[cfg(test)]
mod tests {
    use super::*;

    fn searched(end: v1::AuditSearchEnd) -> Option<v1::AuditSearched> {
        Some(v1::AuditSearched {
            end: end.into(),
            newest_reference: "1-000000000090".into(),
            oldest_reference: "1-000000000002".into(),
            entries_looked_at: 88,
            missing: Vec::new(),
            shielded_left_out: false,
            removed: None,
            together_left_out: false,
            own_people_only: false,
        })
    }

    fn text(response: &v1::SearchResponse) -> String {
        entries(response).render(false).split_whitespace().collect::<Vec<_>>().join(" ")
    }

    #[test]
    fn an_empty_list_never_reads_as_nobody_looked() {
        for (end, words) in [
            (v1::AuditSearchEnd::Whole, "0 entries among the 88 entries from 1-000000000090"),
            (
                v1::AuditSearchEnd::Stopped,
                "THE SEARCH STOPPED: what is older was NOT looked at. Go on with --page-token t,",
            ),
            (v1::AuditSearchEnd::PageFull, "THIS PAGE IS FULL"),
            (v1::AuditSearchEnd::Older, "THE RANGE WAS TAKEN TO END HERE"),
            (v1::AuditSearchEnd::Unspecified, "NOT EVERYTHING WAS LOOKED AT"),
        ] {
            let response =
                v1::SearchResponse { entries: Vec::new(), next_page_token: "t".into(), searched: searched(end) };
            let text = text(&response);
            assert!(text.starts_with(words) && text.contains("not a statement that nobody looked"), "{text}");
        }
        let nothing = text(&v1::SearchResponse::default());
        assert!(nothing.starts_with("NOT EVERYTHING WAS LOOKED AT") && nothing.contains("NOTHING WAS LOOKED AT"));
        let none = v1::WhoLookedResponse { searched: searched(v1::AuditSearchEnd::Whole), ..Default::default() };
        assert!(looks(&none).render(false).contains("not a statement that nobody looked"));
    }

    #[test]
    fn what_is_missing_stands_first() {
        let range = v1::MissingEntries {
            after_audit_reference: "1-000000000004".into(),
            before_audit_reference: "1-000000000009".into(),
            announced_at: None,
        };
        let told = v1::MissingEntries {
            before_audit_reference: String::new(),
            announced_at: Some(ProtoTimestamp { seconds: 1_789_999_000, nanos: 0 }),
            ..range.clone()
        };
        let mut response =
            v1::SearchResponse { searched: searched(v1::AuditSearchEnd::Whole), ..v1::SearchResponse::default() };
        response.searched.as_mut().unwrap().missing = vec![range, told];
        let text = text(&response);
        assert!(text.starts_with("MISSING: between 1-000000000004 and 1-000000000009 no entry can be read."), "{text}");
        assert!(text.contains("after 1-000000000004 entries may be missing, noticed"), "{text}");
    }

    #[test]
    fn what_was_removed_is_neither_nothing_found_nor_missing() {
        let removed = v1::AuditRemoval {
            through_audit_reference: "1-000000000001".into(),
            removed_at: Some(ProtoTimestamp { seconds: 1_789_999_000, nanos: 0 }),
            made_before: Some(ProtoTimestamp { seconds: 1_289_999_000, nanos: 0 }),
        };
        let mut response =
            v1::SearchResponse { searched: searched(v1::AuditSearchEnd::Removed), ..v1::SearchResponse::default() };
        assert!(
            text(&response).starts_with("REMOVED UNDER RETENTION: what is older"),
            "whoever does not say up to where"
        );
        response.searched.as_mut().unwrap().removed = Some(removed.clone());
        let part = text(&response);
        assert!(part.starts_with("REMOVED UNDER RETENTION up to 1-000000000001, decided"), "{part}");
        assert!(part.contains("Somebody may have looked") && !part.contains("MISSING"), "{part}");
        let gone = v1::AuditSearched {
            end: v1::AuditSearchEnd::Removed.into(),
            removed: Some(removed),
            ..v1::AuditSearched::default()
        };
        let whole = text(&v1::SearchResponse { searched: Some(gone), ..v1::SearchResponse::default() });
        assert!(whole.contains("nothing of what was asked for is kept any more"), "{whole}");
        assert!(!whole.contains("no such entry yet"), "{whole}");
    }

    #[test]
    fn a_shielded_look_shows_no_place_whatever_is_sent() {
        let look = v1::Look {
            organisation: "RZ9".into(),
            organisation_name: "must not be shown".into(),
            user_name: "nor this".into(),
            user_id: "nor this".into(),
            request_id: "nor this".into(),
            person_proven: true,
            shielded: true,
            ..v1::Look::default()
        };
        let response = v1::WhoLookedResponse { looks: vec![look], ..Default::default() };
        let text = looks(&response).render(false);
        let told = |word| text.contains(word);
        assert!(told("SHIELDED RECORD") && !["must not", "nor this", "token"].into_iter().any(told), "{text}");
        let entry = v1::AuditEntry {
            organisation_name: "must not be shown".into(),
            user_id: "u1".into(),
            role: "ed".into(),
            shielded: true,
            ..v1::AuditEntry::default()
        };
        let shown = text_of(entry);
        let told = |word| shown.contains(word);
        assert!(told("SHIELDED RECORD") && !["must not", "u1", "token"].into_iter().any(told), "{shown}");
    }

    #[test]
    fn who_is_named_is_told_as_proven_or_not() {
        for (person_proven, words) in [(true, "; proven by a token"), (false, "; not proven by a token")] {
            let shown = text_of(v1::AuditEntry { user_id: "u1".into(), person_proven, ..v1::AuditEntry::default() });
            assert!(shown.contains(words), "{shown}");
        }
    }

    fn text_of(entry: v1::AuditEntry) -> String {
        text(&v1::SearchResponse { entries: vec![entry], ..v1::SearchResponse::default() })
    }

    #[test]
    fn each_decision_has_words_and_an_unknown_one_says_so() {
        let part = |outcome: v1::Outcome| Some(v1::DisclosedPart { outcome: outcome.into(), held: 2 });
        let (plans, presentations) = (part(v1::Outcome::Held), part(v1::Outcome::CannotSay));
        let answered = v1::AuditAnswered { plans, presentations, ..v1::AuditAnswered::default() };
        let refused = v1::AuditRefused { reason: "ROLE_NOT_ALLOWED".into(), count: 3, ..Default::default() };
        let event = |kind: v1::ServiceEventKind| v1::ServiceEvent { kind: kind.into(), ..Default::default() };
        let gap = v1::ServiceEvent { after_audit_reference: "1-7".into(), ..event(v1::ServiceEventKind::Gap) };
        let kept = event(v1::ServiceEventKind::RevocationListKept);
        let kept = v1::ServiceEvent { file: "a.pem".into(), issuer: "CN=b".into(), ..kept };
        for (decision, words) in [
            (Some(Decision::Answered(answered)), "plans held (2), presentations cannot say"),
            (Some(Decision::Refused(refused)), "REFUSED 3 times, ROLE_NOT_ALLOWED"),
            (Some(Decision::Listed(4)), "4 listed"),
            (Some(Decision::Uncounted(true)), "how many is not told"),
            (Some(Decision::Resolved(String::new())), "resolved the reference of an answer"),
            (Some(Decision::Proven("1-000000000007".into())), "had entry 1-000000000007 proven"),
            (Some(Decision::Proven(String::new())), "had an entry of its own organisation proven"),
            (Some(Decision::Service(gap)), "ENTRIES MAY BE MISSING after 1-7"),
            (Some(Decision::Service(kept)), "the revocation list of CN=b from a.pem stays in force"),
            (None, "does not know"),
        ] {
            let text = text_of(v1::AuditEntry { decision, ..v1::AuditEntry::default() });
            assert!(text.contains(words), "{text}");
        }
    }
}
