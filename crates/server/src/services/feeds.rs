//! The health of feeds: listing it, and counting what a feed is refused. Counts alone: nothing of any child.

use kith_api::convert::fault::{Fault, Faults};
use kith_api::convert::{feed, time};
use kith_api::v1;
use kith_domain::caller::{Caller, Peer, Role};
use kith_domain::change::Feed;
use kith_domain::codes::LaCode;
use kith_domain::feed_health::MATCH_GATE_PERCENT;
use kith_domain::permit::{FeedScope, feed_scope};
use kith_domain::refused::RefusedKind;
use kith_engine::{AuditEntry, Call, Decision, Engine, Verdict};
use tonic::Status;

use super::context::{self, now};
use super::errors;

/// Feeds in a page when the caller names no number.
const DEFAULT_PAGE: u32 = 100;
/// Most feeds in a page.
const MAX_PAGE: u32 = 500;

/// Page size and how many feeds come before the page.
pub(super) fn page_of(size: u32, token: &str) -> Result<(usize, usize), Faults> {
    let mut faults = Faults::default();
    if size > MAX_PAGE {
        faults.add("page_size", "PAGE_TOO_LARGE", format!("a page has at most {MAX_PAGE} feeds"));
    }
    let before = match token {
        "" => Some(0),
        token => faults.take("page_token", "BAD_PAGE_TOKEN", token.parse::<usize>().map_err(|_| "not a page token")),
    };
    let size = if size == 0 { DEFAULT_PAGE } else { size };
    faults.finish(before.map(|before| (size as usize, before)))
}

/// A page of the feeds that a peer may see. The list of known feeds does not change while the process runs, so a position
/// in it is a good token.
pub(super) async fn list(
    engine: &Engine,
    call: Call,
    caller: Caller,
    request: v1::ListFeedsRequest,
) -> Result<v1::ListFeedsResponse, Status> {
    let v1::ListFeedsRequest { page_size, page_token } = request;
    let permit = context::permit(engine, call, &caller).await?;
    let scope = match feed_scope(&permit) {
        Ok(scope) => scope,
        Err(refused) => return Err(context::not_allowed(engine, call, caller, refused).await),
    };
    let (limit, before) = match page_of(page_size, &page_token) {
        Ok(page) => page,
        Err(faults) => return Err(context::malformed(engine, call, faults.by(&caller)).await),
    };
    let at = now();
    let mut lines = engine.feeds().lines(at);
    lines.retain(|line| match scope {
        FeedScope::All => true,
        FeedScope::Own(own) => line.feed == own,
    });
    if lines.is_empty() && scope != FeedScope::All {
        // Not "no feeds": this one is not known.
        let refused = kith_domain::permit::Refusal::OrganisationUnknown;
        return Err(context::not_allowed(engine, call, caller, refused).await);
    }
    let end = before.saturating_add(limit).min(lines.len());
    let page = lines.get(before..end).unwrap_or_default();
    let listed = Decision::Listed(page.len() as u64);
    engine.audit(&AuditEntry::of_call(at, call, Some(caller), None, listed)).await.map_err(errors::audit(engine))?;
    Ok(v1::ListFeedsResponse {
        feeds: page.iter().map(|line| feed::health(line, engine.directory())).collect(),
        next_page_token: if end < lines.len() { end.to_string() } else { String::new() },
        now: Some(time::timestamp(at)),
        volume_window_hours: engine.feeds().rule().window_hours,
        match_gate_percent: MATCH_GATE_PERCENT,
    })
}

/// The feed that a peer sends; none for those that send nothing.
pub(super) fn of_peer(peer: Peer) -> Option<Feed> {
    match peer.role {
        Role::Ed => Some(Feed::Presentations(peer.organisation)),
        Role::LocalAuthority => LaCode::parse(peer.organisation.as_str()).ok().map(Feed::Plans),
        Role::ScheduledCare
        | Role::Demographics
        | Role::Safeguarding
        | Role::Broker
        | Role::Auditor
        | Role::Ops
        | Role::Witness => None,
    }
}

/// Whether a fault leaves number and birth date matched.
pub(super) fn is_matched(fault: &Fault) -> bool {
    let of_person = ["subject", "nhs_number", "date_of_birth"];
    !of_person.iter().any(|part| fault.field.contains(part))
}

/// Counts what became of one call that is a batch by itself. What could not be stored is judged when it comes again.
pub(super) fn one(engine: &Engine, peer: Peer, refused: Option<(&Fault, bool)>) {
    let Some(feed) = of_peer(peer) else { return };
    match refused {
        None => engine.feed_taken_whole(feed),
        Some((_, true)) => {}
        Some((fault, false)) => engine.feed_refused(feed, 1, u64::from(is_matched(fault))),
    }
}

/// Counts the verdict on such a call.
pub(super) fn verdict(engine: &Engine, peer: Peer, verdict: &Verdict) {
    match verdict {
        Ok(_) => one(engine, peer, None),
        Err(refused) => one(engine, peer, Some((&(*refused).into(), refused.kind == RefusedKind::Unavailable))),
    }
}

/// What a stream or file of one feed was refused, group by group.
#[derive(Debug, Default)]
pub(super) struct Refusals {
    refused: u64,
    matched: u64,
    any: bool,
    taken: bool,
}

impl Refusals {
    /// One row was taken.
    pub(super) fn take(&mut self) {
        self.taken = true;
    }

    /// One row was refused; what could not be stored (`retry`) is no refusal, and the batch is not whole.
    pub(super) fn refuse(&mut self, fault: Option<&Fault>, retry: bool) {
        self.any = true;
        if !retry {
            self.refused += 1;
            self.matched += u64::from(fault.is_some_and(is_matched));
        }
    }

    /// The end of a group: its refusals are counted.
    pub(super) fn count(&mut self, engine: &Engine, feed: Feed) {
        engine.feed_refused(feed, self.refused, self.matched);
        (self.refused, self.matched) = (0, 0);
    }

    /// The end of the batch: whether it was taken whole.
    pub(super) fn end(&self, engine: &Engine, feed: Feed) {
        if self.taken && !self.any {
            engine.feed_taken_whole(feed);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pages() {
        assert_eq!(page_of(0, "").unwrap(), (100, 0));
        assert_eq!(page_of(7, "14").unwrap(), (7, 14));
        assert!(page_of(501, "").is_err() && page_of(1, "x").is_err());
    }

    #[test]
    fn a_fault_of_the_person_is_no_match() {
        let fault = |field: &str| Fault { field: field.into(), reason: "R", words: String::new() };
        for (field, matched) in [
            ("event.subject.nhs_number", false),
            ("subject", false),
            ("event.date_of_birth", false),
            ("version", true),
            ("presentation.site", true),
            ("event_id", true),
        ] {
            assert_eq!(is_matched(&fault(field)), matched, "{field}");
        }
    }
}
