//! Searching the audit, and who looked up a child: page by page, put together as one. What was not looked at, and what is missing,
//! shows in the text, in the JSON and in the exit code.

use kith_api::client::{JsonError, to_json};
use kith_api::v1;
use serde_json::{Map, Value as Json, json};

use super::{Done, Text, audit_pages};
use crate::audit_args::{PageArgs, SearchArgs, WhoLookedArgs};
use crate::dates::{self, ProtoTimestamp};
use crate::exit::Exit;
use crate::failure::{Failure, Sent};
use crate::person::number;
use crate::render::Page;
use crate::settings::Settings;

/// A time as given, or none.
fn time(field: &str, given: Option<&str>) -> Result<Option<ProtoTimestamp>, Failure> {
    given.map(dates::moment).transpose().map_err(|words| Failure::bad_field(field, words))
}

/// Searches the audit.
///
/// # Errors
/// No connection, or a refusal.
pub async fn search(settings: &Settings, args: &SearchArgs) -> Result<Done, Failure> {
    let SearchArgs { nhs_number, local_key, key_of, person, by_organisation, reference, pages } = args;
    let own_key = local_key.clone().zip(key_of.clone());
    let PageArgs { from, to, page_size, page_token, all } = pages;
    let mut request = v1::SearchRequest {
        nhs_number: nhs_number.as_deref().map(number).transpose()?.unwrap_or_default(),
        person_id: person.clone().unwrap_or_default(),
        organisation: by_organisation.clone().unwrap_or_default(),
        from: time("from", from.as_deref())?,
        until: time("until", to.as_deref())?,
        audit_reference: reference.clone().unwrap_or_default(),
        page_size: *page_size,
        page_token: page_token.clone().unwrap_or_default(),
        local_key: own_key.map(|(key, organisation)| v1::LocalKey { organisation, key }),
    };
    let client = settings.connect_as_person().await?;
    let mut whole = v1::SearchResponse::default();
    loop {
        let response = client.audit().search(client.request(request.clone())).await;
        let response = response.map_err(|status| Failure::status(&status, Sent::Question))?.into_inner();
        let v1::SearchResponse { entries, next_page_token, searched } = response;
        whole.entries.extend(entries);
        join(&mut whole.searched, searched)?;
        whole.next_page_token = next_page_token;
        match next(&request.page_token, &whole.next_page_token, *all)? {
            Some(token) => request.page_token = token,
            None => break,
        }
    }
    done(audit_pages::entries(&whole), to_json(&whole), whole.searched.as_ref())
}

/// Asks who looked up a child.
///
/// # Errors
/// No connection, or a refusal.
pub async fn who_looked(settings: &Settings, args: &WhoLookedArgs) -> Result<Done, Failure> {
    let WhoLookedArgs { nhs_number, pages } = args;
    let PageArgs { from, to, page_size, page_token, all } = pages;
    let mut request = v1::WhoLookedRequest {
        nhs_number: number(nhs_number)?,
        from: time("from", from.as_deref())?,
        until: time("until", to.as_deref())?,
        page_size: *page_size,
        page_token: page_token.clone().unwrap_or_default(),
    };
    let client = settings.connect_as_person().await?;
    let mut whole = v1::WhoLookedResponse::default();
    loop {
        let response = client.audit().who_looked(client.request(request.clone())).await;
        let response = response.map_err(|status| Failure::status(&status, Sent::Question))?.into_inner();
        let v1::WhoLookedResponse { looks, next_page_token, searched } = response;
        whole.looks.extend(looks);
        join(&mut whole.searched, searched)?;
        whole.next_page_token = next_page_token;
        match next(&request.page_token, &whole.next_page_token, *all)? {
            Some(token) => request.page_token = token,
            None => break,
        }
    }
    done(audit_pages::looks(&whole), to_json(&whole), whole.searched.as_ref())
}

/// The token of the page to ask for now; none when this was the last that is wanted.
fn next(before: &str, token: &str, all: bool) -> Result<Option<String>, Failure> {
    if !all || token.is_empty() {
        return Ok(None);
    }
    if token == before {
        return Err(Failure::could_not_ask("the service goes on where it was: not everything was looked at"));
    }
    Ok(Some(token.to_owned()))
}

