//! Flags about how people use the service: those that nobody has looked into, how many there were for how many questions, and
//! what became of them. Nothing here is of a child.

use kith_api::client::{Client, JsonError, to_json};
use kith_api::v1;
use serde_json::{Map, Value as Json};
use uuid::Uuid;

use super::{Done, Text};
use crate::dates;
use crate::exit::Exit;
use crate::failure::{Failure, Sent};
use crate::flag_args::{ReviewArgs, ShownArgs};
use crate::person::uuid_or;
use crate::render::Page;
use crate::settings::Settings;
use crate::words::{FLAG_KINDS, FLAG_OUTCOMES};

/// Largest page the service gives.
const PAGE_SIZE: u32 = 500;
/// Days of the rates when no first one is given.
const USUAL_DAYS: i32 = 28;
/// Above everything that is shown: what it means, and what it does not.
const MEANING: &str = "A flag says what was counted about somebody who asked, or about an organisation as a whole. It is no \
                       finding. That there is none says nothing: neither of a child, nor that a use was right. Auditors \
                       are not shown those that would tell where a shielded child is.";

/// Lists flags and shows rates.
///
/// # Errors
/// No connection, or a refusal.
pub async fn show(settings: &Settings, args: &ShownArgs) -> Result<Done, Failure> {
    let caller = settings.person.caller(&settings.organisation, v1::Purpose::SafeguardingReview)?;
    let (first, last) = days(args)?;
    let client = settings.connect().await?;
    let listed = listed(&client, &caller, args.all).await?;
    let request = v1::GetFlagRatesRequest { caller: Some(caller), first: Some(first), last: Some(last) };
    let rates = client.flags().get_flag_rates(client.request(request)).await;
    let rates = rates.map_err(|status| Failure::status(&status, Sent::Question))?.into_inner();
    let mut page = Page::default();
    page.text(0, 0, MEANING);
    page.gap();
    flags(&mut page, &listed.flags, args.all);
    page.gap();
    table(&mut page, &rates, (first, last));
    let json = to_json(&listed).and_then(|mut json| {
        json.insert("first".to_owned(), iso(first).into());
        json.insert("last".to_owned(), iso(last).into());
        json.insert("rates".to_owned(), Json::Object(with_rates(&rates)?));
        Ok(json)
    });
    finished(Text::Page(page), json)
}

/// The days of the rates.
fn days(args: &ShownArgs) -> Result<(v1::Date, v1::Date), Failure> {
    let given = |text: &Option<String>, field| {
        text.as_deref().map(dates::date).transpose().map_err(|words| Failure::bad_field(field, words))
    };
    let last = given(&args.to, "to")?.unwrap_or_else(dates::today);
    let first = given(&args.from, "from")?.unwrap_or_else(|| dates::days_before(last, USUAL_DAYS - 1));
    Ok((first, last))
}

fn iso(date: v1::Date) -> String {
    format!("{:04}-{:02}-{:02}", date.year, date.month, date.day)
}

/// Every flag, page by page.
async fn listed(client: &Client, caller: &v1::Caller, all: bool) -> Result<v1::ListFlagsResponse, Failure> {
    let mut listed = v1::ListFlagsResponse::default();
    loop {
        let request = v1::ListFlagsRequest {
            caller: Some(caller.clone()),
            page_size: PAGE_SIZE,
            page_token: std::mem::take(&mut listed.next_page_token),
            include_reviewed: all,
        };
        let response = client.flags().list_flags(client.request(request)).await;
        let page = response.map_err(|status| Failure::status(&status, Sent::Question))?.into_inner();
        listed.flags.extend(page.flags);
        listed.next_page_token = page.next_page_token;
        if listed.next_page_token.is_empty() {
            return Ok(listed);
        }
    }
}

fn flags(page: &mut Page, flags: &[v1::Flag], all: bool) {
    let which = if all { "flags" } else { "flags that nobody has looked into" };
    page.text(0, 2, &format!("{} {which}, oldest first (UK time)", flags.len()));
    for flag in flags {
        one(page, flag);
    }
}