/// Adds what was looked at for one page to what was looked at before it.
fn join(whole: &mut Option<v1::AuditSearched>, page: Option<v1::AuditSearched>) -> Result<(), Failure> {
    let Some(page) = page else {
        return Err(Failure::could_not_ask("the service did not say what it looked at"));
    };
    let Some(whole) = whole else {
        *whole = Some(page);
        return Ok(());
    };
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
    } = page;
    whole.end = end;
    if whole.newest_reference.is_empty() {
        whole.newest_reference = newest_reference;
    }
    if !oldest_reference.is_empty() {
        whole.oldest_reference = oldest_reference;
    }
    whole.entries_looked_at += entries_looked_at;
    whole.missing.extend(missing);
    whole.shielded_left_out |= shielded_left_out;
    whole.together_left_out |= together_left_out;
    whole.own_people_only |= own_people_only;
    // More may have been removed while the pages were read.
    whole.removed = removed.or(whole.removed.take());
    Ok(())
}

/// Done, and whether everything asked for was looked at and nothing in it is missing.
fn done(
    page: Page,
    json: Result<Map<String, Json>, JsonError>,
    searched: Option<&v1::AuditSearched>,
) -> Result<Done, Failure> {
    let is_whole =
        |searched: &v1::AuditSearched| searched.end() == v1::AuditSearchEnd::Whole && searched.missing.is_empty();
    let exit = if searched.is_some_and(is_whole) { Exit::Done } else { Exit::NotWhole };
    let mut fields = json.map_err(|error| Failure::could_not_ask(format!("failed to {error}")))?;
    fields.insert("exit_code".to_owned(), json!(exit.code()));
    Ok(Done { text: Text::Page(page), json: Json::Object(fields), exit })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn page(end: v1::AuditSearchEnd, range: [&str; 2], missing: usize) -> v1::AuditSearched {
        v1::AuditSearched {
            end: end.into(),
            newest_reference: range[0].into(),
            oldest_reference: range[1].into(),
            entries_looked_at: 5,
            missing: vec![v1::MissingEntries::default(); missing],
            shielded_left_out: false,
            removed: None,
            together_left_out: false,
            own_people_only: false,
        }
    }

    #[test]
    fn pages_join_and_one_missing_entry_among_them_is_not_everything() {
        let mut whole = None;
        join(&mut whole, Some(page(v1::AuditSearchEnd::Stopped, ["1-9", "1-5"], 1))).unwrap();
        join(&mut whole, Some(page(v1::AuditSearchEnd::Whole, ["1-4", "1-1"], 0))).unwrap();
        let joined = whole.unwrap();
        assert_eq!((joined.newest_reference.as_str(), joined.oldest_reference.as_str()), ("1-9", "1-1"));
        assert_eq!((joined.entries_looked_at, joined.end()), (10, v1::AuditSearchEnd::Whole));
        let exit = |searched: Option<&v1::AuditSearched>| done(Page::default(), Ok(Map::new()), searched).unwrap().exit;
        assert_eq!(exit(Some(&joined)), Exit::NotWhole);
        assert_eq!(exit(Some(&v1::AuditSearched { missing: Vec::new(), ..joined })), Exit::Done);
        for end in [
            v1::AuditSearchEnd::Stopped,
            v1::AuditSearchEnd::PageFull,
            v1::AuditSearchEnd::Removed,
            v1::AuditSearchEnd::Older,
            v1::AuditSearchEnd::Unspecified,
        ] {
            assert_eq!(exit(Some(&page(end, ["1-9", "1-5"], 0))), Exit::NotWhole, "{end:?}");
        }
        assert_eq!(exit(Some(&v1::AuditSearched { end: 99, ..Default::default() })), Exit::NotWhole);
        assert_eq!(exit(None), Exit::NotWhole);
        assert!(join(&mut None, None).is_err(), "a reply that does not say what was looked at is none");
    }

    #[test]
    fn the_next_page_is_asked_for_only_when_there_is_one() {
        assert_eq!(next("", "t", true).unwrap(), Some("t".to_owned()));
        assert_eq!(next("", "t", false).unwrap(), None);
        assert_eq!(next("t", "", true).unwrap(), None);
        assert!(next("t", "t", true).is_err());
    }
}