fn one(page: &mut Page, flag: &v1::Flag) {
    let v1::Flag {
        id,
        kind: _,
        at,
        organisation,
        user_id,
        counted: _,
        out_of: _,
        threshold: _,
        first_audit_reference,
        last_audit_reference,
        review,
    } = flag;
    let whom = match user_id.as_str() {
        "" => format!("{organisation} as a whole"),
        user_id => format!("{user_id} of {organisation}"),
    };
    page.text(0, 4, &format!("#{id}  {}  {whom}: {}", shown(at.as_ref()), said(flag)));
    page.text(4, 4, &format!("audit entries {first_audit_reference} to {last_audit_reference}"));
    if let Some(v1::FlagReview { outcome, at, organisation, user_id }) = review {
        let outcome = v1::FlagOutcome::try_from(*outcome).ok().and_then(|outcome| FLAG_OUTCOMES.word(outcome));
        let outcome =
            outcome.map_or_else(|| "outcome unknown to this program".to_owned(), |word| word.replace('-', " "));
        page.text(4, 4, &format!("{outcome}, by {user_id} of {organisation} {}", shown(at.as_ref())));
    }
}

/// What was counted, in words.
fn said(flag: &v1::Flag) -> String {
    let v1::Flag { counted, out_of, threshold, .. } = flag;
    match v1::FlagKind::try_from(flag.kind) {
        Ok(v1::FlagKind::Volume) => format!(
            "volume: {counted} children in a day who did not present, usually {out_of} (flagged from {threshold} on)"
        ),
        Ok(v1::FlagKind::NumberWalk) => {
            format!("number walk: {counted} NHS numbers in equal steps (flagged from {threshold} on)")
        }
        Ok(v1::FlagKind::FewHeld) => {
            format!("few held: something is held of {counted} of {out_of} children (flagged up to {threshold})")
        }
        Ok(v1::FlagKind::SameChild) => {
            format!("same child: {counted} people asked about one child (flagged from {threshold} on)")
        }
        Ok(v1::FlagKind::NoPresentation) => {
            format!("no presentation: {counted} of {out_of} children did not present (flagged from {threshold} on)")
        }
        Ok(v1::FlagKind::Unspecified) | Err(_) => {
            format!("of a kind that this program does not know: {counted} of {out_of}, threshold {threshold}")
        }
    }
}

fn shown(moment: Option<&dates::ProtoTimestamp>) -> String {
    moment.map_or_else(|| "time not given".to_owned(), dates::show_moment)
}

fn table(page: &mut Page, rates: &v1::GetFlagRatesResponse, (first, last): (v1::Date, v1::Date)) {
    let v1::GetFlagRatesResponse { lookups, rates } = rates;
    page.text(
        0,
        2,
        &format!("{} to {}: {lookups} questions answered", dates::show_date(first), dates::show_date(last)),
    );
    let row = |cells: [&str; 6]| {
        let [kind, raised, per_thousand, explained, further, open] = cells;
        format!("{kind:<16}{raised:>7}{per_thousand:>11}{explained:>11}{further:>15}{open:>6}")
    };
    page.text(2, 2, &row(["kind", "flags", "per 1,000", "explained", "taken further", "open"]));
    for rate in rates {
        let v1::FlagRate { kind, raised, explained, taken_further } = rate;
        let kind = v1::FlagKind::try_from(*kind).ok().and_then(|kind| FLAG_KINDS.word(kind)).unwrap_or("unknown");
        let open = raised.saturating_sub(explained + taken_further);
        let cells = [
            raised.to_string(),
            per_thousand(*raised, *lookups),
            explained.to_string(),
            taken_further.to_string(),
            open.to_string(),
        ];
        let [raised, per_thousand, explained, further, open] = &cells;
        page.text(2, 2, &row([kind, raised, per_thousand, explained, further, open]));
    }
}

/// Flags for a thousand questions; a dash where there were none.
fn per_thousand(raised: u64, lookups: u64) -> String {
    if lookups == 0 { "-".to_owned() } else { format!("{:.3}", raised as f64 * 1_000.0 / lookups as f64) }
}

/// The rates as JSON, with what they come to for a thousand questions.
fn with_rates(rates: &v1::GetFlagRatesResponse) -> Result<Map<String, Json>, JsonError> {
    let mut json = to_json(rates)?;
    if let Some(Json::Array(rows)) = json.get_mut("rates") {
        for (row, rate) in rows.iter_mut().zip(&rates.rates) {
            if let Json::Object(row) = row {
                let per_thousand = (rates.lookups > 0).then(|| rate.raised as f64 * 1_000.0 / rates.lookups as f64);
                row.insert("per_thousand_lookups".to_owned(), per_thousand.into());
            }
        }
    }
    Ok(json)
}

/// Tells what became of a flag.
///
/// # Errors
/// No connection, or a refusal.
pub async fn review(settings: &Settings, args: &ReviewArgs) -> Result<Done, Failure> {
    let caller = Some(settings.person.caller(&settings.organisation, v1::Purpose::SafeguardingReview)?);
    let outcome = FLAG_OUTCOMES.read(&args.outcome).map_err(|words| Failure::bad_field("outcome", words))?;
    let event_id = uuid_or(args.event_id.as_deref(), "event_id", Uuid::new_v4)?.to_string();
    let client = settings.connect().await?;
    let request = v1::ReviewFlagRequest { caller, id: args.id, outcome: outcome.into(), event_id };
    let response = client.flags().review_flag(client.request(request)).await;
    let response = response.map_err(|status| Failure::status(&status, Sent::Change))?.into_inner();
    let Some(ack) = &response.acknowledgement else {
        return Err(Failure::could_not_ask("the service replied without an acknowledgement: send it again"));
    };
    let again = if ack.repeated { " (told before with this id)" } else { "" };
    let text = format!("Reviewed #{}: {}{again}; event id {}\n", args.id, args.outcome, ack.event_id);
    finished(Text::Plain(text), to_json(&response))
}

fn finished(text: Text, json: Result<Map<String, Json>, JsonError>) -> Result<Done, Failure> {
    let mut json = json.map_err(|error| Failure::could_not_ask(format!("failed to {error}")))?;
    json.insert("exit_code".to_owned(), Exit::Done.code().into());
    Ok(Done { text, json: Json::Object(json), exit: Exit::Done })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn flag(kind: v1::FlagKind) -> v1::Flag {
        v1::Flag {
            id: 7,
            kind: kind.into(),
            at: None,
            organisation: "RZ1".into(),
            user_id: "jo.nurse".into(),
            counted: 60,
            out_of: 6,
            threshold: 50,
            first_audit_reference: "1-000000000001".into(),
            last_audit_reference: "1-000000000099".into(),
            review: None,
        }
    }

    #[test]
    fn every_kind_has_words_and_an_unknown_one_is_said_to_be() {
        for number in 1..=5 {
            let kind = v1::FlagKind::try_from(number).unwrap();
            assert!(said(&flag(kind)).contains("60") && FLAG_KINDS.word(kind).is_some(), "{number}");
        }
        assert!(said(&v1::Flag { kind: 99, ..flag(v1::FlagKind::Volume) }).contains("does not know"));
    }

    #[test]
    fn flags_and_rates_say_what_they_do_not_mean() {
        let mut page = Page::default();
        page.text(0, 0, MEANING);
        let whole = v1::Flag { user_id: String::new(), ..flag(v1::FlagKind::FewHeld) };
        flags(&mut page, &[flag(v1::FlagKind::Volume), whole], false);
        let rate = v1::FlagRate { kind: v1::FlagKind::Volume.into(), raised: 3, explained: 1, taken_further: 1 };
        let rates = v1::GetFlagRatesResponse { lookups: 12_000, rates: vec![rate] };
        let (first, last) = (v1::Date { year: 2026, month: 3, day: 1 }, v1::Date { year: 2026, month: 3, day: 28 });
        table(&mut page, &rates, (first, last));
        let text = page.render(false);
        let words = text.split_whitespace().collect::<Vec<_>>().join(" ");
        assert!(words.contains("It is no finding."), "{text}");
        assert!(text.contains("jo.nurse of RZ1: volume: 60 children"), "{text}");
        assert!(text.contains("RZ1 as a whole: few held") && !text.contains(" of RZ1: few held"), "{text}");
        assert!(text.contains("volume                3      0.250          1              1     1"), "{text}");
        assert!(text.lines().all(|line| line.chars().count() <= crate::render::WIDTH), "{text}");
        let json = with_rates(&rates).unwrap();
        assert_eq!(json["rates"][0]["per_thousand_lookups"], 0.25);
        assert_eq!((per_thousand(0, 0).as_str(), json["rates"][0]["kind"].as_str()), ("-", Some("volume")));
    }
}
